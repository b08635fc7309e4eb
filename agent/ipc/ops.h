/* SPDX-License-Identifier: Apache-2.0 */
/* ops - the operations the host half offers, and who may ask for them; docs/ipc.md */
#ifndef CLM_IPC_OPS_H
#define CLM_IPC_OPS_H

#include <stdbool.h>

/* The numbers are on the wire: never change one. */
enum clm_op {
    CLM_OP_NONE = 0,
    CLM_OP_HELLO = 1,
    CLM_OP_SCAN = 2,
    CLM_OP_JOB_ACCEPT = 3,
    CLM_OP_CSR = 4,
    CLM_OP_DCV_PUT = 5,
    CLM_OP_DCV_REMOVE = 6,
    CLM_OP_CERT_PUT = 7,
    CLM_OP_DEPLOY = 8,
    CLM_OP_ROLLBACK = 9,
    CLM_OP_RECHECK = 10,
    CLM_OP_CLOSE = 11,
    CLM_OP_STATUS = 12,
    CLM_OP_TRUST_PUT = 13,
    CLM_OP_LOCAL_PLAN = 14,
    CLM_OP_LOCAL_ROLLBACK = 15,
    CLM_OP_HISTORY = 16,
    CLM_OP_LOCAL_VERIFY = 17,
    CLM_OP_CERTS = 18,
    CLM_OP_EXPLAIN = 19,
    CLM_OP__COUNT
};

/* "hello", "job_accept", ...; "none" for everything that is no operation. */
const char *clm_op_name(enum clm_op op);
/* CLM_OP_NONE if there is none of that name. */
enum clm_op clm_op_find(const char *name);
/* True if only root or the host half's own user may ask for it; also for what is no operation. */
bool clm_op_needs_root(enum clm_op op);

#endif
