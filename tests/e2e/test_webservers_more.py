# SPDX-License-Identifier: Apache-2.0
"""What nginx and Apache can be configured to besides one pair of files each, on the real servers."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from conftest import World
from harness import pki
from harness.base import Process, free_port, leaf_sha256, listens, served, until
from harness.webservers import Apache, Nginx


def _served_kind(port, name, kind, version=ssl.TLSVersion.TLSv1_2):
    """SHA-256 of the leaf that a client gets which takes keys of one kind only."""
    if version == ssl.TLSVersion.TLSv1_2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = version
        context.set_ciphers({"rsa": "ECDHE+aRSA", "ec": "ECDHE+aECDSA"}[kind])
        with socket.create_connection(("127.0.0.1", port), timeout=3) as raw:
            with context.wrap_socket(raw, server_hostname=name) as tls:
                return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()
    sigalgs = {"rsa": "RSA-PSS+SHA256", "ec": "ECDSA+SHA256"}[kind]
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name,
                          "-tls1_3", "-sigalgs", sigalgs], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, check=False).stdout
    pem = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", out, re.S)
    assert pem, out
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.group(0))).hexdigest()


def _services(agent):
    return agent.json("scan")["services"]


def _targets(agent):
    """Targets of this test's servers by id: a scan sees the whole host."""
    return {t["target"]: t for s in _services(agent) for t in s["targets"] if "clmbot.test" in str(t)}


def _blocks(path):
    return re.findall("-----BEGIN ([A-Z ]+)-----", pathlib.Path(path).read_text())


@pytest.fixture
def up(work):
    """Starts a world around a server that the test has configured."""
    made = []

    def start(kind, configure=None, write_root=None):
        it = World(work, kind)
        made.append(it)
        if write_root:
            text = it.agent.config.read_text()
            assert f'"{it.server.tls}"' in text
            it.agent.config.write_text(text.replace(f'"{it.server.tls}"', f'"{write_root}"'))
        if configure:
            configure(it.server)
        it.up()
        return it

    yield start
    for it in made:
        it.down()


# ---- RSA and ECDSA side by side ----

def _two_pairs(server, more=""):
    rsa_cert, rsa_key = server.tls / "rsa.pem", server.tls / "rsa.key"
    pki.write_pair(rsa_cert, rsa_key, server.names, key=rsa.generate_private_key(65537, 2048))
    server.rsa_cert = rsa_cert
    words = {"nginx": "ssl_certificate {};\nssl_certificate_key {};\n",
             "apache": "SSLCertificateFile {}\nSSLCertificateKeyFile {}\n"}[server.kind]
    server.write_conf(tls_extra=words.format(rsa_cert, rsa_key) + more)


TLS13 = {"nginx": "ssl_protocols TLSv1.3;", "apache": "SSLProtocol TLSv1.3"}


@pytest.mark.parametrize("version", ["any", "1.3"])
def test_rsa_and_ecdsa_are_replaced_one_by_one(up, kind, version):
    world = up(kind, lambda s: _two_pairs(s, TLS13[kind] if version == "1.3" else ""))
    server = world.server
    tls = ssl.TLSVersion.TLSv1_2 if version == "any" else ssl.TLSVersion.TLSv1_3
    targets = _targets(world.agent)
    assert {i for i in targets if server.name in i} == {f"{server.target}#rsa", f"{server.target}#ec"}
    for key, type_ in (("rsa", "rsa-2048"), ("ec", "ec-p256")):
        other = {"rsa": "ec", "ec": "rsa"}[key]
        target = targets[f"{server.target}#{key}"]
        assert target["key_kind"] == key and target["manageable"], target
        before = {k: _served_kind(server.https, server.name, k, tls) for k in ("rsa", "ec")}
        job, _ = world.order(target=target["target"], key=type_)
        assert job["state"] == "succeeded", json.dumps(job.get("result"))
        after = {k: _served_kind(server.https, server.name, k, tls) for k in ("rsa", "ec")}
        assert after[key] != before[key]
        assert after[other] == before[other]
        assert after[key] == leaf_sha256(server.rsa_cert if key == "rsa" else server.cert)
        assert " ok" in world.agent.run("verify", target["target"]).stdout


