/* SPDX-License-Identifier: Apache-2.0 */
/* inventory - what hosts reported of their services, for other parts of the control plane */
#ifndef CLM_CONTROLPLANE_INVENTORY_H
#define CLM_CONTROLPLANE_INVENTORY_H

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "controlplane/tx.h"

/* A copy of one target as the host last reported it (protocol.md 7.8), the caller's. Errors:
 * NOTFOUND no inventory, or not in it. */
CLM_MUST_USE enum clm_code clm_cp_inventory_target(struct clm_cp_tx *tx, const char *agent_id,
                                                   const char *target, struct clm_json **out_json,
                                                   struct clm_err *err);

/* The target in an agent's report; NULL: it is not there. */
const struct clm_json *clm_cp_inventory_find(const struct clm_json *inventory, const char *target);

#endif
