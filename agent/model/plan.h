/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan - what a deployment will do, as data
 *
 * A deployer writes the plan, the engine in agent/job journals, applies, proves and undoes it. A
 * plan names what goes into a file (leaf, chain, key ...) but never holds key bytes, so it can be
 * printed, sent and kept. JSON form: docs/journal.md.
 */
#ifndef CLM_MODEL_PLAN_H
#define CLM_MODEL_PLAN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/model/probe.h"
#include "agent/model/secret.h"
#include "agent/model/target.h"

enum clm_content {
    CLM_CONTENT_LEAF,          /* the leaf, PEM */
    CLM_CONTENT_CHAIN,         /* intermediates, PEM, nearest first */
    CLM_CONTENT_FULLCHAIN,     /* leaf and intermediates */
    CLM_CONTENT_KEY,           /* the private key, PEM PKCS#8 */
    CLM_CONTENT_KEY_FULLCHAIN, /* one file: fullchain, then key */
    CLM_CONTENT_KEY_FIRST,     /* one file: key, then fullchain */
    CLM_CONTENT_LEAF_KEY,      /* one file: leaf, then key */
    CLM_CONTENT_EDIT,          /* the file as it is with some text replaced */
    CLM_CONTENT__COUNT
};

/* How the content is written. A keystore (PKCS12, JKS, JCEKS) holds key and full chain whatever the
 * content says: one entry is replaced or added, the others are kept. */
enum clm_file_format {
    CLM_FORMAT_PEM,
    CLM_FORMAT_DER,   /* LEAF or KEY alone */
    CLM_FORMAT_PKCS7, /* certificates only: LEAF, CHAIN, FULLCHAIN */
    CLM_FORMAT_PKCS7_PEM,
    CLM_FORMAT_PKCS12,
    CLM_FORMAT_JKS,
    CLM_FORMAT_JCEKS,
    CLM_FORMAT__COUNT
};

/* Bytes of a file that are replaced; text never holds a secret. */
struct clm_text_edit {
    uint64_t offset;
    uint64_t len; /* 0: inserted before offset */
    char *text;   /* owned */
};

/* In the order in which the engine takes them: all CHECKs first, then PUTs, POST_CHECKs, RELOADs. */
enum clm_step_kind {
    CLM_STEP_CHECK,      /* run argv before anything changes; exit 0 or the plan is refused */
    CLM_STEP_FILE_PUT,   /* replace one file */
    CLM_STEP_POST_CHECK, /* run argv after the swap and before the reload */
    CLM_STEP_RELOAD,     /* make the server read its files again */
    CLM_STEP_VERIFY,     /* handshakes that must show the new leaf */
    CLM_STEP__COUNT
};

enum clm_reload_how {
    CLM_RELOAD_UNIT,    /* through systemd */
    CLM_RELOAD_SIGNAL,  /* signal to the main process, when it runs under no unit */
    CLM_RELOAD_RESTART, /* restart of the unit; connections are lost, so policy must allow it */
    CLM_RELOAD_MANAGER, /* request to Tomcat's manager on this host: url, user and password */
    CLM_RELOAD_HOOK,    /* argv of a hook that root declared */
    CLM_RELOAD_NONE,    /* nobody may restart it now: installed, waiting for a restart */
    CLM_RELOAD__COUNT
};

struct clm_step {
    enum clm_step_kind kind;
    struct clm_strs argv; /* CHECK, POST_CHECK, RELOAD by HOOK */
    /* FILE_PUT */
    char path[PATH_MAX]; /* as configured; may be a symlink, resolved by the engine */
    enum clm_content content;
    enum clm_file_format format;
    char alias[512];                          /* keystore entry; "" the only key of the store */
    char store_password[CLM_SECRET_REF_SIZE]; /* of the keystore */
    char key_password
        [CLM_SECRET_REF_SIZE];   /* of the entry or of an encrypted PEM key; "" the store's
                                               or not encrypted */
    struct clm_text_edit *edits; /* CONTENT_EDIT, by rising offset, not overlapping */
    size_t n_edits;
    char expect_sha256[CLM_SHA256_HEX_SIZE]; /* of the file as it was read; EDIT needs it, "" any */
    bool may_create; /* false: the file must exist, and its owner, mode and labels are kept */
    uint32_t mode;   /* for a created file */
    uint32_t uid;
    uint32_t gid;
    /* RELOAD */
    enum clm_reload_how how;
    char unit[256];
    int32_t pid;
    uint64_t start_ticks;
    int signo;
    char url[512];                      /* MANAGER: http://127.0.0.1:8080/manager/text/sslReload */
    char user[128];                     /* MANAGER */
    char password[CLM_SECRET_REF_SIZE]; /* MANAGER */
    /* VERIFY */
    struct clm_endpoint *endpoints;
    size_t n_endpoints;
    uint32_t deadline_ms; /* 30,000; Java 120,000 (design.md 6) */
};

struct clm_plan {
    char target[CLM_TARGET_ID_SIZE];
    char deployer[32];
    struct clm_step *steps;
    size_t n_steps;
};

void clm_plan_done(struct clm_plan *plan); /* for CLM_CLEANUP */
/* Appends a zeroed step; NULL, and err set to NOMEM, if there is no memory. */
struct clm_step *clm_plan_add(struct clm_plan *plan, enum clm_step_kind kind, struct clm_err *err);
/* Copies the endpoints into a VERIFY step. */
CLM_MUST_USE enum clm_code clm_step_set_endpoints(struct clm_step *step,
                                                  const struct clm_endpoint *endpoints, size_t n,
                                                  struct clm_err *err);

/* Copies text and appends the edit; by rising offset. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_step_add_edit(struct clm_step *step, uint64_t offset, uint64_t len,
                                             const char *text, struct clm_err *err);

const char *clm_content_name(enum clm_content content);        /* "leaf", "fullchain", ... */
const char *clm_file_format_name(enum clm_file_format format); /* "pem", "pkcs12", ... */
const char *clm_reload_name(enum clm_reload_how how);          /* "unit", "signal", ... */
bool clm_content_has_key(enum clm_content content);
bool clm_content_has_leaf(enum clm_content content);
bool clm_format_is_keystore(enum clm_file_format format);
/* Does any step leave the restart to somebody else? */
bool clm_plan_waits(const struct clm_plan *plan);
const char *clm_step_kind_name(enum clm_step_kind kind); /* "check", "file.put", ... */
/* One line for a person: "write the full chain to '/etc/ssl/a.pem'". */
CLM_MUST_USE enum clm_code clm_step_describe(const struct clm_step *step, char *dst, size_t size,
                                             struct clm_err *err);

/*
 * clm_step_check() - do the members of a FILE_PUT or RELOAD step go together?
 *
 * Errors  PARSE with the member: a content that the format cannot hold, a keystore without a
 *         password, an alias or password where there is none to have, edits that overlap or do not
 *         say for which file they were made, a relative path, no unit name, a URL that is not
 *         http(s) with a numeric address of this host
 */
CLM_MUST_USE enum clm_code clm_step_check(const struct clm_step *step, struct clm_err *err);

void clm_plan_to_json(const struct clm_plan *plan, struct clm_json *obj);
CLM_MUST_USE enum clm_code clm_plan_from_json(const struct clm_json *obj, struct clm_plan *out,
                                              struct clm_err *err);

#endif
