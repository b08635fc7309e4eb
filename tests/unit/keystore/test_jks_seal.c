/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/cipher.h"
#include "agent/crypto/der.h"
#include "agent/crypto/digest.h"
#include "agent/keystore/jks.h"

/* targets.md 22: password changeit, salt 00..13, plain text 00..1f */
#define VECTOR                                                                                     \
    "000102030405060708090a0b0c0d0e0f1011121300bb47e36875a1c29bb5ae018aca62984f6cb0810f696d7a7567" \
    "f228cc49e32dceb10bf1d4feb125b126764fdbbb062d13811b96"
#define JKS_ALG   "300e060a2b060104012a021101010500"
#define JCEKS_OID "06092b060104012a021301"

static struct clm_buf secret(const char *text)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(1024);

    assert_int_equal(clm_buf_add_str(&buf, text, NULL), CLM_OK);
    return buf;
}

static struct clm_entry entry_of_hex(const char *hex)
{
    struct clm_entry entry = {.sealed_key = CLM_BUF_SECRET_INIT(65536)};
    size_t len = strlen(hex) / 2;

    assert_int_equal(clm_buf_reserve(&entry.sealed_key, len, NULL), CLM_OK);
    assert_int_equal(clm_hex_decode(hex, entry.sealed_key.data, len, NULL), CLM_OK);
    entry.sealed_key.len = len;
    return entry;
}

static enum clm_code unseal_hex(const char *hex, const char *password, struct clm_buf *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pass = secret(password);
    struct clm_keystore store = {.ops = &clm_jks_ops};
    struct clm_entry entry = entry_of_hex(hex);
    enum clm_code code = clm_jks_unseal(&store, &entry, &pass, out, err);

    clm_buf_done(&entry.sealed_key);
    return code;
}

static void opens_the_vector(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(1024);
    char hex[128];

    (void)state;
    assert_int_equal(unseal_hex("305a" JKS_ALG "0448" VECTOR, "changeit", &out, NULL), CLM_OK);
    clm_hex_encode(out.data, out.len, hex);
    assert_string_equal(hex, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
}

/* By JDK 17: Cipher "PBEWithMD5AndTripleDES", password changeit, 5 rounds. The second salt has equal
 * halves, which the JDK changes in its own way. */
static void opens_what_the_cipher_of_the_jdk_sealed(void **state)
{
    static const char *const cases[] = {
        "3026301a" JCEKS_OID "300d04080102030405060708020105"
        "040834315e9dc0642a71",
        "3026301a" JCEKS_OID "300d04080102030401020304020105"
        "0408d5cca78ca29ca71c",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(1024);

        assert_int_equal(unseal_hex(cases[i], "changeit", &out, NULL), CLM_OK);
        assert_int_equal(out.len, 5);
        assert_memory_equal(out.data, "\x30\x03\x02\x01\x05", 5);
    }
}

static void a_wrong_password_leaves_nothing_behind(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(1024);
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    assert_int_equal(unseal_hex("305a" JKS_ALG "0448" VECTOR, "changeiT", &out, &err),
                     CLM_E_CRYPTO);
    assert_string_equal(err.msg, "wrong password of the private key");
    assert_int_equal(out.len, 0);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *hex;
        const char *password;
        enum clm_code code;
        const char *why;
    } cases[] = {
        {"", "x", CLM_E_PARSE, "nothing"},
        {"3000", "x", CLM_E_PARSE, "empty"},
        {"3012" JKS_ALG "0400", "x", CLM_E_PARSE, "no room for salt and check"},
        {"3010" JKS_ALG, "x", CLM_E_PARSE, "nothing sealed"},
        {"300d3009060728d28fc3590a030400", "x", CLM_E_UNSUPPORTED, "another algorithm"},
        {"300f300b" JCEKS_OID "0400", "x", CLM_E_PARSE, "JCEKS without parameters"},
        {"301c3018" JCEKS_OID "300b0408010203040506070802"
         "0400",
         "x", CLM_E_PARSE, "cut rounds"},
        {"301e301a" JCEKS_OID "300d04080102030405060708020100"
         "0400",
         "x", CLM_E_LIMIT, "no round at all"},
        {"3021301d" JCEKS_OID "3010040801020304050607080204004c4b41"
         "0400",
         "x", CLM_E_LIMIT, "a round more than the limit"},
        {"301e301a" JCEKS_OID "300d04080102030405060708020101"
         "0400",
         "x", CLM_E_PARSE, "no block"},
        {"3021301a" JCEKS_OID "300d04080102030405060708020101"
         "0403010203",
         "x", CLM_E_PARSE, "part of a block"},
        {"301d3019" JCEKS_OID "300c040701020304050607020101"
         "0400",
         "x", CLM_E_PARSE, "salt too short"},
        {"3026301a" JCEKS_OID "300d04080102030405060708020101"
         "04080102030405060708",
         "x", CLM_E_CRYPTO, "wrong password"},
        {"3026301a" JCEKS_OID "300d04080102030405060708020101"
         "04080102030405060708",
         "\xc3\xbc", CLM_E_UNSUPPORTED, "password beyond ASCII"},
        {"3026301a" JCEKS_OID "300d04080102030405060708020101"
         "04080102030405060708",
         "a\tb", CLM_E_UNSUPPORTED, "password with a control character"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(1024);
        struct clm_err err = {.code = CLM_OK};
        enum clm_code code = unseal_hex(cases[i].hex, cases[i].password, &out, &err);

        if (code != cases[i].code || err.msg[0] == '\0' || out.len != 0) {
            fail_msg("case %zu (%s): %s '%s'", i, cases[i].why, clm_code_name(code), err.msg);
        }
    }
}

/* Sealed here, apart from the library: 3DES under MD5(half of the salt, password), one round. */
static struct clm_entry sealed_by_hand(const char *plain, size_t len)
{
    static const uint8_t head[] = {0x30, 0x26, 0x30, 0x1a, 0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01,
                                   0x2a, 0x02, 0x13, 0x01, 0x30, 0x0d, 0x04, 0x08, 1,    2,    3,
                                   4,    5,    6,    7,    8,    0x02, 0x01, 0x01, 0x04, 0x08};
    struct clm_entry entry = {.sealed_key = CLM_BUF_SECRET_INIT(65536)};
    struct clm_cipher_key key = {.cipher = CLM_CIPHER_3DES};
    uint8_t derived[32];

    clm_digest_of(CLM_DIGEST_MD5, "\1\2\3\4x", 5, derived);
    clm_digest_of(CLM_DIGEST_MD5, "\5\6\7\10x", 5, derived + 16);
    memcpy(key.key, derived, 24);
    memcpy(key.iv, derived + 24, 8);
    assert_int_equal(clm_buf_add(&entry.sealed_key, head, sizeof(head), NULL), CLM_OK);
    assert_int_equal(clm_cipher_encrypt(&key, (const uint8_t *)plain, len, &entry.sealed_key, NULL),
                     CLM_OK);
    return entry;
}

/* What a wrong password makes may look padded, but is no key. */
static void what_is_no_value_is_a_wrong_password(void **state)
{
    static const struct {
        const char *plain;
        size_t len;
        enum clm_code code;
    } cases[] = {
        {"\x30\x00", 2, CLM_OK},
        {"", 0, CLM_E_CRYPTO},
        {"\x30", 1, CLM_E_CRYPTO},
        {"\x31\x00", 2, CLM_E_CRYPTO},
    };
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("x");
    const struct clm_keystore store = {.ops = &clm_jceks_ops};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(1024);
        struct clm_entry entry = sealed_by_hand(cases[i].plain, cases[i].len);
        struct clm_err err = {0};

        assert_int_equal(clm_jks_unseal(&store, &entry, &password, &out, &err), cases[i].code);
        if (cases[i].code != CLM_OK) {
            assert_string_equal(err.msg, "wrong password of the private key");
            assert_int_equal(out.len, 0);
        }
        clm_buf_done(&entry.sealed_key);
    }
}

