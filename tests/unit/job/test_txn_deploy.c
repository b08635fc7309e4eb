/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/support/scene.h"

static struct scene_certs good_certs;
static struct scene_certs expired_certs;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

/* One scene and what came of a deployment in it. */
struct act {
    struct scene scene;
    struct clm_txn_outcome out;
    struct clm_err err;
    enum clm_code code;
};

static void begin(struct act *act, enum scene_kind kind)
{
    memset(act, 0, sizeof(*act));
    scene_make(&act->scene, kind, &good_certs);
}

static void deploy(struct act *act)
{
    clm_txn_outcome_done(&act->out);
    act->err = (struct clm_err){0};
    act->code = clm_txn_deploy(&act->scene.env, &act->scene.plan, act->scene.bundle, NULL,
                               &act->out, &act->err);
}

static void end(struct act *act)
{
    clm_txn_outcome_done(&act->out);
    scene_done(&act->scene);
}

static void expect(const struct act *act, enum clm_txn_result result, enum clm_code code,
                   char files)
{
    if (act->out.result != result || act->code != code || scene_files_are(&act->scene) != files) {
        fail_msg("%s, %s, files %c: %s", clm_txn_result_name(act->out.result),
                 clm_code_name(act->code), scene_files_are(&act->scene), act->err.msg);
    }
    assert_int_equal(act->code, act->out.err.code);
    assert_true((code != CLM_OK) == (act->err.msg[0] != '\0'));
}

static const struct clm_txn_step *find_step(const struct act *act, const char *name)
{
    for (size_t i = 0; i < act->out.n_steps; i++) {
        if (strcmp(act->out.steps[i].name, name) == 0) {
            return &act->out.steps[i];
        }
    }
    return NULL;
}

/* ---- good ends ---- */

static void a_deployment_is_proved(void **state)
{
    (void)state;
    for (int kind = 0; kind < SCENE__COUNT; kind++) {
        struct act act;

        begin(&act, (enum scene_kind)kind);
        act.scene.server.old_for_ms = 135;
        deploy(&act);
        expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
        assert_true(act.out.is_proved);
        assert_false(act.out.is_degraded);
        assert_int_equal(act.scene.server.reloads, 1);
        assert_string_equal(act.out.after_sha256, act.scene.bundle->leaf.sha256);
        assert_string_equal(act.out.before_sha256,
                            kind == SCENE_FIRST ? "" : good_certs.old_bundle.leaf.sha256);
        assert_int_equal(act.out.n_endpoints, 2);
        assert_string_equal(act.out.endpoints[1].after.leaf_sha256, act.scene.bundle->leaf.sha256);
        scene_assert_clean(&act.scene);
        end(&act);
    }
}

static void the_same_again_changes_nothing(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    deploy(&act);
    deploy(&act);
    expect(&act, CLM_TXN_NOOP, CLM_OK, 'N');
    assert_true(act.out.is_proved);
    assert_int_equal(act.scene.server.reloads, 1);
    scene_assert_clean(&act.scene);
    end(&act);
}

static void a_forgotten_reload_is_made_up_for(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    for (size_t i = 0; i < act.scene.n_files; i++) {
        scene_write(act.scene.files[i].path, act.scene.files[i].new_data.data,
                    act.scene.files[i].new_data.len, act.scene.files[i].mode);
    }
    deploy(&act);
    expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.reloads, 1);
    end(&act);
}

static void owner_mode_and_attributes_are_kept(void **state)
{
    struct act act;
    struct stat st;
    char value[16] = "";
    const char *key;

    (void)state;
    begin(&act, SCENE_PAIR);
    key = act.scene.files[1].path;
    if (geteuid() == 0) {
        assert_int_equal(chown(key, 0, 33), 0);
    }
    assert_int_equal(chmod(key, 0640), 0);
    (void)setxattr(key, "user.note", "kept", 4, 0);
    deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_SUCCEEDED);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_gid, geteuid() == 0 ? 33 : getegid());
    if (getxattr(act.scene.files[0].path, "user.note", value, sizeof(value)) >= 0 ||
        getxattr(key, "user.note", value, sizeof(value)) >= 0) {
        assert_memory_equal(value, "kept", 4);
    }
    end(&act);
}

