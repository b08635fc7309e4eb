# SPDX-License-Identifier: Apache-2.0
"""One run of a program in which an allocation fails, by alloc_fail.so; the same layout as its struct control."""
import mmap
import os
import signal
import struct
import subprocess
import time

HEAD = "9Q"
NAME, STACK, LEFT, TRACE = 56, 40, 2048, 400000
STACK_AT = struct.calcsize(HEAD)
CRASH_AT = STACK_AT + STACK * NAME
LEFT_AT = CRASH_AT + STACK * NAME
TRACE_AT = LEFT_AT + LEFT * (NAME + 8)
SIZE = TRACE_AT + TRACE * 8


class Run:
    """What came of it."""

    def __init__(self, done, head, stack, crash_stack, left, trace):
        self.status, self.out, self.err, self.hung = done
        self.count, self.failed, self.crash = head[0], head[4], head[5]
        self.stack, self.crash_stack, self.left, self.trace = stack, crash_stack, left, trace


class Control:
    """The file shared with the library; one at a time uses it."""

    def __init__(self, path, library):
        self.path, self.library = path, library
        with open(path, "wb") as file:
            file.truncate(SIZE)
        os.chmod(path, 0o666)  # the network half is another user
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), SIZE)

    def env(self, program):
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LD_PRELOAD": str(self.library),
                "CLM_ALLOC_CONTROL": str(self.path), "CLM_ALLOC_PROGRAM": program}

    def arm(self, fail_at=0, sticky=False, traced=False):
        self.map[:STACK_AT] = struct.pack(HEAD, 0, fail_at, sticky, traced, 0, 0, 0, 0, 0)

    def result(self, done):
        head = struct.unpack(HEAD, self.map[:STACK_AT])
        trace = ()
        if head[3]:
            n = min(head[0], TRACE)
            trace = struct.unpack(f"{n}Q", self.map[TRACE_AT:TRACE_AT + 8 * n])
        left = {}
        for i in range(min(head[6], LEFT)):
            at = LEFT_AT + i * (NAME + 8)
            where = self._name(at)
            left[where] = left.get(where, 0) + struct.unpack("Q", self.map[at + NAME:at + NAME + 8])[0]
        return Run(done, head, [self._name(STACK_AT + i * NAME) for i in range(head[7])],
                   [self._name(CRASH_AT + i * NAME) for i in range(head[8])], left, trace)

    def run(self, argv, seconds=20, env=None, **arming):
        """Runs argv to its end, or kills it and all it started after `seconds`."""
        self.arm(**arming)
        program = os.path.basename(argv[0])
        with subprocess.Popen([str(a) for a in argv], env={**self.env(program), **(env or {})}, cwd="/",
                              start_new_session=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            try:
                out, err = child.communicate(timeout=seconds)
                hung = False
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                out, err = child.communicate()
                hung = True
        return self.result((child.returncode, out.decode(errors="replace"), err.decode(errors="replace"), hung))

    def _name(self, at):
        return self.map[at:at + NAME].split(b"\0")[0].decode(errors="replace")


def wait_gone(pids, seconds=10):
    """True once none of the processes exists any more."""
    end = time.monotonic() + seconds
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
