/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str - bounded strings, lists of strings, numbers with a range, hexadecimal and Base64
 */
#ifndef CLM_BASE_STR_H
#define CLM_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

/* Copies text into dst of size bytes. Errors: LIMIT if it does not fit; dst is then "". */
CLM_MUST_USE enum clm_code clm_str_copy(char *dst, size_t size, const char *text,
                                        struct clm_err *err);
/* Formats into dst of size bytes. Errors: LIMIT if it does not fit; dst is then "". */
CLM_MUST_USE enum clm_code clm_str_fmt(char *dst, size_t size, struct clm_err *err, const char *fmt,
                                       ...) CLM_PRINTF(4, 5);

/* Decimal digits only, the whole text, min <= value <= max. Errors: PARSE. */
CLM_MUST_USE enum clm_code clm_str_to_int(const char *text, int64_t min, int64_t max,
                                          int64_t *out_value, struct clm_err *err);

bool clm_str_starts(const char *text, const char *prefix);
bool clm_str_ends(const char *text, const char *suffix);
/* '*' stands for any run of characters (also '/' and '.'); every other character for itself. */
bool clm_str_glob(const char *pattern, const char *text);
/* True if every byte is printable ASCII (0x20..0x7e). */
bool clm_str_is_printable(const char *text);
/* Well-formed UTF-8 without NUL: no overlong forms, no surrogates, at most U+10FFFF (RFC 3629). */
bool clm_str_is_utf8(const void *data, size_t len);
/* Bytes of the well-formed character at the start of data; 0 if there is none. */
size_t clm_str_utf8_len(const void *data, size_t len);
/* Would a terminal act on this character of len bytes, not show it? Controls (C0, DEL, C1), the
 * separators of lines and paragraphs, and the marks that turn the direction of what follows
 * (Bidi_Control, Unicode 15 PropList.txt), so that a line reads as another one. */
bool clm_str_is_steering(const void *data, size_t len);
/* One line of good UTF-8: in place, every other byte or character becomes a '?'. */
void clm_str_make_plain(char *text);

/* A list of owned strings. Zero-initialise it. */
struct clm_strs {
    char **v;
    size_t n;
};
void clm_strs_done(struct clm_strs *list); /* frees all; for CLM_CLEANUP */
CLM_MUST_USE enum clm_code clm_strs_add(struct clm_strs *list, const char *text,
                                        struct clm_err *err);
/* clm_strs_add() unless an equal string is in the list. */
CLM_MUST_USE enum clm_code clm_strs_add_once(struct clm_strs *list, const char *text,
                                             struct clm_err *err);
bool clm_strs_has(const struct clm_strs *list, const char *text);
CLM_MUST_USE enum clm_code clm_strs_copy(struct clm_strs *dst, const struct clm_strs *src,
                                         struct clm_err *err);

/* Lower-case hex of len bytes and a NUL: dst holds 2 * len + 1 bytes. */
void clm_hex_encode(const void *data, size_t len, char *dst);
/* Exactly 2 * len lower- or upper-case digits. Errors: PARSE. */
CLM_MUST_USE enum clm_code clm_hex_decode(const char *text, void *dst, size_t len,
                                          struct clm_err *err);

/* Appends base64url without padding (RFC 4648 5). */
CLM_MUST_USE enum clm_code clm_b64url_encode(const void *data, size_t len, struct clm_buf *out,
                                             struct clm_err *err);
/* Strict: no padding, no white space, unused bits zero. Appends. Errors: PARSE, LIMIT. */
CLM_MUST_USE enum clm_code clm_b64url_decode(const char *text, size_t text_len, struct clm_buf *out,
                                             struct clm_err *err);
/* Appends Base64 with padding, one line (RFC 4648 4). */
CLM_MUST_USE enum clm_code clm_b64_encode(const void *data, size_t len, struct clm_buf *out,
                                          struct clm_err *err);
/* Accepts padding and, between groups, white space. Appends. Errors: PARSE, LIMIT. */
CLM_MUST_USE enum clm_code clm_b64_decode(const char *text, size_t text_len, struct clm_buf *out,
                                          struct clm_err *err);

#endif
