# SPDX-License-Identifier: Apache-2.0
"""Text that comes from attackers and is shown to people."""

# Unicode's Bidi_Control: they turn the direction of what follows, so that a line reads as another one.
TURNING = {0x61c, 0x200e, 0x200f, *range(0x202a, 0x202f), *range(0x2066, 0x206a)}


def steering(text):
    """Characters that a terminal acts upon, line ends aside, and bytes that are no text."""
    return sorted({hex(ord(c)) for c in text if (ord(c) < 32 and c not in "\r\n") or 0x7f <= ord(c) < 0xa0
                   or ord(c) in (0x2028, 0x2029) or ord(c) in TURNING or 0xd800 <= ord(c) <= 0xdfff})
