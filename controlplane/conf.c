/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/json.h"

#define CA_FILE_MAX  ((size_t)256 * 1024)
#define CONTACTS_MAX 20
#define DAY_S        86400

struct number_option {
    const char *key;
    size_t offset;
    int64_t min;
    int64_t max;
    int64_t fallback;
};

#define NUMBER(name, min, max, fallback)                                                           \
    {                                                                                              \
#        name, offsetof(struct clm_cp_conf, name), (min), (max), (fallback)                        \
    }

static const struct number_option numbers[] = {
    NUMBER(wait_max_s, 1, 300, 50),
    NUMBER(lease_ttl_s, 5, 86400, 120),
    NUMBER(agent_cert_s, 3600, 90LL * DAY_S, 14LL * DAY_S),
    NUMBER(recovery_window_s, 0, 3650LL * DAY_S, 180LL * DAY_S),
    NUMBER(retry_base_s, 1, 86400, 60),
    NUMBER(retry_cap_s, 1, 86400, 3600),
    NUMBER(reconnect_spread_s, 1, 900, 30),
    NUMBER(agent_per_min, 1, 60000, 60),
    NUMBER(agent_burst, 1, 10000, 120), /* one order with its deployment is some 20 requests */
    NUMBER(enroll_per_min, 1, 60000, 60),
    NUMBER(enroll_burst, 1, 10000, 10),
    NUMBER(token_per_min, 1, 60000, 10),
};

static int64_t *number_at(struct clm_cp_conf *conf, const struct number_option *option)
{
    return (int64_t *)(void *)((char *)conf + option->offset);
}

static struct clm_cp_connector *add_connector(struct clm_cp_conf *conf)
{
    struct clm_cp_connector *grown =
        realloc(conf->connectors, (conf->n_connectors + 1) * sizeof(*grown));

    if (grown == NULL) {
        return NULL;
    }
    conf->connectors = grown;
    struct clm_cp_connector *connector = &grown[conf->n_connectors++];

    *connector = (struct clm_cp_connector){.dcv = true, .port = 80, .days = 90};
    return connector;
}

static void drop_connectors(struct clm_cp_conf *conf)
{
    for (size_t i = 0; i < conf->n_connectors; i++) {
        free(conf->connectors[i].ca_pem);
        clm_strs_done(&conf->connectors[i].contact);
    }
    free(conf->connectors);
    conf->connectors = NULL;
    conf->n_connectors = 0;
}

enum clm_code clm_cp_conf_init(struct clm_cp_conf *conf, struct clm_err *err)
{
    *conf = (struct clm_cp_conf){.tenant = "default", .default_connector = "builtin"};
    for (size_t i = 0; i < CLM_ARRAY_LEN(numbers); i++) {
        *number_at(conf, &numbers[i]) = numbers[i].fallback;
    }
    struct clm_cp_connector *builtin = add_connector(conf);

    if (builtin == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "configuration");
    }
    return clm_str_copy(builtin->name, sizeof(builtin->name), "builtin", err);
}

void clm_cp_conf_done(struct clm_cp_conf *conf)
{
    drop_connectors(conf);
}

const struct clm_cp_connector *clm_cp_conf_connector(const struct clm_cp_conf *conf,
                                                     const char *name)
{
    for (size_t i = 0; i < conf->n_connectors; i++) {
        if (strcmp(conf->connectors[i].name, name) == 0) {
            return &conf->connectors[i];
        }
    }
    return NULL;
}

static enum clm_code read_builtin(const struct clm_json *item, struct clm_cp_connector *out,
                                  struct clm_err *err)
{
    static const char *const known[] = {"name",    "type", "dcv", "http_port",
                                        "resolve", "days", NULL};
    const char *dcv = NULL;
    const char *resolve = NULL;
    int64_t port = out->port;
    enum clm_code code = clm_json_only(item, known, err);

    if (code == CLM_OK) {
        code = clm_json_str_or(item, "dcv", 16, "http-01", &dcv, err);
    }
    if (code == CLM_OK && strcmp(dcv, "http-01") != 0 && strcmp(dcv, "none") != 0) {
        code = clm_err_set(err, CLM_E_CONFIG, "dcv: 'http-01' or 'none'");
    }
    if (code == CLM_OK) {
        out->dcv = strcmp(dcv, "http-01") == 0;
        code = clm_json_int_or(item, "http_port", 1, 65535, &port, err);
    }
    if (code == CLM_OK) {
        out->port = (uint16_t)port;
        code = clm_json_int_or(item, "days", 1, 825, &out->days, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(item, "resolve", sizeof(out->resolve) - 1, "", &resolve, err);
    }
    return code == CLM_OK ? clm_str_copy(out->resolve, sizeof(out->resolve), resolve, err) : code;
}

static enum clm_code read_ca_file(const char *path, struct clm_cp_connector *out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CA_FILE_MAX);
    enum clm_code code = clm_fs_read(path, CA_FILE_MAX, &pem, err);

    if (code != CLM_OK) {
        return code;
    }
    out->ca_pem = strdup(clm_buf_str(&pem));
    return out->ca_pem != NULL ? CLM_OK : clm_err_set(err, CLM_E_NOMEM, "ca_file");
}

