# SPDX-License-Identifier: Apache-2.0
"""Attacks on the connection of a running agent: its poll, its offers, the renewal of its identity.

ends "offline": the agent says so with a reason, tries again, and is connected when the answers are right.
ends "connected": it takes the answer for what it is, and stays."""
import time

import attack
import http_attacks
import jobs
import json_attacks
import papers
import tls_attacks
import wire

# of these tables a sample is enough here: all of them were tried on an enrolment
HTTP = ["gzip-bomb", "million-headers", "endless-chunks", "redirect-to-metadata", "redirect-to-a-file", "captive-portal", "http-0.9",
        "million-informational-answers", "length-too-large", "status-line-of-a-mebibyte", "content-type-with-escape-sequences",
        "empty-answer"]
JSON = ["duplicate-key", "nul-escaped", "depth-100000", "16-mebibytes", "cut-utf-8", "list", "infinity"]
TLS = ["other-authority", "other-name", "expired", "plain-http", "tls-1.0", "garbage"]


class PollAttack:
    def __init__(self, name, arm, says, ends="offline", slow=0):
        self.name = f"poll/{name}"
        self.arm = arm
        self.says = says
        self.ends = ends
        self.slow = slow


def answers(trap):
    return lambda plane: plane.traps.update(poll=trap)


def with_members(says="", ends="connected", **changes):
    """A right answer with other members."""
    return answers(lambda c, r, p: wire.answer(p.poll_body(**changes))), says, ends


def with_offer(says="an offered job was left", **changes):
    job_id = papers.ident("job", 77)
    offer = {"job_id": job_id, "type": "order", "target": "nginx:x", "target_seq": 1, "priority": 50, "attempt": 1, "size": 10,
             "sha256": "0" * 64, "jws": {}, **changes}
    return answers(lambda c, r, p: wire.answer(p.poll_body(offers=[offer]))), says, "connected"


def handshake(greeting):
    def arm(plane):
        plane.greeting = greeting
        plane.drop_connections()
    return arm


def problem(status, code, detail):
    return answers(lambda c, r, p: wire.problem(status, code, detail)), code, "offline"


MEMBERS = {
    "next-poll-of-a-million-years": with_members(next_poll_s=2**53 - 1, offers=[]),
    "next-poll-negative": with_members("next_poll_s", next_poll_s=-1),
    "next-poll-a-text": with_members("next_poll_s", next_poll_s="0"),
    "wait-of-a-million-years": with_members(wait_max_s=2**53 - 1),
    "cursor-negative": with_members("cursor", cursor=-1),
    "cursor-at-the-end": with_members(cursor=2**53 - 1),
    "offers-no-list": with_members("offers", offers={"a": 1}),
    "offers-65": with_members("offers", offers=[{}] * 65),
    "offers-no-objects": with_members("an offered job was left", offers=[1, "x", None, [], {}]),
    "cancels-no-list": with_members(cancels="x"),
    "cancels-paths": with_members(cancels=[{"job_id": "../../x"}, {"job_id": 1}, {}, "x"]),
    "cancels-ten-thousand": with_members(cancels=[{"x": 1}] * 10000),
    "leases-garbage": with_members(leases=[{"job_id": "../x", "ok": False}, 7]),
    "notices-garbage": with_members(notices=[1]),
    "update-with-escape-sequences": with_members(notices={"update_available": "\x1b[2J9.9"}),
    "update-of-10-kb": with_members(notices={"update_available": "9" * 10000}),
    "unknown-members": with_members(command="id", config={"policy": {"names": ["*"]}}, trust={"keys": []}),
    "numbers-that-grow-when-printed": with_members(x=[0.1] * 900),
    "offer-id-a-path": with_offer("job_id", job_id="../../../etc/cron.d/x"),
    "offer-id-long": with_offer("job_id", job_id="job_" + "A" * 5000),
    "offer-type-long": with_offer("type", type="x" * 100),
    "offer-type-with-escape-sequences": with_offer("", type="\x1b[2J%n"),
    "offer-target-traversal": with_offer("target", target="../../etc"),
    "offer-target-with-line-feed": with_offer("target", target="nginx:a\nclmbot-run: notice: control plane: connected"),
    "offer-priority-2-to-the-40": with_offer("priority", priority=2**40),
    "offer-attempt-negative": with_offer("attempt", attempt=-1),
    "offer-deep": with_offer("", jws={"a": {"b": {"c": [[[[[[]]]]]]}}}),
    "problem-with-escape-sequences": problem(500, "internal", "\x1b[2J\u202e\nclmbot-run: notice: connected\u2028x%n"),
    "problem-long": problem(503, "overloaded", "\u20ac" * 20000),
    "problem-cut-within-a-character": problem(500, "internal", "a" * 3 + "\u20ac" * 400),
    "problem-code-long": (answers(lambda c, r, p: wire.problem(500, "c" * 5000, "x")), "", "offline"),
}
RENEWALS = {
    "for-another-key": (lambda p, r: {"certificate": p.identity(r, public_key=papers.new_key().public_key())}, "another key"),
    "for-another-agent": (lambda p, r: {"certificate": p.identity(r, names=["clm://acme/agent/" + papers.ident("agt", 3)])},
                          "not for agent"),
    "agent-id-changed": (lambda p, r: {"certificate": p.identity(r), "agent_id": papers.ident("agt", 3)}, ""),
    "generation-0": (lambda p, r: {"certificate": p.identity(r), "generation": 0}, "generation"),
}


