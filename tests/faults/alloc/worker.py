# SPDX-License-Identifier: Apache-2.0
"""One process of the harness: its own world, and its share of the commands."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

from commands import BOT_CASES, BOT_SERVICES, PLANE_CASES, PLANE_SERVICES, Case
from control import Control
from judge import OTHER_ANSWER, Baseline, is_inside_nss, is_inside_tls, judge
from points import choose
from services import SERVICES, Service, judge_service, serve
from symbols import place, places
from world import World, commands_of

FULL, SAMPLE = 60, 20  # points of one command line; one of every way to get to an allocation comes first


def forgotten():
    """Commands of the option tables that nobody tries."""
    known = {case.command for case in BOT_CASES} | BOT_SERVICES
    missing = [name for name in commands_of("agent/main/app.c", "commands[] = {") if name not in known]
    known = {case.command for case in PLANE_CASES} | PLANE_SERVICES
    return missing + [f"controlplane {name}" for name in commands_of("controlplane/main.c", "cmds[] = {")
                      if name not in known]


def share(cases, n, of):
    """Live ones first: afterwards the agent is stopped."""
    mine = [case for i, case in enumerate(cases) if i % of == n]
    return sorted(mine, key=lambda case: not case.live)


class Watch:
    """Notices files that are not as they were."""

    def __init__(self, world):
        self.world, self.before, self.ignored, self.changed = world, world.files(), set(), set()

    def changes(self):
        now = self.world.files()
        differ = {path for path in now.keys() | self.before.keys() if now.get(path) != self.before.get(path)}
        self.before, self.changed = now, differ
        return [f"changed '{path}'" for path in sorted(differ - self.ignored)]


class Worker:
    def __init__(self, args, build, control):
        self.args, self.build, self.control = args, build, control
        self.world = World()
        self.figures = {"points": 0, "violations": 0, "commands": 0, "allocations": 0, "sticky": 0,
                        "library_crashes": 0}
        self.seen = set()

    def prepare(self, case):
        if not case.live and not case.plane:
            self.world.go_quiet()
        if case.after and case.command == "rollback" and not (self.world.root / "saved-tls").exists():
            self.world.save()

    def once(self, case, env=None, **arming):
        if case.before:
            case.before(self.world)
        return self.control.run(case.line(self.world), seconds=case.seconds, env=env, **arming)

    def baseline(self, case):
        # a third one as if setlocale() had failed
        runs = [self.once(case, traced=True), self.once(case), self.once(case, env={"LC_ALL": "C"})]
        if runs[0].hung or runs[0].crash or runs[0].status < 0 or plainly_wrong(case, runs[0]):
            raise AssertionError(f"{case.name}: undisturbed it says {runs[0].status}: {runs[0].out}{runs[0].err}")
        return Baseline(runs), runs[0].trace

    def watch(self, case):
        """The files of this world, but for those that a good run changes as well."""
        watch = Watch(self.world)
        self.once(case)
        watch.changes()
        watch.ignored = watch.changed
        return watch

    def wanted(self, case, trace):
        if self.args.point:
            return [(int(self.args.point.rstrip("+")), self.args.point.endswith("+"))]
        limit = min(case.points or FULL, FULL)
        if not self.args.full:
            limit = min(SAMPLE, 4 if case.points else SAMPLE)
        return choose(trace, limit, random.Random(f"{self.args.seed} {case.name}"))

    def try_case(self, case):
        self.prepare(case)
        base, trace = self.baseline(case)
        self.figures["commands"] += 1
        self.figures["allocations"] += len(trace)
        watch = None if case.plane or case.after else self.watch(case)
        for number, is_sticky in self.wanted(case, trace):
            run = self.once(case, fail_at=number, sticky=is_sticky)
            self.figures["points"] += run.failed > 0
            self.figures["sticky"] += run.failed > 0 and is_sticky
            wrong = self.judge(base, run)
            if wrong:  # perhaps what it is asked about has moved on, before it or after it
                base.add(self.once(case))
                wrong = self.judge(base, run)
            if any(OTHER_ANSWER in why for why in wrong):
                run = self.once(case, fail_at=number, sticky=is_sticky)
                wrong = self.judge(base, run)
            wrong = [] if self.is_library_crash(run) else wrong
            if case.after and not run.hung:
                why = case.after(self.world, run)
                wrong += [why] if why else []
            if watch is not None:
                wrong += watch.changes()
            for why in wrong:
                self.complain(case, number, is_sticky, why, run)

    def judge(self, base, run):
        return judge(base, run, self.world.secrets, places(run.stack, self.build))

    def is_library_crash(self, run):
        """Counts it, too."""
        stack = places(run.crash_stack, self.build) if run.crash else []
        is_theirs = is_inside_tls(stack) or is_inside_nss(stack)
        self.figures["library_crashes"] += is_theirs
        return is_theirs

    def complain(self, case, number, is_sticky, why, run):
        self.figures["violations"] += 1
        stack = places(run.crash_stack if "signal" in why else run.stack, self.build)
        holder = why.rpartition(" at ")[2] if "asked for at" in why else None
        why = why.replace(holder, place(holder, self.build)) if holder else why
        point = f"{number}{'+' if is_sticky else ''}"
        once = (why.split(":")[0], tuple(stack[:5]))
        if once in self.seen:  # the same thing again, perhaps of another command
            return
        self.seen.add(once)
        print(f"alloc: '{case.name}' allocation {point}: {why}\n    failed in: {' < '.join(stack[:9])}\n"
              f"    again: tests/faults/alloc/run --build {self.build} --jobs 1 "
              f"--only '{case.name}' --point {point}", file=sys.stderr, flush=True)


    def try_service(self, service):
        """The same for a program that stays."""
        self.world.go_quiet()
        runs = [serve(self.control, service, self.world, traced=traced)[0] for traced in (True, False)]
        if any(run.hung or run.crash or run.status != 0 for run in runs):
            raise AssertionError(f"undisturbed it ends with {runs[0].status}: {runs[0].err[-400:]}")
        base = Baseline(runs)
        case = Case(service.name, points=service.points)
        self.figures["commands"] += 1
        self.figures["allocations"] += len(runs[0].trace)
        for number, is_sticky in self.wanted(case, runs[0].trace):
            run, was_ready = serve(self.control, service, self.world, fail_at=number, sticky=is_sticky)
            self.figures["points"] += run.failed > 0
            self.figures["sticky"] += run.failed > 0 and is_sticky
            wrong = [] if self.is_library_crash(run) else judge_service(base, run, was_ready, self.build)
            if any(secret in run.err for secret in self.world.secrets):
                wrong.append("printed a secret")
            for why in wrong:
                self.complain(case, number, is_sticky, why, run)


def plainly_wrong(case, run):
    """An undisturbed run that does not what it is there for proves nothing."""
    expected = {"(mistake)": {64}, "agents disable": {2}, "configs delete": {2}, "configs run": {2},
                "configs add": {2},
                "jobs cancel": {2}, "agents approve": {0, 2}, "_loopback": {2}}
    return run.status not in expected.get(case.command, {0, 1})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--build", "--seed", "--share", "--point"):
        parser.add_argument(name)
    for name in ("--full", "--verbose"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("--only", action="append", default=[])
    return parser.parse_args()


def try_all(worker, cases, is_verbose):
    for case in cases:
        start = time.monotonic()
        try:
            if isinstance(case, Service):
                worker.try_service(case)
            else:
                worker.try_case(case)
        except AssertionError as why:
            worker.figures["violations"] += 1
            print(f"alloc: {case.name}: {why}", file=sys.stderr)
        if is_verbose:
            print(f"alloc: {time.monotonic() - start:6.1f} s  {case.name}", file=sys.stderr, flush=True)


def main():
    args = arguments()
    build = pathlib.Path(args.build)
    n, of = map(int, args.share.split("/"))
    missing = forgotten() if n == 0 else []
    for name in missing:
        print(f"alloc: command '{name}' is not tried: add it to tests/faults/alloc/commands.py", file=sys.stderr)
    cases = [case for case in BOT_CASES + PLANE_CASES if not args.only or case.name.startswith(tuple(args.only))]
    cases = share(cases, n, of) + [one for i, one in enumerate(SERVICES) if i % of == n and
                                   (not args.only or one.name.startswith(tuple(args.only)))]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="clmbot-alloc.") as scratch:
        pathlib.Path(scratch).chmod(0o755)
        worker = Worker(args, build, Control(pathlib.Path(scratch) / "control", build / "faults" / "alloc_fail.so"))
        worker.figures["violations"] += len(missing)
        try:
            if cases:
                worker.world.up()
            try_all(worker, cases, args.verbose)
        finally:
            worker.world.down()
    print(json.dumps(worker.figures))


if __name__ == "__main__":
    main()
