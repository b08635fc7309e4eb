/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one job: accept, lease, work, report. protocol.md 8.2, 9. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "agent/run/files.h"
#include "agent/run/inventory.h"
#include "agent/run/job.h"
#include "agent/run/job_child.h"
#include "agent/run/probe.h"
#include "agent/run/sender.h"
#include "agent/run/spool.h"

#define LEASE_TIME_MS     60000 /* for accept and lease; the job's own time starts afterwards */
#define LEASE_PAUSE_S     60 /* waiting for a window, if the control plane does not say how long */
#define LEASE_PAUSE_MAX_S 3600 /* and at most, whatever it says */
#define RETRY_CAP_S       600
#define HOST_TRIES_MAX    10 /* the host half broke off: then the job fails */
#define NO_TIMEOUT_MS     (int64_t)86400000
#define CLOSE_ATTEMPTS    3 /* max_attempts if the job does not say */

struct type_row {
    const char *name;
    clm_job_fn run;
    bool is_ours; /* the host half does not know how it ended: tell it */
};

static const struct type_row types[] = {
    {"order", clm_job_order, true},
    {"scan", clm_job_scan, true},
    {"get_dcv", clm_job_get_dcv, true},
    {"dcv_cleanup", clm_job_dcv_cleanup, true},
    {"deploy", clm_job_deploy, false},
    {"rollback", clm_job_rollback, false},
    {"recheck_pinning", clm_job_recheck, false},
};

static const struct type_row *find_type(const char *name)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

/* ---- later, never ---- */

static int put_off(struct clm_job *job, const char *why, int64_t delay_s)
{
    int64_t tries = clm_record_int(&job->record, "tries") + 1;

    clm_json_set_int(job->record.root, "tries", tries);
    clm_json_set_str(job->record.root, "why", why);
    clm_json_set_int(job->record.root, "next_try_s", clm_clock_now_s() + delay_s);
    if (clm_job_save(job, NULL) != CLM_OK) {
        return CLM_JOB_EXIT_FAULT;
    }
    return CLM_JOB_EXIT_LATER;
}

static int64_t growing_delay_s(const struct clm_job *job)
{
    int64_t tries = clm_record_int(&job->record, "tries");
    uint32_t top_s = 2u << (tries < 9 ? tries : 9);

    top_s = top_s > RETRY_CAP_S ? RETRY_CAP_S : top_s;
    return 1 + (int64_t)clm_rand_below(top_s);
}

static int give_up(struct clm_job *job, const char *why)
{
    struct clm_err err = {0};

    clm_log_at(CLM_LOG_NOTICE, job->record.job_id, clm_record_text(&job->record, "target"),
               "dropped: %s", why);
    clm_json_set_str(job->record.root, "why", why);
    clm_json_set_int(job->record.root, "finished_at_s", clm_clock_now_s());
    enum clm_code code = clm_job_save(job, &err);
    if (code == CLM_OK) {
        code = clm_record_archive(job->world->config, &job->record, &err);
    }
    return code == CLM_OK ? CLM_JOB_EXIT_OK : CLM_JOB_EXIT_FAULT;
}

/* ---- accept ---- */

static enum clm_code fetch_envelope(struct clm_job *job, struct clm_err *err)
{
    struct clm_api_response answer;
    const struct clm_json *jws;
    char path[128];

    if (clm_json_get(job->record.root, "jws") != NULL) {
        return CLM_OK;
    }
    (void)snprintf(path, sizeof(path), "/agent/v1/jobs/%s", job->record.job_id);
    const struct clm_api_request request = {.method = "GET", .path = path};
    enum clm_code code = clm_job_api(job, &request, &answer, err);
    if (code == CLM_OK) {
        jws = clm_json_get(answer.json, "jws");
        clm_json_set_copy(job->record.root, "jws", jws == NULL ? answer.json : jws);
        code = clm_job_save(job, err);
    }
    clm_api_response_done(&answer);
    return code;
}

static enum clm_code accept_job(struct clm_job *job, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    int64_t timeout_s = 0;

    clm_json_set_copy(body, "jws", clm_json_get(job->record.root, "jws"));
    enum clm_code code = clm_job_host(job, CLM_OP_JOB_ACCEPT, body, &job->accepted, err);
    if (code == CLM_E_LIMIT && job->fault.problem[0] == '\0') {
        /* It does not fit a request to the host half, and never will. */
        job->fault.is_rejected = true;
        code = clm_job_fault(job, clm_err_wrap(err, code, "the job is too large"), "E_LIMIT",
                             "make it smaller: fewer names, a shorter chain");
    }
    if (code == CLM_OK) {
        code = clm_json_int(job->accepted, "timeout_s", 1, 86400, &timeout_s, err);
    }
    if (code == CLM_OK) {
        code = clm_json_object(job->accepted, "spec", &job->spec, err);
    }
    job->deadline_ms = clm_clock_mono_ms() + (code == CLM_OK ? timeout_s * 1000 : NO_TIMEOUT_MS);
    return code;
}

