/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that change nothing: hello, scan, status, history, explain, a dry run, handshakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/host/deploy_world.h"

#define PIN "1111111111111111111111111111111111111111111111111111111111111111"

static struct clm_json *asked(struct deploy_world *w, enum clm_op op, const char *text)
{
    struct clm_json *reply = NULL;

    if (deploy_world_ask(w, op, text, &reply) != CLM_OK) {
        fail_msg("%s %s: %s", clm_op_name(op), text, w->host->err.msg);
    }
    return reply;
}

static bool flag(const struct clm_json *obj, const char *key)
{
    bool value = false;

    assert_int_equal(clm_json_bool(obj, key, &value, NULL), CLM_OK);
    return value;
}

static const struct clm_json *first(const struct clm_json *obj, const char *key)
{
    return clm_json_first(clm_json_get(obj, key));
}

static const char *text(const struct clm_json *obj, const char *key)
{
    const char *value = clm_json_text(clm_json_get(obj, key));

    return value != NULL ? value : "";
}

/* A deployment of a fresh certificate; its digits into sha256. */
static void deploy(struct deploy_world *w, char sha256[CLM_SHA256_HEX_SIZE])
{
    struct deploy_order order;
    char *spec;

    deploy_world_order(w, "notify", true, &order);
    spec = deploy_world_spec(&order, "");
    assert_int_equal(deploy_world_job(w, "deploy", CLM_OP_DEPLOY, spec, NULL), CLM_OK);
    free(spec);
    memcpy(sha256, order.sha256, CLM_SHA256_HEX_SIZE);
    clm_test_leaf_done(&order.leaf);
}

/* ---- who asks, and what for ---- */

static enum clm_code ignore_event(void *arg, const struct clm_json *event, struct clm_err *err)
{
    (void)arg;
    (void)event;
    (void)err;
    return CLM_OK;
}

static void only_root_may_ask_for_what_is_roots(void **state)
{
    static const struct {
        int op;
        enum clm_code code;
        const char *problem;
    } rows[] = {
        {CLM_OP_EXPLAIN, CLM_E_PERM, "E_POLICY"},
        {CLM_OP_LOCAL_ROLLBACK, CLM_E_PERM, "E_POLICY"},
        {CLM_OP_TRUST_PUT, CLM_E_PERM, "E_POLICY"},
        {CLM_OP_STATUS, CLM_OK, ""},
        {CLM_OP_NONE, CLM_E_UNSUPPORTED, "E_STATE"},
        {CLM_OP__COUNT, CLM_E_UNSUPPORTED, "E_STATE"},
    };
    struct deploy_world *w = *state;
    const struct clm_host_session session = {.event = ignore_event};

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
        CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = clm_json_new_object();
        const struct clm_host_question question = {(enum clm_op)rows[i].op, body};
        struct clm_fail fail;
        struct clm_err err = {0};

        if (clm_host_request(w->host->host, &session, &question, reply, &fail, &err) !=
                rows[i].code ||
            strcmp(fail.problem, rows[i].problem) != 0) {
            fail_msg("row %zu: %s %s", i, fail.problem, err.msg);
        }
    }
}

static void hello_says_who_we_are_and_which_policy_holds(void **state)
{
    struct deploy_world *w = *state;
    char before[96];
    struct clm_json *reply = asked(w, CLM_OP_HELLO, "{'v':1}");

    assert_string_equal(text(reply, "agent_id"), WORLD_AGENT);
    assert_string_equal(text(reply, "tenant"), WORLD_TENANT);
    (void)snprintf(before, sizeof(before), "%s", text(reply, "policy_digest"));
    clm_json_free(reply);
    root_io_text(w->dir, "/clmbot.yaml", "policy: {}\n");
    (void)snprintf(w->host->config.path, sizeof(w->host->config.path), "%.4000s/clmbot.yaml",
                   w->dir);
    reply = asked(w, CLM_OP_HELLO, "{'v':1}");
    assert_string_not_equal(text(reply, "policy_digest"), before);
    assert_true(clm_str_starts(text(reply, "policy_digest"), "sha256:"));
    clm_json_free(reply);
    deploy_world_refused(w, CLM_OP_HELLO, "{'v':2}", "E_INTERNAL", "2 is not between");
}

