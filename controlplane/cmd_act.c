/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "controlplane/client.h"

int clm_cp_cmd_action(const struct clm_cli_args *args, void *ctx)
{
    static const char *const copied[][2] = {
        {"cert", "certificate_id"}, {"agent", "agent_id"}, {"target", "target"},
        {"sha256", "sha256"},       {"reason", "reason"},  {"job", "job_id"},
    };
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_err err = {0};
    const struct clm_cp_call call = {.method = "POST", .path = "/api/v1/actions", .body = body};

    (void)ctx;
    clm_json_set_str(body, "type", args->args[0]);
    for (size_t i = 0; i < CLM_ARRAY_LEN(copied); i++) {
        if (clm_cli_has(args, copied[i][0])) {
            clm_json_set_str(body, copied[i][1], clm_cli_str(args, copied[i][0], ""));
        }
    }
    if (clm_cli_has(args, "version")) {
        clm_json_set_int(body, "version", clm_cli_int(args, "version", 0));
    }
    if (clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(answer);
    }
    (void)printf("%s\n", clm_cp_text(answer, "job_id"));
    return CLM_CP_EXIT_OK;
}
