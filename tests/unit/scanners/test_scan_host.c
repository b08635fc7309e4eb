/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scanners/scanner.h"
#include "tests/support/host_tree.h"
#include "tests/support/scan_check.h"

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
    host->io.programs = programs;
    *state = host;
    return 0;
}

static int tear_down(void **state)
{
    scan_check_done(*state);
    free(*state);
    return 0;
}

static void nginx(struct scan_check *host, int pid, const char *conf, unsigned inode)
{
    char cmdline[128];

    (void)snprintf(cmdline, sizeof(cmdline), "nginx: master process nginx -c %s", conf);
    host_tree_process(host->root, &(struct host_process){.pid = pid,
                                                         .parent = 1,
                                                         .start = (unsigned)pid,
                                                         .comm = "nginx",
                                                         .exe = "/usr/sbin/nginx",
                                                         .cmdline = cmdline,
                                                         .unit = "nginx.service",
                                                         .sockets = {inode}});
}

static void other_listeners_are_reported(void **state)
{
    static const struct host_socket sockets[] = {{"00000000", 22, 5, 0}, {"0100007F", 25, 6, 0}};
    struct scan_check *host = *state;
    const struct clm_service *s;

    host_tree_process(host->root, &(struct host_process){.pid = 2, .start = 1, .comm = "kthreadd"});
    host_tree_process(host->root, &(struct host_process){.pid = 3,
                                                         .parent = 1,
                                                         .start = 2,
                                                         .comm = "sshd",
                                                         .exe = "/usr/sbin/sshd",
                                                         .cmdline = "sshd",
                                                         .unit = "ssh.service",
                                                         .sockets = {5, 6}});
    host_tree_process(host->root, &(struct host_process){.pid = 4,
                                                         .parent = 3,
                                                         .start = 3,
                                                         .comm = "bash",
                                                         .exe = "/bin/bash",
                                                         .cmdline = "bash"});
    host_tree_sockets(host->root, 3, sockets, 2);
    scan_check_run(host);
    assert_int_equal(host->found.n_services, 1);
    s = scan_check_service(host, "other@sshd:22");
    assert_string_equal(s->kind, "other");
    assert_string_equal(s->unit, "ssh.service");
    assert_string_equal(s->exe, "/usr/sbin/sshd");
    assert_int_equal(s->n_listeners, 2);
    assert_int_equal(host->found.started_at_s, 1795226400);
}

static void a_unit_counts_only_for_its_main_process(void **state)
{
    static const struct clm_unit units[] = {
        {.name = "nginx.service", .state = CLM_UNIT_ACTIVE, .main_pid = 50}};
    struct scan_check *host = *state;

    root_io_text(host->root, "/a.conf", "events {}");
    host->io.has_systemd = true;
    host->io.units = units;
    host->io.n_units = 1;
    nginx(host, 50, "/a.conf", 0);
    nginx(host, 60, "/b.conf", 0);
    scan_check_run(host);
    assert_string_equal(scan_check_service(host, "nginx@/a.conf")->unit, "nginx.service");
    assert_string_equal(scan_check_service(host, "nginx@/b.conf")->unit, "");
    assert_true(scan_check_says(&scan_check_service(host, "nginx@/b.conf")->remarks,
                                "runs inside unit 'nginx.service'"));
}

static void stopped_servers_are_reported_apart(void **state)
{
    static const struct clm_unit units[] = {{.name = "nginx.service", .state = CLM_UNIT_INACTIVE},
                                            {.name = "httpd.service", .state = CLM_UNIT_FAILED},
                                            {.name = "cron.service", .state = CLM_UNIT_INACTIVE}};
    struct scan_check *host = *state;
    const struct clm_service *s;

    host_tree_process(host->root, &(struct host_process){.pid = 2, .start = 1, .comm = "kthreadd"});
    host->io.has_systemd = true;
    host->io.units = units;
    host->io.n_units = 3;
    scan_check_run(host);
    assert_int_equal(host->found.n_services, 2);
    s = scan_check_service(host, "nginx@nginx.service");
    assert_false(s->running);
    assert_true(scan_check_says(&s->remarks, "installed, but not running"));
    assert_true(scan_check_says(&scan_check_service(host, "apache@httpd.service")->remarks,
                                "installed, but failed"));
}

