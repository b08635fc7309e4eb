/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/crypto/armor.h"
#include "agent/crypto/pkcs7.h"
#include "agent/crypto/pkcs8.h"
#include "agent/keystore/keystore.h"
#include "agent/keystore/sniff.h"
#include "tests/support/certs.h"
#include "tests/unit/crypto/der_text.h"
#include "tests/unit/crypto/oracle.h"

#define NOW_S 1795312800 /* 2026-11-22T02:00:00Z */
#define BIG   1048576u

struct scene {
    struct clm_test_ca *ca;
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain;
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

static void assert_sniffs(const void *data, size_t len, enum clm_cert_file kind, uint32_t has)
{
    size_t n = len < CLM_SNIFF_SIZE ? len : CLM_SNIFF_SIZE;
    uint8_t *copy = malloc(n > 0 ? n : 1); /* exact, so that ASan sees a byte too many */
    struct clm_sniff sniff;

    assert_non_null(copy);
    memcpy(copy, data, n);
    sniff = clm_cert_file_sniff(copy, n);
    free(copy);
    assert_string_equal(clm_cert_file_name(sniff.kind), clm_cert_file_name(kind));
    assert_int_equal(sniff.has, has);
}

static void tells_pem_by_its_blocks(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf both = CLM_BUF_SECRET_INIT(BIG);
    CLM_CLEANUP(clm_buf_done) struct clm_buf locked = CLM_BUF_SECRET_INIT(BIG);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(16);

    assert_sniffs(s->leaf.leaf_pem.data, s->leaf.leaf_pem.len, CLM_CERT_FILE_PEM, CLM_SNIFF_CERT);
    assert_sniffs(s->leaf.key_pem.data, s->leaf.key_pem.len, CLM_CERT_FILE_PEM, CLM_SNIFF_KEY);
    assert_int_equal(clm_buf_add(&both, s->leaf.full_pem.data, s->leaf.full_pem.len, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&both, s->leaf.key_pem.data, s->leaf.key_pem.len, NULL), CLM_OK);
    assert_sniffs(both.data, both.len, CLM_CERT_FILE_PEM, CLM_SNIFF_CERT | CLM_SNIFF_KEY);
    assert_int_equal(clm_buf_add_str(&password, "changeit", NULL), CLM_OK);
    assert_int_equal(
        clm_key_to_pem_password(s->leaf.key, clm_test_ca_rng(s->ca), &password, &locked, NULL),
        CLM_OK);
    assert_sniffs(locked.data, locked.len, CLM_CERT_FILE_PEM, CLM_SNIFF_ENCRYPTED_KEY);
}

static void knows_every_label(void **state)
{
    static const struct {
        const char *text;
        uint32_t has;
    } cases[] = {
        {"-----BEGIN RSA PRIVATE KEY-----\nMIIB", CLM_SNIFF_KEY},
        {"-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n", CLM_SNIFF_ENCRYPTED_KEY},
        {"-----BEGIN EC PARAMETERS-----\nBg==\n-----END EC PARAMETERS-----\n"
         "-----BEGIN EC PRIVATE KEY-----\n",
         CLM_SNIFF_OTHER | CLM_SNIFF_KEY},
        {"-----BEGIN CERTIFICATE REQUEST-----\n", CLM_SNIFF_CSR},
        {"-----BEGIN NEW CERTIFICATE REQUEST-----\n", CLM_SNIFF_CSR},
        {"-----BEGIN X509 CRL-----\n", CLM_SNIFF_CRL},
        {"-----BEGIN PKCS7-----\n", CLM_SNIFF_PKCS7},
        {"-----BEGIN CMS-----\n", CLM_SNIFF_PKCS7},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\n", CLM_SNIFF_OTHER},
        {"-----BEGIN TRUSTED CERTIFICATE-----\n", CLM_SNIFF_CERT},
        {"# comment\n-----BEGIN CERTIFICATE-----\n", CLM_SNIFF_CERT},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_sniff sniff =
            clm_cert_file_sniff((const uint8_t *)cases[i].text, strlen(cases[i].text));

        if (sniff.kind != CLM_CERT_FILE_PEM || sniff.has != cases[i].has) {
            fail_msg("case %zu: %s %x", i, clm_cert_file_name(sniff.kind), sniff.has);
        }
    }
}

static void labels_that_lie_are_noticed(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(BIG);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(BIG);

    assert_int_equal(clm_pkcs7_to_der(s->chain, &der, NULL), CLM_OK);
    assert_sniffs(der.data, der.len, CLM_CERT_FILE_PKCS7, CLM_SNIFF_PKCS7);
    assert_int_equal(clm_armor_write("CERTIFICATE", der.data, der.len, &pem, NULL), CLM_OK);
    assert_sniffs(pem.data, pem.len, CLM_CERT_FILE_PEM, CLM_SNIFF_PKCS7);
}

/* What openssl writes in DER, of RSA and of EC. */
static void tells_der_by_its_values(void **state)
{
    static const struct {
        const char *const argv[8];
        enum clm_cert_file kind;
        uint32_t has;
    } cases[] = {
        {{"pkey", "-outform", "DER"}, CLM_CERT_FILE_DER, CLM_SNIFF_KEY},
        {{"pkcs8", "-topk8", "-nocrypt", "-outform", "DER"}, CLM_CERT_FILE_DER, CLM_SNIFF_KEY},
        {{"pkcs8", "-topk8", "-passout", "pass:x", "-outform", "DER"},
         CLM_CERT_FILE_DER,
         CLM_SNIFF_ENCRYPTED_KEY},
        {{"pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-passout", "pass:x", "-outform", "DER"},
         CLM_CERT_FILE_DER,
         CLM_SNIFF_ENCRYPTED_KEY},
        {{"pkey", "-pubout", "-outform", "DER"}, CLM_CERT_FILE_NONE, 0},
        {{"req", "-new", "-subj", "/CN=x", "-outform", "DER"}, CLM_CERT_FILE_DER, CLM_SNIFF_CSR},
        {{"req", "-new", "-x509", "-subj", "/CN=x", "-outform", "DER"},
         CLM_CERT_FILE_DER,
         CLM_SNIFF_CERT},
    };
    static const char *const keys[] = {"RSA", "EC"};

    (void)state;
    for (size_t k = 0; k < CLM_ARRAY_LEN(keys); k++) {
        struct oracle o;
        const char *key;

        oracle_init(&o);
        key = oracle_put(&o, "key.pem", NULL, 0);
        assert_int_equal(oracle_run(&o, "genpkey", "-algorithm", keys[k], "-out", key, "-pkeyopt",
                                    k == 0 ? "rsa_keygen_bits:2048" : "ec_paramgen_curve:P-256",
                                    NULL),
                         0);
        for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
            CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_SECRET_INIT(BIG);
            const char *const *a = cases[i].argv;

            if (oracle_run(&o, a[0], strcmp(a[0], "req") == 0 ? "-key" : "-in",
                           oracle_put(&o, "key.pem", NULL, 0), "-out",
                           oracle_put(&o, "out", NULL, 0), a[1], a[2], a[3], a[4], a[5], a[6], a[7],
                           NULL) != 0) {
                fail_msg("%s, case %zu: %s", keys[k], i, clm_buf_str(&o.out));
            }
            oracle_get(&o, "out", &file);
            assert_sniffs(file.data, file.len, cases[i].kind, cases[i].has);
        }
        oracle_done(&o);
    }
}

