# SPDX-License-Identifier: Apache-2.0
"""A validation file is made and removed while the owner of the web root moves things about: at every system call, and as
fast as he can."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import attacks
import watch
from support.host import NOT_POSSIBLE, NoTracer, Run, memory_dir

TOKEN = "token-of-20-letters-0"
LAYOUTS = ("new", "his")  # the way to the file: not there yet; his own directories


class Site:
    """DIR/home is his and holds the web root; DIR/outside is root's."""

    def __init__(self, build):
        self.programs = pathlib.Path(build) / "tests"

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="clm-races.", dir=memory_dir())
        os.chmod(self.dir, 0o755)
        self.home, self.outside = self.dir + "/home", self.dir + "/outside"
        self.root = self.home + "/public"
        watch.make_outside(self.outside)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    def prepare(self, layout):
        shutil.rmtree(self.home, ignore_errors=True)
        for path in (self.home, self.root):
            os.mkdir(path, 0o755)
        if layout == "his":
            os.makedirs(self.root + "/.well-known/acme-challenge")
        for path in watch.walk(self.home):
            os.chown(path, attacks.ATTACKER, attacks.ATTACKER)
        for path in (self.home + "/private", self.root + "/hidden"):
            os.mkdir(path, 0o700)
            watch.write(path + "/secret", watch.SECRET, 0o600)
        self.before = watch.tree(self.outside)
        self.inodes = watch.roots_inodes(self.home)

    def program(self, attack):
        env = attacks.environment(D=self.home, O=self.outside, W=self.root + "/.well-known", F=TOKEN)
        return attacks.as_program(self.dir + "/attack", attacks.WEB[attack], env)

    def dcv(self, words, trace=()):
        line = [str(self.programs / "faults_dcv"), self.root, *words]
        return Run([str(self.programs / "faults_tracer"), *map(str, trace), "--", *line] if trace else line)

    def calls(self, layout, op):
        """Numbers of the calls that are about files, and one behind the last."""
        self.prepare(layout)
        made = self.dcv(["put"]).out.split() if op == "remove" else []
        path = self.dir + "/list"
        run = self.dcv([op, *made], ("list", path))
        if run.status == NOT_POSSIBLE:
            raise NoTracer(run.err.strip())
        lines = [line.split(" ", 2) for line in pathlib.Path(path).read_text(errors="replace").splitlines()]
        return [int(n) for n, name, what in lines if what.startswith("/") and name not in ("write", "close")]

    def judge(self, run):
        """What is wrong after a run, as lines."""
        wrong = []
        if run.status not in (0, 1):
            wrong.append(f"ended with {run.status}: {run.text}")
        if run.status == 1 and not re.search(r"^refused: \S.*$", run.err, re.MULTILINE):
            wrong.append("refused without a line that says why")
        if watch.tree(self.outside) != self.before:
            wrong.append(f"outside: {set(watch.tree(self.outside).items()) ^ set(self.before.items())}")
        wrong += watch.changed_inodes(self.inodes, watch.roots_inodes(self.home))
        if watch.SECRET.decode() in run.text or watch.readable(self.home, [watch.SECRET]):
            wrong.append("a secret can be read")
        return wrong


def one(site, layout, op, attack, n):
    """One attack at one call; n 0: before the first."""
    site.prepare(layout)
    made = site.dcv(["put"]).out.split() if op == "remove" else []
    program = site.program(attack)
    if n == 0:
        attacks.act(program)
        run = site.dcv([op, *made])
    else:
        run = site.dcv([op, *made], ("call", n, program))
    wrong = site.judge(run)
    if not wrong and op == "put":
        wrong = [f"later, removing: {line}" for line in site.judge(site.dcv(["remove", *run.out.split()]))]
    return wrong


def points(build):
    """[(layout, op, attack, n)], those without any timing first."""
    found = []
    with Site(build) as site:
        for layout in LAYOUTS:
            for op in ("put", "remove"):
                calls = [0, *site.calls(layout, op)]
                found += [(layout, op, attack, n) for attack in attacks.WEB for n in calls]
    return sorted(found, key=lambda point: point[3] != 0)


def some(task):
    """Work of one process: [(point, what is wrong)]."""
    build, chosen, stop_at_first = task
    found = []
    with Site(build) as site:
        for point in chosen:
            found.append((point, one(site, *point)))
            if stop_at_first and found[-1][1]:
                break
    return found


def storm(build, swaps, seconds):
    """Both at once and unbridled, until so many exchanges were made: (exchanges, operations, what is wrong)."""
    wrong, operations = [], 0
    with Site(build) as site:
        site.prepare("his")
        text = ('ln -s "$O" "$D/link"; ln -s "$O" "$W.link"; ln -s "$O/.well-known/acme-challenge" "$W/link"; '
                'ln -s "$O/victim" "$W/acme-challenge/link"')
        env = attacks.environment(D=site.home, O=site.outside, W=site.root + "/.well-known")
        attacks.act(attacks.as_program(site.dir + "/setup", text, env))
        pairs = [("link", "public"), ("public/.well-known", "public/.well-known.link"),
                 ("public/.well-known/acme-challenge", "public/.well-known/link"), ("link", "public")]
        argv = [str(site.programs / "faults_swapper"), str(attacks.ATTACKER), str(swaps), site.home,
                *(word for pair in pairs for word in pair)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as swapper:
            end = time.monotonic() + seconds
            while swapper.poll() is None and time.monotonic() < end and not wrong:
                put = site.dcv(["put"])
                wrong = site.judge(put) if put.status not in (0, 1) else []
                site.dcv(["remove", *put.out.split()])
                operations += 2
                if watch.tree(site.outside) != site.before:
                    wrong = [f"outside: {set(watch.tree(site.outside).items()) ^ set(site.before.items())}"]
            swapper.send_signal(signal.SIGTERM)
            done = int(swapper.communicate()[0])
        wrong += watch.changed_inodes(site.inodes, watch.roots_inodes(site.home))
    if done < swaps and not wrong:
        wrong.append(f"only {done} exchanges in {seconds} s")
    return done, operations, wrong
