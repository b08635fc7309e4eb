/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON form of an inventory: protocol.md 7.8, and beside it the members of the structs that 7.8
 * does not name. docs/schema/inventory.md lists them all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/model/fields.h"
#include "agent/model/target.h"

#define INVENTORY_SCHEMA 1
#define END                                                                                        \
    {                                                                                              \
        NULL, CLM_FIELD_TEXT, false, 0, 0, 0, 0                                                    \
    }
#define TEXT(type, key, required, member)                                                          \
    {                                                                                              \
        key, CLM_FIELD_TEXT, required, offsetof(type, member), sizeof(((type *)0)->member), 0, 0   \
    }
#define BOOL(type, key, member)                                                                    \
    {                                                                                              \
        key, CLM_FIELD_BOOL, false, offsetof(type, member), 0, 0, 0                                \
    }
#define LIST(type, key, member)                                                                    \
    {                                                                                              \
        key, CLM_FIELD_LIST, false, offsetof(type, member), CLM_JSON_STRING_MAX, 0, 0              \
    }

static const struct clm_field listener_fields[] = {
    TEXT(struct clm_listener, "addr", true, addr),
    {"port", CLM_FIELD_U16, true, offsetof(struct clm_listener, port), 0, 0, 65535},
    BOOL(struct clm_listener, "tls", tls),
    END,
};

static const struct clm_field webroot_fields[] = {
    TEXT(struct clm_webroot, "domain", true, domain),
    TEXT(struct clm_webroot, "path", false, path),
    TEXT(struct clm_webroot, "acme_path", false, acme_path),
    TEXT(struct clm_webroot, "addr", false, addr),
    {"port", CLM_FIELD_U16, false, offsetof(struct clm_webroot, port), 0, 0, 65535},
    TEXT(struct clm_webroot, "reason", false, reason),
    END,
};

static const struct clm_field target_fields[] = {
    TEXT(struct clm_target, "target", true, id),
    BOOL(struct clm_target, "manageable", manageable),
    LIST(struct clm_target, "reasons", reasons),
    TEXT(struct clm_target, "cert_path", false, cert_path),
    TEXT(struct clm_target, "key_path", false, key_path),
    TEXT(struct clm_target, "chain_path", false, chain_path),
    TEXT(struct clm_target, "store_type", false, store_type),
    TEXT(struct clm_target, "alias", false, alias),
    TEXT(struct clm_target, "key_kind", false, key_kind),
    TEXT(struct clm_target, "managed_by", false, manager),
    TEXT(struct clm_target, "key_perm", false, key_perm),
    TEXT(struct clm_target, "configured_at", false, configured_at),
    END,
};

/* In "certificate", because 7.8 has them there; in struct clm_target, because they need the key. */
static const struct clm_field pair_fields[] = {
    BOOL(struct clm_target, "chain_ok", chain_ok),
    BOOL(struct clm_target, "key_matches", key_matches),
    END,
};

static const struct clm_field service_fields[] = {
    TEXT(struct clm_service, "service_id", true, id),
    TEXT(struct clm_service, "kind", true, kind),
    TEXT(struct clm_service, "version", false, version),
    BOOL(struct clm_service, "running", running),
    {"pid", CLM_FIELD_I32, false, offsetof(struct clm_service, pid), 0, 0, INT32_MAX},
    {"start_ticks", CLM_FIELD_U64, false, offsetof(struct clm_service, start_ticks), 0, 0,
     CLM_JSON_INT_MAX},
    TEXT(struct clm_service, "exe", false, exe),
    TEXT(struct clm_service, "user", false, user),
    TEXT(struct clm_service, "unit", false, unit),
    TEXT(struct clm_service, "prefix", false, prefix),
    BOOL(struct clm_service, "foreign_namespace", foreign_namespace),
    LIST(struct clm_service, "remarks", remarks),
    END,
};

static const struct clm_field inventory_fields[] = {
    {"started_at", CLM_FIELD_TIME, true, offsetof(struct clm_inventory, started_at_s), 0, 0, 0},
    {"duration_ms", CLM_FIELD_U32, false, offsetof(struct clm_inventory, duration_ms), 0, 0,
     UINT32_MAX},
    END,
};

/* ---- writing ---- */

