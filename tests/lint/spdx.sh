#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The licence stands in the first line of every C file, and in the first three of every script.
set -eu

cd "${1:-$(dirname "$0")/../..}"
find agent scanners deployers config controlplane packaging tests .ci -type f -print 2>/dev/null | sort |
    xargs awk -v id='SPDX-License-Identifier: Apache-2.0' '
        function report() {
            if (file == "") return
            if (file ~ /\.[ch]$/ || is_script) {
                n++
                if (!has_id) { print file ": no " id " at its start"; bad = 1 }
            }
        }
        FNR == 1 {
            report()
            file = FILENAME
            is_script = /^#!/ || file ~ /\.py$/
            has_id = $0 == "/* " id " */"
        }
        FNR <= 3 && is_script && $0 == "# " id { has_id = 1 }
        FNR > 3 { nextfile }
        END {
            report()
            if (n < 10) { print "only " n + 0 " files seen: wrong directory?"; bad = 1 }
            exit bad
        }'
