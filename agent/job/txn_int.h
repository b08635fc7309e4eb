/* SPDX-License-Identifier: Apache-2.0 */
/* txn_int - what the files of the transaction share; internal to agent/job */
#ifndef CLM_JOB_TXN_INT_H
#define CLM_JOB_TXN_INT_H

#include <limits.h>
#include <stdbool.h>

#include "agent/job/txn.h"
#include "agent/job/txn_log.h"
#include "agent/job/txn_record.h"
#include "agent/job/txn_rules.h"

/* One transaction in work. */
struct clm_txn {
    const struct clm_txn_env *env;
    struct clm_txn_outcome *out;
    struct clm_txn_record rec;
    struct clm_txn_log log;
    char journal[PATH_MAX]; /* its directory; "": not published */
};
void clm_txn_done(struct clm_txn *t); /* for CLM_CLEANUP; the outcome stays */

/* ---- txn_outcome.c: what is told ---- */

void clm_txn_phase(struct clm_txn *t, const char *phase);
/* Reports a finished step; fmt may be NULL. status is a literal. */
void clm_txn_step_done(struct clm_txn *t, const char *name, const char *status, int64_t start_ms,
                       const char *fmt, ...) CLM_PRINTF(5, 6);
int64_t clm_txn_mono_ms(const struct clm_txn *t);
bool clm_txn_is_cancelled(const struct clm_txn *t);
/* Sets result and the error it is reported with; returns code. */
enum clm_code clm_txn_end(struct clm_txn *t, enum clm_txn_result result, enum clm_code code,
                          const struct clm_err *err);

/* ---- txn_journal.c: the directories below env->dir ---- */

/* Appends the record's endpoint list to the outcome (a copy). */
CLM_MUST_USE enum clm_code clm_txn_show_endpoints(struct clm_txn *t, struct clm_err *err);
/* Removes txn.prep and txn.done of an earlier crash and creates what is missing. */
CLM_MUST_USE enum clm_code clm_txn_journal_tidy(const char *dir, struct clm_err *err);
/* Old copies, record, log; then the one rename that makes the journal exist. */
CLM_MUST_USE enum clm_code clm_txn_journal_publish(struct clm_txn *t, struct clm_err *err);
/* Reads record and log of <dir>/txn/<name>. Errors: PARSE damaged; IO, PERM. */
CLM_MUST_USE enum clm_code clm_txn_journal_load(struct clm_txn *t, const char *name,
                                                struct clm_err *err);
/* The transaction is over: out of the way by one rename, then deleted. On error t->journal is "" if
 * it is out of the way: what is left is swept at the next start. */
CLM_MUST_USE enum clm_code clm_txn_journal_retire(struct clm_txn *t, struct clm_err *err);
/* Kept for a human, out of the way of everybody else. */
CLM_MUST_USE enum clm_code clm_txn_journal_quarantine(struct clm_txn *t, struct clm_err *err);
/* Appends the copy of file i; CONFLICT if its hash is not the recorded one. */
CLM_MUST_USE enum clm_code clm_txn_journal_copy(const struct clm_txn *t, size_t i,
                                                struct clm_buf *out, struct clm_err *err);
/* Errors: CONFLICT if a journal that could not be finished holds one of the record's files. */
CLM_MUST_USE enum clm_code clm_txn_journal_is_free(struct clm_txn *t, struct clm_err *err);
/* Names below <dir>/txn, oldest first. */
CLM_MUST_USE enum clm_code clm_txn_journal_names(const char *dir, struct clm_strs *out,
                                                 struct clm_err *err);

/* ---- txn_preflight.c: looks, and writes nothing ---- */

/* Copies the plan into t->rec and lists its endpoints, all counted. */
CLM_MUST_USE enum clm_code clm_txn_take_plan(struct clm_txn *t, const struct clm_plan *plan,
                                             const char *leaf_sha256, struct clm_err *err);
/* Fills t->rec with all files of the plan (content in memory). */
CLM_MUST_USE enum clm_code clm_txn_preflight(struct clm_txn *t, const struct clm_plan *plan,
                                             const struct clm_bundle *bundle,
                                             const char *expect_old_sha256, struct clm_err *err);

/* ---- txn_files.c: changes targets ---- */

CLM_MUST_USE enum clm_code clm_txn_stage(struct clm_txn *t, struct clm_err *err);
/* Errors: CONFLICT a target was edited since it was read: that one is as the editor left it. */
CLM_MUST_USE enum clm_code clm_txn_swap(struct clm_txn *t, struct clm_err *err);
/* Removes the temporary files. */
CLM_MUST_USE enum clm_code clm_txn_sweep(struct clm_txn *t, struct clm_err *err);
/*
 * Old files back, in reverse order, idempotent; temporary files removed. Errors: CONFLICT a human
 * must decide, and nothing was touched; else (IO, PERM) it may be tried again.
 */
CLM_MUST_USE enum clm_code clm_txn_undo(struct clm_txn *t, struct clm_err *err);
/* Does every target hold its new version? */
CLM_MUST_USE enum clm_code clm_txn_is_all_new(struct clm_txn *t, bool *out_all_new,
                                              struct clm_err *err);

/* ---- txn_reload.c: programs, and the ways to reload ---- */

/* Programs of that kind; CONFIG with their output if one says no. */
CLM_MUST_USE enum clm_code clm_txn_run_checks(struct clm_txn *t, enum clm_step_kind kind,
                                              struct clm_err *err);
/* May the plan's RELOAD steps be done, as far as that can be told before? PERM policy and programs
 * that others can change; CONFLICT a unit that does not run; those of passwords. */
CLM_MUST_USE enum clm_code clm_txn_check_reloads(struct clm_txn *t, struct clm_err *err);
/* The plan's RELOAD steps, once. */
CLM_MUST_USE enum clm_code clm_txn_reload(struct clm_txn *t, struct clm_err *err);
/* Is a unit that the plan reloads down? False also where nobody knows. */
bool clm_txn_is_down(const struct clm_txn *t);
/* Does a reload of this plan start the program again, so that nobody answers for a while? */
bool clm_txn_may_be_slow(const struct clm_txn *t);

/* ---- txn_serve.c: handshakes ---- */

/* Nothing was reloaded: looks at each endpoint, of which there is one. out_new: every counted one
 * shows the new leaf already. Errors: VERIFY one that worked shows neither the old nor the new leaf. */
CLM_MUST_USE enum clm_code clm_txn_look_quietly(struct clm_txn *t, bool *out_new,
                                                struct clm_err *err);
/* One handshake with each endpoint of the record; decides which are counted. */
CLM_MUST_USE enum clm_code clm_txn_baseline(struct clm_txn *t, struct clm_err *err);
/* Waits until all counted endpoints serve the new leaf (or, is_rollback, the old one), at most
 * deadline_ms. Fills `after` or `rollback` in the outcome. Errors: VERIFY, CANCELLED. */
CLM_MUST_USE enum clm_code clm_txn_verify(struct clm_txn *t, bool is_rollback, uint32_t deadline_ms,
                                          struct clm_err *err);
/* The files are back: reload with retries, prove, and set ROLLED_BACK or NEEDS_HUMAN. BLOCKED: it was
 * stopped (at a shutdown nobody reloads any more); the journal has to stay for the next start. */
void clm_txn_back_in_service(struct clm_txn *t, bool must_reload);
enum clm_served clm_txn_classify(const struct clm_txn *t, const struct clm_txn_endpoint *e,
                                 const struct clm_observation *seen);
/* Is the new leaf served well enough not to go back to an expired old one? */
bool clm_txn_is_new_served(const struct clm_txn *t);

#endif
