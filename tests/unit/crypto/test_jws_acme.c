/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/jws.h"
#include "tests/support/torture.h"
#include "tests/unit/crypto/rfc7515_key.h"

struct world {
    struct clm_rng *rng;
    struct clm_key *key;
    struct clm_pubkey *pubkey;
};

static int setup(void **state)
{
    static struct world w;

    if (clm_rng_new(&w.rng, NULL) != CLM_OK ||
        clm_key_from_pem(RFC7515_PEM, strlen(RFC7515_PEM), &w.key, NULL) != CLM_OK ||
        clm_pubkey_from_key(w.key, &w.pubkey, NULL) != CLM_OK) {
        return -1;
    }
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    clm_key_free(w->key);
    clm_pubkey_free(w->pubkey);
    clm_rng_free(w->rng);
    return 0;
}

/* Computed with Python's hashlib over {"crv":"P-256","kty":"EC","x":...,"y":...}. */
static void thumbprint_and_key_authorization_are_known(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1000);
    char thumbprint[CLM_JWK_THUMBPRINT_SIZE];

    assert_int_equal(clm_jwk_thumbprint(w->key, thumbprint, NULL), CLM_OK);
    assert_string_equal(thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    assert_int_equal(clm_acme_key_authorization(w->key, "evaGxfADs6pSRb2LAv9IZf17", &out, NULL),
                     CLM_OK);
    assert_string_equal(clm_buf_str(&out),
                        "evaGxfADs6pSRb2LAv9IZf17.oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

static void tokens_that_are_not_base64url_are_refused(void **state)
{
    static const char *const bad[] = {"", "../x", "a/b", "a.b", "a b", "a=", "a\nb", "\xc3\xb6"};
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1000);

    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        assert_int_equal(clm_acme_key_authorization(w->key, bad[i], &out, NULL), CLM_E_INVAL);
    }
    assert_int_equal(out.len, 0);
}

/* The request as text, its header decoded, and its signature checked. */
static void check_request(struct world *w, const struct clm_acme_request *request,
                          const char *payload_text, const char *want_header)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(1000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf header = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf input = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf sig = CLM_BUF_INIT(100);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = NULL;
    const char *parts[3];
    static const char *const names[] = {"protected", "payload", "signature", NULL};

    if (payload_text != NULL) {
        assert_int_equal(clm_buf_add_str(&payload, payload_text, NULL), CLM_OK);
    }
    assert_int_equal(
        clm_acme_sign(w->rng, w->key, request, payload_text == NULL ? NULL : &payload, &out, NULL),
        CLM_OK);
    assert_int_equal(clm_json_parse(clm_buf_str(&out), out.len, 10000, &json, NULL), CLM_OK);
    assert_int_equal(clm_json_only(json, names, NULL), CLM_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(clm_json_str(json, names[i], 8192, &parts[i], NULL), CLM_OK);
    }
    assert_int_equal(clm_b64url_decode(parts[0], strlen(parts[0]), &header, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&header), want_header);
    assert_int_equal(clm_b64url_decode(parts[1], strlen(parts[1]), &body, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&body), payload_text == NULL ? "" : payload_text);
    assert_int_equal(clm_b64url_decode(parts[2], strlen(parts[2]), &sig, NULL), CLM_OK);
    assert_int_equal(sig.len, 64);
    assert_int_equal(clm_buf_addf(&input, NULL, "%s.%s", parts[0], parts[1]), CLM_OK);
    assert_int_equal(clm_pubkey_verify_es256(w->pubkey, input.data, input.len, sig.data, NULL),
                     CLM_OK);
}

