/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for tomcat_store.c where the keystore library is not built. */
#include <stdio.h>

#include "scanners/endpoints.h"
#include "scanners/tomcat_parts.h"

enum clm_code clm_tomcat_read_store(const struct clm_tomcat_site *site,
                                    const struct clm_tomcat_pair *pair, struct clm_target *target,
                                    struct clm_err *err)
{
    (void)site;
    (void)pair;
    (void)snprintf(target->store_type, sizeof(target->store_type), "pkcs12");
    return clm_target_refuse(target, err, "'%s': keystores are not read by this build",
                             target->cert_path);
}
