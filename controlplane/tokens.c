/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/tokens.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/crypto/hash.h"
#include "controlplane/http.h"
#include "controlplane/pki.h"

#define ENROLL_INFO "clm-enroll-v1" /* protocol.md 5.2 */

static const char *const verdicts[CLM_CP_TOKEN__COUNT] = {
    [CLM_CP_TOKEN_OK] = "accepted",
    [CLM_CP_TOKEN_UNKNOWN_ID] = "there is no such token",
    [CLM_CP_TOKEN_WRONG_PROOF] = "the proof does not fit the token's secret",
    [CLM_CP_TOKEN_EXPIRED] = "the token has expired or was revoked",
    [CLM_CP_TOKEN_USED_UP] = "the token was used already",
    [CLM_CP_TOKEN_OTHER_HOST] = "the token is for other host names",
};

const char *clm_cp_token_verdict_text(enum clm_cp_token_verdict verdict)
{
    return verdicts[verdict];
}

static enum clm_code make_text(struct clm_cp_tx *tx, const struct clm_cp_token_new *in,
                               struct clm_token *token, struct clm_buf *out_text,
                               struct clm_err *err)
{
    char pin[CLM_PIN_SIZE];
    CLM_CLEANUP(clm_buf_done) struct clm_buf raw = CLM_BUF_INIT((size_t)2 * CLM_SHA256_SIZE);

    clm_cp_pki_pin(tx->pki, pin);
    enum clm_code code = clm_strs_add(&token->urls, in->url, err);

    if (code == CLM_OK) {
        code = clm_b64_decode(pin + strlen("sha256/"), strlen(pin) - strlen("sha256/"), &raw, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    memcpy(token->pins[0], raw.data, CLM_SHA256_SIZE);
    token->n_pins = 1;
    token->exp_s = tx->now_s + in->ttl_s;
    return clm_token_make(token, out_text, err);
}

static enum clm_code store(struct clm_cp_tx *tx, const struct clm_cp_token_new *in,
                           const struct clm_token *token, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *none = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf labels = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    enum clm_code code =
        clm_json_print(in->labels != NULL ? in->labels : none, false, &labels, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(
        tx->db, err,
        "INSERT INTO join_token (id, secret, approval, max_uses, host_glob, labels, created_at,"
        " expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        CLM_SQL(clm_sql_text(token->id), clm_sql_bytes(token->secret, sizeof(token->secret)),
                clm_sql_text(in->manual_approval ? "manual" : "auto"), clm_sql_int(in->max_uses),
                clm_sql_text(in->host_glob), clm_sql_text(clm_buf_str(&labels)),
                clm_sql_int(tx->now_s), clm_sql_int(token->exp_s)));
}

enum clm_code clm_cp_token_create(struct clm_cp_tx *tx, const struct clm_cp_token_new *in,
                                  char out_id[CLM_ID_SIZE], struct clm_buf *out_text,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_token_done) struct clm_token token = {0};
    enum clm_code code = clm_id_new("tok", token.id, err);

    if (code == CLM_OK) {
        code = clm_rng_fill(tx->pki->rng, token.secret, sizeof(token.secret), err);
    }
    if (code == CLM_OK) {
        code = make_text(tx, in, &token, out_text, err);
    }
    if (code == CLM_OK) {
        code = store(tx, in, &token, err);
    }
    if (code == CLM_OK) {
        clm_log_notice("join token '%s' was made: %lld uses, %lld s", token.id,
                       (long long)in->max_uses, (long long)in->ttl_s);
        code = clm_str_copy(out_id, CLM_ID_SIZE, token.id, err);
    }
    return code;
}

struct row {
    struct clm_token token; /* id and secret; all zero if there is no such token */
    bool exists;
    bool is_manual;
    bool is_expired;
    bool is_used_up;
    char host_glob[256];
};

static enum clm_code load(struct clm_cp_tx *tx, const char *id, struct row *out,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    size_t len = 0;
    enum clm_code code = clm_cp_db_query(
        tx->db, &stmt, err,
        "SELECT secret, approval, uses >= max_uses, revoked OR expires_at <= ?2, host_glob"
        " FROM join_token WHERE id = ?1",
        CLM_SQL(clm_sql_text(id), clm_sql_int(tx->now_s)));

    (void)snprintf(out->token.id, sizeof(out->token.id), "%s", id);
    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &out->exists, err);
    }
    if (code != CLM_OK || !out->exists) {
        return code;
    }
    const void *secret = clm_cp_stmt_bytes(stmt, 0, &len);

    if (len != sizeof(out->token.secret)) {
        return clm_err_set(err, CLM_E_BUG, "join token '%s' is damaged", id);
    }
    memcpy(out->token.secret, secret, len);
    out->is_manual = strcmp(clm_cp_stmt_text(stmt, 1), "manual") == 0;
    out->is_used_up = clm_cp_stmt_int(stmt, 2) != 0;
    out->is_expired = clm_cp_stmt_int(stmt, 3) != 0;
    return clm_cp_stmt_copy(stmt, 4, out->host_glob, sizeof(out->host_glob), err);
}

