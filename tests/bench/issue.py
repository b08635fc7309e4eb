# SPDX-License-Identifier: Apache-2.0
"""From the order to the new certificate on the wire: same CA, same nginx, same name, one after another."""
import contextlib
import ctypes
import os
import pathlib
import statistics
import time

from harness.pebble import Pebble

import peers
import subject
from website import Website

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
MS_BIND = 4096
SETTLE_S = 2.5  # an agent asks at most every 2 s (protocol); an order meets it waiting, as orders do


def trust_here(work, anchor):
    """Adds the CA's TLS anchor to the bundle that OpenSSL, GnuTLS and Go programs read; in our namespace."""
    bundle = pathlib.Path(work) / "bundle.crt"
    bundle.write_bytes(pathlib.Path(BUNDLE).read_bytes() + b"\n" + pathlib.Path(anchor).read_bytes())
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(str(bundle).encode(), BUNDLE.encode(), None, MS_BIND, None) != 0:
        raise OSError(ctypes.get_errno(), f"mount over {BUNDLE}: {os.strerror(ctypes.get_errno())}")

    def undo():
        libc.umount2(BUNDLE.encode(), 2)

    return undo


class Clmbot:
    """The subject, as one of those that take turns."""

    name = "clmbot"

    def __init__(self, work, site, pebble):
        self.work, self.site, self.pebble = work / "clmbot", site, pebble
        self.times = []

    @contextlib.contextmanager
    def ready(self):
        self.work.mkdir()
        self.work.chmod(0o755)
        with subject.fleet(self.work, self.site, self.pebble.url, self.pebble.ca) as (_, plane, cert):
            self.plane, self.cert = plane, cert
            subject.order(plane, cert, self.site)  # makes the ACME account, as prepare() does for the peers
            yield self

    def turn(self):
        time.sleep(SETTLE_S)
        self.times.append(subject.order(self.plane, self.cert, self.site))

    def median(self, name):
        return statistics.median(getattr(times, name) for times in self.times) if self.times else None


class Other:
    def __init__(self, peer, site):
        self.peer, self.name, self.site = peer, peer.name, site
        self.issued, self.served, self.proved = [], [], []

    def turn(self):
        self.peer.between()
        start = time.monotonic()
        chain, key = self.peer.issue()
        self.issued.append(time.monotonic() - start)
        self.site.install(chain, key)
        self.served.append(time.monotonic() - start)
        self.site.prove(self.site.leaf())  # the tool does not: the same proof, made by an outsider
        self.proved.append(time.monotonic() - start)


def others(work, site, pebble, report):
    found = []
    for kind in peers.ALL:
        peer = kind(work, pebble.url, site.www)
        if not peer.is_installed():
            report.missing(f"{peer.name} is not installed")
            continue
        with report.caught():
            peer.prepare()
            found.append(Other(peer, site))
    return found


def take_turns(players, runs, report):
    """Round after round, so that a busy minute of the machine meets them all."""
    for _ in range(runs):
        for player in list(players):
            with report.caught(lambda gone=player: players.remove(gone)):
                player.turn()


def tell(bot, rest, report):
    wire, verdict, lease = (bot.median(name) if bot else None for name in ("on_wire", "verified", "from_lease"))
    for other in rest:
        served = statistics.median(other.served)
        report.note(f"{other.name}: on disk after {statistics.median(other.issued):.3f} s, on the wire after "
                    f"{served:.3f} s")
        report.figure("issue", other.name, wire, served, "s", below=served)
    for other in rest:
        proved = statistics.median(other.proved)
        report.figure("issue-to-verdict", other.name, verdict, proved, "s", below=proved)
    for other in rest:
        # one tool asks again after 5 s if the CA has not looked yet: its best run says what luck brings
        best = min(t.on_wire for t in bot.times) if bot else None
        report.figure("issue-best", other.name, best, min(other.served), "s", below=min(other.served))
    if bot:
        report.figure("issue-lease-to-verdict", "none", lease, None, "s")


def run(work, runs, report):
    reason = subject.why_not()
    if reason:
        report.missing(reason)
    with contextlib.ExitStack() as stack:
        site = Website(work / "site")
        stack.enter_context(site)
        pebble = stack.enter_context(Pebble(work, site.http, nonce_reject=0))
        stack.callback(trust_here(work, pebble.ca))
        players = others(work, site, pebble, report)
        bot = None
        if not reason:
            with report.caught():
                bot = stack.enter_context(Clmbot(work, site, pebble).ready())
                players.insert(0, bot)
        take_turns(players, runs, report)
        rest = [player for player in players if player is not bot]
        tell(bot if bot in players and bot.times else None, rest, report)
