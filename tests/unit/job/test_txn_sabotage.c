/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deployment in which a call of libc fails: each call once, reading ones and allocations, too. What
 * is reported is true, and a recovery afterwards leaves all old or all new.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/support/sabotage.h"
#include "tests/unit/job/killed.h"
#include "tests/unit/job/shield.h"

static struct scene_certs certs;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

/* How a deployment goes, and which calls fail in it. */
struct story {
    const char *name;
    enum scene_kind kind;
    bool shows_other;      /* the server, after the deployment: it is rolled back */
    bool leaves_failed;    /* or left as it is */
    bool has_no_exchange;  /* as on some file systems */
    bool is_edited_later;  /* the key, after the swap: a human is called */
    const char *edited_at; /* the first file, before this operation of the swap; NULL: not */
    const char *calls;     /* NULL: all */
};

struct act {
    struct scene scene;
    struct clm_txn_outcome out;
    struct clm_txn_outcomes outs;
    const struct story *story;
    struct shield_editor editor;
};

static void complain(const struct act *act, const char *failed, const char *what)
{
    const struct clm_txn_outcome *out = act->outs.n > 0 ? &act->outs.v[0] : &act->out;

    fail_msg("%s, %s: %s (%s: %s; files %c)", act->story->name, failed, what,
             clm_txn_result_name(out->result), out->err.msg, scene_files_are(&act->scene));
}

/* The disk is well again: one recovery, and nothing of ours is left. */
static void settle(struct act *act, const char *failed)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};

    act->scene.server.other_sha256 = NULL;
    if (clm_txn_recover(&act->scene.env, false, &outs, NULL) != CLM_OK) {
        complain(act, failed, "recovery failed");
    }
    scene_assert_clean(&act->scene);
    scene_assert_keys_private(&act->scene);
}

static void interfere(struct act *act, bool is_on)
{
#ifdef CLM_TEST_HOOKS
    clm_fs_fail_op(is_on && act->story->has_no_exchange ? "exchange" : NULL, EINVAL);
    clm_fs_trace(is_on && act->story->edited_at != NULL ? shield_watch : NULL, &act->editor);
#else
    (void)act;
    (void)is_on;
#endif
}

static void edit_after_the_swap(struct fake_io *self)
{
    if (self->runs == 2) {
        scene_write(self->key_path, "edited", 6, 0600);
    }
}

static void make_old(void *arg)
{
    struct act *act = arg;

    scene_reset(&act->scene, &certs);
    shield(&act->scene);
    act->scene.server.other_sha256 = act->story->shows_other ? other_leaf : NULL;
    act->scene.server.on_run = act->story->is_edited_later ? edit_after_the_swap : NULL;
    act->scene.env.leaves_failed = act->story->leaves_failed;
    act->editor =
        (struct shield_editor){.op = act->story->edited_at, .path = act->scene.files[0].path};
    interfere(act, true);
}

static enum clm_code deploy(void *arg, struct clm_err *err)
{
    struct act *act = arg;

    return clm_txn_deploy(&act->scene.env, &act->scene.plan, act->scene.bundle, NULL, &act->out,
                          err);
}

/* The disk is well again: whoever finishes it, what somebody else wrote is still there. */
static void check_kept(struct act *act, const char *failed)
{
    if (clm_txn_recover(&act->scene.env, false, &act->outs, NULL) != CLM_OK || act->outs.n != 1) {
        complain(act, failed, "recovery failed");
    }
    if (act->outs.v[0].result == CLM_TXN_BLOCKED) {
        complain(act, failed, "still blocked");
    }
    if (!shield_is_kept(&act->scene)) {
        complain(act, failed, "the edit is lost by the recovery");
    }
    clm_txn_outcomes_done(&act->outs);
}

