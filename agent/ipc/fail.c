/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ipc/fail.h"

#include <stdio.h>
#include <string.h>

void clm_fail_from_err(struct clm_fail *out, const char *problem, const struct clm_err *err,
                       const char *hint)
{
    *out = (struct clm_fail){.code = err->code};
    if (err->code == CLM_OK) {
        out->code = CLM_E_BUG;
    }
    (void)snprintf(out->problem, sizeof(out->problem), "%s", problem);
    (void)snprintf(out->message, sizeof(out->message), "%s", err->msg);
    (void)snprintf(out->hint, sizeof(out->hint), "%s", hint == NULL ? "" : hint);
    out->retryable = clm_code_is_transient(err->code) != 0;
}

void clm_fail_to_json(const struct clm_fail *fail, struct clm_json *obj)
{
    clm_json_set_str(obj, "code", clm_code_name(fail->code));
    clm_json_set_str(obj, "problem", fail->problem);
    clm_json_set_str(obj, "message", fail->message);
    clm_json_set_str(obj, "hint", fail->hint);
    clm_json_set_bool(obj, "retryable", fail->retryable);
}

static enum clm_code code_of_name(const char *name)
{
    for (unsigned i = CLM_OK + 1; i < CLM_E__COUNT; i++) {
        if (strcmp(name, clm_code_name((enum clm_code)i)) == 0) {
            return (enum clm_code)i;
        }
    }
    return CLM_E_REMOTE;
}

enum clm_code clm_fail_from_json(const struct clm_json *obj, struct clm_fail *out,
                                 struct clm_err *err)
{
    const char *name = NULL;
    const char *problem = NULL;
    const char *message = NULL;
    const char *hint = NULL;
    bool retryable = false;

    enum clm_code code = clm_json_str(obj, "code", 32, &name, err);
    if (code == CLM_OK) {
        code = clm_json_str(obj, "problem", sizeof(out->problem) - 1, &problem, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(obj, "message", sizeof(out->message) - 1, &message, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(obj, "hint", sizeof(out->hint) - 1, "", &hint, err);
    }
    if (code == CLM_OK) {
        code = clm_json_bool_or(obj, "retryable", &retryable, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    *out = (struct clm_fail){.code = code_of_name(name), .retryable = retryable};
    (void)snprintf(out->problem, sizeof(out->problem), "%s", problem);
    (void)snprintf(out->message, sizeof(out->message), "%s", message);
    (void)snprintf(out->hint, sizeof(out->hint), "%s", hint);
    return CLM_OK;
}
