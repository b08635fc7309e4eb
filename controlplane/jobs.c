/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/jobs.h"

#include <string.h>

#include "agent/base/log.h"
#include "controlplane/http.h"
#include "controlplane/orders.h"

static enum clm_code next_target_seq(struct clm_cp_tx *tx, const char *agent_id, const char *target,
                                     int64_t *out_seq, struct clm_err *err)
{
    return clm_cp_db_get_int(
        tx->db, 1, out_seq, err,
        "SELECT max(target_seq) + 1 FROM job WHERE agent_id = ?1 AND target = ?2",
        CLM_SQL(clm_sql_text(agent_id), clm_sql_text(target)));
}

/* The signed payload of protocol.md 8.1. */
static enum clm_code build_envelope(struct clm_cp_tx *tx, const struct clm_cp_job_new *in,
                                    const char *id, int64_t target_seq, struct clm_buf *out_jws,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *doc = clm_json_new_object();

    clm_json_set_int(doc, "spec_version", 1);
    clm_json_set_str(doc, "job_id", id);
    clm_json_set_str(doc, "tenant", tx->conf->tenant);
    clm_json_set_str(doc, "agent_id", in->agent_id);
    clm_json_set_str(doc, "type", in->type);
    clm_json_set_str(doc, "target", in->target);
    clm_json_set_int(doc, "target_seq", target_seq);
    clm_json_set_int(doc, "priority", in->priority);
    clm_cp_json_time(doc, "issued_at", tx->now_s);
    clm_cp_json_time(doc, "not_before", tx->now_s);
    clm_cp_json_time(doc, "expires_at", tx->now_s + CLM_CP_JOB_LIFE_S);
    clm_json_set_int(doc, "timeout_s", in->timeout_s > 0 ? in->timeout_s : CLM_CP_JOB_TIMEOUT_S);
    clm_json_set_int(doc, "max_attempts", CLM_CP_JOB_ATTEMPTS);
    struct clm_json *retry = clm_json_set_object(doc, "retry");

    clm_json_set_int(retry, "base_s", tx->conf->retry_base_s);
    clm_json_set_int(retry, "cap_s", tx->conf->retry_cap_s);
    clm_json_set_str(doc, "on_failure", in->keeps_failure ? "stop" : "rollback");
    clm_json_set_str(doc, "requested_by", in->requested_by);
    clm_json_set_copy(doc, "spec", in->spec);
    return clm_cp_pki_sign_job(tx->pki, doc, out_jws, err);
}