static void requests_have_the_form_of_rfc_8555(void **state)
{
    const struct clm_acme_request first = {.url = "https://ca.example/new-acct", .nonce = "n0"};
    const struct clm_acme_request later = {
        .url = "https://ca.example/order/1", .nonce = "n1", .kid = "https://ca.example/acct/1"};
    const struct clm_acme_request inner = {.url = "https://ca.example/key-change"};

    check_request(*state, &first, "{\"termsOfServiceAgreed\":true}",
                  "{\"alg\":\"ES256\",\"jwk\":{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" RFC7515_X
                  "\",\"y\":\"" RFC7515_Y "\"},\"nonce\":\"n0\",\"url\":\"https://ca.example/"
                  "new-acct\"}");
    check_request(*state, &later, NULL,
                  "{\"alg\":\"ES256\",\"kid\":\"https://ca.example/acct/1\",\"nonce\":\"n1\","
                  "\"url\":\"https://ca.example/order/1\"}");
    check_request(*state, &inner, "{}",
                  "{\"alg\":\"ES256\",\"jwk\":{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" RFC7515_X
                  "\",\"y\":\"" RFC7515_Y "\"},\"url\":\"https://ca.example/key-change\"}");
}

/* Expected values computed with Python's hmac; the HMAC key is the example of Pebble's README. */
static void external_account_binding_is_known(void **state)
{
    static const char *const keys[] = {
        "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
        "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W==",
    };
    struct world *w = *state;

    for (size_t i = 0; i < 2; i++) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
        const struct clm_acme_eab eab = {
            .kid = "kid-1", .hmac_b64url = keys[i], .url = "https://ca.example/new-acct"};

        assert_int_equal(clm_acme_eab(w->key, &eab, json, NULL), CLM_OK);
        assert_string_equal(
            clm_json_text(clm_json_get(json, "protected")),
            "eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC0xIiwidXJsIjoiaHR0cHM6Ly9jYS5leGFtcGxlL25ldy1hY2N0"
            "In0");
        assert_string_equal(
            clm_json_text(clm_json_get(json, "payload")),
            "eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImY4M09KM0QyeEYxQmc4dnViOXRMZTFnSE16Vjc2ZThUd"
            "XM5dVBIdlJWRVUiLCJ5IjoieF9GRXpSdTltMzZITE5fdHVlNjU5TE5wWFc2cEN5U3Rpa1lqS0lXSTVhMCJ9");
        assert_string_equal(clm_json_text(clm_json_get(json, "signature")),
                            "45aCJZSUalvVxG8Ut9m4aQmfinj352yBvPiDvywkiw0");
    }
}

static void bad_hmac_key_is_refused_without_showing_it(void **state)
{
    static const char *const bad[] = {"", "====", "se cret", "secret*", "secre"};
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
        const struct clm_acme_eab eab = {.kid = "k", .hmac_b64url = bad[i], .url = "https://x"};
        struct clm_err err = {0};

        assert_int_equal(clm_acme_eab(w->key, &eab, json, &err), CLM_E_PARSE);
        assert_null(strstr(err.msg, "secre"));
    }
}

