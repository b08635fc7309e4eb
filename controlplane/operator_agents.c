/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/log.h"
#include "agent/crypto/csr.h"
#include "controlplane/handlers.h"
#include "controlplane/identity.h"
#include "controlplane/server.h"

static enum clm_code unknown(struct clm_cp_request *req, struct clm_cp_answer *answer)
{
    return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no agent '%s'", req->param);
}

static enum clm_code answer_agent(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_agent_show(req->tx, req->param, obj, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown(req, answer);
    }
    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_agents)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_agents_list(req->tx, clm_json_set_array(obj, "agents"), err);

    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_agent)
{
    return answer_agent(req, answer, err);
}

/* Disabling a host that waits for approval denies it. */
CLM_CP_HANDLER(clm_cp_op_disable_agent)
{
    struct clm_cp_agent agent;
    enum clm_code code = clm_cp_agent_load(req->tx, req->param, &agent, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown(req, answer);
    }
    if (code == CLM_OK) {
        bool is_pending = strcmp(agent.status, CLM_CP_AGENT_PENDING_S) == 0;

        code = clm_cp_agent_set_status(
            req->tx, agent.id, is_pending ? CLM_CP_AGENT_DENIED_S : CLM_CP_AGENT_DISABLED_S, err);
    }
    return code == CLM_OK ? answer_agent(req, answer, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_enable_agent)
{
    struct clm_cp_agent agent;
    enum clm_code code = clm_cp_agent_load(req->tx, req->param, &agent, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown(req, answer);
    }
    if (code == CLM_OK && (strcmp(agent.status, CLM_CP_AGENT_PENDING_S) == 0 ||
                           strcmp(agent.status, CLM_CP_AGENT_DENIED_S) == 0)) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "agent '%s' was never admitted: approve it", agent.id);
    }
    if (code == CLM_OK) {
        code = clm_cp_agent_set_status(req->tx, agent.id, CLM_CP_AGENT_ACTIVE_S, err);
    }
    return code == CLM_OK ? answer_agent(req, answer, err) : code;
}

static enum clm_code admit(struct clm_cp_request *req, struct clm_cp_agent *agent,
                           struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT((size_t)2 * CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {0};
    enum clm_code code =
        clm_cp_db_get_text(req->tx->db, &text, err, "SELECT enroll_csr FROM agent WHERE id = ?1",
                           CLM_SQL(clm_sql_text(agent->id)));

    if (code == CLM_OK) {
        code = clm_b64url_decode(clm_buf_str(&text), text.len, &der, err);
    }
    if (code == CLM_OK) {
        code = clm_csr_parse(der.data, der.len, &csr, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_identity_issue(req->tx, agent, &csr, false, err);
    }
    return code == CLM_OK ? clm_cp_agent_set_status(req->tx, agent->id, CLM_CP_AGENT_ACTIVE_S, err)
                          : code;
}

/* Admits a host that waits, or allows an active one its next recovery. */
CLM_CP_HANDLER(clm_cp_op_approve_agent)
{
    struct clm_cp_agent agent;
    enum clm_code code = clm_cp_agent_load(req->tx, req->param, &agent, err);

    if (code == CLM_E_NOTFOUND) {
        return unknown(req, answer);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(agent.status, CLM_CP_AGENT_PENDING_S) == 0 ||
        strcmp(agent.status, CLM_CP_AGENT_DENIED_S) == 0) {
        code = admit(req, &agent, err);
    } else {
        clm_log_notice("agent '%s': its next recovery is approved", agent.id);
        code = clm_cp_db_exec(req->tx->db, err, "UPDATE agent SET recovery_ok = 1 WHERE id = ?1",
                              CLM_SQL(clm_sql_text(agent.id)));
    }
    return code == CLM_OK ? answer_agent(req, answer, err) : code;
}
