/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/world.h"

#include "agent/run/poll.h"
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

static struct clm_json *parse(const char *text)
{
    struct clm_json *root = NULL;
    struct clm_err err = {0};

    if (clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &root, &err) != CLM_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
    return root;
}

#define OFFER(id, target)                                                                          \
    "{\"job_id\":\"" id "\",\"type\":\"deploy\",\"target\":\"" target                              \
    "\",\"target_seq\":1,\"priority\":50,\"attempt\":1,\"jws\":{\"payload\":\"e30\"}}"

static enum clm_code apply(struct home *h, struct clm_poll_state *state, const char *text,
                           bool has_room, struct clm_poll_orders *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = parse(text);

    return clm_poll_apply(&h->config, state, answer, has_room, out, NULL);
}

static size_t open_jobs(const struct home *h)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};

    assert_int_equal(clm_record_list(&h->config, false, &ids, NULL), CLM_OK);
    return ids.n;
}

static void offers_become_durable_records(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {.cursor = 5};
    struct clm_poll_orders orders;
    struct clm_record record;

    assert_int_equal(apply(h, &poll,
                           "{\"cursor\":9,\"next_poll_s\":3,\"wait_max_s\":40,"
                           "\"reconnect_spread_s\":120,\"offers\":[" OFFER(A_JOB, "nginx:a") "]}",
                           true, &orders),
                     CLM_OK);
    assert_int_equal(orders.n_new, 1);
    assert_true(orders.has_next_poll);
    assert_int_equal(orders.next_poll_s, 3);
    assert_int_equal(poll.cursor, 9);
    assert_int_equal(poll.wait_max_s, 40);
    assert_int_equal(poll.spread_s, 120);
    assert_int_equal(clm_record_load(&h->config, A_JOB, &record, NULL), CLM_OK);
    assert_string_equal(clm_record_text(&record, "state"), "offered");
    assert_string_equal(clm_record_text(&record, "target"), "nginx:a");
    assert_non_null(clm_json_get(record.root, "jws"));
    clm_record_done(&record);
}

static void repeated_offer_changes_nothing(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {0};
    struct clm_poll_orders orders;
    struct clm_record record;

    assert_int_equal(apply(h, &poll, "{\"offers\":[" OFFER(A_JOB, "nginx:a") "]}", true, &orders),
                     CLM_OK);
    assert_int_equal(clm_record_load(&h->config, A_JOB, &record, NULL), CLM_OK);
    clm_json_set_str(record.root, "state", "running");
    assert_int_equal(clm_record_save(&h->config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    assert_int_equal(apply(h, &poll, "{\"offers\":[" OFFER(A_JOB, "nginx:b") "]}", true, &orders),
                     CLM_OK);
    assert_int_equal(orders.n_new, 0);
    assert_int_equal(clm_record_load(&h->config, A_JOB, &record, NULL), CLM_OK);
    assert_string_equal(clm_record_text(&record, "state"), "running");
    assert_string_equal(clm_record_text(&record, "target"), "nginx:a");
    clm_record_done(&record);
}

static void bad_offer_does_not_harm_the_good_one(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"job_id\":\"../../etc/passwd\",\"type\":\"deploy\",\"target\":\"nginx:a\"}",
        "{\"job_id\":\"job_1\",\"type\":\"deploy\",\"target\":\"nginx:a\"}",
        "{\"job_id\":\"" B_JOB "\",\"type\":\"deploy\",\"target\":\"no target\"}",
        "{\"job_id\":\"" B_JOB "\",\"type\":7,\"target\":\"nginx:a\"}",
        "{\"job_id\":\"" B_JOB "\",\"type\":\"deploy\",\"target\":\"nginx:a\",\"attempt\":-1}",
        "7",
    };
    struct home *h = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct clm_poll_state poll = {0};
        struct clm_poll_orders orders;
        char text[1024];

        (void)snprintf(text, sizeof(text), "{\"offers\":[%s," OFFER(A_JOB, "nginx:a") "]}", bad[i]);
        assert_int_equal(apply(h, &poll, text, true, &orders), CLM_OK);
        assert_int_equal(open_jobs(h), 1);
    }
}

static void nothing_is_taken_on_without_room(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {0};
    struct clm_poll_orders orders;

    assert_int_equal(apply(h, &poll, "{\"offers\":[" OFFER(A_JOB, "nginx:a") "]}", false, &orders),
                     CLM_OK);
    assert_int_equal(open_jobs(h), 0);
}

