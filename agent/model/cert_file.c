/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/cert_file.h"

#include <stdlib.h>
#include <string.h>

#include "agent/model/fields.h"

#define AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

static const char *const formats[CLM_FOUND_FORMAT__COUNT] = {"pem",    "der", "pkcs7",
                                                             "pkcs12", "jks", "jceks"};
static const char *const states[CLM_FOUND_STATUS__COUNT] = {"monitored", "managed", "ignored"};
static const char *const kinds[CLM_FOUND_KIND__COUNT] = {"certificate", "key", "trusted", "other"};
static const char *const problems[CLM_FOUND_PROBLEMS] = {
    "expired",        "expiring",     "not_yet_valid", "weak_key",
    "weak_signature", "key_readable", "key_mismatch",  "chain_broken"};

static const struct clm_field file_fields[] = {
    {.key = "path", .kind = CLM_FIELD_TEXT, .required = true, AT(struct clm_found, path)},
    {.key = "perm", .kind = CLM_FIELD_TEXT, AT(struct clm_found, perm)},
    {.key = "in_use", .kind = CLM_FIELD_BOOL, AT(struct clm_found, in_use)},
    {.key = "used_by",
     .kind = CLM_FIELD_LIST,
     .offset = offsetof(struct clm_found, used_by),
     .size = CLM_JSON_STRING_MAX},
    {.key = "locked", .kind = CLM_FIELD_BOOL, AT(struct clm_found, is_locked)},
    {.key = NULL},
};
static const struct clm_field local_fields[] = {
    {.key = "links",
     .kind = CLM_FIELD_LIST,
     .offset = offsetof(struct clm_found, links),
     .size = CLM_JSON_STRING_MAX},
    {.key = "served_by",
     .kind = CLM_FIELD_LIST,
     .offset = offsetof(struct clm_found, served_by),
     .size = CLM_JSON_STRING_MAX},
    {.key = NULL},
};

const char *clm_found_format_name(enum clm_found_format format)
{
    return (unsigned)format < CLM_FOUND_FORMAT__COUNT ? formats[format] : "";
}

const char *clm_found_status_name(enum clm_found_status status)
{
    return (unsigned)status < CLM_FOUND_STATUS__COUNT ? states[status] : "";
}

const char *clm_found_kind_name(enum clm_found_kind kind)
{
    return (unsigned)kind < CLM_FOUND_KIND__COUNT ? kinds[kind] : "";
}

const char *clm_found_problem_name(enum clm_found_problem bit)
{
    for (size_t i = 0; i < CLM_FOUND_PROBLEMS; i++) {
        if ((uint32_t)bit == 1u << i) {
            return problems[i];
        }
    }
    return "";
}

void clm_found_done(struct clm_found *found)
{
    if (found == NULL) {
        return;
    }
    for (size_t i = 0; i < found->n_entries; i++) {
        clm_cert_info_done(&found->entries[i].certificate);
    }
    free(found->entries);
    clm_strs_done(&found->links);
    clm_strs_done(&found->used_by);
    clm_strs_done(&found->served_by);
    memset(found, 0, sizeof(*found));
}

struct clm_found_entry *clm_found_add(struct clm_found *found, bool *out_is_full)
{
    *out_is_full = found->n_entries >= CLM_FOUND_ENTRIES_MAX;
    if (*out_is_full) {
        found->n_more++;
        return NULL;
    }
    return clm_array_grow((void **)&found->entries, &found->n_entries, sizeof(*found->entries));
}

/* ---- writing ---- */

static void set_answer(struct clm_json *obj, const char *key, enum clm_found_answer answer)
{
    if (answer == CLM_FOUND_UNKNOWN) {
        clm_json_set_null(obj, key);
    } else {
        clm_json_set_bool(obj, key, answer == CLM_FOUND_YES);
    }
}

static void write_entry(const struct clm_found_entry *entry, struct clm_json *obj)
{
    char *alias = entry->alias[0] == '\0' ? NULL : clm_text_to_utf8(entry->alias);

    clm_json_set_str(obj, "alias", alias);
    free(alias);
    clm_json_set_str(obj, "kind", clm_found_kind_name(entry->kind));
    if (entry->has_certificate) {
        clm_cert_info_to_json(&entry->certificate, clm_json_set_object(obj, "certificate"));
    } else {
        clm_json_set_null(obj, "certificate");
    }
    set_answer(obj, "chain_ok", entry->chain_ok);
    set_answer(obj, "key_matches", entry->key_matches);
}

void clm_found_to_json(const struct clm_found *found, bool is_upload, struct clm_json *obj)
{
    struct clm_json *list;

    clm_fields_to_json(file_fields, found, obj);
    clm_json_set_str(obj, "format", clm_found_format_name(found->format));
    clm_json_set_str(obj, "status", clm_found_status_name(found->status));
    clm_json_set_str(obj, "manager", found->manager[0] == '\0' ? NULL : found->manager);
    list = clm_json_set_array(obj, "entries");
    for (size_t i = 0; i < found->n_entries; i++) {
        write_entry(&found->entries[i], clm_json_add_object(list));
    }
    list = clm_json_set_array(obj, "problems");
    for (size_t i = 0; i < CLM_FOUND_PROBLEMS; i++) {
        if ((found->problems & 1u << i) != 0) {
            clm_json_add_str(list, problems[i]);
        }
    }
    if (!is_upload) {
        clm_fields_to_json(local_fields, found, obj);
        clm_json_set_int(obj, "more", (int64_t)found->n_more);
    }
}

