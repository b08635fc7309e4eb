/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/formats/apache_conf.h"
#include "agent/formats/server_args.h"
#include "scanners/apache_view.h"
#include "scanners/endpoints.h"
#include "scanners/processes.h"
#include "scanners/scanner.h"
#include "scanners/scanners.h"
#include "scanners/target_files.h"

#define RUN_TIMEOUT_MS 10000 /* "httpd -v" takes some milliseconds */
#define VERSION_MAX    4096u
#define NOTES_MAX      10 /* remarks about what the reader did not follow */

/* The parent: the one whose own parent does not run the same program. */
static bool claims(const struct clm_process *process)
{
    const char *name = clm_process_name(process);

    return (strcmp(name, "apache2") == 0 || strcmp(name, "httpd") == 0) &&
           (process->parent == NULL || strcmp(process->parent->exe, process->exe) != 0 ||
            process->exe[0] == '\0');
}

/* "Server version: Apache/2.4.57 (Debian)" */
static enum clm_code read_version(const struct clm_io *io, const struct clm_process *process,
                                  struct clm_service *service, struct clm_err *err)
{
    const char *const argv[] = {process->exe, "-v", NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf output = CLM_BUF_INIT(VERSION_MAX + 1);
    struct clm_err why = {0};
    enum clm_code code = clm_program_check(io, process->exe, &why);
    const char *from;
    int status = 0;

    if (code == CLM_OK) {
        code = io->ask(io->ctx, argv, RUN_TIMEOUT_MS, &status, &output, &why);
    }
    if (code != CLM_OK) {
        return clm_remark(&service->remarks, err, "the version is not known: %s", why.msg);
    }
    from = strstr(clm_buf_str(&output), "Apache/");
    if (from != NULL) {
        from += strlen("Apache/");
        (void)snprintf(service->version, sizeof(service->version), "%.*s",
                       (int)strcspn(from, " \n("), from);
    }
    return CLM_OK;
}

/* What is compiled in, by where the program lies: asking it ("-V") would read the configuration. */
static void built_in(const char *exe, char *root, const char **out_conf)
{
    static const struct {
        const char *exe;
        const char *root;
        const char *conf;
    } builds[] = {
        {"/usr/sbin/apache2", "/etc/apache2", "apache2.conf"},
        {"/usr/sbin/httpd", "/etc/httpd", "conf/httpd.conf"},
    };
    const char *bin = strstr(exe, "/bin/");

    for (size_t i = 0; i < CLM_ARRAY_LEN(builds); i++) {
        if (strcmp(exe, builds[i].exe) == 0) {
            (void)snprintf(root, PATH_MAX, "%s", builds[i].root);
            *out_conf = builds[i].conf;
            return;
        }
    }
    *out_conf = "conf/httpd.conf";
    (void)snprintf(root, PATH_MAX, "%.*s", bin == NULL ? 0 : (int)(bin - exe), exe);
}

static enum clm_code load(const struct clm_io *io, struct clm_service *service,
                          const struct clm_apache_args *args, struct clm_conf_tree *tree,
                          struct clm_apache_view *view, struct clm_err *err)
{
    char dir[PATH_MAX];
    char envvars[PATH_MAX];
    struct clm_apache_source source = {.path = service->config_path,
                                       .server_root = view->root,
                                       .defines = &args->defines,
                                       .version = service->version};
    char root[PATH_MAX];
    enum clm_code code = clm_conf_dirname(service->config_path, dir, sizeof(dir), err);

    if (code == CLM_OK &&
        (clm_str_starts(dir, "/etc/apache2") ||
         (strcmp(service->exe, "/usr/sbin/apache2") == 0 &&
          clm_str_ends(service->config_path, "/apache2.conf"))) &&
        clm_conf_path(dir, "envvars", envvars, sizeof(envvars), NULL) == CLM_OK) {
        source.envvars = envvars;
    }
    if (code == CLM_OK) {
        code = clm_apache_conf_load(io, &source, tree, root, err);
    }
    if (code == CLM_OK) {
        memcpy(view->root, root, sizeof(view->root));
    }
    return code;
}

/* A reload with a configuration that cannot be read ends httpd, so it must be tested before, with the
 * files that it will read. */
static enum clm_code refuse_elsewhere(struct clm_service *service, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < service->n_targets && service->foreign_namespace && code == CLM_OK;
         i++) {
        code = clm_target_refuse(&service->targets[i], err,
                                 "httpd sees its files under other names than this agent (it has "
                                 "its own mounts), so its configuration cannot be tested before a "
                                 "reload");
    }
    return code;
}

