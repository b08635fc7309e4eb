/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idem - answers kept under the client's Idempotency-Key, given again when it asks again
 *
 * Kept in the same transaction as the effect, so either both happened or neither. Only 2xx answers
 * are kept: everything else had no effect and is worth evaluating again. protocol.md 6.6.
 */
#ifndef CLM_CONTROLPLANE_IDEM_H
#define CLM_CONTROLPLANE_IDEM_H

#include <stdbool.h>

#include "controlplane/http.h"

#define CLM_CP_IDEM_KEEP_S  (7LL * 86400)
#define CLM_CP_IDEM_KEY_MAX 128

struct clm_cp_idem {
    char scope[CLM_CP_TOPIC_SIZE]; /* whose keys: an agent, a token, "operator" */
    const char *key;               /* NULL: none was sent, nothing is kept */
    char req_sha256[CLM_SHA256_HEX_SIZE];
};

/* Works out the key of a request. A missing or bad required key: *out_ok false, problem in answer. */
CLM_MUST_USE enum clm_code clm_cp_idem_begin(const struct clm_cp_request *req,
                                             struct clm_cp_idem *out, struct clm_cp_answer *answer,
                                             bool *out_ok, struct clm_err *err);
/* Fills answer if the key is known (the kept answer, or 422): *out_done. */
CLM_MUST_USE enum clm_code clm_cp_idem_replay(const struct clm_cp_request *req,
                                              const struct clm_cp_idem *idem,
                                              struct clm_cp_answer *answer, bool *out_done,
                                              struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_idem_keep(const struct clm_cp_request *req,
                                            const struct clm_cp_idem *idem,
                                            const struct clm_cp_answer *answer,
                                            struct clm_err *err);

#endif
