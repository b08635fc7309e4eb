# SPDX-License-Identifier: Apache-2.0
"""Reads what gcc's instrumentation counted: for each source file, lines and branches that ran."""
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

from source import assert_lines, open_switch_lines

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("agent", "scanners", "deployers", "config", "controlplane")


@dataclasses.dataclass
class File:
    """Counts of one file: line -> times run, and (line, function) -> times each branch was taken."""
    path: str
    lines: dict = dataclasses.field(default_factory=collections.Counter)
    branches: dict = dataclasses.field(default_factory=dict)

    def add(self, entry):
        number, key = entry["line_number"], (entry["line_number"], entry.get("function_name"))
        self.lines[number] += entry["count"]
        taken = [branch["count"] for branch in entry["branches"]]
        if taken:
            before = self.branches.get(key, [0] * len(taken))
            self.branches[key] = [a + b for a, b in zip(before, taken)]

    def leave_out(self, text):
        """Drops the branches that source.py names."""
        lines = text.splitlines()
        asserts, switches = assert_lines(lines), open_switch_lines(lines)
        for key in list(self.branches):
            if key[0] in asserts:
                del self.branches[key]
            elif key[0] in switches:
                taken = self.branches[key]
                taken.pop(taken.index(0) if 0 in taken else 0)  # first or last; nothing ever goes that way

    def missed_lines(self):
        return sorted(number for number, count in self.lines.items() if count == 0)

    def missed_branches(self):
        """(line, how many of its branches were not taken, how many it has), for lines that ran."""
        return sorted((key[0], taken.count(0), len(taken)) for key, taken in self.branches.items()
                      if 0 in taken and self.lines[key[0]])

    def counts(self):
        """Lines run, lines, branches taken, branches."""
        taken = [count for branch in self.branches.values() for count in branch]
        return (sum(1 for count in self.lines.values() if count), len(self.lines),
                sum(1 for count in taken if count), len(taken))


def objects(build):
    """The notes gcc left beside each object file of a product folder; empty counts are none."""
    for data in build.rglob("*.gcda"):
        if data.stat().st_size == 0:
            data.unlink()
    return sorted(note for folder in FOLDERS for note in (build / folder).rglob("*.gcno")
                  if note.with_suffix(".o").exists())  # else its source has moved


def forget(build):
    """Counts begin at zero."""
    for data in build.rglob("*.gcda"):
        data.unlink()


def ask(note):
    """gcov's account of an object file; counts that an older build left are none."""
    command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(note)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode or "stamp mismatch" in done.stderr:
        print(f"{note}: counts of another build are left out", file=sys.stderr)
        note.with_suffix(".gcda").unlink(missing_ok=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(done.stdout)


def read(build):
    """Every product file that was compiled, by its path in the tree."""
    files, notes = {}, objects(build)
    if not notes:
        raise SystemExit(f"tests/coverage/run: {build} was not built with --coverage: cmake --preset coverage")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for account in pool.map(ask, notes):
            for entry in account["files"]:
                path = os.path.relpath(os.path.join(account["current_working_directory"], entry["file"]), TOP)
                if path.split("/")[0] not in FOLDERS or not path.endswith(".c"):
                    continue
                found = files.setdefault(path, File(path))
                for line in entry["lines"]:
                    found.add(line)
    for found in files.values():
        found.leave_out((TOP / found.path).read_text())
    return files
