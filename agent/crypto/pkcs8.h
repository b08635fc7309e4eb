/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs8 - private keys behind a password, and private keys in whatever form a file has them
 *
 * Read: "ENCRYPTED PRIVATE KEY" (PKCS#8: PBES2, PBES1, PKCS#12), and the older "Proc-Type:
 * 4,ENCRYPTED" of OpenSSL with AES, 3DES or DES in CBC mode. Written: PBES2 only. Keys that are not
 * encrypted are read as clm_key_from_pem() does, whatever password was given.
 */
#ifndef CLM_CRYPTO_PKCS8_H
#define CLM_CRYPTO_PKCS8_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/key.h"
#include "agent/crypto/rng.h"

/*
 * clm_key_from_pem_password() - the first private key of a PEM text
 *
 * In      password  UTF-8, may be empty; NULL: as clm_key_from_pem()
 * Errors  CRYPTO wrong password; UNSUPPORTED algorithm; and those of clm_key_from_pem()
 * Source  RFC 5958 3; RFC 1421 4.6.1.1 and EVP_BytesToKey(3) for the older form; targets.md 21.9
 */
CLM_MUST_USE enum clm_code clm_key_from_pem_password(const void *pem, size_t len,
                                                     const struct clm_buf *password,
                                                     struct clm_key **out_key, struct clm_err *err);
/* From DER, EncryptedPrivateKeyInfo or in clear. Errors: as above. */
CLM_MUST_USE enum clm_code clm_key_from_der_password(const uint8_t *der, size_t len,
                                                     const struct clm_buf *password,
                                                     struct clm_key **out_key, struct clm_err *err);
/* PEM or DER, told apart by content. */
CLM_MUST_USE enum clm_code clm_key_from_any(const void *data, size_t len,
                                            const struct clm_buf *password,
                                            struct clm_key **out_key, struct clm_err *err);
/*
 * clm_key_to_pem_password() - appends "BEGIN ENCRYPTED PRIVATE KEY"
 *
 * Effect  PBES2 with AES-256-CBC and PBKDF2 with HMAC-SHA-256 (clm_pbe_new()): OpenSSL 1.0.1 and
 *         Java 8u301 read it
 * Errors  INVAL password is empty or not UTF-8; CRYPTO; LIMIT; NOMEM
 */
CLM_MUST_USE enum clm_code clm_key_to_pem_password(const struct clm_key *key, struct clm_rng *rng,
                                                   const struct clm_buf *password,
                                                   struct clm_buf *out, struct clm_err *err);
/* The same as DER. */
CLM_MUST_USE enum clm_code clm_key_to_der_password(const struct clm_key *key, struct clm_rng *rng,
                                                   const struct clm_buf *password,
                                                   struct clm_buf *out, struct clm_err *err);

#endif
