/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scanners/pattern.h"

static void expressions_of_real_servers_are_judged(void **state)
{
    static const struct {
        const char *pattern;
        bool ignore_case;
        enum clm_pattern want;
    } cases[] = {
        {"\\.php$", false, CLM_PATTERN_NO},
        {"\\.(jpg|png)$", true, CLM_PATTERN_NO},
        {"/\\.", false, CLM_PATTERN_YES},
        {"/\\.(?!well-known).*", false, CLM_PATTERN_NO},
        {"/\\.(?!well-known\\/)", false, CLM_PATTERN_NO},
        {"^/(?!\\.well-known/acme-challenge/)", false, CLM_PATTERN_NO},
        {"/(?!admin)", false, CLM_PATTERN_UNKNOWN},
        {"^(.*)$", false, CLM_PATTERN_YES},
        {"^(?:/a|/\\.well-known)", false, CLM_PATTERN_YES},
        {"^/\\d+", false, CLM_PATTERN_NO},
        {"ACME-CHALLENGE/[\\w\\-]+$", true, CLM_PATTERN_YES},
        {"ACME-CHALLENGE", false, CLM_PATTERN_NO},
        {"^/[^.]", false, CLM_PATTERN_NO},
        {"^/[\\.x]well", false, CLM_PATTERN_YES},
        {"^/[a\\-z]", false, CLM_PATTERN_UNKNOWN},
        {"\\.well\\-known", false, CLM_PATTERN_YES},
        {"(?i)ACME-CHALLENGE", false, CLM_PATTERN_YES},
        {"(", false, CLM_PATTERN_UNKNOWN},
        {"[", false, CLM_PATTERN_UNKNOWN},
        {"", false, CLM_PATTERN_YES},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum clm_pattern got =
            clm_pattern_match(cases[i].pattern, cases[i].ignore_case, CLM_ACME_SAMPLE);

        if (got != cases[i].want) {
            fail_msg("case %zu '%s': %d", i, cases[i].pattern, (int)got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_of_real_servers_are_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