static void no_more_than_sixteen_jobs_are_taken_on(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {0};
    struct clm_poll_orders orders;
    static char text[16384] = "{\"offers\":[";

    for (int i = 0; i < 20; i++) {
        size_t len = strlen(text);

        (void)snprintf(text + len, sizeof(text) - len,
                       "%s{\"job_id\":\"job_01J9ZK3W5V7M2Q8R4T6Y0X1B%02d\",\"type\":\"scan\","
                       "\"target\":\"host\"}",
                       i == 0 ? "" : ",", i);
    }
    (void)strncat(text, "]}", 3);
    assert_int_equal(apply(h, &poll, text, true, &orders), CLM_OK);
    assert_int_equal(open_jobs(h), CLM_RECORD_OPEN_MAX);
    assert_int_equal(apply(h, &poll, text, true, &orders), CLM_OK);
    assert_int_equal(open_jobs(h), CLM_RECORD_OPEN_MAX);
}

static void answers_out_of_range_are_cut_or_refused(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {.cursor = 3, .spread_s = 60};
    struct clm_poll_orders orders;

    assert_int_equal(apply(h, &poll,
                           "{\"next_poll_s\":9007199254740991,\"wait_max_s\":100000,"
                           "\"reconnect_spread_s\":100000}",
                           true, &orders),
                     CLM_OK);
    assert_int_equal(orders.next_poll_s, 86400);
    assert_int_equal(poll.wait_max_s, 300);
    assert_int_equal(poll.spread_s, 900);
    assert_int_equal(poll.cursor, 3);
    assert_int_equal(apply(h, &poll, "{\"cursor\":-1}", true, &orders), CLM_E_LIMIT);
    assert_int_equal(apply(h, &poll, "{\"cursor\":\"1\"}", true, &orders), CLM_E_PARSE);
    assert_int_equal(apply(h, &poll, "{\"cursor\":8,\"offers\":{}}", true, &orders), CLM_E_PARSE);
    assert_int_equal(apply(h, &poll, "{\"next_poll_s\":\"1\"}", true, &orders), CLM_E_PARSE);
    assert_int_equal(apply(h, &poll, "{\"wait_max_s\":[]}", true, &orders), CLM_E_PARSE);
    assert_int_equal(apply(h, &poll, "{\"reconnect_spread_s\":1.5}", true, &orders), CLM_E_PARSE);
    assert_int_equal(poll.wait_max_s, 300);
    assert_int_equal(poll.cursor, 3);
}

static void notices_are_read(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {0};
    struct clm_poll_orders orders;

    assert_int_equal(apply(h, &poll,
                           "{\"notices\":{\"renew_identity\":true,\"inventory\":\"send\","
                           "\"update_available\":\"1.4.2\"}}",
                           true, &orders),
                     CLM_OK);
    assert_true(orders.renew_identity);
    assert_true(orders.scan);
    assert_string_equal(orders.update_available, "1.4.2");
    assert_int_equal(apply(h, &poll,
                           "{\"notices\":{\"renew_identity\":\"x\",\"inventory\":\"changed-only\","
                           "\"update_available\":\"a\\nb\"}}",
                           true, &orders),
                     CLM_OK);
    assert_false(orders.renew_identity);
    assert_false(orders.scan);
    assert_string_equal(orders.update_available, "");
}

struct stops {
    char text[512];
};

static void note_stop(void *arg, const char *job_id, bool is_lost)
{
    struct stops *s = arg;
    size_t len = strlen(s->text);

    (void)snprintf(s->text + len, sizeof(s->text) - len, "%c%c ", job_id[29], is_lost ? 'L' : 'C');
}

static void cancels_and_lost_leases_are_told_apart(void **state)
{
    struct stops s = {""};
    CLM_CLEANUP(clm_json_free_p)
    struct clm_json *answer = parse(
        "{\"cancels\":[{\"job_id\":\"" A_JOB "\",\"mode\":\"graceful\"},{\"job_id\":\"x\"},{}],"
        "\"leases\":[{\"job_id\":\"" A_JOB "\",\"ok\":true},"
        "{\"job_id\":\"" B_JOB "\",\"ok\":false,\"code\":\"stale-fence\"},"
        "{\"job_id\":\"" A_JOB "\",\"ok\":false,\"code\":\"canceled\"},"
        "{\"job_id\":\"" B_JOB "\",\"ok\":\"no\"},"
        "{\"job_id\":\"job_x\",\"ok\":false},{\"ok\":false},"
        "{\"job_id\":\"" B_JOB "\",\"ok\":false}]}");

    (void)state;
    clm_poll_stops(answer, note_stop, &s);
    assert_string_equal(s.text, "CC DL CC DL ");
}

