/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - what the host half keeps: waiting keys, bundles, generations of targets, history
 *
 * Below one directory (0700, ours): keys/<key_ref>/{key.pem,meta.json,csr.der},
 * bundles/<leaf sha256>/{leaf.pem,chain.pem,key.pem,meta.json},
 * targets/<sha256 of the id>/target.json, history.jsonl. Files are 0600. A directory below keys/ or
 * bundles/ appears complete, by one rename, and is never changed afterwards. Every call that changes
 * something and returns CLM_OK survives a power cut. One process at a time: clm_dirlock_take().
 */
#ifndef CLM_JOB_STORE_H
#define CLM_JOB_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/model/bundle.h"
#include "agent/model/plan.h"
#include "agent/model/secret.h"
#include "agent/model/target.h"

#define CLM_KEY_REF_SIZE      65       /* "key_<ULID>" or any [A-Za-z0-9_-]{1,64}, and a NUL */
#define CLM_STORE_META_MAX    65536u   /* bytes of a meta.json or target.json */
#define CLM_STORE_CSR_MAX     65536u   /* bytes; protocol.md 6.4 */
#define CLM_STORE_RETAIN_MIN  2        /* the installed generation and the one before */
#define CLM_STORE_HISTORY_MAX 1048576u /* bytes of history.jsonl; then the older half goes */

struct clm_store;

/* Creates what is missing below dir, which must exist, and sweeps leftovers of a crash.
 * Errors: PERM, IO, and CONFIG if dir is not ours or others may write to it. */
CLM_MUST_USE enum clm_code clm_store_open(const char *dir, struct clm_store **out_store,
                                          struct clm_err *err);
void clm_store_close(struct clm_store *store); /* accepts NULL */
CLM_DEFINE_CLEANUP(struct clm_store, clm_store_close);

/* ---- waiting keys: a new key never touches the live one ---- */

struct clm_store_key {
    char key_path[PATH_MAX]; /* 0600, for bundles and for loading */
    struct clm_buf csr_der;  /* empty if there is none */
    struct clm_json *meta;   /* what was put: an object; NULL before a get */
};
#define CLM_STORE_KEY_INIT                                                                         \
    {                                                                                              \
        .csr_der = CLM_BUF_INIT(CLM_STORE_CSR_MAX)                                                 \
    }
void clm_store_key_done(struct clm_store_key *key); /* for CLM_CLEANUP */

/* meta and csr_der may be NULL. Errors: EXISTS key_ref is taken (nothing changed); INVAL key_ref. */
CLM_MUST_USE enum clm_code clm_store_key_put(struct clm_store *store, const char *key_ref,
                                             const struct clm_buf *key_pem,
                                             const struct clm_buf *csr_der,
                                             const struct clm_json *meta, struct clm_err *err);
/* out was set with CLM_STORE_KEY_INIT. Errors: NOTFOUND. */
CLM_MUST_USE enum clm_code clm_store_key_get(struct clm_store *store, const char *key_ref,
                                             struct clm_store_key *out, struct clm_err *err);
/* A missing one is success. Bundles keep their own copy. */
CLM_MUST_USE enum clm_code clm_store_key_remove(struct clm_store *store, const char *key_ref,
                                                struct clm_err *err);

#define CLM_STORE_KEY_LIFE_S (90LL * 86400) /* then a key goes that no bundle was made of */

/* Did the order that a key was made for end without a certificate? meta: of clm_store_key_put(). */
typedef bool (*clm_store_key_ended_fn)(void *arg, const struct clm_json *meta);

/*
 * clm_store_key_sweep() - removes waiting keys that nobody waits for
 *
 * In      has_ended  asked for each key, with arg
 * Out     out_removed  their references are appended
 * Effect  A key goes if its order has ended so and it is not the newest of its certificate (member
 *         certificate_id of its meta), whose request may be sent again; and after CLM_STORE_KEY_LIFE_S
 *         in any case. One that a bundle was made of never goes.
 * Errors  if a bundle cannot be read, nothing is removed. A key that cannot be read stays.
 */
CLM_MUST_USE enum clm_code clm_store_key_sweep(struct clm_store *store,
                                               clm_store_key_ended_fn has_ended, void *arg,
                                               int64_t now_s, struct clm_strs *out_removed,
                                               struct clm_err *err);

/* ---- bundles: a certificate with its key, complete and durable before any target changes ---- */

/*
 * clm_store_bundle_put() - makes a bundle of a waiting key and an issued certificate
 *
 * In      key_ref   of clm_store_key_put(); its key is copied
 *         bundle    leaf (its sha256 names the bundle), leaf_pem and chain_pem are stored; key_path
 *                   is not looked at
 *         meta      more members to keep (certificate_id ...), an object; may be NULL
 * Errors  NOTFOUND key_ref; CONFLICT that bundle is there with another key (nothing changed). The
 *         same bundle again is success. The caller has checked that key and leaf match.
 */
