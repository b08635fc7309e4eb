/* SPDX-License-Identifier: Apache-2.0 */
/* What the main process decides, without its children: it is given the outcomes of polls. */
#include "tests/unit/run/authority.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/run/agent.h"
#include "agent/run/inventory.h"
#include "agent/run/record.h"

#define NOW_MS 1000000
#define NOW_S  1795225945

struct fixture {
    struct home home;
    char dir[PATH_MAX];
    struct clm_agent agent;
};

static int setup(void **state)
{
    static struct fixture f;

    home_open(&f.home);
    assert_int_equal(clm_net_path(&f.home.config, f.dir, NULL, "identity"), CLM_OK);
    become_agent(f.dir, 1);
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

static void judge(struct fixture *f, enum clm_code code, int status, const char *problem)
{
    struct clm_poll_outcome outcome = {.code = code, .status = status};

    (void)snprintf(outcome.problem, sizeof(outcome.problem), "%s", problem);
    (void)snprintf(outcome.message, sizeof(outcome.message), "message of %s", problem);
    clm_agent_judge(&f->agent, &outcome, NOW_MS, NOW_S);
}

static void judge_body(struct fixture *f, const char *text)
{
    struct clm_poll_outcome outcome = {.code = CLM_OK, .status = 200};

    assert_int_equal(clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &outcome.body, NULL),
                     CLM_OK);
    clm_agent_judge(&f->agent, &outcome, NOW_MS, NOW_S);
    clm_poll_outcome_done(&outcome);
}

static void state_follows_the_answer(void **state)
{
    static const struct {
        enum clm_code code;
        int status;
        const char *problem;
        enum clm_agent_state expected;
        int64_t wait_min_ms;
        int64_t wait_max_ms;
    } rows[] = {
        {CLM_OK, 204, "", CLM_AGENT_CONNECTED, 0, 2000},
        {CLM_E_NET, 0, "", CLM_AGENT_OFFLINE, 0, 61000},
        {CLM_E_TIMEOUT, 0, "", CLM_AGENT_OFFLINE, 0, 300000},
        {CLM_E_REMOTE, 503, "draining", CLM_AGENT_OFFLINE, 0, 300000},
        {CLM_E_REMOTE, 403, "agent-disabled", CLM_AGENT_DISABLED, 3240000, 3960000},
        {CLM_E_REMOTE, 403, "agent-pending", CLM_AGENT_PENDING, 0, 300000},
        {CLM_E_REMOTE, 410, "agent-unknown", CLM_AGENT_ORPHANED, 3240000, 3960000},
        {CLM_E_REMOTE, 409, "clone-suspected", CLM_AGENT_QUARANTINED, 3240000, 3960000},
        {CLM_E_AUTH, 401, "cert-expired", CLM_AGENT_EXPIRED, 0, 300000},
        {CLM_OK, 200, "", CLM_AGENT_CONNECTED, 0, 2000},
    };
    struct fixture *f = *state;

    assert_int_equal(f->agent.state, CLM_AGENT_CONNECTING);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f->agent.poll_started_ms = NOW_MS;
        judge(f, rows[i].code, rows[i].status, rows[i].problem);
        int64_t wait_ms = f->agent.next_poll_ms - NOW_MS;
        if (f->agent.state != rows[i].expected || wait_ms < rows[i].wait_min_ms ||
            wait_ms > rows[i].wait_max_ms) {
            fail_msg("row %zu: %s %lld", i, clm_agent_state_name(f->agent.state),
                     (long long)wait_ms);
        }
        assert_int_equal(f->agent.identity.generation, 1); /* never thrown away */
    }
}

static void contact_is_whatever_the_control_plane_itself_said(void **state)
{
    struct fixture *f = *state;

    judge(f, CLM_E_NET, 0, "");
    assert_int_equal(f->agent.last_contact_s, 0);
    judge(f, CLM_E_REMOTE, 403, "agent-disabled");
    assert_int_equal(f->agent.last_contact_s, NOW_S);
}

static void being_asked_to_slow_down_is_no_loss_of_contact(void **state)
{
    struct fixture *f = *state;
    struct clm_poll_outcome outcome = {
        .code = CLM_E_REMOTE, .status = 429, .problem = "rate-limited", .retry_after_s = 10};

    judge(f, CLM_OK, 204, "");
    clm_agent_judge(&f->agent, &outcome, NOW_MS, NOW_S + 5);
    assert_int_equal(f->agent.state, CLM_AGENT_CONNECTED);
    assert_int_equal(f->agent.last_contact_s, NOW_S + 5);
    assert_in_range(f->agent.next_poll_ms - NOW_MS, 10000, 15000);
    assert_true(f->agent.backoff.was_connected);
}

