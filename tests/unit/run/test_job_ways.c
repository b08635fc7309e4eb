/* SPDX-License-Identifier: Apache-2.0 */
/* The ways a job takes that is not simply done: later, never, elsewhere; and what is told of it. */
#include "tests/unit/run/job_world.h"

#define DONE "{\"outcome\":\"succeeded\",\"steps\":[],\"effects\":{},\"error\":null}"
#define ACCEPTED_AS(type, rest)                                                                    \
    "{\"job_id\":\"" A_JOB "\",\"type\":\"" type "\",\"target\":\"nginx:www.a.example\"" rest "}"

static const struct host_row deploys[] = {
    {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
    {CLM_OP_DEPLOY, NULL, NULL, DONE, NULL, 0},
};
static const struct exchange leased[] = {LEASE, RESULT("\"outcome\":\"succeeded\"")};

static struct clm_json *record_edit(struct fixture *f, struct clm_record *out)
{
    assert_true(job_world_load(f, false, out));
    return out->root;
}

static void record_keep(struct fixture *f, struct clm_record *record)
{
    assert_int_equal(clm_record_save(&f->home.config, record, NULL), CLM_OK);
    clm_record_done(record);
}

/* Where the record is: 'o' open, 'd' done, '-' nowhere. */
static char place_of_record(struct fixture *f)
{
    struct clm_record record;
    char place = '-';

    for (int finished = 0; finished < 2; finished++) {
        if (job_world_load(f, finished != 0, &record)) {
            place = finished != 0 ? 'd' : 'o';
        }
        clm_record_done(&record);
    }
    return place;
}

/* ---- the signed job ---- */

static void signed_job_is_fetched_where_the_offer_has_none(void **state)
{
    static const struct {
        struct exchange first;
        int status;
        char place;
    } rows[] = {
        {{"GET", "/jobs/" A_JOB, NULL, 200, NULL, "{\"jws\":{\"payload\":\"e30\"}}", NULL, NULL, 0},
         CLM_JOB_EXIT_OK,
         'd'},
        {{"GET", "/jobs/" A_JOB, NULL, 200, NULL, "{\"payload\":\"e30\"}", NULL, NULL, 0},
         CLM_JOB_EXIT_OK,
         'd'},
        {{"GET", "/jobs/" A_JOB, NULL, 404, NULL, "{\"code\":\"job-unknown\"}", NULL, NULL, 0},
         CLM_JOB_EXIT_OK,
         'd'},
        {{"GET", "/jobs/" A_JOB, NULL, 403, NULL, "{\"code\":\"forbidden\"}", NULL, NULL, 0},
         CLM_JOB_EXIT_OK,
         'd'},
        {{"GET", "/jobs/" A_JOB, NULL, 401, NULL, "{\"code\":\"cert-expired\"}", NULL, NULL, 0},
         CLM_JOB_EXIT_LATER,
         'o'},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct exchange cp[] = {rows[i].first, leased[0], leased[1]};
        struct clm_record record;

        assert_int_equal(job_world_teardown(state), 0);
        assert_int_equal(job_world_setup(state), 0);
        struct fixture *f = *state;
        job_world_offer(f, "deploy");
        clm_json_remove(record_edit(f, &record), "jws");
        record_keep(f, &record);
        job_world_host(f, deploys, N(deploys));
        int status = job_world_run(f, cp, N(cp));
        if (status != rows[i].status || place_of_record(f) != rows[i].place) {
            fail_msg("row %zu: %d, %c", i, status, place_of_record(f));
        }
    }
}

/* What the host half makes of the signed job decides whether it is tried at all. */
static void job_that_cannot_be_accepted_ends_or_waits(void **state)
{
    static const struct {
        const char *type;
        const char *accepted;
        const char *outcome; /* NULL: it waits */
    } rows[] = {
        {"deploy", ACCEPTED_AS("deploy", ",\"spec\":{}"), NULL},
        {"deploy", ACCEPTED_AS("deploy", ",\"timeout_s\":900"), NULL},
        {"dance", ACCEPTED_AS("dance", ",\"timeout_s\":900,\"spec\":{}"), "rejected"},
        {"deploy", "{\"timeout_s\":900,\"spec\":{}}", "rejected"},
        {"deploy", "{\"type\":\"deploy\",\"timeout_s\":900,\"spec\":{}}", "failed"},
        {"deploy", ACCEPTED_AS("deploy", ",\"timeout_s\":900,\"spec\":{}"), "succeeded"},
        {"deploy", ACCEPTED_AS("deploy", ",\"timeout_s\":9,\"spec\":{},\"state\":\"done\""),
         "failed"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct host_row host[] = {
            {CLM_OP_JOB_ACCEPT, NULL, NULL, rows[i].accepted, NULL, 0},
            {CLM_OP_DEPLOY, NULL, NULL, DONE, NULL, 0},
        };
        const struct exchange cp[] = {LEASE, RESULT(rows[i].outcome)};

        assert_int_equal(job_world_teardown(state), 0);
        assert_int_equal(job_world_setup(state), 0);
        struct fixture *f = *state;
        job_world_offer(f, rows[i].type);
        job_world_host(f, host, N(host));
        int status = job_world_run(f, cp, rows[i].outcome == NULL ? 0 : N(cp));
        int expected = rows[i].outcome == NULL ? CLM_JOB_EXIT_LATER : CLM_JOB_EXIT_OK;
        if (status != expected || place_of_record(f) != (rows[i].outcome == NULL ? 'o' : 'd')) {
            fail_msg("row %zu: %d, %c", i, status, place_of_record(f));
        }
    }
}

/* ---- the lease ---- */

static void lease_that_is_none_ends_the_job_or_puts_it_off(void **state)
{
    static const struct {
        const char *state;
        int status;
        const char *body;
        const char *job_state;
        int expected;
        char place;
        int64_t pause_s; /* 0: does not matter */
    } rows[] = {
        {"running", 409, "{\"code\":\"conflict\"}", NULL, CLM_JOB_EXIT_OK, 'd', 0},
        {"offered", 409, "{\"code\":\"busy\"}", "canceling", CLM_JOB_EXIT_OK, 'd', 0},
        {"offered", 423, "{\"code\":\"waiting\"}", NULL, CLM_JOB_EXIT_LATER, 'o', 60},
        {"offered", 200, "{\"attempt\":1}", NULL, CLM_JOB_EXIT_LATER, 'o', 0},
        {"offered", 200, "{\"fence\":1}", NULL, CLM_JOB_EXIT_LATER, 'o', 0},
        {"offered", 200, "{\"fence\":1}", "canceled", CLM_JOB_EXIT_OK, 'd', 0},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct exchange cp[] = {{"POST", "/lease", NULL, rows[i].status, NULL, rows[i].body,
                                       NULL, rows[i].job_state, 0}};
        struct clm_record record;

        assert_int_equal(job_world_teardown(state), 0);
        assert_int_equal(job_world_setup(state), 0);
        struct fixture *f = *state;
        job_world_offer(f, "deploy");
        clm_json_set_str(record_edit(f, &record), "state", rows[i].state);
        record_keep(f, &record);
        job_world_host(f, deploys, N(deploys));
        int status = job_world_run(f, cp, N(cp));
        if (status != rows[i].expected || place_of_record(f) != rows[i].place) {
            fail_msg("row %zu: %d, %c", i, status, place_of_record(f));
        }
        if (rows[i].pause_s > 0) {
            (void)record_edit(f, &record);
            assert_in_range(clm_record_int(&record, "next_try_s") - clm_clock_now_s(),
                            rows[i].pause_s - 2, rows[i].pause_s);
            clm_record_done(&record);
        }
    }
}

/* Signals that came before it had a lease. */
static void what_it_is_told_before_its_lease_counts(void **state)
{
    static const struct {
        int signo;
        int status;
        char place;
    } rows[] = {
        {SIGUSR1, CLM_JOB_EXIT_OK, 'd'},
        {SIGUSR2, CLM_JOB_EXIT_OK, 'd'},
        {SIGTERM, CLM_JOB_EXIT_LATER, 'o'},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        sigset_t set;

        assert_int_equal(job_world_teardown(state), 0);
        assert_int_equal(job_world_setup(state), 0);
        struct fixture *f = *state;
        job_world_offer(f, "deploy");
        job_world_host(f, deploys, N(deploys));
        (void)sigemptyset(&set);
        (void)sigaddset(&set, rows[i].signo);
        assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        f->stop_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        assert_true(f->stop_fd >= 0);
        assert_int_equal(kill(getpid(), rows[i].signo), 0);
        int status = job_world_run(f, NULL, 0);
        (void)close(f->stop_fd);
        assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
        if (status != rows[i].status || place_of_record(f) != rows[i].place) {
            fail_msg("row %zu: %d, %c", i, status, place_of_record(f));
        }
    }
}

/* ---- ends ---- */

static void job_without_a_record_is_a_fault(void **state)
{
    struct fixture *f = *state;

    job_world_host(f, deploys, N(deploys));
    assert_int_equal(job_world_run(f, NULL, 0), CLM_JOB_EXIT_FAULT);
}

static void job_that_was_done_only_sends_its_result(void **state)
{
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "deploy");
    clm_json_set_str(record_edit(f, &record), "state", "done");
    record_keep(f, &record);
    job_world_host(f, deploys, N(deploys));
    assert_int_equal(job_world_run(f, NULL, 0), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "");
}

static void host_half_that_went_away_too_often_fails_the_job(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
        {CLM_OP_DEPLOY, NULL, NULL, "", NULL, 0},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"outcome\":\"failed\"")};
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "deploy");
    clm_json_set_int(record_edit(f, &record), "tries", 10);
    record_keep(f, &record);
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
}

