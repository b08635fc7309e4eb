# SPDX-License-Identifier: Apache-2.0
"""From "module+offset" to function and line, by addr2line, for the programs of the build."""
import functools
import subprocess


@functools.lru_cache(maxsize=None)
def place(where, build):
    module, _, offset = where.partition("+")
    program = build / "bin" / module
    if not program.exists():
        return module
    done = subprocess.run(["addr2line", "-f", "-s", "-e", program, hex(int(offset, 16) - 1)], capture_output=True,
                          text=True, check=False).stdout.split("\n")
    return f"{done[0]}({done[1]})" if len(done) > 1 else where


def places(stack, build):
    """Innermost first; neighbours in the same library are one."""
    named = [place(where, build) for where in stack if not where.startswith("alloc_fail.so")]
    return [name for i, name in enumerate(named) if i == 0 or name != named[i - 1]]
