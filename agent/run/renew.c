/* SPDX-License-Identifier: Apache-2.0 */
/* The next identity: protocol.md 5.5 (renewal), 5.6 (recovery), 7.4, 7.5. */
#include <string.h>

#include "agent/base/clock.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/jws.h"
#include "agent/crypto/rng.h"
#include "agent/model/bundle.h"
#include "agent/run/enroll.h"
#include "agent/run/issued.h"

#define RECOVER_PATH "/agent/v1/recover"

/* The tenant stands in the certificate: "clm://<tenant>/agent/<agent_id>" (5.4). */
static enum clm_code read_uri(const char *cert_pem, struct clm_identity *io_now,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_strs_done) struct clm_strs uris = {0};
    static const char head[] = "clm://";
    char tail[CLM_ID_SIZE + 16];

    enum clm_code code = clm_cert_chain_from_pem(cert_pem, strlen(cert_pem), &chain, err);
    if (code == CLM_OK) {
        code = clm_cert_uris(chain, 0, &uris, err);
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(tail, sizeof(tail), err, "/agent/%s", io_now->agent_id);
    }
    if (code != CLM_OK) {
        return code;
    }
    for (size_t i = 0; i < uris.n; i++) {
        size_t len = strlen(uris.v[i]);
        size_t around = sizeof(head) - 1 + strlen(tail);

        if (clm_str_starts(uris.v[i], head) && clm_str_ends(uris.v[i], tail) && len > around &&
            len - around < sizeof(io_now->tenant)) {
            memcpy(io_now->tenant, uris.v[i] + sizeof(head) - 1, len - around);
            io_now->tenant[len - around] = '\0';
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_CRYPTO,
                       "the certificate from the control plane is not for agent '%s'",
                       io_now->agent_id);
}

static enum clm_code read_dates(const struct clm_json *answer, struct clm_identity *io_now,
                                struct clm_err *err)
{
    const char *not_after = NULL;
    const char *renew_after = NULL;

