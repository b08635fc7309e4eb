/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger - which jobs were accepted, what came of them, and what was made for them
 *
 * One file a job, jobs/<job_id>.json, replaced durably at each change: the signed payload, the
 * result once it is known. One file for the highest sequence number of each target, so that a
 * signed job can never be played again. One file an order for the validation files made.
 */
#ifndef CLM_HOST_LEDGER_H
#define CLM_HOST_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"

#define CLM_LEDGER_JOBS_MAX 10000          /* from here on old finished jobs go; protocol.md 6.6 */
#define CLM_LEDGER_DAY_S    INT64_C(86400) /* the limits of the policy look back so far */

struct clm_job_record {
    char job_id[CLM_ID_SIZE];
    int64_t accepted_at_s;
    char *payload;           /* the signed bytes, as text; owned */
    char bundle_sha256[65];  /* certificate received for it; "" none yet */
    bool is_started;         /* a transaction for it may have begun */
    struct clm_json *result; /* {"result": ...}; NULL while it is not finished; owned */
};

void clm_job_record_done(struct clm_job_record *record);

/* Errors: NOTFOUND. */
CLM_MUST_USE enum clm_code clm_ledger_job_get(const char *dir, const char *job_id,
                                              struct clm_job_record *out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_ledger_job_put(const char *dir, const struct clm_job_record *record,
                                              struct clm_err *err);

/* Highest sequence number accepted for the target and the job that had it; 0 and "" for none. A
 * number counts for the agent it was given to: the control plane begins anew with a host that is
 * enrolled again, and jobs of the agent before are for somebody else. */
CLM_MUST_USE enum clm_code clm_ledger_seq_get(const char *dir, const char *agent_id,
                                              const char *target, int64_t *out_seq,
                                              char job_id[CLM_ID_SIZE], struct clm_err *err);
CLM_MUST_USE enum clm_code clm_ledger_seq_put(const char *dir, const char *agent_id,
                                              const char *target, int64_t seq, const char *job_id,
                                              struct clm_err *err);

/*
 * clm_ledger_trim() - drops the jobs that are over and were accepted first, down to max if it can
 *
 * More than max stay if they must: a job without a result, a damaged record, a job accepted within
 * the last day (the limits count it), and the last one of its target (its sequence number is the
 * only one that is not refused). So a dropped job is never accepted again, expired or not. How many
 * jobs come in a day is limited for orders and deployments only; for the rest, and so for the size
 * of the ledger in a flood, by the time that accepting takes: it grows with the ledger.
 * Errors  NOTFOUND, IO, PERM, NOMEM. What was dropped until then stays so.
 */
CLM_MUST_USE enum clm_code clm_ledger_trim(const char *dir, size_t max, int64_t now_s,
                                           struct clm_err *err);

/* Accepted jobs of this type since then, for the limits of the policy; target NULL: all. */
CLM_MUST_USE enum clm_code clm_ledger_count(const char *dir, const char *type, const char *target,
                                            int64_t since_s, int64_t *out_n, struct clm_err *err);

/* Validation files of an order: the web root they lie in and every path made, in order of making.
 * get: an empty list if there are none. put with an empty list removes the file. */
struct clm_dcv_record {
    struct clm_dcv_made {
        char root[4096];
        struct clm_strs made;
    } * roots;
    size_t n_roots;
};
void clm_dcv_record_done(struct clm_dcv_record *record);
CLM_MUST_USE enum clm_code clm_ledger_dcv_get(const char *dir, const char *order_id,
                                              struct clm_dcv_record *out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_ledger_dcv_put(const char *dir, const char *order_id,
                                              const struct clm_dcv_record *record,
                                              struct clm_err *err);
/* The list of that root (shorter than PATH_MAX), made if needed; NULL on no memory. */
struct clm_dcv_made *clm_dcv_record_root(struct clm_dcv_record *record, const char *root);

#endif
