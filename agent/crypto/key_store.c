/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys as PEM and DER. PKCS#8 is wrapped here because Mbed TLS writes only PKCS#1 and SEC1; the
 * result is byte for byte what "openssl pkey" writes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/internal.h"

#define PEM_MAX 65536u /* bytes of text with a key in it; reliability.md 10 */

/* ---- reading ---- */

/* True for PrivateKeyInfo with an algorithm we have no code for, to say so instead of "malformed".
 * RFC 5958 2: SEQUENCE { INTEGER, SEQUENCE { OID, ... }, OCTET STRING, ... } */
static bool is_foreign_algorithm(const uint8_t *der, size_t len)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tlv = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    return clm_der_take(&r, CLM_DER_OID, &tlv) && !clm_der_is(&tlv, CLM_OID(CLM_OID_RSA)) &&
           !clm_der_is(&tlv, CLM_OID(CLM_OID_EC_PUBLIC_KEY));
}

enum clm_code clm_key_from_der(const uint8_t *der, size_t len, struct clm_key **out_key,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    enum clm_code code;
    int rc;

    if (len > CLM_KEY_DER_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "private key is longer than %u bytes",
                           CLM_KEY_DER_MAX);
    }
    if (is_foreign_algorithm(der, len)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "private key is neither RSA nor on a NIST curve");
    }
    key = calloc(1, sizeof(*key));
    if (key == NULL || (key->pk = clm_pk_new()) == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "private key: no memory");
    }
    rc = clm_mbed_parse_key(key->pk, der, len);
    if (rc != 0 && !clm_mbed_is_nomem(rc)) {
        /* Mbed TLS tries one form after the other, and forgets that it was memory that was missing:
         * what is no key is none the second time, too. */
        mbedtls_pk_free(key->pk);
        mbedtls_pk_init(key->pk);
        rc = clm_mbed_parse_key(key->pk, der, len);
    }
    if (rc != 0) {
        bool is_curve = clm_mbed_high(rc) == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE;

        return clm_mbed_err(err, is_curve ? CLM_E_UNSUPPORTED : CLM_E_PARSE, rc,
                            "private key cannot be read");
    }
    code = clm_pk_check(key->pk, err);
    if (code == CLM_OK) {
        *out_key = CLM_STEAL(key);
    }
    return code;
}

/* What to do with a block of that label. */
enum block_kind {
    BLOCK_OTHER,
    BLOCK_KEY,
    BLOCK_UNSUPPORTED
};

static enum block_kind kind_of(const struct clm_armor *block)
{
    static const struct {
        const char *label;
        enum block_kind kind;
    } labels[] = {
        {"PRIVATE KEY", BLOCK_KEY},
        {"RSA PRIVATE KEY", BLOCK_KEY},
        {"EC PRIVATE KEY", BLOCK_KEY},
        {"ENCRYPTED PRIVATE KEY", BLOCK_UNSUPPORTED},
        {"DSA PRIVATE KEY", BLOCK_UNSUPPORTED},
        {"OPENSSH PRIVATE KEY", BLOCK_UNSUPPORTED},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(labels); i++) {
        if (strcmp(block->label, labels[i].label) == 0) {
            return block->is_encrypted ? BLOCK_UNSUPPORTED : labels[i].kind;
        }
    }
    return BLOCK_OTHER;
}

static enum clm_code key_from_block(const struct clm_armor *block, struct clm_key **out_key,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    enum clm_code code;

    if (kind_of(block) == BLOCK_UNSUPPORTED) {
        if (block->is_encrypted || strcmp(block->label, "ENCRYPTED PRIVATE KEY") == 0) {
            return clm_err_set(err, CLM_E_UNSUPPORTED,
                               "private key is encrypted; store it without a passphrase in a file "
                               "of mode 0600");
        }
        return clm_err_set(err, CLM_E_UNSUPPORTED, "private keys of kind '%s' are not supported",
                           block->label);
    }
    code = clm_armor_decode(block, &der, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "private key");
    }
    return clm_key_from_der(der.data, der.len, out_key, err);
}

enum clm_code clm_key_from_pem(const void *pem, size_t len, struct clm_key **out_key,
                               struct clm_err *err)
{
    const char *text = pem;
    struct clm_armor block;

