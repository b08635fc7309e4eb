/* SPDX-License-Identifier: Apache-2.0 */
/* route - all requests the control plane answers, as one table; docs/openapi.yaml describes them */
#ifndef CLM_CONTROLPLANE_ROUTE_H
#define CLM_CONTROLPLANE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"

#define CLM_CP_PARAM_SIZE 72 /* an id, or 64 hexadecimal digits, and a NUL */

struct clm_cp_request;
struct clm_cp_answer;

enum clm_cp_listener {
    CLM_CP_AGENT_API,
    CLM_CP_OPERATOR_API
};

enum clm_cp_auth {
    CLM_CP_AUTH_NONE,
    CLM_CP_AUTH_PROOF,    /* the body carries a proof that the handler checks */
    CLM_CP_AUTH_AGENT,    /* client certificate of an active agent */
    CLM_CP_AUTH_REPORT,   /* the same, also while disabled or quarantined: results, events, bye */
    CLM_CP_AUTH_OPERATOR, /* bearer token */
};

typedef enum clm_code (*clm_cp_handler_fn)(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                           struct clm_err *err);

struct clm_cp_route {
    enum clm_cp_listener listener;
    const char *method;
    const char *pattern; /* "{id}", "{page}" stand for one path segment each */
    enum clm_cp_auth auth;
    bool idempotency_key; /* the header is required */
    size_t body_max;      /* bytes; 0: no body is read */
    clm_cp_handler_fn handler;
};

/* The table, in the order of the documentation. */
const struct clm_cp_route *clm_cp_routes(size_t *out_count);

/* Whether path fits pattern; what stood for the names in braces goes to param, joined by "/". */
bool clm_cp_route_match(const char *pattern, const char *path, char param[CLM_CP_PARAM_SIZE]);

/*
 * clm_cp_route_find() - the row for a request
 *
 * Out     param  what stood for {id}
 *         out_other_method  true if the path exists for another method
 * Returns NULL if nothing fits.
 */
const struct clm_cp_route *clm_cp_route_find(enum clm_cp_listener listener, const char *method,
                                             const char *path, char param[CLM_CP_PARAM_SIZE],
                                             bool *out_other_method);

const char *clm_cp_auth_name(enum clm_cp_auth auth); /* "none", "proof", "agent", ... */

#endif
