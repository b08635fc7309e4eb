/* SPDX-License-Identifier: Apache-2.0 */
/*
 * closed - processes that may be seen, but not looked into
 *
 * Without CAP_SYS_PTRACE nobody reads another's /proc/PID/exe, fd, root or ns: "closed" processes.
 * What is left are stat, cmdline, status, cgroup and mountinfo, what systemd says of its units, and
 * the kernel's list of sockets with the control group each was made in. That is enough for every
 * server that runs as a unit of this host; of others it is said what cannot be seen.
 */
#ifndef CLM_SCANNERS_CLOSED_H
#define CLM_SCANNERS_CLOSED_H

#include "agent/base/err.h"
#include "agent/model/io.h"
#include "scanners/processes.h"

#define CLM_CLOSED_SWITCH "CAP_SYS_PTRACE for clmbot-host.service would show it (docs/sandbox.md)"

/* The program of a closed process as its own command line names it; "" if it does not, or if that is
 * not what the kernel calls it. In new memory; NULL: no memory. */
char *clm_closed_exe(const struct clm_io *io, const struct clm_process *process);

/* Children that rewrote their command line run what their parent runs. After parents are known.
 * Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_closed_inherit(struct clm_processes *list, struct clm_err *err);

/* Adds the listening sockets of this host's network with their control groups; where the kernel does
 * not list them, without. What went wrong goes to notes. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_closed_sockets(const struct clm_io *io, struct clm_processes *list,
                                              struct clm_strs *notes, struct clm_err *err);

/* Sockets without an owner that were made in the control group of a closed process become its own.
 * For the main processes of units: others share their group with whoever started them. */
void clm_closed_own(const struct clm_io *io, struct clm_processes *list, size_t process);

#endif