/* Until it is known what an earlier process left, nothing else is done. */
static void failed_recovery_is_tried_again_at_each_request(void **state)
{
    struct deploy_world *w = *state;
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/host/txn", w->host->state_dir);
    root_io_remove(path);
    root_io_text(w->host->state_dir, "/host/txn", "no directory");
    host_world_restart(w->host);
    for (int i = 0; i < 2; i++) {
        deploy_world_refused(w, CLM_OP_STATUS, "{}", "E_INTERNAL", "/host/txn");
    }
    assert_int_equal(unlink(path), 0);
    clm_json_free(asked(w, CLM_OP_STATUS, "{}"));
}

static void scan_looks_for_what_it_is_asked_for(void **state)
{
    struct deploy_world *w = *state;
    struct clm_json *reply = asked(w, CLM_OP_SCAN, "{}");

    assert_string_equal(text(first(reply, "services"), "kind"), "nginx");
    clm_json_free(reply);
    reply = asked(w, CLM_OP_SCAN, "{'kinds':['apache']}");
    assert_int_equal(clm_json_len(clm_json_get(reply, "services")), 0);
    clm_json_free(reply);
    deploy_world_refused(w, CLM_OP_SCAN, "{'kinds':['nginx',7]}", "E_INTERNAL", "not a string");
}

static void status_and_history_tell_what_is_installed(void **state)
{
    struct deploy_world *w = *state;
    char sha256[CLM_SHA256_HEX_SIZE];
    struct clm_json *reply = asked(w, CLM_OP_STATUS, "{}");

    assert_int_equal(clm_json_len(clm_json_get(reply, "targets")), 0);
    clm_json_free(reply);
    deploy(w, sha256);
    reply = asked(w, CLM_OP_STATUS, "{}");
    assert_string_equal(text(first(reply, "targets"), "sha256"), sha256);
    assert_string_equal(text(first(reply, "targets"), "state"), "installed");
    assert_int_equal(clm_json_len(clm_json_get(reply, "last")), 1);
    clm_json_free(reply);
    reply = asked(w, CLM_OP_HISTORY, "{'target':'" SITE "'}");
    assert_int_equal(clm_json_len(clm_json_get(reply, "transactions")), 1);
    clm_json_free(reply);
    reply = asked(w, CLM_OP_HISTORY, "{'target':'nginx:other.example.com'}");
    assert_int_equal(clm_json_len(clm_json_get(reply, "transactions")), 0);
    clm_json_free(reply);
    deploy_world_refused(w, CLM_OP_HISTORY, "{'target':7}", "E_INTERNAL", "target");
}

/* ---- dry run ---- */

static void dry_run_tells_the_steps_and_runs_only_the_tests(void **state)
{
    struct deploy_world *w = *state;
    struct clm_json *reply = asked(w, CLM_OP_LOCAL_PLAN, "{'target':'" SITE "'}");
    const struct clm_json *test;

    assert_true(clm_json_len(clm_json_get(reply, "lines")) >= 4);
    assert_int_equal(w->server.runs, 0);
    clm_json_free(reply);
    reply = asked(w, CLM_OP_LOCAL_PLAN, "{'target':'" SITE "','check':true}");
    test = first(reply, "tests");
    assert_string_equal(text(test, "program"), "/usr/sbin/nginx");
    assert_string_equal(clm_json_text(first(test, "output")), "fake: in a.conf:");
    assert_true(w->server.runs > 0);
    assert_int_equal(w->server.reloads, 0);
    clm_json_free(reply);
    deploy_world_refused(w, CLM_OP_LOCAL_PLAN, "{}", "E_INTERNAL", "target");
    deploy_world_refused(w, CLM_OP_LOCAL_PLAN, "{'target':'" SITE "','check':1}", "E_INTERNAL",
                         "check");
}

