/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/cli.h"
#include "agent/base/term.h"
#include "controlplane/client.h"

#define STRING(n, meta, text)                                                                      \
    {                                                                                              \
        .name = (n), .kind = CLM_CLI_STRING, .metavar = (meta), .help = (text)                     \
    }
#define END                                                                                        \
    {                                                                                              \
        0                                                                                          \
    }

static const struct clm_cli_opt serve_opts[] = {
    STRING("listen", "ADDRESS:PORT", "where agents connect, HTTPS (127.0.0.1:8443)"),
    STRING("operator", "ADDRESS:PORT",
           "operator API and dashboard (127.0.0.1:8440); HTTPS unless loopback"),
    {.name = "name",
     .kind = CLM_CLI_STRING,
     .metavar = "NAME",
     .is_repeatable = true,
     .help = "host name or address in the server certificate; the first is in join tokens"},
    STRING("config", "FILE", "JSON: connectors, limits"),
    {.name = "debug", .kind = CLM_CLI_FLAG, .help = "log more"},
#ifdef CLM_TEST_HOOKS
    STRING("fault", "FILE", "answer wrong on purpose, by these rules"),
#endif
    END,
};

static const struct clm_cli_opt token_opts[] = {
    STRING("ttl", "TIME", "valid for 30m, 12h, 7d (1h)"),
    {.name = "uses",
     .kind = CLM_CLI_INT,
     .metavar = "N",
     .min = 1,
     .max = 100000,
     .help = "how many hosts may use it (1)"},
    STRING("host", "GLOB", "only for host names like this"),
    {.name = "manual", .kind = CLM_CLI_FLAG, .help = "each host waits for 'agents approve'"},
    END,
};

#define MANY(opt, what, text)                                                                      \
    {                                                                                              \
        .name = (opt), .kind = CLM_CLI_STRING, .metavar = (what), .is_repeatable = true,           \
        .help = (text)                                                                             \
    }

static const struct clm_cli_opt cert_opts[] = {
    STRING("agent", "ID", "the host"),
    STRING("target", "TARGET", "where it goes: nginx:www.example.com"),
    {.name = "name",
     .kind = CLM_CLI_STRING,
     .metavar = "NAME",
     .is_repeatable = true,
     .help = "DNS name or address in the certificate"},
    STRING("key", "TYPE", "ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096 (ec-p256)"),
    STRING("connector", "NAME", "who issues it"),
    STRING("webroot-ref", "NAME", "web root declared on the host; default: found by the scan"),
    STRING("on-issue", "WHAT", "deploy or notify (deploy)"),
    STRING("csr-mode", "MODE", "template, installed, override, uploaded, reuse_csr"),
    STRING("csr-file", "FILE", "a finished request; its key is elsewhere"),
    STRING("template", "NAME", "template declared on the host"),
    MANY("subject", "FIELD=VALUE", "cn, o, ou, l, st, c or email; ou more than once"),
    MANY("email", "ADDRESS", "mail address in the certificate"),
    MANY("uri", "URI", "URI in the certificate"),
    STRING("hash", "NAME", "sha256, sha384, sha512"),
    MANY("eku", "PURPOSE", "server, client"),
    {.name = "must-staple", .kind = CLM_CLI_FLAG, .help = "ask for must-staple"},
    STRING("challenge-password", "NAME", "password declared on the host"),
    {.name = "reuse-key", .kind = CLM_CLI_FLAG, .help = "keep the private key that is installed"},
    END,
};

#define CONFIG_OPTS                                                                                \
    STRING("source", "WHAT", "scan: the host found the target; declared: in its clmbot.yaml"),     \
        STRING("connector", "NAME", "who issues it"),                                              \
        STRING("profile", "NAME", "profile of an ACME CA"),                                        \
        STRING("csr-mode", "MODE", "how the request is made"),                                     \
        STRING("csr-template", "NAME", "template, for the mode of that name"),                     \
        {.name = "name",                                                                           \
         .kind = CLM_CLI_STRING,                                                                   \
         .metavar = "NAME",                                                                        \
         .is_repeatable = true,                                                                    \
         .help = "DNS name or address; default: those of the target"},                             \
        STRING("key", "TYPE", "ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096 (ec-p256)"),         \
        STRING("dcv", "METHOD", "http-01, manual or none"),                                        \
        STRING("webroot-ref", "NAME", "web root declared on the host; default: from the scan"),    \
        {.name = "renew-days",                                                                     \
         .kind = CLM_CLI_INT,                                                                      \
         .metavar = "N",                                                                           \
         .min = 1,                                                                                 \
         .max = 120,                                                                               \
         .help = "renew so many days before the end (30)"},                                        \
        STRING("deploy", "WHEN", "now or approval (now)"),                                         \
        STRING("on-failure", "WHAT", "rollback or leave (rollback)"),                              \
    {                                                                                              \
        .name = "retain", .kind = CLM_CLI_INT, .metavar = "N", .min = 1, .max = 20,                \
        .help = "versions the host keeps; default: as it says"                                     \
    }

static const struct clm_cli_opt config_add_opts[] = {
    STRING("agent", "ID", "the host"),
    STRING("target", "TARGET", "where it goes: nginx:www.example.com"),
    CONFIG_OPTS,
    END,
};

static const struct clm_cli_opt config_edit_opts[] = {CONFIG_OPTS, END};