static void since_is_kept_while_the_state_lasts(void **state)
{
    struct fixture *f = *state;
    struct clm_poll_outcome outcome = {.code = CLM_E_NET, .message = "one"};

    clm_agent_judge(&f->agent, &outcome, NOW_MS, NOW_S);
    clm_agent_judge(&f->agent, &outcome, NOW_MS + 60000, NOW_S + 60);
    assert_int_equal(f->agent.since_s, NOW_S);
    assert_string_equal(f->agent.message, "one");
    outcome = (struct clm_poll_outcome){.code = CLM_OK, .status = 204};
    clm_agent_judge(&f->agent, &outcome, NOW_MS + 90000, NOW_S + 90);
    assert_int_equal(f->agent.since_s, NOW_S + 90);
    assert_string_equal(f->agent.message, "");
}

static void next_poll_of_a_204_is_its_header(void **state)
{
    struct fixture *f = *state;
    struct clm_poll_outcome outcome = {
        .code = CLM_OK, .status = 204, .has_next_poll = true, .next_poll_s = 100};

    /* The first poll after a start asks for no wait; who lets the server hold the next comes at once. */
    f->home.config.control_plane.poll_wait_s = 50;
    clm_agent_judge(&f->agent, &outcome, NOW_MS, NOW_S);
    assert_in_range(f->agent.next_poll_ms - NOW_MS, 0, 2000);
    clm_agent_judge(&f->agent, &outcome, NOW_MS, NOW_S);
    assert_in_range(f->agent.next_poll_ms - NOW_MS, 80000, 120000);
}

