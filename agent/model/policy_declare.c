/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks and declared files, once the whole configuration has been read. */
#include <stdlib.h>
#include <string.h>

#include "agent/model/policy.h"

/* Whatever is wrong with an entry is a matter of the configuration. */
static enum clm_code refuse(enum clm_code code, const char *section, const char *name,
                            const struct clm_err *why, struct clm_err *err)
{
    return clm_err_set(err, code == CLM_E_NOMEM ? code : CLM_E_CONFIG, "%s.%s: %s", section, name,
                       why->msg);
}

static enum clm_code add_hooks(struct clm_policy *policy, struct clm_err *err)
{
    const struct clm_json *tree = policy->hooks_tree;

    policy->hooks = calloc(clm_json_len(tree) + 1, sizeof(*policy->hooks));
    if (policy->hooks == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "hooks");
    }
    for (const struct clm_json *at = clm_json_first(tree); at != NULL; at = clm_json_next(at)) {
        struct clm_policy_hook *hook = &policy->hooks[policy->n_hooks++];
        struct clm_err why = {.code = CLM_OK};
        enum clm_code code = clm_str_copy(hook->name, sizeof(hook->name), clm_json_key(at), &why);

        if (code == CLM_OK) {
            code = clm_hook_read(at, &hook->argv, &why);
        }
        if (code != CLM_OK) {
            return refuse(code, "policy.hooks", clm_json_key(at), &why, err);
        }
    }
    return CLM_OK;
}

static enum clm_code check_hook(const struct clm_policy *policy, const char *name,
                                struct clm_err *err)
{
    return name[0] == '\0' || clm_policy_find_hook(policy, name) != NULL
               ? CLM_OK
               : clm_err_set(err, CLM_E_CONFIG, "there is no hook '%s'; declare it in policy.hooks",
                             name);
}

static bool has_path(const struct clm_declared *file, const char *path)
{
    for (size_t i = 0; i < file->n_outputs; i++) {
        if (strcmp(file->outputs[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* Two targets with one file would overwrite each other's certificate. */
static enum clm_code check_paths(const struct clm_policy *policy, const struct clm_declared *file,
                                 struct clm_err *err)
{
    for (size_t i = 0; i < file->n_outputs; i++) {
        const char *path = file->outputs[i].path;

        for (const struct clm_declared *other = policy->files; other != file; other++) {
            if (has_path(other, path)) {
                return clm_err_set(err, CLM_E_CONFIG, "'%s' belongs to files.%s already", path,
                                   other->name);
            }
        }
    }
    return CLM_OK;
}

static enum clm_code add_file(struct clm_policy *policy, const struct clm_json *obj,
                              struct clm_err *err)
{
    struct clm_declared *file = &policy->files[policy->n_files++];
    enum clm_code code = clm_str_copy(file->name, sizeof(file->name), clm_json_key(obj), err);

    if (code == CLM_OK) {
        code = clm_declared_read(obj, file, err);
    }
    if (code == CLM_OK) {
        code = check_hook(policy, file->check, err);
    }
    if (code == CLM_OK) {
        code = check_hook(policy, file->hook, err);
    }
    if (code == CLM_OK && strcmp(file->reload, "restart") == 0) {
        code = clm_policy_check_restart(policy, file->unit, err);
    }
    return code == CLM_OK ? check_paths(policy, file, err) : code;
}

enum clm_code clm_policy_declare(struct clm_policy *policy, struct clm_err *err)
{
    const struct clm_json *tree = policy->files_tree;
    enum clm_code code = add_hooks(policy, err);

    if (code != CLM_OK) {
        return code;
    }
    policy->files = calloc(clm_json_len(tree) + 1, sizeof(*policy->files));
    if (policy->files == NULL) {
        (void)clm_err_set(err, CLM_E_NOMEM, "files");
        return CLM_E_NOMEM;
    }
    for (const struct clm_json *at = clm_json_first(tree); code == CLM_OK && at != NULL;
         at = clm_json_next(at)) {
        struct clm_err why = {.code = CLM_OK};

        code = add_file(policy, at, &why);
        if (code != CLM_OK) {
            code = refuse(code, "files", clm_json_key(at), &why, err);
        }
    }
    return code;
}
