# SPDX-License-Identifier: Apache-2.0
"""Configurations: the five steps, their validation, their certificate, and running them."""
import datetime
import sqlite3
import time

import pytest

from harness import wire
from harness.base import until

pytestmark = pytest.mark.api

TARGET = "nginx:www.example.com"
INVENTORY = {
    "schema": 1, "digest": "sha256:" + "ab" * 32, "scan_id": "scn_1", "started_at": "2026-11-21T01:30:00Z",
    "services": [{"service_id": "nginx@/etc/nginx/nginx.conf", "kind": "nginx", "version": "1.22.1", "running": True, "targets": [
        {"target": TARGET, "names": ["www.example.com", "example.com"], "manageable": True,
         "certificate": {"sha256": "ab" * 32, "sans": ["old.example.com"]}},
        {"target": "nginx:b.example.com", "names": ["b.example.com"], "manageable": False, "reasons": ["its key is elsewhere"]}]}],
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    it = wire.WirePlane(tmp_path_factory.mktemp("cp"), connectors=[
        {"name": "builtin", "type": "builtin", "dcv": "none"}, {"name": "proving", "type": "builtin", "dcv": "http-01"},
        {"name": "le", "type": "acme", "directory": "https://127.0.0.1:9/dir"}],
        enroll_per_min=60000, enroll_burst=1000, agent_per_min=60000, agent_burst=1000)
    it.start()
    yield it
    it.stop()


def join(plane, work, name="web-1"):
    it = wire.WireAgent(plane, work, name)
    it.enroll(plane.new_token())
    assert it.api.put("/agent/v1/inventory", INVENTORY).status == 204
    return it


@pytest.fixture
def agent(plane, tmp_path):
    return join(plane, tmp_path)


def make(plane, agent, target=TARGET, **steps):
    return plane.op.post("/api/v1/configurations", {"agent_id": agent.id, "target": target, **steps})


def change(plane, made, match='"1"', **steps):
    return plane.op.put(f"/api/v1/configurations/{made['id']}", steps, If_Match=match)


def faults(answer):
    assert (answer.status, answer.code) == (400, "schema"), answer
    assert answer["errors"][0]["detail"] in answer["detail"]
    return [e["pointer"] for e in answer["errors"]]


def test_nothing_said_gives_sensible_defaults(plane, agent):
    made = make(plane, agent)
    assert made.status == 201 and made.headers["ETag"] == '"1"'
    assert made["deployment"] == {"source": "scan"} and made["issuer"] == {"connector": "builtin", "profile": None}
    assert made["dcv"] == {"method": "none", "webroot_ref": None} and made["csr"] == {}
    assert made["schedule"] == {"renew_days": 30, "deploy": "now", "on_failure": "rollback", "retain": None}
    assert (made["certificate_state"], made["not_after"], made["next_renewal_at"]) == ("new", None, None)
    cert = plane.op.get(f"/api/v1/certificates/{made['certificate_id']}")
    assert cert["names"] == {"dns": ["www.example.com", "example.com"], "ip": []}
    assert (cert["key_type"], cert["connector"], cert["on_issue"]) == ("ec-p256", "builtin", "deploy")
    assert plane.op.get(f"/api/v1/configurations/{made['id']}").json == made.json
    assert [c["id"] for c in plane.op.get(f"/api/v1/configurations?agent_id={agent.id}")["configurations"]] == [made["id"]]
    assert make(plane, agent).code == "conflict", "one for each target"


def test_what_was_said_reaches_the_certificate(plane, agent):
    made = make(plane, agent, issuer={"connector": "proving"}, dcv={"method": "http-01", "webroot_ref": "www"},
                csr={"sans": {"dns": ["WWW.example.com."], "ip": ["192.0.2.7"]}, "key_type": "rsa-3072",
                     "subject": {"o": "Example", "c": "DE"}},
                schedule={"renew_days": 120, "deploy": "approval"})
    assert made.status == 201, made
    cert = plane.op.get(f"/api/v1/certificates/{made['certificate_id']}")
    assert cert["names"] == {"dns": ["www.example.com"], "ip": ["192.0.2.7"]} and cert["subject"] == {"O": "Example", "C": "DE"}
    assert (cert["key_type"], cert["connector"], cert["webroot_ref"], cert["on_issue"]) == ("rsa-3072", "proving", "www", "notify")


@pytest.mark.parametrize("steps,where", [
    ({"deployment": {"source": "guess"}}, ["/deployment/source"]), ({"deployment": 1}, ["/deployment"]),
    ({"deployment": {"path": "/etc"}}, ["/deployment/path"]), ({"deployment": {"source": "declared"}}, ["/target"]),
    ({"issuer": {"connector": "none"}}, ["/issuer/connector"]), ({"issuer": {"profile": "tls"}}, ["/issuer/profile"]),
    ({"csr": {"sans": {"dns": ["a b"]}}}, ["/csr/sans"]), ({"csr": {"key_type": "rsa-1024"}}, ["/csr/key_type"]),
    ({"csr": {"subject": {"o": 1}}}, ["/csr/subject/o"]), ({"csr": []}, ["/csr"]),
    ({"issuer": {"connector": "proving"}, "dcv": {"method": "none"}}, ["/dcv/method"]),
    ({"issuer": {"connector": "proving"}, "dcv": {"method": "dns-01"}}, ["/dcv/method"]),
    ({"dcv": {"method": "none", "webroot_ref": "www"}}, ["/dcv/webroot_ref"]),
    ({"schedule": {"renew_days": 0}}, ["/schedule/renew_days"]), ({"schedule": {"renew_days": 121}}, ["/schedule/renew_days"]),
    ({"schedule": {"renew_days": "7"}}, ["/schedule/renew_days"]), ({"schedule": {"deploy": "later"}}, ["/schedule/deploy"]),
    ({"schedule": {"on_failure": "cry"}}, ["/schedule/on_failure"]), ({"schedule": {"on_failure": "leave"}}, ["/schedule/on_failure"]),
    ({"schedule": {"retain": 0}}, ["/schedule/retain"]), ({"schedule": {"retain": 3}}, ["/schedule/retain"]),
    ({"issuer": {"connector": "x"}, "schedule": {"renew_days": 0, "deploy": "?"}},
     ["/issuer/connector", "/schedule/renew_days", "/schedule/deploy"]),
])
def test_every_fault_points_at_its_member(plane, agent, steps, where):
    assert faults(make(plane, agent, **steps)) == where
    assert plane.op.get(f"/api/v1/configurations?agent_id={agent.id}")["configurations"] == []
    assert not [c for c in plane.op.get("/api/v1/certificates")["certificates"] if c["agent_id"] == agent.id]


@pytest.mark.parametrize("target,says", [("nginx:c.example.com", "not reported"), ("nginx:b.example.com", "its key is elsewhere"),
                                         ("host", "kind:name"), ("file:/srv/tls", "not reported")])
def test_targets_that_cannot_be(plane, agent, target, says):
    answer = make(plane, agent, target)
    assert faults(answer) == ["/target"] and says in answer["detail"]


def test_a_declared_target_needs_no_scan_but_names(plane, agent):
    declared = {"deployment": {"source": "declared"}}
    assert faults(make(plane, agent, "file:/srv/app/tls", **declared)) == ["/csr/sans"]
    assert make(plane, agent, "file:/srv/app/tls", csr={"sans": {"dns": ["app.example.com"]}}, **declared).status == 201


def test_abilities_come_from_the_agent(plane, tmp_path):
    able = wire.WireAgent(plane, tmp_path, "able")
    able.enroll(plane.new_token(), capabilities=["job.order/1", "deploy.leave/1", "deploy.retain/1"])
    assert able.api.put("/agent/v1/inventory", INVENTORY).status == 204
    made = make(plane, able, schedule={"on_failure": "leave", "retain": 7})
    assert made.status == 201 and made["schedule"]["retain"] == 7
    job = plane.op.post(f"/api/v1/configurations/{made['id']}/run")
    _, payload = wire.read_jws(able.api.get(f"/agent/v1/jobs/{job['job_id']}").json, able.jobs_key)
    assert payload["on_failure"] == "stop" and payload["spec"]["deploy"] == {"retain": 7}


def test_abilities_that_an_agent_learnt_come_with_its_inventory(plane, agent):
    assert faults(make(plane, agent, schedule={"retain": 3})) == ["/schedule/retain"]
    assert agent.api.put("/agent/v1/inventory", dict(INVENTORY, capabilities=["deploy.retain/1", 7])).code == "schema"
    assert agent.api.put("/agent/v1/inventory", dict(INVENTORY, capabilities=["deploy.retain/1"])).status == 204
    assert plane.op.get(f"/api/v1/agents/{agent.id}")["capabilities"] == ["deploy.retain/1"]
    assert agent.api.put("/agent/v1/inventory", INVENTORY).status == 204
    assert plane.op.get(f"/api/v1/agents/{agent.id}")["capabilities"] == ["deploy.retain/1"], "not said is not changed"
    assert faults(make(plane, agent, schedule={"retain": 21})) == ["/schedule/retain"]
    assert make(plane, agent, schedule={"retain": 20}).status == 201


@pytest.mark.parametrize("body,code", [({}, "schema"), ({"agent_id": "agt_x", "target": TARGET}, "not-found"),
                                       ({"agent_id": "agt_x"}, "schema"), ({"agent_id": "agt_x", "target": TARGET, "extra": 1}, "schema")])
def test_bad_requests(plane, body, code):
    assert plane.op.post("/api/v1/configurations", body).code == code


# ---- changing ----

def test_a_change_names_the_revision_it_is_about(plane, agent):
    made = make(plane, agent)
    path = f"/api/v1/configurations/{made['id']}"
    answer = plane.op.put(path, {"schedule": {"renew_days": 10}})
    assert (answer.status, answer.code) == (428, "match-required") and answer.headers["ETag"] == '"1"'
    changed = change(plane, made, schedule={"renew_days": 10}, csr={"sans": {"dns": ["other.example.com"]}})
    assert changed.status == 200 and changed["revision"] == 2 and changed.headers["ETag"] == '"2"'
    assert changed["certificate_id"] == made["certificate_id"]
    assert plane.op.get(f"/api/v1/certificates/{made['certificate_id']}")["names"]["dns"] == ["other.example.com"]
    late = change(plane, made, schedule={"renew_days": 20})
    assert (late.status, late.code) == (412, "changed") and late.headers["ETag"] == '"2"'
    assert plane.op.get(path)["schedule"]["renew_days"] == 10
    assert faults(change(plane, made, '"2"', schedule={"renew_days": 999})) == ["/schedule/renew_days"]
    assert change(plane, made, '"2"', target="nginx:other").code == "conflict"
    assert plane.op.call("DELETE", path).code == "match-required"
    assert plane.op.call("DELETE", path, headers={"If-Match": '"1"'}).code == "changed"
    assert plane.op.call("DELETE", path, headers={"If-Match": '"2"'}).status == 204
    assert plane.op.get(path).code == "not-found"
    assert plane.op.get(f"/api/v1/certificates/{made['certificate_id']}").status == 200, "the certificate stays"
    assert make(plane, agent)["certificate_id"] == made["certificate_id"], "and is taken up again"


def test_a_certificate_that_was_there_is_taken_up(plane, agent):
    cert = plane.add(agent, TARGET, ["www.example.com"], key_type="rsa-2048")
    assert make(plane, agent)["certificate_id"] == cert
    assert plane.op.get(f"/api/v1/certificates/{cert}")["key_type"] == "ec-p256"


def test_nobody(plane):
    for method, path in (("GET", ""), ("POST", "/run"), ("PUT", ""), ("DELETE", "")):
        body = {} if method in ("POST", "PUT") else None
        assert plane.op.call(method, "/api/v1/configurations/cfg_x" + path, body).code == "not-found"
    assert plane.op.get("/api/v1/certificates/crt_x/dcv").code == "not-found"


# ---- running ----

def spec_of(plane, agent, job_id):
    _, payload = wire.read_jws(agent.api.get(f"/agent/v1/jobs/{job_id}").json, agent.jobs_key)
    return payload


def test_run_orders_once(plane, agent):
    made = make(plane, agent, schedule={"deploy": "approval"})
    run = f"/api/v1/configurations/{made['id']}/run"
    first = plane.op.post(run)
    assert first.status == 202
    payload = spec_of(plane, agent, first["job_id"])
    assert (payload["type"], payload["target"], payload["on_failure"]) == ("order", TARGET, "rollback")
    assert payload["spec"]["on_issue"] == "notify" and payload["spec"]["dcv"] == {"method": "none"}
    again = plane.op.post(run)
    assert (again.status, again.code) == (409, "conflict")
    agent.result(first["job_id"], agent.lease(first["job_id"])["fence"], "failed")
    assert plane.op.post(run).status == 202


def test_issued_says_when_it_is_renewed(plane, agent):
    made = make(plane, agent)
    job = plane.op.post(f"/api/v1/configurations/{made['id']}/run")["job_id"]
    fence = agent.lease(job)["fence"]
    key = wire.new_key()
    assert agent.upload_csr(job, fence, key, ["www.example.com", "example.com"]).status in (201, 202)
    issued = wait_issued(plane, made)
    assert issued["next_renewal_at"][:10] == shift(issued["not_after"], -30)


def jobs_of(plane, made):
    return plane.op.get(f"/api/v1/jobs?certificate_id={made['certificate_id']}")["jobs"]


def age(plane, made, not_before, not_after):
    """Moves the life of what was issued."""
    db = sqlite3.connect(plane.data / "clmbot.db", timeout=20)
    with db:
        db.execute("UPDATE cert_version SET not_before = ?, not_after = ? WHERE certificate_id = ?",
                   (int(time.time()) + not_before, int(time.time()) + not_after, made["certificate_id"]))
    db.close()


DAY = 86400


def issued(plane, agent, **steps):
    """A configuration whose first order is done, and the job of that."""
    made = make(plane, agent, **steps)
    job = plane.op.post(f"/api/v1/configurations/{made['id']}/run")["job_id"]
    fence = agent.lease(job)["fence"]
    agent.upload_csr(job, fence, wire.new_key(), ["www.example.com", "example.com"])
    wait_issued(plane, made)
    agent.result(job, fence)
    return made, job


@pytest.fixture
def looked(plane, tmp_path):
    """Waits until the control plane has looked what is due: it finds one of another host, and all at once."""
    names = (f"other-{n}" for n in range(9))

    def wait():
        other, _ = issued(plane, join(plane, tmp_path, next(names)))
        age(plane, other, -60 * DAY, DAY)
        until(lambda: len(jobs_of(plane, other)) == 2, 10, "the renewal of another host")
    return wait


def test_what_is_due_is_ordered_again_once(plane, agent, looked):
    made, job = issued(plane, agent, schedule={"renew_days": 20})
    age(plane, made, -60 * DAY, 21 * DAY)
    looked()
    assert len(jobs_of(plane, made)) == 1
    age(plane, made, -60 * DAY, 20 * DAY - 60)
    renewal = until(lambda: [j for j in jobs_of(plane, made) if j["job_id"] != job], 10, "the renewal")[0]
    assert (renewal["type"], renewal["requested_by"], renewal["state"]) == ("order", "schedule", "queued")
    agent.result(renewal["job_id"], agent.lease(renewal["job_id"])["fence"], "failed")
    looked()
    assert len(jobs_of(plane, made)) == 2, "after a failure not at once"
    db = sqlite3.connect(plane.data / "clmbot.db", timeout=20)
    with db:
        db.execute("UPDATE job SET created_at = created_at - 6 * 3600 WHERE id = ?", (renewal["job_id"],))
    db.close()
    until(lambda: len(jobs_of(plane, made)) == 3, 10, "the next attempt while it is due")


def test_a_short_life_is_renewed_after_two_thirds_of_it(plane, agent, looked):
    made, _ = issued(plane, agent)
    age(plane, made, -3600, 2 * DAY)
    shown = plane.op.get(f"/api/v1/configurations/{made['id']}")
    assert shown["next_renewal_at"] > shown["updated_at"], "30 days before would have been long ago"
    looked()
    assert len(jobs_of(plane, made)) == 1
    plane.op.post(f"/api/v1/agents/{agent.id}/disable")
    age(plane, made, -2 * DAY, 3600)
    looked()
    assert len(jobs_of(plane, made)) == 1, "a disabled host gets no work"
    plane.op.post(f"/api/v1/agents/{agent.id}/enable")
    until(lambda: len(jobs_of(plane, made)) == 2, 10, "the renewal")


def wait_issued(plane, made):

    def look():
        shown = plane.op.get(f"/api/v1/configurations/{made['id']}")
        return shown.json if shown["not_after"] else None
    return until(look, 20, "the certificate")


def shift(day, days):
    return (datetime.date.fromisoformat(day[:10]) + datetime.timedelta(days=days)).isoformat()


def test_proof_by_hand(plane, agent):
    made = make(plane, agent, issuer={"connector": "proving"}, dcv={"method": "manual"})
    job = plane.op.post(f"/api/v1/configurations/{made['id']}/run")["job_id"]
    payload = spec_of(plane, agent, job)
    assert payload["spec"]["dcv"]["method"] == "none" and payload["timeout_s"] == 86400
    path = f"/api/v1/certificates/{made['certificate_id']}/dcv"
    assert plane.op.get(path).code == "not-found"
    fence = agent.lease(job)["fence"]
    order = agent.upload_csr(job, fence, wire.new_key(), ["www.example.com", "example.com"])["order_id"]
    until(lambda: plane.op.get(path)["state"] == "dcv_pending", 20, "the challenges")
    shown = plane.op.get(path)
    assert shown["order_id"] == order
    assert {c["url"].rsplit("/", 1)[0] for c in shown["challenges"]} == {
        f"http://{n}/.well-known/acme-challenge" for n in ("www.example.com", "example.com")}
    assert all(c["content"] and c["state"] == "pending" for c in shown["challenges"])
    assert plane.op.post(path + "/ready")["state"] == "dcv_ready"
    until(lambda: plane.op.get(path).status == 404 or plane.op.get(path)["state"] != "dcv_pending", 20, "the verdict")


# ---- the commands ----

def test_the_commands(plane, agent):
    made = plane.json("configs", "add", "--agent", agent.id, "--target", TARGET, "--connector", "proving", "--dcv", "http-01",
                      "--webroot-ref", "www", "--name", "www.example.com", "--name", "192.0.2.7", "--key", "ec-p384",
                      "--renew-days", "14", "--deploy", "approval")
    assert made["csr"] == {"sans": {"dns": ["www.example.com"], "ip": ["192.0.2.7"]}, "key_type": "ec-p384"}
    assert made["schedule"]["renew_days"] == 14 and made["dcv"]["webroot_ref"] == "www"
    assert made["id"] in plane.run("configs").stdout
    assert "approval" in plane.run("configs", "show", made["id"]).stdout
    edited = plane.json("configs", "edit", made["id"], "--webroot-ref", "", "--renew-days", "7")
    assert edited["schedule"] == {**made["schedule"], "renew_days": 7} and edited["csr"] == made["csr"]
    assert edited["dcv"] == {"method": "http-01", "webroot_ref": None} and edited["revision"] == 2
    assert plane.run("configs", "run", made["id"]).stdout.startswith("job_")
    again = plane.run("configs", "run", made["id"], check=False)
    assert again.returncode == 2 and "under way" in again.stderr
    bad = plane.run("configs", "edit", made["id"], "--dcv", "magic", check=False)
    assert bad.returncode == 2 and "/dcv/method" in bad.stderr
    assert plane.run("configs", "delete", made["id"]).stdout == ""
    assert plane.run("configs", "show", made["id"], check=False).returncode == 2
    assert plane.run("configs", "add", check=False).returncode == 64
    assert plane.run("configs", "edit", made["id"], "--renew-days", "121", check=False).returncode == 64
