# SPDX-License-Identifier: Apache-2.0
"""Tomcat: the five tests every deployer passes (docs/TESTING.md) and what is its own, on the real
server. One JVM for the whole file; each test begins with what the one before left."""
import hashlib
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile

import pytest

from harness import pki
from harness.agent import Agent
from harness.base import leaf_sha256, served, until
from harness.plane import ControlPlane
from harness.tomcat import KEY_PASSWORD, MANAGER_PASSWORD, STORE_PASSWORD, Tomcat


class World:
    def __init__(self, work):
        self.server = Tomcat(work / "tomcat")
        self.plane = ControlPlane(work, http_port=self.server.http)
        self.password = work / "manager-password"
        self.write_password(MANAGER_PASSWORD)
        self.agent = Agent(
            work / "agent", write_roots=[self.server.base / "conf"],
            extra_policy=f"  tomcat_manager: {{user: clmbot, password_file: {self.password}}}\n"
                         "  limits: {deploys_per_target_per_day: 1000}")
        self.certs = {}

    def write_password(self, text):
        self.password.touch(mode=0o600)
        self.password.write_text(text + "\n")

    def up(self):
        self.server.start()
        self.plane.start()
        self.agent.enroll(self.plane.token())
        self.agent.start()
        self.agent.id = self.plane.agents()[0]["id"]

    def down(self):
        for part in (self.agent, self.plane, self.server):
            part.stop()

    def cert(self, target, names, key="ec-p256"):
        if target not in self.certs:
            self.certs[target] = self.plane.add_certificate(self.agent.id, target, names, key)
        return self.certs[target]

    def order(self, target=None, names=None, key="ec-p256"):
        cert = self.cert(target or self.server.target, names or [self.server.name], key)
        return self.plane.wait_job(self.plane.action("order", "--cert", cert)), cert

    def targets(self):
        done = self.agent.json("scan")
        return {t["target"]: t for s in done["services"] for t in s["targets"]
                if s["config_paths"] == [str(self.server.conf)]}


@pytest.fixture(scope="module")
def world():
    work = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-e2e."))
    work.chmod(0o755)
    it = World(work)
    try:
        it.up()
        yield it
    finally:
        it.down()
        if not os.environ.get("CLM_KEEP"):
            shutil.rmtree(work, ignore_errors=True)


def _files(server):
    paths = [server.conf, *sorted(p for p in (server.base / "conf").rglob("*") if p.is_file())]
    return [(str(p), p.read_bytes(), oct(p.stat().st_mode), p.stat().st_uid, p.stat().st_gid, p.stat().st_ino)
            for p in paths]


def _contents(server):
    return [entry[:-1] for entry in _files(server)]


def test_the_scan_finds_every_place(world):
    server = world.server
    found = world.agent.json("scan")
    service = next(s for s in found["services"] if s["config_paths"] == [str(server.conf)])
    assert service["kind"] == "tomcat"
    assert service["version"].startswith("10.1."), service
    assert service["user"] == "tomcat"
    targets = world.targets()
    assert sorted(targets) == sorted([
        server.target, f"tomcat:{server.p12}", f"tomcat:{server.jks}", f"tomcat:{server.bare}",
        f"tomcat:{server.multi}/a.{server.name}#rsa", f"tomcat:{server.multi}/a.{server.name}#ec",
        f"tomcat:{server.multi}/*.b.{server.name}"]), targets
    assert all(t["manageable"] for t in targets.values()), targets
    assert STORE_PASSWORD not in json.dumps(found) and KEY_PASSWORD not in json.dumps(found)
    for target, port, name in ((server.target, server.https, server.name),
                               (f"tomcat:{server.p12}", server.p12, server.name),
                               (f"tomcat:{server.multi}/*.b.{server.name}", server.multi, f"x.b.{server.name}")):
        assert targets[target]["certificate"]["sha256"] == served(port, name), targets[target]


def test_deploys_and_proves_it(world):
    old = world.server.served()
    job, cert = world.order()
    assert job["state"] == "succeeded", job
    assert world.server.served() not in (old, None)
    assert world.server.served() == world.server.installed()
    assert world.plane.json("certs", "show", cert)["state"] == "verified"
    info = world.server.key.stat()
    assert oct(info.st_mode & 0o7777) == "0o640"
    assert (info.st_uid, info.st_gid) == (0, world.server.user.pw_gid)
    assert world.agent.run("verify", world.server.target).returncode == 0
    assert not world.server.severe()


