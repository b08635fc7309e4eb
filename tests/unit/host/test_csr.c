/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in every mode, beside an nginx that has a certificate; and what the policy refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/ca.h"
#include "agent/crypto/csr.h"
#include "agent/model/csr_spec.h"
#include "tests/support/host_tree.h"
#include "tests/unit/host/host_world.h"

#define SITE "nginx:www.example.com"
#define CRT  "crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define WWW  "'sans':{'dns':['www.example.com']}"
#define BOTH "'sans':{'dns':['www.example.com','api.example.com']}"

struct csr_world {
    struct host_world *host;
    struct clm_key *key; /* installed at SITE */
    int64_t seq;
};

static const struct root_io_program programs[] = {
    {"/usr/sbin/nginx -V", 0,
     "nginx version: nginx/1.22.1\nconfigure arguments: "
     "--conf-path=/etc/nginx/nginx.conf --prefix=/usr/share/nginx\n"},
    {NULL, 0, NULL},
};

/* The certificate of SITE: subject O, two OU, C; two names, a mail address; must-staple. */
static void install(struct csr_world *w)
{
    CLM_CLEANUP(clm_subject_done) struct clm_subject subject = {.field = {{NULL, 0}}};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *ca = NULL;
    static const char *const values[][2] = {
        {"cn", "www.example.com"}, {"o", "Example"}, {"ou", "Web"}, {"ou", "Ops"}, {"c", "DE"}};

    for (size_t i = 0; i < CLM_ARRAY_LEN(values); i++) {
        for (int f = 0; f < CLM_SUBJECT__COUNT; f++) {
            if (strcmp(clm_subject_field_name((enum clm_subject_field)f), values[i][0]) == 0) {
                assert_int_equal(clm_strs_add(&subject.field[f], values[i][1], NULL), CLM_OK);
            }
        }
    }
    clm_test_names("www.example.com,api.example.com", &names);
    assert_int_equal(clm_key_generate(w->host->rng, CLM_KEY_EC_P384, &w->key, NULL), CLM_OK);
    assert_int_equal(clm_key_public_der(w->key, &spki, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(w->host->ca_pem.data, w->host->ca_pem.len, &ca, NULL),
                     CLM_OK);
    const struct clm_ca_issue issue = {.subject = &subject,
                                       .names = &names,
                                       .spki = spki.data,
                                       .spki_len = spki.len,
                                       .not_before_s = w->host->now_s - 100,
                                       .not_after_s = w->host->now_s + 100000,
                                       .eku_server = true,
                                       .must_staple = true,
                                       .issuer = ca,
                                       .issuer_key = w->host->ca_key};

    assert_int_equal(clm_ca_issue(w->host->rng, &issue, &pem, NULL), CLM_OK);
    assert_int_equal(clm_key_to_pem(w->key, &key_pem, NULL), CLM_OK);
    root_io_write(w->host->tree, "/etc/nginx/www.pem", pem.data, pem.len);
    root_io_write(w->host->tree, "/etc/nginx/www.key", key_pem.data, key_pem.len);
}

static int setup(void **state)
{
    static const struct host_socket sockets[] = {{"00000000", 443, 7, 0}};
    struct csr_world *w = calloc(1, sizeof(*w));

    w->host = host_world_new();
    w->host->io.programs = programs;
    root_io_text(w->host->tree, "/usr/sbin/nginx", "");
    root_io_text(w->host->tree, "/etc/nginx/nginx.conf",
                 "events {}\nhttp { server { listen 443 ssl; server_name www.example.com;\n"
                 "ssl_certificate www.pem; ssl_certificate_key www.key; } }\n");
    host_tree_process(w->host->tree, &(struct host_process){.pid = 20,
                                                            .parent = 1,
                                                            .start = 9,
                                                            .comm = "nginx",
                                                            .exe = "/usr/sbin/nginx",
                                                            .cmdline = "nginx: master process",
                                                            .unit = "nginx.service",
                                                            .sockets = {7}});
    host_tree_sockets(w->host->tree, 20, sockets, 1);
    install(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct csr_world *w = *state;

    clm_key_free(w->key);
    host_world_free(w->host);
    free(w);
    return 0;
}

/* {"certificate_id": .., text}, with ' for ". */
static char *spec_of(const char *text)
{
    static char spec[40000];

    (void)snprintf(spec, sizeof(spec), "{'certificate_id':'" CRT "',%s}", text);
    for (char *p = spec; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    return spec;
}

static struct clm_json *body_of(const char *job_id)
{
    struct clm_json *body = clm_json_new_object();

    clm_json_set_str(body, "job_id", job_id);
    return body;
}

/* Accepts the order and asks for its request. */
static enum clm_code ask(struct csr_world *w, const char *text, struct clm_csr_info *out,
                         struct clm_json **out_reply, char job_id[CLM_ID_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    struct clm_json *job = host_world_job(w->host, "order", SITE, ++w->seq, spec_of(text));
    enum clm_code code =
        host_world_ask(w->host, CLM_OP_JOB_ACCEPT, host_world_sign(w->host, job), NULL);
    const char *csr;

    (void)snprintf(job_id, CLM_ID_SIZE, "%s", clm_json_text(clm_json_get(job, "job_id")));
    clm_json_free(job);
    if (code == CLM_OK) {
        code = host_world_ask(w->host, CLM_OP_CSR, body_of(job_id), out_reply);
    }
    if (code == CLM_OK) {
        csr = clm_json_text(clm_json_get(*out_reply, "csr"));
        assert_int_equal(clm_b64url_decode(csr, strlen(csr), &der, NULL), CLM_OK);
        assert_int_equal(clm_csr_parse(der.data, der.len, out, NULL), CLM_OK);
    }
    return code;
}

static size_t waiting_keys(struct csr_world *w)
{
    char pattern[PATH_MAX + 32];
    glob_t found;
    size_t n;

    (void)snprintf(pattern, sizeof(pattern), "%s/host/keys/*", w->host->state_dir);
    n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

struct good {
    struct clm_csr_info info;
    struct clm_json *reply;
    char job_id[CLM_ID_SIZE];
};

static void good(struct csr_world *w, const char *text, struct good *out)
{
    out->reply = NULL;
    if (ask(w, text, &out->info, &out->reply, out->job_id) != CLM_OK) {
        fail_msg("%s: %s", w->host->fail.problem, w->host->err.msg);
    }
}

static void good_done(struct good *g)
{
    clm_csr_info_done(&g->info);
    clm_json_free(g->reply);
}

static void refused(struct csr_world *w, const char *text, const char *problem, const char *says)
{
    struct clm_csr_info info = {.must_staple = false};
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];
    size_t before = waiting_keys(w);

    if (ask(w, text, &info, &reply, job_id) == CLM_OK) {
        fail_msg("accepted: %s", text);
    }
    if (strcmp(w->host->fail.problem, problem) != 0 || strstr(w->host->err.msg, says) == NULL) {
        fail_msg("%s: %s (expected %s: %s)", w->host->fail.problem, w->host->err.msg, problem,
                 says);
    }
    assert_int_equal(waiting_keys(w), before);
}

static void installed_repeats_the_identity_with_a_new_key(void **state)
{
    struct csr_world *w = *state;
    struct good g;
    char spki[65];

    good(w, BOTH ",'csr':{'mode':'installed'}", &g);
    assert_string_equal(g.info.subject, "C=DE, O=Example, OU=Web, OU=Ops, CN=www.example.com");
    assert_int_equal(g.info.names.dns.n, 2);
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P384);
    assert_true(g.info.must_staple && g.info.eku_server && !g.info.eku_client);
    assert_int_equal(clm_key_spki_sha256_hex(w->key, spki, NULL), CLM_OK);
    assert_string_not_equal(g.info.spki_sha256, spki);
    good_done(&g);
}

static void override_replaces_what_it_says_and_nothing_else(void **state)
{
    struct csr_world *w = *state;
    struct good g;

    good(w,
         "'sans':{'dns':['new.example.com']},'csr':{'mode':'override','sans':{'dns':"
         "['new.example.com']},'subject':{'o':'','ou':['Shop'],'l':'Kiel'},'key_type':'ec-p256',"
         "'hash':'sha512','must_staple':false}",
         &g);
    assert_string_equal(g.info.subject, "C=DE, L=Kiel, OU=Shop, CN=new.example.com");
    assert_int_equal(g.info.names.dns.n, 1);
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P256);
    assert_int_equal(g.info.hash, CLM_HASH_SHA512);
    assert_false(g.info.must_staple);
    good_done(&g);
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
    struct good g;

    set_template(w,
                 "{'web':{'subject':{'o':'Root','c':'DE'},'key_type':'ec-p384','hash':'sha384'}}");
    good(w,
         WWW ",'subject':{'CN':'www.example.com','O':'Asked'},'key':{'type':'ec-p256'},"
             "'csr':{'mode':'template','template':'web','subject':{'l':'Kiel'}}",
         &g);
    assert_string_equal(g.info.subject, "C=DE, L=Kiel, O=Root, CN=www.example.com");
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P384);
    assert_int_equal(g.info.hash, CLM_HASH_SHA384);
    good_done(&g);
    refused(w, WWW ",'csr':{'mode':'template','template':'web','hash':'sha256'}", "E_POLICY",
            "template 'web' of this host says what 'hash' is");
    refused(w, WWW ",'csr':{'mode':'template','template':'web','subject':{'o':'Other'}}",
            "E_POLICY", "says what 'o' is");
    refused(w, WWW ",'key':{'type':'ec-p256'},'csr':{'mode':'template','template':'none'}",
            "E_POLICY", "policy.csr_templates: there is no template 'none'");
}

static void an_inline_template_needs_nothing_else(void **state)
{
    struct csr_world *w = *state;
    struct good g;

    good(w,
         WWW ",'csr':{'mode':'template','subject':{'cn':'www.example.com','ou':['A','B']},"
             "'key_type':'ec-p256','must_staple':true}",
         &g);
    assert_string_equal(g.info.subject, "OU=A, OU=B, CN=www.example.com");
    assert_true(g.info.must_staple);
    good_done(&g);
    refused(w, WWW ",'csr':{'mode':'template'}", "E_SPEC", "what type the key is to be");
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
        refused(w, rows[i].text, rows[i].problem, rows[i].says);
    }
    clm_strs_done(&w->host->config.policy.subject_fields);
    refused(w, WWW ",'csr':{'mode':'template','key_type':'ec-p256','subject':{'l':'Kiel'}}",
            "E_POLICY", "policy.subject.fields: 'l'");
    refused(w, BOTH ",'csr':{'mode':'installed'}", "E_POLICY", "policy.subject.fields");
}

