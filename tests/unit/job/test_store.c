/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/job/store.h"
#include "tests/support/scene.h"

#define TARGET "nginx:www.example"

static struct scene_certs certs;

/* The scene's state directory with an open store in it. */
struct act {
    struct scene scene;
    struct clm_store *store;
    struct clm_err err;
};

static void begin(struct act *act)
{
    memset(act, 0, sizeof(*act));
    scene_make(&act->scene, SCENE_PAIR, &certs);
    assert_int_equal(clm_store_open(act->scene.state, &act->store, &act->err), CLM_OK);
}

static void end(struct act *act)
{
    clm_store_close(act->store);
    scene_done(&act->scene);
}

static void ok(const struct act *act, enum clm_code code)
{
    if (code != CLM_OK) {
        fail_msg("%s", act->err.msg);
    }
}

static void put_key(struct act *act, const char *key_ref)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();

    clm_json_set_str(meta, "certificate_id", "crt_1");
    ok(act, clm_store_key_put(act->store, key_ref, &certs.new_leaf.key_pem,
                              &certs.new_leaf.leaf_pem, meta, &act->err));
}

/* A bundle that differs from others in its name only: the store does not look inside. */
static enum clm_code try_bundle(struct act *act, char digit, char *out_sha256)
{
    struct clm_bundle bundle = certs.new_bundle; /* borrowed, but for the name */

    memset(bundle.leaf.sha256, digit, CLM_SHA256_HEX_SIZE - 1);
    memcpy(out_sha256, bundle.leaf.sha256, CLM_SHA256_HEX_SIZE);
    return clm_store_bundle_put(act->store, "key_a", &bundle, NULL, &act->err);
}

static void put_bundle(struct act *act, char digit, char *out_sha256)
{
    ok(act, try_bundle(act, digit, out_sha256));
}

/* Installs it; returns the version it got. */
static uint32_t install(struct act *act, const char *sha256, uint32_t retain)
{
    struct clm_generation g = {0};

    ok(act, clm_store_generation_add(act->store, TARGET, sha256, retain, 1, &act->err));
    ok(act, clm_store_generation_current(act->store, TARGET, &g, &act->err));
    assert_string_equal(g.sha256, sha256);
    assert_true(g.is_installed);
    return g.version;
}

/* ---- keys ---- */

