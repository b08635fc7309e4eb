/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/managers.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/formats/conf_files.h"

#define PLACES_MAX 4096u  /* of all managers together */
#define FILE_MAX   65536u /* bytes of one of their small files */
#define LINKS_MAX  8      /* symbolic links from a configured path to the file */
#define PLACE_DIR  true
#define PLACE_FILE false

struct place {
    char *path; /* a directory ends with a slash */
    const struct clm_manager *manager;
};

struct clm_managers {
    struct place *places;
    size_t n;
};

struct load {
    const struct clm_io *io;
    const struct clm_manager *manager;
    struct clm_managers *out;
    const char *dir; /* of the walk at hand */
};

static enum clm_code add(struct load *load, const char *path, bool is_dir, struct clm_err *err)
{
    struct place *place;
    size_t len = strlen(path);

    if (load->out->n >= PLACES_MAX) {
        return CLM_OK;
    }
    if ((load->out->n & (load->out->n - 1)) == 0) { /* grows at each power of two */
        size_t cap = load->out->n == 0 ? 1 : load->out->n * 2;
        struct place *v = realloc(load->out->places, cap * sizeof(*v));

        if (v == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "certificate managers");
        }
        load->out->places = v;
    }
    place = &load->out->places[load->out->n];
    place->path = malloc(len + 2);
    if (place->path == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "certificate managers");
    }
    memcpy(place->path, path, len);
    if (is_dir && (len == 0 || path[len - 1] != '/')) {
        place->path[len++] = '/';
    }
    place->path[len] = '\0';
    place->manager = load->manager;
    load->out->n++;
    return CLM_OK;
}

static bool is_there(const struct clm_io *io, const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct clm_stat st = {0};

    return clm_str_fmt(path, sizeof(path), NULL, "%s/%s", dir, name) == CLM_OK &&
           io->stat(io->ctx, path, true, &st, NULL) == CLM_OK;
}

/* ---- files of "KEY=VALUE" lines that name files ---- */

/* The values of these keys, absolute paths only; quotes around them are taken off. */
static enum clm_code add_values(struct load *load, const char *text, const char *const *keys,
                                struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    while (*text != '\0' && code == CLM_OK) {
        size_t len = strcspn(text, "\n");

        for (size_t i = 0; keys[i] != NULL && code == CLM_OK; i++) {
            size_t key_len = strlen(keys[i]);
            char path[PATH_MAX];
            const char *from = text + key_len;

            if (len <= key_len || memcmp(text, keys[i], key_len) != 0) {
                continue;
            }
            from += *from == '\'' || *from == '"';
            if (*from == '/' && clm_str_fmt(path, sizeof(path), NULL, "%.*s",
                                            (int)strcspn(from, "'\"\r\n"), from) == CLM_OK) {
                code = add(load, path, PLACE_FILE, err);
            }
        }
        text += len + (text[len] == '\n');
    }
    return code;
}

static enum clm_code read_values(struct load *load, const char *path, const char *const *keys,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(FILE_MAX + 1);

    if (load->io->read_file(load->io->ctx, path, FILE_MAX, &text, NULL) != CLM_OK) {
        return CLM_OK;
    }
    return add_values(load, clm_buf_str(&text), keys, err);
}

/* ---- one manager each ---- */

/* renewal/NAME.conf says that certbot renews live/NAME. */
static enum clm_code visit_certbot(void *arg, const char *name, struct clm_err *err)
{
    static const char *const trees[] = {"live", "archive"};
    struct load *load = arg;
    size_t len = strlen(name);
    enum clm_code code = CLM_OK;

    if (!clm_str_ends(name, ".conf")) {
        return CLM_OK;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(trees) && code == CLM_OK; i++) {
        char path[PATH_MAX];

        if (clm_str_fmt(path, sizeof(path), NULL, "%s/%s/%.*s", load->dir, trees[i], (int)(len - 5),
                        name) == CLM_OK) {
            code = add(load, path, PLACE_DIR, err);
        }
    }
    return code;
}

