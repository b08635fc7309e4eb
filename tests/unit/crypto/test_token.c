/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/token.h"
#include "tests/support/certs.h"
#include "tests/support/torture.h"

/* protocol.md 21.1 */
#define TOKEN                                                                                      \
    "clm1."                                                                                        \
    "eyJ2IjoxLCJ1IjpbImh0dHBzOi8vY2xtLmV4YW1wbGUubmV0Il0sInBpbiI6WyJzaGEyNTYvYis3TWpCYkZWUjJm"     \
    "Nno2MTkzNHRwM08vYUwyZStjVXBKODZ5eUc1V2lTcz0iXSwiaWQiOiJ0b2tfMDFKOVpLM1c1VjdNMlE4UjRUNlkwWDFC" \
    "M0MiLCJzIjoiQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSRWhNVUZSWVhHQmthR3h3ZEhoOCIsImV4cCI6MTc5NTMxMjgw" \
    "MH0"
#define TOKEN_ID "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define SECRET   "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define PIN      "sha256/b+7MjBbFVR2f6z61934tp3O/aL2e+cUpJ86yyG5WiSs="

static void vector_of_the_protocol_is_read(void **state)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};
    uint8_t pin[32];

    (void)state;
    assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &token, NULL), CLM_OK);
    assert_int_equal(token.urls.n, 1);
    assert_string_equal(token.urls.v[0], "https://clm.example.net");
    assert_int_equal(token.n_pins, 1);
    clm_sha256("spki", 4, pin);
    assert_memory_equal(token.pins[0], pin, 32);
    assert_string_equal(token.id, TOKEN_ID);
    assert_int_equal(token.exp_s, 1795312800);
    for (size_t i = 0; i < 32; i++) {
        assert_int_equal(token.secret[i], i);
    }
}

static void proof_is_that_of_the_protocol(void **state)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};
    const struct clm_hkdf in = {
        .ikm = token.secret, .ikm_len = sizeof(token.secret), .info = "clm-enroll-v1"};
    uint8_t key[32];
    char hex[65];
    char proof[CLM_TOKEN_PROOF_SIZE];

    (void)state;
    assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &token, NULL), CLM_OK);
    clm_hkdf_sha256(&in, key, sizeof(key));
    clm_hex_encode(key, sizeof(key), hex);
    assert_string_equal(hex, "3939792080ce3f81067dc2a41cac45d9ae83f0d39355a7a11865823145ce7488");
    assert_int_equal(clm_token_proof(&token, "Tk5OTk5OTk5OTk5OTk5OTg",
                                     (const uint8_t *)"CSR-DER-BYTES", 13, proof, NULL),
                     CLM_OK);
    assert_string_equal(proof, "qnGtGOJvXUV1WoGwnagsMGBZc8AwbSFv5PgRsAmBlM0");
    assert_int_equal(clm_token_proof(&token, "Tk5OTk5OTk5OTk5OTk5OTg",
                                     (const uint8_t *)"CSR-DER-BYTEX", 13, proof, NULL),
                     CLM_OK);
    assert_string_not_equal(proof, "qnGtGOJvXUV1WoGwnagsMGBZc8AwbSFv5PgRsAmBlM0");
}

static void made_token_is_that_of_the_protocol(void **state)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);

    (void)state;
    assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &token, NULL), CLM_OK);
    assert_int_equal(clm_token_make(&token, &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), TOKEN);
}

static void white_space_around_is_ignored(void **state)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};

    (void)state;
    assert_int_equal(
        clm_token_parse("  \r\n" TOKEN "\n\n", strlen("  \r\n" TOKEN "\n\n"), &token, NULL),
        CLM_OK);
    assert_string_equal(token.id, TOKEN_ID);
}

static void done_wipes_the_secret(void **state)
{
    struct clm_token token;

    (void)state;
    assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &token, NULL), CLM_OK);
    clm_token_done(&token);
    assert_memory_equal(token.secret, (uint8_t[32]){0}, 32);
}

static enum clm_code parse_json(const char *json, struct clm_token *token, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(10000);

    assert_int_equal(clm_buf_add_str(&text, "clm1.", NULL), CLM_OK);
    assert_int_equal(clm_b64url_encode(json, strlen(json), &text, NULL), CLM_OK);
    return clm_token_parse(clm_buf_str(&text), text.len, token, err);
}

#define REST "\"id\":\"" TOKEN_ID "\",\"s\":\"" SECRET "\",\"exp\":1"
#define HEAD "\"v\":1,\"u\":[\"https://a\"],\"pin\":[\"" PIN "\"],"

