# SPDX-License-Identifier: Apache-2.0
"""Messages made from good ones by chance: bytes turned, values exchanged, frames cut, joined and repeated."""
import contextlib
import copy
import json
import random

from cases_certs import issue, observation, ordered
from cases_jobs import order, order_spec
from cases_paths import CONTENTS, DOMAINS, IDS, PATHS, TOKENS, put_body
from sign import new_id
from stage import ACME
from wire import ANSWER, END, OPS, REQUEST, frame, head

VALUES = [None, True, False, 0, -1, 1 << 31, 1 << 52, 1.5, "", "x", "A" * 300, "../../../../etc/passwd", "%s%n", "\u202e", [], {}, [[]],
          {"a": {"b": {}}}, "\n", "nginx:x", "host", *TOKENS[:20], *PATHS[:10], *CONTENTS.values(), *DOMAINS]
CHECK_EVERY = 250


def seeds(stage):
    """Good requests of every operation, with the jobs they speak of. None of them may deploy."""
    job, public = ordered(stage)
    chain = issue(stage, public)
    body = put_body(stage)
    unsigned = order(stage)
    rollback = stage.accept("rollback", {"to_version": 77, "reason": "x"})
    recheck = stage.accept("recheck_pinning", {})
    return [("hello", {"v": 1, "version": "1", "boot_id": "b"}), ("status", {}), ("scan", {"kinds": ["nginx"]}),
            ("job_accept", stage.plane.sign(unsigned)), ("job_accept", stage.plane.sign(stage.plane.payload("scan", "host", {}))),
            ("csr", {"job_id": job}), ("dcv_put", body), ("dcv_put", {**body, "path": ACME + "m" * 30}),
            ("dcv_remove", {"job_id": job, "order_id": body["order_id"]}), ("cert_put", {"job_id": job, "chain_pem": chain}),
            ("deploy", {"job_id": job}), ("rollback", {"job_id": rollback}), ("recheck", {"job_id": recheck}),
            ("close", {"job_id": stage.accept("order", order_spec(stage)), "result": {"outcome": "failed"}}), ("certs", {}),
            *((op, {"target": stage.server.target, "version": -1, **stage.plane.trust()}) for op in
              ("trust_put", "local_plan", "local_rollback", "history", "local_verify", "explain"))]


def nodes(value, path=()):
    """Paths of everything in an object."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from nodes(below, path + (key,))


def replace(body, path, value):
    at = body
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value


def value(rng):
    """One of VALUES, for this message alone: what is put into it later must not be in the next one."""
    return copy.deepcopy(rng.choice(VALUES))


def mutated_body(rng, body):
    body = copy.deepcopy(body)
    for _ in range(rng.randrange(1, 4)):
        path = rng.choice([p for p in nodes(body) if p] or [("job_id",)])
        kind = rng.randrange(6)
        if kind < 3:
            replace(body, path, value(rng))
        elif kind == 3:
            replace(body, path, rng.choice(IDS).format(rng.choice(["job", "ord", "key"])))
        elif kind == 4:
            body[rng.choice(["job_id", "order_id", "path", "kind", "x", "jws", ""])] = value(rng)
        else:
            replace(body, path, new_id(rng.choice(["job", "ord", "chl"])))
    return body


def mutated_bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at:at + rng.randrange(1, 9)]
        else:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        data = data or bytearray(b"\0")
    return bytes(data)


def message(rng, requests):
    """One message, and whether an answer may be waited for."""
    op, body = rng.choice(requests)
    how = rng.randrange(10)
    if how < 6:
        number = OPS[op] if rng.randrange(8) else rng.randrange(20)
        return frame(mutated_body(rng, body), REQUEST, number), number != 0
    text = json.dumps(body).encode()
    if how < 8:  # the head is right, the body is not
        text = mutated_bytes(rng, text)
        return head(len(text), REQUEST, OPS[op]) + text, True
    if how == 8:
        return mutated_bytes(rng, frame(body, REQUEST, OPS[op])), False
    return frame(body, rng.randrange(8), rng.randrange(3)), False


def answer_to(rng):
    def on_call(_):
        kind = rng.randrange(5)
        if kind == 0:
            return None
        if kind == 1:
            return frame({"result": rng.choice(["refused", "timeout", "x"])}, ANSWER)
        return observation(leaf_sha256=rng.choice(["0" * 64, "", "z" * 64, None]))
    return on_call


def run(stage, rng, count, check):
    """check(name, act) is told every CHECK_EVERY messages; returns how many were sent."""
    requests = seeds(stage)
    sent = 0
    while sent < count:
        todo = min(CHECK_EVERY, count - sent)

        def some(stage, todo=todo):
            send_some(stage, rng, requests, todo)
        check(f"messages {sent} to {sent + todo - 1}", some)
        sent += todo
    return sent


def send_some(stage, rng, requests, todo):
    wire = None
    for _ in range(todo):
        if wire is None:
            wire = stage.wire()
        data, may_answer = message(rng, requests)
        answers = random.Random(rng.random())  # how many are asked for must not change the messages that follow
        kind = END
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            wire.send(data)
            if may_answer:
                kind, answer = wire.outcome(answer_to(answers))
                stage.check_answer(kind, answer)
        if kind == END:
            wire.close()
            wire = None
    if wire is not None:
        wire.close()