def test_a_place_for_rsa_takes_no_ecdsa(up, kind):
    world = up(kind, _two_pairs)
    before = leaf_sha256(world.server.rsa_cert)
    job, _ = world.order(target=f"{world.server.target}#rsa", key="ec-p256")
    assert job["state"] in ("failed", "rejected"), job
    assert "place of a certificate with an RSA key" in str(job), job
    assert leaf_sha256(world.server.rsa_cert) == before


# ---- key and certificates in one file ----

ORDERS = {"key first": "KC", "key last": "CK", "parameters first": "PKC"}


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_the_order_in_one_file_is_kept(up, kind, order):
    def one_file(server):
        parts = {"K": server.key.read_text(), "C": server.cert.read_text(),
                 "P": subprocess.run(["openssl", "ecparam", "-name", "prime256v1"], check=True,
                                     capture_output=True, text=True).stdout}
        server.cert.write_text("".join(parts[p] for p in ORDERS[order]))
        server.cert.chmod(0o600)
        server.key.unlink()
        conf = server.conf.read_text()
        if kind == "nginx":
            conf = conf.replace(str(server.key), str(server.cert))
        else:
            conf = conf.replace(f"SSLCertificateKeyFile {server.key}", "")
        server.conf.write_text(conf)

    world = up(kind, one_file)
    job, _ = world.order()
    assert job["state"] == "succeeded", json.dumps(job.get("result"))
    assert world.server.served() == world.server.installed()
    blocks = _blocks(world.server.cert)
    key = blocks.index("PRIVATE KEY")
    assert key == (len(blocks) - 1 if order == "key last" else 0), blocks
    assert set(blocks) == {"PRIVATE KEY", "CERTIFICATE"} and len(blocks) >= 3, blocks
    assert (world.server.cert.stat().st_mode & 0o777) == 0o600


def test_apache_with_a_chain_file(up):
    def chain(server):
        ca = pki.make_cert(["Test CA"], is_ca=True)
        (server.tls / "chain.pem").write_bytes(pki.cert_pem(ca[0]))
        pki.write_pair(server.cert, server.key, server.names, issuer=ca)
        server.write_conf(tls_extra=f"SSLCertificateChainFile {server.tls}/chain.pem")

    world = up("apache", chain)
    old = (world.server.tls / "chain.pem").read_bytes()
    job, _ = world.order()
    assert job["state"] == "succeeded", json.dumps(job.get("result"))
    assert _blocks(world.server.cert) == ["CERTIFICATE"]
    assert (world.server.tls / "chain.pem").read_bytes() != old
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{world.server.https}", "-showcerts",
                            "-servername", world.server.name], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, check=False).stdout
    assert shown.count("BEGIN CERTIFICATE") == 1 + len(_blocks(world.server.tls / "chain.pem"))


def test_apache_with_the_chain_in_the_certificates_file(up):
    world = up("apache", lambda s: s.write_conf(tls_extra=f"SSLCertificateChainFile {s.cert}"))
    job, _ = world.order()
    assert job["state"] == "succeeded", json.dumps(job.get("result"))
    assert len(_blocks(world.server.cert)) >= 2


# ---- encrypted keys ----

def _encrypt(server, password):
    subprocess.run(["openssl", "pkey", "-in", server.key, "-aes256", "-passout", f"pass:{password}", "-out",
                    f"{server.key}.new"], check=True, capture_output=True)
    os.replace(f"{server.key}.new", server.key)
    server.key.chmod(0o600)


def test_an_encrypted_key_of_nginx_stays_encrypted(up):
    def encrypted(server):
        _encrypt(server, "the second one")
        words = server.root / "words"
        words.write_text("the first one\nthe second one\n")
        words.chmod(0o600)
        server.write_conf(tls_extra=f"ssl_password_file {words};")

    world = up("nginx", encrypted)
    old = world.server.served()
    job, _ = world.order()
    assert job["state"] == "succeeded", json.dumps(job.get("result"))
    assert world.server.served() == world.server.installed() != old
    assert _blocks(world.server.key) == ["ENCRYPTED PRIVATE KEY"]
    for password, good in (("the second one", True), ("the first one", False)):
        done = subprocess.run(["openssl", "pkey", "-in", world.server.key, "-noout", "-passin",
                               f"pass:{password}"], capture_output=True, check=False)
        assert (done.returncode == 0) == good
    for path in (p for p in world.agent.root.rglob("*") if p.is_file()):
        with contextlib.suppress(FileNotFoundError):  # the agent goes on meanwhile
            assert b"the second one" not in path.read_bytes(), f"the password is in {path}"
    rolled = world.agent.run("rollback", world.server.target, check=False)
    assert rolled.returncode == 0, rolled.stdout + rolled.stderr
    assert world.server.served() == old
    assert _blocks(world.server.key) == ["ENCRYPTED PRIVATE KEY"]


