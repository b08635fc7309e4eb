/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot run" and its children: the half with the network. */
#include <signal.h>

#include "agent/base/harden.h"
#include "agent/base/log.h"
#include "agent/main/cmds.h"
#include "agent/main/show.h"
#include "agent/run/job_child.h"
#include "agent/run/run.h"

int clm_cmd_run(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    clm_harden();
    clm_log_set_name("run");
    (void)signal(SIGPIPE, SIG_IGN);
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    code = clm_cli_has(args, "spawn-host") ? clm_run_supervise(&config, &err)
                                           : clm_run_main(&config, &err);
    if (code != CLM_OK) {
        clm_log_error("%s", err.msg);
        return clm_show_exit(code);
    }
    return status;
}

int clm_cmd_job_child(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    clm_harden();
    clm_log_set_name("job");
    (void)signal(SIGPIPE, SIG_IGN);
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    return clm_run_job(&config, args->args[0], NULL);
}
