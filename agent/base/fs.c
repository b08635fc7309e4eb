/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* syscall */
#include "agent/base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/str.h"

#define NEW_SUFFIX  ".clmnew"
#define ENTRIES_MAX 100000u

#ifdef CLM_TEST_HOOKS
/* The only writable state of this file, and only in test builds: tests/lint/symbols.allow. */
static struct {
    int is_asked; /* CLM_CRASH_AT was looked at, or a test has spoken */
    unsigned count;
    unsigned crash_at;
    unsigned fail_at;
    int fail_errno;
    int is_sticky;
    const char *fail_op;
    int fail_op_errno;
    clm_fs_trace_fn trace;
    void *trace_arg;
} fs_hooks;

void clm_fs_crash_at(unsigned n)
{
    fs_hooks.is_asked = 1;
    fs_hooks.count = 0;
    fs_hooks.crash_at = n;
}

void clm_fs_fail_at(unsigned n, int sys_errno, int sticky)
{
    fs_hooks.is_asked = 1;
    fs_hooks.count = 0;
    fs_hooks.fail_at = n;
    fs_hooks.fail_errno = sys_errno;
    fs_hooks.is_sticky = sticky;
}

void clm_fs_fail_op(const char *op, int sys_errno)
{
    fs_hooks.fail_op = op;
    fs_hooks.fail_op_errno = sys_errno;
}

unsigned clm_fs_points(void)
{
    return fs_hooks.count;
}

void clm_fs_trace(clm_fs_trace_fn fn, void *arg)
{
    fs_hooks.trace = fn;
    fs_hooks.trace_arg = arg;
}

static void ask_environment(void)
{
    const char *text = getenv("CLM_CRASH_AT");
    int64_t n = 0;

    fs_hooks.is_asked = 1;
    if (text != NULL && clm_str_to_int(text, 0, 1000000, &n, NULL) == CLM_OK) {
        fs_hooks.crash_at = (unsigned)n;
    }
}

int clm_fs_point(const char *op, int dir_fd, const char *name)
{
    if (!fs_hooks.is_asked) {
        ask_environment();
    }
    fs_hooks.count++;
    if (fs_hooks.count == fs_hooks.crash_at) {
        _exit(99);
    }
    if (fs_hooks.fail_at != 0 && (fs_hooks.count == fs_hooks.fail_at ||
                                  (fs_hooks.is_sticky && fs_hooks.count > fs_hooks.fail_at))) {
        errno = fs_hooks.fail_errno;
        return -1;
    }
    if (fs_hooks.fail_op != NULL && strcmp(fs_hooks.fail_op, op) == 0) {
        errno = fs_hooks.fail_op_errno;
        return -1;
    }
    if (fs_hooks.trace != NULL) {
        fs_hooks.trace(fs_hooks.trace_arg, op, dir_fd, name);
    }
    return 0;
}
#endif

void clm_fs_close_p(int *fd)
{
    int saved = errno;

    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
    errno = saved;
}

void clm_fs_close_from(int first)
{
    long max;

#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0U) == 0) {
        return;
    }
#endif
    max = sysconf(_SC_OPEN_MAX);
    if (max < 0 || max > CLM_FS_CLOSE_MAX) {
        max = CLM_FS_CLOSE_MAX;
    }
    for (int fd = first; fd < max; fd++) {
        (void)close(fd);
    }
}

/* ---- descriptors ---- */

enum clm_code clm_fs_read_fd(int fd, const char *name, size_t max, struct clm_buf *out,
                             struct clm_err *err)
{
    size_t got = 0;

