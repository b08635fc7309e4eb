/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts, orders, challenges and certificates against a scripted CA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/str.h"
#include "agent/crypto/jws.h"
#include "agent/issuer/acme_internal.h"
#include "tests/unit/issuer/script.h"

#define ACCOUNT       BASE "/acct/1"
#define JSON          .type = "application/json"
#define PROBLEM       .type = "application/problem+json"
#define POST_TO(path) .method = "POST", .url = BASE path
#define TOKEN         "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

static const char *member(const struct clm_json *obj, const char *key)
{
    const char *text = clm_json_text(clm_json_get(obj, key));
    return text != NULL ? text : "";
}

/* ---- account ---- */

static void account_is_created_with_the_key_itself(void **state)
{
    const struct answer answers[] = {DIRECTORY,
                                     NONCE("n1"),
                                     {POST_TO("/account"), .status = 201, JSON,
                                      .body = "{\"status\":\"valid\"}", .location = ACCOUNT},
                                     {0}};
    struct clm_strs contact = {0};
    struct script s;
    (void)state;
    assert_int_equal(clm_strs_add(&contact, "mailto:ops@example.com", NULL), CLM_OK);
    const struct clm_acme_account account = {.contact = &contact, .agree_terms = true};
    script_start(&s, answers, NULL);
    assert_string_equal(clm_acme_account_url(s.acme), "");
    assert_int_equal(clm_acme_account(s.acme, &account, &s.err), CLM_OK);
    assert_string_equal(clm_acme_account_url(s.acme), ACCOUNT);
    assert_null(clm_json_get(s.protected_header, "kid"));
    assert_string_equal(member(clm_json_get(s.protected_header, "jwk"), "crv"), "P-256");
    assert_string_equal(clm_json_text(clm_json_first(clm_json_get(s.payload, "contact"))),
                        "mailto:ops@example.com");
    bool agreed = false;
    assert_int_equal(clm_json_bool(s.payload, "termsOfServiceAgreed", &agreed, NULL), CLM_OK);
    assert_true(agreed);
    assert_int_equal(clm_acme_account(s.acme, &account, &s.err), CLM_OK); /* asks nobody */
    script_end(&s);
    clm_strs_done(&contact);
}

static void external_account_is_bound(void **state)
{
    const struct answer answers[] = {DIRECTORY,
                                     NONCE("n1"),
                                     {POST_TO("/account"), .status = 201, JSON,
                                      .body = "{\"status\":\"valid\"}", .location = ACCOUNT},
                                     {0}};
    const struct clm_acme_account account = {.eab_kid = "kid-1", .eab_hmac = "c2VjcmV0LXNlY3JldA"};
    const struct clm_acme_account half = {.eab_kid = "kid-1"};
    struct script s;
    (void)state;
    script_start(&s, answers, NULL);
    assert_int_equal(clm_acme_account(s.acme, &account, &s.err), CLM_OK);
    const struct clm_json *binding = clm_json_get(s.payload, "externalAccountBinding");
    assert_string_not_equal(member(binding, "signature"), "");
    script_end(&s);

    const struct answer only_directory[] = {DIRECTORY, {0}};
    script_start(&s, only_directory, NULL);
    assert_int_equal(clm_acme_account(s.acme, &half, &s.err), CLM_E_CONFIG);
    script_end(&s);
}

static void what_the_directory_demands_is_asked_of_the_operator(void **state)
{
    static const struct {
        const char *meta;
        const char *says;
    } cases[] = {{"{\"termsOfService\":\"https://ca.example/terms\"}", "https://ca.example/terms"},
                 {"{\"externalAccountRequired\":true}", "external account"}};
    const struct clm_acme_account account = {.agree_terms = false};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char body[1024];
        (void)snprintf(body, sizeof(body), "%.*s,\"meta\":%s}", (int)strlen(DIRECTORY_BODY) - 1,
                       DIRECTORY_BODY, cases[i].meta);
        const struct answer answers[] = {
            {.method = "GET", .url = BASE "/dir", .status = 200, JSON, .body = body}, {0}};
        struct script s;
        script_start(&s, answers, NULL);
        assert_int_equal(clm_acme_account(s.acme, &account, &s.err), CLM_E_CONFIG);
        assert_non_null(strstr(s.err.msg, cases[i].says));
        script_end(&s);
    }
}

