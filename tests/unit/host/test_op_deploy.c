/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that change a target, from their request to what is on disk: deploy, roll back, close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/host/deploy_world.h"

#define NO_SHA "0000000000000000000000000000000000000000000000000000000000000000"

static struct clm_json *job_body(const char *job_id)
{
    struct clm_json *body = clm_json_new_object();

    clm_json_set_str(body, "job_id", job_id);
    return body;
}

/* A deploy job; *out_reply may be NULL. */
static enum clm_code deploy(struct deploy_world *w, const struct deploy_order *order,
                            const char *extra, struct clm_json **out_reply)
{
    char *spec = deploy_world_spec(order, extra);
    enum clm_code code = deploy_world_job(w, "deploy", CLM_OP_DEPLOY, spec, out_reply);

    free(spec);
    return code;
}

/* The outcome, and the code of the error if there is one. */
static void assert_outcome(const struct clm_json *reply, const char *outcome, const char *error,
                           const char *says)
{
    const char *message = deploy_world_text(reply, "error", "message");

    if (strcmp(clm_json_text(clm_json_get(reply, "outcome")), outcome) != 0 ||
        strcmp(deploy_world_text(reply, "error", "code"), error) != 0 ||
        strstr(message, says) == NULL) {
        fail_msg("%s, %s: %s; expected %s, %s: %s", clm_json_text(clm_json_get(reply, "outcome")),
                 deploy_world_text(reply, "error", "code"), message, outcome, error, says);
    }
}

static void assert_in_file(const struct deploy_world *w, const char *sha256)
{
    char now[CLM_SHA256_HEX_SIZE];

    deploy_world_in_file(w, now);
    assert_string_equal(now, sha256);
}

static void a_deployment_is_proved_and_answered_again(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *reply = NULL;
    struct clm_json *again = NULL;
    char job_id[CLM_ID_SIZE];
    char old[CLM_SHA256_HEX_SIZE];
    char *spec;

    deploy_world_in_file(w, old);
    deploy_world_order(w, "notify", true, &order);
    spec = deploy_world_spec(&order, ",'retain':5");
    host_world_accept(w->host, "deploy", SITE, ++w->seq, spec, job_id);
    free(spec);
    if (host_world_ask(w->host, CLM_OP_DEPLOY, job_body(job_id), &reply) != CLM_OK) {
        fail_msg("%s", w->host->err.msg);
    }
    assert_outcome(reply, "succeeded", "", "");
    assert_in_file(w, order.sha256);
    assert_string_equal(deploy_world_text(clm_json_get(reply, "effects"), "before", "sha256"), old);
    assert_string_equal(deploy_world_text(clm_json_get(reply, "effects"), "after", "sha256"),
                        order.sha256);
    assert_int_equal(w->server.reloads, 1);
    assert_int_equal(host_world_ask(w->host, CLM_OP_DEPLOY, job_body(job_id), &again), CLM_OK);
    assert_outcome(again, "succeeded", "", "");
    assert_int_equal(w->server.reloads, 1); /* it was not done twice */
    clm_json_free(again);
    clm_json_free(reply);
    assert_int_equal(deploy(w, &order, "", &reply), CLM_OK); /* another job for the same leaf */
    assert_outcome(reply, "skipped", "", "");
    clm_json_free(reply);
    clm_test_leaf_done(&order.leaf);
}

/* The job brings the chain itself; the key has been waiting since the order. */
static void a_certificate_that_only_the_job_has_is_gated_and_kept(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct deploy_order wrong;
    struct clm_json *reply = NULL;

    deploy_world_order(w, "notify", false, &order);
    wrong = order;
    memcpy(wrong.sha256, NO_SHA, sizeof(wrong.sha256));
    assert_int_equal(deploy(w, &wrong, "", &reply), CLM_OK);
    assert_outcome(reply, "failed", "E_INTERNAL", "the chain holds another leaf than sha256");
    clm_json_free(reply);
    deploy_world_order(w, "notify", false, &order);
    assert_int_equal(deploy(w, &order, "", &reply), CLM_OK);
    assert_outcome(reply, "succeeded", "", "");
    assert_in_file(w, order.sha256);
    clm_json_free(reply);
    clm_test_leaf_done(&wrong.leaf);
    clm_test_leaf_done(&order.leaf);
}