static void allowed_mail_names_and_purposes_get_in(void **state)
{
    struct csr_world *w = *state;
    struct clm_policy *policy = &w->host->config.policy;
    struct good g;

    assert_int_equal(clm_strs_add(&policy->emails, "*@example.com", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->uris, "spiffe://example.com/*", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->eku, "client", NULL), CLM_OK);
    good(w,
         WWW ",'csr':{'mode':'template','key_type':'ec-p256','eku':['server','client'],"
             "'sans':{'email':['ops@EXAMPLE.com'],'uri':['spiffe://example.com/web']}}",
         &g);
    assert_string_equal(g.info.emails.v[0], "ops@example.com");
    assert_string_equal(g.info.uris.v[0], "spiffe://example.com/web");
    assert_true(g.info.eku_client);
    good_done(&g);
}

static void a_reused_key_is_the_installed_one(void **state)
{
    struct csr_world *w = *state;
    struct good g;
    char spki[65];

    w->host->config.policy.key_reuse = true;
    assert_int_equal(clm_key_spki_sha256_hex(w->key, spki, NULL), CLM_OK);
    good(w, BOTH ",'csr':{'mode':'installed','key':'reuse'}", &g);
    assert_string_equal(g.info.spki_sha256, spki);
    good_done(&g);
    refused(w, BOTH ",'csr':{'mode':'override','key_type':'ec-p256','key':'reuse'}", "E_STATE",
            "the key that is to be used again is ec-p384, not ec-p256");
}

