/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/jws.h"
#include "tests/support/torture.h"

/* protocol.md 21.2 */
#define JOB_X "8rlgzmWNGOiy5VoL5NI-fcAXt4uwX_xY7MZVliJhRSY"
#define JOB_Y "b7enh6e4fGvBkc2E_baQmgCIabwh6s7fmWHATGp7ffU"
#define JOB_PROTECTED                                                                              \
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImpvYnMtMjAyNi0xMSIsInR5cCI6ImNsbS1qb2IrandzIiwiY3JpdCI6WyJjbG12" \
    "Il0sImNsbXYiOjF9"
#define JOB_PAYLOAD                                                                                \
    "eyJzcGVjX3ZlcnNpb24iOjEsImpvYl9pZCI6ImpvYl8wMUo5WkszVzVWN00yUThSNFQ2WTBYMUIzQyIsImFnZW50X2lk" \
    "IjoiYWd0XzAxSjlaSzNXNVY3TTJROFI0VDZZMFgxQjNDIiwidHlwZSI6InNjYW4iLCJ0YXJnZXQiOiJob3N0IiwidGFy" \
    "Z2V0X3NlcSI6NDIsImlzc3VlZF9hdCI6IjIwMjYtMTEtMjFUMDE6NTI6MjVaIiwiZXhwaXJlc19hdCI6IjIwMjYtMTEt" \
    "MjhUMDE6NTI6MjVaIiwic3BlYyI6eyJzY29wZSI6ImZ1bGwifX0"
#define JOB_SIGNATURE                                                                              \
    "hUjrYCt3lv__ozzeR3aeZoubLLQkCxvFLyHOtUZHnFveKNf0ZHVkwFVRhHSyuPi-iXz4HksqgJcgEOQ-JYI9hA"
#define JOB_JWS                                                                                    \
    "{\"payload\":\"" JOB_PAYLOAD "\",\"signatures\":[{\"protected\":\"" JOB_PROTECTED             \
    "\",\"signature\":\"" JOB_SIGNATURE "\"}]}"

struct world {
    struct clm_rng *rng;
    struct clm_key *key;
    struct clm_pubkey *pubkey; /* of key; trusted as "k1" and "k2" */
    struct clm_pubkey *job;    /* of the vector; trusted as "jobs-2026-11" */
};

static int setup(void **state)
{
    static struct world w;

    if (clm_rng_new(&w.rng, NULL) != CLM_OK ||
        clm_key_generate(w.rng, CLM_KEY_EC_P256, &w.key, NULL) != CLM_OK ||
        clm_pubkey_from_key(w.key, &w.pubkey, NULL) != CLM_OK ||
        clm_pubkey_from_xy(JOB_X, JOB_Y, &w.job, NULL) != CLM_OK) {
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
    clm_pubkey_free(w->job);
    clm_rng_free(w->rng);
    return 0;
}

static enum clm_code find_key(void *ctx, const char *kid, const struct clm_pubkey **out_key,
                              struct clm_err *err)
{
    const struct world *w = ctx;

    if (strcmp(kid, "k1") == 0 || strcmp(kid, "k2") == 0) {
        *out_key = w->pubkey;
        return CLM_OK;
    }
    if (strcmp(kid, "jobs-2026-11") == 0) {
        *out_key = w->job;
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_NOTFOUND, "no such key");
}

static enum clm_code verify_text(struct world *w, const char *text, const char *typ,
                                 size_t threshold, struct clm_buf *payload, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = NULL;
    const struct clm_jws_policy policy = {
        .typ = typ, .threshold = threshold, .find_key = find_key, .find_ctx = w};
    enum clm_code code = clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &json, err);

    return code == CLM_OK ? clm_jws_verify(json, &policy, payload, err) : code;
}

/* Signs payload under any header and gives one {"protected","signature"} entry. */
static void sign_entry(struct world *w, const char *header, const char *payload_text,
                       struct clm_buf *out)
{
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(1000);

