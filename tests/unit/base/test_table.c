/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <string.h>

#include "agent/base/table.h"
#include "tests/support/torture.h"

static const struct clm_table_column columns[] = {
    {.title = "TARGET"},
    {.title = "DAYS", .is_right = true, .is_fixed = true},
    {.title = "STATE", .is_fixed = true},
    {.title = "DETAIL"},
};

static struct clm_table *sample(void)
{
    struct clm_table *table = clm_table_new(columns, CLM_ARRAY_LEN(columns));

    clm_table_add(table, CLM_COLOR_NONE, "nginx:www.example.com");
    clm_table_addf(table, CLM_COLOR_YELLOW, "%d", 7);
    clm_table_add(table, CLM_COLOR_GREEN, "managed");
    clm_table_add(table, CLM_COLOR_NONE, "renewal is due");
    clm_table_add(table, CLM_COLOR_NONE, "file:/srv");
    clm_table_addf(table, CLM_COLOR_NONE, "%d", 120);
    clm_table_end_row(table);
    return table;
}

static void assert_prints(struct clm_table *table, struct clm_term term, const char *expected)
{
    struct clm_buf out = CLM_BUF_INIT(10000);
    struct clm_err err = {0};

    if (clm_table_print(table, &term, &out, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(clm_buf_str(&out), expected);
    clm_buf_done(&out);
    clm_table_free(table);
}

static void columns_are_aligned_and_lines_end_with_text(void **state)
{
    (void)state;
    assert_prints(sample(), (struct clm_term){0},
                  "TARGET                 DAYS  STATE    DETAIL\n"
                  "nginx:www.example.com     7  managed  renewal is due\n"
                  "file:/srv               120\n");
}

static void colour_does_not_move_columns(void **state)
{
    (void)state;
    assert_prints(sample(), (struct clm_term){.has_color = true},
                  "\x1b[1mTARGET\x1b[0m                 \x1b[1mDAYS\x1b[0m  \x1b[1mSTATE\x1b[0m    "
                  "\x1b[1mDETAIL\x1b[0m\n"
                  "nginx:www.example.com     \x1b[33m7\x1b[0m  \x1b[32mmanaged\x1b[0m  "
                  "renewal is due\n"
                  "file:/srv               120\n");
}

static void the_widest_column_gives_way(void **state)
{
    (void)state;
    assert_prints(sample(), (struct clm_term){.width = 40, .is_utf8 = true},
                  "TARGET       DAYS  STATE    DETAIL\n"
                  "nginx:www.\xe2\x80\xa6     7  managed  renewal is \xe2\x80\xa6\n"
                  "file:/srv     120\n");
    assert_prints(sample(), (struct clm_term){.width = 40},
                  "TARGET       DAYS  STATE    DETAIL\n"
                  "nginx:www..     7  managed  renewal is..\n"
                  "file:/srv     120\n");
}

/* Whatever the width, no line is longer, down to the least that fixed columns leave. */
static void no_line_is_longer_than_the_terminal(void **state)
{
    size_t least = 2 * CLM_TABLE_SHRUNK_MIN + 4 + 7 + 3 * 2;

    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    for (size_t width = 20; width < 60; width++) {
        struct clm_table *table = sample();
        struct clm_term term = {.width = width, .is_utf8 = true};
        struct clm_buf out = CLM_BUF_INIT(10000);
        char *rest;

        assert_int_equal(clm_table_print(table, &term, &out, NULL), CLM_OK);
        for (char *line = strtok_r((char *)out.data, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            assert_true(clm_term_width(line, SIZE_MAX, NULL) <= (width < least ? least : width));
        }
        clm_buf_done(&out);
        clm_table_free(table);
    }
}

static void fixed_columns_are_never_cut(void **state)
{
    struct clm_term term = {.width = 20, .is_utf8 = true};

    (void)state;
    assert_prints(sample(), term,
                  "TARGET  DAYS  STATE    DETAIL\n"
                  "nginx\xe2\x80\xa6     7  managed  renew\xe2\x80\xa6\n"
                  "file:\xe2\x80\xa6   120\n");
}

static void wide_characters_take_two_columns(void **state)
{
    static const struct clm_table_column two[] = {{.title = NULL}, {.title = NULL}};
    struct clm_table *table = clm_table_new(two, 2);

    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    clm_table_add(table, CLM_COLOR_NONE, "\xe6\x97\xa5\xe6\x9c\xac");
    clm_table_add(table, CLM_COLOR_NONE, "x");
    clm_table_add(table, CLM_COLOR_NONE, "\xc3\xa9t\xc3\xa9");
    clm_table_add(table, CLM_COLOR_NONE, "y");
    assert_prints(table, (struct clm_term){0},
                  "\xe6\x97\xa5\xe6\x9c\xac  x\n\xc3\xa9t\xc3\xa9   y\n");
}

static void cells_cannot_break_the_table(void **state)
{
    static const struct clm_table_column two[] = {{.title = "A"}, {.title = "B"}};
    struct clm_table *table = clm_table_new(two, 2);

    (void)state;
    clm_table_add(table, CLM_COLOR_NONE, "x\ny\x1b[2J");
    clm_table_add(table, CLM_COLOR_NONE, NULL);
    assert_int_equal(clm_table_rows(table), 1);
    assert_prints(table, (struct clm_term){0}, "A        B\nx?y?[2J\n");
}

static void an_empty_table_prints_nothing(void **state)
{
    struct clm_table *table = clm_table_new(columns, CLM_ARRAY_LEN(columns));

    (void)state;
    clm_table_end_row(table);
    assert_int_equal(clm_table_rows(table), 0);
    assert_prints(table, (struct clm_term){0}, "");
    clm_table_free(NULL);
    clm_table_add(NULL, CLM_COLOR_NONE, "x");
    clm_table_end_row(NULL);
    assert_int_equal(clm_table_rows(NULL), 0);
}

static enum clm_code build_and_print(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_table_free_p)
    struct clm_table *table = clm_table_new(columns, CLM_ARRAY_LEN(columns));
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100000);

    for (int row = 0; row < 20; row++) {
        clm_table_add(table, CLM_COLOR_NONE, "cell");
        clm_table_addf(table, CLM_COLOR_NONE, "%d", row);
        clm_table_end_row(table);
    }
    return clm_table_print(table, arg, &out, err);
}

static void every_allocation_may_fail(void **state)
{
    struct clm_term term = {0};

    (void)state;
    /* The table, its cells and their text, which both grow, and the output. */
    assert_true(clm_torture(build_and_print, &term) >= 10);
}

static void a_full_buffer_is_a_limit(void **state)
{
    struct clm_table *table = sample();
    struct clm_buf out = CLM_BUF_INIT(60);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_table_print(table, &(struct clm_term){0}, &out, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "table does not fit into memory");
    clm_buf_done(&out);
    clm_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned_and_lines_end_with_text),
        cmocka_unit_test(colour_does_not_move_columns),
        cmocka_unit_test(the_widest_column_gives_way),
        cmocka_unit_test(no_line_is_longer_than_the_terminal),
        cmocka_unit_test(fixed_columns_are_never_cut),
        cmocka_unit_test(wide_characters_take_two_columns),
        cmocka_unit_test(cells_cannot_break_the_table),
        cmocka_unit_test(an_empty_table_prints_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_full_buffer_is_a_limit),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
