/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things: docs/journal.md, "A deployment". Each step is in a file of its own. */
#include "agent/job/txn.h"

#include <string.h>

#include "agent/base/fs.h"
#include "agent/job/txn_int.h"

static int64_t unix_ms(const struct clm_txn *t)
{
    return t->env->io->now_s(t->env->io->ctx) * 1000;
}

static enum clm_code say(struct clm_txn *t, enum clm_txn_state state, struct clm_err *err)
{
    return clm_txn_log_append(&t->log, state, unix_ms(t), err);
}

/* On the way back: if it cannot be said, recovery undoes all the same. */
static void try_to_say(struct clm_txn *t, enum clm_txn_state state)
{
    clm_ignore(say(t, state, NULL));
}

static enum clm_code not_cancelled(const struct clm_txn *t, struct clm_err *err)
{
    return clm_txn_is_cancelled(t) ? clm_err_set(err, CLM_E_CANCELLED, "cancelled") : CLM_OK;
}

/* ---- endings ---- */

/* Temporary files, then the journal: while it is there, recovery runs again. */
static void clean_up(struct clm_txn *t)
{
    struct clm_err err = {0};
    int64_t start_ms = clm_txn_mono_ms(t);
    enum clm_code code = clm_txn_sweep(t, &err);

    if (code == CLM_OK) {
        code = clm_txn_journal_retire(t, &err);
    }
    /* what a sweep met and got over is no news */
    clm_txn_step_done(t, "cleanup", code == CLM_OK ? "ok" : "warning", start_ms, "%s",
                      code == CLM_OK ? "" : err.msg);
}

/* Nothing was changed. */
static enum clm_code fail(struct clm_txn *t, enum clm_code code, const struct clm_err *err)
{
    if (t->journal[0] != '\0') {
        clean_up(t);
    }
    return clm_txn_end(t, CLM_TXN_FAILED, code, err);
}

static enum clm_code undo_failed(struct clm_txn *t, enum clm_code code, struct clm_err *err)
{
    if (code != CLM_E_CONFLICT) {
        (void)clm_err_wrap(err, code, "cannot be undone now, will be tried again");
        return clm_txn_end(t, CLM_TXN_BLOCKED, code, err);
    }
    if (clm_txn_journal_quarantine(t, NULL) != CLM_OK) {
        return clm_txn_end(t, CLM_TXN_BLOCKED, code, err); /* recovery meets the same and tries */
    }
    return clm_txn_end(t, CLM_TXN_NEEDS_HUMAN, code, err);
}

static enum clm_code roll_back(struct clm_txn *t, bool must_reload, enum clm_code code,
                               const struct clm_err *why)
{
    struct clm_err err = {0};
    int64_t start_ms = clm_txn_mono_ms(t);
    enum clm_code undone;

    clm_txn_phase(t, "rolling_back");
    try_to_say(t, CLM_TXN_UNDOING);
    undone = clm_txn_undo(t, &err);
    clm_txn_step_done(t, "rollback", undone == CLM_OK ? "ok" : "failed", start_ms, "%s",
                      undone == CLM_OK ? "" : err.msg);
    if (undone != CLM_OK) {
        return undo_failed(t, undone, &err);
    }
    (void)clm_txn_end(t, CLM_TXN_ROLLED_BACK, code, why);
    clm_txn_back_in_service(t, must_reload);
    if (t->out->result == CLM_TXN_ROLLED_BACK) { /* else: if we die now, recovery reloads again */
        try_to_say(t, CLM_TXN_UNDONE);
    }
    if (t->out->result != CLM_TXN_BLOCKED) {
        clean_up(t);
    }
    return t->out->err.code;
}

/* The new files are there for good: said in the log, then what led there goes. */
static enum clm_code settle(struct clm_txn *t, enum clm_txn_state state, struct clm_err *err)
{
    int64_t start_ms = clm_txn_mono_ms(t);
    enum clm_code code;

    clm_txn_phase(t, "commit");
    code = say(t, state, err);
    clm_txn_step_done(t, "commit", code == CLM_OK ? "ok" : "failed", start_ms, NULL);
    if (code != CLM_OK) {
        /* On disk or not: nobody knows. The new files work; recovery reads what came of it. */
        (void)clm_err_wrap(err, code,
                           "the new certificate is in place, but could not be committed");
        return clm_txn_end(t, CLM_TXN_BLOCKED, code, err);
    }
    memcpy(t->out->after_sha256, t->rec.new_leaf, sizeof(t->out->after_sha256));
    clean_up(t);
    return CLM_OK;
}

static enum clm_code commit(struct clm_txn *t, enum clm_txn_result result, struct clm_err *err)
{
    enum clm_code code = settle(t, CLM_TXN_COMMITTED, err);

    return code == CLM_OK ? clm_txn_end(t, result, CLM_OK, NULL) : code;
}

