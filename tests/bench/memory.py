# SPDX-License-Identifier: Apache-2.0
"""Memory of what stays in memory, beside certmonger's daemon at the same moment on the same host.

PSS shares a library's pages among the processes that map it at that moment, and the control plane of the
test maps some of clmbot's. RSS knows no sharing at all, so it is given, too: no neighbour changes it.
"""
import contextlib
import pathlib
import threading
import time

from harness.base import Process, until

import subject
from website import Website

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


def rest(*pids):
    """Waits until the RSS of none of them has moved for five looks, 0.2 s apart."""
    seen = []

    def is_steady():
        seen.append([mib(pid, "Rss") for pid in pids])
        assert None not in seen[-1], f"a process of {pids} ended"
        last = seen[-5:]
        return len(last) == 5 and all(max(column) - min(column) < 0.05 for column in zip(*last))

    until(lambda: time.sleep(0.2) or is_steady(), 30, "memory to come to rest")


def session_of(leader):
    """pids of the processes in a session."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                found.append(int(stat.parent.name))
    return found


class Peak:
    """The highest sum of PSS over a session while the block runs."""

    def __init__(self, leader):
        self.leader = leader
        self.highest = 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.ended.is_set():
            total = sum(filter(None, (mib(pid) for pid in session_of(self.leader))))
            self.highest = max(self.highest, total)
            self.ended.wait(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


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


def network_half(leader):
    """The process of the session that stays: the one left when the host half has gone."""
    return until(lambda: len(session_of(leader)) == 1 and session_of(leader)[0], 60, "the host half to end")


@contextlib.contextmanager
def clmbot(work, report):
    """(pid at rest, peak in MiB) after one order; (None, None) if it cannot be measured."""
    reason = subject.why_not()
    if reason:
        report.missing(reason)
        yield None, None
        return
    with Website(work / "site") as site, subject.fleet(work, site, None, None) as (agent, plane, cert):
        leader = agent.process.pid
        with Peak(leader) as peak:
            subject.order(plane, cert, site)
        yield network_half(leader), peak.highest


def run(work, runs, report):
    del runs
    with certmonger(work, report) as peer, clmbot(work, report) as (bot, peak):
        rest(*(pid for pid in (bot, peer) if pid))

        def taken(pid, field):
            return mib(pid, field) if pid else None

        report.figure("memory-at-rest", "certmonger", taken(bot, "Pss"), taken(peer, "Pss"), "MiB")
        report.figure("memory-at-rest", "limit (design.md 11)", taken(bot, "Pss"), 8.0, "MiB")
        report.figure("memory-at-rest-rss", "certmonger", taken(bot, "Rss"), taken(peer, "Rss"), "MiB")
        report.figure("memory-both-halves-peak", "certmonger at rest", peak, taken(peer, "Pss"), "MiB")
