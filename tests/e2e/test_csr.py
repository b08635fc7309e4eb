# SPDX-License-Identifier: Apache-2.0
"""Certificate requests in every mode, from the operator's command to what nginx serves."""
import base64
import datetime
import re
import sqlite3

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from harness import pki
from harness.base import until
from harness.pebble import Pebble
from harness.plane import ControlPlane

OIDS = {"cn": NameOID.COMMON_NAME, "o": NameOID.ORGANIZATION_NAME, "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "l": NameOID.LOCALITY_NAME, "st": NameOID.STATE_OR_PROVINCE_NAME, "c": NameOID.COUNTRY_NAME}


def name_of(**values):
    pairs = [(OIDS[k], v) for k, vs in values.items() for v in ([vs] if isinstance(vs, str) else vs)]
    return x509.Name([x509.NameAttribute(oid, v) for oid, v in pairs])


def values(cert, field):
    return sorted(a.value for a in cert.subject.get_attributes_for_oid(OIDS[field]))


def sans(cert, kind=x509.DNSName):
    try:
        ext = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return sorted(str(v) for v in ext.get_values_for_type(kind))


def has_staple(cert):
    try:
        return x509.TLSFeatureType.status_request in cert.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False


def purposes(cert):
    return set(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def rich_cert(server, names):
    """What an administrator had installed by hand: a full subject, RSA, SHA-384, must-staple."""
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = name_of(c="DE", o="Beispiel GmbH", ou=["Web", "Betrieb"], l="Köln", cn=names[0])
    cert = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=20))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                           False)
            .add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), False)
            .sign(key, hashes.SHA384()))
    server.cert.write_bytes(pki.cert_pem(cert))
    server.key.write_bytes(pki.key_pem(key))
    return key


def make_csr(key, names, subject=None, extensions=()):
    builder = (x509.CertificateSigningRequestBuilder().subject_name(subject or name_of(cn=names[0]))
               .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False))
    for extension in extensions:
        builder = builder.add_extension(extension, False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class Csr:
    """A world and the few things each test does with it."""

    def __init__(self, make_world, policy="", drop_in="", ca=None):
        self.world = make_world("nginx", extra_policy=policy)
        self.server = self.world.server
        self.key = rich_cert(self.server, [self.server.name])
        if drop_in:
            path = self.world.agent.root / "clmbot.d" / "more.yaml"
            path.parent.mkdir(mode=0o755)
            path.write_text(drop_in)
        self.ca = ca(self.server.http) if ca else None
        if ca:
            self.ca.start()
            self.world.plane = ControlPlane(self.world.work, connectors=[self.ca.connector()], default="pebble")
        self.world.up()
        self.plane = self.world.plane
        self.before = self.server.installed()
        assert self.server.served() == self.before

    def scan(self):
        job = self.plane.wait_job(self.plane.action("scan", "--agent", self.world.agent.id))
        assert job["state"] == "succeeded", job
        until(lambda: self.server.target in str(self.plane.json("targets")), what="the inventory")

    def add(self, *args, check=True):
        done = self.plane.run("certs", "add", "--agent", self.world.agent.id, "--target", self.server.target, "--json",
                              *args, check=check)
        if not check:
            return done
        return re.search(r'crt_[0-9A-Z]{26}', done.stdout).group(0)

    def order(self, *args, name=True):
        self.cert = self.add(*(["--name", self.server.name] if name else []), *args)
        return self.again()

    def again(self):
        return self.plane.wait_job(self.plane.action("order", "--cert", self.cert))

    def succeeded(self, job):
        assert job["state"] == "succeeded", job
        assert self.server.served() == self.server.installed() != self.before
        self.before = self.server.installed()
        return self.installed()

    def refused(self, job, *says):
        assert job["state"] in ("rejected", "failed"), job
        for text in says:
            assert text in str(job), job
        self.untouched()

    def untouched(self):
        assert self.server.served() == self.server.installed() == self.before

    def installed(self):
        return x509.load_pem_x509_certificate(self.server.cert.read_bytes())

    def requests(self):
        """Every request the control plane has received, oldest first."""
        path = self.plane.data / "clmbot.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT csr FROM cert_order ORDER BY created_at, id").fetchall()
        return [x509.load_der_x509_csr(base64.urlsafe_b64decode(r[0] + "==")) for r in rows]

    def changes(self, job):
        return job["result"]["effects"]["ca_changes"]


@pytest.fixture
def csr(make_world):
    return lambda *args, **kwargs: Csr(make_world, *args, **kwargs)


# ---- the modes ----

