# SPDX-License-Identifier: Apache-2.0
"""The commands against a control plane that answers what the real one does not: nonsense, refusals without a word, lists
of another form. Whatever comes, a command ends, says why, and steers no terminal."""
import http.server
import itertools
import json
import os
import pty
import subprocess
import threading

import pytest

from harness import doom
from harness.base import PLANE

pytestmark = pytest.mark.api

CONFIG = {"id": "cfg_1", "revision": 3, "target": "nginx:a", "deployment": {"source": "scan"}, "issuer": {"connector": "builtin"},
          "csr": {"mode": "override", "sans": {"dns": ["a.example.com"]}},
          "dcv": {"method": "http-01", "webroot_ref": "www"}, "schedule": {"renew_days": 30, "retain": None}}
JOB = {"id": "job_1", "state": "failed", "type": "deploy", "phase": "swap", "attempt": 2, "error": {"message": "no", "hint": "look"},
       "result": {"steps": [{"name": "swap", "status": "ok", "ms": 7}, {"name": "reload", "status": "bad", "detail": "exit 1"}, {}]}}
CERT = {"id": "crt_1", "names": {"dns": ["a.example.com", "b.example.com"], "ip": []}, "versions": [
    {"version": 2, "sha256": "ab" * 32, "not_after": "2027-01-01T00:00:00Z", "issuer": "CN=Some CA"}, {}]}


class Answers(http.server.BaseHTTPRequestHandler):
    """Each request gets the next answer, the last one again and again: (status, what)."""

    def answer(self):
        self.server.seen.append((self.command, self.path, self.headers.get("If-Match"),
                                 self.rfile.read(int(self.headers.get("Content-Length", 0)))))
        status, what = self.server.answers[0] if len(self.server.answers) == 1 else self.server.answers.pop(0)
        raw = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *args):
        pass


class Odd:
    """The data directory of a control plane whose answers are the test's."""

    def __init__(self, data):
        self.data = data
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.server.answers, self.server.seen = [], []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        (data / "operator.url").write_text(f"http://127.0.0.1:{self.server.server_address[1]}\n")
        (data / "operator.token").write_text("x" * 43 + "\n")

    def run(self, words, *answers, env=None):
        self.server.answers, self.server.seen = list(answers) or [(200, {})], []
        return subprocess.run([PLANE, *words, "--data", self.data], capture_output=True, text=True, timeout=60, check=False,
                              env=env)

    @property
    def seen(self):
        return self.server.seen


@pytest.fixture
def odd(tmp_path):
    it = Odd(tmp_path)
    yield it
    it.server.shutdown()
    it.server.server_close()


@pytest.mark.parametrize("answer,says", [
    ((200, b"<html>"), "answer of the control plane (status 200)"), ((502, b""), "answer of the control plane (status 502)"),
    ((500, {}), "refused (no code)"), ((403, {"code": "auth"}), "refused (auth)"), ((409, {"detail": "busy"}), "busy (no code)"),
    ((409, {"detail": 7, "code": []}), "refused (no code)"), ((302, {"detail": "elsewhere"}), "elsewhere"),
])
@pytest.mark.parametrize("words", [["agents"], ["token", "create"], ["certs", "show", "crt_1"], ["configs", "run", "cfg_1"],
                                   ["jobs", "watch", "job_1"], ["action", "scan", "--agent", "agt_1"]])
def test_what_is_no_good_answer_is_told(odd, words, answer, says):
    done = odd.run(words, answer)
    assert (done.returncode, done.stdout) == (2, "") and says in done.stderr, done


@pytest.mark.parametrize("words,member", [
    (["agents"], "agents"), (["targets"], "targets"), (["certs", "list"], "certificates"), (["configs"], "configurations"),
    (["jobs", "--agent", "agt_1", "--state", "queued"], "jobs"), (["token", "list"], "tokens"),
])
def test_lists_of_another_form(odd, words, member):
    for answer in ({}, {member: 7}, {member: []}, {member: None}, []):
        assert odd.run(words, (200, answer)).stdout == f"no {member}\n", answer
    assert odd.run(words, (204, b"")).stdout == f"no {member}\n"
    rows = [{"id": 1, "target": ["a", [], "b", {"x": "c"}, []], "host": "plain", "state": "ok", "error": {"message": "x" * 5000}},
            7, "text", None, {"id": "\x1b[31mred", "target": {}, "host": {"hostname": True}, "names": ["y" * 3000, "z" * 3000]}]
    done = odd.run(words, (200, {member: rows}))
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 1 + len(rows) and "\x1b" not in done.stdout, done
    assert json.loads(odd.run([*words, "--json"], (200, {member: rows})).stdout) == {member: rows}


