/* SPDX-License-Identifier: Apache-2.0 */
/* users - names for user and group numbers, from /etc/passwd and /etc/group alone */
#ifndef CLM_SCANNERS_USERS_H
#define CLM_SCANNERS_USERS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/model/io.h"

/* The two files, read once. */
struct clm_users {
    struct clm_buf passwd;
    struct clm_buf group;
};

/* What cannot be read gives numbers instead of names. out is to be freed in any case. Errors: NOMEM
 * only. */
CLM_MUST_USE enum clm_code clm_users_read(const struct clm_io *io, struct clm_users *out,
                                          struct clm_err *err);
void clm_users_done(struct clm_users *users); /* for CLM_CLEANUP */

/* The name, or the number as text; cut to size bytes. */
void clm_users_user(const struct clm_users *users, uint32_t uid, char *dst, size_t size);
void clm_users_group(const struct clm_users *users, uint32_t gid, char *dst, size_t size);

#endif
