/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/crypto/cert.h"
#include "tests/support/certs.h"
#include "tests/support/pair.h"
#include "tests/unit/crypto/oracle.h"
#include "tests/unit/crypto/rfc7515_key.h"

#define NOW_S 1795312800 /* 2026-11-22T02:00:00Z */

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

/* A self-signed certificate by openssl with an extension of any kind; ends up in out. */
static void make_by_openssl(const char *key_option, const char *subject, const char *ext,
                            struct clm_buf *out)
{
    const char *alg = strchr(key_option, ':') != NULL ? "EC" : key_option;
    struct oracle o;
    const char *key;

    oracle_init(&o);
    key = oracle_put(&o, "k.pem", NULL, 0);
    if (strcmp(key_option, "RSA") == 0) {
        assert_int_equal(oracle_run(&o, "genrsa", "-out", key, "1024", NULL), 0);
    } else if (strcmp(alg, "EC") == 0) {
        assert_int_equal(oracle_run(&o, "genpkey", "-algorithm", "EC", "-pkeyopt", key_option,
                                    "-out", key, NULL),
                         0);
    } else {
        assert_int_equal(oracle_run(&o, "genpkey", "-algorithm", alg, "-out", key, NULL), 0);
    }
    assert_int_equal(oracle_run(&o, "req", "-x509", "-new", "-key", key, "-subj", subject,
                                "-addext", ext, "-days", "30", "-set_serial", "0x00ff01", "-out",
                                oracle_put(&o, "c.pem", NULL, 0), NULL),
                     0);
    oracle_get(&o, "c.pem", out);
    oracle_done(&o);
}

static void info_says_what_openssl_says(void **state)
{
    struct clm_test_leaf leaf;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = true};
    CLM_CLEANUP(clm_names_done) struct clm_names want = {.dns = {NULL, 0}};
    struct oracle o;
    const char *text;
    char line[128];
    char hex[65];

    clm_test_leaf_make(*state, "www.example,*.api.example,192.0.2.1,2001:db8::7", CLM_TEST_GOOD,
                       &leaf);
    clm_test_names("www.example,*.api.example,192.0.2.1,2001:db8::7", &want);
    assert_int_equal(clm_cert_chain_from_pem(leaf.leaf_pem.data, leaf.leaf_pem.len, &chain, NULL),
                     CLM_OK);
    assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
    assert_string_equal(info.subject, "CN=www.example");
    assert_string_equal(info.issuer, "CN=Test Intermediate");
    assert_int_equal(info.not_before_s, NOW_S - 30 * 86400);
    assert_int_equal(info.not_after_s, NOW_S + 60 * 86400);
    assert_string_equal(info.key_type, "ec-p256");
    assert_false(info.is_ca);
    assert_true(clm_names_is_subset(&want, &info.names, NULL));
    assert_true(clm_names_is_subset(&info.names, &want, NULL));
    assert_int_equal(clm_key_spki_sha256_hex(leaf.key, hex, NULL), CLM_OK);
    assert_string_equal(info.spki_sha256, hex);

    oracle_init(&o);
    assert_int_equal(oracle_run(&o, "x509", "-noout", "-serial", "-fingerprint", "-sha256", "-in",
                                oracle_put(&o, "c.pem", leaf.leaf_pem.data, leaf.leaf_pem.len),
                                NULL),
                     0);
    text = clm_buf_str(&o.out);
    assert_int_equal(strlen(info.serial), 32);
    for (size_t i = 0; i < 32; i++) { /* "serial=ABCD..." */
        assert_int_equal(info.serial[i], text[7 + i] >= 'A' ? text[7 + i] + 32 : text[7 + i]);
    }
    text = strstr(text, "ingerprint=") + 11; /* "AB:CD:..." */
    for (size_t i = 0; i < 64; i++) {
        char c = text[i + i / 2];

        line[i] = (char)(c >= 'A' ? c + 32 : c);
    }
    line[64] = '\0';
    assert_string_equal(info.sha256, line);
    oracle_done(&o);
    clm_test_leaf_done(&leaf);
}

