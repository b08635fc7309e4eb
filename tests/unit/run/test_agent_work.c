/* SPDX-License-Identifier: Apache-2.0 */
/* What the main process starts, and when: jobs, scans, the courier, polls. */
#include "tests/unit/run/agent_world.h"

/* ---- jobs ---- */

static void jobs_run_by_priority_two_at_a_time(void **state)
{
    (void)state;
    offer(A_JOB, "scan", "nginx:a", 10);
    offer(B_JOB, "scan", "nginx:b", 90);
    offer(C_JOB, "scan", "nginx:a", 50);
    offer(D_JOB, "scan", "nginx:d", 60);
    set_int(D_JOB, "next_try_s", f.now_s + 20);
    assert_int_equal(tick(), 20000); /* when the last one may run */
    assert_string_equal(f.started, B_JOB " " C_JOB " ");
    (void)tick();
    assert_string_equal(f.started, ""); /* two are enough */

    nobody_runs();
    run_one(B_JOB, "nginx:b");
    set_str(C_JOB, "state", "done"); /* its result only has to be sent */
    set_int(D_JOB, "next_try_s", f.now_s + 100);
    assert_int_equal(tick(), 60000);
    assert_string_equal(f.started, A_JOB " ");

    nobody_runs();
    run_one(B_JOB, "nginx:a"); /* one at a time for a target */
    (void)tick();
    assert_string_equal(f.started, "");

    nobody_runs();
    put_in_place_of("jobs/" B_JOB ".json", "{");
    (void)tick();
    assert_string_equal(f.started, A_JOB " ");
}

static void jobs_wait_where_nothing_can_run(void **state)
{
    (void)state;
    offer(A_JOB, "scan", "nginx:a", 10);
    f.agent.state = CLM_AGENT_OFFLINE;
    (void)tick();
    assert_string_equal(f.started, "");
    f.agent.state = CLM_AGENT_CONNECTED;
    f.agent.is_stopping = true;
    (void)tick();
    assert_string_equal(f.started, "");
    f.agent.is_stopping = false;
    f.start_code = CLM_E_IO;
    (void)tick();
    assert_string_equal(f.started, A_JOB " "); /* tried once, and again with the next turn */
    f.start_code = CLM_OK;
    put_in_place_of("jobs", "no directory");
    (void)tick();
    assert_string_equal(f.started, "");
}

/* ---- scan and courier ---- */

static void scan_runs_when_it_is_due(void **state)
{
    static const struct {
        int64_t in_s;
        const char *running;
        bool is_stopping;
        const char *started;
        int64_t wait_ms;
    } rows[] = {
        {-1, NULL, false, "@scan ", 60000}, {20, NULL, false, "", 20000},
        {100, NULL, false, "", 60000},      {-1, "@scan", false, "", 60000},
        {-1, NULL, true, "", 60000},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        nobody_runs();
        if (rows[i].running != NULL) {
            run_one(rows[i].running, "");
        }
        f.agent.next_scan_s = f.now_s + rows[i].in_s;
        f.agent.is_stopping = rows[i].is_stopping;
        int64_t wait_ms = tick();
        if (strcmp(f.started, rows[i].started) != 0 || wait_ms != rows[i].wait_ms) {
            fail_msg("row %zu: '%s' %d", i, f.started, (int)wait_ms);
        }
    }
}

static void spool_one(void)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_spool_message message = {
        .class_no = CLM_SPOOL_EVENT, .method = "POST", .path = "/agent/v1/x", .body = body};
    char path[PATH_MAX];

    spool_path(&f.home, path);
    assert_int_equal(clm_spool_init(path, NULL), CLM_OK);
    assert_int_equal(clm_spool_put(path, &message, NULL), CLM_OK);
}

static void courier_runs_when_there_is_something_to_bring(void **state)
{
    static const struct {
        bool renew_now;
        int64_t renew_in_s;
        enum clm_agent_state state;
        bool is_spooled;
        int64_t not_before_s;
        const char *running;
        bool is_stopping;
        const char *started;
        int64_t wait_ms;
    } rows[] = {
        {false, 999, CLM_AGENT_CONNECTED, false, 0, NULL, false, "", 60000},
        {false, 30, CLM_AGENT_CONNECTED, false, 0, NULL, false, "", 30000},
        {false, -1, CLM_AGENT_CONNECTED, false, 0, NULL, false, "@courier ", 60000},
        {true, 999, CLM_AGENT_OFFLINE, false, 0, NULL, false, "@renew ", 60000},
        {true, 999, CLM_AGENT_CONNECTED, false, 20, NULL, false, "", 20000},
        {true, 999, CLM_AGENT_CONNECTED, false, 100, NULL, false, "", 60000},
        {true, 999, CLM_AGENT_QUARANTINED, false, 0, NULL, false, "", 60000},
        {true, 999, CLM_AGENT_ORPHANED, false, 0, NULL, false, "", 60000},
        {true, 999, CLM_AGENT_CONNECTED, false, 0, NULL, true, "", 60000},
        {true, 999, CLM_AGENT_CONNECTED, false, 0, "@courier", false, "", 60000},
        {true, 999, CLM_AGENT_CONNECTED, false, 0, "@renew", false, "", 60000},
        {false, 999, CLM_AGENT_CONNECTED, true, 0, NULL, false, "@courier ", 60000},
        {false, 999, CLM_AGENT_OFFLINE, true, 0, NULL, false, "", 60000},
        {false, 999, CLM_AGENT_CONNECTED, true, 0, B_JOB, false, "", 60000},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        (void)state;
        anew();
        if (rows[i].is_spooled) {
            spool_one();
        }
        if (rows[i].running != NULL) {
            run_one(rows[i].running, "");
        }
        f.agent.renew_now = rows[i].renew_now;
        f.agent.identity.renew_after_s = f.now_s + rows[i].renew_in_s;
        f.agent.state = rows[i].state;
        f.agent.next_courier_s = f.now_s + rows[i].not_before_s;
        f.agent.is_stopping = rows[i].is_stopping;
        int64_t wait_ms = tick();
        if (strcmp(f.started, rows[i].started) != 0 || wait_ms != rows[i].wait_ms) {
            fail_msg("row %zu: '%s' %d", i, f.started, (int)wait_ms);
        }
    }
}

