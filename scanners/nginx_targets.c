/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "scanners/endpoints.h"
#include "scanners/nginx_parts.h"
#include "scanners/target_files.h"
#include "scanners/target_pairs.h"

/* The certificate or key directives that hold for a block. */
struct files {
    const struct clm_conf_node *v[CLM_PAIRS_MAX];
    size_t n;
};

/* Those of the block itself, or if it has none, of the block around it: never both. */
static void find_files(const struct clm_conf_node *block, const char *name, struct files *out)
{
    const struct clm_conf_node *node = clm_nginx_setting(block, name);

    out->n = 0;
    for (; node != NULL && out->n < CLM_PAIRS_MAX; node = clm_conf_again(node, name)) {
        out->v[out->n++] = node;
    }
}

/* The path of a file, or the text as it is if it names no file. *out_why: why it cannot be used. */
static enum clm_code file_path(const struct clm_nginx_site *site, const struct clm_conf_node *node,
                               char *dst, char *why, size_t why_size, struct clm_err *err)
{
    static const char *const schemes[] = {"data:", "engine:", "store:"};
    const char *text = clm_conf_arg(node, 1);
    const char *dollar = strchr(text, '$');

    why[0] = '\0';
    for (size_t i = 0; i < CLM_ARRAY_LEN(schemes); i++) {
        if (clm_str_starts(text, schemes[i])) {
            (void)snprintf(why, why_size, "%s:%d: '%.64s' is no file: clmbot installs into files",
                           node->file, node->line, text);
            return clm_str_copy(dst, PATH_MAX, text, err);
        }
    }
    if (dollar != NULL) {
        int len = 1 + (int)strspn(dollar + 1, "{}_abcdefghijklmnopqrstuvwxyz"
                                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

        (void)snprintf(why, why_size, "%s:%d: certificate path contains the variable '%.*s'",
                       node->file, node->line, len, dollar);
        return clm_str_copy(dst, PATH_MAX, text, err);
    }
    return clm_conf_path(site->conf_dir, text, dst, PATH_MAX, err);
}

/* The first name of the block, wildcards or others, that reaches it on this socket. */
static bool find_sni(const struct clm_nginx_view *view, size_t server, size_t socket,
                     bool wildcards, char *dst)
{
    const struct clm_nginx_server *block = &view->servers[server];

    for (size_t i = 0; i < block->names.n; i++) {
        const char *name = block->names.v[i];

        if ((name[0] == '*') == wildcards && clm_nginx_owner(view, socket, name) == server) {
            clm_probe_sni(name, dst);
            if (dst[0] != '\0') {
                return true;
            }
        }
    }
    dst[0] = '\0';
    return false;
}

/* The best name to ask for on this socket; false if no handshake can reach the block there. */
static bool choose_sni(const struct clm_nginx_view *view, size_t server, size_t socket, char *dst)
{
    return find_sni(view, server, socket, false, dst) ||
           find_sni(view, server, socket, true, dst) ||
           view->sockets[socket].default_server == server;
}

static enum clm_code add_endpoint(const struct clm_nginx_site *site, size_t server, size_t index,
                                  struct clm_target *target, struct clm_err *err)
{
    const struct clm_nginx_view *view = site->view;
    const struct clm_nginx_socket *socket = &view->sockets[index];
    const struct clm_conf_node *node = view->servers[server].node;
    char sni[CLM_DNS_NAME_SIZE];
    char addr[CLM_ADDR_SIZE];

    if (socket->proxy_protocol) {
        return clm_remark(&target->reasons, err,
                          "%s:%d: %s port %u expects the PROXY protocol, so no handshake is made "
                          "there",
                          node->file, node->line, socket->addr, socket->port);
    }
    if (!choose_sni(view, server, index, sni)) {
        return clm_remark(&target->reasons, err,
                          "%s:%d: the block is never chosen on %s port %u by a name that can be "
                          "asked for",
                          node->file, node->line, socket->addr, socket->port);
    }
    if (clm_probe_addr(socket->addr, socket->port, &view->taken, addr, NULL) != CLM_OK) {
        return clm_remark(&target->reasons, err,
                          "%s:%d: no local address leads to %s port %u: another socket takes it",
                          node->file, node->line, socket->addr, socket->port);
    }
    return clm_target_want_endpoint(target, addr, socket->port, sni, err);
}

static bool is_bound(const struct clm_service *service, const struct clm_nginx_socket *socket)
{
    for (size_t i = 0; i < service->n_listeners; i++) {
        if (service->listeners[i].port == socket->port &&
            strcmp(service->listeners[i].addr, socket->addr) == 0) {
            return true;
        }
    }
    return service->n_listeners == 0; /* they could not be read */
}

static enum clm_code add_endpoints(const struct clm_nginx_site *site, size_t server,
                                   const struct clm_service *service, struct clm_target *target,
                                   struct clm_err *err)
{
    const struct clm_nginx_server *block = &site->view->servers[server];
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < block->n_sockets && code == CLM_OK; i++) {
        const struct clm_nginx_socket *socket = &site->view->sockets[block->sockets[i]];

        if (!socket->tls) {
            continue;
        }
        code = add_endpoint(site, server, block->sockets[i], target, err);
        if (code == CLM_OK && !is_bound(service, socket)) {
            code = clm_remark(&target->reasons, err,
                              "nginx does not listen on %s port %u yet, though %s says so: it was "
                              "not reloaded since",
                              socket->addr, socket->port, block->node->file);
        }
    }
    return code;
}

