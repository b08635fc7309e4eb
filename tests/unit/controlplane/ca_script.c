/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controlplane/ca_script.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/net/http.h"

#define DIRECTORY                                                                                  \
    "{\"newNonce\":\"" CA_BASE "/nonce\",\"newAccount\":\"" CA_BASE "/account\",\"newOrder\":"     \
    "\"" CA_BASE "/order\",\"revokeCert\":\"" CA_BASE "/revoke\"}"
#define CHALLENGE                                                                                  \
    "{\"type\":\"http-01\",\"status\":\"%s\",\"url\":\"" CA_BASE "/chal/1\",\"token\":\"" CA_TOKEN \
    "\"}"

static struct ca_script *current;

void ca_script_start(struct ca_script *script, const struct clm_cp_pki *pki)
{
    *script = (struct ca_script){.pki = pki, .chain = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX)};
    current = script;
}

void ca_script_stop(struct ca_script *script)
{
    current = NULL;
    clm_buf_done(&script->chain);
}

/* ---- what the CA does ---- */

static enum clm_code show_order(struct clm_buf *out, struct clm_err *err)
{
    const char *status = "pending";

    if (current->is_issued) {
        status = "valid";
    } else if (current->is_ready || current->is_proved) {
        status = "ready";
    }
    return clm_buf_addf(out, err,
                        "{\"status\":\"%s\",\"authorizations\":[\"" CA_BASE "/authz/1\"],"
                        "\"finalize\":\"" CA_BASE "/fin/1\"%s}",
                        status,
                        current->is_issued ? ",\"certificate\":\"" CA_BASE "/cert/1\"" : "");
}

static enum clm_code decode_json(const struct clm_json *obj, const char *key, struct clm_buf *out,
                                 struct clm_err *err)
{
    const char *text = clm_json_text(clm_json_get(obj, key));

    return text != NULL ? clm_b64url_decode(text, strlen(text), out, err)
                        : clm_err_set(err, CLM_E_BUG, "'%s' is missing", key);
}

/* What is signed in a request. */
static enum clm_code read_payload(const struct clm_http_request *request, struct clm_json **out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jws = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    enum clm_code code = clm_json_parse(request->body, request->body_len, 65536, &jws, err);

    if (code == CLM_OK) {
        code = decode_json(jws, "payload", &text, err);
    }
    return code == CLM_OK ? clm_json_parse(clm_buf_str(&text), text.len, 65536, out, err) : code;
}

static enum clm_code new_order(const struct clm_http_request *request,
                               struct clm_http_response *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = NULL;
    enum clm_code code = read_payload(request, &payload, err);
    const char *profile = clm_json_text(clm_json_get(payload, "profile"));

    (void)snprintf(current->profile, sizeof(current->profile), "%s",
                   profile != NULL ? profile : "");
    current->is_ready = false;
    current->is_issued = false;
    out->status = 201;
    (void)snprintf(out->location, sizeof(out->location), CA_BASE "/order/1");
    return code == CLM_OK ? show_order(&out->body, err) : code;
}

static enum clm_code get_order(const struct clm_http_request *request,
                               struct clm_http_response *out, struct clm_err *err)
{
    (void)request;
    return show_order(&out->body, err);
}

static enum clm_code new_account(const struct clm_http_request *request,
                                 struct clm_http_response *out, struct clm_err *err)
{
    (void)request;
    current->accounts++;
    out->status = 201;
    (void)snprintf(out->location, sizeof(out->location), CA_BASE "/acct/%u", current->accounts);
    return clm_buf_add_str(&out->body, "{\"status\":\"valid\"}", err);
}

static enum clm_code get_authz(const struct clm_http_request *request,
                               struct clm_http_response *out, struct clm_err *err)
{
    const char *status = current->is_proved || current->is_ready ? "valid" : "pending";

    (void)request;
    return clm_buf_addf(&out->body, err,
                        "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":"
                        "\"a.example\"},\"challenges\":[" CHALLENGE "]}",
                        status, status);
}

static enum clm_code post_challenge(const struct clm_http_request *request,
                                    struct clm_http_response *out, struct clm_err *err)
{
    (void)request;
    current->is_ready = true;
    return clm_buf_addf(&out->body, err, CHALLENGE, "processing");
}

