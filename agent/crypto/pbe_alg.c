/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AlgorithmIdentifiers of password-based encryption, read and written by tables.
 */
#include <stdio.h>
#include <string.h>

#include "agent/crypto/pbe.h"

#define OID_PBES2         "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"
#define OID_PBKDF2        "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"
#define OID_PBES1(n)      "\x2a\x86\x48\x86\xf7\x0d\x01\x05" n
#define OID_PKCS12_PBE(n) "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01" n
#define OID_AES(n)        "\x60\x86\x48\x01\x65\x03\x04\x01" n
#define OID_SHA2(n)       "\x60\x86\x48\x01\x65\x03\x04\x02" n
#define OID_RSADSI(n)     "\x2a\x86\x48\x86\xf7\x0d" n

struct oid {
    const char *bytes;
    size_t len;
};

/* Bytes of an OID and its length: a literal may hold zeros. */
#define O(literal)                                                                                 \
    {                                                                                              \
        CLM_OID(literal)                                                                           \
    }

static const struct {
    struct oid oid;
    enum clm_pbe_scheme scheme;
    enum clm_cipher cipher;
    enum clm_digest digest;
} schemes[] = {
    {O(OID_PKCS12_PBE("\x03")), CLM_PBE_PKCS12, CLM_CIPHER_3DES, CLM_DIGEST_SHA1},
    {O(OID_PKCS12_PBE("\x04")), CLM_PBE_PKCS12, CLM_CIPHER_3DES2, CLM_DIGEST_SHA1},
    {O(OID_PKCS12_PBE("\x05")), CLM_PBE_PKCS12, CLM_CIPHER_RC2_128, CLM_DIGEST_SHA1},
    {O(OID_PKCS12_PBE("\x06")), CLM_PBE_PKCS12, CLM_CIPHER_RC2_40, CLM_DIGEST_SHA1},
    {O(OID_PBES1("\x03")), CLM_PBE_PBES1, CLM_CIPHER_DES, CLM_DIGEST_MD5},
    {O(OID_PBES1("\x06")), CLM_PBE_PBES1, CLM_CIPHER_RC2_64, CLM_DIGEST_MD5},
    {O(OID_PBES1("\x0a")), CLM_PBE_PBES1, CLM_CIPHER_DES, CLM_DIGEST_SHA1},
    {O(OID_PBES1("\x0b")), CLM_PBE_PBES1, CLM_CIPHER_RC2_64, CLM_DIGEST_SHA1},
};

/* What PBES2 encrypts with. */
static const struct {
    struct oid oid;
    enum clm_cipher cipher;
} ciphers[] = {
    {O(OID_AES("\x02")), CLM_CIPHER_AES128},     {O(OID_AES("\x16")), CLM_CIPHER_AES192},
    {O(OID_AES("\x2a")), CLM_CIPHER_AES256},     {O(OID_RSADSI("\x03\x07")), CLM_CIPHER_3DES},
    {O("\x2b\x0e\x03\x02\x07"), CLM_CIPHER_DES},
};

static const struct {
    struct oid plain;
    struct oid hmac;
    enum clm_digest digest;
} digests[] = {
    {O("\x2b\x0e\x03\x02\x1a"), O(OID_RSADSI("\x02\x07")), CLM_DIGEST_SHA1},
    {O(OID_SHA2("\x04")), O(OID_RSADSI("\x02\x08")), CLM_DIGEST_SHA224},
    {O(OID_SHA2("\x01")), O(OID_RSADSI("\x02\x09")), CLM_DIGEST_SHA256},
    {O(OID_SHA2("\x02")), O(OID_RSADSI("\x02\x0a")), CLM_DIGEST_SHA384},
    {O(OID_SHA2("\x03")), O(OID_RSADSI("\x02\x0b")), CLM_DIGEST_SHA512},
    {O(OID_RSADSI("\x02\x05")), O("\x2b\x06\x01\x05\x05\x08\x01\x01"), CLM_DIGEST_MD5},
};

