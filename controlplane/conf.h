/* SPDX-License-Identifier: Apache-2.0 */
/* conf - what `serve` is told: options of the command line and the JSON file of --config */
#ifndef CLM_CONTROLPLANE_CONF_H
#define CLM_CONTROLPLANE_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"

#define CLM_CP_CONF_MAX      ((size_t)64 * 1024) /* bytes of the file */
#define CLM_CP_CONNECTOR_MAX 16

enum clm_cp_connector_type {
    CLM_CP_CONNECTOR_BUILTIN,
    CLM_CP_CONNECTOR_ACME
};

struct clm_cp_connector {
    char name[65];
    enum clm_cp_connector_type type;
    /* builtin */
    bool dcv;         /* http-01 before issuing; false: issue at once */
    uint16_t port;    /* where tokens are fetched */
    char resolve[64]; /* numeric address to fetch from instead of DNS; "" */
    int64_t days;     /* life of a leaf */
    /* acme */
    char directory[512];
    char *ca_pem; /* trust anchors for the directory; NULL: the system's */
    struct clm_strs contact;
};

struct clm_cp_conf {
    struct clm_cp_connector *connectors;
    size_t n_connectors;
    char default_connector[65];
    char tenant[65];
    /* Times, in seconds; the defaults are protocol.md's. */
    int64_t wait_max_s;         /* 50 */
    int64_t lease_ttl_s;        /* 120 */
    int64_t agent_cert_s;       /* 14 days */
    int64_t recovery_window_s;  /* 180 days */
    int64_t retry_base_s;       /* 60 */
    int64_t retry_cap_s;        /* 3600 */
    int64_t reconnect_spread_s; /* 30 */
    /* Rates: requests per minute and burst. */
    int64_t agent_per_min; /* 60 */
    int64_t agent_burst; /* 120: protocol.md 6.4 says 30, an order with deployment takes some 20 */
    int64_t enroll_per_min; /* 60 per source address */
    int64_t enroll_burst;   /* 10 */
    int64_t token_per_min;  /* 10 per join token */
};

/* The defaults: one builtin connector "builtin" with http-01 on port 80. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_cp_conf_init(struct clm_cp_conf *conf, struct clm_err *err);
/* Reads a file over the defaults. Errors: CONFIG with the file's name and the member. */
CLM_MUST_USE enum clm_code clm_cp_conf_load(struct clm_cp_conf *conf, const char *path,
                                            struct clm_err *err);
void clm_cp_conf_done(struct clm_cp_conf *conf);

/* NULL if there is none of that name. */
const struct clm_cp_connector *clm_cp_conf_connector(const struct clm_cp_conf *conf,
                                                     const char *name);

#endif
