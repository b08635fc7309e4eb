# SPDX-License-Identifier: Apache-2.0
"""A deployment while somebody else is at work in the directory of its target: at every system call that is about it.

Attackers own the directory and nothing else: they must not get at anything beyond it. Administrators are right: what they
put there while we are at work stays.
"""
import os
import pathlib
import re
import shutil

import attacks
import watch
from support.host import NOT_POSSIBLE, Host, NoTracer

ENDS = (0, 1, 3, 4)  # of the subject: ok, failed, blocked, a human is needed
TAKE_NAMES = {"openat", "renameat2", "renameat", "statx", "unlinkat", "linkat", "faccessat2", "newfstatat", "access"}
EDITED = b"edited by root"
LISTINGS = 3
# Scenario: (directory below the root, targets in it).
PLACES = {"combined": ("etc", ["site.pem"]), "nginx-pair": ("etc", ["site.crt", "site.key"]),
          "jks": ("etc", ["site.crt", "site.key", "store.jks"]), "first-install": ("etc", ["site.crt", "site.key"]),
          "symlink-flip": ("etc/archive", ["site1.crt", "site1.key"]), "probe-fails": ("etc", ["site.crt", "site.key"]),
          "first-probe-fails": ("etc", ["site.crt", "site.key"]), "check-refuses": ("etc", ["site.crt", "site.key"]),
          "pkcs12-xml": ("etc", ["site.crt", "store.p12", "server.xml"])}
ATTACKED = ("combined", "nginx-pair", "jks", "first-install", "probe-fails")
EDITED_IN = ("nginx-pair", "jks", "symlink-flip", "first-install", "probe-fails", "first-probe-fails", "check-refuses", "pkcs12-xml")


class Place(Host):
    """The subject's host; its directory may be entered by everyone, and things beside it can be attacked."""

    def __enter__(self):
        super().__enter__()
        os.chmod(self.dir, 0o755)
        self.outside = self.dir + "/outside"
        watch.make_outside(self.outside)
        return self

    def target_dir(self, scenario):
        return os.path.join(self.root, PLACES[scenario][0])

    def give_away(self, scenario):
        """The directory is the attacker's, in one like /tmp; the files are whose they were."""
        os.chmod(self.root, 0o1777)
        os.chown(self.target_dir(scenario), attacks.ATTACKER, attacks.ATTACKER)

    def calls_at(self, scenario, attacked):
        """[(number, name, path)] of the calls about files there."""
        lists = [self._list(scenario, attacked) for _ in range(LISTINGS)]
        lines = min(lists, key=lambda lines: int(lines[-1][0]))  # who has to wait makes more calls
        return [(int(n), name, what) for n, name, what in lines if what.startswith(self.root + "/etc")]

    def _list(self, scenario, attacked):
        self.prepare(scenario)
        if attacked:
            self.give_away(scenario)
        path = self.dir + "/list"
        run = self.act(scenario, "deploy", "list", path)
        if run.status == NOT_POSSIBLE:
            raise NoTracer(run.err.strip())
        return [line.split(" ", 2) for line in pathlib.Path(path).read_text(errors="replace").splitlines()]

    def program(self, scenario, text, uid, edited=""):
        env = attacks.environment(D=self.target_dir(scenario), O=self.outside, T=" ".join(PLACES[scenario][1]), E=edited)
        return attacks.as_program(self.dir + "/attack", text, env, uid)

    def deploy(self, scenario, n, program):
        if n == 0:
            attacks.act(program)
            return self.act(scenario, "deploy")
        return self.act(scenario, "deploy", "call", n, program)

    def keys(self):
        """What of every private key would be found in a file that holds it."""
        found = [b"PRIVATE KEY"]
        for path in pathlib.Path(self.certs).glob("*/*"):
            lines = path.read_bytes().splitlines()
            if b"PRIVATE KEY" in (lines[0] if lines else b"") and len(lines) > 3:
                found.append(lines[2][6:30])
        return found


def ended_well(what, run, may_be_read=False):
    """may_be_read: the attacker's own file was to be replaced, so that what is there now is his, too."""
    if run.status in ENDS or (may_be_read and run.status == 5 and set(re.findall(r"^\w+:", run.out, re.MULTILINE)) == {"I9:"}):
        return []
    return [f"{what} ended with {run.status}: {run.text}"]


