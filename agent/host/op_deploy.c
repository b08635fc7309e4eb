/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that change or check a target: deploy, roll back, recheck; and closing the others. */
#include <string.h>

#include "agent/base/clock.h"
#include "agent/host/internal.h"

/* What a finished job came to is answered again; it is never run twice. */
static bool reply_known(struct clm_host_call *call, const struct clm_job_record *record)
{
    const struct clm_json *result = clm_json_get(record->result, "result");

    for (const struct clm_json *at = clm_json_first(result); at != NULL; at = clm_json_next(at)) {
        clm_json_set_copy(call->reply, clm_json_key(at), at);
    }
    return result != NULL;
}

static enum clm_code keep_result(struct clm_host *host, struct clm_job_record *record,
                                 const struct clm_json *result, struct clm_err *err)
{
    clm_json_free(record->result);
    record->result = clm_json_new_object();
    clm_json_set_copy(record->result, "result", result);
    return clm_ledger_job_put(host->dir, record, err);
}

/* Refusals before the transaction are results too: the job is over, with the reason. */
static enum clm_code finish(struct clm_host_call *call, struct clm_job_record *record,
                            const char *target, enum clm_code code, struct clm_err *err)
{
    if (code != CLM_OK && clm_code_is_transient(code)) {
        return code;
    }
    if (code != CLM_OK) {
        const char *outcome = call->fail->problem[0] != '\0' ? "rejected" : "failed";

        clm_host_result_failed(call->reply, outcome, target, call->fail, err);
    }
    return keep_result(call->host, record, call->reply, err);
}

/* A deployment's own certificate, or the one an order received before. */
static enum clm_code bundle_of(struct clm_host_call *call, struct clm_job_record *record,
                               const struct clm_job_envelope *job, const struct clm_job_spec *spec,
                               struct clm_bundle *bundle, struct clm_err *err)
{
    struct clm_cert_info leaf = {.is_ca = false};
    enum clm_code code = CLM_OK;

    if (job->type == CLM_JOB_TYPE_DEPLOY) {
        const struct clm_spec_deploy *deploy = &spec->u.deploy;

        code = clm_store_bundle_get(call->host->store, deploy->sha256, bundle, err);
        if (code == CLM_E_NOTFOUND) {
            const struct clm_issued issued = {deploy->key_ref, deploy->chain_pem, NULL,
                                              deploy->certificate_id, NULL};

            code = clm_host_bundle_take(call, &issued, &leaf, err);
            if (code == CLM_OK && strcmp(leaf.sha256, deploy->sha256) != 0) {
                code = clm_err_set(err, CLM_E_INVAL,
                                   "the chain holds another leaf than sha256 of the job says");
            }
            clm_cert_info_done(&leaf);
            if (code == CLM_OK) {
                code = clm_store_bundle_get(call->host->store, deploy->sha256, bundle, err);
            }
        }
        return code;
    }
    if (record->bundle_sha256[0] == '\0') {
        return clm_refuse(call, err, CLM_E_INVAL, "E_STATE",
                          "no certificate was received for order '%s' yet", job->job_id);
    }
    return clm_store_bundle_get(call->host->store, record->bundle_sha256, bundle, err);
}

/* Paths in a job are only ever compared with what the scan found. */
static enum clm_code check_store(struct clm_host_call *call, const struct clm_spec_deploy *deploy,
                                 const char *target_id, struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    const struct clm_target *target;
    const struct clm_service *service;
    enum clm_code code;

    if (deploy->store_cert == NULL && deploy->store_key == NULL) {
        return CLM_OK;
    }
    code = clm_host_find_target(call, target_id, &inventory, &target, &service, err);
    if (code == CLM_OK &&
        ((deploy->store_cert != NULL && strcmp(deploy->store_cert, target->cert_path) != 0) ||
         (deploy->store_key != NULL && strcmp(deploy->store_key, target->key_path) != 0))) {
        code = clm_refuse(call, err, CLM_E_PERM, "E_PATH",
                          "the job names other files than '%s' uses ('%s', '%s')", target_id,
                          target->cert_path, target->key_path);
    }
    return code;
}

static enum clm_code deploy(struct clm_host_call *call, struct clm_job_record *record,
                            const struct clm_job_envelope *job, const struct clm_job_spec *spec,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    const struct clm_spec_deploy_how *how =
        job->type == CLM_JOB_TYPE_DEPLOY ? &spec->u.deploy.how : &spec->u.order.deploy;
    struct clm_install install = {
        .job_id = job->job_id,
        .target = job->target,
        .bundle = &bundle,
        .expect_current_sha256 = how->pre_checks.expect_current_sha256,
        .retain = how->retain,
        .leaves_failed =
            job->on_failure == CLM_ON_FAILURE_STOP && call->host->config->policy.allow_leave,
        .is_resumed = record->is_started,
    };
    enum clm_code code = CLM_OK;

    if (job->type == CLM_JOB_TYPE_ORDER && strcmp(spec->u.order.on_issue, "deploy") != 0) {
        return clm_refuse(call, err, CLM_E_PERM, "E_STATE", "order '%s' does not ask to deploy",
                          job->job_id);
    }
    if (job->type == CLM_JOB_TYPE_DEPLOY) {
        code = check_store(call, &spec->u.deploy, job->target, err);
    }
    if (code == CLM_OK) {
        code = bundle_of(call, record, job, spec, &bundle, err);
    }
    if (code == CLM_OK && !record->is_started) {
        record->is_started = true;
        code = clm_ledger_job_put(call->host->dir, record, err);
    }
    return code == CLM_OK ? clm_host_install(call, &install, err) : code;
}

