/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator asks for becomes a signed job: protocol.md 8.3. */
#include <string.h>

#include "controlplane/agents.h"
#include "controlplane/certs.h"
#include "controlplane/handlers.h"
#include "controlplane/jobs.h"
#include "controlplane/order_job.h"
#include "controlplane/orders.h"
#include "controlplane/server.h"

/* One request, while its spec is built. */
struct action {
    const char *type;
    const char *agent_id;
    const char *target;
    struct clm_cp_cert cert; /* id "" without one */
    struct clm_json *spec;
    bool keeps_failure; /* of a deployment: what failed stays as it is */
    bool is_answered;   /* the answer holds a problem */
};

typedef enum clm_code (*build_fn)(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  struct action *action, struct clm_err *err);

struct action_kind {
    const char *type;     /* of the action */
    const char *job_type; /* of the job */
    bool needs_cert;
    int64_t priority;
    build_fn build; /* fills action->spec; NULL: order_job.c makes the job */
};

static enum clm_code refuse(struct clm_cp_request *req, struct clm_cp_answer *answer,
                            struct action *action, const char *why)
{
    action->is_answered = true;
    return clm_cp_answer_problem(req, answer, CLM_CP_CONFLICT, "%s", why);
}

static enum clm_code find_version(struct clm_cp_request *req, struct action *action,
                                  struct clm_cp_version *out, struct clm_err *err)
{
    const char *sha256 = NULL;
    enum clm_code code = clm_json_str_or(req->body, "sha256", 64, NULL, &sha256, err);

    *out = (struct clm_cp_version){.pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX)};
    return code == CLM_OK ? clm_cp_cert_version(req->tx, action->cert.id, sha256, out, err) : code;
}

static enum clm_code build_deploy(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  struct action *action, struct clm_err *err)
{
    struct clm_cp_version version;
    enum clm_code code = find_version(req, action, &version, err);

    if (code == CLM_E_NOTFOUND) {
        code = refuse(req, answer, action, "nothing was issued yet for this certificate: order it");
    } else if (code == CLM_OK && version.key_ref[0] == '\0') {
        code = refuse(req, answer, action,
                      "the private key of this version is not on the host: it cannot be deployed");
    } else if (code == CLM_OK && version.not_after_s <= req->tx->now_s) {
        code = refuse(req, answer, action, "this version has expired");
    } else if (code == CLM_OK) {
        clm_json_set_str(action->spec, "certificate_id", action->cert.id);
        clm_json_set_str(action->spec, "sha256", version.sha256);
        clm_json_set_str(action->spec, "chain_pem", clm_buf_str(&version.pem));
        clm_json_set_str(action->spec, "key_ref", version.key_ref);
        code = clm_cp_order_job_how(req->tx, action->cert.id, action->spec, &action->keeps_failure,
                                    err);
    }
    if (code == CLM_OK && !action->is_answered) {
        code = clm_cp_cert_set_state(req->tx, action->cert.id, "deploying", NULL, err);
    }
    clm_buf_done(&version.pem);
    return code;
}

static enum clm_code build_verify(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  struct action *action, struct clm_err *err)
{
    const char *sha256 = NULL;
    enum clm_code code = clm_json_str_or(req->body, "sha256", 64, NULL, &sha256, err);

    if (code == CLM_OK && sha256 == NULL && action->cert.waiting_sha256[0] != '\0') {
        sha256 = action->cert.waiting_sha256; /* has the server been restarted? */
    }
    if (code == CLM_OK && sha256 == NULL && action->cert.current_sha256[0] != '\0') {
        sha256 = action->cert.current_sha256;
    }
    if (code == CLM_OK && sha256 == NULL) {
        return refuse(req, answer, action, "nothing was deployed yet: say which sha256 to expect");
    }
    if (code == CLM_OK) {
        (void)clm_json_set_array(action->spec, "connect");
        clm_json_set_str(clm_json_set_object(action->spec, "expect"), "sha256", sha256);
        clm_json_set_str(action->spec, "fail_on", "mismatch");
    }
    return code;
}

