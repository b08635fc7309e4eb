/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/formats/conf_tree.h"
#include "tests/support/root_io.h"

/* One byte more than a file's name can have. */
#define LONG_NAME "/" X32 X32 X32 X32 X32 X32 X32 X32
#define X32       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

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
        {"/a/b*/", "/a/b"},
        {LONG_NAME "/*", ""},
        {"/a/*/" LONG_NAME, ""},
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
    assert_int_equal(clm_conf_dirname("a", path, sizeof(path), NULL), CLM_OK);
    assert_string_equal(path, "/");
}

static void files_and_directives_are_counted(void **state)
{
    struct clm_conf_files files = {.directives = CLM_CONF_DIRECTIVES_MAX - 1};
    struct clm_conf_tree tree = {.root = {.n = 0}};
    struct clm_conf_place place = {.file = "f", .line = 1};
    struct clm_conf_node *node = NULL;
    struct clm_strs args = {NULL, 0};
    struct clm_buf text = CLM_BUF_INIT(1 << 20);
    struct clm_err err = {0};
    char root[PATH_MAX];
    struct root_io io;
    const char *name;
    enum clm_code code = CLM_OK;

    (void)state;
    assert_int_equal(clm_conf_files_count(&files, NULL), CLM_OK);
    assert_int_equal(clm_conf_files_count(&files, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "the configuration has more than 500000 directives");
    assert_int_equal(clm_strs_add(&args, "word", NULL), CLM_OK);
    tree.files.words = CLM_CONF_BYTES_MAX - 4;
    assert_int_equal(clm_conf_tree_add(&tree, &tree.root, &args, &place, &node, &err), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "with its variables put in, is larger than 64 MiB"));
    tree.files.words--;
    assert_int_equal(clm_conf_tree_add(&tree, &tree.root, &args, &place, &node, &err), CLM_OK);
    tree.files.directives = CLM_CONF_DIRECTIVES_MAX;
    assert_int_equal(clm_conf_tree_add(&tree, &tree.root, &args, &place, &node, &err), CLM_E_LIMIT);
    clm_conf_tree_done(&tree);
    clm_strs_done(&args);

    root_io_temp(root);
    root_io_init(&io, root);
    files.io = &io.io;
    for (int i = 0; i <= CLM_CONF_FILES_MAX && code == CLM_OK; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "/%d", i);
        root_io_text(root, path, "a;");
        clm_buf_reset(&text);
        code = clm_conf_files_enter(&files, path, &text, &name, &err);
        if (code == CLM_OK) {
            assert_string_equal(name, path);
            clm_conf_files_leave(&files);
        }
    }
    assert_int_equal(code, CLM_E_LIMIT);
    assert_string_equal(err.msg, "the configuration has more than 1000 files");
    assert_int_equal(files.seen.n, CLM_CONF_FILES_MAX);
    clm_conf_files_done(&files);
    clm_buf_done(&text);
    root_io_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_match_as_in_a_shell),
        cmocka_unit_test(paths_are_joined_and_cut),
        cmocka_unit_test(files_and_directives_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
