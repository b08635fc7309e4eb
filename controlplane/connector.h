/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connector - where certificates come from, as the worker sees it
 *
 * A step takes an order in one of the states created, dcv_ready, validating and moves it on. It may
 * use the network, and holds no transaction meanwhile. Errors that are transient
 * (clm_code_is_transient), IO and NOMEM are tried again later; any other ends the order with its
 * message.
 */
#ifndef CLM_CONTROLPLANE_CONNECTOR_H
#define CLM_CONTROLPLANE_CONNECTOR_H

#include "agent/base/err.h"
#include "agent/net/http.h"
#include "controlplane/conf.h"
#include "controlplane/orders.h"
#include "controlplane/tx.h"

struct clm_cp_work {
    struct clm_cp_tx *tx; /* for clm_cp_tx_begin() and _commit() around each group of writes */
    const struct clm_cp_connector *connector;
    struct clm_http *http; /* plain http allowed, no proxy */
    const char *dir;       /* where a connector keeps an account */
    /* Until the worker's next turn. A step lowers it if the order is due again before: the order's own
     * time has whole seconds only. */
    uint32_t again_ms;
};

typedef enum clm_code (*clm_cp_step_fn)(struct clm_cp_work *work, const struct clm_cp_order *order,
                                        struct clm_err *err);

struct clm_cp_connector_ops {
    const char *name;  /* as in the configuration */
    int64_t tries_max; /* of one step, with waits of 1, 2, 4 ... 60 s */
    clm_cp_step_fn step;
};

extern const struct clm_cp_connector_ops clm_cp_builtin_ops;
extern const struct clm_cp_connector_ops clm_cp_acme_ops;

/* Indexed by the type in the configuration. */
const struct clm_cp_connector_ops *clm_cp_connector_ops(enum clm_cp_connector_type type);

#endif
