/* SPDX-License-Identifier: Apache-2.0 */
/* Files with one part that is wrong, missing or unusual, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/keystore/p12_made.h"

#define MALFORMED_BAG    "PKCS#12: a bag is malformed or cut off"
#define MALFORMED_SEALED "PKCS#12: encrypted content is malformed or cut off"
#define MALFORMED_SAFES  "PKCS#12: AuthenticatedSafe is malformed or cut off"
#define MALFORMED_AUTH   "PKCS#12: authSafe is malformed or cut off"
#define MALFORMED_CERT   "PKCS#12: a certificate is malformed or cut off"
#define MALFORMED_ATTR   "PKCS#12: an attribute of a bag is malformed or cut off"
#define MALFORMED_MAC    "PKCS#12: MAC is malformed"
#define MALFORMED_PBE    "parameters of the encryption are malformed"

/* SHA-1, 32 bytes of MAC would be too many for it */
#define SHA1_INFO(value) "30{30{06{2b0e03021a} 0500} 04{" value "}}"
#define SHA1_VALUE       "0000000000000000000000000000000000000000"
#define MAC_OF(rest)     "30{" SHA1_INFO(SHA1_VALUE) rest "}"
#define PBMAC1(params)   "30{30{30{06{2a864886f70d01050e}" params "} 04{" SHA1_VALUE "}} 0400}"
#define PBKDF2(salt)     "30{06{2a864886f70d01050c} 30{" salt "020101}}"
#define HMAC_SHA1        "30{06{2a864886f70d0207} 0500}"

