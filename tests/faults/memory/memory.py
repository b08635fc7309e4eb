# SPDX-License-Identifier: Apache-2.0
"""Memory of processes: of those that live, and what was kept of those that have ended."""
import os
import pathlib
import re

CHUNK = 16 << 20


def living(program, place):
    """[(pid, what it is)] of every process that runs the program on files below a place."""
    below = os.fsencode(str(place) + "/")
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "exe") == str(program):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if any(word.startswith(below) for word in words):
                    found.append((int(entry.name), words[1].decode()))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            pass  # it has ended, or is none of ours
    return found


def of_process(pid):
    """Every writable mapping, as one string; None if it has ended."""
    data = []
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
                if not rights.startswith("rw"):
                    continue
                at, end = int(begin, 16), int(end, 16)
                while at < end:
                    try:
                        data.append(os.pread(mem.fileno(), min(CHUNK, end - at), at))
                    except OSError:
                        break
                    if not data[-1]:
                        break
                    at += len(data[-1])
        return b"".join(data)
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_of(pid):
    """Arguments and environment."""
    try:
        return b"\n".join(pathlib.Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    except (FileNotFoundError, ProcessLookupError):
        return b""


class Kept:
    """The files that the helper (exits.c) has written, each read once."""

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.place.mkdir()

    def take(self, suffix):
        """[(name, bytes)] of what is new; it is removed."""
        for path in sorted(self.place.glob(f"*.{suffix}")):
            data = path.read_bytes()
            path.unlink()
            yield path.stem, data