def test_apache_that_asks_a_program_for_the_password_is_told_of(up):
    def asking(server):
        _encrypt(server, "x1y2")
        helper = server.root / "helper"
        helper.write_text("#!/bin/sh\necho x1y2\n")
        helper.chmod(0o755)
        server.write_conf(global_extra=f"SSLPassPhraseDialog exec:{helper}")

    world = up("apache", asking)
    target = _targets(world.agent)[world.server.target]
    assert not target["manageable"]
    assert f"SSLPassPhraseDialog exec:{world.server.root}/helper" in str(target["reasons"]), target


# ---- other builds, several instances ----

def test_another_build_in_another_prefix(up, work):
    """A binary called openresty in a prefix of its own, started with a relative -c and with -g and -e."""
    home = pathlib.Path("/opt") / f"clmbot-e2e-{os.getpid()}"
    (home / "sbin").mkdir(parents=True)
    try:
        shutil.copy(Nginx.program, home / "sbin" / "openresty")

        def start(server):
            (server.root / "conf").mkdir()
            conf = server.root / "conf" / "site.conf"
            text = re.sub(r"^pid [^\n]*\n", "", server.conf.read_text(), flags=re.M)
            conf.write_text(text)
            server.conf = conf
            server.start = lambda: _start_custom(server)

        def _start_custom(server):
            server.process = Process(
                [home / "sbin" / "openresty", "-p", server.root, "-c", "conf/site.conf", "-e",
                 server.root / "early.log", "-g", f"daemon off; pid {server.root}/x.pid;"],
                server.root / "stdout.log")
            until(lambda: server.served() or not server.process.is_running(), what="openresty")
            assert server.process.is_running(), server.process.text()

        world = up("nginx", start)
        service = [s for s in _services(world.agent) if s["pid"] == world.server.process.pid][0]
        assert service["kind"] == "nginx" and service["config_paths"][0] == str(world.server.conf), service
        plan = world.agent.json("plan", world.server.target)
        test = [s["argv"] for s in plan["steps"] if s["kind"] == "check"][0]
        assert test[-2:] == ["-g", f"daemon off; pid {world.server.root}/x.pid;"], test
        assert test[test.index("-e") + 1] == f"{world.server.root}/early.log", test
        job, _ = world.order()
        assert job["state"] == "succeeded", json.dumps(job.get("result"))
        assert world.server.served() == world.server.installed()
    finally:
        shutil.rmtree(home)


def test_instances_with_one_name_are_told_apart(up, work, kind):
    world = up(kind)
    other = type(world.server)(work / "other", name=world.server.name)
    other.start()
    try:
        want = {f"{s.target}@{s.conf}" if not str(s.conf).endswith("nginx.conf") else
                f"{s.target}@{s.root}": s for s in (world.server, other)}
        targets = {i: t for i, t in _targets(world.agent).items() if world.server.name in i}
        assert set(targets) == set(want)
        for target, server in want.items():
            assert targets[target]["cert_path"] == str(server.cert)
            assert {e["port"] for e in targets[target]["endpoints"]} == {server.https}
        # after the first one has ended, its id does not lead to the other one
        world.server.stop()
        first, second = sorted(want, key=lambda i: want[i] is other)
        assert world.agent.run("plan", first, check=False).returncode != 0
        assert str(other.cert) in world.agent.run("plan", second).stdout
    finally:
        other.stop()


