/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - one job being run: what its parts share
 *
 * Internal to agent/run. job_child.c accepts, leases and reports; job_order.c, job_scan.c and
 * job_ops.c do the work; job.c holds what all of them need: calls to the control plane that wait for
 * better weather, calls to the host half, steps, events, the record.
 */
#ifndef CLM_RUN_JOB_H
#define CLM_RUN_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/link.h"
#include "agent/run/api.h"
#include "agent/run/backoff.h"
#include "agent/run/record.h"
#include "config/config.h"

#define CLM_JOB_EVENTS_MAX    500  /* in a batch; protocol.md 6.4 */
#define CLM_JOB_EVENT_BATCH_S 5    /* protocol.md 7.11 */
#define CLM_JOB_LOG_MAX       1024 /* bytes of one log line passed on */

/* What the rest of the world is for a job; tests lend their own. */
struct clm_job_world {
    const struct clm_config *config;
    struct clm_api *api;
    struct clm_link *link; /* to the host half; hello was said */
    clm_http_fn fetch;     /* plain HTTP for the self-check of DCV files */
    void *fetch_ctx;
    int stop_fd; /* readable: asked to stop (signalfd); -1: never */
    const char *boot_id;
    void (*sleep_ms)(int64_t ms);
};

/* Why the job did not succeed, beside the error. */
struct clm_job_fault {
    char problem[32]; /* "E_POLICY" ...; "" takes one that fits the error's code */
    char hint[CLM_FAIL_HINT_MAX];
    char step[64];
    bool retryable;
    bool is_rejected; /* nothing was attempted */
};

struct clm_job {
    const struct clm_job_world *world;
    struct clm_record record;
    struct clm_json *accepted;   /* reply of job_accept: verified */
    const struct clm_json *spec; /* in accepted */
    struct clm_json *result;     /* members of protocol.md 7.13; steps and effects are there */
    struct clm_json *events;     /* array of those not sent yet */
    int64_t events_since_ms;     /* of the oldest one */
    int64_t events_sent_ms;      /* of the last batch; 0: none */
    int64_t events_pause_s;      /* as the control plane asked */
    bool events_kept;            /* the last batch was not taken: it goes again, after the pause */
    int host_from_pct;           /* how far the job was when the host half's part began */
    int64_t deadline_ms;         /* monotonic; end of timeout_s */
    int64_t started_at_s;
    int64_t started_ms;
    struct clm_job_fault fault;
    bool is_known;    /* the host half keeps this result itself */
    bool is_lost;     /* superseded: the result is nobody's business any more */
    bool is_canceled; /* by the control plane */
    bool is_stopping; /* this process has to end; the job goes on later */
};

/* ---- outcome ---- */

/* Sets the fault. Returns code. hint may be NULL. */
enum clm_code clm_job_fault(struct clm_job *job, enum clm_code code, const char *problem,
                            const char *hint);
/* Fills job->result for an end with this code (CLM_OK: succeeded). */
void clm_job_conclude(struct clm_job *job, enum clm_code code, const struct clm_err *why);
struct clm_json *clm_job_effects(struct clm_job *job);

/* ---- progress ---- */

/* The next phase: told to the control plane, to the record (for the heartbeat), to the log. */
void clm_job_phase(struct clm_job *job, const char *phase, int pct);
/* A step of the result. status "ok" or "failed"; detail may be NULL. */
void clm_job_step(struct clm_job *job, const char *name, const char *status, int64_t ms,
                  const char *detail);
/* An event as the host half sent it; also the handler for clm_link_handlers. */
void clm_job_on_event(void *arg, const struct clm_json *event);
/* Sends what waits, if it is time or must be. What could not be sent waits for the next time, at most
 * CLM_JOB_EVENTS_MAX events; nothing else depends on it. */
void clm_job_flush(struct clm_job *job, bool now);

/* ---- calls ---- */

/* SIGTERM: stop, go on later (is_stopping); SIGUSR1: canceled (is_canceled); SIGUSR2: the job is not
 * ours any more (is_lost). */
void clm_job_read_signals(struct clm_job *job);
/* CANCELLED if the job must stop here, with is_lost, is_canceled or is_stopping set; TIMEOUT if its
 * time is over. */
CLM_MUST_USE enum clm_code clm_job_check(struct clm_job *job, struct clm_err *err);
/* A lease was taken: what was said of the loss of one before is about the former. */
void clm_job_forget_loss(struct clm_job *job);
/* Waits, in pieces, with clm_job_check() between. */
CLM_MUST_USE enum clm_code clm_job_wait(struct clm_job *job, int64_t ms, struct clm_err *err);
/*
 * clm_job_api() - a request to the control plane, again and again until it is answered
 *
 * Out     out  as clm_api_call()
 * Errors  CANCELLED, TIMEOUT as clm_job_check(); REMOTE a final problem, with the fault set
 */
CLM_MUST_USE enum clm_code clm_job_api(struct clm_job *job, const struct clm_api_request *request,
                                       struct clm_api_response *out, struct clm_err *err);
/* A request to the host half; a fail becomes the fault. out_reply may be NULL. */
CLM_MUST_USE enum clm_code clm_job_host(struct clm_job *job, enum clm_op op,
                                        const struct clm_json *body, struct clm_json **out_reply,
                                        struct clm_err *err);
/* {"job_id": ...}, the caller's. */
struct clm_json *clm_job_body(const struct clm_job *job);
/* {"fence": ..., "attempt": ...}, the caller's: for writes to the control plane. */
struct clm_json *clm_job_fenced(const struct clm_job *job);
/* Makes the record durable. */
CLM_MUST_USE enum clm_code clm_job_save(struct clm_job *job, struct clm_err *err);

/* ---- the types; each returns CLM_OK if it succeeded ---- */

typedef enum clm_code (*clm_job_fn)(struct clm_job *job, struct clm_err *err);

enum clm_code clm_job_order(struct clm_job *job, struct clm_err *err);
enum clm_code clm_job_get_dcv(struct clm_job *job, struct clm_err *err);
enum clm_code clm_job_dcv_cleanup(struct clm_job *job, struct clm_err *err);
enum clm_code clm_job_scan(struct clm_job *job, struct clm_err *err);
enum clm_code clm_job_deploy(struct clm_job *job, struct clm_err *err);
enum clm_code clm_job_rollback(struct clm_job *job, struct clm_err *err);
enum clm_code clm_job_recheck(struct clm_job *job, struct clm_err *err);

/* ---- parts of several ---- */

/* Fetches, writes, checks and reports the challenges of an order that were not reported yet. */
CLM_MUST_USE enum clm_code clm_job_dcv_round(struct clm_job *job, const char *order_id,
                                             bool self_check, struct clm_err *err);
/* Removes what was written for it; a failure is logged and no more. */
void clm_job_dcv_remove(struct clm_job *job, const char *order_id);
/* One of deploy, rollback, recheck: the reply becomes the result. */
CLM_MUST_USE enum clm_code clm_job_host_result(struct clm_job *job, enum clm_op op,
                                               const char *phase, struct clm_err *err);

/* ---- running ---- */

/* The whole life of one job; see clm_run_job(). Returns an exit status of job_child.h. */
int clm_job_run(const struct clm_job_world *world, const char *job_id);

#endif
