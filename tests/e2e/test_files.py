# SPDX-License-Identifier: Apache-2.0
"""Generic files: a program clmbot does not know, with files, keystores and hooks that root declared."""
import json
import os
import signal
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from harness import pki
from harness.agent import Agent
from harness.base import leaf_sha256, until
from harness.plane import ControlPlane
from harness.tlsserver import Shop
from harness.webservers import SERVERS

PASSWORD = "correct horse battery staple"


class Files:
    """A shop with its agent; nginx answers for the validation of its name."""

    def __init__(self, work):
        self.work = work
        self.shop = Shop(work / "shop", None)
        name = f"www{self.shop.port}.clmbot.test"
        self.nginx = SERVERS["nginx"](work / "nginx", name, [name, self.shop.name])
        self.plane = ControlPlane(work, http_port=self.nginx.http)
        self.agent = None
        self.password = work / "shop.pw"
        self.password.touch(mode=0o600)
        self.password.write_text(PASSWORD + "\nnot this line\n")

    def declare(self, target, hooks=None, deadline=4, **policy):
        """Writes the configuration: the target "shop", and hooks by name."""
        policy = {"hooks": {n: [str(p), "--tls"] for n, p in (hooks or {}).items()}, **policy}
        extra = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in policy.items())
        extra += "  targets: {allow: [\"file:*\"]}\n"
        extra += f"files: {json.dumps({'shop': target})}"
        self.agent = Agent(self.work / "agent", write_roots=[self.shop.etc], deadline=deadline,
                           extra_policy=extra)

    def verify(self):
        return {"address": "127.0.0.1", "port": self.shop.port, "sni": self.shop.name}

    def pair(self, **more):
        return {"outputs": [{"path": str(self.shop.cert), "content": "fullchain"},
                            {"path": str(self.shop.key), "content": "key", "mode": "0640", "group": "nogroup"}],
                "verify": self.verify(), **more}

    def up(self):
        self.nginx.start()
        self.plane.start()
        self.agent.enroll(self.plane.token())
        self.agent.start()
        self.agent.id = self.plane.agents()[0]["id"]

    def order(self):
        cert = self.plane.add_certificate(self.agent.id, "file:shop", [self.shop.name])
        return self.plane.wait_job(self.plane.action("order", "--cert", cert)), cert

    def down(self):
        for part in (self.agent, self.plane, self.nginx, self.shop):
            if part:
                part.stop()

    def target(self):
        for service in self.agent.json("scan")["services"]:
            for target in service["targets"]:
                if target["target"] == "file:shop":
                    return target
        return None

    def fingerprint(self):
        return [(p.name, p.read_bytes(), oct(p.stat().st_mode), p.stat().st_uid, p.stat().st_gid)
                for p in sorted(self.shop.etc.iterdir())]


@pytest.fixture
def files(work):
    it = Files(work)
    try:
        yield it
    finally:
        it.down()


def test_a_first_installation_makes_the_files_and_starts_the_program(files):
    shop = files.shop
    hook = shop.hook("start", f"test -s {shop.cert} && test -s {shop.key}\n")
    files.declare(files.pair(reload="hook", hook="start"), {"start": hook}, deadline=20)
    files.up()
    target = files.target()
    assert target["manageable"] and not target.get("certificate"), target
    assert list(shop.etc.iterdir()) == []
    cert = files.plane.add_certificate(files.agent.id, "file:shop", [shop.name])
    job = files.plane.action("order", "--cert", cert)
    until(lambda: shop.cert.exists() and shop.key.exists(), 40, "the files")
    shop.start()  # as its administrator would, while the handshakes are still tried
    job = files.plane.wait_job(job)
    assert job["state"] == "succeeded", job
    assert shop.served() == leaf_sha256(shop.cert)
    key = os.stat(shop.key)
    assert stat.S_IMODE(key.st_mode) == 0o640 and key.st_uid == 0 and key.st_gid != 0
    assert stat.S_IMODE(os.stat(shop.cert).st_mode) == 0o644
    calls = shop.calls.read_text()
    assert "CLM_TARGET=file:shop\n" in calls and f"CLM_CERT_SHA256={shop.served()}\n" in calls, calls
    assert {line.split("=")[0] for line in calls.splitlines()} <= {
        "PATH", "LANG", "PWD", "CLM_TARGET", "CLM_ACTION", "CLM_CERT_SHA256", "CLM_OLD_CERT_SHA256", "_", "SHLVL",
        "OLDPWD"}, calls
    assert files.target()["certificate"]["sha256"] == shop.served()
    assert files.agent.run("verify", "file:shop").returncode == 0


def test_a_first_installation_that_fails_leaves_nothing(files):
    shop = files.shop
    hook = shop.hook("fail", "echo no such luck; [ \"$CLM_ACTION\" = rollback ]")
    files.declare(files.pair(reload="hook", hook="fail"), {"fail": hook})
    files.up()
    job, _ = files.order()
    assert job["state"] in ("rolled_back", "failed"), job
    assert "no such luck" in json.dumps(job), job
    assert list(shop.etc.iterdir()) == []


