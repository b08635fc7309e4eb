/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What killing a process cannot show: that everything is flushed in the right order. Watches every
 * durable operation of deployments, of recoveries and of the store and checks
 *   - no file is renamed or exchanged into place before what was written to it was flushed,
 *   - no directory before what is in it was,
 *   - every change of a directory is flushed before the log says the next thing, and before the
 *     call returns,
 *   - a log record is flushed before anything else happens,
 *   - after SWAPPING nothing is created or written but the log, so no disk can be too full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/job/store.h"
#include "tests/support/scene.h"

static struct scene_certs certs;

struct watch {
    struct clm_strs files; /* written to and not flushed */
    struct clm_strs dirs;  /* changed and not flushed */
    bool log_is_open;      /* a record was written and not flushed */
    bool is_swapping;
    bool may_write; /* also after SWAPPING: the store, and rollbacks from copies */
    unsigned ops;
    char fault[PATH_MAX + 128]; /* the first one */
};

static void fault(struct watch *w, const char *what, const char *path)
{
    if (w->fault[0] == '\0') {
        (void)snprintf(w->fault, sizeof(w->fault), "operation %u: %s: %.4000s", w->ops, what, path);
    }
}

static void mark(struct clm_strs *list, const char *path)
{
    assert_int_equal(clm_strs_add_once(list, path, NULL), CLM_OK);
}

static void unmark(struct clm_strs *list, const char *path)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->v[i], path) == 0) {
            list->v[i][0] = '\0';
        }
    }
}

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static const char *first_marked(const struct clm_strs *list, const char *below)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->v[i][0] != '\0' && (below == NULL || is_below(list->v[i], below))) {
            return list->v[i];
        }
    }
    return NULL;
}

static void path_of_fd(int fd, char *dst)
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, dst, PATH_MAX - 1);
    dst[n > 0 ? n : 0] = '\0';
}

/* The entry an operation is about, as an absolute path. */
static void entry_path(int dir_fd, const char *name, char *dst)
{
    if (dir_fd < 0) {
        (void)snprintf(dst, PATH_MAX, "%s", name);
        return;
    }
    path_of_fd(dir_fd, dst);
    (void)snprintf(dst + strlen(dst), PATH_MAX - strlen(dst), "/%s", name);
}

static void dir_changes(struct watch *w, const char *path)
{
    char dir[PATH_MAX];
    char *slash;

    (void)snprintf(dir, sizeof(dir), "%s", path);
    slash = strrchr(dir, '/');
    *slash = '\0';
    mark(&w->dirs, dir);
}

static void moved(struct watch *w, const char *path)
{
    const char *file = first_marked(&w->files, path);
    const char *dir = first_marked(&w->dirs, path);

    if (file != NULL) {
        fault(w, "put in place before its content was flushed", file);
    }
    if (dir != NULL) {
        fault(w, "put in place before the directory was flushed", dir);
    }
    dir_changes(w, path);
}

