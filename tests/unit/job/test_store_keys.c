/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/fs.h"
#include "agent/job/store.h"
#include "tests/support/scene.h"

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

/* A bundle made of key_a. */
static void put_bundle(struct act *act, char digit, char *out_sha256)
{
    struct clm_bundle bundle = certs.new_bundle; /* borrowed, but for the name */

    memset(bundle.leaf.sha256, digit, CLM_SHA256_HEX_SIZE - 1);
    memcpy(out_sha256, bundle.leaf.sha256, CLM_SHA256_HEX_SIZE);
    ok(act, clm_store_bundle_put(act->store, "key_a", &bundle, NULL, &act->err));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

#define DAY 86400

/* A key of that certificate (NULL: of none), made then; its order has ended unless it is open. */
static void put_old_key(struct act *act, const char *key_ref, const char *certificate_id,
                        int64_t made_s, bool is_open)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    const struct timespec times[2] = {{.tv_sec = made_s}, {.tv_sec = made_s}};
    char path[PATH_MAX + 64];

    if (certificate_id != NULL) {
        clm_json_set_str(meta, "certificate_id", certificate_id);
    }
    clm_json_set_bool(meta, "open", is_open);
    ok(act, clm_store_key_put(act->store, key_ref, &certs.new_leaf.key_pem, NULL, meta, &act->err));
    (void)snprintf(path, sizeof(path), "%s/keys/%s/key.pem", act->scene.state, key_ref);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool has_ended(void *arg, const struct clm_json *meta)
{
    bool is_open = true;

    (void)arg;
    assert_int_equal(clm_json_bool(meta, "open", &is_open, NULL), CLM_OK);
    return !is_open;
}

/* What a sweep at that time removes, in order, each followed by a blank. */
static void sweeps(struct act *act, int64_t now_s, const char *expected)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs removed = {NULL, 0};
    char text[256] = "";

    ok(act, clm_store_key_sweep(act->store, has_ended, NULL, now_s, &removed, &act->err));
    if (removed.n > 1) {
        qsort(removed.v, removed.n, sizeof(*removed.v), by_text);
    }
    for (size_t i = 0; i < removed.n; i++) {
        CLM_CLEANUP(clm_store_key_done) struct clm_store_key key = CLM_STORE_KEY_INIT;

        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", removed.v[i]);
        assert_int_equal(clm_store_key_get(act->store, removed.v[i], &key, NULL), CLM_E_NOTFOUND);
    }
    assert_string_equal(text, expected);
}

static void a_key_goes_when_its_order_came_to_nothing_and_a_newer_one_is_there(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    sweeps(&act, 1000, "");
    put_old_key(&act, "key_1", "crt_a", 1000, false);
    put_old_key(&act, "key_other", "crt_b", 900, false);
    put_old_key(&act, "key_nobodys", NULL, 900, true);
    put_old_key(&act, "key_nobodys_too", NULL, 900, false);
    sweeps(&act, 2000, ""); /* both are the newest of theirs */
    put_old_key(&act, "key_2", "crt_a", 2000, true);
    put_old_key(&act, "key_3", "crt_a", 3000, false);
    sweeps(&act, 3000, "key_1 "); /* the second is still waited for */
    sweeps(&act, 3000, "");
    put_old_key(&act, "key_4", "crt_a", 3000, false); /* the same second: by its name */
    sweeps(&act, 3000, "key_3 ");
    end(&act);
}

static void a_key_goes_after_ninety_days_whatever_it_waits_for(void **state)
{
    struct act act;

    (void)state;
    begin(&act);
    put_old_key(&act, "key_newest", "crt_a", DAY, false);
    put_old_key(&act, "key_nobodys", NULL, 2 * DAY, true);
    put_old_key(&act, "key_open", "crt_b", 3 * DAY, true);
    put_old_key(&act, "key_tomorrow", "crt_c", 999 * (int64_t)DAY, true);
    sweeps(&act, 91 * DAY, "");
    sweeps(&act, 91 * DAY + 1, "key_newest ");
    sweeps(&act, 93 * DAY + 1, "key_nobodys key_open ");
    end(&act);
}

static void a_key_that_a_bundle_was_made_of_stays(void **state)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs removed = {NULL, 0};
    char sha256[CLM_SHA256_HEX_SIZE];
    char path[PATH_MAX + 160];
    struct act act;

    (void)state;
    begin(&act);
    put_old_key(&act, "key_a", "crt_a", DAY, false);
    put_old_key(&act, "key_b", "crt_a", 2 * DAY, false);
    put_bundle(&act, '7', sha256);
    sweeps(&act, 999 * (int64_t)DAY, "key_b ");

    /* Who cannot tell what is used removes nothing. */
    put_old_key(&act, "key_c", "crt_c", DAY, false);
    (void)snprintf(path, sizeof(path), "%s/bundles/%s/meta.json", act.scene.state, sha256);
    assert_int_equal(clm_fs_replace(path, "{", 1, 0600, NULL), CLM_OK);
    assert_int_equal(
        clm_store_key_sweep(act.store, has_ended, NULL, 999 * (int64_t)DAY, &removed, NULL),
        CLM_E_PARSE);
    assert_int_equal(removed.n, 0);
    end(&act);
}

static void a_key_that_cannot_be_read_stays_alone(void **state)
{
    char path[PATH_MAX + 64];
    struct act act;

    (void)state;
    begin(&act);
    put_old_key(&act, "key_1", "crt_a", 1000, false);
    put_old_key(&act, "key_2", "crt_a", 2000, false);
    put_old_key(&act, "key_3", "crt_a", 3000, false);
    (void)snprintf(path, sizeof(path), "%s/keys/key_2/meta.json", act.scene.state);
    assert_int_equal(clm_fs_replace(path, "{", 1, 0600, NULL), CLM_OK);
    sweeps(&act, 999 * (int64_t)DAY, "key_1 key_3 ");
    assert_true(clm_fs_exists(path));
    end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_goes_when_its_order_came_to_nothing_and_a_newer_one_is_there),
        cmocka_unit_test(a_key_goes_after_ninety_days_whatever_it_waits_for),
        cmocka_unit_test(a_key_that_a_bundle_was_made_of_stays),
        cmocka_unit_test(a_key_that_cannot_be_read_stays_alone),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("store keys", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
