# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after a power cut: every prefix of what was written to it, and what a flush does not forbid.

Between two flushes a disk may keep any of the writes and lose the others, and the last one may be torn.
"""
import collections
import dataclasses
import os
import struct

RECORD = struct.Struct("=IIQ")
CHUNK = 65536
SECTOR = 4096  # written whole or not at all: no file system survives half a superblock

Write = collections.namedtuple("Write", "off data")


@dataclasses.dataclass
class State:
    """Writes before number `first` are there, and of the later ones those in `more`."""
    first: int
    more: tuple
    torn: bool = False      # of the last one in more only the first half
    reported: bool = False  # the deployment had said how it ended

    def __str__(self):
        return f"{self.first}:{','.join(map(str, self.more))}{'t' if self.torn else ''}"


class Log:
    """What faults_disk wrote down."""

    def __init__(self, path):
        self.writes, self.flushes, self.marks = [], [], []  # flushes, marks: (text,) number of writes before
        data, at = path.read_bytes(), 0
        while at < len(data):
            kind, length, off = RECORD.unpack_from(data, at)
            at += RECORD.size
            if kind == ord("w"):
                self.writes.append(Write(off, data[at:at + length]))
            elif kind == ord("f"):
                self.flushes.append(len(self.writes))
            else:
                self.marks.append((data[at:at + length].decode("ascii"), len(self.writes)))
            at += 0 if kind == ord("f") else length

    def at(self, text):
        return next(n for name, n in self.marks if name == text)

    def states(self, subsets, random):
        """From the mark "begin" on: all prefixes, and so many random states for each flush."""
        begin, end = self.at("begin"), self.at("end")
        bounds = sorted({begin, *(n for n in self.flushes if n > begin), len(self.writes)})
        for first, last in zip(bounds, bounds[1:]):
            group = range(first, last)
            for n in range(len(group)):
                yield State(first, tuple(group[:n]), reported=first + n >= end)
            yield from self.parts(group, subsets, random)
        yield State(len(self.writes), (), reported=True)

    def parts(self, group, subsets, random):
        known = {tuple(group[:n]) for n in range(len(group) + 1)}
        for _ in range(subsets if len(group) > 1 else 0):
            more = tuple(n for n in group if random.random() < 0.5)
            if more not in known:
                known.add(more)
                yield State(group[0], more)
        if subsets and len(self.writes[group[-1]].data) > SECTOR:
            yield State(group[0], tuple(group), torn=True)

    def calls(self):
        """How many different states system calls began with."""
        return len({n for text, n in self.marks if text.startswith("call ")})


class Image:
    """A disk in memory that goes forward through a log, and files that hold one of its states."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = bytearray(file.read())
        self.done = 0

    def forward(self, log, first):
        for write in log.writes[self.done:first]:
            self.data[write.off:write.off + len(write.data)] = write.data
        self.done = first

    def write(self, log, state, path):
        """Makes the file what the disk is in this state; states must not go back."""
        self.forward(log, state.first)
        zeros, view = bytes(CHUNK), memoryview(self.data)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, 0)
            os.ftruncate(fd, len(self.data))
            for at in range(0, len(self.data), CHUNK):
                if view[at:at + CHUNK] != zeros:
                    os.pwrite(fd, view[at:at + CHUNK], at)
            for n in state.more:
                write = log.writes[n]
                half = len(write.data) // 2 // SECTOR * SECTOR
                torn = state.torn and n == state.more[-1]
                os.pwrite(fd, write.data[:half] if torn else write.data, write.off)
        finally:
            os.close(fd)