/* text, with the directory of the certificate for its first %s. */
static void in_dir(const struct deploy_world *w, const char *text, char dst[PATH_MAX + 256])
{
    const char *at = strstr(text, "%s");
    int before = at != NULL ? (int)(at - text) : (int)strlen(text);

    (void)snprintf(dst, PATH_MAX + 256, "%.*s%s%s", before, text, at != NULL ? w->dir : "",
                   at != NULL ? at + 2 : "");
}

static void refusals_before_the_transaction_are_results(void **state)
{
    static const struct {
        const char *extra;
        const char *outcome;
        const char *error;
        const char *says;
    } rows[] = {
        {",'store':{'cert':'/etc/passwd'}", "rejected", "E_PATH", "names other files"},
        {",'store':{'key':'/etc/passwd'}", "rejected", "E_PATH", "names other files"},
        {",'store':{'cert':'%s/www.pem','key':'/etc/passwd'}", "rejected", "E_PATH",
         "names other files"},
        {",'pre_checks':{'expect_current_sha256':'" NO_SHA "'}", "failed", "E_DRIFT", "expected"},
    };
    struct deploy_world *w = *state;
    struct deploy_order order;
    char old[CLM_SHA256_HEX_SIZE];

    deploy_world_in_file(w, old);
    deploy_world_order(w, "notify", true, &order);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *reply = NULL;
        char extra[PATH_MAX + 256];

        in_dir(w, rows[i].extra, extra);
        assert_int_equal(deploy(w, &order, extra, &reply), CLM_OK);
        assert_outcome(reply, rows[i].outcome, rows[i].error, rows[i].says);
        assert_in_file(w, old);
        clm_json_free(reply);
    }
    clm_test_leaf_done(&order.leaf);
}

/* Of a chain for another key, and for a target that is gone. */
static void what_cannot_be_deployed_at_all_is_rejected(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct deploy_order other;
    struct clm_json *reply = NULL;

    deploy_world_order(w, "notify", false, &order);
    deploy_world_order(w, "notify", false, &other);
    (void)memcpy(other.key_ref, order.key_ref, sizeof(other.key_ref));
    assert_int_equal(deploy(w, &other, "", &reply), CLM_OK);
    assert_outcome(reply, "rejected", "E_CERTIFICATE", "certificate refused: ");
    clm_json_free(reply);
    root_io_text(w->host->tree, "/etc/nginx/nginx.conf", "events {}\nhttp { }\n");
    assert_int_equal(deploy(w, &order, "", &reply), CLM_OK);
    assert_outcome(reply, "rejected", "E_STATE", "is not on this host");
    clm_json_free(reply);
    assert_int_equal(deploy(w, &order, ",'store':{'cert':'/etc/passwd'}", &reply), CLM_OK);
    assert_outcome(reply, "rejected", "E_STATE", "is not on this host");
    clm_json_free(reply);
    clm_test_leaf_done(&other.leaf);
    clm_test_leaf_done(&order.leaf);
}

/* The files can be put back; their certificate is not kept any more, or never was. */
static void a_rollback_needs_the_certificate(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *reply = NULL;
    char path[PATH_MAX + 32];

    deploy_world_order(w, "notify", true, &order);
    assert_int_equal(deploy(w, &order, "", &reply), CLM_OK);
    assert_outcome(reply, "succeeded", "", "");
    clm_json_free(reply);
    deploy_world_refused(w, CLM_OP_LOCAL_ROLLBACK, "{'target':'" SITE "','version':9}", "E_STATE",
                         "9");
    deploy_world_refused(w, CLM_OP_LOCAL_ROLLBACK, "{'target':'" SITE "'}", "E_INTERNAL",
                         "version");
    deploy_world_refused(w, CLM_OP_LOCAL_ROLLBACK, "{'version':-1}", "E_INTERNAL", "target");
    (void)snprintf(path, sizeof(path), "%s/host/bundles", w->host->state_dir);
    root_io_remove(path);
    assert_int_not_equal(
        deploy_world_ask(w, CLM_OP_LOCAL_ROLLBACK, "{'target':'" SITE "','version':-1}", NULL),
        CLM_OK);
    assert_in_file(w, order.sha256);
    clm_test_leaf_done(&order.leaf);
}

