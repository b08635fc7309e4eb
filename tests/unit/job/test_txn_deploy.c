/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/unit/job/act.h"

static struct scene_certs good_certs;
static struct scene_certs expired_certs;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

/* ---- good ends ---- */

static void a_deployment_is_proved(void **state)
{
    (void)state;
    for (int kind = 0; kind < SCENE__COUNT; kind++) {
        struct act act;

        act_begin(&act, (enum scene_kind)kind, &good_certs);
        act.scene.server.old_for_ms = 135;
        act_deploy(&act);
        act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
        assert_true(act.out.is_proved);
        assert_false(act.out.is_degraded);
        assert_int_equal(act.scene.server.reloads, 1);
        assert_string_equal(act.out.after_sha256, act.scene.bundle->leaf.sha256);
        assert_string_equal(act.out.before_sha256,
                            kind == SCENE_FIRST ? "" : good_certs.old_bundle.leaf.sha256);
        assert_int_equal(act.out.n_endpoints, 2);
        assert_string_equal(act.out.endpoints[1].after.leaf_sha256, act.scene.bundle->leaf.sha256);
        scene_assert_clean(&act.scene);
        act_end(&act);
    }
}

static void the_same_again_changes_nothing(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act_deploy(&act);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_NOOP, CLM_OK, 'N');
    assert_true(act.out.is_proved);
    assert_int_equal(act.scene.server.reloads, 1);
    scene_assert_clean(&act.scene);
    act_end(&act);
}

static void a_forgotten_reload_is_made_up_for(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    for (size_t i = 0; i < act.scene.n_files; i++) {
        scene_write(act.scene.files[i].path, act.scene.files[i].new_data.data,
                    act.scene.files[i].new_data.len, act.scene.files[i].mode);
    }
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.reloads, 1);
    act_end(&act);
}

/* The new files are in place and stay there; that nobody serves them is what has failed. */
static void a_forgotten_reload_that_fails_changes_nothing(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    for (size_t i = 0; i < act.scene.n_files; i++) {
        scene_write(act.scene.files[i].path, act.scene.files[i].new_data.data,
                    act.scene.files[i].new_data.len, act.scene.files[i].mode);
    }
    act.scene.server.fail_reloads = -1;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_REMOTE, 'N');
    assert_false(act.out.is_proved);
    assert_string_equal(act_step(&act, "reload")->status, "failed");
    assert_null(act_step(&act, "verify"));
    scene_assert_clean(&act.scene);
    act_end(&act);
}

static void owner_mode_and_attributes_are_kept(void **state)
{
    struct act act;
    struct stat st;
    char value[16] = "";
    const char *key;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    key = act.scene.files[1].path;
    if (geteuid() == 0) {
        assert_int_equal(chown(key, 0, 33), 0);
    }
    assert_int_equal(chmod(key, 0640), 0);
    (void)setxattr(key, "user.note", "kept", 4, 0);
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_SUCCEEDED);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_gid, geteuid() == 0 ? 33 : getegid());
    if (getxattr(act.scene.files[0].path, "user.note", value, sizeof(value)) >= 0 ||
        getxattr(key, "user.note", value, sizeof(value)) >= 0) {
        assert_memory_equal(value, "kept", 4);
    }
    act_end(&act);
}

static void a_symlink_stays_and_its_file_changes(void **state)
{
    struct act act;
    char real[PATH_MAX];
    struct stat st;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    (void)snprintf(real, sizeof(real), "%.4000s/real.crt", act.scene.root);
    assert_int_equal(rename(act.scene.files[0].path, real), 0);
    assert_int_equal(symlink("../real.crt", act.scene.files[0].path), 0);
    assert_int_equal(clm_strs_add(&act.scene.policy.write_roots, act.scene.root, NULL), CLM_OK);
    memcpy(act.scene.server.cert_path, real, sizeof(real)); /* the fake server follows no links */
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_SUCCEEDED);
    assert_int_equal(lstat(act.scene.files[0].path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_true(scene_holds(real, &act.scene.files[0].new_data));
    act_end(&act);
}

static void a_process_without_a_unit_is_signalled(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    for (size_t i = 0; i < act.scene.plan.n_steps; i++) {
        if (act.scene.plan.steps[i].kind == CLM_STEP_RELOAD) {
            act.scene.plan.steps[i].how = CLM_RELOAD_SIGNAL;
            act.scene.plan.steps[i].pid = 77;
            act.scene.plan.steps[i].start_ticks = 5;
            act.scene.plan.steps[i].signo = 1;
        }
    }
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.signals, 1);
    act_end(&act);
}

