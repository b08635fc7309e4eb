/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/certs.h"

#include <string.h>

#include "agent/crypto/cert.h"
#include "controlplane/http.h"

void clm_cp_cert_done(struct clm_cp_cert *cert)
{
    clm_names_done(&cert->names);
    clm_json_free(cert->subject);
    cert->subject = NULL;
    clm_json_free(cert->csr);
    cert->csr = NULL;
}

static enum clm_code print(const struct clm_json *json, struct clm_buf *out, struct clm_err *err)
{
    *out = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    return clm_json_print(json, false, out, err);
}

enum clm_code clm_cp_cert_create(struct clm_cp_tx *tx, const struct clm_cp_cert_new *in,
                                 char out_id[CLM_ID_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf names = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf subject = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = {0};
    enum clm_code code = clm_id_new("crt", out_id, err);

    if (code == CLM_OK) {
        code = print(in->names, &names, err);
    }
    if (code == CLM_OK) {
        code = print(in->subject, &subject, err);
    }
    if (code == CLM_OK && in->csr != NULL) {
        code = print(in->csr, &csr, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err,
            "INSERT INTO cert (id, agent_id, target, names, subject, key_type, connector,"
            " webroot_ref, on_issue, state, created_at, updated_at, csr)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'new', ?10, ?10, ?11)",
            CLM_SQL(clm_sql_text(out_id), clm_sql_text(in->agent_id), clm_sql_text(in->target),
                    clm_sql_text(clm_buf_str(&names)), clm_sql_text(clm_buf_str(&subject)),
                    clm_sql_text(in->key_type), clm_sql_text(in->connector),
                    clm_sql_text(in->webroot_ref), clm_sql_text(in->on_issue),
                    clm_sql_int(tx->now_s),
                    clm_sql_text(in->csr != NULL ? clm_buf_str(&csr) : NULL)));
    }
    return code == CLM_OK ? clm_cp_tx_note(tx, "certificate", out_id, "new", err) : code;
}

enum clm_code clm_cp_cert_update(struct clm_cp_tx *tx, const char *id,
                                 const struct clm_cp_cert_new *in, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf names = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf subject = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = {0};
    enum clm_code code = print(in->names, &names, err);

    if (code == CLM_OK) {
        code = print(in->subject, &subject, err);
    }
    if (code == CLM_OK && in->csr != NULL) {
        code = print(in->csr, &csr, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err,
            "UPDATE cert SET names = ?2, subject = ?3, key_type = ?4, connector = ?5,"
            " webroot_ref = ?6, on_issue = ?7, updated_at = ?8, csr = ?9 WHERE id = ?1",
            CLM_SQL(clm_sql_text(id), clm_sql_text(clm_buf_str(&names)),
                    clm_sql_text(clm_buf_str(&subject)), clm_sql_text(in->key_type),
                    clm_sql_text(in->connector), clm_sql_text(in->webroot_ref),
                    clm_sql_text(in->on_issue), clm_sql_int(tx->now_s),
                    clm_sql_text(in->csr != NULL ? clm_buf_str(&csr) : NULL)));
    }
    return code == CLM_OK ? clm_cp_tx_note(tx, "certificate", id, "changed", err) : code;
}

static enum clm_code read_row(struct clm_cp_stmt *stmt, struct clm_cp_cert *out,
                              struct clm_err *err)
{
    const struct clm_cp_text_column texts[] = {
        {out->id, sizeof(out->id)},
        {out->agent_id, sizeof(out->agent_id)},
        {out->target, sizeof(out->target)},
        {out->key_type, sizeof(out->key_type)},
        {out->connector, sizeof(out->connector)},
        {out->webroot_ref, sizeof(out->webroot_ref)},
        {out->on_issue, sizeof(out->on_issue)},
        {out->state, sizeof(out->state)},
        {out->current_sha256, sizeof(out->current_sha256)},
        {out->waiting_sha256, sizeof(out->waiting_sha256)},
    };
    CLM_CLEANUP(clm_json_free_p) struct clm_json *names = NULL;
    enum clm_code code = clm_cp_stmt_copy_all(stmt, texts, CLM_ARRAY_LEN(texts), err);

    if (code == CLM_OK) {
        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 10), &names, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 11), &out->subject, err);
    }
    if (code == CLM_OK && !clm_cp_stmt_is_null(stmt, 12)) {
        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 12), &out->csr, err);
    }
    return code == CLM_OK ? clm_names_from_json(names, &out->names, err) : code;
}