/* Somebody else was there: if it is told as over, what he wrote is there, and never a success. */
static void check_edited(struct act *act, const char *path, const char *failed)
{
    enum clm_txn_result result = act->out.result;

    if (result != CLM_TXN_ROLLED_BACK && result != CLM_TXN_NEEDS_HUMAN &&
        result != CLM_TXN_BLOCKED) {
        complain(act, failed, "somebody edited it meanwhile");
    }
    if (result != CLM_TXN_BLOCKED && !shield_is_edited(path) &&
        (result != CLM_TXN_NEEDS_HUMAN || !shield_is_kept(&act->scene))) {
        complain(act, failed, "the edit is lost");
    }
    if ((result == CLM_TXN_BLOCKED && scene_count(&act->scene, "txn") != 1) ||
        scene_count(&act->scene, "quarantine") != (result == CLM_TXN_NEEDS_HUMAN ? 1 : 0)) {
        complain(act, failed, "the journal is elsewhere");
    }
    if (result == CLM_TXN_BLOCKED) {
        check_kept(act, failed);
    }
}

static void check_alone(struct act *act, const char *failed)
{
    char before = scene_files_are(&act->scene);
    enum clm_txn_result result = act->out.result;

    settle(act, failed);
    char after = scene_files_are(&act->scene);
    if ((result == CLM_TXN_SUCCEEDED || result == CLM_TXN_LEFT) &&
        (before != 'N' || after != 'N')) {
        complain(act, failed, "what was said to be in place is not there");
    }
    if ((result == CLM_TXN_FAILED || result == CLM_TXN_ROLLED_BACK) &&
        (before != 'O' || after != 'O')) {
        complain(act, failed, "new files after a reported failure");
    }
    if (result == CLM_TXN_NEEDS_HUMAN || (after != 'O' && after != 'N') ||
        (result == CLM_TXN_LEFT && !act->story->leaves_failed)) {
        complain(act, failed, "a mixture, or a human was asked for");
    }
}

static void check_deployed(void *arg, enum clm_code code, const char *failed)
{
    struct act *act = arg;

    interfere(act, false);
    failed = failed == NULL ? "nothing failed" : failed;
    if ((code == CLM_OK) != (act->out.result == CLM_TXN_SUCCEEDED)) {
        complain(act, failed, "code and result differ");
    }
    if (act->editor.is_done) {
        check_edited(act, act->editor.path, failed);
    } else if (act->story->is_edited_later && act->scene.server.runs >= 2) {
        check_edited(act, act->scene.server.key_path, failed);
    } else {
        check_alone(act, failed);
    }
    clm_txn_outcome_done(&act->out);
    act->out = (struct clm_txn_outcome){0};
}

#define CALLS "malloc calloc realloc open64 openat64 statx read pwrite64 rename renameat renameat2"

static const struct story stories[] = {
    {.name = "a deployment", .kind = SCENE_PAIR},
    {.name = "a first installation", .kind = SCENE_FIRST},
    {.name = "a rollback", .kind = SCENE_PAIR, .shows_other = true},
    {.name = "a keystore", .kind = SCENE_STORE},
    {.name = "an edited text", .kind = SCENE_EDIT},
    {.name = "left as it is",
     .kind = SCENE_COMBINED,
     .shows_other = true,
     .leaves_failed = true,
     .calls = CALLS},
    {.name = "edited after the swap", .kind = SCENE_PAIR, .is_edited_later = true, .calls = CALLS},
#ifdef CLM_TEST_HOOKS
    {.name = "without exchange", .kind = SCENE_PAIR, .has_no_exchange = true, .calls = CALLS},
    {.name = "edited in the swap", .kind = SCENE_PAIR, .edited_at = "exchange", .calls = CALLS},
    {.name = "made by somebody else", .kind = SCENE_FIRST, .edited_at = "rename", .calls = CALLS},
#endif
};

static void every_failing_call_of_a_deployment_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stories); i++) {
        struct act act = {.story = &stories[i]};
        const struct clm_sabotage plan = {.before = make_old,
                                          .act = deploy,
                                          .after = check_deployed,
                                          .arg = &act,
                                          .fails_anyway = stories[i].shows_other ||
                                                          stories[i].is_edited_later ||
                                                          stories[i].edited_at != NULL};

        scene_make(&act.scene, stories[i].kind, &certs);
        print_message("%s: %zu failing calls\n", stories[i].name,
                      clm_sabotage_run(&plan, stories[i].calls));
        scene_done(&act.scene);
    }
}

