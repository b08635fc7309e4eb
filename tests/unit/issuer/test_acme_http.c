/* SPDX-License-Identifier: Apache-2.0 */
/* Nonces, signatures and the judgement of answers, seen through account and order calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/str.h"
#include "tests/unit/issuer/script.h"

#define ACCOUNT    BASE "/acct/1"
#define JSON       .type = "application/json"
#define PROBLEM    .type = "application/problem+json"
#define ORDER_AT   .method = "POST", .url = BASE "/o/1"
#define ORDER_BODY "{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"" BASE "/f/1\"}"
#define BAD_NONCE                                                                                  \
    "{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"old nonce\",\"status\":400}"

static enum clm_code poll_once(struct script *s)
{
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    return clm_acme_order_poll(s->acme, BASE "/o/1", &order, &s->err);
}

static const char *header(const struct script *s, const char *key)
{
    const char *text = clm_json_text(clm_json_get(s->protected_header, key));
    return text != NULL ? text : "";
}

static void each_answer_brings_the_next_nonce(void **state)
{
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {ORDER_AT, .status = 200, JSON, .body = ORDER_BODY, .nonce = "n2"},
        {ORDER_AT, .status = 200, JSON, .body = ORDER_BODY},
        NONCE("n3"), /* the last answer brought none */
        {ORDER_AT, .status = 200, JSON, .body = ORDER_BODY, .nonce = "n4"},
        {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_OK);
    assert_string_equal(header(&s, "nonce"), "n1");
    assert_string_equal(header(&s, "kid"), ACCOUNT);
    assert_string_equal(header(&s, "alg"), "ES256");
    assert_null(clm_json_get(s.protected_header, "jwk"));
    assert_null(s.payload);
    assert_int_equal(poll_once(&s), CLM_OK);
    assert_string_equal(header(&s, "nonce"), "n2");
    assert_int_equal(poll_once(&s), CLM_OK);
    assert_string_equal(header(&s, "nonce"), "n3");
    script_end(&s);
}

static void bad_nonce_is_answered_with_the_fresh_one(void **state)
{
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {ORDER_AT, .status = 400, PROBLEM, .body = BAD_NONCE, .nonce = "n2"},
        {ORDER_AT, .status = 200, JSON, .body = ORDER_BODY, .nonce = "n3"},
        {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_OK);
    assert_string_equal(header(&s, "nonce"), "n2");
    assert_string_equal(clm_acme_problem(s.acme)->type, "");
    script_end(&s);
}

static void a_ca_that_refuses_every_nonce_is_given_up(void **state)
{
    struct answer answers[2 + CLM_ACME_NONCE_TRIES + 1] = {DIRECTORY, NONCE("n1")};
    const struct answer refusal = {ORDER_AT, .status = 400, PROBLEM, .body = BAD_NONCE,
                                   .nonce = "n2"};
    struct script s;
    (void)state;
    for (size_t i = 0; i < CLM_ACME_NONCE_TRIES; i++) {
        answers[2 + i] = refusal;
    }
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_E_NET);
    assert_true(clm_acme_may_retry(&s.err));
    assert_non_null(strstr(s.err.msg, "old nonce"));
    script_end(&s);
}

static void a_nonce_that_is_no_base64url_is_not_used(void **state)
{
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {ORDER_AT, .status = 200, JSON, .body = ORDER_BODY, .nonce = "\",\"x\":\""},
        NONCE("also bad"),
        {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_OK);
    assert_int_equal(poll_once(&s), CLM_E_PARSE);
    assert_non_null(strstr(s.err.msg, "nonce"));
    script_end(&s);
}

static void a_transport_error_uses_the_nonce_up(void **state)
{
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {ORDER_AT, .fails = CLM_E_TIMEOUT},
        NONCE("n2"),
        {ORDER_AT, .status = 200, JSON, .body = ORDER_BODY, .nonce = "n3"},
        {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_E_TIMEOUT);
    assert_true(clm_acme_may_retry(&s.err));
    assert_int_equal(poll_once(&s), CLM_OK);
    assert_string_equal(header(&s, "nonce"), "n2");
    script_end(&s);
}

