/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/holder.h"

#include <string.h>

#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/internal.h"

void clm_holder_done(struct clm_holder *holder)
{
    clm_subject_done(&holder->subject);
    clm_sans_done(&holder->sans);
    clm_strs_done(&holder->left_out);
    memset(holder, 0, sizeof(*holder));
}

static enum clm_code read_extensions(const mbedtls_x509_crt *crt, struct clm_holder *out,
                                     struct clm_err *err)
{
    CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info ext = {.has_san = false};
    enum clm_code code =
        clm_ext_read(crt->v3_ext.p, crt->v3_ext.len, CLM_EXT_NAMES_STRICT, &ext, err);

    if (code != CLM_OK) {
        return code;
    }
    out->must_staple = ext.must_staple;
    out->has_eku = ext.has_eku;
    out->eku_server = ext.eku_server;
    out->eku_client = ext.eku_client;
    out->sans = (struct clm_sans){ext.names, ext.emails, ext.uris}; /* moved */
    ext.names = (struct clm_names){.dns = {NULL, 0}};
    ext.emails = (struct clm_strs){NULL, 0};
    ext.uris = (struct clm_strs){NULL, 0};
    return ext.has_other_san
               ? clm_strs_add(&out->left_out, "a subject alternative name of another kind", err)
               : CLM_OK;
}

/* Certificates of before RFC 2818: the common name is the only name. */
static enum clm_code name_from_subject(struct clm_holder *out, struct clm_err *err)
{
    const char *cn = clm_subject_value(&out->subject, CLM_SUBJECT_CN);
    enum clm_code code = CLM_OK;

    if (cn == NULL || clm_sans_count(&out->sans) > 0) {
        return CLM_OK;
    }
    code = clm_sans_add(&out->sans, CLM_SAN_IP, cn, NULL);
    if (code == CLM_E_INVAL) {
        code = clm_sans_add(&out->sans, CLM_SAN_DNS, cn, NULL);
    }
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "certificate: no memory") : CLM_OK;
}

static enum clm_hash hash_of(const mbedtls_x509_crt *crt)
{
    for (int i = 0; i < CLM_HASH__COUNT; i++) {
        if (clm_hash_md((enum clm_hash)i) == crt->CLM_MBED(sig_md)) {
            return (enum clm_hash)i;
        }
    }
    return CLM_HASH_SHA256; /* SHA-1 and older are not repeated */
}

enum clm_code clm_holder_from_cert(const struct clm_cert_chain *chain, size_t i,
                                   struct clm_holder *out, struct clm_err *err)
{
    const mbedtls_x509_crt *crt = chain->crt[i];
    enum clm_code code;

    memset(out, 0, sizeof(*out));
    code =
        clm_dn_read(crt->subject_raw.p, crt->subject_raw.len, &out->subject, &out->left_out, err);
    if (code == CLM_OK) {
        code = read_extensions(crt, out, err);
    }
    if (code == CLM_OK) {
        code = name_from_subject(out, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "certificate");
    }
    out->key_type = clm_pk_type(&crt->pk);
    clm_pk_type_text(&crt->pk, out->key_text);
    out->hash = hash_of(crt);
    return CLM_OK;
}

struct clm_csr_request clm_csr_request_from_holder(const struct clm_holder *holder)
{
    return (struct clm_csr_request){
        .subject = &holder->subject,
        .names = &holder->sans.names,
        .emails = &holder->sans.emails,
        .uris = &holder->sans.uris,
        .hash = holder->hash,
        .must_staple = holder->must_staple,
        .eku_server = holder->eku_server || !holder->has_eku,
        .eku_client = holder->eku_client,
    };
}
