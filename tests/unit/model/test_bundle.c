/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/model/bundle.h"

static void done_leaves_an_empty_bundle_that_can_be_filled_again(void **state)
{
    struct clm_bundle bundle = CLM_BUNDLE_INIT;

    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(clm_buf_add_str(&bundle.leaf_pem, "leaf", NULL), CLM_OK);
        assert_int_equal(clm_buf_add_str(&bundle.chain_pem, "chain", NULL), CLM_OK);
        assert_int_equal(clm_names_add_dns(&bundle.leaf.names, "a.example", NULL), CLM_OK);
        strcpy(bundle.key_path, "/var/lib/clmbot/host/keys/k");
        clm_bundle_done(&bundle);
        assert_int_equal(bundle.leaf_pem.len, 0);
        assert_int_equal(bundle.chain_pem.len, 0);
        assert_int_equal(bundle.leaf.names.dns.n, 0);
        assert_string_equal(bundle.key_path, "");
    }
    clm_bundle_done(NULL);
}

static void a_chain_has_a_limit(void **state)
{
    struct clm_bundle bundle = CLM_BUNDLE_INIT;
    static char big[CLM_CHAIN_PEM_MAX + 1];

    (void)state;
    memset(big, 'x', sizeof(big));
    assert_int_equal(clm_buf_add(&bundle.chain_pem, big, sizeof(big), NULL), CLM_E_LIMIT);
    assert_int_equal(clm_buf_add(&bundle.chain_pem, big, sizeof(big) - 1, NULL), CLM_OK);
    clm_bundle_done(&bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_leaves_an_empty_bundle_that_can_be_filled_again),
        cmocka_unit_test(a_chain_has_a_limit),
    };

    return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
