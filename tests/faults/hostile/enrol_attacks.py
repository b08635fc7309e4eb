# SPDX-License-Identifier: Apache-2.0
"""Attacks on a host that enrols: on each answer of 'clmbot enroll', beginning with the unverified one."""
import secrets

import http_attacks
import json_attacks
import papers
import tls_attacks
import wire
from attack import Attack

PIN = "matches the pin"
SIGNED = "trust document"


def at(step, trap):
    return lambda plane: plane.traps.update({step: trap})


def later(greeting):
    """The greeting from the second connection on."""
    def arm(plane):
        began = plane.accepted

        def greet(sock, it):
            if it.accepted - began < 2:
                return it.context.wrap_socket(sock, server_side=True)
            return greeting(sock, it)
        plane.greeting = greet
    return arm


def body(text, **how):
    return lambda conn, request, plane: wire.answer(text, **how)


def admitted(make):
    """The answer of the enrolment with members as make(plane, request) gives them."""
    return at("enroll", lambda conn, request, plane: wire.answer(plane.admission(request, **make(plane, request)), 201))


def trust(make):
    return admitted(lambda plane, request: {"trust": make(plane)})


def broken(jws, **changes):
    jws["signatures"][0] |= changes
    return jws


def other_header(**changes):
    """A trust document with a right signature over another header."""
    return lambda plane: papers.signed(plane.ca.key, papers.header_of(**{"kid": "ca", "typ": "clm-trust+jws", **changes}),
                                       plane.trust_document())


def certificate(**changes):
    def make(plane, request):
        settings = {key: value(plane) if callable(value) else value for key, value in changes.items()}
        return {"certificate": plane.identity(request, **settings)}
    return admitted(make)


