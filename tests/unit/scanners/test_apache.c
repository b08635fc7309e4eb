/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/buf.h"
#include "tests/support/host_tree.h"
#include "tests/support/scan_check.h"

#define DEBIAN "apache@/etc/apache2/apache2.conf"
#define RHEL   "apache@/etc/httpd/conf/httpd.conf"

static const struct root_io_program programs[] = {
    {"/usr/sbin/apache2 -v", 0, "Server version: Apache/2.4.57 (Debian)\nServer built: x\n"},
    {"/usr/sbin/httpd -v", 0, "Server version: Apache/2.4.57 (Red Hat Enterprise Linux)\n"},
    {NULL, 0, NULL},
};

static void start(struct scan_check *host, const char *exe, const char *comm, const char *cmdline)
{
    static const struct host_socket sockets[] = {
        {"00000000000000000000000000000000", 80, 10, 0},
        {"00000000000000000000000000000000", 443, 11, 0},
    };

    host_tree_process(host->root, &(struct host_process){.pid = 900,
                                                         .parent = 1,
                                                         .start = 500,
                                                         .comm = comm,
                                                         .exe = exe,
                                                         .cmdline = cmdline,
                                                         .unit = "apache2.service",
                                                         .sockets = {10, 11}});
    host_tree_process(host->root, &(struct host_process){.pid = 901,
                                                         .parent = 900,
                                                         .start = 501,
                                                         .comm = comm,
                                                         .exe = exe,
                                                         .cmdline = cmdline,
                                                         .uid = 33,
                                                         .sockets = {10, 11}});
    host_tree_sockets(host->root, 900, sockets, 2);
    host->io.programs = programs;
}

static int set_up_debian(void **state)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, "debian-apache");
    start(host, "/usr/sbin/apache2", "apache2", "/usr/sbin/apache2|-k|start");
    scan_check_run(host);
    *state = host;
    return 0;
}

static int set_up_rhel(void **state)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, "rhel-httpd");
    start(host, "/usr/sbin/httpd", "httpd", "/usr/sbin/httpd|-DFOREGROUND");
    scan_check_run(host);
    *state = host;
    return 0;
}

static int set_up_bare(void **state)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, NULL);
    root_io_text(host->root, "/usr/sbin/httpd", "");
    start(host, "/usr/sbin/httpd", "httpd", "/usr/sbin/httpd|-f|/c|-d|/srv|-D|LIVE");
    *state = host;
    return 0;
}

static int tear_down(void **state)
{
    scan_check_done(*state);
    free(*state);
    return 0;
}

static void debians_layout_is_read(void **state)
{
    const struct clm_service *s = scan_check_service(*state, DEBIAN);
    const struct clm_target *t = scan_check_target(*state, "apache:www.example.com");

    assert_string_equal(s->version, "2.4.57");
    assert_string_equal(s->unit, "apache2.service");
    assert_int_equal(s->pid, 900);
    assert_int_equal(s->n_targets, 4);
    assert_true(t->manageable);
    assert_string_equal(t->cert_path, "/etc/ssl/private/www.pem");
    assert_string_equal(t->key_path, "/etc/ssl/private/www.key");
    assert_string_equal(t->configured_at, "/etc/apache2/sites-enabled/www.conf:16");
    assert_true(t->has_certificate && t->chain_ok && t->key_matches);
    assert_int_equal(t->names.dns.n, 3);
    assert_string_equal(t->names.dns.v[2], "*.cdn.example.com");
    assert_int_equal(t->n_endpoints, 1);
    assert_true(scan_check_endpoint(t, "::1:443 www.example.com"));
    assert_true(scan_check_says(&s->remarks, "the use of macro 'Site' is not followed"));
}

static void key_and_chain_may_lie_elsewhere(void **state)
{
    const struct clm_target *t = scan_check_target(*state, "apache:shop.example.com");

    assert_string_equal(t->chain_path, "/etc/ssl/private/int.pem");
    assert_true(t->manageable);
    t = scan_check_target(*state, "apache:both.example.com");
    assert_string_equal(t->key_path, t->cert_path);
    assert_true(t->manageable && t->key_matches);
    t = scan_check_target(*state, "apache:token.example.com");
    assert_false(t->manageable);
    assert_true(scan_check_says(&t->reasons, "the key is in a token"));
    assert_true(scan_check_endpoint(t, "192.0.2.7:443 token.example.com"));
}

