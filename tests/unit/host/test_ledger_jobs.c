/* SPDX-License-Identifier: Apache-2.0 */
/* All jobs of the ledger together: which count for a limit, which are dropped. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/host/ledger.h"
#include "tests/support/sabotage.h"

#define N_JOBS 6
#define AGENT  "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define FIRST  INT64_C(1000)                       /* when job 0 was accepted; 1 a second later */
#define LATER  (FIRST + N_JOBS + CLM_LEDGER_DAY_S) /* all are older than a day */

static const char *const payloads[] = {
    "{\"type\":\"deploy\",\"agent_id\":\"" AGENT "\",\"target\":\"nginx:a\"}",
    "{\"type\":\"deploy\",\"agent_id\":\"" AGENT "\",\"target\":\"nginx:b\"}",
    "{\"type\":\"scan\",\"agent_id\":\"" AGENT "\",\"target\":\"host\"}",
};

/* Against the order of their age: whoever makes jobs chooses the ids. */
static void id_of(int i, char job_id[CLM_ID_SIZE])
{
    (void)snprintf(job_id, CLM_ID_SIZE, "job_01J9ZK3W5V7M2Q8R4T6Y0X1B%cC", "6543210"[i]);
}

static void put_payload(const char *dir, int i, bool is_over, const char *payload)
{
    struct clm_job_record record = {.accepted_at_s = FIRST + i,
                                    .payload = strdup(payload),
                                    .result = is_over ? clm_json_new_object() : NULL};
    struct clm_err err = {0};

    id_of(i, record.job_id);
    clm_json_set_str(record.result, "result", "succeeded");
    assert_int_equal(clm_ledger_job_put(dir, &record, &err), CLM_OK);
    clm_job_record_done(&record);
}

static void put(const char *dir, int i, bool is_over)
{
    put_payload(dir, i, is_over, payloads[i % 3]);
}

static bool is_there(const char *dir, int i)
{
    char job_id[CLM_ID_SIZE];
    char path[PATH_MAX];

    id_of(i, job_id);
    (void)snprintf(path, sizeof(path), "%s/jobs/%s.json", dir, job_id);
    return clm_fs_exists(path) == 1;
}

/* A directory with jobs 0 to 5; 1 is not over. */
static int set_up(void **state)
{
    char *dir = strdup("/tmp/clmbot-test-ledger.XXXXXX");
    char path[PATH_MAX];

    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/jobs", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = N_JOBS; i-- > 0;) { /* the order of making says nothing */
        put(dir, i, i != 1);
    }
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    char path[PATH_MAX];
    struct clm_err err = {0};

    (void)snprintf(path, sizeof(path), "%s/jobs", (char *)*state);
    assert_int_equal(clm_fs_remove_dir(path, &err), CLM_OK);
    (void)snprintf(path, sizeof(path), "%s/seq.json", (char *)*state);
    (void)unlink(path);
    assert_int_equal(rmdir(*state), 0);
    free(*state);
    return 0;
}

static void test_oldest_that_are_over_are_dropped(void **state)
{
    struct clm_err err = {0};

    assert_int_equal(clm_ledger_trim(*state, N_JOBS, LATER, &err), CLM_OK);
    assert_true(is_there(*state, 0));
    assert_int_equal(clm_ledger_trim(*state, 4, LATER, &err), CLM_OK);
    assert_false(is_there(*state, 0));
    assert_true(is_there(*state, 1));
    assert_false(is_there(*state, 2));
    assert_true(is_there(*state, 3));
    assert_int_equal(clm_ledger_trim(*state, 0, LATER, &err), CLM_OK);
    for (int i = 0; i < N_JOBS; i++) {
        assert_int_equal(is_there(*state, i), i == 1);
    }
}

/* The jobs that are there after all were dropped that may be: one digit each, in ascending order. */
static void assert_left(const char *dir, int64_t now_s, const char *expected)
{
    char left[N_JOBS + 1] = "";
    struct clm_err err = {0};
    size_t n = 0;

    assert_int_equal(clm_ledger_trim(dir, 0, now_s, &err), CLM_OK);
    for (int i = 0; i < N_JOBS; i++) {
        if (is_there(dir, i)) {
            left[n++] = (char)('0' + i);
        }
    }
    assert_string_equal(left, expected);
}

/* However many there are, and whatever their ids: the limits of the policy count them. */
static void test_jobs_of_the_last_day_stay(void **state)
{
    int64_t n = 0;
    struct clm_err err = {0};

    assert_left(*state, FIRST, "012345");
    assert_left(*state, FIRST + CLM_LEDGER_DAY_S, "012345");
    assert_left(*state, FIRST + 3 + CLM_LEDGER_DAY_S, "1345");
    assert_int_equal(clm_ledger_count(*state, "deploy", NULL, FIRST + 3, &n, &err), CLM_OK);
    assert_int_equal(n, 2);
    assert_left(*state, LATER, "1");
}

/* Its number would be accepted once more. */
static void test_last_job_of_a_target_stays(void **state)
{
    struct clm_err err = {0};
    char job_id[CLM_ID_SIZE];

    id_of(0, job_id);
    assert_int_equal(clm_ledger_seq_put(*state, AGENT, "nginx:a", 7, job_id, &err), CLM_OK);
    id_of(2, job_id);
    assert_int_equal(clm_ledger_seq_put(*state, AGENT, "host", 7, job_id, &err), CLM_OK);
    assert_left(*state, LATER, "012");
    assert_int_equal(clm_ledger_seq_put(*state, AGENT, "nginx:a", 8, "job_x", &err), CLM_OK);
    assert_left(*state, LATER, "12");
    assert_int_equal(clm_ledger_seq_put(*state, "agt_x", "host", 1, job_id, &err), CLM_OK);
    assert_left(*state, LATER, "1"); /* it is for an agent that we are no more */
}

