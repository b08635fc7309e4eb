/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/hash.h"

static void sha256_has_the_vectors_of_fips_180(void **state)
{
    static const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char hex[65];

        clm_sha256_hex(cases[i].text, strlen(cases[i].text), hex);
        assert_string_equal(hex, cases[i].hex);
    }
    clm_sha256(NULL, 0, (uint8_t[32]){0});
}

static void pieces_give_the_hash_of_the_whole(void **state)
{
    uint8_t data[1000];
    uint8_t whole[32];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    clm_sha256(data, sizeof(data), whole);
    for (size_t piece = 1; piece < 130; piece += 13) {
        struct clm_sha256_ctx ctx;
        uint8_t sum[32];

        clm_sha256_init(&ctx);
        for (size_t i = 0; i < sizeof(data); i += piece) {
            clm_sha256_update(&ctx, data + i, sizeof(data) - i < piece ? sizeof(data) - i : piece);
        }
        clm_sha256_final(&ctx, sum);
        assert_memory_equal(sum, whole, 32);
    }
}

/* RFC 4231 4.2, 4.3, 4.7 (a key longer than a block) */
static void hmac_has_the_vectors_of_rfc_4231(void **state)
{
    static const struct {
        uint8_t fill; /* key byte; 0: the text "Jefe" */
        size_t key_len;
        const char *data;
        const char *hex;
    } cases[] = {
        {0x0b, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {0, 4, "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        uint8_t key[131];
        uint8_t mac[32];
        char hex[65];

        memset(key, cases[i].fill, sizeof(key));
        if (cases[i].fill == 0) {
            memcpy(key, "Jefe", 4);
        }
        clm_hmac_sha256(key, cases[i].key_len, cases[i].data, strlen(cases[i].data), mac);
        clm_hex_encode(mac, 32, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

/* RFC 5869 A.1 and A.3 (no salt, no info) */
static void hkdf_has_the_vectors_of_rfc_5869(void **state)
{
    static const uint8_t salt[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    uint8_t ikm[22];
    uint8_t okm[42];
    char hex[85];
    struct clm_hkdf in = {.ikm = ikm,
                          .ikm_len = sizeof(ikm),
                          .salt = salt,
                          .salt_len = sizeof(salt),
                          .info = "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9"};

    (void)state;
    memset(ikm, 0x0b, sizeof(ikm));
    clm_hkdf_sha256(&in, okm, sizeof(okm));
    clm_hex_encode(okm, sizeof(okm), hex);
    assert_string_equal(hex, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                             "34007208d5b887185865");
    in = (struct clm_hkdf){.ikm = ikm, .ikm_len = sizeof(ikm)};
    clm_hkdf_sha256(&in, okm, sizeof(okm));
    clm_hex_encode(okm, sizeof(okm), hex);
    assert_string_equal(hex, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                             "9d201395faa4b61a96c8");
}

static void comparison_sees_every_byte(void **state)
{
    uint8_t a[32] = {0};

    (void)state;
    assert_true(clm_ct_equal(a, (uint8_t[32]){0}, 32));
    for (size_t i = 0; i < 32; i++) {
        a[i] = 0x80;
        assert_false(clm_ct_equal(a, (uint8_t[32]){0}, 32));
        a[i] = 0;
    }
    assert_true(clm_ct_equal("a", "b", 0));
}

static void wipe_leaves_zeros(void **state)
{
    char secret[16] = "secret";

    (void)state;
    clm_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, (char[16]){0}, sizeof(secret));
    clm_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_has_the_vectors_of_fips_180),
        cmocka_unit_test(pieces_give_the_hash_of_the_whole),
        cmocka_unit_test(hmac_has_the_vectors_of_rfc_4231),
        cmocka_unit_test(hkdf_has_the_vectors_of_rfc_5869),
        cmocka_unit_test(comparison_sees_every_byte),
        cmocka_unit_test(wipe_leaves_zeros),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
