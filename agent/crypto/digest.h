/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest - the hash functions that keystores and encrypted keys name, and HMAC over them
 *
 * For foreign formats only: MD5 and SHA-1 are here because old files need them. What clmbot chooses
 * for itself is SHA-256 (agent/crypto/hash.h). Nothing here allocates and nothing can fail.
 */
#ifndef CLM_CRYPTO_DIGEST_H
#define CLM_CRYPTO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define CLM_DIGEST_SIZE_MAX  64  /* bytes of a SHA-512 */
#define CLM_DIGEST_BLOCK_MAX 128 /* bytes */

enum clm_digest {
    CLM_DIGEST_MD5,
    CLM_DIGEST_SHA1,
    CLM_DIGEST_SHA224,
    CLM_DIGEST_SHA256,
    CLM_DIGEST_SHA384,
    CLM_DIGEST_SHA512,
    CLM_DIGEST__COUNT
};

/* "MD5", "SHA-1", "SHA-256" ... */
const char *clm_digest_name(enum clm_digest digest);
size_t clm_digest_size(enum clm_digest digest);
size_t clm_digest_block(enum clm_digest digest);

/* For content that comes in pieces. The members belong to digest.c. */
struct clm_digest_ctx {
    enum clm_digest digest;
    union {
        uint64_t align;
        unsigned char bytes[240];
    } state;
};
void clm_digest_init(struct clm_digest_ctx *ctx, enum clm_digest digest);
void clm_digest_update(struct clm_digest_ctx *ctx, const void *data, size_t len);
/* out of clm_digest_size() bytes. Wipes ctx. */
void clm_digest_final(struct clm_digest_ctx *ctx, uint8_t *out);
/* dst need not be initialised. */
void clm_digest_copy(struct clm_digest_ctx *dst, const struct clm_digest_ctx *src);

/* All at once; out of clm_digest_size() bytes. */
void clm_digest_of(enum clm_digest digest, const void *data, size_t len, uint8_t *out);

/* RFC 2104. A context that was initialised once can be copied and used again with the same key. */
struct clm_hmac_ctx {
    struct clm_digest_ctx inner;
    struct clm_digest_ctx outer;
};
void clm_hmac_init(struct clm_hmac_ctx *ctx, enum clm_digest digest, const void *key,
                   size_t key_len);
void clm_hmac_update(struct clm_hmac_ctx *ctx, const void *data, size_t len);
/* out of clm_digest_size() bytes. Wipes ctx. */
void clm_hmac_final(struct clm_hmac_ctx *ctx, uint8_t *out);
void clm_hmac_copy(struct clm_hmac_ctx *dst, const struct clm_hmac_ctx *src);

#endif
