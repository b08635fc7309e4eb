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

#include "agent/base/json_check.h"
#include "agent/base/str.h"
#include "tests/support/torture.h"

#define T(text) text, sizeof(text) - 1

/* In the manner of nst/JSONTestSuite: what every reader accepts. */
static const struct {
    const char *text;
    size_t len;
} good[] = {
    {T("[[]   ]")},
    {T("[\"\"]")},
    {T("[]")},
    {T("[\"a\"]")},
    {T("[false]")},
    {T("[null, 1, \"1\", {}]")},
    {T("[null]")},
    {T("[1\n]")},
    {T(" [1]")},
    {T("[1,null,null,null,2]")},
    {T("[2] ")},
    {T("[123e65]")},
    {T("[0e+1]")},
    {T("[0e1]")},
    {T("[ 4]")},
    {T("[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]\n")},
    {T("[20e1]")},
    {T("[-0]")},
    {T("[-123]")},
    {T("[-1]")},
    {T("[1E22]")},
    {T("[1E-2]")},
    {T("[1E+2]")},
    {T("[123e45]")},
    {T("[123.456e78]")},
    {T("[1e-2]")},
    {T("[1e+2]")},
    {T("[123]")},
    {T("[123.456789]")},
    {T("[0]")},
    {T("[0.5]")},
    {T("[-0.0]")},
    {T("[0.0e-999999999999999999999]")},
    {T("[0e999]")},
    {T("[1e-400]")},
    {T("[9.99e307]")},
    {T("[99999e303]")},
    {T("[0.00001e312]")},
    {T("[9007199254740991]")},
    {T("[-9007199254740991]")},
    {T("[9007199254740993.0]")},
    {T("{\"asd\":\"sdf\", \"dfg\":\"fgh\"}")},
    {T("{\"asd\":\"sdf\"}")},
    {T("{}")},
    {T("{\"\":0}")},
    {T("{ \"min\": -1.0e+28, \"max\": 1.0e+28 }")},
    {T("{\"a\":[]}")},
    {T("{\"title\":\"\\u041f\\u043e\\u043b\"}")},
    {T("{\n\"a\": \"b\"\n}")},
    {T("{\"a\":1,\"A\":2}")},
    {T("{\"a\":{\"a\":{\"a\":1}}}")},
    {T("[{\"a\":1},{\"a\":1}]")},
    {T("{\"ab\":1,\"a\":2,\"abc\":3,\"\":4,\"b\":5}")},
    {T("[\"\\u0060\\u012a\\u12AB\"]")},
    {T("[\"\\uD801\\udc37\"]")},
    {T("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]")},
    {T("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]")},
    {T("[\"\\\\u0000\"]")},
    {T("[\"\\\"\"]")},
    {T("[\"a/*b*/c/*d//e\"]")},
    {T("[\"\\\\a\"]")},
    {T("[\"\\\\n\"]")},
    {T("[\"\\u0012\"]")},
    {T("[\"\\uFFFF\"]")},
    {T("[ \"asd\"]")},
    {T("[\"\\uDBFF\\uDFFF\"]")},
    {T("[\"new\\u00A0line\"]")},
    {T("[\"\xf4\x8f\xbf\xbf\"]")},
    {T("[\"\xef\xbf\xbf\"]")},
    {T("[\"\\u002c\"]")},
    {T("[\"\xcf\x80\"]")},
    {T("[\"\xf0\x9b\xbf\xbf\"]")},
    {T("\" \"")},
    {T("[\"\xe2\x80\xa8\"]")},
    {T("[\"\xe2\x80\xa9\"]")},
    {T("[\"\\u0821\"]")},
    {T("[\"\\uA66D\"]")},
    {T("[\"\\u0022\"]")},
    {T("[\"\\u005C\"]")},
    {T("[\"\x7f\"]")},
    {T("[\"\xe2\x8d\x82\xe3\x88\xb4\xe2\x8d\x82\"]")},
    {T("false")},
    {T("42")},
    {T("-0.1")},
    {T("null")},
    {T("\"asd\"")},
    {T("true")},
    {T("\"\"")},
    {T("[\"a\"]\n")},
    {T("[true]")},
    {T(" [] ")},
    {T("\t\r\n {} \t\r\n")},
    {T("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]")},
    {T("[{\"a\":[{\"a\":[{\"a\":[{\"a\":[{\"a\":[{\"a\":[{\"a\":[{\"a\":1}]}]}]}]}]}]}]}]")},
};

