# SPDX-License-Identifier: Apache-2.0
"""One attack: its name, how it is armed, what has to come of it."""


class Attack:
    """says: what the one line of error must contain; None: it does no harm and the work succeeds.

    slow: seconds of idle waiting that belong to it (a time limit of the product); 0: none."""

    def __init__(self, name, arm, says, slow=0, code=None, ends="refused"):
        self.name = name
        self.arm = arm
        self.says = says
        self.slow = slow
        self.code = code
        self.ends = ends


def bad_line(text):
    """Why this is not one clear line for a person, or None."""
    if any((ord(c) < 32) or 0x7f <= ord(c) < 0xa0 for c in text):
        return "it holds control characters"
    if len(text) > 700:
        return f"it has {len(text)} characters"
    return None
