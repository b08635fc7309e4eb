# SPDX-License-Identifier: Apache-2.0
"""The whole agent, as "clmbot run --spawn-host" runs it, with a control plane and nginx: told to stop in the middle of an
order, and started again."""
import os
import pathlib
import shutil
import signal
import tempfile

from harness import base
from harness.agent import Agent
from harness.plane import ControlPlane
from harness.webservers import Nginx

END_SECONDS = 80  # the supervisor gives its halves 70
SIGNALS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP}
# What is there when the signal comes.
MOMENTS = {
    "job accepted": lambda here: any((here.agent.state / "host/jobs").glob("*")),
    "key made": lambda here: any((here.agent.state / "host/keys").glob("*")),
    "validation file": lambda here: (here.server.www / ".well-known").exists(),
    "certificate taken": lambda here: len(list((here.agent.state / "host/bundles").glob("*"))) > here.bundles,
    "journal": lambda here: any((here.agent.state / "host/txn").glob("*")),
    "files exchanged": lambda here: here.server.cert.read_bytes() != here.old,
}
POINTS = [(name, moment) for moment in MOMENTS for name in SIGNALS]


class Here:
    """For use in a with-block."""

    def __init__(self, build):
        base.BUILD = pathlib.Path(build)
        for module in ("agent", "plane", "base"):
            vars(__import__(f"harness.{module}", fromlist=["x"])).update(BOT=base.BUILD / "bin/clmbot",
                                                                          PLANE=base.BUILD / "bin/clmbot-controlplane")
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-races."))
        self.work.chmod(0o755)
        self.server = Nginx(self.work / "nginx")
        self.plane = ControlPlane(self.work, http_port=self.server.http)
        self.agent = Agent(self.work / "agent", write_roots=[self.server.tls])

    def __enter__(self):
        self.server.start()
        self.plane.start()
        self.agent.enroll(self.plane.token())
        self.agent.start()
        self.agent.id = self.plane.agents()[0]["id"]
        self.cert = self.plane.add_certificate(self.agent.id, self.server.target, [self.server.name])
        return self

    def __exit__(self, *_):
        for part in (self.agent, self.plane, self.server):
            part.stop()
        shutil.rmtree(self.work, ignore_errors=True)

    def fresh(self):
        """What an order leaves behind would look like its beginning."""
        for name in ("jobs", "keys"):
            for path in (self.agent.state / "host" / name).glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.bundles = len(list((self.agent.state / "host/bundles").glob("*")))
        self.old = self.server.cert.read_bytes()

    def wrong(self):
        """What is wrong with the host now."""
        found = []
        try:
            base.until(lambda: self.server.served() == self.server.installed(), 10, "what is installed to be served")
        except AssertionError as why:
            found.append(str(why))
        if any((self.agent.state / "host/txn").iterdir()) or any((self.agent.state / "host/quarantine").iterdir()):
            found.append("a journal is left")
        if sorted(os.listdir(self.server.tls)) != ["www.key", "www.pem"]:
            found.append(f"left behind: {sorted(os.listdir(self.server.tls))}")
        return found


def one(here, name, moment):
    """What is wrong after that signal at that moment."""
    here.fresh()
    order = here.plane.action("order", "--cert", here.cert)
    base.soon(lambda: MOMENTS[moment](here), 30, moment)
    process = here.agent.process
    os.kill(process.pid, SIGNALS[name])
    found = []
    if name != "HUP":
        base.until(lambda: not process.is_running(), END_SECONDS, f"the agent to end on SIG{name}")
        if process.popen.returncode != 0:
            found.append(f"ended with {process.popen.returncode}")
        found += here.wrong()
        here.agent.start()
    job = here.plane.wait_job(order, 90)
    if job["state"] not in ("succeeded", "failed", "rolled_back"):
        found.append(f"the job is {job['state']}")
    found += here.wrong()
    if (here.server.www / ".well-known/acme-challenge").exists() and any((here.server.www / ".well-known/acme-challenge").iterdir()):
        found.append("a validation file is left")
    if job["state"] != "succeeded":
        again = here.plane.wait_job(here.plane.action("order", "--cert", here.cert), 90)
        if again["state"] != "succeeded":
            found.append(f"{job['state']}, and the next order is {again['state']}: {again.get('result')}")
    return found
