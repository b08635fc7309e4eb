/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of RFC 8555 (ACME): requests, external account binding, key authorization. */
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/jws.h"

#define EAB_KEY_MAX 512 /* bytes of HMAC key; CAs give 32 to 64 */

/* ---- JWK ---- */

/* Members in the order of RFC 7638 3.2, so that the printed text is the thumbprint's input. */
enum clm_code clm_jwk_public(const struct clm_key *key, struct clm_json *obj, struct clm_err *err)
{
    char x[CLM_JWK_COORD_SIZE];
    char y[CLM_JWK_COORD_SIZE];
    enum clm_code code = clm_key_public_xy(key, x, y, err);

    if (code == CLM_OK) {
        clm_json_set_str(obj, "crv", "P-256");
        clm_json_set_str(obj, "kty", "EC");
        clm_json_set_str(obj, "x", x);
        clm_json_set_str(obj, "y", y);
    }
    return code;
}

enum clm_code clm_jwk_parse(const struct clm_json *obj, struct clm_pubkey **out_pubkey,
                            struct clm_err *err)
{
    const char *kty = NULL;
    const char *crv = NULL;
    const char *x = NULL;
    const char *y = NULL;
    enum clm_code code = clm_json_str_or(obj, "kty", 16, "EC", &kty, err);

    if (code == CLM_OK) {
        code = clm_json_str_or(obj, "crv", 16, "P-256", &crv, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(obj, "x", CLM_JWK_COORD_SIZE - 1, &x, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(obj, "y", CLM_JWK_COORD_SIZE - 1, &y, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(kty, "EC") != 0 || strcmp(crv, "P-256") != 0) {
        return clm_err_set(err, CLM_E_PARSE, "key is not of type EC on the curve P-256");
    }
    return clm_pubkey_from_xy(x, y, out_pubkey, err);
}

static enum clm_code b64url_of(const void *data, size_t len, char *dst, size_t size,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(size);
    enum clm_code code = clm_b64url_encode(data, len, &text, err);

    return code == CLM_OK ? clm_str_copy(dst, size, clm_buf_str(&text), err) : code;
}

static enum clm_code jwk_text(const struct clm_key *key, struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jwk = clm_json_new_object();
    enum clm_code code = clm_jwk_public(key, jwk, err);

    return code == CLM_OK ? clm_json_print(jwk, false, out, err) : code;
}

enum clm_code clm_jwk_thumbprint(const struct clm_key *key, char dst[CLM_JWK_THUMBPRINT_SIZE],
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(256);
    uint8_t hash[CLM_SHA256_SIZE];
    enum clm_code code = jwk_text(key, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_sha256(text.data, text.len, hash);
    return b64url_of(hash, sizeof(hash), dst, CLM_JWK_THUMBPRINT_SIZE, err);
}

/* The token becomes part of a file name and of a served file: RFC 8555 8.3 allows base64url only. */
static bool is_token(const char *token)
{
    size_t len = strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    return len > 0 && len <= 512 && token[len] == '\0';
}

enum clm_code clm_acme_key_authorization(const struct clm_key *key, const char *token,
                                         struct clm_buf *out, struct clm_err *err)
{
    char thumbprint[CLM_JWK_THUMBPRINT_SIZE];
    enum clm_code code;

    if (!is_token(token)) {
        return clm_err_set(err, CLM_E_INVAL, "challenge token is not base64url");
    }
    code = clm_jwk_thumbprint(key, thumbprint, err);
    return code == CLM_OK ? clm_buf_addf(out, err, "%s.%s", token, thumbprint) : code;
}

/* ---- requests ---- */

static enum clm_code acme_header(const struct clm_key *key, const struct clm_acme_request *request,
                                 struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *header = clm_json_new_object();
    enum clm_code code = CLM_OK;

    clm_json_set_str(header, "alg", "ES256");
    if (request->kid != NULL) {
        clm_json_set_str(header, "kid", request->kid);
    } else {
        code = clm_jwk_public(key, clm_json_set_object(header, "jwk"), err);
    }
    if (request->nonce != NULL) {
        clm_json_set_str(header, "nonce", request->nonce);
    }
    clm_json_set_str(header, "url", request->url);
    return code == CLM_OK ? clm_json_print(header, false, out, err) : code;
}

enum clm_code clm_acme_sign(struct clm_rng *rng, const struct clm_key *key,
                            const struct clm_acme_request *request, const struct clm_buf *payload,
                            struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *flat = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf header = CLM_BUF_INIT(CLM_JWS_HEADER_MAX);
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
    enum clm_code code = acme_header(key, request, &header, err);

    if (code == CLM_OK) {
        code = clm_jws_sign_es256(rng, key, clm_buf_str(&header), payload, &jws, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    flat = clm_json_new_object();
    clm_jws_to_flat_json(&jws, flat);
    return clm_json_print(flat, false, out, err);
}

/* ---- external account binding ---- */

static enum clm_code decode_eab_key(const char *text, struct clm_buf *out, struct clm_err *err)
{
    size_t len = strlen(text);
    enum clm_code code;

    while (len > 0 && text[len - 1] == '=') { /* some CAs hand it out with padding */
        len--;
    }
    code = clm_b64url_decode(text, len, out, NULL); /* its message could quote the secret */
    if (code != CLM_OK || out->len == 0) {
        return clm_err_set(err, code == CLM_E_NOMEM ? code : CLM_E_PARSE,
                           "HMAC key of the external account is not base64url");
    }
    return CLM_OK;
}

static enum clm_code eab_parts(const struct clm_key *key, const struct clm_acme_eab *eab,
                               struct clm_jws *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *header = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JWS_HEADER_MAX);
    enum clm_code code;

    clm_json_set_str(header, "alg", "HS256");
    clm_json_set_str(header, "kid", eab->kid);
    clm_json_set_str(header, "url", eab->url);
    code = clm_json_print(header, false, &text, err);
    if (code == CLM_OK) {
        code = clm_b64url_encode(text.data, text.len, &out->protected_b64, err);
    }
    clm_buf_reset(&text);
    if (code == CLM_OK) {
        code = jwk_text(key, &text, err);
    }
    if (code == CLM_OK) {
        code = clm_b64url_encode(text.data, text.len, &out->payload_b64, err);
    }
    return code;
}

enum clm_code clm_acme_eab(const struct clm_key *key, const struct clm_acme_eab *eab,
                           struct clm_json *obj, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf secret = CLM_BUF_SECRET_INIT(EAB_KEY_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf input = CLM_BUF_INIT(4 * (size_t)CLM_JWS_HEADER_MAX);
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
    uint8_t mac[CLM_SHA256_SIZE];
    enum clm_code code = decode_eab_key(eab->hmac_b64url, &secret, err);

    if (code == CLM_OK) {
        code = eab_parts(key, eab, &jws, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_addf(&input, err, "%s.%s", clm_buf_str(&jws.protected_b64),
                            clm_buf_str(&jws.payload_b64));
    }
    if (code == CLM_OK) {
        clm_hmac_sha256(secret.data, secret.len, input.data, input.len, mac);
        code = clm_b64url_encode(mac, sizeof(mac), &jws.signature_b64, err);
    }
    if (code == CLM_OK) {
        clm_jws_to_flat_json(&jws, obj);
    }
    return code;
}
