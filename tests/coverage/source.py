# SPDX-License-Identifier: Apache-2.0
"""What of a C file no test can decide, found by reading it: its layout is clang-format's, so lines are enough.

Not counted as branches, and nothing else is left out:
- both ways of an assert(): the failing one ends the program, and a test that took it would show a bug;
- the way past a switch over an enum that has no default: the compiler makes it, -Wswitch-enum says that no value takes it.
"""
import re

ASSERT = re.compile(r"^\s*assert\(")
SWITCH = re.compile(r"^(\s*)switch \(")


def assert_lines(lines):
    """Numbers of the lines that assertions stand on."""
    found, inside = set(), False
    for number, line in enumerate(lines, 1):
        inside = inside or bool(ASSERT.match(line))
        if inside:
            found.add(number)
            inside = not line.rstrip().endswith(";")
    return found


def open_switch_lines(lines):
    """Numbers of the lines where a switch without a default of its own begins."""
    found = set()
    for number, line in enumerate(lines, 1):
        match = SWITCH.match(line)
        if not match:
            continue
        end = match.group(1) + "}"
        body = []
        for later in lines[number:]:
            if later.rstrip() == end:
                break
            body.append(later)
        if not any(text.startswith(match.group(1) + "default:") for text in body):
            found.add(number)
    return found
