/* SPDX-License-Identifier: Apache-2.0 */
/* identity - client certificates of agents: issued, renewed, recovered (protocol.md 5.4 to 5.6) */
#ifndef CLM_CONTROLPLANE_IDENTITY_H
#define CLM_CONTROLPLANE_IDENTITY_H

#include "agent/crypto/csr.h"
#include "controlplane/agents.h"
#include "controlplane/http.h"

/* base64url member "csr" of body, decoded and checked: EC P-256, signed by its key. *out_ok false:
 * answer holds 422 or 413. der and info are the caller's to free. */
CLM_MUST_USE enum clm_code clm_cp_identity_read_csr(const struct clm_cp_request *req,
                                                    struct clm_cp_answer *answer,
                                                    struct clm_buf *der, struct clm_csr_info *info,
                                                    bool *out_ok, struct clm_err *err);

/*
 * clm_cp_identity_issue() - the next certificate of an agent
 *
 * In      agent  generation is the one the certificate gets
 * Effect  the row holds the certificate, its key, the request's hash and the generation; with
 *         keep_previous the certificate before stays accepted until the new one is used
 */
CLM_MUST_USE enum clm_code clm_cp_identity_issue(struct clm_cp_tx *tx,
                                                 const struct clm_cp_agent *agent,
                                                 const struct clm_csr_info *csr, bool keep_previous,
                                                 struct clm_err *err);

/* Sets "generation", "certificate", "not_after", "renew_after" from the row. */
CLM_MUST_USE enum clm_code clm_cp_identity_show(struct clm_cp_tx *tx, const char *agent_id,
                                                struct clm_json *obj, struct clm_err *err);

#endif
