# SPDX-License-Identifier: Apache-2.0
"""A host with nginx and the real host half, and everything that must not change while it is attacked."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile

from harness import base, pki
from harness.webservers import Nginx

from sign import Plane
from support.text import steering
from wire import BODY_MAX, END, FAIL, NOBODY, REPLY, Wire

TOP = pathlib.Path(__file__).resolve().parents[3]
# The codes that docs/ipc.md promises.
PROBLEMS = set(re.findall(r"E_[A-Z_]+", next(line for line in (TOP / "docs/ipc.md").read_text().splitlines()
                                             if line.startswith("**Fail**"))))
MEMORY_MAX_KB = 32 * 1024
EXITS = (0, -signal.SIGTERM)  # idle; told to stop while nothing is under way
ACME = "/.well-known/acme-challenge/"


class Violation(Exception):
    """What must never happen has happened."""


def look(path):
    """Everything about one entry that an attacker could want to change."""
    st = os.lstat(path)
    if stat.S_ISREG(st.st_mode):
        what = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    else:
        what = os.readlink(path) if stat.S_ISLNK(st.st_mode) else ""
    return oct(st.st_mode), st.st_uid, st.st_gid, what


def tree(top):
    """{path: look} of everything below top and of itself."""
    seen = {str(top): look(top)}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                seen[path] = look(path)
    return seen


def differences(before, after):
    changed = [path for path in before.keys() & after.keys() if before[path] != after[path]]
    return [f"changed {p}" for p in changed] + [f"new {p}" for p in after.keys() - before.keys()] + \
        [f"gone {p}" for p in before.keys() - after.keys()]


class Stage:
    """names: what the policy allows; the network half is somebody without rights."""

    def __init__(self, build, deadline=2, policy=""):
        self.build = pathlib.Path(build)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-takeover."))
        self.work.chmod(0o755)
        self.server = Nginx(self.work / "nginx")
        self.plane = Plane()
        self.issuer = pki.make_cert(["Issuing CA"], is_ca=True, days=3650)
        self.state, self.run_dir = self.work / "state", self.work / "run"
        self.socket, self.config = self.run_dir / "host.sock", self.work / "clmbot.yaml"
        self.log = self.work / "host.log"
        self.outside = self.work / "outside"
        self.process = self.listener = None
        self.seen_log = 0
        self.secrets = set()
        self.peak_kb = 0
        self._make(deadline, policy)

    def _make(self, deadline, policy):
        self.run_dir.mkdir()
        self.outside.mkdir()
        (self.outside / "secret").write_text("a secret of root's\n")
        (self.outside / "secret").chmod(0o600)
        self.root_ca = self.work / "cas.pem"
        self.root_ca.write_bytes(pki.cert_pem(self.issuer[0]))
        self.config.write_text(f"""state_dir: {self.state}
