/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/problem.h"

#include <assert.h>
#include <stddef.h>

static const struct clm_cp_problem_info table[CLM_CP_PROBLEM__COUNT] = {
    [CLM_CP_MALFORMED] = {400, "malformed", "The request cannot be read", false},
    [CLM_CP_SCHEMA] = {400, "schema", "The request does not have the documented form", false},
    [CLM_CP_AUTH_REQUIRED] = {401, "auth-required", "No valid credentials", false},
    [CLM_CP_CERT_EXPIRED] = {401, "cert-expired", "The client certificate has expired", false},
    [CLM_CP_SIGNATURE_INVALID] = {401, "signature-invalid", "The signature is not valid", false},
    [CLM_CP_NONCE_REQUIRED] = {401, "nonce-required", "Sign the nonce in this answer", true},
    [CLM_CP_FORBIDDEN] = {403, "forbidden", "Not allowed", false},
    [CLM_CP_TOKEN_UNKNOWN] = {403, "token-unknown", "The join token is not accepted", false},
    [CLM_CP_ENROLL_DENIED] = {403, "enroll-denied", "The enrolment was denied", false},
    [CLM_CP_AGENT_DISABLED] = {403, "agent-disabled", "The agent is disabled", true},
    [CLM_CP_AGENT_PENDING] = {403, "agent-pending", "The agent waits for approval", true},
    [CLM_CP_RECOVERY_NEEDS_APPROVAL] = {403, "recovery-needs-approval",
                                        "An operator must approve the recovery", true},
    [CLM_CP_NOT_FOUND] = {404, "not-found", "There is no such thing", false},
    [CLM_CP_JOB_UNKNOWN] = {404, "job-unknown", "There is no such job for this agent", false},
    [CLM_CP_METHOD] = {405, "method", "The method is not allowed here", false},
    [CLM_CP_STALE_FENCE] = {409, "stale-fence", "Lease has been superseded", false},
    [CLM_CP_JOB_TERMINAL] = {409, "job-terminal", "The job has ended", false},
    [CLM_CP_CLONE_SUSPECTED] = {409, "clone-suspected", "Two copies of this agent exist", false},
    [CLM_CP_CONFLICT] = {409, "conflict", "In conflict with the present state", false},
    [CLM_CP_IDEMPOTENCY_IN_PROGRESS] = {409, "idempotency-in-progress",
                                        "The first request with this key still runs", true},
    [CLM_CP_EXPIRED] = {410, "expired", "Too late", false},
    [CLM_CP_AGENT_UNKNOWN] = {410, "agent-unknown", "There is no such agent", false},
    [CLM_CP_CHANGED] = {412, "changed", "It was changed meanwhile", false},
    [CLM_CP_MATCH_REQUIRED] = {428, "match-required", "If-Match is required", false},
    [CLM_CP_TOO_LARGE] = {413, "too-large", "The request body is too large", false},
    [CLM_CP_HEADERS_TOO_LARGE] = {431, "too-large", "The request headers are too large", false},
    [CLM_CP_MEDIA_TYPE] = {415, "media-type", "The media type is not supported", false},
    [CLM_CP_IDEMPOTENCY_MISMATCH] = {422, "idempotency-mismatch",
                                     "The key was used for another request", false},
    [CLM_CP_POLICY] = {422, "policy", "Refused by a rule", false},
    [CLM_CP_INVALID_CSR] = {422, "invalid-csr", "The certificate request is not acceptable", false},
    [CLM_CP_WAITING] = {423, "waiting", "Not yet", true},
    [CLM_CP_RATE_LIMITED] = {429, "rate-limited", "Too many requests", true},
    [CLM_CP_INTERNAL] = {500, "internal", "The control plane failed", true},
    [CLM_CP_OVERLOADED] = {503, "overloaded", "The control plane is busy", true},
    [CLM_CP_DRAINING] = {503, "draining", "The control plane is stopping", true},
};

const struct clm_cp_problem_info *clm_cp_problem_info(enum clm_cp_problem problem)
{
    assert((size_t)problem < CLM_ARRAY_LEN(table));
    return &table[problem];
}

enum clm_cp_problem clm_cp_problem_of(enum clm_code code)
{
    if (code == CLM_E_PARSE || code == CLM_E_LIMIT || code == CLM_E_INVAL) {
        return CLM_CP_SCHEMA;
    }
    return CLM_CP_INTERNAL;
}
