# SPDX-License-Identifier: Apache-2.0
"""Stopping in the wrong moment: nothing is left half done, and the next start works."""
import os
import pathlib
import signal
import time

import pytest

from harness.base import BOT, until


def parts_of(session):
    """{name: pid} of the agent's processes; the host half and jobs are programs of their own."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session and \
                    os.readlink(stat.parent / "exe") == str(BOT):
                argv = (stat.parent / "cmdline").read_bytes().split(b"\0")
                if len(argv) > 1:  # it is empty when the process has just ended
                    found[argv[1].decode()] = int(stat.parent.name)
        except OSError:
            continue
    return found


def test_the_host_half_undoes_what_is_under_way_when_it_is_told_to_stop(make_world):
    world = make_world("nginx", deadline=60)
    world.up()
    old, old_file = world.server.served(), world.server.cert.read_bytes()
    world.server.hang()  # a reload that does nothing: the proof would be waited for a minute
    cert = world.plane.add_certificate(world.agent.id, world.server.target, [world.server.name])
    job_id = world.plane.action("order", "--cert", cert)
    until(lambda: world.server.cert.read_bytes() != old_file, what="the swap")
    host = parts_of(world.agent.process.pid)["host"]
    os.kill(host, signal.SIGTERM)
    until(lambda: world.server.cert.read_bytes() == old_file, 15, "the old files to be back")
    job = world.plane.wait_job(job_id)
    assert job["state"] == "rolled_back", job
    assert world.server.served() == old
    until(lambda: not pathlib.Path(f"/proc/{host}").exists(), 10, "the host half to end")
    assert not any((world.agent.state / "host" / "txn").iterdir())
    world.server.resume()
    job = world.plane.wait_job(world.plane.action("order", "--cert", cert))
    assert job["state"] == "succeeded", job


def test_a_supervisor_that_is_gone_leaves_nobody_behind(make_world):
    world = make_world("nginx")
    world.up()
    session = world.agent.process.pid
    world.order()
    os.kill(session, signal.SIGKILL)
    until(lambda: not parts_of(session), 10, "both halves to end")
    world.agent.process.kill()
    world.agent.start()
    begun = time.monotonic()
    job, _ = world.order()
    assert job["state"] == "succeeded", job
    assert time.monotonic() - begun < 15  # the control plane is asked at once, not in half a minute


@pytest.mark.parametrize("after_s", [0, 0.05, 0.2, 0.6])
def test_a_stop_during_the_first_scan_is_obeyed(make_world, after_s):
    world = make_world("nginx")
    world.up()
    world.agent.stop()
    world.agent.start()
    session = world.agent.process.pid
    time.sleep(after_s)  # the moment is what is tested
    os.kill(session, signal.SIGTERM)
    until(lambda: not parts_of(session), 10, "the agent to stop:\n" + world.agent.log())
