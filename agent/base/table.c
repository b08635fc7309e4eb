/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP      2         /* blanks between columns */
#define TEXT_MAX 16777216u /* bytes of all cells: far beyond what anybody reads */

struct cell {
    size_t at; /* of its text in the table's */
    enum clm_color color;
};

struct clm_table {
    const struct clm_table_column *columns;
    size_t n_columns;
    struct clm_buf text; /* of all cells, each with its NUL */
    struct cell *cells;  /* row by row */
    size_t n_cells;
    size_t cap_cells;
    bool is_failed; /* a cell was lost */
};

struct clm_table *clm_table_new(const struct clm_table_column *columns, size_t n)
{
    struct clm_table *table = calloc(1, sizeof(*table));

    assert(n > 0 && n <= CLM_TABLE_COLUMNS_MAX);
    if (table != NULL) {
        table->text = CLM_BUF_INIT(TEXT_MAX);
        table->columns = columns;
        table->n_columns = n;
    }
    return table;
}

void clm_table_free(struct clm_table *table)
{
    if (table == NULL) {
        return;
    }
    clm_buf_done(&table->text);
    free(table->cells);
    free(table);
}

static bool make_room(struct clm_table *table)
{
    size_t cap = table->cap_cells == 0 ? 64 : 2 * table->cap_cells;
    struct cell *cells;

    if (table->n_cells < table->cap_cells) {
        return true;
    }
    cells = realloc(table->cells, cap * sizeof(*cells));
    if (cells == NULL) {
        return false;
    }
    table->cells = cells;
    table->cap_cells = cap;
    return true;
}

void clm_table_add(struct clm_table *table, enum clm_color color, const char *text)
{
    struct cell cell = {.color = color};

    if (table == NULL || table->is_failed) {
        return;
    }
    text = text != NULL ? text : "";
    cell.at = table->text.len;
    if (!make_room(table) || clm_buf_add(&table->text, text, strlen(text) + 1, NULL) != CLM_OK) {
        table->is_failed = true;
        return;
    }
    table->cells[table->n_cells++] = cell;
}

void clm_table_addf(struct clm_table *table, enum clm_color color, const char *fmt, ...)
{
    char text[1024]; /* more does not fit on a line anyway */
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    clm_table_add(table, color, text);
}

void clm_table_end_row(struct clm_table *table)
{
    while (table != NULL && !table->is_failed && table->n_cells % table->n_columns != 0) {
        clm_table_add(table, CLM_COLOR_NONE, "");
    }
}

size_t clm_table_rows(const struct clm_table *table)
{
    return table == NULL ? 0 : (table->n_cells + table->n_columns - 1) / table->n_columns;
}

static bool has_titles(const struct clm_table *table)
{
    for (size_t c = 0; c < table->n_columns; c++) {
        if (table->columns[c].title != NULL) {
            return true;
        }
    }
    return false;
}

/* What stands at a place; row -1 is the titles. */
struct shown {
    const char *text;
    enum clm_color color;
};

static struct shown shown_at(const struct clm_table *table, long row, size_t column)
{
    struct shown shown = {.text = table->columns[column].title, .color = CLM_COLOR_BOLD};

    if (row >= 0) {
        size_t i = (size_t)row * table->n_columns + column;

        shown = (struct shown){.text = ""};
        if (i < table->n_cells) { /* the last row may not be full */
            shown.text = clm_buf_str(&table->text) + table->cells[i].at;
            shown.color = table->cells[i].color;
        }
    }
    shown.text = shown.text != NULL ? shown.text : "";
    return shown;
}

static void measure(const struct clm_table *table, long first_row, size_t widths[])
{
    for (size_t c = 0; c < table->n_columns; c++) {
        widths[c] = 0;
        for (long row = first_row; row < (long)clm_table_rows(table); row++) {
            size_t width = clm_term_width(shown_at(table, row, c).text, SIZE_MAX, NULL);

            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
}

/* Takes one column from the widest that can give, until all fits or none can. */
static void shrink(const struct clm_table *table, size_t limit, size_t widths[])
{
    for (;;) {
        size_t total = GAP * (table->n_columns - 1);
        size_t widest = table->n_columns;

        for (size_t c = 0; c < table->n_columns; c++) {
            total += widths[c];
            if (!table->columns[c].is_fixed && widths[c] > CLM_TABLE_SHRUNK_MIN &&
                (widest == table->n_columns || widths[c] > widths[widest])) {
                widest = c;
            }
        }
        if (total <= limit || widest == table->n_columns) {
            return;
        }
        widths[widest]--;
    }
}

static enum clm_code add_blanks(struct clm_buf *out, size_t n, struct clm_err *err)
{
    return n == 0 ? CLM_OK : clm_buf_addf(out, err, "%*s", (int)n, "");
}

/* The text within width columns, cut off with an ellipsis if need be. */
static enum clm_code add_cut(const struct clm_term *term, struct shown cell, size_t width,
                             struct clm_buf *out, struct clm_err *err)
{
    const char *ellipsis = term->is_utf8 ? "\xe2\x80\xa6" : "..";
    size_t bytes = 0;
    enum clm_code code;

    (void)clm_term_width(cell.text, width, &bytes);
    if (cell.text[bytes] == '\0') {
        return clm_term_add(term, cell.color, cell.text, bytes, out, err);
    }
    (void)clm_term_width(cell.text, width - (term->is_utf8 ? 1 : 2), &bytes);
    code = clm_term_add(term, cell.color, cell.text, bytes, out, err);
    return code != CLM_OK ? code : clm_buf_add_str(out, ellipsis, err);
}

static enum clm_code print_row(const struct clm_table *table, const struct clm_term *term, long row,
                               const size_t widths[], struct clm_buf *out)
{
    size_t blanks = 0; /* owed; paid only if something follows */
    enum clm_code code = CLM_OK;

    for (size_t c = 0; c < table->n_columns && code == CLM_OK; c++) {
        struct shown cell = shown_at(table, row, c);
        size_t width = clm_term_width(cell.text, widths[c], NULL);
        size_t rest = widths[c] - width;

        if (*cell.text == '\0') {
            blanks += widths[c] + GAP;
            continue;
        }
        code = add_blanks(out, blanks + (table->columns[c].is_right ? rest : 0), NULL);
        if (code == CLM_OK) {
            code = add_cut(term, cell, widths[c], out, NULL);
        }
        blanks = GAP + (table->columns[c].is_right ? 0 : rest);
    }
    return code != CLM_OK ? code : clm_buf_add(out, "\n", 1, NULL);
}

enum clm_code clm_table_print(const struct clm_table *table, const struct clm_term *term,
                              struct clm_buf *out, struct clm_err *err)
{
    size_t widths[CLM_TABLE_COLUMNS_MAX];
    long first_row;

    if (table == NULL || table->is_failed) {
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for a table");
    }
    if (table->n_cells == 0) {
        return CLM_OK;
    }
    first_row = has_titles(table) ? -1 : 0;
    measure(table, first_row, widths);
    if (term->width > 0) {
        shrink(table, term->width, widths);
    }
    for (long row = first_row; row < (long)clm_table_rows(table); row++) {
        enum clm_code code = print_row(table, term, row, widths, out);

        if (code != CLM_OK) {
            return clm_err_set(err, code, "table does not fit into memory");
        }
    }
    return CLM_OK;
}
