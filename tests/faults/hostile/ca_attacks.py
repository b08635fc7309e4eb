# SPDX-License-Identifier: Apache-2.0
"""What a CA, or whoever speaks in its name, may send back for a good request: certificates that are
for somebody else, not in their time, too many, too weak, or none at all."""
import base64
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import papers
import wire
from job_attacks import JobAttack, order


def issued(name, chain, says, code="E_CERTIFICATE", ends="failed", **more):
    """chain(job, plane) is the PEM that comes for the request of an order."""
    def make(world):
        job = order(world)
        job.chain = chain
        return job
    return JobAttack(f"ca/{name}", make, says, code, ends, **more)


def leaf(**changes):
    """A right chain, but for what is changed in the leaf."""
    def chain(job, plane):
        settings = {key: value(job, plane) if callable(value) else value for key, value in changes.items()}
        return plane.certificate(job, **settings) + plane.web_ca.pem
    return chain


def below(*authorities):
    """The leaf from the last of new authorities, each signed by the one before; all in the chain."""
    def chain(job, plane):
        upper, text = plane.web_ca, []
        for settings in authorities:
            upper = papers.Authority(settings.pop("name", "step"), issuer=upper, **settings)
            text.insert(0, upper.pem)
        return plane.certificate(job, issuer=upper) + "".join(text) + plane.web_ca.pem
    return chain


def sent(name, data, says, code="E_CERTIFICATE", kind=wire.PEM, slow=0):
    """Bytes instead of a chain."""
    def make(world):
        return order(world, traps={"certificate": lambda c, r, p: wire.answer(data, kind=kind)},
                     envelope={"timeout_s": slow} if slow else None)
    return JobAttack(f"ca/{name}", make, says, code, "failed", slow=slow)


def loop(job, plane):
    """Two authorities that signed each other."""
    first, second = papers.new_key(), papers.new_key()
    a, b = papers.common_name("A"), papers.common_name("B")
    one = papers.issue(first.public_key(), [], (None, second, b), name="A", is_ca=True, eku=None)
    two = papers.issue(second.public_key(), [], (None, first, a), name="B", is_ca=True, eku=None)
    return plane.certificate(job, issuer=(one, first, a)) + papers.pem(one) + papers.pem(two) + papers.pem(one)


