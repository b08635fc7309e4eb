/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn - the deploy transaction: all of the new certificate, proved by handshake, or all of the old
 *
 * Takes a plan (data from a deployer) and a bundle, and installs it so that a kill or a power cut at
 * any instant leaves all old or all new files once clm_txn_recover() has run. Used by agent/host,
 * which holds the lock on the state directory and runs recovery first. Design: docs/journal.md.
 *
 * Below env->dir, which is 0700 and ours: txn.prep (being written), txn/<txid> (live journals),
 * txn.done (being deleted), quarantine/<txid> (what recovery could not finish; holds old keys, 0600).
 */
#ifndef CLM_JOB_TXN_H
#define CLM_JOB_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/model/bundle.h"
#include "agent/model/io.h"
#include "agent/model/plan.h"
#include "agent/model/policy.h"
#include "agent/model/probe.h"
#include "agent/model/secret.h"

#define CLM_TXN_FILES_MAX     16 /* FILE_PUT steps of a plan; nginx with two key types takes 4 */
#define CLM_TXN_ENDPOINTS_MAX 64 /* over all VERIFY steps */
#define CLM_TXN_STEPS_MAX     32 /* reported */
#define CLM_TXN_DETAIL_SIZE   320

/* What is happening now, for progress and for the control plane (docs/ipc.md, "Event"). */
struct clm_txn_event {
    const char *phase;  /* "preflight" "prepare" "stage" "swap" "reload" "verify" "commit"
                          "rolling_back" "recover"; NULL if this is about a step */
    const char *step;   /* name of a finished step; NULL if this is about a phase */
    const char *status; /* "ok", "failed", "skipped", "warning" */
    int64_t ms;         /* how long it took */
};

struct clm_txn_env {
    const char *dir;                 /* the host half's state directory, absolute, exists */
    const struct clm_io *io;         /* run run_env stat signal unit_state unit_reload unit_restart
                                http (here) probe now_s mono_ms sleep_ms */
    const struct clm_policy *policy; /* write roots; NULL: none are checked (recovery, tests) */
    void (*on_event)(void *arg, const struct clm_txn_event *event); /* NULL: nobody listens */
    void *event_arg;
    bool (*cancelled)(void *arg); /* with event_arg; NULL: never. Before the swap: nothing changed;
                                     between swap and commit: rolled back; later: ignored */
    /* Waits before reloads that are tried again in a rollback; NULL: 1 s, 5 s, 25 s. */
    const uint32_t *reload_retry_ms;
    size_t n_reload_retry;
    struct clm_secret_source secrets; /* passwords of keystores, keys and managers */
    bool leaves_failed; /* a reload or proof that fails after the new files passed the server's own
                           test changes nothing back: LEFT. What is killed is undone all the same */
    uint32_t check_timeout_ms;  /* for CHECK and POST_CHECK programs; 0: 30,000 */
    uint32_t reload_timeout_ms; /* 0: 90,000 (reliability: systemd's own DefaultTimeoutStartSec) */
};

enum clm_txn_result {
    CLM_TXN_FAILED,      /* nothing was changed */
    CLM_TXN_NOOP,        /* the certificate was installed and served already */
    CLM_TXN_SUCCEEDED,   /* installed, and every counted endpoint serves it */
    CLM_TXN_ROLLED_BACK, /* the old files are in place again; is_proved: and served again */
    CLM_TXN_BLOCKED, /* cannot be undone now (disk read-only, I/O error), or was stopped before the
                            server was seen with the old files: the journal is kept and the next
                            recovery tries again */
    CLM_TXN_NEEDS_HUMAN, /* a foreign edit, a lost copy, or the server does not take the old files
                            back: err says what to do */
    CLM_TXN_WAITING,     /* installed and committed; the old certificate is served until somebody
                            restarts the server */
    CLM_TXN_LEFT,        /* installed, not proved, and left so because env->leaves_failed says it */
    CLM_TXN__COUNT
};

struct clm_txn_step {
    char name[64];      /* "preflight" "check" "baseline" "prepare" "stage" "swap" "post-check"
                              "reload" "verify" "commit" "rollback" "rollback-reload"
                              "rollback-verify" "cleanup" "recover" "keystore" */
    const char *status; /* "ok", "failed", "skipped", "warning"; a literal */
    int64_t ms;
    char detail[CLM_TXN_DETAIL_SIZE]; /* "" or one line; never key material */
};

enum clm_served { /* what an endpoint shows, against the two leaves of the transaction */
    CLM_SERVED_NEW,
    CLM_SERVED_OLD,
    CLM_SERVED_OTHER,  /* another leaf */
    CLM_SERVED_NOTHING /* refused, timeout, no handshake */
};

