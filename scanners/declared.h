/* SPDX-License-Identifier: Apache-2.0 */
/*
 * declared - targets of root's own making: certificate files of programs that no scanner knows
 *
 * io->policy has them (agent/model/declared.h). Each is a service of kind "file" with one target
 * "file:NAME"; files that do not exist yet are no fault, the first deployment makes them.
 */
#ifndef CLM_SCANNERS_DECLARED_H
#define CLM_SCANNERS_DECLARED_H

#include "agent/base/err.h"
#include "agent/model/declared.h"
#include "agent/model/io.h"
#include "agent/model/target.h"

/* Adds every declared target. Errors: NOMEM; all else becomes a reason of a target. */
CLM_MUST_USE enum clm_code clm_declared_add(const struct clm_io *io,
                                            struct clm_inventory *inventory, struct clm_err *err);

/* ---- declared_read.c ---- */

/* Certificate, chain_ok, key_matches of a target whose files are there. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_declared_look(const struct clm_io *io,
                                             const struct clm_declared *declared,
                                             struct clm_target *target, struct clm_err *err);

#endif