static enum clm_code add_names(const struct clm_nginx_site *site, size_t server,
                               struct clm_target *target, struct clm_err *err)
{
    const struct clm_nginx_server *block = &site->view->servers[server];
    enum clm_code code = CLM_OK;

    for (size_t k = 0; k < block->names.n && code == CLM_OK; k++) {
        const char *name = block->names.v[k];

        code = clm_target_add_name(target, name, err);
        for (size_t i = 0; i < block->n_sockets && code == CLM_OK; i++) {
            size_t socket = block->sockets[i];

            if (site->view->sockets[socket].tls && strcmp(name, "_") != 0 && name[0] != '\0' &&
                clm_nginx_owner(site->view, socket, name) != server) {
                code = clm_remark(
                    &target->reasons, err, "%s:%d: an earlier block answers for '%s' on %s port %u",
                    block->node->file, block->node->line, name, site->view->sockets[socket].addr,
                    site->view->sockets[socket].port);
            }
        }
    }
    return code;
}

/* What makes a block's certificates unmanageable besides the files themselves. */
static enum clm_code check_block(const struct clm_nginx_site *site,
                                 const struct clm_nginx_server *block, struct clm_target *target,
                                 struct clm_err *err)
{
    const struct clm_conf_node *node = block->node;
    const struct clm_conf_node *passwords = clm_nginx_setting(node, "ssl_password_file");
    enum clm_code code = CLM_OK;

    if (passwords != NULL) {
        char path[PATH_MAX];

        code = clm_conf_path(site->conf_dir, clm_conf_arg(passwords, 1), path, sizeof(path), err);
        if (code == CLM_OK) {
            code = clm_str_fmt(target->key_password, sizeof(target->key_password), err,
                               CLM_PASSWORDS_IN "%s", path);
        }
    }
    if (code == CLM_OK && block->starttls) {
        code = clm_remark(&target->reasons, err, "%s:%d: no handshake is made after STARTTLS",
                          node->file, node->line);
    }
    return code;
}

static enum clm_code new_target(struct clm_service *service, const struct clm_nginx_server *block,
                                const struct clm_conf_node *node, struct clm_target **out,
                                struct clm_err *err)
{
    struct clm_target *target = clm_service_add_target(service);
    enum clm_code code;

    if (target == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "target");
    }
    target->manageable = true;
    (void)snprintf(target->store_type, sizeof(target->store_type), "pem");
    (void)snprintf(target->configured_at, sizeof(target->configured_at), "%s:%d", node->file,
                   node->line);
    code =
        clm_target_name(service, target, "nginx", block->names.n > 0 ? block->names.v[0] : "", err);
    *out = target;
    return code;
}

/* A pair of files as configured. */
struct pair {
    char cert[PATH_MAX];
    char key[PATH_MAX];
    char cert_why[512]; /* why it cannot be used; "" if it can */
    char key_why[512];
};

static enum clm_code read_pair(const struct clm_nginx_site *site, const struct files *certs,
                               const struct files *keys, size_t i, struct pair *out,
                               struct clm_err *err)
{
    enum clm_code code =
        file_path(site, certs->v[i], out->cert, out->cert_why, sizeof(out->cert_why), err);

    out->key[0] = '\0';
    if (code == CLM_OK && i < keys->n) {
        return file_path(site, keys->v[i], out->key, out->key_why, sizeof(out->key_why), err);
    }
    (void)snprintf(out->key_why, sizeof(out->key_why),
                   "%s:%d: there is no ssl_certificate_key for it", certs->v[i]->file,
                   certs->v[i]->line);
    return code;
}

