/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <wchar.h>

#include "agent/base/str.h"
#include "tests/support/torture.h"

static void copy_and_format_fit_or_leave_nothing(void **state)
{
    char dst[6] = "junk";
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_str_copy(dst, sizeof(dst), "12345", &err), CLM_OK);
    assert_string_equal(dst, "12345");
    assert_int_equal(clm_str_copy(dst, sizeof(dst), "123456", &err), CLM_E_LIMIT);
    assert_string_equal(dst, "");
    assert_string_equal(err.msg, "text of 6 bytes does not fit into 6");
    assert_int_equal(clm_str_fmt(dst, sizeof(dst), &err, "%d-%s", 12, "ab"), CLM_OK);
    assert_string_equal(dst, "12-ab");
    assert_int_equal(clm_str_fmt(dst, sizeof(dst), &err, "%d-%s", 12, "abc"), CLM_E_LIMIT);
    assert_string_equal(dst, "");
}

static void numbers_are_digits_within_a_range(void **state)
{
    static const struct {
        const char *text;
        int64_t min;
        int64_t max;
        enum clm_code code;
        int64_t value;
    } cases[] = {
        {"0", 0, 9, CLM_OK, 0},
        {"9", 0, 9, CLM_OK, 9},
        {"007", 0, 9, CLM_OK, 7},
        {"10", 0, 9, CLM_E_PARSE, 0},
        {"1", 2, 9, CLM_E_PARSE, 0},
        {"", 0, 9, CLM_E_PARSE, 0},
        {"-1", -9, 9, CLM_E_PARSE, 0},
        {"+1", 0, 9, CLM_E_PARSE, 0},
        {" 1", 0, 9, CLM_E_PARSE, 0},
        {"1 ", 0, 9, CLM_E_PARSE, 0},
        {"1s", 0, 9, CLM_E_PARSE, 0},
        {"0x1", 0, 9, CLM_E_PARSE, 0},
        {"1.0", 0, 9, CLM_E_PARSE, 0},
        {"9223372036854775807", 0, INT64_MAX, CLM_OK, INT64_MAX},
        {"9223372036854775808", 0, INT64_MAX, CLM_E_PARSE, 0},
        {"18446744073709551616", 0, INT64_MAX, CLM_E_PARSE, 0},
        {"99999999999999999999999999", 0, INT64_MAX, CLM_E_PARSE, 0},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        int64_t value = -77;
        enum clm_code code =
            clm_str_to_int(cases[i].text, cases[i].min, cases[i].max, &value, NULL);

        if (code != cases[i].code || value != (code == CLM_OK ? cases[i].value : -77)) {
            fail_msg("case %zu '%s': %s %lld", i, cases[i].text, clm_code_name(code),
                     (long long)value);
        }
    }
}

static void starts_and_ends(void **state)
{
    (void)state;
    assert_true(clm_str_starts("abc", "ab"));
    assert_true(clm_str_starts("abc", ""));
    assert_false(clm_str_starts("ab", "abc"));
    assert_false(clm_str_starts("xab", "ab"));
    assert_true(clm_str_ends("a.pem", ".pem"));
    assert_true(clm_str_ends("a", ""));
    assert_false(clm_str_ends("pem", ".pem"));
    assert_false(clm_str_ends("a.pem.old", ".pem"));
}

static void glob_knows_only_the_star(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool is_match;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "a/b.c", true},
        {"a", "a", true},
        {"a", "b", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"nginx:*", "nginx:www.example.com", true},
        {"nginx:*", "apache:www.example.com", false},
        {"*.example.com", "a.b.example.com", true},
        {"*.example.com", "example.com", false},
        {"a*b*c", "axxbyybzzc", true},
        {"a*b*c", "axxbyyczz", false},
        {"**a**", "bab", true},
        {"a?c", "abc", false},
        {"a?c", "a?c", true},
        {"[ab]", "a", false},
        {"*aab", "aaaaab", true},
        {"*aab", "aaab", true},
        {"*ab", "aab", true},
        {"a\\*", "a\\x", true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (clm_str_glob(cases[i].pattern, cases[i].text) != cases[i].is_match) {
            fail_msg("case %zu '%s' '%s'", i, cases[i].pattern, cases[i].text);
        }
    }
}

/* 30 stars over 20,000 letters: ages, if every star were tried at every place. */
static void glob_is_not_exponential(void **state)
{
    static char text[20001];
    char pattern[64];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    for (size_t i = 0; i < 30; i++) {
        pattern[2 * i] = '*';
        pattern[2 * i + 1] = 'a';
    }
    memcpy(pattern + 60, "b", 2);
    assert_false(clm_str_glob(pattern, text));
}

static void printable_is_ascii_without_controls(void **state)
{
    (void)state;
    assert_true(clm_str_is_printable(""));
    assert_true(clm_str_is_printable(" ~"));
    assert_false(clm_str_is_printable("a\n"));
    assert_false(clm_str_is_printable("\x7f"));
    assert_false(clm_str_is_printable("\xc3\xa9"));
}