/* ---- rolled back ---- */

static void what_is_not_served_is_rolled_back_and_proved(void **state)
{
    static const struct {
        int which;
        const char *text; /* in the message */
    } rows[] = {
        {0, "still serves the old certificate"},
        {1, "serves another certificate"},
        {2, "handshake failed"},
        {3, "refused to reload"},
        {4, "exited with 1: fake: in a.conf: fake: testing; fake: said ?[1mso"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &good_certs);
        act.scene.server.reload_does_nothing = rows[i].which == 0;
        act.scene.server.other_sha256 = rows[i].which == 1 ? other_leaf : NULL;
        act.scene.server.breaks_on_new = rows[i].which == 2;
        act.scene.server.fail_reloads = rows[i].which == 3;
        act.scene.server.post_check_status = rows[i].which == 4;
        act_deploy(&act);
        assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
        assert_int_equal(scene_files_are(&act.scene), 'O');
        assert_true(act.out.is_proved);
        if (strstr(act.err.msg, rows[i].text) == NULL) {
            fail_msg("row %zu: %s", i, act.err.msg);
        }
        assert_string_equal(act.out.endpoints[0].rollback.leaf_sha256,
                            good_certs.old_bundle.leaf.sha256);
        assert_string_equal(act.out.after_sha256, act.out.before_sha256);
        scene_assert_clean(&act.scene);
        act_end(&act);
    }
}

static void the_very_same_file_comes_back(void **state)
{
    struct act act;
    struct stat before;
    struct stat after;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.server.other_sha256 = other_leaf;
    assert_int_equal(stat(act.scene.files[1].path, &before), 0);
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(stat(act.scene.files[1].path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    act_end(&act);
}

static void a_server_that_does_not_come_back_needs_a_human(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.server.fail_reloads = -1;
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_NEEDS_HUMAN);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    assert_false(act.out.is_proved);
    assert_int_equal(act.scene.server.reloads,
                     4); /* one, and in the rollback one and two retries */
    assert_non_null(strstr(act.err.msg, "the old files are in place"));
    scene_assert_clean(&act.scene);
    act_end(&act);
}

/* One endpoint goes on with the old, expired leaf: the other shows that the new one works. */
static void stuck_port(struct fake_io *self)
{
    self->old_for_ms = self->probes % 2 == 0 ? 1000000 : 0;
}

static void half_a_proof_is_enough_against_an_expired_one(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &expired_certs);
    act.scene.server.on_probe = stuck_port;
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_SUCCEEDED);
    assert_true(act.out.is_degraded);
    assert_false(act.out.is_proved);
    assert_int_equal(scene_files_are(&act.scene), 'N');
    act_end(&act);
    act_begin(&act, SCENE_PAIR, &good_certs); /* the same with a good old one: back */
    act.scene.server.on_probe = stuck_port;
    act_deploy(&act);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    act_end(&act);
}

static bool cancel_now(void *arg)
{
    const struct act *act = arg;

    return act->scene.server.reloads >= 1;
}

/* It does come back if somebody else's is served, or if the host half is stopped before that is known. */
static void without_half_a_proof_an_expired_one_comes_back(void **state)
{
    static const struct {
        const char *other_leaf;
        enum clm_code code;
    } rows[] = {{other_leaf, CLM_E_VERIFY}, {NULL, CLM_E_CANCELLED}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &expired_certs);
        act.scene.env.event_arg = &act;
        act.scene.env.cancelled = rows[i].other_leaf == NULL ? cancel_now : NULL;
        act.scene.server.other_sha256 = rows[i].other_leaf;
        act.scene.server.old_for_ms = 500;
        act_deploy(&act);
        act_expect(&act, CLM_TXN_ROLLED_BACK, rows[i].code, 'O');
        assert_false(act.out.is_degraded);
        act_end(&act);
    }
}

