/* SPDX-License-Identifier: Apache-2.0 */
/* probe - a TLS handshake with the leaf read: agent/net and agent/crypto put together */
#ifndef CLM_RUN_PROBE_H
#define CLM_RUN_PROBE_H

#include "agent/model/probe.h"
#include "agent/model/target.h"

/* One handshake. Never fails: what went wrong is a result with a detail. */
void clm_probe(const struct clm_endpoint *endpoint, struct clm_observation *out);
/* Fills served of every target that has endpoints. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_probe_inventory(struct clm_inventory *inventory,
                                               struct clm_err *err);

#endif
