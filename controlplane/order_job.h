/* SPDX-License-Identifier: Apache-2.0 */
/* order_job - the job that orders a certificate, whoever asks for it: an operator, or the time */
#ifndef CLM_CONTROLPLANE_ORDER_JOB_H
#define CLM_CONTROLPLANE_ORDER_JOB_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "agent/base/rand.h"
#include "controlplane/certs.h"
#include "controlplane/tx.h"

/* Queues an order of the certificate; its configuration, if it has one, says how control is proved
 * and what happens after. requested_by: "operator", "schedule". */
CLM_MUST_USE enum clm_code clm_cp_order_job_create(struct clm_cp_tx *tx,
                                                   const struct clm_cp_cert *cert,
                                                   const char *requested_by,
                                                   char out_id[CLM_ID_SIZE], struct clm_err *err);

/* What the certificate's configuration, if it has one, says of a deployment: "retain" into how, and
 * whether a failed one stays as it is (else *out_keeps_failure is not touched). */
CLM_MUST_USE enum clm_code clm_cp_order_job_how(struct clm_cp_tx *tx, const char *certificate_id,
                                                struct clm_json *how, bool *out_keeps_failure,
                                                struct clm_err *err);

/* True if a job of this certificate has not ended. */
CLM_MUST_USE enum clm_code clm_cp_cert_is_busy(struct clm_cp_tx *tx, const char *certificate_id,
                                               bool *out_busy, struct clm_err *err);

#endif
