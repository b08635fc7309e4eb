# SPDX-License-Identifier: Apache-2.0
"""The control plane, driven by its own commands."""
import json
import subprocess

from .base import PLANE, Process, until


class ControlPlane:
    def __init__(self, root, http_port=80, connectors=None, default="builtin"):
        self.root = root
        self.data = root / "cp"
        self.config = root / "cp.json"
        self.out = root / "cp.out"
        self.faults = root / "faults.json"
        root.mkdir(exist_ok=True)
        builtin = {"name": "builtin", "type": "builtin", "dcv": "http-01", "http_port": http_port,
                   "resolve": "127.0.0.1", "days": 90}
        self.config.write_text(json.dumps(
            {"connectors": [builtin, *(connectors or [])], "default_connector": default}))
        self.listen = "127.0.0.1:0"
        self.operator_listen = "127.0.0.1:0"
        self.env = None
        self.process = None
        self.agent_url = self.operator_url = None

    def start(self, faults=None):
        argv = [PLANE, "serve", "--data", self.data, "--listen", self.listen,
                "--operator", self.operator_listen, "--config", self.config, "--json"]
        if faults is not None:
            self.faults.write_text(json.dumps(faults))
            argv += ["--fault", self.faults]
        self.out.write_text("")
        self.process = Process(argv, self.out, self.env)
        line = until(self._listening, what="the control plane")
        self.agent_url = line["agent"]
        self.operator_url = line["operator"]
        # a restart keeps the addresses that agents know
        self.listen = self.agent_url.split("//")[1].rstrip("/")
        self.operator_listen = self.operator_url.split("//")[1].rstrip("/")

    def _listening(self):
        assert self.process.is_running(), self.process.text()
        for line in self.process.text().splitlines():
            if '"listening"' in line:
                return json.loads(line)
        return None

    def ca(self):
        return (self.data / "ca.pem").read_text()

    def set_faults(self, rules):
        self.faults.write_text(json.dumps(rules))

    def run(self, *args, check=True):
        done = subprocess.run([str(PLANE), *map(str, args), "--data", str(self.data)],
                              capture_output=True, text=True, timeout=120, check=False)
        if check:
            assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *args):
        return json.loads(self.run(*args, "--json").stdout)

    def token(self, *args):
        return self.json("token", "create", *args)["token"]

    def agents(self):
        return _items(self.json("agents", "list"))

    def job(self, job_id):
        return self.json("jobs", "show", job_id)

    def wait_job(self, job_id, seconds=60):
        """The job once it is over."""
        over = ("succeeded", "failed", "rolled_back", "rejected", "canceled", "skipped", "expired", "denied")

        def look():
            job = self.job(job_id)
            return job if job["state"] in over else None

        return until(look, seconds, f"job {job_id} to end")

    def add_certificate(self, agent_id, target, names, key="ec-p256", *more):
        args = ["certs", "add", "--agent", agent_id, "--target", target, "--key", key, *more]
        for name in names:
            args += ["--name", name]
        return self.json(*args)["id"]

    def action(self, kind, *args):
        return self.json("action", kind, *args)["job_id"]

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None


def _items(answer):
    """Lists come bare or as an object with one list in it."""
    if isinstance(answer, list):
        return answer
    return next(value for value in answer.values() if isinstance(value, list))
