/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in issuer: a private CA, with the same proof of control over a name as ACME has (RFC
 * 8555 8.3), fetched by the control plane itself.
 */
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/crypto/rng.h"
#include "controlplane/connector.h"

#define TOKEN_BYTES      32
#define FETCH_MAX        4096 /* bytes of a challenge file */
#define FETCH_TIMEOUT_MS 10000
#define WELL_KNOWN       "/.well-known/acme-challenge/"

/* ---- created ---- */

static enum clm_code random_text(struct clm_cp_tx *tx, struct clm_buf *out, struct clm_err *err)
{
    uint8_t bytes[TOKEN_BYTES];
    enum clm_code code = clm_rng_fill(tx->pki->rng, bytes, sizeof(bytes), err);

    clm_buf_reset(out);
    return code == CLM_OK ? clm_b64url_encode(bytes, sizeof(bytes), out, err) : code;
}

static enum clm_code add_challenge(struct clm_cp_tx *tx, const char *order_id, const char *domain,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf token = CLM_BUF_INIT(64);
    CLM_CLEANUP(clm_buf_done) struct clm_buf secret = CLM_BUF_INIT(64);
    struct clm_cp_challenge challenge = {.url = ""};
    enum clm_code code = random_text(tx, &token, err);

    if (code == CLM_OK) {
        code = random_text(tx, &secret, err);
    }
    (void)snprintf(challenge.domain, sizeof(challenge.domain), "%s", domain);
    (void)snprintf(challenge.path, sizeof(challenge.path), WELL_KNOWN "%s", clm_buf_str(&token));
    /* the form of a key authorization: token "." thumbprint */
    (void)snprintf(challenge.content, sizeof(challenge.content), "%s.%s", clm_buf_str(&token),
                   clm_buf_str(&secret));
    return code == CLM_OK ? clm_cp_challenge_add(tx, order_id, &challenge, err) : code;
}

static enum clm_code add_challenges(struct clm_cp_tx *tx, const struct clm_cp_order *order,
                                    const struct clm_cp_cert *cert, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < cert->names.dns.n; i++) {
        if (clm_str_starts(cert->names.dns.v[i], "*.")) {
            return clm_err_set(err, CLM_E_UNSUPPORTED,
                               "'%s': a wildcard cannot be proved by http-01; use a connector "
                               "without DCV",
                               cert->names.dns.v[i]);
        }
        code = add_challenge(tx, order->id, cert->names.dns.v[i], err);
    }
    for (size_t i = 0; code == CLM_OK && i < cert->names.ip.n; i++) {
        code = add_challenge(tx, order->id, cert->names.ip.v[i], err);
    }
    return code == CLM_OK ? clm_cp_order_set_state(tx, order, "dcv_pending", NULL, err) : code;
}

