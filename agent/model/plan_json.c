/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON form of a plan. Plans are journaled and recovered from, so reading is strict: an unknown
 * member, a relative path or a step that lacks what its kind needs is an error, never a default.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/model/fields.h"
#include "agent/model/plan.h"

#define STEPS_MAX       256  /* a deployment has about ten */
#define ARGV_MAX        64   /* arguments of a server's configuration test */
#define ARG_MAX_SIZE    4096 /* bytes of one, NUL included */
#define ENDPOINTS_MAX   1000 /* protocol.md 6.4: an array */
#define DEADLINE_MAX_MS 600000
#define SIGNAL_MAX      31 /* no real-time signals */

#define END                                                                                        \
    {                                                                                              \
        NULL, CLM_FIELD_TEXT, false, 0, 0, 0, 0                                                    \
    }
#define AT(member)   offsetof(struct clm_step, member)
#define SIZE(member) sizeof(((struct clm_step *)0)->member)

static const struct clm_field plan_fields[] = {
    {"target", CLM_FIELD_EXACT, true, offsetof(struct clm_plan, target), CLM_TARGET_ID_SIZE, 0, 0},
    {"deployer", CLM_FIELD_EXACT, true, offsetof(struct clm_plan, deployer),
     sizeof(((struct clm_plan *)0)->deployer), 0, 0},
    END,
};

static const struct clm_field put_fields[] = {
    {"path", CLM_FIELD_EXACT, true, AT(path), SIZE(path), 0, 0},
    {"may_create", CLM_FIELD_BOOL, true, AT(may_create), 0, 0, 0},
    {"mode", CLM_FIELD_U32, true, AT(mode), 0, 0, 0777},
    {"uid", CLM_FIELD_U32, true, AT(uid), 0, 0, UINT32_MAX - 1},
    {"gid", CLM_FIELD_U32, true, AT(gid), 0, 0, UINT32_MAX - 1},
    END,
};

static const struct clm_field unit_fields[] = {
    {"unit", CLM_FIELD_EXACT, true, AT(unit), SIZE(unit), 0, 0},
    END,
};

static const struct clm_field signal_fields[] = {
    {"pid", CLM_FIELD_I32, true, AT(pid), 0, 2, INT32_MAX},
    {"start_ticks", CLM_FIELD_U64, true, AT(start_ticks), 0, 0, CLM_JSON_INT_MAX},
    {"signo", CLM_FIELD_I32, true, AT(signo), 0, 1, SIGNAL_MAX},
    END,
};

static const struct clm_field verify_fields[] = {
    {"deadline_ms", CLM_FIELD_U32, true, AT(deadline_ms), 0, 0, DEADLINE_MAX_MS},
    END,
};

_Static_assert(sizeof(int) == sizeof(int32_t), "signo is read as an int32_t");

/* ---- writing ---- */

static void write_argv(const struct clm_strs *argv, struct clm_json *obj)
{
    struct clm_json *array = clm_json_set_array(obj, "argv");

    for (size_t i = 0; i < argv->n; i++) {
        /* What is no UTF-8 becomes null, which reading refuses: never another path. */
        if (clm_str_is_utf8(argv->v[i], strlen(argv->v[i]))) {
            clm_json_add_str(array, argv->v[i]);
        } else {
            clm_json_add_str(array, NULL);
        }
    }
}

static void write_verify(const struct clm_step *step, struct clm_json *obj)
{
    struct clm_json *array = clm_json_set_array(obj, "endpoints");

    for (size_t i = 0; i < step->n_endpoints; i++) {
        clm_endpoint_to_json(&step->endpoints[i], clm_json_add_object(array));
    }
    clm_fields_to_json(verify_fields, step, obj);
}

static void write_step(const struct clm_step *step, struct clm_json *obj)
{
    clm_json_set_str(obj, "kind", clm_step_kind_name(step->kind));
    switch (step->kind) {
    case CLM_STEP_CHECK:
    case CLM_STEP_POST_CHECK:
        write_argv(&step->argv, obj);
        break;
    case CLM_STEP_FILE_PUT:
        clm_json_set_str(obj, "content", clm_content_name(step->content));
        clm_fields_to_json(put_fields, step, obj);
        break;
    case CLM_STEP_RELOAD:
        clm_json_set_str(obj, "how", step->how == CLM_RELOAD_UNIT ? "unit" : "signal");
        clm_fields_to_json(step->how == CLM_RELOAD_UNIT ? unit_fields : signal_fields, step, obj);
        break;
    case CLM_STEP_VERIFY:
        write_verify(step, obj);
        break;
    case CLM_STEP__COUNT:
        break;
    }
}

