#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every bug that the fault harnesses seed still fits the code it is for: a sample tries only some of them.
set -eu

cd "${1:-$(dirname "$0")/../..}"
command -v patch >/dev/null || {
    echo "SKIP: patch is not installed"
    exit 77
}
n=0 bad=0
for bug in tests/faults/bugs/*.patch; do
    [ -e "$bug" ] || continue
    n=$((n + 1))
    said=$(patch -p1 --forward --batch --dry-run -r - -i "$bug" 2>&1) || {
        printf '%s no longer applies: %s\n' "$bug" "$said"
        bad=1
    }
done
[ "$n" -ge 1 ] || {
    echo "no bugs seen: wrong directory?"
    bad=1
}
exit $bad
