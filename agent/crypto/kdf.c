/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/kdf.h"

#include <assert.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/hash.h"

void clm_pbkdf2(enum clm_digest prf, const struct clm_kdf *in, uint8_t *out, size_t out_len)
{
    size_t size = clm_digest_size(prf);
    struct clm_hmac_ctx keyed;
    struct clm_hmac_ctx ctx;
    uint8_t u[CLM_DIGEST_SIZE_MAX];
    uint8_t t[CLM_DIGEST_SIZE_MAX];

    clm_hmac_init(&keyed, prf, in->password, in->password_len);
    for (uint32_t block = 1; out_len > 0; block++) {
        const uint8_t number[4] = {(uint8_t)(block >> 24), (uint8_t)(block >> 16),
                                   (uint8_t)(block >> 8), (uint8_t)block};
        size_t part = out_len < size ? out_len : size;

        clm_hmac_copy(&ctx, &keyed);
        clm_hmac_update(&ctx, in->salt, in->salt_len);
        clm_hmac_update(&ctx, number, sizeof(number));
        clm_hmac_final(&ctx, u);
        memcpy(t, u, size);
        for (uint32_t i = 1; i < in->iterations; i++) {
            clm_hmac_copy(&ctx, &keyed);
            clm_hmac_update(&ctx, u, size);
            clm_hmac_final(&ctx, u);
            for (size_t k = 0; k < size; k++) {
                t[k] ^= u[k];
            }
        }
        memcpy(out, t, part);
        out += part;
        out_len -= part;
    }
    clm_wipe(u, sizeof(u));
    clm_wipe(t, sizeof(t));
    clm_wipe(&keyed, sizeof(keyed));
}

void clm_pbkdf1(enum clm_digest digest, const struct clm_kdf *in, uint8_t *out, size_t out_len)
{
    size_t size = clm_digest_size(digest);
    struct clm_digest_ctx ctx;
    uint8_t t[CLM_DIGEST_SIZE_MAX];

    assert(out_len <= size);
    clm_digest_init(&ctx, digest);
    clm_digest_update(&ctx, in->password, in->password_len);
    clm_digest_update(&ctx, in->salt, in->salt_len);
    clm_digest_final(&ctx, t);
    for (uint32_t i = 1; i < in->iterations; i++) {
        clm_digest_of(digest, t, size, t);
    }
    memcpy(out, t, out_len);
    clm_wipe(t, sizeof(t));
}

/* Appends data again and again until whole blocks are filled; nothing for no data. */
static size_t fill_blocks(uint8_t *dst, const uint8_t *data, size_t len, size_t block)
{
    size_t full = (len + block - 1) / block * block;

    for (size_t i = 0; i < full; i++) {
        dst[i] = data[i % len];
    }
    return full;
}

/* RFC 7292 B.2 step 6: (a + b + 1) mod 2^(8 * block), big-endian. */
static void add_block(uint8_t *a, const uint8_t *b, size_t block)
{
    unsigned carry = 1;

    for (size_t i = block; i-- > 0;) {
        carry += (unsigned)a[i] + b[i];
        a[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

void clm_pkcs12_kdf(enum clm_digest digest, enum clm_kdf_id id, const struct clm_kdf *in,
                    uint8_t *out, size_t out_len)
{
    uint8_t diversifier[CLM_DIGEST_BLOCK_MAX];
    uint8_t text[CLM_KDF_SALT_MAX + 2 * CLM_KDF_PASSWORD_MAX + 2 + 2 * CLM_DIGEST_BLOCK_MAX] = {0};
    uint8_t a[CLM_DIGEST_SIZE_MAX];
    uint8_t b[CLM_DIGEST_BLOCK_MAX] = {0};
    size_t size = clm_digest_size(digest);
    size_t block = clm_digest_block(digest);
    struct clm_digest_ctx ctx;
    size_t text_len;

    assert(in->salt_len <= CLM_KDF_SALT_MAX && in->password_len <= 2 * CLM_KDF_PASSWORD_MAX + 2);
    memset(diversifier, (int)id, block);
    text_len = fill_blocks(text, in->salt, in->salt_len, block);
    text_len += fill_blocks(text + text_len, in->password, in->password_len, block);
    for (;;) {
        size_t part = out_len < size ? out_len : size;

        clm_digest_init(&ctx, digest);
        clm_digest_update(&ctx, diversifier, block);
        clm_digest_update(&ctx, text, text_len);
        clm_digest_final(&ctx, a);
        for (uint32_t i = 1; i < in->iterations; i++) {
            clm_digest_of(digest, a, size, a);
        }
        memcpy(out, a, part);
        out += part;
        out_len -= part;
        if (out_len == 0) {
            break;
        }
        for (size_t i = 0; i < block; i++) {
            b[i] = a[i % size];
        }
        for (size_t i = 0; i < text_len; i += block) {
            add_block(text + i, b, block);
        }
    }
    clm_wipe(text, sizeof(text));
    clm_wipe(a, sizeof(a));
    clm_wipe(b, sizeof(b));
}

/* The character at the start of well-formed UTF-8 of n bytes. */
static uint32_t char_of(const uint8_t *p, size_t n)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & masks[n];

    for (size_t i = 1; i < n; i++) {
        c = c << 6 | (p[i] & 0x3fu);
    }
    return c;
}

static size_t put_utf16(uint32_t c, uint8_t dst[4])
{
    uint32_t high = c;
    size_t n = 0;

    if (c >= 0x10000) {
        high = 0xd800 + ((c - 0x10000) >> 10);
    }
    dst[n++] = (uint8_t)(high >> 8);
    dst[n++] = (uint8_t)high;
    if (c >= 0x10000) {
        uint32_t low = 0xdc00 + ((c - 0x10000) & 0x3ff);

        dst[n++] = (uint8_t)(low >> 8);
        dst[n++] = (uint8_t)low;
    }
    return n;
}

enum clm_code clm_password_utf16(const struct clm_buf *utf8, bool with_end, struct clm_buf *out,
                                 struct clm_err *err)
{
    const uint8_t *p = utf8->data;
    size_t len = utf8->len;
    enum clm_code code = CLM_OK;

    if (len > CLM_KDF_PASSWORD_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "password is longer than %u bytes",
                           CLM_KDF_PASSWORD_MAX);
    }
    if (len > 0 && !clm_str_is_utf8(p, len)) {
        return clm_err_set(err, CLM_E_INVAL, "password is not UTF-8");
    }
    /* at once, so that the buffer never moves */
    code = clm_buf_reserve(out, 2 * len + (with_end ? 2 : 0), err);
    while (code == CLM_OK && len > 0) {
        uint8_t units[4];
        size_t n = clm_str_utf8_len(p, len);

        code = clm_buf_add(out, units, put_utf16(char_of(p, n), units), err);
        p += n;
        len -= n;
        clm_wipe(units, sizeof(units));
    }
    if (code == CLM_OK && with_end) {
        code = clm_buf_add(out, "\0\0", 2, err);
    }
    return code;
}
