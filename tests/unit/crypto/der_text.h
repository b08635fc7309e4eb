/* SPDX-License-Identifier: Apache-2.0 */
/*
 * der_text - values of DER and BER, good and bad, written down as text
 *
 * Two hex digits are a byte, spaces mean nothing, and { } stands around the content of what began
 * with the byte in front: its length is put there. "30{ 020103 04{ff} }" is 30 06 02 01 03 04 01 ff.
 * A wrong length is written as a byte, too: "3080 ... 0000".
 */
#ifndef CLM_TESTS_DER_TEXT_H
#define CLM_TESTS_DER_TEXT_H

#include "agent/base/attr.h"
#include "agent/base/buf.h"

/* With the directives of printf. Aborts the test if the text is wrong. For clm_buf_done(). */
CLM_PRINTF(1, 2) struct clm_buf der_text(const char *fmt, ...);
/* The bytes as hex digits, for the text of another value; into dst, which must be large enough. */
const char *der_hex(const struct clm_buf *bytes, char *dst, size_t size);
/* The text n times, into dst. */
const char *der_repeat(const char *text, size_t n, char *dst, size_t size);

/* The text 8 times. */
#define DER_8(text) text text text text text text text text

#endif
