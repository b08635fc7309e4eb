/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dcv - writes domain-validation tokens into web roots, and removes exactly what was written
 *
 * The rules hold whatever a job says (protocol.md 8.3): only two directories below a web root, a
 * closed set of characters, no symlink followed, a file made with O_EXCL, so that validation can
 * never become a way to plant a page or a script.
 */
#ifndef CLM_HOST_DCV_H
#define CLM_HOST_DCV_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "agent/base/str.h"

#define CLM_DCV_CONTENT_MAX 4096 /* bytes; protocol.md 8.3 */

/*
 * clm_dcv_check() - the hard rules for path and content
 *
 * In      path  "/.well-known/acme-challenge/<base64url, 16..128>" or
 *               "/.well-known/pki-validation/<[A-Za-z0-9._-]{1,64}>" without extension, .txt, .html,
 *               .htm; no ".."
 *         content  printable ASCII, at most CLM_DCV_CONTENT_MAX bytes, no '<' and no '%'
 * Errors  INVAL with the rule that refused
 */
CLM_MUST_USE enum clm_code clm_dcv_check(const char *path, const char *content,
                                         struct clm_err *err);

/* A web root: an absolute directory, which may itself be reached through symlinks, as far as
 * clm_inroot_open_owned() trusts them. */
struct clm_dcv_root {
    const char *dir;
    bool is_alias; /* it answers for the challenge directory itself: only the last component of a
                      path is appended */
};

/*
 * clm_dcv_plan() - what clm_dcv_write() would make
 *
 * In      path   as clm_dcv_check() allows
 * Out     made   appended: every file and directory that does not exist now, in the order of
 *                making; to be recorded before clm_dcv_write(), so that a crash leaves nothing
 *                that clm_dcv_remove() would not find
 *         file   the full path, size bytes
 * Errors  LIMIT path too long; NOMEM
 */
CLM_MUST_USE enum clm_code clm_dcv_plan(const struct clm_dcv_root *root, const char *path,
                                        struct clm_strs *made, char *file, size_t size,
                                        struct clm_err *err);

/*
 * clm_dcv_write() - makes the file, readable for the web server
 *
 * In      path, content  as above; clm_dcv_check() is asked again
 * Errors  INVAL rules; PERM a symlink on the way, or not writable; NOTFOUND no web root;
 *         EXISTS a file of that name with other content; IO. On error nothing made here is left.
 * Effect  an equal file that is already there is success.
 */
CLM_MUST_USE enum clm_code clm_dcv_write(const struct clm_dcv_root *root, const char *path,
                                         const char *content, struct clm_err *err);

/* Removes what clm_dcv_plan() listed below root, last first; directories only if empty. A missing
 * file is success, a symlink on the way or in its place is left alone. *out_removed (may be NULL)
 * counts files. */
CLM_MUST_USE enum clm_code clm_dcv_remove(const char *root, const struct clm_strs *made,
                                          size_t *out_removed, struct clm_err *err);

#endif
