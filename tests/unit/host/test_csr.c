/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in every mode that makes them here, and what the policy refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/host/csr_world.h"

static void installed_repeats_the_identity_with_a_new_key(void **state)
{
    struct csr_world *w = *state;
    struct csr_good g;
    char spki[65];

    csr_world_good(w, BOTH ",'csr':{'mode':'installed'}", &g);
    assert_string_equal(g.info.subject, "C=DE, O=Example, OU=Web, OU=Ops, CN=www.example.com");
    assert_int_equal(g.info.names.dns.n, 2);
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P384);
    assert_true(g.info.must_staple && g.info.eku_server && !g.info.eku_client);
    assert_int_equal(clm_key_spki_sha256_hex(w->key, spki, NULL), CLM_OK);
    assert_string_not_equal(g.info.spki_sha256, spki);
    csr_world_good_done(&g);
}

static void override_replaces_what_it_says_and_nothing_else(void **state)
{
    struct csr_world *w = *state;
    struct csr_good g;

    csr_world_good(
        w,
        "'sans':{'dns':['new.example.com']},'csr':{'mode':'override','sans':{'dns':"
        "['new.example.com']},'subject':{'o':'','ou':['Shop'],'l':'Kiel'},'key_type':'ec-p256',"
        "'hash':'sha512','must_staple':false}",
        &g);
    assert_string_equal(g.info.subject, "C=DE, L=Kiel, OU=Shop, CN=new.example.com");
    assert_int_equal(g.info.names.dns.n, 1);
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P256);
    assert_int_equal(g.info.hash, CLM_HASH_SHA512);
    assert_false(g.info.must_staple);
    csr_world_good_done(&g);
}

static void set_template(struct csr_world *w, const char *text)
{
    char json[512];

    (void)snprintf(json, sizeof(json), "%s", text);
    for (char *p = json; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    assert_int_equal(
        clm_json_parse(json, strlen(json), 65536, &w->host->config.policy.csr_templates, NULL),
        CLM_OK);
}

static void a_template_of_the_host_has_the_last_word(void **state)
{
    struct csr_world *w = *state;
    struct csr_good g;

    set_template(w,
                 "{'web':{'subject':{'o':'Root','c':'DE'},'key_type':'ec-p384','hash':'sha384'}}");
    csr_world_good(w,
                   WWW ",'subject':{'CN':'www.example.com','O':'Asked'},'key':{'type':'ec-p256'},"
                       "'csr':{'mode':'template','template':'web','subject':{'l':'Kiel'}}",
                   &g);
    assert_string_equal(g.info.subject, "C=DE, L=Kiel, O=Root, CN=www.example.com");
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P384);
    assert_int_equal(g.info.hash, CLM_HASH_SHA384);
    csr_world_good_done(&g);
    csr_world_refused(w, WWW ",'csr':{'mode':'template','template':'web','hash':'sha256'}",
                      "E_POLICY", "template 'web' of this host says what 'hash' is");
    csr_world_refused(w, WWW ",'csr':{'mode':'template','template':'web','subject':{'o':'Other'}}",
                      "E_POLICY", "says what 'o' is");
    csr_world_refused(w,
                      WWW ",'key':{'type':'ec-p256'},'csr':{'mode':'template','template':'none'}",
                      "E_POLICY", "policy.csr_templates: there is no template 'none'");
}

static void an_inline_template_needs_nothing_else(void **state)
{
    struct csr_world *w = *state;
    struct csr_good g;

    csr_world_good(w,
                   WWW
                   ",'csr':{'mode':'template','subject':{'cn':'www.example.com','ou':['A','B']},"
                   "'key_type':'ec-p256','must_staple':true}",
                   &g);
    assert_string_equal(g.info.subject, "OU=A, OU=B, CN=www.example.com");
    assert_true(g.info.must_staple);
    csr_world_good_done(&g);
    csr_world_refused(w, WWW ",'csr':{'mode':'template'}", "E_SPEC", "what type the key is to be");
}

