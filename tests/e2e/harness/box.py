# SPDX-License-Identifier: Apache-2.0
"""A booted machine with nginx.service, a control plane and an enrolled agent."""
import json
import os
import shutil
import subprocess

from . import pki
from .base import BOT, BUILD, PLANE, leaf_sha256, until
from .machine import Machine

NAME = "www.clmbot.test"
SITE = f"""
server {{ listen 80; server_name {NAME}; root /var/www/html; }}
server {{
    listen 443 ssl;
    server_name {NAME};
    ssl_certificate /etc/nginx/tls/www.pem;
    ssl_certificate_key /etc/nginx/tls/www.key;
}}
"""


POLICY = f"""scan: {{interval: 0}}
policy: {{names: {{allow: ["{NAME}"]}}, write_roots: [/etc/nginx/tls]}}
deploy: {{deadline: 5}}
"""


class Box:
    """The agent from where it was built, as a transient unit that starts both halves."""

    def __init__(self, work):
        self.work = work
        self.machine = Machine(work, work)
        self.bot = work / "clmbot"
        self.plane = work / "clmbot-controlplane"
        self.config = work / "clmbot.yaml"
        shutil.copy(BOT, self.bot)
        shutil.copy(PLANE, self.plane)

    def up(self):
        self.machine.start(["nginx.service"])
        self.write("/etc/nginx/tls/www.pem", b"")
        pki.write_pair(self.work / "www.pem", self.work / "www.key", [NAME])
        self.machine.run("cp", "-p", self.work / "www.pem", self.work / "www.key", "/etc/nginx/tls/")
        self.write("/etc/nginx/conf.d/site.conf", SITE.encode())
        self.machine.run("systemctl", "reload", "nginx")
        until(lambda: self.served(), what="nginx to serve TLS")
        (self.work / "cp.json").write_text(json.dumps({"connectors": [
            {"name": "builtin", "type": "builtin", "dcv": "http-01", "http_port": 80, "resolve": "127.0.0.1"}],
            "default_connector": "builtin"}))
        self.start_plane()
        self.install()
        token = self.work / "token"
        token.touch(mode=0o600)
        token.write_text(json.loads(self.cp("token", "create", "--json").stdout)["token"])
        self.run("enroll", "--token-file", token)
        self.start()
        self.agent_id = json.loads(self.cp("agents", "list", "--json").stdout)["agents"][0]["agent_id"]

    def start_plane(self):
        self.machine.run("systemd-run", "--unit=plane", self.plane, "serve", "--data", self.work / "cp",
                         "--listen", "127.0.0.1:8443", "--operator", "127.0.0.1:8440",
                         "--config", self.work / "cp.json")
        until(lambda: self.cp("agents", "list", check=False).returncode == 0, what="the control plane")

    def install(self):
        self.config.write_text(f"""state_dir: {self.work}/state
run_dir: {self.work}/run
user: nobody
group: nogroup
{POLICY}""")
        self.config.chmod(0o644)

    def start(self):
        self.machine.run("systemd-run", "--unit=clmbot", self.bot, "run", "--spawn-host", "--config", self.config)

    def run(self, *args, check=True):
        return self.machine.run(self.bot, *args, "--config", self.config, check=check)

    def write(self, path, data):
        (self.work / "file").write_bytes(data)
        self.machine.run("install", "-D", "-m", "600", self.work / "file", path)

    def cp(self, *args, check=True):
        return self.machine.run(self.plane, *args, "--data", self.work / "cp", check=check)

    def served(self, port=443):
        done = self.machine.run("sh", "-c", f"openssl s_client -connect 127.0.0.1:{port} -servername {NAME} "
                                "</dev/null 2>/dev/null | openssl x509 2>/dev/null", check=False)
        if done.returncode != 0:
            return None
        (self.work / "seen.pem").write_text(done.stdout)
        return leaf_sha256(self.work / "seen.pem")

    def order(self, target=f"nginx:{NAME}", wait=True):
        cert = json.loads(self.cp("certs", "add", "--agent", self.agent_id, "--target", target, "--name",
                                  NAME, "--json").stdout)
        cert_id = cert.get("certificate_id") or cert["id"]
        job = json.loads(self.cp("action", "order", "--cert", cert_id, "--json").stdout)["job_id"]
        return self.ended(job) if wait else job

    def ended(self, job):
        over = ("succeeded", "failed", "rolled_back", "rejected")

        def look():
            shown = json.loads(self.cp("jobs", "show", job, "--json").stdout)
            return shown if shown["state"] in over else None

        return until(look, 60, "the job to end")


class PackagedBox(Box):
    """What a package installs, where it installs it, started by its own units."""

    UNITS = ("clmbot-recover.service", "clmbot-host.socket", "clmbot.service")

    def __init__(self, work):
        super().__init__(work)
        self.bot = "/usr/sbin/clmbot"

    def install(self):
        tree = self.work / "tree"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": str(tree)})
        self.machine.run("cp", "-r", f"{tree}/usr/.", "/usr/")
        self.machine.run("systemd-sysusers", "/usr/lib/sysusers.d/clmbot.conf")
        self.machine.run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/clmbot.conf")
        self.write("/etc/clmbot/clmbot.yaml", POLICY.encode())
        self.machine.run("chmod", "755", "/etc/clmbot")
        self.machine.run("chmod", "644", "/etc/clmbot/clmbot.yaml")
        self.machine.run("systemctl", "daemon-reload")

    def start(self):
        self.machine.run("systemctl", "enable", "--now", *self.UNITS)

    def run(self, *args, check=True):
        return self.machine.run(self.bot, *args, check=check)
