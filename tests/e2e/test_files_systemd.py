# SPDX-License-Identifier: Apache-2.0
"""Generic files of a unit under a real systemd: restarted where policy says so, and only there."""
import json
import pathlib
import shutil
import tempfile

import pytest

from harness import pki
from harness.base import leaf_sha256, until
from harness.box import NAME, Box
from harness.machine import why_not

PORT = 9443
UNIT = f"""[Service]
ExecStart=/usr/bin/openssl s_server -accept 127.0.0.1:{PORT} -cert /etc/shop/tls.crt -key /etc/shop/tls.key -quiet
"""
DROP_IN = {
    "policy": {"write_roots": ["/etc/shop"], "restart": ["shop.service"]},
    "files": {"shop": {
        "outputs": [{"path": "/etc/shop/tls.crt", "content": "fullchain"},
                    {"path": "/etc/shop/tls.key", "content": "key"}],
        "reload": "restart", "unit": "shop.service",
        "verify": {"address": "127.0.0.1", "port": str(PORT), "sni": NAME}}},
}


class ShopBox(Box):
    def install(self):
        super().install()
        more = self.work / "clmbot.d"
        more.mkdir(exist_ok=True)
        (more / "shop.yaml").write_text(json.dumps(DROP_IN))

    def prepare(self):
        pki.write_pair(self.work / "tls.crt", self.work / "tls.key", [NAME])
        self.write("/etc/shop/tls.crt", (self.work / "tls.crt").read_bytes())
        self.write("/etc/shop/tls.key", (self.work / "tls.key").read_bytes())
        self.write("/etc/systemd/system/shop.service", UNIT.encode())
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", "shop.service")
        until(self.shown, what="the shop")

    def shown(self):
        done = self.machine.run("sh", "-c", f"openssl s_client -connect 127.0.0.1:{PORT} -servername {NAME} "
                                "</dev/null 2>/dev/null | openssl x509", check=False)
        if done.returncode != 0:
            return None
        (self.work / "shown.pem").write_text(done.stdout)
        return leaf_sha256(self.work / "shown.pem")

    def main_pid(self):
        return self.machine.run("systemctl", "show", "-p", "MainPID", "--value", "shop.service").stdout.strip()

    def order_shop(self):
        cert = json.loads(self.cp("certs", "add", "--agent", self.agent_id, "--target", "file:shop", "--key",
                                  "ec-p256", "--name", NAME, "--json").stdout)["id"]
        job = json.loads(self.cp("action", "order", "--cert", cert, "--json").stdout)["job_id"]

        def over():
            shown = json.loads(self.cp("jobs", "show", job, "--json").stdout)
            return shown if shown["state"] in ("succeeded", "failed", "rolled_back", "rejected") else None

        return until(over, 60, "the job")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    work = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-shop."))
    work.chmod(0o755)
    it = ShopBox(work)
    try:
        it.up()
        it.prepare()
        yield it
    finally:
        it.machine.stop()
        shutil.rmtree(work, ignore_errors=True)


def test_a_unit_that_may_be_restarted_is(box):
    old, pid = box.shown(), box.main_pid()
    job = box.order_shop()
    assert job["state"] == "succeeded", job
    assert box.shown() not in (old, None)
    assert box.main_pid() != pid


def test_a_restart_that_fails_is_undone(box):
    old = box.shown()
    box.write("/etc/systemd/system/shop.service.d/broken.conf",
              b"[Service]\nExecStartPre=/bin/sh -c 'test -e /run/shop-may-start && rm /run/shop-may-start || exit 1'\n"
              b"Restart=on-failure\nRestartSec=1\n")
    box.machine.run("systemctl", "daemon-reload")
    try:
        job = box.order_shop()
        assert job["state"] in ("rolled_back", "failed"), job
        assert "shop.service" in json.dumps(job["result"]), job
        installed = box.machine.run("cat", "/etc/shop/tls.crt").stdout
        (box.work / "now.pem").write_text(installed)
        assert leaf_sha256(box.work / "now.pem") == old
    finally:
        box.machine.run("rm", "-r", "/etc/systemd/system/shop.service.d")
        box.machine.run("systemctl", "daemon-reload")
        box.machine.run("systemctl", "reset-failed", "shop.service", check=False)
        box.machine.run("systemctl", "restart", "shop.service")
    assert until(box.shown, what="the shop") == old


def test_a_stopped_unit_is_not_started(box):
    box.machine.run("systemctl", "stop", "shop.service")
    try:
        job = box.order_shop()
        assert job["state"] == "failed", job
        assert "shop.service is not running; start it first" in json.dumps(job["result"]), job
    finally:
        box.machine.run("systemctl", "start", "shop.service")
