/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "agent/ipc/guard.h"

#include <string.h>

enum clm_code clm_guard_text(const void *text, size_t len, struct clm_err *err)
{
    static const char mark[] = "PRIVATE KEY";

    if (len > 0 && memmem(text, len, mark, sizeof(mark) - 1) != NULL) {
        return clm_err_set(err, CLM_E_BUG,
                           "a private key was about to leave the host half; the "
                           "message was thrown away");
    }
    return CLM_OK;
}
