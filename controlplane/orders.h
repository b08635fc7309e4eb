/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orders - one certificate being obtained: from a CSR to an issued version (protocol.md 7.12)
 *
 *   created -> dcv_pending -> dcv_ready -> validating -> issued | failed | canceled
 *
 * The API moves created (the CSR came) and dcv_ready (the agent placed the files); the worker moves
 * the rest through a connector. One open order for each certificate.
 */
#ifndef CLM_CONTROLPLANE_ORDERS_H
#define CLM_CONTROLPLANE_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/crypto/csr.h"
#include "controlplane/certs.h"
#include "controlplane/tx.h"

#define CLM_CP_ORDER_LIFE_S (7LL * 86400)
#define CLM_CP_ORDER_CA_MAX ((size_t)64 * 1024) /* what a connector keeps between its steps */

struct clm_cp_order {
    char id[CLM_ID_SIZE];
    char certificate_id[CLM_ID_SIZE];
    char agent_id[CLM_ID_SIZE];
    char job_id[CLM_ID_SIZE];
    char connector[65];
    char state[16];
    char csr_sha256[CLM_SHA256_HEX_SIZE];
    char key_ref[128];
    char sha256[CLM_SHA256_HEX_SIZE]; /* of the issued leaf; "" before */
    char error[CLM_ERR_MSG_MAX];      /* why it failed; "" */
    int64_t not_after_s;
    int64_t tries;
    int64_t expires_s;
};

struct clm_cp_order_new {
    const struct clm_cp_job *job;
    const struct clm_cp_cert *cert;
    const char *csr; /* base64url */
    const struct clm_csr_info *info;
    const char *key_ref;
};
/* Errors: EXISTS another order of the certificate is open. */
CLM_MUST_USE enum clm_code clm_cp_order_create(struct clm_cp_tx *tx,
                                               const struct clm_cp_order_new *in,
                                               char out_id[CLM_ID_SIZE], struct clm_err *err);

/* Errors: NOTFOUND, also for an order of another agent (agent_id NULL: any). */
CLM_MUST_USE enum clm_code clm_cp_order_load(struct clm_cp_tx *tx, const char *id,
                                             const char *agent_id, struct clm_cp_order *out,
                                             struct clm_err *err);
/* The order of this job with this CSR; NOTFOUND. */
CLM_MUST_USE enum clm_code clm_cp_order_find(struct clm_cp_tx *tx, const char *job_id,
                                             const char *csr_sha256, struct clm_cp_order *out,
                                             struct clm_err *err);
/* The open order of a certificate; NOTFOUND. */
CLM_MUST_USE enum clm_code clm_cp_order_find_open(struct clm_cp_tx *tx, const char *certificate_id,
                                                  struct clm_cp_order *out, struct clm_err *err);

/* issued, failed, canceled */
bool clm_cp_order_state_is_final(const char *state);
/* Sets the state (and the certificate's), wakes those who wait for the order. error NULL: none.
 * An order that is over stays as it is: a CA's answer may come after the end of the job. */
CLM_MUST_USE enum clm_code clm_cp_order_set_state(struct clm_cp_tx *tx,
                                                  const struct clm_cp_order *order,
                                                  const char *state, const char *error,
                                                  struct clm_err *err);
/* The chain came: stores the version and ends the order; nothing if the order is over. */
CLM_MUST_USE enum clm_code clm_cp_order_issue(struct clm_cp_tx *tx,
                                              const struct clm_cp_order *order,
                                              const struct clm_buf *pem, struct clm_err *err);
/* The worker looks at the order again not before at_s; counts a try. */
CLM_MUST_USE enum clm_code clm_cp_order_defer(struct clm_cp_tx *tx, const char *id, int64_t at_s,
                                              struct clm_err *err);

/*
 * clm_cp_order_end_of_job() - a job ended for good: so does the order that it opened
 *
 * In      job    of any type; state is the one it ended in
 *         error  of the job, JSON text; NULL: none
 * Effect  An open order is canceled with its job, or fails with the job's message. A certificate that
 *         waited for the job waits no longer. What was issued stays.
 */
CLM_MUST_USE enum clm_code clm_cp_order_end_of_job(struct clm_cp_tx *tx,
                                                   const struct clm_cp_job *job, const char *state,
                                                   const char *error, struct clm_err *err);

struct clm_cp_challenge {
    char id[CLM_ID_SIZE];
    char domain[CLM_DNS_NAME_SIZE];
    char path[256];
    char content[512];
    char url[512];  /* the CA's; "" with the built-in issuer */
    char state[16]; /* pending, ready, valid, invalid */
};
CLM_MUST_USE enum clm_code clm_cp_challenge_add(struct clm_cp_tx *tx, const char *order_id,
                                                const struct clm_cp_challenge *in,
                                                struct clm_err *err);
/* Called for each; anything but CLM_OK ends the walk. */
typedef enum clm_code (*clm_cp_challenge_fn)(void *arg, const struct clm_cp_challenge *challenge,
                                             struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_challenge_each(struct clm_cp_tx *tx, const char *order_id,
                                                 clm_cp_challenge_fn visit, void *arg,
                                                 struct clm_err *err);
/* id NULL: all of the order. */
CLM_MUST_USE enum clm_code clm_cp_challenge_set_state(struct clm_cp_tx *tx, const char *order_id,
                                                      const char *id, const char *state,
                                                      struct clm_err *err);

/* What a connector keeps with the order, JSON text; "{}" at first. */
CLM_MUST_USE enum clm_code clm_cp_order_get_ca(struct clm_cp_tx *tx, const char *id,
                                               struct clm_json **out_json, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_order_set_ca(struct clm_cp_tx *tx, const char *id,
                                               const struct clm_json *json, struct clm_err *err);
/* The request, DER, appended. */
CLM_MUST_USE enum clm_code clm_cp_order_get_csr(struct clm_cp_tx *tx, const char *id,
                                                struct clm_buf *out_der, struct clm_err *err);

/* Whether a request is what the certificate asks for; *out_faults gets one object
 * {"pointer","code","detail"} for each fault (the names are exactly those, the key is of the type,
 * and new). */
CLM_MUST_USE enum clm_code clm_cp_order_check_csr(struct clm_cp_tx *tx,
                                                  const struct clm_cp_cert *cert,
                                                  const struct clm_csr_info *csr,
                                                  struct clm_json *faults, struct clm_err *err);

/* The files of a pending order are served: whoever says so. io_order is read again. */
CLM_MUST_USE enum clm_code
clm_cp_order_dcv_ready(struct clm_cp_tx *tx, struct clm_cp_order *io_order, struct clm_err *err);

#endif
