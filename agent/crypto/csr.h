/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr - certificate requests (PKCS#10, RFC 2986) with the extensions servers need
 *
 * Built by the host half beside the key, read by the control plane and by issuers. A request that
 * was parsed is one whose signature proves possession of the key.
 */
#ifndef CLM_CRYPTO_CSR_H
#define CLM_CRYPTO_CSR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/crypto/key.h"
#include "agent/model/csr_spec.h"
#include "agent/model/names.h"
#include "agent/model/probe.h"

#define CLM_CSR_MAX 16384u /* bytes of DER; protocol.md 6.4 */

struct clm_cert_chain;

enum clm_hash {
    CLM_HASH_SHA256,
    CLM_HASH_SHA384,
    CLM_HASH_SHA512,
    CLM_HASH__COUNT
};
/* "sha256", "sha384", "sha512" */
const char *clm_hash_name(enum clm_hash hash);
CLM_MUST_USE enum clm_code clm_hash_parse(const char *name, enum clm_hash *out_hash,
                                          struct clm_err *err);

/* Everything is borrowed and may be NULL or empty; UTF-8. Zero-initialise it. */
struct clm_csr_request {
    const char *common_name;           /* at most 64 characters (RFC 5280 A.1) */
    const char *organization;          /* at most 64 */
    const struct clm_strs *ous;        /* organizational units, at most 64 each */
    const char *locality;              /* at most 128 */
    const char *state;                 /* at most 128 */
    const char *country;               /* two capital letters */
    const char *email;                 /* at most 255, ASCII */
    const struct clm_subject *subject; /* instead of the seven above; NULL: they count */
    const struct clm_names *names;
    const struct clm_strs *emails; /* subject alternative names of kind e-mail */
    const struct clm_strs *uris;   /* the same of kind URI */
    const struct clm_buf
        *challenge_password; /* 1..255 bytes of UTF-8 (RFC 2985 5.4.1); NULL none */
    enum clm_hash hash;
    bool must_staple; /* TLS feature status_request (RFC 7633) */
    bool eku_server;
    bool eku_client;
};

/*
 * clm_csr_build() - a signed request
 *
 * Out     out_der  appended
 * Errors  INVAL a subject attribute that is too long or of wrong characters; CRYPTO
 */
CLM_MUST_USE enum clm_code clm_csr_build(struct clm_rng *rng, const struct clm_key *key,
                                         const struct clm_csr_request *request,
                                         struct clm_buf *out_der, struct clm_err *err);

struct clm_csr_info {
    char subject[256];     /* "O=Example, CN=www.example.com"; cut off with "..." */
    char common_name[65];  /* "" if there is none */
    struct clm_subject dn; /* what clm_dn_read() takes of the subject */
    struct clm_names names;
    struct clm_strs emails;
    struct clm_strs uris;
    enum clm_key_type key_type;
    enum clm_hash hash; /* of its signature */
    char spki_sha256[CLM_SHA256_HEX_SIZE];
    char sha256[CLM_SHA256_HEX_SIZE]; /* of the whole request */
    struct clm_buf spki_der;
    bool must_staple;
    bool eku_server;
    bool eku_client;
    bool has_challenge_password;
    bool has_other_names; /* alternative names of a kind that is not listed above */
    bool has_other_eku;   /* a purpose besides server and client */
    bool wants_ca;        /* asks to be a CA */
};
void clm_csr_info_done(struct clm_csr_info *info); /* for CLM_CLEANUP */

/*
 * clm_csr_parse() - reads a request and verifies its signature
 *
 * In      der  len bytes, nothing behind the request
 * Out     out  overwritten; for clm_csr_info_done() also after an error
 * Errors  PARSE malformed, or a name that is no host name; CRYPTO the signature is not by the key
 *         in the request; UNSUPPORTED algorithm or key size; LIMIT
 */
CLM_MUST_USE enum clm_code clm_csr_parse(const uint8_t *der, size_t len, struct clm_csr_info *out,
                                         struct clm_err *err);

/* Appends "BEGIN CERTIFICATE REQUEST". */
CLM_MUST_USE enum clm_code clm_csr_to_pem(const uint8_t *der, size_t len, struct clm_buf *out,
                                          struct clm_err *err);
/* Appends the DER of the first request ("NEW CERTIFICATE REQUEST" too). Errors: NOTFOUND, PARSE. */
CLM_MUST_USE enum clm_code clm_csr_from_pem(const void *pem, size_t len, struct clm_buf *out_der,
                                            struct clm_err *err);

/*
 * clm_csr_from_text() - a finished request as somebody handed it in
 *
 * In      pem  of at most CLM_CSR_PEM_MAX bytes: exactly one request; text around it is skipped
 * Out     out_der  appended
 *         out      as of clm_csr_parse()
 * Errors  PARSE also for a block of another kind (a private key is named as such, and nothing of it
 *         is repeated); NOTFOUND, LIMIT, CRYPTO, UNSUPPORTED
 */
CLM_MUST_USE enum clm_code clm_csr_from_text(const char *pem, struct clm_buf *out_der,
                                             struct clm_csr_info *out, struct clm_err *err);

/*
 * clm_csr_compare() - what a CA changed against the request
 *
 * In      asked  the request
 *         chain  whose first certificate was issued for it
 * Out     out    one short sentence for each change, appended; nothing if it is as asked
 * Errors  NOMEM, PARSE
 */
CLM_MUST_USE enum clm_code clm_csr_compare(const struct clm_csr_info *asked,
                                           const struct clm_cert_chain *chain, struct clm_strs *out,
                                           struct clm_err *err);

#endif
