/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/keystore/jks.h"

static const struct {
    const char *utf8;
    const char *java; /* hex of modified UTF-8 */
} pairs[] = {
    {"", ""},
    {"server", "736572766572"},
    {"stra\xc3\x9f"
     "e",
     "73747261c39f65"},
    {"\xe9\x8d\xb5", "e98db5"},
    {"\xee\x80\x80", "ee8080"},           /* U+E000, behind the surrogates */
    {"\xf0\x9f\x94\x91", "eda0bdedb491"}, /* U+1F511: two surrogates of three bytes */
    {"a\xf4\x8f\xbf\xbf"
     "b",
     "61edafbfedbfbf62"},
};

static enum clm_code decode(const char *hex, char dst[CLM_KEYSTORE_ALIAS_SIZE])
{
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    enum clm_code code;

    assert_non_null(bytes);
    assert_int_equal(clm_hex_decode(hex, bytes, len, NULL), CLM_OK);
    code = clm_jks_alias_decode(bytes, len, dst, NULL);
    free(bytes);
    return code;
}

static void text_goes_there_and_back(void **state)
{
    char text[CLM_KEYSTORE_ALIAS_SIZE];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(pairs); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1024);
        char hex[64];

        assert_int_equal(decode(pairs[i].java, text), CLM_OK);
        assert_string_equal(text, pairs[i].utf8);
        assert_int_equal(clm_jks_alias_encode(pairs[i].utf8, &out, NULL), CLM_OK);
        assert_int_equal(out.data[0], 0);
        assert_int_equal(out.data[1], out.len - 2);
        clm_hex_encode(out.data + 2, out.len - 2, hex);
        assert_string_equal(hex, pairs[i].java);
    }
}

static void what_utf8_cannot_say_is_replaced(void **state)
{
    static const struct {
        const char *java;
        const char *shown;
    } cases[] = {
        {"c080", "\xef\xbf\xbd"}, /* NUL */
        {"61eda0bd62", "a\xef\xbf\xbd"
                       "b"},        /* first half of a pair alone */
        {"edb491", "\xef\xbf\xbd"}, /* second half alone */
        {"eda0bdee8080", "\xef\xbf\xbd\xee\x80\x80"},
        {"eda0bdeda0bdedb491", "\xef\xbf\xbd\xf0\x9f\x94\x91"},
        {"00", "\xef\xbf\xbd"},
    };
    char text[CLM_KEYSTORE_ALIAS_SIZE];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_int_equal(decode(cases[i].java, text), CLM_OK);
        assert_string_equal(text, cases[i].shown);
        assert_true(clm_str_is_utf8(text, strlen(text)));
    }
}

static void malformed_text_is_refused(void **state)
{
    static const char *const cases[] = {"80",     "c3",       "c341", "e98d", "e9418d",
                                        "e98d41", "f09f9491", "ff",   "61ed"};
    char text[CLM_KEYSTORE_ALIAS_SIZE];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (decode(cases[i], text) != CLM_E_PARSE) {
            fail_msg("case %zu: %s", i, cases[i]);
        }
    }
}

static void length_has_a_limit(void **state)
{
    char hex[2 * CLM_KEYSTORE_ALIAS_SIZE + 1];
    char text[CLM_KEYSTORE_ALIAS_SIZE];

    (void)state;
    memset(hex, '6', sizeof(hex));
    hex[2 * CLM_KEYSTORE_ALIAS_SIZE - 2] = '\0';
    assert_int_equal(decode(hex, text), CLM_OK);
    assert_int_equal(strlen(text), CLM_KEYSTORE_ALIAS_SIZE - 1);
    hex[2 * CLM_KEYSTORE_ALIAS_SIZE - 2] = '6';
    hex[2 * CLM_KEYSTORE_ALIAS_SIZE] = '\0';
    assert_int_equal(decode(hex, text), CLM_E_LIMIT);
}

/* As String.toLowerCase(Locale.ENGLISH) of Java does it for what occurs in names. */
static void new_aliases_are_in_lower_case(void **state)
{
    static const char *const cases[][2] = {
        {"MyAlias-1", "myalias-1"},
        {"STRASSE \xc3\x84\xc3\x96\xc3\x9c\xc3\x9f \xc3\x97",
         "strasse \xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f \xc3\x97"},
        {"\xd0\x9a\xd0\x9b\xd0\xae\xd0\xa7 \xd0\x81", "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87 \xd1\x91"},
        {"\xce\xa9\xce\x86", "\xcf\x89\xce\xac"},
        {"\xc5\x81\xc4\x98\xc5\xbb", "\xc5\x82\xc4\x99\xc5\xbc"},
        {"\xe9\x8d\xb5", "\xe9\x8d\xb5"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1024);

        assert_int_equal(clm_jks_alias_encode(cases[i][0], &out, NULL), CLM_OK);
        assert_string_equal((const char *)out.data + 2, cases[i][1]);
    }
}

static void an_alias_must_be_text(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1024);

    (void)state;
    assert_int_equal(clm_jks_alias_encode("\xc3", &out, NULL), CLM_E_INVAL);
}

static void an_alias_has_a_limit_and_takes_its_room(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1024);
    char text[CLM_KEYSTORE_ALIAS_SIZE + 1];
    struct clm_err err = {0};

    (void)state;
    memset(text, 'x', CLM_KEYSTORE_ALIAS_SIZE);
    text[CLM_KEYSTORE_ALIAS_SIZE] = '\0';
    assert_int_equal(clm_jks_alias_encode(text, &out, &err), CLM_E_INVAL);
    assert_string_equal(err.msg, "alias is no UTF-8 of less than 512 bytes");
    assert_int_equal(out.len, 0);
    for (size_t max = 0; max < 5; max++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf small = CLM_BUF_INIT(max);

        assert_int_equal(clm_jks_alias_encode("abc", &small, NULL), CLM_E_LIMIT);
    }
    text[CLM_KEYSTORE_ALIAS_SIZE - 1] = '\0';
    assert_int_equal(clm_jks_alias_encode(text, &out, NULL), CLM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_there_and_back),
        cmocka_unit_test(what_utf8_cannot_say_is_replaced),
        cmocka_unit_test(malformed_text_is_refused),
        cmocka_unit_test(length_has_a_limit),
        cmocka_unit_test(new_aliases_are_in_lower_case),
        cmocka_unit_test(an_alias_must_be_text),
        cmocka_unit_test(an_alias_has_a_limit_and_takes_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
