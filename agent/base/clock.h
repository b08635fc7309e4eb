/* SPDX-License-Identifier: Apache-2.0 */
/* clock - wall time, time that never jumps, and RFC 3339 */
#ifndef CLM_BASE_CLOCK_H
#define CLM_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

#define CLM_TIME_TEXT_SIZE 32 /* bytes for any time below, NUL included */

/* Unix time in seconds, in milliseconds; milliseconds since boot, suspend included. */
int64_t clm_clock_now_s(void);
int64_t clm_clock_now_ms(void);
int64_t clm_clock_mono_ms(void);
/* Until a moment of clm_clock_mono_ms(): 0 once it has passed, -1 (for ever) if it is negative. */
int64_t clm_clock_left_ms(int64_t deadline_ms);
/* Sleeps, also over signals. */
void clm_clock_sleep_ms(int64_t ms);

/* "2026-11-21T01:52:25Z" into dst of CLM_TIME_TEXT_SIZE bytes; years 1970 to 9999, else "". */
void clm_time_format(int64_t unix_s, char *dst);
/* Accepts "Z" only, and fractions of up to 9 digits, which are cut off. Errors: PARSE. */
CLM_MUST_USE enum clm_code clm_time_parse(const char *text, int64_t *out_unix_s,
                                          struct clm_err *err);
/* Days from 1970-01-01 to a Gregorian date of the year 1 or later; month 1..12, day from 1. */
int64_t clm_time_days(int64_t year, int64_t month, int64_t day);

#endif
