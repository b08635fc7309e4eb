/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts (RFC 8555 7.3). */
#include <string.h>

#include "agent/crypto/jws.h"
#include "agent/issuer/acme_internal.h"

const char *clm_acme_account_url(const struct clm_acme *acme)
{
    return acme->account_url;
}

static enum clm_code check_meta(const struct clm_acme *acme, const struct clm_acme_account *account,
                                struct clm_err *err)
{
    if (account->only_existing) {
        return CLM_OK;
    }
    if (acme->terms[0] != '\0' && !account->agree_terms) {
        return clm_err_set(
            err, CLM_E_CONFIG,
            "CA '%s' wants agreement to its terms of service: read %.250s and say so "
            "in the configuration",
            acme->host, acme->terms);
    }
    if (acme->needs_external_account && account->eab_kid == NULL) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "CA '%s' wants an external account: set the key id and HMAC key it gave "
                           "you",
                           acme->host);
    }
    return CLM_OK;
}

static enum clm_code build(const struct clm_acme *acme, const struct clm_acme_account *account,
                           struct clm_json *obj, struct clm_err *err)
{
    if (account->only_existing) {
        clm_json_set_bool(obj, "onlyReturnExisting", true);
        return CLM_OK;
    }
    if (account->agree_terms) {
        clm_json_set_bool(obj, "termsOfServiceAgreed", true);
    }
    if (account->contact != NULL && account->contact->n > 0) {
        struct clm_json *list = clm_json_set_array(obj, "contact");
        for (size_t i = 0; i < account->contact->n; i++) {
            clm_json_add_str(list, account->contact->v[i]);
        }
    }
    if (account->eab_kid == NULL) {
        return CLM_OK;
    }
    if (account->eab_hmac == NULL) {
        return clm_err_set(err, CLM_E_CONFIG, "an external account needs its HMAC key, too");
    }
    const struct clm_acme_eab eab = {
        .kid = account->eab_kid, .hmac_b64url = account->eab_hmac, .url = acme->new_account};
    return clm_acme_eab(acme->key, &eab, clm_json_set_object(obj, "externalAccountBinding"), err);
}

static enum clm_code take(struct clm_acme *acme, const struct clm_acme_reply *reply,
                          struct clm_err *err)
{
    enum clm_issuer_status status = CLM_ISSUER_INVALID;
    enum clm_code code = clm_acme_json_status(reply->json, &status, err);

    if (code == CLM_OK && status != CLM_ISSUER_VALID) {
        code =
            clm_err_set(err, CLM_E_AUTH, "CA '%s': the account is %s; a new account key is needed",
                        acme->host, clm_issuer_status_name(status));
    }
    return code == CLM_OK
               ? clm_acme_url(acme, "the account", reply->http.location, acme->account_url, err)
               : code;
}

enum clm_code clm_acme_account(struct clm_acme *acme, const struct clm_acme_account *account,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *payload = clm_json_new_object();
    CLM_CLEANUP(clm_acme_reply_done) struct clm_acme_reply reply = {.json = NULL};

    if (acme->account_url[0] != '\0') {
        return CLM_OK;
    }
    enum clm_code code = clm_acme_directory(acme, err);
    if (code == CLM_OK) {
        code = check_meta(acme, account, err);
    }
    if (code == CLM_OK) {
        code = build(acme, account, payload, err);
    }
    if (code == CLM_OK) {
        const struct clm_acme_post post = {
            .url = acme->new_account,
            .payload = payload,
            .with_jwk = true,
            .expects = CLM_ACME_JSON,
        };
        code = clm_acme_post(acme, &post, &reply, err);
    }
    return code == CLM_OK ? take(acme, &reply, err) : code;
}
