/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run while a call fails, in the parent or in the child, or while time flies. */
#define _GNU_SOURCE /* dup3, pipe2 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/proc.h"

#define TIMEOUT_MS 20000 /* ends only a broken test */
#define FDS_MAX    256

static struct {
    const char *call; /* NULL: none fails */
    unsigned countdown;
    int sys_errno;
    bool fell;
    int64_t tick_ms; /* the clock goes on by so much with every look; 0: it is the real one */
    int64_t now_ms;
    unsigned kills;
} doom;

static bool is_doomed(const char *call)
{
    if (doom.call == NULL || strcmp(doom.call, call) != 0 || doom.countdown == 0 ||
        --doom.countdown > 0) {
        return false;
    }
    doom.fell = true;
    errno = doom.sys_errno;
    return true;
}

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return is_doomed(#name) ? -1 : __real_##name args;                                         \
    }

WRAP(int, pipe2, (int pair[2], int flags), (pair, flags))
WRAP(int, dup2, (int from, int to), (from, to))
WRAP(int, dup3, (int from, int to, int flags), (from, to, flags))
WRAP(int, chdir, (const char *path), (path))
WRAP(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags))
WRAP(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags))
WRAP(ssize_t, read, (int fd, void *data, size_t len), (fd, data, len))

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    static const char *const of_child[] = {"dup2", "dup3", "chdir"};
    bool is_of_child = false;
    pid_t pid = is_doomed("fork") ? -1 : __real_fork();

    for (size_t i = 0; pid == 0 && doom.call != NULL && i < CLM_ARRAY_LEN(of_child); i++) {
        is_of_child = is_of_child || strcmp(doom.call, of_child[i]) == 0;
    }
    if (pid == 0 && !is_of_child) {
        doom.call = NULL;
    }
    return pid;
}

/* Others than proc.c use them, too: what counts the coverage locks its files. */
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
    bool is_int = command == F_DUPFD_CLOEXEC || command == F_SETFL || command == F_GETFD;
    va_list args;

    va_start(args, command);
    int number = is_int ? va_arg(args, int) : 0;
    void *lock = is_int ? NULL : va_arg(args, void *);
    va_end(args);
    if (is_int && is_doomed("fcntl64")) {
        return -1;
    }
    return is_int ? __real_fcntl64(fd, command, number) : __real_fcntl64(fd, command, lock);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return is_doomed("open64") ? -1 : __real_open64(path, flags, mode);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list args;

    if (number == SYS_pidfd_open && is_doomed("pidfd_open")) {
        return -1;
    }
    va_start(args, number);
    long a = va_arg(args, int);
    long b = va_arg(args, int);
    long c = va_arg(args, int);
    va_end(args);
    return number == SYS_pidfd_open ? __real_syscall(number, (int)a, (unsigned)b)
                                    : __real_syscall(number, (unsigned)a, ~0U, (unsigned)(c * 0));
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
    return is_doomed("realloc") ? NULL : __real_realloc(block, size);
}

int64_t __real_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void)
{
    doom.now_ms += doom.tick_ms;
    return doom.tick_ms != 0 ? doom.now_ms : __real_clm_clock_mono_ms();
}

int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig)
{
    doom.kills++;
    return doom.tick_ms != 0 ? 0 : __real_kill(pid, sig); /* nothing stops it while time flies */
}

static unsigned count_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < FDS_MAX; fd++) {
        n += fcntl(fd, F_GETFD, 0) >= 0;
    }
    return n;
}

static enum clm_code run_script(const char *script, const char *cwd, struct clm_buf *output,
                                struct clm_err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct clm_proc proc = {.argv = argv, .cwd = cwd, .timeout_ms = TIMEOUT_MS};
    int status = -1;
    enum clm_code code = clm_proc_run(&proc, &status, output, err);

    assert_int_equal(status, code == CLM_OK ? 5 : -1);
    return code;
}

