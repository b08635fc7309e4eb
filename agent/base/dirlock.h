/* SPDX-License-Identifier: Apache-2.0 */
/* dirlock - one process at a time per state directory: flock(2) on <dir>/lock */
#ifndef CLM_BASE_DIRLOCK_H
#define CLM_BASE_DIRLOCK_H

#include <stdint.h>

#include "agent/base/err.h"

/*
 * clm_dirlock_take() - locks a state directory
 *
 * In      dir      absolute; the file "lock" in it is created 0600 and never removed
 *         wait_ms  keep trying for that long; 0: once
 * Out     out_fd   holds the lock until it is closed (clm_fs_close_p) or the process ends; children
 *                  do not inherit it (O_CLOEXEC)
 * Errors  CONFLICT another process holds it: the message names its pid if known; PERM; IO
 * Source  flock(2)
 */
CLM_MUST_USE enum clm_code clm_dirlock_take(const char *dir, uint32_t wait_ms, int *out_fd,
                                            struct clm_err *err);

#endif
