# SPDX-License-Identifier: Apache-2.0
"""The one place that drives clmbot: agent and control plane of the build under CLM_BUILD."""
import contextlib
import time

from harness.agent import Agent
from harness.base import BOT, PLANE
from harness.plane import ControlPlane

from website import NAME


def why_not():
    """Why clmbot cannot be measured; None if it can."""
    for program in (BOT, PLANE):
        if not program.exists():
            return f"clmbot is not measured: {program} is not built"
    return None


@contextlib.contextmanager
def fleet(work, site, directory_url, ca_pem):
    """An enrolled, running agent beside the site, and a control plane that orders at the ACME server.

    Gives (agent, plane, certificate id). directory_url None: the built-in issuer."""
    connectors = []
    if directory_url is not None:
        connectors = [{"name": "pebble", "type": "acme", "directory": directory_url, "ca_file": str(ca_pem)}]
    plane = ControlPlane(work, http_port=site.http, connectors=connectors,
                         default="pebble" if connectors else "builtin")
    agent = Agent(work / "agent", names=(NAME,), write_roots=[site.tls])
    try:
        plane.start()
        agent.enroll(plane.token())
        agent.start()
        agent.id = plane.agents()[0]["id"]
        cert = plane.add_certificate(agent.id, f"nginx:{NAME}", [NAME], "ec-p256")
        yield agent, plane, cert
    finally:
        agent.stop()
        if plane.process:
            plane.process.stop()


def order(plane, cert, site):
    """Orders once; seconds until the new leaf is on the wire, and until clmbot calls the job succeeded."""
    old = site.leaf()
    start = time.monotonic()
    job = plane.action("order", "--cert", cert)
    while site.leaf() in (old, None):
        if time.monotonic() - start > 60:
            raise AssertionError(f"clmbot: the new certificate is not served after 60 s: {plane.job(job)}")
        time.sleep(0.005)
    on_wire = time.monotonic() - start
    ended = plane.wait_job(job)
    if ended["state"] != "succeeded":
        raise AssertionError(f"clmbot: job {ended['state']}: {ended}")
    return on_wire, time.monotonic() - start
