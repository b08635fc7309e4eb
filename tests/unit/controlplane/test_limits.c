/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/limits.h"

static struct clm_cp_limits *limits;

static int open_table(void **state)
{
    (void)state;
    return clm_cp_limits_new(&limits, NULL) == CLM_OK ? 0 : -1;
}

static int close_table(void **state)
{
    (void)state;
    clm_cp_limits_free(limits);
    return 0;
}

static void a_burst_passes_and_then_one_each_period(void **state)
{
    int64_t now_ms = 1000000;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 5, now_ms), 0);
    }
    assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 5, now_ms), 1);
    assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 5, now_ms + 999), 1);
    assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 5, now_ms + 1000), 0);
    assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 5, now_ms + 1000), 1);
}

static void what_was_refused_costs_nothing(void **state)
{
    (void)state;
    assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 1, 0), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 1, 500), 1);
    }
    assert_int_equal(clm_cp_limits_take(limits, "a/x", 60, 1, 1000), 0);
}

static void the_wait_is_told_in_whole_seconds_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(clm_cp_limits_take(limits, "t/x", 10, 1, 0), 0);
    assert_int_equal(clm_cp_limits_take(limits, "t/x", 10, 1, 0), 6);
    assert_int_equal(clm_cp_limits_take(limits, "t/x", 10, 1, 5001), 1);
}

static void names_do_not_share_a_bucket(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof(name), "ip/%d", i);
        assert_int_equal(clm_cp_limits_take(limits, name, 1, 1, 0), 0);
    }
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof(name), "ip/%d", i);
        if (clm_cp_limits_take(limits, name, 1, 1, 0) == 0) {
            fail_msg("'%s' was forgotten", name);
        }
    }
}

static void a_full_table_still_lets_newcomers_in(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 4 * CLM_CP_BUCKETS; i++) {
        (void)snprintf(name, sizeof(name), "ip/%d", i);
        (void)clm_cp_limits_take(limits, name, 60, 10, 0);
    }
    assert_int_equal(clm_cp_limits_take(limits, "ip/new", 60, 10, 0), 0);
}

int main(void)
{
#define TABLE_TEST(f) cmocka_unit_test_setup_teardown(f, open_table, close_table)
    const struct CMUnitTest tests[] = {
        TABLE_TEST(a_burst_passes_and_then_one_each_period),
        TABLE_TEST(what_was_refused_costs_nothing),
        TABLE_TEST(the_wait_is_told_in_whole_seconds_rounded_up),
        TABLE_TEST(names_do_not_share_a_bucket),
        TABLE_TEST(a_full_table_still_lets_newcomers_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
