/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/job.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"

#define STEPS_MAX         200 /* in a result; more are dropped: the log of the host has them */
#define BURST_MS          2000
#define EVENTS_TIMEOUT_MS 10000
#define WAIT_PIECE_MS     500
#define PROBLEM_LOST_N    4

/* ---- outcome ---- */

enum clm_code clm_job_fault(struct clm_job *job, enum clm_code code, const char *problem,
                            const char *hint)
{
    (void)snprintf(job->fault.problem, sizeof(job->fault.problem), "%s", problem);
    (void)snprintf(job->fault.hint, sizeof(job->fault.hint), "%s", hint == NULL ? "" : hint);
    return code;
}

static const char *const default_problem[CLM_E__COUNT] = {
    [CLM_E_NOMEM] = "E_INTERNAL", [CLM_E_INVAL] = "E_SPEC",       [CLM_E_CONFIG] = "E_CONFIG",
    [CLM_E_PARSE] = "E_PROTOCOL", [CLM_E_LIMIT] = "E_LIMIT",      [CLM_E_NOTFOUND] = "E_STATE",
    [CLM_E_EXISTS] = "E_STATE",   [CLM_E_PERM] = "E_POLICY",      [CLM_E_IO] = "E_IO",
    [CLM_E_NET] = "E_NET",        [CLM_E_TIMEOUT] = "E_TIMEOUT",  [CLM_E_REMOTE] = "E_REMOTE",
    [CLM_E_AUTH] = "E_AUTH",      [CLM_E_CRYPTO] = "E_CRYPTO",    [CLM_E_VERIFY] = "E_VERIFY",
    [CLM_E_CONFLICT] = "E_DRIFT", [CLM_E_UNSUPPORTED] = "E_SPEC", [CLM_E_CANCELLED] = "E_CANCELED",
    [CLM_E_BUG] = "E_INTERNAL",
};

struct clm_json *clm_job_effects(struct clm_job *job)
{
    struct clm_json *effects = clm_json_edit(job->result, "effects");

    return effects == NULL ? clm_json_set_object(job->result, "effects") : effects;
}

static const char *outcome_name(const struct clm_job *job, enum clm_code code)
{
    if (code == CLM_OK) {
        return "succeeded";
    }
    if (job->is_canceled) {
        return "canceled";
    }
    return job->fault.is_rejected ? "rejected" : "failed";
}

void clm_job_conclude(struct clm_job *job, enum clm_code code, const struct clm_err *why)
{
    const char *problem = job->fault.problem;

    (void)clm_job_effects(job);
    if (code == CLM_OK && clm_json_get(job->result, "outcome") != NULL) {
        return; /* the host half said how it went */
    }
    clm_json_set_str(job->result, "outcome", outcome_name(job, code));
    if (code == CLM_OK) {
        clm_json_set_null(job->result, "error");
        return;
    }
    if (problem[0] == '\0') {
        problem = default_problem[code];
    }
    struct clm_json *error = clm_json_set_object(job->result, "error");
    clm_json_set_str(error, "code", problem);
    clm_json_set_str(error, "message", why->msg);
    clm_json_set_bool(error, "retryable", job->fault.retryable || clm_code_is_transient(code) != 0);
    clm_json_set_str(error, "step", job->fault.step);
    clm_json_set_str(error, "hint", job->fault.hint);
}

/* ---- progress ---- */

static void add_event(struct clm_job *job, struct clm_json *event)
{
    char when[CLM_TIME_TEXT_SIZE];
    int64_t seq = clm_record_int(&job->record, "event_seq") + 1;

    if (job->events == NULL) {
        job->events = clm_json_new_array();
        job->events_since_ms = clm_clock_mono_ms();
    }
    if (clm_json_len(job->events) >= CLM_JOB_EVENTS_MAX) {
        clm_json_free(event);
        return;
    }
    clm_time_format(clm_clock_now_s(), when);
    clm_json_set_int(job->record.root, "event_seq", seq);
    clm_json_set_int(event, "seq", seq);
    clm_json_set_str(event, "ts", when);
    clm_json_add_take(job->events, event);
}

