/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/agents.h"
#include "controlplane/certs.h"
#include "controlplane/handlers.h"
#include "controlplane/server.h"

static enum clm_code answer_certificate(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                        const char *id, int status, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_cert_show(req->tx, id, obj, err);

    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no certificate '%s'", id);
    }
    return code == CLM_OK ? clm_cp_answer_json(answer, status, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_post_certificate)
{
    CLM_CLEANUP(clm_cp_cert_draft_done) struct clm_cp_cert_draft draft = {0};
    struct clm_cp_agent agent;
    char id[CLM_ID_SIZE];
    enum clm_code code = clm_cp_cert_draft_read(&req->cp->conf, req->body, &draft, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_cp_agent_load(req->tx, draft.in.agent_id, &agent, err);
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no agent '%s'",
                                     draft.in.agent_id);
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_draft_fill(req->tx, &draft, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_create(req->tx, &draft.in, id, err);
    }
    return code == CLM_OK ? answer_certificate(req, answer, id, 201, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_certificates)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_certs_list(req->tx, clm_json_set_array(obj, "certificates"), err);

    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_certificate)
{
    return answer_certificate(req, answer, req->param, 200, err);
}
