# SPDX-License-Identifier: Apache-2.0
"""HTTP over a socket by hand: so that an answer can be anything at all."""
import json


class Gone(Exception):
    """The other side closed the connection."""


class Request:
    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body) if self.body else {}


class Conn:
    """A connection that was accepted: requests in, bytes out."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.rest += data

    def read(self):
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self.rest) < length:
            self._more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return Request(method, path, headers, body)

    def send(self, data):
        self.sock.sendall(data)


JSON, PEM, PROBLEM = "application/json", "application/pem-certificate-chain", "application/problem+json"


def answer(body=b"", status=200, kind=JSON, headers=(), drop=()):
    """A whole response. body: bytes, text, or what becomes JSON; drop: names of headers to leave out."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = {"Content-Type": kind, "Content-Length": str(len(body)), "Clm-Request-Id": "req_x", "Cache-Control": "no-store"}
    if status == 204:
        lines.pop("Content-Type")
        lines.pop("Content-Length")
    text = f"HTTP/1.1 {status} Whatever\r\n"
    for name, value in [*((n, v) for n, v in lines.items() if n not in drop), *headers]:
        text += f"{name}: {value}\r\n"
    return text.encode("latin-1") + b"\r\n" + body


def problem(status, code, detail="", **more):
    return answer({"type": "about:blank", "status": status, "code": code, "detail": detail, **more}, status, PROBLEM)
