/* SPDX-License-Identifier: Apache-2.0 */
/* What the status socket tells of targets and jobs, and what it leaves out when files are damaged. */
#include "tests/unit/run/authority.h"

#include "agent/run/agent.h"
#include "agent/run/inventory.h"
#include "agent/run/record.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define DAY_S 86400

struct fixture {
    struct home home;
    struct clm_agent agent;
};

static int setup(void **state)
{
    static struct fixture f;
    char dir[PATH_MAX];

    home_open(&f.home);
    assert_int_equal(clm_net_path(&f.home.config, dir, NULL, "identity"), CLM_OK);
    become_agent(dir, 1);
    assert_int_equal(clm_agent_open(&f.agent, &f.home.config, NULL), CLM_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    clm_agent_close(&f->agent);
    home_close(&f->home);
    return 0;
}

static struct clm_json *ask(struct fixture *f, const char *method)
{
    struct clm_json *reply = clm_json_new_object();
    struct clm_err err = {0};

    if (clm_status_answer(&f->agent, method, NULL, reply, &err) != CLM_OK) {
        fail_msg("%s: %s", method, err.msg);
    }
    return reply;
}

static const char *text_of(const struct clm_json *obj, const char *key)
{
    const char *text = clm_json_text(clm_json_get(obj, key));

    return text == NULL ? "(none)" : text;
}

static void keep(struct fixture *f, const char *name, const char *text)
{
    char path[PATH_MAX];

    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "%s", name), CLM_OK);
    assert_int_equal(clm_fs_replace(path, text, strlen(text), 0600, NULL), CLM_OK);
}

/* ---- targets ---- */

/* What one of two endpoints showed: 'a' or 'b' a leaf, '-' none; "" neither was asked. */
struct sight_row {
    const char *file; /* leaf in the file; NULL: none could be read */
    const char *seen;
    int64_t left_days;
    const char *expected;
    const char *served; /* leaf */
};

static const struct sight_row sights[] = {
    {SHA_A, "", 60, "ok", NULL},          {SHA_A, "aa", 60, "ok", SHA_A},
    {SHA_A, "-a", 60, "ok", SHA_A},       {SHA_A, "ab", 60, "mismatch", SHA_A},
    {SHA_A, "ba", 60, "mismatch", SHA_B}, {SHA_A, "--", 60, "unreachable", NULL},
    {NULL, "", 60, "unknown", NULL},      {NULL, "--", 60, "unknown", NULL},
    {NULL, "b-", 60, "ok", SHA_B},        {NULL, "b-", 5, "expiring", SHA_B},
    {NULL, "ab", -1, "expired", SHA_A},
};

static void add_target(struct clm_service *service, size_t number, const struct sight_row *row)
{
    struct clm_target *target = clm_service_add_target(service);
    int64_t not_after_s = clm_clock_now_s() + row->left_days * DAY_S + 60;

    (void)snprintf(target->id, sizeof(target->id), "nginx:t%zu", number);
    assert_int_equal(clm_strs_add(&target->reasons, "a remark", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&target->names.dns, "a.example", NULL), CLM_OK);
    target->has_certificate = row->file != NULL;
    if (row->file != NULL) {
        (void)snprintf(target->certificate.sha256, CLM_SHA256_HEX_SIZE, "%s", row->file);
        (void)snprintf(target->certificate.spki_sha256, CLM_SHA256_HEX_SIZE, "%s", SHA_A);
        (void)snprintf(target->certificate.key_type, sizeof(target->certificate.key_type), "rsa");
        (void)snprintf(target->certificate.issuer, sizeof(target->certificate.issuer), "CN=CA");
        target->certificate.not_after_s = not_after_s;
    }
    for (size_t i = 0; i < strlen(row->seen); i++) {
        struct clm_endpoint *endpoint = clm_target_add_endpoint(target);

        (void)snprintf(endpoint->addr, sizeof(endpoint->addr), "127.0.0.1");
        endpoint->port = 443;
    }
    if (row->seen[0] == '\0') {
        return;
    }
    target->served = calloc(strlen(row->seen), sizeof(*target->served));
    assert_non_null(target->served);
    for (size_t i = 0; i < strlen(row->seen); i++) {
        bool is_a = row->seen[i] == 'a';

        target->served[i].result = row->seen[i] == '-' ? CLM_PROBE_REFUSED : CLM_PROBE_SERVED;
        if (row->seen[i] != '-') {
            target->served[i].not_after_s = not_after_s;
            (void)snprintf(target->served[i].leaf_sha256, CLM_SHA256_HEX_SIZE, "%s",
                           is_a ? SHA_A : SHA_B);
        }
    }
}