static void a_request_can_be_sent_again(void **state)
{
    struct csr_world *w = *state;
    struct good first;
    struct good second;
    char text[256];

    w->host->config.policy.key_reuse = true;
    good(w, WWW ",'key':{'type':'ec-p256'}", &first);
    (void)snprintf(text, sizeof(text),
                   WWW ",'key':{'type':'ec-p256','key_ref':'%s'},"
                       "'csr':{'mode':'reuse_csr'}",
                   clm_json_text(clm_json_get(first.reply, "key_ref")));
    good(w, text, &second);
    assert_string_equal(first.info.sha256, second.info.sha256);
    assert_string_not_equal(clm_json_text(clm_json_get(first.reply, "key_ref")),
                            clm_json_text(clm_json_get(second.reply, "key_ref")));
    refused(w, WWW ",'csr':{'mode':'reuse_csr'}", "E_STATE", "no request of this certificate");
    refused(w,
            WWW ",'key':{'type':'ec-p256','key_ref':'key_01J9ZK3W5V7M2Q8R4T6Y0X1B3C'},"
                "'csr':{'mode':'reuse_csr'}",
            "E_STATE", "is not kept here");
    good_done(&first);
    good_done(&second);
}

/* A request by key for www and api, as JSON text: lines joined by \n. */
static void make_upload(struct csr_world *w, const struct clm_key *key,
                        const struct clm_csr_request *change, char dst[30000])
{
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    struct clm_csr_request request = {.common_name = "www.example.com", .eku_server = true};
    size_t used = 0;

    if (change != NULL) {
        request = *change;
    }
    clm_test_names("www.example.com,api.example.com", &names);
    if (request.names == NULL) {
        request.names = &names;
    }
    assert_int_equal(clm_csr_build(w->host->rng, key, &request, &der, NULL), CLM_OK);
    assert_int_equal(clm_csr_to_pem(der.data, der.len, &pem, NULL), CLM_OK);
    for (const char *p = clm_buf_str(&pem); *p != '\0'; p++) {
        used += (size_t)snprintf(dst + used, 30000 - used, *p == '\n' ? "\\n" : "%c", *p);
    }
}

