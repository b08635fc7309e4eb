/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem_server - the plan for a server that reads PEM files when it is reloaded
 *
 * What nginx and Apache have in common: check, put the files, check again, reload, see the new
 * certificate served. For the deployers of this folder only.
 */
#ifndef CLM_DEPLOYERS_PEM_SERVER_H
#define CLM_DEPLOYERS_PEM_SERVER_H

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/bundle.h"
#include "agent/model/io.h"
#include "agent/model/plan.h"
#include "agent/model/target.h"

#define CLM_PEM_DEADLINE_MS 30000 /* for proof of service; design.md 6 */

struct clm_pem_server {
    const char *name;     /* deployer's name */
    struct clm_strs test; /* argv of the server's own configuration test; empty: none can be run */
    int signo;            /* makes the main process read its files again */
};

/*
 * clm_target_check() - may this target be changed at all?
 *
 * Errors  CONFIG it is not manageable; CONFLICT the server does not run, or the new certificate
 *         lacks a name in use; UNSUPPORTED it runs in a container. Each with what to do.
 */
CLM_MUST_USE enum clm_code clm_target_check(const struct clm_service *service,
                                            const struct clm_target *target,
                                            const struct clm_bundle *bundle, struct clm_err *err);
/* The same for a server whose program is run to test. Errors also: CONFIG others than root could
 * change the program. */
CLM_MUST_USE enum clm_code clm_pem_check(const struct clm_io *io, const struct clm_service *service,
                                         const struct clm_target *target,
                                         const struct clm_bundle *bundle, struct clm_err *err);

/* Adds a FILE_PUT for each PEM file of the target, the key before the certificate. Errors: NOMEM,
 * LIMIT. */
CLM_MUST_USE enum clm_code clm_pem_puts(const struct clm_io *io, struct clm_plan *plan,
                                        const struct clm_target *target, struct clm_err *err);

/*
 * clm_pem_plan() - the steps
 *
 * In      server   borrowed
 * Out     out      CHECK, FILE_PUT key, chain, certificate, POST_CHECK, RELOAD, VERIFY
 * Errors  CONFLICT, UNSUPPORTED, LIMIT, NOMEM
 */
CLM_MUST_USE enum clm_code clm_pem_plan(const struct clm_io *io,
                                        const struct clm_pem_server *server,
                                        const struct clm_service *service,
                                        const struct clm_target *target, struct clm_plan *out,
                                        struct clm_err *err);

#endif