/* One target for each row. */
static void keep_inventory(struct fixture *f)
{
    struct clm_inventory inventory = {.started_at_s = 1795225945};
    struct clm_service *service = clm_inventory_add_service(&inventory);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_INVENTORY_MAX);

    (void)snprintf(service->id, sizeof(service->id), "nginx@/etc/nginx/nginx.conf");
    (void)snprintf(service->kind, sizeof(service->kind), "nginx");
    for (size_t i = 0; i < CLM_ARRAY_LEN(sights); i++) {
        add_target(service, i, &sights[i]);
    }
    clm_inventory_to_json(&inventory, obj);
    assert_int_equal(clm_json_print(obj, false, &text, NULL), CLM_OK);
    keep(f, "inventory.json", clm_buf_str(&text));
    clm_inventory_done(&inventory);
}

static void state_of_a_target_weighs_its_file_and_all_its_endpoints(void **state)
{
    struct fixture *f = *state;
    size_t i = 0;

    keep_inventory(f);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = ask(f, "status");
    for (const struct clm_json *t = clm_json_first(clm_json_get(reply, "targets")); t != NULL;
         t = clm_json_next(t), i++) {
        const struct sight_row *row = &sights[i];

        if (strcmp(text_of(t, "state"), row->expected) != 0) {
            fail_msg("row %zu: %s, not %s", i, text_of(t, "state"), row->expected);
        }
        assert_string_equal(text_of(t, "served_sha256"),
                            row->served == NULL ? "(none)" : row->served);
        assert_string_equal(text_of(t, "sha256"), row->file == NULL ? "(none)" : row->file);
        assert_string_equal(text_of(t, "issuer"), row->file == NULL ? "" : "CN=CA");
        assert_string_equal(clm_json_text(clm_json_first(clm_json_get(t, "reasons"))), "a remark");
        assert_string_equal(clm_json_text(clm_json_first(clm_json_get(t, "names"))), "a.example");
        assert_int_equal(clm_json_kind(clm_json_get(t, "last_job")), CLM_JSON_NULL);
    }
    assert_int_equal(i, CLM_ARRAY_LEN(sights));
}

static void mismatch_while_a_restart_is_awaited_is_on_purpose(void **state)
{
    static const struct {
        const char *host;
        const char *expected; /* of the target that shows another leaf */
    } rows[] = {
        {"{\"targets\":[{\"target\":7},{\"target\":\"nginx:t3\",\"state\":\"waiting_for_restart\"},"
         "{\"target\":\"nginx:t1\",\"state\":\"waiting_for_restart\"}]}",
         "waiting_for_restart"},
        {"{\"targets\":[{\"target\":\"nginx:t3\",\"state\":\"verified\"}]}", "mismatch"},
        {"{\"targets\":[{\"target\":\"nginx:t3\"}]}", "mismatch"},
        {"{\"targets\":7}", "mismatch"},
        {"damaged", "mismatch"},
    };
    struct fixture *f = *state;

    keep_inventory(f);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        keep(f, "host.json", rows[i].host);
        CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = ask(f, "status");
        const struct clm_json *t = clm_json_first(clm_json_get(reply, "targets"));

        t = clm_json_next(t);
        assert_string_equal(text_of(t, "state"), "ok"); /* t1 shows what it should */
        t = clm_json_next(clm_json_next(t));
        assert_string_equal(text_of(t, "target"), "nginx:t3");
        assert_string_equal(text_of(t, "state"), rows[i].expected);
    }
}

