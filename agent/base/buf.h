/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a growing byte buffer with a maximum from birth
 *
 * The content is always followed by a NUL that len does not count, so data may be used as a string
 * once it is known to hold none. A failed call leaves the content as it was.
 */
#ifndef CLM_BASE_BUF_H
#define CLM_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

struct clm_buf {
    uint8_t *data; /* NULL while nothing was ever added */
    size_t len;
    size_t cap;
    size_t max;  /* len never exceeds it */
    bool secret; /* wiped before it is freed or moved */
};

/* An empty buffer that may grow to max bytes. */
#define CLM_BUF_INIT(max_bytes) ((struct clm_buf){.max = (max_bytes)})
/* The same for key material and passwords: every freed copy is wiped. */
#define CLM_BUF_SECRET_INIT(max_bytes) ((struct clm_buf){.max = (max_bytes), .secret = true})

/* Frees the content; the buffer is empty and usable again with the same maximum. For CLM_CLEANUP. */
void clm_buf_done(struct clm_buf *buf);

/* Empties without freeing. */
void clm_buf_reset(struct clm_buf *buf);

/* Adds len bytes. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_buf_add(struct clm_buf *buf, const void *data, size_t len,
                                       struct clm_err *err);
/* Adds a NUL-terminated string without its NUL. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_buf_add_str(struct clm_buf *buf, const char *text,
                                           struct clm_err *err);
/* Adds formatted text. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_buf_addf(struct clm_buf *buf, struct clm_err *err, const char *fmt,
                                        ...) CLM_PRINTF(3, 4);
/* Makes room for len more bytes at data + buf->len; the caller raises len. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_buf_reserve(struct clm_buf *buf, size_t len, struct clm_err *err);

/* The content as a string; "" while empty. Valid until the next call that changes the buffer. */
const char *clm_buf_str(const struct clm_buf *buf);

#endif
