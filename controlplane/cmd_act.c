/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "controlplane/client.h"

/* What must be said to whom it may concern; the control plane checks again. */
static const struct {
    const char *type;
    const char *option;
    const char *where;
} actions[] = {
    {"order", "cert", "certs"},       {"deploy", "cert", "certs"}, {"verify", "cert", "certs"},
    {"rollback", "cert", "certs"},    {"scan", "agent", "agents"}, {"get_dcv", "cert", "certs"},
    {"dcv_cleanup", "cert", "certs"}, {"cancel", "job", "jobs"},
};

static bool is_complete(const struct clm_cli_args *args)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(actions); i++) {
        if (strcmp(actions[i].type, args->args[0]) != 0) {
            continue;
        }
        if (!clm_cli_has(args, actions[i].option)) {
            (void)fprintf(stderr,
                          "clmbot-controlplane: action %s: --%s ID is required\n"
                          "See 'clmbot-controlplane %s'.\n",
                          actions[i].type, actions[i].option, actions[i].where);
            return false;
        }
        return true;
    }
    (void)fprintf(stderr,
                  "clmbot-controlplane: there is no action '%s'\n"
                  "See 'clmbot-controlplane action --help'.\n",
                  args->args[0]);
    return false;
}

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
    if (!is_complete(args)) {
        return CLM_CP_EXIT_USAGE;
    }
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
