/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at before anything is written: kinds of files, limits, and what is there already. */
#define _GNU_SOURCE /* statx */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/job/act.h"

static struct scene_certs certs;

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

/* The plan's n-th file, from 0. */
static struct clm_step *file_step(struct act *act, size_t n)
{
    for (size_t i = 0; i < act->scene.plan.n_steps; i++) {
        if (act->scene.plan.steps[i].kind == CLM_STEP_FILE_PUT && n-- == 0) {
            return &act->scene.plan.steps[i];
        }
    }
    fail_msg("no such file");
    return NULL;
}

static void swap_files(struct act *act, size_t a, size_t b)
{
    struct clm_step *x = file_step(act, a);
    struct clm_step *y = file_step(act, b);
    struct clm_step kept = *x;

    *x = *y;
    *y = kept;
}

static void expect_refused(struct act *act, enum clm_code code, const char *text)
{
    act_deploy(act);
    if (act->out.result != CLM_TXN_FAILED || act->code != code ||
        strstr(act->err.msg, text) == NULL) {
        fail_msg("%s, %s: %s", clm_txn_result_name(act->out.result), clm_code_name(act->code),
                 act->err.msg);
    }
    assert_int_equal(act->scene.server.reloads, 0);
}

/* ---- files ---- */

static void a_pipe_is_no_place_for_a_certificate(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    assert_int_equal(unlink(act.scene.files[0].path), 0);
    assert_int_equal(mkfifo(act.scene.files[0].path, 0644), 0);
    expect_refused(&act, CLM_E_CONFLICT, "is not a regular file");
    act_end(&act);
}

/* False where the file system or the kernel does not let us. */
static bool make_immutable(const char *path, bool on)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int flags = 0;
    bool done;

    assert_true(fd >= 0);
    done = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    done = done && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
    (void)close(fd);
    return done;
}

static void an_immutable_file_is_refused(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    if (make_immutable(act.scene.files[0].path, true)) {
        expect_refused(&act, CLM_E_CONFLICT, "run: chattr -i -a on it");
        assert_true(make_immutable(act.scene.files[0].path, false));
    } else {
        print_message("needs root, and a file system with attributes: not run\n");
    }
    act_end(&act);
}

/* What an open file is said to be, from now on (the linker sends statx() here). */
static uint64_t added_ino;
static uint32_t added_minor;

int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *sx);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *sx);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *sx)
{
    int rc = __real_statx(fd, path, flags, mask, sx);

    if (rc == 0 && (flags & AT_EMPTY_PATH) != 0 && S_ISREG(sx->stx_mode)) {
        sx->stx_ino += added_ino;
        sx->stx_dev_minor += added_minor;
    }
    return rc;
}

/* Between the look at its name and the reading: it is another file, or one of another disk. */
static void a_file_that_is_being_replaced_is_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &certs);
        added_ino = i == 0;
        added_minor = i == 1;
        expect_refused(&act, CLM_E_CONFLICT, "is being replaced by someone else");
        added_ino = 0;
        added_minor = 0;
        scene_assert_untouched(&act.scene);
        act_end(&act);
    }
}

