/* SPDX-License-Identifier: Apache-2.0 */
/* The order flow as the agent sees it: protocol.md 7.12. */
#include <string.h>

#include "agent/base/clock.h"
#include "controlplane/handlers.h"
#include "controlplane/orders.h"
#include "controlplane/server.h"

#define RETRY_AFTER_S 5

struct upload {
    struct clm_cp_job job;
    struct clm_cp_cert cert;
    struct clm_buf der;
    struct clm_csr_info info;
    const char *csr;
    const char *key_ref;
};

static enum clm_code answer_order(struct clm_cp_answer *answer, const struct clm_cp_order *order,
                                  int status, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();

    clm_json_set_str(obj, "order_id", order->id);
    clm_json_set_str(obj, "state", order->state);
    clm_json_set_str(obj, "certificate_id", order->certificate_id);
    if (strcmp(order->state, "issued") == 0) {
        clm_json_set_str(obj, "sha256", order->sha256);
        clm_cp_json_time(obj, "not_after", order->not_after_s);
    } else if (clm_cp_order_state_is_final(order->state)) {
        struct clm_json *error = clm_json_set_object(obj, "error");

        clm_json_set_str(error, "code", "E_CA_REFUSED");
        clm_json_set_str(error, "message", order->error);
        clm_json_set_bool(error, "retryable", false);
    } else {
        clm_json_set_int(obj, "retry_after_s", RETRY_AFTER_S);
    }
    return clm_cp_answer_json(answer, status, obj, err);
}

static enum clm_code order_unknown(struct clm_cp_request *req, struct clm_cp_answer *answer)
{
    return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no order '%s'", req->param);
}

/* ---- POST /agent/v1/jobs/{id}/csr ---- */

/* *out_ok false: answer holds the problem. */
static enum clm_code check_job(struct clm_cp_request *req, struct clm_cp_answer *answer,
                               struct upload *up, bool *out_ok, struct clm_err *err)
{
    int64_t fence = 0;
    enum clm_code code = clm_json_int(req->body, "fence", 0, CLM_JSON_INT_MAX, &fence, err);

    *out_ok = false;
    if (code != CLM_OK) {
        return code;
    }
    code = clm_cp_job_load(req->tx, req->param, req->agent_id, &up->job, err);
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_UNKNOWN, "no job '%s'", req->param);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_cp_answer_header(answer, "Clm-Job-State", up->job.state);
    if (clm_cp_job_state_is_terminal(up->job.state)) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_TERMINAL, "job '%s' has ended: %s",
                                     up->job.id, up->job.state);
    }
    if (!clm_cp_job_state_is_held(up->job.state) || fence != up->job.fence) {
        return clm_cp_answer_problem(req, answer, CLM_CP_STALE_FENCE,
                                     "fence %lld is not the current fence %lld", (long long)fence,
                                     (long long)up->job.fence);
    }
    if (strcmp(up->job.type, "order") != 0 || up->job.certificate_id[0] == '\0') {
        return clm_cp_answer_problem(req, answer, CLM_CP_POLICY,
                                     "a job of type '%s' orders nothing", up->job.type);
    }
    *out_ok = true;
    return CLM_OK;
}

static enum clm_code answer_faults(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                   const struct clm_json *faults)
{
    struct clm_json *extra = clm_json_new_object();
    const char *first = clm_json_text(clm_json_get(clm_json_first(faults), "detail"));

    clm_json_set_copy(extra, "errors", faults);
    return clm_cp_answer_problem_take(req, answer, CLM_CP_INVALID_CSR, extra,
                                      first != NULL ? first : "");
}

static enum clm_code read_csr(struct clm_cp_request *req, struct clm_cp_answer *answer,
                              struct upload *up, bool *out_ok, struct clm_err *err)
{
    struct clm_err why = {0};
    const char *claimed = NULL;
    enum clm_code code = clm_json_str(req->body, "csr", (size_t)2 * CLM_CSR_MAX, &up->csr, err);

    *out_ok = false;
    if (code == CLM_OK) {
        code = clm_json_str_or(req->body, "csr_sha256", 80, NULL, &claimed, err);
    }
    if (code == CLM_OK) {
        code =
            clm_json_str_or(clm_json_get(req->body, "key"), "key_ref", 127, "", &up->key_ref, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = clm_b64url_decode(up->csr, strlen(up->csr), &up->der, &why);
    if (code == CLM_E_LIMIT) {
        return clm_cp_answer_problem(req, answer, CLM_CP_TOO_LARGE, "csr: the limit is %u bytes",
                                     CLM_CSR_MAX);
    }
    if (code == CLM_OK) {
        code = clm_csr_parse(up->der.data, up->der.len, &up->info, &why);
    }
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "csr");
    }
    if (code != CLM_OK) {
        return clm_cp_answer_problem(req, answer, CLM_CP_INVALID_CSR, "csr: %.300s", why.msg);
    }
    if (claimed != NULL && strcmp(claimed, up->info.sha256) != 0) {
        return clm_cp_answer_problem(req, answer, CLM_CP_INVALID_CSR,
                                     "csr_sha256 is not the hash of csr");
    }
    *out_ok = true;
    return CLM_OK;
}

