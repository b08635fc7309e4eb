/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main process of "clmbot run": signals, children, the watchdog, the status socket, its end. What
 * the agent does in a turn is the test's; what it has decided is tested in test_agent*.c.
 */
#include "tests/support/sabotage.h"
#include "tests/unit/run/world.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/base/user.h"
#include "agent/run/agent.h"
#include "agent/run/confine.h"
#include "agent/run/local_api.h"
#include "agent/run/run.h"

static struct {
    struct home home;
    void (*turn)(struct clm_agent *agent);
    unsigned turns;
    int64_t wait_ms;  /* as the agent says */
    int64_t ahead_ms; /* of the clock */
    pid_t child;
    int peer;  /* of the poller's socket */
    uid_t uid; /* who we are said to be */
    enum clm_code find;
    enum clm_code drop;
    unsigned drops;
    int notes; /* what systemd would hear; -1 */
} f;

/* ---- in place of the world ---- */

int64_t __wrap_clm_agent_tick(struct clm_agent *agent, int64_t now_ms, int64_t now_s);
int64_t __wrap_clm_agent_tick(struct clm_agent *agent, int64_t now_ms, int64_t now_s)
{
    (void)now_ms;
    (void)now_s;
    bool was_on = clm_sabotage_pause();
    if (++f.turns > 500) {
        abort(); /* a test that does not end */
    }
    f.turn(agent);
    clm_sabotage_resume(was_on && f.turns < 4); /* no read takes less than one byte for ever */
    return f.wait_ms;
}

int64_t __real_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void)
{
    return __real_clm_clock_mono_ms() + f.ahead_ms;
}

int __wrap_clm_run_confine(const struct clm_config *config);
int __wrap_clm_run_confine(const struct clm_config *config)
{
    (void)config;
    return 3;
}

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return f.uid;
}

enum clm_code __wrap_clm_user_find(const char *user, const char *group, struct clm_user *out,
                                   struct clm_err *err);
enum clm_code __wrap_clm_user_find(const char *user, const char *group, struct clm_user *out,
                                   struct clm_err *err)
{
    (void)user;
    (void)group;
    *out = (struct clm_user){.uid = 7};
    return f.find == CLM_OK ? CLM_OK : clm_err_set(err, f.find, "no such user");
}

enum clm_code __wrap_clm_user_drop(const struct clm_user *user, struct clm_err *err);
enum clm_code __wrap_clm_user_drop(const struct clm_user *user, struct clm_err *err)
{
    assert_int_equal(user->uid, 7);
    f.drops++;
    return f.drop == CLM_OK ? CLM_OK : clm_err_set(err, f.drop, "it may not be");
}

/* ---- fixture ---- */

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    f.uid = 1000;
    f.peer = -1;
    f.notes = -1;
    return 0;
}

