# SPDX-License-Identifier: Apache-2.0
"""What is asked for. A class is a name, patterns of paths, and the least share of lines and branches, in percent.

The stages that run without --e2e must reach them. A file may be in several classes.
"""
import fnmatch

CLASSES = {
    "transaction": ["agent/job/txn*.c"],
    "recovery": ["agent/job/txn_recover.c", "agent/job/txn_files.c", "agent/job/txn_log.c", "agent/job/txn_rules.c",
                 "agent/job/txn_record.c", "agent/job/txn_journal.c"],
    "ipc": ["agent/ipc/*.c"],
    "parsers": ["agent/formats/*.c", "agent/keystore/*.c", "config/yaml*.c", "agent/base/json*.c",
                "agent/crypto/der.c", "agent/crypto/ber.c", "agent/crypto/armor.c", "agent/crypto/pkcs7.c",
                "agent/crypto/pkcs8.c", "agent/crypto/dn.c", "agent/crypto/ext.c", "agent/crypto/csr_parse.c",
                "agent/crypto/pbe*.c", "agent/crypto/jws*.c", "agent/crypto/token.c", "agent/net/http_header.c",
                "agent/net/tls_messages.c", "scanners/*_view.c", "scanners/cert_files_der.c", "scanners/pattern.c"],
    "agent": ["agent/*.c"],
    "scanners": ["scanners/*.c"],
    "deployers": ["deployers/*.c"],
    "config": ["config/*.c"],
    "controlplane": ["controlplane/*.c"],
    "all": ["*.c"],
}
GOALS = {name: (100, 95) if name in ("transaction", "recovery", "ipc", "parsers") else (95, 90) for name in CLASSES}


def members(name, paths):
    """The paths of one class."""
    return [path for path in paths if any(fnmatch.fnmatch(path, pattern) for pattern in CLASSES[name])]
