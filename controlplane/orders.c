/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/orders.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/crypto/cert.h"
#include "controlplane/http.h"
#include "controlplane/order_job.h"

enum clm_code clm_cp_order_create(struct clm_cp_tx *tx, const struct clm_cp_order_new *in,
                                  char out_id[CLM_ID_SIZE], struct clm_err *err)
{
    enum clm_code code = clm_id_new("ord", out_id, err);

    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err,
            "INSERT INTO cert_order (id, certificate_id, agent_id, job_id, connector, csr,"
            " csr_sha256, spki_sha256, key_ref, state, next_at, expires_at, created_at)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'created', ?10, ?11, ?10)",
            CLM_SQL(clm_sql_text(out_id), clm_sql_text(in->cert->id),
                    clm_sql_text(in->job->agent_id), clm_sql_text(in->job->id),
                    clm_sql_text(in->cert->connector), clm_sql_text(in->csr),
                    clm_sql_text(in->info->sha256), clm_sql_text(in->info->spki_sha256),
                    clm_sql_text(in->key_ref), clm_sql_int(tx->now_s),
                    clm_sql_int(tx->now_s + CLM_CP_ORDER_LIFE_S)));
    }
    if (code == CLM_OK) {
        clm_log_info("order '%s' for certificate '%s' through '%s'", out_id, in->cert->id,
                     in->cert->connector);
        tx->wake_worker = true;
        code = clm_cp_cert_set_state(tx, in->cert->id, "ordering", NULL, err);
    }
    return code == CLM_OK ? clm_cp_tx_note(tx, "order", out_id, "created", err) : code;
}

static enum clm_code read_row(struct clm_cp_stmt *stmt, struct clm_cp_order *out,
                              struct clm_err *err)
{
    const struct clm_cp_text_column texts[] = {
        {out->id, sizeof(out->id)},
        {out->certificate_id, sizeof(out->certificate_id)},
        {out->agent_id, sizeof(out->agent_id)},
        {out->job_id, sizeof(out->job_id)},
        {out->connector, sizeof(out->connector)},
        {out->state, sizeof(out->state)},
        {out->csr_sha256, sizeof(out->csr_sha256)},
        {out->key_ref, sizeof(out->key_ref)},
        {out->sha256, sizeof(out->sha256)},
        {out->error, sizeof(out->error)},
    };
    enum clm_code code = clm_cp_stmt_copy_all(stmt, texts, CLM_ARRAY_LEN(texts), err);

    out->not_after_s = clm_cp_stmt_int(stmt, 10);
    out->tries = clm_cp_stmt_int(stmt, 11);
    out->expires_s = clm_cp_stmt_int(stmt, 12);
    return code;
}

#define COLUMNS                                                                                    \
    "SELECT id, certificate_id, agent_id, job_id, connector, state, csr_sha256, key_ref, sha256,"  \
    " error, not_after, tries, expires_at FROM cert_order"

static enum clm_code load(struct clm_cp_tx *tx, const char *sql, const struct clm_sql_value *values,
                          struct clm_cp_order *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;

    enum clm_code code = clm_cp_db_query_one(tx->db, &stmt, err, sql, values);

    *out = (struct clm_cp_order){0}; /* not before: id may lie in *out */
    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no such order");
    }
    return code == CLM_OK ? read_row(stmt, out, err) : code;
}

enum clm_code clm_cp_order_load(struct clm_cp_tx *tx, const char *id, const char *agent_id,
                                struct clm_cp_order *out, struct clm_err *err)
{
    return load(tx, COLUMNS " WHERE id = ?1 AND (?2 IS NULL OR agent_id = ?2)",
                CLM_SQL(clm_sql_text(id), clm_sql_text(agent_id)), out, err);
}

enum clm_code clm_cp_order_find(struct clm_cp_tx *tx, const char *job_id, const char *csr_sha256,
                                struct clm_cp_order *out, struct clm_err *err)
{
    return load(tx, COLUMNS " WHERE job_id = ?1 AND csr_sha256 = ?2",
                CLM_SQL(clm_sql_text(job_id), clm_sql_text(csr_sha256)), out, err);
}

