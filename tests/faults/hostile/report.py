# SPDX-License-Identifier: Apache-2.0
"""What was tried inside the box and what was wrong with it, for the process outside."""
import json
import sys
import threading
import time


class Report:
    def __init__(self):
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.points = 0
        self.violations = []
        self.figures = {}
        self.skipped = []

    def note(self, text):
        print(f"hostile   {time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)

    def tried(self, table, n=1):
        with self.lock:
            self.points += n
            self.figures[f"{table}_points"] = self.figures.get(f"{table}_points", 0) + n

    def wrong(self, attack, what):
        """attack: one, or "TABLE/NAME"."""
        scenario, point = getattr(attack, "name", attack).split("/", 1)
        with self.lock:
            self.violations.append((scenario, point, what))

    def peak(self, figure, kib):
        with self.lock:
            self.figures[figure] = max(self.figures.get(figure, 0), kib)

    def print(self):
        print(json.dumps({"points": self.points, "violations": self.violations, "figures": self.figures,
                          "skipped": self.skipped}))
