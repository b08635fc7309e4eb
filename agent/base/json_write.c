/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. The tree is cJSON's; the printer is ours, because cJSON rounds integers beyond 15 digits,
 * indents with tabs and passes on bytes that are not UTF-8.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "agent/base/json_node.h"
#include "agent/base/str.h"

/* ---- building ---- */

/* Trees for which there was no memory at all: marked from birth, never written to, never freed. */
static const cJSON lost_object = {.type = cJSON_Object | CLM_JSON_POISON_NOMEM};
static const cJSON lost_array = {.type = cJSON_Array | CLM_JSON_POISON_NOMEM};

static struct clm_json *new_tree(cJSON *node, const cJSON *lost)
{
    struct clm_json *instead;

    memcpy(&instead, &lost, sizeof(void *)); /* sheds const: clm_json_is_lost() is asked first */
    return node != NULL ? clm_json_opaque(node) : instead;
}

bool clm_json_is_lost(const cJSON *node)
{
    return node == &lost_object || node == &lost_array;
}

/* Marks node and everything above it, so that the root knows. */
static void poison(cJSON *node, int why)
{
    while (node != NULL && !clm_json_is_lost(node)) {
        node->type |= why;
        node = clm_json_parent(node);
    }
}

struct clm_json *clm_json_new_object(void)
{
    return new_tree(cJSON_CreateObject(), &lost_object);
}

struct clm_json *clm_json_new_array(void)
{
    return new_tree(cJSON_CreateArray(), &lost_array);
}

bool clm_json_is_whole(const struct clm_json *root)
{
    return root != NULL && (clm_json_node_const(root)->type & CLM_JSON_POISON_NOMEM) == 0;
}

static bool is_kind(const cJSON *node, int type)
{
    return node != NULL && (node->type & 0xff) == type;
}

static bool add_element(cJSON *array, cJSON *item)
{
    free(item->string); /* of a member that was copied */
    item->string = NULL;
    return cJSON_AddItemToArray(array, item);
}

static bool set_member(cJSON *obj, const char *key, cJSON *item)
{
    if (cJSON_GetObjectItemCaseSensitive(obj, key) == NULL) {
        return cJSON_AddItemToObject(obj, key, item);
    }
    bool is_done = cJSON_ReplaceItemInObjectCaseSensitive(obj, key, item);

    if (is_done && item->string == NULL) { /* cJSON 1.7.15 goes on without memory for the key */
        poison(obj, CLM_JSON_POISON_NOMEM);
    }
    return is_done;
}

/* Attaches item, which may be NULL for lack of memory; poisons parent if that fails. */
static cJSON *attach(cJSON *parent, const char *key, cJSON *item)
{
    bool is_done = false;

    if (item == NULL || clm_json_is_lost(item)) {
        poison(parent, CLM_JSON_POISON_NOMEM);
        return NULL;
    }
    if (key != NULL && is_kind(parent, cJSON_Object) && !clm_json_is_lost(parent)) {
        is_done = set_member(parent, key, item);
    } else if (key == NULL && is_kind(parent, cJSON_Array) && !clm_json_is_lost(parent)) {
        is_done = add_element(parent, item);
    }
    if (!is_done) {
        poison(parent, CLM_JSON_POISON_NOMEM);
        cJSON_Delete(item);
        return NULL;
    }
    clm_json_link(item, parent);
    poison(parent, item->type & CLM_JSON_POISON_NOMEM);
    return item;
}

static cJSON *string_node(const char *value)
{
    return value != NULL ? cJSON_CreateString(value) : cJSON_CreateNull();
}

/* What cannot be a JSON number poisons the node itself. */
static cJSON *number_node(double value, bool is_valid)
{
    cJSON *node = cJSON_CreateNumber(is_valid ? value : 0);

    if (!is_valid) {
        poison(node, CLM_JSON_POISON_VALUE);
    }
    return node;
}

static cJSON *int_node(int64_t value)
{
    return number_node((double)value, value <= CLM_JSON_INT_MAX && value >= -CLM_JSON_INT_MAX);
}

void clm_json_set_str(struct clm_json *obj, const char *key, const char *value)
{
    (void)attach(clm_json_node(obj), key, string_node(value));
}

