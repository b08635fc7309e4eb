/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys, and ES256: signatures as R and S of 32 bytes each (RFC 7518 3.4), not as DER. */
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/internal.h"

#define COORD_BYTES 32

/* SubjectPublicKeyInfo of an uncompressed P-256 point up to the "04" in front of X (RFC 5480). */
static const uint8_t p256_spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                         0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                         0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

/* The shape is checked first because Mbed TLS would also take a bare RSAPublicKey or PEM. */
static bool is_spki(const uint8_t *der, size_t len)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tlv = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv) || !clm_der_at_end(&r)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    return clm_der_take(&r, CLM_DER_SEQUENCE, &tlv) && clm_der_take(&r, CLM_DER_BIT_STRING, &tlv) &&
           clm_der_at_end(&r);
}

enum clm_code clm_pubkey_from_spki(const uint8_t *der, size_t len, struct clm_pubkey **out_pubkey,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    enum clm_code code;
    int rc;

    if (!is_spki(der, len)) {
        return clm_err_set(err, CLM_E_PARSE, "public key is not a SubjectPublicKeyInfo");
    }
    pubkey = calloc(1, sizeof(*pubkey));
    if (pubkey == NULL || (pubkey->pk = clm_pk_new()) == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "public key: no memory");
    }
    rc = mbedtls_pk_parse_public_key(pubkey->pk, der, len);
    if (rc != 0) {
        int high = clm_mbed_high(rc);
        bool is_foreign =
            high == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG || high == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE;

        return clm_mbed_err(err, is_foreign ? CLM_E_UNSUPPORTED : CLM_E_PARSE, rc,
                            "public key cannot be read");
    }
    code = clm_pk_check(pubkey->pk, err);
    if (code == CLM_OK) {
        *out_pubkey = CLM_STEAL(pubkey);
    }
    return code;
}

static enum clm_code coordinate(const char *text, uint8_t *dst, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = CLM_BUF_INIT(COORD_BYTES);
    enum clm_code code = CLM_E_PARSE;

    if (strlen(text) == CLM_JWK_COORD_SIZE - 1) {
        code = clm_b64url_decode(text, CLM_JWK_COORD_SIZE - 1, &bytes, NULL);
    }
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "public key: no memory");
    }
    if (code != CLM_OK || bytes.len != COORD_BYTES) {
        return clm_err_set(err, CLM_E_PARSE,
                           "coordinate of a P-256 key is not 43 characters of "
                           "base64url");
    }
    memcpy(dst, bytes.data, COORD_BYTES);
    return CLM_OK;
}

enum clm_code clm_pubkey_from_xy(const char *x, const char *y, struct clm_pubkey **out_pubkey,
                                 struct clm_err *err)
{
    uint8_t der[sizeof(p256_spki_head) + 2 * (size_t)COORD_BYTES];
    enum clm_code code;

