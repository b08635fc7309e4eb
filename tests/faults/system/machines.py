# SPDX-License-Identifier: Apache-2.0
"""Starts machines, each in a process with namespaces of its own, and adds up what they found."""
import collections
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TIMES = ("recoveries", "delays", "shutdowns", "undisturbed", "ups")


def say(text):
    print(f"system: {text}", file=sys.stderr, flush=True)


def words_of(given, number, forget=False, **changed):
    """The arguments of one machine's process; they also repeat it by hand."""
    options = {"build": given.build, "seed": given.seed, "worker": number, "cycles": given.cycles, "deaf": given.deaf,
               "units": given.units, **changed}
    words = [str(word) for key, value in options.items() if value is not None for word in (f"--{key}", value)]
    return words + (["--forget"] if forget else [])


def start(given, number, **changed):
    """changed: other arguments than those given. Its own network and mounts end with it, and it with us."""
    return subprocess.Popen(["unshare", "--net", "--mount", "setpriv", "--pdeathsig", "TERM", sys.executable, HERE / "run",
                             *words_of(given, number, **changed)], stdout=subprocess.PIPE, text=True)


def work(given):
    """What such a process does: lives one machine's life up to its first violation, and prints figures as JSON."""
    import cycle  # only here: it reads CLM_BUILD

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the machine ends with us
    place = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-system."))
    place.chmod(0o755)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    life = cycle.Life(place, f"{os.getpid()}", f"{given.seed}/{given.worker}", say,
                      cycle.DEAF if given.deaf is None else given.deaf)
    violation = None
    try:
        life.begin(given.build, given.units or given.build)
        while life.boots < given.cycles:
            life.cycle()
    except (cycle.Violation, AssertionError) as why:
        violation = f"machine {given.worker}, boot {life.boots}: {why}"
        keep(given, life, violation)
    finally:
        life.house.down()
        shutil.rmtree(place, ignore_errors=True)
    print(json.dumps({"boots": life.boots, "violation": violation, "figures": life.figures,
                      **{key: getattr(life, key) for key in TIMES}}))
    return 1 if violation else 0


def keep(given, life, violation):
    if given.forget:
        return
    kept = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-system-kept."))
    with contextlib.suppress(OSError):
        life.keep(kept)
    again = " ".join(words_of(given, given.worker))
    say(f"VIOLATION: {violation}\n  kept: {kept}\n  again: unshare --net --mount {HERE}/run {again}")


def result_of(process):
    out = process.communicate()[0].strip().splitlines()
    try:
        return json.loads(out[-1])
    except (IndexError, ValueError):
        return {"boots": 0, "violation": f"the machine's process ended with {process.returncode}", "figures": {},
                "is_broken": True, **{key: [] for key in TIMES}}


def live(given, **changed):
    """Runs the machines side by side; returns what each found."""
    share = -(-given.cycles // given.jobs)
    return [result_of(one) for one in [start(given, number, cycles=share, **changed) for number in range(given.jobs)]]


def first_violation(given, cycles, **changed):
    """The same until one of them goes wrong; the others are switched off then. None: all is well."""
    running = [start(given, number, cycles=-(-cycles // given.jobs), forget=True, **changed)
               for number in range(given.jobs)]
    found = None
    while running:
        done = next((one for one in running if one.poll() is not None), None)
        if done is None:
            time.sleep(0.05)
            continue
        running.remove(done)
        one = result_of(done)
        if not one.get("is_broken"):
            found = found or one["violation"]
        elif found is None:  # that is no bug found: it is one of ours
            raise AssertionError(one["violation"])
        if found:
            for one in running:
                one.terminate()
    return found


def figures(lives):
    """The figures of all machines as one."""
    total = collections.Counter()
    for one in lives:
        total.update(one["figures"])
    times = {key: [t for one in lives for t in one[key]] for key in TIMES}
    return {"points": sum(one["boots"] for one in lives), "violations": sum(bool(one["violation"]) for one in lives),
            **dict(sorted(total.items())),
            "recovery_ms_median": milli(times["recoveries"], statistics.median),
            "recovery_ms_most": milli(times["recoveries"], max),
            "boot_delay_without_journal_ms_median": milli(times["delays"], statistics.median),
            "boot_delay_without_journal_ms_most": milli(times["delays"], max),
            "boot_ms_median": milli(times["ups"], statistics.median),
            "shutdown_ms_most": milli(times["shutdowns"], max),
            "undisturbed_ms_median": milli(times["undisturbed"], statistics.median)}


def milli(values, which):
    return round(which(values) * 1000, 1) if values else "not measured"
