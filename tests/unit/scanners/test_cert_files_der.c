/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of certificates and keys for the inventory, beside the one of Mbed TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/armor.h"
#include "scanners/cert_files_der.h"
#include "tests/support/certs.h"

#define NOW_S INT64_C(1780000000)

static int set_up(void **state)
{
    *state = clm_test_ca_new(NOW_S);
    return 0;
}

static int tear_down(void **state)
{
    clm_test_ca_free(*state);
    return 0;
}

static void to_der(const struct clm_buf *pem, struct clm_buf *der)
{
    const char *text = clm_buf_str(pem);
    size_t len = pem->len;
    struct clm_armor block;

    assert_int_equal(clm_armor_next(&text, &len, &block, NULL), CLM_OK);
    assert_int_equal(clm_armor_decode(&block, der, NULL), CLM_OK);
}

static void the_reader_here_and_the_one_of_mbed_tls_agree(void **state)
{
    struct clm_test_ca *ca = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_cert_view view;
    struct clm_cert_info here;
    struct clm_cert_info there;
    struct clm_test_leaf leaf;

    clm_test_leaf_make(ca, "www.example,api.example,192.0.2.1", CLM_TEST_GOOD, &leaf);
    to_der(&leaf.leaf_pem, &der);
    assert_true(clm_cert_view_read(der.data, der.len, &view));
    assert_int_equal(clm_cert_view_info(&view, &here, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_der(der.data, der.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_info(chain, 0, &there, NULL), CLM_OK);
    assert_string_equal(here.sha256, there.sha256);
    assert_string_equal(here.spki_sha256, there.spki_sha256);
    assert_string_equal(here.serial, there.serial);
    assert_string_equal(here.subject, there.subject);
    assert_string_equal(here.issuer, there.issuer);
    assert_string_equal(here.key_type, there.key_type);
    assert_true(here.not_before_s == there.not_before_s && here.not_after_s == there.not_after_s);
    assert_int_equal(here.names.dns.n, there.names.dns.n);
    assert_int_equal(here.names.ip.n, 1);
    /* and every beginning of it is refused, without reading behind its end */
    for (size_t len = 0; len < der.len; len++) {
        uint8_t *cut = malloc(len == 0 ? 1 : len);

        assert_non_null(cut);
        memcpy(cut, der.data, len);
        assert_false(clm_cert_view_read(cut, len, &view));
        free(cut);
    }
    clm_cert_info_done(&here);
    clm_cert_info_done(&there);
    clm_test_leaf_done(&leaf);
}

static void a_changed_byte_never_breaks_the_reader(void **state)
{
    struct clm_test_ca *ca = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(65536);
    struct clm_test_leaf leaf;
    uint8_t spki[CLM_SHA256_SIZE];

    clm_test_leaf_make(ca, "www.example", CLM_TEST_GOOD, &leaf);
    to_der(&leaf.leaf_pem, &der);
    for (size_t i = 0; i < der.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct clm_cert_view view;
            struct clm_cert_info info;

            der.data[i] ^= (uint8_t)(1u << bit);
            if (clm_cert_view_read(der.data, der.len, &view)) {
                assert_int_equal(clm_cert_view_info(&view, &info, NULL), CLM_OK);
                (void)clm_cert_view_is_issuer(&view, &view);
                clm_cert_info_done(&info);
            }
            (void)clm_private_spki(der.data, der.len, spki);
            der.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    clm_test_leaf_done(&leaf);
}

static void keys_are_matched_by_their_public_half(void **state)
{
    static const enum clm_key_type types[] = {CLM_KEY_EC_P256, CLM_KEY_EC_P384, CLM_KEY_RSA_2048};
    struct clm_test_ca *ca = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
        uint8_t spki[CLM_SHA256_SIZE];
        char here[CLM_SHA256_HEX_SIZE];
        char there[CLM_SHA256_HEX_SIZE];

        assert_int_equal(clm_key_generate(clm_test_ca_rng(ca), types[i], &key, NULL), CLM_OK);
        assert_int_equal(clm_key_to_der(key, &der, NULL), CLM_OK);
        assert_true(clm_is_private_key(der.data, der.len));
        assert_true(clm_private_spki(der.data, der.len, spki));
        clm_hex_encode(spki, sizeof(spki), here);
        assert_int_equal(clm_key_spki_sha256_hex(key, there, NULL), CLM_OK);
        assert_string_equal(here, there);
        assert_false(clm_is_private_key(der.data, der.len - 1));
    }
}

static void issuers_are_told_by_name_key_id_and_ca_flag(void **state)
{
    struct clm_test_ca *ca = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf lower = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf upper = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_cert_view leaf;
    struct clm_cert_view issuer;
    struct clm_test_leaf made;

    clm_test_leaf_make(ca, "www.example", CLM_TEST_GOOD, &made);
    to_der(&made.leaf_pem, &lower);
    assert_int_equal(clm_buf_add_str(&text, clm_test_ca_intermediate_pem(ca), NULL), CLM_OK);
    to_der(&text, &upper);
    assert_true(clm_cert_view_read(lower.data, lower.len, &leaf));
    assert_true(clm_cert_view_read(upper.data, upper.len, &issuer));
    assert_true(issuer.is_ca && !leaf.is_ca);
    assert_true(clm_cert_view_is_issuer(&issuer, &leaf));
    assert_false(clm_cert_view_is_issuer(&leaf, &issuer));
    assert_false(clm_cert_view_is_issuer(&leaf, &leaf));
    clm_test_leaf_done(&made);
}

static void what_is_no_bag_is_no_bag(void **state)
{
    static const uint8_t junk[] = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                   0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    struct clm_der_reader r;

    (void)state;
    for (size_t len = 0; len <= sizeof(junk); len++) {
        assert_false(clm_pkcs7_certs(junk, len, &r));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_here_and_the_one_of_mbed_tls_agree),
        cmocka_unit_test(a_changed_byte_never_breaks_the_reader),
        cmocka_unit_test(keys_are_matched_by_their_public_half),
        cmocka_unit_test(issuers_are_told_by_name_key_id_and_ca_flag),
        cmocka_unit_test(what_is_no_bag_is_no_bag),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