static void other_spelling_of_the_same_is_read(void **state)
{
    static const char *const good[] = {
        "{" HEAD REST "}",
        "{ \"s\" : \"" SECRET "\" , \"exp\":0,\"id\":\"" TOKEN_ID "\"," HEAD "\"x\":null}",
        "{\"v\":1,\"u\":[\"https://a\",\"https://b:8443/clm\",\"https://c\",\"https://[::1]:1\"],"
        "\"pin\":[\"" PIN "\",\"" PIN "\",\"" PIN "\",\"" PIN "\"]," REST "}",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(good); i++) {
        struct clm_token token;
        struct clm_err err = {0};
        enum clm_code code = parse_json(good[i], &token, &err);

        if (i == 1) { /* an unknown member, even null */
            assert_int_equal(code, CLM_E_PARSE);
        } else if (code != CLM_OK || token.secret[31] != 31) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        clm_token_done(&token);
    }
}

static void bad_members_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{" HEAD REST,
        "{" HEAD REST "}x",
        "{\"v\":2,\"u\":[\"https://a\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":\"1\",\"u\":[\"https://a\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"u\":[\"https://a\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":\"https://a\",\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[1],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"http://a\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"https:///x\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://u:p@a\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://a?q\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://a b\"],\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://a\",\"https://a\",\"https://a\",\"https://a\",\"https://a\"],"
        "\"pin\":[\"" PIN "\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://a\"],\"pin\":[]," REST "}",
        "{\"v\":1,\"u\":[\"https://a\"],\"pin\":[\"sha256/AAAA\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://a\"],\"pin\":[\"sha1/b+7MjBbFVR2f6z61934tp3O/aL2e+"
        "cUpJ86yyG5WiSs=\"]," REST "}",
        "{\"v\":1,\"u\":[\"https://a\"],\"pin\":[\"" PIN "\",\"" PIN "\",\"" PIN "\",\"" PIN
        "\",\"" PIN "\"]," REST "}",
        "{" HEAD "\"id\":\"tok_1\",\"s\":\"" SECRET "\",\"exp\":1}",
        "{" HEAD "\"id\":\"agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"s\":\"" SECRET "\",\"exp\":1}",
        "{" HEAD "\"id\":\"" TOKEN_ID "\",\"s\":\"" SECRET "\"}",
        "{" HEAD "\"id\":\"" TOKEN_ID "\",\"s\":\"" SECRET "\",\"exp\":-1}",
        "{" HEAD "\"id\":\"" TOKEN_ID "\",\"s\":\"" SECRET "\",\"exp\":1.5}",
        "{" HEAD "\"id\":\"" TOKEN_ID "\",\"exp\":1}",
        "{" HEAD "\"id\":\"" TOKEN_ID "\",\"s\":\"AAEC\",\"exp\":1}",
        "{" HEAD "\"id\":\"" TOKEN_ID "\",\"s\":\"" SECRET "A\",\"exp\":1}",
        "{" HEAD "\"id\":\"" TOKEN_ID "\",\"s\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9\","
        "\"exp\":1}", /* unused bits set */
        "{" HEAD REST ",\"s\":\"" SECRET "\"}",
        "{" HEAD REST ",\"admin\":true}",
        "{" HEAD REST ",\"x\":{\"s\":\"" SECRET "\"}}",
        /* the secret is found elsewhere first: it must not be taken for the member */
        "{\"u\":[\"\\\"s\\\":\","
        "\"" SECRET "\"],\"v\":1,\"pin\":[\"" PIN "\"]," REST "}",
        "{\"x\":{\"s\":\"" SECRET "\"}," HEAD REST "}",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        struct clm_token token;
        struct clm_err err = {0};
        enum clm_code code = parse_json(bad[i], &token, &err);

        if (code != CLM_E_PARSE && code != CLM_E_LIMIT) {
            fail_msg("case %zu: %s", i, bad[i]);
        }
        assert_int_equal(strncmp(err.msg, "join token: ", 12), 0);
        assert_null(strstr(err.msg, "AAECAwQF"));
        clm_token_done(&token);
    }
}

/* Where the secret is taken from must be where it stands, and the text is one text. */
static void a_secret_elsewhere_is_none(void **state)
{
    static const char *const cases[] = {
        "{\"v\":1,\"u\":[{\"s\":\"" SECRET "\"}],\"s\":\"" SECRET "\"}",
        "{\"v\":1,\"u\":[{\"s\":\"" SECRET "\"}],\"s\":\"AAAA\"}",
    };
    static const char with_nul[] = "{\0" HEAD REST "}";
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(10000);
    struct clm_token token;
    struct clm_err err = {0};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_int_equal(parse_json(cases[i], &token, &err), CLM_E_PARSE);
        assert_string_equal(err.msg, "join token: it has no secret of 32 bytes");
        clm_token_done(&token);
    }
    assert_int_equal(clm_buf_add_str(&text, "clm1.", NULL), CLM_OK);
    assert_int_equal(clm_b64url_encode(with_nul, sizeof(with_nul) - 1, &text, NULL), CLM_OK);
    assert_int_equal(clm_token_parse(clm_buf_str(&text), text.len, &token, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "join token: it is damaged: copy it again as a whole");
    clm_token_done(&token);
}

