/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scanners/mounts.h"
#include "tests/support/root_io.h"

#define THEIRS "/proc/900/root"
#define DISK   "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
#define FILE   "/etc/tls/a.pem"

struct row {
    const char *theirs; /* mountinfo of the server */
    const char *ours;
    const char *same; /* path here that is the same file; NULL: none */
    const char *host; /* expected */
    const char *why;  /* "": it can be replaced */
};

static void locate(const struct row *row, bool has_own_mounts, struct clm_located *out)
{
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};
    const struct clm_process process = {.pid = 900, .has_own_mounts = has_own_mounts};
    struct root_io io;
    char root[PATH_MAX];
    char from[2 * PATH_MAX];
    char to[2 * PATH_MAX];

    root_io_temp(root);
    root_io_init(&io, root);
    root_io_text(root, "/proc/900/mountinfo", row->theirs);
    root_io_text(root, "/proc/self/mountinfo", row->ours);
    root_io_text(root, THEIRS FILE, "theirs");
    root_io_link(root, THEIRS "/links/tls", "../etc/tls");
    root_io_text(root, FILE, "ours");
    if (row->same != NULL) {
        root_io_text(root, row->same, "x");
        (void)snprintf(from, sizeof(from), "%s%s", root, THEIRS FILE);
        (void)snprintf(to, sizeof(to), "%s%s", root, row->same);
        assert_int_equal(unlink(to), 0);
        assert_int_equal(link(from, to), 0);
    }
    clm_mounts_read(&io.io, &process, &mounts);
    clm_locate(&mounts, FILE, out);
    root_io_remove(root);
}

