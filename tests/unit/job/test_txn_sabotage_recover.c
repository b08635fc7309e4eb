/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recovery in which a call of libc fails: each call once, reading ones and allocations, too, from
 * every way back to the old files. What is reported is true, and the next recovery finishes it.
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

struct story;

struct act {
    struct killed k;
    const struct story *story;
    struct shield_editor editor;
};

struct story {
    const char *name;
    enum scene_kind kind;
    void (*prepare)(struct act *act); /* after the kill; NULL: nothing */
    bool has_no_exchange;             /* as on some file systems */
    const char *edited_at; /* an editor strikes before this operation, on the key; NULL: none */
    const char *calls;     /* NULL: all */
};

static void complain(const struct act *act, const char *failed, const char *what)
{
    static const struct clm_txn_outcome none;
    const struct clm_txn_outcome *out = act->k.outs.n > 0 ? &act->k.outs.v[0] : &none;

    fail_msg("%s, %s: %s (%s: %s; files %c)", act->story->name,
             failed == NULL ? "nothing failed" : failed, what, clm_txn_result_name(out->result),
             out->err.msg, scene_files_are(&act->k.scene));
}

/* ---- what is found ---- */

static void lose_temps(struct act *act)
{
    killed_sweep_temps(&act->k);
}

static void lose_target(struct act *act)
{
    assert_int_equal(unlink(act->k.scene.files[0].path), 0);
}

static void lose_target_and_temps(struct act *act)
{
    lose_target(act);
    lose_temps(act);
}

static void get_as_far_as_the_end(struct act *act)
{
    killed_say(&act->k, CLM_TXN_UNDOING);
    killed_sweep_temps(&act->k);
    for (size_t i = 0; i < act->k.scene.n_files; i++) {
        const struct scene_file *file = &act->k.scene.files[i];

        scene_write(file->path, file->old_data.data, file->old_data.len, file->mode);
    }
}

/* Where the ways back differ: in what they do in the targets' directories. */
#define CALLS "openat64 renameat renameat2 unlinkat fchmod"

static const struct story stories[] = {
    {.name = "from the old files", .kind = SCENE_PAIR},
    {.name = "a first installation", .kind = SCENE_FIRST},
    {.name = "from the copies", .kind = SCENE_PAIR, .prepare = lose_temps},
    {.name = "a lost target", .kind = SCENE_PAIR, .prepare = lose_target, .calls = CALLS},
    {.name = "a lost target, from the copies",
     .kind = SCENE_PAIR,
     .prepare = lose_target_and_temps,
     .calls = CALLS},
    {.name = "undone already",
     .kind = SCENE_PAIR,
     .prepare = get_as_far_as_the_end,
     .calls = CALLS},
#ifdef CLM_TEST_HOOKS
    {.name = "without exchange", .kind = SCENE_PAIR, .has_no_exchange = true, .calls = CALLS},
    {.name = "an edit meanwhile",
     .kind = SCENE_PAIR,
     .edited_at = "exchange",
     .calls = CALLS " open64 rename"},
    {.name = "an edit of what is to be removed",
     .kind = SCENE_FIRST,
     .edited_at = "rename",
     .calls = CALLS},
    {.name = "an edit meanwhile, without exchange",
     .kind = SCENE_PAIR,
     .has_no_exchange = true,
     .edited_at = "create",
     .calls = CALLS},
#endif
};

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

static void make_killed(void *arg)
{
    struct act *act = arg;
    struct scene *scene = &act->k.scene;

    scene_reset(scene, &certs);
    killed_now(&act->k);
    if (act->story->prepare != NULL) {
        act->story->prepare(act);
    }
    shield(scene);
    act->editor = (struct shield_editor){.op = act->story->edited_at,
                                         .path = scene->files[scene->n_files - 1].path};
    interfere(act, true);
}

/* ---- what comes of it ---- */

static enum clm_code recover(void *arg, struct clm_err *err)
{
    struct act *act = arg;

