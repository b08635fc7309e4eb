/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/apache_view.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scanners/endpoints.h"

/* What "Listen" opens: at most one wildcard and some addresses for each port. */
struct listening {
    struct clm_apache_addr *v; /* host "*" or numeric; connect: the address that is bound */
    size_t n;
    struct clm_strs taken; /* addresses with virtual hosts of their own: clm_socket_key() */
};

static void listening_done(struct listening *listening)
{
    free(listening->v);
    clm_strs_done(&listening->taken);
}

void clm_apache_view_done(struct clm_apache_view *view)
{
    for (size_t i = 0; i < view->n_vhosts; i++) {
        clm_strs_done(&view->vhosts[i].names);
        free(view->vhosts[i].addrs);
    }
    free(view->vhosts);
    view->vhosts = NULL;
    view->n_vhosts = 0;
}

const struct clm_conf_node *clm_apache_setting(const struct clm_apache_view *view,
                                               const struct clm_apache_vhost *vhost,
                                               const char *name)
{
    const struct clm_conf_node *node = clm_conf_last(vhost->node, name);

    return node != NULL ? node : clm_conf_last(&view->tree->root, name);
}

/* Makes room for one more element of size bytes; array grows at each power of two. */
static void *grow(void *array, size_t n, size_t size)
{
    if ((n & (n - 1)) != 0) {
        return array;
    }
    return realloc(array, (n == 0 ? 1 : n * 2) * size);
}

/* "*:443", "_default_:443", "[::1]:443", "10.0.0.1", "443" (only if bare_port). port 0: any. */
static bool parse_addr(const char *text, bool bare_port, struct clm_apache_addr *out)
{
    char host[256];
    char *port = NULL;
    uint8_t bytes[16];
    int64_t number = 0;
    int family = AF_INET;

    *out = (struct clm_apache_addr){.port = 0};
    (void)snprintf(host, sizeof(host), "%s", text);
    if (bare_port && host[strspn(host, "0123456789")] == '\0') {
        (void)snprintf(host, sizeof(host), "*:%.200s", text);
    }
    if (host[0] == '[') {
        char *end = strchr(host, ']');

        if (end == NULL) {
            return false;
        }
        *end = '\0';
        port = end[1] == ':' ? end + 2 : NULL;
        memmove(host, host + 1, strlen(host));
        family = AF_INET6;
    } else if (strrchr(host, ':') != NULL) {
        port = strrchr(host, ':') + 1;
        port[-1] = '\0';
    }
    if (port != NULL && strcmp(port, "*") != 0) {
        if (clm_str_to_int(port, 1, 65535, &number, NULL) != CLM_OK) {
            return false;
        }
        out->port = (uint16_t)number;
    }
    if (strcmp(host, "*") == 0 || strcasecmp(host, "_default_") == 0) {
        (void)snprintf(out->host, sizeof(out->host), "*");
        return true;
    }
    if (inet_pton(family, host, bytes) != 1) {
        return false;
    }
    (void)inet_ntop(family, bytes, out->host, sizeof(out->host)); /* there is room for any */
    return true;
}

/* The address of a bound socket for a Listen line; "" if there is none. */
static void find_bound(const struct clm_service *service, struct clm_apache_addr *listen)
{
    for (size_t i = 0; i < service->n_listeners; i++) {
        const struct clm_listener *l = &service->listeners[i];

        if (l->port == listen->port &&
            (strcmp(listen->host, "*") == 0 ? clm_addr_is_wildcard(l->addr)
                                            : strcmp(listen->host, l->addr) == 0)) {
            memcpy(listen->connect, l->addr, sizeof(listen->connect));
            return;
        }
    }
    if (service->n_listeners == 0) { /* they could not be read */
        (void)snprintf(listen->connect, sizeof(listen->connect), "%s",
                       strcmp(listen->host, "*") == 0 ? "0.0.0.0" : listen->host);
    }
}

