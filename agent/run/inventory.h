/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory - what was found on this host, kept on disk and sent when it changed
 *
 * <state_dir>/net/inventory.json: the newest, with what the servers really serve; inventory.sent:
 * digest of the one the control plane has; host.json: what the host half says is installed.
 */
#ifndef CLM_RUN_INVENTORY_H
#define CLM_RUN_INVENTORY_H

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/link.h"
#include "agent/model/probe.h"
#include "config/config.h"

#define CLM_INVENTORY_MAX    4194304u                  /* bytes; protocol.md 6.4 */
#define CLM_DIGEST_TEXT_SIZE (7 + CLM_SHA256_HEX_SIZE) /* "sha256:", 64 digits, NUL */

/* Digest of what matters: not of times and process numbers. dst of CLM_DIGEST_TEXT_SIZE bytes. */
CLM_MUST_USE enum clm_code clm_inventory_digest(const struct clm_json *inventory, char *dst,
                                                struct clm_err *err);

/*
 * clm_inventory_take() - scan by the host half, handshakes by us, kept and spooled
 *
 * In      config       whose scan.kinds are looked for
 * Out     out_summary  {digest, services, targets, changed}; the caller's
 * Effect  inventory.json and host.json are replaced; the inventory is spooled if the control plane
 *         has another
 */
CLM_MUST_USE enum clm_code clm_inventory_take(const struct clm_config *config,
                                              struct clm_link *link, struct clm_json **out_summary,
                                              struct clm_err *err);
/* Asks the host half what is installed and keeps it as host.json. Failures are of no consequence. */
void clm_inventory_note_host(const struct clm_config *config, struct clm_link *link);
/* The control plane has it. */
CLM_MUST_USE enum clm_code clm_inventory_sent(const struct clm_config *config, const char *digest,
                                              struct clm_err *err);
/* Digest of the one the control plane has; "" none. dst of CLM_DIGEST_TEXT_SIZE bytes. */
void clm_inventory_sent_digest(const struct clm_config *config, char *dst);

#endif
