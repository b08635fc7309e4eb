/* SPDX-License-Identifier: Apache-2.0 */
/* What test_files_sabotage.c does not reach: attributes, close(2), names of every length, old kernels. */
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
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/fsat.h"
#include "agent/base/inroot.h"

static struct {
    const char *call;  /* NULL: none fails */
    int sys_errno;     /* 0: it returns 0 and does nothing */
    const char *attrs; /* what every file has, instead of the truth; NULL: the truth */
    size_t attrs_len;
    long open_max;
    char set[64]; /* the attribute that was set last */
} doom;

static bool is_doomed(const char *call)
{
    if (doom.call == NULL || strcmp(doom.call, call) != 0) {
        return false;
    }
    doom.call = NULL;
    errno = doom.sys_errno;
    return true;
}

#define FAILED (doom.sys_errno == 0 ? 0 : -1)

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return is_doomed(#name) ? FAILED : __real_##name args;                                     \
    }

WRAP(int, faccessat, (int fd, const char *path, int mode, int flags), (fd, path, mode, flags))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, rmdir, (const char *path), (path))
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
WRAP(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))
WRAP(ssize_t, readlinkat, (int fd, const char *path, char *to, size_t size), (fd, path, to, size))
WRAP(int, fremovexattr, (int fd, const char *name), (fd, name))

/* It is closed all the same, as Linux does. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int rc = __real_close(fd);

    return is_doomed("close") ? -1 : rc;
}

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    return is_doomed("renameat2") ? -1 : __real_renameat2(from_fd, from, to_fd, to, flags);
}

ssize_t __real_flistxattr(int fd, char *names, size_t size);
ssize_t __wrap_flistxattr(int fd, char *names, size_t size);
ssize_t __wrap_flistxattr(int fd, char *names, size_t size)
{
    if (doom.attrs == NULL) {
        return __real_flistxattr(fd, names, size);
    }
    memcpy(names, doom.attrs, doom.attrs_len);
    return (ssize_t)doom.attrs_len;
}

ssize_t __real_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    if (is_doomed("fgetxattr")) {
        return -1;
    }
    if (doom.attrs == NULL) {
        return __real_fgetxattr(fd, name, value, size);
    }
    if (strcmp(name, "security.selinux") == 0 || size == 0) {
        errno = ENODATA;
        return -1;
    }
    memcpy(value, "v", 1);
    return 1;
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    (void)fd;
    (void)value;
    (void)size;
    (void)flags;
    (void)snprintf(doom.set, sizeof(doom.set), "%s", name);
    return is_doomed("fsetxattr") ? -1 : 0;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list args;
    long result;

    if (is_doomed("syscall")) {
        return -1;
    }
    va_start(args, number);
    if (number == SYS_close_range) {
        unsigned first = va_arg(args, unsigned);
        unsigned last = va_arg(args, unsigned);

        result = __real_syscall(number, first, last, va_arg(args, unsigned));
    } else {
        int fd = va_arg(args, int);
        const char *path = va_arg(args, const char *);
        const void *how = va_arg(args, const void *);

        result = __real_syscall(number, fd, path, how, va_arg(args, size_t));
    }
    va_end(args);
    return result;
}

long __real_sysconf(int name);
long __wrap_sysconf(int name);
long __wrap_sysconf(int name)
{
    return doom.open_max != 0 ? doom.open_max : __real_sysconf(name);
}

static void doom_call(const char *call, int sys_errno)
{
    doom.sys_errno = sys_errno;
    doom.call = call;
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
    memset(&doom, 0, sizeof(doom));
    (void)strcpy(root, "/tmp/clm-files-XXXXXX");
    return mkdtemp(root) != NULL && clm_fs_create(at("a"), "one", 3, 0600, NULL) == CLM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    memset(&doom, 0, sizeof(doom));
    clm_ignore(clm_fs_remove_dir(at("d"), NULL));
    (void)rmdir(at("new"));
    return clm_fs_remove_dir(root, NULL) == CLM_OK ? 0 : -1;
}

static int open_root_dir(void)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* ---- tests ---- */

static enum clm_code do_append(struct clm_err *err)
{
    return clm_fs_append(at("log"), "x", 1, err);
}