/* What is met in files and not supported, by name. */
static const struct {
    struct oid oid;
    const char *name;
} refused[] = {
    {O("\x2b\x06\x01\x04\x01\xda\x47\x04\x0b"), "scrypt"},
    {O(OID_PKCS12_PBE("\x01")), "RC4-128"},
    {O(OID_PKCS12_PBE("\x02")), "RC4-40"},
    {O(OID_PBES1("\x01")), "MD2 with DES"},
    {O(OID_PBES1("\x04")), "MD2 with RC2"},
    {O(OID_RSADSI("\x03\x02")), "RC2 in PBES2"},
    {O(OID_AES("\x06")), "AES-128-GCM"},
    {O(OID_AES("\x2e")), "AES-256-GCM"},
    {O(OID_PBES1("\x0e")), "PBMAC1"},
};

static bool is_oid(const struct clm_tlv *tlv, const struct oid *oid)
{
    return clm_der_is(tlv, oid->bytes, oid->len);
}

/* "1.2.840...", cut off where dst ends. */
static void oid_text(const struct clm_tlv *oid, char *dst, size_t size)
{
    size_t used = 0;
    uint64_t arc = 0;
    bool is_first = true;

    dst[0] = '\0';
    for (size_t i = 0; i < oid->len && used + 24 < size; i++) {
        arc = arc << 7 | (oid->value[i] & 0x7fu);
        if ((oid->value[i] & 0x80u) != 0) {
            continue;
        }
        if (is_first) {
            unsigned top = arc < 80 ? (unsigned)arc / 40 : 2;

            used += (size_t)snprintf(dst, size, "%u.%llu", top,
                                     (unsigned long long)(arc - UINT64_C(40) * top));
            is_first = false;
        } else {
            used += (size_t)snprintf(dst + used, size - used, ".%llu", (unsigned long long)arc);
        }
        arc = 0;
    }
}

static enum clm_code unsupported(const struct clm_tlv *oid, struct clm_err *err)
{
    char number[96];

    for (size_t i = 0; i < CLM_ARRAY_LEN(refused); i++) {
        if (is_oid(oid, &refused[i].oid)) {
            return clm_err_set(err, CLM_E_UNSUPPORTED, "encryption with %s is not supported",
                               refused[i].name);
        }
    }
    oid_text(oid, number, sizeof(number));
    return clm_err_set(err, CLM_E_UNSUPPORTED, "encryption algorithm %s is not supported", number);
}

static enum clm_code malformed(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_PARSE, "parameters of the encryption are malformed");
}

bool clm_der_uint32(const struct clm_tlv *tlv, uint32_t *out)
{
    size_t i = 0;

    *out = 0;
    if (tlv->len == 0 || (tlv->value[0] & 0x80u) != 0) {
        return false;
    }
    while (i + 1 < tlv->len && tlv->value[i] == 0) {
        i++;
    }
    if (tlv->len - i > 4) {
        *out = UINT32_MAX;
        return false;
    }
    for (; i < tlv->len; i++) {
        *out = *out << 8 | tlv->value[i];
    }
    return true;
}

void clm_der_put_uint32(struct clm_der *w, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value};

    clm_der_positive(w, bytes, sizeof(bytes));
}

/* Salt and iterations: the first two values of all parameters. */
static enum clm_code read_salt(struct clm_der_reader *r, struct clm_pbe *out, struct clm_err *err)
{
    struct clm_tlv salt = {0};
    struct clm_tlv number = {0};

    if (!clm_der_take(r, CLM_DER_OCTET_STRING, &salt) ||
        !clm_der_take(r, CLM_DER_INTEGER, &number)) {
        return malformed(err);
    }
    if (salt.len > sizeof(out->salt)) {
        return clm_err_set(err, CLM_E_LIMIT, "salt of %zu bytes; at most %u are accepted", salt.len,
                           CLM_KDF_SALT_MAX);
    }
    if (!clm_der_uint32(&number, &out->iterations) && out->iterations == 0) {
        return malformed(err);
    }
    if (out->iterations == 0 || out->iterations > CLM_KDF_ITERATIONS_MAX) {
        return clm_err_set(err, CLM_E_LIMIT,
                           "password hash of %s%u iterations; 1 to %u are accepted",
                           out->iterations == UINT32_MAX ? "more than " : "", out->iterations,
                           CLM_KDF_ITERATIONS_MAX);
    }
    memcpy(out->salt, salt.value, salt.len);
    out->salt_len = salt.len;
    return CLM_OK;
}

