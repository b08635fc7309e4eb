/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle into a target: fresh scan, plan, transaction, generation, history, result. */
#include <signal.h>
#include <string.h>

#include "agent/host/internal.h"
#include "deployers/deployer.h"

#define USUAL_DEADLINE_MS 30000u /* of plans for servers that reload in seconds; design.md 6 */

/* How the outcome of a transaction is told to the control plane (protocol.md 7.13). */
static const char *const outcome_names[CLM_TXN__COUNT] = {
    [CLM_TXN_FAILED] = "failed",       [CLM_TXN_NOOP] = "skipped",
    [CLM_TXN_SUCCEEDED] = "succeeded", [CLM_TXN_ROLLED_BACK] = "rolled_back",
    [CLM_TXN_BLOCKED] = "failed",      [CLM_TXN_NEEDS_HUMAN] = "failed",
    [CLM_TXN_WAITING] = "succeeded", /* effects.state says the rest */
    [CLM_TXN_LEFT] = "failed",       /* and here */
};

static const char *const error_names[CLM_E__COUNT] = {
    [CLM_E_CONFIG] = "E_CONFIG_TEST", [CLM_E_VERIFY] = "E_NOT_SERVED", [CLM_E_CONFLICT] = "E_DRIFT",
    [CLM_E_PERM] = "E_PATH",          [CLM_E_TIMEOUT] = "E_TIMEOUT",   [CLM_E_IO] = "E_IO",
};

static void on_txn_event(void *arg, const struct clm_txn_event *event)
{
    const struct clm_host_session *session = arg;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();

    if (event->phase != NULL) {
        clm_json_set_str(obj, "kind", "phase");
        clm_json_set_str(obj, "phase", event->phase);
    } else {
        clm_json_set_str(obj, "kind", "step");
        clm_json_set_str(obj, "name", event->step);
        clm_json_set_str(obj, "status", event->status);
        clm_json_set_int(obj, "ms", event->ms);
    }
    clm_ignore(session->event(session->arg, obj, NULL)); /* progress is best effort */
}

static struct clm_json *set_error(struct clm_json *reply, const char *code_name,
                                  const struct clm_err *err, const char *hint)
{
    struct clm_json *error = clm_json_set_object(reply, "error");

    clm_json_set_str(error, "code", code_name);
    clm_json_set_str(error, "message", err->msg);
    clm_json_set_bool(error, "retryable", clm_code_is_transient(err->code));
    clm_json_set_null(error, "step");
    clm_json_set_str(error, "hint", hint);
    return error;
}

void clm_host_result_failed(struct clm_json *reply, const char *outcome, const char *target,
                            const struct clm_fail *fail, const struct clm_err *err)
{
    struct clm_json *effects;

    clm_json_set_str(reply, "outcome", outcome);
    (void)clm_json_set_array(reply, "steps");
    effects = clm_json_set_object(reply, "effects");
    clm_json_set_str(effects, "target", target);
    (void)set_error(reply, fail->problem[0] != '\0' ? fail->problem : "E_INTERNAL", err,
                    fail->hint);
}

static void set_leaf(struct clm_json *effects, const char *key, const char *sha256)
{
    clm_json_set_str(clm_json_set_object(effects, key), "sha256",
                     sha256[0] != '\0' ? sha256 : NULL);
}

static void set_evidence(struct clm_json *effects, const struct clm_txn_outcome *outcome)
{
    struct clm_json *list = clm_json_set_array(effects, "observations");

    for (size_t i = 0; i < outcome->n_endpoints; i++) {
        const struct clm_txn_endpoint *one = &outcome->endpoints[i];
        struct clm_json *obj = clm_json_add_object(list);

        clm_endpoint_to_json(&one->endpoint, obj);
        clm_json_set_bool(obj, "counted", one->is_counted);
        clm_observation_to_json(&one->before, clm_json_set_object(obj, "before"));
        if (one->after.at_ms != 0) {
            clm_observation_to_json(&one->after, clm_json_set_object(obj, "after"));
        }
        if (one->rollback.at_ms != 0) {
            clm_observation_to_json(&one->rollback, clm_json_set_object(obj, "rollback"));
        }
    }
}

static const char *failed_step(const struct clm_txn_outcome *outcome)
{
    for (size_t i = 0; i < outcome->n_steps; i++) {
        if (strcmp(outcome->steps[i].status, "failed") == 0) {
            return outcome->steps[i].name;
        }
    }
    return NULL;
}

