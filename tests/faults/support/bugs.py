# SPDX-License-Identifier: Apache-2.0
"""Seeded bugs: a copy of the tree with one bug in it, built, so that a harness can be seen to catch it.

    with bugs.seeded("commit-before-probe", ["faults_subject"], build) as buggy:
        ...  # buggy/tests/faults_subject has the bug

A bug is tests/faults/bugs/NAME.patch: lines that say what it is and who must catch it, then a unified diff. There is one
copy and one build of it below BUILD, in which only what is asked for is built, again only what changed. One at a time: who
comes second waits.
"""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[3]
BUGS = TREE / "tests/faults/bugs"
NOT_COPIED = {".git", "build", "__pycache__", ".pytest_cache"}
KEPT_OPTIONS = ("CMAKE_C_COMPILER", "CMAKE_C_FLAGS", "CMAKE_BUILD_TYPE", "CLM_CONTROLPLANE")


class BugError(Exception):
    """A bug that cannot be seeded: that is a failure of the harness, never a skip."""


def names(harness):
    """The bugs that this harness must catch: "Caught by: NAME[, NAME]" in the head of the patch."""
    return sorted(path.stem for path in BUGS.glob("*.patch") if harness in caught_by(path.stem))


def head(name):
    """What the bug is, in words."""
    return (BUGS / f"{name}.patch").read_text(encoding="utf-8").split("\n--- ", 1)[0]


def listed(name, what):
    """A list in the head of the patch: "Caught by: kill, errors"."""
    line = re.search(rf"^{what}:(.*)$", head(name), re.MULTILINE)
    return [word.strip() for word in line.group(1).split(",")] if line else []


def caught_by(name):
    return listed(name, "Caught by")


def try_all(result, given, targets, hunt):
    """Seeds the bugs that this harness must catch (a sample: one of them), and lets hunt(build, scenarios) look for a violation.

    A patch that says "Shows in: SCENARIO, ..." is hunted in these alone; without it the list is empty, which means all.
    """
    if not given.full and not given.bug and not is_warm(given.build):
        result.skip("seeded bugs need a second build, which only --full makes")
        return
    chosen = names(result.name)
    if given.bug:
        chosen = [given.bug]
    elif not given.full:
        chosen = [chosen[given.seed % len(chosen)]]
    for name in chosen:
        try:
            with seeded(name, targets, given.build) as build:
                result.note(f"seeded bug {name}: built")
                by = hunt(build, listed(name, "Shows in"))
        except BugError as why:
            result.note(str(why))
            by = ""
        result.bug(name, bool(by), by)


@contextlib.contextmanager
def seeded(name, targets, build):
    """Yields the directory of a build of the tree with that bug; in it the targets are up to date."""
    place = pathlib.Path(build).resolve() / "seeded"
    place.mkdir(exist_ok=True)
    with open(place / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copy = place / "tree"
        mirror(TREE, copy)
        try:
            apply(name, copy)
            make(copy, place / "build", pathlib.Path(build), targets)
            yield place / "build"
        finally:
            mirror(TREE, copy)


def is_warm(build):
    """Was there a build already, so that one more bug costs seconds?"""
    return (pathlib.Path(build) / "seeded/build/.ninja_deps").exists()


def mirror(source, copy):
    """Makes copy like source. Files that differ get the time of now: a build must see that they went back, too."""
    copy.mkdir(parents=True, exist_ok=True)
    wanted = {entry.name: entry for entry in os.scandir(source)
              if entry.name not in NOT_COPIED and not entry.is_symlink()}
    for entry in list(os.scandir(copy)):
        if entry.name not in wanted:
            path = copy / entry.name
            shutil.rmtree(path) if entry.is_dir() else path.unlink()
    for name, entry in wanted.items():
        if entry.is_dir():
            mirror(source / name, copy / name)
        else:
            mirror_file(source / name, copy / name)


def mirror_file(source, copy):
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        return  # an editor at work
    if not copy.exists() or copy.read_bytes() != data:
        copy.write_bytes(data)
        shutil.copymode(source, copy)


def apply(name, copy):
    done = subprocess.run(["patch", "-p1", "--forward", "--batch", "--no-backup-if-mismatch", "-r", "-",
                           "-i", str(BUGS / f"{name}.patch")], cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BugError(f"bugs/{name}.patch no longer applies: {done.stdout.strip()}")


def options_of(build):
    text = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    found = dict(re.findall(r"^(\w+):\w+=(.*)$", text, re.MULTILINE))
    return {key: found[key] for key in KEPT_OPTIONS if key in found}


def make(tree, place, build, targets, **changed):
    """Configures place like build, but for what is changed, and builds the targets."""
    options = {**options_of(build), "CLM_WERROR": "OFF", **changed}
    commands = [["cmake", "-S", str(tree), "-B", str(place), "-G", "Ninja",
                 *(f"-D{key}={value}" for key, value in options.items())],
                ["ninja", "-C", str(place), f"-j{os.cpu_count()}", *targets]]
    for command in commands:
        done = subprocess.run(["nice", *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BugError(f"'{' '.join(command)}' failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return place


def sanitized(targets, build):
    """A build of the tree as it is, with AddressSanitizer; its directory."""
    build = pathlib.Path(build).resolve()
    flags = options_of(build).get("CMAKE_C_FLAGS", "") + " -fsanitize=address -fno-omit-frame-pointer -O1"
    return make(TREE, build / "asan", build, targets, CMAKE_C_FLAGS=flags.strip())
