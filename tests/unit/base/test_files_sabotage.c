/* SPDX-License-Identifier: Apache-2.0 */
/* Files, places and programs, while each call of libc in turn fails once. */
#define _GNU_SOURCE
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
#include "agent/base/fsat.h"
#include "agent/base/inroot.h"
#include "agent/base/proc.h"
#include "tests/support/sabotage.h"

#define CALLS_MIN 20 /* of each act: fewer would mean that it ends too early */

struct scene {
    char root[64];
    char path[128];
};

static const char *at(struct scene *scene, const char *name)
{
    (void)snprintf(scene->path, sizeof(scene->path), "%s/%s", scene->root, name);
    return scene->path;
}

/* A directory with the files a and b, and nothing that a run before left. */
static void before(void *arg)
{
    struct scene *scene = arg;

    assert_int_equal(clm_fs_remove_dir(at(scene, "d/e"), NULL), CLM_OK);
    assert_int_equal(clm_fs_remove_dir(at(scene, "d"), NULL), CLM_OK);
    assert_int_equal(clm_fs_mkdir(at(scene, "d"), 0700, NULL), CLM_OK);
    assert_int_equal(clm_fs_create(at(scene, "d/a"), "one", 3, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_create(at(scene, "d/b"), "two", 3, 0600, NULL), CLM_OK);
}

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    assert_non_null(scene);
    (void)strcpy(scene->root, "/tmp/clm-sabotage-XXXXXX");
    assert_non_null(mkdtemp(scene->root));
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    before(scene);
    assert_int_equal(clm_fs_remove_dir(at(scene, "d"), NULL), CLM_OK);
    assert_int_equal(rmdir(scene->root), 0);
    free(scene);
    return 0;
}

static enum clm_code count(void *arg, const char *name, struct clm_err *err)
{
    (void)name;
    (void)err;
    ++*(int *)arg;
    return CLM_OK;
}

static enum clm_code change_files(void *arg, struct clm_err *err)
{
    struct scene *scene = arg;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
    char other[128];
    int n = 0;
    enum clm_code code = clm_fs_replace(at(scene, "d/a"), "three", 5, 0600, err);

    if (code == CLM_OK) {
        code = clm_fs_append(at(scene, "d/log"), "line", 4, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_append(at(scene, "d/log"), "line", 4, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_read(at(scene, "d/log"), 64, &text, err);
    }
    if (code == CLM_OK) {
        assert_string_equal(clm_buf_str(&text), "lineline");
        code = clm_fs_create(at(scene, "d/c"), "c", 1, 0600, err);
    }
    if (code == CLM_OK) {
        (void)snprintf(other, sizeof(other), "%s/d/x", scene->root);
        code = clm_fs_rename(at(scene, "d/c"), other, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_mkdir(at(scene, "d/e"), 0700, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_list(at(scene, "d"), count, &n, err);
    }
    if (code == CLM_OK) {
        assert_int_equal(n, 5);
        code = clm_fs_unlink(at(scene, "d/x"), err);
    }
    return code == CLM_OK ? clm_fs_remove_dir(at(scene, "d/e"), err) : code;
}

static void files_fail_with_a_reason(void **state)
{
    const struct clm_sabotage plan = {.before = before, .act = change_files, .arg = *state};

    assert_true(clm_sabotage_run(&plan, NULL) > CALLS_MIN);
}

static enum clm_code change_place(void *arg, struct clm_err *err)
{
    struct scene *scene = arg;
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
    struct clm_fsat_stat st;
    struct clm_fsat_new file = {.name = "n", .data = "new", .len = 3, .mode = 0640, .like = "a"};
    char temp[CLM_FSAT_NAME_SIZE];
    uint64_t room = 0;
    enum clm_code code = clm_fsat_open(at(scene, "d/a"), &place, err);

    file.uid = geteuid();
    file.gid = getegid();
    if (code == CLM_OK) {
        code = clm_fsat_temp_name("a", temp, err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_create(place.dir_fd, &file, err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_exchange(place.dir_fd, "n", "a", err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_read(place.dir_fd, "a", 64, &text, &st, err);
    }
    if (code == CLM_OK) {
        assert_string_equal(clm_buf_str(&text), "new");
        code = clm_fsat_rename_new(place.dir_fd, "n", "m", err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_rename(place.dir_fd, "m", "b", err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_stat(place.dir_fd, "b", &st, err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_unlink(place.dir_fd, "b", err);
    }
    if (code == CLM_OK) {
        code = clm_fsat_free_bytes(place.dir_fd, place.dir, &room, err);
    }
    return code == CLM_OK ? clm_fsat_sync(place.dir_fd, place.dir, err) : code;
}

static void places_fail_with_a_reason(void **state)
{
    const struct clm_sabotage plan = {.before = before, .act = change_place, .arg = *state};

    assert_true(clm_sabotage_run(&plan, NULL) > CALLS_MIN);
}

static enum clm_code look_into_roots(void *arg, struct clm_err *err)
{
    struct scene *scene = arg;
    CLM_CLEANUP(clm_fs_close_p) int walked = -1;
    CLM_CLEANUP(clm_fs_close_p) int opened = -1;
    CLM_CLEANUP(clm_fs_close_p) int owned = -1;
    char path[256];
    enum clm_code code;

    (void)snprintf(path, sizeof(path), "/proc/%d/root%s/l/../l/a", (int)getpid(), scene->root);
    code = clm_inroot_walk(path, true, &walked, err);
    if (code == CLM_OK) {
        code = clm_inroot_open(path, &opened, err);
    }
    return code == CLM_OK ? clm_inroot_open_owned(at(scene, "l"), &owned, err) : code;
}

static void roots_of_others_fail_with_a_reason(void **state)
{
    struct scene *scene = *state;
    const struct clm_sabotage plan = {.before = before, .act = look_into_roots, .arg = scene};

    assert_int_equal(symlink("d", at(scene, "l")), 0);
    assert_true(clm_sabotage_run(&plan, NULL) > CALLS_MIN);
    assert_int_equal(unlink(at(scene, "l")), 0);
}

static enum clm_code run_program(void *arg, struct clm_err *err)
{
    static const char *const argv[] = {"/bin/echo", "said", NULL};
    const struct clm_proc proc = {.argv = argv, .timeout_ms = 20000};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
    int status = -1;
    enum clm_code code = clm_proc_run(&proc, &status, &text, err);

    (void)arg;
    if (code == CLM_OK) {
        assert_int_equal(status, 0);
        assert_string_equal(clm_buf_str(&text), "said\n");
    }
    return code;
}

static void programs_fail_with_a_reason(void **state)
{
    const struct clm_sabotage plan = {.act = run_program, .arg = *state};

    /* not what the child calls before it becomes the program, too */
    assert_true(clm_sabotage_run(&plan, "pipe2 fork poll realloc") > 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(files_fail_with_a_reason),
        TEST(places_fail_with_a_reason),
        TEST(roots_of_others_fail_with_a_reason),
        TEST(programs_fail_with_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
