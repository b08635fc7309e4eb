/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "agent/base/clock.h"

static void times_go_there_and_back(void **state)
{
    static const struct {
        int64_t unix_s;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {951782399, "2000-02-28T23:59:59Z"},
        {951782400, "2000-02-29T00:00:00Z"},
        {1795225945, "2026-11-21T01:52:25Z"},
        {2147483648, "2038-01-19T03:14:08Z"},
        {4107542400, "2100-03-01T00:00:00Z"},
        {253402300799, "9999-12-31T23:59:59Z"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char text[CLM_TIME_TEXT_SIZE];
        int64_t unix_s = -1;

        clm_time_format(cases[i].unix_s, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(clm_time_parse(text, &unix_s, NULL), CLM_OK);
        assert_int_equal(unix_s, cases[i].unix_s);
    }
}

static void every_day_goes_there_and_back(void **state)
{
    (void)state;
    for (int64_t day = 0; day <= 253402300799 / 86400; day++) {
        char text[CLM_TIME_TEXT_SIZE];
        int64_t unix_s = -1;

        clm_time_format(day * 86400 + 43199, text);
        if (clm_time_parse(text, &unix_s, NULL) != CLM_OK || unix_s != day * 86400 + 43199) {
            fail_msg("day %lld: '%s'", (long long)day, text);
        }
    }
}

static void years_outside_are_the_empty_string(void **state)
{
    char text[CLM_TIME_TEXT_SIZE] = "x";

    (void)state;
    clm_time_format(-1, text);
    assert_string_equal(text, "");
    clm_time_format(253402300800, text);
    assert_string_equal(text, "");
    clm_time_format(INT64_MAX, text);
    assert_string_equal(text, "");
}

static void fractions_are_cut_off(void **state)
{
    int64_t unix_s = 0;

    (void)state;
    assert_int_equal(clm_time_parse("2026-11-21T01:52:25.9Z", &unix_s, NULL), CLM_OK);
    assert_int_equal(unix_s, 1795225945);
    assert_int_equal(clm_time_parse("2026-11-21T01:52:25.999999999Z", &unix_s, NULL), CLM_OK);
    assert_int_equal(unix_s, 1795225945);
}

static void other_texts_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "Z",
        "2026",
        "2026-11-21",
        "2026-11-21T01:52:25",
        "2026-11-21T01:52:25z",
        "2026-11-21t01:52:25Z",
        "2026-11-21 01:52:25Z",
        "2026-11-21T01:52:25+00:00",
        "2026-11-21T01:52:25ZZ",
        "2026-11-21T01:52:25Z ",
        " 2026-11-21T01:52:25Z",
        "2026-11-21T01:52Z",
        "2026-1-21T01:52:25Z",
        "2026-00-21T01:52:25Z",
        "2026-13-21T01:52:25Z",
        "2026-11-00T01:52:25Z",
        "2026-11-31T01:52:25Z",
        "2026-02-29T01:52:25Z",
        "2100-02-29T01:52:25Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T01:60:25Z",
        "2026-11-21T01:52:60Z",
        "1969-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
        "+2026-11-21T01:52:25Z",
        "2026-11-21T01:52:25.Z",
        "2026-11-21T01:52:25.1234567890Z",
        "2026-11-21T01:52:25,5Z",
        "2026-11-21T-1:52:25Z",
    };
    struct clm_err err = {0};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        int64_t unix_s = 77;

        if (clm_time_parse(bad[i], &unix_s, &err) != CLM_E_PARSE || unix_s != 77) {
            fail_msg("accepted '%s'", bad[i]);
        }
    }
    assert_string_equal(err.msg, "not a time like 2026-11-21T01:52:25Z");
}

static void clocks_agree_with_the_system(void **state)
{
    int64_t before_s = (int64_t)time(NULL);
    int64_t now_ms = clm_clock_now_ms();
    int64_t mono_ms = clm_clock_mono_ms();

    (void)state;
    assert_true(clm_clock_now_s() >= before_s);
    assert_true(now_ms / 1000 >= before_s && now_ms / 1000 <= (int64_t)time(NULL));
    clm_clock_sleep_ms(0);
    clm_clock_sleep_ms(-5);
    clm_clock_sleep_ms(15);
    assert_true(clm_clock_mono_ms() >= mono_ms + 15);
    assert_int_equal(clm_clock_left_ms(-1), -1);
    assert_int_equal(clm_clock_left_ms(mono_ms), 0);
    int64_t left_ms = clm_clock_left_ms(clm_clock_mono_ms() + 60000);
    assert_true(left_ms > 0 && left_ms <= 60000);
}

static void ignore(int sig)
{
    (void)sig;
}

/* Twenty signals in between, and the wait is as long as it should be; the nanoseconds carry. */
static void a_signal_does_not_end_a_sleep(void **state)
{
    const struct sigaction act = {.sa_handler = ignore};
    const struct itimerval every = {.it_interval = {.tv_usec = 50000},
                                    .it_value = {.tv_usec = 50000}};
    const struct itimerval never = {.it_interval = {.tv_usec = 0}};
    struct sigaction old;
    int64_t start_ms = clm_clock_mono_ms();

    (void)state;
    assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
    clm_clock_sleep_ms(999);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    assert_true(clm_clock_mono_ms() - start_ms >= 998);
    clm_clock_sleep_ms(0);
    clm_clock_sleep_ms(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_does_not_end_a_sleep),
        cmocka_unit_test(times_go_there_and_back),
        cmocka_unit_test(every_day_goes_there_and_back),
        cmocka_unit_test(years_outside_are_the_empty_string),
        cmocka_unit_test(fractions_are_cut_off),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(clocks_agree_with_the_system),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
