# SPDX-License-Identifier: Apache-2.0
"""Tokens of every wrong kind: one clear line each, nothing kept, nothing half enrolled."""
import base64
import json
import pathlib
import re
import subprocess
import time

import pytest

from harness.agent import Agent
from harness.base import BOT, until
from harness.plane import ControlPlane


@pytest.fixture
def plane(work):
    it = ControlPlane(work)
    it.start()
    yield it
    it.stop()


def _text(token):
    text = token.partition(".")[2]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(errors="replace")


def _decode(token):
    return json.loads(_text(token))


def _encode(fields):
    text = json.dumps(fields, separators=(",", ":")).encode()
    return "clm1." + base64.urlsafe_b64encode(text).decode().rstrip("=")


def _refused(agent, token, *says):
    done = agent.enroll(token, check=False)
    assert done.returncode == 2, done
    lines = done.stderr.strip().splitlines()
    assert lines and lines[0].startswith("clmbot: "), done.stderr
    for text in says:
        assert text in done.stderr, done.stderr
    assert not (agent.state / "host" / "trust.json").exists()
    assert not (agent.state / "net" / "identity" / "tls.pem").exists()
    for secret in re.findall(r'"s":"([^"]+)"', _text(token)):
        assert secret not in done.stderr + done.stdout


def test_a_good_token_enrols_and_is_destroyed(work, plane):
    agent = Agent(work / "agent")
    done = agent.enroll(plane.token())
    assert "enrolled as agt_" in done.stdout
    assert not (agent.root / "token").exists()
    keys = list((agent.state / "net").rglob("*.key"))
    assert keys and all(k.stat().st_mode & 0o777 == 0o600 for k in keys)
    assert (agent.state / "host").stat().st_mode & 0o777 == 0o700


def test_an_expired_token(work, plane):
    token = plane.token("--ttl", "1s")
    until(lambda: time.time() > _decode(token)["exp"] + 0.1, what="the token to expire")
    _refused(Agent(work / "agent"), token, "expired")


def test_a_token_that_was_used(work, plane):
    token = plane.token()
    Agent(work / "first").enroll(token)
    _refused(Agent(work / "second"), token, "token")


def test_a_token_with_another_secret(work, plane):
    fields = _decode(plane.token())
    fields["s"] = base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")
    _refused(Agent(work / "agent"), _encode(fields), "token")


def test_a_token_with_another_pin(work, plane):
    fields = _decode(plane.token())
    fields["pin"] = ["sha256/" + base64.b64encode(b"y" * 32).decode()]
    _refused(Agent(work / "agent"), _encode(fields), "pin")


@pytest.mark.parametrize("token", ["", "hello", "clm1.", "clm1.e30", "clm2.e30", "clm1." + "A" * 3000])
def test_what_is_no_token(work, plane, token):
    _refused(Agent(work / "agent"), token, "token")


def test_no_control_plane(work, plane):
    token = plane.token()
    plane.stop()
    done = Agent(work / "agent").enroll(token, check=False)
    assert done.returncode == 6, done
    assert "127.0.0.1" in done.stderr


def test_the_same_enrolment_goes_on_after_a_lost_answer(work, plane):
    agent = Agent(work / "agent")
    plane.stop()
    plane.start(faults=[{"path": "/agent/v1/enroll", "mode": "drop-after-commit", "times": 1}])
    token = plane.token()
    agent.enroll(token, check=False)
    agent.enroll(token)
    assert len(plane.agents()) == 1


def test_a_host_is_enrolled_again_only_when_told_to(work, plane):
    agent = Agent(work / "agent")
    agent.enroll(plane.token())
    again = agent.enroll(plane.token(), check=False)
    assert again.returncode == 2 and "--force" in again.stderr, again
    path = agent.root / "token"
    path.touch(mode=0o600)
    path.write_text(plane.token())
    agent.run("enroll", "--force", "--token-file", path)
    assert len(plane.agents()) == 2


def test_a_token_may_come_from_standard_input(work, plane):
    agent = Agent(work / "agent")
    for text, code in (("", 2), ("x" * 5000, 2), (plane.token() + "\n", 0)):
        done = agent.run("enroll", "--token-file", "-", stdin=text, check=False)
        assert done.returncode == code, done
    assert len(plane.agents()) == 1


def test_a_token_file_that_others_can_read_is_warned_of(work, plane):
    agent = Agent(work / "agent")
    path = agent.root / "open"
    path.write_text(plane.token())
    path.chmod(0o644)
    done = agent.run("enroll", "--token-file", path)
    assert "others can read" in done.stderr and not path.exists()


def _is_gone(pid):
    """True of one that nobody has waited for, too."""
    try:
        return not pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def test_an_operator_approves_and_the_same_command_goes_on(work, plane):
    agent = Agent(work / "agent")
    path = agent.root / "token"
    path.touch(mode=0o600)
    path.write_text(plane.token("--manual"))
    with subprocess.Popen([str(BOT), "enroll", "--token-file", str(path), "--config", str(agent.config)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        line = child.stderr.readline()
        other_half = pathlib.Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        child.terminate()
    assert len(other_half) == 1
    until(lambda: _is_gone(other_half[0]), 10, "the network half ends with the command")
    assert re.fullmatch(r"waiting for an operator to approve; fingerprint [0-9A-F]{4}(-[0-9A-F]{4}){2}\n", line), line
    one = plane.agents()[0]
    assert one["status"] == "pending"
    plane.run("agents", "approve", one["id"])
    assert f"enrolled as {one['id']}" in agent.run("enroll", "--token-file", path).stdout
    assert len(plane.agents()) == 1
