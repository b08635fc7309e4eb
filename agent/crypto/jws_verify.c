/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host half stands on this file: what passes here may change a server. So nothing is optional
 * and nothing unknown is passed over, neither in the envelope nor in the header.
 */
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/jws.h"

#define PAYLOAD_B64_MAX (((size_t)CLM_JWS_PAYLOAD_MAX * 4 + 2) / 3)
#define HEADER_B64_MAX  (((size_t)CLM_JWS_HEADER_MAX * 4 + 2) / 3)
#define SIG_B64_LEN     86 /* 64 bytes */

struct header {
    struct clm_json *json;
    const char *kid; /* lives in json; NULL if there is none */
};

static void header_done(struct header *header)
{
    clm_json_free(header->json);
}

static enum clm_code check_crit(const struct clm_json *json, struct clm_err *err)
{
    const struct clm_json *crit = NULL;
    const char *name = NULL;
    int64_t version = 0;
    enum clm_code code = clm_json_array(json, "crit", 1, &crit, err);

    if (code != CLM_OK) {
        return code;
    }
    if (clm_json_len(crit) == 1) {
        name = clm_json_text(clm_json_first(crit));
    }
    if (name == NULL || strcmp(name, "clmv") != 0) {
        return clm_err_set(err, CLM_E_PARSE, "crit is not exactly [\"clmv\"]");
    }
    return clm_json_int(json, "clmv", 1, 1, &version, err);
}

/* A table of what may stand in the header, by purpose: "jwk", "jku", "x5u", "x5c" never may. */
static enum clm_code check_header(const struct clm_json *json, const char *typ, struct clm_err *err)
{
    static const char *const for_jobs[] = {"alg", "kid", "typ", "crit", "clmv", NULL};
    static const char *const for_others[] = {"alg", "kid", "typ", NULL};
    bool is_job = strcmp(typ, CLM_JWS_TYP_JOB) == 0;
    const char *alg = NULL;
    const char *have = NULL;
    enum clm_code code = clm_json_only(json, is_job ? for_jobs : for_others, err);

