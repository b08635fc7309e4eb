/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/world.h"

#include "agent/base/clock.h"
#include "agent/run/inventory.h"
#include "agent/run/record.h"
#include "agent/run/sender.h"
#include "agent/run/spool.h"

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

/* A finished job whose result waits. */
static void finished_job(const struct home *h)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = clm_json_new_object();
    struct clm_record record;
    char dir[PATH_MAX];

    spool_path(h, dir);
    clm_json_set_str(body, "outcome", "succeeded");
    const struct clm_spool_message message = {.class_no = CLM_SPOOL_RESULT,
                                              .job_id = A_JOB,
                                              .method = "POST",
                                              .path = "/agent/v1/jobs/" A_JOB "/result",
                                              .body = body};
    assert_int_equal(clm_spool_put(dir, &message, NULL), CLM_OK);
    clm_json_set_str(offer, "job_id", A_JOB);
    clm_json_set_str(offer, "type", "scan");
    clm_json_set_str(offer, "target", "host");
    assert_int_equal(clm_record_from_offer(offer, &record, NULL), CLM_OK);
    clm_json_set_str(record.root, "state", "done");
    assert_int_equal(clm_record_save(&h->config, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

static enum clm_code drain(struct home *h, const struct exchange *list, size_t n)
{
    struct script s = {.list = list, .n = n};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = script_api(&s);

    enum clm_code code = clm_sender_drain(&h->config, api, NULL, NULL);
    assert_int_equal(s.at, n);
    return code;
}

static void each_answer_has_its_consequence(void **state)
{
    static const struct {
        int status;
        const char *body;
        size_t waiting;
        size_t dead;
        bool archived;
    } rows[] = {
        {200, "{\"state\":\"succeeded\"}", 0, 0, true},
        {202, "{}", 0, 0, true},
        {409, "{\"code\":\"stale-fence\"}", 0, 0, true},
        {409, "{\"code\":\"job-terminal\"}", 0, 0, true},
        {404, "{\"code\":\"job-unknown\"}", 0, 0, true},
        {410, "{\"code\":\"expired\"}", 0, 0, true},
        {400, "{\"code\":\"schema\"}", 0, 1, true},
        {422, "{\"code\":\"policy\"}", 0, 1, true},
        {413, "{\"code\":\"too-large\"}", 0, 1, true},
        {409, "{\"code\":\"idempotency-in-progress\",\"retryable\":true}", 1, 0, false},
        {401, "{\"code\":\"cert-expired\"}", 1, 0, false},
        {403, "{\"code\":\"agent-disabled\"}", 1, 0, false},
        {403, "{\"code\":\"agent-pending\"}", 1, 0, false},
        {408, "{}", 1, 0, false},
        {429, "{\"code\":\"rate-limited\"}", 1, 0, false},
        {500, "{\"code\":\"internal\"}", 1, 0, false},
        {200, "<html>", 1, 0, false},
        {0, NULL, 1, 0, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct home *h = *state;
        const struct exchange e = {
            "POST", "/result", "succeeded", rows[i].status, NULL, rows[i].body, NULL, NULL, 0};
        struct clm_spool_stats stats;
        struct clm_record record;
        char dir[PATH_MAX];

        finished_job(h);
        enum clm_code code = drain(h, &e, 1);
        spool_path(h, dir);
        clm_spool_stats(dir, 1, &stats);
        bool archived = clm_record_load_finished(&h->config, A_JOB, &record, NULL) == CLM_OK;
        clm_record_done(&record);
        if (stats.n != rows[i].waiting || stats.dead != rows[i].dead ||
            archived != rows[i].archived || (code == CLM_OK) != (rows[i].waiting == 0)) {
            fail_msg("row %zu (%d): %zu waiting, %zu dead, archived %d, code %d", i, rows[i].status,
                     stats.n, stats.dead, archived, code);
        }
        home_close(h);
        home_open(h);
    }
}

static void refused_message_does_not_hold_up_the_next(void **state)
{
    static const struct exchange list[] = {
        {"POST", "/result", NULL, 400, NULL, "{\"code\":\"schema\"}", NULL, NULL, 0},
        {"POST", "/result", NULL, 200, NULL, "{}", NULL, NULL, 0}};
    struct home *h = *state;

    finished_job(h);
    usleep(2000);
    finished_job(h);
    assert_int_equal(drain(h, list, 2), CLM_OK);
}

static void deferred_message_is_not_sent_again_at_once(void **state)
{
    static const struct exchange list[] = {
        {"POST", "/result", NULL, 503, NULL, "{\"code\":\"draining\"}", NULL, NULL, 100}};
    struct home *h = *state;
    struct clm_spool_entry entry;
    int64_t wait_s = 0;
    char dir[PATH_MAX];

    finished_job(h);
    assert_int_equal(drain(h, list, 1), CLM_E_REMOTE);
    assert_int_equal(drain(h, NULL, 0), CLM_OK);
    spool_path(h, dir);
    assert_int_equal(clm_spool_next(dir, clm_clock_now_s(), NULL, &entry, &wait_s, NULL), CLM_OK);
    assert_in_range(wait_s, 98, 151); /* Retry-After and up to half of it */
    clm_spool_entry_done(&entry);
}

static void result_of_a_job_that_runs_again_or_of_none_archives_nothing(void **state)
{
    static const struct exchange list[] = {
        {"POST", "/result", NULL, 200, NULL, "{}", NULL, NULL, 0},
        {"POST", "/result", NULL, 200, NULL, "{}", NULL, NULL, 0}};
    struct home *h = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_spool_message message = {.class_no = CLM_SPOOL_RESULT,
                                              .job_id = "",
                                              .method = "POST",
                                              .path = "/agent/v1/result",
                                              .body = body};
    struct clm_record record;
    char dir[PATH_MAX];

    finished_job(h);
    assert_int_equal(clm_record_load(&h->config, A_JOB, &record, NULL), CLM_OK);
    clm_json_set_str(record.root, "state", "running");
    assert_int_equal(clm_record_save(&h->config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    spool_path(h, dir);
    assert_int_equal(clm_spool_put(dir, &message, NULL), CLM_OK);
    assert_int_equal(drain(h, list, 2), CLM_OK);
    assert_int_equal(clm_record_load(&h->config, A_JOB, &record, NULL), CLM_OK);
    assert_string_equal(clm_record_text(&record, "state"), "running");
    clm_record_done(&record);
}

static void inventory_without_a_digest_is_none_that_is_known(void **state)
{
    static const struct exchange list[] = {
        {"PUT", "/inventory", NULL, 204, "", NULL, NULL, NULL, 0}};
    struct home *h = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_spool_message message = {.class_no = CLM_SPOOL_INVENTORY,
                                              .method = "PUT",
                                              .path = "/agent/v1/inventory",
                                              .body = body};
    char digest[CLM_DIGEST_TEXT_SIZE] = "x";
    char dir[PATH_MAX];

    assert_int_equal(clm_inventory_sent(&h->config, "sha256:aa", NULL), CLM_OK);
    spool_path(h, dir);
    assert_int_equal(clm_spool_put(dir, &message, NULL), CLM_OK);
    assert_int_equal(drain(h, list, 1), CLM_OK);
    clm_inventory_sent_digest(&h->config, digest);
    assert_string_equal(digest, "");
}

static void delivered_inventory_is_remembered(void **state)
{
    static const struct exchange list[] = {
        {"PUT", "/inventory", "sha256:aa", 204, "", NULL, NULL, NULL, 0}};
    struct home *h = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    char digest[CLM_DIGEST_TEXT_SIZE];
    char dir[PATH_MAX];

    clm_json_set_str(body, "digest", "sha256:aa");
    const struct clm_spool_message message = {.class_no = CLM_SPOOL_INVENTORY,
                                              .method = "PUT",
                                              .path = "/agent/v1/inventory",
                                              .body = body};
    spool_path(h, dir);
    assert_int_equal(clm_spool_put(dir, &message, NULL), CLM_OK);
    clm_inventory_sent_digest(&h->config, digest);
    assert_string_equal(digest, "");
    assert_int_equal(drain(h, list, 1), CLM_OK);
    clm_inventory_sent_digest(&h->config, digest);
    assert_string_equal(digest, "sha256:aa");
}

/* ---- digest ---- */

static void digest_of(const char *text, char *dst)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *inventory = NULL;

    assert_int_equal(clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &inventory, NULL),
                     CLM_OK);
    assert_int_equal(clm_inventory_digest(inventory, dst, NULL), CLM_OK);
}

#define INVENTORY(at, pid, sha, served, seen)                                                      \
    "{\"started_at\":\"" at "\",\"duration_ms\":" pid ",\"services\":[{\"service_id\":\"n\","      \
    "\"pid\":" pid ",\"start_ticks\":" pid ",\"targets\":[{\"target\":\"nginx:a\",\"sha\":\"" sha  \
    "\",\"served\":\"" served "\",\"observations\":[" seen "]}]}],\"errors\":[]}"

static void digest_changes_with_what_matters_only(void **state)
{
    static const struct {
        const char *text;
        bool same;
    } rows[] = {
        {INVENTORY("2026-01-01T00:00:00Z", "1", "aa", "bb", "1"), true},
        {INVENTORY("2027-01-01T00:00:00Z", "1", "aa", "bb", "1"), true},
        {INVENTORY("2026-01-01T00:00:00Z", "2", "aa", "bb", "1"), true},
        {INVENTORY("2026-01-01T00:00:00Z", "1", "aa", "bb", "2,3"), true},
        {INVENTORY("2026-01-01T00:00:00Z", "1", "ab", "bb", "1"), false},
        {INVENTORY("2026-01-01T00:00:00Z", "1", "aa", "bc", "1"), false},
        {"{\"services\":[],\"errors\":[]}", false},
    };
    char first[CLM_DIGEST_TEXT_SIZE];

    (void)state;
    digest_of(rows[0].text, first);
    assert_int_equal(strncmp(first, "sha256:", 7), 0);
    assert_int_equal(strlen(first), 71);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char digest[CLM_DIGEST_TEXT_SIZE];

        digest_of(rows[i].text, digest);
        if ((strcmp(first, digest) == 0) != rows[i].same) {
            fail_msg("row %zu", i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(each_answer_has_its_consequence),
        WITH(refused_message_does_not_hold_up_the_next),
        WITH(deferred_message_is_not_sent_again_at_once),
        WITH(result_of_a_job_that_runs_again_or_of_none_archives_nothing),
        WITH(inventory_without_a_digest_is_none_that_is_known),
        WITH(delivered_inventory_is_remembered),
        WITH(digest_changes_with_what_matters_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