static void the_policy_is_asked_about_everything(void **state)
{
    struct csr_world *w = *state;
    static const struct {
        const char *text;
        const char *problem;
        const char *says;
    } rows[] = {
        {WWW ",'csr':{'mode':'template','key_type':'rsa-2048'}", "E_POLICY",
         "policy.key_types: 'rsa-2048'"},
        {WWW ",'csr':{'mode':'template','key_type':'ec-p256','eku':['server','client']}",
         "E_POLICY", "policy.eku: the purpose 'client'"},
        {WWW ",'csr':{'mode':'template','key_type':'ec-p256','sans':{'email':['a@example.com']}}",
         "E_NAME_POLICY", "policy.names.emails: 'a@example.com'"},
        {WWW ",'csr':{'mode':'override','sans':{'uri':['urn:x:1']}}", "E_NAME_POLICY",
         "policy.names.uris: 'urn:x:1'"},
        {WWW ",'csr':{'mode':'installed'}", "E_STATE",
         "the request would name 'api.example.com', which the order does not"},
        {"'sans':{'dns':['www.example.com','api.example.com','x.example.com']},"
         "'csr':{'mode':'installed'}",
         "E_STATE", "the order names 'x.example.com', which the request would not"},
        {"'sans':{'dns':['www.other.test']},'csr':{'mode':'template','key_type':'ec-p256'}",
         "E_NAME_POLICY", "'www.other.test' is not allowed"},
        {WWW ",'csr':{'mode':'template','key_type':'ec-p256','subject':{'cn':'x.example.com'}}",
         "E_SPEC", "the common name 'x.example.com' is none of the names"},
        {WWW ",'csr':{'mode':'template','key_type':'ec-p256','key':'reuse'}", "E_POLICY",
         "policy.key_reuse"},
        {WWW ",'csr':{'mode':'reuse_csr'}", "E_POLICY", "policy.key_reuse"},
        {WWW ",'key':{'type':'ec-p256','reuse':true}", "E_POLICY", "policy.key_reuse"},
        {WWW ",'csr':{'mode':'template','key_type':'ec-p256','challenge_password_ref':'scep'}",
         "E_POLICY", "policy.secrets: there is no 'scep'"},
    };

    w->host->config.policy.orders_per_day = 100;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        csr_world_refused(w, rows[i].text, rows[i].problem, rows[i].says);
    }
    clm_strs_done(&w->host->config.policy.subject_fields);
    csr_world_refused(w,
                      WWW ",'csr':{'mode':'template','key_type':'ec-p256','subject':{'l':'Kiel'}}",
                      "E_POLICY", "policy.subject.fields: 'l'");
    csr_world_refused(w, BOTH ",'csr':{'mode':'installed'}", "E_POLICY", "policy.subject.fields");
}

static void allowed_mail_names_and_purposes_get_in(void **state)
{
    struct csr_world *w = *state;
    struct clm_policy *policy = &w->host->config.policy;
    struct csr_good g;

    assert_int_equal(clm_strs_add(&policy->emails, "*@example.com", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->uris, "spiffe://example.com/*", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->eku, "client", NULL), CLM_OK);
    csr_world_good(w,
                   WWW ",'csr':{'mode':'template','key_type':'ec-p256','eku':['server','client'],"
                       "'sans':{'email':['ops@EXAMPLE.com'],'uri':['spiffe://example.com/web']}}",
                   &g);
    assert_string_equal(g.info.emails.v[0], "ops@example.com");
    assert_string_equal(g.info.uris.v[0], "spiffe://example.com/web");
    assert_true(g.info.eku_client);
    csr_world_good_done(&g);
}

