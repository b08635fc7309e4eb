# SPDX-License-Identifier: Apache-2.0
"""The life of one machine: powered on, put to work, cut off at a random moment, and judged; again and again."""
import collections
import contextlib
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import time

from harness.base import served, soon

import clock
import look
from house import House
from servers import SERVERS

OVER = ("succeeded", "failed", "rolled_back", "rejected", "canceled", "skipped", "expired", "denied")
RECOVERY_MOST_S = 5.0  # it waits for nothing; how long it takes is a figure, of which the goal is 1 s
JOB_MOST_S = 60
SHUTDOWN_MOST_S = 15
ORDERLY = 0.15       # of the ends of a boot; the others are cut
DEAF = 0.1           # of the boots: reloads do nothing, so a new certificate can never be proved
QUIET_AFTER = 2      # boots in which a job was broken off; then it is let run to its end
QUIET_EVERY = 4      # boots; the others end at a random moment
EVERY_RECOVERY = 5   # of those with a journal: cut off again inside recovery
RESTARTS = (("clmbot-host.service",), ("clmbot.service",), ("clmbot-host.socket", "clmbot.service"),
            ("clmbot-host.service", "clmbot-host.socket", "clmbot.service"))
DEADLINE_S = 2       # servers.POLICY: so long an old certificate is waited for
DEAF_DROP_IN = "[Service]\nExecReload=\nExecReload=/bin/true\n"


def patience():
    """1 on a quiet host; where each processor has n programs waiting for it, everything may take n times as long."""
    return max(1.0, os.getloadavg()[0] / os.cpu_count())


class Violation(Exception):
    """The product did what it must never do."""


class Job:
    """An order, from the control plane's point of view."""

    def __init__(self, job_id, server, before):
        self.id, self.server, self.before = job_id, server, before
        self.boots = 0        # in which it was broken off
        self.tries = 0        # how often its like had failed before
        self.committed = ""   # the leaf of a transaction that was seen to be committed


