/* SPDX-License-Identifier: Apache-2.0 */
/* A whole issuance while memory is short, and a CA that leaves things out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/torture.h"
#include "tests/unit/issuer/script.h"

#define ORDER(status, more)                                                                        \
    "{\"status\":\"" status "\",\"authorizations\":[\"" BASE "/a/1\"],\"finalize\":\"" BASE        \
    "/f/1\"" more "}"
#define META ",\"meta\":{\"termsOfService\":\"https://ca.example/terms\"}}"

/* A CA that says always the same. */
static const struct {
    const char *url;
    int status;
    const char *type;
    const char *location;
    const char *body;
} pages[] = {
    {BASE "/dir", 200, "application/json", "",
     "{\"newNonce\":\"" BASE "/nonce\",\"newAccount\":\"" BASE "/account\",\"newOrder\":\"" BASE
     "/order\",\"revokeCert\":\"" BASE "/revoke\"" META},
    {BASE "/nonce", 200, "", "", ""},
    {BASE "/account", 201, "application/json", BASE "/acct/1", "{\"status\":\"valid\"}"},
    {BASE "/order", 201, "application/json", BASE "/o/1", ORDER("pending", "")},
    {BASE "/o/1", 200, "application/json", "", ORDER("ready", "")},
    {BASE "/a/1", 200, "application/json", "",
     "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},"
     "\"challenges\":[{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"" BASE
     "/h/1\",\"token\":\"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA\"}]}"},
    {BASE "/h/1", 200, "application/json", "", "{}"},
    {BASE "/f/1", 200, "application/json", "", ORDER("valid", ",\"certificate\":\"" BASE "/c/1\"")},
    {BASE "/c/1", 200, "application/pem-certificate-chain", "",
     "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
    {BASE "/revoke", 200, "", "", ""},
};

struct ca {
    struct clm_rng *rng;
    struct clm_key *key;
    struct clm_strs contact;
    struct clm_names names;
};

static enum clm_code answer(void *ctx, const struct clm_http_request *request,
                            struct clm_http_response *out, struct clm_err *err)
{
    (void)ctx;
    *out = (struct clm_http_response){.body = CLM_BUF_INIT(CLM_ACME_BODY_MAX)};
    for (size_t i = 0; i < CLM_ARRAY_LEN(pages); i++) {
        if (strcmp(pages[i].url, request->url) == 0) {
            out->status = pages[i].status;
            (void)snprintf(out->content_type, sizeof(out->content_type), "%s", pages[i].type);
            (void)snprintf(out->location, sizeof(out->location), "%s", pages[i].location);
            (void)snprintf(out->replay_nonce, sizeof(out->replay_nonce), "n");
            return clm_buf_add_str(&out->body, pages[i].body, err);
        }
    }
    return clm_err_set(err, CLM_E_BUG, "unexpected request: %s", request->url);
}

static enum clm_code open_account(const struct ca *ca, const struct clm_io *io,
                                  struct clm_acme **out, struct clm_err *err)
{
    const struct clm_acme_opts opts = {.io = io,
                                       .rng = ca->rng,
                                       .key = ca->key,
                                       .directory_url = BASE "/dir",
                                       .ca_pem = "anchors"};
    const struct clm_acme_account account = {.contact = &ca->contact,
                                             .agree_terms = true,
                                             .eab_kid = "kid-1",
                                             .eab_hmac = "c2VjcmV0LXNlY3JldA"};
    CLM_CLEANUP(clm_acme_free_p) struct clm_acme *acme = NULL;
    enum clm_code code = clm_acme_new(&opts, &acme, err);

    if (code == CLM_OK) {
        code = clm_acme_account(acme, &account, err);
    }
    if (code == CLM_OK) {
        *out = CLM_STEAL(acme);
    }
    return code;
}

static enum clm_code prove(struct clm_acme *acme, const struct ca *ca, struct clm_order *order,
                           struct clm_err *err)
{
    struct clm_challenge challenge;
    enum clm_code code = clm_acme_order_new(acme, &ca->names, order, err);

    if (code == CLM_OK) {
        code = clm_acme_challenge_http01(acme, order->authz.v[0], &challenge, err);
    }
    if (code == CLM_OK) {
        code = clm_acme_challenge_ready(acme, challenge.url, err);
    }
    clm_order_done(order);
    return code == CLM_OK ? clm_acme_order_poll(acme, BASE "/o/1", order, err) : code;
}

static enum clm_code issue(void *arg, struct clm_err *err)
{
    const struct ca *ca = arg;
    const struct clm_io io = {.http = answer};
    CLM_CLEANUP(clm_acme_free_p) struct clm_acme *acme = NULL;
    CLM_CLEANUP(clm_order_done) struct clm_order order = {.retry_after_s = 0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    enum clm_code code = open_account(ca, &io, &acme, err);

    if (code == CLM_OK) {
        code = prove(acme, ca, &order, err);
    }
    if (code == CLM_OK) {
        code = clm_acme_finalize(acme, &order, (const uint8_t *)"csr", 3, err);
    }
    if (code == CLM_OK) {
        code = clm_acme_certificate(acme, &order, &pem, err);
    }
    return code == CLM_OK ? clm_acme_revoke(acme, (const uint8_t *)"cert", 4, 1, err) : code;
}

static int set_up(void **state)
{
    static struct ca ca;

    if (clm_rng_new(&ca.rng, NULL) != CLM_OK ||
        clm_key_generate(ca.rng, CLM_KEY_EC_P256, &ca.key, NULL) != CLM_OK ||
        clm_strs_add(&ca.contact, "mailto:ops@example.com", NULL) != CLM_OK ||
        clm_names_add_dns(&ca.names, "a.example", NULL) != CLM_OK ||
        clm_names_add_ip(&ca.names, "192.0.2.1", NULL) != CLM_OK) {
        return -1;
    }
    *state = &ca;
    return 0;
}

static int tear_down(void **state)
{
    struct ca *ca = *state;

    clm_strs_done(&ca->contact);
    clm_names_done(&ca->names);
    clm_key_free(ca->key);
    clm_rng_free(ca->rng);
    return 0;
}

static void no_memory_is_said_at_every_step(void **state)
{
    assert_true(clm_torture(issue, *state) > 50);
}

static void what_cannot_be_a_ca_is_refused(void **state)
{
    static const char host[] =
        BASE "." /* 300 characters and more */
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    static const struct {
        const char *directory;
        const char *account;
        const char *profile;
        bool allow_http;
        enum clm_code code;
    } cases[] = {
        {BASE "/dir", NULL, NULL, false, CLM_OK},
        {BASE "/dir", "", "shortlived", false, CLM_OK},
        {host, NULL, NULL, false, CLM_OK},
        {"ca.example/dir", NULL, NULL, false, CLM_E_INVAL},
        {"https://ca.example/a b", NULL, NULL, false, CLM_E_INVAL},
        {"https://ca.example/\n", NULL, NULL, false, CLM_E_INVAL},
        {"http://ca.example/dir", NULL, NULL, false, CLM_E_INVAL},
        {"http://ca.example/dir", NULL, NULL, true, CLM_OK},
        {"ftp://ca.example/dir", NULL, NULL, true, CLM_E_INVAL},
        {BASE "/dir", "acct/1", NULL, false, CLM_E_PARSE},
        {BASE "/dir", NULL, host, false, CLM_E_INVAL},
    };
    const struct ca *ca = *state;
    const struct clm_io io = {.http = answer};

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        const struct clm_acme_opts opts = {.io = &io,
                                           .rng = ca->rng,
                                           .key = ca->key,
                                           .directory_url = cases[i].directory,
                                           .account_url = cases[i].account,
                                           .profile = cases[i].profile,
                                           .allow_http = cases[i].allow_http};
        CLM_CLEANUP(clm_acme_free_p) struct clm_acme *acme = NULL;
        struct clm_err err = {0};

        if (clm_acme_new(&opts, &acme, &err) != cases[i].code) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_int_equal(acme != NULL, cases[i].code == CLM_OK);
    }
}

#define DIRECTORY_WITH(more)                                                                       \
    {                                                                                              \
        .method = "GET", .url = BASE "/dir", .status = 200, .type = "application/json",            \
        .body = "{\"newNonce\":\"" BASE "/nonce\",\"newAccount\":\"" BASE                          \
                "/account\",\"newOrder\":\"" BASE "/order\"" more "}"                              \
    }

static void a_ca_may_offer_no_revocation(void **state)
{
    const struct answer answers[] = {DIRECTORY_WITH(""), {0}};
    struct script s;

    (void)state;
    script_start(&s, answers, BASE "/acct/1");
    assert_int_equal(clm_acme_revoke(s.acme, (const uint8_t *)"x", 1, 0, &s.err),
                     CLM_E_UNSUPPORTED);
    assert_string_equal(s.err.msg, "CA 'ca.example' offers no revocation");
    script_end(&s);
}

/* Terms that no line can show are none: the CA says itself if it wants them agreed to. */
static void terms_that_cannot_be_shown_are_left_out(void **state)
{
    static char text[4096];
    static const char *const terms[] = {"https://ca.example/\\n", NULL};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(terms); i++) {
        char body[6000];
        const struct answer answers[] = {{.method = "GET",
                                          .url = BASE "/dir",
                                          .status = 200,
                                          .type = "application/json",
                                          .body = body},
                                         NONCE("n1"),
                                         {.method = "POST",
                                          .url = BASE "/account",
                                          .status = 201,
                                          .type = "application/json",
                                          .body = "{\"status\":\"valid\"}",
                                          .location = BASE "/acct/1"},
                                         {0}};
        const struct clm_acme_account account = {.agree_terms = false};
        struct script s;

        memset(text, 'x', sizeof(text) - 1);
        (void)snprintf(body, sizeof(body), "%.*s,\"meta\":{\"termsOfService\":\"%s\"}}",
                       (int)strlen(DIRECTORY_BODY) - 1, DIRECTORY_BODY,
                       terms[i] != NULL ? terms[i] : text);
        script_start(&s, answers, NULL);
        assert_int_equal(clm_acme_account(s.acme, &account, &s.err), CLM_OK);
        assert_null(clm_json_get(s.payload, "contact"));
        script_end(&s);
    }
}

static void without_an_account_nothing_is_asked(void **state)
{
    const struct answer answers[] = {DIRECTORY_WITH(""), {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    struct script s;

    (void)state;
    script_start(&s, answers, NULL);
    assert_int_equal(clm_acme_order_poll(s.acme, BASE "/o/1", &order, &s.err), CLM_E_BUG);
    assert_string_equal(s.err.msg, "no ACME account");
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_is_said_at_every_step),
        cmocka_unit_test(what_cannot_be_a_ca_is_refused),
        cmocka_unit_test(a_ca_may_offer_no_revocation),
        cmocka_unit_test(terms_that_cannot_be_shown_are_left_out),
        cmocka_unit_test(without_an_account_nothing_is_asked),
    };
    cJSON_Hooks hooks = {clm_torture_malloc, clm_torture_free};

    cJSON_InitHooks(&hooks);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
