/* SPDX-License-Identifier: Apache-2.0 */
/* trace_calls - what the linker calls the C library's functions, and ours in their place */
#ifndef CLM_TESTS_FAULTS_MODEL_TRACE_CALLS_H
#define CLM_TESTS_FAULTS_MODEL_TRACE_CALLS_H

#include <sys/types.h>

#define TRACE_CALL(type, name, params)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params

TRACE_CALL(int, open, (const char *path, int flags, ...));
TRACE_CALL(int, open64, (const char *path, int flags, ...));
TRACE_CALL(int, openat, (int dir_fd, const char *path, int flags, ...));
TRACE_CALL(int, openat64, (int dir_fd, const char *path, int flags, ...));
TRACE_CALL(ssize_t, write, (int fd, const void *data, size_t len));
TRACE_CALL(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t off));
TRACE_CALL(ssize_t, pwrite64, (int fd, const void *data, size_t len, off_t off));
TRACE_CALL(int, fsync, (int fd));
TRACE_CALL(int, fdatasync, (int fd));
TRACE_CALL(int, fchmod, (int fd, mode_t mode));
TRACE_CALL(int, fchown, (int fd, uid_t uid, gid_t gid));
TRACE_CALL(int, mkdir, (const char *path, mode_t mode));
TRACE_CALL(int, rmdir, (const char *path));
TRACE_CALL(int, unlink, (const char *path));
TRACE_CALL(int, unlinkat, (int dir_fd, const char *path, int flags));
TRACE_CALL(int, rename, (const char *from, const char *to));
TRACE_CALL(int, renameat, (int from_fd, const char *from, int to_fd, const char *to));
TRACE_CALL(int, renameat2,
           (int from_fd, const char *from, int to_fd, const char *to, unsigned flags));
TRACE_CALL(int, ftruncate, (int fd, off_t len));
TRACE_CALL(int, ftruncate64, (int fd, off_t len));
TRACE_CALL(int, fsetxattr, (int fd, const char *name, const void *value, size_t size, int flags));
TRACE_CALL(int, fremovexattr, (int fd, const char *name));
TRACE_CALL(int, linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags));

#endif
