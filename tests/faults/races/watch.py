# SPDX-License-Identifier: Apache-2.0
"""What must be as it was, whoever moves directories about: root's files by their inodes, root's directories by what is
in them; and that nobody can read what he could not read before."""
import hashlib
import os
import stat

from attacks import ATTACKER

SECRET = b"this is a secret of root's, 3c3f1d"


def write(path, data, mode):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def make_outside(path):
    """A directory of root's, with what an attacker could want to be read, changed, taken over or removed."""
    os.makedirs(os.path.join(path, ".well-known/acme-challenge"))
    write(os.path.join(path, "victim"), SECRET, 0o600)
    write(os.path.join(path, "public"), b"public, root's\n", 0o644)
    write(os.path.join(path, ".well-known/acme-challenge/token-of-20-letters-0"), b"root's own\n", 0o644)


def look(path):
    st = os.lstat(path)
    what = ""
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as file:
            what = hashlib.sha256(file.read()).hexdigest()
    elif stat.S_ISLNK(st.st_mode):
        what = os.readlink(path)
    return (st.st_dev, st.st_ino), (stat.S_IFMT(st.st_mode), oct(st.st_mode & 0o7777), st.st_uid, st.st_gid, what)


def walk(top):
    yield top
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            yield os.path.join(folder, name)


def tree(top):
    """{path: look}."""
    return {path: look(path) for path in walk(top)}


def roots_inodes(top, but=()):
    """{inode: look} of what is root's below top; but: paths that may change."""
    found = {}
    for path in walk(top):
        inode, what = look(path)
        if what[2] == 0 and not any(path == skip or path.startswith(skip + "/") for skip in but):
            found[inode] = what
    return found


def changed_inodes(before, after):
    return [f"{before[i]} is now {after.get(i, 'gone')}" for i in before if after.get(i) != before[i]]


def may_read(st):
    if st.st_uid == ATTACKER:
        return bool(st.st_mode & 0o400)
    return bool(st.st_mode & 0o004)


def readable(top, needles):
    """Regular files below top that the attacker can read and that hold one of these."""
    found = []
    for path in walk(top):
        st = os.lstat(path)
        if stat.S_ISREG(st.st_mode) and may_read(st):
            with open(path, "rb") as file:
                data = file.read()
            if any(needle in data for needle in needles):
                found.append(path)
    return found
