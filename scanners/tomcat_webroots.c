/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Tomcat serves files for a name over plain HTTP: its default servlet serves what lies in the
 * application ROOT. Filters, constraints and other servlets of that application are not looked at.
 */
#include <stdio.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "scanners/endpoints.h"
#include "scanners/tomcat_parts.h"

#define WEBROOTS_MAX 1000

/* The socket to fetch from: port 80 if there is one. NULL: none. */
static const struct clm_listener *plain_listener(const struct clm_tomcat_site *site,
                                                 const struct clm_xml_node *service)
{
    const struct clm_listener *found = NULL;

    for (size_t c = 0; c < site->tomcat->n_connectors; c++) {
        const struct clm_tomcat_connector *connector = &site->tomcat->connectors[c];

        for (size_t i = 0; i < site->service->n_listeners; i++) {
            const struct clm_listener *listener = &site->service->listeners[i];

            if (connector->service == service && connector->is_http && !connector->is_tls &&
                listener->port == connector->port &&
                (found == NULL || (found->port != 80 && listener->port == 80))) {
                found = listener;
            }
        }
    }
    return found;
}

static bool is_directory(const struct clm_io *io, const char *path)
{
    struct clm_stat st = {0};

    return io->stat(io->ctx, path, true, &st, NULL) == CLM_OK && st.kind == CLM_FILE_DIRECTORY;
}

/* appBase/ROOT into path; a reason if files in it are not served. */
static void find_root(const struct clm_tomcat_site *site, const struct clm_xml_node *engine,
                      const struct clm_xml_node *host, struct clm_webroot *out)
{
    const char *engine_name = clm_xml_value(engine, "name");
    const char *host_name = clm_xml_value(host, "name");
    const char *app_base = clm_xml_value(host, "appBase");
    const struct clm_xml_node *context = NULL;
    char base[PATH_MAX];
    char conf[PATH_MAX];
    struct clm_stat st = {0};

    while ((context = clm_xml_child(host, "Context", context)) != NULL) {
        const char *path = clm_xml_value(context, "path");

        if (path != NULL && path[0] == '\0') {
            (void)snprintf(out->reason, sizeof(out->reason),
                           "line %u of server.xml places the application for '/' by itself",
                           context->line);
            return;
        }
    }
    if (clm_str_fmt(conf, sizeof(conf), NULL, "%s/conf/%s/%s/ROOT.xml", site->tomcat->args.base,
                    engine_name == NULL ? "Catalina" : engine_name, host_name) != CLM_OK ||
        site->io->stat(site->io->ctx, conf, true, &st, NULL) == CLM_OK) {
        (void)snprintf(out->reason, sizeof(out->reason),
                       "a file ROOT.xml of this host places the application for '/' elsewhere");
        return;
    }
    if (clm_conf_path(site->tomcat->args.base, app_base == NULL ? "webapps" : app_base, base,
                      sizeof(base), NULL) != CLM_OK ||
        clm_str_fmt(out->path, sizeof(out->path), NULL, "%s/ROOT", base) != CLM_OK ||
        strchr(out->path, '$') != NULL || !is_directory(site->io, out->path)) {
        out->path[0] = '\0';
        (void)snprintf(out->reason, sizeof(out->reason),
                       "the host has no directory ROOT in its appBase: nothing answers for '/'");
    }
}

static enum clm_code add(const struct clm_tomcat_site *site, const struct clm_listener *listener,
                         const struct clm_webroot *like, const char *name, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs taken = {0};
    struct clm_webroot *webroot;
    char domain[CLM_DNS_NAME_SIZE];

    if (clm_dns_normalise(name, false, domain, NULL) != CLM_OK) {
        return CLM_OK;
    }
    for (size_t i = 0; i < site->service->n_webroots; i++) {
        if (strcmp(site->service->webroots[i].domain, domain) == 0) {
            return CLM_OK;
        }
    }
    webroot = clm_service_add_webroot(site->service);
    if (webroot == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "web root");
    }
    *webroot = *like;
    memcpy(webroot->domain, domain, sizeof(domain));
    webroot->port = listener->port;
    if (clm_probe_addr(strcmp(listener->addr, "::") == 0 ? "0.0.0.0" : listener->addr,
                       listener->port, &taken, webroot->addr, NULL) != CLM_OK &&
        webroot->reason[0] == '\0') {
        (void)snprintf(webroot->reason, sizeof(webroot->reason),
                       "no local address leads to %s port %u", listener->addr, listener->port);
    }
    return CLM_OK;
}

static enum clm_code add_host(const struct clm_tomcat_site *site,
                              const struct clm_listener *listener,
                              const struct clm_xml_node *engine, const struct clm_xml_node *host,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    struct clm_webroot like = {.port = 0};
    enum clm_code code = clm_tomcat_host_names(site->tomcat, host, &names, err);

    if (code == CLM_OK && names.n > 0) {
        find_root(site, engine, host, &like);
    }
    for (size_t i = 0; i < names.n && code == CLM_OK; i++) {
        if (site->service->n_webroots >= WEBROOTS_MAX) {
            return clm_remark(&site->service->remarks, err, "web roots beyond %d are left out",
                              WEBROOTS_MAX);
        }
        code = add(site, listener, &like, names.v[i], err);
    }
    return code;
}

enum clm_code clm_tomcat_webroots(const struct clm_tomcat_site *site, struct clm_err *err)
{
    const struct clm_xml_node *service = NULL;
    enum clm_code code = CLM_OK;

    while (code == CLM_OK &&
           (service = clm_xml_child(site->tomcat->xml.root, "Service", service)) != NULL) {
        const struct clm_listener *listener = plain_listener(site, service);
        const struct clm_xml_node *engine = clm_xml_child(service, "Engine", NULL);
        const struct clm_xml_node *host = NULL;

        while (listener != NULL && engine != NULL && code == CLM_OK &&
               (host = clm_xml_child(engine, "Host", host)) != NULL) {
            code = add_host(site, listener, engine, host, err);
        }
    }
    return code;
}
