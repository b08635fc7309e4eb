/* SPDX-License-Identifier: Apache-2.0 */
/* Records of jobs, and the files they are: what is damaged, foreign or too much. */
#include "tests/unit/run/world.h"

#include "agent/run/record.h"

static int setup(void **state)
{
    static struct home h;

    home_open(&h);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    home_close(*state);
    return 0;
}

static void keep_finished(const struct home *h, const char *job_id)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = clm_json_new_object();
    struct clm_record record;

    clm_json_set_str(offer, "job_id", job_id);
    clm_json_set_str(offer, "type", "scan");
    clm_json_set_str(offer, "target", "host");
    assert_int_equal(clm_record_from_offer(offer, &record, NULL), CLM_OK);
    assert_int_equal(clm_record_save(&h->config, &record, NULL), CLM_OK);
    assert_int_equal(clm_record_archive(&h->config, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

static size_t listed(const struct home *h, bool finished)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};

    assert_int_equal(clm_record_list(&h->config, finished, &ids, NULL), CLM_OK);
    return ids.n;
}

static void offer_tells_which_member_is_bad(void **state)
{
    static const struct {
        const char *offer;
        const char *says;
    } rows[] = {
        {"{}", "job_id"},
        {"{\"job_id\":\"../x\"}", "job_id: not a job id"},
        {"{\"job_id\":\"" A_JOB "\"}", "type"},
        {"{\"job_id\":\"" A_JOB "\",\"type\":\"scan\"}", "target"},
        {"{\"job_id\":\"" A_JOB "\",\"type\":\"scan\",\"target\":\"a b\"}",
         "target: not a target id"},
        {"{\"job_id\":\"" A_JOB "\",\"type\":\"scan\",\"target\":\"host\",\"attempt\":0}",
         "attempt"},
        {"{\"job_id\":\"" A_JOB "\",\"type\":\"scan\",\"target\":\"host\",\"priority\":[]}",
         "priority"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = NULL;
        struct clm_record record;
        struct clm_err err = {0};

        assert_int_equal(
            clm_json_parse(rows[i].offer, strlen(rows[i].offer), CLM_JSON_TEXT_MAX, &offer, NULL),
            CLM_OK);
        if (clm_record_from_offer(offer, &record, &err) == CLM_OK ||
            strstr(err.msg, rows[i].says) == NULL || record.root != NULL) {
            fail_msg("row %zu: %s", i, err.msg);
        }
    }
}

static void id_that_is_none_becomes_no_path(void **state)
{
    const struct home *h = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    struct clm_record record = {.job_id = "../../etc/x", .root = root};
    struct clm_record other;
    struct clm_err err = {0};

    assert_int_equal(clm_record_save(&h->config, &record, &err), CLM_E_INVAL);
    assert_non_null(strstr(err.msg, "'../../etc/x' is not a job id"));
    assert_int_equal(clm_record_archive(&h->config, &record, NULL), CLM_E_INVAL);
    assert_int_equal(clm_record_load(&h->config, "job_x", &other, NULL), CLM_E_INVAL);
}

static void number_that_is_none_counts_as_zero(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    struct clm_record record = {.root = root};

    (void)state;
    clm_json_set_str(root, "fence", "7");
    clm_json_set_int(root, "phase", 7);
    assert_int_equal(clm_record_int(&record, "fence"), 0);
    assert_int_equal(clm_record_int(&record, "pct"), 0);
    assert_string_equal(clm_record_text(&record, "phase"), "");
}

static void only_files_of_jobs_are_listed(void **state)
{
    static const char *const names[] = {"jobs/x.json", "jobs/" A_JOB ".lock",
                                        "jobs/" A_JOB A_JOB ".json", "jobs/json"};
    const struct home *h = *state;
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(clm_net_path(&h->config, path, NULL, "%s", names[i]), CLM_OK);
        assert_int_equal(clm_fs_replace(path, "{}", 2, 0600, NULL), CLM_OK);
    }
    assert_int_equal(listed(h, false), 0);
}

static void hundred_finished_jobs_are_kept_the_newest(void **state)
{
    const struct home *h = *state;
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    char job_id[CLM_ID_SIZE];

    for (int i = 0; i < (int)CLM_RECORD_DONE_MAX + 2; i++) {
        (void)snprintf(job_id, sizeof(job_id), "job_01J9ZK3W5V7M2Q8R4T6Y0X%04d", 1000 + i);
        keep_finished(h, job_id);
    }
    assert_int_equal(clm_record_list(&h->config, true, &ids, NULL), CLM_OK);
    assert_int_equal(ids.n, CLM_RECORD_DONE_MAX);
    assert_string_equal(ids.v[0], "job_01J9ZK3W5V7M2Q8R4T6Y0X1101");
    assert_string_equal(ids.v[ids.n - 1], "job_01J9ZK3W5V7M2Q8R4T6Y0X1002");
}

static void record_that_is_gone_cannot_be_archived(void **state)
{
    const struct home *h = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    const struct clm_record record = {.job_id = A_JOB, .root = root};

    assert_int_equal(clm_record_archive(&h->config, &record, NULL), CLM_E_NOTFOUND);
}

static void name_that_does_not_fit_is_told(void **state)
{
    struct home *h = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    const struct clm_record record = {.job_id = A_JOB, .root = root};
    char *dir = h->config.state_dir;
    size_t len = strlen(dir);
    char path[PATH_MAX];
    char long_name[600];
    struct clm_err err = {0};
    int lock_fd = -1;

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(clm_net_path(&h->config, path, &err, "%s", long_name), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "too long"));
    for (size_t room = 10; room < 52; room++) { /* job, lock, archive: one after the other fits */
        size_t slashes = sizeof(h->config.state_dir) - 1 - room - len;

        memset(dir + len, '/', slashes);
        dir[len + slashes] = '\0';
        enum clm_code archived = clm_record_archive(&h->config, &record, NULL);
        enum clm_code locked = clm_record_lock(&h->config, A_JOB, &lock_fd, NULL);
        dir[len] = '\0';
        clm_fs_close_p(&lock_fd);
        assert_int_equal(archived, room < 50 ? CLM_E_LIMIT : CLM_E_NOTFOUND);
        assert_int_equal(locked, room < 45 ? CLM_E_LIMIT : CLM_OK);
    }
}

static void file_must_hold_an_object(void **state)
{
    static const char *const bad[] = {"", "{", "[]", "7", "{\"a\":1} x"};
    const struct home *h = *state;
    char path[PATH_MAX];

    assert_int_equal(clm_net_path(&h->config, path, NULL, "x.json"), CLM_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct clm_json *root = NULL;
        struct clm_err err = {0};

        assert_int_equal(clm_fs_replace(path, bad[i], strlen(bad[i]), 0600, NULL), CLM_OK);
        assert_int_equal(clm_file_read_json(path, 100, &root, &err), CLM_E_PARSE);
        assert_non_null(strstr(err.msg, "/net/x.json: "));
        assert_null(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(offer_tells_which_member_is_bad),
        WITH(id_that_is_none_becomes_no_path),
        WITH(number_that_is_none_counts_as_zero),
        WITH(only_files_of_jobs_are_listed),
        WITH(hundred_finished_jobs_are_kept_the_newest),
        WITH(record_that_is_gone_cannot_be_archived),
        WITH(name_that_does_not_fit_is_told),
        WITH(file_must_hold_an_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
