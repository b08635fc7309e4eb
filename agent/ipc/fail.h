/* SPDX-License-Identifier: Apache-2.0 */
/* fail - why the host half did not do what was asked, as it crosses the socket; docs/ipc.md "Fail" */
#ifndef CLM_IPC_FAIL_H
#define CLM_IPC_FAIL_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "agent/base/json.h"

#define CLM_FAIL_HINT_MAX 512 /* bytes, NUL included */

struct clm_fail {
    enum clm_code code; /* never CLM_OK */
    char problem[32];   /* "E_POLICY" ... */
    char message[CLM_ERR_MSG_MAX];
    char hint[CLM_FAIL_HINT_MAX]; /* what to do; may be "" */
    bool retryable;
};

/* problem and hint are cut if too long; hint NULL is "". retryable follows from err->code. */
void clm_fail_from_err(struct clm_fail *out, const char *problem, const struct clm_err *err,
                       const char *hint);
void clm_fail_to_json(const struct clm_fail *fail, struct clm_json *obj);
/* A code that is not known here becomes CLM_E_REMOTE. Errors: PARSE, LIMIT. */
CLM_MUST_USE enum clm_code clm_fail_from_json(const struct clm_json *obj, struct clm_fail *out,
                                              struct clm_err *err);

#endif
