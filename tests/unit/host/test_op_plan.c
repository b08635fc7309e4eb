/* SPDX-License-Identifier: Apache-2.0 */
/* A dry run: what it refuses, what it shows of a test that says a lot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/host/deploy_world.h"

#define LIVE "/etc/letsencrypt/live/www.example.com/"

static void plan(struct deploy_world *w, struct clm_json **out_reply)
{
    if (deploy_world_ask(w, CLM_OP_LOCAL_PLAN, "{'target':'" SITE "','check':true}", out_reply) !=
        CLM_OK) {
        fail_msg("%s", w->host->err.msg);
    }
}

/* Twenty lines at most, none longer than 500 bytes, nothing that moves a cursor. */
static void the_output_of_a_test_is_cut(void **state)
{
    struct deploy_world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf said = CLM_BUF_INIT(65536);
    struct clm_json *reply = NULL;
    const struct clm_json *lines;

    for (int i = 0; i < 600; i++) {
        assert_int_equal(clm_buf_add_str(&said, "x", NULL), CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&said, "\n\n\x1b[2J\tred\x7f\n", NULL), CLM_OK);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(clm_buf_add_str(&said, "more\n", NULL), CLM_OK);
    }
    w->server.run_output = clm_buf_str(&said);
    plan(w, &reply);
    lines = clm_json_get(clm_json_first(clm_json_get(reply, "tests")), "output");
    assert_int_equal(clm_json_len(lines), 20);
    assert_int_equal(strlen(clm_json_text(clm_json_first(lines))), 500);
    assert_string_equal(clm_json_text(clm_json_next(clm_json_first(lines))), " [2J red ");
    clm_json_free(reply);
    w->server.run_output = "one line without an end";
    plan(w, &reply);
    lines = clm_json_get(clm_json_first(clm_json_get(reply, "tests")), "output");
    assert_string_equal(clm_json_text(clm_json_first(lines)), "one line without an end");
    clm_json_free(reply);
}

static void a_test_that_cannot_be_run_is_an_error(void **state)
{
    struct deploy_world *w = *state;

    w->server.run_error = CLM_E_TIMEOUT;
    assert_int_equal(
        deploy_world_ask(w, CLM_OP_LOCAL_PLAN, "{'target':'" SITE "','check':true}", NULL),
        CLM_E_TIMEOUT);
    assert_true(w->host->fail.retryable);
}

static void set_conf(struct deploy_world *w, const char *cert, const char *key)
{
    char conf[2 * PATH_MAX];

    (void)snprintf(conf, sizeof(conf),
                   "events {}\nhttp { server { listen 443 ssl; server_name www.example.com;\n"
                   "ssl_certificate %s; ssl_certificate_key %s; } }\n",
                   cert, key);
    root_io_text(w->host->tree, "/etc/nginx/nginx.conf", conf);
}

static void files_of_another_manager_are_taken_over_only_if_root_says_so(void **state)
{
    struct deploy_world *w = *state;
    const char *tree = w->host->tree;
    struct clm_json *reply = NULL;

    root_io_text(tree, LIVE "fullchain.pem", clm_buf_str(&w->old_leaf.full_pem));
    root_io_text(tree, LIVE "privkey.pem", clm_buf_str(&w->old_leaf.key_pem));
    root_io_text(tree, "/etc/letsencrypt/renewal/www.example.com.conf",
                 "cert = " LIVE "cert.pem\n");
    set_conf(w, LIVE "fullchain.pem", LIVE "privkey.pem");
    deploy_world_refused(w, CLM_OP_LOCAL_PLAN, "{'target':'" SITE "'}", "E_POLICY",
                         "policy.take_over: the files of '" SITE "' belong to certbot");
    assert_int_equal(clm_strs_add(&w->host->config.policy.take_over, "certbot", NULL), CLM_OK);
    plan(w, &reply);
    clm_json_free(reply);
}

static void what_cannot_be_managed_says_why(void **state)
{
    struct deploy_world *w = *state;

    set_conf(w, "/etc/nginx/$ssl_server_name.pem", "/etc/nginx/$ssl_server_name.key");
    deploy_world_refused(w, CLM_OP_LOCAL_PLAN, "{'target':'" SITE "'}", "E_STATE",
                         "target '" SITE "': ");
}

/* Explained, not planned: what is not there is said of each file. */
static void explain_says_of_files_what_is_wrong(void **state)
{
    struct deploy_world *w = *state;
    struct clm_json *reply = NULL;
    const struct clm_json *file;
    char both[PATH_MAX + 16];

    set_conf(w, "relative.pem", "/proc/self/root/none/x");
    assert_int_equal(deploy_world_ask(w, CLM_OP_EXPLAIN, "{'target':'" SITE "'}", &reply), CLM_OK);
    file = clm_json_next(clm_json_first(clm_json_get(reply, "files")));
    assert_string_equal(clm_json_text(clm_json_get(file, "problem")), "is not there");
    clm_json_free(reply);
    (void)snprintf(both, sizeof(both), "%s/www.pem", w->dir); /* one file holds both */
    set_conf(w, both, both);
    assert_int_equal(deploy_world_ask(w, CLM_OP_EXPLAIN, "{'target':'" SITE "'}", &reply), CLM_OK);
    assert_int_equal(clm_json_len(clm_json_get(reply, "files")), 1);
    clm_json_free(reply);
    (void)snprintf(both, sizeof(both), "%s/www.pem/below", w->dir);
    set_conf(w, both, both);
    assert_int_equal(deploy_world_ask(w, CLM_OP_EXPLAIN, "{'target':'" SITE "'}", &reply), CLM_OK);
    file = clm_json_first(clm_json_get(reply, "files"));
    assert_string_equal(clm_json_text(clm_json_get(file, "problem")), "cannot be reached");
    clm_json_free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, deploy_world_setup, deploy_world_teardown)
        IN_WORLD(the_output_of_a_test_is_cut),
        IN_WORLD(a_test_that_cannot_be_run_is_an_error),
        IN_WORLD(files_of_another_manager_are_taken_over_only_if_root_says_so),
        IN_WORLD(what_cannot_be_managed_says_why),
        IN_WORLD(explain_says_of_files_what_is_wrong),
    };

    return cmocka_run_group_tests_name("host_op_plan", tests, NULL, NULL);
}
