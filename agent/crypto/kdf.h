/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdf - keys from passwords: PBKDF2, and the derivation of PKCS#12
 *
 * Callers check iterations against CLM_KDF_ITERATIONS_MAX, and salts against CLM_KDF_SALT_MAX,
 * before they call: nothing here can fail. Vectors: targets.md 22.
 */
#ifndef CLM_CRYPTO_KDF_H
#define CLM_CRYPTO_KDF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/digest.h"

#define CLM_KDF_ITERATIONS_MAX 5000000u /* reliability.md 10; the JDK refuses more, too */
#define CLM_KDF_SALT_MAX       1024u    /* bytes; files have 8 to 32 */
#define CLM_KDF_PASSWORD_MAX   1024u    /* bytes of UTF-8 */

enum clm_kdf_id { /* RFC 7292 B.3 */
    CLM_KDF_ID_KEY = 1,
    CLM_KDF_ID_IV = 2,
    CLM_KDF_ID_MAC = 3
};

struct clm_kdf {
    const uint8_t *password; /* as the function wants it encoded */
    size_t password_len;     /* 0..2 * CLM_KDF_PASSWORD_MAX + 2 */
    const uint8_t *salt;
    size_t salt_len;     /* 0..CLM_KDF_SALT_MAX */
    uint32_t iterations; /* 1..CLM_KDF_ITERATIONS_MAX */
};

/* RFC 8018 5.2 with HMAC; passwords are UTF-8. */
void clm_pbkdf2(enum clm_digest prf, const struct clm_kdf *in, uint8_t *out, size_t out_len);
/* RFC 8018 5.1. out_len at most the digest's size. */
void clm_pbkdf1(enum clm_digest digest, const struct clm_kdf *in, uint8_t *out, size_t out_len);
/* RFC 7292 B.2; passwords are UTF-16BE, normally with two zero bytes at the end. */
void clm_pkcs12_kdf(enum clm_digest digest, enum clm_kdf_id id, const struct clm_kdf *in,
                    uint8_t *out, size_t out_len);

/*
 * clm_password_utf16() - a password as PKCS#12 and JKS hash it
 *
 * In      utf8      at most CLM_KDF_PASSWORD_MAX bytes
 *         with_end  two zero bytes behind it, as PKCS#12 wants it (JKS does not)
 * Out     out       appended; a secret buffer
 * Errors  INVAL not UTF-8; LIMIT; NOMEM
 */
CLM_MUST_USE enum clm_code clm_password_utf16(const struct clm_buf *utf8, bool with_end,
                                              struct clm_buf *out, struct clm_err *err);

#endif
