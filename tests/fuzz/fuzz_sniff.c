/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is, told from its first bytes. */
#include "agent/keystore/sniff.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    MUST(clm_cert_file_name(clm_cert_file_sniff(data, len).kind)[0] != '\0');
    return 0;
}
