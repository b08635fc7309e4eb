/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/agents.h"

#include <ctype.h>
#include <string.h>

#include "agent/base/log.h"
#include "controlplane/http.h"

static enum clm_code read_row(struct clm_cp_stmt *stmt, struct clm_cp_agent *out,
                              struct clm_err *err)
{
    const struct clm_cp_text_column texts[] = {
        {out->id, sizeof(out->id)},
        {out->status, sizeof(out->status)},
        {out->spki, sizeof(out->spki)},
        {out->prev_spki, sizeof(out->prev_spki)},
        {out->last_csr_sha256, sizeof(out->last_csr_sha256)},
    };
    enum clm_code code = clm_cp_stmt_copy_all(stmt, texts, CLM_ARRAY_LEN(texts), err);

    out->generation = clm_cp_stmt_int(stmt, 5);
    out->cert_not_after_s = clm_cp_stmt_int(stmt, 6);
    out->work_seq = clm_cp_stmt_int(stmt, 7);
    out->recovery_count = clm_cp_stmt_int(stmt, 8);
    out->recovery_since_s = clm_cp_stmt_int(stmt, 9);
    out->recovery_ok = clm_cp_stmt_int(stmt, 10) != 0;
    return code;
}

enum clm_code clm_cp_agent_load(struct clm_cp_tx *tx, const char *id, struct clm_cp_agent *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;

    enum clm_code code = clm_cp_db_query_one(
        tx->db, &stmt, err,
        "SELECT id, status, spki, prev_spki, last_csr_sha256, generation, cert_not_after,"
        " work_seq, recovery_count, recovery_since, recovery_ok FROM agent WHERE id = ?1",
        CLM_SQL(clm_sql_text(id)));

    *out = (struct clm_cp_agent){0}; /* not before: id may lie in *out */
    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no agent '%s'", id);
    }
    return code == CLM_OK ? read_row(stmt, out, err) : code;
}

enum clm_code clm_cp_agent_set_status(struct clm_cp_tx *tx, const char *id, const char *status,
                                      struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(tx->db, err, "UPDATE agent SET status = ?2 WHERE id = ?1",
                                        CLM_SQL(clm_sql_text(id), clm_sql_text(status)));

    if (code == CLM_OK) {
        clm_log_notice("agent '%s' is now %s", id, status);
        code = clm_cp_tx_note(tx, "agent", id, status, err);
    }
    return code == CLM_OK ? clm_cp_tx_bump(tx, id, err) : code;
}

enum clm_code clm_cp_agent_drop_previous(struct clm_cp_tx *tx, const char *id, struct clm_err *err)
{
    return clm_cp_db_exec(tx->db, err, "UPDATE agent SET prev_spki = NULL WHERE id = ?1",
                          CLM_SQL(clm_sql_text(id)));
}

static enum clm_code warn_of_clones(struct clm_cp_tx *tx, const char *id,
                                    const struct clm_cp_seen *seen, struct clm_err *err)
{
    int64_t last_seq = 0;
    enum clm_code code =
        clm_cp_db_get_int(tx->db, 0, &last_seq, err,
                          "SELECT seq FROM seen.agent_seen WHERE agent_id = ?1 AND boot_id = ?2",
                          CLM_SQL(clm_sql_text(id), clm_sql_text(seen->boot_id)));

    if (code == CLM_OK && seen->seq < last_seq) {
        clm_log_warning(
            "agent '%s': poll number went back from %lld to %lld: a copy may be running", id,
            (long long)last_seq, (long long)seen->seq);
    }
    return code;
}

