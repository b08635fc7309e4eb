/* SPDX-License-Identifier: Apache-2.0 */
/* Proof of control in the hands of a person: what has to be served where, and "it is there". */
#include <string.h>

#include "agent/base/log.h"
#include "controlplane/handlers.h"
#include "controlplane/orders.h"
#include "controlplane/server.h"

static enum clm_code find_order(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                struct clm_cp_order *out, bool *out_ok, struct clm_err *err)
{
    enum clm_code code = clm_cp_order_find_open(req->tx, req->param, out, err);

    *out_ok = code == CLM_OK;
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND,
                                     "no order of certificate '%s' is open", req->param);
    }
    return code;
}

static enum clm_code show_challenge(void *arg, const struct clm_cp_challenge *challenge,
                                    struct clm_err *err)
{
    struct clm_json *obj = clm_json_add_object(arg);
    char url[CLM_DNS_NAME_SIZE + sizeof(challenge->path) + 16];
    bool is_v6 = strchr(challenge->domain, ':') != NULL;
    enum clm_code code = clm_str_fmt(url, sizeof(url), err, is_v6 ? "http://[%s]%s" : "http://%s%s",
                                     challenge->domain, challenge->path);

    clm_json_set_str(obj, "challenge_id", challenge->id);
    clm_json_set_str(obj, "domain", challenge->domain);
    clm_json_set_str(obj, "url", url);
    clm_json_set_str(obj, "content", challenge->content);
    clm_json_set_str(obj, "state", challenge->state);
    return code;
}

static enum clm_code answer_order(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  const struct clm_cp_order *order, int status, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();

    clm_json_set_str(obj, "order_id", order->id);
    clm_json_set_str(obj, "state", order->state);
    clm_cp_json_time(obj, "expires_at", order->expires_s);
    enum clm_code code = clm_cp_challenge_each(req->tx, order->id, show_challenge,
                                               clm_json_set_array(obj, "challenges"), err);

    return code == CLM_OK ? clm_cp_answer_json(answer, status, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_dcv)
{
    struct clm_cp_order order;
    bool ok = false;
    enum clm_code code = find_order(req, answer, &order, &ok, err);

    return code == CLM_OK && ok ? answer_order(req, answer, &order, 200, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_dcv_ready)
{
    struct clm_cp_order order;
    bool ok = false;
    enum clm_code code = find_order(req, answer, &order, &ok, err);

    if (code != CLM_OK || !ok) {
        return code;
    }
    if (strcmp(order.state, "dcv_pending") != 0) {
        return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT,
                                     "the order does not wait for files: it is %s", order.state);
    }
    clm_log_notice("order '%s': an operator says that the files are served", order.id);
    code = clm_cp_order_dcv_ready(req->tx, &order, err);
    return code == CLM_OK ? answer_order(req, answer, &order, 202, err) : code;
}
