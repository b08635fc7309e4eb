/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs deployments that die at durable operation n, for n = 1, 2, 3 ... until one no longer dies;
 * after each death recovers, where recovery itself dies at operation m, for every m; recovers again,
 * and checks the invariants I1 to I5, I7, I8, I9 and I10 of docs/journal.md. It kills the process,
 * not the machine: a missing fsync is found by test_io_order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/support/scene.h"

#define DIED 99 /* exit status of clm_fs_point() */

/* How the deployment goes when nobody kills it. */
enum story {
    GOES_WELL,
    NOT_SERVED,     /* the reload does nothing: rolled back at the deadline */
    SERVES_OTHER,   /* another leaf appears: rolled back */
    RELOAD_REFUSED, /* the first reload fails: rolled back, the next one works */
    RELOAD_DEAD,    /* no reload ever works: old files, a human is called */
    RELOAD_LOST,    /* rolled back, but no reload works any more until the next start */
    CHECK_REFUSES,  /* the test program refuses the new files */
    NO_EXCHANGE,    /* a file system without RENAME_EXCHANGE */
    NO_EXCHANGE_OTHER,
    OLD_EXPIRED, /* reload done, old certificate expired: recovery keeps the new one */
};

static const struct {
    const char *name;
    enum scene_kind kind;
    enum story story;
    bool ends_new; /* of the run that is not killed */
} cases[] = {
    {"pair", SCENE_PAIR, GOES_WELL, true},
    {"pair, not served", SCENE_PAIR, NOT_SERVED, false},
    {"pair, serves other", SCENE_PAIR, SERVES_OTHER, false},
    {"pair, reload refused once", SCENE_PAIR, RELOAD_REFUSED, false},
    {"pair, reload never works", SCENE_PAIR, RELOAD_DEAD, false},
    {"pair, reload works again later", SCENE_PAIR, RELOAD_LOST, false},
    {"pair, test program refuses", SCENE_PAIR, CHECK_REFUSES, false},
    {"pair, no exchange", SCENE_PAIR, NO_EXCHANGE, true},
    {"pair, no exchange, serves other", SCENE_PAIR, NO_EXCHANGE_OTHER, false},
    {"pair, old expired", SCENE_PAIR, OLD_EXPIRED, true},
    {"three files", SCENE_THREE, GOES_WELL, true},
    {"three files, serves other", SCENE_THREE, SERVES_OTHER, false},
    {"one combined file", SCENE_COMBINED, GOES_WELL, true},
    {"one combined file, serves other", SCENE_COMBINED, SERVES_OTHER, false},
    {"first installation", SCENE_FIRST, GOES_WELL, true},
    {"first installation, serves other", SCENE_FIRST, SERVES_OTHER, false},
    {"keystore, serves other", SCENE_STORE, SERVES_OTHER, false},
    {"edited text, serves other", SCENE_EDIT, SERVES_OTHER, false},
};

static struct scene_certs good_certs;
static struct scene_certs expired_certs;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

static void set_story(struct scene *scene, enum story story)
{
    clm_fs_fail_op(story == NO_EXCHANGE || story == NO_EXCHANGE_OTHER ? "exchange" : NULL, EINVAL);
    switch (story) {
    case GOES_WELL:
    case NO_EXCHANGE:
    case OLD_EXPIRED:
        scene->server.old_for_ms = 60;
        break;
    case NOT_SERVED:
        scene->server.reload_does_nothing = true;
        break;
    case SERVES_OTHER:
    case NO_EXCHANGE_OTHER:
        scene->server.other_sha256 = other_leaf;
        break;
    case RELOAD_REFUSED:
        scene->server.fail_reloads = 1;
        break;
    case RELOAD_DEAD:
        scene->server.fail_reloads = -1;
        break;
    case RELOAD_LOST:
        scene->server.other_sha256 = other_leaf;
        scene->server.fail_reloads_after = 1; /* of each process */
        break;
    case CHECK_REFUSES:
        scene->server.post_check_status = 1;
        break;
    }
}

static int deploy(struct scene *scene)
{
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
    struct clm_err err = {0};
    enum clm_code code = clm_txn_deploy(&scene->env, &scene->plan, scene->bundle, NULL, &out, &err);

    return code == CLM_OK && out.result == CLM_TXN_SUCCEEDED ? 0 : 1;
}

static int recover(struct scene *scene, bool boot)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes out = {0};
    struct clm_err err = {0};

    if (clm_txn_recover(&scene->env, boot, &out, &err) != CLM_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    for (size_t i = 0; i < out.n; i++) {
        if (out.v[i].result == CLM_TXN_BLOCKED) {
            (void)fprintf(stderr, "blocked: %s\n", out.v[i].err.msg);
            return 1;
        }
    }
    return 0;
}

