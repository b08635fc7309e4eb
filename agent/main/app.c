/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: parsing, --help, completion and the manual page all come from it. */
#include <limits.h>
#include <stddef.h>

#include "agent/main/cmds.h"
#include "agent/main/show.h"

static const struct clm_cli_opt global_opts[] = {
    {.name = "config",
     .letter = 'c',
     .kind = CLM_CLI_STRING,
     .metavar = "FILE",
     .help = "configuration (default " CLM_CONFIG_DEFAULT_PATH ")"},
    {.name = NULL},
};

#define JSON_OPT                                                                                   \
    {                                                                                              \
        .name = "json", .letter = 'j', .help = "print one JSON document (docs/schema)"             \
    }

static const struct clm_cli_opt json_opts[] = {JSON_OPT, {.name = NULL}};

static const struct clm_cli_opt run_opts[] = {
    {.name = "spawn-host", .help = "start the host half when it is asked for (without systemd)"},
    {.name = NULL},
};
static const struct clm_cli_opt host_opts[] = {
    {.name = "fd",
     .kind = CLM_CLI_INT,
     .metavar = "N",
     .min = 0,
     .max = 1023,
     .help = "serve the connected socket on this descriptor; else the one systemd hands over"},
    {.name = NULL},
};
static const struct clm_cli_opt recover_opts[] = {
    {.name = "boot", .help = "before the services start: files only, no reload and no handshake"},
    {.name = NULL},
};
static const struct clm_cli_opt enroll_opts[] = {
    {.name = "token-file",
     .letter = 't',
     .kind = CLM_CLI_STRING,
     .metavar = "FILE",
     .help = "join token; \"-\" reads standard input. The file is removed when it was used"},
    {.name = "force", .help = "also if this host is enrolled already: it becomes another agent"},
    JSON_OPT,
    {.name = NULL},
};
static const struct clm_cli_opt scan_opts[] = {
    {.name = "no-probe", .help = "make no handshakes"},
    JSON_OPT,
    {.name = NULL},
};
static const struct clm_cli_opt plan_opts[] = {
    {.name = "check", .help = "run the server's own configuration test, which changes nothing"},
    JSON_OPT,
    {.name = NULL},
};
static const struct clm_cli_opt certs_opts[] = {
    {.name = "expiring",
     .kind = CLM_CLI_INT,
     .metavar = "DAYS",
     .min = 0,
     .max = 36500,
     .help = "only files with a certificate that has no more days left than this"},
    {.name = "in-use", .help = "only files that a running server is configured to read"},
    {.name = "path",
     .kind = CLM_CLI_STRING,
     .metavar = "GLOB",
     .help = "only files of such a path; '*' stands for any run of characters"},
    {.name = "problems", .help = "only files that something is wrong with"},
    JSON_OPT,
    {.name = NULL},
};
static const struct clm_cli_opt rollback_opts[] = {
    {.name = "to",
     .kind = CLM_CLI_INT,
     .metavar = "VERSION",
     .min = 0,
     .max = INT_MAX,
     .help = "generation to go back to (default: the one before; see history)"},
    JSON_OPT,
    {.name = NULL},
};
static const struct clm_cli_opt keystore_opts[] = {
    {.name = "password-file",
     .letter = 'p',
     .kind = CLM_CLI_STRING,
     .metavar = "FILE",
     .help = "its first line is the password; nobody else may be able to read it"},
    JSON_OPT,
    {.name = NULL},
};
static const char *const formats[] = {"mdoc", "markdown", NULL};
static const struct clm_cli_opt doc_opts[] = {
    {.name = "format",
     .kind = CLM_CLI_STRING,
     .metavar = "FORMAT",
     .choices = formats,
     .help = "mdoc or markdown (default)"},
    {.name = NULL},
};

