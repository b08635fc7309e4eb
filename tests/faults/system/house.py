# SPDX-License-Identifier: Apache-2.0
"""A machine with our units and three web servers, whose disk outlives its power; a control plane elsewhere."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

from harness import pki
from harness.base import soon, until
from harness.machine import BOOT, Machine, pid_one
from harness.plane import ControlPlane

from servers import POLICY, SERVERS

# what Debian starts at every boot and nobody here needs
MASKED = ("systemd-timesyncd", "systemd-udevd", "systemd-udev-trigger", "systemd-pstore", "ldconfig",
          "systemd-journal-catalog-update", "systemd-update-done", "systemd-update-utmp", "systemd-hwdb-update",
          "systemd-binfmt", "systemd-sysctl", "systemd-random-seed", "systemd-firstboot", "systemd-logind",
          "e2scrub_reap", "systemd-machine-id-commit", "systemd-boot-system-token")

# Copies what the disk holds when recovery has had its chance and no server has started yet.
LOOK = """[Unit]
Description=Copy of the certificates, before anything reads them
Before=nginx.service apache2.service haproxy.service clmbot.service clmbot-host.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/cp -a --parents /etc/nginx/tls /etc/apache2/tls /etc/haproxy/tls /var/lib/clmbot/host/txn /run/look
RuntimeDirectory=look
"""
UP = """[Unit]
Description=Everything has been started
After=nginx.service apache2.service haproxy.service clmbot.service clmbot-recover.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/touch /run/up
"""
TARGET = """[Unit]
Description=Test
Requires=dbus.service
After=dbus.service
AllowIsolate=yes
Wants=look.service up.service nginx.service apache2.service haproxy.service clmbot.service
"""


class House(Machine):
    """The machine shares this process's network, which survives it: so does the control plane."""

    NAMESPACES = "--pid --mount --uts --ipc --cgroup"

    def __init__(self, work, name):
        super().__init__(work, work)
        self.cgroup = self.cgroup.with_name(f"clmtest-{name}")
        self.outside = pathlib.Path(work) / "outside"
        self.outside.mkdir(parents=True)
        self.plane = ControlPlane(self.outside, http_port=80)
        self.allow_many_boots()
        self.disk = self.work / "disk" / "upper"
        self.agent_id = None
        self.certs = {}

    def allow_many_boots(self):
        """An agent that boots every second asks more than one request a second."""
        conf = json.loads(self.plane.config.read_text())
        self.plane.config.write_text(json.dumps({**conf, "agent_per_min": 60000, "agent_burst": 10000}))

    # ---- the disk, while the machine is off ----

    def put(self, path, data, mode=0o644):
        place = self.disk / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data if isinstance(data, bytes) else data.encode())
        place.chmod(mode)

    def make_disk(self, build, units):
        """build: whose clmbot is installed; units: the build whose units are."""
        for part in ("root", "disk"):
            (self.work / part).mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.work / "disk"], check=True)
        self.disk.mkdir()
        (self.work / "disk" / "scratch").mkdir()
        etc = "/etc/systemd/system/"
        for name, text in (("look.service", LOOK), ("up.service", UP), ("clmtest.target", TARGET)):
            self.put(etc + name, text)
        for name in MASKED:
            (self.disk / etc.lstrip("/") / f"{name}.service").symlink_to("/dev/null")
        (self.disk / "var/log/journal").mkdir(parents=True)  # the logs of all boots are kept
        for server in SERVERS:
            for path, text in server.conf.items():
                self.put(path, text)
            self.first_pair(server)
        self.put("/etc/clmbot/clmbot.yaml", POLICY)
        (self.disk / "etc/clmbot").chmod(0o755)
        for place in (build / "agent/main", units / "packaging"):
            subprocess.run(["cmake", "-DCMAKE_INSTALL_PREFIX=/usr", "-P", place / "cmake_install.cmake"], check=True,
                           capture_output=True, env={**os.environ, "DESTDIR": str(self.disk)})

    def first_pair(self, server):
        """A certificate of the administrator's own, as clmbot finds it."""
        pem, key = self.outside / "first.pem", self.outside / "first.key"
        pki.write_pair(pem, key, [server.host])
        if len(server.files) == 1:
            self.put(server.files[0], key.read_bytes() + pem.read_bytes(), 0o600)
        else:
            self.put(server.files[0], pem.read_bytes())
            self.put(server.files[1], key.read_bytes(), 0o600)

    # ---- power ----

    def boot(self, wait=True):
        """Powers it on; wait: until everything has been started, well or not."""
        self.cgroup.mkdir(exist_ok=True)
        script = BOOT.replace("--log-target=console", "--log-target=journal").format(
            cgroup=self.cgroup, lower="/", work=self.work / "disk", root=self.root, share=self.share,
            namespaces=self.NAMESPACES)
        with self.log.open("ab") as out:
            out.write(b"---- power on ----\n")
            out.flush()
            self.process = subprocess.Popen(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, start_new_session=True)
        self.pid = None
        soon(self._init, 20, "PID 1 of the machine")
        if wait:
            soon(lambda: self.inside("/run/up").exists(), 60, "the machine to boot")

    def _init(self):
        """The machine's PID 1, once it is systemd."""
        if self.process.poll() is not None:
            raise AssertionError("the machine did not start:\n" + self.log_text())
        self.pid = pid_one(self.process.pid)
        return self.pid

    def cut(self):
        """kill -9 of PID 1: the kernel ends every process of the machine with it."""
        if self.process is None:
            return
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait()
        else:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.pid = None

    def shut_down(self):
        """An orderly one: every unit is stopped first."""
        os.kill(self.pid, signal.SIGRTMIN + 4)
        try:
            self.process.wait(90)
        except subprocess.TimeoutExpired:
            raise AssertionError("the machine was told to shut down 90 s ago") from None
        self.process = None
        self.pid = None

    def log_text(self):
        return self.log.read_text(errors="replace")[-3000:]

    def inside(self, path):
        """A file of the running machine."""
        return pathlib.Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    # ---- first day ----

    def settle(self):
        """Boots for the first time, enrols, and gives each server its certificate at the control plane."""
        self.boot()
        for command in ("systemd-sysusers /usr/lib/sysusers.d/clmbot.conf",
                        "systemd-tmpfiles --create /usr/lib/tmpfiles.d/clmbot.conf"):
            self.run(*command.split())
        self.plane.start()
        token = self.inside("/run/token")
        token.touch(mode=0o600)
        token.write_text(self.plane.token())
        self.run("clmbot", "enroll", "--token-file", "/run/token")
        self.agent_id = self.plane.agents()[0]["agent_id"]
        for server in SERVERS:
            self.certs[server.name] = self.plane.add_certificate(self.agent_id, server.target, [server.host])

    def start(self):
        self.run("systemctl", "enable", "clmbot-recover.service", "clmbot-host.socket", "clmbot.service")
        self.run("systemctl", "restart", "clmbot-host.socket", "clmbot.service")

    def order(self, server):
        return self.plane.action("order", "--cert", self.certs[server.name])

    def down(self):
        self.plane.stop()
        self.cut()
        subprocess.run(["umount", "-l", self.work / "disk"], check=False)
        until(self._remove_cgroup, what="the machine's control group to be empty")
        shutil.rmtree(self.work, ignore_errors=True)
