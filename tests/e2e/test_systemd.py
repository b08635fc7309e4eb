# SPDX-License-Identifier: Apache-2.0
"""Debian's own nginx unit under a real systemd: found by its unit, reloaded through D-Bus, rolled back."""
import json
import pathlib
import shutil
import tempfile

import pytest

from harness.base import leaf_sha256
from harness.box import NAME, Box
from harness.machine import why_not


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
    scan = json.loads(box.run("scan", "--json").stdout)
    service = next(s for s in scan["services"] if s["kind"] == "nginx")
    assert service["unit"] == "nginx.service"
    assert [t["target"] for t in service["targets"] if t["manageable"]] == [f"nginx:{NAME}"]
    plan = box.run("plan", f"nginx:{NAME}").stdout
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
        scan = json.loads(box.run("scan", "--json").stdout)
        nginx = [s for s in scan["services"] if s["kind"] == "nginx"]
        assert nginx and not any(s["running"] for s in nginx), scan
    finally:
        box.machine.run("systemctl", "start", "nginx")
