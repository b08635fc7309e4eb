/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity - who this agent is to the control plane: key, certificate, device key
 *
 * <dir>/tls.key tls.pem   client certificate of the current generation and its key
 * <dir>/device.key        proves who we are when the certificate has expired (protocol.md 5.6)
 * <dir>/agent.json        agent id, tenant, URLs, generation, dates
 * <dir>/ca.pem            the only certificates the control plane is trusted by
 * <dir>/next.key next.json       a new key and request, durable before they are sent
 * <dir>/next.done.json    the certificate for them: from here on the new identity is the identity,
 *                         whatever of the moving was done before a crash
 * protocol.md 5.1, 5.5
 */
#ifndef CLM_RUN_IDENTITY_H
#define CLM_RUN_IDENTITY_H

#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"
#include "agent/crypto/key.h"

#define CLM_IDENTITY_URL_MAX  256
#define CLM_IDENTITY_CSR_TEXT 32768u /* bytes: CLM_CSR_MAX in base64url and some more */
#define CLM_IDENTITY_URLS_MAX 4

struct clm_identity {
    char agent_id[CLM_ID_SIZE];
    char tenant[65];
    struct clm_strs urls; /* base URLs of the control plane, tried in order */
    int64_t generation;
    int64_t not_after_s;
    int64_t renew_after_s;
    int64_t enrolled_at_s;
};
void clm_identity_done(struct clm_identity *identity); /* for CLM_CLEANUP */

/* A request in flight, the same after every restart until clm_identity_commit() or _abandon(). */
struct clm_identity_pending {
    char reason[16]; /* "enroll", "renew", "recover" */
    char idempotency_key[CLM_ULID_SIZE];
    char token_id[CLM_ID_SIZE]; /* of an enrolment */
    struct clm_buf csr_der;
};
void clm_identity_pending_done(struct clm_identity_pending *pending); /* for CLM_CLEANUP */

/*
 * clm_identity_load() - the identity in force; finishes an interrupted change first
 *
 * Out     out  for clm_identity_done()
 * Errors  NOTFOUND this agent is not enrolled; PARSE; PERM; IO
 */
CLM_MUST_USE enum clm_code clm_identity_load(const char *dir, struct clm_identity *out,
                                             struct clm_err *err);

/*
 * clm_identity_begin() - a new key and a request for it, or those that wait since earlier
 *
 * In      token_id  of the join token; "" otherwise. A pending enrolment with another token is
 *                   dropped, one for renewal is taken over by a recovery
 * Effect  key and request are durable on return
 * Errors  CRYPTO; PERM; IO
 */
CLM_MUST_USE enum clm_code clm_identity_begin(const char *dir, const char *reason,
                                              const char *token_id,
                                              struct clm_identity_pending *out,
                                              struct clm_err *err);
/* Is this (leaf first) the certificate for the pending request? Errors: CRYPTO; PARSE; NOTFOUND nothing
 * is pending. */
CLM_MUST_USE enum clm_code clm_identity_check(const char *dir, const char *cert_pem,
                                              struct clm_err *err);
/*
 * clm_identity_commit() - the certificate for the pending request has come
 *
 * In      now      the new values; agent_id as before unless this is an enrolment
 *         cert_pem leaf first
 *         ca_pem   NULL: as before
 * Effect  durable: the new identity is in force, or after an error the old one
 * Errors  CRYPTO the certificate is not for the pending key; NOTFOUND nothing is pending
 */
CLM_MUST_USE enum clm_code clm_identity_commit(const char *dir, const struct clm_identity *now,
                                               const char *cert_pem, const char *ca_pem,
                                               struct clm_err *err);
/* Drops the pending request: the next one has a new key. */
CLM_MUST_USE enum clm_code clm_identity_abandon(const char *dir, struct clm_err *err);

/* The device key, made when there is none yet. */
CLM_MUST_USE enum clm_code clm_identity_device_key(const char *dir, struct clm_key **out_key,
                                                   struct clm_err *err);
/* "<dir>/<name>" into dst of PATH_MAX bytes. */
CLM_MUST_USE enum clm_code clm_identity_path(const char *dir, const char *name, char *dst,
                                             struct clm_err *err);

/* Appends ca.pem. Errors: NOTFOUND, LIMIT, PERM, IO. */
CLM_MUST_USE enum clm_code clm_identity_read_ca(const char *dir, struct clm_buf *out,
                                                struct clm_err *err);

/* When to renew a certificate if the control plane does not say: half of its life, 5 % of it either
 * way (protocol.md 5.5). */
int64_t clm_identity_half_life(int64_t now_s, int64_t not_after_s);

#endif