static enum clm_code build_rollback(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                    struct action *action, struct clm_err *err)
{
    int64_t version = 0; /* the one before */
    const char *reason = NULL;
    enum clm_code code = clm_json_int_or(req->body, "version", 0, INT32_MAX, &version, err);

    (void)answer;
    if (code == CLM_OK) {
        code = clm_json_str_or(req->body, "reason", 256, "operator", &reason, err);
    }
    if (code == CLM_OK) {
        clm_json_set_int(action->spec, "to_version", version);
        clm_json_set_str(action->spec, "reason", reason);
        clm_json_set_bool(action->spec, "allow_expired", false);
    }
    return code;
}

static enum clm_code build_scan(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                struct action *action, struct clm_err *err)
{
    (void)req;
    (void)answer;
    (void)err;
    clm_json_set_str(action->spec, "scope", "full");
    return CLM_OK;
}

/* The open order of the certificate, or its last one for a clean-up. */
static enum clm_code build_dcv(struct clm_cp_request *req, struct clm_cp_answer *answer,
                               struct action *action, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf order_id = CLM_BUF_INIT(CLM_ID_SIZE);
    bool is_get = strcmp(action->type, "get_dcv") == 0;
    enum clm_code code =
        clm_cp_db_get_text(req->tx->db, &order_id, err,
                           "SELECT id FROM cert_order WHERE certificate_id = ?1 AND"
                           " (?2 = 0 OR state NOT IN ('issued','failed','canceled'))"
                           " ORDER BY created_at DESC, id DESC LIMIT 1",
                           CLM_SQL(clm_sql_text(action->cert.id), clm_sql_int(is_get ? 1 : 0)));

    if (code == CLM_E_NOTFOUND) {
        return refuse(req, answer, action,
                      is_get ? "no order of this certificate is open"
                             : "this certificate was never ordered");
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(action->spec, "order_id", clm_buf_str(&order_id));
    if (is_get) {
        if (action->cert.webroot_ref[0] != '\0') {
            clm_json_set_str(action->spec, "webroot_ref", action->cert.webroot_ref);
        }
        clm_json_set_bool(action->spec, "self_check", true);
    }
    return CLM_OK;
}

static const struct action_kind kinds[] = {
    {"order", "order", true, 50, NULL},
    {"deploy", "deploy", true, 60, build_deploy},
    {"verify", "recheck_pinning", true, 50, build_verify},
    {"rollback", "rollback", true, 80, build_rollback},
    {"scan", "scan", false, 40, build_scan},
    {"get_dcv", "get_dcv", true, 70, build_dcv},
    {"dcv_cleanup", "dcv_cleanup", true, 40, build_dcv},
};

static const struct action_kind *find_kind(const char *type)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* {"type": "cancel", "job_id": ...}: for those who have one door for everything. */
static enum clm_code cancel(struct clm_cp_request *req, struct clm_cp_answer *answer,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_cp_job job;
    const char *job_id = NULL;
    const char *state = NULL;
    enum clm_code code = clm_json_str(req->body, "job_id", CLM_ID_SIZE - 1, &job_id, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_cp_job_load(req->tx, job_id, NULL, &job, err);
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_UNKNOWN, "no job '%s'", job_id);
    }
    if (code == CLM_OK) {
        code = clm_cp_job_cancel(req->tx, &job, "operator", &state, err);
    }
    if (code == CLM_E_CONFLICT) {
        return clm_cp_answer_problem(req, answer, CLM_CP_JOB_TERMINAL, "job '%s' has ended: %s",
                                     job.id, job.state);
    }
    clm_json_set_str(obj, "job_id", job_id);
    clm_json_set_str(obj, "state", state);
    return code == CLM_OK ? clm_cp_answer_json(answer, 202, obj, err) : code;
}