static void damaged_text_is_refused_without_showing_it(void **state)
{
    char text[] = TOKEN;
    struct clm_token token;
    struct clm_err err = {0};
    char large[CLM_TOKEN_TEXT_MAX + 2];

    (void)state;
    for (size_t i = 0; i < strlen(TOKEN); i++) { /* cut off: a copy and paste that missed the end */
        assert_int_equal(clm_token_parse(TOKEN, i, &token, &err), CLM_E_PARSE);
        clm_token_done(&token);
    }
    for (size_t i = 0; i < strlen(TOKEN); i++) {
        text[i] = '*';
        assert_int_equal(clm_token_parse(text, strlen(text), &token, &err), CLM_E_PARSE);
        clm_token_done(&token);
        text[i] = TOKEN[i];
    }
    memset(large, 'A', sizeof(large));
    assert_int_equal(clm_token_parse(large, sizeof(large), &token, &err), CLM_E_LIMIT);
    clm_token_done(&token);
    assert_int_equal(clm_token_parse("clm2.AAAA", 9, &token, &err), CLM_E_PARSE);
    clm_token_done(&token);
}

static void impossible_tokens_are_not_made(void **state)
{
    struct clm_token bad[9];
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    char *url[] = {(char[]){"https://a\"b"}};
    char *unprintable[] = {(char[]){"https://a\n"}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &bad[i], NULL), CLM_OK);
    }
    clm_strs_done(&bad[0].urls);
    bad[1].n_pins = 0;
    (void)snprintf(bad[2].id, sizeof(bad[2].id), "tok_x\"");
    bad[3].exp_s = -1;
    bad[5].urls.n = CLM_TOKEN_URLS_MAX + 1; /* looked at no further */
    bad[6].n_pins = CLM_TOKEN_PINS_MAX + 1;
    bad[7].exp_s = CLM_JSON_INT_MAX + 1;
    clm_strs_done(&bad[8].urls);
    bad[8].urls = (struct clm_strs){unprintable, 1};
    clm_strs_done(&bad[4].urls);
    bad[4].urls = (struct clm_strs){url, 1};
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        assert_int_equal(clm_token_make(&bad[i], &out, NULL), CLM_E_INVAL);
        assert_int_equal(out.len, 0);
    }
    bad[4].urls = (struct clm_strs){NULL, 0};
    bad[5].urls.n = 1;
    bad[8].urls = (struct clm_strs){NULL, 0};
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        clm_token_done(&bad[i]);
    }
}

static struct clm_cert_chain *chain_of(const char *a, const char *b)
{
    struct clm_buf text = CLM_BUF_INIT(100000);
    struct clm_cert_chain *chain = NULL;

    assert_int_equal(clm_buf_addf(&text, NULL, "%s%s", a, b), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(text.data, text.len, &chain, NULL), CLM_OK);
    clm_buf_done(&text);
    return chain;
}

static void pin_of(const struct clm_cert_chain *chain, size_t i, uint8_t dst[32])
{
    struct clm_cert_info info;

    assert_int_equal(clm_cert_info(chain, i, &info, NULL), CLM_OK);
    assert_int_equal(clm_hex_decode(info.spki_sha256, dst, 32, NULL), CLM_OK);
    clm_cert_info_done(&info);
}

static void only_pinned_cas_are_kept(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ours = clm_test_ca_new(1795312800);
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *theirs = clm_test_ca_new(1795312800);
    struct clm_test_leaf leaf;
    struct clm_token token = {.n_pins = 2};
    CLM_CLEANUP(clm_buf_done) struct clm_buf kept = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf small = CLM_BUF_INIT(10);
    struct clm_err err = {0};
    struct clm_cert_chain *both =
        chain_of(clm_test_ca_root_pem(theirs), clm_test_ca_root_pem(ours));
    struct clm_cert_chain *foreign =
        chain_of(clm_test_ca_root_pem(theirs), clm_test_ca_intermediate_pem(theirs));
    struct clm_cert_chain *not_ca;

    (void)state;
    pin_of(both, 1, token.pins[1]); /* during a rotation: the second pin counts as the first */
    assert_int_equal(clm_token_pin_check(&token, both, &kept, &err), CLM_OK);
    assert_string_equal(clm_buf_str(&kept), clm_test_ca_root_pem(ours));
    assert_int_equal(clm_token_pin_check(&token, both, &small, &err), CLM_E_LIMIT);
    clm_buf_reset(&kept);
    assert_int_equal(clm_token_pin_check(&token, foreign, &kept, &err), CLM_E_CRYPTO);
    assert_non_null(strstr(err.msg, "none of the 2 CA certificates"));
    assert_int_equal(kept.len, 0);

    clm_test_leaf_make(ours, "a.example", CLM_TEST_GOOD, &leaf);
    not_ca = chain_of(clm_buf_str(&leaf.leaf_pem), "");
    pin_of(not_ca, 0, token.pins[0]);
    assert_int_equal(clm_token_pin_check(&token, not_ca, &kept, &err), CLM_E_CRYPTO);
    assert_string_equal(err.msg, "pinned certificate 'CN=a.example' is not a CA's");
    assert_int_equal(kept.len, 0);
    clm_test_leaf_done(&leaf);
    clm_cert_chain_free(both);
    clm_cert_chain_free(foreign);
    clm_cert_chain_free(not_ca);
}