enum clm_code clm_cp_cert_load(struct clm_cp_tx *tx, const char *id, struct clm_cp_cert *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;

    enum clm_code code = clm_cp_db_query_one(
        tx->db, &stmt, err,
        "SELECT id, agent_id, target, key_type, connector, webroot_ref, on_issue, state,"
        " current_sha256, waiting_sha256, names, subject, csr FROM cert WHERE id = ?1",
        CLM_SQL(clm_sql_text(id)));

    *out = (struct clm_cp_cert){0}; /* not before: id may lie in *out */
    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no certificate '%.71s'", id);
    }
    return code == CLM_OK ? read_row(stmt, out, err) : code;
}

enum clm_code clm_cp_cert_set_state(struct clm_cp_tx *tx, const char *id, const char *state,
                                    const char *last_error, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(
        tx->db, err, "UPDATE cert SET state = ?2, last_error = ?3, updated_at = ?4 WHERE id = ?1",
        CLM_SQL(clm_sql_text(id), clm_sql_text(state), clm_sql_text(last_error),
                clm_sql_int(tx->now_s)));

    return code == CLM_OK ? clm_cp_tx_note(tx, "certificate", id, state, err) : code;
}

/* ---- versions ---- */

enum clm_code clm_cp_cert_version(struct clm_cp_tx *tx, const char *id, const char *sha256,
                                  struct clm_cp_version *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;

    *out = (struct clm_cp_version){.pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX)};
    enum clm_code code = clm_cp_db_query_one(
        tx->db, &stmt, err,
        "SELECT version, sha256, key_ref, not_after, pem FROM cert_version"
        " WHERE certificate_id = ?1 AND (?2 IS NULL OR sha256 = ?2) ORDER BY version DESC LIMIT 1",
        CLM_SQL(clm_sql_text(id), clm_sql_text(sha256)));

    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND, "certificate '%.31s' has no such version", id);
    }
    if (code == CLM_OK) {
        out->version = clm_cp_stmt_int(stmt, 0);
        out->not_after_s = clm_cp_stmt_int(stmt, 3);
        code = clm_cp_stmt_copy(stmt, 1, out->sha256, sizeof(out->sha256), err);
    }
    if (code == CLM_OK) {
        code = clm_cp_stmt_copy(stmt, 2, out->key_ref, sizeof(out->key_ref), err);
    }
    return code == CLM_OK ? clm_buf_add_str(&out->pem, clm_cp_stmt_text(stmt, 4), err) : code;
}

enum clm_code clm_cp_cert_add_version(struct clm_cp_tx *tx, const char *id, const char *order_id,
                                      const char *key_ref, const struct clm_buf *pem,
                                      struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {0};
    enum clm_code code = clm_cert_chain_from_pem(clm_buf_str(pem), pem->len, &chain, err);

    if (code == CLM_OK) {
        code = clm_cert_info(chain, 0, &info, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(
        tx->db, err,
        "INSERT INTO cert_version (certificate_id, version, sha256, spki_sha256, key_ref, pem,"
        " not_before, not_after, order_id, issued_at, issuer) SELECT ?1, ifnull(max(version), 0) + "
        "1, ?2,"
        " ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM cert_version WHERE certificate_id = ?1",
        CLM_SQL(clm_sql_text(id), clm_sql_text(info.sha256), clm_sql_text(info.spki_sha256),
                clm_sql_text(key_ref), clm_sql_text(clm_buf_str(pem)),
                clm_sql_int(info.not_before_s), clm_sql_int(info.not_after_s),
                clm_sql_text(order_id), clm_sql_int(tx->now_s), clm_sql_text(info.issuer)));
}

enum clm_code clm_cp_cert_key_is_used(struct clm_cp_tx *tx, const char *spki_sha256,
                                      const char *but_id, bool *out_used, struct clm_err *err)
{
    int64_t count = 0;
    enum clm_code code =
        clm_cp_db_get_int(tx->db, 0, &count, err,
                          "SELECT (SELECT count(*) FROM cert_version WHERE spki_sha256 = ?1"
                          " AND (?2 IS NULL OR certificate_id <> ?2))"
                          " + (SELECT count(*) FROM agent WHERE spki = ?1)",
                          CLM_SQL(clm_sql_text(spki_sha256), clm_sql_text(but_id)));

    *out_used = count > 0;
    return code;
}
