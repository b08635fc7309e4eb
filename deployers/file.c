/* SPDX-License-Identifier: Apache-2.0 */
/* Files of programs that clmbot does not know: the plan is what root declared, and nothing else. */
#include <string.h>

#include "agent/formats/server_args.h"
#include "agent/model/declared.h"
#include "agent/model/policy.h"
#include "deployers/deployers.h"

#define DEADLINE_MS 30000u /* for proof of service, unless more was declared; design.md 6 */

static enum clm_code add_put(const struct clm_io *io, const struct clm_declared_output *output,
                             struct clm_plan *plan, struct clm_err *err)
{
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_FILE_PUT, err);
    enum clm_code code = CLM_E_NOMEM;

    if (step != NULL) {
        code = clm_declared_step(output, step, err);
    }
    return code == CLM_OK ? clm_declared_owner(io, output, step, err) : code;
}

/* Files with nothing but a key first, so that the pair is whole when the certificate is there. */
static enum clm_code add_puts(const struct clm_io *io, const struct clm_declared *declared,
                              struct clm_plan *plan, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; code == CLM_OK && i < declared->n_outputs; i++) {
            bool is_key = strcmp(declared->outputs[i].content, "key") == 0;

            if (is_key == (round == 0)) {
                code = add_put(io, &declared->outputs[i], plan, err);
            }
        }
    }
    return code;
}

static enum clm_code set_hook(const struct clm_io *io, const char *name, struct clm_step *step,
                              struct clm_err *err)
{
    const struct clm_policy_hook *hook = clm_policy_find_hook(io->policy, name);
    struct clm_err why = {.code = CLM_OK};

    if (hook == NULL) {
        return clm_err_set(err, CLM_E_CONFIG, "there is no hook '%s'; declare it in policy.hooks",
                           name);
    }
    if (clm_program_check(io, hook->argv.v[0], &why) != CLM_OK) {
        return clm_err_set(err, CLM_E_CONFIG, "hook '%s': %s", name, why.msg);
    }
    return clm_strs_copy(&step->argv, &hook->argv, err);
}

static enum clm_code set_unit(const struct clm_io *io, const struct clm_declared *declared,
                              struct clm_step *step, struct clm_err *err)
{
    (void)io;
    return clm_str_copy(step->unit, sizeof(step->unit), declared->unit, err);
}

static enum clm_code set_restart(const struct clm_io *io, const struct clm_declared *declared,
                                 struct clm_step *step, struct clm_err *err)
{
    enum clm_code code = clm_policy_check_restart(io->policy, declared->unit, err);

    return code == CLM_OK ? set_unit(io, declared, step, err) : code;
}

static enum clm_code set_reload_hook(const struct clm_io *io, const struct clm_declared *declared,
                                     struct clm_step *step, struct clm_err *err)
{
    return set_hook(io, declared->hook, step, err);
}

static enum clm_code set_none(const struct clm_io *io, const struct clm_declared *declared,
                              struct clm_step *step, struct clm_err *err)
{
    (void)io;
    (void)declared;
    (void)step;
    (void)err;
    return CLM_OK;
}

static const struct {
    enum clm_reload_how how;
    enum clm_code (*set)(const struct clm_io *io, const struct clm_declared *declared,
                         struct clm_step *step, struct clm_err *err);
} ways[] = {
    {CLM_RELOAD_UNIT, set_unit},
    {CLM_RELOAD_RESTART, set_restart},
    {CLM_RELOAD_HOOK, set_reload_hook},
    {CLM_RELOAD_NONE, set_none},
};

static enum clm_code add_reload(const struct clm_io *io, const struct clm_declared *declared,
                                struct clm_plan *plan, struct clm_err *err)
{
    struct clm_step *step = clm_plan_add(plan, CLM_STEP_RELOAD, err);

    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(ways); i++) {
        if (strcmp(declared->reload, clm_reload_name(ways[i].how)) == 0) {
            step->how = ways[i].how;
            return ways[i].set(io, declared, step, err);
        }
    }
    return clm_err_set(err, CLM_E_CONFIG, "files.%s: unknown reload '%s'", declared->name,
                       declared->reload);
}

static enum clm_code add_verify(const struct clm_declared *declared,
                                const struct clm_target *target, struct clm_plan *plan,
                                struct clm_err *err)
{
    struct clm_step *step;
    uint32_t declared_ms = declared->verify.deadline_s * 1000u;

    if (target->n_endpoints == 0) {
        return CLM_OK; /* nothing can be proved, and the result says so */
    }
    step = clm_plan_add(plan, CLM_STEP_VERIFY, err);
    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    step->deadline_ms = declared_ms > DEADLINE_MS ? declared_ms : DEADLINE_MS;
    return clm_step_set_endpoints(step, target->endpoints, target->n_endpoints, err);
}

static enum clm_code check(const struct clm_target *target, const struct clm_declared *declared,
                           const struct clm_bundle *bundle, struct clm_err *err)
{
    const char *sni = declared->verify.sni;

    if (!target->manageable) {
        return clm_err_set(err, CLM_E_CONFIG, "target '%s' cannot be managed: %s", target->id,
                           target->reasons.n > 0 ? target->reasons.v[target->reasons.n - 1]
                                                 : "no reason was recorded");
    }
    if (bundle != NULL && sni[0] != '\0' && !clm_names_covers_dns(&bundle->leaf.names, sni)) {
        return clm_err_set(err, CLM_E_CONFLICT,
                           "target '%s': the new certificate lacks '%s', which it is to be proved "
                           "with: order it with that name",
                           target->id, sni);
    }
    return CLM_OK;
}

static enum clm_code plan(const struct clm_io *io, const struct clm_service *service,
                          const struct clm_target *target, const struct clm_bundle *bundle,
                          struct clm_plan *out, struct clm_err *err)
{
    const char *name = strchr(target->id, ':');
    const struct clm_declared *declared =
        clm_policy_find_file(io->policy, name != NULL ? name + 1 : "");
    struct clm_step *step;
    enum clm_code code;

    (void)service;
    if (declared == NULL) {
        return clm_err_set(err, CLM_E_CONFIG, "'%s' is not declared in the section files",
                           target->id);
    }
    code = check(target, declared, bundle, err);
    if (code == CLM_OK) {
        code = clm_str_copy(out->target, sizeof(out->target), target->id, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->deployer, sizeof(out->deployer), CLM_DECLARED_KIND, err);
    }
    if (code == CLM_OK) {
        code = add_puts(io, declared, out, err);
    }
    if (code == CLM_OK && declared->check[0] != '\0') {
        step = clm_plan_add(out, CLM_STEP_POST_CHECK, err);
        code = step == NULL ? CLM_E_NOMEM : set_hook(io, declared->check, step, err);
    }
    if (code == CLM_OK) {
        code = add_reload(io, declared, out, err);
    }
    return code == CLM_OK ? add_verify(declared, target, out, err) : code;
}

const struct clm_deployer_ops clm_deployer_file = {
    .name = CLM_DECLARED_KIND,
    .summary = "files and keystores of any program, as root declared them, told by unit or hook",
    .plan = plan,
};
