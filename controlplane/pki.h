/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki - the control plane's own keys and certificates, made on the first start
 *
 *   ca.pem ca.key              root of this control plane; its SPKI hash is the pin of join tokens
 *   agent-ca.pem agent-ca.key  signs client certificates of agents, path length 0, signed by ca
 *   jobs.key jobs.kid          signs jobs
 *   web-root.pem web-root.key  root of the built-in issuer for server certificates
 *   web-ca.pem web-ca.key      its intermediate
 *
 * The listener's own certificate is made anew at each start and its key is never written. One
 * object per thread: keys and generator are not shared.
 */
#ifndef CLM_CONTROLPLANE_PKI_H
#define CLM_CONTROLPLANE_PKI_H

#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/key.h"
#include "agent/crypto/rng.h"

#define CLM_CP_DAY_S         86400
#define CLM_CP_AGENT_BACK_S  3600 /* not_before lies this far back: protocol.md 5.4 */
#define CLM_CP_TRUST_VERSION 1

struct clm_cp_authority {
    struct clm_key *key;
    struct clm_cert_chain *cert;
    struct clm_buf pem; /* the certificate */
};

struct clm_cp_pki {
    struct clm_rng *rng;
    struct clm_cp_authority ca;
    struct clm_cp_authority agent_ca;
    struct clm_cp_authority web_root;
    struct clm_cp_authority web_ca;
    struct clm_key *jobs;
    char jobs_kid[64];
};

/* Loads what is in dir and makes what is missing. Errors: IO, CRYPTO, CONFIG a damaged file. */
CLM_MUST_USE enum clm_code clm_cp_pki_open(const char *dir, int64_t now_s,
                                           struct clm_cp_pki **out_pki, struct clm_err *err);
/* Accepts NULL. */
void clm_cp_pki_free(struct clm_cp_pki *pki);
CLM_DEFINE_CLEANUP(struct clm_cp_pki, clm_cp_pki_free);

/* Certificate (with the CA behind it) and key for the listeners: names is "localhost", loopback
 * and what the operator added. key_pem must be a secret buffer. */
CLM_MUST_USE enum clm_code clm_cp_pki_server_cert(const struct clm_cp_pki *pki,
                                                  const struct clm_strs *names, int64_t now_s,
                                                  struct clm_buf *cert_pem, struct clm_buf *key_pem,
                                                  struct clm_err *err);

struct clm_cp_agent_cert {
    const char *agent_id;
    const char *tenant;
    const struct clm_csr_info *csr; /* only its key is used */
    int64_t now_s;
    int64_t life_s;
};
/* A client certificate of the profile in protocol.md 5.4, with the agent CA behind it. */
CLM_MUST_USE enum clm_code clm_cp_pki_agent_cert(const struct clm_cp_pki *pki,
                                                 const struct clm_cp_agent_cert *in,
                                                 struct clm_buf *pem, struct clm_err *err);

/* A server certificate of the built-in issuer for the request, leaf and intermediate. */
CLM_MUST_USE enum clm_code clm_cp_pki_web_cert(const struct clm_cp_pki *pki,
                                               const struct clm_csr_info *csr, int64_t now_s,
                                               int64_t life_s, struct clm_buf *pem,
                                               struct clm_err *err);

/* Sets jws to the signed trust document for one agent (protocol.md 5.7, reduced). */
CLM_MUST_USE enum clm_code clm_cp_pki_trust(const struct clm_cp_pki *pki, const char *tenant,
                                            const char *agent_id, int64_t now_s,
                                            struct clm_json *jws, struct clm_err *err);

/* Appends the JSON text of the signed job. Errors: LIMIT beyond 64 KiB. */
CLM_MUST_USE enum clm_code clm_cp_pki_sign_job(const struct clm_cp_pki *pki,
                                               const struct clm_json *envelope,
                                               struct clm_buf *out_jws, struct clm_err *err);

/* "sha256/<Base64>" of the CA, for join tokens. */
void clm_cp_pki_pin(const struct clm_cp_pki *pki, char dst[CLM_PIN_SIZE]);

#endif