/* The OID of an AlgorithmIdentifier, and a reader behind it. */
static bool enter_alg(const struct clm_tlv *alg, struct clm_der_reader *r, struct clm_tlv *oid)
{
    if (alg->tag != CLM_DER_SEQUENCE) {
        return false;
    }
    *r = clm_der_enter(alg);
    return clm_der_take(r, CLM_DER_OID, oid);
}

bool clm_digest_read(const struct clm_tlv *alg, bool is_hmac, enum clm_digest *out)
{
    struct clm_der_reader r = {0};
    struct clm_tlv oid = {0};

    if (!enter_alg(alg, &r, &oid)) {
        return false;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(digests); i++) {
        if (is_oid(&oid, is_hmac ? &digests[i].hmac : &digests[i].plain)) {
            *out = digests[i].digest;
            return true;
        }
    }
    return false;
}

void clm_digest_write(struct clm_der *w, bool is_hmac, enum clm_digest digest)
{
    clm_der_open(w, CLM_DER_SEQUENCE);
    for (size_t i = 0; i < CLM_ARRAY_LEN(digests); i++) {
        if (digests[i].digest == digest) {
            const struct oid *oid = is_hmac ? &digests[i].hmac : &digests[i].plain;

            clm_der_oid(w, oid->bytes, oid->len);
        }
    }
    clm_der_null(w);
    clm_der_close(w);
}

enum clm_code clm_pbkdf2_read(const struct clm_tlv *alg, struct clm_pbe *out, uint32_t *key_len,
                              struct clm_err *err)
{
    struct clm_der_reader r = {0};
    struct clm_tlv tlv = {0};
    enum clm_code code;

    *key_len = 0;
    if (!enter_alg(alg, &r, &tlv)) {
        return malformed(err);
    }
    if (!clm_der_is(&tlv, CLM_OID(OID_PBKDF2))) {
        return unsupported(&tlv, err);
    }
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed(err);
    }
    r = clm_der_enter(&tlv);
    code = read_salt(&r, out, err);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_der_take(&r, CLM_DER_INTEGER, &tlv) &&
        (!clm_der_uint32(&tlv, key_len) || *key_len == 0)) {
        return malformed(err);
    }
    out->has_key_length = *key_len != 0;
    out->digest = CLM_DIGEST_SHA1; /* the default of RFC 8018 A.2 */
    if (clm_der_take(&r, CLM_DER_SEQUENCE, &tlv) && !clm_digest_read(&tlv, true, &out->digest)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "PBKDF2 with an unknown function");
    }
    return clm_der_at_end(&r) ? CLM_OK : malformed(err);
}

void clm_pbkdf2_write(struct clm_der *w, const struct clm_pbe *pbe, uint8_t key_len)
{
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(OID_PBKDF2));
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_bytes(w, CLM_DER_OCTET_STRING, pbe->salt, pbe->salt_len);
    clm_der_put_uint32(w, pbe->iterations);
    if (key_len != 0) {
        clm_der_small_int(w, key_len);
    }
    if (pbe->digest != CLM_DIGEST_SHA1) { /* DER leaves a default out */
        clm_digest_write(w, true, pbe->digest);
    }
    clm_der_close(w);
    clm_der_close(w);
}

/* The cipher of PBES2 and its IV. */
static enum clm_code read_cipher(const struct clm_tlv *alg, struct clm_pbe *out,
                                 struct clm_err *err)
{
    struct clm_der_reader r = {0};
    struct clm_tlv oid = {0};
    struct clm_tlv iv = {0};

