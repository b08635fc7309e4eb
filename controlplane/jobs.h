/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs - one typed piece of work for one agent, from its creation to its end (protocol.md 9.1)
 *
 * A job belongs to one agent for ever; a lapsed lease only changes the displayed truth to "lost".
 * States that end a job never change again.
 */
#ifndef CLM_CONTROLPLANE_JOBS_H
#define CLM_CONTROLPLANE_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/model/target.h"
#include "controlplane/tx.h"

#define CLM_CP_JOB_LIFE_S     (7LL * 86400)
#define CLM_CP_JOB_TIMEOUT_S  900
#define CLM_CP_JOB_ATTEMPTS   3
#define CLM_CP_LOST_AFTER_S   30    /* after the lease ended; protocol.md 17.3 */
#define CLM_CP_LOST_TIMEOUT_S 86400 /* then failed(agent_lost); protocol.md 9.1 */
#define CLM_CP_JOB_STATE_SIZE 20

struct clm_cp_job_new {
    const char *agent_id;
    const char *type;
    const char *target;
    const char *certificate_id; /* NULL: of none */
    int64_t priority;           /* 0..100 */
    int64_t timeout_s;          /* 0: the default */
    bool keeps_failure;         /* what failed stays as it is, nothing is put back */
    const char *requested_by;   /* "operator", "schedule" */
    const struct clm_json *spec;
};

/* Signs and queues a job, and wakes the agent. Errors: LIMIT envelope beyond 64 KiB. */
CLM_MUST_USE enum clm_code clm_cp_job_create(struct clm_cp_tx *tx, const struct clm_cp_job_new *in,
                                             char out_id[CLM_ID_SIZE], struct clm_err *err);

/* What handlers decide by. */
struct clm_cp_job {
    char id[CLM_ID_SIZE];
    char agent_id[CLM_ID_SIZE];
    char type[20];
    char target[CLM_TARGET_ID_SIZE];
    char state[CLM_CP_JOB_STATE_SIZE];
    char certificate_id[CLM_ID_SIZE]; /* "" none */
    char lease_boot[40];
    int64_t attempt;
    int64_t max_attempts;
    int64_t fence;
    int64_t timeout_s;
    int64_t not_before_s;
    int64_t expires_s;
    int64_t target_seq;
};

/* Errors: NOTFOUND, also for a job of another agent (agent_id NULL: any). */
CLM_MUST_USE enum clm_code clm_cp_job_load(struct clm_cp_tx *tx, const char *id,
                                           const char *agent_id, struct clm_cp_job *out,
                                           struct clm_err *err);
/* succeeded, failed, rolled_back, rejected, canceled, skipped, expired, denied */
bool clm_cp_job_state_is_terminal(const char *state);
/* leased, running, canceling, lost: an agent may be working on it */
bool clm_cp_job_state_is_held(const char *state);

/* Changes the state and writes the change; error is JSON text or NULL. With the end of a job that
 * orders ends its order. */
CLM_MUST_USE enum clm_code clm_cp_job_set_state(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                                const char *state, const char *error,
                                                struct clm_err *err);

/* Operator's cancel: a queued job ends at once, a held one is told. *out_state is the new state.
 * Errors: CONFLICT the job has ended. */
CLM_MUST_USE enum clm_code clm_cp_job_cancel(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                             const char *reason, const char **out_state,
                                             struct clm_err *err);

/* What comes with time: leases that lapsed, jobs that expired, retries that are due. */
CLM_MUST_USE enum clm_code clm_cp_jobs_sweep(struct clm_cp_tx *tx, struct clm_err *err);

/* Seconds to wait before attempt + 1: base times 4 for each attempt, at most cap, full jitter. */
int64_t clm_cp_job_retry_delay_s(int64_t attempt, int64_t base_s, int64_t cap_s);

#endif