/* What some readers accept, or nobody should, with the place of the complaint. */
static const struct {
    const char *text;
    size_t len;
    const char *why;
} bad[] = {
    {T(""), "line 1 column 1: unexpected end"},
    {T(" "), "line 1 column 2: unexpected end"},
    {T("[1 true]"), "line 1 column 4: expected ',' or ']'"},
    {T("[a\xe5]"), "line 1 column 2: unexpected character"},
    {T("[\"\": 1]"), "line 1 column 4: expected ',' or ']'"},
    {T("[\"\"],"), "line 1 column 5: unexpected text behind the value"},
    {T("[,1]"), "line 1 column 2: unexpected character"},
    {T("[1,,2]"), "line 1 column 4: unexpected character"},
    {T("[\"x\",,]"), "line 1 column 6: unexpected character"},
    {T("[\"x\"]]"), "line 1 column 6: unexpected text behind the value"},
    {T("[\"\",]"), "line 1 column 5: unexpected character"},
    {T("[\"x\""), "line 1 column 5: unexpected end"},
    {T("[x"), "line 1 column 2: unexpected character"},
    {T("[3[4]]"), "line 1 column 3: expected ',' or ']'"},
    {T("[\xff]"), "line 1 column 2: unexpected character"},
    {T("[1:2]"), "line 1 column 3: expected ',' or ']'"},
    {T("[,]"), "line 1 column 2: unexpected character"},
    {T("[-]"), "line 1 column 3: unexpected character"},
    {T("[   , \"\"]"), "line 1 column 5: unexpected character"},
    {T("[\"a\",\n4\n,1,"), "line 3 column 4: unexpected end"},
    {T("[1,\n1\n,1"), "line 3 column 3: unexpected end"},
    {T("[1,]"), "line 1 column 4: unexpected character"},
    {T("[\"\va\"\\f]"), "line 1 column 3: control character in a string"},
    {T("[*]"), "line 1 column 2: unexpected character"},
    {T("[\"\""), "line 1 column 4: unexpected end"},
    {T("[1,"), "line 1 column 4: unexpected end"},
    {T("[{}"), "line 1 column 4: unexpected end"},
    {T("[fals]"), "line 1 column 2: unexpected character"},
    {T("[nul]"), "line 1 column 2: unexpected character"},
    {T("[tru]"), "line 1 column 2: unexpected character"},
    {T("[True]"), "line 1 column 2: unexpected character"},
    {T("[NULL]"), "line 1 column 2: unexpected character"},
    {T("truee"), "line 1 column 5: unexpected text behind the value"},
    {T("123\0"), "line 1 column 4: unexpected text behind the value"},
    {T("[++1234]"), "line 1 column 2: unexpected character"},
    {T("[+1]"), "line 1 column 2: unexpected character"},
    {T("[+Inf]"), "line 1 column 2: unexpected character"},
    {T("[-01]"), "line 1 column 3: leading zero in a number"},
    {T("[-1.0.]"), "line 1 column 6: expected ',' or ']'"},
    {T("[-2.]"), "line 1 column 5: no digit behind the decimal point"},
    {T("[-NaN]"), "line 1 column 3: unexpected character"},
    {T("[.-1]"), "line 1 column 2: unexpected character"},
    {T("[.2e-3]"), "line 1 column 2: unexpected character"},
    {T("[0.1.2]"), "line 1 column 5: expected ',' or ']'"},
    {T("[0.3e+]"), "line 1 column 7: no digit in the exponent"},
    {T("[0.3e]"), "line 1 column 6: no digit in the exponent"},
    {T("[0.e1]"), "line 1 column 4: no digit behind the decimal point"},
    {T("[0E+]"), "line 1 column 5: no digit in the exponent"},
    {T("[0E]"), "line 1 column 4: no digit in the exponent"},
    {T("[0e+-1]"), "line 1 column 5: no digit in the exponent"},
    {T("[1 000.0]"), "line 1 column 4: expected ',' or ']'"},
    {T("[1eE2]"), "line 1 column 4: no digit in the exponent"},
    {T("[2.e+3]"), "line 1 column 4: no digit behind the decimal point"},
    {T("[Inf]"), "line 1 column 2: unexpected character"},
    {T("[NaN]"), "line 1 column 2: unexpected character"},
    {T("[\xef\xbc\x91]"), "line 1 column 2: unexpected character"},
    {T("[1+2]"), "line 1 column 3: expected ',' or ']'"},
    {T("[0x1]"), "line 1 column 3: expected ',' or ']'"},
    {T("[012]"), "line 1 column 2: leading zero in a number"},
    {T("[00]"), "line 1 column 2: leading zero in a number"},
    {T("[00.0]"), "line 1 column 2: leading zero in a number"},
    {T("[-]"), "line 1 column 3: unexpected character"},
    {T("-"), "line 1 column 2: unexpected end"},
    {T("1."), "line 1 column 3: unexpected end"},
    {T("1e"), "line 1 column 3: unexpected end"},
    {T("[1e400]"), "line 1 column 2: number is too large"},
    {T("[-1e400]"), "line 1 column 2: number is too large"},
    {T("[1e308]"), "line 1 column 2: number is too large"},
    {T("[0.0001e312]"), "line 1 column 2: number is too large"},
    {T("[1e99999999999999999999999999]"), "line 1 column 2: number is too large"},
    {T("[9007199254740992]"), "line 1 column 2: integer is beyond 9007199254740991"},
    {T("[-9007199254740992]"), "line 1 column 2: integer is beyond 9007199254740991"},
    {T("[99999999999999999999999]"), "line 1 column 2: integer is beyond 9007199254740991"},
    {T("[-123.123foo]"), "line 1 column 10: expected ',' or ']'"},
    {T("{\"x\"::\"b\"}"), "line 1 column 6: unexpected character"},
    {T("{\"x\", null}"), "line 1 column 5: expected ':'"},
    {T("[\"a\": 1]"), "line 1 column 5: expected ',' or ']'"},
    {T("{[: \"x\"}\n"), "line 1 column 2: expected a key in quotes"},
    {T("{\"a\":1,,}"), "line 1 column 8: expected a key in quotes"},
    {T("{\"a\" b}"), "line 1 column 6: expected ':'"},
    {T("{:\"b\"}"), "line 1 column 2: expected a key in quotes"},
    {T("{\"a\":"), "line 1 column 6: unexpected end"},
    {T("{\"a\""), "line 1 column 5: unexpected end"},
    {T("{\"a"), "line 1 column 4: unexpected end"},
    {T("{1:1}"), "line 1 column 2: expected a key in quotes"},
    {T("{null:null,null:null}"), "line 1 column 2: expected a key in quotes"},
    {T("{\"id\":0,}"), "line 1 column 9: expected a key in quotes"},
    {T("{'a':0}"), "line 1 column 2: expected a key in quotes"},
    {T("{\"a\":\"b\"}/**/"), "line 1 column 10: unexpected text behind the value"},
    {T("{\"a\":\"b\"}#"), "line 1 column 10: unexpected text behind the value"},
    {T("{a: \"b\"}"), "line 1 column 2: expected a key in quotes"},
    {T("{\"a\":\"a\" 123}"), "line 1 column 10: expected ',' or '}'"},
    {T("{\"a\":1]"), "line 1 column 7: expected ',' or '}'"},
    {T("{\"a\":1,\"a\":1}"), "line 1 column 8: duplicate key"},
    {T("{\"a\":1,\"b\":2,\n \"\\u0061\":3}"), "line 2 column 2: duplicate key"},
    {T("{\"\":1,\"\":2}"), "line 1 column 7: duplicate key"},
    {T("[{\"x\":{\"k\":1,\"l\":2,\"k\":3}}]"), "line 1 column 20: duplicate key"},
    {T("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), "line 1 column 19: duplicate key"},
    {T("{\"a\":{\"a\":1},\"a\":2}"), "line 1 column 14: duplicate key"},
    {T("[\"\\u0000\"]"), "line 1 column 3: '\\u0000' is not allowed"},
    {T("{\"a\\u0000b\":1}"), "line 1 column 4: '\\u0000' is not allowed"},
    {T("[\"a\0b\"]"), "line 1 column 4: control character in a string"},
    {T("[\"\n\"]"), "line 1 column 3: control character in a string"},
    {T("[\"\t\"]"), "line 1 column 3: control character in a string"},
    {T("[\"\x1f\"]"), "line 1 column 3: control character in a string"},
    {T("[\"\\uD800\"]"), "line 1 column 3: lone surrogate"},
    {T("[\"\\uDC00\"]"), "line 1 column 3: lone surrogate"},
    {T("[\"\\uD800\\n\"]"), "line 1 column 3: lone surrogate"},
    {T("[\"\\uD800\\uD800\"]"), "line 1 column 3: lone surrogate"},
    {T("[\"\\uD800\\u0041\"]"), "line 1 column 3: lone surrogate"},
    {T("[\"\\uDC00\\uD800\"]"), "line 1 column 3: lone surrogate"},
    {T("[\"\\uD800\\u\"]"), "line 1 column 3: lone surrogate"},
    {T("[\"\\uD800\\"), "line 1 column 3: lone surrogate"},
    {T("[\"\\u00A\"]"), "line 1 column 3: '\\u' is not followed by four hexadecimal digits"},
    {T("[\"\\u12"), "line 1 column 3: '\\u' is not followed by four hexadecimal digits"},
    {T("[\"\\uqqqq\"]"), "line 1 column 3: '\\u' is not followed by four hexadecimal digits"},
    {T("[\"\\u\"]"), "line 1 column 3: '\\u' is not followed by four hexadecimal digits"},
    {T("[\"\\x00\"]"), "line 1 column 4: unknown escape in a string"},
    {T("[\"\\a\"]"), "line 1 column 4: unknown escape in a string"},
    {T("[\"\\'\"]"), "line 1 column 4: unknown escape in a string"},
    {T("[\"\\\0\"]"), "line 1 column 4: unknown escape in a string"},
    {T("[\"\\U0041\"]"), "line 1 column 4: unknown escape in a string"},
    {T("[\"\\"), "line 1 column 4: unexpected end"},
    {T("\""), "line 1 column 2: unexpected end"},
    {T("[\"\x80\"]"), "line 1 column 3: not UTF-8"},
    {T("[\"\xc0\xaf\"]"), "line 1 column 3: not UTF-8"},
    {T("[\"\xe0\xff\"]"), "line 1 column 3: not UTF-8"},
    {T("[\"\xed\xa0\x80\"]"), "line 1 column 3: not UTF-8"},
    {T("[\"\xf4\xbf\xbf\xbf\"]"), "line 1 column 3: not UTF-8"},
    {T("[\"\xfc\x80\x80\x80\x80\x80\"]"), "line 1 column 3: not UTF-8"},
    {T("[\"caf\xe9\"]"), "line 1 column 6: not UTF-8"},
    {T("[\"\xe2\x82"), "line 1 column 3: not UTF-8"},
    {T("\xef\xbb\xbf{}"), "line 1 column 1: byte order mark"},
    {T("\xef\xbb\xbf"), "line 1 column 1: byte order mark"},
    {T("\xef\xbb{}"), "line 1 column 1: unexpected character"},
    {T("\xff\xfe[\0]\0"), "line 1 column 1: unexpected character"},
    {T("[\xc2\xa0]"), "line 1 column 2: unexpected character"},
    {T("[\f]"), "line 1 column 2: unexpected character"},
    {T("[\xe2\x81\xa0]"), "line 1 column 2: unexpected character"},
    {T("\0"), "line 1 column 1: unexpected character"},
    {T("[1]x"), "line 1 column 4: unexpected text behind the value"},
    {T("[][]"), "line 1 column 3: unexpected text behind the value"},
    {T("{}}"), "line 1 column 3: unexpected text behind the value"},
    {T("1]"), "line 1 column 2: unexpected text behind the value"},
    {T("]"), "line 1 column 1: unexpected character"},
    {T("}"), "line 1 column 1: unexpected character"},
    {T("<.>"), "line 1 column 1: unexpected character"},
    {T("'a'"), "line 1 column 1: unexpected character"},
    {T("[1}"), "line 1 column 3: expected ',' or ']'"},
    {T("/* c */ 1"), "line 1 column 1: unexpected character"},
    {T("{\"a\":true]"), "line 1 column 10: expected ',' or '}'"},
    {T("[\n\n\n  #]"), "line 4 column 3: unexpected character"},
};

static void good_text_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(good); i++) {
        struct clm_err err = {0};

        if (clm_json_check(good[i].text, good[i].len, &err) != CLM_OK) {
            fail_msg("case %zu %s: %s", i, good[i].text, err.msg);
        }
        assert_string_equal(err.msg, "");
    }
}