static enum clm_code open_order(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                struct upload *up, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *faults = clm_json_new_array();
    struct clm_cp_order order;
    char id[CLM_ID_SIZE];
    const struct clm_cp_order_new in = {.job = &up->job,
                                        .cert = &up->cert,
                                        .csr = up->csr,
                                        .info = &up->info,
                                        .key_ref = up->key_ref};
    enum clm_code code = clm_cp_order_find_open(req->tx, up->cert.id, &order, err);

    if (code == CLM_OK) {
        struct clm_json *extra = clm_json_new_object();

        clm_json_set_str(extra, "order_id", order.id);
        return clm_cp_answer_problem_take(req, answer, CLM_CP_CONFLICT, extra,
                                          "another order of this certificate is open");
    }
    if (code != CLM_E_NOTFOUND) {
        return code;
    }
    code = clm_cp_order_check_csr(req->tx, &up->cert, &up->info, faults, err);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_json_len(faults) > 0) {
        return answer_faults(req, answer, faults);
    }
    code = clm_cp_db_exec(
        req->tx->db, err, "UPDATE cert SET key_type = ?2 WHERE id = ?1",
        CLM_SQL(clm_sql_text(up->cert.id), clm_sql_text(clm_key_type_name(up->info.key_type))));
    if (code == CLM_OK) {
        code = clm_cp_order_create(req->tx, &in, id, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_order_load(req->tx, id, NULL, &order, err);
    }
    return code == CLM_OK ? answer_order(answer, &order, 202, err) : code;
}

static enum clm_code take_csr(struct clm_cp_request *req, struct clm_cp_answer *answer,
                              struct upload *up, struct clm_err *err)
{
    struct clm_cp_order order;
    bool ok = false;
    enum clm_code code = check_job(req, answer, up, &ok, err);

    if (code == CLM_OK && ok) {
        code = read_csr(req, answer, up, &ok, err);
    }
    if (code != CLM_OK || !ok) {
        return code;
    }
    code = clm_cp_order_find(req->tx, up->job.id, up->info.sha256, &order, err);
    if (code == CLM_OK) {
        return answer_order(answer, &order, 200, err);
    }
    if (code == CLM_E_NOTFOUND) {
        code = clm_cp_cert_load(req->tx, up->job.certificate_id, &up->cert, err);
    }
    return code == CLM_OK ? open_order(req, answer, up, err) : code;
}

CLM_CP_HANDLER(clm_cp_post_csr)
{
    struct upload up = {.der = CLM_BUF_INIT(CLM_CSR_MAX)};
    enum clm_code code = take_csr(req, answer, &up, err);

    clm_buf_done(&up.der);
    clm_csr_info_done(&up.info);
    clm_cp_cert_done(&up.cert);
    return code;
}

/* ---- GET /agent/v1/orders/{id}, .../dcv ---- */

CLM_CP_HANDLER(clm_cp_get_order)
{
    struct clm_cp_order order;
    int64_t wait_s = 0;
    enum clm_code code = clm_cp_request_number(req, "wait", 86400, &wait_s, err);

    if (code == CLM_OK) {
        code = clm_cp_order_load(req->tx, req->param, req->agent_id, &order, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return order_unknown(req, answer);
    }
    if (code != CLM_OK) {
        return code;
    }
    int64_t max_s = req->cp->conf.wait_max_s;
    int64_t until_ms = req->started_ms + (wait_s < max_s ? wait_s : max_s) * 1000;
    bool has_news = clm_cp_order_state_is_final(order.state);
    const char *known = clm_cp_request_query(req, "state"); /* what the agent knows already */

    if (known != NULL && strcmp(known, order.state) != 0) {
        has_news = true;
    }
    if (!has_news && !req->is_last && clm_clock_mono_ms() < until_ms) {
        return clm_cp_answer_hold(answer, order.id, "", until_ms);
    }
    return answer_order(answer, &order, 200, err);
}

static enum clm_code show_challenge(void *arg, const struct clm_cp_challenge *challenge,
                                    struct clm_err *err)
{
    struct clm_json *obj = clm_json_add_object(arg);

    (void)err;
    clm_json_set_str(obj, "challenge_id", challenge->id);
    clm_json_set_str(obj, "method", "http-01");
    clm_json_set_str(obj, "domain", challenge->domain);
    clm_json_set_str(obj, "path", challenge->path);
    clm_json_set_str(obj, "content", challenge->content);
    clm_json_set_str(obj, "state", challenge->state);
    return CLM_OK;
}

CLM_CP_HANDLER(clm_cp_get_dcv)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_cp_order order;
    enum clm_code code = clm_cp_order_load(req->tx, req->param, req->agent_id, &order, err);

    if (code == CLM_E_NOTFOUND) {
        return order_unknown(req, answer);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(order.state, "created") == 0) {
        clm_cp_answer_number(answer, "Retry-After", 1);
        return clm_cp_answer_problem(req, answer, CLM_CP_WAITING,
                                     "the CA has not given challenges yet");
    }
    clm_json_set_str(obj, "order_id", order.id);
    clm_cp_json_time(obj, "expires_at", order.expires_s);
    code = clm_cp_challenge_each(req->tx, order.id, show_challenge,
                                 clm_json_set_array(obj, "challenges"), err);
    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}

