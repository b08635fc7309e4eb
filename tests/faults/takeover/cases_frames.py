# SPDX-License-Identifier: Apache-2.0
"""Bytes that are no frames, frames that are no requests, requests that are no operations."""
import array
import contextlib
import os
import pathlib
import random
import socket

from wire import ANSWER, BODY_MAX, END, OPS, REPLY, REQUEST, ROOT_ONLY, frame, head

HELLO = {"v": 1, "version": "1", "boot_id": "b"}
GOOD = frame(HELLO, REQUEST, OPS["hello"])
BAD_JSON = {
    "empty object cut": b"{", "list": b"[1]", "string": b'"a"', "number": b"7", "null": b"null", "words": b"not json",
    "two members of a name": b'{"v":1,"v":1}', "NUL escaped": b'{"v":1,"version":"a\\u0000b"}',
    "NUL raw": b'{"v":1,"version":"a\0b"}', "control character": b'{"v":1,"version":"a\x1bb"}',
    "bad UTF-8": b'{"v":1,"version":"\xc0\xaf"}', "lone surrogate": b'{"v":1,"version":"\\ud800"}',
    "byte order mark": b"\xef\xbb\xbf{}", "bytes behind it": b"{} {}", "infinity": b'{"v":1e999}',
    "leading zero": b'{"v":01}', "comment": b'{"v":1}//', "trailing comma": b'{"v":1,}', "deep": b'{"a":' * 17 + b"1" + b"}" * 17,
    "very deep": b"[" * BODY_MAX, "NULs": b"\0" * 4096, "all letters": b"a" * BODY_MAX,
    "many members": b"{" + b",".join(b'"%d":0' % i for i in range(6000)) + b"}",
}


def bytes_cases():
    yield "nothing", b""
    for length in (1, 3, 7):
        yield f"{length} bytes of a head", GOOD[:length]
    yield "a head alone", GOOD[:8]
    yield "half a body", GOOD[:-5]
    yield "a body of no bytes", head(0, REQUEST, 1)
    yield "a byte more than allowed", head(BODY_MAX + 1, REQUEST, 1) + b"{}"
    yield "4 GiB announced", head(0xFFFFFFFF, REQUEST, 1) + b"{}"
    for kind in (0, 2, 3, 4, 5, 6, 7, 8, 255):
        yield f"kind {kind}", frame(HELLO, kind, 0)
    for op in (0, 20, 21, 127, 255):
        yield f"operation {op}", frame(HELLO, REQUEST, op)
    yield "an answer nobody waits for", frame({"result": "refused"}, ANSWER)
    yield "an answer with an operation", frame({}, ANSWER, 1)
    yield "reserved bytes", head(2, REQUEST, 1, b"\1\0") + b"{}"
    yield "other reserved bytes", head(2, REQUEST, 1, b"\0\x80") + b"{}"
    for name, body in BAD_JSON.items():
        yield "JSON: " + name, frame(body, REQUEST, OPS["hello"])
    for seed in range(4):
        yield f"random bytes {seed}", random.Random(seed).randbytes(1 << (3 * seed + 6))
    yield "text", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hang_up(data):
    def case(stage):
        with stage.wire() as wire:
            try:
                wire.send(data)
                wire.sock.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass
            kind, answer = wire.outcome()
            assert kind == END, f"answered: {kind} {answer}"
    return case


def good_then_bad(stage):
    with stage.wire() as wire:
        wire.send(GOOD + b"\xff" * 8 + GOOD)
        assert wire.outcome()[0] == REPLY
        assert wire.outcome()[0] == END, "goes on after what is no frame"


def byte_by_byte(stage):
    with stage.wire() as wire:
        for one in GOOD:
            wire.send(bytes([one]))
        assert wire.outcome()[0] == REPLY


def largest_body(stage):
    body = b'{"v":1,"version":"1","boot_id":"b"' + b" " * (BODY_MAX - 35) + b"}"
    with stage.wire() as wire:
        wire.send(frame(body, REQUEST, OPS["hello"]))
        assert wire.outcome()[0] == REPLY


def held_by(pid):
    """What its descriptors lead to; one that is closed meanwhile leads nowhere."""
    found = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(fd))
    return found


def descriptors(count):
    """They arrive with the bytes; whoever does not ask for them must not keep them."""
    def case(stage):
        given = str(stage.outside / "secret")
        fd = os.open(given, os.O_RDONLY)
        try:
            with stage.wire() as wire:
                for at in range(0, count, 200):
                    some = array.array("i", [fd] * min(200, count - at))
                    wire.sock.sendmsg([GOOD], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, some)])
                    assert wire.outcome()[0] == REPLY
                assert given not in held_by(stage.process.pid), "keeps them"
        finally:
            os.close(fd)
    return case


def only_root(op):
    def case(stage):
        body = {"target": stage.server.target, "version": -1, "check": True, **stage.plane.trust()}
        stage.refused(op, body, "E_POLICY")
    return case


JUNK = {"nothing": None, "null": "NULL", "number": 7, "minus": 1 - (1 << 53), "list": [[]], "object": {"a": {}},
        "long": "A" * 4000, "dots": "../../../../etc/passwd", "percent": "%s%n%p", "true": True}
MEMBERS = ("v", "version", "boot_id", "kinds", "jws", "job_id", "order_id", "challenge_id", "domain", "path", "content",
           "chain_pem", "result", "target", "method")
QUIET = ("scan", "status", "certs")  # they look at no member that could be wrong
DCV_REMOVE = ("dcv_remove",)         # of an order that has none: nothing is removed


def wrong_types(op, junk):
    """Every member of every operation is this, whatever it should be."""
    body = {} if junk is None else {name: None if junk == "NULL" else junk for name in MEMBERS}

    def case(stage):
        kind, answer = stage.ask(op, body)
        assert kind == 7 or op in QUIET, f"{op} took {answer}"
    return case


def cases():
    for name, data in bytes_cases():
        yield "frame: " + name, hang_up(data)
    yield "frame: good ones before a bad one", good_then_bad
    yield "frame: byte by byte", byte_by_byte
    yield "frame: the largest there may be", largest_body
    yield "frame: one descriptor with it", descriptors(1)
    yield "frame: 1,000 descriptors with it", descriptors(1000)
    for op in ROOT_ONLY:
        yield f"for root only: {op}", only_root(op)
    for op in OPS:
        if op not in ROOT_ONLY:
            for name, junk in JUNK.items():
                yield f"members of {op}: {name}", wrong_types(op, junk)
