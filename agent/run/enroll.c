/* SPDX-License-Identifier: Apache-2.0 */
/* The first identity of a host: protocol.md 5.3 and 7.3. Renewal and recovery: renew.c. */
#include "agent/run/enroll.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/rand.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/jws.h"
#include "agent/crypto/rng.h"
#include "agent/crypto/token.h"
#include "agent/run/files.h"
#include "agent/run/hostinfo.h"
#include "agent/run/issued.h"

#define APPROVAL_POLL_S   15 /* at least; Retry-After may say more */
#define FINGERPRINT_BYTES 6  /* protocol.md 7.3 */

struct enrolment {
    const struct clm_config *config;
    const struct clm_enroll_opts *opts;
    char dir[PATH_MAX];
    struct clm_token token;
    struct clm_buf ca_pem;
    struct clm_identity_pending pending;
    struct clm_api *api;
    struct clm_api_response answer;
};

static void enrolment_done(struct enrolment *e)
{
    clm_token_done(&e->token);
    clm_buf_done(&e->ca_pem);
    clm_identity_pending_done(&e->pending);
    clm_api_free(e->api);
    clm_api_response_done(&e->answer);
}

static enum clm_code read_token(struct enrolment *e, struct clm_err *err)
{
    char when[CLM_TIME_TEXT_SIZE];

    enum clm_code code = clm_token_parse(e->opts->token, e->opts->token_len, &e->token, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, CLM_E_INVAL, "join token");
    }
    if (e->token.exp_s != 0 && e->token.exp_s <= clm_clock_now_s()) {
        clm_time_format(e->token.exp_s, when);
        return clm_err_set(err, CLM_E_AUTH,
                           "join token '%s' expired at %s; make a new one on the control plane "
                           "(and check this host's clock if that is in the future)",
                           e->token.id, when);
    }
    return CLM_OK;
}

/* ---- step 1: which control plane is it? ---- */

static enum clm_code fetch_pinned(struct enrolment *e, const char *url, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;

    clm_buf_reset(&e->ca_pem);
    enum clm_code code = clm_api_fetch_cacerts(e->config, url, &pem, err);
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(pem.data, pem.len, &chain, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "CA certificates of %s", url);
        }
        code = clm_token_pin_check(&e->token, chain, &e->ca_pem, NULL);
        if (code != CLM_OK) {
            return clm_err_set(err, CLM_E_CRYPTO,
                               "no certificate of the control plane %s matches the pin in the "
                               "token; somebody may be in between, or the token is for another "
                               "control plane: compare its URL and make a new token",
                               url);
        }
    }
    return code;
}

static enum clm_code find_control_plane(struct enrolment *e, struct clm_err *err)
{
    enum clm_code code = CLM_E_INVAL;

    for (size_t i = 0; i < e->token.urls.n; i++) {
        code = fetch_pinned(e, e->token.urls.v[i], err);
        if (code == CLM_OK || !clm_code_is_transient(code)) {
            break;
        }
    }
    if (code != CLM_OK) {
        return code;
    }
    return clm_api_open_anonymous(e->config, &e->token.urls, clm_buf_str(&e->ca_pem), &e->api, err);
}

/* ---- step 2: the request ---- */

static enum clm_code device_proof(const struct clm_key *device, const char *nonce,
                                  const struct clm_buf *csr_der, struct clm_buf *out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    uint8_t sig[CLM_ES256_SIG_SIZE];
    char sha256[CLM_SHA256_HEX_SIZE];
    char message[256];

    clm_sha256_hex(csr_der->data, csr_der->len, sha256);
    (void)snprintf(message, sizeof(message), "clm-device-v1\n%s\n%s\n", nonce, sha256);
    enum clm_code code = clm_rng_new(&rng, err);
    if (code == CLM_OK) {
        code = clm_key_sign_es256(rng, device, message, strlen(message), sig, err);
    }
    return code == CLM_OK ? clm_b64url_encode(sig, sizeof(sig), out, err) : code;
}

static enum clm_code get_nonce(struct enrolment *e, struct clm_buf *out, struct clm_err *err)
{
    const struct clm_api_request request = {.method = "GET", .path = "/agent/v1/enroll/nonce"};
    struct clm_api_response answer;
    const char *nonce = NULL;

