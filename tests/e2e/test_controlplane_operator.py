# SPDX-License-Identifier: Apache-2.0
"""The operator API, the dashboard's files, and the commands."""
import json
import pathlib
import subprocess
import time

import pytest

from harness import wire
from harness.base import PLANE, until

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    it = wire.WirePlane(tmp_path_factory.mktemp("cp"), enroll_per_min=60000, enroll_burst=1000,
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


INVENTORY = {
    "schema": 1, "digest": "sha256:" + "ab" * 32, "scan_id": "scn_1", "started_at": "2026-11-21T01:30:00Z",
    "services": [
        {"service_id": "nginx@/etc/nginx/nginx.conf", "kind": "nginx", "version": "1.22.1", "running": True,
         "targets": [{"target": "nginx:www.example.com", "names": ["www.example.com"], "manageable": True},
                     {"target": "nginx:b.example.com", "names": ["b.example.com"], "manageable": False}]},
        {"service_id": "other", "kind": "other", "running": False, "targets": []},
    ],
}


# ---- access ----

@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer x", "Basic eA=="])
def test_without_the_token(plane, header):
    api = wire.Api(plane.operator_url, headers={"Authorization": header} if header is not None else {})
    answer = api.get("/api/v1/agents")
    assert (answer.status, answer.code) == (401, "auth-required")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_is_nearly_right(plane):
    token = (plane.data / "operator.token").read_text().strip()
    for bad in (token[:-1], token + "x", token[:-1] + ("A" if token[-1] != "A" else "B"), token.lower()):
        api = wire.Api(plane.operator_url, headers={"Authorization": f"Bearer {bad}"})
        assert api.get("/api/v1/agents").status == 401


def test_health_needs_no_token(plane):
    assert wire.Api(plane.operator_url).get("/api/v1/health")["status"] == "ok"


def test_each_api_is_on_its_own_listener(plane, agent):
    assert plane.op.get("/agent/v1/cacerts").status == 404
    assert agent.api.get("/api/v1/health").status == 404


def test_the_dashboard_may_load_nothing_from_elsewhere(plane):
    answer = wire.Api(plane.operator_url).get("/")
    assert answer.status == 200 and b"clmbot" in answer.raw
    csp = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in csp and "unsafe" not in csp and "frame-ancestors 'none'" in csp
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert wire.Api(plane.operator_url).get("/index.html").raw == answer.raw
    for path in ("/nothing.html", "/..", "/../operator.token", "/%2e%2e%2foperator.token", "/etc%2fpasswd"):
        assert wire.Api(plane.operator_url).get(path).status == 404, path


def test_secrets_are_for_the_owner_alone(plane):
    assert plane.data.stat().st_mode & 0o777 == 0o700
    for name in ("operator.token", "ca.key", "agent-ca.key", "jobs.key", "web-ca.key", "web-root.key", "clmbot.db"):
        assert (plane.data / name).stat().st_mode & 0o077 == 0, name
    token = (plane.data / "operator.token").read_text().strip()
    assert token not in plane.log()


# ---- tokens ----

def test_the_list_of_tokens_has_no_secrets(plane):
    made = plane.op.post("/api/v1/tokens", {"ttl_s": 60, "uses": 3, "host_glob": "web-*"})
    row = plane.op.get("/api/v1/tokens")["tokens"][0]
    assert (row["id"], row["max_uses"], row["uses"], row["host_glob"]) == (made["id"], 3, 0, "web-*")
    assert wire.Token(made["token"]).fields["s"] not in plane.op.get("/api/v1/tokens").raw.decode()


@pytest.mark.parametrize("bad", [{"ttl_s": 0}, {"ttl_s": 604801}, {"uses": 0}, {"uses": "1"}, {"approval": "maybe"},
                                 {"unknown": 1}, {"host_glob": "x" * 300}, {"url": 7}])
def test_bad_tokens(plane, bad):
    assert plane.op.post("/api/v1/tokens", bad).code == "schema"


# ---- agents and inventory ----

def test_agents_are_shown_with_what_they_said(plane, agent):
    agent.poll(health={"state": "warning"})
    shown = plane.op.get(f"/api/v1/agents/{agent.id}")
    assert shown["host"]["hostname"] == "web-1" and shown["health"] == "warning" and shown["remote"] == "127.0.0.1"
    assert shown["boot_id"] == agent.boot_id and shown["capabilities"] == ["job.order/1"] and shown["generation"] == 1
    assert agent.id in [a["id"] for a in plane.op.get("/api/v1/agents")["agents"]]
    assert agent.api.post("/agent/v1/bye").status == 204
    assert plane.op.get(f"/api/v1/agents/{agent.id}")["health"] == "stopped"


def test_nobody(plane):
    for path in ("agents/agt_x", "certificates/crt_x", "inventory?agent_id=agt_x"):
        assert plane.op.get(f"/api/v1/{path}").code == "not-found"
    assert plane.op.get("/api/v1/jobs/job_x").code == "job-unknown"
    for verb in ("disable", "enable", "approve"):
        assert plane.op.post(f"/api/v1/agents/agt_x/{verb}").code == "not-found"
    assert plane.op.post("/api/v1/jobs/job_x/cancel").code == "job-unknown"


def test_inventory_and_targets(plane, agent):
    notices = agent.poll(cursor=999)["notices"]
    assert notices["inventory"] == "send"
    assert agent.api.put("/agent/v1/inventory", INVENTORY).status == 204
    notices = agent.poll(cursor=999, inventory_digest=INVENTORY["digest"])["notices"]
    assert notices["inventory"] == "changed-only"
    shown = plane.op.get(f"/api/v1/inventory?agent_id={agent.id}")
    assert shown["inventory"] == INVENTORY
    cert = plane.add(agent, "nginx:www.example.com", ["www.example.com"])
    targets = plane.op.get(f"/api/v1/targets?agent_id={agent.id}")["targets"]
    assert [(t["target"], t["certificate_id"], t["certificate_state"]) for t in targets] == [
        ("nginx:www.example.com", cert, "new"), ("nginx:b.example.com", None, None)]
    assert {t["kind"] for t in targets} == {"nginx"} and targets[0]["agent_id"] == agent.id
    assert len(plane.op.get("/api/v1/targets")["targets"]) >= 2
    assert plane.op.get("/api/v1/inventory").code == "schema"


@pytest.mark.parametrize("bad", [{"schema": 2}, {"digest": "sha256:x"}, {"digest": "ab" * 32}, {"services": {}},
                                 {"services": [{}] * 1001}])
def test_bad_inventories(agent, bad):
    assert agent.api.put("/agent/v1/inventory", {**INVENTORY, **bad}).code == "schema"


def test_a_large_inventory_and_one_too_large(plane, agent):
    service = {"service_id": "s", "kind": "other", "targets": [], "pad": "x" * 4000}
    assert agent.api.put("/agent/v1/inventory", {**INVENTORY, "services": [service] * 900}).status == 204
    assert plane.op.get(f"/api/v1/inventory?agent_id={agent.id}").status == 200
    answer = agent.api.put("/agent/v1/inventory", {**INVENTORY, "services": [{**service, "pad": "x" * 5000}] * 900})
    assert (answer.status, answer.code) == (413, "too-large")


# ---- certificates and actions ----

def test_names_are_made_regular(plane, agent):
    cert = plane.add(agent, names=["WWW.Example.COM.", "192.0.2.7", "2001:DB8::1"])
    assert plane.op.get(f"/api/v1/certificates/{cert}")["names"] == {
        "dns": ["www.example.com"], "ip": ["192.0.2.7", "2001:db8::1"]}


@pytest.mark.parametrize("bad", [
    {"names": []}, {"names": ["x..example.com"]}, {"names": ["a b"]}, {"names": [7]}, {"names": "x"},
    {"names": [f"{i}.example.com" for i in range(101)]}, {"target": "host"}, {"target": "nginx"}, {"target": "NGINX:x"},
    {"key_type": "rsa-1024"}, {"connector": "none"}, {"on_issue": "pray"}, {"subject": {"X": "y"}}, {"subject": []},
    {"agent_id": 1}, {"extra": 1},
])
def test_bad_certificates(plane, agent, bad):
    body = {"agent_id": agent.id, "target": "nginx:www.example.com", "names": ["www.example.com"], **bad}
    answer = plane.op.post("/api/v1/certificates", body)
    assert (answer.status, answer.code) == (400, "schema"), answer


def test_a_certificate_for_nobody(plane):
    answer = plane.op.post("/api/v1/certificates", {"agent_id": "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C",
                                                    "target": "nginx:x", "names": ["x.example.com"]})
    assert answer.code == "not-found"


@pytest.mark.parametrize("bad,code", [
    ({}, "schema"), ({"type": "explode"}, "schema"), ({"type": "order"}, "schema"), ({"type": "scan"}, "not-found"),
    ({"type": "order", "certificate_id": "crt_x"}, "not-found"), ({"type": "scan", "agent_id": "agt_x"}, "not-found"),
    ({"type": "cancel"}, "schema"), ({"type": "cancel", "job_id": "job_x"}, "job-unknown"),
    ({"type": "scan", "extra": 1}, "schema"),
])
def test_bad_actions(plane, bad, code):
    assert plane.op.post("/api/v1/actions", bad).code == code


def test_actions_that_do_not_fit_the_state(plane, agent):
    cert = plane.add(agent)
    for kind in ("deploy", "verify", "get_dcv", "dcv_cleanup"):
        answer = plane.op.post("/api/v1/actions", {"type": kind, "certificate_id": cert})
        assert (answer.status, answer.code) == (409, "conflict"), kind
    assert plane.op.get(f"/api/v1/jobs?agent_id={agent.id}")["jobs"] == []
    assert plane.op.get(f"/api/v1/certificates/{cert}")["state"] == "new", "a refused action changes nothing"


def test_an_action_twice_under_one_key_is_one_job(plane, agent):
    body = {"type": "scan", "agent_id": agent.id}
    first = plane.op.post("/api/v1/actions", body, key="A1")
    again = plane.op.post("/api/v1/actions", body, key="A1")
    assert again.headers["Clm-Replayed"] == "true" and again["job_id"] == first["job_id"]
    assert len(plane.op.get(f"/api/v1/jobs?agent_id={agent.id}")["jobs"]) == 1


def test_lists_of_jobs(plane, agent):
    jobs = [plane.act("scan", agent_id=agent.id, target=f"nginx:{i}") for i in range(3)]
    agent.lease(jobs[0])
    listed = plane.op.get(f"/api/v1/jobs?agent_id={agent.id}")["jobs"]
    assert {j["id"] for j in listed} == set(jobs)
    assert [j["id"] for j in plane.op.get(f"/api/v1/jobs?agent_id={agent.id}&state=leased")["jobs"]] == jobs[:1]
    assert len(plane.op.get(f"/api/v1/jobs?agent_id={agent.id}&limit=2")["jobs"]) == 2
    assert plane.op.get("/api/v1/jobs?limit=1001").code == "schema"


# ---- changes ----

def test_changes_can_be_followed(plane, agent):
    last = plane.op.get("/api/v1/events")["last"]
    job_id = plane.act("scan", agent_id=agent.id)
    seen = plane.op.get(f"/api/v1/events?after={last}")
    assert {(e["kind"], e["id"], e["what"]) for e in seen["events"]} == {("job", job_id, "queued")}
    path = f"/api/v1/events?after={seen['last']}&wait=30"
    connection = plane.op.send("GET", path)
    begin = time.monotonic()
    agent.lease(job_id)
    answer = plane.op.receive(connection, "GET", path)
    assert answer["events"][0]["what"] == "leased" and time.monotonic() - begin < 5


def test_a_wait_for_changes_ends(plane):
    last = plane.op.get("/api/v1/events")["last"]
    begin = time.monotonic()
    answer = plane.op.get(f"/api/v1/events?after={last}&wait=1")
    assert answer["events"] == [] and answer["last"] == last and 0.8 < time.monotonic() - begin < 4
    beyond = plane.op.get(f"/api/v1/events?after={last + 1000}&wait=30")
    assert beyond["last"] == last, "a database that was restored: start over"


# ---- the commands ----

def test_the_commands(plane, agent):
    token = plane.run("token", "create", "--ttl", "30m", "--uses", "2").stdout.strip()
    assert token.startswith("clm1.") and wire.Token(token).id in plane.run("token", "list").stdout
    assert agent.id in plane.run("agents").stdout
    assert "web-1" in plane.run("agents", "show", agent.id).stdout
    assert plane.json("agents", "disable", agent.id)["status"] == "disabled"
    assert plane.json("agents", "enable", agent.id)["status"] == "active"
    cert = plane.add_certificate(agent.id, "nginx:c.example.com", ["c.example.com"])
    assert "c.example.com" in plane.run("certs", "list").stdout
    assert "ec-p256" in plane.run("certs", "show", cert).stdout
    job_id = plane.action("order", "--cert", cert)
    assert job_id in plane.run("jobs", "--agent", agent.id).stdout
    assert "queued" in plane.run("jobs", "show", job_id).stdout
    assert plane.json("jobs", "cancel", job_id)["state"] == "canceled"
    assert plane.run("action", "scan", "--agent", agent.id).stdout.startswith("job_")
    agent.api.put("/agent/v1/inventory", INVENTORY)
    assert "nginx:b.example.com" in plane.run("targets").stdout


def test_watch_follows_a_job_to_its_end(plane, agent):
    for outcome, status in (("succeeded", 0), ("rolled_back", 2)):
        job_id = plane.action("scan", "--agent", agent.id)
        watch = subprocess.Popen([PLANE, "jobs", "watch", job_id, "--data", plane.data], stdout=subprocess.PIPE, text=True)
        until(lambda: job_id in [o["job_id"] for o in agent.offers()], 10, "the offer")
        fence = agent.lease(job_id)["fence"]
        agent.result(job_id, fence, outcome, steps=[{"name": "swap", "status": "ok", "ms": 7}])
        out, _ = watch.communicate(timeout=20)
        assert watch.returncode == status and outcome in out and "swap" in out, out


@pytest.mark.parametrize("argv,status", [
    (["nothing"], 64), (["agents", "show"], 64), (["token", "create", "--ttl", "soon"], 64),
    (["token", "create", "--ttl", "8d"], 2), (["certs", "add"], 64), (["action"], 64), (["jobs", "show", "job_x"], 2),
    (["agents", "show", "a/b"], 2), (["--help"], 0), (["--version"], 0), (["serve", "--help"], 0),
])
def test_exit_codes(plane, argv, status):
    done = plane.run(*argv, check=False)
    assert done.returncode == status, done
    assert status == 0 or (done.stderr.startswith("clmbot-controlplane") and "Traceback" not in done.stderr)


def test_no_server(tmp_path):
    done = subprocess.run([PLANE, "agents", "--data", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 4 and str(tmp_path) in done.stderr
    (tmp_path / "operator.url").write_text("http://127.0.0.1:9")
    (tmp_path / "operator.token").write_text("x" * 43)
    done = subprocess.run([PLANE, "agents", "--data", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 6


# ---- the server itself ----

def test_one_server_for_a_directory(plane):
    done = subprocess.run([PLANE, "serve", "--data", plane.data, "--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0"],
                          capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2 and done.stderr, done


@pytest.mark.parametrize("config,says", [
    ("{", "column"), ('{"connectors": []}', "default_connector"), ('{"unknown": 1}', "unknown"),
    ('{"connectors": [{"name": "x", "type": "magic"}]}', "'builtin' or 'acme'"),
    ('{"connectors": [{"name": "x", "type": "acme", "directory": "http://x"}]}', "https://"),
    ('{"connectors": [{"name": "x", "type": "builtin"}, {"name": "x", "type": "builtin"}]}', "once"),
    ('{"wait_max_s": 0}', "wait_max_s"), ('{"default_connector": "x"}', "'x'"),
    ('{"connectors": [{"name": "x", "type": "acme", "directory": "https://x", "ca_file": "/nonexistent"}]}', "/nonexistent"),
])
def test_bad_configurations(tmp_path, config, says):
    path = tmp_path / "cp.json"
    path.write_text(config)
    done = subprocess.run([PLANE, "serve", "--data", tmp_path / "d", "--config", path], capture_output=True, text=True,
                          check=False, timeout=20)
    assert done.returncode == 4 and says in done.stderr and str(path) in done.stderr, done
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost:1", "127.0.0.1:x", "127.0.0.1:70000", "[::1:5", ":1", ""])
def test_bad_addresses(tmp_path, address):
    done = subprocess.run([PLANE, "serve", "--data", tmp_path / "d", "--listen", address, "--operator", "127.0.0.1:0"],
                          capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2 and done.stderr.strip(), done


def test_a_directory_that_others_may_enter(tmp_path):
    data = tmp_path / "d"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    done = subprocess.run([PLANE, "serve", "--data", data], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 4 and "0700" in done.stderr


def test_an_operator_listener_that_others_reach_speaks_tls(tmp_path):
    plane = wire.WirePlane(tmp_path / "cp")
    plane.operator_listen = "0.0.0.0:0"
    plane.start()
    try:
        assert plane.operator_url.startswith("https://")
        port = plane.operator_url.rsplit(":", 1)[1]
        api = wire.Api(f"https://127.0.0.1:{port}", wire.server_context(plane.ca()))
        assert api.get("/api/v1/health").status == 200
        assert "no agents" in plane.run("agents").stdout, "the commands find it, and trust its CA"
    finally:
        plane.stop()


def test_names_in_the_server_certificate(tmp_path):
    log = tmp_path / "log"
    process = subprocess.Popen([PLANE, "serve", "--data", tmp_path / "d", "--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0",
                                "--name", "clm.example.net", "--name", "192.0.2.1", "--json"],
                               stdout=log.open("w"), stderr=subprocess.DEVNULL)
    try:
        line = until(lambda: log.read_text().strip(), 10, "the server")
        url = json.loads(line)["agent"]
        context = wire.server_context((tmp_path / "d" / "ca.pem").read_text())
        import socket
        host, port = url.split("//")[1].split(":")
        for name in ("clm.example.net", "192.0.2.1", "localhost", "127.0.0.1"):
            with socket.create_connection((host, int(port))) as raw, context.wrap_socket(raw, server_hostname=name):
                pass
        done = subprocess.run([PLANE, "token", "create", "--data", tmp_path / "d"], capture_output=True, text=True, check=True)
        assert wire.Token(done.stdout.strip()).fields["u"] == [f"https://clm.example.net:{port}"]
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_a_stop_ends_held_requests_politely(tmp_path):
    plane = wire.WirePlane(tmp_path / "cp")
    plane.start()
    agent = wire.WireAgent(plane, tmp_path)
    agent.enroll(plane.new_token())
    agent.poll()
    path = "/agent/v1/poll?wait=50"
    body = agent.poll_body()
    connection = agent.api.send("POST", path, body)
    time.sleep(0.3)  # so that it is held; nothing to see from outside
    begin = time.monotonic()
    process = plane.process
    process.popen.terminate()
    answer = agent.api.receive(connection, "POST", path, body)
    assert answer.status == 204 and 1 <= int(answer.headers["Clm-Next-Poll"]) <= 30
    assert process.popen.wait(10) == 0 and time.monotonic() - begin < 5
    plane.process = None


def test_faults_on_purpose(tmp_path):
    plane = wire.WirePlane(tmp_path / "cp")
    plane.start(faults=[])
    try:
        import http.client
        def get():
            connection = wire.Api(plane.agent_url, wire.server_context(plane.ca())).connect()
            connection.request("GET", "/agent/v1/cacerts")
            return connection.getresponse()

        assert get().status == 200
        for mode, status in (("html200", 200), ("500", 500), ("redirect", 302)):
            plane.set_faults([{"path": "/cacerts", "mode": mode, "times": 1}])
            response = get()
            assert response.status == status and response.headers["Content-Type"] == "text/html"
            assert get().headers["Content-Type"] == "application/pem-certificate-chain", "once"
        plane.set_faults([{"path": "/cacerts", "mode": "truncate", "times": 1}])
        with pytest.raises(http.client.IncompleteRead):
            get().read()
        plane.set_faults([{"path": "/cacerts", "mode": "drop-after-commit", "times": 1}])
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError, OSError)):
            get()
        assert get().status == 200
    finally:
        plane.stop()
