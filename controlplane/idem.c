/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/idem.h"

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/hash.h"

static void hash_request(const struct clm_cp_request *req, char dst[CLM_SHA256_HEX_SIZE])
{
    struct clm_sha256_ctx ctx;
    uint8_t hash[CLM_SHA256_SIZE];

    clm_sha256_init(&ctx);
    clm_sha256_update(&ctx, req->method, strlen(req->method) + 1);
    clm_sha256_update(&ctx, req->path, strlen(req->path) + 1);
    clm_sha256_update(&ctx, clm_buf_str(req->raw), req->raw->len);
    clm_sha256_final(&ctx, hash);
    clm_hex_encode(hash, sizeof(hash), dst);
}

/* Before enrolment the token, before recovery the agent named in the body, stands for the client. */
static const char *scope_of(const struct clm_cp_request *req)
{
    const char *named = NULL;

    if (req->route->auth == CLM_CP_AUTH_OPERATOR) {
        return "operator";
    }
    if (req->agent_id[0] != '\0') {
        return req->agent_id;
    }
    named = clm_json_text(clm_json_get(req->body, "token_id"));
    if (named == NULL) {
        named = clm_json_text(clm_json_get(req->body, "agent_id"));
    }
    return named != NULL && strlen(named) < CLM_ID_SIZE ? named : "";
}

enum clm_code clm_cp_idem_begin(const struct clm_cp_request *req, struct clm_cp_idem *out,
                                struct clm_cp_answer *answer, bool *out_ok, struct clm_err *err)
{
    *out = (struct clm_cp_idem){0};
    *out_ok = true;
    if (strcmp(req->method, "POST") != 0) {
        return CLM_OK;
    }
    const char *key = clm_cp_request_header(req, "Idempotency-Key");

    if (key == NULL && !req->route->idempotency_key) {
        return CLM_OK;
    }
    if (key == NULL || key[0] == '\0' || strlen(key) > CLM_CP_IDEM_KEY_MAX ||
        !clm_str_is_printable(key)) {
        *out_ok = false;
        return clm_cp_answer_problem(req, answer, CLM_CP_SCHEMA,
                                     "the header Idempotency-Key must have 1 to %d characters",
                                     CLM_CP_IDEM_KEY_MAX);
    }
    out->key = key;
    hash_request(req, out->req_sha256);
    return clm_str_fmt(out->scope, sizeof(out->scope), err, "%s%s",
                       req->route->auth == CLM_CP_AUTH_PROOF ? "proof:" : "", scope_of(req));
}

static enum clm_code restore(struct clm_cp_stmt *stmt, struct clm_cp_answer *answer,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *headers = NULL;
    size_t len = 0;
    const void *body = clm_cp_stmt_bytes(stmt, 3, &len);
    enum clm_code code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 2), &headers, err);

    (void)clm_cp_answer_empty(answer, (int)clm_cp_stmt_int(stmt, 1));
    if (code == CLM_OK && len > 0) {
        answer->content_type = "application/json; charset=utf-8";
        code = clm_buf_add(&answer->body, body, len, err);
    }
    for (const struct clm_json *h = clm_json_first(headers); h != NULL; h = clm_json_next(h)) {
        clm_cp_answer_header(answer, clm_json_key(h), clm_json_text(h));
    }
    clm_cp_answer_header(answer, "Clm-Replayed", "true");
    return code;
}

enum clm_code clm_cp_idem_replay(const struct clm_cp_request *req, const struct clm_cp_idem *idem,
                                 struct clm_cp_answer *answer, bool *out_done, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;

    *out_done = false;
    if (idem->key == NULL) {
        return CLM_OK;
    }
    enum clm_code code = clm_cp_db_query(
        req->tx->db, &stmt, err,
        "SELECT req_sha256, status, headers, body FROM idem WHERE agent_id = ?1 AND key = ?2",
        CLM_SQL(clm_sql_text(idem->scope), clm_sql_text(idem->key)));

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, out_done, err);
    }
    if (code != CLM_OK || !*out_done) {
        return code;
    }
    if (strcmp(clm_cp_stmt_text(stmt, 0), idem->req_sha256) != 0) {
        return clm_cp_answer_problem(req, answer, CLM_CP_IDEMPOTENCY_MISMATCH,
                                     "this Idempotency-Key belongs to another request");
    }
    return restore(stmt, answer, err);
}

enum clm_code clm_cp_idem_keep(const struct clm_cp_request *req, const struct clm_cp_idem *idem,
                               const struct clm_cp_answer *answer, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *headers = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);

    if (idem->key == NULL || answer->status < 200 || answer->status > 299) {
        return CLM_OK;
    }
    headers = clm_json_new_object();
    for (size_t i = 0; i < answer->n_headers; i++) {
        clm_json_set_str(headers, answer->headers[i].name, answer->headers[i].value);
    }
    enum clm_code code = clm_json_print(headers, false, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    return clm_cp_db_exec(req->tx->db, err,
                          "INSERT INTO idem (agent_id, key, req_sha256, status, headers, body, at)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                          CLM_SQL(clm_sql_text(idem->scope), clm_sql_text(idem->key),
                                  clm_sql_text(idem->req_sha256), clm_sql_int(answer->status),
                                  clm_sql_text(clm_buf_str(&text)),
                                  clm_sql_bytes(clm_buf_str(&answer->body), answer->body.len),
                                  clm_sql_int(req->tx->now_s)));
}
