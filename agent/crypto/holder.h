/* SPDX-License-Identifier: Apache-2.0 */
/* holder - what a certificate says of its holder, in the terms of a request for the next one */
#ifndef CLM_CRYPTO_HOLDER_H
#define CLM_CRYPTO_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/model/csr_spec.h"

struct clm_holder {
    struct clm_subject subject;
    struct clm_sans sans;     /* the common name, if it is a name and there are no others */
    struct clm_strs left_out; /* "serialNumber=42": what a request of ours cannot repeat */
    enum clm_key_type key_type;
    char key_text[16];  /* "rsa-2048", "ec-p521", "rsa-8192": also what key_type calls other */
    enum clm_hash hash; /* of the issuer's signature if we know it, else SHA-256 */
    bool must_staple;
    bool has_eku;
    bool eku_server;
    bool eku_client;
};
void clm_holder_done(struct clm_holder *holder); /* for CLM_CLEANUP */

/* Of certificate i. out is overwritten; for clm_holder_done() also after an error.
 * Errors: PARSE a name that is no host name, e-mail address or URI; LIMIT; NOMEM. */
CLM_MUST_USE enum clm_code clm_holder_from_cert(const struct clm_cert_chain *chain, size_t i,
                                                struct clm_holder *out, struct clm_err *err);

/* Everything but the key: borrowed from holder. */
struct clm_csr_request clm_csr_request_from_holder(const struct clm_holder *holder);

#endif
