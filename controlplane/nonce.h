/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonce - numbers used once, for enrolment and recovery
 *
 * A nonce is time, random bytes and an HMAC over them: giving one out stores nothing, so nobody can
 * fill a table. Only a nonce that was used with a valid proof is remembered, until it expires.
 */
#ifndef CLM_CONTROLPLANE_NONCE_H
#define CLM_CONTROLPLANE_NONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"

#define CLM_CP_NONCE_SIZE   44  /* 43 characters of base64url and a NUL: 32 bytes */
#define CLM_CP_NONCE_LIFE_S 300 /* protocol.md 7.3 */

struct clm_cp_nonces;

/* Errors: NOMEM, IO. */
CLM_MUST_USE enum clm_code clm_cp_nonces_new(struct clm_cp_nonces **out_nonces,
                                             struct clm_err *err);
void clm_cp_nonces_free(struct clm_cp_nonces *nonces);

CLM_MUST_USE enum clm_code clm_cp_nonce_make(struct clm_cp_nonces *nonces, int64_t now_s,
                                             char dst[CLM_CP_NONCE_SIZE], struct clm_err *err);
/* *out_fresh: it is ours, not expired and not used. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_cp_nonce_check(const struct clm_cp_nonces *nonces, const char *text,
                                              int64_t now_s, bool *out_fresh, struct clm_err *err);
/* Remembers it as used. The oldest is forgotten when 4096 are in use. */
void clm_cp_nonce_use(struct clm_cp_nonces *nonces, const char *text);

#endif
