/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made by hand, each with one part that is another than usual, as the inventory reads
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "scanners/cert_files_der.h"
#include "tests/support/torture.h"

enum part {
    VERSION,
    SERIAL,
    ALG,
    ISSUER,
    VALIDITY,
    SUBJECT,
    SPKI,
    EXTENSIONS,
    SIGNATURE_ALG,
    SIGNATURE,
    PART__COUNT
};

struct bytes {
    const char *data;
    size_t len;
};
#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

#define ECDSA_SHA256 "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define SHA1_RSA     "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
#define PSS          "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
#define CN_A         "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01\x41"
#define CN_B         "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01\x42"
#define EC           "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
#define POINT        "\x03\x03\x00\x04\x01"
#define BASIC(value) "\x06\x03\x55\x1d\x13\x04" value

static const struct bytes usual[PART__COUNT] = {
    [VERSION] = BYTES("\xa0\x03\x02\x01\x02"),
    [SERIAL] = BYTES("\x02\x01\x05"),
    [ALG] = BYTES(ECDSA_SHA256),
    [ISSUER] = BYTES(CN_A),
    [VALIDITY] = BYTES("\x30\x1e\x17\x0d"
                       "250101000000Z"
                       "\x17\x0d"
                       "260101000000Z"),
    [SUBJECT] = BYTES(CN_B),
    [SPKI] = BYTES("\x30\x1a\x30\x13" EC "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" POINT),
    [EXTENSIONS] = BYTES(""),
    [SIGNATURE_ALG] = BYTES(ECDSA_SHA256),
    [SIGNATURE] = BYTES("\x03\x02\x00\x00"),
};

struct made {
    struct clm_buf der;
    struct clm_cert_view view;
};

/* A certificate of these parts; false if it is not read. */
static bool make(const struct bytes parts[PART__COUNT], struct made *out)
{
    struct clm_der w;

    out->der = CLM_BUF_INIT(65536);
    clm_der_init(&w, &out->der, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    for (int i = 0; i < PART__COUNT; i++) {
        if (i == SIGNATURE_ALG) {
            clm_der_close(&w);
        }
        clm_der_raw(&w, parts[i].data, parts[i].len);
    }
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
    return clm_cert_view_read(out->der.data, out->der.len, &out->view);
}

/* The usual one with one part replaced. */
static bool make_with(enum part part, struct bytes value, struct made *out)
{
    struct bytes parts[PART__COUNT];

    memcpy(parts, usual, sizeof(parts));
    parts[part] = value;
    return make(parts, out);
}

static void every_part_must_be_there_in_its_form(void **state)
{
    static const struct {
        enum part part;
        struct bytes value;
    } bad[] = {
        {VERSION, BYTES("\x05\x00")},
        {SERIAL, BYTES("\x05\x00")},
        {SERIAL, BYTES("\x02\x00")},
        {ALG, BYTES("\x05\x00")},
        {ISSUER, BYTES("\x05\x00")},
        {VALIDITY, BYTES("\x05\x00")},
        {VALIDITY, BYTES("\x30\x00")},
        {VALIDITY, BYTES("\x30\x0f\x17\x0d"
                         "250101000000Z")},
        {SUBJECT, BYTES("\x05\x00")},
        {SPKI, BYTES("\x05\x00")},
        {EXTENSIONS, BYTES("\xa3\x02\x05\x00")},
        {EXTENSIONS, BYTES("\xa3\x02\x30\x00\x30")}, /* a value cut off */
        {SIGNATURE_ALG, BYTES("\x05\x00")},
        {SIGNATURE, BYTES("\x05\x00")},
        {SIGNATURE, BYTES("\x03\x02\x00\x00\x05\x00")},
    };
    struct made made;

    (void)state;
    assert_true(make(usual, &made));
    assert_false(made.view.is_ca || made.view.is_self_issued);
    clm_buf_done(&made.der);
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        if (make_with(bad[i].part, bad[i].value, &made)) {
            fail_msg("case %zu was read", i);
        }
        clm_buf_done(&made.der);
    }
    assert_true(make_with(EXTENSIONS, (struct bytes)BYTES("\x81\x01\x00\xa3\x02\x30\x00"), &made));
    clm_buf_done(&made.der); /* unique identifiers are passed over */
}

