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
#define SIGNAL_MAX      31    /* no real-time signals */
#define EDITS_MAX       256   /* of one file */
#define EDIT_TEXT_MAX   65536 /* bytes that one edit puts in */

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

/* Written only if they say something. */
static const struct clm_field more_put_fields[] = {
    {"alias", CLM_FIELD_EXACT, false, AT(alias), SIZE(alias), 0, 0},
    {"store_password", CLM_FIELD_EXACT, false, AT(store_password), SIZE(store_password), 0, 0},
    {"key_password", CLM_FIELD_EXACT, false, AT(key_password), SIZE(key_password), 0, 0},
    {"expect_sha256", CLM_FIELD_SHA256, false, AT(expect_sha256), SIZE(expect_sha256), 0, 0},
    END,
};

static const struct clm_field edit_fields[] = {
    {"offset", CLM_FIELD_U64, true, offsetof(struct clm_text_edit, offset), 0, 0, CLM_JSON_INT_MAX},
    {"len", CLM_FIELD_U64, true, offsetof(struct clm_text_edit, len), 0, 0, CLM_JSON_INT_MAX},
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

static const struct clm_field manager_fields[] = {
    {"url", CLM_FIELD_EXACT, true, AT(url), SIZE(url), 0, 0},
    {"user", CLM_FIELD_EXACT, true, AT(user), SIZE(user), 0, 0},
    {"password", CLM_FIELD_EXACT, true, AT(password), SIZE(password), 0, 0},
    END,
};

static const struct clm_field no_fields[] = {END};

/* What each kind of reload consists of; HOOK has its argv besides. */
static const struct {
    const struct clm_field *fields;
    const char *const *allowed;
} reloads[] = {
    [CLM_RELOAD_UNIT] = {unit_fields, (const char *const[]){"kind", "how", "unit", NULL}},
    [CLM_RELOAD_SIGNAL] = {signal_fields, (const char *const[]){"kind", "how", "pid", "start_ticks",
                                                                "signo", NULL}},
    [CLM_RELOAD_RESTART] = {unit_fields, (const char *const[]){"kind", "how", "unit", NULL}},
    [CLM_RELOAD_MANAGER] = {manager_fields,
                            (const char *const[]){"kind", "how", "url", "user", "password", NULL}},
    [CLM_RELOAD_HOOK] = {no_fields, (const char *const[]){"kind", "how", "argv", NULL}},
    [CLM_RELOAD_NONE] = {no_fields, (const char *const[]){"kind", "how", NULL}},
};
_Static_assert(CLM_ARRAY_LEN(reloads) == CLM_RELOAD__COUNT, "a reload without members");

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

static void write_put(const struct clm_step *step, struct clm_json *obj)
{
    struct clm_json *array;

    clm_json_set_str(obj, "content", clm_content_name(step->content));
    clm_fields_to_json(put_fields, step, obj);
    if (step->format != CLM_FORMAT_PEM) {
        clm_json_set_str(obj, "format", clm_file_format_name(step->format));
    }
    for (const struct clm_field *field = more_put_fields; field->key != NULL; field++) {
        const char *text = (const char *)step + field->offset;

        if (text[0] != '\0' && clm_str_is_utf8(text, strlen(text))) {
            clm_json_set_str(obj, field->key, text);
        } else if (text[0] != '\0') {
            clm_json_set_bool(obj, field->key, false); /* which reading refuses */
        }
    }
    if (step->n_edits > 0) {
        array = clm_json_set_array(obj, "edits");
        for (size_t i = 0; i < step->n_edits; i++) {
            const char *text = step->edits[i].text;
            struct clm_json *edit = clm_json_add_object(array);

            clm_fields_to_json(edit_fields, &step->edits[i], edit);
            clm_json_set_str(edit, "text", clm_str_is_utf8(text, strlen(text)) ? text : NULL);
        }
    }
}

static void write_reload(const struct clm_step *step, struct clm_json *obj)
{
    clm_json_set_str(obj, "how", clm_reload_name(step->how));
    if ((size_t)step->how < CLM_ARRAY_LEN(reloads)) {
        clm_fields_to_json(reloads[step->how].fields, step, obj);
    }
    if (step->how == CLM_RELOAD_HOOK) {
        write_argv(&step->argv, obj);
    }
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
        write_put(step, obj);
        break;
    case CLM_STEP_RELOAD:
        write_reload(step, obj);
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

static enum clm_code read_argv(const struct clm_json *node, struct clm_step *step,
                               struct clm_err *err)
{
    const struct clm_json *array = NULL;
    enum clm_code code = clm_json_array(node, "argv", ARGV_MAX, &array, err);

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

static enum clm_code read_check(const struct clm_json *node, struct clm_step *step,
                                struct clm_err *err)
{
    static const char *const allowed[] = {"kind", "argv", NULL};
    enum clm_code code = clm_json_only(node, allowed, err);

    return code == CLM_OK ? read_argv(node, step, err) : code;
}

/* The place of the member's text in a list of names. */
static enum clm_code read_name(const struct clm_json *node, const char *key,
                               const char *(*name_of)(int value), int count, int *out,
                               struct clm_err *err)
{
    const char *text = NULL;
    enum clm_code code = clm_json_str(node, key, 32, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    for (int i = 0; i < count; i++) {
        if (strcmp(text, name_of(i)) == 0) {
            *out = i;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PARSE, "'%s': unknown value '%s'", key, text);
}

static const char *content_at(int i)
{
    return clm_content_name((enum clm_content)i);
}

static const char *format_at(int i)
{
    return clm_file_format_name((enum clm_file_format)i);
}

static const char *reload_at(int i)
{
    return clm_reload_name((enum clm_reload_how)i);
}

static enum clm_code read_edits(const struct clm_json *node, struct clm_step *step,
                                struct clm_err *err)
{
    static const char *const allowed[] = {"offset", "len", "text", NULL};
    const struct clm_json *array = NULL;
    enum clm_code code = clm_json_array(node, "edits", EDITS_MAX, &array, err);

    for (const struct clm_json *at = clm_json_first(array); code == CLM_OK && at != NULL;
         at = clm_json_next(at)) {
        struct clm_text_edit edit = {0};
        const char *text = NULL;

        code = clm_json_only(at, allowed, err);
        if (code == CLM_OK) {
            code = clm_fields_from_json(edit_fields, at, &edit, err);
        }
        if (code == CLM_OK) {
            code = clm_json_str(at, "text", EDIT_TEXT_MAX, &text, err);
        }
        if (code == CLM_OK) {
            code = clm_step_add_edit(step, edit.offset, edit.len, text, err);
        }
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "edits/%zu", step->n_edits);
        }
    }
    return code;
}

static enum clm_code read_put(const struct clm_json *node, struct clm_step *step,
                              struct clm_err *err)
{
    static const char *const allowed[] = {
        "kind",   "content", "path",           "may_create",   "mode",          "uid",   "gid",
        "format", "alias",   "store_password", "key_password", "expect_sha256", "edits", NULL};
    int content = 0;
    int format = CLM_FORMAT_PEM;
    enum clm_code code = clm_json_only(node, allowed, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(put_fields, node, step, err);
    }
    if (code == CLM_OK) {
        code = clm_fields_from_json(more_put_fields, node, step, err);
    }
    if (code == CLM_OK) {
        code = read_name(node, "content", content_at, CLM_CONTENT__COUNT, &content, err);
    }
    if (code == CLM_OK && clm_json_get(node, "format") != NULL) {
        code = read_name(node, "format", format_at, CLM_FORMAT__COUNT, &format, err);
    }
    if (code == CLM_OK && clm_json_get(node, "edits") != NULL) {
        code = read_edits(node, step, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    step->content = (enum clm_content)content;
    step->format = (enum clm_file_format)format;
    return clm_step_check(step, err);
}

static enum clm_code read_reload(const struct clm_json *node, struct clm_step *step,
                                 struct clm_err *err)
{
    int how = 0;
    enum clm_code code = read_name(node, "how", reload_at, CLM_RELOAD__COUNT, &how, err);

    if (code != CLM_OK) {
        return code;
    }
    step->how = (enum clm_reload_how)how;
    code = clm_json_only(node, reloads[how].allowed, err);
    if (code == CLM_OK) {
        code = clm_fields_from_json(reloads[how].fields, node, step, err);
    }
    if (code == CLM_OK && step->how == CLM_RELOAD_HOOK) {
        code = read_argv(node, step, err);
    }
    return code == CLM_OK ? clm_step_check(step, err) : code;
}

static enum clm_code read_endpoints(const struct clm_json *array, struct clm_step *step,
                                    struct clm_err *err)
{
    step->endpoints = calloc(clm_json_len(array) + 1, sizeof(*step->endpoints));
    if (step->endpoints == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "endpoints of a step");
    }
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node), step->n_endpoints++) {
        enum clm_code code = clm_json_only(node, clm_endpoint_members, err);

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
    step = clm_plan_add(plan, (enum clm_step_kind)kind, err);
    if (step == NULL) {
        return CLM_E_NOMEM;
    }
    switch (step->kind) {
    case CLM_STEP_CHECK:
    case CLM_STEP_POST_CHECK:
        return read_check(node, step, err);
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
