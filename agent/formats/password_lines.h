/* SPDX-License-Identifier: Apache-2.0 */
/* password_lines - one line of a file with a password on each, as nginx reads ssl_password_file */
#ifndef CLM_FORMATS_PASSWORD_LINES_H
#define CLM_FORMATS_PASSWORD_LINES_H

#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/model/io.h"

#define CLM_PASSWORD_LINES_MAX 64u    /* passwords tried for one key */
#define CLM_PASSWORD_FILE_MAX  65536u /* bytes of such a file */

/*
 * clm_password_line() - line number n of the file, from 1; empty ones count, but hold no password
 *
 * Out     out   a secret buffer, appended; without the end of the line
 * Errors  NOTFOUND the file has fewer lines; INVAL no regular file; LIMIT; PERM; IO. Nothing of
 *         the file is in the message.
 */
CLM_MUST_USE enum clm_code clm_password_line(const struct clm_io *io, const char *path, size_t n,
                                             struct clm_buf *out, struct clm_err *err);

#endif
