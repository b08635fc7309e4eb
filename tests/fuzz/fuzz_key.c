/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys, in clear and encrypted. */
#include "agent/crypto/pkcs8.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(64);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(65536);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;

    MUST(clm_buf_add_str(&password, "changeit", NULL) == CLM_OK);
    if (clm_key_from_any(data, len, &password, &key, NULL) == CLM_OK) {
        MUST(clm_key_to_pem(key, &pem, NULL) == CLM_OK);
    }
    return 0;
}
