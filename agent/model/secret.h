/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - where a password is to be found, never the password itself
 *
 * Targets and plans name passwords by reference, so they can be printed, sent and kept:
 *
 *   ""                 none
 *   "file:/abs/path"   first line of a file of root's that nobody else can read
 *   "known:changeit"   a default everybody knows (Tomcat's, GlassFish's): no secret
 *   "conf:<text>"      in the server's own configuration; the deployer that wrote the reference
 *                      finds it again (deployer.h, secret)
 */
#ifndef CLM_MODEL_SECRET_H
#define CLM_MODEL_SECRET_H

#include <limits.h>
#include <stdbool.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_SECRET_REF_SIZE (PATH_MAX + 160)
#define CLM_SECRET_MAX      1024u /* bytes of a password */

#define CLM_SECRET_FILE  "file:"
#define CLM_SECRET_KNOWN "known:"
#define CLM_SECRET_CONF  "conf:"

struct clm_io;

/* One of the forms above, not empty. */
bool clm_secret_ref_is_valid(const char *ref);

/*
 * clm_secret_read() - the password behind "", "file:" and "known:"
 *
 * In      io   the host half's
 * Out     out  appended; a secret buffer. Without the end of the line; "" adds nothing
 * Errors  UNSUPPORTED "conf:", which only its deployer understands (clm_secret_source);
 *         PERM the file is not root's (or ours) or others may read or write it; NOTFOUND; LIMIT
 *         longer than CLM_SECRET_MAX; INVAL no reference, no regular file, or an empty first line.
 *         No message holds a byte of it.
 */
CLM_MUST_USE enum clm_code clm_secret_read(const struct clm_io *io, const char *ref,
                                           struct clm_buf *out, struct clm_err *err);

/* Where passwords come from, for whoever works with plans; get as clm_secret_read(). */
struct clm_secret_source {
    /* deployer: that wrote the reference. NULL: every reference but "" and "known:" is refused. */
    enum clm_code (*get)(void *arg, const char *deployer, const char *ref, struct clm_buf *out,
                         struct clm_err *err);
    void *arg;
};

#endif
