/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate from the CA: protocol.md 7.12. Every step may be repeated after a crash. */
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/str.h"
#include "agent/model/bundle.h"
#include "agent/run/job.h"

#define ORDER_HELD_MS    10000 /* half of it: it was held, not answered at once */
#define ORDER_WAIT_S     20 /* held by the server; short, so that a stop or cancel is soon seen */
#define ORDER_PAUSE_MS   3000
#define ORDER_STATE_SIZE 33

/* Ids of the control plane become parts of paths: of its URLs and of our files. */
static enum clm_code take_id(const struct clm_json *answer, const char *key, const char *prefix,
                             struct clm_job *job, struct clm_err *err)
{
    const char *id = NULL;
    enum clm_code code = clm_json_str(answer, key, CLM_ID_SIZE - 1, &id, err);

    if (code == CLM_OK && !clm_id_is_valid(prefix, id)) {
        code = clm_err_set(err, CLM_E_PARSE, "%s: '%s' is not an id", key, id);
    }
    if (code == CLM_OK) {
        clm_json_set_str(job->record.root, key, id);
    }
    return code;
}

static enum clm_code post_csr(struct clm_job *job, const struct clm_json *csr, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_fenced(job);
    struct clm_api_response answer;
    char path[128];

    (void)snprintf(path, sizeof(path), "/agent/v1/jobs/%s/csr", job->record.job_id);
    clm_json_set_copy(body, "csr", clm_json_get(csr, "csr"));
    clm_json_set_copy(body, "csr_sha256", clm_json_get(csr, "csr_sha256"));
    clm_json_set_copy(body, "spki_sha256", clm_json_get(csr, "spki_sha256"));
    struct clm_json *key = clm_json_set_object(body, "key");
    clm_json_set_copy(key, "type", clm_json_get(csr, "key_type"));
    clm_json_set_copy(key, "storage", clm_json_get(csr, "key_storage"));
    clm_json_set_bool(key, "exportable", false);
    clm_json_set_copy(key, "key_ref", clm_json_get(csr, "key_ref"));
    clm_json_set_null(body, "pop");
    const struct clm_api_request request = {.method = "POST", .path = path, .body = body};
    enum clm_code code = clm_job_api(job, &request, &answer, err);
    if (code == CLM_E_REMOTE && strcmp(answer.problem, "conflict") == 0) {
        (void)clm_job_fault(job, code, "E_ORDER_OPEN",
                            "another order for this certificate is open on the control plane: wait "
                            "for its end or cancel it there");
    }
    if (code == CLM_OK) {
        code = take_id(answer.json, "order_id", "ord", job, err);
    }
    if (code == CLM_OK) {
        code = clm_job_save(job, err);
    }
    clm_api_response_done(&answer);
    return code;
}

static enum clm_code request_certificate(struct clm_job *job, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_body(job);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *csr = NULL;
    struct clm_json *effects = clm_job_effects(job);
    int64_t start_ms = clm_clock_mono_ms();

    clm_job_phase(job, "csr", 10);
    enum clm_code code = clm_job_host(job, CLM_OP_CSR, body, &csr, err);
    clm_job_step(job, "csr", code == CLM_OK ? "ok" : "failed", clm_clock_mono_ms() - start_ms,
                 NULL);
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_copy(effects, "csr_sha256", clm_json_get(csr, "csr_sha256"));
    clm_json_set_copy(effects, "spki_sha256", clm_json_get(csr, "spki_sha256"));
    clm_json_set_copy(effects, "key_ref", clm_json_get(csr, "key_ref"));
    if (clm_json_len(clm_json_get(csr, "left_out")) > 0) {
        clm_json_set_copy(effects, "left_out", clm_json_get(csr, "left_out"));
    }
    if (clm_record_text(&job->record, "order_id")[0] == '\0') {
        code = post_csr(job, csr, err);
    }
    clm_json_set_str(effects, "order_id", clm_record_text(&job->record, "order_id"));
    return code;
}

