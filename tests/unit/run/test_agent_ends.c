/* SPDX-License-Identifier: Apache-2.0 */
/* What the main process makes of how its children end, of orders, and of its own begin and end. */
#include "tests/unit/run/agent_world.h"

/* ---- ends ---- */

/* A child ends with that status, or by that signal if it is negative. */
static void finish(const char *id, int status)
{
    struct clm_child *child = f.agent.children.list;
    siginfo_t info;

    memset(child, 0, sizeof(*child));
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        if (status < 0) {
            (void)raise(-status);
        }
        _exit(status);
    }
    (void)snprintf(child->id, sizeof(child->id), "%s", id);
    assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
    clm_agent_reap(&f.agent);
    assert_int_equal(child->pid, 0);
    f.now_s = clm_clock_now_s();
}

static void a_job_that_dies_goes_on_later_each_time(void **state)
{
    static const struct {
        int status;
        int64_t tries;
        int64_t max_s;
    } rows[] = {{CLM_JOB_EXIT_FAULT, 0, 21}, {-SIGKILL, 3, 161}, {9, 40, 3601}};

    (void)state;
    offer(A_JOB, "deploy", "nginx:a", 10);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        set_int(A_JOB, "tries", rows[i].tries);
        finish(A_JOB, rows[i].status);
        assert_int_equal(get_int(A_JOB, "tries"), rows[i].tries + 1);
        assert_in_range(get_int(A_JOB, "next_try_s") - f.now_s, 1, rows[i].max_s);
    }
    finish(A_JOB, CLM_JOB_EXIT_LATER); /* it said itself when */
    assert_int_equal(get_int(A_JOB, "tries"), 41);
    finish(B_JOB, CLM_JOB_EXIT_FAULT); /* nobody knows it */
    assert_int_equal(f.agent.next_scan_s, INT64_MAX);
}

static void a_job_that_cannot_be_put_off_is_kept_as_it_is(void **state)
{
    (void)state;
    offer(A_JOB, "deploy", "nginx:a", 10);
    clm_sabotage_on("fsync", 1, EIO);
    finish(A_JOB, CLM_JOB_EXIT_FAULT);
    assert_true(clm_sabotage_off());
    assert_int_equal(get_int(A_JOB, "tries"), 0);
}

static void what_changed_a_target_is_looked_at(void **state)
{
    static const struct {
        const char *type;
        const char *outcome; /* NULL: none */
        bool is_archived;
        bool is_scanned;
    } rows[] = {
        {"deploy", "succeeded", true, true}, {"order", "failed", true, true},
        {"rollback", "failed", false, true}, {"deploy", "rejected", true, false},
        {"scan", "succeeded", true, false},  {"deploy", NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_record record;

        anew();
        offer(A_JOB, rows[i].type, "nginx:a", 10);
        assert_int_equal(clm_record_load(&f.home.config, A_JOB, &record, NULL), CLM_OK);
        if (rows[i].outcome != NULL) {
            clm_json_set_str(clm_json_set_object(record.root, "result"), "outcome",
                             rows[i].outcome);
        }
        assert_int_equal(clm_record_save(&f.home.config, &record, NULL), CLM_OK);
        if (rows[i].is_archived) {
            assert_int_equal(clm_record_archive(&f.home.config, &record, NULL), CLM_OK);
        }
        clm_record_done(&record);
        finish(A_JOB, CLM_JOB_EXIT_OK);
        if ((f.agent.next_scan_s <= f.now_s) != rows[i].is_scanned) {
            fail_msg("row %zu", i);
        }
    }
    finish(B_JOB, CLM_JOB_EXIT_OK); /* no record anywhere */
}

static void room_is_told_at_once(void **state)
{
    (void)state;
    f.agent.poll_slots = 1;
    finish(A_JOB, CLM_JOB_EXIT_LATER);
    assert_true(f.agent.poller.is_busy);
    f.agent.poll_slots = 0;
    finish("@scan", CLM_JOB_EXIT_LATER);
    assert_true(f.agent.poller.is_busy);
    finish(A_JOB, CLM_JOB_EXIT_LATER);
    assert_false(f.agent.poller.is_busy);
    assert_true(f.agent.next_poll_ms > clm_clock_mono_ms());
    finish(A_JOB, CLM_JOB_EXIT_LATER); /* nothing is held any more */
}

static void next_scan_follows_the_last(void **state)
{
    char path[PATH_MAX];
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

    (void)state;
    finish("@scan", CLM_JOB_EXIT_OK); /* without an inventory */
    assert_true(f.agent.next_scan_s <= f.now_s);
    put_in_place_of("inventory.json", "{}");
    finish("@scan", CLM_JOB_EXIT_OK);
    assert_in_range(f.agent.next_scan_s - f.now_s, 43200 - 2, 43200 + 86400);
    assert_int_equal(clm_net_path(&f.home.config, path, NULL, "inventory.json"), CLM_OK);
    times[1] = (struct timespec){.tv_sec = f.now_s - 1000000};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    finish("@scan", CLM_JOB_EXIT_OK);
    assert_true(f.agent.next_scan_s <= f.now_s); /* long ago */
    for (unsigned i = 0; i < 18; i++) {
        finish("@scan", CLM_JOB_EXIT_LATER);
        assert_in_range(f.agent.next_scan_s - f.now_s, 1, 3601);
    }
    assert_int_equal(f.agent.scan_failures, 16);
}

static void courier_that_fails_comes_less_often(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 18; i++) {
        finish("@courier", CLM_JOB_EXIT_LATER);
        assert_in_range(f.agent.next_courier_s - f.now_s, 1, 301);
    }
    assert_int_equal(f.agent.courier_failures, 16);
    finish("@courier", CLM_JOB_EXIT_OK);
    assert_int_equal(f.agent.courier_failures, 0);
    assert_in_range(f.agent.next_courier_s - f.now_s, 29, 30);
}