/* The server's own test has passed with the new files; what came after did not. Whoever asked to
 * look at it first finds it as it is; a stop of the host half is no such failure. */
static enum clm_code leave_or_roll_back(struct clm_txn *t, enum clm_code code, struct clm_err *why)
{
    struct clm_err err = {0};
    enum clm_code settled;

    if (!t->env->leaves_failed || code == CLM_E_CANCELLED || t->log.is_broken) {
        return roll_back(t, true, code, why);
    }
    clm_txn_step_done(t, "rollback", "skipped", clm_txn_mono_ms(t),
                      "the new files stay in place, as the job asks");
    settled = settle(t, CLM_TXN_KEPT, &err);
    return settled == CLM_OK ? clm_txn_end(t, CLM_TXN_LEFT, code, why) : settled;
}

/* ---- steps ---- */

static enum clm_code timed(struct clm_txn *t, const char *name,
                           enum clm_code (*step)(struct clm_txn *t, struct clm_err *err),
                           struct clm_err *err)
{
    int64_t start_ms = clm_txn_mono_ms(t);
    enum clm_code code;

    clm_txn_phase(t, name);
    code = step(t, err);
    clm_txn_step_done(t, name, code == CLM_OK ? "ok" : "failed", start_ms, NULL);
    return code;
}

static enum clm_code swap(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = clm_txn_swap(t, err);

    return code != CLM_OK ? code : say(t, CLM_TXN_SWAPPED, err);
}

static enum clm_code reload(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = clm_txn_reload(t, err);

    return code != CLM_OK || t->journal[0] == '\0' ? code : say(t, CLM_TXN_RELOADED, err);
}

static enum clm_code verify(struct clm_txn *t, struct clm_err *err)
{
    return clm_txn_verify(t, false, clm_txn_deadline_ms(&t->rec.plan), err);
}

/* The new certificate is not served everywhere. */
static enum clm_code not_proved(struct clm_txn *t, enum clm_code code, struct clm_err *err)
{
    if (t->rec.is_old_expired && code != CLM_E_CANCELLED && clm_txn_is_new_served(t)) {
        clm_txn_step_done(t, "rollback", "warning", clm_txn_mono_ms(t),
                          "the old certificate has expired, so the new one stays: %s", err->msg);
        t->out->is_degraded = true;
        return commit(t, CLM_TXN_SUCCEEDED, err);
    }
    return leave_or_roll_back(t, code, err);
}

/* Nobody may restart it. A server that reads its files without being told is proved all the same,
 * and one that breaks with them goes back. */
static enum clm_code look_who_serves(struct clm_txn *t, enum clm_txn_result *out,
                                     struct clm_err *err)
{
    int64_t start_ms = clm_txn_mono_ms(t);
    bool is_new = false;
    enum clm_code code;

    *out = CLM_TXN_SUCCEEDED;
    if (t->out->n_endpoints == 0) {
        return CLM_OK;
    }
    clm_txn_phase(t, "verify");
    code = clm_txn_look_quietly(t, &is_new, err);
    if (code != CLM_OK) {
        clm_txn_step_done(t, "verify", "failed", start_ms, NULL);
    } else if (is_new) {
        return timed(t, "verify", verify, err);
    } else {
        *out = CLM_TXN_WAITING;
        clm_txn_step_done(t, "reload", "skipped", start_ms,
                          "the old certificate is served until the server is restarted");
    }
    return code;
}

static enum clm_code leave_waiting(struct clm_txn *t, struct clm_err *err)
{
    enum clm_txn_result result = CLM_TXN_WAITING;
    enum clm_code code = look_who_serves(t, &result, err);

    if (code != CLM_OK) {
        return leave_or_roll_back(t, code, err);
    }
    t->out->is_proved = t->out->n_endpoints > 0 && result == CLM_TXN_SUCCEEDED;
    return commit(t, result, err);
}

static enum clm_code after_swap(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = clm_txn_run_checks(t, CLM_STEP_POST_CHECK, err);

    if (code == CLM_OK) {
        code = not_cancelled(t, err);
    }
    if (code != CLM_OK) {
        return roll_back(t, true, code, err);
    }
    if (clm_plan_waits(&t->rec.plan)) {
        return leave_waiting(t, err);
    }
    code = timed(t, "reload", reload, err);
    if (code != CLM_OK) {
        return leave_or_roll_back(t, code, err);
    }
    code = timed(t, "verify", verify, err);
    if (code != CLM_OK) {
        return not_proved(t, code, err);
    }
    t->out->is_proved = t->out->n_endpoints > 0;
    return commit(t, CLM_TXN_SUCCEEDED, err);
}