static void tells_older_keys_in_der(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_SECRET_INIT(BIG);
        const char *alg = i == 0 ? "rsa" : "ec";
        struct oracle o;
        const char *key;

        oracle_init(&o);
        key = oracle_put(&o, "key.pem", NULL, 0);
        assert_int_equal(i == 0 ? oracle_run(&o, "genrsa", "-out", key, "2048", NULL)
                                : oracle_run(&o, "ecparam", "-name", "prime256v1", "-genkey",
                                             "-noout", "-out", key, NULL),
                         0);
        assert_int_equal(oracle_run(&o, alg, "-in", key, "-outform", "DER", "-out",
                                    oracle_put(&o, "out", NULL, 0), i == 0 ? "-traditional" : NULL,
                                    NULL),
                         0);
        oracle_get(&o, "out", &file);
        assert_sniffs(file.data, file.len, CLM_CERT_FILE_DER, CLM_SNIFF_KEY);
        oracle_done(&o);
    }
}

static void tells_stores_apart(void **state)
{
    static const struct {
        const char *path;
        enum clm_cert_file kind;
    } cases[] = {
        {"tests/fixtures/keystores/java17.jks", CLM_CERT_FILE_JKS},
        {"tests/fixtures/keystores/java17.jceks", CLM_CERT_FILE_JCEKS},
        {"tests/fixtures/keystores/java17-secret.jceks", CLM_CERT_FILE_JCEKS},
    };
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf p12 = CLM_BUF_SECRET_INIT(BIG);
    struct oracle o;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_SECRET_INIT(BIG);

        assert_int_equal(clm_fs_read(cases[i].path, BIG, &file, NULL), CLM_OK);
        assert_sniffs(file.data, file.len, cases[i].kind, 0);
    }
    oracle_init(&o);
    assert_int_equal(oracle_run(&o, "pkcs12", "-export", "-inkey",
                                oracle_put(&o, "k", s->leaf.key_pem.data, s->leaf.key_pem.len),
                                "-in",
                                oracle_put(&o, "c", s->leaf.full_pem.data, s->leaf.full_pem.len),
                                "-passout", "pass:x", "-out", oracle_put(&o, "p", NULL, 0), NULL),
                     0);
    oracle_get(&o, "p", &p12);
    assert_sniffs(p12.data, p12.len, CLM_CERT_FILE_PKCS12, 0);
    oracle_done(&o);
    assert_sniffs("\0\0\0\2\0\0\0\x14xxxxxxxxxxxxxxxxxxxx", 28, CLM_CERT_FILE_OTHER_STORE, 0);
}

