/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of every version, and calls that fail: nothing is restricted here. */
#define _GNU_SOURCE /* O_PATH */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/landlock.h"

#define RULES_MAX 5

static struct {
    long abi; /* -1: no such call */
    const char *doomed;
    int sys_errno;
    uint64_t attr[3]; /* what a ruleset was made with */
    size_t attr_bytes;
    uint64_t rules[RULES_MAX]; /* rights of each */
    size_t rules_n;
    bool is_restricted;
    bool has_no_new_privs;
} kernel;

static bool is_doomed(const char *call)
{
    if (kernel.doomed == NULL || strcmp(kernel.doomed, call) != 0) {
        return false;
    }
    errno = kernel.sys_errno;
    return true;
}

static long create_ruleset(const void *attr, size_t bytes)
{
    if (attr == NULL) {
        errno = ENOSYS;
        return kernel.abi;
    }
    assert_true(bytes <= sizeof(kernel.attr));
    memcpy(kernel.attr, attr, bytes);
    kernel.attr_bytes = bytes;
    return is_doomed("create") ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static long add_rule(const void *rule)
{
    if (is_doomed("add")) {
        return -1;
    }
    assert_true(kernel.rules_n < RULES_MAX);
    memcpy(&kernel.rules[kernel.rules_n++], rule, sizeof(uint64_t));
    return 0;
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list args;
    long result = 0;

    va_start(args, number);
    if (number == 444) {
        const void *attr = va_arg(args, const void *);

        result = create_ruleset(attr, va_arg(args, size_t));
    } else if (number == 445) {
        (void)va_arg(args, int);
        assert_int_equal(va_arg(args, int), 1);
        result = add_rule(va_arg(args, const void *));
    } else {
        assert_int_equal(number, 446);
        assert_true(kernel.has_no_new_privs);
        kernel.is_restricted = !is_doomed("restrict");
        result = kernel.is_restricted ? 0 : -1;
    }
    va_end(args);
    return result;
}

int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
    (void)option;
    kernel.has_no_new_privs = !is_doomed("prctl");
    return kernel.has_no_new_privs ? 0 : -1;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    return (flags & O_PATH) != 0 && is_doomed("open") ? -1 : __real_open64(path, flags);
}

int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st)
{
    return is_doomed("fstat") ? -1 : __real_fstat64(fd, st);
}

static const struct clm_landlock_path paths[] = {{"/", CLM_LANDLOCK_READ},
                                                 {"/", CLM_LANDLOCK_WRITE},
                                                 {"/dev/null", CLM_LANDLOCK_WRITE},
                                                 {"/not/there", CLM_LANDLOCK_RUN}};

static enum clm_code restrict_on(long abi, int *out_abi, struct clm_err *err)
{
    const char *doomed = kernel.doomed;
    int sys_errno = kernel.sys_errno;

    memset(&kernel, 0, sizeof(kernel));
    kernel.abi = abi;
    kernel.doomed = doomed;
    kernel.sys_errno = sys_errno;
    return clm_landlock_restrict(paths, CLM_ARRAY_LEN(paths), out_abi, err);
}

static void every_version_is_asked_for_what_it_knows(void **state)
{
    static const struct {
        long abi;
        size_t bytes;
        uint64_t attr[3];
    } rows[] = {
        {1, 8, {0x1fff, 0, 0}},  {2, 8, {0x3fff, 0, 0}},  {3, 8, {0x7fff, 0, 0}},
        {4, 16, {0x7fff, 1, 0}}, {5, 16, {0x7fff, 1, 0}}, {6, 24, {0x7fff, 1, 2}},
        {9, 24, {0x7fff, 1, 2}},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        int abi = -1;

        kernel.doomed = NULL;
        assert_int_equal(restrict_on(rows[i].abi, &abi, NULL), CLM_OK);
        assert_int_equal(abi, rows[i].abi);
        assert_true(kernel.is_restricted);
        assert_int_equal(kernel.attr_bytes, rows[i].bytes);
        assert_memory_equal(kernel.attr, rows[i].attr, rows[i].bytes);
        /* what is not there has none; a coverage build adds the place that it counts in */
        assert_in_range(kernel.rules_n, 3, 4);
        for (size_t k = 0; k < kernel.rules_n; k++) {
            assert_int_equal(kernel.rules[k] & ~kernel.attr[0], 0);
        }
        assert_int_equal(kernel.rules[0], 0xc);
        assert_int_equal(kernel.rules[2], rows[i].abi >= 3 ? 0x4006 : 0x6);
    }
}

static void an_old_kernel_restricts_nothing(void **state)
{
    static const long abis[] = {-1, 0};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(abis); i++) {
        int abi = -1;

        kernel.doomed = NULL;
        assert_int_equal(restrict_on(abis[i], &abi, NULL), CLM_OK);
        assert_int_equal(abi, 0);
        assert_false(kernel.is_restricted);
        assert_false(kernel.has_no_new_privs);
    }
}

static void a_call_that_fails_is_an_error(void **state)
{
    static const struct {
        const char *call;
        int sys_errno;
        const char *msg; /* NULL: it does not matter */
    } rows[] = {
        {"create", EINVAL, "landlock: Invalid argument"},
        {"open", EACCES, NULL},
        {"open", ENOENT, NULL},
        {"open", EMFILE, "'/': Too many open files"},
        {"fstat", EIO, "'/': Input/output error"},
        {"add", EINVAL, "landlock rule for '/': Invalid argument"},
        {"prctl", EINVAL, "landlock: Invalid argument"},
        {"restrict", E2BIG, "landlock: Argument list too long"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};
        int abi = -1;

        kernel.doomed = rows[i].call;
        kernel.sys_errno = rows[i].sys_errno;
        enum clm_code code = restrict_on(6, &abi, &err);
        assert_int_equal(code == CLM_OK, rows[i].msg == NULL);
        assert_int_equal(abi, code == CLM_OK ? 6 : 0);
        assert_int_equal(kernel.is_restricted, code == CLM_OK);
        assert_string_equal(err.msg, rows[i].msg != NULL ? rows[i].msg : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_is_asked_for_what_it_knows),
        cmocka_unit_test(an_old_kernel_restricts_nothing),
        cmocka_unit_test(a_call_that_fails_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