@pytest.mark.skipif(not pathlib.Path("/usr/sbin/apache2ctl").exists(), reason="Debian's layout")
def test_debians_apache_instances(up, work):
    """Copies of /etc/apache2 with envvars of their own, as setup-instance makes them."""
    home = pathlib.Path("/opt") / f"clmbot-e2e-{os.getpid()}"
    home.mkdir()
    made = []

    class Instance(Apache):
        def write_conf(self, **_):
            self.dir = home / self.root.name
            shutil.copytree("/etc/apache2", self.dir, symlinks=True)
            for old in (self.dir / "sites-enabled").iterdir():
                old.unlink()
            envvars = (self.dir / "envvars").read_text()
            for name in ("RUN_DIR", "LOCK_DIR", "LOG_DIR"):
                envvars += f"\nexport APACHE_{name}={self.root}\n"
            (self.dir / "envvars").write_text(envvars + f"export APACHE_PID_FILE={self.root}/pid\n"
                                              f"export SITE_TLS={self.tls}\n")
            (self.dir / "ports.conf").write_text(f"Listen 127.0.0.1:{self.https}\nListen 127.0.0.1:{self.http}\n")
            for module in ("ssl.load", "socache_shmcb.load"):
                link = self.dir / "mods-enabled" / module
                if not link.is_symlink():
                    link.symlink_to(f"../mods-available/{module}")
            (self.dir / "sites-enabled" / "site.conf").write_text(f"""ServerName {self.name}
<Directory {self.www}>
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:{self.http}>
    ServerName {self.name}
    DocumentRoot {self.www}
</VirtualHost>
<VirtualHost 127.0.0.1:{self.https}>
    ServerName {self.name}
    SSLEngine on
    SSLCertificateFile ${{SITE_TLS}}/www.pem
    SSLCertificateKeyFile ${{SITE_TLS}}/www.key
</VirtualHost>
""")

        def start(self):
            subprocess.run(["/usr/sbin/apache2ctl", "start"], check=True, cwd="/", stdin=subprocess.DEVNULL,
                           env={"PATH": os.environ["PATH"], "APACHE_CONFDIR": str(self.dir)})
            made.append(self)
            until(self.served, what="apache2")

        def stop(self):
            try:
                os.kill(int((self.root / "pid").read_text()), signal.SIGTERM)
            except (OSError, ValueError):
                return
            until(lambda: not listens(self.https), what="the end of apache2")

    world = None
    try:
        world = World(work, "apache")
        shutil.rmtree(work / "apache")
        world.server = Instance(work / "apache")
        world.plane.__init__(work, http_port=world.server.http)
        world.up()
        other = Instance(work / "other", name=world.server.name)
        other.start()
        mine = f"{world.server.target}@{world.server.dir}"
        theirs = f"{world.server.target}@{other.dir}"
        assert {mine, theirs} <= set(_targets(world.agent))
        check = [s["argv"] for s in world.agent.json("plan", mine)["steps"] if s["kind"] == "check"]
        assert check == [["/usr/bin/env", f"APACHE_CONFDIR={world.server.dir}", "/usr/sbin/apache2ctl", "configtest"]]
        before = other.served()
        job, _ = world.order(target=mine)
        assert job["state"] == "succeeded", json.dumps(job.get("result"))
        assert world.server.served() == world.server.installed()
        assert other.served() == before == other.installed()
    finally:
        if world:
            world.down()
        for one in made:
            one.stop()
        shutil.rmtree(home)


# ---- other mounts, other roots ----

class Elsewhere:
    """nginx in a mount namespace of its own; setup: lines of a shell script that mounts things there."""

    def __init__(self, work, setup, conf=None, root=None):
        self.server = Nginx(work / "nginx")
        self.dir = self.server.root
        self.setup = setup
        self.root = root

    def start(self):
        server = self.server
        inner = f"chroot {self.root} " if self.root else ""
        script = f"set -e\nmount --make-rprivate /\n{self.setup}\nexec {inner}{server.program} -c {server.conf} -g 'daemon off;'"
        server.process = Process(["unshare", "--mount", "sh", "-c", script], server.root / "stdout.log")
        until(lambda: server.served() or not server.process.is_running(), what="nginx")
        assert server.process.is_running(), server.process.text()


def _inside(server, cert, key):
    """The certificate's paths as they are called inside."""
    server.conf.write_text(server.conf.read_text().replace(str(server.cert), cert).replace(str(server.key), key))


