/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"
#include "agent/base/str.h"
#include "controlplane/client.h"
#include "controlplane/serve.h"

int clm_cp_cmd_serve(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    struct clm_err err = {0};
    enum clm_code code = CLM_OK;

    (void)ctx;
    clm_log_set_name("controlplane");
    if (clm_cli_has(args, "debug")) {
        clm_log_set_level(CLM_LOG_DEBUG);
    }
    for (size_t i = 0; code == CLM_OK && clm_cli_nth(args, "name", i) != NULL; i++) {
        code = clm_strs_add(&names, clm_cli_nth(args, "name", i), &err);
    }
    const struct clm_cp_serve_opts opts = {
        .dir = clm_cli_str(args, "data", CLM_CP_DATA_DEFAULT),
        .listen = clm_cli_str(args, "listen", "127.0.0.1:8443"),
        .operator_listen = clm_cli_str(args, "operator", "127.0.0.1:8440"),
        .names = &names,
        .config = clm_cli_str(args, "config", NULL),
#ifdef CLM_TEST_HOOKS
        .fault = clm_cli_str(args, "fault", NULL),
#endif
        .json = clm_cli_has(args, "json"),
    };

    if (code == CLM_OK) {
        code = clm_cp_serve(&opts, &err);
    }
    return code == CLM_OK ? CLM_CP_EXIT_OK : clm_cp_fail(&err);
}
