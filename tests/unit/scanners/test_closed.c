/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "scanners/closed.h"
#include "scanners/mounts.h"
#include "scanners/scanner.h"
#include "tests/support/host_tree.h"
#include "tests/support/scan_check.h"

#define DISK  "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
#define GROUP "/sys/fs/cgroup/system.slice/"

static const struct root_io_program programs[] = {
    {"/usr/sbin/nginx -V", 0,
     "nginx version: nginx/1.22.1\nconfigure arguments: "
     "--conf-path=/etc/nginx/nginx.conf --prefix=/usr/share/nginx\n"},
    {NULL, 0, NULL},
};

static int set_up(void **state)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, NULL);
    root_io_text(host->root, "/usr/sbin/nginx", "");
    root_io_text(host->root, "/etc/nginx/nginx.conf", "events {}");
    root_io_text(host->root, "/proc/self/mountinfo", "90 1 8:1 / / ro - ext4 /dev/sda1 rw\n");
    host->io.programs = programs;
    host->io.is_closed = true;
    *state = host;
    return 0;
}

static int tear_down(void **state)
{
    scan_check_done(*state);
    free(*state);
    return 0;
}

static void start(struct scan_check *host, int pid, int parent, const char *comm,
                  const char *cmdline, const char *unit)
{
    char path[64];

    host_tree_process(host->root, &(struct host_process){.pid = pid,
                                                         .parent = parent,
                                                         .start = (unsigned)pid,
                                                         .comm = comm,
                                                         .exe = "/not/to/be/read",
                                                         .cmdline = cmdline,
                                                         .unit = unit});
    (void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
    root_io_text(host->root, path, DISK);
}

static uint64_t group_of(struct scan_check *host, const char *unit)
{
    struct clm_stat st = {0};
    char path[256];

    (void)snprintf(path, sizeof(path), GROUP "%s/cgroup.procs", unit);
    root_io_text(host->root, path, "");
    (void)snprintf(path, sizeof(path), GROUP "%s", unit);
    assert_int_equal(host->io.io.stat(&host->io, path, true, &st, NULL), CLM_OK);
    return st.ino;
}

static void a_unit_is_found_by_its_title_and_its_ports_by_its_group(void **state)
{
    static const struct clm_unit units[] = {
        {.name = "nginx.service", .state = CLM_UNIT_ACTIVE, .main_pid = 50}};
    struct scan_check *host = *state;
    const struct clm_listening sockets[] = {
        {.addr = "0.0.0.0", .port = 443, .inode = 7, .cgroup = group_of(host, "nginx.service")},
        {.addr = "0.0.0.0", .port = 8443, .inode = 8, .cgroup = 1},
    };
    const struct clm_service *s;

    host->io.has_systemd = true;
    host->io.units = units;
    host->io.n_units = 1;
    host->io.listening = sockets;
    host->io.n_listening = CLM_ARRAY_LEN(sockets);
    start(host, 50, 1, "nginx", "nginx: master process /usr/sbin/nginx -g daemon on;",
          "nginx.service");
    start(host, 51, 50, "nginx", "nginx: worker process", "nginx.service");
    scan_check_run(host);
    assert_int_equal(host->found.n_services, 1);
    s = scan_check_service(host, "nginx@/etc/nginx/nginx.conf");
    assert_string_equal(s->exe, "/usr/sbin/nginx");
    assert_string_equal(s->version, "1.22.1");
    assert_string_equal(s->unit, "nginx.service");
    assert_false(s->foreign_namespace);
    assert_int_equal(s->n_listeners, 1);
    assert_int_equal(s->listeners[0].port, 443);
    assert_int_equal(s->remarks.n, 0);
    assert_true(scan_check_says(&host->found.errors, "0.0.0.0:8443"));
    assert_true(scan_check_says(&host->found.errors, "CAP_SYS_PTRACE"));
}

static void what_cannot_be_seen_is_said(void **state)
{
    struct scan_check *host = *state;

    /* by hand, by a name without a directory */
    start(host, 60, 1, "nginx", "nginx: master process nginx -c /b.conf", NULL);
    root_io_text(host->root, "/b.conf", "events {}");
    /* in a container */
    start(host, 70, 1, "nginx", "nginx: master process /usr/sbin/nginx -c /c.conf", "c.service");
    root_io_text(host->root, "/proc/70/mountinfo", "20 1 0:50 / / rw - overlay overlay rw\n");
    scan_check_run(host);
    assert_int_equal(host->found.n_services, 2);
    assert_true(scan_check_says(&scan_check_service(host, "nginx@/b.conf")->remarks,
                                "its ports cannot be seen"));
    assert_true(scan_check_says(&scan_check_service(host, "nginx@/usr/sbin/nginx")->remarks,
                                "its configuration is not read"));
    assert_true(scan_check_says(&host->found.errors, "the kernel does not list sockets"));
}

static void a_name_counts_only_if_the_kernel_says_it_too(void **state)
{
    static const struct {
        const char *comm;
        const char *cmdline;
        const char *exe;
    } rows[] = {
        {"apache2", "/usr/sbin/apache2|-k|start", "/usr/sbin/apache2"},
        {"python3", "nginx: master process /usr/sbin/nginx", ""},
        {"sh", "/opt/nginx", ""},
        {"nginx", "nginx|-c|x", "/usr/sbin/nginx"},
        {"nginx", "./nginx", "/usr/sbin/nginx"},
        {"nothere", "nothere", ""},
        {"averylongnamein", "/opt/averylongnameindeed", "/opt/averylongnameindeed"},
        {"nginx", "", ""},
    };
    struct scan_check *host = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_process process = {.pid = 100 + (int)i};
        char *exe;

        start(host, process.pid, 1, rows[i].comm, rows[i].cmdline, NULL);
        (void)snprintf(process.comm, sizeof(process.comm), "%s", rows[i].comm);
        exe = clm_closed_exe(&host->io.io, &process);
        if (strcmp(exe, rows[i].exe) != 0) {
            fail_msg("row %zu: '%s'", i, exe);
        }
        free(exe);
    }
}