    assert_int_equal(clm_buf_add_str(&payload, payload_text, NULL), CLM_OK);
    assert_int_equal(clm_jws_sign_es256(w->rng, w->key, header, &payload, &jws, NULL), CLM_OK);
    assert_int_equal(clm_buf_addf(out, NULL, "{\"protected\":\"%s\",\"signature\":\"%s\"}",
                                  clm_buf_str(&jws.protected_b64), clm_buf_str(&jws.signature_b64)),
                     CLM_OK);
}

static void vector_of_the_protocol_is_verified(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf want = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    struct clm_err err = {0};

    assert_int_equal(verify_text(*state, JOB_JWS, CLM_JWS_TYP_JOB, 1, &payload, &err), CLM_OK);
    assert_int_equal(clm_b64url_decode(JOB_PAYLOAD, strlen(JOB_PAYLOAD), &want, NULL), CLM_OK);
    assert_int_equal(payload.len, want.len);
    assert_memory_equal(payload.data, want.data, want.len);
}

/* The header we write for a job is the one of the vector, byte for byte. */
static void header_has_the_form_of_the_protocol(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf header = CLM_BUF_INIT(CLM_JWS_HEADER_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JWS_HEADER_MAX);

    (void)state;
    assert_int_equal(clm_jws_header(CLM_JWS_TYP_JOB, "jobs-2026-11", &header, NULL), CLM_OK);
    assert_int_equal(clm_b64url_encode(header.data, header.len, &text, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&text), JOB_PROTECTED);
    clm_buf_reset(&header);
    assert_int_equal(clm_jws_header(CLM_JWS_TYP_TRUST, "root-a", &header, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&header),
                        "{\"alg\":\"ES256\",\"kid\":\"root-a\",\"typ\":\"clm-trust+jws\"}");
    assert_int_equal(clm_jws_header(CLM_JWS_TYP_JOB, "", &header, NULL), CLM_E_INVAL);
    assert_int_equal(clm_jws_header(CLM_JWS_TYP_JOB, "a\nb", &header, NULL), CLM_E_INVAL);
}

/* Every single character of the three parts matters. */
static void changed_characters_are_refused(void **state)
{
    char text[] = JOB_JWS;

    for (size_t i = 0; i < strlen(text); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        if (verify_text(*state, text, CLM_JWS_TYP_JOB, 1, &payload, NULL) == CLM_OK) {
            fail_msg("changed character %zu", i);
        }
        assert_int_equal(payload.len, 0);
        text[i] = was;
    }
}

