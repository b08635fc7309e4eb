/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca - issues certificates: the control plane's built-in CA, and test certificates
 *
 * Serial numbers are 16 random bytes, the signature hash follows the issuer's key (SHA-384 for
 * P-384, else SHA-256). Key usage follows the kind of certificate. Nothing is remembered here.
 */
#ifndef CLM_CRYPTO_CA_H
#define CLM_CRYPTO_CA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/model/csr_spec.h"
#include "agent/model/names.h"

/* Everything is borrowed. Zero-initialise it. */
struct clm_ca_issue {
    const char *common_name;           /* at most 64 characters; NULL or "": no CN */
    const char *organization;          /* NULL or "": none */
    const struct clm_subject *subject; /* instead of the two above; NULL: none */
    const struct clm_names *names;
    const struct clm_strs *emails; /* SAN e-mail, ASCII */
    const struct clm_strs *uris;   /* SAN URI, ASCII */
    const uint8_t *spki;           /* the subject's public key, as in struct clm_csr_info */
    size_t spki_len;
    int64_t not_before_s;
    int64_t not_after_s; /* inclusive (RFC 5280 4.1.2.5) */
    bool is_ca;
    int path_len; /* for a CA: intermediates allowed below; negative: no limit */
    bool eku_server;
    bool eku_client;
    bool must_staple;
    const struct clm_cert_chain *issuer; /* its first certificate signs */
    const struct clm_key *issuer_key;
};

/*
 * clm_ca_issue() - a certificate signed by issue->issuer_key
 *
 * Out     out_pem  appended, one block
 * Errors  INVAL dates, names or subject; CRYPTO the issuer is no CA, its key is another, or signing
 *         failed; PARSE the public key
 * Source  RFC 5280 4
 */
CLM_MUST_USE enum clm_code clm_ca_issue(struct clm_rng *rng, const struct clm_ca_issue *issue,
                                        struct clm_buf *out_pem, struct clm_err *err);
/* The same signed by its own key; spki, issuer and issuer_key of issue are not looked at. */
CLM_MUST_USE enum clm_code clm_ca_self_signed(struct clm_rng *rng, const struct clm_key *key,
                                              const struct clm_ca_issue *issue,
                                              struct clm_buf *out_pem, struct clm_err *err);

#endif
