/* SPDX-License-Identifier: Apache-2.0 */
/* issued - the answer that holds a new identity: of enrolment, renewal and recovery alike */
#ifndef CLM_RUN_ISSUED_H
#define CLM_RUN_ISSUED_H

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/run/identity.h"

/*
 * clm_issued_read() - checks the answer; keeps nothing
 *
 * In      answer        certificate, generation, not_after, renew_after; agent_id at enrolment
 * Out     io_now        as of clm_issued_keep()
 *         out_cert_pem  lives in answer
 * Errors  PARSE; CRYPTO the certificate is for another key or another agent
 */
CLM_MUST_USE enum clm_code clm_issued_read(const char *dir, const struct clm_json *answer,
                                           struct clm_identity *io_now, const char **out_cert_pem,
                                           struct clm_err *err);
/*
 * clm_issued_keep() - checks the answer and puts the new identity in force
 *
 * In      answer  certificate, generation, not_after, renew_after; agent_id at enrolment
 *         ca_pem  NULL: as before
 * Out     io_now  the old identity (or urls and enrolled_at_s only); filled with the new one
 * Errors  PARSE; CRYPTO the certificate is for another key or another agent; as
 *         clm_identity_commit()
 */
CLM_MUST_USE enum clm_code clm_issued_keep(const char *dir, const struct clm_json *answer,
                                           struct clm_identity *io_now, const char *ca_pem,
                                           struct clm_err *err);

#endif
