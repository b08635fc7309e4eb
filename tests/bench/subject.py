# SPDX-License-Identifier: Apache-2.0
"""The one place that drives clmbot: agent and control plane of the build under CLM_BUILD."""
import contextlib
import grp
import json
import os
import pathlib
import pwd
import select
import socket
import subprocess
import threading
import time
import urllib.request

from harness.agent import Agent
from harness.base import BOT, PLANE, Process, until
from harness.plane import ControlPlane

from website import NAME

OVER = ("succeeded", "failed", "rolled_back", "rejected", "canceled", "skipped", "expired", "denied")


def why_not():
    """Why clmbot cannot be measured; None if it can."""
    for program in (BOT, PLANE):
        if not program.exists():
            return f"clmbot is not measured: {program} is not built"
    return None


class UnitAgent(Agent):
    """The halves as systemd starts them: no supervisor; the host half when somebody connects."""

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.host = self.listener = self.thread = None
        self.is_stopping = threading.Event()

    def start(self, env=None):
        user, group = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
        self.run_dir.mkdir(exist_ok=True)
        os.chown(self.run_dir, 0, group)
        self.run_dir.chmod(0o770)
        (self.state / "net").mkdir(parents=True, exist_ok=True)
        os.chown(self.state / "net", user, group)
        path = self.run_dir / "host.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chown(path, 0, group)
        path.chmod(0o660)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self._activate, daemon=True)
        self.thread.start()
        self.process = Process([BOT, "run", "--config", self.config], self.root / "agent.log", env=env)
        until(lambda: self.run("status", "--json", check=False).returncode in (0, 1, 2, 3)
              or not self.process.is_running(), what="the agent's status")
        assert self.process.is_running(), self.process.text()

    def _activate(self):
        while not self.is_stopping.is_set():
            if self.host and self.host.is_running():
                time.sleep(0.05)
            elif select.select([self.listener], [], [], 0.2)[0]:
                self.host = Activated([BOT, "host", "--config", self.config], self.root / "host.log",
                                      self.listener.fileno())

    def stop(self):
        try:
            super().stop()
        finally:
            if self.thread:
                self.is_stopping.set()
                self.thread.join()
                self.listener.close()
            if self.host:
                self.host.stop()

    def leaders(self):
        return [part.pid for part in (self.process, self.host) if part and part.is_running()]


class Activated(Process):
    """A process that is given a listening socket as systemd gives it: descriptor 3."""

    def __init__(self, argv, log, fd):
        self.log = pathlib.Path(log)
        self.argv = ["bash", "-c", 'exec 3<&"$0"; exec "$@"', str(fd), *map(str, argv)]
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True,
                pass_fds=(fd,), env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "LISTEN_FDS": "1"})


@contextlib.contextmanager
def fleet(work, site, directory_url, ca_pem, agent_class=Agent):
    """An enrolled, running agent beside the site, and a control plane that orders at the ACME server.

    Gives (agent, plane, certificate id). directory_url None: the built-in issuer."""
    connectors = []
    if directory_url is not None:
        connectors = [{"name": "pebble", "type": "acme", "directory": directory_url, "ca_file": str(ca_pem)}]
    plane = ControlPlane(work, http_port=site.http, connectors=connectors,
                         default="pebble" if connectors else "builtin")
    agent = agent_class(work / "agent", names=(NAME,), write_roots=[site.tls])
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: plane.process and plane.process.stop())
        plane.start()
        stack.callback(agent.stop)
        agent.enroll(plane.token())
        agent.start()
        agent.id = plane.agents()[0]["id"]
        cert = plane.add_certificate(agent.id, f"nginx:{NAME}", [NAME], "ec-p256")
        yield agent, plane, cert


def call(plane, path, body=None):
    """A request to the operator's API: no process to start inside the measured time."""
    token = (pathlib.Path(plane.data) / "operator.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(plane.operator_url.rstrip("/") + path, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


class Times:
    """Seconds of one order: to the wire and to the verdict from the operator's request; from the lease."""

    def __init__(self, on_wire, verified, from_lease):
        self.on_wire, self.verified, self.from_lease = on_wire, verified, from_lease


def order(plane, cert, site):
    """Orders once. The clock runs before the operator's request is sent.

    Nothing is asked of nginx before the file of the certificate changes: looking costs what is measured."""
    old, file_before = site.leaf(), os.stat(site.cert)
    start = time.monotonic()
    job = call(plane, "/api/v1/actions", {"type": "order", "certificate_id": cert})["job_id"]

    asked = start

    def check():
        nonlocal asked
        if time.monotonic() - asked < 5:
            return
        asked = time.monotonic()
        state = call(plane, f"/api/v1/jobs/{job}")
        if asked - start > 60 or state["state"] in OVER[1:]:
            raise AssertionError(f"clmbot: job {state['state']}, the new certificate is not served: {state['error']}")

    while os.stat(site.cert).st_ino == file_before.st_ino:
        check()
        time.sleep(0.002)
    while site.leaf() in (old, None):
        check()
        time.sleep(0.005)
    on_wire = time.monotonic() - start
    while True:
        state = call(plane, f"/api/v1/jobs/{job}")
        if state["state"] in OVER:
            break
        check()
        time.sleep(0.01)
    verified = time.monotonic() - start
    if state["state"] != "succeeded":
        raise AssertionError(f"clmbot: job {state['state']}: {state}")
    return Times(on_wire, verified, state["result"]["duration_ms"] / 1000)
