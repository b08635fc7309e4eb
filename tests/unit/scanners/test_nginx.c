/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scanners/pattern.h"
#include "tests/support/host_tree.h"
#include "tests/support/scan_check.h"

#define SERVICE "nginx@/etc/nginx/nginx.conf"

static const struct root_io_program programs[] = {
    {"/usr/sbin/nginx -V", 0,
     "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.8\nconfigure arguments: "
     "--prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf --http-log-path=/x\n"},
    {NULL, 0, NULL},
};

static const struct root_io_owner owners[] = {
    {"/etc/nginx/ssl/www.key", 0, 110, 0640},    {"/etc/nginx/ssl/shop.key", 33, 33, 0644},
    {"/etc/nginx/ssl/dual-rsa.key", 0, 0, 0600}, {"/etc/nginx/ssl/dual-ec.key", 0, 0, 0600},
    {"/etc/nginx/ssl/other.key", 0, 0, 0600},    {"/etc/nginx/ssl/encrypted.key", 0, 0, 0600},
    {"/etc/nginx/ssl/shared.key", 0, 0, 0600},   {NULL, 0, 0, 0},
};

static void start_nginx(struct scan_check *host, const char *cmdline)
{
    static const struct host_socket sockets[] = {
        {"00000000", 80, 10, 0},   {"00000000000000000000000000000000", 80, 11, 0},
        {"00000000", 443, 12, 0},  {"00000000000000000000000000000000", 443, 13, 0},
        {"0100007F", 8443, 14, 0}, {"00000000", 8883, 15, 0},
        {"00000000", 9443, 16, 0},
    };

    host_tree_process(host->root, &(struct host_process){.pid = 812,
                                                         .parent = 1,
                                                         .start = 500,
                                                         .comm = "nginx",
                                                         .exe = "/usr/sbin/nginx",
                                                         .cmdline = cmdline,
                                                         .unit = "nginx.service",
                                                         .sockets = {10, 11, 12, 13, 14, 15, 16}});
    host_tree_process(host->root, &(struct host_process){.pid = 813,
                                                         .parent = 812,
                                                         .start = 501,
                                                         .comm = "nginx",
                                                         .exe = "/usr/sbin/nginx",
                                                         .cmdline = "nginx: worker process",
                                                         .unit = "nginx.service",
                                                         .uid = 33,
                                                         .sockets = {10, 11, 12, 13, 14, 15, 16}});
    host_tree_sockets(host->root, 812, sockets, sizeof(sockets) / sizeof(sockets[0]));
    host->io.programs = programs;
    host->io.owners = owners;
}

static int set_up(void **state)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, "debian-nginx");
    start_nginx(host, "nginx: master process /usr/sbin/nginx -g daemon on; master_process on;");
    scan_check_run(host);
    *state = host;
    return 0;
}

/* An empty host with one configuration file, given by the test. */
static int set_up_bare(void **state)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, NULL);
    start_nginx(host, "nginx: master process nginx");
    root_io_text(host->root, "/usr/sbin/nginx", "");
    *state = host;
    return 0;
}

static int tear_down(void **state)
{
    scan_check_done(*state);
    free(*state);
    return 0;
}

static const struct clm_service *scan_text(struct scan_check *host, const char *text)
{
    root_io_text(host->root, "/etc/nginx/nginx.conf", text);
    scan_check_run(host);
    return scan_check_service(host, SERVICE);
}

static void the_service_is_described(void **state)
{
    const struct clm_service *s = scan_check_service(*state, SERVICE);

    assert_int_equal(((struct scan_check *)*state)->found.n_services, 1);
    assert_string_equal(s->kind, "nginx");
    assert_string_equal(s->version, "1.22.1");
    assert_true(s->running);
    assert_int_equal(s->pid, 812);
    assert_int_equal(s->start_ticks, 500);
    assert_string_equal(s->user, "root");
    assert_string_equal(s->unit, "nginx.service");
    assert_string_equal(s->config_path, "/etc/nginx/nginx.conf");
    assert_string_equal(s->prefix, "");
    assert_int_equal(s->n_listeners, 7);
    for (size_t i = 0; i < s->n_listeners; i++) {
        assert_int_equal(s->listeners[i].tls, s->listeners[i].port != 80);
    }
}

