/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/identity.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/crypto/jws.h"
#include "controlplane/handlers.h"
#include "controlplane/server.h"

#define RECOVERY_LIMIT    10 /* in RECOVERY_PERIOD_S; protocol.md 5.6 */
#define RECOVERY_PERIOD_S (30LL * CLM_CP_DAY_S)
#define APPROVAL_RETRY_S  1800

enum clm_code clm_cp_identity_read_csr(const struct clm_cp_request *req,
                                       struct clm_cp_answer *answer, struct clm_buf *der,
                                       struct clm_csr_info *info, bool *out_ok, struct clm_err *err)
{
    const char *text = NULL;
    struct clm_err why = {0};
    enum clm_code code = clm_json_str(req->body, "csr", (size_t)2 * CLM_CSR_MAX, &text, err);

    *out_ok = false;
    if (code != CLM_OK) {
        return code;
    }
    code = clm_b64url_decode(text, strlen(text), der, &why);
    if (code == CLM_E_LIMIT) {
        return clm_cp_answer_problem(req, answer, CLM_CP_TOO_LARGE, "csr: the limit is %u bytes",
                                     CLM_CSR_MAX);
    }
    if (code == CLM_OK) {
        code = clm_csr_parse(der->data, der->len, info, &why);
    }
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "csr");
    }
    if (code != CLM_OK) {
        return clm_cp_answer_problem(req, answer, CLM_CP_INVALID_CSR, "csr: %.300s", why.msg);
    }
    if (info->key_type != CLM_KEY_EC_P256) {
        return clm_cp_answer_problem(req, answer, CLM_CP_INVALID_CSR,
                                     "csr: the key of an agent must be ec-p256, this is %s",
                                     clm_key_type_name(info->key_type));
    }
    *out_ok = true;
    return CLM_OK;
}

enum clm_code clm_cp_identity_issue(struct clm_cp_tx *tx, const struct clm_cp_agent *agent,
                                    const struct clm_csr_info *csr, bool keep_previous,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    const struct clm_cp_agent_cert in = {
        .agent_id = agent->id,
        .tenant = tx->conf->tenant,
        .csr = csr,
        .now_s = tx->now_s,
        .life_s = tx->conf->agent_cert_s,
    };
    enum clm_code code = clm_cp_pki_agent_cert(tx->pki, &in, &pem, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_log_info("agent '%s': certificate of generation %lld was issued", agent->id,
                 (long long)agent->generation);
    return clm_cp_db_exec(
        tx->db, err,
        "UPDATE agent SET prev_spki = CASE WHEN ?2 THEN spki ELSE NULL END, spki = ?3,"
        " last_csr_sha256 = ?4, last_cert = ?5, generation = ?6, cert_not_after = ?7"
        " WHERE id = ?1",
        CLM_SQL(clm_sql_text(agent->id), clm_sql_int(keep_previous ? 1 : 0),
                clm_sql_text(csr->spki_sha256), clm_sql_text(csr->sha256),
                clm_sql_text(clm_buf_str(&pem)), clm_sql_int(agent->generation),
                clm_sql_int(tx->now_s + tx->conf->agent_cert_s)));
}

enum clm_code clm_cp_identity_show(struct clm_cp_tx *tx, const char *agent_id, struct clm_json *obj,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = false;
    enum clm_code code = clm_cp_db_query(
        tx->db, &stmt, err, "SELECT generation, last_cert, cert_not_after FROM agent WHERE id = ?1",
        CLM_SQL(clm_sql_text(agent_id)));

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
    }
    if (code != CLM_OK || !row) {
        return code;
    }
    int64_t not_after_s = clm_cp_stmt_int(stmt, 2);
    int64_t life_s = tx->conf->agent_cert_s;
    int64_t spread_s = (int64_t)clm_rand_below((uint32_t)(life_s / 10));

    clm_json_set_int(obj, "generation", clm_cp_stmt_int(stmt, 0));
    clm_json_set_str(obj, "certificate", clm_cp_stmt_text(stmt, 1));
    clm_cp_json_time(obj, "not_after", not_after_s);
    /* Between 45 % and 55 % of its life: protocol.md 5.5. */
    clm_cp_json_time(obj, "renew_after", not_after_s - life_s + life_s * 45 / 100 + spread_s);
    return CLM_OK;
}

static enum clm_code answer_identity(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                     const char *agent_id, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    enum clm_code code = clm_cp_identity_show(req->tx, agent_id, obj, err);

    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}

static enum clm_code quarantine(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                const struct clm_cp_agent *agent, int64_t generation,
                                struct clm_err *err)
{
    clm_log_error("agent '%s': generation %lld was presented, %lld is stored: two copies of this "
                  "agent exist; both are quarantined",
                  agent->id, (long long)generation, (long long)agent->generation);
    enum clm_code code =
        clm_cp_agent_set_status(req->tx, agent->id, CLM_CP_AGENT_QUARANTINED_S, err);

