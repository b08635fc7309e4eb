/* SPDX-License-Identifier: Apache-2.0 */
/* tomcat_parts - the steps of the Tomcat scanner. For its files only. */
#ifndef CLM_SCANNERS_TOMCAT_PARTS_H
#define CLM_SCANNERS_TOMCAT_PARTS_H

#include "agent/base/err.h"
#include "agent/formats/server_xml.h"
#include "agent/model/io.h"
#include "agent/model/target.h"
#include "scanners/processes.h"

struct clm_tomcat_site {
    const struct clm_io *io;
    const struct clm_process *process;
    const struct clm_tomcat *tomcat;
    struct clm_service *service;
};

/* Adds a target for every certificate of every TLS connector, with names, endpoints and reasons,
 * and reads its files; marks the TLS listeners. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_tomcat_targets(const struct clm_tomcat_site *site,
                                              struct clm_err *err);

/* Certificate, chain_ok, key_matches, store_type and alias of a target whose cert_path is a
 * keystore; what cannot be used becomes a reason. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_tomcat_read_store(const struct clm_tomcat_site *site,
                                                 const struct clm_tomcat_pair *pair,
                                                 struct clm_target *target, struct clm_err *err);

/* Names and aliases of the hosts of an engine, without "localhost". Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_tomcat_host_names(const struct clm_tomcat *tomcat,
                                                 const struct clm_xml_node *host,
                                                 struct clm_strs *out, struct clm_err *err);

/* Adds a webroot for every host that is answered over plain HTTP. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_tomcat_webroots(const struct clm_tomcat_site *site,
                                               struct clm_err *err);

#endif
