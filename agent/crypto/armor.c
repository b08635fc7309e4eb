/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "agent/crypto/armor.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/hash.h"

#define LINE_CHARS 64 /* RFC 7468 2 */

static const char *find(const char *text, size_t len, const char *what)
{
    return memmem(text, len, what, strlen(what));
}

static bool is_line_end(const char *p, const char *end)
{
    return p == end || *p == '\n' || *p == '\r';
}

/* The next "-----BEGIN label-----" that starts a line; moves *io_p behind it. */
static bool find_begin(const char *start, const char **io_p, const char *end,
                       char label[CLM_ARMOR_LABEL_MAX])
{
    static const char begin[] = "-----BEGIN ";
    const char *p = *io_p;

    for (;;) {
        const char *close;
        const char *from = find(p, (size_t)(end - p), begin);

        if (from == NULL) {
            return false;
        }
        p = from + sizeof(begin) - 1;
        close = find(p, (size_t)(end - p), "-----");
        if (close == NULL || (from != start && from[-1] != '\n' && from[-1] != '\r') ||
            close == p || (size_t)(close - p) >= CLM_ARMOR_LABEL_MAX ||
            memchr(p, '\n', (size_t)(close - p)) != NULL || memchr(p, 0, (size_t)(close - p))) {
            continue;
        }
        memcpy(label, p, (size_t)(close - p));
        label[close - p] = '\0';
        *io_p = close + 5;
        return true;
    }
}

/* RFC 1421 headers end with an empty line; only those of encrypted keys are in use. */
static void skip_headers(struct clm_armor *block)
{
    const char *p = block->body;
    const char *end = p + block->body_len;
    const char *blank;

    if (memchr(p, ':', block->body_len) == NULL) {
        return;
    }
    block->is_encrypted = find(p, block->body_len, "ENCRYPTED") != NULL;
    blank = find(p, block->body_len, "\n\n");
    if (blank == NULL) {
        blank = find(p, block->body_len, "\n\r\n");
    }
    if (blank != NULL) {
        block->headers = block->body;
        block->headers_len = (size_t)(blank - block->body);
        block->body = blank + 1;
        block->body_len = (size_t)(end - block->body);
    }
}

enum clm_code clm_armor_next(const char **io_text, size_t *io_len, struct clm_armor *out,
                             struct clm_err *err)
{
    const char *p = *io_text;
    const char *text_end = p + *io_len;
    const char *stop;
    char tail[CLM_ARMOR_LABEL_MAX + 16];

    *out = (struct clm_armor){.body = NULL};
    if (*io_len == 0 || !find_begin(*io_text, &p, text_end, out->label)) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no PEM block");
    }
    (void)snprintf(tail, sizeof(tail), "-----END %s-----", out->label);
    stop = find(p, (size_t)(text_end - p), tail);
    if (stop == NULL || !is_line_end(p, text_end) || !is_line_end(stop + strlen(tail), text_end)) {
        return clm_err_set(err, CLM_E_PARSE, "PEM block has no line '%s'",
                           clm_str_is_printable(tail) ? tail : "-----END ...-----");
    }
    out->headers = p; /* none so far */
    out->body = p;
    out->body_len = (size_t)(stop - p);
    skip_headers(out);
    p = stop + strlen(tail);
    *io_text = p;
    *io_len = (size_t)(text_end - p);
    return CLM_OK;
}

/* clm_b64_decode() takes white space between groups only; lines of a PEM file may have any length
 * and end anywhere, so white space is removed first. */
enum clm_code clm_armor_decode(const struct clm_armor *block, struct clm_buf *out,
                               struct clm_err *err)
{
    struct clm_buf packed = {.max = block->body_len, .secret = true};
    size_t before = out->len;
    enum clm_code code = clm_buf_reserve(&packed, block->body_len, err);

    if (code == CLM_OK) {
        for (size_t i = 0; i < block->body_len; i++) {
            char c = block->body[i];

            if (c != '\n' && c != '\r' && c != ' ' && c != '\t') {
                packed.data[packed.len++] = (uint8_t)c;
            }
        }
        packed.data[packed.len] = 0;
        code = clm_b64_decode(clm_buf_str(&packed), packed.len, out, err);
    }
    clm_buf_done(&packed);
    if (code == CLM_OK && out->len == before) {
        code = clm_err_set(err, CLM_E_PARSE, "PEM block is empty");
    }
    return code;
}

enum clm_code clm_armor_write(const char *label, const uint8_t *der, size_t len,
                              struct clm_buf *out, struct clm_err *err)
{
    struct clm_buf flat = {.max = 2 * len + 8, .secret = out->secret};
    enum clm_code code = clm_b64_encode(der, len, &flat, err);

    if (code == CLM_OK) {
        code = clm_buf_addf(out, err, "-----BEGIN %s-----\n", label);
    }
    for (size_t i = 0; i < flat.len && code == CLM_OK; i += LINE_CHARS) {
        size_t part = flat.len - i < LINE_CHARS ? flat.len - i : LINE_CHARS;

        code = clm_buf_add(out, flat.data + i, part, err);
        if (code == CLM_OK) {
            code = clm_buf_add_str(out, "\n", err);
        }
    }
    if (code == CLM_OK) {
        code = clm_buf_addf(out, err, "-----END %s-----\n", label);
    }
    clm_buf_done(&flat);
    return code;
}
