/* SPDX-License-Identifier: Apache-2.0 */
/* server.xml as connectors and the pairs of certificate and key that each of them uses. */
#include "agent/formats/server_xml.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/formats/conf_files.h"
#include "agent/formats/properties.h"

#define ENVIRON_MAX ((size_t)1024 * 1024)
#define SOURCES     "org.apache.tomcat.util.digester.PROPERTY_SOURCE"
#define ENVIRONMENT "org.apache.tomcat.util.digester.EnvironmentPropertySource"
#define SYSTEM      "org.apache.tomcat.util.digester.Digester$SystemPropertySource"

static enum clm_code note(struct clm_tomcat *tomcat, struct clm_err *err, const char *fmt, ...)
    CLM_PRINTF(3, 4);

static enum clm_code note(struct clm_tomcat *tomcat, struct clm_err *err, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return clm_strs_add_once(&tomcat->notes, text, err);
}

/* A file that only gives values could not be read: that is a note, but for lack of memory. */
static enum clm_code not_read(struct clm_tomcat *tomcat, const struct clm_err *why,
                              struct clm_err *err)
{
    return why->code == CLM_E_NOMEM ? clm_err_set(err, why->code, "%s", why->msg)
                                    : note(tomcat, err, "%s", why->msg);
}

/* catalina.properties; that it is missing is no fault. */
static enum clm_code read_properties(const struct clm_io *io, struct clm_tomcat *tomcat,
                                     struct clm_err *err)
{
    struct clm_err why = {0};
    char path[PATH_MAX];
    enum clm_code code =
        clm_conf_path(tomcat->args.base, "conf/catalina.properties", path, sizeof(path), err);

    for (size_t i = 0; i < tomcat->args.defines.n && code == CLM_OK; i++) {
        const char *text = tomcat->args.defines.v[i];

        if (clm_str_starts(text, "catalina.config=")) {
            text += strlen("catalina.config=");
            text += clm_str_starts(text, "file:/") ? strlen("file:") : 0;
            code = clm_str_copy(path, sizeof(path), text, err);
        }
    }
    if (code != CLM_OK) {
        return code;
    }
    if (path[0] != '/') {
        return note(tomcat, err, "-Dcatalina.config=%s is not read", path);
    }
    code = io->read_file(io->ctx, path, CLM_PROPERTIES_MAX, &tomcat->properties, &why);
    return code == CLM_OK || code == CLM_E_NOTFOUND ? CLM_OK : not_read(tomcat, &why, err);
}

/* Where ${...} may come from besides the system properties. */
static enum clm_code read_environ(const struct clm_io *io, struct clm_tomcat *tomcat,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf sources = CLM_BUF_INIT(CLM_TOMCAT_VALUE_MAX);
    struct clm_err why = {0};
    char path[48];
    char *rest = NULL;
    bool is_wanted = false;
    enum clm_code code = clm_tomcat_expand(tomcat, "${" SOURCES ":-}", &sources, err);

    if (code != CLM_OK || sources.len == 0) {
        return code;
    }
    for (char *word = strtok_r((char *)sources.data, ", ", &rest); word != NULL && code == CLM_OK;
         word = strtok_r(NULL, ", ", &rest)) {
        if (strcmp(word, ENVIRONMENT) == 0) {
            is_wanted = true;
        } else if (strcmp(word, SYSTEM) != 0) {
            code = note(tomcat, err, "values from the property source '%s' are not known", word);
        }
    }
    if (code != CLM_OK || !is_wanted || tomcat->args.pid <= 0) {
        return code;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", tomcat->args.pid);
    code = io->read_file(io->ctx, path, ENVIRON_MAX, &tomcat->environ, &why);
    return code == CLM_OK ? CLM_OK : not_read(tomcat, &why, err);
}

/* The replaced value of any attribute; "" if absent. */
static enum clm_code value_of(const struct clm_tomcat *tomcat, const struct clm_xml_node *node,
                              const char *name, char *dst, size_t size, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_INIT(CLM_TOMCAT_VALUE_MAX);
    const char *raw = clm_xml_value(node, name);
    enum clm_code code = raw == NULL ? CLM_OK : clm_tomcat_expand(tomcat, raw, &value, err);

    return code == CLM_OK ? clm_str_copy(dst, size, clm_buf_str(&value), err) : code;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++) {
        *text = (char)tolower((unsigned char)*text);
    }
}

static enum clm_code host_name(const struct clm_tomcat *tomcat, const struct clm_xml_node *host,
                               const char *attr, char *dst, struct clm_err *err)
{
    enum clm_code code = value_of(tomcat, host, attr, dst, CLM_DNS_NAME_SIZE, err);

    if (code == CLM_OK && dst[0] == '\0') {
        code = clm_str_copy(dst, CLM_DNS_NAME_SIZE, CLM_TOMCAT_DEFAULT_HOST, err);
    }
    lower(dst);
    return code;
}

