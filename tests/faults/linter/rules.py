# SPDX-License-Identifier: Apache-2.0
"""What every run must obey, whatever it does: one function a rule, and the table of them at the end.

These find what killing a process, and even cutting its power on a good file system, does not: ext4 flushes far more than it
was asked for.
"""
import dataclasses
import os
import struct

from calls import METADATA, WRITES, data

MOVES = {"rename", "renameat", "renameat2", "link", "linkat"}
REMOVES = {"unlink", "unlinkat", "rmdir"}
OPENS = {"open", "openat", "openat2", "creat"}
MAKES = {"mkdir", "mkdirat", "symlink", "symlinkat", "mknod", "mknodat"}
SWAPPING, COMMITTED, UNDOING = 2, 5, 6


@dataclasses.dataclass
class Run:
    """What was run, and where."""
    calls: list           # of the first process and its children
    state: str            # directory of the host half
    targets: set          # paths of the files that are replaced
    may_exec: set         # programs
    may_name: set         # absolute paths outside the state directory
    can_exchange: bool    # else a rollback has to write

    def of_parent(self):
        """Without the children: a configuration test does as it likes."""
        first = self.calls[0].pid if self.calls else None
        return (call for call in self.calls if call.pid == first)

    def good(self):
        return (call for call in self.of_parent() if call.result >= 0)


def is_in(path, directory):
    return path == directory or path.startswith(directory + "/")


def is_log(path):
    return os.path.basename(path) == "log" and "/txn/" in path


def state_of(call):
    """Of the record of the log that this call writes; None if it does not."""
    if call.name != "pwrite64" or not is_log(call.file):
        return None
    magic, _, state = struct.unpack_from("<4sIB", data(call.args[1]).ljust(9, b"\0"))
    return state if magic == b"CLJ1" else None


def creates(call):
    return call.name in OPENS and "O_CREAT" in call.args[2 if call.name == "openat" else 1]


def moved(paths, old, new):
    """Marks follow what they are on."""
    return {new + path[len(old):] if is_in(path, old) else path for path in paths}


def swapped(paths, a, b):
    return {b if path == a else a if path == b else path for path in paths}


def is_exchange(call):
    return call.name == "renameat2" and "RENAME_EXCHANGE" in call.args[4]


def flushed_before_moved(run):
    """(a) No file gets a name that counts before its content, owner and mode were flushed."""
    content, metadata = set(), set()
    for call in run.good():
        if call.name in WRITES and call.file:
            content.add(call.file)
        elif call.name in METADATA:
            metadata.add(call.file)
        elif call.name in ("fsync", "fdatasync"):
            content.discard(call.file)
            metadata -= {call.file} if call.name == "fsync" else set()
        elif call.name in MOVES:
            source, target = call.paths
            for path in sorted(content | metadata):
                if is_in(path, source):
                    yield call, f"'{path}' was not flushed"
            change = swapped if is_exchange(call) else moved
            content, metadata = change(content, source, target), change(metadata, source, target)


def changed_directories(call):
    if call.name in MOVES | REMOVES | MAKES or creates(call):
        return {os.path.dirname(path) for path in call.paths}
    return set()


def directories_flushed(run):
    """(b) Every change of a directory is flushed before the log goes on, and before the end."""
    changed, last = {}, None
    for call in run.good():
        last = call
        if state_of(call) is not None:
            for path, by in changed.items():
                yield call, f"'{path}' was changed by {by} and not flushed"
            changed = {}
        if call.name == "fsync":
            changed.pop(call.file, None)
        elif os.path.basename((call.paths or [""])[0]) != "lock":
            changed.update((path, call) for path in changed_directories(call))
        if call.name == "rmdir":
            changed.pop(call.paths[0], None)
    for path, by in changed.items():
        yield last, f"at the end: '{path}' was changed by {by} and not flushed"


def targets_never_opened(run):
    """(c) Files of others are never opened for writing."""
    for call in run.of_parent():
        writing = call.name == "truncate" or (call.name in OPENS and any(
            flag in " ".join(call.args) for flag in ("O_WRONLY", "O_RDWR", "O_TRUNC")))
        for path in call.paths if writing else ():
            if path in run.targets:
                yield call, "opens a file for writing that is not its own"


def no_space_needed(run):
    """(d) From SWAPPING on nothing needs room on the disk: only the log is written."""
    state = None
    for call in run.of_parent():
        state = state_of(call) or state
        if state is None or state < SWAPPING or (state >= UNDOING and not run.can_exchange):
            continue
        allocates = call.name in WRITES - {"ftruncate"} and call.file.startswith("/") and not is_log(call.file)
        if allocates or creates(call) or call.name in MAKES:
            yield call, "needs room after SWAPPING"


def opened_safely(run):
    """(e) Every open has O_CLOEXEC, and O_NOFOLLOW unless the directory is our own."""
    for call in run.of_parent():
        if call.name not in OPENS:
            continue
        flags = " ".join(call.args)
        path = call.paths[0]
        own = path in run.may_name or path == "/" or ("O_DIRECTORY" in flags and is_in(path, run.state))
        if "O_CLOEXEC" not in flags:
            yield call, "without O_CLOEXEC"
        if "O_NOFOLLOW" not in flags and not own:
            yield call, "without O_NOFOLLOW"


def few_absolute_paths(run):
    """(f) Files of others are reached through descriptors, never by a whole path."""
    for call in run.of_parent():
        for path in call.given if call.name != "execve" else ():
            if path.startswith("/") and path != "/" and not is_in(path, run.state) and path not in run.may_name:
                yield call, "an absolute path"


def few_programs(run):
    """(g) No program is run but the server's own test."""
    for call in run.calls:
        if call.name in ("execve", "execveat") and call.paths[0] not in run.may_exec:
            yield call, "not a program of the plan"


def created_private(run):
    """(h) Files are created 0600, directories 0700, and the mode changes after the last byte was written."""
    opened_up = set()
    for call in run.good():
        if creates(call) and call.args[-1] != "0600":
            yield call, "created with another mode than 0600"
        elif call.name in ("mkdir", "mkdirat") and call.args[-1] != "0700":
            yield call, "created with another mode than 0700"
        elif call.name == "fchmod":
            opened_up.add(call.file)
        elif call.name in WRITES and call.file in opened_up and not is_log(call.file):
            yield call, "written to after its mode was set"
        elif call.name in REMOVES:
            opened_up -= set(call.paths)


def records_flushed(run):
    """(i) A record of the log is flushed before anything else is changed."""
    pending = None
    for call in run.good():
        if call.name in ("fsync", "fdatasync") and pending and call.file == pending.file:
            pending = None
        elif pending and (call.name in WRITES | METADATA | MOVES | REMOVES | MAKES or creates(call)):
            yield call, f"{pending} was not flushed"
            pending = None
        if state_of(call) is not None:
            pending = call
    if pending:
        yield pending, "was never flushed"


RULES = {
    "a": flushed_before_moved, "b": directories_flushed, "c": targets_never_opened, "d": no_space_needed,
    "e": opened_safely, "f": few_absolute_paths, "g": few_programs, "h": created_private, "i": records_flushed,
}


def check(run):
    """Everything that is wrong: (rule, call, why)."""
    return [(name, call, why) for name, rule in RULES.items() for call, why in rule(run)]
