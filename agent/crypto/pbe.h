/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pbe - password-based encryption: the AlgorithmIdentifiers of PKCS#5 and PKCS#12, and what they do
 *
 * Used for EncryptedPrivateKeyInfo (PKCS#8) and for the contents of PKCS#12 files. Reading a scheme
 * computes nothing: iterations and salts are checked first. RC2 and single DES can be read and not
 * written. scrypt, RC4 and MD2 are refused by name.
 */
#ifndef CLM_CRYPTO_PBE_H
#define CLM_CRYPTO_PBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/cipher.h"
#include "agent/crypto/der.h"
#include "agent/crypto/digest.h"
#include "agent/crypto/kdf.h"
#include "agent/crypto/rng.h"

#define CLM_PBE_TEXT_SIZE 64

enum clm_pbe_scheme {
    CLM_PBE_PBES2,  /* RFC 8018 6.2, with PBKDF2 */
    CLM_PBE_PKCS12, /* RFC 7292 appendix C */
    CLM_PBE_PBES1   /* RFC 8018 6.1 */
};

struct clm_pbe {
    enum clm_pbe_scheme scheme;
    enum clm_cipher cipher;
    enum clm_digest digest; /* PBES2: of the HMAC */
    uint32_t iterations;
    uint8_t salt[CLM_KDF_SALT_MAX];
    size_t salt_len;
    uint8_t iv[CLM_CIPHER_BLOCK_MAX]; /* PBES2 */
    bool has_key_length;              /* PBES2: keyLength is written, as the JDK does */
    bool bare_password; /* PKCS12: an empty password is hashed without its two zero bytes */
};

enum clm_pbe_preset {
    CLM_PBE_MODERN, /* PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 10000, with keyLength */
    CLM_PBE_LEGACY  /* 3DES-CBC, PKCS#12 derivation with SHA-1 2048 */
};

/*
 * clm_pbe_read() - a scheme from its AlgorithmIdentifier
 *
 * In      alg  the SEQUENCE
 * Errors  UNSUPPORTED with the name or the number of the algorithm; LIMIT iterations above
 *         CLM_KDF_ITERATIONS_MAX, salt above CLM_KDF_SALT_MAX; PARSE
 */
CLM_MUST_USE enum clm_code clm_pbe_read(const struct clm_tlv *alg, struct clm_pbe *out,
                                        struct clm_err *err);
/* "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 10000", "PBE 3DES-CBC, SHA-1 2048" */
void clm_pbe_text(const struct clm_pbe *pbe, char dst[CLM_PBE_TEXT_SIZE]);

/* A new scheme with fresh salt and IV. Errors: CRYPTO. */
CLM_MUST_USE enum clm_code clm_pbe_new(enum clm_pbe_preset preset, struct clm_rng *rng,
                                       struct clm_pbe *out, struct clm_err *err);
/*
 * clm_pbe_renew() - the same scheme with fresh salt (of the same length, 8 at least) and IV
 *
 * Effect  What is for reading only becomes 3DES of PKCS#12 with the same iterations.
 * Errors  CRYPTO
 */
CLM_MUST_USE enum clm_code clm_pbe_renew(const struct clm_pbe *like, struct clm_rng *rng,
                                         struct clm_pbe *out, struct clm_err *err);
/* Writes the AlgorithmIdentifier. */
void clm_pbe_write(struct clm_der *w, const struct clm_pbe *pbe);

/* password is UTF-8; it may be empty. out: appended, secret. Errors: CRYPTO wrong password, or
 * damaged; INVAL password not UTF-8; LIMIT; NOMEM. Padding fits a wrong password in 1 of 256 cases:
 * callers check what they got. */
CLM_MUST_USE enum clm_code clm_pbe_decrypt(const struct clm_pbe *pbe,
                                           const struct clm_buf *password,
                                           const struct clm_tlv *sealed, struct clm_buf *out,
                                           struct clm_err *err);
/* Appends the cipher text. Errors: UNSUPPORTED for reading only; INVAL; LIMIT; NOMEM. */
CLM_MUST_USE enum clm_code clm_pbe_encrypt(const struct clm_pbe *pbe,
                                           const struct clm_buf *password,
                                           const struct clm_buf *plain, struct clm_buf *out,
                                           struct clm_err *err);

/* A prf's or hash function's AlgorithmIdentifier, and PBKDF2 alone (PBMAC1 of RFC 9879). */

/* Reads hmacWithX or X; false if it is none of ours. */
bool clm_digest_read(const struct clm_tlv *alg, bool is_hmac, enum clm_digest *out);
void clm_digest_write(struct clm_der *w, bool is_hmac, enum clm_digest digest);
/* PBKDF2's AlgorithmIdentifier into salt, iterations, digest. key_len: 0 if it is not there. */
CLM_MUST_USE enum clm_code clm_pbkdf2_read(const struct clm_tlv *alg, struct clm_pbe *out,
                                           uint32_t *key_len, struct clm_err *err);
/* key_len 0: left out. */
void clm_pbkdf2_write(struct clm_der *w, const struct clm_pbe *pbe, uint8_t key_len);
/* A non-negative INTEGER below 2^32. False if it is not, with *out UINT32_MAX if it is too large. */
bool clm_der_uint32(const struct clm_tlv *tlv, uint32_t *out);
void clm_der_put_uint32(struct clm_der *w, uint32_t value);

#endif
