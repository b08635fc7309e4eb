# SPDX-License-Identifier: Apache-2.0
"""Which allocations fail: all of them, or, where they are many, one of every way to get to one and some at random."""


def ways(trace):
    """Numbers of the first and the last allocation of every call stack."""
    first, last = {}, {}
    for number, stack in enumerate(trace, 1):
        first.setdefault(stack, number)
        last[stack] = number
    return sorted(first.values()), sorted(set(last.values()) - set(first.values()))


def choose(trace, limit, rng):
    """[(number, is_sticky)], at most limit of them, in order."""
    first, last = ways(trace)
    everything = [(n, False) for n in range(1, len(trace) + 1)] + [(n, True) for n in first]
    if len(everything) <= limit:
        return everything
    chosen = []
    for group in ([(n, False) for n in first], [(n, True) for n in first], [(n, False) for n in last]):
        room = limit - len(chosen)
        chosen += group if len(group) <= room else rng.sample(group, room)
    rest = sorted(set(everything) - set(chosen))
    chosen += rng.sample(rest, min(len(rest), limit - len(chosen)))
    return sorted(chosen)
