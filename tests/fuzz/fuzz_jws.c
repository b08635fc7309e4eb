/* SPDX-License-Identifier: Apache-2.0 */
/* A signed job: no input is ever good, because nobody has the key. */
#include "agent/base/json.h"
#include "agent/crypto/jws.h"
#include "tests/fuzz/target.h"

static enum clm_code no_key(void *ctx, const char *kid, const struct clm_pubkey **out_key,
                            struct clm_err *err)
{
    (void)ctx;
    (void)kid;
    (void)out_key;
    return clm_err_set(err, CLM_E_NOTFOUND, "no such key");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct clm_jws_policy policy = {.typ = CLM_JWS_TYP_JOB, .find_key = no_key};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);

    if (clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, NULL) == CLM_OK) {
        MUST(clm_jws_verify(root, &policy, &payload, NULL) != CLM_OK);
        MUST(payload.len == 0);
    }
    return 0;
}
