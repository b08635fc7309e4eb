# SPDX-License-Identifier: Apache-2.0
"""What hosts and operators seldom say or do: inventories of another form, actions that come too late, requests that are
nearly right. Nothing of it is lost or left half done."""
import ipaddress
import json
import sqlite3
import time

import pytest

from harness import wire
from harness.base import until
from test_controlplane_csr import inventory, request_of

pytestmark = pytest.mark.api

TARGET = "nginx:www.example.com"
NAMES = ["www.example.com"]
CONNECTORS = [{"name": "builtin", "type": "builtin", "dcv": "none"}, {"name": "proving", "type": "builtin", "dcv": "http-01"},
              {"name": "le", "type": "acme", "directory": "https://127.0.0.1:9/dir"}]


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
    return it


def report(agent, services):
    """As bytes: the document forbids some of them."""
    answer = agent.api.put("/agent/v1/inventory", json.dumps({**inventory(), "services": services}).encode())
    assert answer.status == 204, answer


def target(**more):
    return [{"service_id": "nginx", "kind": "nginx", "running": True, "targets": [{"target": TARGET, "manageable": True, **more}]}]


def configure(plane, agent, **steps):
    return plane.op.post("/api/v1/configurations", {"agent_id": agent.id, "target": TARGET, **steps})


def pointers(answer):
    assert (answer.status, answer.code) == (400, "schema"), answer
    return [e["pointer"] for e in answer["errors"]]


def cert_of(plane, made):
    assert made.status == 201, made
    return plane.op.get(f"/api/v1/certificates/{made['certificate_id']}")


def request_with_address(address):
    names = wire.x509.SubjectAlternativeName([wire.x509.IPAddress(ipaddress.ip_address(address))])
    made = wire.x509.CertificateSigningRequestBuilder().subject_name(wire.x509.Name([])).add_extension(names, critical=False)
    return made.sign(wire.new_key(), wire.hashes.SHA256())


def store(plane, sql, *values):
    db = sqlite3.connect(plane.data / "clmbot.db", timeout=20)
    with db:
        assert db.execute(sql, values).rowcount > 0
    db.close()


# ---- inventories ----

@pytest.mark.parametrize("services", [
    [1, "x", [], None], [{"targets": "x"}], [{"targets": [[1, 2], 7, {"target": 1}, {}]}], [{"targets": [{"target": "nginx:other"}]}],
])
def test_an_inventory_of_another_form_shows_no_target(plane, agent, services):
    report(agent, services)
    shown = plane.op.call("GET", f"/api/v1/targets?agent_id={agent.id}")["targets"]
    assert all(t["agent_id"] == agent.id and t["certificate_id"] is None for t in shown)
    assert pointers(configure(plane, agent)) == ["/target"]


@pytest.mark.parametrize("more,says", [
    ({"manageable": False}, "the host gives no reason"), ({"manageable": "yes"}, "the host gives no reason"),
    ({"manageable": False, "reasons": [7]}, "the host gives no reason"), ({"manageable": False, "reasons": ["no key"]}, "no key"),
])
def test_a_target_that_cannot_be_managed_says_why(plane, agent, more, says):
    report(agent, target(names=NAMES, **more))
    answer = configure(plane, agent)
    assert pointers(answer) == ["/target"] and says in answer["detail"]


@pytest.mark.parametrize("more,csr", [({"names": ["a b"]}, {}), ({"names": 7}, {}), ({}, {}), ({"certificate": {"sans": [7]}}, {"mode": "installed"}),
                                      ({"certificate": {"sans": ["a b"]}}, {"mode": "override"})])
def test_names_of_a_host_that_are_none(plane, agent, more, csr):
    report(agent, target(**more))
    assert pointers(configure(plane, agent, csr=csr)) == ["/csr/sans"]


@pytest.mark.parametrize("certificate", [{"sans": [7]}, {"sans": ["a b"]}, {"sans": "x"}, {"sans": []}, 7])
def test_an_installed_certificate_that_says_no_names(plane, agent, certificate):
    report(agent, target(certificate=certificate))
    answer = plane.op.post("/api/v1/certificates", {"agent_id": agent.id, "target": TARGET, "csr": {"mode": "installed"}})
    assert (answer.status, answer.code) == (400, "schema"), answer