static void pin_is_the_one_openssl_computes(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    const char *pem = clm_test_ca_root_pem(*state);
    char pin[CLM_PIN_SIZE];
    char want[CLM_PIN_SIZE] = "sha256/";
    struct oracle o;

    assert_int_equal(clm_cert_chain_from_pem(pem, strlen(pem), &chain, NULL), CLM_OK);
    clm_cert_pin(chain, 0, pin);
    oracle_init(&o);
    assert_int_equal(oracle_run(&o, "x509", "-pubkey", "-noout", "-in",
                                oracle_put(&o, "c.pem", pem, strlen(pem)), "-out",
                                oracle_put(&o, "p.pem", NULL, 0), NULL),
                     0);
    assert_int_equal(oracle_run(&o, "pkey", "-pubin", "-outform", "DER", "-in",
                                oracle_put(&o, "p.pem", NULL, 0), "-out",
                                oracle_put(&o, "p.der", NULL, 0), NULL),
                     0);
    assert_int_equal(oracle_run(&o, "dgst", "-sha256", "-binary", "-out",
                                oracle_put(&o, "h", NULL, 0), oracle_put(&o, "p.der", NULL, 0),
                                NULL),
                     0);
    assert_int_equal(oracle_run(&o, "base64", "-in", oracle_put(&o, "h", NULL, 0), NULL), 0);
    strncat(want, clm_buf_str(&o.out), 44);
    assert_string_equal(pin, want);
    oracle_done(&o);
}

