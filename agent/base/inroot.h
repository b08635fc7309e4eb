/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inroot - files as another process sees them: "/proc/PID/root/etc/nginx/nginx.conf"
 *
 * A plain open(2) of such a path takes an absolute symlink met on the way as one of ours, so that
 * whoever writes inside a container chooses what we read. Here every symlink is taken relative to
 * the process's own root, ".." ends there, and nothing but a regular file or a directory is opened.
 */
#ifndef CLM_BASE_INROOT_H
#define CLM_BASE_INROOT_H

#include <stdbool.h>

#include "agent/base/err.h"

#define CLM_INROOT_LINKS_MAX 40 /* as the kernel: path_resolution(7) */
#define CLM_INROOT_DEPTH_MAX 64 /* directories inside each other */

/* "/proc/PID/root" with anything behind it. */
bool clm_inroot_is(const char *path);

/*
 * clm_inroot_find() - the file, whatever it is
 *
 * In      path    clm_inroot_is()
 *         follow  false: a symlink at the end is what is found
 * Out     out_fd  O_PATH: for fstat(2), readlinkat(2); the caller's to close
 * Errors  NOTFOUND the process or the file; PERM; LIMIT; IO
 * Source  openat2(2) RESOLVE_IN_ROOT; where that is not to be had, one component at a time
 */
CLM_MUST_USE enum clm_code clm_inroot_find(const char *path, bool follow, int *out_fd,
                                           struct clm_err *err);
/* The same, by the second way alone: sandboxes answer ENOSYS to openat2(2). */
CLM_MUST_USE enum clm_code clm_inroot_walk(const char *path, bool follow, int *out_fd,
                                           struct clm_err *err);

/*
 * clm_inroot_open_owned() - a directory along whose path others may write, to make files in it
 *
 * In      path  absolute, of this host
 * Out     out_fd  for *at() calls; the caller's to close
 * Errors  PERM a symlink on the way is neither root's nor ours and leads to a directory that is not
 *         its owner's, either: he could send us anywhere. NOTFOUND; LIMIT; IO
 */
CLM_MUST_USE enum clm_code clm_inroot_open_owned(const char *path, int *out_fd,
                                                 struct clm_err *err);

/* A regular file or directory for reading. Errors: those above; INVAL it is something else. */
CLM_MUST_USE enum clm_code clm_inroot_open(const char *path, int *out_fd, struct clm_err *err);

#endif