@pytest.mark.parametrize("bad", ["sha256:" + "G" * 64, "sha512:" + "ab" * 32, "sha256:" + "ab" * 31])
def test_a_digest_that_is_none(agent, bad):
    assert agent.api.put("/agent/v1/inventory", {**inventory(), "digest": bad}).code == "schema"


@pytest.mark.parametrize("query", ["after=x", "after=-1", "wait=x", "wait=86401"])
def test_changes_are_asked_for_with_numbers(plane, query):
    assert plane.op.get("/api/v1/events?" + query).code == "schema"


# ---- configurations ----

@pytest.mark.parametrize("steps,where", [
    ({"deployment": {"source": 7}}, ["/deployment/source"]), ({"issuer": {"connector": 7}}, ["/issuer/connector"]),
    ({"issuer": {"profile": 7}}, ["/issuer/profile"]), ({"issuer": []}, ["/issuer"]), ({"dcv": "none"}, ["/dcv"]),
    ({"dcv": {"method": 7}}, ["/dcv/method"]), ({"dcv": {"webroot_ref": 7}}, ["/dcv/webroot_ref"]), ({"schedule": 7}, ["/schedule"]),
    ({"schedule": {"deploy": []}}, ["/schedule/deploy"]), ({"schedule": {"x" * 150: 1}}, ["/schedule"]),
    ({"schedule": {"retain": 1.5}}, ["/schedule/retain"]), ({"csr": {"mode": "guess"}}, ["/csr"]),
    ({"csr": {"mode": "uploaded", "csr_pem": "none"}}, ["/csr/csr_pem"]), ({"csr": {"sans": {"dns": [7]}}}, ["/csr/sans"]),
    ({"csr": {"mode": "override", "sans": {"email": ["a@example.com"]}}, "issuer": {"connector": "le"}, "dcv": {"method": "http-01"}},
     ["/csr/sans/email"]),
])
def test_faults_of_another_form(plane, agent, steps, where):
    report(agent, target(names=NAMES))
    found = pointers(configure(plane, agent, **steps))
    assert found == where, found


@pytest.mark.parametrize("steps,names", [
    ({"csr": {"sans": {}}}, NAMES), ({"csr": {"sans": {"ip": ["192.0.2.7"]}}}, ["192.0.2.7"]),
    ({"csr": {"mode": "template", "must_staple": True}}, NAMES), ({"issuer": {"connector": "le", "profile": "tls"}}, NAMES),
    ({"csr": {"mode": "override", "sans": {"ip": ["192.0.2.9"]}}}, ["192.0.2.9"]), ({"csr": {"mode": "override"}}, ["old.example.com"]),
    ({"csr": {"mode": "uploaded", "csr_pem": request_of(wire.new_key(), ["own.example.com"])}}, ["own.example.com"]),
])
def test_where_names_come_from(plane, agent, steps, names):
    report(agent, target(names=NAMES, certificate={"sans": ["old.example.com"], "key_type": "ec-p384"}))
    shown = cert_of(plane, configure(plane, agent, **steps))["names"]
    assert shown["dns"] + shown["ip"] == names


@pytest.mark.parametrize("bad", ["NGINX:x", "nginx", "", "host"])
def test_a_target_that_is_none(plane, agent, bad):
    assert pointers(plane.op.post("/api/v1/configurations", {"agent_id": agent.id, "target": bad})) == ["/target"]


def test_a_change_stays_with_its_host(plane, agent):
    report(agent, target(names=NAMES))
    made = configure(plane, agent)
    path = f"/api/v1/configurations/{made['id']}"
    for other in ({"agent_id": "agt_x"}, {"target": "nginx:other"}):
        assert plane.op.put(path, other, If_Match="*").code == "conflict"
    assert plane.op.put(path, {"agent_id": 7}, If_Match="*").code == "schema"
    assert plane.op.put(path, {"agent_id": agent.id, "target": TARGET}, If_Match="*")["revision"] == 2


# ---- certificates ----