@pytest.mark.parametrize("words,answer,says", [
    (["agents", "show", "agt_1"], {}, "hostname"), (["agents", "show", "agt_1"], {"host": 7, "labels": {"a": {"b": [1, None]}}}, "1 null"),
    (["certs", "show", "crt_1"], CERT, "version 2"), (["certs", "show", "crt_1"], {"versions": 7}, "certificate"),
    (["configs", "show", "cfg_1"], CONFIG, "a.example.com"), (["configs", "show", "cfg_1"], {}, "schedule"),
    (["jobs", "show", "job_1"], JOB, "exit 1"), (["jobs", "show", "job_1"], {"result": {"steps": "none"}}, ""),
    (["jobs", "cancel", "job_1"], JOB, "swap"), (["agents", "enable", "agt_1"], {"status": "active\x07"}, "active"),
    (["configs", "run", "cfg_1"], {}, "-"), (["action", "scan", "--agent", "agt_1"], {"job_id": 7}, "-"),
    (["token", "create", "--manual", "--host", "web-*"], {"token": ""}, "-"), (["token", "create", "--json"], {"token": "x"}, '{"token":"x"}'),
    (["configs", "add", "--agent", "a", "--target", "t", "--name", "a.example.com", "--source", "declared"], CONFIG, "a.example.com"),
    (["certs", "add", "--agent", "a", "--target", "t", "--name", "b.example.com", "--template", "web", "--key", "rsa-2048"], CERT, "b.example"),
    (["certs", "add", "--agent", "a", "--target", "t", "--csr-mode", "override"], CERT, "b.example"),
    (["jobs", "--agent", "agt_1"], {"jobs": [{"id": "job_1"}]}, "job_1"), (["jobs", "--state", "failed"], {"jobs": [{"id": "job_1"}]}, "job_1"),
    (["action", "rollback", "--cert", "crt_1", "--version", "2", "--reason", "old", "--json"], {"job_id": "job_1"}, '"job_1"'),
    (["configs", "run", "cfg_1", "--json"], {"job_id": "job_1"}, '"job_1"'), (["jobs", "show", "job_1", "--json"], JOB, '"exit 1"'),
    (["certs", "show", "crt_1", "--json"], CERT, '"versions"'), (["agents", "show", "agt_1", "--json"], {"id": 1}, '{"id":1}'),
    (["routes"], {}, "/api/v1/agents"), (["routes", "--json"], {}, '"idempotency_key"'),
])
def test_what_is_missing_is_a_dash(odd, words, answer, says):
    done = odd.run(words, (200, answer))
    assert done.returncode == 0 and not done.stderr and "\x07" not in done.stdout, done
    assert says in done.stdout or says in ("hostname", "schedule") and "-\n" in done.stdout, done


# ---- changes ----

def test_an_edit_changes_what_the_options_say_and_nothing_else(odd):
    done = odd.run(["configs", "edit", "cfg_1", "--webroot-ref", "", "--retain", "3", "--connector", "le", "--name", "192.0.2.7"],
                   (200, CONFIG))
    assert done.returncode == 0, done
    method, path, match, body = odd.seen[1]
    assert (method, path, match) == ("PUT", "/api/v1/configurations/cfg_1", '"3"')
    assert json.loads(body) == {"deployment": {"source": "scan"}, "issuer": {"connector": "le"}, "csr": {"mode": "override", "sans": {"dns": [], "ip": ["192.0.2.7"]}},
                                "dcv": {"method": "http-01"}, "schedule": {"renew_days": 30, "retain": 3}}


