/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/proc.h"

#define TIMEOUT_MS 20000 /* ends only a broken test */

/* Runs a shell script, whose output and status come back. Only tests use a shell. */
static int run_script(const char *script, struct clm_buf *output)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct clm_proc proc = {.argv = argv, .timeout_ms = TIMEOUT_MS};
    struct clm_err err = {0};
    int status = -1;

    if (clm_proc_run(&proc, &status, output, &err) != CLM_OK) {
        fail_msg("%s: %s", script, err.msg);
    }
    return status;
}

static void assert_output(const char *script, const char *expected)
{
    struct clm_buf out = CLM_BUF_INIT(CLM_PROC_OUTPUT_MAX);

    assert_int_equal(run_script(script, &out), 0);
    assert_string_equal(clm_buf_str(&out), expected);
    clm_buf_done(&out);
}

static void both_outputs_are_kept_in_order(void **state)
{
    (void)state;
    assert_output("echo one; echo two >&2; echo three", "one\ntwo\nthree\n");
}

static void status_is_exit_code_or_signal(void **state)
{
    (void)state;
    assert_int_equal(run_script("exit 0", NULL), 0);
    assert_int_equal(run_script("exit 3", NULL), 3);
    assert_int_equal(run_script("exit 255", NULL), 255);
    assert_int_equal(run_script("exit 127", NULL), 127);
    assert_int_equal(run_script("kill -9 $$", NULL), 128 + SIGKILL);
}

static void arguments_are_passed_as_they_are(void **state)
{
    const char *const argv[] = {"/usr/bin/printf", "[%s]", "a b", "$HOME", "*", "", ";id", NULL};
    struct clm_proc proc = {.argv = argv, .timeout_ms = TIMEOUT_MS};
    struct clm_buf out = CLM_BUF_INIT(1000);
    int status = -1;

    (void)state;
    assert_int_equal(clm_proc_run(&proc, &status, &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), "[a b][$HOME][*][][;id]");
    clm_buf_done(&out);
}