/* 7.8 shows one handshake of a target: the first that shows another leaf than the file, since that
 * is what an operator must see; else the first that shows a leaf at all. */
static size_t telling_handshake(const struct clm_target *target)
{
    size_t found = target->n_endpoints;

    for (size_t i = 0; i < target->n_endpoints; i++) {
        const struct clm_observation *seen = &target->served[i];

        if (seen->result != CLM_PROBE_SERVED) {
            continue;
        }
        if (target->has_certificate && strcmp(seen->leaf_sha256, target->certificate.sha256) != 0) {
            return i;
        }
        if (found == target->n_endpoints) {
            found = i;
        }
    }
    return found;
}

static void write_served(const struct clm_target *target, struct clm_json *obj)
{
    size_t i = telling_handshake(target);
    const struct clm_endpoint *endpoint = &target->endpoints[i];
    struct clm_json *served;
    char checked[CLM_ADDR_SIZE + 16];
    bool bracket;

    if (i == target->n_endpoints) {
        clm_json_set_null(obj, "served");
        return;
    }
    bracket = strchr(endpoint->addr, ':') != NULL;
    (void)snprintf(checked, sizeof(checked), "%s%s%s:%u", bracket ? "[" : "", endpoint->addr,
                   bracket ? "]" : "", (unsigned)endpoint->port);
    served = clm_json_set_object(obj, "served");
    clm_json_set_str(served, "checked", checked);
    clm_json_set_str(served, "sni", endpoint->sni);
    clm_json_set_str(served, "sha256", target->served[i].leaf_sha256);
    clm_json_set_str(served, "tls", target->served[i].tls_version);
}

static void write_handshakes(const struct clm_target *target, struct clm_json *obj)
{
    struct clm_json *endpoints = clm_json_set_array(obj, "endpoints");
    struct clm_json *observations;

    for (size_t i = 0; i < target->n_endpoints; i++) {
        clm_endpoint_to_json(&target->endpoints[i], clm_json_add_object(endpoints));
    }
    if (target->served == NULL) {
        return;
    }
    observations = clm_json_set_array(obj, "observations");
    for (size_t i = 0; i < target->n_endpoints; i++) {
        clm_observation_to_json(&target->served[i], clm_json_add_object(observations));
    }
    write_served(target, obj);
}

static void write_target(const struct clm_target *target, struct clm_json *obj)
{
    struct clm_json *certificate;

    clm_fields_to_json(target_fields, target, obj);
    clm_names_to_list(&target->names, "names", obj);
    if (target->has_certificate) {
        certificate = clm_json_set_object(obj, "certificate");
        clm_cert_info_to_json(&target->certificate, certificate);
        clm_fields_to_json(pair_fields, target, certificate);
    } else {
        clm_json_set_null(obj, "certificate");
    }
    write_handshakes(target, obj);
}

static void write_config_path(const char *path, struct clm_json *obj)
{
    struct clm_json *paths = clm_json_set_array(obj, "config_paths");
    char *text;

    if (path[0] == '\0') {
        return;
    }
    text = clm_text_to_utf8(path);
    if (text == NULL) {
        clm_json_add_take(paths, NULL); /* marks the tree: no memory */
        return;
    }
    clm_json_add_str(paths, text);
    free(text);
}

static void write_service(const struct clm_service *service, struct clm_json *obj)
{
    struct clm_json *array;

    clm_fields_to_json(service_fields, service, obj);
    write_config_path(service->config_path, obj);
    array = clm_json_set_array(obj, "listen");
    for (size_t i = 0; i < service->n_listeners; i++) {
        struct clm_json *listener = clm_json_add_object(array);

        clm_fields_to_json(listener_fields, &service->listeners[i], listener);
        clm_json_set_str(listener, "proto", "tcp");
    }
    array = clm_json_set_array(obj, "webroots");
    for (size_t i = 0; i < service->n_webroots; i++) {
        clm_fields_to_json(webroot_fields, &service->webroots[i], clm_json_add_object(array));
    }
    array = clm_json_set_array(obj, "targets");
    for (size_t i = 0; i < service->n_targets; i++) {
        write_target(&service->targets[i], clm_json_add_object(array));
    }
}

