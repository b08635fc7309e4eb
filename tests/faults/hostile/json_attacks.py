# SPDX-License-Identifier: Apache-2.0
"""JSON that parsers disagree about. Each is the whole body of an answer that should hold one member.

field is that member's name, good a value that would be right; so every text would be accepted by a
careless parser."""
import json

NOT_OURS = "somebody else than the control plane answered"


def texts(field, good):
    """name: (bytes, what the error says; None: it is right, or must be overlooked)."""
    value = json.dumps(good)
    pair = f'"{field}":{value}'
    first = field[0]
    plain = {
        "duplicate-key": f'{{{pair},{pair}}}',
        "duplicate-key-escaped": f'{{{pair},"\\u{ord(first):04x}{field[1:]}":{value}}}',
        "nul-escaped": f'{{"{field}":"\\u0000{good}"}}',
        "nul-in-a-key": f'{{"{field}\\u0000x":{value}}}',
        "lone-surrogate": f'{{{pair},"x":"\\ud800"}}',
        "surrogates-reversed": f'{{{pair},"x":"\\udc00\\ud800"}}',
        "depth-17": f'{{{pair},"x":' + "[" * 17 + "]" * 17 + "}",
        "depth-100000": f'{{{pair},"x":' + "[" * 100000 + "]" * 100000 + "}",
        "depth-100000-open": "[" * 100000,
        "objects-nested-30000": '{"a":' * 30000,
        "16-mebibytes": f'{{{pair},"x":"' + "a" * (16 << 20) + '"}',
        "quarter-mebibyte-and-one": f'{{{pair},"x":"' + "a" * 262144 + '"}',
        "trailing-bytes": f"{{{pair}}} x",
        "two-documents": f"{{{pair}}}{{{pair}}}",
        "trailing-comma": f"{{{pair},}}",
        "comment": f"{{{pair}/* x */}}",
        "line-comment": f"{{{pair}}}// x",
        "single-quotes": f"{{'{field}':'{good}'}}",
        "bare-key": f"{{{field}:{value}}}",
        "tab-in-a-string": f'{{{pair},"x":"a\tb"}}',
        "line-feed-in-a-string": f'{{{pair},"x":"a\nb"}}',
        "bad-escape": f'{{{pair},"x":"\\x41"}}',
        "leading-zero": f'{{{pair},"x":01}}',
        "plus-sign": f'{{{pair},"x":+1}}',
        "hexadecimal": f'{{{pair},"x":0x10}}',
        "infinity": f'{{{pair},"x":1e999}}',
        "infinity-by-name": f'{{{pair},"x":Infinity}}',
        "not-a-number": f'{{{pair},"x":NaN}}',
        "point-without-digits": f'{{{pair},"x":1.}}',
        "empty": "",
        "white-space": "  \n ",
        "null": "null",
        "list": f"[{{{pair}}}]",
        "text": f'"{field}"',
        "number": "7",
        "unclosed": f"{{{pair}",
        "unclosed-string": f'{{{pair},"x":"a',
        "long-key": f'{{{pair},"' + "k" * 200000 + '":1',
        "hundred-thousand-values": f'{{{pair},"x":[' + "0," * 100000 + "0]",
        "twenty-thousand-keys": f"{{{pair}" + "".join(f',"k{i}":1' for i in range(20000)) + "",
    }
    found = {name: (text.encode(), "too long" if name.endswith(("mebibytes", "-and-one")) else NOT_OURS)
             for name, text in plain.items()}
    found |= {
        "bom": (b"\xef\xbb\xbf{" + pair.encode() + b"}", NOT_OURS),
        "utf-16": (f"{{{pair}}}".encode("utf-16"), NOT_OURS),
        "overlong-utf-8": (b'{%s,"x":"\xc0\xaf"}' % pair.encode(), NOT_OURS),
        "surrogate-utf-8": (b'{%s,"x":"\xed\xa0\x80"}' % pair.encode(), NOT_OURS),
        "cut-utf-8": (b'{%s,"x":"\xe2\x82"}' % pair.encode(), NOT_OURS),
        "latin-1": (b'{%s,"x":"\xe9"}' % pair.encode(), NOT_OURS),
        "nul-byte": (b"{%s}\0" % pair.encode(), NOT_OURS),
        "key-in-capitals": (f'{{"{field.upper()}":{value}}}'.encode(), field),
        "value-null": (f'{{"{field}":null}}'.encode(), field),
        "value-number": (f'{{"{field}":1}}'.encode(), field),
        "value-list": (f'{{"{field}":[{value}]}}'.encode(), field),
        "value-of-a-megabyte": (f'{{"{field}":"{"A" * 200000}"}}'.encode(), field),
        "missing": (b"{}", field),
        "unknown-members": (f'{{{pair},"command":"rm -rf /","path":"/etc/passwd"}}'.encode(), None),
        "white-space-around": (f"\n\t {{ {pair} }} \r\n".encode(), None),
    }
    return found
