/* SPDX-License-Identifier: Apache-2.0 */
/* Finishes or undoes what an earlier process left: docs/journal.md, "Recovery". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/job/txn_int.h"

static void say(struct clm_txn *t, enum clm_txn_state state)
{
    const struct clm_io *io = t->env->io;

    /* If it cannot be said, the next recovery finds the same files and does the same. */
    clm_ignore(clm_txn_log_append(&t->log, state, io->now_s(io->ctx) * 1000, NULL));
}

static void blocked(struct clm_txn *t, enum clm_code code, struct clm_err *err)
{
    (void)clm_err_wrap(err, code, "cannot be finished now, will be tried again");
    (void)clm_txn_end(t, CLM_TXN_BLOCKED, code, err);
}

static void give_to_human(struct clm_txn *t, enum clm_code code, struct clm_err *err)
{
    struct clm_err move = {0};

    if (clm_txn_journal_quarantine(t, &move) != CLM_OK) {
        (void)clm_err_wrap(err, code, "%s", move.msg);
        (void)clm_txn_end(t, CLM_TXN_BLOCKED, code, err);
        return;
    }
    (void)clm_txn_end(t, CLM_TXN_NEEDS_HUMAN, code, err);
}

/* Temporary files, then the journal. The result stands unless this fails. */
static void finish(struct clm_txn *t)
{
    struct clm_err err = {0};
    enum clm_code code = clm_txn_sweep(t, &err);

    if (code == CLM_OK) {
        code = clm_txn_journal_retire(t, &err);
    }
    if (code != CLM_OK && !clm_txn_is_in_place(t->out->result) && t->journal[0] != '\0') {
        blocked(t, code, &err);
    } else if (code != CLM_OK) {
        clm_txn_step_done(t, "cleanup", "warning", clm_txn_mono_ms(t), "%s", err.msg);
    }
}

static bool waits(const struct clm_txn *t)
{
    return clm_plan_waits(&t->rec.plan) && t->out->n_endpoints > 0;
}

static void finish_new(struct clm_txn *t)
{
    memcpy(t->out->after_sha256, t->rec.new_leaf, sizeof(t->out->after_sha256));
    /* Whether somebody restarted it meanwhile is for the next look at the endpoints. */
    (void)clm_txn_end(t, waits(t) ? CLM_TXN_WAITING : CLM_TXN_SUCCEEDED, CLM_OK, NULL);
    finish(t);
}

static void finish_left(struct clm_txn *t)
{
    struct clm_err err = {0};

    memcpy(t->out->after_sha256, t->rec.new_leaf, sizeof(t->out->after_sha256));
    (void)clm_err_set(&err, CLM_E_VERIFY,
                      "the new certificate was not proved; it was left in place");
    (void)clm_txn_end(t, CLM_TXN_LEFT, CLM_E_VERIFY, &err);
    finish(t);
}

static void keep_new(struct clm_txn *t, bool boot)
{
    struct clm_err err = {0};

    t->out->is_degraded = true;
    if (!boot) {
        t->out->is_proved =
            clm_txn_verify(t, false, clm_txn_deadline_ms(&t->rec.plan), &err) == CLM_OK &&
            t->out->n_endpoints > 0;
    }
    clm_txn_step_done(t, "recover", "warning", clm_txn_mono_ms(t),
                      "the old certificate had expired, so the new one stays%s%s",
                      err.msg[0] != '\0' ? ": " : "", err.msg);
    say(t, CLM_TXN_COMMITTED);
    finish_new(t);
}

static void undo(struct clm_txn *t, bool boot)
{
    struct clm_err err = {0};
    int64_t start_ms = clm_txn_mono_ms(t);
    enum clm_code code;

    say(t, CLM_TXN_UNDOING);
    code = clm_txn_undo(t, &err);
    clm_txn_step_done(t, "rollback", code == CLM_OK ? "ok" : "failed", start_ms, "%s",
                      code == CLM_OK ? "" : err.msg);
    if (code == CLM_E_CONFLICT) {
        give_to_human(t, code, &err);
        return;
    }
    if (code != CLM_OK) {
        blocked(t, code, &err);
        return;
    }
    (void)clm_err_set(&err, CLM_E_CANCELLED, "interrupted; the old files are in place again");
    (void)clm_txn_end(t, CLM_TXN_ROLLED_BACK, CLM_E_CANCELLED, &err);
    if (!boot) {
        clm_txn_back_in_service(t, true);
    }
    if (t->out->result == CLM_TXN_BLOCKED) {
        return;
    }
    if (t->out->result == CLM_TXN_ROLLED_BACK) { /* else the next recovery would not reload */
        say(t, CLM_TXN_UNDONE);
    }
    finish(t);
}

