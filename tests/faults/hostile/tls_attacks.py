# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong before the first byte of HTTP. Each is a greeting of the plane, for the
connections from the given one on (the first of an enrolment only fetches certificates, unverified)."""
import os
import ssl
import struct
import time
import warnings

import papers

NOT_TRUSTED, NO_TLS = "the TLS certificate is not trusted", "no TLS session"
warnings.simplefilter("ignore", DeprecationWarning)


def certificate(make):
    """A handshake with another certificate; make(plane) gives the context."""
    def greet(sock, plane):
        return make(plane).wrap_socket(sock, server_side=True)
    return greet


def says(*parts, pause_s=0.0):
    """Bytes instead of a handshake, after the client's first ones."""
    def greet(sock, _plane):
        sock.recv(65536)
        for part in parts:
            sock.sendall(part)
            time.sleep(pause_s)
        sock.close()
    return greet


def quiet(first=b""):
    """Takes the connection and then nothing, for longer than anybody waits."""
    def greet(sock, _plane):
        sock.settimeout(100)
        sock.recv(65536)
        sock.sendall(first)
        while sock.recv(65536):
            pass
    return greet


def old(version):
    def make(plane):
        context = plane.make_context(*plane.server_pair)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        return context
    return certificate(make)


def expired(plane):
    return plane.other_context(start_days=-9, days=-1)


def weak_key(plane):
    key = papers.rsa_key(1024)
    cert = papers.issue(key.public_key(), plane.server_names, plane.ca)
    context = plane.make_context(*plane.server_pair)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return _with(plane, papers.pem(cert), papers.pem(key))


def _with(plane, cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    path = f"/tmp/pair-{id(plane)}-{time.monotonic_ns()}"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
        file.write(key + cert)
    context.load_cert_chain(path)
    os.unlink(path)
    return context


def chain_of(n):
    """Our certificate with n others behind it."""
    def make(plane):
        cert, key = plane.server_pair
        return _with(plane, cert + papers.Authority("padding").pem * n, key)
    return make


def below_a_leaf(plane):
    """Signed by a certificate of the same CA that is no CA."""
    key = papers.new_key()
    leaf = papers.issue(key.public_key(), ["sub.example.com"], plane.ca)
    pair = papers.new_key()
    cert = papers.issue(pair.public_key(), plane.server_names, (leaf, key, leaf.subject))
    return _with(plane, papers.pem(cert) + papers.pem(leaf), papers.pem(pair))


def same_name_other_key(plane):
    return plane.other_context(papers.Authority("control plane"))


def record(kind, body, version=0x0303):
    return struct.pack(">BHH", kind, version, len(body)) + body


WARNING = record(21, b"\x01\x5a")
TABLE = {
    "other-authority": (certificate(lambda p: p.other_context(papers.Authority("other"))), NOT_TRUSTED),
    "same-name-other-key": (certificate(same_name_other_key), NO_TLS),
    "self-signed": (certificate(lambda p: p.other_context(papers.Authority("127.0.0.1", is_ca=False))), NOT_TRUSTED),
    "other-name": (certificate(lambda p: p.other_context(names=["evil.example.com", "10.0.0.1"])), ""),
    "no-name": (certificate(lambda p: p.other_context(names=[], name="evil")), NOT_TRUSTED),
    "expired": (certificate(expired), NOT_TRUSTED),
    "not-yet-valid": (certificate(lambda p: p.other_context(start_days=5)), NOT_TRUSTED),
    "for-clients-only": (certificate(lambda p: p.other_context(eku=(papers.CLIENT,))), NOT_TRUSTED),
    "issued-by-a-leaf": (certificate(below_a_leaf), NOT_TRUSTED),
    "rsa-1024": (certificate(weak_key), NOT_TRUSTED),
    "chain-of-1000": (certificate(chain_of(1000)), ""),
    "tls-1.0": (old(ssl.TLSVersion.TLSv1), NO_TLS),
    "tls-1.1": (old(ssl.TLSVersion.TLSv1_1), NO_TLS),
    "plain-http": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), NO_TLS),
    "garbage": (says(os.urandom(5000)), NO_TLS),
    "ssh": (says(b"SSH-2.0-OpenSSH_9.2p1\r\n"), NO_TLS),
    "close-at-once": (says(), ""),
    "alert-fatal": (says(record(21, b"\x02\x28")), NO_TLS),
    "alerts-without-end": (says(*([WARNING * 1000] * 50)), ""),
    "heartbeat": (says(record(24, b"\x01\xff\xff" + b"a" * 16)), NO_TLS),
    "record-too-long": (says(struct.pack(">BHH", 22, 0x0303, 65535) + b"\x02" * 65535), NO_TLS),
    "hello-too-long": (says(record(22, b"\x02\xff\xff\xff" + b"a" * 16000) * 20), NO_TLS),
    "sslv2": (says(b"\x80\x2e\x04\x00\x01\x00\x02"), NO_TLS),
    "silence": (quiet(), "limit", 11),
    "silence-in-the-handshake": (quiet(record(22, b"\x02\x00")[:4]), "limit", 11),
    "a-byte-at-a-time": (says(*(bytes([b]) for b in record(22, b"\x02\x00\x00\x56" + b"\x03\x03" + b"a" * 400)), pause_s=0.2),
                         "limit", 11),
}
