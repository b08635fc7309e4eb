/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/configs.h"

#include <string.h>

#include "controlplane/http.h"

#define DAY_S 86400

void clm_cp_config_done(struct clm_cp_config *config)
{
    clm_json_free(config->body);
    config->body = NULL;
}

enum clm_code clm_cp_config_create(struct clm_cp_tx *tx, const struct clm_cp_config *in,
                                   char out_id[CLM_ID_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    enum clm_code code = clm_id_new("cfg", out_id, err);

    if (code == CLM_OK) {
        code = clm_json_print(in->body, false, &body, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(tx->db, err,
                              "INSERT INTO configuration (id, agent_id, target, revision,"
                              " certificate_id, body, created_at, updated_at)"
                              " VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?6)",
                              CLM_SQL(clm_sql_text(out_id), clm_sql_text(in->agent_id),
                                      clm_sql_text(in->target), clm_sql_text(in->certificate_id),
                                      clm_sql_text(clm_buf_str(&body)), clm_sql_int(tx->now_s)));
    }
    return code == CLM_OK ? clm_cp_tx_note(tx, "configuration", out_id, "new", err) : code;
}

enum clm_code clm_cp_config_update(struct clm_cp_tx *tx, const char *id,
                                   const struct clm_json *body, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    enum clm_code code = clm_json_print(body, false, &text, err);

    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err,
            "UPDATE configuration SET body = ?2, revision = revision + 1,"
            " updated_at = ?3 WHERE id = ?1",
            CLM_SQL(clm_sql_text(id), clm_sql_text(clm_buf_str(&text)), clm_sql_int(tx->now_s)));
    }
    return code == CLM_OK ? clm_cp_tx_note(tx, "configuration", id, "changed", err) : code;
}

enum clm_code clm_cp_config_delete(struct clm_cp_tx *tx, const char *id, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(tx->db, err, "DELETE FROM configuration WHERE id = ?1",
                                        CLM_SQL(clm_sql_text(id)));

    return code == CLM_OK ? clm_cp_tx_note(tx, "configuration", id, "deleted", err) : code;
}

static enum clm_code read_row(struct clm_cp_stmt *stmt, struct clm_cp_config *out,
                              struct clm_err *err)
{
    const struct clm_cp_text_column texts[] = {
        {out->id, sizeof(out->id)},
        {out->agent_id, sizeof(out->agent_id)},
        {out->target, sizeof(out->target)},
        {out->certificate_id, sizeof(out->certificate_id)},
    };
    enum clm_code code = clm_cp_stmt_copy_all(stmt, texts, CLM_ARRAY_LEN(texts), err);

    out->revision = clm_cp_stmt_int(stmt, 4);
    return code == CLM_OK ? clm_cp_json_stored(clm_cp_stmt_text(stmt, 5), &out->body, err) : code;
}

static enum clm_code load(struct clm_cp_tx *tx, const char *sql, const char *id,
                          struct clm_cp_config *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query_one(tx->db, &stmt, err, sql, CLM_SQL(clm_sql_text(id)));

    if (code == CLM_E_NOTFOUND) {
        *out = (struct clm_cp_config){0};
        return clm_err_set(err, code, "no configuration '%.71s'", id);
    }
    *out = (struct clm_cp_config){0};
    return code == CLM_OK ? read_row(stmt, out, err) : code;
}

#define LOAD "SELECT id, agent_id, target, certificate_id, revision, body FROM configuration"

enum clm_code clm_cp_config_load(struct clm_cp_tx *tx, const char *id, struct clm_cp_config *out,
                                 struct clm_err *err)
{
    return load(tx, LOAD " WHERE id = ?1", id, out, err);
}

enum clm_code clm_cp_config_of_cert(struct clm_cp_tx *tx, const char *certificate_id,
                                    struct clm_cp_config *out, struct clm_err *err)
{
    return load(tx, LOAD " WHERE certificate_id = ?1", certificate_id, out, err);
}

int64_t clm_cp_renew_at_s(int64_t not_before_s, int64_t not_after_s, int64_t renew_days)
{
    int64_t early_s = renew_days * DAY_S;
    int64_t third_s = (not_after_s - not_before_s) / 3;

    return not_after_s - (early_s < third_s ? early_s : third_s);
}

/* ---- for operators ---- */

#define SHOW                                                                                       \
    "SELECT g.id, g.agent_id, g.target, g.certificate_id, g.revision, g.body, g.created_at,"       \
    " g.updated_at, c.state, v.not_before, v.not_after FROM configuration g"                       \
    " JOIN cert c ON c.id = g.certificate_id"                                                      \
    " LEFT JOIN cert_version v ON v.certificate_id = c.id AND v.version ="                         \
    " (SELECT max(version) FROM cert_version WHERE certificate_id = c.id)"

static enum clm_code show_row(struct clm_cp_stmt *stmt, struct clm_json *obj, struct clm_err *err)
{
    static const char *const members[] = {"id", "agent_id", "target", "certificate_id"};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
    int64_t renew_days = CLM_CP_RENEW_DAYS_DEFAULT;
    enum clm_code code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 5), &body, err);

    if (code == CLM_OK) {
        code = clm_json_int_or(clm_json_get(body, "schedule"), "renew_days", 0, INT32_MAX,
                               &renew_days, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        clm_json_set_str(obj, members[i], clm_cp_stmt_text(stmt, (int)i));
    }
    clm_json_set_int(obj, "revision", clm_cp_stmt_int(stmt, 4));
    for (const struct clm_json *m = clm_json_first(body); m != NULL; m = clm_json_next(m)) {
        clm_json_set_copy(obj, clm_json_key(m), m);
    }
    clm_cp_json_time(obj, "created_at", clm_cp_stmt_int(stmt, 6));
    clm_cp_json_time(obj, "updated_at", clm_cp_stmt_int(stmt, 7));
    clm_json_set_str(obj, "certificate_state", clm_cp_stmt_text(stmt, 8));
    int64_t not_after_s = clm_cp_stmt_int(stmt, 10);

    clm_cp_json_time(obj, "not_after", not_after_s);
    clm_cp_json_time(
        obj, "next_renewal_at",
        not_after_s > 0 ? clm_cp_renew_at_s(clm_cp_stmt_int(stmt, 9), not_after_s, renew_days) : 0);
    return CLM_OK;
}

enum clm_code clm_cp_config_show(struct clm_cp_tx *tx, const char *id, struct clm_json *obj,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code =
        clm_cp_db_query_one(tx->db, &stmt, err, SHOW " WHERE g.id = ?1", CLM_SQL(clm_sql_text(id)));

    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, code, "no configuration '%.71s'", id);
    }
    return code == CLM_OK ? show_row(stmt, obj, err) : code;
}

static enum clm_code show_next(void *arg, struct clm_cp_stmt *stmt, struct clm_err *err)
{
    return show_row(stmt, clm_json_add_object(arg), err);
}

enum clm_code clm_cp_configs_list(struct clm_cp_tx *tx, const char *agent_id,
                                  struct clm_json *array, struct clm_err *err)
{
    const struct clm_cp_each each = {
        .sql = SHOW " WHERE ?1 IS NULL OR g.agent_id = ?1 ORDER BY g.created_at, g.id LIMIT 10000",
        .values = CLM_SQL(clm_sql_text(agent_id)),
        .visit = show_next,
        .arg = array};

    return clm_cp_db_each(tx->db, &each, err);
}
