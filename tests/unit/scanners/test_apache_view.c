/* SPDX-License-Identifier: Apache-2.0 */
/* What httpd makes of Listen and <VirtualHost>: who answers where, and under which names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/formats/apache_conf.h"
#include "scanners/apache_view.h"
#include "tests/support/root_io.h"
#include "tests/support/torture.h"

/* ":443 SITE" is one virtual host. */
#define VHOST(where, inside) "<VirtualHost " where ">\n" inside "\n</VirtualHost>\n"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_conf_tree tree;
    struct clm_service service;
    const struct clm_listener *bound; /* ends with port 0; NULL: unknown */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    root_io_temp(f->root);
    root_io_init(&f->io, f->root);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    clm_conf_tree_done(&f->tree);
    root_io_remove(f->root);
    free(f);
    return 0;
}

static void load(struct fixture *f, const char *text, const struct clm_listener *bound)
{
    const struct clm_apache_source source = {.path = "/c", .server_root = "/", .version = "2.4.57"};
    char root[PATH_MAX];
    struct clm_err err = {0};

    clm_conf_tree_done(&f->tree);
    root_io_text(f->root, "/c", text);
    if (clm_apache_conf_load(&f->io.io, &source, &f->tree, root, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    f->bound = bound;
}

static enum clm_code make(struct fixture *f, struct clm_apache_view *view, struct clm_err *err)
{
    struct clm_listener copy[8];
    size_t n = 0;

    for (; f->bound != NULL && f->bound[n].port != 0; n++) {
        copy[n] = f->bound[n];
    }
    f->service.listeners = copy;
    f->service.n_listeners = n;
    *view = (struct clm_apache_view){.tree = &f->tree};
    enum clm_code code = clm_apache_view_make(view, &f->service, err);
    f->service.listeners = NULL;
    return code;
}

/* One line for each virtual host: "name name tls host:port>connect", then the remarks. */
static void print(const struct clm_apache_view *view, const struct clm_strs *remarks,
                  struct clm_buf *out)
{
    for (size_t i = 0; i < view->n_vhosts; i++) {
        const struct clm_apache_vhost *vhost = &view->vhosts[i];

        for (size_t k = 0; k < vhost->names.n; k++) {
            assert_int_equal(clm_buf_addf(out, NULL, "%s ", vhost->names.v[k]), CLM_OK);
        }
        assert_int_equal(clm_buf_add_str(out, vhost->tls ? "tls" : "plain", NULL), CLM_OK);
        for (size_t k = 0; k < vhost->n_addrs && k < 4; k++) {
            const struct clm_apache_addr *addr = &vhost->addrs[k];

            assert_int_equal(
                clm_buf_addf(out, NULL, " %s:%u>%s", addr->host, addr->port, addr->connect),
                CLM_OK);
        }
        assert_int_equal(clm_buf_add_str(out, "\n", NULL), CLM_OK);
    }
    for (size_t i = 0; i < remarks->n; i++) {
        assert_int_equal(clm_buf_addf(out, NULL, "! %s\n", remarks->v[i]), CLM_OK);
    }
}

static void check(struct fixture *f, const char *want, const char *text)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1 << 20);
    CLM_CLEANUP(clm_apache_view_done) struct clm_apache_view view = {.tree = NULL};

    assert_int_equal(make(f, &view, NULL), CLM_OK);
    print(&view, &f->service.remarks, &out);
    clm_strs_done(&f->service.remarks);
    if (strcmp(clm_buf_str(&out), want) != 0) {
        fail_msg("of\n%s\nthis was made:\n%s\nnot\n%s", text, clm_buf_str(&out), want);
    }
}

static const struct clm_listener both[] = {{.addr = "0.0.0.0", .port = 443},
                                           {.addr = "::", .port = 80},
                                           {.addr = "10.0.0.1", .port = 8443},
                                           {.port = 0}};