static void set_reason(struct clm_json *reply, const struct clm_txn_outcome *outcome)
{
    const char *code_name = error_names[outcome->err.code];
    bool is_left = outcome->result == CLM_TXN_LEFT;
    char hint[CLM_TARGET_ID_SIZE + 80];
    struct clm_json *error;

    clm_ignore(clm_str_fmt(hint, sizeof(hint), NULL,
                           "the new files were left in place; 'clmbot rollback %s' puts the "
                           "old ones back",
                           outcome->target));
    error = set_error(reply, code_name != NULL ? code_name : "E_FAILED", &outcome->err,
                      is_left ? hint : NULL);
    clm_json_set_str(error, "step", failed_step(outcome));
    if (is_left) {
        clm_json_set_bool(error, "retryable", false); /* somebody wants to look at it first */
    }
}

static void set_result(struct clm_json *reply, const struct clm_txn_outcome *outcome,
                       const char *name, const struct clm_generation *now)
{
    struct clm_json *steps = clm_json_set_array(reply, "steps");
    struct clm_json *effects = clm_json_set_object(reply, "effects");

    clm_json_set_str(reply, "outcome", name);
    clm_json_set_str(reply, "txid", outcome->txid);
    for (size_t i = 0; i < outcome->n_steps; i++) {
        struct clm_json *step = clm_json_add_object(steps);

        clm_json_set_str(step, "name", outcome->steps[i].name);
        clm_json_set_str(step, "status", outcome->steps[i].status);
        clm_json_set_int(step, "ms", outcome->steps[i].ms);
        clm_json_set_str(step, "detail", outcome->steps[i].detail);
    }
    clm_json_set_str(effects, "target", outcome->target);
    set_leaf(effects, "before", outcome->before_sha256);
    set_leaf(effects, "after", outcome->after_sha256);
    clm_json_set_bool(effects, "proved", outcome->is_proved);
    clm_json_set_bool(effects, "degraded", outcome->is_degraded);
    clm_json_set_bool(effects, "noop", outcome->result == CLM_TXN_NOOP);
    clm_json_set_str(effects, "state", clm_txn_result_name(outcome->result));
    if (now != NULL) {
        clm_json_set_int(effects, "version", now->version);
    }
    set_evidence(effects, outcome);
    if (outcome->err.code == CLM_OK) {
        clm_json_set_null(reply, "error");
    } else {
        set_reason(reply, outcome);
    }
}

/* now: the generation that is in place; NULL if the transaction did not get there. */
static enum clm_code keep_history(struct clm_host *host, const struct clm_install *install,
                                  const struct clm_txn_outcome *outcome,
                                  const struct clm_generation *now, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *entry = clm_json_new_object();

    clm_txn_outcome_to_json(outcome, entry);
    clm_json_set_int(entry, "at", host->io->now_s(host->io->ctx));
    clm_json_set_str(entry, "job_id", install->job_id);
    clm_json_set_bool(entry, "is_rollback", install->is_rollback);
    if (now != NULL) {
        clm_json_set_int(entry, "version", now->version);
    }
    return clm_store_history_add(host->store, entry, err);
}

enum clm_code clm_host_keep_generation(struct clm_host *host, const char *target,
                                       const char *sha256, uint32_t retain, bool is_back,
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_generations_done) struct clm_generations kept = {.n = 0};
    enum clm_code code = CLM_OK;

    if (retain == 0) {
        retain = host->config->deploy.retain;
        code = is_back ? clm_store_generation_list(host->store, target, &kept, err) : CLM_OK;
        retain = kept.n > 0 && kept.retain > retain ? kept.retain : retain;
    }
    return code == CLM_OK ? clm_store_generation_add(host->store, target, sha256, retain,
                                                     host->io->now_s(host->io->ctx), err)
                          : code;
}

/* The generation is written after COMMIT: recovery of the next start repairs a gap by the files. */
static enum clm_code keep_generation(struct clm_host *host, const struct clm_install *install,
                                     struct clm_generation *now, struct clm_err *err)
{
    enum clm_code code =
        clm_host_keep_generation(host, install->target, install->bundle->leaf.sha256,
                                 install->retain, install->is_rollback, err);

    return code == CLM_OK ? clm_store_generation_current(host->store, install->target, now, err)
                          : code;
}

