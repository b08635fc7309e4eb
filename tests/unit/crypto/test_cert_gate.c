/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/crypto/cert.h"
#include "tests/support/certs.h"
#include "tests/support/torture.h"

#define NOW_S  1795312800 /* 2026-11-22T02:00:00Z */
#define DAY_S  86400
#define SKEW_S 300

static int setup(void **state)
{
    *state = clm_test_ca_new(NOW_S);
    return 0;
}

static int teardown(void **state)
{
    clm_test_ca_free(*state);
    return 0;
}

static enum clm_code gate(const struct clm_test_leaf *leaf, const char *names, int64_t now_s,
                          struct clm_err *err)
{
    struct clm_bundle bundle;
    struct clm_names wanted = {.dns = {NULL, 0}};
    enum clm_code code;

    clm_test_leaf_bundle(leaf, &bundle);
    if (names != NULL) {
        clm_test_names(names, &wanted);
    }
    code = clm_cert_gate(&bundle, leaf->key, names == NULL ? NULL : &wanted, now_s, SKEW_S, err);
    clm_names_done(&wanted);
    clm_bundle_done(&bundle);
    return code;
}

static void good_bundle_passes(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "www.example,*.api.example,192.0.2.1", CLM_TEST_GOOD, &leaf);
    assert_int_equal(gate(&leaf, "192.0.2.1,*.api.example,www.example", NOW_S, &err), CLM_OK);
    assert_int_equal(gate(&leaf, NULL, NOW_S, &err), CLM_OK);
    clm_test_leaf_done(&leaf);
}

static void each_fault_has_its_message(void **state)
{
    static const struct {
        enum clm_test_fault fault;
        const char *wanted;
        const char *says;
    } cases[] = {
        {CLM_TEST_WRONG_KEY, "a.example", "certificate is for another key"},
        {CLM_TEST_GOOD, "a.example,b.example", "certificate lacks the name 'b.example'"},
        {CLM_TEST_GOOD, "a.example,192.0.2.9", "certificate lacks the name '192.0.2.9'"},
        {CLM_TEST_GOOD, "*.example", "certificate lacks the name '*.example'"},
        {CLM_TEST_EXTRA_NAME, "a.example",
         "certificate names 'extra.example', which was not asked for"},
        {CLM_TEST_EXPIRED, "a.example", "certificate expired on 2026-11-21T02:00:00Z"},
        {CLM_TEST_NOT_YET, "a.example", "certificate is not valid before 2026-11-23T02:00:00Z"},
        {CLM_TEST_BROKEN_CHAIN, "a.example",
         "chain is broken: 'CN=Test Intermediate' did not sign 'CN=a.example'"},
        {CLM_TEST_EXPIRED_CHAIN, "a.example",
         "CA certificate 'CN=Test Intermediate' expired on 2026-11-21T02:00:00Z"},
        {CLM_TEST_NOT_A_CA, "a.example",
         "chain is broken: 'CN=Test Intermediate' is not a CA that may sign certificates"},
        {CLM_TEST_CLIENT_ONLY, "a.example",
         "certificate is not for servers: its extended key usage lacks serverAuth"},
        {CLM_TEST_LEAF_IS_CA, "a.example", "certificate is not for servers: it is a CA's"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_test_leaf leaf;
        struct clm_err err = {0};

        clm_test_leaf_make(*state, "a.example", cases[i].fault, &leaf);
        if (gate(&leaf, cases[i].wanted, NOW_S, &err) != CLM_E_CRYPTO ||
            strcmp(err.msg, cases[i].says) != 0) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(err.code), err.msg);
        }
        clm_test_leaf_done(&leaf);
    }
}

/* A wildcard that covers a wanted name is still not what was asked for. */
static void wildcard_does_not_stand_in_for_a_name(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "*.example.com", CLM_TEST_GOOD, &leaf);
    assert_int_equal(gate(&leaf, "www.example.com", NOW_S, &err), CLM_E_CRYPTO);
    clm_test_leaf_done(&leaf);
}

static void purpose_is_checked_for_servers_only(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "a.example", CLM_TEST_CLIENT_ONLY, &leaf);
    assert_int_equal(gate(&leaf, NULL, NOW_S, &err), CLM_OK);
    clm_test_leaf_done(&leaf);
}

static void skew_forgives_the_beginning_not_the_end(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "a.example", CLM_TEST_NOT_YET, &leaf);
    assert_int_equal(gate(&leaf, "a.example", NOW_S + DAY_S - SKEW_S, &err), CLM_OK);
    assert_int_equal(gate(&leaf, "a.example", NOW_S + DAY_S - SKEW_S - 1, &err), CLM_E_CRYPTO);
    clm_test_leaf_done(&leaf);
    clm_test_leaf_make(*state, "a.example", CLM_TEST_EXPIRED, &leaf);
    assert_int_equal(gate(&leaf, "a.example", NOW_S - DAY_S, &err), CLM_OK);
    assert_int_equal(gate(&leaf, "a.example", NOW_S - DAY_S + 1, &err), CLM_E_CRYPTO);
    clm_test_leaf_done(&leaf);
}

