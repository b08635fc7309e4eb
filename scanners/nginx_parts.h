/* SPDX-License-Identifier: Apache-2.0 */
/* nginx_parts - the steps of the nginx scanner. For its files only. */
#ifndef CLM_SCANNERS_NGINX_PARTS_H
#define CLM_SCANNERS_NGINX_PARTS_H

#include <limits.h>

#include "agent/base/err.h"
#include "agent/model/target.h"
#include "scanners/nginx_view.h"

struct clm_nginx_site {
    const struct clm_nginx_view *view;
    char conf_dir[PATH_MAX]; /* certificate paths are relative to it */
    char prefix[PATH_MAX];   /* document roots are relative to it */
};

/* Adds the targets of every TLS server block, with names, endpoints and reasons; marks the TLS
 * listeners. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_nginx_targets(const struct clm_nginx_site *site,
                                             struct clm_service *service, struct clm_err *err);

/* After the files were read: tells the certificates of one block apart (target_pairs.h). Errors:
 * NOMEM. */
CLM_MUST_USE enum clm_code clm_nginx_pairs(const struct clm_nginx_site *site,
                                           struct clm_service *service, struct clm_err *err);

/* Adds a webroot for every host name that is answered over plain HTTP. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_nginx_webroots(const struct clm_nginx_site *site,
                                              struct clm_service *service, struct clm_err *err);

#endif
