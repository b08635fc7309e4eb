/* SPDX-License-Identifier: Apache-2.0 */
#include "config/options.h"

#include <stddef.h>

#include "config/config.h"

#define DAY_S       86400
#define RUN_DIR_MAX 90 /* sockaddr_un holds 107 bytes, and "/status.sock" follows */

#define AT(member)   .offset = offsetof(struct clm_config, member)
#define SIZE(member) .size = sizeof(((struct clm_config *)0)->member)

static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};

static const char *const job_types[] = {
    "configure",       "order",    "get_dcv", "dcv_write", "dcv_cleanup",
    "deploy",          "rollback", "renew",   "rekey",     "rotate",
    "recheck_pinning", "revoke",   "delete",  "scan",      NULL};

static const char *const key_types[] = {"ec-p256",  "ec-p384",  "rsa-2048",
                                        "rsa-3072", "rsa-4096", NULL};

static const char *const file_modes[] = {"all", "in_use", "off", NULL};

/* The names in scanners/managers.c; a test compares. */
static const char *const managers[] = {"certbot", "certmonger", "acme.sh", "lego",   "dehydrated",
                                       "mod_md",  "caddy",      "traefik", "getssl", "uacme",
                                       "cpanel",  "plesk",      NULL};

static const char *const subject_fields[] = {"cn", "o", "ou", "l", "st", "c", "email", NULL};
static const char *const purposes[] = {"server", "client", NULL};

static enum clm_code check_template(const struct clm_json *value, struct clm_err *err)
{
    struct clm_csr_spec spec;
    enum clm_code code = clm_csr_template_read(value, &spec, err);

    clm_csr_spec_done(&spec);
    return code;
}

static enum clm_code check_file(const struct clm_json *value, struct clm_err *err)
{
    struct clm_declared file = {.outputs = NULL};
    enum clm_code code = clm_declared_read(value, &file, err);

    clm_declared_done(&file);
    return code;
}

static enum clm_code check_hook(const struct clm_json *value, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs argv = {0};

    return clm_hook_read(value, &argv, err);
}