@pytest.mark.parametrize("verb", ["edit", "delete"])
def test_a_change_needs_the_revision_that_it_is_about(odd, verb):
    for revision in ({}, {"revision": 0}, {"revision": "1"}):
        done = odd.run(["configs", verb, "cfg_1"], (200, revision))
        assert done.returncode == 2 and "revision" in done.stderr and len(odd.seen) == 1, done
    refused = odd.run(["configs", verb, "cfg_1"], (200, CONFIG), (412, {"detail": "it changed", "code": "changed"}))
    assert refused.returncode == 2 and "it changed (changed)" in refused.stderr
    assert [s[0] for s in odd.seen] == ["GET", {"edit": "PUT", "delete": "DELETE"}[verb]]


@pytest.mark.parametrize("words", [["configs", "edit", "cfg_1", "--name", "a b"],
                                   ["configs", "add", "--agent", "a", "--target", "t", "--name", "a b"],
                                   ["certs", "add", "--agent", "a", "--target", "t", "--csr-mode", "override", "--name", "a b"]])
def test_a_name_that_is_none_is_not_sent(odd, words):
    done = odd.run(words, (200, CONFIG))
    assert done.returncode == 2 and "'a b' is not a DNS name" in done.stderr and not [s for s in odd.seen if s[0] != "GET"], done


# ---- following a job ----

@pytest.mark.parametrize("state,status", [("succeeded", 0), ("skipped", 0), ("failed", 2), ("denied", 2)])
def test_watch_ends_with_the_job(odd, state, status):
    job = {**JOB, "state": state}
    answers = [(200, {"last": 5}), (200, {**JOB, "state": "running"}), (200, {"last": 6}), (200, {**JOB, "state": "running"}),
               (200, {"last": 7}), (200, job)]
    done = odd.run(["jobs", "watch", "job_1"], *answers)
    assert done.returncode == status and done.stdout.count("running") == 1 and f"state     {state}" in done.stdout, done
    assert [s[1] for s in odd.seen if "events" in s[1]] == ["/api/v1/events", "/api/v1/events?after=5&wait=25",
                                                            "/api/v1/events?after=6&wait=25"]
    done = odd.run(["jobs", "watch", "job_1", "--json"], *answers)
    assert (done.returncode, json.loads(done.stdout)) == (status, job)


def test_watch_needs_an_end_to_wait_from(odd):
    for last in ({}, {"last": -1}, {"last": "x"}):
        done = odd.run(["jobs", "watch", "job_1"], (200, last))
        assert done.returncode == 2 and "last" in done.stderr, done
    done = odd.run(["jobs", "watch", "job_1"], (200, {"last": 1}), (404, {"detail": "no job"}))
    assert done.returncode == 2 and "no job" in done.stderr, done


# ---- where the control plane is ----

@pytest.mark.parametrize("name,text,status,says", [
    ("operator.url", None, 4, "--data"), ("operator.url", "http://" + "x" * 300, 4, "operator.url"), ("operator.url", "", 2, "URL"),
    ("operator.token", None, 4, "operator.token"), ("operator.token", "x" * 200, 4, "operator.token"),
    ("operator.url", "https://127.0.0.1:9\n\n", 4, "ca.pem"), ("operator.url", "ftp://127.0.0.1:9", 2, "URL"),
])
def test_files_that_say_nothing_useful(odd, name, text, status, says):
    (odd.data / name).unlink()
    if text is not None:
        (odd.data / name).write_text(text)
    done = odd.run(["agents"])
    assert done.returncode == status and says in done.stderr and odd.seen == [], done


@pytest.mark.parametrize("words", [["configs", "add", "--agent", "a", "--target", "t"], ["configs", "edit", "cfg_1"], ["certs", "add", "--agent", "a",
                                   "--target", "t", "--name", "a.example.com"], ["token", "list"], ["action", "cancel", "--job", "job_1"]])
def test_a_control_plane_that_is_gone(odd, words):
    odd.server.shutdown()
    odd.server.server_close()
    done = odd.run(words)
    assert done.returncode == 6 and done.stderr and not done.stdout, done


