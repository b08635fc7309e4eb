/* SPDX-License-Identifier: Apache-2.0 */
/* Orders, their finalization, certificates and revocation (RFC 8555 7.4, 7.6). */
#include <string.h>

#include "agent/issuer/acme_internal.h"

static enum clm_code read_authz(const struct clm_acme *acme, const struct clm_json *obj,
                                struct clm_order *out, struct clm_err *err)
{
    const struct clm_json *list = NULL;
    char url[CLM_ISSUER_URL_SIZE];
    enum clm_code code = clm_json_array(obj, "authorizations", CLM_NAMES_MAX, &list, err);

    for (const struct clm_json *item = clm_json_first(list); code == CLM_OK && item != NULL;
         item = clm_json_next(item)) {
        const char *text = clm_json_text(item);
        code = clm_acme_url(acme, "an authorization", text != NULL ? text : "", url, err);
        if (code == CLM_OK) {
            code = clm_strs_add(&out->authz, url, err);
        }
    }
    return code;
}

/* Fills *out but for its URL, which a body does not hold. */
static enum clm_code read_order(const struct clm_acme *acme, const struct clm_acme_reply *reply,
                                struct clm_order *out, struct clm_err *err)
{
    const struct clm_json *obj = reply->json;
    enum clm_code code = clm_acme_json_status(obj, &out->status, err);

    if (code == CLM_OK) {
        code = read_authz(acme, obj, out, err);
    }
    if (code == CLM_OK) {
        code = clm_acme_json_url(acme, obj, "finalize", out->finalize_url, err);
    }
    if (code == CLM_OK) {
        code = clm_acme_json_url_or_none(acme, obj, "certificate", out->certificate_url, err);
    }
    if (code == CLM_OK && out->status == CLM_ISSUER_VALID && out->certificate_url[0] == '\0') {
        code = clm_err_set(err, CLM_E_PARSE, "/certificate: missing in a valid order");
    }
    if (clm_json_get(obj, "error") != NULL) {
        clm_acme_read_problem(clm_json_get(obj, "error"), &out->problem);
    }
    out->retry_after_s = reply->http.retry_after_s;
    return code == CLM_OK ? code : clm_err_wrap(err, code, "order at CA '%s'", acme->host);
}

static void add_identifiers(struct clm_json *list, const char *type, const struct clm_strs *names)
{
    for (size_t i = 0; i < names->n; i++) {
        struct clm_json *id = clm_json_add_object(list);
        clm_json_set_str(id, "type", type);
        clm_json_set_str(id, "value", names->v[i]);
    }
}

enum clm_code clm_acme_order_new(struct clm_acme *acme, const struct clm_names *names,
                                 struct clm_order *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = clm_json_new_object();
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    const size_t n = names->dns.n + names->ip.n;

    *out = (struct clm_order){.status = CLM_ISSUER_PENDING};
    if (n == 0 || n > CLM_NAMES_MAX) {
        return clm_err_set(err, CLM_E_INVAL, "an order is for 1 to %d names, not %zu",
                           CLM_NAMES_MAX, n);
    }
    enum clm_code code = clm_acme_directory(acme, err);
    if (code != CLM_OK) {
        return code;
    }
    struct clm_json *list = clm_json_set_array(payload, "identifiers");
    add_identifiers(list, "dns", &names->dns);
    add_identifiers(list, "ip", &names->ip);
    if (acme->profile[0] != '\0') {
        clm_json_set_str(payload, "profile", acme->profile);
    }
    const struct clm_acme_post post = {
        .url = acme->new_order, .payload = payload, .expects = CLM_ACME_JSON};
    code = clm_acme_post(acme, &post, &reply, err);
    if (code == CLM_OK) {
        code = clm_acme_url(acme, "the order", reply.http.location, out->url, err);
    }
    return code == CLM_OK ? read_order(acme, &reply, out, err) : code;
}