static void only_the_kinds_asked_for_are_kept(void **state)
{
    static const struct host_socket sockets[] = {{"00000000", 22, 5, 0}};
    struct scan_check *host = *state;
    struct clm_strs kinds = {0};

    root_io_text(host->root, "/a.conf", "events {}");
    host_tree_process(host->root, &(struct host_process){.pid = 3,
                                                         .parent = 1,
                                                         .start = 2,
                                                         .comm = "sshd",
                                                         .exe = "/usr/sbin/sshd",
                                                         .cmdline = "sshd",
                                                         .sockets = {5}});
    host_tree_sockets(host->root, 3, sockets, 1);
    nginx(host, 50, "/a.conf", 0);
    assert_int_equal(clm_strs_add(&kinds, "nginx", NULL), CLM_OK);
    assert_int_equal(clm_scan_host(&host->io.io, &kinds, &host->found, NULL), CLM_OK);
    assert_int_equal(host->found.n_services, 1);
    assert_string_equal(host->found.services[0].kind, "nginx");
    clm_strs_done(&kinds);
}

#define BLOCK(port, name, cert, key)                                                               \
    "server { listen " port " ssl; server_name " name "; ssl_certificate " cert                    \
    "; ssl_certificate_key " key "; }\n"

static void instances_share_names_and_files(void **state)
{
    struct scan_check *host = *state;
    const struct clm_target *one;
    const struct clm_target *two;

    host_tree_copy("tests/fixtures/pki", host->root);
    root_io_link(host->root, "/link.pem", "/www.pem");
    root_io_text(host->root, "/a.conf",
                 "http {" BLOCK("443", "www.example.com", "/www.pem", "/www.key") "}");
    root_io_text(host->root, "/b.conf",
                 "http {" BLOCK("444", "www.example.com", "/link.pem", "/www.key") "}");
    nginx(host, 50, "/a.conf", 0);
    nginx(host, 60, "/b.conf", 0);
    scan_check_run(host);
    one = scan_check_target(host, "nginx:www.example.com@/a.conf");
    two = scan_check_target(host, "nginx:www.example.com@/b.conf");
    assert_true(one->manageable);
    assert_true(two->manageable);
    assert_true(scan_check_says(&one->reasons, "the same files are target "
                                               "'nginx:www.example.com@/b.conf'"));
    assert_true(scan_check_says(&two->reasons,
                                "the same files are target 'nginx:www.example.com@/a.conf'"));

    root_io_text(host->root, "/b.conf",
                 "http {" BLOCK("444", "b.example.com", "/link.pem", "/shop.key") "}");
    scan_check_run(host);
    assert_false(scan_check_target(host, "nginx:www.example.com")->manageable);
    assert_true(scan_check_says(&scan_check_target(host, "nginx:www.example.com")->reasons,
                                "certificate file '/www.pem' is also used by target "
                                "'nginx:b.example.com'"));
    assert_false(scan_check_target(host, "nginx:b.example.com")->manageable);
}

