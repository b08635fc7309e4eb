/* SPDX-License-Identifier: Apache-2.0 */
/* What anybody may ask: protocol.md 7.1 and 7.2; and the trust document, 7.7. */
#include "controlplane/handlers.h"
#include "controlplane/server.h"

CLM_CP_HANDLER(clm_cp_get_discovery)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char base[200];
    enum clm_code code = clm_str_fmt(base, sizeof(base), err, "%s/agent/v1", req->cp->agent_url);

    if (code != CLM_OK) {
        return code;
    }
    clm_json_add_int(clm_json_set_array(obj, "protocols"), 1);
    clm_json_add_str(clm_json_set_array(obj, "agent_base"), base);
    clm_json_set_str(obj, "server", "clmbot-controlplane/" CLM_VERSION);
    clm_json_set_str(obj, "tenant_hint", req->cp->conf.tenant);
    clm_json_add_str(clm_json_set_array(obj, "auth"), "mtls");
    clm_json_set_bool(obj, "gzip", false);
    clm_json_set_int(obj, "wait_max_s", req->cp->conf.wait_max_s);
    struct clm_json *limits = clm_json_set_object(obj, "limits");

    clm_json_set_int(limits, "poll_body", 16384);
    clm_json_set_int(limits, "inventory_body", 4194304);
    clm_json_set_int(limits, "events_body", 262144);
    clm_cp_json_time(obj, "time", req->tx->now_s);
    clm_cp_answer_header(answer, "Cache-Control", "max-age=3600");
    return clm_cp_answer_json(answer, 200, obj, err);
}

CLM_CP_HANDLER(clm_cp_get_cacerts)
{
    const struct clm_cp_authority *ca = &req->tx->pki->ca;
    struct clm_cert_info info;
    char etag[CLM_SHA256_HEX_SIZE + 2];
    enum clm_code code = clm_cert_info(ca->cert, 0, &info, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_str_fmt(etag, sizeof(etag), err, "\"%s\"", info.sha256);
    clm_cert_info_done(&info);
    if (code != CLM_OK) {
        return code;
    }
    (void)clm_cp_answer_empty(answer, 200);
    answer->content_type = "application/pem-certificate-chain";
    clm_cp_answer_header(answer, "ETag", etag);
    clm_cp_answer_header(answer, "Cache-Control", "max-age=3600");
    return clm_buf_add(&answer->body, ca->pem.data, ca->pem.len, err);
}

CLM_CP_HANDLER(clm_cp_get_trust)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_pki_trust(req->tx->pki, req->cp->conf.tenant, req->agent_id,
                                          req->tx->now_s, obj, err);

    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}
