# SPDX-License-Identifier: Apache-2.0
"""Both APIs spoken byte by byte, by other libraries than the server's. Every answer is checked against
docs/openapi.yaml, and so is every request that the server accepted."""
import base64
import hashlib
import hmac
import http.client
import json
import secrets
import ssl
import time
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from . import openapi
from .plane import ControlPlane

CURVES = {"ec-p256": ec.SECP256R1, "ec-p384": ec.SECP384R1}


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Answer:
    def __init__(self, response, raw):
        self.status = response.status
        self.headers = response.headers
        self.raw = raw
        kind = response.headers.get("Content-Type", "")
        self.json = json.loads(raw) if "json" in kind and raw else None

    def __getitem__(self, key):
        return self.json[key]

    def __repr__(self):
        return f"<{self.status} {self.raw[:600]!r}>"

    @property
    def code(self):
        return self.json.get("code")


def new_key(kind="ec-p256"):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
    return ec.generate_private_key(CURVES[kind]())


def make_csr(key, names=(), cn="host", digest=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else []))
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def jwk(key):
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")),
            "y": b64(point.y.to_bytes(32, "big"))}


def es256(key, message):
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify_es256(public_key, message, signature):
    assert len(signature) == 64
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    public_key.verify(der, message, ec.ECDSA(hashes.SHA256()))


def public_from_jwk(fields):
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(unb64(fields["x"]), "big"),
                                            int.from_bytes(unb64(fields["y"]), "big"), ec.SECP256R1())
    return numbers.public_key()


def read_jws(jws, find_key):
    """Protected header and payload of a general JWS with one signature, verified."""
    signature = jws["signatures"][0]
    header = json.loads(unb64(signature["protected"]))
    message = f"{signature['protected']}.{jws['payload']}".encode()
    verify_es256(find_key(header["kid"]), message, unb64(signature["signature"]))
    return header, json.loads(unb64(jws["payload"]))


class Api:
    """One base URL. check: answers are held against the document."""

    def __init__(self, url, context=None, headers=None):
        self.url = url
        self.host = url.split("//")[1]
        self.context = context
        self.headers = headers or {}

    def connect(self, timeout=70):
        if self.context:
            return http.client.HTTPSConnection(self.host, timeout=timeout, context=self.context)
        return http.client.HTTPConnection(self.host, timeout=timeout)

    def send(self, method, path, body=None, headers=None):
        """Sends and returns the open connection: for requests that are held."""
        return self.request(self.connect(), method, path, body, headers)

    def request(self, connection, method, path, body, headers):
        """Sends on an open connection, and returns it."""
        all_headers = {**self.headers, **(headers or {})}
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
        if data is not None:
            all_headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=data,
                           headers={k: v for k, v in all_headers.items() if v is not None})
        return connection

    def receive(self, connection, method, path, body=None):
        response = connection.getresponse()
        answer = Answer(response, response.read())
        connection.close()
        return self.check(answer, method, path, body)

    @staticmethod
    def check(answer, method, path, body):
        assert answer.headers["Date"], path
        assert answer.headers["Clm-Request-Id"].startswith("req_"), path
        openapi.check_answer(method, path, answer.status, answer.headers.get("Content-Type", ""),
                             answer.json if answer.json is not None else answer.raw)
        if answer.status < 300 and not isinstance(body, bytes):
            openapi.check_request(method, path, body)
        return answer

    def call(self, method, path, body=None, headers=None):
        """body: an object, bytes, or a function that makes one: for each attempt, where there are several."""
        body = body() if callable(body) else body
        return self.receive(self.send(method, path, body, headers), method, path, body)

    def get(self, path, **headers):
        return self.call("GET", path, headers=_header_names(headers))

    def put(self, path, body, **headers):
        return self.call("PUT", path, body, headers=_header_names(headers))

    def post(self, path, body=None, key=None, **headers):
        """key: Idempotency-Key; a new one if not given."""
        named = _header_names(headers)
        named.setdefault("Idempotency-Key", key or str(uuid.uuid4()))
        return self.call("POST", path, {} if body is None else body, headers=named)