enum clm_code clm_cp_order_find_open(struct clm_cp_tx *tx, const char *certificate_id,
                                     struct clm_cp_order *out, struct clm_err *err)
{
    return load(tx,
                COLUMNS " WHERE certificate_id = ?1"
                        " AND state NOT IN ('issued','failed','canceled')",
                CLM_SQL(clm_sql_text(certificate_id)), out, err);
}

bool clm_cp_order_state_is_final(const char *state)
{
    return strcmp(state, "issued") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "canceled") == 0;
}

/* What the certificate's state is while its order has that state. */
static const char *cert_state(const char *order_state)
{
    static const char *const map[][2] = {
        {"created", "ordering"}, {"dcv_pending", "dcv"}, {"dcv_ready", "dcv"},
        {"validating", "dcv"},   {"issued", "issued"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(map); i++) {
        if (strcmp(map[i][0], order_state) == 0) {
            return map[i][1];
        }
    }
    return "failed";
}

enum clm_code clm_cp_order_set_state(struct clm_cp_tx *tx, const struct clm_cp_order *order,
                                     const char *state, const char *error, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(
        tx->db, err,
        "UPDATE cert_order SET state = ?2, error = ?3, next_at = ?4, tries = 0 WHERE id = ?1"
        " AND state NOT IN ('issued','failed','canceled')",
        CLM_SQL(clm_sql_text(order->id), clm_sql_text(state), clm_sql_text(error),
                clm_sql_int(tx->now_s)));

    if (code == CLM_OK && clm_cp_db_changes(tx->db) == 0) {
        clm_log_info("order '%s': %s came after its end", order->id, state);
        return CLM_OK;
    }
    if (code == CLM_OK) {
        clm_log_info("order '%s': %s%s%s", order->id, state, error != NULL ? ": " : "",
                     error != NULL ? error : "");
        code = clm_cp_cert_set_state(tx, order->certificate_id, cert_state(state), error, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_note(tx, "order", order->id, state, err);
    }
    return code == CLM_OK ? clm_cp_tx_wake(tx, order->id, err) : code;
}

enum clm_code clm_cp_order_issue(struct clm_cp_tx *tx, const struct clm_cp_order *order,
                                 const struct clm_buf *pem, struct clm_err *err)
{
    struct clm_cp_order now;
    enum clm_code code = clm_cp_order_load(tx, order->id, NULL, &now, err);

    if (code == CLM_OK && clm_cp_order_state_is_final(now.state)) {
        clm_log_notice("order '%s': a certificate came after its end, and is not kept", order->id);
        return CLM_OK;
    }
    if (code == CLM_OK) {
        code =
            clm_cp_cert_add_version(tx, order->certificate_id, order->id, order->key_ref, pem, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err,
            "UPDATE cert_order SET sha256 = v.sha256, not_after = v.not_after"
            " FROM (SELECT sha256, not_after FROM cert_version WHERE order_id = ?1) AS v"
            " WHERE cert_order.id = ?1",
            CLM_SQL(clm_sql_text(order->id)));
    }
    if (code == CLM_OK) {
        code = clm_cp_challenge_set_state(tx, order->id, NULL, "valid", err);
    }
    return code == CLM_OK ? clm_cp_order_set_state(tx, order, "issued", NULL, err) : code;
}

enum clm_code clm_cp_order_defer(struct clm_cp_tx *tx, const char *id, int64_t at_s,
                                 struct clm_err *err)
{
    return clm_cp_db_exec(tx->db, err,
                          "UPDATE cert_order SET next_at = ?2, tries = tries + 1 WHERE id = ?1",
                          CLM_SQL(clm_sql_text(id), clm_sql_int(at_s)));
}

/* ---- challenges ---- */

enum clm_code clm_cp_challenge_add(struct clm_cp_tx *tx, const char *order_id,
                                   const struct clm_cp_challenge *in, struct clm_err *err)
{
    char id[CLM_ID_SIZE];
    enum clm_code code = clm_id_new("chl", id, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(tx->db, err,
                          "INSERT INTO challenge (id, order_id, domain, path, content, url, state)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending')",
                          CLM_SQL(clm_sql_text(id), clm_sql_text(order_id),
                                  clm_sql_text(in->domain), clm_sql_text(in->path),
                                  clm_sql_text(in->content), clm_sql_text(in->url)));
}

static enum clm_code read_challenge(struct clm_cp_stmt *stmt, struct clm_cp_challenge *out,
                                    struct clm_err *err)
{
    const struct clm_cp_text_column texts[] = {
        {out->id, sizeof(out->id)},     {out->domain, sizeof(out->domain)},
        {out->path, sizeof(out->path)}, {out->content, sizeof(out->content)},
        {out->url, sizeof(out->url)},   {out->state, sizeof(out->state)},
    };
    enum clm_code code = clm_cp_stmt_copy_all(stmt, texts, CLM_ARRAY_LEN(texts), err);

    return code;
}

enum clm_code clm_cp_challenge_each(struct clm_cp_tx *tx, const char *order_id,
                                    clm_cp_challenge_fn visit, void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    struct clm_cp_challenge challenge;
    bool row = true;
    enum clm_code code =
        clm_cp_db_query(tx->db, &stmt, err,
                        "SELECT id, domain, path, content, url, state FROM challenge"
                        " WHERE order_id = ?1 ORDER BY rowid",
                        CLM_SQL(clm_sql_text(order_id)));

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        code = read_challenge(stmt, &challenge, err);
        if (code == CLM_OK) {
            code = visit(arg, &challenge, err);
        }
    }
    return code;
}

enum clm_code clm_cp_challenge_set_state(struct clm_cp_tx *tx, const char *order_id, const char *id,
                                         const char *state, struct clm_err *err)
{
    return clm_cp_db_exec(
        tx->db, err,
        "UPDATE challenge SET state = ?3 WHERE order_id = ?1 AND (?2 IS NULL OR id = ?2)",
        CLM_SQL(clm_sql_text(order_id), clm_sql_text(id), clm_sql_text(state)));
}

/* ---- the end of its job ---- */

/* Why the certificate did not come, for people. */
static enum clm_code end_text(const char *state, const char *error, char dst[CLM_ERR_MSG_MAX],
                              struct clm_err *err)
{
    static const char *const texts[][2] = {
        {"canceled", "the order was canceled"},
        {"expired", "the job expired before a certificate was issued"},
        {"denied", "the job was denied"},
    };
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    const char *text = NULL;

    if (error != NULL && clm_cp_json_stored(error, &root, NULL) == CLM_OK) {
        text = clm_json_text(clm_json_get(root, "message"));
    }
    for (size_t i = 0; text == NULL && i < CLM_ARRAY_LEN(texts); i++) {
        if (strcmp(texts[i][0], state) == 0) {
            text = texts[i][1];
        }
    }
    if (text == NULL) {
        text = "the job ended before a certificate was issued";
    }
    return clm_str_fmt(dst, CLM_ERR_MSG_MAX, err, "%.400s", text);
}

static enum clm_code end_open(struct clm_cp_tx *tx, const char *id, const char *state,
                              const char *why, struct clm_err *err)
{
    struct clm_cp_order order;
    bool is_canceled = strcmp(state, "canceled") == 0;
    enum clm_code code = clm_cp_order_load(tx, id, NULL, &order, err);

    if (code == CLM_OK) {
        code = clm_cp_challenge_set_state(tx, id, NULL, "invalid", err);
    }
    return code == CLM_OK
               ? clm_cp_order_set_state(tx, &order, is_canceled ? "canceled" : "failed", why, err)
               : code;
}

/* A job that ended before it opened an order leaves its certificate waiting for nothing. */
static enum clm_code end_wait(struct clm_cp_tx *tx, const struct clm_cp_job *job, const char *why,
                              struct clm_err *err)
{
    int64_t waits = 0;
    bool is_busy = false;
    enum clm_code code = clm_cp_cert_is_busy(tx, job->certificate_id, &is_busy, err);

    if (code == CLM_OK && !is_busy) {
        code = clm_cp_db_get_int(tx->db, 0, &waits, err,
                                 "SELECT count(*) FROM cert WHERE id = ?1 AND state = 'ordering'",
                                 CLM_SQL(clm_sql_text(job->certificate_id)));
    }
    return code == CLM_OK && waits > 0
               ? clm_cp_cert_set_state(tx, job->certificate_id, "failed", why, err)
               : code;
}

enum clm_code clm_cp_order_end_of_job(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                      const char *state, const char *error, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    char why[CLM_ERR_MSG_MAX];
    const struct clm_cp_each open = {.sql = "SELECT id FROM cert_order WHERE job_id = ?1 AND"
                                            " state NOT IN ('issued','failed','canceled')",
                                     .values = CLM_SQL(clm_sql_text(job->id)),
                                     .visit = clm_cp_row_to_strs,
                                     .arg = &ids};

    if (strcmp(job->type, "order") != 0 || job->certificate_id[0] == '\0') {
        return CLM_OK;
    }
    enum clm_code code = clm_cp_db_each(tx->db, &open, err);

    if (code == CLM_OK) {
        code = end_text(state, error, why, err);
    }
    for (size_t i = 0; code == CLM_OK && i < ids.n; i++) {
        code = end_open(tx, ids.v[i], state, why, err);
    }
    return code == CLM_OK && ids.n == 0 ? end_wait(tx, job, why, err) : code;
}

/* ---- what a connector keeps ---- */

enum clm_code clm_cp_order_get_ca(struct clm_cp_tx *tx, const char *id, struct clm_json **out_json,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CP_ORDER_CA_MAX);
    enum clm_code code = clm_cp_db_get_text(
        tx->db, &text, err, "SELECT ca FROM cert_order WHERE id = ?1", CLM_SQL(clm_sql_text(id)));

    return code == CLM_OK ? clm_cp_json_stored(clm_buf_str(&text), out_json, err) : code;
}

enum clm_code clm_cp_order_set_ca(struct clm_cp_tx *tx, const char *id, const struct clm_json *json,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CP_ORDER_CA_MAX);
    enum clm_code code = clm_json_print(json, false, &text, err);

    return code == CLM_OK
               ? clm_cp_db_exec(tx->db, err, "UPDATE cert_order SET ca = ?2 WHERE id = ?1",
                                CLM_SQL(clm_sql_text(id), clm_sql_text(clm_buf_str(&text))))
               : code;
}

enum clm_code clm_cp_order_get_csr(struct clm_cp_tx *tx, const char *id, struct clm_buf *out_der,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT((size_t)2 * CLM_CSR_MAX);
    enum clm_code code = clm_cp_db_get_text(
        tx->db, &text, err, "SELECT csr FROM cert_order WHERE id = ?1", CLM_SQL(clm_sql_text(id)));

    return code == CLM_OK ? clm_b64url_decode(clm_buf_str(&text), text.len, out_der, err) : code;
}

enum clm_code clm_cp_order_dcv_ready(struct clm_cp_tx *tx, struct clm_cp_order *io_order,
                                     struct clm_err *err)
{
    enum clm_code code = clm_cp_challenge_set_state(tx, io_order->id, NULL, "ready", err);

    if (code == CLM_OK) {
        tx->wake_worker = true;
        code = clm_cp_order_set_state(tx, io_order, "dcv_ready", NULL, err);
    }
    return code == CLM_OK ? clm_cp_order_load(tx, io_order->id, NULL, io_order, err) : code;
}
