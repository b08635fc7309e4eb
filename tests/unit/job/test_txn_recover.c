/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery from states that killing a process does not make: foreign edits, lost copies, damage.
 * Each starts with a deployment killed between the swap and the reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/unit/job/killed.h"

static struct scene_certs certs;

static void a_killed_deployment_is_undone_and_proved(void **state)
{
    (void)state;
    for (int kind = 0; kind < SCENE__COUNT; kind++) {
        struct killed k;
        const struct clm_txn_outcome *out;

        killed_begin(&k, (enum scene_kind)kind, &certs);
        out = killed_recover(&k, false);
        assert_int_equal(out->result, CLM_TXN_ROLLED_BACK);
        assert_string_equal(out->target, "nginx:www.example");
        assert_true(kind == SCENE_FIRST || out->is_proved);
        assert_int_equal(k.scene.server.reloads, 1);
        assert_int_equal(scene_files_are(&k.scene), 'O');
        scene_assert_clean(&k.scene);
        killed_end(&k);
    }
}

static void at_boot_only_files_are_touched(void **state)
{
    struct killed k;
    const struct clm_txn_outcome *out;

    (void)state;
    killed_begin(&k, SCENE_PAIR, &certs);
    out = killed_recover(&k, true);
    assert_int_equal(out->result, CLM_TXN_ROLLED_BACK);
    assert_false(out->is_proved);
    assert_int_equal(k.scene.server.reloads + k.scene.server.probes, 0);
    assert_int_equal(scene_files_are(&k.scene), 'O');
    killed_end(&k);
}

static void the_clock_does_not_matter(void **state)
{
    static const int64_t skews[] = {-1700000000, 315360000 /* ten years */};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(skews); i++) {
        struct killed k;

        killed_begin(&k, SCENE_PAIR, &certs);
        k.scene.server.skew_s = skews[i];
        assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_ROLLED_BACK);
        assert_int_equal(scene_files_are(&k.scene), 'O');
        killed_end(&k);
    }
}

static void a_lost_temporary_file_is_made_from_the_copy(void **state)
{
    struct killed k;
    struct stat st;

    (void)state;
    killed_begin(&k, SCENE_THREE, &certs);
    killed_sweep_temps(&k);
    assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&k.scene), 'O');
    assert_int_equal(stat(k.scene.files[2].path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    scene_assert_clean(&k.scene);
    killed_end(&k);
}

static void a_missing_target_comes_back(void **state)
{
    struct killed k;

    (void)state;
    killed_begin(&k, SCENE_PAIR, &certs);
    assert_int_equal(unlink(k.scene.files[0].path), 0);
    assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&k.scene), 'O');
    scene_assert_clean(&k.scene);
    killed_end(&k);
}

/* What may become of a file of a journal. */
enum damage {
    EMPTIED,
    WRITTEN_OVER,
    ZEROED,
    TOO_LONG,
    MISSING,
    A_DIRECTORY,
    DAMAGE__COUNT
};

static void damage(const char *path, enum damage what)
{
    static const uint8_t zeros[CLM_TXN_LOG_SIZE];

    switch (what) {
    case EMPTIED:
        scene_write(path, "", 0, 0600);
        break;
    case WRITTEN_OVER:
        scene_write(path, "damaged", 7, 0600);
        break;
    case ZEROED:
        scene_write(path, zeros, sizeof(zeros), 0600);
        break;
    case TOO_LONG:
        assert_int_equal(truncate(path, 20000000), 0);
        break;
    case MISSING:
        assert_int_equal(unlink(path), 0);
        break;
    case A_DIRECTORY:
        assert_int_equal(unlink(path) + mkdir(path, 0700), 0);
        break;
    case DAMAGE__COUNT:
        fail_msg("no such damage");
    }
}

