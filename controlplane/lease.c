/* SPDX-License-Identifier: Apache-2.0 */
/* The only claim on a job: protocol.md 7.9, 7.10, 9.3 and the statement in 17.3. */
#include <string.h>

#include "controlplane/handlers.h"
#include "controlplane/jobs.h"
#include "controlplane/server.h"

#define WAITING_RETRY_S 15

CLM_CP_HANDLER(clm_cp_get_job)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf jws = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct clm_cp_job job;
    enum clm_code code = clm_cp_job_load(req->tx, req->param, req->agent_id, &job, err);

    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_UNKNOWN, "no job '%s'", req->param);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_get_text(req->tx->db, &jws, err, "SELECT jws FROM job WHERE id = ?1",
                                  CLM_SQL(clm_sql_text(job.id)));
    }
    if (code != CLM_OK) {
        return code;
    }
    (void)clm_cp_answer_empty(answer, 200);
    answer->content_type = "application/json; charset=utf-8";
    clm_cp_answer_header(answer, "Clm-Job-State", job.state);
    return clm_buf_add(&answer->body, jws.data, jws.len, err);
}

struct claim {
    const char *boot_id;
    bool is_resume;
    int64_t expect_attempt; /* 0: not said */
};

static enum clm_code read_claim(const struct clm_json *body, struct claim *out, struct clm_err *err)
{
    enum clm_code code = clm_json_str(body, "boot_id", 39, &out->boot_id, err);

    if (code == CLM_OK) {
        code = clm_json_bool_or(body, "resume", &out->is_resume, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(body, "expect_attempt", 0, 1000, &out->expect_attempt, err);
    }
    return code;
}

static enum clm_code try_lease(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                               const struct claim *claim, bool *out_ok, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(
        tx->db, err,
        "UPDATE job SET state = CASE WHEN state = 'canceling' THEN state ELSE 'leased' END,"
        " fence = fence + 1,"
        " attempt = CASE WHEN ?3 AND state <> 'queued' THEN attempt ELSE attempt + 1 END,"
        " lease_boot = ?2, lease_until = ?4 + ?5, updated_at = ?4,"
        " pct = CASE WHEN ?3 THEN pct END, phase = CASE WHEN ?3 THEN phase END"
        " WHERE id = ?1 AND ?4 < expires_at AND ?4 >= not_before"
        " AND (state = 'queued' OR (state IN ('leased','running','lost','canceling')"
        "      AND (?3 OR lease_boot <> ?2 OR lease_until < ?4)))"
        " AND NOT EXISTS (SELECT 1 FROM job o WHERE o.agent_id = job.agent_id"
        "   AND o.target = job.target AND o.target_seq < job.target_seq"
        "   AND o.state IN ('leased','running','canceling','lost'))",
        CLM_SQL(clm_sql_text(job->id), clm_sql_text(claim->boot_id),
                clm_sql_int(claim->is_resume ? 1 : 0), clm_sql_int(tx->now_s),
                clm_sql_int(tx->conf->lease_ttl_s)));

    *out_ok = code == CLM_OK && clm_cp_db_changes(tx->db) == 1;
    return code;
}

/* Why the statement above did not fit. */
static enum clm_code explain(struct clm_cp_request *req, struct clm_cp_answer *answer,
                             const struct clm_cp_job *job, const struct claim *claim)
{
    if (clm_cp_job_state_is_terminal(job->state)) {
        bool is_expired = strcmp(job->state, "expired") == 0;

        return clm_cp_answer_problem(req, answer, is_expired ? CLM_CP_EXPIRED : CLM_CP_JOB_TERMINAL,
                                     "job '%s' has ended: %s", job->id, job->state);
    }
    if (req->tx->now_s >= job->expires_s) {
        return clm_cp_answer_problem(req, answer, CLM_CP_EXPIRED, "job '%s' has expired", job->id);
    }
    if (clm_cp_job_state_is_held(job->state) && strcmp(job->lease_boot, claim->boot_id) == 0 &&
        !claim->is_resume) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "this process holds the lease already; send resume: true "
                                     "after a restart");
    }
    clm_cp_answer_number(answer, "Retry-After", WAITING_RETRY_S);
    return clm_cp_answer_problem(req, answer, CLM_CP_WAITING,
                                 "an earlier job of '%s' is not finished, or it is too early",
                                 job->target);
}

static enum clm_code answer_lease(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  const struct clm_cp_job *job, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    int64_t ttl_s = req->cp->conf.lease_ttl_s;

    clm_json_set_str(obj, "job_id", job->id);
    clm_json_set_str(obj, "state", job->state);
    clm_json_set_int(obj, "attempt", job->attempt);
    clm_json_set_int(obj, "fence", job->fence);
    clm_json_set_int(obj, "lease_ttl_s", ttl_s);
    clm_json_set_int(obj, "renew_every_s", ttl_s / 3);
    clm_json_set_int(obj, "timeout_s", job->timeout_s);
    clm_cp_json_time(obj, "server_time", req->tx->now_s);
    clm_cp_answer_header(answer, "Clm-Job-State", job->state);
    return clm_cp_answer_json(answer, 200, obj, err);
}

CLM_CP_HANDLER(clm_cp_post_lease)
{
    struct clm_cp_job job;
    struct claim claim = {0};
    bool ok = false;
    enum clm_code code = read_claim(req->body, &claim, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_cp_job_load(req->tx, req->param, req->agent_id, &job, err);
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_UNKNOWN, "no job '%s'", req->param);
    }
    if (code == CLM_OK) {
        code = try_lease(req->tx, &job, &claim, &ok, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (!ok) {
        clm_cp_answer_header(answer, "Clm-Job-State", job.state);
        return explain(req, answer, &job, &claim);
    }
    code = clm_cp_job_load(req->tx, req->param, NULL, &job, err);
    if (code == CLM_OK && claim.expect_attempt != 0 && claim.expect_attempt != job.attempt) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "this would be attempt %lld, not %lld", (long long)job.attempt,
                                     (long long)claim.expect_attempt);
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_note(req->tx, "job", job.id, job.state, err);
    }
    return code == CLM_OK ? answer_lease(req, answer, &job, err) : code;
}
