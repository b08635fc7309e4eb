#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format writes it. Other versions than 14 may differ in taste.
set -eu

cd "${1:-$(dirname "$0")/../..}"
tool=$(command -v clang-format-14 || command -v clang-format) || {
    echo "SKIP: clang-format is not installed"
    exit 77
}
find agent scanners deployers config controlplane tests -name '*.[ch]' -print 2>/dev/null | sort |
    xargs "$tool" --dry-run -Werror
