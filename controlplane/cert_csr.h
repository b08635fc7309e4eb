/* SPDX-License-Identifier: Apache-2.0 */
/* cert_csr - the member "csr" of a certificate: what it says of names and key, and in an order */
#ifndef CLM_CONTROLPLANE_CERT_CSR_H
#define CLM_CONTROLPLANE_CERT_CSR_H

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/model/csr_spec.h"
#include "controlplane/certs.h"
#include "controlplane/conf.h"

/* Reads "csr" of a CertificateRequest into the draft, whose names and connector are read; its names
 * and type of key become those of the request. Errors: PARSE, INVAL, LIMIT "/csr...: why". */
CLM_MUST_USE enum clm_code clm_cp_cert_csr_read(const struct clm_cp_conf *conf,
                                                const struct clm_json *body,
                                                struct clm_cp_cert_draft *draft,
                                                struct clm_err *err);

/* Members subject, sans, key and csr of the spec of an order job. */
CLM_MUST_USE enum clm_code clm_cp_cert_csr_to_spec(struct clm_cp_tx *tx,
                                                   const struct clm_cp_cert *cert,
                                                   struct clm_json *spec, struct clm_err *err);

#endif
