/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the store that somebody else changed, removed or put there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/crypto/hash.h"
#include "agent/job/store.h"
#include "tests/support/scene.h"

#define TARGET "nginx:www.example"
#define A64    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct scene_certs certs;

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

static void refused(const struct act *act, enum clm_code code, enum clm_code want, const char *text)
{
    if (code != want || strstr(act->err.msg, text) == NULL) {
        fail_msg("%s '%s', not %s '%s'", clm_code_name(code), act->err.msg, clm_code_name(want),
                 text);
    }
}

/* A file below the state directory. */
static void put(const struct act *act, const char *name, const char *text)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%.3000s/%s", act->scene.state, name);
    assert_int_equal(clm_fs_replace(path, text, strlen(text), 0600, NULL), CLM_OK);
}

static void put_bundle(struct act *act, const char *key_ref, char digit)
{
    struct clm_bundle bundle = certs.new_bundle; /* borrowed, but for the name */

    memset(bundle.leaf.sha256, digit, CLM_SHA256_HEX_SIZE - 1);
    ok(act, clm_store_bundle_put(act->store, key_ref, &bundle, NULL, &act->err));
}

static void put_key(struct act *act, const char *key_ref)
{
    ok(act, clm_store_key_put(act->store, key_ref, &certs.new_leaf.key_pem, NULL, NULL, &act->err));
}

/* ---- what is known of a target ---- */

/* name of the file of a target, below the state directory */
static const char *ledger_of(const char *target, char *dst, size_t size)
{
    char hash[CLM_SHA256_HEX_SIZE];

    clm_sha256_hex(target, strlen(target), hash);
    (void)snprintf(dst, size, "targets/%s/target.json", hash);
    return dst;
}

static void put_ledger(struct act *act, const char *target, const char *text)
{
    char path[PATH_MAX];
    char name[128];

    (void)snprintf(path, sizeof(path), "%.3000s/%s", act->scene.state,
                   ledger_of(target, name, sizeof(name)));
    *strrchr(path, '/') = '\0';
    assert_int_equal(clm_fs_mkdir(path, 0700, NULL), CLM_OK);
    put(act, name, text);
}

#define HEAD                                                                                       \
    "{\"v\":1,\"target\":\"" TARGET "\",\"next\":2,\"installed\":1,\"before\":-1,\"retain\":3,"
#define LIST(entry) HEAD "\"generations\":[" entry "]}"

static void a_damaged_list_of_generations_is_told_by_its_member(void **state)
{
    static const struct {
        const char *text;
        const char *member;
    } rows[] = {
        {"{}", "v"},
        {"{\"v\":2}", "v"},
        {"{\"v\":1}", "target"},
        {"{\"v\":1,\"target\":\"x:y\"}", "next"},
        {"{\"v\":1,\"target\":\"x:y\",\"next\":2}", "installed"},
        {"{\"v\":1,\"target\":\"x:y\",\"next\":2,\"installed\":1}", "before"},
        {"{\"v\":1,\"target\":\"x:y\",\"next\":2,\"installed\":1,\"before\":-2}", "before"},
        {"{\"v\":1,\"target\":\"x:y\",\"next\":2,\"installed\":1,\"before\":0}", "retain"},
        {HEAD "\"x\":1}", "generations"},
        {LIST("7"), "version"},
        {LIST("{\"version\":1}"), "sha256"},
        {LIST("{\"version\":1,\"sha256\":\"abc\"}"), "sha256"},
        {LIST("{\"version\":1,\"sha256\":\"X" A64 "\"}"), "sha256"},
        {LIST("{\"version\":1,\"sha256\":\"" A64 "\"}"), "origin"},
        {LIST("{\"version\":1,\"sha256\":\"" A64 "\",\"origin\":\"deployed\"}"), "at"},
        {"{\"v\":1,\"target\":\"x:y\",\"next\":1,\"installed\":-1,\"before\":-1,\"retain\":2,"
         "\"generations\":[]}",
         "is of target 'x:y'"},
    };
    struct act act;

    (void)state;
    begin(&act);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_generations_done) struct clm_generations list = {0};
        enum clm_code code;

        put_ledger(&act, TARGET, rows[i].text);
        code = clm_store_generation_list(act.store, TARGET, &list, &act.err);
        if ((code != CLM_E_PARSE && code != CLM_E_LIMIT) ||
            strstr(act.err.msg, rows[i].member) == NULL ||
            strstr(act.err.msg, "target.json") == NULL) {
            fail_msg("row %zu: %s %s", i, clm_code_name(code), act.err.msg);
        }
        assert_null(list.v);
    }
    end(&act);
}