static const struct clm_cli_cmd commands[] = {
    {.name = "status",
     .group = "Look",
     .summary = "agent, control plane and targets on one screen",
     .opts = json_opts,
     .run = clm_cmd_status},
    {.name = "scan",
     .synopsis = "[KIND ...]",
     .max_args = CLM_CLI_ARGS_ANY,
     .summary = "find the TLS servers that run here and what can be managed",
     .opts = scan_opts,
     .run = clm_cmd_scan},
    {.name = "certs",
     .summary = "every certificate, key and keystore on this host, found by content",
     .details =
         "Looks below scan.files.roots and at every file that a running server reads. The table "
         "leaves out files that hold nothing but sound keys. Exit status 1: a file that is shown "
         "has problems, or ends within the days of --expiring.",
     .opts = certs_opts,
     .run = clm_cmd_certs},
    {.name = "explain",
     .synopsis = "TARGET",
     .min_args = 1,
     .max_args = 1,
     .summary = "everything known of one target, and what to do next",
     .details = "Exit status 0: nothing is to be done; 1: something is; 3: another certificate is "
                "served than its file holds.",
     .opts = scan_opts,
     .run = clm_cmd_explain},
    {.name = "verify",
     .synopsis = "[TARGET]",
     .max_args = 1,
     .summary = "prove by handshake that the installed certificate is served",
     .opts = json_opts,
     .run = clm_cmd_verify},
    {.name = "jobs",
     .summary = "jobs of the control plane on this host",
     .opts = json_opts,
     .run = clm_cmd_jobs},
    {.name = "job",
     .synopsis = "JOB",
     .min_args = 1,
     .max_args = 1,
     .summary = "one job, step by step",
     .opts = json_opts,
     .run = clm_cmd_job},
    {.name = "history",
     .synopsis = "[TARGET]",
     .max_args = 1,
     .summary = "deployments and what was proved",
     .opts = json_opts,
     .run = clm_cmd_history},
    {.name = "plan",
     .synopsis = "TARGET",
     .min_args = 1,
     .max_args = 1,
     .summary = "what a deployment would do, without doing it",
     .opts = plan_opts,
     .run = clm_cmd_plan},
    {.name = "doctor",
     .summary = "check what the agent needs on this host",
     .opts = json_opts,
     .run = clm_cmd_doctor},
    {.name = "keystore show",
     .synopsis = "FILE",
     .min_args = 1,
     .max_args = 1,
     .summary = "what is in a PKCS#12, JKS or JCEKS file, entry by entry",
     .details = "Needs neither agent nor configuration. Without a password it shows what is not "
                "encrypted: of JKS and JCEKS all but the keys, of PKCS#12 often nothing.",
     .opts = keystore_opts,
     .run = clm_cmd_keystore_show},
    {.name = "enroll",
     .group = "Act",
     .summary = "join a control plane with a one-time token",
     .opts = enroll_opts,
     .run = clm_cmd_enroll},
    {.name = "rollback",
     .synopsis = "TARGET",
     .min_args = 1,
     .max_args = 1,
     .summary = "bring back an earlier certificate, proved by handshake",
     .opts = rollback_opts,
     .run = clm_cmd_rollback},
    {.name = "config check",
     .group = "Set up",
     .summary = "check the configuration and say where it is wrong",
     .opts = json_opts,
     .run = clm_cmd_config_check},
    {.name = "config doc",
     .summary = "every option of the configuration",
     .opts = doc_opts,
     .run = clm_cmd_config_doc},
    {.name = "completion",
     .summary = "print a completion script for bash",
     .run = clm_cmd_completion},
    {.name = "version", .summary = "print the version", .opts = json_opts, .run = clm_cmd_version},
    {.name = "run",
     .group = "Services",
     .summary = "the network half: poll, run jobs, answer status",
     .opts = run_opts,
     .run = clm_cmd_run},
    {.name = "host",
     .summary = "the host half: keys, files, transactions",
     .opts = host_opts,
     .run = clm_cmd_host},
    {.name = "recover",
     .summary = "finish or undo what a crash left",
     .opts = recover_opts,
     .run = clm_cmd_recover},
    {.name = "_loopback",
     .summary = "hand one socket of this host's network to the host half",
     .run = clm_cmd_loopback,
     .is_hidden = true},
    {.name = "_job",
     .synopsis = "JOB",
     .min_args = 1,
     .max_args = 1,
     .summary = "run one job",
     .run = clm_cmd_job_child,
     .is_hidden = true},
    {.name = "_mdoc",
     .summary = "command section of the manual page",
     .run = clm_cmd_mdoc,
     .is_hidden = true},
    {.name = NULL},
};

const struct clm_cli_app clm_cmd_app = {
    .name = "clmbot",
    .version = CLM_VERSION,
    .summary =
        "puts certificates into the TLS servers of this host, and proves that they serve them",
    .opts = global_opts,
    .cmds = commands,
    .footer =
        "Exit status: 0 good, 1 attention, 2 an action failed, 3 served differs from installed,\n"
        "4 configuration, 5 agent not running, 6 control plane out of reach, 64 usage.",
};
