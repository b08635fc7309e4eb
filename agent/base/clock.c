/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define LAST_S 253402300799LL /* 9999-12-31T23:59:59Z */

static int64_t read_ms(clockid_t id)
{
    struct timespec now = {0};

    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clm_clock_now_s(void)
{
    return (int64_t)time(NULL);
}

int64_t clm_clock_now_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

int64_t clm_clock_mono_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

int64_t clm_clock_left_ms(int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clm_clock_mono_ms();

    if (deadline_ms < 0) {
        return -1;
    }
    return left_ms < 0 ? 0 : left_ms;
}

void clm_clock_sleep_ms(int64_t ms)
{
    struct timespec until = {0};

    if (ms <= 0) {
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

void clm_time_format(int64_t unix_s, char *dst)
{
    time_t when = (time_t)unix_s;
    struct tm tm;

    dst[0] = '\0';
    if (unix_s >= 0 && unix_s <= LAST_S) {
        (void)gmtime_r(&when, &tm);
        (void)strftime(dst, CLM_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
}

/* Two or four digits at *p, which moves behind them; false if there are none. */
static bool digits(const char **p, int n, int min, int max, int *out)
{
    int value = 0;

    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9') {
            return false;
        }
        value = value * 10 + (**p - '0');
    }
    *out = value;
    return value >= min && value <= max;
}

static bool literal(const char **p, char c)
{
    if (**p != c) {
        return false;
    }
    (*p)++;
    return true;
}

static bool skip_fraction(const char **p)
{
    int n = 0;

    if (!literal(p, '.')) {
        return true;
    }
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        n++;
    }
    return n >= 1 && n <= 9;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

static bool parse_fields(const char *p, struct tm *tm)
{
    int year;
    int month;

    if (!digits(&p, 4, 1970, 9999, &year) || !literal(&p, '-') || !digits(&p, 2, 1, 12, &month) ||
        !literal(&p, '-') || !digits(&p, 2, 1, days_in_month(year, month), &tm->tm_mday) ||
        !literal(&p, 'T') || !digits(&p, 2, 0, 23, &tm->tm_hour) || !literal(&p, ':') ||
        !digits(&p, 2, 0, 59, &tm->tm_min) || !literal(&p, ':') ||
        !digits(&p, 2, 0, 59, &tm->tm_sec) || !skip_fraction(&p) || !literal(&p, 'Z')) {
        return false;
    }
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    return *p == '\0';
}

enum clm_code clm_time_parse(const char *text, int64_t *out_unix_s, struct clm_err *err)
{
    struct tm tm = {0};

    if (!parse_fields(text, &tm)) {
        return clm_err_set(err, CLM_E_PARSE, "not a time like 2026-11-21T01:52:25Z");
    }
    *out_unix_s = (int64_t)timegm(&tm);
    return CLM_OK;
}

/* Years are counted from March. */
int64_t clm_time_days(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}
