# SPDX-License-Identifier: Apache-2.0
"""Much of everything: memory, disk and time stay bounded, and the next client is served."""
import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

from cases_frames import GOOD, HELLO
from cases_jobs import order
from cases_paths import put_body
from sign import new_id
from stage import ACME, tree
from wire import END, FAIL, NOBODY, OPS, REPLY, REQUEST, Wire, frame

RECORDS_MAX = 256  # orders whose validation files are kept in mind; agent/host/dcv.h
PATHS_MAX = 1000   # files of one order
SOON_S = 15        # a busy machine is quicker; the host half waits longer than this for a client that is silent


def requests_unread(stage):
    """Thousands of requests whose answers are never read."""
    with stage.wire() as wire:
        wire.sock.settimeout(2)
        with contextlib.suppress(socket.timeout, BrokenPipeError, ConnectionResetError):
            for _ in range(5000):
                wire.send(GOOD)
    stage.check_process()


def half_open(stage):
    """As many connections as there may be, each with half a request; then all of them go. They are the
    network half's: the socket's credentials are those of whoever connects."""
    wires = []
    os.seteuid(NOBODY)
    try:
        for _ in range(2000):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.setblocking(False)
            wires.append(sock)
            try:
                sock.connect(str(stage.socket))
                sock.send(GOOD[:20])
            except BlockingIOError:  # the queue is full: nobody gets further
                break
        assert len(wires) > 32, "the queue is very short"
    finally:
        os.seteuid(0)
        for sock in wires:
            sock.close()
    began = time.monotonic()
    with Wire(stage.socket, uid=0) as wire:
        assert wire.ask("status", {})[0] == REPLY
    assert time.monotonic() - began < SOON_S, "root waits behind connections that are gone"


def connections(stage):
    """Come and go, each with a piece of something."""
    for i in range(3000):
        with stage.wire() as wire:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                wire.send(GOOD[:i % len(GOOD)])


def root_among(others):
    """A client that asks all the time, and more of them in the queue: root's command is served all the same."""
    def case(stage):
        over = []
        with stage.wire() as wire, concurrent.futures.ThreadPoolExecutor() as pool:
            crowd = [stage.wire() for _ in range(others)]

            def keep_asking():
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    while not over and wire.ask("hello", HELLO)[0] != END:
                        time.sleep(0.02)
            asking = pool.submit(keep_asking)
            time.sleep(0.2)
            began = time.monotonic()
            try:
                with Wire(stage.socket, uid=0) as root:
                    assert root.ask("history", {"target": ""})[0] == REPLY
                assert time.monotonic() - began < SOON_S, "root waited"
            except TimeoutError:
                raise AssertionError("root is never served") from None
            finally:
                over.append(True)
                asking.result()
                for one in crowd:
                    one.close()
    return case


def told_to_stop(data):
    """SIGTERM in the middle of a stream of requests that never ends."""
    def case(stage):
        with stage.wire() as wire:
            wire.sock.setblocking(False)
            began, told = time.monotonic(), None
            while stage.process.poll() is None:
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    wire.sock.send(data)
                with contextlib.suppress(BlockingIOError, ConnectionResetError):
                    wire.sock.recv(1 << 20)
                now = time.monotonic()
                if told is None and now - began > 0.2:
                    told = now
                    stage.process.send_signal(signal.SIGTERM)
                assert told is None or now - told < SOON_S, "a stream of requests keeps it from ending"
        assert stage.process.returncode == -signal.SIGTERM, stage.process.returncode
    return case


def record(stage, order_id, paths):
    """As if an order had made these files; most of them are gone again."""
    path = stage.state / f"host/dcv/{order_id}.json"
    path.write_text(json.dumps({"roots": [{"root": str(stage.server.www), "made": paths}]}))


def files_left(stage):
    return [path for path in tree(stage.server.www) if "/acme-challenge/" in path]


