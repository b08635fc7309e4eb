/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is Tomcat's manager there, and at which address of this host?
 *
 * A request to an address goes to the default host of the engine, so the manager counts only there.
 * It is asked over plain HTTP on loopback: the request would otherwise hang on the very certificate
 * that is being changed.
 */
#include <stdio.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "agent/formats/server_xml.h"

#define PATH_OF_RELOAD "/manager/text/sslReload?tlsHostName="

static enum clm_code attr(const struct clm_tomcat *tomcat, const struct clm_xml_node *node,
                          const char *name, const char *fallback, struct clm_buf *out,
                          struct clm_err *err)
{
    const char *raw = clm_xml_value(node, name);

    return clm_tomcat_expand(tomcat, raw != NULL ? raw : fallback, out, err);
}

static bool exists(const struct clm_io *io, const char *path)
{
    struct clm_stat st = {0};

    return io->stat(io->ctx, path, true, &st, NULL) == CLM_OK;
}

/* A file conf/ENGINE/HOST/manager.xml, or the application below the host's appBase. */
static bool is_deployed(const struct clm_io *io, const struct clm_tomcat *tomcat,
                        const char *engine, const char *host, const char *app_base)
{
    char base[PATH_MAX];
    char path[PATH_MAX];

    if (clm_str_fmt(path, sizeof(path), NULL, "%s/conf/%s/%s/manager.xml", tomcat->args.base,
                    engine, host) == CLM_OK &&
        exists(io, path)) {
        return true;
    }
    if (clm_conf_path(tomcat->args.base, app_base, base, sizeof(base), NULL) != CLM_OK) {
        return false;
    }
    if (clm_str_fmt(path, sizeof(path), NULL, "%s/manager/WEB-INF", base) == CLM_OK &&
        exists(io, path)) {
        return true;
    }
    return clm_str_fmt(path, sizeof(path), NULL, "%s/manager.war", base) == CLM_OK &&
           exists(io, path);
}

static enum clm_code find_manager(const struct clm_io *io, const struct clm_tomcat *tomcat,
                                  const struct clm_xml_node *service, bool *found,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf engine = CLM_BUF_INIT(256);
    CLM_CLEANUP(clm_buf_done) struct clm_buf wanted = CLM_BUF_INIT(256);
    CLM_CLEANUP(clm_buf_done) struct clm_buf name = CLM_BUF_INIT(256);
    CLM_CLEANUP(clm_buf_done) struct clm_buf app_base = CLM_BUF_INIT(PATH_MAX - 1);
    const struct clm_xml_node *top = clm_xml_child(service, "Engine", NULL);
    const struct clm_xml_node *host = NULL;
    enum clm_code code;

    *found = false;
    if (top == NULL) {
        return CLM_OK;
    }
    code = attr(tomcat, top, "name", "Catalina", &engine, err);
    if (code == CLM_OK) {
        code = attr(tomcat, top, "defaultHost", "localhost", &wanted, err);
    }
    while (code == CLM_OK && !*found && (host = clm_xml_child(top, "Host", host)) != NULL) {
        code = attr(tomcat, host, "name", "", &name, err);
        if (code == CLM_OK) {
            code = attr(tomcat, host, "appBase", "webapps", &app_base, err);
        }
        *found = code == CLM_OK && strcmp(clm_buf_str(&name), clm_buf_str(&wanted)) == 0 &&
                 is_deployed(io, tomcat, clm_buf_str(&engine), clm_buf_str(&name),
                             clm_buf_str(&app_base));
    }
    return code;
}

/* Host names as they may stand in a query; others cannot be asked for. */
static bool is_plain(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-_*")] == '\0';
}

static const char *loopback_of(const struct clm_tomcat_connector *connector)
{
    if (connector->addr[0] == '\0' || strcmp(connector->addr, "0.0.0.0") == 0 ||
        strcmp(connector->addr, "::") == 0 || strcmp(connector->addr, "localhost") == 0) {
        return "127.0.0.1";
    }
    if (strcmp(connector->addr, "::1") == 0 || strcmp(connector->addr, "0:0:0:0:0:0:0:1") == 0) {
        return "[::1]";
    }
    return clm_str_starts(connector->addr, "127.") ? connector->addr : NULL;
}

static bool listens(const struct clm_service *process, uint16_t port)
{
    for (size_t i = 0; i < process->n_listeners; i++) {
        if (process->listeners[i].port == port) {
            return true;
        }
    }
    return false;
}

enum clm_code clm_tomcat_manager_url(const struct clm_io *io, const struct clm_tomcat *tomcat,
                                     const struct clm_tomcat_wish *wish,
                                     char dst[CLM_TOMCAT_URL_SIZE], struct clm_err *err)
{
    bool found = false;
    enum clm_code code = find_manager(io, tomcat, wish->service, &found, err);

    dst[0] = '\0';
    if (code != CLM_OK || !found || !is_plain(wish->host_name)) {
        return code;
    }
    for (size_t i = 0; i < tomcat->n_connectors; i++) {
        const struct clm_tomcat_connector *connector = &tomcat->connectors[i];
        const char *addr = loopback_of(connector);

        if (connector->service == wish->service && connector->is_http && !connector->is_tls &&
            listens(wish->process, connector->port) && addr != NULL) {
            return clm_str_fmt(dst, CLM_TOMCAT_URL_SIZE, err, "http://%s:%u" PATH_OF_RELOAD "%s",
                               addr, connector->port, wish->host_name);
        }
    }
    return CLM_OK;
}