static void expired_identity_is_recovered_slowly(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *agent = NULL;
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(clm_identity_path(f.dir, "agent.json", path, NULL), CLM_OK);
    assert_int_equal(clm_file_read_json(path, 65536, &agent, NULL), CLM_OK);
    clm_json_set_int(agent, "not_after_s", f.now_s - 1);
    assert_int_equal(clm_file_write_json(path, 65536, agent, NULL), CLM_OK);
    f.agent.courier_failures = 7;
    finish("@renew", CLM_JOB_EXIT_LATER);
    assert_in_range(f.agent.next_courier_s - f.now_s, 1, 301);
    finish("@renew", CLM_JOB_EXIT_LATER);
    assert_in_range(f.agent.next_courier_s - f.now_s, 1700, 3601);
}

static void new_identity_is_used_at_once(void **state)
{
    (void)state;
    become_agent(f.dir, 2);
    finish("@renew", CLM_JOB_EXIT_OK);
    assert_int_equal(f.agent.identity.generation, 2);
    assert_false(f.agent.poller.is_busy); /* it spoke with the old one */
    assert_true(f.agent.next_poll_ms <= clm_clock_mono_ms());
    assert_in_range(f.agent.next_courier_s - f.now_s, 1, 2);
}

/* ---- orders ---- */

static void judge_body(const char *text)
{
    struct clm_poll_outcome outcome = {.code = CLM_OK, .status = 200};

    assert_int_equal(clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &outcome.body, NULL),
                     CLM_OK);
    clm_agent_judge(&f.agent, &outcome, NOW_MS, f.now_s);
    clm_poll_outcome_done(&outcome);
}

static void a_running_job_is_canceled_by_a_signal(void **state)
{
    struct clm_child *child = f.agent.children.list;
    int status = 0;

    (void)state;
    run_one(A_JOB, "nginx:a");
    child->pid = fork();
    if (child->pid == 0) {
        (void)pause();
        _exit(0);
    }
    judge_body("{\"body\":{\"cancels\":[{\"job_id\":\"" A_JOB "\"},{\"job_id\":\"" B_JOB "\"}]}}");
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_int_equal(WTERMSIG(status), SIGUSR1);
    child->pid = 0;
}

