/* SPDX-License-Identifier: Apache-2.0 */
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

#include "config/source.h"
#include "tests/unit/config/tree.h"

#define OTHER_USER 12345

static int setup(void **state)
{
    struct tree *tree = calloc(1, sizeof(*tree));

    assert_non_null(tree);
    tree_make(tree);
    *state = tree;
    return 0;
}

static int teardown(void **state)
{
    tree_remove(*state);
    free(*state);
    return 0;
}

/* Reading name must be refused, and the message must end as told; %s stands for the path of blame. */
static void must_refuse(struct tree *tree, const char *name, const char *blame, const char *what)
{
    struct clm_buf text = CLM_BUF_INIT(64);
    struct clm_err err = {0};
    char culprit[300];
    char want[700];

    (void)snprintf(culprit, sizeof(culprit), "%s", tree_at(tree, blame));
    culprit[strlen(culprit) - (blame[0] == '\0' ? 1 : 0)] = '\0';
    (void)snprintf(want, sizeof(want), "'%s' %s", culprit, what);
    assert_int_equal(clm_source_read(tree_at(tree, name), &text, &err), CLM_E_CONFIG);
    if (strncmp(err.msg, want, strlen(want)) != 0) {
        fail_msg("'%s' instead of '%s'", err.msg, want);
    }
    assert_int_equal(text.len, 0);
    clm_buf_done(&text);
}

