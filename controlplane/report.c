/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent says about a job: progress (protocol.md 7.11) and its end (7.13, 9.4, 9.7). */
#include <string.h>

#include "agent/base/log.h"
#include "controlplane/certs.h"
#include "controlplane/handlers.h"
#include "controlplane/jobs.h"
#include "controlplane/server.h"

#define EVENTS_MAX       500
#define LOG_BYTES_MAX    (1024LL * 1024) /* kept for one attempt */
#define MIN_INTERVAL_S   5
#define OUTCOME_TEXT_MAX 16

struct report {
    struct clm_cp_job job;
    int64_t fence;
    int64_t attempt;
};

static enum clm_code unknown_job(struct clm_cp_request *req, struct clm_cp_answer *answer)
{
    return clm_cp_answer_problem(req, answer, CLM_CP_JOB_UNKNOWN, "no job '%s'", req->param);
}

static enum clm_code read_report(struct clm_cp_request *req, struct report *out,
                                 struct clm_err *err)
{
    enum clm_code code = clm_json_int(req->body, "fence", 0, CLM_JSON_INT_MAX, &out->fence, err);

    if (code == CLM_OK) {
        code = clm_json_int(req->body, "attempt", 0, CLM_JSON_INT_MAX, &out->attempt, err);
    }
    return code == CLM_OK ? clm_cp_job_load(req->tx, req->param, req->agent_id, &out->job, err)
                          : code;
}

/* ---- events ---- */

struct batch {
    int64_t ack_seq;
    int64_t log_bytes;
    const char *phase; /* the last one in the batch */
    int64_t pct;       /* -1: not said */
};

static enum clm_code store_event(struct clm_cp_request *req, const struct report *report,
                                 const struct clm_json *event, struct batch *batch,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    const char *kind = NULL;
    int64_t seq = 0;
    enum clm_code code = clm_json_int(event, "seq", 1, CLM_JSON_INT_MAX, &seq, err);

    if (code == CLM_OK) {
        code = clm_json_str(event, "kind", 32, &kind, err);
    }
    if (code == CLM_OK) {
        code = clm_json_print(event, false, &text, err);
    }
    if (code != CLM_OK || seq <= batch->ack_seq) {
        return code;
    }
    batch->ack_seq = seq;
    if (strcmp(kind, "phase") == 0) {
        batch->phase = clm_json_text(clm_json_get(event, "phase"));
    }
    if (strcmp(kind, "phase") == 0 || strcmp(kind, "progress") == 0) {
        code = clm_json_int_or(event, "pct", 0, 100, &batch->pct, err);
    } else if (strcmp(kind, "log") == 0 && batch->log_bytes > LOG_BYTES_MAX) {
        return CLM_OK; /* dropped, but acknowledged */
    }
    batch->log_bytes += (int64_t)text.len;
    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(
        req->tx->db, err,
        "INSERT INTO job_event (job_id, attempt, seq, body, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        CLM_SQL(clm_sql_text(report->job.id), clm_sql_int(report->attempt), clm_sql_int(seq),
                clm_sql_text(clm_buf_str(&text)), clm_sql_int(req->tx->now_s)));
}

static enum clm_code load_batch(struct clm_cp_request *req, const struct report *report,
                                struct batch *out, struct clm_err *err)
{
    const struct clm_sql_value key[] = {
        clm_sql_text(report->job.id), clm_sql_int(report->attempt), {.kind = CLM_SQL_END}};
    enum clm_code code =
        clm_cp_db_get_int(req->tx->db, 0, &out->ack_seq, err,
                          "SELECT max(seq) FROM job_event WHERE job_id = ?1 AND attempt = ?2", key);

    if (code == CLM_OK) {
        code = clm_cp_db_get_int(
            req->tx->db, 0, &out->log_bytes, err,
            "SELECT sum(length(body)) FROM job_event WHERE job_id = ?1 AND attempt = ?2", key);
    }
    return code;
}

static enum clm_code note_progress(struct clm_cp_request *req, struct report *report,
                                   const struct batch *batch, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (batch->phase != NULL || batch->pct >= 0) {
        code = clm_cp_db_exec(req->tx->db, err,
                              "UPDATE job SET phase = ifnull(?2, phase),"
                              " pct = CASE WHEN ?3 >= 0 THEN ?3 ELSE pct END WHERE id = ?1",
                              CLM_SQL(clm_sql_text(report->job.id), clm_sql_text(batch->phase),
                                      clm_sql_int(batch->pct)));
    }
    if (code == CLM_OK &&
        (strcmp(report->job.state, "leased") == 0 || strcmp(report->job.state, "lost") == 0)) {
        code = clm_cp_job_set_state(req->tx, &report->job, "running", NULL, err);
    } else if (code == CLM_OK) {
        code = clm_cp_tx_note(req->tx, "job", report->job.id, "progress", err);
    }
    return code;
}

