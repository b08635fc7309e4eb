/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/renewals.h"

#include "agent/base/log.h"
#include "controlplane/certs.h"
#include "controlplane/order_job.h"

/* As clm_cp_renew_at_s(), in SQL: the earlier of "days before" and "a third of the life before". */
#define DUE                                                                                        \
    " v.not_after - min(json_extract(g.body, '$.schedule.renew_days') * 86400,"                    \
    " (v.not_after - v.not_before) / 3) <= ?1"

/* Nobody orders what never was issued: the first time is an operator's. The newest job, not the
 * newest order, counts: who just rolled back does not want the next one at once. */
static const char due[] =
    "SELECT c.id FROM configuration g JOIN cert c ON c.id = g.certificate_id"
    " JOIN agent a ON a.id = c.agent_id AND a.status = 'active'"
    " JOIN cert_version v ON v.certificate_id = c.id AND v.version ="
    " (SELECT max(version) FROM cert_version WHERE certificate_id = c.id)"
    " WHERE" DUE " AND NOT EXISTS (SELECT 1 FROM job j WHERE j.certificate_id = c.id AND"
    " (j.created_at > ?1 - ?2 AND j.requested_by = 'schedule' OR j.state NOT IN ('succeeded',"
    " 'failed','rolled_back','rejected','canceled','skipped','expired','denied')))"
    " ORDER BY v.not_after LIMIT ?3";

static enum clm_code order(struct clm_cp_tx *tx, const char *id, struct clm_err *err)
{
    struct clm_cp_cert cert = {.id = ""};
    char job_id[CLM_ID_SIZE];
    enum clm_code code = clm_cp_cert_load(tx, id, &cert, err);

    if (code == CLM_OK) {
        code = clm_cp_order_job_create(tx, &cert, "schedule", job_id, err);
    }
    if (code == CLM_OK) {
        clm_log_notice("certificate '%s' is due: job '%s' renews it", id, job_id);
    }
    clm_cp_cert_done(&cert);
    return code;
}

enum clm_code clm_cp_renewals_run(struct clm_cp_tx *tx, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    const struct clm_cp_each each = {.sql = due,
                                     .values = CLM_SQL(clm_sql_int(tx->now_s),
                                                       clm_sql_int(CLM_CP_RENEW_AGAIN_S),
                                                       clm_sql_int(CLM_CP_RENEW_BATCH)),
                                     .visit = clm_cp_row_to_strs,
                                     .arg = &ids};
    enum clm_code code = clm_cp_db_each(tx->db, &each, err);

    for (size_t i = 0; code == CLM_OK && i < ids.n; i++) {
        code = order(tx, ids.v[i], err);
    }
    return code;
}
