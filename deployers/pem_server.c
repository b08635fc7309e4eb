/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/pem_server.h"

#include <stdio.h>
#include <string.h>

#include "agent/formats/server_args.h"
#include "deployers/pem_layout.h"

/* A program of another root directory cannot be run to test the configuration. nginx keeps the old
 * one if it cannot read the new; others end. */
static bool can_go_untested(const struct clm_service *service)
{
    return strcmp(service->kind, "nginx") == 0;
}

static enum clm_code check_service(const struct clm_service *service, struct clm_err *err)
{
    if (service->foreign_namespace && !can_go_untested(service)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "'%s' runs in a container or with its own mounts: run the agent inside, "
                           "or share the files with the host",
                           service->exe);
    }
    if (!service->running || service->pid <= 0) {
        return clm_err_set(err, CLM_E_CONFLICT, "%s does not run: start it first (unit '%s')",
                           service->kind, service->unit);
    }
    return CLM_OK;
}

/* Every server name that the old certificate covers must be covered by the new one. */
static enum clm_code check_names(const struct clm_target *target, const struct clm_bundle *bundle,
                                 struct clm_err *err)
{
    const struct clm_names *before = &target->certificate.names;
    const struct clm_names *after = &bundle->leaf.names;
    const char *missing = NULL;

    for (size_t i = 0; i < target->names.dns.n && missing == NULL; i++) {
        const char *name = target->names.dns.v[i];
        bool star = name[0] == '*';

        if (star ? clm_strs_has(&before->dns, name) && !clm_strs_has(&after->dns, name)
                 : clm_names_covers_dns(before, name) && !clm_names_covers_dns(after, name)) {
            missing = name;
        }
    }
    for (size_t i = 0; i < target->names.ip.n && missing == NULL; i++) {
        const char *name = target->names.ip.v[i];

        if (clm_strs_has(&before->ip, name) && !clm_strs_has(&after->ip, name)) {
            missing = name;
        }
    }
    if (missing == NULL) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_CONFLICT,
                       "target '%s': the new certificate lacks '%s', which the server answers for "
                       "and the certificate in use covers: order it with that name",
                       target->id, missing);
}

/* Beside a certificate of the other kind there is room for this kind alone. */
static enum clm_code check_kind(const struct clm_target *target, const struct clm_bundle *bundle,
                                struct clm_err *err)
{
    const char *type = bundle->leaf.key_type;
    const char *kind = target->key_kind;

    if (kind[0] == '\0' || (clm_str_starts(type, kind) && type[strlen(kind)] == '-')) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_CONFLICT,
                       "target '%s' is the place of a certificate with an %s key, and the new one "
                       "has a key of type '%s': order it with key type '%s'",
                       target->id, strcmp(kind, "ec") == 0 ? "ECDSA" : "RSA", type,
                       strcmp(kind, "ec") == 0 ? "ec-p256" : "rsa-2048");
}

enum clm_code clm_target_check(const struct clm_service *service, const struct clm_target *target,
                               const struct clm_bundle *bundle, struct clm_err *err)
{
    enum clm_code code;

    if (!target->manageable) {
        return clm_err_set(err, CLM_E_CONFIG, "target '%s' cannot be managed: %s", target->id,
                           target->reasons.n > 0 ? target->reasons.v[target->reasons.n - 1]
                                                 : "no reason was recorded");
    }
    code = check_service(service, err);
    if (code != CLM_OK) {
        return code;
    }
    if (target->n_endpoints == 0) {
        return clm_err_set(err, CLM_E_CONFIG, "target '%s' has no address to prove the change at",
                           target->id);
    }
    if (bundle == NULL) {
        return CLM_OK;
    }
    code = check_kind(target, bundle, err);
    if (code != CLM_OK) {
        return code;
    }
    if (target->chain_path[0] != '\0' && strcmp(target->chain_path, target->cert_path) != 0 &&
        bundle->chain_pem.len == 0) {
        return clm_err_set(err, CLM_E_CONFLICT,
                           "target '%s': the new certificate has no intermediates, and an empty "
                           "'%s' would stop the server: remove the directive that names it",
                           target->id, target->chain_path);
    }
    return check_names(target, bundle, err);
}

enum clm_code clm_pem_check(const struct clm_io *io, const struct clm_service *service,
                            const struct clm_target *target, const struct clm_bundle *bundle,
                            struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = clm_target_check(service, target, bundle, err);

    if (code != CLM_OK || service->foreign_namespace) {
        return code;
    }
    code = clm_program_check(io, service->exe, &why);
    return code == CLM_OK ? CLM_OK : clm_err_set(err, CLM_E_CONFIG, "%s", why.msg);
}

static enum clm_code add_test(struct clm_plan *plan, enum clm_step_kind kind,
                              const struct clm_strs *argv, struct clm_err *err)
{
    struct clm_step *step;

    if (argv->n == 0) {
        return CLM_OK;
    }
    step = clm_plan_add(plan, kind, err);
    return step == NULL ? CLM_E_NOMEM : clm_strs_copy(&step->argv, argv, err);
}

