/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/fields.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/model/probe.h"

char *clm_text_to_utf8(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len + 1);

    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, text, len + 1);
    for (size_t at = 0; at < len;) {
        size_t take = 1;

        while (take <= 4 && take <= len - at && !clm_str_is_utf8(copy + at, take)) {
            take++;
        }
        if (take > 4 || take > len - at) {
            copy[at] = '?';
            take = 1;
        }
        at += take;
    }
    return copy;
}

bool clm_is_sha256(const char *text)
{
    return strlen(text) == CLM_SHA256_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == CLM_SHA256_HEX_SIZE - 1;
}

void *clm_array_grow(void **io_items, size_t *io_n, size_t item_size)
{
    size_t n = *io_n;
    unsigned char *item;

    if ((n & (n - 1)) == 0) {
        size_t room = n == 0 ? 1 : n * 2;
        void *grown;

        if (room > SIZE_MAX / 2 / item_size) {
            return NULL;
        }
        grown = realloc(*io_items, room * item_size);
        if (grown == NULL) {
            return NULL;
        }
        *io_items = grown;
    }
    item = (unsigned char *)*io_items + n * item_size;
    memset(item, 0, item_size);
    *io_n = n + 1;
    return item;
}

static void write_text(struct clm_json *obj, const char *key, const char *text)
{
    char *copy;

    if (clm_str_is_utf8(text, strlen(text))) {
        clm_json_set_str(obj, key, text);
        return;
    }
    copy = clm_text_to_utf8(text);
    if (copy == NULL) {
        clm_json_set_take(obj, key, NULL); /* marks the tree: no memory */
        return;
    }
    clm_json_set_str(obj, key, copy);
    free(copy);
}

static void write_list(struct clm_json *obj, const char *key, const struct clm_strs *list)
{
    struct clm_json *array = clm_json_set_array(obj, key);

    for (size_t i = 0; i < list->n; i++) {
        char *copy = clm_text_to_utf8(list->v[i]);

        if (copy == NULL) {
            clm_json_add_take(array, NULL);
            return;
        }
        clm_json_add_str(array, copy);
        free(copy);
    }
}

static void write_time(struct clm_json *obj, const char *key, int64_t unix_s)
{
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(unix_s, text);
    clm_json_set_str(obj, key, text[0] == '\0' ? NULL : text);
}

static int64_t number_of(enum clm_field_kind kind, const void *at)
{
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    uint64_t u64;
    int64_t i64 = 0;

    if (kind == CLM_FIELD_U16) {
        memcpy(&u16, at, sizeof(u16));
        return u16;
    }
    if (kind == CLM_FIELD_I32) {
        memcpy(&i32, at, sizeof(i32));
        return i32;
    }
    if (kind == CLM_FIELD_U32) {
        memcpy(&u32, at, sizeof(u32));
        return u32;
    }
    if (kind == CLM_FIELD_U64) {
        memcpy(&u64, at, sizeof(u64));
        return u64 > (uint64_t)CLM_JSON_INT_MAX ? CLM_JSON_INT_MAX : (int64_t)u64;
    }
    memcpy(&i64, at, sizeof(i64));
    return i64;
}

static void put_number(enum clm_field_kind kind, int64_t value, void *at)
{
    uint16_t u16 = (uint16_t)value;
    int32_t i32 = (int32_t)value;
    uint32_t u32 = (uint32_t)value;
    uint64_t u64 = (uint64_t)value;

    if (kind == CLM_FIELD_U16) {
        memcpy(at, &u16, sizeof(u16));
    } else if (kind == CLM_FIELD_I32) {
        memcpy(at, &i32, sizeof(i32));
    } else if (kind == CLM_FIELD_U32) {
        memcpy(at, &u32, sizeof(u32));
    } else if (kind == CLM_FIELD_U64) {
        memcpy(at, &u64, sizeof(u64));
    } else {
        memcpy(at, &value, sizeof(value));
    }
}

static void write_field(const struct clm_field *field, const void *at, struct clm_json *obj)
{
    switch (field->kind) {
    case CLM_FIELD_TEXT:
        write_text(obj, field->key, at);
        break;
    case CLM_FIELD_EXACT:
        clm_json_set_str(obj, field->key,
                         clm_str_is_utf8(at, strlen((const char *)at)) ? (const char *)at : NULL);
        break;
    case CLM_FIELD_SHA256:
        clm_json_set_str(obj, field->key, at);
        break;
    case CLM_FIELD_BOOL:
        clm_json_set_bool(obj, field->key, *(const bool *)at);
        break;
    case CLM_FIELD_U16:
    case CLM_FIELD_I32:
    case CLM_FIELD_U32:
    case CLM_FIELD_U64:
    case CLM_FIELD_I64:
        clm_json_set_int(obj, field->key, number_of(field->kind, at));
        break;
    case CLM_FIELD_TIME:
        write_time(obj, field->key, number_of(CLM_FIELD_I64, at));
        break;
    case CLM_FIELD_LIST:
        write_list(obj, field->key, at);
        break;
    }
}