/* ---- lease ---- */

static enum clm_code lease(struct clm_job *job, struct clm_api_response *answer,
                           struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    bool is_resume = strcmp(clm_record_text(&job->record, "state"), "running") == 0;
    char path[128];
    char key[CLM_ULID_SIZE];
    int64_t fence = 0;
    int64_t attempt = 0;

    (void)snprintf(path, sizeof(path), "/agent/v1/jobs/%s/lease", job->record.job_id);
    clm_json_set_str(body, "boot_id", job->world->boot_id);
    clm_json_set_bool(body, "resume", is_resume);
    clm_json_set_int(body, "expect_attempt", clm_record_int(&job->record, "attempt"));
    clm_json_set_null(body, "offline_until");
    enum clm_code code = clm_ulid_new(key, err);
    if (code != CLM_OK) {
        return code;
    }
    const struct clm_api_request request = {
        .method = "POST", .path = path, .body = body, .idempotency_key = key};
    code = clm_job_api(job, &request, answer, err);
    if (code == CLM_OK) {
        code = clm_json_int(answer->json, "fence", 1, CLM_JSON_INT_MAX, &fence, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(answer->json, "attempt", 1, 1000, &attempt, err);
    }
    if (code == CLM_OK) {
        clm_json_set_int(job->record.root, "fence", fence);
        clm_json_set_int(job->record.root, "attempt", attempt);
        clm_json_set_int(job->record.root, "leased_ms", clm_clock_mono_ms());
        clm_json_set_str(job->record.root, "state", "running");
        clm_json_remove(job->record.root, "why");
        code = clm_job_save(job, err);
    }
    if (code == CLM_OK) {
        clm_job_forget_loss(job);
    }
    return code;
}

/* A place among the open jobs is not held for as long as somebody else likes. */
static int64_t lease_pause_s(const struct clm_err *why)
{
    if (why->retry_after_s == 0) {
        return LEASE_PAUSE_S;
    }
    return why->retry_after_s < LEASE_PAUSE_MAX_S ? why->retry_after_s : LEASE_PAUSE_MAX_S;
}

/* -1: leased; otherwise the exit status. */
static int take_lease(struct clm_job *job)
{
    struct clm_api_response answer = {0};
    struct clm_err why = {0};
    int64_t deadline_ms = job->deadline_ms;
    int status = -1;

    job->deadline_ms = clm_clock_mono_ms() + LEASE_TIME_MS;
    enum clm_code code = lease(job, &answer, &why);
    if (code == CLM_E_REMOTE && strcmp(answer.problem, "conflict") == 0 &&
        strcmp(clm_record_text(&job->record, "state"), "offered") == 0) {
        /* We had it and never heard of it: the answer was lost. */
        clm_api_response_done(&answer);
        clm_json_set_str(job->record.root, "state", "running");
        code = lease(job, &answer, &why);
    }
    job->deadline_ms = deadline_ms;
    if (code == CLM_OK) {
        clm_api_response_done(&answer);
        return -1;
    }
    if (answer.status == 423) {
        status = put_off(job, "waiting", lease_pause_s(&why));
    } else if (job->is_lost || job->is_canceled || code == CLM_E_REMOTE) {
        status = give_up(job, why.msg);
    } else if (job->is_stopping) {
        status = CLM_JOB_EXIT_LATER;
    } else {
        clm_log_at(CLM_LOG_WARNING, job->record.job_id, NULL, "no lease: %s", why.msg);
        status = put_off(job, why.msg, growing_delay_s(job));
    }
    clm_api_response_done(&answer);
    return status;
}

/* ---- report ---- */

static void close_at_host(struct clm_job *job)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_body(job);
    struct clm_err why = {0};

    clm_json_set_copy(body, "result", job->result);
    if (clm_link_call(job->world->link, CLM_OP_CLOSE, body, NULL, NULL, &why) != CLM_OK) {
        clm_log_at(CLM_LOG_WARNING, job->record.job_id, NULL, "the host half keeps it open: %s",
                   why.msg);
    }
}

/* A job that will be tried again stays open there, so that it can be. */
static bool will_be_tried_again(const struct clm_job *job)
{
    const struct clm_json *error = clm_json_get(job->result, "error");
    int64_t max = CLOSE_ATTEMPTS;
    bool retryable = false;

    if (clm_json_bool_or(error, "retryable", &retryable, NULL) != CLM_OK || error == NULL ||
        clm_json_int_or(job->accepted, "max_attempts", 1, 1000, &max, NULL) != CLM_OK) {
        return false;
    }
    return retryable && clm_record_int(&job->record, "attempt") < max;
}

