/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from the network: what is accepted is printed and read again as the same. */
#include <string.h>

#include "agent/base/json.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *again = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf first = CLM_BUF_INIT(8 * (size_t)CLM_JSON_TEXT_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf second = CLM_BUF_INIT(8 * (size_t)CLM_JSON_TEXT_MAX);

    if (clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, NULL) != CLM_OK) {
        return 0;
    }
    if (clm_json_print(root, false, &first, NULL) != CLM_OK) {
        return 0;
    }
    MUST(clm_json_parse(clm_buf_str(&first), first.len, first.max, &again, NULL) == CLM_OK);
    MUST(clm_json_print(again, false, &second, NULL) == CLM_OK);
    MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    return 0;
}
