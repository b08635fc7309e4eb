/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cipher - block ciphers in CBC mode with PKCS#7 padding, as keystores and encrypted keys use them
 *
 * RC2 is for reading only (RFC 2268; Mbed TLS has none): writing with it is refused. RC4 is not
 * here at all.
 */
#ifndef CLM_CRYPTO_CIPHER_H
#define CLM_CRYPTO_CIPHER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_CIPHER_KEY_MAX   32 /* bytes */
#define CLM_CIPHER_BLOCK_MAX 16 /* bytes */

enum clm_cipher {
    CLM_CIPHER_AES128,
    CLM_CIPHER_AES192,
    CLM_CIPHER_AES256,
    CLM_CIPHER_DES,    /* single; old keys in PEM only */
    CLM_CIPHER_3DES2,  /* 16 bytes: the first key serves twice */
    CLM_CIPHER_3DES,   /* 24 bytes */
    CLM_CIPHER_RC2_40, /* 5 bytes, 40 effective bits */
    CLM_CIPHER_RC2_64,
    CLM_CIPHER_RC2_128,
    CLM_CIPHER__COUNT
};

/* "AES-256-CBC", "3DES-CBC", "RC2-40-CBC" */
const char *clm_cipher_name(enum clm_cipher cipher);
size_t clm_cipher_key_size(enum clm_cipher cipher);
size_t clm_cipher_block_size(enum clm_cipher cipher); /* that of the IV, too */

struct clm_cipher_key {
    enum clm_cipher cipher;
    uint8_t key[CLM_CIPHER_KEY_MAX]; /* clm_cipher_key_size() of them; the caller wipes */
    uint8_t iv[CLM_CIPHER_BLOCK_MAX];
};

/*
 * clm_cipher_decrypt() - appends the plain text
 *
 * In      out  a secret buffer
 * Errors  CRYPTO length is no multiple of the block, or padding is wrong: another key, as a rule;
 *         LIMIT; NOMEM. On error out has the length it had.
 */
CLM_MUST_USE enum clm_code clm_cipher_decrypt(const struct clm_cipher_key *key, const void *data,
                                              size_t len, struct clm_buf *out, struct clm_err *err);
/* Appends the cipher text, padded. Errors: UNSUPPORTED RC2; LIMIT; NOMEM. */
CLM_MUST_USE enum clm_code clm_cipher_encrypt(const struct clm_cipher_key *key, const void *data,
                                              size_t len, struct clm_buf *out, struct clm_err *err);

#endif
