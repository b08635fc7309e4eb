/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key - private and public keys; the private part never leaves except as PEM or DER on request
 *
 * RSA and NIST curves only. Loaded keys may be of any size from RSA 2048 to 8192 and P-256 to
 * P-521 (reliability.md 10); generated ones are of the five named types.
 */
#ifndef CLM_CRYPTO_KEY_H
#define CLM_CRYPTO_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/rng.h"

#define CLM_ES256_SIG_SIZE 64     /* bytes R and S; RFC 7518 3.4 */
#define CLM_JWK_COORD_SIZE 44     /* 43 characters of base64url and a NUL */
#define CLM_KEY_DER_MAX    16384u /* bytes; RSA 8192 takes 4.7 KiB */

enum clm_key_type {
    CLM_KEY_RSA_2048,
    CLM_KEY_RSA_3072,
    CLM_KEY_RSA_4096,
    CLM_KEY_EC_P256,
    CLM_KEY_EC_P384,
    CLM_KEY_OTHER, /* loaded, of another size; cannot be generated */
    CLM_KEY__COUNT
};

/* "rsa-2048" ... "ec-p384", "other" */
const char *clm_key_type_name(enum clm_key_type type);
/* The five names. Errors: INVAL, and the message lists them. */
CLM_MUST_USE enum clm_code clm_key_type_parse(const char *name, enum clm_key_type *out_type,
                                              struct clm_err *err);

/* ---- private keys ---- */

struct clm_key;

/*
 * clm_key_generate() - a new key pair
 *
 * Blocks  RSA 4096 for seconds
 * Effect  the generator takes fresh kernel entropy for each of its outputs meanwhile
 * Errors  INVAL type OTHER; CRYPTO; NOMEM
 */
CLM_MUST_USE enum clm_code clm_key_generate(struct clm_rng *rng, enum clm_key_type type,
                                            struct clm_key **out_key, struct clm_err *err);
/*
 * clm_key_from_pem() - the first private key of a PEM text
 *
 * In      pem  len bytes: PKCS#8, PKCS#1 or SEC1; other blocks ("EC PARAMETERS", certificates) and
 *              text around are skipped
 * Errors  NOTFOUND no private key; UNSUPPORTED encrypted, too short, or another algorithm; PARSE;
 *         LIMIT
 * Source  targets.md 21.9; RFC 5958, RFC 8017 A.1.2, RFC 5915
 */
CLM_MUST_USE enum clm_code clm_key_from_pem(const void *pem, size_t len, struct clm_key **out_key,
                                            struct clm_err *err);
/* The same from DER. Errors: UNSUPPORTED, PARSE, LIMIT. */
CLM_MUST_USE enum clm_code clm_key_from_der(const uint8_t *der, size_t len,
                                            struct clm_key **out_key, struct clm_err *err);
/* Appends "BEGIN PRIVATE KEY" (PKCS#8, unencrypted). out must be a secret buffer. */
CLM_MUST_USE enum clm_code clm_key_to_pem(const struct clm_key *key, struct clm_buf *out,
                                          struct clm_err *err);
/* The same as DER. */
CLM_MUST_USE enum clm_code clm_key_to_der(const struct clm_key *key, struct clm_buf *out,
                                          struct clm_err *err);
/* Accepts NULL. The key is wiped. */
void clm_key_free(struct clm_key *key);
CLM_DEFINE_CLEANUP(struct clm_key, clm_key_free);

enum clm_key_type clm_key_type_of(const struct clm_key *key);
/* Appends the SubjectPublicKeyInfo. */
CLM_MUST_USE enum clm_code clm_key_public_der(const struct clm_key *key, struct clm_buf *out,
                                              struct clm_err *err);
/* SHA-256 of the SubjectPublicKeyInfo; dst of CLM_SHA256_HEX_SIZE bytes. */
CLM_MUST_USE enum clm_code clm_key_spki_sha256_hex(const struct clm_key *key, char dst[65],
                                                   struct clm_err *err);
/* Coordinates of a P-256 key for a JWK. Errors: INVAL another type. */
CLM_MUST_USE enum clm_code clm_key_public_xy(const struct clm_key *key, char x[CLM_JWK_COORD_SIZE],
                                             char y[CLM_JWK_COORD_SIZE], struct clm_err *err);
/* ECDSA with SHA-256 over msg; key must be P-256. Errors: INVAL another type; CRYPTO. */
CLM_MUST_USE enum clm_code clm_key_sign_es256(struct clm_rng *rng, const struct clm_key *key,
                                              const void *msg, size_t len,
                                              uint8_t sig[CLM_ES256_SIG_SIZE], struct clm_err *err);

/* ---- public keys ---- */

struct clm_pubkey;

/* From a P-256 JWK: 43 characters each. Errors: PARSE, also for a point that is not on the curve. */
CLM_MUST_USE enum clm_code clm_pubkey_from_xy(const char *x, const char *y,
                                              struct clm_pubkey **out_pubkey, struct clm_err *err);
/* From a SubjectPublicKeyInfo, nothing behind it. Errors: PARSE, UNSUPPORTED. */
CLM_MUST_USE enum clm_code clm_pubkey_from_spki(const uint8_t *der, size_t len,
                                                struct clm_pubkey **out_pubkey,
                                                struct clm_err *err);
/* The first certificate of a PEM text. Errors: as clm_cert_chain_from_pem(). */
CLM_MUST_USE enum clm_code clm_pubkey_from_cert_pem(const void *pem, size_t len,
                                                    struct clm_pubkey **out_pubkey,
                                                    struct clm_err *err);
/* The public half of key. */
CLM_MUST_USE enum clm_code clm_pubkey_from_key(const struct clm_key *key,
                                               struct clm_pubkey **out_pubkey, struct clm_err *err);
/* Accepts NULL. */
void clm_pubkey_free(struct clm_pubkey *pubkey);
CLM_DEFINE_CLEANUP(struct clm_pubkey, clm_pubkey_free);

enum clm_key_type clm_pubkey_type_of(const struct clm_pubkey *pubkey);
/* SHA-256 of the SubjectPublicKeyInfo. */
CLM_MUST_USE enum clm_code clm_pubkey_spki_sha256_hex(const struct clm_pubkey *pubkey, char dst[65],
                                                      struct clm_err *err);
/* Errors: CRYPTO if the signature is not by this key over msg; INVAL if the key is not P-256. */
CLM_MUST_USE enum clm_code clm_pubkey_verify_es256(const struct clm_pubkey *pubkey, const void *msg,
                                                   size_t len,
                                                   const uint8_t sig[CLM_ES256_SIG_SIZE],
                                                   struct clm_err *err);

#endif