def test_files_are_replaced_and_the_program_told(files):
    shop = files.shop
    pki.write_pair(shop.cert, shop.key, [shop.name])
    shop.cert.chmod(0o604)
    shop.start()
    old = shop.served()
    files.declare(files.pair(reload="hook", hook="tell", check="check"),
                  {"tell": shop.hook("tell", shop.tell()), "check": shop.hook("check", f"grep -q BEGIN {shop.key}")})
    files.up()
    assert files.target()["certificate"]["sha256"] == old
    job, cert = files.order()
    assert job["state"] == "succeeded", job
    assert shop.served() == leaf_sha256(shop.cert) != old
    assert stat.S_IMODE(os.stat(shop.cert).st_mode) == 0o604, "the file lost its mode"
    assert shop.public_key(shop.key)
    again = files.plane.wait_job(files.plane.action("deploy", "--cert", cert))
    assert again["state"] == "skipped", again
    files.agent.run("rollback", "file:shop")
    assert shop.served() == old == leaf_sha256(shop.cert)


@pytest.mark.parametrize("which", ["check", "tell"])
def test_a_hook_that_fails_puts_the_old_files_back(files, which):
    shop = files.shop
    pki.write_pair(shop.cert, shop.key, [shop.name])
    shop.start()
    bad = "echo 'the shop is closed' >&2; [ \"$CLM_ACTION\" = rollback ] || exit 9\n"
    files.declare(files.pair(reload="hook", hook="tell", check="check"),
                  {"tell": shop.hook("tell", (bad if which == "tell" else "") + shop.tell()),
                   "check": shop.hook("check", bad if which == "check" else "exit 0")})
    before, old = files.fingerprint(), shop.served()
    files.up()
    job, _ = files.order()
    text = json.dumps(job)
    assert "exited with 9: the shop is closed" in text, text
    assert files.fingerprint() == before
    assert shop.served() == old
    history = files.agent.json("history", "file:shop")["transactions"][0]
    assert history["result"] == "rolled_back" and history["proved"], history


def _store(names, alias=b"shop", more=()):
    cert, key = pki.make_cert(names)
    return pkcs12.serialize_key_and_certificates(
        alias, key, cert, list(more) or None, serialization.BestAvailableEncryption(PASSWORD.encode())), cert


def test_a_keystore_is_edited_entry_by_entry(files):
    shop = files.shop
    shop.cert = shop.etc / "store.p12"
    trusted, _ = pki.make_cert(["Trusted by hand"], is_ca=True)
    data, first = _store([shop.name], more=[trusted])
    shop.cert.write_bytes(data)
    shop.cert.chmod(0o600)
    shop.start(f"pkcs12:{files.password}")
    old = shop.served()
    assert old == first.fingerprint(hashes.SHA256()).hex()
    files.declare({"outputs": [{"path": str(shop.cert), "format": "pkcs12", "alias": "shop",
                                "password_file": str(files.password)}],
                   "reload": "hook", "hook": "tell", "verify": files.verify()},
                  {"tell": shop.hook("tell", shop.tell())})
    files.up()
    target = files.target()
    assert target["manageable"], target
    assert target["certificate"]["sha256"] == old
    job, cert = files.order()
    assert job["state"] == "succeeded", job
    new = shop.served()
    assert new != old
    store = pkcs12.load_pkcs12(shop.cert.read_bytes(), PASSWORD.encode())
    assert store.cert.friendly_name == b"shop"
    assert store.cert.certificate.fingerprint(hashes.SHA256()).hex() == new
    assert trusted in [c.certificate for c in store.additional_certs], "another entry is gone"
    before = shop.cert.read_bytes()
    again = files.plane.wait_job(files.plane.action("deploy", "--cert", cert))
    assert again["state"] == "skipped", again
    assert shop.cert.read_bytes() == before
    files.agent.run("rollback", "file:shop")
    assert shop.served() == old
    everything = files.agent.log() + json.dumps(files.agent.json("history"))
    assert PASSWORD not in everything and PASSWORD not in files.plane.out.read_text()


