/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans for every target of every host in which a call of libc fails: each call once. There is a
 * sound plan or a reason, and never a plan with less in it than there would be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "deployers/deployer.h"
#include "scanners/scanner.h"
#include "tests/support/sabotage.h"
#include "tests/support/scan_hosts.h"

struct act {
    struct scan_host host;
    const struct clm_service *service;
    const struct clm_target *target;
    struct clm_plan plan;
    size_t n_steps; /* of a plan for which nothing fails */
};

static enum clm_code answer(void *ctx, const struct clm_http_request *request,
                            struct clm_http_response *out, struct clm_err *err)
{
    (void)ctx;
    out->status = 200;
    out->body = CLM_BUF_INIT(request->response_max);
    return clm_buf_add_str(&out->body, "OK - Server info\n", err);
}

static enum clm_code make(void *arg, struct clm_err *err)
{
    struct act *act = arg;

    act->plan = (struct clm_plan){.target = ""};
    return clm_deployer_find(act->service->kind)
        ->plan(&act->host.check.io.io, act->service, act->target, NULL, &act->plan, err);
}

static void judge(void *arg, enum clm_code code, const char *what)
{
    struct act *act = arg;
    struct clm_err err = {0};

    if (code == CLM_OK && act->plan.n_steps != act->n_steps) {
        fail_msg("%s, '%s': %zu steps instead of %zu", what, act->target->id, act->plan.n_steps,
                 act->n_steps);
    }
    for (size_t i = 0; code == CLM_OK && i < act->plan.n_steps; i++) {
        if (clm_step_check(&act->plan.steps[i], &err) != CLM_OK) {
            fail_msg("%s, '%s': step %zu: %s", what, act->target->id, i, err.msg);
        }
    }
    clm_plan_done(&act->plan);
}

/* Returns true if there is a plan for it. */
static bool plan_for(struct act *act)
{
    const struct clm_sabotage plan = {.act = make, .after = judge, .arg = act};
    enum clm_code code = make(act, NULL);

    act->n_steps = act->plan.n_steps;
    clm_plan_done(&act->plan);
    if (code != CLM_OK) {
        return false;
    }
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup open64 fstat64 read") > 10);
    return true;
}

static void a_plan_is_whole_or_there_is_none(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < SCAN_HOSTS; i++) {
        struct act act;

        (void)scan_host_init(&act.host, i);
        scan_check_run(&act.host.check);
        if (act.host.check.io.io.policy == NULL) {
            strcpy(act.host.policy.tomcat_manager.user, "clmbot");
            strcpy(act.host.policy.tomcat_manager.password_file, "/pw");
            root_io_text(act.host.check.root, "/pw", "secret\n");
            act.host.check.io.io.policy = &act.host.policy;
        }
        act.host.check.io.io.http = answer;
        for (size_t s = 0; s < act.host.check.found.n_services; s++) {
            act.service = &act.host.check.found.services[s];
            for (size_t t = 0; t < act.service->n_targets; t++) {
                act.target = &act.service->targets[t];
                n += plan_for(&act);
            }
        }
        scan_host_done(&act.host);
    }
    assert_true(n > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_whole_or_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
