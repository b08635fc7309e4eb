/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoints count, and a proof without a deployment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "tests/unit/job/act.h"

static struct scene_certs certs;

/* ---- endpoints that do not count ---- */

static void a_shadowed_or_dead_endpoint_is_reported_only(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &certs);
        act.scene.server.shadowed_port = which == 0 ? 8443 : 0;
        act.scene.server.dead_port = which == 1 ? 8443 : 0;
        act_deploy(&act);
        act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
        assert_true(act.out.endpoints[0].is_counted);
        assert_false(act.out.endpoints[1].is_counted);
        assert_int_not_equal(act.out.endpoints[1].after.at_ms, 0);
        assert_string_equal(act_step(&act, "baseline")->status, "warning");
        act_deploy(&act); /* nor does it need another reload */
        act_expect(&act, CLM_TXN_NOOP, CLM_OK, 'N');
        assert_true(act.out.is_proved);
        assert_int_equal(act.scene.server.reloads, 1);
        act_end(&act);
    }
}

static void without_any_served_endpoint_all_count(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    (void)unlink(act.scene.server.served_path); /* the server serves nothing yet */
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_true(act.out.endpoints[0].is_counted && act.out.endpoints[1].is_counted);
    act_end(&act);
}

/* ---- proving alone ---- */

static void proving_alone_changes_nothing(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    assert_int_equal(clm_txn_prove(&act.scene.env, &act.scene.plan, certs.old_bundle.leaf.sha256,
                                   &act.out, &act.err),
                     CLM_OK);
    assert_true(act.out.is_proved);
    clm_txn_outcome_done(&act.out);
    assert_int_equal(clm_txn_prove(&act.scene.env, &act.scene.plan, certs.new_bundle.leaf.sha256,
                                   &act.out, &act.err),
                     CLM_E_VERIFY);
    assert_int_equal(act.out.result, CLM_TXN_FAILED);
    assert_int_equal(act.scene.server.reloads, 0);
    scene_assert_untouched(&act.scene);
    act_end(&act);
}

static void nothing_is_proved_without_endpoints_or_a_leaf(void **state)
{
    struct act act;
    char long_leaf[CLM_SHA256_HEX_SIZE + 1];

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    memset(long_leaf, 'a', sizeof(long_leaf) - 1);
    long_leaf[sizeof(long_leaf) - 1] = '\0';
    assert_int_equal(clm_txn_prove(&act.scene.env, &act.scene.plan, long_leaf, &act.out, NULL),
                     CLM_E_LIMIT);
    assert_int_equal(act.out.err.code, CLM_E_LIMIT);
    clm_txn_outcome_done(&act.out);
    for (size_t i = 0; i < act.scene.plan.n_steps; i++) {
        if (act.scene.plan.steps[i].kind == CLM_STEP_VERIFY) {
            assert_int_equal(clm_step_set_endpoints(&act.scene.plan.steps[i], NULL, 0, NULL),
                             CLM_OK);
        }
    }
    assert_int_equal(clm_txn_prove(&act.scene.env, &act.scene.plan, certs.old_bundle.leaf.sha256,
                                   &act.out, NULL),
                     CLM_OK);
    assert_int_equal(act.out.result, CLM_TXN_NOOP);
    assert_false(act.out.is_proved);
    act_end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shadowed_or_dead_endpoint_is_reported_only),
        cmocka_unit_test(without_any_served_endpoint_all_count),
        cmocka_unit_test(proving_alone_changes_nothing),
        cmocka_unit_test(nothing_is_proved_without_endpoints_or_a_leaf),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("txn_prove", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
