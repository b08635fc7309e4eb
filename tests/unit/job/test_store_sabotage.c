/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store while calls of libc fail: each once, reading ones and allocations, too. What was in it
 * stays, what is reported is there, and afterwards the same work can be done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/job/store.h"
#include "tests/support/sabotage.h"
#include "tests/support/scene.h"

#define TARGET "nginx:www.example"
#define OTHER  "apache:www.example"
#define RETAIN 2

static struct scene_certs certs;

/* What the calls of one run gave back. */
struct seen {
    struct clm_strs removed;
    struct clm_strs targets;
    struct clm_generations list;
    struct clm_generation current;
    struct clm_generation before;
    struct clm_json *history;
    struct clm_json *meta;
    struct clm_bundle bundle;
    struct clm_store_key key;
    bool is_imported;
};

struct act {
    struct scene scene;
    struct seen seen;
};

static void sha256_of(char digit, char *dst)
{
    memset(dst, digit, CLM_SHA256_HEX_SIZE - 1);
    dst[CLM_SHA256_HEX_SIZE - 1] = '\0';
}

static void seen_done(struct seen *seen)
{
    clm_strs_done(&seen->removed);
    clm_strs_done(&seen->targets);
    clm_generations_done(&seen->list);
    clm_json_free(seen->history);
    clm_json_free(seen->meta);
    clm_bundle_done(&seen->bundle);
    clm_store_key_done(&seen->key);
    *seen = (struct seen){.bundle = CLM_BUNDLE_INIT, .key = CLM_STORE_KEY_INIT};
}

/* ---- the work, in pieces ---- */

static bool has_ended(void *arg, const struct clm_json *meta)
{
    (void)arg;
    (void)meta;
    return true;
}

static enum clm_code put_key(struct clm_store *store, const char *key_ref, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    enum clm_code code;

    clm_json_set_str(meta, "certificate_id", "crt_1");
    code = clm_store_key_put(store, key_ref, &certs.new_leaf.key_pem, &certs.new_leaf.leaf_pem,
                             meta, err);
    return code == CLM_E_EXISTS ? CLM_OK : code; /* of the time before */
}

/* A bundle of key_a that differs from others in its name only. */
static enum clm_code put_bundle(struct clm_store *store, char digit, struct clm_err *err)
{
    struct clm_bundle bundle = certs.new_bundle; /* borrowed, but for the name */
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();

    sha256_of(digit, bundle.leaf.sha256);
    clm_json_set_str(meta, "order_id", "ord_1");
    return clm_store_bundle_put(store, "key_a", &bundle, meta, err);
}

static enum clm_code install(struct clm_store *store, const char *target, char digit,
                             struct clm_err *err)
{
    char sha256[CLM_SHA256_HEX_SIZE];
    enum clm_code code = put_bundle(store, digit, err);

    sha256_of(digit, sha256);
    return code != CLM_OK ? code : clm_store_generation_add(store, target, sha256, RETAIN, 1, err);
}

static enum clm_code keep_keys(struct clm_store *store, struct seen *seen, struct clm_err *err)
{
    enum clm_code code = put_key(store, "key_a", err);

    if (code == CLM_OK) {
        code = put_key(store, "key_b", err);
    }
    if (code == CLM_OK) {
        code = put_key(store, "key_c", err);
    }
    if (code == CLM_OK) {
        code = clm_store_key_get(store, "key_a", &seen->key, err);
    }
    return code;
}

/* The bundle 'a' belongs to both targets; the first one gets three more and forgets it. */
static enum clm_code keep_bundles(struct clm_store *store, struct seen *seen, struct clm_err *err)
{
    char sha256[CLM_SHA256_HEX_SIZE];
    enum clm_code code = install(store, OTHER, 'a', err);

    for (const char *digit = "abcd"; code == CLM_OK && *digit != '\0'; digit++) {
        code = install(store, TARGET, *digit, err);
    }
    sha256_of('a', sha256);
    if (code == CLM_OK) {
        code = clm_store_bundle_get(store, sha256, &seen->bundle, err);
    }
    return code == CLM_OK ? clm_store_bundle_meta(store, sha256, &seen->meta, err) : code;
}

static enum clm_code look(struct clm_store *store, struct seen *seen, struct clm_err *err)
{
    enum clm_code code = clm_store_generation_list(store, TARGET, &seen->list, err);

