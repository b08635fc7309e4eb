/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - what the files of this folder share; nobody else includes it
 *
 * Mbed TLS wants mutable contexts even where it only reads. The structs therefore hold pointers to
 * them, so that our own API can be const.
 */
#ifndef CLM_CRYPTO_INTERNAL_H
#define CLM_CRYPTO_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/der.h"
#include "agent/crypto/key.h"
#include "agent/crypto/mbed_compat.h"
#include "agent/crypto/rng.h"

struct clm_key {
    mbedtls_pk_context *pk;
};

struct clm_pubkey {
    mbedtls_pk_context *pk;
};

struct clm_cert_chain {
    size_t n;
    mbedtls_x509_crt *crt[CLM_CERT_CHAIN_MAX];
};

/* ---- mbed.c ---- */

/* Starts an error with ": <what Mbed TLS says>" behind the text; NOMEM if that is what rc means. */
enum clm_code clm_mbed_err(struct clm_err *err, enum clm_code code, int rc, const char *fmt, ...)
    CLM_PRINTF(4, 5);
/* The high-level part of a combined error, e.g. MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG of -0x262e. */
int clm_mbed_high(int rc);
/* So that a lack of memory is not taken for a wrong signature or key. */
bool clm_mbed_is_nomem(int rc);

/* ---- rng.c ---- */

/* Prediction resistance: kernel entropy goes into every single output. */
void clm_rng_set_fresh(struct clm_rng *rng, bool on);

/* ---- key.c ---- */

mbedtls_pk_context *clm_pk_new(void);
void clm_pk_free(mbedtls_pk_context *pk); /* accepts NULL; wipes */
CLM_DEFINE_CLEANUP(mbedtls_pk_context, clm_pk_free);
enum clm_key_type clm_pk_type(const mbedtls_pk_context *pk);
/* "rsa-<bits>", "ec-p256", "ec-p384", "ec-p521", "other" */
void clm_pk_type_text(const mbedtls_pk_context *pk, char dst[16]);
/* UNSUPPORTED unless RSA 2048..8192 or P-256, P-384, P-521. */
CLM_MUST_USE enum clm_code clm_pk_check(const mbedtls_pk_context *pk, struct clm_err *err);
/* Appends the SubjectPublicKeyInfo. */
CLM_MUST_USE enum clm_code clm_pk_spki(mbedtls_pk_context *pk, struct clm_buf *out,
                                       struct clm_err *err);
CLM_MUST_USE enum clm_code clm_pk_spki_hex(mbedtls_pk_context *pk, char dst[65],
                                           struct clm_err *err);

/* ---- sign.c ---- */

struct clm_signature_alg {
    enum clm_hash hash;
    bool is_rsa;
};
mbedtls_md_type_t clm_hash_md(enum clm_hash hash);
/* Writes SEQUENCE { tbs, algorithm, signature }: the outer form of requests and certificates. */
CLM_MUST_USE enum clm_code clm_sign_der(struct clm_rng *rng, const struct clm_key *key,
                                        enum clm_hash hash, const struct clm_buf *tbs,
                                        struct clm_buf *out, struct clm_err *err);
/* Writes the AlgorithmIdentifier of key's signatures with hash. */
void clm_sign_alg(struct clm_der *w, const struct clm_key *key, enum clm_hash hash);
/* Reads the content of an AlgorithmIdentifier. False if it is none of ours. */
bool clm_sign_alg_read(const struct clm_tlv *alg, struct clm_signature_alg *out);

/* ---- cert.c ---- */

int64_t clm_cert_time(const mbedtls_x509_time *t);
/* SANs only, no fallback to the CN; a name that is no host name is PARSE. */
CLM_MUST_USE enum clm_code clm_cert_names_strict(const mbedtls_x509_crt *crt, struct clm_names *out,
                                                 struct clm_err *err);
/* Adds one certificate in DER to the end. Errors: PARSE, LIMIT, UNSUPPORTED, NOMEM. */
CLM_MUST_USE enum clm_code clm_cert_chain_add(struct clm_cert_chain *chain, const uint8_t *der,
                                              size_t len, struct clm_err *err);
/* CRYPTO: key is not the private half; NOMEM: not known. No message. */
CLM_MUST_USE enum clm_code clm_cert_check_key(const mbedtls_x509_crt *crt,
                                              const struct clm_key *key);
/* "CN=..." of the subject in dst of 256 bytes. */
void clm_cert_subject(const mbedtls_x509_crt *crt, char dst[256]);

/* ---- cert_chain.c ---- */

/* CRYPTO: it was not; NOMEM: not known. No message. */
CLM_MUST_USE enum clm_code clm_cert_signed_by(const mbedtls_x509_crt *child,
                                              const mbedtls_x509_crt *issuer);
/* Signatures in the given order, CA flags, path lengths, dates of everything behind the leaf. */
CLM_MUST_USE enum clm_code clm_cert_chain_verify(const struct clm_cert_chain *chain, int64_t now_s,
                                                 int64_t skew_s, struct clm_err *err);
/* Weak digests, weak keys of issuers, critical extensions nobody knows: what no client accepts. */
CLM_MUST_USE enum clm_code clm_cert_check_clients(const struct clm_cert_chain *chain,
                                                  struct clm_err *err);
/* Dates of one certificate; what starts the message: "certificate". */
CLM_MUST_USE enum clm_code clm_cert_check_dates(const mbedtls_x509_crt *crt, const char *what,
                                                int64_t now_s, int64_t skew_s, struct clm_err *err);

#endif
