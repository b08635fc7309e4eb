# SPDX-License-Identifier: Apache-2.0
"""From the order to the new certificate on the wire: same CA, same nginx, same name, one after another."""
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


def measure_peer(peer, site, runs):
    peer.prepare()
    issued, served = [], []
    for _ in range(runs):
        peer.between()
        start = time.monotonic()
        chain, key = peer.issue()
        issued.append(time.monotonic() - start)
        site.install(chain, key)
        served.append(time.monotonic() - start)
    return statistics.median(issued), statistics.median(served)


def measure_clmbot(work, site, pebble, runs, report):
    reason = subject.why_not()
    if reason:
        report.missing(reason)
        return None, None
    place = work / "clmbot"
    place.mkdir()
    place.chmod(0o755)
    with subject.fleet(place, site, pebble.url, pebble.ca) as (_, plane, cert):
        subject.order(plane, cert, site)  # makes the ACME account, as prepare() does for the peers
        taken = [subject.order(plane, cert, site) for _ in range(runs)]
    return tuple(statistics.median(times) for times in zip(*taken))


def run(work, runs, report):
    site = Website(work / "site")
    with site, Pebble(work, site.http, nonce_reject=0) as pebble:
        undo = trust_here(work, pebble.ca)
        try:
            on_wire, verified = measure_clmbot(work, site, pebble, runs, report)
            times = {}
            for kind in peers.ALL:
                peer = kind(work, pebble.url, site.www)
                if not peer.is_installed():
                    report.missing(f"{peer.name} is not installed")
                    continue
                try:
                    issued, times[peer.name] = measure_peer(peer, site, runs)
                except AssertionError as why:
                    report.missing(str(why))
                    continue
                report.note(f"{peer.name}: on disk after {issued:.3f} s, on the wire after {times[peer.name]:.3f} s")
            for name, served in times.items():
                report.figure("issue", name, on_wire, served, "s")
            for name, served in times.items():
                # the peers prove nothing: their time to the wire stands beside our time to the verdict
                report.figure("issue-to-verdict", name, verified, served, "s")
        finally:
            undo()