static void debians_webroots(void **state)
{
    static const struct {
        const char *domain;
        const char *path;
        const char *acme;
        const char *reason;
    } cases[] = {
        {"www.example.com", "", "/var/www/www/.well-known/acme-challenge", ""},
        {"example.com", "", "/var/www/www/.well-known/acme-challenge", ""},
        {"shop.example.com", "", "", "'redirect permanent' answers first"},
        {"api.example.com", "", "/var/www/acme", ""},
        {"app.example.com", "", "", "passes it on: add 'ProxyPass /.well-known/acme-challenge/ !'"},
        {"srv.example.com", "/srv/site", "", "'require all' denied"},
        {"both.example.com", "/var/www/html", "", ""},
    };
    const struct clm_service *s = scan_check_service(*state, DEBIAN);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct clm_webroot *w = scan_check_webroot(s, cases[i].domain);

        if (strcmp(w->path, cases[i].path) != 0 || strcmp(w->acme_path, cases[i].acme) != 0 ||
            (cases[i].reason[0] == '\0') != (w->reason[0] == '\0') ||
            strstr(w->reason, cases[i].reason) == NULL) {
            fail_msg("case %zu: '%s' '%s' '%s'", i, w->path, w->acme_path, w->reason);
        }
        assert_string_equal(w->addr, "::1");
        assert_int_equal(w->port, 80);
    }
}

static void red_hats_layout_is_read(void **state)
{
    const struct clm_service *s = scan_check_service(*state, RHEL);
    const struct clm_target *t = scan_check_target(*state, "apache:default");

    assert_int_equal(s->n_targets, 1);
    assert_string_equal(t->cert_path, "/etc/pki/tls/certs/localhost.crt");
    assert_true(t->manageable);
    assert_true(scan_check_endpoint(t, "::1:443 "));
    assert_int_equal(s->n_listeners, 2);
    assert_false(s->listeners[0].tls);
    assert_true(s->listeners[1].tls);
}

static const struct clm_service *scan_text(struct scan_check *host, const char *text)
{
    root_io_text(host->root, "/c", text);
    scan_check_run(host);
    return scan_check_service(host, "apache@/c");
}

static void the_command_line_counts(void **state)
{
    const struct clm_service *s =
        scan_text(*state, "Listen 443\n<IfDefine LIVE>\n<VirtualHost *:443>\nServerName a.example\n"
                          "SSLEngine on\nSSLCertificateFile a.pem\n</VirtualHost>\n</IfDefine>");

    assert_string_equal(s->prefix, "/srv");
    assert_int_equal(s->n_targets, 1);
    assert_string_equal(s->targets[0].cert_path, "/srv/a.pem");
    assert_true(scan_check_says(&s->targets[0].reasons, "open '/srv/a.pem'"));
}

static void virtual_hosts_compete_by_name_and_order(void **state)
{
    const struct clm_service *s = scan_text(
        *state, "Listen 443\nSSLEngine on\n"
                "<VirtualHost *:443>\nServerName a.example\nSSLCertificateFile /a\n</VirtualHost>\n"
                "<VirtualHost *:443>\nServerName a.example\nSSLCertificateFile /b\n</VirtualHost>\n"
                "<VirtualHost *:443>\nServerAlias *.c.example\nSSLCertificateFile /c\n"
                "</VirtualHost>\n"
                "<VirtualHost 127.0.0.1:443>\nSSLCertificateFile /d\n</VirtualHost>\n");

    assert_int_equal(s->n_targets, 4);
    assert_true(scan_check_endpoint(&s->targets[0], "::1:443 a.example"));
    assert_int_equal(s->targets[1].n_endpoints, 0);
    assert_true(scan_check_says(&s->targets[1].reasons, "an earlier virtual host answers for "
                                                        "'a.example'"));
    assert_true(scan_check_endpoint(&s->targets[2], "::1:443 clmbot-probe.c.example"));
    assert_true(scan_check_endpoint(&s->targets[3], "127.0.0.1:443 "));

    s = scan_text(*state, "Listen 443\nSSLEngine on\n"
                          "<VirtualHost *:443>\nServerName a.example\nSSLCertificateFile /a\n"
                          "</VirtualHost>\n"
                          "<VirtualHost [::1]:443 127.0.0.1:443>\nSSLCertificateFile /d\n"
                          "</VirtualHost>\n");
    assert_true(scan_check_endpoint(&s->targets[0], "127.0.0.2:443 a.example"));
    assert_int_equal(s->targets[1].n_endpoints, 2);
}

