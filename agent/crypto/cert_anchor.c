/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust, where root on the host asks for it: some certificate of the chain is one of the CAs, or was
 * signed by one that is valid and a CA. Files of CAs have hundreds, so they are read one by one.
 */
#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/internal.h"

static bool is_same(const mbedtls_x509_crt *a, const mbedtls_x509_crt *b)
{
    return a->raw.len == b->raw.len && memcmp(a->raw.p, b->raw.p, a->raw.len) == 0;
}

/* OK, CRYPTO, or NOMEM: does this CA end the chain? No message. */
static enum clm_code ends_chain(const struct clm_cert_chain *chain, const mbedtls_x509_crt *ca,
                                int64_t now_s, int64_t skew_s)
{
    if (ca->CLM_MBED(ca_istrue) == 0 ||
        clm_cert_check_dates(ca, "CA", now_s, skew_s, NULL) != CLM_OK) {
        return CLM_E_CRYPTO;
    }
    for (size_t i = 0; i < chain->n; i++) {
        enum clm_code code = CLM_E_CRYPTO;

        if (i > 0 && is_same(chain->crt[i], ca)) {
            return CLM_OK;
        }
        if (chain->crt[i]->issuer_raw.len == ca->subject_raw.len &&
            memcmp(chain->crt[i]->issuer_raw.p, ca->subject_raw.p, ca->subject_raw.len) == 0) {
            code = clm_cert_signed_by(chain->crt[i], ca);
        }
        if (code != CLM_E_CRYPTO) {
            return code;
        }
    }
    return CLM_E_CRYPTO;
}

static enum clm_code find_anchor(const struct clm_cert_chain *chain, const void *pem, size_t len,
                                 int64_t now_s, int64_t skew_s, struct clm_err *err)
{
    const char *text = pem;
    size_t n = 0;
    struct clm_armor block;
    enum clm_code code;

    for (;;) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CERT_DER_MAX);
        CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *one = NULL;

        code = clm_armor_next(&text, &len, &block, err);
        if (code == CLM_E_NOTFOUND) {
            return n > 0 ? CLM_E_CRYPTO
                         : clm_err_set(err, CLM_E_NOTFOUND, "there is no certificate in it");
        }
        if (code != CLM_OK) {
            return code;
        }
        if (strcmp(block.label, "CERTIFICATE") != 0) {
            continue;
        }
        n++;
        code = clm_armor_decode(&block, &der, err);
        if (code == CLM_OK) {
            code = clm_cert_chain_from_der(der.data, der.len, &one, err);
        }
        if (code == CLM_OK) {
            code = ends_chain(chain, one->crt[0], now_s, skew_s);
        }
        if (code == CLM_OK || code == CLM_E_NOMEM || code == CLM_E_PARSE) {
            return code;
        }
    }
}

enum clm_code clm_cert_gate_anchor(const struct clm_bundle *bundle, const void *pem, size_t len,
                                   int64_t now_s, int64_t skew_s, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf all = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info last = {.is_ca = false};
    enum clm_code code = clm_buf_add(&all, bundle->leaf_pem.data, bundle->leaf_pem.len, err);

    if (code == CLM_OK) {
        code = clm_buf_add(&all, bundle->chain_pem.data, bundle->chain_pem.len, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(all.data, all.len, &chain, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = find_anchor(chain, pem, len, now_s, skew_s, err);
    if (code != CLM_E_CRYPTO) {
        return code;
    }
    code = clm_cert_info(chain, chain->n - 1, &last, err);
    return code != CLM_OK
               ? code
               : clm_err_set(err, CLM_E_CRYPTO,
                             "chain does not end at a CA in the file: '%.120s' was issued by "
                             "'%.120s'",
                             last.subject, last.issuer);
}
