/* SPDX-License-Identifier: Apache-2.0 */
/* serve - a control plane from its data directory: opened, served, closed */
#ifndef CLM_CONTROLPLANE_SERVE_H
#define CLM_CONTROLPLANE_SERVE_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "agent/base/str.h"

struct clm_cp_serve_opts {
    const char *dir; /* created 0700 if missing */
    const char *listen;
    const char *operator_listen;
    const struct clm_strs *names; /* further names and addresses of the server certificate */
    const char *config;           /* NULL: the defaults */
    const char *fault;            /* test builds only; NULL */
    bool json;                    /* announce the listeners as one JSON line */
};

/*
 * clm_cp_serve() - serves until SIGTERM or SIGINT
 *
 * Effect  one line on stdout when both listeners are ready; DIR/operator.token is made on the first
 *         start, DIR/operator.url and DIR/ca.pem tell the commands where and how to connect
 * Errors  CONFIG; CONFLICT another process serves this directory; INVAL an address; IO
 */
CLM_MUST_USE enum clm_code clm_cp_serve(const struct clm_cp_serve_opts *opts, struct clm_err *err);

#endif
