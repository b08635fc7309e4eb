# SPDX-License-Identifier: Apache-2.0
"""Replacing one key entry of a keystore: clmbot's library beside keytool and openssl."""
import pathlib
import shutil
import statistics
import subprocess
import time

from harness.base import BUILD

EDIT = BUILD / "tests" / "keystore_edit"
PASSWORD = "changeit"
COUNTS = (1, 100)


def call(*argv, stdin=None):
    done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{pathlib.Path(argv[0]).name}: {done.stderr.decode(errors='replace').strip()[-200:]}")


def built():
    """The program that edits is no part of a release build, but of its rules."""
    if not EDIT.exists():
        done = subprocess.run(["cmake", "--build", str(BUILD), "--target", "keystore_edit"], capture_output=True, check=False)
        if done.returncode != 0:
            return False
    return EDIT.exists()


def material(folder):
    """key-0.pem .. key-3.pem and chain-0.pem ..: what keystore_edit makes a store of. EC P-256, one CA."""
    ca_key, ca = folder / "ca.key", folder / "ca.pem"
    ec = ("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out")
    call(*ec, ca_key)
    call("openssl", "req", "-x509", "-new", "-key", ca_key, "-subj", "/CN=Bench CA", "-days", "30", "-out", ca)
    for i in range(4):
        call(*ec, folder / f"key-{i}.pem")
    for i in range(max(COUNTS)):
        request = folder / "request.pem"
        call("openssl", "req", "-new", "-key", folder / f"key-{i % 4}.pem", "-subj", f"/CN=e{i}.example", "-out", request)
        leaf = folder / "leaf.pem"
        call("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-set_serial", str(1000 + i), "-days", "30",
             "-out", leaf)
        (folder / f"chain-{i}.pem").write_bytes(leaf.read_bytes() + ca.read_bytes())


def median(work, before, runs):
    """Median seconds of work(); before() puts the store back, outside the clock."""
    times = []
    for _ in range(runs + 1):  # the first run warms the page cache
        before()
        start = time.monotonic()
        work()
        times.append(time.monotonic() - start)
    return statistics.median(times[1:])


def run(work, runs, report):
    if not built():
        report.missing(f"keystore: {EDIT} is not built")
        return
    password = work / "password"
    password.write_text(PASSWORD)
    material(work)
    has_keytool = shutil.which("keytool") is not None
    if not has_keytool:
        report.missing("keytool is not measured: it is not installed")
    new_pair = work / "new.p12"
    call("openssl", "pkcs12", "-export", "-inkey", work / "key-1.pem", "-in", work / "chain-1.pem", "-name", "e0", "-passout",
         f"file:{password}", "-out", new_pair)
    for count in COUNTS:
        made, store = work / f"{count}.p12", work / "edited.p12"
        call(EDIT, "new", "pkcs12", made, count, work, password)
        restore = lambda: shutil.copy(made, store)
        ours = median(lambda: call(EDIT, "replace", store, "e0", work / "key-1.pem", work / "chain-1.pem", password), restore, runs)
        keytool = openssl = None
        if has_keytool:
            keytool = median(lambda: call(
                "keytool", "-importkeystore", "-noprompt", "-srckeystore", new_pair, "-srcstoretype", "PKCS12", "-destkeystore", store,
                "-deststoretype", "PKCS12", "-srcstorepass:file", password, "-deststorepass:file", password, "-alias", "e0"),
                restore, runs)
        report.figure(f"keystore-edit-{count}", "keytool", ours, keytool, "s")
        if count == 1:  # it writes files of one entry only, and always anew
            openssl = median(lambda: call(
                "openssl", "pkcs12", "-export", "-inkey", work / "key-1.pem", "-in", work / "chain-1.pem", "-name", "e0", "-iter",
                "10000", "-passout", f"file:{password}", "-out", store), restore, runs)
            report.figure(f"keystore-edit-{count}", "openssl", ours, openssl, "s")
