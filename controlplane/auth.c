/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/auth.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/str.h"
#include "agent/crypto/hash.h"
#include "controlplane/agents.h"
#include "controlplane/server.h"

#define BEARER           "Bearer "
#define DISABLED_RETRY_S 3600 /* protocol.md 6.5: slow */
#define PENDING_RETRY_S  60

static bool check_operator(struct clm_cp_request *req, struct clm_cp_answer *answer)
{
    const char *header = clm_cp_request_header(req, "Authorization");
    const char *token = req->cp->operator_token;
    size_t len = strlen(token);

    if (header != NULL && clm_str_starts(header, BEARER) &&
        strlen(header) == strlen(BEARER) + len &&
        clm_ct_equal(header + strlen(BEARER), token, len)) {
        return true;
    }
    clm_cp_answer_header(answer, "WWW-Authenticate", "Bearer realm=\"clmbot\"");
    (void)clm_cp_answer_problem(req, answer, CLM_CP_AUTH_REQUIRED,
                                "send the content of operator.token as bearer token");
    return false;
}

/* The status of an agent whose certificate is good; reports are taken from stopped ones, too. */
static bool check_status(struct clm_cp_request *req, struct clm_cp_answer *answer)
{
    const char *status = req->agent_status;
    bool is_report = req->route->auth == CLM_CP_AUTH_REPORT;

    if (strcmp(status, CLM_CP_AGENT_ACTIVE_S) == 0) {
        return true;
    }
    if (strcmp(status, CLM_CP_AGENT_DISABLED_S) == 0 && !is_report) {
        clm_cp_answer_number(answer, "Retry-After", DISABLED_RETRY_S);
        (void)clm_cp_answer_problem(req, answer, CLM_CP_AGENT_DISABLED,
                                    "an operator disabled agent '%s'", req->agent_id);
        return false;
    }
    if (strcmp(status, CLM_CP_AGENT_QUARANTINED_S) == 0 && !is_report) {
        (void)clm_cp_answer_problem(req, answer, CLM_CP_CLONE_SUSPECTED,
                                    "agent '%s' is quarantined until an operator enables it",
                                    req->agent_id);
        return false;
    }
    if (is_report && strcmp(status, CLM_CP_AGENT_PENDING_S) != 0 &&
        strcmp(status, CLM_CP_AGENT_DENIED_S) != 0) {
        return true;
    }
    clm_cp_answer_number(answer, "Retry-After", PENDING_RETRY_S);
    (void)clm_cp_answer_problem(req, answer, CLM_CP_AGENT_PENDING, "agent '%s' is %s",
                                req->agent_id, status);
    return false;
}

static enum clm_code check_agent(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                                 struct clm_cp_answer *answer, bool *out_ok, struct clm_err *err)
{
    struct clm_cp_agent agent;
    enum clm_code code = clm_cp_agent_load(req->tx, peer->agent_id, &agent, err);

    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_AGENT_UNKNOWN, "no agent '%s'",
                                     peer->agent_id);
    }
    if (code != CLM_OK) {
        return code;
    }
    bool is_current = strcmp(agent.spki, peer->spki_sha256) == 0;

    if (!is_current && strcmp(agent.prev_spki, peer->spki_sha256) != 0) {
        clm_log_warning("agent '%s': a certificate that was replaced is still used", agent.id);
        return clm_cp_answer_problem(req, answer, CLM_CP_AUTH_REQUIRED,
                                     "this client certificate was replaced by a newer one");
    }
    if (is_current && agent.prev_spki[0] != '\0') {
        code = clm_cp_agent_drop_previous(req->tx, agent.id, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(req->agent_id, sizeof(req->agent_id), agent.id, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(req->agent_status, sizeof(req->agent_status), agent.status, err);
    }
    *out_ok = code == CLM_OK && check_status(req, answer);
    return code;
}

static enum clm_code check_peer(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                                struct clm_cp_answer *answer, bool *out_ok, struct clm_err *err)
{
    switch (peer->state) {
    case CLM_CP_PEER_NONE:
        return clm_cp_answer_problem(req, answer, CLM_CP_AUTH_REQUIRED,
                                     "a client certificate is required");
    case CLM_CP_PEER_INVALID:
        return clm_cp_answer_problem(req, answer, CLM_CP_AUTH_REQUIRED, "%s", peer->why);
    case CLM_CP_PEER_EXPIRED:
        return clm_cp_answer_problem(req, answer, CLM_CP_CERT_EXPIRED,
                                     "the client certificate has expired: use /agent/v1/recover");
    case CLM_CP_PEER_OK:
        break;
    }
    return check_agent(req, peer, answer, out_ok, err);
}

enum clm_code clm_cp_auth_check(struct clm_cp_request *req, const struct clm_cp_peer *peer,
                                struct clm_cp_answer *answer, bool *out_ok, struct clm_err *err)
{
    *out_ok = false;
    switch (req->route->auth) {
    case CLM_CP_AUTH_NONE:
    case CLM_CP_AUTH_PROOF:
        *out_ok = true;
        return CLM_OK;
    case CLM_CP_AUTH_OPERATOR:
        *out_ok = check_operator(req, answer);
        return CLM_OK;
    case CLM_CP_AUTH_AGENT:
    case CLM_CP_AUTH_REPORT:
        break;
    }
    return check_peer(req, peer, answer, out_ok, err);
}
