/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MAC covers the content of authSafe. Classic: a key from the derivation of PKCS#12, whose
 * password is UTF-16 with two zero bytes; an empty one is met with and without them. PBMAC1: a key
 * from PBKDF2, whose password is UTF-8; salt and iterations of MacData itself mean nothing.
 */
#include <stdio.h>
#include <string.h>

#include "agent/crypto/hash.h"
#include "agent/keystore/pkcs12.h"

#define OID_PBMAC1  "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0e"
#define KEY_LEN_MIN 20 /* RFC 9879 9: a short key makes forging a matter of guessing */
#define SALT_MIN    8

static enum clm_code malformed(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_PARSE, "PKCS#12: MAC is malformed");
}

enum clm_code clm_p12_spend(struct clm_p12 *p12, uint32_t iterations, struct clm_err *err)
{
    if (iterations > p12->budget) {
        return clm_err_set(err, CLM_E_LIMIT,
                           "PKCS#12: password hashes of more than %u iterations altogether",
                           CLM_KEYSTORE_ITERATIONS_MAX);
    }
    p12->budget -= iterations;
    return CLM_OK;
}

/* PBMAC1-params: SEQUENCE { PBKDF2, AlgorithmIdentifier of the HMAC } */
static enum clm_code read_pbmac1(struct clm_der_reader *alg, struct clm_p12_mac *out,
                                 struct clm_err *err)
{
    struct clm_tlv tlv = {0};
    struct clm_tlv kdf = {0};
    struct clm_der_reader r;
    enum clm_code code;

    out->kind = CLM_P12_PBMAC1;
    if (!clm_der_take(alg, CLM_DER_SEQUENCE, &tlv)) {
        return malformed(err);
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &kdf) || !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed(err);
    }
    if (!clm_digest_read(&tlv, true, &out->digest)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "PKCS#12: PBMAC1 with an unknown function");
    }
    code = clm_pbkdf2_read(&kdf, &out->kdf, &out->key_len, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "PKCS#12: PBMAC1");
    }
    if (out->key_len < KEY_LEN_MIN || out->key_len > CLM_DIGEST_SIZE_MAX) {
        return clm_err_set(err, CLM_E_LIMIT,
                           "PKCS#12: PBMAC1 with a key of %u bytes; %d to %d are accepted",
                           out->key_len, KEY_LEN_MIN, CLM_DIGEST_SIZE_MAX);
    }
    return CLM_OK;
}

/* Salt and iterations behind DigestInfo; iterations may be left out, which means 1. */
static enum clm_code read_classic(struct clm_der_reader *r, struct clm_p12_mac *out,
                                  struct clm_err *err)
{
    struct clm_tlv salt = {0};
    struct clm_tlv number = {0};

    out->kind = CLM_P12_MAC_CLASSIC;
    out->kdf.iterations = 1;
    if (!clm_der_take(r, CLM_DER_OCTET_STRING, &salt)) {
        return malformed(err);
    }
    if (salt.len > sizeof(out->kdf.salt)) {
        return clm_err_set(err, CLM_E_LIMIT, "PKCS#12: MAC with a salt of %zu bytes", salt.len);
    }
    memcpy(out->kdf.salt, salt.value, salt.len);
    out->kdf.salt_len = salt.len;
    if (clm_der_take(r, CLM_DER_INTEGER, &number) &&
        !clm_der_uint32(&number, &out->kdf.iterations) && out->kdf.iterations == 0) {
        return malformed(err);
    }
    if (out->kdf.iterations == 0 || out->kdf.iterations > CLM_KEYSTORE_ITERATIONS_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "PKCS#12: MAC of %u iterations; 1 to %u are accepted",
                           out->kdf.iterations, CLM_KEYSTORE_ITERATIONS_MAX);
    }
    return CLM_OK;
}

enum clm_code clm_p12_mac_read(const struct clm_tlv *data, struct clm_p12_mac *out,
                               struct clm_err *err)
{
    struct clm_der_reader r = clm_der_enter(data);
    struct clm_der_reader info;
    struct clm_der_reader alg;
    struct clm_tlv tlv = {0};
    struct clm_tlv alg_tlv = {0};
    enum clm_code code;

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed(err);
    }
    info = clm_der_enter(&tlv);
    if (!clm_der_take(&info, CLM_DER_SEQUENCE, &alg_tlv) ||
        !clm_der_take(&info, CLM_DER_OCTET_STRING, &tlv)) {
        return malformed(err);
    }
    out->value = clm_span_value(&tlv);
    alg = clm_der_enter(&alg_tlv);
    if (!clm_der_take(&alg, CLM_DER_OID, &tlv)) {
        return malformed(err);
    }
    if (clm_der_is(&tlv, CLM_OID(OID_PBMAC1))) {
        code = read_pbmac1(&alg, out, err);
    } else if (clm_digest_read(&alg_tlv, false, &out->digest)) {
        out->kdf.digest = out->digest;
        code = read_classic(&r, out, err);
    } else {
        code = clm_err_set(err, CLM_E_UNSUPPORTED, "PKCS#12: MAC with an unknown function");
    }
    if (code == CLM_OK && out->value.len != clm_digest_size(out->digest)) {
        code = malformed(err);
    }
    return code;
}