static void what_cannot_be_planned_says_why(void **state)
{
    static const struct {
        const char *target;
        const char *problem;
        const char *says;
    } rows[] = {
        {"nginx:intranet.example.com", "E_POLICY", "policy.targets"},
        {"nginx:nobody.example.com", "E_STATE", "is not on this host"},
        {"apache:www.example.com", "E_POLICY", "policy.targets"},
        {"nginx:", "E_STATE", "is no target id"},
    };
    struct deploy_world *w = *state;
    char body[256];

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        (void)snprintf(body, sizeof(body), "{'target':'%s'}", rows[i].target);
        deploy_world_refused(w, CLM_OP_LOCAL_PLAN, body, rows[i].problem, rows[i].says);
    }
    assert_int_equal(clm_strs_add(&w->host->config.policy.targets_allow, "*", NULL), CLM_OK);
    deploy_world_refused(w, CLM_OP_LOCAL_PLAN,
                         "{'target':'averyveryveryverylongkindofserver:www.example.com'}",
                         "E_STATE", "is no target id");
}

/* ---- explain ---- */

static const struct clm_json *rule(const struct clm_json *reply, const char *name)
{
    for (const struct clm_json *at = first(reply, "policy"); at != NULL; at = clm_json_next(at)) {
        if (strcmp(text(at, "rule"), name) == 0) {
            return at;
        }
    }
    return NULL;
}

static void explain_tells_files_rules_and_generations(void **state)
{
    struct deploy_world *w = *state;
    char sha256[CLM_SHA256_HEX_SIZE];
    char key[PATH_MAX + 16];
    struct clm_json *reply;

    root_io_text(w->host->tree, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    root_io_text(w->host->tree, "/etc/group", "root:x:0:\n");
    deploy(w, sha256);
    reply = asked(w, CLM_OP_EXPLAIN, "{'target':'" SITE "'}");
    assert_int_equal(clm_json_len(clm_json_get(reply, "files")), 2);
    assert_true(clm_str_starts(text(first(reply, "files"), "perm"), "0600 "));
    assert_true(flag(rule(reply, "policy.write_roots"), "allowed"));
    assert_true(flag(rule(reply, "policy.names"), "allowed"));
    assert_true(flag(clm_json_get(reply, "plan"), "ok"));
    assert_int_equal(clm_json_len(clm_json_get(reply, "generations")), 2);
    assert_string_equal(text(first(reply, "generations"), "origin"), "imported");
    assert_string_equal(text(clm_json_next(first(reply, "generations")), "origin"), "deployed");
    assert_int_equal(clm_json_len(clm_json_get(reply, "history")), 1);
    clm_json_free(reply);

    /* Refusals are answers, too: a name and a root are taken away, the key is gone. */
    clm_strs_done(&w->host->config.policy.names_allow);
    clm_strs_done(&w->host->config.policy.write_roots);
    (void)snprintf(key, sizeof(key), "%s/www.key", w->dir);
    assert_int_equal(unlink(key), 0);
    reply = asked(w, CLM_OP_EXPLAIN, "{'target':'" SITE "'}");
    assert_false(flag(rule(reply, "policy.names"), "allowed"));
    assert_non_null(strstr(text(rule(reply, "policy.names"), "message"), "www.example.com"));
    assert_false(flag(rule(reply, "policy.write_roots"), "allowed"));
    assert_string_equal(text(clm_json_next(first(reply, "files")), "problem"), "is not there");
    assert_false(flag(clm_json_get(reply, "plan"), "ok"));
    assert_true(text(clm_json_get(reply, "plan"), "message")[0] != '\0');
    clm_json_free(reply);
    deploy_world_refused(w, CLM_OP_EXPLAIN, "{}", "E_INTERNAL", "target");
    deploy_world_refused(w, CLM_OP_EXPLAIN, "{'target':'nginx:a.example.com'}", "E_STATE",
                         "is not on this host");
}

/* ---- handshakes ---- */

static void verify_compares_what_is_served_with_the_files(void **state)
{
    struct deploy_world *w = *state;
    struct clm_json *reply = asked(w, CLM_OP_LOCAL_VERIFY, "{}");

    assert_true(flag(first(reply, "targets"), "ok"));
    assert_false(flag(first(reply, "targets"), "waiting_for_restart"));
    clm_json_free(reply);
    w->server.shadowed_port = 443;
    reply = asked(w, CLM_OP_LOCAL_VERIFY, "{'target':'" SITE "'}");
    assert_false(flag(first(reply, "targets"), "ok"));
    clm_json_free(reply);
    w->server.shadowed_port = 0;
    w->server.dead_port = 443;
    reply = asked(w, CLM_OP_LOCAL_VERIFY, "{'target':'" SITE "'}");
    assert_false(flag(first(reply, "targets"), "ok"));
    clm_json_free(reply);
    w->server.probe_error = CLM_E_NOMEM;
    deploy_world_refused(w, CLM_OP_LOCAL_VERIFY, "{'target':'" SITE "'}", "E_INTERNAL", "");
    deploy_world_refused(w, CLM_OP_LOCAL_VERIFY, "{'target':'nginx:a.example.com'}", "E_STATE",
                         "is not on this host");
    deploy_world_refused(w, CLM_OP_LOCAL_VERIFY, "{'target':7}", "E_INTERNAL", "target");
}

static void recheck_answers_whether_it_matches(void **state)
{
    static const struct {
        const char *spec;
        const char *outcome;
        const char *says;
        bool match;
    } rows[] = {
        {"{}", "succeeded", "", true},
        {"{'expect':{'sha256':'" PIN "'}}", "failed", "", false},
        {"{'expect':{'sha256':'" PIN "'},'fail_on':'never'}", "succeeded", "", false},
        {"{'expect':{'spki_pins':['" PIN "']}}", "failed", "", false},
        {"{'connect':['127.0.0.1:443']}", "succeeded", "", true},
        {"{'connect':['[::1]:443']}", "succeeded", "", true},
    };
    struct deploy_world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *spec = deploy_world_body(rows[i].spec);
        struct clm_buf out = CLM_BUF_INIT(4096);
        struct clm_json *reply = NULL;

        assert_int_equal(clm_json_print(spec, false, &out, NULL), CLM_OK);
        if (deploy_world_job(w, "recheck_pinning", CLM_OP_RECHECK, clm_buf_str(&out), &reply) !=
            CLM_OK) {
            fail_msg("row %zu: %s", i, w->host->err.msg);
        }
        if (strcmp(text(reply, "outcome"), rows[i].outcome) != 0 ||
            flag(clm_json_get(reply, "effects"), "match") != rows[i].match) {
            fail_msg("row %zu: %s", i, text(reply, "outcome"));
        }
        clm_json_free(reply);
        clm_buf_done(&out);
        clm_json_free(spec);
    }
}

