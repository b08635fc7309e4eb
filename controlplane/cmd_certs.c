/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/base/str.h"
#include "controlplane/client.h"

int clm_cp_cmd_certs_list(const struct clm_cli_args *args, void *ctx)
{
    static const struct clm_cp_column columns[] = {
        {"CERTIFICATE", "id", .is_fixed = true},
        {"NAMES", "names", .is_fixed = false},
        {"TARGET", "target", .is_fixed = false},
        {"STATE", "state", .is_fixed = true},
        {"SERVED", "served_version", .is_number = true},
        {"UNTIL", "served_not_after", .is_fixed = true},
        {"NEWEST", "newest_version", .is_number = true},
        {"ISSUER", "connector", .is_fixed = false},
    };

    (void)ctx;
    return clm_cp_list(args, "/api/v1/certificates", "certificates", columns,
                       CLM_ARRAY_LEN(columns));
}

static int print_cert(const struct clm_cli_args *args, const struct clm_json *cert)
{
    static const char *const rows[][2] = {
        {"certificate", "id"},
        {"state", "state"},
        {"names", "names"},
        {"agent", "agent_id"},
        {"target", "target"},
        {"key", "key_type"},
        {"issuer", "connector"},
        {"served", "current_sha256"},
        {"waits", "waiting_sha256"},
        {"served until", "served_not_after"},
        {"newest until", "not_after"},
        {"error", "last_error"},
        {"on issue", "on_issue"},
        {"web root", "webroot_ref"},
    };

    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(cert);
    }
    struct clm_err err = {0};
    enum clm_code code = clm_cp_show_rows(cert, rows, CLM_ARRAY_LEN(rows), 13, &err);
    const struct clm_json *versions = clm_json_get(cert, "versions");

    for (const struct clm_json *v = clm_json_first(versions); v != NULL && code == CLM_OK;
         v = clm_json_next(v)) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf number = CLM_BUF_INIT(32);

        code = clm_cp_show(v, "version", &number, &err);
        clm_cp_say("version %-4s %s  until %s  by %s", clm_buf_str(&number),
                   clm_cp_text(v, "sha256"), clm_cp_text(v, "not_after"), clm_cp_text(v, "issuer"));
    }
    return code == CLM_OK ? CLM_CP_EXIT_OK : clm_cp_fail(&err);
}

int clm_cp_cmd_certs_show(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    char path[160];
    struct clm_err err = {0};
    const struct clm_cp_call call = {.method = "GET", .path = path};
    enum clm_code code =
        clm_str_fmt(path, sizeof(path), &err, "/api/v1/certificates/%s", args->args[0]);

    (void)ctx;
    if (code == CLM_OK) {
        code = clm_cp_call(args, &call, &answer, &err);
    }
    return code == CLM_OK ? print_cert(args, answer) : clm_cp_fail(&err);
}

static int usage(const char *what)
{
    (void)fprintf(stderr, "clmbot-controlplane: certs add: %s is required\n", what);
    return CLM_CP_EXIT_USAGE;
}

int clm_cp_cmd_certs_add(const struct clm_cli_args *args, void *ctx)
{
    static const char *const copied[][2] = {
        {"agent", "agent_id"},      {"target", "target"},           {"key", "key_type"},
        {"connector", "connector"}, {"webroot-ref", "webroot_ref"}, {"on-issue", "on_issue"},
    };
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_json *names = NULL;
    struct clm_err err = {0};
    const struct clm_cp_call call = {
        .method = "POST", .path = "/api/v1/certificates", .body = body};

    (void)ctx;
    if (!clm_cli_has(args, "agent")) {
        return usage("--agent");
    }
    if (!clm_cli_has(args, "target")) {
        return usage("--target");
    }
    if (clm_cp_cli_csr(args, body, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    if (!clm_cli_has(args, "name") && clm_json_get(body, "csr") == NULL) {
        return usage("--name");
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(copied); i++) {
        if (clm_cli_has(args, copied[i][0])) {
            clm_json_set_str(body, copied[i][1], clm_cli_str(args, copied[i][0], ""));
        }
    }
    if (clm_cli_has(args, "name")) {
        names = clm_json_set_array(body, "names");
    }
    for (size_t i = 0; clm_cli_nth(args, "name", i) != NULL; i++) {
        clm_json_add_str(names, clm_cli_nth(args, "name", i));
    }
    if (clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    return print_cert(args, answer);
}
