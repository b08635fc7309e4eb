/* SPDX-License-Identifier: Apache-2.0 */
/* Proof of control of names by files: get_dcv, dcv_cleanup, and the middle of an order. */
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/run/job.h"
#include "agent/run/selfcheck.h"

#define CHECK_TRIES    3
#define CHECK_PAUSE_MS 1000
#define CHALLENGES_MAX 200

struct challenge {
    const char *id;
    const char *method;
    const char *domain;
    const char *path;
    const char *content;
    const char *state;
};

static enum clm_code read_challenge(const struct clm_json *obj, struct challenge *out,
                                    struct clm_err *err)
{
    const struct {
        const char *key;
        size_t max;
        const char **value;
    } members[] = {
        {"challenge_id", 64, &out->id}, {"method", 16, &out->method},
        {"domain", 253, &out->domain},  {"path", 512, &out->path},
        {"state", 32, &out->state},     {"content", 4096, &out->content},
    };
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(members); i++) {
        code = clm_json_str(obj, members[i].key, members[i].max, members[i].value, err);
    }
    return code;
}

static bool is_reported(const struct clm_job *job, const char *challenge_id)
{
    const struct clm_json *done = clm_json_get(job->record.root, "dcv_reported");

    for (const struct clm_json *n = clm_json_first(done); n != NULL; n = clm_json_next(n)) {
        const char *id = clm_json_text(n);

        if (id != NULL && strcmp(id, challenge_id) == 0) {
            return true;
        }
    }
    return false;
}

static enum clm_code put_file(struct clm_job *job, const char *order_id, const struct challenge *c,
                              struct clm_json **out_reply, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_body(job);
    int64_t start_ms = clm_clock_mono_ms();

    clm_json_set_str(body, "order_id", order_id);
    clm_json_set_str(body, "challenge_id", c->id);
    clm_json_set_str(body, "domain", c->domain);
    clm_json_set_str(body, "path", c->path);
    clm_json_set_str(body, "content", c->content);
    enum clm_code code = clm_job_host(job, CLM_OP_DCV_PUT, body, out_reply, err);
    clm_job_step(job, "dcv.write", code == CLM_OK ? "ok" : "failed", clm_clock_mono_ms() - start_ms,
                 c->domain);
    return code;
}

static enum clm_code read_check(const struct clm_json *reply, const struct challenge *c,
                                struct clm_selfcheck *out, struct clm_err *err)
{
    const struct clm_json *check = clm_json_get(reply, "check");
    int64_t port = 0;
    const struct {
        const struct clm_json *in;
        const char *key;
        size_t max;
        const char **value;
    } texts[] = {
        {reply, "file", 4096, &out->file},
        {check, "addr", CLM_ADDR_SIZE - 1, &out->addr},
        {check, "host", CLM_DNS_NAME_SIZE - 1, &out->host},
        {check, "path", 512, &out->path},
    };

    *out = (struct clm_selfcheck){.content = c->content};
    enum clm_code code = clm_json_int(check, "port", 1, 65535, &port, err);
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(texts); i++) {
        code = clm_json_str(texts[i].in, texts[i].key, texts[i].max, texts[i].value, err);
    }
    out->port = (uint16_t)port;
    return code;
}

/* A server may be in the middle of a reload: a few tries for what a second can cure. */
static enum clm_code check_file(struct clm_job *job, const struct clm_selfcheck *check,
                                struct clm_json *report, struct clm_err *err)
{
    struct clm_selfcheck_result seen = {.ok = false};
    int64_t start_ms = clm_clock_mono_ms();
    enum clm_code code = CLM_OK;

    for (int i = 0; i < CHECK_TRIES; i++) {
        if (i > 0) {
            code = clm_job_wait(job, CHECK_PAUSE_MS, err);
        }
        if (code != CLM_OK) {
            return code;
        }
        clm_selfcheck(job->world->fetch, job->world->fetch_ctx, check, &seen);
        if (seen.ok || !seen.may_retry) {
            break;
        }
    }
    clm_job_step(job, "dcv.check", seen.ok ? "ok" : "failed", clm_clock_mono_ms() - start_ms,
                 seen.message);
    clm_json_set_bool(report, "ok", seen.ok);
    clm_json_set_str(report, "via", seen.via);
    clm_json_set_int(report, "status", seen.status);
    if (seen.ok) {
        return CLM_OK;
    }
    (void)clm_err_set(err, CLM_E_VERIFY, "%s", seen.message);
    job->fault.retryable = seen.may_retry;
    return clm_job_fault(job, CLM_E_VERIFY, "E_DCV_SELF_CHECK", seen.hint);
}

struct dcv_round {
    const char *order_id;
    bool self_check;
    struct clm_json *written; /* array of ids */
    struct clm_json *checks;  /* array */
};

