/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/nginx_view.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scanners/endpoints.h"

#define DEFAULT_HTTP_PORT 80

/* What is being built, and where remarks go. */
struct maker {
    struct clm_nginx_view *view;
    struct clm_strs *remarks;
};

/* A "listen" directive, understood. */
struct listen {
    char addr[CLM_ADDR_SIZE];
    uint16_t port;
    bool tls;
    bool is_default;
    bool proxy_protocol;
    bool not_tcp; /* "quic", "udp" */
};

void clm_nginx_view_done(struct clm_nginx_view *view)
{
    for (size_t i = 0; i < view->n_servers; i++) {
        clm_strs_done(&view->servers[i].names);
        free(view->servers[i].sockets);
    }
    free(view->servers);
    free(view->sockets);
    free(view->claims);
    clm_strs_done(&view->taken);
    *view = (struct clm_nginx_view){.sockets = NULL};
}

const struct clm_conf_node *clm_nginx_setting(const struct clm_conf_node *block, const char *name)
{
    for (; block != NULL; block = block->parent) {
        const struct clm_conf_node *node = clm_conf_first(block, name);

        if (node != NULL) {
            return node;
        }
    }
    return NULL;
}

/* Makes room for one more element of size bytes; array grows at each power of two. */
static void *grow(void *array, size_t n, size_t size)
{
    if ((n & (n - 1)) != 0) {
        return array;
    }
    return realloc(array, (n == 0 ? 1 : n * 2) * size);
}

static bool parse_port(const char *text, uint16_t *out)
{
    int64_t port = 0;

    if (clm_str_to_int(text, 1, 65535, &port, NULL) != CLM_OK) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool all_digits(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* "[::]:443", "*:443", "1.2.3.4:443", "443", "1.2.3.4". NULL on success, else why not. */
static const char *parse_address(const char *text, struct listen *out)
{
    char host[256];
    const char *port = NULL;
    uint8_t bytes[16];
    int family;

    out->port = DEFAULT_HTTP_PORT;
    if (clm_str_starts(text, "unix:")) {
        return "";
    }
    if (strchr(text, '-') != NULL && text[strspn(text, "0123456789-")] == '\0') {
        return "ranges of ports are not followed";
    }
    if (all_digits(text)) {
        (void)snprintf(out->addr, sizeof(out->addr), "0.0.0.0");
        return parse_port(text, &out->port) ? NULL : "the port is out of range";
    }
    (void)snprintf(host, sizeof(host), "%s", text);
    family = host[0] == '[' ? AF_INET6 : AF_INET;
    if (family == AF_INET6) {
        char *end = strchr(host, ']');

        if (end == NULL) {
            return "the address is not closed by ']'";
        }
        *end = '\0';
        port = end[1] == ':' ? end + 2 : NULL;
        memmove(host, host + 1, strlen(host));
    } else {
        char *colon = strrchr(host, ':');

        if (colon != NULL) {
            *colon = '\0';
            port = colon + 1;
        }
    }
    if (port != NULL && !parse_port(port, &out->port)) {
        return strchr(port, '-') != NULL ? "ranges of ports are not followed"
                                         : "the port cannot be understood";
    }
    if (strcmp(host, "*") == 0) {
        (void)snprintf(host, sizeof(host), "0.0.0.0");
    }
    if (inet_pton(family, host, bytes) != 1) {
        return "the address is a name, which is not looked up";
    }
    (void)inet_ntop(family, bytes, out->addr, sizeof(out->addr)); /* there is room for any */
    return NULL;
}

static void parse_options(const struct clm_conf_node *node, struct listen *out)
{
    for (size_t i = 2; i < node->n; i++) {
        const char *option = node->args[i];

        out->tls = out->tls || strcmp(option, "ssl") == 0;
        out->proxy_protocol = out->proxy_protocol || strcmp(option, "proxy_protocol") == 0;
        out->not_tcp = out->not_tcp || strcmp(option, "quic") == 0 || strcmp(option, "udp") == 0;
        out->is_default = out->is_default || strcmp(option, "default_server") == 0 ||
                          strcmp(option, "default") == 0;
    }
}

static enum clm_code add_socket(struct maker *maker, const struct listen *listen, size_t *out,
                                struct clm_err *err)
{
    struct clm_nginx_view *view = maker->view;
    char key[CLM_SOCKET_KEY_SIZE];
    struct clm_nginx_socket *grown;

    for (size_t i = 0; i < view->n_sockets; i++) {
        if (view->sockets[i].port == listen->port &&
            strcmp(view->sockets[i].addr, listen->addr) == 0) {
            *out = i;
            return CLM_OK;
        }
    }
    grown = grow(view->sockets, view->n_sockets, sizeof(*grown));
    if (grown == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "sockets");
    }
    view->sockets = grown;
    grown[view->n_sockets] =
        (struct clm_nginx_socket){.port = listen->port, .default_server = view->n_servers - 1};
    memcpy(grown[view->n_sockets].addr, listen->addr, sizeof(listen->addr));
    *out = view->n_sockets++;
    clm_socket_key(listen->addr, listen->port, key);
    return clm_strs_add_once(&view->taken, key, err);
}

/* The newest server listens there. */
static enum clm_code add_listen(struct maker *maker, const struct listen *listen,
                                struct clm_err *err)
{
    struct clm_nginx_view *view = maker->view;
    struct clm_nginx_server *server = &view->servers[view->n_servers - 1];
    struct clm_nginx_socket *socket;
    size_t index = 0;
    size_t *grown;
    enum clm_code code = add_socket(maker, listen, &index, err);

    if (code != CLM_OK) {
        return code;
    }
    socket = &view->sockets[index];
    socket->tls = socket->tls || listen->tls;
    socket->proxy_protocol = socket->proxy_protocol || listen->proxy_protocol;
    if (listen->is_default && !socket->has_default) {
        socket->has_default = true;
        socket->default_server = view->n_servers - 1;
    }
    grown = grow(server->sockets, server->n_sockets, sizeof(*grown));
    if (grown == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "sockets of a server");
    }
    server->sockets = grown;
    server->sockets[server->n_sockets++] = index;
    return CLM_OK;
}