static bool names_something(const struct clm_tomcat_pair *pair)
{
    return clm_tomcat_attr(pair, CLM_TOMCAT_CERT_FILE) != NULL ||
           clm_tomcat_attr(pair, CLM_TOMCAT_STORE_FILE) != NULL;
}

bool clm_tomcat_pair_is_bare(const struct clm_tomcat_pair *pair)
{
    if (pair->host == NULL || !pair->is_silent || !pair->node->can_edit) {
        return false;
    }
    for (size_t i = 0; i < pair->node->n_attrs; i++) {
        const char *name = pair->node->attrs[i].name;

        if (pair->node == pair->host ? clm_str_starts(name, "certificateKey")
                                     : strcmp(name, "type") != 0) {
            return false;
        }
    }
    return true;
}

static enum clm_code add_pair(struct clm_tomcat *tomcat, struct clm_tomcat_connector *connector,
                              const struct clm_tomcat_pair *like, struct clm_err *err)
{
    struct clm_tomcat_pair *v =
        realloc(connector->pairs, (connector->n_pairs + 1) * sizeof(*connector->pairs));
    struct clm_tomcat_pair *pair;

    if (v == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "certificates of a connector");
    }
    connector->pairs = v;
    pair = &v[connector->n_pairs++];
    *pair = *like;
    pair->is_silent = !names_something(pair);
    return value_of(tomcat, pair->node, "type", pair->type, sizeof(pair->type), err);
}

static enum clm_code add_host(struct clm_tomcat *tomcat, struct clm_tomcat_connector *connector,
                              const struct clm_xml_node *host, const char *default_name,
                              struct clm_err *err)
{
    struct clm_tomcat_pair like = {.node = host, .host = host};
    const struct clm_xml_node *cert = NULL;
    enum clm_code code = host_name(tomcat, host, "hostName", like.host_name, err);

    like.is_default = strcmp(like.host_name, default_name) == 0;
    connector->n_hosts++;
    while (code == CLM_OK && (cert = clm_xml_child(host, "Certificate", cert)) != NULL) {
        like.node = cert;
        code = add_pair(tomcat, connector, &like, err);
        if (code == CLM_OK && connector->pairs[connector->n_pairs - 1].type[0] == '\0') {
            strcpy(connector->pairs[connector->n_pairs - 1].type, "UNDEFINED");
        }
    }
    if (code == CLM_OK && like.node == host) { /* no element Certificate */
        code = add_pair(tomcat, connector, &like, err);
        if (code == CLM_OK) {
            strcpy(connector->pairs[connector->n_pairs - 1].type, "UNDEFINED");
        }
    }
    return code;
}

