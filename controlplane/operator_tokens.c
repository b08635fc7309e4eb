/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/handlers.h"
#include "controlplane/server.h"
#include "controlplane/tokens.h"

static enum clm_code read_new(const struct clm_cp_request *req, struct clm_cp_token_new *out,
                              struct clm_err *err)
{
    static const char *const known[] = {"ttl_s",  "uses", "approval", "host_glob",
                                        "labels", "url",  NULL};
    const char *approval = NULL;
    enum clm_code code = req->body != NULL ? clm_json_only(req->body, known, err) : CLM_OK;

    *out = (struct clm_cp_token_new){.ttl_s = CLM_CP_TOKEN_TTL_S, .max_uses = 1};
    if (code == CLM_OK) {
        code = clm_json_int_or(req->body, "ttl_s", 1, CLM_CP_TOKEN_TTL_MAX_S, &out->ttl_s, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(req->body, "uses", 1, CLM_CP_TOKEN_USES_MAX, &out->max_uses, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(req->body, "host_glob", 255, "", &out->host_glob, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(req->body, "url", 256, req->cp->agent_url, &out->url, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(req->body, "approval", 16, "auto", &approval, err);
    }
    if (code == CLM_OK && strcmp(approval, "auto") != 0 && strcmp(approval, "manual") != 0) {
        code = clm_err_set(err, CLM_E_PARSE, "/approval: 'auto' or 'manual'");
    }
    if (code == CLM_OK) {
        out->manual_approval = strcmp(approval, "manual") == 0;
        out->labels = clm_json_get(req->body, "labels");
    }
    return code;
}

CLM_CP_HANDLER(clm_cp_op_post_token)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    struct clm_cp_token_new in;
    char id[CLM_ID_SIZE];
    enum clm_code code = read_new(req, &in, err);

    if (code == CLM_OK) {
        code = clm_cp_token_create(req->tx, &in, id, &text, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(obj, "id", id);
    clm_json_set_str(obj, "token", clm_buf_str(&text));
    clm_json_set_int(obj, "uses", in.max_uses);
    clm_json_set_str(obj, "approval", in.manual_approval ? "manual" : "auto");
    clm_cp_json_time(obj, "expires_at", req->tx->now_s + in.ttl_s);
    return clm_cp_answer_json(answer, 201, obj, err);
}

CLM_CP_HANDLER(clm_cp_op_get_tokens)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_tokens_list(req->tx, clm_json_set_array(obj, "tokens"), err);

    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}