static void upload_text(const char *pem, char dst[32000])
{
    (void)snprintf(dst, 32000, BOTH ",'csr':{'mode':'uploaded','csr_pem':'%s'}", pem);
}

static void an_uploaded_request_finds_its_key_at_the_target(void **state)
{
    struct csr_world *w = *state;
    char pem[30000];
    char text[32000];
    struct good g;

    make_upload(w, w->key, NULL, pem);
    upload_text(pem, text);
    good(w, text, &g);
    assert_string_equal(clm_json_text(clm_json_get(g.reply, "key_storage")), "file");
    assert_int_equal(waiting_keys(w), 1);
    good_done(&g);
}

static void an_uploaded_request_without_its_key_is_only_issued(void **state)
{
    struct csr_world *w = *state;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *elsewhere = NULL;
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {.key = NULL};
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf other = {.key = NULL};
    struct clm_json *body;
    struct clm_json *reply = NULL;
    char pem[30000];
    char text[32000];
    struct good g;

    assert_int_equal(clm_key_generate(w->host->rng, CLM_KEY_EC_P256, &elsewhere, NULL), CLM_OK);
    make_upload(w, elsewhere, NULL, pem);
    upload_text(pem, text);
    good(w, text, &g);
    assert_string_equal(clm_json_text(clm_json_get(g.reply, "key_storage")), "elsewhere");
    assert_null(clm_json_get(g.reply, "key_ref"));
    assert_int_equal(waiting_keys(w), 0);

    clm_test_leaf_make(w->host->ca, "www.example.com,api.example.com", CLM_TEST_GOOD, &other);
    body = body_of(g.job_id);
    clm_json_set_str(body, "chain_pem", clm_buf_str(&other.full_pem));
    assert_int_not_equal(host_world_ask(w->host, CLM_OP_CERT_PUT, body, NULL), CLM_OK);
    assert_non_null(strstr(w->host->err.msg, "certificate is for another key"));

    clm_test_leaf_for_key(w->host->ca, "www.example.com,api.example.com", elsewhere, &leaf);
    body = body_of(g.job_id);
    clm_json_set_str(body, "chain_pem", clm_buf_str(&leaf.full_pem));
    if (host_world_ask(w->host, CLM_OP_CERT_PUT, body, &reply) != CLM_OK) {
        fail_msg("%s", w->host->err.msg);
    }
    bool is_installable = true;
    assert_int_equal(clm_json_bool(reply, "installable", &is_installable, NULL), CLM_OK);
    assert_false(is_installable);
    assert_non_null(
        strstr(clm_json_text(clm_json_get(reply, "note")), "not the one at the target"));
    clm_json_free(reply);
    assert_int_equal(waiting_keys(w), 0);
    good_done(&g);
}

