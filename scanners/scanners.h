/* SPDX-License-Identifier: Apache-2.0 */
/* scanners - the scanners built in, for the registry alone */
#ifndef CLM_SCANNERS_SCANNERS_H
#define CLM_SCANNERS_SCANNERS_H

#include "scanners/scanner.h"

extern const struct clm_scanner_ops clm_scanner_nginx;
extern const struct clm_scanner_ops clm_scanner_apache;
extern const struct clm_scanner_ops clm_scanner_tomcat;

#endif
