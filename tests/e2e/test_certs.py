# SPDX-License-Identifier: Apache-2.0
"""The inventory of certificate files, and what is told of one target: on real files, with real servers."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.request

import pytest

from conftest import World
from harness import pki
from harness.agent import Agent
from harness.base import BOT, leaf_sha256, until
from harness.webservers import SERVERS


class Searcher(Agent):
    """An agent that looks below one directory of its own, and is never started."""

    def __init__(self, work, **files):
        super().__init__(work / "agent")
        self.tree = work / "tree"
        self.tree.mkdir()
        self.set_files(**files)

    def set_files(self, **files):
        files = {"roots": [str(self.tree)], **files}
        text = "".join(line for line in self.config.read_text().splitlines(True) if not line.startswith("scan:"))
        self.config.write_text(f"scan: {json.dumps({'interval': 0, 'files': files})}\n{text}")

    def certs(self, *args, code=None):
        if "--path" not in args:
            args = (*args, "--path", f"{self.tree.parent}*")  # servers of other tests are none of ours
        done = self.run("certs", "--json", *args, check=False)
        assert done.returncode in ((0, 1) if code is None else (code,)), done
        doc = json.loads(done.stdout)
        return doc, {f["path"].removeprefix(str(self.tree)): f for f in doc["files"]
                     if f["path"].startswith(str(self.tree))}

    def pair(self, name, **options):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cert, key = pki.make_cert([f"{path.stem}.clmbot.test"], **options)
        path.write_bytes(pki.cert_pem(cert))
        return path, cert, key


@pytest.fixture
def searcher(work):
    return Searcher(work)


# ---- what is found ----

def test_formats_are_told_by_content(searcher):
    path, cert, key = searcher.pair("a.crt", days=90)
    der = pki.serialization.Encoding.DER
    (searcher.tree / "der.txt").write_bytes(cert.public_bytes(der))
    subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", path, "-out", searcher.tree / "bag"], check=True)
    subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", path, "-outform", "DER",
                    "-out", searcher.tree / "bag.der"], check=True)
    (searcher.tree / "k.pem").write_bytes(pki.key_pem(key))
    (searcher.tree / "k.pem").chmod(0o600)
    subprocess.run(["openssl", "pkcs12", "-export", "-in", path, "-inkey", searcher.tree / "k.pem", "-name", "www",
                    "-passout", "pass:secret", "-out", searcher.tree / "store"], check=True)
    subprocess.run(["openssl", "x509", "-in", path, "-text", "-out", searcher.tree / "with-text"], check=True)
    (searcher.tree / "server.pem").write_text("# nothing here\n")
    doc, files = searcher.certs(code=0)
    assert {p: f["format"] for p, f in files.items()} == {
        "/a.crt": "pem", "/bag": "pkcs7", "/bag.der": "pkcs7", "/der.txt": "der", "/k.pem": "pem", "/store": "pkcs12",
        "/with-text": "pem"}
    leaf = leaf_sha256(path)
    for name in ("/a.crt", "/bag", "/bag.der", "/der.txt", "/with-text"):
        assert files[name]["entries"][0]["certificate"]["sha256"] == leaf, name
        assert files[name]["entries"][0]["key_matches"] is True, name
    assert files["/store"]["locked"] is True
    assert files["/k.pem"]["entries"] == [{"alias": None, "kind": "key", "certificate": None, "chain_ok": None,
                                           "key_matches": None}]
    assert doc["counts"]["complete"] is True and doc["counts"]["found"] >= 7
    assert "PRIVATE" not in json.dumps(doc)


@pytest.mark.parametrize("algorithm, key, problems", [
    (["rsa:1024"], "rsa-1024", ["weak_key"]), (["rsa:2048"], "rsa-2048", []), (["ed25519"], "ed25519", []),
    (["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"], "ec-p384", [])])
def test_keys_that_cannot_be_installed_are_told_of_all_the_same(searcher, algorithm, key, problems):
    subprocess.run(["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-subj", "/CN=odd.clmbot.test",
                    "-addext", "basicConstraints=critical,CA:false", "-days", "90",
                    "-keyout", searcher.tree / "k", "-out", searcher.tree / "c"], check=True, capture_output=True)
    _, files = searcher.certs()
    assert files["/c"]["entries"][0]["certificate"]["key"] == key
    assert files["/c"]["problems"] == problems
    assert files["/c"]["entries"][0]["key_matches"] is (None if key == "ed25519" else True)


def test_filters_and_exit_status(searcher):
    searcher.pair("good/a.pem", days=200)
    searcher.pair("soon/b.pem", days=5)
    searcher.pair("old/c.pem", days=-2, start_days=-9)
    assert set(searcher.certs(code=1)[1]) == {"/good/a.pem", "/soon/b.pem", "/old/c.pem"}
    assert set(searcher.certs("--problems", code=1)[1]) == {"/soon/b.pem", "/old/c.pem"}
    assert set(searcher.certs("--expiring", "0", code=1)[1]) == {"/old/c.pem"}
    assert set(searcher.certs("--expiring", "201", code=1)[1]) == {"/good/a.pem", "/soon/b.pem", "/old/c.pem"}
    assert set(searcher.certs("--path", "*/good/*", code=0)[1]) == {"/good/a.pem"}
    assert set(searcher.certs("--path", "*/good/*", "--problems", code=0)[1]) == set()
    assert searcher.certs("--in-use", code=0)[1] == {}
    searcher.set_files(ignore=["*/old/*", "*/soon/*"])
    _, files = searcher.certs(code=0)
    assert files["/old/c.pem"]["status"] == "ignored" and files["/old/c.pem"]["problems"] == []
    searcher.set_files(mode="off")
    done = searcher.run("certs", check=False)
    assert done.returncode == 2 and "scan.files.mode" in done.stderr


# ---- what must not hurt ----

def test_bad_input_neither_stops_nor_steers(searcher):
    tree = searcher.tree
    good, cert, _ = searcher.pair("z/good.pem", days=90)
    os.mkfifo(tree / "pipe.pem")
    os.mknod(tree / "zero.pem", 0o600 | 0o020000, os.makedev(1, 5))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tree / "socket.pem"))
    with (tree / "sparse.pem").open("wb") as out:
        out.truncate(2 << 30)
    with (tree / "sparse2.pem").open("wb") as out:
        out.write(good.read_bytes() + b"text\n" * 4096)
        out.truncate(2 << 30)
    (tree / "thousand.pem").write_bytes(pki.cert_pem(pki.make_cert(["ca.clmbot.test"], is_ca=True)[0]) * 1000)
    (tree / "garbage.pem").write_text("-----BEGIN CERTIFICATE-----\n" + "A" * 3000)
    (tree / "binary").write_bytes(os.urandom(70000))
    os.symlink("loop", tree / "loop")
    os.symlink("..", tree / "z" / "up")
    os.symlink("/", tree / "z" / "top")
    os.symlink("/proc/self/mem", tree / "z" / "mem")
    deep = tree
    for n in range(40):
        deep = deep / f"d{n}"
    deep.mkdir(parents=True)
    shutil.copy(good, deep / "deep.pem")
    evil = tree / "z" / "a\n\x1b]0;owned\x07\x1b[2J\u202eb.pem"
    shutil.copy(good, evil)
    raw = os.fsencode(tree) + b"/z/\xff\xfe.pem"
    pathlib.Path(os.fsdecode(raw)).write_bytes(good.read_bytes())
    doc, files = searcher.certs()
    assert len(files) == 4, files.keys()
    assert files["/thousand.pem"]["more"] == 984 and len(files["/thousand.pem"]["entries"]) == 16
    assert files["/z/\ufffd\ufffd.pem" if "/z/\ufffd\ufffd.pem" in files else "/z/??.pem"]
    assert doc["counts"]["too_large"] == 1
    notes = "\n".join(doc["remarks"])
    assert "sparse2.pem' is longer than 1048576 bytes" in notes and "is too deep" in notes
    assert "leads above the roots" in notes
    text = searcher.run("certs", check=False)
    assert "\x1b" not in text.stdout and "\x07" not in text.stdout and "\u202e" not in text.stdout
    assert "a??]0;owned??[2J?b.pem" in text.stdout
    assert sum("good.pem" in line for line in text.stdout.splitlines()) == 1


def test_a_file_that_grows_is_read_once_and_no_further(searcher):
    path, _, _ = searcher.pair("log.pem", days=90)
    writer = subprocess.Popen(["python3", "-c", f"""
