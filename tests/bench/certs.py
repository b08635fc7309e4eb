# SPDX-License-Identifier: Apache-2.0
"""What the inventory of certificate files costs, beside openssl reading a hundredth of them."""
import os
import resource
import statistics
import subprocess
import sys

from harness import pki
from harness.agent import Agent
from harness.base import BOT

FILES = 10000
FEW = 1000
PEER_RUNS = 100  # of "openssl x509", one file each
GOAL = 2  # times the CPU of those runs
MEMORY_MARGIN_KIB = 1024  # more for ten times the files: names of directories, noise


def write_tree(tree, n):
    """n different certificates, a tenth of them with a chain, a hundred in a directory with their key."""
    authority = pki.make_cert(["Bench CA"], is_ca=True, days=3650)
    key = pki.make_key()
    upper = pki.cert_pem(authority[0])
    for i in range(n):
        place = tree / f"{i // 100:03}"
        if i % 100 == 0:
            place.mkdir(parents=True)
            (place / "host.key").write_bytes(pki.key_pem(key))
            (place / "host.key").chmod(0o600)
        cert, _ = pki.make_cert([f"h{i}.clmbot.test", f"www.h{i}.clmbot.test"], key=key, issuer=authority, days=90)
        (place / f"{i}.pem").write_bytes(pki.cert_pem(cert) + (upper if i % 10 == 0 else b""))


def cpu_s(argv, times=1):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        done = subprocess.run(argv() if callable(argv) else argv, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        if done.returncode not in (0, 1):
            raise AssertionError(f"{done.args}: {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def peak_kib(argv):
    """Of the largest process: the host half searches in a child. Counted in a process of its own."""
    script = ("import resource, subprocess, sys\n"
              "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    out = subprocess.run([sys.executable, "-c", script, *map(str, argv)], capture_output=True, text=True, check=True)
    return int(out.stdout)


def command(work, tree):
    agent = Agent(work / f"agent-{tree.name}")
    text = agent.config.read_text().replace("scan: {interval: 0}",
                                            f'scan: {{interval: 0, files: {{roots: ["{tree}"]}}}}')
    agent.config.write_text(text)
    return [BOT, "certs", "--json", "--config", agent.config]


def run(work, runs, report):
    if not BOT.exists():
        report.missing(f"clmbot is not measured: {BOT} is not built")
        return
    few, many = work / "few", work / "many"
    write_tree(few, FEW)
    write_tree(many, FILES)
    files = sorted(many.glob("*/*.pem"))[::FILES // PEER_RUNS]
    one = iter(files * (runs + 1))
    peer = ["openssl", "x509", "-noout", "-subject", "-enddate", "-fingerprint", "-sha256", "-in"]
    search = command(work, many)
    cpu_s(search)  # files into the page cache
    figures, peers = [], []
    for _ in range(runs):  # in turns, so that both meet the same machine
        figures.append(cpu_s(search))
        peers.append(cpu_s(lambda: [*peer, next(one)], PEER_RUNS))
    ours, theirs = statistics.median(figures), statistics.median(peers)
    report.figure(f"cert-scan-cpu-{FILES}-files", f"openssl x509, {PEER_RUNS} files", ours, theirs, "s",
                  below=GOAL * theirs)
    small, large = peak_kib(command(work, few)) / 1024, peak_kib(search) / 1024
    report.figure(f"cert-scan-memory-{FILES}-files", f"{FEW} files", large, small, "MiB",
                  below=small + MEMORY_MARGIN_KIB / 1024)
    report.note(f"{os.cpu_count()} processors; a file of the {FILES} took {ours / FILES * 1e6:.0f} us")
