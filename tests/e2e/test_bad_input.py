# SPDX-License-Identifier: Apache-2.0
"""Wrong worlds: a broken control plane, a broken host. One message each, and nothing changed."""
import os
import subprocess

import pytest

from harness import pki
from harness.agent import Agent
from harness.base import until

BROKEN = ["html200", "500", "truncate", "redirect", "slow"]


@pytest.mark.parametrize("mode", BROKEN)
def test_a_broken_control_plane_only_delays_work(make_world, mode):
    world = make_world("nginx")
    world.up(faults=[])
    old = world.server.served()
    world.plane.set_faults([{"path": "/agent/v1/poll", "mode": mode, "times": 2},
                            {"path": "/lease", "mode": mode, "times": 1},
                            {"path": "/result", "mode": mode, "times": 1}])
    job, _ = world.order()
    assert job["state"] == "succeeded", job
    assert world.server.served() != old


def test_an_answer_lost_after_the_server_acted(make_world):
    world = make_world("nginx")
    world.up(faults=[])
    world.plane.set_faults([{"path": path, "mode": "drop-after-commit", "times": 1}
                            for path in ("/lease", "/csr", "/dcv/ready", "/result")])
    job, cert = world.order()
    assert job["state"] == "succeeded", job
    shown = world.plane.json("certs", "show", cert)
    assert len(shown["versions"]) == 1, "the same order was made twice"


def test_the_control_plane_goes_away_and_comes_back(make_world):
    world = make_world("nginx")
    world.up()
    world.plane.stop()
    until(lambda: world.agent.run("status", check=False).returncode == 6, what="status to say so")
    world.plane.start()
    job, _ = world.order()
    assert job["state"] == "succeeded", job


def test_a_name_outside_the_local_policy(world):
    old = world.server.served()
    job, _ = world.order(names=["bank.example.org"])
    assert job["state"] == "rejected", job
    assert "bank.example.org" in str(job["result"]["error"]) and "policy.names" in str(job["result"]["error"])
    assert world.server.served() == old


def test_files_outside_the_local_policy(make_world):
    world = make_world("nginx")
    world.agent = Agent(world.work / "agent", write_roots=["/srv/nowhere"])
    world.up()
    old = world.server.cert.read_bytes()
    job, _ = world.order()
    assert job["state"] in ("failed", "rejected"), job
    assert "write_roots" in str(job["result"]), job
    assert world.server.cert.read_bytes() == old


def test_a_symlink_in_the_web_root_is_not_followed(world):
    outside = world.work / "outside"
    outside.mkdir()
    (world.server.www / ".well-known").symlink_to(outside)
    job, _ = world.order()
    assert job["state"] in ("failed", "rejected"), job
    assert "symlink" in str(job["result"]), job
    assert list(outside.iterdir()) == []


def test_a_web_root_nobody_can_fetch_from(world):
    old = world.server.served()
    world.server.www.chmod(0o700)
    job, _ = world.order()
    assert job["state"] == "failed", job
    assert "403" in str(job["result"]), job
    assert world.server.served() == old
    assert not (world.server.www / ".well-known").exists()


def test_a_full_disk_changes_nothing(make_world):
    world = make_world("nginx")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", world.server.tls], check=True)
    try:
        pki.write_pair(world.server.cert, world.server.key, [world.server.name])
        world.up()
        old = world.server.served()
        filler = world.server.tls / "filler"
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                os.write(fd, b"x" * 4096)
        except OSError:
            pass
        os.close(fd)
        before = sorted(os.listdir(world.server.tls))
        job, _ = world.order()
        assert job["state"] == "failed", job
        assert "bytes free" in str(job["result"]), job
        assert sorted(os.listdir(world.server.tls)) == before
        assert world.server.served() == old
        filler.unlink()
        again, _ = world.order()
        assert again["state"] == "succeeded", again
    finally:
        world.down()
        subprocess.run(["umount", "-l", world.server.tls], check=True)