/* Whichever was started first: an id must lead to the same instance after a reboot. */
static void instances_keep_their_ids(void **state)
{
    static const char *const orders[][2] = {{"/etc/nginx/nginx.conf", "/etc/nginx-b/nginx.conf"},
                                            {"/etc/nginx-b/nginx.conf", "/etc/nginx/nginx.conf"}};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct scan_check host;
        const struct clm_service *service = NULL;
        const struct clm_target *target;

        scan_check_init(&host, NULL);
        host_tree_copy("tests/fixtures/pki", host.root);
        root_io_text(host.root, "/etc/nginx/nginx.conf",
                     "http {" BLOCK("443", "www.example.com", "/www.pem", "/www.key")
                         BLOCK("443", "a.example.com", "/other.pem", "/other.key") "}");
        root_io_text(host.root, "/etc/nginx-b/nginx.conf",
                     "http {" BLOCK("444", "www.example.com", "/shop.pem", "/shop.key") "}");
        nginx(&host, 50, orders[i][0], 0);
        nginx(&host, 60, orders[i][1], 0);
        scan_check_run(&host);
        assert_string_equal(scan_check_target(&host, "nginx:www.example.com")->cert_path,
                            "/www.pem");
        assert_string_equal(
            scan_check_target(&host, "nginx:www.example.com@/etc/nginx-b")->cert_path, "/shop.pem");
        scan_check_target(&host, "nginx:a.example.com"); /* nobody else has that */

        /* while the other one is stopped, the place still leads there and nowhere else */
        root_io_text(host.root, "/etc/nginx/nginx.conf", "http { }");
        scan_check_run(&host);
        target = clm_inventory_find(&host.found, "nginx:www.example.com@/etc/nginx-b", &service);
        assert_non_null(target);
        assert_string_equal(target->cert_path, "/shop.pem");
        assert_string_equal(service->config_path, "/etc/nginx-b/nginx.conf");
        assert_null(clm_inventory_find(&host.found, "nginx:www.example.com@/etc/nginx", NULL));
        assert_null(clm_inventory_find(&host.found, "nginx:www.example.com@/etc", NULL));
        scan_check_done(&host);
    }
}

static void a_password_of_the_file_opens_the_key(void **state)
{
    static const struct {
        const char *passwords; /* NULL: there is no such file */
        const char *key;
        const char *ref;
        const char *reason;
    } cases[] = {
        {"wrong\n\nsecret\r\nlast", "/www.enc.key", "conf:3:/words", ""},
        {"secret", "/www.enc.key", "conf:1:/words", ""},
        {"wrong\nsecret ", "/www.enc.key", "", "no password in '/words' opens the key"},
        {"", "/www.enc.key", "", "'/words' has fewer than 1 lines"},
        {NULL, "/www.enc.key", "", "/words"},
        {"secret", "/www.key", "", ""}, /* not encrypted */
    };
    struct scan_check *host = *state;

    host_tree_copy("tests/fixtures/pki", host->root);
    nginx(host, 50, "/a.conf", 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        char path[PATH_MAX + 16];
        const struct clm_target *t;

        (void)snprintf(
            text, sizeof(text),
            "http { ssl_password_file /words;" BLOCK("443", "a.example", "/www.pem", "%s") "}",
            cases[i].key);
        root_io_text(host->root, "/a.conf", text);
        (void)snprintf(path, sizeof(path), "%s/words", host->root);
        (void)remove(path);
        if (cases[i].passwords != NULL) {
            root_io_text(host->root, "/words", cases[i].passwords);
        }
        scan_check_run(host);
        t = scan_check_target(host, "nginx:a.example");
        if (strcmp(t->key_password, cases[i].ref) != 0 ||
            t->manageable != (cases[i].reason[0] == '\0') || t->key_matches != t->manageable ||
            (!t->manageable && !scan_check_says(&t->reasons, cases[i].reason))) {
            fail_msg("case %zu: '%s' %d %s", i, t->key_password, t->manageable,
                     t->reasons.n > 0 ? t->reasons.v[0] : "");
        }
    }
}

static void a_file_in_two_roles_is_not_one_pair(void **state)
{
    struct scan_check *host = *state;

    host_tree_copy("tests/fixtures/pki", host->root);
    root_io_text(host->root, "/a.conf",
                 "http {" BLOCK("443", "a.example", "/www.pem", "/www.key")
                     BLOCK("443", "b.example", "/www.key", "/www.pem") "}");
    nginx(host, 50, "/a.conf", 0);
    scan_check_run(host);
    assert_false(scan_check_target(host, "nginx:a.example")->manageable);
    assert_true(scan_check_says(&scan_check_target(host, "nginx:a.example")->reasons,
                                "key file '/www.key' is also used by target 'nginx:b.example'"));
}

