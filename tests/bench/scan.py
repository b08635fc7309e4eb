# SPDX-License-Identifier: Apache-2.0
"""What a scan of this host costs, as it is and with a thousand processes more."""
import pathlib
import resource
import statistics
import subprocess
import time

from harness.agent import Agent
from harness.base import BOT

from website import Website

EXTRA = 1000
CPU_LIMIT_S = 0.1  # of a host with 1,000 processes; design.md 11


def measured(work):
    """Wall and CPU seconds of work() and everything it waited for."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    work()
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def medians(work, runs):
    work()  # files into the page cache
    return tuple(statistics.median(column) for column in zip(*(measured(work) for _ in range(runs))))


def processes():
    return sum(1 for _ in pathlib.Path("/proc").glob("[0-9]*"))


def run(work, runs, report):
    if not BOT.exists():
        report.missing(f"clmbot is not measured: {BOT} is not built")
        return
    sleepers = []
    agent = Agent(work / "agent")
    with Website(work / "site") as site:
        def scan():
            agent.run("scan", "--json")

        def dump():
            subprocess.run(["/usr/sbin/nginx", "-T", "-q", "-c", str(site.conf)], check=True, capture_output=True)

        try:
            plain, n_plain = medians(scan, runs), processes()
            nginx = medians(dump, runs)
            sleepers = [subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL) for _ in range(EXTRA)]
            crowded, n_crowded = medians(scan, runs), processes()
        finally:
            for child in sleepers:
                child.kill()
            for child in sleepers:
                child.wait()
    report.note(f"scanned with {n_plain} and with {n_crowded} processes on the host")
    report.figure("scan-wall", "nginx -T", plain[0], nginx[0], "s")
    report.figure("scan-cpu", "nginx -T", plain[1], nginx[1], "s")
    report.figure(f"scan-wall-{EXTRA}-more", "without them", crowded[0], plain[0], "s")
    report.figure(f"scan-cpu-{EXTRA}-more", "without them", crowded[1], plain[1], "s", below=CPU_LIMIT_S)
