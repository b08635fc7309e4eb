/* SPDX-License-Identifier: Apache-2.0 */
/*
 * armor - PEM text to DER and back (RFC 7468)
 *
 * The strict counterpart of agent/formats for what this folder reads and writes itself: one block
 * at a time, text between blocks skipped, LF or CRLF.
 */
#ifndef CLM_CRYPTO_ARMOR_H
#define CLM_CRYPTO_ARMOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_ARMOR_LABEL_MAX 64 /* bytes, NUL included */

struct clm_armor {
    char label[CLM_ARMOR_LABEL_MAX]; /* "CERTIFICATE" */
    bool is_encrypted;               /* "Proc-Type: 4,ENCRYPTED" (RFC 1421 4.6.1.1) */
    const char *headers;             /* the lines in front of it; points into the input */
    size_t headers_len;
    const char *body; /* Base64 text behind the headers; points into the input */
    size_t body_len;
};

/*
 * clm_armor_next() - finds the next PEM block
 *
 * In      io_text, io_len  what is left of the text; moved behind the block
 * Out     out              the block, undecoded
 * Errors  NOTFOUND no further block (err is set, too); PARSE a block without its end line
 */
CLM_MUST_USE enum clm_code clm_armor_next(const char **io_text, size_t *io_len,
                                          struct clm_armor *out, struct clm_err *err);
/* Appends the block's bytes. Errors: PARSE bad Base64 or empty; LIMIT. */
CLM_MUST_USE enum clm_code clm_armor_decode(const struct clm_armor *block, struct clm_buf *out,
                                            struct clm_err *err);
/* Appends a block with lines of 64 characters. For keys give a secret buffer. */
CLM_MUST_USE enum clm_code clm_armor_write(const char *label, const uint8_t *der, size_t len,
                                           struct clm_buf *out, struct clm_err *err);

#endif
