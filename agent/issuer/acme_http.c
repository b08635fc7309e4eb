/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: nonces, signatures, and the judgement of answers (RFC 8555 6).
 *
 * Each answer brings the nonce of the next request, so HEAD newNonce is needed only for the first
 * one and after a transport error.
 */
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/jws.h"
#include "agent/issuer/acme_internal.h"

#define REQUEST_MAX                                                                                \
    ((size_t)128 * 1024) /* bytes of a signed request; a request with 100 names takes 12 KiB */

void clm_acme_reply_done(struct clm_acme_reply *reply)
{
    clm_buf_done(&reply->http.body);
    clm_json_free(reply->json);
    reply->json = NULL;
}

enum clm_code clm_acme_url(const struct clm_acme *acme, const char *what, const char *url,
                           char dst[CLM_ISSUER_URL_SIZE], struct clm_err *err)
{
    const bool is_https = clm_str_starts(url, "https://");
    const bool is_http = acme->allow_http && clm_str_starts(url, "http://");

    dst[0] = '\0';
    if ((!is_https && !is_http) || !clm_str_is_printable(url) || strchr(url, ' ') != NULL) {
        return clm_err_set(err, CLM_E_PARSE, "CA '%s': %s is no https URL", acme->host, what);
    }
    if (strlen(url) >= CLM_ISSUER_URL_SIZE) {
        return clm_err_set(err, CLM_E_LIMIT, "CA '%s': URL of %s is longer than %d bytes",
                           acme->host, what, CLM_ISSUER_URL_SIZE - 1);
    }
    return clm_str_copy(dst, CLM_ISSUER_URL_SIZE, url, err);
}

/* Only base64url may be put into the next request (RFC 8555 6.5.2). */
static void keep_nonce(struct clm_acme *acme, const struct clm_http_response *response)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *nonce = response->replay_nonce;

    acme->nonce[0] = '\0';
    if (nonce[strspn(nonce, alphabet)] == '\0') {
        memcpy(acme->nonce, nonce, sizeof(acme->nonce));
    }
}

static enum clm_code exchange(struct clm_acme *acme, struct clm_http_request *request,
                              struct clm_http_response *out, struct clm_err *err)
{
    request->response_max = CLM_ACME_BODY_MAX;
    request->timeout_ms = acme->timeout_ms;
    request->ca_pem = acme->ca_pem;
    acme->nonce[0] = '\0'; /* whatever happens, it is used up */
    acme->problem = (struct clm_issuer_problem){.http_status = 0};
    enum clm_code code = acme->io.http(acme->io.ctx, request, out, err);

    if (code == CLM_OK) {
        keep_nonce(acme, out);
    }
    return code;
}

/* ---- judging ---- */

static enum clm_code wrong_type(const struct clm_acme *acme, const struct clm_http_response *http,
                                const char *wanted, struct clm_err *err)
{
    return clm_err_set(
        err, CLM_E_PARSE,
        "CA '%s' answered with '%.60s' instead of %s: is it the CA that answers there?", acme->host,
        http->content_type[0] != '\0' ? http->content_type : "no type", wanted);
}

static enum clm_code read_json(const struct clm_acme *acme, struct clm_acme_reply *reply,
                               struct clm_err *err)
{
    enum clm_code code = clm_json_parse(clm_buf_str(&reply->http.body), reply->http.body.len,
                                        CLM_ACME_BODY_MAX, &reply->json, err);

    if (code == CLM_OK && clm_json_kind(reply->json) != CLM_JSON_OBJECT) {
        code = clm_err_set(err, CLM_E_PARSE, "no JSON object");
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "answer of CA '%s'", acme->host);
}

/* An answer that is no success: acme->problem and err. */
static enum clm_code judge_failure(struct clm_acme *acme, struct clm_acme_reply *reply,
                                   struct clm_err *err)
{
    const struct clm_http_response *http = &reply->http;

    if (strcmp(http->content_type, "application/problem+json") == 0 &&
        read_json(acme, reply, NULL) == CLM_OK) {
        clm_acme_read_problem(reply->json, &acme->problem);
        acme->problem.http_status = http->status;
        return clm_acme_fail(acme, http->retry_after_s, err);
    }
    enum clm_code code =
        http->status >= 300 && http->status < 400
            ? clm_err_set(err, CLM_E_REMOTE,
                          "CA '%s' redirects (%d) to '%.200s': not followed, "
                          "configure the directory's final URL",
                          acme->host, http->status, http->location)
            : clm_err_set(err, CLM_E_REMOTE, "CA '%s' answered with HTTP status %d and no reason",
                          acme->host, http->status);
    if (err != NULL) {
        err->remote_status = http->status;
        err->retry_after_s = http->retry_after_s;
    }
    return code;
}

static enum clm_code judge(struct clm_acme *acme, enum clm_acme_body expects,
                           struct clm_acme_reply *reply, struct clm_err *err)
{
    const struct clm_http_response *http = &reply->http;

    if (http->status < 200 || http->status > 299) {
        return judge_failure(acme, reply, err);
    }
    switch (expects) {
    case CLM_ACME_JSON:
        return strcmp(http->content_type, "application/json") == 0
                   ? read_json(acme, reply, err)
                   : wrong_type(acme, http, "JSON", err);
    case CLM_ACME_PEM:
        return strcmp(http->content_type, "application/pem-certificate-chain") == 0
                   ? CLM_OK
                   : wrong_type(acme, http, "a certificate chain", err);
    case CLM_ACME_ANY:
        break;
    }
    return CLM_OK;
}