static void what_files_hold_is_told(void **state)
{
    static const struct {
        const char *cert;
        const char *key;
        bool has;
        bool chain_ok;
        bool matches;
        const char *reason; /* "": manageable */
    } cases[] = {
        {"/www.pem", "/www.key", true, true, true, ""},
        {"/www.leaf.pem", "/www.key", true, true, true, ""},
        {"/www.reversed.pem", "/www.key", true, false, false, "does not belong"},
        {"/www.pem", "/shop.key", true, true, false, "does not belong"},
        {"/www.pem", "/www.enc.key", true, true, false,
         "is encrypted, and the configuration names no file"},
        {"/none.pem", "/www.key", false, false, false, "open '/none.pem'"},
        {"/www.pem", "/none.key", true, true, false, "open '/none.key'"},
        {"/www.key", "/www.key", false, false, false, "'/www.key'"},
        {"/huge.pem", "/www.key", false, false, false, "'/huge.pem'"},
        {"/junk.pem", "/www.key", false, false, false, "'/junk.pem'"},
        {"/empty.pem", "/www.key", false, false, false, "'/empty.pem'"},
        {"/", "/www.key", false, false, false, "'/'"},
    };
    struct scan_check *host = *state;
    size_t size = 1024u * 1024u + 1;
    char *huge = malloc(size);

    memset(huge, 'a', size);
    host_tree_copy("tests/fixtures/pki", host->root);
    root_io_write(host->root, "/huge.pem", huge, size);
    free(huge);
    root_io_text(host->root, "/empty.pem", "");
    root_io_text(host->root, "/junk.pem",
                 "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    nginx(host, 50, "/a.conf", 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        const struct clm_target *t;

        (void)snprintf(text, sizeof(text), "http {" BLOCK("443", "a.example", "%s", "%s") "}",
                       cases[i].cert, cases[i].key);
        root_io_text(host->root, "/a.conf", text);
        scan_check_run(host);
        t = scan_check_target(host, "nginx:a.example");
        if (t->has_certificate != cases[i].has || t->chain_ok != cases[i].chain_ok ||
            t->key_matches != cases[i].matches || t->manageable != (cases[i].reason[0] == '\0') ||
            (!t->manageable && !scan_check_says(&t->reasons, cases[i].reason))) {
            fail_msg("case %zu: %d %d %d %d", i, t->has_certificate, t->chain_ok, t->key_matches,
                     t->manageable);
        }
    }
}

/* Two of one name on one port, by SO_REUSEPORT; a listener for each address. */
static void services_of_one_name_are_told_apart(void **state)
{
    static const struct host_socket sockets[] = {{"00000000", 22, 5, 0}, {"00000000", 22, 6, 0},
                                                 {"00000000", 22, 7, 0}, {"0100007F", 22, 8, 0},
                                                 {"0200007F", 22, 9, 0}, {"0100007F", 21, 10, 0}};
    struct scan_check *host = *state;

    for (int pid = 3; pid < 5; pid++) {
        host_tree_process(host->root,
                          &(struct host_process){
                              .pid = pid,
                              .parent = 1,
                              .start = (unsigned)pid,
                              .comm = "sshd",
                              .exe = "/usr/sbin/sshd",
                              .cmdline = "sshd",
                              .sockets = {pid == 3 ? 5 : 7, pid == 3 ? 6 : 8, pid == 3 ? 0 : 9}});
    }
    host_tree_sockets(host->root, 3, sockets, CLM_ARRAY_LEN(sockets));
    scan_check_run(host);
    assert_int_equal(scan_check_service(host, "other@sshd:22")->n_listeners, 1);
    assert_int_equal(scan_check_service(host, "other@sshd:22#2")->n_listeners, 3);
    assert_string_equal(scan_check_service(host, "other@sshd:22#2")->listeners[0].addr, "0.0.0.0");
    assert_string_equal(scan_check_service(host, "other@sshd:22#2")->listeners[2].addr,
                        "127.0.0.2");
}

static enum clm_code no_bus(void *ctx, clm_io_unit_fn visit, void *arg, struct clm_err *err)
{
    (void)ctx;
    (void)visit;
    (void)arg;
    return clm_err_set(err, CLM_E_IO, "the bus does not answer");
}

