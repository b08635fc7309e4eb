/* SPDX-License-Identifier: Apache-2.0 */
/* What requests and certificates have in common: a signed body, and how its algorithm is named. */
#include <string.h>

#include "agent/crypto/internal.h"

static const struct {
    const char *name;
    mbedtls_md_type_t md;
} hashes[CLM_HASH__COUNT] = {
    [CLM_HASH_SHA256] = {"sha256", MBEDTLS_MD_SHA256},
    [CLM_HASH_SHA384] = {"sha384", MBEDTLS_MD_SHA384},
    [CLM_HASH_SHA512] = {"sha512", MBEDTLS_MD_SHA512},
};

/* RFC 8017 A.2.4, RFC 5758 3.2 */
static const struct {
    const char *oid;
    size_t oid_len;
    struct clm_signature_alg alg;
} algorithms[] = {
    {CLM_OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), {CLM_HASH_SHA256, true}},
    {CLM_OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"), {CLM_HASH_SHA384, true}},
    {CLM_OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), {CLM_HASH_SHA512, true}},
    {CLM_OID("\x2a\x86\x48\xce\x3d\x04\x03\x02"), {CLM_HASH_SHA256, false}},
    {CLM_OID("\x2a\x86\x48\xce\x3d\x04\x03\x03"), {CLM_HASH_SHA384, false}},
    {CLM_OID("\x2a\x86\x48\xce\x3d\x04\x03\x04"), {CLM_HASH_SHA512, false}},
};

const char *clm_hash_name(enum clm_hash hash)
{
    return (unsigned)hash < CLM_HASH__COUNT ? hashes[hash].name : "?";
}

enum clm_code clm_hash_parse(const char *name, enum clm_hash *out_hash, struct clm_err *err)
{
    for (unsigned i = 0; i < CLM_HASH__COUNT; i++) {
        if (strcmp(hashes[i].name, name) == 0) {
            *out_hash = (enum clm_hash)i;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_INVAL, "hash '%.32s' is not one of sha256, sha384, sha512", name);
}

mbedtls_md_type_t clm_hash_md(enum clm_hash hash)
{
    return hashes[hash].md;
}

void clm_sign_alg(struct clm_der *w, const struct clm_key *key, enum clm_hash hash)
{
    bool is_rsa = mbedtls_pk_get_type(key->pk) == MBEDTLS_PK_RSA;

    clm_der_open(w, CLM_DER_SEQUENCE);
    for (size_t i = 0; i < CLM_ARRAY_LEN(algorithms); i++) {
        if (algorithms[i].alg.is_rsa == is_rsa && algorithms[i].alg.hash == hash) {
            clm_der_oid(w, algorithms[i].oid, algorithms[i].oid_len);
        }
    }
    if (is_rsa) {
        clm_der_null(w); /* required for RSA, forbidden for ECDSA */
    }
    clm_der_close(w);
}

bool clm_sign_alg_read(const struct clm_tlv *alg, struct clm_signature_alg *out)
{
    struct clm_der_reader r = clm_der_enter(alg);
    struct clm_tlv oid = {0};

    if (!clm_der_take(&r, CLM_DER_OID, &oid)) {
        return false;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(algorithms); i++) {
        if (clm_der_is(&oid, algorithms[i].oid, algorithms[i].oid_len)) {
            *out = algorithms[i].alg;
            return true;
        }
    }
    return false;
}

enum clm_code clm_sign_der(struct clm_rng *rng, const struct clm_key *key, enum clm_hash hash,
                           const struct clm_buf *tbs, struct clm_buf *out, struct clm_err *err)
{
    unsigned char digest[MBEDTLS_MD_MAX_SIZE];
    unsigned char sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t sig_len = 0;
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(clm_hash_md(hash));
    struct clm_der w;
    int rc = md == NULL ? MBEDTLS_ERR_MD_FEATURE_UNAVAILABLE
                        : mbedtls_md(md, tbs->data, tbs->len, digest);

    if (rc == 0) {
        rc = clm_mbed_sign(key->pk, md, digest, sig, &sig_len, rng);
    }
    if (rc != 0) {
        return clm_mbed_err(err, CLM_E_CRYPTO, rc, "sign with %s", clm_hash_name(hash));
    }
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_raw(&w, tbs->data, tbs->len);
    clm_sign_alg(&w, key, hash);
    clm_der_open_bits(&w);
    clm_der_raw(&w, sig, sig_len);
    clm_der_close(&w);
    clm_der_close(&w);
    return clm_der_done(&w);
}
