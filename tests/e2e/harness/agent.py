# SPDX-License-Identifier: Apache-2.0
"""The agent: configuration, enrolment, both halves, local commands."""
import json
import subprocess

from .base import BOT, Process, until


class Agent:
    def __init__(self, root, names=("*.clmbot.test",), write_roots=("/tmp",), deadline=4, extra_policy="",
                 user="nobody", group="nogroup"):
        self.root = root
        root.mkdir(exist_ok=True)
        root.chmod(0o755)
        self.config = root / "clmbot.yaml"
        self.state = root / "state"
        self.run_dir = root / "run"
        self.config.write_text(f"""state_dir: {self.state}
run_dir: {self.run_dir}
user: {user}
group: {group}
control_plane: {{poll_wait: 5}}
scan: {{interval: 0}}
policy:
  names: {{allow: {json.dumps(list(names))}}}
  write_roots: {json.dumps([str(r) for r in write_roots])}
{extra_policy}
deploy: {{deadline: {deadline}}}
""")
        self.config.chmod(0o644)
        self.process = None
        self.id = None

    def run(self, *args, check=True, stdin=None, timeout=120):
        done = subprocess.run([str(BOT), *map(str, args), "--config", str(self.config)], input=stdin,
                              capture_output=True, text=True, timeout=timeout, check=False)
        if check:
            assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *args, check=True):
        return json.loads(self.run(*args, "--json", check=check).stdout)

    def enroll(self, token, check=True):
        path = self.root / "token"
        path.touch(mode=0o600)
        path.write_text(token)
        return self.run("enroll", "--token-file", path, check=check)

    def start(self, env=None):
        self.process = Process([BOT, "run", "--spawn-host", "--config", self.config],
                               self.root / "agent.log", env=env)
        until(lambda: self.run("status", "--json", check=False).returncode in (0, 1, 2, 3)
              or not self.process.is_running(), what="the agent's status")
        assert self.process.is_running(), self.process.text()

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def kill(self):
        """kill -9 of everything the agent runs: supervisor, network half, jobs, host half."""
        if self.process:
            subprocess.run(["pkill", "-KILL", "-s", str(self.process.pid)], check=False)
            self.process.kill()
            self.process = None

    def log(self):
        return self.process.text() if self.process else (self.root / "agent.log").read_text(errors="replace")
