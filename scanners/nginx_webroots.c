/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "scanners/endpoints.h"
#include "scanners/nginx_parts.h"
#include "scanners/pattern.h"

#define WEBROOTS_MAX 2000 /* of one service; more would not fit into an inventory */
#define ADVICE       "location ^~ " CLM_ACME_URI " { root /var/www/acme; }"

/* "location [modifier] uri": the modifier may also stand right before the uri. */
struct location {
    const struct clm_conf_node *node;
    const char *modifier; /* "", "=", "^~", "~", "~*" */
    const char *uri;
};

static bool parse_location(const struct clm_conf_node *node, struct location *out)
{
    static const char *const modifiers[] = {"^~", "~*", "=", "~"};
    const char *text = clm_conf_arg(node, 1);

    *out = (struct location){.node = node, .modifier = "", .uri = text};
    for (size_t i = 0; i < CLM_ARRAY_LEN(modifiers); i++) {
        if (clm_str_starts(text, modifiers[i])) {
            out->modifier = modifiers[i];
            out->uri = node->n > 2 ? node->args[2] : text + strlen(modifiers[i]);
            break;
        }
    }
    return node->is_block && out->uri[0] != '@';
}

static bool is_regex(const struct location *location)
{
    return location->modifier[0] == '~';
}

/* The exact or longest prefix location directly in block. */
static bool find_prefix(const struct clm_conf_node *block, const char *uri, struct location *out)
{
    const struct clm_conf_node *node = clm_conf_first(block, "location");
    size_t best = 0;
    bool found = false;

    for (; node != NULL; node = clm_conf_again(node, "location")) {
        struct location one;

        if (!parse_location(node, &one) || is_regex(&one)) {
            continue;
        }
        if (strcmp(one.modifier, "=") == 0) {
            if (strcmp(one.uri, uri) == 0) {
                *out = one;
                return true;
            }
        } else if (clm_str_starts(uri, one.uri) && (!found || strlen(one.uri) > best)) {
            best = strlen(one.uri);
            *out = one;
            found = true;
        }
    }
    return found;
}

static bool find_regex(const struct clm_conf_node *block, const char *uri, struct location *out,
                       bool *out_unknown)
{
    const struct clm_conf_node *node = clm_conf_first(block, "location");

    for (; node != NULL; node = clm_conf_again(node, "location")) {
        enum clm_pattern match;

        if (!parse_location(node, out) || !is_regex(out)) {
            continue;
        }
        match = clm_pattern_match(out->uri, strcmp(out->modifier, "~*") == 0, uri);
        if (match != CLM_PATTERN_NO) {
            *out_unknown = match == CLM_PATTERN_UNKNOWN;
            return true;
        }
    }
    return false;
}

/* The block that handles uri, as ngx_http_core_find_location() finds it. *out_unknown: a regular
 * expression that cannot be evaluated here comes first. */
static const struct clm_conf_node *choose(const struct clm_conf_node *server, const char *uri,
                                          bool *out_unknown)
{
    const struct clm_conf_node *block = server;
    const struct clm_conf_node *regex_in = NULL; /* outermost block whose regexes come next */
    struct location location;

    *out_unknown = false;
    for (int depth = 0; depth < CLM_CONF_BLOCK_MAX; depth++) {
        if (!find_prefix(block, uri, &location)) {
            break;
        }
        if (strcmp(location.modifier, "=") == 0) {
            return location.node;
        }
        regex_in = strcmp(location.modifier, "^~") == 0 ? NULL : block;
        block = location.node;
        if (regex_in == NULL) {
            break;
        }
    }
    if (regex_in == NULL && block != server) {
        return block; /* "^~": no regular expression is tried */
    }
    for (const struct clm_conf_node *at = block; at != NULL; at = at->parent) {
        if (find_regex(at, uri, &location, out_unknown)) {
            return location.node;
        }
        if (at == server) {
            break;
        }
    }
    return block;
}

/* ---- why a block does not answer with a file ---- */

/* The directive is cut so that the advice is whole. */
static void explain(const struct clm_conf_node *node, const char *what, char *dst, size_t size)
{
    const char *slash = strrchr(node->file, '/');
    const char *file = slash == NULL ? node->file : slash + 1;
    char head[80];
    char tail[128];
    size_t room;

    (void)snprintf(head, sizeof(head), "%.32s:%d: '%.24s ", file, node->line, node->args[0]);
    (void)snprintf(tail, sizeof(tail), "' %s: add '" ADVICE "'", what);
    room = strlen(head) + strlen(tail) < size ? size - 1 - strlen(head) - strlen(tail) : 0;
    (void)snprintf(dst, size, "%s%.*s%s", head, (int)room, clm_conf_arg(node, 1), tail);
}

