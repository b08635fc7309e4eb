/* SPDX-License-Identifier: Apache-2.0 */
/* agents - the rows of enrolled hosts */
#ifndef CLM_CONTROLPLANE_AGENTS_H
#define CLM_CONTROLPLANE_AGENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/model/probe.h"
#include "controlplane/tx.h"

#define CLM_CP_AGENT_PENDING_S     "pending"
#define CLM_CP_AGENT_ACTIVE_S      "active"
#define CLM_CP_AGENT_DISABLED_S    "disabled"
#define CLM_CP_AGENT_QUARANTINED_S "quarantined"
#define CLM_CP_AGENT_DENIED_S      "denied"

/* What authentication and identity renewal need of one agent. */
struct clm_cp_agent {
    char id[CLM_ID_SIZE];
    char status[16];
    char spki[CLM_SHA256_HEX_SIZE];
    char prev_spki[CLM_SHA256_HEX_SIZE]; /* "" if none is accepted besides */
    char last_csr_sha256[CLM_SHA256_HEX_SIZE];
    int64_t generation;
    int64_t cert_not_after_s;
    int64_t work_seq;
    int64_t recovery_count; /* since recovery_since_s */
    int64_t recovery_since_s;
    bool recovery_ok; /* an operator approved the next recovery */
};

/* Errors: NOTFOUND. */
CLM_MUST_USE enum clm_code clm_cp_agent_load(struct clm_cp_tx *tx, const char *id,
                                             struct clm_cp_agent *out, struct clm_err *err);
/* Sets the status, writes the log line and the change, and wakes the agent. */
CLM_MUST_USE enum clm_code clm_cp_agent_set_status(struct clm_cp_tx *tx, const char *id,
                                                   const char *status, struct clm_err *err);
/* The first request with the newest certificate: the one before is no longer accepted. */
CLM_MUST_USE enum clm_code clm_cp_agent_drop_previous(struct clm_cp_tx *tx, const char *id,
                                                      struct clm_err *err);

struct clm_cp_seen {
    const char *boot_id;
    int64_t seq;
    const char *health; /* "ok", ...; NULL unknown */
    const char *remote;
};
/* Notes the last contact (lost by a power cut, which is fine), and warns in the log when the
 * numbers say that two copies of one agent may be running. */
CLM_MUST_USE enum clm_code clm_cp_agent_seen(struct clm_cp_tx *tx, const char *id,
                                             const struct clm_cp_seen *seen, struct clm_err *err);

/* "4F2A-91C7-0D33", the first 48 bits of a hash: what people compare (protocol.md 7.3). */
#define CLM_CP_FINGERPRINT_SIZE 15
void clm_cp_agent_fingerprint(const char *csr_sha256, char dst[CLM_CP_FINGERPRINT_SIZE]);

/* Adds one agent, or all, as objects for the operator API; one is shown with more
 * members. Errors: NOTFOUND for an id that does not exist. */
CLM_MUST_USE enum clm_code clm_cp_agent_show(struct clm_cp_tx *tx, const char *id,
                                             struct clm_json *obj, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_agents_list(struct clm_cp_tx *tx, struct clm_json *array,
                                              struct clm_err *err);

#endif