static void a_key_comes_back_as_it_was(void **state)
{
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key key = CLM_STORE_KEY_INIT;
    struct act act;
    struct stat st;
    const char *id = NULL;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    ok(&act, clm_store_key_get(act.store, "key_a", &key, &act.err));
    assert_true(scene_holds(key.key_path, &certs.new_leaf.key_pem));
    assert_int_equal(stat(key.key_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(key.csr_der.len, certs.new_leaf.leaf_pem.len);
    ok(&act, clm_json_str(key.meta, "certificate_id", 64, &id, &act.err));
    assert_string_equal(id, "crt_1");
    end(&act);
}

static void a_key_is_never_written_over(void **state)
{
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key key = CLM_STORE_KEY_INIT;
    struct act act;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    assert_int_equal(
        clm_store_key_put(act.store, "key_a", &certs.old_leaf.key_pem, NULL, NULL, &act.err),
        CLM_E_EXISTS);
    ok(&act, clm_store_key_get(act.store, "key_a", &key, &act.err));
    assert_true(scene_holds(key.key_path, &certs.new_leaf.key_pem));
    ok(&act, clm_store_key_remove(act.store, "key_a", &act.err));
    ok(&act, clm_store_key_remove(act.store, "key_a", &act.err));
    assert_int_equal(clm_store_key_get(act.store, "key_a", &key, &act.err), CLM_E_NOTFOUND);
    end(&act);
}

static void key_references_are_no_paths(void **state)
{
    static const char *const refs[] = {
        "",
        ".",
        "..",
        "../x",
        "a/b",
        ".new",
        "a b",
        "a\n",
        "key\xc3\xa9",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key key = CLM_STORE_KEY_INIT;
    struct act act;

    (void)state;
    begin(&act);
    for (size_t i = 0; i < CLM_ARRAY_LEN(refs); i++) {
        assert_int_equal(
            clm_store_key_put(act.store, refs[i], &certs.new_leaf.key_pem, NULL, NULL, &act.err),
            CLM_E_INVAL);
        assert_int_equal(clm_store_key_get(act.store, refs[i], &key, &act.err), CLM_E_INVAL);
        assert_int_equal(clm_store_key_remove(act.store, refs[i], &act.err), CLM_E_INVAL);
    }
    end(&act);
}

/* ---- bundles ---- */

static void a_bundle_comes_back_and_can_be_deployed(void **state)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *back = NULL;
    const char *sha256 = certs.new_bundle.leaf.sha256;
    const char *id = NULL;
    struct act act;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    clm_json_set_str(meta, "order_id", "ord_1");
    for (int twice = 0; twice < 2; twice++) {
        ok(&act, clm_store_bundle_put(act.store, "key_a", &certs.new_bundle, meta, &act.err));
    }
    ok(&act, clm_store_key_remove(act.store, "key_a", &act.err));
    ok(&act, clm_store_bundle_get(act.store, sha256, &bundle, &act.err));
    assert_string_equal(bundle.leaf.sha256, sha256);
    assert_true(clm_names_covers_dns(&bundle.leaf.names, "www.example"));
    assert_int_equal(bundle.chain_pem.len, certs.new_bundle.chain_pem.len);
    ok(&act, clm_store_bundle_meta(act.store, sha256, &back, &act.err));
    ok(&act, clm_json_str(back, "order_id", 64, &id, &act.err));
    assert_string_equal(id, "ord_1");
    assert_int_equal(clm_txn_deploy(&act.scene.env, &act.scene.plan, &bundle, NULL, &out, &act.err),
                     CLM_OK);
    assert_int_equal(scene_files_are(&act.scene), 'N');
    end(&act);
}

static void a_bundle_keeps_its_key(void **state)
{
    struct act act;
    char sha256[CLM_SHA256_HEX_SIZE] = "";

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    put_bundle(&act, 'a', sha256);
    ok(&act, clm_store_key_remove(act.store, "key_a", &act.err));
    put_bundle(&act, 'a', sha256); /* the same again needs no key */
    ok(&act, clm_store_key_put(act.store, "key_a", &certs.old_leaf.key_pem, NULL, NULL, &act.err));
    assert_int_equal(try_bundle(&act, 'a', sha256), CLM_E_CONFLICT);
    end(&act);
}

static void unknown_bundles_and_bad_names_are_told_apart(void **state)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    struct act act;

    (void)state;
    begin(&act);
    assert_int_equal(
        clm_store_bundle_get(act.store, certs.new_bundle.leaf.sha256, &bundle, &act.err),
        CLM_E_NOTFOUND);
    assert_int_equal(clm_store_bundle_get(act.store, "../keys/key_a", &bundle, &act.err),
                     CLM_E_INVAL);
    assert_int_equal(
        clm_store_generation_add(act.store, TARGET, certs.new_bundle.leaf.sha256, 3, 1, &act.err),
        CLM_E_NOTFOUND);
    end(&act);
}

/* ---- generations ---- */

static bool has_bundle(struct act *act, const char *sha256)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;

    return clm_store_bundle_get(act->store, sha256, &bundle, NULL) == CLM_OK;
}

static void generations_grow_and_the_oldest_go(void **state)
{
    CLM_CLEANUP(clm_generations_done) struct clm_generations list = {0};
    struct act act;
    char sha256[6][CLM_SHA256_HEX_SIZE];
    struct clm_generation g;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    for (size_t i = 0; i < 6; i++) {
        put_bundle(&act, (char)('a' + i), sha256[i]);
        assert_int_equal(install(&act, sha256[i], 3), i + 1);
    }
    ok(&act, clm_store_generation_list(act.store, TARGET, &list, &act.err));
    assert_int_equal(list.n, 3);
    assert_int_equal(list.v[0].version, 4);
    assert_true(list.v[2].is_installed);
    assert_false(has_bundle(&act, sha256[0]));
    assert_true(has_bundle(&act, sha256[3]));
    ok(&act, clm_store_generation_current(act.store, TARGET, &g, &act.err));
    assert_int_equal(g.version, 6);
    ok(&act, clm_store_generation_find(act.store, TARGET, CLM_GENERATION_BEFORE, &g, &act.err));
    assert_int_equal(g.version, 5);
    assert_int_equal(clm_store_generation_find(act.store, TARGET, 2, &g, &act.err), CLM_E_NOTFOUND);
    end(&act);
}

static void the_installed_one_and_the_one_before_never_go(void **state)
{
    struct act act;
    char sha256[5][CLM_SHA256_HEX_SIZE];
    struct clm_generation g;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    for (size_t i = 0; i < 4; i++) {
        put_bundle(&act, (char)('a' + i), sha256[i]);
        assert_int_equal(install(&act, sha256[i], 4), i + 1);
    }
    /* back to the oldest, which now must outlive younger ones */
    assert_int_equal(install(&act, sha256[0], 4), 1);
    put_bundle(&act, 'e', sha256[4]);
    assert_int_equal(install(&act, sha256[4], 2), 5);
    assert_true(has_bundle(&act, sha256[0]));
    assert_true(has_bundle(&act, sha256[4]));
    assert_false(has_bundle(&act, sha256[1]) || has_bundle(&act, sha256[2]) ||
                 has_bundle(&act, sha256[3]));
    ok(&act, clm_store_generation_find(act.store, TARGET, CLM_GENERATION_BEFORE, &g, &act.err));
    assert_int_equal(g.version, 1);
    end(&act);
}