static void terms_that_nobody_can_read_are_not_shown(void **state)
{
    static const struct {
        const char *meta;
        enum clm_code expected;
    } cases[] = {{"{\"termsOfService\":\"a\\u0007b\"}", CLM_OK},
                 {"{\"termsOfService\":7}", CLM_E_PARSE},
                 {"{\"externalAccountRequired\":7}", CLM_E_PARSE}};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char body[1024];
        (void)snprintf(body, sizeof(body), "%.*s,\"meta\":%s}", (int)strlen(DIRECTORY_BODY) - 1,
                       DIRECTORY_BODY, cases[i].meta);
        const struct answer answers[] = {
            {.method = "GET", .url = BASE "/dir", .status = 200, JSON, .body = body}, {0}};
        struct script s;
        script_start(&s, answers, NULL);
        assert_int_equal(clm_acme_directory(s.acme, &s.err), cases[i].expected);
        assert_string_equal(s.acme->terms, "");
        script_end(&s);
    }
}

static void accounts_that_cannot_be_used(void **state)
{
    static const struct {
        int status;
        const char *type;
        const char *body;
        const char *location;
        enum clm_code expected;
    } cases[] = {
        {200, "application/json", "{\"status\":\"deactivated\"}", ACCOUNT, CLM_E_AUTH},
        {200, "application/json", "{\"status\":\"valid\"}", "", CLM_E_PARSE},
        {200, "application/json", "{\"status\":\"valid\"}", "/relative", CLM_E_PARSE},
        {400, "application/problem+json",
         "{\"type\":\"urn:ietf:params:acme:error:accountDoesNotExist\",\"detail\":\"none\"}", "",
         CLM_E_NOTFOUND},
    };
    const struct clm_acme_account account = {.only_existing = true};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        const struct answer answers[] = {DIRECTORY,
                                         NONCE("n1"),
                                         {POST_TO("/account"), .status = cases[i].status,
                                          .type = cases[i].type, .body = cases[i].body,
                                          .location = cases[i].location},
                                         {0}};
        struct script s;
        script_start(&s, answers, NULL);
        assert_int_equal(clm_acme_account(s.acme, &account, &s.err), cases[i].expected);
        assert_string_equal(clm_acme_account_url(s.acme), "");
        bool only = false;
        assert_int_equal(clm_json_bool(s.payload, "onlyReturnExisting", &only, NULL), CLM_OK);
        assert_true(only);
        script_end(&s);
    }
}

static void only_p256_keys_and_https_directories_are_taken(void **state)
{
    struct clm_rng *rng = NULL;
    struct clm_key *p384 = NULL;
    struct clm_key *p256 = NULL;
    struct clm_acme *acme = NULL;
    const struct clm_io io = {.ctx = NULL};
    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P384, &p384, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &p256, NULL), CLM_OK);
    struct clm_acme_opts opts = {.io = &io, .rng = rng, .key = p384, .directory_url = BASE "/dir"};
    assert_int_equal(clm_acme_new(&opts, &acme, NULL), CLM_E_INVAL);
    opts.key = p256;
    opts.directory_url = "http://ca.example/dir";
    assert_int_equal(clm_acme_new(&opts, &acme, NULL), CLM_E_INVAL);
    opts.allow_http = true;
    assert_int_equal(clm_acme_new(&opts, &acme, NULL), CLM_OK);
    clm_acme_free(acme);
    clm_key_free(p256);
    clm_key_free(p384);
    clm_rng_free(rng);
}

/* ---- orders ---- */

#define ORDER(status, more)                                                                        \
    "{\"status\":\"" status "\",\"authorizations\":[\"" BASE "/a/1\",\"" BASE                      \
    "/a/2\"],\"finalize\":\"" BASE "/f/1\"" more "}"

