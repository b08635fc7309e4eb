/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CBC is chained here, over single blocks, so that all ciphers share it and its padding.
 */
#include "agent/crypto/cipher.h"

#include <assert.h>
#include <string.h>

#include "agent/crypto/hash.h"
#include "agent/crypto/mbed_compat.h"
#include "agent/crypto/rc2.h"

enum family {
    FAMILY_AES,
    FAMILY_DES,
    FAMILY_3DES,
    FAMILY_RC2
};

static const struct {
    const char *name;
    enum family family;
    uint8_t key_size;
    uint8_t block_size;
} ciphers[CLM_CIPHER__COUNT] = {
    [CLM_CIPHER_AES128] = {"AES-128-CBC", FAMILY_AES, 16, 16},
    [CLM_CIPHER_AES192] = {"AES-192-CBC", FAMILY_AES, 24, 16},
    [CLM_CIPHER_AES256] = {"AES-256-CBC", FAMILY_AES, 32, 16},
    [CLM_CIPHER_DES] = {"DES-CBC", FAMILY_DES, 8, 8},
    [CLM_CIPHER_3DES2] = {"2-key 3DES-CBC", FAMILY_3DES, 16, 8},
    [CLM_CIPHER_3DES] = {"3DES-CBC", FAMILY_3DES, 24, 8},
    [CLM_CIPHER_RC2_40] = {"RC2-40-CBC", FAMILY_RC2, 5, 8},
    [CLM_CIPHER_RC2_64] = {"RC2-64-CBC", FAMILY_RC2, 8, 8},
    [CLM_CIPHER_RC2_128] = {"RC2-128-CBC", FAMILY_RC2, 16, 8},
};

const char *clm_cipher_name(enum clm_cipher cipher)
{
    return ciphers[cipher].name;
}

size_t clm_cipher_key_size(enum clm_cipher cipher)
{
    return ciphers[cipher].key_size;
}

size_t clm_cipher_block_size(enum clm_cipher cipher)
{
    return ciphers[cipher].block_size;
}

struct engine {
    enum family family;
    bool is_decrypting;
    union {
        mbedtls_aes_context aes;
        mbedtls_des_context des;
        mbedtls_des3_context des3;
        struct clm_rc2 rc2;
    } u;
};

/* None of these can fail: the lengths of the keys are right by the table. */
static void must(int rc)
{
    assert(rc == 0);
    (void)rc;
}

static void set_3des(mbedtls_des3_context *des3, const struct clm_cipher_key *key, bool decrypts)
{
    uint8_t full[24];

    mbedtls_des3_init(des3);
    memcpy(full, key->key, sizeof(full));
    if (key->cipher == CLM_CIPHER_3DES2) {
        memcpy(full + 16, full, 8);
    }
    must(decrypts ? mbedtls_des3_set3key_dec(des3, full) : mbedtls_des3_set3key_enc(des3, full));
    clm_wipe(full, sizeof(full));
}

static void engine_init(struct engine *e, const struct clm_cipher_key *key, bool decrypts)
{
    unsigned bits = 8u * ciphers[key->cipher].key_size;

    *e = (struct engine){.family = ciphers[key->cipher].family, .is_decrypting = decrypts};
    switch (e->family) {
    case FAMILY_AES:
        mbedtls_aes_init(&e->u.aes);
        must(decrypts ? mbedtls_aes_setkey_dec(&e->u.aes, key->key, bits)
                      : mbedtls_aes_setkey_enc(&e->u.aes, key->key, bits));
        return;
    case FAMILY_DES:
        mbedtls_des_init(&e->u.des);
        must(decrypts ? mbedtls_des_setkey_dec(&e->u.des, key->key)
                      : mbedtls_des_setkey_enc(&e->u.des, key->key));
        return;
    case FAMILY_3DES:
        set_3des(&e->u.des3, key, decrypts);
        return;
    case FAMILY_RC2:
        clm_rc2_init(&e->u.rc2, key->key, bits / 8, bits);
        return;
    }
}

