/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/crypto/ca.h"
#include "agent/crypto/cert.h"
#include "tests/support/certs.h"
#include "tests/unit/crypto/oracle.h"

#define NOW_S 1795312800 /* 2026-11-22T02:00:00Z */
#define DAY_S 86400

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

static struct clm_cert_chain *parse(const char *a, const char *b, const char *c)
{
    struct clm_buf text = CLM_BUF_INIT(100000);
    struct clm_cert_chain *chain = NULL;

    assert_int_equal(clm_buf_addf(&text, NULL, "%s%s%s", a, b, c), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(text.data, text.len, &chain, NULL), CLM_OK);
    clm_buf_done(&text);
    return chain;
}

/* The chain as it stands, with the root still in it. */
static enum clm_code gate_without_sort(const char *leaf, const char *rest, int64_t now_s,
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;

    assert_int_equal(clm_buf_add_str(&bundle.leaf_pem, leaf, NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&bundle.chain_pem, rest, NULL), CLM_OK);
    return clm_cert_gate(&bundle, NULL, NULL, now_s, 0, err);
}

static void subject_is(const struct clm_cert_chain *chain, size_t i, const char *subject)
{
    struct clm_cert_info info;

    assert_int_equal(clm_cert_info(chain, i, &info, NULL), CLM_OK);
    assert_string_equal(info.subject, subject);
    clm_cert_info_done(&info);
}

static void every_order_becomes_leaf_first_without_root(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct clm_test_leaf leaf;
    const char *pem[3];

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    pem[0] = clm_buf_str(&leaf.leaf_pem);
    pem[1] = clm_test_ca_intermediate_pem(*state);
    pem[2] = clm_test_ca_root_pem(*state);
    for (size_t i = 0; i < 6; i++) {
        struct clm_cert_chain *chain =
            parse(pem[orders[i][0]], pem[orders[i][1]], pem[orders[i][2]]);

        assert_int_equal(clm_cert_chain_check(chain, NOW_S, NULL), CLM_OK);
        assert_int_equal(clm_cert_chain_count(chain), 2);
        subject_is(chain, 0, "CN=a.example");
        subject_is(chain, 1, "CN=Test Intermediate");
        clm_cert_chain_free(chain);
    }
    clm_test_leaf_done(&leaf);
}

