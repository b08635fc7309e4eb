/* SPDX-License-Identifier: Apache-2.0 */
/* schema - the tables, and the steps from each older version to the newest */
#ifndef CLM_CONTROLPLANE_SCHEMA_H
#define CLM_CONTROLPLANE_SCHEMA_H

#include "controlplane/db.h"

/* Errors: CONFIG if the file is newer than this program; IO. */
CLM_MUST_USE enum clm_code clm_cp_schema_apply(struct clm_cp_db *db, struct clm_err *err);

#endif
