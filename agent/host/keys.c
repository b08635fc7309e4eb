/* SPDX-License-Identifier: Apache-2.0 */
/* Keys whose orders came to nothing. */
#include "agent/base/log.h"
#include "agent/host/internal.h"

/* A job that is forgotten is not known to have ended: then its key goes with age. */
static bool has_ended(void *arg, const struct clm_json *meta)
{
    const struct clm_host *host = arg;
    const char *job_id = clm_json_text(clm_json_get(meta, "job_id"));
    struct clm_job_record record;
    bool is_over;

    if (job_id == NULL || clm_ledger_job_get(host->dir, job_id, &record, NULL) != CLM_OK) {
        return false;
    }
    is_over = record.result != NULL && record.bundle_sha256[0] == '\0';
    clm_job_record_done(&record);
    return is_over;
}

void clm_host_sweep_keys(struct clm_host *host)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs removed = {NULL, 0};
    struct clm_err err = {0};
    enum clm_code code = clm_store_key_sweep(host->store, has_ended, host,
                                             host->io->now_s(host->io->ctx), &removed, &err);

    for (size_t i = 0; i < removed.n; i++) {
        clm_log_debug("key '%s' was removed: nothing waits for it", removed.v[i]);
    }
    if (code != CLM_OK) {
        clm_log_debug("waiting keys: %s", err.msg);
    }
}
