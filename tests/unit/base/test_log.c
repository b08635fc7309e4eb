/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/base/log.h"

int __wrap_sd_journal_sendv(const struct iovec *iov, int n);

static char fields[8192]; /* what the journal got, one field a line */
static int journal_answer;

int __wrap_sd_journal_sendv(const struct iovec *iov, int n)
{
    size_t len = 0;

    for (int i = 0; i < n; i++) {
        len += (size_t)snprintf(fields + len, sizeof(fields) - len, "%.*s\n", (int)iov[i].iov_len,
                                (const char *)iov[i].iov_base);
    }
    return journal_answer;
}

/* stderr goes to a file while a test runs. */
static FILE *capture;
static int old_stderr = -1;
static char line[32768];

static int start_capture(void **state)
{
    (void)state;
    (void)fflush(stderr);
    fields[0] = '\0';
    journal_answer = 0;
    capture = tmpfile();
    old_stderr = dup(STDERR_FILENO);
    clm_log_set_level(CLM_LOG_INFO);
    clm_log_set_name("run");
    (void)unsetenv("JOURNAL_STREAM");
    return capture == NULL || old_stderr < 0 || dup2(fileno(capture), STDERR_FILENO) < 0;
}

static int stop_capture(void **state)
{
    (void)state;
    (void)dup2(old_stderr, STDERR_FILENO);
    (void)close(old_stderr);
    (void)fclose(capture);
    return 0;
}

static const char *captured(void)
{
    size_t len;

    rewind(capture);
    len = fread(line, 1, sizeof(line) - 1, capture);
    line[len] = '\0';
    return line;
}

static void connect_journal(void)
{
    char text[64];
    struct stat st;

    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
}

static void a_line_names_process_and_level(void **state)
{
    (void)state;
    clm_log_warning("certificate '%s' expires in %d days", "www", 3);
    assert_string_equal(captured(), "clmbot-run: warning: certificate 'www' expires in 3 days\n");
}

static void job_and_target_stand_at_the_end(void **state)
{
    (void)state;
    clm_log_at(CLM_LOG_ERROR, "job_1", "nginx:www", "no luck");
    assert_string_equal(captured(), "clmbot-run: error: no luck target=nginx:www job=job_1\n");
}

static void without_a_name_there_is_no_dash(void **state)
{
    (void)state;
    clm_log_set_name("");
    clm_log_notice("started");
    assert_string_equal(captured(), "clmbot: notice: started\n");
}

static void lines_above_the_level_are_dropped(void **state)
{
    (void)state;
    clm_log_debug("no");
    clm_log_info("yes");
    clm_log_set_level(CLM_LOG_ERROR);
    clm_log_warning("no");
    clm_log_error("yes");
    clm_log_set_level(CLM_LOG_DEBUG);
    clm_log_debug("yes");
    assert_string_equal(captured(),
                        "clmbot-run: info: yes\nclmbot-run: error: yes\nclmbot-run: debug: yes\n");
}

static void foreign_text_cannot_forge_or_paint(void **state)
{
    (void)state;
    clm_log_info("%s", "a\nclmbot-run: error: b\x1b[31m\r\t\x7f\xc2\x9b\xff\xc3\xa9");
    assert_string_equal(captured(),
                        "clmbot-run: info: a\\x0aclmbot-run: error: b\\x1b[31m\\x0d\\x09\\x7f"
                        "\\xc2\\x9b\\xff\xc3\xa9\n");
}

static void long_text_is_cut_off_visibly(void **state)
{
    (void)state;
    clm_log_info("%05000d", 1);
    (void)captured();
    assert_int_equal(strlen(line), strlen("clmbot-run: info: \n") + 2047);
    assert_string_equal(line + strlen(line) - 5, "0...\n");
}

static void errno_survives(void **state)
{
    int full = open("/dev/full", O_WRONLY);

    (void)state;
    assert_true(full >= 0);
    errno = EXDEV;
    clm_log_info("x");
    assert_int_equal(errno, EXDEV);
    assert_true(dup2(full, STDERR_FILENO) >= 0); /* every write fails */
    errno = EXDEV;
    clm_log_info("x");
    assert_int_equal(errno, EXDEV);
    (void)close(full);
}

static void the_journal_gets_fields_and_stderr_nothing(void **state)
{
    (void)state;
    connect_journal();
    clm_log_at(CLM_LOG_ERROR, "job_1", "nginx:www\nX=1", "no\nluck");
    assert_string_equal(captured(), "");
    assert_string_equal(fields, "MESSAGE=no\\x0aluck\nPRIORITY=3\nSYSLOG_IDENTIFIER=clmbot-run\n"
                                "CLM_JOB=job_1\nCLM_TARGET=nginx:www\\x0aX=1\n");
    clm_log_info("plain");
    assert_string_equal(fields, "MESSAGE=plain\nPRIORITY=6\nSYSLOG_IDENTIFIER=clmbot-run\n");
}

static void a_refused_entry_goes_to_stderr(void **state)
{
    (void)state;
    connect_journal();
    journal_answer = -EPERM;
    clm_log_info("x");
    assert_string_equal(captured(), "clmbot-run: info: x\n");
}

static void another_stream_is_not_the_journal(void **state)
{
    char device[64];
    char inode[64];
    const char *const streams[] = {"", "1", "1:", "1:2", ":", "x:y", device, inode};
    struct stat st;

    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(device, sizeof(device), "%llu:%llu", (unsigned long long)st.st_dev + 1,
                   (unsigned long long)st.st_ino);
    (void)snprintf(inode, sizeof(inode), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino + 1);
    for (size_t i = 0; i < CLM_ARRAY_LEN(streams); i++) {
        assert_int_equal(setenv("JOURNAL_STREAM", streams[i], 1), 0);
        clm_log_info("x");
    }
    assert_string_equal(fields, "");
    assert_int_equal(strlen(captured()), CLM_ARRAY_LEN(streams) * strlen("clmbot-run: info: x\n"));
}

#define CAPTURED(name) cmocka_unit_test_setup_teardown(name, start_capture, stop_capture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CAPTURED(a_line_names_process_and_level),
        CAPTURED(job_and_target_stand_at_the_end),
        CAPTURED(without_a_name_there_is_no_dash),
        CAPTURED(lines_above_the_level_are_dropped),
        CAPTURED(foreign_text_cannot_forge_or_paint),
        CAPTURED(long_text_is_cut_off_visibly),
        CAPTURED(errno_survives),
        CAPTURED(the_journal_gets_fields_and_stderr_nothing),
        CAPTURED(a_refused_entry_goes_to_stderr),
        CAPTURED(another_stream_is_not_the_journal),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