static enum clm_code read_conf(const struct clm_io *io, const struct clm_process *process,
                               struct clm_service *service, const struct clm_apache_args *args,
                               const char *root, struct clm_err *err)
{
    CLM_CLEANUP(clm_conf_tree_done) struct clm_conf_tree tree = {.notes = {0}};
    CLM_CLEANUP(clm_apache_view_done) struct clm_apache_view view = {.tree = &tree};
    struct clm_err why = {0};
    enum clm_code code;

    (void)snprintf(view.root, sizeof(view.root), "%s", root);
    code = load(io, service, args, &tree, &view, &why);
    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg)
                                   : clm_remark(&service->remarks, err,
                                                "the configuration could not be read: %s", why.msg);
    }
    for (size_t i = 0; i < tree.notes.n && i < NOTES_MAX && code == CLM_OK; i++) {
        code = clm_remark(&service->remarks, err, "%s", tree.notes.v[i]);
    }
    if (code == CLM_OK) {
        code = clm_apache_view_make(&view, service, err);
    }
    if (code == CLM_OK) {
        code = clm_apache_targets(&view, service, err);
    }
    if (code == CLM_OK) {
        code = clm_apache_webroots(&view, service, err);
    }
    if (code == CLM_OK) {
        code = clm_targets_read_files(io, process, service, err);
    }
    if (code == CLM_OK) {
        code = clm_apache_pairs(&view, service, err);
    }
    if (code == CLM_OK) {
        code = clm_targets_to_host(io, process, service, err);
    }
    return code == CLM_OK ? refuse_elsewhere(service, err) : code;
}

static enum clm_code find_paths(const struct clm_process *process,
                                const struct clm_apache_args *args, struct clm_service *service,
                                char *root, struct clm_err *err)
{
    const char *conf = NULL;
    enum clm_code code;

    built_in(process->exe, root, &conf);
    if (args->root[0] != '\0') {
        memcpy(service->prefix, args->root, sizeof(service->prefix));
        memcpy(root, args->root, sizeof(args->root));
    }
    if (args->conf[0] != '\0') {
        conf = args->conf;
    }
    if (conf[0] != '/' && root[0] != '/') {
        return clm_remark(&service->remarks, err,
                          "where '%s' has its configuration is not known: start it with -f and an "
                          "absolute path",
                          process->exe);
    }
    code = clm_conf_path(root, conf, service->config_path, sizeof(service->config_path), err);
    if (code == CLM_OK && args->has_directives) {
        code = clm_remark(&service->remarks, err,
                          "was started with -c or -C: those directives are not read");
    }
    return code;
}

static enum clm_code read_service(const struct clm_io *io, const struct clm_process *process,
                                  struct clm_service *service, struct clm_err *err)
{
    CLM_CLEANUP(clm_apache_args_done) struct clm_apache_args args = {.conf = ""};
    char root[PATH_MAX];
    enum clm_code code;

    if (service->foreign_namespace) {
        return clm_remark(&service->remarks, err,
                          "runs in a container: its files are not this host's and are not read");
    }
    code = read_version(io, process, service, err);
    if (code == CLM_OK) {
        code = clm_apache_args_parse(&process->argv, &args, err);
    }
    if (code == CLM_OK) {
        code = find_paths(process, &args, service, root, err);
    }
    if (code != CLM_OK || service->config_path[0] == '\0') {
        return code;
    }
    if (!clm_process_shares(io, process, service->config_path)) {
        service->foreign_namespace = true;
        return clm_remark(&service->remarks, err,
                          "the server sees another '%s' than this agent: it is not read",
                          service->config_path);
    }
    return read_conf(io, process, service, &args, root, err);
}

const struct clm_scanner_ops clm_scanner_apache = {
    .name = "apache",
    .summary = "Apache HTTP Server (apache2, httpd)",
    .claims = claims,
    .read = read_service,
};
