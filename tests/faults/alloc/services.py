# SPDX-License-Identifier: Apache-2.0
"""The programs that stay: started with a failing allocation, asked for something, ended with SIGTERM.

`clmbot host` needs none of its own: every command of root starts one, and its allocations count there.
"""
import os
import signal
import subprocess
import time

from judge import SHORT, is_inside_tls, leaks
from symbols import places
from world import BOT, PLANE

READY, END = 15, 20  # seconds


class Service:
    """`line(world)`: what is started; `ready`: what it says then; `ask(world)`: what it is asked for."""

    def __init__(self, name, line, ready, ask, points):
        self.name, self.line, self.ready, self.ask, self.points = name, line, ready, ask, points


def _ask_status(world):
    subprocess.run([str(BOT), "status", "--json", "--config", str(world.agent.config)], capture_output=True,
                   timeout=20, check=False)


def _ask_plane(world):
    subprocess.run([str(PLANE), "jobs", "list", "--data", str(world.root / "other")], capture_output=True, timeout=60,
                   check=False)


def _serve(world):
    return [PLANE, "serve", "--data", world.root / "other", "--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0",
            "--config", world.plane.config, "--json"]


SERVICES = [
    Service("run", lambda world: [BOT, "run", "--config", world.agent.config], " runs", _ask_status, 90),
    Service("run --spawn-host", lambda world: [BOT, "run", "--spawn-host", "--config", world.agent.config], " runs",
            _ask_status, 60),
    Service("controlplane serve", _serve, '"listening"', _ask_plane, 60),
]


def _until(child, condition, seconds):
    end = time.monotonic() + seconds
    while child.poll() is None and not condition() and time.monotonic() < end:
        time.sleep(0.01)


def serve(control, service, world, **arming):
    """One life of the service."""
    control.arm(**arming)
    log = world.root / "service.log"
    argv = [str(a) for a in service.line(world)]
    with log.open("wb") as out:
        with subprocess.Popen(argv, env=control.env(os.path.basename(argv[0])), cwd="/", start_new_session=True,
                              stdin=subprocess.DEVNULL, stdout=out, stderr=out) as child:
            _until(child, lambda: service.ready in log.read_text(errors="replace"), READY)
            was_ready = child.poll() is None
            if was_ready:
                service.ask(world)
            child.terminate()
            try:
                child.wait(END)
                hung = False
            except subprocess.TimeoutExpired:
                hung = True
            try:
                os.killpg(child.pid, signal.SIGKILL)  # nobody of it is left behind
            except ProcessLookupError:
                pass
    text = log.read_text(errors="replace")
    return control.result((child.returncode, text, text, hung)), was_ready


def judge_service(base, run, was_ready, build):
    """Sentences about what is wrong. A service may end, and say why, or go on, and end when it is told."""
    stack = places(run.stack, build)
    if run.hung:
        return ["did not end on SIGTERM"]
    if run.crash:
        return [f"a process of it died of signal {run.crash}"]
    wrong = []
    if run.status not in (0, 2, 4, 6):
        wrong.append(f"exit status {run.status}: {run.err.strip()[-200:]!r}")
    elif (run.status != 0 or not was_ready) and run.failed and not SHORT.search(run.err) and not is_inside_tls(stack):
        wrong.append(f"ended with {run.status} and does not say that memory is short: {run.err.strip()[-200:]!r}")
    if run.status == 0 and was_ready:
        wrong += leaks(base, run, stack)
    return wrong
