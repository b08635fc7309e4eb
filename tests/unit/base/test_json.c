/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "agent/base/json.h"
#include "tests/support/torture.h"

/* A tree from a literal that must be good. */
static struct clm_json *parse(const char *text)
{
    struct clm_json *root = NULL;
    struct clm_err err = {0};

    if (clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &root, &err) != CLM_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
    return root;
}

static void bad_text_gives_no_tree(void **state)
{
    struct clm_json *root = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_json_parse("{\"a\":1} x", 9, 100, &root, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "line 1 column 9: unexpected text behind the value");
    assert_null(root);
    assert_int_equal(clm_json_parse("[1,2]", 5, 4, &root, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "JSON of 5 bytes exceeds 4");
    assert_int_equal(clm_json_parse("[1,2]", 5, 5, &root, &err), CLM_OK);
    clm_json_free(root);
    clm_json_free(NULL);
}

static void only_len_bytes_are_read(void **state)
{
    struct clm_json *root = NULL;

    (void)state;
    assert_int_equal(clm_json_parse("[1]2", 3, 100, &root, NULL), CLM_OK);
    clm_json_free(root);
}

static void kinds_are_told_apart(void **state)
{
    static const enum clm_json_kind kinds[] = {CLM_JSON_NULL,   CLM_JSON_BOOL,   CLM_JSON_BOOL,
                                               CLM_JSON_NUMBER, CLM_JSON_STRING, CLM_JSON_ARRAY,
                                               CLM_JSON_OBJECT};
    struct clm_json *root = parse("[null,true,false,0,\"\",[],{}]");
    const struct clm_json *node = clm_json_first(root);

    (void)state;
    assert_int_equal(clm_json_len(root), 7);
    for (size_t i = 0; i < CLM_ARRAY_LEN(kinds); i++) {
        assert_int_equal(clm_json_kind(node), kinds[i]);
        assert_string_equal(clm_json_key(node), "");
        assert_int_equal(clm_json_len(node), 0);
        node = clm_json_next(node);
    }
    assert_null(node);
    assert_null(clm_json_next(NULL));
    assert_null(clm_json_first(NULL));
    assert_int_equal(clm_json_len(NULL), 0);
    assert_int_equal(clm_json_kind(NULL), CLM_JSON_NULL);
    assert_null(clm_json_text(NULL));
    clm_json_free(root);
}

static void keys_are_case_sensitive(void **state)
{
    struct clm_json *root = parse("{\"ID\":\"big\",\"id\":\"small\",\"none\":null}");

    (void)state;
    assert_string_equal(clm_json_text(clm_json_get(root, "id")), "small");
    assert_string_equal(clm_json_text(clm_json_get(root, "ID")), "big");
    assert_null(clm_json_get(root, "Id"));
    assert_null(clm_json_get(root, "none"));
    assert_null(clm_json_get(NULL, "id"));
    assert_null(clm_json_get(clm_json_get(root, "id"), "id"));
    assert_string_equal(clm_json_key(clm_json_first(root)), "ID");
    clm_json_free(root);
}

static void escapes_are_decoded(void **state)
{
    struct clm_json *root = parse("{\"\\u0061\":\"\\ud83d\\ude00\\u00e9\\n\\/\\\"\"}");

    (void)state;
    assert_string_equal(clm_json_text(clm_json_get(root, "a")), "\xf0\x9f\x98\x80\xc3\xa9\n/\"");
    clm_json_free(root);
}

/* Longer than the 63 bytes some versions of cJSON read; the same digits in a string stay. */
static void long_numbers_keep_their_value(void **state)
{
    char digits[81];
    char text[512];
    struct clm_json *root;
    int64_t value = 0;
    const char *string = NULL;

    (void)state;
    memset(digits, '0', 80);
    digits[80] = '\0';
    (void)snprintf(text, sizeof(text),
                   "{\"a\":1%se-79,\"b\":0.%s5,\"s\":\"\\\"1%s\",\"c\":[1%s.5e-78,7]}", digits,
                   digits, digits, digits);
    root = parse(text);
    assert_int_equal(clm_json_int(root, "a", 0, 100, &value, NULL), CLM_OK);
    assert_int_equal(value, 10);
    assert_int_equal(clm_json_int(root, "b", 0, 9, &value, NULL), CLM_E_PARSE);
    assert_int_equal(clm_json_str(root, "s", 100, &string, NULL), CLM_OK);
    assert_int_equal(string[0], '"');
    assert_int_equal(string[1], '1');
    assert_string_equal(string + 2, digits);
    assert_int_equal(clm_json_len(clm_json_get(root, "c")), 2);
    clm_json_free(root);
}

static void required_members_are_typed(void **state)
{
    struct clm_json *root =
        parse("{\"s\":\"text\",\"i\":42,\"b\":true,\"o\":{\"x\":1},\"a\":[1,2,3],\"n\":null}");
    const struct clm_json *node = NULL;
    const char *text = NULL;
    int64_t value = 0;
    bool flag = false;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_json_str(root, "s", 4, &text, &err), CLM_OK);
    assert_string_equal(text, "text");
    assert_int_equal(clm_json_str(root, "s", 3, &text, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "/s: longer than 3 bytes");
    assert_int_equal(clm_json_str(root, "i", 9, &text, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/i: is not a string");
    assert_int_equal(clm_json_str(root, "n", 9, &text, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/n: missing");
    assert_int_equal(clm_json_int(root, "i", 42, 42, &value, &err), CLM_OK);
    assert_int_equal(value, 42);
    assert_int_equal(clm_json_int(root, "i", 43, 50, &value, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "/i: 42 is not between 43 and 50");
    assert_int_equal(clm_json_int(root, "i", 0, 41, &value, &err), CLM_E_LIMIT);
    assert_int_equal(clm_json_int(root, "b", 0, 1, &value, &err), CLM_E_PARSE);
    assert_int_equal(clm_json_int(root, "zz", 0, 1, &value, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/zz: missing");
    assert_int_equal(clm_json_bool(root, "b", &flag, &err), CLM_OK);
    assert_true(flag);
    assert_int_equal(clm_json_bool(root, "i", &flag, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/i: is not true or false");
    assert_int_equal(clm_json_bool(root, "n", &flag, &err), CLM_E_PARSE);
    assert_int_equal(clm_json_object(root, "o", &node, &err), CLM_OK);
    assert_int_equal(clm_json_len(node), 1);
    assert_int_equal(clm_json_object(root, "a", &node, &err), CLM_E_PARSE);
    assert_int_equal(clm_json_object(root, "n", &node, &err), CLM_E_PARSE);
    assert_int_equal(clm_json_array(root, "a", 3, &node, &err), CLM_OK);
    assert_int_equal(clm_json_array(root, "a", 2, &node, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "/a: more than 2 elements");
    assert_int_equal(clm_json_array(root, "o", 2, &node, &err), CLM_E_PARSE);
    assert_int_equal(clm_json_array(root, "n", 2, &node, &err), CLM_E_PARSE);
    assert_int_equal(clm_json_str(NULL, "s", 9, &text, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/s: missing");
    clm_json_free(root);
}

static void optional_members_keep_the_default(void **state)
{
    struct clm_json *root = parse("{\"s\":\"text\",\"i\":42,\"b\":false,\"n\":null}");
    const char *text = NULL;
    int64_t value = 5;
    bool flag = true;

    (void)state;
    assert_int_equal(clm_json_str_or(root, "n", 9, "other", &text, NULL), CLM_OK);
    assert_string_equal(text, "other");
    assert_int_equal(clm_json_str_or(root, "s", 9, "other", &text, NULL), CLM_OK);
    assert_string_equal(text, "text");
    assert_int_equal(clm_json_str_or(root, "b", 9, "other", &text, NULL), CLM_E_PARSE);
    assert_int_equal(clm_json_int_or(root, "none", 0, 1, &value, NULL), CLM_OK);
    assert_int_equal(value, 5);
    assert_int_equal(clm_json_int_or(root, "i", 0, 1, &value, NULL), CLM_E_LIMIT);
    assert_int_equal(clm_json_int_or(root, "s", 0, 1, &value, NULL), CLM_E_PARSE);
    assert_int_equal(value, 5);
    assert_int_equal(clm_json_int_or(root, "i", 0, 99, &value, NULL), CLM_OK);
    assert_int_equal(value, 42);
    assert_int_equal(clm_json_bool_or(root, "n", &flag, NULL), CLM_OK);
    assert_true(flag);
    assert_int_equal(clm_json_bool_or(root, "i", &flag, NULL), CLM_E_PARSE);
    assert_int_equal(clm_json_bool_or(root, "b", &flag, NULL), CLM_OK);
    assert_false(flag);
    clm_json_free(root);
}

static void integers_are_whole_and_exact(void **state)
{
    static const struct {
        const char *text;
        enum clm_code code;
        int64_t value;
    } cases[] = {
        {"{\"i\":0}", CLM_OK, 0},
        {"{\"i\":-0}", CLM_OK, 0},
        {"{\"i\":1e3}", CLM_OK, 1000},
        {"{\"i\":1.0}", CLM_OK, 1},
        {"{\"i\":9007199254740991}", CLM_OK, CLM_JSON_INT_MAX},
        {"{\"i\":-9007199254740991}", CLM_OK, -CLM_JSON_INT_MAX},
        {"{\"i\":9007199254740992.0}", CLM_E_PARSE, 0},
        {"{\"i\":1e17}", CLM_E_PARSE, 0},
        {"{\"i\":1e300}", CLM_E_PARSE, 0},
        {"{\"i\":-1e300}", CLM_E_PARSE, 0},
        {"{\"i\":0.5}", CLM_E_PARSE, 0},
        {"{\"i\":1.0000000001}", CLM_E_PARSE, 0},
        {"{\"i\":\"1\"}", CLM_E_PARSE, 0},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_json *root = parse(cases[i].text);
        int64_t value = 0;
        enum clm_code code = clm_json_int(root, "i", INT64_MIN, INT64_MAX, &value, NULL);

        if (code != cases[i].code || value != cases[i].value) {
            fail_msg("%s: %s %lld", cases[i].text, clm_code_name(code), (long long)value);
        }
        clm_json_free(root);
    }
}

static void errors_name_the_whole_place(void **state)
{
    struct clm_json *root =
        parse("{\"a\":[],\"leases\":[{\"x\":1},{\"fence\":\"no\",\"bad\\n\":{\"y\":[[{}]]}}]}");
    const struct clm_json *lease = clm_json_next(clm_json_first(clm_json_get(root, "leases")));
    const struct clm_json *deep =
        clm_json_first(clm_json_first(clm_json_get(clm_json_get(lease, "bad\n"), "y")));
    int64_t value = 0;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_json_int(lease, "fence", 0, 9, &value, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/leases/1/fence: is not an integer");
    assert_int_equal(clm_json_int(deep, "z", 0, 9, &value, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/leases/1/bad?/y/0/0/z: missing");
    clm_json_free(root);
}

/* The members next to the error stay when upper levels do not fit any more. */
static void long_places_are_cut_in_front(void **state)
{
    char text[1024];
    char key[151];
    struct clm_json *root;
    int64_t value = 0;
    struct clm_err err = {0};

    (void)state;
    memset(key, 'k', 150);
    key[150] = '\0';
    (void)snprintf(text, sizeof(text), "{\"%s\":{\"%s\":{\"i\":\"\"}}}", key, key);
    root = parse(text);
    assert_int_equal(
        clm_json_int(clm_json_get(clm_json_get(root, key), key), "i", 0, 1, &value, &err),
        CLM_E_PARSE);
    (void)snprintf(text, sizeof(text), "/%s/i: is not an integer", key);
    assert_string_equal(err.msg, text);

    char long_key[2048];
    memset(long_key, 'k', sizeof(long_key) - 1);
    long_key[sizeof(long_key) - 1] = '\0';
    assert_int_equal(clm_json_int(root, long_key, 0, 1, &value, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "(long key): missing");
    clm_json_free(root);
}

static void unknown_members_are_named(void **state)
{
    static const char *const allowed[] = {"x", "y", NULL};
    static const char *const nothing[] = {NULL};
    struct clm_json *root = parse("{\"spec\":{\"x\":1,\"y\":2,\"X\":3}}");
    const struct clm_json *spec = clm_json_get(root, "spec");
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_json_only(spec, allowed, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "/spec/X: unknown member");
    clm_json_remove(clm_json_edit(root, "spec"), "X");
    assert_int_equal(clm_json_only(spec, allowed, &err), CLM_OK);
    assert_int_equal(clm_json_only(spec, nothing, &err), CLM_E_PARSE);
    assert_int_equal(clm_json_only(NULL, nothing, &err), CLM_OK);
    clm_json_free(root);
}

static enum clm_code parse_one(void *arg, struct clm_err *err)
{
    struct clm_json *root = NULL;
    enum clm_code code = clm_json_parse(arg, strlen(arg), CLM_JSON_TEXT_MAX, &root, err);

    clm_json_free(root);
    return code;
}

static void every_allocation_may_fail(void **state)
{
    char text[] = "{\"a\":{\"b\":\"text\",\"c\":[1,2,null]},\"d\":[{\"e\":3.5}]}";
    cJSON_Hooks hooks = {clm_torture_malloc, clm_torture_free};

    (void)state;
    cJSON_InitHooks(&hooks);
    assert_true(clm_torture(parse_one, text) > 15);
    cJSON_InitHooks(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_text_gives_no_tree),
        cmocka_unit_test(only_len_bytes_are_read),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(keys_are_case_sensitive),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(long_numbers_keep_their_value),
        cmocka_unit_test(required_members_are_typed),
        cmocka_unit_test(optional_members_keep_the_default),
        cmocka_unit_test(integers_are_whole_and_exact),
        cmocka_unit_test(errors_name_the_whole_place),
        cmocka_unit_test(long_places_are_cut_in_front),
        cmocka_unit_test(unknown_members_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
