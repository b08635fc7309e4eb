#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Peers for the tests of agent/net: one HTTP peer and TLS peers of every kind.

Usage: peer.py DIRECTORY. Writes certificates to DIRECTORY, starts everything on loopback, prints one
line "name port" for each peer and "ready". When its standard input is closed it removes DIRECTORY and ends.
"""
import datetime
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is there on purpose
NOW = datetime.datetime.utcnow()
DAY = datetime.timedelta(days=1)
RELEASE = threading.Event()  # never set: what hangs hangs until the end


def make_cert(cn, issuer=None, days=(-1, 30), ca=False, names=(), key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        alt = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
        builder = builder.add_extension(alt, critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write(path, cert, key, chain=()):
    pem = serialization.Encoding.PEM
    with open(path + ".pem", "wb") as f:
        for one in (cert, *chain):
            f.write(one.public_bytes(pem))
    with open(path + ".key", "wb") as f:
        f.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
    with open(path + ".der", "wb") as f:
        f.write(cert.public_bytes(serialization.Encoding.DER))


def serve(name, handler, host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, 0))
    listener.listen(16)
    number = [0]

    def loop():
        while True:
            conn, _ = listener.accept()
            number[0] += 1
            threading.Thread(target=guarded, args=(conn, number[0]), daemon=True).start()

    def guarded(conn, n):
        try:
            handler(conn, n)
        except OSError:
            pass
        finally:
            conn.close()

    threading.Thread(target=loop, daemon=True).start()
    print(name, listener.getsockname()[1])


def read_request(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(65536)
        if not piece:
            return None, None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.split(b"\r\n")[1:]:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += conn.recv(65536)
    return head, body


def reply(body=b"", status="200 OK", headers=()):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


CHUNKED_BIG = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               + b"1000\r\n" + b"x" * 4096 + b"\r\n")

ANSWERS = {
    "/fields": reply(b"{}", "201 Created", (
        "Content-Type: Application/JSON; charset=utf-8", "Location: https://a.example/x",
        'ETag: "v1"', "Clm-Request-Id: req_1", "Clm-Next-Poll: 0", "Clm-Job-State: leased",
        "Date: Sat, 21 Nov 2026 01:52:25 GMT", "Replay-Nonce: abc-_", "Retry-After: 17",
        'Link: <https://a.example/index>;rel="index"', 'Link: <https://a.example/up>;rel="up"')),
    "/redirect": reply(b"", "302 Found", ("Location: http://127.0.0.1:1/elsewhere",)),
    "/announced": b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
    "/continue": b"HTTP/1.1 103 Early Hints\r\nLocation: https://wrong.example/\r\n\r\n" + reply(b"ok"),
    "/long-location": reply(b"", "200 OK", ("Location: https://a.example/" + "y" * 600,)),
    "/many-headers": reply(b"", "200 OK", [f"X-{i}: " + "z" * 1000 for i in range(80)]),
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "/no-http": b"220 mail.example ESMTP\r\n",
    "/unfinished": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "/gzip": reply(b"\x1f\x8b\x08not gzip", "200 OK", ("Content-Encoding: gzip",)),
}
CLOSING = {"/cut", "/no-http"}


def http(conn, number):
    while True:
        head, body = read_request(conn)
        if head is None:
            return
        path = head.split(b" ")[1].decode()
        if path == "/echo":
            conn.sendall(reply(head + b"\n\n" + body))
        elif path == "/connection":
            conn.sendall(reply(str(number).encode()))
        elif path == "/endless":
            conn.sendall(CHUNKED_BIG)
            while True:
                conn.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        elif path == "/silence":
            RELEASE.wait()
        elif path in ANSWERS:
            conn.sendall(ANSWERS[path])
            if path == "/unfinished":
                RELEASE.wait()
            if path in CLOSING:
                return
        else:
            conn.sendall(reply(b"", "404 Not Found"))


def tls(cert, versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), client_ca=None, sni=None,
        also=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = versions
    if versions[0] < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    for one in (cert, *also):
        context.load_cert_chain(one + ".pem", one + ".key")
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca + ".pem")
    if sni:
        others = {}
        for name, path in sni.items():
            others[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            others[name].load_cert_chain(path + ".pem", path + ".key")

        def choose(sock, name, _):
            if name in others:
                sock.context = others[name]

        context.sni_callback = choose

    def handler(conn, number):
        raw = conn.dup()  # wrap_socket takes conn away, also when it fails
        try:
            with context.wrap_socket(conn, server_side=True) as wrapped:
                http(wrapped, number)
        except ssl.SSLError:
            # a close with unread bytes is a reset, which would overtake the alert
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        finally:
            raw.close()

    return handler


def main(directory):
    at = lambda name: os.path.join(directory, name)
    ca, middle = make_cert("Test CA", ca=True), None
    middle = make_cert("Test Middle", ca, ca=True)
    other_ca = make_cert("Other CA", ca=True)
    new_rsa = lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    rsa_ca = make_cert("RSA CA", ca=True, key=new_rsa())
    write(at("ca"), *ca)
    write(at("other-ca"), *other_ca)
    write(at("good"), *make_cert("good", middle, names=["good.example"]), chain=[middle[0]])
    write(at("second"), *make_cert("second", ca, names=["second.example"]))
    write(at("expired"), *make_cert("expired", ca, days=(-9, -2), names=["expired.example"]))
    write(at("self"), *make_cert("self", names=["self.example"]))
    write(at("client"), *make_cert("client", ca))
    write(at("stranger"), *make_cert("stranger", other_ca))

    # the system's trust anchors as libcurl of Debian looks for them
    os.mkdir(at("system"))
    hashed = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", at("ca.pem")], check=True,
                            capture_output=True, text=True).stdout.strip()
    for name in ("ca-certificates.crt", hashed + ".0"):
        shutil.copy(at("ca.pem"), os.path.join(at("system"), name))

    v = ssl.TLSVersion
    serve("http", http)
    serve("http6", http, "::1")
    serve("tls", tls(at("good"), sni={"second.example": at("second")}))
    serve("tls6", tls(at("good")), "::1")
    serve("tls13", tls(at("good"), (v.TLSv1_3, v.TLSv1_3)))
    serve("tls12", tls(at("good"), (v.TLSv1_2, v.TLSv1_2)))
    serve("tls11", tls(at("good"), (v.TLSv1_1, v.TLSv1_1)))
    serve("expired", tls(at("expired")))
    serve("self", tls(at("self")))
    serve("mutual13", tls(at("good"), (v.TLSv1_3, v.TLSv1_3), at("ca")))
    serve("mutual12", tls(at("good"), (v.TLSv1_2, v.TLSv1_2), at("ca")))
    # the chain of the ECDSA certificate is signed by ECDSA keys, that of "rsa" by an RSA key; the
    # leaf "mixed" has an EC key and an RSA issuer
    write(at("rsa"), *make_cert("rsa", rsa_ca, names=["good.example"], key=new_rsa()))
    write(at("mixed"), *make_cert("mixed", rsa_ca, names=["good.example"]))
    both = [at("good")]
    serve("both13", tls(at("rsa"), (v.TLSv1_3, v.TLSv1_3), also=both))
    serve("both12", tls(at("rsa"), (v.TLSv1_2, v.TLSv1_2), also=both))
    serve("both11", tls(at("rsa"), (v.TLSv1_1, v.TLSv1_1), also=both))
    serve("both", tls(at("rsa"), also=both))
    serve("mixed", tls(at("rsa"), also=[at("mixed")]))
    serve("silent", lambda conn, _: RELEASE.wait())
    serve("closing", lambda conn, _: conn.recv(1))
    print("ready", 0, flush=True)
    sys.stdin.read()
    shutil.rmtree(directory)


main(sys.argv[1])
