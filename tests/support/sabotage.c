/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* accept4, pipe2, ppoll, renameat2, statx */
#include "tests/support/sabotage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SHORT      (-1) /* no error: one byte only */
#define ERRORS_MAX 5
#define RUNS_MAX   100000
#define FDS_MAX    1024

/* name, errors it may fail with */
#define CALLS(X)                                                                                   \
    X(malloc, ENOMEM)                                                                              \
    X(calloc, ENOMEM)                                                                              \
    X(realloc, ENOMEM)                                                                             \
    X(strdup, ENOMEM)                                                                              \
    X(open64, EIO, EMFILE)                                                                         \
    X(openat64, EIO, EMFILE)                                                                       \
    X(fdopen, ENOMEM)                                                                              \
    X(fdopendir, ENOMEM)                                                                           \
    X(opendir, EMFILE)                                                                             \
    X(readdir64, EIO)                                                                              \
    X(fstat64, EIO)                                                                                \
    X(fstatat64, EIO)                                                                              \
    X(stat64, EIO)                                                                                 \
    X(lstat64, EIO)                                                                                \
    X(statx, EIO, ENOSYS)                                                                          \
    X(read, EIO, EINTR, SHORT)                                                                     \
    X(pread64, EIO, EINTR, SHORT)                                                                  \
    X(write, ENOSPC, EINTR, SHORT)                                                                 \
    X(pwrite64, EIO, EINTR, SHORT)                                                                 \
    X(fsync, EIO)                                                                                  \
    X(fdatasync, EIO)                                                                              \
    X(ftruncate64, EIO)                                                                            \
    X(flock, EINTR, EIO)                                                                           \
    X(fchmod, EPERM)                                                                               \
    X(fchown, EPERM)                                                                               \
    X(lchown, EPERM)                                                                               \
    X(fgetxattr, EIO, ENOTSUP)                                                                     \
    X(flistxattr, EIO, ENOTSUP)                                                                    \
    X(fsetxattr, EIO, ENOTSUP)                                                                     \
    X(fremovexattr, EIO)                                                                           \
    X(fstatvfs64, EIO)                                                                             \
    X(fstatfs64, EIO)                                                                              \
    X(readlink, EIO)                                                                               \
    X(readlinkat, EIO)                                                                             \
    X(realpath, EIO)                                                                               \
    X(getcwd, ENOENT)                                                                              \
    X(mkdir, EIO)                                                                                  \
    X(mkdirat, ENOSPC)                                                                             \
    X(rmdir, EIO)                                                                                  \
    X(unlink, EIO)                                                                                 \
    X(unlinkat, EIO)                                                                               \
    X(rename, EIO)                                                                                 \
    X(renameat, EIO)                                                                               \
    X(renameat2, EIO, EINVAL)                                                                      \
    X(linkat, EIO)                                                                                 \
    X(pipe2, EMFILE)                                                                               \
    X(dup2, EIO)                                                                                   \
    X(fork, EAGAIN)                                                                                \
    X(waitpid, EINTR)                                                                              \
    X(socket, EMFILE)                                                                              \
    X(socketpair, EMFILE)                                                                          \
    X(connect, ECONNREFUSED, EACCES)                                                               \
    X(bind, EADDRINUSE)                                                                            \
    X(listen, EADDRINUSE)                                                                          \
    X(accept4, EINTR, ECONNABORTED, EMFILE)                                                        \
    X(getsockopt, EIO)                                                                             \
    X(setsockopt, EIO)                                                                             \
    X(getsockname, EIO)                                                                            \
    X(send, EINTR, EAGAIN, ECONNRESET, EIO, SHORT)                                                 \
    X(recv, EINTR, EAGAIN, ECONNRESET, EIO, SHORT)                                                 \
    X(poll, EINTR, ENOMEM)                                                                         \
    X(ppoll, EINTR, ENOMEM)                                                                        \
    X(signalfd, EMFILE)                                                                            \
    X(getrandom, EINTR, EIO)

enum call {
#define X(name, ...) CALL_##name,
    CALLS(X)
#undef X
    CALL__COUNT
};

static const struct {
    const char *name;
    int errors[ERRORS_MAX];
} calls[] = {
#define X(name, ...) {#name, {__VA_ARGS__}},
    CALLS(X)
#undef X
};

static struct {
    bool is_on;
    bool fell;
    enum call call;
    unsigned countdown;
    int sys_errno;
} doom;

/* True if this call is the one to fail; errno is set then. */
static bool is_doomed(enum call call)
{
    if (!doom.is_on || doom.call != call || doom.countdown == 0 || --doom.countdown > 0) {
        return false;
    }
    doom.fell = true;
    if (doom.sys_errno == SHORT) {
        return false;
    }
    errno = doom.sys_errno;
    return true;
}

