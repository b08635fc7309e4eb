#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The lints find what they look for: a small bad tree, and the exact complaints about it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

# expect LINT WHAT: the output of LINT over the tree is WHAT, and it fails if and only if WHAT is not empty.
expect() {
    code=0
    got=$("$here/$1.sh" "$dir/tree" 2>&1) || code=$?
    if [ "$got" != "$2" ] || { [ -n "$2" ] && [ $code -eq 0 ]; } || { [ -z "$2" ] && [ $code -ne 0 ]; }; then
        printf '%s: status %d\n--- expected\n%s\n--- got\n%s\n' "$1" "$code" "$2" "$got"
        bad=1
    fi
}

# file PATH: the licence line and what comes on standard input.
file() {
    mkdir -p "$dir/tree/$(dirname "$1")"
    {
        echo '/* SPDX-License-Identifier: Apache-2.0 */'
        cat
    } >"$dir/tree/$1"
}

good_tree() {
    rm -rf "$dir/tree"
    for name in a b c d e f g h i j k; do
        printf '#include "agent/base/err.h"\n#include <stdio.h>\n' | file "agent/model/$name.c"
    done
    printf '#include <cjson/cJSON.h>\n' | file agent/base/json.c
    printf '#include "deployers/deployer.h"\n#include "agent/crypto/key.h"\n' | file agent/job/txn.c
    printf '#include <curl/curl.h>\n#include "agent/net/http.h"\n' | file agent/net/http.c
    printf '#include "scanners/nginx.h"\n#include <cmocka.h>\n#include <cjson/cJSON.h>\n' | file tests/unit/x.c
    printf '#include "agent/run/run.h"\n#include "agent/host/host.h"\n' | file agent/main/main.c
    printf '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n' >"$dir/tree/tests/run"
}

good_tree
expect includes ''
expect size ''
expect spdx ''

printf '#include "agent/model/io.h"\n' | file agent/base/up.c
printf '#include "deployers/registry.h"\n  #  include "agent/net/http.h"\n' | file agent/job/bad.c
printf '#include "agent/base/err.h"\n#include "tests/support/torture.h"\n' | file scanners/bad.c
printf '#include "err.h"\n#include "../base/err.h"\n#include "agent/base/../net/x.h"\n' | file agent/ipc/bad.c
printf '#include <cjson/cJSON.h>\n#include <openssl/ssl.h>\n#include <cmocka.h>\n' | file agent/net/bad.c
printf '#include "agent/job/txn.h"\n' | file controlplane/bad.c
printf '#include <systemd/sd-bus.h>\n' | file agent/base/json_check.c
printf '#include "config/config.h"\n' | file agent/formats/deep/bad.c
printf '#include <stdio.h>\n' | file agent/other/bad.c
expect includes 'agent/base/json_check.c:2: must not include <systemd/sd-bus.h>: it belongs to agent/base/log.c agent/main/*
agent/base/up.c:2: must not include agent/model/io.h
agent/formats/deep/bad.c:2: must not include config/config.h
agent/ipc/bad.c:2: must not include err.h: not a path from the root
agent/ipc/bad.c:3: must not include ../base/err.h: write it from the root
agent/ipc/bad.c:4: must not include agent/base/../net/x.h: write it from the root
agent/job/bad.c:2: must not include deployers/registry.h
agent/job/bad.c:3: must not include agent/net/http.h
agent/net/bad.c:2: must not include <cjson/cJSON.h>: it belongs to agent/base/json.c agent/base/json_write.c agent/base/json_node.h
agent/net/bad.c:3: must not include <openssl/ssl.h>: nobody may
agent/net/bad.c:4: must not include <cmocka.h>: it belongs to tests/*
agent/other/bad.c: is in no folder of layers.txt
controlplane/bad.c:2: must not include agent/job/txn.h
scanners/bad.c:3: must not include tests/support/torture.h'

good_tree
lines() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) print "    x;" }'; }
{
    printf 'void fits(void)\n{\n'
    lines 80
    printf '}\nvoid too_long(void)\n{\n'
    lines 81
    printf '}\nstruct not_a_function {\n'
    lines 200
    printf '};\n'
} | file agent/model/long.c
lines 599 | file agent/model/fits.c
lines 600 | file agent/model/toolong.h
expect size 'agent/model/long.c:86: function of 81 lines (80): void too_long(void)
agent/model/toolong.h: 601 lines (600)'

good_tree
printf '/* Copyright */\n/* SPDX-License-Identifier: Apache-2.0 */\n' >"$dir/tree/agent/model/second.c"
printf '#!/bin/sh\necho\n' >"$dir/tree/tests/script"
printf 'print()\n' >"$dir/tree/tests/x.py"
printf 'data\n' >"$dir/tree/tests/data.txt"
expect spdx 'agent/model/second.c: no SPDX-License-Identifier: Apache-2.0 at its start
tests/script: no SPDX-License-Identifier: Apache-2.0 at its start
tests/x.py: no SPDX-License-Identifier: Apache-2.0 at its start'

# An empty place is a mistake, not a success.
rm -rf "$dir/tree"
mkdir "$dir/tree"
expect spdx 'only 0 files seen: wrong directory?'
expect size 'only 0 files seen: wrong directory?'
expect includes 'only 0 includes seen: wrong directory?'
expect symbols "no libclm_*.a under $dir/tree: build first"

good_tree
mkdir -p "$dir/tree/tests/faults/bugs"
expect bugs 'no bugs seen: wrong directory?'
printf 'A bug.\n--- a/agent/base/json.c\n+++ b/agent/base/json.c\n@@ -2 +2 @@\n-#include <cjson/cJSON.h>\n+\n' \
    >"$dir/tree/tests/faults/bugs/fits.patch"
expect bugs ''
sed 's/cJSON/gone/' "$dir/tree/tests/faults/bugs/fits.patch" >"$dir/tree/tests/faults/bugs/old.patch"
expect bugs 'tests/faults/bugs/old.patch no longer applies: checking file agent/base/json.c
Hunk #1 FAILED at 2.
1 out of 1 hunk FAILED'

cat >"$dir/a.c" <<'END'
int clm_good(void);
int other(void);
static int counter;
static int filled = 3;
static const char *const table[] = {"a"};
const int clm_table[] = {1};
int clm_global;
int clm_good(void) { static int hidden; return ++counter + ++filled + ++hidden + *table[0] + clm_table[0]; }
int other(void) { return ++clm_global; }
END
${CC:-cc} -c -o "$dir/a.c.o" "$dir/a.c"
ar rc "$dir/tree/libclm_x.a" "$dir/a.c.o"
# The compiler numbers a static inside a function.
code=0
got=$("$here/symbols.sh" "$dir/tree" | sed 's/hidden\.[0-9]*/hidden/' | sort) || code=$?
want='libclm_x.a(a.c.o): exports other
libclm_x.a(a.c.o): has the writable global clm_global
libclm_x.a(a.c.o): has the writable global counter
libclm_x.a(a.c.o): has the writable global filled
libclm_x.a(a.c.o): has the writable global hidden'
[ "$got" = "$want" ] || {
    printf 'symbols:\n--- expected\n%s\n--- got\n%s\n' "$want" "$got"
    bad=1
}
exit $bad
