/* SPDX-License-Identifier: Apache-2.0 */
/* What a job tells on its way, what it keeps for itself, and when it stops waiting. */
#include "tests/unit/run/job_world.h"

static struct {
    struct home home;
    struct script http;
    struct clm_job_world world;
    struct clm_job job;
} f;

static void time_is_over(int64_t ms)
{
    (void)ms;
    f.job.deadline_ms = 0;
}

static void operator_cancels(int64_t ms)
{
    (void)ms;
    f.job.is_canceled = true;
}

static int setup(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = clm_json_new_object();

    (void)state;
    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    clm_json_set_str(offer, "job_id", A_JOB);
    clm_json_set_str(offer, "type", "deploy");
    clm_json_set_str(offer, "target", "nginx:a");
    f.world = (struct clm_job_world){.config = &f.home.config,
                                     .api = script_api(&f.http),
                                     .stop_fd = -1,
                                     .sleep_ms = time_is_over};
    f.job.world = &f.world;
    f.job.events_pause_s = CLM_JOB_EVENT_BATCH_S;
    f.job.deadline_ms = INT64_MAX;
    f.job.result = clm_json_new_object();
    assert_int_equal(clm_record_from_offer(offer, &f.job.record, NULL), CLM_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clm_record_done(&f.job.record);
    clm_json_free(f.job.result);
    clm_json_free(f.job.events);
    clm_api_free(f.world.api);
    home_close(&f.home);
    return 0;
}

static void tell(const char *text)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *event = NULL;

    assert_int_equal(clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &event, NULL), CLM_OK);
    clm_job_on_event(&f.job, event);
}

static void has_leased(const struct exchange *list, size_t n)
{
    clm_json_set_int(f.job.record.root, "fence", 7);
    f.http = (struct script){.list = list, .n = n};
}

static void what_looks_like_a_secret_is_not_passed_on(void **state)
{
    static const struct {
        const char *event;
        bool is_kept;
    } rows[] = {
        {"{\"kind\":\"log\",\"msg\":\"-----BEGIN PRIVATE KEY-----\"}", false},
        {"{\"kind\":\"log\",\"msg\":\"Password=hush\"}", false},
        {"{\"kind\":\"log\",\"msg\":\"Authorization: Bearer x\"}", false},
        {"{\"kind\":\"log\",\"msg\":\"reloaded\"}", true},
        {"{\"kind\":\"note\"}", true},
        {"{\"kind\":\"phase\"}", true},
        {"{\"phase\":\"swap\"}", true},
    };
    char text[CLM_JOB_LOG_MAX + 64];
    size_t kept = 0;

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        tell(rows[i].event);
        kept += rows[i].is_kept;
        if (clm_json_len(f.job.events) != kept) {
            fail_msg("row %zu", i);
        }
    }
    for (int len = CLM_JOB_LOG_MAX; len <= CLM_JOB_LOG_MAX + 1; len++) {
        (void)snprintf(text, sizeof(text), "{\"msg\":\"%0*d\"}", len, 0);
        tell(text);
        assert_int_equal(clm_json_len(f.job.events), kept + 1); /* one more is too long */
    }
}

static void events_and_steps_are_limited(void **state)
{
    (void)state;
    clm_job_step(&f.job, "swap", "ok", 1, NULL); /* nowhere to note it */
    assert_null(clm_json_get(f.job.result, "steps"));
    (void)clm_json_set_array(f.job.result, "steps");
    for (int i = 0; i < CLM_JOB_EVENTS_MAX + 1; i++) {
        clm_job_step(&f.job, "swap", "ok", 1, NULL);
    }
    assert_int_equal(clm_json_len(f.job.events), CLM_JOB_EVENTS_MAX);
    assert_int_equal(clm_record_int(&f.job.record, "event_seq"), CLM_JOB_EVENTS_MAX);
    assert_int_equal(clm_json_len(clm_json_get(f.job.result, "steps")), 200);
}

static void phase_of_a_host_half_that_is_newer_moves_no_bar_back(void **state)
{
    (void)state;
    clm_json_set_int(f.job.record.root, "pct", 60);
    f.job.host_from_pct = 50;
    tell("{\"kind\":\"phase\",\"phase\":\"dance\"}");
    assert_string_equal(clm_record_text(&f.job.record, "phase"), "dance");
    assert_int_equal(clm_record_int(&f.job.record, "pct"), 60);
}

