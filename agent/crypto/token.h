/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token - the join token: where the control plane is, which CA it has, and a one-time secret
 *
 * "clm1." and base64url of a JSON object (protocol.md 5.2). The secret never goes over the wire;
 * a proof by HMAC binds it to one certificate request.
 */
#ifndef CLM_CRYPTO_TOKEN_H
#define CLM_CRYPTO_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/hash.h"

#define CLM_TOKEN_TEXT_MAX    2048u /* bytes; protocol.md 5.2 */
#define CLM_TOKEN_URLS_MAX    4
#define CLM_TOKEN_PINS_MAX    4
#define CLM_TOKEN_SECRET_SIZE 32
#define CLM_TOKEN_PROOF_SIZE  44 /* 43 characters of base64url and a NUL */

struct clm_token {
    struct clm_strs urls; /* https, tried in order */
    uint8_t pins[CLM_TOKEN_PINS_MAX][CLM_SHA256_SIZE];
    size_t n_pins;
    char id[CLM_ID_SIZE]; /* "tok_..."; safe to log */
    uint8_t secret[CLM_TOKEN_SECRET_SIZE];
    int64_t exp_s; /* unix time; only a hint for the agent: the server decides */
};

/* Wipes. For CLM_CLEANUP. */
void clm_token_done(struct clm_token *token);

/*
 * clm_token_parse() - reads a token, strictly
 *
 * In      text  len bytes; white space around it is ignored (it comes from a file)
 * Out     out   overwritten; for clm_token_done() also after an error
 * Errors  PARSE not a token, damaged, of another version, or with an unknown member; LIMIT. No
 *         message holds any part of the secret.
 */
CLM_MUST_USE enum clm_code clm_token_parse(const char *text, size_t len, struct clm_token *out,
                                           struct clm_err *err);
/* Appends the text of a token; out must be a secret buffer. Errors: INVAL a member that
 * clm_token_parse() would refuse; LIMIT. */
CLM_MUST_USE enum clm_code clm_token_make(const struct clm_token *token, struct clm_buf *out,
                                          struct clm_err *err);
/* Appends the pins as texts to an array; lack of memory is told when it is printed. */
void clm_token_add_pins(const struct clm_token *token, struct clm_json *array);
/*
 * clm_token_proof() - HMAC that binds the secret to one request
 *
 * In      nonce    as the server sent it
 *         csr_der  csr_len bytes
 * Out     dst      base64url
 * Source  protocol.md 5.2, "Proof"
 */
CLM_MUST_USE enum clm_code clm_token_proof(const struct clm_token *token, const char *nonce,
                                           const uint8_t *csr_der, size_t csr_len,
                                           char dst[CLM_TOKEN_PROOF_SIZE], struct clm_err *err);
/*
 * clm_token_pin_check() - keeps of the server's certificates those the token vouches for
 *
 * In      chain    what /agent/v1/cacerts returned, over an unverified connection
 * Out     out_pem  the pinned CA certificates, appended; the only ones to trust
 * Errors  CRYPTO none is pinned, or a pinned one is no CA
 */
CLM_MUST_USE enum clm_code clm_token_pin_check(const struct clm_token *token,
                                               const struct clm_cert_chain *chain,
                                               struct clm_buf *out_pem, struct clm_err *err);

#endif
