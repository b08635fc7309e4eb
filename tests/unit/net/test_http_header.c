/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/net/http_header.h"

static enum clm_code feed(struct clm_http_response *r, const char *line, struct clm_err *err)
{
    /* an exact copy without NUL, so that a read beyond the end is seen by the sanitizer */
    size_t len = strlen(line);
    char *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    for (size_t i = 0; i < len; i++) {
        exact[i] = line[i];
    }
    enum clm_code code = clm_http_header_line(r, exact, len, err);
    free(exact);
    return code;
}

static void names_match_in_any_case_and_values_are_trimmed(void **state)
{
    struct clm_http_response r = {0};
    (void)state;
    assert_int_equal(feed(&r, "rEPLAY-nonce: \t abc \r\n", NULL), CLM_OK);
    assert_string_equal(r.replay_nonce, "abc");
    assert_int_equal(feed(&r, "ETag:\"x\"\r\n", NULL), CLM_OK);
    assert_string_equal(r.etag, "\"x\"");
    assert_int_equal(feed(&r, "Replay-Nonces: other\r\n", NULL), CLM_OK);
    assert_int_equal(feed(&r, "\r\n", NULL), CLM_OK);
    assert_int_equal(feed(&r, "", NULL), CLM_OK);
    assert_string_equal(r.replay_nonce, "abc");
}

static void the_first_of_a_repeated_header_counts(void **state)
{
    struct clm_http_response r = {0};
    (void)state;
    assert_int_equal(feed(&r, "Location: https://a/\r\n", NULL), CLM_OK);
    assert_int_equal(feed(&r, "Location: https://b/\r\n", NULL), CLM_OK);
    assert_string_equal(r.location, "https://a/");
}

static void a_status_line_forgets_what_came_before(void **state)
{
    struct clm_http_response r = {.status = 7};
    (void)state;
    assert_int_equal(feed(&r, "Location: https://a/\r\n", NULL), CLM_OK);
    assert_int_equal(feed(&r, "Retry-After: 5\r\n", NULL), CLM_OK);
    assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\n", NULL), CLM_OK);
    assert_string_equal(r.location, "");
    assert_int_equal(r.retry_after_s, 0);
    assert_int_equal(r.status, 7);
}

static void content_type_loses_parameters_and_capitals(void **state)
{
    static const struct {
        const char *line;
        const char *expected;
    } cases[] = {
        {"Content-Type: Application/JSON; charset=utf-8\r\n", "application/json"},
        {"Content-Type: text/html\r\n", "text/html"},
        {"Content-Type: application/problem+json ;x\r\n", "application/problem+json"},
        {"Content-Type: ;\r\n", ""},
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_http_response r = {0};
        assert_int_equal(feed(&r, cases[i].line, NULL), CLM_OK);
        assert_string_equal(r.content_type, cases[i].expected);
    }
}

static void link_up_is_found_among_others(void **state)
{
    static const struct {
        const char *line;
        const char *expected;
    } cases[] = {
        {"Link: <https://a/up>;rel=\"up\"\r\n", "https://a/up"},
        {"Link: <https://a/up>; title=\"x\"; rel=up\r\n", "https://a/up"},
        {"Link: <https://a/i>;rel=\"index\", <https://a/up>;rel=\"up\"\r\n", "https://a/up"},
        {"Link: <https://a/i>;rel=\"index\"\r\n", ""},
        {"Link: <https://a/i>;rel=\"upper\"\r\n", ""},
        {"Link: <https://a/i;rel=\"up\"\r\n", ""},
        {"Link: https://a/i;rel=\"up\"\r\n", ""},
        {"Link: <\r\n", ""},
        {"Link: <>;,,,;rel=up,<\r\n", ""},
        {"Link: \r\n", ""},
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_http_response r = {0};
        assert_int_equal(feed(&r, cases[i].line, NULL), CLM_OK);
        assert_string_equal(r.link_up, cases[i].expected);
    }
}

static void retry_after_is_a_number_or_a_date(void **state)
{
    const int64_t now = 1795226000; /* Sat, 21 Nov 2026 01:53:20 GMT */
    static const struct {
        const char *value;
        uint32_t expected;
    } cases[] = {
        {"17", 17},
        {"0", 0},
        {"", 0},
        {"-5", 0},
        {"soon", 0},
        {"1.5", 0},
        {"4294967295", 4294967295U},
        {"99999999999999999999", 0},
        {"Sat, 21 Nov 2026 01:54:20 GMT", 60},
        {"Sat, 21 Nov 2026 01:53:20 GMT", 0},
        {"Sat, 21 Nov 2020 01:53:20 GMT", 0},
        {"Mon, 01 Jan 2300 00:00:00 GMT", UINT32_MAX},
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_int_equal(clm_http_retry_after(cases[i].value, now), cases[i].expected);
    }
}