static enum clm_code read_acme(const struct clm_json *item, struct clm_cp_connector *out,
                               struct clm_err *err)
{
    static const char *const known[] = {"name", "type", "directory", "ca_file", "contact", NULL};
    const char *directory = NULL;
    const char *ca_file = NULL;
    const struct clm_json *contact = NULL;
    enum clm_code code = clm_json_only(item, known, err);

    out->type = CLM_CP_CONNECTOR_ACME;
    if (code == CLM_OK) {
        code = clm_json_str(item, "directory", sizeof(out->directory) - 1, &directory, err);
    }
    if (code == CLM_OK && !clm_str_starts(directory, "https://")) {
        code = clm_err_set(err, CLM_E_CONFIG, "directory: must begin with https://");
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->directory, sizeof(out->directory), directory, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(item, "ca_file", PATH_MAX - 1, NULL, &ca_file, err);
    }
    if (code == CLM_OK && ca_file != NULL) {
        code = read_ca_file(ca_file, out, err);
    }
    if (code == CLM_OK && clm_json_get(item, "contact") != NULL) {
        code = clm_json_array(item, "contact", CONTACTS_MAX, &contact, err);
    }
    for (const struct clm_json *c = clm_json_first(contact); code == CLM_OK && c != NULL;
         c = clm_json_next(c)) {
        const char *text = clm_json_text(c);

        code = text != NULL ? clm_strs_add(&out->contact, text, err)
                            : clm_err_set(err, CLM_E_CONFIG, "contact: must hold strings");
    }
    return code;
}

static enum clm_code read_connector(struct clm_cp_conf *conf, const struct clm_json *item,
                                    struct clm_err *err)
{
    const char *name = NULL;
    const char *type = NULL;
    enum clm_code code = clm_json_str(item, "name", 64, &name, err);

    if (code == CLM_OK) {
        code = clm_json_str(item, "type", 16, &type, err);
    }
    if (code == CLM_OK && (name[0] == '\0' || clm_cp_conf_connector(conf, name) != NULL)) {
        code = clm_err_set(err, CLM_E_CONFIG, "name: must be given once");
    }
    if (code != CLM_OK) {
        return code;
    }
    struct clm_cp_connector *out = add_connector(conf);

    if (out == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "configuration");
    }
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
    if (strcmp(type, "builtin") == 0) {
        code = read_builtin(item, out, err);
    } else if (strcmp(type, "acme") == 0) {
        code = read_acme(item, out, err);
    } else {
        code = clm_err_set(err, CLM_E_CONFIG, "type: 'builtin' or 'acme'");
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "connector '%s'", name);
}

static enum clm_code read_connectors(struct clm_cp_conf *conf, const struct clm_json *root,
                                     struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = CLM_OK;

    if (clm_json_get(root, "connectors") == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(root, "connectors", CLM_CP_CONNECTOR_MAX, &list, err);
    drop_connectors(conf);
    for (const struct clm_json *item = clm_json_first(list); code == CLM_OK && item != NULL;
         item = clm_json_next(item)) {
        code = read_connector(conf, item, err);
    }
    return code;
}

static enum clm_code read_root(struct clm_cp_conf *conf, const struct clm_json *root,
                               struct clm_err *err)
{
    const char *known[CLM_ARRAY_LEN(numbers) + 4] = {"connectors", "default_connector", "tenant"};
    const char *text = NULL;

    for (size_t i = 0; i < CLM_ARRAY_LEN(numbers); i++) {
        known[3 + i] = numbers[i].key;
    }
    if (clm_json_kind(root) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_CONFIG, "must be an object");
    }
    enum clm_code code = clm_json_only(root, known, err);

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(numbers); i++) {
        code = clm_json_int_or(root, numbers[i].key, numbers[i].min, numbers[i].max,
                               number_at(conf, &numbers[i]), err);
    }
    if (code == CLM_OK) {
        code = read_connectors(conf, root, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(root, "tenant", 64, conf->tenant, &text, err);
    }
    if (code == CLM_OK && text != conf->tenant) {
        code = clm_str_copy(conf->tenant, sizeof(conf->tenant), text, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(root, "default_connector", 64,
                               conf->n_connectors > 0 ? conf->connectors[0].name : "", &text, err);
    }
    if (code == CLM_OK && clm_cp_conf_connector(conf, text) == NULL) {
        code =
            clm_err_set(err, CLM_E_CONFIG, "default_connector: there is no connector '%s'", text);
    }
    return code == CLM_OK
               ? clm_str_copy(conf->default_connector, sizeof(conf->default_connector), text, err)
               : code;
}

enum clm_code clm_cp_conf_load(struct clm_cp_conf *conf, const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CP_CONF_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    enum clm_code code = clm_fs_read(path, CLM_CP_CONF_MAX, &text, err);

    if (code == CLM_OK) {
        code = clm_json_parse(clm_buf_str(&text), text.len, CLM_CP_CONF_MAX, &root, err);
    }
    if (code == CLM_OK) {
        code = read_root(conf, root, err);
    }
    if (code != CLM_OK) {
        (void)clm_err_wrap(err, code, "'%s'", path);
        if (err != NULL) {
            err->code = CLM_E_CONFIG;
        }
        return CLM_E_CONFIG;
    }
    return CLM_OK;
}