static enum clm_code add_put(struct clm_plan *plan, const char *path, enum clm_content content,
                             struct clm_err *err)
{
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_FILE_PUT, err);

    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    step->content = content;
    return clm_str_copy(step->path, sizeof(step->path), path, err);
}

/* Key and certificates in one file, in the order in which they are. */
static enum clm_content combined(const struct clm_pem_layout *now)
{
    return now->is_key_first ? CLM_CONTENT_KEY_FIRST : CLM_CONTENT_KEY_FULLCHAIN;
}

static enum clm_code add_key(const struct clm_io *io, struct clm_plan *plan,
                             const struct clm_target *target, struct clm_err *err)
{
    const struct clm_pem_layout now = clm_pem_layout_read(io, target->key_path);
    enum clm_code code =
        add_put(plan, target->key_path,
                now.has_key && now.has_cert ? combined(&now) : CLM_CONTENT_KEY, err);

    if (code == CLM_OK) {
        struct clm_step *step = &plan->steps[plan->n_steps - 1];

        memcpy(step->key_password, target->key_password, sizeof(step->key_password));
    }
    return code;
}

static enum clm_code add_cert(const struct clm_io *io, struct clm_plan *plan,
                              const struct clm_target *target, bool is_one_file, bool has_chain,
                              struct clm_err *err)
{
    const struct clm_pem_layout now = clm_pem_layout_read(io, target->cert_path);
    bool has_key = is_one_file || now.has_key;
    enum clm_content content = CLM_CONTENT_FULLCHAIN;
    enum clm_code code;

    if (has_chain) {
        content = has_key ? CLM_CONTENT_LEAF_KEY : CLM_CONTENT_LEAF;
    } else if (has_key) {
        content = combined(&now);
    }
    code = add_put(plan, target->cert_path, content, err);
    if (code == CLM_OK && has_key) {
        struct clm_step *step = &plan->steps[plan->n_steps - 1];

        memcpy(step->key_password, target->key_password, sizeof(step->key_password));
    }
    return code;
}

/* The key before the certificate, so that the pair is whole when the last file is swapped. Apache
 * may name the certificate's own file as that of the intermediates. */
enum clm_code clm_pem_puts(const struct clm_io *io, struct clm_plan *plan,
                           const struct clm_target *target, struct clm_err *err)
{
    bool one_file = target->key_path[0] == '\0' || strcmp(target->key_path, target->cert_path) == 0;
    bool has_chain =
        target->chain_path[0] != '\0' && strcmp(target->chain_path, target->cert_path) != 0;
    enum clm_code code = CLM_OK;

    if (!one_file) {
        code = add_key(io, plan, target, err);
    }
    if (code == CLM_OK && has_chain) {
        code = add_put(plan, target->chain_path, CLM_CONTENT_CHAIN, err);
    }
    return code == CLM_OK ? add_cert(io, plan, target, one_file, has_chain, err) : code;
}

/* Through systemd only if the unit is active and this very process is its main process: a server
 * started by hand runs inside the unit of somebody's session. */
static enum clm_code add_reload(const struct clm_io *io, const struct clm_pem_server *server,
                                const struct clm_service *service, struct clm_plan *plan,
                                struct clm_err *err)
{
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_RELOAD, err);
    struct clm_unit unit = {.name = ""};

    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    step->pid = service->pid;
    step->start_ticks = service->start_ticks;
    step->signo = server->signo;
    step->how = CLM_RELOAD_SIGNAL;
    if (service->unit[0] != '\0' && io->unit_state(io->ctx, service->unit, &unit, NULL) == CLM_OK &&
        unit.state == CLM_UNIT_ACTIVE && unit.main_pid == service->pid) {
        step->how = CLM_RELOAD_UNIT;
        return clm_str_copy(step->unit, sizeof(step->unit), service->unit, err);
    }
    return CLM_OK;
}

static enum clm_code add_verify(struct clm_plan *plan, const struct clm_target *target,
                                struct clm_err *err)
{
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_VERIFY, err);

    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    step->deadline_ms = CLM_PEM_DEADLINE_MS;
    return clm_step_set_endpoints(step, target->endpoints, target->n_endpoints, err);
}

enum clm_code clm_pem_plan(const struct clm_io *io, const struct clm_pem_server *server,
                           const struct clm_service *service, const struct clm_target *target,
                           struct clm_plan *out, struct clm_err *err)
{
    enum clm_code code = clm_str_copy(out->target, sizeof(out->target), target->id, err);

    if (code == CLM_OK) {
        code = clm_str_copy(out->deployer, sizeof(out->deployer), server->name, err);
    }
    if (code == CLM_OK) {
        code = add_test(out, CLM_STEP_CHECK, &server->test, err);
    }
    if (code == CLM_OK) {
        code = clm_pem_puts(io, out, target, err);
    }
    if (code == CLM_OK) {
        code = add_test(out, CLM_STEP_POST_CHECK, &server->test, err);
    }
    if (code == CLM_OK) {
        code = add_reload(io, server, service, out, err);
    }
    return code == CLM_OK ? add_verify(out, target, err) : code;
}