def torn(job, plane):
    text = plane.certificate(job)
    return text[:len(text) // 2] + "\n-----END CERTIFICATE-----\n"


def changed_der(at):
    """One bit of the leaf is another one."""
    def chain(job, plane):
        der = bytearray(base64.b64decode("".join(plane.certificate(job).split("\n")[1:-2])))
        der[at] ^= 4
        body = base64.b64encode(bytes(der)).decode()
        return "-----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----\n" + plane.web_ca.pem
    return chain


def unknown_extension(critical):
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
    return leaf(extra=[(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical)])


def with_names(*more):
    def chain(job, plane):
        names = job.csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        return plane.certificate(job, names=[*names, *more]) + plane.web_ca.pem
    return chain


def raw_name(text):
    """A subject alternative name that x509 would not let us write."""
    def chain(job, plane):
        value = text.encode("latin-1")
        inner = b"\x82" + bytes([len(value)]) + value
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30" + bytes([len(inner)]) + inner)
        return plane.certificate(job, names=[], name="x", extra=[(extension, False)]) + plane.web_ca.pem
    return chain


# ---- certificates that x509 would not write ----

def armour(der):
    text = base64.b64encode(der).decode()
    return "-----BEGIN CERTIFICATE-----\n" + "\n".join(text[i:i + 64] for i in range(0, len(text), 64)) + \
        "\n-----END CERTIFICATE-----\n"


def element(tag, body):
    return bytes([tag, 0x82]) + len(body).to_bytes(2, "big") + body


def sign_again(tbs, plane):
    """A chain whose leaf has these bytes, signed by the web issuer."""
    bits = b"\0" + plane.web_ca.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    return armour(element(0x30, tbs + algorithm + b"\x03" + bytes([len(bits)]) + bits)) + plane.web_ca.pem


def backwards(job, plane):
    """Valid from its end to its beginning."""
    cert = x509.load_pem_x509_certificate(plane.certificate(job).encode())
    begin, end = (when.strftime("%y%m%d%H%M%SZ").encode() for when in (cert.not_valid_before, cert.not_valid_after))
    tbs = cert.tbs_certificate_bytes.replace(begin, b"X" * 13).replace(end, begin).replace(b"X" * 13, end)
    return sign_again(tbs, plane)


def head_size(tbs, at):
    """Bytes of tag and length of the element there."""
    return 2 + (tbs[at + 1] & 0x7f if tbs[at + 1] & 0x80 else 0)


def doubled(job, plane):
    """The extended key usage twice."""
    tbs = x509.load_pem_x509_certificate(plane.certificate(job).encode()).tbs_certificate_bytes
    at = tbs.rindex(bytes.fromhex("0603551d25")) - 2
    piece = tbs[at:at + 2 + tbs[at + 1]]
    wrapped = tbs.rindex(b"\xa3", 0, at)
    inner = wrapped + head_size(tbs, wrapped)
    extensions = element(0x30, tbs[inner + head_size(tbs, inner):] + piece)
    return sign_again(element(0x30, tbs[head_size(tbs, 0):wrapped] + element(0xa3, extensions)), plane)


TABLE = [
    issued("for-another-key", leaf(public_key=lambda j, p: papers.new_key().public_key()), "for another key"),
    issued("for-another-name", leaf(names=["bank.example.org"]), "", ""),
    issued("with-a-name-more", with_names("bank.example.org"), "policy.names", ""),
    issued("with-a-wildcard", with_names("*.clmbot.test"), "policy.names", ""),
    issued("with-an-address", with_names("10.0.0.1"), "policy.names", ""),
    issued("with-a-mail-address", with_names("a@example.org"), "policy.names", ""),
    issued("with-a-uri", with_names("https://example.org/"), "policy.names", ""),
    issued("without-names", leaf(names=[]), ""),
    issued("name-with-nul", raw_name("alpha.clmbot.test\0.example.org"), "", ""),
    issued("name-with-line-feed", raw_name("alpha.clmbot.test\nclmbot: ok"), "", ""),
    issued("name-not-ascii", raw_name("\xe9.clmbot.test"), "", ""),
    issued("a-ca-as-leaf", leaf(is_ca=True), "it is a CA's"),
    issued("the-ca-itself", lambda j, p: p.web_ca.pem, "another key"),
    issued("for-clients-only", leaf(eku=(papers.CLIENT,)), "serverAuth"),
    issued("for-code-signing", leaf(eku=(x509.oid.ExtendedKeyUsageOID.CODE_SIGNING,)), "serverAuth"),
    issued("expired", leaf(start_days=-30, days=-1), "expired"),
    issued("not-yet-valid", leaf(start_days=2), "valid"),
    issued("of-the-year-1950", leaf(start_days=-27000, days=-26000), "expired"),
    issued("ends-before-it-begins", backwards, ""),
    issued("sha-1", leaf(digest=hashes.SHA1()), ""),
    issued("issuer-rsa-1024", below({"key": papers.rsa_key(1024)}), ""),
    issued("issuer-expired", below({"days": -1}), ""),
    issued("issuer-not-yet-valid", below({"start_days": 5}), ""),
    issued("issuer-no-ca", below({"is_ca": False}), ""),
    issued("issuer-other-key", lambda j, p: p.certificate(j, issuer=papers.Authority("web issuer")) + p.web_ca.pem, ""),
    issued("intermediate-missing", lambda j, p: p.certificate(j, issuer=papers.Authority("hidden")) + p.web_ca.pem, ""),
    issued("chain-in-the-wrong-order", lambda j, p: p.web_ca.pem + p.certificate(j), "", "", "succeeded"),
    issued("the-leaf-twice", lambda j, p: p.certificate(j) * 2 + p.web_ca.pem, "", "", "succeeded"),
    issued("two-leaves", lambda j, p: p.certificate(j) + p.certificate(j) + p.web_ca.pem, ""),
    issued("chain-of-9", below(*[{"name": f"step {i}"} for i in range(8)]), "", "", "succeeded"),
    issued("chain-of-100", below(*[{"name": f"step {i}"} for i in range(99)]), "", ""),
    issued("chain-of-100-copies", lambda j, p: p.certificate(j) + p.web_ca.pem * 100, "", ""),
    issued("chain-with-a-loop", loop, "", "", "succeeded"),
    issued("extension-critical-and-unknown", unknown_extension(True), ""),
    issued("extension-unknown", unknown_extension(False), "", "", "succeeded"),
    issued("extension-twice", doubled, ""),
    issued("der-torn", torn, "", ""),
    issued("der-changed-in-the-serial", changed_der(20), "", ""),
    issued("der-changed-at-the-end", changed_der(-3), "", ""),
    issued("private-key-in-the-chain", lambda j, p: p.certificate(j) + papers.pem(papers.new_key()) + p.web_ca.pem, "", "",
           "succeeded"),
    issued("text-between", lambda j, p: p.certificate(j) + "\x1b[2Jhello %n\n" + p.web_ca.pem, "", "", "succeeded"),
    sent("empty", b"", "", ""),
    sent("garbage", os.urandom(4000), "", ""),
    sent("no-der", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", ""),
    sent("der-length-of-4-gib", "-----BEGIN CERTIFICATE-----\nMIT/////AA==\n-----END CERTIFICATE-----\n", "", ""),
    sent("der-endless", "-----BEGIN CERTIFICATE-----\nMIAwgDCAMIAwgDCAMIAwgDCA\n-----END CERTIFICATE-----\n", "", ""),
    sent("pem-unclosed", "-----BEGIN CERTIFICATE-----\n" + "A" * 60000, "", ""),
    sent("pem-openings", "-----BEGIN CERTIFICATE-----\n" * 2000, "", ""),
    sent("pem-of-200-kib", ("A" * 64 + "\n") * 3000, "", ""),
    sent("16-mebibytes", b"A" * (16 << 20), "too long", ""),
    sent("nul-bytes", b"\0" * 1000, "", ""),
    sent("html", "<html>sign in</html>", "somebody else", "", "text/html", slow=10),
    sent("json", {"certificate": "x"}, "somebody else", "", wire.JSON, slow=10),
]


def attacks():
    return TABLE
