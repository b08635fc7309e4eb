/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/formats/conf_files.h"
#include "tests/support/root_io.h"

static void wildcards_match_as_in_a_shell(void **state)
{
    static const struct {
        const char *pattern;
        const char *want; /* joined by spaces */
    } cases[] = {
        {"/a/none", "/a/none"},
        {"/a/*", "/a/1 /a/2 /a/b"},
        {"/a/?", "/a/1 /a/2 /a/b"},
        {"/a/[2-9]", "/a/2"},
        {"/a/.*", "/a/.h"},
        {"/*/1", "/a/1"},
        {"/a/b/*.conf", "/a/b/x.conf"},
        {"/a/*/x.conf", "/a/b/x.conf"},
        {"/none/*", ""},
        {"/a/1/*", ""},
        {"/a//b//*.conf", "/a/b/x.conf"},
    };
    char root[PATH_MAX];
    struct root_io io;

    (void)state;
    root_io_temp(root);
    root_io_init(&io, root);
    root_io_text(root, "/a/2", "");
    root_io_text(root, "/a/1", "");
    root_io_text(root, "/a/.h", "");
    root_io_text(root, "/a/b/x.conf", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clm_strs found = {0};
        char all[512] = "";

        assert_int_equal(clm_conf_glob(&io.io, cases[i].pattern, &found, NULL), CLM_OK);
        for (size_t k = 0; k < found.n; k++) {
            strcat(all, k > 0 ? " " : "");
            strcat(all, found.v[k]);
        }
        clm_strs_done(&found);
        if (strcmp(all, cases[i].want) != 0) {
            fail_msg("case %zu: '%s'", i, all);
        }
    }
    root_io_remove(root);
}

static void paths_are_joined_and_cut(void **state)
{
    char path[32];

    (void)state;
    assert_int_equal(clm_conf_path("/a", "b", path, sizeof(path), NULL), CLM_OK);
    assert_string_equal(path, "/a/b");
    assert_int_equal(clm_conf_path("/a/", "b", path, sizeof(path), NULL), CLM_OK);
    assert_string_equal(path, "/a/b");
    assert_int_equal(clm_conf_path("/a", "/b", path, sizeof(path), NULL), CLM_OK);
    assert_string_equal(path, "/b");
    assert_int_equal(
        clm_conf_path("/0123456789012345", "0123456789012345", path, sizeof(path), NULL),
        CLM_E_LIMIT);
    assert_int_equal(clm_conf_dirname("/a/b/c", path, sizeof(path), NULL), CLM_OK);
    assert_string_equal(path, "/a/b");
    assert_int_equal(clm_conf_dirname("/a", path, sizeof(path), NULL), CLM_OK);
    assert_string_equal(path, "/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_match_as_in_a_shell),
        cmocka_unit_test(paths_are_joined_and_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