static enum clm_code give_challenges(struct clm_cp_work *work, const struct clm_cp_order *order,
                                     struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_cert_done) struct clm_cp_cert cert = {0};
    enum clm_code code = clm_cp_tx_begin(work->tx, true, err);

    if (code == CLM_OK) {
        code = clm_cp_cert_load(work->tx, order->certificate_id, &cert, err);
    }
    if (code == CLM_OK) {
        code = add_challenges(work->tx, order, &cert, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(work->tx, err) : code;
}

/* ---- dcv_ready, validating ---- */

struct fetch_list {
    struct clm_cp_challenge items[CLM_NAMES_MAX];
    size_t n;
};

static enum clm_code collect(void *arg, const struct clm_cp_challenge *challenge,
                             struct clm_err *err)
{
    struct fetch_list *list = arg;

    if (list->n == CLM_ARRAY_LEN(list->items)) {
        return clm_err_set(err, CLM_E_LIMIT, "too many challenges");
    }
    list->items[list->n++] = *challenge;
    return CLM_OK;
}

static enum clm_code compare(const struct clm_cp_challenge *challenge,
                             const struct clm_http_response *response, struct clm_err *err)
{
    size_t len = response->body.len;

    if (response->status != 200) {
        return clm_err_set(err, CLM_E_NET, "http://%s%s: status %d instead of the challenge",
                           challenge->domain, challenge->path, response->status);
    }
    while (len > 0 && strchr("\r\n \t", response->body.data[len - 1]) != NULL) {
        len--; /* RFC 8555 8.3: white space at the end is allowed */
    }
    if (len != strlen(challenge->content) ||
        memcmp(response->body.data, challenge->content, len) != 0) {
        return clm_err_set(err, CLM_E_NET, "http://%s%s: the content is not the challenge",
                           challenge->domain, challenge->path);
    }
    return CLM_OK;
}

static enum clm_code fetch(struct clm_cp_work *work, const struct clm_cp_challenge *challenge,
                           struct clm_err *err)
{
    const struct clm_cp_connector *conf = work->connector;
    struct clm_http_response response = {0};
    char url[sizeof(challenge->domain) + sizeof(challenge->path) + 24];
    char connect_to[sizeof(conf->resolve) + 24];
    unsigned port = conf->port;

    (void)snprintf(url, sizeof(url),
                   strchr(challenge->domain, ':') != NULL ? "http://[%s]:%u%s" : "http://%s:%u%s",
                   challenge->domain, port, challenge->path);
    (void)snprintf(connect_to, sizeof(connect_to),
                   strchr(conf->resolve, ':') != NULL ? "[%s]:%u" : "%s:%u", conf->resolve, port);
    const struct clm_http_request request = {
        .method = "GET",
        .url = url,
        .response_max = FETCH_MAX,
        .timeout_ms = FETCH_TIMEOUT_MS,
        .connect_to = conf->resolve[0] != '\0' ? connect_to : NULL,
    };

    enum clm_code code = clm_http_do(work->http, &request, &response, err);

    if (code == CLM_OK) {
        code = compare(challenge, &response, err);
    } else {
        (void)clm_err_wrap(err, code, "http://%s%s", challenge->domain, challenge->path);
        code = code == CLM_E_NOMEM ? code : CLM_E_NET; /* whatever it was, another try may help */
    }
    clm_buf_done(&response.body);
    return code;
}

static enum clm_code validate(struct clm_cp_work *work, const struct clm_cp_order *order,
                              struct clm_err *err)
{
    struct fetch_list list = {.n = 0};
    enum clm_code code = clm_cp_tx_begin(work->tx, false, err);

    if (code == CLM_OK) {
        code = clm_cp_challenge_each(work->tx, order->id, collect, &list, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_commit(work->tx, err);
    }
    for (size_t i = 0; code == CLM_OK && i < list.n; i++) {
        code = fetch(work, &list.items[i], err);
    }
    return code;
}

/* ---- issuing ---- */

static enum clm_code issue(struct clm_cp_work *work, const struct clm_cp_order *order,
                           struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {0};
    enum clm_code code = clm_cp_tx_begin(work->tx, true, err);

    if (code == CLM_OK) {
        code = clm_cp_order_get_csr(work->tx, order->id, &der, err);
    }
    if (code == CLM_OK) {
        code = clm_csr_parse(der.data, der.len, &csr, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_pki_web_cert(work->tx->pki, &csr, work->tx->now_s,
                                   work->connector->days * CLM_CP_DAY_S, &pem, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_order_issue(work->tx, order, &pem, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(work->tx, err) : code;
}

static enum clm_code step(struct clm_cp_work *work, const struct clm_cp_order *order,
                          struct clm_err *err)
{
    if (!work->connector->dcv) {
        return issue(work, order, err);
    }
    if (strcmp(order->state, "created") == 0) {
        return give_challenges(work, order, err);
    }
    enum clm_code code = validate(work, order, err);

    return code == CLM_OK ? issue(work, order, err) : code;
}

const struct clm_cp_connector_ops clm_cp_builtin_ops = {
    .name = "builtin",
    .tries_max = 3, /* the agent has fetched the file itself before it said ready */
    .step = step,
};