    answer->keep = true;
    return code == CLM_OK
               ? clm_cp_answer_problem(req, answer, CLM_CP_CLONE_SUSPECTED,
                                       "generation %lld was presented, %lld is stored",
                                       (long long)generation, (long long)agent->generation)
               : code;
}

/* The table of protocol.md 5.5. */
static enum clm_code renew(struct clm_cp_request *req, struct clm_cp_answer *answer,
                           struct clm_cp_agent *agent, const struct clm_csr_info *csr,
                           struct clm_err *err)
{
    int64_t generation = 0;
    enum clm_code code =
        clm_json_int(req->body, "generation", 0, CLM_JSON_INT_MAX, &generation, err);

    if (code != CLM_OK) {
        return code;
    }
    if (generation == agent->generation - 1 && strcmp(csr->sha256, agent->last_csr_sha256) == 0) {
        clm_cp_answer_header(answer, "Clm-Replayed", "true");
        return answer_identity(req, answer, agent->id, err);
    }
    if (generation != agent->generation) {
        return quarantine(req, answer, agent, generation, err);
    }
    agent->generation++;
    code = clm_cp_identity_issue(req->tx, agent, csr, true, err);
    return code == CLM_OK ? answer_identity(req, answer, agent->id, err) : code;
}

CLM_CP_HANDLER(clm_cp_post_renew)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {0};
    struct clm_cp_agent agent;
    bool ok = false;
    enum clm_code code = clm_cp_agent_load(req->tx, req->agent_id, &agent, err);

    if (code == CLM_OK) {
        code = clm_cp_identity_read_csr(req, answer, &der, &csr, &ok, err);
    }
    return code == CLM_OK && ok ? renew(req, answer, &agent, &csr, err) : code;
}

/* ---- recovery after expiry ---- */

static enum clm_code ask_for_nonce(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                   struct clm_err *err)
{
    char nonce[CLM_CP_NONCE_SIZE];
    enum clm_code code = clm_cp_nonce_make(req->cp->nonces, req->tx->now_s, nonce, err);

    if (code != CLM_OK) {
        return code;
    }
    struct clm_json *extra = clm_json_new_object();

    clm_json_set_str(extra, "nonce", nonce);
    clm_json_set_int(extra, "expires_s", CLM_CP_NONCE_LIFE_S);
    return clm_cp_answer_problem_take(req, answer, CLM_CP_NONCE_REQUIRED, extra,
                                      "sign this nonce with the device key");
}

static enum clm_code load_device_key(struct clm_cp_tx *tx, const char *agent_id,
                                     struct clm_pubkey **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(4096);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jwk = NULL;
    enum clm_code code =
        clm_cp_db_get_text(tx->db, &text, err, "SELECT device_key FROM agent WHERE id = ?1",
                           CLM_SQL(clm_sql_text(agent_id)));

    if (code == CLM_OK) {
        code = clm_cp_json_stored(clm_buf_str(&text), &jwk, err);
    }
    return code == CLM_OK ? clm_jwk_parse(jwk, out_key, err) : code;
}

struct recovery {
    const char *agent_id; /* as the request names it */
    int64_t generation;
    bool is_proved;
    char nonce[CLM_CP_NONCE_SIZE];
};

