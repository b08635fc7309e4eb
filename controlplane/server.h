/* SPDX-License-Identifier: Apache-2.0 */
/* server - what all parts of a running control plane share */
#ifndef CLM_CONTROLPLANE_SERVER_H
#define CLM_CONTROLPLANE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "controlplane/conf.h"
#include "controlplane/db.h"
#include "controlplane/hub.h"
#include "controlplane/limits.h"
#include "controlplane/nonce.h"
#include "controlplane/pki.h"
#include "controlplane/worker.h"

#define CLM_CP_FAULT_RULES         16
#define CLM_CP_OPERATOR_TOKEN_SIZE 48 /* 43 characters of base64url, NUL, rounded */

struct clm_cp_peer_trust;

struct clm_cp {
    struct clm_cp_conf conf;
    struct clm_cp_hub *hub;
    struct clm_cp_worker *worker;
    struct clm_cp_peer_trust *peer_trust; /* read only */
    char operator_token[CLM_CP_OPERATOR_TOKEN_SIZE];
    char agent_url[160];                       /* what join tokens carry */
    char operator_url[160];                    /* for DIR/operator.url */
    const char *fault_path;                    /* test builds only; NULL */
    atomic_uint fault_file;                    /* checksum of the file */
    atomic_int fault_used[CLM_CP_FAULT_RULES]; /* uses of each rule since it changed */

    /* What follows is used with lock held: all requests share one database connection. */
    pthread_mutex_t lock;
    struct clm_cp_db *db;
    struct clm_cp_pki *pki;
    struct clm_cp_limits *limits;
    struct clm_cp_nonces *nonces;
};

#endif
