/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jks - what the files of JKS and JCEKS share: text as Java writes it, digest, protection of keys
 *
 * For this folder only. Both formats are one container (jks.c) with two ways to seal a key
 * (jks_seal.c); targets.md 21.5, 21.6.
 */
#ifndef CLM_KEYSTORE_JKS_H
#define CLM_KEYSTORE_JKS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/keystore/internal.h"

#define CLM_JKS_DIGEST_SIZE 20

/* ---- jks_text.c ---- */

/*
 * Modified UTF-8 (java.io.DataInput) to UTF-8. What UTF-8 cannot say (a NUL, half a pair of
 * surrogates) becomes U+FFFD. Errors: PARSE malformed; LIMIT too long.
 */
CLM_MUST_USE enum clm_code clm_jks_alias_decode(const uint8_t *data, size_t len,
                                                char dst[CLM_KEYSTORE_ALIAS_SIZE],
                                                struct clm_err *err);
/* Appends length and modified UTF-8 of alias in lower case: Java looks up nothing else. */
CLM_MUST_USE enum clm_code clm_jks_alias_encode(const char *alias, struct clm_buf *out,
                                                struct clm_err *err);

/* ---- jks_seal.c: the members of clm_keystore_ops, and what jks.c needs ---- */

CLM_MUST_USE enum clm_code clm_jks_seal(const struct clm_keystore *store,
                                        const struct clm_seal *how, struct clm_buf *sealed,
                                        char protection[64], struct clm_err *err);
CLM_MUST_USE enum clm_code clm_jks_unseal(const struct clm_keystore *store,
                                          const struct clm_entry *entry,
                                          const struct clm_buf *password, struct clm_buf *out,
                                          struct clm_err *err);
/* How an EncryptedPrivateKeyInfo is sealed, in words. */
void clm_jks_protection(const uint8_t *der, size_t len, char dst[64]);
/* The digest behind the last entry, over len bytes of data. */
CLM_MUST_USE enum clm_code clm_jks_digest(const struct clm_buf *password, const uint8_t *data,
                                          size_t len, uint8_t out[CLM_JKS_DIGEST_SIZE],
                                          struct clm_err *err);

#endif
