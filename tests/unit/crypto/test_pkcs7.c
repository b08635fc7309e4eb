/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/pkcs7.h"
#include "tests/support/certs.h"
#include "tests/unit/crypto/oracle.h"

#define NOW_S 1795312800 /* 2026-11-22T02:00:00Z */
#define BIG   1048576u

struct scene {
    struct clm_test_ca *ca;
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain; /* leaf, intermediate */
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->ca = clm_test_ca_new(NOW_S);
    clm_test_leaf_make(s->ca, "www.example", CLM_TEST_GOOD, &s->leaf);
    assert_int_equal(
        clm_cert_chain_from_pem(s->leaf.full_pem.data, s->leaf.full_pem.len, &s->chain, NULL),
        CLM_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    clm_cert_chain_free(s->chain);
    clm_test_leaf_done(&s->leaf);
    clm_test_ca_free(s->ca);
    free(s);
    return 0;
}

static bool same_cert(const struct clm_cert_chain *a, size_t i, const struct clm_cert_chain *b,
                      size_t k)
{
    size_t a_len = 0;
    size_t b_len = 0;
    const uint8_t *a_der = clm_cert_chain_der(a, i, &a_len);
    const uint8_t *b_der = clm_cert_chain_der(b, k, &b_len);

    return a_len == b_len && memcmp(a_der, b_der, a_len) == 0;
}

/* The file holds leaf and intermediate, in any order, and sorting finds them. */
static void assert_reads_chain(const struct scene *s, const void *data, size_t len)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_err err = {.code = CLM_OK};

