/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/rand.h"
#include "agent/run/backoff.h"

static uint32_t lowest(uint32_t below)
{
    (void)below;
    return 0;
}

static uint32_t highest(uint32_t below)
{
    return below == 0 ? 0 : below - 1;
}

static void failures_double_up_to_five_minutes(void **state)
{
    static const uint32_t top_ms[] = {1000,  2000,   4000,   8000,   16000,  32000,
                                      64000, 128000, 256000, 300000, 300000, 300000};
    struct clm_backoff b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(top_ms) / sizeof(top_ms[0]); i++) {
        struct clm_backoff same = b;

        assert_int_equal(clm_backoff_failed(&same, 0, 60, lowest), 0);
        assert_int_equal(clm_backoff_failed(&b, 0, 60, highest), top_ms[i] - 1);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(clm_backoff_failed(&b, 0, 60, highest), 299999);
    }
}

static void loss_of_a_connection_is_spread_once(void **state)
{
    struct clm_backoff b = {0};

    (void)state;
    (void)clm_backoff_ok(&b, 1000, 0, lowest);
    assert_int_equal(clm_backoff_failed(&b, 0, 300, highest), 300 * 1000 - 1 + 999);
    assert_int_equal(clm_backoff_failed(&b, 0, 300, highest), 1999);
}

static void spread_is_clamped(void **state)
{
    static const struct {
        uint32_t spread_s;
        uint32_t used_s;
    } rows[] = {{0, 5}, {4, 5}, {5, 5}, {900, 900}, {901, 900}, {UINT32_MAX, 900}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct clm_backoff b = {.was_connected = true};

        assert_int_equal(clm_backoff_failed(&b, 0, rows[i].spread_s, highest),
                         rows[i].used_s * 1000 - 1 + 999);
    }
}

static void retry_after_is_a_minimum_with_jitter_on_top(void **state)
{
    static const struct {
        uint32_t said_s;
        uint32_t low_ms;
        uint32_t high_ms;
    } rows[] = {
        {1, 1000, 1499},
        {60, 60000, 60000 + 30000 - 1},
        {600, 600000, 600000 + 300000 - 1},
        {3600, 3600000, 3600000 + 300000 - 1},
        {86400, 3600000, 3600000 + 300000 - 1},
        {UINT32_MAX, 3600000, 3600000 + 300000 - 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct clm_backoff low = {0};
        struct clm_backoff high = {0};

        assert_int_equal(clm_backoff_failed(&low, rows[i].said_s, 60, lowest), rows[i].low_ms);
        assert_int_equal(clm_backoff_failed(&high, rows[i].said_s, 60, highest), rows[i].high_ms);
    }
}

static void retry_after_does_not_shorten_a_longer_wait(void **state)
{
    struct clm_backoff b = {.failures = 9};

    (void)state;
    assert_int_equal(clm_backoff_failed(&b, 1, 60, highest), 299999);
}

static void success_waits_as_told_with_a_fifth_of_jitter(void **state)
{
    struct clm_backoff b = {0};

    (void)state;
    assert_int_equal(clm_backoff_ok(&b, 1, 300, lowest), 240000);
    assert_int_equal(clm_backoff_ok(&b, 1, 300, highest), 360000);
    assert_int_equal(clm_backoff_ok(&b, 1, 0, highest), 0);
    assert_int_equal(clm_backoff_ok(&b, 1, UINT32_MAX, lowest), 86400 / 5 * 4 * 1000);
}

static void failures_are_forgotten_only_after_a_minute_of_success(void **state)
{
    struct clm_backoff b = {.failures = 7};

    (void)state;
    (void)clm_backoff_ok(&b, 1000, 0, lowest);
    (void)clm_backoff_ok(&b, 61000, 0, lowest);
    assert_int_equal(b.failures, 7);
    (void)clm_backoff_ok(&b, 61001, 0, lowest);
    assert_int_equal(b.failures, 0);
}

static void flapping_does_not_reset(void **state)
{
    struct clm_backoff b = {0};

    (void)state;
    for (int i = 0; i < 8; i++) {
        (void)clm_backoff_ok(&b, 1000 + i * 50000, 0, lowest);
        (void)clm_backoff_failed(&b, 0, 60, lowest);
    }
    assert_int_equal(b.failures, 8);
}

static void real_random_numbers_stay_in_range(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct clm_backoff b = {.failures = 3};
        uint32_t ok_ms = clm_backoff_ok(&(struct clm_backoff){0}, 1, 10, clm_rand_below);

        assert_in_range(clm_backoff_failed(&b, 0, 60, clm_rand_below), 0, 7999);
        assert_in_range(ok_ms, 8000, 12000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_double_up_to_five_minutes),
        cmocka_unit_test(loss_of_a_connection_is_spread_once),
        cmocka_unit_test(spread_is_clamped),
        cmocka_unit_test(retry_after_is_a_minimum_with_jitter_on_top),
        cmocka_unit_test(retry_after_does_not_shorten_a_longer_wait),
        cmocka_unit_test(success_waits_as_told_with_a_fifth_of_jitter),
        cmocka_unit_test(failures_are_forgotten_only_after_a_minute_of_success),
        cmocka_unit_test(flapping_does_not_reset),
        cmocka_unit_test(real_random_numbers_stay_in_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