/* Accepted while root allowed it; now root does not. */
static void a_failure_is_not_left_when_root_has_changed_his_mind(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *job;
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];
    char old[CLM_SHA256_HEX_SIZE];
    char *spec;

    deploy_world_in_file(w, old);
    deploy_world_order(w, "notify", true, &order);
    spec = deploy_world_spec(&order, "");
    job = host_world_job(w->host, "deploy", SITE, ++w->seq, spec);
    free(spec);
    clm_json_set_str(job, "on_failure", "stop");
    (void)snprintf(job_id, sizeof(job_id), "%s", clm_json_text(clm_json_get(job, "job_id")));
    w->host->config.policy.allow_leave = true;
    assert_int_equal(
        host_world_ask(w->host, CLM_OP_JOB_ACCEPT, host_world_sign(w->host, job), NULL), CLM_OK);
    clm_json_free(job);
    w->host->config.policy.allow_leave = false;
    w->server.reload_does_nothing = true;
    assert_int_equal(host_world_ask(w->host, CLM_OP_DEPLOY, job_body(job_id), &reply), CLM_OK);
    assert_outcome(reply, "rolled_back", "E_NOT_SERVED", "");
    assert_in_file(w, old);
    clm_json_free(reply);
    clm_test_leaf_done(&order.leaf);
}

/* The files that the job names are the target's: nothing is in the way. */
static void files_named_by_the_job_may_be_the_ones_in_use(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *reply = NULL;
    char extra[2 * PATH_MAX + 100];

    deploy_world_order(w, "notify", true, &order);
    (void)snprintf(extra, sizeof(extra), ",'store':{'cert':'%s/www.pem','key':'%s/www.key'}",
                   w->dir, w->dir);
    assert_int_equal(deploy(w, &order, extra, &reply), CLM_OK);
    assert_outcome(reply, "succeeded", "", "");
    clm_json_free(reply);
    clm_test_leaf_done(&order.leaf);
}

static void what_fails_in_the_transaction_is_told_and_undone(void **state)
{
    static const struct {
        int fail_reloads;
        int check_status;
        bool does_nothing;
        bool breaks;
        const char *outcome;
        const char *error;
    } rows[] = {
        {0, 1, false, false, "failed", "E_CONFIG_TEST"},
        {0, 0, false, true, "rolled_back", "E_NOT_SERVED"},
        {0, 0, true, false, "rolled_back", "E_NOT_SERVED"},
    };
    struct deploy_world *w = *state;
    struct deploy_order order;
    char old[CLM_SHA256_HEX_SIZE];

    deploy_world_in_file(w, old);
    deploy_world_order(w, "notify", true, &order);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *reply = NULL;

        w->server.fail_reloads = rows[i].fail_reloads;
        w->server.check_status = rows[i].check_status;
        w->server.reload_does_nothing = rows[i].does_nothing;
        w->server.breaks_on_new = rows[i].breaks;
        w->server.runs = 0;
        assert_int_equal(deploy(w, &order, "", &reply), CLM_OK);
        assert_outcome(reply, rows[i].outcome, rows[i].error, "");
        assert_in_file(w, old);
        clm_json_free(reply);
    }
    clm_test_leaf_done(&order.leaf);
}

/* on_failure stop: root has to allow it as well. */
static void failed_deployment_stays_if_job_and_policy_say_so(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *job;
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];
    char *spec;
    bool retryable = true;

    w->host->config.policy.allow_leave = true;
    w->server.reload_does_nothing = true;
    deploy_world_order(w, "notify", true, &order);
    spec = deploy_world_spec(&order, "");
    job = host_world_job(w->host, "deploy", SITE, ++w->seq, spec);
    free(spec);
    clm_json_set_str(job, "on_failure", "stop");
    (void)snprintf(job_id, sizeof(job_id), "%s", clm_json_text(clm_json_get(job, "job_id")));
    if (host_world_ask(w->host, CLM_OP_JOB_ACCEPT, host_world_sign(w->host, job), NULL) != CLM_OK) {
        fail_msg("%s", w->host->err.msg);
    }
    clm_json_free(job);
    assert_int_equal(host_world_ask(w->host, CLM_OP_DEPLOY, job_body(job_id), &reply), CLM_OK);
    assert_outcome(reply, "failed", "E_NOT_SERVED", "");
    assert_non_null(strstr(deploy_world_text(reply, "error", "hint"), "'clmbot rollback " SITE));
    assert_int_equal(clm_json_bool(clm_json_get(reply, "error"), "retryable", &retryable, NULL),
                     CLM_OK);
    assert_false(retryable);
    assert_in_file(w, order.sha256);
    clm_json_free(reply);
    clm_test_leaf_done(&order.leaf);
}

