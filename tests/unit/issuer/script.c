/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/issuer/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/str.h"

static struct clm_json *decode(const struct clm_json *jws, const char *key)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    const char *b64 = NULL;
    struct clm_json *out = NULL;

    assert_int_equal(clm_json_str(jws, key, 65536, &b64, NULL), CLM_OK);
    assert_int_equal(clm_b64url_decode(b64, strlen(b64), &text, NULL), CLM_OK);
    if (text.len > 0) {
        assert_int_equal(clm_json_parse(clm_buf_str(&text), text.len, 65536, &out, NULL), CLM_OK);
    }
    return out;
}

static void keep_signed(struct script *s, const struct clm_http_request *request)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jws = NULL;

    assert_string_equal(request->headers[0], "Content-Type: application/jose+json");
    assert_int_equal(clm_json_parse(request->body, request->body_len, 131072, &jws, NULL), CLM_OK);
    clm_json_free(s->protected_header);
    clm_json_free(s->payload);
    s->protected_header = decode(jws, "protected");
    s->payload = decode(jws, "payload");
    assert_string_equal(clm_json_text(clm_json_get(s->protected_header, "url")), request->url);
}

static enum clm_code scripted_http(void *ctx, const struct clm_http_request *request,
                                   struct clm_http_response *out, struct clm_err *err)
{
    struct script *s = ctx;
    const struct answer *a = &s->answers[s->at];

    if (a->method == NULL) {
        fail_msg("unexpected request: %s %s", request->method, request->url);
    }
    s->at++;
    assert_string_equal(request->method, a->method);
    assert_string_equal(request->url, a->url);
    assert_int_equal(request->response_max, CLM_ACME_BODY_MAX);
    assert_int_equal(request->timeout_ms, 1234);
    assert_string_equal(request->ca_pem, "anchors");
    *out = (struct clm_http_response){.status = a->status,
                                      .retry_after_s = a->retry_after_s,
                                      .body = CLM_BUF_INIT(CLM_ACME_BODY_MAX)};
    if (strcmp(request->method, "POST") == 0) {
        keep_signed(s, request);
    }
    if (a->fails != CLM_OK) {
        return clm_err_set(err, a->fails, "scripted");
    }
    (void)snprintf(out->content_type, sizeof(out->content_type), "%s",
                   a->type != NULL ? a->type : "");
    (void)snprintf(out->replay_nonce, sizeof(out->replay_nonce), "%s",
                   a->nonce != NULL ? a->nonce : "");
    (void)snprintf(out->location, sizeof(out->location), "%s",
                   a->location != NULL ? a->location : "");
    return a->body != NULL ? clm_buf_add_str(&out->body, a->body, err) : CLM_OK;
}

void script_start(struct script *s, const struct answer *answers, const char *account_url)
{
    script_start_profile(s, answers, account_url, NULL);
}

void script_start_profile(struct script *s, const struct answer *answers, const char *account_url,
                          const char *profile)
{
    memset(s, 0, sizeof(*s));
    s->answers = answers;
    assert_int_equal(clm_rng_new(&s->rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(s->rng, CLM_KEY_EC_P256, &s->key, NULL), CLM_OK);
    const struct clm_io io = {.ctx = s, .http = scripted_http};
    const struct clm_acme_opts opts = {
        .io = &io,
        .rng = s->rng,
        .key = s->key,
        .directory_url = BASE "/dir",
        .account_url = account_url,
        .ca_pem = "anchors",
        .profile = profile,
        .timeout_ms = 1234,
    };
    assert_int_equal(clm_acme_new(&opts, &s->acme, &s->err), CLM_OK);
}

void script_end(struct script *s)
{
    assert_null(s->answers[s->at].method);
    clm_acme_free(s->acme);
    clm_json_free(s->protected_header);
    clm_json_free(s->payload);
    clm_key_free(s->key);
    clm_rng_free(s->rng);
}
