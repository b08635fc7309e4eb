/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/pkcs8.h"

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/armor.h"
#include "agent/crypto/cipher.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/internal.h"
#include "agent/crypto/pbe.h"

#define PEM_MAX       65536u /* bytes of text with a key in it; reliability.md 10 */
#define DEK_SALT_SIZE 8      /* the first bytes of the IV */

static enum clm_code wrong_password(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_CRYPTO, "wrong password of the private key");
}

/* A key out of decrypted bytes: if they are no key, the padding was right by chance only. */
static enum clm_code key_of_plain(const struct clm_buf *plain, struct clm_key **out_key,
                                  struct clm_err *err)
{
    enum clm_code code = clm_key_from_der(plain->data, plain->len, out_key, err);

    return code == CLM_E_PARSE ? wrong_password(err) : code;
}

/* ---- PKCS#8 ---- */

/* EncryptedPrivateKeyInfo: SEQUENCE { SEQUENCE algorithm, OCTET STRING }. False: it is none. */
static bool read_encrypted(const uint8_t *der, size_t len, struct clm_tlv *out_alg,
                           struct clm_tlv *out_sealed)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tlv = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    return clm_der_take(&r, CLM_DER_SEQUENCE, out_alg) &&
           clm_der_take(&r, CLM_DER_OCTET_STRING, out_sealed);
}

enum clm_code clm_key_from_der_password(const uint8_t *der, size_t len,
                                        const struct clm_buf *password, struct clm_key **out_key,
                                        struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    struct clm_tlv alg = {0};
    struct clm_tlv sealed = {0};
    struct clm_pbe pbe;
    enum clm_code code;

    if (!read_encrypted(der, len, &alg, &sealed)) {
        return clm_key_from_der(der, len, out_key, err);
    }
    if (password == NULL) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "private key is encrypted, and no password was given");
    }
    code = clm_pbe_read(&alg, &pbe, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "encrypted private key");
    }
    code = clm_pbe_decrypt(&pbe, password, &sealed, &plain, err);
    if (code == CLM_E_CRYPTO) {
        return wrong_password(err);
    }
    return code == CLM_OK ? key_of_plain(&plain, out_key, err) : code;
}

/* ---- Proc-Type: 4,ENCRYPTED ---- */

static const struct {
    const char *name;
    enum clm_cipher cipher;
} dek_ciphers[] = {
    {"AES-128-CBC", CLM_CIPHER_AES128}, {"AES-192-CBC", CLM_CIPHER_AES192},
    {"AES-256-CBC", CLM_CIPHER_AES256}, {"DES-EDE3-CBC", CLM_CIPHER_3DES},
    {"DES-CBC", CLM_CIPHER_DES},
};

/* "DEK-Info: AES-256-CBC,0123...": cipher and IV. */
static enum clm_code read_dek(const struct clm_armor *block, struct clm_cipher_key *out,
                              struct clm_err *err)
{
    static const char name[] = "DEK-Info:";
    const char *end = block->headers + block->headers_len;
    char text[80] = "";
    char *comma;

    for (const char *p = block->headers; p < end && text[0] == '\0';) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((stop == NULL ? end : stop) - p);
        size_t skip = sizeof(name) - 1;

        if (len > skip && p[skip] == ' ') {
            skip++;
        }
        if (len > skip && len - skip < sizeof(text) && memcmp(p, name, sizeof(name) - 1) == 0) {
            memcpy(text, p + skip, len - skip);
            text[len - skip] = '\0';
            text[strcspn(text, "\r ")] = '\0';
        }
        p = stop == NULL ? end : stop + 1;
    }
    comma = strchr(text, ',');
    if (comma == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "encrypted private key has no usable line 'DEK-Info'");
    }
    *comma = '\0';
    for (size_t i = 0; i < CLM_ARRAY_LEN(dek_ciphers); i++) {
        if (strcmp(dek_ciphers[i].name, text) == 0) {
            out->cipher = dek_ciphers[i].cipher;
            return clm_hex_decode(comma + 1, out->iv, clm_cipher_block_size(out->cipher), NULL) ==
                           CLM_OK
                       ? CLM_OK
                       : clm_err_set(err, CLM_E_PARSE,
                                     "encrypted private key: IV in 'DEK-Info' is malformed");
        }
    }
    return clm_err_set(err, CLM_E_UNSUPPORTED,
                       "private key is encrypted with %.32s, which is not supported",
                       clm_str_is_printable(text) ? text : "something");
}