static void a_file_is_found_by_a_name_of_ours_or_there_is_a_reason(void **state)
{
    static const struct row rows[] = {
        /* a directory of the host, bind-mounted */
        {DISK "21 20 8:1 /srv/tls /etc/tls rw - ext4 /dev/sda1 rw\n", DISK, "/srv/tls/a.pem",
         "/srv/tls/a.pem", ""},
        {DISK "21 20 8:1 /srv/my\\040tls /etc/tls ro - ext4 /dev/sda1 rw\n", DISK,
         "/srv/my tls/a.pem", "/srv/my tls/a.pem", ""},
        /* a directory of another disk */
        {DISK "21 20 8:2 /x /etc/tls rw master:2 propagate_from:1 - xfs /dev/sdb rw\n",
         DISK "30 20 8:2 / /data rw - xfs /dev/sdb rw\n", "/data/x/a.pem", "/data/x/a.pem", ""},
        /* the same place */
        {DISK, DISK, FILE, FILE, ""},
        /* the inode is another one: nothing is believed */
        {DISK "21 20 8:1 /srv/tls /etc/tls rw - ext4 /dev/sda1 rw\n", DISK, NULL, "",
         "no directory of the host is known to hold it"},
        /* a single file, also one that is the same here */
        {DISK "21 20 8:1 /srv/a /etc/tls/a.pem rw - ext4 /dev/sda1 rw\n", DISK, "/srv/a", "",
         "single file mounted there"},
        {DISK "21 20 8:1 " FILE " " FILE " ro - ext4 /dev/sda1 rw\n", DISK, FILE, "",
         "single file mounted there"},
        /* a service's sandbox on a host whose own root is made of layers: the very same file */
        {"20 1 0:50 / / rw - overlay overlay rw\n", "30 1 0:50 / / rw - overlay overlay rw\n", FILE,
         FILE, ""},
        /* an image's layers */
        {"20 1 0:50 / / rw - overlay overlay rw,lowerdir=/a\n",
         DISK "31 20 0:50 / /var/lib/x/merged rw - overlay overlay rw\n", "/var/lib/x/merged" FILE,
         "", "container's own file system (overlay)"},
        {"20 1 0:50 / / rw - overlay overlay rw\n21 20 8:1 /srv/tls /etc/tls rw - ext4 /dev/sda1 "
         "rw\n",
         DISK, "/srv/tls/a.pem", "/srv/tls/a.pem", ""},
        {DISK "21 20 0:60 / /etc rw - tmpfs tmpfs rw\n", DISK, NULL, "", "(tmpfs)"},
        /* of several mounts on one point the last one counts; lines that are none are passed over */
        {"x\n" DISK "21 20 8:1 /old /etc/tls rw - ext4 d rw\n\n22 21 8:1 /new /etc/tls rw - ext4 d "
         "rw\n21 20 8:1\n",
         DISK, "/new/a.pem", "/new/a.pem", ""},
        {"", "", NULL, "", "no directory of the host"},
        /* fields that no kernel writes: such a line is passed over */
        {DISK "21 20 0123456789012345678901234567890123:1 /new /etc/tls rw - ext4 d rw\n"
              "21 20 8:1 / \n21 20 8:1\n21 20 8:1 /x /etc/tls rw - "
              "averyveryverylongnameofafilesystem d rw\n21 20 8:1 /x /etc/tls rw\n",
         DISK, FILE, FILE, ""},
        /* what looks like an escape and is none */
        {DISK "21 20 8:1 /srv/a\\9 /etc/tls rw - ext4 d rw\n", DISK, "/srv/a\\9/a.pem",
         "/srv/a\\9/a.pem", ""},
        {DISK "21 20 8:1 /srv/\\04x\\400\\080\\008\\/+ /etc/tls rw - ext4 d rw\n", DISK,
         "/srv/\\04x\\400\\080\\008\\/+/a.pem", "/srv/\\04x\\400\\080\\008\\/+/a.pem", ""},
        {DISK "21 20 0:60 / /etc rw - aufs none rw\n", DISK, NULL, "", "(aufs)"},
        {DISK "21 20 0:60 / /etc rw - ramfs none rw\n", DISK, NULL, "", "(ramfs)"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_located got;

        locate(&rows[i], true, &got);
        if (strcmp(got.host, rows[i].host) != 0 ||
            (rows[i].why[0] == '\0') != (got.why[0] == '\0') ||
            strstr(got.why, rows[i].why) == NULL) {
            fail_msg("case %zu: host '%s', why '%s'", i, got.host, got.why);
        }
        assert_true(strcmp(got.read, THEIRS FILE) == 0);
    }
}

static void with_our_mounts_only_a_mounted_file_matters(void **state)
{
    static const struct row plain = {DISK, DISK, NULL, FILE, ""};
    static const struct row single = {DISK "21 20 8:1 /srv/a " FILE " rw - ext4 d rw\n", DISK, NULL,
                                      FILE, "mount its directory instead"};
    struct clm_located got;

    (void)state;
    locate(&plain, false, &got);
    assert_string_equal(got.host, FILE);
    assert_string_equal(got.read, FILE);
    assert_string_equal(got.why, "");
    locate(&single, false, &got);
    assert_non_null(strstr(got.why, single.why));
}

/* Paths that lead around: what the server makes of them is found, or that it finds nothing. */
static void links_are_followed_as_the_server_follows_them(void **state)
{
    static const struct {
        const char *path;
        const char *why; /* "": it is found */
    } rows[] = {
        {"/./etc//tls/../tls/a.pem", ""},  {"/../../etc/tls/a.pem", ""}, {"/abs/a.pem", ""},
        {"/loop/a.pem", "too many links"}, {"/none/a.pem", ""},
    };
    const struct clm_process process = {.pid = 900};
    char name[NAME_MAX + 1];
    char deep[2 * PATH_MAX] = "";
    struct clm_located got;
    struct root_io io;
    char root[PATH_MAX];

    (void)state;
    root_io_temp(root);
    root_io_init(&io, root);
    root_io_text(root, "/proc/900/mountinfo", DISK);
    root_io_text(root, "/proc/self/mountinfo", DISK);
    root_io_link(root, "/proc/900/root/abs", "/etc/tls");
    root_io_link(root, "/proc/900/root/loop", "loop");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};

        clm_mounts_read(&io.io, &process, &mounts);
        clm_locate(&mounts, rows[i].path, &got);
        if ((got.why[0] == '\0') != (rows[i].why[0] == '\0') ||
            strstr(got.why, rows[i].why) == NULL) {
            fail_msg("row %zu: '%s'", i, got.why);
        }
        assert_true(clm_mounts_share(&io.io, &process, rows[i].path) == (rows[i].why[0] == '\0'));
    }
    assert_false(clm_mounts_share(&io.io, &process, "relative"));
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    while (strlen(deep) < PATH_MAX) {
        (void)snprintf(deep + strlen(deep), sizeof(deep) - strlen(deep), "/%s", name);
    }
    assert_false(clm_mounts_share(&io.io, &process, deep));
    root_io_remove(root);
}