    if (!enter_alg(alg, &r, &oid)) {
        return malformed(err);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(ciphers); i++) {
        if (!is_oid(&oid, &ciphers[i].oid)) {
            continue;
        }
        out->cipher = ciphers[i].cipher;
        if (!clm_der_take(&r, CLM_DER_OCTET_STRING, &iv) ||
            iv.len != clm_cipher_block_size(out->cipher)) {
            return malformed(err);
        }
        memcpy(out->iv, iv.value, iv.len);
        return CLM_OK;
    }
    return unsupported(&oid, err);
}

static enum clm_code read_pbes2(struct clm_der_reader r, struct clm_pbe *out, struct clm_err *err)
{
    struct clm_tlv kdf = {0};
    struct clm_tlv cipher = {0};
    uint32_t key_len = 0;
    enum clm_code code;

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &kdf)) {
        return malformed(err);
    }
    r = clm_der_enter(&kdf);
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &kdf) || !clm_der_take(&r, CLM_DER_SEQUENCE, &cipher)) {
        return malformed(err);
    }
    code = clm_pbkdf2_read(&kdf, out, &key_len, err);
    if (code == CLM_OK) {
        code = read_cipher(&cipher, out, err);
    }
    if (code == CLM_OK && key_len != 0 && key_len != clm_cipher_key_size(out->cipher)) {
        code = clm_err_set(err, CLM_E_PARSE, "key of %u bytes for %s", key_len,
                           clm_cipher_name(out->cipher));
    }
    return code;
}

enum clm_code clm_pbe_read(const struct clm_tlv *alg, struct clm_pbe *out, struct clm_err *err)
{
    struct clm_der_reader r = {0};
    struct clm_tlv oid = {0};
    struct clm_tlv params = {0};

    *out = (struct clm_pbe){.scheme = CLM_PBE_PBES2};
    if (!enter_alg(alg, &r, &oid)) {
        return malformed(err);
    }
    if (clm_der_is(&oid, CLM_OID(OID_PBES2))) {
        return read_pbes2(r, out, err);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(schemes); i++) {
        if (!is_oid(&oid, &schemes[i].oid)) {
            continue;
        }
        out->scheme = schemes[i].scheme;
        out->cipher = schemes[i].cipher;
        out->digest = schemes[i].digest;
        if (!clm_der_take(&r, CLM_DER_SEQUENCE, &params)) {
            return malformed(err);
        }
        r = clm_der_enter(&params);
        return read_salt(&r, out, err);
    }
    return unsupported(&oid, err);
}

static void write_pbes2(struct clm_der *w, const struct clm_pbe *pbe)
{
    clm_der_oid(w, CLM_OID(OID_PBES2));
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_pbkdf2_write(w, pbe, pbe->has_key_length ? (uint8_t)clm_cipher_key_size(pbe->cipher) : 0);
    clm_der_open(w, CLM_DER_SEQUENCE);
    for (size_t i = 0; i < CLM_ARRAY_LEN(ciphers); i++) {
        if (ciphers[i].cipher == pbe->cipher) {
            clm_der_oid(w, ciphers[i].oid.bytes, ciphers[i].oid.len);
        }
    }
    clm_der_bytes(w, CLM_DER_OCTET_STRING, pbe->iv, clm_cipher_block_size(pbe->cipher));
    clm_der_close(w);
    clm_der_close(w);
}

void clm_pbe_write(struct clm_der *w, const struct clm_pbe *pbe)
{
    clm_der_open(w, CLM_DER_SEQUENCE);
    if (pbe->scheme == CLM_PBE_PBES2) {
        write_pbes2(w, pbe);
        clm_der_close(w);
        return;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(schemes); i++) {
        if (schemes[i].scheme == pbe->scheme && schemes[i].cipher == pbe->cipher &&
            schemes[i].digest == pbe->digest) {
            clm_der_oid(w, schemes[i].oid.bytes, schemes[i].oid.len);
        }
    }
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_bytes(w, CLM_DER_OCTET_STRING, pbe->salt, pbe->salt_len);
    clm_der_put_uint32(w, pbe->iterations);
    clm_der_close(w);
    clm_der_close(w);
}