static void bad_text_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        struct clm_err err = {0};
        enum clm_code code = clm_json_check(bad[i].text, bad[i].len, &err);

        if (code != CLM_E_PARSE || strcmp(err.msg, bad[i].why) != 0) {
            fail_msg("case %zu %s: %s: '%s', expected '%s'", i, bad[i].text, clm_code_name(code),
                     err.msg, bad[i].why);
        }
    }
}

/* Every proper prefix of a document is refused, and no byte behind it is read (under ASan). */
static void cut_off_text_is_refused(void **state)
{
    static const char text[] = "{\"a\\u00e9\\ud83d\\ude00\":[-1.5e+3,true,false,null,{}],"
                               "\"b\xc3\xa9\":\"\\n\xe2\x82\xac\"}";

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *copy = malloc(len + 1); /* len 0 must not be malloc(0) */

        assert_non_null(copy);
        memcpy(copy + 1, text, len);
        if (clm_json_check(copy + 1, len, NULL) != CLM_E_PARSE) {
            fail_msg("accepted the first %zu bytes", len);
        }
        free(copy);
    }
    assert_int_equal(clm_json_check(text, sizeof(text) - 1, NULL), CLM_OK);
}

/* Any byte put in place of any other may be good or bad, but is decided. */
static void one_changed_byte_is_decided(void **state)
{
    static const char text[] = "{\"k\\u0041\":[-1.5e+3,\"\xe2\x82\xac\\t\"],\"l\":null}";

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            char copy[sizeof(text) - 1];
            struct clm_err err = {0};
            enum clm_code code;

            memcpy(copy, text, sizeof(copy));
            copy[i] = (char)byte;
            code = clm_json_check(copy, sizeof(copy), &err);
            assert_true(code == CLM_OK || (code == CLM_E_PARSE && err.msg[0] == 'l'));
            assert_true(code != CLM_OK || clm_str_is_utf8(copy, sizeof(copy)));
        }
    }
}

