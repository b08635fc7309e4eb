/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/crypto/key.h"
#include "tests/unit/crypto/oracle.h"
#include "tests/unit/crypto/rfc7515_key.h"

struct world {
    struct clm_rng *rng;
    struct oracle oracle;
};

static int setup(void **state)
{
    static struct world world;

    if (clm_rng_new(&world.rng, NULL) != CLM_OK) {
        return -1;
    }
    oracle_init(&world.oracle);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    oracle_done(&w->oracle);
    clm_rng_free(w->rng);
    return 0;
}

static void names_and_types_are_one_to_one(void **state)
{
    static const char *const bad[] = {"", "rsa", "rsa-1024", "RSA-2048", "other", "ec-p256 "};

    (void)state;
    for (unsigned i = 0; i < CLM_KEY_OTHER; i++) {
        enum clm_key_type type = CLM_KEY_OTHER;

        assert_int_equal(clm_key_type_parse(clm_key_type_name((enum clm_key_type)i), &type, NULL),
                         CLM_OK);
        assert_int_equal(type, i);
    }
    assert_string_equal(clm_key_type_name(CLM_KEY_RSA_2048), "rsa-2048");
    assert_string_equal(clm_key_type_name(CLM_KEY_EC_P384), "ec-p384");
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        enum clm_key_type type;

        assert_int_equal(clm_key_type_parse(bad[i], &type, NULL), CLM_E_INVAL);
    }
}

/* What openssl writes for the same key is what we write, byte for byte. */
static void generated_keys_are_written_as_openssl_does(void **state)
{
    static const enum clm_key_type types[] = {CLM_KEY_EC_P256, CLM_KEY_EC_P384, CLM_KEY_RSA_2048,
                                              CLM_KEY_RSA_3072};
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        CLM_CLEANUP(clm_key_free_p) struct clm_key *again = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(16384);
        CLM_CLEANUP(clm_buf_done) struct clm_buf theirs = CLM_BUF_SECRET_INIT(16384);
        CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(16384);
        char hex[65];
        char hex_again[65];

        assert_int_equal(clm_key_generate(w->rng, types[i], &key, NULL), CLM_OK);
        assert_int_equal(clm_key_type_of(key), types[i]);
        assert_int_equal(clm_key_to_pem(key, &pem, NULL), CLM_OK);
        assert_int_equal(oracle_run(&w->oracle, "pkey", "-in",
                                    oracle_put(&w->oracle, "k.pem", pem.data, pem.len), "-out",
                                    oracle_put(&w->oracle, "k2.pem", NULL, 0), NULL),
                         0);
        oracle_get(&w->oracle, "k2.pem", &theirs);
        assert_true(strcmp(clm_buf_str(&pem), clm_buf_str(&theirs)) == 0); /* not printed */
        assert_int_equal(clm_key_from_pem(pem.data, pem.len, &again, NULL), CLM_OK);
        assert_int_equal(clm_key_spki_sha256_hex(key, hex, NULL), CLM_OK);
        assert_int_equal(clm_key_spki_sha256_hex(again, hex_again, NULL), CLM_OK);
        assert_string_equal(hex, hex_again);
        assert_int_equal(oracle_run(&w->oracle, "pkey", "-pubout", "-outform", "DER", "-in",
                                    oracle_put(&w->oracle, "k.pem", NULL, 0), "-out",
                                    oracle_put(&w->oracle, "k.der", NULL, 0), NULL),
                         0);
        oracle_get(&w->oracle, "k.der", &theirs);
        assert_int_equal(clm_key_public_der(key, &spki, NULL), CLM_OK);
        assert_int_equal(spki.len, theirs.len);
        assert_memory_equal(spki.data, theirs.data, spki.len);
    }
}