static enum clm_code list(struct load *load, const char *path, clm_io_dir_fn visit,
                          struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = load->io->list_dir(load->io->ctx, path, visit, load, &why);

    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
}

static enum clm_code load_certbot(struct load *load, struct clm_err *err)
{
    load->dir = "/etc/letsencrypt";
    return list(load, "/etc/letsencrypt/renewal", visit_certbot, err);
}

static enum clm_code visit_certmonger(void *arg, const char *name, struct clm_err *err)
{
    static const char *const keys[] = {"key_file=", "cert_file=", NULL};
    struct load *load = arg;
    char path[PATH_MAX];

    return clm_str_fmt(path, sizeof(path), NULL, "%s/%s", load->dir, name) == CLM_OK
               ? read_values(load, path, keys, err)
               : CLM_OK;
}

static enum clm_code load_certmonger(struct load *load, struct clm_err *err)
{
    load->dir = "/var/lib/certmonger/requests";
    return list(load, load->dir, visit_certmonger, err);
}

/* <home>/NAME/NAME.conf names the copies that acme.sh made for a server. */
static enum clm_code visit_acme_sh(void *arg, const char *name, struct clm_err *err)
{
    static const char *const keys[] = {
        "Le_RealCertPath=", "Le_RealKeyPath=", "Le_RealCACertPath=", "Le_RealFullChainPath=", NULL};
    static const char ecc[] = "_ecc"; /* of the directory, not of the file in it */
    struct load *load = arg;
    size_t len = strlen(name);
    char path[PATH_MAX];

    if (clm_str_ends(name, ecc)) {
        len -= sizeof(ecc) - 1;
    }
    return clm_str_fmt(path, sizeof(path), NULL, "%s/%s/%.*s.conf", load->dir, name, (int)len,
                       name) == CLM_OK
               ? read_values(load, path, keys, err)
               : CLM_OK;
}

/* Managers whose trees are theirs as a whole: a directory, and what must be in it. */
struct tree {
    const char *manager;
    const char *below; /* of each home directory if it does not begin with a slash */
    const char *marker;
    const char *owned; /* below the tree; "" all of it */
};

static const struct tree trees[] = {
    {"acme.sh", ".acme.sh", "account.conf", ""},
    {"acme.sh", "/etc/acme.sh", "account.conf", ""},
    {"lego", ".lego", "certificates", "certificates"},
    {"lego", "/etc/lego", "certificates", "certificates"},
    {"lego", "/var/lib/lego", "certificates", "certificates"},
    {"lego", "/opt/lego", "certificates", "certificates"},
    {"dehydrated", "/var/lib/dehydrated", "certs", "certs"},
    {"dehydrated", "/etc/dehydrated", "certs", "certs"},
    {"mod_md", "/etc/apache2/md", "md_store.json", ""},
    {"mod_md", "/etc/httpd/state/md", "md_store.json", ""},
    {"mod_md", "/var/lib/httpd/md", "md_store.json", ""},
    {"mod_md", "/var/lib/apache2/md", "md_store.json", ""},
    {"caddy", "/var/lib/caddy/.local/share/caddy", "certificates", ""},
    {"caddy", ".local/share/caddy", "certificates", ""},
    {"traefik", "/etc/traefik", "acme.json", "acme.json"},
    {"traefik", "/var/lib/traefik", "acme.json", "acme.json"},
    {"traefik", "/opt/traefik", "acme.json", "acme.json"},
    {"traefik", "/srv/traefik", "acme.json", "acme.json"},
    {"getssl", ".getssl", "getssl.cfg", ""},
    {"getssl", "/etc/getssl", "getssl.cfg", ""},
    {"uacme", "/etc/ssl/uacme", "private", ""},
    {"cpanel", "/var/cpanel/ssl", "", ""},
    {"plesk", "/usr/local/psa/var/certificates", "", ""},
    {"plesk", "/opt/psa/var/certificates", "", ""},
};

