/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/host/ledger.h"
#include "tests/unit/host/host_world.h"

#define SITE "nginx:www.example.com"
#define ORDER                                                                                      \
    "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"sans\":{\"dns\":"                    \
    "[\"www.example.com\"]},\"key\":{\"type\":\"ec-p256\"},\"dcv\":{\"method\":\"http-01\"}}"

static int setup(void **state)
{
    *state = host_world_new();
    return 0;
}

static int teardown(void **state)
{
    host_world_free(*state);
    return 0;
}

static enum clm_code accept_job(struct host_world *world, struct clm_json *job,
                                struct clm_json **out_reply)
{
    enum clm_code code =
        host_world_ask(world, CLM_OP_JOB_ACCEPT, host_world_sign(world, job), out_reply);

    clm_json_free(job);
    return code;
}

static void refused(struct host_world *world, struct clm_json *job, const char *problem,
                    const char *says)
{
    assert_int_not_equal(accept_job(world, job, NULL), CLM_OK);
    if (strcmp(world->fail.problem, problem) != 0 || strstr(world->err.msg, says) == NULL) {
        fail_msg("%s: %s (expected %s: %s)", world->fail.problem, world->err.msg, problem, says);
    }
}

static struct clm_json *scan_job(struct host_world *world, int64_t seq)
{
    return host_world_job(world, "scan", "host", seq, "{\"scope\":\"full\"}");
}

/* The path of a file of the ledger. */
static void in_ledger(const struct host_world *world, const char *dir, const char *name,
                      char path[2 * PATH_MAX])
{
    (void)snprintf(path, 2 * PATH_MAX, "%s/host/%s%s%s", world->state_dir, dir, name,
                   name[0] == '\0' ? "" : ".json");
}

static void a_good_job_is_accepted_and_remembered(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = host_world_job(world, "order", SITE, 7, ORDER);
    struct clm_json *body = host_world_sign(world, job);
    struct clm_json *reply = NULL;

    assert_int_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, body, &reply), CLM_OK);
    assert_string_equal(clm_json_text(clm_json_get(reply, "state")), "accepted");
    assert_string_equal(clm_json_text(clm_json_get(reply, "type")), "order");
    assert_non_null(clm_json_get(clm_json_get(reply, "spec"), "sans"));
    clm_json_free(reply);

    host_world_restart(world);
    assert_int_equal(accept_job(world, job, &reply), CLM_OK);
    clm_json_free(reply);
}

static void signatures_that_are_not_right_are_refused(void **state)
{
    struct host_world *world = *state;
    static const char *const members[] = {"payload", "signatures"};
    struct clm_json *job = scan_job(world, 1);

    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        struct clm_json *body = host_world_sign(world, job);
        struct clm_json *other_job = scan_job(world, 2);
        struct clm_json *other = host_world_sign(world, other_job);
        struct clm_json *jws = clm_json_edit(body, "jws");

        clm_json_remove(jws, members[i]);
        clm_json_set_copy(jws, members[i], clm_json_get(clm_json_get(other, "jws"), members[i]));
        assert_int_not_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, body, NULL), CLM_OK);
        assert_string_equal(world->fail.problem, "E_SIGNATURE");
        clm_json_free(other);
        clm_json_free(other_job);
    }
    clm_json_free(job);
}

static void a_key_that_is_not_trusted_is_refused(void **state)
{
    struct host_world *world = *state;
    struct clm_key *mine = world->jobs_key;
    struct clm_json *job = scan_job(world, 1);
    struct clm_json *body;

    world->jobs_key = world->ca_key; /* a real key, but not for jobs */
    body = host_world_sign(world, job);
    world->jobs_key = mine;
    assert_int_not_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, body, NULL), CLM_OK);
    assert_string_equal(world->fail.problem, "E_SIGNATURE");
    clm_json_free(job);
}

