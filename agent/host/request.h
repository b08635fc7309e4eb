/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request - the certificate request of an order, in every mode of docs/csr.md
 *
 * An order says what it wants; root's templates, the certificate that is installed and the policy
 * say the rest. Everything is asked of the policy here, however it got into the request. Nothing but
 * the store of waiting keys is written.
 */
#ifndef CLM_HOST_REQUEST_H
#define CLM_HOST_REQUEST_H

#include "agent/crypto/csr.h"
#include "agent/host/internal.h"

/* What the policy can say of an order before anything is read: problem codes as of check_order(). */
CLM_MUST_USE enum clm_code clm_host_request_allowed(struct clm_host_call *call,
                                                    const struct clm_spec_order *order,
                                                    struct clm_err *err);

/*
 * clm_host_request_make() - makes the request of an order, and its key if it needs one
 *
 * In      job, order  accepted
 *         key_ref     under which key and request are to wait; taken by nobody
 * Effect  The store has key_ref, unless the key of an uploaded request is not on this host.
 * Errors  PERM the policy (E_POLICY, E_NAME_POLICY), and those of what is read, with the reason;
 *         nothing is kept then
 */
CLM_MUST_USE enum clm_code clm_host_request_make(struct clm_host_call *call,
                                                 const struct clm_job_envelope *job,
                                                 const struct clm_spec_order *order,
                                                 const char *key_ref, struct clm_err *err);

/*
 * clm_host_request_adopt() - lets the key that is installed at the target wait for an uploaded
 * request, if it is the one that signed it
 *
 * Out     out_here  false: the key is elsewhere, and nothing was written
 */
CLM_MUST_USE enum clm_code clm_host_request_adopt(struct clm_host_call *call,
                                                  const struct clm_job_envelope *job,
                                                  const struct clm_spec_order *order,
                                                  const char *key_ref, bool *out_here,
                                                  struct clm_err *err);

#endif
