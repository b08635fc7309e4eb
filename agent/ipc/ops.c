/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ipc/ops.h"

#include <string.h>

struct op_row {
    const char *name;
    bool root_only;
};

static const struct op_row ops[CLM_OP__COUNT] = {
    [CLM_OP_NONE] = {"none", true},
    [CLM_OP_HELLO] = {"hello", false},
    [CLM_OP_SCAN] = {"scan", false},
    [CLM_OP_JOB_ACCEPT] = {"job_accept", false},
    [CLM_OP_CSR] = {"csr", false},
    [CLM_OP_DCV_PUT] = {"dcv_put", false},
    [CLM_OP_DCV_REMOVE] = {"dcv_remove", false},
    [CLM_OP_CERT_PUT] = {"cert_put", false},
    [CLM_OP_DEPLOY] = {"deploy", false},
    [CLM_OP_ROLLBACK] = {"rollback", false},
    [CLM_OP_RECHECK] = {"recheck", false},
    [CLM_OP_CLOSE] = {"close", false},
    [CLM_OP_STATUS] = {"status", false},
    [CLM_OP_TRUST_PUT] = {"trust_put", true},
    [CLM_OP_LOCAL_PLAN] = {"local_plan", true},
    [CLM_OP_LOCAL_ROLLBACK] = {"local_rollback", true},
    [CLM_OP_HISTORY] = {"history", true},
    [CLM_OP_LOCAL_VERIFY] = {"local_verify", true},
    [CLM_OP_CERTS] = {"certs", false},
    [CLM_OP_EXPLAIN] = {"explain", true},
};

const char *clm_op_name(enum clm_op op)
{
    if ((unsigned)op >= CLM_OP__COUNT) {
        return ops[CLM_OP_NONE].name;
    }
    return ops[op].name;
}

enum clm_op clm_op_find(const char *name)
{
    for (unsigned i = CLM_OP_NONE + 1; i < CLM_OP__COUNT; i++) {
        if (strcmp(ops[i].name, name) == 0) {
            return (enum clm_op)i;
        }
    }
    return CLM_OP_NONE;
}

bool clm_op_needs_root(enum clm_op op)
{
    if ((unsigned)op >= CLM_OP__COUNT) {
        return true;
    }
    return ops[op].root_only;
}