    if (code == CLM_OK) {
        code = clm_json_str(json, "alg", 16, &alg, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(json, "typ", 64, &have, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(alg, "ES256") != 0) {
        return clm_err_set(err, CLM_E_PARSE, "algorithm is '%s', not ES256", alg);
    }
    if (strcmp(have, typ) != 0) {
        return clm_err_set(err, CLM_E_PARSE, "type is '%s', not %s", have, typ);
    }
    return is_job ? check_crit(json, err) : CLM_OK;
}

static enum clm_code read_header(const char *protected_b64, const char *typ, struct header *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JWS_HEADER_MAX);
    enum clm_code code = clm_b64url_decode(protected_b64, strlen(protected_b64), &text, err);

    if (code == CLM_OK) {
        code = clm_json_parse(clm_buf_str(&text), text.len, CLM_JWS_HEADER_MAX, &out->json, err);
    }
    if (code == CLM_OK && clm_json_kind(out->json) != CLM_JSON_OBJECT) {
        code = clm_err_set(err, CLM_E_PARSE, "not an object");
    }
    if (code == CLM_OK) {
        code = check_header(out->json, typ, err);
    }
    if (code == CLM_OK && clm_json_get(out->json, "kid") != NULL) {
        code = clm_json_str(out->json, "kid", CLM_JWS_KID_MAX - 1, &out->kid, err);
    }
    if (code == CLM_OK && out->kid != NULL &&
        (out->kid[0] == '\0' || !clm_str_is_printable(out->kid))) {
        code = clm_err_set(err, CLM_E_PARSE, "kid is empty or not printable");
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "signature header");
}

/* One signature over protected "." payload, both as they came. */
static enum clm_code verify_one(const struct clm_pubkey *key, const char *protected_b64,
                                const char *payload_b64, const char *signature_b64,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf input = CLM_BUF_INIT(PAYLOAD_B64_MAX + HEADER_B64_MAX + 1);
    CLM_CLEANUP(clm_buf_done) struct clm_buf sig = CLM_BUF_INIT(CLM_ES256_SIG_SIZE);
    enum clm_code code = CLM_E_PARSE;

    if (strlen(signature_b64) == SIG_B64_LEN) {
        code = clm_b64url_decode(signature_b64, SIG_B64_LEN, &sig, NULL);
    }
    if (code != CLM_OK || sig.len != CLM_ES256_SIG_SIZE) {
        return clm_err_set(err, code == CLM_E_NOMEM ? code : CLM_E_PARSE,
                           "signature is not 64 bytes of base64url");
    }
    code = clm_buf_addf(&input, err, "%s.%s", protected_b64, payload_b64);
    if (code == CLM_OK) {
        code = clm_pubkey_verify_es256(key, input.data, input.len, sig.data, err);
    }
    return code;
}

static enum clm_code decode_payload(const char *payload_b64, struct clm_buf *payload,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    enum clm_code code = clm_b64url_decode(payload_b64, strlen(payload_b64), &bytes, err);

    clm_buf_reset(payload);
    if (code == CLM_OK && bytes.len > 0) {
        code = clm_buf_add(payload, bytes.data, bytes.len, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "signed content");
}

/* Who signed so far: the same key twice does not reach a threshold of two. */
struct signers {
    char kid[CLM_JWS_SIGNATURES_MAX][CLM_JWS_KID_MAX];
    size_t n;
};

static enum clm_code add_signer(struct signers *signers, const char *kid, struct clm_err *err)
{
    for (size_t i = 0; i < signers->n; i++) {
        if (strcmp(signers->kid[i], kid) == 0) {
            return clm_err_set(err, CLM_E_PARSE, "key '%s' signed twice", kid);
        }
    }
    return clm_str_copy(signers->kid[signers->n++], CLM_JWS_KID_MAX, kid, err);
}

static enum clm_code check_signature(const struct clm_json *entry,
                                     const struct clm_jws_policy *policy, const char *payload_b64,
                                     struct signers *signers, struct clm_err *err)
{
    static const char *const members[] = {"protected", "signature", NULL};
    CLM_CLEANUP(header_done) struct header header = {.json = NULL};
    const struct clm_pubkey *key = NULL;
    const char *protected_b64 = NULL;
    const char *signature_b64 = NULL;
    enum clm_code code = clm_json_only(entry, members, err);

    if (code == CLM_OK) {
        code = clm_json_str(entry, "protected", HEADER_B64_MAX, &protected_b64, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(entry, "signature", SIG_B64_LEN, &signature_b64, err);
    }
    if (code == CLM_OK) {
        code = read_header(protected_b64, policy->typ, &header, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (header.kid == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "signature header has no kid");
    }
    if (policy->find_key(policy->find_ctx, header.kid, &key, NULL) != CLM_OK || key == NULL) {
        return clm_err_set(err, CLM_E_CRYPTO, "signing key '%s' is not trusted for this",
                           header.kid);
    }
    code = verify_one(key, protected_b64, payload_b64, signature_b64, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "signing key '%s'", header.kid);
    }
    return add_signer(signers, header.kid, err);
}

enum clm_code clm_jws_verify(const struct clm_json *jws, const struct clm_jws_policy *policy,
                             struct clm_buf *payload, struct clm_err *err)
{
    static const char *const members[] = {"payload", "signatures", NULL};
    struct signers signers = {.n = 0};
    size_t threshold = policy->threshold == 0 ? 1 : policy->threshold;
    const struct clm_json *list = NULL;
    const char *payload_b64 = NULL;
    enum clm_code code;

    clm_buf_reset(payload);
    if (jws == NULL || clm_json_kind(jws) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "there is no signature object");
    }
    code = clm_json_only(jws, members, err);
    if (code == CLM_OK) {
        code = clm_json_str(jws, "payload", PAYLOAD_B64_MAX, &payload_b64, err);
    }
    if (code == CLM_OK) {
        code = clm_json_array(jws, "signatures", CLM_JWS_SIGNATURES_MAX, &list, err);
    }
    for (const struct clm_json *entry = clm_json_first(list); entry != NULL && code == CLM_OK;
         entry = clm_json_next(entry)) {
        code = check_signature(entry, policy, payload_b64, &signers, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (signers.n < threshold) {
        return clm_err_set(err, CLM_E_CRYPTO, "%zu of %zu required signatures", signers.n,
                           threshold);
    }
    return decode_payload(payload_b64, payload, err);
}

enum clm_code clm_jws_verify_flat(const struct clm_json *jws, const char *typ,
                                  const struct clm_pubkey *pubkey, struct clm_buf *payload,
                                  struct clm_err *err)
{
    static const char *const members[] = {"protected", "payload", "signature", NULL};
    CLM_CLEANUP(header_done) struct header header = {.json = NULL};
    const char *protected_b64 = NULL;
    const char *payload_b64 = NULL;
    const char *signature_b64 = NULL;
    enum clm_code code;

    clm_buf_reset(payload);
    if (jws == NULL || clm_json_kind(jws) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "there is no signature object");
    }
    code = clm_json_only(jws, members, err);
    if (code == CLM_OK) {
        code = clm_json_str(jws, "protected", HEADER_B64_MAX, &protected_b64, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(jws, "payload", PAYLOAD_B64_MAX, &payload_b64, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(jws, "signature", SIG_B64_LEN, &signature_b64, err);
    }
    if (code == CLM_OK) {
        code = read_header(protected_b64, typ, &header, err);
    }
    if (code == CLM_OK) {
        code = verify_one(pubkey, protected_b64, payload_b64, signature_b64, err);
    }
    return code == CLM_OK ? decode_payload(payload_b64, payload, err) : code;
}