def attack(place, scenario, name, n):
    """What is wrong after one attack at one call, or None if it never came there; n 0: before the first."""
    place.prepare(scenario)
    place.give_away(scenario)
    before = watch.tree(place.outside)
    inodes = watch.roots_inodes(place.root, but=[place.root + "/etc", place.root + "/state", place.root + "/served", place.root])
    program = place.program(scenario, attacks.TARGET[name], attacks.ATTACKER)
    run = place.deploy(scenario, n, program)
    if n != 0 and run.at is None:
        return None
    wrong = ended_well("deploy", run, "his" in name)
    wrong += ended_well("recover", place.act(scenario, "recover"), "his" in name)
    wrong += ended_well("second recover", place.act(scenario, "recover"), "his" in name)
    if watch.tree(place.outside) != before:
        wrong.append(f"outside: {set(watch.tree(place.outside).items()) ^ set(before.items())}")
    wrong += watch.changed_inodes(inodes, watch.roots_inodes(place.root))
    # Whose the file was that was to be replaced gets the new one: that is what replacing means.
    needles = [watch.SECRET] + ([] if "his" in name else place.keys())
    wrong += [f"can be read by others: {path}" for path in watch.readable(place.root, needles)]
    if watch.SECRET.decode() in run.text:
        wrong.append("a secret is told")
    return wrong


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def edit(place, scenario, name, edited, n):
    """What is wrong after root changed one file at that call, or None if it never came there."""
    place.prepare(scenario)
    folder = place.target_dir(scenario)
    path = os.path.join(folder, edited)
    others = [os.path.join(folder, other) for other in PLACES[scenario][1] if other != edited]
    old = {other: content(other) for other in others}
    program = place.program(scenario, attacks.EDITS[name], 0, edited)
    run = place.deploy(scenario, n, program)
    if n != 0 and run.at is None:
        return None
    wrong = ended_well("deploy", run)
    recovered = place.act(scenario, "recover")
    wrong += ended_well("recover", recovered)
    if EDITED not in (content(path) or b""):
        wrong.append(f"the change to {edited} is gone; deploy said {run.text!r}, recover {recovered.text!r}")
    is_old = {content(other) == old[other] for other in others}
    if len(is_old) > 1 and not os.listdir(place.root + "/state/quarantine"):
        wrong.append("some other files are old and some are new, and no human is called")
    left = [left for left in os.listdir(folder) if re.match(r"\..*\.clmbot\.", left)]
    if left and not os.listdir(place.root + "/state/quarantine"):
        wrong.append(f"left behind: {left}")
    return wrong


def attack_points(place):
    """Before each call that takes a name: what has a descriptor cannot be exchanged any more."""
    for scenario in ATTACKED:
        calls = [n for n, name, what in place.calls_at(scenario, True) if name in TAKE_NAMES and not what.endswith("/")]
        for name in attacks.TARGET:
            for n in [0, *calls]:
                if n == 0 or "pipes" not in name:  # a server that reads a pipe is waited for
                    yield "attack", scenario, name, n


def is_read(calls, path):
    """The call by which the old content is known."""
    opened = [n for n, name, what in calls if what == path and name == "read"]
    ended = [n for n, name, what in calls if what == path and name == "close" and opened and n > opened[0]]
    return ended[0] if ended else next(n for n, name, what in calls if what == path and name == "statx")


def edit_points(place):
    """From when the old content is known."""
    for scenario in EDITED_IN:
        calls = place.calls_at(scenario, False)
        for edited in PLACES[scenario][1]:
            known = is_read(calls, os.path.join(place.target_dir(scenario), edited))
            for name in attacks.EDITS:
                for n, call, _ in calls:
                    if n > known and (call in TAKE_NAMES or call == "read"):
                        yield "edit", scenario, f"{name}:{edited}", n


def points(build, certs):
    """Those that need no timing first."""
    with Place(build, certs) as place:
        return sorted([*attack_points(place), *edit_points(place)], key=lambda point: point[3] != 0)


def one(place, kind, scenario, name, n):
    if kind == "attack":
        return attack(place, scenario, name, n)
    how, _, edited = name.partition(":")
    return edit(place, scenario, how, edited, n)


def some(task):
    """Work of one process: [(point, what is wrong)]."""
    build, certs, chosen, stop_at_first = task
    found = []
    with Place(build, certs) as place:
        for point in chosen:
            found.append((point, one(place, *point)))
            if stop_at_first and found[-1][1]:
                break
        shutil.rmtree(place.root, ignore_errors=True)
    return found
