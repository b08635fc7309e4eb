/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash - SHA-256, HMAC and HKDF over it, comparison in constant time
 *
 * Nothing here allocates and nothing can fail.
 */
#ifndef CLM_CRYPTO_HASH_H
#define CLM_CRYPTO_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLM_SHA256_SIZE 32    /* bytes */
#define CLM_HKDF_MAX    8160u /* bytes; 255 blocks, RFC 5869 2.3 */

void clm_sha256(const void *data, size_t len, uint8_t out[CLM_SHA256_SIZE]);
/* 64 lower-case digits and a NUL: dst of CLM_SHA256_HEX_SIZE (agent/model/probe.h) bytes. */
void clm_sha256_hex(const void *data, size_t len, char dst[65]);

/* For content that comes in pieces. The members belong to hash.c. */
struct clm_sha256_ctx {
    union {
        uint64_t align;
        unsigned char bytes[192];
    } state;
};
void clm_sha256_init(struct clm_sha256_ctx *ctx);
void clm_sha256_update(struct clm_sha256_ctx *ctx, const void *data, size_t len);
/* Wipes ctx; clm_sha256_init() makes it usable again. */
void clm_sha256_final(struct clm_sha256_ctx *ctx, uint8_t out[CLM_SHA256_SIZE]);

/* RFC 2104. key and data may be empty. */
void clm_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                     uint8_t out[CLM_SHA256_SIZE]);

struct clm_hkdf {
    const void *ikm; /* input key material */
    size_t ikm_len;
    const void *salt; /* NULL with salt_len 0: 32 zero bytes */
    size_t salt_len;
    const char *info; /* context, a string; NULL: empty */
};
/* RFC 5869, extract and expand. out_len at most CLM_HKDF_MAX. */
void clm_hkdf_sha256(const struct clm_hkdf *in, uint8_t *out, size_t out_len);

/* Time depends on len only. */
bool clm_ct_equal(const void *a, const void *b, size_t len);

/* memset to zero that the compiler does not remove. */
void clm_wipe(void *data, size_t len);

#endif
