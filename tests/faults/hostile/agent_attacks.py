# SPDX-License-Identifier: Apache-2.0
"""The other side: a malicious agent (with an identity of its own, and two honest ones beside it) against the
real control plane. Nothing it sends may be a server's fault, reach what is another's, or change what people see."""
import json
import pathlib
import secrets
import socket
import ssl
import threading
import time

import json_attacks
import papers
from harness import wire
from harness.wire import WireAgent, WirePlane
from support.text import steering

PEAK_MAX_KIB = 64 * 1024
HTML = "<img src=x onerror=alert(1)>\"'><script>alert(1)</script>"
SQL = "x'; DROP TABLE job; --"
ESCAPES = "\x1b[2J\x1b]0;x\x07\u202e%n%s\u2028"
IDS = ["..", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%00", "%2e%2e", "job_" + "A" * 5000, "job_'%20OR%20'1'='1", "%27%3B--",
       "job_%0d%0aX:%20y", "*", "%", "job_0000000000000000000000000%00", "%C0%AE%C0%AE", "job_" + "Z" * 26]
PATHS = [("POST", "/agent/v1/jobs/{}/lease"), ("POST", "/agent/v1/jobs/{}/result"), ("POST", "/agent/v1/jobs/{}/csr"),
         ("POST", "/agent/v1/jobs/{}/events"), ("GET", "/agent/v1/jobs/{}"), ("GET", "/agent/v1/orders/{}"),
         ("GET", "/agent/v1/orders/{}/dcv"), ("GET", "/agent/v1/certificates/{}"), ("GET", "/agent/v1/enroll/{}")]
RAW = {
    "two-lengths": "POST /agent/v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\n{}{}",
    "length-and-chunks": "POST /agent/v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked"
                         "\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "length-negative": "POST /agent/v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length-of-16-gib": "POST /agent/v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 17179869184\r\n\r\n{}",
    "chunk-size-of-2-to-the-70": "POST /agent/v1/poll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400000000000000000\r\n{}",
    "http-0.9": "GET /\r\n", "http-9.9": "GET / HTTP/9.9\r\n\r\n", "method-of-64-kib": "A" * 65536 + " / HTTP/1.1\r\n\r\n",
    "method-trace": "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", "method-connect": "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "path-of-1-mib": "GET /" + "a" * (1 << 20) + " HTTP/1.1\r\n\r\n",
    "absolute-url": "GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "nul-bytes": "GET /\0 HTTP/1.1\r\nHost: x\0\r\n\r\n", "header-of-1-mib": "GET / HTTP/1.1\r\nX: " + "a" * (1 << 20) + "\r\n\r\n",
    "hundred-thousand-headers": "GET / HTTP/1.1\r\n" + "X: y\r\n" * 100000 + "\r\n", "garbage": "\0\xff" * 5000,
}


class Rig:
    """The control plane and three agents; evil is ours to misuse."""

    def __init__(self, work):
        work.mkdir()
        self.plane = WirePlane(work, enroll_per_min=60000, enroll_burst=1000, agent_per_min=60000, agent_burst=5000)
        self.plane.start()
        self.honest, self.evil, self.clone = (WireAgent(self.plane, work, name) for name in ("honest", "evil", "clone"))
        for agent in (self.honest, self.evil, self.clone):
            agent.enroll(self.plane.new_token())
        self.cert = self.plane.add(self.honest)
        self.job = self.plane.act("order", certificate_id=self.cert)
        self.fence = self.honest.lease(self.job)["fence"]
        csr = self.honest.upload_csr(self.job, self.fence, wire.new_key(), ["www.example.com"])
        self.order, self.issued = csr["order_id"], csr["certificate_id"]

    def raw(self, text, agent=True, wait_s=3):
        """Bytes on a connection of the evil agent; what comes back."""
        host, port = self.plane.agent_url.split("//")[1].rstrip("/").split(":")
        context = self.evil.api.context if agent else wire.server_context(self.plane.ca())
        got = b""
        try:
            with socket.create_connection((host, int(port)), timeout=wait_s) as sock, \
                    context.wrap_socket(sock, server_hostname=host) as tls:
                tls.sendall(text.encode("latin-1"))
                while len(got) < 65536:
                    data = tls.recv(65536)
                    if not data:
                        break
                    got += data
        except (OSError, ssl.SSLError):
            pass
        return got


def status(answer, *allowed):
    """A sentence if the status is another one."""
    return [] if answer.status in allowed else [f"status {answer.status}: {answer.raw[:200]!r}"]


# ---- what is another's ----

def of_another(method, path, body=None):
    def attack(rig):
        where = path.format(job=rig.job, order=rig.order, cert=rig.issued)
        text = json.dumps(body(rig)).encode() if body else None
        headers = {"Idempotency-Key": secrets.token_hex(8)} if body else None
        return status(rig.evil.api.call(method, where, text, headers), 403, 404, 409)
    return attack


