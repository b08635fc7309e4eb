/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx_view - the server blocks and sockets of an nginx configuration
 *
 * Turns the tree of directives into what nginx makes of it: which block answers on which socket to
 * which name. For the files of the nginx scanner only.
 */
#ifndef CLM_SCANNERS_NGINX_VIEW_H
#define CLM_SCANNERS_NGINX_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/formats/conf_tree.h"
#include "agent/model/probe.h"
#include "agent/model/target.h"

enum clm_nginx_kind {
    CLM_NGINX_HTTP,
    CLM_NGINX_STREAM,
    CLM_NGINX_MAIL
};

/* One address and port; options of all blocks that listen there are joined, as nginx does. */
struct clm_nginx_socket {
    char addr[CLM_ADDR_SIZE];
    uint16_t port;
    bool tls;
    bool proxy_protocol;
    size_t default_server; /* index of the block that answers without a name that matches */
    bool has_default;      /* a block said "default_server" */
};

struct clm_nginx_server {
    enum clm_nginx_kind kind;
    const struct clm_conf_node *node;
    struct clm_strs names; /* lower case; ".x" as "x" and "*.x"; "~..." and "_" as they are */
    size_t *sockets;       /* indexes */
    size_t n_sockets;
    bool starttls; /* mail: "starttls on" or "only" */
};

/* A name on a socket and the block that has it; the first block wins. */
struct clm_nginx_claim {
    size_t socket;
    const char *name;
    size_t server;
};

struct clm_nginx_view {
    struct clm_nginx_socket *sockets;
    size_t n_sockets;
    struct clm_nginx_server *servers;
    size_t n_servers;
    struct clm_nginx_claim *claims; /* sorted */
    size_t n_claims;
    struct clm_strs taken; /* clm_socket_key() of every socket */
};

/* out zero-initialised; for clm_nginx_view_done(), also after an error. What is not understood
 * becomes a remark. tree must outlive out. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_nginx_view_make(const struct clm_conf_tree *tree,
                                               struct clm_nginx_view *out, struct clm_strs *remarks,
                                               struct clm_err *err);
void clm_nginx_view_done(struct clm_nginx_view *view); /* for CLM_CLEANUP */

/* The block that has this very name on the socket: the first of several. SIZE_MAX: none. */
size_t clm_nginx_owner(const struct clm_nginx_view *view, size_t socket, const char *name);
/* The block that answers when host is asked for: by name, by the longest "*.x", else the default.
 * Regular expressions and "x.*" are not looked at. */
size_t clm_nginx_answers(const struct clm_nginx_view *view, size_t socket, const char *host);

/* The directive as it holds for the block: its own, or that of a block around it; the first of
 * several. NULL if there is none. */
const struct clm_conf_node *clm_nginx_setting(const struct clm_conf_node *block, const char *name);

#endif
