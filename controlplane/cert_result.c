/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of a job, and what a scan saw, mean for a certificate. */
#include <string.h>

#include "agent/base/log.h"
#include "controlplane/certs.h"
#include "controlplane/inventory.h"

#define WAITING "waiting_for_restart" /* of an agent's effects, and of a certificate */

struct rule {
    const char *type;
    const char *outcome;
    const char *state;
    bool takes_effects; /* effects.after.sha256 is what is served now */
};

/* A job that was rejected, canceled or skipped changed nothing: no row. */
static const struct rule rules[] = {
    {"deploy", "succeeded", "verified", true},
    {"deploy", "skipped", "verified", true},
    {"deploy", "rolled_back", "rolled_back", false},
    {"deploy", "failed", "failed", false},
    {"deploy", "rejected", "failed", false},
    {"rollback", "succeeded", "rolled_back", true},
    {"rollback", "failed", "failed", false},
    {"rollback", "rolled_back", "failed", false},
    {"order", "failed", "failed", false},
    {"order", "rejected", "failed", false},
    {"order", "rolled_back", "rolled_back", false},
    {"recheck_pinning", "succeeded", "verified", false},
    {"recheck_pinning", "failed", "failed", false},
};

static const struct rule *find_rule(const char *type, const char *outcome)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(rules); i++) {
        if (strcmp(rules[i].type, type) == 0 && strcmp(rules[i].outcome, outcome) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}

static const char *served_after(const struct clm_json *result)
{
    const struct clm_json *effects = clm_json_get(result, "effects");
    const char *text = clm_json_text(clm_json_get(clm_json_get(effects, "after"), "sha256"));

    return text != NULL && strlen(text) == CLM_SHA256_HEX_SIZE - 1 ? text : NULL;
}

static enum clm_code take_effects(struct clm_cp_tx *tx, const char *id,
                                  const struct clm_json *result, struct clm_err *err)
{
    int64_t version = 0;
    const char *sha256 = served_after(result);

    if (sha256 == NULL) {
        return CLM_OK;
    }
    enum clm_code code = clm_json_int_or(clm_json_get(result, "effects"), "version", 0,
                                         CLM_JSON_INT_MAX, &version, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(
        tx->db, err,
        "UPDATE cert SET current_sha256 = ?2, deployed_version = ?3, waiting_sha256 = NULL"
        " WHERE id = ?1",
        CLM_SQL(clm_sql_text(id), clm_sql_text(sha256), clm_sql_int(version)));
}

/* ---- installed, and served only after a restart that nobody may make ---- */

static bool says_waiting(const struct clm_json *result)
{
    const char *state = clm_json_text(clm_json_get(clm_json_get(result, "effects"), "state"));

    return state != NULL && strcmp(state, WAITING) == 0;
}

/* The one before is served meanwhile; what was known to be served stays known. */
static enum clm_code await_restart(struct clm_cp_tx *tx, const char *id,
                                   const struct clm_json *result, struct clm_err *err)
{
    const struct clm_json *effects = clm_json_get(result, "effects");
    int64_t version = 0;
    enum clm_code code = clm_json_int_or(effects, "version", 0, CLM_JSON_INT_MAX, &version, err);

    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            tx->db, err, "UPDATE cert SET waiting_sha256 = ?2, deployed_version = ?3 WHERE id = ?1",
            CLM_SQL(clm_sql_text(id), clm_sql_text(served_after(result)), clm_sql_int(version)));
    }
    return code == CLM_OK ? clm_cp_cert_set_state(tx, id, WAITING, NULL, err) : code;
}

/* What waited is served now. */
static enum clm_code end_wait(struct clm_cp_tx *tx, const struct clm_cp_cert *cert,
                              struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(tx->db, err,
                                        "UPDATE cert SET current_sha256 = waiting_sha256,"
                                        " waiting_sha256 = NULL WHERE id = ?1",
                                        CLM_SQL(clm_sql_text(cert->id)));

    if (code == CLM_OK && strcmp(cert->state, WAITING) == 0) {
        clm_log_info("certificate '%s': was waited for, and is served", cert->id);
        code = clm_cp_cert_set_state(tx, cert->id, "verified", NULL, err);
    }
    return code;
}

