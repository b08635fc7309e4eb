/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations over the operator API. Changes say which revision they are about (If-Match), so that
 * nobody undoes what somebody else just did. */
#include <stdio.h>
#include <string.h>

#include "controlplane/agents.h"
#include "controlplane/configs.h"
#include "controlplane/handlers.h"
#include "controlplane/order_job.h"
#include "controlplane/server.h"

static enum clm_code unknown(struct clm_cp_request *req, struct clm_cp_answer *answer)
{
    return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no configuration '%s'",
                                 req->param);
}

static enum clm_code answer_config(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                   const char *id, int status, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    int64_t revision = 0;
    char etag[32];
    enum clm_code code = clm_cp_config_show(req->tx, id, obj, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown(req, answer);
    }
    if (code == CLM_OK) {
        code = clm_cp_answer_json(answer, status, obj, err);
    }
    clm_ignore(clm_json_int(obj, "revision", 1, CLM_JSON_INT_MAX, &revision, NULL)); /* is there */
    (void)snprintf(etag, sizeof(etag), "\"%lld\"", (long long)revision);
    clm_cp_answer_header(answer, "ETag", etag);
    return code;
}

static enum clm_code answer_faults(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                   const struct clm_json *faults)
{
    struct clm_json *extra = clm_json_new_object();
    const struct clm_json *first = clm_json_first(faults);
    char detail[CLM_ERR_MSG_MAX];

    (void)snprintf(detail, sizeof(detail), "%s: %s", clm_json_text(clm_json_get(first, "pointer")),
                   clm_json_text(clm_json_get(first, "detail")));
    clm_json_set_copy(extra, "errors", faults);
    return clm_cp_answer_problem_take(req, answer, CLM_CP_SCHEMA, extra, detail);
}

/* ---- making one ---- */

/* The certificate of this target that no configuration has, or a new one. */
static enum clm_code take_cert(struct clm_cp_request *req, const struct clm_json *wanted,
                               char out_id[CLM_ID_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_cert_draft_done) struct clm_cp_cert_draft draft = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf id = CLM_BUF_INIT(CLM_ID_SIZE);
    enum clm_code code = clm_cp_cert_draft_read(&req->cp->conf, wanted, &draft, err);

    if (code == CLM_OK) {
        code = clm_cp_cert_draft_fill(req->tx, &draft, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_get_text(
            req->tx->db, &id, err,
            "SELECT c.id FROM cert c LEFT JOIN configuration g ON g.certificate_id = c.id"
            " WHERE c.agent_id = ?1 AND c.target = ?2 AND g.id IS NULL"
            " ORDER BY c.created_at DESC, c.id DESC LIMIT 1",
            CLM_SQL(clm_sql_text(draft.in.agent_id), clm_sql_text(draft.in.target)));
    }
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_cert_create(req->tx, &draft.in, out_id, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out_id, CLM_ID_SIZE, clm_buf_str(&id), err);
    }
    return code == CLM_OK ? clm_cp_cert_update(req->tx, out_id, &draft.in, err) : code;
}

static enum clm_code create(struct clm_cp_request *req, struct clm_cp_answer *answer,
                            const char *agent_id, const char *target, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_config_draft_done) struct clm_cp_config_draft draft = {0};
    struct clm_cp_config config = {0};
    char id[CLM_ID_SIZE];
    enum clm_code code = clm_cp_config_check(req->tx, req->body, agent_id, target, &draft, err);

    if (code == CLM_OK && clm_json_len(draft.faults) > 0) {
        return answer_faults(req, answer, draft.faults);
    }
    if (code == CLM_OK) {
        code = take_cert(req, draft.cert, config.certificate_id, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(config.agent_id, sizeof(config.agent_id), agent_id, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(config.target, sizeof(config.target), target, err);
    }
    if (code == CLM_OK) {
        config.body = draft.body;
        code = clm_cp_config_create(req->tx, &config, id, err);
    }
    if (code == CLM_E_EXISTS) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "this target has a configuration: change that one");
    }
    return code == CLM_OK ? answer_config(req, answer, id, 201, err) : code;
}

static enum clm_code read_subject(struct clm_cp_request *req, const char *agent_or_null,
                                  const char *target_or_null, const char **out_agent,
                                  const char **out_target, struct clm_err *err)
{
    static const char *const known[] = {"agent_id", "target", "deployment", "issuer",
                                        "csr",      "dcv",    "schedule",   NULL};
    enum clm_code code = clm_json_only(req->body, known, err);

    if (code == CLM_OK) {
        code = agent_or_null != NULL
                   ? clm_json_str_or(req->body, "agent_id", CLM_ID_SIZE - 1, agent_or_null,
                                     out_agent, err)
                   : clm_json_str(req->body, "agent_id", CLM_ID_SIZE - 1, out_agent, err);
    }
    if (code == CLM_OK) {
        code = target_or_null != NULL
                   ? clm_json_str_or(req->body, "target", CLM_TARGET_ID_SIZE - 1, target_or_null,
                                     out_target, err)
                   : clm_json_str(req->body, "target", CLM_TARGET_ID_SIZE - 1, out_target, err);
    }
    return code;
}

