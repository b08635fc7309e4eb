/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* it would always be this file */
#include <systemd/sd-journal.h>

#include "agent/base/str.h"

#define TEXT_MAX  2048 /* bytes of a message before escaping; the rest is cut off */
#define FIELD_MAX 1024 /* bytes of CLM_JOB and CLM_TARGET with their names */

/* The two writable globals of the project: tests/lint/symbols.allow. */
static enum clm_log_level log_level = CLM_LOG_INFO;
static const char *log_name = "";

void clm_log_set_level(enum clm_log_level level)
{
    log_level = level;
}

void clm_log_set_name(const char *who)
{
    log_name = who;
}

static const char *level_name(enum clm_log_level level)
{
    switch (level) {
    case CLM_LOG_ERROR:
        return "error";
    case CLM_LOG_WARNING:
        return "warning";
    case CLM_LOG_NOTICE:
        return "notice";
    case CLM_LOG_INFO:
        return "info";
    case CLM_LOG_DEBUG:
        break;
    }
    return "debug";
}

/* Appends text at dst + len; bytes that are controls or no UTF-8 become \xNN. Returns the length. */
static size_t escape(char *dst, size_t size, size_t len, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = (const uint8_t *)text;
    size_t left = strlen(text);

    while (left > 0) {
        size_t n = clm_str_utf8_len(p, left);
        bool is_plain = n > 0 && !clm_str_is_steering(p, n);

        n = n == 0 ? 1 : n;
        if (len + (is_plain ? n : 4 * n) >= size) {
            break;
        }
        for (size_t i = 0; i < n; i++) {
            if (is_plain) {
                dst[len++] = (char)p[i];
            } else {
                dst[len++] = '\\';
                dst[len++] = 'x';
                dst[len++] = digits[p[i] >> 4];
                dst[len++] = digits[p[i] & 15];
            }
        }
        p += n;
        left -= n;
    }
    dst[len] = '\0';
    return len;
}

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the socket it connected us to. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev = 0;
    unsigned long long ino = 0;
    char *end = NULL;
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    dev = strtoull(stream, &end, 10);
    if (end == stream || *end != ':') {
        return false;
    }
    ino = strtoull(end + 1, NULL, 10);
    return dev == (unsigned long long)st.st_dev && ino == (unsigned long long)st.st_ino;
}

static struct iovec field(char *dst, size_t size, const char *name, const char *value)
{
    size_t len = escape(dst, size, 0, name);

    return (struct iovec){.iov_base = dst, .iov_len = escape(dst, size, len, value)};
}

static bool to_journal(enum clm_log_level level, const char *job, const char *target,
                       const char *text)
{
    char message[4 * TEXT_MAX + 16];
    char priority[16];
    char ident[64];
    char job_field[FIELD_MAX];
    char target_field[FIELD_MAX];
    char number[4];
    struct iovec iov[5];
    int n = 0;

    (void)snprintf(number, sizeof(number), "%d", (int)level);
    iov[n++] = field(message, sizeof(message), "MESSAGE=", text);
    iov[n++] = field(priority, sizeof(priority), "PRIORITY=", number);
    if (*log_name != '\0') {
        iov[n++] = field(ident, sizeof(ident), "SYSLOG_IDENTIFIER=clmbot-", log_name);
    }
    if (job != NULL) {
        iov[n++] = field(job_field, sizeof(job_field), "CLM_JOB=", job);
    }
    if (target != NULL) {
        iov[n++] = field(target_field, sizeof(target_field), "CLM_TARGET=", target);
    }
    return sd_journal_sendv(iov, n) >= 0;
}

static void to_stderr(enum clm_log_level level, const char *job, const char *target,
                      const char *text)
{
    char line[4 * TEXT_MAX + 2 * FIELD_MAX];
    size_t size = sizeof(line) - 1; /* for the line feed */
    size_t len = escape(line, size, 0, *log_name != '\0' ? "clmbot-" : "clmbot");

    len = escape(line, size, len, log_name);
    len = escape(line, size, len, ": ");
    len = escape(line, size, len, level_name(level));
    len = escape(line, size, len, ": ");
    len = escape(line, size, len, text);
    if (target != NULL) {
        len = escape(line, size, len, " target=");
        len = escape(line, size, len, target);
    }
    if (job != NULL) {
        len = escape(line, size, len, " job=");
        len = escape(line, size, len, job);
    }
    line[len++] = '\n';
    /* One write, so that lines of two processes do not mix; a full or closed pipe is not our fault. */
    (void)!write(STDERR_FILENO, line, len);
}

void clm_log_at(enum clm_log_level level, const char *job, const char *target, const char *fmt, ...)
{
    int saved_errno = errno;
    char text[TEXT_MAX];
    va_list ap;
    int len;

    if (level > log_level) {
        return;
    }
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len < 0) {
        text[0] = '\0';
    } else if ((size_t)len >= sizeof(text)) {
        memcpy(text + sizeof(text) - 4, "...", 4);
    }
    if (!is_journal() || !to_journal(level, job, target, text)) {
        to_stderr(level, job, target, text);
    }
    errno = saved_errno;
}
