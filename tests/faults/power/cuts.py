# SPDX-License-Identifier: Apache-2.0
"""One scenario on one file system: run once with every write noted, then started again from what a power cut leaves."""
import dataclasses
import os
import random
import subprocess
import sys

import blocks
import devices

ENDS = {0: "ok", 1: "failed", 3: "blocked", 4: "human"}
COMPLAINTS = 5


@dataclasses.dataclass
class Found:
    writes: int = 0
    flushes: int = 0
    calls: int = 0
    states: int = 0  # there are
    points: int = 0  # of them looked at
    violations: int = 0
    unmountable: int = 0

    def add(self, other):
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class Bench:
    """A scenario on a file system."""

    def __init__(self, build, scenario, kind, work):
        self.build, self.scenario, self.kind = build, scenario, kind
        self.work = work / f"{scenario}-{kind}"
        self.root, self.image = self.work / "root", self.work / "image"
        self.certs = work / "certs"
        self.work.mkdir()
        self.root.mkdir()
        devices.make(kind, self.image)

    def words(self, action):
        return [self.build / "tests/faults_subject", "--certs", self.certs, self.scenario, self.root, action]

    def record(self, name, before=(), **more):
        """Runs the deployment on a disk that remembers; before: a program that runs it. Returns log and how it ended."""
        work = self.work / name
        work.mkdir()
        with devices.Disk(self.build, self.image, work) as disk:
            devices.mount(disk.loop.path, self.root, self.kind)
            try:
                subprocess.run(self.words("prepare"), check=True, stdout=subprocess.DEVNULL)
                os.sync()
                disk.mark("begin")
                environment = {**os.environ, "FAULTS_ROOT": str(self.root), "FAULTS_MARK": str(disk.where / "mark"), **more}
                done = subprocess.run([*before, *self.words("deploy")], check=False, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, env=environment)
                disk.mark("end")
            finally:
                devices.umount(self.root)
        if done.returncode not in ENDS:
            raise RuntimeError(f"{self.scenario} on {self.kind}: the deployment ended with status {done.returncode}")
        return blocks.Log(work / "log"), ENDS[done.returncode]

    def slowly(self):
        """The same, where all is written before each system call."""
        tracer = [self.build / "tests/faults_tracer", "each", self.build / "tests/faults_flush_all", "--"]
        return self.record("calls", tracer)

    def lying(self):
        """The same, where from the first fsync(2) on none does anything."""
        listed = self.work / "calls.txt"
        tracer = self.build / "tests/faults_tracer"
        self.record("list", [tracer, "list", listed, "--"])
        first = next(line.split()[0] for line in listed.read_text(encoding="utf-8").splitlines()
                     if line.split()[1] == "fsync")
        return self.record("lies", [tracer, "fail-from", first, "0", "--"])


class Machine:
    """Starts from a disk: mounts it, recovers, and asks the oracle."""

    def __init__(self, bench):
        self.bench = bench
        self.scratch = bench.work / "scratch"
        self.scratch.write_bytes(b"")
        os.truncate(self.scratch, os.path.getsize(bench.image))
        self.loop = devices.Loop(self.scratch)
        words = [bench.build / "tests/faults_power", bench.scenario, bench.root, bench.certs,
                 bench.build / "tests/faults_child"]
        self.worker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        self.worker.stdin.close()
        self.worker.wait(60)
        self.worker.stdout.close()
        self.loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, image, log, state, reported):
        """Returns the lines that say what is wrong; None if the file system could not be mounted."""
        image.write(log, state, self.scratch)
        self.loop.forget()
        try:
            devices.mount(self.loop.path, self.bench.root, self.bench.kind)
        except OSError:
            return None
        try:
            self.worker.stdin.write((reported if state.reported else "died") + "\n")
            self.worker.stdin.flush()
            lines = []
            while True:
                line = self.worker.stdout.readline().rstrip("\n")
                if line in ("= old", "= new"):
                    return []
                if line in ("= bad", ""):
                    return lines or ["it ended without a word"]
                lines.append(line)
        finally:
            devices.umount(self.bench.root)


def replay(bench, log, states, reported, quiet=False, enough=None):
    """Starts from each state. enough: ends after so many violations."""
    found = Found()
    image = blocks.Image(bench.image)
    with Machine(bench) as machine:
        for state in states:
            wrong = machine.start(image, log, state, reported)
            found.points += 1
            found.unmountable += wrong is None
            if wrong == []:
                continue
            found.violations += 1
            if not quiet and found.violations <= COMPLAINTS:
                print(f"power: {bench.scenario} on {bench.kind}, disk {state}: "
                      + ("cannot be mounted" if wrong is None else "; ".join(wrong)) +
                      f"\n  again: tests/faults/power/run --scenario {bench.scenario} --fs {bench.kind}",
                      file=sys.stderr, flush=True)
            if enough and found.violations >= enough:
                break
    return found


def sampled(states, part, chance):
    return [state for state in states if part >= 1 or chance.random() < part]


def cut(build, scenario, kind, work, parts, subsets, seed):
    """Everything about one scenario on one file system; parts: of the states that writes leave, of those at system calls."""
    chance = random.Random(f"{seed} {scenario} {kind}")
    bench = Bench(build, scenario, kind, work)
    log, reported = bench.record("run")
    states = list(log.states(subsets, chance))
    found = replay(bench, log, sampled(states, parts[0], chance), reported)
    found.states += len(states)
    found.writes += len(log.writes) - log.at("begin")
    found.flushes += sum(n >= log.at("begin") for n in log.flushes)
    log, reported = bench.slowly()
    states = list(log.states(0, chance))
    found.add(replay(bench, log, sampled(states, parts[1], chance), reported))
    found.states += len(states)
    found.calls += log.calls()
    return found


def lies_are_noticed(build, scenario, kind, work):
    """No fsync(2) works: somewhere the oracle must say so."""
    bench = Bench(build, scenario, kind, work)
    log, reported = bench.lying()
    return replay(bench, log, log.states(4, random.Random(1)), reported, quiet=True, enough=1).violations > 0
