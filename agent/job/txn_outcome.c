/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job/txn_int.h"

static const char *const result_names[CLM_TXN__COUNT] = {
    [CLM_TXN_FAILED] = "failed",
    [CLM_TXN_NOOP] = "noop",
    [CLM_TXN_SUCCEEDED] = "succeeded",
    [CLM_TXN_ROLLED_BACK] = "rolled_back",
    [CLM_TXN_BLOCKED] = "blocked",
    [CLM_TXN_NEEDS_HUMAN] = "needs_human",
    [CLM_TXN_WAITING] = "waiting_for_restart",
    [CLM_TXN_LEFT] = "left",
};

bool clm_txn_is_in_place(enum clm_txn_result result)
{
    return result == CLM_TXN_SUCCEEDED || result == CLM_TXN_NOOP || result == CLM_TXN_WAITING ||
           result == CLM_TXN_LEFT;
}

const char *clm_txn_result_name(enum clm_txn_result result)
{
    return (unsigned)result < CLM_TXN__COUNT ? result_names[result] : "unknown";
}

void clm_txn_outcome_done(struct clm_txn_outcome *outcome)
{
    free(outcome->endpoints);
    outcome->endpoints = NULL;
    outcome->n_endpoints = 0;
}

void clm_txn_outcomes_done(struct clm_txn_outcomes *outcomes)
{
    for (size_t i = 0; i < outcomes->n; i++) {
        clm_txn_outcome_done(&outcomes->v[i]);
    }
    free(outcomes->v);
    outcomes->v = NULL;
    outcomes->n = 0;
}

void clm_txn_done(struct clm_txn *t)
{
    clm_txn_log_close(&t->log);
    clm_txn_record_done(&t->rec);
}

int64_t clm_txn_mono_ms(const struct clm_txn *t)
{
    return t->env->io->mono_ms(t->env->io->ctx);
}

bool clm_txn_is_cancelled(const struct clm_txn *t)
{
    return t->env->cancelled != NULL && t->env->cancelled(t->env->event_arg);
}

static void tell(const struct clm_txn *t, const struct clm_txn_event *event)
{
    if (t->env->on_event != NULL) {
        t->env->on_event(t->env->event_arg, event);
    }
}

void clm_txn_phase(struct clm_txn *t, const char *phase)
{
    const struct clm_txn_event event = {.phase = phase, .status = "ok"};

    tell(t, &event);
}

void clm_txn_step_done(struct clm_txn *t, const char *name, const char *status, int64_t start_ms,
                       const char *fmt, ...)
{
    int64_t ms = clm_txn_mono_ms(t) - start_ms;
    const struct clm_txn_event event = {.step = name, .status = status, .ms = ms};
    struct clm_txn_step *step;
    va_list ap;

    if (t->out->n_steps < CLM_TXN_STEPS_MAX) {
        step = &t->out->steps[t->out->n_steps++];
        memset(step, 0, sizeof(*step));
        (void)snprintf(step->name, sizeof(step->name), "%s", name);
        step->status = status;
        step->ms = ms;
        if (fmt != NULL) {
            va_start(ap, fmt);
            (void)vsnprintf(step->detail, sizeof(step->detail), fmt, ap);
            va_end(ap);
            clm_str_make_plain(step->detail); /* it may quote a program, or a peer */
        }
    }
    tell(t, &event);
}

enum clm_code clm_txn_end(struct clm_txn *t, enum clm_txn_result result, enum clm_code code,
                          const struct clm_err *err)
{
    t->out->result = result;
    if (code == CLM_OK) {
        t->out->err = (struct clm_err){.code = CLM_OK};
    } else {
        assert(err != NULL);
        t->out->err = *err;
        t->out->err.code = code;
        clm_str_make_plain(t->out->err.msg);
    }
    return code;
}

/* ---- JSON ---- */

static void observation_or_null(const struct clm_observation *seen, const char *key,
                                struct clm_json *obj)
{
    if (seen->at_ms == 0) {
        clm_json_set_null(obj, key);
    } else {
        clm_observation_to_json(seen, clm_json_set_object(obj, key));
    }
}

static void endpoints_to_json(const struct clm_txn_outcome *outcome, struct clm_json *obj)
{
    struct clm_json *list = clm_json_set_array(obj, "endpoints");

    for (size_t i = 0; i < outcome->n_endpoints; i++) {
        const struct clm_txn_endpoint *e = &outcome->endpoints[i];
        struct clm_json *item = clm_json_add_object(list);

        clm_endpoint_to_json(&e->endpoint, item);
        clm_json_set_bool(item, "counted", e->is_counted);
        observation_or_null(&e->before, "before", item);
        observation_or_null(&e->after, "after", item);
        observation_or_null(&e->rollback, "rollback", item);
    }
}

static void steps_to_json(const struct clm_txn_outcome *outcome, struct clm_json *obj)
{
    struct clm_json *list = clm_json_set_array(obj, "steps");

    for (size_t i = 0; i < outcome->n_steps; i++) {
        struct clm_json *item = clm_json_add_object(list);

        clm_json_set_str(item, "name", outcome->steps[i].name);
        clm_json_set_str(item, "status", outcome->steps[i].status);
        clm_json_set_int(item, "ms", outcome->steps[i].ms);
        clm_json_set_str(item, "detail", outcome->steps[i].detail);
    }
}

void clm_txn_outcome_to_json(const struct clm_txn_outcome *outcome, struct clm_json *obj)
{
    clm_json_set_str(obj, "txid", outcome->txid);
    clm_json_set_str(obj, "target", outcome->target);
    clm_json_set_str(obj, "result", clm_txn_result_name(outcome->result));
    clm_json_set_bool(obj, "degraded", outcome->is_degraded);
    clm_json_set_bool(obj, "proved", outcome->is_proved);
    clm_json_set_bool(obj, "recovered", outcome->is_recovery);
    clm_json_set_str(obj, "before_sha256", outcome->before_sha256);
    clm_json_set_str(obj, "after_sha256", outcome->after_sha256);
    steps_to_json(outcome, obj);
    endpoints_to_json(outcome, obj);
    if (outcome->err.code == CLM_OK) {
        clm_json_set_null(obj, "error");
    } else {
        struct clm_json *error = clm_json_set_object(obj, "error");

        clm_json_set_str(error, "code", clm_code_name(outcome->err.code));
        clm_json_set_str(error, "message", outcome->err.msg);
    }
}
