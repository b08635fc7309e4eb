# SPDX-License-Identifier: Apache-2.0
"""A machine of its own: this host's files under an overlay, real systemd as PID 1 in namespaces."""
import contextlib
import os
import pathlib
import secrets
import shutil
import subprocess

from .base import until

BOOT = r"""
set -e
echo $$ > {cgroup}/cgroup.procs
exec unshare {namespaces} --fork --kill-child bash -c '
set -e
mount --make-rprivate /
mount -t overlay overlay -o lowerdir={lower},upperdir={work}/upper,workdir={work}/scratch {root}
mount -t proc proc {root}/proc
mount -t sysfs sysfs {root}/sys
mount -t tmpfs tmpfs {root}/sys/fs/cgroup
mount -t cgroup2 cgroup2 {root}/sys/fs/cgroup || {{ umount {root}/sys/fs/cgroup; mount -t cgroup2 cgroup2 {root}/sys/fs/cgroup; }}
mount -t tmpfs -o mode=755 tmpfs {root}/run
mount -t tmpfs tmpfs {root}/tmp
mount -t tmpfs -o mode=755 tmpfs {root}/dev
for d in null zero full random urandom tty; do touch {root}/dev/$d; mount --bind /dev/$d {root}/dev/$d; done
mkdir {root}/dev/pts {root}/dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts {root}/dev/pts
ln -s pts/ptmx {root}/dev/ptmx
mount -t tmpfs tmpfs {root}/dev/shm
ln -s /proc/self/fd {root}/dev/fd
mkdir -p {root}{share}
mount --bind {share} {root}{share}
ip link set lo up
cd {root}
mkdir -p {root}/mnt
pivot_root . mnt
umount -l /mnt
exec env -i container=clmtest PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --log-target=console --log-level=notice systemd.unit=clmtest.target
'
"""


def why_not():
    """Why no machine can be had here, or None: containers often give no namespaces or control groups."""
    if not os.path.exists("/lib/systemd/systemd"):
        return "systemd is not installed"
    done = subprocess.run(["unshare", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "true"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"no namespaces here: {done.stderr.strip()}"
    base = _cgroups()
    if not (base / "cgroup.procs").exists() or not os.access(base, os.W_OK):
        return f"no control groups (version 2) to write in {base}"
    return None


def _cgroups():
    base = pathlib.Path("/sys/fs/cgroup/unified")
    return base if base.is_dir() else pathlib.Path("/sys/fs/cgroup")


def pid_one(parent):
    """PID of the systemd that this process has as its child; None: there is none yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one has ended meanwhile
        for child in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
    return None


class Machine:
    """start() boots; run() executes inside. share is seen inside under the same path."""

    NAMESPACES = "--pid --mount --uts --ipc --net --cgroup"

    def __init__(self, work, share):
        self.work = pathlib.Path(work) / "machine"
        self.share = share
        self.root = self.work / "root"
        self.log = self.work / "console.log"
        self.process = None
        self.pid = None
        self.cgroup = _cgroups() / f"clmtest-{secrets.token_hex(4)}"

    def start(self, wants):
        """wants: units to start, by name; nothing else of this host's services is."""
        for part in ("root", "disk"):
            (self.work / part).mkdir(parents=True)
        # an overlay cannot lie upon an overlay everywhere: its upper layer is a tmpfs
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.work / "disk"], check=True)
        units = self.work / "disk" / "upper" / "etc" / "systemd" / "system"
        units.mkdir(parents=True)
        (self.work / "disk" / "scratch").mkdir()
        (units / "clmtest.target").write_text(
            "[Unit]\nDescription=Test\nRequires=dbus.service\nWants=" + " ".join(wants) +
            "\nAfter=dbus.service\nAllowIsolate=yes\n")
        self.boot()

    def boot(self):
        self.cgroup.mkdir(exist_ok=True)
        script = BOOT.format(cgroup=self.cgroup, lower="/", work=self.work / "disk", root=self.root,
                             share=self.share, namespaces=self.NAMESPACES)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "bash", "-c", script], stderr=out,
                                            stdin=subprocess.DEVNULL, stdout=out, start_new_session=True)
        self.pid = until(self._init, what="PID 1 of the machine")
        until(lambda: self.run("systemctl", "is-active", "clmtest.target", check=False).returncode == 0, 30,
              "the machine to boot:\n" + self.log.read_text(errors="replace")[-2000:])

    def _init(self):
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        return pid_one(self.process.pid)

    def run(self, *args, check=True, timeout=120):
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n", "-C",
                               *map(str, args)], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, cwd="/", check=False)
        if check:
            assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def forget(self, path):
        """Removes from the disk, while the machine is off, a file that was made on it."""
        (self.work / "disk" / "upper" / path.lstrip("/")).unlink()

    def cut(self):
        """The power: every process is gone at once; the disk stays for another boot()."""
        if self.process:
            if self.pid:
                subprocess.run(["kill", "-KILL", str(self.pid)], check=False)
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        self.cut()
        subprocess.run(["umount", "-l", self.work / "disk"], check=False)
        until(lambda: self._remove_cgroup(), what="the machine's control group to be empty")
        shutil.rmtree(self.work, ignore_errors=True)

    def _remove_cgroup(self):
        try:
            for path in sorted(self.cgroup.rglob("*"), reverse=True):
                if path.is_dir():
                    path.rmdir()
            self.cgroup.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
