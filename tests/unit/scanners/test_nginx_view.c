/* SPDX-License-Identifier: Apache-2.0 */
/* What nginx makes of listen and server_name: which block answers on which socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/formats/nginx_conf.h"
#include "scanners/nginx_view.h"
#include "tests/support/root_io.h"
#include "tests/support/torture.h"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_conf_tree tree;
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

static void load(struct fixture *f, const char *text)
{
    struct clm_err err = {0};

    clm_conf_tree_done(&f->tree);
    root_io_text(f->root, "/c", text);
    if (clm_nginx_conf_load(&f->io.io, "/c", &f->tree, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static void add(struct clm_buf *out, const char *text)
{
    assert_int_equal(clm_buf_add_str(out, text, NULL), CLM_OK);
}

/* "KIND name name 0 1;" for each server, then "[addr:port options default]" for each socket. */
static void print(const struct clm_nginx_view *view, const struct clm_strs *remarks,
                  struct clm_buf *out)
{
    static const char *const kinds[] = {"http", "stream", "mail"};

    for (size_t i = 0; i < view->n_servers; i++) {
        const struct clm_nginx_server *server = &view->servers[i];

        add(out, kinds[server->kind]);
        add(out, server->starttls ? " starttls" : "");
        for (size_t k = 0; k < server->names.n; k++) {
            assert_int_equal(clm_buf_addf(out, NULL, " %s", server->names.v[k]), CLM_OK);
        }
        for (size_t k = 0; k < server->n_sockets; k++) {
            assert_int_equal(clm_buf_addf(out, NULL, " %zu", server->sockets[k]), CLM_OK);
        }
        add(out, ";");
    }
    for (size_t i = 0; i < view->n_sockets; i++) {
        const struct clm_nginx_socket *socket = &view->sockets[i];

        assert_int_equal(clm_buf_addf(out, NULL, "[%s:%u%s%s %zu]", socket->addr, socket->port,
                                      socket->tls ? " tls" : "",
                                      socket->proxy_protocol ? " proxy" : "",
                                      socket->default_server),
                         CLM_OK);
    }
    for (size_t i = 0; i < remarks->n; i++) {
        assert_int_equal(clm_buf_addf(out, NULL, "! %s", remarks->v[i]), CLM_OK);
    }
}

struct view_case {
    const char *text;
    const char *want;
};

static void check(struct fixture *f, const struct view_case *item)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1 << 20);
    CLM_CLEANUP(clm_nginx_view_done) struct clm_nginx_view view = {.sockets = NULL};
    CLM_CLEANUP(clm_strs_done) struct clm_strs remarks = {NULL, 0};

    load(f, item->text);
    assert_int_equal(clm_nginx_view_make(&f->tree, &view, &remarks, NULL), CLM_OK);
    print(&view, &remarks, &out);
    if (strcmp(clm_buf_str(&out), item->want) != 0) {
        fail_msg("of\n%s\nthis was made:\n%s\nnot\n%s", item->text, clm_buf_str(&out), item->want);
    }
}