/* ---- until the CA has issued ---- */

static enum clm_code order_failed(struct clm_job *job, const struct clm_json *order,
                                  const char *state, struct clm_err *err)
{
    const struct clm_json *error = clm_json_get(order, "error");
    const char *text = clm_json_text(clm_json_get(error, "message"));
    bool retryable = false;

    if (text == NULL) {
        text = clm_json_text(clm_json_get(error, "detail"));
    }
    if (text == NULL) {
        text = clm_json_text(clm_json_get(order, "detail"));
    }
    if (clm_json_bool_or(error, "retryable", &retryable, NULL) == CLM_OK) {
        job->fault.retryable = retryable;
    }
    (void)clm_err_set(err, CLM_E_REMOTE, "order '%s' is %s: %.300s",
                      clm_record_text(&job->record, "order_id"), state,
                      text == NULL ? "the control plane gives no reason" : text);
    return clm_job_fault(job, CLM_E_REMOTE, "E_ORDER_FAILED",
                         "see the order on the control plane, and the CA's message in it");
}

static bool agent_does_dcv(const struct clm_job *job)
{
    const char *method = clm_json_text(clm_json_get(clm_json_get(job->spec, "dcv"), "method"));

    return method != NULL && (strcmp(method, "http-01") == 0 || strcmp(method, "file") == 0);
}

/* What the server said last. */
struct seen {
    char state[ORDER_STATE_SIZE];
    bool is_news; /* it was another one before */
};

static enum clm_code read_state(const struct clm_json *order, struct seen *io, struct clm_err *err)
{
    const char *state = NULL;

    enum clm_code code = clm_json_str(order, "state", ORDER_STATE_SIZE - 1, &state, err);
    if (code == CLM_OK && state[strspn(state, "abcdefghijklmnopqrstuvwxyz_")] != '\0') {
        code = clm_err_set(err, CLM_E_PARSE, "/state: unknown value"); /* it goes into a URL */
    }
    if (code == CLM_OK) {
        io->is_news = strcmp(io->state, state) != 0;
        code = clm_str_copy(io->state, sizeof(io->state), state, err);
    }
    return code;
}

static enum clm_code act_on_state(struct clm_job *job, const struct clm_json *order,
                                  const char *state, bool *out_issued, struct clm_err *err)
{
    const char *order_id = clm_record_text(&job->record, "order_id");

    if (strcmp(state, "issued") == 0) {
        enum clm_code code = take_id(order, "certificate_id", "crt", job, err);

        *out_issued = true;
        return code == CLM_OK ? clm_job_save(job, err) : code;
    }
    if (strcmp(state, "failed") == 0 || strcmp(state, "canceled") == 0) {
        return order_failed(job, order, state, err);
    }
    if (strcmp(state, "dcv_pending") == 0 && agent_does_dcv(job)) {
        return clm_job_dcv_round(job, order_id, true, err);
    }
    return CLM_OK;
}

static enum clm_code wait_until_issued(struct clm_job *job, struct clm_err *err)
{
    const char *order_id = clm_record_text(&job->record, "order_id");
    char path[128];
    struct seen seen = {.state = ""};
    bool is_issued = false;
    enum clm_code code = CLM_OK;

    clm_job_phase(job, "dcv", 30);
    /* The state as it is first; only then is a change of it waited for. */
    (void)snprintf(path, sizeof(path), "/agent/v1/orders/%s", order_id);
    while (code == CLM_OK && !is_issued) {
        const struct clm_api_request request = {
            .method = "GET", .path = path, .timeout_ms = (ORDER_WAIT_S + 25) * 1000};
        struct clm_api_response answer;
        int64_t start_ms = clm_clock_mono_ms();

        code = clm_job_api(job, &request, &answer, err);
        bool was_held = clm_clock_mono_ms() - start_ms >= ORDER_HELD_MS;
        if (code == CLM_OK) {
            code = read_state(answer.json, &seen, err);
        }
        if (code == CLM_OK) {
            code = act_on_state(job, answer.json, seen.state, &is_issued, err);
        }
        clm_api_response_done(&answer);
        if (code == CLM_OK) {
            /* A server that does not hold the request must not be asked in a circle. */
            code =
                clm_job_wait(job, is_issued || was_held || seen.is_news ? 0 : ORDER_PAUSE_MS, err);
        }
        (void)snprintf(path, sizeof(path), "/agent/v1/orders/%s?wait=%d&state=%s", order_id,
                       ORDER_WAIT_S, seen.state);
    }
    return code;
}

