/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source - reads a file that only root or the user who runs the command can have written
 *
 * Every directory on the way, from "/" on, and the file must belong to root or to the effective
 * user, must not be writable for others (a directory may be if it is sticky, like /tmp), and must
 * not be a symbolic link. It is walked by descriptors, so what was checked is what is read.
 */
#ifndef CLM_CONFIG_SOURCE_H
#define CLM_CONFIG_SOURCE_H

#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"

#define CLM_SOURCE_FILES_MAX 256 /* files in one directory */

/* path: absolute. Appends the file; LIMIT beyond what out holds. Errors: NOTFOUND; CONFIG with
 * path, mode and remedy; PERM; IO. */
CLM_MUST_USE enum clm_code clm_source_read(const char *path, struct clm_buf *out,
                                           struct clm_err *err);
/* Names of the entries of dir that end with suffix and do not start with a dot, sorted by byte. A
 * missing directory has none. Errors: as above; LIMIT beyond CLM_SOURCE_FILES_MAX. */
CLM_MUST_USE enum clm_code clm_source_list(const char *dir, const char *suffix,
                                           struct clm_strs *out, struct clm_err *err);

#endif
