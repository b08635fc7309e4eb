/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/pbe.h"

#include <stdio.h>
#include <string.h>

#include "agent/crypto/hash.h"

#define SALT_NEW      20    /* bytes, as the JDK writes it */
#define SALT_LEGACY   8     /* bytes, as OpenSSL 1 and Windows write it */
#define SALT_MIN      8     /* RFC 8018 4.1 */
#define ROUNDS_NEW    10000 /* targets.md 21.4: JDK 16 and later */
#define ROUNDS_LEGACY 2048

void clm_pbe_text(const struct clm_pbe *pbe, char dst[CLM_PBE_TEXT_SIZE])
{
    const char *cipher = clm_cipher_name(pbe->cipher);
    const char *digest = clm_digest_name(pbe->digest);

    switch (pbe->scheme) {
    case CLM_PBE_PBES2:
        (void)snprintf(dst, CLM_PBE_TEXT_SIZE, "PBES2 %s, PBKDF2 HMAC-%s %u", cipher, digest,
                       pbe->iterations);
        return;
    case CLM_PBE_PKCS12:
        (void)snprintf(dst, CLM_PBE_TEXT_SIZE, "PBE %s, %s %u", cipher, digest, pbe->iterations);
        return;
    case CLM_PBE_PBES1:
        (void)snprintf(dst, CLM_PBE_TEXT_SIZE, "PBES1 %s, %s %u", cipher, digest, pbe->iterations);
        return;
    }
}

static bool is_for_reading_only(const struct clm_pbe *pbe)
{
    return pbe->scheme == CLM_PBE_PBES1 || pbe->cipher == CLM_CIPHER_DES ||
           pbe->cipher == CLM_CIPHER_RC2_40 || pbe->cipher == CLM_CIPHER_RC2_64 ||
           pbe->cipher == CLM_CIPHER_RC2_128;
}

static enum clm_code freshen(struct clm_pbe *pbe, struct clm_rng *rng, struct clm_err *err)
{
    enum clm_code code = clm_rng_fill(rng, pbe->salt, pbe->salt_len, err);

    return code == CLM_OK ? clm_rng_fill(rng, pbe->iv, sizeof(pbe->iv), err) : code;
}

enum clm_code clm_pbe_new(enum clm_pbe_preset preset, struct clm_rng *rng, struct clm_pbe *out,
                          struct clm_err *err)
{
    if (preset == CLM_PBE_MODERN) {
        *out = (struct clm_pbe){.scheme = CLM_PBE_PBES2,
                                .cipher = CLM_CIPHER_AES256,
                                .digest = CLM_DIGEST_SHA256,
                                .iterations = ROUNDS_NEW,
                                .salt_len = SALT_NEW,
                                .has_key_length = true};
    } else {
        *out = (struct clm_pbe){.scheme = CLM_PBE_PKCS12,
                                .cipher = CLM_CIPHER_3DES,
                                .digest = CLM_DIGEST_SHA1,
                                .iterations = ROUNDS_LEGACY,
                                .salt_len = SALT_LEGACY};
    }
    return freshen(out, rng, err);
}

enum clm_code clm_pbe_renew(const struct clm_pbe *like, struct clm_rng *rng, struct clm_pbe *out,
                            struct clm_err *err)
{
    *out = *like;
    if (is_for_reading_only(like)) {
        out->scheme = CLM_PBE_PKCS12;
        out->cipher = CLM_CIPHER_3DES;
        out->digest = CLM_DIGEST_SHA1;
        out->has_key_length = false;
    }
    if (out->salt_len < SALT_MIN) {
        out->salt_len = SALT_MIN;
    }
    return freshen(out, rng, err);
}

static enum clm_code derive(const struct clm_pbe *pbe, const struct clm_buf *password,
                            struct clm_cipher_key *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf utf16 = CLM_BUF_SECRET_INIT(2 * CLM_KDF_PASSWORD_MAX + 2);
    struct clm_kdf kdf = {.password = password->data,
                          .password_len = password->len,
                          .salt = pbe->salt,
                          .salt_len = pbe->salt_len,
                          .iterations = pbe->iterations};
    size_t key_size = clm_cipher_key_size(pbe->cipher);
    uint8_t both[16];
    enum clm_code code = CLM_OK;

    if (password->len > CLM_KDF_PASSWORD_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "password is longer than %u bytes",
                           CLM_KDF_PASSWORD_MAX);
    }
    out->cipher = pbe->cipher;
    switch (pbe->scheme) {
    case CLM_PBE_PBES2:
        clm_pbkdf2(pbe->digest, &kdf, out->key, key_size);
        memcpy(out->iv, pbe->iv, sizeof(out->iv));
        break;
    case CLM_PBE_PKCS12:
        code = clm_password_utf16(password, password->len > 0 || !pbe->bare_password, &utf16, err);
        if (code != CLM_OK) {
            return code;
        }
        kdf.password = utf16.data;
        kdf.password_len = utf16.len;
        clm_pkcs12_kdf(pbe->digest, CLM_KDF_ID_KEY, &kdf, out->key, key_size);
        clm_pkcs12_kdf(pbe->digest, CLM_KDF_ID_IV, &kdf, out->iv,
                       clm_cipher_block_size(pbe->cipher));
        break;
    case CLM_PBE_PBES1:
        clm_pbkdf1(pbe->digest, &kdf, both, sizeof(both));
        memcpy(out->key, both, 8);
        memcpy(out->iv, both + 8, 8);
        clm_wipe(both, sizeof(both));
        break;
    }
    return code;
}

enum clm_code clm_pbe_decrypt(const struct clm_pbe *pbe, const struct clm_buf *password,
                              const struct clm_tlv *sealed, struct clm_buf *out,
                              struct clm_err *err)
{
    struct clm_cipher_key key = {.cipher = pbe->cipher};
    enum clm_code code;

    /* before the hash is computed */
    if (sealed->len == 0 || sealed->len % clm_cipher_block_size(pbe->cipher) != 0) {
        return clm_err_set(err, CLM_E_PARSE, "encrypted content is not of whole blocks");
    }
    code = derive(pbe, password, &key, err);
    if (code == CLM_OK) {
        code = clm_cipher_decrypt(&key, sealed->value, sealed->len, out, err);
    }
    clm_wipe(&key, sizeof(key));
    return code;
}

enum clm_code clm_pbe_encrypt(const struct clm_pbe *pbe, const struct clm_buf *password,
                              const struct clm_buf *plain, struct clm_buf *out, struct clm_err *err)
{
    struct clm_cipher_key key = {.cipher = pbe->cipher};
    enum clm_code code;

    if (is_for_reading_only(pbe)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "%s is for reading only",
                           clm_cipher_name(pbe->cipher));
    }
    code = derive(pbe, password, &key, err);
    if (code == CLM_OK) {
        code = clm_cipher_encrypt(&key, plain->data, plain->len, out, err);
    }
    clm_wipe(&key, sizeof(key));
    return code;
}
