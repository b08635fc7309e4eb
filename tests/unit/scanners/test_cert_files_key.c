/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys and PKCS#7 bags as bytes: what is one, whose public half can be told, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scanners/cert_files_der.h"
#include "tests/unit/crypto/der_text.h"

#define RSA          "06{2a864886f70d010101}"
#define EC           "06{2a8648ce3d0201}"
#define P256         "06{2a8648ce3d030107}"
#define ED25519      "06{2b6570}"
#define NUMBER       "02{" DER_8("11223344") "}"
#define SHORT        "02{11223344}"
#define POINT        "a1{03{0004aabb}}"
#define IN(alg, key) "30{020100 30{" alg "} 04{" key "}}"

static void keys_are_told_from_what_is_none(void **state)
{
    static const struct {
        const char *der;
        bool is_key;
        bool has_spki; /* its public half can be told */
    } rows[] = {
        {"30{020100" NUMBER "020103" NUMBER "}", true, true},
        {"30{020101" NUMBER "020103" NUMBER "}", true, true}, /* several primes */
        {IN(RSA "0500", "30{020100" NUMBER "020103" NUMBER "}"), true, true},
        {"30{020101 04{aabb} a0{" P256 "}" POINT "}", true, true},
        {IN(EC P256, "30{020101 04{aabb}" POINT "}"), true, true},
        {IN(EC, "30{020101 04{aabb} a0{" P256 "}" POINT "}"), true, true},
        {IN(EC, "30{020101 04{aabb}" POINT "}"), true, false},
        {IN(EC P256, "30{020101 04{aabb}}"), true, false},
        {IN(EC P256, "30{020101 04{aabb} a0{0500} a1{0500} a2{0500}}"), true, false},
        {IN(EC P256, "30{020102 04{aabb}" POINT "}"), true, false},
        {IN(EC P256, "30{02020101 04{aabb}" POINT "}"), true, false},
        {IN(EC P256, "30{0500 04{aabb}" POINT "}"), true, false},
        {IN(EC P256, "30{020101 0500" POINT "}"), true, false},
        {IN(EC P256, "30{020101 04{aabb} a1}"), true, false},
        {IN(ED25519, "04{aabb}"), true, false},
        {IN("06{2a03}", "30{}"), true, false},
        {IN(RSA "0500", "30{020100" SHORT "020103" NUMBER "}"), true, false},
        {IN(RSA "0500", "30{020102" NUMBER "020103" NUMBER "}"), true, false},
        {IN(RSA "0500", "30{02020001" NUMBER "020103" NUMBER "}"), true, false},
        {IN(RSA "0500", "30{0500}"), true, false},
        {IN(RSA "0500", "30{020100 0500}"), true, false},
        {IN(RSA "0500", "30{020100" NUMBER "0500}"), true, false},
        {IN(RSA "0500", "30{020100" NUMBER "020103 0500}"), true, false},
        {IN("0500", "30{}"), false, false},
        {"30{020102 30{" RSA "} 04{30{}}}", false, false},
        {"30{02020001 30{" RSA "} 04{30{}}}", false, false},
        {"30{020100 30{" RSA "} 0500}", false, false},
        {"30{020100 0500 04{30{}}}", false, false},
        {"30{}", false, false},
        {"30{020100}0500", false, false},
        {"0500", false, false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", rows[i].der);
        uint8_t spki[CLM_SHA256_SIZE];

        if (clm_is_private_key(der.data, der.len) != rows[i].is_key ||
            clm_private_spki(der.data, der.len, spki) != rows[i].has_spki) {
            fail_msg("row %zu: %s", i, rows[i].der);
        }
    }
}

/* However it is written down, a key has one public half. */
static void the_public_half_does_not_depend_on_the_form(void **state)
{
    static const char *const rsa[] = {"30{020100" NUMBER "020103" NUMBER "}",
                                      IN(RSA "0500", "30{020100" NUMBER "020103" NUMBER "}")};
    static const char *const ec[] = {"30{020101 04{aabb} a0{" P256 "}" POINT "}",
                                     IN(EC P256, "30{020101 04{aabb}" POINT "}")};
    const char *const *const pairs[] = {rsa, ec};
    uint8_t first[2][CLM_SHA256_SIZE];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(pairs); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf one = der_text("%s", pairs[i][0]);
        CLM_CLEANUP(clm_buf_done) struct clm_buf two = der_text("%s", pairs[i][1]);
        uint8_t other[CLM_SHA256_SIZE];

        assert_true(clm_private_spki(one.data, one.len, first[i]));
        assert_true(clm_private_spki(two.data, two.len, other));
        assert_memory_equal(first[i], other, CLM_SHA256_SIZE);
    }
    assert_memory_not_equal(first[0], first[1], CLM_SHA256_SIZE);
}

#define SIGNED      "06{2a864886f70d010702}"
#define BAG(inside) "30{" SIGNED "a0{30{020101 31{} 30{}" inside "}}}"

static void bags_are_told_from_what_is_none(void **state)
{
    static const struct {
        const char *der;
        int certs; /* -1: no bag */
    } rows[] = {
        {BAG("a0{30{} 30{0500}} 31{}"), 2},
        {BAG("31{}"), 0}, /* of revocation lists */
        {BAG(""), 0},
        {"0500", -1},
        {"30{}", -1},
        {"30{06{2a03} a0{}}", -1},
        {"30{" SIGNED "}", -1},
        {"30{" SIGNED "a0{}}", -1},
        {"30{" SIGNED "a0{30{}}}", -1},
        {"30{" SIGNED "a0{30{020101}}}", -1},
        {"30{" SIGNED "a0{30{020101 31{}}}}", -1},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", rows[i].der);
        struct clm_der_reader certs;
        struct clm_tlv tlv;
        int n = -1;

        if (clm_pkcs7_certs(der.data, der.len, &certs)) {
            for (n = 0; clm_der_next(&certs, &tlv);) {
                n++;
            }
        }
        if (n != rows[i].certs) {
            fail_msg("row %zu: %d", i, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_told_from_what_is_none),
        cmocka_unit_test(the_public_half_does_not_depend_on_the_form),
        cmocka_unit_test(bags_are_told_from_what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
