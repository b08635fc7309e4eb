/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apache_view - the virtual hosts of an httpd configuration and the sockets they answer on
 *
 * For the files of the Apache scanner only.
 */
#ifndef CLM_SCANNERS_APACHE_VIEW_H
#define CLM_SCANNERS_APACHE_VIEW_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/formats/conf_tree.h"
#include "agent/model/probe.h"
#include "agent/model/target.h"

#define CLM_APACHE_ADDRS_MAX 64 /* of one <VirtualHost>, after joining with Listen */

/* One address and port a virtual host answers on. */
struct clm_apache_addr {
    bool is_https; /* of a Listen line: its protocol, which is "https" by default on port 443 */
    char host[CLM_ADDR_SIZE]; /* "*" or numeric: hosts with the same compete by name */
    uint16_t port;
    char connect[CLM_ADDR_SIZE]; /* where to reach it from this host; "" if nothing listens */
};

struct clm_apache_vhost {
    const struct clm_conf_node *node; /* <VirtualHost>, or the root for the main server */
    struct clm_strs names;            /* lower case: ServerName first, then ServerAlias */
    bool has_name;                    /* a ServerName was given */
    bool tls;
    struct clm_apache_addr *addrs;
    size_t n_addrs;
};

struct clm_apache_view {
    const struct clm_conf_tree *tree;
    char root[PATH_MAX];             /* ServerRoot */
    struct clm_apache_vhost *vhosts; /* in the order of the configuration; main server last */
    size_t n_vhosts;
};

/* out zero-initialised, but for tree and root; for clm_apache_view_done(), also after an error. The
 * service's listeners tell what is bound. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_apache_view_make(struct clm_apache_view *out,
                                                struct clm_service *service, struct clm_err *err);
void clm_apache_view_done(struct clm_apache_view *view); /* for CLM_CLEANUP */

/* The virtual host that answers on this address when host is asked for ("": no name). */
const struct clm_apache_vhost *clm_apache_answers(const struct clm_apache_view *view,
                                                  const struct clm_apache_addr *addr,
                                                  const char *host);

/* The directive of the virtual host, else of the main server; the last of several. */
const struct clm_conf_node *clm_apache_setting(const struct clm_apache_view *view,
                                               const struct clm_apache_vhost *vhost,
                                               const char *name);

/* The steps of the scanner. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_apache_targets(const struct clm_apache_view *view,
                                              struct clm_service *service, struct clm_err *err);
/* After the files were read: tells the certificates of one virtual host apart (target_pairs.h). */
CLM_MUST_USE enum clm_code clm_apache_pairs(const struct clm_apache_view *view,
                                            struct clm_service *service, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_apache_webroots(const struct clm_apache_view *view,
                                               struct clm_service *service, struct clm_err *err);

#endif
