# SPDX-License-Identifier: Apache-2.0
"""Answers that are not HTTP, not quite HTTP, or far too much of it. Each takes the place of one answer.

A function gets the connection, the request and the plane; what it returns is sent and the connection
goes on; after None it is closed."""
import contextlib
import gzip
import time

import box
import wire

OK = "HTTP/1.1 200 OK\r\nClm-Request-Id: req_x\r\nContent-Type: application/json\r\n"
MIB = 1 << 20


def raw(*parts):
    """Sends what is given, as it is, and closes."""
    def trap(conn, _request, _plane):
        for part in parts:
            conn.send(part if isinstance(part, bytes) else part.encode("latin-1"))
    return trap


def headed(lines, body=b"{}"):
    """A good answer with other headers."""
    text = body if isinstance(body, bytes) else body.encode()
    return raw(f"{OK}{lines}\r\n".encode("latin-1") + text)


def flood(head, piece, times=1 << 30, seconds=20):
    """Sends piece over and over until the other side has had enough."""
    def trap(conn, _request, _plane):
        end = time.monotonic() + seconds
        conn.send(head.encode("latin-1"))
        for _ in range(times):
            if time.monotonic() > end:
                return
            conn.send(piece)
    return trap


def drip(text, pause_s):
    """A byte at a time."""
    def trap(conn, _request, _plane):
        for byte in text.encode("latin-1"):
            conn.send(bytes([byte]))
            time.sleep(pause_s)
    return trap


def silence(seconds=100):
    def trap(conn, _request, _plane):
        with contextlib.suppress(TimeoutError):
            conn.sock.settimeout(seconds)
            conn.sock.recv(1)
    return trap


def redirect(status, where):
    return lambda conn, request, plane: wire.answer(b"", status, headers=[("Location", where)])


def after_good(text):
    """The right answer, and more behind it in the same packet."""
    def trap(conn, request, plane):
        step, job = plane._route(request)
        return plane.normal(step, job, request) + text.encode("latin-1")
    return trap


def good_with(lines):
    """The right answer with more headers."""
    def trap(conn, request, plane):
        step, job = plane._route(request)
        head, body = plane.normal(step, job, request).split(b"\r\n\r\n", 1)
        return head + b"\r\n" + lines.encode("latin-1") + b"\r\n" + body
    return trap


def good_behind(text, times=1):
    """Something in front of the right answer."""
    def trap(conn, request, plane):
        step, job = plane._route(request)
        for _ in range(times):
            conn.send(text.encode("latin-1"))
        return plane.normal(step, job, request)
    return trap


BOMB = gzip.compress(b"\0" * (64 * MIB), 9)
CHUNKED = OK + "Transfer-Encoding: chunked\r\n\r\n"
LONG, HEADERS, NO_HTTP, BROKEN = "longer than", "headers", "no HTTP", "connection broke"
NOT_OURS = "somebody else than the control plane answered"
REDIRECT = "a redirect, which is never followed"
META = box.CANARIES[0]

