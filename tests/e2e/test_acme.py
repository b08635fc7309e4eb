# SPDX-License-Identifier: Apache-2.0
"""The whole order with a real ACME CA, the token served by the real web server."""
import contextlib

import pytest

from harness.pebble import Pebble
from harness.plane import ControlPlane


@contextlib.contextmanager
def _acme_world(make_world, work, kind, http_port=None):
    world = make_world(kind)
    world.pebble = Pebble(work, http_port or world.server.http)
    world.plane = ControlPlane(work, connectors=[world.pebble.connector()], default="pebble")
    world.pebble.start()
    try:
        world.up()
        yield world
    finally:
        world.pebble.stop()


@pytest.fixture
def acme_world(make_world, work, kind):
    with _acme_world(make_world, work, kind) as world:
        yield world


def test_order_from_pebble(acme_world):
    world = acme_world
    old = world.server.served()
    job, cert = world.order()
    assert job["state"] == "succeeded", job
    assert world.server.served() not in (old, None)
    assert world.server.served() == world.server.installed()
    assert not (world.server.www / ".well-known").exists()
    assert "Pebble" in str(world.plane.json("certs", "show", cert))


@pytest.mark.parametrize("key", ["rsa-2048", "ec-p384"])
def test_key_types(acme_world, key):
    job, _ = acme_world.order(key=key)
    assert job["state"] == "succeeded", job
    target = next(t for s in acme_world.agent.json("scan")["services"] for t in s.get("targets", [])
                  if t["target"] == acme_world.server.target)
    assert target["certificate"]["key"] == key


def test_a_challenge_the_ca_cannot_fetch(make_world, work):
    """The CA looks at another port than the web server's: its own words reach the operator."""
    with _acme_world(make_world, work, "nginx", http_port=9) as world:
        old = world.server.served()
        job, _ = world.order()
        assert job["state"] == "failed", job
        assert "urn:ietf:params:acme:error" in str(job["result"]), job
        assert world.server.served() == old
        assert not (world.server.www / ".well-known").exists()
