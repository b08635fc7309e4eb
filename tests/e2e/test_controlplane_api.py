# SPDX-License-Identifier: Apache-2.0
"""Enrolment, identity and the rules of the agent API, against the real server over mutual TLS."""
import base64
import datetime
import hashlib
import json
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness import wire
from harness.base import until

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    it = wire.WirePlane(tmp_path_factory.mktemp("cp"), enroll_per_min=60000, enroll_burst=1000,
                        agent_per_min=60000, agent_burst=1000, token_per_min=1000)
    it.start()
    yield it
    it.stop()


@pytest.fixture
def host(plane, tmp_path):
    return wire.WireAgent(plane, tmp_path)


@pytest.fixture
def agent(plane, host):
    host.enroll(plane.new_token())
    return host


# ---- discovery, pin ----

def test_discovery(plane, host):
    answer = host.api.get("/.well-known/clm-agent")
    assert answer["protocols"] == [1] and answer["gzip"] is False
    assert answer["agent_base"] == [plane.agent_url + "/agent/v1"]


def test_the_pin_in_the_token_is_the_key_of_the_ca(plane, host):
    pem = host.api.get("/agent/v1/cacerts").raw
    spki = x509.load_pem_x509_certificate(pem).public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pin = "sha256/" + base64.b64encode(hashlib.sha256(spki).digest()).decode()
    assert wire.Token(plane.new_token()).fields["pin"] == [pin]


# ---- enrolment ----

def test_enrolment_gives_the_certificate_profile(plane, agent):
    leaf, issuer = [x509.load_pem_x509_certificate(p.encode() + b"-----END CERTIFICATE-----\n")
                    for p in agent.certificate.split("-----END CERTIFICATE-----\n") if p.strip()]
    assert leaf.subject.rfc4514_string() == f"CN={agent.id}"
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.UniformResourceIdentifier) == [f"clm://default/agent/{agent.id}"]
    eku = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(eku) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    life = leaf.not_valid_after - leaf.not_valid_before
    assert life == datetime.timedelta(days=14, hours=1)
    basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert basic.ca and basic.path_length == 0
    root = x509.load_pem_x509_certificate(plane.ca().encode())
    assert issuer.issuer == root.subject
    root.public_key().verify(issuer.signature, issuer.tbs_certificate_bytes, wire.ec.ECDSA(hashes.SHA256()))
    issuer.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, wire.ec.ECDSA(hashes.SHA256()))


def test_the_trust_document_is_signed_by_the_pinned_ca(plane, agent):
    root = x509.load_pem_x509_certificate(plane.ca().encode())
    header, trust = wire.read_jws(agent.trust, lambda kid: {"ca": root.public_key()}[kid])
    assert header == {"alg": "ES256", "kid": "ca", "typ": "clm-trust+jws"}
    assert trust["agent_id"] == agent.id and trust["tenant"] == "default" and trust["version"] == 1
    assert trust["server_cas"][0]["pem"] == plane.ca()
    again = agent.api.get("/agent/v1/trust")
    assert wire.read_jws(again.json, lambda kid: root.public_key())[1]["agent_id"] == agent.id


def test_a_token_is_used_up_by_one_host(plane, host, tmp_path):
    token = plane.new_token()
    host.enroll(token)
    second = wire.WireAgent(plane, tmp_path, "web-2").enroll(token, check=False)
    assert (second.status, second.code) == (403, "token-unknown")
    assert "used already" in plane.log()


def test_a_token_for_two_hosts(plane, tmp_path):
    token = plane.new_token(uses=2)
    ids = set()
    for name in ("a", "b"):
        one = wire.WireAgent(plane, tmp_path, name)
        one.enroll(token)
        ids.add(one.id)
    assert len(ids) == 2
    assert wire.WireAgent(plane, tmp_path, "c").enroll(token, check=False).status == 403


def test_an_expired_token(plane, host):
    token = plane.new_token(ttl_s=1)
    until(lambda: time.time() > wire.Token(token).fields["exp"] + 0.01, what="the token to expire")
    answer = host.enroll(token, check=False)
    assert (answer.status, answer.code) == (403, "token-unknown")
    assert "has expired" in plane.log()


def test_an_unknown_token(plane, host):
    token = wire.Token(plane.new_token())
    token.id = "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
    answer = host.api.post("/agent/v1/enroll", host.enroll_body(token))
    assert (answer.status, answer.code) == (403, "token-unknown")


