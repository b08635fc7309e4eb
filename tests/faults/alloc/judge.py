# SPDX-License-Identifier: Apache-2.0
"""What is demanded of a command of which an allocation failed: all of its answer, or one line that says why not."""
import re

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 64, 75}
# Not ours to mend. glibc's setlocale() keeps a block when it fails half way; the TLS library behind libcurl
# keeps blocks, says "no TLS" instead of "no memory", and in one place reads through NULL. So of an allocation
# that failed inside it we demand less: a handshake may be reported as failed.
LOCALE = "clm_term_init"
TLS = ("libcrypto.", "libssl.", "libgnutls.", "libnettle.", "libhogweed.", "libp11-kit.", "libtasn1.")
OTHER_ANSWER = "another answer than undisturbed"
TLS_FAILED = re.compile(r"tls_failed|timeout|TLS|connection broke")


def is_inside_tls(stack):
    """True if the innermost frames are of the TLS library, or of libc called by it."""
    return any(name.startswith(TLS) for name in stack[:2])


def is_inside_nss(stack):
    """glibc (2.36) reads through NULL, or aborts, when it has no memory for a first look into /etc/nsswitch.conf."""
    return len(stack) > 1 and stack[0].startswith("libc.") and stack[1].startswith("clm_user_find")


def is_inside_curl(stack):
    """libcurl says of some allocations of its own that a name was not found, and keeps the TLS session of others."""
    return any(name.startswith("libcurl.") for name in stack[:2])
SHORT = re.compile(r"memory|malloc failure", re.I)


def plain(text):
    """Without what differs between two good runs: times, ages, counters, random names."""
    text = re.sub(r"\b(?:[a-z]{3}|jt)_[0-9A-Za-z_-]{20,}(?:\.[0-9A-Za-z_./+=-]+)*", "ID", text)
    text = re.sub(r"\bclm\d\.[\w.-]+", "TOKEN", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "HEX", text)
    return re.sub(r"[ -]{2,}", "  ", re.sub(r"\d+", "#", text))


class Baseline:
    """What the command says undisturbed, and what it then still holds when it ends."""

    def __init__(self, runs):
        self.status = runs[0].status
        self.texts, self.left = set(), {}
        for run in runs:
            self.add(run)

    def add(self, run):
        """One more undisturbed run."""
        self.texts.add(plain(run.out))
        for where, blocks in run.left.items():
            self.left[where] = max(blocks, self.left.get(where, 0))

    def is_same(self, run):
        return run.status == self.status and plain(run.out) in self.texts


def judge(base, run, secrets, stack):
    """Sentences about what is wrong; empty if nothing is."""
    wrong = []
    if run.hung:
        wrong.append("did not end")
    elif run.crash or run.status < 0:
        wrong.append(f"died of signal {run.crash or -run.status}")
    elif not base.is_same(run) and not _is_theirs(run, stack):
        wrong += _judge_failure(base, run)
    if not run.hung and not run.crash:
        wrong += leaks(base, run, stack)
    if any(secret in run.out + run.err for secret in secrets):
        wrong.append("printed a secret")
    return wrong


def difference(base, run):
    """The first line that is not as it should be."""
    good = sorted(base.texts)[0].split("\n")
    for number, line in enumerate(plain(run.out).split("\n")):
        if number >= len(good) or line != good[number]:
            return f"line {number + 1} {line[:120]!r} instead of {good[number][:120] if number < len(good) else None!r}"
    return f"only {len(plain(run.out))} bytes of {len('x'.join(good))}"


def _judge_failure(base, run):
    if run.failed == 0:
        return [f"no allocation failed and yet it says (status {run.status}): {run.err.strip()[:200]!r}"]
    if run.status == 0:  # an observation may say that memory was short for a part of it
        return [] if SHORT.search(run.out) else [f"exit status 0, but {OTHER_ANSWER}: {difference(base, run)}"]
    if run.status not in DOCUMENTED:
        return [f"exit status {run.status} is not documented"]
    if not SHORT.search(run.err + run.out):
        said = run.err.strip()[:200] or difference(base, run)
        return [f"exit status {run.status}, and nothing says that memory is short: {said!r}"]
    return []


def _is_theirs(run, stack):
    said = run.out + run.err
    return (is_inside_tls(stack) and TLS_FAILED.search(said)) or (
        is_inside_curl(stack) and "Could not resolve host" in said)


def leaks(base, run, stack):
    """Blocks by the place that asked for them; a thread that looks up a name holds one of the loader's. The TLS library
    is libcurl's: a handle of ours that is left behind shows as a block of libcurl."""
    if any(name.startswith(LOCALE) for name in stack):
        return []
    theirs = ("ld-linux", *TLS)
    return [f"{blocks - base.left.get(where, 0)} more blocks than undisturbed at the end, asked for at {where}"
            for where, blocks in run.left.items() if blocks > base.left.get(where, 0) and not where.startswith(theirs)]
