/* SPDX-License-Identifier: Apache-2.0 */
/* proc - runs another program: no shell, no PATH, an empty environment, a time limit */
#ifndef CLM_BASE_PROC_H
#define CLM_BASE_PROC_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_PROC_OUTPUT_MAX 65536u /* bytes of stdout and stderr kept; protocol.md 13 */

struct clm_proc {
    const char *const *argv; /* NULL-ended; argv[0] absolute, and executed as is */
    const char *const *env;  /* NULL-ended "K=V"; NULL: PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C */
    const char *cwd;         /* NULL: "/" */
    uint32_t timeout_ms;     /* > 0; then SIGTERM to its process group, 2 s later SIGKILL */
    size_t output_max;       /* the rest is read and dropped; 0: CLM_PROC_OUTPUT_MAX */
};

/*
 * clm_proc_run() - runs a program and waits for it
 *
 * Out     out_status  exit status 0..255, or 128 + signal
 *         output      stdout and stderr as they came; caller's buffer, may be NULL
 * Errors  NOTFOUND, PERM program or cwd; TIMEOUT; INVAL no absolute path or no time limit; IO;
 *         NOMEM nothing was run.
 *         A non-zero exit status is not an error.
 */
CLM_MUST_USE enum clm_code clm_proc_run(const struct clm_proc *proc, int *out_status,
                                        struct clm_buf *output, struct clm_err *err);

#endif