def test_a_directory_of_the_host_mounted_elsewhere_is_managed(up, work):
    def elsewhere(server):
        inside = server.root / "inside"
        inside.mkdir()
        _inside(server, f"{inside}/www.pem", f"{inside}/www.key")
        place = Elsewhere.__new__(Elsewhere)
        place.server, place.root = server, None
        place.setup = f"mount --bind {server.tls} {inside}"
        server.start = place.start

    world = up("nginx", elsewhere)
    target = _targets(world.agent)[world.server.target]
    assert target["manageable"], target
    assert (target["cert_path"], target["key_path"]) == (str(world.server.cert), str(world.server.key))
    old = world.server.served()
    job, _ = world.order()
    assert job["state"] == "succeeded", json.dumps(job.get("result"))
    assert world.server.served() == world.server.installed() != old


def test_a_single_file_mounted_is_refused_with_the_remedy(up, kind):
    """On this host: rename(2) onto a mount point is EBUSY, and the source's new file would not be seen."""
    mounted = []

    def mount(server):
        source = server.root / "source.pem"
        shutil.copy(server.cert, source)
        subprocess.run(["mount", "--bind", source, server.cert], check=True)
        mounted.append(server.cert)

    try:
        world = up(kind, mount)
        target = _targets(world.agent)[world.server.target]
        assert not target["manageable"]
        assert "mount its directory instead" in str(target["reasons"]), target
        before = world.server.installed()
        job, _ = world.order()
        assert job["state"] in ("failed", "rejected"), job
        assert world.server.installed() == before
    finally:
        for path in mounted:
            subprocess.run(["umount", path], check=True)


def test_a_single_file_mounted_inside_is_refused(up):
    def elsewhere(server):
        inside = server.root / "inside.pem"
        inside.touch()
        _inside(server, str(inside), str(server.key))
        place = Elsewhere.__new__(Elsewhere)
        place.server, place.root = server, None
        place.setup = f"mount --bind {server.cert} {inside}"
        server.start = place.start

    world = up("nginx", elsewhere)
    target = _targets(world.agent)[world.server.target]
    assert not target["manageable"] and target["certificate"]["sha256"] == world.server.served()
    assert "single file mounted there" in str(target["reasons"]), target


def test_a_container_is_read_with_its_own_links(up):
    """Another root: its absolute links are not ours. The private files are told of, not managed."""
    def container(server):
        root = server.root / "image"
        for name in ("usr", "etc", "lib", "lib64", "dev", "var", "tls"):
            (root / name).mkdir(parents=True)
        (root / "bin").symlink_to("usr/bin")
        real = root / "etc" / "real.pem"
        shutil.copy(server.cert, real)
        shutil.copy(server.key, root / "etc" / "real.key")
        # outside, this link leads to a file that is no certificate
        (root / "tls" / "www.pem").symlink_to("/etc/real.pem")
        (root / "tls" / "www.key").symlink_to("/etc/real.key")
        for name in ("passwd", "group", "nsswitch.conf"):
            shutil.copy(f"/etc/{name}", root / "etc" / name)
        _inside(server, "/tls/www.pem", "/tls/www.key")
        shared = root / str(server.root).lstrip("/")
        shared.mkdir(parents=True)
        place = Elsewhere.__new__(Elsewhere)
        place.server, place.root = server, root
        lines = [f"mount -t tmpfs none {root}/var"]
        for name in ("usr", "lib", "lib64", "dev"):
            if pathlib.Path("/", name).exists():
                lines.append(f"mount --rbind /{name} {root}/{name}")
        lines.append(f"mkdir -p {root}/var/log/nginx {root}/var/lib/nginx")
        place.setup = "\n".join(lines) + f"\nmount --bind {server.root} {shared}"
        server.start = place.start

    world = up("nginx", container)
    service = [s for s in _services(world.agent) if s["pid"] == world.server.process.pid][0]
    assert service["foreign_namespace"] and "runs in a container" in str(service["remarks"]), service
    target = [t for t in service["targets"] if t["target"] == world.server.target][0]
    assert target["certificate"]["sha256"] == world.server.served(), target
    # on this very disk it is provably the host's file below the image
    assert target["cert_path"].startswith("/") and target["certificate"]["key_matches"], target


# ---- attributes of files ----

@pytest.fixture
def disk(work):
    """A file system of its own, with ACLs and user attributes."""
    image, point = work / "disk.img", work / "disk"
    with image.open("wb") as out:
        out.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    point.mkdir()
    done = subprocess.run(["mount", "-o", "loop,acl,user_xattr", image, point], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        pytest.skip(f"no loop device here: {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", point], check=True)


