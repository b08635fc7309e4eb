/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crypto/der_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define TEXT_MAX  ((size_t)1024 * 1024)
#define DEPTH_MAX 64

/* Puts the length of what begins at start in front of it. */
static void close_value(struct clm_buf *out, size_t start)
{
    size_t len = out->len - start;
    size_t extra = len < 0x80 ? 0 : len < 0x100 ? 1 : len < 0x10000 ? 2 : 3;

    assert_int_equal(clm_buf_reserve(out, 1 + extra, NULL), CLM_OK);
    memmove(out->data + start + 1 + extra, out->data + start, len);
    out->data[start] = (uint8_t)(extra == 0 ? len : 0x80 + extra);
    for (size_t i = 0; i < extra; i++) {
        out->data[start + 1 + i] = (uint8_t)(len >> (8 * (extra - 1 - i)));
    }
    out->len += 1 + extra;
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, c);

    return c == '\0' || at == NULL ? -1 : (int)(at - digits);
}

static struct clm_buf parse(const char *p)
{
    struct clm_buf out = CLM_BUF_INIT(TEXT_MAX);
    size_t starts[DEPTH_MAX];
    size_t depth = 0;

    assert_int_equal(clm_buf_reserve(&out, 1, NULL), CLM_OK);
    for (; *p != '\0'; p++) {
        if (*p == '{') {
            assert_true(depth < DEPTH_MAX);
            starts[depth++] = out.len;
        } else if (*p == '}') {
            assert_true(depth > 0);
            close_value(&out, starts[--depth]);
        } else if (*p != ' ') {
            uint8_t byte;

            assert_true(digit_of(p[0]) >= 0 && digit_of(p[1]) >= 0);
            byte = (uint8_t)(digit_of(p[0]) << 4 | digit_of(p[1]));
            assert_int_equal(clm_buf_add(&out, &byte, 1, NULL), CLM_OK);
            p++;
        }
    }
    assert_int_equal(depth, 0);
    return out;
}

struct clm_buf der_text(const char *fmt, ...)
{
    struct clm_buf out;
    va_list ap;
    char *text = test_malloc(TEXT_MAX);
    int len;

    va_start(ap, fmt);
    len = vsnprintf(text, TEXT_MAX, fmt, ap);
    va_end(ap);
    assert_true(len >= 0 && (size_t)len < TEXT_MAX);
    out = parse(text);
    test_free(text);
    return out;
}

const char *der_hex(const struct clm_buf *bytes, char *dst, size_t size)
{
    assert_true(2 * bytes->len < size);
    dst[0] = '\0';
    for (size_t i = 0; i < bytes->len; i++) {
        (void)snprintf(dst + 2 * i, 3, "%02x", bytes->data[i]);
    }
    return dst;
}

const char *der_repeat(const char *text, size_t n, char *dst, size_t size)
{
    size_t len = strlen(text);

    assert_true(n * len < size);
    for (size_t i = 0; i < n; i++) {
        memcpy(dst + i * len, text, len);
    }
    dst[n * len] = '\0';
    return dst;
}