/* As a mode that nobody gave: only the owner reads what has a key in it. */
static void new_files_have_a_mode_for_what_they_hold(void **state)
{
    struct act act;
    struct stat st;

    (void)state;
    act_begin(&act, SCENE_FIRST, &certs);
    file_step(&act, 0)->mode = 0;
    file_step(&act, 1)->mode = 0;
    act_deploy(&act);
    assert_int_equal(act.code, CLM_OK);
    assert_int_equal(stat(act.scene.files[0].path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(stat(act.scene.files[1].path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    act_end(&act);
}

static void a_new_keystore_is_its_owners(void **state)
{
    struct act act;
    struct stat st;

    (void)state;
    act_begin(&act, SCENE_STORE, &certs);
    assert_int_equal(unlink(act.scene.files[1].path), 0);
    file_step(&act, 1)->may_create = true;
    file_step(&act, 1)->mode = 0;
    file_step(&act, 1)->content = CLM_CONTENT_LEAF;
    act_deploy(&act);
    assert_int_equal(act.code, CLM_OK);
    assert_int_equal(stat(act.scene.files[1].path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    act_end(&act);
}

/* The same name elsewhere is another file. */
static void two_files_may_share_a_name(void **state)
{
    struct act act;
    char path[PATH_MAX];

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    (void)snprintf(path, sizeof(path), "%.3000s/sub", act.scene.etc);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof(path), "%.3000s/sub/site.crt", act.scene.etc);
    assert_int_equal(rename(act.scene.files[1].path, path), 0);
    memcpy(file_step(&act, 1)->path, path, sizeof(path));
    memcpy(act.scene.server.key_path, path, sizeof(path));
    act_deploy(&act);
    assert_int_equal(act.code, CLM_OK);
    assert_true(scene_holds(path, &act.scene.files[1].new_data));
    act_end(&act);
}

static void what_is_new_already_is_left_alone(void **state)
{
    struct act act;
    struct stat before;
    struct stat after;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    scene_write(act.scene.files[0].path, act.scene.files[0].new_data.data,
                act.scene.files[0].new_data.len, act.scene.files[0].mode);
    assert_int_equal(stat(act.scene.files[0].path, &before), 0);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(stat(act.scene.files[0].path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    act_end(&act);
}

/* Salts are new every time, so a keystore is compared by what it holds. */
static void a_keystore_that_is_good_is_not_written_again(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_STORE, &certs);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_non_null(act_step(&act, "keystore"));
    act_deploy(&act);
    act_expect(&act, CLM_TXN_NOOP, CLM_OK, 'N');
    assert_null(act_step(&act, "keystore"));
    act_end(&act);
}

/* ---- the certificate that is there ---- */

static void the_old_leaf_is_found_wherever_it_stands(void **state)
{
    static const struct {
        enum scene_kind kind;
        size_t a; /* these two files change places in the plan */
        size_t b;
    } rows[] = {{SCENE_PAIR, 0, 1}, {SCENE_STORE, 0, 1}, {SCENE_PKCS12, 0, 1}, {SCENE_STORE, 0, 2}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        act_begin(&act, rows[i].kind, &certs);
        swap_files(&act, rows[i].a, rows[i].b);
        act_deploy(&act);
        act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
        assert_string_equal(act.out.before_sha256, certs.old_bundle.leaf.sha256);
        act_end(&act);
    }
}

/* A keystore is looked into whatever the plan says is in it. */
static void a_keystore_for_a_key_holds_the_leaf(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_STORE, &certs);
    swap_files(&act, 0, 1);
    file_step(&act, 0)->content = CLM_CONTENT_KEY;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_string_equal(act.out.before_sha256, certs.old_bundle.leaf.sha256);
    act_end(&act);
}

static void the_leaf_is_found_behind_its_key(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(100000);
    struct act act;

    (void)state;
    act_begin(&act, SCENE_COMBINED, &certs);
    assert_int_equal(
        clm_buf_add(&text, certs.old_leaf.key_pem.data, certs.old_leaf.key_pem.len, NULL), CLM_OK);
    assert_int_equal(
        clm_buf_add(&text, certs.old_leaf.full_pem.data, certs.old_leaf.full_pem.len, NULL),
        CLM_OK);
    scene_write(act.scene.files[0].path, text.data, text.len, 0600);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_string_equal(act.out.before_sha256, certs.old_bundle.leaf.sha256);
    act_end(&act);
}

/* Nothing that could be compared; a broken block is no certificate either. */
static void files_without_a_certificate_have_no_old_leaf(void **state)
{
    static const char *const texts[] = {
        "nothing", "-----BEGIN X-----\nQUJD\n-----END X-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(texts); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &certs);
        scene_write(act.scene.files[0].path, texts[i], strlen(texts[i]), 0644);
        act.code = clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle,
                                  certs.old_bundle.leaf.sha256, &act.out, &act.err);
        assert_int_equal(act.code, CLM_E_CONFLICT);
        assert_non_null(strstr(act.err.msg, "the installed certificate is none"));
        act_end(&act);
    }
}

/* Somebody was faster, and it is the right one. */
static void the_new_certificate_is_always_expected(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    clm_txn_outcome_done(&act.out);
    act.code = clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle,
                              certs.old_bundle.leaf.sha256, &act.out, &act.err);
    act_expect(&act, CLM_TXN_NOOP, CLM_OK, 'N');
    act_end(&act);
}

/* ---- limits ---- */

static void a_plan_has_at_most_16_files(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    for (size_t i = 0; i < CLM_TXN_FILES_MAX; i++) {
        struct clm_step *step = clm_plan_add(&act.scene.plan, CLM_STEP_FILE_PUT, NULL);

        assert_non_null(step);
        (void)snprintf(step->path, sizeof(step->path), "%.3000s/%zu.crt", act.scene.etc, i);
        step->content = CLM_CONTENT_LEAF;
        step->may_create = true;
        step->mode = 0644;
    }
    expect_refused(&act, CLM_E_LIMIT, "more than 16 files");
    scene_assert_untouched(&act.scene);
    act_end(&act);
}

static void a_plan_has_at_most_64_endpoints(void **state)
{
    struct clm_endpoint endpoints[CLM_TXN_ENDPOINTS_MAX];
    struct clm_step *step;
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    for (size_t i = 0; i < CLM_ARRAY_LEN(endpoints); i++) {
        endpoints[i] = (struct clm_endpoint){
            .addr = "127.0.0.1", .port = (uint16_t)(1000 + i), .timeout_ms = 1000};
    }
    step = clm_plan_add(&act.scene.plan, CLM_STEP_VERIFY, NULL);
    assert_non_null(step);
    assert_int_equal(clm_step_set_endpoints(step, endpoints, CLM_ARRAY_LEN(endpoints), NULL),
                     CLM_OK);
    expect_refused(&act, CLM_E_LIMIT, "more than 64 endpoints");
    act_end(&act);
}

/* More steps than are reported: the first ones are. */
static void reports_have_an_end(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    for (size_t i = 0; i < CLM_TXN_STEPS_MAX; i++) {
        struct clm_step *step = clm_plan_add(&act.scene.plan, CLM_STEP_CHECK, NULL);

        assert_non_null(step);
        assert_int_equal(clm_strs_add(&step->argv, "/usr/sbin/a\x7f\tb", NULL), CLM_OK);
    }
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.out.n_steps, CLM_TXN_STEPS_MAX);
    assert_string_equal(act.out.steps[3].detail, "/usr/sbin/a??b"); /* safe to show */
    act_end(&act);
}

static void a_nearly_full_state_directory_is_refused(void **state)
{
    struct act act;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    act_begin(&act, SCENE_PAIR, &certs);
    assert_int_equal(mount("tmpfs", act.scene.state, "tmpfs", 0, "size=64k,mode=0700"), 0);
    expect_refused(&act, CLM_E_IO, "bytes free");
    assert_non_null(strstr(act.err.msg, act.scene.state));
    assert_int_equal(umount2(act.scene.state, MNT_DETACH), 0);
    act_end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_is_no_place_for_a_certificate),
        cmocka_unit_test(an_immutable_file_is_refused),
        cmocka_unit_test(a_file_that_is_being_replaced_is_left_alone),
        cmocka_unit_test(new_files_have_a_mode_for_what_they_hold),
        cmocka_unit_test(a_new_keystore_is_its_owners),
        cmocka_unit_test(two_files_may_share_a_name),
        cmocka_unit_test(what_is_new_already_is_left_alone),
        cmocka_unit_test(a_keystore_that_is_good_is_not_written_again),
        cmocka_unit_test(the_old_leaf_is_found_wherever_it_stands),
        cmocka_unit_test(a_keystore_for_a_key_holds_the_leaf),
        cmocka_unit_test(the_leaf_is_found_behind_its_key),
        cmocka_unit_test(files_without_a_certificate_have_no_old_leaf),
        cmocka_unit_test(the_new_certificate_is_always_expected),
        cmocka_unit_test(a_plan_has_at_most_16_files),
        cmocka_unit_test(a_plan_has_at_most_64_endpoints),
        cmocka_unit_test(reports_have_an_end),
        cmocka_unit_test(a_nearly_full_state_directory_is_refused),
    };

    return cmocka_run_group_tests_name("txn_preflight", tests, make_certs, drop_certs);
}
