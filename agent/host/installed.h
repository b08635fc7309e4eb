/* SPDX-License-Identifier: Apache-2.0 */
/* installed - the certificate and the key that a target has now, read from where its server does */
#ifndef CLM_HOST_INSTALLED_H
#define CLM_HOST_INSTALLED_H

#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/host/internal.h"

struct clm_installed {
    struct clm_cert_chain *chain; /* leaf first; NULL: not read */
    struct clm_key *key;          /* NULL: not read */
};
void clm_installed_done(struct clm_installed *installed); /* for CLM_CLEANUP */

/*
 * clm_host_installed_cert() - the chain of a target, by a fresh scan
 *
 * Out     out  zeroed by the caller; chain is set
 * Errors  NOTFOUND (E_STATE) the target does not run here, or has no certificate yet; PARSE,
 *         UNSUPPORTED, CRYPTO, PERM with the file
 */
CLM_MUST_USE enum clm_code clm_host_installed_cert(struct clm_host_call *call,
                                                   const char *target_id, struct clm_installed *out,
                                                   struct clm_err *err);
/* The private key of a target. Errors: as above. */
CLM_MUST_USE enum clm_code clm_host_installed_key(struct clm_host_call *call, const char *target_id,
                                                  struct clm_installed *out, struct clm_err *err);

#endif