/* EVP_BytesToKey(3) with MD5, one round: D1 = MD5(pw, salt), Dn = MD5(Dn-1, pw, salt). */
static void derive_dek(const struct clm_buf *password, struct clm_cipher_key *io)
{
    size_t want = clm_cipher_key_size(io->cipher);
    size_t have = 0;
    uint8_t block[16];

    while (have < want) {
        size_t n = want - have < sizeof(block) ? want - have : sizeof(block);
        struct clm_digest_ctx ctx;

        clm_digest_init(&ctx, CLM_DIGEST_MD5);
        if (have > 0) {
            clm_digest_update(&ctx, block, sizeof(block));
        }
        clm_digest_update(&ctx, password->data, password->len);
        clm_digest_update(&ctx, io->iv, DEK_SALT_SIZE);
        clm_digest_final(&ctx, block);
        memcpy(io->key + have, block, n);
        have += n;
    }
    clm_wipe(block, sizeof(block));
}

static enum clm_code from_dek(const struct clm_armor *block, const struct clm_buf *password,
                              struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    struct clm_cipher_key dek = {.cipher = CLM_CIPHER_AES128};
    enum clm_code code = read_dek(block, &dek, err);

    if (code == CLM_OK) {
        code = clm_armor_decode(block, &sealed, err);
    }
    if (code == CLM_OK) {
        derive_dek(password, &dek);
        code = clm_cipher_decrypt(&dek, sealed.data, sealed.len, &plain, err);
        if (code == CLM_E_CRYPTO) {
            code = wrong_password(err);
        }
    }
    clm_wipe(&dek, sizeof(dek));
    return code == CLM_OK ? key_of_plain(&plain, out_key, err) : code;
}

/* ---- PEM ---- */

/* The first block with an encrypted key, if no key in clear is in front of it. */
static bool find_encrypted(const char *text, size_t len, struct clm_armor *out)
{
    static const char *const labels[] = {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"};

    while (clm_armor_next(&text, &len, out, NULL) == CLM_OK) {
        if (strcmp(out->label, "ENCRYPTED PRIVATE KEY") == 0) {
            return true;
        }
        for (size_t i = 0; i < CLM_ARRAY_LEN(labels); i++) {
            if (strcmp(out->label, labels[i]) == 0) {
                return out->is_encrypted;
            }
        }
    }
    return false;
}

enum clm_code clm_key_from_pem_password(const void *pem, size_t len, const struct clm_buf *password,
                                        struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    struct clm_armor block;
    enum clm_code code;

    if (password == NULL || len > PEM_MAX || !find_encrypted(pem, len, &block)) {
        return clm_key_from_pem(pem, len, out_key, err);
    }
    if (block.is_encrypted) {
        return from_dek(&block, password, out_key, err);
    }
    code = clm_armor_decode(&block, &der, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "encrypted private key");
    }
    return clm_key_from_der_password(der.data, der.len, password, out_key, err);
}

enum clm_code clm_key_from_any(const void *data, size_t len, const struct clm_buf *password,
                               struct clm_key **out_key, struct clm_err *err)
{
    bool is_der = len > 0 && *(const uint8_t *)data == CLM_DER_SEQUENCE;

    return is_der ? clm_key_from_der_password(data, len, password, out_key, err)
                  : clm_key_from_pem_password(data, len, password, out_key, err);
}

/* ---- writing ---- */

enum clm_code clm_key_to_der_password(const struct clm_key *key, struct clm_rng *rng,
                                      const struct clm_buf *password, struct clm_buf *out,
                                      struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf sealed = CLM_BUF_INIT(CLM_KEY_DER_MAX + CLM_CIPHER_BLOCK_MAX);
    struct clm_pbe pbe;
    struct clm_der w;
    enum clm_code code;

    if (password->len == 0) {
        return clm_err_set(err, CLM_E_INVAL, "an empty password protects no private key");
    }
    code = clm_key_to_der(key, &plain, err);
    if (code == CLM_OK) {
        code = clm_pbe_new(CLM_PBE_MODERN, rng, &pbe, err);
    }
    if (code == CLM_OK) {
        code = clm_pbe_encrypt(&pbe, password, &plain, &sealed, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_pbe_write(&w, &pbe);
    clm_der_bytes(&w, CLM_DER_OCTET_STRING, sealed.data, sealed.len);
    clm_der_close(&w);
    return clm_der_done(&w);
}

enum clm_code clm_key_to_pem_password(const struct clm_key *key, struct clm_rng *rng,
                                      const struct clm_buf *password, struct clm_buf *out,
                                      struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT((size_t)2 * CLM_KEY_DER_MAX);
    enum clm_code code = clm_key_to_der_password(key, rng, password, &der, err);

    return code == CLM_OK ? clm_armor_write("ENCRYPTED PRIVATE KEY", der.data, der.len, out, err)
                          : code;
}