@pytest.mark.parametrize("bad,says", [
    ({"names": {"dns": 7}}, "/names/dns"), ({"names": {"dns": ["a b"]}}, "/names: "), ({"names": {"ip": ["x"]}}, "/names: "), ({"names": 7}, "/names"),
    ({"subject": {"O": ["a"]}}, "/subject/O"), ({"subject": {"OU": 7}}, "/subject/OU"), ({"key_type": 7}, "/key_type"), ({"connector": 7}, "/connector"),
    ({"webroot_ref": 7}, "/webroot_ref"), ({"on_issue": 7}, "/on_issue"), ({"target": 7}, "/target"), ({"subject": {"C": 7}}, "/subject/C"),
    ({"names": [], "csr": {"mode": "override", "sans": {"ip": ["192.0.2.1"], "dns": []}}, "connector": "le", "on_issue": "pray"}, "/on_issue"),
])
def test_certificates_that_are_nearly_right(plane, agent, bad, says):
    answer = plane.op.post("/api/v1/certificates", {"agent_id": agent.id, "target": TARGET, "names": NAMES, **bad})
    assert (answer.status, answer.code) == (400, "schema") and says in answer["detail"], answer


def test_a_request_with_addresses(plane, agent):
    pem = request_with_address("192.0.2.7").public_bytes(wire.serialization.Encoding.PEM).decode()
    answer = plane.op.post("/api/v1/certificates", {"agent_id": agent.id, "target": TARGET, "connector": "le",
                                                    "csr": {"mode": "uploaded", "csr_pem": pem}})
    assert answer.status == 201 and answer["names"] == {"dns": [], "ip": ["192.0.2.7"]}


def test_connectors_are_listed_with_what_they_ask_for(plane):
    listed = plane.op.get("/api/v1/connectors")
    assert listed["default_connector"] == "builtin"
    assert [(c["name"], c["dcv"], c.get("directory")) for c in listed["connectors"]] == [
        ("builtin", "none", None), ("proving", "http-01", None), ("le", "http-01", "https://127.0.0.1:9/dir")]


# ---- actions ----

def ordered(plane, agent, key_ref="key_1", **more):
    """A certificate that was issued; its order's job goes on."""
    cert = plane.add(agent, TARGET, NAMES, **more)
    agent.poll()
    job_id = plane.act("order", certificate_id=cert)
    fence = agent.lease(job_id)["fence"]
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES, key_ref=key_ref)["order_id"]
    return cert, job_id, fence, order_id


def issued(agent, order_id):
    order = agent.api.get(f"/agent/v1/orders/{order_id}?wait=10")
    assert order["state"] == "issued", order
    return order


def test_a_version_whose_key_is_elsewhere_is_not_deployed(plane, agent):
    cert, job_id, fence, order_id = ordered(plane, agent, key_ref="", on_issue="notify")
    issued(agent, order_id)
    agent.result(job_id, fence)
    answer = plane.op.post("/api/v1/actions", {"type": "deploy", "certificate_id": cert})
    assert (answer.status, answer.code) == (409, "conflict") and "private key" in answer["detail"]
    assert plane.op.get(f"/api/v1/certificates/{cert}")["state"] == "issued"


def test_a_version_that_has_expired_is_not_deployed(plane, agent):
    cert, job_id, fence, order_id = ordered(plane, agent, on_issue="notify")
    sha256 = issued(agent, order_id)["sha256"]
    agent.result(job_id, fence)
    store(plane, "UPDATE cert_version SET not_after = ? WHERE certificate_id = ?", int(time.time()), cert)
    for more in ({}, {"sha256": sha256}):
        answer = plane.op.post("/api/v1/actions", {"type": "deploy", "certificate_id": cert, **more})
        assert (answer.status, answer.code) == (409, "conflict") and "expired" in answer["detail"]
    assert plane.op.post("/api/v1/actions", {"type": "deploy", "certificate_id": cert, "sha256": "0" * 64}).code == "conflict"
    assert agent.api.get(f"/agent/v1/certificates/{cert}?sha256=" + "0" * 64).code == "not-found"
    assert agent.api.get(f"/agent/v1/certificates/{cert}?sha256={sha256}").status == 200


