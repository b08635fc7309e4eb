/* SPDX-License-Identifier: Apache-2.0 */
/* nginx started in unusual ways, and blocks out of the ordinary. */
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

#define CONF "/etc/nginx/nginx.conf"

static int set_up(void **state)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, NULL);
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

static void start(struct scan_check *host, const char *cmdline)
{
    host_tree_process(host->root, &(struct host_process){.pid = 812,
                                                         .parent = 1,
                                                         .start = 500,
                                                         .comm = "nginx",
                                                         .exe = "/usr/sbin/nginx",
                                                         .cmdline = cmdline,
                                                         .unit = "nginx.service"});
}

static const struct clm_service *scan_text(struct scan_check *host, const char *text)
{
    root_io_text(host->root, CONF, text);
    scan_check_run(host);
    return scan_check_service(host, "nginx@" CONF);
}

static void what_it_was_built_with_is_asked_or_guessed(void **state)
{
    static const struct {
        int status;
        const char *output;
        const char *version;
        const char *id;
        const char *remark; /* NULL: none */
    } rows[] = {
        {0, "nginx version: nginx/1.2.3 (x)\nconfigure arguments: '--prefix=/opt/n'", "1.2.3",
         "nginx@/opt/n/conf/nginx.conf", NULL},
        {0, "nginx version: nginx/1.2.3\n", "1.2.3", "nginx@/usr/local/nginx/conf/nginx.conf",
         NULL},
        {0, "nginx version: none", "", "nginx@/usr/local/nginx/conf/nginx.conf", NULL},
        {0, "", "", "nginx@/usr/local/nginx/conf/nginx.conf", NULL},
        {1, "nginx version: nginx/1.2.3\n", "", "nginx@" CONF, "'nginx -V' failed"},
    };
    struct scan_check *host = *state;

    start(host, "nginx: master process nginx");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct root_io_program programs[] = {
            {"/usr/sbin/nginx -V", rows[i].status, rows[i].output}, {NULL, 0, NULL}};
        const struct clm_service *s;

        host->io.programs = programs;
        scan_check_run(host);
        s = scan_check_service(host, rows[i].id);
        assert_string_equal(s->version, rows[i].version);
        if (rows[i].remark != NULL && !scan_check_says(&s->remarks, rows[i].remark)) {
            fail_msg("row %zu", i);
        }
    }
}

static void a_relative_prefix_is_that_of_the_directory_it_was_started_in(void **state)
{
    struct scan_check *host = *state;

    start(host, "nginx: master process nginx -p run -c n.conf");
    scan_check_run(host);
    assert_true(scan_check_says(&scan_check_service(host, "nginx@/usr/sbin/nginx")->remarks,
                                "relative prefix 'run'"));
    root_io_link(host->root, "/proc/812/cwd", "/srv");
    root_io_text(host->root, "/srv/run/n.conf", "events {}");
    scan_check_run(host);
    assert_string_equal(scan_check_service(host, "nginx@/srv/run/n.conf")->prefix, "/srv/run");
    root_io_text(host->root, "/proc/812/cmdline", "nginx: master process nginx -p /abs -c n.conf");
    scan_check_run(host);
    assert_string_equal(scan_check_service(host, "nginx@/abs/n.conf")->prefix, "/abs");
}