/* chroot without mounts of its own: the directory that is its root is known. */
static void another_root_is_looked_up(void **state)
{
    const struct clm_process process = {.pid = 900, .has_own_root = true};
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};
    struct clm_located got;
    struct root_io io;
    char root[PATH_MAX];

    (void)state;
    root_io_temp(root);
    root_io_init(&io, root);
    root_io_text(root, "/proc/900/mountinfo", DISK);
    root_io_text(root, "/proc/self/mountinfo", DISK);
    root_io_text(root, "/jail/etc/tls/a.pem", "theirs");
    root_io_link(root, "/proc/900/root", "/jail");
    clm_mounts_read(&io.io, &process, &mounts);
    clm_locate(&mounts, FILE, &got);
    assert_string_equal(got.host, "/jail" FILE);
    assert_string_equal(got.why, "");
    clm_locate(&mounts, "/etc/none", &got);
    assert_string_equal(got.host, "");
    assert_non_null(strstr(got.why, "no directory of the host is known to hold it"));
    root_io_remove(root);
}

static enum clm_code count_name(void *arg, const char *name, struct clm_err *err)
{
    (void)name;
    (void)err;
    (*(int *)arg)++;
    return CLM_OK;
}

/* All that is asked of the io of a process is asked below its root. */
static void the_io_of_a_process_stays_below_its_root(void **state)
{
    const struct clm_process process = {.pid = 900};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
    char longest[2 * PATH_MAX];
    char target[64];
    struct clm_process_io theirs;
    struct clm_stat st = {0};
    struct root_io io;
    char root[PATH_MAX];
    int n = 0;

    (void)state;
    root_io_temp(root);
    root_io_init(&io, root);
    root_io_text(root, "/proc/900/root/etc/a", "in");
    root_io_link(root, "/proc/900/root/etc/b", "a");
    root_io_text(root, "/etc/a", "outside");
    clm_process_io_init(&theirs, &io.io, &process);
    assert_int_equal(theirs.io.read_file(&theirs, "/etc/a", 32, &text, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&text), "in");
    assert_int_equal(theirs.io.stat(&theirs, "/etc/a", true, &st, NULL), CLM_OK);
    assert_int_equal(st.size_bytes, 2);
    assert_int_equal(theirs.io.read_link(&theirs, "/etc/b", target, sizeof(target), NULL), CLM_OK);
    assert_string_equal(target, "a");
    assert_int_equal(theirs.io.list_dir(&theirs, "/etc", count_name, &n, NULL), CLM_OK);
    assert_int_equal(n, 2);
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(theirs.io.read_file(&theirs, longest, 32, &text, NULL), CLM_E_LIMIT);
    assert_int_equal(theirs.io.stat(&theirs, longest, true, &st, NULL), CLM_E_LIMIT);
    assert_int_equal(theirs.io.read_link(&theirs, longest, target, sizeof(target), NULL),
                     CLM_E_LIMIT);
    assert_int_equal(theirs.io.list_dir(&theirs, longest, count_name, &n, NULL), CLM_E_LIMIT);
    root_io_remove(root);
}

static void networks_are_compared_with_ours_and_the_hosts(void **state)
{
    static const struct {
        const char *theirs;
        const char *ours;  /* NULL: not readable */
        const char *hosts; /* of process 1 */
        bool is_shared;
    } rows[] = {
        {"net:[1]", "net:[1]", NULL, true},
        {"net:[1]", "net:[2]", "net:[1]", true},
        {"net:[1]", "net:[2]", "net:[2]", false},
        {"net:[1]", "net:[2]", NULL, false},
        {"net:[1]", NULL, NULL, true},
        {"", "net:[1]", NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char net[16];
        const struct clm_process process = {.pid = 900, .net = net};
        struct root_io io;
        char root[PATH_MAX];

        root_io_temp(root);
        root_io_init(&io, root);
        (void)snprintf(net, sizeof(net), "%s", rows[i].theirs);
        if (rows[i].ours != NULL) {
            root_io_link(root, "/proc/self/ns/net", rows[i].ours);
        }
        if (rows[i].hosts != NULL) {
            root_io_link(root, "/proc/1/ns/net", rows[i].hosts);
        }
        if (clm_process_shares_net(&io.io, &process) != rows[i].is_shared) {
            fail_msg("row %zu", i);
        }
        root_io_remove(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_found_by_a_name_of_ours_or_there_is_a_reason),
        cmocka_unit_test(with_our_mounts_only_a_mounted_file_matters),
        cmocka_unit_test(links_are_followed_as_the_server_follows_them),
        cmocka_unit_test(another_root_is_looked_up),
        cmocka_unit_test(the_io_of_a_process_stays_below_its_root),
        cmocka_unit_test(networks_are_compared_with_ours_and_the_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
