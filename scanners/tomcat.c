/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "agent/formats/server_xml.h"
#include "scanners/endpoints.h"
#include "scanners/processes.h"
#include "scanners/scanner.h"
#include "scanners/scanners.h"
#include "scanners/tomcat_parts.h"

#define NOTES_MAX ((size_t)256 * 1024) /* bytes of RELEASE-NOTES */
#define LINKS_MAX 4                    /* from lib/catalina.jar to a name with a version */

/* jsvc runs the virtual machine in its child. */
static bool claims(const struct clm_process *process)
{
    if (!clm_tomcat_is(&process->argv)) {
        return false;
    }
    return strcmp(clm_process_name(process), "jsvc") != 0 ||
           (process->parent != NULL && strcmp(process->parent->exe, process->exe) == 0);
}

/* "tomcat10-catalina-10.1.60.jar": "10.1.60" */
static void version_of_name(const char *path, char *dst, size_t size)
{
    const char *name = strrchr(path, '/');
    const char *dash = strrchr(name == NULL ? path : name, '-');

    if (dash != NULL && strspn(dash + 1, "0123456789") > 0 && clm_str_ends(dash, ".jar")) {
        (void)snprintf(dst, size, "%.*s", (int)(strlen(dash + 1) - strlen(".jar")), dash + 1);
    }
}

/* Packages of distributions link lib/catalina.jar to a file with its version. */
static void version_of_jar(const struct clm_io *io, const char *home, char *dst, size_t size)
{
    char path[PATH_MAX];

    if (clm_conf_path(home, "lib/catalina.jar", path, sizeof(path), NULL) != CLM_OK) {
        return;
    }
    for (int i = 0; i < LINKS_MAX && dst[0] == '\0'; i++) {
        char to[PATH_MAX];
        char dir[PATH_MAX];

        if (io->read_link(io->ctx, path, to, sizeof(to), NULL) != CLM_OK ||
            clm_conf_dirname(path, dir, sizeof(dir), NULL) != CLM_OK ||
            clm_conf_path(dir, to, path, sizeof(path), NULL) != CLM_OK) {
            return;
        }
        version_of_name(path, dst, size);
    }
}

/* "                     Apache Tomcat Version 9.0.65" in the archive's RELEASE-NOTES */
static void version_of_notes(const struct clm_io *io, const char *home, char *dst, size_t size)
{
    static const char before[] = "Apache Tomcat Version ";
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(NOTES_MAX + 1);
    char path[PATH_MAX];
    const char *at;

    if (clm_conf_path(home, "RELEASE-NOTES", path, sizeof(path), NULL) != CLM_OK ||
        io->read_file(io->ctx, path, NOTES_MAX, &text, NULL) != CLM_OK) {
        return;
    }
    at = strstr(clm_buf_str(&text), before);
    if (at != NULL) {
        at += strlen(before);
        (void)snprintf(dst, size, "%.*s", (int)strcspn(at, " \r\n"), at);
    }
}

static enum clm_code add_notes(const struct clm_tomcat *tomcat, struct clm_service *service,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < tomcat->notes.n && code == CLM_OK; i++) {
        code = clm_remark(&service->remarks, err, "'%s': %s", service->config_path,
                          tomcat->notes.v[i]);
    }
    return code;
}

static enum clm_code read_conf(const struct clm_io *io, const struct clm_process *process,
                               struct clm_tomcat_args *args, struct clm_service *service,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_tomcat_done) struct clm_tomcat tomcat = {.n_connectors = 0};
    struct clm_tomcat_site site = {
        .io = io, .process = process, .tomcat = &tomcat, .service = service};
    struct clm_err why = {0};
    enum clm_code code = clm_tomcat_load(io, args, &tomcat, &why);

    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg)
                                   : clm_remark(&service->remarks, err,
                                                "the configuration could not be read: %s", why.msg);
    }
    code = add_notes(&tomcat, service, err);
    if (code == CLM_OK) {
        code = clm_tomcat_targets(&site, err);
    }
    return code == CLM_OK ? clm_tomcat_webroots(&site, err) : code;
}

static enum clm_code read_service(const struct clm_io *io, const struct clm_process *process,
                                  struct clm_service *service, struct clm_err *err)
{
    CLM_CLEANUP(clm_tomcat_args_done) struct clm_tomcat_args args = {.pid = 0};
    struct clm_err why = {0};
    enum clm_code code;

    if (service->foreign_namespace) {
        return clm_remark(&service->remarks, err,
                          "runs in a container: its files are not this host's and are not read");
    }
    code = clm_tomcat_args_parse(&process->argv, process->pid, &args, &why);
    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg)
                                   : clm_remark(&service->remarks, err, "%s", why.msg);
    }
    memcpy(service->config_path, args.config, sizeof(args.config));
    memcpy(service->prefix, args.base, sizeof(args.base));
    if (!clm_process_shares(io, process, service->config_path)) {
        service->foreign_namespace = true;
        return clm_remark(&service->remarks, err,
                          "the server sees another '%s' than this agent: it is not read",
                          service->config_path);
    }
    version_of_notes(io, args.home, service->version, sizeof(service->version));
    if (service->version[0] == '\0') {
        version_of_jar(io, args.home, service->version, sizeof(service->version));
    }
    return read_conf(io, process, &args, service, err);
}

const struct clm_scanner_ops clm_scanner_tomcat = {
    .name = "tomcat",
    .summary = "Apache Tomcat 7 to 11, under java or jsvc",
    .claims = claims,
    .read = read_service,
};
