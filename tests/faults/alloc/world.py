# SPDX-License-Identifier: Apache-2.0
"""A small world for every command: nginx with a certificate that was ordered twice, a control plane, an agent."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from harness.agent import Agent
from harness.base import BOT, PLANE, TOP, leaf_sha256, until
from harness.plane import ControlPlane
from harness.webservers import Nginx

PASSWORD = "changeit"  # of tests/fixtures/keystore


class World:
    def __init__(self):
        where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-alloc.", dir=where))
        self.root.chmod(0o755)
        self.server = Nginx(self.root / "nginx")
        self.plane = ControlPlane(self.root, http_port=self.server.http)
        self._no_rates(self.plane.config)
        self.agent = Agent(self.root / "agent", write_roots=[self.server.tls], deadline=4)
        self.fresh = Agent(self.root / "fresh")
        self._narrow(self.agent.config)
        self.is_live = False
        self.job = self.cert = self.token = self.configuration = None
        self.password = self.root / "password"
        self.password.touch(mode=0o600)
        self.password.write_text(PASSWORD + "\n")
        self.secrets = [PASSWORD]

    @staticmethod
    def _no_rates(config):
        """Thousands of enrolments in a minute are meant here."""
        rates = ("agent_per_min", "agent_burst", "enroll_per_min", "enroll_burst", "token_per_min")
        config.write_text(json.dumps({**json.loads(config.read_text()), **{rate: 10000 for rate in rates}}))

    def _rests(self):
        jobs = self.agent.json("status", check=False)["jobs"]
        return jobs["running"] + jobs["waiting"] == 0

    def _narrow(self, config):
        """Only this world's files are looked at."""
        text = config.read_text().replace(
            "scan: {interval: 0}", f"scan: {{interval: 0, files: {{roots: [{self.server.tls}]}}}}")
        config.write_text(text)

    def up(self):
        self.server.start()
        self.plane.start()
        self.agent.enroll(self.plane.token())
        self.go_live()
        self.agent.id = self.plane.agents()[0]["id"]
        self.cert = self.plane.add_certificate(self.agent.id, self.server.target, [self.server.name])
        for _ in range(2):
            self.job = self.plane.action("order", "--cert", self.cert)
            done = self.plane.wait_job(self.job)
            assert done["state"] == "succeeded", done
        answer = self.plane.json("configs", "add", "--agent", self.agent.id, "--target", self.server.target,
                                 "--name", self.server.name)
        self.configuration = answer.get("configuration_id") or answer["id"]
        self.token = self.plane.token("--uses", "100000")
        self._remember_secrets()
        until(self._rests, what="the agent to rest")

    def _remember_secrets(self):
        """Lines of private keys and the token: none of them may be printed or logged."""
        self.secrets += [part for part in self.token.split(".")[1:] if len(part) > 20]
        for key in [self.server.key, *self.agent.state.rglob("*.key"), *self.agent.state.rglob("*key*.pem")]:
            if key.is_file():
                self.secrets += [line for line in key.read_text(errors="replace").splitlines()
                                 if len(line) >= 40 and "-----" not in line]

    def go_live(self):
        if not self.is_live:
            self.agent.start()
            self.is_live = True

    def go_quiet(self):
        """The agent ends: root's commands start a host half of their own from now on."""
        if self.is_live:
            self.agent.stop()
            self.is_live = False

    def down(self):
        for part in (self.agent, self.plane, self.server):
            part.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    # ---- what must not change ----

    def files(self):
        """Everything a command that only looks must leave as it is: {path: hash}."""
        found = {}
        for top in (self.server.tls, self.server.conf, self.agent.state / "host"):
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def targets(self):
        return {str(p): p.read_bytes() for p in sorted(self.server.tls.iterdir())}

    # ---- going back ----

    def save(self):
        """All that a rollback changes, to be put back by restore()."""
        self.go_quiet()
        for name, path in (("tls", self.server.tls), ("state", self.agent.state)):
            subprocess.run(["cp", "-a", path, self.root / f"saved-{name}"], check=True)

    def restore(self):
        for name, path in (("tls", self.server.tls), ("state", self.agent.state)):
            shutil.rmtree(path)
            subprocess.run(["cp", "-a", self.root / f"saved-{name}", path], check=True)
        os.kill(self.server.process.pid, signal.SIGHUP)
        until(lambda: self.server.served() == self.server.installed(), what="nginx to serve what is installed")

    def is_whole(self):
        """Why certificate and key at the target are not a pair that is served; None if they are."""
        cert = subprocess.run(["openssl", "x509", "-in", self.server.cert, "-noout", "-pubkey"],
                              capture_output=True, check=False).stdout
        key = subprocess.run(["openssl", "pkey", "-in", self.server.key, "-pubout"], capture_output=True,
                             check=False).stdout
        if not cert or cert != key:
            return "certificate and key at the target do not fit"
        names = sorted(p.name for p in self.server.tls.iterdir())
        if names != ["www.key", "www.pem"]:
            return f"left beside the target: {names}"
        return None

    def fresh_enrolment(self):
        """A host that never enrolled, and its token."""
        shutil.rmtree(self.fresh.state, ignore_errors=True)
        path = self.root / "fresh" / "token"
        path.touch(mode=0o600)
        path.write_text(self.token)
        return path


def commands_of(source, table):
    """The names in a table of commands, hidden ones too: a new command cannot be forgotten here."""
    text = (TOP / source).read_text()
    body = text[text.index(table):]
    body = body[:body.index("\n};")]
    names = []
    for piece in body.split("{.name = \"")[1:]:
        names.append(piece[:piece.index('"')])
    return names



__all__ = ["BOT", "PLANE", "PASSWORD", "World", "commands_of", "leaf_sha256"]
