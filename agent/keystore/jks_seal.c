/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How JKS and JCEKS seal a private key. Both are weak, and exist only because old servers read
 * nothing else: JKS adds a stream of SHA-1 blocks, JCEKS uses 3DES with a key of two MD5 chains.
 * Byte-level facts: targets.md 21.5, 21.6; checked against the JDK in both directions.
 */
#include <stdio.h>
#include <string.h>

#include "agent/crypto/cipher.h"
#include "agent/crypto/der.h"
#include "agent/crypto/digest.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/kdf.h"
#include "agent/crypto/pbe.h"
#include "agent/keystore/jks.h"

#define OID_JKS   "\x2b\x06\x01\x04\x01\x2a\x02\x11\x01\x01"
#define OID_JCEKS "\x2b\x06\x01\x04\x01\x2a\x02\x13\x01"

#define SHA1_SIZE       20
#define MD5_SIZE        16
#define DES_BLOCK       8
#define DES3_KEY        24
#define JCEKS_SALT      8
#define JCEKS_ROUNDS    200000u                 /* what the JDK writes since 8u171 */
#define SHA1_CHECK_SIZE ((size_t)2 * SHA1_SIZE) /* salt in front, check behind */

struct sealed {
    bool is_jceks;
    struct clm_tlv salt; /* JCEKS */
    uint32_t rounds;
    struct clm_tlv octets;
};

/* ---- the value around ---- */

/* JCEKS: SEQUENCE { OCTET STRING salt, INTEGER rounds } */
static bool read_params(struct clm_der_reader *alg, struct sealed *out)
{
    struct clm_tlv tlv = {0};
    struct clm_der_reader r;

    if (!clm_der_take(alg, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    return clm_der_take(&r, CLM_DER_OCTET_STRING, &out->salt) && out->salt.len == JCEKS_SALT &&
           clm_der_take(&r, CLM_DER_INTEGER, &tlv) && clm_der_uint32(&tlv, &out->rounds);
}

/* Errors: PARSE; UNSUPPORTED another algorithm. */
static enum clm_code read_sealed(const uint8_t *der, size_t len, struct sealed *out,
                                 struct clm_err *err)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_der_reader alg;
    struct clm_tlv tlv = {0};
    bool good;

    *out = (struct sealed){.is_jceks = false};
    good = clm_der_take(&r, CLM_DER_SEQUENCE, &tlv);
    r = clm_der_enter(&tlv);
    good = good && clm_der_take(&r, CLM_DER_SEQUENCE, &tlv);
    alg = clm_der_enter(&tlv);
    good = good && clm_der_take(&r, CLM_DER_OCTET_STRING, &out->octets) &&
           clm_der_take(&alg, CLM_DER_OID, &tlv);
    if (!good) {
        return clm_err_set(err, CLM_E_PARSE, "sealed private key is malformed");
    }
    out->is_jceks = clm_der_is(&tlv, CLM_OID(OID_JCEKS));
    if (out->is_jceks) {
        if (!read_params(&alg, out)) {
            return clm_err_set(err, CLM_E_PARSE,
                               "sealed private key: salt or rounds are malformed");
        }
        if (out->rounds == 0 || out->rounds > CLM_KEYSTORE_ITERATIONS_MAX) {
            return clm_err_set(err, CLM_E_LIMIT,
                               "sealed private key: %u rounds; 1 to %u are accepted", out->rounds,
                               CLM_KEYSTORE_ITERATIONS_MAX);
        }
        return CLM_OK;
    }
    return clm_der_is(&tlv, CLM_OID(OID_JKS))
               ? CLM_OK
               : clm_err_set(err, CLM_E_UNSUPPORTED,
                             "private key is sealed in a way that JKS and JCEKS do not have");
}

void clm_jks_protection(const uint8_t *der, size_t len, char dst[64])
{
    struct sealed sealed;
    enum clm_code code = read_sealed(der, len, &sealed, NULL);

    if (code != CLM_OK) {
        (void)snprintf(dst, 64, code == CLM_E_UNSUPPORTED ? "unknown" : "malformed");
    } else if (sealed.is_jceks) {
        (void)snprintf(dst, 64, "PBE MD5 3DES %u", sealed.rounds);
    } else {
        (void)snprintf(dst, 64, "SHA-1 key stream");
    }
}

static enum clm_code wrong_password(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_CRYPTO, "wrong password of the private key");
}