/* ---- polls ---- */

static void polls_are_sent_when_it_is_time(void **state)
{
    (void)state;
    f.agent.poller.is_busy = false;
    f.agent.next_poll_ms = NOW_MS + 3000;
    assert_int_equal(tick(), 3000);
    assert_int_equal(f.asked, 0);
    f.agent.next_poll_ms = NOW_MS + 90000;
    assert_int_equal(tick(), 60000);
    f.agent.next_poll_ms = NOW_MS;
    f.agent.is_stopping = true;
    assert_int_equal(tick(), 60000);
    assert_int_equal(f.asked, 0);
    f.agent.is_stopping = false;
    assert_int_equal(tick(), 60000);
    assert_int_equal(f.asked, 1);
    assert_int_equal(f.asked_wait_s, 50);
    assert_int_equal(f.agent.poll_slots, CLM_AGENT_JOBS_MAX);
    f.agent.state = CLM_AGENT_OFFLINE; /* what it is told at once, without a wait */
    clm_agent_poll(&f.agent, NOW_MS);
    assert_int_equal(f.asked_wait_s, 0);
}

static void slots_are_what_there_is_room_for(void **state)
{
    (void)state;
    run_one(A_JOB, "nginx:a");
    clm_agent_poll(&f.agent, NOW_MS);
    assert_int_equal(f.agent.poll_slots, 1);
    run_one(B_JOB, "nginx:b");
    clm_agent_poll(&f.agent, NOW_MS);
    assert_int_equal(f.agent.poll_slots, 0);
    nobody_runs();
    put_in_place_of("spool", "no directory"); /* results could not be kept */
    clm_agent_poll(&f.agent, NOW_MS);
    assert_int_equal(f.agent.poll_slots, 0);
}

static void a_poller_that_fails_is_started_again_later(void **state)
{
    (void)state;
    f.agent.poller.is_busy = false;
    f.poller_code = CLM_E_IO;
    assert_int_equal(tick(), 5000);
    assert_int_equal(f.asked, 0);
    f.poller_code = CLM_OK;
    f.ask_code = CLM_E_NET;
    f.agent.next_poll_ms = NOW_MS;
    assert_int_equal(tick(), 5000);
    assert_int_equal(f.agent.poller.fd, -1);
    f.agent.poller.pid = fork(); /* one that runs is asked, and ended when it does not hear */
    if (f.agent.poller.pid == 0) {
        (void)pause();
    }
    f.poller_code = CLM_E_IO;
    f.asked = 0;
    clm_agent_poll(&f.agent, NOW_MS);
    assert_int_equal(f.asked, 1);
    assert_int_equal(f.agent.poller.pid, 0);
}

static void answer_of_the_poller_is_judged(void **state)
{
    static const char answer[] = "{\"code\":0,\"message\":\"\",\"status\":204,\"problem\":\"\","
                                 "\"retry_after_s\":0,\"has_next_poll\":false,\"next_poll_s\":0,"
                                 "\"date_s\":0}";
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;
    int pair[2];

    (void)state;
    f.agent.state = CLM_AGENT_OFFLINE;
    assert_int_equal(clm_json_parse(answer, strlen(answer), CLM_JSON_TEXT_MAX, &obj, NULL), CLM_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(clm_frame_send_json(pair[1], CLM_FRAME_REPLY, CLM_OP_NONE, obj, NULL), CLM_OK);
    f.agent.poller.fd = pair[0];
    clm_agent_poll_answer(&f.agent);
    assert_int_equal(f.agent.state, CLM_AGENT_CONNECTED);
    (void)close(pair[1]);
    clm_agent_poll_answer(&f.agent); /* gone */
    assert_int_equal(f.agent.poller.fd, -1);
    assert_true(f.agent.next_poll_ms > clm_clock_mono_ms());
}

static void a_poke_leaves_the_poll_that_is_held(void **state)
{
    (void)state;
    int64_t now_ms = f.agent.last_poke_ms + CLM_AGENT_POKE_MS;
    assert_true(clm_agent_poke(&f.agent, now_ms));
    assert_true(f.agent.poller.is_busy);
    f.agent.state = CLM_AGENT_OFFLINE; /* it may hang: another one */
    assert_true(clm_agent_poke(&f.agent, now_ms + CLM_AGENT_POKE_MS));
    assert_false(f.agent.poller.is_busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(jobs_run_by_priority_two_at_a_time),
        WITH(jobs_wait_where_nothing_can_run),
        WITH(scan_runs_when_it_is_due),
        WITH(courier_runs_when_there_is_something_to_bring),
        WITH(polls_are_sent_when_it_is_time),
        WITH(slots_are_what_there_is_room_for),
        WITH(a_poller_that_fails_is_started_again_later),
        WITH(answer_of_the_poller_is_judged),
        WITH(a_poke_leaves_the_poll_that_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
