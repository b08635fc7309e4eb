/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that were made elsewhere, and the certificates that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/host/csr_world.h"

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
    struct csr_good g;

    make_upload(w, w->key, NULL, pem);
    upload_text(pem, text);
    csr_world_good(w, text, &g);
    assert_string_equal(clm_json_text(clm_json_get(g.reply, "key_storage")), "file");
    assert_int_equal(csr_world_keys(w), 1);
    csr_world_good_done(&g);
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
    struct csr_good g;

    assert_int_equal(clm_key_generate(w->host->rng, CLM_KEY_EC_P256, &elsewhere, NULL), CLM_OK);
    make_upload(w, elsewhere, NULL, pem);
    upload_text(pem, text);
    csr_world_good(w, text, &g);
    assert_string_equal(clm_json_text(clm_json_get(g.reply, "key_storage")), "elsewhere");
    assert_null(clm_json_get(g.reply, "key_ref"));
    assert_int_equal(csr_world_keys(w), 0);

    clm_test_leaf_make(w->host->ca, "www.example.com,api.example.com", CLM_TEST_GOOD, &other);
    body = csr_world_body(g.job_id);
    clm_json_set_str(body, "chain_pem", clm_buf_str(&other.full_pem));
    assert_int_not_equal(host_world_ask(w->host, CLM_OP_CERT_PUT, body, NULL), CLM_OK);
    assert_non_null(strstr(w->host->err.msg, "certificate is for another key"));

    clm_test_leaf_for_key(w->host->ca, "www.example.com,api.example.com", elsewhere, &leaf);
    body = csr_world_body(g.job_id);
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
    assert_int_equal(csr_world_keys(w), 0);
    csr_world_good_done(&g);
}

static void a_target_without_a_key_has_not_that_of_an_upload(void **state)
{
    struct csr_world *w = *state;
    char path[PATH_MAX + 32];
    char pem[30000];
    char text[32000];
    struct csr_good g;

    (void)snprintf(path, sizeof(path), "%s/etc/nginx/www.key", w->host->tree);
    assert_int_equal(unlink(path), 0);
    make_upload(w, w->key, NULL, pem);
    upload_text(pem, text);
    csr_world_good(w, text, &g);
    assert_string_equal(clm_json_text(clm_json_get(g.reply, "key_storage")), "elsewhere");
    assert_int_equal(csr_world_keys(w), 0);
    csr_world_good_done(&g);
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
    csr_world_refused(w, text, "E_SPEC", "certificate request: ");
    upload_text("-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n", text);
    csr_world_refused(w, text, "E_SPEC", "the text holds a private key");
    upload_text("hello", text);
    csr_world_refused(w, text, "E_SPEC", "no request in PEM");
    clm_test_names("www.example.com,www.other.test", &alien);
    change = (struct clm_csr_request){.names = &alien};
    make_upload(w, w->key, &change, pem);
    upload_text(pem, text);
    csr_world_refused(w, text, "E_NAME_POLICY", "'www.other.test' is not allowed");
    change = (struct clm_csr_request){.common_name = "evil.test", .eku_server = true};
    make_upload(w, w->key, &change, pem);
    upload_text(pem, text);
    csr_world_refused(w, text, "E_NAME_POLICY", "the common name 'evil.test'");
    change = (struct clm_csr_request){.eku_client = true};
    make_upload(w, w->key, &change, pem);
    upload_text(pem, text);
    csr_world_refused(w, text, "E_POLICY", "policy.eku");
    memset(pem, 'A', 20000);
    pem[20000] = '\0';
    upload_text(pem, text);
    csr_world_refused(w, text, "E_SPEC", "csr_pem");
}

static enum clm_code put(struct csr_world *w, const char *job_id, const struct clm_test_leaf *leaf,
                         struct clm_json **reply)
{
    struct clm_json *body = csr_world_body(job_id);

    clm_json_set_str(body, "chain_pem", clm_buf_str(&leaf->full_pem));
    return host_world_ask(w->host, CLM_OP_CERT_PUT, body, reply);
}

static struct clm_key *waiting_key(struct csr_world *w, const char *job_id)
{
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
    struct csr_good g;
    static const char *const sentences[] = {"the CA added the name 'api.example.com'",
                                            "the CA dropped O 'Example' from the subject",
                                            "the CA left must-staple out"};

    csr_world_good(w,
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
    csr_world_good_done(&g);
}

static void a_chain_must_end_where_root_says(void **state)
{
    struct csr_world *w = *state;
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {.key = NULL};
    char *bundle = w->host->config.policy.ca_bundle;
    struct clm_json *reply = NULL;
    struct clm_key *key;
    FILE *file;
    struct csr_good g;

    csr_world_good(w, WWW ",'key':{'type':'ec-p256'}", &g);
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
    csr_world_good_done(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, csr_world_setup, csr_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_uploaded_request_finds_its_key_at_the_target),
        TEST(an_uploaded_request_without_its_key_is_only_issued),
        TEST(a_target_without_a_key_has_not_that_of_an_upload),
        TEST(bad_uploads_are_refused),
        TEST(what_the_ca_changed_is_told),
        TEST(a_chain_must_end_where_root_says),
    };

    return cmocka_run_group_tests_name("csr issued", tests, NULL, NULL);
}
