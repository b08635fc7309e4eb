/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scanners/endpoints.h"
#include "scanners/target_files.h"
#include "scanners/tomcat_parts.h"

/* One target while it is made. */
struct place {
    const struct clm_tomcat_connector *connector;
    const struct clm_tomcat_pair *pair;
    bool is_one_of_types; /* the host has several, RSA and EC */
    bool is_bare;         /* server.xml names no certificate, and the default one is not there */
};

static bool is_default_name(const struct clm_tomcat_pair *pair)
{
    return strcmp(pair->host_name, CLM_TOMCAT_DEFAULT_HOST) == 0;
}

/* "rsa", "ec" ...; the part of the name behind '#'. */
static void lower_type(const struct clm_tomcat_pair *pair, char *dst, size_t size)
{
    (void)snprintf(dst, size, "%s", pair->type);
    for (; *dst != '\0'; dst++) {
        *dst = (char)tolower((unsigned char)*dst);
    }
}

/* design.md 3: "tomcat:8443", "tomcat:8443/www.example.com", "tomcat:8443#rsa" */
static enum clm_code name_target(const struct place *place, struct clm_target *target,
                                 struct clm_err *err)
{
    char type[sizeof(place->pair->type)];
    bool has_host = place->connector->n_hosts > 1;
    struct clm_err why = {0};
    enum clm_code code;

    lower_type(place->pair, type, sizeof(type));
    code = clm_str_fmt(target->id, sizeof(target->id), &why, "tomcat:%u%s%s%s%s",
                       place->connector->port, has_host ? "/" : "",
                       has_host ? place->pair->host_name : "", place->is_one_of_types ? "#" : "",
                       place->is_one_of_types ? type : "");
    if (code == CLM_OK && clm_target_id_is_valid(target->id)) {
        return CLM_OK;
    }
    return clm_str_fmt(target->id, sizeof(target->id), err, "tomcat:%u/line%u",
                       place->connector->port, place->pair->node->line);
}

static enum clm_code add_host_name(const struct clm_tomcat *tomcat, const char *raw,
                                   struct clm_strs *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf name = CLM_BUF_INIT(CLM_TOMCAT_VALUE_MAX);
    enum clm_code code = clm_tomcat_expand(tomcat, raw, &name, err);

    if (code != CLM_OK || name.len == 0 || strcasecmp(clm_buf_str(&name), "localhost") == 0) {
        return code == CLM_E_LIMIT ? CLM_OK : code;
    }
    return clm_strs_add_once(out, clm_buf_str(&name), err);
}

enum clm_code clm_tomcat_host_names(const struct clm_tomcat *tomcat,
                                    const struct clm_xml_node *host, struct clm_strs *out,
                                    struct clm_err *err)
{
    const char *name = clm_xml_value(host, "name");
    const struct clm_xml_node *alias = NULL;
    enum clm_code code = name == NULL ? CLM_OK : add_host_name(tomcat, name, out, err);

    while (code == CLM_OK && (alias = clm_xml_child(host, "Alias", alias)) != NULL) {
        code = alias->text == NULL ? CLM_OK : add_host_name(tomcat, alias->text, out, err);
    }
    return code;
}

