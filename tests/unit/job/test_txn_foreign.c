/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else works in the same directories: what he put there before a recovery, and in the last
 * instant of a deployment or of a recovery, is never written over, followed or removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/unit/job/act.h"
#include "tests/unit/job/killed.h"

#define EDIT   "edited"
#define NOBODY 65534

static struct scene_certs certs;

static bool is_edited(const char *path)
{
    const struct clm_buf edited = {
        .data = (uint8_t[]){EDIT}, .len = strlen(EDIT), .cap = sizeof(EDIT)};

    return scene_holds(path, &edited);
}

/* ---- what is there before a recovery ---- */

static void put_symlink(const struct scene_file *file, const char *victim)
{
    assert_int_equal(unlink(file->path) + symlink(victim, file->path), 0);
}

static void put_directory(const struct scene_file *file, const char *victim)
{
    (void)victim;
    assert_int_equal(unlink(file->path) + mkdir(file->path, 0755), 0);
}

static void put_huge_file(const struct scene_file *file, const char *victim)
{
    (void)victim;
    assert_int_equal(truncate(file->path, 20000000), 0);
}

static void put_pipe(const struct scene_file *file, const char *victim)
{
    (void)victim;
    assert_int_equal(unlink(file->path) + mkfifo(file->path, 0600), 0);
}

