/* SPDX-License-Identifier: Apache-2.0 */
/* The hexadecimal and Base64 half of str.h. */
#include "agent/base/str.h"

#include <string.h>

static const char b64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void clm_hex_encode(const void *data, size_t len, char *dst)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = digits[p[i] >> 4];
        dst[2 * i + 1] = digits[p[i] & 15];
    }
    dst[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

enum clm_code clm_hex_decode(const char *text, void *dst, size_t len, struct clm_err *err)
{
    uint8_t *p = dst;

    if (strlen(text) != 2 * len) {
        return clm_err_set(err, CLM_E_PARSE, "not %zu hexadecimal digits", 2 * len);
    }
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return clm_err_set(err, CLM_E_PARSE, "not %zu hexadecimal digits", 2 * len);
        }
        p[i] = (uint8_t)(high * 16 + low);
    }
    return CLM_OK;
}

static enum clm_code encode(const uint8_t *in, size_t len, const char *alphabet,
                            struct clm_buf *out, struct clm_err *err)
{
    bool is_padded = alphabet == b64_std;
    size_t tail = len % 3;
    size_t size = len / 3 * 4 + (tail == 0 ? 0 : is_padded ? 4 : tail + 1);
    enum clm_code code;
    uint8_t *dst;

    if (len > SIZE_MAX / 2) {
        return clm_err_set(err, CLM_E_LIMIT, "too much data for Base64");
    }
    code = clm_buf_reserve(out, size, err);
    if (code != CLM_OK) {
        return code;
    }
    dst = out->data + out->len;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16;
        size_t have = len - i < 3 ? len - i : 3;

        group |= have > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        group |= have > 2 ? in[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            if (k <= have) {
                *dst++ = (uint8_t)alphabet[group >> (18 - 6 * k) & 63];
            } else if (is_padded) {
                *dst++ = '=';
            }
        }
    }
    out->len += size;
    return CLM_OK;
}

enum clm_code clm_b64url_encode(const void *data, size_t len, struct clm_buf *out,
                                struct clm_err *err)
{
    return encode(data, len, b64_url, out, err);
}

enum clm_code clm_b64_encode(const void *data, size_t len, struct clm_buf *out, struct clm_err *err)
{
    return encode(data, len, b64_std, out, err);
}

static int b64_value(char c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == alphabet[62]) {
        return 62;
    }
    return c == alphabet[63] ? 63 : -1;
}

/* One group of n = 2, 3 or 4 digits into n - 1 bytes; false if a digit or an unused bit is wrong. */
static bool decode_group(const char *text, size_t n, const char *alphabet, uint8_t *dst)
{
    uint32_t group = 0;

    for (size_t k = 0; k < n; k++) {
        int value = b64_value(text[k], alphabet);

        if (value < 0) {
            return false;
        }
        group |= (uint32_t)value << (18 - 6 * k);
    }
    for (size_t k = 0; k + 1 < n; k++) {
        dst[k] = (uint8_t)(group >> (16 - 8 * k));
    }
    return n == 4 || (group & (n == 3 ? 0xffU : 0xffffU)) == 0;
}

enum clm_code clm_b64url_decode(const char *text, size_t text_len, struct clm_buf *out,
                                struct clm_err *err)
{
    size_t tail = text_len % 4;
    size_t size = text_len / 4 * 3 + (tail > 0 ? tail - 1 : 0);
    enum clm_code code;
    uint8_t *dst;

    if (tail == 1) {
        return clm_err_set(err, CLM_E_PARSE, "base64url text is cut off");
    }
    code = clm_buf_reserve(out, size, err);
    if (code != CLM_OK) {
        return code;
    }
    dst = out->data + out->len;
    for (size_t i = 0; i < text_len; i += 4, dst += 3) {
        if (!decode_group(text + i, text_len - i < 4 ? tail : 4, b64_url, dst)) {
            memset(out->data + out->len, 0, size);
            return clm_err_set(err, CLM_E_PARSE, "not base64url near byte %zu", i + 1);
        }
    }
    out->len += size;
    return CLM_OK;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum clm_code clm_b64_decode(const char *text, size_t text_len, struct clm_buf *out,
                             struct clm_err *err)
{
    enum clm_code code = clm_buf_reserve(out, text_len / 4 * 3, err);
    bool is_ended = false; /* padding seen */
    size_t done = 0;
    size_t i = 0;

    if (code != CLM_OK) {
        return code;
    }
    while (i < text_len) {
        size_t n = 4;

        if (is_space(text[i])) {
            i++;
            continue;
        }
        if (is_ended || text_len - i < 4) {
            break;
        }
        while (n > 2 && text[i + n - 1] == '=') {
            n--;
        }
        if (!decode_group(text + i, n, b64_std, out->data + out->len + done)) {
            break;
        }
        is_ended = n < 4;
        done += n - 1;
        i += 4;
    }
    if (i < text_len) {
        memset(out->data + out->len, 0, done);
        return clm_err_set(err, CLM_E_PARSE, "not Base64 near byte %zu", i + 1);
    }
    out->len += done;
    out->data[out->len] = '\0';
    return CLM_OK;
}