static void a_damaged_copy_is_never_written(void **state)
{
    static const struct {
        enum damage damage;
        const char *text;
    } rows[] = {
        {EMPTIED, "site.key' is damaged"},
        {WRITTEN_OVER, "site.key' is damaged"},
        {TOO_LONG, "site.key' is lost"},
        {MISSING, "site.key' is lost"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct killed k;
        char path[PATH_MAX];
        const struct clm_txn_outcome *out;

        killed_begin(&k, SCENE_PAIR, &certs);
        killed_sweep_temps(&k);
        killed_in_journal(&k, "old.1", path);
        damage(path, rows[i].damage);
        out = killed_recover(&k, false);
        assert_int_equal(out->result, CLM_TXN_NEEDS_HUMAN);
        assert_non_null(strstr(out->err.msg, rows[i].text));
        assert_int_equal(scene_files_are(&k.scene), 'N'); /* not one of them was touched */
        assert_int_equal(scene_count(&k.scene, "quarantine"), 1);
        assert_int_equal(scene_count(&k.scene, "txn"), 0);
        killed_end(&k);
    }
}

/* A copy that is not needed may be damaged: the old file itself lies under the temporary name. */
static void a_damaged_copy_that_is_not_needed_does_not_matter(void **state)
{
    struct killed k;
    char path[PATH_MAX];

    (void)state;
    killed_begin(&k, SCENE_PAIR, &certs);
    killed_in_journal(&k, "old.1", path);
    damage(path, WRITTEN_OVER);
    assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&k.scene), 'O');
    scene_assert_clean(&k.scene);
    killed_end(&k);
}

static void a_foreign_edit_is_never_written_over(void **state)
{
    struct killed k;
    struct clm_buf edited = {.data = (uint8_t[]){"edited"}, .len = 6, .cap = 7};
    const struct clm_txn_outcome *out;

    (void)state;
    killed_begin(&k, SCENE_PAIR, &certs);
    scene_write(k.scene.files[1].path, edited.data, edited.len, 0600);
    out = killed_recover(&k, false);
    assert_int_equal(out->result, CLM_TXN_NEEDS_HUMAN);
    assert_non_null(strstr(out->err.msg, "someone else"));
    assert_true(scene_holds(k.scene.files[1].path, &edited));
    assert_true(scene_holds(k.scene.files[0].path, &k.scene.files[0].new_data));
    assert_int_equal(scene_count(&k.scene, "quarantine"), 1);
    killed_end(&k);
}

/* A human is called, nothing is touched, and the next deployment is not stopped by it. */
static void expect_set_aside(struct killed *k, const char *part, enum damage what)
{
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
    const struct clm_txn_outcome *found = killed_recover(k, false);

    if (found->result != CLM_TXN_NEEDS_HUMAN || found->err.msg[0] == '\0') {
        fail_msg("%s, damage %d: %s", part, (int)what, clm_txn_result_name(found->result));
    }
    assert_non_null(strstr(found->err.msg, what == ZEROED && strcmp(part, "log") == 0
                                               ? "the journal has no beginning"
                                               : "is damaged and was set aside"));
    assert_int_equal(scene_count(&k->scene, "quarantine"), 1);
    assert_int_equal(scene_files_are(&k->scene), 'N');
    for (size_t i = 0; i < k->scene.n_files; i++) {
        const struct scene_file *file = &k->scene.files[i];

        scene_write(file->path, file->old_data.data, file->old_data.len, file->mode);
    }
    assert_int_equal(
        clm_txn_deploy(&k->scene.env, &k->scene.plan, k->scene.bundle, NULL, &out, NULL), CLM_OK);
}

static void damaged_journals_are_set_aside(void **state)
{
    static const char *const parts[] = {"plan", "log"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(parts); i++) {
        for (int what = 0; what < DAMAGE__COUNT; what++) {
            struct killed k;
            char path[PATH_MAX];

            killed_begin(&k, SCENE_PAIR, &certs);
            killed_in_journal(&k, parts[i], path);
            damage(path, (enum damage)what);
            expect_set_aside(&k, parts[i], (enum damage)what);
            killed_end(&k);
        }
    }
}

static void a_read_only_target_waits(void **state)
{
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
    struct killed k;
    struct clm_err err = {0};

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    killed_begin(&k, SCENE_PAIR, &certs);
    assert_int_equal(mount(k.scene.etc, k.scene.etc, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, k.scene.etc, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_BLOCKED);
    assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_BLOCKED);
    assert_int_equal(scene_count(&k.scene, "txn"), 1);
    assert_int_equal(umount2(k.scene.etc, MNT_DETACH), 0);
    /* meanwhile nothing else may go there */
    assert_int_equal(clm_txn_deploy(&k.scene.env, &k.scene.plan, k.scene.bundle, NULL, &out, &err),
                     CLM_E_CONFLICT);
    assert_non_null(strstr(err.msg, "not finished"));
    assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(scene_files_are(&k.scene), 'O');
    scene_assert_clean(&k.scene);
    killed_end(&k);
}

static void nothing_to_recover_is_quiet(void **state)
{
    struct killed k;

    (void)state;
    memset(&k, 0, sizeof(k));
    scene_make(&k.scene, SCENE_PAIR, &certs);
    assert_int_equal(clm_txn_recover(&k.scene.env, false, &k.outs, NULL), CLM_OK);
    assert_int_equal(k.outs.n, 0);
    assert_int_equal(k.scene.server.probes + k.scene.server.reloads, 0);
    killed_end(&k);
}

