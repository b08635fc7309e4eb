/* SPDX-License-Identifier: Apache-2.0 */
/* A host becomes an agent: protocol.md 5.2, 5.3 and 7.3. */
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/crypto/jws.h"
#include "controlplane/handlers.h"
#include "controlplane/identity.h"
#include "controlplane/server.h"
#include "controlplane/tokens.h"

#define PENDING_RETRY_S 60 /* protocol.md 7.3 */
#define TEXT_MAX        256

struct enrolment {
    const char *token_id;
    const char *hostname;
    const char *machine_id_hash;
    const char *policy_digest;
    const struct clm_json *device_key;
    const struct clm_json *seal_key;
    struct clm_buf csr_der;
    struct clm_csr_info csr;
    bool is_manual;
    /* of this enrolment; set before it is admitted if the very same request was admitted before */
    char agent_id[CLM_ID_SIZE];
    char enroll_id[CLM_ID_SIZE];
    char status[16];
};

CLM_CP_HANDLER(clm_cp_get_nonce)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char nonce[CLM_CP_NONCE_SIZE];
    enum clm_code code = clm_cp_nonce_make(req->cp->nonces, req->tx->now_s, nonce, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(obj, "nonce", nonce);
    clm_json_set_int(obj, "expires_s", CLM_CP_NONCE_LIFE_S);
    return clm_cp_answer_json(answer, 200, obj, err);
}

/* ---- answers ---- */

static enum clm_code add_duplicates(struct clm_cp_tx *tx, const char *agent_id,
                                    struct clm_json *array, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = true;
    enum clm_code code = clm_cp_db_query(
        tx->db, &stmt, err,
        "SELECT b.id FROM agent a JOIN agent b ON b.machine_id_hash = a.machine_id_hash"
        " WHERE a.id = ?1 AND b.id <> a.id AND b.status <> 'denied' ORDER BY b.created_at LIMIT 16",
        CLM_SQL(clm_sql_text(agent_id)));

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        clm_json_add_str(array, clm_cp_stmt_text(stmt, 0));
    }
    return code;
}

static enum clm_code answer_active(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                   const char *agent_id, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    const struct clm_cp_conf *conf = &req->cp->conf;

    clm_json_set_str(obj, "agent_id", agent_id);
    clm_json_set_str(obj, "status", CLM_CP_AGENT_ACTIVE_S);
    enum clm_code code = clm_cp_identity_show(req->tx, agent_id, obj, err);

    if (code == CLM_OK) {
        code = clm_cp_pki_trust(req->tx->pki, conf->tenant, agent_id, req->tx->now_s,
                                clm_json_set_object(obj, "trust"), err);
    }
    clm_json_set_str(obj, "config_etag", "");
    struct clm_json *poll = clm_json_set_object(obj, "poll");

    clm_json_set_int(poll, "next_poll_s", 0);
    clm_json_set_int(poll, "wait_max_s", conf->wait_max_s);
    clm_json_set_int(poll, "reconnect_spread_s", conf->reconnect_spread_s);
    if (code == CLM_OK) {
        code = add_duplicates(req->tx, agent_id, clm_json_set_array(obj, "possible_duplicate_of"),
                              err);
    }
    clm_cp_json_time(obj, "server_time", req->tx->now_s);
    return code == CLM_OK ? clm_cp_answer_json(answer, 201, obj, err) : code;
}

static enum clm_code answer_pending(struct clm_cp_answer *answer, const char *enroll_id,
                                    const char *csr_sha256, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char fingerprint[CLM_CP_FINGERPRINT_SIZE];
    char location[64];
    enum clm_code code =
        clm_str_fmt(location, sizeof(location), err, "/agent/v1/enroll/%s", enroll_id);

    if (code != CLM_OK) {
        return code;
    }
    clm_cp_agent_fingerprint(csr_sha256, fingerprint);
    clm_json_set_str(obj, "enroll_id", enroll_id);
    clm_json_set_str(obj, "status", CLM_CP_AGENT_PENDING_S);
    clm_json_set_str(obj, "fingerprint", fingerprint);
    clm_cp_answer_header(answer, "Location", location);
    clm_cp_answer_number(answer, "Retry-After", PENDING_RETRY_S);
    return clm_cp_answer_json(answer, 202, obj, err);
}

/* ---- what the request says ---- */

/* Every string of these objects is shown to operators: at most 256 bytes each (7.3). */
static enum clm_code check_texts(const struct clm_json *obj, const char *what, struct clm_err *err)
{
    for (const struct clm_json *m = clm_json_first(obj); m != NULL; m = clm_json_next(m)) {
        const char *text = clm_json_text(m);

        if ((text != NULL && strlen(text) > TEXT_MAX) || strlen(clm_json_key(m)) > TEXT_MAX) {
            return clm_err_set(err, CLM_E_LIMIT, "/%s/%.64s: longer than %d bytes", what,
                               clm_json_key(m), TEXT_MAX);
        }
    }
    return CLM_OK;
}

