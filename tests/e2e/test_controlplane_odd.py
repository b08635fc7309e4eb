# SPDX-License-Identifier: Apache-2.0
"""States that take days or damage to come about, set in the database; requests and faults that are rare."""
import contextlib
import http.client
import json
import os
import sqlite3
import subprocess
import time

import pytest

from harness import doom, wire
from harness.base import PLANE, Process, until
from test_controlplane_api import _forge, _recover
from test_controlplane_jobs import _take

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    it = wire.WirePlane(tmp_path_factory.mktemp("cp"), enroll_per_min=60000, enroll_burst=1000,
                        agent_per_min=60000, agent_burst=1000, token_per_min=1000, retry_base_s=1)
    it.start()
    yield it
    it.stop()


@pytest.fixture
def agent(plane, tmp_path):
    it = wire.WireAgent(plane, tmp_path)
    it.enroll(plane.new_token())
    it.poll()
    return it


def _set(plane, sql, *values):
    """Changes the database of a server that runs."""
    with contextlib.closing(sqlite3.connect(plane.data / "clmbot.db", timeout=20)) as db:
        assert db.execute(sql, values).rowcount == 1, sql
        db.commit()


# ---- leases ----

def _lease_of(agent, job_id, fence):
    return next(i for i in agent.poll(leases=[{"job_id": job_id, "fence": fence, "phase": "x", "pct": 1}])["leases"]
                if i["job_id"] == job_id)


@pytest.mark.parametrize("state,says", [("canceled", "canceled"), ("failed", "job-terminal"), ("queued", "stale-fence"),
                                        ("leased", None), ("lost", None)])
def test_a_lease_that_is_renewed_in_any_state(plane, agent, state, says):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    _set(plane, "UPDATE job SET state = ? WHERE id = ?", state, job_id)
    found = _lease_of(agent, job_id, fence)
    assert found["ok"] is (says is None) and found.get("code") == says
    if state == "lost":
        assert plane.state(job_id) == "running", "the agent is back"
    assert _lease_of(agent, job_id, fence + 1)["ok"] is False


@pytest.mark.parametrize("state,expires,status,code", [("succeeded", 600, 409, "job-terminal"), ("expired", 600, 410, "expired"),
                                                       ("leased", -1, 410, "expired"), ("leased", 600, 409, "conflict"),
                                                       ("scheduled", 600, 423, "waiting")])
def test_why_there_is_no_lease(plane, agent, state, expires, status, code):
    job_id = plane.act("scan", agent_id=agent.id)
    assert agent.lease(job_id).status == 200
    _set(plane, "UPDATE job SET state = ?, expires_at = ?, next_eval = ?, lease_until = ? WHERE id = ?", state,
         int(time.time()) + expires, int(time.time()) + 600, int(time.time()) + 600, job_id)
    answer = agent.lease(job_id)
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["Clm-Job-State"] == state
    assert (answer.headers["Retry-After"] == "15") == (code == "waiting")


@pytest.mark.parametrize("jws", ["rubbish", "{}", '{"payload":"***"}'])
def test_a_stored_job_that_is_damaged_is_never_offered(plane, agent, jws):
    job_id = plane.act("scan", agent_id=agent.id)
    _set(plane, "UPDATE job SET jws = ? WHERE id = ?", jws, job_id)
    answer = agent.poll(cursor=0)
    assert (answer.status, answer.code) == (500, "internal"), answer
    assert plane.op.post(f"/api/v1/jobs/{job_id}/cancel").status == 202
    assert agent.poll(cursor=0).status == 200, "it is in nobody's way then"


def test_envelopes_that_do_not_fit_are_fetched(plane, agent):
    """An answer has 192 KiB of them at most."""
    jobs = [plane.act("scan", agent_id=agent.id, target=f"nginx:{i}.example.com") for i in range(3)]
    for job_id in jobs:
        _set(plane, "UPDATE job SET jws = json_set(jws, '$.payload', ?) WHERE id = ?", "A" * 80000, job_id)
    offers = agent.offers(cursor=0)
    assert [("jws" in o) for o in offers] == [True, True, False]
    assert offers[2]["job_id"] == jobs[2] and offers[2]["size"] > 80000
    assert len(agent.api.get(f"/agent/v1/jobs/{jobs[2]}").raw) == offers[2]["size"]


