# SPDX-License-Identifier: Apache-2.0
"""What is run to be counted. Each stage is a name and a command; a stage that fails fails the measurement."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]


def ctest(label):
    return lambda build, tmp: ["ctest", "--test-dir", build, "-j", "2", "-L", f"^{label}$", "--output-on-failure",
                               "--no-tests=error"]


def pytest(marks):
    return lambda build, tmp: ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=short",
                               f"--basetemp={tmp}/t", "tests/e2e", "-m", marks]


STAGES = {
    "unit": ctest("unit"),
    "crash": ctest("crash"),
    "keystores": lambda build, tmp: [str(TOP / "tests/keystores/run"), build],
    "alloc": lambda build, tmp: [str(TOP / "tests/faults/alloc/run"), "--build", build, "--seed", "1"],
    "api": pytest("api"),
    "e2e": pytest("not api"),
}
DEFAULT = ["unit", "crash", "keystores", "alloc", "api"]
EXIT_SKIPPED = 77


def make(build):
    """The build of the preset; nothing to do for one that is finished."""
    commands = [["cmake", "--build", str(build), "-j", "2"], ["ninja", "-C", str(build), "-t", "cleandead"]]
    if not (build / "CMakeCache.txt").exists():
        commands.insert(0, ["cmake", "--preset", "coverage", "-B", str(build)])
    for command in commands:
        done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(done.stdout[-4000:] + f"\ntests/coverage/run: {' '.join(command)} failed")


def share(build):
    """Programs that give up their rights write their counts, too: into files that are there and open to them."""
    for note in build.rglob("*.gcno"):
        data = note.with_suffix(".gcda")
        data.touch()
        data.chmod(0o666)


def run(name, build):
    """One stage; returns a sentence about what went wrong or was skipped, or None."""
    begun = time.monotonic()
    share(build)
    with tempfile.TemporaryDirectory(prefix="clmbot-coverage.") as tmp:
        done = subprocess.run(STAGES[name](str(build), tmp), cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env={**os.environ, "CLM_BUILD": str(build), "PYTHONDONTWRITEBYTECODE": "1"})
    print(f"{name:10} {'ok' if done.returncode == 0 else 'FAIL':4} {time.monotonic() - begun:5.0f} s", file=sys.stderr)
    if done.returncode == EXIT_SKIPPED:
        return f"{name} was not run: {done.stdout.strip().splitlines()[-1]}"
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
        return f"{name} failed"
    return None