@pytest.mark.parametrize("bad", [
    {"type": "rollback", "version": -1}, {"type": "rollback", "version": "1"}, {"type": "rollback", "reason": 7}, {"type": "verify", "sha256": 7},
    {"type": "deploy", "sha256": 7}, {"type": "verify", "target": "NGINX"}, {"type": "verify", "target": 7}, {"type": 7},
    {"type": "order", "agent_id": 7}, {"type": "cancel", "job_id": 7},
])
def test_actions_of_another_form(plane, agent, bad):
    cert = plane.add(agent)
    answer = plane.op.post("/api/v1/actions", {"certificate_id": cert, **bad})
    assert (answer.status, answer.code) == (400, "schema"), answer
    assert plane.op.get(f"/api/v1/jobs?agent_id={agent.id}")["jobs"] == []


def test_what_a_verification_expects(plane, agent):
    cert = plane.add(agent)
    job = plane.act("verify", certificate_id=cert, sha256="cd" * 32)
    assert plane.op.get(f"/api/v1/jobs/{job}")["spec"] == {"connect": [], "expect": {"sha256": "cd" * 32}, "fail_on": "mismatch"}


def test_proofs_are_fetched_again_and_cleaned_up(plane, agent):
    for more in ({}, {"webroot_ref": "www"}):
        cert, job_id, fence, order_id = ordered(plane, agent, connector="proving", **more)
        job = plane.act("get_dcv", certificate_id=cert)
        assert plane.op.get(f"/api/v1/jobs/{job}")["spec"] == {"order_id": order_id, "self_check": True, **more}
        assert agent.upload_csr(job_id, fence, wire.new_key(), NAMES).code == "conflict", "another order is open"
        plane.op.post(f"/api/v1/jobs/{job_id}/cancel")
        plane.act("cancel", job_id=job)
        agent.result(job_id, fence, "canceled")
        job = plane.act("dcv_cleanup", certificate_id=cert)
        assert plane.op.get(f"/api/v1/jobs/{job}")["spec"] == {"order_id": order_id}
        answer = plane.op.post("/api/v1/actions", {"type": "get_dcv", "certificate_id": cert})
        assert answer.code == "conflict" and "no order" in answer["detail"]


def test_a_job_that_has_ended_is_not_canceled(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    assert plane.op.post("/api/v1/actions", {"type": "cancel", "job_id": job_id})["state"] == "canceled"
    for answer in (plane.op.post("/api/v1/actions", {"type": "cancel", "job_id": job_id}), plane.op.post(f"/api/v1/jobs/{job_id}/cancel")):
        assert (answer.status, answer.code) == (409, "job-terminal") and "has ended: canceled" in answer["detail"]
    assert plane.op.post(f"/api/v1/jobs/{job_id}/cancel", {"reason": 7}).code == "schema"


# ---- requests of hosts ----

def test_requests_that_are_nearly_right(plane, agent):
    cert = plane.add(agent, TARGET, NAMES)
    agent.poll()
    job_id = plane.act("order", certificate_id=cert)
    fence = agent.lease(job_id)["fence"]
    for bad, code in (({"csr": 7}, "schema"), ({"csr": "*"}, "invalid-csr"), ({"csr": "AAAA"}, "invalid-csr"), ({"csr": "A" * 30000}, "too-large"),
                      ({"csr_sha256": "0" * 64}, "invalid-csr"), ({"csr_sha256": 7}, "schema"), ({"key": {"key_ref": 7}}, "schema"),
                      ({"fence": "x"}, "schema"), ({"fence": fence + 1}, "stale-fence")):
        raw = json.dumps({"fence": fence, "attempt": 1, "csr": wire.b64(wire.make_csr(wire.new_key(), NAMES)), **bad}).encode()
        answer = agent.api.call("POST", f"/agent/v1/jobs/{job_id}/csr", raw, {"Idempotency-Key": json.dumps(bad)[:40]})
        assert answer.code == code, (bad, answer)
    assert agent.upload_csr("job_x", fence, wire.new_key(), NAMES).code == "job-unknown"
    raw = json.dumps({"fence": fence, "attempt": 1, "csr": wire.b64(wire.make_csr(wire.new_key(), NAMES, NAMES[0]))}).encode()
    answer = agent.api.post(f"/agent/v1/jobs/{job_id}/csr", raw)
    assert answer.status == 202, answer
    order_id = answer["order_id"]
    issued(agent, order_id)
    assert agent.api.get(f"/agent/v1/orders/{order_id}?wait=x").code == "schema"
    assert agent.api.get(f"/agent/v1/orders/{order_id}?wait=30&state=created")["state"] == "issued"
    assert agent.api.post(f"/agent/v1/orders/{order_id}/dcv/ready", {"fence": "x"}).code == "schema"
    agent.result(job_id, fence)
    late = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)
    assert late.code == "job-terminal" and late.headers["Clm-Job-State"] == "succeeded"


