/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every client refuses, although signatures, names and dates are right. A CA that issues such a
 * certificate would take the server off the net, and a handshake that trusts nobody proves nothing.
 */
#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/internal.h"

static bool is_weak_digest(mbedtls_md_type_t md)
{
    return md != MBEDTLS_MD_SHA224 && md != MBEDTLS_MD_SHA256 && md != MBEDTLS_MD_SHA384 &&
           md != MBEDTLS_MD_SHA512;
}

static enum clm_code check_one(const mbedtls_x509_crt *crt, bool is_leaf, struct clm_err *err)
{
    mbedtls_pk_context pk = crt->pk; /* a view, as in clm_cert_signed_by() */

    if (is_weak_digest(crt->CLM_MBED(sig_md))) {
        return clm_err_set(err, CLM_E_CRYPTO, "it is signed with MD5 or SHA-1");
    }
    if (!is_leaf && clm_pk_check(&pk, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_CRYPTO, "its key is too weak or of an unknown kind");
    }
    return clm_ext_check_critical(crt->v3_ext.p, crt->v3_ext.len, err);
}

enum clm_code clm_cert_check_clients(const struct clm_cert_chain *chain, struct clm_err *err)
{
    for (size_t i = 0; i < chain->n; i++) {
        char subject[CLM_DN_TEXT_SIZE];
        enum clm_code code = check_one(chain->crt[i], i == 0, err);

        if (code != CLM_OK) {
            clm_cert_subject(chain->crt[i], subject);
            return clm_err_wrap(err, code, "clients refuse %scertificate '%.200s'",
                                i == 0 ? "" : "CA ", subject);
        }
    }
    return CLM_OK;
}
