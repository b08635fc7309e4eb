/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - the signed payload of a job as a value
 *
 * Whoever verified the signature parses the payload here, strictly: an unknown member is an error,
 * in the envelope and in "spec" (protocol.md 6.4, 8.1, 8.3). What is checked is the form; whether
 * the job is for this agent, in time, in sequence and allowed is asked by agent/host.
 */
#ifndef CLM_MODEL_JOB_H
#define CLM_MODEL_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "agent/model/bundle.h"
#include "agent/model/csr_spec.h"
#include "agent/model/names.h"
#include "agent/model/probe.h"
#include "agent/model/target.h"

#define CLM_JOB_PAYLOAD_MAX   65536u /* bytes; protocol.md 6.4 */
#define CLM_JOB_NAME_SIZE     65     /* window, recipe, webroot: 64 and a NUL; 6.4 */
#define CLM_JOB_WHO_SIZE      257    /* "user:alice", NUL included */
#define CLM_JOB_RETAIN_MAX    20
#define CLM_JOB_LIFE_MAX_S    7776000 /* 90 days: expires_at - issued_at; protocol.md 8.1 */
#define CLM_JOB_DEPENDS_MAX   16      /* protocol.md 8.1 */
#define CLM_JOB_REQUIRES_MAX  32
#define CLM_JOB_APPROVERS_MAX 16
#define CLM_JOB_OPTIONAL_MAX  16
#define CLM_SPEC_CONNECT_MAX  64 /* addresses of one recheck */
#define CLM_SPEC_PINS_MAX     16
#define CLM_SPEC_SERVICES_MAX 32
#define CLM_SPEC_FILES_MAX    16

enum clm_job_type {
    CLM_JOB_TYPE_CONFIGURE,
    CLM_JOB_TYPE_ORDER,
    CLM_JOB_TYPE_GET_DCV,
    CLM_JOB_TYPE_DCV_WRITE,
    CLM_JOB_TYPE_DCV_CLEANUP,
    CLM_JOB_TYPE_DEPLOY,
    CLM_JOB_TYPE_ROLLBACK,
    CLM_JOB_TYPE_RENEW,
    CLM_JOB_TYPE_REKEY,
    CLM_JOB_TYPE_ROTATE,
    CLM_JOB_TYPE_RECHECK_PINNING,
    CLM_JOB_TYPE_REVOKE,
    CLM_JOB_TYPE_DELETE,
    CLM_JOB_TYPE_SCAN,
    CLM_JOB_TYPE__COUNT
};

enum clm_on_failure {
    CLM_ON_FAILURE_ROLLBACK,
    CLM_ON_FAILURE_STOP
};

/* The pointers lead into root and live as long as the envelope. */
struct clm_job_envelope {
    char job_id[CLM_ID_SIZE];
    char tenant[CLM_JOB_NAME_SIZE];
    char agent_id[CLM_ID_SIZE];
    enum clm_job_type type;
    char target[CLM_TARGET_ID_SIZE]; /* "host" or a valid target id */
    int64_t target_seq;
    int64_t issued_s;
    int64_t not_before_s; /* issued_s if not given */
    int64_t expires_s;
    uint32_t timeout_s;    /* 10..86400, run time only */
    uint32_t max_attempts; /* default 3, 1..10 */
    uint32_t retry_base_s; /* default 60 */
    uint32_t retry_cap_s;  /* default 3600 */
    enum clm_on_failure on_failure;
    uint32_t priority; /* default 50, 0..100 */
    bool offline_ok;
    char campaign_id[CLM_ID_SIZE];       /* "" none */
    char window_id[CLM_JOB_NAME_SIZE];   /* "" none */
    char missed_window[16];              /* run_next_window (default), skip, fail, run_asap */
    uint32_t max_late_s;                 /* default 0 */
    char expiry_override[8];             /* alert (default), never, deploy */
    char requested_by[CLM_JOB_WHO_SIZE]; /* "" not said */
    char recipe_name[CLM_JOB_NAME_SIZE]; /* "" none */
    int64_t recipe_version;
    char recipe_sha256[CLM_SHA256_HEX_SIZE];
    const char *depends_on[CLM_JOB_DEPENDS_MAX];
    size_t n_depends_on;
    const char *requires[CLM_JOB_REQUIRES_MAX];
    size_t n_requires;
    const char *approved_by[CLM_JOB_APPROVERS_MAX];
    size_t n_approved_by;
    /* Members of spec that may be skipped if they are not known; protocol.md 6.4. */
    const char *optional[CLM_JOB_OPTIONAL_MAX];
    size_t n_optional;
    struct clm_json *root;       /* the whole payload */
    const struct clm_json *spec; /* in root; for clm_job_spec_parse() */
};

