/* SPDX-License-Identifier: Apache-2.0 */
/* confine - the network half gives up what it does not need, beyond what its unit takes from it */
#ifndef CLM_RUN_CONFINE_H
#define CLM_RUN_CONFINE_H

#include "config/config.h"

/*
 * clm_run_confine() - from here on: own state and sockets to write, the system's files to read
 *
 * In      config  its directories; they exist
 * Effect  Landlock holds for this process and its jobs. Only if no_new_privs is set already, as its
 *         unit does: where the agent is started by hand, a debugger's or a test's files are its own
 *         business. A failure is logged.
 * Result  Landlock's version that is in force; 0: none
 */
int clm_run_confine(const struct clm_config *config);

#endif
