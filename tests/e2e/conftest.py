# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import shutil
import tempfile

import pytest

from harness.agent import Agent
from harness.plane import ControlPlane
from harness.webservers import SERVERS


def pytest_configure(config):
    config.addinivalue_line("markers", "api: the control plane alone, no web server and no agent")


@pytest.fixture
def work():
    """A directory that the unprivileged half and web servers may enter, which /tmp/pytest-* is not."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-e2e."))
    path.chmod(0o755)
    yield path
    if not os.environ.get("CLM_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=sorted(SERVERS))
def kind(request):
    return request.param


class World:
    """A web server, a control plane and an enrolled, running agent."""

    def __init__(self, work, kind, **agent_options):
        self.work = work
        self.server = SERVERS[kind](work / kind)
        self.plane = ControlPlane(work, http_port=self.server.http)
        self.agent = Agent(work / "agent", write_roots=[self.server.tls], **agent_options)

    def up(self, faults=None):
        self.server.start()
        self.plane.start(faults)
        self.agent.enroll(self.plane.token())
        self.agent.start()
        self.agent.id = self.plane.agents()[0]["id"]

    def down(self):
        for part in (self.agent, self.plane, self.server):
            part.stop()

    def order(self, target=None, names=None, key="ec-p256"):
        """Orders, deploys, and returns the finished job."""
        cert = self.plane.add_certificate(self.agent.id, target or self.server.target,
                                          names or [self.server.name], key)
        return self.plane.wait_job(self.plane.action("order", "--cert", cert)), cert


@pytest.fixture
def world(work, kind):
    it = World(work, kind)
    try:
        it.up()
        yield it
    finally:
        it.down()


@pytest.fixture
def make_world(work):
    made = []

    def make(kind, **options):
        it = World(work, kind, **options)
        made.append(it)
        return it

    yield make
    for it in made:
        it.down()
