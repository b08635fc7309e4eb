/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/formats/conf_files.h"
#include "scanners/apache_view.h"
#include "scanners/endpoints.h"
#include "scanners/pattern.h"

#define WEBROOTS_MAX 2000 /* of one service; more would not fit into an inventory */
#define ADVICE       "add 'Alias " CLM_ACME_URI " /var/www/acme/'"

/* The directive is cut so that the advice is whole. */
static void explain(const struct clm_conf_node *node, const char *what, char *dst, size_t size)
{
    const char *slash = strrchr(node->file, '/');
    const char *file = slash == NULL ? node->file : slash + 1;
    char head[80];
    size_t room;

    (void)snprintf(head, sizeof(head), "%.32s:%d: '%.24s ", file, node->line, node->args[0]);
    room = strlen(head) + strlen(what) + 2 < size ? size - 3 - strlen(head) - strlen(what) : 0;
    (void)snprintf(dst, size, "%s%.*s' %s", head, (int)room, clm_conf_arg(node, 1), what);
}

/* "/a" matches "/a", "/a/b", but not "/ab": alias_matches() of mod_alias. Returns the length. */
static size_t path_matches(const char *prefix, const char *uri)
{
    size_t len = strlen(prefix);

    if (len == 0 || strncmp(uri, prefix, len) != 0 ||
        (prefix[len - 1] != '/' && uri[len] != '/' && uri[len] != '\0')) {
        return 0;
    }
    return len;
}

/* ---- what comes before files, in the order in which httpd asks its modules ---- */

static bool spares_acme(const struct clm_conf_node *cond)
{
    for (size_t i = 1; i < cond->n; i++) {
        if (strstr(cond->args[i], "well-known") != NULL ||
            strstr(cond->args[i], "acme-challenge") != NULL) {
            return true;
        }
    }
    return false;
}

/* mod_rewrite in the virtual host; rules of .htaccess files are not seen. */
static bool rewrites(const struct clm_apache_vhost *vhost, const char *uri, char *dst, size_t size)
{
    const struct clm_conf_node *engine = clm_conf_last(vhost->node, "rewriteengine");
    bool spared = false;

    if (engine == NULL || strcasecmp(clm_conf_arg(engine, 1), "on") != 0) {
        return false;
    }
    for (const struct clm_conf_node *node = vhost->node->children; node != NULL;
         node = node->next) {
        const char *pattern = clm_conf_arg(node, 1);
        bool invert = pattern[0] == '!';
        enum clm_pattern match;

        if (strcmp(node->args[0], "rewritecond") == 0) {
            spared = spared || (strcmp(uri, CLM_ACME_SAMPLE) == 0 && spares_acme(node));
        }
        if (strcmp(node->args[0], "rewriterule") != 0) {
            continue;
        }
        match = clm_pattern_match(pattern + invert, false, uri);
        if (!spared && match != (invert ? CLM_PATTERN_YES : CLM_PATTERN_NO)) {
            bool is_pass = strcmp(clm_conf_arg(node, 2), "-") == 0;
            const char *flags = clm_conf_arg(node, 3);

            if (!is_pass || strstr(flags, "F") != NULL || strstr(flags, "G") != NULL) {
                explain(node, "may answer first: " ADVICE " and a rule that spares it", dst, size);
                return true;
            }
            if (strstr(flags, "L") != NULL || strstr(flags, "END") != NULL) {
                return false; /* "RewriteRule ^/.well-known/ - [L]" */
            }
        }
        spared = false;
    }
    return false;
}