enum clm_code clm_host_op_deploy(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct clm_job_spec spec;
    enum clm_code code = clm_host_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    if (job.type != CLM_JOB_TYPE_DEPLOY && job.type != CLM_JOB_TYPE_ORDER) {
        code = clm_refuse(call, err, CLM_E_INVAL, "E_STATE", "job '%s' is a %s", job.job_id,
                          clm_job_type_name(job.type));
    } else if (!reply_known(call, &record)) {
        code = clm_job_spec_parse(&job, &spec, err);
        if (code == CLM_OK) {
            code = deploy(call, &record, &job, &spec, err);
            if (job.type == CLM_JOB_TYPE_DEPLOY) {
                code = finish(call, &record, job.target, code, err);
            } else if (code != CLM_OK && !clm_code_is_transient(code)) {
                /* an order is closed by the network half, with this as the deploy part */
                clm_host_result_failed(call->reply, "failed", job.target, call->fail, err);
                code = CLM_OK;
            }
            clm_job_spec_done(&spec);
        }
    }
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    return code;
}

/* ---- roll back ---- */

enum clm_code clm_host_roll_back(struct clm_host_call *call, const struct clm_rollback *rollback,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    struct clm_host *host = call->host;
    struct clm_generation to;
    char text[CLM_TIME_TEXT_SIZE];
    const struct clm_install install = {
        .job_id = rollback->job_id,
        .target = rollback->target,
        .bundle = &bundle,
        .is_rollback = true,
        .is_resumed = rollback->is_resumed,
    };
    enum clm_code code =
        clm_store_generation_find(host->store, rollback->target, rollback->version, &to, err);

    if (code == CLM_E_NOTFOUND) {
        clm_host_hint(call, "see what is kept: clmbot history");
        return clm_host_problem_code(call, "E_STATE", code);
    }
    if (code == CLM_OK) {
        code = clm_store_bundle_get(host->store, to.sha256, &bundle, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (bundle.leaf.not_after_s <= host->io->now_s(host->io->ctx)) {
        clm_time_format(bundle.leaf.not_after_s, text);
        return clm_refuse(call, err, CLM_E_CONFLICT, "E_STATE",
                          "generation %u of '%s' expired on %s; it is not brought back", to.version,
                          rollback->target, text);
    }
    return clm_host_install(call, &install, err);
}

enum clm_code clm_host_op_rollback(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct clm_job_spec spec;
    enum clm_code code = clm_host_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    if (job.type != CLM_JOB_TYPE_ROLLBACK) {
        code = clm_refuse(call, err, CLM_E_INVAL, "E_STATE", "job '%s' is a %s", job.job_id,
                          clm_job_type_name(job.type));
    } else if (!reply_known(call, &record)) {
        code = clm_job_spec_parse(&job, &spec, err);
        if (code == CLM_OK) {
            int64_t to = spec.u.rollback.to_version;
            const struct clm_rollback rollback = {
                .job_id = job.job_id,
                .target = job.target,
                .version = to == 0 ? CLM_GENERATION_BEFORE : (uint32_t)to,
                .is_resumed = record.is_started,
            };

            code = finish(call, &record, job.target, clm_host_roll_back(call, &rollback, err), err);
            clm_job_spec_done(&spec);
        }
    }
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    return code;
}

/* ---- close ---- */

enum clm_code clm_host_op_close(struct clm_host_call *call, struct clm_err *err)
{
    static const enum clm_job_type closable[] = {CLM_JOB_TYPE_ORDER, CLM_JOB_TYPE_SCAN,
                                                 CLM_JOB_TYPE_GET_DCV, CLM_JOB_TYPE_DCV_CLEANUP};
    struct clm_job_record record;
    struct clm_job_envelope job;
    const struct clm_json *result;
    bool may = false;
    enum clm_code code = clm_host_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(closable); i++) {
        may = may || job.type == closable[i];
    }
    if (!may) {
        code = clm_refuse(call, err, CLM_E_INVAL, "E_STATE",
                          "job '%s' is a %s; its result is made here", job.job_id,
                          clm_job_type_name(job.type));
    } else {
        code = clm_json_object(call->body, "result", &result, err);
    }
    if (code == CLM_OK && record.result == NULL) {
        code = keep_result(call->host, &record, result, err);
        clm_host_sweep_keys(call->host);
    }
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    return code;
}
