/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scan_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scanners/scanner.h"
#include "tests/support/host_tree.h"

void scan_check_init(struct scan_check *self, const char *name)
{
    char from[PATH_MAX];

    *self = (struct scan_check){.root = ""};
    root_io_temp(self->root);
    root_io_init(&self->io, self->root);
    if (name != NULL) {
        (void)snprintf(from, sizeof(from), "tests/fixtures/%s", name);
        host_tree_copy(from, self->root);
    }
}

void scan_check_done(struct scan_check *self)
{
    clm_inventory_done(&self->found);
    root_io_remove(self->root);
}

void scan_check_run(struct scan_check *self)
{
    struct clm_err err = {0};

    clm_inventory_done(&self->found);
    self->found = (struct clm_inventory){.services = NULL};
    if (clm_scan_host(&self->io.io, NULL, &self->found, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

const struct clm_service *scan_check_service(const struct scan_check *self, const char *id)
{
    for (size_t i = 0; i < self->found.n_services; i++) {
        if (strcmp(self->found.services[i].id, id) == 0) {
            return &self->found.services[i];
        }
        print_message("  service %s\n", self->found.services[i].id);
    }
    fail_msg("no service '%s'", id);
    return NULL;
}

const struct clm_target *scan_check_target(const struct scan_check *self, const char *id)
{
    const struct clm_target *target = clm_inventory_find(&self->found, id, NULL);

    if (target == NULL) {
        for (size_t i = 0; i < self->found.n_services; i++) {
            for (size_t k = 0; k < self->found.services[i].n_targets; k++) {
                print_message("  target %s\n", self->found.services[i].targets[k].id);
            }
        }
        fail_msg("no target '%s'", id);
    }
    return target;
}

const struct clm_webroot *scan_check_webroot(const struct clm_service *service, const char *domain)
{
    for (size_t i = 0; i < service->n_webroots; i++) {
        if (strcmp(service->webroots[i].domain, domain) == 0) {
            return &service->webroots[i];
        }
    }
    fail_msg("no web root for '%s'", domain);
    return NULL;
}

bool scan_check_says(const struct clm_strs *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strstr(list->v[i], text) != NULL) {
            return true;
        }
    }
    for (size_t i = 0; i < list->n; i++) {
        print_message("  said: %s\n", list->v[i]);
    }
    return false;
}

bool scan_check_endpoint(const struct clm_target *target, const char *text)
{
    char one[512];

    for (size_t i = 0; i < target->n_endpoints; i++) {
        const struct clm_endpoint *e = &target->endpoints[i];

        (void)snprintf(one, sizeof(one), "%s:%u %s", e->addr, e->port, e->sni);
        if (strcmp(one, text) == 0) {
            return true;
        }
        print_message("  endpoint %s\n", one);
    }
    return false;
}
