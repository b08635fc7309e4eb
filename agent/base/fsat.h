/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsat - files in directories that belong to others, without being led astray
 *
 * A path is resolved once, component by component, to a descriptor of its real directory and a
 * name; everything after that is relative to the descriptor, so that nobody who may write somewhere
 * on the path can send us to another file. Rules: reliability.md 7, kept in docs/journal.md.
 */
#ifndef CLM_BASE_FSAT_H
#define CLM_BASE_FSAT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_FSAT_NAME_MAX                                                                          \
    200 /* bytes of a target's name: room for the temporary one (NAME_MAX 255) */
#define CLM_FSAT_NAME_SIZE 256
#define CLM_FSAT_HOPS_MAX  8 /* symlinks on one path */

struct clm_place {
    int dir_fd;         /* the real directory, for *at() calls and fsync */
    char dir[PATH_MAX]; /* its path without symlinks: "/" or no slash at the end */
    char name[CLM_FSAT_NAME_SIZE];
    uint64_t dir_dev;
    uint64_t dir_ino;
};
#define CLM_PLACE_INIT                                                                             \
    {                                                                                              \
        .dir_fd = -1                                                                               \
    }
void clm_place_done(struct clm_place *place); /* for CLM_CLEANUP */

/*
 * clm_fsat_open() - finds the real directory and name of a file, which need not exist
 *
 * In      path  absolute, without "." and ".." components; symlinks on it and at its end are
 *               followed, at most CLM_FSAT_HOPS_MAX
 * Out     out   set with CLM_PLACE_INIT; for clm_place_done(). No descriptor after an error
 * Errors  PERM a directory that others may write to and rename in (not sticky), or that belongs to
 *         neither root, us, nor the one service user who may own the last directories; a symlink
 *         that is not root's or ours. NOTFOUND a directory is missing. INVAL the path; LIMIT.
 * Source  openat(2) O_NOFOLLOW; path_resolution(7); proc(5) for what must not be followed
 */
CLM_MUST_USE enum clm_code clm_fsat_open(const char *path, struct clm_place *out,
                                         struct clm_err *err);
/* The same for what a journal recorded: the directory must be reached without any symlink (CONFLICT
 * else), and name is not looked at: whatever lies there now, the directory is opened. */
CLM_MUST_USE enum clm_code clm_fsat_open_real(const char *dir, const char *name,
                                              struct clm_place *out, struct clm_err *err);
/* "<dir>/<name>" of a place. Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_place_path(const struct clm_place *place, char *dst, size_t size,
                                          struct clm_err *err);

struct clm_fsat_stat {
    bool is_regular;
    bool is_immutable; /* or append-only */
    bool is_mount;     /* a file that something is mounted on */
    uint32_t mode;     /* 07777 */
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink;
    uint64_t size_bytes;
    uint64_t dev;
    uint64_t ino;
};

/* Of the entry itself: symlinks are not followed. Errors: NOTFOUND, PERM, IO. */
CLM_MUST_USE enum clm_code clm_fsat_stat(int dir_fd, const char *name, struct clm_fsat_stat *out,
                                         struct clm_err *err);
/* Appends the whole file. out_stat is of what was read; may be NULL. Errors: NOTFOUND, CONFLICT not
 * a regular file, LIMIT beyond max bytes. */
CLM_MUST_USE enum clm_code clm_fsat_read(int dir_fd, const char *name, size_t max,
                                         struct clm_buf *out, struct clm_fsat_stat *out_stat,
                                         struct clm_err *err);

struct clm_fsat_new {
    const char *name;
    const void *data; /* len bytes */
    size_t len;
    uint32_t uid;
    uint32_t gid;
    uint32_t mode;    /* set-id bits are dropped */
    const char *like; /* entry whose ACL, label and user attributes are copied; NULL: none */
};

/*
 * clm_fsat_create() - a new file, complete and flushed, or none
 *
 * Effect  O_EXCL and 0600; label, content, owner, attributes, and the mode last, so that content is
 *         never more readable than in the end; fsync. The directory is not flushed.
 * Errors  EXISTS; UNSUPPORTED the file to imitate is signed (IMA, EVM), which cannot be copied;
 *         PERM; IO. After an error the file is gone.
 */
CLM_MUST_USE enum clm_code clm_fsat_create(int dir_fd, const struct clm_fsat_new *file,
                                           struct clm_err *err);

/* ".<name>.clmbot.<16 hex digits>" into dst of CLM_FSAT_NAME_SIZE. Errors: LIMIT, IO. */
CLM_MUST_USE enum clm_code clm_fsat_temp_name(const char *name, char *dst, struct clm_err *err);
/* One component, not "." or "..", at most CLM_FSAT_NAME_SIZE - 1 bytes, no control characters. */
bool clm_fsat_name_is_valid(const char *name);

/* None of these flushes the directory: clm_fsat_sync() does. */
/* Swaps two entries in one instant. Errors: UNSUPPORTED by this file system or kernel; NOTFOUND. */
CLM_MUST_USE enum clm_code clm_fsat_exchange(int dir_fd, const char *a, const char *b,
                                             struct clm_err *err);
CLM_MUST_USE enum clm_code clm_fsat_rename(int dir_fd, const char *from, const char *to,
                                           struct clm_err *err);
/* Never replaces. Errors: EXISTS, NOTFOUND. */
CLM_MUST_USE enum clm_code clm_fsat_rename_new(int dir_fd, const char *from, const char *to,
                                               struct clm_err *err);
/* A missing one is success, also on a read-only file system. */
CLM_MUST_USE enum clm_code clm_fsat_unlink(int dir_fd, const char *name, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_fsat_sync(int dir_fd, const char *dir, struct clm_err *err);

/* Bytes we may still write on that file system; read-only or not writable for us is PERM. */
CLM_MUST_USE enum clm_code clm_fsat_free_bytes(int dir_fd, const char *dir, uint64_t *out_bytes,
                                               struct clm_err *err);

#endif
