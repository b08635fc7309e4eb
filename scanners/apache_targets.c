/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "scanners/apache_view.h"
#include "scanners/endpoints.h"
#include "scanners/target_files.h"
#include "scanners/target_pairs.h"

/* The certificate or key directives that hold for a virtual host. */
struct files {
    const struct clm_conf_node *v[CLM_PAIRS_MAX];
    size_t n;
};

/* Those of the host stand in for those of the main server, one by one; what the main server has
 * more is added (modssl_ctx_cfg_merge_certkeys_array() of mod_ssl). */
static void find_files(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                       const char *name, struct files *out)
{
    const struct clm_conf_node *blocks[] = {&view->tree->root, vhost->node};

    out->n = 0;
    for (size_t b = 0; b < CLM_ARRAY_LEN(blocks); b++) {
        const struct clm_conf_node *node = clm_conf_first(blocks[b], name);

        for (size_t i = 0; node != NULL && i < CLM_PAIRS_MAX;
             node = clm_conf_again(node, name), i++) {
            out->v[i] = node;
            out->n = i + 1 > out->n ? i + 1 : out->n;
        }
    }
}

/* The path of a file, or the text as it is if it names none. */
static enum clm_code file_path(const struct clm_apache_view *view, const struct clm_conf_node *node,
                               char *dst, struct clm_err *err)
{
    const char *text = clm_conf_arg(node, 1);

    if (clm_str_starts(text, "pkcs11:")) {
        return clm_str_copy(dst, PATH_MAX, text, err);
    }
    return clm_conf_path(view->root, text, dst, PATH_MAX, err);
}

/* The best name to ask for on this address; false if no handshake can reach the host there. */
static bool choose_sni(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                       const struct clm_apache_addr *addr, char *dst)
{
    for (size_t i = 0; i < vhost->names.n; i++) {
        clm_probe_sni(vhost->names.v[i], dst);
        if (dst[0] != '\0' && clm_apache_answers(view, addr, dst) == vhost) {
            return true;
        }
    }
    dst[0] = '\0';
    return clm_apache_answers(view, addr, "") == vhost;
}

static enum clm_code add_endpoints(const struct clm_apache_view *view,
                                   const struct clm_apache_vhost *vhost, struct clm_target *target,
                                   struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < vhost->n_addrs && code == CLM_OK; i++) {
        const struct clm_apache_addr *addr = &vhost->addrs[i];
        char sni[CLM_DNS_NAME_SIZE];

        if (choose_sni(view, vhost, addr, sni)) {
            code = clm_target_want_endpoint(target, addr->connect, addr->port, sni, err);
        } else {
            code = clm_remark(&target->reasons, err,
                              "%s:%d: the virtual host is never chosen on %s:%u by a name that can "
                              "be asked for",
                              vhost->node->file, vhost->node->line, addr->host, addr->port);
        }
    }
    return code;
}

static enum clm_code add_names(const struct clm_apache_view *view,
                               const struct clm_apache_vhost *vhost, struct clm_target *target,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t k = 0; k < vhost->names.n && code == CLM_OK; k++) {
        const char *name = vhost->names.v[k];
        char asked[CLM_DNS_NAME_SIZE];

        code = clm_target_add_name(target, name, err);
        clm_probe_sni(name, asked);
        for (size_t i = 0; i < vhost->n_addrs && code == CLM_OK && asked[0] != '\0'; i++) {
            if (clm_apache_answers(view, &vhost->addrs[i], asked) != vhost) {
                code = clm_remark(&target->reasons, err,
                                  "%s:%d: an earlier virtual host answers for '%s' on %s:%u",
                                  vhost->node->file, vhost->node->line, name, vhost->addrs[i].host,
                                  vhost->addrs[i].port);
            }
        }
    }
    return code;
}

static bool names_one_of(const struct clm_conf_node *node, const struct clm_strs *names)
{
    for (size_t i = 1; i < node->n; i++) {
        if (clm_strs_has(names, node->args[i])) {
            return true;
        }
    }
    return false;
}

