# SPDX-License-Identifier: Apache-2.0
"""Jobs that were never given, not to us, not now, or not for what they are used for."""
import json

from cryptography.hazmat.primitives import serialization

from harness import pki
from sign import DAY, at, b64, jws, new_id
from wire import REPLY

A = "0" * 64


def order_spec(stage, **changes):
    spec = {"certificate_id": new_id("crt"), "sans": {"dns": [stage.server.name]}, "key": {"type": "ec-p256"},
            "dcv": {"method": "http-01"}, "on_issue": "notify"}
    spec.update(changes)
    return {name: value for name, value in spec.items() if value is not None}


def order(stage, **changes):
    job = {**stage.plane.payload("order", stage.server.target, order_spec(stage)), **changes}
    return {name: value for name, value in job.items() if value is not None}


def refuse_job(problem, payload, **how):
    """payload(stage): what is signed, as it should be."""
    def case(stage):
        before = sorted((stage.state / "host/jobs").iterdir())
        stage.refused("job_accept", stage.plane.sign(payload(stage), **how), problem)
        assert sorted((stage.state / "host/jobs").iterdir()) == before, "a refused job is kept"
    return case


def envelope(problem, **changes):
    return refuse_job(problem, lambda stage: order(stage, **changes))


def spec(problem, kind="order", target=None, **changes):
    def payload(stage):
        base = order_spec(stage) if kind == "order" else {}
        body = {name: value for name, value in {**base, **changes}.items() if value is not None}
        return stage.plane.payload(kind, target or stage.server.target, body)
    return refuse_job(problem, payload)


def signature(problem, change):
    """change(stage, body): a job's body after somebody had it in his hands."""
    def case(stage):
        stage.refused("job_accept", change(stage, stage.plane.sign(order(stage))), problem)
    return case


def edit(stage, body, **fields):
    body["jws"].update(fields)
    return body


def payload_exchanged(stage, body):
    return edit(stage, body, payload=b64(json.dumps(order(stage, timeout_s=901)).encode()))


def header_exchanged(**changes):
    def change(stage, body):
        header = {**stage.plane.header, **changes}
        header = {name: value for name, value in header.items() if value is not None}
        body["jws"]["signatures"][0]["protected"] = b64(json.dumps(header).encode())
        return body
    return change


def header_signed(**changes):
    """Signed with the right key, but for something else."""
    def change(stage, _):
        header = {name: value for name, value in {**stage.plane.header, **changes}.items() if value is not None}
        return stage.plane.sign(order(stage), header=header)
    return change


def hmac_with_public_key(stage, _):
    import hashlib
    import hmac
    header = b64(json.dumps({**stage.plane.header, "alg": "HS256"}).encode())
    payload = b64(json.dumps(order(stage)).encode())
    public = stage.plane.jobs_key.public_key().public_bytes(serialization.Encoding.PEM,
                                                            serialization.PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.new(public, f"{header}.{payload}".encode(), hashlib.sha256).digest()
    return {"jws": {"payload": payload, "signatures": [{"protected": header, "signature": b64(mac)}]}}


def own_key_in_header(stage, _):
    key = pki.make_key()
    point = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}
    return {"jws": jws(key, {**stage.plane.header, "jwk": jwk}, json.dumps(order(stage)).encode())}


def in_der(stage, body):
    protected = body["jws"]["signatures"][0]["protected"]
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    der = stage.plane.jobs_key.sign(f"{protected}.{body['jws']['payload']}".encode(), ec.ECDSA(hashes.SHA256()))
    body["jws"]["signatures"][0]["signature"] = b64(der)
    return body


def psychic(stage, body):
    """r = s = 0 verified everything in one well-known implementation."""
    body["jws"]["signatures"][0]["signature"] = b64(b"\0" * 64)
    return body


def by_the_ca(stage, _):
    return stage.plane.sign(order(stage), key=stage.plane.ca[1])


def many_signatures(stage, body):
    return edit(stage, body, signatures=body["jws"]["signatures"] * 9)


SIGNATURES = {
    "none": lambda s, b: edit(s, b, signatures=[]), "not a list": lambda s, b: edit(s, b, signatures={}),
    "no payload": lambda s, b: {"jws": {"signatures": b["jws"]["signatures"]}}, "no jws": lambda s, b: {},
    "flattened": lambda s, b: {"jws": {"payload": b["jws"]["payload"], **b["jws"]["signatures"][0]}},
    "an empty object": lambda s, b: {"jws": {}}, "another payload": payload_exchanged, "zeros": psychic, "as DER": in_der,
    "of an unknown key": lambda s, b: s.plane.sign(order(s), key=pki.make_key()), "of the CA, not for jobs": by_the_ca,
    "ten of them": many_signatures, "key in the header": own_key_in_header, "HMAC with the public key": hmac_with_public_key,
    "padding": lambda s, b: edit(s, b, payload=b["jws"]["payload"] + "=="),
    "standard Base64": lambda s, b: edit(s, b, payload=b["jws"]["payload"][:-4] + "+/+/"),
    "line feed in it": lambda s, b: edit(s, b, payload=b["jws"]["payload"] + "\n"),
    "cut": lambda s, b: edit(s, b, payload=b["jws"]["payload"][:-7]),
    **{f"header {name}={value!r} exchanged": header_exchanged(**{name: value}) for name, value in (
        ("alg", "none"), ("alg", "RS256"), ("kid", "ca"), ("kid", "../../x"), ("kid", ""), ("typ", "clm-trust+jws"))},
    **{f"header {name}={value!r} signed": header_signed(**{name: value}) for name, value in (
        ("alg", "none"), ("alg", "ES384"), ("alg", None), ("kid", "jobs-2"), ("kid", None), ("kid", "k" * 300),
        ("typ", None), ("typ", "clm-trust+jws"), ("typ", "JWT"), ("crit", None), ("crit", ["clmv", "x"]), ("crit", []),
        ("clmv", 2), ("clmv", None))},
}

