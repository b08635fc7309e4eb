# SPDX-License-Identifier: Apache-2.0
"""Requests that hosts send for an order, against what the operator asked for: subject, purposes, kinds of names, the very
bytes. And results whose effects are of another form."""
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness import wire
from test_controlplane_states import CONNECTORS, NAMES, TARGET, store

pytestmark = pytest.mark.api

SERVER, CLIENT, CODE = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.CODE_SIGNING
FIELDS = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "C": NameOID.COUNTRY_NAME}


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    it = wire.WirePlane(tmp_path_factory.mktemp("cp"), connectors=CONNECTORS, enroll_per_min=60000, enroll_burst=1000,
                        agent_per_min=60000, agent_burst=1000)
    it.start()
    yield it
    it.stop()


@pytest.fixture
def agent(plane, tmp_path):
    it = wire.WireAgent(plane, tmp_path)
    it.enroll(plane.new_token())
    it.poll()
    return it


def build(key=None, subject=(), names=tuple(map(x509.DNSName, NAMES)), *more):
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(FIELDS[k], v) for k, v in subject]))
    for extension in (x509.SubjectAlternativeName(names), *more):
        made = made.add_extension(extension, critical=False)
    return made.sign(key or wire.new_key(), hashes.SHA256())


def der(request):
    return request.public_bytes(serialization.Encoding.DER)


def pem(request):
    return request.public_bytes(serialization.Encoding.PEM).decode()


def begin(plane, agent, **asked):
    """A certificate, and a lease of its order."""
    made = plane.op.post("/api/v1/certificates", {"agent_id": agent.id, "target": TARGET, **({} if "csr" in asked else {"names": NAMES}), **asked})
    assert made.status == 201, made
    return made["id"], *lease(plane, agent, made["id"])


def lease(plane, agent, cert):
    job_id = plane.act("order", certificate_id=cert)
    return job_id, agent.lease(job_id)["fence"]


def send(agent, job_id, fence, request, key_ref="key_1"):
    raw = der(request)
    return agent.api.post(f"/agent/v1/jobs/{job_id}/csr", {
        "fence": fence, "attempt": 1, "csr": wire.b64(raw), "csr_sha256": hashlib.sha256(raw).hexdigest(),
        "key": {"type": "ec-p256", "storage": "file", "exportable": False, "key_ref": key_ref}})


def codes(answer):
    assert answer.status in (202, 422), answer
    return [e["code"] for e in answer["errors"]] if answer.status == 422 else []


def issued(agent, answer):
    order = agent.api.get(f"/agent/v1/orders/{answer['order_id']}?wait=10")
    assert order["state"] == "issued", order
    return order["sha256"]


@pytest.mark.parametrize("asked,request_,faults", [
    ({}, build(None, [("C", "DE")]), ["subject"]),
    ({"subject": {"O": "Example", "OU": ["A", "B"]}}, build(None, [("O", "Example"), ("OU", "B"), ("OU", "A")]), []),
    ({"subject": {"O": "Example", "OU": ["A", "B"]}}, build(None, [("O", "Example"), ("OU", "A")]), ["subject"]),
    ({"subject": {"O": "Example", "OU": ["A"]}}, build(None, [("O", "Example"), ("OU", "A"), ("OU", "B")]), ["subject"]),
    ({"subject": {"O": "Example"}}, build(None, [("O", "Other")]), ["subject"]),
    ({"subject": {"O": "Example"}}, build(), ["subject"]),
    ({"names": NAMES, "csr": {"mode": "template", "subject": {"o": "Example"}}}, build(None, [("O", "Example"), ("O", "More")]), ["subject"]),
    ({}, build(None, (), (x509.DNSName(NAMES[0]), x509.RegisteredID(x509.ObjectIdentifier("1.2.3")))), ["san-extra"]),
    ({}, build(None, (), (x509.DNSName(NAMES[0]), x509.RFC822Name("a@example.com"))), ["san-extra"]),
    ({}, build(None, (), tuple(map(x509.DNSName, NAMES)), x509.ExtendedKeyUsage([SERVER])), []),
    ({}, build(None, (), tuple(map(x509.DNSName, NAMES)), x509.ExtendedKeyUsage([SERVER, CLIENT])), ["eku"]),
    ({}, build(None, (), tuple(map(x509.DNSName, NAMES)), x509.ExtendedKeyUsage([SERVER, CODE])), ["eku"]),
    ({}, build(None, (), tuple(map(x509.DNSName, NAMES)), x509.BasicConstraints(True, None)), ["eku"]),
    ({}, build(wire.new_key("ec-p384")), ["key-type"]),
    ({"names": NAMES, "csr": {"mode": "template", "key": "reuse"}}, build(wire.new_key("ec-p384")), []),
    ({"names": NAMES, "csr": {"mode": "template", "key": "reuse", "key_type": "rsa-2048"}}, build(wire.new_key("ec-p384")), ["key-type"]),
])
def test_what_a_request_may_say(plane, agent, asked, request_, faults):
    _, job_id, fence = begin(plane, agent, **asked)
    answer = send(agent, job_id, fence, request_)
    assert codes(answer) == faults, answer
    if faults:
        assert answer["detail"] == answer["errors"][0]["detail"]
    else:
        issued(agent, answer)


