#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mandoc's lint over every manual page.
set -eu

cd "${1:-$(dirname "$0")/../..}"
command -v mandoc >/dev/null || {
    echo "SKIP: mandoc is not installed"
    exit 77
}
pages=$(find docs packaging -name '*.[1-8]' -type f | sort)
[ -n "$pages" ] || {
    echo "SKIP: there are no manual pages"
    exit 77
}
# shellcheck disable=SC2086 # no page of ours has a blank in its name
mandoc -Tlint -Wwarning $pages