static void two_generated_keys_differ(void **state)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *a = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *b = NULL;
    struct world *w = *state;
    char hex_a[65];
    char hex_b[65];

    assert_int_equal(clm_key_generate(w->rng, CLM_KEY_EC_P256, &a, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(w->rng, CLM_KEY_EC_P256, &b, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(a, hex_a, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(b, hex_b, NULL), CLM_OK);
    assert_string_not_equal(hex_a, hex_b);
    assert_int_equal(clm_key_generate(w->rng, CLM_KEY_OTHER, &a, NULL), CLM_E_INVAL);
}

static void known_key_has_the_known_public_half(void **state)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    char hex[65];
    char x[CLM_JWK_COORD_SIZE];
    char y[CLM_JWK_COORD_SIZE];

    (void)state;
    assert_int_equal(clm_key_from_pem(RFC7515_PEM, strlen(RFC7515_PEM), &key, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(key, hex, NULL), CLM_OK);
    assert_string_equal(hex, RFC7515_SPKI);
    assert_int_equal(clm_key_public_xy(key, x, y, NULL), CLM_OK);
    assert_string_equal(x, RFC7515_X);
    assert_string_equal(y, RFC7515_Y);
}

/* Each a way people store keys: made by openssl with these arguments. */
static void every_unencrypted_form_is_read(void **state)
{
    static const struct {
        const char *argv[8];
        const char *label;
        const char *prefix;
        enum clm_key_type type;
    } cases[] = {
        {{"ecparam", "-genkey", "-name", "prime256v1"}, "EC PRIVATE KEY", "", CLM_KEY_EC_P256},
        {{"ecparam", "-genkey", "-name", "secp384r1", "-noout"},
         "EC PRIVATE KEY",
         "# mine\n\n",
         CLM_KEY_EC_P384},
        {{"ecparam", "-genkey", "-name", "secp521r1", "-noout"},
         "EC PRIVATE KEY",
         "",
         CLM_KEY_OTHER},
        {{"genrsa", "-traditional", "2048"}, "RSA PRIVATE KEY", "text\r\n", CLM_KEY_RSA_2048},
        {{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
         "PRIVATE KEY",
         "",
         CLM_KEY_RSA_2048},
        {{"genrsa", "-traditional", "2560"}, "RSA PRIVATE KEY", "", CLM_KEY_OTHER},
    };
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(16384);
        const char *const *a = cases[i].argv;
        struct clm_err err = {0};

        assert_int_equal(oracle_run(&w->oracle, a[0], a[1], a[2], a[3], a[4], NULL), 0);
        assert_int_equal(clm_buf_add_str(&text, cases[i].prefix, NULL), CLM_OK);
        assert_int_equal(clm_buf_add(&text, w->oracle.out.data, w->oracle.out.len, NULL), CLM_OK);
        assert_non_null(strstr(clm_buf_str(&text), cases[i].label));
        if (clm_key_from_pem(text.data, text.len, &key, &err) != CLM_OK) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_int_equal(clm_key_type_of(key), cases[i].type);
    }
}

static void unsupported_keys_are_named(void **state)
{
    static const struct {
        const char *argv[8];
        const char *says;
    } cases[] = {
        {{"genpkey", "-algorithm", "ED25519"}, "neither RSA nor"},
        {{"genpkey", "-algorithm", "X25519"}, "neither RSA nor"},
        {{"genrsa", "-traditional", "1024"}, "1024 bits"},
        {{"genrsa", "-aes128", "-passout", "pass:x", "2048"}, "encrypted"},
        {{"genrsa", "-traditional", "-aes128", "-passout", "pass:x"}, "encrypted"},
        {{"ecparam", "-genkey", "-noout", "-name", "secp256k1"}, "curve"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        const char *const *a = cases[i].argv;
        struct clm_err err = {0};

        assert_int_equal(oracle_run(&w->oracle, a[0], a[1], a[2], a[3], a[4], NULL), 0);
        if (clm_key_from_pem(w->oracle.out.data, w->oracle.out.len, &key, &err) !=
                CLM_E_UNSUPPORTED ||
            strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(err.code), err.msg);
        }
    }
}

static void damaged_keys_are_refused(void **state)
{
    static const struct {
        const char *pem;
        enum clm_code code;
    } cases[] = {
        {"", CLM_E_NOTFOUND},
        {"hello", CLM_E_NOTFOUND},
        {"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n", CLM_E_NOTFOUND},
        {"-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n", CLM_E_NOTFOUND},
        {"-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n", CLM_E_PARSE},
        {"-----BEGIN PRIVATE KEY-----\nAQID\n", CLM_E_PARSE},
        {"-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n", CLM_E_PARSE},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nAQID\n-----END OPENSSH PRIVATE KEY-----\n",
         CLM_E_UNSUPPORTED},
    };
    CLM_CLEANUP(clm_buf_done) struct clm_buf large = CLM_BUF_INIT(70000);
    struct clm_key *key = NULL;

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_err err = {0};

        if (clm_key_from_pem(cases[i].pem, strlen(cases[i].pem), &key, &err) != cases[i].code) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_null(key);
    }
    assert_int_equal(clm_buf_reserve(&large, 66000, NULL), CLM_OK);
    memset(large.data, 'x', 66000);
    assert_int_equal(clm_key_from_pem(large.data, 66000, &key, NULL), CLM_E_LIMIT);
    assert_int_equal(clm_key_from_der(large.data, 20000, &key, NULL), CLM_E_LIMIT);
}

/* No cut or flipped byte may crash; a cut never gives a key. */
static void cut_and_flipped_der_is_survived(void **state)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(1000);

    (void)state;
    assert_int_equal(clm_key_from_pem(RFC7515_PEM, strlen(RFC7515_PEM), &key, NULL), CLM_OK);
    assert_int_equal(clm_key_to_der(key, &der, NULL), CLM_OK);
    for (size_t i = 0; i < der.len; i++) {
        struct clm_key *other = NULL;

        assert_int_not_equal(clm_key_from_der(der.data, i, &other, NULL), CLM_OK);
        assert_null(other);
        der.data[i] ^= 0x55;
        (void)!clm_key_from_der(der.data, der.len, &other, NULL);
        clm_key_free(other);
        der.data[i] ^= 0x55;
    }
}

static void other_types_have_no_es256(void **state)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct world *w = *state;
    uint8_t sig[CLM_ES256_SIG_SIZE];
    char x[CLM_JWK_COORD_SIZE];
    char y[CLM_JWK_COORD_SIZE];

    assert_int_equal(clm_key_generate(w->rng, CLM_KEY_EC_P384, &key, NULL), CLM_OK);
    assert_int_equal(clm_key_public_xy(key, x, y, NULL), CLM_E_INVAL);
    assert_int_equal(clm_key_sign_es256(w->rng, key, "m", 1, sig, NULL), CLM_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_types_are_one_to_one),
        cmocka_unit_test(generated_keys_are_written_as_openssl_does),
        cmocka_unit_test(two_generated_keys_differ),
        cmocka_unit_test(known_key_has_the_known_public_half),
        cmocka_unit_test(every_unencrypted_form_is_read),
        cmocka_unit_test(unsupported_keys_are_named),
        cmocka_unit_test(damaged_keys_are_refused),
        cmocka_unit_test(cut_and_flipped_der_is_survived),
        cmocka_unit_test(other_types_have_no_es256),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
