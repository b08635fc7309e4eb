# SPDX-License-Identifier: Apache-2.0
"""The units of the package under a real systemd, with their sandbox: both halves, restart, power cut and boot."""
import json
import pathlib
import re
import shutil
import tempfile

import pytest

from harness.base import until
from harness.box import NAME, PackagedBox
from harness.machine import why_not

STUCK = b"""[Service]
ExecReload=
ExecReload=/bin/sh -c 'touch /run/reloading; sleep 600'
"""


@pytest.fixture(scope="module")
def box():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    work = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-units."))
    work.chmod(0o755)
    it = PackagedBox(work)
    try:
        it.up()
        yield it
    finally:
        it.machine.stop()
        shutil.rmtree(work, ignore_errors=True)


def state_of(box, unit, key="ActiveState"):
    return box.machine.run("systemctl", "show", "-P", key, unit).stdout.strip()


def test_both_halves_run_as_units(box):
    assert state_of(box, "clmbot.service") == "active"
    assert state_of(box, "clmbot-host.socket") == "active"
    pid = state_of(box, "clmbot.service", "MainPID")
    status = box.machine.run("cat", f"/proc/{pid}/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapBnd"], 16) == 0 and fields["NoNewPrivs"].strip() == "1" and fields["Seccomp"].strip() == "2"
    assert fields["Uid"].split()[0] != "0"
    shown = json.loads(box.run("status", "--json", check=False).stdout)
    assert shown["control_plane"]["state"] in ("connected", "ok", "in_contact"), shown["control_plane"]


def test_the_network_half_can_read_no_key_and_write_no_file(box):
    pid = state_of(box, "clmbot.service", "MainPID")
    # root with every capability, as an exploit of the kernel would be: the mounts alone must hold
    look = ["nsenter", "-t", pid, "-m", "-S", "0", "sh", "-c"]
    assert "bundles" in box.machine.run("ls", "/var/lib/clmbot/host").stdout
    assert box.machine.run(*look, "ls /var/lib/clmbot/host", check=False).stdout == ""
    assert box.machine.run(*look, "touch /etc/nginx/x", check=False).returncode != 0
    assert box.machine.run(*look, "touch /usr/x", check=False).returncode != 0


def test_an_order_goes_through_the_sandbox(box):
    old = box.served()
    job = box.order()
    assert job["state"] == "succeeded", job
    assert box.served() not in (old, None)
    until(lambda: state_of(box, "clmbot-host.service") == "inactive", 60, "the host half to end when idle")
    assert state_of(box, "clmbot-host.service", "Result") == "success"


def test_root_scans_plans_and_verifies_through_the_host_unit(box):
    scan = json.loads(box.run("scan", "--json").stdout)
    target = next(t for s in scan["services"] for t in s["targets"] if t["target"] == f"nginx:{NAME}")
    assert target["manageable"] and target["certificate"]["key_matches"], target
    assert "nginx.service" in box.run("plan", f"nginx:{NAME}").stdout
    assert box.run("verify").returncode == 0


def test_a_restart_loses_nothing(box):
    box.machine.run("systemctl", "restart", "clmbot.service", "clmbot-host.socket")
    assert box.order()["state"] == "succeeded"


def test_a_power_cut_in_the_middle_is_undone_before_the_server_starts(box):
    old = box.served()
    old_file = box.machine.run("cat", "/etc/nginx/tls/www.pem").stdout
    box.write("/etc/systemd/system/nginx.service.d/stuck.conf", STUCK)
    box.machine.run("systemctl", "daemon-reload")
    box.order(wait=False)
    until(lambda: box.machine.run("test", "-e", "/run/reloading", check=False).returncode == 0, 30,
          "the reload to begin")
    assert box.machine.run("cat", "/etc/nginx/tls/www.pem").stdout != old_file
    box.machine.cut()
    box.machine.forget("/etc/systemd/system/nginx.service.d/stuck.conf")
    box.machine.boot()
    assert box.machine.run("cat", "/etc/nginx/tls/www.pem").stdout == old_file
    until(lambda: box.served() == old, what="nginx to serve the old certificate")
    log = box.machine.log.read_text(errors="replace")
    assert state_of(box, "clmbot-recover.service", "Result") == "success", log[-2000:]
    begun = {unit: int(state_of(box, unit, "ExecMainStartTimestampMonotonic"))
             for unit in ("clmbot-recover.service", "nginx.service")}
    assert 0 < begun["clmbot-recover.service"] < begun["nginx.service"], begun


def test_nothing_to_recover_costs_nothing(box):
    box.start_plane()
    box.machine.run("systemctl", "start", "clmbot.service")
    assert box.order()["state"] == "succeeded"
    box.machine.cut()
    box.machine.boot()
    assert int(state_of(box, "clmbot-recover.service", "ExecMainStartTimestampMonotonic")) == 0
    assert state_of(box, "clmbot-recover.service", "ConditionResult") == "no"


@pytest.mark.parametrize("unit, most", [("clmbot.service", 1.2), ("clmbot-recover.service", 1.3),
                                        ("clmbot-host.service", 2.8)])
def test_the_sandbox_is_as_tight_as_documented(box, unit, most):
    done = box.machine.run("systemd-analyze", "security", "--no-pager", unit, check=False)
    level = re.search(rf"exposure level for {re.escape(unit)}: ([0-9.]+)", done.stdout)
    assert level and float(level[1]) <= most, done.stdout[-3000:] + done.stderr