    if (code == CLM_OK) {
        code = clm_store_generation_current(store, TARGET, &seen->current, err);
    }
    if (code == CLM_OK) {
        code = clm_store_generation_find(store, TARGET, CLM_GENERATION_BEFORE, &seen->before, err);
    }
    if (code == CLM_OK) {
        code = clm_store_target_list(store, &seen->targets, err);
    }
    return code == CLM_OK ? clm_store_key_sweep(store, has_ended, NULL, 1, &seen->removed, err)
                          : code;
}

static enum clm_code remember(struct clm_store *store, struct seen *seen, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *entry = clm_json_new_object();
    enum clm_code code;

    clm_json_set_str(entry, "target", TARGET);
    code = clm_store_history_add(store, entry, err);
    if (code == CLM_OK) {
        seen->history = clm_json_new_array();
        code = clm_store_history_list(store, TARGET, 9, seen->history, err);
    }
    return code == CLM_OK && !clm_json_is_whole(seen->history)
               ? clm_err_set(err, CLM_E_NOMEM, "list of history")
               : code;
}

static enum clm_code work(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = NULL;
    struct act *act = arg;
    struct seen *seen = &act->seen;
    enum clm_code code = clm_store_open(act->scene.state, &store, err);

    if (code == CLM_OK) {
        code = keep_keys(store, seen, err);
    }
    if (code == CLM_OK) {
        code = keep_bundles(store, seen, err);
    }
    if (code == CLM_OK) {
        code = look(store, seen, err);
    }
    if (code == CLM_OK) {
        code = remember(store, seen, err);
    }
    return code;
}

static enum clm_code import(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = NULL;
    struct act *act = arg;
    enum clm_code code = clm_store_open(act->scene.state, &store, err);

    return code != CLM_OK ? code
                          : clm_store_import(store, &act->scene.plan, &act->scene.env.secrets, 7,
                                             &act->seen.is_imported, err);
}

/* ---- what must hold ---- */

static void check_bundles(const struct act *act, struct clm_store *store, const char *target,
                          const char *what)
{
    CLM_CLEANUP(clm_generations_done) struct clm_generations list = {0};
    struct clm_err err = {0};

    if (clm_store_generation_list(store, target, &list, &err) != CLM_OK) {
        fail_msg("%s: %s", what, err.msg);
    }
    for (size_t i = 0; i < list.n; i++) {
        CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
        CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = NULL;

        if (clm_store_bundle_get(store, list.v[i].sha256, &bundle, &err) != CLM_OK) {
            fail_msg("%s: generation %u of %s: %s", what, list.v[i].version, target, err.msg);
        }
        assert_true(clm_fs_exists(bundle.key_path));
        assert_int_equal(clm_store_bundle_meta(store, list.v[i].sha256, &meta, NULL), CLM_OK);
    }
    scene_assert_keys_private(&act->scene);
}

static void check_seen(const struct seen *seen, const char *what)
{
    const char *order = NULL;

    assert_int_equal(seen->key.csr_der.len, certs.new_leaf.leaf_pem.len);
    assert_int_equal(clm_json_str(seen->meta, "order_id", 64, &order, NULL), CLM_OK);
    assert_int_equal(seen->bundle.leaf_pem.len, certs.new_bundle.leaf_pem.len);
    assert_int_equal(seen->targets.n, 2);
    assert_int_equal(seen->list.n, RETAIN);
    assert_int_equal(seen->current.version, seen->list.v[RETAIN - 1].version);
    assert_int_equal(seen->before.version, seen->list.v[0].version);
    assert_int_equal(seen->current.sha256[0], 'd');
    if (what ==
        NULL) { /* a key that cannot be read stays, a line that cannot be read is left out */
        assert_int_equal(seen->removed.n, 1);
        assert_int_equal(clm_json_len(seen->history), 1);
    }
}

static void make_empty(void *arg)
{
    struct act *act = arg;

    seen_done(&act->seen);
    scene_reset(&act->scene, &certs);
}

static void make_full(void *arg)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = NULL;
    struct act *act = arg;
    char path[PATH_MAX];

    make_empty(arg);
    assert_int_equal(clm_store_open(act->scene.state, &store, NULL), CLM_OK);
    (void)snprintf(path, sizeof(path), "%.3000s/history.jsonl", act->scene.state);
    assert_int_equal(clm_fs_append(path, "{\"torn", 6, NULL), CLM_OK);
    assert_int_equal(put_key(store, "key_a", NULL), CLM_OK);
    assert_int_equal(install(store, OTHER, 'a', NULL), CLM_OK);
    assert_int_equal(install(store, TARGET, 'a', NULL), CLM_OK);
}