/* ---- POST /agent/v1/orders/{id}/dcv/ready ---- */

static enum clm_code check_fence(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                 const struct clm_cp_order *order, bool *out_ok,
                                 struct clm_err *err)
{
    struct clm_cp_job job;
    int64_t fence = 0;
    enum clm_code code = clm_json_int(req->body, "fence", 0, CLM_JSON_INT_MAX, &fence, err);

    if (code == CLM_OK) {
        code = clm_cp_job_load(req->tx, order->job_id, NULL, &job, err);
    }
    /* A get_dcv job works on the order of another job and has a fence of its own: then it is
     * enough that this agent holds some job with this fence. */
    *out_ok = code == CLM_OK && job.fence == fence;
    if (code == CLM_OK && !*out_ok) {
        int64_t held = 0;

        code = clm_cp_db_get_int(req->tx->db, 0, &held, err,
                                 "SELECT count(*) FROM job WHERE agent_id = ?1 AND fence = ?2"
                                 " AND type = 'get_dcv' AND state IN ('leased','running')",
                                 CLM_SQL(clm_sql_text(req->agent_id), clm_sql_int(fence)));
        *out_ok = code == CLM_OK && held > 0;
    }
    if (code == CLM_OK && !*out_ok) {
        return clm_cp_answer_problem(req, answer, CLM_CP_STALE_FENCE,
                                     "fence %lld is not the current fence %lld", (long long)fence,
                                     (long long)job.fence);
    }
    return code;
}

CLM_CP_HANDLER(clm_cp_post_dcv_ready)
{
    struct clm_cp_order order;
    bool ok = false;
    enum clm_code code = clm_cp_order_load(req->tx, req->param, req->agent_id, &order, err);

    if (code == CLM_E_NOTFOUND) {
        return order_unknown(req, answer);
    }
    if (code == CLM_OK) {
        code = check_fence(req, answer, &order, &ok, err);
    }
    if (code != CLM_OK || !ok) {
        return code;
    }
    if (strcmp(order.state, "dcv_pending") != 0) {
        return answer_order(answer, &order, 200, err);
    }
    code = clm_cp_order_dcv_ready(req->tx, &order, err);
    return code == CLM_OK ? answer_order(answer, &order, 202, err) : code;
}

/* ---- GET /agent/v1/certificates/{id} ---- */

CLM_CP_HANDLER(clm_cp_get_certificate)
{
    struct clm_cp_cert cert = {0};
    struct clm_cp_version version = {.pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX)};
    char etag[CLM_SHA256_HEX_SIZE + 2];
    enum clm_code code = clm_cp_cert_load(req->tx, req->param, &cert, err);

    if (code == CLM_OK && strcmp(cert.agent_id, req->agent_id) != 0) {
        code = CLM_E_NOTFOUND;
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_version(req->tx, cert.id, clm_cp_request_query(req, "sha256"), &version,
                                   err);
    }
    if (code == CLM_E_NOTFOUND) {
        code = clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND,
                                     "no issued certificate '%s' for this agent", req->param);
    } else if (code == CLM_OK) {
        (void)clm_cp_answer_empty(answer, 200);
        answer->content_type = "application/pem-certificate-chain";
        code = clm_str_fmt(etag, sizeof(etag), err, "\"%s\"", version.sha256);
        clm_cp_answer_header(answer, "ETag", etag);
        if (code == CLM_OK) {
            code = clm_buf_add(&answer->body, version.pem.data, version.pem.len, err);
        }
    }
    clm_buf_done(&version.pem);
    clm_cp_cert_done(&cert);
    return code;
}
