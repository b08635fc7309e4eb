/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy - what root on this host allows, whoever asks
 *
 * Filled from the section "policy" of clmbot.yaml by config/, asked by agent/host before every
 * effect. Nothing in it can be changed over the network. protocol.md 13 is the model; design.md 9
 * places it in clmbot.yaml. Every check answers CLM_OK or PERM with the rule that refused and what
 * to change, e.g. "policy.names: 'a.example' is not allowed; add it to policy.names.allow".
 */
#ifndef CLM_MODEL_POLICY_H
#define CLM_MODEL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/model/csr_spec.h"
#include "agent/model/declared.h"
#include "agent/model/names.h"

struct clm_policy_webroot {
    char name[65]; /* webroot_ref of a job */
    char path[4096];
};

struct clm_policy_hook {
    char name[65];
    struct clm_strs argv; /* argv[0] absolute, a program that only root can change */
};

struct clm_policy {
    struct clm_strs
        job_types; /* allowed; default: scan order get_dcv dcv_cleanup deploy rollback recheck_pinning */
    struct clm_strs targets_allow; /* globs of target ids; default: "nginx:*" "apache:*" */
    struct clm_strs targets_deny;  /* wins over allow; default: empty */
    struct clm_strs
        names_allow; /* "example.com", "*.example.com" (any depth); default: empty = none */
    struct clm_strs names_deny;
    bool wildcard_certs;         /* default false */
    struct clm_strs key_types;   /* default: all five of protocol.md */
    struct clm_strs write_roots; /* directories; a target's files must lie inside; default /etc */
    struct clm_policy_webroot *webroots; /* declared for DCV */
    size_t n_webroots;
    struct clm_strs
        take_over; /* other certificate managers whose files may be written; default: empty */
    bool webroot_from_scan; /* a document root found by the scan may be used; default true */
    bool probe_remote;      /* recheck_pinning beyond this host; default false */
    int64_t deploys_per_target_per_day; /* default 24 */
    int64_t orders_per_day;             /* default 50 */
    uint32_t retain_max;                /* versions of a target a job may ask to keep; default 20 */
    bool allow_leave;                   /* a failed deployment may stay; default false */
    struct clm_strs restart; /* globs of units that may be restarted; default: empty = none */
    struct {
        char user[128]; /* "" the manager is not used */
        char password_file[4096];
    } tomcat_manager;
    struct clm_json *hooks_tree, *files_tree; /* as they stand in the file; NULL: none */
    struct clm_policy_hook *hooks;            /* programs of root's that plans may run */
    size_t n_hooks;
    struct clm_strs emails; /* globs of mail addresses in certificates; default: empty = none */
    struct clm_strs uris;   /* globs of URIs in certificates; default: empty = none */
    struct clm_strs subject_fields; /* members a request may have; default: all */
    struct clm_strs eku;            /* "server", "client"; default: server */
    bool key_reuse;                 /* a private key may get another certificate; default false */
    char ca_bundle[4096];           /* where an issued chain must end; "" not checked */
    struct clm_json *csr_templates; /* objects by name (csr_spec.h); NULL: none */
    struct clm_policy_webroot *secrets; /* name and file, 0600 */
    size_t n_secrets;
    struct clm_declared *files; /* targets "file:NAME" */
    size_t n_files;
};

void clm_policy_done(struct clm_policy *policy);

/*
 * clm_policy_declare() - makes hooks and files of the trees that the configuration was read into
 *
 * Effect  also asks whether they fit each other: hooks that are named exist, no file belongs to two
 *         targets, units may be restarted
 * Errors  CONFIG with the name of the entry; NOMEM
 */
CLM_MUST_USE enum clm_code clm_policy_declare(struct clm_policy *policy, struct clm_err *err);

CLM_MUST_USE enum clm_code clm_policy_check_job_type(const struct clm_policy *policy,
                                                     const char *type, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_policy_check_target(const struct clm_policy *policy,
                                                   const char *target, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_policy_check_names(const struct clm_policy *policy,
                                                  const struct clm_names *names,
                                                  struct clm_err *err);
CLM_MUST_USE enum clm_code clm_policy_check_key_type(const struct clm_policy *policy,
                                                     const char *key_type, struct clm_err *err);
/* path: absolute, no "." or ".." component, already resolved. */
CLM_MUST_USE enum clm_code clm_policy_check_write(const struct clm_policy *policy, const char *path,
                                                  struct clm_err *err);
/* versions: those a job asks to keep; 0: it does not. */
CLM_MUST_USE enum clm_code clm_policy_check_retain(const struct clm_policy *policy,
                                                   uint32_t versions, struct clm_err *err);
/* May a job ask that a failed deployment is left as it is? */
CLM_MUST_USE enum clm_code clm_policy_check_leave(const struct clm_policy *policy,
                                                  struct clm_err *err);
/* unit: "tomcat9.service". policy NULL: nothing is allowed. */
CLM_MUST_USE enum clm_code clm_policy_check_restart(const struct clm_policy *policy,
                                                    const char *unit, struct clm_err *err);
/* argv is that of a declared hook, word for word. */
CLM_MUST_USE enum clm_code clm_policy_check_hook(const struct clm_policy *policy,
                                                 const struct clm_strs *argv, struct clm_err *err);
/* NULL if there is none of that name. */
const struct clm_policy_hook *clm_policy_find_hook(const struct clm_policy *policy,
                                                   const char *name);
const struct clm_declared *clm_policy_find_file(const struct clm_policy *policy, const char *name);
/* NULL if no webroot of that name is declared. */
const struct clm_policy_webroot *clm_policy_find_webroot(const struct clm_policy *policy,
                                                         const char *name);

/* ---- requests: policy_csr.c ---- */

/* Names as clm_policy_check_names(), and every mail address and URI. */
CLM_MUST_USE enum clm_code clm_policy_check_sans(const struct clm_policy *policy,
                                                 const struct clm_sans *sans, struct clm_err *err);
/* The mail addresses and URIs alone. */
CLM_MUST_USE enum clm_code clm_policy_check_more_sans(const struct clm_policy *policy,
                                                      const struct clm_strs *emails,
                                                      const struct clm_strs *uris,
                                                      struct clm_err *err);
CLM_MUST_USE enum clm_code clm_policy_check_subject(const struct clm_policy *policy,
                                                    const struct clm_subject *subject,
                                                    struct clm_err *err);
CLM_MUST_USE enum clm_code clm_policy_check_eku(const struct clm_policy *policy, bool server,
                                                bool client, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_policy_check_key_reuse(const struct clm_policy *policy,
                                                      struct clm_err *err);
/* The path of a declared secret. Errors: PERM none of that name. */
CLM_MUST_USE enum clm_code clm_policy_find_secret(const struct clm_policy *policy, const char *name,
                                                  const char **out_path, struct clm_err *err);
/* An object for clm_csr_template_read(). Errors: PERM none of that name. */
CLM_MUST_USE enum clm_code clm_policy_find_template(const struct clm_policy *policy,
                                                    const char *name, const struct clm_json **out,
                                                    struct clm_err *err);

#endif