/* ProxyPass and ProxyPassMatch: the first that matches decides, "!" spares. */
static int proxies(const struct clm_conf_node *block, const char *uri,
                   const struct clm_conf_node **out)
{
    for (const struct clm_conf_node *node = block->children; node != NULL; node = node->next) {
        bool hit = false;

        if (strcmp(node->args[0], "proxypass") == 0) {
            hit = path_matches(clm_conf_arg(node, 1), uri) > 0;
        } else if (strcmp(node->args[0], "proxypassmatch") == 0) {
            hit = clm_pattern_match(clm_conf_arg(node, 1), false, uri) != CLM_PATTERN_NO;
        } else if (strcmp(node->args[0], "location") == 0 && node->n == 2 &&
                   path_matches(node->args[1], uri) > 0) {
            const struct clm_conf_node *pass = clm_conf_first(node, "proxypass");

            if (pass != NULL) {
                *out = pass;
                return strcmp(clm_conf_arg(pass, 1), "!") == 0 ? 0 : 1;
            }
        }
        if (hit) {
            *out = node;
            return strcmp(clm_conf_arg(node, 2), "!") == 0 ? 0 : 1;
        }
    }
    return -1;
}

static bool redirects(const struct clm_conf_node *block, const char *uri,
                      const struct clm_conf_node **out)
{
    for (const struct clm_conf_node *node = block->children; node != NULL; node = node->next) {
        bool is_match = strcmp(node->args[0], "redirectmatch") == 0;
        const char *what;

        if (!clm_str_starts(node->args[0], "redirect")) {
            continue;
        }
        what = clm_conf_arg(node, 1);
        if ((what[0] != '/' && what[0] != '^') && node->n > 2) {
            what = clm_conf_arg(node, 2); /* behind "permanent" or a status */
        }
        if (is_match ? clm_pattern_match(what, false, uri) != CLM_PATTERN_NO
                     : path_matches(what, uri) > 0) {
            *out = node;
            return true;
        }
    }
    return false;
}

static bool is_busy(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                    const char *uri, char *dst, size_t size)
{
    const struct clm_conf_node *blocks[] = {vhost->node, &view->tree->root};
    size_t n = vhost->node == &view->tree->root ? 1 : 2;
    const struct clm_conf_node *node = NULL;

    if (rewrites(vhost, uri, dst, size)) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        int proxied = proxies(blocks[i], uri, &node);

        if (proxied == 1) {
            explain(node, "passes it on: add 'ProxyPass " CLM_ACME_URI " !' before it", dst, size);
            return true;
        }
        if (proxied == 0) {
            break;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (redirects(blocks[i], uri, &node)) {
            explain(node, "answers first: use 'RedirectMatch ^/(?!\\.well-known/acme-challenge/)'",
                    dst, size);
            return true;
        }
    }
    return false;
}

/* ---- where files are ---- */

/* The directory that answers for uri, which ends in a slash; false with a reason. */
static bool directory(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                      const char *uri, char *dst, char *why, size_t why_size)
{
    const struct clm_conf_node *blocks[] = {vhost->node, &view->tree->root};
    const struct clm_conf_node *node;
    char root[PATH_MAX];

    for (size_t i = 0; i < CLM_ARRAY_LEN(blocks); i++) {
        for (node = blocks[i]->children; node != NULL; node = node->next) {
            size_t len =
                strcmp(node->args[0], "alias") == 0 ? path_matches(clm_conf_arg(node, 1), uri) : 0;

            if (len > 0) {
                return clm_conf_path(view->root, clm_conf_arg(node, 2), root, sizeof(root), NULL) ==
                           CLM_OK &&
                       clm_str_fmt(dst, PATH_MAX, NULL, "%s%s", root, uri + len) == CLM_OK;
            }
            if (strcmp(node->args[0], "aliasmatch") == 0 &&
                clm_pattern_match(clm_conf_arg(node, 1), false, uri) != CLM_PATTERN_NO) {
                explain(node, "is not evaluated: " ADVICE " before it", why, why_size);
                return false;
            }
        }
    }
    node = clm_apache_setting(view, vhost, "documentroot");
    if (clm_conf_path(view->root, node == NULL ? "htdocs" : clm_conf_arg(node, 1), root,
                      sizeof(root), NULL) != CLM_OK) {
        return false;
    }
    return clm_str_fmt(dst, PATH_MAX, NULL, "%s%s%s", root, clm_str_ends(root, "/") ? "" : "/",
                       uri + 1) == CLM_OK;
}

