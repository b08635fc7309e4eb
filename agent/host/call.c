/* SPDX-License-Identifier: Apache-2.0 */
/* What the operations share: problem codes, the job of a request, the target in a fresh scan. */
#include <string.h>

#include "agent/host/internal.h"
#include "scanners/scanner.h"

void clm_host_problem(struct clm_host_call *call, const char *problem)
{
    if (call->fail->problem[0] == '\0') { /* the first one is nearest to the cause */
        clm_ignore(clm_str_copy(call->fail->problem, sizeof(call->fail->problem), problem, NULL));
    }
}

enum clm_code clm_host_problem_code(struct clm_host_call *call, const char *problem,
                                    enum clm_code code)
{
    clm_host_problem(call, problem);
    return code;
}

void clm_host_hint(struct clm_host_call *call, const char *hint)
{
    clm_ignore(clm_str_copy(call->fail->hint, sizeof(call->fail->hint), hint, NULL));
}

enum clm_code clm_host_job(struct clm_host_call *call, struct clm_job_record *record,
                           struct clm_job_envelope *envelope, struct clm_err *err)
{
    const char *job_id;
    enum clm_code code = clm_json_str(call->body, "job_id", CLM_ID_SIZE - 1, &job_id, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_ledger_job_get(call->host->dir, job_id, record, err);
    if (code == CLM_E_NOTFOUND) {
        return clm_refuse(call, err, CLM_E_NOTFOUND, "E_STATE", "job '%s' was not accepted here",
                          job_id);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = clm_job_envelope_parse(record->payload, strlen(record->payload), envelope, err);
    if (code != CLM_OK) {
        clm_job_record_done(record);
    }
    return code;
}

enum clm_code clm_host_open_job(struct clm_host_call *call, struct clm_job_record *record,
                                struct clm_job_envelope *envelope, struct clm_err *err)
{
    enum clm_code code = clm_host_job(call, record, envelope, err);

    if (code != CLM_OK || record->result == NULL) {
        return code;
    }
    code = clm_refuse(call, err, CLM_E_INVAL, "E_STATE", "job '%s' is over", record->job_id);
    clm_job_envelope_done(envelope);
    clm_job_record_done(record);
    return code;
}

/* "nginx:www.example.com" -> "nginx" */
static enum clm_code kind_of(const char *id, struct clm_strs *out, struct clm_err *err)
{
    char kind[sizeof(((struct clm_service *)0)->kind)];
    size_t len = strcspn(id, ":");

    if (!clm_target_id_is_valid(id) || len >= sizeof(kind)) {
        return clm_err_set(err, CLM_E_INVAL, "'%.80s' is no target id; see: clmbot scan", id);
    }
    memcpy(kind, id, len);
    kind[len] = '\0';
    return clm_strs_add(out, kind, err);
}

enum clm_code clm_host_find_target(struct clm_host_call *call, const char *id,
                                   struct clm_inventory *inventory,
                                   const struct clm_target **out_target,
                                   const struct clm_service **out_service, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs kinds = {0};
    enum clm_code code = kind_of(id, &kinds, err);

    if (code == CLM_OK) {
        code = clm_scan_host(call->host->io, &kinds, inventory, err);
    }
    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_STATE", code);
    }
    *out_target = clm_inventory_find(inventory, id, out_service);
    if (*out_target == NULL || !(*out_service)->running) {
        clm_host_hint(call, "see what runs here: clmbot scan");
        return clm_refuse(call, err, CLM_E_NOTFOUND, "E_STATE",
                          "target '%s' is not on this host, or its server does not run", id);
    }
    return CLM_OK;
}