/* "order", "recheck_pinning" ... of protocol.md 8.3. */
const char *clm_job_type_name(enum clm_job_type type);
/* False, and *out_type untouched, if there is no such type. */
bool clm_job_type_from_name(const char *name, enum clm_job_type *out_type);

/* "ec-p256" ... "rsa-4096" of protocol.md 8.3; ends with NULL. */
const char *const *clm_key_type_names(void);

/* `^[a-z0-9][a-z0-9._-]{0,63}$`: hooks, web roots, windows, recipes (protocol.md 6.4). */
bool clm_job_name_is_valid(const char *name);

/*
 * clm_job_envelope_parse() - the payload of a verified job
 *
 * In      payload  len bytes of JSON, as they were signed
 * Out     out      the caller's, for clm_job_envelope_done()
 * Errors  LIMIT longer than CLM_JOB_PAYLOAD_MAX; PARSE form, INVAL content, with the member's name;
 *         UNSUPPORTED spec_version, or a type this version does not know; NOMEM
 * Note    "spec" is only an object so far: clm_job_spec_parse() checks what is in it.
 */
CLM_MUST_USE enum clm_code clm_job_envelope_parse(const char *payload, size_t len,
                                                  struct clm_job_envelope *out,
                                                  struct clm_err *err);
void clm_job_envelope_done(struct clm_job_envelope *job); /* for CLM_CLEANUP */

/* ---- what to do, by type; every text is borrowed from the envelope, NULL if not given ---- */

/* How to see that the right leaf is served. */
struct clm_spec_verify {
    bool has_endpoint;            /* false: the endpoints of the target */
    struct clm_endpoint endpoint; /* timeout_ms 0 if not given */
    const char *sni;              /* also without an endpoint */
    const char *expect_sha256;
    uint32_t retries;   /* default 5, 0..100 */
    uint32_t timeout_s; /* default 10, 1..600 */
};

struct clm_spec_pre_checks {
    const char *expect_current_sha256; /* the leaf that must be installed now */
    bool require_config_valid;         /* default true */
};

/* The part of a deployment that an order may carry as well. */
struct clm_spec_deploy_how {
    struct clm_spec_verify verify;
    struct clm_spec_pre_checks pre_checks;
    uint32_t bake_s; /* watch the service this long; default 0, at most 3600 */
    uint32_t retain; /* versions to keep, 1..20; 0: deploy.retain of the host */
};

struct clm_spec_order {
    const char *certificate_id;
    const char *order_id;       /* NULL: the control plane has not made one */
    struct clm_subject subject; /* owned; the common name is one of the names */
    struct clm_names names;     /* 1..CLM_NAMES_MAX; owned. With a "csr": what it must come to */
    struct clm_strs emails;     /* owned */
    struct clm_strs uris;       /* owned */
    const char *key_type;       /* one of clm_key_type_names(); NULL only with a "csr" */
    const char *key_ref;        /* key to use again; may be NULL */
    bool reuse;
    bool must_staple;
    bool eku_client; /* besides server, which always is */
    bool has_csr;
    struct clm_csr_spec csr; /* owned; what it does not say is said above */
    const char *dcv_method;  /* "http-01", "dns-01", "none" (default) */
    const char *webroot_ref; /* name of a web root declared on this host; NULL: found by the scan */
    const char *on_issue;    /* "notify" (default) or "deploy" */
    struct clm_spec_deploy_how deploy; /* used when on_issue is "deploy" */
};
/* Frees what is owned. */
void clm_spec_order_done(struct clm_spec_order *order);