/* Whom and what the action is about. *out_ok false: answer holds the problem. */
static enum clm_code find_subject(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  const struct action_kind *kind, struct action *action,
                                  struct clm_err *err)
{
    const char *certificate_id = NULL;
    struct clm_cp_agent agent;
    enum clm_code code =
        clm_json_str_or(req->body, "certificate_id", CLM_ID_SIZE - 1, NULL, &certificate_id, err);

    if (code == CLM_OK && kind->needs_cert && certificate_id == NULL) {
        code = clm_err_set(err, CLM_E_PARSE, "/certificate_id: is required for '%s'", kind->type);
    }
    if (code == CLM_OK && certificate_id != NULL) {
        code = clm_cp_cert_load(req->tx, certificate_id, &action->cert, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(req->body, "agent_id", CLM_ID_SIZE - 1, action->cert.agent_id,
                               &action->agent_id, err);
    }
    if (code == CLM_OK) {
        code =
            clm_json_str_or(req->body, "target", CLM_TARGET_ID_SIZE - 1,
                            kind->needs_cert ? action->cert.target : "host", &action->target, err);
    }
    if (code == CLM_OK && !clm_target_id_is_valid(action->target)) {
        code = clm_err_set(err, CLM_E_PARSE, "/target: not a valid target");
    }
    if (code == CLM_OK) {
        code = clm_cp_agent_load(req->tx, action->agent_id, &agent, err);
    }
    if (code == CLM_E_NOTFOUND) {
        action->is_answered = true;
        return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "%.200s", err->msg);
    }
    return code;
}

static enum clm_code make_job(struct clm_cp_request *req, const struct action_kind *kind,
                              const struct action *action, char out_id[CLM_ID_SIZE],
                              struct clm_err *err)
{
    const struct clm_cp_job_new in = {
        .agent_id = action->agent_id,
        .type = kind->job_type,
        .target = action->target,
        .certificate_id = action->cert.id[0] != '\0' ? action->cert.id : NULL,
        .priority = kind->priority,
        .keeps_failure = action->keeps_failure,
        .requested_by = "operator",
        .spec = action->spec,
    };

    return kind->build != NULL
               ? clm_cp_job_create(req->tx, &in, out_id, err)
               : clm_cp_order_job_create(req->tx, &action->cert, "operator", out_id, err);
}

static enum clm_code create(struct clm_cp_request *req, struct clm_cp_answer *answer,
                            const struct action_kind *kind, struct action *action,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char job_id[CLM_ID_SIZE] = "";
    enum clm_code code = find_subject(req, answer, kind, action, err);

    if (code == CLM_OK && !action->is_answered && kind->build != NULL) {
        code = kind->build(req, answer, action, err);
    }
    if (code != CLM_OK || action->is_answered) {
        return code;
    }
    code = make_job(req, kind, action, job_id, err);
    clm_json_set_str(obj, "job_id", job_id);
    clm_json_set_str(obj, "state", "queued");
    return code == CLM_OK ? clm_cp_answer_json(answer, 202, obj, err) : code;
}

CLM_CP_HANDLER(clm_cp_op_post_action)
{
    static const char *const known[] = {"type",   "certificate_id", "agent_id", "target", "version",
                                        "sha256", "reason",         "job_id",   NULL};
    const char *type = NULL;
    enum clm_code code = clm_json_only(req->body, known, err);

    if (code == CLM_OK) {
        code = clm_json_str(req->body, "type", 32, &type, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(type, "cancel") == 0) {
        return cancel(req, answer, err);
    }
    const struct action_kind *kind = find_kind(type);

    if (kind == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "/type: there is no action '%s'", type);
    }
    struct action action = {.type = type, .spec = clm_json_new_object()};

    code = create(req, answer, kind, &action, err);
    clm_cp_cert_done(&action.cert);
    clm_json_free(action.spec);
    return code;
}
