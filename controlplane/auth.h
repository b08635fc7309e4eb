/* SPDX-License-Identifier: Apache-2.0 */
/* auth - may this request be made? */
#ifndef CLM_CONTROLPLANE_AUTH_H
#define CLM_CONTROLPLANE_AUTH_H

#include <stdbool.h>

#include "controlplane/http.h"
#include "controlplane/peer.h"

/*
 * clm_cp_auth_check() - what the route asks for: client certificate, bearer token, or nothing
 *
 * In      peer  from the TLS connection
 * Out     out_ok  false: answer holds the problem (401, 403, 409, 410)
 * Effect  fills req->agent_id and agent_status; forgets the previous certificate of an agent that
 *         comes with its newest
 */
CLM_MUST_USE enum clm_code clm_cp_auth_check(struct clm_cp_request *req,
                                             const struct clm_cp_peer *peer,
                                             struct clm_cp_answer *answer, bool *out_ok,
                                             struct clm_err *err);

#endif