static void a_lease_is_lost_also_without_a_record(void **state)
{
    struct clm_child *child = f.agent.children.list;
    int status = 0;

    (void)state;
    run_one(A_JOB, "nginx:a");
    child->pid = fork();
    if (child->pid == 0) {
        (void)pause();
        _exit(0);
    }
    judge_body("{\"body\":{\"leases\":[{\"job_id\":\"" A_JOB
               "\",\"ok\":false,\"code\":\"stale-fence\"}]}}");
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_int_equal(WTERMSIG(status), SIGUSR2);
    child->pid = 0;
}

static void what_cannot_be_noted_is_logged_only(void **state)
{
    (void)state;
    offer(A_JOB, "scan", "nginx:a", 10);
    set_int(A_JOB, "next_try_s", 77);
    clm_sabotage_on("fsync", 1, EIO);
    judge_body("{\"body\":{\"cancels\":[{\"job_id\":\"" A_JOB "\"}]}}");
    assert_true(clm_sabotage_off());
    assert_int_equal(get_int(A_JOB, "next_try_s"), 77);
    clm_sabotage_on("fsync", 1, EIO);
    judge_body("{\"body\":{\"cursor\":12}}");
    assert_true(clm_sabotage_off());
    assert_int_equal(f.agent.poll.cursor, 12);
    assert_int_equal(f.agent.state, CLM_AGENT_CONNECTED);
}

static void a_wish_for_an_inventory_waits_for_one_that_is_made(void **state)
{
    static const char wish[] = "{\"body\":{\"notices\":{\"inventory\":\"send\"}}}";

    (void)state;
    f.agent.next_scan_s = f.now_s + 1000;
    f.agent.scan_failures = 1; /* it is tried again soon anyway */
    judge_body(wish);
    assert_int_equal(f.agent.next_scan_s, f.now_s + 1000);
    f.agent.scan_failures = 0;
    run_one("@scan", "");
    judge_body(wish);
    assert_int_equal(f.agent.next_scan_s, f.now_s + 1000);
    nobody_runs();
    clm_sabotage_on("fsync", 1, EIO); /* nor where it could not be noted that it is not there */
    judge_body(wish);
    assert_true(clm_sabotage_off());
    assert_int_equal(f.agent.next_scan_s, f.now_s + 1000);
    judge_body(wish);
    assert_int_equal(f.agent.next_scan_s, f.now_s);
    judge_body(wish); /* due already */
    assert_int_equal(f.agent.next_scan_s, f.now_s);
}

static void clocks_that_differ_are_noticed_once(void **state)
{
    static const int64_t ahead_s[] = {0, 400, 500, -20, -400};
    struct clm_poll_outcome outcome = {.code = CLM_OK, .status = 204};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(ahead_s); i++) {
        outcome.date_s = f.now_s + ahead_s[i];
        clm_agent_judge(&f.agent, &outcome, NOW_MS, f.now_s);
        assert_int_equal((int64_t)f.agent.skew_s, ahead_s[i]);
    }
}

static void a_new_spread_is_kept(void **state)
{
    struct clm_poll_state poll;

    (void)state;
    judge_body("{\"body\":{\"reconnect_spread_s\":77}}");
    clm_poll_load(&f.home.config, &poll);
    assert_int_equal(poll.spread_s, 77);
}

static void a_server_that_never_holds_a_poll_says_when_to_come_again(void **state)
{
    const struct clm_poll_outcome outcome = {
        .code = CLM_OK, .status = 204, .has_next_poll = true, .next_poll_s = 100};

    (void)state;
    f.agent.state = CLM_AGENT_CONNECTING;
    f.home.config.control_plane.poll_wait_s = 0;
    clm_agent_judge(&f.agent, &outcome, NOW_MS, f.now_s);
    assert_in_range(f.agent.next_poll_ms - NOW_MS, 80000, 120000);
}

static void slowing_down_means_offline_only_before_there_was_contact(void **state)
{
    const struct clm_poll_outcome outcome = {
        .code = CLM_E_REMOTE, .status = 429, .problem = "rate-limited"};

    (void)state;
    clm_agent_judge(&f.agent, &outcome, NOW_MS, f.now_s);
    assert_in_range(f.agent.next_poll_ms - NOW_MS, 2000, 3000);
    f.agent.state = CLM_AGENT_CONNECTING;
    clm_agent_judge(&f.agent, &outcome, NOW_MS, f.now_s);
    assert_int_equal(f.agent.state, CLM_AGENT_OFFLINE);
}