/* The agent is no port scanner, unless root says so. */
static void recheck_beyond_this_host_needs_the_policy(void **state)
{
    struct deploy_world *w = *state;
    struct clm_json *reply = NULL;

    assert_int_equal(deploy_world_job(w, "recheck_pinning", CLM_OP_RECHECK,
                                      "{\"connect\":[\"192.0.2.1:443\"]}", NULL),
                     CLM_E_PERM);
    assert_string_equal(w->host->fail.problem, "E_POLICY");
    w->host->config.policy.probe_remote = true;
    assert_int_equal(deploy_world_job(w, "recheck_pinning", CLM_OP_RECHECK,
                                      "{\"connect\":[\"192.0.2.1:443\"]}", &reply),
                     CLM_OK);
    clm_json_free(reply);
    w->server.probe_error = CLM_E_NOMEM;
    assert_int_equal(deploy_world_job(w, "recheck_pinning", CLM_OP_RECHECK, "{}", NULL),
                     CLM_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, deploy_world_setup, deploy_world_teardown)
        IN_WORLD(only_root_may_ask_for_what_is_roots),
        IN_WORLD(hello_says_who_we_are_and_which_policy_holds),
        IN_WORLD(failed_recovery_is_tried_again_at_each_request),
        IN_WORLD(scan_looks_for_what_it_is_asked_for),
        IN_WORLD(status_and_history_tell_what_is_installed),
        IN_WORLD(dry_run_tells_the_steps_and_runs_only_the_tests),
        IN_WORLD(what_cannot_be_planned_says_why),
        IN_WORLD(explain_tells_files_rules_and_generations),
        IN_WORLD(verify_compares_what_is_served_with_the_files),
        IN_WORLD(recheck_answers_whether_it_matches),
        IN_WORLD(recheck_beyond_this_host_needs_the_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