static void a_path_is_shared_if_both_tables_lead_to_it(void **state)
{
    static const struct {
        const char *theirs;
        const char *path;
        bool is_shared;
        const char *why;
    } rows[] = {
        {DISK, "/etc/tls/a.pem", true, ""},
        {DISK "21 20 8:1 /etc/tls /etc/tls ro - ext4 d rw\n", "/etc/tls/a.pem", true, ""},
        {DISK "21 20 8:1 /srv/tls /etc/tls ro - ext4 d rw\n", "/etc/tls/a.pem", false, "another"},
        {DISK "21 20 0:9 / /tmp rw - tmpfs t rw\n", "/tmp/a.pem", false, "another"},
        {DISK, "/links/tls/a.pem", true, ""},
        {DISK "21 20 8:1 /srv/links /links ro - ext4 d rw\n", "/links/tls/a.pem", false, "a link"},
        {DISK "21 20 8:1 /etc/tls/a.pem /etc/tls/a.pem ro - ext4 d rw\n", "/etc/tls/a.pem", true,
         "single file"},
        {"20 1 8:2 / / rw - ext4 d rw\n", "/etc/tls/a.pem", false, "another"},
        {"", "/etc/tls/a.pem", false, "another"},
    };
    struct scan_check *host = *state;

    start(host, 80, 1, "nginx", "nginx", NULL);
    root_io_text(host->root, "/etc/tls/a.pem", "");
    root_io_link(host->root, "/links/tls", "../etc/tls");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};
        struct clm_process process = {.pid = 80, .is_closed = true, .has_own_mounts = true};
        struct clm_located located;

        root_io_text(host->root, "/proc/80/mountinfo", rows[i].theirs);
        if (clm_process_shares(&host->io.io, &process, rows[i].path) != rows[i].is_shared) {
            fail_msg("row %zu", i);
        }
        clm_mounts_read(&host->io.io, &process, &mounts);
        clm_locate(&mounts, rows[i].path, &located);
        if (strstr(located.why, rows[i].why) == NULL ||
            (rows[i].why[0] == '\0') != (located.why[0] == '\0')) {
            fail_msg("row %zu: '%s'", i, located.why);
        }
        if (rows[i].why[0] == '\0') {
            assert_string_equal(located.host, rows[i].path);
            assert_string_equal(located.read, rows[i].path);
        }
    }
}

/* systemd knows the first process of jsvc, and what listens is its child. */
static void ports_of_jsvc_are_those_of_its_child(void **state)
{
    static const struct clm_unit units[] = {
        {.name = "tomcat.service", .state = CLM_UNIT_ACTIVE, .main_pid = 60},
        {.name = "a.service", .state = CLM_UNIT_ACTIVE, .main_pid = 2},
        {.name = "b.service", .state = CLM_UNIT_ACTIVE, .main_pid = 3},
        {.name = "c.service", .state = CLM_UNIT_ACTIVE, .main_pid = 4},
        {.name = "d.service", .state = CLM_UNIT_INACTIVE}};
    struct scan_check *host = *state;
    const struct clm_listening sockets[] = {
        {.addr = "0.0.0.0", .port = 8443, .inode = 7, .cgroup = group_of(host, "tomcat.service")}};
    const struct clm_service *s;

    host->io.has_systemd = true;
    host->io.units = units;
    host->io.n_units = CLM_ARRAY_LEN(units);
    host->io.listening = sockets;
    host->io.n_listening = CLM_ARRAY_LEN(sockets);
    root_io_text(host->root, "/opt/t/conf/server.xml", "<Server/>");
    start(host, 59, 1, "sh", "sh", "tomcat.service");
    start(host, 60, 1, "jsvc", "/usr/bin/jsvc|-cp|x", "tomcat.service");
    start(host, 61, 60, "jsvc",
          "/usr/bin/jsvc|-Dcatalina.base=/opt/t|org.apache.catalina.startup.Bootstrap",
          "tomcat.service");
    scan_check_run(host);
    s = scan_check_service(host, "tomcat@/opt/t/conf/server.xml");
    assert_int_equal(s->pid, 61);
    assert_int_equal(s->n_listeners, 1);
    assert_int_equal(s->listeners[0].port, 8443);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_unit_is_found_by_its_title_and_its_ports_by_its_group,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_seen_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_counts_only_if_the_kernel_says_it_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ports_of_jsvc_are_those_of_its_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_is_shared_if_both_tables_lead_to_it, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