static void send_events(struct clm_job *job)
{
    struct clm_api_response answer;
    char path[128];
    int64_t pause_s = CLM_JOB_EVENT_BATCH_S;

    (void)snprintf(path, sizeof(path), "/agent/v1/jobs/%s/events", job->record.job_id);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_fenced(job);
    clm_json_set_copy(body, "events", job->events);
    job->events_sent_ms = clm_clock_mono_ms();
    const struct clm_api_request request = {
        .method = "POST", .path = path, .body = body, .timeout_ms = EVENTS_TIMEOUT_MS};
    enum clm_code code = clm_api_call(job->world->api, &request, &answer, NULL);

    if (code == CLM_OK &&
        clm_json_int_or(answer.json, "min_interval_s", 0, 900, &pause_s, NULL) == CLM_OK) {
        job->events_pause_s = pause_s;
    }
    job->events_kept = code != CLM_OK && clm_api_may_retry(code, &answer);
    if (job->events_kept) {
        /* Their numbers make it harmless if the control plane has them after all. */
        job->events_since_ms = clm_clock_mono_ms();
    } else {
        clm_json_free(job->events);
        job->events = NULL;
    }
    if (strcmp(answer.job_state, "canceling") == 0 || strcmp(answer.job_state, "canceled") == 0) {
        job->is_canceled = true;
    }
    clm_api_response_done(&answer);
}

void clm_job_flush(struct clm_job *job, bool now)
{
    int64_t age_ms = clm_clock_mono_ms() - job->events_since_ms;

    if (job->events == NULL || clm_record_int(&job->record, "fence") == 0) {
        return;
    }
    if (now || age_ms >= job->events_pause_s * 1000) {
        send_events(job);
    }
}

/* How far a deployment is, in per cent, when one of the host half's phases begins. */
static int share_of(const char *phase)
{
    static const struct {
        const char *phase;
        int pct;
    } shares[] = {
        {"preflight", 5}, {"prepare", 15}, {"stage", 25},  {"check", 35},        {"swap", 45},
        {"reload", 55},   {"verify", 70},  {"commit", 95}, {"rolling_back", 80},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(shares); i++) {
        if (strcmp(shares[i].phase, phase) == 0) {
            return shares[i].pct;
        }
    }
    return 0;
}

void clm_job_phase(struct clm_job *job, const char *phase, int pct)
{
    struct clm_json *event = clm_json_new_object();
    int64_t before = clm_record_int(&job->record, "pct");

    pct = pct < before ? (int)before : pct; /* a bar that goes back is read as a fault */

    clm_log_at(CLM_LOG_INFO, job->record.job_id, clm_record_text(&job->record, "target"), "%s: %s",
               clm_record_text(&job->record, "type"), phase);
    clm_json_set_str(job->record.root, "phase", phase);
    clm_json_set_int(job->record.root, "pct", pct);
    if (clm_record_save(job->world->config, &job->record, NULL) != CLM_OK) {
        clm_log_warning("job '%s': its phase could not be noted", job->record.job_id);
    }
    clm_json_set_str(event, "kind", "phase");
    clm_json_set_str(event, "phase", phase);
    clm_json_set_int(event, "pct", pct);
    add_event(job, event);
    /* A new phase is told at once, but a burst of them in one request, and not while nobody listens. */
    bool is_burst = clm_clock_mono_ms() - job->events_sent_ms < BURST_MS;
    clm_job_flush(job,
                  job->events_pause_s <= CLM_JOB_EVENT_BATCH_S && !is_burst && !job->events_kept);
}

