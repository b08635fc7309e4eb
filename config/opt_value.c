/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/job.h"
#include "agent/model/names.h"
#include "agent/model/policy.h"
#include "agent/model/target.h"
#include "config/opt.h"

/* Every message names the place and, as first argument, the option. */
#define REFUSE(place, err, fmt, ...)                                                               \
    clm_err_set((err), CLM_E_CONFIG, "%s:%zu:%zu: '%s': " fmt, (place)->file, (place)->line,       \
                (place)->column, __VA_ARGS__)

#define VALUE_SIZE 4096 /* a normalised text, NUL included */
#define USER_MAX   32   /* useradd(8) */

static void *at(const struct clm_opt *opt, void *object)
{
    return (unsigned char *)object + opt->offset;
}

static const void *at_const(const struct clm_opt *opt, const void *object)
{
    return (const unsigned char *)object + opt->offset;
}

const char *clm_opt_type_words(const struct clm_opt *opt)
{
    switch (opt->type) {
    case CLM_OPT_TEXT:
        return opt->form == CLM_FORM_PATH ? "absolute path" : "text";
    case CLM_OPT_ENUM:
        return "one word";
    case CLM_OPT_INT:
        return "whole number";
    case CLM_OPT_BOOL:
        return "true or false";
    case CLM_OPT_LIST:
        return opt->form == CLM_FORM_PATH ? "list of absolute paths" : "list of texts";
    case CLM_OPT_MAP:
        return "map of names to absolute paths";
    case CLM_OPT_TREE:
        break;
    }
    return "map of names to maps";
}

/* ---- forms: each says what is wrong, or writes the text as it is kept ---- */

static bool consists_of(const char *text, const char *set, size_t max)
{
    size_t len = strlen(text);

    return len <= max && strspn(text, set) == len;
}

static const char *normalise_path(const char *text, char *dst)
{
    size_t len = strlen(text);

    if (text[0] != '/') {
        return "is not an absolute path";
    }
    while (len > 1 && text[len - 1] == '/') {
        len--;
    }
    memcpy(dst, text, len);
    dst[len] = '\0';
    for (const char *part = dst; *part == '/' && part[1] != '\0';) {
        size_t n = strcspn(part + 1, "/");

        if (n == 0 || (n == 1 && part[1] == '.') || (n == 2 && part[1] == '.' && part[2] == '.')) {
            return "has an empty, '.' or '..' component";
        }
        part += 1 + n;
    }
    return NULL;
}

static const char *normalise_name(const char *text, char *dst)
{
    if (clm_ip_normalise(text, dst, NULL) == CLM_OK ||
        clm_dns_normalise(text, true, dst, NULL) == CLM_OK) {
        return NULL;
    }
    return "is neither a DNS name, nor a wildcard such as '*.example.com', nor an IP address";
}

static const char *check_target(const char *text)
{
    size_t kind = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_*");

    if (strcmp(text, "host") == 0 || strcmp(text, "*") == 0) {
        return NULL;
    }
    if (kind < 1 || text[kind] != ':' || text[kind + 1] == '\0' ||
        strlen(text) >= CLM_TARGET_ID_SIZE) {
        return "is not a target such as 'nginx:www.example.com' or 'nginx:*'";
    }
    return NULL;
}

static const char *check_proxy(const char *text)
{
    if (!clm_str_starts(text, "http://") && !clm_str_starts(text, "https://")) {
        return "is not of the form http://host:port";
    }
    if (strchr(text, '@') != NULL) {
        return "holds a user name or password, which do not belong in this file";
    }
    return strchr(text, ' ') != NULL ? "holds a space" : NULL;
}