static void a_target_without_generations_is_not_listed(void **state)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    struct act act;
    char path[PATH_MAX];

    (void)state;
    begin(&act);
    ok(&act, clm_store_target_list(act.store, &ids, &act.err));
    assert_int_equal(ids.n, 0);
    put_ledger(&act, TARGET, LIST(""));
    put(&act, "targets/notes.txt", "of a human");
    (void)snprintf(path, sizeof(path), "%.3000s/targets/" A64, act.scene.state);
    assert_int_equal(mkdir(path, 0700), 0); /* as after a crash */
    ok(&act, clm_store_target_list(act.store, &ids, &act.err));
    assert_int_equal(ids.n, 0);
    put_key(&act, "key_a");
    put_bundle(&act, "key_a", 'a');
    ok(&act, clm_store_generation_add(act.store, TARGET, A64, 5000, 1, &act.err));
    ok(&act, clm_store_target_list(act.store, &ids, &act.err));
    assert_int_equal(ids.n, 1);
    assert_string_equal(ids.v[0], TARGET);
    end(&act);
}

static void targets_and_bounds_are_checked(void **state)
{
    CLM_CLEANUP(clm_generations_done) struct clm_generations list = {0};
    struct clm_generation g = {0};
    struct act act;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    put_bundle(&act, "key_a", 'a');
    refused(&act, clm_store_generation_add(act.store, "../x", A64, 3, 1, &act.err), CLM_E_INVAL,
            "not a target id");
    refused(&act, clm_store_generation_add(act.store, TARGET, "abc", 3, 1, &act.err), CLM_E_INVAL,
            "not a SHA-256");
    refused(&act, clm_store_generation_list(act.store, "", &list, &act.err), CLM_E_INVAL,
            "not a target id");
    ok(&act, clm_store_generation_add(act.store, TARGET, A64, UINT32_MAX, 1, &act.err));
    ok(&act, clm_store_generation_list(act.store, TARGET, &list, &act.err));
    assert_int_equal(list.retain, 1000);
    refused(&act, clm_store_generation_find(act.store, TARGET, CLM_GENERATION_BEFORE, &g, &act.err),
            CLM_E_NOTFOUND, "has no such version");
    refused(&act, clm_store_generation_find(act.store, TARGET, 77, &g, &act.err), CLM_E_NOTFOUND,
            "has no version 77");
    end(&act);
}

/* Whatever versions it says: nothing that is installed goes, and it comes to an end. */
static void twice_the_same_version_is_survived(void **state)
{
    static const char one[] =
        "{\"version\":1,\"sha256\":\"" A64 "\",\"origin\":\"imported\",\"at\":1}";
    CLM_CLEANUP(clm_generations_done) struct clm_generations list = {0};
    struct act act;
    char text[2000];

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    put_bundle(&act, "key_a", 'a');
    (void)snprintf(text, sizeof(text), LIST("%s,%s,%s,%s"), one, one, one, one);
    put_ledger(&act, TARGET, text);
    ok(&act, clm_store_generation_add(act.store, TARGET, A64, 2, 1, &act.err));
    ok(&act, clm_store_generation_list(act.store, TARGET, &list, &act.err));
    assert_int_equal(list.n, 4);
    assert_int_equal(list.v[0].origin, CLM_GENERATION_IMPORTED);
    end(&act);
}

/* ---- bundles ---- */

static void a_bundle_of_another_certificate_is_refused(void **state)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    struct act act;
    char from[PATH_MAX];
    char to[PATH_MAX];

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    put_bundle(&act, "key_a", 'b');
    (void)snprintf(from, sizeof(from), "%.3000s/bundles/%.64s", act.scene.state,
                   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    (void)snprintf(to, sizeof(to), "%.3000s/bundles/" A64, act.scene.state);
    assert_int_equal(rename(from, to), 0);
    refused(&act, clm_store_bundle_get(act.store, A64, &bundle, &act.err), CLM_E_PARSE,
            "describes another certificate");
    put(&act, "bundles/" A64 "/meta.json", "{}");
    refused(&act, clm_store_bundle_get(act.store, A64, &bundle, &act.err), CLM_E_PARSE, "leaf");
    end(&act);
}