void clm_job_step(struct clm_job *job, const char *name, const char *status, int64_t ms,
                  const char *detail)
{
    struct clm_json *steps = clm_json_edit(job->result, "steps");
    struct clm_json *event = clm_json_new_object();

    if (steps != NULL && clm_json_len(steps) < STEPS_MAX) {
        struct clm_json *step = clm_json_add_object(steps);

        clm_json_set_str(step, "name", name);
        clm_json_set_str(step, "status", status);
        clm_json_set_int(step, "ms", ms);
        if (detail != NULL) {
            clm_json_set_str(step, "detail", detail);
        }
    }
    (void)snprintf(job->fault.step, sizeof(job->fault.step), "%s", name);
    clm_json_set_str(event, "kind", "step");
    clm_json_set_str(event, "name", name);
    clm_json_set_str(event, "status", status);
    clm_json_set_int(event, "ms", ms);
    add_event(job, event);
    clm_job_flush(job, false);
}

/* Log lines go through the redactor of protocol.md 7.11: whatever looks like a secret is not sent. */
static bool is_sendable(const struct clm_json *event)
{
    static const char *const secret[] = {"PRIVATE KEY", "assword=", "Bearer "};
    const char *msg = clm_json_text(clm_json_get(event, "msg"));

    if (msg == NULL) {
        return true;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(secret); i++) {
        if (strstr(msg, secret[i]) != NULL) {
            return false;
        }
    }
    return strlen(msg) <= CLM_JOB_LOG_MAX;
}

void clm_job_on_event(void *arg, const struct clm_json *event)
{
    struct clm_job *job = arg;
    const char *kind = clm_json_text(clm_json_get(event, "kind"));
    const char *phase = clm_json_text(clm_json_get(event, "phase"));
    struct clm_json *copy = clm_json_new_object();

    if (kind != NULL && strcmp(kind, "phase") == 0 && phase != NULL) {
        clm_json_free(copy);
        /* What the host half does is the rest of the job. */
        clm_job_phase(job, phase,
                      job->host_from_pct + (100 - job->host_from_pct) * share_of(phase) / 100);
        return;
    }
    if (!is_sendable(event)) {
        clm_json_free(copy);
        return;
    }
    for (const struct clm_json *n = clm_json_first(event); n != NULL; n = clm_json_next(n)) {
        clm_json_set_copy(copy, clm_json_key(n), n);
    }
    add_event(job, copy);
    clm_job_flush(job, false);
}

/* ---- calls ---- */

void clm_job_read_signals(struct clm_job *job)
{
    struct pollfd p = {.fd = job->world->stop_fd, .events = POLLIN};
    struct signalfd_siginfo info;

    while (p.fd >= 0 && poll(&p, 1, 0) > 0 &&
           read(p.fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGUSR1) {
            job->is_canceled = true;
        } else if (info.ssi_signo == SIGUSR2) {
            job->is_lost = true;
        } else {
            job->is_stopping = true;
        }
    }
}

void clm_job_forget_loss(struct clm_job *job)
{
    clm_job_read_signals(job);
    job->is_lost = false;
}

enum clm_code clm_job_check(struct clm_job *job, struct clm_err *err)
{
    clm_job_read_signals(job);
    if (job->is_lost) {
        return clm_err_set(err, CLM_E_CANCELLED, "the control plane gave this job up");
    }
    if (job->is_canceled) {
        return clm_err_set(err, CLM_E_CANCELLED, "canceled on the control plane");
    }
    if (job->is_stopping) {
        return clm_err_set(err, CLM_E_CANCELLED, "the agent is being stopped");
    }
    if (clm_clock_mono_ms() >= job->deadline_ms) {
        return clm_err_set(err, CLM_E_TIMEOUT, "the job's time is over (timeout_s)");
    }
    return CLM_OK;
}

enum clm_code clm_job_wait(struct clm_job *job, int64_t ms, struct clm_err *err)
{
    enum clm_code code = clm_job_check(job, err);