def test_a_restart_by_somebody_else_is_waited_for(files):
    shop = files.shop
    pki.write_pair(shop.cert, shop.key, [shop.name])
    shop.start()
    old = shop.served()
    files.declare(files.pair(reload="none"))
    files.up()
    job, cert = files.order()
    assert job["state"] == "succeeded", job
    assert "waiting_for_restart" in json.dumps(job), job
    new = leaf_sha256(shop.cert)
    shown = files.plane.json("certs", "show", cert)
    assert (shown["state"], shown["waiting_sha256"]) == ("waiting_for_restart", new), shown
    job = files.plane.wait_job(files.plane.action("verify", "--cert", cert))
    assert job["state"] == "failed" and job["result"]["effects"]["state"] == "waiting_for_restart", job
    assert files.plane.json("certs", "show", cert)["state"] == "waiting_for_restart"
    assert shop.served() == old != new
    files.agent.run("scan", "--now", check=False)

    def state():
        done = files.agent.run("status", "--json", check=False)
        for target in json.loads(done.stdout)["targets"]:
            if target["target"] == "file:shop":
                return target["state"], done.returncode
        return None, done.returncode

    scan = files.plane.wait_job(files.plane.action("scan", "--agent", files.agent.id))
    assert scan["state"] == "succeeded", scan
    until(lambda: state() == ("waiting_for_restart", 1), what=f"status to call for attention, {state()}")
    assert files.agent.json("history", "file:shop")["transactions"][0]["result"] == "waiting_for_restart"
    os.kill(shop.process.pid, signal.SIGHUP)
    until(lambda: shop.served() == new, what="the restart")
    files.plane.wait_job(files.plane.action("scan", "--agent", files.agent.id))
    until(lambda: state()[0] == "ok", what="status to be at ease again")
    until(lambda: files.plane.json("certs", "show", cert)["state"] == "verified", what="the inventory to arrive")
    assert files.plane.json("certs", "show", cert)["current_sha256"] == new
    last = files.agent.json("history", "file:shop")["transactions"][0]
    assert last["result"] == "succeeded" and last["proved"], last


def test_without_an_address_nothing_is_proved_and_it_says_so(files):
    shop = files.shop
    target = files.pair(reload="none")
    del target["verify"]
    files.declare(target)
    files.up()
    job, _ = files.order()
    assert job["state"] == "succeeded", job
    assert shop.cert.exists() and shop.key.exists()
    last = files.agent.json("history", "file:shop")["transactions"][0]
    assert last["result"] == "succeeded" and not last["proved"], last


def test_what_others_could_change_is_not_managed(files):
    shop = files.shop
    hook = shop.hook("tell", shop.tell(), mode=0o757)
    files.declare(files.pair(reload="hook", hook="tell"), {"tell": hook})
    target = files.target()
    assert not target["manageable"] and "tell" in " ".join(target["reasons"]), target
    plan = files.agent.run("plan", "file:shop", check=False)
    assert plan.returncode != 0 and str(hook) in plan.stdout + plan.stderr


def test_a_password_that_others_can_read_is_not_used(files):
    shop = files.shop
    data, _ = _store([shop.name])
    store = shop.etc / "store.p12"
    store.write_bytes(data)
    files.password.chmod(0o640)
    files.declare({"outputs": [{"path": str(store), "format": "pkcs12", "password_file": str(files.password)}],
                   "reload": "none", "verify": files.verify()})
    target = files.target()
    assert not target["manageable"] and "chmod 600" in " ".join(target["reasons"]), target


@pytest.mark.parametrize("change, why", [
    ({"reload": "hook", "hook": "nobody"}, "there is no hook 'nobody'"),
    ({"reload": "restart", "unit": "shop.service"}, "add it to policy.restart"),
    ({"reload": "whenever"}, "must be one of unit, restart, hook, none"),
    ({"outputs": [{"path": "etc/tls.crt", "content": "fullchain"}]}, "is not an absolute path"),
    ({"outputs": [{"path": "/etc/x.crt", "content": "everything"}]}, "'content' must say"),
    ({"outputs": [{"path": "/etc/x.p12", "format": "pkcs12"}]}, "a keystore needs one"),
])
def test_a_declaration_that_makes_no_sense_is_refused_at_once(files, change, why):
    files.declare({**files.pair(reload="none"), **change})
    done = files.agent.run("config", "check", check=False)
    assert done.returncode == 4 and why in done.stdout + done.stderr, done


def test_an_owner_nobody_knows_is_said(files):
    target = files.pair(reload="none")
    target["outputs"][0]["owner"] = "nobody-knows-me"
    files.declare(target)
    assert "there is no 'nobody-knows-me' in /etc/passwd" in " ".join(files.target()["reasons"])


def test_leaves_read_by_somebody_else(files):
    """DER, PKCS#7 and an encrypted key, read by OpenSSL's library."""
    shop = files.shop
    der, bag, key = shop.etc / "leaf.der", shop.etc / "chain.p7b", shop.etc / "key.pem"
    files.declare({"outputs": [{"path": str(der), "content": "leaf", "format": "der"},
                               {"path": str(bag), "content": "fullchain", "format": "pkcs7"},
                               {"path": str(key), "content": "key", "password_file": str(files.password)}],
                   "reload": "none"})
    files.up()
    job, _ = files.order()
    assert job["state"] == "succeeded", job
    leaf = x509.load_der_x509_certificate(der.read_bytes())
    assert leaf in serialization.pkcs7.load_der_pkcs7_certificates(bag.read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), PASSWORD.encode())
    assert private.public_key().public_numbers() == leaf.public_key().public_numbers()
