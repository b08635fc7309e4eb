/* SPDX-License-Identifier: Apache-2.0 */
/* Every request is asked about here, whoever made it. */
#include "agent/host/request_int.h"

enum clm_code clm_request_ask_policy(struct clm_host_call *call, const struct clm_subject *subject,
                                     const struct clm_sans *sans, bool eku_client,
                                     struct clm_err *err)
{
    const struct clm_policy *policy = &call->host->config->policy;
    enum clm_code code = clm_policy_check_sans(policy, sans, err);

    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_NAME_POLICY", code);
    }
    code = clm_policy_check_subject(policy, subject, err);
    if (code == CLM_OK) {
        code = clm_policy_check_eku(policy, true, eku_client, err);
    }
    return code == CLM_OK ? code : clm_host_problem_code(call, "E_POLICY", code);
}

/* A request that was made elsewhere: nothing in it may be left unread. */
enum clm_code clm_request_ask_policy_of_info(struct clm_host_call *call,
                                             const struct clm_csr_info *info, struct clm_err *err)
{
    const struct clm_sans sans = {info->names, info->emails, info->uris}; /* borrowed */
    enum clm_code code = clm_request_ask_policy(call, &info->dn, &sans, info->eku_client, err);

    if (code == CLM_OK && (info->has_other_names || info->has_other_eku || info->wants_ca)) {
        code = clm_refuse(call, err, CLM_E_PERM, "E_POLICY",
                          "the request asks for %s, which is never allowed",
                          info->wants_ca        ? "the certificate of a CA"
                          : info->has_other_eku ? "a purpose besides server and client"
                                                : "a name that is no DNS name, IP address, mail "
                                                  "address or URI");
    }
    if (code == CLM_OK && info->common_name[0] != '\0' &&
        !clm_request_is_name(&sans, info->common_name)) {
        code = clm_refuse(call, err, CLM_E_PERM, "E_NAME_POLICY",
                          "the common name '%s' of the request is none of its names",
                          info->common_name);
    }
    if (code == CLM_OK) {
        code = clm_policy_check_key_type(&call->host->config->policy,
                                         clm_key_type_name(info->key_type), err);
        code = code == CLM_OK ? code : clm_host_problem_code(call, "E_POLICY", code);
    }
    return code;
}

static enum clm_code check_secret(struct clm_host_call *call, const char *name, struct clm_err *err)
{
    const char *path = NULL;

    return name == NULL ? CLM_OK
                        : clm_policy_find_secret(&call->host->config->policy, name, &path, err);
}

static enum clm_code csr_allowed(struct clm_host_call *call, const struct clm_spec_order *order,
                                 struct clm_err *err)
{
    const struct clm_policy *policy = &call->host->config->policy;
    const struct clm_csr_spec *csr = &order->csr;
    const struct clm_json *template = NULL;
    enum clm_code code = clm_policy_check_subject(policy, &csr->subject, err);

    if (code == CLM_OK && csr->key_type != NULL) {
        code = clm_policy_check_key_type(policy, csr->key_type, err);
    }
    if (code == CLM_OK) {
        code = clm_policy_check_eku(policy, csr->has_eku, csr->eku_client, err);
    }
    if (code == CLM_OK && csr->template_name != NULL) {
        code = clm_policy_find_template(policy, csr->template_name, &template, err);
    }
    if (code == CLM_OK && (csr->reuse_key || csr->mode == CLM_CSR_MODE_REUSE)) {
        code = clm_policy_check_key_reuse(policy, err);
    }
    return code == CLM_OK ? check_secret(call, csr->challenge_ref, err) : code;
}

enum clm_code clm_host_request_allowed(struct clm_host_call *call,
                                       const struct clm_spec_order *order, struct clm_err *err)
{
    const struct clm_policy *policy = &call->host->config->policy;
    enum clm_code code = clm_policy_check_names(policy, &order->names, err);

    if (code == CLM_OK) {
        code = clm_policy_check_more_sans(policy, &order->emails, &order->uris, err);
    }
    if (code == CLM_OK && order->has_csr) {
        code =
            clm_policy_check_more_sans(policy, &order->csr.sans.emails, &order->csr.sans.uris, err);
    }
    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_NAME_POLICY", code);
    }
    if (order->key_type != NULL) {
        code = clm_policy_check_key_type(policy, order->key_type, err);
    }
    if (code == CLM_OK && order->reuse) {
        code = clm_policy_check_key_reuse(policy, err);
    }
    if (code == CLM_OK) {
        code = clm_policy_check_subject(policy, &order->subject, err);
    }
    if (code == CLM_OK) {
        code = clm_policy_check_eku(policy, true, order->eku_client, err);
    }
    if (code == CLM_OK && order->has_csr) {
        code = csr_allowed(call, order, err);
    }
    return code == CLM_OK ? code : clm_host_problem_code(call, "E_POLICY", code);
}
