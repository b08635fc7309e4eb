/* SPDX-License-Identifier: Apache-2.0 */
/* tokens - join tokens: made for an operator, used by a host that enrols (protocol.md 5.2) */
#ifndef CLM_CONTROLPLANE_TOKENS_H
#define CLM_CONTROLPLANE_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/crypto/token.h"
#include "controlplane/tx.h"

#define CLM_CP_TOKEN_TTL_S     3600
#define CLM_CP_TOKEN_TTL_MAX_S (7LL * 86400)
#define CLM_CP_TOKEN_USES_MAX  100000

struct clm_cp_token_new {
    const char *url;       /* base URL of the agent API, as agents reach it */
    int64_t ttl_s;         /* 60..CLM_CP_TOKEN_TTL_MAX_S */
    int64_t max_uses;      /* 1.. */
    const char *host_glob; /* of the host name; "" any */
    bool manual_approval;
    const struct clm_json *labels; /* NULL: none */
};

/* Makes a token; its text is appended to out_text, a secret buffer, and stored nowhere else. */
CLM_MUST_USE enum clm_code clm_cp_token_create(struct clm_cp_tx *tx,
                                               const struct clm_cp_token_new *in,
                                               char out_id[CLM_ID_SIZE], struct clm_buf *out_text,
                                               struct clm_err *err);

struct clm_cp_token_use {
    const char *id;
    const char *nonce;
    const uint8_t *csr_der;
    size_t csr_len;
    const char *proof; /* base64url */
    const char *hostname;
};

enum clm_cp_token_verdict {
    CLM_CP_TOKEN_OK,
    CLM_CP_TOKEN_UNKNOWN_ID,
    CLM_CP_TOKEN_WRONG_PROOF,
    CLM_CP_TOKEN_EXPIRED,
    CLM_CP_TOKEN_USED_UP,
    CLM_CP_TOKEN_OTHER_HOST,
    CLM_CP_TOKEN__COUNT
};
/* For the log; the client is not told. */
const char *clm_cp_token_verdict_text(enum clm_cp_token_verdict verdict);

/*
 * clm_cp_token_check() - may this token be used for this request?
 *
 * Out     out_manual  the enrolment must be approved by an operator
 * Effect  none; the work is the same for a token that does not exist, so that time tells nothing
 */
CLM_MUST_USE enum clm_code clm_cp_token_check(struct clm_cp_tx *tx,
                                              const struct clm_cp_token_use *use,
                                              enum clm_cp_token_verdict *out_verdict,
                                              bool *out_manual, struct clm_err *err);
/* Counts one use. */
CLM_MUST_USE enum clm_code clm_cp_token_count_use(struct clm_cp_tx *tx, const char *id,
                                                  struct clm_err *err);
/* True if mac is HMAC(K, "clm-enroll-status-v1\n" + enroll_id + "\n"), K as of protocol.md 5.2. */
CLM_MUST_USE enum clm_code clm_cp_token_check_status_proof(struct clm_cp_tx *tx, const char *id,
                                                           const char *enroll_id, const char *proof,
                                                           bool *out_ok, struct clm_err *err);
/* All tokens, newest first, without their secrets. */
CLM_MUST_USE enum clm_code clm_cp_tokens_list(struct clm_cp_tx *tx, struct clm_json *array,
                                              struct clm_err *err);

#endif
