/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managers - other programs that renew certificates on this host, and which files are theirs
 *
 * Two managers of one file overwrite each other. So what belongs to another one is told of and left
 * alone, unless policy.take_over names it. Recognised by what each keeps on disk: no program is run.
 */
#ifndef CLM_SCANNERS_MANAGERS_H
#define CLM_SCANNERS_MANAGERS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/io.h"
#include "agent/model/target.h"

struct clm_manager {
    const char *name;    /* in policy.take_over and in target.manager */
    const char *manages; /* what it is recognised by and what is its own, for the manual */
    const char *to_take; /* what an operator does so that clmbot may renew in its place */
    bool keeps_history;  /* keeps replaced certificates; the current ones are linked */
};

/* Every manager known, in the order of the manual; ends with a NULL name. */
const struct clm_manager *clm_managers_all(void);
/* NULL if there is none of that name. */
const struct clm_manager *clm_manager_find(const char *name);

/* What was found on this host. */
struct clm_managers;

/* Errors: NOMEM. A file that cannot be read is passed over. */
CLM_MUST_USE enum clm_code clm_managers_load(const struct clm_io *io, struct clm_managers **out,
                                             struct clm_err *err);
void clm_managers_free(struct clm_managers *managers); /* accepts NULL */
CLM_DEFINE_CLEANUP(struct clm_managers, clm_managers_free);

/* Whose file this path is; NULL nobody's. managers may be NULL. The path alone: links are the
 * caller's to follow. */
const struct clm_manager *clm_managers_of(const struct clm_managers *managers, const char *path);
/* Names of those that are there, once each. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_managers_names(const struct clm_managers *managers,
                                              struct clm_strs *out, struct clm_err *err);

/*
 * clm_managers_mark() - fills target.manager, and a remark, of every target whose files are another
 * manager's
 *
 * Effect  the links at the end of each path are followed, so that a link into certbot's tree is seen
 * Errors  NOMEM
 */
CLM_MUST_USE enum clm_code clm_managers_mark(const struct clm_io *io,
                                             struct clm_inventory *inventory, struct clm_err *err);

#endif
