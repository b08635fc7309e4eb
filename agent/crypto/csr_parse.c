/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read with our own reader: Mbed TLS 2.28 does not look at the extensions of a request, and no
 * version of it verifies the signature by itself.
 */
#include <string.h>

#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/internal.h"

void clm_csr_info_done(struct clm_csr_info *info)
{
    clm_subject_done(&info->dn);
    clm_names_done(&info->names);
    clm_strs_done(&info->emails);
    clm_strs_done(&info->uris);
    clm_buf_done(&info->spki_der);
    *info = (struct clm_csr_info){.spki_der = CLM_BUF_INIT(CLM_CSR_MAX)};
}

/* The four parts of CertificationRequestInfo and the two behind it (RFC 2986 4). */
struct parts {
    struct clm_tlv info;
    struct clm_tlv subject;
    struct clm_tlv spki;
    struct clm_tlv attributes;
    struct clm_tlv algorithm;
    struct clm_tlv signature; /* BIT STRING */
};

static bool split(const uint8_t *der, size_t len, struct parts *out)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tlv = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv) || !clm_der_at_end(&r)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &out->info) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &out->algorithm) ||
        !clm_der_take(&r, CLM_DER_BIT_STRING, &out->signature) || !clm_der_at_end(&r) ||
        out->signature.len < 2 || out->signature.value[0] != 0) {
        return false;
    }
    r = clm_der_enter(&out->info);
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || !clm_der_is(&tlv, "\0", 1) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &out->subject) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &out->spki)) {
        return false;
    }
    /* Some tools leave empty attributes out, against the RFC. */
    (void)clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &out->attributes);
    return clm_der_at_end(&r);
}

static enum clm_code verify(const struct parts *parts, const struct clm_pubkey *pubkey,
                            enum clm_hash *out_hash, struct clm_err *err)
{
    struct clm_signature_alg alg;
    unsigned char digest[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *md;
    int rc;

    if (!clm_sign_alg_read(&parts->algorithm, &alg)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "signature algorithm is not RSA or ECDSA with SHA-256, 384 or 512");
    }
    if (alg.is_rsa != (mbedtls_pk_get_type(pubkey->pk) == MBEDTLS_PK_RSA)) {
        return clm_err_set(err, CLM_E_CRYPTO, "signature algorithm does not fit the key");
    }
    *out_hash = alg.hash;
    md = mbedtls_md_info_from_type(clm_hash_md(alg.hash));
    rc = md == NULL ? MBEDTLS_ERR_MD_FEATURE_UNAVAILABLE
                    : mbedtls_md(md, parts->info.raw, parts->info.raw_len, digest);
    if (rc == 0) {
        rc = mbedtls_pk_verify(pubkey->pk, clm_hash_md(alg.hash), digest, mbedtls_md_get_size(md),
                               parts->signature.value + 1, parts->signature.len - 1);
    }
    if (rc != 0) {
        return clm_mbed_is_nomem(rc)
                   ? clm_err_set(err, CLM_E_NOMEM, "verify a signature: no memory")
                   : clm_err_set(err, CLM_E_CRYPTO, "signature is not by the key in the request");
    }
    return CLM_OK;
}

/* The extensions inside the attribute extensionRequest; out->raw_len is 0 if there are none. */
static bool find_extensions(const struct clm_tlv *attributes, struct clm_tlv *out,
                            bool *out_challenge)
{
    struct clm_der_reader list = clm_der_enter(attributes);
    bool is_found = false;

    while (!clm_der_at_end(&list)) {
        struct clm_tlv tlv = {0};
        struct clm_tlv oid = {0};
        struct clm_tlv set = {0};
        struct clm_der_reader r;

        if (!clm_der_take(&list, CLM_DER_SEQUENCE, &tlv)) {
            return false;
        }
        r = clm_der_enter(&tlv);
        if (!clm_der_take(&r, CLM_DER_OID, &oid) || !clm_der_take(&r, CLM_DER_SET, &set) ||
            !clm_der_at_end(&r)) {
            return false;
        }
        *out_challenge = *out_challenge || clm_der_is(&oid, CLM_OID(CLM_OID_CHALLENGE));
        if (!clm_der_is(&oid, CLM_OID(CLM_OID_EXT_REQUEST))) {
            continue;
        }
        r = clm_der_enter(&set);
        if (is_found || !clm_der_take(&r, CLM_DER_SEQUENCE, out) || !clm_der_at_end(&r)) {
            return false;
        }
        is_found = true;
    }
    return true;
}

static enum clm_code read_extensions(const struct parts *parts, struct clm_csr_info *out,
                                     struct clm_err *err)
{
    CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info ext = {.has_san = false};
    struct clm_tlv list = {0};
    enum clm_code code;

    if (parts->attributes.raw == NULL) {
        return CLM_OK;
    }
    if (!find_extensions(&parts->attributes, &list, &out->has_challenge_password)) {
        return clm_err_set(err, CLM_E_PARSE, "attributes are malformed");
    }
    code = clm_ext_read(list.raw, list.raw_len, CLM_EXT_NAMES_STRICT, &ext, err);
    if (code != CLM_OK) {
        return code;
    }
    out->must_staple = ext.must_staple;
    out->eku_server = ext.eku_server;
    out->eku_client = ext.eku_client;
    out->has_other_names = ext.has_other_san;
    out->has_other_eku = ext.has_other_eku;
    out->wants_ca = ext.is_ca;
    out->names = ext.names; /* moved */
    out->emails = ext.emails;
    out->uris = ext.uris;
    ext.names = (struct clm_names){.dns = {NULL, 0}};
    ext.emails = (struct clm_strs){NULL, 0};
    ext.uris = (struct clm_strs){NULL, 0};
    return CLM_OK;
}

static enum clm_code parse(const uint8_t *der, size_t len, struct clm_csr_info *out,
                           struct clm_err *err)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    struct parts parts = {.info = {0}};
    enum clm_code code;

    if (len > CLM_CSR_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "longer than %u bytes", CLM_CSR_MAX);
    }
    if (!split(der, len, &parts) ||
        !clm_dn_text(parts.subject.raw, parts.subject.raw_len, out->subject)) {
        return clm_err_set(err, CLM_E_PARSE, "not a PKCS#10 request in DER");
    }
    code = clm_pubkey_from_spki(parts.spki.raw, parts.spki.raw_len, &pubkey, err);
    if (code == CLM_OK) {
        code = verify(&parts, pubkey, &out->hash, err);
    }
    if (code == CLM_OK) {
        code = clm_dn_read(parts.subject.raw, parts.subject.raw_len, &out->dn, NULL, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(&out->spki_der, parts.spki.raw, parts.spki.raw_len, err);
    }
    if (code == CLM_OK) {
        code = read_extensions(&parts, out, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    (void)clm_dn_common_name(parts.subject.raw, parts.subject.raw_len, out->common_name,
                             sizeof(out->common_name));
    out->key_type = clm_pubkey_type_of(pubkey);
    clm_sha256_hex(parts.spki.raw, parts.spki.raw_len, out->spki_sha256);
    clm_sha256_hex(der, len, out->sha256);
    return CLM_OK;
}

enum clm_code clm_csr_parse(const uint8_t *der, size_t len, struct clm_csr_info *out,
                            struct clm_err *err)
{
    enum clm_code code;

    *out = (struct clm_csr_info){.spki_der = CLM_BUF_INIT(CLM_CSR_MAX)};
    code = parse(der, len, out, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "certificate request");
}
