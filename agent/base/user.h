/* SPDX-License-Identifier: Apache-2.0 */
/* user - looks up an account, and becomes it for good */
#ifndef CLM_BASE_USER_H
#define CLM_BASE_USER_H

#include <sys/types.h>

#include "agent/base/err.h"

struct clm_user {
    uid_t uid;
    gid_t gid; /* of the named group; of the account if none is named */
};

/* group "" : the account's own. Errors: CONFIG no such user or group, with the remedy;
 * IO the account database does not answer. */
CLM_MUST_USE enum clm_code clm_user_find(const char *user, const char *group, struct clm_user *out,
                                         struct clm_err *err);

/*
 * clm_user_drop() - gives up root: groups, group and user, in this order, and no way back
 *
 * Effect  also no new privileges, no core, not dumpable. Nothing happens if this is not root.
 * Errors  PERM if anything of it is refused: the caller must end then
 * Source  setuid(2), prctl(2)
 */
CLM_MUST_USE enum clm_code clm_user_drop(const struct clm_user *user, struct clm_err *err);

#endif