static void a_call_that_fails_is_told_or_made_again(void **state)
{
    static const struct {
        const char *call;
        unsigned n;
        int sys_errno;
        const char *msg; /* NULL: it does not matter */
    } rows[] = {
        {"realloc", 1, ENOMEM, "out of memory for 101 bytes"},
        {"open64", 1, EMFILE, "prepare to run '/bin/sh': Too many open files"},
        {"fcntl64", 1, EMFILE, "prepare to run '/bin/sh': Too many open files"},
        {"fcntl64", 2, EMFILE, "prepare to run '/bin/sh': Too many open files"},
        {"fcntl64", 3, EBADF, "prepare to run '/bin/sh': Bad file descriptor"},
        {"fcntl64", 5, EBADF, "prepare to run '/bin/sh': Bad file descriptor"},
        {"pipe2", 1, EMFILE, "prepare to run '/bin/sh': Too many open files"},
        {"pipe2", 2, EMFILE, "prepare to run '/bin/sh': Too many open files"},
        {"fork", 1, EAGAIN, "start a process for '/bin/sh': Resource temporarily unavailable"},
        {"dup2", 1, EIO, "run '/bin/sh': Input/output error"},
        {"dup2", 2, EIO, "run '/bin/sh': Input/output error"},
        {"dup2", 3, EIO, "run '/bin/sh': Input/output error"},
        {"dup3", 1, EIO, "run '/bin/sh': Input/output error"},
        {"chdir", 1, EIO, "run '/bin/sh': Input/output error"},
        {"waitid", 1, EINTR, NULL},
        {"waitid", 1, ECHILD, NULL},
        {"waitpid", 1, EINTR, NULL},
        {"waitpid", 1, ECHILD, "wait for '/bin/sh': No child processes"},
        {"pidfd_open", 1, ENOSYS, NULL},
        {"read", 1, EINTR, NULL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf output = CLM_BUF_INIT(100);
        struct clm_err err = {.code = CLM_OK};
        unsigned before = count_descriptors();

        doom.fell = false;
        doom.sys_errno = rows[i].sys_errno;
        doom.countdown = rows[i].n;
        doom.call = rows[i].call;
        enum clm_code code = run_script("sleep 0.1; echo x; exit 5", NULL, &output, &err);
        doom.call = NULL;
        if ((code == CLM_OK) != (rows[i].msg == NULL) ||
            strcmp(err.msg, rows[i].msg != NULL ? rows[i].msg : "") != 0) {
            fail_msg("row %zu, %s %u: %s: '%s'", i, rows[i].call, rows[i].n, clm_code_name(code),
                     err.msg);
        }
        if (code == CLM_OK) { /* a child that is not ours is not followed */
            assert_true(doom.fell);
            assert_string_equal(clm_buf_str(&output), rows[i].sys_errno == ECHILD ? "" : "x\n");
        }
        while (waitpid(-1, NULL, 0) > 0) { /* whoever was not waited for */
        }
        assert_int_equal(count_descriptors(), before);
    }
}

/* What cannot be read is not worth the program's result. */
static void output_may_be_lost(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf output = CLM_BUF_INIT(100);

    (void)state;
    doom.fell = false;
    doom.sys_errno = EIO;
    doom.countdown = 1;
    doom.call = "read";
    assert_int_equal(run_script("echo x; exit 5", NULL, &output, NULL), CLM_OK);
    doom.call = NULL;
    assert_true(doom.fell);
    assert_int_equal(output.len, 0);
    assert_int_equal(run_script("echo x; exit 5", NULL, NULL, NULL), CLM_OK);
}

/* SIGTERM once, SIGKILL once, and SIGKILL for what it leaves behind. */
static void what_does_not_end_is_killed_once_and_waited_for(void **state)
{
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    doom.kills = 0;
    doom.tick_ms = 30000;
    assert_int_equal(run_script("sleep 0.3; exit 5", NULL, NULL, &err), CLM_E_TIMEOUT);
    doom.tick_ms = 0;
    assert_string_equal(err.msg, "'/bin/sh' did not end within 20000 ms and was stopped");
    assert_int_equal(doom.kills, 3);
}

static void without_a_program_nothing_is_run(void **state)
{
    const struct clm_proc proc = {.timeout_ms = TIMEOUT_MS};
    int status = -1;

    (void)state;
    assert_int_equal(clm_proc_run(&proc, &status, NULL, NULL), CLM_E_INVAL);
    assert_int_equal(status, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_is_told_or_made_again),
        cmocka_unit_test(output_may_be_lost),
        cmocka_unit_test(what_does_not_end_is_killed_once_and_waited_for),
        cmocka_unit_test(without_a_program_nothing_is_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
