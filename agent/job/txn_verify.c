/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job/txn_verify.h"

void clm_verify_start(struct clm_verify *v, int64_t now_ms, uint32_t deadline_ms)
{
    *v = (struct clm_verify){
        .verdict = CLM_VERDICT_WAIT,
        .next_ms = now_ms,
        .deadline_ms = now_ms + deadline_ms,
        .delay_ms = CLM_VERIFY_FIRST_MS,
    };
}

static void wait_longer(struct clm_verify *v, int64_t now_ms)
{
    v->next_ms = now_ms + v->delay_ms;
    v->delay_ms += v->delay_ms / 2;
    if (v->delay_ms > CLM_VERIFY_LONGEST_MS) {
        v->delay_ms = CLM_VERIFY_LONGEST_MS;
    }
}

static void feed_wanted(struct clm_verify *v, int64_t now_ms)
{
    v->is_odd = false;
    if (v->run++ == 0) {
        v->run_since_ms = now_ms;
    }
    if (v->run >= CLM_VERIFY_RUN && now_ms - v->run_since_ms >= CLM_VERIFY_SPAN_MS) {
        v->verdict = CLM_VERDICT_PASS;
    }
    v->next_ms = now_ms + CLM_VERIFY_STEP_MS;
}

static void feed_old(struct clm_verify *v, int64_t now_ms)
{
    v->is_odd = false;
    v->run = 0;
    if (now_ms >= v->deadline_ms) {
        v->verdict = CLM_VERDICT_FAIL;
    }
    wait_longer(v, now_ms);
}

static void feed_odd(struct clm_verify *v, enum clm_served seen, bool is_down, int64_t now_ms)
{
    bool may_last = v->may_be_slow && seen == CLM_SERVED_NOTHING;

    v->run = 0;
    if (!v->is_odd) {
        v->is_odd = true;
        v->odd_since_ms = now_ms;
    }
    if (is_down || (!may_last && now_ms - v->odd_since_ms >= CLM_VERIFY_GRACE_MS) ||
        now_ms >= v->deadline_ms) {
        v->verdict = CLM_VERDICT_FAIL;
    }
    wait_longer(v, now_ms);
}

void clm_verify_feed(struct clm_verify *v, enum clm_served seen, bool is_down, int64_t now_ms)
{
    switch (seen) {
    case CLM_SERVED_NEW:
        feed_wanted(v, now_ms);
        break;
    case CLM_SERVED_OLD:
        feed_old(v, now_ms);
        break;
    case CLM_SERVED_OTHER:
    case CLM_SERVED_NOTHING:
        feed_odd(v, seen, is_down, now_ms);
        break;
    }
}
