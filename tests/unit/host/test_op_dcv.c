/* SPDX-License-Identifier: Apache-2.0 */
/* Which job may place which validation file where, and what it is told if it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "tests/unit/host/deploy_world.h"

#define ORDER_ID "ord_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define TOKEN    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define PATH     "/.well-known/acme-challenge/" TOKEN
#define ORDER                                                                                      \
    "{\"certificate_id\":\"" CRT "\",\"sans\":{\"dns\":[\"www.example.com\"]},"                    \
    "\"key\":{\"type\":\"ec-p256\"},\"dcv\":{\"method\":\"http-01\""
#define DECLARED ORDER ",\"webroot_ref\":\"shop\"}}"
#define FOUND    ORDER "}}"
#define GET      "{\"order_id\":\"" ORDER_ID "\""

/* Root has declared the directory of the certificate as web root "shop". */
static int setup(void **state)
{
    struct deploy_world *w = deploy_world_new();
    struct clm_policy *policy = &w->host->config.policy;

    policy->webroots = calloc(1, sizeof(*policy->webroots));
    assert_non_null(policy->webroots);
    policy->n_webroots = 1;
    (void)snprintf(policy->webroots[0].name, sizeof(policy->webroots[0].name), "shop");
    (void)snprintf(policy->webroots[0].path, sizeof(policy->webroots[0].path), "%s", w->dir);
    *state = w;
    return 0;
}

/* The file of a new job; member of the request is value, or missing. */
static enum clm_code put(struct deploy_world *w, const char *type, const char *spec,
                         const char *member, const char *value, struct clm_json **out_reply)
{
    struct clm_json *body = clm_json_new_object();
    char job_id[CLM_ID_SIZE];

    host_world_accept(w->host, type, SITE, ++w->seq, spec, job_id);
    clm_json_set_str(body, "job_id", job_id);
    clm_json_set_str(body, "order_id", ORDER_ID);
    clm_json_set_str(body, "domain", "www.example.com");
    clm_json_set_str(body, "path", PATH);
    clm_json_set_str(body, "content", TOKEN ".x");
    if (member != NULL) {
        clm_json_remove(body, member);
    }
    if (value != NULL) {
        clm_json_set_str(body, member, value);
    }
    return host_world_ask(w->host, CLM_OP_DCV_PUT, body, out_reply);
}

static bool is_placed(const struct deploy_world *w)
{
    char path[PATH_MAX + 128];

    (void)snprintf(path, sizeof(path), "%s%s", w->dir, PATH);
    return clm_fs_exists(path) == 1;
}

static void an_order_and_a_job_for_it_place_files(void **state)
{
    static const char *const jobs[][2] = {{"order", DECLARED},
                                          {"get_dcv", GET ",\"webroot_ref\":\"shop\"}"}};
    struct deploy_world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(jobs); i++) {
        struct clm_json *reply = NULL;
        int64_t removed = 0;

        if (put(w, jobs[i][0], jobs[i][1], NULL, NULL, &reply) != CLM_OK) {
            fail_msg("%s: %s", jobs[i][0], w->host->err.msg);
        }
        assert_string_equal(deploy_world_text(reply, "check", "addr"), "127.0.0.1");
        clm_json_free(reply);
        assert_true(is_placed(w));
        assert_int_equal(
            deploy_world_ask(w, CLM_OP_DCV_REMOVE, "{'order_id':'" ORDER_ID "'}", &reply), CLM_OK);
        assert_int_equal(clm_json_int(reply, "removed", 0, 9, &removed, NULL), CLM_OK);
        assert_int_equal(removed, 1);
        clm_json_free(reply);
        assert_false(is_placed(w));
    }
}

