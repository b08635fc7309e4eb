# SPDX-License-Identifier: Apache-2.0
"""The control plane's part: identifiers, signed jobs, a trust document. The taken-over network half has none of
these keys; the jobs made here are those an honest control plane gave it before."""
import base64
import hashlib
import json
import secrets
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from harness import pki

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TENANT = "acme"
KID = "jobs-1"
DAY = 86400


def new_id(prefix):
    return prefix + "_01" + "".join(secrets.choice(CROCKFORD) for _ in range(24))


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def at(seconds=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def es256(key, message):
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def jws(key, header, payload):
    """General serialisation. header: an object or bytes; payload: bytes."""
    protected = b64(header if isinstance(header, bytes) else json.dumps(header).encode())
    return {"payload": b64(payload),
            "signatures": [{"protected": protected, "signature": b64(es256(key, f"{protected}.{b64(payload)}".encode()))}]}


class Plane:
    """Its keys, and what it signs for one agent."""

    def __init__(self):
        self.ca = pki.make_cert(["CA of the control plane"], is_ca=True)
        self.jobs_key = pki.make_key()
        self.agent = new_id("agt")
        self.seq = {}
        self.header = {"alg": "ES256", "kid": KID, "typ": "clm-job+jws", "crit": ["clmv"], "clmv": 1}

    def trust(self):
        """Body of trust_put."""
        point = self.jobs_key.public_key().public_numbers()
        document = {"type": "clm-trust", "spec_version": 1, "tenant": TENANT, "agent_id": self.agent,
                    "expires_at": at(365 * DAY),
                    "keys": [{"kid": KID, "alg": "ES256", "x": b64(point.x.to_bytes(32, "big")),
                              "y": b64(point.y.to_bytes(32, "big")), "expires_at": at(365 * DAY)}],
                    "roles": {"jobs": {"threshold": 1, "kids": [KID]}}}
        spki = self.ca[1].public_key().public_bytes(serialization.Encoding.DER,
                                                    serialization.PublicFormat.SubjectPublicKeyInfo)
        pin = "sha256/" + base64.b64encode(hashlib.sha256(spki).digest()).decode()
        return {"pins": [pin], "agent_id": self.agent, "tenant": TENANT, "ca_pem": pki.cert_pem(self.ca[0]).decode(),
                "trust": jws(self.ca[1], {"alg": "ES256", "kid": "ca", "typ": "clm-trust+jws"},
                             json.dumps(document).encode())}

    def payload(self, kind, target, spec, **changes):
        """An envelope of protocol.md 8.1; a change to None leaves the member out."""
        self.seq[target] = self.seq.get(target, 0) + 1
        job = {"spec_version": 1, "job_id": new_id("job"), "tenant": TENANT, "agent_id": self.agent, "type": kind,
               "target": target, "target_seq": self.seq[target], "issued_at": at(-10), "not_before": at(-10),
               "expires_at": at(3600), "timeout_s": 900, "spec": spec}
        job.update(changes)
        return {name: value for name, value in job.items() if value is not None}

    def sign(self, payload, key=None, header=None):
        """Body of job_accept. payload: an object or bytes."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return {"jws": jws(key or self.jobs_key, header or self.header, data)}
