/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate request that an operator uploads. */
#include "agent/crypto/csr.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    struct clm_csr_info info;

    clm_ignore(clm_csr_parse(data, len, &info, NULL));
    clm_csr_info_done(&info);
    if (clm_csr_from_pem(data, len, &der, NULL) == CLM_OK) {
        clm_ignore(clm_csr_parse(der.data, der.len, &info, NULL));
        clm_csr_info_done(&info);
    }
    return 0;
}
