/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that the host half does as a whole: deploy, roll back, recheck. */
#include <string.h>

#include "agent/run/job.h"

#define ORDERED_PCT 75

static void copy_members(const struct clm_json *from, struct clm_json *to)
{
    for (const struct clm_json *n = clm_json_first(from); n != NULL; n = clm_json_next(n)) {
        clm_json_set_copy(to, clm_json_key(n), n);
    }
}

/* Steps of ours stay in front; what we know of the order stays among the effects. */
static void take_result(struct clm_job *job, const struct clm_json *reply)
{
    struct clm_json *steps = clm_json_edit(job->result, "steps");
    const struct clm_json *theirs = clm_json_get(reply, "steps");

    for (const struct clm_json *n = clm_json_first(theirs); n != NULL; n = clm_json_next(n)) {
        clm_json_add_copy(steps, n);
    }
    copy_members(clm_json_get(reply, "effects"), clm_job_effects(job));
    clm_json_set_copy(job->result, "outcome", clm_json_get(reply, "outcome"));
    clm_json_set_copy(job->result, "error", clm_json_get(reply, "error"));
}

enum clm_code clm_job_host_result(struct clm_job *job, enum clm_op op, const char *phase,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_body(job);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    const char *outcome = NULL;

    /* Of an order the deployment is the last quarter. */
    job->host_from_pct = clm_record_int(&job->record, "pct") > 0 ? ORDERED_PCT : 0;
    clm_job_phase(job, phase, job->host_from_pct);
    enum clm_code code = clm_job_host(job, op, body, &reply, err);
    if (code == CLM_OK) {
        code = clm_json_str(reply, "outcome", 32, &outcome, err);
    }
    if (code == CLM_OK) {
        take_result(job, reply);
        job->is_known = true;
    }
    return code;
}

enum clm_code clm_job_deploy(struct clm_job *job, struct clm_err *err)
{
    return clm_job_host_result(job, CLM_OP_DEPLOY, "deploy", err);
}

enum clm_code clm_job_rollback(struct clm_job *job, struct clm_err *err)
{
    return clm_job_host_result(job, CLM_OP_ROLLBACK, "rollback", err);
}

enum clm_code clm_job_recheck(struct clm_job *job, struct clm_err *err)
{
    return clm_job_host_result(job, CLM_OP_RECHECK, "recheck", err);
}