static const struct {
    const char *name;
    const char *what;
} handlers[] = {
    {"return", "answers first"},
    {"proxy_pass", "passes it on"},
    {"fastcgi_pass", "passes it on"},
    {"uwsgi_pass", "passes it on"},
    {"scgi_pass", "passes it on"},
    {"grpc_pass", "passes it on"},
    {"memcached_pass", "passes it on"},
    {"internal", "hides it"},
    {"content_by_lua", "answers first"},
    {"content_by_lua_block", "answers first"},
    {"content_by_lua_file", "answers first"},
    {"js_content", "answers first"},
    {"perl", "answers first"},
    {"stub_status", "answers first"},
};

static bool rewrites(const struct clm_conf_node *block, const char *uri, char *dst, size_t size)
{
    const struct clm_conf_node *node = clm_conf_first(block, "rewrite");

    for (; node != NULL; node = clm_conf_again(node, "rewrite")) {
        if (clm_pattern_match(clm_conf_arg(node, 1), false, uri) != CLM_PATTERN_NO) {
            explain(node, "changes the path", dst, size);
            return true;
        }
    }
    return false;
}

/* "if" with a return or rewrite in it: whether it applies is known only at the request. */
static bool may_leave(const struct clm_conf_node *block, const char *uri, char *dst, size_t size)
{
    const struct clm_conf_node *node = clm_conf_first(block, "if");

    for (; node != NULL; node = clm_conf_again(node, "if")) {
        if (clm_conf_first(node, "return") != NULL || rewrites(node, uri, dst, size)) {
            explain(node, "may answer first", dst, size);
            return true;
        }
    }
    return false;
}

static bool denies(const struct clm_conf_node *block, char *dst, size_t size)
{
    const struct clm_conf_node *auth = clm_nginx_setting(block, "auth_basic");

    if (auth != NULL && strcmp(clm_conf_arg(auth, 1), "off") != 0) {
        explain(auth, "asks for a password", dst, size);
        return true;
    }
    for (; block != NULL; block = block->parent) {
        const struct clm_conf_node *deny = clm_conf_first(block, "deny");

        for (; deny != NULL; deny = clm_conf_again(deny, "deny")) {
            if (strcmp(clm_conf_arg(deny, 1), "all") == 0) {
                explain(deny, "refuses it", dst, size);
                return true;
            }
        }
        if (clm_conf_first(block, "allow") != NULL) {
            break; /* rules of the innermost level hold alone */
        }
    }
    return false;
}

/* True, and why in dst, if a file below the block's root is not what a client gets. */
static bool is_busy(const struct clm_conf_node *server, const struct clm_conf_node *block,
                    const char *uri, char *dst, size_t size)
{
    const struct clm_conf_node *node = clm_conf_first(server, "return");

    if (node != NULL) {
        explain(node, "answers all: move into location /", dst, size);
        return true;
    }
    if (rewrites(server, uri, dst, size) || may_leave(server, uri, dst, size) ||
        rewrites(block, uri, dst, size) || may_leave(block, uri, dst, size)) {
        return true;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(handlers); i++) {
        node = clm_conf_first(block, handlers[i].name);
        if (node != NULL) {
            explain(node, handlers[i].what, dst, size);
            return true;
        }
    }
    node = clm_conf_first(block, "try_files");
    if (node != NULL && !clm_str_starts(clm_conf_arg(node, 1), "$uri") &&
        !clm_str_starts(clm_conf_arg(node, 1), "$request_uri")) {
        explain(node, "comes first", dst, size);
        return true;
    }
    return denies(block, dst, size);
}

/* ---- where its files are ---- */

/* The directory that answers for dir_uri ("/..." with a slash at the end); false with a reason. */
static bool directory(const struct clm_nginx_site *site, const struct clm_conf_node *block,
                      const char *dir_uri, char *dst, char *why, size_t why_size)
{
    char root[PATH_MAX];
    const struct clm_conf_node *at = block;
    const struct clm_conf_node *node = NULL;
    struct location location;

    for (; at != NULL && node == NULL; at = at->parent) {
        node = clm_conf_first(at, "alias");
        if (node != NULL) {
            break;
        }
        node = clm_conf_first(at, "root");
        if (node != NULL) {
            break;
        }
    }
    if (node != NULL && strchr(clm_conf_arg(node, 1), '$') != NULL) {
        explain(node, "has a variable", why, why_size);
        return false;
    }
    if (clm_conf_path(site->prefix, node == NULL ? "html" : clm_conf_arg(node, 1), root,
                      sizeof(root), NULL) != CLM_OK) {
        return false;
    }
    if (node == NULL || strcmp(node->args[0], "root") == 0) {
        return clm_str_fmt(dst, PATH_MAX, NULL, "%s%s%s", root, clm_str_ends(root, "/") ? "" : "/",
                           dir_uri + 1) == CLM_OK;
    }
    if (!parse_location(at, &location) || is_regex(&location) ||
        !clm_str_starts(dir_uri, location.uri)) {
        explain(node, "depends on the request", why, why_size);
        return false;
    }
    return clm_str_fmt(dst, PATH_MAX, NULL, "%s%s", root, dir_uri + strlen(location.uri)) == CLM_OK;
}

static void cut_slash(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') {
        path[--len] = '\0';
    }
}

