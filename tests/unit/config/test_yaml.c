/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <yaml.h>

#include "agent/base/crc32c.h"
#include "config/yaml.h"

/* How libyaml's calls end: as they do, if is_set is not. */
static struct {
    bool is_set;
    bool has_parser;
    yaml_error_type_t error;
} fault;

int __real_yaml_parser_initialize(yaml_parser_t *parser);
int __wrap_yaml_parser_initialize(yaml_parser_t *parser);
int __real_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);

int __wrap_yaml_parser_initialize(yaml_parser_t *parser)
{
    return fault.is_set && !fault.has_parser ? 0 : __real_yaml_parser_initialize(parser);
}

int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event)
{
    if (!fault.is_set) {
        return __real_yaml_parser_parse(parser, event);
    }
    parser->error = fault.error;
    parser->problem = NULL;
    return 0;
}

static struct clm_yaml *read_text(const char *text)
{
    struct clm_yaml *root = NULL;
    struct clm_err err = {0};

    if (clm_yaml_parse("f", text, strlen(text), &root, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    return root;
}

static void nodes_know_where_they_stand(void **state)
{
    struct clm_yaml *root = read_text("# comment\n"
                                      "a: 1\n"
                                      "b:\n"
                                      "  - x\n"
                                      "  - 'y z'\n"
                                      "c: {d: \"q\\\"\", e: [ ]}\n");
    const struct clm_yaml *a = clm_yaml_first(root);
    const struct clm_yaml *b = clm_yaml_next(a);
    const struct clm_yaml *c = clm_yaml_next(b);
    const struct clm_yaml *y = clm_yaml_next(clm_yaml_first(b));
    const struct clm_yaml *d = clm_yaml_first(c);

    (void)state;
    assert_int_equal(clm_yaml_kind(root), CLM_YAML_MAP);
    assert_string_equal(clm_yaml_key(a), "a");
    assert_string_equal(clm_yaml_text(a), "1");
    assert_true(clm_yaml_is_plain(a));
    assert_int_equal(clm_yaml_line(a), 2);
    assert_int_equal(clm_yaml_column(a), 4);
    assert_int_equal(clm_yaml_key_column(a), 1);
    assert_int_equal(clm_yaml_kind(b), CLM_YAML_LIST);
    assert_string_equal(clm_yaml_text(y), "y z");
    assert_string_equal(clm_yaml_key(y), "");
    assert_false(clm_yaml_is_plain(y));
    assert_int_equal(clm_yaml_line(y), 5);
    assert_int_equal(clm_yaml_column(y), 5);
    assert_null(clm_yaml_next(y));
    assert_string_equal(clm_yaml_key(d), "d");
    assert_string_equal(clm_yaml_text(d), "q\"");
    assert_int_equal(clm_yaml_key_line(d), 6);
    assert_int_equal(clm_yaml_key_column(d), 5);
    assert_null(clm_yaml_first(clm_yaml_next(d)));
    assert_string_equal(clm_yaml_text(c), "");
    clm_yaml_free(root);
    clm_yaml_free(NULL);
}

static void an_empty_text_is_an_empty_map(void **state)
{
    static const char *const rows[] = {"", "\n\n", "# only a comment\n", "---\n...\n"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_yaml *root = read_text(rows[i]);

        assert_true(clm_yaml_kind(root) == CLM_YAML_MAP || clm_yaml_is_null(root));
        assert_null(clm_yaml_first(root));
        clm_yaml_free(root);
    }
}

static void nothing_is_only_nothing_without_quotes(void **state)
{
    struct clm_yaml *root = read_text("a:\nb: ~\nc: null\nd: \"\"\ne: 'null'\nf: []\n");
    const struct clm_yaml *node = clm_yaml_first(root);

    (void)state;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(clm_yaml_is_null(node), i < 3);
        node = clm_yaml_next(node);
    }
    clm_yaml_free(root);
}

static void what_is_left_out_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"a: &x 1\n", "f:1:4: anchors and aliases ('&', '*') are not allowed; put quotes around a "
                      "value that starts with '*'"},
        {"a: [1, *x]\n", "f:1:8: anchors and aliases"},
        {"a: *.example.com\n", "f:1:4: anchors and aliases ('&', '*') are not allowed; put quotes"},
        {"a: [\"b\", *.c]\n", "f:1:10: anchors"},
        {"a: &m {b: 1}\n", "f:1:4: anchors"},
        {"a: &m [b]\n", "f:1:4: anchors"},
        {"a: !!str 1\n", "f:1:4: tags ('!') are not allowed"},
        {"a: ! 1\n", "f:1:4: tags"},
        {"a: !!map {b: 1}\n", "f:1:4: tags"},
        {"a: !x [1]\n", "f:1:4: tags"},
        {"a: 1\n---\nb: 2\n", "f:2:1: a second document is not allowed"},
        {"%YAML 1.1\n---\na: 1\n", "directives ('%') are not allowed"},
        {"%TAG ! tag:x,2000:\n---\na: 1\n", "directives ('%') are not allowed"},
        {"a: 1\nb: 2\na: 3\n", "f:3:1: key 'a' is given twice, first in line 1"},
        {"x:\n  a: 1\n  'a': 3\n", "f:3:3: key 'a' is given twice, first in line 2"},
        {"a: {b: 1, b: 2}\n", "f:1:11: key 'b' is given twice"},
        {"<<: {a: 1}\n", "f:1:1: merge keys ('<<') are not allowed"},
        {"? [a, b]\n: 1\n", "f:1:3: a key must be a text"},
        {"? {a: b}\n: 1\n", "f:1:3: a key must be a text"},
        {"a: \"x\\0y\"\n", "f:1:4: text with a NUL"},
        {"a: [1\n", "f:2:1: "},
        {"a: 1\n b: 2\n", "f:2:3: "},
        {"\ta: 1\n", "f:1:1: "},
        {"a: 'x\n", "f:2:1: "},
        {"a: b: c\n", "f:1:5: "},
        {"a: \x01\n", "f: byte "},
        {"a: \xff\n", "f: is not UTF-8 text"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_yaml *root = NULL;
        struct clm_err err = {0};

        if (clm_yaml_parse("f", rows[i].text, strlen(rows[i].text), &root, &err) != CLM_E_CONFIG ||
            strstr(err.msg, rows[i].message) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        assert_null(root);
    }
}

