/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/keystore/jks.h"

#define REPLACEMENT 0xfffdu

static bool is_high(uint32_t unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(uint32_t unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* One UTF-16 unit of modified UTF-8: one, two or three bytes. 0: malformed; else how many. */
static size_t unit_at(const uint8_t *p, size_t len, uint32_t *out_unit)
{
    if (len >= 1 && p[0] < 0x80) {
        *out_unit = p[0];
        return 1;
    }
    if (len >= 2 && (p[0] & 0xe0u) == 0xc0 && (p[1] & 0xc0u) == 0x80) {
        *out_unit = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
        return 2;
    }
    if (len >= 3 && (p[0] & 0xf0u) == 0xe0 && (p[1] & 0xc0u) == 0x80 && (p[2] & 0xc0u) == 0x80) {
        *out_unit = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        return 3;
    }
    return 0;
}

/* One character, from a pair of surrogates if need be. */
static size_t char_at(const uint8_t *p, size_t len, uint32_t *out_char)
{
    size_t n = unit_at(p, len, out_char);
    uint32_t low = 0;
    size_t n_low;

    if (n == 0 || (!is_high(*out_char) && !is_low(*out_char) && *out_char != 0)) {
        return n;
    }
    n_low = unit_at(p + n, len - n, &low);
    if (is_high(*out_char) && n_low > 0 && is_low(low)) {
        *out_char = 0x10000 + ((*out_char - 0xd800) << 10) + (low - 0xdc00);
        return n + n_low;
    }
    *out_char = REPLACEMENT;
    return n;
}

enum clm_code clm_jks_alias_decode(const uint8_t *data, size_t len,
                                   char dst[CLM_KEYSTORE_ALIAS_SIZE], struct clm_err *err)
{
    size_t used = 0;

    dst[0] = '\0';
    while (len > 0) {
        uint32_t c = 0;
        uint8_t utf8[4];
        size_t n = char_at(data, len, &c);
        size_t n_out;

        if (n == 0) {
            return clm_err_set(err, CLM_E_PARSE, "alias is not text as Java writes it");
        }
        n_out = clm_utf8_put(c, utf8);
        if (used + n_out >= CLM_KEYSTORE_ALIAS_SIZE) {
            return clm_err_set(err, CLM_E_LIMIT, "alias is longer than %d bytes",
                               CLM_KEYSTORE_ALIAS_SIZE - 1);
        }
        memcpy(dst + used, utf8, n_out);
        used += n_out;
        data += n;
        len -= n;
    }
    dst[used] = '\0';
    return CLM_OK;
}

/* Never NUL, which ends an alias: Java would have it in two bytes. */
static enum clm_code add_char(uint32_t c, struct clm_buf *out, struct clm_err *err)
{
    uint8_t bytes[8];
    size_t n;

    if (c < 0x10000) {
        n = clm_utf8_put(c, bytes);
    } else {
        n = clm_utf8_put(0xd800 + ((c - 0x10000) >> 10), bytes);
        n += clm_utf8_put(0xdc00 + ((c - 0x10000) & 0x3ff), bytes + n);
    }
    return clm_buf_add(out, bytes, n, err);
}

enum clm_code clm_jks_alias_encode(const char *alias, struct clm_buf *out, struct clm_err *err)
{
    const uint8_t *p = (const uint8_t *)alias;
    size_t len = strlen(alias);
    size_t start = out->len;
    enum clm_code code;

    if (!clm_str_is_utf8(alias, len) || len >= CLM_KEYSTORE_ALIAS_SIZE) {
        return clm_err_set(err, CLM_E_INVAL, "alias is no UTF-8 of less than %d bytes",
                           CLM_KEYSTORE_ALIAS_SIZE);
    }
    code = clm_buf_add(out, "\0\0", 2, err);
    while (len > 0 && code == CLM_OK) {
        size_t n = clm_str_utf8_len(p, len);

        code = add_char(clm_alias_lower(clm_utf8_char(p, n)), out, err);
        p += n;
        len -= n;
    }
    if (code == CLM_OK) {
        size_t size = out->len - start - 2;

        out->data[start] = (uint8_t)(size >> 8);
        out->data[start + 1] = (uint8_t)size;
    }
    return code;
}