/* The target for a pair: found or made. */
static enum clm_code target_of(struct clm_service *service, const struct clm_nginx_server *block,
                               const struct clm_conf_node *node, const struct pair *pair,
                               struct clm_target **out, struct clm_err *err)
{
    struct clm_target *target = clm_service_target(service, pair->cert, pair->key);
    enum clm_code code = CLM_OK;

    if (target == NULL) {
        code = new_target(service, block, node, &target, err);
        if (code != CLM_OK || target == NULL) {
            return code;
        }
        memcpy(target->cert_path, pair->cert, sizeof(target->cert_path));
        memcpy(target->key_path, pair->key, sizeof(target->key_path));
    }
    *out = target;
    if (pair->cert_why[0] != '\0') {
        code = clm_target_refuse(target, err, "%s", pair->cert_why);
    }
    if (code == CLM_OK && pair->key_why[0] != '\0') {
        code = clm_target_refuse(target, err, "%s", pair->key_why);
    }
    return code;
}

/* All pairs of one block. */
static enum clm_code read_block(const struct clm_nginx_site *site, size_t server,
                                struct clm_service *service, struct clm_err *err)
{
    const struct clm_nginx_server *block = &site->view->servers[server];
    enum clm_code code = CLM_OK;
    struct files certs;
    struct files keys;

    find_files(block->node, "ssl_certificate", &certs);
    find_files(block->node, "ssl_certificate_key", &keys);
    for (size_t i = 0; i < certs.n && code == CLM_OK; i++) {
        struct clm_target *target = NULL;
        struct pair pair;

        code = read_pair(site, &certs, &keys, i, &pair, err);
        if (code == CLM_OK) {
            code = target_of(service, block, certs.v[i], &pair, &target, err);
        }
        if (code != CLM_OK || target == NULL) {
            return code;
        }
        code = check_block(site, block, target, err);
        if (code == CLM_OK) {
            code = add_names(site, server, target, err);
        }
        if (code == CLM_OK) {
            code = add_endpoints(site, server, service, target, err);
        }
    }
    return code;
}

static bool speaks_tls(const struct clm_nginx_view *view, const struct clm_nginx_server *block)
{
    for (size_t i = 0; i < block->n_sockets; i++) {
        if (view->sockets[block->sockets[i]].tls) {
            return true;
        }
    }
    return block->starttls;
}

static void mark_listeners(const struct clm_nginx_view *view, struct clm_service *service)
{
    for (size_t i = 0; i < service->n_listeners; i++) {
        for (size_t k = 0; k < view->n_sockets; k++) {
            if (view->sockets[k].tls && view->sockets[k].port == service->listeners[i].port &&
                strcmp(view->sockets[k].addr, service->listeners[i].addr) == 0) {
                service->listeners[i].tls = true;
            }
        }
    }
}

enum clm_code clm_nginx_targets(const struct clm_nginx_site *site, struct clm_service *service,
                                struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    mark_listeners(site->view, service);
    for (size_t s = 0; s < site->view->n_servers && code == CLM_OK; s++) {
        if (speaks_tls(site->view, &site->view->servers[s])) {
            code = read_block(site, s, service, err);
        }
    }
    for (size_t i = 0; i < service->n_targets && code == CLM_OK; i++) {
        if (service->targets[i].n_endpoints == 0) {
            code = clm_target_refuse(&service->targets[i], err,
                                     "no handshake can show this certificate, so a change cannot "
                                     "be proved");
        }
    }
    return code;
}

enum clm_code clm_nginx_pairs(const struct clm_nginx_site *site, struct clm_service *service,
                              struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t s = 0; s < site->view->n_servers && code == CLM_OK; s++) {
        const struct clm_nginx_server *block = &site->view->servers[s];
        struct clm_pairs pairs = {.n = 0};
        struct files certs;
        struct files keys;

        if (!speaks_tls(site->view, block)) {
            continue;
        }
        find_files(block->node, "ssl_certificate", &certs);
        find_files(block->node, "ssl_certificate_key", &keys);
        for (size_t i = 0; i < certs.n && certs.n > 1 && code == CLM_OK; i++) {
            struct pair pair;

            code = read_pair(site, &certs, &keys, i, &pair, err);
            if (code == CLM_OK) {
                clm_pairs_add(&pairs, service, pair.cert, pair.key);
            }
        }
        if (code == CLM_OK) {
            code = clm_pairs_settle(&pairs, service, err);
        }
    }
    return code;
}
