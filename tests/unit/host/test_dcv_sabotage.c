/* SPDX-License-Identifier: Apache-2.0 */
/* Validation files while a call of libc fails, each call once: written or an error, and nothing of
 * ours is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/host/dcv.h"
#include "tests/support/root_io.h"
#include "tests/support/sabotage.h"

#define PATH "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

struct scene {
    char dir[PATH_MAX];
    bool is_there; /* an equal file is there already, of somebody else */
};

static void before(void *arg)
{
    const struct scene *scene = arg;

    if (scene->is_there) {
        root_io_text(scene->dir, PATH, "content");
    }
}

static enum clm_code write_it(void *arg, struct clm_err *err)
{
    const struct scene *scene = arg;

    return clm_dcv_write(&(const struct clm_dcv_root){scene->dir, false}, PATH, "content", err);
}

static void after(void *arg, enum clm_code code, const char *what)
{
    const struct scene *scene = arg;
    char path[PATH_MAX + 128];
    bool is_there;

    (void)snprintf(path, sizeof(path), "%s%s", scene->dir, PATH);
    is_there = access(path, F_OK) == 0;
    if (is_there != (code == CLM_OK || scene->is_there)) {
        fail_msg("%s: %s, and the file is %sthere", what, clm_code_name(code),
                 is_there ? "" : "not ");
    }
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/.well-known", scene->dir);
    root_io_remove(path);
}

static void a_file_is_written_or_nothing_is_left(void **state)
{
    struct scene scene = {.is_there = false};
    const struct clm_sabotage plan = {before, write_it, after, &scene, false};

    (void)state;
    root_io_temp(scene.dir);
    assert_true(clm_sabotage_run(&plan, NULL) > 10);
    root_io_remove(scene.dir);
}

static void an_equal_file_is_never_taken_away(void **state)
{
    struct scene scene = {.is_there = true};
    const struct clm_sabotage plan = {before, write_it, after, &scene, false};

    (void)state;
    root_io_temp(scene.dir);
    assert_true(clm_sabotage_run(&plan, NULL) > 10);
    root_io_remove(scene.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_written_or_nothing_is_left),
        cmocka_unit_test(an_equal_file_is_never_taken_away),
    };

    return cmocka_run_group_tests_name("dcv sabotage", tests, NULL, NULL);
}