static enum clm_code insert(struct clm_cp_tx *tx, const struct clm_cp_job_new *in, const char *id,
                            int64_t target_seq, const struct clm_buf *jws, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf spec = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    enum clm_code code = clm_json_print(in->spec, false, &spec, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(
        tx->db, err,
        "INSERT INTO job (id, agent_id, type, target, target_seq, state, priority, max_attempts,"
        " not_before, expires_at, timeout_s, certificate_id, spec, jws, requested_by, created_at,"
        " updated_at) VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
        " ?14, ?8, ?8)",
        CLM_SQL(clm_sql_text(id), clm_sql_text(in->agent_id), clm_sql_text(in->type),
                clm_sql_text(in->target), clm_sql_int(target_seq), clm_sql_int(in->priority),
                clm_sql_int(CLM_CP_JOB_ATTEMPTS), clm_sql_int(tx->now_s),
                clm_sql_int(tx->now_s + CLM_CP_JOB_LIFE_S),
                clm_sql_int(in->timeout_s > 0 ? in->timeout_s : CLM_CP_JOB_TIMEOUT_S),
                clm_sql_text(in->certificate_id), clm_sql_text(clm_buf_str(&spec)),
                clm_sql_text(clm_buf_str(jws)), clm_sql_text(in->requested_by)));
}

enum clm_code clm_cp_job_create(struct clm_cp_tx *tx, const struct clm_cp_job_new *in,
                                char out_id[CLM_ID_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf jws = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    int64_t target_seq = 0;
    enum clm_code code = clm_id_new("job", out_id, err);

    if (code == CLM_OK) {
        code = next_target_seq(tx, in->agent_id, in->target, &target_seq, err);
    }
    if (code == CLM_OK) {
        code = build_envelope(tx, in, out_id, target_seq, &jws, err);
    }
    if (code == CLM_OK) {
        code = insert(tx, in, out_id, target_seq, &jws, err);
    }
    if (code == CLM_OK) {
        clm_log_info("job '%s' (%s on '%s') was queued for agent '%s'", out_id, in->type,
                     in->target, in->agent_id);
        code = clm_cp_tx_note(tx, "job", out_id, "queued", err);
    }
    return code == CLM_OK ? clm_cp_tx_bump(tx, in->agent_id, err) : code;
}

static enum clm_code read_row(struct clm_cp_stmt *stmt, struct clm_cp_job *out, struct clm_err *err)
{
    const struct clm_cp_text_column texts[] = {
        {out->id, sizeof(out->id)},
        {out->agent_id, sizeof(out->agent_id)},
        {out->type, sizeof(out->type)},
        {out->target, sizeof(out->target)},
        {out->state, sizeof(out->state)},
        {out->certificate_id, sizeof(out->certificate_id)},
        {out->lease_boot, sizeof(out->lease_boot)},
    };
    enum clm_code code = clm_cp_stmt_copy_all(stmt, texts, CLM_ARRAY_LEN(texts), err);

    out->attempt = clm_cp_stmt_int(stmt, 7);
    out->max_attempts = clm_cp_stmt_int(stmt, 8);
    out->fence = clm_cp_stmt_int(stmt, 9);
    out->timeout_s = clm_cp_stmt_int(stmt, 10);
    out->not_before_s = clm_cp_stmt_int(stmt, 11);
    out->expires_s = clm_cp_stmt_int(stmt, 12);
    out->target_seq = clm_cp_stmt_int(stmt, 13);
    return code;
}

#define JOB_COLUMNS                                                                                \
    "SELECT id, agent_id, type, target, state, certificate_id, lease_boot, attempt, max_attempts," \
    " fence, timeout_s, not_before, expires_at, target_seq FROM job"

enum clm_code clm_cp_job_load(struct clm_cp_tx *tx, const char *id, const char *agent_id,
                              struct clm_cp_job *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query_one(
        tx->db, &stmt, err, JOB_COLUMNS " WHERE id = ?1 AND (?2 IS NULL OR agent_id = ?2)",
        CLM_SQL(clm_sql_text(id), clm_sql_text(agent_id)));

    *out = (struct clm_cp_job){0}; /* not before: id may lie in *out */
    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no job '%.71s'", id);
    }
    return code == CLM_OK ? read_row(stmt, out, err) : code;
}

static bool is_one_of(const char *state, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (strcmp(list[i], state) == 0) {
            return true;
        }
    }
    return false;
}

bool clm_cp_job_state_is_terminal(const char *state)
{
    static const char *const list[] = {"succeeded", "failed",   "rolled_back",
                                       "rejected",  "canceled", "skipped",
                                       "expired",   "denied",   NULL};

    return is_one_of(state, list);
}

bool clm_cp_job_state_is_held(const char *state)
{
    static const char *const list[] = {"leased", "running", "canceling", "lost", NULL};

    return is_one_of(state, list);
}

enum clm_code clm_cp_job_set_state(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                   const char *state, const char *error, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(
        tx->db, err, "UPDATE job SET state = ?2, error = ?3, updated_at = ?4 WHERE id = ?1",
        CLM_SQL(clm_sql_text(job->id), clm_sql_text(state), clm_sql_text(error),
                clm_sql_int(tx->now_s)));

    if (code == CLM_OK && clm_cp_job_state_is_terminal(state)) {
        clm_log_info("job '%s' (%s on '%s'): %s", job->id, job->type, job->target, state);
        code = clm_cp_order_end_of_job(tx, job, state, error, err);
    }
    return code == CLM_OK ? clm_cp_tx_note(tx, "job", job->id, state, err) : code;
}