ENVELOPES = {
    "expired": ("E_EXPIRED", {"issued_at": at(-7200), "not_before": at(-7200), "expires_at": at(-3600)}),
    "not yet": ("E_EXPIRED", {"not_before": at(3000)}), "a life of a year": ("E_SPEC", {"expires_at": at(365 * DAY)}),
    "ends before it begins": ("E_SPEC", {"expires_at": at(-100)}), "time of words": ("E_SPEC", {"expires_at": "tomorrow"}),
    "for another agent": ("E_AGENT", {"agent_id": new_id("agt")}), "of another tenant": ("E_AGENT", {"tenant": "other"}),
    "no agent": ("E_SPEC", {"agent_id": None}), "version 2": ("E_SPEC", {"spec_version": 2}), "no version": ("E_SPEC", {"spec_version": None}),
    "a member more": ("E_SPEC", {"run": "/bin/sh"}), "an unknown type": ("E_SPEC", {"type": "exec"}),
    "a type that policy does not list": ("E_POLICY", {"type": "configure"}), "revoke": ("E_POLICY", {"type": "revoke"}),
    "a job id with a path": ("E_SPEC", {"job_id": "job_../../../../etc/cron.d/x"}), "a job id of an order": ("E_SPEC", {"job_id": new_id("ord")}),
    "sequence 0 again": ("E_REPLAY|E_SPEC", {"target_seq": 0}), "sequence below 0": ("E_SPEC", {"target_seq": -1}),
    "sequence of words": ("E_SPEC", {"target_seq": "1"}), "no time to run": ("E_SPEC", {"timeout_s": 0}),
    "attempts without end": ("E_SPEC", {"max_attempts": 1000000}), "a window that is a path": ("E_SPEC", {"window_id": "../x"}),
    "a target with a line more": ("E_SPEC", {"target": "nginx:a\nb"}),
    "a target denied here": ("E_POLICY", {"target": "nginx:intranet.clmbot.test"}), "a kind of target not allowed": ("E_POLICY", {"target": "tomcat:8443"}),
    "a target of files": ("E_POLICY", {"target": "file:passwd"}), "no target": ("E_SPEC", {"target": ""}),
    "depends on a path": ("E_SPEC", {"depends_on": ["../x"]}), "a recipe that is a path": ("E_SPEC", {"recipe": {"name": "../x", "version": 1, "sha256": A}}),
}

SPECS = {
    "a name of others": ("E_NAME_POLICY|E_POLICY", {"sans": {"dns": ["bank.example.org"]}}),
    "the name above": ("E_NAME_POLICY|E_POLICY", {"sans": {"dns": ["clmbot.test"]}}),
    "a wildcard": ("E_NAME_POLICY|E_POLICY", {"sans": {"dns": ["*.clmbot.test"]}}),
    "an address": ("E_NAME_POLICY|E_POLICY", {"sans": {"ip": ["127.0.0.1"]}}),
    "a mail address": ("E_NAME_POLICY|E_POLICY", {"sans": {"dns": ["www.clmbot.test"], "email": ["root@clmbot.test"]}}),
    "a URI": ("E_NAME_POLICY|E_POLICY|E_SPEC", {"sans": {"dns": ["www.clmbot.test"], "uri": ["spiffe://x/y"]}}),
    "1,000 names": ("E_SPEC", {"sans": {"dns": [f"n{i}.clmbot.test" for i in range(1000)]}}),
    "a name with a NUL": ("E_SPEC", {"sans": {"dns": ["www.clmbot.test\x01.evil.org"]}}),
    "no names": ("E_SPEC", {"sans": {}}), "names of another kind": ("E_SPEC", {"sans": {"other": ["x"]}}),
    "a weak key": ("E_SPEC", {"key": {"type": "rsa-1024"}}), "a key not allowed here": ("E_POLICY", {"key": {"type": "rsa-2048"}}),
    "a key of others": ("E_SPEC|E_POLICY", {"key": {"type": "ec-p256", "reuse": True, "key_ref": new_id("key")}}),
    "a key that is a path": ("E_SPEC", {"key": {"type": "ec-p256", "key_ref": "key_../../bundles"}}),
    "a hook": ("E_SPEC", {"hooks": {"pre": "id"}}), "a command": ("E_SPEC", {"command": ["id"]}),
    "a web root not declared": ("E_POLICY", {"dcv": {"method": "http-01", "webroot_ref": "etc"}}),
    "a web root that is a path": ("E_SPEC", {"dcv": {"method": "http-01", "webroot_ref": "../../etc"}}),
    "an absolute web root": ("E_SPEC", {"dcv": {"method": "http-01", "webroot_ref": "/etc"}}),
    "a purpose not allowed": ("E_POLICY", {"csr_ext": {"eku": ["serverAuth", "clientAuth"]}}),
    "a purpose unknown": ("E_SPEC", {"csr_ext": {"eku": ["codeSigning"]}}),
    "a template not declared": ("E_POLICY|E_SPEC", {"csr": {"mode": "template", "template": "x"}, "key": None, "sans": {"dns": ["a.clmbot.test"]}}),
    "versions without end": ("E_SPEC", {"on_issue": "deploy", "deploy": {"retain": 1000}}),
    "a certificate id that is a path": ("E_SPEC", {"certificate_id": "crt_../../x"}),
}