def report(rig):
    return {"fence": rig.fence, "attempt": 1, "outcome": "succeeded", "started_at": papers.stamp(), "finished_at": papers.stamp(),
            "duration_ms": 1, "steps": [], "effects": {}, "error": None}


def with_certificate(make):
    """Polls as the honest agent with a certificate of the attacker's making."""
    def attack(rig):
        key = papers.new_key()
        cert = make(rig, key)
        liar = WireAgent(rig.plane, rig.plane.root, "liar")
        liar.id, liar.key = rig.honest.id, key
        liar.use(papers.pem(cert), key)
        try:
            return status(liar.poll(), 401, 403)
        except (ssl.SSLError, ConnectionError, OSError):
            return []
    return attack


def named(rig, key, issuer):
    return papers.issue(key.public_key(), [f"clm://default/agent/{rig.honest.id}"], issuer, name=rig.honest.id, eku=(papers.CLIENT,))


def wrong_ids(rig):
    said = []
    for method, path in PATHS:
        for one in IDS:
            body = b"{}" if method == "POST" else None
            headers = {"Idempotency-Key": secrets.token_hex(8)}
            said += [f"{method} {path} with {one[:40]!r}: {what}" for what in
                     status(rig.evil.api.call(method, path.format(one), body, headers), 400, 401, 403, 404, 405, 409, 414, 415, 422, 431)]
    return said


# ---- too much ----

def oversize(method, path, size, field="x"):
    def attack(rig):
        text = json.dumps({field: "a" * size}).encode()
        try:
            answer = rig.evil.api.call(method, path.format(job=rig.job), text, {"Idempotency-Key": secrets.token_hex(8)})
            return status(answer, 413, 400, 404)
        except (ConnectionError, ssl.SSLError):
            return []  # it hung up in the middle, as it may
    return attack


def bodies(rig):
    said = []
    for name, (text, _) in json_attacks.texts("boot_id", rig.evil.boot_id).items():
        try:
            answer = rig.evil.api.call("POST", "/agent/v1/poll?wait=0", text)
        except (ConnectionError, ssl.SSLError):
            continue
        said += [f"{name}: {what}" for what in status(answer, 400, 413, 422)]
    return said


def flood(rig):
    """Many connections that say nothing: somebody else is still served."""
    host, port = rig.plane.agent_url.split("//")[1].rstrip("/").split(":")
    socks = []
    for _ in range(300):
        try:
            socks.append(socket.create_connection((host, int(port)), timeout=1))
        except OSError:
            break
    for sock in socks[::2]:
        sock.sendall(b"\x16\x03\x01")
    began = time.monotonic()
    said = status(rig.honest.poll(), 200, 204)
    if time.monotonic() - began > 10:
        said.append(f"an honest agent waited {time.monotonic() - began:.0f} s")
    for sock in socks:
        sock.close()
    return said


def storm(rig):
    """Six hundred requests as fast as they go: none is a server's fault."""
    said = []

    def work():
        for _ in range(100):
            answer = rig.evil.api.call("POST", "/agent/v1/jobs/nobody/lease", b"{}", {"Idempotency-Key": secrets.token_hex(8)})
            said.extend(status(answer, 400, 404, 429))
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said[:3]


# ---- again, late, out of order ----

def replayed_result(rig):
    job = rig.plane.act("scan", agent_id=rig.evil.id)
    fence = rig.evil.lease(job)["fence"]
    said = status(rig.evil.result(job, fence, "failed", error={"code": "E_X", "message": "x", "retryable": False}), 200)
    state = rig.plane.state(job)
    rig.evil.result(job, fence, "succeeded")
    rig.evil.result(job, fence + 1, "succeeded")
    rig.evil.result(job, fence, "succeeded", attempt=2)
    return said + ([] if rig.plane.state(job) == state else [f"the job was {state} and is {rig.plane.state(job)}"])


def stale_fence(rig):
    job = rig.plane.act("scan", agent_id=rig.evil.id)
    fence = rig.evil.lease(job)["fence"]
    said = [what for other in (0, 99, 2**53 - 1) for what in status(rig.evil.result(job, other), 400, 409, 422)]
    return said + status(rig.evil.result(job, fence), 200)


def same_key_other_body(rig):
    key = secrets.token_hex(8)
    rig.evil.api.post(f"/agent/v1/jobs/{rig.job}/lease", {"boot_id": rig.evil.boot_id, "resume": False, "offline_until": None}, key=key)
    answer = rig.evil.api.call("POST", f"/agent/v1/jobs/{rig.job}/lease", b'{"boot_id":"other"}', {"Idempotency-Key": key})
    return status(answer, 400, 404, 409, 422)


