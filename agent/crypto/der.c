/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/der.h"

#include <assert.h>
#include <string.h>

#include "agent/base/clock.h"

void clm_der_init(struct clm_der *w, struct clm_buf *out, struct clm_err *err)
{
    *w = (struct clm_der){.out = out, .err = err};
}

void clm_der_fail(struct clm_der *w, enum clm_code code)
{
    if (w->code == CLM_OK) {
        w->code = code;
    }
}

void clm_der_raw(struct clm_der *w, const void *data, size_t len)
{
    if (w->code == CLM_OK && len > 0) {
        w->code = clm_buf_add(w->out, data, len, w->err);
    }
}

/* The length is not known yet: one byte is kept free for it, clm_der_close() makes room for more. */
void clm_der_open(struct clm_der *w, uint8_t tag)
{
    const uint8_t head[2] = {tag, 0};

    assert(w->depth < CLM_DER_DEPTH_MAX);
    clm_der_raw(w, head, sizeof(head));
    w->start[w->depth++] = w->out->len;
}

void clm_der_open_bits(struct clm_der *w)
{
    clm_der_open(w, CLM_DER_BIT_STRING);
    clm_der_raw(w, "\0", 1);
}

void clm_der_close(struct clm_der *w)
{
    size_t start;
    size_t len;
    size_t extra = 0;

    assert(w->depth > 0);
    start = w->start[--w->depth];
    if (w->code != CLM_OK) {
        return;
    }
    len = w->out->len - start;
    for (size_t rest = len; len > 127 && rest > 0; rest >>= 8) {
        extra++;
    }
    if (extra == 0) {
        w->out->data[start - 1] = (uint8_t)len;
        return;
    }
    w->code = clm_buf_reserve(w->out, extra, w->err);
    if (w->code != CLM_OK) {
        return;
    }
    memmove(w->out->data + start + extra, w->out->data + start, len);
    w->out->data[start - 1] = (uint8_t)(0x80u + extra);
    for (size_t i = 0; i < extra; i++) {
        w->out->data[start + i] = (uint8_t)(len >> (8 * (extra - 1 - i)));
    }
    w->out->len += extra;
    w->out->data[w->out->len] = 0;
}

void clm_der_bytes(struct clm_der *w, uint8_t tag, const void *data, size_t len)
{
    clm_der_open(w, tag);
    clm_der_raw(w, data, len);
    clm_der_close(w);
}

void clm_der_text(struct clm_der *w, uint8_t tag, const char *text)
{
    clm_der_bytes(w, tag, text, strlen(text));
}

void clm_der_oid(struct clm_der *w, const char *oid, size_t len)
{
    clm_der_bytes(w, CLM_DER_OID, oid, len);
}

void clm_der_small_int(struct clm_der *w, uint8_t value)
{
    assert(value < 128);
    clm_der_bytes(w, CLM_DER_INTEGER, &value, 1);
}

void clm_der_positive(struct clm_der *w, const uint8_t *data, size_t len)
{
    while (len > 1 && data[0] == 0) {
        data++;
        len--;
    }
    clm_der_open(w, CLM_DER_INTEGER);
    if (len == 0 || (data[0] & 0x80u) != 0) {
        clm_der_raw(w, "\0", 1);
    }
    clm_der_raw(w, data, len);
    clm_der_close(w);
}

void clm_der_true(struct clm_der *w)
{
    clm_der_bytes(w, CLM_DER_BOOLEAN, "\xff", 1);
}

void clm_der_null(struct clm_der *w)
{
    clm_der_bytes(w, CLM_DER_NULL, NULL, 0);
}

void clm_der_time(struct clm_der *w, int64_t unix_s)
{
    char text[CLM_TIME_TEXT_SIZE]; /* "2026-11-21T01:52:25Z" */
    char digits[CLM_TIME_TEXT_SIZE];
    size_t n = 0;
    const char *from = digits;

    clm_time_format(unix_s, text);
    if (text[0] == '\0') {
        clm_der_fail(w, clm_err_set(w->err, CLM_E_INVAL, "a date lies outside 1970 to 9999"));
        return;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '-' && *p != ':' && *p != 'T') {
            digits[n++] = *p;
        }
    }
    digits[n] = '\0';
    if (strncmp(digits, "2050", 4) < 0) {
        from = digits + 2;
    }
    clm_der_text(w, from == digits ? CLM_DER_GENERALIZED_TIME : CLM_DER_UTC_TIME, from);
}

enum clm_code clm_der_done(struct clm_der *w)
{
    assert(w->depth == 0);
    return w->code;
}

struct clm_der_reader clm_der_reader_of(const uint8_t *data, size_t len)
{
    return (struct clm_der_reader){.p = data, .end = data == NULL ? NULL : data + len};
}

struct clm_der_reader clm_der_enter(const struct clm_tlv *tlv)
{
    return clm_der_reader_of(tlv->value, tlv->len);
}

bool clm_der_at_end(const struct clm_der_reader *r)
{
    return r->p == r->end;
}

/* X.690 8.1.3 with the restrictions of 10.1: definite form, fewest bytes. */
static bool read_length(const uint8_t **p, const uint8_t *end, size_t *out_len)
{
    size_t n;
    size_t len = 0;

    if (*p == end) {
        return false;
    }
    n = *(*p)++;
    if (n < 0x80) {
        *out_len = n;
        return n <= (size_t)(end - *p);
    }
    n -= 0x80;
    if (n == 0 || n > 4 || n > (size_t)(end - *p) || **p == 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        len = (len << 8) | *(*p)++;
    }
    *out_len = len;
    return len >= 0x80 && len <= (size_t)(end - *p);
}

bool clm_der_next(struct clm_der_reader *r, struct clm_tlv *out)
{
    const uint8_t *p = r->p;

    if (p == r->end || (*p & 0x1fu) == 0x1fu) {
        return false;
    }
    out->raw = p;
    out->tag = *p++;
    if (!read_length(&p, r->end, &out->len)) {
        return false;
    }
    out->value = p;
    r->p = p + out->len;
    out->raw_len = (size_t)(r->p - out->raw);
    return true;
}

bool clm_der_take(struct clm_der_reader *r, uint8_t tag, struct clm_tlv *out)
{
    struct clm_der_reader ahead = *r;

    if (!clm_der_next(&ahead, out) || out->tag != tag) {
        return false;
    }
    *r = ahead;
    return true;
}

bool clm_der_is(const struct clm_tlv *tlv, const char *content, size_t len)
{
    return tlv->len == len && memcmp(tlv->value, content, len) == 0;
}