void clm_p12_mac_text(const struct clm_p12_mac *mac, char dst[64])
{
    if (mac->kind == CLM_P12_PBMAC1) {
        (void)snprintf(dst, 64, "PBMAC1 HMAC-%s, PBKDF2 HMAC-%s %u", clm_digest_name(mac->digest),
                       clm_digest_name(mac->kdf.digest), mac->kdf.iterations);
    } else {
        (void)snprintf(dst, 64, "HMAC-%s %u", clm_digest_name(mac->digest), mac->kdf.iterations);
    }
}

void clm_p12_mac_preset(enum clm_keystore_profile profile, struct clm_p12_mac *out)
{
    bool is_modern = profile == CLM_KEYSTORE_MODERN;

    *out = (struct clm_p12_mac){
        .kind = CLM_P12_MAC_CLASSIC,
        .digest = is_modern ? CLM_DIGEST_SHA256 : CLM_DIGEST_SHA1,
        .kdf = {.iterations = is_modern ? 10000 : 2048, .salt_len = is_modern ? 20 : 8}};
    out->kdf.digest = out->digest;
}

static enum clm_code compute(const struct clm_p12_mac *mac, const struct clm_buf *password,
                             bool bare, const struct clm_span *content,
                             uint8_t out[CLM_DIGEST_SIZE_MAX], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf utf16 = CLM_BUF_SECRET_INIT(2 * CLM_KDF_PASSWORD_MAX + 2);
    struct clm_kdf kdf = {.password = password->data,
                          .password_len = password->len,
                          .salt = mac->kdf.salt,
                          .salt_len = mac->kdf.salt_len,
                          .iterations = mac->kdf.iterations};
    uint8_t key[CLM_DIGEST_SIZE_MAX];
    size_t key_len = mac->key_len;
    struct clm_hmac_ctx hmac;
    enum clm_code code;

    if (mac->kind == CLM_P12_PBMAC1) {
        clm_pbkdf2(mac->kdf.digest, &kdf, key, key_len);
    } else {
        code = clm_password_utf16(password, password->len > 0 || !bare, &utf16, err);
        if (code != CLM_OK) {
            return code;
        }
        kdf.password = utf16.data;
        kdf.password_len = utf16.len;
        key_len = clm_digest_size(mac->digest);
        clm_pkcs12_kdf(mac->digest, CLM_KDF_ID_MAC, &kdf, key, key_len);
    }
    clm_hmac_init(&hmac, mac->digest, key, key_len);
    clm_hmac_update(&hmac, content->data, content->len);
    clm_hmac_final(&hmac, out);
    clm_wipe(key, sizeof(key));
    return CLM_OK;
}

enum clm_code clm_p12_mac_check(struct clm_p12 *p12, const struct clm_buf *password,
                                const struct clm_span *content, struct clm_err *err)
{
    const struct clm_p12_mac *mac = &p12->mac;
    unsigned forms = password->len == 0 && mac->kind == CLM_P12_MAC_CLASSIC ? 2 : 1;

    for (unsigned bare = 0; bare < forms; bare++) {
        uint8_t value[CLM_DIGEST_SIZE_MAX];
        enum clm_code code = clm_p12_spend(p12, mac->kdf.iterations, err);

        if (code == CLM_OK) {
            code = compute(mac, password, bare == 1, content, value, err);
        }
        if (code != CLM_OK) {
            return code;
        }
        if (clm_ct_equal(value, mac->value.data, clm_digest_size(mac->digest))) {
            p12->bare_password = bare == 1;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_CRYPTO, "wrong password, or the file was changed");
}

static void write_alg(struct clm_der *w, const struct clm_p12_mac *mac)
{
    if (mac->kind == CLM_P12_MAC_CLASSIC) {
        clm_digest_write(w, false, mac->digest);
        return;
    }
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(OID_PBMAC1));
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_pbkdf2_write(w, &mac->kdf, (uint8_t)mac->key_len);
    clm_digest_write(w, true, mac->digest);
    clm_der_close(w);
    clm_der_close(w);
}

enum clm_code clm_p12_mac_write(struct clm_der *w, const struct clm_p12 *p12, struct clm_rng *rng,
                                const struct clm_buf *password, const struct clm_buf *content,
                                struct clm_err *err)
{
    const struct clm_span span = {.data = content->data, .len = content->len};
    struct clm_p12_mac mac = p12->mac;
    uint8_t value[CLM_DIGEST_SIZE_MAX];
    enum clm_code code;

    if (mac.kdf.salt_len < SALT_MIN) {
        mac.kdf.salt_len = SALT_MIN;
    }
    code = clm_rng_fill(rng, mac.kdf.salt, mac.kdf.salt_len, err);
    if (code == CLM_OK) {
        code = compute(&mac, password, p12->bare_password, &span, value, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_open(w, CLM_DER_SEQUENCE);
    write_alg(w, &mac);
    clm_der_bytes(w, CLM_DER_OCTET_STRING, value, clm_digest_size(mac.digest));
    clm_der_close(w);
    if (mac.kind == CLM_P12_PBMAC1) { /* RFC 9879 5 */
        clm_der_bytes(w, CLM_DER_OCTET_STRING, "NOT USED", 8);
        clm_der_put_uint32(w, 1);
    } else {
        clm_der_bytes(w, CLM_DER_OCTET_STRING, mac.kdf.salt, mac.kdf.salt_len);
        if (mac.kdf.iterations != 1) {
            clm_der_put_uint32(w, mac.kdf.iterations);
        }
    }
    clm_der_close(w);
    return CLM_OK;
}
