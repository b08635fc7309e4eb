/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/run/inventory.h"
#include "agent/run/inventory_files.h"
#include "agent/run/job.h"
#include "agent/run/sender.h"

enum clm_code clm_job_scan(struct clm_job *job, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *summary = NULL;
    struct clm_err why = {.code = CLM_OK};
    int64_t start_ms = clm_clock_mono_ms();

    clm_job_phase(job, "scan", 20);
    enum clm_code code = clm_inventory_take(job->world->config, job->world->link, &summary, err);
    clm_job_step(job, "scan", code == CLM_OK ? "ok" : "failed", clm_clock_mono_ms() - start_ms,
                 NULL);
    if (code == CLM_OK) {
        clm_json_set_copy(clm_job_effects(job), "inventory", summary);
    }
    /* Who asked for the scan sees what it found when the job is over. */
    if (code == CLM_OK &&
        clm_sender_drain(job->world->config, job->world->api, "", &why) != CLM_OK) {
        clm_log_info("inventory waits: %s", why.msg);
    }
    if (code == CLM_OK &&
        clm_inventory_files_take(job->world->config, job->world->link, job->world->api,
                                 job->world->boot_id, &why) != CLM_OK) {
        clm_log_info("certificate files wait: %s", why.msg);
    }
    return code;
}
