# SPDX-License-Identifier: Apache-2.0
"""What all parts share: where the programs are, free ports, waiting for a condition."""
import contextlib
import hashlib
import os
import pathlib
import random
import socket
import ssl
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("CLM_BUILD", TOP / "build" / "dev"))
BOT = BUILD / "bin" / "clmbot"
PLANE = BUILD / "bin" / "clmbot-controlplane"


PORTS = range(12000, 32000)  # below those that the kernel gives to outgoing connections
GIVEN = set()


def free_port():
    """A TCP port of 127.0.0.1 that nobody has; never the same twice in a process."""
    while True:
        port = random.SystemRandom().choice(PORTS)  # what is forked from this process draws others
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            if port not in GIVEN:
                GIVEN.add(port)
                return port


def until(condition, seconds=20, what="a condition", pause=0.05):
    """Polls until condition() is true and returns its value; fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(pause)


def soon(condition, seconds, what, pause=0.002):
    """until(), for what is over in a moment."""
    return until(condition, seconds, what, pause)


def listens(port, host="127.0.0.1"):
    with socket.socket() as sock:
        sock.settimeout(0.5)
        return sock.connect_ex((host, port)) == 0


def served(port, name, host="127.0.0.1"):
    """SHA-256 of the leaf that a handshake shows, or None."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout=3) as raw:
            with context.wrap_socket(raw, server_hostname=name) as tls:
                return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()
    except OSError:
        return None


def leaf_sha256(path):
    """SHA-256 of the first certificate in a PEM file."""
    text = pathlib.Path(path).read_text()
    begin = text.index("-----BEGIN CERTIFICATE-----")
    end = text.index("-----END CERTIFICATE-----", begin)
    pem = text[begin:end] + "-----END CERTIFICATE-----\n"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


class Process:
    """A child that is ended at the end of the test, and whose output is kept."""

    def __init__(self, argv, log, env=None, cwd="/"):
        self.log = pathlib.Path(log)
        self.argv = [str(a) for a in argv]
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd,
                start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        if self.is_running():
            self.popen.kill()
        self.popen.wait()

    def stop(self, seconds=10):
        if self.is_running():
            self.popen.terminate()
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.argv[0]} did not end on SIGTERM:\n{self.text()[-2000:]}") from None