    if (len > PEM_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "PEM text with the key is longer than %u bytes",
                           PEM_MAX);
    }
    for (;;) {
        enum clm_code code = clm_armor_next(&text, &len, &block, err);

        if (code == CLM_E_NOTFOUND) {
            return clm_err_set(err, code, "there is no private key");
        }
        if (code != CLM_OK) {
            return code;
        }
        if (kind_of(&block) != BLOCK_OTHER) {
            return key_from_block(&block, out_key, err);
        }
    }
}

/* ---- writing ---- */

/* RFC 8017 A.1.2, as Mbed TLS writes it, wrapped. */
static void write_rsa(struct clm_der *w, mbedtls_pk_context *pk)
{
    unsigned char der[8192]; /* RSA 8192 takes 4,700 */
    int len = mbedtls_pk_write_key_der(pk, der, sizeof(der));

    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(CLM_OID_RSA));
    clm_der_null(w);
    clm_der_close(w);
    if (len < 0) {
        clm_der_fail(w, clm_mbed_err(w->err, CLM_E_CRYPTO, len, "encode the private key"));
    } else {
        clm_der_bytes(w, CLM_DER_OCTET_STRING, der + sizeof(der) - (size_t)len, (size_t)len);
    }
    clm_wipe(der, sizeof(der));
}

static void write_curve(struct clm_der *w, mbedtls_ecp_group_id id)
{
    if (id == MBEDTLS_ECP_DP_SECP256R1) {
        clm_der_oid(w, CLM_OID(CLM_OID_P256));
    } else if (id == MBEDTLS_ECP_DP_SECP384R1) {
        clm_der_oid(w, CLM_OID(CLM_OID_P384));
    } else {
        clm_der_oid(w, CLM_OID(CLM_OID_P521));
    }
}

/* RFC 5915 3 without parameters, which PKCS#8 has in its algorithm (RFC 5958 does not repeat). */
static void write_ec(struct clm_der *w, mbedtls_pk_context *pk)
{
    mbedtls_ecp_keypair *ec = mbedtls_pk_ec(*pk);
    unsigned char d[66]; /* P-521 */
    unsigned char q[2 * 66 + 1];
    size_t d_len = (mbedtls_pk_get_bitlen(pk) + 7) / 8;
    size_t q_len = 0;
    int rc = mbedtls_mpi_write_binary(&ec->CLM_MBED(d), d, d_len);

    if (rc == 0) {
        rc = mbedtls_ecp_point_write_binary(&ec->CLM_MBED(grp), &ec->CLM_MBED(Q),
                                            MBEDTLS_ECP_PF_UNCOMPRESSED, &q_len, q, sizeof(q));
    }
    if (rc != 0) {
        clm_der_fail(w, clm_mbed_err(w->err, CLM_E_CRYPTO, rc, "encode the private key"));
    }
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(CLM_OID_EC_PUBLIC_KEY));
    write_curve(w, ec->CLM_MBED(grp).id);
    clm_der_close(w);
    clm_der_open(w, CLM_DER_OCTET_STRING);
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_small_int(w, 1);
    clm_der_bytes(w, CLM_DER_OCTET_STRING, d, d_len);
    clm_der_open(w, CLM_DER_CONTEXT_CONSTRUCTED(1));
    clm_der_open_bits(w);
    clm_der_raw(w, q, q_len);
    clm_der_close(w);
    clm_der_close(w);
    clm_der_close(w);
    clm_der_close(w);
    clm_wipe(d, sizeof(d));
}

enum clm_code clm_key_to_der(const struct clm_key *key, struct clm_buf *out, struct clm_err *err)
{
    struct clm_der w;

    assert(out->secret);
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_small_int(&w, 0);
    if (mbedtls_pk_get_type(key->pk) == MBEDTLS_PK_RSA) {
        write_rsa(&w, key->pk);
    } else {
        write_ec(&w, key->pk);
    }
    clm_der_close(&w);
    return clm_der_done(&w);
}

enum clm_code clm_key_to_pem(const struct clm_key *key, struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    enum clm_code code;

    assert(out->secret);
    code = clm_key_to_der(key, &der, err);
    if (code == CLM_OK) {
        code = clm_armor_write("PRIVATE KEY", der.data, der.len, out, err);
    }
    return code;
}