static void jwk_is_read_back(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    struct clm_pubkey *none = NULL;
    char hex[65];

    assert_int_equal(clm_jwk_public(w->key, json, NULL), CLM_OK);
    assert_int_equal(clm_jwk_parse(json, &pubkey, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_spki_sha256_hex(pubkey, hex, NULL), CLM_OK);
    assert_string_equal(hex, RFC7515_SPKI);
    clm_json_remove(json, "crv");
    clm_json_set_str(json, "crv", "P-384");
    assert_int_equal(clm_jwk_parse(json, &none, NULL), CLM_E_PARSE);
    clm_json_remove(json, "crv");
    clm_json_remove(json, "y");
    assert_int_equal(clm_jwk_parse(json, &none, NULL), CLM_E_PARSE);
    assert_int_equal(clm_jwk_parse(NULL, &none, NULL), CLM_E_PARSE);
}

static void a_jwk_is_one_of_p256(void **state)
{
    static const struct {
        const char *json;
        const char *msg;
    } cases[] = {
        {"{\"kty\":\"RSA\",\"x\":\"a\",\"y\":\"b\"}", "key is not of type EC on the curve P-256"},
        {"{\"crv\":\"P-521\",\"x\":\"a\",\"y\":\"b\"}", "key is not of type EC on the curve P-256"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *json = NULL;
        struct clm_pubkey *none = NULL;
        struct clm_err err = {0};

        assert_int_equal(clm_json_parse(cases[i].json, strlen(cases[i].json), 1000, &json, NULL),
                         CLM_OK);
        assert_int_equal(clm_jwk_parse(json, &none, &err), CLM_E_PARSE);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

static enum clm_code sign_all(void *arg, struct clm_err *err)
{
    const struct world *w = arg;
    const struct clm_acme_request request = {.url = "https://ca.example/new-acct", .nonce = "n0"};
    const struct clm_acme_eab eab = {
        .kid = "kid-1",
        .hmac_b64url = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
        .url = "https://ca.example/new-acct"};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(100);
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(10000);
    enum clm_code code = clm_acme_eab(w->key, &eab, json, err);

    if (code == CLM_OK) {
        code = clm_buf_add_str(&payload, "{}", err);
    }
    if (code == CLM_OK) {
        code = clm_acme_sign(w->rng, w->key, &request, &payload, &out, err);
    }
    clm_buf_done(&out);
    return code == CLM_OK ? clm_acme_key_authorization(w->key, "abc", &out, err) : code;
}

static void no_memory_is_reported(void **state)
{
    assert_true(clm_torture(sign_all, *state) > 10);
}

/* URLs come from the CA, key ids from the operator: long ones end where a header may. */
static void headers_have_a_limit(void **state)
{
    struct world *w = *state;
    static char url[CLM_JWS_HEADER_MAX + 2];
    const struct clm_acme_request request = {.url = url, .nonce = "n"};
    const struct clm_acme_eab eab = {.kid = "k", .hmac_b64url = "c2VjcmV0", .url = url};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100000);
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
    struct clm_err err = {0};
    char token[514];

    memset(url, 'x', sizeof(url) - 1);
    assert_int_equal(clm_acme_sign(w->rng, w->key, &request, NULL, &out, NULL), CLM_E_LIMIT);
    assert_int_equal(clm_acme_eab(w->key, &eab, json, NULL), CLM_E_LIMIT);
    assert_int_equal(clm_jws_sign_es256(w->rng, w->key, url, NULL, &jws, &err), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "header of the signature is longer than"));
    memset(token, 'x', sizeof(token) - 1);
    token[513] = '\0';
    assert_int_equal(clm_acme_key_authorization(w->key, token, &out, NULL), CLM_E_INVAL);
    token[512] = '\0';
    assert_int_equal(clm_acme_key_authorization(w->key, token, &out, NULL), CLM_OK);
}

/* Keys of another kind sign nothing. */
static void other_keys_are_refused(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
    const struct clm_acme_request request = {.url = "https://x", .nonce = "n", .kid = "k"};
    const struct clm_acme_request first = {.url = "https://x", .nonce = "n"};
    const struct clm_acme_eab eab = {.kid = "k", .hmac_b64url = "c2VjcmV0", .url = "https://x"};
    char thumbprint[CLM_JWK_THUMBPRINT_SIZE];

    assert_int_equal(clm_key_generate(w->rng, CLM_KEY_EC_P384, &key, NULL), CLM_OK);
    assert_int_not_equal(clm_acme_sign(w->rng, key, &request, NULL, &out, NULL), CLM_OK);
    assert_int_not_equal(clm_acme_sign(w->rng, key, &first, NULL, &out, NULL), CLM_OK);
    assert_int_not_equal(clm_acme_eab(key, &eab, json, NULL), CLM_OK);
    assert_int_not_equal(clm_jwk_thumbprint(key, thumbprint, NULL), CLM_OK);
    assert_int_not_equal(clm_acme_key_authorization(key, "abc", &out, NULL), CLM_OK);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thumbprint_and_key_authorization_are_known),
        cmocka_unit_test(tokens_that_are_not_base64url_are_refused),
        cmocka_unit_test(requests_have_the_form_of_rfc_8555),
        cmocka_unit_test(external_account_binding_is_known),
        cmocka_unit_test(bad_hmac_key_is_refused_without_showing_it),
        cmocka_unit_test(jwk_is_read_back),
        cmocka_unit_test(a_jwk_is_one_of_p256),
        cmocka_unit_test(no_memory_is_reported),
        cmocka_unit_test(headers_have_a_limit),
        cmocka_unit_test(other_keys_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
