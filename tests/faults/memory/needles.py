# SPDX-License-Identifier: Apache-2.0
"""What must not be found in memory: the numbers of private keys in every form they are kept in, and passwords.

A needle is a piece of 16 bytes, so that a half overwritten copy is found, too. Public numbers (n, e, the
point of an EC key) are no needles: certificates hold them.
"""
import base64
import pathlib
import subprocess

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PIECE = 16
LINE = 64  # characters of base64 in a line of PEM

FORMATS = (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL)


def numbers(key):
    """[(name, big-endian bytes)] of what is private."""
    found = key.private_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        values = {"d": found.d, "p": found.p, "q": found.q, "dP": found.dmp1, "dQ": found.dmq1, "qInv": found.iqmp}
        return [(name, value.to_bytes((value.bit_length() + 7) // 8, "big")) for name, value in values.items()]
    return [("d", found.private_value.to_bytes((key.curve.key_size + 7) // 8, "big"))]


def pieces(data):
    """Beginning, middle and end: free() writes over the beginning."""
    middle = len(data) // 2 - PIECE // 2
    return {data[:PIECE], data[middle:middle + PIECE], data[-PIECE:]}


def armoured(key, value):
    """Pieces of the lines of PEM that hold the number."""
    for form in FORMATS:
        der = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
        text = base64.b64encode(der)
        at = der.find(value)
        first, last = (at * 8 + 5) // 6, (at + len(value)) * 8 // 6
        while at >= 0 and first < last:
            end = min(last, (first // LINE + 1) * LINE)
            if end - first >= PIECE:
                yield text[first:first + PIECE]
                yield text[end - PIECE:end]
            first = end


def of_key(name, key):
    """{needle: what it is}"""
    found = {}
    for number, value in numbers(key):
        for piece in pieces(value):
            found[piece] = f"{number} of {name}, big-endian"
        for piece in pieces(value[::-1]):
            found[piece] = f"{number} of {name}, as Mbed TLS keeps it"
        for piece in armoured(key, value):
            found[piece] = f"{number} of {name}, in PEM"
    return found


def of_password(name, text):
    """As it was typed, and as PKCS#12 and Java take it."""
    return {piece: f"{name}, {form}" for form in ("utf-8", "utf-16-be", "utf-16-le") for piece in pieces(text.encode(form))}


class Needles:
    """Grows with every key that is found below the watched directories."""

    def __init__(self, program, place):
        """program: the searcher (find.c); place: a file for it."""
        self.program, self.place = program, place
        self.all = {}
        self.files = set()
        self.keys = 0

    def add_password(self, name, text):
        self.all.update(of_password(name, text))

    def watch(self, *places):
        for place in places:
            for path in (place, *pathlib.Path(place).rglob("*")):
                self.add_file(path)

    def add_file(self, path):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            return
        if b"PRIVATE KEY-----" not in data or b"ENCRYPTED" in data or data in self.files:
            return
        self.files.add(data)
        begin = data.index(b"-----BEGIN", max(0, data.index(b"PRIVATE KEY-----") - 20))
        key = serialization.load_pem_private_key(data[begin:], None)
        self.all.update(of_key(f"{type(key).__name__.strip('_')} {path.parent.name[:12]}/{path.name}", key))
        self.keys += 1

    def find_in(self, data):
        """[(what, offset)], once for each"""
        pieces = list(self.all)
        self.place.write_bytes(b"".join(pieces))
        done = subprocess.run([self.program, self.place], input=data, capture_output=True, check=True)
        found = {}
        for line in done.stdout.splitlines():
            at, number = map(int, line.split())
            found.setdefault(self.all[pieces[number]], at)
        return list(found.items())
