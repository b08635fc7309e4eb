/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/issuer/issuer.h"

static const char *const STATUS_NAMES[CLM_ISSUER__COUNT] = {
    [CLM_ISSUER_PENDING] = "pending",       [CLM_ISSUER_READY] = "ready",
    [CLM_ISSUER_PROCESSING] = "processing", [CLM_ISSUER_VALID] = "valid",
    [CLM_ISSUER_INVALID] = "invalid",       [CLM_ISSUER_DEACTIVATED] = "deactivated",
    [CLM_ISSUER_EXPIRED] = "expired",       [CLM_ISSUER_REVOKED] = "revoked",
};

const char *clm_issuer_status_name(enum clm_issuer_status status)
{
    return (unsigned)status < CLM_ISSUER__COUNT ? STATUS_NAMES[status] : "unknown";
}

void clm_order_done(struct clm_order *order)
{
    clm_strs_done(&order->authz);
}
