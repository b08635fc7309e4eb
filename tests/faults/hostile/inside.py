# SPDX-License-Identifier: Apache-2.0
"""All attacks on the agent, inside the box: enrolments first, then jobs, then the connection itself."""
import contextlib
import pathlib
import random
import shutil
import threading
import traceback

import agent_attacks
import ca_attacks
import enrol_attacks
import enrolment
import flow_attacks
import job_attacks
import jobs
import poll_attacks
import terminal
from report import Report
from world import PEAK_MAX_KIB, Canary, World

WORK = pathlib.Path("/tmp/w")
NAMES = ("alpha", "beta", "gamma", "delta")  # of worlds; two for a core, since they wait most of the time
SAMPLE = {"enrol": 64, "job": 84, "flow": 36, "ca": 16, "poll": 4, "slow": 2}


class Queue:
    """Work that several threads take from, one piece at a time."""

    def __init__(self, pieces):
        self.pieces = list(pieces)
        self.lock = threading.Lock()

    def __iter__(self):
        while True:
            with self.lock:
                if not self.pieces:
                    return
                piece = self.pieces.pop(0)
            yield piece


def matches(name, given):
    scenario, point = name.split("/", 1)
    return given.only is None or (scenario == given.only and given.point in (None, point))


class Plan:
    """What is tried in this run: everything, a sample, or what was named."""

    def __init__(self, given):
        self.given = given
        self.chance = random.Random(given.seed)
        enrol = self.choose("enrol", enrol_attacks.attacks())
        self.slow = [one for one in enrol if one.slow]
        self.enrol = [one for one in enrol if not one.slow]
        if not given.full and given.only is None:
            slow = [one for one in enrol_attacks.attacks() if one.slow]
            self.slow = self.chance.sample(slow, SAMPLE["slow"])
        work = self.choose("job", job_attacks.attacks()) + self.choose("flow", flow_attacks.attacks()) + \
            self.choose("ca", ca_attacks.attacks())
        self.jobs = jobs.batches([one for one in work if not one.slow or given.full or given.only])
        self.polls = self.choose("poll", poll_attacks.attacks())
        self.renewals = matches("renewal/x", given) and given.point is None and (given.full or given.only == "renewal")
        self.others = given.only in (None, "agent")

    def choose(self, table, attacks):
        attacks = [one for one in attacks if matches(one.name, self.given)]
        n = SAMPLE[table]
        if self.given.full or self.given.only or len(attacks) <= n:
            return attacks
        picked = set(self.chance.sample([id(one) for one in attacks], n))
        return [one for one in attacks if id(one) in picked]


def attack_one_world(name, programs, queues, plan, report):
    world = World(WORK / name, name, programs)
    world.server.start()
    for point in queues["enrol"]:
        enrolment.one((world, point), report)
    if plan.given.only in (None, "enrol"):
        enrolment.twice(world, report)
    if queues["jobs"].pieces or queues["polls"].pieces or plan.renewals:
        attack_running(world, queues, plan, report)
    report.peak("peak_rss_kib", world.peak_kib)
    world.server.stop()
    world.plane.close()


def attack_running(world, queues, plan, report):
    world.plane.traps.clear()
    world.plane.greeting = None
    done = world.enroll()
    assert done.returncode == 0, done.stderr
    world.start()
    try:
        world.until_connected()
        seen = []
        for batch in queues["jobs"]:
            jobs.run(world, batch, report)
        seen = world.finished_jobs()[:3]
        for point in queues["polls"]:
            poll_attacks.run(world, point, report)
        if plan.renewals and world.name.startswith("alpha"):
            poll_attacks.renewals(world, report)
        terminal.check(world, report, seen)
        last_order(world, report)
    finally:
        world.stop()


def last_order(world, report):
    """After everything: a good order is done, installed and served."""
    report.tried("job")
    old = world.server.served()
    job = job_attacks.order(world)
    world.plane.offer([job])
    if not world.plane.wait([job], 60) or job.result["outcome"] != "succeeded" or world.server.served() == old:
        report.wrong("job/the-last-good-order", f"{job.result and job.result['error']} {world.new_log()[-6:]}")


def guarded(report, name, work, *args):
    """An error of the harness itself is a violation, not a silence."""
    try:
        work(*args)
    except Exception:  # noqa: BLE001
        report.wrong(f"harness/{name}", traceback.format_exc())


def copy_programs(build):
    programs = pathlib.Path("/tmp/programs")
    programs.mkdir()
    for path in (build / "bin/clmbot", build / "bin/clmbot-controlplane", build / "tests/hostile_peak"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(path, programs)
    return programs


def main(given):
    programs = copy_programs(given.build)
    WORK.mkdir()
    WORK.chmod(0o755)
    report, plan, canary = Report(), Plan(given), Canary()
    queues = {"enrol": Queue(plan.enrol), "jobs": Queue(plan.jobs), "polls": Queue(plan.polls)}
    threads = [threading.Thread(target=guarded, args=(report, point.name, enrolment.slow, WORK / f"slow-{i}", programs, point, report))
               for i, point in enumerate(plan.slow)]
    threads += [threading.Thread(target=guarded, args=(report, name, attack_one_world, name, programs, queues, plan, report))
                for name in NAMES[:2 * max(1, given.jobs)]]
    if plan.others:
        threads.append(threading.Thread(target=guarded, args=(report, "agent", agent_attacks.run, WORK / "plane", programs, report)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for where in canary.visits:
        report.wrong("network/canary", f"somebody came to {where}")
    if report.figures.get("peak_rss_kib", 0) > PEAK_MAX_KIB:
        report.wrong("memory/peak", f"{report.figures['peak_rss_kib']} KiB, at most {PEAK_MAX_KIB} are allowed")
    report.print()
