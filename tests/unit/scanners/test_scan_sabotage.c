/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans of whole hosts in which a call of libc fails: each call once. A scan goes on as far as it
 * can, what is manageable no more has a sentence that says why, and nothing leaks or is invented.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scanners/scanner.h"
#include "tests/support/sabotage.h"
#include "tests/support/scan_hosts.h"

static enum clm_code scan(void *arg, struct clm_err *err)
{
    struct scan_host *host = arg;

    return clm_scan_host(&host->check.io.io, NULL, &host->check.found, err);
}

static void judge(void *arg, enum clm_code code, const char *what)
{
    struct scan_host *host = arg;
    const struct clm_inventory *found = &host->check.found;

    if (code != CLM_OK && code != CLM_E_NOMEM && code != CLM_E_IO && code != CLM_E_LIMIT) {
        fail_msg("%s: %s", what, clm_code_name(code));
    }
    for (size_t s = 0; code == CLM_OK && s < found->n_services; s++) {
        for (size_t t = 0; t < found->services[s].n_targets; t++) {
            const struct clm_target *target = &found->services[s].targets[t];

            if (!target->manageable && target->reasons.n == 0) {
                fail_msg("%s: target '%s' is not manageable, and nobody says why", what,
                         target->id);
            }
        }
    }
    clm_inventory_done(&host->check.found);
    host->check.found = (struct clm_inventory){.services = NULL};
}

static void scan_each(const char *calls)
{
    for (size_t i = 0; i < SCAN_HOSTS; i++) {
        struct scan_host host;
        const struct clm_sabotage plan = {.act = scan, .after = judge, .arg = &host};
        const char *name = scan_host_init(&host, i);

        if (clm_sabotage_run(&plan, calls) < 100) {
            fail_msg("%s: hardly a call was made", name);
        }
        scan_host_done(&host);
    }
}

static void memory_that_is_short_ends_the_scan_or_does_not_matter(void **state)
{
    (void)state;
    scan_each("malloc calloc realloc strdup");
}

static void files_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    scan_each("open64 fstat64 readlinkat");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_is_short_ends_the_scan_or_does_not_matter),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
