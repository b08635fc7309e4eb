# SPDX-License-Identifier: Apache-2.0
"""Which errors each system call is made to return, and which of them stay.

Left out is what a file system says always or never: a single ENOTSUP of fgetxattr() for an attribute that is there."""
import errno as e

SHORT = "short"  # half of what was asked for is read or written

PATHS = ("ENOSPC", "EIO", "EMFILE", "EACCES", "EROFS", "EDQUOT", "ELOOP", "ENOMEM")
NAMES = ("EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EBUSY")
STATS = ("EIO", "EACCES", "ENOMEM")
ATTRS = ("EIO", "ENOSPC", "EPERM", "EDQUOT", "ENOTSUP", "E2BIG")

ERRORS = {
    "openat": PATHS, "open": PATHS,
    "read": ("EIO", "EINTR", "EISDIR", SHORT), "pread64": ("EIO", "EINTR", SHORT),
    "write": ("ENOSPC", "EIO", "EDQUOT", "EINTR", SHORT), "pwrite64": ("ENOSPC", "EIO", "EDQUOT", "EINTR", SHORT),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"), "fdatasync": ("EIO", "ENOSPC", "EDQUOT"),
    "close": ("EIO", "EINTR"),
    "rename": NAMES + ("EXDEV",), "renameat": NAMES + ("EXDEV",), "renameat2": NAMES + ("EXDEV", "EINVAL", "ENOSYS"),
    "link": ("EEXIST", "EMLINK"), "linkat": ("EEXIST", "EMLINK"),
    "unlink": ("EIO", "EROFS", "EACCES", "EBUSY"), "unlinkat": ("EIO", "EROFS", "EACCES", "EBUSY"),
    "rmdir": ("EIO", "EROFS", "ENOTEMPTY"),
    "mkdir": ("ENOSPC", "EIO", "EDQUOT", "EEXIST"), "mkdirat": ("ENOSPC", "EIO", "EDQUOT", "EEXIST"),
    "fchown": ("EPERM", "EIO", "EROFS"), "fchmod": ("EPERM", "EIO", "EROFS"),
    "fsetxattr": ATTRS, "fgetxattr": ("EIO", "ERANGE"), "flistxattr": ("EIO", "ERANGE"),
    "fremovexattr": ("EIO", "EPERM"),
    "ftruncate": ("EIO", "EINTR"), "fallocate": ("EOPNOTSUPP", "ENOSPC"), "lseek": ("EIO",),
    "flock": ("EINTR", "EWOULDBLOCK", "ENOLCK"),
    "newfstatat": STATS, "fstat": STATS, "stat": STATS, "lstat": STATS, "statx": STATS + ("ENOSYS",),
    "fstatfs": ("EIO", "ENOSYS"), "statfs": ("EIO",), "readlink": STATS, "readlinkat": STATS,
    "access": STATS, "faccessat": STATS, "faccessat2": STATS + ("EROFS",),
    "getdents64": ("EIO", "ENOENT"),
    "getrandom": ("EINTR", "ENOSYS"),
    "mmap": ("ENOMEM",), "brk": ("ENOMEM",), "mremap": ("ENOMEM",),
    "fcntl": ("EMFILE", "EINVAL"), "pipe2": ("EMFILE", "ENFILE"), "dup2": ("EBUSY", "EMFILE"), "dup3": ("EBUSY", "EMFILE"),
    "clone": ("EAGAIN", "ENOMEM"), "clone3": ("EAGAIN", "ENOMEM"), "vfork": ("EAGAIN", "ENOMEM"), "fork": ("EAGAIN", "ENOMEM"),
    "execve": ("ENOENT", "EACCES", "ENOMEM", "E2BIG"), "chdir": ("EACCES", "EIO"), "setpgid": ("EPERM", "ESRCH"),
    "close_range": ("ENOSYS",), "pidfd_open": ("ENOSYS", "EMFILE"), "poll": ("EINTR", "ENOMEM"), "ppoll": ("EINTR", "ENOMEM"),
    "waitid": ("EINTR",), "wait4": ("EINTR",), "kill": ("ESRCH",),
}

# A disk that breaks or fills up and stays so: every later call of the same name fails as well.
STAYING = {"write": "ENOSPC", "pwrite64": "EIO", "fsync": "EIO", "fdatasync": "EIO", "openat": "EROFS", "rename": "EROFS",
           "renameat2": "EROFS", "unlink": "EROFS", "unlinkat": "EIO", "mkdir": "ENOSPC", "fchmod": "EPERM", "read": "EIO",
           "clone": "EAGAIN"}

# Memory of a sanitizer comes from here: it gives up where we would go on.
NOT_WITH_SANITIZER = {"mmap", "brk", "mremap", "munmap", "mprotect"}


def injections(calls, sanitized=False):
    """["N:NAME:WHAT"] for a list of calls: what is the name of an error, "short", or "ERROR..." for one that stays."""
    found = []
    for n, (name, _) in enumerate(calls, 1):
        if sanitized and name in NOT_WITH_SANITIZER:
            continue
        found += [f"{n}:{name}:{what}" for what in ERRORS.get(name, ())]
        if name in STAYING:
            found.append(f"{n}:{name}:{STAYING[name]}...")
    return found


def of_each(found, n):
    """At most n of each name and error, spread evenly."""
    groups = {}
    for one in found:
        groups.setdefault(one.split(":", 1)[1], []).append(one)
    return [one for group in groups.values() for one in (group if len(group) <= n else group[::len(group) // n])]


def trace(injection):
    """Arguments of the tracer."""
    n, name, what = injection.split(":")
    if what == SHORT:
        return "-n", name, "short", n
    if what.endswith("..."):
        return "-n", name, "fail-from", n, getattr(e, what[:-3])
    return "-n", name, "fail", n, getattr(e, what)
