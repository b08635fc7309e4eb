/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/fs.h"
#include "agent/host/internal.h"
#include "tests/unit/host/host_world.h"

#define ROOM 256 /* as dcv_room.c */

static int setup(void **state)
{
    *state = host_world_new();
    return 0;
}

static int teardown(void **state)
{
    host_world_free(*state);
    return 0;
}

/* As many orders with a file each, which lies in the state directory's place of a web root. */
static void fill(struct host_world *world, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct clm_dcv_record record = {.roots = NULL};
        struct clm_dcv_made *made = clm_dcv_record_root(&record, world->tree);
        char text[CLM_ID_SIZE];
        char path[PATH_MAX + 64];

        assert_non_null(made);
        (void)snprintf(path, sizeof(path), "%s/token%u", world->tree, i);
        assert_int_equal(clm_fs_create(path, "x", 1, 0644, NULL), CLM_OK);
        assert_int_equal(clm_strs_add(&made->made, path, NULL), CLM_OK);
        assert_int_equal(clm_id_new("ord", text, NULL), CLM_OK);
        assert_int_equal(clm_ledger_dcv_put(world->host->dir, text, &record, NULL), CLM_OK);
        clm_dcv_record_done(&record);
    }
}

static enum clm_code count_one(void *arg, const char *name, struct clm_err *err)
{
    (void)name;
    (void)err;
    ++*(unsigned *)arg;
    return CLM_OK;
}

static unsigned records(const struct host_world *world)
{
    char path[PATH_MAX + 64];
    unsigned n = 0;

    (void)snprintf(path, sizeof(path), "%s/host/dcv", world->state_dir);
    assert_int_equal(clm_fs_list(path, count_one, &n, NULL), CLM_OK);
    return n;
}

static void there_is_an_end(void **state)
{
    struct host_world *world = *state;

    fill(world, ROOM - 1);
    assert_int_equal(clm_host_dcv_room(world->host, NULL), CLM_OK);
    assert_int_equal(records(world), ROOM - 1);
}

static enum clm_code make_old(void *arg, const char *name, struct clm_err *err)
{
    const struct host_world *world = arg;
    const struct timespec times[2] = {{.tv_sec = world->now_s - 9 * 86400},
                                      {.tv_sec = world->now_s - 9 * 86400}};
    char path[PATH_MAX + 64];

    (void)err;
    (void)snprintf(path, sizeof(path), "%s/host/dcv/%s", world->state_dir, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    return CLM_OK;
}

static void forgotten_files_make_room(void **state)
{
    struct host_world *world = *state;
    char path[PATH_MAX + 64];

    fill(world, ROOM);
    assert_int_equal(clm_host_dcv_room(world->host, &world->err), CLM_E_LIMIT);
    assert_int_equal(records(world), ROOM);
    (void)snprintf(path, sizeof(path), "%s/host/dcv", world->state_dir);
    assert_int_equal(clm_fs_list(path, make_old, world, NULL), CLM_OK);
    assert_int_equal(clm_host_dcv_room(world->host, NULL), CLM_OK);
    assert_int_equal(records(world), 0);
    (void)snprintf(path, sizeof(path), "%s/token0", world->tree);
    assert_false(clm_fs_exists(path));
}

static void an_order_has_so_many_files(void **state)
{
    struct host_world *world = *state;
    struct clm_dcv_record record = {.roots = NULL};
    struct clm_dcv_made *made = clm_dcv_record_root(&record, world->tree);
    char id[CLM_ID_SIZE];

    assert_int_equal(clm_id_new("ord", id, NULL), CLM_OK);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(clm_strs_add(&made->made, "/x", NULL), CLM_OK);
    }
    assert_int_equal(clm_ledger_dcv_put(world->host->dir, id, &record, NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&made->made, "/x", NULL), CLM_OK);
    assert_int_equal(clm_ledger_dcv_put(world->host->dir, id, &record, NULL), CLM_E_LIMIT);
    clm_dcv_record_done(&record);
    assert_int_equal(clm_ledger_dcv_get(world->host->dir, id, &record, NULL), CLM_OK);
    assert_int_equal(record.roots[0].made.n, 1000);
    clm_dcv_record_done(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_is_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(forgotten_files_make_room, setup, teardown),
        cmocka_unit_test_setup_teardown(an_order_has_so_many_files, setup, teardown),
    };

    return cmocka_run_group_tests_name("host_dcv_room", tests, NULL, NULL);
}