static void depth_ends_at_sixteen(void **state)
{
    static const char opened[] = "[[[[[[[[[[[[[[[[";
    static const char closed[] = "]]]]]]]]]]]]]]]]";
    char text[64];
    struct clm_yaml *root = NULL;
    struct clm_err err = {0};

    (void)state;
    (void)strcpy(text, opened);
    (void)strcat(text, closed);
    assert_int_equal(clm_yaml_parse("f", text, strlen(text), &root, &err), CLM_OK);
    clm_yaml_free(root);
    (void)strcpy(text, opened);
    (void)strcat(text, "[]");
    (void)strcat(text, closed);
    assert_int_equal(clm_yaml_parse("f", text, strlen(text), &root, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg, "f:1:17: nested more than 16 deep");
}

static void a_flood_of_brackets_costs_nothing(void **state)
{
    static char text[CLM_YAML_TEXT_MAX];
    static const char *const floods[] = {"[", "{", "- ", "? ", "[{a: "};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(floods); i++) {
        struct clm_yaml *root = NULL;
        struct clm_err err = {0};
        size_t len = strlen(floods[i]);
        clock_t before;

        for (size_t k = 0; k + len <= sizeof(text); k += len) {
            memcpy(text + k, floods[i], len);
        }
        before = clock();
        assert_int_equal(clm_yaml_parse("f", text, sizeof(text) / len * len, &root, &err),
                         CLM_E_CONFIG);
        assert_non_null(
            strstr(err.msg, i == 1 || i == 3 ? "a key must be a text" : "nested more than 16"));
        /* Reading it to the end takes libyaml seconds; this is processor time, not wall time. */
        assert_true(clock() - before < CLOCKS_PER_SEC / 4);
    }
}