static void order_names_dns_and_addresses(void **state)
{
    const struct answer answers[] = {DIRECTORY,
                                     NONCE("n1"),
                                     {POST_TO("/order"), .status = 201, JSON,
                                      .body = ORDER("pending", ""), .location = BASE "/o/1",
                                      .retry_after_s = 4},
                                     {0}};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(4096);
    struct script s;
    (void)state;
    assert_int_equal(clm_names_add_dns(&names, "a.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_ip(&names, "192.0.2.1", NULL), CLM_OK);
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_order_new(s.acme, &names, &order, &s.err), CLM_OK);
    assert_string_equal(order.url, BASE "/o/1");
    assert_int_equal(order.status, CLM_ISSUER_PENDING);
    assert_int_equal(order.authz.n, 2);
    assert_string_equal(order.authz.v[1], BASE "/a/2");
    assert_string_equal(order.finalize_url, BASE "/f/1");
    assert_string_equal(order.certificate_url, "");
    assert_int_equal(order.retry_after_s, 4);
    assert_int_equal(clm_json_print(s.payload, false, &text, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&text),
                        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"},"
                        "{\"type\":\"ip\",\"value\":\"192.0.2.1\"}]}");
    script_end(&s);
}

static void order_asks_for_the_profile(void **state)
{
    const struct answer answers[] = {DIRECTORY,
                                     NONCE("n1"),
                                     {POST_TO("/order"), .status = 201, JSON,
                                      .body = ORDER("pending", ""), .location = BASE "/o/1"},
                                     {0}};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    struct script s;
    (void)state;
    assert_int_equal(clm_names_add_dns(&names, "a.example", NULL), CLM_OK);
    script_start_profile(&s, answers, ACCOUNT, "shortlived");
    assert_int_equal(clm_acme_order_new(s.acme, &names, &order, &s.err), CLM_OK);
    assert_string_equal(clm_json_text(clm_json_get(s.payload, "profile")), "shortlived");
    script_end(&s);
}

static void order_without_names_or_url_is_refused(void **state)
{
    const struct answer none[] = {{0}};
    const struct answer no_location[] = {
        DIRECTORY,
        NONCE("n1"),
        {POST_TO("/order"), .status = 201, JSON, .body = ORDER("pending", "")},
        {0}};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    struct script s;
    (void)state;
    script_start(&s, none, ACCOUNT);
    assert_int_equal(clm_acme_order_new(s.acme, &names, &order, &s.err), CLM_E_INVAL);
    script_end(&s);
    assert_int_equal(clm_names_add_dns(&names, "a.example", NULL), CLM_OK);
    script_start(&s, no_location, ACCOUNT);
    assert_int_equal(clm_acme_order_new(s.acme, &names, &order, &s.err), CLM_E_PARSE);
    script_end(&s);
}

static void invalid_order_says_why_and_is_no_error(void **state)
{
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {POST_TO("/o/1"), .status = 200, JSON,
         .body = ORDER("invalid", ",\"error\":{\"type\":\"urn:ietf:params:acme:error:caa\","
                                  "\"detail\":\"CAA forbids it\",\"status\":403}")},
        {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_order_poll(s.acme, BASE "/o/1", &order, &s.err), CLM_OK);
    assert_int_equal(order.status, CLM_ISSUER_INVALID);
    assert_string_equal(order.url, BASE "/o/1");
    assert_string_equal(order.problem.type, "urn:ietf:params:acme:error:caa");
    assert_string_equal(order.problem.detail, "CAA forbids it");
    script_end(&s);
}

static void more_authorizations_than_names_are_possible_is_a_limit(void **state)
{
    char body[8192] = "{\"status\":\"pending\",\"finalize\":\"" BASE "/f\",\"authorizations\":[";
    const struct answer answers[] = {
        DIRECTORY, NONCE("n1"), {POST_TO("/o/1"), .status = 200, JSON, .body = body}, {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    struct script s;
    (void)state;
    char *end = body + strlen(body);
    for (int i = 0; i <= CLM_NAMES_MAX; i++) {
        end = stpcpy(end, i > 0 ? ",\"" BASE "/a\"" : "\"" BASE "/a\"");
    }
    (void)stpcpy(end, "]}");
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_order_poll(s.acme, BASE "/o/1", &order, &s.err), CLM_E_LIMIT);
    script_end(&s);
}

static void request_is_handed_in_and_the_chain_fetched(void **state)
{
    static const char chain[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {POST_TO("/o/1"), .status = 200, JSON, .body = ORDER("ready", ""), .nonce = "n2"},
        {POST_TO("/f/1"), .status = 200, JSON, .body = ORDER("processing", ""), .nonce = "n3",
         .retry_after_s = 3},
        {POST_TO("/o/1"), .status = 200, JSON,
         .body = ORDER("valid", ",\"certificate\":\"" BASE "/c/1\""), .nonce = "n4"},
        {POST_TO("/c/1"), .status = 200, .type = "application/pem-certificate-chain",
         .body = chain},
        {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_order_poll(s.acme, BASE "/o/1", &order, &s.err), CLM_OK);
    assert_int_equal(clm_acme_certificate(s.acme, &order, &pem, &s.err), CLM_E_CONFLICT);
    const uint8_t csr[] = {0x30, 0x03, 0x02, 0x01, 0xff};
    assert_int_equal(clm_acme_finalize(s.acme, &order, csr, sizeof(csr), &s.err), CLM_OK);
    assert_string_equal(member(s.payload, "csr"), "MAMCAf8");
    assert_int_equal(order.status, CLM_ISSUER_PROCESSING);
    assert_int_equal(order.retry_after_s, 3);
    assert_string_equal(order.url, BASE "/o/1");
    assert_int_equal(clm_acme_finalize(s.acme, &order, csr, sizeof(csr), &s.err), CLM_E_CONFLICT);
    clm_order_done(&order);
    assert_int_equal(clm_acme_order_poll(s.acme, BASE "/o/1", &order, &s.err), CLM_OK);
    assert_int_equal(clm_acme_certificate(s.acme, &order, &pem, &s.err), CLM_OK);
    assert_string_equal(clm_buf_str(&pem), chain);
    assert_null(s.payload);
    script_end(&s);
}

static void a_failed_finalization_keeps_the_order(void **state)
{
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {POST_TO("/o/1"), .status = 200, JSON, .body = ORDER("ready", ""), .nonce = "n2"},
        {POST_TO("/f/1"), .status = 400, PROBLEM,
         .body = "{\"type\":\"urn:ietf:params:acme:error:badCSR\",\"detail\":\"weak key\"}"},
        {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order;
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_order_poll(s.acme, BASE "/o/1", &order, &s.err), CLM_OK);
    assert_int_equal(clm_acme_finalize(s.acme, &order, (const uint8_t *)"x", 1, &s.err),
                     CLM_E_INVAL);
    assert_string_equal(clm_acme_problem(s.acme)->type, "urn:ietf:params:acme:error:badCSR");
    assert_int_equal(order.status, CLM_ISSUER_READY);
    assert_int_equal(order.authz.n, 2);
    script_end(&s);
}

static void chains_that_are_none(void **state)
{
    static const struct {
        const char *type;
        const char *body;
    } cases[] = {
        {"text/html", "-----BEGIN CERTIFICATE-----"},
        {"application/pem-certificate-chain", "nothing"},
        {"application/pem-certificate-chain", ""},
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        const struct answer answers[] = {
            DIRECTORY,
            NONCE("n1"),
            {POST_TO("/c/1"), .status = 200, .type = cases[i].type, .body = cases[i].body},
            {0}};
        struct clm_order order = {.status = CLM_ISSUER_VALID, .certificate_url = BASE "/c/1"};
        struct clm_buf pem = CLM_BUF_INIT(65536);
        struct script s;
        script_start(&s, answers, ACCOUNT);
        assert_int_equal(clm_acme_certificate(s.acme, &order, &pem, &s.err), CLM_E_PARSE);
        assert_int_equal(pem.len, 0);
        script_end(&s);
    }
}

/* ---- challenges ---- */

#define AUTHZ(status, name, challenges)                                                            \
    "{\"status\":\"" status "\",\"identifier\":{\"type\":\"dns\",\"value\":\"" name                \
    "\"},\"challenges\":[" challenges "]}"
#define HTTP01(status, token, more)                                                                \
    "{\"type\":\"dns-01\",\"status\":\"pending\",\"url\":\"" BASE "/d/1\",\"token\":\"x\"},"       \
    "{\"type\":\"http-01\",\"status\":\"" status "\",\"url\":\"" BASE "/h/1\",\"token\":\"" token  \
    "\"" more "}"

static enum clm_code challenge(const char *body, struct clm_challenge *out, struct script *s)
{
    const struct answer answers[] = {
        DIRECTORY,
        NONCE("n1"),
        {POST_TO("/a/1"), .status = 200, JSON, .body = body, .retry_after_s = 5},
        {0}};
    script_start(s, answers, ACCOUNT);
    enum clm_code code = clm_acme_challenge_http01(s->acme, BASE "/a/1", out, &s->err);
    char thumbprint[CLM_JWK_THUMBPRINT_SIZE];
    assert_int_equal(clm_jwk_thumbprint(s->key, thumbprint, NULL), CLM_OK);
    if (code == CLM_OK && out->token[0] != '\0') {
        char expected[CLM_ISSUER_AUTH_SIZE];
        (void)snprintf(expected, sizeof(expected), "%s.%s", out->token, thumbprint);
        assert_string_equal(out->key_authorization, expected);
    }
    script_end(s);
    return code;
}

static void challenge_by_file_is_picked(void **state)
{
    struct clm_challenge c;
    struct script s;
    (void)state;
    assert_int_equal(challenge(AUTHZ("pending", "A.Example", HTTP01("pending", TOKEN, "")), &c, &s),
                     CLM_OK);
    assert_string_equal(c.domain, "a.example");
    assert_string_equal(c.token, TOKEN);
    assert_string_equal(c.url, BASE "/h/1");
    assert_int_equal(c.status, CLM_ISSUER_PENDING);
    assert_int_equal(c.authz_status, CLM_ISSUER_PENDING);
    assert_int_equal(c.retry_after_s, 5);
}

static void a_failed_challenge_says_what_the_ca_saw(void **state)
{
    struct clm_challenge c;
    struct script s;
    (void)state;
    assert_int_equal(
        challenge(AUTHZ("invalid", "a.example",
                        HTTP01("invalid", TOKEN,
                               ",\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\","
                               "\"detail\":\"refused\"}")),
                  &c, &s),
        CLM_OK);
    assert_int_equal(c.status, CLM_ISSUER_INVALID);
    assert_string_equal(c.problem.type, "urn:ietf:params:acme:error:connection");
    assert_string_equal(c.problem.detail, "refused");
}

static void a_name_proved_otherwise_needs_no_file(void **state)
{
    struct clm_challenge c;
    struct script s;
    (void)state;
    assert_int_equal(challenge(AUTHZ("valid", "a.example", ""), &c, &s), CLM_OK);
    assert_int_equal(c.authz_status, CLM_ISSUER_VALID);
    assert_string_equal(c.url, "");
    assert_int_equal(challenge(AUTHZ("pending", "a.example", ""), &c, &s), CLM_E_UNSUPPORTED);
}

static void addresses_are_identifiers_too(void **state)
{
    struct clm_challenge c;
    struct script s;
    (void)state;
    assert_int_equal(challenge("{\"status\":\"pending\",\"identifier\":{\"type\":\"ip\",\"value\":"
                               "\"192.0.2.1\"},\"challenges\":[" HTTP01("pending", TOKEN, "") "]}",
                               &c, &s),
                     CLM_OK);
    assert_string_equal(c.domain, "192.0.2.1");
}

static void tokens_that_may_not_become_files_are_refused(void **state)
{
    static const char *const bodies[] = {
        AUTHZ("pending", "a.example", HTTP01("pending", "../../etc/cron.d/x0000", "")),
        AUTHZ("pending", "a.example", HTTP01("pending", "short", "")),
        AUTHZ("pending", "a.example", HTTP01("pending", "", "")),
        AUTHZ("pending", "a.example", HTTP01("pending", TOKEN "=", "")),
        AUTHZ("pending", "a b", HTTP01("pending", TOKEN, "")),
        AUTHZ("pending", "../x", HTTP01("pending", TOKEN, "")),
    };
    struct clm_challenge c;
    struct script s;
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bodies); i++) {
        enum clm_code code = challenge(bodies[i], &c, &s);
        if (code != CLM_E_PARSE && code != CLM_E_INVAL) {
            fail_msg("case %zu: %s", i, clm_code_name(code));
        }
        assert_string_equal(c.token, "");
    }
}

static void authorizations_that_are_none_are_told_by_member(void **state)
{
#define ID            "\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"}"
#define OF(challenge) "{\"status\":\"pending\"," ID ",\"challenges\":[" challenge "]}"
    static const struct {
        const char *body;
        const char *says;
    } cases[] = {
        {"{}", "status"},
        {"{\"status\":\"pending\"}", "identifier"},
        {"{\"status\":\"pending\",\"identifier\":{}}", "type"},
        {"{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\"}}", "value"},
        {"{\"status\":\"pending\",\"identifier\":{\"type\":\"ip\",\"value\":\"x\"}}", "x"},
        {"{\"status\":\"pending\"," ID "}", "challenges"},
        {OF("{},{\"type\":7}"), "http-01"},
        {OF("{\"type\":\"http-01\"}"), "status"},
        {OF("{\"type\":\"http-01\",\"status\":\"pending\"}"), "url"},
        {OF("{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"" BASE "/h\"}"), "token"},
    };
    struct clm_challenge c;
    struct script s;
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (challenge(cases[i].body, &c, &s) == CLM_OK ||
            strstr(s.err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s", i, s.err.msg);
        }
    }
}

static void ready_is_an_empty_object(void **state)
{
    const struct answer answers[] = {
        DIRECTORY, NONCE("n1"), {POST_TO("/h/1"), .status = 200, JSON, .body = "{}"}, {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_challenge_ready(s.acme, BASE "/h/1", &s.err), CLM_OK);
    assert_non_null(s.payload);
    assert_int_equal(clm_json_len(s.payload), 0);
    script_end(&s);
}

static void a_ca_without_revocation_says_so(void **state)
{
    const struct answer answers[] = {{.method = "GET",
                                      .url = BASE "/dir",
                                      .status = 200,
                                      JSON,
                                      .body =
                                          "{\"newNonce\":\"" BASE "/nonce\",\"newAccount\":\"" BASE
                                          "/account\",\"newOrder\":\"" BASE "/order\"}"},
                                     {0}};
    struct script s;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_revoke(s.acme, (const uint8_t *)"\x30\x00", 2, 4, &s.err),
                     CLM_E_UNSUPPORTED);
    assert_non_null(strstr(s.err.msg, "offers no revocation"));
    script_end(&s);
}

static void revocation_names_the_reason(void **state)
{
    const struct answer answers[] = {
        DIRECTORY, NONCE("n1"), {POST_TO("/revoke"), .status = 200}, {0}};
    struct script s;
    int64_t reason = 0;
    (void)state;
    script_start(&s, answers, ACCOUNT);
    assert_int_equal(clm_acme_revoke(s.acme, (const uint8_t *)"\x30\x00", 2, 4, &s.err), CLM_OK);
    assert_string_equal(member(s.payload, "certificate"), "MAA");
    assert_int_equal(clm_json_int(s.payload, "reason", 0, 10, &reason, NULL), CLM_OK);
    assert_int_equal(reason, 4);
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(account_is_created_with_the_key_itself),
        cmocka_unit_test(external_account_is_bound),
        cmocka_unit_test(what_the_directory_demands_is_asked_of_the_operator),
        cmocka_unit_test(terms_that_nobody_can_read_are_not_shown),
        cmocka_unit_test(accounts_that_cannot_be_used),
        cmocka_unit_test(only_p256_keys_and_https_directories_are_taken),
        cmocka_unit_test(order_names_dns_and_addresses),
        cmocka_unit_test(order_asks_for_the_profile),
        cmocka_unit_test(order_without_names_or_url_is_refused),
        cmocka_unit_test(invalid_order_says_why_and_is_no_error),
        cmocka_unit_test(more_authorizations_than_names_are_possible_is_a_limit),
        cmocka_unit_test(request_is_handed_in_and_the_chain_fetched),
        cmocka_unit_test(a_failed_finalization_keeps_the_order),
        cmocka_unit_test(chains_that_are_none),
        cmocka_unit_test(challenge_by_file_is_picked),
        cmocka_unit_test(a_failed_challenge_says_what_the_ca_saw),
        cmocka_unit_test(a_name_proved_otherwise_needs_no_file),
        cmocka_unit_test(addresses_are_identifiers_too),
        cmocka_unit_test(tokens_that_may_not_become_files_are_refused),
        cmocka_unit_test(authorizations_that_are_none_are_told_by_member),
        cmocka_unit_test(ready_is_an_empty_object),
        cmocka_unit_test(a_ca_without_revocation_says_so),
        cmocka_unit_test(revocation_names_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