def test_a_proof_by_another_secret(plane, host):
    token = wire.Token(plane.new_token())
    token.secret = b"x" * 32
    answer = host.api.post("/agent/v1/enroll", host.enroll_body(token))
    assert (answer.status, answer.code) == (403, "token-unknown")
    assert "does not fit the token's secret" in plane.log()
    assert plane.op.get("/api/v1/tokens")["tokens"][0]["uses"] == 0


def test_a_proof_does_not_fit_another_request(plane, host):
    body = host.enroll_body(wire.Token(plane.new_token()))
    other = wire.new_key()
    body["csr"] = wire.b64(wire.make_csr(other))
    answer = host.api.post("/agent/v1/enroll", body)
    assert (answer.status, answer.code) == (403, "token-unknown")


def test_a_token_for_other_host_names(plane, host):
    answer = host.enroll(plane.new_token(host_glob="db-*"), check=False)
    assert (answer.status, answer.code) == (403, "token-unknown")
    host.name = "db-7"
    assert host.enroll(plane.new_token(host_glob="db-*")).status == 201


def test_all_token_errors_look_the_same(plane, host, tmp_path):
    used = plane.new_token()
    wire.WireAgent(plane, tmp_path, "other").enroll(used)
    unknown = wire.Token(plane.new_token())
    unknown.id = "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
    answers = [host.enroll(used, check=False), host.api.post("/agent/v1/enroll", host.enroll_body(unknown))]
    seen = {tuple((k, v) for k, v in a.json.items() if k != "request_id") for a in answers}
    assert len(seen) == 1, seen


@pytest.mark.parametrize("nonce", ["", "x", "Tk5OTk5OTk5OTk5OTk5OTg", "A" * 43, "é" * 20])
def test_a_nonce_that_is_not_ours(plane, host, nonce):
    answer = host.enroll(plane.new_token(), check=False, nonce=nonce or " ")
    assert (answer.status, answer.code) == (401, "nonce-required"), answer


def test_a_nonce_works_once(plane, host, tmp_path):
    nonce = host.api.get("/agent/v1/enroll/nonce")["nonce"]
    token = plane.new_token(uses=2)
    host.enroll(token, nonce=nonce)
    answer = wire.WireAgent(plane, tmp_path, "web-2").enroll(token, check=False, nonce=nonce)
    assert (answer.status, answer.code) == (401, "nonce-required")


def test_a_device_key_that_is_not_the_hosts(plane, host):
    answer = host.enroll(plane.new_token(), check=False, device_key=wire.jwk(wire.new_key()))
    assert (answer.status, answer.code) == (401, "signature-invalid")


def _with_another_end(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("make,word", [
    (lambda: b"not a request", ""),
    (lambda: wire.make_csr(wire.new_key("ec-p384")), "ec-p256"),
    (lambda: wire.make_csr(wire.new_key("rsa-2048")), "ec-p256"),
    (lambda: _with_another_end(wire.make_csr(wire.new_key())), ""),
    (lambda: wire.make_csr(wire.new_key()) + b"\0", ""),
])
def test_a_bad_request_for_an_identity(plane, host, make, word):
    host.csr = make()
    answer = host.enroll(plane.new_token(), check=False)
    assert (answer.status, answer.code) == (422, "invalid-csr"), answer
    assert word in answer["detail"]


@pytest.mark.parametrize("change", [
    {"token_id": 7}, {"token_id": "x" * 40}, {"nonce": None}, {"device_key": {"kty": "EC"}},
    {"device_key": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}},
    {"host": {}}, {"host": {"hostname": "x" * 300}}, {"agent": []}, {"labels": {str(i): "" for i in range(33)}},
    {"policy_digest": None}, {"csr": None}, {"csr": "***"},
])
def test_a_malformed_enrolment(plane, host, change):
    body = host.enroll_body(wire.Token(plane.new_token()))
    body.update(change)
    answer = host.api.post("/agent/v1/enroll", body)
    assert answer.status in (400, 422), answer
    assert answer.code in ("schema", "invalid-csr")