static enum clm_code read_listens(struct maker *maker, const struct clm_conf_node *node,
                                  struct clm_err *err)
{
    const struct clm_conf_node *ssl = clm_nginx_setting(node, "ssl");
    bool all_tls = ssl != NULL && strcmp(clm_conf_arg(ssl, 1), "on") == 0;
    const struct clm_conf_node *item = clm_conf_first(node, "listen");
    enum clm_code code = CLM_OK;

    if (item == NULL && maker->view->servers[maker->view->n_servers - 1].kind == CLM_NGINX_HTTP) {
        struct listen listen = {.addr = "0.0.0.0", .port = DEFAULT_HTTP_PORT, .tls = all_tls};

        return add_listen(maker, &listen, err); /* nginx's default as root */
    }
    for (; item != NULL && code == CLM_OK; item = clm_conf_again(item, "listen")) {
        struct listen listen = {.tls = all_tls};
        const char *why = parse_address(clm_conf_arg(item, 1), &listen);

        parse_options(item, &listen);
        if (why != NULL && why[0] != '\0') {
            code = clm_remark(maker->remarks, err, "%s:%d: 'listen %s' is left out: %s", item->file,
                              item->line, clm_conf_arg(item, 1), why);
        } else if (why == NULL && !listen.not_tcp) {
            code = add_listen(maker, &listen, err);
        }
    }
    return code;
}

static enum clm_code add_name(struct clm_strs *names, const char *name, struct clm_err *err)
{
    char lower[512];
    size_t len = strlen(name);

    if (len >= sizeof(lower) - 1) {
        return CLM_OK; /* no host name is that long */
    }
    for (size_t i = 0; i <= len; i++) {
        lower[i] = name[i];
        if (name[0] != '~') {
            lower[i] = (char)tolower((unsigned char)name[i]);
        }
    }
    if (lower[0] == '.') {
        enum clm_code code = clm_strs_add_once(names, lower + 1, err);
        char star[sizeof(lower) + 1];

        (void)snprintf(star, sizeof(star), "*%s", lower);
        return code == CLM_OK ? clm_strs_add_once(names, star, err) : code;
    }
    return clm_strs_add_once(names, lower, err);
}

static enum clm_code read_names(const struct clm_conf_node *node, struct clm_strs *names,
                                struct clm_err *err)
{
    const struct clm_conf_node *item = clm_conf_first(node, "server_name");
    enum clm_code code = CLM_OK;

    for (; item != NULL && code == CLM_OK; item = clm_conf_again(item, "server_name")) {
        for (size_t i = 1; i < item->n && code == CLM_OK; i++) {
            code = add_name(names, item->args[i], err);
        }
    }
    return code;
}

