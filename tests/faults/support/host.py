# SPDX-License-Identifier: Apache-2.0
"""One directory in which the subject (tests/faults/subject) is prepared, deployed to, recovered and checked."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

KILLED = 137
NOT_POSSIBLE = 126
SECONDS = 30  # the longest run takes a tenth of one; more is a program that hangs
ENDS = {0: "ok", 1: "failed", 3: "blocked", 4: "human"}


def memory_dir():
    """Where thousands of runs cost no disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


class NoTracer(Exception):
    """This kernel cannot do it, or does not let us."""


class Run:
    """What one run of the subject came to."""

    def __init__(self, argv, seconds=SECONDS):
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
                                  check=False, errors="replace")
            self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired:
            self.status, self.out, self.err = None, "", f"did not end within {seconds} s"

    @property
    def at(self):
        """What the tracer met: "openat /dev/shm/..."; None if it never came to that call."""
        met = re.search(r"^tracer: at \d+ (.*)$", self.err, re.MULTILINE)
        return met.group(1) if met else None

    @property
    def calls(self):
        return int(re.search(r"^tracer: (\d+) calls$", self.err, re.MULTILINE).group(1))

    @property
    def text(self):
        return (self.out + self.err).strip()


def scenarios(build):
    """Name and how it ends undisturbed."""
    run = Run([str(pathlib.Path(build) / "tests/faults_subject"), "--list"])
    return dict(line.split() for line in run.out.splitlines())


class Host:
    """For use in a with-block; the directory goes at its end."""

    def __init__(self, build, certs):
        self.programs = pathlib.Path(build) / "tests"
        self.certs = str(certs)
        self.dir = None
        self.root = None

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="clm-faults.", dir=memory_dir())
        self.root = os.path.join(self.dir, "root")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    def command(self, scenario, action, trace=(), reported=None):
        line = [str(self.programs / "faults_subject"), "--certs", self.certs]
        if reported is not None:
            line += ["--reported", reported]
        line += [scenario, self.root, action]
        if trace:
            line = [str(self.programs / "faults_tracer"), *(str(word) for word in trace), "--", *line]
        return line

    def prepare(self, scenario):
        shutil.rmtree(self.root, ignore_errors=True)
        os.mkdir(self.root, 0o755)
        run = Run(self.command(scenario, "prepare"))
        if run.status != 0:
            raise RuntimeError(f"cannot prepare '{scenario}': {run.text}")

    def act(self, scenario, action, *trace):
        return Run(self.command(scenario, action, trace))

    def check(self, scenario, reported):
        return Run(self.command(scenario, "check", reported=reported))

    def has_journal(self):
        """Is there anything for a recovery to do?"""
        live = os.path.join(self.root, "state/txn")
        return os.path.isdir(live) and bool(os.listdir(live))

    def settle(self, scenario, reported, boot=False):
        """One recovery that nobody disturbs, and the oracle. What is wrong then: "" for nothing."""
        run = self.act(scenario, "boot-recover" if boot else "recover")
        if run.status != 0:
            return f"recovery ended with {run.status}: {run.text}"
        run = self.check(scenario, reported)
        return "" if run.status == 0 else f"reported {reported}, then {run.text}"

    def calls_of(self, scenario, action="deploy"):
        """[(name, what it is about)] of every call of an undisturbed deployment, or of the recovery from what is there."""
        path = os.path.join(self.dir, "list")
        if action == "deploy":
            self.prepare(scenario)
        run = self.act(scenario, action, "list", path)
        if run.status == NOT_POSSIBLE:
            raise NoTracer(run.err.strip())
        with open(path, encoding="utf-8", errors="replace") as lines:
            return [tuple(line.rstrip("\n").split(" ", 2)[1:]) for line in lines]