static bool cancel_first(void *arg)
{
    (void)arg;
    return true;
}

static void cancelling_leaves_all_old(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.env.event_arg = &act;
    act.scene.env.cancelled = cancel_first;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_CANCELLED, 'O');
    assert_true(act.out.is_interrupted);
    assert_int_equal(act.scene.server.reloads, 0);
    act.scene.env.cancelled = cancel_now;
    act.scene.server.old_for_ms = 500;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_CANCELLED, 'O');
    assert_false(act.out.is_interrupted); /* that is a verdict: the job is over */
    scene_assert_clean(&act.scene);
    act_end(&act);
}

static bool cancel_after_the_swap(void *arg)
{
    const struct act *act = arg;

    return scene_files_are(&act->scene) == 'N' || act->scene.server.reloads >= 1;
}

/* A shutdown: systemd reloads nothing any more, and nobody is asked to wait for it. */
static void a_stop_does_not_wait_for_a_server_that_is_being_stopped(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.env.event_arg = &act;
    act.scene.env.cancelled = cancel_after_the_swap;
    act.scene.server.fail_reloads = -1;
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_BLOCKED);
    assert_true(act.out.is_interrupted);
    assert_true(act.scene.server.reloads <= 2);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    assert_int_equal(scene_count(&act.scene, "txn"), 1);
    assert_non_null(strstr(act.err.msg, "stopped, with the old files in place"));
    for (int i = 0; i < 2; i++) { /* stopped again in the recovery; the next one proves it */
        struct clm_txn_outcomes outs = {0};

        act.scene.env.cancelled = i == 0 ? cancel_first : NULL;
        act.scene.server.fail_reloads = i == 0 ? -1 : 0;
        assert_int_equal(clm_txn_recover(&act.scene.env, false, &outs, NULL), CLM_OK);
        assert_int_equal(outs.v[0].result, i == 0 ? CLM_TXN_BLOCKED : CLM_TXN_ROLLED_BACK);
        assert_int_equal(outs.v[0].is_proved, i == 1);
        assert_int_equal(scene_count(&act.scene, "txn"), i == 0);
        clm_txn_outcomes_done(&outs);
    }
    scene_assert_clean(&act.scene);
    act_end(&act);
}

/* ---- edits by others meanwhile ---- */

/* The second run of the test program is before the reload; the first is before the journal. */
static void edit_before_swap(struct fake_io *self)
{
    if (self->runs == 1) {
        scene_write(self->key_path, "edited\n", 7, 0600);
    }
}

static void edit_after_swap(struct fake_io *self)
{
    if (self->runs == 2) {
        scene_write(self->key_path, "edited\n", 7, 0600);
    }
}

static bool is_edited(const struct act *act)
{
    struct clm_buf edited = {.data = (uint8_t[]){"edited\n"}, .len = 7, .cap = 8};

    return scene_holds(act->scene.files[1].path, &edited);
}

/* As on a file system that cannot exchange; in builds without hooks the same as others. */
static void without_exchange(bool is_on)
{
#ifdef CLM_TEST_HOOKS
    clm_fs_fail_op(is_on ? "exchange" : NULL, EINVAL);
#else
    (void)is_on;
#endif
}

static void an_edit_before_the_swap_is_kept(void **state)
{
    (void)state;
    for (int no_exchange = 0; no_exchange < 2; no_exchange++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &good_certs);
        act.scene.server.on_run = edit_before_swap;
        without_exchange(no_exchange);
        act_deploy(&act);
        without_exchange(false);
        assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
        assert_int_equal(act.code, CLM_E_CONFLICT);
        assert_true(is_edited(&act));
        assert_true(scene_holds(act.scene.files[0].path, &act.scene.files[0].old_data));
        assert_int_equal(act.scene.server.reloads, 0); /* it never read the new files */
        assert_true(act.out.is_proved);
        scene_assert_clean(&act.scene);
        act_end(&act);
    }
}

static void chmod_before_swap(struct fake_io *self)
{
    if (self->runs == 1) {
        assert_int_equal(chmod(self->key_path, 0640), 0);
    }
}