static void damaged_inventory_is_none(void **state)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"schema\":1,\"services\":7}"};
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        keep(f, "inventory.json", bad[i]);
        CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = ask(f, "status");

        assert_int_equal(clm_json_len(clm_json_get(reply, "targets")), 0);
        assert_int_equal(clm_json_kind(clm_json_get(clm_json_get(reply, "scan"), "at")),
                         CLM_JSON_NULL);
    }
}

/* ---- jobs ---- */

static void keep_job(struct fixture *f, const char *job_id, const char *state, bool is_finished)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = clm_json_new_object();
    struct clm_record record;

    clm_json_set_str(offer, "job_id", job_id);
    clm_json_set_str(offer, "type", "deploy");
    clm_json_set_str(offer, "target", "nginx:t1");
    assert_int_equal(clm_record_from_offer(offer, &record, NULL), CLM_OK);
    clm_json_set_str(record.root, "state", state);
    clm_json_set_int(record.root, "next_try_s", 1795225945);
    assert_int_equal(clm_record_save(&f->home.config, &record, NULL), CLM_OK);
    if (is_finished) {
        assert_int_equal(clm_record_archive(&f->home.config, &record, NULL), CLM_OK);
    }
    clm_record_done(&record);
}

static void job_is_called_what_a_person_would_call_it(void **state)
{
    static const struct {
        const char *kept;
        bool is_run;
        bool is_finished;
        const char *told;
        const char *next_try;
    } rows[] = {
        {"offered", false, false, "waiting", "2026-11-21T01:52:25Z"},
        {"running", false, false, "waiting", "2026-11-21T01:52:25Z"},
        {"running", true, false, "running", "2026-11-21T01:52:25Z"},
        {"done", false, false, "reporting", "2026-11-21T01:52:25Z"},
        {"done", false, true, "finished", "(none)"},
    };
    struct fixture *f = *state;
    struct clm_child *child = &f->agent.children.list[0];

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        keep_job(f, A_JOB, rows[i].kept, rows[i].is_finished);
        *child = (struct clm_child){.pid = rows[i].is_run ? getpid() : 0};
        (void)snprintf(child->id, sizeof(child->id), "%s", A_JOB);
        (void)snprintf(child->target, sizeof(child->target), "nginx:t1");
        CLM_CLEANUP(clm_json_free_p) struct clm_json *jobs = ask(f, "jobs");
        const struct clm_json *job = clm_json_first(clm_json_get(jobs, "jobs"));

        if (strcmp(text_of(job, "state"), rows[i].told) != 0 ||
            strcmp(text_of(job, "next_try"), rows[i].next_try) != 0) {
            fail_msg("row %zu: %s, next at %s", i, text_of(job, "state"), text_of(job, "next_try"));
        }
        assert_null(clm_json_next(job));
        CLM_CLEANUP(clm_json_free_p) struct clm_json *status = ask(f, "status");
        int64_t waiting = -1;
        assert_int_equal(
            clm_json_int(clm_json_get(status, "jobs"), "waiting", 0, 9, &waiting, NULL), CLM_OK);
        assert_int_equal(waiting, rows[i].is_run || rows[i].is_finished ? 0 : 1);
    }
    *child = (struct clm_child){.pid = 0};
}

static void target_names_its_last_job_and_no_other(void **state)
{
    struct fixture *f = *state;

    keep_inventory(f);
    keep_job(f, A_JOB, "done", true);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = ask(f, "status");
    const struct clm_json *t = clm_json_first(clm_json_get(reply, "targets"));

    assert_int_equal(clm_json_kind(clm_json_get(t, "last_job")), CLM_JSON_NULL);
    t = clm_json_next(t);
    assert_string_equal(text_of(t, "target"), "nginx:t1");
    assert_string_equal(text_of(clm_json_get(t, "last_job"), "job_id"), A_JOB);
    assert_string_equal(text_of(clm_json_get(t, "last_job"), "state"), "finished");
}