static void environment_is_the_given_one_only(void **state)
{
    const char *const argv[] = {"/usr/bin/env", NULL};
    const char *const env[] = {"A=1", "B=two words", NULL};
    struct clm_proc proc = {.argv = argv, .timeout_ms = TIMEOUT_MS};
    struct clm_buf out = CLM_BUF_INIT(1000);
    int status = -1;

    (void)state;
    assert_int_equal(setenv("CLM_SECRET", "leaks", 1), 0);
    assert_int_equal(clm_proc_run(&proc, &status, &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C\n");
    clm_buf_reset(&out);
    proc.env = env;
    assert_int_equal(clm_proc_run(&proc, &status, &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), "A=1\nB=two words\n");
    clm_buf_done(&out);
}

static void child_starts_clean(void **state)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction old;
    sigset_t block;
    int leak = open("/dev/null", O_RDONLY); /* on purpose without O_CLOEXEC */
    int high = fcntl(leak, F_DUPFD, 200);

    (void)state;
    assert_true(leak >= 0 && high >= 200);
    assert_int_equal(sigaction(SIGPIPE, &ignore, &old), 0);
    (void)sigemptyset(&block);
    (void)sigaddset(&block, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &block, NULL), 0);
    assert_output("umask; pwd; cat; readlink /proc/self/fd/0", "0077\n/\n/dev/null\n");
    /* 3 is ls reading the directory. */
    assert_output("ls /proc/self/fd", "0\n1\n2\n3\n");
    assert_output("grep -E 'SigBlk|SigIgn' /proc/self/status",
                  "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &block, NULL), 0);
    assert_int_equal(sigaction(SIGPIPE, &old, NULL), 0);
    (void)close(leak);
    (void)close(high);
}

static void child_leads_its_own_group(void **state)
{
    (void)state;
    assert_output("set -- $(cat /proc/$$/stat); test $$ = \"$5\" && echo leader", "leader\n");
}

static void directory_is_the_given_one(void **state)
{
    const char *const argv[] = {"/bin/pwd", NULL};
    struct clm_proc proc = {.argv = argv, .cwd = "/usr", .timeout_ms = TIMEOUT_MS};
    struct clm_buf out = CLM_BUF_INIT(100);
    struct clm_err err = {0};
    int status = -1;

    (void)state;
    assert_int_equal(clm_proc_run(&proc, &status, &out, &err), CLM_OK);
    assert_string_equal(clm_buf_str(&out), "/usr\n");
    proc.cwd = "/no/such/directory";
    assert_int_equal(clm_proc_run(&proc, &status, &out, &err), CLM_E_NOTFOUND);
    assert_string_equal(err.msg,
                        "run '/bin/pwd' in '/no/such/directory': No such file or directory");
    clm_buf_done(&out);
}

static void a_program_that_cannot_start_is_an_error(void **state)
{
    const char *argv[] = {"/no/such/program", NULL};
    struct clm_proc proc = {.argv = argv, .timeout_ms = TIMEOUT_MS};
    struct clm_err err = {0};
    int status = -77;

    (void)state;
    assert_int_equal(clm_proc_run(&proc, &status, NULL, &err), CLM_E_NOTFOUND);
    assert_string_equal(err.msg, "run '/no/such/program': No such file or directory");
    argv[0] = "/etc/passwd";
    assert_int_equal(clm_proc_run(&proc, &status, NULL, &err), CLM_E_PERM);
    assert_string_equal(err.msg, "run '/etc/passwd': Permission denied");
    argv[0] = "true";
    assert_int_equal(clm_proc_run(&proc, &status, NULL, &err), CLM_E_INVAL);
    argv[0] = NULL;
    assert_int_equal(clm_proc_run(&proc, &status, NULL, &err), CLM_E_INVAL);
    argv[0] = "/bin/true";
    proc.timeout_ms = 0;
    assert_int_equal(clm_proc_run(&proc, &status, NULL, &err), CLM_E_INVAL);
    assert_int_equal(status, -77);
}

static void output_is_capped_and_the_rest_read(void **state)
{
    const char *const argv[] = {"/usr/bin/head", "-c", "1000000", "/dev/zero", NULL};
    struct clm_proc proc = {.argv = argv, .output_max = 1000, .timeout_ms = TIMEOUT_MS};
    struct clm_buf out = CLM_BUF_INIT(2000);
    int status = -1;

    (void)state;
    assert_int_equal(clm_proc_run(&proc, &status, &out, NULL), CLM_OK);
    assert_int_equal(status, 0);
    assert_int_equal(out.len, 1000);
    /* 1000 more fit into the buffer, although 1500 may come. */
    proc.output_max = 1500;
    assert_int_equal(clm_proc_run(&proc, &status, &out, NULL), CLM_OK);
    assert_int_equal(status, 0);
    assert_int_equal(out.len, 2000);
    clm_buf_done(&out);
}

static void slow_programs_are_stopped(void **state)
{
    const char *const argv[] = {"/bin/sh", "-c", "echo started; sleep 60", NULL};
    struct clm_proc proc = {.argv = argv, .timeout_ms = 200};
    struct clm_buf out = CLM_BUF_INIT(100);
    struct clm_err err = {0};
    int64_t start_ms = clm_clock_mono_ms();
    int status = -77;

    (void)state;
    assert_int_equal(clm_proc_run(&proc, &status, &out, &err), CLM_E_TIMEOUT);
    assert_string_equal(err.msg, "'/bin/sh' did not end within 200 ms and was stopped");
    assert_int_equal(status, -77);
    assert_string_equal(clm_buf_str(&out), "started\n");
    assert_in_range(clm_clock_mono_ms() - start_ms, 200, 1900);
    clm_buf_done(&out);
}

/* True once no process of this number runs any more; where nobody reaps orphans, a zombie is none. */
static bool is_gone(const char *pid)
{
    char path[64];
    char letter = '?';
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", strtol(pid, NULL, 10));
    file = fopen(path, "re");
    if (file == NULL) {
        return true;
    }
    (void)!fscanf(file, "%*d %*s %c", &letter);
    (void)fclose(file);
    return letter == 'Z' || letter == '?';
}

/* Stops a script that prints the number of a process and ignores SIGTERM somewhere. */
static void assert_all_stopped(const char *script, int64_t least_ms, int64_t most_ms)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct clm_proc proc = {.argv = argv, .timeout_ms = 300};
    struct clm_buf out = CLM_BUF_INIT(100);
    int64_t start_ms = clm_clock_mono_ms();
    int status = -77;

    assert_int_equal(clm_proc_run(&proc, &status, &out, NULL), CLM_E_TIMEOUT);
    assert_in_range(clm_clock_mono_ms() - start_ms, least_ms, most_ms);
    assert_true(out.len > 1);
    while (!is_gone(clm_buf_str(&out)) && clm_clock_mono_ms() < start_ms + TIMEOUT_MS) {
        clm_clock_sleep_ms(5);
    }
    assert_true(is_gone(clm_buf_str(&out)));
    clm_buf_done(&out);
}