static void a_symlink_stays_and_its_file_changes(void **state)
{
    struct act act;
    char real[PATH_MAX];
    struct stat st;

    (void)state;
    begin(&act, SCENE_PAIR);
    (void)snprintf(real, sizeof(real), "%.4000s/real.crt", act.scene.root);
    assert_int_equal(rename(act.scene.files[0].path, real), 0);
    assert_int_equal(symlink("../real.crt", act.scene.files[0].path), 0);
    assert_int_equal(clm_strs_add(&act.scene.policy.write_roots, act.scene.root, NULL), CLM_OK);
    memcpy(act.scene.server.cert_path, real, sizeof(real)); /* the fake server follows no links */
    deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_SUCCEEDED);
    assert_int_equal(lstat(act.scene.files[0].path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_true(scene_holds(real, &act.scene.files[0].new_data));
    end(&act);
}

static void a_process_without_a_unit_is_signalled(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    for (size_t i = 0; i < act.scene.plan.n_steps; i++) {
        if (act.scene.plan.steps[i].kind == CLM_STEP_RELOAD) {
            act.scene.plan.steps[i].how = CLM_RELOAD_SIGNAL;
            act.scene.plan.steps[i].pid = 77;
            act.scene.plan.steps[i].start_ticks = 5;
            act.scene.plan.steps[i].signo = 1;
        }
    }
    deploy(&act);
    expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.signals, 1);
    end(&act);
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
        {4, "exited with 1: fake: said  [1mso"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        begin(&act, SCENE_PAIR);
        act.scene.server.reload_does_nothing = rows[i].which == 0;
        act.scene.server.other_sha256 = rows[i].which == 1 ? other_leaf : NULL;
        act.scene.server.breaks_on_new = rows[i].which == 2;
        act.scene.server.fail_reloads = rows[i].which == 3;
        act.scene.server.post_check_status = rows[i].which == 4;
        deploy(&act);
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
        end(&act);
    }
}

static void the_very_same_file_comes_back(void **state)
{
    struct act act;
    struct stat before;
    struct stat after;

    (void)state;
    begin(&act, SCENE_PAIR);
    act.scene.server.other_sha256 = other_leaf;
    assert_int_equal(stat(act.scene.files[1].path, &before), 0);
    deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(stat(act.scene.files[1].path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    end(&act);
}

static void a_server_that_does_not_come_back_needs_a_human(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    act.scene.server.fail_reloads = -1;
    deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_NEEDS_HUMAN);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    assert_false(act.out.is_proved);
    assert_int_equal(act.scene.server.reloads,
                     4); /* one, and in the rollback one and two retries */
    assert_non_null(strstr(act.err.msg, "the old files are in place"));
    scene_assert_clean(&act.scene);
    end(&act);
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
    memset(&act, 0, sizeof(act));
    scene_make(&act.scene, SCENE_PAIR, &expired_certs);
    act.scene.server.on_probe = stuck_port;
    deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_SUCCEEDED);
    assert_true(act.out.is_degraded);
    assert_false(act.out.is_proved);
    assert_int_equal(scene_files_are(&act.scene), 'N');
    end(&act);
    begin(&act, SCENE_PAIR); /* the same with a good old one: back */
    act.scene.server.on_probe = stuck_port;
    deploy(&act);
    assert_int_equal(scene_files_are(&act.scene), 'O');
    end(&act);
}

static bool cancel_now(void *arg)
{
    const struct act *act = arg;

    return act->scene.server.reloads >= 1;
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
    begin(&act, SCENE_PAIR);
    act.scene.env.event_arg = &act;
    act.scene.env.cancelled = cancel_first;
    deploy(&act);
    expect(&act, CLM_TXN_FAILED, CLM_E_CANCELLED, 'O');
    assert_int_equal(act.scene.server.reloads, 0);
    act.scene.env.cancelled = cancel_now;
    act.scene.server.old_for_ms = 500;
    deploy(&act);
    expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_CANCELLED, 'O');
    scene_assert_clean(&act.scene);
    end(&act);
}

/* ---- endpoints that do not count ---- */

static void a_shadowed_or_dead_endpoint_is_reported_only(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        struct act act;

        begin(&act, SCENE_PAIR);
        act.scene.server.shadowed_port = which == 0 ? 8443 : 0;
        act.scene.server.dead_port = which == 1 ? 8443 : 0;
        deploy(&act);
        expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
        assert_true(act.out.endpoints[0].is_counted);
        assert_false(act.out.endpoints[1].is_counted);
        assert_int_not_equal(act.out.endpoints[1].after.at_ms, 0);
        assert_string_equal(find_step(&act, "baseline")->status, "warning");
        end(&act);
    }
}

static void without_any_served_endpoint_all_count(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    (void)unlink(act.scene.server.served_path); /* the server serves nothing yet */
    deploy(&act);
    expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_true(act.out.endpoints[0].is_counted && act.out.endpoints[1].is_counted);
    end(&act);
}

/* ---- refused before anything was written ---- */

