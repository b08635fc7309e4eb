/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jws - JSON web signatures with ES256: jobs and trust documents (protocol.md 8.2), ACME (RFC 8555)
 *
 * Verification comes before parsing: what clm_jws_verify() returns are the signed bytes, which the
 * caller then parses. No algorithm is negotiated, no key is taken from a message.
 */
#ifndef CLM_CRYPTO_JWS_H
#define CLM_CRYPTO_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/crypto/key.h"
#include "agent/crypto/rng.h"

#define CLM_JWS_PAYLOAD_MAX     65536u /* bytes; protocol.md 6.4 */
#define CLM_JWS_HEADER_MAX      2048u  /* bytes of the protected header, decoded */
#define CLM_JWS_SIGNATURES_MAX  8
#define CLM_JWS_KID_MAX         256 /* bytes, NUL included */
#define CLM_JWK_THUMBPRINT_SIZE 44  /* 43 characters and a NUL */

#define CLM_JWS_TYP_JOB     "clm-job+jws"
#define CLM_JWS_TYP_TRUST   "clm-trust+jws"
#define CLM_JWS_TYP_RECOVER "clm-recover+jws"

/* ---- signing ---- */

/* The three parts, base64url. clm_jws_done() frees them. */
struct clm_jws {
    struct clm_buf protected_b64;
    struct clm_buf payload_b64;
    struct clm_buf signature_b64;
};
#define CLM_JWS_INIT                                                                               \
    {                                                                                              \
        .protected_b64 = CLM_BUF_INIT(2 * (size_t)CLM_JWS_HEADER_MAX),                             \
        .payload_b64 = CLM_BUF_INIT(2 * (size_t)CLM_JWS_PAYLOAD_MAX),                              \
        .signature_b64 = CLM_BUF_INIT(2 * (size_t)CLM_ES256_SIG_SIZE)                              \
    }
void clm_jws_done(struct clm_jws *jws);

/* The protected header of a job: {"alg":"ES256","kid":...,"typ":"clm-job+jws","crit":["clmv"],
 * "clmv":1}; of every other typ without crit and clmv. Appended. Errors: INVAL kid. */
CLM_MUST_USE enum clm_code clm_jws_header(const char *typ, const char *kid, struct clm_buf *out,
                                          struct clm_err *err);
/*
 * clm_jws_sign_es256() - signs payload under a protected header
 *
 * In      key             P-256
 *         protected_json  signed as it stands
 *         payload         signed as it stands; NULL: empty (POST-as-GET, RFC 8555 6.3)
 * Out     out             overwritten
 * Errors  INVAL another key type; LIMIT; CRYPTO
 */
CLM_MUST_USE enum clm_code clm_jws_sign_es256(struct clm_rng *rng, const struct clm_key *key,
                                              const char *protected_json,
                                              const struct clm_buf *payload, struct clm_jws *out,
                                              struct clm_err *err);
/* Sets obj to the general serialisation: {"payload","signatures":[{"protected","signature"}]}. */
void clm_jws_to_json(const struct clm_jws *jws, struct clm_json *obj);
/* Sets obj to the flattened serialisation: {"protected","payload","signature"}. */
void clm_jws_to_flat_json(const struct clm_jws *jws, struct clm_json *obj);

/* ---- verification ---- */

/*
 * Finds the key of that kid. *out_key is borrowed and lives until the verification returns. An
 * answer other than CLM_OK means "no such key, or not for this purpose, or expired"; err may say.
 */
typedef enum clm_code (*clm_jws_key_fn)(void *ctx, const char *kid,
                                        const struct clm_pubkey **out_key, struct clm_err *err);

struct clm_jws_policy {
    const char *typ;  /* required value; for CLM_JWS_TYP_JOB crit and clmv are required, too */
    size_t threshold; /* valid signatures by distinct kids; 0 is 1 */
    clm_jws_key_fn find_key;
    void *find_ctx;
};

/*
 * clm_jws_verify() - the signed bytes, if enough trusted keys signed them
 *
 * In      jws     general serialisation; unknown members are refused
 * Out     payload overwritten; empty on error
 * Errors  PARSE malformed, unknown header members, another typ, alg or crit; LIMIT payload beyond
 *         CLM_JWS_PAYLOAD_MAX; CRYPTO a wrong signature, an unknown key, too few signatures. All
 *         mean: do not execute.
 * Source  protocol.md 8.2 items 1 to 3; RFC 7515 5.2
 */
CLM_MUST_USE enum clm_code clm_jws_verify(const struct clm_json *jws,
                                          const struct clm_jws_policy *policy,
                                          struct clm_buf *payload, struct clm_err *err);
/* The same for the flattened serialisation ("proof" of protocol.md 7.5) with a key already known;
 * the header is {"alg","typ"} and may have a kid. */
CLM_MUST_USE enum clm_code clm_jws_verify_flat(const struct clm_json *jws, const char *typ,
                                               const struct clm_pubkey *pubkey,
                                               struct clm_buf *payload, struct clm_err *err);

/* ---- ACME ---- */

struct clm_acme_request {
    const char *url;
    const char *nonce; /* NULL: none (inner JWS of a key change, RFC 8555 7.3.5) */
    const char *kid;   /* account URL; NULL: the public key itself is in the header */
};
/* Appends the flattened JWS as text. payload NULL: POST-as-GET. Errors: as clm_jws_sign_es256(). */
CLM_MUST_USE enum clm_code clm_acme_sign(struct clm_rng *rng, const struct clm_key *key,
                                         const struct clm_acme_request *request,
                                         const struct clm_buf *payload, struct clm_buf *out,
                                         struct clm_err *err);
struct clm_acme_eab {
    const char *kid;
    const char *hmac_b64url; /* as the CA gave it; a secret */
    const char *url;         /* newAccount */
};
/* Sets obj to the external account binding of key (RFC 8555 7.3.4, HS256). Errors: PARSE the HMAC
 * key; INVAL another key type. */
CLM_MUST_USE enum clm_code clm_acme_eab(const struct clm_key *key, const struct clm_acme_eab *eab,
                                        struct clm_json *obj, struct clm_err *err);
/* Sets obj to {"crv","kty","x","y"}. Errors: INVAL not P-256. */
CLM_MUST_USE enum clm_code clm_jwk_public(const struct clm_key *key, struct clm_json *obj,
                                          struct clm_err *err);
/* Reads such an object; other members are ignored. Errors: PARSE. */
CLM_MUST_USE enum clm_code clm_jwk_parse(const struct clm_json *obj, struct clm_pubkey **out_pubkey,
                                         struct clm_err *err);
/* RFC 7638. Errors: INVAL not P-256. */
CLM_MUST_USE enum clm_code clm_jwk_thumbprint(const struct clm_key *key,
                                              char dst[CLM_JWK_THUMBPRINT_SIZE],
                                              struct clm_err *err);
/* Appends "<token>.<thumbprint>" (RFC 8555 8.1). Errors: INVAL a token that is not base64url. */
CLM_MUST_USE enum clm_code clm_acme_key_authorization(const struct clm_key *key, const char *token,
                                                      struct clm_buf *out, struct clm_err *err);

#endif
