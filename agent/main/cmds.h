/* SPDX-License-Identifier: Apache-2.0 */
/* cmds - the commands of clmbot; each returns an exit status of agent/main/show.h */
#ifndef CLM_MAIN_CMDS_H
#define CLM_MAIN_CMDS_H

#include "agent/base/cli.h"
#include "config/config.h"

/* The table of commands with all their options; agent/main/app.c. */
extern const struct clm_cli_app clm_cmd_app;

int clm_cmd_run(const struct clm_cli_args *args, void *ctx);
int clm_cmd_host(const struct clm_cli_args *args, void *ctx);
int clm_cmd_loopback(const struct clm_cli_args *args, void *ctx);
int clm_cmd_recover(const struct clm_cli_args *args, void *ctx);
int clm_cmd_job_child(const struct clm_cli_args *args, void *ctx);
int clm_cmd_enroll(const struct clm_cli_args *args, void *ctx);
int clm_cmd_status(const struct clm_cli_args *args, void *ctx);
int clm_cmd_jobs(const struct clm_cli_args *args, void *ctx);
int clm_cmd_job(const struct clm_cli_args *args, void *ctx);
int clm_cmd_scan(const struct clm_cli_args *args, void *ctx);
int clm_cmd_certs(const struct clm_cli_args *args, void *ctx);
int clm_cmd_explain(const struct clm_cli_args *args, void *ctx);
int clm_cmd_plan(const struct clm_cli_args *args, void *ctx);
int clm_cmd_verify(const struct clm_cli_args *args, void *ctx);
int clm_cmd_rollback(const struct clm_cli_args *args, void *ctx);
int clm_cmd_history(const struct clm_cli_args *args, void *ctx);
int clm_cmd_config_check(const struct clm_cli_args *args, void *ctx);
int clm_cmd_config_doc(const struct clm_cli_args *args, void *ctx);
int clm_cmd_keystore_show(const struct clm_cli_args *args, void *ctx);
int clm_cmd_completion(const struct clm_cli_args *args, void *ctx);
int clm_cmd_mdoc(const struct clm_cli_args *args, void *ctx);
int clm_cmd_doctor(const struct clm_cli_args *args, void *ctx);
int clm_cmd_version(const struct clm_cli_args *args, void *ctx);

/* Loads --config (or the default). On failure prints the error; *out_status is then the exit status
 * and the answer false. */
bool clm_cmd_config(const struct clm_cli_args *args, struct clm_config *out, int *out_status);

#endif
