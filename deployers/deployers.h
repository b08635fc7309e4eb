/* SPDX-License-Identifier: Apache-2.0 */
/* deployers - the deployers built in, for the registry alone */
#ifndef CLM_DEPLOYERS_DEPLOYERS_H
#define CLM_DEPLOYERS_DEPLOYERS_H

#include "deployers/deployer.h"

extern const struct clm_deployer_ops clm_deployer_nginx;
extern const struct clm_deployer_ops clm_deployer_apache;
extern const struct clm_deployer_ops clm_deployer_file;
extern const struct clm_deployer_ops clm_deployer_tomcat;

#endif
