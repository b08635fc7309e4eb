/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/unit/job/act.h"

static struct scene_certs good_certs;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

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

        act_begin(&act, SCENE_PAIR, &good_certs);
        rows[i].spoil(&act);
        act_deploy(&act);
        if (act.out.result != CLM_TXN_FAILED || act.code != rows[i].want ||
            strstr(act.err.msg, rows[i].text) == NULL) {
            fail_msg("row %zu: %s, %s: %s", i, clm_txn_result_name(act.out.result),
                     clm_code_name(act.code), act.err.msg);
        }
        assert_int_equal(act.scene.server.reloads, 0);
        scene_assert_untouched(&act.scene);
        act_end(&act);
    }
}

static void the_expected_old_certificate_is_asked_for(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &good_certs);
    act.code = clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle, other_leaf,
                              &act.out, &act.err);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_CONFLICT, 'O');
    assert_non_null(strstr(act.err.msg, "expected was abab"));
    act.code = clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle,
                              good_certs.old_bundle.leaf.sha256, &act.out, &act.err);
    act.err = act.out.err;
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    act_end(&act);
}

static void a_read_only_directory_is_refused(void **state)
{
    struct act act;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    act_begin(&act, SCENE_PAIR, &good_certs);
    assert_int_equal(mount(act.scene.etc, act.scene.etc, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, act.scene.etc, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    act_deploy(&act);
    assert_int_equal(umount2(act.scene.etc, MNT_DETACH), 0);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_PERM, 'O');
    assert_non_null(strstr(act.err.msg, "Read-only file system"));
    scene_assert_clean(&act.scene);
    act_end(&act);
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
    act_begin(&act, SCENE_PAIR, &good_certs);
    (void)snprintf(other, sizeof(other), "%.4000s/other", act.scene.root);
    scene_write(other, "x", 1, 0644);
    assert_int_equal(mount(other, act.scene.files[0].path, NULL, MS_BIND, NULL), 0);
    act_deploy(&act);
    assert_int_equal(umount2(act.scene.files[0].path, MNT_DETACH), 0);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_CONFLICT, 'O');
    assert_non_null(strstr(act.err.msg, "mount point"));
    act_end(&act);
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
    act_begin(&act, SCENE_PAIR, &good_certs);
    assert_int_equal(mount("tmpfs", act.scene.etc, "tmpfs", 0, "size=2m,mode=0755"), 0);
    scene_reset(&act.scene, &good_certs);
    act.scene.env.event_arg = &act;
    act.scene.env.on_event = fill_disk;
    act_deploy(&act);
    (void)snprintf(path, sizeof(path), "%.4000s/filler", act.scene.etc);
    (void)unlink(path);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_IO, 'O');
    assert_non_null(strstr(act.err.msg, "No space left"));
    scene_assert_clean(&act.scene);
    act.scene.env.on_event = NULL;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(umount2(act.scene.etc, MNT_DETACH), 0);
    act_end(&act);
}

static void a_nearly_full_disk_is_refused(void **state)
{
    struct act act;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    act_begin(&act, SCENE_PAIR, &good_certs);
    assert_int_equal(mount("tmpfs", act.scene.etc, "tmpfs", 0, "size=64k,mode=0755"), 0);
    scene_reset(&act.scene, &good_certs);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_IO, 'O');
    assert_non_null(strstr(act.err.msg, "bytes free"));
    assert_int_equal(umount2(act.scene.etc, MNT_DETACH), 0);
    act_end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_work_is_refused_before_anything_is_written),
        cmocka_unit_test(the_expected_old_certificate_is_asked_for),
        cmocka_unit_test(a_read_only_directory_is_refused),
        cmocka_unit_test(a_bind_mounted_file_is_refused),
        cmocka_unit_test(a_full_disk_leaves_nothing_behind),
        cmocka_unit_test(a_nearly_full_disk_is_refused),
    };
    int failed;

    scene_certs_make(&good_certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("txn_refuse", tests, NULL, NULL);
    scene_certs_done(&good_certs);
    return failed;
}