static void engine_block(struct engine *e, const uint8_t *in, uint8_t *out)
{
    switch (e->family) {
    case FAMILY_AES:
        must(mbedtls_aes_crypt_ecb(
            &e->u.aes, e->is_decrypting ? MBEDTLS_AES_DECRYPT : MBEDTLS_AES_ENCRYPT, in, out));
        return;
    case FAMILY_DES:
        must(mbedtls_des_crypt_ecb(&e->u.des, in, out));
        return;
    case FAMILY_3DES:
        must(mbedtls_des3_crypt_ecb(&e->u.des3, in, out));
        return;
    case FAMILY_RC2:
        clm_rc2_decrypt(&e->u.rc2, in, out);
        return;
    }
}

static void engine_done(struct engine *e)
{
    switch (e->family) {
    case FAMILY_AES:
        mbedtls_aes_free(&e->u.aes);
        break;
    case FAMILY_DES:
        mbedtls_des_free(&e->u.des);
        break;
    case FAMILY_3DES:
        mbedtls_des3_free(&e->u.des3);
        break;
    case FAMILY_RC2:
        break;
    }
    clm_wipe(e, sizeof(*e));
}

/* PKCS#7 padding of the last block: 1..block bytes, each the number of them. 0: there is none. */
static size_t padding_of(const uint8_t *last, size_t block)
{
    size_t n = last[block - 1];

    if (n == 0 || n > block) {
        return 0;
    }
    for (size_t i = block - n; i < block; i++) {
        if (last[i] != n) {
            return 0;
        }
    }
    return n;
}

enum clm_code clm_cipher_decrypt(const struct clm_cipher_key *key, const void *data, size_t len,
                                 struct clm_buf *out, struct clm_err *err)
{
    size_t block = ciphers[key->cipher].block_size;
    const uint8_t *in = data;
    const uint8_t *before = key->iv;
    struct engine e;
    size_t padding;
    enum clm_code code;

    if (len == 0 || len % block != 0) {
        return clm_err_set(err, CLM_E_CRYPTO, "encrypted content is not of whole blocks");
    }
    code = clm_buf_reserve(out, len, err);
    if (code != CLM_OK) {
        return code;
    }
    engine_init(&e, key, true);
    for (size_t i = 0; i < len; i += block) {
        uint8_t *dst = out->data + out->len + i;

        engine_block(&e, in + i, dst);
        for (size_t k = 0; k < block; k++) {
            dst[k] ^= before[k];
        }
        before = in + i;
    }
    engine_done(&e);
    padding = padding_of(out->data + out->len + len - block, block);
    if (padding == 0) {
        clm_wipe(out->data + out->len, len);
        return clm_err_set(err, CLM_E_CRYPTO, "wrong password, or the content was changed");
    }
    out->len += len - padding;
    clm_wipe(out->data + out->len, padding);
    return CLM_OK;
}

enum clm_code clm_cipher_encrypt(const struct clm_cipher_key *key, const void *data, size_t len,
                                 struct clm_buf *out, struct clm_err *err)
{
    size_t block = ciphers[key->cipher].block_size;
    size_t full = len - len % block + block;
    const uint8_t *in = data;
    const uint8_t *before = key->iv;
    struct engine e;
    enum clm_code code;

    if (ciphers[key->cipher].family == FAMILY_RC2) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "%s is for reading only",
                           ciphers[key->cipher].name);
    }
    code = len > SIZE_MAX - block ? clm_err_set(err, CLM_E_LIMIT, "content is too large")
                                  : clm_buf_reserve(out, full, err);
    if (code != CLM_OK) {
        return code;
    }
    engine_init(&e, key, false);
    for (size_t i = 0; i < full; i += block) {
        uint8_t *dst = out->data + out->len + i;
        uint8_t chained[CLM_CIPHER_BLOCK_MAX];

        for (size_t k = 0; k < block; k++) {
            uint8_t plain = i + k < len ? in[i + k] : (uint8_t)(full - len);

            chained[k] = plain ^ before[k];
        }
        engine_block(&e, chained, dst);
        before = dst;
    }
    engine_done(&e);
    out->len += full;
    out->data[out->len] = 0;
    return CLM_OK;
}
