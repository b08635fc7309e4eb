/* SPDX-License-Identifier: Apache-2.0 */
/* Both halves without systemd: when they are started, told and ended, and what keeps them from it. */
#include "tests/unit/run/supervise_world.h"

/* ---- a life ---- */

static void live(void)
{
    switch (f.step++) {
    case 0:
        (void)await('N');
        tell(SIGHUP);
        break;
    case 1:
        (void)await('H');
        order_host('q');
        break;
    case 2: /* the host half was started: there is somebody who wants something */
        assert_host_says(f.home.config.path);
        break;
    case 3: /* it has ended, and comes again when it is wanted */
        order_host('s');
        break;
    case 4:
        assert_host_says(f.home.config.path);
        tell(SIGTERM);
        break;
    default: /* the network half ends, then the host half is told to */
        break;
    }
}

static void halves_are_started_told_and_ended(void **state)
{
    static const char *const paths[] = {"", "/etc/clmbot/other.yaml"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(paths); i++) {
        (void)snprintf(f.home.config.path, sizeof(f.home.config.path), "%s", paths[i]);
        run_well(live);
        assert_int_equal(clear_away(), 0);
    }
}

/* Descriptor 3 is where the socket must be, whatever was there before. */
static void socket_gets_its_number(void **state)
{
    int held[LISTEN_FD + 1];
    int n = 0;

    (void)state;
    do {
        held[n] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(held[n] >= 0);
    } while (held[n++] < LISTEN_FD);
    run_well(live);
    while (n > 0) {
        (void)close(held[--n]);
    }
}

static void stop_against_resistance(void)
{
    switch (f.step++) {
    case 0:
        f.left = await('N');
        tell(SIGTERM);
        break;
    case 1: /* what is under way may need the host half to come to its end */
        tell(SIGINT);
        order_host('q');
        hurry();
        break;
    case 2:
        assert_host_says("");
        break;
    default:
        f.ahead_ms += 35 * ONE_S + 1;
        hurry();
        break;
    }
}

static void a_network_half_that_does_not_stop_is_left(void **state)
{
    (void)state;
    f.net = NET_IS_DEAF;
    run_well(stop_against_resistance);
    assert_int_equal(f.step, 5); /* 70 seconds */
    assert_int_equal(waitpid(f.left, NULL, WNOHANG), 0);
    assert_int_equal(kill(f.left, SIGKILL), 0);
    assert_int_equal(waitpid(f.left, NULL, 0), f.left);
}

static void stop_while_time_flies(void)
{
    if (f.step++ == 0) {
        f.left = await('N');
        f.creep_ms = 35 * ONE_S; /* 70 are over between two looks at the clock */
        tell(SIGTERM);
    }
}

static void an_end_that_is_overdue_is_not_waited_for(void **state)
{
    (void)state;
    f.net = NET_IS_DEAF;
    run_well(stop_while_time_flies);
    assert_int_equal(f.step, 2);
    assert_int_equal(kill(f.left, SIGKILL), 0);
    assert_int_equal(waitpid(f.left, NULL, 0), f.left);
}

/* ---- halves that fail ---- */

static const int64_t pauses_s[] = {1, 2, 4, 8, 16, 32, 60, 60};

static void fail_again_and_again(void)
{
    size_t i = (size_t)f.step / 3;

    switch (f.step++ % 3) {
    case 0:
        (void)await('N'); /* it ends, which is a signal */
        break;
    case 1:
        assert_false(has_children());
        if (i == CLM_ARRAY_LEN(pauses_s)) {
            tell(SIGINT); /* neither half runs: the end comes at once */
            break;
        }
        f.ahead_ms += pauses_s[i] * ONE_S / 2;
        hurry();
        break;
    default:
        assert_false(has_children());
        f.ahead_ms += pauses_s[i] * ONE_S / 2;
        hurry();
        break;
    }
}

static void a_network_half_that_fails_is_started_later_and_later(void **state)
{
    (void)state;
    f.net = NET_FAILS;
    run_well(fail_again_and_again);
    assert_int_equal(f.step, 3 * CLM_ARRAY_LEN(pauses_s) + 2);
}

static void fail_after_a_minute(void)
{
    switch (f.step++) {
    case 0: /* early, twice: the next pause would be four seconds */
    case 2:
        assert_int_equal(kill(await('N'), SIGHUP), 0);
        break;
    case 1:
    case 3:
        assert_false(has_children());
        f.ahead_ms += 2 * ONE_S;
        hurry();
        break;
    case 4:
        f.ahead_ms += 60 * ONE_S;
        assert_int_equal(kill(await('N'), SIGHUP), 0);
        break;
    case 5: /* no pause; early: of one second again */
        assert_int_equal(kill(await('N'), SIGHUP), 0);
        break;
    case 6:
        assert_false(has_children());
        f.ahead_ms += ONE_S;
        hurry();
        break;
    case 7:
        (void)await('N');
        tell(SIGTERM);
        break;
    default: /* they come to their end */
        break;
    }
}

