#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks who includes whom: layers.txt for our folders, owners.txt for third-party headers.
# Usage: includes.sh [ROOT]   Prints one line for each forbidden include.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

# File, included file with its quote or bracket in front, line; parted by tabs.
find agent scanners deployers config controlplane tests -name '*.[ch]' -print 2>/dev/null | sort |
    xargs awk '
        /^[ \t]*#[ \t]*include[ \t]*["<]/ {
            line = $0
            sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
            kind = substr(line, 1, 1)
            line = substr(line, 2)
            sub(/[">].*/, "", line)
            print FILENAME "\t" kind line "\t" FNR
        }' /dev/null |
    awk -F '\t' -v layers="$here/layers.txt" -v owners="$here/owners.txt" '
        function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
        # A shell pattern with no wildcard but a star at its end.
        function fits(path, pattern) {
            if (pattern ~ /\*$/) return index(path, substr(pattern, 1, length(pattern) - 1)) == 1
            return path == pattern
        }
        function folder_of(path,   i) {
            for (i = 1; i <= n_folders; i++) if (index(path, folders[i] "/") == 1) return folders[i]
            return ""
        }
        function refuse(why) { print $1 ":" $3 ": must not include " why; bad = 1 }
        BEGIN {
            while ((getline line < layers) > 0) {
                if (line ~ /^#/ || line !~ /\|/) continue
                split(line, part, "|")
                folders[++n_folders] = trim(part[1])
                allowed[trim(part[1])] = " agent/base " trim(part[2]) " "
            }
            while ((getline line < owners) > 0) {
                if (line ~ /^#/ || line !~ /\|/) continue
                split(line, part, "|")
                headers[++n_headers] = trim(part[1])
                owner[n_headers] = trim(part[2])
            }
            if (n_folders == 0 || n_headers == 0) { print "no rules found"; bad = 1; exit }
        }
        { n_seen++; target = substr($2, 2); from = folder_of($1) }
        from == "" { print $1 ": is in no folder of layers.txt"; bad = 1; next }
        $2 ~ /^"/ {
            to = folder_of(target)
            if (target ~ /(^|\/)\.\.?\//) refuse(target ": write it from the root")
            else if (to == "") refuse(target ": not a path from the root")
            else if (to != from && allowed[from] !~ /\*/ &&
                     index(allowed[from], " " to " ") == 0 && index(allowed[from], " " target " ") == 0)
                refuse(target)
            next
        }
        {
            for (i = 1; i <= n_headers; i++) {
                if (index(target, headers[i]) != 1) continue
                n = split(owner[i], patterns, " ")
                ok = from == "tests"
                for (p = 1; p <= n; p++) if (fits($1, patterns[p])) ok = 1
                if (!ok) refuse("<" target ">" (n ? ": it belongs to " owner[i] : ": nobody may"))
            }
        }
        END {
            if (!bad && n_seen < 10) { print "only " n_seen + 0 " includes seen: wrong directory?"; bad = 1 }
            exit bad
        }'
