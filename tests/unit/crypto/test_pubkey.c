/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/key.h"
#include "tests/unit/crypto/oracle.h"
#include "tests/unit/crypto/rfc7515_key.h"

static int setup(void **state)
{
    static struct clm_rng *rng;

    *state = NULL;
    if (clm_rng_new(&rng, NULL) != CLM_OK) {
        return -1;
    }
    *state = rng;
    return 0;
}

static int teardown(void **state)
{
    clm_rng_free(*state);
    return 0;
}

/* RFC 7515 A.3: signing input and signature as printed there. */
static void signature_of_rfc_7515_is_verified(void **state)
{
    static const char input[] =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    static const char text[] = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSAp"
                               "mWQxfKTUJqPP3-Kg6NU1Q";
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf sig = CLM_BUF_INIT(64);
    char hex[65];

    (void)state;
    assert_int_equal(clm_pubkey_from_xy(RFC7515_X, RFC7515_Y, &pubkey, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_spki_sha256_hex(pubkey, hex, NULL), CLM_OK);
    assert_string_equal(hex, RFC7515_SPKI);
    assert_int_equal(clm_b64url_decode(text, strlen(text), &sig, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_verify_es256(pubkey, input, strlen(input), sig.data, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_verify_es256(pubkey, input, strlen(input) - 1, sig.data, NULL),
                     CLM_E_CRYPTO);
    for (size_t i = 0; i < 64; i++) {
        sig.data[i] ^= 1;
        assert_int_equal(clm_pubkey_verify_es256(pubkey, input, strlen(input), sig.data, NULL),
                         CLM_E_CRYPTO);
        sig.data[i] ^= 1;
    }
}

/* R = S = 0 and the like must not be "valid for everything" (CVE-2022-21449 in another library). */
static void degenerate_signatures_are_refused(void **state)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    uint8_t sig[64] = {0};

    (void)state;
    assert_int_equal(clm_pubkey_from_xy(RFC7515_X, RFC7515_Y, &pubkey, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_verify_es256(pubkey, "m", 1, sig, NULL), CLM_E_CRYPTO);
    sig[31] = sig[63] = 1;
    assert_int_equal(clm_pubkey_verify_es256(pubkey, "m", 1, sig, NULL), CLM_E_CRYPTO);
    memset(sig, 0xff, sizeof(sig));
    assert_int_equal(clm_pubkey_verify_es256(pubkey, "m", 1, sig, NULL), CLM_E_CRYPTO);
}

/* Many messages, so that R and S with leading zeros and with the top bit set come by. */
static void what_we_sign_we_verify(void **state)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    unsigned short_ones = 0;

    assert_int_equal(clm_key_from_pem(RFC7515_PEM, strlen(RFC7515_PEM), &key, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_from_key(key, &pubkey, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_type_of(pubkey), CLM_KEY_EC_P256);
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t sig[64];

        assert_int_equal(clm_key_sign_es256(*state, key, &i, sizeof(i), sig, NULL), CLM_OK);
        assert_int_equal(clm_pubkey_verify_es256(pubkey, &i, sizeof(i), sig, NULL), CLM_OK);
        short_ones += sig[0] == 0 || sig[32] == 0;
    }
    assert_true(short_ones < 50);
}

static void coordinates_off_the_curve_are_refused(void **state)
{
    static const struct {
        const char *x;
        const char *y;
    } cases[] = {
        {RFC7515_X, RFC7515_X},
        {RFC7515_Y, RFC7515_X},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"__________________________________________8", RFC7515_Y},
        {"", ""},
        {RFC7515_X "A", RFC7515_Y},
        {"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE", RFC7515_Y},
        {"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE=", RFC7515_Y},
        {"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV", RFC7515_Y}, /* unused bits */
        {"+83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", RFC7515_Y},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_pubkey *pubkey = NULL;

        if (clm_pubkey_from_xy(cases[i].x, cases[i].y, &pubkey, NULL) != CLM_E_PARSE) {
            fail_msg("case %zu was read", i);
        }
        assert_null(pubkey);
    }
}

static void only_a_whole_spki_is_read(void **state)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(1000);
    struct clm_pubkey *pubkey = NULL;

    assert_int_equal(clm_key_generate(*state, CLM_KEY_RSA_2048, &key, NULL), CLM_OK);
    assert_int_equal(clm_key_public_der(key, &spki, NULL), CLM_OK);
    for (size_t i = 0; i < spki.len; i++) {
        assert_int_equal(clm_pubkey_from_spki(spki.data, i, &pubkey, NULL), CLM_E_PARSE);
    }
    assert_int_equal(clm_buf_add(&spki, "", 1, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_from_spki(spki.data, spki.len, &pubkey, NULL), CLM_E_PARSE);
    /* the bare RSAPublicKey inside, which Mbed TLS itself would take */
    assert_int_equal(clm_pubkey_from_spki(spki.data + 24, spki.len - 25, &pubkey, NULL),
                     CLM_E_PARSE);
    assert_int_equal(clm_pubkey_from_spki(spki.data, spki.len - 1, &pubkey, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_type_of(pubkey), CLM_KEY_RSA_2048);
    assert_int_equal(clm_pubkey_verify_es256(pubkey, "m", 1, (uint8_t[64]){0}, NULL), CLM_E_INVAL);
    clm_pubkey_free(pubkey);
}

static void foreign_algorithms_are_unsupported(void **state)
{
    static const char *const names[] = {"ED25519", "X25519"};
    struct oracle o;

    (void)state;
    oracle_init(&o);
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        struct clm_pubkey *pubkey = NULL;
        struct clm_buf der = CLM_BUF_INIT(1000);

        assert_int_equal(oracle_run(&o, "genpkey", "-algorithm", names[i], "-out",
                                    oracle_put(&o, "k.pem", NULL, 0), NULL),
                         0);
        assert_int_equal(oracle_run(&o, "pkey", "-in", oracle_put(&o, "k.pem", NULL, 0), "-pubout",
                                    "-outform", "DER", "-out", oracle_put(&o, "p.der", NULL, 0),
                                    NULL),
                         0);
        oracle_get(&o, "p.der", &der);
        assert_int_equal(clm_pubkey_from_spki(der.data, der.len, &pubkey, NULL), CLM_E_UNSUPPORTED);
        clm_buf_done(&der);
    }
    oracle_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_of_rfc_7515_is_verified),
        cmocka_unit_test(degenerate_signatures_are_refused),
        cmocka_unit_test(what_we_sign_we_verify),
        cmocka_unit_test(coordinates_off_the_curve_are_refused),
        cmocka_unit_test(only_a_whole_spki_is_read),
        cmocka_unit_test(foreign_algorithms_are_unsupported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