static void orders_of_the_answer_are_kept(void **state)
{
    struct fixture *f = *state;

    judge_body(f, "{\"body\":{\"cursor\":7,\"next_poll_s\":0,\"wait_max_s\":30,"
                  "\"notices\":{\"renew_identity\":true,\"inventory\":\"send\","
                  "\"update_available\":\"9.9\"},\"offers\":[{\"job_id\":\"" A_JOB
                  "\",\"type\":\"scan\",\"target\":\"host\"}]}}");
    assert_true(f->agent.renew_now);
    assert_string_equal(f->agent.update_available, "9.9");
    assert_int_equal(f->agent.poll.cursor, 7);
    assert_int_equal(f->agent.next_scan_s <= NOW_S, 1);
    struct clm_record record;
    assert_int_equal(clm_record_load(&f->home.config, A_JOB, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

/* A held answer speaks of the inventory of its poll; another may be with the control plane by now. */
static void wish_for_an_inventory_that_came_meanwhile_is_no_wish(void **state)
{
    struct fixture *f = *state;

    (void)snprintf(f->agent.poll.inventory_digest, sizeof(f->agent.poll.inventory_digest),
                   "sha256:%064d", 1);
    f->agent.next_scan_s = NOW_S + 1000;
    assert_int_equal(clm_inventory_sent(&f->home.config, "sha256:2", NULL), CLM_OK);
    judge_body(f, "{\"body\":{\"cursor\":7,\"notices\":{\"inventory\":\"send\"}}}");
    assert_int_equal(f->agent.next_scan_s, NOW_S + 1000);

    assert_int_equal(clm_inventory_sent(&f->home.config, f->agent.poll.inventory_digest, NULL),
                     CLM_OK);
    judge_body(f, "{\"body\":{\"cursor\":7,\"notices\":{\"inventory\":\"send\"}}}");
    assert_int_equal(f->agent.next_scan_s, NOW_S);
}

static void cancel_of_a_waiting_job_lets_it_ask_at_once(void **state)
{
    struct fixture *f = *state;
    struct clm_record record;

    judge_body(f, "{\"body\":{\"offers\":[{\"job_id\":\"" A_JOB
                  "\",\"type\":\"scan\",\"target\":\"host\"}]}}");
    assert_int_equal(clm_record_load(&f->home.config, A_JOB, &record, NULL), CLM_OK);
    clm_json_set_int(record.root, "next_try_s", NOW_S + 1000);
    assert_int_equal(clm_record_save(&f->home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    judge_body(f, "{\"body\":{\"cancels\":[{\"job_id\":\"" A_JOB "\"}]}}");
    assert_int_equal(clm_record_load(&f->home.config, A_JOB, &record, NULL), CLM_OK);
    assert_int_equal(clm_record_int(&record, "next_try_s"), 0);
    clm_record_done(&record);
}

static void a_lease_is_only_lost_if_the_poll_told_of_it(void **state)
{
    struct fixture *f = *state;
    struct clm_child *child = &f->agent.children.list[0];

    judge_body(f, "{\"body\":{\"offers\":[{\"job_id\":\"" A_JOB
                  "\",\"type\":\"scan\",\"target\":\"host\"}]}}");
    for (int i = 0; i < 2; i++) { /* 0: leased again while the poll was held */
        struct clm_record record;
        int status = 0;

        assert_int_equal(clm_record_load(&f->home.config, A_JOB, &record, NULL), CLM_OK);
        clm_json_set_int(record.root, "leased_ms", i == 0 ? NOW_MS + 5 : NOW_MS - 5);
        assert_int_equal(clm_record_save(&f->home.config, &record, NULL), CLM_OK);
        clm_record_done(&record);
        child->pid = fork();
        if (child->pid == 0) {
            (void)pause();
            _exit(0);
        }
        memcpy(child->id, A_JOB, sizeof(A_JOB));
        f->agent.poll_started_ms = NOW_MS;
        judge_body(f, "{\"body\":{\"leases\":[{\"job_id\":\"" A_JOB
                      "\",\"ok\":false,\"code\":\"stale-fence\"}]}}");
        assert_int_equal(kill(child->pid, SIGTERM),
                         0); /* comes after what it was told, if it was */
        assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
        assert_int_equal(WTERMSIG(status), i == 0 ? SIGTERM : SIGUSR2);
        child->pid = 0;
    }
}

static void a_bad_answer_is_no_reason_to_stop(void **state)
{
    struct fixture *f = *state;

    judge_body(f, "{\"body\":{\"cursor\":\"x\"}}");
    assert_int_equal(f->agent.state, CLM_AGENT_CONNECTED);
    judge_body(f, "{\"body\":{\"offers\":7,\"leases\":7,\"cancels\":{},\"notices\":[]}}");
    assert_int_equal(f->agent.state, CLM_AGENT_CONNECTED);
    assert_true(f->agent.next_poll_ms >= NOW_MS);
}

static void pokes_are_limited(void **state)
{
    struct fixture *f = *state;
    int64_t now_ms = clm_clock_mono_ms();

    assert_true(clm_agent_poke(&f->agent, now_ms));
    assert_int_equal(f->agent.next_poll_ms, now_ms);
    assert_false(clm_agent_poke(&f->agent, now_ms + CLM_AGENT_POKE_MS - 1));
    assert_true(clm_agent_poke(&f->agent, now_ms + CLM_AGENT_POKE_MS));
}

/* protocol.md 21.4 */
static void splay_is_that_of_the_protocol(void **state)
{
    (void)state;
    assert_int_equal(clm_agent_splay(A_AGENT, "scan", 86400, 0), 20412);
    assert_int_equal(clm_agent_splay(A_AGENT, "scan", 86400, 20412), 20412);
    assert_int_equal(clm_agent_splay(A_AGENT, "scan", 86400, 20413), 86400 + 20412);
    assert_int_equal(clm_agent_splay(A_AGENT, "scan", 0, 5), INT64_MAX);
    assert_int_not_equal(clm_agent_splay(B_AGENT, "scan", 86400, 0), 20412);
}

/* ---- what the status socket answers ---- */

static struct clm_json *ask(struct fixture *f, const char *method, const char *params_text)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *params = NULL;
    struct clm_json *reply = clm_json_new_object();
    struct clm_err err = {0};

    assert_int_equal(
        clm_json_parse(params_text, strlen(params_text), CLM_JSON_TEXT_MAX, &params, NULL), CLM_OK);
    if (clm_status_answer(&f->agent, method, params, reply, &err) != CLM_OK) {
        fail_msg("%s: %s", method, err.msg);
    }
    return reply;
}

static const char *text_at(const struct clm_json *obj, const char *first, const char *second)
{
    const struct clm_json *node = clm_json_get(obj, first);
    const char *text = clm_json_text(second == NULL ? node : clm_json_get(node, second));

    return text == NULL ? "(none)" : text;
}

static void status_shows_agent_and_control_plane(void **state)
{
    struct fixture *f = *state;

    judge(f, CLM_E_NET, 0, "");
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = ask(f, "status", "{}");
    assert_string_equal(text_at(reply, "schema", NULL), "clmbot.status");
    assert_string_equal(text_at(reply, "agent", "id"), A_AGENT);
    assert_string_equal(text_at(reply, "agent", "tenant"), "acme");
    assert_string_equal(text_at(reply, "control_plane", "url"), "https://cp.example");
    assert_string_equal(text_at(reply, "control_plane", "state"), "offline");
    assert_string_equal(text_at(reply, "control_plane", "message"), "message of ");
    assert_string_equal(text_at(reply, "control_plane", "since"), "2026-11-21T01:52:25Z");
    assert_string_equal(text_at(reply, "control_plane", "last_contact"), "(none)");
    assert_string_not_equal(text_at(reply, "identity", "not_after"), "(none)");
    assert_int_equal(clm_json_len(clm_json_get(reply, "targets")), 0);
}

#define ENDPOINT "{\"addr\":\"127.0.0.1\",\"port\":443,\"sni\":\"a.example\",\"timeout_ms\":0}"
#define SHA_A    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* An inventory of one target: its file has leaf file_sha, its endpoint shows served_sha (NULL:
 * refused), both end at not_after_s. */
static void keep_inventory(const struct fixture *f, const char *served_sha, int64_t not_after_s)
{
    struct clm_inventory inventory = {.started_at_s = NOW_S};
    struct clm_service *service = clm_inventory_add_service(&inventory);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char path[PATH_MAX];

    (void)snprintf(service->id, sizeof(service->id), "nginx@/etc/nginx/nginx.conf");
    (void)snprintf(service->kind, sizeof(service->kind), "nginx");
    struct clm_target *target = clm_service_add_target(service);
    (void)snprintf(target->id, sizeof(target->id), "nginx:a.example");
    target->manageable = true;
    target->has_certificate = true;
    (void)snprintf(target->certificate.sha256, CLM_SHA256_HEX_SIZE, "%s", SHA_A);
    (void)snprintf(target->certificate.spki_sha256, CLM_SHA256_HEX_SIZE, "%s", SHA_A);
    (void)snprintf(target->certificate.key_type, sizeof(target->certificate.key_type), "ec-p256");
    target->certificate.not_after_s = not_after_s;
    struct clm_endpoint *endpoint = clm_target_add_endpoint(target);
    (void)snprintf(endpoint->addr, sizeof(endpoint->addr), "127.0.0.1");
    endpoint->port = 443;
    target->served = calloc(1, sizeof(*target->served));
    assert_non_null(target->served);
    target->served->result = served_sha == NULL ? CLM_PROBE_REFUSED : CLM_PROBE_SERVED;
    target->served->not_after_s = served_sha == NULL ? 0 : not_after_s;
    (void)snprintf(target->served->leaf_sha256, CLM_SHA256_HEX_SIZE, "%s",
                   served_sha == NULL ? "" : served_sha);
    clm_inventory_to_json(&inventory, obj);
    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "inventory.json"), CLM_OK);
    assert_int_equal(clm_file_write_json(path, CLM_INVENTORY_MAX, obj, NULL), CLM_OK);
    clm_inventory_done(&inventory);
}

static void target_state_is_what_a_person_must_know_first(void **state)
{
    int64_t now_s = clm_clock_now_s();
    const struct {
        const char *served;
        int64_t left_days;
        const char *expected;
    } rows[] = {
        {SHA_A, 60, "ok"},       {SHA_A, 5, "expiring"},    {SHA_A, -1, "expired"},
        {SHA_B, 60, "mismatch"}, {NULL, 60, "unreachable"}, {NULL, -1, "expired"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture *f = *state;

        keep_inventory(f, rows[i].served, now_s + rows[i].left_days * 86400);
        CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = ask(f, "status", "{}");
        const struct clm_json *target = clm_json_first(clm_json_get(reply, "targets"));
        const char *got = text_at(target, "state", NULL);
        int64_t n = 0;

        if (strcmp(got, rows[i].expected) != 0) {
            fail_msg("row %zu: %s", i, got);
        }
        assert_int_equal(
            clm_json_int(clm_json_get(reply, "counts"), rows[i].expected, 0, 9, &n, NULL), CLM_OK);
        assert_int_equal(n, 1);
    }
}

static void target_carries_what_is_installed_and_its_last_job(void **state)
{
    static const char host[] =
        "{\"agent_id\":\"x\",\"targets\":[{\"target\":\"nginx:a.example\",\"version\":12,"
        "\"installed_at\":\"2026-11-20T00:00:00Z\",\"state\":\"verified\"}],\"last\":[]}";
    struct fixture *f = *state;
    char path[PATH_MAX];
    int64_t version = 0;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = clm_json_new_object();
    struct clm_record record;

    keep_inventory(f, SHA_A, clm_clock_now_s() + 100 * 86400);
    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "host.json"), CLM_OK);
    assert_int_equal(clm_fs_replace(path, host, strlen(host), 0600, NULL), CLM_OK);
    clm_json_set_str(offer, "job_id", A_JOB);
    clm_json_set_str(offer, "type", "deploy");
    clm_json_set_str(offer, "target", "nginx:a.example");
    assert_int_equal(clm_record_from_offer(offer, &record, NULL), CLM_OK);
    clm_json_set_str(clm_json_set_object(record.root, "result"), "outcome", "succeeded");
    assert_int_equal(clm_record_save(&f->home.config, &record, NULL), CLM_OK);
    assert_int_equal(clm_record_archive(&f->home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = ask(f, "status", "{}");
    const struct clm_json *target = clm_json_first(clm_json_get(reply, "targets"));
    assert_int_equal(clm_json_int(target, "installed_version", 0, 100, &version, NULL), CLM_OK);
    assert_int_equal(version, 12);
    assert_string_equal(text_at(target, "installed_state", NULL), "verified");
    assert_string_equal(text_at(target, "last_job", "outcome"), "succeeded");
    assert_string_equal(text_at(target, "last_job", "job_id"), A_JOB);
}

static void jobs_are_listed_and_shown(void **state)
{
    struct fixture *f = *state;
    struct clm_err err = {0};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *nothing = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *params = clm_json_new_object();

    judge_body(f, "{\"body\":{\"offers\":[{\"job_id\":\"" A_JOB
                  "\",\"type\":\"scan\",\"target\":\"host\"}]}}");
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jobs = ask(f, "jobs", "{}");
    const struct clm_json *job = clm_json_first(clm_json_get(jobs, "jobs"));
    assert_string_equal(text_at(job, "job_id", NULL), A_JOB);
    assert_string_equal(text_at(job, "state", NULL), "waiting");
    CLM_CLEANUP(clm_json_free_p)
    struct clm_json *one = ask(f, "job", "{\"job_id\":\"" A_JOB "\"}");
    assert_string_equal(text_at(one, "job", "type"), "scan");
    clm_json_set_str(params, "job_id", B_JOB);
    assert_int_equal(clm_status_answer(&f->agent, "job", params, nothing, &err), CLM_E_NOTFOUND);
    clm_json_set_str(params, "job_id", "../../../etc/passwd");
    assert_int_equal(clm_status_answer(&f->agent, "job", params, nothing, &err), CLM_E_INVAL);
    assert_int_equal(clm_status_answer(&f->agent, "job", NULL, nothing, &err), CLM_E_PARSE);
    assert_int_equal(clm_status_answer(&f->agent, "delete", params, nothing, &err), CLM_E_INVAL);
}

static void unenrolled_agent_says_so(void **state)
{
    struct fixture *f = *state;
    struct home empty;
    struct clm_agent agent;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = clm_json_new_object();

    (void)f;
    home_open(&empty);
    assert_int_equal(clm_agent_open(&agent, &empty.config, NULL), CLM_OK);
    assert_int_equal(clm_status_answer(&agent, "status", NULL, reply, NULL), CLM_OK);
    assert_string_equal(text_at(reply, "control_plane", "state"), "unenrolled");
    assert_non_null(strstr(text_at(reply, "control_plane", "message"), "clmbot enroll"));
    assert_int_equal(clm_agent_tick(&agent, NOW_MS, NOW_S), CLM_AGENT_NO_IDENTITY_S * 1000);
    assert_int_equal(agent.poller.pid, 0);
    clm_agent_close(&agent);
    home_close(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(state_follows_the_answer),
        WITH(contact_is_whatever_the_control_plane_itself_said),
        WITH(being_asked_to_slow_down_is_no_loss_of_contact),
        WITH(since_is_kept_while_the_state_lasts),
        WITH(next_poll_of_a_204_is_its_header),
        WITH(orders_of_the_answer_are_kept),
        WITH(wish_for_an_inventory_that_came_meanwhile_is_no_wish),
        WITH(cancel_of_a_waiting_job_lets_it_ask_at_once),
        WITH(a_lease_is_only_lost_if_the_poll_told_of_it),
        WITH(a_bad_answer_is_no_reason_to_stop),
        WITH(pokes_are_limited),
        WITH(splay_is_that_of_the_protocol),
        WITH(status_shows_agent_and_control_plane),
        WITH(target_state_is_what_a_person_must_know_first),
        WITH(target_carries_what_is_installed_and_its_last_job),
        WITH(jobs_are_listed_and_shown),
        WITH(unenrolled_agent_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