/* ---- reading ---- */

/* Which of n names the member is. */
static enum clm_code read_name(const struct clm_json *obj, const char *key,
                               const char *const *names, size_t n, unsigned *out,
                               struct clm_err *err)
{
    const char *text;
    enum clm_code code = clm_json_str(obj, key, 32, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (unsigned)i;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PARSE, "%s: '%.32s' is not known", key, text);
}

static enum clm_code read_answer(const struct clm_json *obj, const char *key,
                                 enum clm_found_answer *out, struct clm_err *err)
{
    bool is_yes = false;
    enum clm_code code;

    *out = CLM_FOUND_UNKNOWN;
    if (clm_json_get(obj, key) == NULL) {
        return CLM_OK;
    }
    code = clm_json_bool(obj, key, &is_yes, err);
    *out = is_yes ? CLM_FOUND_YES : CLM_FOUND_NO;
    return code;
}

static enum clm_code read_entry(const struct clm_json *obj, struct clm_found_entry *entry,
                                struct clm_err *err)
{
    const struct clm_json *certificate = clm_json_get(obj, "certificate");
    const char *alias = "";
    unsigned kind = 0;
    enum clm_code code = clm_json_str_or(obj, "alias", sizeof(entry->alias) - 1, "", &alias, err);

    if (code == CLM_OK) {
        code = clm_str_copy(entry->alias, sizeof(entry->alias), alias, err);
    }
    if (code == CLM_OK) {
        code = read_name(obj, "kind", kinds, CLM_ARRAY_LEN(kinds), &kind, err);
    }
    if (code == CLM_OK) {
        entry->kind = (enum clm_found_kind)kind;
        code = read_answer(obj, "chain_ok", &entry->chain_ok, err);
    }
    if (code == CLM_OK) {
        code = read_answer(obj, "key_matches", &entry->key_matches, err);
    }
    if (code == CLM_OK && certificate != NULL) {
        code = clm_cert_info_from_json(certificate, &entry->certificate, err);
        entry->has_certificate = code == CLM_OK;
    }
    return code;
}

static enum clm_code read_entries(const struct clm_json *obj, struct clm_found *out,
                                  struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (const struct clm_json *at = clm_json_first(clm_json_get(obj, "entries"));
         at != NULL && code == CLM_OK; at = clm_json_next(at)) {
        bool is_full = false;
        struct clm_found_entry *entry = clm_found_add(out, &is_full);

        if (entry == NULL) {
            return is_full ? clm_err_set(err, CLM_E_LIMIT, "entries: more than %d",
                                         CLM_FOUND_ENTRIES_MAX)
                           : clm_err_set(err, CLM_E_NOMEM, "entries");
        }
        code = read_entry(at, entry, err);
    }
    return code;
}

static enum clm_code read_problems(const struct clm_json *obj, uint32_t *out, struct clm_err *err)
{
    *out = 0;
    for (const struct clm_json *at = clm_json_first(clm_json_get(obj, "problems")); at != NULL;
         at = clm_json_next(at)) {
        const char *text = clm_json_text(at);
        size_t i = 0;

        while (text != NULL && i < CLM_FOUND_PROBLEMS && strcmp(problems[i], text) != 0) {
            i++;
        }
        if (text == NULL || i == CLM_FOUND_PROBLEMS) {
            return clm_err_set(err, CLM_E_PARSE, "problems: '%.32s' is not known",
                               text == NULL ? "" : text);
        }
        *out |= 1u << i;
    }
    return CLM_OK;
}

enum clm_code clm_found_from_json(const struct clm_json *obj, struct clm_found *out,
                                  struct clm_err *err)
{
    const char *manager = "";
    unsigned format = 0;
    unsigned status = 0;
    int64_t more = 0;
    enum clm_code code = clm_fields_from_json(file_fields, obj, out, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(local_fields, obj, out, err);
    }
    if (code == CLM_OK) {
        code = read_name(obj, "format", formats, CLM_ARRAY_LEN(formats), &format, err);
    }
    if (code == CLM_OK) {
        code = read_name(obj, "status", states, CLM_ARRAY_LEN(states), &status, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(obj, "manager", sizeof(out->manager) - 1, "", &manager, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(obj, "more", 0, CLM_JSON_INT_MAX, &more, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->manager, sizeof(out->manager), manager, err);
    }
    if (code == CLM_OK) {
        out->format = (enum clm_found_format)format;
        out->status = (enum clm_found_status)status;
        code = read_entries(obj, out, err);
    }
    if (code == CLM_OK) {
        out->n_more = (size_t)more;
        code = read_problems(obj, &out->problems, err);
    }
    return code;
}