static enum clm_code check_labels(const struct clm_json *body, struct clm_err *err)
{
    const struct clm_json *labels = clm_json_get(body, "labels");

    if (labels == NULL) {
        return CLM_OK;
    }
    if (clm_json_kind(labels) != CLM_JSON_OBJECT || clm_json_len(labels) > 32) {
        return clm_err_set(err, CLM_E_PARSE, "/labels: must be an object of at most 32 members");
    }
    return check_texts(labels, "labels", err);
}

static enum clm_code read_body(const struct clm_json *body, struct enrolment *out,
                               struct clm_err *err)
{
    const struct clm_json *agent = NULL;
    const struct clm_json *host = NULL;
    enum clm_code code = clm_json_str(body, "token_id", CLM_ID_SIZE - 1, &out->token_id, err);

    if (code == CLM_OK) {
        code = clm_json_object(body, "agent", &agent, err);
    }
    if (code == CLM_OK) {
        code = clm_json_object(body, "host", &host, err);
    }
    if (code == CLM_OK) {
        code = check_texts(agent, "agent", err);
    }
    if (code == CLM_OK) {
        code = check_texts(host, "host", err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(host, "hostname", TEXT_MAX, &out->hostname, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(host, "machine_id_hash", 128, "", &out->machine_id_hash, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(body, "policy_digest", 128, &out->policy_digest, err);
    }
    if (code == CLM_OK) {
        code = clm_json_object(body, "device_key", &out->device_key, err);
    }
    out->seal_key = clm_json_get(body, "seal_key");
    return code == CLM_OK ? check_labels(body, err) : code;
}

/* ES256 by the device key over "clm-device-v1\n" nonce "\n" hex(sha256(csr)) "\n". */
static enum clm_code check_device_proof(const struct clm_json *body, const struct enrolment *in,
                                        const char *nonce, bool *out_ok, struct clm_err *err)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf sig = CLM_BUF_INIT((size_t)2 * CLM_ES256_SIG_SIZE);
    const char *proof = NULL;
    char message[256];
    enum clm_code code = clm_json_str(body, "device_key_proof", 128, &proof, err);

    *out_ok = false;
    if (code == CLM_OK) {
        code = clm_jwk_parse(in->device_key, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(message, sizeof(message), err, "clm-device-v1\n%s\n%s\n", nonce,
                           in->csr.sha256);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = clm_b64url_decode(proof, strlen(proof), &sig, err);
    if (code == CLM_OK && sig.len == CLM_ES256_SIG_SIZE) {
        code = clm_pubkey_verify_es256(key, message, strlen(message), sig.data, err);
        *out_ok = code == CLM_OK;
    }
    return code == CLM_E_NOMEM ? code : CLM_OK;
}

/* ---- the decision ---- */

static enum clm_code refuse_token(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                  const struct enrolment *in, const char *why)
{
    clm_log_warning("enrolment of '%.64s' from %s refused, token '%.31s': %s", in->hostname,
                    req->remote, in->token_id, why);
    return clm_cp_answer_problem(req, answer, CLM_CP_TOKEN_UNKNOWN,
                                 "the token is unknown, expired, used, or not for this host; make "
                                 "a new one on the control plane");
}

static bool is_within_token_rate(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                 const char *token_id)
{
    char name[48];

    (void)snprintf(name, sizeof(name), "t/%.31s", token_id);
    uint32_t wait_s = clm_cp_limits_take(req->cp->limits, name, req->cp->conf.token_per_min,
                                         req->cp->conf.token_per_min, clm_clock_mono_ms());

    if (wait_s > 0) {
        clm_cp_answer_number(answer, "Retry-After", wait_s);
        (void)clm_cp_answer_problem(req, answer, CLM_CP_RATE_LIMITED,
                                    "too many enrolments with this token");
    }
    return wait_s == 0;
}

static enum clm_code check_token(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                 struct enrolment *in, bool *out_ok, struct clm_err *err)
{
    struct clm_cp_token_use use = {
        .id = in->token_id,
        .csr_der = in->csr_der.data,
        .csr_len = in->csr_der.len,
        .hostname = in->hostname,
    };
    enum clm_cp_token_verdict verdict = CLM_CP_TOKEN_UNKNOWN_ID;
    bool device_ok = false;
    bool is_fresh = false;
    enum clm_code code = clm_json_str(req->body, "nonce", 128, &use.nonce, err);

    *out_ok = false;
    if (code == CLM_OK) {
        code = clm_json_str(req->body, "proof", 128, &use.proof, err);
    }
    if (code == CLM_OK) {
        code = check_device_proof(req->body, in, use.nonce, &device_ok, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_token_check(req->tx, &use, &verdict, &in->is_manual, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_nonce_check(req->cp->nonces, use.nonce, req->tx->now_s, &is_fresh, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (!is_fresh) {
        return clm_cp_answer_problem(req, answer, CLM_CP_NONCE_REQUIRED,
                                     "fetch a nonce from /agent/v1/enroll/nonce and try again");
    }
    bool is_repeat = in->agent_id[0] != '\0' &&
                     (verdict == CLM_CP_TOKEN_EXPIRED || verdict == CLM_CP_TOKEN_USED_UP);

    if (verdict != CLM_CP_TOKEN_OK && !is_repeat) {
        return refuse_token(req, answer, in, clm_cp_token_verdict_text(verdict));
    }
    if (!device_ok) {
        return clm_cp_answer_problem(req, answer, CLM_CP_SIGNATURE_INVALID,
                                     "device_key_proof is not by device_key over this request");
    }
    clm_cp_nonce_use(req->cp->nonces, use.nonce);
    *out_ok = true;
    return CLM_OK;
}

static enum clm_code member_text(const struct clm_json *body, const char *key, const char *fallback,
                                 struct clm_buf *out, struct clm_err *err)
{
    const struct clm_json *member = clm_json_get(body, key);

    return member != NULL ? clm_json_print(member, false, out, err)
                          : clm_buf_add_str(out, fallback, err);
}

static enum clm_code insert(struct clm_cp_request *req, const struct enrolment *in,
                            struct clm_err *err)
{
    static const struct {
        const char *key;
        const char *fallback;
    } members[] = {{"device_key", "{}"}, {"seal_key", "null"}, {"labels", "{}"},
                   {"host", "{}"},       {"agent", "{}"},      {"capabilities", "[]"}};
    struct clm_buf text[CLM_ARRAY_LEN(members)];
    const char *csr = clm_json_text(clm_json_get(req->body, "csr"));
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        text[i] = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
        if (code == CLM_OK) {
            code = member_text(req->body, members[i].key, members[i].fallback, &text[i], err);
        }
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            req->tx->db, err,
            "INSERT INTO agent (id, status, spki, last_csr_sha256, device_key, seal_key,"
            " generation, labels, host, agent, caps, policy_digest, machine_id_hash, token_id,"
            " enroll_id, enroll_csr, enroll_csr_sha256, created_at)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
            " ?17)",
            CLM_SQL(clm_sql_text(in->agent_id), clm_sql_text(CLM_CP_AGENT_PENDING_S),
                    clm_sql_text(in->csr.spki_sha256), clm_sql_text(in->csr.sha256),
                    clm_sql_text(clm_buf_str(&text[0])), clm_sql_text(clm_buf_str(&text[1])),
                    clm_sql_text(clm_buf_str(&text[2])), clm_sql_text(clm_buf_str(&text[3])),
                    clm_sql_text(clm_buf_str(&text[4])), clm_sql_text(clm_buf_str(&text[5])),
                    clm_sql_text(in->policy_digest), clm_sql_text(in->machine_id_hash),
                    clm_sql_text(in->token_id), clm_sql_text(in->enroll_id), clm_sql_text(csr),
                    clm_sql_text(in->csr.sha256), clm_sql_int(req->tx->now_s)));
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        clm_buf_done(&text[i]);
    }
    return code;
}

/* This very request (token and CSR) enrolled before: a client that lost our answer, whatever its
 * Idempotency-Key. */
static enum clm_code find_earlier(struct clm_cp_request *req, struct enrolment *in,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool found = false;
    enum clm_code code = clm_cp_db_query(
        req->tx->db, &stmt, err,
        "SELECT id, enroll_id, status FROM agent WHERE token_id = ?1 AND enroll_csr_sha256 = ?2"
        " AND generation = 1",
        CLM_SQL(clm_sql_text(in->token_id), clm_sql_text(in->csr.sha256)));

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &found, err);
    }
    if (code != CLM_OK || !found) {
        return code;
    }
    code = clm_cp_stmt_copy(stmt, 0, in->agent_id, sizeof(in->agent_id), err);
    if (code == CLM_OK) {
        code = clm_cp_stmt_copy(stmt, 1, in->enroll_id, sizeof(in->enroll_id), err);
    }
    return code == CLM_OK ? clm_cp_stmt_copy(stmt, 2, in->status, sizeof(in->status), err) : code;
}

static enum clm_code answer_status(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                   const struct enrolment *in, const char *csr_sha256,
                                   struct clm_err *err)
{
    if (strcmp(in->status, CLM_CP_AGENT_PENDING_S) == 0) {
        return answer_pending(answer, in->enroll_id, csr_sha256, err);
    }
    if (strcmp(in->status, CLM_CP_AGENT_ACTIVE_S) == 0) {
        return answer_active(req, answer, in->agent_id, err);
    }
    return clm_cp_answer_problem(req, answer, CLM_CP_ENROLL_DENIED, "an operator denied it");
}

static enum clm_code admit(struct clm_cp_request *req, struct enrolment *in,
                           struct clm_cp_answer *answer, struct clm_err *err)
{
    enum clm_code code = clm_id_new("agt", in->agent_id, err);

    if (code == CLM_OK) {
        code = clm_id_new("enr", in->enroll_id, err);
    }
    if (code == CLM_OK) {
        code = insert(req, in, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_token_count_use(req->tx, in->token_id, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (in->is_manual) {
        clm_log_notice("'%.64s' (%s) waits for approval as '%s'", in->hostname, req->remote,
                       in->agent_id);
        code = clm_cp_tx_note(req->tx, "agent", in->agent_id, CLM_CP_AGENT_PENDING_S, err);
        return code == CLM_OK ? answer_pending(answer, in->enroll_id, in->csr.sha256, err) : code;
    }
    clm_log_notice("'%.64s' (%s) enrolled as '%s' with token '%s'", in->hostname, req->remote,
                   in->agent_id, in->token_id);
    struct clm_cp_agent agent = {.generation = 1};

    memcpy(agent.id, in->agent_id, sizeof(agent.id));
    code = clm_cp_identity_issue(req->tx, &agent, &in->csr, false, err);
    if (code == CLM_OK) {
        code = clm_cp_agent_set_status(req->tx, in->agent_id, CLM_CP_AGENT_ACTIVE_S, err);
    }
    return code == CLM_OK ? answer_active(req, answer, in->agent_id, err) : code;
}

static enum clm_code enroll(struct clm_cp_request *req, struct enrolment *in,
                            struct clm_cp_answer *answer, struct clm_err *err)
{
    bool ok = false;
    enum clm_code code = read_body(req->body, in, err);

    if (code == CLM_OK && !is_within_token_rate(req, answer, in->token_id)) {
        return CLM_OK;
    }
    if (code == CLM_OK) {
        code = clm_cp_identity_read_csr(req, answer, &in->csr_der, &in->csr, &ok, err);
    }
    if (code != CLM_OK || !ok) {
        return code;
    }
    code = find_earlier(req, in, err);
    if (code == CLM_OK) {
        code = check_token(req, answer, in, &ok, err);
    }
    if (code != CLM_OK || !ok) {
        return code;
    }
    if (in->agent_id[0] != '\0') {
        clm_cp_answer_header(answer, "Clm-Replayed", "true");
        return answer_status(req, answer, in, in->csr.sha256, err);
    }
    return admit(req, in, answer, err);
}

CLM_CP_HANDLER(clm_cp_post_enroll)
{
    struct enrolment in = {.csr_der = CLM_BUF_INIT(CLM_CSR_MAX)};
    enum clm_code code = enroll(req, &in, answer, err);

    clm_buf_done(&in.csr_der);
    clm_csr_info_done(&in.csr);
    return code;
}

CLM_CP_HANDLER(clm_cp_get_enroll)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    const char *proof = clm_cp_request_header(req, "Clm-Enroll-Proof");
    bool found = false;
    bool ok = false;
    enum clm_code code = clm_cp_db_query(
        req->tx->db, &stmt, err,
        "SELECT id, status, enroll_csr_sha256, token_id FROM agent WHERE enroll_id = ?1",
        CLM_SQL(clm_sql_text(req->param)));

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &found, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_token_check_status_proof(req->tx, found ? clm_cp_stmt_text(stmt, 3) : "",
                                               req->param, proof != NULL ? proof : "", &ok, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (!ok) {
        return clm_cp_answer_problem(req, answer, CLM_CP_ENROLL_DENIED,
                                     "Clm-Enroll-Proof is missing or does not fit");
    }
    struct enrolment found_as = {0};

    code = clm_cp_stmt_copy(stmt, 0, found_as.agent_id, sizeof(found_as.agent_id), err);
    if (code == CLM_OK) {
        code = clm_cp_stmt_copy(stmt, 1, found_as.status, sizeof(found_as.status), err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(found_as.enroll_id, sizeof(found_as.enroll_id), req->param, err);
    }
    return code == CLM_OK ? answer_status(req, answer, &found_as, clm_cp_stmt_text(stmt, 2), err)
                          : code;
}