/* Those that still wait are dropped. */
static void let_signals_in(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    struct sigaction was;
    sigset_t none;

    (void)sigemptyset(&none);
    for (size_t i = 0; i < CLM_ARRAY_LEN(signals); i++) {
        const struct sigaction ignore = {.sa_handler = SIG_IGN};

        assert_int_equal(sigaction(signals[i], &ignore, &was), 0);
        assert_int_equal(sigaction(signals[i], &was, NULL), 0);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int teardown(void **state)
{
    (void)state;
    clm_fs_close_p(&f.notes);
    clm_fs_close_p(&f.peer);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    let_signals_in();
    home_close(&f.home);
    return 0;
}

static void tell(int signo)
{
    assert_int_equal(kill(getpid(), signo), 0);
}

static void run_well(void (*turn)(struct clm_agent *agent))
{
    struct clm_err err = {0};

    f.turn = turn;
    f.turns = 0;
    if (clm_run_main(&f.home.config, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static void stop_at_once(struct clm_agent *agent)
{
    (void)agent;
    tell(SIGTERM);
}

/* ---- systemd ---- */

static void listen_to_notes(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notes", f.home.dir);
    f.notes = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(f.notes >= 0);
    assert_int_equal(bind(f.notes, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", addr.sun_path, 1), 0);
}

static const char *note(void)
{
    static char text[256];
    ssize_t n = recv(f.notes, text, sizeof(text) - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void feed_three_times(struct clm_agent *agent)
{
    assert_int_equal(agent->landlock, 3);
    assert_false(agent->is_stopping);
    if (f.turns == 3) {
        tell(SIGINT);
    } else {
        f.ahead_ms += f.turns == 1 ? 0 : 1000;
        tell(SIGCHLD); /* ends the wait */
    }
}

static void systemd_is_told_of_start_life_and_end(void **state)
{
    (void)state;
    listen_to_notes();
    assert_int_equal(setenv("WATCHDOG_USEC", "2000000", 1), 0);
    f.wait_ms = 60000;
    run_well(feed_three_times);
    assert_int_equal(f.turns, 3);
    assert_string_equal(note(), "READY=1\nSTATUS=running");
    assert_string_equal(note(), "WATCHDOG=1");
    assert_string_equal(note(), "WATCHDOG=1"); /* a second later; not in the last turn */
    assert_string_equal(note(), "STOPPING=1");
    assert_string_equal(note(), "");
}

/* ---- signals ---- */

static void poke_then_stop(struct clm_agent *agent)
{
    if (f.turns == 1) {
        agent->next_poll_ms = INT64_MAX;
        tell(SIGHUP);
        return;
    }
    assert_true(agent->next_poll_ms <= clm_clock_mono_ms());
    tell(SIGTERM);
}

static void hangup_means_poll_now(void **state)
{
    (void)state;
    run_well(poke_then_stop);
    assert_int_equal(f.turns, 2);
}

/* A child that ends when it is told to, or does not. */
static void make_child(struct clm_agent *agent, bool is_deaf)
{
    struct clm_child *child = &agent->children.list[0];

    f.child = fork();
    assert_true(f.child >= 0);
    if (f.child == 0) {
        sigset_t none;

        (void)signal(SIGTERM, is_deaf ? SIG_IGN : SIG_DFL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        for (;;) {
            (void)pause();
        }
    }
    child->pid = f.child;
    (void)snprintf(child->id, sizeof(child->id), "%s", A_JOB);
}

static void stop_with_a_child(struct clm_agent *agent)
{
    if (f.turns == 1) {
        make_child(agent, false);
    }
    if (f.turns <= 2) { /* a second time changes nothing */
        tell(SIGTERM);
    }
}

static void its_children_end_before_it_does(void **state)
{
    (void)state;
    f.wait_ms = 60000;
    run_well(stop_with_a_child);
    assert_int_equal(waitpid(f.child, NULL, WNOHANG), -1); /* it was waited for */
    assert_int_equal(errno, ECHILD);
}

static void stop_with_a_deaf_child(struct clm_agent *agent)
{
    if (f.turns == 1) {
        make_child(agent, true);
    }
    tell(f.turns == 1 ? SIGTERM : SIGCHLD);
    f.ahead_ms += agent->is_stopping ? 30001 : 0;
}

static void a_child_that_does_not_stop_is_left(void **state)
{
    (void)state;
    f.wait_ms = 10;
    run_well(stop_with_a_deaf_child);
    assert_int_equal(f.turns, 3); /* a minute after the signal */
    assert_int_equal(waitpid(f.child, NULL, WNOHANG), 0);
    assert_int_equal(kill(f.child, SIGKILL), 0);
    assert_int_equal(waitpid(f.child, NULL, 0), f.child);
}

/* ---- the poller ---- */

static void lose_the_poller(struct clm_agent *agent)
{
    int pair[2];

    if (f.turns == 1) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        agent->poller.fd = pair[0];
        agent->poller.is_busy = true;
        (void)close(pair[1]);
        return;
    }
    assert_int_equal(agent->poller.fd, -1);
    assert_true(agent->next_poll_ms > clm_clock_mono_ms());
    tell(SIGTERM);
}

static void a_poller_that_is_gone_is_started_later(void **state)
{
    (void)state;
    f.wait_ms = 60000;
    run_well(lose_the_poller);
    assert_int_equal(f.turns, 2);
}

static void stop_while_an_answer_comes(struct clm_agent *agent)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    agent->poller.fd = pair[0];
    f.peer = pair[1];
    assert_int_equal(write(f.peer, "x", 1), 1);
    tell(SIGTERM);
}

static void an_answer_that_comes_with_the_end_is_not_read(void **state)
{
    (void)state;
    run_well(stop_while_an_answer_comes);
    assert_int_equal(f.turns, 1);
}

/* ---- silence, and questions ---- */

static void be_silent(struct clm_agent *agent)
{
    (void)agent;
    f.wait_ms = f.turns == 2 ? 60000 : 1;
    if (f.turns == 4) {
        tell(SIGTERM);
    }
}

static void memory_is_given_back_once_in_a_silence(void **state)
{
    int64_t begun_ms = clm_clock_mono_ms();

    (void)state;
    run_well(be_silent);
    assert_int_equal(f.turns, 4);
    assert_in_range(clm_clock_mono_ms() - begun_ms, 250, 30000); /* it looked after a quarter */
}

static _Noreturn void ask_for_status(void)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    enum clm_code code = clm_status_request(f.home.config.run_dir, "status", NULL, &reply, NULL);

    _exit(code == CLM_OK && clm_json_get(reply, "control_plane") != NULL ? 0 : 1);
}

static void answer_a_question(struct clm_agent *agent)
{
    int status = -1;

    (void)agent;
    if (f.turns == 1) {
        f.child = fork();
        assert_true(f.child >= 0);
        if (f.child == 0) {
            ask_for_status();
        }
    }
    if (f.child > 0 && waitpid(f.child, &status, WNOHANG) == f.child) {
        assert_int_equal(status, 0);
        f.child = 0;
        tell(SIGTERM);
    }
}

static void status_is_answered_meanwhile(void **state)
{
    char path[PATH_MAX];

    (void)state;
    f.wait_ms = 1000;
    run_well(answer_a_question);
    assert_int_equal(f.child, 0);
    (void)snprintf(path, sizeof(path), "%s/status.sock", f.home.dir);
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- what keeps it from starting ---- */

static void root_becomes_its_user_or_does_not_start(void **state)
{
    static const struct {
        uid_t uid;
        enum clm_code find;
        enum clm_code drop;
        enum clm_code expected;
        unsigned drops;
        const char *message;
    } rows[] = {
        {1000, CLM_E_CONFIG, CLM_E_PERM, CLM_OK, 0, ""},
        {0, CLM_OK, CLM_OK, CLM_OK, 1, ""},
        {0, CLM_E_CONFIG, CLM_OK, CLM_E_CONFIG, 0, "no such user"},
        {0, CLM_OK, CLM_E_PERM, CLM_E_PERM, 1, "it may not be"},
    };

    (void)state;
    f.turn = stop_at_once;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {0};

        f.uid = rows[i].uid;
        f.find = rows[i].find;
        f.drop = rows[i].drop;
        f.drops = 0;
        enum clm_code code = clm_run_main(&f.home.config, &err);
        if (code != rows[i].expected || f.drops != rows[i].drops ||
            strcmp(err.msg, rows[i].message) != 0) {
            fail_msg("row %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

static void second(struct clm_agent *agent)
{
    struct clm_err err = {0};
    unsigned turns = f.turns;

    if (agent->is_stopping) {
        return;
    }
    assert_int_equal(clm_run_main(&f.home.config, &err), CLM_E_CONFLICT);
    assert_non_null(strstr(err.msg, "in use"));
    assert_int_equal(f.turns, turns);
    tell(SIGTERM);
}

static void only_one_runs_in_a_state_directory(void **state)
{
    (void)state;
    run_well(second);
    assert_int_equal(f.turns, 1);
}

static void directories_that_do_not_fit_are_refused(void **state)
{
    struct clm_config *config = &f.home.config;
    char dir[sizeof(f.home.dir)];
    struct clm_err err = {0};

    (void)state;
    f.turn = stop_at_once;
    memcpy(dir, f.home.dir, sizeof(dir));
    (void)memset(config->run_dir, 'r', 200); /* more than the name of a socket may be */
    config->run_dir[200] = '\0';
    assert_int_equal(clm_run_main(config, &err), CLM_E_LIMIT);
    (void)memset(config->state_dir, 's', sizeof(config->state_dir) - 1);
    assert_int_equal(clm_run_main(config, &err), CLM_E_LIMIT);
    (void)snprintf(config->state_dir, sizeof(config->state_dir), "%s/none/state", dir);
    assert_int_equal(clm_run_main(config, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "none/state"));
    assert_int_equal(f.turns, 0);
}

/* ---- while calls of libc fail ---- */

static enum clm_code act(void *arg, struct clm_err *err)
{
    (void)arg;
    f.turns = 0;
    return clm_run_main(&f.home.config, err);
}

/* The lock is free again, and nothing answers. */
static void nothing_is_left(void *arg, enum clm_code code, const char *what)
{
    char path[PATH_MAX];

    (void)arg;
    (void)snprintf(path, sizeof(path), "%s/status.sock", f.home.dir);
    if (code == CLM_OK && access(path, F_OK) == 0 && strstr(what, "unlink") == NULL) {
        fail_msg("%s: the socket is still there", what);
    }
    while (note()[0] != '\0') {
    }
}

static void a_call_that_fails_ends_it_with_a_message_or_not_at_all(void **state)
{
    const struct clm_sabotage plan = {.act = act, .after = nothing_is_left};

    (void)state;
    listen_to_notes();
    f.turn = stop_at_once;
    assert_true(clm_sabotage_run(&plan, NULL) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(systemd_is_told_of_start_life_and_end),
        WITH(hangup_means_poll_now),
        WITH(its_children_end_before_it_does),
        WITH(a_child_that_does_not_stop_is_left),
        WITH(a_poller_that_is_gone_is_started_later),
        WITH(an_answer_that_comes_with_the_end_is_not_read),
        WITH(memory_is_given_back_once_in_a_silence),
        WITH(status_is_answered_meanwhile),
        WITH(root_becomes_its_user_or_does_not_start),
        WITH(only_one_runs_in_a_state_directory),
        WITH(directories_that_do_not_fit_are_refused),
        WITH(a_call_that_fails_ends_it_with_a_message_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