static void bad_uploads_are_refused(void **state)
{
    struct csr_world *w = *state;
    CLM_CLEANUP(clm_names_done) struct clm_names alien = {.dns = {NULL, 0}};
    struct clm_csr_request change = {.names = NULL};
    char pem[30000];
    char text[32000];

    w->host->config.policy.orders_per_day = 100;
    make_upload(w, w->key, NULL, pem);
    pem[200] = pem[200] == 'A' ? 'B' : 'A';
    upload_text(pem, text);
    refused(w, text, "E_SPEC", "certificate request: ");
    upload_text("-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n", text);
    refused(w, text, "E_SPEC", "the text holds a private key");
    upload_text("hello", text);
    refused(w, text, "E_SPEC", "no request in PEM");
    clm_test_names("www.example.com,www.other.test", &alien);
    change = (struct clm_csr_request){.names = &alien};
    make_upload(w, w->key, &change, pem);
    upload_text(pem, text);
    refused(w, text, "E_NAME_POLICY", "'www.other.test' is not allowed");
    change = (struct clm_csr_request){.common_name = "evil.test", .eku_server = true};
    make_upload(w, w->key, &change, pem);
    upload_text(pem, text);
    refused(w, text, "E_NAME_POLICY", "the common name 'evil.test'");
    change = (struct clm_csr_request){.eku_client = true};
    make_upload(w, w->key, &change, pem);
    upload_text(pem, text);
    refused(w, text, "E_POLICY", "policy.eku");
    memset(pem, 'A', 20000);
    pem[20000] = '\0';
    upload_text(pem, text);
    refused(w, text, "E_SPEC", "csr_pem");
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
    struct good g;

    declare_secret(w);
    root_io_text(w->host->tree, "/etc/scep", "sesame open\n");
    w->host->io.owners = open_to_all;
    refused(w, text, "E_POLICY", "challenge password 'scep': ");
    assert_null(strstr(w->host->err.msg, "sesame"));
    w->host->io.owners = private;
    good(w, text, &g);
    assert_true(g.info.has_challenge_password);
    good_done(&g);
}

static enum clm_code put(struct csr_world *w, const char *job_id, const struct clm_test_leaf *leaf,
                         struct clm_json **reply)
{
    struct clm_json *body = body_of(job_id);

    clm_json_set_str(body, "chain_pem", clm_buf_str(&leaf->full_pem));
    return host_world_ask(w->host, CLM_OP_CERT_PUT, body, reply);
}