# ---- polls ----

@pytest.mark.parametrize("prefer", ["wait=x", "wait=-1", "respond-async", "wait=0"])
def test_a_preference_that_is_not_understood_is_ignored(agent, prefer):
    begin = time.monotonic()
    assert agent.api.call("POST", "/agent/v1/poll", agent.poll_body(), {"Prefer": prefer}).status == 204
    assert time.monotonic() - begin < 20


def test_what_a_poll_may_leave_out(agent):
    body = agent.poll_body()
    for member in ("leases", "waiting", "health"):
        del body[member]
    assert agent.api.post("/agent/v1/poll", body).status == 204


def test_a_state_of_health_too_long_to_show_is_not_kept(plane, agent):
    agent.poll(health={"state": "degraded", "warnings": []})
    assert plane.op.get(f"/api/v1/agents/{agent.id}")["health"] == "degraded"
    agent.api.post("/agent/v1/poll", agent.poll_body(health={"state": "x" * 40}))
    assert plane.op.get(f"/api/v1/agents/{agent.id}")["health"] in ("", None)


@pytest.mark.parametrize("waiting", [[{}], [{"job_id": "x" * 80}], [{"job_id": 7}]])
def test_waiting_jobs_have_ids(agent, waiting):
    answer = agent.api.post("/agent/v1/poll", agent.poll_body(waiting=waiting))
    assert (answer.status, answer.code) == (400, "schema")


def test_a_poll_number_that_goes_back_is_noticed(plane, agent):
    agent.seq = 50
    agent.poll()
    agent.seq = 10
    agent.poll()
    assert f"agent '{agent.id}': poll number went back from 51 to 11" in plane.log()


# ---- reports ----

