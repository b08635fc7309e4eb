/* SPDX-License-Identifier: Apache-2.0 */
/* Names, extensions, requests, bags and keys with one part that is wrong, missing or unusual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/internal.h"
#include "agent/crypto/pkcs7.h"
#include "agent/crypto/pkcs8.h"
#include "tests/unit/crypto/der_text.h"

#define ATTRIBUTE(oid, value) "31{30{06{" oid "}" value "}}"
#define CN(value)             ATTRIBUTE("550403", value)
#define OU(value)             ATTRIBUTE("55040b", value)

/* ---- names ---- */

static void names_show_as_one_line(void **state)
{
    static const struct {
        const char *der;
        const char *line; /* NULL: malformed */
    } cases[] = {
        {"30{}", ""},
        {"30{" CN("0c{c2a9}") "}", "CN=\xc2\xa9"},
        {"30{" CN("0c{c285}") "}", "CN=??"}, /* a control character in two bytes */
        {"30{" CN("0c{c2}") "}", "CN=?"},
        {"30{" ATTRIBUTE("2a03", "0c{41}") "}", "1.2.3=A"},
        {"30{" ATTRIBUTE("", "0c{41}") "}", "=A"},
        {"30{} 00", NULL},
        {"31{}", NULL},
        {"30{31{}}", NULL},
        {"30{30{}}", NULL},
        {"30{31{0500}}", NULL},
        {"30{31{30{0500}}}", NULL},
        {"30{31{30{06{550403}}}}", NULL},
        {"30{31{30{06{550403} 0500 0500}}}", NULL},
        {"30{" CN("0c{41}") "0500}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", cases[i].der);
        char line[CLM_DN_TEXT_SIZE];

        if (clm_dn_text(der.data, der.len, line) != (cases[i].line != NULL) ||
            (cases[i].line != NULL && strcmp(line, cases[i].line) != 0)) {
            fail_msg("case %zu: '%s'", i, line);
        }
    }
}

/* The number of an attribute nobody knows is cut off, and its value still shows. */
static void long_numbers_of_attributes_are_cut_off(void **state)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf der =
        der_text("30{" ATTRIBUTE(DER_8(DER_8("0101")) DER_8(DER_8("0101")), "0c{41}") "}");
    char line[CLM_DN_TEXT_SIZE];

    (void)state;
    assert_true(clm_dn_text(der.data, der.len, line));
    assert_memory_equal(line, "0.1.1.1.1", 9);
    assert_string_equal(line + strlen(line) - 2, "=A");
    assert_true(strlen(line) < 128);
}

static void a_common_name_must_fit_and_be_text(void **state)
{
    static const struct {
        const char *der;
        const char *name; /* NULL: none */
    } cases[] = {
        {"30{" CN("0c{414243}") "}", "ABC"}, {"30{" CN("0c{41424344}") "}", NULL},
        {"30{" CN("0c{ff}") "}", NULL},      {"30{" OU("0c{41}") "}", NULL},
        {"30{" CN("0c{41}") "0500}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", cases[i].der);
        char name[4];

        if (clm_dn_common_name(der.data, der.len, name, sizeof(name)) != (cases[i].name != NULL)) {
            fail_msg("case %zu", i);
        }
        if (cases[i].name != NULL) {
            assert_string_equal(name, cases[i].name);
        }
    }
}

