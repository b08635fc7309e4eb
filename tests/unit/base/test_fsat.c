/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/fsat.h"
#include "tests/support/sabotage.h"

static char root[PATH_MAX]; /* real path of a fresh directory */

static const char *at(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    (void)snprintf(path, PATH_MAX, "%.4000s/%s", root, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/clm-fsat-XXXXXX");
    return mkdtemp(root) == NULL || mkdir(at("d"), 0755) != 0 || mkdir(at("d/e"), 0755) != 0 ||
           clm_fs_create(at("d/e/f"), "content", 7, 0640, NULL) != CLM_OK;
}

static int tear_down(void **state)
{
    (void)state;
    (void)chmod(at("d"), 0755);
    return clm_fs_remove_dir(at("d/e"), NULL) != CLM_OK ||
           clm_fs_remove_dir(at("d"), NULL) != CLM_OK || clm_fs_remove_dir(root, NULL) != CLM_OK;
}

/* Where a path leads: code, and directory and name below root. */
static enum clm_code walk(const char *path, const char *want_dir, const char *want_name)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    struct clm_err err = {0};
    enum clm_code code = clm_fsat_open(path, &place, &err);

    if (code == CLM_OK && want_dir != NULL) {
        assert_string_equal(place.dir, at(want_dir));
        assert_string_equal(place.name, want_name);
        assert_true(fcntl(place.dir_fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(fsync(place.dir_fd), 0);
    }
    assert_true(code == CLM_OK || err.msg[0] != '\0');
    return code;
}

static void plain_paths(void **state)
{
    (void)state;
    assert_int_equal(walk(at("d/e/f"), "d/e", "f"), CLM_OK);
    assert_int_equal(walk(at("d/e/new"), "d/e", "new"), CLM_OK);
    assert_int_equal(walk(at("d//e///f"), "d/e", "f"), CLM_OK);
    assert_int_equal(walk(at("d/x/f"), NULL, NULL), CLM_E_NOTFOUND);
    assert_int_equal(walk(at("d/e"), NULL, NULL), CLM_E_INVAL);
    assert_int_equal(walk(at("d/e/"), NULL, NULL), CLM_E_INVAL);
    assert_int_not_equal(walk(at("d/e/f/g"), NULL, NULL), CLM_OK);
    assert_int_equal(walk("d/e/f", NULL, NULL), CLM_E_INVAL);
    assert_int_equal(walk("", NULL, NULL), CLM_E_INVAL);
    assert_int_equal(walk("/", NULL, NULL), CLM_E_INVAL);
    assert_int_equal(walk(at("d/../d/e/f"), NULL, NULL), CLM_E_INVAL);
    assert_int_equal(walk(at("d/./e/f"), NULL, NULL), CLM_E_INVAL);
    assert_int_equal(walk(at("d/e/.."), NULL, NULL), CLM_E_INVAL);
    assert_int_equal(walk(at("d/e/..f"), "d/e", "..f"), CLM_OK);
    assert_int_equal(walk(at("d/e/a\nb"), NULL, NULL), CLM_E_INVAL);
}

static void links_of_ours_are_resolved(void **state)
{
    (void)state;
    assert_int_equal(symlink("e", at("d/dirlink")), 0);
    assert_int_equal(symlink("../d/e/f", at("d/filelink")), 0);
    assert_int_equal(symlink(at("d/e/f"), at("d/absolute")), 0);
    assert_int_equal(symlink("dirlink/../e/missing", at("d/dangling")), 0);
    assert_int_equal(symlink("./e/./f", at("d/dots")), 0);
    assert_int_equal(walk(at("d/dirlink/f"), "d/e", "f"), CLM_OK);
    assert_int_equal(walk(at("d/filelink"), "d/e", "f"), CLM_OK);
    assert_int_equal(walk(at("d/absolute"), "d/e", "f"), CLM_OK);
    assert_int_equal(walk(at("d/dangling"), "d/e", "missing"), CLM_OK);
    assert_int_equal(walk(at("d/dots"), "d/e", "f"), CLM_OK);
}

/* ".." behind a link is relative to where the link led, as the kernel has it. */
static void dots_behind_a_link_mean_the_real_parent(void **state)
{
    (void)state;
    assert_int_equal(symlink("d/e", at("far")), 0);
    assert_int_equal(symlink("far/../e/f", at("tricky")), 0);
    assert_int_equal(walk(at("tricky"), "d/e", "f"), CLM_OK);
}

static void loops_end(void **state)
{
    (void)state;
    assert_int_equal(symlink("b", at("d/a")), 0);
    assert_int_equal(symlink("a", at("d/b")), 0);
    assert_int_equal(walk(at("d/a"), NULL, NULL), CLM_E_LIMIT);
    assert_int_equal(walk(at("d/a/f"), NULL, NULL), CLM_E_LIMIT);
    assert_int_equal(symlink("self/x", at("d/self")), 0);
    assert_int_equal(walk(at("d/self"), NULL, NULL), CLM_E_LIMIT);
}

static void eight_links_are_followed_and_nine_are_not(void **state)
{
    char from[16];
    char to[16] = "e/f";

    (void)state;
    for (int i = 1; i <= 9; i++) {
        (void)snprintf(from, sizeof(from), "d/l%d", i);
        assert_int_equal(symlink(to, at(from)), 0);
        assert_int_equal(walk(at(from), "d/e", "f"), i <= 8 ? CLM_OK : CLM_E_LIMIT);
        memcpy(to, from + 2, sizeof(to) - 2);
    }
}

static void directories_of_anybody_are_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(at("d"), 0757), 0);
    assert_int_equal(walk(at("d/e/f"), NULL, NULL), CLM_E_PERM);
    assert_int_equal(chmod(at("d"), 01757), 0); /* sticky: nobody renames what is not theirs */
    assert_int_equal(walk(at("d/e/f"), "d/e", "f"), CLM_OK);
    assert_int_equal(chmod(at("d"), 0755), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(at("d/e"), 0, 33), 0);
        assert_int_equal(chmod(at("d/e"), 0775), 0);
        assert_int_equal(walk(at("d/e/f"), NULL, NULL), CLM_E_PERM);
        assert_int_equal(chown(at("d/e"), 0, 0), 0);
        assert_int_equal(walk(at("d/e/f"), "d/e", "f"), CLM_OK);
    }
}

