/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates from an ACME server (RFC 8555), http-01. Between two steps the order is known by its
 * URL alone, kept with our order; the account key is DIR/acme-<connector>.key. The URL of its account
 * is kept for the key and the directory: another of either has another account.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "agent/issuer/acme.h"
#include "controlplane/connector.h"

#define WELL_KNOWN      "/.well-known/acme-challenge/"
#define ACME_TIMEOUT_MS 15000
#define POLL_MAX_S      30
#define POLL_FIRST_MS   25U /* most CAs decide within a second: then twice as long each time ... */
#define POLL_QUICK      5   /* ... for so many times; after that in whole seconds */
#define POLL_SLOWER     5   /* so many of these are longer each time; all others are POLL_MAX_S */
#define META_KEY_SIZE   640 /* of a directory's URL, and what is before it */

struct session {
    struct clm_cp_work *work;
    struct clm_io io;
    struct clm_http *http; /* https only */
    struct clm_key *key;
    struct clm_acme *acme;
};

static enum clm_code do_http(void *ctx, const struct clm_http_request *request,
                             struct clm_http_response *out, struct clm_err *err)
{
    return clm_http_do(ctx, request, out, err);
}

static void come_back(struct clm_cp_work *work, uint32_t after_ms)
{
    if (after_ms < work->again_ms) {
        work->again_ms = after_ms;
    }
}

static void session_done(struct session *session)
{
    clm_acme_free(session->acme);
    clm_key_free(session->key);
    clm_http_free(session->http);
}

/* Worth another try or not, as the worker understands it. */
static enum clm_code judge(enum clm_code code, const struct clm_err *err)
{
    if (code == CLM_OK || code == CLM_E_NOMEM) { /* which is not the CA's doing */
        return code;
    }
    return clm_acme_may_retry(err) ? CLM_E_NET : CLM_E_REMOTE;
}

/* ---- the account ---- */

static enum clm_code open_key(struct clm_cp_work *work, struct clm_key **out_key,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    char path[PATH_MAX];
    enum clm_code code =
        clm_str_fmt(path, sizeof(path), err, "%s/acme-%s.key", work->dir, work->connector->name);

    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_exists(path) != 0) {
        code = clm_fs_read(path, CLM_KEY_PEM_MAX, &pem, err);
        return code == CLM_OK ? clm_key_from_pem(pem.data, pem.len, out_key, err) : code;
    }
    code = clm_key_generate(work->tx->pki->rng, CLM_KEY_EC_P256, out_key, err);
    if (code == CLM_OK) {
        code = clm_key_to_pem(*out_key, &pem, err);
    }
    return code == CLM_OK ? clm_fs_replace(path, pem.data, pem.len, 0600, err) : code;
}

static enum clm_code meta_key(const struct session *session, char dst[META_KEY_SIZE],
                              struct clm_err *err)
{
    char key[CLM_SHA256_HEX_SIZE];
    enum clm_code code = clm_key_spki_sha256_hex(session->key, key, err);

    return code == CLM_OK ? clm_str_fmt(dst, META_KEY_SIZE, err, "acme-account:%s:%s", key,
                                        session->work->connector->directory)
                          : code;
}

static enum clm_code load_account_url(const struct session *session, struct clm_buf *out,
                                      struct clm_err *err)
{
    char key[META_KEY_SIZE];
    enum clm_code code = meta_key(session, key, err);

    if (code == CLM_OK) {
        code =
            clm_cp_db_get_text(session->work->tx->db, out, err,
                               "SELECT value FROM meta WHERE key = ?1", CLM_SQL(clm_sql_text(key)));
    }
    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

static enum clm_code store_account_url(const struct session *session, const char *url,
                                       struct clm_err *err)
{
    struct clm_cp_tx *tx = session->work->tx;
    char key[META_KEY_SIZE];
    enum clm_code code = meta_key(session, key, err);