def _header_names(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Token:
    def __init__(self, text):
        self.fields = json.loads(unb64(text.split(".")[1]))
        self.id = self.fields["id"]
        self.secret = unb64(self.fields["s"])

    def key(self):
        return HKDF(hashes.SHA256(), 32, b"\0" * 32, b"clm-enroll-v1").derive(self.secret)

    def mac(self, message):
        return b64(hmac.new(self.key(), message.encode(), "sha256").digest())


def server_context(ca_pem, cert=None, version=None):
    context = ssl.create_default_context(cadata=ca_pem)
    if cert:
        context.load_cert_chain(*cert)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class WireAgent:
    """An agent that does what a test says and nothing by itself."""

    def __init__(self, plane, work, name="web-1"):
        self.plane = plane
        self.make_api = getattr(plane, "make_api", Api)  # some control planes have requests of their own kind
        self.work = work
        self.name = name
        self.device = new_key()
        self.key = new_key()
        self.csr = make_csr(self.key)
        self.boot_id = "01J9ZK5D0B2M4N6P8Q0R2S4T6V"
        self.seq = 0
        self.cursor = 0
        self.generation = 0
        self.api = self.anonymous(plane.ca())

    def anonymous(self, ca_pem):
        return self.make_api(self.plane.agent_url, server_context(ca_pem), {"Clm-Protocol": "1"})

    def use(self, certificate, key=None, version=None):
        """Speaks with this client certificate from now on."""
        stem = self.work / f"{self.name}-{secrets.token_hex(4)}"
        cert_path, key_path = stem.with_suffix(".pem"), stem.with_suffix(".key")
        cert_path.write_text(certificate)
        key_path.write_bytes(pem_key(key or self.key))
        context = server_context(self.plane.ca(), (cert_path, key_path), version)
        self.api = self.make_api(self.plane.agent_url, context, {"Clm-Protocol": "1", "Clm-Boot": self.boot_id})

    def enroll_body(self, token, **changes):
        nonce = changes.get("nonce") or self.api.get("/agent/v1/enroll/nonce")["nonce"]
        digest = hashlib.sha256(self.csr).hexdigest()
        body = {
            "token_id": token.id, "nonce": nonce, "csr": b64(self.csr),
            "proof": token.mac(f"clm-enroll-v1\n{token.id}\n{nonce}\n{digest}\n"),
            "device_key": jwk(self.device),
            "device_key_proof": b64(es256(self.device, f"clm-device-v1\n{nonce}\n{digest}\n".encode())),
            "agent": {"version": "0.1.0", "os": "linux", "os_version": "Debian 12", "arch": "x86_64"},
            "host": {"hostname": self.name, "machine_id_hash": "sha256:" + hashlib.sha256(self.name.encode()).hexdigest(),
                     "addresses": ["10.2.3.17"]},
            "capabilities": ["job.order/1"], "labels": {"env": "test"},
            "policy_digest": "sha256:" + "5f" * 32, "boot_id": self.boot_id,
        }
        body.update(changes)
        return body

    def enroll(self, token_text, check=True, key=None, **changes):
        answer = self.api.post("/agent/v1/enroll", lambda: self.enroll_body(Token(token_text), **changes), key=key)
        if check:
            assert answer.status == 201, answer
        if answer.status == 201:
            self.admit(answer)
        return answer

    def admit(self, answer):
        self.id = answer["agent_id"]
        self.generation = answer["generation"]
        self.certificate = answer["certificate"]
        self.trust = answer["trust"]
        self.use(self.certificate)

    def jobs_key(self, kid):
        ca = x509.load_pem_x509_certificate(self.plane.ca().encode())
        _, trust = read_jws(self.trust, lambda _: ca.public_key())
        assert kid in trust["roles"]["jobs"]["kids"]
        return public_from_jwk(next(k for k in trust["keys"] if k["kid"] == kid))

    def poll_body(self, **changes):
        self.seq += 1
        body = {"v": 1, "boot_id": self.boot_id, "seq": self.seq, "cursor": self.cursor, "config_etag": "",
                "trust_version": 1, "slots_free": 2, "leases": [], "waiting": [],
                "health": {"state": "ok", "warnings": []}}
        body.update(changes)
        return body

    def poll(self, wait=0, **changes):
        answer = self.api.call("POST", f"/agent/v1/poll?wait={wait}", self.poll_body(**changes))
        if answer.status == 200:
            self.cursor = answer["cursor"]
        return answer

    def offers(self, **changes):
        answer = self.poll(**changes)
        return answer["offers"] if answer.status == 200 else []

    def lease(self, job_id, key=None, **changes):
        body = {"boot_id": self.boot_id, "resume": False, "expect_attempt": None, "offline_until": None}
        body.update(changes)
        if body["expect_attempt"] is None:
            del body["expect_attempt"]
        return self.api.post(f"/agent/v1/jobs/{job_id}/lease", body, key=key)

    def events(self, job_id, fence, events, attempt=1):
        return self.api.post(f"/agent/v1/jobs/{job_id}/events",
                             {"fence": fence, "attempt": attempt, "events": events})

    def result(self, job_id, fence, outcome="succeeded", attempt=1, key=None, **more):
        body = {"fence": fence, "attempt": attempt, "outcome": outcome, "started_at": "2026-11-21T01:52:27Z",
                "finished_at": "2026-11-21T01:52:31Z", "duration_ms": 4000, "steps": [], "effects": {},
                "error": None}
        body.update(more)
        return self.api.post(f"/agent/v1/jobs/{job_id}/result", body, key=key)

    def upload_csr(self, job_id, fence, key, names, key_ref="key_1", idem=None, **changes):
        csr = make_csr(key, names, names[0])
        body = {"fence": fence, "attempt": 1, "csr": b64(csr), "csr_sha256": hashlib.sha256(csr).hexdigest(),
                "key": {"type": "ec-p256", "storage": "file", "exportable": False, "key_ref": key_ref}, "pop": None}
        body.update(changes)
        return self.api.post(f"/agent/v1/jobs/{job_id}/csr", body, key=idem)

    def recovery_proof(self, nonce, csr, generation=None, key=None, **changes):
        header = b64(json.dumps({"alg": "ES256", "typ": "clm-recover+jws"}).encode())
        claims = {"agent_id": self.id, "generation": self.generation if generation is None else generation,
                  "nonce": nonce, "csr_sha256": hashlib.sha256(csr).hexdigest(),
                  "aud": self.plane.agent_url, "iat": int(time.time())}
        claims.update(changes)
        payload = b64(json.dumps(claims).encode())
        signature = b64(es256(key or self.device, f"{header}.{payload}".encode()))
        return {"protected": header, "payload": payload, "signature": signature}


class WirePlane(ControlPlane):
    """A control plane with settings of its own, and its operator."""

    make_api = Api

    def __init__(self, root, connectors=None, default=None, **settings):
        super().__init__(root)
        config = {"connectors": connectors or [{"name": "builtin", "type": "builtin", "dcv": "none"}], **settings}
        config["default_connector"] = default or config["connectors"][0]["name"]
        self.config.write_text(json.dumps(config))

    @property
    def op(self):
        token = (self.data / "operator.token").read_text().strip()
        return self.make_api(self.operator_url, headers={"Authorization": f"Bearer {token}"})

    def new_token(self, **settings):
        answer = self.op.post("/api/v1/tokens", settings)
        assert answer.status == 201, answer
        return answer["token"]

    def log(self):
        return self.process.text()

    def add(self, agent, target="nginx:www.example.com", names=("www.example.com",), **more):
        answer = self.op.post("/api/v1/certificates",
                              {"agent_id": agent.id, "target": target, "names": list(names), **more})
        assert answer.status == 201, answer
        return answer["id"]

    def act(self, kind, **more):
        answer = self.op.post("/api/v1/actions", {"type": kind, **more})
        assert answer.status == 202, answer
        return answer["job_id"]

    def state(self, job_id):
        return self.op.get(f"/api/v1/jobs/{job_id}")["state"]
