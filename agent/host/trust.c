/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/trust.h"

#include <limits.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/jws.h"

#define TRUST_FILE     "trust.json"
#define TRUST_FILE_MAX 65536u

void clm_trust_done(struct clm_trust *trust)
{
    for (size_t i = 0; i < trust->n_keys; i++) {
        clm_pubkey_free(trust->keys[i].key);
    }
    *trust = (struct clm_trust){0};
}

static bool is_job_key(const struct clm_json *kids, const char *kid)
{
    for (const struct clm_json *at = clm_json_first(kids); at != NULL; at = clm_json_next(at)) {
        const char *text = clm_json_text(at);

        if (text != NULL && strcmp(text, kid) == 0) {
            return true;
        }
    }
    return false;
}

static enum clm_code read_key(const struct clm_json *obj, struct clm_trust_key *out,
                              struct clm_err *err)
{
    const char *kid;
    const char *alg;
    const char *x;
    const char *y;
    const char *expires;
    enum clm_code code = clm_json_str(obj, "kid", sizeof(out->kid) - 1, &kid, err);

    if (code == CLM_OK) {
        code = clm_json_str(obj, "alg", 16, &alg, err);
    }
    if (code == CLM_OK && strcmp(alg, "ES256") != 0) {
        code = clm_err_set(err, CLM_E_PARSE, "key '%s' is for %s, not ES256", kid, alg);
    }
    if (code == CLM_OK) {
        code = clm_json_str(obj, "x", CLM_JWK_COORD_SIZE - 1, &x, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(obj, "y", CLM_JWK_COORD_SIZE - 1, &y, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(obj, "expires_at", CLM_TIME_TEXT_SIZE, &expires, err);
    }
    if (code == CLM_OK) {
        code = clm_time_parse(expires, &out->expires_at_s, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    memcpy(out->kid, kid, strlen(kid) + 1);
    return clm_pubkey_from_xy(x, y, &out->key, err);
}

static enum clm_code read_keys(const struct clm_json *doc, struct clm_trust *out,
                               struct clm_err *err)
{
    const struct clm_json *jobs = clm_json_get(clm_json_get(doc, "roles"), "jobs");
    const struct clm_json *kids = clm_json_get(jobs, "kids");
    const struct clm_json *keys = NULL;
    enum clm_code code = clm_json_array(doc, "keys", 64, &keys, err);

    for (const struct clm_json *at = clm_json_first(keys); code == CLM_OK && at != NULL;
         at = clm_json_next(at)) {
        struct clm_trust_key key = {.key = NULL};

        code = read_key(at, &key, err);
        if (code == CLM_OK && is_job_key(kids, key.kid)) {
            if (out->n_keys == CLM_TRUST_KEYS_MAX) {
                clm_pubkey_free(key.key);
                return clm_err_set(err, CLM_E_LIMIT, "more than %d job keys", CLM_TRUST_KEYS_MAX);
            }
            out->keys[out->n_keys++] = key;
        } else {
            clm_pubkey_free(key.key);
        }
    }
    if (code == CLM_OK && out->n_keys == 0) {
        code = clm_err_set(err, CLM_E_PARSE, "no key for jobs in the trust document");
    }
    return code;
}

static enum clm_code read_document(const char *text, size_t len, struct clm_trust *out,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *doc = NULL;
    const char *type;
    const char *tenant;
    const char *agent_id;
    int64_t version;
    enum clm_code code = clm_json_parse(text, len, TRUST_FILE_MAX, &doc, err);

    if (code == CLM_OK) {
        code = clm_json_str(doc, "type", 32, &type, err);
    }
    if (code == CLM_OK && strcmp(type, "clm-trust") != 0) {
        code = clm_err_set(err, CLM_E_PARSE, "'%s' is no trust document", type);
    }
    if (code == CLM_OK) {
        code = clm_json_int(doc, "spec_version", 1, 1, &version, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(doc, "tenant", sizeof(out->tenant) - 1, &tenant, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(doc, "agent_id", CLM_ID_SIZE - 1, &agent_id, err);
    }
    if (code == CLM_OK && !clm_id_is_valid("agt", agent_id)) {
        code = clm_err_set(err, CLM_E_PARSE, "agent id '%s' is malformed", agent_id);
    }
    if (code == CLM_OK) {
        memcpy(out->tenant, tenant, strlen(tenant) + 1);
        memcpy(out->agent_id, agent_id, strlen(agent_id) + 1);
        code = read_keys(doc, out, err);
    }
    if (code != CLM_OK) {
        clm_trust_done(out);
        return clm_err_wrap(err, code, "trust document");
    }
    return CLM_OK;
}

static enum clm_code find_ca_key(void *ctx, const char *kid, const struct clm_pubkey **out_key,
                                 struct clm_err *err)
{
    if (strcmp(kid, "ca") != 0) {
        return clm_err_set(err, CLM_E_AUTH, "key '%s' is not the CA's", kid);
    }
    *out_key = ctx;
    return CLM_OK;
}

/* The public key of the first certificate whose pin the token carried. */
static enum clm_code pinned_key(const struct clm_strs *pins, const char *ca_pem,
                                struct clm_pubkey **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    enum clm_code code = clm_cert_chain_from_pem(ca_pem, strlen(ca_pem), &chain, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "CA certificate of the control plane");
    }
    for (size_t i = 0; i < clm_cert_chain_count(chain); i++) {
        char pin[CLM_PIN_SIZE];

        clm_cert_pin(chain, i, pin);
        if (clm_strs_has(pins, pin)) {
            return clm_pubkey_from_cert(chain, i, out_key, err);
        }
    }
    return clm_err_set(err, CLM_E_AUTH, "no CA certificate matches the pin in the token");
}

/* Once at enrolment; afterwards each key ends in its own time. */
static enum clm_code check_end(const struct clm_buf *payload, int64_t now_s, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *doc = NULL;
    const char *text = NULL;
    int64_t expires_at_s = 0;
    enum clm_code code =
        clm_json_parse(clm_buf_str(payload), payload->len, TRUST_FILE_MAX, &doc, err);

    if (code == CLM_OK) {
        code = clm_json_str(doc, "expires_at", CLM_TIME_TEXT_SIZE, &text, err);
    }
    if (code == CLM_OK) {
        code = clm_time_parse(text, &expires_at_s, err);
    }
    if (code == CLM_OK && now_s >= expires_at_s) {
        code = clm_err_set(err, CLM_E_AUTH, "it expired at %s; is this host's clock right?", text);
    }
    return code;
}

static enum clm_code check_owner(const struct clm_trust *trust, const struct clm_trust_offer *offer,
                                 struct clm_err *err)
{
    if (strcmp(trust->agent_id, offer->agent_id) != 0) {
        return clm_err_set(err, CLM_E_AUTH, "it is for agent '%s', and this agent is '%s'",
                           trust->agent_id, offer->agent_id);
    }
    if (strcmp(trust->tenant, offer->tenant) != 0) {
        return clm_err_set(err, CLM_E_AUTH, "it is of tenant '%s', and this agent of '%s'",
                           trust->tenant, offer->tenant);
    }
    return CLM_OK;
}

enum clm_code clm_trust_install(const char *dir, const struct clm_trust_offer *offer,
                                struct clm_trust *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *ca = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    struct clm_trust trust = {0};
    struct clm_jws_policy policy = {.typ = CLM_JWS_TYP_TRUST, .find_key = find_ca_key};
    char path[PATH_MAX];
    enum clm_code code = pinned_key(offer->pins, offer->ca_pem, &ca, err);

    if (code != CLM_OK) {
        return code;
    }
    policy.find_ctx = ca;
    code = clm_jws_verify(offer->jws, &policy, &payload, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "trust document of the control plane");
    }
    code = read_document(clm_buf_str(&payload), payload.len, &trust, err);
    if (code == CLM_OK) {
        code = check_owner(&trust, offer, err);
        if (code == CLM_OK) {
            code = check_end(&payload, offer->now_s, err);
        }
        if (code != CLM_OK) {
            clm_ignore(clm_err_wrap(err, code, "trust document"));
        }
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(path, sizeof(path), err, "%s/" TRUST_FILE, dir);
    }
    if (code == CLM_OK) {
        code = clm_fs_replace(path, payload.data, payload.len, 0600, err);
    }
    if (code != CLM_OK) {
        clm_trust_done(&trust);
        return code;
    }
    clm_trust_done(out);
    *out = trust;
    return CLM_OK;
}

enum clm_code clm_trust_load(const char *dir, struct clm_trust *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(TRUST_FILE_MAX);
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/" TRUST_FILE, dir);

    if (code == CLM_OK) {
        code = clm_fs_read(path, TRUST_FILE_MAX, &text, err);
    }
    return code == CLM_OK ? read_document(clm_buf_str(&text), text.len, out, err) : code;
}

const struct clm_pubkey *clm_trust_find(const struct clm_trust *trust, const char *kid,
                                        int64_t now_s)
{
    for (size_t i = 0; i < trust->n_keys; i++) {
        if (strcmp(trust->keys[i].kid, kid) == 0 && now_s < trust->keys[i].expires_at_s) {
            return trust->keys[i].key;
        }
    }
    return NULL;
}