static enum clm_code read_listens(const struct clm_conf_tree *tree, struct clm_service *service,
                                  struct listening *out, struct clm_err *err)
{
    const struct clm_conf_node *node = clm_conf_first(&tree->root, "listen");
    enum clm_code code = CLM_OK;

    for (; node != NULL && code == CLM_OK; node = clm_conf_again(node, "listen")) {
        struct clm_apache_addr addr;
        struct clm_apache_addr *grown;

        if (!parse_addr(clm_conf_arg(node, 1), true, &addr) || addr.port == 0) {
            code = clm_remark(&service->remarks, err,
                              "%s:%d: 'Listen %s' is left out: names are not looked up", node->file,
                              node->line, clm_conf_arg(node, 1));
            continue;
        }
        addr.is_https = node->n > 2 ? strcasecmp(node->args[2], "https") == 0 : addr.port == 443;
        find_bound(service, &addr);
        if (addr.connect[0] == '\0') {
            code = clm_remark(&service->remarks, err,
                              "%s:%d: httpd does not listen on port %u yet: it was not restarted "
                              "since",
                              node->file, node->line, addr.port);
            continue;
        }
        grown = grow(out->v, out->n, sizeof(*grown));
        if (grown == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "sockets");
        }
        out->v = grown;
        out->v[out->n++] = addr;
    }
    return code;
}

static enum clm_code add_addr(struct clm_apache_vhost *vhost, const struct clm_apache_addr *addr,
                              struct clm_err *err)
{
    struct clm_apache_addr *grown;

    for (size_t i = 0; i < vhost->n_addrs; i++) {
        if (vhost->addrs[i].port == addr->port && strcmp(vhost->addrs[i].host, addr->host) == 0) {
            return CLM_OK;
        }
    }
    if (vhost->n_addrs >= CLM_APACHE_ADDRS_MAX) {
        return CLM_OK;
    }
    grown = grow(vhost->addrs, vhost->n_addrs, sizeof(*grown));
    if (grown == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "addresses of a virtual host");
    }
    vhost->addrs = grown;
    vhost->addrs[vhost->n_addrs++] = *addr;
    return CLM_OK;
}

/* Where a client on this host must connect so that hosts on "*" answer, and not those that have an
 * address of their own. */
static void loopback(const struct listening *listening, const char *bound,
                     struct clm_apache_addr *addr)
{
    if (clm_probe_addr(bound, addr->port, &listening->taken, addr->connect, NULL) != CLM_OK &&
        (strcmp(bound, "::") != 0 ||
         clm_probe_addr("0.0.0.0", addr->port, &listening->taken, addr->connect, NULL) != CLM_OK)) {
        addr->connect[0] = '\0';
    }
}

/* Joins the address of a <VirtualHost> with what httpd listens on. */
static enum clm_code join(struct clm_apache_vhost *vhost, const struct clm_apache_addr *want,
                          const struct listening *listening, struct clm_err *err)
{
    bool any = strcmp(want->host, "*") == 0;
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < listening->n && code == CLM_OK; i++) {
        const struct clm_apache_addr *listen = &listening->v[i];
        struct clm_apache_addr addr = *want;

        if (want->port != 0 && want->port != listen->port) {
            continue;
        }
        addr.port = listen->port;
        if (any) {
            loopback(listening, listen->connect, &addr);
        } else if (strcmp(listen->host, "*") == 0 || strcmp(listen->host, want->host) == 0) {
            memcpy(addr.connect, want->host, sizeof(addr.connect));
        } else {
            continue;
        }
        if (addr.connect[0] != '\0') {
            code = add_addr(vhost, &addr, err);
        }
    }
    return code;
}

static enum clm_code add_name(struct clm_strs *names, const char *text, struct clm_err *err)
{
    const char *scheme = strstr(text, "://");
    char lower[CLM_DNS_NAME_SIZE];

