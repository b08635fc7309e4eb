/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/dirlock.h"
#include "agent/base/fs.h"

static char dir[] = "/tmp/clm-lock-XXXXXX";

static void the_second_is_told_who_the_first_is(void **state)
{
    int fd = -1;
    int second = -1;
    char pid[32];
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_dirlock_take(dir, 0, &fd, &err), CLM_OK);
    assert_int_equal(clm_dirlock_take(dir, 0, &second, &err), CLM_E_CONFLICT);
    assert_int_equal(second, -1);
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_non_null(strstr(err.msg, pid));
    clm_fs_close_p(&fd);
    assert_int_equal(clm_dirlock_take(dir, 0, &second, &err), CLM_OK);
    clm_fs_close_p(&second);
}

static void waiting_ends_when_the_holder_does(void **state)
{
    int fds[2];
    char byte = 0;
    int fd = -1;
    int status = 0;
    struct clm_err err = {0};
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        int held = -1;

        if (clm_dirlock_take(dir, 0, &held, NULL) != CLM_OK || write(fds[1], "x", 1) != 1) {
            _exit(1);
        }
        clm_clock_sleep_ms(120);
        _exit(0); /* without closing: the lock goes with the process */
    }
    assert_int_equal(read(fds[0], &byte, 1), 1);
    assert_int_equal(clm_dirlock_take(dir, 0, &fd, &err), CLM_E_CONFLICT);
    assert_int_equal(clm_dirlock_take(dir, 20000, &fd, &err), CLM_OK);
    clm_fs_close_p(&fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void a_missing_directory_is_an_error(void **state)
{
    int fd = -1;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_dirlock_take("/nonexistent/clm", 0, &fd, &err), CLM_E_NOTFOUND);
    assert_int_equal(fd, -1);
}

static void a_holder_without_a_number_is_another_process(void **state)
{
    char path[PATH_MAX];
    struct clm_err err = {0};
    int second = -1;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(clm_dirlock_take(dir, 0, &second, &err), CLM_E_CONFLICT);
    assert_non_null(strstr(err.msg, "' is in use by another process"));
    (void)close(fd);
}

static void a_directory_has_a_longest_name(void **state)
{
    char path[PATH_MAX];
    int fd = -1;

    (void)state;
    memset(path, 'd', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(clm_dirlock_take(path, 0, &fd, NULL), CLM_E_LIMIT);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_holder_without_a_number_is_another_process),
        cmocka_unit_test(a_directory_has_a_longest_name),
        cmocka_unit_test(the_second_is_told_who_the_first_is),
        cmocka_unit_test(waiting_ends_when_the_holder_does),
        cmocka_unit_test(a_missing_directory_is_an_error),
    };
    char path[PATH_MAX];
    int failed;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    failed = cmocka_run_group_tests_name("dirlock", tests, NULL, NULL);
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    return failed;
}
