/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scanner - how one product is recognised among the running processes and read
 *
 * agent/host walks /proc once (scanners/processes.h) and hands every main process to the scanners
 * in the order of the registry; the first that claims it reads its configuration. A scanner reads
 * only, through the lent clm_io. It never fails for one bad file: it notes the reason and goes on.
 */
#ifndef CLM_SCANNERS_SCANNER_H
#define CLM_SCANNERS_SCANNER_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "agent/model/io.h"
#include "agent/model/target.h"

struct clm_process; /* scanners/processes.h */

struct clm_scanner_ops {
    const char *name;    /* [a-z][a-z0-9_]{0,23}: the kind of its services and of target ids */
    const char *summary; /* one line for the manual */

    /* MUST. True if this process is the main process of a server of this product. Its arguments are
     * known only if it is a launcher, java or jsvc. */
    bool (*claims)(const struct clm_process *process);
    /* MUST. Fills version, config_path, targets, webroots. Everything that belongs to the process
     * itself (pid, unit, listeners ...) is already there. Errors: NOMEM only; all else becomes a
     * remark of the service or a reason of a target. */
    enum clm_code (*read)(const struct clm_io *io, const struct clm_process *process,
                          struct clm_service *service, struct clm_err *err);
};

/* Every scanner built in; ends with NULL. */
const struct clm_scanner_ops *const *clm_scanners_all(void);

/*
 * clm_scan_host() - services, sockets and targets of this host
 *
 * In      io    the host half's table
 *         kinds only services of these kinds, NULL or empty: all
 * Out     out   zero-initialised by the caller, the caller's to free
 * Errors  NOMEM; IO if /proc cannot be read at all. Single faults go to out->errors.
 */
CLM_MUST_USE enum clm_code clm_scan_host(const struct clm_io *io, const struct clm_strs *kinds,
                                         struct clm_inventory *out, struct clm_err *err);

#endif