static const struct clm_cli_opt action_opts[] = {
    STRING("cert", "ID", "the certificate"),
    STRING("agent", "ID", "the host, for scan"),
    STRING("target", "TARGET", "another target than the certificate's"),
    {.name = "version",
     .kind = CLM_CLI_INT,
     .metavar = "N",
     .min = 0,
     .max = 1000000,
     .help = "rollback: to this version of the target; 0: the one before"},
    STRING("sha256", "HEX", "deploy, verify: this leaf"),
    STRING("reason", "TEXT", "rollback: why"),
    STRING("job", "ID", "cancel: which"),
    END,
};

static const struct clm_cli_opt jobs_opts[] = {
    STRING("agent", "ID", "of this host"),
    STRING("state", "STATE", "in this state"),
    {.name = "limit",
     .kind = CLM_CLI_INT,
     .metavar = "N",
     .min = 1,
     .max = 1000,
     .help = "at most so many (50)"},
    END,
};

static const struct clm_cli_cmd cmds[] = {
    {.name = "serve",
     .group = "Server",
     .summary = "run the control plane",
     .details = "The directory is created on the first start, with keys, database and the "
                "operator's token. SIGTERM ends it.",
     .opts = serve_opts,
     .run = clm_cp_cmd_serve},
    {.name = "token create",
     .group = "Hosts",
     .summary = "make a join token",
     .opts = token_opts,
     .run = clm_cp_cmd_token_create},
    {.name = "token list", .summary = "list join tokens", .run = clm_cp_cmd_token_list},
    {.name = "agents", .summary = "list hosts", .run = clm_cp_cmd_agents_list, .is_hidden = true},
    {.name = "agents list", .summary = "list hosts", .run = clm_cp_cmd_agents_list},
    {.name = "agents show",
     .synopsis = "ID",
     .summary = "show one host",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_agents_show},
    {.name = "agents approve",
     .synopsis = "ID",
     .summary = "admit a host that waits, or allow its recovery",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_agents_change},
    {.name = "agents disable",
     .synopsis = "ID",
     .summary = "give a host no more work; denies one that waits",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_agents_change},
    {.name = "agents enable",
     .synopsis = "ID",
     .summary = "undo disable, or end a quarantine",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_agents_change},
    {.name = "targets", .summary = "list what hosts found", .run = clm_cp_cmd_targets},
    {.name = "certs",
     .summary = "list certificates",
     .run = clm_cp_cmd_certs_list,
     .is_hidden = true},
    {.name = "certs list",
     .group = "Certificates",
     .summary = "list certificates",
     .run = clm_cp_cmd_certs_list},
    {.name = "certs show",
     .synopsis = "ID",
     .summary = "show one certificate and its versions",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_certs_show},
    {.name = "certs add",
     .summary = "manage a certificate",
     .opts = cert_opts,
     .run = clm_cp_cmd_certs_add},
    {.name = "action",
     .synopsis = "TYPE",
     .summary = "make a job: order, deploy, verify, rollback, scan, get_dcv, dcv_cleanup, cancel",
     .min_args = 1,
     .max_args = 1,
     .opts = action_opts,
     .run = clm_cp_cmd_action},
    {.name = "configs",
     .summary = "list configurations",
     .run = clm_cp_cmd_configs_list,
     .is_hidden = true},
    {.name = "configs list",
     .group = "Configurations",
     .summary = "list what is to happen at targets",
     .run = clm_cp_cmd_configs_list},
    {.name = "configs show",
     .synopsis = "ID",
     .summary = "show one configuration",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_configs_show},
    {.name = "configs add",
     .summary = "say what is to happen at a target",
     .opts = config_add_opts,
     .run = clm_cp_cmd_configs_add},
    {.name = "configs edit",
     .synopsis = "ID",
     .summary = "change what the options say",
     .min_args = 1,
     .max_args = 1,
     .opts = config_edit_opts,
     .run = clm_cp_cmd_configs_edit},
    {.name = "configs delete",
     .synopsis = "ID",
     .summary = "remove it; the certificate stays",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_configs_delete},
    {.name = "configs run",
     .synopsis = "ID",
     .summary = "order its certificate now",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_configs_run},
    {.name = "jobs",
     .summary = "list jobs",
     .opts = jobs_opts,
     .run = clm_cp_cmd_jobs_list,
     .is_hidden = true},
    {.name = "jobs list",
     .group = "Jobs",
     .summary = "list jobs",
     .opts = jobs_opts,
     .run = clm_cp_cmd_jobs_list},
    {.name = "jobs show",
     .synopsis = "ID",
     .summary = "show one job",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_jobs_show},
    {.name = "jobs watch",
     .synopsis = "ID",
     .summary = "follow one job to its end",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_jobs_watch},
    {.name = "jobs cancel",
     .synopsis = "ID",
     .summary = "cancel one job",
     .min_args = 1,
     .max_args = 1,
     .run = clm_cp_cmd_jobs_cancel},
    {.name = "completion",
     .group = "Set up",
     .summary = "print a completion script for bash",
     .run = clm_cp_cmd_completion},
    {.name = "_mdoc",
     .summary = "command section of the manual page",
     .run = clm_cp_cmd_mdoc,
     .is_hidden = true},
    {.name = "routes",
     .summary = "list the requests the server answers",
     .run = clm_cp_cmd_routes,
     .is_hidden = true},
    {0},
};

static const struct clm_cli_app app = {
    .name = "clmbot-controlplane",
    .version = CLM_VERSION,
    .summary = "central part of clmbot: enrols hosts, orders certificates, gives out jobs",
    .opts = clm_cp_client_opts,
    .cmds = cmds,
    .footer = "Exit codes: 0 good, 2 an action failed, 4 configuration, 6 control plane out of "
              "reach, 64 usage.",
};

int main(int argc, char **argv)
{
    clm_term_init();
    return clm_cli_main(&app, argc, argv, NULL);
}
