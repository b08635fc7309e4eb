/* SPDX-License-Identifier: Apache-2.0 */
/* job_child - "clmbot _job ID": one piece of work in a process of its own */
#ifndef CLM_RUN_JOB_CHILD_H
#define CLM_RUN_JOB_CHILD_H

#include "config/config.h"

/* Exit statuses of clm_run_job(). */
#define CLM_JOB_EXIT_OK    0
#define CLM_JOB_EXIT_FAULT 1  /* the log says why */
#define CLM_JOB_EXIT_LATER 75 /* not now: the record says when (EX_TEMPFAIL of sysexits.h) */

/* Work that is no job of the control plane; in place of a job id. */
#define CLM_JOB_ID_SCAN    "@scan"    /* an inventory, sent if it changed */
#define CLM_JOB_ID_COURIER "@courier" /* the identity, if it is due; empties the spool */
#define CLM_JOB_ID_RENEW   "@renew"   /* the same, and renews at once */

#define CLM_JOB_ENV_BOOT "CLM_BOOT_ID" /* boot id of the main process, for its children */

/*
 * clm_run_job() - the process "clmbot _job ID", started by the main process of "clmbot run"
 *
 * In      job_id   of a record in <state_dir>/net/jobs, or one of CLM_JOB_ID_*
 *         boot_id  of the main process; NULL or "": as CLM_JOB_ENV_BOOT says, or a new one
 * Effect  SIGTERM lets it stop at the next safe point, what is not finished goes on later; SIGUSR1
 *         cancels the job; SIGUSR2 says that the control plane gave it to nobody or to another
 * Returns an exit status
 */
int clm_run_job(const struct clm_config *config, const char *job_id, const char *boot_id);

#endif
