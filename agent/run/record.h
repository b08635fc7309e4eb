/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - what the network half knows of a job, durable: <state_dir>/net/jobs/<job_id>.json
 *
 * Written by the main process when a job is offered and from then on by the one process that runs
 * the job (which holds <job_id>.lock). When the control plane has the result the record moves to
 * jobs/done, where the newest CLM_RECORD_DONE_MAX are kept for "clmbot jobs".
 */
#ifndef CLM_RUN_RECORD_H
#define CLM_RUN_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"
#include "config/config.h"

#define CLM_RECORD_MAX      262144u /* bytes: an envelope of 64 KiB, its Base64, a result */
#define CLM_RECORD_OPEN_MAX 16      /* jobs taken on; as many as one poll offers */
#define CLM_RECORD_DONE_MAX 100

/*
 * Members: job_id type target priority attempt fence phase pct order_id certificate_id event_seq
 * started_at_s finished_at_s next_try_s tries why jws, leased_ms (monotonic), result, and
 * state: "offered" (not leased yet), "running" (leased), "done" (the result waits in the spool)
 */
struct clm_record {
    char job_id[CLM_ID_SIZE];
    struct clm_json *root;
};
void clm_record_done(struct clm_record *record); /* for CLM_CLEANUP */

/* A new record of an offer (protocol.md 7.6). Errors: PARSE a member is missing or malformed. */
CLM_MUST_USE enum clm_code clm_record_from_offer(const struct clm_json *offer,
                                                 struct clm_record *out, struct clm_err *err);
/* Errors: NOTFOUND; PARSE; IO. */
CLM_MUST_USE enum clm_code clm_record_load(const struct clm_config *config, const char *job_id,
                                           struct clm_record *out, struct clm_err *err);
/* Durable on return. */
CLM_MUST_USE enum clm_code clm_record_save(const struct clm_config *config,
                                           const struct clm_record *record, struct clm_err *err);
/* "" and 0 for what is not there. */
const char *clm_record_text(const struct clm_record *record, const char *key);
int64_t clm_record_int(const struct clm_record *record, const char *key);

/* Ids of the open jobs, oldest first; of the finished ones, newest first. */
CLM_MUST_USE enum clm_code clm_record_list(const struct clm_config *config, bool finished,
                                           struct clm_strs *out, struct clm_err *err);
/* A finished one. Errors: NOTFOUND. */
CLM_MUST_USE enum clm_code clm_record_load_finished(const struct clm_config *config,
                                                    const char *job_id, struct clm_record *out,
                                                    struct clm_err *err);
/* The control plane has the result, or does not want it: moves the record to jobs/done. */
CLM_MUST_USE enum clm_code clm_record_archive(const struct clm_config *config,
                                              const struct clm_record *record, struct clm_err *err);
/* Takes the right to run this job; held until *out_fd is closed. Errors: CONFLICT it is running. */
CLM_MUST_USE enum clm_code clm_record_lock(const struct clm_config *config, const char *job_id,
                                           int *out_fd, struct clm_err *err);

#endif
