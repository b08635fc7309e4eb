/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two instances of a server on one host may serve one name. Which of them has the plain id must not
 * depend on which was started first, or a certificate would go to the other one after a reboot: the
 * instance at the distribution's own place keeps it, others say where their configuration is.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "scanners/target_files.h"

static const char *const usual_places[] = {
    "/etc/nginx/nginx.conf",      "/usr/local/openresty/nginx/conf/nginx.conf",
    "/etc/angie/angie.conf",      "/etc/apache2/apache2.conf",
    "/etc/httpd/conf/httpd.conf",
};

static bool is_usual(const struct clm_service *service)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(usual_places) && !service->foreign_namespace; i++) {
        if (strcmp(service->config_path, usual_places[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The directory of a configuration with the usual name, else the file; "" if it is not known. */
static void place_of(const struct clm_service *service, char *dst)
{
    static const char *const usual_names[] = {"/nginx.conf", "/angie.conf", "/apache2.conf",
                                              "/httpd.conf"};

    memcpy(dst, service->config_path, sizeof(service->config_path));
    for (size_t i = 0; i < CLM_ARRAY_LEN(usual_names); i++) {
        if (clm_str_ends(dst, usual_names[i])) {
            dst[strlen(dst) - strlen(usual_names[i])] = '\0';
            return;
        }
    }
}

static bool is_elsewhere(const struct clm_inventory *inventory, size_t service, const char *id)
{
    for (size_t s = 0; s < inventory->n_services; s++) {
        for (size_t t = 0; s != service && t < inventory->services[s].n_targets; t++) {
            if (strcmp(inventory->services[s].targets[t].id, id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static size_t count(const struct clm_inventory *inventory)
{
    size_t n = 0;

    for (size_t s = 0; s < inventory->n_services; s++) {
        n += inventory->services[s].n_targets;
    }
    return n;
}

static void add_place(const struct clm_service *service, struct clm_target *target)
{
    char place[PATH_MAX];
    char id[CLM_TARGET_ID_SIZE];

    place_of(service, place);
    if (place[0] != '\0' &&
        clm_str_fmt(id, sizeof(id), NULL, "%s@%s", target->id, place) == CLM_OK &&
        clm_target_id_is_valid(id)) {
        memcpy(target->id, id, sizeof(id));
    }
}

enum clm_code clm_targets_say_where(struct clm_inventory *inventory, struct clm_err *err)
{
    bool *marked = calloc(count(inventory) + 1, sizeof(*marked));
    size_t n = 0;

    if (marked == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "names of targets");
    }
    for (size_t s = 0; s < inventory->n_services; s++) { /* all before one is changed */
        const struct clm_service *service = &inventory->services[s];

        for (size_t t = 0; t < service->n_targets; t++) {
            marked[n++] = !is_usual(service) && is_elsewhere(inventory, s, service->targets[t].id);
        }
    }
    n = 0;
    for (size_t s = 0; s < inventory->n_services; s++) {
        for (size_t t = 0; t < inventory->services[s].n_targets; t++) {
            if (marked[n++]) {
                add_place(&inventory->services[s], &inventory->services[s].targets[t]);
            }
        }
    }
    free(marked);
    return CLM_OK;
}
