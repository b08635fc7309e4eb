/* SPDX-License-Identifier: Apache-2.0 */
/* Reading. Foreign text passes json_check.c first, so cJSON never sees anything unusual. */
#include "agent/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "agent/base/json_check.h"
#include "agent/base/json_node.h"

#define PATH_SHOWN_MAX 192 /* bytes of the place in an error message */
#define CJSON_DIGITS   60  /* unpatched cJSON 1.7.15 reads 63 bytes of a number, no more */

/* ---- parents ---- */

cJSON *clm_json_parent(const cJSON *node)
{
    void *parent = NULL;

    memcpy(&parent, &node->valuedouble, sizeof(void *));
    return parent;
}

static void set_parent(cJSON *node, cJSON *parent)
{
    void *pointer = parent;

    node->valuedouble = 0;
    memcpy(&node->valuedouble, &pointer, sizeof(void *));
}

static bool is_container(const cJSON *node)
{
    return cJSON_IsObject(node) || cJSON_IsArray(node);
}

/* Goes down and along without recursion: a tree being written has no depth limit yet. */
void clm_json_link(cJSON *node, cJSON *parent)
{
    cJSON *top = node;

    if (!is_container(node)) {
        return;
    }
    set_parent(node, parent);
    while (node != NULL) {
        if (is_container(node) && node->child != NULL) {
            parent = node;
            node = node->child;
        } else {
            while (node != top && node->next == NULL) {
                node = parent;
                parent = node == top ? NULL : clm_json_parent(node);
            }
            node = node == top ? NULL : node->next;
        }
        if (node != NULL && is_container(node)) {
            set_parent(node, parent);
        }
    }
}

/* ---- parse ---- */

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
}

/* Numbers too long for cJSON become the same double in fewer digits; blanks fill the rest. */
static void shorten_numbers(char *text)
{
    bool is_string = false;
    char *p = text;

    while (*p != '\0') {
        size_t len = 0;

        if (*p == '"') {
            is_string = !is_string;
        } else if (is_string && *p == '\\') {
            p++;
        }
        while (!is_string && is_number_char(p[len])) {
            len++;
        }
        if (len > CJSON_DIGITS) {
            int n = snprintf(p, len, "%.17g", strtod(p, NULL));

            memset(p + n, ' ', len - (size_t)n);
        }
        p += len > 0 ? len : 1;
    }
}

enum clm_code clm_json_parse(const char *text, size_t len, size_t max_bytes,
                             struct clm_json **out_root, struct clm_err *err)
{
    enum clm_code code;
    cJSON *root;
    char *copy;

    if (len > max_bytes) {
        return clm_err_set(err, CLM_E_LIMIT, "JSON of %zu bytes exceeds %zu", len, max_bytes);
    }
    code = clm_json_check(text, len, err);
    if (code != CLM_OK) {
        return code;
    }
    copy = malloc(len + 1);
    if (copy == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for JSON");
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    shorten_numbers(copy);
    root = cJSON_ParseWithLength(copy, len + 1);
    explicit_bzero(copy, len); /* may have held a token */
    free(copy);
    if (root == NULL) {
        /* The text is good, so nothing but memory can have been missing. */
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for JSON");
    }
    clm_json_link(root, NULL);
    *out_root = clm_json_opaque(root);
    return CLM_OK;
}

void clm_json_free(struct clm_json *root)
{
    if (!clm_json_is_lost(clm_json_node(root))) {
        cJSON_Delete(clm_json_node(root));
    }
}

/* ---- looking around ---- */

enum clm_json_kind clm_json_kind(const struct clm_json *node)
{
    const cJSON *item = clm_json_node_const(node);