/* What is installed are the bundle's bytes, so their order counts. */
static void wrong_order_is_a_fault_and_a_root_at_the_end_is_none(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_bundle bundle;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    clm_test_leaf_bundle(&leaf, &bundle);
    assert_int_equal(clm_buf_add_str(&bundle.chain_pem, clm_test_ca_root_pem(*state), NULL),
                     CLM_OK);
    assert_int_equal(clm_cert_gate(&bundle, leaf.key, NULL, NOW_S, SKEW_S, &err), CLM_OK);
    clm_buf_reset(&bundle.chain_pem);
    assert_int_equal(clm_buf_add_str(&bundle.chain_pem, clm_test_ca_root_pem(*state), NULL),
                     CLM_OK);
    assert_int_equal(clm_buf_add_str(&bundle.chain_pem, clm_test_ca_intermediate_pem(*state), NULL),
                     CLM_OK);
    assert_int_equal(clm_cert_gate(&bundle, leaf.key, NULL, NOW_S, SKEW_S, &err), CLM_E_CRYPTO);
    assert_string_equal(err.msg, "chain is broken: 'CN=Test Root' did not sign 'CN=a.example'");
    clm_bundle_done(&bundle);
    clm_test_leaf_done(&leaf);
}

static void two_leaves_or_none_are_refused(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_bundle bundle;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    clm_test_leaf_bundle(&leaf, &bundle);
    assert_int_equal(clm_buf_add_str(&bundle.leaf_pem, clm_buf_str(&leaf.leaf_pem), NULL), CLM_OK);
    assert_int_equal(clm_cert_gate(&bundle, leaf.key, NULL, NOW_S, SKEW_S, &err), CLM_E_CRYPTO);
    clm_buf_reset(&bundle.leaf_pem);
    assert_int_equal(clm_cert_gate(&bundle, leaf.key, NULL, NOW_S, SKEW_S, &err), CLM_E_NOTFOUND);
    clm_bundle_done(&bundle);
    clm_test_leaf_done(&leaf);
}

static void bundle_is_sorted_and_encoded_anew(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_buf text = CLM_BUF_INIT(100000);
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_buf_addf(&text, NULL, "%s# comment\n%s%s", clm_test_ca_root_pem(*state),
                                  clm_test_ca_intermediate_pem(*state),
                                  clm_buf_str(&leaf.leaf_pem)),
                     CLM_OK);
    for (int i = 0; i < 2; i++) { /* the second time over the first */
        assert_int_equal(clm_bundle_from_pem(text.data, text.len, &bundle, NULL), CLM_OK);
        assert_string_equal(clm_buf_str(&bundle.leaf_pem), clm_buf_str(&leaf.leaf_pem));
        assert_string_equal(clm_buf_str(&bundle.chain_pem), clm_buf_str(&leaf.chain_pem));
        assert_string_equal(bundle.leaf.subject, "CN=a.example");
    }
    assert_int_equal(clm_bundle_from_pem("x", 1, &bundle, NULL), CLM_E_NOTFOUND);
    clm_buf_done(&text);
    clm_test_leaf_done(&leaf);
}

static enum clm_code bundle_once(void *arg, struct clm_err *err)
{
    const struct clm_buf *pem = arg;
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    enum clm_code code = clm_bundle_from_pem(pem->data, pem->len, &bundle, err);

    return code == CLM_OK ? clm_cert_gate(&bundle, NULL, NULL, NOW_S, SKEW_S, err) : code;
}

static void no_memory_is_reported(void **state)
{
    struct clm_test_leaf leaf;

    clm_test_leaf_make(*state, "a.example,192.0.2.1", CLM_TEST_GOOD, &leaf);
    assert_true(clm_torture(bundle_once, &leaf.full_pem) >= 10);
    clm_test_leaf_done(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bundle_passes),
        cmocka_unit_test(each_fault_has_its_message),
        cmocka_unit_test(wildcard_does_not_stand_in_for_a_name),
        cmocka_unit_test(purpose_is_checked_for_servers_only),
        cmocka_unit_test(skew_forgives_the_beginning_not_the_end),
        cmocka_unit_test(wrong_order_is_a_fault_and_a_root_at_the_end_is_none),
        cmocka_unit_test(two_leaves_or_none_are_refused),
        cmocka_unit_test(bundle_is_sorted_and_encoded_anew),
        cmocka_unit_test(no_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