    (void)snprintf(lower, sizeof(lower), "%s", scheme == NULL ? text : scheme + 3);
    lower[strcspn(lower, ":/")] = '\0';
    for (char *p = lower; *p != '\0'; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    return lower[0] == '\0' ? CLM_OK : clm_strs_add_once(names, lower, err);
}

static enum clm_code read_names(struct clm_apache_vhost *vhost, struct clm_err *err)
{
    const struct clm_conf_node *node = clm_conf_last(vhost->node, "servername");
    enum clm_code code = CLM_OK;

    vhost->has_name = node != NULL;
    if (node != NULL) {
        code = add_name(&vhost->names, clm_conf_arg(node, 1), err);
    }
    node = clm_conf_first(vhost->node, "serveralias");
    for (; node != NULL && code == CLM_OK; node = clm_conf_again(node, "serveralias")) {
        for (size_t i = 1; i < node->n && code == CLM_OK; i++) {
            code = add_name(&vhost->names, node->args[i], err);
        }
    }
    return code;
}

static enum clm_code new_vhost(struct clm_apache_view *view, const struct clm_conf_node *node,
                               struct clm_err *err)
{
    struct clm_apache_vhost *grown = grow(view->vhosts, view->n_vhosts, sizeof(*grown));
    struct clm_apache_vhost *vhost;

    if (grown == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "virtual hosts");
    }
    view->vhosts = grown;
    vhost = &view->vhosts[view->n_vhosts++];
    *vhost = (struct clm_apache_vhost){.node = node};
    return read_names(vhost, err);
}

/* The protocol of a virtual host is that of the first Listen for its first address with a port
 * (ap_setup_listeners() in server/listen.c). The main server has no address. */
static bool is_https(const struct clm_apache_vhost *vhost, const struct listening *listening)
{
    for (size_t i = 1; i < vhost->node->n; i++) {
        struct clm_apache_addr addr;

        if (!parse_addr(vhost->node->args[i], false, &addr) || addr.port == 0) {
            continue;
        }
        for (size_t l = 0; l < listening->n; l++) {
            if (listening->v[l].port == addr.port) {
                return listening->v[l].is_https;
            }
        }
    }
    return false;
}

/* Without SSLEngine, what is https and has a certificate speaks TLS (ssl_init_Module() of mod_ssl).
 * "optional" begins in plain text. */
static bool speaks_tls(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                       const struct listening *listening)
{
    const struct clm_conf_node *engine = clm_apache_setting(view, vhost, "sslengine");

    if (engine != NULL) {
        return strcasecmp(clm_conf_arg(engine, 1), "on") == 0;
    }
    return is_https(vhost, listening) &&
           clm_apache_setting(view, vhost, "sslcertificatefile") != NULL;
}

static enum clm_code read_addrs(struct clm_apache_vhost *vhost, const struct listening *listening,
                                struct clm_strs *remarks, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 1; i < vhost->node->n && code == CLM_OK; i++) {
        struct clm_apache_addr addr;

        if (!parse_addr(vhost->node->args[i], false, &addr)) {
            code =
                clm_remark(remarks, err, "%s:%d: address '%s' is left out: names are not looked up",
                           vhost->node->file, vhost->node->line, vhost->node->args[i]);
            continue;
        }
        code = join(vhost, &addr, listening, err);
    }
    return code;
}

/* Notes that the address has a virtual host of its own on each port it is listened on. */
static enum clm_code take(struct listening *listening, const struct clm_apache_addr *addr,
                          struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < listening->n && code == CLM_OK; i++) {
        char key[CLM_SOCKET_KEY_SIZE];

        if (addr->port == 0 || addr->port == listening->v[i].port) {
            clm_socket_key(addr->host, listening->v[i].port, key);
            code = clm_strs_add_once(&listening->taken, key, err);
        }
    }
    return code;
}