static void check_worked(void *arg, enum clm_code code, const char *what)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = NULL;
    struct act *act = arg;
    struct clm_err err = {0};

    if (code == CLM_OK) {
        check_seen(&act->seen, what);
    }
    seen_done(&act->seen);
    assert_int_equal(clm_store_open(act->scene.state, &store, NULL), CLM_OK);
    check_bundles(act, store, TARGET, what);
    check_bundles(act, store, OTHER, what);
    clm_store_close(CLM_STEAL(store));
    if (work(act, &err) != CLM_OK) {
        fail_msg("%s, and again: %s", what, err.msg);
    }
    check_seen(&act->seen, "again");
    seen_done(&act->seen);
}

static void check_kept(void *arg, enum clm_code code, const char *what)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = NULL;
    CLM_CLEANUP(clm_generations_done) struct clm_generations list = {0};
    struct act *act = arg;

    assert_int_equal(clm_store_open(act->scene.state, &store, NULL), CLM_OK);
    assert_int_equal(clm_store_generation_list(store, OTHER, &list, NULL), CLM_OK);
    if (list.n != 1) {
        fail_msg("%s: a target lost its generations", what);
    }
    assert_int_equal(list.v[0].version, 1);
    clm_generations_done(&list);
    assert_int_equal(clm_store_generation_list(store, TARGET, &list, NULL), CLM_OK);
    if (list.n == 0 ||
        list.v[list.n - 1].version != (uint32_t)(list.v[list.n - 1].sha256[0] - '`')) {
        fail_msg("%s: versions began again", what);
    }
    clm_store_close(CLM_STEAL(store));
    check_worked(arg, code, what);
}

static void check_imported(void *arg, enum clm_code code, const char *what)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = NULL;
    struct act *act = arg;
    bool was_imported = act->seen.is_imported;

    if (what == NULL && !was_imported) {
        fail_msg("nothing was imported");
    }
    assert_int_equal(clm_store_open(act->scene.state, &store, NULL), CLM_OK);
    check_bundles(act, store, TARGET, what);
    if (code == CLM_OK && !was_imported) {
        fail_msg("%s: said to hold nothing worth keeping", what);
    }
    enum clm_code current = clm_store_generation_current(store, TARGET, &act->seen.current, NULL);
    assert_true(current == CLM_OK || (code != CLM_OK && current == CLM_E_NOTFOUND));
}

/* ---- */

static void every_failing_call_in_an_empty_store_is_survived(void **state)
{
    struct act act = {.seen = {.bundle = CLM_BUNDLE_INIT, .key = CLM_STORE_KEY_INIT}};
    const struct clm_sabotage plan = {
        .before = make_empty, .act = work, .after = check_worked, .arg = &act};

    (void)state;
    scene_make(&act.scene, SCENE_PAIR, &certs);
    print_message("%zu failing calls\n", clm_sabotage_run(&plan, NULL));
    scene_done(&act.scene);
}

static void every_failing_call_leaves_what_was_there(void **state)
{
    struct act act = {.seen = {.bundle = CLM_BUNDLE_INIT, .key = CLM_STORE_KEY_INIT}};
    const struct clm_sabotage plan = {
        .before = make_full, .act = work, .after = check_kept, .arg = &act};

    (void)state;
    scene_make(&act.scene, SCENE_PAIR, &certs);
    print_message("%zu failing calls\n", clm_sabotage_run(&plan, NULL));
    scene_done(&act.scene);
}

static void every_failing_call_of_an_import_is_survived(void **state)
{
    static const enum scene_kind kinds[] = {SCENE_THREE, SCENE_STORE};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(kinds); i++) {
        struct act act = {.seen = {.bundle = CLM_BUNDLE_INIT, .key = CLM_STORE_KEY_INIT}};
        const struct clm_sabotage plan = {
            .before = make_empty, .act = import, .after = check_imported, .arg = &act};

        scene_make(&act.scene, kinds[i], &certs);
        print_message("%zu failing calls\n", clm_sabotage_run(&plan, NULL));
        scene_done(&act.scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_call_in_an_empty_store_is_survived),
        cmocka_unit_test(every_failing_call_leaves_what_was_there),
        cmocka_unit_test(every_failing_call_of_an_import_is_survived),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("store, failing calls", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
