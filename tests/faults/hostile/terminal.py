# SPDX-License-Identifier: Apache-2.0
"""What people see: the commands that show what came from the network, on a terminal."""
import os
import pty
import subprocess

from support.text import steering

COMMANDS = [["status"], ["jobs"], ["history"], ["scan", "--no-probe"]]


def on_a_terminal(argv):
    """All that the program writes to its terminal."""
    upper, lower = pty.openpty()
    env = dict(os.environ, TERM="xterm-256color", NO_COLOR="1", LANG="C.UTF-8")
    child = subprocess.Popen(argv, stdin=lower, stdout=lower, stderr=lower, env=env, start_new_session=True)
    os.close(lower)
    seen = b""
    while True:
        try:
            data = os.read(upper, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(upper)
    child.wait()
    return seen


def check(world, report, job_ids):
    for words in [*COMMANDS, *(["job", job_id] for job_id in job_ids)]:
        report.tried("terminal")
        argv = [str(world.programs / "clmbot"), *words, "--config", str(world.agent.config)]
        found = steering(on_a_terminal(argv).decode("utf-8", "backslashreplace"))
        if found:
            report.wrong(f"terminal/{words[0]}", f"it writes {', '.join(found)}")