static enum clm_code add_server(struct maker *maker, enum clm_nginx_kind kind,
                                const struct clm_conf_node *node, struct clm_err *err)
{
    struct clm_nginx_view *view = maker->view;
    struct clm_nginx_server *grown = grow(view->servers, view->n_servers, sizeof(*grown));
    const struct clm_conf_node *starttls = clm_nginx_setting(node, "starttls");
    enum clm_code code;

    if (grown == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "servers");
    }
    view->servers = grown;
    view->servers[view->n_servers++] = (struct clm_nginx_server){
        .kind = kind,
        .node = node,
        .starttls = kind == CLM_NGINX_MAIL && starttls != NULL &&
                    strcmp(clm_conf_arg(starttls, 1), "off") != 0,
    };
    code = read_names(node, &view->servers[view->n_servers - 1].names, err);
    return code == CLM_OK ? read_listens(maker, node, err) : code;
}

static int by_claim(const void *a, const void *b)
{
    const struct clm_nginx_claim *x = a;
    const struct clm_nginx_claim *y = b;
    int order;

    if (x->socket != y->socket) {
        return x->socket < y->socket ? -1 : 1;
    }
    order = strcmp(x->name, y->name);
    if (order != 0) {
        return order;
    }
    return (x->server > y->server) - (x->server < y->server);
}

static enum clm_code make_claims(struct clm_nginx_view *view, struct clm_err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < view->n_servers; i++) {
        n += view->servers[i].names.n * view->servers[i].n_sockets;
    }
    view->claims = calloc(n + 1, sizeof(*view->claims));
    if (view->claims == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "names of servers");
    }
    for (size_t i = 0; i < view->n_servers; i++) {
        const struct clm_nginx_server *server = &view->servers[i];

        for (size_t s = 0; s < server->n_sockets; s++) {
            for (size_t k = 0; k < server->names.n; k++) {
                view->claims[view->n_claims++] = (struct clm_nginx_claim){
                    .socket = server->sockets[s], .name = server->names.v[k], .server = i};
            }
        }
    }
    qsort(view->claims, view->n_claims, sizeof(*view->claims), by_claim);
    return CLM_OK;
}

size_t clm_nginx_owner(const struct clm_nginx_view *view, size_t socket, const char *name)
{
    size_t low = 0;
    size_t high = view->n_claims;
    struct clm_nginx_claim key = {.socket = socket, .name = name, .server = 0};

    while (low < high) { /* the first claim that is not before the key */
        size_t middle = low + (high - low) / 2;

        if (by_claim(&view->claims[middle], &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < view->n_claims && view->claims[low].socket == socket &&
        strcmp(view->claims[low].name, name) == 0) {
        return view->claims[low].server;
    }
    return SIZE_MAX;
}

size_t clm_nginx_answers(const struct clm_nginx_view *view, size_t socket, const char *host)
{
    size_t found = clm_nginx_owner(view, socket, host);

    for (const char *dot = strchr(host, '.'); found == SIZE_MAX && dot != NULL;
         dot = strchr(dot + 1, '.')) {
        char star[CLM_DNS_NAME_SIZE + 1];

        (void)snprintf(star, sizeof(star), "*%s", dot);
        found = clm_nginx_owner(view, socket, star);
    }
    return found == SIZE_MAX ? view->sockets[socket].default_server : found;
}

enum clm_code clm_nginx_view_make(const struct clm_conf_tree *tree, struct clm_nginx_view *out,
                                  struct clm_strs *remarks, struct clm_err *err)
{
    static const struct {
        const char *block;
        enum clm_nginx_kind kind;
    } kinds[] = {{"http", CLM_NGINX_HTTP}, {"stream", CLM_NGINX_STREAM}, {"mail", CLM_NGINX_MAIL}};
    struct maker maker = {.view = out, .remarks = remarks};
    enum clm_code code = CLM_OK;

    for (size_t k = 0; k < CLM_ARRAY_LEN(kinds); k++) {
        const struct clm_conf_node *block = clm_conf_first(&tree->root, kinds[k].block);
        const struct clm_conf_node *node = block == NULL ? NULL : clm_conf_first(block, "server");

        for (; node != NULL && code == CLM_OK; node = clm_conf_again(node, "server")) {
            if (node->is_block) { /* "server 10.0.0.1;" of an upstream is elsewhere */
                code = add_server(&maker, kinds[k].kind, node, err);
            }
        }
    }
    return code == CLM_OK ? make_claims(out, err) : code;
}