static const struct clm_opt options[] = {
    {.key = "state_dir",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_PATH,
     AT(state_dir),
     SIZE(state_dir),
     .fallback = "/var/lib/clmbot",
     .text = "Where the agent keeps what must survive a restart: keys, retained versions, the "
             "journal, results not yet delivered.",
     .since = "0.1.0"},
    {.key = "run_dir",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_PATH,
     AT(run_dir),
     SIZE(run_dir),
     .max = RUN_DIR_MAX,
     .fallback = "/run/clmbot",
     .text = "Where the sockets between the two halves and for the status command are made.",
     .since = "0.1.0"},
    {.key = "user",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_USER,
     AT(user),
     SIZE(user),
     .fallback = "clmbot",
     .text = "The user that the network half becomes when it is started as root.",
     .since = "0.1.0"},
    {.key = "group",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_USER,
     AT(group),
     SIZE(group),
     .fallback = "clmbot",
     .text = "Members of this group may read the status of the agent.",
     .since = "0.1.0"},
    {.key = "control_plane.poll_wait",
     .type = CLM_OPT_INT,
     AT(control_plane.poll_wait_s),
     SIZE(control_plane.poll_wait_s),
     .unit = "s",
     .min = 0,
     .max = 300,
     .fallback = "50",
     .text = "How long one poll may be held open by the control plane until there is work. 0 asks "
             "and goes.",
     .since = "0.1.0"},
    {.key = "control_plane.interval_max",
     .type = CLM_OPT_INT,
     AT(control_plane.interval_max_s),
     SIZE(control_plane.interval_max_s),
     .unit = "s",
     .min = 1,
     .max = DAY_S,
     .fallback = "300",
     .text = "The agent never waits longer than this between two polls, whatever the control plane "
             "asks for.",
     .since = "0.1.0"},
    {.key = "control_plane.proxy",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_PROXY,
     AT(control_plane.proxy),
     SIZE(control_plane.proxy),
     .fallback = "",
     .text = "HTTP proxy on the way to the control plane, such as http://proxy.example.com:3128. "
             "Empty for none.",
     .since = "0.1.0"},
    {.key = "scan.interval",
     .type = CLM_OPT_INT,
     AT(scan.interval_s),
     SIZE(scan.interval_s),
     .unit = "s",
     .min = 0,
     .max = 366LL * DAY_S,
     .fallback = "86400",
     .text = "Time between two scans of this host. 0 scans only when asked.",
     .since = "0.1.0"},
    {.key = "scan.kinds",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_KIND,
     AT(scan.kinds),
     SIZE(scan.kinds),
     .fallback = "nginx apache tomcat file",
     .text = "Kinds of servers that the scan looks for.",
     .since = "0.1.0"},
    {.key = "scan.probe",
     .type = CLM_OPT_BOOL,
     AT(scan.probe),
     SIZE(scan.probe),
     .fallback = "true",
     .text = "Make a TLS handshake with every listener that the scan finds, to see which "
             "certificate it serves.",
     .since = "0.1.0"},
    {.key = "scan.files.mode",
     .type = CLM_OPT_ENUM,
     .form = CLM_FORM_CHOICE,
     AT(scan.files.mode),
     SIZE(scan.files.mode),
     .choices = file_modes,
     .fallback = "all",
     .text = "Which certificate files the inventory holds: all that lie below the roots and those "
             "that running servers use; only the latter; or none.",
     .since = "0.1.0"},
    {.key = "scan.files.roots",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_PATH,
     AT(scan.files.roots),
     SIZE(scan.files.roots),
     .fallback = "/etc /opt /srv /usr/local/etc /var/lib",
     .text = "Directories that are searched for certificates, keys and keystores, by content.",
     .since = "0.1.0"},
    {.key = "scan.files.exclude",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_ANY,
     AT(scan.files.exclude),
     SIZE(scan.files.exclude),
     .fallback =
         "/etc/ssl/certs/* /etc/ca-certificates/* /etc/pki/ca-trust/* "
         "/etc/pki/tls/certs/ca-bundle* "
         "/var/lib/ca-certificates/* /var/lib/apt/* /var/lib/dpkg/* /var/lib/rpm/* "
         "/var/lib/snapd/* "
         "/var/lib/flatpak/* /var/lib/docker/* /var/lib/containers/* /var/lib/containerd/* "
         "/var/lib/kubelet/pods/* */lib/security/cacerts */site-packages/* */dist-packages/* "
         "*/node_modules/* */.git/*",
     .text = "Paths that are not looked at: trust stores, packages, containers. An asterisk stands "
             "for any run of characters. A file that a running server uses is looked at all the "
             "same.",
     .since = "0.1.0"},
    {.key = "scan.files.ignore",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_ANY,
     AT(scan.files.ignore),
     SIZE(scan.files.ignore),
     .fallback = "",
     .text = "Paths whose files are listed as ignored and never call for attention.",
     .since = "0.1.0"},
    {.key = "scan.files.depth",
     .type = CLM_OPT_INT,
     AT(scan.files.depth),
     SIZE(scan.files.depth),
     .unit = "directories",
     .min = 0,
     .max = 64,
     .fallback = "16",
     .text = "How many directories below a root the search goes.",
     .since = "0.1.0"},
    {.key = "scan.files.max_files",
     .type = CLM_OPT_INT,
     AT(scan.files.files_max),
     SIZE(scan.files.files_max),
     .unit = "files",
     .min = 1,
     .max = 100000000,
     .fallback = "500000",
     .text = "Files that one search looks at. Then it ends and says so.",
     .since = "0.1.0"},
    {.key = "scan.files.max_time",
     .type = CLM_OPT_INT,
     AT(scan.files.time_max_s),
     SIZE(scan.files.time_max_s),
     .unit = "s",
     .min = 1,
     .max = 3600,
     .fallback = "60",
     .text = "Time that one search takes. Then it ends and says so.",
     .since = "0.1.0"},
    {.key = "scan.files.cross_mounts",
     .type = CLM_OPT_BOOL,
     AT(scan.files.cross_mounts),
     SIZE(scan.files.cross_mounts),
     .fallback = "false",
     .text = "Go into file systems that are mounted below a root. Network and kernel file systems "
             "are never searched.",
     .since = "0.1.0"},
    {.key = "policy.job_types",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_CHOICE,
     AT(policy.job_types),
     SIZE(policy.job_types),
     .choices = job_types,
     .fallback = "scan order get_dcv dcv_cleanup deploy rollback recheck_pinning",
     .text = "Types of jobs that the control plane may ask for. All others are refused.",
     .since = "0.1.0"},
    {.key = "policy.targets.allow",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_TARGET,
     AT(policy.targets_allow),
     SIZE(policy.targets_allow),
     .fallback = "nginx:* apache:* tomcat:* file:*",
     .text = "Targets that jobs may change. An asterisk stands for any run of characters.",
     .since = "0.1.0"},
    {.key = "policy.targets.deny",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_TARGET,
     AT(policy.targets_deny),
     SIZE(policy.targets_deny),
     .fallback = "",
     .text = "Targets that no job may change, even if they are allowed above.",
     .since = "0.1.0"},
    {.key = "policy.names.allow",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_NAME,
     AT(policy.names_allow),
     SIZE(policy.names_allow),
     .fallback = "",
     .text = "Names and addresses for which certificates may be ordered and installed. "
             "*.example.com means every name below example.com at any depth, but not example.com "
             "itself. The empty default allows none.",
     .since = "0.1.0"},
    {.key = "policy.names.deny",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_NAME,
     AT(policy.names_deny),
     SIZE(policy.names_deny),
     .fallback = "",
     .text = "Names that are refused even if they are allowed above. A wildcard certificate that "
             "would be good for such a name is refused as well.",
     .since = "0.1.0"},
    {.key = "policy.names.wildcard_certs",
     .type = CLM_OPT_BOOL,
     AT(policy.wildcard_certs),
     SIZE(policy.wildcard_certs),
     .fallback = "false",
     .text = "Allow certificates that hold a wildcard name.",
     .since = "0.1.0"},
    {.key = "policy.names.emails",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_ANY,
     AT(policy.emails),
     SIZE(policy.emails),
     .fallback = "",
     .text = "Mail addresses that certificates may hold, such as *@example.com. An asterisk stands "
             "for any run of characters. The empty default allows none.",
     .since = "0.1.0"},
    {.key = "policy.names.uris",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_ANY,
     AT(policy.uris),
     SIZE(policy.uris),
     .fallback = "",
     .text = "URIs that certificates may hold, such as spiffe://example.com/*. An asterisk stands "
             "for any run of characters. The empty default allows none.",
     .since = "0.1.0"},
    {.key = "policy.key_types",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_CHOICE,
     AT(policy.key_types),
     SIZE(policy.key_types),
     .choices = key_types,
     .fallback = "ec-p256 ec-p384 rsa-2048 rsa-3072 rsa-4096",
     .text = "Types of private keys that may be made.",
     .since = "0.1.0"},
    {.key = "policy.subject.fields",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_CHOICE,
     AT(policy.subject_fields),
     SIZE(policy.subject_fields),
     .choices = subject_fields,
     .fallback = "cn o ou l st c email",
     .text = "Members that the subject of a certificate request may have.",
     .since = "0.1.0"},
    {.key = "policy.eku",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_CHOICE,
     AT(policy.eku),
     SIZE(policy.eku),
     .choices = purposes,
     .fallback = "server",
     .text = "Purposes (extended key usage) that may be asked for.",
     .since = "0.1.0"},
    {.key = "policy.key_reuse",
     .type = CLM_OPT_BOOL,
     AT(policy.key_reuse),
     SIZE(policy.key_reuse),
     .fallback = "false",
     .text = "A private key that is in use may get another certificate, and a request may be sent "
             "again. A key that leaked once then stays leaked.",
     .since = "0.1.0"},
    {.key = "policy.ca_bundle",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_PATH,
     AT(policy.ca_bundle),
     SIZE(policy.ca_bundle),
     .fallback = "",
     .text = "File with the certificates of the CAs, in PEM, at one of which the chain of every "
             "certificate that is issued or deployed must end. Empty: the chain must be sound, but "
             "may end anywhere.",
     .since = "0.1.0"},
    {.key = "policy.csr_templates",
     .type = CLM_OPT_TREE,
     AT(policy.csr_templates),
     .size = sizeof(void *),
     .check = check_template,
     .fallback = "",
     .text =
         "Templates of certificate requests by the name that jobs use for them. Members: subject "
         "(o, ou, l, st, c, email), key_type, hash, must_staple, eku, challenge_password_ref, key.",
     .since = "0.1.0"},
    {.key = "policy.secrets",
     .type = CLM_OPT_MAP,
     .form = CLM_FORM_PATH,
     AT(policy.secrets),
     .size = sizeof(void *),
     .count_offset = offsetof(struct clm_config, policy.n_secrets),
     .fallback = "",
     .text = "Files with passwords by the name that jobs and templates use for them. Each must be "
             "readable by root alone; its first line counts.",
     .since = "0.1.0"},
    {.key = "policy.write_roots",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_PATH,
     AT(policy.write_roots),
     SIZE(policy.write_roots),
     .fallback = "/etc",
     .text =
         "Directories in which certificate and key files may be replaced. The files of a target "
         "must lie inside one of them.",
     .since = "0.1.0"},
    {.key = "policy.take_over",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_CHOICE,
     AT(policy.take_over),
     SIZE(policy.take_over),
     .choices = managers,
     .fallback = "",
     .text = "Other certificate managers, by name, whose files clmbot may replace. Files that "
             "belong to a manager not named here are never written to.",
     .since = "0.1.0"},
    {.key = "policy.webroots",
     .type = CLM_OPT_MAP,
     .form = CLM_FORM_PATH,
     AT(policy.webroots),
     .size = sizeof(void *),
     .count_offset = offsetof(struct clm_config, policy.n_webroots),
     .fallback = "",
     .text = "Web roots for the validation of domains, by the name that jobs use for them.",
     .since = "0.1.0"},
    {.key = "policy.webroot_from_scan",
     .type = CLM_OPT_BOOL,
     AT(policy.webroot_from_scan),
     SIZE(policy.webroot_from_scan),
     .fallback = "true",
     .text = "A document root that the scan found in the configuration of a running server may be "
             "used for the validation of domains.",
     .since = "0.1.0"},
    {.key = "policy.probe_remote",
     .type = CLM_OPT_BOOL,
     AT(policy.probe_remote),
     SIZE(policy.probe_remote),
     .fallback = "false",
     .text = "Jobs may ask for TLS handshakes with addresses of other hosts.",
     .since = "0.1.0"},
    {.key = "policy.restart",
     .type = CLM_OPT_LIST,
     .form = CLM_FORM_ANY,
     AT(policy.restart),
     SIZE(policy.restart),
     .fallback = "",
     .text =
         "Units that may be restarted where a server cannot read a new certificate otherwise, "
         "such as tomcat9.service. An asterisk stands for any run of characters. A restart ends "
         "connections, so the empty default allows none: the certificate is installed then, and "
         "waits for a restart by somebody else.",
     .since = "0.1.0"},
    {.key = "policy.hooks",
     .type = CLM_OPT_TREE,
     AT(policy.hooks_tree),
     .size = sizeof(void *),
     .check = check_hook,
     .is_list = true,
     .fallback = "",
     .text =
         "Programs that targets in the section files may run, by name: each a list of the "
         "absolute path and its arguments. Only root may be able to change the program. It gets "
         "no shell and no environment but PATH, LANG, CLM_TARGET, CLM_ACTION, CLM_CERT_SHA256 "
         "and CLM_OLD_CERT_SHA256.",
     .since = "0.1.0"},
    {.key = "policy.tomcat_manager.user",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_ANY,
     AT(policy.tomcat_manager.user),
     SIZE(policy.tomcat_manager.user),
     .fallback = "",
     .text = "User of Tomcat's manager application on this host who has the role manager-script: "
             "with it a new certificate needs no restart. Empty: the manager is not used.",
     .since = "0.1.0"},
    {.key = "policy.tomcat_manager.password_file",
     .type = CLM_OPT_TEXT,
     .form = CLM_FORM_PATH,
     AT(policy.tomcat_manager.password_file),
     SIZE(policy.tomcat_manager.password_file),
     .fallback = "",
     .text = "File whose first line is the password of that user. It must belong to root with mode "
             "0600.",
     .since = "0.1.0"},
    {.key = "policy.retain_max",
     .type = CLM_OPT_INT,
     AT(policy.retain_max),
     SIZE(policy.retain_max),
     .unit = "versions",
     .min = 1,
     .max = 20,
     .fallback = "20",
     .text = "At most as many versions of a target may a job ask to keep. What jobs do not say is "
             "said by deploy.retain.",
     .since = "0.1.0"},
    {.key = "policy.allow_leave",
     .type = CLM_OPT_BOOL,
     AT(policy.allow_leave),
     SIZE(policy.allow_leave),
     .fallback = "false",
     .text =
         "A job may ask that a new certificate whose reload or proof failed stays in place, for "
         "somebody to look at it. Otherwise the old one is always put back.",
     .since = "0.1.0"},
    {.key = "policy.limits.deploys_per_target_per_day",
     .type = CLM_OPT_INT,
     AT(policy.deploys_per_target_per_day),
     SIZE(policy.deploys_per_target_per_day),
     .min = 0,
     .max = 10000,
     .fallback = "24",
     .text = "How often one target may be changed in 24 hours. 0 refuses every deployment.",
     .since = "0.1.0"},
    {.key = "policy.limits.orders_per_day",
     .type = CLM_OPT_INT,
     AT(policy.orders_per_day),
     SIZE(policy.orders_per_day),
     .min = 0,
     .max = 10000,
     .fallback = "50",
     .text = "How many certificates may be ordered in 24 hours. 0 refuses every order.",
     .since = "0.1.0"},
    {.key = "files",
     .type = CLM_OPT_TREE,
     AT(policy.files_tree),
     .size = sizeof(void *),
     .check = check_file,
     .fallback = "",
     .text = "Certificate files of programs that clmbot does not know, by a name of yours: the "
             "target is then file:NAME. Members: outputs (a list of maps with path, content, "
             "format, alias, password_file, key_password_file, owner, group, mode), check, reload "
             "(unit, restart, hook or none), unit, hook, verify (address, port, sni, deadline). "
             "See the page on generic files.",
     .since = "0.1.0"},
    {.key = "deploy.deadline",
     .type = CLM_OPT_INT,
     AT(deploy.deadline_s),
     SIZE(deploy.deadline_s),
     .unit = "s",
     .min = 1,
     .max = 600,
     .fallback = "30",
     .text =
         "How long after a reload handshakes may take to show the new certificate. Then the old "
         "one is put back.",
     .since = "0.1.0"},
    {.key = "deploy.retain",
     .type = CLM_OPT_INT,
     AT(deploy.retain),
     SIZE(deploy.retain),
     .unit = "versions",
     .min = 1,
     .max = 20,
     .fallback = "3",
     .text = "Versions of a target that are kept for a rollback.",
     .since = "0.1.0"},
    {.key = "deploy.expiring_days",
     .type = CLM_OPT_INT,
     AT(deploy.expiring_days),
     SIZE(deploy.expiring_days),
     .unit = "days",
     .min = 0,
     .max = 3650,
     .fallback = "21",
     .text = "The status command calls for attention when a certificate has fewer days left.",
     .since = "0.1.0"},
    {.key = "log.level",
     .type = CLM_OPT_ENUM,
     .form = CLM_FORM_CHOICE,
     AT(log.level),
     SIZE(log.level),
     .choices = levels,
     .fallback = "info",
     .text = "Messages less important than this are not logged.",
     .since = "0.1.0"},
    {.key = NULL},
};

_Static_assert(CLM_ARRAY_LEN(options) <= CLM_OPTS_MAX, "too many options for struct clm_opt_seen");

const struct clm_opt *clm_options(void)
{
    return options;
}