static enum clm_code take_events(struct clm_cp_request *req, struct report *report,
                                 struct clm_cp_answer *answer, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    const struct clm_json *events = NULL;
    struct batch batch = {.pct = -1};
    enum clm_code code = clm_json_array(req->body, "events", EVENTS_MAX, &events, err);

    if (code == CLM_E_LIMIT) {
        return clm_cp_answer_problem(req, answer, CLM_CP_TOO_LARGE, "at most %d events",
                                     EVENTS_MAX);
    }
    if (code == CLM_OK) {
        code = load_batch(req, report, &batch, err);
    }
    for (const struct clm_json *event = clm_json_first(events); code == CLM_OK && event != NULL;
         event = clm_json_next(event)) {
        code = store_event(req, report, event, &batch, err);
    }
    if (code == CLM_OK) {
        code = note_progress(req, report, &batch, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_job_load(req->tx, report->job.id, NULL, &report->job, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_int(obj, "ack_seq", batch.ack_seq);
    clm_json_set_int(obj, "min_interval_s", MIN_INTERVAL_S);
    clm_cp_answer_header(answer, "Clm-Job-State", report->job.state);
    return clm_cp_answer_json(answer, 200, obj, err);
}

CLM_CP_HANDLER(clm_cp_post_events)
{
    struct report report = {0};
    enum clm_code code = read_report(req, &report, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown_job(req, answer);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_cp_answer_header(answer, "Clm-Job-State", report.job.state);
    if (clm_cp_job_state_is_terminal(report.job.state)) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_TERMINAL, "job '%s' has ended: %s",
                                     report.job.id, report.job.state);
    }
    if (report.fence != report.job.fence || !clm_cp_job_state_is_held(report.job.state)) {
        return clm_cp_answer_problem(req, answer, CLM_CP_STALE_FENCE,
                                     "fence %lld is not the current fence %lld",
                                     (long long)report.fence, (long long)report.job.fence);
    }
    return take_events(req, &report, answer, err);
}

/* ---- result ---- */

static bool is_outcome(const char *text)
{
    static const char *const list[] = {"succeeded", "failed",   "rolled_back",
                                       "rejected",  "canceled", "skipped"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(list); i++) {
        if (strcmp(list[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static enum clm_code store_result(struct clm_cp_request *req, const struct report *report,
                                  const char *outcome, bool is_orphan, struct clm_err *err)
{
    return clm_cp_db_exec(req->tx->db, err,
                          "INSERT INTO job_result (job_id, attempt, orphan, outcome, body, at)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                          CLM_SQL(clm_sql_text(report->job.id), clm_sql_int(report->attempt),
                                  clm_sql_int(is_orphan ? 1 : 0), clm_sql_text(outcome),
                                  clm_sql_text(clm_buf_str(req->raw)),
                                  clm_sql_int(req->tx->now_s)));
}

static enum clm_code answer_state(struct clm_cp_answer *answer, const char *state,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();

    clm_json_set_str(obj, "state", state);
    clm_cp_answer_header(answer, "Clm-Job-State", state);
    return clm_cp_answer_json(answer, 200, obj, err);
}

/* Kept beside the truth and shown to operators; the agent archives it. */
static enum clm_code orphan(struct clm_cp_request *req, const struct report *report,
                            const char *outcome, struct clm_cp_answer *answer, struct clm_err *err)
{
    bool is_terminal = clm_cp_job_state_is_terminal(report->job.state);
    enum clm_code code = store_result(req, report, outcome, true, err);

    clm_log_warning("job '%s': a result '%s' for fence %lld, attempt %lld came too late",
                    report->job.id, outcome, (long long)report->fence, (long long)report->attempt);
    clm_cp_answer_header(answer, "Clm-Job-State", report->job.state);
    answer->keep = true;
    if (code != CLM_OK) {
        return code;
    }
    if (is_terminal) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_TERMINAL, "job '%s' has ended: %s",
                                     report->job.id, report->job.state);
    }
    return clm_cp_answer_problem(req, answer, CLM_CP_STALE_FENCE,
                                 "fence %lld, attempt %lld is not the current fence %lld, "
                                 "attempt %lld",
                                 (long long)report->fence, (long long)report->attempt,
                                 (long long)report->job.fence, (long long)report->job.attempt);
}

static bool is_retryable(const struct clm_json *body, const struct report *report,
                         const char *outcome)
{
    bool retryable = false;
    const struct clm_json *error = clm_json_get(body, "error");

    return strcmp(outcome, "failed") == 0 && strcmp(report->job.state, "canceling") != 0 &&
           report->job.attempt < report->job.max_attempts && error != NULL &&
           clm_json_bool_or(error, "retryable", &retryable, NULL) == CLM_OK && retryable;
}

static enum clm_code schedule_retry(struct clm_cp_request *req, const struct report *report,
                                    const char *error, struct clm_err *err)
{
    const struct clm_cp_conf *conf = req->tx->conf;
    int64_t delay_s =
        clm_cp_job_retry_delay_s(report->job.attempt, conf->retry_base_s, conf->retry_cap_s);
    enum clm_code code = clm_cp_job_set_state(req->tx, &report->job, "scheduled", error, err);

    clm_log_info("job '%s': attempt %lld failed, the next one in %lld s", report->job.id,
                 (long long)report->job.attempt, (long long)delay_s);
    req->tx->wake_worker = true;
    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(
        req->tx->db, err, "UPDATE job SET next_eval = ?2 WHERE id = ?1",
        CLM_SQL(clm_sql_text(report->job.id), clm_sql_int(req->tx->now_s + delay_s)));
}

/* The next job of this target may go now, if there is one. */
static enum clm_code offer_next(struct clm_cp_request *req, const struct clm_cp_job *job,
                                struct clm_err *err)
{
    int64_t queued = 0;
    enum clm_code code = clm_cp_db_get_int(
        req->tx->db, 0, &queued, err,
        "SELECT count(*) FROM job WHERE agent_id = ?1 AND target = ?2 AND state = 'queued'",
        CLM_SQL(clm_sql_text(job->agent_id), clm_sql_text(job->target)));

    return code == CLM_OK && queued > 0 ? clm_cp_tx_bump(req->tx, job->agent_id, err) : code;
}

static enum clm_code accept(struct clm_cp_request *req, const struct report *report,
                            const char *outcome, struct clm_cp_answer *answer, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf error = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    const struct clm_json *error_node = clm_json_get(req->body, "error");
    bool retry = is_retryable(req->body, report, outcome);
    enum clm_code code = store_result(req, report, outcome, false, err);

    if (code == CLM_OK && error_node != NULL) {
        code = clm_json_print(error_node, false, &error, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    const char *error_text = error.len > 0 ? clm_buf_str(&error) : NULL;

    if (retry) {
        code = schedule_retry(req, report, error_text, err);
        return code == CLM_OK ? answer_state(answer, "scheduled", err) : code;
    }
    code = clm_cp_job_set_state(req->tx, &report->job, outcome, error_text, err);
    if (code == CLM_OK && report->job.certificate_id[0] != '\0') {
        code = clm_cp_cert_on_result(req->tx, &report->job, outcome, req->body, err);
    }
    if (code == CLM_OK) {
        code = offer_next(req, &report->job, err);
    }
    return code == CLM_OK ? answer_state(answer, outcome, err) : code;
}

/* A job whose envelope was refused was never leased: its rejection has no fence of its own. */
static bool is_current(const struct report *report, const char *outcome)
{
    if (strcmp(report->job.state, "queued") == 0 && strcmp(outcome, "rejected") == 0) {
        return report->fence == report->job.fence;
    }
    return clm_cp_job_state_is_held(report->job.state) && report->fence == report->job.fence &&
           report->attempt == report->job.attempt;
}

static enum clm_code take_result(struct clm_cp_request *req, struct report *report,
                                 struct clm_cp_answer *answer, struct clm_err *err)
{
    const char *outcome = NULL;
    int64_t is_known = 0;
    enum clm_code code = clm_json_str(req->body, "outcome", OUTCOME_TEXT_MAX, &outcome, err);

    if (code == CLM_OK && !is_outcome(outcome)) {
        code = clm_err_set(err, CLM_E_PARSE, "/outcome: unknown outcome '%s'", outcome);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_get_int(req->tx->db, 0, &is_known, err,
                                 "SELECT count(*) FROM job_result WHERE job_id = ?1"
                                 " AND attempt = ?2 AND outcome = ?3 AND orphan = 0",
                                 CLM_SQL(clm_sql_text(report->job.id), clm_sql_int(report->attempt),
                                         clm_sql_text(outcome)));
    }
    if (code != CLM_OK) {
        return code;
    }
    if (is_known != 0) {
        clm_cp_answer_header(answer, "Clm-Replayed", "true");
        return answer_state(answer, report->job.state, err);
    }
    if (!is_current(report, outcome)) {
        return orphan(req, report, outcome, answer, err);
    }
    return accept(req, report, outcome, answer, err);
}

CLM_CP_HANDLER(clm_cp_post_result)
{
    struct report report = {0};
    enum clm_code code = read_report(req, &report, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown_job(req, answer);
    }
    return code == CLM_OK ? take_result(req, &report, answer, err) : code;
}