static void text_of_every_kind_around_is_skipped(void **state)
{
    struct clm_test_leaf leaf;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(100000);
    size_t len = 0;

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_buf_addf(&text, NULL, "Bag Attributes\r\n    friendlyName: x\r\n%s\r\n",
                                  clm_buf_str(&leaf.key_pem)),
                     CLM_OK);
    for (const char *p = clm_buf_str(&leaf.full_pem); *p != '\0'; p++) { /* CRLF */
        assert_int_equal(clm_buf_add(&text, *p == '\n' ? "\r\n" : p, *p == '\n' ? 2 : 1, NULL),
                         CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&text, "# end", NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(text.data, text.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_count(chain), 2);
    assert_non_null(clm_cert_chain_der(chain, 1, &len));
    assert_in_range(len, 300, 1000);
    assert_true(is_pair(chain, 0, leaf.key));
    assert_false(is_pair(chain, 1, leaf.key));
    clm_test_leaf_done(&leaf);
}

static void key_of_another_kind_does_not_match(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *rsa = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *ec = NULL;
    const char *pem = clm_test_ca_root_pem(*state);

    assert_int_equal(clm_cert_chain_from_pem(pem, strlen(pem), &chain, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(clm_test_ca_rng(*state), CLM_KEY_RSA_2048, &rsa, NULL),
                     CLM_OK);
    assert_int_equal(clm_key_from_pem(RFC7515_PEM, strlen(RFC7515_PEM), &ec, NULL), CLM_OK);
    assert_false(is_pair(chain, 0, rsa));
    assert_false(is_pair(chain, 0, ec));
}

static void more_than_ten_are_refused(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX + 1);
    struct clm_cert_chain *chain = NULL;
    struct clm_err err = {0};

    for (int i = 0; i < CLM_CERT_CHAIN_MAX; i++) {
        assert_int_equal(clm_buf_add_str(&text, clm_test_ca_root_pem(*state), NULL), CLM_OK);
    }
    assert_int_equal(clm_cert_chain_from_pem(text.data, text.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_count(chain), 10);
    clm_cert_chain_free(chain);
    chain = NULL;
    assert_int_equal(clm_buf_add_str(&text, clm_test_ca_root_pem(*state), NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(text.data, text.len, &chain, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "certificate 11: there are more than 10");
    assert_null(chain);
    assert_int_equal(clm_buf_reserve(&text, CLM_CERT_CHAIN_PEM_MAX + 1 - text.len, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(text.data, CLM_CERT_CHAIN_PEM_MAX + 1, &chain, NULL),
                     CLM_E_LIMIT);
}

static void damaged_text_is_refused(void **state)
{
    static const struct {
        const char *pem;
        enum clm_code code;
        const char *says;
    } cases[] = {
        {"", CLM_E_NOTFOUND, "there is no certificate"},
        {RFC7515_PEM, CLM_E_NOTFOUND, "there is no certificate"},
        {"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n", CLM_E_PARSE,
         "certificate 1: it cannot be read"},
        {"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", CLM_E_PARSE,
         "certificate 1: "},
        {"-----BEGIN CERTIFICATE-----\nAQID\n", CLM_E_PARSE, "certificate 1: "},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_cert_chain *chain = NULL;
        struct clm_err err = {0};

        if (clm_cert_chain_from_pem(cases[i].pem, strlen(cases[i].pem), &chain, &err) !=
                cases[i].code ||
            strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(err.code), err.msg);
        }
        assert_null(chain);
    }
}

static void bytes_behind_a_certificate_are_refused(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(10000);
    const char *pem = clm_test_ca_root_pem(*state);
    struct clm_cert_chain *other = NULL;
    const uint8_t *bytes;
    size_t len;

    assert_int_equal(clm_cert_chain_from_pem(pem, strlen(pem), &chain, NULL), CLM_OK);
    bytes = clm_cert_chain_der(chain, 0, &len);
    assert_int_equal(clm_buf_add(&der, bytes, len, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&der, "tail", 4, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_der(der.data, der.len, &other, NULL), CLM_E_PARSE);
    for (size_t i = 0; i < len; i++) { /* no cut is read, no changed byte crashes */
        assert_int_not_equal(clm_cert_chain_from_der(der.data, i, &other, NULL), CLM_OK);
        der.data[i] ^= 0x81;
        if (clm_cert_chain_from_der(der.data, len, &other, NULL) == CLM_OK) {
            struct clm_cert_info info;

            assert_int_equal(clm_cert_info(other, 0, &info, NULL), CLM_OK);
            clm_cert_info_done(&info);
            clm_cert_chain_free(other);
            other = NULL;
        }
        der.data[i] ^= 0x81;
    }
    assert_int_equal(clm_cert_chain_from_der(der.data, len, &other, NULL), CLM_OK);
    clm_cert_chain_free(other);
}

static void unknown_critical_extensions_are_accepted(void **state)
{
    static const char *const exts[] = {
        "nameConstraints=critical,permitted;DNS:example.com",
        "1.2.3.4=critical,DER:0500",
        "policyConstraints=critical,requireExplicitPolicy:0",
        "certificatePolicies=critical,1.2.3.4.5",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(exts); i++) {
        CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(10000);
        CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
        struct clm_err err = {0};

        make_by_openssl("RSA", "/CN=Company CA", exts[i], &pem);
        if (clm_cert_chain_from_pem(pem.data, pem.len, &chain, &err) != CLM_OK) {
            fail_msg("%s: %s", exts[i], err.msg);
        }
        assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
        assert_string_equal(info.key_type, "rsa-1024");
        assert_string_equal(info.serial, "ff01");
        assert_true(info.is_ca);
    }
}

static void other_curves_and_sizes_are_shown(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};

    (void)state;
    make_by_openssl("ec_paramgen_curve:P-521", "/CN=old.example", "basicConstraints=CA:FALSE",
                    &pem);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
    assert_string_equal(info.key_type, "ec-p521");
    assert_int_equal(info.names.dns.n, 1); /* the CN stands in */
    assert_string_equal(info.names.dns.v[0], "old.example");
}

static void odd_names_are_left_out_of_the_info(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
    CLM_CLEANUP(clm_strs_done) struct clm_strs uris = {NULL, 0};

    (void)state;
    make_by_openssl("ec_paramgen_curve:P-521", "/CN=cn.example",
                    "subjectAltName=DNS:a b,DNS:Good.Example,email:x@y.example,URI:clm://t/agent/a",
                    &pem);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
    assert_int_equal(info.names.dns.n, 1); /* not the CN: there are names */
    assert_string_equal(info.names.dns.v[0], "good.example");
    assert_int_equal(clm_cert_uris(chain, 0, &uris, NULL), CLM_OK);
    assert_int_equal(uris.n, 1);
    assert_string_equal(uris.v[0], "clm://t/agent/a");
}

static void ed25519_is_unsupported(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(10000);
    struct clm_cert_chain *chain = NULL;
    struct clm_err err = {0};

    (void)state;
    make_by_openssl("ED25519", "/CN=a.example", "basicConstraints=CA:FALSE", &pem);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, &err), CLM_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "certificate 1: its key or signature algorithm is not "
                                    "supported"));
    assert_null(chain);
}

static void public_key_of_a_certificate_verifies(void **state)
{
    struct clm_test_leaf leaf;
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    uint8_t sig[64];

    clm_test_leaf_make(*state, "a.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_pubkey_from_cert_pem(leaf.leaf_pem.data, leaf.leaf_pem.len, &pubkey, NULL),
                     CLM_OK);
    assert_int_equal(clm_key_sign_es256(clm_test_ca_rng(*state), leaf.key, "m", 1, sig, NULL),
                     CLM_OK);
    assert_int_equal(clm_pubkey_verify_es256(pubkey, "m", 1, sig, NULL), CLM_OK);
    clm_test_leaf_done(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_says_what_openssl_says),
        cmocka_unit_test(pin_is_the_one_openssl_computes),
        cmocka_unit_test(text_of_every_kind_around_is_skipped),
        cmocka_unit_test(key_of_another_kind_does_not_match),
        cmocka_unit_test(more_than_ten_are_refused),
        cmocka_unit_test(damaged_text_is_refused),
        cmocka_unit_test(bytes_behind_a_certificate_are_refused),
        cmocka_unit_test(unknown_critical_extensions_are_accepted),
        cmocka_unit_test(other_curves_and_sizes_are_shown),
        cmocka_unit_test(odd_names_are_left_out_of_the_info),
        cmocka_unit_test(ed25519_is_unsupported),
        cmocka_unit_test(public_key_of_a_certificate_verifies),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