enum clm_code clm_acme_order_poll(struct clm_acme *acme, const char *order_url,
                                  struct clm_order *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};

    *out = (struct clm_order){.status = CLM_ISSUER_PENDING};
    enum clm_code code = clm_acme_url(acme, "the order", order_url, out->url, err);
    if (code == CLM_OK) {
        const struct clm_acme_post post = {.url = out->url, .expects = CLM_ACME_JSON};
        code = clm_acme_post(acme, &post, &reply, err);
    }
    if (code == CLM_OK) {
        return read_order(acme, &reply, out, err);
    }
    if (reply.http.status == 404) {
        code = CLM_E_NOTFOUND;
        if (err != NULL) {
            err->code = code;
        }
    }
    return code;
}

enum clm_code clm_acme_finalize(struct clm_acme *acme, struct clm_order *io_order,
                                const uint8_t *csr, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = clm_json_new_object();
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_ACME_BODY_MAX);
    CLM_CLEANUP(clm_order_done) struct clm_order fresh = {.status = CLM_ISSUER_PENDING};

    if (io_order->status != CLM_ISSUER_READY) {
        return clm_err_set(err, CLM_E_CONFLICT, "the order is %s, not ready for its request",
                           clm_issuer_status_name(io_order->status));
    }
    enum clm_code code = clm_b64url_encode(csr, len, &text, err);
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(payload, "csr", clm_buf_str(&text));
    const struct clm_acme_post post = {
        .url = io_order->finalize_url, .payload = payload, .expects = CLM_ACME_JSON};
    code = clm_acme_post(acme, &post, &reply, err);
    if (code == CLM_OK) {
        code = read_order(acme, &reply, &fresh, err);
    }
    if (code == CLM_OK) {
        memcpy(fresh.url, io_order->url, sizeof(fresh.url));
        struct clm_order old = *io_order;
        *io_order = fresh;
        fresh = old; /* freed on the way out */
    }
    return code;
}

enum clm_code clm_acme_certificate(struct clm_acme *acme, const struct clm_order *order,
                                   struct clm_buf *out_pem, struct clm_err *err)
{
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    const struct clm_acme_post post = {.url = order->certificate_url, .expects = CLM_ACME_PEM};

    if (order->status != CLM_ISSUER_VALID || order->certificate_url[0] == '\0') {
        return clm_err_set(err, CLM_E_CONFLICT, "the order is %s: it has no certificate",
                           clm_issuer_status_name(order->status));
    }
    enum clm_code code = clm_acme_post(acme, &post, &reply, err);
    if (code != CLM_OK) {
        return code;
    }
    const struct clm_buf *body = &reply.http.body;
    if (strstr(clm_buf_str(body), "-----BEGIN CERTIFICATE-----") == NULL ||
        strlen(clm_buf_str(body)) != body->len) {
        return clm_err_set(err, CLM_E_PARSE, "CA '%s' sent a certificate chain that is no PEM",
                           acme->host);
    }
    return clm_buf_add(out_pem, body->data, body->len, err);
}

enum clm_code clm_acme_revoke(struct clm_acme *acme, const uint8_t *cert, size_t len, int reason,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = clm_json_new_object();
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_ACME_BODY_MAX);
    enum clm_code code = clm_acme_directory(acme, err);

    if (code == CLM_OK && acme->revoke_cert[0] == '\0') {
        code = clm_err_set(err, CLM_E_UNSUPPORTED, "CA '%s' offers no revocation", acme->host);
    }
    if (code == CLM_OK) {
        code = clm_b64url_encode(cert, len, &text, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(payload, "certificate", clm_buf_str(&text));
    clm_json_set_int(payload, "reason", reason);
    const struct clm_acme_post post = {
        .url = acme->revoke_cert, .payload = payload, .expects = CLM_ACME_ANY};
    return clm_acme_post(acme, &post, &reply, err);
}