static enum clm_code do_challenge(struct clm_job *job, struct dcv_round *round,
                                  const struct challenge *c, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_selfcheck check;

    enum clm_code code = clm_job_check(job, err);
    if (code == CLM_OK) {
        code = put_file(job, round->order_id, c, &reply, err);
    }
    if (code == CLM_OK && round->self_check) {
        struct clm_json *report = clm_json_add_object(round->checks);

        clm_json_set_str(report, "challenge_id", c->id);
        code = read_check(reply, c, &check, err);
        if (code == CLM_OK) {
            code = check_file(job, &check, report, err);
        }
    }
    if (code == CLM_OK) {
        clm_json_add_str(round->written, c->id);
    }
    return code;
}

static enum clm_code report_ready(struct clm_job *job, struct dcv_round *round, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_fenced(job);
    struct clm_api_response answer;
    char path[128];

    (void)snprintf(path, sizeof(path), "/agent/v1/orders/%s/dcv/ready", round->order_id);
    clm_json_set_copy(body, "written", round->written);
    clm_json_set_copy(body, "self_check", round->checks);
    const struct clm_api_request request = {.method = "POST", .path = path, .body = body};
    enum clm_code code = clm_job_api(job, &request, &answer, err);
    clm_api_response_done(&answer);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_json_edit(job->record.root, "dcv_reported") == NULL) {
        (void)clm_json_set_array(job->record.root, "dcv_reported");
    }
    struct clm_json *done = clm_json_edit(job->record.root, "dcv_reported");
    for (const struct clm_json *n = clm_json_first(round->written); n != NULL;
         n = clm_json_next(n)) {
        clm_json_add_copy(done, n);
    }
    return clm_job_save(job, err);
}

static enum clm_code do_challenges(struct clm_job *job, struct dcv_round *round,
                                   const struct clm_json *list, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (const struct clm_json *n = clm_json_first(list); code == CLM_OK && n != NULL;
         n = clm_json_next(n)) {
        struct challenge c = {0};

        code = read_challenge(n, &c, err);
        if (code == CLM_OK && (strcmp(c.method, "http-01") == 0 || strcmp(c.method, "file") == 0) &&
            strcmp(c.state, "pending") == 0 && !is_reported(job, c.id)) {
            code = do_challenge(job, round, &c, err);
        }
    }
    if (code == CLM_OK && clm_json_len(round->written) > 0) {
        code = report_ready(job, round, err);
    }
    return code;
}

enum clm_code clm_job_dcv_round(struct clm_job *job, const char *order_id, bool self_check,
                                struct clm_err *err)
{
    struct dcv_round round = {.order_id = order_id, .self_check = self_check};
    struct clm_api_response answer;
    const struct clm_json *list = NULL;
    char path[128];

    (void)snprintf(path, sizeof(path), "/agent/v1/orders/%s/dcv", order_id);
    const struct clm_api_request request = {.method = "GET", .path = path};
    enum clm_code code = clm_job_api(job, &request, &answer, err);
    if (code == CLM_OK) {
        code = clm_json_array(answer.json, "challenges", CHALLENGES_MAX, &list, err);
    }
    if (code == CLM_OK) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *written = clm_json_new_array();
        CLM_CLEANUP(clm_json_free_p) struct clm_json *checks = clm_json_new_array();

        round.written = written;
        round.checks = checks;
        code = do_challenges(job, &round, list, err);
    }
    clm_api_response_done(&answer);
    return code;
}

void clm_job_dcv_remove(struct clm_job *job, const char *order_id)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_body(job);
    struct clm_err why = {0};

    clm_json_set_str(body, "order_id", order_id);
    if (clm_link_call(job->world->link, CLM_OP_DCV_REMOVE, body, NULL, NULL, &why) != CLM_OK) {
        clm_log_at(CLM_LOG_WARNING, job->record.job_id, NULL,
                   "files for domain validation are left: %s", why.msg);
    }
}

enum clm_code clm_job_get_dcv(struct clm_job *job, struct clm_err *err)
{
    const char *order_id = NULL;
    bool self_check = true;

    clm_job_phase(job, "dcv", 20);
    enum clm_code code = clm_json_str(job->spec, "order_id", CLM_ID_SIZE - 1, &order_id, err);
    if (code == CLM_OK) {
        code = clm_json_bool_or(job->spec, "self_check", &self_check, err);
    }
    if (code == CLM_OK) {
        code = clm_job_dcv_round(job, order_id, self_check, err);
    }
    clm_json_set_str(clm_job_effects(job), "order_id", order_id);
    return code;
}

enum clm_code clm_job_dcv_cleanup(struct clm_job *job, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_job_body(job);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    const char *order_id = NULL;
    int64_t removed = 0;

    enum clm_code code = clm_json_str(job->spec, "order_id", CLM_ID_SIZE - 1, &order_id, err);
    if (code == CLM_OK) {
        clm_json_set_str(body, "order_id", order_id);
        code = clm_job_host(job, CLM_OP_DCV_REMOVE, body, &reply, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(reply, "removed", 0, 100000, &removed, err);
    }
    clm_job_step(job, "dcv.remove", code == CLM_OK ? "ok" : "failed", 0, NULL);
    clm_json_set_int(clm_job_effects(job), "removed", removed);
    return code;
}