static void act(struct clm_txn *t, enum clm_recover what, bool boot)
{
    struct clm_err err = {0};

    switch (what) {
    case CLM_RECOVER_SWEEP:
        (void)clm_err_set(&err, CLM_E_CANCELLED, "interrupted before anything was changed");
        (void)clm_txn_end(t, CLM_TXN_FAILED, CLM_E_CANCELLED, &err);
        finish(t);
        break;
    case CLM_RECOVER_UNDO:
        undo(t, boot);
        break;
    case CLM_RECOVER_KEEP_NEW:
        keep_new(t, boot);
        break;
    case CLM_RECOVER_FINISH_NEW:
        t->out->is_proved = t->out->n_endpoints > 0 && !waits(t);
        finish_new(t);
        break;
    case CLM_RECOVER_FINISH_OLD:
        (void)clm_err_set(&err, CLM_E_CANCELLED, "interrupted after it was rolled back");
        (void)clm_txn_end(t, CLM_TXN_ROLLED_BACK, CLM_E_CANCELLED, &err);
        finish(t);
        break;
    case CLM_RECOVER_FINISH_LEFT:
        finish_left(t);
        break;
    case CLM_RECOVER_QUARANTINE:
    case CLM_RECOVER__COUNT:
        give_to_human(t, clm_err_set(&err, CLM_E_CONFLICT, "the journal has no beginning"), &err);
        break;
    }
}

static void show(struct clm_txn *t)
{
    struct clm_txn_outcome *out = t->out;

    memcpy(out->target, t->rec.plan.target, sizeof(out->target));
    memcpy(out->before_sha256, t->rec.old_leaf, sizeof(out->before_sha256));
    memcpy(out->after_sha256, t->rec.old_leaf, sizeof(out->after_sha256));
    if (clm_txn_show_endpoints(t, NULL) != CLM_OK) {
        out->n_endpoints = 0; /* no memory: no proof, but the files come first */
    }
}

static void recover_one(const struct clm_txn_env *env, const char *name, bool boot,
                        struct clm_txn_outcome *out)
{
    CLM_CLEANUP(clm_txn_done)
    struct clm_txn t = {.env = env, .out = out, .log = CLM_TXN_LOG_INIT};
    struct clm_err err = {0};
    enum clm_recover what;
    bool all_new = false;
    int64_t start_ms = clm_txn_mono_ms(&t);
    enum clm_code code;

    out->is_recovery = true;
    (void)snprintf(out->txid, sizeof(out->txid), "%s", name);
    clm_txn_phase(&t, "recover");
    code = clm_txn_journal_load(&t, name, &err);
    if (code == CLM_E_PARSE) {
        (void)clm_err_wrap(&err, code, "journal '%s' is damaged and was set aside", name);
        give_to_human(&t, code, &err);
        return;
    }
    if (code == CLM_OK) {
        show(&t);
        code = clm_txn_is_all_new(&t, &all_new, &err);
    }
    if (code != CLM_OK) {
        blocked(&t, code, &err);
        return;
    }
    what = clm_txn_recover_rule(t.log.state, all_new, t.rec.is_old_expired);
    clm_txn_step_done(&t, "recover", "ok", start_ms, "%s: %s", clm_txn_state_name(t.log.state),
                      clm_recover_name(what));
    act(&t, what, boot);
}

enum clm_code clm_txn_recover(const struct clm_txn_env *env, bool boot,
                              struct clm_txn_outcomes *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    enum clm_code code = clm_txn_journal_tidy(env->dir, err);

    *out = (struct clm_txn_outcomes){0};
    if (code == CLM_OK) {
        code = clm_txn_journal_names(env->dir, &names, err);
    }
    if (code != CLM_OK || names.n == 0) {
        return code;
    }
    out->v = calloc(names.n, sizeof(*out->v));
    if (out->v == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "recovery");
    }
    for (size_t i = 0; i < names.n; i++) {
        recover_one(env, names.v[i], boot, &out->v[out->n++]);
    }
    return CLM_OK;
}
