/* SPDX-License-Identifier: Apache-2.0 */
/* Managed certificates as the operator API shows them. */
#include "controlplane/certs.h"

#include "controlplane/http.h"

#define COLUMNS                                                                                    \
    "SELECT c.id, c.agent_id, c.target, c.names, c.subject, c.key_type, c.connector,"              \
    " c.webroot_ref, c.on_issue, c.state, c.current_sha256, c.last_error, c.created_at,"           \
    " c.updated_at, c.deployed_version, v.version, v.sha256, v.not_after, s.version, s.not_after," \
    " c.csr, c.waiting_sha256"                                                                     \
    " FROM cert c LEFT JOIN cert_version s ON s.certificate_id = c.id AND"                         \
    " s.sha256 = c.current_sha256"                                                                 \
    " LEFT JOIN cert_version v ON v.certificate_id = c.id AND v.version ="                         \
    " (SELECT max(version) FROM cert_version WHERE certificate_id = c.id)"

static enum clm_code show_row(struct clm_cp_stmt *stmt, struct clm_json *obj, struct clm_err *err)
{
    clm_json_set_str(obj, "id", clm_cp_stmt_text(stmt, 0));
    clm_json_set_str(obj, "certificate_id", clm_cp_stmt_text(stmt, 0));
    clm_json_set_str(obj, "agent_id", clm_cp_stmt_text(stmt, 1));
    clm_json_set_str(obj, "target", clm_cp_stmt_text(stmt, 2));
    enum clm_code code = clm_cp_json_stored_column(obj, "names", stmt, 3, err);

    if (code == CLM_OK) {
        code = clm_cp_json_stored_column(obj, "subject", stmt, 4, err);
    }
    if (code == CLM_OK && !clm_cp_stmt_is_null(stmt, 20)) {
        code = clm_cp_json_stored_column(obj, "csr", stmt, 20, err);
    } else {
        clm_json_set_null(obj, "csr");
    }
    clm_json_set_str(obj, "key_type", clm_cp_stmt_text(stmt, 5));
    clm_json_set_str(obj, "connector", clm_cp_stmt_text(stmt, 6));
    clm_json_set_str(obj, "webroot_ref", clm_cp_stmt_text(stmt, 7));
    clm_json_set_str(obj, "on_issue", clm_cp_stmt_text(stmt, 8));
    clm_json_set_str(obj, "state", clm_cp_stmt_text(stmt, 9));
    clm_cp_json_column(obj, "current_sha256", stmt, 10);
    clm_cp_json_column(obj, "waiting_sha256", stmt, 21);
    clm_cp_json_column(obj, "last_error", stmt, 11);
    clm_cp_json_time(obj, "created_at", clm_cp_stmt_int(stmt, 12));
    clm_cp_json_time(obj, "updated_at", clm_cp_stmt_int(stmt, 13));
    clm_json_set_int(obj, "deployed_version", clm_cp_stmt_int(stmt, 14));
    clm_json_set_int(obj, "newest_version", clm_cp_stmt_int(stmt, 15));
    clm_cp_json_column(obj, "newest_sha256", stmt, 16);
    clm_cp_json_time(obj, "not_after", clm_cp_stmt_int(stmt, 17));
    clm_json_set_int(obj, "served_version", clm_cp_stmt_int(stmt, 18));
    clm_cp_json_time(obj, "served_not_after", clm_cp_stmt_int(stmt, 19));
    return code;
}

static enum clm_code add_versions(struct clm_cp_tx *tx, const char *id, struct clm_json *array,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = true;
    enum clm_code code = clm_cp_db_query(
        tx->db, &stmt, err,
        "SELECT version, sha256, spki_sha256, key_ref, not_before, not_after, issued_at, order_id,"
        " issuer, pem FROM cert_version WHERE certificate_id = ?1 ORDER BY version DESC LIMIT 100",
        CLM_SQL(clm_sql_text(id)));

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        struct clm_json *obj = clm_json_add_object(array);

        clm_json_set_int(obj, "version", clm_cp_stmt_int(stmt, 0));
        clm_json_set_str(obj, "sha256", clm_cp_stmt_text(stmt, 1));
        clm_json_set_str(obj, "spki_sha256", clm_cp_stmt_text(stmt, 2));
        clm_json_set_str(obj, "key_ref", clm_cp_stmt_text(stmt, 3));
        clm_cp_json_time(obj, "not_before", clm_cp_stmt_int(stmt, 4));
        clm_cp_json_time(obj, "not_after", clm_cp_stmt_int(stmt, 5));
        clm_cp_json_time(obj, "issued_at", clm_cp_stmt_int(stmt, 6));
        clm_json_set_str(obj, "order_id", clm_cp_stmt_text(stmt, 7));
        clm_json_set_str(obj, "issuer", clm_cp_stmt_text(stmt, 8));
        clm_json_set_str(obj, "pem", clm_cp_stmt_text(stmt, 9));
    }
    return code;
}

enum clm_code clm_cp_cert_show(struct clm_cp_tx *tx, const char *id, struct clm_json *obj,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query_one(tx->db, &stmt, err, COLUMNS " WHERE c.id = ?1",
                                             CLM_SQL(clm_sql_text(id)));

    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no certificate '%.71s'", id);
    }
    if (code == CLM_OK) {
        code = show_row(stmt, obj, err);
    }
    return code == CLM_OK ? add_versions(tx, id, clm_json_set_array(obj, "versions"), err) : code;
}

static enum clm_code show_next(void *array, struct clm_cp_stmt *stmt, struct clm_err *err)
{
    return show_row(stmt, clm_json_add_object(array), err);
}

enum clm_code clm_cp_certs_list(struct clm_cp_tx *tx, struct clm_json *array, struct clm_err *err)
{
    const struct clm_cp_each each = {.sql = COLUMNS " ORDER BY c.created_at, c.id LIMIT 10000",
                                     .visit = show_next,
                                     .arg = array};

    return clm_cp_db_each(tx->db, &each, err);
}
