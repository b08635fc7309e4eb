/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery from states that killing a process does not make: foreign edits, lost copies, damage.
 * Each starts with a deployment killed between the swap and the reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/support/scene.h"

static struct scene_certs certs;

struct act {
    struct scene scene;
    struct clm_txn_outcomes outs;
    char journal[PATH_MAX];
};

static void die(struct fake_io *self)
{
    if (self->runs == 2) { /* the test program after the swap */
        _exit(99);
    }
}

/* The one entry of a directory of the state. */
static void only_entry(const struct scene *scene, const char *name, char *dst)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%.2000s/%s", scene->state, name);
    d = opendir(path);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(dst, PATH_MAX, "%.2500s/%s", path, entry->d_name);
        }
    }
    (void)closedir(d);
}

static void begin(struct act *act, enum scene_kind kind)
{
    int status = 0;
    pid_t pid;

    memset(act, 0, sizeof(*act));
    scene_make(&act->scene, kind, &certs);
    pid = fork();
    if (pid == 0) {
        CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};

        act->scene.server.on_run = die;
        (void)!clm_txn_deploy(&act->scene.env, &act->scene.plan, act->scene.bundle, NULL, &out,
                              NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 99);
    assert_int_equal(scene_files_are(&act->scene), 'N');
    only_entry(&act->scene, "txn", act->journal);
}

static const struct clm_txn_outcome *recover(struct act *act, bool boot)
{
    struct clm_err err = {0};

    clm_txn_outcomes_done(&act->outs);
    if (clm_txn_recover(&act->scene.env, boot, &act->outs, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(act->outs.n, 1);
    assert_true(act->outs.v[0].is_recovery);
    return &act->outs.v[0];
}

static void end(struct act *act)
{
    clm_txn_outcomes_done(&act->outs);
    scene_done(&act->scene);
}

static void in_journal(const struct act *act, const char *name, char *dst)
{
    (void)snprintf(dst, PATH_MAX, "%.4000s/%s", act->journal, name);
}

static void a_killed_deployment_is_undone_and_proved(void **state)
{
    (void)state;
    for (int kind = 0; kind < SCENE__COUNT; kind++) {
        struct act act;
        const struct clm_txn_outcome *out;

        begin(&act, (enum scene_kind)kind);
        out = recover(&act, false);
        assert_int_equal(out->result, CLM_TXN_ROLLED_BACK);
        assert_string_equal(out->target, "nginx:www.example");
        assert_true(kind == SCENE_FIRST || out->is_proved);
        assert_int_equal(act.scene.server.reloads, 1);
        assert_int_equal(scene_files_are(&act.scene), 'O');
        scene_assert_clean(&act.scene);
        end(&act);
    }
}

static void at_boot_only_files_are_touched(void **state)
{
    struct act act;
    const struct clm_txn_outcome *out;

    (void)state;
    begin(&act, SCENE_PAIR);
    out = recover(&act, true);
    assert_int_equal(out->result, CLM_TXN_ROLLED_BACK);
    assert_false(out->is_proved);
    assert_int_equal(act.scene.server.reloads + act.scene.server.probes, 0);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    end(&act);
}

static void the_clock_does_not_matter(void **state)
{
    static const int64_t skews[] = {-1700000000, 315360000 /* ten years */};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(skews); i++) {
        struct act act;

        begin(&act, SCENE_PAIR);
        act.scene.server.skew_s = skews[i];
        assert_int_equal(recover(&act, false)->result, CLM_TXN_ROLLED_BACK);
        assert_int_equal(scene_files_are(&act.scene), 'O');
        end(&act);
    }
}

static void sweep_temps(struct act *act)
{
    DIR *d = opendir(act->scene.etc);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strstr(entry->d_name, ".clmbot.") != NULL) {
            assert_int_equal(unlinkat(dirfd(d), entry->d_name, 0), 0);
        }
    }
    (void)closedir(d);
}

