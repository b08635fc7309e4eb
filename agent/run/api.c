/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/hash.h"
#include "agent/model/bundle.h"
#include "agent/net/http.h"
#include "agent/run/files.h"

#define URL_MAX      1024
#define BODY_MAX     4259840u /* an inventory; protocol.md 6.4 */
#define HEADERS_MAX  8
#define HEADER_SIZE  512
#define KEY_HEX_SIZE 41

struct clm_api {
    struct clm_strs urls;
    size_t current;
    char boot_id[CLM_ULID_SIZE];
    clm_http_fn http;
    void *http_ctx;
    struct clm_http *session; /* owned, if http is our own */
};

/* ---- life ---- */

enum clm_code clm_api_new(const struct clm_api_opts *opts, struct clm_api **out,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = calloc(1, sizeof(*api));

    if (api == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "connection to the control plane");
    }
    if (opts->urls->n == 0) {
        return clm_err_set(err, CLM_E_INVAL, "no URL of the control plane is known");
    }
    enum clm_code code = clm_strs_copy(&api->urls, opts->urls, err);
    if (code == CLM_OK) {
        code = clm_str_copy(api->boot_id, sizeof(api->boot_id), opts->boot_id, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    api->http = opts->http;
    api->http_ctx = opts->http_ctx;
    *out = CLM_STEAL(api);
    return CLM_OK;
}

void clm_api_free(struct clm_api *api)
{
    if (api == NULL) {
        return;
    }
    clm_http_free(api->session);
    clm_strs_done(&api->urls);
    free(api);
}

static enum clm_code session_http(void *ctx, const struct clm_http_request *request,
                                  struct clm_http_response *out, struct clm_err *err)
{
    return clm_http_do(ctx, request, out, err);
}

static const char *proxy_of(const struct clm_config *config)
{
    return config->control_plane.proxy[0] == '\0' ? NULL : config->control_plane.proxy;
}

static enum clm_code open_session(const struct clm_http_opts *http, const struct clm_strs *urls,
                                  const char *boot_id, struct clm_api **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_http_free_p) struct clm_http *session = NULL;
    struct clm_api_opts opts = {.urls = urls, .boot_id = boot_id, .http = session_http};

    enum clm_code code = clm_http_new(http, &session, err);
    if (code != CLM_OK) {
        return code;
    }
    opts.http_ctx = session;
    code = clm_api_new(&opts, out, err);
    if (code == CLM_OK) {
        (*out)->session = CLM_STEAL(session);
    }
    return code;
}