static void blocks_that_cannot_be_proved_have_a_reason(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } rows[] = {
        {"http { server { listen 443 ssl; server_name a.example; ssl_certificate a; } }",
         "there is no ssl_certificate_key for it"},
        {"http { server { listen 443 ssl proxy_protocol; server_name a.example; ssl_certificate a; "
         "ssl_certificate_key a; } }",
         "expects the PROXY protocol"},
        {"mail { server { listen 25; server_name a.example; starttls on; ssl_certificate a; "
         "ssl_certificate_key a; } }",
         "no handshake is made after STARTTLS"},
        {"http { server { listen 443 ssl; server_name a.example; ssl_certificate engine:x; "
         "ssl_certificate_key a; } }",
         "'engine:x' is no file"},
        {"http { server { listen 443 ssl; server_name a.example; ssl_certificate a; "
         "ssl_certificate_key $k; } }",
         "contains the variable '$k'"},
    };
    struct scan_check *host = *state;

    start(host, "nginx: master process nginx");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct clm_service *s = scan_text(host, rows[i].text);

        assert_int_equal(s->n_targets, 1);
        if (s->targets[0].manageable || !scan_check_says(&s->targets[0].reasons, rows[i].reason)) {
            fail_msg("row %zu", i);
        }
    }
}

/* Every loopback address has a socket of its own: none leads to the one of all addresses. */
static void an_address_that_others_take_cannot_be_asked(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    const struct clm_service *s;

    start(*state, "nginx: master process nginx");
    assert_int_equal(clm_buf_add_str(&text, "http { server { server_name b.example;", NULL),
                     CLM_OK);
    for (int i = 1; i <= 32; i++) {
        assert_int_equal(
            clm_buf_addf(&text, NULL, "listen 127.0.0.%d:443 ssl; listen 127.0.0.%d:80;\n", i, i),
            CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&text,
                                     "} server { listen 443 ssl; listen 80; server_name a.example; "
                                     "ssl_certificate a; ssl_certificate_key a; } }",
                                     NULL),
                     CLM_OK);
    s = scan_text(*state, clm_buf_str(&text));
    assert_int_equal(s->n_targets, 1);
    assert_true(scan_check_says(&s->targets[0].reasons, "no local address leads to 0.0.0.0"));
    assert_non_null(
        strstr(scan_check_webroot(s, "a.example")->reason, "no local address leads to 0.0.0.0"));
    assert_string_equal(scan_check_webroot(s, "b.example")->reason, "");
}

static void more_web_roots_than_can_be_told_are_left_out(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(262144);
    const struct clm_service *s;

    start(*state, "nginx: master process nginx");
    assert_int_equal(clm_buf_add_str(&text, "http { server { listen 80; server_name", NULL),
                     CLM_OK);
    for (int i = 0; i < 2010; i++) {
        assert_int_equal(clm_buf_addf(&text, NULL, " n%d.example", i), CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&text, "; root /srv; } }", NULL), CLM_OK);
    s = scan_text(*state, clm_buf_str(&text));
    assert_int_equal(s->n_webroots, 2000);
    assert_true(scan_check_says(&s->remarks, "web roots beyond 2000 are left out"));
}

static void the_usual_port_is_asked_for_files(void **state)
{
    static const struct {
        const char *servers;
        unsigned port;
    } rows[] = {
        {"server { listen 8080; listen 80; server_name a.example; }", 80},
        {"server { listen 80; listen 8080; server_name a.example; }", 80},
        {"server { listen 8080; server_name a.example; } server { listen 80; server_name x; }",
         8080},
        {"server { listen 80 proxy_protocol; listen 81; server_name a.example; }", 81},
        {"server { listen 443 ssl; server_name a.example; } server { listen 8080; server_name x; } "
         "server { listen 80; server_name y; }",
         80},
    };

    start(*state, "nginx: master process nginx");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char text[512];
        const struct clm_webroot *w;

        (void)snprintf(text, sizeof(text), "http { %s }", rows[i].servers);
        w = scan_check_webroot(scan_text(*state, text), "a.example");
        if (w->port != rows[i].port) {
            fail_msg("row %zu: port %u", i, w->port);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_it_was_built_with_is_asked_or_guessed),
        TEST(a_relative_prefix_is_that_of_the_directory_it_was_started_in),
        TEST(blocks_that_cannot_be_proved_have_a_reason),
        TEST(an_address_that_others_take_cannot_be_asked),
        TEST(more_web_roots_than_can_be_told_are_left_out),
        TEST(the_usual_port_is_asked_for_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
