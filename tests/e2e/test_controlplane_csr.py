# SPDX-License-Identifier: Apache-2.0
"""What an operator says about the request of a certificate: by commands, and by the operator API."""
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from harness import wire

pytestmark = pytest.mark.api

TARGET = "nginx:www.example.com"


def inventory(**certificate):
    return {"schema": 1, "digest": "sha256:" + "ab" * 32, "scan_id": "scn_1", "started_at": "2026-11-21T01:30:00Z",
            "services": [{"service_id": "nginx", "kind": "nginx", "running": True, "targets": [
                {"target": TARGET, "names": ["www.example.com"], "manageable": True,
                 "certificate": {"sha256": "ab" * 32, **certificate}}]}]}


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    it = wire.WirePlane(tmp_path_factory.mktemp("cp"), connectors=[
        {"name": "builtin", "type": "builtin", "dcv": "none"},
        {"name": "le", "type": "acme", "directory": "https://127.0.0.1:9/dir"}],
        enroll_per_min=60000, enroll_burst=1000, agent_per_min=60000, agent_burst=1000)
    it.start()
    yield it
    it.stop()


@pytest.fixture
def agent(plane, tmp_path):
    it = wire.WireAgent(plane, tmp_path)
    it.enroll(plane.new_token())
    return it


@pytest.fixture
def scanned(agent):
    assert agent.api.put("/agent/v1/inventory", inventory(sans=["old.example.com", "192.0.2.9"],
                                                          key_type="rsa-2048")).status == 204
    return agent