def _facl(path):
    return subprocess.run(["getfacl", "-cpn", path], check=True, capture_output=True, text=True).stdout


def test_acl_and_attributes_are_kept_on_ext4(up, disk):
    def move(server):
        tls = disk / "tls"
        shutil.copytree(server.tls, tls)
        conf = server.conf.read_text().replace(str(server.tls), str(tls))
        server.tls, server.cert, server.key = tls, tls / "www.pem", tls / "www.key"
        server.conf.write_text(conf)
        server.key.chmod(0o640)
        subprocess.run(["setfacl", "-m", "u:12345:r", server.key], check=True)
        # new files in the directory would take this one
        subprocess.run(["setfacl", "-d", "-m", "u:54321:rw", tls], check=True)
        os.setxattr(server.key, "user.ticket", b"4711")
        os.setxattr(server.cert, "user.owner", b"web team")

    world = up("nginx", move, write_root=disk / "tls")
    before = {p: (_facl(p), p.stat().st_mode) for p in (world.server.key, world.server.cert)}
    job, _ = world.order()
    assert job["state"] == "succeeded", json.dumps(job.get("result"))
    assert {p: (_facl(p), p.stat().st_mode) for p in before} == before
    assert "user:12345:r" in before[world.server.key][0] and "54321" not in str(before)
    assert os.getxattr(world.server.key, "user.ticket") == b"4711"
    assert os.getxattr(world.server.cert, "user.owner") == b"web team"


def test_a_linked_directory_of_the_administrators_is_kept(up, work, kind):
    def link(server):
        real = server.root / "real"
        server.tls.rename(real)
        server.tls.symlink_to("real")

    real = work / kind / "real"
    world = up(kind, link, write_root=real)
    job, _ = world.order()
    assert job["state"] == "succeeded", json.dumps(job.get("result"))
    assert os.readlink(world.server.tls) == "real"
    assert not (real / "www.pem").is_symlink()
    assert world.server.served() == leaf_sha256(real / "www.pem")


def test_hard_links_are_refused(up):
    world = up("nginx", lambda s: os.link(s.cert, s.root / "second-name.pem"))
    target = _targets(world.agent)[world.server.target]
    assert not target["manageable"] and "more than one name" in str(target["reasons"]), target


# ---- validation files, messages ----

def test_the_validation_file_goes_to_the_server_of_the_target(up, work):
    world = up("nginx")
    other = Nginx(work / "other", name=world.server.name)
    other.start()
    try:
        # the control plane validates at the first one's port: a file in the other's root is not found
        job, _ = world.order(target=f"{world.server.target}@{world.server.conf.parent}"
                             if world.server.conf.name == "nginx.conf" else world.server.target)
        assert job["state"] == "succeeded", json.dumps(job.get("result"))
        assert not (other.www / ".well-known").exists()
    finally:
        other.stop()


def test_what_the_configuration_test_says_reads_well(up):
    world = up("apache")
    world.order()
    with world.server.conf.open("a") as conf:
        conf.write("SSLCertificateFile /nowhere/at/all.pem\n")
    job, _ = world.order()
    assert job["state"] in ("failed", "rejected"), job
    text = str(job)
    assert "/nowhere/at/all.pem" in text, job
    assert ":; " not in text and ".; " not in text, job


def test_plan_says_whether_the_test_ran(up, kind):
    world = up(kind)
    target = world.server.target
    assert "No program was run" in world.agent.run("plan", target).stdout
    assert "tests" not in world.agent.json("plan", target)
    good = world.agent.run("plan", target, "--check")
    assert "finds the configuration good" in good.stdout
    with world.server.conf.open("a") as conf:
        conf.write({"nginx": "no_such_directive 1;\n", "apache": "NoSuchDirective 1\n"}[kind])
    bad = world.agent.run("plan", target, "--check", check=False)
    assert bad.returncode == 2, bad.stdout + bad.stderr
    assert "no_such_directive" in bad.stdout.lower().replace("nosuchdirective", "no_such_directive")
    tests = world.agent.json("plan", target, "--check", check=False)["tests"]
    assert [t["status"] != 0 for t in tests] == [True] and tests[0]["output"], tests
    assert world.server.served() == world.server.installed()