def test_the_same_enrolment_again_is_the_same_agent(plane, host):
    """The answer was lost: with the kept key, and with a new key and a new nonce."""
    token = plane.new_token()
    body = host.enroll_body(wire.Token(token))
    first = host.api.post("/agent/v1/enroll", body, key="K1")
    again = host.api.post("/agent/v1/enroll", body, key="K1")
    assert again.headers["Clm-Replayed"] == "true" and again.raw == first.raw
    other = host.api.post("/agent/v1/enroll", body, key="K2")
    assert (other.status, other.code) == (401, "nonce-required")
    fresh = host.enroll(token)
    assert fresh.headers["Clm-Replayed"] == "true" and fresh["agent_id"] == first["agent_id"]
    assert fresh["certificate"] == first["certificate"]


def test_another_request_under_the_same_key(plane, host):
    token = plane.new_token(uses=2)
    host.enroll(token, key="K1")
    host.api = host.anonymous(plane.ca())
    answer = host.enroll(token, check=False, key="K1")
    assert (answer.status, answer.code) == (422, "idempotency-mismatch")


def test_duplicates_of_a_machine_are_named(plane, tmp_path):
    first = wire.WireAgent(plane, tmp_path, "twin")
    first.enroll(plane.new_token())
    second = wire.WireAgent(plane, tmp_path, "twin")
    assert first.id in second.enroll(plane.new_token())["possible_duplicate_of"]


def test_manual_approval(plane, host):
    token = plane.new_token(approval="manual")
    pending = host.enroll(token, check=False)
    assert pending.status == 202 and pending["status"] == "pending"
    assert pending.headers["Retry-After"] == "60"
    want = hashlib.sha256(host.csr).hexdigest()[:12].upper()
    assert pending["fingerprint"].replace("-", "") == want
    place = pending.headers["Location"]
    proof = wire.Token(token).mac(f"clm-enroll-status-v1\n{pending['enroll_id']}\n")
    assert host.api.get(place, Clm_Enroll_Proof=proof).status == 202
    assert host.api.get(place).code == "enroll-denied"
    assert host.api.get(place, Clm_Enroll_Proof="A" * 43).code == "enroll-denied"
    row = next(a for a in plane.op.get("/api/v1/agents")["agents"] if a["status"] == "pending")
    assert row["fingerprint"] == pending["fingerprint"]
    assert plane.op.post(f"/api/v1/agents/{row['id']}/enable").code == "conflict"
    assert plane.op.post(f"/api/v1/agents/{row['id']}/approve")["status"] == "active"
    done = host.api.get(place, Clm_Enroll_Proof=proof)
    assert done.status == 201
    host.admit(done)
    assert host.poll().status == 200


def test_a_host_that_is_denied(plane, host):
    token = plane.new_token(approval="manual")
    pending = host.enroll(token, check=False)
    row = next(a for a in plane.op.get("/api/v1/agents")["agents"] if a["status"] == "pending")
    assert plane.op.post(f"/api/v1/agents/{row['id']}/disable")["status"] == "denied"
    proof = wire.Token(token).mac(f"clm-enroll-status-v1\n{pending['enroll_id']}\n")
    answer = host.api.get(pending.headers["Location"], Clm_Enroll_Proof=proof)
    assert (answer.status, answer.code) == (403, "enroll-denied")


# ---- client certificates ----

def test_without_a_certificate(plane, host):
    host.id = "nobody"
    answer = host.poll()
    assert (answer.status, answer.code) == (401, "auth-required")


def _forge(plane, agent, days=1, issuer_dir=None, key=None, cn=None, eku=ExtendedKeyUsageOID.CLIENT_AUTH, ago=0):
    """A client certificate by the agent CA's own key, or by another's."""
    base = issuer_dir or plane.data
    ca = x509.load_pem_x509_certificate((base / "agent-ca.pem").read_bytes())
    ca_key = serialization.load_pem_private_key((base / "agent-ca.key").read_bytes(), None)
    now = datetime.datetime.utcnow() - datetime.timedelta(days=ago)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn or agent.id)])
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(ca.subject)
            .public_key((key or agent.key).public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.ExtendedKeyUsage([eku]), critical=False)
            .sign(ca_key, hashes.SHA256()))
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def test_the_forged_certificate_of_these_tests_is_good_when_it_should_be(plane, agent):
    agent.use(_forge(plane, agent))
    assert agent.poll().status == 200


def test_an_expired_certificate(plane, agent):
    agent.use(_forge(plane, agent, days=1, ago=3))
    answer = agent.poll()
    assert (answer.status, answer.code) == (401, "cert-expired")