static void duplicates_are_dropped(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain;

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    chain = parse(clm_buf_str(&leaf.full_pem), clm_buf_str(&leaf.full_pem),
                  clm_test_ca_intermediate_pem(*state));
    assert_int_equal(clm_cert_chain_count(chain), 5);
    assert_int_equal(clm_cert_chain_check(chain, NOW_S, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_count(chain), 2);
    clm_cert_chain_free(chain);
    clm_test_leaf_done(&leaf);
}

static void self_signed_leaf_stays(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain;

    clm_test_leaf_make(*state, "a.example", CLM_TEST_SELF_SIGNED, &leaf);
    chain = parse(clm_buf_str(&leaf.full_pem), "", "");
    assert_int_equal(clm_cert_chain_check(chain, NOW_S, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_count(chain), 1);
    clm_cert_chain_free(chain);
    clm_test_leaf_done(&leaf);
}

static void faults_are_named(void **state)
{
    static const struct {
        enum clm_test_fault fault;
        const char *says;
    } cases[] = {
        {CLM_TEST_EXPIRED, "certificate expired on 2026-11-21T02:00:00Z"},
        {CLM_TEST_NOT_YET, "certificate is not valid before 2026-11-23T02:00:00Z"},
        {CLM_TEST_BROKEN_CHAIN,
         "chain is broken: 'CN=Test Intermediate' did not sign 'CN=a.example'"},
        {CLM_TEST_EXPIRED_CHAIN,
         "CA certificate 'CN=Test Intermediate' expired on 2026-11-21T02:00:00Z"},
        {CLM_TEST_NOT_A_CA,
         "chain is broken: 'CN=Test Intermediate' is not a CA that may sign certificates"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_test_leaf leaf;
        struct clm_cert_chain *chain;
        struct clm_err err = {0};

        clm_test_leaf_make(*state, "a.example", cases[i].fault, &leaf);
        chain = parse(clm_buf_str(&leaf.full_pem), "", "");
        assert_int_equal(clm_cert_chain_check(chain, NOW_S, &err), CLM_E_CRYPTO);
        assert_string_equal(err.msg, cases[i].says);
        clm_cert_chain_free(chain);
        clm_test_leaf_done(&leaf);
    }
}

static void dates_are_exact_to_the_second(void **state)
{
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain;

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    chain = parse(clm_buf_str(&leaf.full_pem), "", "");
    assert_int_equal(clm_cert_chain_check(chain, NOW_S + 60 * DAY_S, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_check(chain, NOW_S + 60 * DAY_S + 1, NULL), CLM_E_CRYPTO);
    assert_int_equal(clm_cert_chain_check(chain, NOW_S - 30 * DAY_S, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_check(chain, NOW_S - 30 * DAY_S - 1, NULL), CLM_E_CRYPTO);
    clm_cert_chain_free(chain);
    clm_test_leaf_done(&leaf);
}

static void stranger_in_the_file_breaks_the_chain(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *stranger = clm_test_ca_new(NOW_S);
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    chain = parse(clm_buf_str(&leaf.full_pem), clm_test_ca_root_pem(stranger), "");
    assert_int_equal(clm_cert_chain_check(chain, NOW_S, &err), CLM_E_CRYPTO);
    assert_string_equal(err.msg,
                        "chain is broken: 'CN=Test Root' did not sign 'CN=Test Intermediate'");
    clm_cert_chain_free(chain);
    clm_test_leaf_done(&leaf);
}

/* Also behind the root, which is taken out of the middle. */
static void stranger_behind_the_root_breaks_the_chain(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *stranger = clm_test_ca_new(NOW_S);
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain;
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    chain = parse(clm_buf_str(&leaf.full_pem), clm_test_ca_root_pem(*state),
                  clm_test_ca_intermediate_pem(stranger));
    assert_int_equal(clm_cert_chain_sort(chain, &err), CLM_E_CRYPTO);
    assert_non_null(strstr(err.msg, "chain is broken"));
    clm_cert_chain_free(chain);
    clm_test_leaf_done(&leaf);
}

/* Old certificates have no key usage: the CA flag alone must decide. Made by openssl. */
static void issuer_without_ca_flag_is_refused(void **state)
{
    static const struct {
        const char *basic;
        enum clm_code code;
    } cases[] = {{"basicConstraints=CA:FALSE", CLM_E_CRYPTO}, {"basicConstraints=CA:TRUE", CLM_OK}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf a = CLM_BUF_INIT(10000);
        CLM_CLEANUP(clm_buf_done) struct clm_buf b = CLM_BUF_INIT(10000);
        struct clm_cert_chain *chain;
        struct clm_cert_info info;
        struct clm_err err = {0};
        struct oracle o;
        const char *key;
        const char *mid;

        oracle_init(&o);
        key = oracle_put(&o, "k.pem", NULL, 0);
        mid = oracle_put(&o, "mid.pem", NULL, 0);
        assert_int_equal(oracle_run(&o, "ecparam", "-genkey", "-noout", "-name", "prime256v1",
                                    "-out", key, NULL),
                         0);
        assert_int_equal(oracle_run(&o, "req", "-x509", "-new", "-key", key, "-subj", "/CN=Mid",
                                    "-config", "/dev/null", "-addext", cases[i].basic, "-out", mid,
                                    NULL),
                         0);
        assert_int_equal(oracle_run(&o, "req", "-new", "-key", key, "-subj", "/CN=a.example",
                                    "-config", "/dev/null", "-out",
                                    oracle_put(&o, "r.pem", NULL, 0), NULL),
                         0);
        assert_int_equal(oracle_run(&o, "x509", "-req", "-in", oracle_put(&o, "r.pem", NULL, 0),
                                    "-CA", mid, "-CAkey", key, "-out",
                                    oracle_put(&o, "c.pem", NULL, 0), NULL),
                         0);
        oracle_get(&o, "c.pem", &a);
        oracle_get(&o, "mid.pem", &b);
        oracle_done(&o);
        chain = parse(clm_buf_str(&a), "", "");
        assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
        if (gate_without_sort(clm_buf_str(&a), clm_buf_str(&b), info.not_before_s, &err) !=
            cases[i].code) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        clm_cert_info_done(&info);
        clm_cert_chain_free(chain);
    }
}

/* A CA below a CA of path length 0. */
static void path_length_is_kept(void **state)
{
    struct clm_test_leaf ca;
    struct clm_buf text = CLM_BUF_INIT(100000);
    struct clm_cert_chain *issuer = NULL;
    struct clm_cert_chain *chain;
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(1000);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct clm_ca_issue issue = {
        .common_name = "a.example", .not_before_s = NOW_S - DAY_S, .not_after_s = NOW_S + DAY_S};
    struct clm_err err = {0};

    clm_test_leaf_make(*state, "sub.example", CLM_TEST_LEAF_IS_CA, &ca);
    assert_int_equal(clm_cert_chain_from_pem(ca.leaf_pem.data, ca.leaf_pem.len, &issuer, NULL),
                     CLM_OK);
    assert_int_equal(clm_key_generate(clm_test_ca_rng(*state), CLM_KEY_EC_P256, &key, NULL),
                     CLM_OK);
    assert_int_equal(clm_key_public_der(key, &spki, NULL), CLM_OK);
    issue.spki = spki.data;
    issue.spki_len = spki.len;
    issue.issuer = issuer;
    issue.issuer_key = ca.key;
    assert_int_equal(clm_ca_issue(clm_test_ca_rng(*state), &issue, &text, NULL), CLM_OK);
    chain = parse(clm_buf_str(&text), clm_buf_str(&ca.full_pem), "");
    assert_int_equal(clm_cert_chain_check(chain, NOW_S, &err), CLM_E_CRYPTO);
    assert_string_equal(err.msg, "chain is broken: 'CN=Test Intermediate' allows 0 intermediate "
                                 "CAs below, there are 1");
    clm_cert_chain_free(chain);
    clm_cert_chain_free(issuer);
    clm_buf_done(&text);
    clm_test_leaf_done(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_becomes_leaf_first_without_root),
        cmocka_unit_test(duplicates_are_dropped),
        cmocka_unit_test(self_signed_leaf_stays),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(dates_are_exact_to_the_second),
        cmocka_unit_test(stranger_in_the_file_breaks_the_chain),
        cmocka_unit_test(stranger_behind_the_root_breaks_the_chain),
        cmocka_unit_test(issuer_without_ca_flag_is_refused),
        cmocka_unit_test(path_length_is_kept),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
