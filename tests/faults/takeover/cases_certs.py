# SPDX-License-Identifier: Apache-2.0
"""Certificates that the host half must not take, steps out of order, and lies about handshakes."""
import base64
import datetime
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from cases_jobs import order_spec
from harness import base, pki
from sign import new_id
from stage import ACME
from wire import ANSWER, BODY_MAX, CALL, END, OPS, REPLY, REQUEST, frame


def ordered(stage, **changes):
    """An accepted order and the public key that was made for it."""
    job = stage.accept("order", order_spec(stage, **changes))
    der = base64.urlsafe_b64decode(stage.granted("csr", {"job_id": job})["csr"] + "==")
    stage.learn_secrets()
    return job, x509.load_der_x509_csr(der).public_key()


def issue(stage, public, names=None, issuer=None, start=-1, end=20, ca=False, eku=True, key=None, sans=True):
    """A chain that would be taken, but for what is asked for."""
    issuer = issuer or stage.issuer
    names = names or [stage.server.name]
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(pki._name(names[0])).issuer_name(issuer[0].subject)
               .public_key(public).serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=start)).not_valid_after(now + datetime.timedelta(days=end))
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if not eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CODE_SIGNING]), critical=True)
    return pki.cert_pem(builder.sign(key or issuer[1], hashes.SHA256())).decode()


def ladder(stage, public, length):
    """A chain of so many intermediates."""
    chain, issuer = [], stage.issuer
    for i in range(length):
        issuer = pki.make_cert([f"CA {i}"], issuer=issuer, is_ca=True)
        chain.insert(0, pki.cert_pem(issuer[0]).decode())
    return issue(stage, public, issuer=issuer) + "".join(chain)


def other_ca(stage, public):
    return issue(stage, public, issuer=pki.make_cert(["Issuing CA"], is_ca=True))


def own_root(stage, public):
    ca = pki.make_cert(["Somebody's CA"], is_ca=True)
    return issue(stage, public, issuer=ca) + pki.cert_pem(ca[0]).decode()


def weak_key(stage, _):
    return issue(stage, rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key())


def key_of_others(stage, _):
    return pki.key_pem(pki.make_key()).decode() + issue(stage, pki.make_key().public_key())


def stranger(stage, public):
    return pki.cert_pem(pki.make_cert([stage.server.name])[0]).decode() + issue(stage, public)


CHAINS = {
    "nothing": lambda s, p: "", "words": lambda s, p: "certificate", "a mark without an end": lambda s, p: issue(s, p)[:200],
    "a body that is not Base64": lambda s, p: "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    "a body that is no certificate": lambda s, p: "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n",
    "half a certificate": lambda s, p: "\n".join(issue(s, p).splitlines()[:5]) + "\n-----END CERTIFICATE-----\n",
    "a private key alone": lambda s, p: pki.key_pem(pki.make_key()).decode(), "a private key and a certificate": key_of_others,
    "another key": lambda s, p: issue(s, pki.make_key().public_key()), "a weak key": weak_key,
    "the key in use now": lambda s, p: s.server.cert.read_text(),
    "another name": lambda s, p: issue(s, p, ["bank.example.org"]), "a name more, not allowed": lambda s, p: issue(s, p, [s.server.name, "bank.example.org"]),
    "a wildcard more": lambda s, p: issue(s, p, [s.server.name, "*.clmbot.test"]), "no names": lambda s, p: issue(s, p, sans=False),
    "a CA": lambda s, p: issue(s, p, ca=True), "expired": lambda s, p: issue(s, p, start=-20, end=-1),
    "not yet valid": lambda s, p: issue(s, p, start=10, end=20), "another purpose": lambda s, p: issue(s, p, eku=False),
    "a CA of the same name": other_ca, "a CA that root does not know": own_root, "signed by somebody else": lambda s, p: issue(s, p, key=pki.make_key()),
    "a stranger in front": stranger, "100 CAs": lambda s, p: ladder(s, p, 100), "11 CAs": lambda s, p: ladder(s, p, 11),
    "2,000 marks": lambda s, p: "-----BEGIN CERTIFICATE-----\n" * 2000,
    "text of 60,000 bytes": lambda s, p: "x" * 60000, "terminal codes": lambda s, p: "\x1b[31m" + issue(s, p)[40:],
}


def refuse_chain(make):
    def case(stage):
        job, public = ordered(stage)
        before = sorted(p.name for p in (stage.state / "host/bundles").iterdir())
        stage.refused("cert_put", {"job_id": job, "chain_pem": make(stage, public)})
        after = sorted(p.name for p in (stage.state / "host/bundles").iterdir())
        assert before == after, "a refused certificate is kept"
        stage.refused_deploy(job)
    return case


# ---- out of order ----

