/* SPDX-License-Identifier: Apache-2.0 */
/* certs - managed certificates (names, key policy, target) and their issued versions */
#ifndef CLM_CONTROLPLANE_CERTS_H
#define CLM_CONTROLPLANE_CERTS_H

#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/model/names.h"
#include "agent/model/target.h"
#include "controlplane/jobs.h"
#include "controlplane/tx.h"

struct clm_cp_cert {
    char id[CLM_ID_SIZE];
    char agent_id[CLM_ID_SIZE];
    char target[CLM_TARGET_ID_SIZE];
    char key_type[16];
    char connector[65];
    char webroot_ref[65];
    char on_issue[8]; /* "notify", "deploy" */
    char state[24];
    char current_sha256[CLM_SHA256_HEX_SIZE]; /* what the target serves, as far as we know */
    char waiting_sha256[CLM_SHA256_HEX_SIZE]; /* is installed and waits for a restart; "" none */
    struct clm_names names;
    struct clm_json *subject;
    struct clm_json *csr; /* docs/schema/csr.md; NULL: none */
};
void clm_cp_cert_done(struct clm_cp_cert *cert); /* for CLM_CLEANUP */

struct clm_cp_cert_new {
    const char *agent_id;
    const char *target;
    const struct clm_json *names;   /* {"dns": [], "ip": []}, normalised */
    const struct clm_json *subject; /* object */
    const char *key_type;
    const char *connector;
    const char *webroot_ref;
    const char *on_issue;
    const struct clm_json *csr; /* docs/schema/csr.md; NULL: none */
};
/* What an operator asks for. in borrows from the rest and from the JSON it was read from. */
struct clm_cp_cert_draft {
    struct clm_cp_cert_new in;
    struct clm_names names;
    struct clm_json *names_json;
    struct clm_json *subject;
    bool is_of_installed; /* "csr" is about the installed certificate */
    bool may_lack_names;  /* and its names may be those of that one */
};
void clm_cp_cert_draft_done(struct clm_cp_cert_draft *draft); /* for CLM_CLEANUP */
/* CertificateRequest of docs/openapi.yaml. out is zeroed; for clm_cp_cert_draft_done() also after an
 * error. Errors: PARSE, INVAL, LIMIT "/member: why". Names may be empty only where "csr" takes those
 * of the installed certificate: clm_cp_cert_draft_fill(). */
CLM_MUST_USE enum clm_code clm_cp_cert_draft_read(const struct clm_cp_conf *conf,
                                                  const struct clm_json *body,
                                                  struct clm_cp_cert_draft *out,
                                                  struct clm_err *err);
/* Names, and type of key, of the certificate that the inventory shows at the target, for a draft that
 * takes them from there. Errors: INVAL it shows none. */
CLM_MUST_USE enum clm_code
clm_cp_cert_draft_fill(struct clm_cp_tx *tx, struct clm_cp_cert_draft *draft, struct clm_err *err);

CLM_MUST_USE enum clm_code clm_cp_cert_create(struct clm_cp_tx *tx,
                                              const struct clm_cp_cert_new *in,
                                              char out_id[CLM_ID_SIZE], struct clm_err *err);
/* The same for one that exists, from its next order on. agent and target stay. */
CLM_MUST_USE enum clm_code clm_cp_cert_update(struct clm_cp_tx *tx, const char *id,
                                              const struct clm_cp_cert_new *in,
                                              struct clm_err *err);
/* Errors: NOTFOUND. out is for clm_cp_cert_done() also after an error. */
CLM_MUST_USE enum clm_code clm_cp_cert_load(struct clm_cp_tx *tx, const char *id,
                                            struct clm_cp_cert *out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_cert_set_state(struct clm_cp_tx *tx, const char *id,
                                                 const char *state, const char *last_error,
                                                 struct clm_err *err);

struct clm_cp_version {
    int64_t version;
    char sha256[CLM_SHA256_HEX_SIZE];
    char key_ref[128];
    int64_t not_after_s;
    struct clm_buf pem;
};
/* The version with that leaf; sha256 NULL: the newest. Errors: NOTFOUND. pem is the caller's. */
CLM_MUST_USE enum clm_code clm_cp_cert_version(struct clm_cp_tx *tx, const char *id,
                                               const char *sha256, struct clm_cp_version *out,
                                               struct clm_err *err);
/* Stores an issued chain as the next version; the leaf's values come from it. Errors: PARSE. */
CLM_MUST_USE enum clm_code clm_cp_cert_add_version(struct clm_cp_tx *tx, const char *id,
                                                   const char *order_id, const char *key_ref,
                                                   const struct clm_buf *pem, struct clm_err *err);
/* True in *out_used if this public key is already in a version of a certificate, or an agent's own.
 * but_id: a certificate that may use its key again; NULL: none may. */
CLM_MUST_USE enum clm_code clm_cp_cert_key_is_used(struct clm_cp_tx *tx, const char *spki_sha256,
                                                   const char *but_id, bool *out_used,
                                                   struct clm_err *err);

/* The job of a certificate ended so: its state follows. result is the agent's report. */
CLM_MUST_USE enum clm_code clm_cp_cert_on_result(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                                 const char *outcome, const struct clm_json *result,
                                                 struct clm_err *err);

/* What a host serves was seen: certificates that waited for a restart and are served are verified.
 * inventory is the agent's report (protocol.md 7.8). */
CLM_MUST_USE enum clm_code clm_cp_certs_on_inventory(struct clm_cp_tx *tx, const char *agent_id,
                                                     const struct clm_json *inventory,
                                                     struct clm_err *err);

/* For the operator API; one with its versions, all without. Errors: NOTFOUND. */
CLM_MUST_USE enum clm_code clm_cp_cert_show(struct clm_cp_tx *tx, const char *id,
                                            struct clm_json *obj, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_certs_list(struct clm_cp_tx *tx, struct clm_json *array,
                                             struct clm_err *err);

#endif