static bool is_choice(const struct clm_opt *opt, const char *text)
{
    for (size_t i = 0; opt->choices[i] != NULL; i++) {
        if (strcmp(opt->choices[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* What is wrong with text for the option; NULL if nothing, and dst of VALUE_SIZE holds what is to
 * be kept. text is printable and shorter than VALUE_SIZE. */
static const char *normalise(const struct clm_opt *opt, const char *text, char *dst)
{
    memcpy(dst, text, strlen(text) + 1);
    switch (opt->form) {
    case CLM_FORM_ANY:
        return NULL;
    case CLM_FORM_PATH:
        return normalise_path(text, dst);
    case CLM_FORM_NAME:
        return normalise_name(text, dst);
    case CLM_FORM_TARGET:
        return check_target(text);
    case CLM_FORM_KIND:
        return consists_of(text, "abcdefghijklmnopqrstuvwxyz0123456789_", 24)
                   ? NULL
                   : "is not the name of a kind of server, such as 'nginx'";
    case CLM_FORM_CHOICE:
        return is_choice(opt, text) ? NULL : "is not one of the known values";
    case CLM_FORM_USER:
        return consists_of(text, "abcdefghijklmnopqrstuvwxyz0123456789_-", USER_MAX) &&
                       text[0] != '-'
                   ? NULL
                   : "is not the name of a user or group";
    case CLM_FORM_PROXY:
        break;
    }
    return check_proxy(text);
}

/* As many as there is room for. */
static void list_choices(const struct clm_opt *opt, struct clm_buf *out)
{
    for (size_t i = 0; opt->choices[i] != NULL; i++) {
        clm_ignore(clm_buf_addf(out, NULL, "%s%s", i == 0 ? "" : ", ", opt->choices[i]));
    }
}

/* Checks the text of a scalar, an element or an entry; dst of VALUE_SIZE. */
static enum clm_code check_text(const struct clm_opt *opt, const char *text,
                                const struct clm_opt_place *place, char *dst, struct clm_err *err)
{
    const char *fault = NULL;

    if (strlen(text) >= VALUE_SIZE || !clm_str_is_printable(text)) {
        return REFUSE(place, err, "%s", opt->key,
                      "must be printable ASCII of less than 4096 bytes");
    }
    if (text[0] == '\0' && opt->type == CLM_OPT_TEXT && opt->fallback != NULL &&
        opt->fallback[0] == '\0') {
        dst[0] = '\0'; /* none, as by default */
        return CLM_OK;
    }
    if (text[0] == '\0') {
        return REFUSE(place, err, "%s", opt->key, "is empty");
    }
    fault = normalise(opt, text, dst);
    if (fault != NULL && opt->choices != NULL) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf known = CLM_BUF_INIT(300);

        list_choices(opt, &known);
        return REFUSE(place, err, "'%.60s' is not one of %s", opt->key, text, clm_buf_str(&known));
    }
    if (fault != NULL) {
        return REFUSE(place, err, "'%.200s' %s", opt->key, text, fault);
    }
    return CLM_OK;
}

/* ---- setting ---- */

static enum clm_code set_text(const struct clm_opt *opt, const char *text,
                              const struct clm_opt_place *place, void *object, struct clm_err *err)
{
    char value[VALUE_SIZE];
    size_t max = opt->max > 0 ? (size_t)opt->max : opt->size - 1;
    enum clm_code code = check_text(opt, text, place, value, err);

    if (code != CLM_OK) {
        return code;
    }
    if (strlen(value) > max) {
        return REFUSE(place, err, "longer than %zu bytes", opt->key, max);
    }
    if (opt->form == CLM_FORM_PATH && strcmp(value, "/") == 0) {
        return REFUSE(place, err, "%s", opt->key, "the root directory is not possible here");
    }
    return clm_str_copy(at(opt, object), opt->size, value, err);
}

static enum clm_code set_int(const struct clm_opt *opt, const char *text, bool is_plain,
                             const struct clm_opt_place *place, void *object, struct clm_err *err)
{
    int64_t value = 0;
    const char *unit = opt->unit == NULL ? "" : opt->unit;

    if (!is_plain || clm_str_to_int(text, 0, INT64_MAX, &value, NULL) != CLM_OK) {
        return REFUSE(place, err, "must be a whole number%s%s without quotes, not '%.60s'",
                      opt->key, opt->unit == NULL ? "" : " of ", unit, text);
    }
    if (value < opt->min || value > opt->max) {
        return REFUSE(place, err, "%s is out of range %lld..%lld%s%s", opt->key, text,
                      (long long)opt->min, (long long)opt->max, unit[0] == '\0' ? "" : " ", unit);
    }
    if (opt->size == sizeof(uint32_t)) {
        uint32_t narrow = (uint32_t)value;

        memcpy(at(opt, object), &narrow, sizeof(narrow));
    } else {
        memcpy(at(opt, object), &value, sizeof(value));
    }
    return CLM_OK;
}

static enum clm_code set_bool(const struct clm_opt *opt, const char *text, bool is_plain,
                              const struct clm_opt_place *place, void *object, struct clm_err *err)
{
    bool is_true = strcmp(text, "true") == 0;
    bool *value = at(opt, object);

    if (!is_plain || (!is_true && strcmp(text, "false") != 0)) {
        return REFUSE(place, err, "must be true or false without quotes, not '%.60s'", opt->key,
                      text);
    }
    *value = is_true;
    return CLM_OK;
}

enum clm_code clm_opt_set(const struct clm_opt *opt, const char *text, bool is_plain,
                          const struct clm_opt_place *place, void *object, struct clm_err *err)
{
    char value[VALUE_SIZE];
    enum clm_code code;

    switch (opt->type) {
    case CLM_OPT_TEXT:
    case CLM_OPT_ENUM:
        return set_text(opt, text, place, object, err);
    case CLM_OPT_INT:
        return set_int(opt, text, is_plain, place, object, err);
    case CLM_OPT_BOOL:
        return set_bool(opt, text, is_plain, place, object, err);
    case CLM_OPT_LIST:
    case CLM_OPT_MAP:
    case CLM_OPT_TREE:
        break;
    }
    assert(opt->type == CLM_OPT_LIST); /* the others are not set from one text */
    code = check_text(opt, text, place, value, err);
    return code == CLM_OK ? clm_strs_add_once(at(opt, object), value, err) : code;
}

static size_t *count_of(const struct clm_opt *opt, void *object)
{
    return (size_t *)(void *)((unsigned char *)object + opt->count_offset);
}

enum clm_code clm_opt_set_entry(const struct clm_opt *opt, const char *name, const char *value,
                                const struct clm_opt_place *place, void *object,
                                struct clm_err *err)
{
    struct clm_policy_webroot **items = at(opt, object);
    size_t *n = count_of(opt, object);
    struct clm_policy_webroot *grown;
    char path[VALUE_SIZE];
    enum clm_code code = check_text(opt, value, place, path, err);

    if (code != CLM_OK) {
        return code;
    }
    if (!clm_job_name_is_valid(name)) {
        return REFUSE(place, err, "'%.80s' is not a name of a-z, 0-9 and ._-", opt->key, name);
    }
    for (size_t i = 0; i < *n; i++) {
        if (strcmp((*items)[i].name, name) == 0) {
            return REFUSE(place, err, "'%s' is already set to '%.200s'", opt->key, name,
                          (*items)[i].path);
        }
    }
    grown = realloc(*items, (*n + 1) * sizeof(**items));
    if (grown == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "configuration");
    }
    *items = grown;
    code = clm_str_copy(grown[*n].name, sizeof(grown[*n].name), name, err);
    if (code == CLM_OK) {
        code = clm_str_copy(grown[*n].path, sizeof(grown[*n].path), path, err);
    }
    if (code == CLM_OK) {
        (*n)++;
    }
    return code;
}

void clm_opt_clear(const struct clm_opt *opt, void *object)
{
    if (opt->type == CLM_OPT_LIST) {
        clm_strs_done(at(opt, object));
    } else if (opt->type == CLM_OPT_MAP) {
        struct clm_policy_webroot **items = at(opt, object);

        free(*items);
        *items = NULL;
        *count_of(opt, object) = 0;
    } else if (opt->type == CLM_OPT_TREE) {
        struct clm_json **tree = at(opt, object);

        clm_json_free(*tree);
        *tree = NULL;
    }
}

/* ---- showing ---- */

static enum clm_code show_text(const char *text, struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = clm_buf_add_str(out, "\"", err);

    for (const char *p = text; *p != '\0' && code == CLM_OK; p++) {
        if (*p == '"' || *p == '\\') {
            code = clm_buf_add_str(out, "\\", err);
        }
        if (code == CLM_OK) {
            code = clm_buf_add(out, p, 1, err);
        }
    }
    return code == CLM_OK ? clm_buf_add_str(out, "\"", err) : code;
}

static enum clm_code show_list(const struct clm_strs *list, struct clm_buf *out,
                               struct clm_err *err)
{
    enum clm_code code = clm_buf_add_str(out, "[", err);

    for (size_t i = 0; i < list->n && code == CLM_OK; i++) {
        code = clm_buf_add_str(out, i == 0 ? "" : ", ", err);
        if (code == CLM_OK) {
            code = show_text(list->v[i], out, err);
        }
    }
    return code == CLM_OK ? clm_buf_add_str(out, "]", err) : code;
}

static enum clm_code show_map(const struct clm_policy_webroot *items, size_t n, struct clm_buf *out,
                              struct clm_err *err)
{
    enum clm_code code = clm_buf_add_str(out, "{", err);

    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        code = clm_buf_addf(out, err, "%s%s: ", i == 0 ? "" : ", ", items[i].name);
        if (code == CLM_OK) {
            code = show_text(items[i].path, out, err);
        }
    }
    return code == CLM_OK ? clm_buf_add_str(out, "}", err) : code;
}

static enum clm_code show_int(const struct clm_opt *opt, const void *value, struct clm_buf *out,
                              struct clm_err *err)
{
    uint32_t narrow = 0;
    int64_t wide = 0;

    if (opt->size == sizeof(narrow)) {
        memcpy(&narrow, value, sizeof(narrow));
        wide = narrow;
    } else {
        memcpy(&wide, value, sizeof(wide));
    }
    return clm_buf_addf(out, err, "%lld", (long long)wide);
}

enum clm_code clm_opt_show(const struct clm_opt *opt, const void *object, struct clm_buf *out,
                           struct clm_err *err)
{
    const void *value = at_const(opt, object);
    size_t n = 0;

    switch (opt->type) {
    case CLM_OPT_TEXT:
        return show_text(value, out, err);
    case CLM_OPT_ENUM:
        return clm_buf_add_str(out, value, err);
    case CLM_OPT_INT:
        return show_int(opt, value, out, err);
    case CLM_OPT_BOOL:
        return clm_buf_add_str(out, *(const bool *)value ? "true" : "false", err);
    case CLM_OPT_LIST:
        return show_list(value, out, err);
    case CLM_OPT_MAP:
        memcpy(&n, (const unsigned char *)object + opt->count_offset, sizeof(n));
        return show_map(*(struct clm_policy_webroot *const *)value, n, out, err);
    case CLM_OPT_TREE:
        break;
    }
    return clm_opt_show_tree(*(struct clm_json *const *)value, out, err);
}
