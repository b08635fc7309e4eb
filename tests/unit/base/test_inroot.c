/* SPDX-License-Identifier: Apache-2.0 */
/* A child lives in another root directory, with links in it that would lead out of it. */
#define _GNU_SOURCE /* unshare */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/attr.h"
#include "agent/base/fs.h"
#include "agent/base/inroot.h"

struct scene {
    char dir[64];
    pid_t child;
};

static void write_file(const struct scene *s, const char *name, const char *text)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    assert_int_equal(clm_fs_create(path, text, strlen(text), 0644, NULL), CLM_OK);
}

static void make_link(const struct scene *s, const char *name, const char *to)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    assert_int_equal(symlink(to, path), 0);
}

static void live_in(const char *dir, int ready)
{
    if (geteuid() != 0 && unshare(CLONE_NEWUSER) != 0) {
        _exit(1);
    }
    if (chroot(dir) != 0 || chdir("/") != 0 || write(ready, "x", 1) != 1) {
        _exit(2);
    }
    for (;;) {
        (void)pause();
    }
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    char path[256];
    char byte;
    int ready[2];

    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/clm-inroot.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(chmod(s->dir, 0755), 0);
    for (const char *const *d = (const char *const[]){"etc", "etc/tls", "srv", NULL}; *d; d++) {
        (void)snprintf(path, sizeof(path), "%s/%s", s->dir, *d);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    write_file(s, "etc/passwd", "inner");
    write_file(s, "srv/a.pem", "a");
    make_link(s, "etc/absolute", "/etc/passwd");
    make_link(s, "etc/up", "../../../../../../etc/passwd");
    make_link(s, "etc/tls/link", "../../srv/a.pem");
    make_link(s, "tls", "/etc/tls");
    make_link(s, "etc/loop", "loop");
    make_link(s, "etc/lost", "/nowhere");
    (void)snprintf(path, sizeof(path), "%s/etc/pipe", s->dir);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_int_equal(pipe(ready), 0);
    s->child = fork();
    if (s->child == 0) {
        live_in(s->dir, ready[1]);
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    char command[] = "rm";
    pid_t pid;

    (void)kill(s->child, SIGKILL);
    (void)waitpid(s->child, NULL, 0);
    pid = fork();
    if (pid == 0) {
        (void)execl("/bin/rm", command, "-r", s->dir, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
    free(s);
    return 0;
}

static const char *below(const struct scene *s, const char *rest)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "/proc/%d/root%s", (int)s->child, rest);
    return path;
}

static void links_stay_inside(void **state)
{
    static const struct {
        const char *path;
        const char *text; /* NULL: none */
        enum clm_code code;
    } rows[] = {
        {"/etc/passwd", "inner", CLM_OK},
        {"/etc/absolute", "inner", CLM_OK},
        {"/etc/up", "inner", CLM_OK},
        {"/etc/../../../etc/./passwd", "inner", CLM_OK},
        {"/etc/tls/link", "a", CLM_OK},
        {"/tls/link", "a", CLM_OK},
        {"/tls/../passwd", "inner", CLM_OK},
        {"//etc//passwd", "inner", CLM_OK},
        {"/etc/loop", NULL, CLM_E_IO},
        {"/etc/lost", NULL, CLM_E_NOTFOUND},
        {"/etc/hostname", NULL, CLM_E_NOTFOUND},
        {"/etc/passwd/x", NULL, CLM_E_IO},
        {"/etc/pipe", NULL, CLM_E_INVAL},
    };
    struct scene *s = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
        CLM_CLEANUP(clm_fs_close_p) int fd = -1;
        CLM_CLEANUP(clm_fs_close_p) int walked = -1;
        struct clm_err err = {0};
        struct stat a;
        struct stat b;
        enum clm_code code = clm_inroot_open(below(s, rows[i].path), &fd, &err);

        if ((code == CLM_OK) != (rows[i].text != NULL) ||
            (rows[i].code != CLM_E_IO && code != rows[i].code)) {
            fail_msg("%s: %s: %s", rows[i].path, clm_code_name(code), err.msg);
        }
        if (rows[i].text != NULL) {
            assert_int_equal(clm_fs_read_fd(fd, "x", 63, &text, NULL), CLM_OK);
            assert_string_equal(clm_buf_str(&text), rows[i].text);
        }
        /* both ways find the same */
        code = clm_inroot_walk(below(s, rows[i].path), true, &walked, &err);
        if ((code == CLM_OK) != (rows[i].text != NULL || rows[i].code == CLM_E_INVAL)) {
            fail_msg("%s: %s: %s", rows[i].path, clm_code_name(code), err.msg);
        }
        if (rows[i].text != NULL) {
            assert_int_equal(fstat(fd, &a), 0);
            assert_int_equal(fstat(walked, &b), 0);
            assert_int_equal(a.st_ino, b.st_ino);
        }
    }
}

static void a_link_itself_can_be_found(void **state)
{
    struct scene *s = *state;

    for (int by_walk = 0; by_walk < 2; by_walk++) {
        CLM_CLEANUP(clm_fs_close_p) int fd = -1;
        char to[64] = "";
        const char *path = below(s, "/tls/link");
        enum clm_code code = by_walk ? clm_inroot_walk(path, false, &fd, NULL)
                                     : clm_inroot_find(path, false, &fd, NULL);

        assert_int_equal(code, CLM_OK);
        assert_int_equal(readlinkat(fd, "", to, sizeof(to) - 1), 15);
        assert_string_equal(to, "../../srv/a.pem");
    }
}

static void the_root_itself_is_a_directory(void **state)
{
    struct scene *s = *state;
    static const char *const forms[] = {"", "/", "/etc/.."};
    struct stat want;

    assert_int_equal(stat(s->dir, &want), 0);
    for (size_t i = 0; i < CLM_ARRAY_LEN(forms); i++) {
        for (int by_walk = 0; by_walk < 2; by_walk++) {
            CLM_CLEANUP(clm_fs_close_p) int fd = -1;
            struct stat st;
            const char *path = below(s, forms[i]);

            assert_int_equal(by_walk ? clm_inroot_walk(path, true, &fd, NULL)
                                     : clm_inroot_find(path, true, &fd, NULL),
                             CLM_OK);
            assert_int_equal(fstat(fd, &st), 0);
            assert_int_equal(st.st_ino, want.st_ino);
        }
    }
}

static void other_paths_are_not_meant(void **state)
{
    static const char *const no[] = {"/proc/root/x",
                                     "/proc/12/rooted",
                                     "/proc/12/roo",
                                     "/proc/self/root/x",
                                     "/etc/proc/1/root/x",
                                     "/proc//root/",
                                     ""};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(no); i++) {
        assert_false(clm_inroot_is(no[i]));
    }
    assert_true(clm_inroot_is("/proc/12/root"));
    assert_true(clm_inroot_is("/proc/12/root/x"));
}

