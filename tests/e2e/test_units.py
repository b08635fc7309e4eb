# SPDX-License-Identifier: Apache-2.0
"""The units of the package under a real systemd, with their sandbox: both halves, restart, power cut and boot."""
import json
import pathlib
import re
import shutil
import tempfile
import time

import pytest

from harness import pki, tomcat
from harness.base import until
from harness.box import NAME, PackagedBox
from harness.machine import why_not

STUCK = b"""[Service]
ExecReload=
ExecReload=/bin/sh -c 'touch /run/reloading; sleep 600'
"""

BY_HAND = """pid /run/by-hand.pid;
events {}
http { server { listen 127.0.0.1:8081; } }
"""
TOMCAT_POLICY = b"""policy:
  write_roots: [/etc/nginx/tls, /srv/tomcat/conf/tls]
  tomcat_manager: {user: clmbot, password_file: /etc/clmbot/manager}
"""
APACHE = {
    "/etc/apache2/ports.conf": "Listen 127.0.0.1:8444\n",
    "/etc/apache2/sites-enabled/000-default.conf": f"""<VirtualHost 127.0.0.1:8444>
ServerName {NAME}
SSLEngine on
SSLCertificateFile /etc/nginx/tls/a/www.pem
SSLCertificateKeyFile /etc/nginx/tls/a/www.key
</VirtualHost>
""",
    "/etc/nginx/tls/a/empty": "",
}


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


def test_the_scan_sees_who_listens_without_looking_into_processes(box):
    assert state_of(box, "clmbot-host.service", "CapabilityBoundingSet") == "cap_chown cap_dac_override cap_fowner"
    scan = json.loads(box.run("scan", "--json").stdout)
    nginx = next(s for s in scan["services"] if s["kind"] == "nginx")
    assert (nginx["unit"], nginx["exe"]) == ("nginx.service", "/usr/sbin/nginx"), nginx
    assert {x["port"] for x in nginx["listen"]} == {80, 443}, nginx
    assert not nginx["remarks"], nginx


def test_a_server_started_by_hand_is_reported_with_what_is_missing(box):
    box.write("/etc/by-hand.conf", BY_HAND.encode())
    # its descriptors are not those of a test that waits for their end
    box.machine.run("sh", "-c", "exec /usr/sbin/nginx -c /etc/by-hand.conf >/dev/null 2>&1")
    try:
        scan = json.loads(box.run("scan", "--json").stdout)
        hand = next(s for s in scan["services"] if s["config_paths"] == ["/etc/by-hand.conf"])
        assert any("CAP_SYS_PTRACE" in remark for remark in hand["remarks"]), hand
        assert any("127.0.0.1:8081" in e["detail"] and "CAP_SYS_PTRACE" in e["detail"] for e in scan["errors"]), scan["errors"]
        # the documented drop-in shows it
        box.write("/etc/systemd/system/clmbot-host.service.d/ptrace.conf",
                  b"[Service]\nCapabilityBoundingSet=CAP_SYS_PTRACE\n")
        box.machine.run("systemctl", "daemon-reload")
        box.machine.run("systemctl", "stop", "clmbot-host.service")
        scan = json.loads(box.run("scan", "--json").stdout)
        hand = next(s for s in scan["services"] if s["config_paths"] == ["/etc/by-hand.conf"])
        assert [x["port"] for x in hand["listen"]] == [8081], hand
        assert not scan["errors"], scan["errors"]
    finally:
        box.machine.run("/usr/sbin/nginx", "-c", "/etc/by-hand.conf", "-s", "stop")
        box.machine.run("rm", "-rf", "/etc/systemd/system/clmbot-host.service.d")
        box.machine.run("systemctl", "daemon-reload")
        box.machine.run("systemctl", "stop", "clmbot-host.service")


def test_the_servers_own_test_runs_outside_of_the_sandbox(box):
    tests = json.loads(box.run("plan", f"nginx:{NAME}", "--check", "--json").stdout)["tests"]
    assert [(t["program"], t["status"]) for t in tests] == [("/usr/sbin/nginx", 0)], tests
    old = box.served()
    box.write("/etc/nginx/conf.d/broken.conf", b"server { listen 81; ssl_certificate /nowhere; }\n")
    try:
        job = box.order()
        assert job["state"] == "failed" and "configuration test" in str(job["result"]["error"]), job
        assert "/nowhere" in str(job["result"]["error"]), job
    finally:
        box.machine.run("rm", "/etc/nginx/conf.d/broken.conf")
    assert box.served() == old
    left = box.machine.run("systemctl", "list-units", "--all", "--no-legend", "clmbot-run-*").stdout
    assert left == "", left


def test_a_deployment_to_apache_goes_through_the_sandbox(box):
    for path, data in APACHE.items():
        box.write(path, data.encode())
        box.machine.run("chmod", "644", path)
    box.machine.run("cp", "-p", box.work / "www.pem", box.work / "www.key", "/etc/nginx/tls/a/")
    box.machine.run("ln", "-sf", "../mods-available/ssl.load", "/etc/apache2/mods-enabled/ssl.load")
    box.machine.run("systemctl", "start", "apache2.service")
    try:
        scan = json.loads(box.run("scan", "--json").stdout)
        apache = next(s for s in scan["services"] if s["kind"] == "apache")
        assert apache["unit"] == "apache2.service" and apache["targets"][0]["manageable"], apache
        assert 8444 in {x["port"] for x in apache["listen"]}, apache
        old = box.served(8444)
        job = box.order(apache["targets"][0]["target"])
        assert job["state"] == "succeeded", job
        assert box.served(8444) not in (old, None)
    finally:
        box.machine.run("systemctl", "stop", "apache2.service")