def from_the_future(rig):
    """A generation nobody gave it: the copy is put aside, the others are not."""
    body = json.dumps({"generation": 99, "csr": wire.b64(wire.make_csr(wire.new_key())), "reason": "half-life",
                       "boot_id": rig.clone.boot_id})
    answer = rig.clone.api.call("POST", "/agent/v1/identity/renew", body.encode(), {"Idempotency-Key": secrets.token_hex(8)})
    return status(answer, 409) + status(rig.honest.poll(), 200, 204)


def ca_by_enrolment(rig):
    """A request that asks for a CA's certificate and other names gets an agent's, or nothing."""
    from cryptography import x509
    liar = WireAgent(rig.plane, rig.plane.root, "ca-liar")
    builder = x509.CertificateSigningRequestBuilder().subject_name(papers.common_name("control plane"))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("127.0.0.1"), x509.DNSName("evil.example")]), critical=False)
    liar.csr = builder.sign(liar.key, wire.hashes.SHA256()).public_bytes(wire.serialization.Encoding.DER)
    answer = liar.enroll(rig.plane.new_token(), check=False)
    if answer.status != 201:
        return status(answer, 400, 422)
    cert = x509.load_pem_x509_certificate(answer["certificate"].encode())
    is_ca = cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    said = ["it is a CA's"] if is_ca else []
    return said + ([f"it names {names}"] if names.get_values_for_type(x509.DNSName) else [])


# ---- what people see ----

def tell(text):
    """Every string an agent may send: events, results, host name, labels."""
    def attack(rig):
        liar = WireAgent(rig.plane, rig.plane.root, "liar-" + secrets.token_hex(3))
        liar.name = text
        body = {"host": {"hostname": text[:200], "machine_id_hash": "sha256:" + "0" * 64, "addresses": [text[:40]]},
                "labels": {text[:40]: text[:100]},
                "agent": {"version": text[:40], "os": text[:40], "os_version": text[:40], "arch": text[:20]}}
        token = wire.Token(rig.plane.new_token())
        liar.api.call("POST", "/agent/v1/enroll", json.dumps(liar.enroll_body(token, **body)).encode(),
                      {"Idempotency-Key": secrets.token_hex(8), "User-Agent": "x"})
        job = rig.plane.act("scan", agent_id=rig.evil.id)
        fence = rig.evil.lease(job)["fence"]
        events = {"fence": fence, "attempt": 1, "events": [
            {"seq": 1, "ts": papers.stamp(), "kind": "log", "level": "info", "msg": text, "src": text},
            {"seq": 2, "ts": papers.stamp(), "kind": "phase", "phase": text[:30]}]}
        done = report(rig) | {"fence": fence, "outcome": "failed", "steps": [{"name": text, "status": text, "ms": 1, "detail": text}],
                              "error": {"code": text, "message": text, "retryable": False, "step": text, "hint": text}}
        for path, what in (("events", events), ("result", done)):
            rig.evil.api.call("POST", f"/agent/v1/jobs/{job}/{path}", json.dumps(what).encode(), {"Idempotency-Key": secrets.token_hex(8)})
        return shown(rig, job)
    return attack


def shown(rig, job):
    """What the operator's API and command line make of it."""
    said = []
    for path in ("/api/v1/agents", "/api/v1/jobs", f"/api/v1/jobs/{job}", "/api/v1/certificates"):
        answer = rig.plane.op.get(path)
        said += [f"{path}: {what}" for what in status(answer, 200)]
        if not answer.headers["Content-Type"].startswith("application/json") or answer.headers["X-Content-Type-Options"] != "nosniff":
            said.append(f"{path}: a browser may take it for a page: {answer.headers['Content-Type']}")
    for words in (["agents", "list"], ["jobs", "list"], ["jobs", "show", job]):
        text = rig.plane.run(*words, check=False).stdout
        if steering(text):
            said.append(f"{' '.join(words[:2])} writes {steering(text)}")
    return said


def page(rig):
    """The dashboard's page may run its own scripts only."""
    answer = rig.plane.op.send("GET", "/").getresponse()
    policy = answer.headers.get("Content-Security-Policy", "")
    bad = [word for word in ("unsafe-inline", "unsafe-eval", "*") if word in policy.split("style-src")[0]]
    return ([] if "default-src" in policy or "script-src" in policy else ["no Content-Security-Policy"]) + [f"it allows {w}" for w in bad]


def files_of_the_dashboard(rig):
    said = []
    for path in ("/../../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/ui/../../etc/passwd",
                 "//etc/passwd", "/app.js%00.html", "/operator.token", "/../operator.token"):
        answer = rig.plane.op.send("GET", path).getresponse()
        text = answer.read()
        if answer.status == 200 and (b"root:" in text or len(text) == 0 or b"<" not in text[:200] and b"function" not in text):
            said.append(f"{path}: {text[:80]!r}")
    return said