static void a_bundle_of_two_targets_stays_for_the_second(void **state)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    struct act act;
    char sha256[4][CLM_SHA256_HEX_SIZE];

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    put_bundle(&act, 'a', sha256[0]);
    ok(&act, clm_store_generation_add(act.store, "apache:x", sha256[0], 2, 1, &act.err));
    ok(&act, clm_store_generation_add(act.store, TARGET, sha256[0], 2, 1, &act.err));
    for (size_t i = 1; i < 4; i++) {
        put_bundle(&act, (char)('a' + i), sha256[i]);
        ok(&act, clm_store_generation_add(act.store, TARGET, sha256[i], 2, 1, &act.err));
    }
    assert_true(has_bundle(&act, sha256[0]));
    assert_false(has_bundle(&act, sha256[1]));
    ok(&act, clm_store_target_list(act.store, &ids, &act.err));
    assert_int_equal(ids.n, 2);
    assert_string_equal(ids.v[0], "apache:x");
    end(&act);
}

/* ---- import ---- */

static void what_was_there_before_becomes_generation_0(void **state)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};
    struct act act;
    struct clm_generation g;
    bool imported = false;

    (void)state;
    begin(&act);
    ok(&act, clm_store_import(act.store, &act.scene.plan, NULL, 7, &imported, &act.err));
    assert_true(imported);
    ok(&act, clm_store_generation_current(act.store, TARGET, &g, &act.err));
    assert_int_equal(g.version, 0);
    assert_int_equal(g.origin, CLM_GENERATION_IMPORTED);
    assert_string_equal(g.sha256, certs.old_bundle.leaf.sha256);
    ok(&act, clm_store_import(act.store, &act.scene.plan, NULL, 8, &imported, &act.err));
    assert_false(imported);
    /* there and back again */
    ok(&act,
       clm_txn_deploy(&act.scene.env, &act.scene.plan, act.scene.bundle, NULL, &out, &act.err));
    clm_txn_outcome_done(&out);
    ok(&act, clm_store_bundle_get(act.store, g.sha256, &bundle, &act.err));
    ok(&act, clm_txn_deploy(&act.scene.env, &act.scene.plan, &bundle, NULL, &out, &act.err));
    assert_true(scene_holds(act.scene.files[0].path, &act.scene.files[0].old_data));
    assert_true(out.is_proved);
    end(&act);
}

static void nothing_is_imported_where_nothing_fits(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct act act;
        bool imported = true;

        begin(&act);
        if (which == 0) {
            assert_int_equal(unlink(act.scene.files[1].path), 0);
        } else if (which == 1) {
            scene_write(act.scene.files[1].path, certs.new_leaf.key_pem.data,
                        certs.new_leaf.key_pem.len, 0600);
        } else {
            scene_write(act.scene.files[0].path, "no certificate", 14, 0600);
        }
        ok(&act, clm_store_import(act.store, &act.scene.plan, NULL, 7, &imported, &act.err));
        assert_false(imported);
        end(&act);
    }
}

/* ---- history ---- */

static void add_history(struct act *act, int number, const char *target)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *entry = clm_json_new_object();
    char pad[4001];

    memset(pad, 'x', sizeof(pad) - 1);
    pad[sizeof(pad) - 1] = '\0';
    clm_json_set_int(entry, "n", number);
    clm_json_set_str(entry, "target", target);
    clm_json_set_str(entry, "pad", pad);
    ok(act, clm_store_history_add(act->store, entry, &act->err));
}

static int64_t number_of(const struct clm_json *entry)
{
    int64_t n = -1;

    assert_int_equal(clm_json_int(entry, "n", 0, 100000, &n, NULL), CLM_OK);
    return n;
}

