/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/faults/limits/limits.h"

void put_bytes(struct clm_buf *out, const void *data, size_t len)
{
    if (clm_buf_add(out, data, len, NULL) != CLM_OK) {
        (void)fprintf(stderr, "a shape does not fit its buffer\n");
        abort();
    }
}

void put(struct clm_buf *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

void put_flood(struct clm_buf *out, const char *text, size_t size)
{
    size_t len = strlen(text);

    while (out->len + len <= size) {
        put_bytes(out, text, len);
    }
}

void put_counted(struct clm_buf *out, const char *fmt, size_t size)
{
    char text[1024];

    for (int i = 0;; i++) {
        int len;

        /* the format is a literal of a table */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        len = snprintf(text, sizeof(text), fmt, i);
#pragma GCC diagnostic pop
        if (len <= 0 || out->len + (size_t)len > size) {
            return;
        }
        put_bytes(out, text, (size_t)len);
    }
}

void putf(struct clm_buf *out, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put(out, text);
}

void put_u16(struct clm_buf *out, unsigned value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

    put_bytes(out, bytes, sizeof(bytes));
}

void put_u32(struct clm_buf *out, uint32_t value)
{
    put_u16(out, value >> 16);
    put_u16(out, value & 0xffff);
}

void put_tlv(struct clm_buf *out, unsigned tag, const void *data, size_t len)
{
    uint8_t head[6] = {(uint8_t)tag};
    size_t n = 1;

    if (len < 0x80) {
        head[n++] = (uint8_t)len;
    } else {
        size_t bytes = len > 0xffffff ? 4 : len > 0xffff ? 3 : len > 0xff ? 2 : 1;

        head[n++] = (uint8_t)(0x80 | bytes);
        while (bytes-- > 0) {
            head[n++] = (uint8_t)(len >> (8 * bytes));
        }
    }
    put_bytes(out, head, n);
    put_bytes(out, data, len);
}

void put_around(struct clm_buf *out, unsigned tag, struct clm_buf *inner)
{
    put_tlv(out, tag, inner->data, inner->len);
    inner->len = 0;
}