def test_installed_keeps_the_identity_and_makes_a_new_key(csr):
    it = csr()
    it.scan()
    job = it.order("--csr-mode", "installed", name=False)
    cert = it.succeeded(job)
    assert (values(cert, "o"), values(cert, "ou"), values(cert, "l"), values(cert, "c")) == (
        ["Beispiel GmbH"], ["Betrieb", "Web"], ["Köln"], ["DE"])
    assert sans(cert) == [it.server.name] and has_staple(cert)
    assert isinstance(cert.public_key(), rsa.RSAPublicKey) and cert.public_key().key_size == 2048
    assert public(cert.public_key()) != public(it.key.public_key())
    assert isinstance(it.requests()[-1].signature_hash_algorithm, hashes.SHA384)
    assert it.changes(job) == []
    assert "the purpose 'client'" in str(job["result"]["effects"]["left_out"])
    assert purposes(cert) == {ExtendedKeyUsageOID.SERVER_AUTH}


def test_override_replaces_some_members(csr):
    it = csr()
    job = it.order("--csr-mode", "override", "--key", "ec-p384", "--subject", "o=Neu AG", "--subject", "l=",
                   "--subject", "ou=A", "--subject", "ou=B", "--hash", "sha512")
    cert = it.succeeded(job)
    assert (values(cert, "o"), values(cert, "ou"), values(cert, "l"), values(cert, "c")) == (
        ["Neu AG"], ["A", "B"], [], ["DE"])
    assert isinstance(cert.public_key().curve, ec.SECP384R1) and has_staple(cert)
    assert isinstance(it.requests()[-1].signature_hash_algorithm, hashes.SHA512)


def test_override_replaces_the_names_and_the_common_name_follows(csr):
    it = csr()
    other = "other." + it.server.name
    cert_id = it.add("--name", other, "--csr-mode", "override", "--key", "ec-p256")
    job = it.plane.json("certs", "show", cert_id)
    assert job["names"] == {"dns": [other], "ip": []}
    it.cert = cert_id
    job = it.again()
    # the proof of control cannot work for a name this server does not answer for; the request was right
    assert sans(it.requests()[-1]) == [other] and values(it.requests()[-1], "cn") == [other], job
    it.untouched()


def test_an_inline_template_says_everything(csr):
    it = csr(drop_in="""policy:
  names: {emails: ["*@example.com"], uris: ["spiffe://example.com/*"]}
  eku: [server, client]
""")
    cert = it.succeeded(it.order(
        "--subject", f"cn={it.server.name}", "--subject", "o=Vorlage", "--subject", "c=AT", "--email",
        "ops@Example.com", "--uri", "spiffe://example.com/web", "--eku", "server", "--eku", "client", "--must-staple"))
    assert values(cert, "o") == ["Vorlage"] and values(cert, "c") == ["AT"] and has_staple(cert)
    assert sans(cert, x509.RFC822Name) == ["ops@example.com"]
    assert sans(cert, x509.UniformResourceIdentifier) == ["spiffe://example.com/web"]
    assert purposes(cert) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_template_of_the_host(csr):
    it = csr("""  csr_templates:
    web: {subject: {o: Root Ltd, ou: [One, Two], c: GB}, key_type: ec-p384, hash: sha384, must_staple: true}""")
    job = it.order("--template", "web")
    cert = it.succeeded(job)
    assert values(cert, "o") == ["Root Ltd"] and values(cert, "ou") == ["One", "Two"] and has_staple(cert)
    assert isinstance(cert.public_key().curve, ec.SECP384R1)
    assert it.plane.json("certs", "show", it.cert)["key_type"] == "ec-p384"
    it.refused(it.order("--template", "web", "--hash", "sha256"), "template 'web' of this host says what 'hash' is")
    it.refused(it.order("--template", "none"), "there is no template 'none'")


def test_an_uploaded_request_of_the_targets_own_key_is_installed(csr, work):
    it = csr()
    file = work / "own.csr"
    file.write_text(make_csr(it.key, [it.server.name], name_of(o="Hand", cn=it.server.name)))
    cert = it.succeeded(it.order("--csr-file", file, name=False))
    assert public(cert.public_key()) == public(it.key.public_key()) and values(cert, "o") == ["Hand"]


def test_an_uploaded_request_of_another_key_is_issued_and_not_installed(csr, work):
    it = csr()
    key = ec.generate_private_key(ec.SECP256R1())
    file = work / "hsm.csr"
    file.write_text(make_csr(key, [it.server.name]))
    job = it.order("--csr-file", file, name=False)
    assert job["state"] == "succeeded", job
    assert "its private key is not the one at the target" in job["result"]["effects"]["note"]
    it.untouched()
    shown = it.plane.json("certs", "show", it.cert)
    issued = x509.load_pem_x509_certificate(shown["versions"][0]["pem"].encode())
    assert public(issued.public_key()) == public(key.public_key())
    assert shown["state"] == "issued" and shown["versions"][0]["key_ref"] == ""
    done = it.plane.run("action", "deploy", "--cert", it.cert, check=False)
    assert done.returncode != 0 and "private key of this version is not on the host" in done.stderr
    told = it.world.agent.run("job", job["job_id"]).stdout
    assert "not installed" in told, told