/* Values that are not all here, or have something else in one place. */
static void every_part_of_a_value_counts(void **state)
{
    static const struct {
        const char *text;
        enum clm_cert_file kind;
        uint32_t has;
    } cases[] = {
        {"30{30{02{01} 30{} 30{} 30{1700}}} 00", CLM_CERT_FILE_DER, CLM_SNIFF_CERT},
        {"30{30{02{01} 30{} 30{} 30{1800}}} 00", CLM_CERT_FILE_DER, CLM_SNIFF_CERT},
        {"30{30{02{01} 30{} 30{} 30{1900}}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{30{02{00} 30{} 30{30{06{00}}}}} 00", CLM_CERT_FILE_DER, CLM_SNIFF_CSR},
        {"30{30{02{01} 30{} 30{30{06{00}}}}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{30{02{00} 04{} 30{30{06{00}}}}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{30{02{00} 30{} 30{04{06{00}}}}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{30{02{00} 30{} 30{30{04{00}}}}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{30{020200 00}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{02{01} 04{00} a0{}} 00", CLM_CERT_FILE_DER, CLM_SNIFF_KEY},
        {"30{02{01} 04{00} a1{}} 00", CLM_CERT_FILE_DER, CLM_SNIFF_KEY},
        {"30{02{01} 04{00} a2{}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{02{01} 05{00}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{02{00} 02{" DER_8(DER_8("01")) "}}", CLM_CERT_FILE_DER, CLM_SNIFF_KEY},
        {"30{02{00} 02{01}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{02{00} 04{01}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{30{06{2a864886f70d010501}} 04{00}}", CLM_CERT_FILE_DER, CLM_SNIFF_ENCRYPTED_KEY},
        {"30{30{06{2a864886f70d010c0101}} 04{00}}", CLM_CERT_FILE_DER, CLM_SNIFF_ENCRYPTED_KEY},
        {"30{30{06{2a864886f70d010c0101}} 05{00}}", CLM_CERT_FILE_NONE, 0},
        {"30{3010 06{2a864886f70d010c0101}} 00", CLM_CERT_FILE_NONE, 0},
        {"30{30{04{2a864886f70d010c0101}} 04{00}}", CLM_CERT_FILE_NONE, 0},
        {"30{06{2a864886f70d010702} 00}", CLM_CERT_FILE_PKCS7, CLM_SNIFF_PKCS7},
        {"30{06{2a864886f70d010703} 00}", CLM_CERT_FILE_NONE, 0},
        {"30{04{2a864886f70d010702} 00}", CLM_CERT_FILE_NONE, 0},
        {"00000001 00000014", CLM_CERT_FILE_OTHER_STORE, 0},
        {"00000002 00000014", CLM_CERT_FILE_OTHER_STORE, 0},
        {"00000003 00000014", CLM_CERT_FILE_NONE, 0},
        {"30{30{30{06{2a864886f70d01050d} 00}}}", CLM_CERT_FILE_OTHER_STORE, 0},
        {"30{30{30{06{2a864886f70d010902} 00}}}", CLM_CERT_FILE_NONE, 0},
        {"30{30{04{00}}}", CLM_CERT_FILE_NONE, 0},
    };

    (void)state;
    assert_string_equal(clm_cert_file_name(CLM_CERT_FILE__COUNT), "none");
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = der_text("%s", cases[i].text);
        struct clm_sniff sniff = clm_cert_file_sniff(file.data, file.len);

        if (sniff.kind != cases[i].kind || sniff.has != cases[i].has) {
            fail_msg("case %zu: %s", i, clm_cert_file_name(sniff.kind));
        }
    }
}