def cert_before_csr(stage):
    job = stage.accept("order", order_spec(stage))
    stage.refused("cert_put", {"job_id": job, "chain_pem": issue(stage, pki.make_key().public_key())})


def deploy_before_cert(stage):
    job, _ = ordered(stage, on_issue="deploy", deploy={})
    stage.refused_deploy(job)


def deploy_not_asked_for(stage):
    job, public = ordered(stage)
    stage.granted("cert_put", {"job_id": job, "chain_pem": issue(stage, public)})
    stage.refused_deploy(job)


def cert_of_another_order(stage):
    """Two orders of the same names: a certificate for the key of one does not fit the other."""
    (_, public), (second, _) = ordered(stage), ordered(stage)
    stage.refused("cert_put", {"job_id": second, "chain_pem": issue(stage, public)})


def unknown_job(op):
    def case(stage):
        stage.refused(op, {"job_id": new_id("job"), "order_id": new_id("ord"), "domain": stage.server.name, "path": ACME + "a" * 22,
                           "content": "a", "chain_pem": "x", "result": {}}, "E_STATE")
    return case


def closed_job(op):
    """What is over cannot be used for more: else one old order would allow validation files for ever."""
    def case(stage):
        job, public = ordered(stage)
        stage.granted("close", {"job_id": job, "result": {"outcome": "failed"}})
        stage.refused(op, {"job_id": job, "order_id": new_id("ord"), "challenge_id": new_id("chl"), "domain": stage.server.name,
                           "path": ACME + "a" * 22, "content": "a", "chain_pem": issue(stage, public)}, "E_STATE")
    return case


def closed_twice(stage):
    job, _ = ordered(stage)
    stage.granted("close", {"job_id": job, "result": {"outcome": "failed"}})
    stage.ask("close", {"job_id": job, "result": {"outcome": "succeeded"}})
    kept = json.loads((stage.state / f"host/jobs/{job}.json").read_text())["result"]
    assert kept["outcome"] == "failed", kept


def hello_of_another_version(stage):
    stage.refused("hello", {"v": 2, "version": "9", "boot_id": "b"})


# ---- lies about handshakes ----

def observation(**changes):
    seen = {"result": "served", "leaf_sha256": "0" * 64, "addr": "127.0.0.1", "at_ms": 1, "detail": ""}
    seen.update(changes)
    return frame({name: value for name, value in seen.items() if value is not None}, ANSWER)


ANSWERS = {
    "hangs up": lambda call: None, "no JSON": lambda call: frame(b"x", ANSWER), "an empty object": lambda call: frame({}, ANSWER),
    "a leaf that is a path": lambda call: observation(leaf_sha256="../" * 20), "another leaf": lambda call: observation(),
    "another frame": lambda call: frame({}, REPLY), "a call back": lambda call: frame({"probe": {}}, CALL),
    "a request in between": lambda call: frame({"v": 1}, REQUEST, OPS["hello"]), "64 KiB": lambda call: frame(b" " * BODY_MAX, ANSWER),
    "random bytes": lambda call: b"\xa5" * 64, "always refused": lambda call: frame({"result": "refused"}, ANSWER),
    "served nothing": lambda call: observation(leaf_sha256=None), "a result there is none of": lambda call: observation(result="good"),
}


def lie(answer):
    """A deployment whose every question is answered like this: everything is as it was."""
    def case(stage):
        job, public = ordered(stage, on_issue="deploy", deploy={})
        stage.granted("cert_put", {"job_id": job, "chain_pem": issue(stage, public)})
        served = stage.server.served()
        kind, reply = stage.ask("deploy", {"job_id": job}, on_call=answer)
        assert kind == END or reply["outcome"] in ("failed", "rolled_back"), reply
        stage.granted("hello", {"v": 1, "version": "1", "boot_id": "b"})
        assert not any((stage.state / "host/txn").iterdir()), "a journal is left"
        base.until(lambda: stage.server.served() == served, 15, "the old certificate to be served")
    return case


def cases():
    for name, make in CHAINS.items():
        yield f"certificate: {name}", refuse_chain(make)
    yield "order: a certificate before the request", cert_before_csr
    yield "order: deployed before there is a certificate", deploy_before_cert
    yield "order: deployed, which it does not ask for", deploy_not_asked_for
    yield "order: a certificate of another one", cert_of_another_order
    yield "order: closed twice", closed_twice
    for op in ("csr", "dcv_put", "cert_put", "deploy", "rollback", "recheck", "close"):
        yield f"{op} of a job that was never given", unknown_job(op)
    for op in ("csr", "dcv_put", "cert_put"):
        yield f"{op} of an order that is over", closed_job(op)
    yield "hello of another version", hello_of_another_version
    for name, answer in ANSWERS.items():
        yield f"handshake: {name}", lie(answer)


