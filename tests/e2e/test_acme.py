# SPDX-License-Identifier: Apache-2.0
"""The whole order with a real ACME CA, the token served by the real web server."""
import pytest

from harness.pebble import Pebble
from harness.plane import ControlPlane


@pytest.fixture
def acme_world(make_world, work, kind):
    world = make_world(kind)
    pebble = Pebble(work / "pebble", world.server.http)
    world.plane = ControlPlane(work, connectors=[pebble.connector()], default="pebble")
    pebble.start()
    try:
        world.up()
        world.pebble = pebble
        yield world
    finally:
        pebble.stop()


def test_order_from_pebble(acme_world):
    world = acme_world
    old = world.server.served()
    job, cert = world.order()
    assert job["state"] == "succeeded", job
    assert world.server.served() not in (old, None)
    assert world.server.served() == world.server.installed()
    assert "acme-challenge" in world.pebble.log() or "HTTP" in world.pebble.log()
    assert not (world.server.www / ".well-known").exists()
    assert "Pebble" in str(world.plane.json("certs", "show", cert))


@pytest.mark.parametrize("key", ["rsa-2048", "ec-p384"])
def test_key_types(acme_world, key):
    job, _ = acme_world.order(key=key)
    assert job["state"] == "succeeded", job
    target = next(t for s in acme_world.agent.json("scan")["services"] for t in s.get("targets", [])
                  if t["target"] == acme_world.server.target)
    assert target["certificate"]["key"] == key


def test_a_challenge_the_ca_cannot_fetch(acme_world):
    """The CA looks at another port than the web server's: its own words reach the operator."""
    world = acme_world
    old = world.server.served()
    world.pebble.stop()
    world.pebble.http_port = 9  # discard: nobody listens
    world.pebble.start()
    job, _ = world.order()
    assert job["state"] == "failed", job
    assert "urn:ietf:params:acme:error" in str(job["result"]), job
    assert world.server.served() == old
    assert not (world.server.www / ".well-known").exists()