static void depth_ends_at_sixteen(void **state)
{
    char text[80];
    struct clm_err err = {0};

    (void)state;
    memset(text, '[', 17);
    memset(text + 17, ']', 17);
    assert_int_equal(clm_json_check(text + 1, 32, &err), CLM_OK);
    assert_int_equal(clm_json_check(text, 34, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "line 1 column 17: nested too deeply");
    memset(text, '[', sizeof(text));
    assert_int_equal(clm_json_check(text, sizeof(text), &err), CLM_E_LIMIT);
    /* Closed ones do not count. */
    assert_int_equal(
        clm_json_check(T("[[[]],[[]],{\"a\":[{}]},[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), &err), CLM_OK);
}

static void add(struct clm_buf *buf, const char *text)
{
    assert_int_equal(clm_buf_add_str(buf, text, NULL), CLM_OK);
}

static void members_and_elements_are_counted(void **state)
{
    struct clm_buf object = CLM_BUF_INIT(100000);
    struct clm_buf array = CLM_BUF_INIT(100000);
    struct clm_err err = {0};

    (void)state;
    add(&object, "{");
    for (int i = 0; i < CLM_JSON_MEMBERS_MAX; i++) {
        assert_int_equal(clm_buf_addf(&object, NULL, "%s\"%d\":0", i > 0 ? "," : "", i), CLM_OK);
    }
    add(&array, "[0");
    for (int i = 1; i < CLM_JSON_ELEMENTS_MAX; i++) {
        add(&array, ",0");
    }
    add(&object, "}");
    add(&array, "]");
    assert_int_equal(clm_json_check(clm_buf_str(&object), object.len, &err), CLM_OK);
    assert_int_equal(clm_json_check(clm_buf_str(&array), array.len, &err), CLM_OK);
    object.len--;
    array.len--;
    add(&object, ",\"x\":0}");
    add(&array, ",0]");
    assert_int_equal(clm_json_check(clm_buf_str(&object), object.len, &err), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "more than 1000 members"));
    assert_int_equal(clm_json_check(clm_buf_str(&array), array.len, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "line 1 column 20002: more than 10000 elements");
    clm_buf_done(&object);
    clm_buf_done(&array);
}

/* The duplicate may stand anywhere among many keys. */
static void one_duplicate_among_many_is_found(void **state)
{
    (void)state;
    for (int twin = 0; twin < 300; twin += 7) {
        struct clm_buf buf = CLM_BUF_INIT(100000);
        struct clm_err err = {0};

        add(&buf, "{");
        for (int i = 0; i < 300; i++) {
            assert_int_equal(clm_buf_addf(&buf, NULL, "\"key%d\":[],", i * 7919 % 300), CLM_OK);
        }
        assert_int_equal(clm_buf_addf(&buf, NULL, "\"key%d\":1}", twin), CLM_OK);
        assert_int_equal(clm_json_check(clm_buf_str(&buf), buf.len, &err), CLM_E_PARSE);
        assert_non_null(strstr(err.msg, "duplicate key"));
        buf.len -= strlen("1}");
        while (buf.data[buf.len - 1] != ',') {
            buf.len--;
        }
        buf.len--;
        add(&buf, "}");
        assert_int_equal(clm_json_check(clm_buf_str(&buf), buf.len, &err), CLM_OK);
        clm_buf_done(&buf);
    }
}

/* Keys that share a long start are the worst case of sorting: 4 MiB must still take no time. */
static void many_long_keys_take_no_time(void **state)
{
    struct clm_buf buf = CLM_BUF_INIT(8u << 20);
    char stem[400];
    clock_t start;

    (void)state;
    memset(stem, 'k', sizeof(stem) - 1);
    stem[sizeof(stem) - 1] = '\0';
    add(&buf, "[");
    for (int o = 0; o < 10; o++) {
        add(&buf, o > 0 ? ",{" : "{");
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(clm_buf_addf(&buf, NULL, "%s\"%s%d\":0", i > 0 ? "," : "", stem, i),
                             CLM_OK);
        }
        add(&buf, "}");
    }
    add(&buf, "]");
    start = clock(); /* of this process: others may keep it waiting */
    assert_int_equal(clm_json_check(clm_buf_str(&buf), buf.len, NULL), CLM_OK);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 3);
    clm_buf_done(&buf);
}

static enum clm_code check_one(void *arg, struct clm_err *err)
{
    return clm_json_check(arg, strlen(arg), err);
}

static void every_allocation_may_fail(void **state)
{
    char text[] = "{\"a\":{\"b\":1,\"c\":2},\"d\":[{\"e\":3}]}";

    (void)state;
    assert_int_equal(clm_torture(check_one, text), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text_is_accepted),
        cmocka_unit_test(bad_text_is_refused_with_its_place),
        cmocka_unit_test(cut_off_text_is_refused),
        cmocka_unit_test(one_changed_byte_is_decided),
        cmocka_unit_test(depth_ends_at_sixteen),
        cmocka_unit_test(members_and_elements_are_counted),
        cmocka_unit_test(one_duplicate_among_many_is_found),
        cmocka_unit_test(many_long_keys_take_no_time),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("json_check", tests, NULL, NULL);
}
