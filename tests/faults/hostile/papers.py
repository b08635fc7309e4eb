# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and signatures of a control plane, right ones and every kind of wrong ones."""
import base64
import datetime
import ipaddress
import json
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def ident(prefix, number):
    """An id of the protocol: a prefix and 26 characters, ordered like the numbers."""
    text = ""
    for _ in range(25):
        text = LETTERS[number % 32] + text
        number //= 32
    return f"{prefix}_0{text}"


def stamp(offset_s=0):
    when = datetime.datetime.fromtimestamp(int(time.time()) + offset_s, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(thing):
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM).decode()
    return thing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.NoEncryption()).decode()


def written(key_pem):
    """The private number of an EC key in hexadecimal, and in Base64 wherever in a longer text it stands."""
    number = serialization.load_pem_private_key(key_pem.encode(), None).private_numbers().private_value
    raw = number.to_bytes(32, "big")
    inner = [base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0:-4] for shift in range(3)]
    return {raw.hex(), *inner, *(text.replace("+", "-").replace("/", "_") for text in inner)}


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def general_name(text):
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    if "@" in text:
        return x509.RFC822Name(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Authority:
    """A CA: its certificate and key. issuer None: it signs itself."""

    def __init__(self, name="control plane", issuer=None, is_ca=True, start_days=-10, days=3650, key=None):
        self.key = key or new_key()
        self.cert = issue(self.key.public_key(), [], issuer or (None, self.key, common_name(name)), name=name,
                          is_ca=is_ca, start_days=start_days, days=days, eku=None)

    @property
    def pem(self):
        return pem(self.cert)


def issue(public_key, names, issuer, name=None, is_ca=False, start_days=-1, days=90, eku=(SERVER,), digest=None,
          extra=()):
    """A certificate; issuer is an Authority or (certificate, key, name)."""
    if isinstance(issuer, Authority):
        issuer = (issuer.cert, issuer.key, issuer.cert.subject)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    builder = (x509.CertificateBuilder()
               .subject_name(common_name((name or (names[0] if names else "x"))[:64]))
               .issuer_name(issuer[2])
               .public_key(public_key)
               .serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=start_days))
               .not_valid_after(now + datetime.timedelta(days=days))
               .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(n) for n in names]), critical=False)
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(eku)), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer[1], digest or hashes.SHA256())


def jwk(key):
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}


def es256(key, message):
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def header_of(kid, typ, **more):
    header = {"alg": "ES256", "kid": kid, "typ": typ}
    if typ == "clm-job+jws":
        header |= {"crit": ["clmv"], "clmv": 1}
    header |= more
    return {key: value for key, value in header.items() if value is not None}


def signed(key, header, payload):
    """A JWS with one signature; header and payload may be ready-made bytes."""
    protected = b64(header if isinstance(header, bytes) else json.dumps(header).encode())
    body = b64(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return {"payload": body, "signatures": [
        {"protected": protected, "signature": b64(es256(key, f"{protected}.{body}".encode()))}]}
