/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs - durable file operations on directories of our own
 *
 * For the state directory only: every directory on the path belongs to us, so paths are safe here.
 * Files of others (a server's certificates) are for agent/base/fsat.h. Every function that changes
 * something and reports CLM_OK has made its effect survive a power cut. Every system call that
 * changes the disk passes clm_fs_point(), where tests stop the process or make the call fail.
 */
#ifndef CLM_BASE_FS_H
#define CLM_BASE_FS_H

#include <stddef.h>
#include <sys/types.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

/* Closes *fd if it is open and sets it to -1. Keeps errno. For CLM_CLEANUP. */
void clm_fs_close_p(int *fd);
/* Closes every descriptor from first on. Async-signal-safe: for a child between fork and exec. Where
 * the kernel has no close_range(2), one by one up to CLM_FS_CLOSE_MAX. */
#define CLM_FS_CLOSE_MAX 65536
void clm_fs_close_from(int first);
/* Moves a descriptor out of a CLM_CLEANUP variable, which becomes -1. */
static inline int clm_fs_steal(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* ---- crash points: real only with the CMake option CLM_TEST_HOOKS ---- */

/* op: "create", "write", "fsync", "rename", "exchange", "unlink", "mkdir", "chmod", "syncdir" ...;
 * dir_fd and name say on what (dir_fd -1: name is a path). Test builds only. */
typedef void (*clm_fs_trace_fn)(void *arg, const char *op, int dir_fd, const char *name);

#ifdef CLM_TEST_HOOKS
/* Called before each durable operation. 0: go on. -1 with errno set: the operation must fail. */
int clm_fs_point(const char *op, int dir_fd, const char *name);
/* The n-th call of clm_fs_point() from here (counted from 1) ends the process with status 99. 0
 * turns it off. The environment variable CLM_CRASH_AT sets it for a process that never called. */
void clm_fs_crash_at(unsigned n);
/* The n-th call from here fails with this errno; with sticky, every later one, too. 0: off. */
void clm_fs_fail_at(unsigned n, int sys_errno, int sticky);
/* Every operation of this name fails with this errno, e.g. "exchange" with EINVAL. NULL: off. */
void clm_fs_fail_op(const char *op, int sys_errno);
/* Calls of clm_fs_point() since the last clm_fs_crash_at() or clm_fs_fail_at(). */
unsigned clm_fs_points(void);
/* Tells fn of every operation before it is made; NULL turns it off. */
void clm_fs_trace(clm_fs_trace_fn fn, void *arg);
#else
static inline int clm_fs_point(const char *op, int dir_fd, const char *name)
{
    (void)op;
    (void)dir_fd;
    (void)name;
    return 0;
}
#endif

/* ---- descriptors ---- */

/* Appends everything from fd to its end; name is for messages. Errors: LIMIT beyond max bytes, IO. */
CLM_MUST_USE enum clm_code clm_fs_read_fd(int fd, const char *name, size_t max, struct clm_buf *out,
                                          struct clm_err *err);
/* Writes all of it at the descriptor's position. Errors: IO. */
CLM_MUST_USE enum clm_code clm_fs_write_fd(int fd, const char *name, const void *data, size_t len,
                                           struct clm_err *err);
/* fsync(2). Never try again after an error: the kernel has dropped the pages by then. */
CLM_MUST_USE enum clm_code clm_fs_sync_fd(int fd, const char *name, struct clm_err *err);

/* ---- reading ---- */

/* Appends the whole regular file; a symlink is refused. Errors: NOTFOUND, LIMIT beyond max bytes,
 * INVAL not a regular file, PERM, IO. */
CLM_MUST_USE enum clm_code clm_fs_read(const char *path, size_t max, struct clm_buf *out,
                                       struct clm_err *err);
/* 1 if the path exists (symlinks not followed), 0 if not or if that cannot be told. */
int clm_fs_exists(const char *path);

/* name: one entry, never "." or "..". Anything but CLM_OK ends the walk and is returned. */
typedef enum clm_code (*clm_fs_list_fn)(void *arg, const char *name, struct clm_err *err);
/* Visits every entry, in no order; names are collected first, so visit may remove them.
 * Errors: NOTFOUND, LIMIT beyond 100,000 entries. */
CLM_MUST_USE enum clm_code clm_fs_list(const char *path, clm_fs_list_fn visit, void *arg,
                                       struct clm_err *err);

/* ---- changing ---- */

/* Flushes a directory, and the directory that holds path. Errors: NOTFOUND, PERM, IO. */
CLM_MUST_USE enum clm_code clm_fs_sync_dir(const char *path, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_fs_sync_parent(const char *path, struct clm_err *err);

/*
 * clm_fs_replace() - replace a file so that readers see the old or the new content, never less
 *
 * In      path  absolute, at most PATH_MAX - 8 bytes; need not exist
 *         data  len bytes, may hold NULs; borrowed
 *         mode  permission bits of the new file, e.g. 0600
 * Effect  <path>.clmnew is written and flushed, renamed over path, the directory is flushed.
 *         A leftover <path>.clmnew of an earlier crash is removed first.
 * Blocks  for two fsync(2).
 * Errors  LIMIT path too long; NOTFOUND no such directory; PERM; IO. On error path is untouched,
 *         except after a failed directory flush, when either content may be found later.
 * Source  rename(2), fsync(2)
 */
CLM_MUST_USE enum clm_code clm_fs_replace(const char *path, const void *data, size_t len,
                                          mode_t mode, struct clm_err *err);

/* Creates a file that must not exist and flushes it, not its directory: for many files in one new
 * directory, which is flushed and renamed afterwards. Errors: EXISTS, NOTFOUND, PERM, IO. */
CLM_MUST_USE enum clm_code clm_fs_create(const char *path, const void *data, size_t len,
                                         mode_t mode, struct clm_err *err);
/* Adds to the end of a file, which is created 0600, with one write, and flushes it. */
CLM_MUST_USE enum clm_code clm_fs_append(const char *path, const void *data, size_t len,
                                         struct clm_err *err);
/* One level. A directory that is there already is success and keeps its mode. */
CLM_MUST_USE enum clm_code clm_fs_mkdir(const char *path, mode_t mode, struct clm_err *err);
/* Replaces to, if it is a file or an empty directory. Errors: NOTFOUND, EXISTS, PERM, IO. */
CLM_MUST_USE enum clm_code clm_fs_rename(const char *from, const char *to, struct clm_err *err);
/* Removes the file; a missing file is success. */
CLM_MUST_USE enum clm_code clm_fs_unlink(const char *path, struct clm_err *err);
/* Removes a directory and the files in it, not directories inside; a missing one is success. */
CLM_MUST_USE enum clm_code clm_fs_remove_dir(const char *path, struct clm_err *err);

#endif