def replay_of_an_older_one(stage):
    older, newer = order(stage), order(stage)
    stage.granted("job_accept", stage.plane.sign(newer))
    stage.refused("job_accept", stage.plane.sign(older), "E_REPLAY")


def same_job_twice(stage):
    payload = order(stage)
    body = stage.plane.sign(payload)
    first = stage.granted("job_accept", body)
    assert stage.granted("job_accept", body) == first, "another answer"


def same_job_other_content(stage):
    payload = order(stage)
    stage.granted("job_accept", stage.plane.sign(payload))
    stage.refused("job_accept", stage.plane.sign({**payload, "timeout_s": 60}), "E_REPLAY")


def members_twice(stage):
    text = json.dumps(order(stage))
    stage.refused("job_accept", stage.plane.sign((text[:-1] + ',"timeout_s":60}').encode()), "E_SPEC")


def deploy_job(stage, **changes):
    chain = pki.cert_pem(pki.make_cert([stage.server.name], issuer=stage.issuer)[0]).decode()
    body = {"certificate_id": new_id("crt"), "sha256": A, "chain_pem": chain, "key_ref": new_id("key")}
    body.update(changes)
    return stage.accept("deploy", body)


def failed_job(op, make, says=""):
    """A job that was given, and comes to nothing."""
    def case(stage):
        kind, answer = stage.ask(op, {"job_id": make(stage)})
        outcome = answer.get("outcome") if kind == REPLY else "refused"
        assert outcome in ("rejected", "failed", "refused"), answer
        assert says in json.dumps(answer), answer
    return case


def no_such_target(stage):
    return stage.accept("recheck_pinning", {}, target="nginx:absent.clmbot.test")


def wrong_op(op, kind, spec_of):
    def case(stage):
        job = stage.accept(kind, spec_of(stage))
        answer = stage.refused(op, {"job_id": job, "chain_pem": "x", "result": {}}, "E_STATE")
        assert job in answer["message"], answer
    return case


def cases():
    for name, change in SIGNATURES.items():
        yield f"signature: {name}", signature("E_SIGNATURE", change)
    for name, (problem, changes) in ENVELOPES.items():
        yield f"job: {name}", envelope(problem, **changes)
    for name, (problem, changes) in SPECS.items():
        yield f"order: {name}", spec(problem, **changes)
    yield "job: an older one", replay_of_an_older_one
    yield "job: twice the same", same_job_twice
    yield "job: the same with another content", same_job_other_content
    yield "job: a member twice", members_twice
    yield "job: bytes that are no job", refuse_job("E_SPEC", lambda stage: b"\xff" * 500)
    yield "job: a list", refuse_job("E_SPEC", lambda stage: b"[]")
    yield "deploy: a key that is not here", failed_job("deploy", deploy_job)
    yield "deploy: files of others", failed_job("deploy", lambda s: deploy_job(s, store={"cert": "/etc/shadow", "key": "/etc/shadow"}), "E_PATH")
    yield "deploy: a chain that is none", failed_job("deploy", lambda s: deploy_job(s, chain_pem="x"))
    yield "recheck: no such target", failed_job("recheck", no_such_target)
    yield "recheck: a target like a path", failed_job("recheck", lambda s: s.accept("recheck_pinning", {}, target="nginx:../../etc"))
    yield "rollback: nothing to go back to", failed_job("rollback", lambda s: s.accept("rollback", {"to_version": 77, "reason": "x"}))
    for op, kind, make in (
            ("csr", "get_dcv", lambda s: {"order_id": new_id("ord")}), ("cert_put", "get_dcv", lambda s: {"order_id": new_id("ord")}),
            ("deploy", "get_dcv", lambda s: {"order_id": new_id("ord")}), ("rollback", "order", order_spec),
            ("recheck", "order", order_spec), ("deploy", "rollback", lambda s: {"to_version": 1, "reason": "x"}),
            ("close", "rollback", lambda s: {"to_version": 1, "reason": "x"}), ("csr", "scan", lambda s: {}),
            ("close", "recheck_pinning", lambda s: {})):
        yield f"{op} of a {kind}", wrong_op(op, kind, make)
