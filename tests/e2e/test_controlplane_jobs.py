# SPDX-License-Identifier: Apache-2.0
"""Jobs, leases, results and orders, against the real server."""
import hashlib
import http.server
import pathlib
import threading
import time

import pytest
from cryptography import x509

from harness import wire
from harness.base import free_port, until

pytestmark = pytest.mark.api


class Web(http.server.ThreadingHTTPServer):
    """Serves what a test puts into files; counts requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", free_port()), _Files)
        self.files = {}
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.headers["Host"], self.path))
        found = self.server.files.get(self.path)
        status, body = found if isinstance(found, tuple) else (200, found) if found is not None else (404, b"no")
        self.send_response(status)
        if status == 302:
            self.send_header("Location", body.decode())
            body = b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    it = Web()
    yield it
    it.shutdown()


@pytest.fixture(scope="module")
def plane(tmp_path_factory, web):
    port = web.server_address[1]
    it = wire.WirePlane(
        tmp_path_factory.mktemp("cp"),
        connectors=[{"name": "plain", "type": "builtin", "dcv": "none", "days": 30},
                    {"name": "proved", "type": "builtin", "dcv": "http-01", "http_port": port, "resolve": "127.0.0.1"}],
        enroll_per_min=60000, enroll_burst=1000, agent_per_min=60000, agent_burst=1000, retry_base_s=1)
    it.start()
    yield it
    it.stop()


@pytest.fixture
def agent(plane, tmp_path):
    it = wire.WireAgent(plane, tmp_path)
    it.enroll(plane.new_token())
    it.poll()
    return it


def _take(agent, job_id):
    """Polls, leases; the fence."""
    until(lambda: any(o["job_id"] == job_id for o in agent.offers()), 10, "the offer")
    answer = agent.lease(job_id)
    assert answer.status == 200, answer
    return answer["fence"]


# ---- offers ----

def test_an_offer_is_a_job_signed_by_a_trusted_key(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    offer = next(o for o in agent.offers() if o["job_id"] == job_id)
    header, job = wire.read_jws(offer["jws"], agent.jobs_key)
    assert header == {"alg": "ES256", "kid": header["kid"], "typ": "clm-job+jws", "crit": ["clmv"], "clmv": 1}
    assert (job["job_id"], job["agent_id"], job["type"], job["target"]) == (job_id, agent.id, "scan", "host")
    assert job["spec_version"] == 1 and job["target_seq"] == offer["target_seq"] == 1
    assert job["spec"] == {"scope": "full"} and job["requested_by"] == "operator"
    assert offer["sha256"] == hashlib.sha256(wire.unb64(offer["jws"]["payload"])).hexdigest()
    assert agent.api.get(f"/agent/v1/jobs/{job_id}").json == offer["jws"]


def test_offers_are_repeated_until_they_are_leased(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    for _ in range(3):
        assert [o["job_id"] for o in agent.offers(cursor=0)] == [job_id]
        assert [o["job_id"] for o in agent.offers()] == [job_id]
    assert agent.poll(waiting=[{"job_id": job_id, "why": "window"}]).status == 204, "the agent has it"
    assert agent.poll(slots_free=0).status == 204
    agent.lease(job_id)
    assert agent.poll().status == 204


def test_only_the_first_job_of_a_target_is_offered(plane, agent):
    first = plane.act("scan", agent_id=agent.id)
    second = plane.act("scan", agent_id=agent.id)
    assert [o["job_id"] for o in agent.offers()] == [first]
    early = agent.lease(second)
    assert early.status == 200 or early.code == "waiting"
    fence = _take(agent, first) if early.status != 200 else None
    if fence is not None:
        assert agent.lease(second).code == "waiting"
        assert agent.result(first, fence).status == 200
        assert [o["job_id"] for o in agent.offers()] == [second]


def test_the_offers_are_at_most_sixteen(plane, agent):
    jobs = [plane.act("scan", agent_id=agent.id, target=f"nginx:{i}.example.com") for i in range(20)]
    offers = agent.offers()
    assert len(offers) == 16 and {o["job_id"] for o in offers} < set(jobs)
    rest = agent.offers(waiting=[{"job_id": o["job_id"]} for o in offers])
    assert len(rest) == 4


# ---- held polls ----

def _held(agent, wait, **changes):
    path = f"/agent/v1/poll?wait={wait}"
    body = agent.poll_body(**changes)
    return agent.api.send("POST", path, body), path, body


def test_a_held_poll_ends_when_there_is_work(plane, agent):
    connection, path, body = _held(agent, 30)
    begin = time.monotonic()
    job_id = plane.act("scan", agent_id=agent.id)
    answer = agent.api.receive(connection, "POST", path, body)
    assert answer.status == 200 and answer["offers"][0]["job_id"] == job_id
    assert time.monotonic() - begin < 5


def test_a_held_poll_ends_with_nothing_after_its_time(agent):
    begin = time.monotonic()
    answer = agent.poll(wait=1)
    assert answer.status == 204 and answer.headers["Clm-Next-Poll"] == "0"
    assert 0.8 < time.monotonic() - begin < 3


def test_prefer_is_an_alias(agent):
    begin = time.monotonic()
    answer = agent.api.call("POST", "/agent/v1/poll", agent.poll_body(), {"Prefer": "wait=1"})
    assert answer.status == 204 and time.monotonic() - begin > 0.8


def test_a_newer_poll_releases_the_older_one(agent):
    first, path, body = _held(agent, 30)
    time.sleep(0.2)  # the older one must be the first; there is nothing to see from outside
    second, path2, body2 = _held(agent, 2)
    begin = time.monotonic()
    answer = agent.api.receive(first, "POST", path, body)
    assert answer.status == 204 and time.monotonic() - begin < 1.5
    assert agent.api.receive(second, "POST", path2, body2).status == 204


def test_two_hundred_held_polls_cost_no_threads(plane, tmp_path):
    agents = []
    for i in range(200):
        one = wire.WireAgent(plane, tmp_path, f"host-{i}")
        one.enroll(plane.new_token())
        one.poll()
        agents.append(one)
    held = [(a, _held(a, 60)) for a in agents]
    tasks = len(list(pathlib.Path(f"/proc/{plane.process.pid}/task").iterdir()))
    assert tasks < 20
    jobs = {a.id: plane.act("scan", agent_id=a.id) for a in agents}
    for a, (connection, path, body) in held:
        answer = a.api.receive(connection, "POST", path, body)
        assert answer["offers"][0]["job_id"] == jobs[a.id]


# ---- leases ----

def test_a_lease_and_its_renewal(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    answer = agent.lease(job_id, key="L1", expect_attempt=1)
    assert (answer["state"], answer["attempt"], answer["fence"], answer["lease_ttl_s"]) == ("leased", 1, 1, 120)
    again = agent.lease(job_id, key="L1", expect_attempt=1)
    assert again.headers["Clm-Replayed"] == "true" and again["fence"] == 1
    assert agent.lease(job_id).code == "conflict", "this process holds it already"
    poll = agent.poll(leases=[{"job_id": job_id, "fence": 1, "phase": "scan", "pct": 10}])
    assert poll["leases"] == [{"job_id": job_id, "ok": True, "lease_ttl_s": 120}]
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["phase"] == "scan"


def test_a_lease_after_a_restart_keeps_the_attempt_and_raises_the_fence(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    agent.lease(job_id)
    again = agent.lease(job_id, boot_id="01J9ZK5D0B2M4N6P8Q0R2S4T6W", resume=True)
    assert (again["attempt"], again["fence"]) == (1, 2)
    stale = agent.poll(leases=[{"job_id": job_id, "fence": 1}])
    assert stale["leases"] == [{"job_id": job_id, "ok": False, "code": "stale-fence"}]
    late = agent.result(job_id, 1)
    assert (late.status, late.code) == (409, "stale-fence")
    shown = plane.op.get(f"/api/v1/jobs/{job_id}")
    assert shown["state"] == "leased" and shown["result"] is None and len(shown["orphan_results"]) == 1
    assert agent.result(job_id, 2).status == 200


def test_another_attempt_than_expected(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    assert agent.lease(job_id, expect_attempt=2).code == "conflict"
    assert plane.state(job_id) == "queued", "nothing was claimed"


def test_jobs_of_other_agents_do_not_exist(plane, agent, tmp_path):
    other = wire.WireAgent(plane, tmp_path, "other")
    other.enroll(plane.new_token())
    job_id = plane.act("scan", agent_id=agent.id)
    assert other.lease(job_id).code == "job-unknown"
    assert other.result(job_id, 0, "rejected").code == "job-unknown"
    assert other.events(job_id, 0, []).code == "job-unknown"
    assert other.api.get(f"/agent/v1/jobs/{job_id}").code == "job-unknown"
    assert agent.lease("job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C").code == "job-unknown"
    assert agent.poll(leases=[{"job_id": "job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C", "fence": 1}])["leases"][0]["ok"] is False


# ---- events ----

def test_events_are_taken_once_and_in_order(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    answer = agent.events(job_id, fence, [{"seq": 1, "kind": "phase", "phase": "prepare", "pct": 15},
                                          {"seq": 2, "kind": "log", "level": "info", "msg": "hello"}])
    assert answer["ack_seq"] == 2 and answer.headers["Clm-Job-State"] == "running"
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["pct"] == 15
    answer = agent.events(job_id, fence, [{"seq": 2, "kind": "log", "msg": "again"},
                                          {"seq": 5, "kind": "progress", "pct": 60}])
    assert answer["ack_seq"] == 5
    shown = plane.op.get(f"/api/v1/jobs/{job_id}")
    assert [e["seq"] for e in shown["events"]] == [1, 2, 5] and shown["events"][1]["msg"] == "hello"
    assert (shown["state"], shown["phase"], shown["pct"]) == ("running", "prepare", 60)


def test_bad_events(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    assert agent.events(job_id, 0, []).code == "stale-fence", "not leased"
    fence = _take(agent, job_id)
    assert agent.events(job_id, fence + 1, []).code == "stale-fence"
    for bad in ([{"seq": 0, "kind": "log"}], [{"kind": "log"}], [{"seq": 1}], "x", [{"seq": 1, "kind": "progress", "pct": 101}]):
        assert agent.events(job_id, fence, bad).code == "schema", bad
    many = [{"seq": i + 1, "kind": "log"} for i in range(501)]
    answer = agent.events(job_id, fence, many)
    assert (answer.status, answer.code) == (413, "too-large")
    agent.result(job_id, fence)
    assert agent.events(job_id, fence, []).code == "job-terminal"


# ---- results ----

def test_a_result_is_taken_once(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    first = agent.result(job_id, fence, key="R1")
    assert first["state"] == "succeeded" and first.headers["Clm-Job-State"] == "succeeded"
    assert agent.result(job_id, fence, key="R1").headers["Clm-Replayed"] == "true"
    again = agent.result(job_id, fence, key="R2")
    assert again.status == 200 and again.headers["Clm-Replayed"] == "true", "by attempt and outcome"
    other = agent.result(job_id, fence, "failed")
    assert (other.status, other.code) == (409, "job-terminal")
    shown = plane.op.get(f"/api/v1/jobs/{job_id}")
    assert shown["state"] == "succeeded" and shown["orphan_results"][0]["outcome"] == "failed"
    assert agent.poll(leases=[{"job_id": job_id, "fence": fence}])["leases"][0]["code"] == "job-terminal"


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "rolled_back", "rejected", "canceled", "skipped"])
def test_every_outcome(plane, agent, outcome):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    assert agent.result(job_id, fence, outcome)["state"] == outcome
    assert plane.state(job_id) == outcome


def test_bad_results(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    assert agent.result(job_id, fence, "great").code == "schema"
    assert agent.result(job_id, fence, attempt=2).code == "stale-fence"
    assert agent.result(job_id, "1").code == "schema"
    assert plane.state(job_id) == "leased"


def test_a_job_whose_envelope_is_refused_is_rejected_without_a_lease(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    answer = agent.result(job_id, 0, "rejected", attempt=1,
                          error={"code": "E_SIGNATURE", "message": "bad signature", "retryable": False})
    assert answer["state"] == "rejected"
    other = plane.act("scan", agent_id=agent.id)
    assert agent.result(other, 0, "succeeded").code == "stale-fence", "only a rejection needs no lease"


def test_a_failure_that_may_pass_is_tried_again(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    error = {"code": "E_NET", "message": "no route", "retryable": True}
    for attempt in (1, 2):
        fence = _take(agent, job_id)
        assert agent.result(job_id, fence, "failed", attempt, error=error)["state"] == "scheduled"
    fence = _take(agent, job_id)
    assert agent.result(job_id, fence, "failed", 3, error=error)["state"] == "failed"
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["error"]["message"] == "no route"


def test_a_failure_that_will_not_pass_is_final(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    assert agent.result(job_id, fence, "failed", error={"code": "E_POLICY", "message": "no", "retryable": False})["state"] == "failed"


def test_a_disabled_agent_may_still_report(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    plane.op.post(f"/api/v1/agents/{agent.id}/disable")
    assert agent.lease(job_id).code == "agent-disabled"
    assert agent.result(job_id, fence)["state"] == "succeeded"


# ---- cancel ----

def test_a_queued_job_is_canceled_at_once(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    assert [o["job_id"] for o in agent.offers()] == [job_id]
    assert plane.op.post(f"/api/v1/jobs/{job_id}/cancel", {"reason": "not now"})["state"] == "canceled"
    answer = agent.lease(job_id)
    assert (answer.status, answer.code) == (409, "job-terminal")
    told = agent.poll(waiting=[{"job_id": job_id}])
    assert told["cancels"][0]["job_id"] == job_id, "the agent keeps it for later and must forget it"
    assert plane.op.post(f"/api/v1/jobs/{job_id}/cancel").code == "job-terminal"


def test_a_running_job_is_told_to_stop(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    lease = [{"job_id": job_id, "fence": fence}]
    agent.poll(leases=lease)
    connection, path, body = _held(agent, 30, leases=lease)
    begin = time.monotonic()
    assert plane.act("cancel", job_id=job_id) == job_id
    answer = agent.api.receive(connection, "POST", path, body)
    assert time.monotonic() - begin < 5, "the held poll was not woken"
    assert answer["cancels"] == [{"job_id": job_id, "mode": "graceful", "deadline_s": 60, "reason": "operator"}]
    assert agent.events(job_id, fence, []).headers["Clm-Job-State"] == "canceling"
    assert agent.result(job_id, fence, "canceled")["state"] == "canceled"


def test_a_cancel_that_comes_too_late(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    plane.op.post(f"/api/v1/jobs/{job_id}/cancel")
    assert agent.result(job_id, fence, "succeeded", cancel="too_late")["state"] == "succeeded"


# ---- orders ----

NAMES = ["www.example.com", "example.com"]


def _order(plane, agent, target="nginx:www.example.com", names=None, **settings):
    cert = plane.add(agent, target, names or NAMES, **settings)
    job_id = plane.act("order", certificate_id=cert)
    return cert, job_id, _take(agent, job_id)


def test_an_order_without_proof_is_issued_at_once(plane, agent):
    cert, job_id, fence = _order(plane, agent)
    spec = plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]
    assert spec["certificate_id"] == cert and spec["deploy"] == {} and spec["on_issue"] == "deploy"
    assert spec["sans"] == {"dns": NAMES, "ip": []} and spec["dcv"] == {"method": "none"}
    key = wire.new_key()
    answer = agent.upload_csr(job_id, fence, key, NAMES)
    assert answer.status == 202 and answer["certificate_id"] == cert
    order = agent.api.get(f"/agent/v1/orders/{answer['order_id']}?wait=10")
    assert order["state"] == "issued"
    chain = agent.api.get(f"/agent/v1/certificates/{cert}")
    assert chain.headers["ETag"] == f'"{order["sha256"]}"'
    leaf, issuer = [x509.load_pem_x509_certificate(p.encode() + b"-----END CERTIFICATE-----\n")
                    for p in chain.raw.decode().split("-----END CERTIFICATE-----\n") if p.strip()]
    assert leaf.public_key().public_numbers() == key.public_key().public_numbers()
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == NAMES
    root = x509.load_pem_x509_certificate(plane.op.get("/api/v1/connectors")["connectors"][0]["root_pem"].encode())
    for signed, by in ((leaf, issuer), (issuer, root)):
        by.public_key().verify(signed.signature, signed.tbs_certificate_bytes, wire.ec.ECDSA(signed.signature_hash_algorithm))
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert shown["state"] == "issued" and shown["newest_sha256"] == order["sha256"]
    assert (shown["newest_version"], shown["served_version"], shown["served_not_after"]) == (1, 0, None)
    assert shown["versions"][0]["key_ref"] == "key_1" and "clmbot built-in issuer" in shown["versions"][0]["issuer"]
    answer = agent.result(job_id, fence, effects={"after": {"sha256": order["sha256"]}, "version": 3})
    assert answer["state"] == "succeeded"
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert (shown["state"], shown["current_sha256"], shown["deployed_version"]) == ("verified", order["sha256"], 3)
    assert (shown["served_version"], shown["served_not_after"]) == (1, shown["not_after"])


def test_the_same_request_twice_is_one_order(plane, agent):
    _, job_id, fence = _order(plane, agent)
    key = wire.new_key()
    csr = wire.make_csr(key, NAMES, NAMES[0])
    same = {"csr": wire.b64(csr), "csr_sha256": hashlib.sha256(csr).hexdigest()}
    first = agent.upload_csr(job_id, fence, key, NAMES, idem="C1", **same)
    replay = agent.upload_csr(job_id, fence, key, NAMES, idem="C1", **same)
    assert replay.status == 202 and replay.raw == first.raw
    natural = agent.upload_csr(job_id, fence, key, NAMES, **same)
    assert natural.status == 200 and natural["order_id"] == first["order_id"]


def test_another_request_while_an_order_is_open(plane, agent):
    _, job_id, fence = _order(plane, agent, connector="proved")
    first = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)
    answer = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)
    assert (answer.status, answer.code, answer["order_id"]) == (409, "conflict", first["order_id"])


@pytest.mark.parametrize("make,codes", [
    (lambda: (wire.new_key(), NAMES[:1]), ["san-missing"]),
    (lambda: (wire.new_key(), NAMES + ["evil.example.com"]), ["san-extra"]),
    (lambda: (wire.new_key(), ["evil.example.com"]), ["san-missing", "san-extra", "cn"]),
    (lambda: (wire.new_key("ec-p384"), NAMES), ["key-type"]),
    (lambda: (wire.new_key("rsa-2048"), NAMES), ["key-type"]),
])
def test_a_request_that_is_not_what_was_asked_for(plane, agent, make, codes):
    cert, job_id, fence = _order(plane, agent)
    key, names = make()
    answer = agent.upload_csr(job_id, fence, key, names)
    assert (answer.status, answer.code) == (422, "invalid-csr")
    assert [e["code"] for e in answer["errors"]] == codes, answer
    assert plane.op.get(f"/api/v1/certificates/{cert}")["versions"] == []


def test_a_request_with_a_bad_signature_or_hash(plane, agent):
    _, job_id, fence = _order(plane, agent)
    csr = wire.make_csr(wire.new_key(), NAMES, NAMES[0])
    bent = csr[:-3] + bytes([csr[-3] ^ 1]) + csr[-2:]
    for body in ({"csr": wire.b64(bent), "csr_sha256": None}, {"csr": wire.b64(csr), "csr_sha256": "0" * 64},
                 {"csr": "AAAA", "csr_sha256": None}):
        answer = agent.upload_csr(job_id, fence, wire.new_key(), NAMES, **body)
        assert (answer.status, answer.code) == (422, "invalid-csr"), answer
    big = agent.upload_csr(job_id, fence, wire.new_key(), NAMES, csr="A" * 22000, csr_sha256=None)
    assert (big.status, big.code) == (413, "too-large")


def test_a_key_that_was_used_before(plane, agent):
    key = wire.new_key()
    cert, job_id, fence = _order(plane, agent)
    order = agent.upload_csr(job_id, fence, key, NAMES)
    assert agent.api.get(f"/agent/v1/orders/{order['order_id']}?wait=10")["state"] == "issued"
    agent.result(job_id, fence)
    job_id = plane.act("order", certificate_id=cert)
    fence = _take(agent, job_id)
    answer = agent.upload_csr(job_id, fence, key, NAMES)
    assert [e["code"] for e in answer["errors"]] == ["key-reuse"]
    assert [e["code"] for e in agent.upload_csr(job_id, fence, agent.key, NAMES)["errors"]] == ["key-reuse"]
    assert agent.upload_csr(job_id, fence, wire.new_key(), NAMES).status == 202


def test_a_csr_needs_a_lease_of_an_order_job(plane, agent):
    cert = plane.add(agent, "nginx:x.example.com", NAMES)
    job_id = plane.act("order", certificate_id=cert)
    assert agent.upload_csr(job_id, 0, wire.new_key(), NAMES).code == "stale-fence"
    fence = _take(agent, job_id)
    assert agent.upload_csr(job_id, fence + 1, wire.new_key(), NAMES).code == "stale-fence"
    scan = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, scan)
    assert agent.upload_csr(scan, fence, wire.new_key(), NAMES).code == "policy"


def _place(agent, web, order_id, spoil=None):
    def challenges():
        answer = agent.api.get(f"/agent/v1/orders/{order_id}/dcv")
        return answer["challenges"] if answer.status == 200 else None

    found = until(challenges, 10, "challenges")
    for c in found:
        web.files[c["path"]] = (spoil(c) if spoil else c["content"].encode() + b"\n")
    return found


def _ready(agent, order_id, fence):
    return agent.api.post(f"/agent/v1/orders/{order_id}/dcv/ready", {"fence": fence, "written": [], "self_check": []})


def test_control_of_the_names_is_proved_by_fetching_files(plane, agent, web):
    cert, job_id, fence = _order(plane, agent, connector="proved")
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]["dcv"] == {"method": "http-01"}
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)["order_id"]
    challenges = _place(agent, web, order_id)
    assert [c["domain"] for c in challenges] == NAMES
    assert agent.api.get(f"/agent/v1/orders/{order_id}")["state"] == "dcv_pending"
    assert plane.op.get(f"/api/v1/certificates/{cert}")["state"] == "dcv"
    assert _ready(agent, order_id, fence + 1).code == "stale-fence"
    assert _ready(agent, order_id, fence).status == 202
    assert agent.api.get(f"/agent/v1/orders/{order_id}?wait=10")["state"] == "issued"
    assert _ready(agent, order_id, fence).status == 200, "told again after a lost answer"
    port = web.server_address[1]
    assert {(f"{n}:{port}", c["path"]) for n, c in zip(NAMES, challenges)} <= set(web.seen)


SPOILED = [
    ("a", lambda c: b"something else", "is not the challenge"),
    ("b", lambda c: (404, b"no"), "status 404"),
    ("c", lambda c: (302, b"http://127.0.0.1:1/"), "status 302"),
    ("d", lambda c: c["content"].encode() + b"x" * 5000, ""),
    ("e", lambda c: b"", "is not the challenge"),
]


def test_challenges_that_are_not_served_fail_the_orders(plane, agent, web):
    orders = []
    for label, spoil, word in SPOILED:
        name = f"{label}.example.com"
        cert, job_id, fence = _order(plane, agent, f"nginx:{name}", [name], connector="proved")
        order_id = agent.upload_csr(job_id, fence, wire.new_key(), [name])["order_id"]
        _place(agent, web, order_id, spoil)
        _ready(agent, order_id, fence)
        orders.append((name, word, cert, order_id))
    for name, word, cert, order_id in orders:
        order = agent.api.get(f"/agent/v1/orders/{order_id}?wait=50")
        assert order["state"] == "failed", order
        assert word in order["error"]["message"] and name in order["error"]["message"], order
        shown = plane.op.get(f"/api/v1/certificates/{cert}")
        assert shown["state"] == "failed" and shown["versions"] == [] and word in shown["last_error"]


def test_orders_of_other_agents_do_not_exist(plane, agent, tmp_path):
    cert, job_id, fence = _order(plane, agent)
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)["order_id"]
    agent.api.get(f"/agent/v1/orders/{order_id}?wait=10")
    other = wire.WireAgent(plane, tmp_path, "other")
    other.enroll(plane.new_token())
    for path in (f"orders/{order_id}", f"orders/{order_id}/dcv", f"certificates/{cert}"):
        assert other.api.get(f"/agent/v1/{path}").code == "not-found", path
    assert _ready(other, order_id, fence).code == "not-found"


# ---- deploy, verify, rollback ----

def test_the_life_of_a_certificate(plane, agent):
    cert, job_id, fence = _order(plane, agent, on_issue="notify")
    assert "deploy" not in plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]
    assert plane.op.post("/api/v1/actions", {"type": "deploy", "certificate_id": cert}).code == "conflict"
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES, key_ref="key_A")["order_id"]
    sha = agent.api.get(f"/agent/v1/orders/{order_id}?wait=10")["sha256"]
    agent.result(job_id, fence)
    assert plane.op.get(f"/api/v1/certificates/{cert}")["state"] == "issued"

    job_id = plane.act("deploy", certificate_id=cert)
    assert plane.op.get(f"/api/v1/certificates/{cert}")["state"] == "deploying"
    spec = plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]
    assert (spec["sha256"], spec["key_ref"], spec["certificate_id"]) == (sha, "key_A", cert)
    assert spec["chain_pem"].count("BEGIN CERTIFICATE") == 2
    fence = _take(agent, job_id)
    agent.result(job_id, fence, effects={"before": {"sha256": "1" * 64}, "after": {"sha256": sha}, "version": 2})
    assert plane.op.get(f"/api/v1/certificates/{cert}")["state"] == "verified"

    job_id = plane.act("verify", certificate_id=cert)
    shown = plane.op.get(f"/api/v1/jobs/{job_id}")
    assert shown["type"] == "recheck_pinning" and shown["spec"]["expect"] == {"sha256": sha}
    agent.result(job_id, _take(agent, job_id))

    job_id = plane.act("rollback", certificate_id=cert, version=1, reason="5xx")
    spec = plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]
    assert spec == {"to_version": 1, "reason": "5xx", "allow_expired": False}
    agent.result(job_id, _take(agent, job_id), effects={"after": {"sha256": "1" * 64}, "version": 1})
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert (shown["state"], shown["current_sha256"]) == ("rolled_back", "1" * 64)
    assert (shown["served_version"], shown["newest_version"]) == (0, 1), "what is served is none of ours"


def test_a_deployment_that_was_undone(plane, agent):
    cert, job_id, fence = _order(plane, agent)
    agent.result(job_id, fence, "rolled_back", error={"code": "E_VERIFY", "message": "served the old one", "retryable": False})
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert (shown["state"], shown["last_error"]) == ("rolled_back", "served the old one")


# ---- a job that ends takes its order with it ----

ENDS = {
    "failed": {"outcome": "failed", "error": {"code": "E_DCV", "message": "cannot write the file", "retryable": False}},
    "rejected": {"outcome": "rejected", "error": {"code": "E_POLICY", "message": "not allowed here", "retryable": False}},
    "succeeded": {"outcome": "succeeded"},
}


@pytest.mark.parametrize("outcome,state,says", [("failed", "failed", "cannot write the file"), ("rejected", "failed", "not allowed here"),
                                                ("succeeded", "failed", "before a certificate was issued")])
def test_an_order_ends_with_its_job(plane, agent, outcome, state, says):
    cert, job_id, fence = _order(plane, agent, connector="proved")
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)["order_id"]
    assert agent.result(job_id, fence, **ENDS[outcome])["state"] == outcome
    order = agent.api.get(f"/agent/v1/orders/{order_id}")
    assert order["state"] == state and says in order["error"]["message"], order
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert shown["state"] == "failed" and says in (shown["last_error"] or says), shown
    job_id = plane.act("order", certificate_id=cert)
    fence = _take(agent, job_id)
    assert agent.upload_csr(job_id, fence, wire.new_key(), NAMES).status == 202, "the next order is not held up"


def test_an_order_that_will_be_tried_again_stays_open(plane, agent):
    _, job_id, fence = _order(plane, agent, connector="proved")
    key = wire.new_key()
    order_id = agent.upload_csr(job_id, fence, key, NAMES)["order_id"]
    error = {"code": "E_NET", "message": "broken off", "retryable": True}
    assert agent.result(job_id, fence, "failed", error=error)["state"] == "scheduled"
    assert agent.api.get(f"/agent/v1/orders/{order_id}")["state"] in ("created", "dcv_pending")
    until(lambda: plane.state(job_id) == "queued", 10, "the retry")
    fence = _take(agent, job_id)
    assert agent.result(job_id, fence, "failed", attempt=2, error=dict(error, retryable=False))["state"] == "failed"
    assert agent.api.get(f"/agent/v1/orders/{order_id}")["state"] == "failed"


def test_a_canceled_job_cancels_its_order(plane, agent):
    cert, job_id, fence = _order(plane, agent, connector="proved")
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)["order_id"]
    assert plane.op.post(f"/api/v1/jobs/{job_id}/cancel", {})["state"] == "canceling"
    assert agent.api.get(f"/agent/v1/orders/{order_id}")["state"] in ("created", "dcv_pending")
    agent.result(job_id, fence, "canceled")
    assert agent.api.get(f"/agent/v1/orders/{order_id}")["state"] == "canceled"
    assert "canceled" in plane.op.get(f"/api/v1/certificates/{cert}")["last_error"]


def test_a_job_that_is_canceled_in_the_queue_leaves_no_certificate_waiting(plane, agent):
    cert = plane.add(agent, "nginx:www.example.com", NAMES)
    job_id = plane.act("order", certificate_id=cert)
    assert plane.op.get(f"/api/v1/certificates/{cert}")["state"] == "ordering"
    assert plane.op.post(f"/api/v1/jobs/{job_id}/cancel", {})["state"] == "canceled"
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert (shown["state"], shown["last_error"]) == ("failed", "the order was canceled")


def test_what_was_issued_stays_when_its_deployment_fails(plane, agent):
    cert, job_id, fence = _order(plane, agent)
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)["order_id"]
    assert agent.api.get(f"/agent/v1/orders/{order_id}?wait=10")["state"] == "issued"
    agent.result(job_id, fence, **ENDS["failed"])
    assert agent.api.get(f"/agent/v1/orders/{order_id}")["state"] == "issued"
    assert plane.op.get(f"/api/v1/certificates/{cert}")["newest_version"] == 1


# ---- installed, and served after a restart ----

def _inventory(target, sha):
    served = {"checked": "127.0.0.1:443", "sni": None, "sha256": sha, "tls": "1.3"}
    return {"schema": 1, "digest": "sha256:" + sha, "services": [{"service_id": "tomcat", "kind": "tomcat", "running": True,
            "targets": [{"target": target, "names": NAMES, "served": served}]}]}


def _waiting(plane, agent):
    cert, job_id, fence = _order(plane, agent)
    order_id = agent.upload_csr(job_id, fence, wire.new_key(), NAMES)["order_id"]
    sha = agent.api.get(f"/agent/v1/orders/{order_id}?wait=10")["sha256"]
    agent.result(job_id, fence, effects={"before": {"sha256": "1" * 64}, "after": {"sha256": sha}, "version": 2,
                                         "proved": False, "state": "waiting_for_restart"})
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    assert (shown["state"], shown["waiting_sha256"], shown["current_sha256"]) == ("waiting_for_restart", sha, None)
    assert (shown["deployed_version"], shown["last_error"]) == (2, None)
    return cert, sha


def _state(plane, cert):
    shown = plane.op.get(f"/api/v1/certificates/{cert}")
    return shown["state"], shown["waiting_sha256"], shown["current_sha256"]


def test_what_waits_for_a_restart_is_verified_when_an_inventory_shows_it(plane, agent):
    cert, sha = _waiting(plane, agent)
    listed = {c["id"]: c["state"] for c in plane.op.get("/api/v1/certificates")["certificates"]}
    assert listed[cert] == "waiting_for_restart"
    target = plane.op.get(f"/api/v1/certificates/{cert}")["target"]
    for report in (_inventory(target, "1" * 64), _inventory("nginx:other.example.com", sha)):
        assert agent.api.put("/agent/v1/inventory", report).status == 204
        assert _state(plane, cert) == ("waiting_for_restart", sha, None)
    assert agent.api.put("/agent/v1/inventory", _inventory(target, sha)).status == 204
    assert _state(plane, cert) == ("verified", None, sha)


def test_what_waits_for_a_restart_is_verified_by_a_recheck(plane, agent):
    cert, sha = _waiting(plane, agent)
    job_id = plane.act("verify", certificate_id=cert)
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["spec"]["expect"] == {"sha256": sha}
    error = {"code": "E_NOT_SERVED", "message": "another certificate is served", "retryable": False}
    agent.result(job_id, _take(agent, job_id), "failed", error=error, effects={"match": False, "state": "waiting_for_restart"})
    assert _state(plane, cert) == ("waiting_for_restart", sha, None), "no fault, as long as it is awaited"
    job_id = plane.act("verify", certificate_id=cert, sha256="1" * 64)
    agent.result(job_id, _take(agent, job_id), effects={"match": True})
    assert _state(plane, cert) == ("waiting_for_restart", sha, None), "the one before was asked for"
    job_id = plane.act("verify", certificate_id=cert)
    agent.result(job_id, _take(agent, job_id), effects={"match": True})
    assert _state(plane, cert) == ("verified", None, sha)


def test_what_waits_for_a_restart_can_be_replaced(plane, agent):
    cert, sha = _waiting(plane, agent)
    job_id = plane.act("deploy", certificate_id=cert)
    agent.result(job_id, _take(agent, job_id), effects={"after": {"sha256": sha}, "version": 2, "state": "succeeded"})
    assert _state(plane, cert) == ("verified", None, sha)
    job_id = plane.act("rollback", certificate_id=cert)
    agent.result(job_id, _take(agent, job_id), effects={"after": {"sha256": "1" * 64}, "version": 1, "state": "waiting_for_restart"})
    assert _state(plane, cert) == ("waiting_for_restart", "1" * 64, sha)


def test_work_survives_a_restart_of_the_server(tmp_path):
    plane = wire.WirePlane(tmp_path / "cp")
    plane.start()
    try:
        agent = wire.WireAgent(plane, tmp_path)
        agent.enroll(plane.new_token())
        job_id = plane.act("scan", agent_id=agent.id)
        fence = _take(agent, job_id)
        plane.process.kill()
        plane.start()
        assert agent.result(job_id, fence)["state"] == "succeeded"
        assert agent.poll(leases=[{"job_id": job_id, "fence": fence}])["leases"][0]["code"] == "job-terminal"
    finally:
        plane.stop()