def without_a_token(rig):
    from harness.wire import Api
    said = []
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer " + "A" * 43}, {"Authorization": "Basic YTpi"},
                    {"Cookie": "token=x"}):
        answer = Api(rig.plane.operator_url, headers=headers).get("/api/v1/agents")
        said += status(answer, 401, 403)
    return said


def table():
    found = {
        "other/lease": of_another("POST", "/agent/v1/jobs/{job}/lease", lambda r: {"boot_id": "x", "resume": True, "offline_until": None}),
        "other/result": of_another("POST", "/agent/v1/jobs/{job}/result", report),
        "other/events": of_another("POST", "/agent/v1/jobs/{job}/events", lambda r: {"fence": r.fence, "attempt": 1, "events": []}),
        "other/csr": of_another("POST", "/agent/v1/jobs/{job}/csr", lambda r: {"fence": r.fence, "attempt": 1}),
        "other/job": of_another("GET", "/agent/v1/jobs/{job}"),
        "other/order": of_another("GET", "/agent/v1/orders/{order}"),
        "other/challenges": of_another("GET", "/agent/v1/orders/{order}/dcv"),
        "other/ready": of_another("POST", "/agent/v1/orders/{order}/dcv/ready",
                                  lambda r: {"fence": r.fence, "written": [], "self_check": []}),
        "other/certificate": of_another("GET", "/agent/v1/certificates/{cert}"),
        "certificate/self-signed": with_certificate(lambda r, k: named(r, k, (None, k, papers.common_name(r.honest.id)))),
        "certificate/of-another-ca": with_certificate(lambda r, k: named(r, k, papers.Authority("control plane"))),
        "certificate/issued-by-an-agent": with_certificate(lambda r, k: named(r, k, (None, r.evil.key, papers.common_name(r.evil.id)))),
        "ids/wrong": wrong_ids,
        "size/poll": oversize("POST", "/agent/v1/poll?wait=0", 1 << 20),
        "size/events": oversize("POST", "/agent/v1/jobs/{job}/events", 8 << 20, "events"),
        "size/csr": oversize("POST", "/agent/v1/jobs/{job}/csr", 1 << 20, "csr"),
        "size/result": oversize("POST", "/agent/v1/jobs/{job}/result", 16 << 20, "effects"),
        "size/inventory": oversize("PUT", "/agent/v1/inventory", 64 << 20, "services"),
        "body/json": bodies, "flood/silent-connections": flood, "flood/requests": storm,
        "replay/result": replayed_result, "replay/stale-fence": stale_fence, "replay/same-key-other-body": same_key_other_body,
        "identity/generation-of-the-future": from_the_future, "identity/a-ca-by-enrolment": ca_by_enrolment,
        "shown/html": tell(HTML), "shown/sql": tell(SQL), "shown/escape-sequences": tell(ESCAPES), "shown/long": tell("\u20ac" * 3000),
        "dashboard/page": page, "dashboard/files": files_of_the_dashboard, "operator/without-a-token": without_a_token,
    }
    found |= {f"http/{name}": (lambda rig, text=text: [f"it answers {got[:60]!r}" for got in [rig.raw(text)] if b" 500 " in got[:20]])
              for name, text in RAW.items()}
    return found


def peak_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0])


def afterwards(rig, log_at):
    """It lives, serves the honest agent, what was there is there, and its log is lines."""
    if not rig.plane.process.is_running():
        return [f"the control plane ended: {rig.plane.log()[-300:]}"]
    said = [f"the honest agent is not served: {what}" for what in status(rig.honest.poll(), 200, 204)]
    if rig.plane.op.get(f"/api/v1/jobs/{rig.job}")["agent_id"] != rig.honest.id:
        said.append("the honest agent's job is another's")
    text = rig.plane.log()[log_at:]
    return said + ([f"its log holds {steering(text)}"] if steering(text) else [])


def run(work, _programs, report_to):
    rig = Rig(work)
    for name, attack in table().items():
        log_at = len(rig.plane.log())
        report_to.tried("agent")
        try:
            said = attack(rig) + afterwards(rig, log_at)
        except (AssertionError, KeyError, TypeError) as error:
            said = [f"{type(error).__name__}: {error}"[:400]]
        for what in said[:5]:
            report_to.wrong(f"agent/{name}", what)
    report_to.peak("controlplane_peak_rss_kib", peak_kib(rig.plane.process.pid))
    if peak_kib(rig.plane.process.pid) > PEAK_MAX_KIB:
        report_to.wrong("agent/memory", f"{peak_kib(rig.plane.process.pid)} KiB, at most {PEAK_MAX_KIB} are allowed")
    rig.plane.stop()