def test_a_read_only_directory_changes_nothing(make_world):
    world = make_world("nginx")
    world.up()
    old = world.server.served()
    subprocess.run(["mount", "--bind", world.server.tls, world.server.tls], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", world.server.tls], check=True)
    try:
        job, _ = world.order()
        assert job["state"] == "failed", job
        assert "read-only" in str(job["result"]).lower(), job
        assert world.server.served() == old
    finally:
        subprocess.run(["umount", "-l", world.server.tls], check=True)


def test_a_stopped_server_is_no_target(world):
    world.server.stop()
    job, _ = world.order()
    assert job["state"] in ("failed", "rejected"), job
    assert "does not run" in str(job["result"]) or "no running server" in str(job["result"]), job


def test_a_key_that_two_targets_use(make_world):
    world = make_world("nginx")
    other_cert = world.server.tls / "other.pem"
    text = world.server.conf.read_text()
    other = f"""    server {{
        listen 127.0.0.1:{world.server.https} ssl;
        server_name other.clmbot.test;
        ssl_certificate {other_cert};
        ssl_certificate_key {world.server.key};
    }}
}}
"""
    from cryptography.hazmat.primitives import serialization
    key = serialization.load_pem_private_key(world.server.key.read_bytes(), None)
    cert, _ = pki.make_cert(["other.clmbot.test"], key=key)
    other_cert.write_bytes(pki.cert_pem(cert))
    world.server.conf.write_text(text.rstrip().removesuffix("}") + other)
    world.up()
    old = (world.server.cert.read_bytes(), world.server.key.read_bytes())
    job, _ = world.order()
    assert job["state"] in ("failed", "rejected"), job
    assert "also used by" in str(job["result"]), job
    assert (world.server.cert.read_bytes(), world.server.key.read_bytes()) == old


def test_a_server_that_serves_the_old_certificate_for_a_while(make_world):
    """nginx is stopped when it is asked to reload and goes on only later: within the deadline."""
    world = make_world("nginx", deadline=30)
    world.up()
    old = world.server.served()
    old_file = world.server.cert.read_bytes()
    world.server.hang()
    cert = world.plane.add_certificate(world.agent.id, world.server.target, [world.server.name])
    job_id = world.plane.action("order", "--cert", cert)
    until(lambda: world.server.cert.read_bytes() != old_file, what="the swap")
    seen_old = [world.server.served() for _ in range(40)]
    assert set(seen_old) == {old}
    world.server.resume()
    job = world.plane.wait_job(job_id)
    assert job["state"] == "succeeded", job
    assert world.server.served() != old


CONFIGS = [
    ("polcy: {}\n", "clmbot.yaml:1:1", "policy"),
    ("policy:\n  names: {allow: 7x: 1}\n", "clmbot.yaml:2", ""),
    ("deploy:\n  deadline: soon\n", "clmbot.yaml:2:13", "deadline"),
    ("deploy: {deadline: 100000}\n", "clmbot.yaml:1", "deadline"),
    ("scan: [nginx]\n", "clmbot.yaml:1:7", "scan"),
    ("user: a\nuser: b\n", "clmbot.yaml:2:1", "user"),
    ("a: &x 1\nb: *x\n", "clmbot.yaml:1", ""),
    ("[" * 60000, "clmbot.yaml:1", ""),
]


@pytest.mark.parametrize("text,place,says", CONFIGS)
def test_a_wrong_configuration_names_the_place(work, text, place, says):
    agent = Agent(work / "agent")
    agent.config.write_text(text)
    done = agent.run("config", "check", check=False, timeout=5)
    assert done.returncode == 4, done
    assert place in done.stderr and says in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("mode,who", [(0o666, "others"), (0o664, "group")])
def test_a_configuration_others_may_write_is_refused(work, mode, who):
    agent = Agent(work / "agent")
    agent.config.chmod(mode)
    done = agent.run("config", "check", check=False)
    assert done.returncode == 4, done
    assert "chmod" in done.stderr, (who, done.stderr)


def test_unknown_commands_and_options_are_usage_errors(work):
    agent = Agent(work / "agent")
    for args in (["statsu"], ["status", "--frobnicate"], ["plan"], ["rollback"]):
        assert agent.run(*args, check=False).returncode == 64, args