/* mod_md renews the certificates of its domains itself. */
static bool is_mod_mds(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost)
{
    static const char *const directives[] = {"mdomain", "mdomainset"};

    for (size_t d = 0; d < CLM_ARRAY_LEN(directives); d++) {
        const struct clm_conf_node *node = clm_conf_first(&view->tree->root, directives[d]);

        while (node != NULL && !names_one_of(node, &vhost->names)) {
            node = clm_conf_again(node, directives[d]);
        }
        if (node != NULL) {
            return true;
        }
    }
    return false;
}

/* What neither Define nor envvars explains stays in the path as it was written. */
static enum clm_code refuse_variables(struct clm_target *target, struct clm_err *err)
{
    const char *const paths[] = {target->cert_path, target->key_path, target->chain_path};
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < CLM_ARRAY_LEN(paths) && code == CLM_OK; i++) {
        const char *variable = strstr(paths[i], "${");

        if (variable != NULL) {
            code =
                clm_target_refuse(target, err,
                                  "%s: what '%.*s}' stands for is not known: it is neither defined "
                                  "in the configuration nor in envvars",
                                  target->configured_at, (int)strcspn(variable, "}/"), variable);
        }
    }
    return code;
}

/* Where httpd asks for the password of an encrypted key: a person, or a program. It stands in the main
 * server alone. */
static enum clm_code note_dialog(const struct clm_apache_view *view, struct clm_target *target,
                                 struct clm_err *err)
{
    const struct clm_conf_node *node = clm_conf_first(&view->tree->root, "sslpassphrasedialog");
    const char *text = "builtin";

    for (; node != NULL; node = clm_conf_again(node, "sslpassphrasedialog")) {
        text = clm_conf_arg(node, 1);
    }
    return clm_str_fmt(target->key_password, sizeof(target->key_password), err,
                       CLM_PASSWORDS_BY "%s (SSLPassPhraseDialog %.200s)",
                       strcmp(text, "builtin") == 0 ? "a person is asked for it"
                                                    : "a program is asked for it",
                       text);
}

static enum clm_code check_vhost(const struct clm_apache_view *view,
                                 const struct clm_apache_vhost *vhost, struct clm_target *target,
                                 struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (clm_str_starts(target->cert_path, "pkcs11:") ||
        clm_str_starts(target->key_path, "pkcs11:")) {
        code = clm_target_refuse(target, err, "the key is in a token (%.64s), not in a file",
                                 target->key_path);
    }
    if (code == CLM_OK) {
        code = refuse_variables(target, err);
    }
    if (code == CLM_OK) {
        code = note_dialog(view, target, err);
    }
    if (code == CLM_OK && is_mod_mds(view, vhost)) {
        code = clm_target_refuse(target, err, "mod_md renews the certificate of '%s' itself",
                                 vhost->names.v[0]);
    }
    return code;
}

static enum clm_code find_target(struct clm_service *service, const struct clm_apache_vhost *vhost,
                                 const struct clm_conf_node *node, const struct clm_target *files,
                                 struct clm_target **out, struct clm_err *err)
{
    struct clm_target *target = clm_service_target(service, files->cert_path, files->key_path);

    *out = target;
    if (target != NULL) {
        return strcmp(target->chain_path, files->chain_path) == 0
                   ? CLM_OK
                   : clm_target_refuse(target, err,
                                       "%s:%d: the same certificate is used with another "
                                       "SSLCertificateChainFile: use the same everywhere",
                                       node->file, node->line);
    }
    target = clm_service_add_target(service);
    if (target == NULL) {
        (void)clm_err_set(err, CLM_E_NOMEM, "target");
        return CLM_E_NOMEM;
    }
    *out = target;
    target->manageable = true;
    (void)snprintf(target->store_type, sizeof(target->store_type), "pem");
    (void)snprintf(target->configured_at, sizeof(target->configured_at), "%s:%d", node->file,
                   node->line);
    memcpy(target->cert_path, files->cert_path, sizeof(target->cert_path));
    memcpy(target->key_path, files->key_path, sizeof(target->key_path));
    memcpy(target->chain_path, files->chain_path, sizeof(target->chain_path));
    return clm_target_name(service, target, "apache", vhost->names.n > 0 ? vhost->names.v[0] : "",
                           err);
}

