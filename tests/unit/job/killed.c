/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/job/killed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

void killed_now(struct killed *k)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};

        k->scene.server.on_run = die;
        (void)!clm_txn_deploy(&k->scene.env, &k->scene.plan, k->scene.bundle, NULL, &out, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 99);
    assert_int_equal(scene_files_are(&k->scene), 'N');
    only_entry(&k->scene, "txn", k->journal);
}

void killed_begin(struct killed *k, enum scene_kind kind, struct scene_certs *certs)
{
    memset(k, 0, sizeof(*k));
    scene_make(&k->scene, kind, certs);
    killed_now(k);
}

void killed_end(struct killed *k)
{
    clm_txn_outcomes_done(&k->outs);
    scene_done(&k->scene);
}

const struct clm_txn_outcome *killed_recover(struct killed *k, bool boot)
{
    struct clm_err err = {0};

    clm_txn_outcomes_done(&k->outs);
    if (clm_txn_recover(&k->scene.env, boot, &k->outs, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(k->outs.n, 1);
    assert_true(k->outs.v[0].is_recovery);
    return &k->outs.v[0];
}

void killed_in_journal(const struct killed *k, const char *name, char *dst)
{
    (void)snprintf(dst, PATH_MAX, "%.4000s/%s", k->journal, name);
}

void killed_say(const struct killed *k, enum clm_txn_state state)
{
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    char path[PATH_MAX];

    killed_in_journal(k, "log", path);
    assert_int_equal(clm_txn_log_open(path, strrchr(k->journal, '/') + 1, &log, NULL), CLM_OK);
    assert_int_equal(clm_txn_log_append(&log, state, 1, NULL), CLM_OK);
}

void killed_sweep_temps(struct killed *k)
{
    DIR *d = opendir(k->scene.etc);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strstr(entry->d_name, ".clmbot.") != NULL) {
            assert_int_equal(unlinkat(dirfd(d), entry->d_name, 0), 0);
        }
    }
    (void)closedir(d);
}