enum clm_code clm_cp_agent_seen(struct clm_cp_tx *tx, const char *id,
                                const struct clm_cp_seen *seen, struct clm_err *err)
{
    enum clm_code code = warn_of_clones(tx, id, seen, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(
        tx->db, err,
        "INSERT INTO seen.agent_seen (agent_id, seen_at, boot_id, seq, status, remote)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (agent_id) DO UPDATE SET"
        " seen_at = excluded.seen_at, boot_id = excluded.boot_id, seq = excluded.seq,"
        " status = excluded.status, remote = excluded.remote",
        CLM_SQL(clm_sql_text(id), clm_sql_int(tx->now_s), clm_sql_text(seen->boot_id),
                clm_sql_int(seen->seq), clm_sql_text(seen->health), clm_sql_text(seen->remote)));
}

#define SHOW_COLUMNS                                                                               \
    "SELECT a.id, a.status, a.host, a.agent, a.labels, a.generation, a.cert_not_after,"            \
    " a.created_at, s.seen_at, s.status, a.caps, a.policy_digest, s.remote, a.token_id,"           \
    " a.enroll_csr_sha256, (SELECT count(*) FROM cert c WHERE c.agent_id = a.id), s.boot_id"       \
    " FROM agent a LEFT JOIN seen.agent_seen s ON s.agent_id = a.id"

void clm_cp_agent_fingerprint(const char *csr_sha256, char dst[CLM_CP_FINGERPRINT_SIZE])
{
    size_t n = 0;

    for (size_t i = 0; i < 12 && csr_sha256[i] != '\0'; i++) {
        if (i == 4 || i == 8) {
            dst[n++] = '-';
        }
        dst[n++] = (char)toupper((unsigned char)csr_sha256[i]);
    }
    dst[n] = '\0';
}

static enum clm_code show_row(struct clm_cp_stmt *stmt, bool full, struct clm_json *obj,
                              struct clm_err *err)
{
    char fingerprint[CLM_CP_FINGERPRINT_SIZE];

    clm_json_set_str(obj, "id", clm_cp_stmt_text(stmt, 0));
    clm_json_set_str(obj, "agent_id", clm_cp_stmt_text(stmt, 0));
    clm_json_set_str(obj, "status", clm_cp_stmt_text(stmt, 1));
    enum clm_code code = clm_cp_json_stored_column(obj, "host", stmt, 2, err);

    if (code == CLM_OK) {
        code = clm_cp_json_stored_column(obj, "agent", stmt, 3, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_json_stored_column(obj, "labels", stmt, 4, err);
    }
    clm_json_set_int(obj, "generation", clm_cp_stmt_int(stmt, 5));
    clm_cp_json_time(obj, "cert_not_after", clm_cp_stmt_int(stmt, 6));
    clm_cp_json_time(obj, "created_at", clm_cp_stmt_int(stmt, 7));
    clm_cp_json_time(obj, "seen_at", clm_cp_stmt_int(stmt, 8));
    clm_json_set_str(obj, "health", clm_cp_stmt_text(stmt, 9));
    clm_json_set_int(obj, "certificates", clm_cp_stmt_int(stmt, 15));
    clm_cp_agent_fingerprint(clm_cp_stmt_text(stmt, 14), fingerprint);
    clm_json_set_str(obj, "fingerprint", fingerprint);
    if (!full || code != CLM_OK) {
        return code;
    }
    clm_json_set_str(obj, "policy_digest", clm_cp_stmt_text(stmt, 11));
    clm_json_set_str(obj, "remote", clm_cp_stmt_text(stmt, 12));
    clm_json_set_str(obj, "token_id", clm_cp_stmt_text(stmt, 13));
    clm_json_set_str(obj, "boot_id", clm_cp_stmt_text(stmt, 16));
    return clm_cp_json_stored_column(obj, "capabilities", stmt, 10, err);
}

enum clm_code clm_cp_agent_show(struct clm_cp_tx *tx, const char *id, struct clm_json *obj,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query_one(tx->db, &stmt, err, SHOW_COLUMNS " WHERE a.id = ?1",
                                             CLM_SQL(clm_sql_text(id)));

    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no agent '%s'", id);
    }
    return code == CLM_OK ? show_row(stmt, true, obj, err) : code;
}

static enum clm_code show_next(void *array, struct clm_cp_stmt *stmt, struct clm_err *err)
{
    return show_row(stmt, false, clm_json_add_object(array), err);
}

enum clm_code clm_cp_agents_list(struct clm_cp_tx *tx, struct clm_json *array, struct clm_err *err)
{
    const struct clm_cp_each each = {.sql = SHOW_COLUMNS " ORDER BY a.created_at, a.id LIMIT 10000",
                                     .visit = show_next,
                                     .arg = array};

    return clm_cp_db_each(tx->db, &each, err);
}
