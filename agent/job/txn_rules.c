/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job/txn_rules.h"

#define ANY (-1)

static const char *const recover_names[CLM_RECOVER__COUNT] = {
    [CLM_RECOVER_SWEEP] = "sweep",           [CLM_RECOVER_UNDO] = "undo",
    [CLM_RECOVER_KEEP_NEW] = "keep new",     [CLM_RECOVER_FINISH_NEW] = "finish new",
    [CLM_RECOVER_FINISH_OLD] = "finish old", [CLM_RECOVER_FINISH_LEFT] = "finish left",
    [CLM_RECOVER_QUARANTINE] = "quarantine",
};

const char *clm_recover_name(enum clm_recover recover)
{
    return recover_names[recover];
}

/*
 * First row that fits; the last one always does. The temporary name holds the new file until the
 * exchange and what was there after it, so it tells whether ours ever was the target, and what to
 * put back:
 *   target NEW, temp FOREIGN  an edit made between hashing and exchanging: it goes back untouched
 *   target FOREIGN, temp NEW  the edit came before ours could: it stays, only our file goes
 *   target FOREIGN, else      the edit came over ours and may depend on it: a human decides
 *   target OLD, temp FOREIGN  an edit came out of an undo that was cut short: a human gets it. What
 *                             we put there is whole before the first exchange
 * Restored copies come under a third name, so a half-written one is never taken for an edit; but if
 * the target is OLD, temp is what an undo left under either name.
 */
static const struct {
    int old_absent;
    int target;
    int temp;
    enum clm_undo undo;
} undo_rules[] = {
    {ANY, CLM_SEEN_OLD, CLM_SEEN_FOREIGN, CLM_UNDO_STOP},
    {ANY, CLM_SEEN_OLD, ANY, CLM_UNDO_KEEP},
    {0, CLM_SEEN_NEW, CLM_SEEN_OLD, CLM_UNDO_EXCHANGE},
    {0, CLM_SEEN_NEW, CLM_SEEN_FOREIGN, CLM_UNDO_EXCHANGE},
    {0, CLM_SEEN_NEW, ANY, CLM_UNDO_COPY},
    {1, CLM_SEEN_NEW, ANY, CLM_UNDO_REMOVE},
    {0, CLM_SEEN_MISSING, CLM_SEEN_OLD, CLM_UNDO_PUT_BACK},
    {0, CLM_SEEN_MISSING, ANY, CLM_UNDO_COPY},
    {ANY, CLM_SEEN_FOREIGN, CLM_SEEN_NEW, CLM_UNDO_LEAVE},
    {ANY, ANY, ANY, CLM_UNDO_STOP},
};

static bool fits(int rule, int value)
{
    return rule == ANY || rule == value;
}

enum clm_undo clm_txn_undo_rule(bool old_absent, enum clm_seen target, enum clm_seen temp)
{
    size_t i = 0;

    while (!fits(undo_rules[i].old_absent, old_absent) ||
           !fits(undo_rules[i].target, (int)target) || !fits(undo_rules[i].temp, (int)temp)) {
        i++;
    }
    return undo_rules[i].undo;
}

/* First row that fits; the last one always does. */
static const struct {
    int state;
    int all_new;
    int is_old_expired;
    enum clm_recover recover;
} recover_rules[] = {
    {CLM_TXN_PREPARED, ANY, ANY, CLM_RECOVER_SWEEP},
    {CLM_TXN_RELOADED, 1, 1, CLM_RECOVER_KEEP_NEW},
    {CLM_TXN_SWAPPING, ANY, ANY, CLM_RECOVER_UNDO},
    {CLM_TXN_SWAPPED, ANY, ANY, CLM_RECOVER_UNDO},
    {CLM_TXN_RELOADED, ANY, ANY, CLM_RECOVER_UNDO},
    {CLM_TXN_UNDOING, ANY, ANY, CLM_RECOVER_UNDO},
    {CLM_TXN_COMMITTED, ANY, ANY, CLM_RECOVER_FINISH_NEW},
    {CLM_TXN_UNDONE, ANY, ANY, CLM_RECOVER_FINISH_OLD},
    {CLM_TXN_KEPT, ANY, ANY, CLM_RECOVER_FINISH_LEFT},
    {ANY, ANY, ANY, CLM_RECOVER_QUARANTINE},
};

enum clm_recover clm_txn_recover_rule(enum clm_txn_state state, bool all_new, bool is_old_expired)
{
    size_t i = 0;

    while (!fits(recover_rules[i].state, (int)state) || !fits(recover_rules[i].all_new, all_new) ||
           !fits(recover_rules[i].is_old_expired, is_old_expired)) {
        i++;
    }
    return recover_rules[i].recover;
}