/* Who may lead us where: only to what is his own. */
static void a_symlink_of_others_leads_to_their_own_directories_only(void **state)
{
    const struct scene *s = *state;
    char path[256];
    struct clm_err err = {0};
    int fd = -1;

    if (geteuid() != 0) {
        skip();
    }
    make_link(s, "srv/theirs", "/etc");
    (void)snprintf(path, sizeof(path), "%s/srv/theirs", s->dir);
    assert_int_equal(clm_inroot_open_owned(path, &fd, NULL), CLM_OK); /* root's leads anywhere */
    (void)close(fd);
    assert_int_equal(lchown(path, 4242, 4242), 0);
    assert_int_equal(clm_inroot_open_owned(path, &fd, &err), CLM_E_PERM);
    assert_non_null(strstr(err.msg, "uid 4242"));
    (void)snprintf(path, sizeof(path), "%s/srv/theirs/ssl", s->dir); /* also on the way */
    assert_int_not_equal(clm_inroot_open_owned(path, &fd, NULL), CLM_OK);

    (void)snprintf(path, sizeof(path), "%s/srv/release", s->dir);
    assert_int_equal(mkdir(path, 0755), 0);
    make_link(s, "srv/current", "release");
    (void)snprintf(path, sizeof(path), "%s/srv/current", s->dir);
    assert_int_equal(lchown(path, 4242, 4242), 0);
    assert_int_equal(clm_inroot_open_owned(path, &fd, NULL), CLM_E_PERM);
    (void)snprintf(path, sizeof(path), "%s/srv/release", s->dir);
    assert_int_equal(chown(path, 4242, 4242), 0);
    (void)snprintf(path, sizeof(path), "%s/srv/current", s->dir);
    assert_int_equal(clm_inroot_open_owned(path, &fd, NULL), CLM_OK);
    (void)close(fd);
    make_link(s, "srv/second", "current");
    (void)snprintf(path, sizeof(path), "%s/srv/second", s->dir);
    assert_int_equal(lchown(path, 4343, 4343), 0);
    assert_int_equal(clm_inroot_open_owned(path, &fd, NULL), CLM_E_PERM); /* two of them */
    (void)snprintf(path, sizeof(path), "%s/etc/passwd", s->dir);
    assert_int_not_equal(clm_inroot_open_owned(path, &fd, NULL), CLM_OK); /* no directory */
    (void)snprintf(path, sizeof(path), "%s/nowhere", s->dir);
    assert_int_equal(clm_inroot_open_owned(path, &fd, NULL), CLM_E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_stay_inside),
        cmocka_unit_test(a_link_itself_can_be_found),
        cmocka_unit_test(the_root_itself_is_a_directory),
        cmocka_unit_test(other_paths_are_not_meant),
        cmocka_unit_test(a_symlink_of_others_leads_to_their_own_directories_only),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
