#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks our static libraries: every exported symbol starts with clm_, and no global is writable.
# Usage: symbols.sh BUILD_DIR    Exceptions stand in symbols.allow.
set -eu

here=$(dirname "$0")
build=${1:?usage: symbols.sh BUILD_DIR}
set -- # the libraries
list=$(find "$build" -name 'libclm_*.a' ! -path '*/tests/*' | sort)
[ -n "$list" ] || {
    echo "no libclm_*.a under $build: build first"
    exit 1
}
# One archive after the other: objdump names only members.
for lib in $list; do
    objdump -t "$lib" | awk -v lib="${lib##*/}" -v allow_file="$here/symbols.allow" '
        BEGIN { while ((getline line < allow_file) > 0) { split(line, w, " "); allow[w[1] " " w[2]] = 1 } }
        /:     file format / { obj = $1; sub(/:$/, "", obj) }
        # value, blank, 7 columns of flags, blank, section, tab, size, name
        !match($0, /^[0-9a-f]+ /) { next }
        {
            flags = substr($0, RLENGTH + 1, 7)
            rest = substr($0, RLENGTH + 9)
            split(rest, w, /[ \t]+/)
            section = w[1]
            name = $NF
        }
        section == "*UND*" || section == "*ABS*" || flags ~ /[df]/ { next }
        name ~ /^__(asan|ubsan|odr_asan)/ { next }
        flags ~ /^[gu!]/ && name !~ /^clm_/ { print lib "(" obj "): exports " name; bad = 1 }
        flags ~ /O/ && (section ~ /^\.(data|bss)/ || section == "*COM*") && section !~ /^\.data\.rel\.ro/ {
            if (!((obj " " name) in allow)) { print lib "(" obj "): has the writable global " name; bad = 1 }
        }
        END { exit bad }' || bad=1
done
exit "${bad:-0}"