/* "Require all denied" of the innermost <Directory> that has a Require. */
static bool is_denied(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                      const char *path, char *why, size_t why_size)
{
    const struct clm_conf_node *blocks[] = {&view->tree->root, vhost->node};
    const struct clm_conf_node *verdict = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < CLM_ARRAY_LEN(blocks); i++) {
        const struct clm_conf_node *node = clm_conf_first(blocks[i], "directory");

        for (; node != NULL; node = clm_conf_again(node, "directory")) {
            size_t len = path_matches(clm_conf_arg(node, 1), path);
            const struct clm_conf_node *require = clm_conf_last(node, "require");

            if (len > 0 && len >= longest && require != NULL) {
                longest = len;
                verdict = require;
            }
        }
    }
    if (verdict == NULL || strcasecmp(clm_conf_arg(verdict, 1), "all") != 0 ||
        strcasecmp(clm_conf_arg(verdict, 2), "denied") != 0) {
        return false;
    }
    explain(verdict, "denied: add '<Directory> Require all granted' for", why, why_size);
    (void)snprintf(why + strlen(why), why_size - strlen(why), " %.60s", path);
    return true;
}

static void cut_slash(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') {
        path[--len] = '\0';
    }
}

static void fill(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                 struct clm_webroot *out)
{
    char ignored[sizeof(out->reason)];
    char usual[PATH_MAX];

    if (is_busy(view, vhost, "/", ignored, sizeof(ignored)) ||
        !directory(view, vhost, "/", out->path, ignored, sizeof(ignored))) {
        out->path[0] = '\0';
    }
    cut_slash(out->path);
    if (is_busy(view, vhost, CLM_ACME_SAMPLE, out->reason, sizeof(out->reason)) ||
        !directory(view, vhost, CLM_ACME_URI, out->acme_path, out->reason, sizeof(out->reason)) ||
        is_denied(view, vhost, out->acme_path, out->reason, sizeof(out->reason))) {
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

/* The address where plain HTTP answers for name: port 80 if there is one. NULL: none. */
static const struct clm_apache_addr *plain_addr(const struct clm_apache_view *view,
                                                const char *name)
{
    const struct clm_apache_addr *found = NULL;
    bool by_name = false;

    for (size_t v = 0; v < view->n_vhosts; v++) {
        const struct clm_apache_vhost *vhost = &view->vhosts[v];
        bool has = clm_strs_has(&vhost->names, name);

        for (size_t a = 0; !vhost->tls && a < vhost->n_addrs; a++) {
            const struct clm_apache_addr *addr = &vhost->addrs[a];

            if (found == NULL || (has && !by_name) ||
                (has == by_name && addr->port == 80 && found->port != 80)) {
                found = addr;
                by_name = has;
            }
        }
    }
    return found;
}

static enum clm_code add(const struct clm_apache_view *view, const char *name,
                         struct clm_service *service, struct clm_err *err)
{
    const struct clm_apache_addr *addr = plain_addr(view, name);
    char domain[CLM_DNS_NAME_SIZE];
    struct clm_webroot *webroot;

    if (addr == NULL || clm_dns_normalise(name, false, domain, NULL) != CLM_OK) {
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
    memcpy(webroot->domain, domain, sizeof(domain));
    memcpy(webroot->addr, addr->connect, sizeof(webroot->addr));
    webroot->port = addr->port;
    fill(view, clm_apache_answers(view, addr, name), webroot);
    return CLM_OK;
}

enum clm_code clm_apache_webroots(const struct clm_apache_view *view, struct clm_service *service,
                                  struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t v = 0; v < view->n_vhosts && code == CLM_OK; v++) {
        const struct clm_strs *names = &view->vhosts[v].names;

        for (size_t i = 0; i < names->n && code == CLM_OK; i++) {
            if (service->n_webroots >= WEBROOTS_MAX) {
                return clm_remark(&service->remarks, err, "web roots beyond %d are left out",
                                  WEBROOTS_MAX);
            }
            code = add(view, names->v[i], service, err);
        }
    }
    return code;
}