/* What no field holds is named, if someone asks. */
static void members_that_do_not_fit_are_left_out(void **state)
{
    static const struct {
        const char *der;
        const char *left_out;
    } cases[] = {
        {"30{" CN("0c{41}") "}", NULL},
        {"30{" CN("1e{00410100}") "}", NULL},
        {"30{" CN("14{41e4}") "}", NULL},
        {"30{" CN("1e{}") "}", "CN="},
        {"30{" CN("1e{0000}") "}", "CN=??"},
        {"30{" CN("0c{4100}") "}", "CN=A?"},
        {"30{" ATTRIBUTE("550406", "13{4145}") "}", NULL}, /* AE */
        {"30{" ATTRIBUTE("550406", "13{414541}") "}", "C=AEA"},
        {"30{" ATTRIBUTE("550406", "13{4061}") "}", "C=@a"},
        {"30{" ATTRIBUTE("2a03", "0c{41}") "}", "1.2.3=A"},
        {"30{" OU("0c{41}") OU("0c{42}") OU("0c{43}") OU("0c{44}") OU("0c{45}") OU("0c{46}")
             OU("0c{47}") OU("0c{48}") OU("0c{49}") "}",
         "OU=I"},
        {"30{" CN("1e{" DER_8(DER_8("4e00")) DER_8(DER_8("4e00")) DER_8(DER_8("4e00"))
                      DER_8(DER_8("4e00")) DER_8(DER_8("4e00")) DER_8(DER_8("4e00")) "}") "}",
         "CN=N?N?"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", cases[i].der);
        CLM_CLEANUP(clm_subject_done) struct clm_subject subject = {.field = {{NULL, 0}}};
        CLM_CLEANUP(clm_subject_done) struct clm_subject again = {.field = {{NULL, 0}}};
        struct clm_strs left_out = {NULL, 0};
        const char *want = cases[i].left_out;

        assert_int_equal(clm_dn_read(der.data, der.len, &subject, &left_out, NULL), CLM_OK);
        if (left_out.n != (want != NULL) ||
            (want != NULL && strncmp(left_out.v[0], want, strlen(want)) != 0)) {
            fail_msg("case %zu: %s", i, left_out.n > 0 ? left_out.v[0] : "nothing");
        }
        clm_strs_done(&left_out);
        assert_int_equal(clm_dn_read(der.data, der.len, &again, NULL, NULL), CLM_OK);
    }
}

/* ---- extensions ---- */

#define EXT(oid, value) "30{06{" oid "} 04{" value "}}"
#define SAN(names)      EXT("551d11", "30{" names "}")
#define FEATURE(value)  EXT("2b06010505070118", value)
#define BASIC(value)    EXT("551d13", value)

static void extensions_are_read_part_by_part(void **state)
{
    static const struct {
        const char *der;
        enum clm_code code;
        const char *msg;
        bool must_staple;
        bool is_ca;
    } cases[] = {
        {"30{" FEATURE("30{020105}") "}", CLM_OK, "", true, false},
        {"30{" FEATURE("30{020106}") "}", CLM_OK, "", false, false},
        {"30{" FEATURE("30{02020005}") "}", CLM_OK, "", false, false},
        {"30{" FEATURE("020105") "}", CLM_E_PARSE, "TLS features are malformed", false, false},
        {"30{" BASIC("30{0101ff}") "}", CLM_OK, "", false, true},
        {"30{" BASIC("30{010100}") "}", CLM_OK, "", false, false},
        {"30{" BASIC("30{0102ffff}") "}", CLM_OK, "", false, false},
        {"30{" BASIC("30{}") "}", CLM_OK, "", false, false},
        {"30{" BASIC("0101ff") "}", CLM_E_PARSE, "basic constraints are malformed", false, false},
        {"30{" EXT("551d11", "0500") "}", CLM_E_PARSE, "subject alternative names are malformed",
         false, false},
        {"30{" EXT("551d25", "30{0500}") "}", CLM_E_PARSE, "extended key usage is malformed", false,
         false},
        {"30{0500}", CLM_E_PARSE, "an extension is malformed", false, false},
        {"30{30{0500}}", CLM_E_PARSE, "an extension is malformed", false, false},
        {"30{30{06{2a}}}", CLM_E_PARSE, "an extension is malformed", false, false},
        {"30{30{06{2a} 0400 0500}}", CLM_E_PARSE, "an extension is malformed", false, false},
        {"30{} 00", CLM_E_PARSE, "extensions are malformed", false, false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", cases[i].der);
        CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info info = {.has_san = false};
        struct clm_err err = {0};

        if (clm_ext_read(der.data, der.len, CLM_EXT_NAMES_STRICT, &info, &err) != cases[i].code ||
            strcmp(err.msg, cases[i].msg) != 0 || info.must_staple != cases[i].must_staple ||
            info.is_ca != cases[i].is_ca) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
}

static void critical_extensions_must_be_known(void **state)
{
    static const struct {
        const char *der;
        enum clm_code code;
        const char *msg;
    } cases[] = {
        {"", CLM_OK, ""},
        {"30{}", CLM_OK, ""},
        {"30{30{06{551d11} 0101ff 0400}}", CLM_OK, ""},
        {"30{30{06{2a} 010100 0400}}", CLM_OK, ""},
        {"30{30{06{2a} 0101ff 0400}}", CLM_E_CRYPTO,
         "it has a critical extension that clients do not know"},
        {"30{30{06{2a} 01020000 0400}}", CLM_E_CRYPTO,
         "it has a critical extension that clients do not know"},
        {"30{} 00", CLM_E_PARSE, "extensions are malformed"},
        {"30{0500}", CLM_E_PARSE, "an extension is malformed"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", cases[i].der);
        struct clm_tlv found = {0};
        struct clm_err err = {0};

        if (clm_ext_check_critical(der.data, der.len, &err) != cases[i].code ||
            strcmp(err.msg, cases[i].msg) != 0) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_false(clm_ext_find(der.data, der.len, CLM_OID("\x2b"), &found));
    }
}

/* Strictly one too many is an error, else it is left out. */
static void names_of_each_kind_are_counted(void **state)
{
    static const struct {
        uint8_t tag;
        const char *before; /* a number of four digits */
        const char *behind;
        size_t max;
        enum clm_code code;
        const char *msg;
    } cases[] = {
        {0x82, "a", ".example", 1000, CLM_E_LIMIT, "more than 1000 names"},
        {0x87, "", "", 1000, CLM_E_LIMIT, "more than 1000 names"},
        {0x86, "x:", "", CLM_NAMES_MAX, CLM_E_PARSE,
         "a subject alternative name is empty, too long or not printable"},
        {0x81, "a", "@b.example", CLM_NAMES_MAX, CLM_E_PARSE,
         "subject alternative name 'a0100@b.example' is not valid"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        for (size_t more = 0; more < 2; more++) {
            CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(100000);
            struct clm_ext_info strict = {.has_san = false};
            struct clm_ext_info lenient = {.has_san = false};
            struct clm_err err = {0};
            struct clm_der w;

            clm_der_init(&w, &der, NULL);
            clm_der_open(&w, CLM_DER_SEQUENCE);
            clm_der_open(&w, CLM_DER_SEQUENCE);
            clm_der_oid(&w, CLM_OID(CLM_OID_SAN));
            clm_der_open(&w, CLM_DER_OCTET_STRING);
            clm_der_open(&w, CLM_DER_SEQUENCE);
            for (size_t n = 0; n < cases[i].max + more; n++) {
                char text[64];

                (void)snprintf(text, sizeof(text), "%s%04zu%s", cases[i].before, n,
                               cases[i].behind);
                clm_der_text(&w, cases[i].tag, text);
            }
            for (int k = 0; k < 4; k++) {
                clm_der_close(&w);
            }
            assert_int_equal(clm_der_done(&w), CLM_OK);
            if (clm_ext_read(der.data, der.len, CLM_EXT_NAMES_STRICT, &strict, &err) !=
                    (more == 0 ? CLM_OK : cases[i].code) ||
                strcmp(err.msg, more == 0 ? "" : cases[i].msg) != 0) {
                fail_msg("case %zu: %s", i, err.msg);
            }
            assert_int_equal(clm_ext_read(der.data, der.len, CLM_EXT_NAMES_LENIENT, &lenient, NULL),
                             CLM_OK);
            assert_int_equal(lenient.names.dns.n + lenient.names.ip.n + lenient.uris.n +
                                 lenient.emails.n,
                             cases[i].max);
            clm_ext_info_done(&strict);
            clm_ext_info_done(&lenient);
        }
    }
}

/* ---- requests ---- */

#define EXT_REQUEST "06{2a864886f70d01090e}"

static void attributes_of_a_request_are_read_part_by_part(void **state)
{
    static const struct {
        const char *attributes;
        enum clm_code code;
        const char *msg;
    } cases[] = {
        {"", CLM_OK, ""},
        {"a0{}", CLM_OK, ""},
        {"a0{30{06{2a} 31{}}}", CLM_OK, ""},
        {"a0{30{" EXT_REQUEST "31{30{}}}}", CLM_OK, ""},
        {"a0{0500}", CLM_E_PARSE, "attributes are malformed"},
        {"a0{30{}}", CLM_E_PARSE, "attributes are malformed"},
        {"a0{30{06{2a}}}", CLM_E_PARSE, "attributes are malformed"},
        {"a0{30{06{2a} 31{} 0500}}", CLM_E_PARSE, "attributes are malformed"},
        {"a0{30{" EXT_REQUEST "31{}}}", CLM_E_PARSE, "attributes are malformed"},
        {"a0{30{" EXT_REQUEST "31{30{} 30{}}}}", CLM_E_PARSE, "attributes are malformed"},
        {"a0{30{" EXT_REQUEST "31{30{}}} 30{" EXT_REQUEST "31{30{}}}}", CLM_E_PARSE,
         "attributes are malformed"},
        {"a0{30{" EXT_REQUEST "31{30{0500}}}}", CLM_E_PARSE, "an extension is malformed"},
        {"a1{}", CLM_E_PARSE, "not a PKCS#10 request in DER"},
    };
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(1000);
    char hex[2000];

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
    assert_int_equal(clm_pk_spki(key->pk, &spki, NULL), CLM_OK);
    (void)der_hex(&spki, hex, sizeof(hex));
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done)
        struct clm_buf info = der_text("30{020100 30{} %s %s}", hex, cases[i].attributes);
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(4000);
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {.has_other_eku = false};
        struct clm_err err = {0};
        char want[200] = "";

        assert_int_equal(clm_sign_der(rng, key, CLM_HASH_SHA256, &info, &der, NULL), CLM_OK);
        if (cases[i].code != CLM_OK) {
            (void)snprintf(want, sizeof(want), "certificate request: %s", cases[i].msg);
        }
        if (clm_csr_parse(der.data, der.len, &csr, &err) != cases[i].code ||
            strcmp(err.msg, want) != 0) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
}

/* Behind what is signed stand its algorithm, of the key's kind, and bits in whole bytes. */
static void signatures_of_a_request_have_one_form(void **state)
{
    static const struct {
        const char *rest;
        const char *msg;
    } cases[] = {
        {"30{06{2a864886f70d01010b} 0500} 03{0001}", "signature algorithm does not fit the key"},
        {"30{06{2a8648ce3d040302}} 03{0001}", "signature is not by the key in the request"},
        {"30{06{2a8648ce3d040302}} 03{00}", "not a PKCS#10 request in DER"},
        {"30{06{2a8648ce3d040302}} 03{0101}", "not a PKCS#10 request in DER"},
        {"30{06{2a8648ce3d040302}} 03{0001} 0500", "not a PKCS#10 request in DER"},
        {"30{06{2a8648ce3d040302}} 04{0001}", "not a PKCS#10 request in DER"},
        {"30{06{2a}} 03{0001}", "signature algorithm is not RSA or ECDSA with SHA-256, 384 or 512"},
    };
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(1000);
    char hex[2000];

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
    assert_int_equal(clm_pk_spki(key->pk, &spki, NULL), CLM_OK);
    (void)der_hex(&spki, hex, sizeof(hex));
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done)
        struct clm_buf der = der_text("30{30{020100 30{} %s a0{}} %s}", hex, cases[i].rest);
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {.has_other_eku = false};
        struct clm_err err = {0};

        assert_int_not_equal(clm_csr_parse(der.data, der.len, &csr, &err), CLM_OK);
        if (strcmp(err.msg + strlen("certificate request: "), cases[i].msg) != 0) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
}

/* ---- bags and keys ---- */

static enum clm_code count(void *arg, const uint8_t *der, size_t len, struct clm_err *err)
{
    (void)der;
    (void)len;
    (void)err;
    ++*(size_t *)arg;
    return CLM_OK;
}

static void bags_are_read_part_by_part(void **state)
{
#define SIGNED "06{2a864886f70d010702}"
    static const struct {
        const char *der;
        enum clm_code code;
        size_t n;
    } cases[] = {
        {"30{" SIGNED "a0{30{020101 31{} 30{} a0{30{} a1{} 30{}}}}}", CLM_OK, 2},
        {"30{" SIGNED "a0{30{020101 31{} 30{}}}}", CLM_OK, 0},
        {"30{" SIGNED "a0{30{020101 31{} 30{} a0{1f0100}}}}", CLM_E_PARSE, 0},
        {"30{" SIGNED "a0{30{020101 31{}}}}", CLM_E_PARSE, 0},
        {"30{" SIGNED "a0{30{020101}}}", CLM_E_PARSE, 0},
        {"30{" SIGNED "a0{30{}}}", CLM_E_PARSE, 0},
        {"30{" SIGNED "a0{}}", CLM_E_PARSE, 0},
        {"30{" SIGNED "}", CLM_E_PARSE, 0},
        {"30{}", CLM_E_PARSE, 0},
        {"30{06{2a}}", CLM_E_PARSE, 0},
    };
    size_t n = 0;
    struct clm_err err = {0};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = der_text("%s", cases[i].der);

        n = 0;
        memset(&err, 0, sizeof(err));
        if (clm_pkcs7_each(der.data, der.len, count, &n, &err) != cases[i].code ||
            n != cases[i].n) {
            fail_msg("case %zu: %zu, %s", i, n, err.msg);
        }
    }
    assert_int_equal(clm_pkcs7_each("", (size_t)CLM_PKCS7_MAX + 1, count, &n, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "PKCS#7 is longer than 1048576 bytes");
}

static void an_encrypted_key_wants_a_password(void **state)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf der = der_text("30{30{06{2a864886f70d010c0103} 30{0400 020101}} 04{00}}");
    struct clm_key *key = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_key_from_any(der.data, der.len, NULL, &key, &err), CLM_E_UNSUPPORTED);
    assert_string_equal(err.msg, "private key is encrypted, and no password was given");
}

/* ---- writing ---- */

static void the_first_failure_is_the_one_that_counts(void **state)
{
    for (size_t max = 0; max < 6; max++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(max);
        struct clm_err err = {0};
        struct clm_der w;

        clm_der_init(&w, &out, &err);
        clm_der_open(&w, CLM_DER_SEQUENCE);
        clm_der_positive(&w, NULL, 0); /* 02 01 00 */
        clm_der_fail(&w, CLM_E_BUG);
        clm_der_fail(&w, CLM_E_IO);
        clm_der_close(&w);
        assert_int_equal(clm_der_done(&w), max < 5 ? CLM_E_LIMIT : CLM_E_BUG);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_show_as_one_line),
        cmocka_unit_test(long_numbers_of_attributes_are_cut_off),
        cmocka_unit_test(a_common_name_must_fit_and_be_text),
        cmocka_unit_test(members_that_do_not_fit_are_left_out),
        cmocka_unit_test(extensions_are_read_part_by_part),
        cmocka_unit_test(critical_extensions_must_be_known),
        cmocka_unit_test(names_of_each_kind_are_counted),
        cmocka_unit_test(attributes_of_a_request_are_read_part_by_part),
        cmocka_unit_test(signatures_of_a_request_have_one_form),
        cmocka_unit_test(bags_are_read_part_by_part),
        cmocka_unit_test(an_encrypted_key_wants_a_password),
        cmocka_unit_test(the_first_failure_is_the_one_that_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
