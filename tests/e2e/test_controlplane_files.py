# SPDX-License-Identifier: Apache-2.0
"""Certificate files of hosts: uploaded in pages, listed with filters, in parts."""
import json
import sqlite3
import time

import pytest

from harness import wire

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
    return it


def when(days):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


def certificate(n, days=60, **more):
    return {"sha256": f"{n:064x}", "spki_sha256": f"{n + 1:064x}", "serial": f"{n:04x}", "subject": f"CN=host{n}.example.com",
            "issuer": "CN=Some CA", "not_before": when(-30), "not_after": when(days), "key": "ec-p256", "is_ca": False,
            "sans": [f"host{n}.example.com"], **more}


def file(n, days=60, **more):
    return {"path": f"/etc/ssl/{n:05}.pem", "format": "pem", "perm": "0644 root:root", "status": "monitored", "in_use": False,
            "used_by": [], "manager": None, "locked": False, "problems": [],
            "entries": [{"alias": None, "kind": "certificate", "certificate": certificate(n, days), "chain_ok": True,
                         "key_matches": None}], **more}


def put(agent, files, scan="scn_1", page=1, last=True):
    return put_body(agent, {"schema": 1, "scan_id": scan, "page": page, "last": last, "files": files}, scan, page)


def put_body(agent, body, scan="scn_1", page=1):
    return agent.api.put(f"/agent/v1/inventory/files/{scan}/{page}", body)


def listed(plane, agent, query=""):
    answer = plane.op.get(f"/api/v1/inventory/files?agent_id={agent.id}{query}")
    assert answer.status == 200, answer
    return answer


def paths(plane, agent, query=""):
    return [f["path"] for f in listed(plane, agent, query)["files"]]


def test_a_scan_counts_when_its_last_page_came(plane, agent):
    one = file(1)
    assert put(agent, [one]).status == 204
    shown = listed(plane, agent)["files"][0]
    assert shown["entries"] == one["entries"] and shown["agent_id"] == agent.id
    assert put(agent, [file(2)], "scn_2", last=False).status == 204
    assert paths(plane, agent) == ["/etc/ssl/00001.pem"], "half a scan must not be seen"
    assert put(agent, [file(3)], "scn_2", page=2).status == 204
    assert paths(plane, agent) == ["/etc/ssl/00002.pem", "/etc/ssl/00003.pem"]


def test_pages_again_and_in_any_order(plane, agent):
    last = plane.op.get("/api/v1/events")["last"]
    assert put(agent, [file(2)], page=2, last=False).status == 204
    answer = put(agent, [file(3)], page=3)
    assert (answer.status, answer.code) == (409, "conflict") and "page 1 " in answer["detail"]
    assert paths(plane, agent) == []
    assert put(agent, [file(9)], page=1, last=False).status == 204
    assert put(agent, [file(1)], page=1, last=False).status == 204
    for _ in range(2):
        assert put(agent, [file(3)], page=3).status == 204
    assert len(paths(plane, agent)) == 3 and "/etc/ssl/00009.pem" not in paths(plane, agent)
    seen = [(e["kind"], e["id"], e["what"]) for e in plane.op.get(f"/api/v1/events?after={last}")["events"]]
    assert ("inventory", agent.id, "files") in seen


def test_an_empty_scan_empties_the_list(plane, agent):
    assert put(agent, [file(1)]).status == 204
    assert put(agent, [], "scn_2").status == 204
    assert paths(plane, agent) == []


def test_a_scan_left_unfinished_goes_with_the_next_one(plane, agent):
    assert put(agent, [file(1)], "scn_old", last=False).status == 204
    assert put(agent, [file(2)], "scn_new").status == 204
    assert put(agent, [file(3)], "scn_old", page=2).code == "conflict", "its first page is gone"
    db = sqlite3.connect(plane.data / "clmbot.db")
    assert db.execute("SELECT DISTINCT scan_id FROM file WHERE agent_id = ?", (agent.id,)).fetchall() == [("scn_new",)]


def test_hosts_do_not_see_each_others_pages(plane, agent, tmp_path):
    other = wire.WireAgent(plane, tmp_path, "web-2")
    other.enroll(plane.new_token())
    assert put(agent, [file(1)]).status == 204 and put(other, [file(1), file(2)]).status == 204
    assert len(paths(plane, agent)) == 1 and len(paths(plane, other)) == 2
    assert put(agent, [], "scn_2").status == 204
    assert len(paths(plane, other)) == 2


