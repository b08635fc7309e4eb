/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory_files - the certificate files of this host, sent to the control plane when they changed
 *
 * <state_dir>/net/files.sent: digest of the set that the control plane has, or that it takes none.
 * Pages wait in a file without a name while the host half searches: memory does not grow with them.
 */
#ifndef CLM_RUN_INVENTORY_FILES_H
#define CLM_RUN_INVENTORY_FILES_H

#include "agent/base/err.h"
#include "agent/ipc/link.h"
#include "agent/run/api.h"
#include "config/config.h"

#define CLM_FILES_PAGES_MAX 1000u /* of one scan; docs/openapi.yaml */

/*
 * clm_inventory_files_take() - searches, and sends what was found if it is news
 *
 * In      boot_id  of the agent that runs: until its next start nothing is sent to a control plane
 *                  that does not know such pages (404, 405)
 * Errors  those of the search and of the first page that could not be sent; nothing is remembered
 *         then. A search that is switched off, here or by the configuration, is CLM_OK.
 */
CLM_MUST_USE enum clm_code clm_inventory_files_take(const struct clm_config *config,
                                                    struct clm_link *link, struct clm_api *api,
                                                    const char *boot_id, struct clm_err *err);
/* The control plane shall get the whole set again. */
void clm_inventory_files_forget(const struct clm_config *config);

#endif