def test_a_certificate_of_another_control_plane(plane, agent, tmp_path):
    other = wire.WirePlane(tmp_path / "other")
    other.start()
    other.stop()
    agent.use(_forge(plane, agent, issuer_dir=other.data))
    answer = agent.poll()
    assert (answer.status, answer.code) == (401, "auth-required")


def test_a_certificate_for_another_key(plane, agent):
    key = wire.new_key()
    agent.use(_forge(plane, agent, key=key), key)
    answer = agent.poll()
    assert (answer.status, answer.code) == (401, "auth-required")


def test_a_certificate_that_is_not_for_clients(plane, agent):
    agent.use(_forge(plane, agent, eku=ExtendedKeyUsageOID.SERVER_AUTH))
    assert agent.poll().code == "auth-required"


@pytest.mark.parametrize("cn,code", [("agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C", "agent-unknown"), ("someone", "auth-required"),
                                     ("agt_'; DROP TABLE agent", "auth-required")])
def test_a_certificate_for_nobody(plane, agent, cn, code):
    agent.use(_forge(plane, agent, cn=cn))
    assert agent.poll().code == code


def test_a_certificate_that_signed_itself(plane, agent):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, agent.id)])
    now = datetime.datetime.utcnow()
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(agent.key.public_key())
            .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1)).sign(agent.key, hashes.SHA256()))
    agent.use(cert.public_bytes(serialization.Encoding.PEM).decode())
    assert agent.poll().code == "auth-required"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls(agent, version):
    agent.use(agent.certificate, version=version)
    assert agent.poll().status == 200


def test_disabled_and_enabled_again(plane, agent):
    assert plane.op.post(f"/api/v1/agents/{agent.id}/disable")["status"] == "disabled"
    answer = agent.poll()
    assert (answer.status, answer.code) == (403, "agent-disabled")
    assert int(answer.headers["Retry-After"]) == 3600
    assert plane.op.post(f"/api/v1/agents/{agent.id}/enable")["status"] == "active"
    assert agent.poll().status == 200


# ---- renewal ----

def _renew(agent, key=None, generation=None, idem=None):
    key = key or wire.new_key()
    csr = wire.make_csr(key)
    answer = agent.api.post("/agent/v1/identity/renew", {
        "generation": agent.generation if generation is None else generation, "csr": wire.b64(csr),
        "reason": "half-life", "boot_id": agent.boot_id}, key=idem)
    return answer, key, csr


def test_renewal_and_the_end_of_the_old_certificate(agent):
    old_certificate, old_key = agent.certificate, agent.key
    answer, key, _ = _renew(agent)
    assert answer.status == 200 and answer["generation"] == 2
    assert agent.poll().status == 200, "the old one is good until the new one was used"
    agent.use(answer["certificate"], key)
    assert agent.poll().status in (200, 204)
    agent.use(old_certificate, old_key)
    answer = agent.poll()
    assert (answer.status, answer.code) == (401, "auth-required")


def test_a_renewal_whose_answer_was_lost(agent):
    """The agent sends the same request again, with whatever key."""
    key = wire.new_key()
    csr = wire.b64(wire.make_csr(key))
    body = {"generation": 1, "csr": csr}
    first = agent.api.post("/agent/v1/identity/renew", body)
    again = agent.api.post("/agent/v1/identity/renew", body)
    assert again.status == 200 and again.headers["Clm-Replayed"] == "true"
    assert again["certificate"] == first["certificate"] and again["generation"] == 2


def test_two_copies_of_an_agent_are_quarantined(plane, agent):
    answer, key, _ = _renew(agent)
    assert answer.status == 200
    clone, _, _ = _renew(agent, generation=1)
    assert (clone.status, clone.code) == (409, "clone-suspected")
    agent.use(answer["certificate"], key)
    poll = agent.poll()
    assert (poll.status, poll.code) == (409, "clone-suspected"), "neither copy gets work"
    assert plane.op.get(f"/api/v1/agents/{agent.id}")["status"] == "quarantined"
    plane.op.post(f"/api/v1/agents/{agent.id}/enable")
    assert agent.poll().status == 200


def test_a_generation_from_the_future(agent):
    answer, _, _ = _renew(agent, generation=9)
    assert answer.code == "clone-suspected"


# ---- recovery ----