def test_the_request_of_the_last_order_again(csr):
    it = csr("  key_reuse: true")
    first = it.succeeded(it.order("--key", "ec-p256"))
    with sqlite3.connect(it.plane.data / "clmbot.db") as db:
        db.execute("UPDATE cert SET csr = ? WHERE id = ?", ('{"mode":"reuse_csr"}', it.cert))
    second = it.succeeded(it.again())
    requests = it.requests()
    assert requests[0] == requests[1]
    assert public(first.public_key()) == public(second.public_key()) and first != second


def test_the_same_private_key_where_the_policy_allows_it(csr):
    it = csr("  key_reuse: true")
    cert = it.succeeded(it.order("--csr-mode", "installed", "--reuse-key"))
    assert public(cert.public_key()) == public(it.key.public_key())
    again = it.succeeded(it.again())
    assert public(again.public_key()) == public(it.key.public_key())


def test_a_challenge_password_comes_from_the_host(csr, work):
    secret = work / "challenge"
    secret.write_text("sesame öffne dich\n")
    secret.chmod(0o644)
    it = csr(f"  secrets: {{scep: {secret}}}")
    it.refused(it.order("--challenge-password", "scep"), "challenge password 'scep'")
    secret.chmod(0o600)
    it.succeeded(it.order("--challenge-password", "scep"))
    assert it.requests()[-1].attributes.get_attribute_for_oid(
        AttributeOID.CHALLENGE_PASSWORD).value.decode() == "sesame öffne dich"
    assert "sesame" not in it.world.agent.log() and "sesame" not in str(it.plane.json("certs", "show", it.cert))
    it.refused(it.order("--challenge-password", "other"), "policy.secrets: there is no 'other'")


# ---- what is refused, and changes nothing ----

@pytest.mark.parametrize("args, says", [
    (["--reuse-key"], "policy.key_reuse: a private key may not be used again"),
    (["--csr-mode", "reuse_csr"], "policy.key_reuse"),
    (["--email", "a@example.com"], "policy.names.emails: 'a@example.com' is not allowed"),
    (["--uri", "urn:x:1"], "policy.names.uris: 'urn:x:1' is not allowed"),
    (["--eku", "server", "--eku", "client"], "policy.eku: the purpose 'client' is not allowed"),
    (["--subject", "st=NRW"], "policy.subject.fields: 'st' is not allowed"),
    (["--csr-mode", "override", "--key", "rsa-4096"], "policy.key_types: 'rsa-4096' is not allowed"),
    (["--template", "web"], "there is no template 'web'"),
])
def test_the_host_refuses_what_its_policy_does_not_allow(csr, args, says):
    it = csr("  subject: {fields: [cn, o, ou, l, c]}\n  key_types: [ec-p256, rsa-2048]")
    it.refused(it.order(*args), says)
    assert not list((it.world.agent.state / "host" / "keys").glob("*"))


def test_the_control_plane_refuses_bad_requests(csr, work):
    it = csr()
    name = it.server.name
    good = make_csr(it.key, [name])
    body = good.splitlines()
    flipped = "\n".join([body[0], body[1], body[2], body[3][:20] + ("A" if body[3][20] != "A" else "B") + body[3][21:],
                         *body[4:]])
    text = pki.key_pem(it.key).decode()
    cases = [(flipped, "/csr/csr_pem"),
             ("x" * 20480, "16384"),
             (it.server.cert.read_text(), "holds a certificate, not only a request"),
             ("hello\n", "no request in PEM"),
             (good + good, "more than one request"),
             (text, "holds a private key: it was not sent")]
    for i, (content, says) in enumerate(cases):
        file = work / f"bad{i}.csr"
        file.write_text(content)
        done = it.add("--csr-file", file, check=False)
        assert done.returncode != 0 and says in done.stderr, (i, done.stderr)
    for args, says in [
            (["--subject", "o=" + "x" * 65], "longer than 64 characters"),
            (["--subject", "o=a\x07b"], "control characters"),
            (["--subject", "c=Germany"], "two capital letters"),
            (["--subject", "dc=x"], "dc"),
            (["--csr-mode", "installed", "--hash", "sha256"], "mode 'installed' has no such member"),
            (["--csr-mode", "guess"], "'mode': 'guess'"),
            (["--hash", "md5"], "'hash': 'md5'")]:
        done = it.add("--name", name, *args, check=False)
        assert done.returncode != 0 and says in done.stderr, (args, done.stderr)
    assert it.plane.json("certs", "list")["certificates"] == []
    it.untouched()


