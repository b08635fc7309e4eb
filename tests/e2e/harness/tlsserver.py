# SPDX-License-Identifier: Apache-2.0
"""A program that clmbot does not know: a TLS server that reads its files when it is told.

As a program: tlsserver.py PORT CERT KEY STATE, with KEY "pkcs12:PASSWORDFILE" if CERT is a keystore. SIGHUP
reads the files again; if that fails it goes on with what it has. STATE counts how often it was told.
"""
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))


def context_of(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if not key.startswith("pkcs12:"):
        context.load_cert_chain(cert, key)
        return context
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12
    password = pathlib.Path(key[len("pkcs12:"):]).read_bytes().split(b"\n")[0]
    private, leaf, more = pkcs12.load_key_and_certificates(pathlib.Path(cert).read_bytes(), password)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
    for one in (leaf, *more):
        pem += one.public_bytes(serialization.Encoding.PEM)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def serve(port, cert, key, state):
    current = [context_of(cert, key)]
    told = [0]

    def again(*_):
        try:
            current[0] = context_of(cert, key)
        except Exception as why:  # pylint: disable=broad-except
            print(why, flush=True)
        told[0] += 1
        pathlib.Path(state).write_text(str(told[0]))

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    signal.signal(signal.SIGHUP, again)
    pathlib.Path(state).write_text("0")
    while True:
        peer, _ = listener.accept()
        try:
            peer.settimeout(3)
            current[0].wrap_socket(peer, server_side=True).close()
        except (OSError, ssl.SSLError):
            peer.close()


class Shop:
    """The program with its files and the hooks that root declares for it."""

    def __init__(self, root, http):
        from harness.base import free_port
        self.root = root
        root.mkdir()
        root.chmod(0o755)
        self.etc = root / "etc"
        self.etc.mkdir()
        self.port = free_port()
        self.name = f"shop{self.port}.clmbot.test"
        self.http = http
        self.cert = self.etc / "tls.crt"
        self.key = self.etc / "tls.key"
        self.state = root / "told"
        self.calls = root / "calls"
        self.process = None
        # every directory above a hook must be root's alone, which /tmp is not
        self.hooks = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-hooks.", dir="/opt"))
        self.hooks.chmod(0o755)

    def hook(self, name, text, mode=0o755):
        path = self.hooks / name
        path.write_text(f"#!/bin/sh\nenv | sort >>{self.calls}\n{text}\n")
        path.chmod(mode)
        return path

    def tell(self):
        """Text of a hook that makes the server read its files, and waits until it did."""
        return (f"was=$(cat {self.state}); kill -HUP $(cat {self.root}/pid) || exit 1\n"
                f"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do\n"
                f"  [ \"$(cat {self.state})\" = \"$was\" ] || exit 0; sleep 0.1\ndone\nexit 1")

    def start(self, key=None):
        from harness.base import Process, until
        self.process = Process([sys.executable, __file__, self.port, self.cert, key or self.key, self.state],
                               self.root / "log")
        (self.root / "pid").write_text(str(self.process.pid))
        until(lambda: self.served() or not self.process.is_running(), what="the shop")
        assert self.process.is_running(), self.process.text()

    def served(self):
        from harness.base import served
        return served(self.port, self.name)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None
        shutil.rmtree(self.hooks, ignore_errors=True)

    def public_key(self, path):
        return subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout"], capture_output=True,
                              check=True).stdout


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:5])
