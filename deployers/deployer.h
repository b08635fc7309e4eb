/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deployer - how one product takes a certificate
 *
 * A deployer turns (service, target, leaf) into a plan: it reads and returns steps. It never
 * writes; the engine in agent/job journals, applies, proves and undoes the steps, so rollback is
 * written once.
 */
#ifndef CLM_DEPLOYERS_DEPLOYER_H
#define CLM_DEPLOYERS_DEPLOYER_H

#include "agent/base/err.h"
#include "agent/model/bundle.h"
#include "agent/model/io.h"
#include "agent/model/plan.h"
#include "agent/model/target.h"

struct clm_deployer_ops {
    const char *name;    /* the kind of the services it serves; in journals: never change */
    const char *summary; /* one line for the manual */

    /*
     * MUST. Reads only. target is fresh from a scan, belongs to service and is manageable.
     * out is zero-initialised by the caller. If plan succeeds, applying can fail only for a reason
     * that did not exist when it ran. bundle may be NULL: the steps for any certificate ("plan"
     * before one is issued, and rollback).
     * Errors: CONFLICT, UNSUPPORTED, CONFIG with the reason and the remedy.
     */
    enum clm_code (*plan)(const struct clm_io *io, const struct clm_service *service,
                          const struct clm_target *target, const struct clm_bundle *bundle,
                          struct clm_plan *out, struct clm_err *err);

    /*
     * MAY be NULL. The password behind a reference "conf:<text>" (agent/model/secret.h) that a
     * scanner or plan of this product wrote; text is what follows "conf:".
     * out is a secret buffer; nothing of it goes into err.
     * Errors: NOTFOUND it is not there any more; UNSUPPORTED; IO; PARSE.
     */
    enum clm_code (*secret)(const struct clm_io *io, const char *text, struct clm_buf *out,
                            struct clm_err *err);
};

/* Every deployer built in, in the order of the manual; ends with NULL. */
const struct clm_deployer_ops *const *clm_deployers_all(void);

/* NULL if there is none of that name. */
const struct clm_deployer_ops *clm_deployer_find(const char *name);

#endif