    enum clm_code code = clm_api_call(e->api, &request, &answer, err);
    if (code == CLM_OK) {
        code = clm_json_str(answer.json, "nonce", 128, &nonce, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(out, nonce, err);
    }
    clm_api_response_done(&answer);
    return code;
}

static enum clm_code add_proofs(struct enrolment *e, const char *nonce, struct clm_json *body,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *device = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_INIT(CLM_IDENTITY_CSR_TEXT);
    CLM_CLEANUP(clm_buf_done) struct clm_buf sig = CLM_BUF_INIT(256);
    char proof[CLM_TOKEN_PROOF_SIZE];

    enum clm_code code = clm_token_proof(&e->token, nonce, e->pending.csr_der.data,
                                         e->pending.csr_der.len, proof, err);
    if (code == CLM_OK) {
        code = clm_identity_device_key(e->dir, &device, err);
    }
    if (code == CLM_OK) {
        code = device_proof(device, nonce, &e->pending.csr_der, &sig, err);
    }
    if (code == CLM_OK) {
        code = clm_b64url_encode(e->pending.csr_der.data, e->pending.csr_der.len, &csr, err);
    }
    if (code == CLM_OK) {
        struct clm_json *jwk = clm_json_set_object(body, "device_key");

        code = clm_jwk_public(device, jwk, err);
    }
    clm_json_set_str(body, "token_id", e->token.id);
    clm_json_set_str(body, "nonce", nonce);
    clm_json_set_str(body, "proof", proof);
    clm_json_set_str(body, "csr", clm_buf_str(&csr));
    clm_json_set_str(body, "device_key_proof", clm_buf_str(&sig));
    return code;
}

static enum clm_code refused(const struct clm_api_response *answer, enum clm_code code,
                             struct clm_err *err)
{
    if (answer->status != 403 && answer->status != 401) {
        return code;
    }
    if (strcmp(answer->problem, "enroll-denied") == 0) {
        return clm_err_set(err, CLM_E_AUTH, "an operator denied this enrolment (%s)",
                           answer->request_id);
    }
    /* The control plane does not say which (7.3): neither do we guess. */
    return clm_err_set(err, CLM_E_AUTH,
                       "the control plane does not accept this join token: it is unknown, used up, "
                       "expired, or not for this host; make a new token there (%s)",
                       answer->request_id);
}

static enum clm_code send_request(struct enrolment *e, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf nonce = CLM_BUF_INIT(128);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    char boot_id[CLM_ULID_SIZE];

    enum clm_code code = get_nonce(e, &nonce, err);
    if (code == CLM_OK) {
        code = add_proofs(e, clm_buf_str(&nonce), body, err);
    }
    if (code == CLM_OK) {
        code = clm_ulid_new(boot_id, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_hostinfo_agent(clm_json_set_object(body, "agent"));
    clm_hostinfo_host(clm_json_set_object(body, "host"));
    clm_hostinfo_capabilities(e->config, clm_json_set_array(body, "capabilities"));
    clm_json_set_str(body, "policy_digest", e->opts->policy_digest);
    clm_json_set_str(body, "boot_id", boot_id);
    const struct clm_api_request request = {
        .method = "POST", .path = "/agent/v1/enroll", .body = body};
    clm_api_response_done(&e->answer);
    code = clm_api_call(e->api, &request, &e->answer, err);
    return code == CLM_OK ? CLM_OK : refused(&e->answer, code, err);
}

/* ---- step 3: waiting for an operator ---- */

/* HMAC by the token's key over the id, so that nobody else sees the state (7.3). */
static enum clm_code status_proof(const struct clm_token *token, const char *enroll_id, char *dst,
                                  size_t size, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
    const struct clm_hkdf hkdf = {
        .ikm = token->secret, .ikm_len = sizeof(token->secret), .info = "clm-enroll-v1"};
    uint8_t key[CLM_SHA256_SIZE];
    uint8_t mac[CLM_SHA256_SIZE];
    char message[128];

    (void)snprintf(message, sizeof(message), "clm-enroll-status-v1\n%s\n", enroll_id);
    clm_hkdf_sha256(&hkdf, key, sizeof(key));
    clm_hmac_sha256(key, sizeof(key), message, strlen(message), mac);
    clm_wipe(key, sizeof(key));
    enum clm_code code = clm_b64url_encode(mac, sizeof(mac), &text, err);
    (void)snprintf(dst, size, "Clm-Enroll-Proof: %s", clm_buf_str(&text));
    return code;
}

/* "4F2A-91C7-0D33": what the operator sees beside this host's name. */
static void make_fingerprint(const struct clm_buf *csr_der, char dst[2 * FINGERPRINT_BYTES + 3])
{
    char hex[CLM_SHA256_HEX_SIZE];
    size_t n = 0;

    clm_sha256_hex(csr_der->data, csr_der->len, hex);
    for (size_t i = 0; i < (size_t)2 * FINGERPRINT_BYTES; i++) {
        if (i > 0 && i % 4 == 0) {
            dst[n++] = '-';
        }
        dst[n++] = (char)(hex[i] >= 'a' ? hex[i] - 'a' + 'A' : hex[i]);
    }
    dst[n] = '\0';
}

static enum clm_code ask_again(struct enrolment *e, const char *path, const char *header,
                               struct clm_err *err)
{
    const struct clm_api_request request = {.method = "GET", .path = path, .header = header};

    clm_api_response_done(&e->answer);
    enum clm_code code = clm_api_call(e->api, &request, &e->answer, err);
    if (code != CLM_OK && clm_api_may_retry(code, &e->answer)) {
        e->answer.status = 202; /* still waiting, as far as we know */
        return CLM_OK;
    }
    return code == CLM_OK ? CLM_OK : refused(&e->answer, code, err);
}

static enum clm_code wait_for_approval(struct enrolment *e, struct clm_err *err)
{
    char fingerprint[2 * FINGERPRINT_BYTES + 3];
    char header[128];
    char path[128];
    const char *enroll_id = NULL;
    uint32_t waited_s = 0;

    make_fingerprint(&e->pending.csr_der, fingerprint);
    enum clm_code code =
        clm_json_str(e->answer.json, "enroll_id", CLM_ID_SIZE - 1, &enroll_id, err);
    if (code == CLM_OK) {
        (void)snprintf(path, sizeof(path), "/agent/v1/enroll/%s", enroll_id);
        code = status_proof(&e->token, enroll_id, header, sizeof(header), err);
    }
    while (code == CLM_OK && e->answer.status == 202) {
        uint32_t pause_s = e->answer.retry_after_s;

        pause_s = pause_s < APPROVAL_POLL_S ? APPROVAL_POLL_S : pause_s;
        if (e->opts->on_pending != NULL) {
            e->opts->on_pending(e->opts->arg, fingerprint, waited_s);
        }
        if (waited_s >= e->opts->approval_wait_s) {
            return clm_err_set(err, CLM_E_TIMEOUT,
                               "waiting for approval on the control plane (fingerprint %s); "
                               "approve it there, then run the same command again",
                               fingerprint);
        }
        if (pause_s > e->opts->approval_wait_s - waited_s) {
            pause_s = e->opts->approval_wait_s - waited_s;
        }
        clm_clock_sleep_ms((int64_t)pause_s * 1000);
        waited_s += pause_s;
        code = ask_again(e, path, header, err);
    }
    return code;
}

/* ---- step 4: keeping it ---- */

static void set_trust_body(const struct enrolment *e, const struct clm_json *trust,
                           const struct clm_identity *now, struct clm_json *body)
{
    clm_token_add_pins(&e->token, clm_json_set_array(body, "pins"));
    clm_json_set_str(body, "ca_pem", clm_buf_str(&e->ca_pem));
    clm_json_set_copy(body, "trust", trust);
    clm_json_set_str(body, "agent_id", now->agent_id);
    clm_json_set_str(body, "tenant", now->tenant);
}

/* The host half first: an identity beside a host half that trusts nobody would be refused every job,
 * and a second enrolment, too. */
static enum clm_code keep(struct enrolment *e, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    struct clm_identity now = {.enrolled_at_s = clm_clock_now_s()};
    const struct clm_json *trust = NULL;
    const char *cert_pem = NULL;

    enum clm_code code = clm_strs_copy(&now.urls, &e->token.urls, err);
    if (code == CLM_OK) {
        code = clm_json_object(e->answer.json, "trust", &trust, err);
    }
    if (code == CLM_OK) {
        code = clm_issued_read(e->dir, e->answer.json, &now, &cert_pem, err);
    }
    if (code == CLM_OK) {
        set_trust_body(e, trust, &now, body);
    }
    if (code == CLM_OK && e->opts->on_trust != NULL) {
        code = e->opts->on_trust(e->opts->arg, body, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_commit(e->dir, &now, cert_pem, clm_buf_str(&e->ca_pem), err);
    }
    clm_identity_done(&now);
    return code;
}

static enum clm_code check_not_enrolled(struct enrolment *e, struct clm_err *err)
{
    struct clm_identity now;

    enum clm_code code = clm_identity_load(e->dir, &now, err);
    if (code == CLM_OK && !e->opts->force) {
        code = clm_err_set(err, CLM_E_EXISTS,
                           "this host is enrolled already as '%s' at %s; use --force to enrol it "
                           "anew",
                           now.agent_id, now.urls.v[0]);
    } else if (code == CLM_E_NOTFOUND || e->opts->force) {
        code = CLM_OK;
    }
    clm_identity_done(&now);
    return code;
}

enum clm_code clm_enroll(const struct clm_config *config, const struct clm_enroll_opts *opts,
                         struct clm_err *err)
{
    struct enrolment e = {
        .config = config, .opts = opts, .ca_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX)};

    enum clm_code code = read_token(&e, err);
    if (code == CLM_OK) {
        code = clm_net_dirs(config, err);
    }
    if (code == CLM_OK) {
        code = clm_net_path(config, e.dir, err, "identity");
    }
    if (code == CLM_OK) {
        code = check_not_enrolled(&e, err);
    }
    if (code == CLM_OK) {
        code = find_control_plane(&e, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_begin(e.dir, "enroll", e.token.id, &e.pending, err);
    }
    if (code == CLM_OK) {
        code = send_request(&e, err);
    }
    if (code == CLM_OK && e.answer.status == 202) {
        code = wait_for_approval(&e, err);
    }
    if (code == CLM_OK) {
        code = keep(&e, err);
    }
    enrolment_done(&e);
    return code;
}
