# SPDX-License-Identifier: Apache-2.0
"""The real host half with a real nginx: told to stop at any system call of a deployment, left by its network half at any
message, and with others beside it."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from cases_certs import issue, observation, ordered
from harness import base
from stage import Stage, Violation
from wire import ANSWER, CALL, END, FAIL, OPS, PART, REPLY, REQUEST, frame

SIGNALS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP}
STOP_SECONDS = 25  # a deployment that is undone, its reload and its proof; under the tracer


class Host(Stage):
    """A stage whose harness is an honest network half, up to a point."""

    def new_certificate(self):
        """An order that has everything but its deployment."""
        job, public = ordered(self, on_issue="deploy", deploy={})
        self.granted("cert_put", {"job_id": job, "chain_pem": issue(self, public)})
        self.was = (self.server.cert.read_bytes(), self.server.key.read_bytes(), self.server.served())
        return job

    def truth(self, _=None):
        leaf = self.server.served()
        return observation(leaf_sha256=leaf) if leaf else frame({"result": "refused"}, ANSWER)

    def hello(self):
        """The first request of a host half: it recovers, and may ask for handshakes."""
        self.granted("hello", {"v": 1, "version": "1", "boot_id": "b"}, on_call=self.truth)

    def files(self):
        now = (self.server.cert.read_bytes(), self.server.key.read_bytes())
        if now == self.was[:2]:
            return "old"
        return "mixed" if now[0] == self.was[0] or now[1] == self.was[1] else "new"

    def settled(self, reported=None):
        """What is wrong once the next host half has recovered."""
        self.alive()
        self.hello()
        wrong = []
        files = self.files()
        if files == "mixed":
            wrong.append("key and certificate do not belong together")
        if reported == "succeeded" and files != "new":
            wrong.append("success was reported, and the files are old")
        if reported in ("rolled_back", "failed") and files != "old":
            wrong.append(f"'{reported}' was reported, and the files are {files}")
        try:
            base.until(lambda: self.server.served() == self.server.installed(), 5, "what is installed to be served")
        except AssertionError as why:
            wrong.append(str(why))
        for folder in (self.state / "host/txn", self.state / "host/quarantine"):
            if any(folder.iterdir()):
                wrong.append(f"{folder.name} is not empty")
        names = sorted(os.listdir(self.server.tls))
        if names != ["www.key", "www.pem"]:
            wrong.append(f"left behind: {names}")
        return wrong

    def goes_on(self, job):
        """The same request again, as a network half that was restarted sends it."""
        kind, answer = self.ask("deploy", {"job_id": job}, on_call=self.truth)
        outcome = answer.get("outcome") if kind == REPLY else None
        if outcome not in ("succeeded", "skipped") or self.files() != "new":
            return [f"deployed again: {outcome or answer}, the files are {self.files()}"]
        return []


# ---- signals ----

def calls_of_deploy(host):
    """(first, last) number of the calls from the order's deployment on, under the tracer."""
    host.stop()
    path = host.work / "list"
    host.start(wrap=tracer(host, "list", path))
    job = host.new_certificate()
    host.goes_on(job)
    child_of(host.process.pid, signal.SIGTERM)
    host.process.wait(STOP_SECONDS)
    lines = [line.split(" ", 2) for line in path.read_text(errors="replace").splitlines()]
    marks = [int(n) for n, name, what in lines if what.rstrip("\n").endswith("/txn.prep") and name == "mkdir"]
    first = max(1, marks[-1] - 400)
    host.start()
    return first, marks[-1], int(lines[-1][0])


def tracer(host, *words):
    return (str(host.build / "tests/faults_tracer"), "-a", *map(str, words), "--")


def child_of(pid, number=None):
    """The traced process of a tracer; a signal to it if asked for."""
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if text and number:
        os.kill(int(text[0]), number)
    return int(text[0]) if text else None


def signalled(host, name, n):
    """One deployment whose host half gets the signal at that call."""
    host.stop()
    host.start(wrap=tracer(host, "signal", n, int(SIGNALS[name])))
    try:
        job = host.new_certificate()
        kind, answer = host.ask("deploy", {"job_id": job}, on_call=host.truth)
    except (Violation, AssertionError, ConnectionError, OSError) as why:  # it ended before that
        host.process.wait(STOP_SECONDS)
        host.start()
        host.hello()
        return [] if host.server.served() == host.server.installed() else [f"before a deployment: {why}"]
    try:
        if kind == END or "tracer: at" in host.log.read_text(errors="replace"):
            host.process.wait(STOP_SECONDS)
        else:  # it came later than the deployment took
            child_of(host.process.pid, signal.SIGTERM)
            host.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        host.process.kill()
        host.process.wait()
        host.start()
        return [f"SIG{name} at call {n}: did not end within {STOP_SECONDS} s"]
    wrong = []
    if kind == FAIL and not answer["retryable"]:  # "the host half is being stopped"
        wrong.append(f"refused: {answer}")
    host.log.write_bytes(b"")
    host.seen_log = 0
    host.start()
    wrong += host.settled(answer["outcome"] if kind == REPLY else None)
    return wrong + (host.goes_on(job) if not wrong else [])