static void what_is_not_allowed_is_refused_with_its_reason(void **state)
{
    static const struct {
        const char *type;
        const char *spec;
        const char *member; /* of the request, NULL: none is changed */
        const char *value;  /* NULL: it is missing */
        const char *problem;
        const char *says;
    } rows[] = {
        {"order", DECLARED, "job_id", NULL, "E_INTERNAL", "job_id"},
        {"order", DECLARED, "order_id", NULL, "E_PATH", "order_id"},
        {"order", DECLARED, "domain", NULL, "E_PATH", "domain"},
        {"order", DECLARED, "path", NULL, "E_PATH", "path"},
        {"order", DECLARED, "content", NULL, "E_PATH", "content"},
        {"order", DECLARED, "path", "/index.html", "E_PATH", "validation path '/index.html'"},
        {"order", DECLARED, "order_id", "ord_x", "E_PATH", "order id 'ord_x' is malformed"},
        {"order", DECLARED, "domain", "a b", "E_NAME_POLICY", "'a b'"},
        {"order", DECLARED, "domain", "www.other.test", "E_NAME_POLICY", "'www.other.test'"},
        {"order", DECLARED, "domain", "api.example.com", "E_NAME_POLICY",
         "'api.example.com' is not among the names of the order"},
        {"scan", "{}", NULL, NULL, "E_STATE", "places no validation files"},
        {"get_dcv", GET ",\"webroot_ref\":\"none\"}", NULL, NULL, "E_POLICY",
         "web root 'none' is not declared; add it to policy.webroots"},
        {"order", FOUND, NULL, NULL, "E_STATE",
         "no running server here answers for 'www.example.com' over plain HTTP"},
        {"get_dcv", GET "}", NULL, NULL, "E_STATE", "no running server here answers"},
    };
    struct deploy_world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        if (put(w, rows[i].type, rows[i].spec, rows[i].member, rows[i].value, NULL) == CLM_OK) {
            fail_msg("row %zu: placed", i);
        }
        if (strcmp(w->host->fail.problem, rows[i].problem) != 0 ||
            strstr(w->host->err.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: %s '%s'", i, w->host->fail.problem, w->host->err.msg);
        }
        assert_false(is_placed(w));
    }
}

static void root_can_forbid_found_web_roots(void **state)
{
    struct deploy_world *w = *state;

    w->host->config.policy.webroot_from_scan = false;
    assert_int_not_equal(put(w, "order", FOUND, NULL, NULL, NULL), CLM_OK);
    assert_string_equal(w->host->fail.problem, "E_POLICY");
    assert_non_null(strstr(w->host->err.msg, "policy.webroot_from_scan is off"));
    assert_non_null(strstr(w->host->fail.hint, "declare a web root"));
}

static void a_web_root_can_be_too_deep_or_missing(void **state)
{
    struct deploy_world *w = *state;
    char *path = w->host->config.policy.webroots[0].path;

    (void)snprintf(path, PATH_MAX, "%.4000s/none", w->dir);
    assert_int_not_equal(put(w, "order", DECLARED, NULL, NULL, NULL), CLM_OK);
    assert_string_equal(w->host->fail.problem, "E_PATH");
    assert_non_null(strstr(w->host->err.msg, "validation file for 'www.example.com': web root: "));
    memset(path, 'a', PATH_MAX - 1);
    path[0] = '/';
    path[PATH_MAX - 1] = '\0';
    assert_int_not_equal(put(w, "order", DECLARED, NULL, NULL, NULL), CLM_OK);
    assert_string_equal(w->host->fail.problem, "E_LIMIT");
}

static void removal_needs_an_order(void **state)
{
    struct deploy_world *w = *state;

    deploy_world_refused(w, CLM_OP_DCV_REMOVE, "{}", "E_INTERNAL", "order_id");
    deploy_world_refused(w, CLM_OP_DCV_REMOVE, "{'order_id':'../x'}", "E_INTERNAL",
                         "order id '../x' is malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, deploy_world_teardown)
        IN_WORLD(an_order_and_a_job_for_it_place_files),
        IN_WORLD(what_is_not_allowed_is_refused_with_its_reason),
        IN_WORLD(root_can_forbid_found_web_roots),
        IN_WORLD(a_web_root_can_be_too_deep_or_missing),
        IN_WORLD(removal_needs_an_order),
    };

    return cmocka_run_group_tests_name("host_op_dcv", tests, NULL, NULL);
}