enum clm_code clm_api_open(const struct clm_config *config, const struct clm_identity *identity,
                           const char *boot_id, struct clm_api **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf ca = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    char dir[PATH_MAX];
    char cert_path[PATH_MAX];
    char key_path[PATH_MAX];

    enum clm_code code = clm_net_path(config, dir, err, "identity");
    if (code == CLM_OK) {
        code = clm_identity_path(dir, "tls.pem", cert_path, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_path(dir, "tls.key", key_path, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_read_ca(dir, &ca, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    const struct clm_http_opts http = {.ca_pem = clm_buf_str(&ca),
                                       .cert_path = cert_path,
                                       .key_path = key_path,
                                       .proxy = proxy_of(config)};
    return open_session(&http, &identity->urls, boot_id, out, err);
}

enum clm_code clm_api_open_anonymous(const struct clm_config *config, const struct clm_strs *urls,
                                     const char *ca_pem, struct clm_api **out, struct clm_err *err)
{
    const struct clm_http_opts http = {.ca_pem = ca_pem, .proxy = proxy_of(config)};

    return open_session(&http, urls, "", out, err);
}

const char *clm_api_url(const struct clm_api *api)
{
    return api->urls.v[api->current];
}

void clm_api_response_done(struct clm_api_response *response)
{
    clm_json_free(response->json);
    clm_json_free(response->problem_json);
    clm_buf_done(&response->text);
    *response = (struct clm_api_response){0};
}

bool clm_api_may_retry(enum clm_code code, const struct clm_api_response *response)
{
    if (code == CLM_E_REMOTE || code == CLM_E_AUTH) {
        return response->retryable;
    }
    return clm_code_is_transient(code) != 0;
}

/* ---- the request ---- */

struct headers {
    const char *list[HEADERS_MAX + 1];
    char text[HEADERS_MAX][HEADER_SIZE];
    size_t n;
};

/* All of them are ours, and short. */
static void add_header(struct headers *h, const char *name, const char *value)
{
    (void)snprintf(h->text[h->n], HEADER_SIZE, "%s: %s", name, value);
    h->list[h->n] = h->text[h->n];
    h->n++;
}

/* The same text under the same path is the same request. */
static void derive_key(const struct clm_api_request *request, const struct clm_buf *body,
                       char dst[KEY_HEX_SIZE])
{
    struct clm_sha256_ctx ctx;
    uint8_t hash[CLM_SHA256_SIZE];

    clm_sha256_init(&ctx);
    clm_sha256_update(&ctx, request->path, strlen(request->path) + 1);
    clm_sha256_update(&ctx, clm_buf_str(body), body->len);
    clm_sha256_final(&ctx, hash);
    clm_hex_encode(hash, (KEY_HEX_SIZE - 1) / 2, dst);
}

static void fill_headers(const struct clm_api *api, const struct clm_api_request *request,
                         const struct clm_buf *body, struct headers *h)
{
    char key[KEY_HEX_SIZE] = "";
    const char *given = request->idempotency_key;

    add_header(h, "Clm-Protocol", "1");
    add_header(h, "User-Agent", "clmbot/" CLM_VERSION " (linux)");
    if (request->body != NULL) {
        add_header(h, "Content-Type", "application/json; charset=utf-8");
    }
    if (api->boot_id[0] != '\0') {
        add_header(h, "Clm-Boot", api->boot_id);
    }
    if (given == NULL && strcmp(request->method, "POST") == 0) {
        derive_key(request, body, key);
    }
    given = given == NULL ? key : given;
    if (given[0] != '\0') {
        add_header(h, "Idempotency-Key", given);
    }
    if (request->header != NULL) {
        h->list[h->n++] = request->header;
    }
}

/* ---- the answer ---- */

static enum clm_code not_ours(const struct clm_http_response *http, const char *why,
                              struct clm_err *err)
{
    enum clm_code code = clm_err_set(
        err, CLM_E_NET,
        "somebody else than the control plane answered, perhaps a proxy: HTTP status %d, %s",
        http->status, why);
    if (err != NULL) {
        err->remote_status = http->status;
        err->retry_after_s = http->retry_after_s;
    }
    return code;
}

static bool status_means_retry(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static void read_problem(struct clm_api_response *out)
{
    const struct clm_json *p = out->problem_json;
    const char *text = NULL;

    if (clm_json_str_or(p, "code", sizeof(out->problem) - 1, "", &text, NULL) == CLM_OK) {
        (void)snprintf(out->problem, sizeof(out->problem), "%s", text);
    }
    text = clm_json_text(clm_json_get(p, "detail"));
    if (text == NULL) {
        text = clm_json_text(clm_json_get(p, "title"));
    }
    (void)snprintf(out->detail, sizeof(out->detail), "%s", text == NULL ? "" : text);
    for (char *c = out->detail; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = ' ';
        }
    }
    out->retryable = status_means_retry(out->status);
    if (clm_json_bool_or(p, "retryable", &out->retryable, NULL) != CLM_OK) {
        out->retryable = status_means_retry(out->status);
    }
}

static enum clm_code take_problem(const struct clm_http_response *http,
                                  struct clm_api_response *out, struct clm_err *err)
{
    if (strcmp(http->content_type, "application/problem+json") != 0 ||
        clm_json_parse(clm_buf_str(&http->body), http->body.len, CLM_API_RESPONSE_MAX,
                       &out->problem_json, NULL) != CLM_OK ||
        clm_json_kind(out->problem_json) != CLM_JSON_OBJECT) {
        return not_ours(http, "no problem document", err);
    }
    read_problem(out);
    enum clm_code code =
        clm_err_set(err, http->status == 401 ? CLM_E_AUTH : CLM_E_REMOTE,
                    "control plane: %s%s%s (%s)", out->problem, out->problem[0] == '\0' ? "" : ": ",
                    out->detail[0] == '\0' ? "no detail" : out->detail, out->request_id);
    if (err != NULL) {
        err->remote_status = http->status;
        err->retry_after_s = http->retry_after_s;
    }
    return code;
}

static enum clm_code take_body(const struct clm_api_request *request,
                               struct clm_http_response *http, struct clm_api_response *out,
                               struct clm_err *err)
{
    if (http->status == 204 || http->status == 304) {
        return CLM_OK;
    }
    if (request->wants_text) {
        if (strcmp(http->content_type, "application/pem-certificate-chain") != 0) {
            return not_ours(http, "no PEM", err);
        }
        out->text = http->body;
        http->body = (struct clm_buf){0};
        return CLM_OK;
    }
    struct clm_err why = {0};
    if (strcmp(http->content_type, "application/json") != 0) {
        return not_ours(http, "no JSON", err);
    }
    if (clm_json_parse(clm_buf_str(&http->body), http->body.len, CLM_API_RESPONSE_MAX, &out->json,
                       &why) != CLM_OK) {
        return not_ours(http, why.msg, err);
    }
    if (clm_json_kind(out->json) != CLM_JSON_OBJECT) {
        return not_ours(http, "no JSON object", err);
    }
    return CLM_OK;
}

static enum clm_code take_answer(const struct clm_api_request *request,
                                 struct clm_http_response *http, struct clm_api_response *out,
                                 struct clm_err *err)
{
    if (http->status >= 300 && http->status < 400 && http->status != 304) {
        return not_ours(http, "a redirect, which is never followed", err);
    }
    if (http->request_id[0] == '\0') {
        return not_ours(http, "no Clm-Request-Id", err);
    }
    out->status = http->status;
    (void)snprintf(out->request_id, sizeof(out->request_id), "%s", http->request_id);
    (void)snprintf(out->job_state, sizeof(out->job_state), "%s", http->job_state);
    out->has_next_poll = http->has_next_poll;
    out->next_poll_s = http->next_poll_s;
    out->retry_after_s = http->retry_after_s;
    out->date_s = http->date_s;
    enum clm_code code =
        http->status >= 400 ? take_problem(http, out, err) : take_body(request, http, out, err);
    if (code == CLM_E_NET) {
        out->status = 0;
    }
    return code;
}

static enum clm_code call_one(struct clm_api *api, const char *base,
                              const struct clm_api_request *request, struct clm_http_request *http,
                              struct clm_api_response *out, struct clm_err *err)
{
    struct clm_http_response answer = {0};
    char url[URL_MAX];

    enum clm_code code = clm_str_fmt(url, sizeof(url), err, "%s%s", base, request->path);
    if (code != CLM_OK) {
        return code;
    }
    http->url = url;
    code = api->http(api->http_ctx, http, &answer, err);
    if (code == CLM_OK) {
        code = take_answer(request, &answer, out, err);
    } else {
        code = clm_err_wrap(err, code, "%s", base);
    }
    clm_buf_done(&answer.body);
    return code;
}

enum clm_code clm_api_call(struct clm_api *api, const struct clm_api_request *request,
                           struct clm_api_response *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(BODY_MAX);
    struct headers headers = {.n = 0};
    struct clm_http_request http = {
        .method = request->method,
        .headers = headers.list,
        .response_max = CLM_API_RESPONSE_MAX,
        .timeout_ms = request->timeout_ms == 0 ? CLM_API_TIMEOUT_MS : request->timeout_ms,
        .on_idle = request->on_idle,
    };
    enum clm_code code = CLM_OK;

    *out = (struct clm_api_response){0};
    if (request->body != NULL) {
        code = clm_json_print(request->body, false, &body, err);
        http.body = clm_buf_str(&body);
        http.body_len = body.len;
    }
    if (code != CLM_OK) {
        return code;
    }
    fill_headers(api, request, &body, &headers);
    for (size_t i = 0; i < api->urls.n; i++) {
        size_t at = (api->current + i) % api->urls.n;

        clm_api_response_done(out);
        code = call_one(api, api->urls.v[at], request, &http, out, err);
        if (!clm_code_is_transient(code)) {
            api->current = at;
            break;
        }
    }
    return code;
}

enum clm_code clm_api_fetch_cacerts(const struct clm_config *config, const char *url,
                                    struct clm_buf *out, struct clm_err *err)
{
    struct clm_http_response http = {0};
    char full[URL_MAX];

    enum clm_code code = clm_str_fmt(full, sizeof(full), err, "%s/agent/v1/cacerts", url);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_http_fetch_unverified(full, proxy_of(config), CLM_API_TIMEOUT_MS, &http, err);
    if (code == CLM_OK && http.status != 200) {
        code = not_ours(&http, "no CA certificates", err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(out, clm_buf_str(&http.body), http.body.len, err);
    }
    clm_buf_done(&http.body);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "%s", url);
}