static struct clm_key *waiting_key(struct csr_world *w, const char *job_id)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(16384);
    struct clm_key *key = NULL;
    char path[PATH_MAX + 128];
    FILE *file;
    char bytes[8192];

    (void)snprintf(path, sizeof(path), "%s/host/keys/key_%s/key.pem", w->host->state_dir,
                   job_id + strlen("job_"));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(clm_key_from_pem(bytes, fread(bytes, 1, sizeof(bytes), file), &key, NULL),
                     CLM_OK);
    (void)fclose(file);
    return key;
}

static void what_the_ca_changed_is_told(void **state)
{
    struct csr_world *w = *state;
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {.key = NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_json *reply = NULL;
    struct clm_key *key;
    struct good g;
    static const char *const sentences[] = {"the CA added the name 'api.example.com'",
                                            "the CA dropped O 'Example' from the subject",
                                            "the CA left must-staple out"};

    good(w,
         WWW ",'csr':{'mode':'template','key_type':'ec-p256','must_staple':true,"
             "'subject':{'cn':'www.example.com','o':'Example'}}",
         &g);
    key = waiting_key(w, g.job_id);
    clm_test_leaf_for_key(w->host->ca, "www.example.com,api.example.com", key, &leaf);
    if (put(w, g.job_id, &leaf, &reply) != CLM_OK) {
        fail_msg("%s", w->host->err.msg);
    }
    assert_int_equal(clm_json_print(clm_json_get(reply, "ca_changes"), false, &text, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(sentences); i++) {
        if (strstr(clm_buf_str(&text), sentences[i]) == NULL) {
            fail_msg("%s: %s", sentences[i], clm_buf_str(&text));
        }
    }
    clm_json_free(reply);
    clm_key_free(key);
    good_done(&g);
}

static void a_chain_must_end_where_root_says(void **state)
{
    struct csr_world *w = *state;
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {.key = NULL};
    char *bundle = w->host->config.policy.ca_bundle;
    struct clm_json *reply = NULL;
    struct clm_key *key;
    FILE *file;
    struct good g;

    good(w, WWW ",'key':{'type':'ec-p256'}", &g);
    key = waiting_key(w, g.job_id);
    clm_test_leaf_for_key(w->host->ca, "www.example.com", key, &leaf);
    assert_int_equal(clm_str_fmt(bundle, sizeof(w->host->config.policy.ca_bundle), NULL,
                                 "%s/roots.pem", w->host->state_dir),
                     CLM_OK);
    assert_int_not_equal(put(w, g.job_id, &leaf, NULL), CLM_OK);
    assert_non_null(strstr(w->host->err.msg, "policy.ca_bundle"));

    file = fopen(bundle, "w");
    (void)fputs(clm_buf_str(&w->host->ca_pem), file);
    (void)fclose(file);
    assert_int_not_equal(put(w, g.job_id, &leaf, NULL), CLM_OK);
    if (strstr(w->host->err.msg, "chain does not end at a CA in the file") == NULL) {
        fail_msg("%s", w->host->err.msg);
    }
    file = fopen(bundle, "a");
    (void)fputs(clm_test_ca_root_pem(w->host->ca), file);
    (void)fclose(file);
    if (put(w, g.job_id, &leaf, &reply) != CLM_OK) {
        fail_msg("%s", w->host->err.msg);
    }
    clm_json_free(reply);
    clm_key_free(key);
    good_done(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(an_uploaded_request_finds_its_key_at_the_target),
        TEST(an_uploaded_request_without_its_key_is_only_issued),
        TEST(bad_uploads_are_refused),
        TEST(the_challenge_password_is_in_the_request_and_nowhere_else),
        TEST(what_the_ca_changed_is_told),
        TEST(a_chain_must_end_where_root_says),
    };

    return cmocka_run_group_tests_name("csr", tests, NULL, NULL);
}