void clm_json_set_int(struct clm_json *obj, const char *key, int64_t value)
{
    (void)attach(clm_json_node(obj), key, int_node(value));
}

void clm_json_set_real(struct clm_json *obj, const char *key, double value)
{
    (void)attach(clm_json_node(obj), key, number_node(value, isfinite(value)));
}

void clm_json_set_bool(struct clm_json *obj, const char *key, bool value)
{
    (void)attach(clm_json_node(obj), key, cJSON_CreateBool(value));
}

void clm_json_set_null(struct clm_json *obj, const char *key)
{
    (void)attach(clm_json_node(obj), key, cJSON_CreateNull());
}

struct clm_json *clm_json_set_object(struct clm_json *obj, const char *key)
{
    return clm_json_opaque(attach(clm_json_node(obj), key, cJSON_CreateObject()));
}

struct clm_json *clm_json_set_array(struct clm_json *obj, const char *key)
{
    return clm_json_opaque(attach(clm_json_node(obj), key, cJSON_CreateArray()));
}

void clm_json_set_take(struct clm_json *obj, const char *key, struct clm_json *child)
{
    (void)attach(clm_json_node(obj), key, clm_json_node(child));
}

/* cJSON_Duplicate() recurses, but nothing deeper than the parser or the printer allows is copied. */
static cJSON *copy_of(const struct clm_json *node)
{
    return node != NULL ? cJSON_Duplicate(clm_json_node_const(node), 1) : cJSON_CreateNull();
}

void clm_json_set_copy(struct clm_json *obj, const char *key, const struct clm_json *node)
{
    (void)attach(clm_json_node(obj), key, copy_of(node));
}

void clm_json_remove(struct clm_json *obj, const char *key)
{
    if (is_kind(clm_json_node(obj), cJSON_Object)) {
        cJSON_DeleteItemFromObjectCaseSensitive(clm_json_node(obj), key);
    }
}

void clm_json_add_str(struct clm_json *array, const char *value)
{
    (void)attach(clm_json_node(array), NULL, string_node(value));
}

void clm_json_add_int(struct clm_json *array, int64_t value)
{
    (void)attach(clm_json_node(array), NULL, int_node(value));
}

struct clm_json *clm_json_add_object(struct clm_json *array)
{
    return clm_json_opaque(attach(clm_json_node(array), NULL, cJSON_CreateObject()));
}

void clm_json_add_take(struct clm_json *array, struct clm_json *child)
{
    (void)attach(clm_json_node(array), NULL, clm_json_node(child));
}

void clm_json_add_copy(struct clm_json *array, const struct clm_json *node)
{
    (void)attach(clm_json_node(array), NULL, copy_of(node));
}

struct clm_json *clm_json_edit(struct clm_json *obj, const char *key)
{
    cJSON *node = clm_json_node(obj);

    if (!is_kind(node, cJSON_Object)) {
        return NULL;
    }
    node = cJSON_GetObjectItemCaseSensitive(node, key);
    return cJSON_IsNull(node) ? NULL : clm_json_opaque(node);
}

/* ---- printing ---- */

struct print {
    struct clm_buf *out;
    bool is_pretty;
    struct clm_err *err;
};

/* The escape of the character at p of len bytes (0: not UTF-8); NULL if it stands for itself. */
static const char *escape_of(const uint8_t *p, size_t len, char dst[8])
{
    switch (len == 0 ? 0 : *p) {
    case 0:
        return "\xef\xbf\xbd"; /* U+FFFD */
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (*p >= 0x20 && *p != 0x7f) {
        return NULL;
    }
    (void)snprintf(dst, 8, "\\u%04x", *p);
    return dst;
}

static enum clm_code print_string(struct print *p, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text);
    enum clm_code code = clm_buf_add(p->out, "\"", 1, p->err);

    while (code == CLM_OK && left > 0) {
        size_t plain = 0;
        size_t len = 0;
        const char *escape = NULL;
        char dst[8];

        while (plain < left && escape == NULL) {
            len = clm_str_utf8_len(at + plain, left - plain);
            escape = escape_of(at + plain, len, dst);
            plain += escape == NULL ? len : 0;
        }
        code = clm_buf_add(p->out, at, plain, p->err);
        at += plain;
        left -= plain;
        if (code == CLM_OK && escape != NULL) {
            code = clm_buf_add_str(p->out, escape, p->err);
            at += len > 0 ? len : 1;
            left -= len > 0 ? len : 1;
        }
    }
    return code != CLM_OK ? code : clm_buf_add(p->out, "\"", 1, p->err);
}