static void history_is_bounded_and_newest_first(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *all = clm_json_new_array();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *some = clm_json_new_array();
    struct act act;
    char path[PATH_MAX];
    struct stat st;

    (void)state;
    begin(&act);
    for (int i = 0; i < 600; i++) {
        add_history(&act, i, i % 2 == 0 ? TARGET : "apache:x");
    }
    (void)snprintf(path, sizeof(path), "%.4000s/history.jsonl", act.scene.state);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size <= (off_t)CLM_STORE_HISTORY_MAX);
    assert_true(st.st_size > (off_t)CLM_STORE_HISTORY_MAX / 4);
    ok(&act, clm_store_history_list(act.store, "", 3, all, &act.err));
    assert_int_equal(clm_json_len(all), 3);
    assert_int_equal(number_of(clm_json_first(all)), 599);
    ok(&act, clm_store_history_list(act.store, TARGET, 2, some, &act.err));
    assert_int_equal(number_of(clm_json_first(some)), 598);
    assert_int_equal(number_of(clm_json_next(clm_json_first(some))), 596);
    end(&act);
}

static void a_torn_line_spoils_only_itself(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *all = clm_json_new_array();
    struct act act;
    char path[PATH_MAX];

    (void)state;
    begin(&act);
    add_history(&act, 1, TARGET);
    (void)snprintf(path, sizeof(path), "%.4000s/history.jsonl", act.scene.state);
    ok(&act, clm_fs_append(path, "{\"n\":2,\"tar", 11, &act.err));
    add_history(&act, 3, TARGET);
    ok(&act, clm_store_history_list(act.store, NULL, 10, all, &act.err));
    assert_int_equal(clm_json_len(all), 2);
    assert_int_equal(number_of(clm_json_first(all)), 3);
    end(&act);
}

/* ---- the directory ---- */

static void a_directory_of_others_is_refused(void **state)
{
    struct clm_store *store = NULL;
    struct clm_err err = {0};
    struct act act;

    (void)state;
    begin(&act);
    assert_int_equal(chmod(act.scene.state, 0770), 0);
    assert_int_equal(clm_store_open(act.scene.state, &store, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "chmod 0700"));
    assert_null(store);
    end(&act);
}

#ifdef CLM_TEST_HOOKS
static void everything(struct act *act)
{
    char sha256[CLM_SHA256_HEX_SIZE];

    ok(act, clm_store_key_remove(act->store, "key_a", &act->err));
    put_key(act, "key_a");
    for (int i = 0; i < 4; i++) {
        put_bundle(act, "abcd"[i], sha256);
        ok(act, clm_store_generation_add(act->store, TARGET, sha256, 2, 1, &act->err));
    }
    ok(act, clm_store_key_remove(act->store, "key_a", &act->err));
}

/* Whatever the moment: what is visible is complete, and the same work can be done again. */
static void a_killed_writer_leaves_whole_entries_or_none(void **state)
{
    bool is_killed = true;

    (void)state;
    for (unsigned n = 1; is_killed; n++) {
        CLM_CLEANUP(clm_generations_done) struct clm_generations list = {0};
        struct act act;
        int status = 0;
        pid_t pid;

        begin(&act);
        pid = fork();
        if (pid == 0) {
            clm_fs_crash_at(n);
            everything(&act);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        is_killed = WEXITSTATUS(status) == 99;
        assert_true(is_killed || WEXITSTATUS(status) == 0);
        clm_store_close(act.store);
        ok(&act, clm_store_open(act.scene.state, &act.store, &act.err));
        ok(&act, clm_store_generation_list(act.store, TARGET, &list, &act.err));
        for (size_t i = 0; i < list.n; i++) {
            assert_true(has_bundle(&act, list.v[i].sha256));
        }
        scene_assert_keys_private(&act.scene);
        everything(&act);
        clm_generations_done(&list);
        ok(&act, clm_store_generation_list(act.store, TARGET, &list, &act.err));
        assert_int_equal(list.n, 2);
        end(&act);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_comes_back_as_it_was),
        cmocka_unit_test(a_key_is_never_written_over),
        cmocka_unit_test(key_references_are_no_paths),
        cmocka_unit_test(a_bundle_comes_back_and_can_be_deployed),
        cmocka_unit_test(a_bundle_keeps_its_key),
        cmocka_unit_test(unknown_bundles_and_bad_names_are_told_apart),
        cmocka_unit_test(generations_grow_and_the_oldest_go),
        cmocka_unit_test(the_installed_one_and_the_one_before_never_go),
        cmocka_unit_test(a_bundle_of_two_targets_stays_for_the_second),
        cmocka_unit_test(what_was_there_before_becomes_generation_0),
        cmocka_unit_test(nothing_is_imported_where_nothing_fits),
        cmocka_unit_test(history_is_bounded_and_newest_first),
        cmocka_unit_test(a_torn_line_spoils_only_itself),
        cmocka_unit_test(a_directory_of_others_is_refused),
#ifdef CLM_TEST_HOOKS
        cmocka_unit_test(a_killed_writer_leaves_whole_entries_or_none),
#endif
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("store", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