static void a_network_half_that_ran_for_a_minute_is_started_again_at_once(void **state)
{
    (void)state;
    f.net = NET_FAILS_LATER;
    run_well(fail_after_a_minute);
    assert_true(f.step >= 8);
}

static void let_the_host_half_fail(void)
{
    switch (f.step++) {
    case 0:
        (void)await('N');
        order_host('f');
        break;
    case 1:
        assert_host_says("");
        break;
    case 2:
        order_host('q');
        f.ahead_ms += ONE_S / 2;
        hurry();
        break;
    case 3:
        assert_false(host_has_answered());
        f.ahead_ms += ONE_S / 2;
        hurry();
        break;
    case 4: /* it is time, and somebody waits */
        break;
    case 5:
        assert_host_says("");
        tell(SIGTERM);
        break;
    default: /* they come to their end */
        break;
    }
}

static void a_host_half_that_fails_is_started_later(void **state)
{
    (void)state;
    run_well(let_the_host_half_fail);
    assert_true(f.step >= 6);
}

static void let_both_fail(void)
{
    switch (f.step++) {
    case 0:
    case 4: /* now with a pause of two seconds */
    case 6: /* of four */
        (void)await('N');
        break;
    case 1:
    case 7:
        order_host('f');
        break;
    case 2:
    case 8:
        assert_host_says("");
        break;
    case 3: /* the network half is the first to come again */
    case 5:
        assert_false(has_children());
        f.ahead_ms += 2 * ONE_S;
        hurry();
        break;
    default: /* here the host half would be, in two seconds */
        assert_false(has_children());
        tell(SIGTERM);
        break;
    }
}

static void each_half_has_its_own_pause(void **state)
{
    (void)state;
    f.net = NET_FAILS;
    run_well(let_both_fail);
    assert_int_equal(f.step, 10);
}

static void wait_for_a_process(void)
{
    switch (f.step++) {
    case 0:
        assert_true(clm_sabotage_off());
        assert_false(has_children());
        f.ahead_ms += 30 * ONE_S;
        hurry();
        break;
    case 1:
        assert_false(has_children());
        f.ahead_ms += 30 * ONE_S;
        hurry();
        break;
    case 2:
        (void)await('N');
        tell(SIGTERM);
        break;
    default: /* they come to their end */
        break;
    }
}

static void where_no_process_can_be_made_it_is_tried_again_in_a_minute(void **state)
{
    (void)state;
    clm_sabotage_on("fork", 1, EAGAIN);
    run_well(wait_for_a_process);
}

static void fail_before_the_host_half_is_there(void)
{
    switch (f.step++) {
    case 0:
        (void)await('N');
        order_host('q');
        clm_sabotage_on("dup2", 1, EIO);
        break;
    case 1:
        break;
    case 2:
        assert_false(clm_sabotage_off()); /* it was the child's */
        f.ahead_ms += ONE_S;
        hurry();
        break;
    case 3:
        break;
    case 4:
        assert_host_says("");
        tell(SIGTERM);
        break;
    default: /* they come to their end */
        break;
    }
}

static void a_host_half_without_its_socket_is_not_started(void **state)
{
    int held = open("/dev/null", O_RDONLY | O_CLOEXEC); /* most likely 3 */

    (void)state;
    assert_true(held >= LISTEN_FD);
    f.is_kept = true;
    run_well(fail_before_the_host_half_is_there);
    (void)close(held);
}

/* ---- who may do what ---- */

static void assert_owner(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    if (st.st_uid != uid || st.st_gid != gid || (st.st_mode & 07777) != mode) {
        fail_msg("%s: %d:%d %o", path, (int)st.st_uid, (int)st.st_gid, (unsigned)st.st_mode);
    }
}

static void look_at_rights(void)
{
    const struct sockaddr_un addr = host_addr();
    char net[PATH_MAX];

    bool is_first = f.step++ == 0;

    if (is_first == (f.drop != CLM_OK)) {
        return; /* it ends, which is a signal */
    }
    if (f.drop != CLM_OK) {
        assert_false(has_children());
        tell(SIGTERM);
        return;
    }
    (void)await('N');
    (void)snprintf(net, sizeof(net), "%s/net", f.home.dir);
    assert_owner(addr.sun_path, 0, 8, 0660);
    assert_owner(f.home.dir, 0, 8, 01770);
    assert_owner(net, 7, 8, 0700);
    tell(SIGTERM);
}

