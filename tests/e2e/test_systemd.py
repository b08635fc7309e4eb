# SPDX-License-Identifier: Apache-2.0
"""Debian's own nginx unit under a real systemd: found by its unit, reloaded through D-Bus, rolled back."""
import json
import pathlib
import shutil
import tempfile

import pytest

from harness import pki
from harness.base import BOT, PLANE, leaf_sha256, until
from harness.machine import Machine, why_not

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


class Box:
    """The machine with nginx.service, a control plane and an enrolled agent as transient units."""

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
        self.machine.run("systemd-run", "--unit=plane", self.plane, "serve", "--data", self.work / "cp",
                         "--listen", "127.0.0.1:8443", "--operator", "127.0.0.1:8440",
                         "--config", self.work / "cp.json")
        until(lambda: self.cp("agents", "list", check=False).returncode == 0, what="the control plane")
        self.config.write_text(f"""state_dir: {self.work}/state
run_dir: {self.work}/run
user: nobody
group: nogroup
scan: {{interval: 0}}
policy: {{names: {{allow: ["{NAME}"]}}, write_roots: [/etc/nginx/tls]}}
deploy: {{deadline: 5}}
""")
        self.config.chmod(0o644)
        token = self.work / "token"
        token.touch(mode=0o600)
        token.write_text(json.loads(self.cp("token", "create", "--json").stdout)["token"])
        self.machine.run(self.bot, "enroll", "--config", self.config, "--token-file", token)
        self.machine.run("systemd-run", "--unit=clmbot", self.bot, "run", "--spawn-host", "--config", self.config)
        self.agent_id = json.loads(self.cp("agents", "list", "--json").stdout)["agents"][0]["agent_id"]

    def write(self, path, data):
        (self.work / "file").write_bytes(data)
        self.machine.run("install", "-D", "-m", "600", self.work / "file", path)

    def cp(self, *args, check=True):
        return self.machine.run(self.plane, *args, "--data", self.work / "cp", check=check)

    def served(self):
        done = self.machine.run("sh", "-c", f"openssl s_client -connect 127.0.0.1:443 -servername {NAME} "
                                "</dev/null 2>/dev/null | openssl x509 2>/dev/null", check=False)
        if done.returncode != 0:
            return None
        (self.work / "seen.pem").write_text(done.stdout)
        return leaf_sha256(self.work / "seen.pem")

    def order(self):
        cert = json.loads(self.cp("certs", "add", "--agent", self.agent_id, "--target", f"nginx:{NAME}",
                                  "--name", NAME, "--json").stdout)
        cert_id = cert.get("certificate_id") or cert["id"]
        job = json.loads(self.cp("action", "order", "--cert", cert_id, "--json").stdout)["job_id"]
        over = ("succeeded", "failed", "rolled_back", "rejected")

        def look():
            shown = json.loads(self.cp("jobs", "show", job, "--json").stdout)
            return shown if shown["state"] in over else None

        return until(look, 60, "the job to end")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    work = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-box."))
    work.chmod(0o755)
    it = Box(work)
    try:
        it.up()
        yield it
    finally:
        it.machine.stop()
        shutil.rmtree(work, ignore_errors=True)


def test_the_unit_is_found(box):
    scan = json.loads(box.machine.run(box.bot, "scan", "--json", "--config", box.config).stdout)
    service = next(s for s in scan["services"] if s["kind"] == "nginx")
    assert service["unit"] == "nginx.service"
    assert [t["target"] for t in service["targets"] if t["manageable"]] == [f"nginx:{NAME}"]
    plan = box.machine.run(box.bot, "plan", f"nginx:{NAME}", "--config", box.config).stdout
    assert "nginx.service" in plan


def test_a_deployment_reloads_the_unit(box):
    old = box.served()
    job = box.order()
    assert job["state"] == "succeeded", job
    assert box.served() not in (old, None)


def test_a_unit_whose_reload_fails_is_rolled_back(box):
    old = box.served()
    box.write("/etc/systemd/system/nginx.service.d/broken.conf", b"[Service]\nExecReload=\nExecReload=/bin/false\n")
    box.machine.run("systemctl", "daemon-reload")
    try:
        job = box.order()
        assert job["state"] in ("rolled_back", "failed"), job
        assert "nginx.service" in str(job["result"]["error"]), job
        assert box.served() == old
        installed = box.machine.run("cat", "/etc/nginx/tls/www.pem").stdout
        (box.work / "now.pem").write_text(installed)
        assert leaf_sha256(box.work / "now.pem") == old
    finally:
        box.machine.run("rm", "-r", "/etc/systemd/system/nginx.service.d")
        box.machine.run("systemctl", "daemon-reload")
    assert box.order()["state"] == "succeeded"


def test_a_stopped_unit_is_reported_apart(box):
    box.machine.run("systemctl", "stop", "nginx")
    try:
        scan = json.loads(box.machine.run(box.bot, "scan", "--json", "--config", box.config).stdout)
        nginx = [s for s in scan["services"] if s["kind"] == "nginx"]
        assert nginx and not any(s["running"] for s in nginx), scan
    finally:
        box.machine.run("systemctl", "start", "nginx")
