/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line an event, to the journal with fields or to stderr
 *
 * Only agent/job, agent/host, agent/run, agent/main and controlplane log; libraries return errors.
 * Foreign text is escaped: no control character reaches the log. Keys and passwords never do.
 */
#ifndef CLM_BASE_LOG_H
#define CLM_BASE_LOG_H

#include "agent/base/attr.h"
#include "agent/base/err.h"

enum clm_log_level {
    CLM_LOG_ERROR = 3, /* the numbers of syslog(3) */
    CLM_LOG_WARNING = 4,
    CLM_LOG_NOTICE = 5,
    CLM_LOG_INFO = 6,
    CLM_LOG_DEBUG = 7,
};

/* Lines above this level are dropped. Default: INFO. */
void clm_log_set_level(enum clm_log_level level);
/* who: "run", "host", ...: put in front on stderr. A literal: kept, not copied. */
void clm_log_set_name(const char *who);

/* job and target may be NULL; they become the fields CLM_JOB and CLM_TARGET. */
void clm_log_at(enum clm_log_level level, const char *job, const char *target, const char *fmt, ...)
    CLM_PRINTF(4, 5);

#define clm_log_error(...)   clm_log_at(CLM_LOG_ERROR, NULL, NULL, __VA_ARGS__)
#define clm_log_warning(...) clm_log_at(CLM_LOG_WARNING, NULL, NULL, __VA_ARGS__)
#define clm_log_notice(...)  clm_log_at(CLM_LOG_NOTICE, NULL, NULL, __VA_ARGS__)
#define clm_log_info(...)    clm_log_at(CLM_LOG_INFO, NULL, NULL, __VA_ARGS__)
#define clm_log_debug(...)   clm_log_at(CLM_LOG_DEBUG, NULL, NULL, __VA_ARGS__)

#endif
