# SPDX-License-Identifier: Apache-2.0
"""The five tests every deployer passes (docs/TESTING.md), on the real server."""
import json
import os
import stat
import subprocess

from harness import pki
from harness.base import leaf_sha256, until


def _fingerprint(server):
    """Everything a failed deployment must leave alone."""
    paths = sorted(server.tls.iterdir())
    return [(p.name, p.read_bytes(), oct(p.stat().st_mode), p.stat().st_uid, p.stat().st_gid) for p in paths]


def test_deploys_and_proves_it(world):
    old = world.server.served()
    job, cert = world.order()
    assert job["state"] == "succeeded", job
    new = world.server.served()
    assert new != old
    assert new == world.server.installed()
    shown = world.plane.json("certs", "show", cert)
    assert shown["state"] == "verified", shown
    key = os.stat(world.server.key)
    assert stat.S_IMODE(key.st_mode) == 0o600
    assert sorted(p.name for p in world.server.tls.iterdir()) == ["www.key", "www.pem"]
    assert not (world.server.www / ".well-known").exists(), "validation files were left behind"
    public = subprocess.run(["openssl", "pkey", "-in", world.server.key, "-pubout"], capture_output=True,
                            check=True).stdout
    in_cert = subprocess.run(["openssl", "x509", "-in", world.server.cert, "-noout", "-pubkey"],
                             capture_output=True, check=True).stdout
    assert public == in_cert
    assert world.agent.run("verify").returncode == 0
    assert not world.server.unexpected_log()


def test_deploying_again_changes_nothing(world):
    _, cert = world.order()
    before = (_fingerprint(world.server), os.stat(world.server.cert).st_ino)
    job = world.plane.wait_job(world.plane.action("deploy", "--cert", cert))
    assert job["state"] == "skipped", job
    assert (_fingerprint(world.server), os.stat(world.server.cert).st_ino) == before
    assert world.server.served() == world.server.installed()


def test_an_order_that_cannot_be_proved_does_not_hold_up_the_next(world):
    in_the_way = world.server.www / ".well-known"
    in_the_way.write_text("no directory")
    job, cert = world.order()
    assert job["state"] in ("failed", "rejected"), job
    assert "dcv.write" in json.dumps(job["result"]["steps"]), job
    in_the_way.unlink()
    job = world.plane.wait_job(world.plane.action("order", "--cert", cert))
    assert job["state"] == "succeeded", job
    assert world.plane.json("certs", "show", cert)["state"] == "verified"


def test_a_configuration_says_how_many_versions_are_kept(world):
    def kept():
        found = list(world.agent.state.rglob("target.json"))
        return len(json.loads(found[0].read_text())["generations"]) if found else 0

    until(lambda: world.plane.json("targets")["targets"], 30, "the first scan")
    config = world.plane.json("configs", "add", "--agent", world.agent.id, "--target", world.server.target, "--retain", "5")
    assert config["schedule"]["retain"] == 5
    for _ in range(5):
        job = world.plane.wait_job(world.plane.json("configs", "run", config["id"])["job_id"])
        assert job["state"] == "succeeded", job
    assert kept() == 5, "not the 3 of deploy.retain"
    job = world.plane.wait_job(world.plane.action("rollback", "--cert", config["certificate_id"]))
    assert job["state"] == "succeeded" and kept() == 5, job
    assert world.plane.run("configs", "edit", config["id"], "--retain", "2", check=False).returncode == 0
    job = world.plane.wait_job(world.plane.action("deploy", "--cert", config["certificate_id"]))
    assert job["state"] == "succeeded" and kept() == 2, job