static enum clm_code finalize(const struct clm_http_request *request, struct clm_http_response *out,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {.must_staple = false};
    enum clm_code code = read_payload(request, &payload, err);

    if (code == CLM_OK) {
        code = decode_json(payload, "csr", &der, err);
    }
    if (code == CLM_OK) {
        code = clm_csr_parse(der.data, der.len, &csr, err);
    }
    if (code == CLM_OK) {
        clm_buf_reset(&current->chain);
        code =
            clm_cp_pki_web_cert(current->pki, &csr, 1795225945, CLM_CP_DAY_S, &current->chain, err);
    }
    current->is_issued = code == CLM_OK;
    return code == CLM_OK ? show_order(&out->body, err) : code;
}

static enum clm_code get_chain(const struct clm_http_request *request,
                               struct clm_http_response *out, struct clm_err *err)
{
    (void)request;
    (void)snprintf(out->content_type, sizeof(out->content_type),
                   "application/pem-certificate-chain");
    return clm_buf_add(&out->body, current->chain.data, current->chain.len, err);
}

static enum clm_code get_directory(const struct clm_http_request *request,
                                   struct clm_http_response *out, struct clm_err *err)
{
    (void)request;
    return clm_buf_add_str(&out->body, DIRECTORY, err);
}

static enum clm_code get_nothing(const struct clm_http_request *request,
                                 struct clm_http_response *out, struct clm_err *err)
{
    (void)request;
    (void)out;
    (void)err;
    return CLM_OK;
}

/* The content that begins with the name of the file. */
static enum clm_code get_file(const struct clm_http_request *request, struct clm_http_response *out,
                              struct clm_err *err)
{
    const char *content = strstr(current->served, strrchr(request->url, '/') + 1);

    return content != NULL
               ? clm_buf_add(&out->body, (const uint8_t *)content, strcspn(content, "\n") + 1, err)
               : clm_err_set(err, CLM_E_BUG, "'%s' is not served", request->url);
}

static const struct {
    const char *url;
    enum clm_code (*answer)(const struct clm_http_request *, struct clm_http_response *,
                            struct clm_err *);
} usual[] = {
    {"/dir", get_directory},   {"/dir2", get_directory},    {"/nonce", get_nothing},
    {"/account", new_account}, {"/order", new_order},       {"/order/1", get_order},
    {"/authz/1", get_authz},   {"/chal/1", post_challenge}, {"/fin/1", finalize},
    {"/cert/1", get_chain},    {"http://", get_file},
};

/* ---- dispatch ---- */

static bool is_at(const char *asked, const char *url)
{
    if (url[0] != '/') {
        return clm_str_starts(asked, url);
    }
    return clm_str_starts(asked, CA_BASE) && strcmp(asked + strlen(CA_BASE), url) == 0;
}

/* NULL: the usual one. */
static const struct ca_answer *find_answer(const char *url)
{
    for (size_t i = 0; current->answers != NULL && current->answers[i].url != NULL; i++) {
        const struct ca_answer *answer = &current->answers[i];

        if (is_at(url, answer->url) &&
            (answer->times == 0 || current->asked[i]++ < answer->times)) {
            return answer;
        }
    }
    return NULL;
}

enum clm_code __wrap_clm_http_do(struct clm_http *http, const struct clm_http_request *request,
                                 struct clm_http_response *out, struct clm_err *err);
enum clm_code __wrap_clm_http_do(struct clm_http *http, const struct clm_http_request *request,
                                 struct clm_http_response *out, struct clm_err *err)
{
    const struct ca_answer *answer = find_answer(request->url);

    (void)http;
    *out = (struct clm_http_response){.status = 200, .body = CLM_BUF_INIT(request->response_max)};
    (void)snprintf(out->content_type, sizeof(out->content_type), "application/json");
    (void)snprintf(out->replay_nonce, sizeof(out->replay_nonce), "nonce");
    if (answer != NULL && answer->fails != CLM_OK) {
        return clm_err_set(err, answer->fails, "as the script says");
    }
    if (answer != NULL) {
        out->status = answer->status;
        out->retry_after_s = answer->retry_after_s;
        if (answer->status >= 400) {
            (void)snprintf(out->content_type, sizeof(out->content_type),
                           "application/problem+json");
        }
        return clm_buf_add_str(&out->body, answer->body != NULL ? answer->body : "", err);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(usual); i++) {
        if (is_at(request->url, usual[i].url)) {
            return usual[i].answer(request, out, err);
        }
    }
    return clm_err_set(err, CLM_E_BUG, "nobody answers to '%s'", request->url);
}
