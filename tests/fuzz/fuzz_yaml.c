/* SPDX-License-Identifier: Apache-2.0 */
/* clmbot.yaml, as far as its shape goes. */
#include "config/yaml.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_yaml_free_p) struct clm_yaml *root = NULL;

    if (clm_yaml_parse("input", (const char *)data, len, &root, NULL) == CLM_OK) {
        MUST(clm_yaml_line(root) >= 1 && clm_yaml_column(root) >= 1);
    }
    return 0;
}
