#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-tidy with .clang-tidy, one file an invocation (several leak state into each other), two at a
# time. Slow, so not part of ctest.
# Usage: tidy.sh [FILE...]    every file of the product by default; tests are not held to it: they
# build their bad input with strcpy and long tables on purpose
set -eu

cd "$(dirname "$0")/../.."
build=build/clang
for tool in clang clang-tidy; do
    command -v "$tool" >/dev/null || {
        echo "SKIP: $tool is not installed"
        exit 77
    }
done
# clang's own build: gcc's warning options are unknown to it.
cmake --preset clang >/dev/null
if [ $# -eq 0 ]; then
    list=$(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" |
        grep -v '/tests/' | sort -u)
    # shellcheck disable=SC2086 # no file of ours has a blank in its name
    set -- $list
fi
printf '%s\n' "$@" | xargs -n 1 -P 2 clang-tidy -p "$build" --quiet 2>/dev/null
