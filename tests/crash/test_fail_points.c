/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets durable operation n of a deployment fail with an error, for every n: once, and from there on
 * for ever (a disk that fills up, or breaks). Whatever is reported must be true, and once the disk
 * is well again a recovery leaves all old or all new and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/support/scene.h"

static struct scene_certs certs;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

struct run {
    enum scene_kind kind;
    unsigned n;
    int sys_errno;
    int sticky;
    bool rolls_back;
};

static void complain(const struct run *run, const struct clm_txn_outcome *out, const char *what)
{
    fail_msg("scene %d%s, operation %u fails with %s%s: %s (result %s: %s)", (int)run->kind,
             run->rolls_back ? " (rolled back)" : "", run->n, strerror(run->sys_errno),
             run->sticky ? " from then on" : "", what, clm_txn_result_name(out->result),
             out->err.msg);
}

static void check_report(const struct scene *scene, const struct run *run,
                         const struct clm_txn_outcome *out, enum clm_code code)
{
    char files = scene_files_are(scene);

    if ((code == CLM_OK) != (out->result == CLM_TXN_SUCCEEDED)) {
        complain(run, out, "code and result differ");
    }
    if (code != CLM_OK && out->err.msg[0] == '\0') {
        complain(run, out, "an error without a message");
    }
    switch (out->result) {
    case CLM_TXN_SUCCEEDED:
        if (files != 'N') {
            complain(run, out, "files are not new");
        }
        break;
    case CLM_TXN_FAILED:
    case CLM_TXN_ROLLED_BACK:
        if (files != 'O') {
            complain(run, out, "files are not old");
        }
        break;
    case CLM_TXN_BLOCKED: /* the journal must be there to finish it */
        if (scene_count(scene, "txn") != 1) {
            complain(run, out, "there is no journal");
        }
        break;
    case CLM_TXN_NOOP:
    case CLM_TXN_NEEDS_HUMAN:
    case CLM_TXN_WAITING:
    case CLM_TXN_LEFT:
    case CLM_TXN__COUNT:
        complain(run, out, "an unexpected result");
    }
}

static void check_recovered(struct scene *scene, const struct run *run,
                            const struct clm_txn_outcome *out)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes again = {0};
    char files;

    scene->server.other_sha256 = NULL;
    if (clm_txn_recover(&scene->env, false, &again, NULL) != CLM_OK) {
        complain(run, out, "recovery failed");
    }
    files = scene_files_are(scene);
    if (files != 'O' && files != 'N') {
        complain(run, out, "a mixture after recovery");
    }
    if (out->result == CLM_TXN_SUCCEEDED && files != 'N') {
        complain(run, out, "a reported success was undone");
    }
    if ((out->result == CLM_TXN_FAILED || out->result == CLM_TXN_ROLLED_BACK) && files != 'O') {
        complain(run, out, "new files after a reported failure");
    }
    scene_assert_clean(scene);
}

/* Returns false once the deployment has fewer than n operations. */
static bool fail_at(struct scene *scene, const struct run *run)
{
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
    struct clm_err err = {0};
    enum clm_code code;
    bool is_reached;

    scene_reset(scene, &certs);
    scene->server.other_sha256 = run->rolls_back ? other_leaf : NULL;
    clm_fs_crash_at(0);
    clm_fs_fail_at(run->n, run->sys_errno, run->sticky);
    code = clm_txn_deploy(&scene->env, &scene->plan, scene->bundle, NULL, &out, &err);
    is_reached = clm_fs_points() >= run->n;
    clm_fs_fail_at(0, 0, 0);
    check_report(scene, run, &out, code);
    scene_assert_keys_private(scene);
    check_recovered(scene, run, &out);
    return is_reached;
}

static unsigned run_all(struct run run)
{
    struct scene scene;

    scene_make(&scene, run.kind, &certs);
    for (run.n = 1; fail_at(&scene, &run); run.n++) {
    }
    scene_done(&scene);
    return run.n - 1;
}

static void every_failing_operation_is_survived(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EROFS};
    unsigned total = 0;

    (void)state;
    for (int kind = 0; kind < SCENE__COUNT; kind++) {
        for (size_t e = 0; e < CLM_ARRAY_LEN(errors); e++) {
            for (int bits = 0; bits < 4; bits++) {
                total += run_all((struct run){.kind = (enum scene_kind)kind,
                                              .sys_errno = errors[e],
                                              .sticky = bits & 1,
                                              .rolls_back = (bits & 2) != 0});
            }
        }
    }
    print_message("%u failing operations\n", total);
}

/* Leaves what a deployment killed at operation k leaves. Returns false if it was not killed. */
static bool kill_deployment_at(struct scene *scene, unsigned k)
{
    int status = 0;
    pid_t pid;

    scene_reset(scene, &certs);
    pid = fork();
    if (pid == 0) {
        CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};

        clm_fs_crash_at(k);
        _exit(clm_txn_deploy(&scene->env, &scene->plan, scene->bundle, NULL, &out, NULL) != CLM_OK);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 99;
}

/* Returns false once the recovery has fewer than n operations. */
static bool fail_recovery_at(struct scene *scene, unsigned n, int sticky)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};
    struct clm_err err = {0};
    struct clm_txn_outcome none = {.result = CLM_TXN_BLOCKED};
    struct run run = {.kind = scene->kind, .n = n, .sys_errno = EIO, .sticky = sticky};
    bool is_reached;
    enum clm_code code;

    clm_fs_fail_at(n, EIO, sticky);
    code = clm_txn_recover(&scene->env, false, &outs, &err);
    is_reached = clm_fs_points() >= n;
    clm_fs_fail_at(0, 0, 0);
    if (code != CLM_OK && err.msg[0] == '\0') {
        complain(&run, &none, "an error without a message");
    }
    scene_assert_keys_private(scene);
    check_recovered(scene, &run, outs.n > 0 ? &outs.v[0] : &none);
    return is_reached;
}

static void every_failing_operation_of_a_recovery_is_survived(void **state)
{
    struct scene scene;
    unsigned total = 0;

    (void)state;
    scene_make(&scene, SCENE_PAIR, &certs);
    for (unsigned k = 1; kill_deployment_at(&scene, k); k++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            unsigned n = 1;

            assert_true(kill_deployment_at(&scene, k));
            while (fail_recovery_at(&scene, n, sticky)) {
                assert_true(kill_deployment_at(&scene, k));
                n++;
            }
            total += n - 1;
        }
    }
    print_message("%u failing operations of recoveries\n", total);
    scene_done(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_operation_is_survived),
        cmocka_unit_test(every_failing_operation_of_a_recovery_is_survived),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("fail points", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
