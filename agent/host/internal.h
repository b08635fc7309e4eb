/* SPDX-License-Identifier: Apache-2.0 */
/* internal - what the files of agent/host share; nobody outside includes this */
#ifndef CLM_HOST_INTERNAL_H
#define CLM_HOST_INTERNAL_H

#include <limits.h>

#include "agent/crypto/rng.h"
#include "agent/host/host.h"
#include "agent/host/ledger.h"
#include "agent/host/trust.h"
#include "agent/job/store.h"
#include "agent/job/txn.h"
#include "agent/model/job.h"
#include "agent/model/secret.h"
#include "agent/model/target.h"

#define CLM_HOST_SKEW_S                                                                            \
    300 /* clock difference to the control plane we live with; protocol.md 5.9 */

struct clm_host {
    const struct clm_config *config;
    const struct clm_io *io;
    struct clm_probe_route *route;
    char dir[PATH_MAX]; /* <state_dir>/host */
    int lock_fd;
    struct clm_rng *rng;
    struct clm_store *store;
    struct clm_trust trust;     /* agent_id "" before enrolment */
    struct clm_json *recovered; /* what this process finished or undid; NULL: not looked yet */
    bool is_recovered;          /* all of it */
};

/* One request being answered. */
struct clm_host_call {
    struct clm_host *host;
    const struct clm_host_session *session;
    const struct clm_json *body;
    struct clm_json *reply;
    struct clm_fail *fail;
};

/* Starts a refusal with the problem code of docs/ipc.md, "Fail"; the value is code. */
#define clm_refuse(call, err, code, what, ...)                                                     \
    (clm_host_problem((call), (what)), clm_err_set((err), (code), __VA_ARGS__))

/* Sets the problem code unless one is set already; returns code, so that it can end a function. */
void clm_host_problem(struct clm_host_call *call, const char *problem);
/* The same for an error that a library set: code is passed through. */
enum clm_code clm_host_problem_code(struct clm_host_call *call, const char *problem,
                                    enum clm_code code);
/* What the operator may do about it; at most one sentence. */
void clm_host_hint(struct clm_host_call *call, const char *hint);

/* Answers one operation. */
typedef enum clm_code (*clm_host_op_fn)(struct clm_host_call *call, struct clm_err *err);

