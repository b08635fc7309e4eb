/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch - one request from its route to its answer: limits, transaction, authentication,
 * idempotency, handler, commit */
#ifndef CLM_CONTROLPLANE_DISPATCH_H
#define CLM_CONTROLPLANE_DISPATCH_H

#include "controlplane/http.h"
#include "controlplane/peer.h"

/*
 * clm_cp_dispatch() - fills answer; never fails: what goes wrong becomes a problem document
 *
 * In      req  route, method, path, raw, connection, remote, started_ms are set; tx is not
 * Effect  takes the server's lock for as long as the handler runs
 */
void clm_cp_dispatch(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                     struct clm_cp_answer *answer);

#endif
