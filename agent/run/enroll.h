/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enroll - from a join token to an identity; renewal and recovery of that identity
 *
 * protocol.md 5.3, 5.5, 5.6. The caller is the user whom the files are to belong to.
 */
#ifndef CLM_RUN_ENROLL_H
#define CLM_RUN_ENROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/run/api.h"
#include "config/config.h"

struct clm_enroll_opts {
    const char *token; /* token_len bytes, as it came from the file */
    size_t token_len;
    const char *policy_digest; /* as the host half said in hello; "" unknown */
    bool force;                /* also when this agent has an identity: it gets another */
    uint32_t approval_wait_s;  /* how long to wait for an operator's approval; 0: not at all */
    /* Gives the host half the body of trust_put (docs/ipc.md): pins, ca_pem, trust, agent_id, tenant.
     * Called once, before anything of the new identity is kept; unless it says OK, nothing is. NULL:
     * nobody is asked. */
    enum clm_code (*on_trust)(void *arg, const struct clm_json *body, struct clm_err *err);
    /* Called while waiting, with the fingerprint to compare; may be NULL. */
    void (*on_pending)(void *arg, const char *fingerprint, uint32_t waited_s);
    void *arg;
};

/*
 * clm_enroll() - makes this host an agent
 *
 * Effect  <state_dir>/net is filled, after the host half took the trust document. After a crash or
 *         a lost answer the same call goes on where it was: same keys, same request
 * Errors  EXISTS enrolled already; INVAL the token is malformed; AUTH expired, or refused by the
 *         control plane; CRYPTO the control plane does not have the CA the token names; TIMEOUT
 *         nobody approved yet: call again; NET, TIMEOUT; those of on_trust
 */
CLM_MUST_USE enum clm_code clm_enroll(const struct clm_config *config,
                                      const struct clm_enroll_opts *opts, struct clm_err *err);

/* A new certificate for a new key; reason "half-life" or "requested". Errors: NET, TIMEOUT try
 * later; AUTH the certificate has expired: recover; CONFLICT clone suspected; REMOTE. */
CLM_MUST_USE enum clm_code clm_identity_renew(const char *dir, struct clm_api *api,
                                              const struct clm_identity *identity,
                                              const char *boot_id, const char *reason,
                                              struct clm_err *err);
/* The same by the device key, over an api without a certificate. Errors: also AUTH an operator has
 * to approve, or the agent is not known any more (err->msg says). */
CLM_MUST_USE enum clm_code clm_identity_recover(const char *dir, struct clm_api *api,
                                                const struct clm_identity *identity,
                                                struct clm_api_response *out_response,
                                                struct clm_err *err);

#endif