void clm_fields_to_json(const struct clm_field *table, const void *object, struct clm_json *obj)
{
    for (const struct clm_field *field = table; field->key != NULL; field++) {
        write_field(field, (const unsigned char *)object + field->offset, obj);
    }
}

static enum clm_code read_text(const struct clm_field *field, const struct clm_json *obj, char *at,
                               struct clm_err *err)
{
    const char *text = "";
    enum clm_code code;

    if (field->required) {
        code = clm_json_str(obj, field->key, field->size - 1, &text, err);
    } else {
        code = clm_json_str_or(obj, field->key, field->size - 1, "", &text, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    return clm_str_copy(at, field->size, text, err);
}

static enum clm_code read_sha256(const struct clm_field *field, const struct clm_json *obj,
                                 char *at, struct clm_err *err)
{
    const struct clm_field as_text = {.key = field->key,
                                      .kind = CLM_FIELD_TEXT,
                                      .required = field->required,
                                      .size = CLM_SHA256_HEX_SIZE};
    enum clm_code code = read_text(&as_text, obj, at, err);

    if (code != CLM_OK) {
        return code;
    }
    if (clm_is_sha256(at) || (at[0] == '\0' && !field->required)) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_PARSE, "'%s': not a SHA-256 in 64 lower-case hexadecimal digits",
                       field->key);
}

static enum clm_code read_number(const struct clm_field *field, const struct clm_json *obj,
                                 void *at, struct clm_err *err)
{
    int64_t value = number_of(field->kind, at);
    enum clm_code code;

    if (field->required) {
        code = clm_json_int(obj, field->key, field->min, field->max, &value, err);
    } else {
        code = clm_json_int_or(obj, field->key, field->min, field->max, &value, err);
    }
    if (code == CLM_OK) {
        put_number(field->kind, value, at);
    }
    return code;
}

static enum clm_code read_time(const struct clm_field *field, const struct clm_json *obj, void *at,
                               struct clm_err *err)
{
    const char *text = NULL;
    int64_t unix_s = 0;
    enum clm_code code;

    if (field->required) {
        code = clm_json_str(obj, field->key, CLM_TIME_TEXT_SIZE - 1, &text, err);
    } else {
        code = clm_json_str_or(obj, field->key, CLM_TIME_TEXT_SIZE - 1, NULL, &text, err);
    }
    if (code != CLM_OK || text == NULL) {
        return code;
    }
    code = clm_time_parse(text, &unix_s, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "'%s'", field->key);
    }
    put_number(CLM_FIELD_I64, unix_s, at);
    return CLM_OK;
}

static enum clm_code read_list(const struct clm_field *field, const struct clm_json *obj,
                               struct clm_strs *list, struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(obj, field->key);
    enum clm_code code;

    if (array == NULL && !field->required) {
        return CLM_OK;
    }
    code = clm_json_array(obj, field->key, CLM_FIELD_LIST_MAX, &array, err);
    if (code != CLM_OK) {
        return code;
    }
    size_t i = 0;
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node), i++) {
        const char *text = clm_json_text(node);

        if (text == NULL) {
            return clm_err_set(err, CLM_E_PARSE, "'%s': element %zu is no string", field->key, i);
        }
        if (strlen(text) >= field->size) {
            return clm_err_set(err, CLM_E_LIMIT, "'%s': element %zu is longer than %zu bytes",
                               field->key, i, field->size - 1);
        }
        code = clm_strs_add(list, text, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

static enum clm_code read_field(const struct clm_field *field, const struct clm_json *obj, void *at,
                                struct clm_err *err)
{
    switch (field->kind) {
    case CLM_FIELD_TEXT:
    case CLM_FIELD_EXACT:
        return read_text(field, obj, at, err);
    case CLM_FIELD_SHA256:
        return read_sha256(field, obj, at, err);
    case CLM_FIELD_BOOL:
        if (field->required) {
            return clm_json_bool(obj, field->key, at, err);
        }
        return clm_json_bool_or(obj, field->key, at, err);
    case CLM_FIELD_U16:
    case CLM_FIELD_I32:
    case CLM_FIELD_U32:
    case CLM_FIELD_U64:
    case CLM_FIELD_I64:
        return read_number(field, obj, at, err);
    case CLM_FIELD_TIME:
        return read_time(field, obj, at, err);
    case CLM_FIELD_LIST:
        return read_list(field, obj, at, err);
    }
    return clm_err_set(err, CLM_E_BUG, "'%s': unknown kind of member", field->key);
}

enum clm_code clm_fields_from_json(const struct clm_field *table, const struct clm_json *obj,
                                   void *object, struct clm_err *err)
{
    for (const struct clm_field *field = table; field->key != NULL; field++) {
        enum clm_code code = read_field(field, obj, (unsigned char *)object + field->offset, err);

        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}
