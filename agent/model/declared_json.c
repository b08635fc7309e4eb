/* SPDX-License-Identifier: Apache-2.0 */
/* Targets "file:NAME" and hooks as the configuration has them: objects of texts. */
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/declared.h"
#include "agent/model/fields.h"
#include "agent/model/names.h"

#define OUTPUTS_MAX    16 /* files of a transaction */
#define ARGV_MAX       64
#define DEADLINE_MAX_S 600

#define OUT_TEXT(key, member, required)                                                            \
    {                                                                                              \
        (key), CLM_FIELD_EXACT, (required), offsetof(struct clm_declared_output, member),          \
            sizeof(((struct clm_declared_output *)0)->member), 0, 0                                \
    }
#define TOP_TEXT(key, member, required)                                                            \
    {                                                                                              \
        (key), CLM_FIELD_EXACT, (required), offsetof(struct clm_declared, member),                 \
            sizeof(((struct clm_declared *)0)->member), 0, 0                                       \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, CLM_FIELD_TEXT, false, 0, 0, 0, 0                                                    \
    }

static const struct clm_field output_fields[] = {
    OUT_TEXT("path", path, true),
    OUT_TEXT("content", content, false),
    OUT_TEXT("format", format, false),
    OUT_TEXT("alias", alias, false),
    OUT_TEXT("password_file", password_file, false),
    OUT_TEXT("key_password_file", key_password_file, false),
    OUT_TEXT("owner", owner, false),
    OUT_TEXT("group", group, false),
    OUT_TEXT("mode", mode, false),
    END,
};
static const char *const output_members[] = {
    "path",  "content", "format", "alias", "password_file", "key_password_file",
    "owner", "group",   "mode",   NULL};

static const struct clm_field top_fields[] = {
    TOP_TEXT("check", check, false),
    TOP_TEXT("reload", reload, true),
    TOP_TEXT("unit", unit, false),
    TOP_TEXT("hook", hook, false),
    END,
};
static const char *const top_members[] = {"outputs", "check",  "reload", "unit",
                                          "hook",    "verify", NULL};

static const struct clm_field verify_fields[] = {
    TOP_TEXT("address", verify.address, true),
    TOP_TEXT("sni", verify.sni, false),
    END,
};
static const char *const verify_members[] = {"address", "port", "sni", "deadline", NULL};

/* Which member each way of reloading needs; it must not have the other. */
static const struct {
    const char *name;
    bool needs_unit;
    bool needs_hook;
    const char *needs;
} reloads[] = {
    {"unit", true, false, "'unit' and no 'hook'"},
    {"restart", true, false, "'unit' and no 'hook'"},
    {"hook", false, true, "'hook' and no 'unit'"},
    {"none", false, false, "neither 'unit' nor 'hook'"},
};

static enum clm_code read_number(const struct clm_json *obj, const char *key, int64_t max,
                                 uint32_t *out, struct clm_err *err)
{
    const char *text = clm_json_text(clm_json_get(obj, key));
    int64_t value = 0;

    if (text == NULL || clm_str_to_int(text, 1, max, &value, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_PARSE, "'%s': must be a number from 1 to %lld", key,
                           (long long)max);
    }
    *out = (uint32_t)value;
    return CLM_OK;
}

static enum clm_code read_verify(const struct clm_json *obj, struct clm_declared *out,
                                 struct clm_err *err)
{
    const struct clm_json *verify = clm_json_get(obj, "verify");
    char addr[CLM_ADDR_SIZE];
    enum clm_code code;

    if (verify == NULL) {
        return CLM_OK;
    }
    if (clm_json_kind(verify) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "'verify': must be a map");
    }
    code = clm_json_only(verify, verify_members, err);
    if (code == CLM_OK) {
        code = clm_fields_from_json(verify_fields, verify, out, err);
    }
    if (code == CLM_OK) {
        code = clm_ip_normalise(out->verify.address, addr, err);
    }
    if (code == CLM_OK) {
        memcpy(out->verify.address, addr, sizeof(addr));
        code = read_number(verify, "port", UINT16_MAX, &out->verify.port, err);
    }
    if (code == CLM_OK && clm_json_get(verify, "deadline") != NULL) {
        code = read_number(verify, "deadline", DEADLINE_MAX_S, &out->verify.deadline_s, err);
    }
    if (code == CLM_OK && out->verify.sni[0] != '\0') {
        char sni[CLM_DNS_NAME_SIZE];

        code = clm_dns_normalise(out->verify.sni, false, sni, err);
        memcpy(out->verify.sni, sni, code == CLM_OK ? sizeof(sni) : 0);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "'verify'");
}

static bool is_plain_path(const char *path)
{
    return path[0] == '/' && path[1] != '\0' && clm_str_is_printable(path) &&
           strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL && !clm_str_ends(path, "/") && !clm_str_ends(path, "/.") &&
           !clm_str_ends(path, "/..");
}

