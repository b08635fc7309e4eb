# SPDX-License-Identifier: Apache-2.0
"""Starts of the server, and commands, in which one thing fails: they say why, or go on without it."""
import itertools
import json
import subprocess

import pytest

from harness import doom, wire
from harness.base import PLANE, Process, until

pytestmark = pytest.mark.api


def _start(plane, how, *more):
    """True if something failed."""
    plane.out.write_text("")
    process = Process([PLANE, "serve", "--data", plane.data, "--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0",
                       "--config", plane.config, "--json", *more], plane.out, doom.environment(how))
    until(lambda: not process.is_running() or '"listening"' in process.text(), what=how)
    stopped = process.is_running()
    status = process.stop()
    said = process.text()
    if stopped:
        assert status == 0, (how, status, said)
    else:
        assert status > 0 and "clmbot-controlplane: " in said, (how, status, said)
    return "doomed" in said


@pytest.mark.parametrize("words,step", [("d", 2), ("s", 3), ("m", 13)])
def test_a_start_that_fails_says_why(tmp_path, words, step):
    for turn, nth in enumerate(itertools.count(1, step)):
        plane = wire.WirePlane(tmp_path / f"{turn}")
        if not _start(plane, f"{words} {nth}"):
            break
        assert not _start(plane, None), "the next start finds nothing half made"
    assert turn > 3


def test_a_start_without_memory_for_its_settings_says_so(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("none\n")
    plane = wire.WirePlane(tmp_path / "cp", connectors=[
        {"name": "le", "type": "acme", "directory": "https://127.0.0.1:9/dir", "ca_file": str(ca), "contact": ["mailto:a@example.com"]},
        {"name": "builtin", "type": "builtin", "resolve": "127.0.0.1"}])
    for nth in range(1, 60):  # what comes later is among those of the other starts
        assert _start(plane, f"m {nth}", "--debug", "--name", "clm.example.net"), nth
    assert not _start(plane, None, "--debug", "--name", "clm.example.net")


@pytest.mark.parametrize("words", [["token", "create"], ["agents"], ["certs", "add", "--agent", "agt_x", "--target", "nginx:x",
                                                                    "--name", "x.example.com", "--must-staple"]])
def test_a_command_without_memory_says_so(tmp_path, words):
    plane = wire.WirePlane(tmp_path)
    plane.start()
    try:
        for nth in itertools.count(1, 2):
            done = subprocess.run([PLANE, *words, "--data", plane.data], capture_output=True, text=True, timeout=60, check=False,
                                  env=doom.environment(f"m {nth}"))
            if "doomed" not in done.stderr:
                break
            assert done.returncode == 0 or done.stderr != "doomed\n", (nth, done)
        assert nth > 10
        assert json.loads(plane.run("agents", "--json").stdout)["agents"] == []
    finally:
        plane.stop()