CLM_CP_HANDLER(clm_cp_op_post_configuration)
{
    struct clm_cp_agent agent;
    const char *agent_id = NULL;
    const char *target = NULL;
    enum clm_code code = read_subject(req, NULL, NULL, &agent_id, &target, err);

    if (code == CLM_OK) {
        code = clm_cp_agent_load(req->tx, agent_id, &agent, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no agent '%s'", agent_id);
    }
    return code == CLM_OK ? create(req, answer, agent.id, target, err) : code;
}

/* ---- reading ---- */

CLM_CP_HANDLER(clm_cp_op_get_configurations)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_configs_list(req->tx, clm_cp_request_query(req, "agent_id"),
                                             clm_json_set_array(obj, "configurations"), err);

    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_configuration)
{
    return answer_config(req, answer, req->param, 200, err);
}

/* ---- changing ---- */

/* Loads the one of the path, if the request is about its revision. *out_ok false: answered. */
static enum clm_code open_for_change(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                     struct clm_cp_config *out, bool *out_ok, struct clm_err *err)
{
    const char *match = clm_cp_request_header(req, "If-Match");
    char etag[32];
    enum clm_code code = clm_cp_config_load(req->tx, req->param, out, err);

    *out_ok = false;
    if (code == CLM_E_NOTFOUND) {
        return unknown(req, answer);
    }
    if (code != CLM_OK) {
        return code;
    }
    (void)snprintf(etag, sizeof(etag), "\"%lld\"", (long long)out->revision);
    clm_cp_answer_header(answer, "ETag", etag);
    if (match == NULL) {
        return clm_cp_answer_problem(req, answer, CLM_CP_MATCH_REQUIRED,
                                     "send the revision you read as If-Match: %s", etag);
    }
    if (strcmp(match, etag) != 0 && strcmp(match, "*") != 0) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CHANGED,
                                     "it has revision %s now: read it again", etag);
    }
    *out_ok = true;
    return CLM_OK;
}

static enum clm_code change(struct clm_cp_request *req, struct clm_cp_answer *answer,
                            const struct clm_cp_config *config, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_config_draft_done) struct clm_cp_config_draft draft = {0};
    CLM_CLEANUP(clm_cp_cert_draft_done) struct clm_cp_cert_draft cert = {0};
    const char *agent_id = NULL;
    const char *target = NULL;
    enum clm_code code =
        read_subject(req, config->agent_id, config->target, &agent_id, &target, err);

    if (code == CLM_OK &&
        (strcmp(agent_id, config->agent_id) != 0 || strcmp(target, config->target) != 0)) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "a configuration stays with its target: make a new one");
    }
    if (code == CLM_OK) {
        code = clm_cp_config_check(req->tx, req->body, agent_id, target, &draft, err);
    }
    if (code == CLM_OK && clm_json_len(draft.faults) > 0) {
        return answer_faults(req, answer, draft.faults);
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_draft_read(&req->cp->conf, draft.cert, &cert, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_draft_fill(req->tx, &cert, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_update(req->tx, config->certificate_id, &cert.in, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_config_update(req->tx, config->id, draft.body, err);
    }
    return code == CLM_OK ? answer_config(req, answer, config->id, 200, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_put_configuration)
{
    CLM_CLEANUP(clm_cp_config_done) struct clm_cp_config config = {0};
    bool ok = false;
    enum clm_code code = open_for_change(req, answer, &config, &ok, err);

    return code == CLM_OK && ok ? change(req, answer, &config, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_delete_configuration)
{
    CLM_CLEANUP(clm_cp_config_done) struct clm_cp_config config = {0};
    bool ok = false;
    enum clm_code code = open_for_change(req, answer, &config, &ok, err);

    if (code != CLM_OK || !ok) {
        return code;
    }
    code = clm_cp_config_delete(req->tx, config.id, err);
    return code == CLM_OK ? clm_cp_answer_empty(answer, 204) : code;
}

/* ---- doing it ---- */

static enum clm_code run(struct clm_cp_request *req, struct clm_cp_answer *answer,
                         const struct clm_cp_cert *cert, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char job_id[CLM_ID_SIZE] = "";
    bool is_busy = false;
    enum clm_code code = clm_cp_cert_is_busy(req->tx, cert->id, &is_busy, err);

    if (code == CLM_OK && is_busy) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "a job of this certificate is under way");
    }
    if (code == CLM_OK) {
        code = clm_cp_order_job_create(req->tx, cert, "operator", job_id, err);
    }
    clm_json_set_str(obj, "job_id", job_id);
    clm_json_set_str(obj, "state", "queued");
    return code == CLM_OK ? clm_cp_answer_json(answer, 202, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_run_configuration)
{
    CLM_CLEANUP(clm_cp_config_done) struct clm_cp_config config = {0};
    CLM_CLEANUP(clm_cp_cert_done) struct clm_cp_cert cert = {0};
    enum clm_code code = clm_cp_config_load(req->tx, req->param, &config, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown(req, answer);
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_load(req->tx, config.certificate_id, &cert, err);
    }
    return code == CLM_OK ? run(req, answer, &cert, err) : code;
}
