# SPDX-License-Identifier: Apache-2.0
"""docs/ipc.md byte by byte: frames made by hand, so that every one of them can also be made wrong."""
import json
import os
import socket
import struct

END, REQUEST, EVENT, CALL, ANSWER, PART, REPLY, FAIL = range(8)
OPS = {"hello": 1, "scan": 2, "job_accept": 3, "csr": 4, "dcv_put": 5, "dcv_remove": 6, "cert_put": 7, "deploy": 8,
       "rollback": 9, "recheck": 10, "close": 11, "status": 12, "trust_put": 13, "local_plan": 14,
       "local_rollback": 15, "history": 16, "local_verify": 17, "certs": 18, "explain": 19}
ROOT_ONLY = ("trust_put", "local_plan", "local_rollback", "history", "local_verify", "explain")
BODY_MAX = 65536
NOBODY = 65534


def head(length, kind=REQUEST, op=0, spare=b"\0\0"):
    return struct.pack("<IBB", length, kind, op) + spare


def frame(body, kind=REQUEST, op=0):
    """body: an object, or bytes as they are to be sent."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(len(data), kind, op) + data


class Wire:
    """One connection. uid: who the host half sees at the other end (SO_PEERCRED)."""

    def __init__(self, path, uid=NOBODY, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # a connect(2) that does not wait fails at once when the queue of the listener is full
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", timeout, 0))
        os.seteuid(uid)
        try:
            self.sock.connect(str(path))
        finally:
            os.seteuid(0)
        self.sock.settimeout(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def take(self, length):
        """Exactly that many bytes, or None at the end of the connection."""
        data = b""
        while len(data) < length:
            try:
                piece = self.sock.recv(length - len(data))
            except (ConnectionResetError, BrokenPipeError):
                return None
            if not piece:
                return None
            data += piece
        return data

    def receive(self):
        """(kind, object), or (END, None)."""
        start = self.take(8)
        if start is None:
            return END, None
        length, kind, op = struct.unpack("<IBBxx", start)
        assert 0 < length <= BODY_MAX and op == 0 and start[6:] == b"\0\0", f"the host half broke the rules: {start!r}"
        body = self.take(length)
        return (END, None) if body is None else (kind, body)

    def outcome(self, on_call=None):
        """(kind, object) of the frame that ends a request. on_call(object): bytes to send, None: close."""
        parts = b""
        while True:
            kind, body = self.receive()
            if kind == CALL:
                answer = on_call(json.loads(body)) if on_call else None
                if answer is None:
                    self.sock.shutdown(socket.SHUT_RDWR)
                    return END, None
                self.send(answer)
            elif kind == PART:
                parts += body
            elif kind in (REPLY, FAIL):
                return kind, json.loads(parts + body)
            elif kind == END:
                return END, None
            else:
                assert kind == EVENT, f"frame of kind {kind} from the host half"

    def ask(self, op, body, on_call=None):
        """A request as the network half makes it; op: a name or a number."""
        try:
            self.send(frame(body, REQUEST, OPS.get(op, op)))
        except (ConnectionResetError, BrokenPipeError):
            return END, None
        return self.outcome(on_call)
