/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scanners/processes.h"
#include "scanners/users.h"
#include "tests/support/host_tree.h"
#include "tests/support/root_io.h"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_processes list;
    struct clm_strs notes;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    root_io_temp(f->root);
    root_io_init(&f->io, f->root);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    clm_processes_done(&f->list);
    clm_strs_done(&f->notes);
    root_io_remove(f->root);
    free(f);
    return 0;
}

static void add(struct fixture *f, const struct host_process *process)
{
    host_tree_process(f->root, process);
}

static void read_all(struct fixture *f)
{
    struct clm_err err = {0};

    clm_processes_done(&f->list);
    if (clm_processes_read(&f->io.io, &f->list, &f->notes, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static struct clm_process *find(struct fixture *f, int pid)
{
    for (size_t i = 0; i < f->list.n; i++) {
        if (f->list.v[i].pid == pid) {
            return &f->list.v[i];
        }
    }
    fail_msg("no process %d", pid);
    return NULL;
}

static int owner(struct fixture *f, unsigned inode)
{
    struct clm_socket *socket = clm_sockets_find(&f->list.sockets, inode);

    assert_non_null(socket);
    return socket->owner == SIZE_MAX ? -1 : f->list.v[socket->owner].pid;
}

static void stat_lines_are_understood(void **state)
{
    struct fixture *f = *state;

    add(f, &(struct host_process){
               .pid = 1, .start = 1, .comm = "systemd", .exe = "/sbin/init", .cmdline = "init"});
    add(f, &(struct host_process){.pid = 2, .start = 2, .comm = "kthreadd"});
    add(f, &(struct host_process){.pid = 7,
                                  .parent = 1,
                                  .start = 9,
                                  .comm = "a) R 5 (b",
                                  .exe = "/opt/x (deleted)",
                                  .cmdline = "x|-y",
                                  .uid = 33,
                                  .unit = "x.service"});
    root_io_text(f->root, "/proc/8/stat", "8 (broken");
    root_io_text(f->root, "/proc/9/stat", "");
    root_io_text(f->root, "/proc/10/stat", /* ended, its parent has not looked yet */
                 "10 (apache2) Z 1 10 10 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n");
    root_io_text(f->root, "/proc/uptime", "1 1");
    read_all(f);
    assert_int_equal(f->list.n, 3);
    assert_true(find(f, 2)->is_kernel);
    assert_string_equal(find(f, 7)->comm, "a) R 5 (b");
    assert_string_equal(find(f, 7)->exe, "/opt/x");
    assert_true(find(f, 7)->is_deleted);
    assert_int_equal(find(f, 7)->parent->pid, 1);
    assert_null(find(f, 1)->parent);
    assert_int_equal(find(f, 7)->start_ticks, 9);
    assert_int_equal(clm_process_details(&f->io.io, find(f, 7), NULL), CLM_OK);
    assert_int_equal(find(f, 7)->uid, 33);
    assert_string_equal(find(f, 7)->unit, "x.service");
    assert_string_equal(find(f, 7)->argv.v[1], "-y");
    assert_false(find(f, 7)->has_own_mounts);
}

static void sockets_belong_to_who_opened_them(void **state)
{
    static const struct host_socket sockets[] = {
        {"00000000", 443, 100, 0},
        {"0100007F", 8443, 101, 0},
        {"00000000000000000000000000000000", 80, 102, 0},
        {"0000000000000000FFFF00000100007F", 8444, 103, 0},
        {"0100007F", 9999, 104, 1}, /* established */
        {"00000000", 22, 105, 0},
        {"00000000000000000000000001000000", 81, 106, 0},
    };
    struct fixture *f = *state;

    add(f, &(struct host_process){.pid = 1,
                                  .start = 1,
                                  .comm = "systemd",
                                  .exe = "/sbin/init",
                                  .cmdline = "init",
                                  .sockets = {105}});
    /* the worker has the smaller number: numbers wrap around */
    add(f, &(struct host_process){.pid = 30,
                                  .parent = 40,
                                  .start = 6,
                                  .comm = "nginx",
                                  .exe = "/usr/sbin/nginx",
                                  .cmdline = "w",
                                  .sockets = {100, 102}});
    add(f, &(struct host_process){.pid = 40,
                                  .parent = 1,
                                  .start = 5,
                                  .comm = "nginx",
                                  .exe = "/usr/sbin/nginx",
                                  .cmdline = "m",
                                  .sockets = {100, 102}});
    add(f, &(struct host_process){.pid = 50,
                                  .parent = 1,
                                  .start = 7,
                                  .comm = "java",
                                  .exe = "/usr/bin/java",
                                  .cmdline = "j",
                                  .sockets = {101, 103, 104}});
    add(f, &(struct host_process){.pid = 60,
                                  .parent = 1,
                                  .start = 8,
                                  .comm = "sshd",
                                  .exe = "/usr/sbin/sshd",
                                  .cmdline = "s",
                                  .sockets = {105}});
    host_tree_sockets(f->root, 1, sockets, sizeof(sockets) / sizeof(sockets[0]));
    read_all(f);
    assert_int_equal(f->list.sockets.n, 6);
    assert_int_equal(owner(f, 100), 40);
    assert_int_equal(owner(f, 102), 40);
    assert_int_equal(owner(f, 101), 50);
    assert_int_equal(owner(f, 105), 60);
    assert_int_equal(owner(f, 106), -1);
    assert_null(clm_sockets_find(&f->list.sockets, 104));
    assert_string_equal(clm_sockets_find(&f->list.sockets, 103)->addr, "127.0.0.1");
    assert_string_equal(clm_sockets_find(&f->list.sockets, 102)->addr, "::");
    assert_string_equal(clm_sockets_find(&f->list.sockets, 106)->addr, "::1");
    assert_int_equal(clm_sockets_find(&f->list.sockets, 103)->port, 8444);
}

static void every_network_namespace_is_read_once(void **state)
{
    static const struct host_socket ours[] = {{"00000000", 443, 100, 0}};
    static const struct host_socket theirs[] = {{"00000000", 443, 200, 0}};
    struct fixture *f = *state;

    add(f, &(struct host_process){
               .pid = 1, .start = 1, .comm = "a", .exe = "/a", .cmdline = "a", .sockets = {100}});
    add(f, &(struct host_process){.pid = 5,
                                  .start = 2,
                                  .comm = "b",
                                  .exe = "/b",
                                  .cmdline = "b",
                                  .sockets = {200},
                                  .net = "net:[2]"});
    host_tree_sockets(f->root, 1, ours, 1);
    host_tree_sockets(f->root, 5, theirs, 1);
    read_all(f);
    assert_int_equal(owner(f, 100), 1);
    assert_int_equal(owner(f, 200), 5);
}

static void broken_socket_tables_are_passed_over(void **state)
{
    struct fixture *f = *state;

    add(f, &(struct host_process){.pid = 1, .start = 1, .comm = "a", .exe = "/a", .cmdline = "a"});
    root_io_text(
        f->root, "/proc/1/net/tcp",
        "head\n   0: XYZ:01BB 00000000:0000 0A\n   1: 00:01BB 00000000:0000 0A 0:0 0:0 0 0 "
        "0 7\n\n   2: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 "
        "00000000 0 0 9 1\n   3: 0000");
    read_all(f);
    assert_int_equal(f->list.sockets.n, 1);
    assert_int_equal(f->list.sockets.v[0].inode, 9);
}

static void units_are_the_last_service_of_the_cgroup(void **state)
{
    static const struct {
        const char *cgroup;
        const char *unit;
    } cases[] = {
        {"0::/system.slice/nginx.service\n", "nginx.service"},
        {"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
         "postgresql@15-main.service"},
        {"12:cpu:/x.service\n1:name=systemd:/system.slice/a.service\n", "a.service"},
        {"0::/system.slice/a.service/worker\n", "a.service"},
        {"0::/user.slice/user-0.slice/session-3.scope\n", ""},
        {"0::/\n", ""},
        {"0::/.service\n", ""},
        {"garbage", ""},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = *state;
        struct clm_process process = {.pid = 3, .exe = NULL};

        root_io_text(f->root, "/proc/3/cmdline", "x");
        root_io_text(f->root, "/proc/3/cgroup", cases[i].cgroup);
        assert_int_equal(clm_process_details(&f->io.io, &process, NULL), CLM_OK);
        clm_strs_done(&process.argv);
        if (strcmp(process.unit, cases[i].unit) != 0) {
            fail_msg("case %zu: '%s'", i, process.unit);
        }
    }
}

static void other_mounts_are_seen(void **state)
{
    struct fixture *f = *state;

    add(f,
        &(struct host_process){
            .pid = 5, .start = 2, .comm = "b", .exe = "/b", .cmdline = "b", .mounts = "mnt:[2]"});
    root_io_text(f->root, "/etc/same", "x");
    root_io_text(f->root, "/etc/differs", "x");
    root_io_link(f->root, "/proc/5/root", "/");
    read_all(f);
    assert_int_equal(clm_process_details(&f->io.io, find(f, 5), NULL), CLM_OK);
    assert_true(find(f, 5)->has_own_mounts);
    assert_false(find(f, 5)->has_own_root);
    assert_true(clm_process_shares(&f->io.io, find(f, 5), "/etc/same"));

    clm_processes_done(&f->list);
    add(f,
        &(struct host_process){
            .pid = 6, .start = 3, .comm = "c", .exe = "/c", .cmdline = "c", .mounts = "mnt:[3]"});
    root_io_text(f->root, "/proc/6/root/etc/differs", "y");
    read_all(f);
    assert_int_equal(clm_process_details(&f->io.io, find(f, 6), NULL), CLM_OK);
    assert_true(find(f, 6)->has_own_root);
    assert_false(clm_process_shares(&f->io.io, find(f, 6), "/etc/differs"));
}

static void no_proc_at_all_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct clm_err err = {0};

    assert_int_equal(clm_processes_read(&f->io.io, &f->list, &f->notes, &err), CLM_E_IO);
    assert_non_null(strstr(err.msg, "list the running processes"));
}

static void stat_lines_that_no_kernel_writes_are_no_process(void **state)
{
    static const char *const lines[] = {
        "8 x S 1 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 )x( S 1 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x S 1 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x) S -1 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x) S +1 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x) S y 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x) S 2147483648 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x) S 99999999999999999999 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x) S 1 8 8 0 -1 y 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n",
        "8 (x) S 1 8 8 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0\n",
        "8 (x)",
    };
    struct fixture *f = *state;

    add(f, &(struct host_process){.pid = 7, .start = 1, .comm = "a", .exe = "/a", .cmdline = "a"});
    root_io_text(f->root, "/proc/99999999999/stat", "8 (x) S 1");
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        root_io_text(f->root, "/proc/8/stat", lines[i]);
        read_all(f);
        if (f->list.n != 1) {
            fail_msg("line %zu", i);
        }
    }
}

static void of_one_age_the_smaller_number_comes_first(void **state)
{
    struct fixture *f = *state;

    for (int pid = 30; pid > 20; pid--) {
        add(f, &(struct host_process){
                   .pid = pid, .start = 5, .comm = "a", .exe = "/a", .cmdline = "a"});
    }
    read_all(f);
    for (size_t i = 0; i < f->list.n; i++) {
        assert_int_equal(f->list.v[i].pid, 21 + (int)i);
    }
}

static void lines_of_the_kernel_that_are_none_are_passed_over(void **state)
{
    static const char *const lines[] = {
        "0: 0100007F:10000 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1",
        "0: 0100007F:-1 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1",
        "0: 0100007F:0050 00000000:0000 y 00000000:00000000 00:00000000 00000000 0 0 7 1",
        "0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 y 1",
        "0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0",
        "0: 0100007F0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1",
    };
    struct fixture *f = *state;

    add(f, &(struct host_process){.pid = 1, .start = 1, .comm = "a", .exe = "/a", .cmdline = "a"});
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        root_io_text(f->root, "/proc/1/net/tcp", lines[i]);
        read_all(f);
        if (f->list.sockets.n != 0) {
            fail_msg("line %zu", i);
        }
    }
    assert_null(clm_sockets_find(&f->list.sockets, 7));
}