/* Connections to an address that some virtual host names never reach "*". */
static enum clm_code find_taken(const struct clm_conf_tree *tree, struct listening *listening,
                                struct clm_err *err)
{
    const struct clm_conf_node *node = clm_conf_first(&tree->root, "virtualhost");
    enum clm_code code = CLM_OK;

    for (; node != NULL && code == CLM_OK; node = clm_conf_again(node, "virtualhost")) {
        for (size_t i = 1; i < node->n && code == CLM_OK; i++) {
            struct clm_apache_addr addr;

            if (parse_addr(node->args[i], false, &addr) && addr.host[0] != '*') {
                code = take(listening, &addr, err);
            }
        }
    }
    return code;
}

static bool has_vhost(const struct clm_apache_view *view, uint16_t port)
{
    for (size_t i = 0; i < view->n_vhosts; i++) {
        for (size_t k = 0; k < view->vhosts[i].n_addrs; k++) {
            if (view->vhosts[i].addrs[k].port == port &&
                strcmp(view->vhosts[i].addrs[k].host, "*") == 0) {
                return true;
            }
        }
    }
    return false;
}

/* The main server answers where no virtual host does. */
static enum clm_code add_main(struct clm_apache_view *view, const struct listening *listening,
                              struct clm_err *err)
{
    enum clm_code code = new_vhost(view, &view->tree->root, err);

    if (code == CLM_OK) {
        view->vhosts[view->n_vhosts - 1].tls =
            speaks_tls(view, &view->vhosts[view->n_vhosts - 1], listening);
    }
    for (size_t i = 0; i < listening->n && code == CLM_OK; i++) {
        struct clm_apache_addr addr = {.host = "*", .port = listening->v[i].port};

        if (!has_vhost(view, addr.port)) {
            loopback(listening, listening->v[i].connect, &addr);
            if (addr.connect[0] != '\0') {
                code = add_addr(&view->vhosts[view->n_vhosts - 1], &addr, err);
            }
        }
    }
    return code;
}

enum clm_code clm_apache_view_make(struct clm_apache_view *out, struct clm_service *service,
                                   struct clm_err *err)
{
    CLM_CLEANUP(listening_done) struct listening listening = {.v = NULL};
    const struct clm_conf_node *node = clm_conf_first(&out->tree->root, "virtualhost");
    enum clm_code code = read_listens(out->tree, service, &listening, err);

    if (code == CLM_OK) {
        code = find_taken(out->tree, &listening, err);
    }
    for (; node != NULL && code == CLM_OK; node = clm_conf_again(node, "virtualhost")) {
        code = new_vhost(out, node, err);
        if (code == CLM_OK) {
            struct clm_apache_vhost *vhost = &out->vhosts[out->n_vhosts - 1];

            vhost->tls = speaks_tls(out, vhost, &listening);
            code = read_addrs(vhost, &listening, &service->remarks, err);
        }
    }
    return code == CLM_OK ? add_main(out, &listening, err) : code;
}

static bool answers_on(const struct clm_apache_vhost *vhost, const struct clm_apache_addr *addr)
{
    for (size_t i = 0; i < vhost->n_addrs; i++) {
        if (vhost->addrs[i].port == addr->port && strcmp(vhost->addrs[i].host, addr->host) == 0) {
            return true;
        }
    }
    return false;
}

const struct clm_apache_vhost *clm_apache_answers(const struct clm_apache_view *view,
                                                  const struct clm_apache_addr *addr,
                                                  const char *host)
{
    const struct clm_apache_vhost *first = NULL;

    for (size_t i = 0; i < view->n_vhosts; i++) {
        const struct clm_apache_vhost *vhost = &view->vhosts[i];

        if (!answers_on(vhost, addr)) {
            continue;
        }
        first = first == NULL ? vhost : first;
        for (size_t k = 0; host[0] != '\0' && k < vhost->names.n; k++) {
            if (fnmatch(vhost->names.v[k], host, 0) == 0) {
                return vhost;
            }
        }
    }
    return first;
}