class Life:
    """One machine. figures: what was measured; violations: sentences."""

    def __init__(self, work, name, seed, say, deaf):
        self.random = random.Random(seed)
        self.house = House(work, name)
        self.say, self.deaf_share = say, deaf
        self.figures = collections.Counter()
        self.recoveries, self.delays, self.shutdowns, self.ups = [], [], [], []
        self.undisturbed = []  # from up to the end of all jobs
        self.transactions = [0.6]
        self.jobs = []         # under way
        self.known = {}        # leaf of each server, as far as the control plane must know it
        self.deaf = None       # server whose reloads do nothing in this boot
        self.was_deaf = None   # the same of the boot before
        self.seen = {}         # pairs as the last boot found them
        self.disk_off = {}     # pairs while the machine is off
        self.wanted = {}       # server name: hashes that recovery must bring
        self.reported = []     # (job, what the control plane says), over when the power went
        self.journal = False   # one was there when the power went
        self.boots = 0

    # ---- before ----

    def begin(self, build, units):
        self.house.make_disk(build, units)
        self.house.settle()
        for server in SERVERS:
            self.known[server.name] = look.pair(self.house.inside("/"), server).leaf
        for server in SERVERS:  # all at once, undisturbed
            self.order(server)
        self.house.start()
        begun = time.monotonic()
        self.let_end()
        self.undisturbed.append(min(3.0, time.monotonic() - begun))
        self.power_off(orderly=True)

    def order(self, server):
        self.jobs.append(Job(self.house.order(server), server, self.known[server.name]))

    # ---- one boot ----

    def cycle(self):
        """From power off to power off."""
        self.boots += 1
        tired = any(job.boots >= QUIET_AFTER for job in self.jobs)
        quiet = tired or self.boots % QUIET_EVERY == 0
        if not tired:
            self.prepare_work(with_deaf=not quiet)
        if self.journal and self.figures["journals"] % EVERY_RECOVERY == 0:
            self.cut_recovery()
        begun = time.monotonic()
        self.house.boot()
        up = time.monotonic()
        self.ups.append(up - begun)
        self.judge_boot()
        if quiet:
            disturbed = self.disturb()
            self.let_end()
            if not disturbed:
                self.undisturbed.append(time.monotonic() - up)
            self.judge_rest()
            self.power_off(self.random.random() < ORDERLY)
            return
        self.wait_for_the_moment()
        self.power_off(self.random.random() < ORDERLY)

    def prepare_work(self, with_deaf):
        """Orders for servers without one, while the machine is off: it finds them when it comes up."""
        busy = {job.server.name for job in self.jobs}
        free = [server for server in SERVERS if server.name not in busy]
        self.random.shuffle(free)
        for server in free[:max(0, 2 - len(self.jobs))]:
            self.order(server)
        if with_deaf and self.random.random() < self.deaf_share:
            self.deaf = self.random.choice(self.jobs).server
            self.figures["deaf"] += 1
            self.house.put(self.deaf_path(), DEAF_DROP_IN)

    def deaf_path(self):
        return f"/etc/systemd/system/{self.deaf.unit}.d/deaf.conf"

    def wait_for_the_moment(self):
        """Anywhere between up and the end of all jobs, or a little later; every second time it is sought in a
        transaction, and every fourth at its very beginning, which is over in a millisecond."""
        most = 1.1 * statistics.median(self.undisturbed) + (DEADLINE_S if self.deaf else 0)
        aim = self.random.randrange(4)
        if aim < 2:
            time.sleep(self.random.uniform(0, most))
            return
        journals = self.house.disk / look.STATE.lstrip("/") / "txn"
        with contextlib.suppress(AssertionError):  # there was none: as good a moment as any
            soon(lambda: journals.is_dir() and any(journals.iterdir()), most, "a journal", pause=0.0002)
        usual = statistics.median(self.transactions) + (DEADLINE_S if self.deaf else 0)
        time.sleep(self.random.uniform(0, 0.004 if aim == 2 else 1.1 * usual))

    def disturb(self):
        """What the update of a package does, and worse, in the middle of the work. False: nothing this time."""
        kind = self.random.randrange(4)
        if kind > 1:
            return False
        time.sleep(self.random.uniform(0, 0.9 * statistics.median(self.undisturbed)))
        if kind == 0:
            self.house.run("systemctl", "restart", *self.random.choice(RESTARTS))
            self.figures["restarts"] += 1
        else:
            # systemd takes 5 s to start the network half again
            unit = self.random.choice(("clmbot-host.service",) * 3 + ("clmbot.service",))
            self.house.run("systemctl", "kill", "-s", "KILL", unit, check=False)
            self.figures["halves_killed"] += 1
        return True

    def power_off(self, orderly):
        house = self.house
        if orderly:
            begun = time.monotonic()
            house.shut_down()
            self.shutdowns.append(time.monotonic() - begun)
            if self.shutdowns[-1] > SHUTDOWN_MOST_S * patience():
                raise Violation(f"an orderly shutdown took {self.shutdowns[-1]:.1f} s")
        else:
            house.cut()
        self.figures["orderly" if orderly else "cut"] += 1
        self.post_mortem()

    def cut_recovery(self):
        """Boots until recovery runs, and cuts the power in the middle of it."""
        house = self.house
        usual = statistics.median(self.recoveries) if self.recoveries else 0.03
        house.boot(wait=False)
        group = house.cgroup / "system.slice" / clock.RECOVER
        try:
            soon(lambda: (group / "cgroup.procs").exists() and (group / "cgroup.procs").read_text().strip(), 5,
                 "recovery to begin", pause=0.0005)
        except (AssertionError, OSError):
            pass  # it was over before it could be seen; the boot is cut all the same
        time.sleep(self.random.uniform(0, usual))
        house.cut()
        self.figures["recoveries_cut"] += 1
        self.post_mortem(again=True)
        if self.journal:
            self.figures["recoveries_cut_with_a_journal_left"] += 1

    # ---- the disk, while the machine is off ----

    def post_mortem(self, again=False):
        """Notes what lies there, and from the journal's own words what must become of it."""
        house = self.house
        self.disk_off = look.pairs(house.disk)
        found = look.journals(house.disk, self.disk_off)
        if not again:
            self.wanted = {name: pair.hashes for name, pair in self.disk_off.items()}
            self.figures["journals"] += len(found)
            self.figures["broken_before_recovery"] += any(pair.wrong for pair in self.disk_off.values())
        for journal in found:
            if not again:
                self.wanted[journal.server.name] = journal.expected
                self.figures["at_" + journal.state] += 1
                self.note_commit(journal)
        self.journal = bool(found)
        if len(found) > 1:
            raise Violation(f"{len(found)} journals at once: {[j.txid for j in found]}")
        if again:
            return
        self.was_deaf = self.deaf
        if self.deaf is not None:
            (house.disk / self.deaf_path().lstrip("/")).unlink()
            self.deaf = None
        shown = [(job, house.plane.job(job.id)) for job in self.jobs]
        self.reported = [(job, one) for job, one in shown if one["state"] in OVER]

    def note_commit(self, journal):
        if journal.state in look.FORWARD:
            for job in self.jobs:
                if job.server is journal.server:
                    job.committed = self.disk_off[journal.server.name].leaf

    # ---- the boot, as soon as everything has been started ----

    def judge_boot(self):
        house = self.house
        units = clock.of_boot(house)
        seen = look.pairs(house.inside("/run/look"))
        recover = units[clock.RECOVER]
        if self.journal != clock.recovery_ran(units):
            raise Violation("there was a journal, and recovery did not run" if self.journal else
                            "recovery ran and there was nothing to recover")
        if self.journal:
            self.judge_recovery(units, recover)
        elif self.boots % 7 == 1:
            # A figure, and no violation: no process of ours ran, so what is left is the order of systemd's queue.
            self.delays.append(clock.delay_s(house))
        left = list(house.inside("/run/look" + look.STATE + "/txn").iterdir())
        if left:
            raise Violation(f"a journal was left when the servers started: {[p.name for p in left]}")
        for server in SERVERS:
            self.judge_server(server, seen[server.name], units[server.unit])
        self.judge_reported(seen)
        self.seen = seen

    def judge_recovery(self, units, recover):
        if recover["Result"] != "success":
            raise Violation(f"recovery ended with {recover['Result']}")
        self.recoveries.append(clock.recovery_s(units))
        if self.recoveries[-1] > RECOVERY_MOST_S * patience():
            raise Violation(f"recovery took {self.recoveries[-1]:.2f} s")
        for server in SERVERS:
            started = units[server.unit]["InactiveExit"]
            if 0 < started <= recover["InactiveEnter"]:
                raise Violation(f"{server.unit} started {recover['InactiveEnter'] - started:.3f} s before recovery ended")

    def judge_server(self, server, seen, unit):
        if seen.wrong:
            raise Violation(f"{server.name}: {seen.wrong}")
        if seen.strange:
            raise Violation(f"{server.name}: left beside its files: {seen.strange}")
        if seen.hashes != self.wanted[server.name]:
            raise Violation(f"{server.name}: not the files that the journal says must be there after recovery")
        if unit["ActiveState"] != "active":
            raise Violation(f"{server.unit} is {unit['ActiveState']} ({unit['Result']}) after the boot")
        leaf = served(server.port, server.host)
        if leaf != seen.leaf and leaf != look.pair(self.house.inside("/"), server).leaf:
            raise Violation(f"{server.name} serves {leaf} and has {seen.leaf}")

    def judge_reported(self, seen):
        """What the control plane was told before the power went is what lies there."""
        for job, shown in self.reported:
            self.end(job, shown, seen[job.server.name].leaf)
        for job in self.jobs:
            job.boots += 1
        for server in SERVERS:
            leaf, was = seen[server.name].leaf, self.known[server.name]
            if leaf != was and all(job.server is not server for job in self.jobs):
                raise Violation(f"{server.name}: no job was under way, and {was} became {leaf}")
            if server is self.was_deaf and leaf != self.seen[server.name].leaf:
                raise Violation(f"{server.name} could not be reloaded, and {leaf} was kept without a proof")

    # ---- ends ----

    def end(self, job, shown, leaf):
        """A job is over: the files are what it says."""
        self.jobs.remove(job)
        self.figures["jobs"] += 1
        self.figures["job_" + shown["state"]] += 1
        effects = (shown.get("result") or {}).get("effects") or {}
        if shown["state"] == "succeeded":
            self.note_time(shown["result"]["steps"])
            new = (effects.get("after") or {}).get("sha256")
            if leaf != new:
                raise Violation(f"{job.server.name}: {job.id} was reported as succeeded with {new}, there is {leaf}")
        elif leaf != job.before:
            raise Violation(f"{job.server.name}: {job.id} was reported as {shown['state']}, and {leaf} is new")
        if job.committed and shown["state"] != "succeeded":
            raise Violation(f"{job.server.name}: {job.id} had been committed and was reported as {shown['state']}")
        self.known[job.server.name] = leaf

    def note_time(self, steps):
        """How long the transaction of a job that succeeded was there to be broken off."""
        names = [step["name"] for step in steps]
        if "prepare" in names:
            self.transactions.append(sum(step["ms"] for step in steps[names.index("prepare"):]) / 1000)

    def let_end(self):
        """Waits for the jobs; one that failed can be repeated."""
        deadline = time.monotonic() + JOB_MOST_S * patience()
        while self.jobs:
            for job in list(self.jobs):
                shown = self.house.plane.job(job.id)
                if shown["state"] not in OVER:
                    continue
                self.end(job, shown, look.pair(self.house.inside("/"), job.server).leaf)
                if shown["state"] != "succeeded":
                    self.repeat(job, shown)
            if time.monotonic() > deadline:
                states = {job.id: self.house.plane.job(job.id)["state"] for job in self.jobs}
                raise Violation(f"jobs did not end within {JOB_MOST_S} s: {states}")
            time.sleep(0.05)

    def repeat(self, job, shown):
        """Undisturbed now, it must do; a second chance for one that was restarted in the middle."""
        why = f"{job.server.name}: {shown['state']}: {(shown.get('error') or {}).get('message')}"
        self.say(why)
        if job.tries == 2:
            raise Violation(f"repeated, and not done: {why}")
        self.order(job.server)
        self.jobs[-1].tries = job.tries + 1
        self.figures["repeated"] += 1

    def judge_rest(self):
        """Nothing is under way: nothing may be left lying about."""
        house = self.house
        root = house.inside("/")
        soon(lambda: not look.litter(root), 5, f"the state directory to be tidied: {look.litter(root)}")
        for server in SERVERS:
            pair = look.pair(root, server)
            leaf = served(server.port, server.host)
            if pair.wrong or pair.strange:
                raise Violation(f"{server.name}: {pair.wrong or pair.strange}")
            if not leaf == pair.leaf == self.known[server.name]:
                raise Violation(f"{server.name} serves {leaf}, has {pair.leaf}, and {self.known[server.name]} is known")
        self.figures["quiet"] += 1

    # ---- afterwards ----

    def keep(self, place):
        """What a person wants to see of a machine that went wrong."""
        house = self.house
        place = pathlib.Path(place)
        done = subprocess.run(["journalctl", "--no-pager", "-o", "short-precise", "-D", house.disk / "var/log/journal"],
                              capture_output=True, text=True, check=False)
        (place / "journal.txt").write_text(done.stdout)
        if house.pid:
            for unit in (clock.RECOVER, *(server.unit for server in SERVERS)):
                done = house.run("systemctl", "status", "--no-pager", unit, check=False)
                with (place / "units.txt").open("a") as out:
                    out.write(done.stdout + "\n")
        for part in ("etc/nginx/tls", "etc/apache2/tls", "etc/haproxy/tls", "var/lib/clmbot"):
            shutil.copytree(house.disk / part, place / "disk" / part, dirs_exist_ok=True)
        shutil.copytree(house.outside, place / "outside", dirs_exist_ok=True)
        shutil.copy(house.log, place / "console.log")
        subprocess.run(["chmod", "-R", "go-rwx", place], check=False)