static enum clm_cp_token_verdict judge(const struct row *row, const struct clm_cp_token_use *use,
                                       bool proof_fits)
{
    if (!row->exists) {
        return CLM_CP_TOKEN_UNKNOWN_ID;
    }
    if (!proof_fits) {
        return CLM_CP_TOKEN_WRONG_PROOF;
    }
    if (row->is_expired) {
        return CLM_CP_TOKEN_EXPIRED;
    }
    if (row->is_used_up) {
        return CLM_CP_TOKEN_USED_UP;
    }
    if (row->host_glob[0] != '\0' && !clm_str_glob(row->host_glob, use->hostname)) {
        return CLM_CP_TOKEN_OTHER_HOST;
    }
    return CLM_CP_TOKEN_OK;
}

enum clm_code clm_cp_token_check(struct clm_cp_tx *tx, const struct clm_cp_token_use *use,
                                 enum clm_cp_token_verdict *out_verdict, bool *out_manual,
                                 struct clm_err *err)
{
    struct row row = {0};
    char proof[CLM_TOKEN_PROOF_SIZE];
    enum clm_code code = load(tx, use->id, &row, err);

    if (code == CLM_OK) {
        code = clm_token_proof(&row.token, use->nonce, use->csr_der, use->csr_len, proof, err);
    }
    if (code == CLM_OK) {
        bool fits =
            strlen(use->proof) == strlen(proof) && clm_ct_equal(use->proof, proof, strlen(proof));

        *out_verdict = judge(&row, use, fits);
        *out_manual = row.is_manual;
    }
    clm_token_done(&row.token);
    return code;
}

enum clm_code clm_cp_token_count_use(struct clm_cp_tx *tx, const char *id, struct clm_err *err)
{
    return clm_cp_db_exec(tx->db, err, "UPDATE join_token SET uses = uses + 1 WHERE id = ?1",
                          CLM_SQL(clm_sql_text(id)));
}

enum clm_code clm_cp_token_check_status_proof(struct clm_cp_tx *tx, const char *id,
                                              const char *enroll_id, const char *proof,
                                              bool *out_ok, struct clm_err *err)
{
    struct row row = {0};
    uint8_t key[CLM_SHA256_SIZE];
    uint8_t mac[CLM_SHA256_SIZE];
    char message[64];
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
    enum clm_code code = load(tx, id, &row, err);

    if (code == CLM_OK) {
        code = clm_str_fmt(message, sizeof(message), err, "clm-enroll-status-v1\n%s\n", enroll_id);
    }
    if (code == CLM_OK) {
        const struct clm_hkdf hkdf = {
            .ikm = row.token.secret, .ikm_len = sizeof(row.token.secret), .info = ENROLL_INFO};

        clm_hkdf_sha256(&hkdf, key, sizeof(key));
        clm_hmac_sha256(key, sizeof(key), message, strlen(message), mac);
        clm_wipe(key, sizeof(key));
        code = clm_b64url_encode(mac, sizeof(mac), &text, err);
    }
    *out_ok = code == CLM_OK && row.exists && strlen(proof) == text.len &&
              clm_ct_equal(proof, clm_buf_str(&text), text.len);
    clm_token_done(&row.token);
    return code;
}

enum clm_code clm_cp_tokens_list(struct clm_cp_tx *tx, struct clm_json *array, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = true;
    enum clm_code code = clm_cp_db_query(
        tx->db, &stmt, err,
        "SELECT id, approval, uses, max_uses, host_glob, created_at, expires_at, revoked"
        " FROM join_token ORDER BY created_at DESC, id DESC LIMIT 1000",
        CLM_SQL_NONE);

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        struct clm_json *obj = clm_json_add_object(array);

        clm_json_set_str(obj, "id", clm_cp_stmt_text(stmt, 0));
        clm_json_set_str(obj, "approval", clm_cp_stmt_text(stmt, 1));
        clm_json_set_int(obj, "uses", clm_cp_stmt_int(stmt, 2));
        clm_json_set_int(obj, "max_uses", clm_cp_stmt_int(stmt, 3));
        clm_json_set_str(obj, "host_glob", clm_cp_stmt_text(stmt, 4));
        clm_cp_json_time(obj, "created_at", clm_cp_stmt_int(stmt, 5));
        clm_cp_json_time(obj, "expires_at", clm_cp_stmt_int(stmt, 6));
        clm_json_set_bool(obj, "revoked", clm_cp_stmt_int(stmt, 7) != 0);
    }
    return code;
}