static void the_main_server_is_a_host_too(void **state)
{
    const struct clm_service *s =
        scan_text(*state, "Listen 443\nServerName m.example\nSSLEngine on\nSSLCertificateFile /m\n"
                          "SSLCertificateKeyFile /k\n");

    assert_int_equal(s->n_targets, 1);
    assert_string_equal(s->targets[0].id, "apache:m.example");
    assert_string_equal(s->targets[0].key_path, "/k");
}

static void unknown_variables_are_a_reason(void **state)
{
    const struct clm_service *s =
        scan_text(*state, "Listen 443\n<VirtualHost *:443>\nServerName v.example\nSSLEngine on\n"
                          "SSLCertificateFile ${NOBODY_KNOWS}/a.pem\nSSLCertificateKeyFile /a.key\n"
                          "</VirtualHost>\n");

    assert_int_equal(s->n_targets, 1);
    assert_false(s->targets[0].manageable);
    assert_true(scan_check_says(&s->targets[0].reasons, "what '${NOBODY_KNOWS}' stands for"));
}

static void files_of_the_main_server_are_inherited_one_by_one(void **state)
{
    const struct clm_service *s = scan_text(
        *state, "Listen 443\nSSLCertificateFile /m1\nSSLCertificateKeyFile /mk1\n"
                "<VirtualHost *:443>\nServerName a.example\nSSLEngine on\n</VirtualHost>\n"
                "<VirtualHost *:443>\nServerName b.example\nSSLEngine on\nSSLCertificateFile /b1\n"
                "SSLCertificateKeyFile /bk1\nSSLCertificateFile /b2\nSSLCertificateKeyFile /bk2\n"
                "</VirtualHost>");

    assert_int_equal(s->n_targets, 3);
    assert_string_equal(s->targets[0].cert_path, "/m1");
    assert_string_equal(s->targets[1].cert_path, "/b1");
    assert_string_equal(s->targets[2].key_path, "/bk2");
    assert_string_equal(s->targets[2].id, "apache:b.example#2");
    assert_true(scan_check_says(&s->targets[2].reasons, "cannot be told"));
    assert_false(s->targets[2].manageable);
}

static void rewriting_is_judged(void **state)
{
    static const struct {
        const char *rules;
        bool usable;
    } cases[] = {
        {"RewriteRule ^(.*)$ https://x$1", true}, /* the engine is off */
        {"RewriteEngine on\nRewriteRule ^(.*)$ https://x$1", false},
        {"RewriteEngine on\nRewriteRule ^/old /new", true},
        {"RewriteEngine on\nRewriteRule ^/\\.well-known/ - [L]\nRewriteRule .* https://x/", true},
        {"RewriteEngine on\nRewriteRule /\\. - [F]", false},
        {"RewriteEngine on\nRewriteCond %{HTTPS} off\nRewriteRule (.*) https://x$1", false},
        {"RewriteEngine on\nRewriteRule !^/\\.well-known/ https://x/", true},
        {"RedirectMatch permanent ^/(?!\\.well-known/acme-challenge/)(.*) https://x/$1", true},
        {"RedirectMatch ^/(.*) https://x/$1", false},
        {"Redirect /old https://x/", true},
        {"Redirect 410 /.well-known", false},
        {"ProxyPassMatch ^/api http://x", true},
        {"<Location /.well-known>\nProxyPass !\n</Location>\nProxyPass / http://x/", true},
        {"AliasMatch ^/\\.well-known/(.*) /x/$1", false},
        {"AliasMatch ^/icons/(.*) /x/$1", true},
        {"RewriteEngine off\nRewriteRule ^(.*)$ https://x$1", true},
        {"RewriteEngine on\nRewriteCond %{REQUEST_URI} !acme-challenge\nRewriteRule .* https://x/",
         true},
        {"RewriteEngine on\nRewriteRule .* - [G]", false},
        {"RewriteEngine on\nRewriteRule .* - [END]\nRewriteRule .* https://x/", true},
        {"RewriteEngine on\nRewriteRule .* - [E=a:b]", true},
        {"<Location /.well-known>\nRequire all granted\n</Location>", true},
        {"<Location ~ x>\nProxyPass http://x/\n</Location>", true},
        {"<Location /.well-known/>\nProxyPass http://x/\n</Location>", false},
        {"Redirect permanent / https://x/", false},
        {"Redirect x", true},
        {"Alias /.well-known/ /srv/", true},
        {"Alias /.well-knownother /srv/", true},
        {"<Directory />\nRequire all denied\n</Directory>", false},
        {"<Directory />\nRequire all denied\n</Directory>\n<Directory /d>\nRequire all granted\n"
         "</Directory>",
         true},
        {"<Directory />\nRequire all denied\n</Directory>\n<Directory /d>\nOptions x\n"
         "</Directory>",
         false},
        {"<Directory />\nRequire valid-user\n</Directory>", true},
        {"<Directory /other>\nRequire all denied\n</Directory>", true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1024];
        const struct clm_webroot *w;

        (void)snprintf(text, sizeof(text),
                       "Listen 80\n<VirtualHost *:80>\nServerName a.example\nDocumentRoot /d\n%s\n"
                       "</VirtualHost>\n",
                       cases[i].rules);
        w = scan_check_webroot(scan_text(*state, text), "a.example");
        if ((w->reason[0] == '\0') != cases[i].usable) {
            fail_msg("case %zu: '%s'", i, w->reason);
        }
    }
}