def tokens_of_one_order(stage):
    """More files than a record holds: refused at the limit, and all of them can be removed."""
    body = put_body(stage)
    record(stage, body["order_id"], [f"{stage.server.www}{ACME}{'g' * 20}{i}" for i in range(PATHS_MAX - 20)])
    made = 0
    for i in range(50):
        body["path"] = f"{ACME}{'t' * 20}{i}"
        kind, answer = stage.ask("dcv_put", body)
        if kind == FAIL:
            break
        made += 1
    assert kind == FAIL and answer["problem"] == "E_LIMIT", f"{made} files, and no end: {answer}"
    assert stage.granted("dcv_remove", body)["removed"] == made
    assert not files_left(stage), "files are left"


def orders_without_end(stage):
    """Of one job: what is kept in mind is bounded, and what was made goes when it is told."""
    made = [{"order_id": new_id("ord")} for _ in range(RECORDS_MAX - 10)]
    for one in made:
        record(stage, one["order_id"], [f"{stage.server.www}{ACME}{'g' * 20}"])
    for i in range(30):
        body = put_body(stage, order_id=new_id("ord"), path=f"{ACME}{'o' * 20}{i}")
        kind, answer = stage.ask("dcv_put", body)
        if kind == FAIL:
            break
        made.append(body)
    assert kind == FAIL and answer["problem"] == "E_LIMIT", f"{len(made)} orders, and no end: {answer}"
    for body in made:
        stage.granted("dcv_remove", {"job_id": stage.dcv_job, **body})
    assert not files_left(stage), "files are left"
    assert not any((stage.state / "host/dcv").iterdir()), "records are left"


def jobs(stage):
    """Every one of them honestly signed; then a scan, a status and a hello are as quick as ever."""
    for _ in range(100):
        stage.granted("job_accept", stage.plane.sign(order(stage)))
    began = time.monotonic()
    stage.granted("hello", HELLO)
    stage.granted("status", {})
    assert time.monotonic() - began < SOON_S, "slow with many jobs"


def removals(stage):
    """Of orders that there are none of: nothing is written for them."""
    before = tree(stage.state / "host")
    for _ in range(100):
        assert stage.granted("dcv_remove", {"job_id": new_id("job"), "order_id": new_id("ord")})["removed"] == 0
    assert tree(stage.state / "host") == before


def scans(stage):
    with stage.wire() as wire:
        for _ in range(30):
            assert wire.ask("scan", {"kinds": ["nginx"] * 2000})[0] in (REPLY, FAIL)


def killed_between(stage):
    """kill -9 with requests on the way: the next one serves."""
    with stage.wire() as wire:
        wire.send(GOOD * 10)
        stage.process.send_signal(signal.SIGKILL)
        stage.process.wait()
    stage.start()
    stage.granted("hello", HELLO)


def second_one(stage):
    """Another host half on the same state: it ends with one clear line and touches nothing."""
    done = subprocess.run([stage.build / "bin/clmbot", "recover", "--config", stage.config], capture_output=True, text=True,
                          timeout=30, check=False)
    if done.returncode == 0:
        return  # the first one had ended
    assert done.returncode == 2 and "in use by process" in done.stderr, done


def cases():
    yield "flood: answers that are not read", requests_unread
    yield "flood: half-open connections", half_open
    yield "flood: connections", connections
    yield "flood: files of one order", tokens_of_one_order
    yield "flood: orders of one job", orders_without_end
    yield "flood: jobs", jobs
    yield "flood: removals", removals
    yield "flood: scans", scans
    yield "flood: told to stop among requests", told_to_stop(GOOD * 50)
    yield "flood: told to stop among slow bytes", told_to_stop(frame(HELLO, REQUEST, OPS["status"]) * 50)
    yield "flood: root among requests", root_among(0)
    yield "flood: root among a crowd", root_among(40)
    yield "flood: killed among requests", killed_between
    yield "flood: a second host half", second_one


