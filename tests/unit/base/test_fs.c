/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"

static char dir[] = "/tmp/clm-fs-XXXXXX";

static const char *at(const char *name)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void expect_content(const char *name, const char *want)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf have = CLM_BUF_INIT(4096);

    assert_int_equal(clm_fs_read(at(name), 4096, &have, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&have), want);
}

static void replace_creates_and_replaces(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(clm_fs_replace(at("a"), "one", 3, 0600, NULL), CLM_OK);
    expect_content("a", "one");
    assert_int_equal(clm_fs_replace(at("a"), "", 0, 0644, NULL), CLM_OK);
    expect_content("a", "");
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(clm_fs_unlink(at("a"), NULL), CLM_OK);
}

static void a_leftover_of_a_crash_is_no_obstacle(void **state)
{
    (void)state;
    assert_int_equal(clm_fs_create(at("a.clmnew"), "half", 4, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_replace(at("a"), "whole", 5, 0600, NULL), CLM_OK);
    expect_content("a", "whole");
    assert_false(clm_fs_exists(at("a.clmnew")));
    assert_int_equal(clm_fs_unlink(at("a"), NULL), CLM_OK);
}

static void create_never_replaces_nor_follows(void **state)
{
    char target[PATH_MAX];

    (void)state;
    assert_int_equal(clm_fs_create(at("a"), "x", 1, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_create(at("a"), "y", 1, 0600, NULL), CLM_E_EXISTS);
    expect_content("a", "x");
    memcpy(target, at("victim"), sizeof(target));
    assert_int_equal(symlink(target, at("link")), 0);
    assert_int_equal(clm_fs_create(at("link"), "y", 1, 0600, NULL), CLM_E_EXISTS);
    assert_false(clm_fs_exists(target));
    assert_int_equal(clm_fs_unlink(at("link"), NULL), CLM_OK);
    assert_int_equal(clm_fs_unlink(at("a"), NULL), CLM_OK);
}

static void reading_has_a_limit_and_wants_a_file(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(10);
    char target[PATH_MAX];

    (void)state;
    assert_int_equal(clm_fs_create(at("ten"), "0123456789", 10, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_read(at("ten"), 10, &out, NULL), CLM_OK);
    assert_int_equal(out.len, 10);
    clm_buf_reset(&out);
    assert_int_equal(clm_fs_read(at("ten"), 9, &out, NULL), CLM_E_LIMIT);
    clm_buf_reset(&out);
    assert_int_equal(clm_fs_read(at("missing"), 10, &out, NULL), CLM_E_NOTFOUND);
    assert_int_equal(clm_fs_read(dir, 10, &out, NULL), CLM_E_INVAL);
    memcpy(target, at("ten"), sizeof(target));
    assert_int_equal(symlink(target, at("link")), 0);
    assert_int_not_equal(clm_fs_read(at("link"), 10, &out, NULL), CLM_OK);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(clm_fs_read(at("pipe"), 10, &out, NULL), CLM_E_INVAL); /* and does not hang */
    (void)unlink(at("pipe"));
    (void)unlink(at("link"));
    (void)unlink(at("ten"));
}

static void a_buffer_may_be_smaller_than_the_limit(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(5);

    (void)state;
    assert_int_equal(clm_fs_create(at("ten"), "0123456789", 10, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_read(at("ten"), 100, &out, NULL), CLM_E_LIMIT);
    assert_true(out.len <= 5);
    (void)unlink(at("ten"));
}

static void append_adds(void **state)
{
    (void)state;
    assert_int_equal(clm_fs_append(at("log"), "a\n", 2, NULL), CLM_OK);
    assert_int_equal(clm_fs_append(at("log"), "b\n", 2, NULL), CLM_OK);
    expect_content("log", "a\nb\n");
    (void)unlink(at("log"));
}

static void directories_come_and_go(void **state)
{
    (void)state;
    assert_int_equal(clm_fs_mkdir(at("d"), 0700, NULL), CLM_OK);
    assert_int_equal(clm_fs_mkdir(at("d"), 0700, NULL), CLM_OK);
    assert_int_equal(clm_fs_create(at("d/x"), "x", 1, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_create(at("d/.y"), "y", 1, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_remove_dir(at("d"), NULL), CLM_OK);
    assert_false(clm_fs_exists(at("d")));
    assert_int_equal(clm_fs_remove_dir(at("d"), NULL), CLM_OK);
    assert_int_equal(clm_fs_create(at("f"), "x", 1, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_mkdir(at("f"), 0700, NULL), CLM_E_EXISTS);
    (void)unlink(at("f"));
}

static void removing_follows_no_symlink(void **state)
{
    char target[PATH_MAX];

    (void)state;
    assert_int_equal(clm_fs_mkdir(at("keep"), 0700, NULL), CLM_OK);
    assert_int_equal(clm_fs_create(at("keep/x"), "x", 1, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_mkdir(at("d"), 0700, NULL), CLM_OK);
    memcpy(target, at("keep"), sizeof(target));
    assert_int_equal(symlink(target, at("d/link")), 0);
    assert_int_equal(clm_fs_remove_dir(at("d"), NULL), CLM_OK);
    assert_true(clm_fs_exists(at("keep/x")));
    assert_int_equal(symlink(target, at("link")), 0);
    assert_int_not_equal(clm_fs_remove_dir(at("link"), NULL), CLM_OK);
    assert_true(clm_fs_exists(at("keep/x")));
    (void)unlink(at("link"));
    assert_int_equal(clm_fs_remove_dir(at("keep"), NULL), CLM_OK);
}

static void renaming_needs_a_source(void **state)
{
    char to[PATH_MAX];

    (void)state;
    memcpy(to, at("to"), sizeof(to));
    assert_int_equal(clm_fs_rename(at("missing"), to, NULL), CLM_E_NOTFOUND);
    assert_int_equal(clm_fs_create(at("from"), "x", 1, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fs_rename(at("from"), to, NULL), CLM_OK);
    expect_content("to", "x");
    (void)unlink(to);
}

#ifdef CLM_TEST_HOOKS
static void every_failing_operation_leaves_old_or_new(void **state)
{
    unsigned n = 0;
    enum clm_code code = CLM_E_IO;

    (void)state;
    while (code != CLM_OK) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf have = CLM_BUF_INIT(16);

        assert_int_equal(clm_fs_replace(at("a"), "old", 3, 0600, NULL), CLM_OK);
        clm_fs_fail_at(++n, ENOSPC, 0);
        code = clm_fs_replace(at("a"), "new", 3, 0600, NULL);
        clm_fs_fail_at(0, 0, 0);
        assert_int_equal(clm_fs_read(at("a"), 16, &have, NULL), CLM_OK);
        assert_true(strcmp(clm_buf_str(&have), "old") == 0 ||
                    strcmp(clm_buf_str(&have), "new") == 0);
        assert_false(clm_fs_exists(at("a.clmnew")));
    }
    assert_int_equal(n, 6); /* create, write, fsync, rename, syncdir, and the run that works */
    (void)unlink(at("a"));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_creates_and_replaces),
        cmocka_unit_test(a_leftover_of_a_crash_is_no_obstacle),
        cmocka_unit_test(create_never_replaces_nor_follows),
        cmocka_unit_test(reading_has_a_limit_and_wants_a_file),
        cmocka_unit_test(a_buffer_may_be_smaller_than_the_limit),
        cmocka_unit_test(append_adds),
        cmocka_unit_test(directories_come_and_go),
        cmocka_unit_test(removing_follows_no_symlink),
        cmocka_unit_test(renaming_needs_a_source),
#ifdef CLM_TEST_HOOKS
        cmocka_unit_test(every_failing_operation_leaves_old_or_new),
#endif
    };
    int failed;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    failed = cmocka_run_group_tests_name("fs", tests, NULL, NULL);
    failed += rmdir(dir) != 0; /* a test left something behind */
    return failed;
}
