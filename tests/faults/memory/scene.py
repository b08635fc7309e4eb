# SPDX-License-Identifier: Apache-2.0
"""An agent at work: nginx, declared keystores with passwords, a control plane; what is done with it, step by step."""
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile

from harness import agent as agent_module
from harness import pki
from harness.agent import Agent
from harness.base import Process, until
from harness.plane import ControlPlane
from harness.webservers import SERVERS

import memory

OVER = ("succeeded", "skipped")


class Scene:
    """programs: where clmbot is; the control plane is always that of the build."""

    def __init__(self, work, bot, exits):
        self.work = pathlib.Path(work)
        self.bot, self.exits = pathlib.Path(bot).resolve(), exits
        self.kept = memory.Kept(self.work / "kept")
        self.password = f"Correct-{secrets.token_hex(12)}"
        self.password_file = self.work / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(self.password + "\n")
        self.stores = self.work / "stores"
        self.stores.mkdir()
        self.hooks = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-hooks.", dir="/opt"))
        self.hooks.chmod(0o755)
        self.outputs = []  # of every command
        self.skipped = []
        self.parts = []
        self.agent = self.plane = self.nginx = None

    # ---- the parts ----

    def up(self):
        agent_module.BOT = self.bot
        self.nginx = SERVERS["nginx"](self.work / "nginx")
        self.plane = ControlPlane(self.work, http_port=self.nginx.http)
        self.agent = Agent(self.work / "agent", write_roots=[self.nginx.tls, self.stores], extra_policy=self.policy())
        self.parts = [self.plane, self.nginx]
        self.nginx.start()
        self.plane.start()

    def policy(self):
        files = {name: {"outputs": outputs, "reload": "none"} for name, outputs in self.declared().items()}
        slow = self.hooks / "slow"
        slow.write_text(f"#!/bin/sh\n[ -e {self.work}/slow ] || exit 0\ntouch {self.work}/waits\n"
                        f"while [ -e {self.work}/slow ]; do sleep 0.1; done\n")
        slow.chmod(0o755)
        files["slow"] = {"outputs": [self.declared()["pem"][0] | {"path": str(self.stores / "slow.pem")}],
                         "reload": "hook", "hook": "slow"}
        return (f"  targets: {{allow: [\"file:*\", \"nginx:*\"]}}\n  key_reuse: true\n"
                f"  hooks: {json.dumps({'slow': [str(slow)]})}\nfiles: {json.dumps(files)}")

    def declared(self):
        password = {"password_file": str(self.password_file)}
        return {"p12": [{"path": str(self.stores / "a.p12"), "format": "pkcs12", "alias": "a", **password}],
                "jks": [{"path": str(self.stores / "a.jks"), "format": "jks", "alias": "a", **password}],
                "locked": [{"path": str(self.stores / "locked.key"), "content": "key", **password},
                           {"path": str(self.stores / "locked.pem"), "content": "fullchain"}],
                "pem": [{"path": str(self.stores / "all.pem"), "content": "key_fullchain"}]}

    def down(self):
        self.stop_agent()
        for part in self.parts:
            part.stop()
        for path in self.hooks.iterdir():
            path.unlink()
        self.hooks.rmdir()

    def stop_agent(self):
        if self.agent:
            self.agent.stop()

    # ---- its processes ----

    def ours(self):
        return memory.living(self.bot, self.work)

    def run(self, *args, ok=(0,), stdin=None):
        """A command, under the helper."""
        done = subprocess.run([self.exits, self.kept.place, self.bot, *map(str, args),
                               *(() if args[0] == "keystore" else ("--config", self.agent.config))],
                              input=stdin, capture_output=True, text=True, timeout=120, check=False)
        self.outputs.append(done.stdout + done.stderr)
        assert done.returncode in ok, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start_agent(self):
        agent = self.agent
        agent.process = Process([self.exits, self.kept.place, self.bot, "run", "--spawn-host", "--config", agent.config],
                                agent.root / "agent.log")
        until(lambda: agent.run("status", "--json", check=False).returncode in (0, 1, 2, 3), what="the agent's status")
        agent.id = self.plane.agents()[0]["id"]

    def order(self, target, key="ec-p256", *more):
        name = self.nginx.name
        cert = self.plane.add_certificate(self.agent.id, target, [name], key, *more)
        job = self.plane.wait_job(self.plane.action("order", "--cert", cert))
        assert job["state"] in OVER, job
        return cert

    def texts(self):
        """Everything that anybody may read: [(name, bytes)]"""
        yield "output of commands", "\n".join(self.outputs).encode()
        if self.agent:
            log = self.agent.root / "agent.log"
            yield "log", log.read_bytes() if log.exists() else b""
            yield "output of the control plane", self.plane.out.read_bytes()
            for path in self.plane.data.rglob("*"):
                if path.is_file():
                    yield f"control plane's {path.name}", path.read_bytes()
            for path in (self.agent.state / "net").rglob("*"):
                if path.is_file():
                    yield f"network half's {path.name}", path.read_bytes()

    # ---- the steps ----

    def step_keystore_show(self):
        path, key, cert = (self.work / f"shown.{kind}" for kind in ("p12", "key", "pem"))
        pki.write_pair(cert, key, ["www.clmbot.test"])
        subprocess.run(["openssl", "pkcs12", "-export", "-inkey", key, "-in", cert, "-name", "a", "-passout",
                        f"file:{self.password_file}", "-out", path], check=True)
        self.run("keystore", "show", path, "-p", self.password_file)

    def step_enroll(self):
        token = self.work / "token"
        token.touch(mode=0o600)
        token.write_text(self.plane.token())
        self.run("enroll", "--token-file", token)
        self.start_agent()

    def step_order_ec(self):
        self.ec = self.order(self.nginx.target)

    def step_order_rsa(self):
        self.order(self.nginx.target, "rsa-2048")

    def step_pkcs12(self):
        self.order("file:p12", "rsa-2048")

    def step_jks(self):
        self.order("file:jks")

    def step_locked_pem(self):
        self.order("file:locked", "rsa-2048")

    def step_keystore_again(self):
        for path in sorted(self.stores.glob("a.*")):
            self.run("keystore", "show", path, "-p", self.password_file)

    def step_same_key(self):
        """The key of the certificate that is installed, once more."""
        self.order(self.nginx.target, "ec-p256", "--csr-mode", "installed", "--reuse-key")

    def step_one_file(self):
        self.order("file:pem")

    def step_scan_and_certs(self):
        for words in (("scan",), ("certs",), ("verify",), ("explain", self.nginx.target), ("plan", self.nginx.target)):
            self.run(*words, ok=(0, 1, 2, 3))

    def step_rollback(self):
        self.run("rollback", self.nginx.target)

    def step_recovery(self):
        """Killed in the middle, then recovered by a process of its own."""
        (self.work / "slow").touch()
        cert = self.plane.add_certificate(self.agent.id, "file:slow", [self.nginx.name], "rsa-2048")
        self.plane.action("order", "--cert", cert)
        until((self.work / "waits").exists, 40, "the hook to begin")
        self.agent.kill()
        (self.work / "slow").unlink()
        self.run("recover")

    def step_crash(self):
        """A host half that crashes leaves no core; nobody else may look into it."""
        if not shutil.which("gcore"):
            self.skipped.append("Whether another user may dump a process was only read from its mode: gcore (gdb) is missing.")
        place = self.work / "dump"
        place.mkdir()
        place.chmod(0o777)
        if not self.agent.process or not self.agent.process.is_running():
            self.start_agent()
        self.run("scan", ok=(0, 1))
        host = next(pid for pid, word in self.ours() if word == "host")
        limits = pathlib.Path(f"/proc/{host}/limits").read_text(encoding="utf-8")
        assert "Max core file size        0                    0" in limits, limits
        for pid, word in self.ours():
            if word == "_job":
                continue  # may end any moment
            assert os.stat(f"/proc/{pid}/mem").st_uid == 0, f"'clmbot {word}' can be dumped by its user"
            if shutil.which("gcore"):
                look = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "gcore", "-o",
                                       place / "core", str(pid)], capture_output=True, text=True, check=False)
                assert look.returncode != 0 and not list(place.iterdir()), f"gcore of 'clmbot {word}' by its own user"
        os.kill(host, signal.SIGSEGV)
        until(lambda: host not in [pid for pid, _ in self.ours()], what="the crash")
        assert not list(pathlib.Path("/").glob("core*")) and not list(self.work.rglob("core.[0-9]*"))