static enum clm_code do_create(struct clm_err *err)
{
    return clm_fs_create(at("c"), "x", 1, 0600, err);
}

static enum clm_code do_unlink(struct clm_err *err)
{
    return clm_fs_unlink(at("a"), err);
}

static enum clm_code do_mkdir(struct clm_err *err)
{
    return clm_fs_mkdir(at("new"), 0700, err);
}

static enum clm_code do_remove_dir(struct clm_err *err)
{
    assert_int_equal(mkdir(at("d"), 0700) == 0 || errno == EEXIST, 1);
    (void)close(open(at("d/x"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return clm_fs_remove_dir(at("d"), err);
}

static enum clm_code do_create_at(struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();
    const struct clm_fsat_new file = {.name = "n",
                                      .data = "new",
                                      .len = 3,
                                      .mode = 0640,
                                      .like = "a",
                                      .uid = geteuid(),
                                      .gid = getegid()};

    return clm_fsat_create(dir, &file, err);
}

static enum clm_code do_rename_new(struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();

    return clm_fsat_rename_new(dir, "a", "b", err);
}

static enum clm_code do_rename_at(struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();

    return clm_fsat_rename(dir, "a", "b", err);
}

static enum clm_code do_exchange(struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();

    return clm_fsat_exchange(dir, "a", "a", err);
}

static enum clm_code do_unlink_at(struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();

    return clm_fsat_unlink(dir, "a", err);
}

static enum clm_code do_sync_at(struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();

    return clm_fsat_sync(dir, root, err);
}

static enum clm_code do_free_bytes(struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();
    uint64_t room;

    return clm_fsat_free_bytes(dir, root, &room, err);
}

static void calls_that_fail_are_told(void **state)
{
    static const struct {
        enum clm_code (*act)(struct clm_err *err);
        const char *call;
        int sys_errno;
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {do_append, "close", EIO, CLM_E_IO, "close '"},
        {do_append, "close", EINTR, CLM_OK, ""}, /* it is closed then */
        {do_append, "write", 0, CLM_E_IO, "write '"},
        {do_create_at, "close", EINTR, CLM_OK, ""},
        {do_free_bytes, "faccessat", EACCES, CLM_E_PERM, "write in '"},
        {do_unlink, "unlink", ENOENT, CLM_OK, ""}, /* somebody was faster */
        {do_unlink_at, "unlinkat", EIO, CLM_E_IO, "remove 'a': "},
        {do_unlink_at, "unlinkat", ENOENT, CLM_OK, ""},
        {do_remove_dir, "rmdir", ENOENT, CLM_OK, ""},
        {do_remove_dir, "unlink", EIO, CLM_E_IO, "remove '"},
        {do_rename_new, "renameat2", EOPNOTSUPP, CLM_OK, ""}, /* linked instead */
        {do_exchange, "renameat2", ENOSYS, CLM_E_UNSUPPORTED, "cannot exchange files"},
        {do_exchange, "renameat2", EOPNOTSUPP, CLM_E_UNSUPPORTED, "cannot exchange files"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};

        (void)unlink(at("b"));
        (void)unlink(at("n"));
        assert_int_equal(clm_fs_replace(at("a"), "one", 3, 0600, NULL), CLM_OK);
        doom_call(rows[i].call, rows[i].sys_errno);
        enum clm_code code = rows[i].act(&err);
        assert_null(doom.call);
        if (code != rows[i].code || strstr(err.msg, rows[i].msg) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

/* The points before each change, as the tests of crashes use them. */
static void every_point_may_fail(void **state)
{
    static const struct {
        enum clm_code (*act)(struct clm_err *err);
        const char *op;
    } rows[] = {
        {do_append, "create"},     {do_append, "write"},      {do_append, "fsync"},
        {do_mkdir, "mkdir"},       {do_mkdir, "syncdir"},     {do_unlink, "unlink"},
        {do_remove_dir, "unlink"}, {do_remove_dir, "rmdir"},  {do_create_at, "create"},
        {do_create_at, "chown"},   {do_create_at, "chmod"},   {do_rename_new, "rename"},
        {do_rename_at, "rename"},  {do_exchange, "exchange"}, {do_unlink_at, "unlink"},
        {do_sync_at, "syncdir"},   {do_create, "create"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};

        clm_fs_fail_op(rows[i].op, EROFS);
        assert_int_not_equal(rows[i].act(&err), CLM_OK);
        clm_fs_fail_op(NULL, 0);
        assert_non_null(strstr(err.msg, "Read-only file system"));
    }
}

static void a_late_error_of_close_takes_the_new_file_back(void **state)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = open_root_dir();
    const struct clm_fsat_new file = {
        .name = "n", .data = "new", .len = 3, .mode = 0640, .uid = geteuid(), .gid = getegid()};
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    doom_call("close", EDQUOT);
    assert_int_not_equal(clm_fsat_create(dir, &file, &err), CLM_OK);
    assert_non_null(strstr(err.msg, "close 'n': "));
    assert_false(clm_fs_exists(at("n")));
}

static void attributes_are_copied_left_out_or_an_obstacle(void **state)
{
    static const struct {
        const char *attrs;
        size_t len;
        int set_errno;
        enum clm_code code;
        const char *set; /* the attribute that the new file got */
        const char *msg;
    } rows[] = {
        {"", 0, 0, CLM_OK, "", ""},
        {"trusted.x", 10, 0, CLM_OK, "", ""},
        {"user.note", 10, 0, CLM_OK, "user.note", ""},
        {"security.SMACK64", 17, 0, CLM_OK, "security.SMACK64", ""},
        {"system.posix_acl_access", 24, 0, CLM_OK, "system.posix_acl_access", ""},
        {"user.note", 10, ENOSPC, CLM_E_IO, "user.note", "set user.note: "},
        {"security.ima", 13, 0, CLM_E_UNSUPPORTED, "", "the file is signed (security.ima)"},
        {"security.evm", 13, 0, CLM_E_UNSUPPORTED, "", "the file is signed (security.evm)"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};

        (void)unlink(at("n"));
        memset(&doom, 0, sizeof(doom));
        doom.attrs = rows[i].attrs;
        doom.attrs_len = rows[i].len;
        if (rows[i].set_errno != 0) {
            doom_call("fsetxattr", rows[i].set_errno);
        }
        enum clm_code code = do_create_at(&err);
        if (code != rows[i].code || strstr(err.msg, rows[i].msg) == NULL ||
            strcmp(doom.set, rows[i].set) != 0) {
            fail_msg("row %zu: %s: '%s', set '%s'", i, clm_code_name(code), err.msg, doom.set);
        }
        assert_int_equal(clm_fs_exists(at("n")), code == CLM_OK);
    }
}

static void an_inherited_acl_that_stays_is_an_error(void **state)
{
    static const struct {
        int sys_errno;
        enum clm_code code;
    } rows[] = {{ENODATA, CLM_OK}, {ENOTSUP, CLM_OK}, {EACCES, CLM_E_PERM}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        (void)unlink(at("n"));
        doom.attrs = "";
        doom.attrs_len = 0;
        doom_call("fremovexattr", rows[i].sys_errno);
        assert_int_equal(do_create_at(NULL), rows[i].code);
        assert_null(doom.call);
    }
}

static void only_plain_names_are_names(void **state)
{
    static const struct {
        const char *name;
        bool is_valid;
    } rows[] = {
        {"a", true},        {"...", true},   {".a", true}, {"a b", true},
        {"\xc3\xa4", true}, {"", false},     {".", false}, {"..", false},
        {"a/b", false},     {"a\nb", false}, {"/", false}, {"a\x7f", false},
    };
    char name[CLM_FSAT_NAME_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        if (clm_fsat_name_is_valid(rows[i].name) != rows[i].is_valid) {
            fail_msg("row %zu", i);
        }
    }
    memset(name, 'n', sizeof(name));
    name[CLM_FSAT_NAME_SIZE - 1] = '\0';
    assert_true(clm_fsat_name_is_valid(name));
    name[CLM_FSAT_NAME_SIZE - 1] = 'n';
    name[CLM_FSAT_NAME_SIZE] = '\0';
    assert_false(clm_fsat_name_is_valid(name));
}

static enum clm_code open_place(const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;

    return clm_fsat_open(path, &place, err);
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

static void long_paths_are_refused(void **state)
{
    struct clm_err err = {.code = CLM_OK};
    struct clm_place place = CLM_PLACE_INIT;

    (void)state;
    assert_int_equal(open_place(long_path(PATH_MAX + 10, false), &err), CLM_E_LIMIT);
    assert_int_equal(open_place(long_path(CLM_FSAT_NAME_SIZE + 10, true), &err), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "a name on the path is longer than"));
    assert_int_equal(clm_fsat_open_real(long_path(PATH_MAX - 2, false), "name", &place, &err),
                     CLM_E_LIMIT);
    assert_int_equal(clm_fs_sync_parent("relative", &err), CLM_E_INVAL);
    assert_string_equal(err.msg, "path 'relative' is not absolute");
    assert_int_equal(clm_fs_sync_parent(long_path(PATH_MAX + 11, false), &err), CLM_E_LIMIT);
    assert_int_equal(clm_fs_sync_parent("/of-root", &err), CLM_OK);
}

static void a_symlink_without_text_is_an_error(void **state)
{
    struct clm_err err = {.code = CLM_OK};
    static const int errors[] = {0, EIO};

    (void)state;
    assert_int_equal(symlink("a", at("l")), 0);
    for (size_t i = 0; i < CLM_ARRAY_LEN(errors); i++) {
        doom_call("readlinkat", errors[i]);
        assert_int_not_equal(open_place(at("l"), &err), CLM_OK);
        assert_non_null(strstr(err.msg, "read symlink 'l': "));
        assert_null(doom.call);
    }
}

static void what_has_too_long_a_path_is_not_removed(void **state)
{
    char path[PATH_MAX];
    struct clm_err err = {.code = CLM_OK};
    size_t len = strlen(root);

    (void)state;
    memcpy(path, root, len);
    for (; len + 3 < sizeof(path) - 1; len += 2) {
        memcpy(path + len, "/.", 3);
    }
    (void)strcpy(path + len, "/"); /* it can be opened, and no name behind it can be */
    assert_int_equal(clm_fs_remove_dir(path, &err), CLM_E_LIMIT);
    assert_true(clm_fs_exists(at("a")));
}

/* A symlink whose text and what is left of the path are longer than a path together. */
static void what_a_symlink_makes_too_long_is_refused(void **state)
{
    char text[PATH_MAX - 5];
    char path[PATH_MAX];
    struct clm_err err = {.code = CLM_OK};
    int fd = -1;

    (void)state;
    memset(text, '/', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(symlink(text, at("l")), 0);
    (void)snprintf(path, sizeof(path), "%s/l/%0200d", root, 7);
    assert_int_equal(open_place(path, &err), CLM_E_LIMIT);
    text[0] = 'd'; /* and one that begins where it lies */
    assert_int_equal(symlink(text, at("m")), 0);
    (void)snprintf(path, sizeof(path), "%s/m/%0200d", root, 7);
    assert_int_equal(open_place(path, &err), CLM_E_LIMIT);
    (void)snprintf(path, sizeof(path), "/proc/%d/root%s/l/%0200d", (int)getpid(), root, 7);
    assert_int_not_equal(clm_inroot_walk(path, true, &fd, &err), CLM_OK);
    assert_non_null(strstr(err.msg, "File name too long"));
    assert_int_equal(fd, -1);
}

/* In old kernels one descriptor after the other is closed. */
static void descriptors_are_closed_without_the_call_for_all(void **state)
{
    static const struct {
        long max; /* of sysconf(); 0: the real one */
    } rows[] = {{0}, {-1}, {LONG_MAX}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        int fd = fcntl(0, F_DUPFD, 200);

        assert_true(fd >= 200);
        doom.open_max = rows[i].max;
        doom_call("syscall", ENOSYS);
        clm_fs_close_from(200);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_null(doom.call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_that_fail_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_point_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_error_of_close_takes_the_new_file_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(attributes_are_copied_left_out_or_an_obstacle, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_inherited_acl_that_stays_is_an_error, set_up, tear_down),
        cmocka_unit_test(only_plain_names_are_names),
        cmocka_unit_test(long_paths_are_refused),
        cmocka_unit_test_setup_teardown(a_symlink_without_text_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_too_long_a_path_is_not_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_symlink_makes_too_long_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test(descriptors_are_closed_without_the_call_for_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
