/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphers and password-based encryption, with the openssl program as the second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/pbe.h"
#include "agent/crypto/rc2.h"
#include "tests/unit/crypto/oracle.h"

/* RFC 2268 5: key, effective bits, plain text, cipher text */
static void rc2_blocks(void **state)
{
    static const struct {
        const char *key;
        unsigned bits;
        const char *plain;
        const char *sealed;
    } cases[] = {
        {"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
        {"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
        {"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
        {"88", 64, "0000000000000000", "61a8a244adacccf0"},
        {"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
        {"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
        {"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_rc2 rc2;
        uint8_t key[16];
        uint8_t block[8];
        uint8_t out[8];
        char hex[17];

        assert_int_equal(clm_hex_decode(cases[i].key, key, strlen(cases[i].key) / 2, NULL), CLM_OK);
        assert_int_equal(clm_hex_decode(cases[i].sealed, block, 8, NULL), CLM_OK);
        clm_rc2_init(&rc2, key, strlen(cases[i].key) / 2, cases[i].bits);
        clm_rc2_decrypt(&rc2, block, out);
        clm_hex_encode(out, 8, hex);
        assert_string_equal(hex, cases[i].plain);
    }
}

static const struct {
    enum clm_cipher cipher;
    const char *openssl;
} ciphers[] = {
    {CLM_CIPHER_AES128, "-aes-128-cbc"}, {CLM_CIPHER_AES192, "-aes-192-cbc"},
    {CLM_CIPHER_AES256, "-aes-256-cbc"}, {CLM_CIPHER_3DES, "-des-ede3-cbc"},
    {CLM_CIPHER_3DES2, "-des-ede-cbc"},
};

/* Every length around a block, and the same bytes as openssl. */
static void ciphers_agree_with_openssl(void **state)
{
    CLM_CLEANUP(oracle_done) struct oracle o;
    static const uint8_t text[50] = "attack at dawn, and again at dusk, if it rains....";

    (void)state;
    oracle_init(&o);
    for (size_t i = 0; i < CLM_ARRAY_LEN(ciphers); i++) {
        struct clm_cipher_key key = {.cipher = ciphers[i].cipher};
        char hex_key[65];
        char hex_iv[33];

        for (uint8_t k = 0; k < 32; k++) {
            key.key[k] = (uint8_t)(k * 7 + 1);
            key.iv[k % 16] = (uint8_t)(0xf0 - k);
        }
        clm_hex_encode(key.key, clm_cipher_key_size(key.cipher), hex_key);
        clm_hex_encode(key.iv, clm_cipher_block_size(key.cipher), hex_iv);
        for (size_t len = 0; len <= sizeof(text); len += 5) {
            CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_SECRET_INIT(100);
            CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(100);

            assert_int_equal(clm_cipher_encrypt(&key, text, len, &sealed, NULL), CLM_OK);
            assert_int_equal(clm_cipher_decrypt(&key, sealed.data, sealed.len, &plain, NULL),
                             CLM_OK);
            assert_int_equal(plain.len, len);
            assert_memory_equal(plain.data, text, len);
            if (len != 35) {
                continue;
            }
            assert_int_equal(oracle_run(&o, "enc", "-d", ciphers[i].openssl, "-K", hex_key, "-iv",
                                        hex_iv, "-in",
                                        oracle_put(&o, "sealed", sealed.data, sealed.len), NULL),
                             0);
            assert_int_equal(o.out.len, len);
            assert_memory_equal(o.out.data, text, len);
        }
    }
}

static void damaged_cipher_text_is_refused(void **state)
{
    struct clm_cipher_key key = {.cipher = CLM_CIPHER_AES256};
    struct clm_cipher_key rc2 = {.cipher = CLM_CIPHER_RC2_40};
    CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_SECRET_INIT(100);
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(100);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_buf_add_str(&plain, "before", NULL), CLM_OK);
    assert_int_equal(clm_cipher_encrypt(&key, "secret", 6, &sealed, NULL), CLM_OK);
    assert_int_equal(clm_cipher_decrypt(&key, sealed.data, 15, &plain, NULL), CLM_E_CRYPTO);
    assert_int_equal(clm_cipher_decrypt(&key, sealed.data, 0, &plain, NULL), CLM_E_CRYPTO);
    key.iv[15] ^= 0x40; /* the last byte of the padding */
    assert_int_equal(clm_cipher_decrypt(&key, sealed.data, 16, &plain, NULL), CLM_E_CRYPTO);
    key.iv[15] ^= 0x40;
    key.iv[7] ^= 0x40; /* the second of its bytes */
    assert_int_equal(clm_cipher_decrypt(&key, sealed.data, 16, &plain, NULL), CLM_E_CRYPTO);
    assert_string_equal(clm_buf_str(&plain), "before");
    assert_int_equal(clm_cipher_encrypt(&rc2, "x", 1, &sealed, &err), CLM_E_UNSUPPORTED);
    assert_string_equal(err.msg, "RC2-40-CBC is for reading only");
}

/* ---- schemes ---- */

#define PASSWORD "p\xc3\xa4ssw\xc3\xb6rd" /* UTF-8 in PBES2, UTF-16 in PKCS#12 */

static struct clm_buf password_of(const char *text)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(1024);

    assert_int_equal(clm_buf_add_str(&buf, text, NULL), CLM_OK);
    return buf;
}

/* The fixture's path in the oracle's directory: openssl is run elsewhere. */
static const char *put_key(struct oracle *o)
{
    char text[2048];
    FILE *in = fopen("tests/fixtures/pki/www.key", "r");
    size_t len;

    assert_non_null(in);
    len = fread(text, 1, sizeof(text), in);
    assert_int_equal(fclose(in), 0);
    return oracle_put(o, "www.key", text, len);
}

/* EncryptedPrivateKeyInfo, taken apart. */
static void take_apart(const struct clm_buf *der, struct clm_tlv *alg, struct clm_tlv *sealed)
{
    struct clm_der_reader r = clm_der_reader_of(der->data, der->len);
    struct clm_tlv tlv = {0};

    assert_true(clm_der_take(&r, CLM_DER_SEQUENCE, &tlv));
    r = clm_der_enter(&tlv);
    assert_true(clm_der_take(&r, CLM_DER_SEQUENCE, alg));
    assert_true(clm_der_take(&r, CLM_DER_OCTET_STRING, sealed));
}

static void keys_of_openssl_are_read(void **state)
{
    static const struct {
        const char *how;
        const char *what;
        const char *text;
        bool needs_legacy;
    } cases[] = {
        {"-v2", "aes-256-cbc", "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 2048", false},
        {"-v2", "aes-128-cbc", "PBES2 AES-128-CBC, PBKDF2 HMAC-SHA-256 2048", false},
        {"-v2", "des3", "PBES2 3DES-CBC, PBKDF2 HMAC-SHA-256 2048", false},
        {"-v2prf", "hmacWithSHA512", "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-512 2048", false},
        {"-v2prf", "hmacWithSHA1", "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-1 2048", false},
        {"-v1", "PBE-SHA1-3DES", "PBE 3DES-CBC, SHA-1 2048", false},
        {"-v1", "PBE-SHA1-2DES", "PBE 2-key 3DES-CBC, SHA-1 2048", false},
        {"-v1", "PBE-SHA1-RC2-40", "PBE RC2-40-CBC, SHA-1 2048", true},
        {"-v1", "PBE-SHA1-RC2-128", "PBE RC2-128-CBC, SHA-1 2048", true},
        {"-v1", "PBE-MD5-DES", "PBES1 DES-CBC, MD5 2048", true},
        {"-v1", "PBE-SHA1-DES", "PBES1 DES-CBC, SHA-1 2048", true},
        {"-v1", "PBE-MD5-RC2-64", "PBES1 RC2-64-CBC, MD5 2048", true},
    };
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = password_of(PASSWORD);
    CLM_CLEANUP(oracle_done) struct oracle o;
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(4096);

    (void)state;
    oracle_init(&o);
    assert_int_equal(
        oracle_run(&o, "pkcs8", "-topk8", "-nocrypt", "-in", put_key(&o), "-outform", "DER", NULL),
        0);
    assert_int_equal(clm_buf_add(&plain, o.out.data, o.out.len, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(4096);
        char text[CLM_PBE_TEXT_SIZE];
        struct clm_tlv alg = {0};
        struct clm_tlv sealed = {0};
        struct clm_pbe pbe;

        assert_int_equal(
            cases[i].needs_legacy
                ? oracle_run(&o, "pkcs8", "-provider", "legacy", "-provider", "default", "-topk8",
                             "-in", put_key(&o), "-outform", "DER", "-passout", "pass:" PASSWORD,
                             cases[i].how, cases[i].what, NULL)
                : oracle_run(&o, "pkcs8", "-topk8", "-in", put_key(&o), "-outform", "DER",
                             "-passout", "pass:" PASSWORD, cases[i].how, cases[i].what, NULL),
            0);
        take_apart(&o.out, &alg, &sealed);
        assert_int_equal(clm_pbe_read(&alg, &pbe, NULL), CLM_OK);
        clm_pbe_text(&pbe, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(clm_pbe_decrypt(&pbe, &password, &sealed, &out, NULL), CLM_OK);
        assert_int_equal(out.len, plain.len);
        assert_memory_equal(out.data, plain.data, plain.len);
    }
}

/* Both presets, and each scheme that is renewed, in a file that openssl opens. */
static void openssl_opens_what_is_written(void **state)
{
    static const struct {
        enum clm_cipher cipher;
        enum clm_digest digest;
        enum clm_pbe_scheme scheme;
        const char *text;
    } cases[] = {
        {CLM_CIPHER_AES256, CLM_DIGEST_SHA256, CLM_PBE_PBES2,
         "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 300"},
        {CLM_CIPHER_AES128, CLM_DIGEST_SHA1, CLM_PBE_PBES2,
         "PBES2 AES-128-CBC, PBKDF2 HMAC-SHA-1 300"},
        {CLM_CIPHER_AES192, CLM_DIGEST_SHA512, CLM_PBE_PBES2,
         "PBES2 AES-192-CBC, PBKDF2 HMAC-SHA-512 300"},
        {CLM_CIPHER_3DES, CLM_DIGEST_SHA224, CLM_PBE_PBES2,
         "PBES2 3DES-CBC, PBKDF2 HMAC-SHA-224 300"},
        {CLM_CIPHER_3DES, CLM_DIGEST_SHA1, CLM_PBE_PKCS12, "PBE 3DES-CBC, SHA-1 300"},
        {CLM_CIPHER_3DES2, CLM_DIGEST_SHA1, CLM_PBE_PKCS12, "PBE 2-key 3DES-CBC, SHA-1 300"},
        {CLM_CIPHER_RC2_40, CLM_DIGEST_SHA1, CLM_PBE_PKCS12, "PBE 3DES-CBC, SHA-1 300"},
        {CLM_CIPHER_DES, CLM_DIGEST_MD5, CLM_PBE_PBES1, "PBE 3DES-CBC, SHA-1 300"},
    };
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = password_of(PASSWORD);
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(4096);
    CLM_CLEANUP(oracle_done) struct oracle o;

    (void)state;
    oracle_init(&o);
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(
        oracle_run(&o, "pkcs8", "-topk8", "-nocrypt", "-in", put_key(&o), "-outform", "DER", NULL),
        0);
    assert_int_equal(clm_buf_add(&plain, o.out.data, o.out.len, NULL), CLM_OK);
    for (size_t i = 0; i < 2 * CLM_ARRAY_LEN(cases); i++) {
        const struct clm_pbe like = {.scheme = cases[i / 2].scheme,
                                     .cipher = cases[i / 2].cipher,
                                     .digest = cases[i / 2].digest,
                                     .iterations = 300,
                                     .has_key_length = i % 2 == 1,
                                     .salt_len = i % 2 == 1 ? 20 : 4};
        CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_SECRET_INIT(4096);
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_SECRET_INIT(4096);
        char text[CLM_PBE_TEXT_SIZE];
        struct clm_pbe pbe;
        struct clm_der w;

        assert_int_equal(clm_pbe_renew(&like, rng, &pbe, NULL), CLM_OK);
        assert_int_equal(pbe.salt_len, i % 2 == 1 ? 20 : 8);
        clm_pbe_text(&pbe, text);
        assert_string_equal(text, cases[i / 2].text);
        assert_int_equal(clm_pbe_encrypt(&pbe, &password, &plain, &sealed, NULL), CLM_OK);
        clm_der_init(&w, &file, NULL);
        clm_der_open(&w, CLM_DER_SEQUENCE);
        clm_pbe_write(&w, &pbe);
        clm_der_bytes(&w, CLM_DER_OCTET_STRING, sealed.data, sealed.len);
        clm_der_close(&w);
        assert_int_equal(clm_der_done(&w), CLM_OK);
        assert_int_equal(oracle_run(&o, "pkcs8", "-inform", "DER", "-in",
                                    oracle_put(&o, "key", file.data, file.len), "-passin",
                                    "pass:" PASSWORD, "-outform", "DER", NULL),
                         0);
        assert_int_equal(oracle_run(&o, "pkey", "-inform", "DER", "-in",
                                    oracle_put(&o, "key", file.data, file.len), "-passin",
                                    "pass:" PASSWORD, "-outform", "DER", "-noout", NULL),
                         0);
    }
}

static void bad_parameters_are_refused(void **state)
{
    static const struct {
        const char *hex;
        enum clm_code code;
        const char *msg;
    } cases[] = {
        {"3000", CLM_E_PARSE, "parameters of the encryption are malformed"},
        {"300b06092a864886f70d01050d", CLM_E_PARSE, "parameters of the encryption are malformed"},
        /* PKCS#12 3DES: 5000001 iterations, 2^40, 0, -1, and a salt that is missing */
        {"301d060a2a864886f70d010c0103300f0408010203040506070802034c4b41", CLM_E_LIMIT,
         "password hash of 5000001 iterations; 1 to 5000000 are accepted"},
        {"3020060a2a864886f70d010c01033012040801020304050607080206010000000000", CLM_E_LIMIT,
         "password hash of more than 4294967295 iterations; 1 to 5000000 are accepted"},
        {"301b060a2a864886f70d010c0103300d04080102030405060708020100", CLM_E_LIMIT,
         "password hash of 0 iterations; 1 to 5000000 are accepted"},
        {"301b060a2a864886f70d010c0103300d040801020304050607080201ff", CLM_E_PARSE,
         "parameters of the encryption are malformed"},
        {"3011060a2a864886f70d010c01033003020101", CLM_E_PARSE,
         "parameters of the encryption are malformed"},
        /* by name, and by number */
        {"300c060a2a864886f70d010c0101", CLM_E_UNSUPPORTED,
         "encryption with RC4-128 is not supported"},
        {"300506032a0304", CLM_E_UNSUPPORTED, "encryption algorithm 1.2.3.4 is not supported"},
        {"3006060488370405", CLM_E_UNSUPPORTED, "encryption algorithm 2.999.4.5 is not supported"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        uint8_t bytes[64];
        size_t len = strlen(cases[i].hex) / 2;
        struct clm_der_reader r;
        struct clm_tlv alg = {0};
        struct clm_pbe pbe;
        struct clm_err err = {0};

        assert_int_equal(clm_hex_decode(cases[i].hex, bytes, len, NULL), CLM_OK);
        r = clm_der_reader_of(bytes, len);
        assert_true(clm_der_next(&r, &alg));
        if (clm_pbe_read(&alg, &pbe, &err) != cases[i].code || strcmp(err.msg, cases[i].msg) != 0) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rc2_blocks),
        cmocka_unit_test(ciphers_agree_with_openssl),
        cmocka_unit_test(damaged_cipher_text_is_refused),
        cmocka_unit_test(keys_of_openssl_are_read),
        cmocka_unit_test(openssl_opens_what_is_written),
        cmocka_unit_test(bad_parameters_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
