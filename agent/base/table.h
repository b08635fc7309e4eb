/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table - aligned columns of text for people
 *
 * Cells are foreign text: clm_term_add() makes them harmless. Columns are two blanks apart, nothing
 * follows the last character of a line. Where the terminal is too narrow, the widest columns that
 * may shrink are cut off with an ellipsis. A failed allocation is remembered and reported once, by
 * clm_table_print(), so that building needs no checks.
 */
#ifndef CLM_BASE_TABLE_H
#define CLM_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/term.h"

#define CLM_TABLE_COLUMNS_MAX 16
#define CLM_TABLE_SHRUNK_MIN  6 /* columns that a cut column keeps, its ellipsis included */

struct clm_table_column {
    const char *title; /* NULL in all columns: no line of titles */
    bool is_right;     /* numbers */
    bool is_fixed;     /* never cut off: states, dates, numbers */
};

struct clm_table;

/* columns: n of them, at most CLM_TABLE_COLUMNS_MAX; kept, not copied. NULL on no memory. */
struct clm_table *clm_table_new(const struct clm_table_column *columns, size_t n);
/* Accepts NULL. */
void clm_table_free(struct clm_table *table);
CLM_DEFINE_CLEANUP(struct clm_table, clm_table_free);

/* The next cell, left to right; a row ends by itself when it is full. text NULL: an empty cell. */
void clm_table_add(struct clm_table *table, enum clm_color color, const char *text);
/* The same, formatted. */
void clm_table_addf(struct clm_table *table, enum clm_color color, const char *fmt, ...)
    CLM_PRINTF(3, 4);
/* Fills the row with empty cells, if one was begun. */
void clm_table_end_row(struct clm_table *table);
/* Rows, a begun one included. */
size_t clm_table_rows(const struct clm_table *table);

/* Appends all lines; nothing if there are no rows. Errors: NOMEM (also of any earlier step), LIMIT. */
CLM_MUST_USE enum clm_code clm_table_print(const struct clm_table *table,
                                           const struct clm_term *term, struct clm_buf *out,
                                           struct clm_err *err);

#endif