static void jobs_for_somebody_else_are_refused(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 1);

    clm_json_remove(job, "agent_id");
    clm_json_set_str(job, "agent_id", "agt_01J8X2M6N4P9Q1R3S5T7V9W0Y2");
    refused(world, job, "E_AGENT", "not for us");
    job = scan_job(world, 1);
    clm_json_remove(job, "tenant");
    clm_json_set_str(job, "tenant", "other");
    refused(world, job, "E_AGENT", "not ours");
}

static void jobs_out_of_time_are_refused(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 1);

    clm_json_remove(job, "expires_at");
    clm_json_set_str(job, "expires_at", "2020-01-02T00:00:00Z");
    clm_json_remove(job, "issued_at");
    clm_json_set_str(job, "issued_at", "2020-01-01T00:00:00Z");
    clm_json_remove(job, "not_before");
    clm_json_set_str(job, "not_before", "2020-01-01T00:00:00Z");
    refused(world, job, "E_EXPIRED", "expired at 2020-01-02");
    assert_false(world->fail.retryable);
}

static void a_sequence_is_never_played_again(void **state)
{
    struct host_world *world = *state;
    struct clm_json *reply = NULL;

    assert_int_equal(accept_job(world, scan_job(world, 5), &reply), CLM_OK);
    clm_json_free(reply);
    refused(world, scan_job(world, 5), "E_REPLAY", "5 was already accepted");
    refused(world, scan_job(world, 4), "E_REPLAY", "5 was already accepted");
    assert_int_equal(accept_job(world, scan_job(world, 6), &reply), CLM_OK);
    clm_json_free(reply);
}

static void the_same_id_with_other_content_is_refused(void **state)
{
    struct host_world *world = *state;
    struct clm_json *first = scan_job(world, 1);
    struct clm_json *second = scan_job(world, 2);

    clm_json_remove(second, "job_id");
    clm_json_set_copy(second, "job_id", clm_json_get(first, "job_id"));
    assert_int_equal(accept_job(world, first, NULL), CLM_OK);
    refused(world, second, "E_REPLAY", "another content");
}

static void form_is_checked_strictly(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 1);

    clm_json_set_str(job, "mystery", "x");
    refused(world, job, "E_SPEC", "mystery");
    refused(world, host_world_job(world, "scan", "host", 1, "{\"scope\":\"full\",\"run\":\"id\"}"),
            "E_SPEC", "run");
    refused(world, host_world_job(world, "exec", "host", 1, "{}"), "E_SPEC", "exec");
}

static void duplicate_keys_are_refused(void **state)
{
    struct host_world *world = *state;
    struct clm_json *body =
        host_world_sign_text(world, "{\"spec_version\":1,\"job_id\":\"a\",\"job_id\":\"b\"}");

    assert_int_not_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, body, NULL), CLM_OK);
    assert_string_equal(world->fail.problem, "E_SPEC");
    if (strstr(world->err.msg, "duplicate") == NULL) {
        fail_msg("%s", world->err.msg);
    }
}

static void the_local_policy_has_the_last_word(void **state)
{
    struct host_world *world = *state;

    refused(world, host_world_job(world, "order", "apache:www.example.com", 1, ORDER), "E_POLICY",
            "apache:www.example.com");
    refused(world, host_world_job(world, "order", "nginx:intranet.example.com", 1, ORDER),
            "E_POLICY", "intranet");
    refused(world,
            host_world_job(world, "order", SITE, 1,
                           "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"sans\":{"
                           "\"dns\":[\"bank.example.org\"]},\"key\":{\"type\":\"ec-p256\"}}"),
            "E_NAME_POLICY", "bank.example.org");
    refused(world,
            host_world_job(world, "order", SITE, 1,
                           "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"sans\":{"
                           "\"dns\":[\"www.example.com\"]},\"key\":{\"type\":\"rsa-2048\"}}"),
            "E_POLICY", "rsa-2048");
    refused(world,
            host_world_job(world, "order", SITE, 1,
                           "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"sans\":{"
                           "\"dns\":[\"www.example.com\"]},\"key\":{\"type\":\"ec-p256\"},"
                           "\"dcv\":{\"method\":\"http-01\",\"webroot_ref\":\"nowhere\"}}"),
            "E_POLICY", "policy.webroots");
    refused(world,
            host_world_job(world, "order", SITE, 1,
                           "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"sans\":{"
                           "\"dns\":[\"www.example.com\"]},\"key\":{\"type\":\"ec-p256\"},"
                           "\"on_issue\":\"deploy\",\"deploy\":{\"retain\":11}}"),
            "E_POLICY", "policy.retain_max");
}

