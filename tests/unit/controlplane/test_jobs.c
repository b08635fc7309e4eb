/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/crypto/jws.h"
#include "agent/model/job.h"
#include "controlplane/jobs.h"
#include "tests/unit/controlplane/plane.h"

#define NOW 1795225945

static struct plane plane;

static int open_plane(void **state)
{
    (void)state;
    plane_open(&plane, NOW);
    return 0;
}

static int close_plane(void **state)
{
    (void)state;
    plane_close(&plane);
    return 0;
}

static void make_job(const char *type, const char *target, struct clm_json *spec, char *id)
{
    struct clm_err err = {0};
    const struct clm_cp_job_new in = {.agent_id = TEST_AGENT,
                                      .type = type,
                                      .target = target,
                                      .priority = 50,
                                      .requested_by = "operator",
                                      .spec = spec};

    if (clm_cp_job_create(&plane.tx, &in, id, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static void make_scan(char *id)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *spec = clm_json_new_object();

    clm_json_set_str(spec, "scope", "full");
    make_job("scan", "host", spec, id);
}

static void set_job(const char *id, const char *sql)
{
    assert_int_equal(clm_cp_db_exec(plane.db, NULL, sql, CLM_SQL(clm_sql_text(id))), CLM_OK);
}

static const char *state_after_sweep(const char *id, int64_t now_s)
{
    static struct clm_cp_job job;

    plane.tx.now_s = now_s;
    assert_int_equal(clm_cp_jobs_sweep(&plane.tx, NULL), CLM_OK);
    assert_int_equal(clm_cp_job_load(&plane.tx, id, NULL, &job, NULL), CLM_OK);
    return job.state;
}

static enum clm_code find_jobs_key(void *ctx, const char *kid, const struct clm_pubkey **out_key,
                                   struct clm_err *err)
{
    if (strcmp(kid, plane.pki->jobs_kid) != 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "kid");
    }
    *out_key = ctx;
    return CLM_OK;
}

/* What the agent does with it: verify, parse strictly, check the spec. */
static void the_envelope_is_one_that_agents_accept(void **state)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jws = NULL;
    CLM_CLEANUP(clm_job_envelope_done) struct clm_job_envelope job = {0};
    CLM_CLEANUP(clm_job_spec_done) struct clm_job_spec spec = {0};
    struct clm_err err = {0};
    char id[CLM_ID_SIZE];

    (void)state;
    make_scan(id);
    assert_int_equal(clm_cp_db_get_text(plane.db, &text, NULL, "SELECT jws FROM job WHERE id = ?1",
                                        CLM_SQL(clm_sql_text(id))),
                     CLM_OK);
    assert_int_equal(clm_json_parse(clm_buf_str(&text), text.len, CLM_JSON_TEXT_MAX, &jws, &err),
                     CLM_OK);
    assert_int_equal(clm_pubkey_from_key(plane.pki->jobs, &key, &err), CLM_OK);
    const struct clm_jws_policy policy = {
        .typ = CLM_JWS_TYP_JOB, .find_key = find_jobs_key, .find_ctx = key};

    if (clm_jws_verify(jws, &policy, &payload, &err) != CLM_OK ||
        clm_job_envelope_parse(clm_buf_str(&payload), payload.len, &job, &err) != CLM_OK ||
        clm_job_spec_parse(&job, &spec, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(job.job_id, id);
    assert_string_equal(job.agent_id, TEST_AGENT);
    assert_int_equal(job.target_seq, 1);
    assert_int_equal(job.issued_s, NOW);
    assert_int_equal(job.expires_s, NOW + CLM_CP_JOB_LIFE_S);
    assert_int_equal(job.max_attempts, CLM_CP_JOB_ATTEMPTS);
}

static void each_target_has_its_own_sequence(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *spec = clm_json_new_object();
    static const struct {
        const char *target;
        int64_t seq;
    } rows[] = {{"nginx:a", 1}, {"nginx:a", 2}, {"nginx:b", 1}, {"nginx:a", 3}};
    struct clm_cp_job job;
    char id[CLM_ID_SIZE];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        make_job("scan", rows[i].target, spec, id);
        assert_int_equal(clm_cp_job_load(&plane.tx, id, NULL, &job, NULL), CLM_OK);
        assert_int_equal(job.target_seq, rows[i].seq);
    }
}

static void an_envelope_beyond_the_limit_is_not_made(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *spec = clm_json_new_object();
    char *big = malloc(70000);
    char id[CLM_ID_SIZE];

    (void)state;
    assert_non_null(big);
    memset(big, 'x', 69999);
    big[69999] = '\0';
    clm_json_set_str(spec, "chain_pem", big);
    free(big);
    const struct clm_cp_job_new in = {.agent_id = TEST_AGENT,
                                      .type = "deploy",
                                      .target = "nginx:a",
                                      .requested_by = "operator",
                                      .spec = spec};

    assert_int_equal(clm_cp_job_create(&plane.tx, &in, id, NULL), CLM_E_LIMIT);
}

static void a_new_job_raises_the_agents_number_and_wakes_it(void **state)
{
    char id[CLM_ID_SIZE];
    int64_t seq = 0;

    (void)state;
    make_scan(id);
    assert_int_equal(
        clm_cp_db_get_int(plane.db, -1, &seq, NULL, "SELECT work_seq FROM agent", CLM_SQL_NONE),
        CLM_OK);
    assert_int_equal(seq, 1);
    assert_true(clm_strs_has(&plane.tx.wakes, TEST_AGENT));
    assert_true(clm_strs_has(&plane.tx.wakes, CLM_CP_TOPIC_EVENTS));
}

static void a_lapsed_lease_is_lost_and_at_last_failed(void **state)
{
    char id[CLM_ID_SIZE];

    (void)state;
    make_scan(id);
    set_job(id, "UPDATE job SET state = 'running', lease_until = 1795226000 WHERE id = ?1");
    assert_string_equal(state_after_sweep(id, 1795226000 + 30), "running");
    assert_string_equal(state_after_sweep(id, 1795226000 + 31), "lost");
    assert_string_equal(state_after_sweep(id, 1795226000 + 86400), "lost");
    assert_string_equal(state_after_sweep(id, 1795226000 + 86401), "failed");
    assert_string_equal(state_after_sweep(id, 1795226000 + 999999), "failed");
}

static void a_job_nobody_took_expires(void **state)
{
    char id[CLM_ID_SIZE];

    (void)state;
    make_scan(id);
    assert_string_equal(state_after_sweep(id, NOW + CLM_CP_JOB_LIFE_S), "queued");
    assert_string_equal(state_after_sweep(id, NOW + CLM_CP_JOB_LIFE_S + 1), "expired");
}

static void a_retry_that_is_due_is_queued_again(void **state)
{
    char id[CLM_ID_SIZE];

    (void)state;
    make_scan(id);
    set_job(id, "UPDATE job SET state = 'scheduled', next_eval = 1795226000 WHERE id = ?1");
    assert_string_equal(state_after_sweep(id, 1795225999), "scheduled");
    clm_strs_done(&plane.tx.wakes);
    assert_string_equal(state_after_sweep(id, 1795226000), "queued");
    assert_true(clm_strs_has(&plane.tx.wakes, TEST_AGENT));
}

static void the_wait_before_a_retry_grows_to_its_cap(void **state)
{
    static const int64_t most[] = {0, 60, 240, 960, 3600, 3600};

    (void)state;
    for (int64_t attempt = 1; attempt <= 5; attempt++) {
        int64_t seen = 0;

        for (int i = 0; i < 300; i++) {
            int64_t delay_s = clm_cp_job_retry_delay_s(attempt, 60, 3600);

            assert_true(delay_s >= 1 && delay_s <= most[attempt]);
            seen = delay_s > seen ? delay_s : seen;
        }
        assert_true(seen > most[attempt] / 2); /* it is spread over all of it */
    }
}

static void a_cancel_ends_what_waits_and_asks_what_runs(void **state)
{
    struct clm_cp_job job;
    const char *result = NULL;
    char id[CLM_ID_SIZE];

    (void)state;
    make_scan(id);
    assert_int_equal(clm_cp_job_load(&plane.tx, id, NULL, &job, NULL), CLM_OK);
    assert_int_equal(clm_cp_job_cancel(&plane.tx, &job, "why", &result, NULL), CLM_OK);
    assert_string_equal(result, "canceled");
    assert_int_equal(clm_cp_job_load(&plane.tx, id, NULL, &job, NULL), CLM_OK);
    assert_int_equal(clm_cp_job_cancel(&plane.tx, &job, "why", &result, NULL), CLM_E_CONFLICT);

    make_scan(id);
    set_job(id, "UPDATE job SET state = 'leased' WHERE id = ?1");
    assert_int_equal(clm_cp_job_load(&plane.tx, id, NULL, &job, NULL), CLM_OK);
    clm_strs_done(&plane.tx.wakes);
    assert_int_equal(clm_cp_job_cancel(&plane.tx, &job, "why", &result, NULL), CLM_OK);
    assert_string_equal(result, "canceling");
    assert_true(clm_strs_has(&plane.tx.wakes, TEST_AGENT));
}

static void a_job_of_another_agent_is_not_found(void **state)
{
    struct clm_cp_job job;
    char id[CLM_ID_SIZE];

    (void)state;
    make_scan(id);
    assert_int_equal(clm_cp_job_load(&plane.tx, id, TEST_AGENT, &job, NULL), CLM_OK);
    assert_int_equal(clm_cp_job_load(&plane.tx, id, "agt_other", &job, NULL), CLM_E_NOTFOUND);
    assert_int_equal(clm_cp_job_load(&plane.tx, "job_none", NULL, &job, NULL), CLM_E_NOTFOUND);
}

static void states_are_either_terminal_held_or_waiting(void **state)
{
    static const char *const terminal[] = {"succeeded", "failed",  "rolled_back", "rejected",
                                           "canceled",  "skipped", "expired",     "denied"};
    static const char *const held[] = {"leased", "running", "canceling", "lost"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(terminal); i++) {
        assert_true(clm_cp_job_state_is_terminal(terminal[i]));
        assert_false(clm_cp_job_state_is_held(terminal[i]));
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(held); i++) {
        assert_true(clm_cp_job_state_is_held(held[i]));
        assert_false(clm_cp_job_state_is_terminal(held[i]));
    }
    assert_false(clm_cp_job_state_is_held("queued") || clm_cp_job_state_is_terminal("queued"));
}

int main(void)
{
#define PLANE_TEST(f) cmocka_unit_test_setup_teardown(f, open_plane, close_plane)
    const struct CMUnitTest tests[] = {
        PLANE_TEST(the_envelope_is_one_that_agents_accept),
        PLANE_TEST(each_target_has_its_own_sequence),
        PLANE_TEST(an_envelope_beyond_the_limit_is_not_made),
        PLANE_TEST(a_new_job_raises_the_agents_number_and_wakes_it),
        PLANE_TEST(a_lapsed_lease_is_lost_and_at_last_failed),
        PLANE_TEST(a_job_nobody_took_expires),
        PLANE_TEST(a_retry_that_is_due_is_queued_again),
        PLANE_TEST(a_cancel_ends_what_waits_and_asks_what_runs),
        PLANE_TEST(a_job_of_another_agent_is_not_found),
        cmocka_unit_test(the_wait_before_a_retry_grows_to_its_cap),
        cmocka_unit_test(states_are_either_terminal_held_or_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