/* Attributes that make Tomcat 9 and before build a host by itself. */
static bool has_old_attributes(const struct clm_xml_node *connector)
{
    static const char *const names[] = {"keystoreFile",       "keystorePass",
                                        "keyAlias",           "keystoreType",
                                        "SSLCertificateFile", "SSLCertificateKeyFile"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        if (clm_xml_attr(connector, names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static enum clm_code add_pairs(struct clm_tomcat *tomcat, struct clm_tomcat_connector *connector,
                               struct clm_err *err)
{
    struct clm_tomcat_pair old = {.node = connector->node, .is_default = true};
    const struct clm_xml_node *host = NULL;
    enum clm_code code =
        host_name(tomcat, connector->node, "defaultSSLHostConfigName", old.host_name, err);

    while (code == CLM_OK &&
           (host = clm_xml_child(connector->node, "SSLHostConfig", host)) != NULL) {
        code = add_host(tomcat, connector, host, old.host_name, err);
    }
    if (code == CLM_OK && (connector->n_pairs == 0 || has_old_attributes(connector->node))) {
        connector->n_hosts++;
        code = add_pair(tomcat, connector, &old, err);
        if (code == CLM_OK) {
            strcpy(connector->pairs[connector->n_pairs - 1].type, "UNDEFINED");
        }
    }
    return code;
}

static enum clm_code read_number(struct clm_tomcat *tomcat, const struct clm_xml_node *node,
                                 const char *name, int64_t fallback, int64_t *out,
                                 struct clm_err *err)
{
    char text[64] = "?"; /* no number, if the value is too long */
    struct clm_err why = {0};
    enum clm_code code = value_of(tomcat, node, name, text, sizeof(text), &why);

    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "%s", why.msg);
    }
    *out = fallback;
    if ((code == CLM_OK && text[0] == '\0') || strcmp(text, "-1") == 0 ||
        clm_str_to_int(text, 0, UINT16_MAX, out, NULL) == CLM_OK) {
        return CLM_OK;
    }
    return note(tomcat, err, "line %u: %s '%s' is no number that could be told", node->line, name,
                clm_xml_value(node, name));
}

static bool is_true(const char *text)
{
    return strcasecmp(text, "true") == 0;
}

static enum clm_code read_connector(struct clm_tomcat *tomcat, const struct clm_xml_node *node,
                                    int64_t server_offset, struct clm_err *err)
{
    struct clm_tomcat_connector *connector = &tomcat->connectors[tomcat->n_connectors++];
    char protocol[128];
    char enabled[32];
    int64_t port = 0;
    int64_t offset = 0;
    enum clm_code code = read_number(tomcat, node, "port", 0, &port, err);

    connector->node = node;
    connector->service = node->parent;
    if (code == CLM_OK) {
        code = read_number(tomcat, node, "portOffset", server_offset, &offset, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    connector->port = port > 0 && port + offset <= UINT16_MAX ? (uint16_t)(port + offset) : 0;
    code = value_of(tomcat, node, "address", connector->addr, sizeof(connector->addr), err);
    if (code == CLM_OK) {
        code = value_of(tomcat, node, "protocol", protocol, sizeof(protocol), err);
    }
    if (code == CLM_OK) {
        code = value_of(tomcat, node, "SSLEnabled", enabled, sizeof(enabled), err);
    }
    if (code != CLM_OK) {
        return code;
    }
    lower(protocol);
    connector->is_http = strstr(protocol, "ajp") == NULL; /* "AJP/1.3", "...AjpNioProtocol" */
    connector->is_tls = connector->is_http && is_true(enabled);
    return connector->is_tls ? add_pairs(tomcat, connector, err) : CLM_OK;
}

static enum clm_code read_connectors(struct clm_tomcat *tomcat, struct clm_err *err)
{
    const struct clm_xml_node *server = tomcat->xml.root;
    const struct clm_xml_node *service = NULL;
    int64_t offset = 0;
    enum clm_code code;

    if (strcmp(server->name, "Server") != 0) {
        return clm_err_set(err, CLM_E_PARSE, "'%s': its outermost element is '%s', not 'Server'",
                           tomcat->args.config, server->name);
    }
    tomcat->connectors = calloc(CLM_TOMCAT_CONNECTORS_MAX, sizeof(*tomcat->connectors));
    if (tomcat->connectors == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "connectors");
    }
    code = read_number(tomcat, server, "portOffset", 0, &offset, err);
    while (code == CLM_OK && (service = clm_xml_child(server, "Service", service)) != NULL) {
        const struct clm_xml_node *node = NULL;

        while (code == CLM_OK && (node = clm_xml_child(service, "Connector", node)) != NULL) {
            if (tomcat->n_connectors == CLM_TOMCAT_CONNECTORS_MAX) {
                return clm_err_set(err, CLM_E_LIMIT, "'%s': more than %d connectors",
                                   tomcat->args.config, CLM_TOMCAT_CONNECTORS_MAX);
            }
            code = read_connector(tomcat, node, offset, err);
        }
    }
    return code;
}

enum clm_code clm_tomcat_load(const struct clm_io *io, struct clm_tomcat_args *args,
                              struct clm_tomcat *out, struct clm_err *err)
{
    enum clm_code code;

    out->args = *args;
    *args = (struct clm_tomcat_args){.pid = 0};
    out->text = CLM_BUF_SECRET_INIT(CLM_XML_MAX + 1);
    out->properties = CLM_BUF_SECRET_INIT(CLM_PROPERTIES_MAX + 1);
    out->environ = CLM_BUF_SECRET_INIT(ENVIRON_MAX + 1);
    code = io->read_file(io->ctx, out->args.config, CLM_XML_MAX, &out->text, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_xml_parse(out->text.data, out->text.len, &out->xml, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "'%s'", out->args.config);
    }
    code = read_properties(io, out, err);
    if (code == CLM_OK) {
        code = read_environ(io, out, err);
    }
    return code == CLM_OK ? read_connectors(out, err) : code;
}

void clm_tomcat_done(struct clm_tomcat *tomcat)
{
    for (size_t i = 0; i < tomcat->n_connectors; i++) {
        free(tomcat->connectors[i].pairs);
    }
    free(tomcat->connectors);
    clm_xml_done(&tomcat->xml);
    clm_strs_done(&tomcat->notes);
    clm_buf_done(&tomcat->text);
    clm_buf_done(&tomcat->properties);
    clm_buf_done(&tomcat->environ);
    clm_tomcat_args_done(&tomcat->args);
    *tomcat = (struct clm_tomcat){.n_connectors = 0};
}
