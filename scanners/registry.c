/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "scanners/scanner.h"
#include "scanners/scanners.h"

/* In the order in which processes are offered to them. */
static const struct clm_scanner_ops *const all[] = {
    &clm_scanner_nginx,
    &clm_scanner_apache,
    &clm_scanner_tomcat,
    NULL,
};

const struct clm_scanner_ops *const *clm_scanners_all(void)
{
    return all;
}