static void times_are_those_of_x509(void **state)
{
    static const struct {
        uint8_t tag;
        const char *text;
        int64_t unix_s; /* 1: refused */
    } cases[] = {
        {CLM_DER_UTC_TIME, "250101000000Z", 1735689600},
        {CLM_DER_UTC_TIME, "500101000000Z", -631152000},
        {CLM_DER_UTC_TIME, "491231235960Z", 2524608000},
        {CLM_DER_GENERALIZED_TIME, "20500101000000Z", 2524608000},
        {CLM_DER_UTF8, "250101000000Z", 1},
        {CLM_DER_UTC_TIME, "2501010000Z", 1},
        {CLM_DER_UTC_TIME, "250101000000+", 1},
        {CLM_DER_GENERALIZED_TIME, "250101000000Z", 1},
        {CLM_DER_UTC_TIME, "25/101000000Z", 1},
        {CLM_DER_UTC_TIME, "25:101000000Z", 1},
        {CLM_DER_UTC_TIME, "250001000000Z", 1},
        {CLM_DER_UTC_TIME, "251301000000Z", 1},
        {CLM_DER_UTC_TIME, "250100000000Z", 1},
        {CLM_DER_UTC_TIME, "250132000000Z", 1},
        {CLM_DER_UTC_TIME, "250101240000Z", 1},
        {CLM_DER_UTC_TIME, "250101006000Z", 1},
        {CLM_DER_UTC_TIME, "250101000061Z", 1},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_buf validity = CLM_BUF_INIT(256);
        struct clm_der w;
        struct made made;

        clm_der_init(&w, &validity, NULL);
        clm_der_open(&w, CLM_DER_SEQUENCE);
        clm_der_text(&w, CLM_DER_UTC_TIME, "010101000000Z");
        clm_der_text(&w, cases[i].tag, cases[i].text);
        clm_der_close(&w);
        assert_int_equal(clm_der_done(&w), CLM_OK);
        bool is_read =
            make_with(VALIDITY, (struct bytes){(const char *)validity.data, validity.len}, &made);
        if (is_read != (cases[i].unix_s != 1) ||
            (is_read && made.view.not_after_s != cases[i].unix_s)) {
            fail_msg("case %zu '%s'", i, cases[i].text);
        }
        clm_buf_done(&made.der);
        clm_buf_done(&validity);
    }
}

static void assert_key(struct bytes spki, const char *type, bool is_weak, size_t line)
{
    struct made made;

    assert_true(make_with(SPKI, spki, &made));
    if (strcmp(made.view.key_type, type) != 0 || made.view.is_weak_key != is_weak) {
        fail_msg("case %zu: '%s'%s", line, made.view.key_type,
                 made.view.is_weak_key ? ", weak" : "");
    }
    clm_buf_done(&made.der);
}

