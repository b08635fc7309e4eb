# SPDX-License-Identifier: Apache-2.0
"""What a scan of this host costs, as it is and with a thousand processes more."""
import os
import statistics
import subprocess
import time

from harness.agent import Agent
from harness.base import BOT

from website import Website

EXTRA = 1000
CPU_LIMIT_S = 0.1  # of a host with 1,000 processes; design.md 11


def one_scan(agent):
    """Wall and CPU seconds of `clmbot scan` and everything it waited for."""
    before = os.times()
    start = time.monotonic()
    agent.run("scan", "--json")
    wall = time.monotonic() - start
    after = os.times()
    return wall, (after.children_user - before.children_user) + (after.children_system - before.children_system)


def medians(agent, runs):
    one_scan(agent)  # files into the page cache
    return tuple(statistics.median(column) for column in zip(*(one_scan(agent) for _ in range(runs))))


def run(work, runs, report):
    if not BOT.exists():
        report.missing(f"clmbot is not measured: {BOT} is not built")
        return
    sleepers = []
    agent = Agent(work / "agent")
    with Website(work / "site"):
        try:
            plain = medians(agent, runs)
            sleepers = [subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL) for _ in range(EXTRA)]
            crowded = medians(agent, runs)
        finally:
            for child in sleepers:
                child.kill()
            for child in sleepers:
                child.wait()
    report.figure("scan-wall", "none", plain[0], None, "s")
    report.figure("scan-cpu", "none", plain[1], None, "s")
    report.figure(f"scan-wall-{EXTRA}-processes", "this host without them", crowded[0], plain[0], "s")
    report.figure(f"scan-cpu-{EXTRA}-processes", "limit (design.md 11)", crowded[1], CPU_LIMIT_S, "s")