/* Runs one of the two in a child that dies at operation n (0: never). Returns its exit status. */
static int in_child(struct scene *scene, enum story story, unsigned n, int is_recovery, bool boot)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        set_story(scene, story);
        clm_fs_crash_at(n);
        _exit(is_recovery ? recover(scene, boot) : deploy(scene));
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

struct run {
    size_t index;
    unsigned n; /* where the deployment died */
    unsigned m; /* where the recovery died */
    bool boot;
    bool is_over; /* the deployment left no journal */
};

static void complain(const struct run *run, const char *what)
{
    fail_msg("%s: killed at %u, recovery%s killed at %u: %s", cases[run->index].name, run->n,
             run->boot ? " at boot" : "", run->m, what);
}

/* Everything that must hold after a recovery that ran to its end. */
static void check_end(struct scene *scene, const struct run *run, int status)
{
    enum story story = cases[run->index].story;
    char files = scene_files_are(scene);
    char served[CLM_SHA256_HEX_SIZE];

    if (files != 'O' && files != 'N') {
        complain(run, "files are a mixture"); /* I1, I2, I3 */
    }
    if (status == 0 && files != 'N') {
        complain(run, "success was reported, but the files are old"); /* I5 */
    }
    if (status == 1 && files != 'O') {
        complain(run, "a failure was reported, but the files are new"); /* I6 */
    }
    if (status != DIED && (status == 0) != cases[run->index].ends_new) {
        complain(run, "the undisturbed run ended otherwise");
    }
    scene_assert_clean(scene); /* I4, I9, I10 */
    if (run->boot || story == RELOAD_DEAD || story == NOT_SERVED) {
        return;
    }
    if (story == RELOAD_LOST && run->is_over) {
        return; /* the human was called, or that alone was lost */
    }
    fake_io_served(&scene->server, served);
    if (served[0] != '\0' || files == 'N') { /* I8: what is served is what is installed */
        const char *want = files == 'N' ? scene->bundle->leaf.sha256 : scene->server.first_sha256;

        if (strcmp(served, want) != 0) {
            complain(run, "the server does not serve what is installed");
        }
    }
}

/* I7: once more finds nothing to do. */
static void check_nothing_left(struct scene *scene, const struct run *run)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes out = {0};
    char files = scene_files_are(scene);

    if (clm_txn_recover(&scene->env, run->boot, &out, NULL) != CLM_OK || out.n != 0 ||
        scene_files_are(scene) != files) {
        complain(run, "a third recovery found something to do");
    }
}

static struct scene_certs *certs_of(size_t index)
{
    return cases[index].story == OLD_EXPIRED ? &expired_certs : &good_certs;
}

/* One deployment killed at n, recoveries killed at every m. Returns false once it is not killed. */
static bool kill_at(struct scene *scene, struct run *run, unsigned *out_runs)
{
    enum story story = cases[run->index].story;
    int status = DIED;

    for (run->m = 1;; run->m++) {
        int recovered;

        scene_reset(scene, certs_of(run->index));
        status = in_child(scene, story, run->n, 0, false);
        run->is_over = scene_count(scene, "txn") == 0;
        scene_assert_keys_private(scene);
        recovered = in_child(scene, story, run->m, 1, run->boot);
        if (recovered == DIED) {
            scene_assert_keys_private(scene);
            if (in_child(scene, story, 0, 1, run->boot) != 0) {
                complain(run, "the second recovery failed");
            }
        } else if (recovered != 0) {
            complain(run, "recovery failed");
        }
        check_end(scene, run, status);
        check_nothing_left(scene, run);
        (*out_runs)++;
        if (recovered != DIED) {
            return status == DIED;
        }
    }
}

static void run_case(size_t index, bool boot)
{
    struct scene scene;
    struct run run = {.index = index, .boot = boot};
    unsigned runs = 0;

    scene_make(&scene, cases[index].kind, certs_of(index));
    for (run.n = 1; kill_at(&scene, &run, &runs); run.n++) {
    }
    print_message("%s%s: %u kill points, %u runs\n", cases[index].name, boot ? " (boot)" : "",
                  run.n - 1, runs);
    scene_done(&scene);
}

static void every_kill_leaves_old_or_new(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        run_case(i, false);
    }
}

static void every_kill_leaves_old_or_new_after_boot(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (cases[i].story == GOES_WELL || cases[i].story == SERVES_OTHER) {
            run_case(i, true);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kill_leaves_old_or_new),
        cmocka_unit_test(every_kill_leaves_old_or_new_after_boot),
    };
    int failed;

    scene_certs_make(&good_certs, CLM_TEST_GOOD);
    scene_certs_make(&expired_certs, CLM_TEST_EXPIRED);
    failed = cmocka_run_group_tests_name("crash", tests, NULL, NULL);
    scene_certs_done(&good_certs);
    scene_certs_done(&expired_certs);
    return failed;
}