static void test_job_stays_if_nobody_can_tell_whether_it_is_the_last(void **state)
{
    struct clm_err err = {0};
    char path[PATH_MAX];

    put_payload(*state, 0, true, "{\"agent_id\":\"" AGENT "\"}");
    put_payload(*state, 2, true, "{\"target\":\"host\"}");
    put_payload(*state, 3, true, "{");
    assert_left(*state, LATER, "0123");
    put(*state, 4, true);
    (void)snprintf(path, sizeof(path), "%s/seq.json", (char *)*state);
    assert_int_equal(clm_fs_replace(path, "{", 1, 0600, &err), CLM_OK);
    assert_left(*state, LATER, "01234");
}

static void put_back(void *dir)
{
    for (int i = 0; i < N_JOBS; i++) {
        if (!is_there(dir, i)) {
            put(dir, i, true);
        }
    }
}

static enum clm_code trim_all(void *dir, struct clm_err *err)
{
    return clm_ledger_trim(dir, 0, LATER, err);
}

static void only_more_may_be_left(void *dir, enum clm_code code, const char *what)
{
    (void)code;
    (void)what;
    assert_true(is_there(dir, 0) && is_there(dir, 1));
    assert_left(dir, LATER, "01");
}

static void test_failure_drops_nothing_that_is_needed(void **state)
{
    const struct clm_sabotage plan = {put_back, trim_all, only_more_may_be_left, *state, false};
    struct clm_err err = {0};
    char job_id[CLM_ID_SIZE];

    id_of(0, job_id);
    assert_int_equal(clm_ledger_seq_put(*state, AGENT, "nginx:a", 7, job_id, &err), CLM_OK);
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup unlink") > 10);
}

static void test_jobs_of_one_instant_go_by_id(void **state)
{
    struct clm_job_record record = {.accepted_at_s = FIRST};
    struct clm_err err = {0};

    for (int i = 0; i < N_JOBS; i++) {
        record.payload = strdup(payloads[0]);
        record.result = clm_json_new_object();
        id_of(i, record.job_id);
        clm_json_set_str(record.result, "result", "succeeded");
        assert_int_equal(clm_ledger_job_put(*state, &record, &err), CLM_OK);
        clm_job_record_done(&record);
        record.accepted_at_s = FIRST;
    }
    assert_int_equal(clm_ledger_trim(*state, 2, LATER, &err), CLM_OK);
    for (int i = 0; i < N_JOBS; i++) {
        assert_int_equal(is_there(*state, i), i < 2);
    }
}

static void test_damaged_record_stays_and_counts_for_nothing(void **state)
{
    char job_id[CLM_ID_SIZE];
    char path[PATH_MAX];
    struct clm_err err = {0};
    int64_t n = -1;

    id_of(0, job_id);
    (void)snprintf(path, sizeof(path), "%s/jobs/%s.json", (char *)*state, job_id);
    assert_int_equal(clm_fs_replace(path, "{", 1, 0600, &err), CLM_OK);
    (void)snprintf(path, sizeof(path), "%s/jobs/notes.txt", (char *)*state);
    assert_int_equal(clm_fs_replace(path, "x", 1, 0600, &err), CLM_OK);
    assert_int_equal(clm_ledger_trim(*state, 0, LATER, &err), CLM_OK);
    assert_true(is_there(*state, 0));
    assert_int_equal(clm_fs_exists(path), 1);
    assert_int_equal(clm_ledger_count(*state, "deploy", NULL, 0, &n, &err), CLM_OK);
    assert_int_equal(n, 1); /* the one that is not over */
}

static void test_jobs_of_a_type_and_target_since_then_are_counted(void **state)
{
    static const struct {
        const char *type;
        const char *target;
        int64_t since_s;
        int64_t n;
    } cases[] = {
        {"deploy", NULL, 0, 4},         {"deploy", NULL, 1003, 2}, {"deploy", "nginx:a", 0, 2},
        {"deploy", "nginx:a", 1001, 1}, {"scan", NULL, 0, 2},      {"scan", "nginx:a", 0, 0},
        {"order", NULL, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clm_err err = {0};
        int64_t n = -1;

        assert_int_equal(
            clm_ledger_count(*state, cases[i].type, cases[i].target, cases[i].since_s, &n, &err),
            CLM_OK);
        assert_int_equal(n, cases[i].n);
    }
}

static void test_directory_that_is_not_there_is_an_error(void **state)
{
    struct clm_err err = {0};
    int64_t n;

    (void)state;
    assert_int_equal(clm_ledger_trim("/nowhere", 1, LATER, &err), CLM_E_NOTFOUND);
    assert_int_equal(clm_ledger_count("/nowhere", "scan", NULL, 0, &n, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "/nowhere/jobs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_oldest_that_are_over_are_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_jobs_of_the_last_day_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_job_of_a_target_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_job_stays_if_nobody_can_tell_whether_it_is_the_last,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_drops_nothing_that_is_needed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_jobs_of_one_instant_go_by_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_record_stays_and_counts_for_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_jobs_of_a_type_and_target_since_then_are_counted,
                                        set_up, tear_down),
        cmocka_unit_test(test_directory_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
