/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/handlers.h"
#include "controlplane/jobs.h"
#include "controlplane/server.h"

#define LIST_DEFAULT 100
#define LIST_MAX     1000
#define EVENTS_SHOWN 1000

#define COLUMNS                                                                                    \
    "SELECT id, agent_id, type, target, target_seq, state, priority, attempt, max_attempts,"       \
    " phase, pct, certificate_id, error, requested_by, created_at, updated_at, expires_at,"        \
    " next_eval, cancel_reason, spec FROM job"

static enum clm_code show_row(struct clm_cp_stmt *stmt, struct clm_json *obj, struct clm_err *err)
{
    clm_json_set_str(obj, "id", clm_cp_stmt_text(stmt, 0));
    clm_json_set_str(obj, "job_id", clm_cp_stmt_text(stmt, 0));
    clm_json_set_str(obj, "agent_id", clm_cp_stmt_text(stmt, 1));
    clm_json_set_str(obj, "type", clm_cp_stmt_text(stmt, 2));
    clm_json_set_str(obj, "target", clm_cp_stmt_text(stmt, 3));
    clm_json_set_int(obj, "target_seq", clm_cp_stmt_int(stmt, 4));
    clm_json_set_str(obj, "state", clm_cp_stmt_text(stmt, 5));
    clm_json_set_int(obj, "priority", clm_cp_stmt_int(stmt, 6));
    clm_json_set_int(obj, "attempt", clm_cp_stmt_int(stmt, 7));
    clm_json_set_int(obj, "max_attempts", clm_cp_stmt_int(stmt, 8));
    clm_cp_json_column(obj, "phase", stmt, 9);
    clm_json_set_int(obj, "pct", clm_cp_stmt_int(stmt, 10));
    clm_cp_json_column(obj, "certificate_id", stmt, 11);
    enum clm_code code = clm_cp_json_stored_column(obj, "error", stmt, 12, err);

    clm_json_set_str(obj, "requested_by", clm_cp_stmt_text(stmt, 13));
    clm_cp_json_time(obj, "created_at", clm_cp_stmt_int(stmt, 14));
    clm_cp_json_time(obj, "updated_at", clm_cp_stmt_int(stmt, 15));
    clm_cp_json_time(obj, "expires_at", clm_cp_stmt_int(stmt, 16));
    clm_cp_json_time(obj, "next_try_at", clm_cp_stmt_int(stmt, 17));
    clm_cp_json_column(obj, "cancel_reason", stmt, 18);
    return code;
}

static enum clm_code show_next(void *array, struct clm_cp_stmt *stmt, struct clm_err *err)
{
    return show_row(stmt, clm_json_add_object(array), err);
}

CLM_CP_HANDLER(clm_cp_op_get_jobs)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    int64_t limit = LIST_DEFAULT;
    enum clm_code code = clm_cp_request_number(req, "limit", LIST_MAX, &limit, err);
    const struct clm_cp_each each = {
        .sql = COLUMNS " WHERE (?1 IS NULL OR agent_id = ?1) AND (?2 IS NULL OR state = ?2)"
                       " AND (?3 IS NULL OR certificate_id = ?3)"
                       " ORDER BY created_at DESC, id DESC LIMIT ?4",
        .values =
            CLM_SQL(clm_sql_text(clm_cp_request_query(req, "agent_id")),
                    clm_sql_text(clm_cp_request_query(req, "state")),
                    clm_sql_text(clm_cp_request_query(req, "certificate_id")), clm_sql_int(limit)),
        .visit = show_next,
        .arg = clm_json_set_array(obj, "jobs")};

    if (code == CLM_OK) {
        code = clm_cp_db_each(req->tx->db, &each, err);
    }
    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}

static enum clm_code add_events(struct clm_cp_tx *tx, const char *id, struct clm_json *array,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = true;
    enum clm_code code = clm_cp_db_query(tx->db, &stmt, err,
                                         "SELECT attempt, body FROM job_event WHERE job_id = ?1"
                                         " ORDER BY attempt, seq LIMIT ?2",
                                         CLM_SQL(clm_sql_text(id), clm_sql_int(EVENTS_SHOWN)));

    while (code == CLM_OK) {
        struct clm_json *event = NULL;

        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 1), &event, err);
        if (code == CLM_OK) {
            clm_json_set_int(event, "attempt", clm_cp_stmt_int(stmt, 0));
            clm_json_add_take(array, event);
        }
    }
    return code;
}

static enum clm_code add_results(struct clm_cp_tx *tx, const char *id, struct clm_json *obj,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    struct clm_json *orphans = clm_json_set_array(obj, "orphan_results");
    bool row = true;
    enum clm_code code =
        clm_cp_db_query(tx->db, &stmt, err,
                        "SELECT orphan, body FROM job_result WHERE job_id = ?1 ORDER BY attempt",
                        CLM_SQL(clm_sql_text(id)));

    clm_json_set_null(obj, "result");
    while (code == CLM_OK) {
        struct clm_json *result = NULL;

        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 1), &result, err);
        if (code != CLM_OK) {
            break;
        }
        if (clm_cp_stmt_int(stmt, 0) != 0) {
            clm_json_add_take(orphans, result);
        } else {
            clm_json_set_take(obj, "result", result); /* the last attempt stays */
        }
    }
    return code;
}

static enum clm_code answer_job(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                int status, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_db_query_one(req->tx->db, &stmt, err, COLUMNS " WHERE id = ?1",
                                             CLM_SQL(clm_sql_text(req->param)));

    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_UNKNOWN, "no job '%s'", req->param);
    }
    if (code == CLM_OK) {
        code = show_row(stmt, obj, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_json_stored_column(obj, "spec", stmt, 19, err);
    }
    if (code == CLM_OK) {
        code = add_events(req->tx, req->param, clm_json_set_array(obj, "events"), err);
    }
    if (code == CLM_OK) {
        code = add_results(req->tx, req->param, obj, err);
    }
    return code == CLM_OK ? clm_cp_answer_json(answer, status, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_job)
{
    return answer_job(req, answer, 200, err);
}

CLM_CP_HANDLER(clm_cp_op_cancel_job)
{
    struct clm_cp_job job;
    const char *reason = NULL;
    const char *state = NULL;
    enum clm_code code = clm_json_str_or(req->body, "reason", 256, "operator", &reason, err);

    if (code == CLM_OK) {
        code = clm_cp_job_load(req->tx, req->param, NULL, &job, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_UNKNOWN, "no job '%s'", req->param);
    }
    if (code == CLM_OK) {
        code = clm_cp_job_cancel(req->tx, &job, reason, &state, err);
    }
    if (code == CLM_E_CONFLICT) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_TERMINAL, "job '%s' has ended: %s",
                                     job.id, job.state);
    }
    return code == CLM_OK ? answer_job(req, answer, 202, err) : code;
}
