# SPDX-License-Identifier: Apache-2.0
"""The control plane under the attacker's hand: it plays its part well up to the step that is attacked.

Its keys are the real ones, so that what it signs is valid. A trap is a function (conn, request, plane)
armed for a step; it returns the bytes of the answer, or None when it has sent what it wanted and the
connection is to be closed. A greeting is a function (raw socket, plane) that takes a TCP connection
instead of the TLS handshake."""
import base64
import contextlib
import hashlib
import itertools
import json
import re
import secrets
import socket
import ssl
import tempfile
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import papers
import wire

STEPS = [
    ("cacerts", r"GET /agent/v1/cacerts"),
    ("nonce", r"GET /agent/v1/enroll/nonce"),
    ("approval", r"GET /agent/v1/enroll/"),
    ("enroll", r"POST /agent/v1/enroll"),
    ("poll", r"POST /agent/v1/poll"),
    ("renew", r"POST /agent/v1/identity/renew"),
    ("recover", r"POST /agent/v1/recover"),
    ("inventory", r"PUT /agent/v1/inventory"),
    ("lease", r"POST /agent/v1/jobs/(\w+)/lease"),
    ("events", r"POST /agent/v1/jobs/(\w+)/events"),
    ("csr", r"POST /agent/v1/jobs/(\w+)/csr"),
    ("result", r"POST /agent/v1/jobs/(\w+)/result"),
    ("fetch", r"GET /agent/v1/jobs/(\w+)"),
    ("dcv", r"GET /agent/v1/orders/(\w+)/dcv"),
    ("ready", r"POST /agent/v1/orders/(\w+)/dcv/ready"),
    ("order", r"GET /agent/v1/orders/(\w+)"),
    ("certificate", r"GET /agent/v1/certificates/(\w+)"),
]
KID = "jobs-1"
OFFERS_MAX = 16
QUIET_S = 8  # a request for a step nobody attacks is waited for no longer than this


class Job:
    """A job as the plane sees it."""

    def __init__(self, job_id, target, kind="order", jws=None, traps=None):
        self.id = job_id
        self.target = target
        self.kind = kind
        self.jws = jws
        self.traps = traps or {}
        self.offer = {}  # members of the offer that are to be others
        self.csr = None
        self.chain = None  # PEM, once there is a request
        self.dcv = []  # challenges
        self.state = None  # of the order; None: as far as it is
        self.result = None
        self.is_over = False
        self.is_inline = True  # the offer holds the job itself
        self.fence = 0
        self.leases = 0  # requests for one
        self.reports = 0


