/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust - whose jobs this host obeys
 *
 * Written once by "clmbot enroll" (root): the trust document of the control plane (protocol.md 5.7,
 * reduced to version 1), signed by the CA key whose pin came in the join token. The network half
 * cannot change it: the file lies in the host half's directory.
 */
#ifndef CLM_HOST_TRUST_H
#define CLM_HOST_TRUST_H

#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"
#include "agent/crypto/key.h"

#define CLM_TRUST_KEYS_MAX 8 /* job-signing keys: current, next and a few old ones */

struct clm_trust_key {
    char kid[64];
    struct clm_pubkey *key;
    int64_t expires_at_s;
};

struct clm_trust {
    char agent_id[CLM_ID_SIZE];
    char tenant[64];
    struct clm_trust_key keys[CLM_TRUST_KEYS_MAX];
    size_t n_keys;
};

void clm_trust_done(struct clm_trust *trust);

/* What comes with an enrolment. */
struct clm_trust_offer {
    const struct clm_strs *pins; /* "sha256/<Base64 of the SPKI hash>", from the token */
    const char *ca_pem;          /* certificates of the control plane; one must match a pin */
    const struct clm_json *jws;  /* {payload, signatures} */
    const char *agent_id;        /* the network half's, which the document must name */
    const char *tenant;
    int64_t now_s;
};

/*
 * clm_trust_install() - verifies a trust document against the pins and keeps it
 *
 * In      dir  host state directory
 * Out     out  zeroed by the caller; filled
 * Errors  AUTH no certificate matches a pin, the signature is wrong, the document has expired or is
 *         for another agent; PARSE; IO
 */
CLM_MUST_USE enum clm_code clm_trust_install(const char *dir, const struct clm_trust_offer *offer,
                                             struct clm_trust *out, struct clm_err *err);

/* Reads what clm_trust_install() kept. Errors: NOTFOUND before enrolment; PARSE. */
CLM_MUST_USE enum clm_code clm_trust_load(const char *dir, struct clm_trust *out,
                                          struct clm_err *err);

/* NULL if there is none of that id or it has expired. */
const struct clm_pubkey *clm_trust_find(const struct clm_trust *trust, const char *kid,
                                        int64_t now_s);

#endif