/* As httpd 2.4.71 was seen to behave. */
static void https_sockets_speak_tls_unless_told_otherwise(void **state)
{
    static const struct {
        const char *listen;
        const char *host;
        const char *body;
        bool tls;
    } cases[] = {
        {"Listen 443", "*:443", "SSLCertificateFile /a", true},
        {"Listen 443 http", "*:443", "SSLCertificateFile /a", false},
        {"Listen 443", "*:443", "SSLEngine off\nSSLCertificateFile /a", false},
        {"Listen 443", "*:443", "SSLEngine optional\nSSLCertificateFile /a", false},
        {"Listen 80", "*:80", "SSLCertificateFile /a", false},
        {"Listen 80 https", "*:80", "SSLCertificateFile /a", true},
        {"Listen 80 HTTPS", "*:80", "SSLCertificateFile /a", true},
        {"Listen 80 https", "*:80", "SSLEngine off\nSSLCertificateFile /a", false},
        {"Listen 443", "*:443", "", false},
        {"Listen 443\nSSLEngine off", "*:443", "SSLCertificateFile /a", false},
        {"Listen 443\nSSLCertificateFile /a", "*:443", "", true},
        {"Listen 443", "*", "SSLCertificateFile /a", false},
        {"Listen 443\nListen 80", "*:80 *:443", "SSLCertificateFile /a", false},
        {"Listen 80", "*:80", "SSLEngine on\nSSLCertificateFile /a", true},
    };
    const struct clm_service *s;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1024];

        (void)snprintf(text, sizeof(text),
                       "%s\n<VirtualHost %s>\nServerName a.example\n%s\n</VirtualHost>\n",
                       cases[i].listen, cases[i].host, cases[i].body);
        s = scan_text(*state, text);
        if ((s->n_targets == 1) != cases[i].tls || (s->n_webroots == 0) != cases[i].tls) {
            fail_msg("case %zu: %zu targets, %zu web roots", i, s->n_targets, s->n_webroots);
        }
    }
    s = scan_text(*state, "Listen 443\nServerName m.example\nSSLCertificateFile /a\n");
    assert_int_equal(s->n_targets, 0); /* the main server has no address of its own */
}

static void mod_md_is_left_alone(void **state)
{
    const struct clm_service *s = scan_text(
        *state, "Listen 443\nMDomain a.example\n<VirtualHost *:443>\nServerName a.example\n"
                "SSLEngine on\nSSLCertificateFile /a\n</VirtualHost>");

    assert_false(s->targets[0].manageable);
    assert_true(scan_check_says(&s->targets[0].reasons, "mod_md renews"));
}

static void mod_md_of_other_names_is_nothing_to_it(void **state)
{
    const struct clm_service *s =
        scan_text(*state, "Listen 443\nMDomain b.example c.example\n<MDomainSet d.example>\n"
                          "</MDomainSet>\n<VirtualHost *:443>\nServerName a.example\n"
                          "SSLEngine on\nSSLCertificateFile /a\n</VirtualHost>");

    assert_false(scan_check_says(&s->targets[0].reasons, "mod_md renews"));
}