static void hosts_answer_where_httpd_lets_them(void **state)
{
    static const struct {
        const char *text;
        const char *want;
        const struct clm_listener *bound;
    } cases[] = {
        {"Listen 80", "plain *:80>::1\n", both},
        {"Listen 80", "plain *:80>127.0.0.1\n", NULL}, /* what is bound is not known */
        {"Listen 10.0.0.1:8443 https\n" VHOST("*:8443", "SSLCertificateFile /c"),
         "tls *:8443>10.0.0.1\nplain\n", both},
        {"Listen 10.0.0.1:8443 HTTP\n" VHOST("10.0.0.1:8443", "SSLCertificateFile /c"),
         "plain 10.0.0.1:8443>10.0.0.1\nplain *:8443>10.0.0.1\n", NULL},
        {"Listen 443\n" VHOST("10.0.0.1:443", ""),
         "plain 10.0.0.1:443>10.0.0.1\nplain "
         "*:443>127.0.0.1\n",
         both},
        {"Listen 10.0.0.1:8443\n" VHOST("10.0.0.2:8443", ""), "plain\nplain *:8443>10.0.0.1\n",
         both},
        {"Listen 443\nListen 80\n" VHOST("_Default_", ""),
         "plain *:443>127.0.0.1 *:80>::1\nplain\n", both},
        /* the port of the first address decides, if httpd listens there */
        {"Listen 443\n" VHOST("_default_ *:81 *:443", "SSLCertificateFile /c"),
         "tls *:443>127.0.0.1\nplain\n", both},
        {"Listen 443\n" VHOST("*:81", "SSLCertificateFile /c"), "plain\nplain *:443>127.0.0.1\n",
         both},
        {"Listen 443\nSSLEngine on\n" VHOST("*", "SSLEngine optional"),
         "plain *:443>127.0.0.1\ntls\n", both},
        /* the same address again, and two on one port */
        {"Listen 443\n" VHOST("10.0.0.1 10.0.0.2:443 10.0.0.1:443", ""),
         "plain 10.0.0.1:443>10.0.0.1 10.0.0.2:443>10.0.0.2\nplain *:443>127.0.0.1\n", both},
        /* an address with a host of its own is not the way to "*" */
        {"Listen 80\n" VHOST("[::1]", ""), "plain ::1:80>::1\nplain *:80>127.0.0.1\n", both},
        {"Listen 80\n" VHOST("127.0.0.1:80", "") VHOST("*:80", "") VHOST("*:80", ""),
         "plain 127.0.0.1:80>127.0.0.1\nplain *:80>127.0.0.2\nplain *:80>127.0.0.2\nplain\n", NULL},
        {"Listen 80\nListen 443\n" VHOST("127.0.0.1:443", ""),
         "plain 127.0.0.1:443>127.0.0.1\nplain *:80>::1 *:443>127.0.0.2\n", both},
        {"ServerName HTTPS://A.example:443/x\n", "a.example plain\n", NULL},
        {"Listen 80\n" VHOST("*", "ServerName :80\nServerAlias B.example *.c.example\nServerAlias "
                                  "b.example d.example"),
         "b.example *.c.example d.example plain *:80>::1\nplain\n", both},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        load(f, cases[i].text, cases[i].bound);
        check(f, cases[i].want, cases[i].text);
    }
}

static void what_is_left_out_is_said(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"Listen www.example:80", "'Listen www.example:80' is left out: names are not looked up"},
        {"Listen", "'Listen ' is left out: names are not looked up"},
        {"Listen 10.0.0.1", "'Listen 10.0.0.1' is left out: names are not looked up"},
        {"Listen [::1", "'Listen [::1' is left out: names are not looked up"},
        {"Listen [::1]", "'Listen [::1]' is left out: names are not looked up"},
        {"Listen [10.0.0.1]:80", "'Listen [10.0.0.1]:80' is left out: names are not looked up"},
        {"Listen 70000", "'Listen 70000' is left out: names are not looked up"},
        {"Listen 10.0.0.1:x", "'Listen 10.0.0.1:x' is left out: names are not looked up"},
        {"Listen 10.0.0.9:443",
         "httpd does not listen on port 443 yet: it was not restarted since"},
        {"Listen 81", "httpd does not listen on port 81 yet: it was not restarted since"},
        {"Listen 8443", "httpd does not listen on port 8443 yet: it was not restarted since"},
        {"<VirtualHost www.example:443>\n</VirtualHost>",
         "address 'www.example:443' is left out: names are not looked up"},
        {"<VirtualHost [::1:443>\n</VirtualHost>",
         "address '[::1:443' is left out: names are not looked up"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char want[256];
        bool is_vhost = cases[i].text[0] == '<';

        (void)snprintf(want, sizeof(want), "%splain\n! /c:1: %s\n", is_vhost ? "plain\n" : "",
                       cases[i].want);
        load(f, cases[i].text, both);
        check(f, want, cases[i].text);
    }
}

