/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contexts of Mbed TLS are used directly and not through mbedtls_md_*, which allocates: so
 * nothing here can fail, and a keyed context is copied for each iteration of PBKDF2 instead of
 * hashing the password again.
 */
#include "agent/crypto/digest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/hash.h"
#include "agent/crypto/mbed_compat.h"

static const struct {
    const char *name;
    uint8_t size;
    uint8_t block;
} digests[CLM_DIGEST__COUNT] = {
    [CLM_DIGEST_MD5] = {"MD5", 16, 64},         [CLM_DIGEST_SHA1] = {"SHA-1", 20, 64},
    [CLM_DIGEST_SHA224] = {"SHA-224", 28, 64},  [CLM_DIGEST_SHA256] = {"SHA-256", 32, 64},
    [CLM_DIGEST_SHA384] = {"SHA-384", 48, 128}, [CLM_DIGEST_SHA512] = {"SHA-512", 64, 128},
};

union inner {
    mbedtls_md5_context md5;
    mbedtls_sha1_context sha1;
    mbedtls_sha256_context sha256;
    mbedtls_sha512_context sha512;
};

static_assert(sizeof(union inner) <= sizeof(((struct clm_digest_ctx *)0)->state),
              "struct clm_digest_ctx is too small for this Mbed TLS");

static union inner *inner(struct clm_digest_ctx *ctx)
{
    return (union inner *)(void *)&ctx->state;
}

static const union inner *inner_const(const struct clm_digest_ctx *ctx)
{
    return (const union inner *)(const void *)&ctx->state;
}

/* In software these cannot fail; with hardware behind them a failure must not pass as a hash. */
static void must(int rc)
{
    if (rc != 0) {
        abort();
    }
}

const char *clm_digest_name(enum clm_digest digest)
{
    return digests[digest].name;
}

size_t clm_digest_size(enum clm_digest digest)
{
    return digests[digest].size;
}

size_t clm_digest_block(enum clm_digest digest)
{
    return digests[digest].block;
}

void clm_digest_init(struct clm_digest_ctx *ctx, enum clm_digest digest)
{
    union inner *in = inner(ctx);

    assert(digest < CLM_DIGEST__COUNT);
    ctx->digest = digest;
    switch (digest) {
    case CLM_DIGEST_MD5:
        mbedtls_md5_init(&in->md5);
        must(clm_mbed_md5_starts(&in->md5));
        return;
    case CLM_DIGEST_SHA1:
        mbedtls_sha1_init(&in->sha1);
        must(clm_mbed_sha1_starts(&in->sha1));
        return;
    case CLM_DIGEST_SHA224:
    case CLM_DIGEST_SHA256:
        mbedtls_sha256_init(&in->sha256);
        must(clm_mbed_sha224_starts(&in->sha256, digest == CLM_DIGEST_SHA224));
        return;
    case CLM_DIGEST_SHA384:
    case CLM_DIGEST_SHA512:
    case CLM_DIGEST__COUNT:
        mbedtls_sha512_init(&in->sha512);
        must(clm_mbed_sha512_starts(&in->sha512, digest == CLM_DIGEST_SHA384));
        return;
    }
}

void clm_digest_update(struct clm_digest_ctx *ctx, const void *data, size_t len)
{
    union inner *in = inner(ctx);

    if (len == 0) {
        return;
    }
    switch (ctx->digest) {
    case CLM_DIGEST_MD5:
        must(clm_mbed_md5_update(&in->md5, data, len));
        return;
    case CLM_DIGEST_SHA1:
        must(clm_mbed_sha1_update(&in->sha1, data, len));
        return;
    case CLM_DIGEST_SHA224:
    case CLM_DIGEST_SHA256:
        must(clm_mbed_sha256_update(&in->sha256, data, len));
        return;
    case CLM_DIGEST_SHA384:
    case CLM_DIGEST_SHA512:
    case CLM_DIGEST__COUNT:
        must(clm_mbed_sha512_update(&in->sha512, data, len));
        return;
    }
}