/* The length a read or write that is not doomed may do. */
static size_t allowed(enum call call, size_t len)
{
    return doom.is_on && doom.call == call && doom.sys_errno == SHORT && doom.fell &&
                   doom.countdown == 0 && len > 1
               ? 1
               : len;
}

#define WRAP(type, name, failed, params, args)                                                     \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return is_doomed(CALL_##name) ? (failed) : __real_##name args;                             \
    }

/* As WRAP, for a call that moves len bytes. */
#define WRAP_MOVE(name, params, short_args)                                                        \
    ssize_t __real_##name params;                                                                  \
    ssize_t __wrap_##name params;                                                                  \
    ssize_t __wrap_##name params                                                                   \
    {                                                                                              \
        return is_doomed(CALL_##name) ? -1 : __real_##name short_args;                             \
    }

WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, NULL, (void *block, size_t size), (block, size))
WRAP(char *, strdup, NULL, (const char *text), (text))
WRAP(FILE *, fdopen, NULL, (int fd, const char *mode), (fd, mode))
WRAP(DIR *, fdopendir, NULL, (int fd), (fd))
WRAP(DIR *, opendir, NULL, (const char *path), (path))
WRAP(struct dirent *, readdir64, NULL, (DIR * dir), (dir))
WRAP(int, fstat64, -1, (int fd, struct stat *st), (fd, st))
WRAP(int, fstatat64, -1, (int fd, const char *name, struct stat *st, int flags),
     (fd, name, st, flags))
WRAP(int, stat64, -1, (const char *path, struct stat *st), (path, st))
WRAP(int, lstat64, -1, (const char *path, struct stat *st), (path, st))
WRAP(int, statx, -1, (int fd, const char *name, int flags, unsigned mask, struct statx *st),
     (fd, name, flags, mask, st))
WRAP_MOVE(read, (int fd, void *data, size_t len), (fd, data, allowed(CALL_read, len)))
WRAP_MOVE(pread64, (int fd, void *data, size_t len, off_t at),
          (fd, data, allowed(CALL_pread64, len), at))
WRAP_MOVE(write, (int fd, const void *data, size_t len), (fd, data, allowed(CALL_write, len)))
WRAP_MOVE(pwrite64, (int fd, const void *data, size_t len, off_t at),
          (fd, data, allowed(CALL_pwrite64, len), at))
WRAP_MOVE(send, (int fd, const void *data, size_t len, int flags),
          (fd, data, allowed(CALL_send, len), flags))
WRAP_MOVE(recv, (int fd, void *data, size_t len, int flags),
          (fd, data, allowed(CALL_recv, len), flags))
WRAP(int, fsync, -1, (int fd), (fd))
WRAP(int, fdatasync, -1, (int fd), (fd))
WRAP(int, ftruncate64, -1, (int fd, off_t len), (fd, len))
WRAP(int, flock, -1, (int fd, int how), (fd, how))
WRAP(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
WRAP(int, fchown, -1, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
WRAP(int, lchown, -1, (const char *path, uid_t uid, gid_t gid), (path, uid, gid))
WRAP(ssize_t, fgetxattr, -1, (int fd, const char *name, void *value, size_t size),
     (fd, name, value, size))
WRAP(ssize_t, flistxattr, -1, (int fd, char *names, size_t size), (fd, names, size))
WRAP(int, fsetxattr, -1, (int fd, const char *name, const void *value, size_t size, int flags),
     (fd, name, value, size, flags))
WRAP(int, fremovexattr, -1, (int fd, const char *name), (fd, name))
WRAP(int, fstatvfs64, -1, (int fd, struct statvfs *st), (fd, st))
WRAP(int, fstatfs64, -1, (int fd, struct statfs *st), (fd, st))
WRAP(ssize_t, readlink, -1, (const char *path, char *to, size_t size), (path, to, size))
WRAP(ssize_t, readlinkat, -1, (int fd, const char *path, char *to, size_t size),
     (fd, path, to, size))
WRAP(char *, realpath, NULL, (const char *path, char *real), (path, real))
WRAP(char *, getcwd, NULL, (char *path, size_t size), (path, size))
WRAP(int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, mkdirat, -1, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRAP(int, rmdir, -1, (const char *path), (path))
WRAP(int, unlink, -1, (const char *path), (path))
WRAP(int, unlinkat, -1, (int fd, const char *path, int flags), (fd, path, flags))
WRAP(int, rename, -1, (const char *from, const char *to), (from, to))
WRAP(int, renameat, -1, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to))
WRAP(int, renameat2, -1, (int from_fd, const char *from, int to_fd, const char *to, unsigned flags),
     (from_fd, from, to_fd, to, flags))
WRAP(int, linkat, -1, (int from_fd, const char *from, int to_fd, const char *to, int flags),
     (from_fd, from, to_fd, to, flags))
WRAP(int, pipe2, -1, (int pair[2], int flags), (pair, flags))
WRAP(int, dup2, -1, (int from, int to), (from, to))
WRAP(pid_t, fork, -1, (void), ())
WRAP(pid_t, waitpid, -1, (pid_t pid, int *status, int flags), (pid, status, flags))
WRAP(int, socket, -1, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, socketpair, -1, (int domain, int type, int protocol, int pair[2]),
     (domain, type, protocol, pair))
WRAP(int, connect, -1, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len))
WRAP(int, bind, -1, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len))
WRAP(int, listen, -1, (int fd, int backlog), (fd, backlog))
WRAP(int, accept4, -1, (int fd, struct sockaddr *from, socklen_t *len, int flags),
     (fd, from, len, flags))