static void a_retry_date_is_read_by_the_peers_clock(void **state)
{
    struct clm_http_response r = {0};
    (void)state;
    assert_int_equal(feed(&r, "Date: Sat, 21 Nov 2026 01:53:20 GMT\r\n", NULL), CLM_OK);
    assert_int_equal(r.date_s, 1795226000);
    assert_int_equal(feed(&r, "Retry-After: Sat, 21 Nov 2026 01:53:30 GMT\r\n", NULL), CLM_OK);
    assert_int_equal(r.retry_after_s, 10);
    assert_int_equal(feed(&r, "Retry-After: 99\r\n", NULL), CLM_OK); /* the first one counts */
    assert_int_equal(r.retry_after_s, 10);
    assert_int_equal(feed(&r, "Date: Sat, 21 Nov 2026 02:53:20 GMT\r\n", NULL), CLM_OK);
    assert_int_equal(r.date_s, 1795226000);
}

static void a_date_that_is_none_is_no_date(void **state)
{
    struct clm_http_response r = {0};
    (void)state;
    assert_int_equal(feed(&r, "Date: yesterday\r\n", NULL), CLM_OK);
    assert_int_equal(r.date_s, 0);
}

static void next_poll_is_told_apart_from_no_header(void **state)
{
    struct clm_http_response r = {0};
    (void)state;
    assert_int_equal(feed(&r, "Clm-Next-Poll: x\r\n", NULL), CLM_OK);
    assert_false(r.has_next_poll);
    assert_int_equal(feed(&r, "Clm-Next-Poll: 0\r\n", NULL), CLM_OK);
    assert_true(r.has_next_poll);
    assert_int_equal(r.next_poll_s, 0);
}

static void values_that_do_not_fit_are_an_error_not_cut(void **state)
{
    struct clm_http_response r = {0};
    struct clm_err err = {0};
    char line[700] = "Location: ";
    (void)state;

    memset(line + 10, 'x', 512);
    assert_int_equal(feed(&r, line, &err), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "'Location'"));
    assert_string_equal(r.location, "");
    line[10 + 511] = '\0';
    assert_int_equal(feed(&r, line, &err), CLM_OK);
    assert_int_equal(strlen(r.location), 511);

    memset(line, 0, sizeof(line));
    (void)stpcpy(line, "Clm-Request-Id: ");
    memset(line + 16, 'r', 64);
    assert_int_equal(feed(&r, line, &err), CLM_E_LIMIT);

    static const char *const names[] = {"Retry-After", "Date", "Clm-Next-Poll"};
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        (void)snprintf(line, sizeof(line), "%s: %0100d", names[i], 1);
        err = (struct clm_err){0};
        assert_int_equal(feed(&r, line, &err), CLM_E_LIMIT);
        assert_non_null(strstr(err.msg, names[i]));
    }
    assert_int_equal(r.retry_after_s, 0);
}

static void control_characters_are_refused(void **state)
{
    static const char *const lines[] = {"Location: https://a/\x01", "Replay-Nonce: a\x7f",
                                        "Clm-Request-Id: \xc3\xa9", "ETag: a\rb"};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        struct clm_http_response r = {0};
        assert_int_equal(feed(&r, lines[i], NULL), CLM_E_PARSE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_match_in_any_case_and_values_are_trimmed),
        cmocka_unit_test(the_first_of_a_repeated_header_counts),
        cmocka_unit_test(a_status_line_forgets_what_came_before),
        cmocka_unit_test(content_type_loses_parameters_and_capitals),
        cmocka_unit_test(link_up_is_found_among_others),
        cmocka_unit_test(retry_after_is_a_number_or_a_date),
        cmocka_unit_test(a_retry_date_is_read_by_the_peers_clock),
        cmocka_unit_test(a_date_that_is_none_is_no_date),
        cmocka_unit_test(next_poll_is_told_apart_from_no_header),
        cmocka_unit_test(values_that_do_not_fit_are_an_error_not_cut),
        cmocka_unit_test(control_characters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
