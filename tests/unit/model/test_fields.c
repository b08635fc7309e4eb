/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/fields.h"
#include "tests/unit/model/json_text.h"

struct thing {
    char text[8];
    char exact[8];
    bool flag;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    uint64_t u64;
    int64_t i64;
    int64_t time_s;
    struct clm_strs list;
};

#define AT(member) offsetof(struct thing, member)

static const struct clm_field loose[] = {
    {"text", CLM_FIELD_TEXT, false, AT(text), 8, 0, 0},
    {"exact", CLM_FIELD_EXACT, false, AT(exact), 8, 0, 0},
    {"flag", CLM_FIELD_BOOL, false, AT(flag), 0, 0, 0},
    {"u16", CLM_FIELD_U16, false, AT(u16), 0, 0, UINT16_MAX},
    {"i32", CLM_FIELD_I32, false, AT(i32), 0, -5, 5},
    {"u32", CLM_FIELD_U32, false, AT(u32), 0, 0, UINT32_MAX},
    {"u64", CLM_FIELD_U64, false, AT(u64), 0, 0, CLM_JSON_INT_MAX},
    {"i64", CLM_FIELD_I64, false, AT(i64), 0, -CLM_JSON_INT_MAX, CLM_JSON_INT_MAX},
    {"time", CLM_FIELD_TIME, false, AT(time_s), 0, 0, 0},
    {"list", CLM_FIELD_LIST, false, AT(list), 8, 0, 0},
    {NULL, CLM_FIELD_TEXT, false, 0, 0, 0, 0},
};

static void every_kind_goes_both_ways(void **state)
{
    static const char sample[] =
        "{'text':'1234567','exact':'x','flag':true,'u16':65535,'i32':-5,'u32':4294967295,"
        "'u64':9007199254740991,'i64':-9007199254740991,'time':'2026-11-21T01:52:25Z',"
        "'list':['a','1234567']}";
    struct clm_json *in = json_read(sample);
    struct clm_json *out = clm_json_new_object();
    struct thing thing = {0};
    char *want = json_quotes(sample);
    char *text;

    (void)state;
    assert_int_equal(clm_fields_from_json(loose, in, &thing, NULL), CLM_OK);
    assert_int_equal(thing.u32, UINT32_MAX);
    assert_int_equal(thing.i32, -5);
    clm_fields_to_json(loose, &thing, out);
    text = json_print_take(out);
    assert_string_equal(text, want);
    free(text);
    free(want);
    clm_strs_done(&thing.list);
    clm_json_free(in);
}

static void missing_members_leave_what_is_there(void **state)
{
    struct clm_json *in = json_read("{'u32':null}");
    struct thing thing = {.flag = true, .u32 = 7, .u16 = 8, .time_s = 9};

    (void)state;
    assert_int_equal(clm_fields_from_json(loose, in, &thing, NULL), CLM_OK);
    assert_true(thing.flag);
    assert_int_equal(thing.u32, 7);
    assert_int_equal(thing.u16, 8);
    assert_int_equal(thing.time_s, 9);
    clm_json_free(in);
}

static void missing_required_members_are_refused_by_name(void **state)
{
    struct clm_json *in = json_read("{}");

    (void)state;
    for (size_t i = 0; loose[i].key != NULL; i++) {
        struct clm_field table[2] = {loose[i], {.key = NULL}};
        struct thing thing = {0};
        struct clm_err err = {0};

        table[0].required = true;
        assert_int_equal(clm_fields_from_json(table, in, &thing, &err), CLM_E_PARSE);
        assert_non_null(strstr(err.msg, loose[i].key));
    }
    clm_json_free(in);
}

static void bad_values_are_refused_by_name(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"{'text':'12345678'}", CLM_E_LIMIT, "text"},
        {"{'text':1}", CLM_E_PARSE, "text"},
        {"{'flag':'true'}", CLM_E_PARSE, "flag"},
        {"{'u16':65536}", CLM_E_LIMIT, "u16"},
        {"{'u16':-1}", CLM_E_LIMIT, "u16"},
        {"{'i32':6}", CLM_E_LIMIT, "i32"},
        {"{'u32':4294967296}", CLM_E_LIMIT, "u32"},
        {"{'u64':1.5}", CLM_E_PARSE, "u64"},
        {"{'i64':'1'}", CLM_E_PARSE, "i64"},
        {"{'time':'2026-11-21'}", CLM_E_PARSE, "'time'"},
        {"{'time':5}", CLM_E_PARSE, "time"},
        {"{'list':{}}", CLM_E_PARSE, "list"},
        {"{'list':[null]}", CLM_E_PARSE, "'list': element 0 is no string"},
        {"{'list':['a','12345678']}", CLM_E_LIMIT, "'list': element 1 is longer than 7 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct thing thing = {0};
        struct clm_err err = {0};

        if (clm_fields_from_json(loose, in, &thing, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        clm_strs_done(&thing.list);
        clm_json_free(in);
    }
}

static void foreign_bytes_become_question_marks_of_the_same_length(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xff", "?"},
        {"a\xc3", "a?"},
        {"\xc3(", "?("},
        {"\xe2\x82\xac\xe2\x82", "\xe2\x82\xac??"},
        {"\xf0\x9f\x94\x92\x80", "\xf0\x9f\x94\x92?"},
        {"\xc0\x80", "??"},
        {"\xed\xa0\x80", "???"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char *out = clm_text_to_utf8(rows[i].in);

        assert_non_null(out);
        assert_string_equal(out, rows[i].out);
        free(out);
    }
}

static void text_that_is_no_utf8_is_repaired_or_left_out(void **state)
{
    struct thing thing = {.text = "a\xff", .exact = "a\xff"};
    struct clm_json *out = clm_json_new_object();

    (void)state;
    assert_int_equal(clm_strs_add(&thing.list, "\xff", NULL), CLM_OK);
    clm_fields_to_json(loose, &thing, out);
    assert_string_equal(clm_json_text(clm_json_get(out, "text")), "a?");
    assert_null(clm_json_get(out, "exact"));
    assert_string_equal(clm_json_text(clm_json_first(clm_json_get(out, "list"))), "?");
    clm_strs_done(&thing.list);
    clm_json_free(out);
}

static void hashes_are_64_lower_case_digits(void **state)
{
    (void)state;
    assert_true(clm_is_sha256("aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"));
    assert_false(clm_is_sha256(""));
    assert_false(clm_is_sha256("aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba3"));
    assert_false(
        clm_is_sha256("aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba322"));
    assert_false(clm_is_sha256("Aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"));
}

static void an_array_grows_and_can_shrink_in_between(void **state)
{
    void *items = NULL;
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t *item = clm_array_grow(&items, &n, sizeof(*item));

        assert_non_null(item);
        assert_int_equal(*item, 0);
        *item = i + 1;
        if (i % 7 == 3) {
            n--;
        }
    }
    for (size_t i = 1; i < n; i++) {
        assert_true(((uint32_t *)items)[i] > ((uint32_t *)items)[i - 1]);
    }
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_goes_both_ways),
        cmocka_unit_test(missing_members_leave_what_is_there),
        cmocka_unit_test(missing_required_members_are_refused_by_name),
        cmocka_unit_test(bad_values_are_refused_by_name),
        cmocka_unit_test(foreign_bytes_become_question_marks_of_the_same_length),
        cmocka_unit_test(text_that_is_no_utf8_is_repaired_or_left_out),
        cmocka_unit_test(hashes_are_64_lower_case_digits),
        cmocka_unit_test(an_array_grows_and_can_shrink_in_between),
    };

    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