def _recover(agent, **changes):
    ask = agent.api.post("/agent/v1/recover", {"agent_id": agent.id})
    assert (ask.status, ask.code) == (401, "nonce-required")
    key = wire.new_key()
    csr = wire.make_csr(key)
    bodies = []

    def body():
        nonce = changes.get("nonce") or agent.api.post("/agent/v1/recover", {"agent_id": agent.id})["nonce"]
        bodies.append({"agent_id": agent.id, "csr": wire.b64(csr),
                       "proof": agent.recovery_proof(csr=csr, **{**changes, "nonce": nonce})})
        return bodies[-1]

    return agent.api.post("/agent/v1/recover", body), key, bodies[-1]


def test_recovery_with_the_device_key(plane, agent):
    agent.api = agent.anonymous(plane.ca())
    answer, key, body = _recover(agent)
    assert answer.status == 200 and answer["generation"] == 2
    again = agent.api.post("/agent/v1/recover", body)
    assert again.code == "signature-invalid", "a nonce is used up by a good proof"
    agent.use(answer["certificate"], key)
    assert agent.poll().status == 200


@pytest.mark.parametrize("change", [
    {"key": wire.new_key()}, {"nonce": "A" * 43}, {"agent_id": "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"},
    {"csr_sha256": "0" * 64},
])
def test_a_bad_recovery_proof(plane, agent, change):
    agent.api = agent.anonymous(plane.ca())
    answer, _, _ = _recover(agent, **change)
    assert (answer.status, answer.code) == (401, "signature-invalid")
    assert plane.op.get(f"/api/v1/agents/{agent.id}")["generation"] == 1


def test_recovery_of_a_clone(plane, agent):
    agent.api = agent.anonymous(plane.ca())
    answer, _, _ = _recover(agent, generation=5)
    assert (answer.status, answer.code) == (409, "clone-suspected")


def test_recovery_of_nobody_and_of_a_disabled_agent(plane, agent):
    agent.api = agent.anonymous(plane.ca())
    plane.op.post(f"/api/v1/agents/{agent.id}/disable")
    answer, _, _ = _recover(agent)
    assert (answer.status, answer.code) == (403, "agent-disabled")
    agent.id = "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
    answer, _, _ = _recover(agent)
    assert (answer.status, answer.code) == (410, "agent-unknown")


def test_too_many_recoveries_need_an_operator(plane, agent):
    agent.api = agent.anonymous(plane.ca())
    for _ in range(10):
        answer, _, _ = _recover(agent)
        assert answer.status == 200
        agent.generation = answer["generation"]
    answer, _, _ = _recover(agent)
    assert (answer.status, answer.code) == (403, "recovery-needs-approval")
    assert plane.op.post(f"/api/v1/agents/{agent.id}/approve").status == 200
    answer, _, _ = _recover(agent)
    assert answer.status == 200
    agent.generation = answer["generation"]
    answer, _, _ = _recover(agent)
    assert answer.code == "recovery-needs-approval", "an approval is good for one"


# ---- the rules of every request ----

def test_the_protocol_header_is_required(agent):
    for version in (None, "2", ""):
        answer = agent.api.call("POST", "/agent/v1/poll", agent.poll_body(), {"Clm-Protocol": version})
        assert (answer.status, answer.code) == (400, "schema")


def test_the_idempotency_key_is_required(agent):
    for key in (None, "", "x" * 129):
        answer = agent.api.call("POST", "/agent/v1/bye", {}, {"Idempotency-Key": key})
        assert (answer.status, answer.code) == (400, "schema")


