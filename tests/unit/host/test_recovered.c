/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process dies in the middle of a deployment: the first answer of the next one says what became
 * of it, and the files, the history and the generations agree with that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/host/internal.h"
#include "tests/unit/host/deploy_world.h"

#define CRASHED 99 /* as fs.h */
#define STRIDE  6  /* of some 80 points; tests/crash has them all for the transaction alone */

/* A child deploys the order and dies at durable operation n. False: it needed fewer. */
static bool dies_at(struct deploy_world *w, const struct deploy_order *order, unsigned n)
{
    char job_id[CLM_ID_SIZE];
    char *spec = deploy_world_spec(order, "");
    struct clm_json *body = clm_json_new_object();
    int status = 0;
    pid_t child;

    host_world_accept(w->host, "deploy", SITE, ++w->seq, spec, job_id);
    free(spec);
    clm_json_set_str(body, "job_id", job_id);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        clm_fs_crash_at(n);
        _exit(host_world_ask(w->host, CLM_OP_DEPLOY, body, NULL) == CLM_OK ? 0 : 1);
    }
    clm_json_free(body);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == CRASHED || WEXITSTATUS(status) == 0));
    return WEXITSTATUS(status) == CRASHED;
}

static const char *text(const struct clm_json *obj, const char *key)
{
    const char *value = clm_json_text(clm_json_get(obj, key));

    return value != NULL ? value : "";
}

/* The generation of SITE says sha256. */
static bool is_current(struct deploy_world *w, const char *sha256)
{
    struct clm_json *reply = NULL;
    bool is;

    assert_int_equal(deploy_world_ask(w, CLM_OP_STATUS, "{}", &reply), CLM_OK);
    is = strcmp(text(clm_json_first(clm_json_get(reply, "targets")), "sha256"), sha256) == 0;
    clm_json_free(reply);
    return is;
}

/* What the next process finds; returns whether the new certificate is in place. */
static bool recovered(struct deploy_world *w, const struct deploy_order *order, const char *before,
                      unsigned n)
{
    struct clm_json *reply = NULL;
    const struct clm_json *one;
    char now[CLM_SHA256_HEX_SIZE];
    bool is_new;

    host_world_restart(w->host);
    assert_int_equal(deploy_world_ask(w, CLM_OP_HELLO, "{'v':1}", &reply), CLM_OK);
    one = clm_json_first(clm_json_get(reply, "recovered"));
    deploy_world_in_file(w, now);
    is_new = strcmp(now, order->sha256) == 0;
    if (!is_new && strcmp(now, before) != 0) {
        fail_msg("point %u: neither the old nor the new certificate", n);
    }
    if (one != NULL) {
        assert_string_equal(text(one, "target"), SITE);
        assert_true(text(one, "txid")[0] != '\0');
        if ((strcmp(text(one, "outcome"), "succeeded") == 0) != is_new) {
            fail_msg("point %u: recovery said '%s'", n, text(one, "outcome"));
        }
        if (is_new && !is_current(w, order->sha256)) {
            fail_msg("point %u: the generation in place is not known", n);
        }
    }
    clm_json_free(reply);
    return is_new;
}

static void a_death_at_any_point_is_recovered_and_told(void **state)
{
    struct deploy_world *w = *state;
    char before[CLM_SHA256_HEX_SIZE];
    unsigned n_new = 0;
    unsigned n_old = 0;
    bool died = true;

    for (unsigned n = 1; died; n += STRIDE) {
        struct deploy_order order;

        deploy_world_in_file(w, before);
        deploy_world_order(w, "notify", true, &order);
        died = dies_at(w, &order, n);
        if (recovered(w, &order, before, n)) {
            n_new += died;
        } else {
            n_old += died;
        }
        clm_test_leaf_done(&order.leaf);
    }
    assert_true(n_old > 3 && n_new > 3);
}

/* Before the services start: the files only, and the history keeps what was found. */
static void at_boot_it_is_kept_in_the_history(void **state)
{
    struct deploy_world *w = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *found = clm_json_new_array();
    struct clm_json *reply = NULL;

    for (unsigned n = 40; clm_json_len(found) == 0; n += STRIDE) {
        struct deploy_order order;

        deploy_world_order(w, "notify", true, &order);
        assert_true(dies_at(w, &order, n));
        assert_int_equal(clm_host_recover(w->host->host, true, found, &w->host->err), CLM_OK);
        clm_test_leaf_done(&order.leaf);
    }
    assert_string_equal(text(clm_json_first(found), "target"), SITE);
    assert_int_equal(deploy_world_ask(w, CLM_OP_HISTORY, "{'target':'" SITE "'}", &reply), CLM_OK);
    assert_string_equal(text(clm_json_first(clm_json_get(reply, "transactions")), "result"),
                        text(clm_json_first(found), "outcome"));
    clm_json_free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_death_at_any_point_is_recovered_and_told,
                                        deploy_world_setup, deploy_world_teardown),
        cmocka_unit_test_setup_teardown(at_boot_it_is_kept_in_the_history, deploy_world_setup,
                                        deploy_world_teardown),
    };

    return cmocka_run_group_tests_name("host recovered", tests, NULL, NULL);
}