static void a_reused_key_is_the_installed_one(void **state)
{
    struct csr_world *w = *state;
    struct csr_good g;
    char spki[65];

    w->host->config.policy.key_reuse = true;
    assert_int_equal(clm_key_spki_sha256_hex(w->key, spki, NULL), CLM_OK);
    csr_world_good(w, BOTH ",'csr':{'mode':'installed','key':'reuse'}", &g);
    assert_string_equal(g.info.spki_sha256, spki);
    csr_world_good_done(&g);
    csr_world_refused(w, BOTH ",'csr':{'mode':'override','key_type':'ec-p256','key':'reuse'}",
                      "E_STATE", "the key that is to be used again is ec-p384, not ec-p256");
}

static void a_request_can_be_sent_again(void **state)
{
    struct csr_world *w = *state;
    struct csr_good first;
    struct csr_good second;
    char text[256];

    w->host->config.policy.key_reuse = true;
    csr_world_good(w, WWW ",'key':{'type':'ec-p256'}", &first);
    (void)snprintf(text, sizeof(text),
                   WWW ",'key':{'type':'ec-p256','key_ref':'%s'},"
                       "'csr':{'mode':'reuse_csr'}",
                   clm_json_text(clm_json_get(first.reply, "key_ref")));
    csr_world_good(w, text, &second);
    assert_string_equal(first.info.sha256, second.info.sha256);
    assert_string_not_equal(clm_json_text(clm_json_get(first.reply, "key_ref")),
                            clm_json_text(clm_json_get(second.reply, "key_ref")));
    csr_world_refused(w, WWW ",'csr':{'mode':'reuse_csr'}", "E_STATE",
                      "no request of this certificate");
    csr_world_refused(w,
                      WWW ",'key':{'type':'ec-p256','key_ref':'key_01J9ZK3W5V7M2Q8R4T6Y0X1B3C'},"
                          "'csr':{'mode':'reuse_csr'}",
                      "E_STATE", "is not kept here");
    csr_world_good_done(&first);
    csr_world_good_done(&second);
}

static void declare_secret(struct csr_world *w)
{
    struct clm_policy *policy = &w->host->config.policy;

    policy->secrets = calloc(1, sizeof(*policy->secrets));
    policy->n_secrets = 1;
    (void)snprintf(policy->secrets[0].name, sizeof(policy->secrets[0].name), "scep");
    (void)snprintf(policy->secrets[0].path, sizeof(policy->secrets[0].path), "/etc/scep");
}

static void the_challenge_password_is_in_the_request_and_nowhere_else(void **state)
{
    static const struct root_io_owner open_to_all[] = {{"/etc/scep", 0, 0, 0644}, {NULL, 0, 0, 0}};
    static const struct root_io_owner private[] = {{"/etc/scep", 0, 0, 0600}, {NULL, 0, 0, 0}};
    static const char text[] =
        WWW ",'csr':{'mode':'template','key_type':'ec-p256','challenge_password_ref':'scep'}";
    struct csr_world *w = *state;
    struct csr_good g;

    declare_secret(w);
    root_io_text(w->host->tree, "/etc/scep", "sesame open\n");
    w->host->io.owners = open_to_all;
    csr_world_refused(w, text, "E_POLICY", "challenge password 'scep': ");
    assert_null(strstr(w->host->err.msg, "sesame"));
    w->host->io.owners = private;
    csr_world_good(w, text, &g);
    assert_true(g.info.has_challenge_password);
    csr_world_good_done(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, csr_world_setup, csr_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(installed_repeats_the_identity_with_a_new_key),
        TEST(override_replaces_what_it_says_and_nothing_else),
        TEST(a_template_of_the_host_has_the_last_word),
        TEST(an_inline_template_needs_nothing_else),
        TEST(the_policy_is_asked_about_everything),
        TEST(allowed_mail_names_and_purposes_get_in),
        TEST(a_reused_key_is_the_installed_one),
        TEST(a_request_can_be_sent_again),
        TEST(the_challenge_password_is_in_the_request_and_nowhere_else),
    };

    return cmocka_run_group_tests_name("csr", tests, NULL, NULL);
}
