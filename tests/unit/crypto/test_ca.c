/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/clock.h"
#include "agent/crypto/ca.h"
#include "agent/crypto/csr.h"
#include "tests/support/certs.h"
#include "tests/unit/crypto/oracle.h"

#define DAY_S 86400

static int setup(void **state)
{
    *state = clm_test_ca_new(clm_clock_now_s());
    return 0;
}

static int teardown(void **state)
{
    clm_test_ca_free(*state);
    return 0;
}

struct made {
    struct clm_key *key;
    struct clm_cert_chain *cert;
    struct clm_buf pem;
};

static void make_root(struct clm_rng *rng, enum clm_key_type type, struct made *out)
{
    const struct clm_ca_issue issue = {.common_name = "Agent CA",
                                       .organization = "Example",
                                       .not_before_s = clm_clock_now_s() - DAY_S,
                                       .not_after_s = clm_clock_now_s() + 3650LL * DAY_S,
                                       .is_ca = true,
                                       .path_len = 0};

    *out = (struct made){.pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX)};
    assert_int_equal(clm_key_generate(rng, type, &out->key, NULL), CLM_OK);
    assert_int_equal(clm_ca_self_signed(rng, out->key, &issue, &out->pem, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(out->pem.data, out->pem.len, &out->cert, NULL),
                     CLM_OK);
}

static void made_done(struct made *made)
{
    clm_key_free(made->key);
    clm_cert_chain_free(made->cert);
    clm_buf_done(&made->pem);
}

/* The profile of protocol.md 5.4, from a request, as the control plane does it. */
static void agent_certificate_is_accepted_by_openssl(void **state)
{
    static const enum clm_key_type types[] = {CLM_KEY_EC_P256, CLM_KEY_EC_P384, CLM_KEY_RSA_2048};
    static const char *const sigs[] = {"ecdsa-with-SHA256", "ecdsa-with-SHA384",
                                       "sha256WithRSAEncryption"};
    struct clm_rng *rng = clm_test_ca_rng(*state);
    char *uri[] = {(char[]){"clm://acme/agent/agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"}};
    struct clm_strs uris = {uri, 1};

    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        struct made ca;
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {.must_staple = false};
        const struct clm_csr_request request = {.common_name = "ignored"};
        struct clm_ca_issue issue = {.common_name = "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C",
                                     .uris = &uris,
                                     .not_before_s = clm_clock_now_s() - 3600,
                                     .not_after_s = clm_clock_now_s() + 14 * DAY_S,
                                     .eku_client = true};
        struct oracle o;
        const char *text;

        make_root(rng, types[i], &ca);
        assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
        assert_int_equal(clm_csr_build(rng, key, &request, &der, NULL), CLM_OK);
        assert_int_equal(clm_csr_parse(der.data, der.len, &csr, NULL), CLM_OK);
        issue.spki = csr.spki_der.data;
        issue.spki_len = csr.spki_der.len;
        issue.issuer = ca.cert;
        issue.issuer_key = ca.key;
        assert_int_equal(clm_ca_issue(rng, &issue, &pem, NULL), CLM_OK);

        oracle_init(&o);
        if (oracle_run(&o, "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile",
                       oracle_put(&o, "ca.pem", ca.pem.data, ca.pem.len),
                       oracle_put(&o, "leaf.pem", pem.data, pem.len), NULL) != 0) {
            fail_msg("%s", clm_buf_str(&o.out));
        }
        assert_int_not_equal(oracle_run(&o, "verify", "-purpose", "sslserver", "-CAfile",
                                        oracle_put(&o, "ca.pem", NULL, 0),
                                        oracle_put(&o, "leaf.pem", NULL, 0), NULL),
                             0);
        assert_int_equal(oracle_run(&o, "x509", "-noout", "-text", "-nameopt", "RFC2253", "-in",
                                    oracle_put(&o, "leaf.pem", NULL, 0), NULL),
                         0);
        text = clm_buf_str(&o.out);
        assert_non_null(strstr(text, sigs[i]));
        assert_non_null(strstr(text, "Subject: CN=agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\n"));
        assert_non_null(strstr(text, "Issuer: CN=Agent CA,O=Example\n"));
        assert_non_null(strstr(text, "URI:clm://acme/agent/agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"));
        assert_non_null(strstr(text, "CA:FALSE"));
        assert_non_null(strstr(text, "Digital Signature\n"));
        assert_non_null(strstr(text, "X509v3 Authority Key Identifier"));
        assert_non_null(strstr(text, "X509v3 Subject Key Identifier"));
        oracle_done(&o);
        made_done(&ca);
    }
}

static void chain_of_three_is_accepted_by_openssl(void **state)
{
    struct clm_test_leaf leaf;
    struct oracle o;
    const char *root = clm_test_ca_root_pem(*state);

    clm_test_leaf_make(*state, "www.example,192.0.2.1", CLM_TEST_GOOD, &leaf);
    oracle_init(&o);
    if (oracle_run(&o, "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname",
                   "www.example", "-verify_ip", "192.0.2.1", "-CAfile",
                   oracle_put(&o, "root.pem", root, strlen(root)), "-untrusted",
                   oracle_put(&o, "mid.pem", leaf.chain_pem.data, leaf.chain_pem.len),
                   oracle_put(&o, "leaf.pem", leaf.leaf_pem.data, leaf.leaf_pem.len), NULL) != 0) {
        fail_msg("%s", clm_buf_str(&o.out));
    }
    oracle_done(&o);
    clm_test_leaf_done(&leaf);
}