    if (cJSON_IsBool(item)) {
        return CLM_JSON_BOOL;
    }
    if (cJSON_IsNumber(item)) {
        return CLM_JSON_NUMBER;
    }
    if (cJSON_IsString(item)) {
        return CLM_JSON_STRING;
    }
    if (cJSON_IsArray(item)) {
        return CLM_JSON_ARRAY;
    }
    return cJSON_IsObject(item) ? CLM_JSON_OBJECT : CLM_JSON_NULL;
}

static const cJSON *find(const struct clm_json *obj, const char *key)
{
    const cJSON *item = clm_json_node_const(obj);

    if (!cJSON_IsObject(item)) {
        return NULL;
    }
    item = cJSON_GetObjectItemCaseSensitive(item, key);
    return cJSON_IsNull(item) ? NULL : item;
}

const struct clm_json *clm_json_get(const struct clm_json *obj, const char *key)
{
    return (const struct clm_json *)(const void *)find(obj, key);
}

size_t clm_json_len(const struct clm_json *node)
{
    size_t n = 0;

    for (node = clm_json_first(node); node != NULL; node = clm_json_next(node)) {
        n++;
    }
    return n;
}

const struct clm_json *clm_json_first(const struct clm_json *node)
{
    const cJSON *item = clm_json_node_const(node);

    if (item == NULL || !is_container(item)) {
        return NULL;
    }
    return (const struct clm_json *)(const void *)item->child;
}

const struct clm_json *clm_json_next(const struct clm_json *node)
{
    return node == NULL ? NULL
                        : (const struct clm_json *)(const void *)clm_json_node_const(node)->next;
}

const char *clm_json_key(const struct clm_json *node)
{
    const cJSON *item = clm_json_node_const(node);

    return item->string != NULL ? item->string : "";
}

const char *clm_json_text(const struct clm_json *node)
{
    return cJSON_GetStringValue(clm_json_node_const(node));
}

/* ---- errors that name the place ---- */

static size_t index_in(const cJSON *array, const cJSON *node)
{
    size_t n = 0;

    for (const cJSON *item = array->child; item != node; item = item->next) {
        n++;
    }
    return n;
}

/* Puts "/<step>" in front of what stands in path at *io_at; false if there is no room left. */
static bool put_step(char *path, size_t *io_at, const char *step)
{
    size_t len = strlen(step);

    if (len + 1 > *io_at) {
        return false;
    }
    *io_at -= len;
    for (size_t i = 0; i < len; i++) {
        path[*io_at + i] = step[i];
        if ((unsigned char)step[i] < 0x20 || step[i] == 0x7f) {
            path[*io_at + i] = '?';
        }
    }
    path[--*io_at] = '/';
    return true;
}

/* The place of member key of obj, like "/leases/0/fence". Upper levels go first if it is long. */
static const char *place(const struct clm_json *obj, const char *key, char path[PATH_SHOWN_MAX])
{
    const cJSON *node = clm_json_node_const(obj);
    size_t at = PATH_SHOWN_MAX - 1;

    path[at] = '\0';
    if (!put_step(path, &at, key)) {
        return "(long key)";
    }
    while (node != NULL && is_container(node) && clm_json_parent(node) != NULL) {
        const cJSON *parent = clm_json_parent(node);
        char number[24];
        const char *step = node->string;

        if (step == NULL) {
            (void)snprintf(number, sizeof(number), "%zu", index_in(parent, node));
            step = number;
        }
        if (!put_step(path, &at, step)) {
            break;
        }
        node = parent;
    }
    return path + at;
}

static enum clm_code missing(const struct clm_json *obj, const char *key, struct clm_err *err)
{
    char path[PATH_SHOWN_MAX];

    return clm_err_set(err, CLM_E_PARSE, "%s: missing", place(obj, key, path));
}

static enum clm_code wrong(const struct clm_json *obj, const char *key, const char *what,
                           struct clm_err *err)
{
    char path[PATH_SHOWN_MAX];

