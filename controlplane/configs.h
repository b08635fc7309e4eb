/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configs - what is to happen at one target, in the five steps of provisioning
 *
 *   deployment  which target: one of a scan, or one declared on the host
 *   issuer      connector and profile
 *   csr         how the request is made (taken over by the certificate)
 *   dcv         how control of the names is proved
 *   schedule    when it is renewed and deployed, what happens if that fails
 *
 * One configuration for each target. It has a certificate of its own, which follows it; the
 * certificate stays when the configuration goes.
 */
#ifndef CLM_CONTROLPLANE_CONFIGS_H
#define CLM_CONTROLPLANE_CONFIGS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/model/target.h"
#include "controlplane/certs.h"
#include "controlplane/tx.h"

#define CLM_CP_RENEW_DAYS_MIN     1
#define CLM_CP_RENEW_DAYS_MAX     120
#define CLM_CP_RENEW_DAYS_DEFAULT 30
#define CLM_CP_RETAIN_MAX         20

struct clm_cp_config {
    char id[CLM_ID_SIZE];
    char agent_id[CLM_ID_SIZE];
    char target[CLM_TARGET_ID_SIZE];
    char certificate_id[CLM_ID_SIZE];
    int64_t revision;
    struct clm_json *body; /* the five steps, complete */
};
void clm_cp_config_done(struct clm_cp_config *config); /* for CLM_CLEANUP */

/* The five steps, read. */
struct clm_cp_config_draft {
    struct clm_json *body;   /* complete, with defaults */
    struct clm_json *cert;   /* the same as a CertificateRequest */
    struct clm_json *faults; /* array of {"pointer", "code", "detail"}: all that cannot be */
};
void clm_cp_config_draft_done(struct clm_cp_config_draft *draft); /* for CLM_CLEANUP */

/*
 * clm_cp_config_check() - reads the five steps as an operator sent them
 *
 * In      request   members deployment, issuer, csr, dcv, schedule; each may be missing
 *         agent_id, target  an enrolled agent; any text
 * Out     out  for clm_cp_config_draft_done() also after an error
 * Errors  IO, NOMEM; bad input is in out->faults, never an error
 */
CLM_MUST_USE enum clm_code clm_cp_config_check(struct clm_cp_tx *tx, const struct clm_json *request,
                                               const char *agent_id, const char *target,
                                               struct clm_cp_config_draft *out,
                                               struct clm_err *err);

/* Stores a new one. Errors: EXISTS the target has one. */
CLM_MUST_USE enum clm_code clm_cp_config_create(struct clm_cp_tx *tx,
                                                const struct clm_cp_config *in,
                                                char out_id[CLM_ID_SIZE], struct clm_err *err);
/* Replaces the body and counts the revision. */
CLM_MUST_USE enum clm_code clm_cp_config_update(struct clm_cp_tx *tx, const char *id,
                                                const struct clm_json *body, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_config_delete(struct clm_cp_tx *tx, const char *id,
                                                struct clm_err *err);
/* Errors: NOTFOUND. out is for clm_cp_config_done() also after an error. */
CLM_MUST_USE enum clm_code clm_cp_config_load(struct clm_cp_tx *tx, const char *id,
                                              struct clm_cp_config *out, struct clm_err *err);
/* The one of a certificate. Errors: NOTFOUND. */
CLM_MUST_USE enum clm_code clm_cp_config_of_cert(struct clm_cp_tx *tx, const char *certificate_id,
                                                 struct clm_cp_config *out, struct clm_err *err);

/* When a certificate with this life is renewed: days before its end, but never before two thirds of
 * its life are over. */
int64_t clm_cp_renew_at_s(int64_t not_before_s, int64_t not_after_s, int64_t renew_days);

/* For the operator API; id NULL: all of agent_id (NULL: of all agents) into an array. Errors:
 * NOTFOUND. */
CLM_MUST_USE enum clm_code clm_cp_config_show(struct clm_cp_tx *tx, const char *id,
                                              struct clm_json *obj, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_configs_list(struct clm_cp_tx *tx, const char *agent_id,
                                               struct clm_json *array, struct clm_err *err);

#endif