static enum clm_code add_tree(struct load *load, const struct tree *tree, const char *dir,
                              struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = CLM_OK;

    if (!is_there(load->io, dir, tree->marker)) {
        return CLM_OK;
    }
    if (clm_str_fmt(path, sizeof(path), NULL, "%s%s%s", dir, tree->owned[0] != '\0' ? "/" : "",
                    tree->owned) == CLM_OK) {
        code = add(load, path, !clm_str_ends(path, ".json"), err);
    }
    if (code == CLM_OK && strcmp(load->manager->name, "acme.sh") == 0) {
        load->dir = dir;
        code = list(load, dir, visit_acme_sh, err);
    }
    return code;
}

static enum clm_code add_trees_of(struct load *load, const char *home, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < CLM_ARRAY_LEN(trees) && code == CLM_OK; i++) {
        char dir[PATH_MAX];
        bool is_absolute = trees[i].below[0] == '/';

        if (is_absolute != (home == NULL)) {
            continue;
        }
        load->manager = clm_manager_find(trees[i].manager);
        if (clm_str_fmt(dir, sizeof(dir), NULL, "%s%s%s", is_absolute ? "" : home,
                        is_absolute ? "" : "/", trees[i].below) == CLM_OK) {
            code = add_tree(load, &trees[i], dir, err);
        }
    }
    return code;
}

static enum clm_code visit_home(void *arg, const char *name, struct clm_err *err)
{
    char home[PATH_MAX];

    return clm_str_fmt(home, sizeof(home), NULL, "/home/%s", name) == CLM_OK
               ? add_trees_of(arg, home, err)
               : CLM_OK;
}

/* ---- the table ---- */

static const struct clm_manager all[] = {
    {"certbot", "/etc/letsencrypt/live and archive, for each NAME.conf in renewal",
     "point the server at copies elsewhere and run 'certbot delete --cert-name NAME'", true},
    {"certmonger", "key_file and cert_file of each request in /var/lib/certmonger/requests",
     "run 'getcert stop-tracking' for the file", false},
    {"acme.sh", "~/.acme.sh of every user, and the files that its certificates are installed to",
     "run 'acme.sh --remove -d NAME'", false},
    {"lego", "certificates in ~/.lego, /etc/lego, /var/lib/lego, /opt/lego",
     "remove the timer or cron job that runs 'lego renew'", false},
    {"dehydrated", "certs in /var/lib/dehydrated and /etc/dehydrated",
     "remove the name from domains.txt", true},
    {"mod_md", "the store of Apache's mod_md (md_store.json)",
     "remove the name's MDomain from the configuration of Apache", false},
    {"caddy", "the data directory of Caddy", "name the files in a 'tls' line of the Caddyfile",
     false},
    {"traefik", "acme.json of Traefik: reported only, its certificates are not read",
     "remove the certificate resolver from the router", false},
    {"getssl", "~/.getssl of every user, /etc/getssl", "remove the directory of the name", false},
    {"uacme", "/etc/ssl/uacme", "remove the timer or cron job that runs 'uacme issue'", false},
    {"cpanel", "/var/cpanel/ssl", "switch AutoSSL off for the account", false},
    {"plesk", "var/certificates of Plesk", "take the certificate off the domain in Plesk", false},
    {NULL, NULL, NULL, false},
};

const struct clm_manager *clm_managers_all(void)
{
    return all;
}

const struct clm_manager *clm_manager_find(const char *name)
{
    for (size_t i = 0; all[i].name != NULL; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

enum clm_code clm_managers_load(const struct clm_io *io, struct clm_managers **out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_managers_free_p) struct clm_managers *managers = calloc(1, sizeof(*managers));
    struct load load = {.io = io, .out = managers};
    enum clm_code code;

    if (managers == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "certificate managers");
    }
    load.manager = clm_manager_find("certbot");
    code = load_certbot(&load, err);
    if (code == CLM_OK) {
        load.manager = clm_manager_find("certmonger");
        code = load_certmonger(&load, err);
    }
    if (code == CLM_OK) {
        code = add_trees_of(&load, NULL, err);
    }
    if (code == CLM_OK) {
        code = add_trees_of(&load, "/root", err);
    }
    if (code == CLM_OK) {
        code = list(&load, "/home", visit_home, err);
    }
    if (code == CLM_OK) {
        *out = CLM_STEAL(managers);
    }
    return code;
}