TRUST = {
    "signed-by-the-attacker": (lambda p: papers.signed(papers.new_key(), papers.header_of("ca", "clm-trust+jws"),
                                                       p.trust_document()), "signature"),
    "signed-by-the-jobs-key": (lambda p: papers.signed(p.jobs_key, papers.header_of("jobs-1", "clm-trust+jws"),
                                                       p.trust_document()), "not trusted for this"),
    "alg-none": (lambda p: broken(other_header(alg="none")(p), signature=""), "algorithm is 'none'"),
    "alg-none-signed": (other_header(alg="none"), "algorithm is 'none'"),
    "alg-hs256": (other_header(alg="HS256"), "algorithm is 'HS256'"),
    "header-with-a-key": (other_header(jwk={"kty": "EC"}), "jwk"),
    "header-with-a-url": (other_header(jku="https://169.254.169.254/"), "jku"),
    "type-of-a-job": (other_header(typ="clm-job+jws", crit=["clmv"], clmv=1), ""),
    "no-signature": (lambda p: {**p.trust(), "signatures": []}, "0 of 1 required signatures"),
    "signature-of-zeros": (lambda p: broken(p.trust(), signature=papers.b64(bytes(64))), ""),
    "signature-too-short": (lambda p: broken(p.trust(), signature="AAAA"), ""),
    "payload-changed": (lambda p: {**p.trust(), "payload": papers.b64(b'{"type":"clm-trust"}')}, "signature"),
    "of-another-agent": (lambda p: p.trust(agent_id=papers.ident("agt", 99)), "agent"),
    "of-another-tenant": (lambda p: p.trust(tenant="evil"), "tenant"),
    "expired": (lambda p: p.trust(issued_at=papers.stamp(-99999), expires_at=papers.stamp(-9999)), "expired"),
    "without-an-end": (lambda p: p.trust(expires_at=None), "expires_at"),
    "without-keys": (lambda p: p.trust(keys=[]), "no key for jobs"),
    "hundred-keys": (lambda p: p.trust(keys=p.trust_document()["keys"] * 100), "keys"),
    "point-not-on-the-curve": (lambda p: p.trust(keys=[{**p.trust_document()["keys"][0], "x": papers.b64(bytes(32))}]), ""),
    "keys-no-list": (lambda p: p.trust(keys="x"), "keys"),
    "agent-id-traversal": (lambda p: p.trust(agent_id="../../../etc/x"), "agent"),
    "spec-version-2": (lambda p: p.trust(spec_version=2), "spec_version"),
    "no-object": (lambda p: "x", "trust"),
    "missing": (lambda p: None, "trust"),
}
CERTIFICATES = {
    "for-another-key": (certificate(public_key=lambda p: papers.new_key().public_key()), "another key"),
    "for-another-agent": (certificate(names=[f"clm://acme/agent/{papers.ident('agt', 99)}"]), "not for agent"),
    "without-a-name": (certificate(names=[]), "not for agent"),
    "name-prefix-tricks": (certificate(names=["clm://acme/agent/x?/agent/"]), "not for agent"),
    "garbage": (admitted(lambda p, r: {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}), ""),
    "empty": (admitted(lambda p, r: {"certificate": ""}), "certificate"),
    "private-key-instead": (admitted(lambda p, r: {"certificate": papers.pem(papers.new_key())}), ""),
    "chain-of-100": (admitted(lambda p, r: {"certificate": p.identity(r) + p.ca.pem * 100}), ""),
}
MEMBERS = {
    "agent-id-traversal": ({"agent_id": "../../../../etc/cron.d/x"}, "agent"),
    "agent-id-with-line-feeds": ({"agent_id": "agt_\n\x1b[2J"}, "agent_id"),
    "agent-id-of-another": ({"agent_id": papers.ident("agt", 99)}, "agent"),
    "generation-0": ({"generation": 0}, "generation"),
    "generation-too-large": ({"generation": 2**53 + 1}, "integer is beyond"),
    "generation-a-fraction": ({"generation": 1.5}, "generation"),
    "not-after-no-time": ({"not_after": "never\x1b[2J"}, ""),
    "not-after-year-10000": ({"not_after": "10000-01-01T00:00:00Z"}, ""),
    "renew-after-leap": ({"renew_after": "2026-02-30T00:00:00Z"}, ""),
}
CACERTS = {
    "other-ca": (body(papers.Authority("evil").pem, kind=wire.PEM), PIN),
    "no-ca-but-our-key": (lambda c, r, p: wire.answer(papers.Authority("x", is_ca=False, key=p.ca.key).pem, kind=wire.PEM), ""),
    "empty": (body(b"", kind=wire.PEM), ""),
    "garbage": (body(secrets.token_bytes(3000), kind=wire.PEM), ""),
    "16-mebibytes": (body(b"A" * (16 << 20), kind=wire.PEM), "too long"),
    "thousand-certificates": (body(papers.Authority("x").pem * 90, kind=wire.PEM), ""),
    "broken-der": (body("-----BEGIN CERTIFICATE-----\nMIIB////\n-----END CERTIFICATE-----\n", kind=wire.PEM), ""),
    "unclosed": (body("-----BEGIN CERTIFICATE-----\n" + "A" * 60000, kind=wire.PEM), ""),
    "not-found": (body(b"no", status=404, kind="text/plain"), "no CA certificates"),
    "redirect": (http_attacks.redirect(302, "https://198.51.100.7/"), "no CA certificates"),
}
PROBLEMS = {
    "detail-with-escape-sequences": wire.problem(500, "internal", "\x1b[2J\x1b]0;owned\x07 \u009b31m %s%n%n %1000000d"),
    "detail-with-line-feeds": wire.problem(500, "internal", "a\nclmbot: enrolled as agt_x\r\nb\u2028c\u0085d"),
    "detail-of-200-kib": wire.problem(500, "internal", "\u20ac" * 30000),
    "detail-cut-within-a-character": wire.problem(500, "internal", "a" + "\u20ac" * 400),
    "code-with-escape-sequences": wire.problem(500, "\x1b[2J", "x"),
    "code-no-text": wire.answer({"code": 7, "detail": ["x"], "status": "x"}, 500, wire.PROBLEM),
    "right-to-left": wire.problem(500, "internal", "\u202egnp.exe\u2066"),
}


def attacks():
    found = [Attack(f"tls/{name}", later(how[0]), *how[1:]) for name, how in tls_attacks.TABLE.items()]
    found += [Attack(f"http/{name}", at("nonce", how[0]), *how[1:]) for name, how in http_attacks.TABLE.items()]
    found += [Attack(f"json/{name}", at("nonce", body(text)), says) for name, (text, says) in
              json_attacks.texts("nonce", secrets.token_urlsafe(16)).items()]
    found += [Attack(f"cacerts/{name}", at("cacerts", trap), says) for name, (trap, says) in CACERTS.items()]
    found += [Attack(f"trust/{name}", trust(make), says) for name, (make, says) in TRUST.items()]
    found += [Attack(f"identity/{name}", arm, says) for name, (arm, says) in CERTIFICATES.items()]
    found += [Attack(f"answer/{name}", admitted(lambda p, r, m=members: m), says) for name, (members, says) in MEMBERS.items()]
    found += [Attack(f"problem/{name}", at("enroll", lambda c, r, p, d=data: d), "control plane:")
              for name, data in PROBLEMS.items()]
    return found
