/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of a file, whatever it is: what is accepted is written as PEM and read again. */
#include "agent/crypto/cert.h"
#include "agent/crypto/pkcs7.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *again = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT((size_t)4 * 1024 * 1024);

    if (clm_cert_chain_from_any(data, len, &chain, NULL) != CLM_OK) {
        return 0;
    }
    for (size_t i = 0; i < clm_cert_chain_count(chain); i++) {
        struct clm_cert_info info = {0};

        clm_ignore(clm_cert_info(chain, i, &info, NULL));
        clm_cert_info_done(&info);
        MUST(clm_cert_chain_pem(chain, i, &pem, NULL) == CLM_OK);
    }
    MUST(clm_cert_chain_from_pem(pem.data, pem.len, &again, NULL) == CLM_OK ||
         pem.len > CLM_CERT_CHAIN_PEM_MAX);
    clm_ignore(clm_cert_chain_check(chain, 1780000000, NULL));
    return 0;
}
