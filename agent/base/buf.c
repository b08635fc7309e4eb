/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64 /* bytes; small enough for a word, large enough for a line */

void clm_buf_done(struct clm_buf *buf)
{
    if (buf->data != NULL && buf->secret) {
        explicit_bzero(buf->data, buf->cap);
    }
    free(buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
}

void clm_buf_reset(struct clm_buf *buf)
{
    if (buf->data != NULL) {
        if (buf->secret) {
            explicit_bzero(buf->data, buf->cap);
        }
        buf->data[0] = '\0';
    }
    buf->len = 0;
}

/* realloc() may leave a copy behind, which a secret must not. */
static uint8_t *move_to(struct clm_buf *buf, size_t cap)
{
    uint8_t *data;

    if (!buf->secret) {
        return realloc(buf->data, cap);
    }
    data = malloc(cap);
    if (data != NULL && buf->data != NULL) {
        memcpy(data, buf->data, buf->len);
        explicit_bzero(buf->data, buf->cap);
        free(buf->data);
    }
    return data;
}

/* Makes cap > len + more, for the NUL behind the content. */
static enum clm_code grow(struct clm_buf *buf, size_t more, struct clm_err *err)
{
    size_t need;
    size_t cap = buf->cap;
    uint8_t *data;

    if (buf->len > buf->max || more > buf->max - buf->len) {
        return clm_err_set(err, CLM_E_LIMIT, "content exceeds %zu bytes", buf->max);
    }
    if (more >= (size_t)PTRDIFF_MAX - buf->len) { /* no block is that long */
        return clm_err_set(err, CLM_E_NOMEM, "out of memory");
    }
    need = buf->len + more + 1;
    if (need <= cap) {
        return CLM_OK;
    }
    cap = cap < FIRST_CAP ? FIRST_CAP : cap;
    while (cap < need) {
        cap *= 2;
    }
    if (cap - 1 > buf->max) {
        cap = buf->max + 1;
    }
    data = move_to(buf, cap);
    if (data == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for %zu bytes", cap);
    }
    buf->data = data;
    buf->cap = cap;
    return CLM_OK;
}

enum clm_code clm_buf_reserve(struct clm_buf *buf, size_t len, struct clm_err *err)
{
    enum clm_code code = grow(buf, len, err);

    if (code != CLM_OK) {
        return code;
    }
    /* Whatever part the caller fills, a NUL follows it. */
    memset(buf->data + buf->len, 0, len + 1);
    return CLM_OK;
}

enum clm_code clm_buf_add(struct clm_buf *buf, const void *data, size_t len, struct clm_err *err)
{
    enum clm_code code = grow(buf, len, err);

    if (code != CLM_OK) {
        return code;
    }
    if (len > 0) {
        memcpy(buf->data + buf->len, data, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
    return CLM_OK;
}

enum clm_code clm_buf_add_str(struct clm_buf *buf, const char *text, struct clm_err *err)
{
    return clm_buf_add(buf, text, strlen(text), err);
}

enum clm_code clm_buf_addf(struct clm_buf *buf, struct clm_err *err, const char *fmt, ...)
{
    enum clm_code code;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0) {
        return clm_err_set(err, CLM_E_LIMIT, "formatted text is too long");
    }
    code = grow(buf, (size_t)len, err);
    if (code != CLM_OK) {
        return code;
    }
    va_start(ap, fmt);
    (void)vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    buf->len += (size_t)len;
    return CLM_OK;
}

const char *clm_buf_str(const struct clm_buf *buf)
{
    if (buf->data == NULL) {
        return "";
    }
    /* The caller of clm_buf_reserve() may have raised len past our NUL. */
    buf->data[buf->len] = '\0';
    return (const char *)buf->data;
}
