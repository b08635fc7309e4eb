/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "controlplane/auth.h"
#include "controlplane/idem.h"
#include "controlplane/server.h"

#define JSON_TYPE "application/json"

static void fail(struct clm_cp_request *req, struct clm_cp_answer *answer, enum clm_code code,
                 const struct clm_err *err)
{
    enum clm_cp_problem problem = clm_cp_problem_of(code);

    answer->n_headers = 0;
    answer->keep = false;
    if (problem == CLM_CP_INTERNAL) {
        clm_log_error("%s %s (%s): %s", req->method, req->path, req->id, err->msg);
        (void)clm_cp_answer_problem(req, answer, problem,
                                    "see the control plane's log for this request_id");
    } else {
        (void)clm_cp_answer_problem(req, answer, problem, "%.400s", err->msg);
    }
}

/* What can be said without looking at the database. */
static bool is_well_formed(struct clm_cp_request *req, struct clm_cp_answer *answer)
{
    const char *type = clm_cp_request_header(req, "Content-Type");
    const char *coding = clm_cp_request_header(req, "Content-Encoding");
    const char *version = clm_cp_request_header(req, "Clm-Protocol");

    if (req->route->listener == CLM_CP_AGENT_API && req->route->auth != CLM_CP_AUTH_NONE &&
        (version == NULL || strcmp(version, "1") != 0)) {
        (void)clm_cp_answer_problem(req, answer, CLM_CP_SCHEMA,
                                    "the header Clm-Protocol must be 1");
        return false;
    }
    if (req->raw->len == 0) {
        return true;
    }
    if (type == NULL || strncmp(type, JSON_TYPE, strlen(JSON_TYPE)) != 0 ||
        (type[strlen(JSON_TYPE)] != '\0' && type[strlen(JSON_TYPE)] != ';')) {
        (void)clm_cp_answer_problem(req, answer, CLM_CP_MEDIA_TYPE, "the body must be " JSON_TYPE);
        return false;
    }
    if (coding != NULL && strcmp(coding, "identity") != 0) {
        (void)clm_cp_answer_problem(req, answer, CLM_CP_MEDIA_TYPE,
                                    "bodies are not accepted compressed");
        return false;
    }
    return true;
}

static bool parse_body(struct clm_cp_request *req, struct clm_cp_answer *answer,
                       struct clm_json **out_body)
{
    struct clm_err err = {0};

    if (req->raw->len == 0) {
        return true;
    }
    enum clm_code code =
        clm_json_parse(clm_buf_str(req->raw), req->raw->len, req->route->body_max, out_body, &err);

    if (code == CLM_E_NOMEM) {
        fail(req, answer, code, &err);
        return false;
    }
    if (code != CLM_OK) {
        (void)clm_cp_answer_problem(req, answer, CLM_CP_MALFORMED, "%.400s", err.msg);
        return false;
    }
    if (clm_json_kind(*out_body) != CLM_JSON_OBJECT) {
        (void)clm_cp_answer_problem(req, answer, CLM_CP_SCHEMA, "the body must be an object");
        return false;
    }
    return true;
}

/* A held request that is evaluated again was counted when it came. */
static bool is_within_rate(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                           struct clm_cp_answer *answer)
{
    const struct clm_cp_conf *conf = &req->cp->conf;
    char name[CLM_CP_PARAM_SIZE];
    uint32_t wait_s = 0;
    int64_t now_ms = clm_clock_mono_ms();

    if (req->is_again) {
        return true;
    }
    if (req->route->auth == CLM_CP_AUTH_PROOF) {
        (void)snprintf(name, sizeof(name), "ip/%s", req->remote);
        wait_s = clm_cp_limits_take(req->cp->limits, name, conf->enroll_per_min, conf->enroll_burst,
                                    now_ms);
    } else if (peer->state == CLM_CP_PEER_OK) {
        (void)snprintf(name, sizeof(name), "a/%s", peer->agent_id);
        wait_s = clm_cp_limits_take(req->cp->limits, name, conf->agent_per_min, conf->agent_burst,
                                    now_ms);
    }
    if (wait_s == 0) {
        return true;
    }
    clm_cp_answer_number(answer, "Retry-After", wait_s);
    (void)clm_cp_answer_problem(req, answer, CLM_CP_RATE_LIMITED, "try again in %u s", wait_s);
    return false;
}

/* Authentication, replay, handler; in the transaction. */
static enum clm_code run(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                         struct clm_cp_answer *answer, struct clm_err *err)
{
    struct clm_cp_idem idem;
    bool ok = false;
    bool done = false;
    enum clm_code code = clm_cp_auth_check(req, peer, answer, &ok, err);

    if (code == CLM_OK && ok) {
        code = clm_cp_idem_begin(req, &idem, answer, &ok, err);
    }
    if (code != CLM_OK || !ok) {
        return code;
    }
    code = clm_cp_idem_replay(req, &idem, answer, &done, err);
    if (code != CLM_OK || done) {
        return code;
    }
    code = req->route->handler(req, answer, err);
    return code == CLM_OK ? clm_cp_idem_keep(req, &idem, answer, err) : code;
}

static void run_in_transaction(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                               struct clm_cp_answer *answer)
{
    struct clm_err err = {0};
    CLM_CLEANUP(clm_cp_tx_done)
    struct clm_cp_tx tx = {
        .db = req->cp->db,
        .hub = req->cp->hub,
        .worker = req->cp->worker,
        .conf = &req->cp->conf,
        .pki = req->cp->pki,
    };

    req->tx = &tx;
    /* Writers from the start: a reader that turns writer can be refused by SQLite. */
    bool write = req->route->listener == CLM_CP_AGENT_API || strcmp(req->method, "GET") != 0;
    enum clm_code code = clm_cp_tx_begin(&tx, write, &err);

    if (code == CLM_OK) {
        code = run(req, peer, answer, &err);
    }
    if (code == CLM_OK && (answer->status < 300 || answer->keep)) {
        code = clm_cp_tx_commit(&tx, &err);
    }
    if (code != CLM_OK) {
        fail(req, answer, code, &err);
    }
    req->tx = NULL;
}

void clm_cp_dispatch(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                     struct clm_cp_answer *answer)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;

    if (!is_well_formed(req, answer)) {
        return;
    }
    (void)pthread_mutex_lock(&req->cp->lock);
    if (is_within_rate(req, peer, answer) && parse_body(req, answer, &body)) {
        req->body = body;
        run_in_transaction(req, peer, answer);
        req->body = NULL;
    }
    (void)pthread_mutex_unlock(&req->cp->lock);
}
