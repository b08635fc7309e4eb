/* SPDX-License-Identifier: Apache-2.0 */
/* spawn - a host half of one's own, for root's local commands where no socket waits */
#ifndef CLM_IPC_SPAWN_H
#define CLM_IPC_SPAWN_H

#include "agent/base/err.h"
#include "agent/ipc/link.h"

/*
 * clm_link_spawn() - starts "<exe> host --fd 3 [--config PATH]" on a socket pair
 *
 * In      exe          absolute; NULL: this executable
 *         config_path  NULL or "": the host half's default
 * Out     out          clm_link_free() ends the connection and waits for the process
 * Errors  NOTFOUND, PERM exe; IO; NOMEM
 */
CLM_MUST_USE enum clm_code clm_link_spawn(const char *exe, const char *config_path,
                                          struct clm_link **out, struct clm_err *err);

#endif
