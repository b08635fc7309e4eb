/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "agent/base/json.h"
#include "tests/support/torture.h"

/* Prints, compares and frees. */
static void assert_prints(struct clm_json *root, bool is_pretty, const char *expected)
{
    struct clm_buf out = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct clm_err err = {0};

    if (clm_json_print(root, is_pretty, &out, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(clm_buf_str(&out), expected);
    clm_buf_done(&out);
    clm_json_free(root);
}

/* Everything the writer offers, once. */
static struct clm_json *build(void)
{
    struct clm_json *root = clm_json_new_object();
    struct clm_json *list = clm_json_set_array(root, "list");
    struct clm_json *extra = clm_json_new_object();

    clm_json_set_str(root, "s", "text");
    clm_json_set_str(root, "none", NULL);
    clm_json_set_int(root, "i", -42);
    clm_json_set_real(root, "r", 0.1);
    clm_json_set_bool(root, "yes", true);
    clm_json_set_bool(root, "no", false);
    clm_json_set_null(root, "null");
    clm_json_set_int(clm_json_set_object(root, "o"), "x", 1);
    clm_json_add_str(list, "a");
    clm_json_add_int(list, 7);
    clm_json_set_int(clm_json_add_object(list), "y", 2);
    clm_json_set_int(extra, "z", 3);
    clm_json_add_copy(list, extra);
    clm_json_add_copy(list, clm_json_get(root, "i"));
    clm_json_add_copy(list, NULL);
    clm_json_add_take(list, clm_json_new_array());
    clm_json_set_copy(root, "copy", extra);
    clm_json_set_copy(root, "nocopy", NULL);
    clm_json_set_take(root, "take", extra);
    return root;
}

static void everything_is_printed_in_order(void **state)
{
    (void)state;
    assert_prints(
        build(), false,
        "{\"list\":[\"a\",7,{\"y\":2},{\"z\":3},-42,null,[]],\"s\":\"text\",\"none\":null,"
        "\"i\":-42,\"r\":0.1,\"yes\":true,\"no\":false,\"null\":null,\"o\":{\"x\":1},"
        "\"copy\":{\"z\":3},\"nocopy\":null,\"take\":{\"z\":3}}");
}

/* What is printed can be read: digits alone beyond 2^53 could not. */
static void large_numbers_have_an_exponent(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{33333333333333330.5, "{\"r\":3.3333333333333332e+16}"},
                {-9007199254740994.0, "{\"r\":-9.0071992547409940e+15}"},
                {1e16, "{\"r\":1e+16}"},
                {0.1 + 0.2, "{\"r\":0.30000000000000004}"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct clm_json *root = clm_json_new_object();
        struct clm_json *again = NULL;

        clm_json_set_real(root, "r", rows[i].value);
        assert_prints(root, false, rows[i].text);
        assert_int_equal(
            clm_json_parse(rows[i].text, strlen(rows[i].text), CLM_JSON_TEXT_MAX, &again, NULL),
            CLM_OK);
        clm_json_free(again);
    }
}

static void pretty_is_indented_by_two(void **state)
{
    struct clm_json *root = clm_json_new_object();
    struct clm_json *list = clm_json_set_array(root, "list");

    (void)state;
    clm_json_add_int(list, 1);
    clm_json_set_str(clm_json_add_object(list), "k", "v");
    (void)clm_json_set_object(root, "empty");
    assert_prints(root, true,
                  "{\n  \"list\": [\n    1,\n    {\n      \"k\": \"v\"\n    }\n  ],\n"
                  "  \"empty\": {}\n}");
}

static void setting_again_replaces_in_place(void **state)
{
    struct clm_json *root = clm_json_new_object();

    (void)state;
    clm_json_set_int(root, "a", 1);
    clm_json_set_int(root, "b", 2);
    clm_json_set_str(root, "a", "new");
    clm_json_set_int(root, "A", 3);
    clm_json_remove(root, "b");
    clm_json_remove(root, "b");
    assert_prints(root, false, "{\"a\":\"new\",\"A\":3}");
}

static void strings_are_escaped(void **state)
{
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        {"", "[\"\"]"},
        {"\"\\/", "[\"\\\"\\\\/\"]"},
        {"\n\r\t\b\f", "[\"\\n\\r\\t\\u0008\\u000c\"]"},
        {"\x01\x1f\x7f ", "[\"\\u0001\\u001f\\u007f \"]"},
        {"\xc3\xa9\xf0\x9f\x98\x80", "[\"\xc3\xa9\xf0\x9f\x98\x80\"]"},
        {"a\xff\x80z", "[\"a\xef\xbf\xbd\xef\xbf\xbdz\"]"},
        {"\xe2\x82", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]"},
        {"\xc0\x80", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_json *root = clm_json_new_array();

        clm_json_add_str(root, cases[i].text);
        assert_prints(root, false, cases[i].json);
    }
}

static void numbers_are_exact(void **state)
{
    static const double reals[] = {0.1,        0.1 + 0.2, 1.0 / 3, 1e21,    -1e-7,
                                   123456.789, 5e-324,    1e307,   1.5e300, 9007199254740992.0};
    struct clm_json *root = clm_json_new_array();

    (void)state;
    clm_json_add_int(root, 0);
    clm_json_add_int(root, CLM_JSON_INT_MAX);
    clm_json_add_int(root, -CLM_JSON_INT_MAX);
    clm_json_add_int(root, CLM_JSON_INT_MAX - 1);
    clm_json_add_int(root, 1234567890123456);
    assert_prints(root, false,
                  "[0,9007199254740991,-9007199254740991,9007199254740990,1234567890123456]");
    for (size_t i = 0; i < CLM_ARRAY_LEN(reals); i++) {
        struct clm_buf out = CLM_BUF_INIT(100);

        root = clm_json_new_object();
        clm_json_set_real(root, "r", reals[i]);
        assert_int_equal(clm_json_print(root, false, &out, NULL), CLM_OK);
        assert_true(strtod(clm_buf_str(&out) + 5, NULL) == reals[i]);
        clm_buf_done(&out);
        clm_json_free(root);
    }
    root = clm_json_new_object();
    clm_json_set_real(root, "r", 0.1);
    clm_json_set_real(root, "whole", 3.0);
    clm_json_set_real(root, "zero", -0.0);
    assert_prints(root, false, "{\"r\":0.1,\"whole\":3,\"zero\":0}");
}

static void assert_refused(struct clm_json *root, enum clm_code code, const char *why)
{
    struct clm_buf out = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct clm_err err = {0};

    assert_int_equal(clm_buf_add_str(&out, "kept", NULL), CLM_OK);
    assert_int_equal(clm_json_print(root, false, &out, &err), code);
    assert_string_equal(err.msg, why);
    assert_int_equal(out.len, 4);
    assert_string_equal((const char *)out.data, "kept");
    clm_buf_done(&out);
    clm_json_free(root);
}

static void numbers_that_are_none_are_refused(void **state)
{
    static const char why[] = "number to write is beyond 2^53 - 1 or not finite";
    static const double reals[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(reals); i++) {
        struct clm_json *root = clm_json_new_object();

        clm_json_set_real(clm_json_set_object(root, "o"), "r", reals[i]);
        assert_refused(root, CLM_E_INVAL, why);
    }
    for (int sign = -1; sign <= 1; sign += 2) {
        struct clm_json *root = clm_json_new_array();

        clm_json_add_int(root, sign * (CLM_JSON_INT_MAX + 1));
        assert_refused(root, CLM_E_INVAL, why);
    }
}

static void nothing_is_lost_silently(void **state)
{
    struct clm_json *root = clm_json_new_object();

    (void)state;
    assert_refused(NULL, CLM_E_NOMEM, "out of memory for JSON to write");
    clm_json_set_take(root, "child", NULL); /* its creation failed */
    clm_json_set_int(root, "more", 1);
    assert_refused(root, CLM_E_NOMEM, "out of memory for JSON to write");
    root = clm_json_new_object();
    clm_json_add_int(root, 1); /* an object is no array */
    assert_refused(root, CLM_E_NOMEM, "out of memory for JSON to write");
    root = clm_json_new_array();
    clm_json_set_int(root, "k", 1);
    assert_refused(root, CLM_E_NOMEM, "out of memory for JSON to write");
    clm_json_set_int(NULL, "k", 1);
    clm_json_set_take(NULL, "k", clm_json_new_object());
    clm_json_add_take(NULL, clm_json_new_object());
    clm_json_remove(NULL, "k");
    assert_null(clm_json_set_object(NULL, "k"));
    assert_null(clm_json_add_object(NULL));
    assert_null(clm_json_edit(NULL, "k"));
}

static void depth_ends_at_sixteen(void **state)
{
    (void)state;
    for (int depth = CLM_JSON_DEPTH_MAX; depth <= CLM_JSON_DEPTH_MAX + 1; depth++) {
        struct clm_json *root = clm_json_new_object();
        struct clm_json *node = root;
        struct clm_buf out = CLM_BUF_INIT(1000);

        for (int i = 1; i < depth; i++) {
            node = clm_json_set_object(node, "o");
        }
        assert_int_equal(clm_json_print(root, false, &out, NULL),
                         depth == CLM_JSON_DEPTH_MAX ? CLM_OK : CLM_E_LIMIT);
        clm_buf_done(&out);
        clm_json_free(root);
    }
}

static void a_full_buffer_is_a_limit(void **state)
{
    static const char json[] = "{\"key\":\"long enough\\n\"}";

    (void)state;
    for (size_t max = 0; max < 30; max++) {
        bool is_enough = max >= strlen(json);
        struct clm_json *root = clm_json_new_object();
        struct clm_buf out = CLM_BUF_INIT(max);

        clm_json_set_str(root, "key", "long enough\n");
        assert_int_equal(clm_json_print(root, false, &out, NULL), is_enough ? CLM_OK : CLM_E_LIMIT);
        assert_string_equal(clm_buf_str(&out), is_enough ? json : "");
        clm_buf_done(&out);
        clm_json_free(root);
    }
}

static void what_is_printed_can_be_read(void **state)
{
    struct clm_json *root = build();
    struct clm_json *back = NULL;
    struct clm_buf out = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct clm_buf again = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);

    (void)state;
    assert_int_equal(clm_json_print(root, true, &out, NULL), CLM_OK);
    assert_int_equal(clm_json_parse(clm_buf_str(&out), out.len, CLM_JSON_TEXT_MAX, &back, NULL),
                     CLM_OK);
    assert_int_equal(clm_json_print(back, true, &again, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), clm_buf_str(&again));
    clm_buf_done(&out);
    clm_buf_done(&again);
    clm_json_free(root);
    clm_json_free(back);
}

static void places_follow_copies_and_gifts(void **state)
{
    struct clm_json *old = NULL;
    struct clm_json *root = clm_json_new_object();
    const struct clm_json *node;
    const char *text = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_json_parse("{\"a\":[{\"b\":{}}]}", 16, 100, &old, NULL), CLM_OK);
    clm_json_set_copy(root, "copy", clm_json_get(old, "a"));
    node = clm_json_get(clm_json_first(clm_json_get(root, "copy")), "b");
    clm_json_set_take(root, "take", old);
    assert_int_equal(clm_json_str(node, "x", 9, &text, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/copy/0/b/x: missing");
    node = clm_json_get(clm_json_first(clm_json_get(clm_json_get(root, "take"), "a")), "b");
    assert_int_equal(clm_json_str(node, "x", 9, &text, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/take/a/0/b/x: missing");
    clm_json_free(root);
}

static void editing_reaches_into_a_tree(void **state)
{
    struct clm_json *root = build();

    (void)state;
    clm_json_set_int(clm_json_edit(root, "o"), "x", 9);
    assert_null(clm_json_edit(root, "none"));
    assert_null(clm_json_edit(root, "absent"));
    for (const char *const *key = (const char *const[]){"list", "s", "none", "i", "r", "yes", "no",
                                                        "null", "copy", "nocopy", "take", NULL};
         *key != NULL; key++) {
        clm_json_remove(root, *key);
    }
    assert_prints(root, false, "{\"o\":{\"x\":9}}");
}

static enum clm_code build_and_print(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct clm_json *root = build();
    enum clm_code code;

    (void)arg;
    clm_json_set_str(root, "s", "replaced");
    code = clm_json_print(root, false, &out, err);
    clm_json_free(root);
    return code;
}

static void every_allocation_may_fail(void **state)
{
    cJSON_Hooks hooks = {clm_torture_malloc, clm_torture_free};

    (void)state;
    cJSON_InitHooks(&hooks);
    assert_true(clm_torture(build_and_print, NULL) > 40);
    cJSON_InitHooks(NULL);
}

/* Reads the tree instead of printing it: it must know itself that something is missing. */
static enum clm_code build_and_read(void *arg, struct clm_err *err)
{
    struct clm_json *root = clm_json_new_object();
    struct clm_json *copy = clm_json_new_object();
    struct clm_json *array = clm_json_set_array(root, "a");
    struct clm_json *gift = clm_json_new_object();
    bool is_whole;

    (void)arg;
    clm_json_add_str(array, "one");
    clm_json_set_int(clm_json_add_object(array), "deep", 1);
    clm_json_set_str(gift, "k", "v");
    clm_json_set_take(root, "gift", gift);
    clm_json_set_copy(copy, "a", clm_json_get(root, "a"));
    is_whole = clm_json_is_whole(root) && clm_json_is_whole(copy);
    if (is_whole) {
        assert_int_equal(clm_json_len(clm_json_get(copy, "a")), 2);
        assert_string_equal(clm_json_text(clm_json_get(clm_json_get(root, "gift"), "k")), "v");
    }
    clm_json_free(root);
    clm_json_free(copy);
    return is_whole ? CLM_OK : clm_err_set(err, CLM_E_NOMEM, "tree");
}

static void a_tree_knows_that_something_is_missing(void **state)
{
    cJSON_Hooks hooks = {clm_torture_malloc, clm_torture_free};

    (void)state;
    assert_false(clm_json_is_whole(NULL));
    cJSON_InitHooks(&hooks);
    assert_true(clm_torture(build_and_read, NULL) > 15);
    cJSON_InitHooks(NULL);
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void a_tree_without_memory_is_no_empty_tree(void **state)
{
    cJSON_Hooks hooks = {no_memory, free};
    struct clm_json *object;
    struct clm_json *array;

    (void)state;
    cJSON_InitHooks(&hooks);
    object = clm_json_new_object();
    array = clm_json_new_array();
    cJSON_InitHooks(NULL);
    assert_non_null(object);
    clm_json_set_int(object, "k", 1);
    clm_json_add_int(array, 1);
    clm_json_remove(object, "k");
    assert_null(clm_json_set_object(object, "k"));
    assert_null(clm_json_edit(object, "k"));
    assert_int_equal(clm_json_len(object) + clm_json_len(array), 0);
    assert_false(clm_json_is_whole(object));
    clm_json_free(array);
    assert_refused(object, CLM_E_NOMEM, "out of memory for JSON to write");
    object = clm_json_new_object();
    clm_json_set_take(object, "lost", array);
    assert_refused(object, CLM_E_NOMEM, "out of memory for JSON to write");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_printed_in_order),
        cmocka_unit_test(large_numbers_have_an_exponent),
        cmocka_unit_test(pretty_is_indented_by_two),
        cmocka_unit_test(setting_again_replaces_in_place),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(nothing_is_lost_silently),
        cmocka_unit_test(depth_ends_at_sixteen),
        cmocka_unit_test(a_full_buffer_is_a_limit),
        cmocka_unit_test(what_is_printed_can_be_read),
        cmocka_unit_test(places_follow_copies_and_gifts),
        cmocka_unit_test(editing_reaches_into_a_tree),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_tree_knows_that_something_is_missing),
        cmocka_unit_test(a_tree_without_memory_is_no_empty_tree),
    };

    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
