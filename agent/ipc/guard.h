/* SPDX-License-Identifier: Apache-2.0 */
/* guard - private keys never cross the socket: both ends look before they let a text through */
#ifndef CLM_IPC_GUARD_H
#define CLM_IPC_GUARD_H

#include <stddef.h>

#include "agent/base/err.h"

/* Errors: BUG if the text holds the armour of a private key ("PRIVATE KEY"). */
CLM_MUST_USE enum clm_code clm_guard_text(const void *text, size_t len, struct clm_err *err);

#endif