/* "path: reason" as {"path", "code", "detail"}; joined again by read_error(). */
static void write_error(const char *message, struct clm_json *obj)
{
    char *text = clm_text_to_utf8(message);
    char *colon;

    if (text == NULL) {
        clm_json_set_take(obj, "path", NULL);
        return;
    }
    colon = text[0] == '/' ? strstr(text, ": ") : NULL;
    if (colon != NULL) {
        *colon = '\0';
    }
    clm_json_set_str(obj, "path", colon == NULL ? "" : text);
    clm_json_set_str(obj, "code", "E_SCAN");
    clm_json_set_str(obj, "detail", colon == NULL ? text : colon + 2);
    free(text);
}

void clm_inventory_to_json(const struct clm_inventory *inventory, struct clm_json *obj)
{
    struct clm_json *services;
    struct clm_json *errors;

    clm_json_set_int(obj, "schema", INVENTORY_SCHEMA);
    clm_fields_to_json(inventory_fields, inventory, obj);
    services = clm_json_set_array(obj, "services");
    for (size_t i = 0; i < inventory->n_services; i++) {
        write_service(&inventory->services[i], clm_json_add_object(services));
    }
    errors = clm_json_set_array(obj, "errors");
    for (size_t i = 0; i < inventory->errors.n; i++) {
        write_error(inventory->errors.v[i], clm_json_add_object(errors));
    }
}

/* ---- reading ---- */

typedef enum clm_code (*read_fn)(const struct clm_json *node, void *owner, struct clm_err *err);

/* Calls read for every object of the array under key; a missing array has none. */
static enum clm_code read_each(const struct clm_json *obj, const char *key, read_fn read,
                               void *owner, struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(obj, key);
    enum clm_code code;
    size_t i = 0;

    if (array == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(obj, key, CLM_FIELD_LIST_MAX, &array, err);
    if (code != CLM_OK) {
        return code;
    }
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node), i++) {
        if (clm_json_kind(node) != CLM_JSON_OBJECT) {
            return clm_err_set(err, CLM_E_PARSE, "%s/%zu: not an object", key, i);
        }
        code = read(node, owner, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "%s/%zu", key, i);
        }
    }
    return CLM_OK;
}

static enum clm_code no_memory(const void *added, struct clm_err *err)
{
    return added != NULL ? CLM_OK : clm_err_set(err, CLM_E_NOMEM, "inventory");
}

static enum clm_code read_listener(const struct clm_json *node, void *owner, struct clm_err *err)
{
    struct clm_listener *added = clm_service_add_listener(owner);

    return added == NULL ? no_memory(added, err)
                         : clm_fields_from_json(listener_fields, node, added, err);
}

static enum clm_code read_webroot(const struct clm_json *node, void *owner, struct clm_err *err)
{
    struct clm_webroot *added = clm_service_add_webroot(owner);

    return added == NULL ? no_memory(added, err)
                         : clm_fields_from_json(webroot_fields, node, added, err);
}

static enum clm_code read_endpoint(const struct clm_json *node, void *owner, struct clm_err *err)
{
    struct clm_endpoint *added = clm_target_add_endpoint(owner);

    return added == NULL ? no_memory(added, err) : clm_endpoint_from_json(node, added, err);
}

struct observations {
    struct clm_observation *v;
    size_t n;
    size_t room;
};

static enum clm_code read_observation(const struct clm_json *node, void *owner, struct clm_err *err)
{
    struct observations *list = owner;

    if (list->n == list->room) {
        return clm_err_set(err, CLM_E_PARSE, "there are only %zu endpoints", list->room);
    }
    return clm_observation_from_json(node, &list->v[list->n++], err);
}

static enum clm_code read_observations(const struct clm_json *obj, struct clm_target *target,
                                       struct clm_err *err)
{
    struct observations list = {.room = target->n_endpoints};
    enum clm_code code;

    if (clm_json_get(obj, "observations") == NULL) {
        return CLM_OK;
    }
    list.v = calloc(list.room + 1, sizeof(*list.v));
    if (list.v == NULL) {
        return no_memory(NULL, err);
    }
    target->served = list.v;
    code = read_each(obj, "observations", read_observation, &list, err);
    if (code == CLM_OK && list.n != list.room) {
        code = clm_err_set(err, CLM_E_PARSE, "'observations': %zu for %zu endpoints", list.n,
                           list.room);
    }
    return code;
}

