#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gcc's static analyzer over everything we ship, in a build of its own. Slow, so not part of ctest.
# Usage: analyze.sh [BUILD_DIR]
set -eu

cd "$(dirname "$0")/../.."
build=${1:-build/analyze}
command -v gcc >/dev/null || {
    echo "SKIP: gcc is not installed"
    exit 77
}
cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug -DBUILD_TESTING=OFF \
    -DCLM_WERROR=ON -DCMAKE_C_FLAGS=-fanalyzer >/dev/null
exec cmake --build "$build" -j 2 -- -k 0