static void network_half_has_its_user_and_its_directory(void **state)
{
    struct clm_err err = {0};

    (void)state;
    if (getuid() != 0) {
        skip();
    }
    f.uid = 0;
    run_well(look_at_rights);
    f.drop = CLM_E_PERM; /* then it does not run at all */
    run_well(look_at_rights);
    f.find = CLM_E_CONFIG;
    assert_int_equal(clm_run_supervise(&f.home.config, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg, "no such user");
}

static void rights_that_cannot_be_set_are_an_error(void **state)
{
    static const struct {
        uid_t uid;
        const char *message;
    } rows[] = {{1000, "socket '"}, {0, "owner of '"}};

    (void)state;
    f.chmod_fails = true;
    f.turn = abort;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {0};

        f.uid = rows[i].uid;
        enum clm_code code = clm_run_supervise(&f.home.config, &err);
        if (code != CLM_E_PERM || strstr(err.msg, rows[i].message) == NULL) {
            fail_msg("row %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

/* ---- what keeps it from starting ---- */

static void only_one_listens(void **state)
{
    const struct sockaddr_un addr = host_addr();
    CLM_CLEANUP(clm_fs_close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 1), 0);
    f.turn = abort;
    assert_int_equal(clm_run_supervise(&f.home.config, &err), CLM_E_EXISTS);
    assert_non_null(strstr(err.msg, addr.sun_path));
    assert_int_equal(access(addr.sun_path, F_OK), 0); /* the other's */
}

static void directories_that_do_not_fit_are_refused(void **state)
{
    struct clm_config *config = &f.home.config;
    struct clm_err err = {0};

    (void)state;
    f.turn = abort;
    (void)snprintf(config->run_dir, sizeof(config->run_dir), "%s/none/run", f.home.dir);
    assert_int_equal(clm_run_supervise(config, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "none/run"));
    (void)snprintf(config->run_dir, sizeof(config->run_dir), "%s/%0100d", f.home.dir, 0);
    assert_int_equal(clm_run_supervise(config, &err), CLM_E_LIMIT); /* more than a socket's name */
    (void)memset(config->state_dir, '/', sizeof(config->state_dir) - 1);
    memcpy(config->state_dir, f.home.dir, strlen(f.home.dir));
    assert_int_equal(clm_run_supervise(config, &err), CLM_E_LIMIT);
}

/* ---- while calls of libc fail ---- */

static void stop_soon(void)
{
    if (f.turns == 1) {
        tell(SIGTERM);
    }
    nap();
    hurry();
    f.ahead_ms += f.turns > 200 ? ONE_S : 0; /* a process whose end was missed */
    if (f.turns > 20) {
        (void)clm_sabotage_off(); /* no read takes less than one byte for ever */
    }
}

static enum clm_code act(void *arg, struct clm_err *err)
{
    (void)arg;
    f.turns = 0;
    return clm_run_supervise(&f.home.config, err);
}

static void socket_is_gone(void *arg, enum clm_code code, const char *what)
{
    const struct sockaddr_un addr = host_addr();

    (void)arg;
    (void)clear_away();
    if (code == CLM_OK && access(addr.sun_path, F_OK) == 0 && strstr(what, "unlink") == NULL) {
        fail_msg("%s: the socket is still there", what);
    }
    f.ahead_ms = 0;
}

static void a_call_that_fails_ends_it_with_a_message_or_not_at_all(void **state)
{
    const struct clm_sabotage plan = {.act = act, .after = socket_is_gone};

    (void)state;
    f.turn = stop_soon;
    for (uid_t uid = 0; uid <= 1000; uid += 1000) {
        f.uid = uid;
        if (uid != 0 || getuid() == 0) {
            assert_true(clm_sabotage_run(&plan, NULL) > 8);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(halves_are_started_told_and_ended),
        WITH(socket_gets_its_number),
        WITH(a_network_half_that_does_not_stop_is_left),
        WITH(an_end_that_is_overdue_is_not_waited_for),
        WITH(a_network_half_that_fails_is_started_later_and_later),
        WITH(a_network_half_that_ran_for_a_minute_is_started_again_at_once),
        WITH(a_host_half_that_fails_is_started_later),
        WITH(each_half_has_its_own_pause),
        WITH(where_no_process_can_be_made_it_is_tried_again_in_a_minute),
        WITH(a_host_half_without_its_socket_is_not_started),
        WITH(network_half_has_its_user_and_its_directory),
        WITH(rights_that_cannot_be_set_are_an_error),
        WITH(only_one_listens),
        WITH(directories_that_do_not_fit_are_refused),
        WITH(a_call_that_fails_ends_it_with_a_message_or_not_at_all),
    };

    if (argc > 1 && strcmp(argv[1], "host") == 0) {
        return be_host(argc, argv);
    }
    if (pthread_atfork(NULL, NULL, spare_the_child) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
