/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake - what an address serves, complete: the TLS probe and what its leaf says
 *
 * agent/net makes the connection, agent/crypto reads the certificate; this joins the two for the
 * network half and for root's local commands.
 */
#ifndef CLM_RUN_HANDSHAKE_H
#define CLM_RUN_HANDSHAKE_H

#include "agent/base/err.h"
#include "agent/model/probe.h"
#include "agent/model/target.h"

/* One fresh handshake; whatever goes wrong is in *out. Blocks for endpoint->timeout_ms at most. */
void clm_handshake(const struct clm_endpoint *endpoint, struct clm_observation *out);

/* Fills "served" of every target of a running service. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_handshake_inventory(struct clm_inventory *inventory,
                                                   struct clm_err *err);

#endif