def test_names_outside_the_policy_are_refused_by_the_host(csr, work):
    it = csr()
    file = work / "alien.csr"
    file.write_text(make_csr(it.key, [it.server.name, "www.evil.test"]))
    it.refused(it.order("--csr-file", file, name=False), "'www.evil.test' is not allowed")
    file.write_text(make_csr(it.key, [it.server.name], extensions=[x509.BasicConstraints(True, None)]))
    it.refused(it.order("--csr-file", file, name=False), "the certificate of a CA")


# ---- where a chain must end ----

def test_the_chain_must_end_at_a_ca_of_the_bundle(csr, work):
    bundle = work / "cas.pem"
    stranger, _ = pki.make_cert(["Stranger CA"], is_ca=True)
    bundle.write_bytes(pki.cert_pem(stranger))
    it = csr(f"  ca_bundle: {bundle}")
    it.refused(it.order(), "policy.ca_bundle", "chain does not end at a CA in the file")
    pem = it.plane.json("certs", "show", it.cert)["versions"][0]["pem"]
    bundle.write_bytes(pki.cert_pem(stranger) + pem[pem.rindex("-----BEGIN"):].encode())
    it.succeeded(it.order())


# ---- a public CA takes away what it does not certify ----

@pytest.fixture
def acme(csr, work):
    started = []

    def ca(http_port):
        started.append(Pebble(work, http_port))
        return started[-1]

    yield lambda *args, **kwargs: csr(*args, ca=ca, **kwargs)
    for pebble in started:
        pebble.stop()


def test_what_pebble_changed_is_told(acme):
    it = acme()
    job = it.order("--csr-mode", "installed")
    cert = it.succeeded(job)
    assert sans(cert) == [it.server.name] and values(cert, "o") == []
    told = it.changes(job)
    assert "the CA dropped O 'Beispiel GmbH' from the subject" in told, told
    assert any("OU" in t and "Betrieb" in t for t in told), told
    shown = it.world.agent.run("job", job["job_id"]).stdout
    assert "dropped O 'Beispiel GmbH'" in shown, shown


def test_uploaded_and_override_with_pebble(acme, work):
    it = acme()
    file = work / "own.csr"
    file.write_text(make_csr(it.key, [it.server.name]))
    cert = it.succeeded(it.order("--csr-file", file, name=False))
    assert public(cert.public_key()) == public(it.key.public_key())
    cert = it.succeeded(it.order("--csr-mode", "override", "--key", "ec-p384", "--hash", "sha384"))
    assert isinstance(cert.public_key().curve, ec.SECP384R1)


def test_an_acme_ca_certifies_no_mail_addresses(acme, work):
    it = acme()
    done = it.add("--name", it.server.name, "--email", "ops@example.com", check=False)
    assert done.returncode != 0 and "is an ACME CA, which certifies DNS names and IP addresses only" in done.stderr
    it.untouched()


# ---- a keystore ----

def test_the_identity_and_the_key_of_a_keystore_entry(work):
    from test_files import PASSWORD, Files
    it = Files(work)
    try:
        shop = it.shop
        shop.cert = shop.etc / "store.p12"
        key = rsa.generate_private_key(65537, 2048)
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = name_of(o="Store GmbH", ou=["A", "B"], cn=shop.name)
        old = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
               .serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9))
               .add_extension(x509.SubjectAlternativeName([x509.DNSName(shop.name)]), False)
               .sign(key, hashes.SHA256()))
        shop.cert.write_bytes(pkcs12.serialize_key_and_certificates(
            b"shop", key, old, None, serialization.BestAvailableEncryption(PASSWORD.encode())))
        shop.start(f"pkcs12:{it.password}")
        it.declare({"outputs": [{"path": str(shop.cert), "format": "pkcs12", "alias": "shop",
                                 "password_file": str(it.password)}],
                    "reload": "hook", "hook": "tell", "verify": it.verify()},
                   {"tell": shop.hook("tell", shop.tell())}, key_reuse=True)
        it.up()
        cert_id = it.plane.add_certificate(it.agent.id, "file:shop", [shop.name], "rsa-2048", "--csr-mode",
                                           "installed", "--reuse-key")
        job = it.plane.wait_job(it.plane.action("order", "--cert", cert_id))
        assert job["state"] == "succeeded", job
        cert = pkcs12.load_pkcs12(shop.cert.read_bytes(), PASSWORD.encode()).cert.certificate
        assert cert != old and shop.served() == cert.fingerprint(hashes.SHA256()).hex()
        assert values(cert, "o") == ["Store GmbH"] and values(cert, "ou") == ["A", "B"]
        assert public(cert.public_key()) == public(key.public_key())
    finally:
        it.down()