    return clm_txn_recover(&act->k.scene.env, false, &act->k.outs, err);
}

/* A human is called, by this recovery or by the next, and finds what somebody else wrote. */
static void check_edited(struct act *act, enum clm_txn_result result, const char *failed)
{
    if (result == CLM_TXN_BLOCKED) { /* the disk is well again */
        clm_txn_outcomes_done(&act->k.outs);
        if (clm_txn_recover(&act->k.scene.env, false, &act->k.outs, NULL) != CLM_OK ||
            act->k.outs.n != 1) {
            complain(act, failed, "the next recovery failed");
        }
        result = act->k.outs.v[0].result;
    }
    if (result != CLM_TXN_NEEDS_HUMAN) {
        complain(act, failed, "no human is called");
    }
    if (!shield_is_kept(&act->k.scene) || scene_count(&act->k.scene, "quarantine") != 1) {
        complain(act, failed, "the edit is lost, or the journal");
    }
}

/* The disk is well again: one recovery, and nothing of ours is left. */
static void check_undone(struct act *act, enum clm_txn_result result, const char *failed)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};

    if (result != CLM_TXN_ROLLED_BACK && result != CLM_TXN_BLOCKED) {
        complain(act, failed, "neither rolled back nor blocked");
    }
    if (result == CLM_TXN_ROLLED_BACK && scene_files_are(&act->k.scene) != 'O') {
        complain(act, failed, "rolled back, and not old");
    }
    if (clm_txn_recover(&act->k.scene.env, false, &outs, NULL) != CLM_OK) {
        complain(act, failed, "the next recovery failed");
    }
    scene_assert_clean(&act->k.scene);
    if (scene_files_are(&act->k.scene) != 'O') {
        complain(act, failed, "not old in the end");
    }
}

static void check(void *arg, enum clm_code code, const char *failed)
{
    struct act *act = arg;
    enum clm_txn_result result = act->k.outs.n > 0 ? act->k.outs.v[0].result : CLM_TXN_BLOCKED;

    interfere(act, false);
    if (code == CLM_OK && act->k.outs.n != 1) {
        complain(act, failed, "no outcome");
    }
    if (result == CLM_TXN_BLOCKED && scene_count(&act->k.scene, "txn") != 1) {
        complain(act, failed, "blocked without a journal");
    }
    scene_assert_keys_private(&act->k.scene);
    if (act->editor.is_done) {
        check_edited(act, result, failed);
    } else {
        check_undone(act, result, failed);
    }
    clm_txn_outcomes_done(&act->k.outs);
}

static void every_failing_call_of_a_recovery_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stories); i++) {
        struct act act = {.story = &stories[i]};
        const struct clm_sabotage plan = {
            .before = make_killed, .act = recover, .after = check, .arg = &act};

        scene_make(&act.k.scene, stories[i].kind, &certs);
        print_message("%s: %zu failing calls\n", stories[i].name,
                      clm_sabotage_run(&plan, stories[i].calls));
        killed_end(&act.k);
    }
}

/* As if the state directory were on a disk that has become read-only. */
static void a_file_that_cannot_be_opened_for_writing_is_survived(void **state)
{
    struct act act = {.story = &stories[0]};
    unsigned n = 0;
    bool fell;

    (void)state;
    scene_make(&act.k.scene, act.story->kind, &certs);
    do {
        struct clm_err err = {0};

        make_killed(&act);
        clm_sabotage_on("open64", ++n, EROFS);
        enum clm_code code = recover(&act, &err);
        fell = clm_sabotage_off();
        check(&act, code, fell ? "open: EROFS" : NULL);
    } while (fell);
    print_message("%u files opened\n", n - 1);
    assert_true(n > 5);
    killed_end(&act.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_call_of_a_recovery_is_survived),
        cmocka_unit_test(a_file_that_cannot_be_opened_for_writing_is_survived),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("failing calls of recoveries", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