static void log_record(struct watch *w, const char *state)
{
    const char *dir = first_marked(&w->dirs, NULL);

    if (dir != NULL) {
        fault(w, "the log goes on before the directory was flushed", dir);
    }
    w->log_is_open = true;
    w->is_swapping = w->is_swapping || strcmp(state, "swapping") == 0;
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void watch_op(void *arg, const char *op, int dir_fd, const char *name)
{
    struct watch *w = arg;
    char path[PATH_MAX];

    w->ops++;
    if (w->log_is_open && !is(op, "logsync")) {
        fault(w, "the log record before was not flushed", op);
    }
    if (is(op, "write") || is(op, "chmod") || is(op, "chown") || is(op, "setxattr")) {
        path_of_fd(dir_fd, path);
        mark(&w->files, path);
    } else if (is(op, "fsync")) {
        path_of_fd(dir_fd, path);
        unmark(&w->files, path);
    } else if (is(op, "log")) {
        log_record(w, name);
    } else if (is(op, "logsync")) {
        w->log_is_open = false;
    } else if (is(op, "syncdir")) {
        (void)snprintf(path, sizeof(path), "%s", name);
        unmark(&w->dirs, path);
    } else {
        entry_path(dir_fd, name, path);
        if (is(op, "rename") || is(op, "exchange")) {
            moved(w, path);
        } else { /* create, mkdir, unlink, rmdir */
            dir_changes(w, path);
            unmark(&w->dirs, path);
        }
    }
    if (w->is_swapping && !w->may_write && (is(op, "create") || is(op, "write"))) {
        fault(w, "needs disk space after SWAPPING", name);
    }
}

static void start_watch(struct watch *w)
{
    memset(w, 0, sizeof(*w));
    clm_fs_crash_at(0);
    clm_fs_trace(watch_op, w);
}

static void end_watch(struct watch *w)
{
    const char *left;

    clm_fs_trace(NULL, NULL);
    left = first_marked(&w->files, NULL);
    if (left != NULL) {
        fault(w, "never flushed", left);
    }
    left = first_marked(&w->dirs, NULL);
    if (left != NULL) {
        fault(w, "directory never flushed", left);
    }
    if (w->log_is_open) {
        fault(w, "log never flushed", "");
    }
    clm_strs_done(&w->files);
    clm_strs_done(&w->dirs);
    assert_string_equal(w->fault, "");
}

static void deployments_flush_in_order(void **state)
{
    (void)state;
    for (int kind = 0; kind < SCENE__COUNT; kind++) {
        for (int bits = 0; bits < 4; bits++) {
            CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
            struct clm_err err = {0};
            struct scene scene;
            struct watch w;

            scene_make(&scene, (enum scene_kind)kind, &certs);
            scene.server.reload_does_nothing = (bits & 1) != 0;
            clm_fs_fail_op((bits & 2) != 0 ? "exchange" : NULL, EINVAL);
            start_watch(&w);
            w.may_write = bits == 3; /* a rollback without exchange writes the copy */
            (void)!clm_txn_deploy(&scene.env, &scene.plan, scene.bundle, NULL, &out, &err);
            clm_fs_fail_op(NULL, 0);
            assert_int_equal(out.result, (bits & 1) != 0 ? CLM_TXN_ROLLED_BACK : CLM_TXN_SUCCEEDED);
            assert_true(w.ops > 5);
            end_watch(&w);
            scene_done(&scene);
        }
    }
}

/* Leaves what a deployment killed at operation n leaves. Returns false if it was not killed. */
static bool kill_deployment_at(struct scene *scene, unsigned n)
{
    int status = 0;
    pid_t pid;

    scene_reset(scene, &certs);
    pid = fork();
    if (pid == 0) {
        struct clm_txn_outcome out = {0};

        clm_fs_crash_at(n);
        _exit(clm_txn_deploy(&scene->env, &scene->plan, scene->bundle, NULL, &out, NULL) == CLM_OK
                  ? 0
                  : 1);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status) == 99;
}

static void recoveries_flush_in_order(void **state)
{
    (void)state;
    for (int kind = 0; kind < SCENE__COUNT; kind++) {
        for (int has_no_exchange = 0; has_no_exchange < 2; has_no_exchange++) {
            struct scene scene;

            scene_make(&scene, (enum scene_kind)kind, &certs);
            clm_fs_fail_op(has_no_exchange ? "exchange" : NULL, EINVAL);
            for (unsigned n = 1; kill_deployment_at(&scene, n); n++) {
                CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes out = {0};
                struct clm_err err = {0};
                struct watch w;

                start_watch(&w);
                assert_int_equal(clm_txn_recover(&scene.env, n % 2 == 0, &out, &err), CLM_OK);
                end_watch(&w);
            }
            clm_fs_fail_op(NULL, 0);
            scene_done(&scene);
        }
    }
}

static void put_key(struct clm_store *store, const char *key_ref)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    struct clm_err err = {0};

    assert_int_equal(clm_store_key_put(store, key_ref, &certs.new_leaf.key_pem, NULL, meta, &err),
                     CLM_OK);
}

static void the_store_flushes_in_order(void **state)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = NULL;
    struct clm_err err = {0};
    struct scene scene;
    struct watch w;

    (void)state;
    scene_make(&scene, SCENE_PAIR, &certs);
    start_watch(&w);
    assert_int_equal(clm_store_open(scene.state, &store, &err), CLM_OK);
    put_key(store, "key_a");
    assert_int_equal(clm_store_bundle_put(store, "key_a", &certs.new_bundle, NULL, &err), CLM_OK);
    assert_int_equal(clm_store_import(store, &scene.plan, NULL, 1, NULL, &err), CLM_OK);
    assert_int_equal(clm_store_generation_add(store, "nginx:www.example",
                                              certs.new_bundle.leaf.sha256, 3, 2, &err),
                     CLM_OK);
    assert_int_equal(clm_store_key_remove(store, "key_a", &err), CLM_OK);
    assert_true(w.ops > 5);
    end_watch(&w);
    scene_done(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deployments_flush_in_order),
        cmocka_unit_test(recoveries_flush_in_order),
        cmocka_unit_test(the_store_flushes_in_order),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("io order", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
