/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a transaction: what is accepted is what we write. */
#include <string.h>

#include "agent/job/txn_record.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record record = {.n_files = 0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(1048576);

    if (clm_txn_record_decode((const char *)data, len, &record, NULL) == CLM_OK) {
        MUST(clm_txn_record_encode(&record, &out, NULL) == CLM_OK);
        MUST(out.len == len && memcmp(out.data, data, len) == 0);
    }
    return 0;
}