static void a_stop_in_the_middle_leaves_the_job_for_later(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    sigset_t term;
    sigset_t old;
    int sig;

    deploy_world_order(w, "notify", true, &order);
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &term, &old), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(deploy(w, &order, "", NULL), CLM_E_NET);
    assert_non_null(strstr(w->host->err.msg, "the host half is being stopped"));
    assert_true(w->host->fail.retryable);
    assert_int_equal(sigwait(&term, &sig), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    clm_test_leaf_done(&order.leaf);
}

/* ---- an order that deploys what it received ---- */

static void an_order_is_deployed_only_if_it_says_so_and_has_a_certificate(void **state)
{
    static const struct {
        const char *on_issue;
        bool put;
        const char *outcome;
        const char *says;
    } rows[] = {
        {"notify", true, "failed", "does not ask to deploy"},
        {"deploy", false, "failed", "no certificate was received"},
        {"deploy", true, "succeeded", ""},
    };
    struct deploy_world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct deploy_order order;
        struct clm_json *reply = NULL;

        deploy_world_order(w, rows[i].on_issue, rows[i].put, &order);
        assert_int_equal(host_world_ask(w->host, CLM_OP_DEPLOY, job_body(order.job_id), &reply),
                         CLM_OK);
        assert_outcome(reply, rows[i].outcome, rows[i].says[0] != '\0' ? "E_STATE" : "",
                       rows[i].says);
        clm_json_free(reply);
        clm_test_leaf_done(&order.leaf);
    }
}

/* The process ended after COMMIT and before it could write the result. */
static void a_resumed_deployment_that_is_done_has_succeeded(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *reply = NULL;

    deploy_world_order(w, "deploy", true, &order);
    for (int i = 0; i < 2; i++) { /* an order keeps no result of its own: it is done again */
        assert_int_equal(host_world_ask(w->host, CLM_OP_DEPLOY, job_body(order.job_id), &reply),
                         CLM_OK);
        assert_outcome(reply, "succeeded", "", "");
        clm_json_free(reply);
        host_world_restart(w->host);
    }
    assert_int_equal(w->server.reloads, 1);
    clm_test_leaf_done(&order.leaf);
}

/* ---- roll back, close ---- */

static void a_rollback_brings_back_what_was_there(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *reply = NULL;
    char old[CLM_SHA256_HEX_SIZE];

    deploy_world_in_file(w, old);
    deploy_world_order(w, "notify", true, &order);
    assert_int_equal(deploy_world_job(w, "rollback", CLM_OP_ROLLBACK, "{}", &reply), CLM_OK);
    assert_outcome(reply, "rejected", "E_STATE", ""); /* nothing was deployed yet */
    assert_non_null(strstr(deploy_world_text(reply, "error", "hint"), "clmbot history"));
    clm_json_free(reply);
    assert_int_equal(deploy(w, &order, "", &reply), CLM_OK);
    clm_json_free(reply);
    assert_int_equal(deploy_world_job(w, "rollback", CLM_OP_ROLLBACK, "{}", &reply), CLM_OK);
    assert_outcome(reply, "succeeded", "", "");
    assert_in_file(w, old);
    clm_json_free(reply);
    assert_int_equal(deploy_world_job(w, "rollback", CLM_OP_ROLLBACK, "{\"to_version\":1}", &reply),
                     CLM_OK);
    assert_outcome(reply, "succeeded", "", "");
    assert_in_file(w, order.sha256);
    clm_json_free(reply);
    w->server.skew_s = INT64_C(86400) * 200;
    deploy_world_refused(w, CLM_OP_LOCAL_ROLLBACK, "{'target':'" SITE "','version':0}", "E_STATE",
                         "expired on");
    deploy_world_refused(w, CLM_OP_LOCAL_ROLLBACK, "{'target':'" SITE "','version':9}", "E_STATE",
                         "");
    deploy_world_refused(w, CLM_OP_LOCAL_ROLLBACK, "{'target':'" SITE "'}", "E_INTERNAL",
                         "version");
    deploy_world_refused(w, CLM_OP_LOCAL_ROLLBACK, "{'version':1}", "E_INTERNAL", "target");
    w->server.skew_s = 0;
    assert_int_equal(
        deploy_world_ask(w, CLM_OP_LOCAL_ROLLBACK, "{'target':'" SITE "','version':-1}", &reply),
        CLM_OK);
    assert_outcome(reply, "succeeded", "", "");
    assert_in_file(w, old);
    clm_json_free(reply);
    clm_test_leaf_done(&order.leaf);
}