/* ---- beside another deployment that is not finished ---- */

struct pair {
    struct killed killed;
    struct scene scene; /* other files of the same directory */
    struct clm_txn_outcome out;
};

static void make_pair(void *arg)
{
    struct pair *pair = arg;
    const struct scene_file *file = &pair->scene.files[0];

    scene_reset(&pair->killed.scene, &certs);
    killed_now(&pair->killed);
    scene_write(file->path, file->old_data.data, file->old_data.len, file->mode);
    fake_io_start(&pair->scene.server);
}

static enum clm_code deploy_beside(void *arg, struct clm_err *err)
{
    struct pair *pair = arg;

    return clm_txn_deploy(&pair->scene.env, &pair->scene.plan, pair->scene.bundle, NULL, &pair->out,
                          err);
}

/* The other journal is neither touched nor taken for a finished one. */
static void check_beside(void *arg, enum clm_code code, const char *failed)
{
    struct pair *pair = arg;
    char files = scene_files_are(&pair->scene);
    bool is_blocked = pair->out.result == CLM_TXN_BLOCKED;

    if (files != (code == CLM_OK ? 'N' : 'O') && !is_blocked) {
        fail_msg("%s: %s, files %c", failed, clm_txn_result_name(pair->out.result), files);
    }
    if (access(pair->killed.journal, F_OK) != 0) {
        fail_msg("%s: its journal is gone", failed);
    }
    assert_int_equal(scene_files_are(&pair->killed.scene), 'N');
    clm_txn_outcome_done(&pair->out);
    pair->out = (struct clm_txn_outcome){0};
}

static void every_failing_call_beside_another_journal_is_survived(void **state)
{
    struct pair pair = {.out = {0}};
    const struct clm_sabotage plan = {
        .before = make_pair, .act = deploy_beside, .after = check_beside, .arg = &pair};

    (void)state;
    scene_make(&pair.killed.scene, SCENE_PAIR, &certs);
    scene_attach(&pair.scene, SCENE_COMBINED, &certs, pair.killed.scene.root);
    (void)snprintf(pair.scene.plan.target, sizeof(pair.scene.plan.target), "haproxy:other");
    shield(&pair.scene);
    print_message("%zu failing calls\n",
                  clm_sabotage_run(&plan, "malloc calloc realloc open64 read"));
    scene_detach(&pair.scene);
    killed_end(&pair.killed);
}

/* ---- proving alone ---- */

static enum clm_code prove(void *arg, struct clm_err *err)
{
    struct act *act = arg;

    return clm_txn_prove(&act->scene.env, &act->scene.plan, certs.old_bundle.leaf.sha256, &act->out,
                         err);
}

static void check_proof(void *arg, enum clm_code code, const char *failed)
{
    struct act *act = arg;

    if ((code == CLM_OK) != act->out.is_proved || (code == CLM_OK) != (failed == NULL) ||
        act->out.result != (code == CLM_OK ? CLM_TXN_NOOP : CLM_TXN_FAILED)) {
        complain(act, failed == NULL ? "nothing failed" : failed, "proved or not");
    }
    scene_assert_untouched(&act->scene);
    clm_txn_outcome_done(&act->out);
}

static void every_failing_allocation_of_a_proof_is_told(void **state)
{
    struct act act = {.story = &stories[0]};
    const struct clm_sabotage plan = {
        .before = make_old, .act = prove, .after = check_proof, .arg = &act};

    (void)state;
    scene_make(&act.scene, SCENE_PAIR, &certs);
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup") > 3);
    scene_done(&act.scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_call_of_a_deployment_is_survived),
        cmocka_unit_test(every_failing_call_beside_another_journal_is_survived),
        cmocka_unit_test(every_failing_allocation_of_a_proof_is_told),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("failing calls", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
