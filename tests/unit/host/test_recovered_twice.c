/* SPDX-License-Identifier: Apache-2.0 */
/* A recovery that has to be tried again: everything that was done is told, and each only once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host/internal.h"
#include "tests/unit/host/deploy_world.h"

#define DONE    "txn_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define STUCK   "txn_01J9ZK3W5V7M2Q8R4T6Y0X1B4C"
#define N_TRIES 3

/* Journals that the recovery finds, and what it makes of them; it can keep the last try only. */
static struct {
    bool is_on; /* false: there are none */
    int n_tries;
    int n_kept; /* in the history */
} world;

static void add(struct clm_txn_outcomes *out, const char *txid, enum clm_txn_result result)
{
    struct clm_txn_outcome *one = &out->v[out->n++];

    one->result = result;
    (void)snprintf(one->txid, sizeof(one->txid), "%s", txid);
    (void)snprintf(one->target, sizeof(one->target), "nginx:%s",
                   strcmp(txid, DONE) == 0 ? "a" : "b");
}

enum clm_code __wrap_clm_txn_recover(const struct clm_txn_env *env, bool boot,
                                     struct clm_txn_outcomes *out, struct clm_err *err);
enum clm_code __wrap_clm_txn_recover(const struct clm_txn_env *env, bool boot,
                                     struct clm_txn_outcomes *out, struct clm_err *err)
{
    (void)env;
    (void)boot;
    (void)err;
    *out = (struct clm_txn_outcomes){0};
    if (!world.is_on) {
        return CLM_OK;
    }
    world.n_tries++;
    *out = (struct clm_txn_outcomes){.v = calloc(2, sizeof(*out->v))};
    assert_non_null(out->v);
    if (world.n_tries == 1) { /* its journal is gone then */
        add(out, DONE, CLM_TXN_ROLLED_BACK);
    }
    add(out, STUCK, world.n_tries < N_TRIES ? CLM_TXN_BLOCKED : CLM_TXN_ROLLED_BACK);
    return CLM_OK;
}

enum clm_code __wrap_clm_store_history_add(struct clm_store *store, const struct clm_json *entry,
                                           struct clm_err *err);
enum clm_code __wrap_clm_store_history_add(struct clm_store *store, const struct clm_json *entry,
                                           struct clm_err *err)
{
    (void)store;
    (void)entry;
    if (world.n_tries < N_TRIES) {
        return clm_err_set(err, CLM_E_IO, "the disk is full");
    }
    world.n_kept++;
    return CLM_OK;
}

static void what_was_done_is_told_once(void **state)
{
    struct deploy_world *w = *state;
    struct clm_json *reply = NULL;
    const struct clm_json *one;

    world.is_on = true;
    host_world_restart(w->host);
    for (int i = 1; i < N_TRIES; i++) {
        deploy_world_refused(w, CLM_OP_HELLO, "{'v':1}", "E_INTERNAL", "the disk is full");
        assert_int_equal(world.n_tries, i);
    }
    for (int i = 0; i < 2; i++) { /* told to each that says hello */
        assert_int_equal(deploy_world_ask(w, CLM_OP_HELLO, "{'v':1}", &reply), CLM_OK);
        assert_int_equal(world.n_tries, N_TRIES);
        assert_int_equal(clm_json_len(clm_json_get(reply, "recovered")), 2);
        one = clm_json_first(clm_json_get(reply, "recovered"));
        assert_string_equal(clm_json_text(clm_json_get(one, "txid")), STUCK);
        assert_string_equal(clm_json_text(clm_json_get(one, "outcome")), "rolled_back");
        one = clm_json_next(one);
        assert_string_equal(clm_json_text(clm_json_get(one, "txid")), DONE);
        assert_string_equal(clm_json_text(clm_json_get(one, "target")), "nginx:a");
        clm_json_free(reply);
    }
    assert_int_equal(world.n_kept, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_done_is_told_once, deploy_world_setup,
                                        deploy_world_teardown),
    };

    return cmocka_run_group_tests_name("host recovered twice", tests, NULL, NULL);
}