static void stubborn_programs_are_killed_with_their_children(void **state)
{
    (void)state;
    assert_all_stopped("trap '' TERM; sleep 61 & echo $!; while :; do sleep 60; done", 2300, 10000);
}

static void stubborn_children_of_a_polite_program_are_killed(void **state)
{
    (void)state;
    assert_all_stopped("(trap '' TERM; sleep 62) & echo $!; sleep 60", 300, 2000);
}

/* "apachectl start" leaves a daemon that holds our pipe: the call must return all the same. */
static void a_child_in_the_background_is_not_waited_for(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(100);
    int64_t start_ms = clm_clock_mono_ms();

    (void)state;
    assert_int_equal(run_script("sleep 30 & echo $!", &out), 0);
    assert_true(clm_clock_mono_ms() - start_ms < 10000);
    assert_int_equal(kill((pid_t)strtol(clm_buf_str(&out), NULL, 10), SIGKILL), 0);
    clm_buf_done(&out);
}

/* The lowest free descriptor. */
static int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY);

    assert_true(fd >= 0);
    (void)close(fd);
    return fd;
}

static void no_descriptor_is_left_behind(void **state)
{
    int before = next_fd();

    (void)state;
    for (int i = 0; i < 20; i++) {
        const char *const argv[] = {i % 2 == 0 ? "/bin/true" : "/no/such/program", NULL};
        struct clm_proc proc = {.argv = argv, .timeout_ms = TIMEOUT_MS};
        int status;

        (void)!clm_proc_run(&proc, &status, NULL, NULL);
    }
    assert_int_equal(next_fd(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_outputs_are_kept_in_order),
        cmocka_unit_test(status_is_exit_code_or_signal),
        cmocka_unit_test(arguments_are_passed_as_they_are),
        cmocka_unit_test(environment_is_the_given_one_only),
        cmocka_unit_test(child_starts_clean),
        cmocka_unit_test(child_leads_its_own_group),
        cmocka_unit_test(directory_is_the_given_one),
        cmocka_unit_test(a_program_that_cannot_start_is_an_error),
        cmocka_unit_test(output_is_capped_and_the_rest_read),
        cmocka_unit_test(slow_programs_are_stopped),
        cmocka_unit_test(stubborn_programs_are_killed_with_their_children),
        cmocka_unit_test(stubborn_children_of_a_polite_program_are_killed),
        cmocka_unit_test(a_child_in_the_background_is_not_waited_for),
        cmocka_unit_test(no_descriptor_is_left_behind),
    };

    return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