static enum clm_code read_certificate(const struct clm_json *obj, struct clm_target *target,
                                      struct clm_err *err)
{
    const struct clm_json *node = clm_json_get(obj, "certificate");
    enum clm_code code;

    if (node == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(obj, "certificate", &node, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_cert_info_from_json(node, &target->certificate, err);
    if (code == CLM_OK) {
        target->has_certificate = true;
        code = clm_fields_from_json(pair_fields, node, target, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "certificate");
}

static enum clm_code read_target(const struct clm_json *node, void *owner, struct clm_err *err)
{
    struct clm_target *target = clm_service_add_target(owner);
    enum clm_code code = no_memory(target, err);

    if (target == NULL) {
        return code;
    }
    code = clm_fields_from_json(target_fields, node, target, err);
    if (code == CLM_OK && !clm_target_id_is_valid(target->id)) {
        code = clm_err_set(err, CLM_E_PARSE, "'target': '%s' is not a target id", target->id);
    }
    if (code == CLM_OK) {
        code = clm_names_from_list(node, "names", &target->names, err);
    }
    if (code == CLM_OK) {
        code = read_certificate(node, target, err);
    }
    if (code == CLM_OK) {
        code = read_each(node, "endpoints", read_endpoint, target, err);
    }
    return code == CLM_OK ? read_observations(node, target, err) : code;
}

static enum clm_code read_config_path(const struct clm_json *obj, struct clm_service *service,
                                      struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(obj, "config_paths");
    const char *text;
    enum clm_code code;

    if (array == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(obj, "config_paths", CLM_FIELD_LIST_MAX, &array, err);
    if (code != CLM_OK || clm_json_len(array) == 0) {
        return code;
    }
    text = clm_json_text(clm_json_first(array));
    if (text == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "'config_paths': element 0 is no string");
    }
    code = clm_str_copy(service->config_path, sizeof(service->config_path), text, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "'config_paths'");
}

static enum clm_code read_service(const struct clm_json *node, void *owner, struct clm_err *err)
{
    struct clm_service *service = clm_inventory_add_service(owner);
    enum clm_code code = no_memory(service, err);

    if (service == NULL) {
        return code;
    }
    code = clm_fields_from_json(service_fields, node, service, err);
    if (code == CLM_OK) {
        code = read_config_path(node, service, err);
    }
    if (code == CLM_OK) {
        code = read_each(node, "listen", read_listener, service, err);
    }
    if (code == CLM_OK) {
        code = read_each(node, "webroots", read_webroot, service, err);
    }
    return code == CLM_OK ? read_each(node, "targets", read_target, service, err) : code;
}

static enum clm_code read_error(const struct clm_json *node, void *owner, struct clm_err *err)
{
    struct clm_inventory *inventory = owner;
    const char *path = "";
    const char *detail = "";
    char text[2 * PATH_MAX];
    enum clm_code code = clm_json_str_or(node, "path", PATH_MAX, "", &path, err);

    if (code == CLM_OK) {
        code = clm_json_str_or(node, "detail", CLM_JSON_STRING_MAX, "", &detail, err);
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(text, sizeof(text), err, "%s%s%s", path, path[0] == '\0' ? "" : ": ",
                           detail);
    }
    return code == CLM_OK ? clm_strs_add(&inventory->errors, text, err) : code;
}

enum clm_code clm_inventory_from_json(const struct clm_json *obj, struct clm_inventory *out,
                                      struct clm_err *err)
{
    struct clm_inventory inventory = {0};
    int64_t schema = 0;
    enum clm_code code =
        clm_json_int(obj, "schema", INVENTORY_SCHEMA, INVENTORY_SCHEMA, &schema, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(inventory_fields, obj, &inventory, err);
    }
    if (code == CLM_OK) {
        code = read_each(obj, "services", read_service, &inventory, err);
    }
    if (code == CLM_OK) {
        code = read_each(obj, "errors", read_error, &inventory, err);
    }
    if (code != CLM_OK) {
        clm_inventory_done(&inventory);
        return code;
    }
    *out = inventory;
    return CLM_OK;
}