/* ---- requests ---- */

enum clm_code clm_acme_get(struct clm_acme *acme, const char *url, struct clm_acme_reply *reply,
                           struct clm_err *err)
{
    struct clm_http_request request = {.method = "GET", .url = url};
    enum clm_code code = exchange(acme, &request, &reply->http, err);

    return code == CLM_OK ? judge(acme, CLM_ACME_JSON, reply, err) : code;
}

static enum clm_code fetch_nonce(struct clm_acme *acme, struct clm_err *err)
{
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    struct clm_http_request request = {.method = "HEAD", .url = acme->new_nonce};
    enum clm_code code = exchange(acme, &request, &reply.http, err);

    if (code == CLM_OK) {
        code = judge(acme, CLM_ACME_ANY, &reply, err);
    }
    if (code == CLM_OK && acme->nonce[0] == '\0') {
        code = clm_err_set(err, CLM_E_PARSE, "CA '%s' gave no usable nonce", acme->host);
    }
    return code;
}

static enum clm_code sign(struct clm_acme *acme, const struct clm_acme_post *post,
                          struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT((size_t)CLM_JWS_PAYLOAD_MAX);
    const struct clm_acme_request request = {
        .url = post->url,
        .nonce = acme->nonce,
        .kid = post->with_jwk ? NULL : acme->account_url,
    };
    enum clm_code code =
        post->payload != NULL ? clm_json_print(post->payload, false, &payload, err) : CLM_OK;

    return code == CLM_OK ? clm_acme_sign(acme->rng, acme->key, &request,
                                          post->payload != NULL ? &payload : NULL, out, err)
                          : code;
}

static enum clm_code post_once(struct clm_acme *acme, const struct clm_acme_post *post,
                               struct clm_acme_reply *reply, struct clm_err *err)
{
    static const char *const for_json[] = {"Content-Type: application/jose+json",
                                           "Accept: application/json, application/problem+json",
                                           NULL};
    static const char *const for_pem[] = {
        "Content-Type: application/jose+json",
        "Accept: application/pem-certificate-chain, application/problem+json", NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(REQUEST_MAX);
    enum clm_code code = acme->nonce[0] != '\0' ? CLM_OK : fetch_nonce(acme, err);

    if (code == CLM_OK) {
        code = sign(acme, post, &body, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    struct clm_http_request request = {
        .method = "POST",
        .url = post->url,
        .headers = post->expects == CLM_ACME_PEM ? for_pem : for_json,
        .body = body.data,
        .body_len = body.len,
    };
    code = exchange(acme, &request, &reply->http, err);
    return code == CLM_OK ? judge(acme, post->expects, reply, err) : code;
}

enum clm_code clm_acme_post(struct clm_acme *acme, const struct clm_acme_post *post,
                            struct clm_acme_reply *reply, struct clm_err *err)
{
    enum clm_code code = clm_acme_directory(acme, err);

    if (code == CLM_OK && !post->with_jwk && acme->account_url[0] == '\0') {
        code = clm_err_set(err, CLM_E_BUG, "no ACME account");
    }
    for (int i = 0; code == CLM_OK && i < CLM_ACME_NONCE_TRIES; i++) {
        code = post_once(acme, post, reply, err);
        if (code == CLM_OK || !clm_acme_problem_is(&acme->problem, "badNonce")) {
            return code;
        }
        if (i + 1 < CLM_ACME_NONCE_TRIES) { /* the refusal brought a fresh one (RFC 8555 6.5) */
            clm_acme_reply_done(reply);
            reply->http = (struct clm_http_response){.status = 0};
            code = CLM_OK;
        }
    }
    return code;
}

/* ---- members of answers ---- */

enum clm_code clm_acme_json_url_or_none(const struct clm_acme *acme, const struct clm_json *obj,
                                        const char *key, char dst[CLM_ISSUER_URL_SIZE],
                                        struct clm_err *err)
{
    const char *url = NULL;
    enum clm_code code = clm_json_str_or(obj, key, CLM_JSON_STRING_MAX, "", &url, err);

    dst[0] = '\0';
    return code == CLM_OK && url[0] != '\0' ? clm_acme_url(acme, key, url, dst, err) : code;
}

enum clm_code clm_acme_json_url(const struct clm_acme *acme, const struct clm_json *obj,
                                const char *key, char dst[CLM_ISSUER_URL_SIZE], struct clm_err *err)
{
    const char *url = NULL;
    enum clm_code code = clm_json_str(obj, key, CLM_JSON_STRING_MAX, &url, err);

    dst[0] = '\0';
    return code == CLM_OK ? clm_acme_url(acme, key, url, dst, err) : code;
}

enum clm_code clm_acme_json_status(const struct clm_json *obj, enum clm_issuer_status *out,
                                   struct clm_err *err)
{
    const char *text = NULL;
    enum clm_code code = clm_json_str(obj, "status", 32, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    for (int i = 0; i < CLM_ISSUER__COUNT; i++) {
        if (strcmp(clm_issuer_status_name((enum clm_issuer_status)i), text) == 0) {
            *out = (enum clm_issuer_status)i;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PARSE, "/status: unknown value");
}
