# SPDX-License-Identifier: Apache-2.0
"""certbot, lego and uacme: how each one makes an account and issues for one name by the webroot."""
import os
import pathlib
import shutil
import subprocess

from website import NAME

MAIL = "ops@bench.test"


class Peer:
    """Untimed: prepare(). Timed: issue(), which returns the paths of full chain and key."""

    name = ""

    def __init__(self, root, url, www):
        self.root = pathlib.Path(root) / self.name
        self.url = url
        self.www = www
        self.root.mkdir()

    def is_installed(self):
        return shutil.which(self.name) is not None

    def command(self, *argv):
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": str(self.root)})
        if done.returncode != 0:
            raise AssertionError(f"{self.name} failed ({done.returncode}): {(done.stdout + done.stderr)[-1500:]}")

    def prepare(self):
        raise NotImplementedError

    def between(self):
        """Untimed, before each issuance."""

    def issue(self):
        raise NotImplementedError


class Certbot(Peer):
    name = "certbot"

    def common(self):
        return ["--non-interactive", "--server", self.url, "--config-dir", self.root / "conf",
                "--work-dir", self.root / "work", "--logs-dir", self.root / "logs"]

    def prepare(self):
        self.command("certbot", "register", "--agree-tos", "--no-eff-email", "-m", MAIL, *self.common())

    def issue(self):
        self.command("certbot", "certonly", "--webroot", "-w", self.www, "-d", NAME, "--key-type", "ecdsa",
                     "--elliptic-curve", "secp256r1", "--force-renewal", *self.common())
        live = self.root / "conf" / "live" / NAME
        return live / "fullchain.pem", live / "privkey.pem"


class Lego(Peer):
    name = "lego"

    def prepare(self):
        self.issue()  # it has no command that only makes the account

    def issue(self):
        self.command("lego", "--accept-tos", "--email", MAIL, "--server", self.url, "--path", self.root / "data",
                     "--domains", NAME, "--key-type", "ec256", "--http", "--http.webroot", self.www, "run")
        made = self.root / "data" / "certificates"
        return made / f"{NAME}.crt", made / f"{NAME}.key"


class Uacme(Peer):
    name = "uacme"
    HOOK = """#!/bin/sh
# method type identifier token authorization
[ "$2" = http-01 ] || exit 1
case "$1" in
begin) printf %s "$5" >"{dir}/$4" ;;
*) rm -f "{dir}/$4" ;;
esac
"""

    def prepare(self):
        place = pathlib.Path(self.www) / ".well-known" / "acme-challenge"
        place.mkdir(parents=True, exist_ok=True)
        self.hook = self.root / "hook"
        self.hook.write_text(self.HOOK.format(dir=place))
        self.hook.chmod(0o755)
        self.command("uacme", "-y", "-t", "EC", "-a", self.url, "-c", self.root / "conf", "new", MAIL)

    def between(self):
        # it names the old certificate by the second and fails when that name is taken
        for old in (self.root / "conf" / NAME).glob("cert-*.pem"):
            old.unlink()

    def issue(self):
        self.command("uacme", "-f", "-t", "EC", "-b", "256", "-a", self.url, "-c", self.root / "conf", "-h",
                     self.hook, "issue", NAME)
        conf = self.root / "conf"
        return conf / NAME / "cert.pem", conf / "private" / NAME / "key.pem"


ALL = (Certbot, Lego, Uacme)
