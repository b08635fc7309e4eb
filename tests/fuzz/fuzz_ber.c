/* SPDX-License-Identifier: Apache-2.0 */
/* BER made DER: the result is DER already. */
#include <string.h>

#include "agent/crypto/ber.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(2097152);
    CLM_CLEANUP(clm_buf_done) struct clm_buf again = CLM_BUF_INIT(2097152);

    if (clm_ber_to_der(data, len, &der, NULL, NULL) == CLM_OK) {
        MUST(clm_ber_to_der(der.data, der.len, &again, NULL, NULL) == CLM_OK);
        MUST(again.len == der.len && memcmp(again.data, der.data, der.len) == 0);
    }
    return 0;
}
