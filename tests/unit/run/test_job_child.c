/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot _job": the courier, renewal and what is put off, with a control plane in place of libcurl. */
#include "tests/unit/run/wire.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/run/job_child.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

static struct {
    struct home home;
    char dir[PATH_MAX];
    const char *id;
    int status;
} f;

enum clm_code __wrap_clm_http_fetch_unverified(const char *url, const char *proxy,
                                               uint32_t timeout_ms, struct clm_http_response *out,
                                               struct clm_err *err);
enum clm_code __wrap_clm_http_fetch_unverified(const char *url, const char *proxy,
                                               uint32_t timeout_ms, struct clm_http_response *out,
                                               struct clm_err *err)
{
    (void)url;
    (void)proxy;
    (void)timeout_ms;
    (void)out;
    return clm_err_set(err, CLM_E_BUG, "a job asks for no CA");
}

void __wrap_clm_clock_sleep_ms(int64_t ms);
void __wrap_clm_clock_sleep_ms(int64_t ms)
{
    (void)ms;
}

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    assert_int_equal(clm_net_path(&f.home.config, f.dir, NULL, "identity"), CLM_OK);
    become_agent(f.dir, 1);
    wire_set(NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_close(&f.home);
    return 0;
}

static int64_t generation(void)
{
    struct clm_identity identity;
    int64_t is = clm_identity_load(f.dir, &identity, NULL) == CLM_OK ? identity.generation : -1;

    clm_identity_done(&identity);
    return is;
}

/* Sets one time of the identity in force, in seconds from now. */
static void set_time(const char *member, int64_t from_now_s)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *agent = NULL;
    char path[PATH_MAX];

    assert_int_equal(clm_identity_path(f.dir, "agent.json", path, NULL), CLM_OK);
    assert_int_equal(clm_file_read_json(path, 65536, &agent, NULL), CLM_OK);
    clm_json_set_int(agent, member, clm_clock_now_s() + from_now_s);
    assert_int_equal(clm_file_write_json(path, 65536, agent, NULL), CLM_OK);
}

static void spool_one(void)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_spool_message message = {
        .class_no = CLM_SPOOL_EVENT, .method = "POST", .path = "/agent/v1/x", .body = body};
    char path[PATH_MAX];

    spool_path(&f.home, path);
    assert_int_equal(clm_spool_init(path, NULL), CLM_OK);
    assert_int_equal(clm_spool_put(path, &message, NULL), CLM_OK);
}

static size_t spooled(void)
{
    struct clm_spool_stats stats;
    char path[PATH_MAX];

    spool_path(&f.home, path);
    clm_spool_stats(path, 1, &stats);
    return stats.n;
}

static int run(const char *id, const char *boot_id)
{
    return clm_run_job(&f.home.config, id, boot_id);
}

static void courier_brings_what_waits(void **state)
{
    static const struct plane_row takes[] = {{"POST", "/agent/v1/x", 200, "{}", 0}};
    static const struct plane_row is_away[] = {{"POST", "/agent/v1/x", 0, NULL, 0}};

    (void)state;
    assert_int_equal(run(CLM_JOB_ID_COURIER, NULL), CLM_JOB_EXIT_OK); /* nothing to do */
    spool_one();
    wire_set(is_away, 1);
    assert_int_equal(run(CLM_JOB_ID_COURIER, ""), CLM_JOB_EXIT_LATER);
    assert_int_equal(spooled(), 1);
    spool_one();
    wire_set(takes, 1);
    assert_int_equal(setenv(CLM_JOB_ENV_BOOT, "01J9ZK5D0B2M4N6P8Q0R2S4T6V", 1), 0);
    assert_int_equal(run(CLM_JOB_ID_COURIER, NULL), CLM_JOB_EXIT_OK);
    assert_int_equal(spooled(), 1); /* the one that was put off */
    assert_int_equal(setenv(CLM_JOB_ENV_BOOT, "longer than any id of a start may ever be", 1), 0);
    assert_int_equal(run(CLM_JOB_ID_COURIER, NULL), CLM_JOB_EXIT_FAULT);
    assert_int_equal(unsetenv(CLM_JOB_ENV_BOOT), 0);
    assert_int_equal(wire.unknown, 0);
}

static const struct plane_row renews[] = {
    {"POST", "/renew", 200, "MAKE", 0},
};
static const struct plane_row recovers[] = {
    {"POST", "/renew", 401, "{\"code\":\"cert-expired\"}", 0},
    {"POST", "/recover", 401, "{\"code\":\"nonce-required\",\"nonce\":\"9JbU0v3mR1oQ7Yk2\"}", 1},
    {"POST", "/recover", 200, "MAKE", 0},
};
static const struct plane_row refuses[] = {
    {"POST", "/renew", 403, "{\"code\":\"agent-disabled\"}", 0},
};

