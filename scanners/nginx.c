/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/formats/nginx_conf.h"
#include "agent/formats/server_args.h"
#include "scanners/closed.h"
#include "scanners/endpoints.h"
#include "scanners/mounts.h"
#include "scanners/nginx_parts.h"
#include "scanners/processes.h"
#include "scanners/scanner.h"
#include "scanners/scanners.h"
#include "scanners/target_files.h"

#define RUN_TIMEOUT_MS 10000 /* "nginx -V" takes some milliseconds */
#define VERSION_MAX    ((size_t)64 * 1024)

static bool is_nginx(const char *name)
{
    static const char *const names[] = {"nginx", "openresty", "angie", "tengine", "freenginx"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The master: the one whose parent does not run the same program. */
static bool claims(const struct clm_process *process)
{
    return is_nginx(clm_process_name(process)) &&
           (process->parent == NULL || strcmp(process->parent->exe, process->exe) != 0 ||
            process->exe[0] == '\0');
}

/* A master, and how its files are to be seen. */
struct view {
    const struct clm_io *io;
    const struct clm_io *files; /* io, or a clm_process_io */
    const struct clm_process *process;
    bool is_foreign; /* paths of its configuration are not ours */
};

/* The value of "--name=" in the output of "nginx -V"; dst is left alone if it is not there. */
static void configure_argument(const char *text, const char *name, char *dst, size_t size)
{
    const char *from = strstr(text, name);

    if (from != NULL) {
        from += strlen(name);
        (void)snprintf(dst, size, "%.*s", (int)strcspn(from, " '\n"), from);
    }
}

/* "nginx version: nginx/1.22.1", "nginx version: openresty/1.21.4.1 (x)" */
static void product_version(const char *text, char *dst, size_t size)
{
    const char *from = strstr(text, " version: ");

    from = from == NULL ? NULL : strchr(from, '/');
    if (from != NULL) {
        (void)snprintf(dst, size, "%.*s", (int)strcspn(from + 1, " \n("), from + 1);
    }
}

/* The program's own places, if it cannot be asked: "PREFIX/sbin/nginx" with "PREFIX/conf", as it is
 * built by default, else those of the packages of the distributions. files: as the server sees them. */
static void guess_paths(const struct clm_io *files, const char *exe, char *conf, char *prefix)
{
    char candidate[PATH_MAX];
    char bin[PATH_MAX];
    char dir[PATH_MAX];
    struct clm_stat st = {0};

    (void)snprintf(conf, PATH_MAX, "/etc/nginx/nginx.conf");
    (void)snprintf(prefix, PATH_MAX, "/usr/share/nginx");
    if (clm_conf_dirname(exe, bin, sizeof(bin), NULL) == CLM_OK &&
        clm_conf_dirname(bin, dir, sizeof(dir), NULL) == CLM_OK &&
        clm_conf_path(dir, "conf/nginx.conf", candidate, sizeof(candidate), NULL) == CLM_OK &&
        files->stat(files->ctx, candidate, true, &st, NULL) == CLM_OK) {
        memcpy(conf, candidate, sizeof(candidate));
        memcpy(prefix, dir, sizeof(dir));
    }
}

/* What was compiled in. The program of another mount namespace is not run. */
static enum clm_code ask_program(const struct view *view, struct clm_service *service, char *conf,
                                 char *prefix, struct clm_err *err)
{
    const struct clm_io *io = view->io;
    const char *const argv[] = {view->process->exe, "-V", NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf output = CLM_BUF_INIT(VERSION_MAX + 1);
    struct clm_err why = {0};
    enum clm_code code;
    int status = 0;

    guess_paths(view->files, view->process->exe, conf, prefix);
    if (view->is_foreign) {
        return CLM_OK;
    }
    code = clm_program_check(io, view->process->exe, &why);
    if (code == CLM_OK) {
        code = io->ask(io->ctx, argv, RUN_TIMEOUT_MS, &status, &output, &why);
    }
    if (code != CLM_OK || status != 0) {
        return clm_remark(&service->remarks, err, "version and built-in paths are not known: %s",
                          code != CLM_OK ? why.msg : "'nginx -V' failed");
    }
    product_version(clm_buf_str(&output), service->version, sizeof(service->version));
    (void)snprintf(prefix, PATH_MAX, "/usr/local/nginx"); /* nginx's own default */
    configure_argument(clm_buf_str(&output), "--prefix=", prefix, PATH_MAX);
    if (clm_conf_path(prefix, "conf/nginx.conf", conf, PATH_MAX, NULL) != CLM_OK) {
        conf[0] = '\0';
    }
    configure_argument(clm_buf_str(&output), "--conf-path=", conf, PATH_MAX);
    return CLM_OK;
}

/* A relative prefix means the directory in which nginx was started, which it does not leave. */
static void complete_prefix(const struct view *view, char *prefix)
{
    const struct clm_io *io = view->io;
    char relative[PATH_MAX];
    char cwd[PATH_MAX];
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/cwd", (int)view->process->pid);
    memcpy(relative, prefix, sizeof(relative));
    if (prefix[0] != '/' && !view->is_foreign &&
        io->read_link(io->ctx, path, cwd, sizeof(cwd), NULL) == CLM_OK && cwd[0] == '/') {
        clm_ignore(clm_str_fmt(prefix, PATH_MAX, NULL, "%s/%s", cwd,
                               strcmp(relative, ".") == 0 ? "" : relative));
    }
}

/* Fills config_path, prefix and the site's directories. */
static enum clm_code find_paths(const struct view *view, struct clm_service *service,
                                struct clm_nginx_site *site, struct clm_err *err)
{
    struct clm_nginx_args args;
    char conf[PATH_MAX];
    enum clm_code code = ask_program(view, service, conf, site->prefix, err);

    if (code == CLM_OK) {
        code = clm_nginx_args_parse(&view->process->argv, &args, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (args.prefix[0] != '\0') {
        complete_prefix(view, args.prefix);
        memcpy(service->prefix, args.prefix, sizeof(args.prefix));
        memcpy(site->prefix, args.prefix, sizeof(args.prefix));
    }
    if (args.conf[0] != '\0') {
        memcpy(conf, args.conf, sizeof(conf));
    }
    if (site->prefix[0] != '/') {
        return clm_remark(&service->remarks, err,
                          "nginx was started with the relative prefix '%s': start it with an "
                          "absolute one",
                          site->prefix);
    }
    code =
        clm_conf_path(site->prefix, conf, service->config_path, sizeof(service->config_path), err);
    return code == CLM_OK
               ? clm_conf_dirname(service->config_path, site->conf_dir, sizeof(site->conf_dir), err)
               : code;
}

/* A directory for validation files, by a name of ours. False: there is none. */
static bool move_directory(const struct clm_mounts *mounts, char *path)
{
    struct clm_located located;

    if (path[0] != '/') {
        return true;
    }
    clm_locate(mounts, path, &located);
    return located.why[0] == '\0' && clm_str_copy(path, PATH_MAX, located.host, NULL) == CLM_OK;
}

static void move_webroots(const struct view *view, struct clm_service *service)
{
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};

    clm_mounts_read(view->io, view->process, &mounts);
    for (size_t i = 0; i < service->n_webroots; i++) {
        struct clm_webroot *root = &service->webroots[i];

        if (root->reason[0] == '\0' &&
            (!move_directory(&mounts, root->path) || !move_directory(&mounts, root->acme_path))) {
            (void)snprintf(root->reason, sizeof(root->reason),
                           "the server runs in a container: its directories are not this host's");
        }
    }
}

/* What the directives say. */
static enum clm_code read_tree(const struct view *view, const struct clm_conf_tree *tree,
                               struct clm_service *service, struct clm_nginx_site *site,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_nginx_view_done) struct clm_nginx_view servers = {.sockets = NULL};
    enum clm_code code = clm_nginx_view_make(tree, &servers, &service->remarks, err);

    site->view = &servers;
    if (code == CLM_OK) {
        code = clm_nginx_targets(site, service, err);
    }
    if (code == CLM_OK) {
        code = clm_nginx_webroots(site, service, err);
    }
    if (code == CLM_OK) {
        code = clm_targets_read_files(view->io, view->process, service, err);
    }
    if (code == CLM_OK) {
        code = clm_nginx_pairs(site, service, err);
    }
    site->view = NULL;
    return code;
}

static enum clm_code read_conf(const struct view *view, struct clm_service *service,
                               struct clm_nginx_site *site, struct clm_err *err)
{
    CLM_CLEANUP(clm_conf_tree_done) struct clm_conf_tree tree = {.notes = {0}};
    struct clm_err why = {0};
    enum clm_code code = clm_nginx_conf_load(view->files, service->config_path, &tree, &why);

    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg)
                                   : clm_remark(&service->remarks, err,
                                                "the configuration could not be read: %s", why.msg);
    }
    code = read_tree(view, &tree, service, site, err);
    if (view->is_foreign) {
        move_webroots(view, service);
    }
    return code == CLM_OK ? clm_targets_to_host(view->io, view->process, service, err) : code;
}

static enum clm_code read_service(const struct clm_io *io, const struct clm_process *process,
                                  struct clm_service *service, struct clm_err *err)
{
    struct clm_nginx_site site = {.view = NULL};
    struct clm_process_io theirs;
    struct view view = {.io = io, .files = io, .process = process};
    enum clm_code code;

    view.is_foreign = service->foreign_namespace || !clm_process_shares(io, process, process->exe);
    if (!view.is_foreign) {
        code = find_paths(&view, service, &site, err);
        if (code != CLM_OK || service->config_path[0] == '\0') {
            return code;
        }
        view.is_foreign = !clm_process_shares(io, process, service->config_path);
    }
    if (!view.is_foreign) {
        return read_conf(&view, service, &site, err);
    }
    if (process->is_closed) {
        service->foreign_namespace = true;
        return clm_remark(&service->remarks, err,
                          "runs in a container, or with its own mounts or root, and cannot be "
                          "looked into: its configuration is not read; " CLM_CLOSED_SWITCH);
    }
    clm_process_io_init(&theirs, io, process);
    view.files = &theirs.io;
    service->foreign_namespace = true;
    code = clm_remark(&service->remarks, err,
                      "runs in a container, or with its own mounts or root: its configuration is "
                      "read, but not tested before a reload");
    if (code == CLM_OK) {
        code = find_paths(&view, service, &site, err);
    }
    return code == CLM_OK && service->config_path[0] != '\0' ? read_conf(&view, service, &site, err)
                                                             : code;
}

const struct clm_scanner_ops clm_scanner_nginx = {
    .name = "nginx",
    .summary = "nginx, OpenResty, Angie, freenginx and Tengine",
    .claims = claims,
    .read = read_service,
};