static enum clm_code parse_and_make(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    enum clm_code code = clm_token_parse(TOKEN, strlen(TOKEN), &token, err);

    (void)arg;
    return code == CLM_OK ? clm_token_make(&token, &out, err) : code;
}

static enum clm_code proof_once(void *arg, struct clm_err *err)
{
    char proof[CLM_TOKEN_PROOF_SIZE];

    return clm_token_proof(arg, "nonce", (const uint8_t *)"csr", 3, proof, err);
}

struct pinned {
    struct clm_token token;
    struct clm_cert_chain *chain;
};

static enum clm_code pin_check_once(void *arg, struct clm_err *err)
{
    const struct pinned *pinned = arg;
    CLM_CLEANUP(clm_buf_done) struct clm_buf kept = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);

    return clm_token_pin_check(&pinned->token, pinned->chain, &kept, err);
}

static void no_memory_is_reported(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(1795312800);
    struct pinned pinned = {.token = {.n_pins = 1}};
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};
    struct clm_test_leaf leaf;

    (void)state;
    clm_test_leaf_make(ca, "a.example", CLM_TEST_GOOD, &leaf);
    pinned.chain = chain_of(clm_test_ca_root_pem(ca), clm_buf_str(&leaf.leaf_pem));
    clm_test_leaf_done(&leaf);
    assert_true(clm_torture(parse_and_make, NULL) >= 5);
    assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &token, NULL), CLM_OK);
    assert_true(clm_torture(proof_once, &token) >= 2);
    pin_of(pinned.chain, 0, pinned.token.pins[0]);
    assert_true(clm_torture(pin_check_once, &pinned) >= 4); /* the PEM, and the leaf's names */
    clm_cert_chain_free(pinned.chain);
}

/* The text holds as much as is allowed, wherever it ends. */
static void a_token_takes_its_room(void **state)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};

    (void)state;
    assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &token, NULL), CLM_OK);
    for (size_t max = 0; max < strlen(TOKEN); max++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(max);

        assert_int_equal(clm_token_make(&token, &out, NULL), CLM_E_LIMIT);
        assert_int_equal(out.len, 0);
    }
}

/* Four URLs of any length: what is too long for a token is said, whatever value it is that ends it. */
static void a_token_has_a_limit(void **state)
{
    (void)state;
    for (size_t len = 470; len <= 512; len++) {
        CLM_CLEANUP(clm_token_done) struct clm_token token = {.n_pins = 0};
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
        char url[600];

        assert_int_equal(clm_token_parse(TOKEN, strlen(TOKEN), &token, NULL), CLM_OK);
        clm_strs_done(&token.urls);
        (void)snprintf(url, sizeof(url), "https://%0*d", (int)len - 8, 1);
        for (size_t i = 0; i < CLM_TOKEN_URLS_MAX; i++) {
            assert_int_equal(clm_strs_add(&token.urls, url, NULL), CLM_OK);
        }
        token.n_pins = CLM_TOKEN_PINS_MAX;
        assert_int_equal(clm_token_make(&token, &out, NULL), CLM_E_LIMIT);
        assert_int_equal(out.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_of_the_protocol_is_read),
        cmocka_unit_test(proof_is_that_of_the_protocol),
        cmocka_unit_test(made_token_is_that_of_the_protocol),
        cmocka_unit_test(white_space_around_is_ignored),
        cmocka_unit_test(done_wipes_the_secret),
        cmocka_unit_test(other_spelling_of_the_same_is_read),
        cmocka_unit_test(bad_members_are_refused),
        cmocka_unit_test(a_secret_elsewhere_is_none),
        cmocka_unit_test(damaged_text_is_refused_without_showing_it),
        cmocka_unit_test(impossible_tokens_are_not_made),
        cmocka_unit_test(only_pinned_cas_are_kept),
        cmocka_unit_test(no_memory_is_reported),
        cmocka_unit_test(a_token_takes_its_room),
        cmocka_unit_test(a_token_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