static enum clm_code install(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = timed(t, "prepare", clm_txn_journal_publish, err);

    if (code == CLM_OK) {
        code = timed(t, "stage", clm_txn_stage, err);
    }
    if (code == CLM_OK) {
        code = not_cancelled(t, err);
    }
    if (code == CLM_OK) {
        code = say(t, CLM_TXN_SWAPPING, err);
    }
    if (code != CLM_OK) {
        return fail(t, code, err);
    }
    code = timed(t, "swap", swap, err);
    return code != CLM_OK ? roll_back(t, false, code, err) : after_swap(t, err);
}

/* ---- nothing to install ---- */

static bool all_serve_new(const struct clm_txn *t)
{
    for (size_t i = 0; i < t->out->n_endpoints; i++) {
        const struct clm_txn_endpoint *e = &t->out->endpoints[i];

        if (e->is_counted && clm_txn_classify(t, e, &e->before) != CLM_SERVED_NEW) {
            return false;
        }
    }
    return true;
}

/* The files are right, but not served: somebody forgot to reload. */
static enum clm_code refresh(struct clm_txn *t, struct clm_err *err)
{
    enum clm_txn_result result = CLM_TXN_SUCCEEDED;
    enum clm_code code;

    if (all_serve_new(t)) {
        t->out->is_proved = t->out->n_endpoints > 0;
        return clm_txn_end(t, CLM_TXN_NOOP, CLM_OK, NULL);
    }
    if (clm_plan_waits(&t->rec.plan)) {
        code = look_who_serves(t, &result, err);
    } else {
        code = timed(t, "reload", reload, err);
        if (code == CLM_OK) {
            code = timed(t, "verify", verify, err);
        }
    }
    if (code != CLM_OK) {
        return clm_txn_end(t, CLM_TXN_FAILED, code, err);
    }
    t->out->is_proved = result == CLM_TXN_SUCCEEDED;
    return clm_txn_end(t, result, CLM_OK, NULL);
}

/* ---- */

static void start(struct clm_txn *t, const struct clm_plan *plan)
{
    struct clm_txn_outcome *out = t->out;

    memset(out, 0, sizeof(*out));
    memcpy(out->target, plan->target, sizeof(out->target));
    t->rec.created_at_s = t->env->io->now_s(t->env->io->ctx);
}

static enum clm_code deploy(struct clm_txn *t, const struct clm_plan *plan,
                            const struct clm_bundle *bundle, const char *expect_old_sha256,
                            struct clm_err *err)
{
    enum clm_code code = clm_id_new("txn", t->rec.txid, err);

    if (code == CLM_OK) {
        memcpy(t->out->txid, t->rec.txid, sizeof(t->out->txid));
        clm_txn_phase(t, "preflight");
        code = clm_txn_preflight(t, plan, bundle, expect_old_sha256, err);
    }
    if (code == CLM_OK) {
        code = clm_txn_run_checks(t, CLM_STEP_CHECK, err);
    }
    if (code == CLM_OK) {
        code = clm_txn_baseline(t, err);
    }
    if (code == CLM_OK) {
        code = not_cancelled(t, err);
    }
    if (code != CLM_OK) {
        return fail(t, code, err);
    }
    return t->rec.n_files == 0 ? refresh(t, err) : install(t, err);
}

enum clm_code clm_txn_deploy(const struct clm_txn_env *env, const struct clm_plan *plan,
                             const struct clm_bundle *bundle, const char *expect_old_sha256,
                             struct clm_txn_outcome *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_txn_done)
    struct clm_txn t = {.env = env, .out = out, .log = CLM_TXN_LOG_INIT};
    struct clm_err own = {0};
    enum clm_code code;

    start(&t, plan);
    code = deploy(&t, plan, bundle, expect_old_sha256, &own);
    out->is_interrupted = (out->result == CLM_TXN_FAILED || out->result == CLM_TXN_BLOCKED) &&
                          clm_txn_is_cancelled(&t);
    if (code != CLM_OK && err != NULL) {
        *err = out->err;
    }
    return code;
}

enum clm_code clm_txn_prove(const struct clm_txn_env *env, const struct clm_plan *plan,
                            const char *leaf_sha256, struct clm_txn_outcome *out,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_txn_done)
    struct clm_txn t = {.env = env, .out = out, .log = CLM_TXN_LOG_INIT};
    struct clm_err own = {0};
    enum clm_code code;

    start(&t, plan);
    code = clm_txn_take_plan(&t, plan, leaf_sha256, &own);
    if (code == CLM_OK) {
        code = clm_txn_show_endpoints(&t, &own);
    }
    if (code == CLM_OK) {
        code = timed(&t, "verify", verify, &own);
    }
    out->is_proved = code == CLM_OK && out->n_endpoints > 0;
    code = clm_txn_end(&t, code == CLM_OK ? CLM_TXN_NOOP : CLM_TXN_FAILED, code, &own);
    if (code != CLM_OK && err != NULL) {
        *err = out->err;
    }
    return code;
}
