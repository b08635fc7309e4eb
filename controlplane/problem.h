/* SPDX-License-Identifier: Apache-2.0 */
/* problem - every error answer of both APIs as one table (RFC 9457, protocol.md 6.5) */
#ifndef CLM_CONTROLPLANE_PROBLEM_H
#define CLM_CONTROLPLANE_PROBLEM_H

#include <stdbool.h>

#include "agent/base/err.h"

enum clm_cp_problem {
    CLM_CP_MALFORMED,
    CLM_CP_SCHEMA,
    CLM_CP_AUTH_REQUIRED,
    CLM_CP_CERT_EXPIRED,
    CLM_CP_SIGNATURE_INVALID,
    CLM_CP_NONCE_REQUIRED,
    CLM_CP_FORBIDDEN,
    CLM_CP_TOKEN_UNKNOWN,
    CLM_CP_ENROLL_DENIED,
    CLM_CP_AGENT_DISABLED,
    CLM_CP_AGENT_PENDING,
    CLM_CP_RECOVERY_NEEDS_APPROVAL,
    CLM_CP_NOT_FOUND,
    CLM_CP_JOB_UNKNOWN,
    CLM_CP_METHOD,
    CLM_CP_STALE_FENCE,
    CLM_CP_JOB_TERMINAL,
    CLM_CP_CLONE_SUSPECTED,
    CLM_CP_CONFLICT,
    CLM_CP_IDEMPOTENCY_IN_PROGRESS,
    CLM_CP_EXPIRED,
    CLM_CP_AGENT_UNKNOWN,
    CLM_CP_CHANGED,
    CLM_CP_MATCH_REQUIRED,
    CLM_CP_TOO_LARGE,
    CLM_CP_HEADERS_TOO_LARGE,
    CLM_CP_MEDIA_TYPE,
    CLM_CP_IDEMPOTENCY_MISMATCH,
    CLM_CP_POLICY,
    CLM_CP_INVALID_CSR,
    CLM_CP_WAITING,
    CLM_CP_RATE_LIMITED,
    CLM_CP_INTERNAL,
    CLM_CP_OVERLOADED,
    CLM_CP_DRAINING,
    CLM_CP_PROBLEM__COUNT
};

struct clm_cp_problem_info {
    int status;
    const char *code;
    const char *title;
    bool retryable;
};

/* Never NULL for a value of the enumeration. */
const struct clm_cp_problem_info *clm_cp_problem_info(enum clm_cp_problem problem);

/* The problem that an error of a lower level becomes: bad input 400, everything else 500. */
enum clm_cp_problem clm_cp_problem_of(enum clm_code code);

#endif