CLM_MUST_USE enum clm_code clm_store_bundle_put(struct clm_store *store, const char *key_ref,
                                                const struct clm_bundle *bundle,
                                                const struct clm_json *meta, struct clm_err *err);
/* out was set with CLM_BUNDLE_INIT. Errors: NOTFOUND; INVAL sha256 is not 64 lower-case digits. */
CLM_MUST_USE enum clm_code clm_store_bundle_get(struct clm_store *store, const char *sha256,
                                                struct clm_bundle *out, struct clm_err *err);
/* The meta given to clm_store_bundle_put(), an object; the caller's to free. */
CLM_MUST_USE enum clm_code clm_store_bundle_meta(struct clm_store *store, const char *sha256,
                                                 struct clm_json **out_meta, struct clm_err *err);

/* ---- generations: which bundle a target had, and has ---- */

enum clm_generation_origin {
    CLM_GENERATION_IMPORTED, /* was there before clmbot: generation 0 */
    CLM_GENERATION_DEPLOYED,
};

struct clm_generation {
    uint32_t version; /* 0 imported, then 1, 2, 3 ...: grows for ever */
    char sha256[CLM_SHA256_HEX_SIZE];
    enum clm_generation_origin origin;
    int64_t at_s; /* installed for the last time; unix time */
    bool is_installed;
};

struct clm_generations {
    struct clm_generation *v; /* oldest first */
    size_t n;
    uint32_t retain;
};
void clm_generations_done(struct clm_generations *generations); /* for CLM_CLEANUP */

/*
 * clm_store_generation_add() - records what a deployment installed
 *
 * In      sha256  a stored bundle. If the target has a generation of it already (a rollback, a
 *                 repeated deployment), that one becomes the installed one and no new one is made.
 *         retain  generations kept, at least CLM_STORE_RETAIN_MIN; older ones go, and with them
 *                 bundles that no target has any more. Never the installed one nor the one
 *                 installed before it.
 * Errors  NOTFOUND no such bundle; INVAL target
 */
CLM_MUST_USE enum clm_code clm_store_generation_add(struct clm_store *store, const char *target,
                                                    const char *sha256, uint32_t retain,
                                                    int64_t now_s, struct clm_err *err);
/* A target never heard of has none. */
CLM_MUST_USE enum clm_code clm_store_generation_list(struct clm_store *store, const char *target,
                                                     struct clm_generations *out,
                                                     struct clm_err *err);
/* The installed one. Errors: NOTFOUND. */
CLM_MUST_USE enum clm_code clm_store_generation_current(struct clm_store *store, const char *target,
                                                        struct clm_generation *out,
                                                        struct clm_err *err);
/* The one to go back to: version, or for CLM_GENERATION_BEFORE the one installed before the current one.
 * Errors: NOTFOUND. */
#define CLM_GENERATION_BEFORE 0xffffffffu
CLM_MUST_USE enum clm_code clm_store_generation_find(struct clm_store *store, const char *target,
                                                     uint32_t version, struct clm_generation *out,
                                                     struct clm_err *err);
/* Every target that has generations, by id. */
CLM_MUST_USE enum clm_code clm_store_target_list(struct clm_store *store, struct clm_strs *out_ids,
                                                 struct clm_err *err);

/*
 * clm_store_import() - keeps what a target holds before its first deployment, as generation 0
 *
 * In      plan    names the target's files (FILE_PUT steps); they are read, nothing is written there
 *         secrets of keystores and encrypted keys; NULL: none are known
 * Out     out_imported  false if the target has generations already, or has no certificate with a
 *                 key yet (first installation), or they do not match; may be NULL
 * Errors  PERM, IO, LIMIT; those of passwords. A file that is no certificate is not an error: there
 *         is nothing to keep.
 */
CLM_MUST_USE enum clm_code clm_store_import(struct clm_store *store, const struct clm_plan *plan,
                                            const struct clm_secret_source *secrets, int64_t now_s,
                                            bool *out_imported, struct clm_err *err);

/* ---- history: one line of JSON for each transaction ---- */

/* entry: an object, normally of clm_txn_outcome_to_json() with more members; "target" is used for
 * lists. Errors: LIMIT beyond 64 KiB; IO. */
CLM_MUST_USE enum clm_code clm_store_history_add(struct clm_store *store,
                                                 const struct clm_json *entry, struct clm_err *err);
/* Appends to the array, newest first, at most limit, of this target ("" or NULL: all). A line that
 * cannot be read (torn by a crash) is left out. */
CLM_MUST_USE enum clm_code clm_store_history_list(struct clm_store *store, const char *target,
                                                  size_t limit, struct clm_json *out_array,
                                                  struct clm_err *err);

#endif