static void one_service_user_may_own_the_last_directories(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    assert_int_equal(chown(at("d"), 33, 33), 0);
    assert_int_equal(chown(at("d/e"), 33, 33), 0);
    assert_int_equal(walk(at("d/e/f"), "d/e", "f"), CLM_OK);
    assert_int_equal(chown(at("d/e"), 34, 34), 0);
    assert_int_equal(walk(at("d/e/f"), NULL, NULL), CLM_E_PERM);
}

/* The attack: who owns the directory points us at a file of root's. */
static void links_of_others_are_not_followed(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: not run\n");
        return;
    }
    assert_int_equal(symlink("/etc/passwd", at("d/e/evil")), 0);
    assert_int_equal(lchown(at("d/e/evil"), 33, 33), 0);
    assert_int_equal(walk(at("d/e/evil"), NULL, NULL), CLM_E_PERM);
    assert_int_equal(symlink("/etc", at("d/evildir")), 0);
    assert_int_equal(lchown(at("d/evildir"), 33, 33), 0);
    assert_int_equal(walk(at("d/evildir/passwd"), NULL, NULL), CLM_E_PERM);
}

static void a_recorded_place_has_no_links(void **state)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;

    (void)state;
    assert_int_equal(clm_fsat_open_real(at("d/e"), "f", &place, NULL), CLM_OK);
    assert_int_equal(symlink("e", at("d/dirlink")), 0);
    assert_int_equal(clm_fsat_open_real(at("d/dirlink"), "f", &place, NULL), CLM_E_CONFLICT);
    assert_int_equal(place.dir_fd, -1); /* and not the last directory that was found */
    assert_int_equal(clm_fsat_open_real(at("d/none"), "f", &place, NULL), CLM_E_NOTFOUND);
    assert_int_equal(place.dir_fd, -1);
    assert_int_equal(symlink("f", at("d/e/link")), 0);
    assert_int_equal(clm_fsat_open_real(at("d/e"), "link", &place, NULL), CLM_OK);
    assert_string_equal(place.name, "link");
    assert_int_equal(clm_fsat_open_real(at("d"), "e", &place, NULL), CLM_OK);
    assert_string_equal(place.dir, at("d"));
    assert_int_equal(clm_fsat_open_real(at("d/e"), "../e/f", &place, NULL), CLM_E_INVAL);
}

/* ---- files ---- */

static void open_place(struct clm_place *place)
{
    assert_int_equal(clm_fsat_open(at("d/e/f"), place, NULL), CLM_OK);
}

