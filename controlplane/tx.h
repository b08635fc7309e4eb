/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tx - one unit of work: a database transaction, its time, and whom to wake once it is durable
 *
 * All domain functions (agents, jobs, orders ...) take one. Wakes are delivered after the commit
 * and dropped by a rollback, so nobody is woken for what did not happen.
 */
#ifndef CLM_CONTROLPLANE_TX_H
#define CLM_CONTROLPLANE_TX_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "controlplane/conf.h"
#include "controlplane/db.h"
#include "controlplane/hub.h"
#include "controlplane/pki.h"

struct clm_cp_worker;

struct clm_cp_tx {
    struct clm_cp_db *db;
    struct clm_cp_hub *hub;       /* NULL in unit tests */
    struct clm_cp_worker *worker; /* NULL in unit tests and in the worker itself */
    const struct clm_cp_conf *conf;
    const struct clm_cp_pki *pki;
    int64_t now_s;
    struct clm_strs wakes;
    bool wake_worker; /* there is work for it after the commit */
    bool is_open;
};

#define CLM_CP_TOPIC_EVENTS "events"

CLM_MUST_USE enum clm_code clm_cp_tx_begin(struct clm_cp_tx *tx, bool write, struct clm_err *err);
/* Commits, then wakes. */
CLM_MUST_USE enum clm_code clm_cp_tx_commit(struct clm_cp_tx *tx, struct clm_err *err);
/* For CLM_CLEANUP: rolls back what was not committed, frees the list of wakes. */
void clm_cp_tx_done(struct clm_cp_tx *tx);

/* Resumes held requests on topic after the commit. */
CLM_MUST_USE enum clm_code clm_cp_tx_wake(struct clm_cp_tx *tx, const char *topic,
                                          struct clm_err *err);
/* Raises the agent's work_seq, so that its next or held poll answers at once. */
CLM_MUST_USE enum clm_code clm_cp_tx_bump(struct clm_cp_tx *tx, const char *agent_id,
                                          struct clm_err *err);
/* One line for GET /api/v1/events: kind "agent", "job", "certificate", "order", "inventory". */
CLM_MUST_USE enum clm_code clm_cp_tx_note(struct clm_cp_tx *tx, const char *kind, const char *id,
                                          const char *what, struct clm_err *err);

#endif
