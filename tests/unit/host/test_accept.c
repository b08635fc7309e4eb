/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void a_flood_of_good_jobs_is_stopped(void **state)
{
    struct host_world *world = *state;

    for (int64_t seq = 1; seq <= 5; seq++) {
        assert_int_equal(accept_job(world, host_world_job(world, "order", SITE, seq, ORDER), NULL),
                         CLM_OK);
    }
    refused(world, host_world_job(world, "order", SITE, 6, ORDER), "E_LIMIT", "orders_per_day");
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
        cmocka_unit_test_setup_teardown(a_flood_of_good_jobs_is_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_is_not_enrolled_takes_no_job, setup, teardown),
        cmocka_unit_test_setup_teardown(local_requests_are_for_root, setup, teardown),
    };

    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