    for (;;) {
        size_t want =
            max - got < 65536 ? max - got + 1 : 65536; /* 1 more shows that it is longer */
        size_t room = out->max - out->len;
        uint8_t extra;
        ssize_t n;

        if (room > 0) {
            size_t step = want < room ? want : room;
            enum clm_code code = clm_buf_reserve(out, step, err);

            if (code != CLM_OK) {
                return code;
            }
            n = read(fd, out->data + out->len, step);
        } else {
            n = read(fd, &extra, 1);
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return clm_err_sys(err, errno, "read '%s'", name);
        }
        if (n == 0) {
            return CLM_OK;
        }
        got += (size_t)n;
        if (got > max || room == 0) {
            return clm_err_set(err, CLM_E_LIMIT, "'%s' is longer than %zu bytes", name, max);
        }
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

enum clm_code clm_fs_write_fd(int fd, const char *name, const void *data, size_t len,
                              struct clm_err *err)
{
    const uint8_t *p = data;

    if (clm_fs_point("write", fd, name) != 0) {
        return clm_err_sys(err, errno, "write '%s'", name);
    }
    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return clm_err_sys(err, n < 0 ? errno : EIO, "write '%s'", name);
        }
        p += n;
        len -= (size_t)n;
    }
    return CLM_OK;
}

enum clm_code clm_fs_sync_fd(int fd, const char *name, struct clm_err *err)
{
    if (clm_fs_point("fsync", fd, name) != 0 || fsync(fd) != 0) {
        return clm_err_sys(err, errno, "fsync '%s'", name);
    }
    return CLM_OK;
}

/* close(2) reports late write errors on some file systems: they are errors. */
static enum clm_code close_checked(int *fd, const char *path, struct clm_err *err)
{
    int rc = close(*fd);

    *fd = -1;
    if (rc != 0 && errno != EINTR) {
        return clm_err_sys(err, errno, "close '%s'", path);
    }
    return CLM_OK;
}

/* ---- reading ---- */

enum clm_code clm_fs_read(const char *path, size_t max, struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct stat st;

    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    if (fstat(fd, &st) != 0) {
        return clm_err_sys(err, errno, "stat '%s'", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not a regular file", path);
    }
    return clm_fs_read_fd(fd, path, max, out, err);
}

int clm_fs_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static enum clm_code collect(DIR *d, const char *path, struct clm_strs *names, struct clm_err *err)
{
    for (;;) {
        struct dirent *entry;
        enum clm_code code;

        errno = 0;
        entry = readdir(d);
        if (entry == NULL) {
            return errno == 0 ? CLM_OK : clm_err_sys(err, errno, "read '%s'", path);
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (names->n >= ENTRIES_MAX) {
            return clm_err_set(err, CLM_E_LIMIT, "'%s' has more than %u entries", path,
                               ENTRIES_MAX);
        }
        code = clm_strs_add(names, entry->d_name, err);
        if (code != CLM_OK) {
            return code;
        }
    }
}

enum clm_code clm_fs_list(const char *path, clm_fs_list_fn visit, void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    enum clm_code code;
    DIR *d;

    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    d = fdopendir(fd);
    if (d == NULL) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    (void)clm_fs_steal(&fd); /* closedir() owns it */
    code = collect(d, path, &names, err);
    (void)closedir(d);
    for (size_t i = 0; code == CLM_OK && i < names.n; i++) {
        code = visit(arg, names.v[i], err);
    }
    return code;
}

/* ---- changing ---- */

enum clm_code clm_fs_sync_dir(const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;

    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    if (clm_fs_point("syncdir", -1, path) != 0 || fsync(fd) != 0) {
        return clm_err_sys(err, errno, "fsync '%s'", path);
    }
    return CLM_OK;
}

enum clm_code clm_fs_sync_parent(const char *path, struct clm_err *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len;

    if (slash == NULL) {
        return clm_err_set(err, CLM_E_INVAL, "path '%s' is not absolute", path);
    }
    len = slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof(dir)) {
        return clm_err_set(err, CLM_E_LIMIT, "path too long");
    }
    memcpy(dir, path, len);
    dir[len] = '\0';
    return clm_fs_sync_dir(dir, err);
}

/* Writes, sets the mode last, flushes and closes. */
static enum clm_code fill(int *fd, const char *path, const void *data, size_t len, mode_t mode,
                          struct clm_err *err)
{
    enum clm_code code = clm_fs_write_fd(*fd, path, data, len, err);

    if (code != CLM_OK) {
        return code;
    }
    if (fchmod(*fd, mode) != 0) {
        return clm_err_sys(err, errno, "chmod '%s'", path);
    }
    code = clm_fs_sync_fd(*fd, path, err);
    return code != CLM_OK ? code : close_checked(fd, path, err);
}

enum clm_code clm_fs_create(const char *path, const void *data, size_t len, mode_t mode,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    enum clm_code code;

    if (clm_fs_point("create", -1, path) == 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "create '%s'", path);
    }
    code = fill(&fd, path, data, len, mode, err);
    if (code != CLM_OK) {
        (void)unlink(path);
    }
    return code;
}