    enum clm_code code = clm_json_str(answer, "not_after", CLM_TIME_TEXT_SIZE, &not_after, err);
    if (code == CLM_OK) {
        code = clm_time_parse(not_after, &io_now->not_after_s, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(answer, "renew_after", CLM_TIME_TEXT_SIZE, "", &renew_after, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (renew_after[0] != '\0') {
        return clm_time_parse(renew_after, &io_now->renew_after_s, err);
    }
    io_now->renew_after_s = clm_identity_half_life(clm_clock_now_s(), io_now->not_after_s);
    return CLM_OK;
}

enum clm_code clm_issued_read(const char *dir, const struct clm_json *answer,
                              struct clm_identity *io_now, const char **out_cert_pem,
                              struct clm_err *err)
{
    const char *agent_id = NULL;

    enum clm_code code =
        clm_json_str_or(answer, "agent_id", CLM_ID_SIZE - 1, io_now->agent_id, &agent_id, err);
    if (code == CLM_OK && !clm_id_is_valid("agt", agent_id)) {
        code = clm_err_set(err, CLM_E_PARSE, "agent_id: not an agent id");
    }
    if (code == CLM_OK && agent_id != io_now->agent_id) {
        code = clm_str_copy(io_now->agent_id, sizeof(io_now->agent_id), agent_id, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(answer, "generation", 1, CLM_JSON_INT_MAX, &io_now->generation, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(answer, "certificate", CLM_CHAIN_PEM_MAX, out_cert_pem, err);
    }
    if (code == CLM_OK) {
        code = read_dates(answer, io_now, err);
    }
    if (code == CLM_OK) {
        code = read_uri(*out_cert_pem, io_now, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_check(dir, *out_cert_pem, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "answer with the new identity");
}

enum clm_code clm_issued_keep(const char *dir, const struct clm_json *answer,
                              struct clm_identity *io_now, const char *ca_pem, struct clm_err *err)
{
    const char *cert_pem = NULL;
    enum clm_code code = clm_issued_read(dir, answer, io_now, &cert_pem, err);

    return code == CLM_OK ? clm_identity_commit(dir, io_now, cert_pem, ca_pem, err) : code;
}

static enum clm_code copy_identity(const struct clm_identity *from, struct clm_identity *to,
                                   struct clm_err *err)
{
    *to = *from;
    to->urls = (struct clm_strs){0};
    return clm_strs_copy(&to->urls, &from->urls, err);
}

static enum clm_code keep_answer(const char *dir, const struct clm_identity *identity,
                                 const struct clm_json *answer, struct clm_err *err)
{
    struct clm_identity now;

    enum clm_code code = copy_identity(identity, &now, err);
    if (code == CLM_OK) {
        code = clm_issued_keep(dir, answer, &now, NULL, err);
    }
    clm_identity_done(&now);
    return code;
}

static enum clm_code set_csr(const struct clm_identity_pending *pending, struct clm_json *body,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_INIT(CLM_IDENTITY_CSR_TEXT);

    enum clm_code code = clm_b64url_encode(pending->csr_der.data, pending->csr_der.len, &csr, err);
    if (code == CLM_OK) {
        clm_json_set_str(body, "csr", clm_buf_str(&csr));
    }
    return code;
}

enum clm_code clm_identity_renew(const char *dir, struct clm_api *api,
                                 const struct clm_identity *identity, const char *boot_id,
                                 const char *reason, struct clm_err *err)
{
    struct clm_identity_pending pending = {.csr_der = CLM_BUF_INIT(CLM_CSR_MAX)};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    struct clm_api_response answer = {0};
    const struct clm_api_request request = {
        .method = "POST", .path = "/agent/v1/identity/renew", .body = body};

    enum clm_code code = clm_identity_begin(dir, "renew", "", &pending, err);
    clm_json_set_int(body, "generation", identity->generation);
    clm_json_set_str(body, "reason", reason);
    clm_json_set_str(body, "boot_id", boot_id);
    if (code == CLM_OK) {
        code = set_csr(&pending, body, err);
    }
    if (code == CLM_OK) {
        code = clm_api_call(api, &request, &answer, err);
    }
    if (code == CLM_E_REMOTE && strcmp(answer.problem, "clone-suspected") == 0) {
        code = clm_err_set(err, CLM_E_CONFLICT,
                           "the control plane suspects that this agent was cloned; decide there "
                           "which copy stays, and enrol the other one anew");
    }
    if (code == CLM_OK) {
        code = keep_answer(dir, identity, answer.json, err);
    }
    clm_api_response_done(&answer);
    clm_identity_pending_done(&pending);
    return code;
}

/* ---- recovery ---- */

static enum clm_code first_call(struct clm_api *api, const struct clm_identity *identity,
                                struct clm_buf *out_nonce, struct clm_api_response *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    char key[CLM_ULID_SIZE];
    const char *nonce = NULL;

    enum clm_code code = clm_ulid_new(key, err);
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(body, "agent_id", identity->agent_id);
    const struct clm_api_request request = {
        .method = "POST", .path = RECOVER_PATH, .body = body, .idempotency_key = key};
    code = clm_api_call(api, &request, out, err);
    if (code == CLM_OK) {
        return clm_err_set(err, CLM_E_PARSE, "recovery: the control plane sent no nonce");
    }
    if (strcmp(out->problem, "nonce-required") != 0) {
        return code;
    }
    code = clm_json_str(out->problem_json, "nonce", 128, &nonce, err);
    return code == CLM_OK ? clm_buf_add_str(out_nonce, nonce, err) : code;
}

static enum clm_code sign_claims(const char *dir, const struct clm_json *claims,
                                 struct clm_json *proof, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *device = NULL;
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;

    enum clm_code code = clm_identity_device_key(dir, &device, err);
    if (code == CLM_OK) {
        code = clm_rng_new(&rng, err);
    }
    if (code == CLM_OK) {
        code = clm_json_print(claims, false, &payload, err);
    }
    if (code == CLM_OK) {
        code = clm_jws_sign_es256(rng, device,
                                  "{\"alg\":\"ES256\",\"typ\":\"" CLM_JWS_TYP_RECOVER "\"}",
                                  &payload, &jws, err);
    }
    if (code == CLM_OK) {
        clm_jws_to_flat_json(&jws, proof);
    }
    return code;
}

static enum clm_code second_call(const char *dir, struct clm_api *api,
                                 const struct clm_identity *identity, const char *nonce,
                                 struct clm_api_response *out, struct clm_err *err)
{
    struct clm_identity_pending pending = {.csr_der = CLM_BUF_INIT(CLM_CSR_MAX)};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *claims = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    char sha256[CLM_SHA256_HEX_SIZE];

    enum clm_code code = clm_identity_begin(dir, "recover", "", &pending, err);
    if (code == CLM_OK) {
        clm_sha256_hex(pending.csr_der.data, pending.csr_der.len, sha256);
        clm_json_set_str(claims, "agent_id", identity->agent_id);
        clm_json_set_int(claims, "generation", identity->generation);
        clm_json_set_str(claims, "nonce", nonce);
        clm_json_set_str(claims, "csr_sha256", sha256);
        clm_json_set_str(claims, "aud", clm_api_url(api));
        clm_json_set_int(claims, "iat", clm_clock_now_s());
        clm_json_set_str(body, "agent_id", identity->agent_id);
        code = set_csr(&pending, body, err);
    }
    if (code == CLM_OK) {
        code = sign_claims(dir, claims, clm_json_set_object(body, "proof"), err);
    }
    clm_identity_pending_done(&pending);
    if (code != CLM_OK) {
        return code;
    }
    const struct clm_api_request request = {.method = "POST", .path = RECOVER_PATH, .body = body};
    clm_api_response_done(out);
    return clm_api_call(api, &request, out, err);
}

enum clm_code clm_identity_recover(const char *dir, struct clm_api *api,
                                   const struct clm_identity *identity,
                                   struct clm_api_response *out_response, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf nonce = CLM_BUF_INIT(128);

    enum clm_code code = first_call(api, identity, &nonce, out_response, err);
    if (code == CLM_OK) {
        code = second_call(dir, api, identity, clm_buf_str(&nonce), out_response, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "recovery of the agent's identity");
    }
    return keep_answer(dir, identity, out_response->json, err);
}