static void fill(const struct clm_nginx_site *site, const struct clm_conf_node *server,
                 struct clm_webroot *out)
{
    const struct clm_conf_node *block;
    char ignored[sizeof(out->reason)];
    char usual[PATH_MAX];
    bool unknown = false;

    block = choose(server, "/", &unknown);
    if (unknown || is_busy(server, block, "/", ignored, sizeof(ignored)) ||
        !directory(site, block, "/", out->path, ignored, sizeof(ignored))) {
        out->path[0] = '\0';
    }
    cut_slash(out->path);
    block = choose(server, CLM_ACME_SAMPLE, &unknown);
    if (unknown) {
        explain(block, "may answer first", out->reason, sizeof(out->reason));
        return;
    }
    if (is_busy(server, block, CLM_ACME_SAMPLE, out->reason, sizeof(out->reason)) ||
        !directory(site, block, CLM_ACME_URI, out->acme_path, out->reason, sizeof(out->reason))) {
        out->acme_path[0] = '\0';
        return;
    }
    cut_slash(out->acme_path);
    if (out->path[0] != '\0' &&
        clm_str_fmt(usual, sizeof(usual), NULL, "%s%s",
                    strcmp(out->path, "/") == 0 ? "" : out->path, CLM_ACME_URI) == CLM_OK) {
        cut_slash(usual);
        if (strcmp(usual, out->acme_path) == 0) {
            out->acme_path[0] = '\0';
        }
    }
}

/* ---- names ---- */

/* The plain HTTP socket to fetch from: port 80 if there is one. SIZE_MAX: none. */
static size_t plain_socket(const struct clm_nginx_view *view)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < view->n_servers; i++) {
        const struct clm_nginx_server *server = &view->servers[i];

        for (size_t k = 0; server->kind == CLM_NGINX_HTTP && k < server->n_sockets; k++) {
            const struct clm_nginx_socket *socket = &view->sockets[server->sockets[k]];

            if (!socket->tls && !socket->proxy_protocol &&
                (found == SIZE_MAX || (socket->port == 80 && view->sockets[found].port != 80))) {
                found = server->sockets[k];
            }
        }
    }
    return found;
}

/* The plain socket on which the name itself has a block; else the usual one. */
static size_t socket_for(const struct clm_nginx_view *view, const char *name, size_t usual)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < view->n_sockets; i++) {
        if (!view->sockets[i].tls && !view->sockets[i].proxy_protocol &&
            clm_nginx_owner(view, i, name) != SIZE_MAX &&
            (found == SIZE_MAX ||
             (view->sockets[i].port == 80 && view->sockets[found].port != 80))) {
            found = i;
        }
    }
    return found == SIZE_MAX ? usual : found;
}

static enum clm_code add(const struct clm_nginx_site *site, const char *name, size_t usual,
                         struct clm_service *service, struct clm_err *err)
{
    const struct clm_nginx_view *view = site->view;
    char domain[CLM_DNS_NAME_SIZE];
    size_t socket;
    struct clm_webroot *webroot;

    if (clm_dns_normalise(name, false, domain, NULL) != CLM_OK || strcmp(domain, "_") == 0) {
        return CLM_OK;
    }
    for (size_t i = 0; i < service->n_webroots; i++) {
        if (strcmp(service->webroots[i].domain, domain) == 0) {
            return CLM_OK;
        }
    }
    webroot = clm_service_add_webroot(service);
    if (webroot == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "web root");
    }
    socket = socket_for(view, name, usual);
    memcpy(webroot->domain, domain, sizeof(domain));
    webroot->port = view->sockets[socket].port;
    if (clm_probe_addr(view->sockets[socket].addr, webroot->port, &view->taken, webroot->addr,
                       NULL) != CLM_OK) {
        (void)snprintf(webroot->reason, sizeof(webroot->reason),
                       "no local address leads to %s port %u", view->sockets[socket].addr,
                       webroot->port);
        return CLM_OK;
    }
    fill(site, view->servers[clm_nginx_answers(view, socket, name)].node, webroot);
    return CLM_OK;
}

enum clm_code clm_nginx_webroots(const struct clm_nginx_site *site, struct clm_service *service,
                                 struct clm_err *err)
{
    const struct clm_nginx_view *view = site->view;
    size_t usual = plain_socket(view);
    enum clm_code code = CLM_OK;

    if (usual == SIZE_MAX) {
        return CLM_OK;
    }
    for (size_t i = 0; i < view->n_servers && code == CLM_OK; i++) {
        const struct clm_nginx_server *server = &view->servers[i];

        for (size_t k = 0; server->kind == CLM_NGINX_HTTP && k < server->names.n && code == CLM_OK;
             k++) {
            if (service->n_webroots >= WEBROOTS_MAX) {
                return clm_remark(&service->remarks, err, "web roots beyond %d are left out",
                                  WEBROOTS_MAX);
            }
            code = add(site, server->names.v[k], usual, service, err);
        }
    }
    return code;
}
