/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes without a change, where there is no certificate, no endpoint, or a wait for a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host/internal.h"
#include "tests/unit/host/deploy_world.h"

#define FILES "file:shop"
#define PIN   "1111111111111111111111111111111111111111111111111111111111111111"

/* A recheck_pinning of a target; the reply is the caller's. */
static struct clm_json *recheck(struct deploy_world *w, const char *target, const char *spec)
{
    struct clm_json *body = clm_json_new_object();
    struct clm_json *text = deploy_world_body(spec);
    struct clm_buf out = CLM_BUF_INIT(4096);
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];

    assert_int_equal(clm_json_print(text, false, &out, NULL), CLM_OK);
    host_world_accept(w->host, "recheck_pinning", target, ++w->seq, clm_buf_str(&out), job_id);
    clm_json_set_str(body, "job_id", job_id);
    clm_ignore(host_world_ask(w->host, CLM_OP_RECHECK, body, &reply));
    clm_buf_done(&out);
    clm_json_free(text);
    return reply;
}

static bool flag(const struct clm_json *obj, const char *key)
{
    bool value = false;

    assert_int_equal(clm_json_bool(obj, key, &value, NULL), CLM_OK);
    return value;
}

static void a_key_may_be_pinned_instead_of_a_certificate(void **state)
{
    struct deploy_world *w = *state;
    struct clm_bundle bundle;
    struct clm_json *reply;
    char spec[256];

    clm_test_leaf_bundle(&w->old_leaf, &bundle);
    (void)snprintf(spec, sizeof(spec), "{'expect':{'spki_pins':['" PIN "','%s']}}",
                   bundle.leaf.sha256); /* fake_io says so */
    clm_bundle_done(&bundle);
    reply = recheck(w, SITE, spec);
    assert_non_null(reply);
    assert_true(flag(clm_json_get(reply, "effects"), "match"));
    clm_json_free(reply);
}

/* The job says all: no scan is needed, and the target need not be here. */
static void a_job_may_say_where_and_what(void **state)
{
    struct deploy_world *w = *state;
    struct clm_json *reply = recheck(w, "nginx:gone.example.com",
                                     "{'connect':['127.0.0.1:443'],'expect':{'sha256':'" PIN "'}}");

    assert_non_null(reply);
    assert_false(flag(clm_json_get(reply, "effects"), "match"));
    assert_string_equal(deploy_world_text(reply, "error", "message"),
                        "another certificate is served");
    clm_json_free(reply);
    assert_null(recheck(w, "nginx:gone.example.com", "{}"));
    assert_string_equal(w->host->fail.problem, "E_STATE");
    assert_null(recheck(w, "nginx:gone.example.com", "{'connect':['127.0.0.1:443']}"));
    assert_string_equal(w->host->fail.problem, "E_STATE");
}