static void one_pair_of_files_is_one_target(void **state)
{
    const struct clm_target *t = scan_check_target(*state, "nginx:www.example.com");

    assert_true(t->manageable);
    assert_string_equal(t->cert_path, "/etc/nginx/ssl/www.pem");
    assert_string_equal(t->key_path, "/etc/nginx/ssl/www.key");
    assert_string_equal(t->configured_at, "/etc/nginx/snippets/www-tls.conf:1");
    assert_string_equal(t->key_perm, "0640 root:ssl-cert");
    assert_true(t->has_certificate && t->chain_ok && t->key_matches);
    assert_string_equal(t->certificate.key_type, "ec-p256");
    assert_int_equal(t->names.dns.n, 3);
    assert_string_equal(t->names.dns.v[2], "static.example.com");
    assert_int_equal(t->n_endpoints, 3);
    assert_true(scan_check_endpoint(t, "127.0.0.1:443 www.example.com"));
    assert_true(scan_check_endpoint(t, "::1:443 www.example.com"));
    assert_true(scan_check_endpoint(t, "127.0.0.1:443 static.example.com"));
}

static void stream_servers_are_targets(void **state)
{
    const struct clm_target *t = scan_check_target(*state, "nginx:default");

    assert_string_equal(t->cert_path, "/etc/nginx/ssl/other.pem");
    assert_true(scan_check_endpoint(t, "127.0.0.1:8883 "));
}

