/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/policy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void clm_policy_done(struct clm_policy *policy)
{
    if (policy != NULL) {
        clm_strs_done(&policy->job_types);
        clm_strs_done(&policy->targets_allow);
        clm_strs_done(&policy->targets_deny);
        clm_strs_done(&policy->names_allow);
        clm_strs_done(&policy->names_deny);
        clm_strs_done(&policy->key_types);
        clm_strs_done(&policy->emails);
        clm_strs_done(&policy->uris);
        clm_strs_done(&policy->subject_fields);
        clm_strs_done(&policy->eku);
        clm_json_free(policy->csr_templates);
        free(policy->secrets);
        clm_strs_done(&policy->write_roots);
        clm_strs_done(&policy->take_over);
        free(policy->webroots);
        clm_strs_done(&policy->restart);
        for (size_t i = 0; i < policy->n_hooks; i++) {
            clm_strs_done(&policy->hooks[i].argv);
        }
        free(policy->hooks);
        for (size_t i = 0; i < policy->n_files; i++) {
            clm_declared_done(&policy->files[i]);
        }
        free(policy->files);
        clm_json_free(policy->hooks_tree);
        clm_json_free(policy->files_tree);
        memset(policy, 0, sizeof(*policy));
    }
}

enum clm_code clm_policy_check_job_type(const struct clm_policy *policy, const char *type,
                                        struct clm_err *err)
{
    if (clm_strs_has(&policy->job_types, type)) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.job_types: jobs of type '%.40s' are not allowed; add it to "
                       "policy.job_types",
                       type);
}

/* The first glob that matches, NULL if none does. */
static const char *first_glob(const struct clm_strs *globs, const char *text)
{
    for (size_t i = 0; i < globs->n; i++) {
        if (clm_str_glob(globs->v[i], text)) {
            return globs->v[i];
        }
    }
    return NULL;
}

enum clm_code clm_policy_check_target(const struct clm_policy *policy, const char *target,
                                      struct clm_err *err)
{
    const char *denied = first_glob(&policy->targets_deny, target);

    if (denied != NULL) {
        return clm_err_set(err, CLM_E_PERM,
                           "policy.targets: '%s' is refused by '%s' in policy.targets.deny", target,
                           denied);
    }
    if (first_glob(&policy->targets_allow, target) == NULL) {
        return clm_err_set(err, CLM_E_PERM,
                           "policy.targets: '%s' is not allowed; add it to policy.targets.allow",
                           target);
    }
    return CLM_OK;
}

/* True if name is below parent: one or more labels, then ".parent". "*" counts as a label. */
static bool is_below(const char *name, const char *parent)
{
    size_t len = strlen(name);
    size_t parent_len = strlen(parent);

    return len > parent_len + 1 && name[len - parent_len - 1] == '.' &&
           strcasecmp(name + len - parent_len, parent) == 0;
}

/* True if the entry of a list speaks of name: equal, or "*.parent" and the DNS name below parent. */
static bool entry_matches(const char *entry, const char *name, bool is_dns)
{
    if (is_dns && strncmp(entry, "*.", 2) == 0) {
        return is_below(name, entry + 2);
    }
    return strcasecmp(entry, name) == 0;
}

/* True if a certificate for the wildcard "*.b.c" would also be good for the denied entry: the name
 * "a.b.c" itself. */
static bool wildcard_covers(const char *wildcard, const char *entry)
{
    const char *parent = strchr(entry, '.');

    return strncmp(wildcard, "*.", 2) == 0 && entry[0] != '*' && parent != NULL &&
           strcasecmp(wildcard + 1, parent) == 0;
}