static void without_a_certificate_nothing_is_compared(void **state)
{
    struct deploy_world *w = *state;
    char path[PATH_MAX + 16];
    struct clm_json *reply = NULL;

    (void)snprintf(path, sizeof(path), "%s/www.pem", w->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(deploy_world_ask(w, CLM_OP_LOCAL_VERIFY, "{}", &reply), CLM_OK);
    assert_int_equal(clm_json_len(clm_json_get(reply, "targets")), 0);
    clm_json_free(reply);
    reply = recheck(w, SITE, "{}"); /* any certificate will do */
    assert_non_null(reply);
    assert_true(flag(clm_json_get(reply, "effects"), "match"));
    clm_json_free(reply);
}

/* Declared files of which nobody said where they are served. */
static void without_an_endpoint_nothing_is_proved(void **state)
{
    struct deploy_world *w = *state;
    struct clm_policy *policy = &w->host->config.policy;
    struct clm_declared *file = calloc(1, sizeof(*file));
    struct clm_json *reply = NULL;

    assert_non_null(file);
    file->outputs = calloc(1, sizeof(*file->outputs));
    assert_non_null(file->outputs);
    *file->outputs = (struct clm_declared_output){.content = "fullchain", .format = "pem"};
    (void)snprintf(file->outputs->path, sizeof(file->outputs->path), "%.4000s/www.pem", w->dir);
    file->n_outputs = 1;
    (void)strcpy(file->name, "shop");
    (void)strcpy(file->reload, "none");
    policy->files = file;
    policy->n_files = 1;
    assert_int_equal(clm_strs_add(&policy->targets_allow, FILES, NULL), CLM_OK);
    assert_int_equal(deploy_world_ask(w, CLM_OP_LOCAL_VERIFY, "{'target':'" FILES "'}", &reply),
                     CLM_OK);
    assert_false(flag(clm_json_first(clm_json_get(reply, "targets")), "ok"));
    clm_json_free(reply);
    reply = recheck(w, FILES, "{}");
    assert_non_null(reply);
    assert_string_equal(deploy_world_text(reply, "error", "message"),
                        "the target has no TLS endpoint");
    clm_json_free(reply);
}

/* ---- waiting for a restart ---- */

static void add_history(struct deploy_world *w, const char *endpoints)
{
    char text[512];
    struct clm_json *entry;

    (void)snprintf(text, sizeof(text),
                   "{'txid':'t','target':'" SITE "','result':'waiting_for_restart','at':5,"
                   "'steps':[],'endpoints':[%s]}",
                   endpoints);
    entry = deploy_world_body(text);
    assert_int_equal(clm_store_history_add(w->host->host->store, entry, NULL), CLM_OK);
    clm_json_free(entry);
}

/* What the history says of endpoints is damaged, or they say nothing: then it waits on. */
static void who_waits_is_told_until_it_is_seen(void **state)
{
    static const char *const endpoints[] = {
        "",
        "{}",
        "{'counted':7,'addr':'127.0.0.1','port':443}",
        "{'counted':false,'addr':'127.0.0.1','port':443}",
        "{'counted':true,'addr':'127.0.0.1','port':443}",
    };
    struct deploy_world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(endpoints); i++) {
        struct clm_json *reply;

        add_history(w, endpoints[i]);
        reply = recheck(w, SITE, "{}");
        assert_non_null(reply);
        assert_string_equal(deploy_world_text(reply, "effects", "state"), "waiting_for_restart");
        clm_json_free(reply);
        assert_int_equal(deploy_world_ask(w, CLM_OP_LOCAL_VERIFY, "{}", &reply), CLM_OK);
        assert_true(flag(clm_json_first(clm_json_get(reply, "targets")), "waiting_for_restart"));
        clm_json_free(reply);
    }
}

static void a_handshake_that_cannot_be_made_ends_no_wait(void **state)
{
    static const char entry[] = "{'txid':'t','target':'" SITE "','result':'waiting_for_restart',"
                                "'after_sha256':'" PIN "','at':5,'steps':[],'endpoints':[{"
                                "'counted':true,'addr':'','port':'x'}]}";
    struct deploy_world *w = *state;
    struct clm_json *json = deploy_world_body(entry);

    assert_int_equal(clm_store_history_add(w->host->host->store, json, NULL), CLM_OK);
    clm_json_free(json);
    assert_true(clm_host_is_waiting(w->host->host, SITE));
    json = deploy_world_body("{'txid':'t','target':'" SITE "','result':'waiting_for_restart',"
                             "'after_sha256':'" PIN "','at':6,'steps':[],'endpoints':[{"
                             "'counted':true,'addr':'127.0.0.1','port':443}]}");
    assert_int_equal(clm_store_history_add(w->host->host->store, json, NULL), CLM_OK);
    clm_json_free(json);
    w->server.probe_error = CLM_E_NET;
    assert_true(clm_host_is_waiting(w->host->host, SITE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, deploy_world_setup, deploy_world_teardown)
        IN_WORLD(a_key_may_be_pinned_instead_of_a_certificate),
        IN_WORLD(a_job_may_say_where_and_what),
        IN_WORLD(without_a_certificate_nothing_is_compared),
        IN_WORLD(without_an_endpoint_nothing_is_proved),
        IN_WORLD(who_waits_is_told_until_it_is_seen),
        IN_WORLD(a_handshake_that_cannot_be_made_ends_no_wait),
    };

    return cmocka_run_group_tests_name("host_op_verify", tests, NULL, NULL);
}
