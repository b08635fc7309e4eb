/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC and HKDF stand here and not in mbedtls_md_hmac()/mbedtls_hkdf(), which allocate: so none of
 * these functions can fail, and callers need no error path for a hash.
 */
#include "agent/crypto/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/mbed_compat.h"

#define BLOCK_SIZE 64 /* bytes of a SHA-256 block: FIPS 180-4 */

static_assert(sizeof(mbedtls_sha256_context) <= sizeof(((struct clm_sha256_ctx *)0)->state),
              "struct clm_sha256_ctx is too small for this Mbed TLS");

static mbedtls_sha256_context *inner(struct clm_sha256_ctx *ctx)
{
    return (mbedtls_sha256_context *)(void *)&ctx->state;
}

/* In software these cannot fail; with hardware behind them a failure must not pass as a hash. */
static void must(int rc)
{
    if (rc != 0) {
        abort();
    }
}

void clm_sha256_init(struct clm_sha256_ctx *ctx)
{
    mbedtls_sha256_init(inner(ctx));
    must(clm_mbed_sha256_starts(inner(ctx)));
}

void clm_sha256_update(struct clm_sha256_ctx *ctx, const void *data, size_t len)
{
    if (len > 0) {
        must(clm_mbed_sha256_update(inner(ctx), data, len));
    }
}

void clm_sha256_final(struct clm_sha256_ctx *ctx, uint8_t out[CLM_SHA256_SIZE])
{
    must(clm_mbed_sha256_finish(inner(ctx), out));
    mbedtls_sha256_free(inner(ctx));
}

void clm_sha256(const void *data, size_t len, uint8_t out[CLM_SHA256_SIZE])
{
    struct clm_sha256_ctx ctx;

    clm_sha256_init(&ctx);
    clm_sha256_update(&ctx, data, len);
    clm_sha256_final(&ctx, out);
}

void clm_sha256_hex(const void *data, size_t len, char dst[65])
{
    uint8_t digest[CLM_SHA256_SIZE];

    clm_sha256(data, len, digest);
    clm_hex_encode(digest, sizeof(digest), dst);
}

struct hmac {
    struct clm_sha256_ctx ctx;
    uint8_t outer_pad[BLOCK_SIZE];
};

static void hmac_start(struct hmac *h, const void *key, size_t key_len)
{
    uint8_t pad[BLOCK_SIZE] = {0};

    if (key_len > sizeof(pad)) {
        clm_sha256(key, key_len, pad);
    } else if (key_len > 0) {
        memcpy(pad, key, key_len);
    }
    for (size_t i = 0; i < sizeof(pad); i++) {
        h->outer_pad[i] = pad[i] ^ 0x5c;
        pad[i] ^= 0x36;
    }
    clm_sha256_init(&h->ctx);
    clm_sha256_update(&h->ctx, pad, sizeof(pad));
    clm_wipe(pad, sizeof(pad));
}

static void hmac_finish(struct hmac *h, uint8_t out[CLM_SHA256_SIZE])
{
    uint8_t digest[CLM_SHA256_SIZE];

    clm_sha256_final(&h->ctx, digest);
    clm_sha256_init(&h->ctx);
    clm_sha256_update(&h->ctx, h->outer_pad, sizeof(h->outer_pad));
    clm_sha256_update(&h->ctx, digest, sizeof(digest));
    clm_sha256_final(&h->ctx, out);
    clm_wipe(digest, sizeof(digest));
    clm_wipe(h, sizeof(*h));
}

void clm_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                     uint8_t out[CLM_SHA256_SIZE])
{
    struct hmac h;

    hmac_start(&h, key, key_len);
    clm_sha256_update(&h.ctx, data, len);
    hmac_finish(&h, out);
}

void clm_hkdf_sha256(const struct clm_hkdf *in, uint8_t *out, size_t out_len)
{
    uint8_t prk[CLM_SHA256_SIZE];
    uint8_t block[CLM_SHA256_SIZE];
    size_t block_len = 0;
    size_t done = 0;

    assert(out_len <= CLM_HKDF_MAX);
    /* An absent salt is a block of zeros, which HMAC pads an empty key to anyway. */
    clm_hmac_sha256(in->salt, in->salt_len, in->ikm, in->ikm_len, prk);
    for (unsigned i = 1; done < out_len; i++) {
        uint8_t counter = (uint8_t)i;
        size_t part = out_len - done < sizeof(block) ? out_len - done : sizeof(block);
        struct hmac h;

        hmac_start(&h, prk, sizeof(prk));
        clm_sha256_update(&h.ctx, block, block_len);
        if (in->info != NULL) {
            clm_sha256_update(&h.ctx, in->info, strlen(in->info));
        }
        clm_sha256_update(&h.ctx, &counter, 1);
        hmac_finish(&h, block);
        block_len = sizeof(block);
        memcpy(out + done, block, part);
        done += part;
    }
    clm_wipe(prk, sizeof(prk));
    clm_wipe(block, sizeof(block));
}

bool clm_ct_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < len; i++) {
        diff = (uint8_t)(diff | (x[i] ^ y[i]));
    }
    return diff == 0;
}

void clm_wipe(void *data, size_t len)
{
    if (len > 0) {
        mbedtls_platform_zeroize(data, len);
    }
}