static void text_is_told_by_its_lines(void **state)
{
    static const struct {
        const char *text;
        enum clm_cert_file kind;
        uint32_t has;
    } cases[] = {
        {"\r-----BEGIN CERTIFICATE-----\nMA==\n", CLM_CERT_FILE_PEM, CLM_SNIFF_CERT},
        {"x-----BEGIN X-----\n-----BEGIN PKCS7-----\n", CLM_CERT_FILE_PEM, CLM_SNIFF_PKCS7},
        {"-----BEGIN CERT\nIFICATE-----\n", CLM_CERT_FILE_NONE, 0},
        {"-----BEGIN CERTIFICATE-----\r\nM IIB\n", CLM_CERT_FILE_PEM, CLM_SNIFF_CERT},
        {"-----BEGIN CERTIFICATE-----\nMII*", CLM_CERT_FILE_PEM, CLM_SNIFF_CERT},
        {"-----BEGIN CERTIFICATE-----\n", CLM_CERT_FILE_PEM, CLM_SNIFF_CERT},
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", CLM_CERT_FILE_PEM,
         CLM_SNIFF_ENCRYPTED_KEY},
        {"-----BEGIN ELSE-----\n", CLM_CERT_FILE_PEM, CLM_SNIFF_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_sniff sniff =
            clm_cert_file_sniff((const uint8_t *)cases[i].text, strlen(cases[i].text));

        if (sniff.kind != cases[i].kind || sniff.has != cases[i].has) {
            fail_msg("case %zu: %s", i, clm_cert_file_name(sniff.kind));
        }
    }
}

static void what_is_none_of_these_is_none(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } cases[] = {
        {"", 0},
        {"0", 1},
        {"hello\n", 6},
        {"\x7f"
         "ELF\2\1\1\0\0\0",
         10},
        {"\xca\xfe\xba\xbe\0\0\0\x3d", 8},
        {"\x30\x82\xff\xff\x30\x80", 6},
        {"\x30\x03\x02\x01\x03", 5},
        {"text -----BEGIN CERTIFICATE----- in a line", 41},
        {"-----BEGIN", 10},
        {"-----BEGIN CERTIFICATE", 22},
        {"\xfe\xed\xfe\xed\0\0\0\3\0\0\0\0", 12},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_sniff sniff = clm_cert_file_sniff((const uint8_t *)cases[i].data, cases[i].len);

        if (sniff.kind != CLM_CERT_FILE_NONE || sniff.has != 0) {
            fail_msg("case %zu: %s", i, clm_cert_file_name(sniff.kind));
        }
    }
}

static void says_when_more_is_needed(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(BIG);

    (void)state;
    assert_int_equal(clm_buf_add_str(&text, "Certificate:\n    Data:\n", NULL), CLM_OK);
    while (text.len < CLM_SNIFF_SIZE) {
        assert_int_equal(clm_buf_add_str(&text, "        Version: 3 (0x2)\n", NULL), CLM_OK);
    }
    assert_true(clm_cert_file_sniff(text.data, CLM_SNIFF_SIZE).wants_more);
    assert_int_equal(clm_cert_file_sniff(text.data, CLM_SNIFF_SIZE).kind, CLM_CERT_FILE_NONE);
    assert_int_equal(clm_buf_add_str(&text, "\n-----BEGIN CERTIFICATE-----\n", NULL), CLM_OK);
    assert_sniffs(text.data, 100, CLM_CERT_FILE_NONE, 0);
    assert_int_equal(clm_cert_file_sniff(text.data, text.len).has, CLM_SNIFF_CERT);
    memset(text.data, 'x', text.len);
    assert_false(clm_cert_file_sniff(text.data, text.len).wants_more);
}

/* Every beginning of every kind: an answer, never a crash. */
static void survives_damage(void **state)
{
    const struct scene *s = *state;
    size_t len = 0;
    const uint8_t *der = clm_cert_chain_der(s->chain, 0, &len);

    for (size_t i = 0; i < len; i++) {
        uint8_t *copy = malloc(i + 1);

        assert_non_null(copy);
        memcpy(copy, der, i + 1);
        clm_cert_file_sniff(copy, i + 1);
        copy[i] ^= 0x80;
        clm_cert_file_sniff(copy, i + 1);
        free(copy);
    }
    for (size_t i = 0; i < s->leaf.full_pem.len; i++) {
        uint8_t *copy = malloc(i + 1);

        assert_non_null(copy);
        memcpy(copy, s->leaf.full_pem.data, i + 1);
        clm_cert_file_sniff(copy, i + 1);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_pem_by_its_blocks),
        cmocka_unit_test(knows_every_label),
        cmocka_unit_test(labels_that_lie_are_noticed),
        cmocka_unit_test(tells_der_by_its_values),
        cmocka_unit_test(tells_older_keys_in_der),
        cmocka_unit_test(tells_stores_apart),
        cmocka_unit_test(every_part_of_a_value_counts),
        cmocka_unit_test(text_is_told_by_its_lines),
        cmocka_unit_test(what_is_none_of_these_is_none),
        cmocka_unit_test(says_when_more_is_needed),
        cmocka_unit_test(survives_damage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
