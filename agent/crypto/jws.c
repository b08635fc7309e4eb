/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/jws.h"

#include <string.h>

#include "agent/base/str.h"

/* Both parts as Base64, and the dot. */
#define SIGNING_INPUT_MAX (2 * ((size_t)CLM_JWS_PAYLOAD_MAX + CLM_JWS_HEADER_MAX) + 1)

void clm_jws_done(struct clm_jws *jws)
{
    clm_buf_done(&jws->protected_b64);
    clm_buf_done(&jws->payload_b64);
    clm_buf_done(&jws->signature_b64);
}

enum clm_code clm_jws_header(const char *typ, const char *kid, struct clm_buf *out,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *header = NULL;

    if (kid[0] == '\0' || strlen(kid) >= CLM_JWS_KID_MAX || !clm_str_is_printable(kid)) {
        return clm_err_set(err, CLM_E_INVAL,
                           "key id of a signature is empty, too long or not "
                           "printable");
    }
    header = clm_json_new_object();
    clm_json_set_str(header, "alg", "ES256");
    clm_json_set_str(header, "kid", kid);
    clm_json_set_str(header, "typ", typ);
    if (strcmp(typ, CLM_JWS_TYP_JOB) == 0) {
        clm_json_add_str(clm_json_set_array(header, "crit"), "clmv");
        clm_json_set_int(header, "clmv", 1);
    }
    return clm_json_print(header, false, out, err);
}

/* ASCII(protected) "." ASCII(payload): RFC 7515 5.1 */
static enum clm_code sign_parts(struct clm_rng *rng, const struct clm_key *key, struct clm_jws *jws,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf input = CLM_BUF_INIT(SIGNING_INPUT_MAX);
    uint8_t sig[CLM_ES256_SIG_SIZE];
    enum clm_code code = clm_buf_addf(&input, err, "%s.%s", clm_buf_str(&jws->protected_b64),
                                      clm_buf_str(&jws->payload_b64));

    if (code == CLM_OK) {
        code = clm_key_sign_es256(rng, key, input.data, input.len, sig, err);
    }
    if (code == CLM_OK) {
        code = clm_b64url_encode(sig, sizeof(sig), &jws->signature_b64, err);
    }
    return code;
}

enum clm_code clm_jws_sign_es256(struct clm_rng *rng, const struct clm_key *key,
                                 const char *protected_json, const struct clm_buf *payload,
                                 struct clm_jws *out, struct clm_err *err)
{
    enum clm_code code;

    clm_buf_reset(&out->protected_b64);
    clm_buf_reset(&out->payload_b64);
    clm_buf_reset(&out->signature_b64);
    if (strlen(protected_json) > CLM_JWS_HEADER_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "header of the signature is longer than %u bytes",
                           CLM_JWS_HEADER_MAX);
    }
    if (payload != NULL && payload->len > CLM_JWS_PAYLOAD_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "content to sign is longer than %u bytes",
                           CLM_JWS_PAYLOAD_MAX);
    }
    code = clm_b64url_encode(protected_json, strlen(protected_json), &out->protected_b64, err);
    if (code == CLM_OK && payload != NULL && payload->len > 0) {
        code = clm_b64url_encode(payload->data, payload->len, &out->payload_b64, err);
    }
    if (code == CLM_OK) {
        code = sign_parts(rng, key, out, err);
    }
    return code;
}

void clm_jws_to_json(const struct clm_jws *jws, struct clm_json *obj)
{
    struct clm_json *one;

    clm_json_set_str(obj, "payload", clm_buf_str(&jws->payload_b64));
    one = clm_json_add_object(clm_json_set_array(obj, "signatures"));
    clm_json_set_str(one, "protected", clm_buf_str(&jws->protected_b64));
    clm_json_set_str(one, "signature", clm_buf_str(&jws->signature_b64));
}

void clm_jws_to_flat_json(const struct clm_jws *jws, struct clm_json *obj)
{
    clm_json_set_str(obj, "protected", clm_buf_str(&jws->protected_b64));
    clm_json_set_str(obj, "payload", clm_buf_str(&jws->payload_b64));
    clm_json_set_str(obj, "signature", clm_buf_str(&jws->signature_b64));
}
