# SPDX-License-Identifier: Apache-2.0
"""Where to kill, and one kill.

A point is "deploy:N", or "deploy:N,recover:M" for a recovery that is killed as well, or "deploy:N,boot:M"; M 0: not killed.
"deploy:N,damage:0": the recovery finds the copies of the old files damaged and the temporary files gone.
"""
import os

from support.host import ENDS, KILLED

# Calls after which the disk may be another: what lies between two of them leaves the same state.
CHANGES = {"pwrite64", "write", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "mkdir", "mkdirat",
           "rmdir", "fchmod", "fchown", "fsetxattr", "fremovexattr", "ftruncate"}
MOVES = {"rename", "renameat", "renameat2", "unlink", "unlinkat", "linkat", "link"}


def parse(point):
    first, _, second = point.partition(",")
    n = int(first.removeprefix("deploy:"))
    action, _, m = (second or "recover:0").partition(":")
    return n, action, int(m)


def every(calls):
    """All of them, but one of a row of rt_sigaction(): a child puts back some sixty signals before it becomes its program."""
    return [n for n, (name, _) in enumerate(calls, 1)
            if name != "rt_sigaction" or n < 2 or calls[n - 2][0] != "rt_sigaction"]


def changing(calls):
    """Points at which the state is another than at the one before."""
    return [i + 2 for i, (name, _) in enumerate(calls) if name in CHANGES or name == "openat"]


def mid_swap(calls):
    """Points between the first exchange and the end of the journal: after each record and each change of a name."""
    records = [i for i, (name, what) in enumerate(calls) if name == "pwrite64" and what.endswith("/log")]
    if not records:
        return []
    return [i + 2 for i, (name, what) in enumerate(calls)
            if i >= records[0] and (name in MOVES or (name == "pwrite64" and what.endswith("/log")))]


def kill(host, scenario, expected, point):
    """Kills there. Returns (was it killed at all, what is wrong or "")."""
    n, action, m = parse(point)
    host.prepare(scenario)
    run = host.act(scenario, "deploy", "kill", n)
    is_killed = run.status == KILLED and run.at is not None
    if not is_killed and run.status not in ENDS:
        return False, f"the deployment ended with {run.status}: {run.text}"
    reported = "died" if is_killed else ENDS[run.status]
    if not is_killed and reported != expected:
        return False, f"the undisturbed deployment ended with '{reported}', not '{expected}': {run.text}"
    if reported == "died" and expected == "human" and not host.has_journal():
        reported = "human"  # it was over: all that was lost is the call for a human
    if action == "damage":
        return is_killed, recover_damaged(host, scenario, reported)
    if m > 0:
        run = host.act(scenario, "boot-recover" if action == "boot" else "recover", "kill", m)
        is_killed = run.status == KILLED and run.at is not None
        if not is_killed and run.status != 0:
            return False, f"the recovery ended with {run.status}: {run.text}"
    return is_killed, host.settle(scenario, reported, action == "boot")


def damage(root):
    """Another byte in each copy of an old file; and what it would not need the copies for is gone."""
    for path, _, names in os.walk(root):
        for name in names:
            where = os.path.join(path, name)
            if name.startswith("old.") and "/state/txn/" in where:
                with open(where, "r+b") as copy:
                    copy.seek(40)
                    copy.write(b"!")
            elif ".clmbot." in name:
                os.unlink(where)


def recover_damaged(host, scenario, reported):
    """The copies are not written back: either they are not needed, or a human is called and every file is whole."""
    damage(host.root)
    run = host.act(scenario, "recover")
    if run.status == 0:
        return host.settle(scenario, reported)
    if run.status != 4:
        return f"the recovery ended with {run.status}: {run.text}"
    run = host.act(scenario, "files")
    return "" if run.status == 0 else run.text
