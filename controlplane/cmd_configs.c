/* SPDX-License-Identifier: Apache-2.0 */
/* configs: what is to happen at targets, in five steps. */
#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/names.h"
#include "controlplane/client.h"

#define PATH_SIZE 160

int clm_cp_cmd_configs_list(const struct clm_cli_args *args, void *ctx)
{
    static const struct clm_cp_column columns[] = {
        {"CONFIGURATION", "id", .is_fixed = true},
        {"TARGET", "target", .is_fixed = false},
        {"ISSUER", "issuer.connector", .is_fixed = false},
        {"DEPLOY", "schedule.deploy", .is_fixed = true},
        {"DAYS", "schedule.renew_days", .is_number = true},
        {"STATE", "certificate_state", .is_fixed = true},
        {"NEXT RENEWAL", "next_renewal_at", .is_fixed = true},
    };

    (void)ctx;
    return clm_cp_list(args, "/api/v1/configurations", "configurations", columns,
                       CLM_ARRAY_LEN(columns));
}

static int print_config(const struct clm_cli_args *args, const struct clm_json *config)
{
    static const char *const rows[][2] = {
        {"configuration", "id"},
        {"revision", "revision"},
        {"agent", "agent_id"},
        {"target", "target"},
        {"found by", "deployment.source"},
        {"issuer", "issuer.connector"},
        {"profile", "issuer.profile"},
        {"request", "csr.mode"},
        {"names", "csr.sans"},
        {"key", "csr.key_type"},
        {"proof", "dcv.method"},
        {"web root", "dcv.webroot_ref"},
        {"renew", "schedule.renew_days"},
        {"deploy", "schedule.deploy"},
        {"on failure", "schedule.on_failure"},
        {"retain", "schedule.retain"},
        {"certificate", "certificate_id"},
        {"state", "certificate_state"},
        {"expires", "not_after"},
        {"next renewal", "next_renewal_at"},
    };

    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(config);
    }
    struct clm_err err = {0};

    return clm_cp_show_rows(config, rows, CLM_ARRAY_LEN(rows), 14, &err) == CLM_OK
               ? CLM_CP_EXIT_OK
               : clm_cp_fail(&err);
}

static enum clm_code make_path(const struct clm_cli_args *args, const char *suffix,
                               char dst[PATH_SIZE], struct clm_err *err)
{
    return clm_str_fmt(dst, PATH_SIZE, err, "/api/v1/configurations/%s%s", args->args[0], suffix);
}

static enum clm_code get(const struct clm_cli_args *args, struct clm_json **out,
                         struct clm_err *err)
{
    char path[PATH_SIZE];
    const struct clm_cp_call call = {.method = "GET", .path = path};
    enum clm_code code = make_path(args, "", path, err);

    return code == CLM_OK ? clm_cp_call(args, &call, out, err) : code;
}

int clm_cp_cmd_configs_show(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_err err = {0};

    (void)ctx;
    return get(args, &answer, &err) == CLM_OK ? print_config(args, answer) : clm_cp_fail(&err);
}

/* ---- add and edit ---- */

/* An option, and the member of which step it is. */
static const struct {
    const char *option;
    const char *step;
    const char *member;
    bool is_number;
} members[] = {
    {"source", "deployment", "source", false},
    {"connector", "issuer", "connector", false},
    {"profile", "issuer", "profile", false},
    {"csr-mode", "csr", "mode", false},
    {"csr-template", "csr", "template", false},
    {"key", "csr", "key_type", false},
    {"dcv", "dcv", "method", false},
    {"webroot-ref", "dcv", "webroot_ref", false},
    {"renew-days", "schedule", "renew_days", true},
    {"deploy", "schedule", "deploy", false},
    {"on-failure", "schedule", "on_failure", false},
    {"retain", "schedule", "retain", true},
};

static struct clm_json *step_of(struct clm_json *body, const char *step)
{
    return clm_json_get(body, step) != NULL ? clm_json_edit(body, step)
                                            : clm_json_set_object(body, step);
}

/* An empty value takes a text away again. */
static void set_member(const struct clm_cli_args *args, size_t i, struct clm_json *body)
{
    const char *option = members[i].option;
    struct clm_json *step = step_of(body, members[i].step);

    if (members[i].is_number) {
        clm_json_set_int(step, members[i].member, clm_cli_int(args, option, 0));
    } else if (clm_cli_str(args, option, "")[0] == '\0') {
        clm_json_remove(step, members[i].member);
    } else {
        clm_json_set_str(step, members[i].member, clm_cli_str(args, option, ""));
    }
}

static enum clm_code apply_options(const struct clm_cli_args *args, struct clm_json *body,
                                   struct clm_err *err)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        if (clm_cli_has(args, members[i].option)) {
            set_member(args, i, body);
        }
    }
    return clm_cli_has(args, "name")
               ? clm_cp_names_option(args, clm_json_set_object(step_of(body, "csr"), "sans"), err)
               : CLM_OK;
}

int clm_cp_cmd_configs_add(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_err err = {0};
    const struct clm_cp_call call = {
        .method = "POST", .path = "/api/v1/configurations", .body = body};

    (void)ctx;
    if (!clm_cli_has(args, "agent") || !clm_cli_has(args, "target")) {
        (void)fprintf(stderr,
                      "clmbot-controlplane: configs add: --agent and --target are required\n"
                      "See 'clmbot-controlplane targets'.\n");
        return CLM_CP_EXIT_USAGE;
    }
    clm_json_set_str(body, "agent_id", clm_cli_str(args, "agent", ""));
    clm_json_set_str(body, "target", clm_cli_str(args, "target", ""));
    if (apply_options(args, body, &err) != CLM_OK ||
        clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    return print_config(args, answer);
}

/* What was read, with the options over it; refused if somebody else changed it in between. */
int clm_cp_cmd_configs_edit(const struct clm_cli_args *args, void *ctx)
{
    static const char *const steps[] = {"deployment", "issuer", "csr", "dcv", "schedule"};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *before = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_err err = {0};
    char path[PATH_SIZE];
    struct clm_cp_call call = {.method = "PUT", .path = path, .body = body};

    (void)ctx;
    if (make_path(args, "", path, &err) != CLM_OK || get(args, &before, &err) != CLM_OK ||
        clm_json_int(before, "revision", 1, CLM_JSON_INT_MAX, &call.revision, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(steps); i++) {
        clm_json_set_copy(body, steps[i], clm_json_get(before, steps[i]));
    }
    if (apply_options(args, body, &err) != CLM_OK ||
        clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    return print_config(args, answer);
}

int clm_cp_cmd_configs_delete(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *before = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_err err = {0};
    char path[PATH_SIZE];
    struct clm_cp_call call = {.method = "DELETE", .path = path};

    (void)ctx;
    if (make_path(args, "", path, &err) != CLM_OK || get(args, &before, &err) != CLM_OK ||
        clm_json_int(before, "revision", 1, CLM_JSON_INT_MAX, &call.revision, &err) != CLM_OK ||
        clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    return CLM_CP_EXIT_OK;
}

int clm_cp_cmd_configs_run(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_err err = {0};
    char path[PATH_SIZE];
    const struct clm_cp_call call = {.method = "POST", .path = path};

    (void)ctx;
    if (make_path(args, "/run", path, &err) != CLM_OK ||
        clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(answer);
    }
    (void)printf("%s\n", clm_cp_text(answer, "job_id"));
    return CLM_CP_EXIT_OK;
}