import itertools
with open({str(path)!r}, "ab", buffering=0) as out:
    for _ in itertools.count():
        out.write(b"text\\n" * 2000)
        if out.tell() > 200 << 20:
            out.truncate(0)
"""])
    try:
        for _ in range(5):
            assert searcher.run("certs", check=False).returncode in (0, 1)
    finally:
        writer.kill()
        writer.wait()


def test_links_and_excluded_directories(searcher, work):
    searcher.pair("real/a.pem", days=90)
    os.link(searcher.tree / "real/a.pem", searcher.tree / "hard.pem")
    os.symlink("real/a.pem", searcher.tree / "soft.pem")
    searcher.pair("skip/b.pem", days=90)
    outside = work / "outside"
    outside.mkdir()
    shutil.copy(searcher.tree / "real/a.pem", outside / "c.pem")
    os.symlink(outside, searcher.tree / "elsewhere")
    searcher.set_files(exclude=["*/skip/*"])
    doc, files = searcher.certs(code=0)
    assert not any("skip" in path for path in files)
    assert any(f["path"] == str(outside / "c.pem") for f in doc["files"])
    names = [name for f in files.values() for name in [f["path"], *f["links"]]]
    assert sorted(n.removeprefix(str(searcher.tree)) for n in names) == ["/hard.pem", "/real/a.pem", "/soft.pem"]


def test_limits_are_said(searcher):
    for n in range(20):
        searcher.pair(f"{n}.pem", days=90)
    searcher.set_files(max_files=5)
    doc, _ = searcher.certs()
    assert doc["counts"]["complete"] is False
    assert any("scan.files.max_files" in note for note in doc["remarks"])


def test_ten_thousand_files_in_little_memory(searcher):
    """Written by one key: the search does not know that. The largest process of both halves counts."""
    script = ("import resource, subprocess, sys\n"
              "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
              "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
              "print(used.ru_maxrss, used.ru_utime + used.ru_stime)")

    def peak():
        out = subprocess.run(["/usr/bin/python3", "-c", script, BOT, "certs", "--json", "--config", searcher.config],
                             capture_output=True, text=True, check=True).stdout.split()
        return int(out[0]), float(out[1])

    _, cert, _ = searcher.pair("0/0.pem", days=90)
    text = pki.cert_pem(cert)
    for n in range(1000):
        path = searcher.tree / str(n // 100) / f"{n}.pem"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    few, _ = peak()
    for n in range(1000, 10000):
        path = searcher.tree / str(n // 100) / f"{n}.pem"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    many, cpu_s = peak()
    doc, files = searcher.certs(code=0)
    assert len(files) == 10000
    assert many <= few + 2048, f"{few} KiB for 1,000 files, {many} KiB for 10,000"
    assert cpu_s < 10, cpu_s


# ---- servers ----

def test_files_of_servers_are_joined_and_told_to_the_control_plane(work, kind):
    world = World(work, kind)
    try:
        world.agent.config.write_text(world.agent.config.read_text().replace(
            "scan: {interval: 0}", f'scan: {{interval: 0, files: {{roots: ["{world.server.root}"]}}}}'))
        world.up()
        world.agent.id = world.plane.agents()[0]["id"]

        def told():
            token = (pathlib.Path(world.plane.data) / "operator.token").read_text().strip()
            request = urllib.request.Request(
                world.plane.operator_url.rstrip("/") + f"/api/v1/inventory/files?agent_id={world.agent.id}&limit=100",
                headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                files = json.loads(answer.read())
            return {f["path"]: f for f in files["files"]}

        cert, key, target = str(world.server.cert), str(world.server.key), world.server.target
        until(lambda: cert in told(), what="the files at the control plane")
        assert told()[cert]["status"] == "monitored" and told()[cert]["in_use"] is True
        assert told()[cert]["used_by"] == [target]
        job, _ = world.order()
        assert job["state"] == "succeeded", job
        until(lambda: told()[cert]["status"] == "managed", what="the files after the order")
        files = {f["path"]: f for f in world.agent.json("certs", "--in-use", check=False)["files"]}
        assert files[cert]["status"] == files[key]["status"] == "managed"
        assert files[cert]["served_by"] == [target] and files[cert]["problems"] == []
        assert files[cert]["entries"][0]["key_matches"] is True
        assert files[cert]["entries"][0]["certificate"]["sha256"] == world.server.served()
        assert files[key]["perm"].startswith("0600")
        # a copy beside it is no file of the server, but the same certificate
        shutil.copy(cert, world.server.root / "copy.pem")
        files = {f["path"]: f for f in world.agent.json("certs", check=False)["files"]}
        copy = files[str(world.server.root / "copy.pem")]
        assert copy["in_use"] is False and copy["served_by"] == [target] and copy["status"] == "monitored"
        assert "PRIVATE KEY" not in world.agent.log()
    finally:
        world.down()


@pytest.fixture
def server(work):
    it = SERVERS["nginx"](work / "nginx")
    it.start()
    yield it
    it.stop()


def test_explain_tells_one_target_from_end_to_end(work, server):
    agent = Agent(work / "agent", write_roots=[server.tls], names=["*.clmbot.test"])
    done = agent.run("explain", server.target, check=False)
    assert done.returncode in (0, 1), done
    for word in (str(server.cert), str(server.key), "nginx", "0600 root:root", "the certificate of the file",
                 str(server.conf), "policy.targets: allowed", "clmbot has not installed anything here", "Next"):
        assert word in done.stdout, (word, done.stdout)
    doc = agent.json("explain", server.target, check=False)
    assert doc["plan"]["ok"] is True and doc["service"]["targets"][0]["target"] == server.target
    assert all(rule["allowed"] for rule in doc["policy"])
    missing = agent.run("explain", "nginx:nobody.clmbot.test", check=False)
    assert missing.returncode == 2 and "nginx:nobody.clmbot.test" in missing.stderr
    # another certificate is served than the file holds
    pki.write_pair(server.cert, server.key, server.names)
    done = agent.run("explain", server.target, check=False)
    assert done.returncode == 3 and "another certificate than the file" in done.stdout, done
    assert "reload the server" in done.stdout


def test_files_of_another_manager_need_a_policy(work, server):
    home = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-e2e.", dir="/home"))
    try:
        own = home / ".acme.sh"
        (own / server.name).mkdir(parents=True)
        (own / "account.conf").write_text("")
        (own / server.name / f"{server.name}.conf").write_text(
            f"Le_Domain='{server.name}'\nLe_RealCertPath='{server.cert}'\nLe_RealKeyPath='{server.key}'\n")
        shutil.copy(server.cert, own / server.name / "fullchain.cer")
        agent = Agent(work / "agent", write_roots=[server.tls])
        target = next(t for s in agent.json("scan", "nginx")["services"] for t in s["targets"]
                      if t["target"] == server.target)
        assert target["managed_by"] == "acme.sh" and any("policy.take_over" in r for r in target["reasons"])
        refused = agent.run("plan", server.target, check=False)
        assert refused.returncode == 2 and "policy.take_over" in refused.stderr and "acme.sh" in refused.stderr
        doc = agent.json("explain", server.target, check=False)
        assert {r["rule"]: r["allowed"] for r in doc["policy"]}["policy.take_over"] is False
        assert "acme.sh" in doc["next"]
        files = {f["path"]: f for f in agent.json("certs", "--in-use", check=False)["files"]}
        assert files[str(server.cert)]["manager"] == "acme.sh"
        assert "acme.sh" in agent.json("certs", "--in-use", check=False)["managers"]
        willing = Agent(work / "willing", write_roots=[server.tls], extra_policy="  take_over: [acme.sh]")
        assert willing.run("plan", server.target).returncode == 0
        wrong = Agent(work / "wrong", extra_policy="  take_over: [nobody]")
        assert wrong.run("config", "check", check=False).returncode == 4
    finally:
        shutil.rmtree(home)