/* Undone it would be touched: a human. After the commit only what is ours is cleaned up. */
static void what_took_a_targets_place_is_not_touched(void **state)
{
    static void (*const puts[])(const struct scene_file *file, const char *victim) = {
        put_symlink, put_directory, put_huge_file, put_pipe};

    (void)state;
    for (size_t i = 0; i < 2 * CLM_ARRAY_LEN(puts); i++) {
        bool is_committed = i >= CLM_ARRAY_LEN(puts);
        const struct clm_txn_outcome *out;
        struct killed k;
        struct stat before;
        struct stat after;
        char victim[PATH_MAX];

        killed_begin(&k, SCENE_PAIR, &certs);
        (void)snprintf(victim, sizeof(victim), "%.4000s/victim", k.scene.root);
        scene_write(victim, EDIT, strlen(EDIT), 0600);
        puts[i % CLM_ARRAY_LEN(puts)](&k.scene.files[1], victim);
        assert_int_equal(lstat(k.scene.files[1].path, &before), 0);
        if (is_committed) {
            killed_say(&k, CLM_TXN_COMMITTED);
        }
        out = killed_recover(&k, false);
        if (out->result != (is_committed ? CLM_TXN_SUCCEEDED : CLM_TXN_NEEDS_HUMAN)) {
            fail_msg("row %zu: %s, %s", i, clm_txn_result_name(out->result), out->err.msg);
        }
        assert_true(is_committed || strstr(out->err.msg, "changed by someone else") != NULL);
        assert_int_equal(scene_count(&k.scene, "quarantine"), is_committed ? 0 : 1);
        assert_int_equal(lstat(k.scene.files[1].path, &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(scene_file_is(&k.scene.files[0]), 'N');
        assert_true(is_edited(victim));
        killed_end(&k);
    }
}

static void leave_gone(const char *dir, const char *away)
{
    (void)dir;
    (void)away;
}

static void lead_elsewhere(const char *dir, const char *away)
{
    assert_int_equal(symlink(away, dir), 0);
}

static void put_file(const char *dir, const char *away)
{
    (void)away;
    scene_write(dir, EDIT, strlen(EDIT), 0600);
}

/* Nothing is put into a directory above it, or where a symlink leads, least of all the old key. */
static void a_directory_that_is_gone_is_a_matter_for_a_human(void **state)
{
    static void (*const puts[])(const char *dir, const char *away) = {leave_gone, lead_elsewhere,
                                                                      put_file};

    (void)state;
    for (size_t i = 0; i < 2 * CLM_ARRAY_LEN(puts); i++) {
        bool is_committed = i >= CLM_ARRAY_LEN(puts);
        const struct clm_txn_outcome *out;
        struct killed k;
        char away[PATH_MAX];
        char stray[PATH_MAX];

        killed_begin(&k, SCENE_PAIR, &certs);
        killed_sweep_temps(&k);
        (void)snprintf(away, sizeof(away), "%.4000s/away", k.scene.root);
        assert_int_equal(rename(k.scene.etc, away), 0);
        puts[i % CLM_ARRAY_LEN(puts)](k.scene.etc, away);
        if (is_committed) {
            killed_say(&k, CLM_TXN_COMMITTED);
        }
        out = killed_recover(&k, false);
        if (out->result != (is_committed ? CLM_TXN_SUCCEEDED : CLM_TXN_NEEDS_HUMAN)) {
            fail_msg("row %zu: %s, %s", i, clm_txn_result_name(out->result), out->err.msg);
        }
        assert_true(is_committed || strstr(out->err.msg, "' is gone") != NULL);
        assert_int_equal(scene_count(&k.scene, "txn"), 0);
        for (size_t n = 0; n < k.scene.n_files; n++) {
            (void)snprintf(stray, sizeof(stray), "%.3000s/%s", k.scene.root, k.scene.files[n].name);
            assert_int_not_equal(access(stray, F_OK), 0);
        }
        (void)unlink(k.scene.etc);
        assert_int_equal(rename(away, k.scene.etc), 0);
        assert_int_equal(scene_files_are(&k.scene), 'N');
        killed_end(&k);
    }
}

#ifdef CLM_TEST_HOOKS
/* ---- in the last instant ---- */

/* Strikes before the first operation of a name in a target's directory, after everything was looked
 * at. */
struct editor {
    const char *op;
    void (*strike)(const char *path);
    const char *path;
    bool is_done;
};

static void edit(const char *path)
{
    scene_write(path, EDIT, strlen(EDIT), 0600);
}

static void take_away(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void give_away(const char *path)
{
    assert_int_equal(chown(path, NOBODY, (gid_t)-1), 0);
}

static void change_group(const char *path)
{
    assert_int_equal(chown(path, (uid_t)-1, NOBODY), 0);
}

static void watch(void *arg, const char *op, int dir_fd, const char *name)
{
    struct editor *editor = arg;

    (void)name;
    if (!editor->is_done && dir_fd >= 0 && strcmp(op, editor->op) == 0) {
        editor->is_done = true;
        editor->strike(editor->path);
    }
}

static void without_exchange(bool is_on)
{
    clm_fs_fail_op(is_on ? "exchange" : NULL, EINVAL);
}

/* The first operation of a recovery is on the last file of the plan: the key. */
static void an_edit_in_the_last_instant_of_a_recovery_is_kept(void **state)
{
    static const struct {
        enum scene_kind kind;
        const char *op;
        bool has_no_exchange; /* restored from the copy, then */
    } rows[] = {
        {SCENE_PAIR, "exchange", false},
        {SCENE_THREE, "exchange", false},
        {SCENE_FIRST, "rename", false},
        {SCENE_PAIR, "create", true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct killed k;
        struct editor editor = {.op = rows[i].op, .strike = edit};

        killed_begin(&k, rows[i].kind, &certs);
        editor.path = k.scene.files[k.scene.n_files - 1].path;
        without_exchange(rows[i].has_no_exchange);
        clm_fs_trace(watch, &editor);
        (void)killed_recover(&k, false);
        clm_fs_trace(NULL, NULL);
        without_exchange(false);
        assert_true(editor.is_done);
        assert_true(is_edited(editor.path));
        assert_int_equal(k.outs.v[0].result, CLM_TXN_NEEDS_HUMAN);
        assert_int_equal(scene_count(&k.scene, "quarantine"), 1);
        killed_end(&k);
    }
}

/* ---- in the last instant, and then it cannot go back ---- */

static void keep_from_going_back(const char *path)
{
    edit(path);
    clm_fs_fail_op("exchange", EIO);
}

static void keep_from_being_renamed(const char *path)
{
    edit(path);
    clm_fs_fail_op("rename", EIO);
}

static void edit_and_die_next(const char *path)
{
    edit(path);
    clm_fs_crash_at(1);
}

static void recover_and_die(struct killed *k, struct editor *editor)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        clm_fs_trace(watch, editor);
        (void)killed_recover(k, false);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 99);
}

/* The journal cannot be set aside either, where renaming fails. */
static void recover_and_fail(struct killed *k, struct editor *editor, const char *op)
{
    const struct clm_txn_outcome *out;

    clm_fs_trace(watch, editor);
    out = killed_recover(k, false);
    clm_fs_trace(NULL, NULL);
    clm_fs_fail_op(NULL, 0);
    assert_true(editor->is_done);
    assert_int_equal(out->result,
                     strcmp(op, "rename") == 0 ? CLM_TXN_BLOCKED : CLM_TXN_NEEDS_HUMAN);
    assert_non_null(strstr(out->err.msg, "was changed by someone else"));
    assert_non_null(strstr(out->err.msg, ".clmbot."));
}

/* The one file beside the targets that holds the edit; "" if there is none. */
static void find_edit(const struct scene *scene, char *dst)
{
    DIR *d = opendir(scene->etc);
    struct dirent *entry;
    char path[PATH_MAX];

    dst[0] = '\0';
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        (void)snprintf(path, sizeof(path), "%.3000s/%.500s", scene->etc, entry->d_name);
        if (strstr(entry->d_name, ".clmbot.") != NULL && is_edited(path)) {
            (void)snprintf(dst, NAME_MAX + 1, "%.255s", entry->d_name);
        }
    }
    (void)closedir(d);
}

/* The target is as it was, and nothing but the name beside it tells that somebody wrote there. */
static void an_edit_that_cannot_go_back_is_kept(void **state)
{
    static const struct {
        enum scene_kind kind;
        const char *op;
        void (*strike)(const char *path);
        bool has_no_temps; /* restored from the copy, then */
    } rows[] = {
        {SCENE_PAIR, "exchange", keep_from_going_back, false},
        {SCENE_PAIR, "exchange", keep_from_going_back, true},
        {SCENE_FIRST, "rename", keep_from_being_renamed, false},
        {SCENE_PAIR, "exchange", edit_and_die_next, false},
        {SCENE_PAIR, "exchange", edit_and_die_next, true},
        {SCENE_FIRST, "rename", edit_and_die_next, false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct killed k;
        struct editor editor = {.op = rows[i].op, .strike = rows[i].strike};
        const struct clm_txn_outcome *out;
        char name[NAME_MAX + 1];

        killed_begin(&k, rows[i].kind, &certs);
        editor.path = k.scene.files[k.scene.n_files - 1].path;
        if (rows[i].has_no_temps) {
            killed_sweep_temps(&k);
        }
        if (rows[i].strike == edit_and_die_next) {
            recover_and_die(&k, &editor);
        } else {
            recover_and_fail(&k, &editor, rows[i].op);
        }
        find_edit(&k.scene, name);
        assert_string_not_equal(name, "");
        if (scene_count(&k.scene, "quarantine") == 0) {
            out = killed_recover(&k, false);
            assert_int_equal(out->result, CLM_TXN_NEEDS_HUMAN);
            assert_non_null(strstr(out->err.msg, name));
        }
        find_edit(&k.scene, name);
        assert_string_not_equal(name, "");
        assert_int_equal(scene_count(&k.scene, "quarantine"), 1);
        assert_int_equal(scene_count(&k.scene, "txn"), 0);
        killed_end(&k);
    }
}

/* Only what is put there may be lost: a file that was taken away comes back. */
static void a_change_in_the_last_instant_of_a_swap_is_kept(void **state)
{
    static const struct {
        enum scene_kind kind;
        const char *op;
        void (*strike)(const char *path);
        char is; /* the first file in the end */
        bool is_for_root;
    } rows[] = {
        {SCENE_PAIR, "exchange", edit, 'F', false},
        {SCENE_PAIR, "exchange", take_away, 'O', false},
        {SCENE_PAIR, "exchange", give_away, 'o', true},
        {SCENE_PAIR, "exchange", change_group, 'o', true},
        {SCENE_FIRST, "rename", edit, 'F', false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;
        struct editor editor = {.op = rows[i].op, .strike = rows[i].strike};
        struct stat st;

        if (rows[i].is_for_root && geteuid() != 0) {
            print_message("row %zu needs root: not run\n", i);
            continue;
        }
        act_begin(&act, rows[i].kind, &certs);
        const struct scene_file *file = &act.scene.files[0];
        editor.path = file->path;
        clm_fs_trace(watch, &editor);
        act_deploy(&act);
        clm_fs_trace(NULL, NULL);
        assert_true(editor.is_done);
        assert_int_equal(act.code, CLM_E_CONFLICT);
        assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
        assert_non_null(strstr(act.err.msg, "site.crt' was changed by someone else"));
        assert_int_equal(stat(file->path, &st), 0);
        assert_int_equal(is_edited(file->path), rows[i].is == 'F');
        assert_int_equal(scene_holds(file->path, &file->old_data), rows[i].is != 'F');
        assert_int_equal(st.st_uid == NOBODY || st.st_gid == NOBODY, rows[i].is == 'o');
        assert_int_equal(scene_file_is(&act.scene.files[1]), 'O');
        scene_assert_clean(&act.scene);
        act_end(&act);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_took_a_targets_place_is_not_touched),
        cmocka_unit_test(a_directory_that_is_gone_is_a_matter_for_a_human),
#ifdef CLM_TEST_HOOKS
        cmocka_unit_test(an_edit_in_the_last_instant_of_a_recovery_is_kept),
        cmocka_unit_test(an_edit_that_cannot_go_back_is_kept),
        cmocka_unit_test(a_change_in_the_last_instant_of_a_swap_is_kept),
#endif
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("txn_foreign", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
