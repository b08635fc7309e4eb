# SPDX-License-Identifier: Apache-2.0
"""Memory of what stays in memory, beside certmonger's daemon at the same moment on the same host.

PSS shares a library's pages among the processes that map it at that moment, and the control plane of the
test maps some of clmbot's. RSS knows no sharing at all, so it is given, too: no neighbour changes it.
"""
import contextlib
import os
import pathlib
import statistics
import threading
import time

from harness.base import BOT, Process, until

import subject
from website import Website

LIMIT_MIB = 8.0  # design.md 11
SAMPLE_S = 12    # the agent of the test polls every 5 s
QUICK_S = 1

DBUS_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


def mib(pid, field="Pss"):
    """None if the process is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def in_sessions(leaders):
    """pids of clmbot's own processes in these sessions; a server's test that it runs is not its memory."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) in leaders and os.readlink(stat.parent / "exe") == str(BOT):
                found.append(int(stat.parent.name))
    return sorted(found)


def total(pids, field="Pss"):
    return sum(filter(None, (mib(pid, field) for pid in pids)))


class Peak:
    """The highest sum of PSS over clmbot's processes while the block runs."""

    def __init__(self, leaders):
        self.leaders = leaders
        self.highest = 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.ended.is_set():
            self.highest = max(self.highest, total(in_sessions(self.leaders())))
            self.ended.wait(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def sampled(takes, seconds):
    """Medians of what each function gives, over some time: two of the agent's polls fall into it."""
    end, rows = time.monotonic() + seconds, []
    while time.monotonic() < end or not rows:
        rows.append([take() for take in takes])
        time.sleep(0.25)
    return [statistics.median(column) for column in zip(*rows)]


@contextlib.contextmanager
def certmonger(work, report):
    """Its pid; None if there is none."""
    if not pathlib.Path("/usr/sbin/certmonger").exists():
        report.missing("certmonger is not installed")
        yield None
        return
    socket, conf, home, pid_file = work / "bus", work / "bus.conf", work / "home", work / "certmonger.pid"
    conf.write_text(DBUS_CONF.format(socket=socket))
    home.mkdir()
    parts = [Process(["dbus-daemon", "--config-file", conf, "--nofork", "--nopidfile"], work / "bus.log")]
    try:
        until(socket.exists, what="the message bus")
        daemon = Process(["/usr/sbin/certmonger", "-s", "-n", "-B", "-p", pid_file], work / "certmonger.log",
                         env={"DBUS_SESSION_BUS_ADDRESS": f"unix:path={socket}", "HOME": str(home),
                              "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        parts.append(daemon)
        until(lambda: pid_file.exists() or not daemon.is_running(), what="certmonger's pid file")
        assert daemon.is_running(), daemon.text()
        yield daemon.pid
    finally:
        for part in reversed(parts):
            part.stop()


def runs(pid, word):
    """Is it `clmbot word`?"""
    with contextlib.suppress(OSError):
        return word in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2]
    return False


def wait_for_rest(agent, leaders, end_host=None):
    """Until jobs, scan and host half have ended by themselves, seen five times in a row.

    end_host() is called once nobody needs the host half: its 20 s of idleness are not waited for."""
    quiet = 0

    def is_at_rest():
        nonlocal quiet
        time.sleep(0.2)
        pids = in_sessions(leaders())
        jobs = any(runs(pid, b"_job") for pid in pids)
        host = any(runs(pid, b"host") for pid in pids)
        quiet = 0 if jobs or (host and not end_host) else quiet + 1
        if quiet > 5 and host:
            end_host()
            quiet = 0
        return quiet > 5

    until(is_at_rest, 90, "jobs and host half to end")
    assert agent.process.is_running(), agent.process.text()


def as_units(work, peer, report):
    """As systemd runs it: the network half is all that stays."""
    place = work / "units"
    with Website(work / "site") as site, \
            subject.fleet(place, site, None, None, agent_class=subject.UnitAgent) as (agent, plane, cert):
        with Peak(agent.leaders) as peak:
            subject.order(plane, cert, site)
        wait_for_rest(agent, agent.leaders, (lambda: agent.host.stop()) if report.quick else None)
        pids = in_sessions(agent.leaders())
        takes = [lambda: total(pids), lambda: total(pids, "Rss"), lambda: total(pids, "Private_Dirty")]
        if peer:
            takes += [lambda: mib(peer), lambda: mib(peer, "Rss"), lambda: mib(peer, "Private_Dirty")]
        took = sampled(takes, QUICK_S if report.quick else SAMPLE_S) + ([] if peer else [None] * 3)
        each = ", ".join(f"{pathlib.Path(f'/proc/{pid}/comm').read_text().strip()} {mib(pid):.2f}" for pid in pids)
        report.note(f"network half: {each} MiB")
    report.figure("memory-at-rest", "certmonger", took[0], took[3], "MiB", below=took[3])
    report.figure("memory-at-rest", "limit (design.md 11)", took[0], LIMIT_MIB, "MiB", below=LIMIT_MIB)
    report.figure("memory-at-rest-rss", "certmonger", took[1], took[4], "MiB", below=took[4])
    report.figure("memory-at-rest-private-dirty", "certmonger", took[2], took[5], "MiB", below=took[5])
    report.figure("memory-peak-both-halves", "certmonger at rest", peak.highest, took[3], "MiB")


def with_supervisor(work, peer, report):
    """Without systemd a third process stays, which starts the halves."""
    place = work / "spawn"
    with Website(work / "spawn-site") as site, subject.fleet(place, site, None, None) as (agent, plane, cert):
        subject.order(plane, cert, site)
        leader = agent.process.pid
        wait_for_rest(agent, lambda: [leader])
        took = sampled([lambda: total(in_sessions([leader])), lambda: mib(leader), lambda: mib(peer) if peer else 0],
                       SAMPLE_S)
    report.note(f"with --spawn-host: the supervisor has {took[1]:.2f} of {took[0]:.2f} MiB")
    report.figure("memory-at-rest-spawn-host", "certmonger", took[0], took[2] or None, "MiB")


def run(work, runs, report):
    del runs
    reason = subject.why_not()
    if reason:
        report.missing(reason)
        return
    with certmonger(work, report) as peer:
        with report.caught():
            as_units(work, peer, report)
        if not report.quick:
            with report.caught():
                with_supervisor(work, peer, report)