def test_a_file_is_proved_for_an_order_of_a_certificate_with_an_address(plane, agent):
    report(agent, target(names=NAMES))
    made = configure(plane, agent, issuer={"connector": "proving"}, dcv={"method": "manual"}, csr={"sans": {"ip": ["2001:db8::1"]}})
    cert = cert_of(plane, made)["id"]
    agent.poll()
    job_id = plane.op.post(f"/api/v1/configurations/{made['id']}/run")["job_id"]
    fence = agent.lease(job_id)["fence"]
    csr = request_with_address("2001:db8::1").public_bytes(wire.serialization.Encoding.DER)
    path = f"/api/v1/certificates/{cert}/dcv"
    answer = agent.api.post(f"/agent/v1/jobs/{job_id}/csr", {"fence": fence, "attempt": 1, "csr": wire.b64(csr),
                                                             "csr_sha256": wire.hashlib.sha256(csr).hexdigest()})
    assert answer.status == 202, answer
    until(lambda: plane.op.get(path)["state"] == "dcv_pending", 20, "the challenges")
    shown = plane.op.get(path)
    assert shown["challenges"][0]["url"].startswith("http://[2001:db8::1]/.well-known/acme-challenge/")
    store(plane, "UPDATE cert_order SET state = 'validating', next_at = next_at + 600 WHERE id = ?", shown["order_id"])
    late = plane.op.post(path + "/ready")
    assert (late.status, late.code) == (409, "conflict") and "validating" in late["detail"]


def test_challenges_that_are_still_to_come(plane, agent):
    order_id = ordered(plane, agent, connector="proving")[3]
    path = f"/agent/v1/orders/{order_id}"
    until(lambda: agent.api.get(path)["state"] == "dcv_pending", 20, "the challenges")
    store(plane, "UPDATE cert_order SET state = 'created', next_at = next_at + 600 WHERE id = ?", order_id)
    answer = agent.api.get(path + "/dcv")
    assert (answer.code, answer.headers["Retry-After"]) == ("waiting", "1") and "has not given challenges yet" in answer["detail"]
    assert agent.api.get(path + "?wait=1&state=created")["state"] == "created"


# ---- hosts that wait ----

def test_a_denied_host_is_admitted_after_all(plane, tmp_path):
    host = wire.WireAgent(plane, tmp_path)
    answer = host.enroll(plane.new_token(approval="manual"), check=False)
    assert answer.status == 202, answer
    waiting = [a["id"] for a in plane.op.get("/api/v1/agents")["agents"] if a["status"] == "pending"][0]
    path = f"/api/v1/agents/{waiting}"
    for status in ("pending", "denied"):
        assert plane.op.get(path)["status"] == status
        refused = plane.op.post(path + "/enable")
        assert refused.code == "conflict" and "approve it" in refused["detail"]
        if status == "pending":
            assert plane.op.post(path + "/disable")["status"] == "denied"
    assert plane.op.post(path + "/approve")["status"] == "active"


# ---- answers that were given before ----

@pytest.mark.parametrize("key", ["", "x" * 129, "caf\xe9", "a\tb"])
def test_a_key_of_a_request_that_is_none(plane, key):
    answer = plane.op.call("POST", "/api/v1/tokens", {}, {"Idempotency-Key": key})
    assert (answer.status, answer.code) == (400, "schema") and "Idempotency-Key" in answer["detail"]


def test_a_token_without_a_wish(plane):
    answer = plane.op.call("POST", "/api/v1/tokens", b"", {"Idempotency-Key": "no-body"})
    assert answer.status == 201 and answer["uses"] == 1 and answer["approval"] == "auto"


@pytest.mark.parametrize("bad", [{"url": 7}, {"host_glob": 7}, {"approval": 7}, {"approval": "later"}, {"uses": 0}, {"ttl_s": "x"}, {"x": 1}])
def test_tokens_of_another_form(plane, bad):
    assert plane.op.post("/api/v1/tokens", bad).code == "schema"
