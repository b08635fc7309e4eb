/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/kdf.h"

static void hashes_and_their_hmacs(void **state)
{
    /* "abc" (RFC 1321, FIPS 180-4), and HMAC of it with the key "key" (from Python's hmac) */
    static const struct {
        enum clm_digest digest;
        const char *hash;
        const char *hmac;
    } cases[] = {
        {CLM_DIGEST_MD5, "900150983cd24fb0d6963f7d28e17f72", "d2fe98063f876b03193afb49b4979591"},
        {CLM_DIGEST_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d",
         "4fd0b215276ef12f2b3e4c8ecac2811498b656fc"},
        {CLM_DIGEST_SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
         "f524670b7e34f31467de0aa96593861cf65117d414fb2d86158d760e"},
        {CLM_DIGEST_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab"},
        {CLM_DIGEST_SHA384,
         "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca1"
         "34c825a7",
         "30ddb9c8f347cffbfb44e519d814f074cf4047a55d6f563324f1c6a33920e5ed"
         "fb2a34bac60bdc96cd33a95623d7d638"},
        {CLM_DIGEST_SHA512,
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
         "a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
         "3926a207c8c42b0c41792cbd3e1a1aaaf5f7a25704f62dfc939c4987dd7ce060"
         "009c5bb1c2447355b3216f10b537e9afa7b64a4e5391b0d631172d07939e087a"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        uint8_t out[CLM_DIGEST_SIZE_MAX];
        char hex[2 * CLM_DIGEST_SIZE_MAX + 1];
        size_t size = clm_digest_size(cases[i].digest);
        struct clm_hmac_ctx ctx;
        struct clm_hmac_ctx copy;

        clm_digest_of(cases[i].digest, "abc", 3, out);
        clm_hex_encode(out, size, hex);
        assert_string_equal(hex, cases[i].hash);
        clm_hmac_init(&ctx, cases[i].digest, "key", 3);
        for (int k = 0; k < 2; k++) { /* a copy gives the same each time */
            clm_hmac_copy(&copy, &ctx);
            clm_hmac_update(&copy, "a", 1);
            clm_hmac_update(&copy, "bc", 2);
            clm_hmac_final(&copy, out);
            clm_hex_encode(out, size, hex);
            assert_string_equal(hex, cases[i].hmac);
        }
    }
}

/* RFC 2202 3, case 6: a key longer than the block is hashed. */
static void long_keys_are_hashed(void **state)
{
    uint8_t key[80];
    uint8_t out[20];
    char hex[41];
    struct clm_hmac_ctx ctx;

    (void)state;
    memset(key, 0xaa, sizeof(key));
    clm_hmac_init(&ctx, CLM_DIGEST_SHA1, key, sizeof(key));
    clm_hmac_update(&ctx, "Test Using Larger Than Block-Size Key - Hash Key First", 54);
    clm_hmac_final(&ctx, out);
    clm_hex_encode(out, sizeof(out), hex);
    assert_string_equal(hex, "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}

struct vector {
    const char *password;
    const char *salt;
    uint32_t iterations;
    int id;
    enum clm_digest digest;
    size_t len;
    const char *out;
};

static void assert_derives(const struct vector *v)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(1024);
    CLM_CLEANUP(clm_buf_done) struct clm_buf utf16 = CLM_BUF_SECRET_INIT(2050);
    uint8_t salt[64];
    uint8_t out[64];
    char hex[129];
    struct clm_kdf in = {
        .salt = salt, .salt_len = strlen(v->salt) / 2, .iterations = v->iterations};

    assert_int_equal(clm_buf_add_str(&text, v->password, NULL), CLM_OK);
    assert_int_equal(clm_hex_decode(v->salt, salt, in.salt_len, NULL), CLM_OK);
    in.password = text.data;
    in.password_len = text.len;
    if (v->id == 0) {
        clm_pbkdf2(v->digest, &in, out, v->len);
    } else {
        assert_int_equal(clm_password_utf16(&text, true, &utf16, NULL), CLM_OK);
        in.password = utf16.data;
        in.password_len = utf16.len;
        clm_pkcs12_kdf(v->digest, (enum clm_kdf_id)v->id, &in, out, v->len);
    }
    clm_hex_encode(out, v->len, hex);
    assert_string_equal(hex, v->out);
}

/* targets.md 22 */
static void pkcs12_derivation(void **state)
{
    static const struct vector cases[] = {
        {"smeg", "0a58cf64530d823f", 1, 1, CLM_DIGEST_SHA1, 24,
         "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"},
        {"smeg", "0a58cf64530d823f", 1, 2, CLM_DIGEST_SHA1, 8, "79993dfe048d3b76"},
        {"smeg", "3d83c0e4546ac140", 1, 3, CLM_DIGEST_SHA1, 20,
         "8d967d88f6caa9d714800ab3d48051d63f73a312"},
        {"queeg", "05dec959acff72f7", 1000, 1, CLM_DIGEST_SHA1, 24,
         "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"},
        {"queeg", "11dedad7758d4860", 1000, 2, CLM_DIGEST_SHA1, 8, "cd1b5a2ca71b222d"},
        {"changeit", "0102030405060708", 2048, 1, CLM_DIGEST_SHA1, 24,
         "a13a1cf35ea9e628cd82c570910adcd5481cd978fff88965"},
        {"changeit", "0102030405060708", 2048, 2, CLM_DIGEST_SHA1, 8, "ef009e6f4589af95"},
        {"changeit", "0102030405060708", 2048, 3, CLM_DIGEST_SHA1, 20,
         "9c8bcdd24686980aa78fd6ca1430f7d638097da1"},
        {"changeit", "0102030405060708", 2048, 3, CLM_DIGEST_SHA256, 32,
         "3c26affc9ec71b39e0e2754ffdb2d8653cabb0c8c012e5962cca38075d845b5e"},
        {"", "0102030405060708", 2048, 3, CLM_DIGEST_SHA1, 20,
         "422271a0229a8e68e59672d9278fe548eb74b013"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_derives(&cases[i]);
    }
}

/* RFC 6070 (SHA-1), RFC 7914 11 (SHA-256), targets.md 22 */
static void pbkdf2(void **state)
{
    static const struct vector cases[] = {
        {"password", "73616c74", 1, 0, CLM_DIGEST_SHA1, 20,
         "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
        {"password", "73616c74", 4096, 0, CLM_DIGEST_SHA1, 20,
         "4b007901b765489abead49d926f721d065a429c1"},
        {"passwordPASSWORDpassword",
         "73616c7453414c5473616c7453414c5473616c7453414c5473616c7453414c5473616c74", 4096, 0,
         CLM_DIGEST_SHA1, 25, "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"},
        {"passwd", "73616c74", 1, 0, CLM_DIGEST_SHA256, 64,
         "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
         "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"},
        {"changeit", "0102030405060708", 2048, 0, CLM_DIGEST_SHA256, 32,
         "95606b5edfad6bb35c28b70b70edba01708c5db906993aaf489a3411dbd100e7"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_derives(&cases[i]);
    }
}

static void passwords_as_utf16(void **state)
{
    static const struct {
        const char *utf8;
        bool with_end;
        enum clm_code code;
        const char *hex;
    } cases[] = {
        {"smeg", true, CLM_OK, "0073006d006500670000"},
        {"smeg", false, CLM_OK, "0073006d00650067"},
        {"", true, CLM_OK, "0000"},
        {"", false, CLM_OK, ""},
        {"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", false, CLM_OK, "00fc20acd83dde00"},
        {"\xff", false, CLM_E_INVAL, ""},
        {"\xed\xa0\x80", false, CLM_E_INVAL, ""},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(100);
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(100);
        char hex[201];

        assert_int_equal(clm_buf_add_str(&text, cases[i].utf8, NULL), CLM_OK);
        assert_int_equal(clm_password_utf16(&text, cases[i].with_end, &out, NULL), cases[i].code);
        clm_hex_encode(out.data, out.len, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

/* The longest of all there may be fit the room that is there. */
static void longest_password_and_salt(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(2000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf utf16 = CLM_BUF_SECRET_INIT(2050);
    uint8_t salt[CLM_KDF_SALT_MAX] = {1};
    uint8_t out[64];
    struct clm_kdf in = {.salt = salt, .salt_len = sizeof(salt), .iterations = 1};

    (void)state;
    for (size_t i = 0; i < CLM_KDF_PASSWORD_MAX; i++) {
        assert_int_equal(clm_buf_add_str(&text, "x", NULL), CLM_OK);
    }
    assert_int_equal(clm_password_utf16(&text, true, &utf16, NULL), CLM_OK);
    in.password = utf16.data;
    in.password_len = utf16.len;
    clm_pkcs12_kdf(CLM_DIGEST_SHA512, CLM_KDF_ID_KEY, &in, out, sizeof(out));
    clm_pkcs12_kdf(CLM_DIGEST_SHA1, CLM_KDF_ID_KEY, &in, out, sizeof(out));
    assert_int_equal(clm_buf_add_str(&text, "x", NULL), CLM_OK);
    clm_buf_reset(&utf16);
    assert_int_equal(clm_password_utf16(&text, true, &utf16, NULL), CLM_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_and_their_hmacs), cmocka_unit_test(long_keys_are_hashed),
        cmocka_unit_test(pkcs12_derivation),      cmocka_unit_test(pbkdf2),
        cmocka_unit_test(passwords_as_utf16),     cmocka_unit_test(longest_password_and_salt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