/* Mbed TLS 2.28 writes 32 bytes for SHA-224 and 64 for SHA-384. */
void clm_digest_final(struct clm_digest_ctx *ctx, uint8_t *out)
{
    uint8_t full[CLM_DIGEST_SIZE_MAX];
    union inner *in = inner(ctx);

    switch (ctx->digest) {
    case CLM_DIGEST_MD5:
        must(clm_mbed_md5_finish(&in->md5, full));
        break;
    case CLM_DIGEST_SHA1:
        must(clm_mbed_sha1_finish(&in->sha1, full));
        break;
    case CLM_DIGEST_SHA224:
    case CLM_DIGEST_SHA256:
        must(clm_mbed_sha256_finish(&in->sha256, full));
        break;
    case CLM_DIGEST_SHA384:
    case CLM_DIGEST_SHA512:
    case CLM_DIGEST__COUNT:
        must(clm_mbed_sha512_finish(&in->sha512, full));
        break;
    }
    memcpy(out, full, digests[ctx->digest].size);
    clm_wipe(full, sizeof(full));
    clm_wipe(&ctx->state, sizeof(ctx->state));
}

void clm_digest_copy(struct clm_digest_ctx *dst, const struct clm_digest_ctx *src)
{
    const union inner *from = inner_const(src);
    union inner *to = inner(dst);

    dst->digest = src->digest;
    switch (src->digest) {
    case CLM_DIGEST_MD5:
        mbedtls_md5_init(&to->md5);
        mbedtls_md5_clone(&to->md5, &from->md5);
        return;
    case CLM_DIGEST_SHA1:
        mbedtls_sha1_init(&to->sha1);
        mbedtls_sha1_clone(&to->sha1, &from->sha1);
        return;
    case CLM_DIGEST_SHA224:
    case CLM_DIGEST_SHA256:
        mbedtls_sha256_init(&to->sha256);
        mbedtls_sha256_clone(&to->sha256, &from->sha256);
        return;
    case CLM_DIGEST_SHA384:
    case CLM_DIGEST_SHA512:
    case CLM_DIGEST__COUNT:
        mbedtls_sha512_init(&to->sha512);
        mbedtls_sha512_clone(&to->sha512, &from->sha512);
        return;
    }
}

void clm_digest_of(enum clm_digest digest, const void *data, size_t len, uint8_t *out)
{
    struct clm_digest_ctx ctx;

    clm_digest_init(&ctx, digest);
    clm_digest_update(&ctx, data, len);
    clm_digest_final(&ctx, out);
}

void clm_hmac_init(struct clm_hmac_ctx *ctx, enum clm_digest digest, const void *key,
                   size_t key_len)
{
    uint8_t pad[CLM_DIGEST_BLOCK_MAX] = {0};
    size_t block = digests[digest].block;

    if (key_len > block) {
        clm_digest_of(digest, key, key_len, pad);
    } else if (key_len > 0) {
        memcpy(pad, key, key_len);
    }
    for (size_t i = 0; i < block; i++) {
        pad[i] ^= 0x36;
    }
    clm_digest_init(&ctx->inner, digest);
    clm_digest_update(&ctx->inner, pad, block);
    for (size_t i = 0; i < block; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    clm_digest_init(&ctx->outer, digest);
    clm_digest_update(&ctx->outer, pad, block);
    clm_wipe(pad, sizeof(pad));
}

void clm_hmac_update(struct clm_hmac_ctx *ctx, const void *data, size_t len)
{
    clm_digest_update(&ctx->inner, data, len);
}

void clm_hmac_final(struct clm_hmac_ctx *ctx, uint8_t *out)
{
    uint8_t digest[CLM_DIGEST_SIZE_MAX];

    clm_digest_final(&ctx->inner, digest);
    clm_digest_update(&ctx->outer, digest, digests[ctx->outer.digest].size);
    clm_digest_final(&ctx->outer, out);
    clm_wipe(digest, sizeof(digest));
}

void clm_hmac_copy(struct clm_hmac_ctx *dst, const struct clm_hmac_ctx *src)
{
    clm_digest_copy(&dst->inner, &src->inner);
    clm_digest_copy(&dst->outer, &src->outer);
}
