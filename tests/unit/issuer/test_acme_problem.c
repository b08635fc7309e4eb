/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/issuer/acme_internal.h"

static void read_text(const char *text, struct clm_issuer_problem *out)
{
    struct clm_json *obj = NULL;
    assert_int_equal(clm_json_parse(text, strlen(text), 65536, &obj, NULL), CLM_OK);
    clm_acme_read_problem(obj, out);
    clm_json_free(obj);
}

static void every_status_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < CLM_ISSUER__COUNT; i++) {
        assert_non_null(clm_issuer_status_name((enum clm_issuer_status)i));
        assert_string_not_equal(clm_issuer_status_name((enum clm_issuer_status)i), "unknown");
    }
    assert_string_equal(clm_issuer_status_name(CLM_ISSUER__COUNT), "unknown");
}

static void fields_are_read_and_the_first_subproblem_named(void **state)
{
    struct clm_issuer_problem p;
    (void)state;
    read_text("{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"status\":403,"
              "\"detail\":\"some names\",\"subproblems\":[{\"type\":\"x\",\"detail\":\"on a list\","
              "\"identifier\":{\"type\":\"dns\",\"value\":\"bad.example\"}}]}",
              &p);
    assert_true(clm_acme_problem_is(&p, "rejectedIdentifier"));
    assert_false(clm_acme_problem_is(&p, "rejected"));
    assert_string_equal(p.detail, "some names; bad.example: on a list");
    assert_int_equal(p.http_status, 403);
}

static void missing_and_wrong_members_do_no_harm(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"type\":7,\"detail\":[],\"status\":\"x\",\"subproblems\":7}",
        "{\"subproblems\":[7]}",
        "{\"detail\":null,\"subproblems\":[]}",
        "\"text\"",
        "[]"};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(texts); i++) {
        struct clm_issuer_problem p;
        read_text(texts[i], &p);
        assert_string_equal(p.type, "about:blank");
        assert_string_equal(p.detail, "");
        assert_int_equal(p.http_status, 0);
    }
}

static void foreign_text_is_one_line_and_cut_off(void **state)
{
    static const char *const starts[] = {"a\\nb\\u001b[31m", "a\\nb\\u007f[31mx"};
    (void)state;
    for (size_t k = 0; k < CLM_ARRAY_LEN(starts); k++) { /* the cut tears a character once */
        struct clm_issuer_problem p;
        char text[2048] = "{\"detail\":\"";
        char *end = stpcpy(text + strlen(text), starts[k]);
        for (int i = 0; i < 500; i++) { /* two bytes each */
            end = stpcpy(end, "\xc3\xa4");
        }
        (void)stpcpy(end, "\"}");
        read_text(text, &p);
        assert_memory_equal(p.detail, "a b [31m", 8);
        assert_true(strlen(p.detail) < sizeof(p.detail));
        assert_true(clm_str_is_utf8(p.detail, strlen(p.detail)));
        assert_string_equal(p.detail + strlen(p.detail) - 3, "...");
    }
}

static void types_mean_codes(void **state)
{
    static const struct {
        const char *name;
        enum clm_code expected;
        const char *says;
    } cases[] = {
        {"caa", CLM_E_CONFIG, "CAA records"},
        {"rateLimited", CLM_E_REMOTE, "why"},
        {"rejectedIdentifier", CLM_E_INVAL, "does not issue"},
        {"externalAccountRequired", CLM_E_CONFIG, "HMAC"},
        {"orderNotReady", CLM_E_CONFLICT, "why"},
        {"alreadyRevoked", CLM_E_EXISTS, "why"},
        {"somethingNew", CLM_E_REMOTE, "somethingNew"},
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_acme acme = {.host = "ca.example", .problem = {.detail = "why"}};
        struct clm_err err = {0};
        (void)stpcpy(stpcpy(acme.problem.type, "urn:ietf:params:acme:error:"), cases[i].name);
        acme.problem.http_status = 418;
        assert_int_equal(clm_acme_fail(&acme, 9, &err), cases[i].expected);
        assert_int_equal(err.code, cases[i].expected);
        assert_int_equal(err.remote_status, 418);
        assert_int_equal(err.retry_after_s, 9);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_non_null(strstr(err.msg, "ca.example"));
        assert_int_equal(clm_acme_fail(&acme, 9, NULL), cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(fields_are_read_and_the_first_subproblem_named),
        cmocka_unit_test(missing_and_wrong_members_do_no_harm),
        cmocka_unit_test(foreign_text_is_one_line_and_cut_off),
        cmocka_unit_test(types_mean_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