    memcpy(der, p256_spki_head, sizeof(p256_spki_head));
    code = coordinate(x, der + sizeof(p256_spki_head), err);
    if (code == CLM_OK) {
        code = coordinate(y, der + sizeof(p256_spki_head) + COORD_BYTES, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    return clm_pubkey_from_spki(der, sizeof(der), out_pubkey, err);
}

enum clm_code clm_pubkey_from_key(const struct clm_key *key, struct clm_pubkey **out_pubkey,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    enum clm_code code = clm_key_public_der(key, &der, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_pubkey_from_spki(der.data, der.len, out_pubkey, err);
}

enum clm_code clm_pubkey_from_cert_pem(const void *pem, size_t len, struct clm_pubkey **out_pubkey,
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    enum clm_code code = clm_cert_chain_from_pem(pem, len, &chain, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_pubkey_from_cert(chain, 0, out_pubkey, err);
}

void clm_pubkey_free(struct clm_pubkey *pubkey)
{
    if (pubkey != NULL) {
        clm_pk_free(pubkey->pk);
        free(pubkey);
    }
}

enum clm_key_type clm_pubkey_type_of(const struct clm_pubkey *pubkey)
{
    return clm_pk_type(pubkey->pk);
}

enum clm_code clm_pubkey_spki_sha256_hex(const struct clm_pubkey *pubkey, char dst[65],
                                         struct clm_err *err)
{
    return clm_pk_spki_hex(pubkey->pk, dst, err);
}

/* ---- JWK coordinates and ES256 ---- */

static enum clm_code need_p256(const mbedtls_pk_context *pk, struct clm_err *err)
{
    if (clm_pk_type(pk) != CLM_KEY_EC_P256) {
        return clm_err_set(err, CLM_E_INVAL, "ES256 needs a key of type ec-p256, this is %s",
                           clm_key_type_name(clm_pk_type(pk)));
    }
    return CLM_OK;
}

static enum clm_code encode_coordinate(const uint8_t *bytes, char dst[CLM_JWK_COORD_SIZE],
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JWK_COORD_SIZE);
    enum clm_code code = clm_b64url_encode(bytes, COORD_BYTES, &text, err);

    if (code == CLM_OK) {
        code = clm_str_copy(dst, CLM_JWK_COORD_SIZE, clm_buf_str(&text), err);
    }
    return code;
}

enum clm_code clm_key_public_xy(const struct clm_key *key, char x[CLM_JWK_COORD_SIZE],
                                char y[CLM_JWK_COORD_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    enum clm_code code = need_p256(key->pk, err);

    if (code == CLM_OK) {
        code = clm_key_public_der(key, &der, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (der.len != sizeof(p256_spki_head) + 2 * (size_t)COORD_BYTES ||
        memcmp(der.data, p256_spki_head, sizeof(p256_spki_head)) != 0) {
        return clm_err_set(err, CLM_E_BUG, "P-256 public key has an unexpected form");
    }
    code = encode_coordinate(der.data + sizeof(p256_spki_head), x, err);
    if (code == CLM_OK) {
        code = encode_coordinate(der.data + sizeof(p256_spki_head) + COORD_BYTES, y, err);
    }
    return code;
}

/* A DER INTEGER as 32 bytes, right-aligned. */
static bool unpack_int(struct clm_der_reader *r, uint8_t dst[COORD_BYTES])
{
    struct clm_tlv tlv = {0};

    if (!clm_der_take(r, CLM_DER_INTEGER, &tlv)) {
        return false;
    }
    while (tlv.len > 0 && tlv.value[0] == 0) {
        tlv.value++;
        tlv.len--;
    }
    if (tlv.len > COORD_BYTES) {
        return false;
    }
    memset(dst, 0, COORD_BYTES);
    memcpy(dst + COORD_BYTES - tlv.len, tlv.value, tlv.len);
    return true;
}

static bool unpack_signature(const uint8_t *der, size_t len, uint8_t sig[CLM_ES256_SIG_SIZE])
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv seq = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &seq)) {
        return false;
    }
    r = clm_der_enter(&seq);
    return unpack_int(&r, sig) && unpack_int(&r, sig + COORD_BYTES);
}

enum clm_code clm_key_sign_es256(struct clm_rng *rng, const struct clm_key *key, const void *msg,
                                 size_t len, uint8_t sig[CLM_ES256_SIG_SIZE], struct clm_err *err)
{
    unsigned char der[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    uint8_t digest[CLM_SHA256_SIZE];
    size_t der_len = 0;
    enum clm_code code = need_p256(key->pk, err);
    int rc;

    if (code != CLM_OK) {
        return code;
    }
    clm_sha256(msg, len, digest);
    rc = clm_mbed_sign(key->pk, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), digest, der, &der_len,
                       rng);
    if (rc != 0) {
        return clm_mbed_err(err, CLM_E_CRYPTO, rc, "sign with ES256");
    }
    if (!unpack_signature(der, der_len, sig)) {
        return clm_err_set(err, CLM_E_BUG, "ECDSA signature has an unexpected form");
    }
    return CLM_OK;
}

enum clm_code clm_pubkey_verify_es256(const struct clm_pubkey *pubkey, const void *msg, size_t len,
                                      const uint8_t sig[CLM_ES256_SIG_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_ES256_SIG_SIZE + 16);
    uint8_t digest[CLM_SHA256_SIZE];
    struct clm_der w;
    enum clm_code code = need_p256(pubkey->pk, err);
    int rc;

    if (code != CLM_OK) {
        return code;
    }
    clm_der_init(&w, &der, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_positive(&w, sig, COORD_BYTES);
    clm_der_positive(&w, sig + COORD_BYTES, COORD_BYTES);
    clm_der_close(&w);
    code = clm_der_done(&w);
    if (code != CLM_OK) {
        return code;
    }
    clm_sha256(msg, len, digest);
    rc =
        mbedtls_pk_verify(pubkey->pk, MBEDTLS_MD_SHA256, digest, sizeof(digest), der.data, der.len);
    if (rc != 0) {
        return clm_mbed_is_nomem(rc)
                   ? clm_err_set(err, CLM_E_NOMEM, "verify a signature: no memory")
                   : clm_err_set(err, CLM_E_CRYPTO, "signature is not by the expected key");
    }
    return CLM_OK;
}