/* ---- the certificate ---- */

static enum clm_code put_certificate(struct clm_job *job, const char *chain_pem,
                                     bool *out_installable, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_body(job);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_json *effects = clm_job_effects(job);

    clm_json_set_str(body, "chain_pem", chain_pem);
    enum clm_code code = clm_job_host(job, CLM_OP_CERT_PUT, body, &reply, err);
    if (code == CLM_OK) {
        clm_json_set_copy(effects, "sha256", clm_json_get(reply, "sha256"));
        clm_json_set_copy(effects, "not_after", clm_json_get(reply, "not_after"));
        clm_json_set_copy(effects, "ca_changes", clm_json_get(reply, "ca_changes"));
        if (clm_json_get(reply, "note") != NULL) {
            clm_json_set_copy(effects, "note", clm_json_get(reply, "note"));
        }
        code = clm_json_bool_or(reply, "installable", out_installable, err);
        clm_json_set_str(effects, "certificate_id",
                         clm_record_text(&job->record, "certificate_id"));
    }
    return code;
}

static enum clm_code fetch_certificate(struct clm_job *job, bool *out_installable,
                                       struct clm_err *err)
{
    struct clm_api_response answer;
    char path[128];
    int64_t start_ms = clm_clock_mono_ms();

    clm_job_phase(job, "certificate", 70);
    (void)snprintf(path, sizeof(path), "/agent/v1/certificates/%s",
                   clm_record_text(&job->record, "certificate_id"));
    const struct clm_api_request request = {.method = "GET", .path = path, .wants_text = true};
    enum clm_code code = clm_job_api(job, &request, &answer, err);
    if (code == CLM_OK && answer.text.len > CLM_CHAIN_PEM_MAX) {
        code = clm_err_set(err, CLM_E_LIMIT, "the chain has %zu bytes; at most %u are allowed",
                           answer.text.len, CLM_CHAIN_PEM_MAX);
    }
    if (code == CLM_OK) {
        code = put_certificate(job, clm_buf_str(&answer.text), out_installable, err);
    }
    clm_api_response_done(&answer);
    clm_job_step(job, "certificate", code == CLM_OK ? "ok" : "failed",
                 clm_clock_mono_ms() - start_ms, NULL);
    return code;
}

enum clm_code clm_job_order(struct clm_job *job, struct clm_err *err)
{
    const char *on_issue = clm_json_text(clm_json_get(job->spec, "on_issue"));
    bool is_installable = true; /* false: its key is not on this host */

    enum clm_code code = request_certificate(job, err);
    if (code == CLM_OK) {
        code = wait_until_issued(job, err);
    }
    if (clm_record_text(&job->record, "order_id")[0] != '\0' && !job->is_stopping) {
        clm_job_dcv_remove(job, clm_record_text(&job->record, "order_id"));
    }
    if (code == CLM_OK) {
        code = fetch_certificate(job, &is_installable, err);
    }
    if (code == CLM_OK && !is_installable) {
        clm_job_step(job, "deploy", "skipped", 0, NULL);
        return CLM_OK;
    }
    if (code == CLM_OK && on_issue != NULL && strcmp(on_issue, "deploy") == 0) {
        code = clm_job_host_result(job, CLM_OP_DEPLOY, "deploy", err);
    }
    return code;
}