static struct clm_json *job_that_stops(struct host_world *world, int64_t seq)
{
    struct clm_json *job =
        host_world_job(world, "order", SITE, seq,
                       "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"sans\":{"
                       "\"dns\":[\"www.example.com\"]},\"key\":{\"type\":\"ec-p256\"}}");

    clm_json_set_str(job, "on_failure", "stop");
    return job;
}

static void a_failure_is_left_only_where_the_host_allows_it(void **state)
{
    struct host_world *world = *state;

    refused(world, job_that_stops(world, 1), "E_POLICY", "policy.allow_leave");
    world->config.policy.allow_leave = true;
    assert_int_equal(accept_job(world, job_that_stops(world, 2), NULL), CLM_OK);
}

static void a_flood_of_good_jobs_is_stopped(void **state)
{
    struct host_world *world = *state;

    for (int64_t seq = 1; seq <= 5; seq++) {
        assert_int_equal(accept_job(world, host_world_job(world, "order", SITE, seq, ORDER), NULL),
                         CLM_OK);
    }
    refused(world, host_world_job(world, "order", SITE, 6, ORDER), "E_LIMIT", "orders_per_day");
}

/* A job that is over, as it lies in the ledger; made without flushing, for there are many. */
static void put_finished(const struct host_world *world, const char *job_id, const char *type,
                         int64_t accepted_at_s)
{
    char path[PATH_MAX + 64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/host/jobs/%s.json", world->state_dir, job_id);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file,
                        "{\"accepted_at\":%lld,\"payload\":\"{\\\"type\\\":\\\"%s\\\","
                        "\\\"agent_id\\\":\\\"" WORLD_AGENT "\\\",\\\"target\\\":\\\"" SITE
                        "\\\"}\",\"result\":{}}",
                        (long long)accepted_at_s, type) > 0);
    assert_int_equal(fclose(file), 0);
}

/* Ids that sort in front and a full ledger do not bring back what the policy allows in a day. */
static void limits_outlast_a_flood_and_chosen_ids(void **state)
{
    struct host_world *world = *state;
    char job_id[CLM_ID_SIZE];
    char path[2 * PATH_MAX];

    for (int i = 0; i < 5; i++) {
        (void)snprintf(job_id, sizeof(job_id), "job_%026d", i);
        put_finished(world, job_id, "order", world->now_s - 3600);
    }
    for (int i = 0; i < CLM_LEDGER_JOBS_MAX; i++) {
        (void)snprintf(job_id, sizeof(job_id), "job_%026d", 1000 + i);
        put_finished(world, job_id, "scan", world->now_s - (i < 3 ? 100000 : 1800));
    }
    assert_int_equal(accept_job(world, scan_job(world, 1), NULL), CLM_OK);
    in_ledger(world, "jobs/", "job_00000000000000000000001002", path);
    assert_int_equal(access(path, F_OK), -1); /* the last that is older than a day */
    in_ledger(world, "jobs/", "job_00000000000000000000001003", path);
    assert_int_equal(access(path, F_OK), 0);
    refused(world, host_world_job(world, "order", SITE, 6, ORDER), "E_LIMIT", "orders_per_day");
}

