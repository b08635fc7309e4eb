# SPDX-License-Identifier: Apache-2.0
"""Attacks on a running agent by jobs, a handful at a time: what becomes of each, and what must stay as it was."""
import contextlib
import json
import re
import time

import attack
from harness.base import leaf_sha256, until
from world import LINE

BATCH = 12
HARMLESS = ("rejected", "failed", "refused", "dropped", "later", "waits", "left")
MAY_CHANGE = {f"nginx/tls{name} was changed" for name in ("", "/www.pem", "/www.key")}
PAUSE_MAX_S = 3700  # a job that waits at the control plane's word comes back within an hour
WAIT_S = 75


def batches(attacks):
    """Those that must change nothing apart from those that may; what is large or waits, alone."""
    found = []
    for harmless in (True, False):
        some = [one for one in attacks if (one.ends in HARMLESS) == harmless]
        apart = [one for one in some if one.alone or one.slow]
        rest = [one for one in some if one not in apart]
        found += [rest[i:i + BATCH] for i in range(0, len(rest), BATCH)] + [[one] for one in apart]
    return found


def run(world, points, report):
    """One batch, and then a good job."""
    before = world.snapshot()
    world.new_log()
    pairs = [(point, point.make(world)) for point in points]
    world.plane.offer([job for _, job in pairs])
    log = wait(world, pairs)
    for point, job in pairs:
        report.tried("job")
        for what in judge(world, point, job, log):
            report.wrong(point, what)
    withdraw(world, [job for _, job in pairs])
    good(world, points, report)
    log += world.new_log()
    blame = points[0] if len(points) == 1 else f"{points[0].name} to {points[-1].name}"
    said = world.difference(before, world.snapshot())
    if not all(point.ends in HARMLESS for point in points):
        said = [what for what in said if what not in MAY_CHANGE]
        said += consistent(world)
    for what in [*said, *bad_log(world, log)]:
        report.wrong(blame, what)


def ended(point, job, log):
    mine = [line for line in log if job.id in line]
    return job.is_over or any(word in line for line in mine for word in ("dropped: ", "is not wanted by", "no lease: ")) or \
        (point.ends == "waits" and job.fence == 0 and job.leases > 0)


def wait(world, pairs):
    """Lines of the log until all have come to an end."""
    log = []
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        log += world.new_log()
        if all(ended(point, job, log) for point, job in pairs):
            break
        time.sleep(0.03)
    return log + world.new_log()


def judge(world, point, job, log):
    mine = [line for line in log if job.id in line]
    result = job.result
    if point.ends == "any":
        if result is None and not any("dropped: " in line for line in mine):
            yield f"it came to no end: {mine[-3:]}"
        elif result and result["outcome"] != "succeeded":
            yield from judge_error(point, result)
        return
    if point.ends in ("dropped", "later", "waits", "spooled"):
        yield from judge_lines(world, point, job, mine)
        return
    if result is None:
        yield f"no result: {mine[-3:]}"
    elif result["outcome"] not in (("rejected", "failed") if point.ends == "refused" else (point.ends,)):
        yield f"it {result['outcome']}, not {point.ends}: {result['error']}"
    elif result["outcome"] != "succeeded":
        yield from judge_error(point, result)


def judge_error(point, result):
    error = result["error"]
    if point.code and error["code"] != point.code:
        yield f"the code is {error['code']}, not {point.code}: {error['message']!r}"
    if point.says not in error["message"] or not error["message"]:
        yield f"the error does not say '{point.says}': {error['message']!r}"
    if error["code"] == "E_INTERNAL":
        yield f"blamed on us: {error['message']!r}"
    if attack.bad_line(error["message"]) or len(error["message"].splitlines()) != 1:
        yield f"not one plain line: {error['message']!r}"


def judge_lines(world, point, job, mine):
    words = {"dropped": "dropped: ", "later": "no lease: ", "spooled": "is not wanted by the control plane"}
    if point.ends == "waits":
        path = world.work / "agent/state/net/jobs" / f"{job.id}.json"
        with contextlib.suppress(AssertionError):
            until(lambda: json.loads(path.read_text()).get("next_try_s"), 10)
        left_s = json.loads(path.read_text()).get("next_try_s", 0) - time.time()
        if not 0 < left_s < PAUSE_MAX_S:
            yield f"it waits for {left_s:.0f} s"
    elif not any(words[point.ends] in line and point.says in line for line in mine):
        yield f"no line of the log says '{words[point.ends]}...{point.says}': {mine[-3:]}"
    elif job.is_over and point.ends != "spooled":
        yield f"it has a result: {job.result}"


def withdraw(world, jobs):
    """The plane forgets them; the agent is told to stop those it still has."""
    plane = world.plane
    for job in jobs:
        job.is_over = True
    plane.cancels = [{"job_id": job.id, "mode": "graceful", "deadline_s": 5, "reason": "x"} for job in jobs]
    plane.offer([])
    plane.jobs.clear()


def good(world, points, report):
    """The agent goes on: the next good job is done."""
    world.plane.traps.clear()
    job = world.plane.new_job(world.target, "recheck_pinning", {})
    world.plane.offer([job])
    if not world.plane.wait([job], 60) or job.result["outcome"] != "succeeded":
        report.wrong(points[-1], f"the next good job: {job.result and job.result['error']} {world.new_log()[-5:]}")
    world.plane.cancels = []


def consistent(world):
    """Whatever was installed: one pair that fits, that is served, and nothing else in the files."""
    server = world.server
    text = server.cert.read_text()
    if text.count("-----BEGIN") != text.count("-----BEGIN CERTIFICATE-----"):
        yield "the certificate file holds more than certificates"
    if any(line and not line.startswith("-----") and not line.replace("+", "").replace("/", "").rstrip("=").isalnum()
           for line in text.splitlines()):
        yield "the certificate file holds text beside its certificates"
    if server.served() != leaf_sha256(server.cert):
        yield "the server serves another certificate than is installed"


def bad_log(world, log):
    secrets = world.secrets()
    for line in log:
        if line and not re.fullmatch(LINE, line):
            yield f"a line of the log that is none: {line!r}"
        if any(secret in line for secret in secrets):
            yield "a secret is in the log"
    for step, request in world.plane.seen:
        if any(secret.encode() in request.body for secret in secrets):
            yield f"a secret was sent ({step})"
    world.plane.seen.clear()