static void no_more_than_fifty_jobs_are_told_and_damaged_ones_are_left_out(void **state)
{
    struct fixture *f = *state;
    char name[64];

    for (int i = 0; i < 52; i++) {
        char job_id[CLM_ID_SIZE];

        (void)snprintf(job_id, sizeof(job_id), "job_01J9ZK3W5V7M2Q8R4T6Y0X%04d", 1000 + i);
        keep_job(f, job_id, "done", true);
    }
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jobs = ask(f, "jobs");
    const struct clm_json *newest = clm_json_first(clm_json_get(jobs, "jobs"));

    assert_int_equal(clm_json_len(clm_json_get(jobs, "jobs")), 50);
    assert_string_equal(text_of(newest, "job_id"), "job_01J9ZK3W5V7M2Q8R4T6Y0X1051");
    (void)snprintf(name, sizeof(name), "jobs/done/%s.json", text_of(newest, "job_id"));
    keep(f, name, "damaged");
    CLM_CLEANUP(clm_json_free_p) struct clm_json *fewer = ask(f, "jobs");
    assert_int_equal(clm_json_len(clm_json_get(fewer, "jobs")), 49);
}

static void directory_of_jobs_that_cannot_be_read_is_an_error(void **state)
{
    static const char *const methods[] = {"status", "jobs"};
    struct fixture *f = *state;
    char path[PATH_MAX];

    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "jobs/done"), CLM_OK);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "jobs"), CLM_OK);
    assert_int_equal(rmdir(path), 0);
    for (size_t i = 0; i < CLM_ARRAY_LEN(methods); i++) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = clm_json_new_object();
        struct clm_err err = {0};

        assert_int_equal(clm_status_answer(&f->agent, methods[i], NULL, reply, &err),
                         CLM_E_NOTFOUND);
        assert_non_null(strstr(err.msg, "/jobs"));
    }
}

/* ---- the agent ---- */

static void next_poll_is_told_unless_one_is_under_way(void **state)
{
    struct fixture *f = *state;
    char text[CLM_TIME_TEXT_SIZE];

    f->agent.next_poll_ms = clm_clock_mono_ms() + 3600000;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *later = ask(f, "status");
    clm_time_format(clm_clock_now_s() + 3500, text);
    assert_true(strcmp(text_of(clm_json_get(later, "control_plane"), "next_poll"), text) > 0);
    f->agent.next_poll_ms = clm_clock_mono_ms() - 1000;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *now = ask(f, "status");
    assert_true(strcmp(text_of(clm_json_get(now, "control_plane"), "next_poll"), text) < 0);
    f->agent.poller.is_busy = true;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *busy = ask(f, "status");
    assert_string_equal(text_of(clm_json_get(busy, "control_plane"), "next_poll"), "(none)");
    f->agent.poller.is_busy = false;
}

static void scan_that_is_asked_for_comes_soon_but_not_in_a_row(void **state)
{
    struct fixture *f = *state;
    int64_t now_s = clm_clock_now_s();

    f->agent.next_scan_s = now_s + 1000;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *first = ask(f, "scan");
    assert_string_equal(text_of(first, "schema"), "clmbot.scan_asked");
    assert_in_range(f->agent.next_scan_s, now_s, now_s + 5);
    int64_t asked_s = f->agent.asked_scan_s;
    f->agent.next_scan_s = now_s + 1000; /* it was done */
    CLM_CLEANUP(clm_json_free_p) struct clm_json *second = ask(f, "scan");
    assert_string_not_equal(text_of(second, "at"), text_of(first, "at"));
    assert_int_equal(f->agent.next_scan_s, asked_s + CLM_ASKED_SCAN_S);
    f->agent.next_scan_s = 5; /* it is due anyway */
    CLM_CLEANUP(clm_json_free_p) struct clm_json *third = ask(f, "scan");
    assert_int_equal(f->agent.next_scan_s, 5);
    assert_string_equal(text_of(third, "at"), "1970-01-01T00:00:05Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(state_of_a_target_weighs_its_file_and_all_its_endpoints),
        WITH(mismatch_while_a_restart_is_awaited_is_on_purpose),
        WITH(damaged_inventory_is_none),
        WITH(job_is_called_what_a_person_would_call_it),
        WITH(target_names_its_last_job_and_no_other),
        WITH(no_more_than_fifty_jobs_are_told_and_damaged_ones_are_left_out),
        WITH(directory_of_jobs_that_cannot_be_read_is_an_error),
        WITH(next_poll_is_told_unless_one_is_under_way),
        WITH(scan_that_is_asked_for_comes_soon_but_not_in_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