def test_deploying_again_changes_nothing(world):
    _, cert = world.order()
    before = _files(world.server)
    job = world.plane.wait_job(world.plane.action("deploy", "--cert", cert))
    assert job["state"] == "skipped", job
    assert _files(world.server) == before
    assert world.server.served() == world.server.installed()


def test_a_configuration_that_does_not_parse_is_refused(world):
    _, cert = world.order()
    good = world.server.conf.read_text()
    world.server.conf.write_text(good.replace("</Service>", "</Servce>"))
    try:
        before = _files(world.server)
        job = world.plane.wait_job(world.plane.action("rollback", "--cert", cert))
        assert job["state"] in ("failed", "rejected"), job
        assert world.server.target in str(job["result"]), job
        assert _files(world.server) == before
    finally:
        world.server.conf.write_text(good)


def test_a_reload_that_does_nothing_is_rolled_back_and_proved(world):
    _, cert = world.order()
    old = world.server.served()
    with world.server.manager_that_does_nothing():
        before = _contents(world.server)
        job = world.plane.wait_job(world.plane.action("order", "--cert", cert))
        assert job["state"] == "rolled_back", job
        assert _contents(world.server) == before
    assert world.server.served() == old
    seen = job["result"]["effects"]["observations"]
    assert seen and all(o["rollback"]["leaf_sha256"] == old for o in seen if o["counted"]), seen


def test_killed_in_the_middle_it_recovers(world):
    _, cert = world.order()
    old = world.server.served()
    with world.server.manager_that_does_nothing():
        job_id = world.plane.action("order", "--cert", cert)
        until(lambda: leaf_sha256(world.server.cert) != old, what="the swap")
        world.agent.kill()
        assert world.server.installed() != old, "the kill came too late to mean anything"
    world.agent.start()
    job = world.plane.wait_job(job_id, seconds=90)
    assert job["state"] in ("succeeded", "rolled_back", "failed"), job
    assert world.server.installed() == world.server.served()
    assert (job["state"] == "succeeded") == (world.server.served() != old), job
    assert any(t.get("recovered") for t in world.agent.json("history")["transactions"])


def test_wrong_credentials_for_the_manager_are_found_before_anything_changes(world):
    _, cert = world.order()
    before = _files(world.server)
    world.write_password("not the password")
    try:
        job = world.plane.wait_job(world.plane.action("order", "--cert", cert))
    finally:
        world.write_password(MANAGER_PASSWORD)
    assert job["state"] == "failed", job
    assert "policy.tomcat_manager" in str(job["result"]) and "not the password" not in str(job), job
    assert _files(world.server) == before


def test_rolls_back_to_the_certificate_before(world):
    job, cert = world.order()
    assert job["state"] == "succeeded", job
    first = world.server.served()
    job, _ = world.order()
    assert job["state"] == "succeeded", job
    assert world.server.served() != first
    job = world.plane.wait_job(world.plane.action("rollback", "--cert", cert))
    assert job["state"] == "succeeded", job
    assert world.server.served() == first


@pytest.mark.parametrize("form", ["p12", "jks"])
def test_a_keystore_entry_is_replaced_and_the_other_kept(world, form):
    server = world.server
    port = getattr(server, form)
    before = server.aliases(port)
    old = server.served(port)
    assert before["www"] == old
    job, cert = world.order(f"tomcat:{port}")
    assert job["state"] == "succeeded", job
    assert server.served(port) != old
    after = server.aliases(port)
    assert after == {"www": server.served(port), "other": before["other"]}
    assert not server.severe()
    job = world.plane.wait_job(world.plane.action("deploy", "--cert", cert))
    assert job["state"] == "skipped", job
    world.order(f"tomcat:{port}")
    job = world.plane.wait_job(world.plane.action("rollback", "--cert", cert))
    assert job["state"] == "succeeded", job
    assert server.aliases(port) == after


def test_a_keystore_that_cannot_be_opened_is_refused(world):
    server = world.server
    good = (server.base / "conf" / "catalina.properties").read_text()
    (server.base / "conf" / "catalina.properties").write_text(good.replace(STORE_PASSWORD, "wrong"))
    try:
        before = _files(server)
        cert = world.cert(f"tomcat:{server.p12}", [server.name])
        job = world.plane.wait_job(world.plane.action("order", "--cert", cert))
        assert job["state"] in ("failed", "rejected"), job
        assert "password" in str(job["result"]), job
        assert _files(server) == before
    finally:
        (server.base / "conf" / "catalina.properties").write_text(good)