static void a_directory_that_failed_is_fetched_again(void **state)
{
    static const char half[] =
        "{\"newAccount\":\"" BASE "/account\",\"newOrder\":\"" BASE "/order\"}";
    const struct answer answers[] = {
        {.method = "GET", .url = BASE "/dir", .fails = CLM_E_NET},
        {.method = "GET", .url = BASE "/dir", .status = 200, JSON, .body = half},
        DIRECTORY,
        NONCE("n1"),
        {ORDER_AT, .status = 200, JSON, .body = ORDER_BODY, .nonce = "n2"},
        {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_E_NET);
    assert_int_equal(poll_once(&s), CLM_E_PARSE);
    assert_non_null(strstr(s.err.msg, "directory"));
    assert_int_equal(poll_once(&s), CLM_OK);
    script_end(&s);
}

static void answers_that_are_none_of_a_ca(void **state)
{
    static const struct {
        int status;
        const char *type;
        const char *body;
        enum clm_code expected;
        bool may_retry;
        const char *says;
    } cases[] = {
        {200, "text/html", "<html>log in</html>", CLM_E_PARSE, false, "text/html"},
        {200, "", "", CLM_E_PARSE, false, "no type"},
        {200, "application/json", "{\"status\":\"pen", CLM_E_PARSE, false, "ca.example"},
        {200, "application/json", "[]", CLM_E_PARSE, false, "object"},
        {200, "application/json", "{}", CLM_E_PARSE, false, "status"},
        {200, "application/json", "{\"status\":\"great\",\"authorizations\":[]}", CLM_E_PARSE,
         false, "status"},
        {200, "application/json", "{\"status\":\"pending\",\"authorizations\":{}}", CLM_E_PARSE,
         false, "authorizations"},
        {200, "application/json", "{\"status\":\"pending\",\"authorizations\":[7]}", CLM_E_PARSE,
         false, "authorization"},
        {200, "application/json",
         "{\"status\":\"pending\",\"authorizations\":[\"http://ca.example/a\"]}", CLM_E_PARSE,
         false, "https"},
        {200, "application/json",
         "{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"file:///etc/passwd\"}",
         CLM_E_PARSE, false, "finalize"},
        {200, "application/json",
         "{\"status\":\"valid\",\"authorizations\":[],\"finalize\":\"" BASE "/f\"}", CLM_E_PARSE,
         false, "certificate"},
        {302, "text/html", "", CLM_E_REMOTE, false, "redirect"},
        {502, "text/html", "<html>bad gateway</html>", CLM_E_REMOTE, true, "502"},
        {503, "application/problem+json", "{\"type\":\"x", CLM_E_REMOTE, true, "503"},
        {429, "application/problem+json",
         "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"too many\"}",
         CLM_E_REMOTE, true, "rateLimited"},
        {403, "application/problem+json",
         "{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"no\"}", CLM_E_AUTH,
         false, "unauthorized"},
        {404, "application/problem+json",
         "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"no such order\"}",
         CLM_E_NOTFOUND, false, "no such order"},
        {404, "text/plain", "gone", CLM_E_NOTFOUND, false, "404"},
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        const struct answer answers[] = {DIRECTORY,
                                         NONCE("n1"),
                                         {ORDER_AT, .status = cases[i].status,
                                          .type = cases[i].type, .body = cases[i].body,
                                          .retry_after_s = 77},
                                         {0}};
        struct script s;
        script_start(&s, answers, ACCOUNT);
        enum clm_code code = poll_once(&s);
        if (code != cases[i].expected || strstr(s.err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s: %s", i, clm_code_name(code), s.err.msg);
        }
        assert_int_equal(s.err.code, code);
        assert_int_equal(clm_acme_may_retry(&s.err), cases[i].may_retry);
        if (cases[i].status >= 300) {
            assert_int_equal(s.err.remote_status, cases[i].status);
            assert_int_equal(s.err.retry_after_s, 77);
        }
        script_end(&s);
    }
}

static void a_body_beyond_the_limit_is_passed_up(void **state)
{
    const struct answer answers[] = {DIRECTORY, NONCE("n1"), {ORDER_AT, .fails = CLM_E_LIMIT}, {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_E_LIMIT);
    script_end(&s);
}

static void urls_that_are_too_long_are_a_limit(void **state)
{
    char body[1024];
    const struct answer answers[] = {
        DIRECTORY, NONCE("n1"), {ORDER_AT, .status = 200, JSON, .body = body}, {0}};
    struct script s;
    (void)state;
    char *end =
        stpcpy(body, "{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"https://");
    memset(end, 'a', 600);
    (void)stpcpy(end + 600, "\"}");
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(poll_once(&s), CLM_E_LIMIT);
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_brings_the_next_nonce),
        cmocka_unit_test(bad_nonce_is_answered_with_the_fresh_one),
        cmocka_unit_test(a_ca_that_refuses_every_nonce_is_given_up),
        cmocka_unit_test(a_nonce_that_is_no_base64url_is_not_used),
        cmocka_unit_test(a_transport_error_uses_the_nonce_up),
        cmocka_unit_test(a_directory_that_failed_is_fetched_again),
        cmocka_unit_test(answers_that_are_none_of_a_ca),
        cmocka_unit_test(a_body_beyond_the_limit_is_passed_up),
        cmocka_unit_test(urls_that_are_too_long_are_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