struct clm_spec_deploy {
    const char *certificate_id;
    const char *sha256;    /* of the leaf */
    const char *chain_pem; /* leaf first; at most CLM_CHAIN_PEM_MAX */
    const char *key_ref;
    const char *store_cert; /* must equal what the scan says; NULL: not said */
    const char *store_key;
    struct clm_spec_deploy_how how;
};

struct clm_spec_rollback {
    int64_t to_version; /* 0: the one before */
    const char *reason;
    bool allow_expired;
    struct clm_spec_verify verify;
};

struct clm_spec_tlsa {
    uint32_t selector; /* 0 whole certificate, 1 public key */
    const char *data;  /* SHA-256 */
};

struct clm_spec_recheck {
    struct clm_endpoint connect[CLM_SPEC_CONNECT_MAX]; /* sni filled in; none: the target's own */
    size_t n_connect;
    const char *sni;
    const char *expect_sha256;
    const char *spki_pins[CLM_SPEC_PINS_MAX];
    size_t n_spki_pins;
    struct clm_spec_tlsa tlsa[CLM_SPEC_PINS_MAX]; /* usage 3, matching 1 */
    size_t n_tlsa;
    bool fail_on_mismatch; /* "mismatch" (default) or "never" */
};

struct clm_spec_scan {
    const char *services[CLM_SPEC_SERVICES_MAX]; /* none: all */
    size_t n_services;
    uint32_t max_s; /* default 120, 1..3600 */
    bool nice;      /* default true */
};

struct clm_spec_dcv_file {
    const char *challenge_id;
    const char *path;    /* not checked yet: agent/host/dcv.h has the rules */
    const char *content; /* the same */
};

/* get_dcv, dcv_write and dcv_cleanup. */
struct clm_spec_dcv {
    const char *order_id;
    const char *webroot_ref; /* NULL in get_dcv: found by the scan; in dcv_cleanup: not used */
    bool self_check;         /* default true */
    uint32_t hold_s;         /* get_dcv; default 3600, 60..604800 */
    int64_t remove_at_s;     /* dcv_write; 0: not said */
    struct clm_spec_dcv_file files[CLM_SPEC_FILES_MAX]; /* dcv_write */
    size_t n_files;
};

struct clm_job_spec {
    enum clm_job_type type; /* says which member of u is filled */
    union {
        struct clm_spec_order order;
        struct clm_spec_deploy deploy;
        struct clm_spec_rollback rollback;
        struct clm_spec_recheck recheck;
        struct clm_spec_scan scan;
        struct clm_spec_dcv dcv;
    } u;
};

/*
 * clm_job_spec_parse() - the typed part of a job
 *
 * In      job  lives longer than out, which borrows its texts
 * Out     out  the caller's, for clm_job_spec_done()
 * Errors  PARSE, INVAL, LIMIT with "spec: <member>: ..."; UNSUPPORTED if this version cannot do
 *         jobs of the type, or something the spec asks for; NOMEM
 * Source  protocol.md 8.3. Hooks are named by root on the host and this version has none, so a
 *         hook that is not null is INVAL.
 */
CLM_MUST_USE enum clm_code clm_job_spec_parse(const struct clm_job_envelope *job,
                                              struct clm_job_spec *out, struct clm_err *err);
void clm_job_spec_done(struct clm_job_spec *spec); /* for CLM_CLEANUP */

#endif