static enum clm_code check_name(const struct clm_policy *policy, const char *name, bool is_dns,
                                struct clm_err *err)
{
    for (size_t i = 0; i < policy->names_deny.n; i++) {
        const char *entry = policy->names_deny.v[i];

        if (entry_matches(entry, name, is_dns) || wildcard_covers(name, entry)) {
            return clm_err_set(err, CLM_E_PERM,
                               "policy.names: '%s' is refused by '%s' in policy.names.deny", name,
                               entry);
        }
    }
    if (name[0] == '*' && !policy->wildcard_certs) {
        return clm_err_set(err, CLM_E_PERM,
                           "policy.names: '%s' is a wildcard; set policy.names.wildcard_certs to "
                           "true to allow it",
                           name);
    }
    for (size_t i = 0; i < policy->names_allow.n; i++) {
        if (entry_matches(policy->names_allow.v[i], name, is_dns)) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.names: '%s' is not allowed; add it to policy.names.allow", name);
}

enum clm_code clm_policy_check_names(const struct clm_policy *policy, const struct clm_names *names,
                                     struct clm_err *err)
{
    if (names->dns.n + names->ip.n == 0) {
        return clm_err_set(err, CLM_E_PERM, "policy.names: no name is given, so none is allowed");
    }
    for (size_t i = 0; i < names->dns.n; i++) {
        enum clm_code code = check_name(policy, names->dns.v[i], true, err);

        if (code != CLM_OK) {
            return code;
        }
    }
    for (size_t i = 0; i < names->ip.n; i++) {
        enum clm_code code = check_name(policy, names->ip.v[i], false, err);

        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

enum clm_code clm_policy_check_key_type(const struct clm_policy *policy, const char *key_type,
                                        struct clm_err *err)
{
    if (clm_strs_has(&policy->key_types, key_type)) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.key_types: '%.40s' is not allowed; add it to policy.key_types",
                       key_type);
}

/* Absolute, and no empty, "." or ".." component. */
static bool is_resolved(const char *path)
{
    if (path[0] != '/') {
        return false;
    }
    for (const char *part = path; *part == '/';) {
        size_t len = strcspn(part + 1, "/");

        if (len == 0 || (len == 1 && part[1] == '.') ||
            (len == 2 && part[1] == '.' && part[2] == '.')) {
            return false;
        }
        part += 1 + len;
    }
    return true;
}

/* True if path is strictly inside the directory root, component by component. */
static bool is_inside(const char *path, const char *root)
{
    size_t len = strlen(root);

    while (len > 0 && root[len - 1] == '/') {
        len--;
    }
    return root[0] == '/' && strncmp(path, root, len) == 0 && path[len] == '/' &&
           path[len + 1] != '\0';
}

enum clm_code clm_policy_check_write(const struct clm_policy *policy, const char *path,
                                     struct clm_err *err)
{
    if (!is_resolved(path)) {
        return clm_err_set(err, CLM_E_PERM,
                           "policy.write_roots: '%.300s' is not a resolved absolute path", path);
    }
    for (size_t i = 0; i < policy->write_roots.n; i++) {
        if (is_inside(path, policy->write_roots.v[i])) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.write_roots: '%.300s' is not inside one of them; add its directory "
                       "to policy.write_roots",
                       path);
}

const struct clm_policy_webroot *clm_policy_find_webroot(const struct clm_policy *policy,
                                                         const char *name)
{
    for (size_t i = 0; i < policy->n_webroots; i++) {
        if (strcmp(policy->webroots[i].name, name) == 0) {
            return &policy->webroots[i];
        }
    }
    return NULL;
}

enum clm_code clm_policy_check_retain(const struct clm_policy *policy, uint32_t versions,
                                      struct clm_err *err)
{
    if (versions <= policy->retain_max) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.retain_max: a job may ask to keep at most %u versions, not %u",
                       (unsigned)policy->retain_max, (unsigned)versions);
}

enum clm_code clm_policy_check_leave(const struct clm_policy *policy, struct clm_err *err)
{
    return policy->allow_leave ? CLM_OK
                               : clm_err_set(err, CLM_E_PERM,
                                             "policy.allow_leave: this host always puts back what "
                                             "was there before a failed deployment");
}

enum clm_code clm_policy_check_restart(const struct clm_policy *policy, const char *unit,
                                       struct clm_err *err)
{
    if (policy != NULL && first_glob(&policy->restart, unit) != NULL) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.restart: '%s' may not be restarted; add it to policy.restart", unit);
}

const struct clm_policy_hook *clm_policy_find_hook(const struct clm_policy *policy,
                                                   const char *name)
{
    for (size_t i = 0; policy != NULL && i < policy->n_hooks; i++) {
        if (strcmp(policy->hooks[i].name, name) == 0) {
            return &policy->hooks[i];
        }
    }
    return NULL;
}

const struct clm_declared *clm_policy_find_file(const struct clm_policy *policy, const char *name)
{
    for (size_t i = 0; policy != NULL && i < policy->n_files; i++) {
        if (strcmp(policy->files[i].name, name) == 0) {
            return &policy->files[i];
        }
    }
    return NULL;
}

static bool is_same_argv(const struct clm_strs *a, const struct clm_strs *b)
{
    for (size_t i = 0; a->n == b->n && i < a->n; i++) {
        if (strcmp(a->v[i], b->v[i]) != 0) {
            return false;
        }
    }
    return a->n == b->n;
}

enum clm_code clm_policy_check_hook(const struct clm_policy *policy, const struct clm_strs *argv,
                                    struct clm_err *err)
{
    for (size_t i = 0; policy != NULL && i < policy->n_hooks; i++) {
        if (is_same_argv(&policy->hooks[i].argv, argv)) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PERM,
                       "policy.hooks: '%.200s' is not the command of a hook; declare it there",
                       argv->n > 0 ? argv->v[0] : "");
}