def request_of(key, names=("www.example.com",)):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    alternatives = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(alternatives, critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def add(plane, agent, *args, names=("www.example.com",), check=True):
    named = [word for name in names for word in ("--name", name)]
    return plane.run("certs", "add", "--agent", agent.id, "--target", TARGET, *named, *args, "--json", check=check)


def added(plane, agent, *args, **more):
    made = plane.op.get("/api/v1/certificates/" + wire.json.loads(add(plane, agent, *args, **more).stdout)["id"])
    return made.json


# ---- the commands ----

@pytest.mark.parametrize("args,csr", [
    (["--must-staple", "--reuse-key"], {"mode": "template", "must_staple": True, "key": "reuse"}),
    (["--eku", "server", "--eku", "client", "--hash", "sha384"],
     {"mode": "template", "eku": ["server", "client"], "hash": "sha384"}),
    (["--subject", "o=Example", "--subject", "ou=A", "--subject", "ou=B", "--subject", "c=DE"],
     {"mode": "template", "subject": {"o": "Example", "ou": ["A", "B"], "c": "DE"}}),
    (["--email", "a@example.com", "--uri", "urn:x:1", "--uri", "urn:x:2"],
     {"mode": "template", "sans": {"email": ["a@example.com"], "uri": ["urn:x:1", "urn:x:2"]}}),
    (["--template", "web"], {"mode": "template", "template": "web"}),
    (["--csr-mode", "override", "--key", "rsa-3072", "--email", "a@example.com", "--subject", "ou="],
     {"mode": "override", "key_type": "rsa-3072", "subject": {"ou": []},
      "sans": {"dns": ["www.example.com"], "ip": [], "email": ["a@example.com"]}}),
    ([], None),
])
def test_what_a_command_says_is_what_is_asked_for(plane, agent, args, csr):
    made = added(plane, agent, *args)
    assert made["csr"] == csr and made["names"]["dns"] == ["www.example.com"]
    agent.poll()
    job = plane.op.get("/api/v1/jobs/" + plane.act("order", certificate_id=made["id"]))
    assert job["spec"].get("csr") == csr


@pytest.mark.parametrize("args,says", [
    (["--subject", "o"], "--subject"), (["--subject", "x" * 40 + "=y"], "--subject"), (["--csr-file", "/nowhere/x"], "/nowhere/x"),
    (["--subject", "dc=x"], "dc"), (["--csr-mode", "guess"], "guess"), (["--hash", "md5"], "md5"),
    (["--csr-mode", "installed", "--hash", "sha256"], "hash"), (["--connector", "le", "--email", "a@example.com"], "/csr/sans/email"),
    (["--connector", "le", "--uri", "urn:x:1"], "/csr/sans/uri"),
])
def test_commands_that_are_refused(plane, agent, args, says):
    done = add(plane, agent, *args, check=False)
    assert done.returncode != 0 and says in done.stderr, done.stderr


@pytest.mark.parametrize("words", [
    ["certs", "add", "--agent", "a"], ["certs", "add", "--agent", "a", "--target", "t"], ["certs", "add"],
    ["configs", "add", "--agent", "a"], ["configs", "add", "--target", "t"], ["action", "order"], ["action", "scan"],
    ["action", "explode"], ["action", "cancel"],
])
def test_commands_that_lack_something(plane, words):
    done = plane.run(*words, check=False)
    assert done.returncode == 64 or done.returncode == 2, done
    assert done.stderr and not done.stdout


@pytest.mark.parametrize("words", [
    ["certs", "show", "crt_x"], ["certs", "add", "--agent", "agt_x", "--target", TARGET, "--name", "x.example.com"],
    ["agents", "show", "agt_x"], ["agents", "disable", "agt_x"], ["configs", "show", "cfg_x"], ["configs", "run", "cfg_x"],
    ["configs", "delete", "cfg_x"], ["jobs", "show", "job_x"], ["jobs", "cancel", "job_x"],
    ["action", "scan", "--agent", "agt_x"], ["action", "order", "--cert", "crt_x"],
])
def test_commands_about_what_is_not_there(plane, words):
    done = plane.run(*words, check=False)
    assert done.returncode != 0 and "_x" in done.stderr, done


# ---- a request of the operator's own ----

def test_a_request_that_is_there_is_sent_whole(plane, agent, tmp_path):
    file = tmp_path / "own.csr"
    file.write_text(request_of(wire.new_key("ec-p384"), ["a.example.com", "b.example.com"]))
    made = added(plane, agent, "--csr-file", file, names=())
    assert made["names"]["dns"] == ["a.example.com", "b.example.com"] and made["key_type"] == "ec-p384"
    assert made["csr"] == {"mode": "uploaded", "csr_pem": file.read_text()}
    differs = add(plane, agent, "--csr-file", file, names=["a.example.com"], check=False)
    assert "/names: differ from those of the request" in differs.stderr
    missing = add(plane, agent, "--csr-file", file, names=["a.example.com", "c.example.com"], check=False)
    assert "/names: differ" in missing.stderr
    file.write_bytes(wire.pem_key(wire.new_key()))
    secret = add(plane, agent, "--csr-file", file, names=(), check=False)
    assert secret.returncode != 0 and "private key" in secret.stderr


@pytest.mark.parametrize("pem,says", [("hello\n", "/csr/csr_pem: "), (request_of(wire.ec.generate_private_key(wire.ec.SECP521R1())), "none of the known types")])
def test_a_request_that_is_none(plane, agent, pem, says):
    answer = plane.op.post("/api/v1/certificates", {"agent_id": agent.id, "target": TARGET,
                                                    "csr": {"mode": "uploaded", "csr_pem": pem}})
    assert (answer.status, answer.code) == (400, "schema") and says in answer["detail"]


# ---- what is installed ----

@pytest.mark.parametrize("csr,names,key_type", [
    ({"mode": "installed"}, {"dns": ["old.example.com"], "ip": ["192.0.2.9"]}, "rsa-2048"),
    ({"mode": "override", "key_type": "ec-p256"}, {"dns": ["old.example.com"], "ip": ["192.0.2.9"]}, "ec-p256"),
    ({"mode": "override", "sans": {"dns": ["new.example.com"]}}, {"dns": ["new.example.com"], "ip": []}, "rsa-2048"),
])
def test_names_and_key_are_those_of_what_is_installed(plane, scanned, csr, names, key_type):
    made = plane.op.post("/api/v1/certificates", {"agent_id": scanned.id, "target": TARGET, "csr": csr})
    assert made.status == 201, made
    assert (made["names"], made["csr"], made["key_type"]) == (names, csr, key_type)
    made = plane.op.post("/api/v1/configurations", {"agent_id": scanned.id, "target": TARGET, "csr": csr})
    assert made.status == 201, made
    assert plane.op.get(f"/api/v1/certificates/{made['certificate_id']}")["names"] == names


def test_a_change_takes_what_is_installed_as_the_first_time(plane, scanned):
    body = {"csr": {"mode": "installed"}}
    made = plane.op.post("/api/v1/configurations", {"agent_id": scanned.id, "target": TARGET, **body})
    path, cert = f"/api/v1/configurations/{made['id']}", f"/api/v1/certificates/{made['certificate_id']}"
    before = plane.op.get(cert)
    assert before["key_type"] == "rsa-2048"
    assert plane.op.put(path, {**body, "schedule": {"renew_days": 7}}, If_Match="*").status == 200
    after = plane.op.get(cert)
    assert (after["key_type"], after["names"]) == (before["key_type"], before["names"])
    shown = inventory(key_type="rsa-2048")
    del shown["services"][0]["targets"][0]["names"]
    assert scanned.api.put("/agent/v1/inventory", shown).status == 204
    refused = plane.op.put(path, body, If_Match="*")
    fault = refused["errors"][0]
    assert (refused.status, fault["pointer"]) == (400, "/csr/sans") and "shows no certificate at this target" in fault["detail"]
    assert plane.op.get(cert)["names"] == before["names"]


def test_nothing_installed_gives_no_names(plane, agent):
    body = {"agent_id": agent.id, "target": TARGET, "csr": {"mode": "installed"}}
    assert "shows no certificate at this target" in plane.op.post("/api/v1/certificates", body)["detail"]
    assert agent.api.put("/agent/v1/inventory", inventory(key_type="dsa")).status == 204
    assert "shows no certificate at this target" in plane.op.post("/api/v1/certificates", body)["detail"]


@pytest.mark.parametrize("more,says", [
    ({"csr": 7}, "/csr"), ({"csr": {"mode": 1}}, "/csr"), ({"csr": {"mode": "uploaded"}}, "/csr"),
    ({"names": ["a.example.com"], "csr": {"mode": "override", "sans": {"dns": ["b.example.com"]}}}, "/names: differ from those of /csr/sans"),
    ({"names": ["a.example.com"], "subject": {"OU": ["x"] * 50}}, "/subject/OU"), ({"names": ["a.example.com"], "subject": {"OU": [7]}}, "/subject/OU"),
])
def test_bad_requests(plane, scanned, more, says):
    answer = plane.op.post("/api/v1/certificates", {"agent_id": scanned.id, "target": TARGET, **more})
    assert (answer.status, answer.code) == (400, "schema") and says in answer["detail"], answer


def test_a_subject_with_units(plane, scanned):
    made = plane.op.post("/api/v1/certificates", {"agent_id": scanned.id, "target": TARGET, "names": ["a.example.com"],
                                                  "subject": {"O": "Example", "OU": ["A", "B"]}})
    assert made["subject"] == {"O": "Example", "OU": ["A", "B"]}


def test_the_request_of_the_last_order_again(plane, scanned):
    cert = plane.op.post("/api/v1/certificates", {"agent_id": scanned.id, "target": TARGET,
                                                  "names": ["www.example.com"], "csr": {"mode": "reuse_csr"}})["id"]
    job_id = plane.act("order", certificate_id=cert)
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]["key"]["key_ref"] is None