/* The files of one pair. NOTFOUND: there are not so many. */
static enum clm_code pair_files(const struct clm_apache_view *view,
                                const struct clm_apache_vhost *vhost, size_t i,
                                struct clm_target *files, const struct clm_conf_node **out_node,
                                struct clm_err *err)
{
    const struct clm_conf_node *chain = clm_apache_setting(view, vhost, "sslcertificatechainfile");
    struct files certs;
    struct files keys;
    enum clm_code code;

    find_files(view, vhost, "sslcertificatefile", &certs);
    find_files(view, vhost, "sslcertificatekeyfile", &keys);
    if (i >= certs.n) {
        return CLM_E_NOTFOUND;
    }
    *out_node = certs.v[i];
    files->chain_path[0] = '\0';
    code = file_path(view, certs.v[i], files->cert_path, err);
    if (code == CLM_OK && i < keys.n) {
        code = file_path(view, keys.v[i], files->key_path, err);
    } else if (code == CLM_OK) { /* httpd then looks for the key in the certificate's file */
        memcpy(files->key_path, files->cert_path, sizeof(files->key_path));
    }
    return code == CLM_OK && chain != NULL ? file_path(view, chain, files->chain_path, err) : code;
}

/* The target for one pair of a virtual host: found or made. files: scratch space. */
static enum clm_code pair(const struct clm_apache_view *view, const struct clm_apache_vhost *vhost,
                          struct clm_service *service, size_t i, struct clm_target *files,
                          struct clm_err *err)
{
    const struct clm_conf_node *node = NULL;
    struct clm_target *target = NULL;
    enum clm_code code = pair_files(view, vhost, i, files, &node, err);

    if (code == CLM_OK) {
        code = find_target(service, vhost, node, files, &target, err);
    }
    if (code == CLM_OK) {
        code = check_vhost(view, vhost, target, err);
    }
    if (code == CLM_OK) {
        code = add_names(view, vhost, target, err);
    }
    return code == CLM_OK ? add_endpoints(view, vhost, target, err) : code;
}

static bool speaks_tls(const struct clm_apache_vhost *vhost, uint16_t port)
{
    for (size_t i = 0; vhost->tls && i < vhost->n_addrs; i++) {
        if (vhost->addrs[i].port == port) {
            return true;
        }
    }
    return false;
}

static void mark_listeners(const struct clm_apache_view *view, struct clm_service *service)
{
    for (size_t l = 0; l < service->n_listeners; l++) {
        for (size_t v = 0; v < view->n_vhosts && !service->listeners[l].tls; v++) {
            service->listeners[l].tls = speaks_tls(&view->vhosts[v], service->listeners[l].port);
        }
    }
}

enum clm_code clm_apache_targets(const struct clm_apache_view *view, struct clm_service *service,
                                 struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    mark_listeners(view, service);
    for (size_t v = 0; v < view->n_vhosts && code == CLM_OK; v++) {
        for (size_t i = 0; view->vhosts[v].tls && view->vhosts[v].n_addrs > 0 && code == CLM_OK;
             i++) {
            struct clm_target files = {.manageable = false};

            code = pair(view, &view->vhosts[v], service, i, &files, err);
        }
        code = code == CLM_E_NOTFOUND ? CLM_OK : code;
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

enum clm_code clm_apache_pairs(const struct clm_apache_view *view, struct clm_service *service,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t v = 0; v < view->n_vhosts && code == CLM_OK; v++) {
        struct clm_target files = {.manageable = false};
        const struct clm_conf_node *node = NULL;
        struct clm_pairs pairs = {.n = 0};

        for (size_t i = 0; view->vhosts[v].tls && code == CLM_OK; i++) {
            code = pair_files(view, &view->vhosts[v], i, &files, &node, err);
            if (code == CLM_OK) {
                clm_pairs_add(&pairs, service, files.cert_path, files.key_path);
            }
        }
        code = code == CLM_E_NOTFOUND ? CLM_OK : code;
        if (code == CLM_OK) {
            code = clm_pairs_settle(&pairs, service, err);
        }
    }
    return code;
}
