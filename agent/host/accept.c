/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job has to pass before anything is done for it (protocol.md 8.2): signature, address,
 * time, form, policy, sequence. Only then it is written to the ledger, and that is the moment from
 * which it is ours.
 */
#include <string.h>

#include "agent/base/clock.h"
#include "agent/crypto/jws.h"
#include "agent/host/internal.h"
#include "agent/host/request.h"

static enum clm_code find_job_key(void *ctx, const char *kid, const struct clm_pubkey **out_key,
                                  struct clm_err *err)
{
    const struct clm_host *host = ctx;

    *out_key = clm_trust_find(&host->trust, kid, host->io->now_s(host->io->ctx));
    return *out_key != NULL
               ? CLM_OK
               : clm_err_set(err, CLM_E_AUTH, "key '%.60s' is unknown here or has expired", kid);
}

static enum clm_code verify(struct clm_host_call *call, struct clm_buf *payload,
                            struct clm_err *err)
{
    const struct clm_jws_policy policy = {
        .typ = CLM_JWS_TYP_JOB, .find_key = find_job_key, .find_ctx = call->host};
    const struct clm_json *jws;
    enum clm_code code;

    if (call->host->trust.agent_id[0] == '\0') {
        clm_host_hint(call, "enrol this host first: clmbot enroll --token-file FILE");
        return clm_refuse(call, err, CLM_E_AUTH, "E_AGENT", "this host is not enrolled");
    }
    code = clm_json_object(call->body, "jws", &jws, err);
    if (code == CLM_OK) {
        code = clm_jws_verify(jws, &policy, payload, err);
    }
    return code == CLM_OK ? code
                          : clm_host_problem_code(call, "E_SIGNATURE",
                                                  clm_err_wrap(err, code, "signature of the job"));
}

static enum clm_code check_address(struct clm_host_call *call, const struct clm_job_envelope *job,
                                   struct clm_err *err)
{
    const struct clm_trust *trust = &call->host->trust;

    if (strcmp(job->agent_id, trust->agent_id) != 0) {
        return clm_refuse(call, err, CLM_E_PERM, "E_AGENT",
                          "job '%s' is for agent '%s', not for us", job->job_id, job->agent_id);
    }
    if (strcmp(job->tenant, trust->tenant) != 0) {
        return clm_refuse(call, err, CLM_E_PERM, "E_AGENT", "job '%s' is of tenant '%s', not ours",
                          job->job_id, job->tenant);
    }
    return CLM_OK;
}

static enum clm_code check_time(struct clm_host_call *call, const struct clm_job_envelope *job,
                                struct clm_err *err)
{
    int64_t now_s = call->host->io->now_s(call->host->io->ctx);
    char text[CLM_TIME_TEXT_SIZE];

    if (now_s >= job->expires_s) {
        clm_time_format(job->expires_s, text);
        return clm_refuse(call, err, CLM_E_INVAL, "E_EXPIRED", "job '%s' expired at %s",
                          job->job_id, text);
    }
    if (now_s + CLM_HOST_SKEW_S < job->not_before_s) {
        clm_time_format(job->not_before_s, text);
        call->fail->retryable = true;
        return clm_refuse(call, err, CLM_E_INVAL, "E_EXPIRED",
                          "job '%s' may not run before %s; is the clock right?", job->job_id, text);
    }
    return CLM_OK;
}

static enum clm_code check_order(struct clm_host_call *call, const struct clm_spec_order *order,
                                 struct clm_err *err)
{
    const struct clm_policy *policy = &call->host->config->policy;
    enum clm_code code = clm_host_request_allowed(call, order, err);

    if (code == CLM_OK && order->webroot_ref != NULL &&
        clm_policy_find_webroot(policy, order->webroot_ref) == NULL) {
        code = clm_refuse(call, err, CLM_E_PERM, "E_POLICY",
                          "web root '%s' is not declared; add it to policy.webroots",
                          order->webroot_ref);
    }
    return code;
}

/* How a job deploys; NULL: it does not. */
static const struct clm_spec_deploy_how *how_of(enum clm_job_type type,
                                                const struct clm_job_spec *spec)
{
    if (type == CLM_JOB_TYPE_ORDER) {
        return &spec->u.order.deploy;
    }
    return type == CLM_JOB_TYPE_DEPLOY ? &spec->u.deploy.how : NULL;
}

static enum clm_code check_policy(struct clm_host_call *call, const struct clm_job_envelope *job,
                                  struct clm_err *err)
{
    const struct clm_policy *policy = &call->host->config->policy;
    const struct clm_spec_deploy_how *how = NULL;
    struct clm_job_spec spec;
    enum clm_code code = clm_policy_check_job_type(policy, clm_job_type_name(job->type), err);

    if (code == CLM_OK && strcmp(job->target, "host") != 0) {
        code = clm_policy_check_target(policy, job->target, err);
    }
    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_POLICY", code);
    }
    code = clm_job_spec_parse(job, &spec, err);
    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_SPEC", code);
    }
    if (job->type == CLM_JOB_TYPE_ORDER) {
        code = check_order(call, &spec.u.order, err);
    }
    if (code == CLM_OK && (how = how_of(job->type, &spec)) != NULL) {
        code = clm_policy_check_retain(policy, how->retain, err);
        if (code == CLM_OK && job->on_failure == CLM_ON_FAILURE_STOP) {
            code = clm_policy_check_leave(policy, err);
        }
        code = code == CLM_OK ? code : clm_host_problem_code(call, "E_POLICY", code);
    }
    clm_job_spec_done(&spec);
    return code;
}

