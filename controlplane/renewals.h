/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renewals - what configurations ask for when its time has come
 *
 * A certificate whose newest version is due is ordered again, the way an operator orders it. One job
 * of a certificate at a time; after one that failed, the next comes CLM_CP_RENEW_AGAIN_S later, as
 * long as it is due. What was issued but is not in service is not this part's business.
 */
#ifndef CLM_CONTROLPLANE_RENEWALS_H
#define CLM_CONTROLPLANE_RENEWALS_H

#include "agent/base/err.h"
#include "controlplane/tx.h"

#define CLM_CP_RENEW_AGAIN_S (6LL * 3600)
#define CLM_CP_RENEW_BATCH   20 /* certificates in one go: a fleet is not renewed in one second */

/* Makes the jobs that are due. Hosts that are not active are left out. */
CLM_MUST_USE enum clm_code clm_cp_renewals_run(struct clm_cp_tx *tx, struct clm_err *err);

#endif
