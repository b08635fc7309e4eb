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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_found_by_a_name_of_ours_or_there_is_a_reason),
        cmocka_unit_test(with_our_mounts_only_a_mounted_file_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