static void events_wait_for_the_pause_they_were_asked_for(void **state)
{
    static const struct exchange cp[] = {
        {"POST", "/events", NULL, 200, NULL, "{\"min_interval_s\":30}", NULL, NULL, 0},
        {"POST", "/events", NULL, 200, NULL, "{\"min_interval_s\":901}", NULL, NULL, 0},
    };

    (void)state;
    tell("{\"kind\":\"note\"}");
    clm_job_flush(&f.job, true); /* without a lease nobody wants them */
    assert_int_equal(clm_json_len(f.job.events), 1);
    has_leased(cp, N(cp));
    clm_job_phase(&f.job, "swap", 10);
    assert_int_equal(f.http.at, 1);
    assert_null(f.job.events);
    assert_int_equal(f.job.events_pause_s, 30);
    f.job.events_sent_ms = 0;
    clm_job_phase(&f.job, "reload", 20); /* not at once any more */
    assert_int_equal(f.http.at, 1);
    f.job.events_since_ms -= 31000;
    clm_job_flush(&f.job, false);
    assert_int_equal(f.http.at, 2);
    assert_int_equal(f.job.events_pause_s, 30); /* that was no pause */
}

static void phases_are_told_at_once_unless_nobody_listens(void **state)
{
    static const struct exchange cp[] = {
        {"POST", "/events", NULL, 0, NULL, NULL, NULL, NULL, 0},
    };

    (void)state;
    has_leased(cp, N(cp));
    clm_job_phase(&f.job, "swap", 10);
    assert_int_equal(f.http.at, 1);
    f.job.events_sent_ms = clm_clock_mono_ms() - 10000; /* no burst, but the last were not taken */
    clm_job_phase(&f.job, "reload", 20);
    assert_int_equal(clm_json_len(f.job.events), 2);
}

static void answer_to_events_may_cancel(void **state)
{
    static const char *const states[] = {"canceling", "canceled", "running"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(states); i++) {
        const struct exchange cp[] = {
            {"POST", "/events", NULL, 200, NULL, "{}", NULL, states[i], 0}};
        struct clm_err err = {0};

        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        has_leased(cp, N(cp));
        tell("{\"kind\":\"note\"}");
        clm_job_flush(&f.job, true);
        assert_int_equal(clm_job_check(&f.job, &err), i < 2 ? CLM_E_CANCELLED : CLM_OK);
    }
}

static void bad_weather_ends_with_the_time_of_the_job_or_with_the_job(void **state)
{
    /* Several: a pause may be none at all. */
    static const struct exchange cp[] = {{"GET", "/x", NULL, 0, NULL, NULL, NULL, NULL, 0},
                                         {"GET", "/x", NULL, 0, NULL, NULL, NULL, NULL, 0},
                                         {"GET", "/x", NULL, 0, NULL, NULL, NULL, NULL, 0},
                                         {"GET", "/x", NULL, 0, NULL, NULL, NULL, NULL, 0}};
    static const struct clm_api_request request = {.method = "GET", .path = "/agent/v1/x"};
    static const char *const says[] = {"time is over", "canceled"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(says); i++) {
        struct clm_api_response answer;
        struct clm_err err = {0};

        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        f.world.sleep_ms = i == 0 ? time_is_over : operator_cancels;
        has_leased(cp, N(cp));
        assert_int_equal(clm_job_api(&f.job, &request, &answer, &err),
                         i == 0 ? CLM_E_TIMEOUT : CLM_E_CANCELLED);
        assert_non_null(strstr(err.msg, says[i]));
        clm_api_response_done(&answer);
    }
}

static void result_has_effects_and_a_problem_of_its_own(void **state)
{
    static const struct clm_err why = {.code = CLM_E_IO, .msg = "the disk is full"};

    (void)state;
    f.job.fault.retryable = true;
    clm_job_conclude(&f.job, CLM_E_IO, &why);
    const struct clm_json *error = clm_json_get(f.job.result, "error");
    bool retryable = false;
    assert_non_null(clm_json_get(f.job.result, "effects"));
    assert_string_equal(clm_json_text(clm_json_get(error, "code")), "E_IO");
    assert_string_equal(clm_json_text(clm_json_get(error, "message")), "the disk is full");
    assert_int_equal(clm_json_bool(error, "retryable", &retryable, NULL), CLM_OK);
    assert_true(retryable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(what_looks_like_a_secret_is_not_passed_on),
        WITH(events_and_steps_are_limited),
        WITH(phase_of_a_host_half_that_is_newer_moves_no_bar_back),
        WITH(events_wait_for_the_pause_they_were_asked_for),
        WITH(phases_are_told_at_once_unless_nobody_listens),
        WITH(answer_to_events_may_cancel),
        WITH(bad_weather_ends_with_the_time_of_the_job_or_with_the_job),
        WITH(result_has_effects_and_a_problem_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
