/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/csr.h"

#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/internal.h"

static bool has_extensions(const struct clm_csr_request *request)
{
    return clm_ext_has_san(request->names, request->uris) || request->must_staple ||
           request->eku_server || request->eku_client;
}

/* attributes [0] { extensionRequest (RFC 2985 5.4.2) } */
static void write_attributes(struct clm_der *w, const struct clm_csr_request *request)
{
    clm_der_open(w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    if (has_extensions(request)) {
        clm_der_open(w, CLM_DER_SEQUENCE);
        clm_der_oid(w, CLM_OID(CLM_OID_EXT_REQUEST));
        clm_der_open(w, CLM_DER_SET);
        clm_der_open(w, CLM_DER_SEQUENCE);
        clm_ext_write_san(w, request->names, request->uris, false);
        clm_ext_write_eku(w, request->eku_server, request->eku_client);
        if (request->must_staple) {
            clm_ext_write_must_staple(w);
        }
        clm_der_close(w);
        clm_der_close(w);
        clm_der_close(w);
    }
    clm_der_close(w);
}

static enum clm_code write_info(const struct clm_key *key, const struct clm_csr_request *request,
                                struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    enum clm_code code = clm_key_public_der(key, &spki, err);
    const struct clm_dn subject = {
        .country = request->country,
        .state = request->state,
        .locality = request->locality,
        .organization = request->organization,
        .ous = request->ous,
        .common_name = request->common_name,
        .email = request->email,
    };
    struct clm_der w;

    if (code != CLM_OK) {
        return code;
    }
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_small_int(&w, 0); /* v1 */
    clm_dn_write(&w, &subject);
    clm_der_raw(&w, spki.data, spki.len);
    write_attributes(&w, request);
    clm_der_close(&w);
    return clm_der_done(&w);
}

enum clm_code clm_csr_build(struct clm_rng *rng, const struct clm_key *key,
                            const struct clm_csr_request *request, struct clm_buf *out_der,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf info = CLM_BUF_INIT(CLM_CSR_MAX);
    enum clm_code code = write_info(key, request, &info, err);

    if (code == CLM_OK) {
        code = clm_sign_der(rng, key, request->hash, &info, out_der, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "certificate request");
    }
    return CLM_OK;
}

enum clm_code clm_csr_to_pem(const uint8_t *der, size_t len, struct clm_buf *out,
                             struct clm_err *err)
{
    return clm_armor_write("CERTIFICATE REQUEST", der, len, out, err);
}

enum clm_code clm_csr_from_pem(const void *pem, size_t len, struct clm_buf *out_der,
                               struct clm_err *err)
{
    const char *text = pem;
    struct clm_armor block;

    for (;;) {
        enum clm_code code = clm_armor_next(&text, &len, &block, err);

        if (code == CLM_E_NOTFOUND) {
            return clm_err_set(err, code, "there is no certificate request");
        }
        if (code != CLM_OK) {
            return code;
        }
        if (strcmp(block.label, "CERTIFICATE REQUEST") == 0 ||
            strcmp(block.label, "NEW CERTIFICATE REQUEST") == 0) {
            return clm_armor_decode(&block, out_der, err);
        }
    }
}