static enum clm_code print_number(struct print *p, double value)
{
    char text[32];

    assert(isfinite(value)); /* others are neither read nor set */
    const bool is_large = fabs(value) > (double)CLM_JSON_INT_MAX;

    if (!is_large && (double)(int64_t)value == value) {
        return clm_buf_addf(p->out, p->err, "%lld", (long long)value);
    }
    (void)snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value) { /* a large one without exponent would be refused when read */
        (void)snprintf(text, sizeof(text), is_large ? "%.16e" : "%.17g", value);
    }
    return clm_buf_add_str(p->out, text, p->err); /* no locale is set for numbers: a point */
}

static enum clm_code print_break(struct print *p, int depth)
{
    if (!p->is_pretty) {
        return CLM_OK;
    }
    return clm_buf_addf(p->out, p->err, "\n%*s", 2 * depth, "");
}

static enum clm_code print_node(struct print *p, const cJSON *node, int depth);

static enum clm_code print_child(struct print *p, const cJSON *item, int depth)
{
    enum clm_code code = print_break(p, depth);

    if (code == CLM_OK && item->string != NULL) {
        code = print_string(p, item->string);
        if (code == CLM_OK) {
            code = clm_buf_add_str(p->out, p->is_pretty ? ": " : ":", p->err);
        }
    }
    if (code == CLM_OK) {
        code = print_node(p, item, depth);
    }
    if (code == CLM_OK && item->next != NULL) {
        code = clm_buf_add(p->out, ",", 1, p->err);
    }
    return code;
}

static enum clm_code print_container(struct print *p, const cJSON *node, int depth)
{
    const char *brackets = cJSON_IsObject(node) ? "{}" : "[]";
    enum clm_code code;

    if (depth >= CLM_JSON_DEPTH_MAX) {
        return clm_err_set(p->err, CLM_E_LIMIT, "JSON to write is nested deeper than %d",
                           CLM_JSON_DEPTH_MAX);
    }
    code = clm_buf_add(p->out, brackets, 1, p->err);
    for (const cJSON *item = node->child; code == CLM_OK && item != NULL; item = item->next) {
        code = print_child(p, item, depth + 1);
    }
    if (code == CLM_OK && node->child != NULL) {
        code = print_break(p, depth);
    }
    return code != CLM_OK ? code : clm_buf_add(p->out, brackets + 1, 1, p->err);
}

static enum clm_code print_node(struct print *p, const cJSON *node, int depth)
{
    if ((node->type & CLM_JSON_POISON_NOMEM) != 0) {
        return clm_err_set(p->err, CLM_E_NOMEM, "out of memory for JSON to write");
    }
    if ((node->type & CLM_JSON_POISON_VALUE) != 0) {
        return clm_err_set(p->err, CLM_E_INVAL, "number to write is beyond 2^53 - 1 or not finite");
    }
    switch (node->type & 0xff) {
    case cJSON_Object:
    case cJSON_Array:
        return print_container(p, node, depth);
    case cJSON_String:
        return print_string(p, node->valuestring);
    case cJSON_Number:
        return print_number(p, node->valuedouble);
    case cJSON_True:
        return clm_buf_add_str(p->out, "true", p->err);
    case cJSON_False:
        return clm_buf_add_str(p->out, "false", p->err);
    default:
        return clm_buf_add_str(p->out, "null", p->err);
    }
}

enum clm_code clm_json_print(const struct clm_json *root, bool pretty, struct clm_buf *out,
                             struct clm_err *err)
{
    struct print p = {.out = out, .is_pretty = pretty, .err = err};
    size_t len = out->len;
    enum clm_code code;

    if (root == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for JSON to write");
    }
    code = print_node(&p, clm_json_node_const(root), 0);
    if (code != CLM_OK && out->data != NULL) {
        out->len = len;
        out->data[len] = '\0';
    }
    return code;
}