static void utf8_is_well_formed(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool is_good;
    } cases[] = {
        {"", 0, true},
        {"abc", 3, true},
        {"a\0b", 3, false},
        {"\xc2\x80", 2, true},
        {"\xdf\xbf", 2, true},
        {"\xe0\xa0\x80", 3, true},
        {"\xed\x9f\xbf", 3, true},
        {"\xee\x80\x80", 3, true},
        {"\xef\xbf\xbf", 3, true},
        {"\xf0\x90\x80\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"\x80", 1, false},
        {"\xbf", 1, false},
        {"\xc0\x80", 2, false},
        {"\xc1\xbf", 2, false},
        {"\xc2", 1, false},
        {"\xc2\x41", 2, false},
        {"\xe0\x80\x80", 3, false},
        {"\xe0\x9f\xbf", 3, false},
        {"\xed\xa0\x80", 3, false},
        {"\xed\xbf\xbf", 3, false},
        {"\xe2\x82", 2, false},
        {"\xe2\x82\x41", 3, false},
        {"\xf0\x80\x80\x80", 4, false},
        {"\xf0\x8f\xbf\xbf", 4, false},
        {"\xf4\x90\x80\x80", 4, false},
        {"\xf5\x80\x80\x80", 4, false},
        {"\xf0\x9f\x98", 3, false},
        {"\xf0\x9f\x98\x41", 4, false},
        {"\xff", 1, false},
        {"\xfe", 1, false},
        {"ok\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 13, true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (clm_str_is_utf8(cases[i].bytes, cases[i].len) != cases[i].is_good) {
            fail_msg("case %zu", i);
        }
    }
    assert_int_equal(clm_str_utf8_len("\xe2\x82\xac!", 4), 3);
    assert_int_equal(clm_str_utf8_len("\xe2\x82\xac!", 2), 0);
    assert_int_equal(clm_str_utf8_len("", 0), 0);
}

static void list_keeps_order_and_owns_its_strings(void **state)
{
    struct clm_strs list = {0};
    struct clm_strs copy = {0};
    char text[8] = "one";

    (void)state;
    assert_int_equal(clm_strs_add(&list, text, NULL), CLM_OK);
    memcpy(text, "two", 4);
    assert_int_equal(clm_strs_add(&list, text, NULL), CLM_OK);
    assert_int_equal(clm_strs_add_once(&list, "one", NULL), CLM_OK);
    assert_int_equal(clm_strs_add_once(&list, "three", NULL), CLM_OK);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.v[0], "one");
    assert_string_equal(list.v[1], "two");
    assert_string_equal(list.v[2], "three");
    assert_true(clm_strs_has(&list, "two"));
    assert_false(clm_strs_has(&list, "tw"));
    assert_int_equal(clm_strs_add(&copy, "old", NULL), CLM_OK);
    assert_int_equal(clm_strs_copy(&copy, &list, NULL), CLM_OK);
    clm_strs_done(&list);
    assert_int_equal(list.n, 0);
    assert_null(list.v);
    assert_int_equal(copy.n, 3);
    assert_string_equal(copy.v[2], "three");
    clm_strs_done(&copy);
}

static enum clm_code fill_lists(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs list = {0};
    CLM_CLEANUP(clm_strs_done) struct clm_strs copy = {0};
    enum clm_code code = CLM_OK;

    (void)arg;
    for (int i = 0; i < 5 && code == CLM_OK; i++) {
        code = clm_strs_add(&list, "text", err);
    }
    return code != CLM_OK ? code : clm_strs_copy(&copy, &list, err);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(clm_torture(fill_lists, NULL), 20);
}

static void characters_that_steer_a_terminal_are_known(void **state)
{
    static const struct {
        const char *text;
        bool is_steering;
    } cases[] = {
        {"x", false},
        {"\x1b", true},
        {"\x7f", true},
        {"\xc2\x80", true},
        {"\xc2\x9f", true},
        {"\xc2\xa0", false},
        {"\xc3\x80", false},
        {"\xd8\x9b", false},
        {"\xd8\x9c", true}, /* marks of a direction, Arabic, left, right */
        {"\xd8\x9d", false},
        {"\xd9\x9c", false},
        {"\xe2\x80\x8d", false},
        {"\xe2\x80\x8e", true},
        {"\xe2\x80\x8f", true},
        {"\xe2\x80\x90", false},
        {"\xe2\x80\xa7", false},
        {"\xe2\x80\xa8", true}, /* the end of a line */
        {"\xe2\x80\xae", true}, /* right to left from here */
        {"\xe2\x80\xaf", false},
        {"\xe2\x81\xa5", false},
        {"\xe2\x81\xa6", true},
        {"\xe2\x81\xa9", true},
        {"\xe2\x81\xaa", false},
        {"\xe2\x82\xac", false},
        {"\xe3\x80\xa8", false},
        {"\xf0\x9f\x98\x80", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (clm_str_is_steering(cases[i].text, strlen(cases[i].text)) != cases[i].is_steering) {
            fail_msg("case %zu", i);
        }
    }
}

static void a_place_of_no_bytes_is_left_alone(void **state)
{
    char byte = 'x';

    (void)state;
    assert_int_equal(clm_str_copy(&byte, 0, "", NULL), CLM_E_LIMIT);
    assert_int_equal(clm_str_fmt(&byte, 0, NULL, "%d", 1), CLM_E_LIMIT);
    assert_int_equal(byte, 'x');
}

/* The locale of tests is "C": it has no euro sign. */
static void a_text_that_cannot_be_formatted_is_refused(void **state)
{
    char text[8] = "old";

    (void)state;
    assert_int_equal(clm_str_fmt(text, sizeof(text), NULL, "%ls", L"\x20ac"), CLM_E_LIMIT);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_of_no_bytes_is_left_alone),
        cmocka_unit_test(a_text_that_cannot_be_formatted_is_refused),
        cmocka_unit_test(characters_that_steer_a_terminal_are_known),
        cmocka_unit_test(copy_and_format_fit_or_leave_nothing),
        cmocka_unit_test(numbers_are_digits_within_a_range),
        cmocka_unit_test(starts_and_ends),
        cmocka_unit_test(glob_knows_only_the_star),
        cmocka_unit_test(glob_is_not_exponential),
        cmocka_unit_test(printable_is_ascii_without_controls),
        cmocka_unit_test(utf8_is_well_formed),
        cmocka_unit_test(list_keeps_order_and_owns_its_strings),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
