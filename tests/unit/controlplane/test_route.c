/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/route.h"

static void patterns_match_whole_paths(void **state)
{
    static const struct {
        const char *pattern;
        const char *path;
        const char *param; /* NULL: no match */
    } rows[] = {
        {"/a", "/a", ""},
        {"/a", "/a/", NULL},
        {"/a", "/ab", NULL},
        {"/j/{id}", "/j/x", "x"},
        {"/j/{id}", "/j/", NULL},
        {"/j/{id}", "/j/x/", NULL},
        {"/j/{id}", "/j/x/y", NULL},
        {"/j/{id}/lease", "/j/x/lease", "x"},
        {"/j/{id}/lease", "/j/x/leas", NULL},
        {"/j/{id}/lease", "/j/x/leases", NULL},
        {"/j/{id}/lease", "/j//lease", NULL},
        {"/o/{id}/dcv/ready", "/o/x/dcv/ready", "x"},
        {"/f/{id}/{page}", "/f/x/12", "x/12"},
        {"/f/{id}/{page}", "/f/x", NULL},
        {"/f/{id}/{page}", "/f/x/", NULL},
        {"/f/{id}/{page}", "/f//1", NULL},
        {"/f/{id}/{page}", "/f/x/1/2", NULL},
        {"/{id}", "/", NULL},
        {"/{id}", "/x", "x"},
    };
    char param[CLM_CP_PARAM_SIZE];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        bool matches = clm_cp_route_match(rows[i].pattern, rows[i].path, param);

        if (matches != (rows[i].param != NULL) || (matches && strcmp(param, rows[i].param) != 0)) {
            fail_msg("row %zu: '%s' on '%s'", i, rows[i].pattern, rows[i].path);
        }
    }
}

static void a_parameter_that_is_too_long_does_not_match(void **state)
{
    char path[CLM_CP_PARAM_SIZE + 8] = "/j/";
    char param[CLM_CP_PARAM_SIZE];

    (void)state;
    memset(path + 3, 'x', CLM_CP_PARAM_SIZE - 1);
    assert_true(clm_cp_route_match("/j/{id}", path, param));
    path[3 + CLM_CP_PARAM_SIZE - 1] = 'x';
    assert_false(clm_cp_route_match("/j/{id}", path, param));
}

static void a_known_path_with_another_method_is_told_apart(void **state)
{
    char param[CLM_CP_PARAM_SIZE];
    bool other = false;

    (void)state;
    assert_non_null(clm_cp_route_find(CLM_CP_AGENT_API, "POST", "/agent/v1/poll", param, &other));
    assert_null(clm_cp_route_find(CLM_CP_AGENT_API, "GET", "/agent/v1/poll", param, &other));
    assert_true(other);
    assert_null(clm_cp_route_find(CLM_CP_AGENT_API, "GET", "/agent/v1/none", param, &other));
    assert_false(other);
    assert_null(clm_cp_route_find(CLM_CP_OPERATOR_API, "POST", "/agent/v1/poll", param, &other));
}

static void a_plain_path_wins_over_one_with_a_parameter(void **state)
{
    char param[CLM_CP_PARAM_SIZE];
    bool other = false;
    const struct clm_cp_route *route =
        clm_cp_route_find(CLM_CP_AGENT_API, "GET", "/agent/v1/enroll/nonce", param, &other);

    (void)state;
    assert_non_null(route);
    assert_string_equal(route->pattern, "/agent/v1/enroll/nonce");
}

static void every_row_is_complete_and_safe(void **state)
{
    size_t count = 0;
    const struct clm_cp_route *routes = clm_cp_routes(&count);

    (void)state;
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        const struct clm_cp_route *route = &routes[i];
        bool is_post = strcmp(route->method, "POST") == 0;

        assert_non_null(route->handler);
        assert_int_equal(route->pattern[0], '/');
        if (is_post && route->listener == CLM_CP_AGENT_API &&
            strcmp(route->pattern, "/agent/v1/poll") != 0 && !route->idempotency_key) {
            fail_msg("%s must ask for an Idempotency-Key", route->pattern);
        }
        if (is_post && (route->auth == CLM_CP_AUTH_NONE)) {
            fail_msg("%s can be posted to by anybody", route->pattern);
        }
        for (size_t k = 0; k < i; k++) {
            assert_false(strcmp(routes[k].method, route->method) == 0 &&
                         strcmp(routes[k].pattern, route->pattern) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_whole_paths),
        cmocka_unit_test(a_parameter_that_is_too_long_does_not_match),
        cmocka_unit_test(a_known_path_with_another_method_is_told_apart),
        cmocka_unit_test(a_plain_path_wins_over_one_with_a_parameter),
        cmocka_unit_test(every_row_is_complete_and_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