void clm_managers_free(struct clm_managers *managers)
{
    if (managers == NULL) {
        return;
    }
    for (size_t i = 0; i < managers->n; i++) {
        free(managers->places[i].path);
    }
    free(managers->places);
    free(managers);
}

const struct clm_manager *clm_managers_of(const struct clm_managers *managers, const char *path)
{
    for (size_t i = 0; managers != NULL && i < managers->n; i++) {
        const struct place *place = &managers->places[i];
        bool is_dir = clm_str_ends(place->path, "/");

        if (is_dir ? clm_str_starts(path, place->path) : strcmp(path, place->path) == 0) {
            return place->manager;
        }
    }
    return NULL;
}

enum clm_code clm_managers_names(const struct clm_managers *managers, struct clm_strs *out,
                                 struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < managers->n && code == CLM_OK; i++) {
        code = clm_strs_add_once(out, managers->places[i].manager->name, err);
    }
    return code;
}

/* ---- targets ---- */

/* Takes "." and ".." out of an absolute path, by its text alone. */
static void normalise(char *path)
{
    char *to = path;
    const char *from = path;

    while (*from != '\0') {
        size_t len;

        from += strspn(from, "/");
        len = strcspn(from, "/");
        if (len == 2 && memcmp(from, "..", 2) == 0) {
            while (to > path && *--to != '/') {
            }
        } else if (len > 0 && !(len == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, len);
            to += len;
        }
        from += len;
    }
    *to = '\0';
}

/* Follows the links of the last component. */
static const struct clm_manager *
owner_of(const struct clm_io *io, const struct clm_managers *managers, const char *configured)
{
    char path[PATH_MAX];

    if (configured[0] != '/' || clm_str_copy(path, sizeof(path), configured, NULL) != CLM_OK) {
        return NULL;
    }
    for (int i = 0; i <= LINKS_MAX; i++) {
        char to[PATH_MAX];
        char dir[PATH_MAX];
        const struct clm_manager *owner = clm_managers_of(managers, path);

        if (owner != NULL) {
            return owner;
        }
        if (io->read_link(io->ctx, path, to, sizeof(to), NULL) != CLM_OK ||
            clm_conf_dirname(path, dir, sizeof(dir), NULL) != CLM_OK ||
            clm_conf_path(dir, to, path, sizeof(path), NULL) != CLM_OK) {
            return NULL;
        }
        normalise(path);
    }
    return NULL;
}

static enum clm_code mark(const struct clm_io *io, const struct clm_managers *managers,
                          struct clm_target *target, struct clm_err *err)
{
    const char *const paths[] = {target->cert_path, target->key_path, target->chain_path};
    const struct clm_manager *owner = NULL;
    char remark[PATH_MAX + 400];
    size_t i;

    for (i = 0; i < CLM_ARRAY_LEN(paths) && owner == NULL; i++) {
        owner = owner_of(io, managers, paths[i]);
    }
    if (owner == NULL) {
        return CLM_OK;
    }
    clm_ignore(clm_str_copy(target->manager, sizeof(target->manager), owner->name, NULL));
    clm_ignore(clm_str_fmt(remark, sizeof(remark), NULL,
                           "'%s' belongs to %s: to let clmbot renew in its place, %s; to let both "
                           "write it, add %s to policy.take_over",
                           paths[i - 1], owner->name, owner->to_take, owner->name));
    return clm_strs_add_once(&target->reasons, remark, err);
}

enum clm_code clm_managers_mark(const struct clm_io *io, struct clm_inventory *inventory,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_managers_free_p) struct clm_managers *managers = NULL;
    enum clm_code code = clm_managers_load(io, &managers, err);

    for (size_t s = 0; s < inventory->n_services && code == CLM_OK; s++) {
        struct clm_service *service = &inventory->services[s];

        for (size_t t = 0; t < service->n_targets && code == CLM_OK; t++) {
            code = mark(io, managers, &service->targets[t], err);
        }
    }
    return code;
}