static void a_new_file_imitates_the_old_one(void **state)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    struct clm_fsat_stat st;
    char value[8] = "";
    struct clm_fsat_new spec = {.name = "new",
                                .data = "secret",
                                .len = 6,
                                .uid = geteuid(),
                                .gid = getegid(),
                                .mode = 06640,
                                .like = "f"};
    int has_xattr = setxattr(at("d/e/f"), "user.note", "kept", 4, 0) == 0;

    (void)state;
    open_place(&place);
    assert_int_equal(clm_fsat_create(place.dir_fd, &spec, NULL), CLM_OK);
    assert_int_equal(clm_fsat_stat(place.dir_fd, "new", &st, NULL), CLM_OK);
    assert_int_equal(st.mode, 0640); /* never set-id */
    assert_int_equal(st.size_bytes, 6);
    if (has_xattr) {
        assert_int_equal(getxattr(at("d/e/new"), "user.note", value, sizeof(value)), 4);
        assert_memory_equal(value, "kept", 4);
    }
    assert_int_equal(clm_fsat_create(place.dir_fd, &spec, NULL), CLM_E_EXISTS);
}

/* An ACL as the kernel keeps it (posix_acl_xattr.h): owner, one user, group, mask, others. */
struct acl {
    uint32_t version;
    struct {
        uint16_t tag;
        uint16_t perm;
        uint32_t id;
    } v[5];
};

static struct acl acl_for(uint32_t uid, uint16_t group, uint16_t mask)
{
    return (struct acl){
        2, {{1, 6, ~0u}, {2, 4, uid}, {4, group, ~0u}, {0x10, mask, ~0u}, {0x20, 0, ~0u}}};
}

#define ACCESS_ACL  "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

/* The group's bits of the mode are the mask while there is an ACL: it must not get wider. */
static void an_acl_is_kept_and_none_is_inherited(void **state)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    const struct acl own = acl_for(12345, 0, 4);
    const struct acl inherited = acl_for(54321, 4, 4);
    struct acl got;
    struct stat before;
    struct stat after;
    struct clm_fsat_new spec = {
        .data = "secret", .len = 6, .uid = geteuid(), .gid = getegid(), .mode = 0640, .like = "f"};

    (void)state;
    assert_int_equal(chmod(at("d/e/f"), 0640), 0);
    if (setxattr(at("d/e"), DEFAULT_ACL, &inherited, sizeof(inherited), 0) != 0) {
        assert_int_equal(errno, ENOTSUP); /* a file system without ACLs has nothing to keep */
        return;
    }
    open_place(&place);
    spec.name = "plain";
    assert_int_equal(clm_fsat_create(place.dir_fd, &spec, NULL), CLM_OK);
    assert_int_equal(getxattr(at("d/e/plain"), ACCESS_ACL, &got, sizeof(got)), -1);
    assert_int_equal(errno, ENODATA);

    assert_int_equal(setxattr(at("d/e/f"), ACCESS_ACL, &own, sizeof(own), 0), 0);
    assert_int_equal(stat(at("d/e/f"), &before), 0);
    spec.name = "with";
    spec.mode = before.st_mode & 07777u;
    assert_int_equal(clm_fsat_create(place.dir_fd, &spec, NULL), CLM_OK);
    assert_int_equal(getxattr(at("d/e/with"), ACCESS_ACL, &got, sizeof(got)), sizeof(got));
    assert_memory_equal(&got, &own, sizeof(own));
    assert_int_equal(stat(at("d/e/with"), &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
}

/* An inherited ACL that stays would open a key to whoever stands in it. */
static void an_acl_that_cannot_be_looked_up_is_an_error(void **state)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    struct clm_fsat_new spec = {.name = "new",
                                .data = "secret",
                                .len = 6,
                                .uid = geteuid(),
                                .gid = getegid(),
                                .mode = 0600,
                                .like = "f"};
    enum clm_code code;
    unsigned n = 0;

    (void)state;
    open_place(&place);
    do {
        struct clm_err err = {0};

        clm_sabotage_on("fgetxattr", ++n, EIO);
        code = clm_fsat_create(place.dir_fd, &spec, &err);
        if (clm_sabotage_off()) {
            assert_int_equal(code, CLM_E_IO);
            assert_false(clm_fs_exists(at("d/e/new")));
        }
    } while (code != CLM_OK);
    assert_true(n > 2); /* the label, the ACL, and the run in which nothing failed */
}

static void what_cannot_be_created_whole_is_gone(void **state)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    const struct clm_fsat_new spec = {.name = "new", .data = "x", .len = 1, .mode = 0600};

    (void)state;
    open_place(&place);
#ifdef CLM_TEST_HOOKS
    for (unsigned n = 1; n <= 5; n++) { /* create, write, chown, chmod, fsync */
        clm_fs_fail_at(n, 28 /* ENOSPC */, 0);
        assert_int_equal(clm_fsat_create(place.dir_fd, &spec, NULL), CLM_E_IO);
        clm_fs_fail_at(0, 0, 0);
        assert_false(clm_fs_exists(at("d/e/new")));
    }
#endif
    assert_int_equal(clm_fsat_create(place.dir_fd, &spec, NULL), CLM_OK);
}

