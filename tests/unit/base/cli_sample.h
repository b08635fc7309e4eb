/* SPDX-License-Identifier: Apache-2.0 */
/* A small program for test_cli.c and test_cli_doc.c. */
#ifndef CLM_TESTS_UNIT_BASE_CLI_SAMPLE_H
#define CLM_TESTS_UNIT_BASE_CLI_SAMPLE_H

#include "agent/base/cli.h"

static const char *const sample_formats[] = {"text", "json", NULL};

static const struct clm_cli_opt sample_status_opts[] = {
    {.name = "json", .letter = 'j', .help = "print JSON"},
    {.name = "watch", .letter = 'w', .help = "show changes as they come"},
    {.name = "days",
     .letter = 'd',
     .kind = CLM_CLI_INT,
     .metavar = "N",
     .min = 1,
     .max = 120,
     .help = "only certificates that expire within so many days"},
    {.name = NULL},
};

static const struct clm_cli_opt sample_order_opts[] = {
    {.name = "san",
     .kind = CLM_CLI_STRING,
     .metavar = "NAME",
     .is_repeatable = true,
     .help = "one more name"},
    {.name = "format",
     .kind = CLM_CLI_STRING,
     .metavar = "text or json",
     .choices = sample_formats,
     .help = "form of the answer"},
    {.name = NULL},
};

static const struct clm_cli_opt sample_global_opts[] = {
    {.name = "config",
     .letter = 'c',
     .kind = CLM_CLI_STRING,
     .metavar = "FILE",
     .help = "read FILE"},
    {.name = "quiet", .letter = 'q', .help = "say less"},
    {.name = NULL},
};

/* Notes that it ran, in *ctx, and returns the number of operands as exit code. */
static int sample_run(const struct clm_cli_args *args, void *ctx)
{
    *(const char **)ctx = args->cmd->name;
    return args->n_args;
}

static const struct clm_cli_cmd sample_cmds[] = {
    {.name = "status",
     .group = "Look",
     .synopsis = "[TARGET ...]",
     .summary = "show what is served and what is due",
     .details = "Works without a network. Reads the state directory.\n\nA second paragraph with a "
                "back\\slash.",
     .max_args = CLM_CLI_ARGS_ANY,
     .opts = sample_status_opts,
     .run = sample_run},
    {.name = "job",
     .synopsis = "ID",
     .summary = "show one job",
     .min_args = 1,
     .max_args = 1,
     .run = sample_run},
    {.name = "order",
     .group = "Act",
     .synopsis = "NAME [TARGET]",
     .summary = "order a certificate",
     .min_args = 1,
     .max_args = 2,
     .opts = sample_order_opts,
     .run = sample_run},
    {.name = "config check",
     .group = "Set up",
     .summary = "check the configuration",
     .run = sample_run},
    {.name = "config show", .summary = "print the configuration", .run = sample_run},
    {.name = "_secret", .summary = "not shown", .run = sample_run, .is_hidden = true},
    {.name = NULL},
};

static const struct clm_cli_app sample_app = {
    .name = "clm-sample",
    .version = "1.2.3",
    .summary = "sample of a program",
    .opts = sample_global_opts,
    .cmds = sample_cmds,
    .footer = "Exit codes: 0 good, 64 usage.",
};

#endif
