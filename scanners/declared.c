/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/declared.h"

#include <stdio.h>
#include <string.h>

#include "agent/formats/server_args.h"
#include "agent/model/policy.h"
#include "scanners/endpoints.h"
#include "scanners/target_files.h"
#include "scanners/users.h"

/* Where the target shows its certificate, key and chain: the first output that holds each. */
static void place(const struct clm_step *step, struct clm_target *target)
{
    bool is_store = clm_format_is_keystore(step->format);

    if ((is_store || clm_content_has_leaf(step->content)) && target->cert_path[0] == '\0') {
        memcpy(target->cert_path, step->path, sizeof(target->cert_path));
        memcpy(target->alias, step->alias, sizeof(target->alias));
        memcpy(target->store_password, step->store_password, sizeof(target->store_password));
        (void)snprintf(target->store_type, sizeof(target->store_type), "%s",
                       clm_file_format_name(step->format));
    }
    if ((is_store || clm_content_has_key(step->content)) && target->key_path[0] == '\0') {
        memcpy(target->key_path, step->path, sizeof(target->key_path));
        memcpy(target->key_password, step->key_password, sizeof(target->key_password));
    }
    if (step->content == CLM_CONTENT_CHAIN && target->chain_path[0] == '\0') {
        memcpy(target->chain_path, step->path, sizeof(target->chain_path));
    }
}

static enum clm_code place_outputs(const struct clm_io *io, const struct clm_declared *declared,
                                   struct clm_target *target, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < declared->n_outputs; i++) {
        struct clm_step step = {.kind = CLM_STEP_FILE_PUT};
        struct clm_err why = {0};

        code = clm_declared_step(&declared->outputs[i], &step, &why);
        if (code == CLM_OK) {
            place(&step, target);
            code = clm_declared_owner(io, &declared->outputs[i], &step, &why);
        }
        if (code != CLM_OK) {
            code = clm_target_refuse(target, err, "%s", why.msg);
        }
    }
    return code;
}

static enum clm_code check_hook(const struct clm_io *io, const char *name,
                                struct clm_target *target, struct clm_err *err)
{
    const struct clm_policy_hook *hook = clm_policy_find_hook(io->policy, name);
    struct clm_err why = {0};

    if (name[0] == '\0') {
        return CLM_OK;
    }
    if (hook == NULL) {
        return clm_target_refuse(target, err, "there is no hook '%s' in policy.hooks", name);
    }
    return clm_program_check(io, hook->argv.v[0], &why) == CLM_OK
               ? CLM_OK
               : clm_target_refuse(target, err, "hook '%s': %s", name, why.msg);
}

static enum clm_code read_perm(const struct clm_io *io, struct clm_target *target,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_users_done) struct clm_users users = {.passwd = CLM_BUF_INIT(0)};
    struct clm_stat st = {0};
    enum clm_code code;

    if (target->key_path[0] == '\0' ||
        io->stat(io->ctx, target->key_path, true, &st, NULL) != CLM_OK) {
        return CLM_OK; /* not there yet */
    }
    code = clm_users_read(io, &users, err);
    return code == CLM_OK ? clm_target_note_perm(target, &users, &st, "key", target->key_path, err)
                          : code;
}

static enum clm_code fill_target(const struct clm_io *io, const struct clm_declared *declared,
                                 struct clm_target *target, struct clm_err *err)
{
    enum clm_code code = clm_str_fmt(target->id, sizeof(target->id), err, "%s:%s",
                                     CLM_DECLARED_KIND, declared->name);

    target->manageable = true;
    if (code == CLM_OK) {
        code = clm_str_fmt(target->configured_at, sizeof(target->configured_at), err,
                           "files.%s of the agent's configuration", declared->name);
    }
    if (code == CLM_OK) {
        code = place_outputs(io, declared, target, err);
    }
    if (code == CLM_OK && declared->verify.address[0] != '\0') {
        code = clm_target_want_endpoint(target, declared->verify.address,
                                        (uint16_t)declared->verify.port, declared->verify.sni, err);
    }
    if (code == CLM_OK && declared->verify.sni[0] != '\0') {
        code = clm_target_add_name(target, declared->verify.sni, err);
    }
    if (code == CLM_OK) {
        code = check_hook(io, declared->check, target, err);
    }
    if (code == CLM_OK) {
        code = check_hook(io, declared->hook, target, err);
    }
    if (code == CLM_OK) {
        code = clm_declared_look(io, declared, target, err);
    }
    return code == CLM_OK ? read_perm(io, target, err) : code;
}

enum clm_code clm_declared_add(const struct clm_io *io, struct clm_inventory *inventory,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && io->policy != NULL && i < io->policy->n_files; i++) {
        const struct clm_declared *declared = &io->policy->files[i];
        struct clm_service *service = clm_inventory_add_service(inventory);
        struct clm_target *target = service != NULL ? clm_service_add_target(service) : NULL;

        if (target == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "declared files");
        }
        service->running = true; /* nobody can tell, and nothing depends on it */
        (void)snprintf(service->kind, sizeof(service->kind), "%s", CLM_DECLARED_KIND);
        (void)snprintf(service->unit, sizeof(service->unit), "%s", declared->unit);
        code = clm_str_fmt(service->id, sizeof(service->id), err, "%s@%s", CLM_DECLARED_KIND,
                           declared->name);
        if (code == CLM_OK) {
            code = fill_target(io, declared, target, err);
        }
    }
    return code;
}
