/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches for certificates in which a call of libc fails: each call once. What is handed over is
 * whole, what could not be read is counted or remarked, and a search without memory says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scanners/cert_files.h"
#include "tests/support/host_tree.h"
#include "tests/support/root_io.h"
#include "tests/support/sabotage.h"

struct act {
    char root[PATH_MAX];
    char other[PATH_MAX]; /* links lead there */
    struct root_io io;
    struct clm_strs roots;
    struct clm_inventory inventory;
    struct clm_files_rules rules;
    struct clm_files_counts counts;
    size_t n;
    size_t whole; /* of a search in which nothing fails */
    bool is_lax;  /* of what only the first walk missed nothing is said */
};

static enum clm_code on_found(void *arg, const struct clm_found *found, struct clm_err *err)
{
    struct act *act = arg;

    (void)err;
    assert_true(found->path[0] == '/');
    assert_true(found->n_entries > 0 || found->is_locked);
    act->n++;
    return CLM_OK;
}

static enum clm_code search(void *arg, struct clm_err *err)
{
    struct act *act = arg;
    const struct clm_files_visitor visitor = {.found = on_found, .arg = act};

    act->n = 0;
    return clm_cert_files_scan(&act->rules, &visitor, &act->counts, err);
}

static void judge(void *arg, enum clm_code code, const char *what)
{
    struct act *act = arg;

    if (code != CLM_OK && code != CLM_E_NOMEM) {
        fail_msg("%s: %s", what, clm_code_name(code));
    }
    if (act->n > act->whole) {
        fail_msg("%s: %zu files instead of %zu", what, act->n, act->whole);
    }
    if (code == CLM_OK && !act->is_lax && act->n < act->whole && act->counts.unreadable == 0 &&
        act->counts.remarks.n == 0) {
        fail_msg("%s: %zu of %zu files, and nothing is said of the others", what, act->n,
                 act->whole);
    }
    clm_files_counts_done(&act->counts);
    act->counts = (struct clm_files_counts){.files = 0};
}

static void set_up(struct act *act)
{
    char path[2 * PATH_MAX];
    char to[2 * PATH_MAX];
    struct clm_target *target;

    *act = (struct act){.n = 0};
    root_io_temp(act->root);
    root_io_temp(act->other);
    root_io_init(&act->io, act->root);
    host_tree_copy("tests/fixtures/pki", act->root);
    host_tree_copy("tests/fixtures/keystores", act->root);
    host_tree_copy("tests/fixtures/tomcat-8.5", act->other);
    (void)snprintf(to, sizeof(to), "%s/opt", act->other);
    root_io_link(act->root, "/links/opt", to);
    (void)snprintf(path, sizeof(path), "%s/www.pem", act->root);
    (void)snprintf(to, sizeof(to), "%s/links/hard.pem", act->root);
    assert_int_equal(link(path, to), 0);
    root_io_link(act->root, "/links/soft.pem", "../www.pem");
    root_io_text(act->root, "/etc/passwd", "root:x:0:0::/:\n");
    assert_int_equal(clm_strs_add(&act->roots, act->root, NULL), CLM_OK);
    target = clm_service_add_target(clm_inventory_add_service(&act->inventory));
    (void)snprintf(target->id, sizeof(target->id), "nginx:www.example.com");
    (void)snprintf(target->cert_path, sizeof(target->cert_path), "%.4000s/shop.pem", act->root);
    (void)snprintf(target->key_path, sizeof(target->key_path), "%.4000s/shop.key", act->root);
    act->rules = (struct clm_files_rules){.mode = CLM_FILES_ALL,
                                          .roots = &act->roots,
                                          .inventory = &act->inventory,
                                          .depth = 16,
                                          .files_max = 100000,
                                          .time_max_ms = 60000,
                                          .expiring_days = 21,
                                          .now_s = 1780000000,
                                          .io = &act->io.io};
}

static void what_cannot_be_read_is_told(void **state)
{
    struct act act;
    const struct clm_sabotage plan = {.act = search, .after = judge, .arg = &act};

    (void)state;
    set_up(&act);
    act.whole = SIZE_MAX;
    assert_int_equal(search(&act, NULL), CLM_OK);
    act.whole = act.n;
    assert_true(act.whole > 12);
    clm_files_counts_done(&act.counts);
    act.counts = (struct clm_files_counts){.files = 0};
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup read realpath") > 200);
    act.is_lax = true;
    assert_true(clm_sabotage_run(&plan, "open64 openat64 fdopendir readdir64 fstat64 fstatat64 "
                                        "stat64 fstatfs64") > 100);
    act.rules.mode = CLM_FILES_IN_USE;
    act.whole = 2;
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc open64 openat64 realpath") > 10);
    clm_inventory_done(&act.inventory);
    clm_strs_done(&act.roots);
    root_io_remove(act.root);
    root_io_remove(act.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_read_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