def attacks():
    found = [PollAttack(name, *how) for name, how in MEMBERS.items()]
    found += [PollAttack(f"http-{name}", answers(http_attacks.TABLE[name][0]), http_attacks.TABLE[name][1]) for name in HTTP]
    texts = json_attacks.texts("cursor", 7)
    found += [PollAttack(f"json-{name}", answers(lambda c, r, p, t=texts[name][0]: wire.answer(t)), texts[name][1]) for name in JSON]
    found += [PollAttack(f"tls-{name}", handshake(tls_attacks.TABLE[name][0]), tls_attacks.TABLE[name][1]) for name in TLS]
    return found


# ---- how they are tried ----

def run(world, point, report):
    plane = world.plane
    before = world.snapshot()
    world.new_log()
    report.tried("poll")
    hits = count(plane, point)
    plane.offer([])  # the poll that is held comes back
    said = list(until_reaction(world, point, hits))
    disarm(plane)
    for what in said:
        report.wrong(point, what)
    come_back(world, point, report)
    for what in [*world.difference(before, world.snapshot()), *jobs.bad_log(world, world.new_log())]:
        report.wrong(point, what)


def come_back(world, point, report):
    """By itself the first time; then it is started again, since its patience grows with every failure."""
    if point.ends == "connected":
        return
    if world.came_back:
        world.stop()
        world.start()
    if not _within(60, lambda: world.status()["control_plane"]["state"] == "connected"):
        report.wrong(point, f"it did not come back: {world.status()['control_plane']}")
    world.came_back = True


def count(plane, point):
    """Arms it; returns a list that grows whenever it strikes."""
    point.arm(plane)
    trap, greeting = plane.traps.get("poll"), plane.greeting
    struck = []

    def noted(strike):
        def first(*args):
            struck.append(1)
            return strike(*args)
        return first
    if trap:
        plane.traps["poll"] = noted(trap)
    if greeting:
        plane.greeting = noted(greeting)
    return struck


def disarm(plane):
    plane.traps.clear()
    plane.greeting = None


def until_reaction(world, point, struck):
    """What the agent makes of it; sentences about what is wrong."""
    log = []

    def has(text):
        log.extend(world.new_log())
        return any(text in line for line in log)

    if not _within(40, lambda: struck):
        yield f"the agent never met it: {world.new_log()[-3:]}"
        return
    if point.ends == "connected":
        if point.says and not _within(10, lambda: has(point.says)):
            yield f"no line of the log says '{point.says}': {log[-3:]}"
        return
    if not _within(15, lambda: world.status()["control_plane"]["state"] not in ("connected", "connecting")):
        yield f"the agent is still connected; its log: {log[-3:]}"
        return
    message = world.status()["control_plane"]["message"]
    if point.says not in message or not message:
        yield f"its status does not say '{point.says}': {message!r}"
    if attack.bad_line(message) or len(message.splitlines()) > 1:
        yield f"its status is not one plain line: {message!r}"


def _within(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def renewals(world, report):
    """The plane asks for a new identity and answers with wrong ones: the old one stays in force."""
    plane = world.plane
    for name, (make, says) in RENEWALS.items():
        report.tried("poll")
        point = f"renewal/{name}"
        world.new_log()
        log = []
        plane.traps["renew"] = lambda c, r, p, make=make: wire.answer(
            {"generation": 2, "not_after": papers.stamp(86400), "renew_after": papers.stamp(43200)} | make(p, r))
        plane.traps["poll"] = lambda c, r, p: wire.answer(p.poll_body(notices={"renew_identity": True}))
        plane.offer([])

        def refused(log=log, says=says):
            log.extend(world.new_log())
            return any("renewal of this agent's identity" in line and says in line for line in log)
        if not _within(40, refused):
            report.wrong(point, f"no line of the log says 'renewal of this agent's identity: ...{says}': {log[-4:]}")
        disarm(plane)
        if world.status()["identity"]["generation"] != 1:
            report.wrong(point, "the agent took another identity")
        world.stop()  # its patience grows with every failure
        world.start()
        world.until_connected()