static void what_is_signed_is_verified_for_each_type(void **state)
{
    static const char *const types[] = {CLM_JWS_TYP_JOB, CLM_JWS_TYP_TRUST};
    struct world *w = *state;

    for (size_t i = 0; i < 2; i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf header = CLM_BUF_INIT(CLM_JWS_HEADER_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
        CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
        CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
        const struct clm_jws_policy right = {.typ = types[i], .find_key = find_key, .find_ctx = w};
        const struct clm_jws_policy wrong = {
            .typ = types[1 - i], .find_key = find_key, .find_ctx = w};

        assert_int_equal(clm_jws_header(types[i], "k1", &header, NULL), CLM_OK);
        assert_int_equal(clm_buf_add(&payload, "\0bytes\xff", 7, NULL), CLM_OK);
        assert_int_equal(
            clm_jws_sign_es256(w->rng, w->key, clm_buf_str(&header), &payload, &jws, NULL), CLM_OK);
        clm_jws_to_json(&jws, json);
        assert_int_equal(clm_jws_verify(json, &right, &back, NULL), CLM_OK);
        assert_int_equal(back.len, 7);
        assert_memory_equal(back.data, "\0bytes\xff", 7);
        assert_int_equal(clm_jws_verify(json, &wrong, &back, NULL), CLM_E_PARSE);
        assert_int_equal(back.len, 0);
    }
}

/* All correctly signed by a trusted key: only the header is wrong. */
static void headers_other_than_the_one_are_refused(void **state)
{
#define JOB_MEMBERS "\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\"],\"clmv\":1"
    static const char *const cases[] = {
        "{\"alg\":\"none\"," JOB_MEMBERS "}",
        "{\"alg\":\"HS256\"," JOB_MEMBERS "}",
        "{\"alg\":\"es256\"," JOB_MEMBERS "}",
        "{" JOB_MEMBERS "}",
        "{\"alg\":\"ES256\"," JOB_MEMBERS ",\"jwk\":{\"kty\":\"EC\"}}",
        "{\"alg\":\"ES256\"," JOB_MEMBERS ",\"jku\":\"https://x\"}",
        "{\"alg\":\"ES256\"," JOB_MEMBERS ",\"x5u\":\"https://x\"}",
        "{\"alg\":\"ES256\"," JOB_MEMBERS ",\"x5c\":[]}",
        "{\"alg\":\"ES256\"," JOB_MEMBERS ",\"b64\":false}",
        "{\"alg\":\"ES256\"," JOB_MEMBERS ",\"x\":null}",
        "{\"alg\":\"ES256\",\"alg\":\"ES256\"," JOB_MEMBERS "}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":[],\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\",\"clmv\"],"
        "\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":[\"b64\"],\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":\"clmv\",\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":[1],\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\"],\"clmv\":2}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\"]}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-trust+jws\",\"crit\":[\"clmv\"],\"clmv\":"
        "1}",
        "{\"alg\":\"ES256\",\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\"],\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"\",\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\"],\"clmv\":1}",
        "{\"alg\":\"ES256\",\"kid\":7,\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\"],\"clmv\":1}",
        "[]",
        "\"x\"",
        "{\"alg\":\"ES256\"," JOB_MEMBERS "} ",
        "",
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(10000);
        CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
        struct clm_err err = {0};
        enum clm_code code;

        assert_int_equal(clm_buf_add_str(&text, "{\"payload\":\"e30\",\"signatures\":[", NULL),
                         CLM_OK);
        sign_entry(*state, cases[i], "{}", &text);
        assert_int_equal(clm_buf_add_str(&text, "]}", NULL), CLM_OK);
        code = verify_text(*state, clm_buf_str(&text), CLM_JWS_TYP_JOB, 1, &payload, &err);
        if (cases[i][0] != '\0' && cases[i][strlen(cases[i]) - 1] == ' ') {
            assert_int_equal(code, CLM_OK); /* white space is allowed: it is signed, too */
        } else if (code == CLM_OK || code == CLM_E_CRYPTO || payload.len != 0) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
    }
}

static void envelopes_of_another_form_are_refused(void **state)
{
    static const char *const cases[] = {
        "[]",
        "{}",
        "{\"payload\":\"e30\"}",
        "{\"payload\":\"e30\",\"signatures\":[]}",
        "{\"payload\":\"e30\",\"signatures\":{}}",
        "{\"payload\":\"e30\",\"signatures\":[1]}",
        "{\"payload\":\"e30\",\"signatures\":[{\"protected\":\"" JOB_PROTECTED "\"}]}",
        "{\"payload\":\"" JOB_PAYLOAD "\",\"signatures\":[{\"protected\":\"" JOB_PROTECTED
        "\",\"signature\":\"" JOB_SIGNATURE "\",\"header\":{\"kid\":\"x\"}}]}",
        "{\"payload\":\"" JOB_PAYLOAD "\",\"x\":1,\"signatures\":[{\"protected\":\"" JOB_PROTECTED
        "\",\"signature\":\"" JOB_SIGNATURE "\"}]}",
        "{\"payload\":\"" JOB_PAYLOAD "=\",\"signatures\":[{\"protected\":\"" JOB_PROTECTED
        "\",\"signature\":\"" JOB_SIGNATURE "\"}]}",
        "{\"payload\":\"" JOB_PAYLOAD "\",\"signatures\":[{\"protected\":\"" JOB_PROTECTED
        "\",\"signature\":\"" JOB_SIGNATURE "AA\"}]}",
        "{\"payload\":\"" JOB_PAYLOAD "\",\"signatures\":[{\"protected\":\"" JOB_PROTECTED
        "\",\"signature\":\"\"}]}",
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);

        if (verify_text(*state, cases[i], CLM_JWS_TYP_JOB, 1, &payload, NULL) == CLM_OK) {
            fail_msg("case %zu was verified", i);
        }
        assert_int_equal(payload.len, 0);
    }
    {
        CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
        const struct clm_jws_policy policy = {
            .typ = CLM_JWS_TYP_JOB, .find_key = find_key, .find_ctx = *state};

        assert_int_equal(clm_jws_verify(NULL, &policy, &payload, NULL), CLM_E_PARSE);
    }
}

static void unknown_key_is_named(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(10000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    struct clm_err err = {0};

    assert_int_equal(clm_buf_add_str(&text, "{\"payload\":\"e30\",\"signatures\":[", NULL), CLM_OK);
    sign_entry(*state, "{\"alg\":\"ES256\",\"kid\":\"evil\",\"typ\":\"clm-trust+jws\"}", "{}",
               &text);
    assert_int_equal(clm_buf_add_str(&text, "]}", NULL), CLM_OK);
    assert_int_equal(verify_text(*state, clm_buf_str(&text), CLM_JWS_TYP_TRUST, 1, &payload, &err),
                     CLM_E_CRYPTO);
    assert_string_equal(err.msg, "signing key 'evil' is not trusted for this");
}

static void threshold_counts_distinct_keys(void **state)
{
    static const struct {
        const char *kids[3];
        size_t threshold;
        enum clm_code code;
    } cases[] = {
        {{"k1"}, 1, CLM_OK},
        {{"k1"}, 0, CLM_OK},
        {{"k1"}, 2, CLM_E_CRYPTO},
        {{"k1", "k2"}, 2, CLM_OK},
        {{"k1", "k1"}, 2, CLM_E_PARSE},
        {{"k1", "evil"}, 1, CLM_E_CRYPTO},
        {{"k1", "jobs-2026-11"}, 1, CLM_E_CRYPTO}, /* that key did not sign this */
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(10000);
        CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
        struct clm_err err = {0};

        assert_int_equal(clm_buf_add_str(&text, "{\"payload\":\"e30\",\"signatures\":[", NULL),
                         CLM_OK);
        for (size_t k = 0; k < 3 && cases[i].kids[k] != NULL; k++) {
            char header[128];

            (void)snprintf(header, sizeof(header),
                           "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"clm-trust+jws\"}",
                           cases[i].kids[k]);
            assert_int_equal(clm_buf_add_str(&text, k > 0 ? "," : "", NULL), CLM_OK);
            sign_entry(*state, header, "{}", &text);
        }
        assert_int_equal(clm_buf_add_str(&text, "]}", NULL), CLM_OK);
        if (verify_text(*state, clm_buf_str(&text), CLM_JWS_TYP_TRUST, cases[i].threshold, &payload,
                        &err) != cases[i].code) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
}

static void largest_payload_fits_and_one_more_does_not(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX + 1);
    CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *large = clm_json_new_object();
    const struct clm_jws_policy policy = {
        .typ = CLM_JWS_TYP_TRUST, .find_key = find_key, .find_ctx = w};
    const char *header = "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"clm-trust+jws\"}";

    assert_int_equal(clm_buf_reserve(&payload, CLM_JWS_PAYLOAD_MAX + 1, NULL), CLM_OK);
    memset(payload.data, 'x', CLM_JWS_PAYLOAD_MAX + 1);
    payload.len = CLM_JWS_PAYLOAD_MAX;
    assert_int_equal(clm_jws_sign_es256(w->rng, w->key, header, &payload, &jws, NULL), CLM_OK);
    clm_jws_to_json(&jws, json);
    assert_int_equal(clm_jws_verify(json, &policy, &back, NULL), CLM_OK);
    assert_int_equal(back.len, CLM_JWS_PAYLOAD_MAX);
    assert_int_equal(clm_buf_add_str(&jws.payload_b64, "AA", NULL), CLM_OK);
    clm_jws_to_json(&jws, large);
    assert_int_equal(clm_jws_verify(large, &policy, &back, NULL), CLM_E_LIMIT);
    payload.len++;
    assert_int_equal(clm_jws_sign_es256(w->rng, w->key, header, &payload, &jws, NULL), CLM_E_LIMIT);
}

/* protocol.md 7.5: the recovery proof. */
static void flat_form_is_verified_with_a_known_key(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(1000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_INIT(1000);
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();

    assert_int_equal(clm_buf_add_str(&payload, "{\"generation\":7}", NULL), CLM_OK);
    assert_int_equal(clm_jws_sign_es256(w->rng, w->key,
                                        "{\"alg\":\"ES256\",\"typ\":\"clm-recover+jws\"}", &payload,
                                        &jws, NULL),
                     CLM_OK);
    clm_jws_to_flat_json(&jws, json);
    assert_int_equal(clm_jws_verify_flat(json, CLM_JWS_TYP_RECOVER, w->pubkey, &back, NULL),
                     CLM_OK);
    assert_string_equal(clm_buf_str(&back), "{\"generation\":7}");
    assert_int_equal(clm_jws_verify_flat(json, CLM_JWS_TYP_RECOVER, w->job, &back, NULL),
                     CLM_E_CRYPTO);
    assert_int_equal(back.len, 0);
    assert_int_equal(clm_jws_verify_flat(json, CLM_JWS_TYP_TRUST, w->pubkey, &back, NULL),
                     CLM_E_PARSE);
    clm_json_set_str(json, "extra", "x");
    assert_int_equal(clm_jws_verify_flat(json, CLM_JWS_TYP_RECOVER, w->pubkey, &back, NULL),
                     CLM_E_PARSE);
    assert_int_equal(clm_jws_verify_flat(NULL, CLM_JWS_TYP_RECOVER, w->pubkey, &back, NULL),
                     CLM_E_PARSE);
}

struct torture {
    struct world *w;
    struct clm_json *json;
};

static enum clm_code verify_once(void *arg, struct clm_err *err)
{
    struct torture *t = arg;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    const struct clm_jws_policy policy = {
        .typ = CLM_JWS_TYP_JOB, .find_key = find_key, .find_ctx = t->w};

    return clm_jws_verify(t->json, &policy, &payload, err);
}

static void no_memory_is_reported(void **state)
{
    struct torture t = {.w = *state};

    assert_int_equal(clm_json_parse(JOB_JWS, strlen(JOB_JWS), 10000, &t.json, NULL), CLM_OK);
    assert_true(clm_torture(verify_once, &t) >= 4);
    clm_json_free(t.json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_of_the_protocol_is_verified),
        cmocka_unit_test(header_has_the_form_of_the_protocol),
        cmocka_unit_test(changed_characters_are_refused),
        cmocka_unit_test(what_is_signed_is_verified_for_each_type),
        cmocka_unit_test(headers_other_than_the_one_are_refused),
        cmocka_unit_test(envelopes_of_another_form_are_refused),
        cmocka_unit_test(unknown_key_is_named),
        cmocka_unit_test(threshold_counts_distinct_keys),
        cmocka_unit_test(largest_payload_fits_and_one_more_does_not),
        cmocka_unit_test(flat_form_is_verified_with_a_known_key),
        cmocka_unit_test(no_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
