/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/host/dcv.h"

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define PATH  "/.well-known/acme-challenge/" TOKEN

#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16

struct root {
    char dir[64];
    char file[PATH_MAX];
    struct clm_strs made;
};

static int setup(void **state)
{
    struct root *root = calloc(1, sizeof(*root));

    (void)snprintf(root->dir, sizeof(root->dir), "/tmp/clm-dcv.XXXXXX");
    assert_non_null(mkdtemp(root->dir));
    *state = root;
    return 0;
}

static int teardown(void **state)
{
    struct root *root = *state;
    size_t n;

    assert_int_equal(clm_dcv_remove(root->dir, &root->made, &n, NULL), CLM_OK);
    clm_strs_done(&root->made);
    (void)rmdir(root->dir);
    free(root);
    return 0;
}

static enum clm_code put(struct root *root, const char *content, struct clm_err *err)
{
    enum clm_code code = clm_dcv_plan(&(const struct clm_dcv_root){root->dir, false}, PATH,
                                      &root->made, root->file, sizeof(root->file), err);

    return code == CLM_OK
               ? clm_dcv_write(&(const struct clm_dcv_root){root->dir, false}, PATH, content, err)
               : code;
}

static void only_two_places_and_plain_names_are_allowed(void **state)
{
    static const struct {
        const char *path;
        const char *content;
        enum clm_code expected;
        const char *why;
    } cases[] = {
        {PATH, "token.thumb", CLM_OK, "a token"},
        {"/.well-known/pki-validation/fileauth.txt", "abc", CLM_OK, "a file"},
        {"/.well-known/pki-validation/A1b2.html", "abc", CLM_OK, "a page"},
        {"/.well-known/pki-validation/" A64, "abc", CLM_OK, "64 characters, no extension"},
        {"/.well-known/pki-validation/" A64 "a", "abc", CLM_E_INVAL, "65 characters"},
        {"/.well-known/pki-validation/", "abc", CLM_E_INVAL, "no name of a file"},
        {"/.well-known/acme-challenge/short", "x", CLM_E_INVAL, "shorter than 16"},
        {"/.well-known/acme-challenge/../../etc/passwd0000", "x", CLM_E_INVAL, "climbs"},
        {"/.well-known/acme-challenge/aaaaaaaaaaaaaaaa/b", "x", CLM_E_INVAL, "a slash more"},
        {"/.well-known/acme-challenge/aaaaaaaaaaaaaaaa.php", "x", CLM_E_INVAL, "a dot"},
        {"/.well-known/acme-challenge/", "x", CLM_E_INVAL, "no name"},
        {"/.well-known/pki-validation/..", "x", CLM_E_INVAL, "dots only"},
        {"/.well-known/pki-validation/a..b.txt", "x", CLM_E_INVAL, "two dots"},
        {"/.well-known/pki-validation/.htaccess", "x", CLM_E_INVAL, "hidden"},
        {"/.well-known/pki-validation/a.php", "x", CLM_E_INVAL, "a script"},
        {"/.well-known/pki-validation/a.txt.php", "x", CLM_E_INVAL, "a script behind"},
        {"/.well-known/pki-validation/a b.txt", "x", CLM_E_INVAL, "a space"},
        {"/index.html", "x", CLM_E_INVAL, "elsewhere"},
        {".well-known/acme-challenge/aaaaaaaaaaaaaaaa", "x", CLM_E_INVAL, "relative"},
        {"", "x", CLM_E_INVAL, "empty"},
        {PATH, "", CLM_E_INVAL, "no content"},
        {PATH, "<?php system($_GET[1]);", CLM_E_INVAL, "a script inside"},
        {PATH, "%00", CLM_E_INVAL, "percent"},
        {PATH, "line\nline", CLM_E_INVAL, "a line end"},
        {PATH, "\xc3\xa4", CLM_E_INVAL, "not ASCII"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_err err = {.code = CLM_OK};

        if (clm_dcv_check(cases[i].path, cases[i].content, &err) != cases[i].expected) {
            fail_msg("case %zu (%s): %s", i, cases[i].why, err.msg);
        }
    }
}

static void content_and_name_have_a_maximum(void **state)
{
    char content[CLM_DCV_CONTENT_MAX + 2];
    char path[256];

    (void)state;
    memset(content, 'a', sizeof(content));
    content[CLM_DCV_CONTENT_MAX] = '\0';
    assert_int_equal(clm_dcv_check(PATH, content, NULL), CLM_OK);
    content[CLM_DCV_CONTENT_MAX] = 'a';
    content[CLM_DCV_CONTENT_MAX + 1] = '\0';
    assert_int_equal(clm_dcv_check(PATH, content, NULL), CLM_E_INVAL);
    (void)snprintf(path, sizeof(path), "/.well-known/acme-challenge/%0129d", 0);
    assert_int_equal(clm_dcv_check(path, "x", NULL), CLM_E_INVAL);
    path[strlen(path) - 1] = '\0';
    assert_int_equal(clm_dcv_check(path, "x", NULL), CLM_OK);
}

static void the_file_can_be_read_by_the_web_server_whatever_the_umask(void **state)
{
    struct root *root = *state;
    mode_t before = umask(0077);
    struct stat st;
    char dir[PATH_MAX];

    assert_int_equal(put(root, "token.thumb", NULL), CLM_OK);
    (void)umask(before);
    assert_int_equal(stat(root->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    (void)snprintf(dir, sizeof(dir), "%s/.well-known/acme-challenge", root->dir);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void exactly_what_was_made_is_removed(void **state)
{
    struct root *root = *state;
    char kept[PATH_MAX];
    char path[PATH_MAX];
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/.well-known", root->dir);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(kept, sizeof(kept), "%s/.well-known/security.txt", root->dir);
    FILE *file = fopen(kept, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(put(root, "token.thumb", NULL), CLM_OK);
    assert_int_equal(root->made.n, 2); /* acme-challenge and the token, not .well-known */
    assert_int_equal(clm_dcv_remove(root->dir, &root->made, &n, NULL), CLM_OK);
    assert_int_equal(n, 1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_not_equal(access(root->file, F_OK), 0);
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(rmdir(path), 0);
}

static void what_others_put_into_our_directory_stays(void **state)
{
    struct root *root = *state;
    char other[PATH_MAX];

    assert_int_equal(put(root, "token.thumb", NULL), CLM_OK);
    (void)snprintf(other, sizeof(other), "%s/.well-known/acme-challenge/other", root->dir);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(clm_dcv_remove(root->dir, &root->made, NULL, NULL), CLM_OK);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(unlink(other), 0);
}

static void the_same_file_twice_is_success_another_content_is_not(void **state)
{
    struct root *root = *state;
    struct clm_err err = {.code = CLM_OK};

    assert_int_equal(put(root, "token.thumb", NULL), CLM_OK);
    assert_int_equal(put(root, "token.thumb", NULL), CLM_OK);
    assert_int_equal(put(root, "token.other", &err), CLM_E_EXISTS);
    assert_non_null(strstr(err.msg, "remove it by hand"));
    assert_int_equal(put(root, "token.longer", NULL), CLM_E_EXISTS);
}

static void what_is_in_the_way_is_not_touched(void **state)
{
    struct root *root = *state;
    const struct clm_dcv_root here = {root->dir, false};
    struct clm_err err = {.code = CLM_OK};
    char path[PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/.well-known", root->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(clm_dcv_write(&here, PATH, "x", &err), CLM_E_PERM);
    assert_non_null(strstr(err.msg, "is a symlink or no directory"));
    assert_int_equal(unlink(path), 0);

    assert_int_equal(put(root, "x", NULL), CLM_OK);
    assert_int_equal(unlink(root->file), 0);
    assert_int_equal(mkdir(root->file, 0755), 0);
    assert_int_equal(clm_dcv_write(&here, PATH, "x", &err), CLM_E_PERM);
    assert_non_null(strstr(err.msg, "exists and is no regular file"));
    assert_int_equal(rmdir(root->file), 0);
    assert_int_equal(symlink("/etc/passwd", root->file), 0);
    assert_int_equal(clm_dcv_write(&here, PATH, "x", &err), CLM_E_PERM);
    assert_int_equal(clm_dcv_remove(root->dir, &root->made, NULL, NULL), CLM_OK);
    assert_int_equal(unlink(root->file), 0); /* nor is it removed as one of ours */
}

/* The record lies in our state directory; but nothing outside of the web root is ever removed. */
static void records_that_lead_elsewhere_remove_nothing(void **state)
{
    struct root *root = *state;
    struct clm_strs made = {0};
    char victim[PATH_MAX];
    char text[2 * PATH_MAX];
    size_t n = 7;

    (void)snprintf(victim, sizeof(victim), "%s-victim", root->dir);
    FILE *file = fopen(victim, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(clm_strs_add(&made, "/", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&made, victim, NULL), CLM_OK);
    (void)snprintf(text, sizeof(text), "%s/../%s", root->dir, strrchr(victim, '/') + 1);
    assert_int_equal(clm_strs_add(&made, text, NULL), CLM_OK);
    (void)snprintf(text, sizeof(text), "%s//x", root->dir);
    assert_int_equal(clm_strs_add(&made, text, NULL), CLM_OK);
    (void)snprintf(text, sizeof(text), "%s/%0300d/x", root->dir, 0);
    assert_int_equal(clm_strs_add(&made, text, NULL), CLM_OK);
    (void)snprintf(text, sizeof(text), "%s/none/x", root->dir);
    assert_int_equal(clm_strs_add(&made, text, NULL), CLM_OK);
    assert_int_equal(clm_dcv_remove(root->dir, &made, &n, NULL), CLM_OK);
    assert_int_equal(n, 0);
    assert_int_equal(access(victim, F_OK), 0);
    assert_int_equal(clm_dcv_remove("/tmp/clm-dcv-nowhere", &made, &n, NULL), CLM_OK);
    assert_int_equal(access(victim, F_OK), 0);
    assert_int_equal(unlink(victim), 0);
    clm_strs_done(&made);
}

static void a_root_that_is_too_deep_gets_nothing(void **state)
{
    struct root *root = *state;
    char dir[PATH_MAX];
    struct clm_dcv_root deep = {dir, false};
    struct clm_err err = {.code = CLM_OK};
    size_t len = (size_t)snprintf(dir, sizeof(dir), "%s", root->dir);

    while (len < PATH_MAX - 64) { /* room for one component more, not for two */
        size_t n = PATH_MAX - 40 - len < 200 ? PATH_MAX - 40 - len : 200;

        dir[len] = '/';
        memset(dir + len + 1, 'd', n - 1);
        len += n;
        dir[len] = '\0';
        assert_int_equal(mkdir(dir, 0755), 0);
    }
    assert_int_equal(clm_dcv_write(&deep, PATH, "x", &err), CLM_E_LIMIT);
    while (len > strlen(root->dir)) {
        assert_int_equal(rmdir(dir), 0); /* empty */
        len = (size_t)(strrchr(dir, '/') - dir);
        dir[len] = '\0';
    }
}

static void the_rules_are_asked_again_before_writing(void **state)
{
    struct root *root = *state;
    const struct clm_dcv_root here = {root->dir, false};

    assert_int_equal(clm_dcv_write(&here, "/index.html", "x", NULL), CLM_E_INVAL);
    assert_int_equal(clm_dcv_write(&here, PATH, "<", NULL), CLM_E_INVAL);
}

static void a_file_that_cannot_be_removed_is_an_error(void **state)
{
    struct root *root = *state;
    struct clm_err err = {.code = CLM_OK};

    assert_int_equal(put(root, "x", NULL), CLM_OK);
    clm_fs_fail_op("unlink", 30 /* EROFS */);
    assert_int_not_equal(clm_dcv_remove(root->dir, &root->made, NULL, &err), CLM_OK);
    clm_fs_fail_op(NULL, 0);
    assert_non_null(strstr(err.msg, "remove '"));
    assert_int_equal(access(root->file, F_OK), 0);
}

static void no_symlink_is_followed(void **state)
{
    struct root *root = *state;
    static const char *const links[] = {"/.well-known", "/.well-known/acme-challenge", PATH};
    char outside[] = "/tmp/clm-outside.XXXXXX";

    assert_non_null(mkdtemp(outside));
    for (size_t i = 0; i < CLM_ARRAY_LEN(links); i++) {
        struct clm_err err = {.code = CLM_OK};
        struct clm_strs made = {0};
        char link_path[PATH_MAX];
        char inside[2 * PATH_MAX];

        (void)snprintf(link_path, sizeof(link_path), "%s/.well-known", root->dir);
        if (i > 0) {
            assert_int_equal(mkdir(link_path, 0755), 0);
        }
        if (i > 1) {
            (void)snprintf(inside, sizeof(inside), "%s/acme-challenge", link_path);
            assert_int_equal(mkdir(inside, 0755), 0);
        }
        (void)snprintf(link_path, sizeof(link_path), "%s%s", root->dir, links[i]);
        assert_int_equal(symlink(outside, link_path), 0);
        assert_int_equal(clm_dcv_write(&(const struct clm_dcv_root){root->dir, false}, PATH,
                                       "token.thumb", &err),
                         CLM_E_PERM);
        assert_int_equal(rmdir(outside), 0); /* still empty */
        assert_int_equal(mkdir(outside, 0700), 0);

        /* nor when removing */
        assert_int_equal(clm_strs_add(&made, root->dir, NULL), CLM_OK);
        clm_strs_done(&made);
        assert_int_equal(unlink(link_path), 0);
        for (size_t k = i; k > 0; k--) {
            (void)snprintf(link_path, sizeof(link_path), "%s%s", root->dir, links[k - 1]);
            assert_int_equal(rmdir(link_path), 0);
        }
    }
    assert_int_equal(rmdir(outside), 0);
}

/* Whoever owns the directory above the web root must not choose where we write. */
static void nobody_else_moves_the_web_root(void **state)
{
    struct root *root = *state;
    char outside[64] = "/tmp/clm-dcv-outside.XXXXXX";
    char link_path[PATH_MAX];
    struct clm_err err = {0};
    struct clm_dcv_root moved = {link_path, false};

    if (geteuid() != 0) {
        skip();
    }
    assert_non_null(mkdtemp(outside));
    (void)snprintf(link_path, sizeof(link_path), "%s/public", root->dir);
    assert_int_equal(symlink(outside, link_path), 0);
    assert_int_equal(lchown(link_path, 4242, 4242), 0);
    assert_int_equal(clm_dcv_write(&moved, PATH, "x", &err), CLM_E_PERM);
    assert_int_equal(rmdir(outside), 0); /* and it is empty */
    assert_int_equal(unlink(link_path), 0);
}

static void removal_does_not_leave_the_web_root_by_a_symlink(void **state)
{
    struct root *root = *state;
    char outside[] = "/tmp/clm-outside.XXXXXX";
    char victim[PATH_MAX];
    char path[PATH_MAX];

    assert_int_equal(put(root, "token.thumb", NULL), CLM_OK);
    assert_non_null(mkdtemp(outside));
    (void)snprintf(victim, sizeof(victim), "%s/" TOKEN, outside);
    FILE *file = fopen(victim, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);

    assert_int_equal(unlink(root->file), 0);
    (void)snprintf(path, sizeof(path), "%s/.well-known/acme-challenge", root->dir);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink(outside, path), 0);
    assert_int_equal(clm_dcv_remove(root->dir, &root->made, NULL, NULL), CLM_OK);
    assert_int_equal(access(victim, F_OK), 0);
    assert_int_equal(unlink(victim), 0);
    assert_int_equal(rmdir(outside), 0);
    assert_int_equal(unlink(path), 0);
}

static void an_alias_gets_only_the_last_component(void **state)
{
    struct root *root = *state;

    assert_int_equal(clm_dcv_plan(&(const struct clm_dcv_root){root->dir, true}, PATH, &root->made,
                                  root->file, sizeof(root->file), NULL),
                     CLM_OK);
    assert_int_equal(
        clm_dcv_write(&(const struct clm_dcv_root){root->dir, true}, PATH, "token.thumb", NULL),
        CLM_OK);
    assert_string_equal(root->file + strlen(root->dir), "/" TOKEN);
    assert_int_equal(access(root->file, F_OK), 0);
}

static void a_failed_write_leaves_nothing(void **state)
{
    struct root *root = *state;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/.well-known", root->dir);
    for (unsigned n = 1; n < 4; n++) {
        clm_fs_fail_at(n, 28 /* ENOSPC */, 0);
        assert_int_not_equal(clm_dcv_write(&(const struct clm_dcv_root){root->dir, false}, PATH,
                                           "token.thumb", NULL),
                             CLM_OK);
        clm_fs_fail_at(0, 0, 0);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_two_places_and_plain_names_are_allowed),
        cmocka_unit_test(content_and_name_have_a_maximum),
        cmocka_unit_test_setup_teardown(the_file_can_be_read_by_the_web_server_whatever_the_umask,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(exactly_what_was_made_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_others_put_into_our_directory_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_file_twice_is_success_another_content_is_not,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_in_the_way_is_not_touched, setup, teardown),
        cmocka_unit_test_setup_teardown(records_that_lead_elsewhere_remove_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_root_that_is_too_deep_gets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_rules_are_asked_again_before_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_removed_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(no_symlink_is_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_else_moves_the_web_root, setup, teardown),
        cmocka_unit_test_setup_teardown(removal_does_not_leave_the_web_root_by_a_symlink, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_alias_gets_only_the_last_component, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_nothing, setup, teardown),
    };

    return cmocka_run_group_tests_name("dcv", tests, NULL, NULL);
}
