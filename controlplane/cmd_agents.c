/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "controlplane/client.h"

int clm_cp_cmd_agents_list(const struct clm_cli_args *args, void *ctx)
{
    static const struct clm_cp_column columns[] = {
        {"AGENT", "id", .is_fixed = true},
        {"HOST", "host.hostname", .is_fixed = false},
        {"STATUS", "status", .is_fixed = true},
        {"HEALTH", "health", .is_fixed = true},
        {"CERTS", "certificates", .is_number = true},
        {"SEEN", "seen_at", .is_fixed = true},
        {"IDENTITY UNTIL", "cert_not_after", .is_fixed = true},
    };

    (void)ctx;
    return clm_cp_list(args, "/api/v1/agents", "agents", columns, CLM_ARRAY_LEN(columns));
}

int clm_cp_cmd_targets(const struct clm_cli_args *args, void *ctx)
{
    static const struct clm_cp_column columns[] = {
        {"AGENT", "agent_id", .is_fixed = true},
        {"TARGET", "target", .is_fixed = false},
        {"MANAGEABLE", "manageable", .is_fixed = true},
        {"EXPIRES", "certificate.not_after", .is_fixed = true},
        {"CERTIFICATE", "certificate_id", .is_fixed = true},
        {"STATE", "certificate_state", .is_fixed = true},
    };

    (void)ctx;
    return clm_cp_list(args, "/api/v1/targets", "targets", columns, CLM_ARRAY_LEN(columns));
}

static int print_agent(const struct clm_cli_args *args, const struct clm_json *agent)
{
    static const char *const rows[][2] = {
        {"agent", "id"},
        {"status", "status"},
        {"host", "host.hostname"},
        {"system", "agent.os_version"},
        {"version", "agent.version"},
        {"addresses", "host.addresses"},
        {"seen", "seen_at"},
        {"from", "remote"},
        {"health", "health"},
        {"certificates", "certificates"},
        {"generation", "generation"},
        {"identity until", "cert_not_after"},
        {"fingerprint", "fingerprint"},
        {"policy", "policy_digest"},
        {"token", "token_id"},
        {"labels", "labels"},
        {"enrolled", "created_at"},
    };

    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(agent);
    }
    struct clm_err err = {0};

    return clm_cp_show_rows(agent, rows, CLM_ARRAY_LEN(rows), 15, &err) == CLM_OK
               ? CLM_CP_EXIT_OK
               : clm_cp_fail(&err);
}

static int call_agent(const struct clm_cli_args *args, const char *method, const char *verb)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    char path[160];
    struct clm_err err = {0};
    const struct clm_cp_call call = {.method = method, .path = path};
    enum clm_code code =
        clm_str_fmt(path, sizeof(path), &err, "/api/v1/agents/%s%s", args->args[0], verb);

    if (code == CLM_OK) {
        code = clm_cp_call(args, &call, &answer, &err);
    }
    return code == CLM_OK ? print_agent(args, answer) : clm_cp_fail(&err);
}

int clm_cp_cmd_agents_show(const struct clm_cli_args *args, void *ctx)
{
    (void)ctx;
    return call_agent(args, "GET", "");
}

/* "agents disable", "agents enable", "agents approve": the second word is the verb of the API. */
int clm_cp_cmd_agents_change(const struct clm_cli_args *args, void *ctx)
{
    const char *verb = strchr(args->cmd->name, ' ');
    char suffix[24];

    (void)ctx;
    (void)snprintf(suffix, sizeof(suffix), "/%s", verb + 1);
    return call_agent(args, "POST", suffix);
}
