# SPDX-License-Identifier: Apache-2.0
"""When the units of a boot started and ended, in seconds of the machine's monotonic clock, as systemd saw it."""
from servers import SERVERS

RECOVER = "clmbot-recover.service"
KEYS = ("Id", "ActiveState", "SubState", "Result", "ConditionResult", "ConditionTimestampMonotonic",
        "ActiveEnterTimestampMonotonic", "InactiveEnterTimestampMonotonic", "InactiveExitTimestampMonotonic",
        "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic")


def show(machine, units):
    """{unit: {property: value}}; times are seconds, 0 for never."""
    text = machine.run("systemctl", "show", "-p", ",".join(KEYS), *units).stdout
    found = {}
    for block in text.strip().split("\n\n"):
        one = {}
        for key, value in (line.split("=", 1) for line in block.splitlines()):
            is_time = key.endswith("Monotonic")
            one[key.removesuffix("TimestampMonotonic")] = int(value) / 1e6 if is_time else value
        found[one["Id"]] = one
    return found


def of_boot(machine):
    return show(machine, [RECOVER, *(server.unit for server in SERVERS)])


def recovery_ran(units):
    return units[RECOVER]["ExecMainStart"] > 0


def recovery_s(units):
    """From the moment systemd took it up until nothing waits for it any more."""
    return units[RECOVER]["InactiveEnter"] - units[RECOVER]["InactiveExit"]


def delay_s(machine):
    """How much later sysinit.target was reached because there is a recovery unit: 0 if others were waited for."""
    after = machine.run("systemctl", "show", "-P", "After", "sysinit.target").stdout.split()
    units = show(machine, after)
    done = {name: max(unit["ActiveEnter"], unit["Condition"]) for name, unit in units.items()}
    ours = done.pop(RECOVER, 0.0)
    return max(0.0, ours - max(done.values()))
