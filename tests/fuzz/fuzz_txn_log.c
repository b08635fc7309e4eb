/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a transaction. */
#include "agent/job/txn_log.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint32_t n = 0;
    enum clm_txn_state state = CLM_TXN_PREPARED;

    clm_ignore(clm_txn_log_decode(data, len, "txn_01J9ZK5D0B2M4N6P8Q0R2S4T6V", &n, &state, NULL));
    return 0;
}