def test_a_request_of_the_operator_is_taken_to_the_byte(plane, agent):
    mails = (x509.DNSName(NAMES[0]), x509.RFC822Name("a@example.com"))
    own = build(None, [("O", "Example")], mails)
    _, job_id, fence = begin(plane, agent, csr={"mode": "uploaded", "csr_pem": pem(own)})
    answer = send(agent, job_id, fence, build(None, [("O", "Example")], mails))
    assert codes(answer) == ["csr-differs"] and "uploaded" in answer["detail"]
    issued(agent, send(agent, job_id, fence, own, key_ref=""))


def test_the_request_of_the_order_before_may_come_again(plane, agent):
    cert, job_id, fence = begin(plane, agent, names=NAMES, csr={"mode": "reuse_csr"})
    first = build()
    answer = send(agent, job_id, fence, first)
    assert codes(answer) == ["csr-differs"] and "sent before" in answer["detail"], "there was none before"
    agent.result(job_id, fence, "failed")
    cert, job_id, fence = begin(plane, agent)
    issued(agent, send(agent, job_id, fence, first))
    agent.result(job_id, fence)
    store(plane, "UPDATE cert SET csr = ? WHERE id = ?", '{"mode":"reuse_csr"}', cert)
    job_id, fence = lease(plane, agent, cert)
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]["key"]["key_ref"] == "key_1"
    issued(agent, send(agent, job_id, fence, first))


# ---- results ----

@pytest.mark.parametrize("effects", [{}, {"after": 7}, {"after": {"sha256": "short"}}, {"after": {"sha256": None}}, {"state": "waiting_for_restart"}])
def test_effects_that_say_nothing_of_what_is_served(plane, agent, effects):
    cert, job_id, fence = begin(plane, agent, on_issue="notify")
    sha256 = issued(agent, send(agent, job_id, fence, build()))
    agent.result(job_id, fence)
    job_id = plane.act("deploy", certificate_id=cert)
    answer = agent.result(job_id, agent.lease(job_id)["fence"], effects=effects)
    assert answer["state"] == "succeeded", answer
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert (shown["state"], shown["current_sha256"], shown["newest_sha256"]) == ("verified", None, sha256)


@pytest.mark.parametrize("state", [{}, {"state": "waiting_for_restart"}])
def test_a_version_that_is_no_number(plane, agent, state):
    cert, job_id, fence = begin(plane, agent)
    sha256 = issued(agent, send(agent, job_id, fence, build()))
    answer = agent.result(job_id, fence, effects={"after": {"sha256": sha256}, "version": "x", **state})
    assert (answer.status, answer.code) == (400, "schema")
    assert plane.op.get(f"/api/v1/certificates/{cert}")["current_sha256"] is None


def test_a_recheck_of_another_leaf_than_the_one_that_waits(plane, agent):
    cert, job_id, fence = begin(plane, agent)
    sha256 = issued(agent, send(agent, job_id, fence, build()))
    agent.result(job_id, fence, effects={"after": {"sha256": sha256}, "version": 2, "state": "waiting_for_restart"})
    for outcome, state in (("succeeded", "waiting_for_restart"), ("failed", "failed")):
        job_id = plane.act("verify", certificate_id=cert, sha256="cd" * 32)
        agent.result(job_id, agent.lease(job_id)["fence"], outcome)
        shown = plane.op.get(f"/api/v1/certificates/{cert}")
        assert (shown["state"], shown["waiting_sha256"]) == (state, sha256)
    report = {"schema": 1, "digest": "sha256:" + "ab" * 32, "scan_id": "scn_1", "started_at": "2026-11-21T01:30:00Z", "services": [
        {"service_id": "nginx", "kind": "nginx", "running": True, "targets": [{"target": TARGET, "served": {"sha256": sha256}}]}]}
    assert agent.api.put("/agent/v1/inventory", report).status == 204
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert (shown["state"], shown["current_sha256"], shown["waiting_sha256"]) == ("failed", sha256, None)


# ---- how it is deployed ----

def test_a_deployment_keeps_what_its_configuration_says(plane, tmp_path):
    able = wire.WireAgent(plane, tmp_path, "able")
    able.enroll(plane.new_token(), capabilities=["job.order/1", "deploy.leave/1", "deploy.retain/1"])
    able.poll()
    target = "file:/srv/app/tls"
    for connector, dcv in (("le", "http-01"), ("builtin", "none")):
        made = plane.op.post("/api/v1/configurations", {
            "agent_id": able.id, "target": target, "deployment": {"source": "declared"}, "csr": {"sans": {"dns": NAMES}},
            "issuer": {"connector": connector}, "dcv": {"method": dcv, **({"webroot_ref": "www"} if dcv == "http-01" else {})},
            "schedule": {"on_failure": "leave", "retain": 7}})
        assert made.status == 201, made
        job_id = plane.op.post(f"/api/v1/configurations/{made['id']}/run")["job_id"]
        spec = plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]
        assert spec["dcv"] == ({"method": dcv, "webroot_ref": "www"} if dcv == "http-01" else {"method": dcv})
        assert spec["deploy"] == {"retain": 7}
        if dcv == "none":
            fence = able.lease(job_id)["fence"]
            issued(able, send(able, job_id, fence, build()))
            able.result(job_id, fence)
            deploy = plane.act("deploy", certificate_id=made["certificate_id"])
            _, payload = wire.read_jws(able.api.get(f"/agent/v1/jobs/{deploy}").json, able.jobs_key)
            assert payload["spec"]["retain"] == 7 and payload["on_failure"] == "stop"
        else:
            plane.op.post(f"/api/v1/jobs/{job_id}/cancel")
        target = "file:/srv/other/tls"