/* Each format seals a new key its own way, and goes on with what was there. */
static void seals_as_it_was(void **state)
{
    static const struct {
        const struct clm_keystore_ops *ops;
        const char *old;
        const char *protection;
    } cases[] = {
        {&clm_jks_ops, NULL, "SHA-1 key stream"},
        {&clm_jceks_ops, NULL, "PBE MD5 3DES 200000"},
        {&clm_jceks_ops, "305a" JKS_ALG "0448" VECTOR, "SHA-1 key stream"},
        {&clm_jceks_ops,
         "301e301a" JCEKS_OID "300d04080102030405060708020114"
         "0400",
         "PBE MD5 3DES 20"},
        /* nothing to go on with */
        {&clm_jks_ops, "300d3009060728d28fc3590a030400", "SHA-1 key stream"},
        {&clm_jks_ops, "3000", "SHA-1 key stream"},
    };
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("changeit");
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
    assert_int_equal(clm_key_to_der(key, &plain, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
        struct clm_keystore store = {.ops = cases[i].ops};
        struct clm_entry old = {.sealed_key = CLM_BUF_INIT(0)};
        struct clm_entry made = {.sealed_key = CLM_BUF_SECRET_INIT(65536)};
        char protection[64] = "";

        if (cases[i].old != NULL) {
            old = entry_of_hex(cases[i].old);
        }
        assert_int_equal(clm_jks_seal(&store,
                                      &(struct clm_seal){.rng = rng,
                                                         .old = cases[i].old != NULL ? &old : NULL,
                                                         .key = key,
                                                         .password = &password},
                                      &made.sealed_key, protection, NULL),
                         CLM_OK);
        assert_string_equal(protection, cases[i].protection);
        assert_int_equal(clm_jks_unseal(&store, &made, &password, &out, NULL), CLM_OK);
        assert_int_equal(out.len, plain.len);
        assert_memory_equal(out.data, plain.data, plain.len);
        clm_buf_done(&made.sealed_key);
        clm_buf_done(&old.sealed_key);
    }
}

static void jceks_refuses_a_password_the_jdk_cannot_have(void **state)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("gr\xc3\xbc\xc3\x9f");
    CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_SECRET_INIT(65536);
    const struct clm_keystore jceks = {.ops = &clm_jceks_ops};
    const struct clm_keystore jks = {.ops = &clm_jks_ops};
    struct clm_seal how = {.password = &password};
    char protection[64] = "";

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
    how.rng = rng;
    how.key = key;
    assert_int_equal(clm_jks_seal(&jceks, &how, &sealed, protection, NULL), CLM_E_UNSUPPORTED);
    assert_int_equal(clm_jks_seal(&jks, &how, &sealed, protection, NULL), CLM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_vector),
        cmocka_unit_test(opens_what_the_cipher_of_the_jdk_sealed),
        cmocka_unit_test(a_wrong_password_leaves_nothing_behind),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(what_is_no_value_is_a_wrong_password),
        cmocka_unit_test(seals_as_it_was),
        cmocka_unit_test(jceks_refuses_a_password_the_jdk_cannot_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
