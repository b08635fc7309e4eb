# SPDX-License-Identifier: Apache-2.0
"""What lies on a disk: pairs, temporary files, journals. Needs nothing of clmbot: docs/journal.md is enough."""
import dataclasses
import hashlib
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from servers import SERVERS

STATE = "/var/lib/clmbot/host"
STATES = ("none", "prepared", "swapping", "swapped", "reloaded", "committed", "undoing", "undone", "kept")
FORWARD = ("committed", "kept")
RECORD = 32


@dataclasses.dataclass
class Pair:
    """The certificate of one server as it lies there."""
    leaf: str = ""
    hashes: tuple = ()
    wrong: str = ""
    strange: tuple = ()  # names in its directory that do not belong there


def _public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _block(data, name):
    """The first PEM block of that name."""
    begin, end = data.index(b"-----BEGIN " + name), data.index(b"-----END " + name)
    return data[begin:end] + b"-----END " + name + b"-----\n"


def pair(root, server):
    """Reads the files of a server below root."""
    found = Pair()
    paths = [pathlib.Path(root) / path.lstrip("/") for path in server.files]
    try:
        names = {path.name for path in paths}
        found.strange = tuple(sorted({p.name for p in paths[0].parent.iterdir()} - names))
        data = [path.read_bytes() for path in paths]
        found.hashes = tuple(hashlib.sha256(one).hexdigest() for one in data)
        leaf = x509.load_pem_x509_certificate(_block(data[0], b"CERTIFICATE"))
        found.leaf = leaf.fingerprint(hashes.SHA256()).hex()
        key = serialization.load_pem_private_key(_block(data[-1], b"PRIVATE KEY"), None)
        if _public(key.public_key()) != _public(leaf.public_key()):
            found.wrong = "key and certificate are no pair"
        elif paths[-1].stat().st_mode & 0o077:
            found.wrong = f"others can read the key: mode {paths[-1].stat().st_mode & 0o777:o}"
    except (OSError, ValueError, IndexError) as why:
        found.wrong = f"cannot be read: {why}"
    return found


def pairs(root):
    return {server.name: pair(root, server) for server in SERVERS}


@dataclasses.dataclass
class Journal:
    """A live journal, and what must become of its files."""
    txid: str
    state: str
    server: object
    old: tuple
    new: tuple

    @property
    def expected(self):
        """Hashes of the server's files after recovery; what the plan does not change keeps what it has."""
        return self.new if self.state in FORWARD else self.old


def last_state(log):
    """The state of the last good record; a torn one at the end is none."""
    state = 0
    for at in range(0, len(log) - RECORD + 1, RECORD):
        if log[at:at + 4] != b"CLJ1":
            break
        state = log[at + 8]
    return STATES[state]


def journals(root, now):
    """Live journals below root; now: the pairs() there, for files that a plan leaves alone."""
    found = []
    folder = pathlib.Path(root) / STATE.lstrip("/") / "txn"
    for place in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            plan = json.loads((place / "plan").read_bytes().split(b"\n", 1)[1])
            server = next(s for s in SERVERS if s.target == plan["plan"]["target"])
            files = {f"{f['dir']}/{f['name']}": f for f in plan["files"]}
            was = dict(zip(server.files, now[server.name].hashes))
            sides = [tuple(files[path][side]["sha256"] if path in files else was[path] for path in server.files)
                     for side in ("old", "new")]
            found.append(Journal(place.name, last_state((place / "log").read_bytes()), server, *sides))
        except (OSError, ValueError, KeyError, IndexError, StopIteration) as why:
            raise AssertionError(f"journal {place.name} cannot be read: {why!r}") from None
    return found


def litter(root):
    """What a finished recovery must not leave in the state directory."""
    state = pathlib.Path(root) / STATE.lstrip("/")
    found = [f"{name}/{child.name}" for name in ("txn", "txn.done", "quarantine") if (state / name).is_dir()
             for child in (state / name).iterdir()]
    found += ["txn.prep"] if (state / "txn.prep").is_dir() else []
    for name in ("keys", "bundles"):
        found += [f"{name}/{child.name}" for child in (state / name).iterdir()
                  if child.name.endswith((".new", ".gone"))]
    return found
