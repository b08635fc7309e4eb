/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "config/docgen.h"
#include "config/options.h"

#define MAN_PAGE "docs/man/clmbot.yaml.5" /* tests run in the source root */
#define BEGIN    ".\\\" BEGIN OPTIONS: written by tests/test_docgen --mdoc, do not edit\n"
#define END      ".\\\" END OPTIONS\n"

static void the_manual_holds_the_option_table(void **state)
{
    struct clm_buf page = CLM_BUF_INIT(CLM_DOC_MAX);
    struct clm_buf want = CLM_BUF_INIT(CLM_DOC_MAX);
    const char *begin;
    const char *end;

    (void)state;
    assert_int_equal(clm_fs_read(MAN_PAGE, CLM_DOC_MAX, &page, NULL), CLM_OK);
    assert_int_equal(clm_docgen_mdoc(&want, NULL), CLM_OK);
    begin = strstr(clm_buf_str(&page), BEGIN);
    assert_non_null(begin);
    begin += strlen(BEGIN);
    end = strstr(begin, END);
    assert_non_null(end);
    if ((size_t)(end - begin) != want.len || memcmp(begin, want.data, want.len) != 0) {
        fail_msg("%s differs from config/options.c: put the output of tests/test_docgen --mdoc "
                 "between its marks",
                 MAN_PAGE);
    }
    clm_buf_done(&page);
    clm_buf_done(&want);
}

static void mdoc_has_an_item_for_every_option(void **state)
{
    struct clm_buf page = CLM_BUF_INIT(CLM_DOC_MAX);

    (void)state;
    assert_int_equal(clm_docgen_mdoc(&page, NULL), CLM_OK);
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        char item[128];

        assert_int_equal(clm_str_fmt(item, sizeof(item), NULL, "\n.It Cm %s\n", opt->key), CLM_OK);
        assert_non_null(strstr(clm_buf_str(&page), item));
    }
    assert_non_null(strstr(clm_buf_str(&page), "\nWhole number, 1 to 20 versions.\n"
                                               "Default: 3.\nSince version 0.1.0.\n"));
    assert_non_null(strstr(clm_buf_str(&page),
                           "\nOne word of: error, warning, notice, info, debug.\n"
                           "Default: info.\n"));
    assert_non_null(
        strstr(clm_buf_str(&page), "\nDefault: nginx:*, apache:*, tomcat:*, file:*.\n"));
    clm_buf_done(&page);
}

static void no_text_becomes_a_macro(void **state)
{
    struct clm_buf page = CLM_BUF_INIT(CLM_DOC_MAX);
    const char *known[] = {".Bl ", ".It Cm ", ".br\n", ".El\n"};

    (void)state;
    assert_int_equal(clm_docgen_mdoc(&page, NULL), CLM_OK);
    for (const char *p = clm_buf_str(&page); p != NULL && *p != '\0';) {
        bool is_known = p[0] != '.' && p[0] != '\'';

        for (size_t i = 0; i < CLM_ARRAY_LEN(known); i++) {
            is_known = is_known || clm_str_starts(p, known[i]);
        }
        if (!is_known) {
            fail_msg("'%.60s'", p);
        }
        p = strchr(p, '\n');
        p = p == NULL ? NULL : p + 1;
    }
    clm_buf_done(&page);
}

static void markdown_has_a_row_of_four_cells_for_every_option(void **state)
{
    struct clm_buf page = CLM_BUF_INIT(CLM_DOC_MAX);
    size_t rows = 0;
    size_t options = 0;

    (void)state;
    assert_int_equal(clm_docgen_markdown(&page, NULL), CLM_OK);
    for (const char *line = clm_buf_str(&page); *line != '\0'; rows++) {
        size_t len = strcspn(line, "\n");
        size_t bars = 0;

        for (size_t i = 0; i < len; i++) {
            bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
        }
        assert_int_equal(bars, 5);
        assert_int_equal(line[len - 1], '|');
        line += len + 1;
    }
    while (clm_options()[options].key != NULL) {
        options++;
    }
    assert_int_equal(rows, options + 2);
    assert_non_null(strstr(clm_buf_str(&page), "| `policy.targets.allow` | List of texts | "
                                               "nginx:\\*, apache:\\*, tomcat:\\*, file:\\* | "));
    clm_buf_done(&page);
}

static void a_full_buffer_is_an_error(void **state)
{
    struct clm_buf small = CLM_BUF_INIT(100);
    struct clm_config config = {0};

    (void)state;
    assert_int_equal(clm_docgen_mdoc(&small, NULL), CLM_E_LIMIT);
    clm_buf_reset(&small);
    assert_int_equal(clm_docgen_markdown(&small, NULL), CLM_E_LIMIT);
    clm_buf_reset(&small);
    assert_int_equal(clm_config_show(&config, &small, NULL), CLM_E_LIMIT);
    clm_buf_done(&small);
}

static int print_page(const char *which)
{
    struct clm_buf page = CLM_BUF_INIT(CLM_DOC_MAX);
    struct clm_err err = {0};
    enum clm_code code = strcmp(which, "--markdown") == 0 ? clm_docgen_markdown(&page, &err)
                                                          : clm_docgen_mdoc(&page, &err);

    (void)fputs(code == CLM_OK ? clm_buf_str(&page) : err.msg, stdout);
    clm_buf_done(&page);
    return code == CLM_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_holds_the_option_table),
        cmocka_unit_test(mdoc_has_an_item_for_every_option),
        cmocka_unit_test(no_text_becomes_a_macro),
        cmocka_unit_test(markdown_has_a_row_of_four_cells_for_every_option),
        cmocka_unit_test(a_full_buffer_is_an_error),
    };

    if (argc == 2) {
        return print_page(argv[1]);
    }
    return cmocka_run_group_tests_name("docgen", tests, NULL, NULL);
}