static void fill_report(struct clm_job *job)
{
    char text[CLM_TIME_TEXT_SIZE];
    int64_t now_s = clm_clock_now_s();

    clm_json_set_int(job->result, "fence", clm_record_int(&job->record, "fence"));
    clm_json_set_int(job->result, "attempt", clm_record_int(&job->record, "attempt"));
    clm_time_format(job->started_at_s, text);
    clm_json_set_str(job->result, "started_at", text);
    clm_time_format(now_s, text);
    clm_json_set_str(job->result, "finished_at", text);
    clm_json_set_int(job->result, "duration_ms", clm_clock_mono_ms() - job->started_ms);
    clm_json_set_int(job->result, "last_event_seq", clm_record_int(&job->record, "event_seq"));
    clm_json_set_int(job->record.root, "finished_at_s", now_s);
    clm_json_set_copy(job->record.root, "result", job->result);
}

static int report(struct clm_job *job)
{
    struct clm_err why = {0};
    char spool[PATH_MAX];
    char path[128];
    const char *outcome = clm_json_text(clm_json_get(job->result, "outcome"));
    const char *message =
        clm_json_text(clm_json_get(clm_json_get(job->result, "error"), "message"));

    clm_log_at(message == NULL ? CLM_LOG_NOTICE : CLM_LOG_WARNING, job->record.job_id,
               clm_record_text(&job->record, "target"), "%s: %s%s%s",
               clm_record_text(&job->record, "type"), outcome == NULL ? "?" : outcome,
               message == NULL ? "" : ": ", message == NULL ? "" : message);
    clm_job_flush(job, true);
    fill_report(job);
    (void)snprintf(path, sizeof(path), "/agent/v1/jobs/%s/result", job->record.job_id);
    const struct clm_spool_message spooled = {.class_no = CLM_SPOOL_RESULT,
                                              .job_id = job->record.job_id,
                                              .method = "POST",
                                              .path = path,
                                              .body = job->result};
    enum clm_code code = clm_net_path(job->world->config, spool, &why, "spool");
    if (code == CLM_OK) {
        code = clm_spool_put(spool, &spooled, &why);
    }
    if (code == CLM_OK) {
        clm_json_set_str(job->record.root, "state", "done");
        code = clm_job_save(job, &why);
    }
    if (code != CLM_OK) {
        clm_log_at(CLM_LOG_ERROR, job->record.job_id, NULL, "result not kept: %s", why.msg);
        return CLM_JOB_EXIT_FAULT;
    }
    code = clm_sender_drain(job->world->config, job->world->api, job->record.job_id, &why);
    if (code != CLM_OK) {
        clm_log_at(CLM_LOG_INFO, job->record.job_id, NULL, "result waits: %s", why.msg);
    }
    return CLM_JOB_EXIT_OK;
}

/* ---- work ---- */

/* What was offered decides what runs beside it and where it is reported: it must be what was signed. */
static enum clm_code check_offer(const struct clm_job *job, struct clm_err *err)
{
    static const char *const members[] = {"type", "job_id", "target"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        const char *is = clm_json_text(clm_json_get(job->accepted, members[i]));

        if (is == NULL || strcmp(clm_record_text(&job->record, members[i]), is) != 0) {
            return clm_err_set(err, CLM_E_PARSE, "the offer names another %s than the signed job",
                               members[i]);
        }
    }
    return CLM_OK;
}

static enum clm_code work(struct clm_job *job, const struct type_row *type, struct clm_err *err)
{
    const struct clm_json *known = NULL;
    enum clm_code offered = check_offer(job, err);

    if (offered != CLM_OK) {
        return offered;
    }
    const char *state = clm_json_text(clm_json_get(job->accepted, "state"));
    if (state != NULL && strcmp(state, "done") == 0) {
        enum clm_code code = clm_json_object(job->accepted, "result", &known, err);
        job->is_known = true;
        for (const struct clm_json *n = clm_json_first(known); n != NULL; n = clm_json_next(n)) {
            clm_json_set_copy(job->result, clm_json_key(n), n);
        }
        return code;
    }
    return type->run(job, err);
}