static void a_server_that_stays_down_needs_a_human_but_not_the_journal(void **state)
{
    struct killed k;

    (void)state;
    killed_begin(&k, SCENE_PAIR, &certs);
    k.scene.server.fail_reloads = -1;
    assert_int_equal(killed_recover(&k, false)->result, CLM_TXN_NEEDS_HUMAN);
    assert_int_equal(scene_files_are(&k.scene), 'O');
    scene_assert_clean(&k.scene);
    killed_end(&k);
}

/* ---- what stays ---- */

static void drop_endpoints(struct clm_plan *plan)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (plan->steps[i].kind == CLM_STEP_VERIFY) {
            assert_int_equal(clm_step_set_endpoints(&plan->steps[i], NULL, 0, NULL), CLM_OK);
        }
    }
}

static void an_expired_certificate_does_not_come_back(void **state)
{
    static const struct {
        bool boot;
        bool is_served;
        bool has_endpoints;
        bool is_proved;
        const char *text;
    } rows[] = {
        {false, true, true, true, "so the new one stays"},
        {false, false, true, false, "so the new one stays: "},
        {false, true, false, false, "so the new one stays"},
        {true, true, true, false, "so the new one stays"},
    };
    struct scene_certs expired;

    (void)state;
    scene_certs_make(&expired, CLM_TEST_EXPIRED);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct killed k = {.journal = ""};
        const struct clm_txn_outcome *out;

        scene_make(&k.scene, SCENE_PAIR, &expired);
        if (!rows[i].has_endpoints) {
            drop_endpoints(&k.scene.plan);
        }
        killed_now(&k);
        killed_say(&k, CLM_TXN_RELOADED);
        if (rows[i].is_served) {
            fake_io_start(&k.scene.server);
        }
        out = killed_recover(&k, rows[i].boot);
        assert_int_equal(out->result, CLM_TXN_SUCCEEDED);
        assert_true(out->is_degraded);
        assert_int_equal(out->is_proved, rows[i].is_proved);
        assert_string_equal(out->steps[1].status, "warning");
        assert_non_null(strstr(out->steps[1].detail, rows[i].text));
        assert_int_equal(scene_files_are(&k.scene), 'N');
        scene_assert_clean(&k.scene);
        killed_end(&k);
    }
    scene_certs_done(&expired);
}

/* Whether it is served only matters where somebody else restarts the server, and can be asked. */
static void a_committed_deployment_is_finished(void **state)
{
    static const struct {
        enum clm_reload_how how;
        bool has_endpoints;
        enum clm_txn_result result;
        bool is_proved;
    } rows[] = {
        {CLM_RELOAD_UNIT, true, CLM_TXN_SUCCEEDED, true},
        {CLM_RELOAD_UNIT, false, CLM_TXN_SUCCEEDED, false},
        {CLM_RELOAD_NONE, true, CLM_TXN_WAITING, false},
        {CLM_RELOAD_NONE, false, CLM_TXN_SUCCEEDED, false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct killed k = {.journal = ""};
        const struct clm_txn_outcome *out;

        scene_make(&k.scene, SCENE_PAIR, &certs);
        for (size_t s = 0; s < k.scene.plan.n_steps; s++) {
            if (k.scene.plan.steps[s].kind == CLM_STEP_RELOAD) {
                k.scene.plan.steps[s].how = rows[i].how;
            }
        }
        if (!rows[i].has_endpoints) {
            drop_endpoints(&k.scene.plan);
        }
        killed_now(&k);
        killed_say(&k, CLM_TXN_COMMITTED);
        out = killed_recover(&k, false);
        assert_int_equal(out->result, rows[i].result);
        assert_int_equal(out->is_proved, rows[i].is_proved);
        assert_int_equal(k.scene.server.probes + k.scene.server.reloads, 0);
        assert_int_equal(scene_files_are(&k.scene), 'N');
        scene_assert_clean(&k.scene);
        killed_end(&k);
    }
}

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
        cmocka_unit_test(damaged_journals_are_set_aside),
        cmocka_unit_test(a_read_only_target_waits),
        cmocka_unit_test(nothing_to_recover_is_quiet),
        cmocka_unit_test(an_expired_certificate_does_not_come_back),
        cmocka_unit_test(a_committed_deployment_is_finished),
        cmocka_unit_test(a_server_that_stays_down_needs_a_human_but_not_the_journal),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("txn_recover", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