/* The signed members against the request; a fault leaves is_proved false. */
static enum clm_code read_claims(struct clm_cp_request *req, const struct clm_buf *payload,
                                 const struct clm_csr_info *csr, struct recovery *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *claims = NULL;
    const char *agent_id = NULL;
    const char *nonce = NULL;
    const char *csr_sha256 = NULL;
    bool is_fresh = false;
    enum clm_code code =
        clm_json_parse(clm_buf_str(payload), payload->len, CLM_JSON_TEXT_MAX, &claims, err);

    if (code == CLM_OK) {
        code = clm_json_str(claims, "agent_id", CLM_ID_SIZE, &agent_id, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(claims, "nonce", 128, &nonce, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(claims, "csr_sha256", 128, &csr_sha256, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(claims, "generation", 0, CLM_JSON_INT_MAX, &out->generation, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_nonce_check(req->cp->nonces, nonce, req->tx->now_s, &is_fresh, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    out->is_proved =
        strcmp(out->agent_id, agent_id) == 0 && strcmp(csr_sha256, csr->sha256) == 0 && is_fresh;
    return out->is_proved ? clm_str_copy(out->nonce, sizeof(out->nonce), nonce, err) : CLM_OK;
}

static enum clm_code check_proof(struct clm_cp_request *req, const struct clm_csr_info *csr,
                                 struct recovery *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *device = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    const struct clm_json *proof = NULL;
    struct clm_err why = {0};
    enum clm_code code = load_device_key(req->tx, out->agent_id, &device, err);

    if (code == CLM_OK) {
        code = clm_json_object(req->body, "proof", &proof, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = clm_jws_verify_flat(proof, CLM_JWS_TYP_RECOVER, device, &payload, &why);
    if (code == CLM_E_NOMEM) { /* a signature that was not looked at is not a bad one */
        return clm_err_set(err, code, "%s", why.msg);
    }
    if (code != CLM_OK) {
        clm_log_warning("agent '%s': recovery with a bad signature: %s", out->agent_id, why.msg);
        return CLM_OK;
    }
    return read_claims(req, &payload, csr, out, err);
}

/* True if an operator need not be asked. Counts the recovery. */
static bool is_within_rules(struct clm_cp_tx *tx, struct clm_cp_agent *agent)
{
    if (tx->now_s - agent->recovery_since_s > RECOVERY_PERIOD_S) {
        agent->recovery_since_s = tx->now_s;
        agent->recovery_count = 0;
    }
    agent->recovery_count++;
    return agent->recovery_ok ||
           (tx->now_s - agent->cert_not_after_s <= tx->conf->recovery_window_s &&
            agent->recovery_count <= RECOVERY_LIMIT);
}

static enum clm_code finish_recovery(struct clm_cp_request *req, struct clm_cp_answer *answer,
                                     struct clm_cp_agent *agent, const struct clm_csr_info *csr,
                                     struct clm_err *err)
{
    if (!is_within_rules(req->tx, agent)) {
        clm_log_warning("agent '%s' asks for recovery: approve it with 'agents approve %s'",
                        agent->id, agent->id);
        clm_cp_answer_number(answer, "Retry-After", APPROVAL_RETRY_S);
        return clm_cp_answer_problem(req, answer, CLM_CP_RECOVERY_NEEDS_APPROVAL,
                                     "an operator must approve the recovery of '%s'", agent->id);
    }
    agent->generation++;
    enum clm_code code = clm_cp_identity_issue(req->tx, agent, csr, false, err);

    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            req->tx->db, err,
            "UPDATE agent SET recovery_ok = 0, recovery_count = ?2, recovery_since = ?3"
            " WHERE id = ?1",
            CLM_SQL(clm_sql_text(agent->id), clm_sql_int(agent->recovery_count),
                    clm_sql_int(agent->recovery_since_s)));
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_note(req->tx, "agent", agent->id, "recovered", err);
    }
    return code == CLM_OK ? answer_identity(req, answer, agent->id, err) : code;
}

static enum clm_code recover(struct clm_cp_request *req, struct clm_cp_answer *answer,
                             struct clm_cp_agent *agent, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {0};
    struct recovery recovery = {.agent_id = agent->id};
    bool ok = false;
    enum clm_code code = clm_cp_identity_read_csr(req, answer, &der, &csr, &ok, err);

    if (code != CLM_OK || !ok) {
        return code;
    }
    code = check_proof(req, &csr, &recovery, err);
    if (code != CLM_OK) {
        return code;
    }
    if (!recovery.is_proved) {
        return clm_cp_answer_problem(req, answer, CLM_CP_SIGNATURE_INVALID,
                                     "the proof is not by the device key over this request and a "
                                     "nonce of the last %d s",
                                     CLM_CP_NONCE_LIFE_S);
    }
    clm_cp_nonce_use(req->cp->nonces, recovery.nonce);
    if (recovery.generation == agent->generation - 1 &&
        strcmp(csr.sha256, agent->last_csr_sha256) == 0) {
        clm_cp_answer_header(answer, "Clm-Replayed", "true");
        return answer_identity(req, answer, agent->id, err);
    }
    if (recovery.generation != agent->generation) {
        return quarantine(req, answer, agent, recovery.generation, err);
    }
    return finish_recovery(req, answer, agent, &csr, err);
}

CLM_CP_HANDLER(clm_cp_post_recover)
{
    struct clm_cp_agent agent;
    const char *agent_id = NULL;
    enum clm_code code = clm_json_str(req->body, "agent_id", CLM_ID_SIZE, &agent_id, err);

    if (code != CLM_OK) {
        return code;
    }
    if (clm_json_get(req->body, "proof") == NULL) {
        return ask_for_nonce(req, answer, err);
    }
    code = clm_cp_agent_load(req->tx, agent_id, &agent, err);
    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_AGENT_UNKNOWN, "no agent '%.31s'",
                                     agent_id);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(agent.status, CLM_CP_AGENT_ACTIVE_S) != 0) {
        return clm_cp_answer_problem(req, answer,
                                     strcmp(agent.status, CLM_CP_AGENT_QUARANTINED_S) == 0
                                         ? CLM_CP_CLONE_SUSPECTED
                                         : CLM_CP_AGENT_DISABLED,
                                     "agent '%s' is %s", agent.id, agent.status);
    }
    return recover(req, answer, &agent, err);
}
