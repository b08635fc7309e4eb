/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target - services found on a host and the places in them where a certificate lives
 *
 * A scanner reports these values, an operator or the control plane picks a target, a deployer makes
 * a plan for it. They cross process boundaries as JSON (protocol.md 7.8) and may be months old when
 * they are used: a deployer plans from a fresh scan of the one service, never from a stored one.
 */
#ifndef CLM_MODEL_TARGET_H
#define CLM_MODEL_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/model/cert_info.h"
#include "agent/model/probe.h"
#include "agent/model/secret.h"

#define CLM_TARGET_ID_SIZE 256 /* "kind:name": 24 + 1 + 200 and a NUL (protocol.md 6.4) */

struct clm_listener {
    char addr[CLM_ADDR_SIZE]; /* as bound: "0.0.0.0", "::", "127.0.0.1" */
    uint16_t port;
    bool tls; /* by the server's configuration */
};

/* One place where a certificate lives: the files that go together, and where they are served. */
struct clm_target {
    char id[CLM_TARGET_ID_SIZE]; /* "nginx:www.example.com" */
    struct clm_names names;      /* server names this place answers for */
    bool manageable;
    struct clm_strs reasons; /* why not, one sentence each; may hold remarks if manageable */
    char cert_path[PATH_MAX];
    char key_path[PATH_MAX];
    char chain_path[PATH_MAX]; /* separate intermediates (Apache SSLCertificateChainFile); "" */
    char store_type[16];       /* "pem", "der", "pkcs12", "jks", "jceks" */
    char alias[512];           /* entry of a keystore; "" the first key, or none */
    char store_password[CLM_SECRET_REF_SIZE]; /* where it is (secret.h); never sent */
    char key_password[CLM_SECRET_REF_SIZE];   /* of an entry or of an encrypted PEM key */
    char
        key_kind[8]; /* "rsa" or "ec" where the server has one pair of each side by side; else "" */
    char manager[24];  /* another certificate manager these files belong to: "certbot"; "" none */
    char key_perm[64]; /* "0600 root:root" */
    char configured_at[PATH_MAX + 16]; /* "/etc/nginx/sites-enabled/www:12" */
    bool has_certificate;              /* the file could be read and parsed */
    struct clm_cert_info certificate;
    bool chain_ok;                  /* each certificate in the file is signed by the next */
    bool key_matches;               /* public keys of certificate and key file are equal */
    struct clm_endpoint *endpoints; /* where a handshake must show the certificate */
    size_t n_endpoints;
    struct clm_observation *served; /* one for each endpoint, once probed; NULL before */
};

/* Where files for a name are fetched over plain HTTP: what DCV by file needs. */
struct clm_webroot {
    char domain[CLM_DNS_NAME_SIZE];
    char path[PATH_MAX];      /* directory that answers for "/"; "" if it could not be told */
    char acme_path[PATH_MAX]; /* directory answering for /.well-known/acme-challenge/ ; "" same */
    char addr[CLM_ADDR_SIZE]; /* numeric address to fetch from on this host */
    uint16_t port;
    char reason[160]; /* why it cannot be used; "" if it can */
};

struct clm_service {
    char id[PATH_MAX + 32]; /* "nginx@/etc/nginx/nginx.conf" */
    char kind[25];          /* scanner's name: "nginx", "apache", or "other" */
    char version[32];
    bool running;
    int32_t pid; /* main process */
    uint64_t start_ticks;
    char exe[PATH_MAX];
    char user[64];  /* effective user of the main process */
    char unit[256]; /* "nginx.service"; "" without one */
    char config_path[PATH_MAX];
    char prefix[PATH_MAX];   /* nginx -p, httpd -d; "" default */
    bool foreign_namespace;  /* runs in another mount namespace than ours */
    struct clm_strs remarks; /* e.g. why its configuration could not be read */
    struct clm_listener *listeners;
    size_t n_listeners;
    struct clm_target *targets;
    size_t n_targets;
    struct clm_webroot *webroots;
    size_t n_webroots;
};

struct clm_inventory {
    int64_t started_at_s;
    uint32_t duration_ms;
    struct clm_service *services;
    size_t n_services;
    struct clm_strs errors; /* "path: reason" */
};

void clm_target_done(struct clm_target *target);
void clm_service_done(struct clm_service *service);
void clm_inventory_done(struct clm_inventory *inventory); /* for CLM_CLEANUP */

/* Each appends one zeroed element and returns it; NULL on no memory. Earlier pointers become stale. */
struct clm_service *clm_inventory_add_service(struct clm_inventory *inventory);
struct clm_target *clm_service_add_target(struct clm_service *service);
struct clm_listener *clm_service_add_listener(struct clm_service *service);
struct clm_webroot *clm_service_add_webroot(struct clm_service *service);
struct clm_endpoint *clm_target_add_endpoint(struct clm_target *target);

/* NULL if there is none; *out_service, if not NULL, is the service it belongs to. "ID@/PLACE" also
 * finds the target ID of the service whose configuration is there: the place is part of an id only
 * while another service has the same. */
const struct clm_target *clm_inventory_find(const struct clm_inventory *inventory, const char *id,
                                            const struct clm_service **out_service);

/* protocol.md 7.8 and the fields above; from_json accepts what to_json writes. */
void clm_inventory_to_json(const struct clm_inventory *inventory, struct clm_json *obj);
CLM_MUST_USE enum clm_code clm_inventory_from_json(const struct clm_json *obj,
                                                   struct clm_inventory *out, struct clm_err *err);

/* `^[a-z0-9_]{1,24}:[^\x00-\x1f]{1,200}$` or "host" (protocol.md 6.4). */
bool clm_target_id_is_valid(const char *id);

#endif