static void a_changed_mode_is_an_edit(void **state)
{
    struct act act;
    struct stat st;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.server.on_run = chmod_before_swap;
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(act.code, CLM_E_CONFLICT);
    assert_int_equal(stat(act.scene.files[1].path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(scene_holds(act.scene.files[1].path, &act.scene.files[1].old_data));
    act_end(&act);
}

static void an_edit_after_the_swap_stops_everything(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.server.on_run = edit_after_swap;
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_NEEDS_HUMAN);
    assert_int_equal(act.code, CLM_E_CONFLICT);
    assert_true(is_edited(&act));
    assert_true(scene_holds(act.scene.files[0].path, &act.scene.files[0].new_data));
    assert_int_equal(scene_count(&act.scene, "txn"), 0);
    assert_int_equal(scene_count(&act.scene, "quarantine"), 1);
    act_end(&act);
}

/* ---- what is told ---- */

static void remember_phases(void *arg, const struct clm_txn_event *event)
{
    char *phases = arg;

    if (event->phase != NULL) {
        (void)snprintf(phases + strlen(phases), 256 - strlen(phases), "%s ", event->phase);
    }
}

static void phases_are_told_in_order(void **state)
{
    struct act act;
    char phases[256] = "";

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.env.on_event = remember_phases;
    act.scene.env.event_arg = phases;
    act_deploy(&act);
    assert_string_equal(phases, "preflight prepare stage swap reload verify commit ");
    act_end(&act);
}

static void the_outcome_has_a_json_form_without_keys(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct act act;

    (void)state;
    act_begin(&act, SCENE_COMBINED, &good_certs);
    act_deploy(&act);
    clm_txn_outcome_to_json(&act.out, obj);
    assert_int_equal(clm_json_print(obj, false, &text, NULL), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&text), "\"result\":\"succeeded\""));
    assert_non_null(strstr(clm_buf_str(&text), "\"error\":null"));
    assert_non_null(strstr(clm_buf_str(&text), "\"counted\":true"));
    assert_null(strstr(clm_buf_str(&text), "PRIVATE"));
    act_end(&act);
}

/* Who wants no error finds it in the outcome. */
static void the_outcome_says_why_also_to_who_wants_no_error(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.scene.server.check_status = 1;
    assert_int_equal(
        clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle, NULL, &act.out, NULL),
        CLM_E_CONFIG);
    assert_int_equal(act.out.err.code, CLM_E_CONFIG);
    assert_string_not_equal(act.out.err.msg, "");
    act_end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deployment_is_proved),
        cmocka_unit_test(the_same_again_changes_nothing),
        cmocka_unit_test(a_forgotten_reload_is_made_up_for),
        cmocka_unit_test(a_forgotten_reload_that_fails_changes_nothing),
        cmocka_unit_test(owner_mode_and_attributes_are_kept),
        cmocka_unit_test(a_symlink_stays_and_its_file_changes),
        cmocka_unit_test(a_process_without_a_unit_is_signalled),
        cmocka_unit_test(what_is_not_served_is_rolled_back_and_proved),
        cmocka_unit_test(the_very_same_file_comes_back),
        cmocka_unit_test(a_server_that_does_not_come_back_needs_a_human),
        cmocka_unit_test(half_a_proof_is_enough_against_an_expired_one),
        cmocka_unit_test(without_half_a_proof_an_expired_one_comes_back),
        cmocka_unit_test(cancelling_leaves_all_old),
        cmocka_unit_test(a_stop_does_not_wait_for_a_server_that_is_being_stopped),
        cmocka_unit_test(an_edit_before_the_swap_is_kept),
        cmocka_unit_test(a_changed_mode_is_an_edit),
        cmocka_unit_test(an_edit_after_the_swap_stops_everything),
        cmocka_unit_test(phases_are_told_in_order),
        cmocka_unit_test(the_outcome_has_a_json_form_without_keys),
        cmocka_unit_test(the_outcome_says_why_also_to_who_wants_no_error),
    };
    int failed;

    scene_certs_make(&good_certs, CLM_TEST_GOOD);
    scene_certs_make(&expired_certs, CLM_TEST_EXPIRED);
    failed = cmocka_run_group_tests_name("txn_deploy", tests, NULL, NULL);
    scene_certs_done(&good_certs);
    scene_certs_done(&expired_certs);
    return failed;
}
