/* SPDX-License-Identifier: Apache-2.0 */
/* A join token, as an operator pastes it. */
#include "agent/crypto/token.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct clm_token token;

    clm_ignore(clm_token_parse((const char *)data, len, &token, NULL));
    clm_token_done(&token);
    return 0;
}