/* A recheck of a certificate that waits: true in *out_done if no rule has to be asked any more. */
static enum clm_code recheck_waiting(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                     const char *outcome, const struct clm_json *result,
                                     bool *out_done, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_cert_done) struct clm_cp_cert cert = {.id = ""};
    int64_t is_expected = 0;
    enum clm_code code = clm_cp_cert_load(tx, job->certificate_id, &cert, err);

    if (code != CLM_OK || cert.waiting_sha256[0] == '\0') {
        return code;
    }
    code = clm_cp_db_get_int(
        tx->db, 0, &is_expected, err,
        "SELECT json_extract(spec, '$.expect.sha256') = ?2 FROM job WHERE id = ?1",
        CLM_SQL(clm_sql_text(job->id), clm_sql_text(cert.waiting_sha256)));
    if (code == CLM_OK && strcmp(outcome, "succeeded") == 0 && is_expected != 0) {
        return end_wait(tx, &cert, err); /* and its rule says the rest */
    }
    /* Somebody asked for the one before, or the restart is still to come. */
    *out_done = strcmp(outcome, "succeeded") == 0 || says_waiting(result);
    return code == CLM_OK && *out_done ? clm_cp_cert_set_state(tx, cert.id, WAITING, NULL, err)
                                       : code;
}

enum clm_code clm_cp_certs_on_inventory(struct clm_cp_tx *tx, const char *agent_id,
                                        const struct clm_json *inventory, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    const struct clm_cp_each waiting = {
        .sql = "SELECT id FROM cert WHERE agent_id = ?1 AND waiting_sha256 IS NOT NULL",
        .values = CLM_SQL(clm_sql_text(agent_id)),
        .visit = clm_cp_row_to_strs,
        .arg = &ids};
    enum clm_code code = clm_cp_db_each(tx->db, &waiting, err);

    for (size_t i = 0; code == CLM_OK && i < ids.n; i++) {
        CLM_CLEANUP(clm_cp_cert_done) struct clm_cp_cert cert = {.id = ""};
        const char *served = NULL;

        code = clm_cp_cert_load(tx, ids.v[i], &cert, err);
        if (code == CLM_OK) {
            const struct clm_json *target = clm_cp_inventory_find(inventory, cert.target);

            served = clm_json_text(clm_json_get(clm_json_get(target, "served"), "sha256"));
        }
        if (served != NULL && strcmp(served, cert.waiting_sha256) == 0) {
            code = end_wait(tx, &cert, err);
        }
    }
    return code;
}

/* ---- what a finished job means ---- */

enum clm_code clm_cp_cert_on_result(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                    const char *outcome, const struct clm_json *result,
                                    struct clm_err *err)
{
    bool is_recheck = strcmp(job->type, "recheck_pinning") == 0;
    bool has_leaf = strcmp(outcome, "succeeded") == 0 && served_after(result) != NULL;
    /* An order that was told to deploy reports the deployment, too. */
    bool deployed = strcmp(job->type, "order") == 0 && has_leaf;
    const struct rule *rule = find_rule(deployed ? "deploy" : job->type, outcome);
    const char *message = clm_json_text(clm_json_get(clm_json_get(result, "error"), "message"));
    bool is_done = false;
    enum clm_code code = CLM_OK;

    if (rule == NULL) {
        return CLM_OK;
    }
    if (rule->takes_effects && has_leaf && says_waiting(result)) {
        return await_restart(tx, job->certificate_id, result, err);
    }
    if (is_recheck) {
        code = recheck_waiting(tx, job, outcome, result, &is_done, err);
    }
    if (code == CLM_OK && rule->takes_effects) {
        code = take_effects(tx, job->certificate_id, result, err);
    }
    return code == CLM_OK && !is_done
               ? clm_cp_cert_set_state(tx, job->certificate_id, rule->state, message, err)
               : code;
}