    return clm_err_set(err, CLM_E_PARSE, "%s: is not %s", place(obj, key, path), what);
}

/* ---- members ---- */

enum clm_code clm_json_str_or(const struct clm_json *obj, const char *key, size_t max,
                              const char *fallback, const char **out, struct clm_err *err)
{
    const cJSON *item = find(obj, key);
    char path[PATH_SHOWN_MAX];

    if (item == NULL) {
        *out = fallback;
        return CLM_OK;
    }
    if (!cJSON_IsString(item)) {
        return wrong(obj, key, "a string", err);
    }
    if (strlen(item->valuestring) > max) {
        return clm_err_set(err, CLM_E_LIMIT, "%s: longer than %zu bytes", place(obj, key, path),
                           max);
    }
    *out = item->valuestring;
    return CLM_OK;
}

enum clm_code clm_json_str(const struct clm_json *obj, const char *key, size_t max,
                           const char **out, struct clm_err *err)
{
    if (find(obj, key) == NULL) {
        return missing(obj, key, err);
    }
    return clm_json_str_or(obj, key, max, NULL, out, err);
}

enum clm_code clm_json_int_or(const struct clm_json *obj, const char *key, int64_t min, int64_t max,
                              int64_t *io_value, struct clm_err *err)
{
    const cJSON *item = find(obj, key);
    char path[PATH_SHOWN_MAX];
    double number;

    if (item == NULL) {
        return CLM_OK;
    }
    if (!cJSON_IsNumber(item)) {
        return wrong(obj, key, "an integer", err);
    }
    number = item->valuedouble;
    if (!(fabs(number) <= (double)CLM_JSON_INT_MAX) || (double)(int64_t)number != number) {
        return wrong(obj, key, "an integer", err);
    }
    if ((int64_t)number < min || (int64_t)number > max) {
        return clm_err_set(err, CLM_E_LIMIT, "%s: %lld is not between %lld and %lld",
                           place(obj, key, path), (long long)number, (long long)min,
                           (long long)max);
    }
    *io_value = (int64_t)number;
    return CLM_OK;
}

enum clm_code clm_json_int(const struct clm_json *obj, const char *key, int64_t min, int64_t max,
                           int64_t *out, struct clm_err *err)
{
    if (find(obj, key) == NULL) {
        return missing(obj, key, err);
    }
    return clm_json_int_or(obj, key, min, max, out, err);
}

enum clm_code clm_json_bool_or(const struct clm_json *obj, const char *key, bool *io_value,
                               struct clm_err *err)
{
    const cJSON *item = find(obj, key);

    if (item == NULL) {
        return CLM_OK;
    }
    if (!cJSON_IsBool(item)) {
        return wrong(obj, key, "true or false", err);
    }
    *io_value = cJSON_IsTrue(item) != 0;
    return CLM_OK;
}

enum clm_code clm_json_bool(const struct clm_json *obj, const char *key, bool *out,
                            struct clm_err *err)
{
    if (find(obj, key) == NULL) {
        return missing(obj, key, err);
    }
    return clm_json_bool_or(obj, key, out, err);
}

enum clm_code clm_json_object(const struct clm_json *obj, const char *key,
                              const struct clm_json **out, struct clm_err *err)
{
    const struct clm_json *item = clm_json_get(obj, key);

    if (item == NULL) {
        return missing(obj, key, err);
    }
    if (clm_json_kind(item) != CLM_JSON_OBJECT) {
        return wrong(obj, key, "an object", err);
    }
    *out = item;
    return CLM_OK;
}

enum clm_code clm_json_array(const struct clm_json *obj, const char *key, size_t max,
                             const struct clm_json **out, struct clm_err *err)
{
    const struct clm_json *item = clm_json_get(obj, key);
    char path[PATH_SHOWN_MAX];

    if (item == NULL) {
        return missing(obj, key, err);
    }
    if (clm_json_kind(item) != CLM_JSON_ARRAY) {
        return wrong(obj, key, "an array", err);
    }
    if (clm_json_len(item) > max) {
        return clm_err_set(err, CLM_E_LIMIT, "%s: more than %zu elements", place(obj, key, path),
                           max);
    }
    *out = item;
    return CLM_OK;
}

enum clm_code clm_json_only(const struct clm_json *obj, const char *const *allowed,
                            struct clm_err *err)
{
    char path[PATH_SHOWN_MAX];

    for (const struct clm_json *item = clm_json_first(obj); item != NULL;
         item = clm_json_next(item)) {
        const char *key = clm_json_key(item);
        const char *const *name = allowed;

        while (*name != NULL && strcmp(*name, key) != 0) {
            name++;
        }
        if (*name == NULL) {
            return clm_err_set(err, CLM_E_PARSE, "%s: unknown member", place(obj, key, path));
        }
    }
    return CLM_OK;
}