static void add_hard_link(struct act *act)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%.4000s/second", act->scene.root);
    assert_int_equal(link(act->scene.files[1].path, path), 0);
}

static void make_directory(struct act *act)
{
    assert_int_equal(unlink(act->scene.files[0].path), 0);
    assert_int_equal(mkdir(act->scene.files[0].path, 0755), 0);
}

static void remove_file(struct act *act)
{
    assert_int_equal(unlink(act->scene.files[0].path), 0);
}

static void open_to_all(struct act *act)
{
    assert_int_equal(chmod(act->scene.etc, 0777), 0);
}

static void forbid_by_policy(struct act *act)
{
    clm_policy_done(&act->scene.policy);
    assert_int_equal(clm_strs_add(&act->scene.policy.write_roots, "/nowhere", NULL), CLM_OK);
}

static void escape_by_symlink(struct act *act)
{
    char real[PATH_MAX];

    (void)snprintf(real, sizeof(real), "%.4000s/outside.crt", act->scene.root);
    assert_int_equal(rename(act->scene.files[0].path, real), 0);
    assert_int_equal(symlink(real, act->scene.files[0].path), 0);
}

static void loop_of_symlinks(struct act *act)
{
    assert_int_equal(unlink(act->scene.files[0].path), 0);
    assert_int_equal(symlink("site.crt", act->scene.files[0].path), 0);
}

static void check_says_no(struct act *act)
{
    act->scene.server.check_status = 1;
}

static void unit_is_stopped(struct act *act)
{
    act->scene.server.unit_state_is = CLM_UNIT_INACTIVE;
}

static void no_handshakes(struct act *act)
{
    act->scene.server.probe_error = CLM_E_NET;
}

static void another_key(struct act *act)
{
    const struct clm_buf *key = &good_certs.old_leaf.key_pem;

    scene_write(act->scene.bundle->key_path, key->data, key->len, 0600);
}

static void no_key(struct act *act)
{
    assert_int_equal(unlink(act->scene.bundle->key_path), 0);
}

static void relative_path(struct act *act)
{
    for (size_t i = 0; i < act->scene.plan.n_steps; i++) {
        if (act->scene.plan.steps[i].kind == CLM_STEP_FILE_PUT) {
            (void)snprintf(act->scene.plan.steps[i].path, PATH_MAX, "%.4000s/../etc/site.crt",
                           act->scene.etc);
            return;
        }
    }
}

static void twice_in_plan(struct act *act)
{
    const char *first = NULL;

    for (size_t i = 0; i < act->scene.plan.n_steps; i++) {
        struct clm_step *step = &act->scene.plan.steps[i];

        if (step->kind == CLM_STEP_FILE_PUT) {
            if (first != NULL) {
                memcpy(step->path, first, sizeof(step->path));
            }
            first = step->path;
        }
    }
}

static void what_cannot_work_is_refused_before_anything_is_written(void **state)
{
    static const struct {
        void (*spoil)(struct act *act);
        enum clm_code want;
        const char *text;
    } rows[] = {
        {add_hard_link, CLM_E_CONFLICT, "hard links"},
        {make_directory, CLM_E_INVAL, "is a directory"},
        {remove_file, CLM_E_CONFLICT, "does not exist"},
        {open_to_all, CLM_E_PERM, "everyone may write"},
        {forbid_by_policy, CLM_E_PERM, "write_roots"},
        {escape_by_symlink, CLM_E_PERM, "write_roots"},
        {loop_of_symlinks, CLM_E_LIMIT, "symlinks"},
        {check_says_no, CLM_E_CONFIG, "exited with 1"},
        {unit_is_stopped, CLM_E_CONFLICT, "not running"},
        {no_handshakes, CLM_E_NET, "handshake with 127.0.0.1:443 (www.example)"},
        {another_key, CLM_E_INVAL, "not the certificate's"},
        {no_key, CLM_E_NOTFOUND, "key of the new certificate"},
        {relative_path, CLM_E_INVAL, "without '.' and '..'"},
        {twice_in_plan, CLM_E_INVAL, "twice"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        begin(&act, SCENE_PAIR);
        rows[i].spoil(&act);
        clm_fs_crash_at(0);
        deploy(&act);
        if (act.out.result != CLM_TXN_FAILED || act.code != rows[i].want ||
            strstr(act.err.msg, rows[i].text) == NULL) {
            fail_msg("row %zu: %s, %s: %s", i, clm_txn_result_name(act.out.result),
                     clm_code_name(act.code), act.err.msg);
        }
        assert_int_equal(act.scene.server.reloads, 0);
        assert_int_equal(clm_fs_points(), 0);
        end(&act);
    }
}

static void the_expected_old_certificate_is_asked_for(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    act.code = clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle, other_leaf,
                              &act.out, &act.err);
    expect(&act, CLM_TXN_FAILED, CLM_E_CONFLICT, 'O');
    assert_non_null(strstr(act.err.msg, "expected was abab"));
    act.code = clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle,
                              good_certs.old_bundle.leaf.sha256, &act.out, &act.err);
    act.err = act.out.err;
    expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    end(&act);
}