def test_a_failure_is_left_as_it_is_where_both_sides_want_it(make_world, kind):
    world = make_world(kind, extra_policy="  allow_leave: true\n")
    world.up()
    until(lambda: world.plane.json("targets")["targets"], 30, "the first scan")
    config = world.plane.json("configs", "add", "--agent", world.agent.id, "--target", world.server.target,
                              "--on-failure", "leave")
    old = world.server.served()
    world.server.hang()
    job = world.plane.wait_job(world.plane.json("configs", "run", config["id"])["job_id"])
    assert job["state"] == "failed" and job["result"]["effects"]["state"] == "left", job
    assert f"clmbot rollback {world.server.target}" in job["result"]["error"]["hint"], job
    assert world.server.installed() == job["result"]["effects"]["after"]["sha256"] != old, "the new files stay"
    world.server.resume()
    assert world.plane.json("certs", "show", config["certificate_id"])["state"] == "failed"
    assert world.agent.json("history")["transactions"][0]["result"] == "left"
    assert world.agent.run("rollback", world.server.target).returncode == 0
    assert world.server.served() == old == world.server.installed()
    job = world.plane.wait_job(world.plane.action("deploy", "--cert", config["certificate_id"]))
    assert job["state"] == "succeeded", "nothing stands in the way of the next"


def test_a_host_that_always_puts_back_takes_no_such_configuration(world):
    until(lambda: world.plane.json("targets")["targets"], 30, "the first scan")
    refused = world.plane.run("configs", "add", "--agent", world.agent.id, "--target", world.server.target,
                              "--on-failure", "leave", check=False)
    assert refused.returncode != 0 and "always goes back" in refused.stderr + refused.stdout


def test_a_configuration_that_does_not_parse_is_refused(world):
    _, cert = world.order()
    before = _fingerprint(world.server)
    served = world.server.served()
    # as found before the first order: a certificate to go back to
    with world.server.conf.open("a") as conf:
        conf.write("this_is_no_directive at all;\n")
    job = world.plane.wait_job(world.plane.action("order", "--cert", cert))
    assert job["state"] in ("failed", "rejected"), job
    assert "this_is_no_directive" in str(job), job
    assert _fingerprint(world.server) == before
    assert world.server.served() == served


def test_a_reload_that_does_nothing_is_rolled_back_and_proved(world):
    old = world.server.served()
    before = _fingerprint(world.server)
    world.server.hang()
    job, cert = world.order()
    assert job["state"] == "rolled_back", job
    assert _fingerprint(world.server) == before
    world.server.resume()
    assert world.server.served() == old
    seen = job["result"]["effects"]["observations"]
    assert seen and all(o["rollback"]["leaf_sha256"] == old for o in seen if o["counted"]), seen
    assert world.plane.json("certs", "show", cert)["state"] != "verified"


def test_killed_in_the_middle_it_recovers(world):
    old = world.server.served()
    before = _fingerprint(world.server)
    world.server.hang()
    cert = world.plane.add_certificate(world.agent.id, world.server.target, [world.server.name])
    job_id = world.plane.action("order", "--cert", cert)
    until(lambda: leaf_sha256(world.server.cert) != old, what="the swap")
    world.agent.kill()
    assert _fingerprint(world.server) != before, "the kill came too late to mean anything"
    world.server.resume()
    world.agent.start()
    job = world.plane.wait_job(job_id, seconds=90)
    assert job["state"] in ("succeeded", "rolled_back", "failed"), job
    assert world.server.installed() == world.server.served()
    assert (job["state"] == "succeeded") == (world.server.served() != old), job
    history = world.agent.json("history")
    assert any(t.get("recovered") for t in history["transactions"]), history


def test_rolls_back_to_the_certificate_before(world):
    first = world.server.served()
    _, cert = world.order()
    second = world.server.served()
    job = world.plane.wait_job(world.plane.action("rollback", "--cert", cert))
    assert job["state"] == "succeeded", job
    assert world.server.served() == first
    done = world.agent.run("rollback", world.server.target)
    assert world.server.served() == second, done.stdout


def test_verify_tells_when_another_certificate_is_served(world):
    pki.write_pair(world.server.cert, world.server.key, [world.server.name])
    done = world.agent.run("verify", check=False)
    assert done.returncode == 3, done
    assert world.server.target in done.stdout
