/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/hash.h"
#include "agent/crypto/internal.h"

#define RSA_EXPONENT 65537
#define RSA_BITS_MIN 2048 /* reliability.md 10: key size policy */
#define RSA_BITS_MAX 8192

static const struct {
    const char *name;
    unsigned rsa_bits;
    mbedtls_ecp_group_id group;
} types[CLM_KEY__COUNT] = {
    [CLM_KEY_RSA_2048] = {"rsa-2048", 2048, MBEDTLS_ECP_DP_NONE},
    [CLM_KEY_RSA_3072] = {"rsa-3072", 3072, MBEDTLS_ECP_DP_NONE},
    [CLM_KEY_RSA_4096] = {"rsa-4096", 4096, MBEDTLS_ECP_DP_NONE},
    [CLM_KEY_EC_P256] = {"ec-p256", 0, MBEDTLS_ECP_DP_SECP256R1},
    [CLM_KEY_EC_P384] = {"ec-p384", 0, MBEDTLS_ECP_DP_SECP384R1},
    [CLM_KEY_OTHER] = {"other", 0, MBEDTLS_ECP_DP_NONE},
};

const char *clm_key_type_name(enum clm_key_type type)
{
    return (unsigned)type < CLM_KEY__COUNT ? types[type].name : "other";
}

enum clm_code clm_key_type_parse(const char *name, enum clm_key_type *out_type, struct clm_err *err)
{
    for (unsigned i = 0; i < CLM_KEY_OTHER; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *out_type = (enum clm_key_type)i;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_INVAL,
                       "key type '%.32s' is not one of rsa-2048, rsa-3072, rsa-4096, ec-p256, "
                       "ec-p384",
                       name);
}

/* ---- Mbed TLS contexts ---- */

mbedtls_pk_context *clm_pk_new(void)
{
    mbedtls_pk_context *pk = calloc(1, sizeof(*pk));

    if (pk != NULL) {
        mbedtls_pk_init(pk);
    }
    return pk;
}

void clm_pk_free(mbedtls_pk_context *pk)
{
    if (pk != NULL) {
        mbedtls_pk_free(pk); /* wipes the numbers of the key */
        free(pk);
    }
}

static mbedtls_ecp_group_id group_of(const mbedtls_pk_context *pk)
{
    const mbedtls_ecp_keypair *pair = NULL;

    if (mbedtls_pk_can_do(pk, MBEDTLS_PK_ECKEY)) {
        pair = mbedtls_pk_ec(*pk);
    }
    return pair != NULL ? pair->CLM_MBED(grp).id : MBEDTLS_ECP_DP_NONE;
}

enum clm_key_type clm_pk_type(const mbedtls_pk_context *pk)
{
    bool is_rsa = mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA;
    mbedtls_ecp_group_id group = group_of(pk);

    for (unsigned i = 0; i < CLM_KEY_OTHER; i++) {
        if (is_rsa ? mbedtls_pk_get_bitlen(pk) == types[i].rsa_bits
                   : group != MBEDTLS_ECP_DP_NONE && group == types[i].group) {
            return (enum clm_key_type)i;
        }
    }
    return CLM_KEY_OTHER;
}

void clm_pk_type_text(const mbedtls_pk_context *pk, char dst[16])
{
    enum clm_key_type type = clm_pk_type(pk);

    if (type == CLM_KEY_OTHER && mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA) {
        (void)snprintf(dst, 16, "rsa-%u", (unsigned)mbedtls_pk_get_bitlen(pk) % 100000u);
    } else if (group_of(pk) == MBEDTLS_ECP_DP_SECP521R1) {
        (void)snprintf(dst, 16, "ec-p521");
    } else {
        (void)snprintf(dst, 16, "%s", types[type].name);
    }
}

enum clm_code clm_pk_check(const mbedtls_pk_context *pk, struct clm_err *err)
{
    size_t bits = mbedtls_pk_get_bitlen(pk);
    mbedtls_ecp_group_id group = group_of(pk);

    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA) {
        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
            return clm_err_set(err, CLM_E_UNSUPPORTED,
                               "RSA key has %zu bits; %d to %d are accepted", bits, RSA_BITS_MIN,
                               RSA_BITS_MAX);
        }
        return CLM_OK;
    }
    if (group != MBEDTLS_ECP_DP_SECP256R1 && group != MBEDTLS_ECP_DP_SECP384R1 &&
        group != MBEDTLS_ECP_DP_SECP521R1) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "key is neither RSA nor on one of the curves P-256, P-384, P-521");
    }
    return CLM_OK;
}

enum clm_code clm_pk_spki(mbedtls_pk_context *pk, struct clm_buf *out, struct clm_err *err)
{
    unsigned char der[2048]; /* RSA 8192 takes 1,062 */
    int len = mbedtls_pk_write_pubkey_der(pk, der, sizeof(der));

    if (len < 0) {
        return clm_mbed_err(err, CLM_E_CRYPTO, len, "encode the public key");
    }
    return clm_buf_add(out, der + sizeof(der) - (size_t)len, (size_t)len, err); /* written at end */
}

enum clm_code clm_pk_spki_hex(mbedtls_pk_context *pk, char dst[65], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    enum clm_code code = clm_pk_spki(pk, &der, err);

    if (code == CLM_OK) {
        clm_sha256_hex(der.data, der.len, dst);
    }
    return code;
}

/* ---- private keys ---- */

static int generate(struct clm_rng *rng, enum clm_key_type type, mbedtls_pk_context *pk)
{
    bool is_rsa = types[type].rsa_bits != 0;
    int rc =
        mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(is_rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY));

    if (rc != 0) {
        return rc;
    }
    if (is_rsa) {
        return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*pk), clm_rng_mbed, rng, types[type].rsa_bits,
                                   RSA_EXPONENT);
    }
    return mbedtls_ecp_gen_key(types[type].group, mbedtls_pk_ec(*pk), clm_rng_mbed, rng);
}

enum clm_code clm_key_generate(struct clm_rng *rng, enum clm_key_type type,
                               struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    int rc;

    if ((unsigned)type >= CLM_KEY_OTHER) {
        return clm_err_set(err, CLM_E_INVAL, "a key of this type cannot be generated");
    }
    key = calloc(1, sizeof(*key));
    if (key == NULL || (key->pk = clm_pk_new()) == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "generate a key: no memory");
    }
    clm_rng_set_fresh(rng, true);
    rc = generate(rng, type, key->pk);
    clm_rng_set_fresh(rng, false);
    /* A faulty generation must not become a certificate: the halves have to fit. */
    if (rc == 0) {
        rc = clm_mbed_check_pair(key->pk, key->pk);
    }
    if (rc != 0) {
        return clm_mbed_err(err, CLM_E_CRYPTO, rc, "generate a key of type %s", types[type].name);
    }
    *out_key = CLM_STEAL(key);
    return CLM_OK;
}

void clm_key_free(struct clm_key *key)
{
    if (key != NULL) {
        clm_pk_free(key->pk);
        free(key);
    }
}

enum clm_key_type clm_key_type_of(const struct clm_key *key)
{
    return clm_pk_type(key->pk);
}

enum clm_code clm_key_public_der(const struct clm_key *key, struct clm_buf *out,
                                 struct clm_err *err)
{
    return clm_pk_spki(key->pk, out, err);
}

enum clm_code clm_key_spki_sha256_hex(const struct clm_key *key, char dst[65], struct clm_err *err)
{
    return clm_pk_spki_hex(key->pk, dst, err);
}