enum clm_code clm_fs_replace(const char *path, const void *data, size_t len, mode_t mode,
                             struct clm_err *err)
{
    char tmp[PATH_MAX];
    enum clm_code code = clm_str_fmt(tmp, sizeof(tmp), err, "%s" NEW_SUFFIX, path);

    if (code != CLM_OK) {
        return code;
    }
    (void)unlink(tmp); /* of an earlier crash; O_EXCL decides */
    code = clm_fs_create(tmp, data, len, mode, err);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_point("rename", -1, tmp) != 0 || rename(tmp, path) != 0) {
        code = clm_err_sys(err, errno, "rename '%s' to '%s'", tmp, path);
        (void)unlink(tmp);
        return code;
    }
    return clm_fs_sync_parent(path, err);
}

enum clm_code clm_fs_append(const char *path, const void *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    int existed = clm_fs_exists(path);
    enum clm_code code;

    if (clm_fs_point("create", -1, path) == 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    code = clm_fs_write_fd(fd, path, data, len, err);
    if (code == CLM_OK) {
        code = clm_fs_sync_fd(fd, path, err);
    }
    if (code == CLM_OK) {
        code = close_checked(&fd, path, err);
    }
    return code != CLM_OK || existed ? code : clm_fs_sync_parent(path, err);
}

enum clm_code clm_fs_mkdir(const char *path, mode_t mode, struct clm_err *err)
{
    struct stat st;

    if (lstat(path, &st) == 0) {
        return S_ISDIR(st.st_mode) ? CLM_OK
                                   : clm_err_set(err, CLM_E_EXISTS, "'%s' is no directory", path);
    }
    if (clm_fs_point("mkdir", -1, path) != 0 || mkdir(path, mode) != 0) {
        return clm_err_sys(err, errno, "create directory '%s'", path);
    }
    return clm_fs_sync_parent(path, err);
}

enum clm_code clm_fs_rename(const char *from, const char *to, struct clm_err *err)
{
    enum clm_code code;

    if (clm_fs_point("rename", -1, from) != 0 || rename(from, to) != 0) {
        return clm_err_sys(err, errno, "rename '%s' to '%s'", from, to);
    }
    code = clm_fs_sync_parent(to, err);
    return code != CLM_OK ? code : clm_fs_sync_parent(from, err);
}

enum clm_code clm_fs_unlink(const char *path, struct clm_err *err)
{
    if (!clm_fs_exists(path)) {
        return CLM_OK; /* on a read-only mount unlink(2) would say EROFS, not ENOENT */
    }
    if (clm_fs_point("unlink", -1, path) != 0 || (unlink(path) != 0 && errno != ENOENT)) {
        return clm_err_sys(err, errno, "remove '%s'", path);
    }
    return clm_fs_sync_parent(path, err);
}

struct removal {
    const char *dir;
};

static enum clm_code remove_entry(void *arg, const char *name, struct clm_err *err)
{
    const struct removal *r = arg;
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/%s", r->dir, name);

    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_point("unlink", -1, path) != 0 || (unlink(path) != 0 && errno != ENOENT)) {
        return clm_err_sys(err, errno, "remove '%s'", path);
    }
    return CLM_OK;
}

enum clm_code clm_fs_remove_dir(const char *path, struct clm_err *err)
{
    struct removal r = {.dir = path};
    enum clm_code code;

    if (!clm_fs_exists(path)) {
        return CLM_OK;
    }
    code = clm_fs_list(path, remove_entry, &r, err);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_point("rmdir", -1, path) != 0 || (rmdir(path) != 0 && errno != ENOENT)) {
        return clm_err_sys(err, errno, "remove '%s'", path);
    }
    return clm_fs_sync_parent(path, err);
}
