/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/ber.h"

#include <stdbool.h>

#include "agent/crypto/der.h"

#define CONSTRUCTED 0x20u

struct walk {
    const uint8_t *start;
    const uint8_t *p;
    struct clm_der out;
    size_t depth;
    struct clm_err *err;
};

struct head {
    uint8_t tag;
    bool is_indefinite;
    const uint8_t *end; /* of the value, or of what surrounds it */
};

static enum clm_code bad(const struct walk *w, const char *what)
{
    return clm_err_set(w->err, CLM_E_PARSE, "%s at offset %zu", what, (size_t)(w->p - w->start));
}

static enum clm_code read_head(struct walk *w, const uint8_t *end, struct head *out)
{
    size_t n;
    size_t len = 0;

    if (end - w->p < 2) {
        return bad(w, "value is cut off");
    }
    out->tag = w->p[0];
    if ((out->tag & 0x1fu) == 0x1fu) {
        return bad(w, "tag of several bytes");
    }
    n = w->p[1];
    out->is_indefinite = n == 0x80;
    out->end = end;
    w->p += 2;
    if (out->is_indefinite) {
        return (out->tag & CONSTRUCTED) != 0 ? CLM_OK : bad(w, "value without a length");
    }
    if (n < 0x80) {
        len = n;
    } else {
        for (n -= 0x80; n > 0; n--) {
            if (w->p == end || len > SIZE_MAX >> 8) {
                return bad(w, "length is cut off or too large");
            }
            len = len << 8 | *w->p++;
        }
    }
    if (len > (size_t)(end - w->p)) {
        return bad(w, "value goes beyond the end");
    }
    out->end = w->p + len;
    return CLM_OK;
}

/* True and moved behind them if the two zero bytes that end an indefinite value are next. */
static bool take_end(struct walk *w, const uint8_t *end)
{
    if (end - w->p < 2 || w->p[0] != 0 || w->p[1] != 0) {
        return false;
    }
    w->p += 2;
    return true;
}

/* One value. is_piece: of an OCTET STRING, of which only the bytes are wanted. */
static enum clm_code convert(struct walk *w, const uint8_t *end, bool is_piece)
{
    struct head head = {.tag = 0};
    enum clm_code code = read_head(w, end, &head);
    bool is_octets = (head.tag & ~CONSTRUCTED) == CLM_DER_OCTET_STRING;

    if (code != CLM_OK) {
        return code;
    }
    if (is_piece && !is_octets) {
        return bad(w, "another value among the pieces of an OCTET STRING");
    }
    if (w->depth == CLM_BER_DEPTH_MAX) {
        return clm_err_set(w->err, CLM_E_LIMIT, "values are nested deeper than %d",
                           CLM_BER_DEPTH_MAX);
    }
    w->depth++;
    if (!is_piece) {
        clm_der_open(&w->out, is_octets ? (uint8_t)CLM_DER_OCTET_STRING : head.tag);
    }
    if ((head.tag & CONSTRUCTED) != 0) {
        while (code == CLM_OK && !(head.is_indefinite ? take_end(w, head.end) : w->p == head.end)) {
            code = convert(w, head.end, is_octets);
        }
    } else {
        clm_der_raw(&w->out, w->p, (size_t)(head.end - w->p));
        w->p = head.end;
    }
    if (!is_piece) {
        clm_der_close(&w->out);
    }
    w->depth--;
    return code;
}

enum clm_code clm_ber_to_der(const uint8_t *data, size_t len, struct clm_buf *out, size_t *out_len,
                             struct clm_err *err)
{
    struct walk w = {.start = data, .p = data, .err = err};
    size_t before = out->len;
    enum clm_code code;

    clm_der_init(&w.out, out, err);
    code = convert(&w, data + len, false);
    if (code == CLM_OK) {
        code = clm_der_done(&w.out);
    }
    if (code == CLM_OK && out_len == NULL && w.p != data + len) {
        code = bad(&w, "there are bytes behind the value");
    }
    if (code != CLM_OK) {
        out->len = before;
        return code;
    }
    if (out_len != NULL) {
        *out_len = (size_t)(w.p - data);
    }
    return CLM_OK;
}
