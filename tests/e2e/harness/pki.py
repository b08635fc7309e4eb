# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by python3-cryptography: an implementation that is not ours."""
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def cert_pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def make_cert(names, key=None, issuer=None, days=20, start_days=-1, is_ca=False):
    """(certificate, key); issuer is such a pair, None signs itself."""
    key = key or make_key()
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder()
               .subject_name(_name(names[0]))
               .issuer_name(issuer[0].subject if issuer else _name(names[0]))
               .public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=start_days))
               .not_valid_after(now + datetime.timedelta(days=days))
               .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
    if not is_ca:
        sans = []
        for name in names:
            try:
                sans.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                sans.append(x509.DNSName(name))
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write_pair(cert_path, key_path, names, **kwargs):
    cert, key = make_cert(names, **kwargs)
    pathlib.Path(cert_path).write_bytes(cert_pem(cert))
    path = pathlib.Path(key_path)
    path.touch(mode=0o600)
    path.write_bytes(key_pem(key))
    path.chmod(0o600)
