# SPDX-License-Identifier: Apache-2.0
"""What is attacked: a real nginx, the agent beside it, and everything around them that must stay as it is."""
import hashlib
import json
import os
import pathlib
import re
import socket
import stat
import subprocess
import threading

import box
import papers
from harness.agent import Agent
from harness.base import Process, until
from harness.webservers import Nginx
from plane import Plane

PEAK_MAX_KIB = 32 * 1024
LINE = re.compile(r"clmbot(-\w+)?: (error|warning|notice|info|debug): [^\x00-\x1f\x7f]*")
# nginx opens its compiled-in log before it reads where its log is to be
WRITTEN_BY_NGINX = {"var", "var/log", "var/log/nginx", "var/log/nginx/error.log"}
POLICY = """  job_types: [scan, order, get_dcv, dcv_cleanup, deploy, rollback, recheck_pinning]
  targets: {allow: ["nginx:*", "file:*"], deny: ["nginx:ignored*"]}
  limits: {orders_per_day: 10000, deploys_per_target_per_day: 10000}
  retain_max: 5
  key_types: [ec-p256, ec-p384]
"""


class Canary:
    """Listens where nobody may come, and remembers who came."""

    def __init__(self):
        self.visits = []
        for address in box.CANARIES:
            for port in (80, 443):
                listener = socket.create_server((address, port))
                threading.Thread(target=self._watch, args=(listener, f"{address}:{port}"), daemon=True).start()

    def _watch(self, listener, where):
        while True:
            sock, _ = listener.accept()
            self.visits.append(where)
            sock.close()


def entry(path):
    """All that is worth knowing of one file."""
    at = path.lstat()
    if stat.S_ISREG(at.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        content = os.readlink(path) if stat.S_ISLNK(at.st_mode) else ""
    return (at.st_mode, at.st_uid, at.st_gid, at.st_mtime_ns, content)


class Target(Nginx):
    """nginx with a decoy beside its files: what traversal would hit."""

    def __init__(self, root, name):
        super().__init__(root, name=name)
        (self.www / ".well-known" / "acme-challenge").mkdir(parents=True)
        (self.root / "decoy").mkdir()
        (self.root / "decoy" / "passwd").write_text("root:x:0:0\n")


class World:
    """One plane, one server, one agent. programs: where clmbot and hostile_peak are."""

    def __init__(self, work, name, programs):
        self.work = pathlib.Path(work)
        self.work.mkdir()
        self.work.chmod(0o755)
        self.programs = programs
        self.server = Target(self.work / "nginx", f"{name}.clmbot.test")
        self.agent = Agent(self.work / "agent", write_roots=[self.server.tls], extra_policy=POLICY)
        # the search for certificate files is not what is attacked here
        text = self.agent.config.read_text().replace("scan: {interval: 0}", "scan: {interval: 0, files: {mode: off}}")
        self.agent.config.write_text(text.replace("{poll_wait: 5}", "{poll_wait: 5, interval_max: 10}"))
        self.plane = Plane()
        self.name = self.server.name
        self.target = self.server.target
        self.peak_kib = 0
        self._peak_file = self.work / "agent" / "peak"
        self._log_at = 0
        self.came_back = False  # from a loss of the control plane, by itself

    # ---- before and after ----

    def snapshot(self):
        """Every file of the world but the agent's own and what nginx writes for itself."""
        own = {self.work / "agent", self.server.root / "tmp", self.server.root / "nginx.pid", self.server.error_log,
               self.server.root / "stdout.log"}
        found = {}
        for top, dirs, files in os.walk(self.work):
            top = pathlib.Path(top)
            dirs[:] = [d for d in dirs if top / d not in own]
            for one in [*dirs, *files]:
                path = top / one
                if path not in own:
                    found[str(path.relative_to(self.work))] = entry(path)
        return found

    @staticmethod
    def difference(before, after):
        """Sentences about what is not as it was, here and anywhere else on the machine."""
        said = [f"{path} was {word}" for paths, word in (
            (after.keys() - before.keys(), "made"), (before.keys() - after.keys(), "removed"),
            ({p for p in before.keys() & after.keys() if before[p] != after[p]}, "changed")) for path in sorted(paths)]
        return said + [f"/{path} was written" for path in sorted(box.written() - WRITTEN_BY_NGINX)]

    # ---- the agent ----

    def command(self, *args):
        """A command line of clmbot under the eye that measures its memory."""
        return [str(self.programs / "hostile_peak"), str(self._peak_file), str(self.programs / "clmbot"), *map(str, args),
                "--config", str(self.agent.config)]

    def run(self, *args, env=None, timeout=90):
        done = subprocess.run(self.command(*args), capture_output=True, timeout=timeout, check=False, env=env,
                              stdin=subprocess.DEVNULL)
        self.note_peak()
        return done

    def note_peak(self):
        self.peak_kib = max(self.peak_kib, int(self._peak_file.read_text()))

    def token_file(self, text):
        path = self.work / "agent" / "token"
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def enroll(self, token=None):
        return self.run("enroll", "--token-file", self.token_file(token or self.plane.token()))

    def start(self):
        self.agent.process = Process(self.command("run", "--spawn-host"), self.work / "agent" / "agent.log")
        until(lambda: self.status(), what="the agent's status")

    def status(self):
        done = subprocess.run([self.programs / "clmbot", "status", "--json", "--config", self.agent.config],
                              capture_output=True, check=False)
        return json.loads(done.stdout) if done.stdout else None

    def finished_jobs(self):
        done = subprocess.run([self.programs / "clmbot", "jobs", "--json", "--config", self.agent.config],
                              capture_output=True, check=False)
        return [job["job_id"] for job in json.loads(done.stdout)["jobs"]]

    def until_connected(self, seconds=40):
        until(lambda: self.status()["control_plane"]["state"] == "connected", seconds, "the agent to be connected again")

    def stop(self):
        if self.agent.process:
            self.agent.process.stop(80)
            self.agent.process = None
            self.note_peak()

    def new_log(self):
        """Lines of the log since the last call."""
        text = (self.work / "agent" / "agent.log").read_bytes()
        fresh, self._log_at = text[self._log_at:], len(text)
        return fresh.decode("utf-8", "replace").splitlines()

    def secrets(self):
        """Every private number this agent has, as it might be written, and the secret of the token."""
        found = {papers.b64(self.plane.secret)}
        for top, _, names in os.walk(self.work / "agent" / "state"):
            for path in (pathlib.Path(top) / name for name in names):
                try:
                    text = path.read_text(errors="replace").replace("\\n", "\n")
                except OSError:
                    continue  # the agent is at work here
                for block in re.findall(r"-----BEGIN (?:EC )?PRIVATE KEY-----.*?-----END (?:EC )?PRIVATE KEY-----", text, re.S):
                    found |= papers.written(block)
        return found
