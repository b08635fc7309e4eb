# SPDX-License-Identifier: Apache-2.0
"""clmbot keystore show, as a person and as a program meets it. What it says of many stores: tests/keystores."""
import json
import os
import shutil
import subprocess

import pytest

from harness.base import BOT, TOP
from test_commands import check_page

STORES = TOP / "tests" / "fixtures" / "keystores"
PKI = TOP / "tests" / "fixtures" / "pki"


def show(*args, **options):
    return subprocess.run([str(BOT), "keystore", "show", *map(str, args)], text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False, **options)


@pytest.fixture
def secret(tmp_path):
    """Writes a password file; gives its path."""
    def write(text, mode=0o600):
        path = tmp_path / "password"
        path.write_text(text)
        path.chmod(mode)
        return path
    return write


@pytest.fixture
def p12(tmp_path):
    path = tmp_path / "a.p12"
    subprocess.run(["openssl", "pkcs12", "-export", "-inkey", PKI / "www.key", "-in", PKI / "www.pem", "-name", "Www", "-passout",
                    "pass:changeit", "-out", path], check=True)
    return path


@pytest.mark.parametrize("name", ["java17.jks", "java17.jceks", "java17-secret.jceks"])
def test_json_is_what_its_page_says(secret, name):
    for password in ((), ("--password-file", secret("changeit\nanother line\n"))):
        done = show(STORES / name, "--json", *password)
        assert (done.returncode, done.stderr) == (0, "")
        doc = json.loads(done.stdout)
        check_page("keystore", doc)
        assert doc["is_checked"] == bool(password)
        assert bool(doc["read_only"]) == ("secret" in name)


def test_json_of_pkcs12(secret, p12):
    done = show(p12, "--json", "-p", secret("changeit\r\n"))
    assert (done.returncode, done.stderr) == (0, "")
    doc = json.loads(done.stdout)
    check_page("keystore", doc)
    assert doc["type"] == "pkcs12" and doc["integrity"].startswith("HMAC-SHA-256")
    assert [(e["alias"], e["kind"], e["key"]) for e in doc["entries"]][0] == ("Www", "key", "matches")


def test_pkcs12_without_its_password_is_locked(p12):
    done = show(p12, "--json")
    assert done.returncode == 1
    doc = json.loads(done.stdout)
    check_page("keystore", doc)
    assert doc["is_locked"] and not doc["is_checked"]
    assert "without --password-file" in show(p12).stdout


def test_each_key_is_tried(secret):
    doc = json.loads(show(STORES / "java17.jks", "--json", "-p", secret("changeit")).stdout)
    keys = {e["alias"]: e["key"] for e in doc["entries"]}
    assert keys == {"root": None, "straße-鍵-🔑": "locked", "server": "matches"}


def test_text_names_entries_and_chains(secret):
    done = show(STORES / "java17.jks", "-p", secret("changeit"), env={"LANG": "C.UTF-8", "PATH": os.environ["PATH"]})
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].endswith("java17.jks: jks, 3 entries, SHA-1 digest, password is right")
    assert lines[1].split() == ["ALIAS", "KIND", "KEY", "CREATED", "CERTIFICATE", "LEFT", "TYPE", "SHA-256"]
    server = next(line for line in lines if line.startswith("server"))
    assert server.split()[1:5] == ["key", "matches", "2026-11-21", "CN=leaf"]
    assert lines[-1] == "keys are protected by SHA-1 key stream"


def test_a_wrong_password_is_said(secret, p12):
    for path in (STORES / "java17.jks", STORES / "java17.jceks", p12):
        done = show(path, "-p", secret("wrong"))
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr == f"clmbot: keystore '{path}': wrong password, or the file was changed\n"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_password_file_others_can_read_is_refused(secret, mode):
    path = secret("changeit", mode)
    done = show(STORES / "java17.jks", "-p", path)
    assert done.returncode == 2
    assert done.stderr == f"clmbot: password file '{path}' can be read by others (mode {mode:04o}); do: chmod 0600 '{path}'\n"


def test_a_password_file_of_another_user_is_refused(secret):
    path = secret("changeit")
    os.chown(path, 65534, -1)
    done = show(STORES / "java17.jks", "-p", path)
    assert done.returncode == 2 and "could exchange it; do: chown root" in done.stderr


def test_only_regular_files_are_read(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    assert "password file" in show(STORES / "java17.jks", "-p", fifo).stderr
    for path in (fifo, tmp_path, "/dev/zero"):
        done = show(path)
        assert done.returncode == 2 and done.stderr == f"clmbot: keystore '{path}' is not a regular file\n"
    assert "No such file" in show(tmp_path / "none").stderr


def test_other_files_are_named(tmp_path):
    bag = tmp_path / "a.p7b"
    subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", PKI / "www.pem", "-outform", "DER", "-out", bag], check=True)
    der = tmp_path / "a.der"
    subprocess.run(["openssl", "x509", "-in", PKI / "www.pem", "-outform", "DER", "-out", der], check=True)
    bks = tmp_path / "a.bks"
    bks.write_bytes(b"\0\0\0\2\0\0\0\x14" + bytes(100))
    for path, what in ((PKI / "www.pem", "is no keystore but PEM; such files are shown by: clmbot certs"),
                       (bag, "is no keystore but a PKCS#7 bag of certificates; such files are shown by: clmbot certs"),
                       (der, "is no keystore but DER; such files are shown by: clmbot certs"),
                       (bks, "is a keystore of BouncyCastle (BKS, UBER, BCFKS), which is not supported"),
                       ("/etc/passwd", "is no keystore: neither PKCS#12 nor JKS nor JCEKS")):
        done = show(path)
        assert done.returncode == 2 and done.stderr == f"clmbot: '{path}' {what}\n"


def test_names_do_not_decide(tmp_path, secret):
    path = shutil.copy(STORES / "java17.jks", tmp_path / "a.p12")
    assert json.loads(show(path, "--json", "-p", secret("changeit")).stdout)["type"] == "jks"


def test_a_damaged_file_is_an_error_not_a_crash(tmp_path):
    good = (STORES / "java17.jks").read_bytes()
    path = tmp_path / "a.jks"
    for n in range(8, len(good), 97):
        path.write_bytes(good[:n])
        assert show(path).returncode == 2