static void expired_means_renew_unless_that_was_just_tried(void **state)
{
    const struct clm_poll_outcome outcome = {
        .code = CLM_E_AUTH, .status = 401, .problem = "cert-expired"};

    (void)state;
    f.agent.next_courier_s = f.now_s + 10;
    clm_agent_judge(&f.agent, &outcome, NOW_MS, f.now_s);
    assert_false(f.agent.renew_now);
    f.agent.next_courier_s = f.now_s;
    clm_agent_judge(&f.agent, &outcome, NOW_MS, f.now_s);
    assert_true(f.agent.renew_now);
}

/* ---- begin and end ---- */

static void enrolment_is_noticed(void **state)
{
    struct clm_agent agent;
    struct home empty;
    char dir[PATH_MAX];

    (void)state;
    home_open(&empty);
    assert_int_equal(clm_agent_open(&agent, &empty.config, NULL), CLM_OK);
    assert_int_equal(agent.state, CLM_AGENT_UNENROLLED);
    assert_int_equal(clm_net_path(&empty.config, dir, NULL, "identity"), CLM_OK);
    become_agent(dir, 1);
    (void)clm_agent_tick(&agent, NOW_MS, f.now_s);
    assert_int_equal(agent.state, CLM_AGENT_CONNECTING);
    assert_int_equal(f.asked, 1);
    clm_agent_close(&agent);
    home_close(&empty);
}

static void sequence_goes_on_after_the_next_start(void **state)
{
    struct clm_poll_state poll;

    (void)state;
    f.agent.poll.seq = 5 * CLM_POLL_SEQ_STEP;
    clm_agent_close(&f.agent);
    clm_poll_load(&f.home.config, &poll);
    assert_true(poll.seq >= 5 * CLM_POLL_SEQ_STEP);
    assert_int_equal(clm_agent_open(&f.agent, &f.home.config, NULL), CLM_OK);
}

static enum clm_code open_and_close(void *arg, struct clm_err *err)
{
    struct clm_agent agent;

    (void)arg;
    enum clm_code code = clm_agent_open(&agent, &f.home.config, err);
    clm_agent_close(&agent);
    return code;
}

static void a_start_in_need_has_a_message(void **state)
{
    const struct clm_sabotage plan = {.act = open_and_close};
    struct clm_config config = f.home.config;
    struct clm_agent agent;

    (void)state;
    assert_true(clm_sabotage_run(&plan, NULL) > 10);
    (void)memset(config.state_dir, 's', sizeof(config.state_dir) - 1);
    assert_int_equal(clm_agent_open(&agent, &config, NULL), CLM_E_LIMIT);
    clm_agent_close(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(a_job_that_dies_goes_on_later_each_time),
        WITH(a_job_that_cannot_be_put_off_is_kept_as_it_is),
        WITH(what_changed_a_target_is_looked_at),
        WITH(room_is_told_at_once),
        WITH(next_scan_follows_the_last),
        WITH(courier_that_fails_comes_less_often),
        WITH(expired_identity_is_recovered_slowly),
        WITH(new_identity_is_used_at_once),
        WITH(a_running_job_is_canceled_by_a_signal),
        WITH(a_lease_is_lost_also_without_a_record),
        WITH(what_cannot_be_noted_is_logged_only),
        WITH(a_wish_for_an_inventory_waits_for_one_that_is_made),
        WITH(clocks_that_differ_are_noticed_once),
        WITH(a_new_spread_is_kept),
        WITH(a_server_that_never_holds_a_poll_says_when_to_come_again),
        WITH(slowing_down_means_offline_only_before_there_was_contact),
        WITH(expired_means_renew_unless_that_was_just_tried),
        WITH(enrolment_is_noticed),
        WITH(sequence_goes_on_after_the_next_start),
        WITH(a_start_in_need_has_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