static void a_lost_temporary_file_is_made_from_the_copy(void **state)
{
    struct act act;
    struct stat st;

    (void)state;
    begin(&act, SCENE_THREE);
    sweep_temps(&act);
    assert_int_equal(recover(&act, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    assert_int_equal(stat(act.scene.files[2].path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    scene_assert_clean(&act.scene);
    end(&act);
}

static void a_missing_target_comes_back(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    assert_int_equal(unlink(act.scene.files[0].path), 0);
    assert_int_equal(recover(&act, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    scene_assert_clean(&act.scene);
    end(&act);
}

static void damage(const char *path)
{
    scene_write(path, "damaged", 7, 0600);
}

static void a_damaged_copy_is_never_written(void **state)
{
    static const char *const contents[] = {"", "damaged"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(contents); i++) {
        struct act act;
        char path[PATH_MAX];

        begin(&act, SCENE_PAIR);
        sweep_temps(&act);
        in_journal(&act, "old.1", path);
        scene_write(path, contents[i], strlen(contents[i]), 0600);
        assert_int_equal(recover(&act, false)->result, CLM_TXN_NEEDS_HUMAN);
        assert_int_equal(scene_files_are(&act.scene), 'N'); /* not one of them was touched */
        assert_int_equal(scene_count(&act.scene, "quarantine"), 1);
        assert_int_equal(scene_count(&act.scene, "txn"), 0);
        end(&act);
    }
}

/* A copy that is not needed may be damaged: the old file itself lies under the temporary name. */
static void a_damaged_copy_that_is_not_needed_does_not_matter(void **state)
{
    struct act act;
    char path[PATH_MAX];

    (void)state;
    begin(&act, SCENE_PAIR);
    in_journal(&act, "old.1", path);
    damage(path);
    assert_int_equal(recover(&act, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    scene_assert_clean(&act.scene);
    end(&act);
}

static void a_foreign_edit_is_never_written_over(void **state)
{
    struct act act;
    struct clm_buf edited = {.data = (uint8_t[]){"edited"}, .len = 6, .cap = 7};
    const struct clm_txn_outcome *out;

    (void)state;
    begin(&act, SCENE_PAIR);
    scene_write(act.scene.files[1].path, edited.data, edited.len, 0600);
    out = recover(&act, false);
    assert_int_equal(out->result, CLM_TXN_NEEDS_HUMAN);
    assert_non_null(strstr(out->err.msg, "someone else"));
    assert_true(scene_holds(act.scene.files[1].path, &edited));
    assert_true(scene_holds(act.scene.files[0].path, &act.scene.files[0].new_data));
    assert_int_equal(scene_count(&act.scene, "quarantine"), 1);
    end(&act);
}

static void a_symlink_put_in_place_of_a_target_is_foreign(void **state)
{
    struct act act;
    char victim[PATH_MAX];
    struct clm_buf text = {.data = (uint8_t[]){"victim"}, .len = 6, .cap = 7};

    (void)state;
    begin(&act, SCENE_PAIR);
    (void)snprintf(victim, sizeof(victim), "%.4000s/victim", act.scene.root);
    scene_write(victim, "victim", 6, 0600);
    assert_int_equal(unlink(act.scene.files[0].path), 0);
    assert_int_equal(symlink(victim, act.scene.files[0].path), 0);
    (void)recover(&act, false);
    assert_true(scene_holds(victim, &text));
    end(&act);
}

static void damaged_journals_are_set_aside(void **state)
{
    static const char *const parts[] = {"plan", "log"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(parts); i++) {
        for (int missing = 0; missing < 2; missing++) {
            CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
            struct act act;
            char path[PATH_MAX];

            begin(&act, SCENE_PAIR);
            in_journal(&act, parts[i], path);
            if (missing) {
                assert_int_equal(unlink(path), 0);
            } else {
                damage(path);
            }
            assert_int_equal(recover(&act, false)->result, CLM_TXN_NEEDS_HUMAN);
            assert_int_equal(scene_count(&act.scene, "quarantine"), 1);
            assert_int_equal(scene_files_are(&act.scene), 'N');
            /* and the next deployment is not stopped by it */
            scene_write(act.scene.files[0].path, act.scene.files[0].old_data.data,
                        act.scene.files[0].old_data.len, 0644);
            scene_write(act.scene.files[1].path, act.scene.files[1].old_data.data,
                        act.scene.files[1].old_data.len, 0600);
            assert_int_equal(
                clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle, NULL, &out, NULL),
                CLM_OK);
            end(&act);
        }
    }
}

static void a_read_only_target_waits(void **state)
{
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
    struct act act;
    struct clm_err err = {0};

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    begin(&act, SCENE_PAIR);
    assert_int_equal(mount(act.scene.etc, act.scene.etc, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, act.scene.etc, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(recover(&act, false)->result, CLM_TXN_BLOCKED);
    assert_int_equal(recover(&act, false)->result, CLM_TXN_BLOCKED);
    assert_int_equal(scene_count(&act.scene, "txn"), 1);
    assert_int_equal(umount2(act.scene.etc, MNT_DETACH), 0);
    /* meanwhile nothing else may go there */
    assert_int_equal(
        clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle, NULL, &out, &err),
        CLM_E_CONFLICT);
    assert_non_null(strstr(err.msg, "not finished"));
    assert_int_equal(recover(&act, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    scene_assert_clean(&act.scene);
    end(&act);
}

static void nothing_to_recover_is_quiet(void **state)
{
    struct act act;

    (void)state;
    memset(&act, 0, sizeof(act));
    scene_make(&act.scene, SCENE_PAIR, &certs);
    assert_int_equal(clm_txn_recover(&act.scene.env, false, &act.outs, NULL), CLM_OK);
    assert_int_equal(act.outs.n, 0);
    assert_int_equal(act.scene.server.probes + act.scene.server.reloads, 0);
    end(&act);
}

static void a_server_that_stays_down_needs_a_human_but_not_the_journal(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    act.scene.server.fail_reloads = -1;
    assert_int_equal(recover(&act, false)->result, CLM_TXN_NEEDS_HUMAN);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    scene_assert_clean(&act.scene);
    end(&act);
}

#ifdef CLM_TEST_HOOKS
/* An editor who strikes in the instant before one operation, after everything was looked at. */
struct editor {
    const char *path;
    const char *op;
    bool is_done;
};

static void strike(void *arg, const char *op, int dir_fd, const char *name)
{
    struct editor *editor = arg;

    (void)name;
    if (!editor->is_done && dir_fd >= 0 && strcmp(op, editor->op) == 0) {
        editor->is_done = true;
        scene_write(editor->path, "edited", 6, 0600);
    }
}

static void an_edit_in_the_last_instant_is_kept(void **state)
{
    static const struct {
        enum scene_kind kind;
        const char *op; /* the first of this name is on the last file of the plan: the key */
    } rows[] = {{SCENE_PAIR, "exchange"}, {SCENE_THREE, "exchange"}, {SCENE_FIRST, "rename"}};
    struct clm_buf edited = {.data = (uint8_t[]){"edited"}, .len = 6, .cap = 7};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;
        struct editor editor = {.op = rows[i].op};

        begin(&act, rows[i].kind);
        editor.path = act.scene.files[act.scene.n_files - 1].path;
        clm_fs_trace(strike, &editor);
        (void)recover(&act, false);
        clm_fs_trace(NULL, NULL);
        assert_true(editor.is_done);
        assert_true(scene_holds(editor.path, &edited));
        assert_int_equal(act.outs.v[0].result, CLM_TXN_NEEDS_HUMAN);
        assert_int_equal(scene_count(&act.scene, "quarantine"), 1);
        end(&act);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_deployment_is_undone_and_proved),
        cmocka_unit_test(at_boot_only_files_are_touched),
        cmocka_unit_test(the_clock_does_not_matter),
        cmocka_unit_test(a_lost_temporary_file_is_made_from_the_copy),
        cmocka_unit_test(a_missing_target_comes_back),
        cmocka_unit_test(a_damaged_copy_is_never_written),
        cmocka_unit_test(a_damaged_copy_that_is_not_needed_does_not_matter),
        cmocka_unit_test(a_foreign_edit_is_never_written_over),
        cmocka_unit_test(a_symlink_put_in_place_of_a_target_is_foreign),
        cmocka_unit_test(damaged_journals_are_set_aside),
        cmocka_unit_test(a_read_only_target_waits),
        cmocka_unit_test(nothing_to_recover_is_quiet),
#ifdef CLM_TEST_HOOKS
        cmocka_unit_test(an_edit_in_the_last_instant_is_kept),
#endif
        cmocka_unit_test(a_server_that_stays_down_needs_a_human_but_not_the_journal),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("txn_recover", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
