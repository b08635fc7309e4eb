/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - the thread for what takes long or comes with time
 *
 * It drives orders (fetching challenge files, talking to ACME servers), marks lapsed leases, queues
 * retries, and removes what is too old. It has its own database connection and its own keys; while
 * it waits for the network it holds no transaction.
 */
#ifndef CLM_CONTROLPLANE_WORKER_H
#define CLM_CONTROLPLANE_WORKER_H

#include "agent/base/err.h"
#include "controlplane/conf.h"
#include "controlplane/hub.h"

struct clm_cp_worker;

/* Opens its own connection on dir and starts the thread; the other arguments must outlive it. */
CLM_MUST_USE enum clm_code clm_cp_worker_start(const char *dir, const struct clm_cp_conf *conf,
                                               struct clm_cp_hub *hub,
                                               struct clm_cp_worker **out_worker,
                                               struct clm_err *err);
/* Asks it to look for work now. */
void clm_cp_worker_wake(struct clm_cp_worker *worker);
/* Stops and joins; waits for a network exchange that is under way. Accepts NULL. */
void clm_cp_worker_stop(struct clm_cp_worker *worker);

#endif