static void jobs_are_used_only_for_what_they_are(void **state)
{
    static const enum clm_op ops[] = {CLM_OP_DEPLOY, CLM_OP_ROLLBACK, CLM_OP_RECHECK, CLM_OP_CLOSE};
    static const struct {
        const char *type;
        const char *target;
        const char *spec;
        bool fits[CLM_ARRAY_LEN(ops)];
    } rows[] = {
        {"scan", "host", "{}", {false, false, false, true}},
        {"rollback", SITE, "{}", {false, true, false, false}},
        {"recheck_pinning", SITE, "{}", {false, false, true, false}},
    };
    struct deploy_world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char job_id[CLM_ID_SIZE];

        host_world_accept(w->host, rows[i].type, rows[i].target, ++w->seq, rows[i].spec, job_id);
        for (size_t k = 0; k < CLM_ARRAY_LEN(ops); k++) {
            struct clm_json *body = job_body(job_id);

            (void)clm_json_set_object(body, "result");
            if (rows[i].fits[k]) {
                clm_json_free(body);
                continue;
            }
            assert_int_equal(host_world_ask(w->host, ops[k], body, NULL), CLM_E_INVAL);
            assert_string_equal(w->host->fail.problem, "E_STATE");
        }
    }
    for (size_t k = 0; k < CLM_ARRAY_LEN(ops); k++) {
        deploy_world_refused(w, ops[k], "{}", "E_INTERNAL", "job_id");
        deploy_world_refused(w, ops[k], "{'job_id':'job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C'}", "E_STATE",
                             "was not accepted here");
    }
}

static void a_closed_job_keeps_its_first_result_and_is_over(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct clm_json *body;

    deploy_world_order(w, "notify", false, &order);
    assert_int_equal(host_world_ask(w->host, CLM_OP_CLOSE, job_body(order.job_id), NULL),
                     CLM_E_PARSE);
    for (int i = 0; i < 2; i++) {
        body = job_body(order.job_id);
        clm_json_set_int(clm_json_set_object(body, "result"), "n", i);
        assert_int_equal(host_world_ask(w->host, CLM_OP_CLOSE, body, NULL), CLM_OK);
    }
    assert_int_equal(host_world_ask(w->host, CLM_OP_CSR, job_body(order.job_id), NULL),
                     CLM_E_INVAL);
    assert_non_null(strstr(w->host->err.msg, "is over"));
    clm_test_leaf_done(&order.leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, deploy_world_setup, deploy_world_teardown)
        IN_WORLD(a_deployment_is_proved_and_answered_again),
        IN_WORLD(a_certificate_that_only_the_job_has_is_gated_and_kept),
        IN_WORLD(refusals_before_the_transaction_are_results),
        IN_WORLD(what_cannot_be_deployed_at_all_is_rejected),
        IN_WORLD(a_rollback_needs_the_certificate),
        IN_WORLD(a_failure_is_not_left_when_root_has_changed_his_mind),
        IN_WORLD(files_named_by_the_job_may_be_the_ones_in_use),
        IN_WORLD(what_fails_in_the_transaction_is_told_and_undone),
        IN_WORLD(failed_deployment_stays_if_job_and_policy_say_so),
        IN_WORLD(a_stop_in_the_middle_leaves_the_job_for_later),
        IN_WORLD(an_order_is_deployed_only_if_it_says_so_and_has_a_certificate),
        IN_WORLD(a_resumed_deployment_that_is_done_has_succeeded),
        IN_WORLD(a_rollback_brings_back_what_was_there),
        IN_WORLD(jobs_are_used_only_for_what_they_are),
        IN_WORLD(a_closed_job_keeps_its_first_result_and_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