/* ---- SHA-1 ---- */

struct part {
    const void *data;
    size_t len;
};

static void sha1_of(const struct part *parts, size_t n, uint8_t out[SHA1_SIZE])
{
    struct clm_digest_ctx ctx;

    clm_digest_init(&ctx, CLM_DIGEST_SHA1);
    for (size_t i = 0; i < n; i++) {
        clm_digest_update(&ctx, parts[i].data, parts[i].len);
    }
    clm_digest_final(&ctx, out);
}

enum clm_code clm_jks_digest(const struct clm_buf *password, const uint8_t *data, size_t len,
                             uint8_t out[CLM_JKS_DIGEST_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf utf16 = CLM_BUF_SECRET_INIT((size_t)2 * CLM_KEYSTORE_PASSWORD_MAX);
    enum clm_code code = clm_password_utf16(password, false, &utf16, err);

    if (code == CLM_OK) {
        const struct part parts[] = {
            {utf16.data, utf16.len}, {"Mighty Aphrodite", 16}, {data, len}};

        sha1_of(parts, CLM_ARRAY_LEN(parts), out);
    }
    return code;
}

/* Xors data with SHA1(pw, salt), SHA1(pw, that), ... */
static void key_stream(const struct clm_buf *utf16, const uint8_t salt[SHA1_SIZE], uint8_t *data,
                       size_t len)
{
    uint8_t block[SHA1_SIZE];
    size_t used = SHA1_SIZE;

    memcpy(block, salt, SHA1_SIZE);
    for (size_t i = 0; i < len; i++) {
        if (used == SHA1_SIZE) {
            const struct part parts[] = {{utf16->data, utf16->len}, {block, SHA1_SIZE}};

            sha1_of(parts, CLM_ARRAY_LEN(parts), block);
            used = 0;
        }
        data[i] ^= block[used++];
    }
    clm_wipe(block, sizeof(block));
}

static void check_of(const struct clm_buf *utf16, const uint8_t *plain, size_t len,
                     uint8_t out[SHA1_SIZE])
{
    const struct part parts[] = {{utf16->data, utf16->len}, {plain, len}};

    sha1_of(parts, CLM_ARRAY_LEN(parts), out);
}

static enum clm_code unseal_sha1(const struct sealed *sealed, const struct clm_buf *password,
                                 struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf utf16 = CLM_BUF_SECRET_INIT((size_t)2 * CLM_KEYSTORE_PASSWORD_MAX);
    const uint8_t *octets = sealed->octets.value;
    size_t start = out->len;
    uint8_t check[SHA1_SIZE];
    size_t len;
    enum clm_code code;

    if (sealed->octets.len <= SHA1_CHECK_SIZE) {
        return clm_err_set(err, CLM_E_PARSE, "sealed private key is too short");
    }
    len = sealed->octets.len - SHA1_CHECK_SIZE;
    code = clm_password_utf16(password, false, &utf16, err);
    if (code == CLM_OK) {
        code = clm_buf_add(out, octets + SHA1_SIZE, len, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    key_stream(&utf16, octets, out->data + start, len);
    check_of(&utf16, out->data + start, len, check);
    if (!clm_ct_equal(check, octets + SHA1_SIZE + len, SHA1_SIZE)) {
        clm_wipe(out->data + start, len);
        out->len = start;
        code = wrong_password(err);
    }
    return code;
}

/* Appends salt, stream and check of the plain key. */
static enum clm_code seal_sha1(struct clm_rng *rng, const struct clm_buf *plain,
                               const struct clm_buf *password, struct clm_buf *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf utf16 = CLM_BUF_SECRET_INIT((size_t)2 * CLM_KEYSTORE_PASSWORD_MAX);
    uint8_t salt[SHA1_SIZE];
    uint8_t check[SHA1_SIZE];
    enum clm_code code = clm_password_utf16(password, false, &utf16, err);

    if (code == CLM_OK) {
        code = clm_rng_fill(rng, salt, sizeof(salt), err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(out, salt, sizeof(salt), err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(out, plain->data, plain->len, err);
    }
    if (code == CLM_OK) {
        key_stream(&utf16, salt, out->data + out->len - plain->len, plain->len);
        check_of(&utf16, plain->data, plain->len, check);
        code = clm_buf_add(out, check, sizeof(check), err);
    }
    return code;
}

/* ---- MD5 and 3DES ---- */

/* The JDK wants printable ASCII, and so no other file can exist. */
static enum clm_code check_ascii(const struct clm_buf *password, struct clm_err *err)
{
    for (size_t i = 0; i < password->len; i++) {
        if (password->data[i] < 0x20 || password->data[i] > 0x7e) {
            return clm_err_set(err, CLM_E_UNSUPPORTED,
                               "JCEKS takes passwords of keys in printable ASCII only");
        }
    }
    return CLM_OK;
}

/* A chain of MD5 over half of the salt: half a key of 32 bytes. input holds MD5_SIZE bytes of room and
 * the password behind them. */
static void derive_half(const uint8_t salt[JCEKS_SALT / 2], uint32_t rounds, struct clm_buf *input,
                        uint8_t out[MD5_SIZE])
{
    size_t room = MD5_SIZE - JCEKS_SALT / 2;

    memcpy(input->data + room, salt, JCEKS_SALT / 2);
    clm_digest_of(CLM_DIGEST_MD5, input->data + room, input->len - room, out);
    for (uint32_t i = 1; i < rounds; i++) {
        memcpy(input->data, out, MD5_SIZE);
        clm_digest_of(CLM_DIGEST_MD5, input->data, input->len, out);
    }
}

static enum clm_code derive(const uint8_t salt[JCEKS_SALT], uint32_t rounds,
                            const struct clm_buf *password, struct clm_cipher_key *out,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf input = CLM_BUF_SECRET_INIT(MD5_SIZE + CLM_KEYSTORE_PASSWORD_MAX);
    uint8_t derived[2 * MD5_SIZE];
    uint8_t first[JCEKS_SALT / 2];
    enum clm_code code = clm_buf_reserve(&input, MD5_SIZE + password->len, err);

    if (code != CLM_OK) {
        return code;
    }
    input.len = MD5_SIZE + password->len;
    for (size_t i = 0; i < password->len; i++) {
        input.data[MD5_SIZE + i] = password->data[i];
    }
    memcpy(first, salt, sizeof(first));
    if (memcmp(first, salt + sizeof(first), sizeof(first)) == 0) {
        /* as JDK 17 does it; an old JDK made something else of equal halves, once in 2^32 keys */
        const uint8_t turned[] = {salt[3], salt[2], salt[1], salt[0]};

        memcpy(first, turned, sizeof(first));
    }
    derive_half(first, rounds, &input, derived);
    derive_half(salt + sizeof(first), rounds, &input, derived + MD5_SIZE);
    out->cipher = CLM_CIPHER_3DES;
    memcpy(out->key, derived, DES3_KEY);
    memcpy(out->iv, derived + DES3_KEY, DES_BLOCK);
    clm_wipe(derived, sizeof(derived));
    return CLM_OK;
}

static enum clm_code unseal_3des(const struct sealed *sealed, const struct clm_buf *password,
                                 struct clm_buf *out, struct clm_err *err)
{
    struct clm_cipher_key key = {.cipher = CLM_CIPHER_3DES};
    size_t start = out->len;
    enum clm_code code = check_ascii(password, err);

    if (code == CLM_OK && (sealed->octets.len == 0 || sealed->octets.len % DES_BLOCK != 0)) {
        code = clm_err_set(err, CLM_E_PARSE, "sealed private key is not of whole blocks");
    }
    if (code == CLM_OK) {
        code = derive(sealed->salt.value, sealed->rounds, password, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_cipher_decrypt(&key, sealed->octets.value, sealed->octets.len, out, err);
    }
    clm_wipe(&key, sizeof(key));
    /* a wrong password makes wrong padding, or, once in 256, bytes that are no PKCS#8 */
    if (code == CLM_OK && (out->len - start < 2 || out->data[start] != CLM_DER_SEQUENCE)) {
        clm_wipe(out->data + start, out->len - start);
        out->len = start;
        code = CLM_E_CRYPTO;
    }
    return code == CLM_E_CRYPTO ? wrong_password(err) : code;
}

/* ---- for clm_keystore_ops ---- */

enum clm_code clm_jks_unseal(const struct clm_keystore *store, const struct clm_entry *entry,
                             const struct clm_buf *password, struct clm_buf *out,
                             struct clm_err *err)
{
    struct sealed sealed;
    enum clm_code code = read_sealed(entry->sealed_key.data, entry->sealed_key.len, &sealed, err);

    (void)store;
    if (code != CLM_OK) {
        return code;
    }
    return sealed.is_jceks ? unseal_3des(&sealed, password, out, err)
                           : unseal_sha1(&sealed, password, out, err);
}

/* A salt whose halves differ, as JCEKS wants it. */
static enum clm_code make_salt(struct clm_rng *rng, uint8_t salt[JCEKS_SALT], struct clm_err *err)
{
    enum clm_code code;

    do {
        code = clm_rng_fill(rng, salt, JCEKS_SALT, err);
    } while (code == CLM_OK && memcmp(salt, salt + 4, 4) == 0);
    return code;
}

static enum clm_code write_jceks(struct clm_rng *rng, uint32_t rounds, const struct clm_buf *plain,
                                 const struct clm_buf *password, struct clm_buf *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf octets = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX + DES_BLOCK);
    uint8_t salt[JCEKS_SALT];
    struct clm_cipher_key cipher = {.cipher = CLM_CIPHER_3DES};
    struct clm_der w;
    enum clm_code code = check_ascii(password, err);

    if (code == CLM_OK) {
        code = make_salt(rng, salt, err);
    }
    if (code == CLM_OK) {
        code = derive(salt, rounds, password, &cipher, err);
    }
    if (code == CLM_OK) {
        code = clm_cipher_encrypt(&cipher, plain->data, plain->len, &octets, err);
    }
    clm_wipe(&cipher, sizeof(cipher));
    if (code != CLM_OK) {
        return code;
    }
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID(OID_JCEKS));
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_bytes(&w, CLM_DER_OCTET_STRING, salt, sizeof(salt));
    clm_der_put_uint32(&w, rounds);
    clm_der_close(&w);
    clm_der_close(&w);
    clm_der_bytes(&w, CLM_DER_OCTET_STRING, octets.data, octets.len);
    clm_der_close(&w);
    return clm_der_done(&w);
}

static enum clm_code write_jks(struct clm_rng *rng, const struct clm_buf *plain,
                               const struct clm_buf *password, struct clm_buf *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf octets = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX + SHA1_CHECK_SIZE);
    struct clm_der w;
    enum clm_code code = seal_sha1(rng, plain, password, &octets, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID(OID_JKS));
    clm_der_null(&w);
    clm_der_close(&w);
    clm_der_bytes(&w, CLM_DER_OCTET_STRING, octets.data, octets.len);
    clm_der_close(&w);
    return clm_der_done(&w);
}

enum clm_code clm_jks_seal(const struct clm_keystore *store, const struct clm_seal *how,
                           struct clm_buf *sealed, char protection[64], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    struct sealed was;
    const struct clm_entry *old = how->old;
    size_t start = sealed->len;
    enum clm_code code = clm_key_to_der(how->key, &plain, err);

    /* a JCEKS may hold keys sealed as in JKS: each goes on as it was */
    if (old == NULL ||
        read_sealed(old->sealed_key.data, old->sealed_key.len, &was, NULL) != CLM_OK) {
        was.is_jceks = store->ops->type == CLM_KEYSTORE_JCEKS;
        was.rounds = JCEKS_ROUNDS;
    }
    if (code == CLM_OK) {
        code = was.is_jceks ? write_jceks(how->rng, was.rounds, &plain, how->password, sealed, err)
                            : write_jks(how->rng, &plain, how->password, sealed, err);
    }
    if (code == CLM_OK) {
        clm_jks_protection(sealed->data + start, sealed->len - start, protection);
    }
    return code;
}