/* Without the NUL of what is put. */
static void put(char *dst, const char *text)
{
    while (*text != '\0') {
        *dst++ = *text++;
    }
}

static void sizes_have_limits(void **state)
{
    static char text[CLM_YAML_TEXT_MAX + 1];
    struct clm_yaml *root = NULL;
    struct clm_err err = {0};

    (void)state;
    memset(text, ' ', sizeof(text));
    put(text, "a: 1\n#");
    assert_int_equal(clm_yaml_parse("f", text, CLM_YAML_TEXT_MAX, &root, &err), CLM_OK);
    clm_yaml_free(root);
    assert_int_equal(clm_yaml_parse("f", text, CLM_YAML_TEXT_MAX + 1, &root, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "f: larger than 64 KiB");
    memset(text, 'x', sizeof(text));
    put(text, "a: ");
    assert_int_equal(clm_yaml_parse("f", text, 3 + CLM_YAML_SCALAR_MAX, &root, &err), CLM_OK);
    clm_yaml_free(root);
    assert_int_equal(clm_yaml_parse("f", text, 4 + CLM_YAML_SCALAR_MAX, &root, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg, "f:1:4: text of more than 4096 bytes");
}

static void keys_have_a_limit(void **state)
{
    static char text[CLM_YAML_TEXT_MAX];
    struct clm_yaml *root = NULL;
    struct clm_err err = {0};
    size_t len = 0;

    (void)state;
    for (int i = 0; i < CLM_YAML_KEYS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "k%d: 1\n", i);
    }
    assert_int_equal(clm_yaml_parse("f", text, len, &root, &err), CLM_OK);
    clm_yaml_free(root);
    root = NULL;
    len += (size_t)snprintf(text + len, sizeof(text) - len, "z: 1\n");
    assert_int_equal(clm_yaml_parse("f", text, len, &root, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg, "f:1001:1: more than 1000 keys");
}

static void keys_with_one_checksum_are_two_keys(void **state)
{
    static const char text[] = "qcjv: 1\nqvvbbcd: 2\n";
    struct clm_yaml *root = read_text(text);

    (void)state;
    assert_int_equal(clm_crc32c(0, "qcjv", 4), clm_crc32c(0, "qvvbbcd", 7));
    assert_string_equal(clm_yaml_key(clm_yaml_first(root)), "qcjv");
    assert_string_equal(clm_yaml_key(clm_yaml_next(clm_yaml_first(root))), "qvvbbcd");
    clm_yaml_free(root);
}

static void failures_of_libyaml_are_told(void **state)
{
    static const struct {
        bool has_parser;
        yaml_error_type_t error;
        enum clm_code code;
        const char *says;
    } cases[] = {
        {false, YAML_NO_ERROR, CLM_E_NOMEM, ""},
        {true, YAML_MEMORY_ERROR, CLM_E_NOMEM, ""},
        {true, YAML_READER_ERROR, CLM_E_CONFIG, "f: byte 1: unreadable"},
        {true, YAML_SCANNER_ERROR, CLM_E_CONFIG, "f:1:1: not YAML"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_yaml *root = NULL;
        struct clm_err err = {0};

        fault.is_set = true;
        fault.has_parser = cases[i].has_parser;
        fault.error = cases[i].error;
        enum clm_code code = clm_yaml_parse("f", "a: 1", 4, &root, &err);
        fault.is_set = false;
        assert_int_equal(code, cases[i].code);
        assert_null(root);
        assert_string_not_equal(err.msg, "");
        assert_non_null(strstr(err.msg, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_where_they_stand),
        cmocka_unit_test(an_empty_text_is_an_empty_map),
        cmocka_unit_test(nothing_is_only_nothing_without_quotes),
        cmocka_unit_test(what_is_left_out_is_refused_with_its_place),
        cmocka_unit_test(depth_ends_at_sixteen),
        cmocka_unit_test(a_flood_of_brackets_costs_nothing),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(keys_have_a_limit),
        cmocka_unit_test(keys_with_one_checksum_are_two_keys),
        cmocka_unit_test(failures_of_libyaml_are_told),
    };

    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