static void add_record(const struct home *h, const char *job_id, const char *job_state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = clm_json_new_object();
    struct clm_record record;

    clm_json_set_str(offer, "job_id", job_id);
    clm_json_set_str(offer, "type", "scan");
    clm_json_set_str(offer, "target", "host");
    assert_int_equal(clm_record_from_offer(offer, &record, NULL), CLM_OK);
    clm_json_set_str(record.root, "state", job_state);
    clm_json_set_int(record.root, "fence", 7);
    clm_json_set_str(record.root, "phase", "dcv");
    assert_int_equal(clm_record_save(&h->config, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

static void body_renews_leases_of_running_jobs_only(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {.seq = 41, .seq_saved = 100};
    const struct clm_poll_facts facts = {.boot_id = "B", .slots_free = 1};
    size_t leases = 0;

    add_record(h, A_JOB, "running");
    add_record(h, B_JOB, "offered");
    CLM_CLEANUP(clm_json_free_p)
    struct clm_json *body = clm_poll_body(&h->config, &poll, &facts, &leases);
    assert_int_equal(leases, 1);
    const struct clm_json *lease = clm_json_first(clm_json_get(body, "leases"));
    int64_t fence = 0;
    assert_string_equal(clm_json_text(clm_json_get(lease, "job_id")), A_JOB);
    assert_string_equal(clm_json_text(clm_json_get(lease, "phase")), "dcv");
    assert_int_equal(clm_json_int(lease, "fence", 0, 100, &fence, NULL), CLM_OK);
    assert_int_equal(fence, 7);
    const struct clm_json *waiting = clm_json_first(clm_json_get(body, "waiting"));
    assert_string_equal(clm_json_text(clm_json_get(waiting, "job_id")), B_JOB);
    int64_t seq = 0;
    assert_int_equal(clm_json_int(body, "seq", 0, 1000, &seq, NULL), CLM_OK);
    assert_int_equal(seq, 42);
}

static void body_lists_sixteen_of_each_and_why_they_wait(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {.seq = 41, .seq_saved = 100};
    const struct clm_poll_facts facts = {.boot_id = "B", .slots_free = 1};
    struct clm_record record;
    size_t leases = 0;
    char job_id[CLM_ID_SIZE];
    char path[PATH_MAX];

    for (int i = 0; i < 52; i++) {
        (void)snprintf(job_id, sizeof(job_id), "job_01J9ZK3W5V7M2Q8R4T6Y0X%04d", 1000 + i);
        add_record(h, job_id, i < 17 ? "running" : i < 35 ? "offered" : "done");
    }
    assert_int_equal(clm_record_load(&h->config, "job_01J9ZK3W5V7M2Q8R4T6Y0X1018", &record, NULL),
                     CLM_OK);
    clm_json_set_int(record.root, "next_try_s", 1795225945);
    assert_int_equal(clm_record_save(&h->config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    assert_int_equal(
        clm_net_path(&h->config, path, NULL, "jobs/job_01J9ZK3W5V7M2Q8R4T6Y0X1017.json"), CLM_OK);
    assert_int_equal(clm_fs_replace(path, "damaged", 7, 0600, NULL), CLM_OK);
    CLM_CLEANUP(clm_json_free_p)
    struct clm_json *body = clm_poll_body(&h->config, &poll, &facts, &leases);
    assert_int_equal(leases, 16);
    assert_int_equal(clm_json_len(clm_json_get(body, "leases")), 16);
    assert_int_equal(clm_json_len(clm_json_get(body, "waiting")), 16);
    const struct clm_json *first = clm_json_first(clm_json_get(body, "waiting"));
    assert_string_equal(clm_json_text(clm_json_get(first, "why")), "retry");
    assert_string_equal(clm_json_text(clm_json_get(first, "until")), "2026-11-21T01:52:25Z");
    const struct clm_json *second = clm_json_next(first);
    assert_string_equal(clm_json_text(clm_json_get(second, "why")), "slot");
    assert_null(clm_json_get(second, "until"));
}

static void sequence_never_goes_back_over_a_crash(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll;
    const struct clm_poll_facts facts = {.boot_id = "B"};
    int64_t last = 0;

    for (int life = 0; life < 5; life++) {
        clm_poll_load(&h->config, &poll);
        for (int i = 0; i < 37; i++) {
            size_t leases = 0;
            int64_t seq = 0;
            CLM_CLEANUP(clm_json_free_p)
            struct clm_json *body = clm_poll_body(&h->config, &poll, &facts, &leases);

            assert_int_equal(clm_json_int(body, "seq", 0, 100000, &seq, NULL), CLM_OK);
            assert_true(seq > last);
            last = seq;
        }
    }
}

static void damaged_state_starts_anew(void **state)
{
    struct home *h = *state;
    static const char *const bad[] = {"{\"seq\":\"x\"", "[]", "{\"seq\":\"x\"}", "{\"cursor\":-1}",
                                      "{\"spread_s\":86401}"};
    struct clm_poll_state poll;
    char path[PATH_MAX];

    assert_int_equal(clm_net_path(&h->config, path, NULL, "poll.json"), CLM_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(clm_fs_replace(path, bad[i], strlen(bad[i]), 0600, NULL), CLM_OK);
        clm_poll_load(&h->config, &poll);
        assert_int_equal(poll.seq, 0);
        assert_int_equal(poll.cursor, 0);
        assert_int_equal(poll.spread_s, 60);
    }
}

static void wait_is_bounded_by_config_server_and_leases(void **state)
{
    struct home *h = *state;
    struct clm_poll_state poll = {0};

    assert_int_equal(clm_poll_wait_s(&h->config, &poll, 0), 50);
    assert_int_equal(clm_poll_wait_s(&h->config, &poll, 1), 30);
    poll.wait_max_s = 20;
    assert_int_equal(clm_poll_wait_s(&h->config, &poll, 0), 20);
    assert_int_equal(clm_poll_wait_s(&h->config, &poll, 1), 20);
    h->config.control_plane.poll_wait_s = 0;
    assert_int_equal(clm_poll_wait_s(&h->config, &poll, 0), 0);
}

static void pause_has_a_floor_and_a_ceiling(void **state)
{
    static const struct {
        uint32_t next_ms;
        uint32_t wait_s;
        int64_t took_ms;
        int64_t expected_ms;
        const char *why;
    } rows[] = {
        {0, 50, 50000, 0, "held: at once"},
        {0, 50, 500, 1500, "answered early: floor of 2 s"},
        {0, 50, 2000, 0, "exactly the floor"},
        {0, 0, 10, 60000, "not held: no circle"},
        {30000, 0, 10, 30000, "as told"},
        {30000, 50, 50000, 30000, "as told, after a held one"},
        {86400000, 50, 10, 300000, "interval_max"},
        {1000, 0, 10, 1990, "below the floor"},
    };
    struct home *h = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t got =
            clm_poll_delay_ms(&h->config, rows[i].next_ms, rows[i].wait_s, rows[i].took_ms);

        if (got != rows[i].expected_ms) {
            fail_msg("row %zu (%s): %lld", i, rows[i].why, (long long)got);
        }
    }
    h->config.control_plane.interval_max_s = 0; /* no ceiling */
    assert_int_equal(clm_poll_delay_ms(&h->config, 86400000, 50, 50000), 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(offers_become_durable_records),
        WITH(repeated_offer_changes_nothing),
        WITH(bad_offer_does_not_harm_the_good_one),
        WITH(nothing_is_taken_on_without_room),
        WITH(no_more_than_sixteen_jobs_are_taken_on),
        WITH(answers_out_of_range_are_cut_or_refused),
        WITH(notices_are_read),
        WITH(cancels_and_lost_leases_are_told_apart),
        WITH(body_renews_leases_of_running_jobs_only),
        WITH(body_lists_sixteen_of_each_and_why_they_wait),
        WITH(sequence_never_goes_back_over_a_crash),
        WITH(damaged_state_starts_anew),
        WITH(wait_is_bounded_by_config_server_and_leases),
        WITH(pause_has_a_floor_and_a_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
