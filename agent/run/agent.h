/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent - the main process of "clmbot run": its state and its decisions
 *
 * Internal to agent/run. run.c waits for events and calls agent.c (children, times) and agent_poll.c
 * (control plane), which decide; status.c tells.
 */
#ifndef CLM_RUN_AGENT_H
#define CLM_RUN_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/run/backoff.h"
#include "agent/run/children.h"
#include "agent/run/identity.h"
#include "agent/run/poll.h"
#include "agent/run/poller.h"
#include "config/config.h"

#define CLM_AGENT_JOBS_MAX      2     /* in parallel; protocol.md 9.5 */
#define CLM_AGENT_POKE_MS       30000 /* wake-ups that cut the sleep short; protocol.md 12.1 */
#define CLM_AGENT_NO_IDENTITY_S 5     /* how often an unenrolled agent looks for an identity */

enum clm_agent_state {
    CLM_AGENT_UNENROLLED,
    CLM_AGENT_CONNECTING, /* no answer yet since the start */
    CLM_AGENT_CONNECTED,
    CLM_AGENT_OFFLINE,     /* the control plane does not answer */
    CLM_AGENT_PENDING,     /* an operator has to approve */
    CLM_AGENT_DISABLED,    /* by an operator */
    CLM_AGENT_ORPHANED,    /* the control plane does not know us any more */
    CLM_AGENT_QUARANTINED, /* it suspects that we were cloned */
    CLM_AGENT_EXPIRED,     /* our certificate is not accepted: being recovered */
    CLM_AGENT__COUNT
};
/* "connected", "offline", ... */
const char *clm_agent_state_name(enum clm_agent_state state);

#define CLM_ASKED_SCAN_S 10 /* between scans that somebody on this host asks for */

struct clm_agent {
    const struct clm_config *config;
    char boot_id[CLM_ULID_SIZE];
    char dir[PATH_MAX]; /* of the identity */
    struct clm_identity identity;
    bool has_identity;
    int landlock; /* version in force, of clm_run_confine(); 0: none */

    enum clm_agent_state state;
    int64_t since_s;               /* of the state */
    int64_t last_contact_s;        /* 0: none yet */
    char message[CLM_ERR_MSG_MAX]; /* why, if not connected */
    char update_available[32];
    double skew_s;

    struct clm_poller poller;
    struct clm_poll_state poll;
    struct clm_backoff backoff;
    int64_t poll_started_ms;
    uint32_t poll_wait_s;
    unsigned poll_slots;  /* said to be free in the poll that is being held */
    int64_t next_poll_ms; /* monotonic */
    int64_t last_poke_ms;

    struct clm_children children;
    bool is_stopping;
    bool renew_now;
    int64_t next_courier_s; /* unix time, not before */
    unsigned courier_failures;
    int64_t next_scan_s;  /* unix time; INT64_MAX never */
    int64_t asked_scan_s; /* the last one that somebody on this host asked for */
    unsigned scan_failures;
};

/* Loads what is on disk. Errors: PARSE, IO, PERM. Without an identity it is CLM_OK. */
CLM_MUST_USE enum clm_code clm_agent_open(struct clm_agent *agent, const struct clm_config *config,
                                          struct clm_err *err);
/* Ends the poller; saves. Children are the caller's to wait for. */
void clm_agent_close(struct clm_agent *agent);

/* Everything that is due: polls, jobs, scan, courier. Returns milliseconds until something is. */
int64_t clm_agent_tick(struct clm_agent *agent, int64_t now_ms, int64_t now_s);
/* The state from now on, and why; logged when it changes. */
void clm_agent_enter(struct clm_agent *agent, enum clm_agent_state state, const char *why,
                     int64_t now_s);
/* Sends a poll, by a new poller if need be. */
void clm_agent_poll(struct clm_agent *agent, int64_t now_ms);
/* The poller has an answer, or is gone. */
void clm_agent_poll_answer(struct clm_agent *agent);
/* A child may have ended. */
void clm_agent_reap(struct clm_agent *agent);
/* Poll soon: SIGHUP, "clmbot poll". False: too soon after the last time. */
bool clm_agent_poke(struct clm_agent *agent, int64_t now_ms);
/* Decides on one outcome of a poll; exported for tests. */
void clm_agent_judge(struct clm_agent *agent, const struct clm_poll_outcome *outcome,
                     int64_t now_ms, int64_t now_s);
/* First time at or after from_s that is this agent's slot for the task; protocol.md 12.1. */
int64_t clm_agent_splay(const char *agent_id, const char *task, uint32_t interval_s,
                        int64_t from_s);

/* Answers on the status socket; a clm_local_fn with the agent as arg. */
enum clm_code clm_status_answer(void *arg, const char *method, const struct clm_json *params,
                                struct clm_json *reply, struct clm_err *err);

#endif