static const struct {
    const char *text;
    const char *password;
    enum clm_code code;
    const char *msg;
} bad[] = {
    /* the file */
    {"30{020104}", NULL, CLM_E_UNSUPPORTED, "PKCS#12: version is not 3"},
    {"30{040103}", NULL, CLM_E_UNSUPPORTED, "PKCS#12: version is not 3"},
    {"30{020103}", NULL, CLM_E_PARSE, MALFORMED_AUTH},
    {"30{020103 30{}}", NULL, CLM_E_PARSE, MALFORMED_AUTH},
    {"30{020103 30{06{2a} a0{0400}}}", NULL, CLM_E_PARSE, MALFORMED_AUTH},
    {"30{020103 30{" DATA "}}", NULL, CLM_E_PARSE, MALFORMED_AUTH},
    {"30{020103 30{" DATA "a0{}}}", NULL, CLM_E_PARSE, MALFORMED_AUTH},
    {P12_MAC("", "0500"), NULL, CLM_E_PARSE, "PKCS#12: MacData is malformed or cut off"},
    /* MacData */
    {P12_MAC("", "30{}"), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", "30{30{}}"), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", "30{30{30{}}}"), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", "30{30{30{} 0400}}"), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", "30{30{30{06{2a}} 0400}}"), NULL, CLM_E_UNSUPPORTED,
     "PKCS#12: MAC with an unknown function"},
    {P12_MAC("", "30{" SHA1_INFO("00") "0400}"), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", MAC_OF("")), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", MAC_OF("0400 0201ff")), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", MAC_OF("0400 020100")), NULL, CLM_E_LIMIT,
     "PKCS#12: MAC of 0 iterations; 1 to 5000000 are accepted"},
    {P12_MAC("", MAC_OF("0400 0205 0100000000")), NULL, CLM_E_LIMIT,
     "PKCS#12: MAC of 4294967295 iterations; 1 to 5000000 are accepted"},
    {P12_MAC("", PBMAC1("")), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", PBMAC1("30{}")), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", PBMAC1("30{30{}}")), NULL, CLM_E_PARSE, MALFORMED_MAC},
    {P12_MAC("", PBMAC1("30{30{} 30{06{2a}}}")), NULL, CLM_E_UNSUPPORTED,
     "PKCS#12: PBMAC1 with an unknown function"},
    {P12_MAC("", PBMAC1("30{" PBKDF2("") HMAC_SHA1 "}")), NULL, CLM_E_PARSE,
     "PKCS#12: PBMAC1: " MALFORMED_PBE},
    /* AuthenticatedSafe */
    {P12("0500"), NULL, CLM_E_PARSE, MALFORMED_SAFES},
    {P12("30{}"), NULL, CLM_E_PARSE, MALFORMED_SAFES},
    {P12("30{" DATA "}"), NULL, CLM_E_PARSE, MALFORMED_SAFES},
    {P12("30{" DATA "a0{}}"), NULL, CLM_E_PARSE, "PKCS#12: SafeContents is malformed or cut off"},
    {P12("30{06{2a} a0{}}"), NULL, CLM_E_UNSUPPORTED, "PKCS#12: content of an unknown type"},
    {P12("30{06{2a864886f70d010703} a0{}}"), NULL, CLM_E_UNSUPPORTED,
     "PKCS#12: content encrypted for a certificate (public-key privacy mode) is not supported"},
    /* what is encrypted */
    {P12("30{06{2a864886f70d010706} a0{}}"), "x", CLM_E_PARSE, MALFORMED_SEALED},
    {P12("30{06{2a864886f70d010706} a0{30{}}}"), "x", CLM_E_PARSE, MALFORMED_SEALED},
    {P12("30{06{2a864886f70d010706} a0{30{020100}}}"), "x", CLM_E_PARSE, MALFORMED_SEALED},
    {P12("30{06{2a864886f70d010706} a0{30{020100 30{}}}}"), "x", CLM_E_PARSE, MALFORMED_SEALED},
    {P12("30{06{2a864886f70d010706} a0{30{020100 30{06{2a}}}}}"), "x", CLM_E_PARSE,
     MALFORMED_SEALED},
    {P12(ENCRYPTED_SAFE("", "")), "x", CLM_E_PARSE, MALFORMED_SEALED},
    {P12(ENCRYPTED_SAFE("30{06{2a}}", "")), "x", CLM_E_UNSUPPORTED,
     "encryption algorithm 1.2 is not supported"},
    {P12(ENCRYPTED_SAFE(PBE, "")), "x", CLM_E_PARSE, MALFORMED_SEALED},
    {P12(ENCRYPTED_SAFE(PBE, "a0{0500}")), "x", CLM_E_PARSE, MALFORMED_SEALED},
    {P12(ENCRYPTED_SAFE(PBE, "a0{04{01020304}}")), "x", CLM_E_PARSE,
     "encrypted content is not of whole blocks"},
    {P12(ENCRYPTED_SAFE(PBE, "80{0102030405060708}")), "x", CLM_E_CRYPTO,
     "wrong password, or the content was changed"},
    /* bags */
    {P12(SAFE("0500")), NULL, CLM_E_PARSE, MALFORMED_BAG},
    {P12(SAFE("30{}")), NULL, CLM_E_PARSE, MALFORMED_BAG},
    {P12(SAFE("30{06{2a}}")), NULL, CLM_E_PARSE, MALFORMED_BAG},
    {P12(SAFE(BAG("01", "", ""))), NULL, CLM_E_PARSE, MALFORMED_BAG},
    {P12(SAFE(BAG("01", "30{} 30{}", ""))), NULL, CLM_E_PARSE, MALFORMED_BAG},
    {P12(SAFE(BAG("01", "30{}", "0500"))), NULL, CLM_E_PARSE, MALFORMED_ATTR},
    {P12(SAFE(KEY(ATTRS("0500")))), NULL, CLM_E_PARSE, MALFORMED_ATTR},
    {P12(SAFE(KEY(ATTRS("30{}")))), NULL, CLM_E_PARSE, MALFORMED_ATTR},
    {P12(SAFE(KEY(ATTRS("30{06{2a}}")))), NULL, CLM_E_PARSE, MALFORMED_ATTR},
    {P12(SAFE(BAG("06", "0400", ""))), NULL, CLM_E_PARSE,
     "PKCS#12: a bag of bags is malformed or cut off"},
    /* certificates */
    {P12(SAFE(BAG("03", "0400", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(BAG("03", "30{}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(BAG("03", "30{06{2a864886f70d01091601}}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(BAG("03", "30{06{2a864886f70d01091601} a0{}}", ""))), NULL, CLM_E_PARSE,
     MALFORMED_CERT},
    {P12(SAFE(CERT_BAG("", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(CERT_BAG("30{}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(CERT_BAG("30{30{}}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(CERT_BAG("30{30{020101}}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(CERT_BAG("30{30{020101 30{}}}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(CERT_BAG("30{30{020101 30{} 30{}}}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    {P12(SAFE(CERT_BAG("30{30{020101 30{} 30{} 30{}}}", ""))), NULL, CLM_E_PARSE, MALFORMED_CERT},
    /* names */
    {P12(SAFE(KEY(ATTRS(NAME("004100"))))), NULL, CLM_E_PARSE,
     "PKCS#12: a friendly name is malformed"},
    {P12(SAFE(CERT("01", "02", ATTRS(NAME("00"))))), NULL, CLM_E_PARSE,
     "PKCS#12: a friendly name is malformed"},
    {P12(SAFE(KEY(ATTRS(NAME(DER_8(DER_8("ff21ff21ff21"))))))), NULL, CLM_E_LIMIT,
     "PKCS#12: a friendly name is longer than 511 bytes"},
};

/* An encrypted SafeContents that opens with "x". */
static const char *sealed_safe(struct clm_buf plain, char *dst, size_t size)
{
    char hex[2000];

    (void)snprintf(dst, size, ENCRYPTED_SAFE(PBE, "80{%s}"),
                   p12_sealed(plain, "x", hex, sizeof(hex)));
    return dst;
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = der_text("%s", bad[i].text);
        struct clm_keystore *store = NULL;
        struct clm_err err = {0};
        enum clm_code code = p12_read(&file, bad[i].password, &store, &err);

        if (code != bad[i].code || strcmp(err.msg, bad[i].msg) != 0) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

/* Each may be computed alone; it is said before the second one is. */
static void hashes_of_all_contents_are_counted_together(void **state)
{
    char sealed[4000];
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf file =
        der_text(P12("%s" ENCRYPTED_SAFE(PBE_OF("4c4b40"), "80{0102030405060708}")),
                 sealed_safe(der_text("30{}"), sealed, sizeof(sealed)));
    struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(p12_read(&file, "x", &store, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg,
                        "PKCS#12: password hashes of more than 5000000 iterations altogether");
}

/* Values of no meaning are limited like all others. */
static void values_nest_so_deep(void **state)
{
    static const struct {
        const char *before;
        enum clm_code code;
    } cases[] = {
        {DER_8("30{") DER_8("30{"), CLM_OK},
        {DER_8("30{") DER_8("30{") DER_8("30{") DER_8("30{") DER_8("30{"), CLM_E_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        static const char ends[] = DER_8("}") DER_8("}") DER_8("}") DER_8("}") DER_8("}");
        size_t depth = strlen(cases[i].before) / 3;
        CLM_CLEANUP(clm_buf_done)
        struct clm_buf file = der_text(P12(SAFE(BAG("04", "%s%s", ""))), cases[i].before,
                                       ends + sizeof(ends) - 1 - depth);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        struct clm_err err = {0};

        assert_int_equal(p12_read(&file, NULL, &store, &err), cases[i].code);
    }
}

/* What is encrypted is one SEQUENCE: nothing else counts as decrypted. */
static void what_comes_out_must_be_a_sequence(void **state)
{
    static const struct {
        const char *plain;
        enum clm_code code;
    } cases[] = {
        {"30{}", CLM_OK},
        {"30{} 00", CLM_E_CRYPTO},
        {"04{}", CLM_E_CRYPTO},
        {"3080 0000", CLM_OK}, /* BER, of indefinite length */
        {"3080 0001", CLM_E_CRYPTO},
        {"3080 0100", CLM_E_CRYPTO},
        {"3080", CLM_E_CRYPTO},
        {"3081 00 00", CLM_E_CRYPTO},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char sealed[4000];
        CLM_CLEANUP(clm_buf_done)
        struct clm_buf file = der_text(
            P12("%s"), sealed_safe(der_text("%s", cases[i].plain), sealed, sizeof(sealed)));
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        struct clm_err err = {0};
        enum clm_code code = p12_read(&file, "x", &store, &err);

        if (code != cases[i].code ||
            (code != CLM_OK &&
             strcmp(err.msg, "wrong password, or the content was changed") != 0)) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

/* ---- names, and which certificates belong to a key ---- */

/* Found by searching: names of the same hash, in the list that they are looked up in. */
#define TWIN_A "4f214eccd840dc00"
#define TWIN_B "4f204e32d989dcd7"
/* The same for ids: a pair well known of FNV-1a of 64 bits. */
#define TWIN_ID_A "38796e306959434b59486c496a342d427750716b"
#define TWIN_ID_B "4752654c55724d34774d71666739797a56334b51"

#define NAMED(utf16) CERT("01", "02", ATTRS(NAME(utf16)))

static const struct {
    const char *bags;
    const char *list;
} views[] = {
    {NAMED("0041"), "TRUSTED A 1"},
    {NAMED("00410000"), "TRUSTED A 1"}, /* some writers end it so */
    {NAMED(""), "TRUSTED  1"},
    {NAMED("0100"), "TRUSTED \xc4\x80 1"},
    {NAMED("d83dde00"), "TRUSTED \xf0\x9f\x98\x80 1"},
    {NAMED("0000 0041"), "TRUSTED \xef\xbf\xbd\x41 1"},
    {NAMED("d83d"), "TRUSTED \xef\xbf\xbd 1"},
    {NAMED("d83d 0041"), "TRUSTED \xef\xbf\xbd\x41 1"},
    {NAMED("d83d e000"), "TRUSTED \xef\xbf\xbd\xee\x80\x80 1"},
    {NAMED("dc00 0041"), "TRUSTED \xef\xbf\xbd\x41 1"},
    /* a bag with a number of nobody's, and a certificate that is not X.509 */
    {BAG("07", "30{}", "") "30{06{2a864886f70d010d0a0101} a0{30{}}}", "OTHER  0, OTHER  0"},
    {"30{06{2a} a0{30{}}}", "OTHER  0"},
    {BAG("03", "30{06{2a} a0{0400}}", ""), "OTHER  0"},
    /* by id; of several the one with the key's name */
    {KEY(ATTRS(ID("01"))) CERT("00", "01", ATTRS(ID("01"))), "KEY  1"},
    {KEY(ATTRS(ID("01") NAME("0041"))) CERT("00", "01", ATTRS(ID("01"))) CERT(
         "00", "02", ATTRS(ID("01") NAME("0042"))) CERT("00", "03", ATTRS(ID("01") NAME("0061"))),
     "KEY A 1, TRUSTED  1, TRUSTED B 1"},
    {KEY(ATTRS(ID("01"))) CERT("00", "01", ATTRS(ID("01") NAME("0042"))), "KEY  1"},
    {KEY(ATTRS(ID("01") NAME("00410042"))) CERT("00", "01", ATTRS(ID("01") NAME("0041"))),
     "KEY AB 1"},
    {KEY(ATTRS(ID(TWIN_ID_A))) CERT("00", "01", ATTRS(ID(TWIN_ID_B)))
         CERT("00", "02", ATTRS(ID(TWIN_ID_A) NAME("0041"))),
     "KEY  1, TRUSTED  1"},
    {KEY(ATTRS(ID(TWIN_ID_A))) CERT("00", "01", ATTRS(ID(TWIN_ID_B))), "KEY  0, TRUSTED  1"},
    /* by name */
    {KEY(ATTRS(NAME("0041"))) KEY("") CERT("00", "01", ATTRS(NAME("0061"))), "KEY A 1, KEY  0"},
    {KEY(ATTRS(NAME(TWIN_A))) KEY("") CERT("00", "01", ATTRS(NAME(TWIN_B)))
         CERT("00", "02", ATTRS(NAME(TWIN_A))),
     "KEY \xe4\xbc\xa1\xe4\xbb\x8c\xf0\xa0\x80\x80 1, KEY  0, "
     "TRUSTED \xe4\xbc\xa0\xe4\xb8\xb2\xf1\xb2\x93\x97 1"},
    {KEY(ATTRS(NAME(TWIN_A))) KEY("") CERT("00", "01", ATTRS(NAME(TWIN_B))),
     "KEY \xe4\xbc\xa1\xe4\xbb\x8c\xf0\xa0\x80\x80 0, KEY  0, "
     "TRUSTED \xe4\xbc\xa0\xe4\xb8\xb2\xf1\xb2\x93\x97 1"},
    /* the only key: the certificate that issued no other */
    {KEY("") CERT("01", "01", "") CERT("01", "02", ""), "KEY  2"},
    {KEY("") CERT("01", "02", ATTRS(JAVA)) CERT("01", "03", ATTRS(ID("01"))),
     "KEY  0, TRUSTED  1, TRUSTED  1"},
    {KEY("") CERT("01", "02", "") CERT("02", "01", ""), "KEY  2"}, /* each issued the other */
    {KEY("") CERT("02", "02", "") CERT("02", "02", ""), "KEY  1"},
    /* an issuer that is trusted, and there once more for the chain */
    {KEY(ATTRS(ID("01"))) CERT("02", "01", ATTRS(ID("01"))) CERT("02", "02", ATTRS(JAVA))
         CERT("02", "02", ""),
     "KEY  2, TRUSTED  1"},
    {KEY(ATTRS(ID("01"))) CERT("02", "01", ATTRS(ID("01"))) CERT("02", "02", ATTRS(JAVA))
         CERT("03", "02", ""),
     "KEY  2, TRUSTED  1, TRUSTED  1"},
    {KEY(ATTRS(ID("01"))) CERT("02", "01", ATTRS(ID("01"))) CERT("02", "02", ATTRS(JAVA))
         CERT("02", "02", ATTRS(JAVA)),
     "KEY  2, TRUSTED  1, TRUSTED  1"},
    /* a chain that would never end, and one that is too long */
    {KEY(ATTRS(ID("01"))) CERT("02", "01", ATTRS(ID("01"))) CERT("03", "02", "")
         CERT("02", "03", ""),
     "KEY  3"},
    {KEY(ATTRS(ID("01"))) CERT("02", "01", ATTRS(ID("01"))) CERT("03", "02", "")
         CERT("04", "03", "") CERT("05", "04", "") CERT("06", "05", "") CERT("07", "06", "")
             CERT("08", "07", "") CERT("09", "08", "") CERT("0a", "09", "") CERT("0b", "0a", "")
                 CERT("0c", "0b", "") CERT("0d", "0c", "") CERT("0e", "0d", "") CERT("0f", "0e", "")
                     CERT("10", "0f", "") CERT("11", "10", "") CERT("12", "11", ""),
     "KEY  16, TRUSTED  1"},
};

static void entries_are_those_that_java_sees(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(views); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = der_text(P12(SAFE("%s")), views[i].bags);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        struct clm_err err = {0};
        char list[2000];

        if (p12_read(&file, NULL, &store, &err) != CLM_OK) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        p12_list(store, list, sizeof(list));
        if (strcmp(list, views[i].list) != 0) {
            fail_msg("case %zu: %s", i, list);
        }
    }
}

/* Beyond 64 candidates nothing is looked at; the first one is as good as any. */
static void many_that_issued_each_other_end_the_search(void **state)
{
    char *pairs = test_malloc(65536);
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf file =
        der_text(P12(SAFE(KEY("") "%s")),
                 der_repeat(CERT("01", "02", "") CERT("02", "01", ""), 64, pairs, 65536));
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;

    (void)state;
    test_free(pairs);
    assert_int_equal(p12_read(&file, NULL, &store, NULL), CLM_OK);
    assert_int_equal(clm_keystore_entry(store, 0)->n_certs, 2);
}

static void dates_and_protection_are_told(void **state)
{
    static const struct {
        const char *bags;
        int64_t created_ms;
    } cases[] = {
        {KEY(ATTRS(ID("54696d652037"))), 7},
        {KEY(ATTRS(ID("54696d6520"))), 0},
        {KEY(ATTRS(ID("54494d452037"))), 0},
        {KEY(ATTRS(ID("54696d652078"))), 0},
        {KEY(ATTRS(ID("54696d6520313131313131313131313131313131313131313131"))), 0},
    };
    char sealed[4000];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done)
        struct clm_buf file = der_text(
            P12("%s"), sealed_safe(der_text("30{%s}", cases[i].bags), sealed, sizeof(sealed)));
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;

        assert_int_equal(p12_read(&file, "x", &store, NULL), CLM_OK);
        assert_int_equal(clm_keystore_entry(store, 0)->created_ms, cases[i].created_ms);
        assert_string_equal(clm_keystore_entry(store, 0)->protection, "PBE 3DES-CBC, SHA-1 1");
    }
}

static void a_sealed_key_may_be_one_nobody_opens(void **state)
{
    static const struct {
        const char *value;
        const char *protection;
        const char *msg;
    } cases[] = {
        {"0400", "malformed", "entry '': encrypted private key is malformed"},
        {"30{30{06{2a}} 0400}", "not supported",
         "entry '': encryption algorithm 1.2 is not supported"},
        {"30{" PBE "}", "malformed", "entry '': encrypted private key is malformed"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done)
        struct clm_buf file = der_text(P12(SAFE(BAG("02", "%s", ""))), cases[i].value);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        struct clm_key *key = NULL;
        struct clm_err err = {0};

        assert_int_equal(p12_read(&file, "x", &store, NULL), CLM_OK);
        assert_string_equal(clm_keystore_entry(store, 0)->protection, cases[i].protection);
        assert_int_not_equal(clm_keystore_key(store, 0, NULL, &key, &err), CLM_OK);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

/* ---- the MAC ---- */

static struct clm_buf with_mac(const struct clm_p12_mac *mac, const char *safes)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf content = der_text("30{%s}", safes);
    CLM_CLEANUP(clm_buf_done) struct clm_buf mac_der = CLM_BUF_INIT(4096);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text("x");
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    const struct clm_p12 p12 = {.mac = *mac};
    struct clm_der w;
    char hex[1000];

    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    clm_der_init(&w, &mac_der, NULL);
    assert_int_equal(clm_p12_mac_write(&w, &p12, rng, &password, &content, NULL), CLM_OK);
    assert_int_equal(clm_der_done(&w), CLM_OK);
    return der_text(P12_MAC("%s", "%s"), safes, der_hex(&mac_der, hex, sizeof(hex)));
}

/* Salts grow to 8 bytes; one iteration is what is meant when none are said. */
static void a_mac_is_made_as_it_was(void **state)
{
    static const struct {
        size_t salt_len;
        uint32_t iterations;
        size_t salt_then;
    } cases[] = {{0, 1, 8}, {9, 2, 9}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        const struct clm_p12_mac mac = {
            .kind = CLM_P12_MAC_CLASSIC,
            .digest = CLM_DIGEST_SHA1,
            .kdf = {.iterations = cases[i].iterations, .salt_len = cases[i].salt_len}};
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = with_mac(&mac, "");
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        const struct clm_p12 *p12;

        assert_int_equal(p12_read(&file, "x", &store, NULL), CLM_OK);
        p12 = store->extra;
        assert_int_equal(p12->mac.kdf.salt_len, cases[i].salt_then);
        assert_int_equal(p12->mac.kdf.iterations, cases[i].iterations);
    }
}

static void content_under_another_password_is_said(void **state)
{
    const struct clm_p12_mac mac = {.kind = CLM_P12_MAC_CLASSIC, .kdf = {.iterations = 1}};
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf file = with_mac(&mac, ENCRYPTED_SAFE(PBE, "80{0102030405060708}"));
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(p12_read(&file, "x", &store, &err), CLM_E_CRYPTO);
    assert_string_equal(err.msg,
                        "PKCS#12: content is encrypted with another password than the file");
}

/* An empty password has two forms, and each costs. */
static void both_forms_of_no_password_are_paid_for(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf none = CLM_BUF_SECRET_INIT(16);
    const struct clm_span content = {.data = (const uint8_t *)"", .len = 0};
    struct clm_p12 p12 = {.budget = 3,
                          .mac = {.kind = CLM_P12_MAC_CLASSIC,
                                  .kdf = {.iterations = 2},
                                  .value = {.data = (const uint8_t[32]){0}, .len = 32}}};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_p12_mac_check(&p12, &none, &content, &err), CLM_E_LIMIT);
    assert_int_equal(p12.budget, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(hashes_of_all_contents_are_counted_together),
        cmocka_unit_test(values_nest_so_deep),
        cmocka_unit_test(what_comes_out_must_be_a_sequence),
        cmocka_unit_test(entries_are_those_that_java_sees),
        cmocka_unit_test(many_that_issued_each_other_end_the_search),
        cmocka_unit_test(dates_and_protection_are_told),
        cmocka_unit_test(a_sealed_key_may_be_one_nobody_opens),
        cmocka_unit_test(a_mac_is_made_as_it_was),
        cmocka_unit_test(content_under_another_password_is_said),
        cmocka_unit_test(both_forms_of_no_password_are_paid_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