run_dir: {self.run_dir}
user: nobody
group: nogroup
scan: {{interval: 0, kinds: [nginx], files: {{mode: in_use}}}}
policy:
  names: {{allow: ["*.clmbot.test"]}}
  targets: {{allow: ["nginx:*"], deny: ["nginx:intranet.clmbot.test"]}}
  key_types: [ec-p256]
  write_roots: [{self.server.tls}]
  webroots: {{declared: {self.server.www}}}
  ca_bundle: {self.root_ca}
  limits: {{orders_per_day: 10000, deploys_per_target_per_day: 1000}}
{policy}
deploy: {{deadline: {deadline}}}
""")
        self.config.chmod(0o644)

    # ---- the host half ----

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, *_):
        self.down()

    def up(self):
        self.server.start()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.socket))
        self.socket.chmod(0o666)
        self.listener.listen(64)
        self.start()
        with Wire(self.socket, uid=0) as wire:
            kind, body = wire.ask("trust_put", self.plane.trust())
        assert kind == REPLY, body
        return self

    def start(self, wrap=()):
        """As systemd starts it: the listening socket is descriptor 3."""
        argv = [*wrap, str(self.build / "bin/clmbot"), "host", "--config", str(self.config)]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, close_fds=False,
                                            preexec_fn=self._hand_over,
                                            start_new_session=True,
                                            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LISTEN_FDS": "1"})

    def _hand_over(self):
        os.dup2(self.listener.fileno(), 3)
        os.set_inheritable(3, True)

    def alive(self):
        """The host half is there, or ended as documented and is started again, as its socket unit does."""
        code = self.process.poll()
        if code is None:
            return
        if code not in EXITS:
            self.process = None
            raise Violation(f"the host half ended with {code}: {self.last_lines()}")
        self.start()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Violation("the host half does not end on SIGTERM") from None

    def down(self):
        with contextlib.suppress(Violation):
            self.stop()
        if self.listener:
            self.listener.close()
        self.server.stop()
        if not os.environ.get("CLM_KEEP"):
            shutil.rmtree(self.work, ignore_errors=True)

    def wire(self, uid=NOBODY, timeout=20):
        self.alive()
        return Wire(self.socket, uid, timeout)

    # ---- asking ----

    def ask(self, op, body, on_call=None, uid=NOBODY):
        """One request on a connection of its own, its answer checked for what every answer must be."""
        with self.wire(uid) as wire:
            kind, answer = wire.ask(op, body, on_call)
        self.check_answer(kind, answer)
        return kind, answer

    def check_answer(self, kind, answer):
        if kind == FAIL:
            message = answer.get("message", "")
            if not message or "\n" in message or steering(message):
                raise Violation(f"a refusal without one clear line: {answer}")
            if answer.get("problem") not in PROBLEMS or not answer.get("code"):
                raise Violation(f"a refusal without a documented code: {answer}")
        if answer is not None:
            self.check_secrets(json.dumps(answer), "an answer")

    def refused(self, op, body, problem=None, **more):
        kind, answer = self.ask(op, body, **more)
        if kind != FAIL:
            raise Violation(f"{op} was not refused: {kind} {answer}")
        if problem and answer["problem"] not in problem.split("|"):
            raise Violation(f"{op} was refused with {answer['problem']}, not {problem}: {answer['message']}")
        return answer

    def granted(self, op, body, **more):
        kind, answer = self.ask(op, body, **more)
        if kind != REPLY:
            raise Violation(f"{op} was not done: {kind} {answer}")
        return answer

    def broken_off(self, data):
        """Bytes after which the host half must hang up, without an answer."""
        with self.wire() as wire:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                wire.send(data)
            kind, answer = wire.outcome()
        if kind != END:
            raise Violation(f"answered in place of ending the connection: {kind} {answer}")

    def accept(self, kind, spec, target=None, **changes):
        """A job that an honest control plane gave; its id."""
        payload = self.plane.payload(kind, target or self.server.target, spec, **changes)
        self.granted("job_accept", self.plane.sign(payload))
        return payload["job_id"]

    def refused_deploy(self, job):
        kind, answer = self.ask("deploy", {"job_id": job})
        if kind == REPLY and answer["outcome"] not in ("rejected", "failed") or kind == END:
            raise Violation(f"a deployment that must not be: {answer}")

    # ---- what must hold, always ----

    def guarded(self):
        """What nobody may change but a deployment that succeeds."""
        parts = [self.outside, self.server.tls, self.config, self.root_ca, self.server.conf]
        seen = {}
        for part in parts:
            seen.update(tree(part))
        seen.update({str(p): "" for p in self.work.iterdir()})
        seen.update({path: what for path, what in tree(self.server.www).items() if "/.well-known" not in path})
        return seen

    def check_world(self, before):
        changed = differences(before, self.guarded())
        if changed:
            raise Violation("; ".join(changed[:5]))
        for path in tree(self.server.www):
            below = path.removeprefix(str(self.server.www))
            if below in ("", "/index.html", "/.well-known", ACME.rstrip("/"), "/.well-known/pki-validation"):
                continue
            if not re.fullmatch(ACME + "[A-Za-z0-9_-]{16,128}|/.well-known/pki-validation/[A-Za-z0-9_.-]{1,64}", below):
                raise Violation(f"in the web root: {below!r}")

    def check_process(self):
        """Answers a new client; its memory and descriptors are bounded; its log is clean."""
        self.alive()
        self.granted("hello", {"v": 1, "version": "1", "boot_id": "b"})
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1))
        if peak > MEMORY_MAX_KB:
            raise Violation(f"{peak} KiB of memory")
        self.peak_kb = max(self.peak_kb, peak)
        fds = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        if fds > 16:
            raise Violation(f"{fds} open descriptors")
        self.check_log()

    def check_log(self):
        with self.log.open("rb") as log:
            log.seek(self.seen_log)
            text = log.read()
        self.seen_log += len(text)
        for line in text.decode(errors="surrogateescape").split("\n"):
            if len(line) > 2048 or steering(line.replace("\t", " ")):
                raise Violation(f"in the log: {line[:200]!r}")
        self.check_secrets(text.decode(errors="replace"), "the log")

    def check_secrets(self, text, where):
        for line in self.secrets:
            if line in text:
                raise Violation(f"a private key is in {where}")

    def learn_secrets(self):
        """Lines of every private key there is."""
        for path in [self.server.key, *self.state.glob("host/keys/*/key.pem"), *self.state.glob("host/bundles/*/key.pem")]:
            with contextlib.suppress(FileNotFoundError):
                self.secrets |= {line for line in path.read_text().splitlines() if len(line) > 24 and "-----" not in line}

    def last_lines(self):
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])


__all__ = ["ACME", "BODY_MAX", "Stage", "Violation", "base", "differences", "look", "tree"]