/* The host half is told that a job is over, unless it comes again. */
static void last_attempt_is_closed_at_the_host_half(void **state)
{
    static const struct {
        const char *rest;
        const char *lease;
        bool is_closed;
    } rows[] = {
        {",\"max_attempts\":3", "{\"fence\":7,\"attempt\":1}", false},
        {",\"max_attempts\":3", "{\"fence\":7,\"attempt\":3}", true},
        {",\"max_attempts\":\"x\"", "{\"fence\":7,\"attempt\":1}", true},
        {"", "{\"fence\":7,\"attempt\":2}", false},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_record record;
        char accepted[512];

        (void)snprintf(accepted, sizeof(accepted),
                       "{\"job_id\":\"" A_JOB "\",\"type\":\"scan\",\"target\":"
                       "\"nginx:www.a.example\",\"timeout_s\":900,\"spec\":{}%s}",
                       rows[i].rest);
        const struct host_row host[] = {
            {CLM_OP_JOB_ACCEPT, NULL, NULL, accepted, NULL, 0},
            {CLM_OP_SCAN, NULL, NULL, NULL, "E_TIMEOUT", CLM_E_TIMEOUT},
            {CLM_OP_CLOSE, NULL, NULL, NULL, "E_IO", CLM_E_IO}, /* it cannot; that is logged */
        };
        const struct exchange cp[] = {
            {"POST", "/lease", NULL, 200, NULL, rows[i].lease, NULL, NULL, 0},
            RESULT("\"outcome\":\"failed\"")};

        assert_int_equal(job_world_teardown(state), 0);
        assert_int_equal(job_world_setup(state), 0);
        struct fixture *f = *state;
        job_world_offer(f, "scan");
        clm_json_set_int(record_edit(f, &record), "tries", 10); /* it is not put off any more */
        record_keep(f, &record);
        job_world_host(f, host, N(host));
        assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
        if ((strstr(job_world_ops(f), "close") != NULL) != rows[i].is_closed) {
            fail_msg("row %zu: %s", i, job_world_ops(f));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, job_world_setup, job_world_teardown)
        WITH(signed_job_is_fetched_where_the_offer_has_none),
        WITH(job_that_cannot_be_accepted_ends_or_waits),
        WITH(lease_that_is_none_ends_the_job_or_puts_it_off),
        WITH(what_it_is_told_before_its_lease_counts),
        WITH(job_without_a_record_is_a_fault),
        WITH(job_that_was_done_only_sends_its_result),
        WITH(host_half_that_went_away_too_often_fails_the_job),
        WITH(last_attempt_is_closed_at_the_host_half),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
