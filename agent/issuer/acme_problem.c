/* SPDX-License-Identifier: Apache-2.0 */
/* Problem documents (RFC 7807) and what their ACME types mean for us (RFC 8555 6.7). */
#include <string.h>

#include "agent/issuer/acme_internal.h"

#define URN "urn:ietf:params:acme:error:"

static const struct {
    const char *name;
    enum clm_code code;
    const char *hint; /* NULL: the CA's own text must do */
} MEANINGS[] = {
    {"accountDoesNotExist", CLM_E_NOTFOUND, NULL},
    {"alreadyRevoked", CLM_E_EXISTS, NULL},
    {"badCSR", CLM_E_INVAL, NULL},
    {"badNonce", CLM_E_NET, NULL}, /* after several tries: a CA with more than one head */
    {"badPublicKey", CLM_E_INVAL, NULL},
    {"badRevocationReason", CLM_E_INVAL, NULL},
    {"badSignatureAlgorithm", CLM_E_UNSUPPORTED, NULL},
    {"caa", CLM_E_CONFIG, "the domain's CAA records must allow this CA"},
    {"externalAccountRequired", CLM_E_CONFIG, "set the key id and HMAC key the CA gave you"},
    {"invalidContact", CLM_E_CONFIG, "check the contact addresses"},
    {"unsupportedContact", CLM_E_CONFIG, "check the contact addresses"},
    {"malformed", CLM_E_INVAL, NULL},
    {"orderNotReady", CLM_E_CONFLICT, NULL},
    {"rejectedIdentifier", CLM_E_INVAL, "the CA does not issue for this name"},
    {"unsupportedIdentifier", CLM_E_INVAL, "the CA does not issue for this kind of name"},
    {"unauthorized", CLM_E_AUTH, NULL},
    {"userActionRequired", CLM_E_CONFIG, "visit the CA's page and agree to its terms"},
};

/* Foreign text on one line: control characters become spaces. */
static void append_text(char *dst, size_t size, const char *text)
{
    size_t at = strlen(dst);

    for (; *text != '\0' && at + 1 < size; text++) {
        unsigned char c = (unsigned char)*text;
        dst[at++] = (char)((c < 0x20 || c == 0x7f) ? ' ' : c);
    }
    dst[at] = '\0';
    if (*text != '\0' && size > 4) { /* cut off: drop a torn UTF-8 character, too */
        at = size - 4;
        while (at > 0 && ((unsigned char)dst[at] & 0xc0) == 0x80) {
            at--;
        }
        memcpy(dst + at, "...", 4);
    }
}

static const char *text_of(const struct clm_json *obj, const char *key)
{
    const char *text = clm_json_text(clm_json_get(obj, key));

    return text != NULL ? text : "";
}

void clm_acme_read_problem(const struct clm_json *obj, struct clm_issuer_problem *out)
{
    const struct clm_json *sub = clm_json_first(clm_json_get(obj, "subproblems"));
    int64_t status = 0;

    *out = (struct clm_issuer_problem){.http_status = 0};
    append_text(out->type, sizeof(out->type), text_of(obj, "type"));
    if (out->type[0] == '\0') {
        append_text(out->type, sizeof(out->type), "about:blank"); /* RFC 7807 3.1 */
    }
    const char *detail = text_of(obj, "detail");
    append_text(out->detail, sizeof(out->detail),
                detail[0] != '\0' ? detail : text_of(obj, "title"));
    if (sub != NULL && clm_json_kind(sub) == CLM_JSON_OBJECT) {
        append_text(out->detail, sizeof(out->detail), "; ");
        append_text(out->detail, sizeof(out->detail),
                    text_of(clm_json_get(sub, "identifier"), "value"));
        append_text(out->detail, sizeof(out->detail), ": ");
        append_text(out->detail, sizeof(out->detail), text_of(sub, "detail"));
    }
    if (clm_json_int_or(obj, "status", 0, 999, &status, NULL) == CLM_OK) {
        out->http_status = (int)status;
    }
}

bool clm_acme_problem_is(const struct clm_issuer_problem *problem, const char *name)
{
    return strncmp(problem->type, URN, sizeof(URN) - 1) == 0 &&
           strcmp(problem->type + sizeof(URN) - 1, name) == 0;
}

enum clm_code clm_acme_fail(const struct clm_acme *acme, uint32_t retry_after_s,
                            struct clm_err *err)
{
    const struct clm_issuer_problem *p = &acme->problem;
    enum clm_code code = CLM_E_REMOTE;
    const char *hint = NULL;

    for (size_t i = 0; i < CLM_ARRAY_LEN(MEANINGS); i++) {
        if (clm_acme_problem_is(p, MEANINGS[i].name)) {
            code = MEANINGS[i].code;
            hint = MEANINGS[i].hint;
        }
    }
    (void)clm_err_set(err, code, "CA '%s': %s (%s)%s%s", acme->host, p->detail, p->type,
                      hint != NULL ? ": " : "", hint != NULL ? hint : "");
    if (err != NULL) {
        err->remote_status = p->http_status;
        err->retry_after_s = retry_after_s;
    }
    return code;
}

bool clm_acme_may_retry(const struct clm_err *err)
{
    return clm_code_is_transient(err->code) || err->remote_status == 429 ||
           err->remote_status >= 500;
}
