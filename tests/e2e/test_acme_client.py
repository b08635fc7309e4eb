# SPDX-License-Identifier: Apache-2.0
"""agent/issuer against Pebble: a real ACME server that validates over HTTP and refuses some nonces."""
import functools
import http.server
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness.base import BUILD
from harness.pebble import Pebble

TOOL = BUILD / "tests" / "clm-acme-tool"
CHALLENGES = "/.well-known/acme-challenge/"


class Handler(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path):
        assert path.startswith(CHALLENGES), path
        return super().translate_path(path[len(CHALLENGES) - 1:])

    def log_message(self, *_):
        pass


class Client:
    def __init__(self, work, pebble):
        self.pebble = pebble
        self.state = work / "state"
        self.webroot = work / "webroot"
        self.state.mkdir()
        self.webroot.mkdir()

    def run(self, command, *names, stdin=b"", ca=None):
        return subprocess.run([TOOL, self.pebble.url, ca or self.pebble.ca, self.state, self.webroot, command, *names],
                              input=stdin, capture_output=True, timeout=60)


@pytest.fixture
def http_server(work):
    made = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(work / "webroot")))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(params=[5, 20], ids=["nonces-5", "nonces-20"])
def client(request, work, http_server):
    with Pebble(work, http_server.server_address[1], nonce_reject=request.param) as pebble:
        yield Client(work, pebble)


@pytest.fixture
def one_client(work, http_server):
    with Pebble(work, http_server.server_address[1]) as pebble:
        yield Client(work, pebble)


def test_issues_over_two_processes(client):
    names = ["a.example", "b.example"]
    ordered = client.run("order", *names)
    assert ordered.returncode == 0, ordered.stderr
    finished = client.run("finish")  # a new process: nothing but files is left of the first
    assert finished.returncode == 0, finished.stderr

    chain = [x509.load_pem_x509_certificate((part + "-----END CERTIFICATE-----\n").encode())
             for part in finished.stdout.decode().split("-----END CERTIFICATE-----")[:-1]]
    assert len(chain) == 2
    alternative = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(alternative.get_values_for_type(x509.DNSName)) == names
    key = load_pem_private_key((client.state / "server.key").read_bytes(), None)
    assert chain[0].public_key().public_numbers() == key.public_key().public_numbers()

    again = client.run("finish")  # asked again, the same order gives the same certificate
    assert again.stdout == finished.stdout
    revoked = client.run("revoke", stdin=finished.stdout)
    assert revoked.returncode == 0, revoked.stderr
    twice = client.run("revoke", stdin=finished.stdout)
    assert twice.returncode == 1 and b"exists" in twice.stderr, twice.stderr


def test_a_file_that_is_not_served_fails_with_the_reason(one_client, http_server):
    http_server.shutdown()
    http_server.server_close()
    ordered = one_client.run("order", "a.example")
    assert ordered.returncode == 1
    assert b"'a.example'" in ordered.stderr and b"urn:ietf:params:acme:error:connection" in ordered.stderr
    finished = one_client.run("finish")
    assert finished.returncode == 1
    assert b"order is invalid" in finished.stderr, finished.stderr


def test_a_name_the_ca_refuses_is_told(one_client):
    ordered = one_client.run("order", "blocked-domain.example")
    assert ordered.returncode == 1
    assert b"blocked-domain.example" in ordered.stderr and b"rejectedIdentifier" in ordered.stderr


def test_the_same_key_finds_the_same_account(one_client):
    first, second = one_client.run("account"), one_client.run("account")
    assert first.returncode == 0 and first.stdout.startswith(b"https://127.0.0.1:"), first.stderr
    assert second.stdout == first.stdout
    (one_client.state / "account.key").unlink()
    assert one_client.run("account").stdout != first.stdout


def test_another_anchor_is_not_trusted(one_client, work):
    issued_under = work / "root.pem"
    issued_under.write_bytes(one_client.pebble.roots())
    ordered = one_client.run("order", "a.example", ca=issued_under)
    assert ordered.returncode == 1
    assert b"auth:" in ordered.stderr and b"127.0.0.1" in ordered.stderr