def test_tomcats_manager_is_asked_without_a_network_of_its_own(box):
    """The host half has no network: the socket is handed over, the password is not."""
    if not tomcat.MANAGER.is_dir():
        pytest.skip("tomcat10-admin is not installed")
    server = tomcat.Tomcat(box.work / "tomcat")
    pki.write_pair(server.cert, server.key, [NAME])
    server.key.chmod(0o644)
    # the name is proved on port 80, by the server that has the target
    conf = server.conf.read_text().replace(f'port="{server.http}"', 'port="80"').replace(server.name, NAME)
    server.conf.write_text(conf)
    box.machine.run("cp", "-a", server.base, "/srv/tomcat")
    box.write("/etc/clmbot/manager", tomcat.MANAGER_PASSWORD.encode())
    box.write("/etc/clmbot/clmbot.d/tomcat.yaml", TOMCAT_POLICY)
    box.machine.run("chmod", "755", "/etc/clmbot/clmbot.d")
    box.machine.run("chmod", "644", "/etc/clmbot/clmbot.d/tomcat.yaml")
    box.machine.run("systemctl", "stop", "nginx.service", "clmbot-host.service")
    jars = f"{tomcat.HOME}/bin/bootstrap.jar:{tomcat.HOME}/bin/tomcat-juli.jar"
    box.machine.run("systemd-run", "--unit=shop", "--property=User=tomcat", "--property=AmbientCapabilities=CAP_NET_BIND_SERVICE",
                    "--working-directory=/srv/tomcat", "/usr/bin/java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                    "-Djava.io.tmpdir=/srv/tomcat/temp", "-cp", jars, "-Dcatalina.base=/srv/tomcat",
                    f"-Dcatalina.home={tomcat.HOME}", "org.apache.catalina.startup.Bootstrap", "start")
    try:
        until(lambda: box.served(server.https), 90, "Tomcat to serve")
        box.machine.run("systemctl", "restart", "clmbot.service")
        target = f"tomcat:{server.https}"
        scan = json.loads(box.run("scan", "--json").stdout)
        shop = next(s for s in scan["services"] if s["kind"] == "tomcat" and s["running"])
        assert shop["unit"] == "shop.service" and {80, server.https} <= {x["port"] for x in shop["listen"]}, shop
        old = box.served(server.https)
        job = box.order(target)
        assert job["state"] == "succeeded", job
        assert box.served(server.https) not in (old, None)
        log = box.machine.run("journalctl", "--no-pager", "-o", "cat", check=False).stdout
        assert tomcat.MANAGER_PASSWORD not in log + box.machine.log.read_text(errors="replace")
    finally:
        box.machine.run("systemctl", "stop", "shop.service")
        box.machine.run("rm", "-r", "/etc/clmbot/clmbot.d")
        box.machine.run("systemctl", "restart", "nginx.service", "clmbot.service")
        box.machine.run("systemctl", "stop", "clmbot-host.service")


def test_the_network_half_restricts_itself(box):
    """Beyond its unit: Landlock, which no other mount and no capability undoes."""
    shown = json.loads(box.run("status", "--json", check=False).stdout)["agent"]
    pid = state_of(box, "clmbot.service", "MainPID")
    assert box.machine.run("stat", "-c", "%u", f"/proc/{pid}/mem").stdout.strip() == "0", "others of its user may read it"
    doctor = json.loads(box.run("doctor", "--json", check=False).stdout)["checks"]
    sandbox = next(check for check in doctor if check["check"] == "sandbox")
    assert sandbox["result"] == "ok" and "system calls filtered" in sandbox["text"], sandbox
    if shown["landlock"] == 0:
        pytest.skip("this kernel has no Landlock")
    assert "Landlock on" in sandbox["text"], sandbox


def test_a_restart_loses_nothing(box):
    box.machine.run("systemctl", "restart", "clmbot.service", "clmbot-host.socket")
    assert box.order()["state"] == "succeeded"


def test_a_restart_in_the_middle_of_a_job_does_not_wait_for_itself(box):
    """systemd starts the host half again only when the network half has ended, which must not wait for it."""
    deaf = "/etc/systemd/system/nginx.service.d/deaf.conf"
    old_file = box.machine.run("cat", "/etc/nginx/tls/www.pem").stdout
    box.write(deaf, b"[Service]\nExecReload=\nExecReload=/bin/true\n")
    box.machine.run("systemctl", "daemon-reload")
    try:
        job = box.order(wait=False)
        until(lambda: box.machine.run("cat", "/etc/nginx/tls/www.pem").stdout != old_file, 30, "the swap")
        begun = time.monotonic()
        box.machine.run("systemctl", "restart", "clmbot-host.socket", "clmbot.service")
        assert time.monotonic() - begun < 30, box.machine.run("journalctl", "--no-pager", "-n", "50").stdout
        assert box.machine.run("cat", "/etc/nginx/tls/www.pem").stdout == old_file
    finally:
        box.machine.run("rm", deaf)
        box.machine.run("systemctl", "daemon-reload")
    box.ended(job)
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
                                        ("clmbot-host.service", 1.5)])
def test_the_sandbox_is_as_tight_as_documented(box, unit, most):
    done = box.machine.run("systemd-analyze", "security", "--no-pager", unit, check=False)
    level = re.search(rf"exposure level for {re.escape(unit)}: ([0-9.]+)", done.stdout)
    assert level and float(level[1]) <= most, done.stdout[-3000:] + done.stderr