# ---- the network half is gone, or does not move ----

def frames_until(host, job, k, act):
    """A deployment whose k-th message from the host half is met by act(wire); its number of messages otherwise."""
    with host.wire(timeout=90) as wire:
        wire.send(frame({"job_id": job}, REQUEST, OPS["deploy"]))
        seen = 0
        while True:
            kind, body = wire.receive()
            seen += 1
            if seen == k:
                act(wire, kind)
                return seen, kind
            if kind == CALL:
                wire.send(host.truth())
            elif kind in (REPLY, FAIL, END):
                assert kind == REPLY and json.loads(body)["outcome"] == "succeeded", body
                return seen, None
            assert kind != PART


def gone(host, k):
    """It is killed when it gets the k-th message."""
    job = host.new_certificate()
    seen, kind = frames_until(host, job, k, lambda wire, kind: wire.close())
    wrong = host.settled()
    if kind is not None:
        wrong += host.goes_on(job)
    return seen, wrong


def stopped(host, k):
    """It is stopped when it gets the k-th message: its end of the socket stays open, and nobody answers."""
    job = host.new_certificate()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = []

        def hold(wire, kind):
            """Until the host half hangs up."""
            wire.sock.settimeout(100)
            while wire.take(1) is not None:
                held.append(kind)
        pool.submit(frames_until, host, job, k, hold).result()
    wrong = host.settled()
    return wrong + host.goes_on(job)


def calls_among(host):
    """Numbers of the messages that ask for a handshake."""
    job, found = host.new_certificate(), []
    with host.wire(timeout=90) as wire:
        wire.send(frame({"job_id": job}, REQUEST, OPS["deploy"]))
        seen, kind = 0, None
        while kind not in (REPLY, FAIL, END):
            kind, _ = wire.receive()
            seen += 1
            if kind == CALL:
                found.append(seen)
                wire.send(host.truth())
    assert kind == REPLY, kind
    return found, seen


# ---- others beside it ----

def command(host, *words, timeout=60):
    return subprocess.run([str(host.build / "bin/clmbot"), *words, "--config", str(host.config)], capture_output=True, text=True,
                          timeout=timeout, check=False, stdin=subprocess.DEVNULL)


def during(host, k, act):
    """A deployment in whose k-th question act() happens."""
    job = host.new_certificate()
    asked, results = [0], []

    def on_call(call):
        asked[0] += 1
        if asked[0] == k:
            results.append(act())
        return host.truth(call)
    kind, answer = host.ask("deploy", {"job_id": job}, on_call=on_call)
    assert kind == REPLY and answer["outcome"] == "succeeded", answer
    assert results, f"there was no question {k}"
    return results[0]


def beside_recover(host, k, *more):
    """A second agent's recovery, at boot or not, while the first deploys: it ends at once, and says why."""
    done = during(host, k, lambda: command(host, "recover", *more))
    wrong = [] if done.returncode == 2 and re.search(r"in use by process \d+", done.stderr) else [f"recover: {done}"]
    return wrong + host.settled("succeeded")


def beside_rollback(host, k):
    """An operator's "clmbot rollback" while the service deploys: one after the other, and both are true."""
    job = host.new_certificate()
    first = host.was[2]
    waiting = []

    def on_call(call):
        if not waiting:
            waiting.append(subprocess.Popen([str(host.build / "bin/clmbot"), "rollback", host.server.target, "--config", str(host.config)],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            time.sleep(0.05 * k)  # the moment is what differs
        return host.truth(call)
    kind, answer = host.ask("deploy", {"job_id": job}, on_call=on_call)
    assert kind == REPLY and answer["outcome"] == "succeeded", answer
    _, err = waiting[0].communicate(timeout=60)
    wrong = host.settled()
    if waiting[0].returncode != 0 or host.server.served() != first:
        wrong.append(f"rollback: {waiting[0].returncode} {err}; the one before is{' not' * (host.server.served() != first)} served")
    return wrong


def second_service(host, _):
    """"clmbot run" started twice: the second says so and ends; the first is not disturbed."""
    run = host.work / "run2"
    run.mkdir(exist_ok=True)
    config = host.work / "second.yaml"
    config.write_text(host.config.read_text().replace(str(host.run_dir), str(run)))
    config.chmod(0o644)
    argv = [str(host.build / "bin/clmbot"), "run", "--spawn-host", "--config", str(config)]
    with open(host.work / "first.log", "wb") as log, subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True) as first:
        try:
            base.until(lambda: (run / "host.sock").exists(), 10, "the first service")
            second = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
            wrong = [] if second.returncode != 0 and "listens on" in second.stderr else [f"the second one: {second}"]
            if first.poll() is not None or not (run / "host.sock").exists():
                wrong.append("the first one is disturbed")
        finally:
            first.terminate()
            first.wait(30)
    return wrong


BESIDE = {f"recover at question {k}": (beside_recover, k) for k in (1, 2, 3)} | \
    {"recover at boot at question 2": (lambda host, k: beside_recover(host, k, "--boot"), 2)} | \
    {f"rollback, {k}": (beside_rollback, k) for k in (0, 3)} | {"run": (second_service, 0)}

