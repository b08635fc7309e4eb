/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units_run - a program outside this process's sandbox, as a unit of its own that systemd starts
 *
 * A server's configuration test binds ports and opens logs, a hook of root's does what it wants: for
 * either the host half has not the rights, and should not have them.
 */
#ifndef CLM_MAIN_UNITS_RUN_H
#define CLM_MAIN_UNITS_RUN_H

#include <stdbool.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/model/io.h"

/* True if this process lacks what root has (CAP_NET_BIND_SERVICE) and systemd can be asked. */
bool clm_units_must_run(void);

/*
 * clm_units_run() - has systemd start a program with all of root's rights, and waits for its end
 *
 * In      program     as for clm_proc_run(); the arguments can be seen by every user of the host
 * Out     out_status  as of clm_proc_run()
 *         output      stdout and stderr, at most CLM_PROC_OUTPUT_MAX bytes; may be NULL
 * Effect  a transient unit "clmbot-run-....service", gone when this returns; stopped at the time limit.
 *         If this process dies it goes on to its end, as a child of ours would.
 * Errors  NOTFOUND, PERM the program; TIMEOUT; UNSUPPORTED no systemd; IO
 */
CLM_MUST_USE enum clm_code clm_units_run(const struct clm_program *program, int *out_status,
                                         struct clm_buf *output, struct clm_err *err);

#endif
