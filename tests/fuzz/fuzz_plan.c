/* SPDX-License-Identifier: Apache-2.0 */
/* A plan from a journal. */
#include "agent/base/json.h"
#include "agent/model/plan.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_plan_done) struct clm_plan plan = {.n_steps = 0};

    if (clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, NULL) == CLM_OK) {
        clm_ignore(clm_plan_from_json(root, &plan, NULL));
    }
    return 0;
}