static int end_work(struct clm_job *job, const struct type_row *type, enum clm_code code,
                    const struct clm_err *why)
{
    /* Asked before the last call failed: the host half itself went away. */
    bool host_is_gone = (code == CLM_E_NET || code == CLM_E_TIMEOUT) &&
                        job->fault.problem[0] == '\0' && clm_clock_mono_ms() < job->deadline_ms;

    clm_job_read_signals(job);
    if (code != CLM_OK && job->is_lost) {
        return give_up(job, why->msg);
    }
    if (code != CLM_OK && job->is_stopping && !job->is_canceled) {
        clm_job_flush(job, true);
        return put_off(job, "the agent was stopped", 0);
    }
    if (host_is_gone && clm_record_int(&job->record, "tries") < HOST_TRIES_MAX) {
        clm_log_at(CLM_LOG_WARNING, job->record.job_id, NULL, "broken off, tried again: %s",
                   why->msg);
        return put_off(job, why->msg, growing_delay_s(job));
    }
    clm_job_conclude(job, code, why);
    if (type != NULL && type->is_ours && !job->is_known && !will_be_tried_again(job)) {
        close_at_host(job);
    }
    if (!job->is_stopping) { /* what is installed is noted by the next scan, at the start */
        clm_inventory_note_host(job->world->config, job->world->link);
    }
    return report(job);
}

static int run_leased(struct clm_job *job, enum clm_code accepted, struct clm_err *why)
{
    const struct type_row *type = NULL;
    enum clm_code code = accepted;
    const char *name = clm_json_text(clm_json_get(job->accepted, "type"));

    job->started_at_s = clm_clock_now_s();
    job->started_ms = clm_clock_mono_ms();
    clm_json_set_int(job->record.root, "started_at_s", job->started_at_s);
    if (code == CLM_OK) {
        type = find_type(name == NULL ? "" : name);
        if (type == NULL) {
            code =
                clm_err_set(why, CLM_E_UNSUPPORTED, "this version cannot do jobs of type '%.40s'",
                            name == NULL ? "" : name);
            job->fault.is_rejected = true;
        } else {
            code = work(job, type, why);
        }
    } else {
        clm_job_step(job, "accept", "failed", 0, why->msg);
    }
    return end_work(job, type, code, why);
}

static int run_locked(struct clm_job *job)
{
    struct clm_err why = {0};

    job->deadline_ms = clm_clock_mono_ms() + LEASE_TIME_MS;
    enum clm_code code = fetch_envelope(job, &why);
    if (code != CLM_OK) {
        return job->is_lost || code == CLM_E_REMOTE ? give_up(job, why.msg)
                                                    : put_off(job, why.msg, growing_delay_s(job));
    }
    code = accept_job(job, &why);
    if (code != CLM_OK && (clm_code_is_transient(code) != 0 || job->fault.problem[0] == '\0')) {
        clm_log_at(CLM_LOG_WARNING, job->record.job_id, NULL, "not accepted yet: %s", why.msg);
        return put_off(job, why.msg, growing_delay_s(job));
    }
    int status = take_lease(job);
    return status >= 0 ? status : run_leased(job, code, &why);
}

static void job_done(struct clm_job *job)
{
    clm_record_done(&job->record);
    clm_json_free(job->accepted);
    clm_json_free(job->result);
    clm_json_free(job->events);
}

static void make_probe(void *arg, const struct clm_endpoint *endpoint, struct clm_observation *out)
{
    (void)arg;
    clm_probe(endpoint, out);
}

static bool is_told_to_stop(void *arg)
{
    struct clm_job *job = arg;

    clm_job_read_signals(job);
    return job->is_stopping;
}

int clm_job_run(const struct clm_job_world *world, const char *job_id)
{
    CLM_CLEANUP(clm_fs_close_p) int lock_fd = -1;
    struct clm_job job = {.world = world, .events_pause_s = CLM_JOB_EVENT_BATCH_S};
    struct clm_err why = {0};
    int status = CLM_JOB_EXIT_FAULT;

    enum clm_code code = clm_record_lock(world->config, job_id, &lock_fd, &why);
    if (code == CLM_OK) {
        code = clm_record_load(world->config, job_id, &job.record, &why);
    }
    if (code != CLM_OK) {
        clm_log_at(CLM_LOG_WARNING, job_id, NULL, "%s", why.msg);
        return code == CLM_E_CONFLICT ? CLM_JOB_EXIT_LATER : CLM_JOB_EXIT_FAULT;
    }
    const struct clm_link_handlers handlers = {
        .on_event = clm_job_on_event, .on_probe = make_probe, .arg = &job};
    clm_link_set_handlers(world->link, &handlers);
    clm_link_set_stop(world->link, is_told_to_stop, &job);
    job.result = clm_json_new_object();
    (void)clm_json_set_array(job.result, "steps");
    (void)clm_json_set_object(job.result, "effects");
    if (strcmp(clm_record_text(&job.record, "state"), "done") == 0) {
        code = clm_sender_drain(world->config, world->api, job_id, &why);
        status = code == CLM_OK ? CLM_JOB_EXIT_OK : CLM_JOB_EXIT_LATER;
    } else {
        status = run_locked(&job);
    }
    clm_link_set_handlers(world->link, NULL);
    clm_link_set_stop(world->link, NULL, NULL);
    job_done(&job);
    return status;
}