def test_a_log_without_end_is_cut_but_acknowledged(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    for seq in range(1, 8):
        answer = agent.events(job_id, fence, [{"seq": seq, "kind": "log", "message": "x" * 240000}])
        assert answer["ack_seq"] == seq
    kept = plane.op.get(f"/api/v1/jobs/{job_id}")["events"]
    assert 4 <= len(kept) < 7
    assert agent.events(job_id, fence, [{"seq": 8, "kind": "progress", "pct": 40}])["ack_seq"] == 8
    assert plane.op.get(f"/api/v1/jobs/{job_id}")["events"][-1]["seq"] == 8, "a log is what is cut"


def test_an_event_of_a_lost_job_finds_it(plane, agent):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    _set(plane, "UPDATE job SET state = 'lost' WHERE id = ?", job_id)
    assert agent.events(job_id, fence, [{"seq": 1, "kind": "phase", "phase": "back"}]).headers["Clm-Job-State"] == "running"


@pytest.mark.parametrize("error", [None, "text", {"retryable": 1}, {"retryable": False}, {"code": "E"}])
def test_failures_that_are_not_tried_again(plane, agent, error):
    job_id = plane.act("scan", agent_id=agent.id)
    body = {"fence": _take(agent, job_id), "attempt": 1, "outcome": "failed", "steps": [], "effects": {}, "error": error}
    assert agent.api.post(f"/agent/v1/jobs/{job_id}/result", json.dumps(body).encode())["state"] == "failed"


@pytest.mark.parametrize("sql", ["attempt = max_attempts", "state = 'canceling'"])
def test_the_last_attempt_and_a_canceled_one_are_final(plane, agent, sql):
    job_id = plane.act("scan", agent_id=agent.id)
    fence = _take(agent, job_id)
    _set(plane, f"UPDATE job SET {sql} WHERE id = ?", job_id)
    attempt = plane.op.get(f"/api/v1/jobs/{job_id}")["attempt"]
    answer = agent.result(job_id, fence, "failed", attempt=attempt,
                          error={"code": "E_NET", "message": "x", "retryable": True})
    assert answer["state"] == "failed"


# ---- who may say what ----

@pytest.mark.parametrize("status,poll,bye", [("disabled", 403, 204), ("quarantined", 409, 204), ("pending", 403, 403),
                                             ("denied", 403, 403)])
def test_reports_are_taken_from_stopped_agents_alone(plane, agent, status, poll, bye):
    _set(plane, "UPDATE agent SET status = ? WHERE id = ?", status, agent.id)
    assert agent.api.post("/agent/v1/poll", agent.poll_body()).status == poll
    assert agent.api.post("/agent/v1/bye").status == bye


@pytest.mark.parametrize("status,code", [("quarantined", "clone-suspected"), ("denied", "agent-disabled")])
def test_recovery_of_an_agent_that_was_stopped(plane, agent, status, code):
    _set(plane, "UPDATE agent SET status = ? WHERE id = ?", status, agent.id)
    agent.api = agent.anonymous(plane.ca())
    assert _recover(agent)[0].code == code


def test_recovery_after_too_long_needs_an_operator(plane, agent):
    _set(plane, "UPDATE agent SET cert_not_after = 1 WHERE id = ?", agent.id)
    agent.api = agent.anonymous(plane.ca())
    answer, _, _ = _recover(agent)
    assert (answer.status, answer.code) == (403, "recovery-needs-approval")
    assert answer.headers["Retry-After"] == "1800"


def test_a_recovery_whose_answer_was_lost(plane, agent):
    agent.api = agent.anonymous(plane.ca())
    first, _, body = _recover(agent)
    nonce = agent.api.post("/agent/v1/recover", {"agent_id": agent.id})["nonce"]
    again = agent.api.post("/agent/v1/recover", {
        **body, "proof": agent.recovery_proof(nonce, wire.unb64(body["csr"]))})
    assert again.headers["Clm-Replayed"] == "true"
    assert again["certificate"] == first["certificate"] and again["generation"] == 2


@pytest.mark.parametrize("change", [{"agent_id": 7}, {"agent_id": None}, {"proof": "x"}, {"csr": None}])
def test_a_malformed_recovery(plane, agent, change):
    agent.api = agent.anonymous(plane.ca())
    _, _, body = _recover(agent)
    assert agent.api.post("/agent/v1/recover", {**body, **change}).code == "schema"


@pytest.mark.parametrize("claim", [{"agent_id": None}, {"nonce": 7}, {"csr_sha256": None}, {"generation": "1"}])
def test_a_signed_proof_of_another_form(plane, agent, claim):
    agent.api = agent.anonymous(plane.ca())
    assert _recover(agent, **claim)[0].code == "schema"


def test_a_stored_device_key_that_is_damaged(plane, agent):
    _set(plane, "UPDATE agent SET device_key = 'rubbish' WHERE id = ?", agent.id)
    agent.api = agent.anonymous(plane.ca())
    assert _recover(agent)[0].code == "internal"
    assert "stored JSON" in plane.log()


@pytest.mark.parametrize("cn", ["", "x" * 64])
def test_a_certificate_whose_name_is_none_of_ours(plane, agent, cn):
    pem = _forge(plane, agent, cn=cn or "agt_")
    agent.use(pem)
    assert agent.poll().code == "auth-required"


# ---- enrolment ----

@pytest.fixture
def host(plane, tmp_path):
    return wire.WireAgent(plane, tmp_path)


@pytest.mark.parametrize("change,code", [
    ({"labels": []}, "schema"), ({"labels": {"x" * 300: "y"}}, "schema"), ({"host": {"hostname": "h", "k" * 300: 1}}, "schema"),
    ({"agent": {"version": "x" * 300}}, "schema"), ({"csr": "A" * 30000}, "too-large"), ({"csr": "A" * 40000}, "schema"),
    ({"proof": "x"}, "token-unknown"), ({"device_key_proof": "x"}, "signature-invalid"), ({"device_key_proof": "*"}, "signature-invalid"),
    ({"device_key_proof": "AAAA"}, "signature-invalid"), ({"host": {"hostname": "h", "machine_id_hash": 7}}, "schema"), ({"device_key_proof": 7}, "schema"), ({"proof": 7}, "schema"),
])
def test_enrolments_at_their_edges(plane, host, change, code):
    body = {**host.enroll_body(wire.Token(plane.new_token())), **change}
    assert host.api.post("/agent/v1/enroll", body).code == code


def test_what_an_enrolment_may_leave_out(plane, host):
    body = host.enroll_body(wire.Token(plane.new_token(labels={"env": "prod"})))
    for member in ("labels", "capabilities"):
        del body[member]
    assert host.api.post("/agent/v1/enroll", body).status == 201


def test_a_lost_answer_is_given_again_though_the_token_has_expired(plane, host):
    token = plane.new_token(uses=2)
    first = host.enroll(token)
    host.api = host.anonymous(plane.ca())
    _set(plane, "UPDATE join_token SET expires_at = 1 WHERE id = ?", wire.Token(token).id)
    again = host.enroll(token)
    assert again.headers["Clm-Replayed"] == "true" and again["agent_id"] == first["agent_id"]
    host.api = host.anonymous(plane.ca())
    _set(plane, "UPDATE join_token SET revoked = 1, host_glob = 'x', expires_at = ? WHERE id = ?", int(time.time()) + 900,
         wire.Token(token).id)
    assert host.enroll(token, check=False).status == 201


def test_a_lost_answer_is_not_given_to_another_host(plane, host):
    token = plane.new_token(uses=2)
    host.enroll(token)
    host.api = host.anonymous(plane.ca())
    _set(plane, "UPDATE join_token SET host_glob = 'db-*' WHERE id = ?", wire.Token(token).id)
    assert host.enroll(token, check=False).code == "token-unknown"


def test_a_token_whose_secret_is_damaged(plane, host):
    token = plane.new_token()
    _set(plane, "UPDATE join_token SET secret = x'00' WHERE id = ?", wire.Token(token).id)
    assert host.enroll(token, check=False).code == "internal"
    assert "is damaged" in plane.log()


def test_the_status_of_an_enrolment_that_never_was(plane, host):
    for proof in ("A" * 43, "x", None):
        assert host.api.get("/agent/v1/enroll/enr_01J9ZK3W5V7M2Q8R4T6Y0X1B3C", Clm_Enroll_Proof=proof).code == "enroll-denied"


# ---- bodies ----

@pytest.mark.parametrize("headers,status", [({"Content-Type": "application/json; charset=utf-8"}, 204),
                                            ({"Content-Encoding": "identity"}, 204), ({"Content-Encoding": "br"}, 415)])
def test_headers_of_a_body(agent, headers, status):
    assert agent.api.call("POST", "/agent/v1/poll", agent.poll_body(), headers).status == status


def test_no_body_and_an_empty_one_crash_nothing(plane, agent):
    jobs = [plane.act("scan", agent_id=agent.id)]
    for path in ("poll", "identity/renew", "recover", "enroll", "bye", "inventory", f"jobs/{jobs[0]}/lease", f"jobs/{jobs[0]}/events",
                 f"jobs/{jobs[0]}/csr", f"jobs/{jobs[0]}/result", "orders/x/dcv/ready", "inventory/files/scn_1/1"):
        for body in (None, b"", b"{}", b"[]", b"null", b'"x"', b"7", b"{", b"\xff", b'{"a":' * 100):
            method = "PUT" if path.startswith("inventory") else "POST"
            answer = agent.api.call(method, f"/agent/v1/{path}", body, {"Idempotency-Key": wire.secrets.token_hex(8)})
            assert answer.status < 500, (path, body, answer)
            if path == "poll":
                assert answer.status == 400, (body, answer)
    assert plane.process.is_running()


def test_no_memory_for_a_body_is_not_the_clients_fault(tmp_path):
    plane = doom.DoomedPlane(tmp_path / "cp")
    with doom.peace():
        plane.start()
        try:
            agent = wire.WireAgent(plane, tmp_path)
            agent.enroll(plane.new_token())
            codes = set()
            for nth in range(1, 4):
                body = agent.poll_body(config_etag="x" * 9000)
                answer = agent.api.call("POST", "/agent/v1/poll", body, {"Clm-Doom": f"mb {nth}"})
                assert answer.status == 500 and answer["retryable"], answer
                codes.add(answer.code)
            assert codes == {"internal"}
            assert agent.poll().status == 200
        finally:
            plane.stop()


def test_a_client_that_hangs_up_in_a_body(plane, agent):
    for sent in (b"", b'{"v":1,'):
        connection = agent.api.connect()
        connection.putrequest("POST", "/agent/v1/poll")
        for name, value in {**agent.api.headers, "Content-Type": "application/json", "Content-Length": "500"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(sent or b" ")
        connection.close()
    assert agent.poll().status == 204


@pytest.mark.parametrize("length", ["x", "-1", "99999999999999999999999"])
def test_a_length_that_is_none(plane, length):
    connection = wire.Api(plane.operator_url).connect(10)
    connection.putrequest("POST", "/api/v1/tokens")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        assert connection.getresponse().status >= 400
    connection.close()
    assert plane.op.get("/api/v1/health").status == 200


def test_a_body_far_too_large_is_refused_before_it_is_sent(agent):
    connection = agent.api.connect(10)
    connection.putrequest("POST", "/agent/v1/poll")
    for name, value in {**agent.api.headers, "Content-Type": "application/json", "Content-Length": "9000000"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413 and json.loads(response.read())["code"] == "too-large"
    connection.close()
    assert agent.poll().status == 204


# ---- faults on purpose ----

@pytest.mark.parametrize("text,is_hit", [
    ('[{"path":"/cacerts","mode":"500"}]', True), ('{"rules":[{"path":"/cacerts","mode":"500"}]}', True),
    ('[{"mode":"500"}]', False), ('[{"path":"/other","mode":"500"}]', False), ('[{"path":"/cacerts","mode":"500","times":-1}]', False),
    ('[{"path":"/cacerts"}]', False), ('[{"path":"/cacerts","mode":"unheard of"}]', False), ("rubbish", False), ("7", False), ("", False),
    ("[" + ",".join(['{"path":"/x","mode":"500"}'] * 16 + ['{"path":"/cacerts","mode":"500"}']) + "]", False), (None, False),
])
def test_rules_of_faults(tmp_path, text, is_hit):
    plane = wire.WirePlane(tmp_path / "cp")
    plane.start(faults=[])
    try:
        if text is None:
            plane.faults.unlink()
        else:
            plane.faults.write_text(text)
        connection = wire.Api(plane.agent_url, wire.server_context(plane.ca())).connect()
        for _ in range(2):
            connection.request("GET", "/agent/v1/cacerts")
            response = connection.getresponse()
            response.read()
            assert (response.status == 500) is is_hit
        connection.close()
    finally:
        plane.stop()


# ---- starts ----

def _refused(tmp_path, *words):
    done = subprocess.run([PLANE, "serve", "--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0", *words],
                          capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode > 0, done
    return done.stderr


def test_directories_that_cannot_be_one(tmp_path):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o600)
    for name in ("dangling", "file", "no/parent"):
        assert name in _refused(tmp_path, "--data", tmp_path / name)


@pytest.mark.parametrize("name,content,says", [
    ("operator.token", "short\n", "is too short: remove it"), ("operator.token", "x" * 100, ""), ("jobs.kid", "x" * 70, ""),
    ("clmbot.db", "this is no database" * 100, "database: "), ("web-ca.pem", "rubbish", ""),
])
def test_files_that_are_damaged(tmp_path, name, content, says):
    plane = wire.WirePlane(tmp_path)
    plane.start()
    plane.stop()
    for stale in plane.data.glob(f"{name}*"):
        stale.unlink()
    (plane.data / name).write_text(content)
    said = _refused(tmp_path, "--data", plane.data)
    assert says in said and said.startswith("clmbot-controlplane: ")


@pytest.mark.parametrize("listen,name,url", [("0.0.0.0:0", None, "https://127.0.0.1:"), ("[::]:0", None, "https://[::1]:"),
                                             ("[::1]:0", "::1", "https://[::1]:"), ("[::]:0", "clm.example", "https://clm.example:")])
def test_addresses_in_join_tokens(tmp_path, listen, name, url):
    out = tmp_path / "out"
    process = Process(["prlimit", "--nofile=256:1024", PLANE, "serve", "--data", tmp_path / "d", "--listen", listen,
                       "--operator", "127.0.0.1:0", *(["--name", name] if name else [])], out)
    try:
        until(lambda: "operators: http://127.0.0.1:" in process.text(), what="the server")
        limits = open(f"/proc/{process.pid}/limits", encoding="ascii").read()
        assert "1024                 1024                 files" in limits, "each held request is a descriptor"
        done = subprocess.run([PLANE, "token", "create", "--data", tmp_path / "d"], capture_output=True, text=True, check=True)
        assert wire.Token(done.stdout.strip()).fields["u"][0].startswith(url)
        assert ("which other hosts cannot reach" in process.text()) is (name is None)
    finally:
        assert process.stop() == 0
    assert os.path.exists(tmp_path / "d" / "operator.url")
