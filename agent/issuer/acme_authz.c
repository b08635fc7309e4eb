/* SPDX-License-Identifier: Apache-2.0 */
/* Authorizations and their http-01 challenge (RFC 8555 7.5, 8.3). */
#include <string.h>

#include "agent/crypto/jws.h"
#include "agent/issuer/acme_internal.h"

#define CHALLENGES_MAX 16 /* of one authorization; CAs offer three or four */
#define TOKEN_MIN      16 /* characters; protocol.md 8.3. RFC 8555 8.3 asks for 22 */

static enum clm_code read_identifier(const struct clm_json *authz, struct clm_challenge *out,
                                     struct clm_err *err)
{
    const struct clm_json *id = NULL;
    const char *type = NULL;
    const char *value = NULL;
    enum clm_code code = clm_json_object(authz, "identifier", &id, err);

    if (code == CLM_OK) {
        code = clm_json_str(id, "type", 16, &type, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(id, "value", CLM_DNS_NAME_SIZE - 1, &value, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(type, "dns") == 0) {
        return clm_dns_normalise(value, false, out->domain, err);
    }
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {0}};
    code = clm_names_add_ip(&names, value, err);
    return code == CLM_OK ? clm_str_copy(out->domain, sizeof(out->domain), names.ip.v[0], err)
                          : code;
}

static enum clm_code find_http01(const struct clm_json *authz, const struct clm_json **out,
                                 struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = clm_json_array(authz, "challenges", CHALLENGES_MAX, &list, err);

    *out = NULL;
    for (const struct clm_json *c = clm_json_first(list); c != NULL; c = clm_json_next(c)) {
        const char *type = clm_json_text(clm_json_get(c, "type"));
        if (type != NULL && strcmp(type, "http-01") == 0) {
            *out = c;
            return CLM_OK;
        }
    }
    return code;
}

static enum clm_code read_token(const struct clm_acme *acme, const struct clm_json *challenge,
                                struct clm_challenge *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_ISSUER_AUTH_SIZE - 1);
    const char *token = NULL;
    enum clm_code code = clm_json_str(challenge, "token", CLM_ISSUER_TOKEN_SIZE - 1, &token, err);

    if (code == CLM_OK && strlen(token) < TOKEN_MIN) {
        code = clm_err_set(err, CLM_E_PARSE, "/token: shorter than %d characters", TOKEN_MIN);
    }
    if (code == CLM_OK) {
        code = clm_acme_key_authorization(acme->key, token, &text, err);
        if (code == CLM_E_INVAL) {
            code = clm_err_set(err, CLM_E_PARSE, "/token: not base64url"); /* it names a file */
        }
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->token, sizeof(out->token), token, err);
    }
    return code == CLM_OK ? clm_str_copy(out->key_authorization, sizeof(out->key_authorization),
                                         clm_buf_str(&text), err)
                          : code;
}

static enum clm_code read_challenge(const struct clm_acme *acme, const struct clm_json *challenge,
                                    struct clm_challenge *out, struct clm_err *err)
{
    enum clm_code code = clm_acme_json_status(challenge, &out->status, err);

    if (code == CLM_OK) {
        code = clm_acme_json_url(acme, challenge, "url", out->url, err);
    }
    if (code == CLM_OK) {
        code = read_token(acme, challenge, out, err);
    }
    if (clm_json_get(challenge, "error") != NULL) {
        clm_acme_read_problem(clm_json_get(challenge, "error"), &out->problem);
    }
    return code;
}

static enum clm_code read_authz(const struct clm_acme *acme, const struct clm_json *authz,
                                struct clm_challenge *out, struct clm_err *err)
{
    const struct clm_json *challenge = NULL;
    enum clm_code code = clm_acme_json_status(authz, &out->authz_status, err);

    if (code == CLM_OK) {
        code = read_identifier(authz, out, err);
    }
    if (code == CLM_OK) {
        code = find_http01(authz, &challenge, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (challenge != NULL) {
        return read_challenge(acme, challenge, out, err);
    }
    out->status = out->authz_status;
    if (out->authz_status == CLM_ISSUER_PENDING) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "no validation by file (http-01) is offered for '%s'", out->domain);
    }
    return CLM_OK; /* settled by another way */
}

enum clm_code clm_acme_challenge_http01(struct clm_acme *acme, const char *authz_url,
                                        struct clm_challenge *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    char url[CLM_ISSUER_URL_SIZE];

    *out = (struct clm_challenge){.status = CLM_ISSUER_PENDING};
    enum clm_code code = clm_acme_url(acme, "the authorization", authz_url, url, err);
    if (code == CLM_OK) {
        const struct clm_acme_post post = {.url = url, .expects = CLM_ACME_JSON};
        code = clm_acme_post(acme, &post, &reply, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    out->retry_after_s = reply.http.retry_after_s;
    code = read_authz(acme, reply.json, out, err);
    return code == CLM_OK ? code : clm_err_wrap(err, code, "authorization at CA '%s'", acme->host);
}

enum clm_code clm_acme_challenge_ready(struct clm_acme *acme, const char *challenge_url,
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = clm_json_new_object();
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    char url[CLM_ISSUER_URL_SIZE];
    enum clm_code code = clm_acme_url(acme, "the challenge", challenge_url, url, err);

    if (code == CLM_OK) {
        const struct clm_acme_post post = {.url = url, .payload = payload, .expects = CLM_ACME_ANY};
        code = clm_acme_post(acme, &post, &reply, err);
    }
    return code;
}