static enum clm_code read_output(const struct clm_json *obj, struct clm_declared_output *out,
                                 struct clm_err *err)
{
    struct clm_step step = {.kind = CLM_STEP_FILE_PUT};
    const char *paths[] = {out->path, out->password_file, out->key_password_file};
    enum clm_code code = clm_json_only(obj, output_members, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(output_fields, obj, out, err);
    }
    if (code == CLM_OK && out->format[0] == '\0') {
        code = clm_str_copy(out->format, sizeof(out->format), "pem", err);
    }
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(paths); i++) {
        if (paths[i][0] != '\0' && !is_plain_path(paths[i])) {
            code = clm_err_set(err, CLM_E_PARSE, "'%.200s' is not an absolute path of a file",
                               paths[i]);
        }
    }
    return code == CLM_OK ? clm_declared_step(out, &step, err) : code;
}

static enum clm_code read_outputs(const struct clm_json *obj, struct clm_declared *out,
                                  struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = clm_json_array(obj, "outputs", OUTPUTS_MAX, &list, err);

    if (code == CLM_OK && clm_json_len(list) == 0) {
        code = clm_err_set(err, CLM_E_PARSE, "'outputs': must name a file");
    }
    if (code != CLM_OK) {
        return code;
    }
    out->outputs = calloc(clm_json_len(list), sizeof(*out->outputs));
    if (out->outputs == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "files");
    }
    for (const struct clm_json *at = clm_json_first(list); code == CLM_OK && at != NULL;
         at = clm_json_next(at)) {
        code = clm_json_kind(at) == CLM_JSON_OBJECT
                   ? read_output(at, &out->outputs[out->n_outputs], err)
                   : clm_err_set(err, CLM_E_PARSE, "must be a map");
        out->n_outputs++;
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "output %zu", out->n_outputs);
        }
    }
    return code;
}

static enum clm_code check_outputs(const struct clm_declared *out, struct clm_err *err)
{
    bool has_leaf = false;

    for (size_t i = 0; i < out->n_outputs; i++) {
        struct clm_step step = {.kind = CLM_STEP_FILE_PUT};

        if (clm_declared_step(&out->outputs[i], &step, err) != CLM_OK) {
            return CLM_E_CONFIG;
        }
        has_leaf =
            has_leaf || clm_format_is_keystore(step.format) || clm_content_has_leaf(step.content);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(out->outputs[i].path, out->outputs[k].path) == 0) {
                return clm_err_set(err, CLM_E_PARSE, "'outputs': '%s' stands there twice",
                                   out->outputs[i].path);
            }
        }
    }
    return has_leaf ? CLM_OK
                    : clm_err_set(err, CLM_E_PARSE, "'outputs': no file holds the certificate");
}

static enum clm_code check_reload(const struct clm_declared *out, struct clm_err *err)
{
    size_t i = 0;

    while (i < CLM_ARRAY_LEN(reloads) && strcmp(out->reload, reloads[i].name) != 0) {
        i++;
    }
    if (i == CLM_ARRAY_LEN(reloads)) {
        return clm_err_set(err, CLM_E_PARSE, "'reload': must be one of unit, restart, hook, none");
    }
    if (reloads[i].needs_unit != (out->unit[0] != '\0') ||
        reloads[i].needs_hook != (out->hook[0] != '\0')) {
        return clm_err_set(err, CLM_E_PARSE, "'reload': %s needs %s", out->reload,
                           reloads[i].needs);
    }
    if (out->unit[0] != '\0' && strchr(out->unit, '.') == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "'unit': write it in full, such as '%.200s.service'",
                           out->unit);
    }
    return CLM_OK;
}

enum clm_code clm_declared_read(const struct clm_json *obj, struct clm_declared *out,
                                struct clm_err *err)
{
    enum clm_code code = clm_json_only(obj, top_members, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(top_fields, obj, out, err);
    }
    if (code == CLM_OK) {
        code = read_outputs(obj, out, err);
    }
    if (code == CLM_OK) {
        code = read_verify(obj, out, err);
    }
    if (code == CLM_OK) {
        code = check_outputs(out, err);
    }
    return code == CLM_OK ? check_reload(out, err) : code;
}

enum clm_code clm_hook_read(const struct clm_json *list, struct clm_strs *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (clm_json_len(list) < 1 || clm_json_len(list) > ARGV_MAX) {
        return clm_err_set(err, CLM_E_PARSE, "must be a program and its arguments, at most %d",
                           ARGV_MAX);
    }
    for (const struct clm_json *at = clm_json_first(list); code == CLM_OK && at != NULL;
         at = clm_json_next(at)) {
        const char *text = clm_json_text(at);

        code = text == NULL ? clm_err_set(err, CLM_E_PARSE, "an argument is no text")
                            : clm_strs_add(out, text, err);
    }
    if (code == CLM_OK && !is_plain_path(out->v[0])) {
        code = clm_err_set(err, CLM_E_PARSE, "'%.200s' is not the absolute path of a program",
                           out->v[0]);
    }
    return code;
}