static void hosts_on_any_address_need_a_loopback_address_of_their_own(void **state)
{
    static const struct clm_listener v4[] = {{.addr = "0.0.0.0", .port = 443}, {.port = 0}};
    static const struct clm_listener v6[] = {{.addr = "::", .port = 443}, {.port = 0}};
    static const char *const wants[] = {"plain\n", "plain\n"};
    struct fixture *f = *state;
    char text[2048] = "Listen 443\n<VirtualHost [::1]:443";

    for (int i = 1; i <= 32; i++) {
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " 127.0.0.%d:443", i);
    }
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), ">\n</VirtualHost>\n%s",
                   VHOST("*:443", "ServerName a.example"));
    for (size_t i = 0; i < CLM_ARRAY_LEN(wants); i++) {
        CLM_CLEANUP(clm_apache_view_done) struct clm_apache_view view = {.tree = NULL};

        load(f, text, i == 0 ? v4 : v6);
        assert_int_equal(make(f, &view, NULL), CLM_OK);
        assert_int_equal(view.n_vhosts, 3);
        assert_int_equal(view.vhosts[0].n_addrs, 33);
        assert_string_equal(view.vhosts[1].names.v[0], "a.example");
        assert_int_equal(view.vhosts[1].n_addrs, 0);
        assert_int_equal(view.vhosts[2].n_addrs, 0);
    }
}

static void a_host_with_very_many_addresses_keeps_the_first(void **state)
{
    CLM_CLEANUP(clm_apache_view_done) struct clm_apache_view view = {.tree = NULL};
    struct fixture *f = *state;
    char text[4096] = "";

    for (int i = 0; i < CLM_APACHE_ADDRS_MAX + 3; i++) {
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "Listen %d\n", 1000 + i);
    }
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", VHOST("*", ""));
    load(f, text, NULL);
    assert_int_equal(make(f, &view, NULL), CLM_OK);
    assert_int_equal(view.vhosts[0].n_addrs, CLM_APACHE_ADDRS_MAX);
    assert_int_equal(view.vhosts[0].addrs[CLM_APACHE_ADDRS_MAX - 1].port,
                     1000 + CLM_APACHE_ADDRS_MAX - 1);
}

static enum clm_code make_and_forget(void *arg, struct clm_err *err)
{
    struct fixture *f = arg;
    CLM_CLEANUP(clm_apache_view_done) struct clm_apache_view view = {.tree = NULL};
    enum clm_code code = make(f, &view, err);

    clm_strs_done(&f->service.remarks);
    return code;
}

static void lack_of_memory_is_told_at_every_allocation(void **state)
{
    struct fixture *f = *state;

    load(f,
         "Listen x:1\nListen 81\nListen 443\nListen 80\n" VHOST("10.0.0.1 10.0.0.2 10.0.0.3", "")
             VHOST("y *:443 10.0.0.4:80", "ServerName a\nServerAlias b c\nServerAlias d")
                 VHOST("10.0.0.5", "ServerAlias e"),
         both);
    assert_true(clm_torture(make_and_forget, f) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hosts_answer_where_httpd_lets_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_out_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hosts_on_any_address_need_a_loopback_address_of_their_own,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_host_with_very_many_addresses_keeps_the_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lack_of_memory_is_told_at_every_allocation, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