static void a_bus_that_does_not_answer_is_an_error_of_the_scan(void **state)
{
    struct scan_check *host = *state;

    root_io_text(host->root, "/a.conf", "events {}");
    nginx(host, 50, "/a.conf", 0);
    host->io.io.unit_list = no_bus;
    scan_check_run(host);
    assert_true(scan_check_says(&host->found.errors, "systemd: the bus does not answer"));
    assert_string_equal(scan_check_service(host, "nginx@/a.conf")->unit, "nginx.service");
}

/* The kernel lists what listens, but whose it is cannot be seen. */
static void sockets_of_nobody_are_counted(void **state)
{
    static const struct clm_listening all[] = {{.addr = "0.0.0.0", .port = 1, .inode = 1},
                                               {.addr = "0.0.0.0", .port = 2, .inode = 2},
                                               {.addr = "0.0.0.0", .port = 3, .inode = 3},
                                               {.addr = "0.0.0.0", .port = 4, .inode = 4},
                                               {.addr = "0.0.0.0", .port = 5, .inode = 5}};
    struct scan_check *host = *state;

    nginx(host, 50, "/a.conf", 0);
    host_tree_process(
        host->root,
        &(struct host_process){
            .pid = 1, .start = 1, .comm = "systemd", .exe = "/sbin/init", .cmdline = "init"});
    host->io.is_closed = true;
    host->io.listening = all;
    host->io.n_listening = 1;
    scan_check_run(host);
    assert_true(scan_check_says(&host->found.errors, "behind 1 listening socket (0.0.0.0:1)"));
    host->io.n_listening = CLM_ARRAY_LEN(all);
    scan_check_run(host);
    assert_true(scan_check_says(&host->found.errors, "behind 5 listening sockets (0.0.0.0:1, "));
    assert_true(scan_check_says(&host->found.errors, ":4, ...)"));
}

static void encrypted_keys_need_a_password_file_that_is_there(void **state)
{
    static const struct {
        const char *key;
        const char *words; /* "": none named */
        const char *reason;
    } rows[] = {
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE "
         "KEY-----\n",
         "", "names no file with its password"},
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE "
         "KEY-----\n",
         "ssl_password_file /loop/x;", "open '/loop/x'"},
        {"no key", "", "'/k'"},
    };
    struct scan_check *host = *state;

    host_tree_copy("tests/fixtures/pki", host->root);
    root_io_link(host->root, "/loop", "loop");
    nginx(host, 50, "/a.conf", 0);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char text[512];

        root_io_text(host->root, "/k", rows[i].key);
        (void)snprintf(text, sizeof(text),
                       "http { %s" BLOCK("443", "a.example", "/www.pem", "/k") "}", rows[i].words);
        root_io_text(host->root, "/a.conf", text);
        scan_check_run(host);
        if (!scan_check_says(&scan_check_target(host, "nginx:a.example")->reasons,
                             rows[i].reason)) {
            fail_msg("row %zu", i);
        }
    }
}

static void the_registry_is_well_formed(void **state)
{
    const struct clm_scanner_ops *const *ops = clm_scanners_all();
    size_t n = 0;

    (void)state;
    for (; ops[n] != NULL; n++) {
        assert_true(strlen(ops[n]->name) <= 24);
        assert_true(strspn(ops[n]->name, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
                    strlen(ops[n]->name));
        assert_true(strlen(ops[n]->summary) > 0);
        assert_non_null(ops[n]->claims);
        assert_non_null(ops[n]->read);
        for (size_t i = 0; i < n; i++) {
            assert_string_not_equal(ops[i]->name, ops[n]->name);
        }
    }
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_listeners_are_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_unit_counts_only_for_its_main_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_servers_are_reported_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_kinds_asked_for_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instances_share_names_and_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instances_keep_their_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_password_of_the_file_opens_the_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_in_two_roles_is_not_one_pair, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_files_hold_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(services_of_one_name_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bus_that_does_not_answer_is_an_error_of_the_scan, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sockets_of_nobody_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encrypted_keys_need_a_password_file_that_is_there, set_up,
                                        tear_down),
        cmocka_unit_test(the_registry_is_well_formed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