static bool has_host_config(const struct clm_tomcat_connector *connector, const char *name)
{
    for (size_t i = 0; i < connector->n_pairs; i++) {
        if (strcasecmp(connector->pairs[i].host_name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The host's own name; the default answers for the hosts of the engine that no other has. */
static enum clm_code add_names(const struct clm_tomcat_site *site, const struct place *place,
                               struct clm_target *target, struct clm_err *err)
{
    const struct clm_xml_node *engine = clm_xml_child(place->connector->service, "Engine", NULL);
    const struct clm_xml_node *host = NULL;
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    enum clm_code code = CLM_OK;

    if (!is_default_name(place->pair)) {
        return clm_target_add_name(target, place->pair->host_name, err);
    }
    while (engine != NULL && code == CLM_OK &&
           (host = clm_xml_child(engine, "Host", host)) != NULL) {
        code = clm_tomcat_host_names(site->tomcat, host, &names, err);
    }
    for (size_t i = 0; i < names.n && code == CLM_OK; i++) {
        if (!has_host_config(place->connector, names.v[i])) {
            code = clm_target_add_name(target, names.v[i], err);
        }
    }
    return code;
}

/* What a handshake asks for so that this host answers; "" for the default one among several. */
static void choose_sni(const struct place *place, const struct clm_target *target, char *dst)
{
    dst[0] = '\0';
    if (!is_default_name(place->pair)) {
        clm_probe_sni(place->pair->host_name, dst);
    } else if (place->connector->n_hosts == 1 && target->names.dns.n > 0) {
        clm_probe_sni(target->names.dns.v[0], dst);
    }
}

static bool has_listener(const struct clm_service *service, const char *addr, uint16_t port)
{
    for (size_t i = 0; i < service->n_listeners; i++) {
        if (service->listeners[i].port == port && strcmp(service->listeners[i].addr, addr) == 0) {
            return true;
        }
    }
    return false;
}

static enum clm_code add_endpoint(const struct clm_tomcat_site *site, const struct place *place,
                                  const struct clm_listener *listener, const struct clm_strs *taken,
                                  struct clm_target *target, struct clm_err *err)
{
    const char *bound = listener->addr;
    char addr[CLM_ADDR_SIZE];
    char sni[CLM_DNS_NAME_SIZE];
    size_t before = target->n_endpoints;
    enum clm_code code;

    if (strcmp(bound, "::") == 0 && !has_listener(site->service, "0.0.0.0", listener->port)) {
        bound = "0.0.0.0"; /* Java's sockets are for both families */
    }
    if (clm_probe_addr(bound, listener->port, taken, addr, NULL) != CLM_OK) {
        return CLM_OK;
    }
    choose_sni(place, target, sni);
    code = clm_target_want_endpoint(target, addr, listener->port, sni, err);
    if (code == CLM_OK && target->n_endpoints > before) {
        struct clm_endpoint *endpoint = &target->endpoints[before];

        memcpy(endpoint->key_kind, target->key_kind, sizeof(endpoint->key_kind));
    }
    return code;
}

static enum clm_code add_endpoints(const struct clm_tomcat_site *site, const struct place *place,
                                   struct clm_target *target, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs taken = {0};
    struct clm_service *service = site->service;
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < service->n_listeners && code == CLM_OK; i++) {
        char key[CLM_SOCKET_KEY_SIZE];

        clm_socket_key(service->listeners[i].addr, service->listeners[i].port, key);
        code = clm_strs_add_once(&taken, key, err);
    }
    for (size_t i = 0; i < service->n_listeners && code == CLM_OK; i++) {
        if (service->listeners[i].port == place->connector->port) {
            service->listeners[i].tls = true;
            code = add_endpoint(site, place, &service->listeners[i], &taken, target, err);
        }
    }
    if (code != CLM_OK || target->n_endpoints > 0) {
        return code;
    }
    if (place->connector->port == 0) {
        return clm_target_refuse(target, err,
                                 "line %u: the port of the connector could not be told",
                                 place->connector->node->line);
    }
    if (place->is_bare) { /* will listen once it has a certificate */
        struct clm_listener at = {.port = place->connector->port};

        (void)snprintf(at.addr, sizeof(at.addr), "%s",
                       place->connector->addr[0] != '\0' ? place->connector->addr : "0.0.0.0");
        return add_endpoint(site, place, &at, &taken, target, err);
    }
    return clm_target_refuse(target, err,
                             "nothing listens on port %u: Tomcat could not start this connector, "
                             "or server.xml was changed since Tomcat was started",
                             place->connector->port);
}

/* A path of the pair into dst; a value that is no file makes the target unmanageable. */
static enum clm_code set_path(const struct clm_tomcat_site *site, const struct place *place,
                              struct clm_target *target, enum clm_tomcat_attr what, char *dst,
                              struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = clm_tomcat_path(site->tomcat, place->pair, what, dst, &why);

    return code == CLM_OK ? CLM_OK
                          : clm_target_fault(target, &why, err, "line %u: %s",
                                             place->pair->node->line, why.msg);
}

static enum clm_code set_pem(const struct clm_tomcat_site *site, const struct place *place,
                             struct clm_target *target, struct clm_err *err)
{
    enum clm_code code =
        set_path(site, place, target, CLM_TOMCAT_CERT_FILE, target->cert_path, err);

    (void)snprintf(target->store_type, sizeof(target->store_type), "pem");
    if (code == CLM_OK) {
        code = set_path(site, place, target, CLM_TOMCAT_KEY_FILE, target->key_path, err);
    }
    if (code == CLM_OK) {
        code = set_path(site, place, target, CLM_TOMCAT_CHAIN_FILE, target->chain_path, err);
    }
    if (code == CLM_OK && target->key_path[0] == '\0') {
        memcpy(target->key_path, target->cert_path, sizeof(target->key_path));
    }
    return code == CLM_OK ? clm_tomcat_secret_ref(site->tomcat, place->connector, place->pair,
                                                  CLM_TOMCAT_OF_KEY, target->key_password, err)
                          : code;
}

/* Types and providers of which this agent has no reader. */
static enum clm_code check_store_kind(const struct clm_tomcat_site *site, const struct place *place,
                                      struct clm_target *target, struct clm_err *err)
{
    static const char *const types[] = {"jks", "pkcs12", "jceks"};
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_INIT(CLM_TOMCAT_VALUE_MAX);
    bool is_known = false;
    enum clm_code code =
        clm_tomcat_value(site->tomcat, place->pair, CLM_TOMCAT_STORE_PROVIDER, &value, err);

    if (code == CLM_OK && value.len > 0) {
        code = clm_target_refuse(target, err,
                                 "line %u: the keystore belongs to the provider '%.100s': only "
                                 "files of Java's own kinds can be written",
                                 place->pair->node->line, clm_buf_str(&value));
    }
    if (code == CLM_OK) {
        code = clm_tomcat_value(site->tomcat, place->pair, CLM_TOMCAT_STORE_TYPE, &value, err);
    }
    if (code != CLM_OK || value.len == 0) {
        return code;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        is_known = is_known || strcasecmp(clm_buf_str(&value), types[i]) == 0;
    }
    return is_known ? CLM_OK
                    : clm_target_refuse(target, err,
                                        "line %u: keystores of the type '%.100s' cannot be written",
                                        place->pair->node->line, clm_buf_str(&value));
}

static enum clm_code set_store(const struct clm_tomcat_site *site, const struct place *place,
                               struct clm_target *target, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf alias = CLM_BUF_INIT(sizeof(target->alias) - 1);
    struct clm_err why = {0};
    enum clm_code code = check_store_kind(site, place, target, err);

    if (code == CLM_OK) {
        code = set_path(site, place, target, CLM_TOMCAT_STORE_FILE, target->cert_path, err);
    }
    if (code == CLM_OK && place->pair->is_silent) {
        code = clm_tomcat_default_store(site->io, site->tomcat, target->cert_path, &why);
        if (code != CLM_OK) {
            code = clm_target_fault(target, &why, err, "%s", why.msg);
        }
    }
    if (code == CLM_OK) {
        code = clm_tomcat_value(site->tomcat, place->pair, CLM_TOMCAT_ALIAS, &alias, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(target->alias, sizeof(target->alias), clm_buf_str(&alias), err);
    }
    if (code == CLM_OK) {
        code = clm_tomcat_secret_ref(site->tomcat, place->connector, place->pair,
                                     CLM_TOMCAT_OF_STORE, target->store_password, err);
    }
    if (code == CLM_OK) {
        code = clm_tomcat_secret_ref(site->tomcat, place->connector, place->pair, CLM_TOMCAT_OF_KEY,
                                     target->key_password, err);
    }
    return code;
}

static enum clm_code set_kind(const struct place *place, struct clm_target *target,
                              struct clm_err *err)
{
    char type[sizeof(place->pair->type)];

    if (!place->is_one_of_types) {
        return CLM_OK;
    }
    lower_type(place->pair, type, sizeof(type));
    if (strcmp(type, "rsa") == 0 || strcmp(type, "ec") == 0) {
        return clm_str_copy(target->key_kind, sizeof(target->key_kind), type, err);
    }
    return clm_target_refuse(target, err,
                             "line %u: a certificate of type '%s' beside others cannot be told "
                             "from them by a handshake",
                             place->pair->node->line, place->pair->type);
}

static enum clm_code fill(const struct clm_tomcat_site *site, const struct place *place,
                          struct clm_target *target, struct clm_err *err)
{
    const struct clm_xml *xml = &site->tomcat->xml;
    enum clm_code code = name_target(place, target, err);

    target->manageable = true;
    if (code == CLM_OK) {
        code = clm_str_fmt(target->configured_at, sizeof(target->configured_at), err, "%s:%u",
                           site->tomcat->args.config, place->pair->node->line);
    }
    if (code == CLM_OK) {
        code = set_kind(place, target, err);
    }
    if (code == CLM_OK && xml->external[0] != '\0') {
        code = clm_target_refuse(target, err,
                                 "server.xml is not the whole configuration, %s: write it into "
                                 "server.xml itself",
                                 xml->external);
    }
    if (code == CLM_OK) {
        code = add_names(site, place, target, err);
    }
    if (code == CLM_OK) {
        code = add_endpoints(site, place, target, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (place->is_bare) {
        return CLM_OK; /* propose() */
    }
    return clm_tomcat_attr(place->pair, CLM_TOMCAT_CERT_FILE) != NULL
               ? set_pem(site, place, target, err)
               : set_store(site, place, target, err);
}

/* Tomcat would take the default keystore, and there is none. */
static bool is_bare(const struct clm_tomcat_site *site, const struct clm_tomcat_pair *pair)
{
    char path[PATH_MAX];
    struct clm_stat st = {0};

    return clm_tomcat_pair_is_bare(pair) &&
           (clm_tomcat_default_store(site->io, site->tomcat, path, NULL) != CLM_OK ||
            site->io->stat(site->io->ctx, path, true, &st, NULL) == CLM_E_NOTFOUND);
}

/* The files that a deployment makes and names in server.xml. */
static enum clm_code propose(const struct clm_tomcat_site *site, const struct place *place,
                             struct clm_target *target, struct clm_err *err)
{
    char name[CLM_TARGET_ID_SIZE];
    enum clm_code code = clm_str_copy(name, sizeof(name), strchr(target->id, ':') + 1, err);

    for (char *at = name; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && *at != '.' && *at != '_') {
            *at = '-';
        }
    }
    (void)snprintf(target->store_type, sizeof(target->store_type), "pem");
    target->store_password[0] = '\0';
    target->key_password[0] = '\0';
    target->alias[0] = '\0';
    if (code == CLM_OK) {
        code = clm_str_fmt(target->cert_path, sizeof(target->cert_path), err, "%s/conf/tls-%s.pem",
                           site->tomcat->args.base, name);
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(target->key_path, sizeof(target->key_path), err, "%s/conf/tls-%s.key",
                           site->tomcat->args.base, name);
    }
    return code != CLM_OK
               ? code
               : clm_remark(&target->reasons, err,
                            "line %u of server.xml names no certificate: a deployment adds '%s' "
                            "there, which Tomcat reads when it is restarted",
                            place->pair->node->line, target->cert_path);
}

static bool shares_host(const struct clm_tomcat_pair *a, const struct clm_tomcat_pair *b)
{
    return a != b && a->host == b->host && a->host != NULL;
}

static enum clm_code add_target(const struct clm_tomcat_site *site,
                                const struct clm_tomcat_connector *connector, size_t i,
                                struct clm_err *err)
{
    struct place place = {.connector = connector, .pair = &connector->pairs[i]};
    struct clm_target *target = clm_service_add_target(site->service);

    if (target == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "target");
    }
    for (size_t k = 0; k < connector->n_pairs; k++) {
        place.is_one_of_types =
            place.is_one_of_types || shares_host(place.pair, &connector->pairs[k]);
    }
    place.is_bare = is_bare(site, place.pair);
    return fill(site, &place, target, err);
}

/* Keystores are read here, PEM files as for every other server. */
static enum clm_code read_stores(const struct clm_tomcat_site *site, struct clm_err *err)
{
    const struct clm_tomcat *tomcat = site->tomcat;
    size_t at = 0;
    enum clm_code code = CLM_OK;

    for (size_t c = 0; c < tomcat->n_connectors; c++) {
        for (size_t p = 0; p < tomcat->connectors[c].n_pairs && code == CLM_OK; p++) {
            struct clm_target *target = &site->service->targets[at++];

            if (target->store_type[0] == '\0' && target->cert_path[0] == '/') {
                code = clm_tomcat_read_store(site, &tomcat->connectors[c].pairs[p], target, err);
            }
        }
    }
    return code;
}

/* After the files were read: these are not there yet. */
static enum clm_code propose_all(const struct clm_tomcat_site *site, struct clm_err *err)
{
    const struct clm_tomcat *tomcat = site->tomcat;
    size_t at = 0;
    enum clm_code code = CLM_OK;

    for (size_t c = 0; c < tomcat->n_connectors; c++) {
        for (size_t p = 0; p < tomcat->connectors[c].n_pairs && code == CLM_OK; p++) {
            struct place place = {.pair = &tomcat->connectors[c].pairs[p]};
            struct clm_target *target = &site->service->targets[at++];

            if (is_bare(site, place.pair)) {
                code = propose(site, &place, target, err);
            }
        }
    }
    return code;
}

enum clm_code clm_tomcat_targets(const struct clm_tomcat_site *site, struct clm_err *err)
{
    const struct clm_tomcat *tomcat = site->tomcat;
    enum clm_code code = CLM_OK;

    for (size_t c = 0; c < tomcat->n_connectors; c++) {
        for (size_t p = 0; p < tomcat->connectors[c].n_pairs && code == CLM_OK; p++) {
            code = add_target(site, &tomcat->connectors[c], p, err);
        }
    }
    if (code == CLM_OK) {
        code = read_stores(site, err);
    }
    if (code == CLM_OK) {
        code = clm_targets_read_files(site->io, site->process, site->service, err);
    }
    return code == CLM_OK ? propose_all(site, err) : code;
}