/* The configured one, unless the product is known to need longer: Java starts for a minute. */
static void set_deadline(struct clm_step *step, uint32_t configured_ms)
{
    if (step->deadline_ms <= USUAL_DEADLINE_MS || step->deadline_ms < configured_ms) {
        step->deadline_ms = configured_ms;
    }
}

static enum clm_code make_plan(struct clm_host_call *call, const struct clm_service *service,
                               const struct clm_target *target, const struct clm_bundle *bundle,
                               struct clm_plan *plan, struct clm_err *err)
{
    const struct clm_deployer_ops *deployer = clm_deployer_find(service->kind);
    enum clm_code code;

    if (deployer == NULL) {
        return clm_refuse(call, err, CLM_E_UNSUPPORTED, "E_STATE",
                          "services of kind '%s' cannot be deployed to", service->kind);
    }
    code = clm_host_check_manager(call, target, err);
    if (code != CLM_OK) {
        return code;
    }
    if (!target->manageable) {
        return clm_refuse(call, err, CLM_E_UNSUPPORTED, "E_STATE", "target '%s': %s", target->id,
                          target->reasons.n > 0 ? target->reasons.v[0] : "not manageable");
    }
    code = deployer->plan(call->host->io, service, target, bundle, plan, err);
    for (size_t i = 0; code == CLM_OK && i < plan->n_steps; i++) {
        if (plan->steps[i].kind == CLM_STEP_VERIFY) {
            set_deadline(&plan->steps[i], call->host->config->deploy.deadline_s * 1000u);
        }
    }
    return code == CLM_OK ? code : clm_host_problem_code(call, "E_STATE", code);
}

enum clm_code clm_host_plan(struct clm_host_call *call, const char *target_id,
                            const struct clm_bundle *bundle, struct clm_plan *plan,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    const struct clm_target *target;
    const struct clm_service *service;
    enum clm_code code = clm_policy_check_target(&call->host->config->policy, target_id, err);

    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_POLICY", code);
    }
    code = clm_host_find_target(call, target_id, &inventory, &target, &service, err);
    return code == CLM_OK ? make_plan(call, service, target, bundle, plan, err) : code;
}

/* SIGTERM is blocked while a request is answered (agent/ipc/server.c). */
static bool is_stopping(void *arg)
{
    sigset_t pending;

    (void)arg;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1;
}

enum clm_code clm_host_install(struct clm_host_call *call, const struct clm_install *install,
                               struct clm_err *err)
{
    struct clm_host *host = call->host;
    struct clm_host_session session = *call->session;
    const struct clm_txn_env env = {
        .dir = host->dir,
        .io = host->io,
        .policy = &host->config->policy,
        .on_event = on_txn_event,
        .event_arg = &session,
        .cancelled = is_stopping,
        .leaves_failed = install->leaves_failed,
        .secrets = clm_host_secrets(host),
    };
    CLM_CLEANUP(clm_plan_done) struct clm_plan plan = {.n_steps = 0};
    struct clm_txn_outcome outcome;
    struct clm_generation now = {0};
    bool is_in_place;
    const char *name;
    enum clm_code code = clm_host_plan(call, install->target, install->bundle, &plan, err);

    if (code == CLM_OK) {
        code = clm_store_import(host->store, &plan, &env.secrets, host->io->now_s(host->io->ctx),
                                NULL, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_ignore(clm_txn_deploy(&env, &plan, install->bundle, install->expect_current_sha256,
                              &outcome, err));
    if (outcome.is_interrupted) {
        /* What failed may have failed because everything is being stopped: the job goes on later. */
        code = clm_err_set(err, CLM_E_NET, "the host half is being stopped: %s", outcome.err.msg);
        clm_txn_outcome_done(&outcome);
        return code;
    }
    is_in_place = clm_txn_is_in_place(outcome.result);
    if (is_in_place) {
        code = keep_generation(host, install, &now, err);
    }
    name = outcome_names[outcome.result];
    if (outcome.result == CLM_TXN_NOOP && install->is_resumed) {
        name = "succeeded"; /* we did it before we were interrupted */
    }
    set_result(call->reply, &outcome, name, is_in_place && code == CLM_OK ? &now : NULL);
    if (code == CLM_OK) {
        code = keep_history(host, install, &outcome, is_in_place ? &now : NULL, err);
    }
    clm_txn_outcome_done(&outcome);
    return code;
}
