# SPDX-License-Identifier: Apache-2.0
"""A control plane in which things fail: calls of the database, allocations, system calls, one at a time.

plane_doom.c, which is preloaded, says how it is told which one.
"""
import contextlib
import http.client
import itertools
import os

from . import wire
from .base import BUILD

LIBRARY = BUILD / "tests" / "support" / "plane_doom.so"
STEP = 3  # each third thing of a request; others in the next request
ALL_UP_TO = 400  # of a request that takes more, only each tenth of them beyond


def environment(how=None):
    env = {**os.environ, "LD_PRELOAD": str(LIBRARY)}
    return {**env, "CLM_DOOM": how} if how else env


@contextlib.contextmanager
def peace():
    """Nothing fails."""
    before, DoomedApi.is_at_peace = DoomedApi.is_at_peace, True
    try:
        yield
    finally:
        DoomedApi.is_at_peace = before


class DoomedApi(wire.Api):
    """Makes every request again and again, each time with another thing failing, until nothing fails.

    What failed is answered by a problem that says "retryable", or by the refusal that the request gets anyway; and it
    has changed nothing: or the last answer, which is the test's, would not be what the test expects.
    """

    connection = None
    is_at_peace = False
    rounds = itertools.count()

    def call(self, method, path, body=None, headers=None):
        if DoomedApi.is_at_peace:
            data = body() if callable(body) else body
            return self.check(self.ask(method, path, data, headers), method, path, data)
        nth, wrong = 1 + next(DoomedApi.rounds) % STEP, []
        while True:
            with peace():  # a body may ask for a nonce
                data = body() if callable(body) else body
            answer = self.ask(method, path, data, {**(headers or {}), "Clm-Doom": f"dm {nth}"})
            if answer.headers["Clm-Doomed"] is None:
                bad = [text for status, text in wrong if status != answer.status or status < 400]
                assert not bad, f"{method} {path}: {bad}"
                return self.check(answer, method, path, data)
            if answer.status < 400 or answer.raw and not answer["retryable"]:
                wrong.append((answer.status, f"thing {nth} failed: {answer}"))
            nth += STEP if nth < ALL_UP_TO else 10 * STEP

    def ask(self, method, path, body, headers):
        try:
            return self.ask_once(method, path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionError):  # it was idle for too long
            self.connection = None
            return self.ask_once(method, path, body, headers)

    def ask_once(self, method, path, body, headers):
        self.connection = self.request(self.connection or self.connect(), method, path, body, headers)
        response = self.connection.getresponse()
        answer = wire.Answer(response, response.read())
        if response.will_close:
            self.connection.close()
            self.connection = None
        return answer


class DoomedPlane(wire.WirePlane):
    make_api = DoomedApi

    def start(self, faults=None):
        self.env = environment()
        super().start(faults)