/* The last of its target keeps its number: unexpired, it would be done once more. */
static void a_job_that_was_done_is_never_done_again(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 5);
    const char *id = clm_json_text(clm_json_get(job, "job_id"));
    struct clm_json *body = clm_json_new_object();
    struct clm_json *reply = NULL;
    char dir[PATH_MAX];

    (void)snprintf(dir, sizeof(dir), "%.4000s/host", world->state_dir);
    clm_json_set_str(body, "job_id", id);
    clm_json_set_str(clm_json_set_object(body, "result"), "outcome", "succeeded");
    assert_int_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, host_world_sign(world, job), NULL),
                     CLM_OK);
    assert_int_equal(host_world_ask(world, CLM_OP_CLOSE, body, NULL), CLM_OK);
    assert_int_equal(clm_ledger_trim(dir, 0, world->now_s + 2 * CLM_LEDGER_DAY_S, NULL), CLM_OK);
    assert_int_equal(accept_job(world, job, &reply), CLM_OK);
    assert_string_equal(clm_json_text(clm_json_get(reply, "state")), "done");
    clm_json_free(reply);
}

static void a_host_that_is_not_enrolled_takes_no_job(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 1);
    char path[PATH_MAX + 32];

    (void)snprintf(path, sizeof(path), "%s/host/trust.json", world->state_dir);
    assert_int_equal(remove(path), 0);
    host_world_restart(world);
    refused(world, job, "E_AGENT", "not enrolled");
}

static void local_requests_are_for_root(void **state)
{
    struct host_world *world = *state;
    struct clm_host_session session = {.is_root_peer = false};
    struct clm_json *reply = clm_json_new_object();
    static const enum clm_op ops[] = {CLM_OP_TRUST_PUT, CLM_OP_LOCAL_PLAN, CLM_OP_LOCAL_ROLLBACK,
                                      CLM_OP_HISTORY, CLM_OP_LOCAL_VERIFY};

    for (size_t i = 0; i < CLM_ARRAY_LEN(ops); i++) {
        const struct clm_host_question question = {ops[i], reply};

        assert_int_equal(
            clm_host_request(world->host, &session, &question, reply, &world->fail, &world->err),
            CLM_E_PERM);
    }
    clm_json_free(reply);
}

/* A clock that is behind: later it may run. */
static void a_job_before_its_time_is_for_later(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 1);
    char text[CLM_TIME_TEXT_SIZE];
    char late[CLM_TIME_TEXT_SIZE];

    clm_time_format(world->now_s + 3600, text);
    clm_json_remove(job, "not_before");
    clm_json_set_str(job, "not_before", text);
    clm_time_format(world->now_s + 7200, late);
    clm_json_remove(job, "expires_at");
    clm_json_set_str(job, "expires_at", late);
    refused(world, job, "E_EXPIRED", "may not run before ");
    assert_non_null(strstr(world->err.msg, text));
    assert_true(world->fail.retryable);
}

static void a_job_that_is_over_is_answered_with_its_result(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 1);
    struct clm_json *body = clm_json_new_object();
    struct clm_json *reply = NULL;

    clm_json_set_str(body, "job_id", clm_json_text(clm_json_get(job, "job_id")));
    clm_json_set_str(clm_json_set_object(body, "result"), "outcome", "succeeded");
    assert_int_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, host_world_sign(world, job), NULL),
                     CLM_OK);
    assert_int_equal(host_world_ask(world, CLM_OP_CLOSE, body, NULL), CLM_OK);
    assert_int_equal(accept_job(world, job, &reply), CLM_OK);
    assert_string_equal(clm_json_text(clm_json_get(reply, "state")), "done");
    assert_string_equal(clm_json_text(clm_json_get(clm_json_get(reply, "result"), "outcome")),
                        "succeeded");
    clm_json_free(reply);
}

