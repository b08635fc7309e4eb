/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_verify - when is a certificate proved to be served? One endpoint, as a state machine
 *
 * After a reload old workers serve the old certificate for a while, so one look is not enough: three
 * NEW in a row over at least 300 ms pass; OLD is asked again (25 ms, then half as much more each
 * time, up to 1 s) until the deadline; anything else may last 2 s, or, after a restart,
 * no answer until the deadline. Pure: time comes from outside.
 * Source: design.md 6. Internal to agent/job.
 */
#ifndef CLM_JOB_TXN_VERIFY_H
#define CLM_JOB_TXN_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/job/txn.h"

#define CLM_VERIFY_RUN        3    /* wanted leaves in a row ... */
#define CLM_VERIFY_SPAN_MS    300  /* ... over this time */
#define CLM_VERIFY_STEP_MS    150  /* between two wanted ones */
#define CLM_VERIFY_GRACE_MS   2000 /* for another leaf or none */
#define CLM_VERIFY_FIRST_MS   25   /* first wait after an old one; then x1.5 */
#define CLM_VERIFY_LONGEST_MS 1000

enum clm_verdict {
    CLM_VERDICT_WAIT,
    CLM_VERDICT_PASS,
    CLM_VERDICT_FAIL
};

struct clm_verify {
    enum clm_verdict verdict;
    int64_t next_ms; /* when to look again, while WAIT */
    int64_t deadline_ms;
    unsigned run; /* wanted leaves in a row */
    int64_t run_since_ms;
    bool may_be_slow; /* set after the start: nothing may answer until the deadline */
    bool is_odd;      /* the last one was neither wanted nor old */
    int64_t odd_since_ms;
    uint32_t delay_ms;
};

/* The first look is due at once. deadline_ms: from now. */
void clm_verify_start(struct clm_verify *v, int64_t now_ms, uint32_t deadline_ms);
/*
 * What was seen at now_ms: NEW stands for the wanted leaf, OLD for the one that should go away.
 * is_down: the server is known not to run, so that no grace makes sense.
 */
void clm_verify_feed(struct clm_verify *v, enum clm_served seen, bool is_down, int64_t now_ms);

#endif