class Plane:
    def __init__(self, address="127.0.0.1", port=0, name=None):
        self.ca = papers.Authority("control plane")
        self.web_ca = papers.Authority("web issuer", issuer=papers.Authority("web root"))
        self.jobs_key = papers.new_key()
        self.tenant = "acme"
        self.agent_id = papers.ident("agt", secrets.randbits(100))
        self.numbers = itertools.count(secrets.randbits(60) * 2**20)
        self.secret = secrets.token_bytes(32)
        self.traps = {}
        self.greeting = None
        self.accepted = 0
        self.seen = []  # (step, request)
        self.jobs = {}
        self.cursor = 0
        self.cancels = []
        self.news = threading.Condition()
        self.address = address
        self.server_names = [name or address]
        self.server_pair = self._server_pair(self.ca)
        self.context = self.make_context(*self.server_pair)
        self.socks = set()
        self.listener = socket.create_server((address, port), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # ---- TLS ----

    def _server_pair(self, authority, **changes):
        key = papers.new_key()
        cert = papers.issue(key.public_key(), changes.pop("names", self.server_names), authority, **changes)
        return papers.pem(cert), papers.pem(key)

    def make_context(self, cert_pem, key_pem, **settings):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(key_pem + cert_pem)
            file.flush()
            context.load_cert_chain(file.name)
        for name, value in settings.items():
            setattr(context, name, value)
        return context

    def other_context(self, authority=None, **changes):
        """A TLS context like ours, but for what is changed in its certificate."""
        return self.make_context(*self._server_pair(authority or self.ca, **changes))

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        self.accepted += 1
        self.socks.add(sock)
        tls = sock
        with contextlib.suppress(OSError, wire.Gone, ValueError):
            greeting = self.greeting
            if greeting:
                tls = greeting(sock, self)
            else:
                tls = self.context.wrap_socket(sock, server_side=True)
            if tls is not None:
                self.socks.add(tls)
                self._talk(wire.Conn(tls))
        for one in (tls, sock):
            self.socks.discard(one)
            if one is not None:
                with contextlib.suppress(OSError):
                    one.close()

    def drop_connections(self):
        """Whoever is connected has to come again."""
        for sock in list(self.socks):
            with contextlib.suppress(OSError), socket.fromfd(sock.fileno(), sock.family, sock.type) as twin:
                twin.shutdown(socket.SHUT_RDWR)

    # ---- HTTP ----

    def _talk(self, conn):
        while True:
            request = conn.read()
            step, job = self._route(request)
            self.seen.append((step, request))
            if step == "lease" and job:
                job.leases += 1
            trap = (job.traps.get(step) if job else None) or self.traps.get(step)
            data = trap(conn, request, self) if trap else self.normal(step, job, request)
            if data is None:
                return
            conn.send(data)
            if trap is None and step == "result":
                self._end(job, request)

    def _route(self, request):
        line = f"{request.method} {request.path}"
        for step, pattern in STEPS:
            found = re.match(pattern, line)
            if found:
                suffix = found.group(1).split("_")[-1] if found.groups() else ""
                return step, next((job for key, job in self.jobs.items() if suffix and key.endswith(suffix)), None)
        return "other", None

    def normal(self, step, job, request):
        """What an honest control plane answers."""
        handler = getattr(self, f"_on_{step}", None)
        if handler is None:
            return wire.problem(404, "job-unknown", "there is no such thing here")
        if step in ("lease", "events", "csr", "result", "fetch", "dcv", "ready", "order", "certificate"):
            return handler(job, request) if job else wire.problem(404, "job-unknown", "no such job")
        return handler(request)

    # ---- enrolment ----

    def token(self, port=None, pin=None, **changes):
        spki = self.ca.cert.public_key().public_bytes(serialization.Encoding.DER,
                                                      serialization.PublicFormat.SubjectPublicKeyInfo)
        fields = {"v": 1, "u": [f"https://{self.server_names[0]}:{port or self.port}"],
                  "pin": [pin or "sha256/" + base64.b64encode(hashlib.sha256(spki).digest()).decode()],
                  "id": papers.ident("tok", 7), "s": papers.b64(self.secret), "exp": int(time.time()) + 3600, **changes}
        return "clm1." + papers.b64(json.dumps(fields).encode())

    def _on_cacerts(self, _):
        return wire.answer(self.ca.pem, kind=wire.PEM)

    def _on_nonce(self, _):
        return wire.answer({"nonce": secrets.token_urlsafe(16), "expires_s": 300})

    def trust_document(self, **changes):
        return {"type": "clm-trust", "spec_version": 1, "tenant": self.tenant, "version": 1,
                "issued_at": papers.stamp(), "expires_at": papers.stamp(86400 * 30), "agent_id": self.agent_id,
                "server_cas": [], "roles": {"jobs": {"threshold": 1, "kids": [KID]}},
                "keys": [{"kid": KID, "alg": "ES256", **{k: v for k, v in papers.jwk(self.jobs_key).items() if k in "xy"},
                          "expires_at": papers.stamp(86400 * 30)}], **changes}

    def trust(self, **changes):
        return papers.signed(self.ca.key, papers.header_of("ca", "clm-trust+jws"), self.trust_document(**changes))

    def identity(self, request, **changes):
        """The client certificate for the request of an enrolment or a renewal."""
        csr = x509.load_der_x509_csr(papers.unb64(request.json["csr"]))
        settings = {"names": [f"clm://{self.tenant}/agent/{self.agent_id}"], "issuer": self.ca, "name": self.agent_id,
                    "days": 14, "eku": (papers.CLIENT,), "public_key": csr.public_key(), **changes}
        return papers.pem(papers.issue(settings.pop("public_key"), settings.pop("names"), settings.pop("issuer"),
                                       **settings)) + self.ca.pem

    def admission(self, request, **changes):
        return {"agent_id": self.agent_id, "status": "active", "generation": 1,
                "certificate": self.identity(request) if "certificate" not in changes else "",
                "not_after": papers.stamp(86400 * 14), "renew_after": papers.stamp(86400 * 7), "trust": self.trust(),
                "config_etag": "", "poll": {"next_poll_s": 0, "wait_max_s": 50, "reconnect_spread_s": 0},
                "server_time": papers.stamp(), **changes}

    def _on_enroll(self, request):
        return wire.answer(self.admission(request), 201)

    # ---- work ----

    def envelope(self, job, spec, **changes):
        return {"spec_version": 1, "job_id": job.id, "tenant": self.tenant, "agent_id": self.agent_id, "type": job.kind,
                "target": job.target, "target_seq": next(self.numbers) % 2**52, "priority": 50, "issued_at": papers.stamp(-60),
                "not_before": papers.stamp(-60), "expires_at": papers.stamp(3600), "timeout_s": 60, "max_attempts": 1,
                "retry": {"base_s": 1, "cap_s": 2}, "on_failure": "rollback", "requested_by": "user:x", "spec": spec,
                **changes}

    def sign(self, envelope, **header):
        return papers.signed(self.jobs_key, papers.header_of(header.pop("kid", KID), "clm-job+jws", **header), envelope)

    def new_job(self, target, kind="order", spec=None, traps=None, **changes):
        """A job that is signed as it should be; changes are of the envelope."""
        job = Job(papers.ident("job", next(self.numbers)), target, kind, traps=traps)
        job.jws = self.sign(self.envelope(job, spec or {}, **changes))
        return job

    def offer(self, jobs):
        with self.news:
            for job in jobs:
                self.jobs[job.id] = job
            self.cursor += 1
            self.news.notify_all()

    def open_offers(self):
        return [{"job_id": job.id, "type": job.kind, "target": job.target, "target_seq": 1, "priority": 50, "attempt": 1,
                 "size": 1000, "sha256": "0" * 64, **({"jws": job.jws} if job.is_inline else {}), **job.offer}
                for job in self.jobs.values() if not job.is_over and job.fence == 0][:OFFERS_MAX]

    def poll_body(self, **changes):
        return {"cursor": self.cursor, "next_poll_s": 0, "wait_max_s": 50, "reconnect_spread_s": 0,
                "server_time": papers.stamp(), "leases": [], "cancels": self.cancels, "offers": self.open_offers(),
                "notices": {"inventory": "changed-only", "renew_identity": False}, **changes}

    def _on_poll(self, request):
        wait_s = int(request.path.split("wait=")[1])
        end = time.monotonic() + wait_s
        with self.news:
            while not self.open_offers() and request.json["cursor"] >= self.cursor and self.greeting is None:
                left = end - time.monotonic()
                if left <= 0:
                    return wire.answer(status=204)
                self.news.wait(min(left, 0.5))
            return wire.answer(self.poll_body())

    def _on_inventory(self, _):
        return wire.answer({"accepted": True, "digest": ""})

    def _on_fetch(self, job, _):
        return wire.answer({"jws": job.jws})

    def _on_lease(self, job, _):
        job.fence += 1
        return wire.answer({"job_id": job.id, "state": "leased", "attempt": 1, "fence": job.fence, "lease_ttl_s": 120,
                            "renew_every_s": 40, "timeout_s": 60, "server_time": papers.stamp()})

    def _on_events(self, _job, request):
        return wire.answer({"ack_seq": request.json["events"][-1]["seq"], "min_interval_s": 5})

    def _on_csr(self, job, request):
        job.csr = x509.load_der_x509_csr(papers.unb64(request.json["csr"]))
        return wire.answer({"order_id": job.id.replace("job", "ord"), "state": "created",
                            "certificate_id": job.id.replace("job", "crt")}, 202)

    def certificate(self, job, **changes):
        """A right one for the request of this job, but for what is changed."""
        names = job.csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        settings = {"names": names.get_values_for_type(x509.DNSName), "issuer": self.web_ca,
                    "public_key": job.csr.public_key(), **changes}
        return papers.pem(papers.issue(settings.pop("public_key"), settings.pop("names"), settings.pop("issuer"), **settings))

    def _on_order(self, job, _):
        state = job.state or ("dcv_pending" if job.dcv and job.reports == 0 else "issued")
        return wire.answer({"state": state, "certificate_id": job.id.replace("job", "crt")})

    def _on_dcv(self, job, _):
        return wire.answer({"order_id": job.id.replace("job", "ord"), "expires_at": papers.stamp(3600), "challenges": job.dcv})

    def _on_ready(self, job, _):
        job.reports += 1
        return wire.answer({"state": "validating"}, 202)

    def _on_certificate(self, job, _):
        chain = job.chain(job, self) if job.chain else self.certificate(job) + self.web_ca.pem
        return wire.answer(chain, kind=wire.PEM)

    def _on_result(self, _job, request):
        return wire.answer({"state": request.json["outcome"]})

    def _end(self, job, request):
        if job is None:
            return
        with self.news:
            job.result = request.json
            job.is_over = True
            self.news.notify_all()

    def wait(self, jobs, seconds=60):
        """Until all of them have come to their end; False if not in time."""
        end = time.monotonic() + seconds
        with self.news:
            while not all(job.is_over for job in jobs):
                if time.monotonic() > end:
                    return False
                self.news.wait(0.2)
        return True

    def close(self):
        self.listener.close()
        self.drop_connections()