static void odd_ones_have_a_reason(void **state)
{
    static const struct {
        const char *id;
        const char *reason;
    } cases[] = {
        {"nginx:var.example.com",
         "x-odd:13: certificate path contains the variable '$ssl_server_name'"},
        {"nginx:inline.example.com", "'data:$cert' is no file"},
        {"nginx:one.example.com", "/shared.key' is also used by target 'nginx:two.example.com'"},
        {"nginx:two.example.com", "/shared.key' is also used by target 'nginx:one.example.com'"},
        {"nginx:proxied.example.com", "is encrypted"},
        {"nginx:proxied.example.com", "PROXY protocol"},
        {"nginx:proxied.example.com", "no handshake can show"},
        {"nginx:wrong.example.com", "does not belong to the certificate"},
        {"nginx:wrong.example.com", "does not listen on 0.0.0.0 port 6443 yet"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct clm_target *t = scan_check_target(*state, cases[i].id);

        if (t->manageable || !scan_check_says(&t->reasons, cases[i].reason)) {
            fail_msg("case %zu: %s", i, cases[i].id);
        }
    }
}

static void certificates_side_by_side_are_told_apart(void **state)
{
    static const char *const kinds[] = {"rsa", "ec"};

    for (size_t i = 0; i < 2; i++) {
        const struct clm_target *t;
        char id[64];

        (void)snprintf(id, sizeof(id), "nginx:dual.example.com#%s", kinds[i]);
        t = scan_check_target(*state, id);
        assert_string_equal(t->key_kind, kinds[i]);
        assert_non_null(strstr(t->cert_path, kinds[i]));
        assert_true(t->manageable);
        assert_int_equal(t->reasons.n, 0);
        assert_true(t->n_endpoints > 0);
        for (size_t k = 0; k < t->n_endpoints; k++) {
            assert_string_equal(t->endpoints[k].key_kind, kinds[i]);
        }
    }
    assert_string_equal(scan_check_target(*state, "nginx:www.example.com")->key_kind, "");
}

static void of_two_of_one_kind_only_the_last_counts(void **state)
{
    struct scan_check *host = *state;
    const struct clm_target *t;

    root_io_text(host->root, "/etc/nginx/nginx.conf",
                 "http { server { listen 443 ssl; server_name dual.example.com;\n"
                 "ssl_certificate ssl/dual-old.pem; ssl_certificate_key ssl/dual-old.key;\n"
                 "ssl_certificate ssl/dual-rsa.pem; ssl_certificate_key ssl/dual-rsa.key;\n"
                 "ssl_certificate ssl/dual-ec.pem; ssl_certificate_key ssl/dual-ec.key; }\n"
                 "server { listen 127.0.0.1:8443 ssl; server_name alone.example.com;\n"
                 "ssl_certificate ssl/dual-rsa.pem; ssl_certificate_key ssl/dual-rsa.key; } }");
    scan_check_run(host);
    assert_int_equal(scan_check_service(host, SERVICE)->n_targets, 3);
    t = scan_check_target(host, "nginx:dual.example.com");
    assert_false(t->manageable);
    assert_true(scan_check_says(&t->reasons, "a later certificate with a key of the same kind"));
    t = scan_check_target(host, "nginx:dual.example.com#rsa");
    assert_true(t->manageable);
    assert_int_equal(t->n_endpoints, 2);
    assert_string_equal(t->endpoints[1].key_kind, "rsa");
    t = scan_check_target(host, "nginx:dual.example.com#ec");
    assert_string_equal(t->endpoints[0].key_kind, "ec");
}

static void files_of_another_manager_are_told_of(void **state)
{
    const struct clm_target *t = scan_check_target(*state, "nginx:blog.example.com");

    assert_string_equal(t->manager, "certbot");
    assert_true(scan_check_says(&t->reasons, "policy.take_over"));
    assert_string_equal(scan_check_target(*state, "nginx:dual.example.com#rsa")->manager, "");
}

static void shadowed_names_are_remarked_and_not_asked_for(void **state)
{
    const struct clm_target *t = scan_check_target(*state, "nginx:www.example.com#2");

    assert_true(t->manageable);
    assert_true(scan_check_says(&t->reasons, "an earlier block answers for 'www.example.com'"));
    assert_true(scan_check_says(&t->reasons, "every user can read the key"));
    assert_string_equal(t->key_perm, "0644 www-data:www-data");
    assert_true(scan_check_endpoint(t, "127.0.0.1:443 late.example.com"));
    assert_true(scan_check_endpoint(t, "127.0.0.1:443 shop.example.com"));
    assert_int_equal(t->n_endpoints, 2);
    assert_true(clm_strs_has(&t->names.dns, "*.shop.example.com"));
}

static void listens_that_are_not_understood_are_remarked(void **state)
{
    const struct clm_service *s = scan_check_service(*state, SERVICE);

    assert_true(scan_check_says(&s->remarks, "'listen 10000-10010' is left out: ranges of ports"));
    assert_true(scan_check_says(&s->remarks, "'listen localhost:7443' is left out"));
}

static void webroots_say_where_files_go_or_why_not(void **state)
{
    const struct clm_service *s = scan_check_service(*state, SERVICE);
    const struct clm_webroot *w = scan_check_webroot(s, "www.example.com");

    assert_string_equal(w->acme_path, "/var/www/acme");
    assert_string_equal(w->path, "");
    assert_string_equal(w->reason, "");
    assert_string_equal(w->addr, "127.0.0.1");
    assert_int_equal(w->port, 80);
    w = scan_check_webroot(s, "static.example.com"); /* only the default server has it */
    assert_string_equal(w->path, "/var/www/html");
    assert_string_equal(w->acme_path, "");
    assert_string_equal(w->reason, "");
    w = scan_check_webroot(s, "blog.example.com");
    assert_non_null(strstr(w->reason,
                           "blog:4: 'proxy_pass http://127.0.0.1:3000' passes it on: add "
                           "'location ^~ /.well-known/acme-challenge/ {"));
}

static void locations_are_chosen_as_nginx_does(void **state)
{
    static const struct {
        const char *body;
        const char *path;
        const char *acme;
        const char *reason; /* part of it; "" none */
    } cases[] = {
        {"root /r;", "/r", "", ""},
        {"", "/usr/share/nginx/html", "", ""},
        {"root /r; location / { root /s; }", "/s", "", ""},
        {"root /r; location /.well-known { root /s; }", "/r", "/s/.well-known/acme-challenge", ""},
        {"root /r; location = /.well-known/acme-challenge/ { root /s; }", "/r", "", ""},
        {"root /r; location / { proxy_pass http://x; } location ^~ /.well-known/ { alias /w/; }",
         "", "/w/acme-challenge", ""},
        {"root /r; location ~ /\\. { deny all; }", "/r", "", "'deny all' refuses it"},
        {"root /r; location ~ /\\.(?!well-known).* { deny all; }", "/r", "", ""},
        {"root /r; location ^~ /.well-known/ { allow all; } location ~ /\\. { deny all; }", "/r",
         "", ""},
        {"root /r; location ^~/.well-known/ { allow all; } location ~/\\. { deny all; }", "/r", "",
         ""},
        {"root /r; location /.well-known/ { allow all; } location ~ /\\. { return 403; }", "/r", "",
         "'return 403' answers first"},
        {"root /r; location ~ (?<x>a)b { return 403; }", "", "", "may answer first"},
        {"root /r; location ~* \\.(php|JPG)$ { return 403; }", "/r", "", ""},
        {"return 301 https://$host$request_uri; location / { root /r; }", "", "",
         "'return 301' answers all"},
        {"root /r; if ($host = x) { return 301 https://x; }", "", "", "may answer first"},
        {"root /r; rewrite ^/old /new; ", "/r", "", ""},
        {"root /r; rewrite ^(.*)$ https://x$1 permanent; ", "", "", "changes the path"},
        {"root /srv/$host;", "", "", "has a variable"},
        {"root /r; auth_basic x;", "", "", "asks for a password"},
        {"root /r; auth_basic x; location /.well-known/ { auth_basic off; }", "",
         "/r/.well-known/"
         "acme-challenge",
         ""},
        {"root /r; try_files $uri /index.php;", "/r", "", ""},
        {"root /r; location / { try_files /down.html $uri; }", "", "", "comes first"},
        {"root /r; location /.well-known/ { location /.well-known/acme-challenge/ { root /n; } }",
         "/r", "/n/.well-known/acme-challenge", ""},
        {"root /r; location @named { } location /.well-known/ { root /s; }", "/r",
         "/s/.well-known/acme-challenge", ""},
        {"root /r; location = " CLM_ACME_SAMPLE " { root /e; }", "/r",
         "/e/.well-known/acme-challenge", ""},
        {"root /r; if ($x) { rewrite ^ /y; }", "", "", "may answer first"},
        {"root /r; if ($x) { set $y 1; }", "/r", "", ""},
        {"root /r; location /.well-known/ { if ($x) { return 403; } }", "/r", "",
         "may answer first"},
        {"root /r; location /.well-known/ { rewrite ^ /x; }", "/r", "", "changes the path"},
        {"root /r; deny 192.0.2.1;", "/r", "", ""},
        {"root /r; try_files $request_uri =404;", "/r", "", ""},
        {"root /r; location ~ ^/\\.well-known { alias /w/; }", "/r", "", "depends on the request"},
        {"root /r/; auth_basic off;", "/r", "", ""},
        {"root html;", "/usr/share/nginx/html", "", ""},
        {"root /;", "/", "", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1024];
        const struct clm_webroot *w;

        (void)snprintf(text, sizeof(text),
                       "http { server { listen 80; server_name a.example; %s } }", cases[i].body);
        w = scan_check_webroot(scan_text(*state, text), "a.example");
        if (strcmp(w->path, cases[i].path) != 0 || strcmp(w->acme_path, cases[i].acme) != 0 ||
            (cases[i].reason[0] == '\0') != (w->reason[0] == '\0') ||
            strstr(w->reason, cases[i].reason) == NULL) {
            fail_msg("case %zu: '%s' '%s' '%s'", i, w->path, w->acme_path, w->reason);
        }
    }
}

static void certificates_are_inherited_from_http(void **state)
{
    const struct clm_service *s = scan_text(
        *state, "http { ssl_certificate a.pem; ssl_certificate_key a.key;\n"
                "server { listen 443 ssl; server_name a.example; }\n"
                "server { listen 443 ssl; server_name b.example; ssl_certificate b.pem; }\n"
                "server { listen 80; server_name c.example; } }");

    assert_int_equal(s->n_targets, 2);
    assert_string_equal(s->targets[0].cert_path, "/etc/nginx/a.pem");
    assert_string_equal(s->targets[0].key_path, "/etc/nginx/a.key");
    assert_string_equal(s->targets[1].cert_path, "/etc/nginx/b.pem");
    assert_string_equal(s->targets[1].key_path, "/etc/nginx/a.key");
    assert_false(s->targets[0].manageable);
    assert_true(scan_check_says(&s->targets[0].reasons, "open '/etc/nginx/a.pem'"));
}

static void tls_is_a_matter_of_the_socket(void **state)
{
    const struct clm_service *s =
        scan_text(*state, "http { ssl_certificate a.pem; ssl_certificate_key a.key;\n"
                          "server { listen 443; server_name a.example; }\n"
                          "server { listen *:443 ssl; server_name b.example; } }");

    assert_int_equal(s->n_targets, 1);
    assert_true(scan_check_endpoint(&s->targets[0], "127.0.0.1:443 a.example"));
    assert_true(scan_check_endpoint(&s->targets[0], "127.0.0.1:443 b.example"));
    s = scan_text(*state, "http { ssl_certificate a.pem; ssl_certificate_key a.key;\n"
                          "server { listen 443 ssl; server_name a.example; }\n"
                          "server { listen *:443; server_name b.example; } }");
    assert_int_equal(s->targets[0].n_endpoints, 2);
}

static void blocks_without_a_name_are_asked_without_one(void **state)
{
    const struct clm_service *s = scan_text(
        *state, "http { server { listen 443 ssl; server_name ~^x; ssl_certificate a; "
                "ssl_certificate_key a; }\n"
                "server { listen 443 ssl default_server; server_name _; ssl_certificate b; "
                "ssl_certificate_key b; }\n"
                "server { listen 443 ssl; server_name *.c.example; ssl_certificate c; "
                "ssl_certificate_key c; } }");

    assert_int_equal(s->n_targets, 3);
    assert_int_equal(s->targets[0].n_endpoints, 0);
    assert_true(scan_check_says(&s->targets[0].reasons, "never chosen on 0.0.0.0 port 443"));
    assert_true(scan_check_endpoint(&s->targets[1], "127.0.0.1:443 "));
    assert_true(scan_check_endpoint(&s->targets[2], "127.0.0.1:443 clmbot-probe.c.example"));
    assert_string_equal(s->targets[2].id, "nginx:*.c.example");
}

static void a_broken_configuration_is_a_remark(void **state)
{
    const struct clm_service *s = scan_text(*state, "http {\n server {\n");

    assert_int_equal(s->n_targets, 0);
    assert_true(scan_check_says(&s->remarks, "/etc/nginx/nginx.conf:2: the block 'server'"));
}

static void an_untrusted_program_is_not_run(void **state)
{
    static const struct root_io_owner loose[] = {{"/usr/sbin/nginx", 1000, 0, 0755},
                                                 {NULL, 0, 0, 0}};
    struct scan_check *host = *state;
    const struct clm_service *s;

    host->io.owners = loose;
    s = scan_text(host, "events {}");
    assert_int_equal(host->io.runs, 0);
    assert_string_equal(s->version, "");
    assert_true(scan_check_says(&s->remarks, "can be changed by others than root"));
}

static void containers_are_read_but_their_program_is_not_run(void **state)
{
    struct scan_check *host = *state;
    const struct clm_service *s;

    root_io_text(host->root, "/proc/812/root/etc/nginx/nginx.conf",
                 "http { server { listen 443 ssl; server_name in.example.com;"
                 "ssl_certificate a.pem; ssl_certificate_key a.key; }"
                 "server { listen 80; server_name in.example.com; root /srv; } }");
    root_io_text(host->root, "/etc/nginx/nginx.conf",
                 "http { server { listen 443 ssl; server_name out.example.com;"
                 "ssl_certificate a; ssl_certificate_key a; } }");
    scan_check_run(host);
    s = scan_check_service(host, SERVICE);
    assert_true(s->foreign_namespace);
    assert_int_equal(s->n_targets, 1);
    assert_string_equal(s->targets[0].id, "nginx:in.example.com");
    assert_string_equal(s->targets[0].cert_path, "/etc/nginx/a.pem");
    assert_false(s->targets[0].manageable);
    assert_int_equal(host->io.runs, 0);
    assert_true(scan_check_says(&s->remarks, "runs in a container"));
    assert_int_equal(s->n_webroots, 1);
    assert_non_null(strstr(s->webroots[0].reason, "runs in a container"));
}

/* A build of its own, outside the packages: "PREFIX/sbin/nginx" with "PREFIX/conf/nginx.conf". */
static void a_container_may_have_a_build_of_its_own(void **state)
{
    struct scan_check *host = *state;

    root_io_text(host->root, "/proc/812/root/usr/conf/nginx.conf",
                 "http { server { listen 443 ssl; server_name own.example.com;"
                 "ssl_certificate a.pem; ssl_certificate_key a.key; } }");
    scan_check_run(host);
    assert_string_equal(
        scan_check_service(host, "nginx@/usr/conf/nginx.conf")->targets[0].cert_path,
        "/usr/conf/a.pem");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_service_is_described, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_pair_of_files_is_one_target, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stream_servers_are_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_ones_have_a_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_side_by_side_are_told_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(of_two_of_one_kind_only_the_last_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_another_manager_are_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shadowed_names_are_remarked_and_not_asked_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(listens_that_are_not_understood_are_remarked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(webroots_say_where_files_go_or_why_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(locations_are_chosen_as_nginx_does, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(certificates_are_inherited_from_http, set_up_bare,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tls_is_a_matter_of_the_socket, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(blocks_without_a_name_are_asked_without_one, set_up_bare,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_broken_configuration_is_a_remark, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(an_untrusted_program_is_not_run, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(containers_are_read_but_their_program_is_not_run,
                                        set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(a_container_may_have_a_build_of_its_own, set_up_bare,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