static void servers_and_sockets_are_those_of_nginx(void **state)
{
    static const struct view_case cases[] = {
        {"events {}", ""},
        {"http { server { } }", "http 0;[0.0.0.0:80 0]"},
        {"http { ssl on; server { } }", "http 0;[0.0.0.0:80 tls 0]"},
        {"http { ssl off; server { listen 443; } }", "http 0;[0.0.0.0:443 0]"},
        {"stream { server { } }", "stream;"},
        {"stream { server { listen 1 udp; listen 2; } }", "stream 0;[0.0.0.0:2 0]"},
        {"http { server { listen 443 quic ssl; } }", "http;"},
        {"http { server { listen unix:/x ssl; } }", "http;"},
        {"http { server 10.0.0.1; server { listen *; } }", "http 0;[0.0.0.0:80 0]"},
        {"http { server { listen [::1]; listen [::]:443 ssl; listen 10.0.0.1; "
         "listen 10.0.0.1:443 proxy_protocol ssl http2; } }",
         "http 0 1 2 3;[::1:80 0][:::443 tls 0][10.0.0.1:80 0][10.0.0.1:443 tls proxy 0]"},
        /* the options of all blocks are joined, the first default_server wins */
        {"http { server { listen 443 ssl ssl proxy_protocol proxy_protocol; } "
         "server { listen 443 default_server default; } server { listen 443 default; } "
         "server { listen 0.0.0.0:443 proxy_protocol quic udp quic; } }",
         "http 0;http 0;http 0;http;[0.0.0.0:443 tls proxy 1]"},
        {"http { server { listen 1 ssl proxy_protocol; } server { listen 1 ssl proxy_protocol; "
         "listen 1.1.1.1:1; } }",
         "http 0;http 0 1;[0.0.0.0:1 tls proxy 0][1.1.1.1:1 1]"},
        {"http { server { server_name A.Example .b.example ~^(C)$ _; server_name a.example D; } }",
         "http a.example b.example *.b.example ~^(C)$ _ d 0;[0.0.0.0:80 0]"},
        {"mail { starttls on; server { listen 25; } server { listen 26; starttls off; } }",
         "mail starttls 0;mail 1;[0.0.0.0:25 0][0.0.0.0:26 1]"},
        {"mail { server { listen 25; starttls only; } server { listen 25; } } "
         "stream { server { listen 3; starttls on; } }",
         "stream 0;mail starttls 1;mail 1;[0.0.0.0:3 0][0.0.0.0:25 1]"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        check(f, &cases[i]);
    }
}

static void what_is_left_out_is_said(void **state)
{
    static const struct {
        const char *listen;
        const char *why;
    } cases[] = {
        {"8000-8010", "ranges of ports are not followed"},
        {"10.0.0.1:8000-8010", "ranges of ports are not followed"},
        {"[::1]:8000-8010", "ranges of ports are not followed"},
        {"10.0.0.1:x", "the port cannot be understood"},
        {"10.0.0.1:", "the port cannot be understood"},
        {"0", "the port is out of range"},
        {"65536", "the port is out of range"},
        {"[::1", "the address is not closed by ']'"},
        {"[10.0.0.1]:80", "the address is a name, which is not looked up"},
        {"my-host", "the address is a name, which is not looked up"},
        {"www.example:443", "the address is a name, which is not looked up"},
        {"\"\"", "the address is a name, which is not looked up"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char text[256];
        char want[256];

        (void)snprintf(text, sizeof(text), "http { server {\nlisten %s; } }", cases[i].listen);
        (void)snprintf(want, sizeof(want), "http;! /c:2: 'listen %s' is left out: %s",
                       cases[i].listen[0] == '"' ? "" : cases[i].listen, cases[i].why);
        check(f, &(struct view_case){text, want});
    }
}

static void a_name_no_host_can_have_is_passed_over(void **state)
{
    struct fixture *f = *state;
    char name[512];
    char text[2048];

    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(text, sizeof(text), "http { server { server_name %s b; } }", name);
    check(f, &(struct view_case){text, "http b 0;[0.0.0.0:80 0]"});
}

static void names_are_answered_by_the_first_block_that_has_them(void **state)
{
    static const struct {
        const char *host;
        size_t socket;
        size_t want;
    } cases[] = {
        {"a.example", 0, 0},     {"b.example", 0, 1}, {"x.c.example", 0, 1},
        {"y.x.c.example", 0, 1}, {"c.example", 0, 2}, {"", 0, 2},
        {"z.example", 0, 2},     {"a.example", 1, 1}, {"y.a.example", 1, 1},
    };
    CLM_CLEANUP(clm_nginx_view_done) struct clm_nginx_view view = {.sockets = NULL};
    struct fixture *f = *state;

    load(f, "http { server { listen 1; server_name a.example; } server { listen 1; listen 2; "
            "server_name a.example b.example *.c.example; } server { listen 1 default; } }");
    assert_int_equal(clm_nginx_view_make(&f->tree, &view, NULL, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        size_t got = clm_nginx_answers(&view, cases[i].socket, cases[i].host);

        if (got != cases[i].want) {
            fail_msg("case %zu '%s': block %zu", i, cases[i].host, got);
        }
    }
    assert_true(clm_nginx_owner(&view, 0, "y.c.example") == SIZE_MAX);
    assert_true(clm_nginx_owner(&view, 1, "~") == SIZE_MAX);
}

static enum clm_code make_and_forget(void *arg, struct clm_err *err)
{
    struct fixture *f = arg;
    CLM_CLEANUP(clm_nginx_view_done) struct clm_nginx_view view = {.sockets = NULL};
    CLM_CLEANUP(clm_strs_done) struct clm_strs remarks = {NULL, 0};

    return clm_nginx_view_make(&f->tree, &view, &remarks, err);
}

static void lack_of_memory_is_told_at_every_allocation(void **state)
{
    struct fixture *f = *state;

    load(f, "http { server { server_name a .b; server_name c; listen x; listen 1; listen 2; } "
            "server { listen y; server_name d; } server { } } stream { server { listen 3; } }");
    assert_true(clm_torture(make_and_forget, f) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(servers_and_sockets_are_those_of_nginx, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_out_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_no_host_can_have_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_answered_by_the_first_block_that_has_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lack_of_memory_is_told_at_every_allocation, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