struct limit {
    enum clm_job_type type;
    bool per_target;
    const char *name;
};

static const struct limit limits[] = {
    {CLM_JOB_TYPE_ORDER, false, "orders_per_day"},
    {CLM_JOB_TYPE_DEPLOY, true, "deploys_per_target_per_day"},
};

static enum clm_code check_limits(struct clm_host_call *call, const struct clm_job_envelope *job,
                                  struct clm_err *err)
{
    const struct clm_policy *policy = &call->host->config->policy;
    int64_t now_s = call->host->io->now_s(call->host->io->ctx);

    for (size_t i = 0; i < CLM_ARRAY_LEN(limits); i++) {
        const struct limit *limit = &limits[i];
        int64_t max =
            limit->per_target ? policy->deploys_per_target_per_day : policy->orders_per_day;
        int64_t n = 0;
        enum clm_code code;

        if (limit->type != job->type) {
            continue;
        }
        code = clm_ledger_count(call->host->dir, clm_job_type_name(job->type),
                                limit->per_target ? job->target : NULL, now_s - CLM_LEDGER_DAY_S,
                                &n, err);
        if (code != CLM_OK) {
            return code;
        }
        if (n >= max) {
            return clm_refuse(call, err, CLM_E_PERM, "E_LIMIT",
                              "policy.limits.%s: %lld in the last 24 hours, %lld are allowed",
                              limit->name, (long long)n, (long long)max);
        }
    }
    return CLM_OK;
}

static enum clm_code check_sequence(struct clm_host_call *call, const struct clm_job_envelope *job,
                                    struct clm_err *err)
{
    char last_job[CLM_ID_SIZE];
    int64_t last = 0;
    enum clm_code code =
        clm_ledger_seq_get(call->host->dir, job->agent_id, job->target, &last, last_job, err);

    if (code != CLM_OK) {
        return code;
    }
    if (job->target_seq <= last && strcmp(job->job_id, last_job) != 0) {
        return clm_refuse(call, err, CLM_E_CONFLICT, "E_REPLAY",
                          "job '%s' has sequence %lld for '%s', but %lld was already accepted",
                          job->job_id, (long long)job->target_seq, job->target, (long long)last);
    }
    return CLM_OK;
}

static void reply_job(struct clm_json *reply, const struct clm_job_envelope *job,
                      const struct clm_json *result)
{
    clm_json_set_str(reply, "job_id", job->job_id);
    clm_json_set_str(reply, "type", clm_job_type_name(job->type));
    clm_json_set_str(reply, "target", job->target);
    clm_json_set_int(reply, "target_seq", job->target_seq);
    clm_json_set_int(reply, "timeout_s", job->timeout_s);
    clm_json_set_int(reply, "max_attempts", job->max_attempts);
    clm_json_set_copy(reply, "spec", job->spec);
    clm_json_set_str(reply, "state", result == NULL ? "accepted" : "done");
    if (result != NULL) {
        clm_json_set_copy(reply, "result", result);
    }
}

/* The same signed bytes again: the answer of the first time, whatever the policy says now. */
static enum clm_code accept_again(struct clm_host_call *call, const struct clm_job_envelope *job,
                                  const struct clm_buf *payload, bool *out_known,
                                  struct clm_err *err)
{
    struct clm_job_record record;
    enum clm_code code = clm_ledger_job_get(call->host->dir, job->job_id, &record, err);

    *out_known = code == CLM_OK;
    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(record.payload, clm_buf_str(payload)) != 0) {
        code = clm_refuse(call, err, CLM_E_CONFLICT, "E_REPLAY",
                          "job '%s' was accepted with another content", job->job_id);
    } else {
        reply_job(call->reply, job, clm_json_get(record.result, "result"));
    }
    clm_job_record_done(&record);
    return code;
}

static enum clm_code accept_new(struct clm_host_call *call, const struct clm_job_envelope *job,
                                struct clm_buf *payload, struct clm_err *err)
{
    struct clm_job_record record = {.accepted_at_s = call->host->io->now_s(call->host->io->ctx),
                                    .payload = (char *)payload->data};
    enum clm_code code = check_time(call, job, err);

    if (code == CLM_OK) {
        code = check_policy(call, job, err);
    }
    if (code == CLM_OK) {
        code = check_sequence(call, job, err);
    }
    if (code == CLM_OK) {
        code = check_limits(call, job, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(record.job_id, sizeof(record.job_id), job->job_id, err);
    }
    /* Sequence first: a crash between the two refuses nothing and repeats nothing. */
    if (code == CLM_OK) {
        code = clm_ledger_seq_put(call->host->dir, job->agent_id, job->target, job->target_seq,
                                  job->job_id, err);
    }
    if (code == CLM_OK) {
        code = clm_ledger_job_put(call->host->dir, &record, err);
    }
    if (code == CLM_OK) {
        clm_ignore(clm_ledger_trim(call->host->dir, CLM_LEDGER_JOBS_MAX, record.accepted_at_s,
                                   NULL)); /* next time */
        reply_job(call->reply, job, NULL);
    }
    return code;
}

enum clm_code clm_host_op_accept(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    struct clm_job_envelope job;
    bool known = false;
    enum clm_code code = verify(call, &payload, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_job_envelope_parse(clm_buf_str(&payload), payload.len, &job, err);
    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_SPEC", code);
    }
    code = check_address(call, &job, err);
    if (code == CLM_OK) {
        code = accept_again(call, &job, &payload, &known, err);
    }
    if (code == CLM_OK && !known) {
        code = accept_new(call, &job, &payload, err);
    }
    clm_job_envelope_done(&job);
    return code;
}
