/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keystore/internal.h"

static bool detect(const uint8_t *data, size_t len)
{
    (void)data;
    (void)len;
    return false;
}

const struct clm_keystore_ops clm_pkcs12_ops = {.type = CLM_KEYSTORE_PKCS12, .detect = detect};