@pytest.mark.parametrize("bad,says", [
    ({"path": "relative"}, "/files/0/path"), ({"path": ""}, "/files/0/path"), ({"path": "/" + "x" * 4096}, "path"),
    ({"format": "nss"}, "/files/0/format"), ({"status": "lost"}, "/files/0/status"), ({"in_use": 1}, "in_use"),
    ({"problems": ["sad"]}, "/files/0/problems"), ({"problems": "expired"}, "problems"), ({"used_by": [1]}, "used_by"),
    ({"used_by": ["x"] * 101}, "used_by"), ({"entries": [{"kind": "mystery"}]}, "/files/0/entries/0/kind"),
    ({"entries": [{"kind": "key", "certificate": {"sha256": "x"}}]}, "/files/0/entries/0/certificate"),
    ({"used_by": ["x" * 513]}, "used_by"), ({"entries": [{"kind": 7}]}, "kind"), ({"entries": [{"kind": "key", "chain_ok": 1}]}, "chain_ok"),
    ({"entries": [{"kind": "key", "key_matches": 1}]}, "key_matches"), ({"entries": [{"kind": "key", "certificate": 7}]}, "/entries/0/"),
    ({"entries": [{"kind": "key", "certificate": {**certificate(1), "sans": ["a b"]}}]}, "sans"), ({"locked": 1}, "locked"),
    ({"entries": [{"kind": "key", "certificate": {**certificate(1), "not_after": "soon"}}]}, "not_after"), ({"entries": {}}, "entries"),
    ({"entries": [{"kind": "key", "certificate": {**certificate(1), "is_ca": 7}}]}, "is_ca"), ({"format": 7}, "format"),
    ({"entries": [{"kind": "key", "alias": 7}]}, "alias"), ({"manager": "x" * 65}, "manager"), ({"perm": None}, "perm"),
])
def test_bad_files_are_refused_with_their_place(plane, agent, bad, says):
    answer = put(agent, [{**file(1), **bad}])
    assert (answer.status, answer.code) == (400, "schema") and says in answer["detail"], answer
    assert paths(plane, agent) == []


@pytest.mark.parametrize("bad", [{"schema": 2}, {"scan_id": "scn_2"}, {"page": 2}, {"last": 1}, {"files": {}},
                                 {"files": [file(i) for i in range(101)]}, {"files": [file(1), file(1)]}])
def test_bad_pages(agent, bad):
    body = {"schema": 1, "scan_id": "scn_1", "page": 1, "last": True, "files": [file(1)], **bad}
    answer = put_body(agent, body)
    assert (answer.status, answer.code) == (400, "schema"), answer


@pytest.mark.parametrize("place", ["scn_1/0", "scn_1/1001", "scn_1/x", "scn%201/1", "x" * 40 + "/1"])
def test_bad_places(agent, place):
    assert agent.api.put("/agent/v1/inventory/files/" + place, {"schema": 1}).code == "schema"


def test_filters(plane, agent):
    cert = certificate(7, 400, is_ca=True)
    files = [
        file(1, 5, status="managed", in_use=True, used_by=["nginx:www.example.com"]),
        file(2, -3, problems=["expired", "weak_key"], manager="certbot"),
        file(3, 90, format="jks", path="/opt/Store.jks", entries=[
            {"alias": "Frontend", "kind": "key", "certificate": certificate(3, 90), "chain_ok": True, "key_matches": True},
            {"alias": "old-ca", "kind": "trusted", "certificate": certificate(70, -100), "chain_ok": None, "key_matches": None},
            {"alias": None, "kind": "certificate", "certificate": cert, "chain_ok": None, "key_matches": None}]),
        file(4, status="ignored", entries=[{"alias": None, "kind": "key", "certificate": None}]),
    ]
    assert put(agent, files).status == 204
    names = {1: "/etc/ssl/00001.pem", 2: "/etc/ssl/00002.pem", 3: "/opt/Store.jks", 4: "/etc/ssl/00004.pem"}
    for query, want in {
        "&status=managed": [1], "&status=ignored": [4], "&in_use=1": [1], "&in_use=0": [2, 4, 3], "&problem=any": [2],
        "&problem=weak_key": [2], "&problem=key": [], "&days=10": [1, 2], "&days=0": [2], "&days=120": [1, 2, 3],
        "&manager=certbot": [2], "&manager=none": [1, 4, 3], "&format=jks": [3], "&q=FRONTEND": [3], "&q=store.JKS": [3],
        "&q=www.example": [1], "&q=host2.": [2], "&q=some%20ca": [1, 2, 3], "&q=%25": [], f"&sha256={7:064x}": [3],
        f"&sha256={8:064x}": [], "&status=managed&problem=any": [], "&sort=expiry": [2, 1, 3, 4],
    }.items():
        assert paths(plane, agent, query) == [names[n] for n in want], query
        assert listed(plane, agent, query + "&limit=0")["total"] == len(want), query
    assert "certbot" in listed(plane, agent)["managers"]
    shown = {f["path"]: f["not_after"] for f in listed(plane, agent)["files"]}
    assert shown[names[3]] == files[2]["entries"][0]["certificate"]["not_after"], "the leaf's, not that of a trusted one"
    assert shown[names[4]] is None


