/* SPDX-License-Identifier: Apache-2.0 */
/* An inventory, as the other half and the control plane read it. */
#include "agent/base/json.h"
#include "agent/model/target.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};

    if (clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, NULL) == CLM_OK) {
        clm_ignore(clm_inventory_from_json(root, &inventory, NULL));
    }
    return 0;
}