static void kinds_of_keys_are_told(void **state)
{
    static const struct {
        struct bytes spki;
        const char *type;
        bool is_weak;
    } cases[] = {
        {BYTES("\x30\x17\x30\x10" EC "\x06\x05\x2b\x81\x04\x00\x22\x03\x03\x00\x04\x01"), "ec-p384",
         false},
        {BYTES("\x30\x17\x30\x10" EC "\x06\x05\x2b\x81\x04\x00\x0a" POINT), "ec-k256", false},
        {BYTES("\x30\x1a\x30\x13" EC "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x01" POINT), "ec-p192",
         true},
        {BYTES("\x30\x13\x30\x0c" EC "\x06\x01\x2b" POINT), "other", false}, /* another curve */
        {BYTES("\x30\x10\x30\x09" EC POINT), "other", false},
        {BYTES("\x30\x0c\x30\x05\x06\x03\x2b\x65\x70" POINT), "ed25519", false},
        {BYTES("\x30\x0c\x30\x05\x06\x03\x2b\x65\x71" POINT), "ed448", false},
        {BYTES("\x30\x0c\x30\x05\x06\x03\x2b\x65\x72" POINT), "other", false},
        {BYTES("\x30\x00"), "other", false},
        {BYTES("\x30\x02\x30\x00"), "other", false},
        {BYTES("\x30\x0b\x30\x09\x06\x07\x2a\x86\x48\xce\x38\x04\x01"), "other", false}, /* DSA */
        {BYTES("\x30\x0d\x30\x0b" PSS), "other", false},
        {BYTES("\x30\x10\x30\x0b" PSS "\x03\x01\x00"), "other", false},
        {BYTES("\x30\x12\x30\x0b" PSS "\x03\x03\x01\x30\x00"), "other", false}, /* unused bits */
        {BYTES("\x30\x12\x30\x0b" PSS "\x03\x03\x00\x05\x00"), "other", false},
        {BYTES("\x30\x12\x30\x0b" PSS "\x03\x03\x00\x30\x00"), "other", false},
        {BYTES("\x30\x15\x30\x0b" PSS "\x03\x06\x00\x30\x03\x02\x01\x00"), "rsa-0", true},
        {BYTES("\x30\x14\x30\x0b" PSS "\x03\x05\x00\x30\x02\x02\x00"), "rsa-0", true},
        {BYTES("\x30\x15\x30\x0b" PSS "\x03\x06\x00\x30\x03\x02\x01\x05"), "rsa-3", true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_key(cases[i].spki, cases[i].type, cases[i].is_weak, i);
    }
}

/* An RSA key, or the parameters of a DSA key: a SEQUENCE with one number of len bytes. */
static void spki_of(bool is_rsa, uint8_t top, size_t len, struct clm_buf *out)
{
    uint8_t number[512];
    struct clm_der w;

    memset(number, 0xff, sizeof(number));
    number[0] = top;
    clm_der_init(&w, out, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    if (is_rsa) {
        clm_der_oid(&w, CLM_OID(CLM_OID_RSA));
        clm_der_null(&w);
        clm_der_close(&w);
        clm_der_open_bits(&w);
    } else {
        clm_der_oid(&w, CLM_OID("\x2a\x86\x48\xce\x38\x04\x01"));
    }
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_positive(&w, number, len);
    clm_der_small_int(&w, 3);
    clm_der_close(&w);
    clm_der_close(&w);
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
}

static void short_keys_are_weak(void **state)
{
    static const struct {
        bool is_rsa;
        uint8_t top;
        size_t len;
        const char *type;
        bool is_weak;
    } cases[] = {
        {true, 0x80, 256, "rsa-2048", false}, {true, 0x7f, 256, "rsa-2047", true},
        {true, 0xff, 512, "rsa-4096", false}, {true, 0x80, 128, "rsa-1024", true},
        {false, 0x80, 128, "dsa-1024", true}, {false, 0x80, 384, "dsa-3072", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_buf spki = CLM_BUF_INIT(4096);

        spki_of(cases[i].is_rsa, cases[i].top, cases[i].len, &spki);
        assert_key((struct bytes){(const char *)spki.data, spki.len}, cases[i].type,
                   cases[i].is_weak, i);
        clm_buf_done(&spki);
    }
}

static void old_hashes_are_weak_but_not_in_a_root(void **state)
{
    static const struct {
        struct bytes alg;
        bool is_weak;
    } cases[] = {
        {BYTES(ECDSA_SHA256), false},
        {BYTES(SHA1_RSA), true},
        {BYTES("\x30\x07\x06\x05\x2b\x0e\x03\x02\x1d"), true},
        {BYTES("\x30\x00"), false},
        {BYTES("\x30\x0b" PSS), true}, /* SHA-1 is what it has by default */
        {BYTES("\x30\x0d" PSS "\x30\x00"), true},
        {BYTES("\x30\x11" PSS "\x30\x04\xa0\x02\x30\x00"), false},
    };
    struct bytes root[PART__COUNT];
    struct made made;

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_true(make_with(SIGNATURE_ALG, cases[i].alg, &made));
        if (made.view.is_weak_signature != cases[i].is_weak) {
            fail_msg("case %zu", i);
        }
        clm_buf_done(&made.der);
    }
    memcpy(root, usual, sizeof(root));
    root[SUBJECT] = root[ISSUER];
    root[SIGNATURE_ALG] = (struct bytes)BYTES(SHA1_RSA);
    assert_true(make(root, &made));
    assert_true(made.view.is_self_issued && !made.view.is_weak_signature);
    clm_buf_done(&made.der);
}

static void a_ca_says_so_or_is_an_old_root(void **state)
{
    static const struct {
        struct bytes version;
        struct bytes subject;
        struct bytes extensions;
        bool is_ca;
    } cases[] = {
        {BYTES("\xa0\x03\x02\x01\x02"), BYTES(CN_B),
         BYTES("\xa3\x10\x30\x0e\x30\x0c" BASIC("\x05\x30\x03\x01\x01\xff")), true},
        {BYTES("\xa0\x03\x02\x01\x02"), BYTES(CN_B),
         BYTES("\xa3\x10\x30\x0e\x30\x0c" BASIC("\x05\x30\x03\x01\x01\x00")), false},
        {BYTES("\xa0\x03\x02\x01\x02"), BYTES(CN_B),
         BYTES("\xa3\x0f\x30\x0d\x30\x0b" BASIC("\x04\x30\x02\x01\x00")), false},
        {BYTES("\xa0\x03\x02\x01\x02"), BYTES(CN_B),
         BYTES("\xa3\x0d\x30\x0b\x30\x09" BASIC("\x02\x30\x00")), false},
        {BYTES("\xa0\x03\x02\x01\x02"), BYTES(CN_B),
         BYTES("\xa3\x0d\x30\x0b\x30\x09" BASIC("\x02\x05\x00")), false},
        {BYTES("\xa0\x03\x02\x01\x02"), BYTES(CN_A), BYTES("\xa3\x02\x30\x00"), false},
        {BYTES("\xa0\x03\x02\x01\x02"), BYTES(CN_A), BYTES(""), false},
        {BYTES(""), BYTES(CN_A), BYTES(""), true}, /* version 1 */
        {BYTES(""), BYTES(CN_B), BYTES(""), false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct bytes parts[PART__COUNT];
        struct made made;

        memcpy(parts, usual, sizeof(parts));
        parts[VERSION] = cases[i].version;
        parts[SUBJECT] = cases[i].subject;
        parts[EXTENSIONS] = cases[i].extensions;
        assert_true(make(parts, &made));
        if (made.view.is_ca != cases[i].is_ca) {
            fail_msg("case %zu", i);
        }
        clm_buf_done(&made.der);
    }
}

/* subjectAltName, with the name "a.b". */
#define SAN "\xa3\x12\x30\x10\x30\x0e\x06\x03\x55\x1d\x11\x04\x07\x30\x05\x82\x03\x61\x2e\x62"

static void names_and_serial_are_given_as_they_are_known(void **state)
{
    static const struct {
        enum part part;
        struct bytes value;
        const char *serial;
        const char *name; /* "" none */
    } cases[] = {
        {SERIAL, BYTES("\x02\x01\x00"), "00", "b"},
        {SERIAL, BYTES("\x02\x02\x00\x81"), "81", "b"},
        {SERIAL, BYTES("\x02\x02\x12\x34"), "1234", "b"},
        {SERIAL,
         BYTES("\x02\x19"
               "abcdefghijklmnopqrstuvwxy"),
         "6162636465666768696a6b6c6d6e6f707172737475", "b"},
        {SUBJECT, BYTES("\x30\x00"), "05", ""},
        {SUBJECT, BYTES("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03\x41\x20\x42"), "05",
         ""}, /* "A B" is no host */
        {EXTENSIONS, BYTES(SAN), "05", "a.b"},
        {EXTENSIONS, BYTES("\xa3\x0d\x30\x0b\x30\x09\x06\x03\x55\x1d\x11\x04\x02\x05\x00"), "05",
         "b"}, /* no list of names */
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_cert_info info;
        struct made made;

        assert_true(make_with(cases[i].part, cases[i].value, &made));
        assert_int_equal(clm_cert_view_info(&made.view, &info, NULL), CLM_OK);
        assert_string_equal(info.serial, cases[i].serial);
        assert_int_equal(info.names.dns.n, cases[i].name[0] != '\0');
        if (info.names.dns.n > 0) {
            assert_string_equal(info.names.dns.v[0], cases[i].name);
        }
        clm_cert_info_done(&info);
        clm_buf_done(&made.der);
    }
}

/* Extensions: basicConstraints of a CA and one other. */
static void extensions_with(const char *oid, struct bytes content, struct clm_buf *out)
{
    struct clm_der w;

    clm_der_init(&w, out, NULL);
    clm_der_open(&w, CLM_DER_CONTEXT_CONSTRUCTED(3));
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_raw(&w, "\x30\x0c" BASIC("\x05\x30\x03\x01\x01\xff"), 14);
    if (content.len > 0) {
        clm_der_open(&w, CLM_DER_SEQUENCE);
        clm_der_oid(&w, oid, 3);
        clm_der_bytes(&w, CLM_DER_OCTET_STRING, content.data, content.len);
        clm_der_close(&w);
    }
    clm_der_close(&w);
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
}

static void an_issuer_has_the_name_the_flag_and_the_key(void **state)
{
    static const struct {
        struct bytes subject; /* of the upper one; the lower one's issuer is A */
        struct bytes own;     /* subjectKeyIdentifier of the upper one */
        struct bytes wanted;  /* authorityKeyIdentifier of the lower one */
        bool is_issuer;
    } cases[] = {
        {BYTES(CN_A), BYTES("\x04\x02\x01\x02"), BYTES("\x30\x04\x80\x02\x01\x02"), true},
        {BYTES(CN_A), BYTES("\x04\x02\x01\x02"), BYTES("\x30\x04\x80\x02\x01\x03"), false},
        {BYTES(CN_A), BYTES("\x04\x02\x01\x02"), BYTES("\x30\x03\x80\x01\x01"), false},
        {BYTES(CN_A), BYTES("\x04\x02\x01\x02"), BYTES("\x30\x00"), true},
        {BYTES(CN_A), BYTES("\x04\x02\x01\x02"), BYTES("\x05\x00"), true},
        {BYTES(CN_A), BYTES("\x04\x02\x01\x02"), BYTES(""), true},
        {BYTES(CN_A), BYTES("\x05\x00"), BYTES("\x30\x04\x80\x02\x01\x02"), true},
        {BYTES(CN_A), BYTES(""), BYTES("\x30\x04\x80\x02\x01\x02"), true},
        {BYTES(CN_B), BYTES("\x04\x02\x01\x02"), BYTES("\x30\x04\x80\x02\x01\x02"), false},
        {BYTES("\x30\x00"), BYTES(""), BYTES(""), false},
    };
    struct made leaf;

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_buf own = CLM_BUF_INIT(256);
        struct clm_buf wanted = CLM_BUF_INIT(256);
        struct bytes parts[PART__COUNT];
        struct made upper;
        struct made lower;

        extensions_with(CLM_OID_SKI, cases[i].own, &own);
        extensions_with(CLM_OID_AKI, cases[i].wanted, &wanted);
        memcpy(parts, usual, sizeof(parts));
        parts[SUBJECT] = cases[i].subject;
        parts[EXTENSIONS] = (struct bytes){(const char *)own.data, own.len};
        assert_true(make(parts, &upper));
        assert_true(
            make_with(EXTENSIONS, (struct bytes){(const char *)wanted.data, wanted.len}, &lower));
        if (clm_cert_view_is_issuer(&upper.view, &lower.view) != cases[i].is_issuer) {
            fail_msg("case %zu", i);
        }
        clm_buf_done(&upper.der);
        clm_buf_done(&lower.der);
        clm_buf_done(&own);
        clm_buf_done(&wanted);
    }
    assert_true(make_with(SUBJECT, usual[ISSUER], &leaf)); /* the name, and no CA */
    assert_false(clm_cert_view_is_issuer(&leaf.view, &leaf.view));
    clm_buf_done(&leaf.der);
}

static enum clm_code read_info(void *arg, struct clm_err *err)
{
    struct clm_cert_info info;
    enum clm_code code = clm_cert_view_info(arg, &info, err);

    if (code == CLM_OK) {
        clm_cert_info_done(&info);
    }
    return code;
}

static void lack_of_memory_is_told(void **state)
{
    struct made made;

    (void)state;
    assert_true(make(usual, &made)); /* the name is that of the subject */
    assert_true(clm_torture(read_info, &made.view) > 0);
    clm_buf_done(&made.der);
    assert_true(make_with(EXTENSIONS, (struct bytes)BYTES(SAN), &made));
    assert_true(clm_torture(read_info, &made.view) > 0);
    clm_buf_done(&made.der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_must_be_there_in_its_form),
        cmocka_unit_test(times_are_those_of_x509),
        cmocka_unit_test(kinds_of_keys_are_told),
        cmocka_unit_test(short_keys_are_weak),
        cmocka_unit_test(old_hashes_are_weak_but_not_in_a_root),
        cmocka_unit_test(a_ca_says_so_or_is_an_old_root),
        cmocka_unit_test(names_and_serial_are_given_as_they_are_known),
        cmocka_unit_test(an_issuer_has_the_name_the_flag_and_the_key),
        cmocka_unit_test(lack_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