static void reading_refuses_what_is_no_file(void **state)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100);
    struct clm_fsat_stat by_read;
    struct clm_fsat_stat by_stat;

    (void)state;
    open_place(&place);
    assert_int_equal(symlink("f", at("d/e/link")), 0);
    assert_int_equal(mkfifo(at("d/e/pipe"), 0600), 0);
    assert_int_equal(clm_fsat_read(place.dir_fd, "link", 100, &out, NULL, NULL), CLM_E_CONFLICT);
    assert_int_equal(clm_fsat_read(place.dir_fd, "pipe", 100, &out, NULL, NULL), CLM_E_CONFLICT);
    assert_int_equal(clm_fsat_read(place.dir_fd, "nope", 100, &out, NULL, NULL), CLM_E_NOTFOUND);
    assert_int_equal(clm_fsat_read(place.dir_fd, "f", 6, &out, NULL, NULL), CLM_E_LIMIT);
    clm_buf_reset(&out);
    assert_int_equal(clm_fsat_read(place.dir_fd, "f", 7, &out, &by_read, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), "content");
    assert_int_equal(clm_fsat_stat(place.dir_fd, "f", &by_stat, NULL), CLM_OK);
    assert_int_equal(by_read.ino, by_stat.ino);
    assert_int_equal(by_read.dev, by_stat.dev);
    assert_int_equal(by_read.mode, 0640);
}

static void names_move_as_they_should(void **state)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;

    (void)state;
    open_place(&place);
    assert_int_equal(clm_fs_create(at("d/e/g"), "other", 5, 0600, NULL), CLM_OK);
    assert_int_equal(clm_fsat_rename_new(place.dir_fd, "f", "g", NULL), CLM_E_EXISTS);
    assert_int_equal(clm_fsat_exchange(place.dir_fd, "f", "g", NULL), CLM_OK);
    assert_int_equal(clm_fsat_exchange(place.dir_fd, "f", "h", NULL), CLM_E_NOTFOUND);
    assert_int_equal(clm_fsat_rename_new(place.dir_fd, "f", "h", NULL), CLM_OK);
    assert_int_equal(clm_fsat_rename(place.dir_fd, "h", "g", NULL), CLM_OK);
    assert_false(clm_fs_exists(at("d/e/f")) || clm_fs_exists(at("d/e/h")));
    assert_int_equal(clm_fsat_unlink(place.dir_fd, "g", NULL), CLM_OK);
    assert_int_equal(clm_fsat_unlink(place.dir_fd, "g", NULL), CLM_OK);
}

static void temporary_names_are_hidden_and_new_each_time(void **state)
{
    char a[CLM_FSAT_NAME_SIZE];
    char b[CLM_FSAT_NAME_SIZE];
    char longest[CLM_FSAT_NAME_MAX + 2];

    (void)state;
    assert_int_equal(clm_fsat_temp_name("www.crt", a, NULL), CLM_OK);
    assert_int_equal(clm_fsat_temp_name("www.crt", b, NULL), CLM_OK);
    assert_int_equal(strncmp(a, ".www.crt.clmbot.", 16), 0);
    assert_int_equal(strlen(a), 32);
    assert_string_not_equal(a, b);
    memset(longest, 'x', sizeof(longest));
    longest[CLM_FSAT_NAME_MAX + 1] = '\0';
    assert_int_equal(clm_fsat_temp_name(longest, a, NULL), CLM_E_LIMIT);
    longest[CLM_FSAT_NAME_MAX] = '\0';
    assert_int_equal(clm_fsat_temp_name(longest, a, NULL), CLM_OK);
}

int main(void)
{
#define ISOLATED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ISOLATED(plain_paths),
        ISOLATED(links_of_ours_are_resolved),
        ISOLATED(dots_behind_a_link_mean_the_real_parent),
        ISOLATED(loops_end),
        ISOLATED(eight_links_are_followed_and_nine_are_not),
        ISOLATED(directories_of_anybody_are_refused),
        ISOLATED(one_service_user_may_own_the_last_directories),
        ISOLATED(links_of_others_are_not_followed),
        ISOLATED(a_recorded_place_has_no_links),
        ISOLATED(a_new_file_imitates_the_old_one),
        ISOLATED(an_acl_is_kept_and_none_is_inherited),
        ISOLATED(an_acl_that_cannot_be_looked_up_is_an_error),
        ISOLATED(what_cannot_be_created_whole_is_gone),
        ISOLATED(reading_refuses_what_is_no_file),
        ISOLATED(names_move_as_they_should),
        cmocka_unit_test(temporary_names_are_hidden_and_new_each_time),
    };

    return cmocka_run_group_tests_name("fsat", tests, NULL, NULL);
}
