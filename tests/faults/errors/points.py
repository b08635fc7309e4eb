# SPDX-License-Identifier: Apache-2.0
"""One injected error: in a deployment ("deploy:N:fsync:EIO"), or in the recovery of one that was killed
("deploy:K,recover:N:fsync:EIO"). What is reported must be fit to be reported and true; one clean recovery sets all right."""
import table
from support.host import ENDS


def parse(point):
    """(killed at or None, injection)."""
    first, _, second = point.partition(",")
    if second:
        return int(first.removeprefix("deploy:")), second.removeprefix("recover:")
    return None, first.removeprefix("deploy:")


def is_symlink(injection, run):
    """ELOOP of an open with O_NOFOLLOW is no failure but an answer: somebody made it a symlink, which a human must see."""
    return injection.endswith(":ELOOP") and run.status == 4 and "was changed by someone else" in run.out


def inject(host, scenario, expected, point):
    """Returns (what the tracer met or None, what is wrong or "")."""
    killed_at, injection = parse(point)
    host.prepare(scenario)
    if killed_at is None:
        return deploy(host, scenario, expected, injection)
    host.act(scenario, "deploy", "kill", killed_at)
    over = not host.has_journal()
    run = host.act(scenario, "recover", *table.trace(injection))
    if run.status not in ENDS:
        return run.at, f"the recovery ended with {run.status}: {run.text}"
    if is_symlink(injection, run):
        return run.at, ""
    if run.status == 4 and expected != "human":
        return run.at, f"a recovery calls a human because of one error: {run.text}"
    return run.at, host.settle(scenario, "human" if over and expected == "human" else "died")


def deploy(host, scenario, expected, injection):
    run = host.act(scenario, "deploy", *table.trace(injection))
    if run.status not in ENDS:
        return run.at, f"the deployment ended with {run.status}: {run.text}"
    if run.at is None:
        return None, ""
    if is_symlink(injection, run):
        return run.at, ""
    if " bug: " in run.out:
        return run.at, f"an error of the machine is called a bug of ours: {run.text}"
    reported = ENDS[run.status]
    if reported == "human" and expected != "human":
        return run.at, f"a human is called because of one error: {run.text}"
    if reported == "ok" and expected != "ok":
        return run.at, f"ended well, but should have been rolled back: {run.text}"
    return run.at, host.settle(scenario, reported)