static void a_read_only_directory_is_refused(void **state)
{
    struct act act;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    begin(&act, SCENE_PAIR);
    assert_int_equal(mount(act.scene.etc, act.scene.etc, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, act.scene.etc, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    deploy(&act);
    assert_int_equal(umount2(act.scene.etc, MNT_DETACH), 0);
    expect(&act, CLM_TXN_FAILED, CLM_E_PERM, 'O');
    assert_non_null(strstr(act.err.msg, "Read-only file system"));
    scene_assert_clean(&act.scene);
    end(&act);
}

static void a_bind_mounted_file_is_refused(void **state)
{
    struct act act;
    char other[PATH_MAX];

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    begin(&act, SCENE_PAIR);
    (void)snprintf(other, sizeof(other), "%.4000s/other", act.scene.root);
    scene_write(other, "x", 1, 0644);
    assert_int_equal(mount(other, act.scene.files[0].path, NULL, MS_BIND, NULL), 0);
    deploy(&act);
    assert_int_equal(umount2(act.scene.files[0].path, MNT_DETACH), 0);
    expect(&act, CLM_TXN_FAILED, CLM_E_CONFLICT, 'O');
    assert_non_null(strstr(act.err.msg, "mount point"));
    end(&act);
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

static void an_edit_before_the_swap_is_kept(void **state)
{
    (void)state;
    for (int no_exchange = 0; no_exchange < 2; no_exchange++) {
        struct act act;

        begin(&act, SCENE_PAIR);
        act.scene.server.on_run = edit_before_swap;
        clm_fs_fail_op(no_exchange ? "exchange" : NULL, EINVAL);
        deploy(&act);
        clm_fs_fail_op(NULL, 0);
        assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
        assert_int_equal(act.code, CLM_E_CONFLICT);
        assert_true(is_edited(&act));
        assert_true(scene_holds(act.scene.files[0].path, &act.scene.files[0].old_data));
        assert_int_equal(act.scene.server.reloads, 0); /* it never read the new files */
        assert_true(act.out.is_proved);
        scene_assert_clean(&act.scene);
        end(&act);
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
    begin(&act, SCENE_PAIR);
    act.scene.server.on_run = chmod_before_swap;
    deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_ROLLED_BACK);
    assert_int_equal(act.code, CLM_E_CONFLICT);
    assert_int_equal(stat(act.scene.files[1].path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(scene_holds(act.scene.files[1].path, &act.scene.files[1].old_data));
    end(&act);
}

static void an_edit_after_the_swap_stops_everything(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    act.scene.server.on_run = edit_after_swap;
    deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_NEEDS_HUMAN);
    assert_int_equal(act.code, CLM_E_CONFLICT);
    assert_true(is_edited(&act));
    assert_true(scene_holds(act.scene.files[0].path, &act.scene.files[0].new_data));
    assert_int_equal(scene_count(&act.scene, "txn"), 0);
    assert_int_equal(scene_count(&act.scene, "quarantine"), 1);
    end(&act);
}

/* ---- disks ---- */

/* Fills the file system that holds the target when the journal is complete. */
static void fill_disk(void *arg, const struct clm_txn_event *event)
{
    static const char zeros[4096];
    const struct act *act = arg;
    char path[PATH_MAX];
    int fd;

    if (event->phase == NULL || strcmp(event->phase, "stage") != 0) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%.4000s/filler", act->scene.etc);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros)) {
    }
    (void)close(fd);
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    struct act act;
    char path[PATH_MAX];

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    begin(&act, SCENE_PAIR);
    assert_int_equal(mount("tmpfs", act.scene.etc, "tmpfs", 0, "size=2m,mode=0755"), 0);
    scene_reset(&act.scene, &good_certs);
    act.scene.env.event_arg = &act;
    act.scene.env.on_event = fill_disk;
    deploy(&act);
    (void)snprintf(path, sizeof(path), "%.4000s/filler", act.scene.etc);
    (void)unlink(path);
    expect(&act, CLM_TXN_FAILED, CLM_E_IO, 'O');
    assert_non_null(strstr(act.err.msg, "No space left"));
    scene_assert_clean(&act.scene);
    act.scene.env.on_event = NULL;
    deploy(&act);
    expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(umount2(act.scene.etc, MNT_DETACH), 0);
    end(&act);
}

static void a_nearly_full_disk_is_refused(void **state)
{
    struct act act;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    begin(&act, SCENE_PAIR);
    assert_int_equal(mount("tmpfs", act.scene.etc, "tmpfs", 0, "size=64k,mode=0755"), 0);
    scene_reset(&act.scene, &good_certs);
    deploy(&act);
    expect(&act, CLM_TXN_FAILED, CLM_E_IO, 'O');
    assert_non_null(strstr(act.err.msg, "bytes free"));
    assert_int_equal(umount2(act.scene.etc, MNT_DETACH), 0);
    end(&act);
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
    begin(&act, SCENE_PAIR);
    act.scene.env.on_event = remember_phases;
    act.scene.env.event_arg = phases;
    deploy(&act);
    assert_string_equal(phases, "preflight prepare stage swap reload verify commit ");
    end(&act);
}

static void the_outcome_has_a_json_form_without_keys(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct act act;

    (void)state;
    begin(&act, SCENE_COMBINED);
    deploy(&act);
    clm_txn_outcome_to_json(&act.out, obj);
    assert_int_equal(clm_json_print(obj, false, &text, NULL), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&text), "\"result\":\"succeeded\""));
    assert_non_null(strstr(clm_buf_str(&text), "\"error\":null"));
    assert_non_null(strstr(clm_buf_str(&text), "\"counted\":true"));
    assert_null(strstr(clm_buf_str(&text), "PRIVATE"));
    end(&act);
}

static void proving_alone_changes_nothing(void **state)
{
    struct act act;

    (void)state;
    begin(&act, SCENE_PAIR);
    clm_fs_crash_at(0);
    assert_int_equal(clm_txn_prove(&act.scene.env, &act.scene.plan,
                                   good_certs.old_bundle.leaf.sha256, &act.out, &act.err),
                     CLM_OK);
    assert_true(act.out.is_proved);
    clm_txn_outcome_done(&act.out);
    assert_int_equal(clm_txn_prove(&act.scene.env, &act.scene.plan,
                                   good_certs.new_bundle.leaf.sha256, &act.out, &act.err),
                     CLM_E_VERIFY);
    assert_int_equal(act.out.result, CLM_TXN_FAILED);
    assert_int_equal(act.scene.server.reloads, 0);
    assert_int_equal(clm_fs_points(), 0);
    end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deployment_is_proved),
        cmocka_unit_test(the_same_again_changes_nothing),
        cmocka_unit_test(a_forgotten_reload_is_made_up_for),
        cmocka_unit_test(owner_mode_and_attributes_are_kept),
        cmocka_unit_test(a_symlink_stays_and_its_file_changes),
        cmocka_unit_test(a_process_without_a_unit_is_signalled),
        cmocka_unit_test(what_is_not_served_is_rolled_back_and_proved),
        cmocka_unit_test(the_very_same_file_comes_back),
        cmocka_unit_test(a_server_that_does_not_come_back_needs_a_human),
        cmocka_unit_test(half_a_proof_is_enough_against_an_expired_one),
        cmocka_unit_test(cancelling_leaves_all_old),
        cmocka_unit_test(a_shadowed_or_dead_endpoint_is_reported_only),
        cmocka_unit_test(without_any_served_endpoint_all_count),
        cmocka_unit_test(what_cannot_work_is_refused_before_anything_is_written),
        cmocka_unit_test(the_expected_old_certificate_is_asked_for),
        cmocka_unit_test(a_read_only_directory_is_refused),
        cmocka_unit_test(a_bind_mounted_file_is_refused),
        cmocka_unit_test(an_edit_before_the_swap_is_kept),
        cmocka_unit_test(a_changed_mode_is_an_edit),
        cmocka_unit_test(an_edit_after_the_swap_stops_everything),
        cmocka_unit_test(a_full_disk_leaves_nothing_behind),
        cmocka_unit_test(a_nearly_full_disk_is_refused),
        cmocka_unit_test(phases_are_told_in_order),
        cmocka_unit_test(the_outcome_has_a_json_form_without_keys),
        cmocka_unit_test(proving_alone_changes_nothing),
    };
    int failed;

    scene_certs_make(&good_certs, CLM_TEST_GOOD);
    scene_certs_make(&expired_certs, CLM_TEST_EXPIRED);
    failed = cmocka_run_group_tests_name("txn_deploy", tests, NULL, NULL);
    scene_certs_done(&good_certs);
    scene_certs_done(&expired_certs);
    return failed;
}