struct clm_txn_endpoint {
    struct clm_endpoint endpoint;
    bool is_counted; /* false: it did not serve the target's certificate before (another server
                        block answers, or it was broken): reported, not judged */
    struct clm_observation before;   /* baseline */
    struct clm_observation after;    /* last one after the reload; at_ms 0: none was made */
    struct clm_observation rollback; /* last one after the rollback; at_ms 0: none was made */
};

struct clm_txn_outcome {
    enum clm_txn_result result;
    bool
        is_degraded; /* SUCCEEDED, but not everything is well: the last step with "warning" says what */
    bool is_proved;         /* the final state was seen on the wire, on every counted endpoint */
    bool is_recovery;       /* made by clm_txn_recover() */
    bool is_interrupted;    /* FAILED or BLOCKED while `cancelled` said so: no verdict, try again */
    char txid[CLM_ID_SIZE]; /* "txn_<ULID>"; "" if it failed before one was made */
    char target[CLM_TARGET_ID_SIZE];
    char before_sha256[CLM_SHA256_HEX_SIZE]; /* leaf in the target's file; "" if there was none */
    char after_sha256[CLM_SHA256_HEX_SIZE];  /* leaf in the file when the transaction ended */
    struct clm_txn_step steps[CLM_TXN_STEPS_MAX];
    size_t n_steps;
    struct clm_txn_endpoint *endpoints;
    size_t n_endpoints;
    struct clm_err err; /* why it is not SUCCEEDED; err.code CLM_OK otherwise */
};

void clm_txn_outcome_done(struct clm_txn_outcome *outcome); /* for CLM_CLEANUP */

/* Are the new files the ones in place, for good? */
bool clm_txn_is_in_place(enum clm_txn_result result);
const char *clm_txn_result_name(enum clm_txn_result result); /* "failed" "noop" "succeeded" ... */

/*
 * {"txid","target","result","degraded","proved","recovered","before_sha256","after_sha256",
 *  "steps":[{"name","status","ms","detail"}],"endpoints":[{endpoint members,"counted","before",
 *  "after","rollback"}],"error":null|{"code","message"}}: for history and result.
 */
void clm_txn_outcome_to_json(const struct clm_txn_outcome *outcome, struct clm_json *obj);

/*
 * clm_txn_deploy() - installs a bundle by a plan
 *
 * In      env     the caller holds clm_dirlock_take(env->dir) and has run clm_txn_recover()
 *         plan    fresh; FILE_PUT paths may be symlinks, which are resolved and kept
 *         bundle  key_path is read only if a step needs the key
 *         expect_old_sha256  leaf that must be in the target's file now, or NULL for any
 * Out     out     always valid, also on error; for clm_txn_outcome_done()
 * Effect  see docs/journal.md. Temporary files ".<name>.clmbot.<hex>" beside the targets meanwhile.
 * Blocks  for checks, reload and probes: up to the plan's deadline twice, and the retries.
 * Errors  CLM_OK: SUCCEEDED, NOOP or WAITING. Else the code of the first failure, the same as out->err;
 *         out->result says what is in place. Before anything changed (FAILED): CONFLICT the target
 *         changed, is hard-linked, mounted or not as expected; PERM policy or file system; CONFIG a
 *         CHECK said no; INVAL the bundle does not fit the plan; CANCELLED. After: VERIFY, IO ...
 */
CLM_MUST_USE enum clm_code clm_txn_deploy(const struct clm_txn_env *env,
                                          const struct clm_plan *plan,
                                          const struct clm_bundle *bundle,
                                          const char *expect_old_sha256,
                                          struct clm_txn_outcome *out, struct clm_err *err);

/*
 * clm_txn_prove() - handshakes only: does every endpoint of the plan serve this leaf?
 *
 * Out     out     endpoints with `after` filled; result NOOP (all do) or FAILED
 * Errors  VERIFY
 */
CLM_MUST_USE enum clm_code clm_txn_prove(const struct clm_txn_env *env, const struct clm_plan *plan,
                                         const char *leaf_sha256, struct clm_txn_outcome *out,
                                         struct clm_err *err);

struct clm_txn_outcomes {
    struct clm_txn_outcome *v;
    size_t n;
};
void clm_txn_outcomes_done(struct clm_txn_outcomes *outcomes); /* for CLM_CLEANUP */

/*
 * clm_txn_recover() - finishes or undoes what an earlier process left; first in every host start
 *
 * In      boot    true: files only, no reload and no handshake (the services are not up yet)
 * Out     out     one outcome for each journal found; SUCCEEDED for a transaction that had committed
 * Errors  only if the state directory itself cannot be used (PERM, IO). A journal that cannot be
 *         finished is an outcome (BLOCKED, NEEDS_HUMAN), never an error: the others go on.
 */
CLM_MUST_USE enum clm_code clm_txn_recover(const struct clm_txn_env *env, bool boot,
                                           struct clm_txn_outcomes *out, struct clm_err *err);

#endif