@pytest.mark.parametrize("body,code", [
    (b"", "schema"), (b"{", "malformed"), (b"[]", "schema"), (b'{"v":1,"v":1}', "malformed"), (b"{} x", "malformed"),
    (b'\xef\xbb\xbf{}', "malformed"), (b'{"a":"\\u0000"}', "malformed"), (b'{"a":"\xff"}', "malformed"),
    (b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", "malformed"), (b"{}", "schema"),
])
def test_bodies_that_are_not_a_poll(agent, body, code):
    answer = agent.api.call("POST", "/agent/v1/poll", body)
    assert (answer.status, answer.code) == (400, code), answer


@pytest.mark.parametrize("change", [
    {"v": 2}, {"boot_id": None}, {"boot_id": "x" * 60}, {"seq": -1}, {"seq": 1.5}, {"seq": 2 ** 53},
    {"cursor": "1"}, {"slots_free": None}, {"leases": {}}, {"leases": [{}] * 17}, {"leases": [{"job_id": "x"}]},
    {"waiting": [{}]}, {"leases": [7]},
])
def test_polls_that_do_not_follow_the_schema(agent, change):
    answer = agent.poll(**change)
    assert answer.status == 400 and answer.code in ("schema", "malformed"), answer


@pytest.mark.parametrize("kind", [None, "text/plain", "application/jsonx", "application/x-www-form-urlencoded"])
def test_another_media_type(agent, kind):
    connection = agent.api.connect()
    headers = {**agent.api.headers, "Content-Type": kind} if kind else dict(agent.api.headers)
    connection.request("POST", "/agent/v1/poll", json.dumps(agent.poll_body()), headers)
    answer = agent.api.receive(connection, "POST", "/agent/v1/poll", b"")
    assert (answer.status, answer.code) == (415, "media-type")


def test_a_compressed_body(agent):
    answer = agent.api.call("POST", "/agent/v1/poll", agent.poll_body(), {"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (415, "media-type")


def test_too_large_a_body(agent):
    body = agent.poll_body(health={"state": "x" * 16384})
    answer = agent.api.call("POST", "/agent/v1/poll", body)
    assert (answer.status, answer.code) == (413, "too-large")


def test_too_large_a_body_in_chunks(agent):
    connection = agent.api.connect()
    chunks = [b'{"v":1,"x":"'] + [b"x" * 4096] * 8 + [b'"}']
    connection.request("POST", "/agent/v1/poll", iter(chunks),
                       {**agent.api.headers, "Content-Type": "application/json"}, encode_chunked=True)
    answer = agent.api.receive(connection, "POST", "/agent/v1/poll", b"")
    assert (answer.status, answer.code) == (413, "too-large")


def test_too_many_headers(agent):
    answer = agent.api.call("POST", "/agent/v1/poll", agent.poll_body(), {"X-Much": "x" * 9000})
    assert (answer.status, answer.code) == (431, "too-large")


def test_other_methods_and_paths(agent):
    assert agent.api.call("GET", "/agent/v1/poll").status == 405
    assert agent.api.call("DELETE", "/agent/v1/inventory").status == 405
    for path in ("/agent/v1/nothing", "/agent/v1/jobs/", "/agent/v1/jobs/a/b/lease", "/agent/v1/poll/", "//",
                 "/agent/v1/jobs/" + "x" * 100, "/api/v1/agents", "/"):
        assert agent.api.call("GET", path).status == 404, path


def test_times_and_numbers_in_the_query(agent):
    for wait in ("x", "-1", "1e3", "99999999"):
        answer = agent.api.call("POST", f"/agent/v1/poll?wait={wait}", agent.poll_body())
        assert (answer.status, answer.code) == (400, "schema")


def test_answers_are_not_to_be_cached(agent):
    assert agent.poll().headers["Cache-Control"] == "no-store"


# ---- rates ----

def _until_refused(ask):
    """How many passed before the first 429, and that. Some come back while we ask, so a few more may pass."""
    for i in range(200):
        answer = ask()
        if answer.status == 429:
            return i, answer
    raise AssertionError("never refused")


def test_an_agent_that_asks_too_often(tmp_path):
    plane = wire.WirePlane(tmp_path / "cp", agent_burst=30)
    plane.start()
    try:
        agent = wire.WireAgent(plane, tmp_path)
        agent.enroll(plane.new_token())
        passed, refused = _until_refused(agent.poll)
        assert passed >= 30 and refused.code == "rate-limited"
        assert int(refused.headers["Retry-After"]) >= 1
        passed, refused = _until_refused(lambda: agent.api.get("/agent/v1/enroll/nonce"))
        assert passed >= 8 and refused.code == "rate-limited"
    finally:
        plane.stop()


def test_a_token_that_is_tried_too_often(plane, host, tmp_path):
    slow = wire.WirePlane(tmp_path / "slow", enroll_per_min=60000, enroll_burst=1000)
    slow.start()
    try:
        one = wire.WireAgent(slow, tmp_path)
        token = wire.Token(slow.new_token())
        token.secret = b"x" * 32
        passed, refused = _until_refused(lambda: one.api.post("/agent/v1/enroll", one.enroll_body(token)))
        assert 10 <= passed <= 12 and refused.code == "rate-limited"
    finally:
        slow.stop()