static void hosts_with_one_pair_are_one_target(void **state)
{
    const struct clm_service *s = scan_text(
        *state, "Listen 443\n<VirtualHost *:443>\nServerName a.example\nSSLEngine on\n"
                "SSLCertificateFile /a\nSSLCertificateKeyFile /k\n</VirtualHost>\n"
                "<VirtualHost *:443>\nServerName b.example\nSSLEngine on\nSSLCertificateFile /a\n"
                "SSLCertificateKeyFile /k\n</VirtualHost>\n<VirtualHost *:443>\nServerName "
                "c.example\nSSLEngine on\nSSLCertificateFile /a\nSSLCertificateKeyFile /k\n"
                "SSLCertificateChainFile /c\n</VirtualHost>\n");

    assert_int_equal(s->n_targets, 1);
    assert_int_equal(s->targets[0].names.dns.n, 3);
    assert_false(s->targets[0].manageable);
    assert_string_equal(s->targets[0].chain_path, "");
}

static void more_web_roots_than_can_be_told_are_left_out(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(262144);
    const struct clm_service *s;

    assert_int_equal(clm_buf_add_str(&text, "Listen 80\n<VirtualHost *:80>\nServerAlias", NULL),
                     CLM_OK);
    for (int i = 0; i < 2010; i++) {
        assert_int_equal(clm_buf_addf(&text, NULL, " n%d.example", i), CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&text, "\n</VirtualHost>\n", NULL), CLM_OK);
    s = scan_text(*state, clm_buf_str(&text));
    assert_int_equal(s->n_webroots, 2000);
    assert_true(scan_check_says(&s->remarks, "web roots beyond 2000 are left out"));
}

/* Where it has its configuration if nobody says so. */
static void the_program_says_where_its_configuration_is(void **state)
{
    static const struct {
        const char *exe;
        const char *cmdline;
        const char *id;
        const char *remark;
    } rows[] = {
        {"/opt/web/bin/httpd", "httpd", "apache@/opt/web/conf/httpd.conf", "could not be read"},
        {"/opt/httpd", "httpd", "apache@/opt/httpd", "has its configuration is not known"},
        {"/opt/httpd", "httpd|-f|/c", "apache@/c", "the version is not known"},
        {"/opt/httpd", "httpd|-f|/c|-c|Listen 81", "apache@/c", "those directives are not read"},
    };
    (void)state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct scan_check host;

        scan_check_init(&host, NULL);
        root_io_text(host.root, rows[i].exe, "");
        root_io_text(host.root, "/c", "Listen 80\n");
        start(&host, rows[i].exe, "httpd", rows[i].cmdline);
        scan_check_run(&host);
        if (!scan_check_says(&scan_check_service(&host, rows[i].id)->remarks, rows[i].remark)) {
            fail_msg("row %zu", i);
        }
        scan_check_done(&host);
    }
}

static void a_server_elsewhere_is_not_read(void **state)
{
    struct scan_check *host = *state;

    root_io_text(host->root, "/proc/900/root/c", "");
    root_io_text(host->root, "/c", "Listen 80\n");
    scan_check_run(host);
    assert_true(scan_check_says(&scan_check_service(host, "apache@/usr/sbin/httpd")->remarks,
                                "runs in a container"));
}

static void a_broken_configuration_is_a_remark(void **state)
{
    const struct clm_service *s = scan_text(*state, "\n<VirtualHost *>\n");

    assert_true(scan_check_says(&s->remarks, "/c:2: <virtualhost> is not closed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(debians_layout_is_read, set_up_debian, tear_down),
        cmocka_unit_test_setup_teardown(key_and_chain_may_lie_elsewhere, set_up_debian, tear_down),
        cmocka_unit_test_setup_teardown(debians_webroots, set_up_debian, tear_down),
        cmocka_unit_test_setup_teardown(red_hats_layout_is_read, set_up_rhel, tear_down),
        cmocka_unit_test_setup_teardown(the_command_line_counts, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(virtual_hosts_compete_by_name_and_order, set_up_bare,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_main_server_is_a_host_too, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(files_of_the_main_server_are_inherited_one_by_one,
                                        set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(unknown_variables_are_a_reason, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(rewriting_is_judged, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(https_sockets_speak_tls_unless_told_otherwise, set_up_bare,
                                        tear_down),
        cmocka_unit_test_setup_teardown(mod_md_is_left_alone, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(mod_md_of_other_names_is_nothing_to_it, set_up_bare,
                                        tear_down),
        cmocka_unit_test_setup_teardown(hosts_with_one_pair_are_one_target, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(more_web_roots_than_can_be_told_are_left_out, set_up_bare,
                                        tear_down),
        cmocka_unit_test(the_program_says_where_its_configuration_is),
        cmocka_unit_test_setup_teardown(a_server_elsewhere_is_not_read, set_up_bare, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_configuration_is_a_remark, set_up_bare, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