void clm_plan_to_json(const struct clm_plan *plan, struct clm_json *obj)
{
    struct clm_json *steps;

    clm_fields_to_json(plan_fields, plan, obj);
    steps = clm_json_set_array(obj, "steps");
    for (size_t i = 0; i < plan->n_steps; i++) {
        write_step(&plan->steps[i], clm_json_add_object(steps));
    }
}

/* ---- reading ---- */

static bool is_absolute(const char *path)
{
    return path[0] == '/' && path[1] != '\0';
}

/* A name systemd takes: no path, no option. */
static bool is_unit(const char *unit)
{
    size_t len = strlen(unit);

    return len > 0 && unit[0] != '-' && unit[0] != '.' &&
           strspn(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") ==
               len;
}

static enum clm_code read_argv(const struct clm_json *node, struct clm_step *step,
                               struct clm_err *err)
{
    static const char *const allowed[] = {"kind", "argv", NULL};
    const struct clm_json *array = NULL;
    enum clm_code code = clm_json_only(node, allowed, err);

    if (code == CLM_OK) {
        code = clm_json_array(node, "argv", ARGV_MAX, &array, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    for (const struct clm_json *arg = clm_json_first(array); arg != NULL;
         arg = clm_json_next(arg)) {
        const char *text = clm_json_text(arg);

        if (text == NULL || strlen(text) >= ARG_MAX_SIZE) {
            return clm_err_set(err, CLM_E_PARSE,
                               "'argv': element %zu is no string of at most %d bytes", step->argv.n,
                               ARG_MAX_SIZE - 1);
        }
        code = clm_strs_add(&step->argv, text, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    if (step->argv.n == 0 || !is_absolute(step->argv.v[0])) {
        return clm_err_set(err, CLM_E_PARSE, "'argv': element 0 must be an absolute path");
    }
    return CLM_OK;
}

static enum clm_code read_put(const struct clm_json *node, struct clm_step *step,
                              struct clm_err *err)
{
    static const char *const allowed[] = {"kind", "content", "path", "may_create",
                                          "mode", "uid",     "gid",  NULL};
    const char *content = NULL;
    size_t i = 0;
    enum clm_code code = clm_json_only(node, allowed, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(put_fields, node, step, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(node, "content", 32, &content, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    while (i < CLM_CONTENT__COUNT && strcmp(content, clm_content_name((enum clm_content)i)) != 0) {
        i++;
    }
    if (i == CLM_CONTENT__COUNT) {
        return clm_err_set(err, CLM_E_PARSE, "'content': unknown value '%s'", content);
    }
    step->content = (enum clm_content)i;
    if (!is_absolute(step->path)) {
        return clm_err_set(err, CLM_E_PARSE, "'path': '%.200s' is not an absolute path",
                           step->path);
    }
    return CLM_OK;
}

static enum clm_code read_reload(const struct clm_json *node, struct clm_step *step,
                                 struct clm_err *err)
{
    static const char *const unit_allowed[] = {"kind", "how", "unit", NULL};
    static const char *const signal_allowed[] = {"kind",        "how",   "pid",
                                                 "start_ticks", "signo", NULL};
    const char *how = NULL;
    bool by_unit;
    enum clm_code code = clm_json_str(node, "how", 16, &how, err);

    if (code != CLM_OK) {
        return code;
    }
    by_unit = strcmp(how, "unit") == 0;
    if (!by_unit && strcmp(how, "signal") != 0) {
        return clm_err_set(err, CLM_E_PARSE, "'how': unknown value '%s'", how);
    }
    step->how = by_unit ? CLM_RELOAD_UNIT : CLM_RELOAD_SIGNAL;
    code = clm_json_only(node, by_unit ? unit_allowed : signal_allowed, err);
    if (code == CLM_OK) {
        code = clm_fields_from_json(by_unit ? unit_fields : signal_fields, node, step, err);
    }
    if (code == CLM_OK && by_unit && !is_unit(step->unit)) {
        code = clm_err_set(err, CLM_E_PARSE, "'unit': '%s' is not the name of a unit", step->unit);
    }
    return code;
}

static enum clm_code read_endpoints(const struct clm_json *array, struct clm_step *step,
                                    struct clm_err *err)
{
    static const char *const allowed[] = {"addr", "port", "sni", "timeout_ms", NULL};

    step->endpoints = calloc(clm_json_len(array) + 1, sizeof(*step->endpoints));
    if (step->endpoints == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "endpoints of a step");
    }
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node), step->n_endpoints++) {
        enum clm_code code = clm_json_only(node, allowed, err);

        if (code == CLM_OK) {
            code = clm_endpoint_from_json(node, &step->endpoints[step->n_endpoints], err);
        }
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "endpoints/%zu", step->n_endpoints);
        }
    }
    return CLM_OK;
}

static enum clm_code read_verify(const struct clm_json *node, struct clm_step *step,
                                 struct clm_err *err)
{
    static const char *const allowed[] = {"kind", "endpoints", "deadline_ms", NULL};
    const struct clm_json *array = NULL;
    enum clm_code code = clm_json_only(node, allowed, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(verify_fields, node, step, err);
    }
    if (code == CLM_OK) {
        code = clm_json_array(node, "endpoints", ENDPOINTS_MAX, &array, err);
    }
    return code == CLM_OK ? read_endpoints(array, step, err) : code;
}

static enum clm_code read_step(const struct clm_json *node, struct clm_plan *plan,
                               struct clm_err *err)
{
    const char *name = NULL;
    size_t kind = 0;
    struct clm_step *step;
    enum clm_code code = clm_json_str(node, "kind", 16, &name, err);

    if (code != CLM_OK) {
        return code;
    }
    while (kind < CLM_STEP__COUNT &&
           strcmp(name, clm_step_kind_name((enum clm_step_kind)kind)) != 0) {
        kind++;
    }
    if (kind == CLM_STEP__COUNT) {
        return clm_err_set(err, CLM_E_PARSE, "'kind': unknown value '%s'", name);
    }
    step = clm_plan_add(plan, (enum clm_step_kind)kind);
    if (step == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "step of a plan");
    }
    switch (step->kind) {
    case CLM_STEP_CHECK:
    case CLM_STEP_POST_CHECK:
        return read_argv(node, step, err);
    case CLM_STEP_FILE_PUT:
        return read_put(node, step, err);
    case CLM_STEP_RELOAD:
        return read_reload(node, step, err);
    case CLM_STEP_VERIFY:
        return read_verify(node, step, err);
    case CLM_STEP__COUNT:
        break;
    }
    return clm_err_set(err, CLM_E_BUG, "unknown kind of step: %d", (int)step->kind);
}

static enum clm_code read_steps(const struct clm_json *obj, struct clm_plan *plan,
                                struct clm_err *err)
{
    const struct clm_json *array = NULL;
    size_t i = 0;
    enum clm_code code = clm_json_array(obj, "steps", STEPS_MAX, &array, err);

    if (code != CLM_OK) {
        return code;
    }
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node), i++) {
        if (clm_json_kind(node) != CLM_JSON_OBJECT) {
            return clm_err_set(err, CLM_E_PARSE, "steps/%zu: not an object", i);
        }
        code = read_step(node, plan, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "steps/%zu", i);
        }
    }
    return CLM_OK;
}

enum clm_code clm_plan_from_json(const struct clm_json *obj, struct clm_plan *out,
                                 struct clm_err *err)
{
    static const char *const allowed[] = {"target", "deployer", "steps", NULL};
    struct clm_plan plan = {0};
    enum clm_code code = clm_json_only(obj, allowed, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(plan_fields, obj, &plan, err);
    }
    if (code == CLM_OK && !clm_target_id_is_valid(plan.target)) {
        code = clm_err_set(err, CLM_E_PARSE, "'target': '%s' is not a target id", plan.target);
    }
    if (code == CLM_OK && plan.deployer[0] == '\0') {
        code = clm_err_set(err, CLM_E_PARSE, "'deployer': is empty");
    }
    if (code == CLM_OK) {
        code = read_steps(obj, &plan, err);
    }
    if (code != CLM_OK) {
        clm_plan_done(&plan);
        return clm_err_wrap(err, code, "plan");
    }
    *out = plan;
    return CLM_OK;
}
