/* SPDX-License-Identifier: Apache-2.0 */
/* The spec of an order: protocol.md 8.3. */
#include "controlplane/order_job.h"

#include <string.h>

#include "controlplane/cert_csr.h"
#include "controlplane/configs.h"
#include "controlplane/jobs.h"

#define PRIORITY         50
#define MANUAL_TIMEOUT_S 86400 /* a person has a day to place the files */

static bool is_proved(const struct clm_cp_tx *tx, const struct clm_cp_cert *cert)
{
    const struct clm_cp_connector *connector = clm_cp_conf_connector(tx->conf, cert->connector);

    return connector == NULL || connector->type == CLM_CP_CONNECTOR_ACME || connector->dcv;
}

/* method "manual": the host has nothing to do; a person places the files and says so. */
static void add_dcv(const struct clm_cp_tx *tx, const struct clm_cp_cert *cert, const char *method,
                    struct clm_json *spec)
{
    struct clm_json *dcv = clm_json_set_object(spec, "dcv");

    if (method == NULL) {
        method = is_proved(tx, cert) ? "http-01" : "none";
    }
    clm_json_set_str(dcv, "method", strcmp(method, "manual") == 0 ? "none" : method);
    if (cert->webroot_ref[0] != '\0') {
        clm_json_set_str(dcv, "webroot_ref", cert->webroot_ref);
    }
}

static void set_retain(const struct clm_json *config, struct clm_json *how)
{
    const struct clm_json *retain = clm_json_get(clm_json_get(config, "schedule"), "retain");

    if (retain != NULL) {
        clm_json_set_copy(how, "retain", retain);
    }
}

static bool says(const struct clm_json *config, const char *step, const char *member,
                 const char *value)
{
    const char *text = clm_json_text(clm_json_get(clm_json_get(config, step), member));

    return text != NULL && strcmp(text, value) == 0;
}

static bool keeps_failure(const struct clm_json *config)
{
    return says(config, "schedule", "on_failure", "leave");
}

enum clm_code clm_cp_order_job_how(struct clm_cp_tx *tx, const char *certificate_id,
                                   struct clm_json *how, bool *out_keeps_failure,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_config_done) struct clm_cp_config config = {0};
    enum clm_code code = clm_cp_config_of_cert(tx, certificate_id, &config, err);

    if (code == CLM_OK) {
        set_retain(config.body, how);
        *out_keeps_failure = keeps_failure(config.body);
    }
    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

static void build_spec(const struct clm_cp_tx *tx, const struct clm_cp_cert *cert,
                       const struct clm_json *config, struct clm_json *spec)
{
    clm_json_set_str(spec, "certificate_id", cert->id);
    clm_json_set_null(spec, "order_id");
    add_dcv(tx, cert, clm_json_text(clm_json_get(clm_json_get(config, "dcv"), "method")), spec);
    clm_json_set_str(spec, "on_issue", cert->on_issue);
    if (strcmp(cert->on_issue, "deploy") == 0) {
        set_retain(config, clm_json_set_object(spec, "deploy"));
    }
}

enum clm_code clm_cp_order_job_create(struct clm_cp_tx *tx, const struct clm_cp_cert *cert,
                                      const char *requested_by, char out_id[CLM_ID_SIZE],
                                      struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_config_done) struct clm_cp_config config = {0};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *spec = clm_json_new_object();
    enum clm_code code = clm_cp_config_of_cert(tx, cert->id, &config, err);

    if (code != CLM_OK && code != CLM_E_NOTFOUND) {
        return code;
    }
    code = clm_cp_cert_csr_to_spec(tx, cert, spec, err);
    if (code != CLM_OK) {
        return code;
    }
    build_spec(tx, cert, config.body, spec);
    const struct clm_cp_job_new in = {
        .agent_id = cert->agent_id,
        .type = "order",
        .target = cert->target,
        .certificate_id = cert->id,
        .priority = PRIORITY,
        .timeout_s = says(config.body, "dcv", "method", "manual") ? MANUAL_TIMEOUT_S : 0,
        .keeps_failure = keeps_failure(config.body),
        .requested_by = requested_by,
        .spec = spec,
    };

    code = clm_cp_cert_set_state(tx, cert->id, "ordering", NULL, err);
    return code == CLM_OK ? clm_cp_job_create(tx, &in, out_id, err) : code;
}

enum clm_code clm_cp_cert_is_busy(struct clm_cp_tx *tx, const char *certificate_id, bool *out_busy,
                                  struct clm_err *err)
{
    int64_t n = 0;
    enum clm_code code = clm_cp_db_get_int(
        tx->db, 0, &n, err,
        "SELECT count(*) FROM job WHERE certificate_id = ?1 AND state NOT IN ('succeeded','failed',"
        "'rolled_back','rejected','canceled','skipped','expired','denied')",
        CLM_SQL(clm_sql_text(certificate_id)));

    *out_busy = n > 0;
    return code;
}