static void serials_are_long_and_differ(void **state)
{
    struct made a;
    struct made b;
    struct clm_cert_info info_a;
    struct clm_cert_info info_b;

    make_root(clm_test_ca_rng(*state), CLM_KEY_EC_P256, &a);
    make_root(clm_test_ca_rng(*state), CLM_KEY_EC_P256, &b);
    assert_int_equal(clm_cert_info(a.cert, 0, &info_a, NULL), CLM_OK);
    assert_int_equal(clm_cert_info(b.cert, 0, &info_b, NULL), CLM_OK);
    assert_int_equal(strlen(info_a.serial), 32);
    assert_string_not_equal(info_a.serial, info_b.serial);
    assert_true(info_a.is_ca);
    clm_cert_info_done(&info_a);
    clm_cert_info_done(&info_b);
    made_done(&a);
    made_done(&b);
}

static void impossible_wishes_are_refused(void **state)
{
    struct clm_rng *rng = clm_test_ca_rng(*state);
    struct made ca;
    struct made other;
    struct clm_test_leaf leaf;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *leaf_chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(1000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(10000);
    struct clm_ca_issue good = {.common_name = "x", .not_before_s = 1000, .not_after_s = 2000};
    struct clm_ca_issue bad[7];
    static const enum clm_code codes[7] = {CLM_E_INVAL,  CLM_E_INVAL, CLM_E_INVAL, CLM_E_CRYPTO,
                                           CLM_E_CRYPTO, CLM_E_PARSE, CLM_E_INVAL};

    make_root(rng, CLM_KEY_EC_P256, &ca);
    make_root(rng, CLM_KEY_EC_P256, &other);
    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(
        clm_cert_chain_from_pem(leaf.leaf_pem.data, leaf.leaf_pem.len, &leaf_chain, NULL), CLM_OK);
    assert_int_equal(clm_key_public_der(leaf.key, &spki, NULL), CLM_OK);
    good.spki = spki.data;
    good.spki_len = spki.len;
    good.issuer = ca.cert;
    good.issuer_key = ca.key;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        bad[i] = good;
    }
    bad[0].not_after_s = 1000;
    bad[1].common_name = NULL;
    bad[2].not_after_s = 400000000000;
    bad[3].issuer_key = other.key;
    bad[4].issuer = leaf_chain;
    bad[4].issuer_key = leaf.key;
    bad[5].spki_len--;
    bad[6].path_len = 200;
    assert_int_equal(clm_ca_issue(rng, &good, &pem, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        struct clm_err err = {0};

        if (clm_ca_issue(rng, &bad[i], &pem, &err) != codes[i]) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(err.code), err.msg);
        }
    }
    clm_test_leaf_done(&leaf);
    made_done(&ca);
    made_done(&other);
}

static void names_alone_make_the_san_critical(void **state)
{
    struct clm_rng *rng = clm_test_ca_rng(*state);
    struct made ca;
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(1000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(10000);
    struct clm_ca_issue issue = {.names = &names,
                                 .not_before_s = 1000,
                                 .not_after_s = 4102444800, /* 2100: GeneralizedTime */
                                 .must_staple = true,
                                 .eku_server = true};
    struct oracle o;

    make_root(rng, CLM_KEY_RSA_2048, &ca);
    clm_test_names("a.example", &names);
    assert_int_equal(clm_key_public_der(ca.key, &spki, NULL), CLM_OK);
    issue.spki = spki.data;
    issue.spki_len = spki.len;
    issue.issuer = ca.cert;
    issue.issuer_key = ca.key;
    assert_int_equal(clm_ca_issue(rng, &issue, &pem, NULL), CLM_OK);
    oracle_init(&o);
    assert_int_equal(oracle_run(&o, "x509", "-noout", "-text", "-in",
                                oracle_put(&o, "c.pem", pem.data, pem.len), NULL),
                     0);
    assert_non_null(strstr(clm_buf_str(&o.out), "Alternative Name: critical"));
    assert_non_null(strstr(clm_buf_str(&o.out), "status_request"));
    assert_non_null(strstr(clm_buf_str(&o.out), "Digital Signature, Key Encipherment"));
    assert_non_null(strstr(clm_buf_str(&o.out), "2100 GMT"));
    oracle_done(&o);
    made_done(&ca);
}

/* An empty text is no subject, either: then the names carry it, and are critical (RFC 5280 4.2.1.6). */
static void a_subject_of_empty_texts_is_none(void **state)
{
    static const struct {
        const char *common_name;
        const char *organization;
        bool is_critical;
    } rows[] = {
        {NULL, NULL, true},         {"", "", true}, {"", "Org", false}, {NULL, "Org", false},
        {"a.example", NULL, false},
    };
    struct clm_rng *rng = clm_test_ca_rng(*state);
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;

    clm_test_names("a.example", &names);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(10000);
        const struct clm_ca_issue issue = {.common_name = rows[i].common_name,
                                           .organization = rows[i].organization,
                                           .names = &names,
                                           .not_before_s = 1000,
                                           .not_after_s = 2000000000,
                                           .eku_server = true};
        struct oracle o;

        assert_int_equal(clm_ca_self_signed(rng, key, &issue, &pem, NULL), CLM_OK);
        oracle_init(&o);
        assert_int_equal(oracle_run(&o, "x509", "-noout", "-text", "-in",
                                    oracle_put(&o, "c.pem", pem.data, pem.len), NULL),
                         0);
        assert_int_equal(strstr(clm_buf_str(&o.out), "Alternative Name: critical") != NULL,
                         rows[i].is_critical);
        oracle_done(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agent_certificate_is_accepted_by_openssl),
        cmocka_unit_test(chain_of_three_is_accepted_by_openssl),
        cmocka_unit_test(serials_are_long_and_differ),
        cmocka_unit_test(impossible_wishes_are_refused),
        cmocka_unit_test(names_alone_make_the_san_critical),
        cmocka_unit_test(a_subject_of_empty_texts_is_none),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