static void identity_is_renewed_when_it_is_time(void **state)
{
    static const struct {
        const char *id;
        const char *member;
        int64_t from_now_s;
        const struct plane_row *rows;
        size_t n;
        int status;
        int64_t generation;
        const char *why;
    } rows[] = {
        {CLM_JOB_ID_COURIER, "renew_after_s", 9999, NULL, 0, CLM_JOB_EXIT_OK, 1, "not yet"},
        {CLM_JOB_ID_COURIER, "renew_after_s", -1, renews, 1, CLM_JOB_EXIT_OK, 2, "it is time"},
        {CLM_JOB_ID_RENEW, "renew_after_s", 9999, renews, 1, CLM_JOB_EXIT_OK, 2,
         "it was asked for"},
        {CLM_JOB_ID_RENEW, "renew_after_s", 9999, recovers, 3, CLM_JOB_EXIT_OK, 2,
         "expired, says the control plane"},
        {CLM_JOB_ID_RENEW, "not_after_s", -1, recovers, 3, CLM_JOB_EXIT_OK, 2, "expired, we know"},
        {CLM_JOB_ID_RENEW, "renew_after_s", 9999, refuses, 1, CLM_JOB_EXIT_LATER, 1, "refused"},
        {CLM_JOB_ID_RENEW, "renew_after_s", 9999, NULL, 0, CLM_JOB_EXIT_LATER, 1,
         "not known there"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        set_time(rows[i].member, rows[i].from_now_s);
        wire_set(rows[i].rows, rows[i].n);
        int status = run(rows[i].id, "01J9ZK5D0B2M4N6P8Q0R2S4T6V");
        if (status != rows[i].status || generation() != rows[i].generation || !pair_fits(f.dir)) {
            fail_msg("row %zu (%s): %d, generation %d", i, rows[i].why, status, (int)generation());
        }
    }
}

static void without_a_host_half_everything_waits(void **state)
{
    (void)state;
    assert_int_equal(run(CLM_JOB_ID_SCAN, NULL), CLM_JOB_EXIT_LATER);
    assert_int_equal(run(A_JOB, NULL), CLM_JOB_EXIT_LATER);
    (void)memset(f.home.config.run_dir, 'x', 200); /* more than the name of a socket may be */
    assert_int_equal(run(CLM_JOB_ID_SCAN, NULL), CLM_JOB_EXIT_LATER);
}

/* systemd holds the socket, and starts no host half before this process has ended. */
static void told_to_stop_it_waits_for_no_host_half(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct timespec none = {0};
    sigset_t set;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(clm_str_fmt(addr.sun_path, sizeof(addr.sun_path), NULL, "%s/host.sock",
                                 f.home.config.run_dir),
                     CLM_OK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 8), 0);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(run(A_JOB, NULL), CLM_JOB_EXIT_LATER);
    assert_int_equal(sigtimedwait(&set, NULL, &none), SIGTERM); /* it was asked for, not taken */
    (void)close(fd);
}

static void without_an_identity_nothing_can_be_done(void **state)
{
    struct home empty;

    (void)state;
    home_open(&empty);
    assert_int_equal(clm_run_job(&empty.config, CLM_JOB_ID_COURIER, NULL), CLM_JOB_EXIT_FAULT);
    home_close(&empty);
}

/* ---- while calls of libc fail ---- */

static void begin(void *arg)
{
    (void)arg;
    wire_set(recovers, CLM_ARRAY_LEN(recovers));
}

static enum clm_code act(void *arg, struct clm_err *err)
{
    (void)arg;
    (void)err;
    f.status = run(f.id, "01J9ZK5D0B2M4N6P8Q0R2S4T6V");
    return CLM_OK;
}

static void identity_is_whole(void *arg, enum clm_code code, const char *what)
{
    (void)arg;
    (void)code;
    if (generation() < 1 || !pair_fits(f.dir)) {
        fail_msg("%s: the identity is broken", what == NULL ? "undisturbed" : what);
    }
    if (f.status != CLM_JOB_EXIT_OK && f.status != CLM_JOB_EXIT_LATER &&
        f.status != CLM_JOB_EXIT_FAULT) {
        fail_msg("%s: exit status %d", what, f.status);
    }
}

static void a_renewal_in_need_leaves_a_whole_identity(void **state)
{
    static const char *const ids[] = {CLM_JOB_ID_RENEW, CLM_JOB_ID_SCAN, A_JOB};
    const struct clm_sabotage plan = {.before = begin, .act = act, .after = identity_is_whole};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(ids); i++) {
        f.id = ids[i];
        assert_true(clm_sabotage_run(&plan, NULL) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(courier_brings_what_waits),
        WITH(identity_is_renewed_when_it_is_time),
        WITH(without_a_host_half_everything_waits),
        WITH(told_to_stop_it_waits_for_no_host_half),
        WITH(without_an_identity_nothing_can_be_done),
        WITH(a_renewal_in_need_leaves_a_whole_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
