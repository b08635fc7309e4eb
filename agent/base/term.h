/* SPDX-License-Identifier: Apache-2.0 */
/* term - what the terminal can show, and how wide a text is on it */
#ifndef CLM_BASE_TERM_H
#define CLM_BASE_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_TERM_COLUMNS 80 /* of help text, where the width is not known */

enum clm_color {
    CLM_COLOR_NONE,
    CLM_COLOR_BOLD,
    CLM_COLOR_DIM,
    CLM_COLOR_RED,
    CLM_COLOR_GREEN,
    CLM_COLOR_YELLOW,
    CLM_COLOR__COUNT
};

/* Zero: a file or a pipe, plain ASCII marks, as long as it gets. */
struct clm_term {
    bool is_tty;
    bool has_color; /* a terminal, NO_COLOR unset or empty (no-color.org), TERM not "dumb" */
    bool is_utf8;   /* by the locale of LC_CTYPE */
    size_t width;   /* columns; 0: not known, no limit */
};

/* Takes LC_CTYPE from the environment, so that widths and is_utf8 are right. Once, in main(). */
void clm_term_init(void);
/* What stands behind the descriptor, by isatty(3), TIOCGWINSZ and the environment. */
struct clm_term clm_term_probe(int fd);

/*
 * Columns that text takes when it is shown by clm_term_add(). max: stop before more than max columns
 * (SIZE_MAX: all); *out_bytes, which may be NULL, tells how many bytes that is.
 */
size_t clm_term_width(const char *text, size_t max, size_t *out_bytes);

/*
 * Appends len bytes of text in a colour that term may not have. Bytes that would steer the terminal
 * (controls, no UTF-8) become '?'. Errors: LIMIT, NOMEM.
 */
CLM_MUST_USE enum clm_code clm_term_add(const struct clm_term *term, enum clm_color color,
                                        const char *text, size_t len, struct clm_buf *out,
                                        struct clm_err *err);

#endif
