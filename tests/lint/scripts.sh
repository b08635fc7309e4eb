#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every shell script passes shellcheck; scripts are found by name or by their first line.
set -eu

cd "${1:-$(dirname "$0")/../..}"
command -v shellcheck >/dev/null || {
    echo "SKIP: shellcheck is not installed"
    exit 77
}
scripts=$(find agent scanners deployers config controlplane packaging tests .ci -type f -size -200k \
    -exec awk 'FNR == 1 { if (FILENAME ~ /\.sh$/ || /^#!.*[\/ ](ba|da)?sh( |$)/) print FILENAME; nextfile }' {} + | sort)
[ -n "$scripts" ] || {
    echo "no scripts seen: wrong directory?"
    exit 1
}
# shellcheck disable=SC2086 # no script of ours has a blank in its name
shellcheck --severity=warning $scripts