static void a_name_is_64_lower_case_digits(void **state)
{
    static const char *const names[] = {
        "", "a", "A" A64, A64 "a",
        "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct act act;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
        struct clm_bundle put_one = certs.new_bundle; /* borrowed, but for the name */

        refused(&act, clm_store_bundle_get(act.store, names[i], &bundle, &act.err), CLM_E_INVAL,
                "not a SHA-256");
        (void)snprintf(put_one.leaf.sha256, sizeof(put_one.leaf.sha256), "%.63s", names[i]);
        refused(&act, clm_store_bundle_put(act.store, "key_a", &put_one, NULL, &act.err),
                CLM_E_INVAL, "not a SHA-256");
    }
    end(&act);
}

/* Without the waiting key only the very same bundle is success. */
static void a_bundle_without_its_key_is_not_made(void **state)
{
    static const char *const metas[] = {"{", "{}", "{\"key_ref\":\"key_b\"}"};
    struct act act;

    (void)state;
    begin(&act);
    refused(&act, clm_store_bundle_put(act.store, "key_a", &certs.new_bundle, NULL, &act.err),
            CLM_E_NOTFOUND, "no key 'key_a' is waiting");
    put_key(&act, "key_a");
    put_bundle(&act, "key_a", 'a');
    ok(&act, clm_store_key_remove(act.store, "key_a", &act.err));
    put_bundle(&act, "key_a", 'a');
    for (size_t i = 0; i < CLM_ARRAY_LEN(metas); i++) {
        struct clm_bundle bundle = certs.new_bundle;

        memcpy(bundle.leaf.sha256, A64, sizeof(bundle.leaf.sha256));
        put(&act, "bundles/" A64 "/meta.json", metas[i]);
        refused(&act, clm_store_bundle_put(act.store, "key_a", &bundle, NULL, &act.err),
                CLM_E_NOTFOUND, "no key 'key_a' is waiting");
    }
    end(&act);
}

/* Of the same length, too. */
static void another_key_for_a_stored_certificate_is_a_conflict(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf other = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    struct clm_bundle bundle = certs.new_bundle;
    struct act act;

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    put_bundle(&act, "key_a", 'a');
    memcpy(bundle.leaf.sha256, A64, sizeof(bundle.leaf.sha256));
    for (size_t extra = 0; extra < 2; extra++) {
        clm_buf_reset(&other);
        ok(&act,
           clm_buf_add(&other, certs.new_leaf.key_pem.data, certs.new_leaf.key_pem.len, &act.err));
        other.data[40] = (uint8_t)(other.data[40] == 'A' ? 'B' : 'A');
        other.len -= extra;
        ok(&act, clm_store_key_remove(act.store, "key_a", &act.err));
        ok(&act, clm_store_key_put(act.store, "key_a", &other, NULL, NULL, &act.err));
        refused(&act, clm_store_bundle_put(act.store, "key_a", &bundle, NULL, &act.err),
                CLM_E_CONFLICT, "is stored with another key");
    }
    end(&act);
}

/* ---- import ---- */

/* The key of a file may be written otherwise than the one we stored for the same certificate. */
static void a_stored_bundle_serves_for_an_import(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    struct act act;
    bool imported = false;

    (void)state;
    begin(&act);
    ok(&act, clm_buf_add_str(&key, "\n", &act.err));
    ok(&act, clm_buf_add(&key, certs.old_leaf.key_pem.data, certs.old_leaf.key_pem.len, &act.err));
    ok(&act, clm_store_key_put(act.store, "key_a", &key, NULL, NULL, &act.err));
    ok(&act, clm_store_bundle_put(act.store, "key_a", &certs.old_bundle, NULL, &act.err));
    ok(&act, clm_store_import(act.store, &act.scene.plan, NULL, 7, &imported, &act.err));
    assert_true(imported);
    end(&act);
}

static void only_files_are_imported(void **state)
{
    struct act act;
    bool imported = true;

    (void)state;
    begin(&act);
    assert_int_equal(unlink(act.scene.files[1].path), 0);
    assert_int_equal(mkfifo(act.scene.files[1].path, 0600), 0);
    ok(&act, clm_store_import(act.store, &act.scene.plan, NULL, 7, &imported, &act.err));
    assert_false(imported);
    ok(&act, clm_store_import(act.store, &act.scene.plan, NULL, 7, NULL, &act.err));
    end(&act);
}

/* ---- keys and history ---- */

