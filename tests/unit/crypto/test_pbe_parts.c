/* SPDX-License-Identifier: Apache-2.0 */
/* Schemes of encryption with a password, with one part that is wrong, missing, too large or old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/crypto/pbe.h"
#include "tests/unit/crypto/der_text.h"

static void schemes_are_read_part_by_part(void **state)
{
#define MALFORMED          "parameters of the encryption are malformed"
#define PBES2(kdf, cipher) "30{06{2a864886f70d01050d} 30{" kdf cipher "}}"
#define PBKDF2(params)     "30{06{2a864886f70d01050c} 30{" params "}}"
#define AES128(iv)         "30{06{608648016503040102} 04{" iv "}}"
#define IV                 "00000000000000000000000000000000"
    static const struct {
        const char *der;
        enum clm_code code;
        const char *msg;
    } cases[] = {
        {PBES2(PBKDF2("0400 020101"), AES128(IV)), CLM_OK, ""},
        {PBES2(PBKDF2("0400 020101 020110"), AES128(IV)), CLM_OK, ""},
        {PBES2(PBKDF2("0400 020101 020111"), AES128(IV)), CLM_E_PARSE,
         "key of 17 bytes for AES-128-CBC"},
        {PBES2(PBKDF2("0400 020101 020100"), AES128(IV)), CLM_E_PARSE, MALFORMED},
        {PBES2(PBKDF2("0400 020101 0201ff"), AES128(IV)), CLM_E_PARSE, MALFORMED},
        {PBES2(PBKDF2("0400 020101 0500"), AES128(IV)), CLM_E_PARSE, MALFORMED},
        {PBES2(PBKDF2("0400 020101 30{06{2a}}"), AES128(IV)), CLM_E_UNSUPPORTED,
         "PBKDF2 with an unknown function"},
        {PBES2(PBKDF2("0400 020101 30{}"), AES128(IV)), CLM_E_UNSUPPORTED,
         "PBKDF2 with an unknown function"},
        {PBES2(PBKDF2("0400 020101"), AES128("00")), CLM_E_PARSE, MALFORMED},
        {PBES2(PBKDF2("0400 020101"), "30{06{608648016503040102}}"), CLM_E_PARSE, MALFORMED},
        {PBES2(PBKDF2("0400 020101"), "30{06{2a}}"), CLM_E_UNSUPPORTED,
         "encryption algorithm 1.2 is not supported"},
        {PBES2(PBKDF2("0400 020101"), "30{}"), CLM_E_PARSE, MALFORMED},
        {PBES2(PBKDF2("0400 020101"), ""), CLM_E_PARSE, MALFORMED},
        {PBES2("30{}", AES128(IV)), CLM_E_PARSE, MALFORMED},
        {PBES2("30{06{2a864886f70d01050c}}", AES128(IV)), CLM_E_PARSE, MALFORMED},
        {PBES2("30{06{2a}}", AES128(IV)), CLM_E_UNSUPPORTED,
         "encryption algorithm 1.2 is not supported"},
        {"30{06{2a864886f70d01050d}}", CLM_E_PARSE, MALFORMED},
        {"30{06{2a864886f70d01050d} 30{}}", CLM_E_PARSE, MALFORMED},
        {"31{06{2a864886f70d01050d}}", CLM_E_PARSE, MALFORMED},
        {"30{06{2a864886f70d010c0103}}", CLM_E_PARSE, MALFORMED},
        {"30{06{2a864886f70d010c0103} 30{0400}}", CLM_E_PARSE, MALFORMED},
        {"30{06{2a864886f70d010c0103} 30{0400 020101}}", CLM_OK, ""},
        {"30{06{" DER_8(DER_8("01")) "}}", CLM_E_UNSUPPORTED, NULL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", cases[i].der);
        struct clm_der_reader r = clm_der_reader_of(der.data, der.len);
        struct clm_tlv alg = {0};
        struct clm_pbe pbe;
        struct clm_err err = {0};

        assert_true(clm_der_next(&r, &alg));
        if (clm_pbe_read(&alg, &pbe, &err) != cases[i].code ||
            (cases[i].msg != NULL && strcmp(err.msg, cases[i].msg) != 0)) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
}

static void salts_and_passwords_have_a_limit(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(2000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(2000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(4000);
    static const uint8_t zeros[CLM_KDF_SALT_MAX + 1];
    const struct clm_tlv sealed = {.value = zeros, .len = 8};
    struct clm_pbe pbe = {.scheme = CLM_PBE_PKCS12, .cipher = CLM_CIPHER_3DES, .iterations = 1};
    struct clm_der_reader r;
    struct clm_tlv alg = {0};
    struct clm_err err = {0};
    struct clm_der w;

    (void)state;
    assert_int_equal(clm_buf_reserve(&password, CLM_KDF_PASSWORD_MAX + 1, NULL), CLM_OK);
    memset(password.data, 'x', CLM_KDF_PASSWORD_MAX + 1);
    password.len = CLM_KDF_PASSWORD_MAX + 1;
    assert_int_equal(clm_pbe_decrypt(&pbe, &password, &sealed, &out, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "password is longer than 1024 bytes");
    password.len = 0;
    assert_int_equal(
        clm_pbe_decrypt(&pbe, &password, &(struct clm_tlv){.value = zeros}, &out, &err),
        CLM_E_PARSE);
    assert_string_equal(err.msg, "encrypted content is not of whole blocks");

    clm_der_init(&w, &der, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID("\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03"));
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_bytes(&w, CLM_DER_OCTET_STRING, zeros, sizeof(zeros));
    clm_der_small_int(&w, 1);
    clm_der_close(&w);
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
    r = clm_der_reader_of(der.data, der.len);
    assert_true(clm_der_next(&r, &alg));
    assert_int_equal(clm_pbe_read(&alg, &pbe, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "salt of 1025 bytes; at most 1024 are accepted");
}

/* Old schemes can be read. What they protected is under 3DES when it is written again. */
static void old_schemes_are_for_reading_only(void **state)
{
    static const struct clm_pbe old[] = {
        {.scheme = CLM_PBE_PBES1, .cipher = CLM_CIPHER_DES, .digest = CLM_DIGEST_MD5},
        {.scheme = CLM_PBE_PBES2, .cipher = CLM_CIPHER_DES, .digest = CLM_DIGEST_SHA1},
        {.scheme = CLM_PBE_PKCS12, .cipher = CLM_CIPHER_RC2_40, .digest = CLM_DIGEST_SHA1},
        {.scheme = CLM_PBE_PBES2, .cipher = CLM_CIPHER_RC2_64, .digest = CLM_DIGEST_SHA1},
        {.scheme = CLM_PBE_PKCS12, .cipher = CLM_CIPHER_RC2_128, .digest = CLM_DIGEST_SHA1},
    };
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(16);
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(2000);

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&text, "x", NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(old); i++) {
        struct clm_pbe now;
        struct clm_err err = {0};

        assert_int_equal(clm_pbe_encrypt(&old[i], &text, &text, &out, &err), CLM_E_UNSUPPORTED);
        assert_non_null(strstr(err.msg, " is for reading only"));
        assert_int_equal(clm_pbe_renew(&old[i], rng, &now, NULL), CLM_OK);
        assert_int_equal(now.scheme, CLM_PBE_PKCS12);
        assert_int_equal(now.cipher, CLM_CIPHER_3DES);
        assert_int_equal(now.salt_len, 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemes_are_read_part_by_part),
        cmocka_unit_test(salts_and_passwords_have_a_limit),
        cmocka_unit_test(old_schemes_are_for_reading_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
