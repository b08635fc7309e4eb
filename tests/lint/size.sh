#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Refuses C files of more than 600 lines and functions of more than 80 (docs/STYLE.md).
# A function's brace opens and closes in the first column: clang-format sees to that.
set -eu

cd "${1:-$(dirname "$0")/../..}"
find agent scanners deployers config controlplane tests -name '*.[ch]' -print 2>/dev/null | sort |
    xargs awk '
        FNR == 1 { report(); file = FILENAME; start = 0 }
        { lines = FNR }
        /^{/ { start = FNR; head = before }
        /^}/ && start {
            if (FNR - start - 1 > 80) {
                print file ":" start ": function of " FNR - start - 1 " lines (80): " head
                bad = 1
            }
            start = 0
        }
        { before = $0 }
        function report() {
            if (file == "") return
            n++
            if (lines > 600) { print file ": " lines " lines (600)"; bad = 1 }
        }
        END {
            report()
            if (n < 10) { print "only " n + 0 " files seen: wrong directory?"; bad = 1 }
            exit bad
        }' /dev/null