/* Between sequence and record: the same job is no replay, another with its number is. */
static void a_crash_between_sequence_and_record_repeats_nothing(void **state)
{
    struct host_world *world = *state;
    struct clm_json *job = scan_job(world, 7);
    char path[2 * PATH_MAX];

    in_ledger(world, "jobs/", clm_json_text(clm_json_get(job, "job_id")), path);
    assert_int_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, host_world_sign(world, job), NULL),
                     CLM_OK);
    assert_int_equal(unlink(path), 0);
    refused(world, scan_job(world, 7), "E_REPLAY", "has sequence 7");
    assert_int_equal(accept_job(world, job, NULL), CLM_OK);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_damaged_ledger_accepts_nothing(void **state)
{
    static const struct {
        const char *dir;
        bool is_of_job;
        const char *says;
    } rows[] = {{"jobs/", true, ".json'"}, {"seq.json", false, "seq.json'"}};
    struct host_world *world = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *job = scan_job(world, 1);
        char path[2 * PATH_MAX];

        in_ledger(world, rows[i].dir,
                  rows[i].is_of_job ? clm_json_text(clm_json_get(job, "job_id")) : "", path);
        assert_int_equal(clm_fs_replace(path, "{", 1, 0600, NULL), CLM_OK);
        refused(world, job, "E_INTERNAL", rows[i].says);
        assert_int_equal(unlink(path), 0);
    }
    char jobs[2 * PATH_MAX];

    in_ledger(world, "jobs", "", jobs); /* who cannot count accepts no more */
    assert_int_equal(rmdir(jobs), 0);
    refused(world, host_world_job(world, "order", SITE, 1, ORDER), "E_INTERNAL", "/jobs");
    assert_int_equal(clm_fs_mkdir(jobs, 0700, NULL), CLM_OK);
}

/* A record whose payload is not a job, whoever put it there. */
static void a_record_that_is_no_job_serves_nothing(void **state)
{
    static const enum clm_op ops[] = {CLM_OP_CSR,     CLM_OP_CERT_PUT, CLM_OP_DEPLOY,
                                      CLM_OP_DCV_PUT, CLM_OP_RECHECK,  CLM_OP_CLOSE};
    static const char id[] = "job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C";
    static const char record[] = "{\"accepted_at\":1,\"payload\":\"{}\"}";
    struct host_world *world = *state;
    char path[2 * PATH_MAX];

    in_ledger(world, "jobs/", id, path);
    for (int damaged = 0; damaged < 2; damaged++) {
        assert_int_equal(clm_fs_replace(path, record, strlen(record) - (size_t)damaged, 0600, NULL),
                         CLM_OK);
        for (size_t i = 0; i < CLM_ARRAY_LEN(ops); i++) {
            struct clm_json *body = clm_json_new_object();

            clm_json_set_str(body, "job_id", id);
            clm_json_set_str(body, "order_id", "ord_01J9ZK3W5V7M2Q8R4T6Y0X1B3C");
            clm_json_set_str(body, "domain", "www.example.com");
            clm_json_set_str(body, "path", "/.well-known/pki-validation/a");
            clm_json_set_str(body, "content", "a");
            assert_int_not_equal(host_world_ask(world, ops[i], body, NULL), CLM_OK);
            assert_string_equal(world->fail.problem, "E_INTERNAL");
        }
    }
}

static void nothing_is_accepted_that_is_not_signed_or_not_allowed(void **state)
{
    struct host_world *world = *state;

    assert_int_not_equal(host_world_ask(world, CLM_OP_JOB_ACCEPT, clm_json_new_object(), NULL),
                         CLM_OK);
    assert_string_equal(world->fail.problem, "E_SIGNATURE");
    assert_non_null(strstr(world->err.msg, "jws"));
    clm_strs_done(&world->config.policy.job_types);
    refused(world, scan_job(world, 1), "E_POLICY", "policy.job_types");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_job_is_accepted_and_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(signatures_that_are_not_right_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_is_not_trusted_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_for_somebody_else_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_out_of_time_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sequence_is_never_played_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_id_with_other_content_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(form_is_checked_strictly, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicate_keys_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_local_policy_has_the_last_word, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_is_left_only_where_the_host_allows_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_good_jobs_is_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_outlast_a_flood_and_chosen_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_was_done_is_never_done_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_is_not_enrolled_takes_no_job, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_before_its_time_is_for_later, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_is_over_is_answered_with_its_result, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_crash_between_sequence_and_record_repeats_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_ledger_accepts_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_is_no_job_serves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_accepted_that_is_not_signed_or_not_allowed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(local_requests_are_for_root, setup, teardown),
    };

    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
