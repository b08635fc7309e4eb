# SPDX-License-Identifier: Apache-2.0
"""A machine to be attacked: this host's files under an overlay, in namespaces of their own.

Whatever is written anywhere outside /tmp and /run lands in one directory, which has to stay empty: so
"no file outside the state directory changed" is looked at for the whole file system. The network is
a loopback of its own, with canaries at addresses nobody may be led to."""
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

CANARIES = ["169.254.169.254", "198.51.100.7"]
UPPER = pathlib.Path("/tmp/.upper")

BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs {base}
mkdir {base}/upper {base}/scratch {base}/root
mount -t overlay overlay -o lowerdir=/,upperdir={base}/upper,workdir={base}/scratch {base}/root
cd {base}/root
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys || mount --rbind /sys sys
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs run
mkdir tmp/.old tmp/.upper
mount --bind {base}/upper tmp/.upper
{shown}
ip link set lo up
{addresses}
pivot_root . tmp/.old
cd /
umount -l /tmp/.old
rmdir /tmp/.old
exec "$@"
"""
SPACES = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]


def why_not():
    """Why there can be no box here, or None."""
    if os.geteuid() != 0:
        return "a box of namespaces needs root"
    done = subprocess.run([*SPACES, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"


def shown(directories):
    """Commands that show, read-only, what the empty /tmp and /run of the box would hide."""
    lines = []
    for path in sorted({pathlib.Path(one).resolve() for one in directories}):
        if path.parts[1] in ("tmp", "run"):
            inside = shlex.quote(str(path)[1:])
            lines += [f"mkdir -p {inside}", f"mount --bind /{inside} {inside}", f"mount -o remount,bind,ro {inside}"]
    return "\n".join(lines)


def run(argv, needed):
    """Runs this harness once more, inside; returns (status, last line of its output). needed: directories."""
    with tempfile.TemporaryDirectory(prefix="clm-hostile.") as base:
        addresses = "\n".join(f"ip address add {one}/32 dev lo" for one in CANARIES)
        script = BOOT.format(base=base, addresses=addresses, shown=shown(needed))
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", TMPDIR="/tmp")
        done = subprocess.run([*SPACES, "bash", "-c", script, "box", sys.executable, "-B", *map(str, argv)], env=env,
                              stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def written():
    """Paths that were written outside /tmp and /run since the box was made; mount points are no news."""
    return {str(path.relative_to(UPPER)) for path in UPPER.rglob("*")}
