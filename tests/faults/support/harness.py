# SPDX-License-Identifier: Apache-2.0
"""What every harness of tests/faults does alike: arguments, work in several processes, the last line, the exit status."""
import argparse
import concurrent.futures
import datetime
import json
import multiprocessing
import os
import pathlib
import random
import sys
import time


def arguments(name, description):
    """--build --full --seed --jobs, and --only SCENARIO, --point TEXT for what a violation prints."""
    parser = argparse.ArgumentParser(prog=f"tests/faults/{name}/run", description=description)
    parser.add_argument("--build", required=True, type=pathlib.Path, metavar="DIR", help="a finished Debug build")
    parser.add_argument("--full", action="store_true", help="everything, not a sample")
    parser.add_argument("--seed", type=int, default=datetime.date.today().toordinal(), metavar="N",
                        help="of the sample (default: number of the day)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes at once")
    parser.add_argument("--only", metavar="SCENARIO", help="this one alone, and no seeded bugs")
    parser.add_argument("--bug", metavar="NAME", help="this seeded bug alone: tests/faults/bugs/NAME.patch")
    parser.add_argument("--point", metavar="POINT", help="one point of it, as a violation names it")
    given = parser.parse_args()
    given.build = given.build.resolve()
    if given.point and not given.only:
        parser.error("--point needs --only")
    if not (given.build / "CMakeCache.txt").exists():
        parser.error(f"'{given.build}' is no build")
    return given


class Result:
    """Figures of a harness, and how it ends."""

    def __init__(self, name, given):
        self.name, self.given = name, given
        self.figures = {"points": 0, "violations": 0, "bugs_seeded": 0, "bugs_caught": 0}
        self.skipped = []
        self.began = time.monotonic()
        self.note(f"seed {given.seed}, {'full' if given.full else 'sample'}")

    def note(self, text):
        print(f"{self.name} {time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)

    def add(self, figure, n=1):
        self.figures[figure] = self.figures.get(figure, 0) + n

    def skip(self, sentence):
        self.note(f"skipped: {sentence}")
        self.skipped.append(sentence)

    def spread(self, work, tasks):
        """The same as spread() below, and tells how far it is."""
        told = 0
        for n, found in enumerate(spread(work, tasks, self.given.jobs), 1):
            yield found
            if n * 10 // len(tasks) > told:
                told = n * 10 // len(tasks)
                self.note(f"{told * 10} %")

    def violation(self, scenario, point, what):
        """Also says how to see it again."""
        self.add("violations")
        self.note(f"VIOLATION {scenario}, {point}: {what}\n    tests/faults/{self.name}/run --build {self.given.build} "
                  f"--only {scenario} --point {point}")

    def bug(self, name, caught, by):
        self.add("bugs_seeded")
        self.add("bugs_caught", int(caught))
        self.note(f"seeded bug {name}: {'caught: ' + by if caught else 'NOT CAUGHT'}")

    def end(self):
        """Prints the last line; returns the exit status."""
        figures = self.figures
        print(json.dumps({"harness": self.name, **figures, "skipped": self.skipped,
                          "seconds": round(time.monotonic() - self.began, 1)}))
        return 0 if figures["violations"] == 0 and figures["bugs_caught"] == figures["bugs_seeded"] else 1


def sample(items, n, seed):
    """n of them (all, if there are fewer), spread evenly, in order; others with another seed."""
    items = list(items)
    if n >= len(items):
        return items
    chance = random.Random(seed)
    return [items[int((i + chance.random()) * len(items) / n)] for i in range(n)]


def spread(work, tasks, jobs):
    """work(task) for each task in jobs processes; yields (task, result) as they come. Who stops asking stops the work."""
    stop = multiprocessing.Event()
    with concurrent.futures.ProcessPoolExecutor(max_workers=jobs, initializer=Stoppable.begin, initargs=(stop,)) as pool:
        pending = {pool.submit(Stoppable(work), task): task for task in tasks}
        try:
            for done in concurrent.futures.as_completed(pending):
                yield pending[done], done.result()
        finally:
            stop.set()


class Stoppable:
    """Work that is not begun any more once somebody said stop. (Cancelling futures is known to hang.)"""

    stop = None

    def __init__(self, work):
        self.work = work

    @classmethod
    def begin(cls, stop):
        cls.stop = stop

    def __call__(self, task):
        return None if self.stop.is_set() else self.work(task)
