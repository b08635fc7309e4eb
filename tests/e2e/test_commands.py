# SPDX-License-Identifier: Apache-2.0
"""Every command as a person and as a program meets it: JSON by the pages of docs/schema, text, exit status."""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios

import pytest

from conftest import World
from harness import pki
from harness.agent import Agent
from harness.base import BOT, TOP, until

PAGES = TOP / "docs" / "schema"
UNKNOWN_JOB = "job_01J9ZK5D0B2M4N6P8Q0R2S4T6V"


# ---- the pages ----

def _tables(page):
    """{heading: {member: type}} of one page."""
    found, heading = {}, None
    for line in (PAGES / page).read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:].strip().lower().replace(" ", "-")
        row = re.match(r"\| `(\w+)` \| ([^|]+?) \|", line)
        if row and heading:
            assert row.group(1) not in found.setdefault(heading, {}), f"{page}#{heading}: {row.group(1)} twice"
            found[heading][row.group(1)] = row.group(2)
    return found


def _is_time(value):
    return isinstance(value, str) and re.fullmatch(r"[12]\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


PLAIN = {
    "text": lambda v: isinstance(v, str),
    "integer": _is_integer,
    "number": lambda v: _is_integer(v) or isinstance(v, float),
    "boolean": lambda v: isinstance(v, bool),
    "time": _is_time,
    "SHA-256": lambda v: isinstance(v, str) and re.fullmatch(r"([0-9a-f]{64})?", v),
}


def _check(value, kind, page, where):
    kind = kind.removesuffix(", optional")
    if kind.endswith(" or null"):
        if value is None:
            return
        kind = kind.removesuffix(" or null")
    if kind.startswith("list of "):
        assert isinstance(value, list), f"{where}: {value!r} is no list"
        one = kind.removeprefix("list of ")
        one = "text" if one == "texts" else one
        for n, item in enumerate(value):
            _check(item, one, page, f"{where}[{n}]")
        return
    link = re.fullmatch(r"\[[^]]+\]\(([\w.-]*)#([\w-]+)\)", kind)
    if link:
        _check_object(value, link.group(1) or page, link.group(2), where)
        return
    assert kind in PLAIN, f"{where}: the page has a type nobody knows: {kind!r}"
    assert PLAIN[kind](value), f"{where}: {value!r} is no {kind}"


def _check_object(value, page, heading, where):
    assert isinstance(value, dict), f"{where}: {value!r} is no object"
    tables = _tables(page)
    assert heading in tables, f"{where}: there is no {page}#{heading}"
    members = tables[heading]
    for name, kind in members.items():
        if name not in value:
            assert kind.endswith(", optional"), f"{where}: '{name}' of {page}#{heading} is missing"
            continue
        _check(value[name], kind, page, f"{where}.{name}")
    unknown = sorted(set(value) - set(members))
    assert not unknown, f"{where}: {unknown} are not on {page}#{heading}"


def check_page(name, doc):
    assert doc["schema"] == f"clmbot.{name}" and doc["version"] == 1, doc
    _check_object(doc, f"{name}.md", "top", name)


# ---- one world for all that only look ----

@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    root = tmp_path_factory.mktemp("commands")
    for path in (root, *root.parents[:2]):
        path.chmod(0o755)  # web server and network half have to get through
    world = World(root, "nginx")
    # where everybody may run it: a checkout may lie in a home that nobody else may enter
    world.bot = shutil.copy(BOT, root / "clmbot")
    try:
        world.up()
        world.first = world.agent.json("status", check=False)
        world.first_exit = world.agent.run("status", check=False).returncode
        world.job, world.cert = world.order()
        assert world.job["state"] == "succeeded", world.job
        until(lambda: _target(world)["installed_version"] == 1, what="a scan after the order")
        yield world
    finally:
        world.down()


def _target(world):
    return next((t for t in world.agent.json("status", check=False)["targets"]
                 if t["target"] == world.server.target), {"installed_version": None, "state": None})


def run(world, *args, **options):
    bot = world.bot if "user" in options else BOT
    return subprocess.run([str(bot), *map(str, args), "--config", str(world.agent.config)], text=True,
                          stdin=subprocess.DEVNULL, stdout=options.pop("stdout", subprocess.PIPE),
                          stderr=subprocess.PIPE, timeout=60, check=False, **options)


def on_terminal(world, *args, columns=100, env=None):
    """What the command prints on a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    child = subprocess.Popen([str(BOT), *map(str, args), "--config", str(world.agent.config)], stdout=slave,
                             stderr=slave, stdin=subprocess.DEVNULL,
                             env={"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", **(env or {})})
    os.close(slave)
    text = b""
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece
    os.close(master)
    child.wait(10)
    return text.decode().replace("\r\n", "\n")


def _commands(world):
    """Page and command of everything that only looks."""
    return {
        "status": ("status",), "scan": ("scan",), "verify": ("verify",), "jobs": ("jobs",),
        "job": ("job", world.job["id"]), "history": ("history",), "plan": ("plan", world.server.target),
        "certs": ("certs",), "explain": ("explain", world.server.target),
        "doctor": ("doctor",), "config-check": ("config", "check"), "version": ("version",),
    }


LOOKING = ("status", "scan", "verify", "jobs", "job", "history", "plan", "certs", "explain", "doctor", "config-check",
           "version")
TABLES = ("status", "scan", "verify", "jobs", "history")


def test_every_shape_has_a_page_and_every_page_is_tested():
    listed = set(re.findall(r"\| `clmbot\.([\w-]+)` \| \[", (PAGES / "README.md").read_text()))
    assert listed == set(LOOKING) | {"rollback", "enroll", "keystore"}
    assert {p.stem for p in PAGES.glob("*.md")} == listed | {"README", "parts", "csr", "inventory"}


@pytest.mark.parametrize("name", LOOKING)
def test_json_is_what_its_page_says(calm, name):
    done = run(calm, *_commands(calm)[name], "--json")
    assert done.stderr == ""
    doc = json.loads(done.stdout)
    # doctor has a note where systemd does not run; other servers of this host have a say in the rest
    expected = {"status": lambda: _expected(doc), "doctor": lambda: done.returncode if done.returncode < 2 else 0,
                "certs": lambda: 1 if any(f["problems"] for f in doc["files"]) else 0,
                "verify": lambda: 0 if all(t["ok"] for t in doc["targets"]) else 3}.get(name, lambda: 0)()
    assert done.returncode == expected, done
    check_page(name, doc)


def test_json_has_what_the_order_did(calm):
    job = calm.agent.json("job", calm.job["id"])["job"]
    assert job["outcome"] == "succeeded" and job["error"] is None
    effects = job["result"]["effects"]
    assert effects["after"]["sha256"] == calm.server.installed() == effects["observations"][0]["after"]["leaf_sha256"]
    last = calm.agent.json("history", calm.server.target)["transactions"][0]
    assert (last["version"], last["job_id"], last["is_rollback"]) == (1, calm.job["id"], False)
    target = _target(calm)
    assert target["state"] == "ok"
    assert target["served_sha256"] == target["sha256"] == calm.server.installed()
    assert target["last_job"]["job_id"] == calm.job["id"]


def test_json_of_rolling_back_there_and_back(calm):
    try:
        there = calm.agent.json("rollback", calm.server.target)
        check_page("rollback", there)
        assert there["outcome"] == "succeeded" and there["effects"]["version"] == 0
        until(lambda: _target(calm)["served_sha256"] == calm.server.served(), 15, "the agent to look again")
    finally:
        back = calm.agent.json("rollback", calm.server.target, "--to", "1")
    until(lambda: _target(calm)["served_sha256"] == calm.server.served(), 15, "the agent to look again")
    check_page("rollback", back)
    assert back["effects"]["after"]["sha256"] == calm.server.served()
    check_page("history", calm.agent.json("history"))


def test_json_of_an_enrolment(calm):
    other = Agent(calm.work / "second")
    token = other.root / "token"
    token.touch(mode=0o600)
    token.write_text(calm.plane.token())
    check_page("enroll", json.loads(other.run("enroll", "--token-file", token, "--json").stdout))


def test_the_inventory_sent_has_the_same_members_as_the_page():
    scan, inventory = _tables("scan.md")["top"], _tables("inventory.md")["top"]
    assert set(scan) == set(inventory) | {"version"}


# ---- text ----

def _assert_aligned(lines, right=("LEFT", "VERSION")):
    """Between columns are two blanks in every line of the table."""
    head, rows = lines[0], lines[1:]
    for title in re.finditer(r"\S+(?: \S+)*", head):
        for row in rows:
            if title.group() in right:
                assert row[title.end():title.end() + 2].strip() == "", f"{title.group()}: {row!r}"
            elif title.start() > 0:
                assert row[title.start() - 2:title.start()].strip() == "", f"{title.group()}: {row!r}"
    assert all(line == line.rstrip() for line in lines), lines


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_aligned_and_plain_when_piped(calm, name):
    done = run(calm, *_commands(calm)[name])
    assert "\x1b" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    start = next(n for n, line in enumerate(lines) if re.match(r"(TARGET|JOB|WHEN) ", line))
    table = [line for line in lines[start:] if not re.match(r"  (note|not manageable|error): |\d+ other ", line)]
    assert len(table) > 1
    _assert_aligned(table)


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("name", ("status", "verify", "scan"))
def test_tables_fit_a_narrow_terminal(calm, name, columns):
    text = on_terminal(calm, *_commands(calm)[name], columns=columns, env={"NO_COLOR": "1"})
    lines = [line for line in text.splitlines() if not re.match(r"  (note|not manageable|error): ", line)]
    assert max(len(line) for line in lines) <= columns, text


@pytest.mark.parametrize("name", ("jobs", "history"))
def test_wide_tables_fit_100_columns(calm, name):
    text = on_terminal(calm, *_commands(calm)[name], columns=100, env={"NO_COLOR": "1"})
    assert max(len(line) for line in text.splitlines()) <= 100, text


def test_colour_only_on_a_terminal_and_never_with_no_color(calm):
    assert "\x1b[" in on_terminal(calm, "status")
    assert "\x1b" not in on_terminal(calm, "status", env={"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal(calm, "status", env={"TERM": "dumb"})


def test_status_fits_one_screen(calm):
    lines = run(calm, "status").stdout.splitlines()
    others = len(calm.agent.json("status", check=False)["targets"]) - 1  # of other servers on this host
    assert len(lines) - others <= 12, lines
    assert lines[0].startswith(f"agent          {calm.agent.id}")
    assert any(calm.server.target in line and "order succeeded" in line for line in lines)


def test_text_says_what_json_says(calm):
    target, leaf = calm.server.target, calm.server.installed()[:12]
    assert f"{leaf}  {leaf}  ok" in run(calm, "verify", target).stdout
    history = run(calm, "history", target).stdout.splitlines()
    assert history[0].split() == ["WHEN", "TARGET", "WHAT", "VER", "RESULT", "PROVED"]
    assert "deploy" in history[-1] and " 1  succeeded" in history[-1] and history[-1].endswith("yes")
    assert max(map(len, history)) <= 80, history
    plan = run(calm, "plan", target).stdout
    assert str(calm.server.cert) in plan and "  1. " in plan and "handshakes" in plan
    job = run(calm, "job", calm.job["id"]).stdout
    assert "state    finished, succeeded" in job and "No such file" not in job
    assert calm.server.target in run(calm, "jobs").stdout
    scan = run(calm, "scan", "nginx").stdout
    row = next(line for line in scan.splitlines() if line.startswith(f"  {target} "))
    assert calm.server.name in row.split()[1:] and row.split()[-2:] == ["yes", "yes"]
    assert run(calm, "version").stdout == f"clmbot {calm.agent.json('version')['clmbot']}\n"


def test_a_plan_changes_nothing(calm):
    before = [(p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(calm.server.tls.iterdir())]
    run(calm, "plan", calm.server.target)
    assert [(p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(calm.server.tls.iterdir())] == before


# ---- exit status ----

def _expected(doc):
    states = {t["state"] for t in doc["targets"]}
    if "mismatch" in states:
        return 3
    if doc["control_plane"]["state"] == "offline":
        return 6
    return 0 if states <= {"ok"} and doc["control_plane"]["state"] == "connected" else 1


def test_status_exit_is_what_its_states_mean(calm):
    assert calm.first_exit == _expected(calm.first) or calm.first_exit in (0, 1)
    done = run(calm, "status", "--json")
    assert done.returncode == _expected(json.loads(done.stdout))


@pytest.mark.parametrize("args", [(), ("nosuch",), ("config",), ("config", "nosuch"), ("status", "extra"),
                                  ("status", "--nosuch"), ("job",), ("plan",), ("plan", "a", "b"), ("rollback",),
                                  ("rollback", "x", "--to", "one"), ("rollback", "x", "--to=-1"),
                                  ("verify", "a", "b"), ("history", "a", "b"), ("scan", "nosuchkind"),
                                  ("enroll",), ("host", "--fd", "x"), ("version", "x")])
def test_wrong_usage_is_64_and_says_so(calm, args):
    done = subprocess.run([str(BOT), *args, *(["--config", calm.agent.config] if args else [])],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 64, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2 or args[:1] == ("scan",), done.stderr
    assert lines[0].startswith("clmbot: ")


@pytest.mark.parametrize("args", [("plan", "nginx:nope.test"), ("verify", "nginx:nope.test"),
                                  ("rollback", "nginx:nope.test"), ("plan", "nonsense"), ("rollback", "nonsense"),
                                  ("verify", "nonsense"), ("job", "nonsense"), ("job", UNKNOWN_JOB),
                                  ("enroll", "--token-file", "/nonexistent"), ("host",), ("run",)])
def test_what_cannot_be_done_is_2_with_one_clear_line(calm, args):
    done = run(calm, *args)
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2 and re.match(r"clmbot(-host|-run)?: ", lines[0]), done.stderr
    assert len(lines) == 1 or lines[1].startswith("        ")


def test_history_of_a_target_nobody_knows_is_empty(calm):
    done = run(calm, "history", "nginx:nope.test")
    assert (done.returncode, done.stdout) == (0, "No deployment to nginx:nope.test was made here yet.\n")
    assert calm.agent.json("history", "nginx:nope.test")["transactions"] == []


@pytest.mark.parametrize("args", [("status",), ("jobs",), ("job", UNKNOWN_JOB)])
def test_who_may_not_ask_the_agent_is_told_the_group(calm, args):
    done = run(calm, *args, user=65534, group=12345, extra_groups=[])
    assert done.returncode == 2, done
    assert "root or as a member of group 'nogroup'" in done.stderr


@pytest.mark.parametrize("args", [("plan", "nginx:x"), ("verify",), ("rollback", "nginx:x"), ("history",)])
def test_members_of_the_group_may_not_what_is_for_root(calm, args):
    done = run(calm, *args, user=12345, group=65534, extra_groups=[])
    assert done.returncode == 2, done
    assert "as root" in done.stderr


def test_members_of_the_group_may_look(calm):
    done = run(calm, "status", "--json", user=12345, group=65534, extra_groups=[])
    assert done.returncode in (0, 1, 3), done
    check_page("status", json.loads(done.stdout))


@pytest.mark.parametrize("name", ("status", "scan", "verify", "history", "version"))
def test_a_full_disk_behind_the_output_is_no_success(calm, name):
    with open("/dev/full", "w") as full:
        done = run(calm, *_commands(calm)[name], "--json", stdout=full)
    assert done.returncode == 2, done
    assert "No space left" in done.stderr


def test_a_wrong_configuration_is_4_with_its_place(calm, tmp_path):
    config = tmp_path / "clmbot.yaml"
    config.write_text("state_dir: /tmp/x\npolicy:\n  no_such_key: 1\n")
    for args in (("status",), ("scan",), ("doctor",), ("config", "check"), ("run",), ("enroll", "--token-file", "x")):
        done = subprocess.run([str(BOT), *args, "--config", config], capture_output=True, text=True, check=False)
        assert done.returncode == 4, done
        assert f"{config}:3:" in done.stderr and "no_such_key" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_configuration_that_allows_no_name_is_good_with_a_note(tmp_path):
    config = tmp_path / "clmbot.yaml"
    config.write_text("state_dir: /tmp/x\n")
    text = subprocess.run([str(BOT), "config", "check", "--config", config], capture_output=True, text=True, check=False)
    doc = subprocess.run([str(BOT), "config", "check", "--json", "--config", config], capture_output=True, text=True,
                         check=False)
    assert text.returncode == doc.returncode == 1
    check_page("config-check", json.loads(doc.stdout))
    assert json.loads(doc.stdout)["notes"][0] in text.stdout


def test_before_enrolment(work):
    agent = Agent(work / "agent")
    done = agent.run("doctor", check=False)
    assert done.returncode == 2 and "clmbot enroll" in done.stdout, done
    for args in (("status",), ("jobs",), ("job", UNKNOWN_JOB)):
        done = agent.run(*args, check=False)
        assert done.returncode == 5, done
        assert "does not run" in done.stderr and "start it: " in done.stderr
    done = agent.run("recover")
    assert done.stdout == "nothing to recover\n"
    done = agent.run("plan", "nginx:nope.test", check=False)
    assert done.returncode == 2 and "clmbot scan" in done.stderr


def test_3_differs_6_offline_5_not_running(make_world):
    world = make_world("nginx")
    world.up()
    pki.write_pair(world.server.cert, world.server.key, [world.server.name])
    done = run(world, "verify", world.server.target)
    assert done.returncode == 3 and "differs" in done.stdout and "reload" in done.stdout
    check_page("verify", json.loads(run(world, "verify", "--json").stdout))
    world.plane.wait_job(world.plane.action("scan", "--agent", world.agent.id))
    until(lambda: _target(world)["state"] == "mismatch", what="the scan")
    assert run(world, "status").returncode == 3
    world.server.process.popen.send_signal(signal.SIGHUP)
    until(lambda: run(world, "verify", world.server.target).returncode == 0, what="nginx to reload")
    world.plane.wait_job(world.plane.action("scan", "--agent", world.agent.id))
    until(lambda: _target(world)["state"] == "expiring", what="the scan")
    assert run(world, "status").returncode == _expected(world.agent.json("status", check=False))
    world.plane.stop()
    until(lambda: world.agent.json("status", check=False)["control_plane"]["state"] == "offline", 60,
          "the agent to miss its control plane")
    done = run(world, "status")
    assert done.returncode == _expected(world.agent.json("status", check=False)) == 6, done
    assert ", offline, " in done.stdout
    assert run(world, "doctor").returncode == 1
    world.server.stop()
    done = run(world, "verify", world.server.target)
    assert done.returncode == 2 and "does not run" in done.stderr
    world.agent.stop()
    for args in (("status",), ("jobs",), ("job", UNKNOWN_JOB), ("status", "--json")):
        done = run(world, *args)
        assert done.returncode == 5 and done.stdout == "", done
    assert run(world, "doctor").returncode == 2
