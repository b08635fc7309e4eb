/* SPDX-License-Identifier: Apache-2.0 */
/* catalina.properties. */
#include "agent/formats/properties.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_INIT(65536);
    bool found = false;

    clm_ignore(clm_properties_find(data, len, "a", &value, &found, NULL));
    return 0;
}
