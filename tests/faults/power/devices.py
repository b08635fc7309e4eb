# SPDX-License-Identifier: Apache-2.0
"""Loop devices, mounts and file systems, without a program for each: thousands of them are needed."""
import ctypes
import errno
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import time

LOOP_SET_FD, LOOP_CLR_FD, LOOP_SET_STATUS64, LOOP_CTL_GET_FREE, BLKFLSBUF = 0x4C00, 0x4C01, 0x4C04, 0x4C82, 0x1261
AUTOCLEAR = 4  # the device lets go of its file when nobody holds it any more

# name: size in MiB and how it is made; each about the smallest that its mkfs permits
FILE_SYSTEMS = {
    "ext4": (8, ["mkfs.ext4", "-q", "-F", "-b", "1024", "-J", "size=1", "-N", "128"]),
    "xfs": (16, ["mkfs.xfs", "-q", "--unsupported"]),
    "btrfs": (16, ["mkfs.btrfs", "-q", "--mixed", "-m", "single", "-d", "single"]),
}
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(rc, what):
    if rc != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(device, where, kind):
    checked(LIBC.mount(os.fsencode(device), os.fsencode(where), kind.encode(), 0, None), f"mount {kind}")


def umount(where):
    for _ in range(200):
        if LIBC.umount2(os.fsencode(where), 0) == 0:
            return
        if ctypes.get_errno() != errno.EBUSY:
            break
        time.sleep(0.01)  # the kernel lets go of a mount a moment after its last user
    checked(LIBC.umount2(os.fsencode(where), 0), f"umount {where}")


class Loop:
    """A loop device over a file, for as long as this object is open."""

    def __init__(self, path):
        with open(path, "r+b") as file, open("/dev/loop-control", "rb") as control:
            for _ in range(100):
                number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
                self.path = f"/dev/loop{number}"
                self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.ioctl(self.fd, LOOP_SET_FD, file.fileno())
                    break
                except OSError as why:
                    os.close(self.fd)
                    if why.errno != errno.EBUSY:  # somebody else took it
                        raise
            else:
                raise OSError(errno.EBUSY, "no free loop device")
        fcntl.ioctl(self.fd, LOOP_SET_STATUS64, struct.pack("=40x3xx8xI176x", AUTOCLEAR))

    def forget(self):
        """The file was changed behind its back."""
        fcntl.ioctl(self.fd, BLKFLSBUF, 0)

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def make(kind, path):
    """An image with an empty file system in it."""
    size, command = FILE_SYSTEMS[kind]
    with open(path, "wb") as file:
        file.truncate(size << 20)
    subprocess.run([*command, str(path)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def why_not(kind):
    """Why this file system cannot be used here, or None."""
    if shutil.which(FILE_SYSTEMS[kind][1][0]) is None:
        return f"{kind}: there is no {FILE_SYSTEMS[kind][1][0]}"
    known = pathlib.Path("/proc/filesystems").read_text(encoding="ascii").split()
    if kind not in known and subprocess.run(["modprobe", "-q", kind], check=False).returncode != 0:
        return f"{kind}: this kernel does not know it"
    return None


def why_none(build):
    """Why no file system can be used here at all, or None."""
    if os.geteuid() != 0:
        return "power cuts on real file systems need root, to mount them"
    for device in ("/dev/loop-control", "/dev/fuse"):
        if not os.access(device, os.R_OK | os.W_OK):
            return f"power cuts on real file systems need {device}, which is not here"
    if not (build / "tests/faults_disk").exists():
        return "power cuts on real file systems need libfuse3 when the tree is built"
    return None


class Disk:
    """A disk that remembers every write (disk.c), with a loop device over it."""

    def __init__(self, build, image, work):
        self.log, self.where = work / "log", work / "disk"
        self.where.mkdir()
        self.program = subprocess.Popen([build / "tests/faults_disk", image, self.log, self.where])
        for _ in range(1000):
            if (self.where / "disk").exists():
                break
            if self.program.poll() is not None:
                raise OSError(errno.EIO, "faults_disk ended")
            time.sleep(0.01)
        self.loop = Loop(self.where / "disk")

    def mark(self, text):
        with open(self.where / "mark", "w", encoding="ascii") as file:
            file.write(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.close()
        umount(self.where)
        self.program.wait(30)
