/* SPDX-License-Identifier: Apache-2.0 */
/* The client object and the CA's directory (RFC 8555 7.1.1). */
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/issuer/acme_internal.h"

/* "ca.example:14000" of "https://ca.example:14000/dir", for messages. */
static void host_of(const char *url, char dst[CLM_ACME_HOST_SIZE])
{
    const char *start = strstr(url, "://");

    start = start != NULL ? start + 3 : url;
    size_t len = strcspn(start, "/?#");
    if (len >= CLM_ACME_HOST_SIZE) {
        len = CLM_ACME_HOST_SIZE - 1;
    }
    memcpy(dst, start, len);
    dst[len] = '\0';
}

enum clm_code clm_acme_new(const struct clm_acme_opts *opts, struct clm_acme **out_acme,
                           struct clm_err *err)
{
    CLM_CLEANUP(clm_acme_free_p) struct clm_acme *acme = calloc(1, sizeof(*acme));

    if (acme == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "ACME client");
    }
    if (clm_key_type_of(opts->key) != CLM_KEY_EC_P256) {
        return clm_err_set(err, CLM_E_INVAL, "the ACME account key must be of type ec-p256, not %s",
                           clm_key_type_name(clm_key_type_of(opts->key)));
    }
    acme->io = *opts->io;
    acme->rng = opts->rng;
    acme->key = opts->key;
    acme->allow_http = opts->allow_http;
    acme->timeout_ms = opts->timeout_ms != 0 ? opts->timeout_ms : CLM_ACME_TIMEOUT_MS;
    if (clm_str_copy(acme->profile, sizeof(acme->profile),
                     opts->profile != NULL ? opts->profile : "", err) != CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "the name of the ACME profile is too long");
    }
    host_of(opts->directory_url, acme->host);
    if (clm_acme_url(acme, "the directory", opts->directory_url, acme->directory_url, err) !=
        CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "ACME directory '%.200s' is no https URL",
                           opts->directory_url);
    }
    if (opts->account_url != NULL && opts->account_url[0] != '\0') {
        enum clm_code code =
            clm_acme_url(acme, "the account", opts->account_url, acme->account_url, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    if (opts->ca_pem != NULL) {
        acme->ca_pem = strdup(opts->ca_pem);
        if (acme->ca_pem == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "ACME client");
        }
    }
    *out_acme = CLM_STEAL(acme);
    return CLM_OK;
}

void clm_acme_free(struct clm_acme *acme)
{
    if (acme != NULL) {
        free(acme->ca_pem);
        free(acme);
    }
}

const struct clm_issuer_problem *clm_acme_problem(const struct clm_acme *acme)
{
    return &acme->problem;
}

static enum clm_code read_meta(struct clm_acme *acme, const struct clm_json *meta,
                               struct clm_err *err)
{
    const char *terms = NULL;

    if (meta == NULL) {
        return CLM_OK;
    }
    enum clm_code code =
        clm_json_str_or(meta, "termsOfService", CLM_JSON_STRING_MAX, "", &terms, err);
    if (code == CLM_OK && clm_str_is_printable(terms) && strlen(terms) < sizeof(acme->terms)) {
        code = clm_str_copy(acme->terms, sizeof(acme->terms), terms, err);
    }
    return code == CLM_OK ? clm_json_bool_or(meta, "externalAccountRequired",
                                             &acme->needs_external_account, err)
                          : code;
}

enum clm_code clm_acme_directory(struct clm_acme *acme, struct clm_err *err)
{
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};
    char new_nonce[CLM_ISSUER_URL_SIZE];

    if (acme->new_nonce[0] != '\0') {
        return CLM_OK;
    }
    enum clm_code code = clm_acme_get(acme, acme->directory_url, &reply, err);
    const struct clm_json *dir = reply.json;

    if (code == CLM_OK) {
        code = clm_acme_json_url(acme, dir, "newAccount", acme->new_account, err);
    }
    if (code == CLM_OK) {
        code = clm_acme_json_url(acme, dir, "newOrder", acme->new_order, err);
    }
    if (code == CLM_OK) {
        code = clm_acme_json_url_or_none(acme, dir, "revokeCert", acme->revoke_cert, err);
    }
    if (code == CLM_OK) {
        code = read_meta(acme, clm_json_get(dir, "meta"), err);
    }
    if (code == CLM_OK) {
        code = clm_acme_json_url(acme, dir, "newNonce", new_nonce, err);
    }
    if (code == CLM_OK) { /* last: it says that all the rest is there */
        memcpy(acme->new_nonce, new_nonce, sizeof(new_nonce));
        return CLM_OK;
    }
    return clm_err_wrap(err, code, "ACME directory");
}
