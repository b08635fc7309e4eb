/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several servers do not notice a wrong pair or a broken chain in their own configuration test
 * (targets.md 0.6), so this gate stands in front of every installation.
 */
#include <string.h>

#include "agent/crypto/ext.h"
#include "agent/crypto/internal.h"

static enum clm_code split_pem(const struct clm_cert_chain *chain, struct clm_bundle *out,
                               struct clm_err *err)
{
    enum clm_code code = clm_cert_chain_pem(chain, 0, &out->leaf_pem, err);

    for (size_t i = 1; i < chain->n && code == CLM_OK; i++) {
        code = clm_cert_chain_pem(chain, i, &out->chain_pem, err);
    }
    return code;
}

enum clm_code clm_bundle_from_pem(const void *pem, size_t len, struct clm_bundle *out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    enum clm_code code = clm_cert_chain_from_pem(pem, len, &chain, err);

    if (code == CLM_OK) {
        code = clm_cert_chain_sort(chain, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_cert_info_done(&out->leaf);
    clm_buf_reset(&out->leaf_pem);
    clm_buf_reset(&out->chain_pem);
    code = clm_cert_info(chain, 0, &out->leaf, err);
    if (code == CLM_OK) {
        code = split_pem(chain, out, err);
    }
    return code;
}

static enum clm_code check_names(const mbedtls_x509_crt *leaf, const struct clm_names *wanted,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_names_done) struct clm_names have = {.dns = {NULL, 0}};
    const char *name = NULL;
    enum clm_code code = clm_cert_names_strict(leaf, &have, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "certificate");
    }
    if (!clm_names_is_subset(wanted, &have, &name)) {
        return clm_err_set(err, CLM_E_CRYPTO, "certificate lacks the name '%s'", name);
    }
    if (!clm_names_is_subset(&have, wanted, &name)) {
        return clm_err_set(err, CLM_E_CRYPTO, "certificate names '%s', which was not asked for",
                           name);
    }
    return CLM_OK;
}

static enum clm_code check_purpose(const mbedtls_x509_crt *leaf, struct clm_err *err)
{
    CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info ext = {.has_san = false};
    enum clm_code code =
        clm_ext_read(leaf->v3_ext.p, leaf->v3_ext.len, CLM_EXT_NAMES_LENIENT, &ext, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "certificate");
    }
    if (leaf->CLM_MBED(ca_istrue) != 0) {
        return clm_err_set(err, CLM_E_CRYPTO, "certificate is not for servers: it is a CA's");
    }
    if (ext.has_eku && !ext.eku_server) {
        return clm_err_set(err, CLM_E_CRYPTO,
                           "certificate is not for servers: its extended key usage lacks "
                           "serverAuth");
    }
    return CLM_OK;
}

static enum clm_code parse_bundle(const struct clm_bundle *bundle,
                                  struct clm_cert_chain **out_chain, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *leaf = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf all = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    enum clm_code code =
        clm_cert_chain_from_pem(bundle->leaf_pem.data, bundle->leaf_pem.len, &leaf, err);

    if (code == CLM_OK && leaf->n != 1) {
        (void)clm_err_set(err, CLM_E_CRYPTO, "bundle has %zu leaf certificates", leaf->n);
        return CLM_E_CRYPTO;
    }
    if (code == CLM_OK) {
        code = clm_buf_add(&all, bundle->leaf_pem.data, bundle->leaf_pem.len, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(&all, "\n", err);
    }
    if (code == CLM_OK && bundle->chain_pem.len > 0) {
        code = clm_buf_add(&all, bundle->chain_pem.data, bundle->chain_pem.len, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    return clm_cert_chain_from_pem(all.data, all.len, out_chain, err);
}

enum clm_code clm_cert_gate(const struct clm_bundle *bundle, const struct clm_key *key,
                            const struct clm_names *wanted, int64_t now_s, int64_t skew_s,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    enum clm_code code = parse_bundle(bundle, &chain, err);

    if (code != CLM_OK) {
        return code;
    }
    if (key != NULL) {
        code = clm_cert_check_key(chain->crt[0], key);
    }
    if (code != CLM_OK) {
        return clm_err_set(err, code,
                           code == CLM_E_NOMEM ? "certificate: no memory"
                                               : "certificate is for another key");
    }
    if (wanted != NULL) {
        code = check_names(chain->crt[0], wanted, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_check_dates(chain->crt[0], "certificate", now_s, skew_s, err);
    }
    if (code == CLM_OK && wanted != NULL) {
        code = check_purpose(chain->crt[0], err);
    }
    if (code == CLM_OK && wanted != NULL) {
        code = clm_cert_check_clients(chain, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_verify(chain, now_s, skew_s, err);
    }
    return code;
}
