/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/spec_fields.h"

#include <string.h>

#include "agent/base/clock.h"
#include "agent/model/fields.h"

#define KEYS_MAX 32 /* members of one table, and the optional ones of an envelope */

static enum clm_code check_known(const struct clm_spec_field *table, const struct clm_json *obj,
                                 const struct clm_job_envelope *job, struct clm_err *err)
{
    const char *keys[KEYS_MAX + CLM_JOB_OPTIONAL_MAX + 1] = {NULL};
    size_t n = 0;

    for (; table[n].key != NULL; n++) {
        if (n == KEYS_MAX) {
            return clm_err_set(err, CLM_E_BUG, "a table has more than %d members", KEYS_MAX);
        }
        keys[n] = table[n].key;
    }
    for (size_t i = 0; job != NULL && i < job->n_optional; i++) {
        keys[n++] = job->optional[i];
    }
    return clm_json_only(obj, keys, err);
}

static bool has_control(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool is_choice(const struct clm_spec_field *field, const char *text)
{
    for (size_t i = 0; field->choices[i] != NULL; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* What is wrong with a text, as the end of a sentence; NULL if nothing. */
static const char *text_fault(const struct clm_spec_field *field, const char *text)
{
    if (field->kind == CLM_SPEC_RAW) {
        return NULL;
    }
    if (text[0] == '\0') {
        return "is empty";
    }
    if (has_control(text)) {
        return "holds control characters";
    }
    if (field->kind == CLM_SPEC_ID && !clm_id_is_valid(field->choices[0], text)) {
        return "is not an id of its kind";
    }
    if (field->kind == CLM_SPEC_NAME && !clm_job_name_is_valid(text)) {
        return "is not a name of letters a-z, digits and ._-";
    }
    if (field->kind == CLM_SPEC_SHA256 && !clm_is_sha256(text)) {
        return "is not a SHA-256 in 64 lower-case hexadecimal digits";
    }
    if (field->kind == CLM_SPEC_PATH && text[0] != '/') {
        return "is not an absolute path";
    }
    if (field->kind == CLM_SPEC_CHOICE && !is_choice(field, text)) {
        return "is not one of the values of protocol 1";
    }
    return NULL;
}

static enum clm_code read_text(const struct clm_spec_field *field, const struct clm_json *obj,
                               void *at, struct clm_err *err)
{
    size_t max = field->max > 0 ? (size_t)field->max : PATH_MAX - 1;
    const char *fallback = field->kind == CLM_SPEC_CHOICE ? field->choices[0] : NULL;
    const char *text = NULL;
    const char *fault;
    enum clm_code code = field->required
                             ? clm_json_str(obj, field->key, max, &text, err)
                             : clm_json_str_or(obj, field->key, max, fallback, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    fault = text == NULL ? NULL : text_fault(field, text);
    if (fault != NULL) {
        return clm_err_set(err, CLM_E_INVAL, "'%s': '%.100s' %s", field->key, text, fault);
    }
    memcpy(at, &text, sizeof(text));
    return CLM_OK;
}

static enum clm_code read_only(const struct clm_spec_field *field, const struct clm_json *obj,
                               struct clm_err *err)
{
    const char *only = field->choices[0];
    const char *text = NULL;
    enum clm_code code = clm_json_str_or(obj, field->key, PATH_MAX, only, &text, err);

    if (code == CLM_OK && strcmp(text, only) != 0) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "'%s': '%.100s' is not supported by this version, only '%s' is",
                           field->key, text, only);
    }
    return code;
}

static enum clm_code read_hook(const struct clm_spec_field *field, const struct clm_json *obj,
                               struct clm_err *err)
{
    const char *name = NULL;
    enum clm_code code = clm_json_str_or(obj, field->key, 64, NULL, &name, err);

    if (code == CLM_OK && name != NULL) {
        return clm_err_set(err, CLM_E_INVAL,
                           "'%s': hook '%s' is not registered on this host (none is)", field->key,
                           name);
    }
    return code;
}

static enum clm_code read_off(const struct clm_spec_field *field, const struct clm_json *obj,
                              struct clm_err *err)
{
    bool value = false;
    enum clm_code code = clm_json_bool_or(obj, field->key, &value, err);

    if (code == CLM_OK && value) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "'%s': not supported by this version",
                           field->key);
    }
    return code;
}

static enum clm_code read_number(const struct clm_spec_field *field, const struct clm_json *obj,
                                 void *at, struct clm_err *err)
{
    const struct clm_field number = {.key = field->key,
                                     .kind = field->kind == CLM_SPEC_U32    ? CLM_FIELD_U32
                                             : field->kind == CLM_SPEC_TIME ? CLM_FIELD_TIME
                                                                            : CLM_FIELD_I64,
                                     .required = field->required,
                                     .min = field->min,
                                     .max = field->max};
    const struct clm_field table[] = {number, {.key = NULL}};

    return clm_fields_from_json(table, obj, at, err);
}

static enum clm_code read_field(const struct clm_spec_field *field, const struct clm_json *obj,
                                void *at, struct clm_err *err)
{
    switch (field->kind) {
    case CLM_SPEC_TEXT:
    case CLM_SPEC_RAW:
    case CLM_SPEC_ID:
    case CLM_SPEC_NAME:
    case CLM_SPEC_SHA256:
    case CLM_SPEC_PATH:
    case CLM_SPEC_CHOICE:
        return read_text(field, obj, at, err);
    case CLM_SPEC_ONLY:
        return read_only(field, obj, err);
    case CLM_SPEC_OFF:
        return read_off(field, obj, err);
    case CLM_SPEC_NONE:
        return clm_json_get(obj, field->key) == NULL
                   ? CLM_OK
                   : clm_err_set(err, CLM_E_UNSUPPORTED, "'%s': not supported by this version",
                                 field->key);
    case CLM_SPEC_HOOK:
        return read_hook(field, obj, err);
    case CLM_SPEC_BOOL:
        return clm_json_bool_or(obj, field->key, at, err);
    case CLM_SPEC_U32:
    case CLM_SPEC_I64:
    case CLM_SPEC_TIME:
        return read_number(field, obj, at, err);
    case CLM_SPEC_OTHER:
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_BUG, "'%s': unknown kind of member", field->key);
}

enum clm_code clm_spec_fields_read(const struct clm_spec_field *table, const struct clm_json *obj,
                                   const struct clm_job_envelope *job, void *base,
                                   struct clm_err *err)
{
    enum clm_code code = check_known(table, obj, job, err);

    for (; table->key != NULL && code == CLM_OK; table++) {
        code = read_field(table, obj, (unsigned char *)base + table->offset, err);
    }
    return code;
}

enum clm_code clm_spec_object_read(const struct clm_spec_field *table,
                                   const struct clm_json *parent, const char *key, void *base,
                                   struct clm_err *err)
{
    const struct clm_json *obj = clm_json_get(parent, key);
    enum clm_code code;

    if (obj == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(parent, key, &obj, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_spec_fields_read(table, obj, NULL, base, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "%s", key);
}

enum clm_code clm_spec_elements_read(const struct clm_json *obj, const char *key, size_t max,
                                     clm_spec_element_fn read, void *arg, struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(obj, key);
    size_t i = 0;
    enum clm_code code;

    if (array == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(obj, key, max, &array, err);
    if (code != CLM_OK) {
        return code;
    }
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node), i++) {
        code = read(node, arg, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "%s/%zu", key, i);
        }
    }
    return CLM_OK;
}
