/* SPDX-License-Identifier: Apache-2.0 */
/* Bags of certificates, also in BER. */
#include "agent/crypto/pkcs7.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;

    clm_ignore(clm_pkcs7_read(data, len, &chain, NULL));
    return 0;
}
