# SPDX-License-Identifier: Apache-2.0
"""Attacks on 'clmbot enroll': refused in one line, nothing of an identity kept, and the next one succeeds."""
import pathlib
import shutil

import attack
import enrol_attacks
import papers
import world


def one(it, report):
    """it: (place, Attack). A place is a World that is not enrolled."""
    place, point = it
    before = place.snapshot()
    place.plane.traps.clear()
    place.plane.greeting = None
    point.arm(place.plane)
    done = place.enroll()
    report.tried("enrol")
    for what in judge(place, point, done):
        report.wrong(point, what)
    for what in place.difference(before, place.snapshot()):
        report.wrong(point, what)
    wipe(place)


def wipe(place):
    shutil.rmtree(place.work / "agent" / "state", ignore_errors=True)


def identity(place):
    """Which halves have something of an enrolment."""
    state = place.work / "agent" / "state"
    return [name for name, path in (("network half", state / "net/identity/tls.pem"), ("host half", state / "host/trust.json"))
            if path.exists()]


def judge(place, point, done):
    text = done.stderr.decode("utf-8", "backslashreplace")
    lines = [line for line in text.splitlines() if not line.startswith("clmbot-host: ")]
    if done.returncode < 0 or done.returncode >= 126:
        yield f"clmbot ended with {done.returncode}: {text[-300:]}"
        return
    if point.says is None:
        if done.returncode != 0 or len(identity(place)) != 2:
            yield f"it should do no harm, but: {text.strip()!r}"
        return
    if done.returncode == 0 or done.stdout:
        yield f"it was taken: status {done.returncode}, {done.stdout!r}"
    if not 1 <= len(lines) <= 2 or not lines[0].startswith("clmbot: ") or point.says not in lines[0]:
        yield f"not one line that says '{point.says}': {text!r}"
    for line in lines:
        if attack.bad_line(line):
            yield f"{attack.bad_line(line)}: {line!r}"
    if identity(place):
        yield f"something was kept by: {', '.join(identity(place))}"
    yield from leaks(place, text)


def leaks(place, text):
    return [f"a secret is in the output: {secret[:8]}..." for secret in place.secrets() if secret in text]


def twice(place, report):
    """After a refused document the same host enrols; enrolled, it is enrolled anew only when told to."""
    report.tried("enrol")
    name = "enrol/after-a-refusal"
    enrol_attacks.trust(enrol_attacks.TRUST["signed-by-the-attacker"][0])(place.plane)
    place.enroll()
    place.plane.traps.clear()
    done = place.enroll()
    if done.returncode != 0 or len(identity(place)) != 2:
        report.wrong(name, f"the next, good enrolment: {done.stderr!r}")
    again = place.enroll()
    if again.returncode == 0 or b"--force" not in again.stderr:
        report.wrong(name, f"enrolled twice without being told: {again.stderr!r}")
    forced = place.run("enroll", "--force", "--token-file", place.token_file(place.plane.token(id=papers.ident("tok", 9))))
    if forced.returncode != 0:
        report.wrong(name, f"--force: {forced.stderr!r}")
    wipe(place)


def slow(work, programs, point, report):
    """An attack that waits for a time limit: in a place of its own, beside everything else."""
    place = world.World(pathlib.Path(work), "slow", programs)
    one((place, point), report)
    report.peak("peak_rss_kib", place.peak_kib)
    place.plane.close()
