/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/target.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/fields.h"

#define KIND_MAX       24 /* bytes; protocol.md 6.4 */
#define NAME_MAX_BYTES 200

void clm_target_done(struct clm_target *target)
{
    if (target != NULL) {
        clm_names_done(&target->names);
        clm_strs_done(&target->reasons);
        clm_cert_info_done(&target->certificate);
        free(target->endpoints);
        free(target->served);
        memset(target, 0, sizeof(*target));
    }
}

void clm_service_done(struct clm_service *service)
{
    if (service == NULL) {
        return;
    }
    for (size_t i = 0; i < service->n_targets; i++) {
        clm_target_done(&service->targets[i]);
    }
    clm_strs_done(&service->remarks);
    free(service->targets);
    free(service->listeners);
    free(service->webroots);
    memset(service, 0, sizeof(*service));
}

void clm_inventory_done(struct clm_inventory *inventory)
{
    if (inventory == NULL) {
        return;
    }
    for (size_t i = 0; i < inventory->n_services; i++) {
        clm_service_done(&inventory->services[i]);
    }
    free(inventory->services);
    clm_strs_done(&inventory->errors);
    memset(inventory, 0, sizeof(*inventory));
}

struct clm_service *clm_inventory_add_service(struct clm_inventory *inventory)
{
    void *items = inventory->services;
    struct clm_service *added =
        clm_array_grow(&items, &inventory->n_services, sizeof(*inventory->services));

    inventory->services = items;
    return added;
}

struct clm_target *clm_service_add_target(struct clm_service *service)
{
    void *items = service->targets;
    struct clm_target *added =
        clm_array_grow(&items, &service->n_targets, sizeof(*service->targets));

    service->targets = items;
    return added;
}

struct clm_listener *clm_service_add_listener(struct clm_service *service)
{
    void *items = service->listeners;
    struct clm_listener *added =
        clm_array_grow(&items, &service->n_listeners, sizeof(*service->listeners));

    service->listeners = items;
    return added;
}

struct clm_webroot *clm_service_add_webroot(struct clm_service *service)
{
    void *items = service->webroots;
    struct clm_webroot *added =
        clm_array_grow(&items, &service->n_webroots, sizeof(*service->webroots));

    service->webroots = items;
    return added;
}

struct clm_endpoint *clm_target_add_endpoint(struct clm_target *target)
{
    void *items = target->endpoints;
    struct clm_endpoint *added =
        clm_array_grow(&items, &target->n_endpoints, sizeof(*target->endpoints));

    target->endpoints = items;
    return added;
}

static const struct clm_target *find_in(const struct clm_service *service, const char *id)
{
    for (size_t i = 0; i < service->n_targets; i++) {
        if (strcmp(service->targets[i].id, id) == 0) {
            return &service->targets[i];
        }
    }
    return NULL;
}

/* "nginx:www.example.com@/etc/nginx-b" without the place while no other service has the name. */
static const struct clm_target *find_at(const struct clm_service *service, const char *id)
{
    const char *place = strstr(id, "@/");
    char plain[CLM_TARGET_ID_SIZE];
    size_t len;

    if (place == NULL || clm_str_copy(plain, sizeof(plain), id, NULL) != CLM_OK) {
        return NULL;
    }
    plain[place - id] = '\0';
    len = strlen(place + 1);
    if (strncmp(service->config_path, place + 1, len) != 0 ||
        (service->config_path[len] != '\0' &&
         (service->config_path[len] != '/' ||
          strchr(service->config_path + len + 1, '/') != NULL))) {
        return NULL;
    }
    return find_in(service, plain);
}

const struct clm_target *clm_inventory_find(const struct clm_inventory *inventory, const char *id,
                                            const struct clm_service **out_service)
{
    for (size_t i = 0; i < inventory->n_services; i++) {
        const struct clm_target *target = find_in(&inventory->services[i], id);

        if (target != NULL) {
            if (out_service != NULL) {
                *out_service = &inventory->services[i];
            }
            return target;
        }
    }
    for (size_t i = 0; i < inventory->n_services; i++) {
        const struct clm_target *target = find_at(&inventory->services[i], id);

        if (target != NULL) {
            if (out_service != NULL) {
                *out_service = &inventory->services[i];
            }
            return target;
        }
    }
    return NULL;
}

bool clm_target_id_is_valid(const char *id)
{
    size_t kind = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_");
    const char *name;
    size_t len;

    if (strcmp(id, "host") == 0) {
        return true;
    }
    if (kind < 1 || kind > KIND_MAX || id[kind] != ':') {
        return false;
    }
    name = id + kind + 1;
    len = strlen(name);
    if (len < 1 || len > NAME_MAX_BYTES || !clm_str_is_utf8(name, len)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < 0x20) {
            return false;
        }
    }
    return true;
}
