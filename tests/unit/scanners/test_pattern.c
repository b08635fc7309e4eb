/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
        {"\\(|acme", false, CLM_PATTERN_YES}, /* what is escaped stays escaped */
        {"\\[.]|acme", false, CLM_PATTERN_YES},
        {"acme\\", false, CLM_PATTERN_UNKNOWN},
        {"[a\\-]", false, CLM_PATTERN_YES},
        {"/\\.(?!git)", false, CLM_PATTERN_UNKNOWN},
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

static void an_expression_that_is_too_long_is_not_judged(void **state)
{
    char pattern[2048];

    (void)state;
    memset(pattern, 'x', sizeof(pattern) - 1);
    pattern[sizeof(pattern) - 1] = '\0';
    assert_int_equal(clm_pattern_match(pattern, false, CLM_ACME_SAMPLE), CLM_PATTERN_UNKNOWN);
    pattern[1023] = '\0';
    assert_int_equal(clm_pattern_match(pattern, false, CLM_ACME_SAMPLE), CLM_PATTERN_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_of_real_servers_are_judged),
        cmocka_unit_test(an_expression_that_is_too_long_is_not_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
