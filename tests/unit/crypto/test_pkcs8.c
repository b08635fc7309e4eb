/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/pkcs8.h"
#include "tests/unit/crypto/oracle.h"

#define MAX 65536u

struct scene {
    struct clm_rng *rng;
    struct clm_key *key; /* P-256 */
    struct clm_buf pem;
    struct clm_key *rsa;
    struct clm_buf rsa_pem;
    char hash[65];
    char rsa_hash[65];
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->pem = CLM_BUF_SECRET_INIT(MAX);
    s->rsa_pem = CLM_BUF_SECRET_INIT(MAX);
    assert_int_equal(clm_rng_new(&s->rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(s->rng, CLM_KEY_EC_P256, &s->key, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(s->rng, CLM_KEY_RSA_2048, &s->rsa, NULL), CLM_OK);
    assert_int_equal(clm_key_to_pem(s->key, &s->pem, NULL), CLM_OK);
    assert_int_equal(clm_key_to_pem(s->rsa, &s->rsa_pem, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(s->key, s->hash, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(s->rsa, s->rsa_hash, NULL), CLM_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    clm_key_free(s->key);
    clm_key_free(s->rsa);
    clm_rng_free(s->rng);
    clm_buf_done(&s->pem);
    clm_buf_done(&s->rsa_pem);
    free(s);
    return 0;
}

static struct clm_buf secret(const char *text)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(1024);

    assert_int_equal(clm_buf_add_str(&buf, text, NULL), CLM_OK);
    return buf;
}

/* OK and the hash of the public half, or the error. */
static enum clm_code read_with(const void *data, size_t len, const char *password, char hash[65],
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf buf = secret(password);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    enum clm_code code = clm_key_from_any(data, len, &buf, &key, err);

    hash[0] = '\0';
    return code == CLM_OK ? clm_key_spki_sha256_hex(key, hash, err) : code;
}

static void reads_what_openssl_encrypts(void **state)
{
    static const struct {
        const char *command;
        const char *options[6];
        bool is_rsa;
        const char *password;
    } cases[] = {
        {"pkcs8", {"-topk8", "-v2", "aes-256-cbc", NULL}, false, "changeit"},
        {"pkcs8", {"-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", NULL}, true, "x"},
        {"pkcs8", {"-topk8", "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512", NULL}, false, "x"},
        {"pkcs8", {"-topk8", "-v2", "des3", NULL}, false, "pass word"},
        {"pkcs8", {"-topk8", "-v1", "PBE-SHA1-3DES", NULL}, true, "gr\xc3\xbc\xc3\x9f"},
        {"pkcs8", {"-topk8", "-v1", "PBE-SHA1-2DES", NULL}, false, "changeit"},
        {"pkcs8", {"-topk8", "-outform", "DER", "-v2", "aes-256-cbc", NULL}, true, "der"},
        {"ec", {"-aes256", NULL}, false, "changeit"},
        {"ec", {"-aes128", NULL}, false, "changeit"},
        {"ec", {"-des3", NULL}, false, "gr\xc3\xbc\xc3\x9f"},
        {"rsa", {"-traditional", "-aes192", NULL}, true, "changeit"},
        {"rsa", {"-traditional", "-des3", NULL}, true, "changeit"},
    };
    const struct scene *s = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_SECRET_INIT(MAX);
        const char *const *o = cases[i].options;
        const struct clm_buf *pem = cases[i].is_rsa ? &s->rsa_pem : &s->pem;
        struct clm_err err = {.code = CLM_OK};
        struct oracle oracle;
        char pass[64];
        char hash[65];
        const char *tail[6] = {NULL};

        (void)snprintf(pass, sizeof(pass), "pass:%s", cases[i].password);
        oracle_init(&oracle);
        for (size_t k = 0; k < 6 && o[k] != NULL; k++) {
            tail[k] = o[k];
        }
        assert_int_equal(oracle_run(&oracle, cases[i].command, "-in",
                                    oracle_put(&oracle, "in.pem", pem->data, pem->len), "-out",
                                    oracle_put(&oracle, "out", NULL, 0), "-passout", pass, tail[0],
                                    tail[1], tail[2], tail[3], tail[4], tail[5], NULL),
                         0);
        oracle_get(&oracle, "out", &file);
        if (read_with(file.data, file.len, cases[i].password, hash, &err) != CLM_OK ||
            strcmp(hash, cases[i].is_rsa ? s->rsa_hash : s->hash) != 0) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_int_equal(read_with(file.data, file.len, "wrong", hash, &err), CLM_E_CRYPTO);
        assert_string_equal(err.msg, "wrong password of the private key");
        oracle_done(&oracle);
    }
}

static void openssl_reads_what_is_encrypted(void **state)
{
    const struct scene *s = *state;
    const struct clm_key *const keys[] = {s->key, s->rsa};

    for (size_t i = 0; i < CLM_ARRAY_LEN(keys); i++) {
        CLM_CLEANUP(clm_buf_done)
        struct clm_buf password = secret("Stra\xc3\x9f"
                                         "e 7");
        CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_SECRET_INIT(MAX);
        char hash[65];
        struct oracle o;

        oracle_init(&o);
        assert_int_equal(clm_key_to_pem_password(keys[i], s->rng, &password, &pem, NULL), CLM_OK);
        assert_non_null(strstr(clm_buf_str(&pem), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_int_equal(oracle_run(&o, "pkey", "-in", oracle_put(&o, "k", pem.data, pem.len),
                                    "-passin",
                                    "pass:Stra\xc3\x9f"
                                    "e 7",
                                    "-out", oracle_put(&o, "back", NULL, 0), NULL),
                         0);
        oracle_get(&o, "back", &back);
        assert_int_equal(read_with(back.data, back.len, "", hash, NULL), CLM_OK);
        assert_string_equal(hash, i == 0 ? s->hash : s->rsa_hash);
        assert_int_equal(oracle_run(&o, "pkey", "-in", oracle_put(&o, "k", pem.data, pem.len),
                                    "-passin", "pass:wrong", "-noout", NULL),
                         1);
        oracle_done(&o);
    }
}

static void keys_in_clear_need_no_password(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(MAX);
    char hash[65];

    assert_int_equal(read_with(s->pem.data, s->pem.len, "anything", hash, NULL), CLM_OK);
    assert_string_equal(hash, s->hash);
    assert_int_equal(clm_key_to_der(s->key, &der, NULL), CLM_OK);
    assert_int_equal(read_with(der.data, der.len, "anything", hash, NULL), CLM_OK);
    assert_string_equal(hash, s->hash);
}

/* Callers that give no password go on getting what they got. */
static void without_a_password_errors_stay(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("changeit");
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(MAX);
    struct clm_err old = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    struct clm_key *key = NULL;

    assert_int_equal(clm_key_to_pem_password(s->key, s->rng, &password, &pem, NULL), CLM_OK);
    assert_int_equal(clm_key_from_pem(pem.data, pem.len, &key, &old), CLM_E_UNSUPPORTED);
    assert_int_equal(clm_key_from_pem_password(pem.data, pem.len, NULL, &key, &err),
                     CLM_E_UNSUPPORTED);
    assert_string_equal(err.msg, old.msg);
    assert_int_equal(clm_key_from_any("nothing", 7, &password, &key, &err), CLM_E_NOTFOUND);
    assert_null(key);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *pem;
        enum clm_code code;
        const char *message;
    } cases[] = {
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n"
         "-----END RSA PRIVATE KEY-----\n",
         CLM_E_PARSE, "encrypted private key has no usable line 'DEK-Info'"},
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC\n\nAAAA\n"
         "-----END RSA PRIVATE KEY-----\n",
         CLM_E_PARSE, "encrypted private key has no usable line 'DEK-Info'"},
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info:"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc,00\n\n"
         "AAAA\n-----END RSA PRIVATE KEY-----\n",
         CLM_E_PARSE, "encrypted private key has no usable line 'DEK-Info'"},
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0102\n\n"
         "AAAA\n-----END RSA PRIVATE KEY-----\n",
         CLM_E_PARSE, "encrypted private key: IV in 'DEK-Info' is malformed"},
        {"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: CAMELLIA-128-CBC,00\n\n"
         "AAAA\n-----END EC PRIVATE KEY-----\n",
         CLM_E_UNSUPPORTED,
         "private key is encrypted with CAMELLIA-128-CBC, which is not supported"},
        {"-----BEGIN EC PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n"
         "DEK-Info: DES-CBC,0001020304050607\r\n\r\nAAAA\r\n-----END EC PRIVATE KEY-----\r\n",
         CLM_E_CRYPTO, "wrong password of the private key"},
    };
    char hash[65];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_err err = {.code = CLM_OK};
        enum clm_code code = read_with(cases[i].pem, strlen(cases[i].pem), "x", hash, &err);

