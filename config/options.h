/* SPDX-License-Identifier: Apache-2.0 */
/* options - the one table of clmbot's options, into struct clm_config */
#ifndef CLM_CONFIG_OPTIONS_H
#define CLM_CONFIG_OPTIONS_H

#include "config/opt.h"

/* Rows in the order of the manual; rows of one section stand together; ends with a NULL key. */
const struct clm_opt *clm_options(void);

#endif