# name: (trap, what the error says; None: the work goes on)
TABLE = {
    "gzip-bomb": (headed(f"Content-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n", BOMB), NOT_OURS),
    "gzip-bomb-in-transfer-encoding": (headed("Transfer-Encoding: gzip, chunked\r\n", b"10\r\n"), ""),
    "million-headers": (flood(OK, b"X-A: b\r\n" * 1000, 1000), HEADERS),
    "header-of-a-mebibyte": (headed("X-A: " + "a" * MIB + "\r\n"), ""),
    "million-informational-answers": (flood("", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 1000), HEADERS),
    "early-hints-then-good": (good_behind("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 3), None),
    "switching-protocols": (raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), ""),
    "endless-body": (flood(OK + "\r\n", b"[" * 65536), LONG),
    "endless-chunks": (flood(CHUNKED, b"8000\r\n" + b" " * 32768 + b"\r\n"), LONG),
    "endless-chunk-extension": (flood(CHUNKED + "1;a=", b"b" * 65536), ""),
    "endless-trailers": (flood(CHUNKED + "2\r\n{}\r\n0\r\n", b"X-T: aaaaaaaa\r\n" * 1000), HEADERS),
    "chunk-size-of-2-to-the-70": (raw(CHUNKED + "400000000000000000\r\n{}\r\n0\r\n\r\n"), ""),
    "chunk-size-negative": (raw(CHUNKED + "-2\r\n{}\r\n0\r\n\r\n"), ""),
    "chunk-size-no-number": (raw(CHUNKED + "zz\r\n{}\r\n0\r\n\r\n"), ""),
    "chunk-without-its-end": (raw(CHUNKED + "10\r\n{}"), BROKEN),
    "length-too-large": (headed("Content-Length: 100\r\n"), BROKEN),
    "length-too-small": (headed("Content-Length: 1\r\n"), NOT_OURS),
    "length-of-16-gib": (headed("Content-Length: 17179869184\r\n"), "too long"),
    "length-negative": (headed("Content-Length: -1\r\n"), ""),
    "length-of-2-to-the-64": (headed("Content-Length: 18446744073709551616\r\n"), ""),
    "length-no-number": (headed("Content-Length: two\r\n"), ""),
    "two-lengths": (headed("Content-Length: 2\r\nContent-Length: 1\r\n"), ""),
    "length-and-chunks": (headed("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"5\r\nfalse\r\n0\r\n\r\n"), NOT_OURS),
    "http-0.9": (raw("{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\"}"), NO_HTTP),
    "http-2-in-the-clear": (raw("HTTP/2 200\r\nContent-Type: application/json\r\n\r\n{}"), ""),
    "http-9.9": (raw("HTTP/9.9 200 OK\r\n\r\n{}"), ""),
    "icy": (raw("ICY 200 OK\r\n\r\n{}"), NO_HTTP),
    "other-protocol": (raw("220 ftp.example.com ready\r\n"), NO_HTTP),
    "status-line-of-a-mebibyte": (raw("HTTP/1.1 200 " + "A" * MIB + "\r\n\r\n"), ""),
    "status-99999": (raw("HTTP/1.1 99999 Ok\r\n\r\n{}"), ""),
    "status-000": (raw("HTTP/1.1 000 Ok\r\n\r\n{}"), ""),
    "status-no-number": (raw("HTTP/1.1 abc Ok\r\n\r\n{}"), ""),
    "line-feeds-alone": (raw("HTTP/1.1 200 OK\nClm-Request-Id: x\n\n{}"), NOT_OURS),
    "nul-in-a-header": (headed("X-A: a\0b\r\n"), ""),
    "carriage-returns-in-a-header": (headed("X-A: a\rHTTP/1.1 200 OK\rb\r\n"), ""),
    "request-id-with-escape-sequences": (headed("Clm-Request-Id: \x1b[2J\x1b]0;x\x07\r\n"), ""),
    "request-id-of-60-kib": (raw("HTTP/1.1 200 OK\r\nClm-Request-Id: " + "A" * 60000 + "\r\n\r\n{}"),
                             "Clm-Request-Id"),
    "content-type-with-escape-sequences": (raw("HTTP/1.1 200 OK\r\nClm-Request-Id: x\r\nContent-Type: \x1b[31mx\r\n\r\n{}"),
                                           "Content-Type"),
    "reason-with-escape-sequences": (raw("HTTP/1.1 500 \x1b[2J%s%n\r\nClm-Request-Id: x\r\n\r\n"), NOT_OURS),
    "folded-header": (headed("X-A: a\r\n b\r\n\tc\r\n"), ""),
    "answer-for-the-next-request": (after_good("HTTP/1.1 201 Created\r\nClm-Request-Id: evil\r\nContent-Type: "
                                               "application/json\r\nContent-Length: 2\r\n\r\n{}"), None),
    "garbage-behind-the-answer": (after_good("\0\0\0GARBAGE" * 100), None),
    "cookies": (good_with("Set-Cookie: a=b; Domain=127.0.0.1\r\n" * 200), None),
    "hsts-and-alt-svc": (good_with(f"Strict-Transport-Security: max-age=1\r\nAlt-Svc: h2=\"{META}:443\"; ma=9\r\n"), None),
    "refresh-and-location": (good_with(f"Refresh: 0; url=http://{META}/\r\nLocation: http://{META}/\r\n"), None),
    "date-of-the-year-9999": (good_with("Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n"), None),
    "date-no-date": (good_with("Date: %s%s%n\r\n"), None),
    "redirect-to-a-file": (redirect(301, "file:///etc/passwd"), REDIRECT),
    "redirect-to-metadata": (redirect(302, f"http://{META}/latest/meta-data/"), REDIRECT),
    "redirect-to-another-host": (redirect(307, f"https://{box.CANARIES[1]}/agent/v1/enroll"), REDIRECT),
    "redirect-308": (redirect(308, f"https://{META}/"), REDIRECT),
    "redirect-to-gopher": (redirect(301, f"gopher://{META}:80/_GET"), REDIRECT),
    "redirect-to-itself": (redirect(302, "/agent/v1/enroll/nonce"), REDIRECT),
    "redirect-without-a-place": (raw("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), REDIRECT),
    "redirect-with-a-long-place": (redirect(302, "https://x/" + "a" * 60000), ""),
    "redirect-with-line-feeds": (redirect(302, "https://x/\x0bSet-Cookie:a"), ""),
    "no-content": (lambda c, r, p: wire.answer(status=204), ""),
    "not-modified": (raw("HTTP/1.1 304 Not Modified\r\nClm-Request-Id: x\r\n\r\n"), ""),
    "captive-portal": (lambda c, r, p: wire.answer("<html>log in</html>", kind="text/html", drop=("Clm-Request-Id",)), NOT_OURS),
    "html-with-our-header": (lambda c, r, p: wire.answer("<html>", kind="text/html"), "no JSON"),
    "proxy-authentication": (lambda c, r, p: wire.answer("no", 407, "text/plain"), NOT_OURS),
    "problem-of-a-proxy": (lambda c, r, p: wire.answer("<html>", 502, "text/html"), NOT_OURS),
    "empty-answer": (raw(), "empty answer"),
    "reset": (lambda c, r, p: p.drop_connections(), ""),
    "headers-a-byte-at-a-time": (drip(OK + "X-A: " + "a" * 3000, 0.2), "no complete answer in time", 31),
    "body-a-byte-at-a-time": (drip(OK + "Content-Length: 2000\r\n\r\n" + " " * 2000, 0.2), "no complete answer in time", 31),
    "no-answer-at-all": (silence(), "no complete answer in time", 31),
}