        if (code != cases[i].code || strcmp(err.msg, cases[i].message) != 0) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

static void an_empty_password_is_not_written(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("");
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(MAX);

    assert_int_equal(clm_key_to_pem_password(s->key, s->rng, &password, &pem, NULL), CLM_E_INVAL);
}

/* Cut off anywhere, changed anywhere: an answer, never a crash. PBES2 has no integrity, so it may even
 * be another key; whoever installs it compares it with the certificate. */
static void survives_damage(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("x");
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(MAX);
    char hash[65];

    assert_int_equal(clm_key_to_der_password(s->key, s->rng, &password, &der, NULL), CLM_OK);
    for (size_t i = 0; i < der.len; i++) {
        uint8_t *copy = malloc(der.len);

        assert_non_null(copy);
        memcpy(copy, der.data, der.len);
        copy[i] ^= (uint8_t)(1u << (i % 8));
        clm_ignore(read_with(copy, der.len, "x", hash, NULL));
        free(copy);
        copy = malloc(i + 1);
        assert_non_null(copy);
        memcpy(copy, der.data, i + 1);
        if (i + 1 < der.len) {
            assert_int_not_equal(read_with(copy, i + 1, "x", hash, NULL), CLM_OK);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_openssl_encrypts),
        cmocka_unit_test(openssl_reads_what_is_encrypted),
        cmocka_unit_test(keys_in_clear_need_no_password),
        cmocka_unit_test(without_a_password_errors_stay),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(an_empty_password_is_not_written),
        cmocka_unit_test(survives_damage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
