# SPDX-License-Identifier: Apache-2.0
"""Runs that break a rule: a good one with a call left out, changed or put in. Each rule must notice its own."""
import copy
import dataclasses

from calls import Call
from rules import OPENS, SWAPPING, creates, is_exchange, is_log, state_of


def is_staged(path):
    return ".clmbot." in path


def without(run, test):
    """Without the first call that the test is true of."""
    at = next(i for i, call in enumerate(run.calls) if test(call))
    return dataclasses.replace(run, calls=run.calls[:at] + run.calls[at + 1:])


def changed(run, test, change):
    """The first such call is another one."""
    calls = copy.deepcopy(run.calls)
    call = next(call for call in calls if test(call))
    call.args = [change(arg) for arg in call.args]
    return dataclasses.replace(run, calls=calls)


def with_call(run, test, name, *args):
    """One more call behind the first that the test is true of."""
    at = next(i for i, call in enumerate(run.calls) if test(call)) + 1
    return dataclasses.replace(run, calls=run.calls[:at] + [Call(run.calls[0].pid, name, list(args), 0)] + run.calls[at:])


def anything(_):
    return True


def no_flush_after_exchange(run):
    """Up to the next record of the log no flush of a directory."""
    first = next(i for i, call in enumerate(run.calls) if is_exchange(call))
    last = next(i for i, call in enumerate(run.calls) if i > first and state_of(call))
    kept = [call for call in run.calls[first:last] if call.name != "fsync"]
    return dataclasses.replace(run, calls=run.calls[:first] + kept + run.calls[last:])


# What is wrong: (rule that must notice, how the good run is spoilt)
BROKEN = {
    "a file that was not flushed is put in place":
        ("a", lambda run: without(run, lambda call: call.name == "fsync" and is_staged(call.file))),
    "an exchange is not flushed": ("b", no_flush_after_exchange),
    "a target is written in place": ("c", lambda run: with_call(
        run, anything, "openat", "AT_FDCWD</>", f'"{sorted(run.targets)[0]}"', "O_WRONLY|O_CLOEXEC|O_NOFOLLOW")),
    "something is written after SWAPPING": ("d", lambda run: with_call(
        run, lambda call: state_of(call) == SWAPPING, "pwrite64", f"9<{run.state}/more>", '"x"', "1", "0")),
    "a descriptor is handed to children": ("e", lambda run: changed(
        run, lambda call: call.name in OPENS, lambda arg: arg.replace("|O_CLOEXEC", ""))),
    "a symlink would be followed": ("e", lambda run: changed(
        run, lambda call: creates(call) and is_staged(call.paths[0]), lambda arg: arg.replace("|O_NOFOLLOW", ""))),
    "a target is looked at by its path": ("f", lambda run: with_call(
        run, anything, "newfstatat", "AT_FDCWD</>", f'"{sorted(run.targets)[0]}"', "{}", "0")),
    "a shell is run": ("g", lambda run: with_call(run, anything, "execve", '"/bin/sh"', "[]", "[]")),
    "a key can be read for an instant": ("h", lambda run: changed(
        run, lambda call: creates(call) and is_staged(call.paths[0]), lambda arg: "0644" if arg == "0600" else arg)),
    "a record of the log is not flushed":
        ("i", lambda run: without(run, lambda call: call.name == "fdatasync" and is_log(call.file))),
}