static bool has_ended(void *arg, const struct clm_json *meta)
{
    (void)arg;
    (void)meta;
    return true;
}

static void what_is_no_key_is_not_swept(void **state)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs removed = {0};
    struct act act;
    char path[PATH_MAX];

    (void)state;
    begin(&act);
    put_key(&act, "key_a");
    put(&act, "keys/.hidden", "of a human");
    put(&act, "bundles/.hidden", "of a human");
    put_key(&act, "key_b");
    (void)snprintf(path, sizeof(path), "%.3000s/keys/key_b/key.pem", act.scene.state);
    assert_int_equal(unlink(path), 0);
    ok(&act, clm_store_key_sweep(act.store, has_ended, NULL, INT64_MAX / 2, &removed, &act.err));
    assert_int_equal(removed.n, 1);
    assert_string_equal(removed.v[0], "key_a");
    end(&act);
}

static void add_line(struct act *act)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *entry = clm_json_new_object();

    clm_json_set_str(entry, "target", TARGET);
    ok(act, clm_store_history_add(act->store, entry, &act->err));
}

static size_t lines_of(struct act *act, const char *target)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *all = clm_json_new_array();

    ok(act, clm_store_history_list(act->store, target, 99, all, &act->err));
    return clm_json_len(all);
}

static void lines_of_others_in_the_history_are_left_out(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    assert_int_equal(lines_of(&act, NULL), 0);
    put(&act, "history.jsonl", "7\n{}\n{\"target\":7}\n\nnonsense\n");
    assert_int_equal(lines_of(&act, NULL), 2);
    assert_int_equal(lines_of(&act, TARGET), 0);
    add_line(&act);
    assert_int_equal(lines_of(&act, TARGET), 1);
    end(&act);
}

/* A history that is full and not ours has no line to begin at, or ends within one. */
static void a_full_history_without_lines_is_begun_anew(void **state)
{
    char *text = malloc(CLM_STORE_HISTORY_MAX + 1);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < 2; i++) {
        struct act act;

        begin(&act);
        memset(text, 'x', CLM_STORE_HISTORY_MAX);
        text[CLM_STORE_HISTORY_MAX] = '\0';
        text[CLM_STORE_HISTORY_MAX - 10] = i == 0 ? 'x' : '\n';
        put(&act, "history.jsonl", text);
        add_line(&act);
        assert_int_equal(lines_of(&act, NULL), 1);
        end(&act);
    }
    free(text);
}

/* ---- the directory ---- */

static void only_a_directory_of_ours_holds_a_store(void **state)
{
    struct clm_store *store = NULL;
    struct act act;
    char path[PATH_MAX];

    (void)state;
    begin(&act);
    (void)snprintf(path, sizeof(path), "%.3000s/nowhere", act.scene.root);
    refused(&act, clm_store_open(path, &store, &act.err), CLM_E_NOTFOUND, "state directory");
    refused(&act, clm_store_open(act.scene.files[0].path, &store, &act.err), CLM_E_CONFIG,
            "must be a directory");
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    refused(&act, clm_store_open(path, &store, &act.err), CLM_E_LIMIT, "");
    if (geteuid() == 0) {
        assert_int_equal(chown(act.scene.state, 12345, 0), 0);
        refused(&act, clm_store_open(act.scene.state, &store, &act.err), CLM_E_CONFIG,
                "must be a directory of uid 0");
    }
    assert_null(store);
    end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_list_of_generations_is_told_by_its_member),
        cmocka_unit_test(a_target_without_generations_is_not_listed),
        cmocka_unit_test(targets_and_bounds_are_checked),
        cmocka_unit_test(twice_the_same_version_is_survived),
        cmocka_unit_test(a_bundle_of_another_certificate_is_refused),
        cmocka_unit_test(a_name_is_64_lower_case_digits),
        cmocka_unit_test(a_bundle_without_its_key_is_not_made),
        cmocka_unit_test(another_key_for_a_stored_certificate_is_a_conflict),
        cmocka_unit_test(a_stored_bundle_serves_for_an_import),
        cmocka_unit_test(only_files_are_imported),
        cmocka_unit_test(what_is_no_key_is_not_swept),
        cmocka_unit_test(lines_of_others_in_the_history_are_left_out),
        cmocka_unit_test(a_full_history_without_lines_is_begun_anew),
        cmocka_unit_test(only_a_directory_of_ours_holds_a_store),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("store, foreign files", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
