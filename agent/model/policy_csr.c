/* SPDX-License-Identifier: Apache-2.0 */
/* What a certificate request may say, and what may be used for it. */
#include <string.h>

#include "agent/model/policy.h"

static bool matches_any(const struct clm_strs *globs, const char *text)
{
    for (size_t i = 0; i < globs->n; i++) {
        if (clm_str_glob(globs->v[i], text)) {
            return true;
        }
    }
    return false;
}

static enum clm_code check_globs(const struct clm_strs *globs, const struct clm_strs *list,
                                 const char *option, struct clm_err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!matches_any(globs, list->v[i])) {
            return clm_err_set(err, CLM_E_PERM, "%s: '%.300s' is not allowed; add it to %s", option,
                               list->v[i], option);
        }
    }
    return CLM_OK;
}

enum clm_code clm_policy_check_more_sans(const struct clm_policy *policy,
                                         const struct clm_strs *emails, const struct clm_strs *uris,
                                         struct clm_err *err)
{
    enum clm_code code = check_globs(&policy->emails, emails, "policy.names.emails", err);

    return code == CLM_OK ? check_globs(&policy->uris, uris, "policy.names.uris", err) : code;
}

enum clm_code clm_policy_check_sans(const struct clm_policy *policy, const struct clm_sans *sans,
                                    struct clm_err *err)
{
    enum clm_code code = clm_policy_check_names(policy, &sans->names, err);

    return code == CLM_OK ? clm_policy_check_more_sans(policy, &sans->emails, &sans->uris, err)
                          : code;
}

enum clm_code clm_policy_check_subject(const struct clm_policy *policy,
                                       const struct clm_subject *subject, struct clm_err *err)
{
    for (int i = 0; i < CLM_SUBJECT__COUNT; i++) {
        const char *name = clm_subject_field_name((enum clm_subject_field)i);

        if (subject->field[i].n > 0 && !clm_strs_has(&policy->subject_fields, name)) {
            return clm_err_set(err, CLM_E_PERM,
                               "policy.subject.fields: '%s' is not allowed in a subject; add it to "
                               "policy.subject.fields",
                               name);
        }
    }
    return CLM_OK;
}

enum clm_code clm_policy_check_eku(const struct clm_policy *policy, bool server, bool client,
                                   struct clm_err *err)
{
    const char *refused = server && !clm_strs_has(&policy->eku, "server")   ? "server"
                          : client && !clm_strs_has(&policy->eku, "client") ? "client"
                                                                            : NULL;

    return refused == NULL
               ? CLM_OK
               : clm_err_set(err, CLM_E_PERM,
                             "policy.eku: the purpose '%s' is not allowed; add it to policy.eku",
                             refused);
}

enum clm_code clm_policy_check_key_reuse(const struct clm_policy *policy, struct clm_err *err)
{
    return policy->key_reuse
               ? CLM_OK
               : clm_err_set(err, CLM_E_PERM,
                             "policy.key_reuse: a private key may not be used again; set "
                             "policy.key_reuse to true to allow it");
}

enum clm_code clm_policy_find_secret(const struct clm_policy *policy, const char *name,
                                     const char **out_path, struct clm_err *err)
{
    for (size_t i = 0; i < policy->n_secrets; i++) {
        if (strcmp(policy->secrets[i].name, name) == 0) {
            *out_path = policy->secrets[i].path;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.secrets: there is no '%.64s' on this host; add it with its file",
                       name);
}

enum clm_code clm_policy_find_template(const struct clm_policy *policy, const char *name,
                                       const struct clm_json **out, struct clm_err *err)
{
    *out = clm_json_get(policy->csr_templates, name);
    return *out != NULL ? CLM_OK
                        : clm_err_set(err, CLM_E_PERM,
                                      "policy.csr_templates: there is no template '%.64s' on this "
                                      "host",
                                      name);
}