static void a_file_of_our_own_is_read(void **state)
{
    struct tree *tree = *state;
    struct clm_buf text = CLM_BUF_INIT(64);
    struct clm_err err = {0};

    tree_dir(tree, "d");
    tree_file(tree, "d/f", "content");
    if (clm_source_read(tree_at(tree, "d//f"), &text, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(clm_buf_str(&text), "content");
    clm_buf_reset(&text);
    tree_mode(tree, "d/f", 0400);
    tree_mode(tree, "d", 01777);
    assert_int_equal(clm_source_read(tree_at(tree, "d/f"), &text, &err), CLM_OK);
    clm_buf_done(&text);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    struct tree *tree = *state;
    char want[400];

    tree_file(tree, "f", "x");
    tree_mode(tree, "f", 0664);
    (void)snprintf(want, sizeof(want),
                   "is writable by group or others (mode 0664); fix it with: chmod go-w %s/f",
                   tree->root);
    must_refuse(tree, "f", "f", want);
    tree_mode(tree, "f", 0646);
    must_refuse(tree, "f", "f", "is writable by group or others (mode 0646)");
    tree_mode(tree, "f", 01666); /* sticky means nothing on a file */
    must_refuse(tree, "f", "f", "is writable by group or others (mode 1666)");
}

static void a_directory_that_others_may_write_is_refused(void **state)
{
    struct tree *tree = *state;

    tree_dir(tree, "d");
    tree_dir(tree, "d/e");
    tree_file(tree, "d/e/f", "x");
    tree_mode(tree, "d", 0775);
    must_refuse(tree, "d/e/f", "d", "is writable by group or others (mode 0775)");
    tree_mode(tree, "d", 0755);
    tree_mode(tree, "d/e", 0757);
    must_refuse(tree, "d/e/f", "d/e", "is writable by group or others (mode 0757)");
}

static void a_symbolic_link_is_refused_wherever_it_is(void **state)
{
    struct tree *tree = *state;

    tree_dir(tree, "d");
    tree_file(tree, "d/f", "x");
    assert_int_equal(symlink("f", tree_at(tree, "d/l")), 0);
    assert_int_equal(symlink("d", tree_at(tree, "e")), 0);
    must_refuse(tree, "d/l", "d/l", "is a symbolic link, which is not followed; use the real path");
    must_refuse(tree, "e/f", "e", "is a symbolic link");
}

static void what_belongs_to_somebody_else_is_refused(void **state)
{
    struct tree *tree = *state;
    char want[400];

    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    tree_dir(tree, "d");
    tree_file(tree, "d/f", "x");
    assert_int_equal(chown(tree_at(tree, "d/f"), OTHER_USER, 0), 0);
    (void)snprintf(
        want, sizeof(want),
        "belongs to user 12345 (mode 0644), not to root or to user 0; fix it with: chown "
        "root %s/d/f",
        tree->root);
    must_refuse(tree, "d/f", "d/f", want);
    assert_int_equal(chown(tree_at(tree, "d/f"), 0, 0), 0);
    assert_int_equal(chown(tree_at(tree, "d"), OTHER_USER, 0), 0);
    must_refuse(tree, "d/f", "d", "belongs to user 12345 (mode 0755)");
    assert_int_equal(chown(tree_at(tree, "d"), 0, 0), 0);
    /* Root's file is good for everybody; one's own is, too. */
    assert_int_equal(chown(tree->root, OTHER_USER, 0), 0);
    assert_int_equal(chown(tree_at(tree, "d/f"), OTHER_USER, 0), 0);
    assert_int_equal(seteuid(OTHER_USER), 0);
    {
        struct clm_buf text = CLM_BUF_INIT(64);
        enum clm_code code = clm_source_read(tree_at(tree, "d/f"), &text, NULL);

        assert_int_equal(seteuid(0), 0);
        assert_int_equal(code, CLM_OK);
        clm_buf_done(&text);
    }
}

static void only_regular_files_are_read(void **state)
{
    struct tree *tree = *state;

    tree_dir(tree, "d");
    assert_int_equal(mkfifo(tree_at(tree, "p"), 0600), 0);
    must_refuse(tree, "d", "d", "is not a regular file");
    must_refuse(tree, "p", "p", "is not a regular file");
}

static void what_is_missing_is_told_from_what_is_wrong(void **state)
{
    struct tree *tree = *state;
    struct clm_buf text = CLM_BUF_INIT(4);
    struct clm_err err = {0};

    assert_int_equal(clm_source_read(tree_at(tree, "no"), &text, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "/no'"));
    assert_int_equal(clm_source_read(tree_at(tree, "no/f"), &text, &err), CLM_E_NOTFOUND);
    tree_file(tree, "f", "12345");
    assert_int_equal(clm_source_read(tree_at(tree, "f"), &text, &err), CLM_E_LIMIT);
    assert_int_not_equal(clm_source_read(tree_at(tree, "f/g"), &text, &err), CLM_OK);
    clm_buf_done(&text);
}

static void a_directory_is_listed_in_order(void **state)
{
    struct tree *tree = *state;
    struct clm_strs names = {0};
    struct clm_err err = {0};

    tree_dir(tree, "d");
    tree_file(tree, "d/b.yaml", "");
    tree_file(tree, "d/a.yaml", "");
    tree_file(tree, "d/B.yaml", "");
    tree_file(tree, "d/.hidden.yaml", "");
    tree_file(tree, "d/a.yaml~", "");
    tree_file(tree, "d/c.yaml.dpkg-new", "");
    assert_int_equal(clm_source_list(tree_at(tree, "d"), ".yaml", &names, &err), CLM_OK);
    assert_int_equal(names.n, 3);
    assert_string_equal(names.v[0], "B.yaml");
    assert_string_equal(names.v[1], "a.yaml");
    assert_string_equal(names.v[2], "b.yaml");
    clm_strs_done(&names);
    assert_int_equal(clm_source_list(tree_at(tree, "none"), ".yaml", &names, &err), CLM_OK);
    assert_int_equal(names.n, 0);
}

static void a_bad_directory_is_not_listed(void **state)
{
    struct tree *tree = *state;
    struct clm_strs names = {0};
    struct clm_err err = {0};

    tree_dir(tree, "d");
    tree_mode(tree, "d", 0777);
    assert_int_equal(clm_source_list(tree_at(tree, "d"), ".yaml", &names, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "/d' is writable by group or others (mode 0777)"));
    tree_mode(tree, "d", 0755);
    assert_int_equal(symlink("d", tree_at(tree, "l")), 0);
    assert_int_equal(clm_source_list(tree_at(tree, "l"), ".yaml", &names, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "/l' is a symbolic link"));
    tree_file(tree, "f", "");
    assert_int_equal(clm_source_list(tree_at(tree, "f"), ".yaml", &names, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "/f' is no directory"));
    assert_int_equal(names.n, 0);
}

static void too_many_files_are_refused(void **state)
{
    struct tree *tree = *state;
    struct clm_strs names = {0};
    struct clm_err err = {0};
    char name[32];

    tree_dir(tree, "d");
    for (int i = 0; i <= CLM_SOURCE_FILES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "d/%d.yaml", i);
        tree_file(tree, name, "");
    }
    assert_int_equal(clm_source_list(tree_at(tree, "d"), ".yaml", &names, &err), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "/d' holds more than 256 files"));
    clm_strs_done(&names);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_of_our_own_is_read),
        TEST(a_file_that_others_may_write_is_refused),
        TEST(a_directory_that_others_may_write_is_refused),
        TEST(a_symbolic_link_is_refused_wherever_it_is),
        TEST(what_belongs_to_somebody_else_is_refused),
        TEST(only_regular_files_are_read),
        TEST(what_is_missing_is_told_from_what_is_wrong),
        TEST(a_directory_is_listed_in_order),
        TEST(a_bad_directory_is_not_listed),
        TEST(too_many_files_are_refused),
    };

    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