def _served_kind(server, ciphers):
    """SHA-256 of the leaf that a client with these TLS 1.2 suites is shown."""
    text = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.multi}", "-servername", f"a.{server.name}",
         "-tls1_2", "-cipher", ciphers], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    begin, end = text.index("-----BEGIN CERTIFICATE"), text.index("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(text[begin:end] + "-----END CERTIFICATE-----\n")
    return hashlib.sha256(der).hexdigest()


def test_rsa_and_ec_side_by_side_are_changed_one_by_one(world):
    server = world.server
    rsa, ec = _served_kind(server, "ECDHE-RSA-AES128-GCM-SHA256"), _served_kind(server, "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert rsa != ec
    job, _ = world.order(f"tomcat:{server.multi}/a.{server.name}#rsa", [f"a.{server.name}"], key="rsa-2048")
    assert job["state"] == "succeeded", job
    assert _served_kind(server, "ECDHE-ECDSA-AES128-GCM-SHA256") == ec
    assert _served_kind(server, "ECDHE-RSA-AES128-GCM-SHA256") == leaf_sha256(server.tls / "rsa.pem") != rsa


def test_an_encrypted_key_stays_encrypted(world):
    server = world.server
    before = (server.tls / "ec.key").read_text()
    assert "ENCRYPTED" in before
    job, _ = world.order(f"tomcat:{server.multi}/a.{server.name}#ec", [f"a.{server.name}"])
    assert job["state"] == "succeeded", job
    after = (server.tls / "ec.key").read_text()
    assert after != before and after.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert _served_kind(server, "ECDHE-ECDSA-AES128-GCM-SHA256") == leaf_sha256(server.tls / "ec.pem")


def test_a_pair_that_does_not_match_is_refused_before_anything_changes(world):
    """Tomcat's manager would say OK to it, and no handshake would work any more."""
    server = world.server
    cert, _ = pki.make_cert([f"*.b.{server.name}"])
    path = server.tls / "b.pem"
    good = path.read_bytes()
    _, key = pki.make_cert(["other"])
    old = server.served(server.multi, f"x.b.{server.name}")
    path.write_bytes(pki.cert_pem(cert) + pki.key_pem(key))
    try:
        before = _files(server)
        target = world.targets()[f"tomcat:{server.multi}/*.b.{server.name}"]
        assert not target["manageable"] and "does not belong" in str(target["reasons"]), target
        assert _files(server) == before
        assert server.served(server.multi, f"x.b.{server.name}") == old
    finally:
        path.write_bytes(good)


def test_without_a_certificate_server_xml_is_edited_and_waits_for_a_restart(world):
    server = world.server
    before = server.conf.read_text()
    assert server.served(server.bare) is None
    job, cert = world.order(f"tomcat:{server.bare}")
    assert job["state"] == "succeeded", job
    assert job["result"]["effects"]["proved"] is False, job
    assert job["result"]["effects"]["state"] == "waiting_for_restart", job
    assert world.plane.json("certs", "show", cert)["state"] == "waiting_for_restart"
    made = server.base / "conf" / f"tls-{server.bare}"
    after = server.conf.read_text()
    assert after == before.replace("<SSLHostConfig />  <!-- keep -->", f"""<SSLHostConfig>
          <Certificate certificateFile="{made}.pem" certificateKeyFile="{made}.key"/>
      </SSLHostConfig>  <!-- keep -->""")
    assert oct(pathlib.Path(f"{made}.key").stat().st_mode & 0o7777) == "0o640"
    server.restart()
    assert server.served(server.bare) == leaf_sha256(f"{made}.pem")
    assert world.agent.run("verify", f"tomcat:{server.bare}").returncode == 0
    job, _ = world.order(f"tomcat:{server.bare}")
    assert job["state"] == "succeeded", job
    assert job["result"]["effects"]["proved"], job
    assert server.conf.read_text() == after
    assert server.served(server.bare) == leaf_sha256(f"{made}.pem")


def test_no_password_is_in_any_log(world):
    world.agent.stop()  # so that no file goes while all are read
    written = [p for p in (world.agent.root, world.agent.state) for p in p.rglob("*") if p.is_file()]
    written += [world.plane.out]
    for path in written:
        data = path.read_bytes()
        for password in (STORE_PASSWORD, KEY_PASSWORD, MANAGER_PASSWORD):
            assert password.encode() not in data, path