enum clm_code clm_host_op_hello(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_scan(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_accept(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_csr(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_dcv_put(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_dcv_remove(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_cert_put(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_deploy(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_rollback(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_recheck(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_close(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_status(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_trust_put(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_local_plan(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_local_rollback(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_history(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_local_verify(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_certs(struct clm_host_call *call, struct clm_err *err);
enum clm_code clm_host_op_explain(struct clm_host_call *call, struct clm_err *err);

/* May a deployment write the target's files, if another certificate manager has them too?
 * Errors: PERM (E_POLICY) with what to do. */
CLM_MUST_USE enum clm_code clm_host_check_manager(struct clm_host_call *call,
                                                  const struct clm_target *target,
                                                  struct clm_err *err);

/*
 * clm_host_job() - the accepted job a request speaks of
 *
 * In      body of the call, member job_id
 * Out     record, envelope  for clm_job_record_done() and clm_job_envelope_done()
 * Errors  NOTFOUND (E_STATE) if it was never accepted
 */
CLM_MUST_USE enum clm_code clm_host_job(struct clm_host_call *call, struct clm_job_record *record,
                                        struct clm_job_envelope *envelope, struct clm_err *err);

/* The same, for what a job that is over may not be used for: else one old order would let the network
 * half ask for keys and place validation files for ever. Errors: also INVAL (E_STATE) it is over. */
CLM_MUST_USE enum clm_code clm_host_open_job(struct clm_host_call *call,
                                             struct clm_job_record *record,
                                             struct clm_job_envelope *envelope,
                                             struct clm_err *err);

/* A fresh scan of the services of the target's kind, and the target in it.
 * Errors: NOTFOUND (E_STATE) if it does not run here any more. inventory is the caller's. */
CLM_MUST_USE enum clm_code clm_host_find_target(struct clm_host_call *call, const char *id,
                                                struct clm_inventory *inventory,
                                                const struct clm_target **out_target,
                                                const struct clm_service **out_service,
                                                struct clm_err *err);

/* What a CA issued for a key that waits here; everything is borrowed. */
struct clm_issued {
    const char *key_ref;
    const char *chain_pem;          /* leaf and intermediates */
    const struct clm_names *wanted; /* names asked for; NULL: those it has */
    const char *certificate_id;
    struct clm_strs *changes; /* what the CA changed is appended; NULL: not asked */
};

/*
 * clm_host_bundle_take() - gates an issued certificate and stores it with its waiting key
 *
 * In      issued  the policy is asked for its names, also if wanted is NULL. A CA may have added
 *                 names that the policy allows; it may not have left one out
 * Out     out_leaf  zeroed by the caller
 * Errors  CRYPTO, PERM, PARSE, NOTFOUND; "certificate refused: ...". Nothing is kept then.
 */
CLM_MUST_USE enum clm_code clm_host_bundle_take(struct clm_host_call *call,
                                                const struct clm_issued *issued,
                                                struct clm_cert_info *out_leaf,
                                                struct clm_err *err);

/* Is there room for the validation files of one more order? Removes those that were forgotten for more
 * than a week. Errors: LIMIT. dcv_room.c */
CLM_MUST_USE enum clm_code clm_host_dcv_room(struct clm_host *host, struct clm_err *err);

/* Removes keys of orders that came to nothing; what cannot be removed stays for the next time. */
void clm_host_sweep_keys(struct clm_host *host);

/* Passwords for plans; borrows host. secrets.c */
struct clm_secret_source clm_host_secrets(struct clm_host *host);

/* Is the target's certificate installed, but not served before a restart? Looks with handshakes at a
 * target whose last transaction said so, and closes that in the history if it is over. waiting.c */
bool clm_host_is_waiting(struct clm_host *host, const char *target);

/* What install.c is to do: put the bundle where the target keeps its certificate. */
struct clm_install {
    const char *job_id; /* "" for a local command */
    const char *target;
    const struct clm_bundle *bundle;
    const char *expect_current_sha256; /* NULL: whatever is there */
    uint32_t retain;                   /* versions to keep; 0: as it is, or as the host says */
    bool is_rollback;
    bool leaves_failed; /* what was not proved stays (CLM_TXN_LEFT) */
    bool is_resumed;    /* an earlier process may have finished the same installation */
};

/* The plan for a target by a fresh scan; bundle may be NULL. plan is zeroed by the caller.
 * Errors: PERM policy; NOTFOUND, UNSUPPORTED, CONFLICT with the reason. */
CLM_MUST_USE enum clm_code clm_host_plan(struct clm_host_call *call, const char *target_id,
                                         const struct clm_bundle *bundle, struct clm_plan *plan,
                                         struct clm_err *err);

/*
 * clm_host_keep_generation() - records what is installed at a target now
 *
 * In      retain   versions to keep; 0: deploy.retain
 *         is_back  nothing newer came: what a job asked to keep before is kept
 * Errors  those of clm_store_generation_add()
 */
CLM_MUST_USE enum clm_code clm_host_keep_generation(struct clm_host *host, const char *target,
                                                    const char *sha256, uint32_t retain,
                                                    bool is_back, struct clm_err *err);

/* Plans, runs the transaction, keeps generation and history, and writes the result of docs/ipc.md
 * into call->reply. CLM_OK also when the outcome is a failure that is told there. */
CLM_MUST_USE enum clm_code clm_host_install(struct clm_host_call *call,
                                            const struct clm_install *install, struct clm_err *err);

struct clm_rollback {
    const char *job_id; /* "" for a local command */
    const char *target;
    uint32_t version; /* or CLM_GENERATION_BEFORE */
    bool is_resumed;
};

/* Installs a kept generation again, by the same transaction. Errors: NOTFOUND no such generation;
 * CONFLICT it has expired; and those of clm_host_install(). */
CLM_MUST_USE enum clm_code clm_host_roll_back(struct clm_host_call *call,
                                              const struct clm_rollback *rollback,
                                              struct clm_err *err);

/* A result for what was refused or failed before or outside a transaction. */
void clm_host_result_failed(struct clm_json *reply, const char *outcome, const char *target,
                            const struct clm_fail *fail, const struct clm_err *err);

#endif