static void names_of_users_are_read_as_far_as_they_go(void **state)
{
    struct fixture *f = *state;
    CLM_CLEANUP(clm_users_done) struct clm_users users = {.passwd = CLM_BUF_INIT(0)};
    char name[16];

    root_io_text(f->root, "/etc/passwd", "nocolon\none:\ntwo:x\nnone:x:/\nplus:x:+5\nfive:x:5:5");
    assert_int_equal(clm_users_read(&f->io.io, &users, NULL), CLM_OK);
    clm_users_user(&users, 5, name, sizeof(name));
    assert_string_equal(name, "five");
    clm_users_user(&users, 6, name, sizeof(name));
    assert_string_equal(name, "6");
    clm_users_group(&users, 5, name, sizeof(name));
    assert_string_equal(name, "5");
}

static void a_process_without_a_program_has_its_name(void **state)
{
    static const struct {
        const char *exe;
        const char *name;
    } rows[] = {{"/usr/sbin/x", "x"}, {"/usr/sbin/", "comm"}, {"x", "comm"}, {"", "comm"}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char exe[32];
        struct clm_process process = {.exe = exe, .comm = "comm"};

        (void)snprintf(exe, sizeof(exe), "%s", rows[i].exe);
        assert_string_equal(clm_process_name(&process), rows[i].name);
    }
}

static void a_status_without_users_is_roots(void **state)
{
    static const char *const texts[] = {"Name:\tx\n", "Name:\tx\nUid:\t5\n", "Name:\tx\nUid:\t5 y"};
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(texts); i++) {
        struct clm_process process = {.pid = 3, .exe = NULL};

        root_io_text(f->root, "/proc/3/cmdline", "x");
        root_io_text(f->root, "/proc/3/status", texts[i]);
        assert_int_equal(clm_process_details(&f->io.io, &process, NULL), CLM_OK);
        assert_int_equal(process.uid, 0);
        clm_strs_done(&process.argv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stat_lines_are_understood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sockets_belong_to_who_opened_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_network_namespace_is_read_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_socket_tables_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(units_are_the_last_service_of_the_cgroup, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_mounts_are_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_proc_at_all_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stat_lines_that_no_kernel_writes_are_no_process, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(of_one_age_the_smaller_number_comes_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lines_of_the_kernel_that_are_none_are_passed_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_of_users_are_read_as_far_as_they_go, set_up,
                                        tear_down),
        cmocka_unit_test(a_process_without_a_program_has_its_name),
        cmocka_unit_test_setup_teardown(a_status_without_users_is_roots, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
