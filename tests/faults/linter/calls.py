# SPDX-License-Identifier: Apache-2.0
"""The system calls of a run, read from what strace(1) wrote."""
import codecs
import dataclasses
import os
import re

LINE = re.compile(r"^(\d+) +(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)(.*)$", re.DOTALL)
FD = re.compile(r"^(\d+|AT_FDCWD)<(.*)>$", re.DOTALL)
MARK = "0x434c4d46"  # tests/faults/subject/mark.h

# Which arguments are a path, and which descriptor it is relative to: (path, descriptor or None)
PATHS = {
    "open": [(0, None)], "creat": [(0, None)], "openat": [(1, 0)], "openat2": [(1, 0)],
    "rename": [(0, None), (1, None)], "renameat": [(1, 0), (3, 2)], "renameat2": [(1, 0), (3, 2)],
    "link": [(0, None), (1, None)], "linkat": [(1, 0), (3, 2)], "symlink": [(1, None)], "symlinkat": [(2, 1)],
    "unlink": [(0, None)], "unlinkat": [(1, 0)], "rmdir": [(0, None)], "mkdir": [(0, None)], "mkdirat": [(1, 0)],
    "stat": [(0, None)], "lstat": [(0, None)], "newfstatat": [(1, 0)], "statx": [(1, 0)], "readlink": [(0, None)],
    "readlinkat": [(1, 0)], "chmod": [(0, None)], "fchmodat": [(1, 0)], "chown": [(0, None)], "lchown": [(0, None)],
    "fchownat": [(1, 0)], "truncate": [(0, None)], "setxattr": [(0, None)], "lsetxattr": [(0, None)],
    "mknod": [(0, None)], "mknodat": [(1, 0)], "execve": [(0, None)], "execveat": [(1, 0)],
}
WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate", "sendfile", "copy_file_range"}
METADATA = {"fchmod", "fchown", "fsetxattr", "fremovexattr"}
ON_FD = WRITES | METADATA | {"fsync", "fdatasync"}
TRACED = sorted({*PATHS, *ON_FD, "prctl", "clone", "clone3", "fork", "vfork"})


@dataclasses.dataclass
class Call:
    pid: int
    name: str
    args: list
    result: int
    number: int = 0

    @property
    def paths(self):
        """Absolute, in the order of the arguments; "" for what has none."""
        return [self._path(*where) for where in PATHS.get(self.name, ())]

    @property
    def given(self):
        """Paths as they were given."""
        return [text(self.args[path]) for path, _ in PATHS.get(self.name, ())]

    @property
    def file(self):
        """Where the descriptor leads that the call is about, if that is its first argument."""
        found = FD.match(self.args[0]) if self.name in ON_FD else None
        return found.group(2) if found else ""

    def _path(self, path, fd):
        name = text(self.args[path])
        if os.path.isabs(name) or fd is None:
            return name
        found = FD.match(self.args[fd])
        return os.path.normpath(os.path.join(found.group(2), name)) if found else name

    def __str__(self):
        return f"call {self.number}: {self.name}({', '.join(self.args)})"[:300]


def text(argument):
    return os.fsdecode(data(argument))


def data(argument):
    """The bytes of a quoted argument."""
    quoted = argument[1:argument.rindex('"')] if argument.startswith('"') else argument
    return codecs.escape_decode(quoted.encode("utf-8"))[0]


def split(arguments):
    """At commas that are in no quotes, braces or brackets."""
    parts, depth, start, quoted, skip = [], 0, 0, False, False
    for at, char in enumerate(arguments):
        if skip:
            skip = False
        elif quoted:
            skip = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "{[(":
            depth += 1
        elif char in "}])":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
    return parts + [arguments[start:].strip()] if arguments else []


def whole_lines(lines):
    """Joins calls that were interrupted by those of another process."""
    open_calls = {}
    for line in lines:
        found = LINE.match(line.rstrip("\n"))
        if not found:
            continue
        pid, rest = int(found.group(1)), found.group(2)
        if rest.endswith("<unfinished ...>"):
            open_calls[pid] = rest[:-len("<unfinished ...>")].rstrip()
            continue
        resumed = re.match(r"^<\.\.\. \w+ resumed>(.*)$", rest)
        if resumed:
            rest = open_calls.pop(pid, "") + resumed.group(1).lstrip() if resumed else rest
        yield pid, rest


def read(lines):
    """Calls between the marks of the subject, and those of its children."""
    calls, first, on = [], None, False
    for pid, rest in whole_lines(lines):
        found = CALL.match(rest)
        if not found:
            continue
        name, args = found.group(1), split(found.group(2))
        first = pid if first is None else first
        if name == "prctl" and args[0].startswith(MARK):
            on = args[1] == "0x1"
        elif name != "prctl" and (on or pid != first):
            result = -1 if found.group(3) == "?" else int(found.group(3))
            calls.append(Call(pid, name, args, result, len(calls) + 1))
    return calls