enum clm_code clm_cp_job_cancel(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                const char *reason, const char **out_state, struct clm_err *err)
{
    if (clm_cp_job_state_is_terminal(job->state)) {
        return clm_err_set(err, CLM_E_CONFLICT, "job '%s' has ended: %s", job->id, job->state);
    }
    *out_state = clm_cp_job_state_is_held(job->state) ? "canceling" : "canceled";
    enum clm_code code = clm_cp_db_exec(
        tx->db, err, "UPDATE job SET cancel_mode = 'graceful', cancel_reason = ?2 WHERE id = ?1",
        CLM_SQL(clm_sql_text(job->id), clm_sql_text(reason)));

    if (code == CLM_OK) {
        code = clm_cp_job_set_state(tx, job, *out_state, NULL, err);
    }
    return code == CLM_OK ? clm_cp_tx_bump(tx, job->agent_id, err) : code;
}

int64_t clm_cp_job_retry_delay_s(int64_t attempt, int64_t base_s, int64_t cap_s)
{
    int64_t delay_s = base_s;

    for (int64_t i = 1; i < attempt && delay_s < cap_s; i++) {
        delay_s *= 4;
    }
    if (delay_s > cap_s) {
        delay_s = cap_s;
    }
    return 1 + (int64_t)clm_rand_below((uint32_t)delay_s);
}

/* ---- what comes with time ---- */

struct sweep {
    const char *select; /* ids and agents of jobs that are due; ?1 is now */
    const char *state;
    const char *error;
    bool wakes_agent;
};

static const struct sweep sweeps[] = {
    {"SELECT id, agent_id FROM job WHERE state IN ('leased','running','canceling')"
     " AND lease_until < ?1 - 30 LIMIT 100",
     "lost", NULL, false},
    {"SELECT id, agent_id FROM job WHERE state = 'lost'"
     " AND (lease_until < ?1 - 86400 OR expires_at < ?1) LIMIT 100",
     "failed",
     "{\"code\":\"agent_lost\",\"message\":\"the agent did not come back; what happened is not "
     "known\",\"retryable\":false}",
     false},
    {"SELECT id, agent_id FROM job WHERE state IN ('queued','scheduled') AND expires_at < ?1"
     " LIMIT 100",
     "expired", NULL, false},
    {"SELECT id, agent_id FROM job WHERE state = 'scheduled' AND next_eval <= ?1 LIMIT 100",
     "queued", NULL, true},
};

static enum clm_code sweep_one(struct clm_cp_tx *tx, const struct sweep *sweep, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    struct clm_cp_job job;
    const struct clm_cp_each each = {.sql = sweep->select,
                                     .values = CLM_SQL(clm_sql_int(tx->now_s)),
                                     .visit = clm_cp_row_to_strs,
                                     .arg = &ids};
    enum clm_code code = clm_cp_db_each(tx->db, &each, err);

    for (size_t i = 0; code == CLM_OK && i < ids.n; i++) {
        code = clm_cp_job_load(tx, ids.v[i], NULL, &job, err);
        if (code == CLM_OK) {
            code = clm_cp_job_set_state(tx, &job, sweep->state, sweep->error, err);
        }
        if (code == CLM_OK && sweep->wakes_agent) {
            code = clm_cp_tx_bump(tx, job.agent_id, err);
        }
    }
    return code;
}

enum clm_code clm_cp_jobs_sweep(struct clm_cp_tx *tx, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(sweeps); i++) {
        code = sweep_one(tx, &sweeps[i], err);
    }
    return code;
}