    while (code == CLM_OK && ms > 0) {
        int64_t piece_ms = ms < WAIT_PIECE_MS ? ms : WAIT_PIECE_MS;

        job->world->sleep_ms(piece_ms);
        ms -= piece_ms;
        clm_job_flush(job, false);
        code = clm_job_check(job, err);
    }
    return code;
}

static void note_state(struct clm_job *job, const struct clm_api_response *answer)
{
    static const char *const lost[PROBLEM_LOST_N] = {"stale-fence", "job-terminal", "job-unknown",
                                                     "expired"};

    if (strcmp(answer->job_state, "canceling") == 0 || strcmp(answer->job_state, "canceled") == 0) {
        job->is_canceled = true;
    }
    for (size_t i = 0; i < PROBLEM_LOST_N; i++) {
        if (strcmp(answer->problem, lost[i]) == 0) {
            job->is_lost = true;
        }
    }
}

enum clm_code clm_job_api(struct clm_job *job, const struct clm_api_request *request,
                          struct clm_api_response *out, struct clm_err *err)
{
    struct clm_backoff backoff = {0};

    *out = (struct clm_api_response){0};
    enum clm_code code = clm_job_check(job, err);
    if (code != CLM_OK) {
        return code;
    }
    for (;;) {
        struct clm_err why = {0};

        clm_api_response_done(out);
        code = clm_api_call(job->world->api, request, out, &why);
        note_state(job, out);
        if (code == CLM_OK) {
            return CLM_OK;
        }
        if (job->is_lost) {
            return clm_job_check(job, err);
        }
        if (!clm_api_may_retry(code, out)) {
            *err = why; /* with the time to wait, if the control plane gave one */
            return clm_job_fault(job, code, "E_REMOTE", NULL);
        }
        clm_log_at(CLM_LOG_INFO, job->record.job_id, NULL, "%s", why.msg);
        code = clm_job_wait(job, clm_backoff_failed(&backoff, why.retry_after_s, 0, clm_rand_below),
                            err);
        if (code != CLM_OK) {
            return code == CLM_E_TIMEOUT ? clm_err_wrap(err, code, "%s", why.msg) : code;
        }
    }
}

static bool problem_means_rejected(const char *problem)
{
    static const char *const rejected[] = {"E_SIGNATURE", "E_AGENT",  "E_REPLAY",      "E_EXPIRED",
                                           "E_SPEC",      "E_POLICY", "E_NAME_POLICY", "E_PATH",
                                           "E_DRIFT",     "E_LIMIT"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(rejected); i++) {
        if (strcmp(problem, rejected[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum clm_code clm_job_host(struct clm_job *job, enum clm_op op, const struct clm_json *body,
                           struct clm_json **out_reply, struct clm_err *err)
{
    struct clm_fail fail;

    enum clm_code code = clm_link_call(job->world->link, op, body, out_reply, &fail, err);

    /* What comes next may be minutes of waiting for a CA; others want the host half meanwhile. */
    clm_link_rest(job->world->link);
    if (code != CLM_OK && fail.code != CLM_OK) {
        (void)clm_job_fault(job, code, fail.problem, fail.hint);
        job->fault.retryable = fail.retryable;
        job->fault.is_rejected = problem_means_rejected(fail.problem);
    }
    return code;
}

struct clm_json *clm_job_body(const struct clm_job *job)
{
    struct clm_json *body = clm_json_new_object();

    clm_json_set_str(body, "job_id", job->record.job_id);
    return body;
}

struct clm_json *clm_job_fenced(const struct clm_job *job)
{
    struct clm_json *body = clm_json_new_object();

    clm_json_set_int(body, "fence", clm_record_int(&job->record, "fence"));
    clm_json_set_int(body, "attempt", clm_record_int(&job->record, "attempt"));
    return body;
}

enum clm_code clm_job_save(struct clm_job *job, struct clm_err *err)
{
    return clm_record_save(job->world->config, &job->record, err);
}
