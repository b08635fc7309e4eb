/* SPDX-License-Identifier: Apache-2.0 */
/* peer - who is at the other end of a TLS connection, by its client certificate */
#ifndef CLM_CONTROLPLANE_PEER_H
#define CLM_CONTROLPLANE_PEER_H

#include "agent/base/err.h"
#include "agent/base/rand.h"
#include "agent/model/probe.h"
#include "controlplane/pki.h"

struct clm_cp_peer_trust; /* the agent CA, as GnuTLS wants it */

enum clm_cp_peer_state {
    CLM_CP_PEER_NONE,    /* no certificate was sent */
    CLM_CP_PEER_INVALID, /* not by our agent CA, or not for clients: why says more */
    CLM_CP_PEER_EXPIRED, /* by our CA, but its time is over: agent_id is set */
    CLM_CP_PEER_OK,
};

struct clm_cp_peer {
    enum clm_cp_peer_state state;
    char agent_id[CLM_ID_SIZE];
    char spki_sha256[CLM_SHA256_HEX_SIZE];
    char why[160];
};

/* Errors: NOMEM, CRYPTO. */
CLM_MUST_USE enum clm_code clm_cp_peer_trust_new(const struct clm_cp_pki *pki,
                                                 struct clm_cp_peer_trust **out_trust,
                                                 struct clm_err *err);
void clm_cp_peer_trust_free(struct clm_cp_peer_trust *trust);

/* session: the gnutls_session_t of the connection; NULL (plain HTTP) is NONE. */
void clm_cp_peer_check(const struct clm_cp_peer_trust *trust, void *session,
                       struct clm_cp_peer *out);

#endif
