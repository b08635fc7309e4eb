/* SPDX-License-Identifier: Apache-2.0 */
/* request_int - what the files behind request.h share */
#ifndef CLM_HOST_REQUEST_INT_H
#define CLM_HOST_REQUEST_INT_H

#include "agent/host/request.h"

/* What a request is going to say. Texts are borrowed from order and policy. */
struct clm_wish {
    struct clm_subject subject;
    struct clm_sans sans;
    const char *key_type;
    enum clm_hash hash;
    bool must_staple;
    bool eku_client;
    const char *challenge_ref;
    bool reuse_key;
    bool has_inherited_cn; /* of the certificate that is installed */
};
void clm_wish_done(struct clm_wish *wish); /* for CLM_CLEANUP */

/* What an order comes to: installed certificate, order, template, "csr", in the order of the mode;
 * its names are those of the order. wish is zeroed by the caller. Errors: as of making. */
CLM_MUST_USE enum clm_code clm_wish_make(struct clm_host_call *call, const char *target,
                                         const struct clm_spec_order *order, struct clm_wish *wish,
                                         struct clm_err *err);
/* CONFLICT (E_STATE) unless both are the same. */
CLM_MUST_USE enum clm_code clm_request_check_names(struct clm_host_call *call,
                                                   const struct clm_names *ordered,
                                                   const struct clm_names *names,
                                                   struct clm_err *err);
/* True if a common name is one of the names. */
bool clm_request_is_name(const struct clm_sans *sans, const char *cn);
CLM_MUST_USE enum clm_code clm_request_ask_policy(struct clm_host_call *call,
                                                  const struct clm_subject *subject,
                                                  const struct clm_sans *sans, bool eku_client,
                                                  struct clm_err *err);
/* The same and more for a request that was not made just now. */
CLM_MUST_USE enum clm_code clm_request_ask_policy_of_info(struct clm_host_call *call,
                                                          const struct clm_csr_info *info,
                                                          struct clm_err *err);

#endif
