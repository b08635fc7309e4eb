/* SPDX-License-Identifier: Apache-2.0 */
/* A job may ask that what was not proved stays as it is; and what ends without a reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/unit/job/act.h"

#define DIED 99 /* exit status of clm_fs_point() */

static struct scene_certs certs;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

static int make_certs(void **state)
{
    (void)state;
    scene_certs_make(&certs, CLM_TEST_GOOD);
    return 0;
}

static int drop_certs(void **state)
{
    (void)state;
    scene_certs_done(&certs);
    return 0;
}

static void begin(struct act *act)
{
    act_begin(act, SCENE_PAIR, &certs);
    act->scene.env.leaves_failed = true;
}

static void nobody_restarts(struct act *act)
{
    for (size_t i = 0; i < act->scene.plan.n_steps; i++) {
        if (act->scene.plan.steps[i].kind == CLM_STEP_RELOAD) {
            act->scene.plan.steps[i].how = CLM_RELOAD_NONE;
        }
    }
}

static void expect_left(struct act *act, enum clm_code code, const char *failed_step)
{
    act_deploy(act);
    act_expect(act, CLM_TXN_LEFT, code, 'N');
    assert_string_equal(act_step(act, failed_step)->status, "failed");
    assert_string_equal(act_step(act, "rollback")->status, "skipped");
    assert_null(act_step(act, "rollback-reload"));
    assert_string_equal(act->out.after_sha256, certs.new_bundle.leaf.sha256);
    assert_false(act->out.is_proved);
    assert_string_equal(clm_txn_result_name(act->out.result), "left");
    scene_assert_clean(&act->scene);
    act_end(act);
}

static void a_wrong_leaf_is_left(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    act.scene.server.other_sha256 = other_leaf;
    expect_left(&act, CLM_E_VERIFY, "verify");
}

static void a_refused_reload_is_left(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    act.scene.server.fail_reloads = 1;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_LEFT, act.code, 'N');
    assert_int_not_equal(act.code, CLM_OK);
    assert_int_equal(act.scene.server.reloads, 1);
    act_end(&act);
}

static void breaks_by_itself(struct fake_io *self)
{
    if (self->probes > 2) {
        self->dead_port = self->runs > 1 ? 443 : 0;
    }
}

static void a_server_nobody_restarts_is_left_broken(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    nobody_restarts(&act);
    act.scene.server.on_probe = breaks_by_itself;
    expect_left(&act, CLM_E_VERIFY, "verify");
}

static void what_fails_the_servers_own_test_is_never_left(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    act.scene.server.post_check_status = 1;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_CONFIG, 'O');
    act_end(&act);
}

static unsigned probes_until_stop;

static bool stop_at_probe(void *arg)
{
    const struct act *act = arg;

    return act->scene.server.probes >= probes_until_stop;
}

static void a_stop_of_the_host_half_is_undone(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    act.scene.server.reload_does_nothing = true;
    act.scene.env.cancelled = stop_at_probe;
    act.scene.env.event_arg = &act;
    probes_until_stop = 4;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_CANCELLED, 'O');
    act_end(&act);
}

/* ---- killed at every durable step ---- */

static void left(struct act *act)
{
    act->scene.env.leaves_failed = true;
    act->scene.server.other_sha256 = other_leaf;
}

static int dies_at(struct act *act, void (*story)(struct act *act), unsigned n)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        story(act);
        clm_fs_crash_at(n);
        act_deploy(act);
        _exit((int)act->out.result);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

/* Recovery after a death. False: it found nothing, neither a journal to begin with nor one to end. */
static bool recovered(struct act *act, enum clm_txn_result *out)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};

    assert_int_equal(clm_txn_recover(&act->scene.env, true, &outs, NULL), CLM_OK);
    assert_true(outs.n <= 1);
    if (outs.n == 1) {
        *out = outs.v[0].result;
    }
    return outs.n == 1;
}

/* What is said at the end, by the deployment or by recovery, is what lies there. */
static void killed_at_every_step(void (*story)(struct act *act), enum clm_txn_result end)
{
    unsigned ended_new = 0;
    int status = DIED;

    for (unsigned n = 1; status == DIED; n++) {
        struct act act;
        enum clm_txn_result result;
        bool is_said;
        char files;

        act_begin(&act, SCENE_PAIR, &certs);
        status = dies_at(&act, story, n);
        result = (enum clm_txn_result)status;
        is_said = recovered(&act, &result) || status != DIED;
        files = scene_files_are(&act.scene);
        if ((files != 'N' && files != 'O') || (is_said && (files == 'N') != (result == end))) {
            fail_msg("killed at %u: %s, files %c", n, clm_txn_result_name(result), files);
        }
        scene_assert_clean(&act.scene);
        ended_new += status == DIED && is_said && result == end;
        act_end(&act);
    }
    assert_int_equal(status, end);
    assert_true(ended_new > 0); /* between the last record and the end */
}

static void left_survives_every_kill(void **state)
{
    (void)state;
    killed_at_every_step(left, CLM_TXN_LEFT);
}

static void waiting_survives_every_kill(void **state)
{
    (void)state;
    killed_at_every_step(nobody_restarts, CLM_TXN_WAITING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_leaf_is_left),
        cmocka_unit_test(a_refused_reload_is_left),
        cmocka_unit_test(a_server_nobody_restarts_is_left_broken),
        cmocka_unit_test(what_fails_the_servers_own_test_is_never_left),
        cmocka_unit_test(a_stop_of_the_host_half_is_undone),
        cmocka_unit_test(left_survives_every_kill),
        cmocka_unit_test(waiting_survives_every_kill),
    };

    return cmocka_run_group_tests_name("txn_leave", tests, make_certs, drop_certs);
}
