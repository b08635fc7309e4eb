#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the reader of JSON with Python's on the cases and on thousands of mutations of them.

Usage: json_oracle.py PROGRAM CASES [N [SEED]]. Python is more lenient; what ours refuses in addition is written
down here once more, so that both must come to the same answer, and to the same value.
"""
import json
import math
import random
import re
import struct
import subprocess
import sys

DEPTH, MEMBERS, ELEMENTS, EXACT = 16, 1000, 10000, 2 ** 53 - 1
PIECES = [b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"0", b"1", b"-", b"+", b".", b"e", b"E", b"true", b"null",
          b"\\u", b"\\u0000", b"\\ud800", b"\\udc00", b"\x00", b"\x1f", b"\x7f", b"\x80", b"\xc3\xa9", b"\xff",
          b"\xef\xbb\xbf", b" ", b"\n", b"\t", b"1e309", b"9007199254740993", b"NaN", b"Infinity", b'"a":1']


class Refused(ValueError):
    """What Python takes and we do not."""


def integer(text):
    if abs(int(text)) > EXACT:
        raise Refused("integer")
    return int(text)


def real(text):
    """Zero at any exponent is zero; the rest must be below 1e308."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = mantissa.lstrip("-").replace(".", "")
    if not digits.strip("0"):
        return 0.0
    point = mantissa.lstrip("-").find(".")
    whole = len(digits) if point < 0 else point
    first = len(digits) - len(digits.lstrip("0"))
    if whole - first - 1 + int(exponent or 0) >= 308:
        raise Refused("number")
    return float(text)


def members(pairs):
    if len({key for key, _ in pairs}) != len(pairs) or len(pairs) > MEMBERS:
        raise Refused("keys")
    return dict(pairs)


def constant(name):
    raise Refused(name)


def check_tree(node, depth=0):
    if isinstance(node, str):
        if "\x00" in node or any("\ud800" <= c <= "\udfff" for c in node):
            raise Refused("text")
    elif isinstance(node, (dict, list)):
        if depth >= DEPTH or len(node) > ELEMENTS:
            raise Refused("depth")
        for key in node if isinstance(node, dict) else ():
            check_tree(key, depth + 1)
        for child in node.values() if isinstance(node, dict) else node:
            check_tree(child, depth + 1)


def expected(text):
    """The value, or None if it is to be refused."""
    try:
        decoded = text.decode("utf-8")
        if decoded.startswith("\ufeff") or re.search("\\\\u0000", re.sub(r"\\\\", "", decoded)):
            return None
        tree = json.loads(decoded, parse_int=integer, parse_float=real, parse_constant=constant,
                          object_pairs_hook=members)
        check_tree(tree)
        return (tree,)
    except (ValueError, RecursionError):
        return None


def unescape(text):
    def one(match):
        word = match.group(1)
        return bytes([int(word[1:], 16)]) if word[:1] == b"x" else {b"n": b"\n", b"r": b"\r", b"t": b"\t",
                                                                     b"\\": b"\\"}[word]
    return re.sub(rb"\\(x..|.)", one, text)


def mutate(rng, texts):
    text = bytearray(rng.choice(texts))
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(text))
        kind = rng.randrange(5)
        if kind == 0:
            text[at:at] = rng.choice(PIECES)
        elif kind == 1:
            del text[at:at + rng.randint(1, 3)]
        elif kind == 2 and at < len(text):
            text[at] = rng.randrange(256)
        elif kind == 3:
            other = rng.choice(texts)
            text[at:at] = other[:rng.randint(0, min(len(other), 40))]
        else:
            piece = bytes(text[at:at + rng.randint(1, 12)])
            text[at:at] = piece * rng.randint(1, 4)
    return bytes(text)


def same(ours, theirs):
    """Numbers are doubles on both sides."""
    if isinstance(theirs, dict):
        return (isinstance(ours, dict) and list(ours) == list(theirs)
                and all(same(ours[key], theirs[key]) for key in theirs))
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, (int, float)) and not isinstance(theirs, bool):
        return not isinstance(ours, bool) and isinstance(ours, (int, float)) and math.isclose(ours, theirs, rel_tol=0)
    return type(ours) is type(theirs) and ours == theirs


def main():
    program, cases = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 8259)
    with open(cases, "rb") as file:
        lines = [line.rstrip(b"\n") for line in file if line.strip() and not line.startswith(b"#")]
    texts = [unescape((line.split(b" ", 2) + [b""])[2]) for line in lines]
    texts += [mutate(rng, texts) for _ in range(count)]
    stream = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    answers = subprocess.run([program], input=stream, stdout=subprocess.PIPE, check=True).stdout.split(b"\n")[:-1]
    assert len(answers) == len(texts), f"{len(answers)} answers to {len(texts)} texts"
    wrong = accepted = 0
    for text, answer in zip(texts, answers):
        theirs = expected(text)
        accepted += theirs is not None
        if (theirs is None) != (answer == b"") or (theirs and not same(json.loads(answer), theirs[0])):
            wrong += 1
            print(f"{text!r}: ours {answer[:200]!r}, expected {theirs!r}", file=sys.stderr)
    print(f"{len(texts)} texts, {accepted} of them JSON, {wrong} decided otherwise than by the oracle")
    return wrong > 0 or accepted < len(texts) // 50


if __name__ == "__main__":
    sys.exit(main())
