/* SPDX-License-Identifier: Apache-2.0 */
/* plane - keys in a temporary directory and a database in memory, without a server */
#ifndef CLM_TESTS_UNIT_CONTROLPLANE_PLANE_H
#define CLM_TESTS_UNIT_CONTROLPLANE_PLANE_H

#include "controlplane/tx.h"

#define TEST_AGENT "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"

struct plane {
    char dir[64];
    struct clm_cp_conf conf;
    struct clm_cp_pki *pki;
    struct clm_cp_db *db;
    struct clm_cp_tx tx;
};

/* A transaction is open, at now_s; there is one active agent, TEST_AGENT. Asserts. */
void plane_open(struct plane *plane, int64_t now_s);
/* The database is a file in dir, which others may open, too; no transaction is open. */
void plane_open_on_disk(struct plane *plane, int64_t now_s);
void plane_close(struct plane *plane);

#endif
