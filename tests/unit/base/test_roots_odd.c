/* SPDX-License-Identifier: Apache-2.0 */
/* Ways into the roots of processes: of every form, very deep ones, and kernels without openat2(2). */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/inroot.h"

static int openat2_errno; /* 0: the real call */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list args;

    if (openat2_errno != 0) {
        errno = openat2_errno;
        return -1;
    }
    va_start(args, number);
    int fd = va_arg(args, int);
    const char *path = va_arg(args, const char *);
    const void *how = va_arg(args, const void *);
    long result = __real_syscall(number, fd, path, how, va_arg(args, size_t));
    va_end(args);
    return result;
}

/* ---- a directory with the file a ---- */

static char root[32];

static const char *at(const char *name)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(root, "/tmp/clm-roots-XXXXXX");
    return mkdtemp(root) != NULL && clm_fs_create(at("a"), "one", 3, 0600, NULL) == CLM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    openat2_errno = 0;
    return clm_fs_remove_dir(root, NULL) == CLM_OK ? 0 : -1;
}

static int open_root_dir(void)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* "/" followed by so many bytes of one name, or of "d/" again and again. */
static const char *long_path(size_t len, bool is_one_name)
{
    static char path[2 * PATH_MAX];

    for (size_t i = 0; i < len; i++) {
        path[i] = !is_one_name && i % 2 == 0 ? '/' : 'd';
    }
    path[0] = '/';
    path[len] = '\0';
    return path;
}

/* ---- tests ---- */

static void the_way_into_a_root_is_walked_where_openat2_is_none(void **state)
{
    static const int errors[] = {ENOSYS, EPERM, EAGAIN, EACCES};
    char path[PATH_MAX];

    (void)state;
    (void)snprintf(path, sizeof(path), "/proc/%d/root%s/a", (int)getpid(), root);
    for (size_t i = 0; i < CLM_ARRAY_LEN(errors); i++) {
        CLM_CLEANUP(clm_fs_close_p) int fd = -1;

        openat2_errno = errors[i];
        assert_int_equal(clm_inroot_find(path, true, &fd, NULL),
                         errors[i] == EACCES ? CLM_E_PERM : CLM_OK);
        assert_int_equal(fd >= 0, errors[i] != EACCES);
    }
}

static void a_root_has_paths_of_every_form(void **state)
{
    static const struct {
        const char *form;
        bool is_one;
    } rows[] = {
        {"/proc/1/root", true},       {"/proc/1/root/etc", true}, {"/proc//root", false},
        {"/proc/1/rootx", false},     {"/proc/1/cwd", false},     {"/proc/12345678901/root", false},
        {"/proc/self/root/x", false},
    };
    char path[PATH_MAX];
    struct clm_err err = {.code = CLM_OK};
    int fd = -1;

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        if (clm_inroot_is(rows[i].form) != rows[i].is_one) {
            fail_msg("row %zu", i);
        }
    }
    int len = snprintf(path, sizeof(path), "/proc/%d/root/", (int)getpid());
    memset(path + len, 'n', NAME_MAX + 1);
    path[len + NAME_MAX + 1] = '\0';
    assert_int_not_equal(clm_inroot_walk(path, true, &fd, &err), CLM_OK);
    assert_non_null(strstr(err.msg, "File name too long"));
    (void)snprintf(path, sizeof(path), "/proc/%d/root/dev/null", (int)getpid());
    assert_int_equal(clm_inroot_open(path, &fd, &err), CLM_E_INVAL);
    assert_int_equal(fd, -1);
    assert_int_equal(clm_inroot_open_owned(long_path(PATH_MAX + 11, false), &fd, &err),
                     CLM_E_LIMIT);
}

static void very_deep_directories_are_refused(void **state)
{
    char path[PATH_MAX];
    struct clm_err err = {.code = CLM_OK};
    int fd = -1;
    int len = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)getpid(), root);

    (void)state;
    assert_int_equal(mkdir(at("d"), 0700), 0);
    assert_int_equal(symlink(".", at("d/d")), 0); /* never followed here: too deep before */
    int top = open_root_dir();
    for (int i = 0; i < CLM_INROOT_DEPTH_MAX; i++) {
        assert_true(mkdirat(top, "x", 0700) == 0);
        int next = openat(top, "x", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        (void)close(top);
        top = next;
        len += snprintf(path + len, sizeof(path) - (size_t)len, "/x");
    }
    (void)close(top);
    (void)snprintf(path + len, sizeof(path) - (size_t)len, "/x");
    assert_int_not_equal(clm_inroot_walk(path, true, &fd, &err), CLM_OK);
    assert_non_null(strstr(err.msg, "File name too long"));
    for (int i = CLM_INROOT_DEPTH_MAX; i > 0; i--) {
        path[len] = '\0';
        assert_int_equal(rmdir(path), 0);
        len -= 2;
    }
    assert_int_equal(unlink(at("d/d")), 0);
    assert_int_equal(rmdir(at("d")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_way_into_a_root_is_walked_where_openat2_is_none, set_up,
                                        tear_down),
        cmocka_unit_test(a_root_has_paths_of_every_form),
        cmocka_unit_test_setup_teardown(very_deep_directories_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