def test_an_unusable_directory(odd):
    done = subprocess.run([PLANE, "agents", "--data", "/" + "x" * 5000], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4 and "--data" in done.stderr, done


@pytest.mark.parametrize("words", [
    ["agents", "show"], ["agents", "approve"], ["certs", "show"], ["configs", "show"], ["configs", "edit"], ["configs", "delete"],
    ["configs", "run"], ["jobs", "show"], ["jobs", "cancel"], ["jobs", "watch"],
])
def test_an_id_that_is_none_is_not_sent(odd, words):
    done = odd.run([*words, "x" * 300], (200, {"last": 1}))
    assert done.returncode == 2 and done.stderr and not [s for s in odd.seen if "xxx" in s[1]], done


def test_a_list_of_jobs_of_nobody(odd):
    assert odd.run(["jobs", "--agent", "x" * 300]).returncode == 2 and odd.seen == []


@pytest.mark.parametrize("ttl,status", [("s", 64), ("0", 64), ("1w", 64), ("-1h", 64), ("1" * 20, 64), ("700000", 64), ("", 64),
                                        ("90", 0), ("90s", 0), ("15m", 0), ("7d", 0)])
def test_times_of_tokens(odd, ttl, status):
    done = odd.run(["token", "create", "--ttl", ttl], (201, {"token": "clm1.x"}))
    assert done.returncode == status and ("--ttl" in done.stderr) == (status != 0), done
    if status == 0:
        assert json.loads(odd.seen[0][3])["ttl_s"] == {"90": 90, "90s": 90, "15m": 900, "7d": 604800}[ttl]


def test_a_token_for_a_person_comes_with_a_hint(odd):
    odd.server.answers = [(201, {"id": "tok_1", "token": "clm1.x", "expires_at": "2026-11-21T18:00:00Z"})]
    mine, theirs = pty.openpty()
    try:
        done = subprocess.run([PLANE, "token", "create", "--data", odd.data], stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True)
        assert done.stdout == b"clm1.x\n", "what goes into a file is the token alone"
        hint = os.read(mine, 4096).decode()
        assert "tok_1, good until 2026-11-21T18:00:00Z" in hint and "clmbot enroll" in hint
    finally:
        os.close(mine)
        os.close(theirs)


@pytest.mark.parametrize("words", [["completion"], ["_mdoc"], ["routes"], ["routes", "--json"], ["agents"], ["agents", "--json"],
                                   ["token", "create"], ["jobs", "show", "job_1"]])
def test_what_could_not_be_written_is_a_failure(odd, words):
    odd.server.answers = [(200, {"agents": [{"id": "agt_1"}], "token": "clm1.x", "id": "job_1"})]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PLANE, *words, "--data", odd.data], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
                              check=False)
    assert done.returncode == 2 and "clmbot-controlplane: output: " in done.stderr, done


# ---- without memory ----

@pytest.mark.parametrize("words,answer", [
    (["agents"], {"agents": [{"id": "agt_1", "host": {"hostname": "a"}}]}), (["agents", "show", "agt_1"], {"labels": {"a": [1, "b"]}}),
    (["certs", "show", "crt_1"], CERT), (["configs", "edit", "cfg_1", "--name", "a.example.com", "--dcv", "manual"], CONFIG),
    (["configs", "delete", "cfg_1"], CONFIG), (["jobs", "show", "job_1"], JOB), (["jobs", "show", "job_1", "--json"], JOB),
    (["jobs", "watch", "job_1"], {**JOB, "last": 1}), (["action", "scan", "--agent", "agt_1"], {"job_id": "job_1"}),
    (["certs", "add", "--agent", "a", "--target", "t", "--name", "a.example.com", "--csr-mode", "override", "--subject", "o=x",
      "--subject", "ou=y", "--email", "a@example.com", "--eku", "server", "--key", "rsa-2048"], CERT),
    (["completion"], {}), (["_mdoc"], {}), (["routes", "--json"], {}),
])
def test_a_command_without_memory_says_so(odd, words, answer):
    good = odd.run(words, (200, answer))
    for nth in itertools.count(1, 2 if answer else 5):
        done = odd.run(words, (200, answer), env=doom.environment(f"m {nth}"))
        if "doomed" not in done.stderr:
            break
        assert done.returncode in (good.returncode, 2, 4), (nth, done)
        assert done.stdout == good.stdout or done.stderr != "doomed\n", (nth, done)
    assert nth > 3 and done.stdout == good.stdout