WRAP(int, getsockopt, -1, (int fd, int level, int option, void *value, socklen_t *len),
     (fd, level, option, value, len))
WRAP(int, setsockopt, -1, (int fd, int level, int option, const void *value, socklen_t len),
     (fd, level, option, value, len))
WRAP(int, getsockname, -1, (int fd, struct sockaddr *name, socklen_t *len), (fd, name, len))
WRAP(int, poll, -1, (struct pollfd * fds, nfds_t n, int wait_ms), (fds, n, wait_ms))
WRAP(int, ppoll, -1,
     (struct pollfd * fds, nfds_t n, const struct timespec *wait, const sigset_t *mask),
     (fds, n, wait, mask))
WRAP(int, signalfd, -1, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
WRAP(ssize_t, getrandom, -1, (void *data, size_t len, unsigned flags), (data, len, flags))

/* The mode is there only if a file may be made. */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_openat64(int fd, const char *path, int flags, ...);
int __wrap_openat64(int fd, const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    va_start(args, flags);
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
        mode = va_arg(args, mode_t);
    }
    va_end(args);
    return is_doomed(CALL_open64) ? -1 : __real_open64(path, flags, mode);
}

int __wrap_openat64(int fd, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    va_start(args, flags);
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
        mode = va_arg(args, mode_t);
    }
    va_end(args);
    return is_doomed(CALL_openat64) ? -1 : __real_openat64(fd, path, flags, mode);
}

void clm_sabotage_on(const char *call, unsigned n, int sys_errno)
{
    unsigned i = 0;

    while (i < CALL__COUNT && strcmp(calls[i].name, call) != 0) {
        i++;
    }
    assert_true(i < CALL__COUNT);
    doom.call = (enum call)i;
    doom.countdown = n;
    doom.sys_errno = sys_errno;
    doom.fell = false;
    doom.is_on = true;
}

bool clm_sabotage_off(void)
{
    doom.is_on = false;
    return doom.fell;
}

bool clm_sabotage_pause(void)
{
    bool was_on = doom.is_on;

    doom.is_on = false;
    return was_on;
}

void clm_sabotage_resume(bool was_on)
{
    doom.is_on = was_on;
}

static unsigned count_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < FDS_MAX; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

/* Returns false once act makes fewer than n such calls. */
static bool run_one(const struct clm_sabotage *plan, enum call call, int sys_errno, unsigned n)
{
    struct clm_err err = {0};
    char what[128];

    (void)snprintf(what, sizeof(what), "call %u of %s: %s", n, calls[call].name,
                   sys_errno == SHORT ? "one byte only" : strerror(sys_errno));
    if (plan->before != NULL) {
        plan->before(plan->arg);
    }
    unsigned descriptors = count_descriptors();
    clm_sabotage_on(calls[call].name, n, sys_errno);
    enum clm_code code = plan->act(plan->arg, &err);
    bool fell = clm_sabotage_off();
    if (code != CLM_OK && ((!fell && !plan->fails_anyway) || err.msg[0] == '\0')) {
        fail_msg("%s%s: %s '%s'", what, fell ? "" : " (not made)", clm_code_name(code), err.msg);
    }
    if (plan->after != NULL) {
        plan->after(plan->arg, code, fell ? what : NULL);
    }
    if (count_descriptors() > descriptors) {
        fail_msg("%s: a descriptor is left open", what);
    }
    return fell;
}

/* True if name is one of the words. */
static bool is_listed(const char *name, const char *words)
{
    size_t len = strlen(name);

    for (const char *at = words; (at = strstr(at, name)) != NULL; at += len) {
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

size_t clm_sabotage_run(const struct clm_sabotage *plan, const char *only)
{
    size_t total = 0;

    for (unsigned call = 0; call < CALL__COUNT; call++) {
        if (only != NULL && !is_listed(calls[call].name, only)) {
            continue;
        }
        for (size_t e = 0; e < ERRORS_MAX && calls[call].errors[e] != 0; e++) {
            unsigned n = 1;

            while (run_one(plan, (enum call)call, calls[call].errors[e], n)) {
                assert_true(n < RUNS_MAX);
                n++;
            }
            total += n - 1;
        }
    }
    return total;
}