    if (code == CLM_OK) {
        code = clm_cp_tx_begin(tx, true, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(tx->db, err,
                              "INSERT INTO meta (key, value) VALUES (?1, ?2)"
                              " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                              CLM_SQL(clm_sql_text(key), clm_sql_text(url)));
    }
    return code == CLM_OK ? clm_cp_tx_commit(tx, err) : code;
}

/* What the configuration of the certificate asks for; "" without one. */
static enum clm_code load_profile(struct clm_cp_work *work, const char *certificate_id,
                                  struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_get_text(
        work->tx->db, out, err,
        "SELECT ifnull(json_extract(body, '$.issuer.profile'), '') FROM configuration"
        " WHERE certificate_id = ?1",
        CLM_SQL(clm_sql_text(certificate_id)));

    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

static enum clm_code open_session(struct clm_cp_work *work, const struct clm_cp_order *order,
                                  struct session *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf account_url = CLM_BUF_INIT(CLM_ISSUER_URL_SIZE);
    CLM_CLEANUP(clm_buf_done) struct clm_buf profile = CLM_BUF_INIT(256);
    const struct clm_http_opts http_opts = {.connect_timeout_ms = ACME_TIMEOUT_MS};
    enum clm_code code = clm_http_new(&http_opts, &out->http, err);

    out->work = work;
    out->io = (struct clm_io){.ctx = out->http, .http = do_http};
    if (code == CLM_OK) {
        code = open_key(work, &out->key, err);
    }
    if (code == CLM_OK) {
        code = load_account_url(out, &account_url, err);
    }
    if (code == CLM_OK) {
        code = load_profile(work, order->certificate_id, &profile, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    const struct clm_acme_opts opts = {
        .io = &out->io,
        .rng = work->tx->pki->rng,
        .key = out->key,
        .directory_url = work->connector->directory,
        .account_url = account_url.len > 0 ? clm_buf_str(&account_url) : NULL,
        .ca_pem = work->connector->ca_pem,
        .profile = profile.len > 0 ? clm_buf_str(&profile) : NULL,
        .timeout_ms = ACME_TIMEOUT_MS,
    };
    const struct clm_acme_account account = {.contact = &work->connector->contact,
                                             .agree_terms = true};

    code = clm_acme_new(&opts, &out->acme, err);
    if (code == CLM_OK) {
        code = judge(clm_acme_account(out->acme, &account, err), err);
    }
    if (code == CLM_OK && strcmp(clm_acme_account_url(out->acme), clm_buf_str(&account_url)) != 0) {
        code = store_account_url(out, clm_acme_account_url(out->acme), err);
    }
    return code;
}

/* ---- created: a new order, its challenges ---- */

struct found {
    struct clm_cp_challenge *items;
    size_t n;
};

static void add_found(struct found *found, const struct clm_challenge *in)
{
    struct clm_cp_challenge *out = &found->items[found->n++];

    (void)snprintf(out->domain, sizeof(out->domain), "%s", in->domain);
    (void)snprintf(out->path, sizeof(out->path), WELL_KNOWN "%s", in->token);
    (void)snprintf(out->content, sizeof(out->content), "%s", in->key_authorization);
    (void)snprintf(out->url, sizeof(out->url), "%s", in->url);
}

static enum clm_code fetch_challenges(struct session *session, const struct clm_order *order,
                                      struct found *found, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < order->authz.n; i++) {
        struct clm_challenge challenge = {0};

        code = judge(clm_acme_challenge_http01(session->acme, order->authz.v[i], &challenge, err),
                     err);
        if (code == CLM_OK && challenge.authz_status != CLM_ISSUER_VALID) {
            add_found(found, &challenge);
        }
    }
    return code;
}

static enum clm_code store_order(struct session *session, const struct clm_cp_order *order,
                                 const struct clm_order *acme_order, const struct found *found,
                                 struct clm_err *err)
{
    struct clm_cp_tx *tx = session->work->tx;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *ca = clm_json_new_object();
    enum clm_code code = clm_cp_tx_begin(tx, true, err);

    clm_json_set_str(ca, "order_url", acme_order->url);
    if (code == CLM_OK) {
        code = clm_cp_order_set_ca(tx, order->id, ca, err);
    }
    for (size_t i = 0; code == CLM_OK && i < found->n; i++) {
        code = clm_cp_challenge_add(tx, order->id, &found->items[i], err);
    }
    if (code == CLM_OK) { /* all names may be proved already, from an order before */
        code = clm_cp_order_set_state(tx, order, found->n > 0 ? "dcv_pending" : "dcv_ready", NULL,
                                      err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(tx, err) : code;
}

/* RFC 8555 7.1.3 has DNS names, RFC 8738 addresses; nothing has more. */
static enum clm_code check_request(struct session *session, const struct clm_cp_order *order,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {.must_staple = false};
    enum clm_code code = clm_cp_order_get_csr(session->work->tx, order->id, &der, err);

    if (code == CLM_OK) {
        code = clm_csr_parse(der.data, der.len, &csr, err);
    }
    if (code == CLM_OK && csr.emails.n + csr.uris.n > 0) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "the request names the %s '%.200s'; connector '%s' is an ACME CA, which "
                           "certifies DNS names and IP addresses only",
                           csr.emails.n > 0 ? "mail address" : "URI",
                           csr.emails.n > 0 ? csr.emails.v[0] : csr.uris.v[0],
                           session->work->connector->name);
    }
    return code;
}

static enum clm_code start(struct session *session, const struct clm_cp_order *order,
                           struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_cert_done) struct clm_cp_cert cert = {0};
    CLM_CLEANUP(clm_order_done) struct clm_order acme_order = {0};
    struct found found = {.n = 0};
    enum clm_code code = clm_cp_cert_load(session->work->tx, order->certificate_id, &cert, err);

    if (code == CLM_OK) {
        code = check_request(session, order, err);
    }
    if (code == CLM_OK) {
        code = judge(clm_acme_order_new(session->acme, &cert.names, &acme_order, err), err);
    }
    if (code != CLM_OK) {
        return code;
    }
    found.items = calloc(acme_order.authz.n + 1, sizeof(*found.items));
    if (found.items == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "challenges");
    }
    code = fetch_challenges(session, &acme_order, &found, err);
    if (code == CLM_OK) {
        code = store_order(session, order, &acme_order, &found, err);
    }
    free(found.items);
    return code;
}

/* ---- dcv_ready: tell the CA to look ---- */

static enum clm_code collect_url(void *arg, const struct clm_cp_challenge *challenge,
                                 struct clm_err *err)
{
    return clm_strs_add(arg, challenge->url, err);
}

static enum clm_code tell_ready(struct session *session, const struct clm_cp_order *order,
                                struct clm_err *err)
{
    struct clm_cp_tx *tx = session->work->tx;
    CLM_CLEANUP(clm_strs_done) struct clm_strs urls = {0};
    enum clm_code code = clm_cp_challenge_each(tx, order->id, collect_url, &urls, err);

    for (size_t i = 0; code == CLM_OK && i < urls.n; i++) {
        code = clm_acme_challenge_ready(session->acme, urls.v[i], err);
        if (code != CLM_OK && clm_acme_problem(session->acme)->type[0] != '\0' &&
            !clm_acme_may_retry(err)) {
            /* Told before a crash, and settled: the order says how it went. */
            clm_log_debug("order '%s': challenge %zu: %s", order->id, i, err->msg);
            code = CLM_OK;
        }
        code = judge(code, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_begin(tx, true, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_order_set_state(tx, order, "validating", NULL, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_commit(tx, err);
    }
    if (code == CLM_OK) {
        come_back(session->work, POLL_FIRST_MS);
    }
    return code;
}

/* ---- validating: wait for the verdict, hand in the request, fetch the chain ---- */

/* Waiting uses up none of the tries that are for a CA that is away, and gives back those used. */
static enum clm_code wait_more(struct session *session, const struct clm_cp_order *order,
                               uint32_t retry_after_s, struct clm_err *err)
{
    struct clm_cp_tx *tx = session->work->tx;
    int64_t slow = order->tries - POLL_QUICK;
    int64_t wait_s = slow < 0 ? 0 : slow < POLL_SLOWER ? INT64_C(1) << slow : POLL_MAX_S;
    enum clm_code code = clm_cp_tx_begin(tx, true, err);

    if (retry_after_s > wait_s) {
        wait_s = retry_after_s < 3600 ? (int64_t)retry_after_s : 3600;
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err,
            "UPDATE cert_order SET next_at = ?2, tries = min(tries + 1, ?3) WHERE id = ?1",
            CLM_SQL(clm_sql_text(order->id), clm_sql_int(tx->now_s + wait_s),
                    clm_sql_int(POLL_QUICK + POLL_SLOWER)));
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_commit(tx, err);
    }
    if (code == CLM_OK && wait_s == 0) {
        come_back(session->work, POLL_FIRST_MS << order->tries);
    }
    return code;
}

/* The CA's own words: those of the challenge that failed say more than those of the order. */
static enum clm_code explain(struct session *session, const struct clm_order *order,
                             struct clm_err *err)
{
    for (size_t i = 0; i < order->authz.n; i++) {
        struct clm_challenge challenge = {0};

        if (clm_acme_challenge_http01(session->acme, order->authz.v[i], &challenge, NULL) ==
                CLM_OK &&
            challenge.problem.type[0] != '\0') {
            return clm_err_set(err, CLM_E_REMOTE, "%s: %s", challenge.problem.type,
                               challenge.problem.detail);
        }
    }
    if (order->problem.type[0] != '\0') {
        return clm_err_set(err, CLM_E_REMOTE, "%s: %s", order->problem.type, order->problem.detail);
    }
    return clm_err_set(err, CLM_E_REMOTE, "the CA calls the order %s and does not say why",
                       clm_issuer_status_name(order->status));
}

static enum clm_code finalize(struct session *session, const struct clm_cp_order *order,
                              struct clm_order *acme_order, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    enum clm_code code = clm_cp_order_get_csr(session->work->tx, order->id, &der, err);

    return code == CLM_OK
               ? judge(clm_acme_finalize(session->acme, acme_order, der.data, der.len, err), err)
               : code;
}

static enum clm_code fetch_chain(struct session *session, const struct clm_cp_order *order,
                                 const struct clm_order *acme_order, struct clm_err *err)
{
    struct clm_cp_tx *tx = session->work->tx;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    enum clm_code code = judge(clm_acme_certificate(session->acme, acme_order, &pem, err), err);

    if (code == CLM_OK) {
        code = clm_cp_tx_begin(tx, true, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_order_issue(tx, order, &pem, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(tx, err) : code;
}

static enum clm_code follow(struct session *session, const struct clm_cp_order *order,
                            const char *order_url, struct clm_err *err)
{
    CLM_CLEANUP(clm_order_done) struct clm_order acme_order = {0};
    enum clm_code code =
        judge(clm_acme_order_poll(session->acme, order_url, &acme_order, err), err);

    if (code == CLM_OK && acme_order.status == CLM_ISSUER_READY) {
        code = finalize(session, order, &acme_order, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (acme_order.status == CLM_ISSUER_VALID) {
        return fetch_chain(session, order, &acme_order, err);
    }
    if (acme_order.status == CLM_ISSUER_PENDING || acme_order.status == CLM_ISSUER_PROCESSING ||
        acme_order.status == CLM_ISSUER_READY) {
        return wait_more(session, order, acme_order.retry_after_s, err);
    }
    return explain(session, &acme_order, err);
}

static enum clm_code move_on(struct session *session, const struct clm_cp_order *order,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *ca = NULL;
    enum clm_code code = clm_cp_order_get_ca(session->work->tx, order->id, &ca, err);

    if (code != CLM_OK) {
        return code;
    }
    const char *order_url = clm_json_text(clm_json_get(ca, "order_url"));

    if (strcmp(order->state, "created") == 0) {
        return start(session, order, err);
    }
    if (strcmp(order->state, "dcv_ready") == 0) {
        return tell_ready(session, order, err);
    }
    if (order_url == NULL) {
        return clm_err_set(err, CLM_E_BUG, "order '%s' has no URL at its CA", order->id);
    }
    return follow(session, order, order_url, err);
}

static enum clm_code step(struct clm_cp_work *work, const struct clm_cp_order *order,
                          struct clm_err *err)
{
    CLM_CLEANUP(session_done) struct session session = {0};
    enum clm_code code = open_session(work, order, &session, err);

    return code == CLM_OK ? move_on(&session, order, err) : code;
}

const struct clm_cp_connector_ops clm_cp_acme_ops = {
    .name = "acme",
    .tries_max = POLL_QUICK + POLL_SLOWER + 15, /* a CA may be away for a quarter of an hour */
    .step = step,
};