def test_certificates_with_addresses_and_without_an_end(plane, agent):
    ends = [{"alias": None, "kind": "certificate", "certificate": c} for c in (
        certificate(1, 50), certificate(2, 20, sans=["192.0.2.77"]), certificate(3, 70), {"sha256": "cd" * 32})]
    assert put(agent, [file(1, entries=ends)]).status == 204
    shown = listed(plane, agent, "&q=192.0.2.77")["files"]
    assert [f["not_after"] for f in shown] == [ends[1]["certificate"]["not_after"]], "the earliest counts"
    assert paths(plane, agent, "&sha256=" + "cd" * 32) == [file(1)["path"]]


def test_what_is_too_long_for_the_index_is_kept(plane, agent):
    users = [f"first:{'x' * 400}", *(f"{i:03}:{'y' * 480}" for i in range(98)), "last:z"]
    assert put(agent, [file(1, used_by=users)]).status == 204
    assert listed(plane, agent, "&q=first:x")["files"][0]["used_by"] == users
    assert len(paths(plane, agent, "&q=last:z")) == 1 and paths(plane, agent, "&q=097:yy") == []


def test_a_list_ends_where_it_gets_too_large(plane, agent):
    large = [file(i, used_by=[f"{n:02}:{'u' * 500}" for n in range(75)]) for i in range(120)]
    assert put(agent, large[:60], page=1, last=False).status == 204 and put(agent, large[60:], page=2).status == 204
    first = listed(plane, agent, "&limit=500")
    assert 0 < len(first["files"]) < 120 and first["total"] == 120
    rest = listed(plane, agent, f"&limit=500&cursor={first['next']}")
    assert [f["path"] for f in first["files"] + rest["files"]] == [f["path"] for f in large] and rest["next"] is None


@pytest.mark.parametrize("place", [{}, {"e": 1}, {"e": -1, "p": "/x", "a": "agt"}, {"e": 1, "p": "", "a": "agt"}, {"e": 1, "p": 7, "a": "agt"},
                                   {"e": 1, "p": "/x"}, {"e": 1, "p": "/x", "a": "a" * 40}, {"e": "1", "p": "/x", "a": "agt"}, []])
def test_a_list_goes_on_only_where_one_ended(plane, place):
    answer = plane.op.get(f"/api/v1/inventory/files?cursor={wire.b64(json.dumps(place).encode())}")
    assert answer.code == "schema" and "cursor" in answer["detail"]


@pytest.mark.parametrize("query", ["cursor=*", "cursor=e3", "limit=501", "limit=x", "in_use=2", "days=-1", "sort=size", "cursor=x", "cursor=e30",
                                   "q=" + "x" * 257])
def test_bad_queries(plane, query):
    assert plane.op.get("/api/v1/inventory/files?" + query).code == "schema"


def test_ten_thousand_files_in_parts(plane, agent):
    for page in range(100):
        files = [file(page * 100 + i, days=(page * 37 + i) % 91) for i in range(100)]
        assert put(agent, files, "scn_big", page + 1, page == 99).status == 204
    for order in ("path", "expiry"):
        cursor, seen = "", []
        while cursor is not None:
            part = listed(plane, agent, f"&sort={order}&limit=500" + (f"&cursor={cursor}" if cursor else ""))
            assert part["total"] == (None if cursor else 10000)
            seen += [(f["not_after"], f["path"]) if order == "expiry" else f["path"] for f in part["files"]]
            cursor = part["next"]
        assert len(seen) == 10000 == len(set(seen)) and seen == sorted(seen), order
    begin = time.monotonic()
    assert listed(plane, agent, "&q=host9999.example.com")["total"] == 1
    assert time.monotonic() - begin < 2