    if (clm_cert_chain_from_any(data, len, &chain, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(clm_cert_chain_sort(chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_count(chain), 2);
    assert_true(same_cert(chain, 0, s->chain, 0));
    assert_true(same_cert(chain, 1, s->chain, 1));
}

static void openssl_reads_what_is_written(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(BIG);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(BIG);
    CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_INIT(BIG);
    struct oracle o;

    oracle_init(&o);
    assert_int_equal(clm_pkcs7_to_der(s->chain, &der, NULL), CLM_OK);
    assert_int_equal(clm_pkcs7_to_pem(s->chain, &pem, NULL), CLM_OK);
    assert_int_equal(oracle_run(&o, "pkcs7", "-inform", "DER", "-print_certs", "-in",
                                oracle_put(&o, "a.p7b", der.data, der.len), "-out",
                                oracle_put(&o, "a.pem", NULL, 0), NULL),
                     0);
    oracle_get(&o, "a.pem", &back);
    assert_reads_chain(s, back.data, back.len);
    assert_int_equal(oracle_run(&o, "pkcs7", "-print_certs", "-in",
                                oracle_put(&o, "b.p7b", pem.data, pem.len), "-out",
                                oracle_put(&o, "b.pem", NULL, 0), NULL),
                     0);
    oracle_get(&o, "b.pem", &back);
    assert_reads_chain(s, back.data, back.len);
    oracle_done(&o);
}

static void reads_what_openssl_writes(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_INIT(BIG);
    struct oracle o;
    const char *leaf;
    const char *chain;

    oracle_init(&o);
    leaf = oracle_put(&o, "leaf.pem", s->leaf.leaf_pem.data, s->leaf.leaf_pem.len);
    chain = oracle_put(&o, "chain.pem", s->leaf.chain_pem.data, s->leaf.chain_pem.len);
    for (int i = 0; i < 2; i++) { /* the leaf last, too */
        assert_int_equal(oracle_run(&o, "crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile",
                                    i == 0 ? leaf : chain, "-certfile", i == 0 ? chain : leaf,
                                    "-out", oracle_put(&o, "x.p7b", NULL, 0), NULL),
                         0);
        oracle_get(&o, "x.p7b", &file);
        assert_reads_chain(s, file.data, file.len);
        assert_int_equal(clm_buf_add_str(&file, "\r\n", NULL), CLM_OK); /* a line end behind it */
        assert_reads_chain(s, file.data, file.len);
    }
    oracle_done(&o);
}

/* A signed message in BER: indefinite lengths, its content in pieces, a signature. */
static void reads_ber(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_INIT(BIG);
    struct oracle o;
    const char *key;

    oracle_init(&o);
    key = oracle_put(&o, "key.pem", s->leaf.key_pem.data, s->leaf.key_pem.len);
    assert_int_equal(
        oracle_run(&o, "cms", "-sign", "-stream", "-nodetach", "-binary", "-outform", "DER", "-in",
                   key, "-signer",
                   oracle_put(&o, "full.pem", s->leaf.full_pem.data, s->leaf.full_pem.len),
                   "-inkey", key, "-out", oracle_put(&o, "x.p7b", NULL, 0), NULL),
        0);
    oracle_get(&o, "x.p7b", &file);
    assert_int_equal(file.data[1], 0x80);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    assert_int_equal(clm_pkcs7_read(file.data, file.len, &chain, NULL), CLM_OK);
    assert_true(same_cert(chain, 0, s->chain, 0));
    oracle_done(&o);
}

static void reads_any_label(void **state)
{
    static const char *const labels[] = {"PKCS7", "CMS", "PKCS #7 SIGNED DATA", "CERTIFICATE"};
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(BIG);

    assert_int_equal(clm_pkcs7_to_der(s->chain, &der, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(labels); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(BIG);

        assert_int_equal(clm_armor_write(labels[i], der.data, der.len, &pem, NULL), CLM_OK);
        assert_reads_chain(s, pem.data, pem.len);
    }
    assert_reads_chain(s, s->leaf.full_pem.data, s->leaf.full_pem.len);
}

static void reads_one_certificate_in_der(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    size_t len = 0;
    const uint8_t *der = clm_cert_chain_der(s->chain, 0, &len);

    assert_int_equal(clm_cert_chain_from_any(der, len, &chain, NULL), CLM_OK);
    assert_true(same_cert(chain, 0, s->chain, 0));
}

static void says_what_it_is_not(void **state)
{
    const struct scene *s = *state;
    const struct {
        const char *data;
        size_t len;
        enum clm_code code;
        const char *message;
    } cases[] = {
        {"", 0, CLM_E_NOTFOUND, "there is no certificate"},
        {"hello", 5, CLM_E_NOTFOUND, "there is no certificate"},
        {clm_buf_str(&s->leaf.key_pem), s->leaf.key_pem.len, CLM_E_NOTFOUND,
         "there is no certificate"},
        {"\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x02\x30\x00", 17,
         CLM_E_UNSUPPORTED, "PKCS#7 is no bag of certificates (its content is of type 3)"},
        {"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 13, CLM_E_PARSE,
         "PKCS#7 is malformed"},
        {"\x30\x1d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x10\x30\x0e\x02\x01\x01\x31\x00"
         "\x30\x03\x06\x01\x2a\xa0\x00\x31\x00",
         31, CLM_E_NOTFOUND, "PKCS#7 holds no certificate"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
        struct clm_err err = {.code = CLM_OK};
        enum clm_code code = clm_cert_chain_from_any(cases[i].data, cases[i].len, &chain, &err);

        if (code != cases[i].code || strcmp(err.msg, cases[i].message) != 0) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

/* Cut off anywhere, changed anywhere: an answer, never a crash. */
static void survives_damage(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(BIG);

    assert_int_equal(clm_pkcs7_to_der(s->chain, &der, NULL), CLM_OK);
    for (size_t i = 0; i < der.len; i++) {
        uint8_t *copy = malloc(der.len);
        struct clm_cert_chain *chain = NULL;

        assert_non_null(copy);
        memcpy(copy, der.data, der.len);
        copy[i] ^= (uint8_t)(1u << (i % 8));
        clm_ignore(clm_cert_chain_from_any(copy, der.len, &chain, NULL));
        clm_cert_chain_free(chain);
        free(copy);
        copy = malloc(i + 1);
        assert_non_null(copy);
        memcpy(copy, der.data, i + 1);
        chain = NULL;
        if (i + 1 < der.len) {
            assert_int_not_equal(clm_cert_chain_from_any(copy, i + 1, &chain, NULL), CLM_OK);
        }
        clm_cert_chain_free(chain);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_reads_what_is_written),
        cmocka_unit_test(reads_what_openssl_writes),
        cmocka_unit_test(reads_ber),
        cmocka_unit_test(reads_any_label),
        cmocka_unit_test(reads_one_certificate_in_der),
        cmocka_unit_test(says_what_it_is_not),
        cmocka_unit_test(survives_damage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
